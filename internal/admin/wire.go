package admin

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

// Handler builds the component from its environment.
func Handler(ctx context.Context, getenv func(string) string) (lambda.Handler, error) {
	base, err := setup.NewBase(ctx, getenv)
	if err != nil {
		return nil, err
	}
	return New(ctx, base)
}

// New builds the component on a base that a test may have changed.
func New(_ context.Context, base *setup.Base) (lambda.Handler, error) {
	env, err := base.Require("AUDIT_TABLE", "KEYS_TABLE", "SITES_TABLE", "SYSTEMS_SECRET")
	if err != nil {
		return nil, err
	}
	secrets := secret.NewStore(base.Config)
	s := &server{
		desk:    &office.Desk{Store: dynamo.NewOffice(base.Config, env[0], env[1], env[2]), Now: base.Now, NewID: base.NewID},
		systems: vault{secrets, env[3], base.Now},
	}
	mux := httpapi.New(base.Log, base.Now)
	s.routes(mux, &httpapi.Gate{
		Ring:  keys.NewRing(dynamo.NewKeys(base.Config, env[1]), base.Now),
		Sites: site.NewDirectory(dynamo.NewSites(base.Config, env[2]), secrets, base.Now), Class: keys.Role,
	})
	return apigw.Handler(mux), nil
}

// vault keeps systems.json in its secret.
type vault struct {
	secrets *secret.Store
	name    string
	now     func() time.Time
}

// Current implements Systems.
func (v vault) Current(ctx context.Context) ([]byte, string, error) {
	return v.secrets.Current(ctx, v.name)
}

// Replace implements Systems.
func (v vault) Replace(ctx context.Context, text []byte, version string) (string, error) {
	return secret.Following(version), v.secrets.Replace(ctx, v.name, text, version)
}

// Check implements Systems.
func (v vault) Check(text []byte) ([]string, error) { return setup.CheckSystems(text, v.now()) }
