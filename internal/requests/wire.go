package requests

import (
	"context"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/flow"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/signer"
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
func New(ctx context.Context, base *setup.Base) (lambda.Handler, error) {
	env, err := base.Require("REQUEST_MACHINE", "SIGNING_KEY")
	if err != nil {
		return nil, err
	}
	q, err := base.Requesting(ctx, removes)
	if err != nil {
		return nil, err
	}
	office, err := q.PostOffice()
	if err != nil {
		return nil, err
	}
	return build(q, office, Outside{
		Flow: flow.NewMachine(base.Config, env[0]), Packages: bucket{q.Packages}, Plans: planner{q},
		Signer: signer.New(base.Config, env[1]),
	})
}

// removes: this function has no right to what erase does.
const removes = false

// With builds the component with what it calls beyond the tables.
func With(ctx context.Context, base *setup.Base, o Outside) (lambda.Handler, error) {
	q, err := base.Requesting(ctx, removes)
	if err != nil {
		return nil, err
	}
	office, err := q.PostOffice()
	if err != nil {
		return nil, err
	}
	return build(q, office.With(o.Mailer), o)
}

func build(q *setup.Requesting, office *setup.PostOffice, o Outside) (lambda.Handler, error) {
	base := q.Base
	env, err := base.Require("EVENTS_TABLE", "SITES_TABLE", "KEYS_TABLE", "NOTICES_TABLE", "PROOFS_BUCKET", "OUTBOX_TABLE")
	if err != nil {
		return nil, err
	}
	events := dynamo.NewEvents(base.Config, env[0])
	people := consent.NewPeople(events, q.Hasher)
	s := &server{
		sites: site.NewDirectory(dynamo.NewSites(base.Config, env[1]), secret.NewStore(base.Config), base.Now),
		store: q.Store, flow: o.Flow, plans: o.Plans, packages: o.Packages, signer: o.Signer, hasher: q.Hasher,
		ledger:   &consent.Amender{Ledger: events, Hasher: q.Hasher, Now: base.Now},
		consents: consents{events, people, consent.NewRecorder(consent.Options{Ledger: events, Hasher: q.Hasher, People: people, Now: base.Now}), q.Store},
		notices:  dynamo.NewNotices(base.Config, env[3]), texts: blob.NewProofs(base.Config, env[4]), inventories: q.Inventories,
		figures:  dynamo.NewOutbox(base.Config, env[5]),
		settings: base.Settings, now: base.Now, newID: base.NewID, token: request.NewToken,
		postman: func(t *settings.Settings) post { return office.Postman(t) },
	}
	ring := keys.NewRing(dynamo.NewKeys(base.Config, env[2]), base.Now)
	mux := httpapi.New(base.Log, base.Now)
	s.routes(mux, &httpapi.Gate{Ring: ring, Sites: s.sites, Class: keys.Role}, &httpapi.Gate{Ring: ring, Sites: s.sites, Class: keys.Public})
	return apigw.Handler(mux), nil
}

// bucket finds the packages of requests.
type bucket struct{ *blob.Packages }

// Download implements Packages.
func (b bucket) Download(ctx context.Context, r *request.Request, valid time.Duration) (string, error) {
	return b.Packages.Download(ctx, r.ID, r.Package.Build, "request-"+r.ID+".zip", valid)
}

// planner derives plans as the run does.
type planner struct{ *setup.Requesting }

// Plan implements Plans.
func (p planner) Plan(ctx context.Context, r *request.Request) (request.Plan, error) {
	runner, _, err := p.Runner(ctx)
	if err != nil {
		return request.Plan{}, err
	}
	return runner.PlanOf(ctx, r)
}
