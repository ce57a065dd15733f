package preferences

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/throttle"
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
func New(ctx context.Context, base *setup.Base) (lambda.Handler, error) {
	env, err := base.Require("REQUESTS_TABLE", "OUTBOX_TABLE")
	if err != nil {
		return nil, err
	}
	w, err := base.Writing(ctx, keys.Public)
	if err != nil {
		return nil, err
	}
	store := dynamo.NewRequests(base.Config, env[0], w.Hasher, base.Now, base.NewID)
	s := &server{
		sites: w.Sites, people: consent.NewPeople(w.Events, w.Hasher), recorder: w.Recorder,
		counter: throttle.Counter{Store: store, Hasher: w.Hasher, Now: base.Now}, now: base.Now,
		mailing: mailing{
			outbox: dynamo.NewOutbox(base.Config, env[1]), claims: store, settings: base.Terms, newID: base.NewID, secret: request.NewToken,
		},
	}
	mux := httpapi.New(base.Log, base.Now)
	s.routes(mux, w.Gate)
	return apigw.Handler(mux), nil
}
