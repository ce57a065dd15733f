package propagate

import (
	"context"
	"maps"
	"sync"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/whatsapp"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/settings"
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
func New(ctx context.Context, base *setup.Base) (lambda.Handler, error) {
	env, err := base.Require("OUTBOX_TABLE", "EVENTS_TABLE", "SITES_TABLE")
	if err != nil {
		return nil, err
	}
	hasher, err := base.Hasher(ctx)
	if err != nil {
		return nil, err
	}
	store, ledger, sites := dynamo.NewOutbox(base.Config, env[0]), dynamo.NewEvents(base.Config, env[1]), dynamo.NewSites(base.Config, env[2])
	of := systems(func(ctx context.Context) ([]request.System, error) {
		return base.Systems(ctx, setup.SystemOptions{
			Ledger:    func(connector.Inventory, *settings.Settings) (connector.Connector, error) { return nil, nil }, // it has no flags
			Transport: base.Vendors,
		})
	})
	m := mark{
		store: store, systems: of, sites: site.NewDirectory(sites, secret.NewStore(base.Config), base.Now), people: consent.NewPeople(ledger, hasher),
		amender: &consent.Amender{Ledger: ledger, Hasher: hasher, Now: base.Now}, newID: hasher.ID, now: base.Now,
		policy: func(ctx context.Context) (request.Policy, error) {
			conf, err := base.Settings(ctx)
			if err != nil {
				return request.Policy{}, err
			}
			return conf.Policy, nil
		},
	}
	jobs, err := toPeople(ctx, base)
	if err != nil {
		return nil, err
	}
	p := &propagator{
		store: store, now: base.Now, log: base.Log, poll: poll{mark: m, ids: sites.IDs, begun: new(sync.Map)},
	}
	maps.Copy(jobs, map[outbox.Kind]outbox.Job{outbox.Change: change{store, of}, outbox.Mark: m, outbox.Expiry: expiry{store, base.Now}, outbox.Poll: p.poll})
	p.worker = &outbox.Worker{
		Store: store, Now: base.Now, Log: base.Log, Wait: connector.RetryAfter,
		Jobs: jobs,
	}
	return p.handler(), nil
}

// removes: this function has no right to what erase does.
const removes = false

// toPeople are the jobs that write to people.
func toPeople(ctx context.Context, base *setup.Base) (map[outbox.Kind]outbox.Job, error) {
	q, err := base.Requesting(ctx, removes)
	if err != nil {
		return nil, err
	}
	office, err := q.PostOffice()
	if err != nil {
		return nil, err
	}
	chats, err := base.Chats(ctx)
	if err != nil {
		return nil, err
	}
	confirm, err := office.OptIn(whatsapp.Messenger{Senders: chats})
	if err != nil {
		return nil, err
	}
	links, err := office.Preferences()
	if err != nil {
		return nil, err
	}
	return map[outbox.Kind]outbox.Job{
		outbox.Confirm:     confirm,
		outbox.Message:     &whatsapp.Job{Store: chats.Store, Senders: chats},
		outbox.Preferences: links,
	}, nil
}
