package setup

import (
	"context"

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/settings"
)

// Requesting is what the functions are made of that take requests forward.
type Requesting struct {
	Base     *Base
	Hasher   *pseudonym.Hasher
	Store    *dynamo.Requests
	Packages *blob.Packages

	options SystemOptions
}

// Requesting builds it from the environment of a function. Only the function
// erase removes what the ledger holds.
func (b *Base) Requesting(ctx context.Context, removes bool) (*Requesting, error) {
	env, err := b.Require("REQUESTS_TABLE", "PACKAGES_BUCKET")
	if err != nil {
		return nil, err
	}
	hasher, err := b.Hasher(ctx)
	if err != nil {
		return nil, err
	}
	q := &Requesting{
		Base: b, Hasher: hasher,
		Store:    dynamo.NewRequests(b.Config, env[0], hasher, b.Now, b.NewID),
		Packages: blob.NewPackages(b.Config, env[1]),
	}
	q.options, err = q.systemOptions(removes)
	return q, err
}

// Runner takes operations forward under the configuration of this moment.
func (q *Requesting) Runner(ctx context.Context) (*request.Runner, *settings.Settings, error) {
	conf, err := q.Base.Settings(ctx)
	if err != nil {
		return nil, nil, err
	}
	systems, err := q.Base.Systems(ctx, q.options)
	if err != nil {
		return nil, nil, err
	}
	return &request.Runner{
		Store: q.Store, Systems: systems, Policy: conf.Policy, Controller: conf.Controller, Parts: q.Packages,
		Hash: q.Hash, Now: q.Base.Now, NewID: q.Base.NewID,
	}, conf, nil
}

// Inventories are what the connectors of the configuration of this moment say of
// their systems, the ledger first.
func (q *Requesting) Inventories(ctx context.Context) ([]connector.Inventory, error) {
	systems, err := q.Base.Systems(ctx, q.options)
	if err != nil {
		return nil, err
	}
	list := make([]connector.Inventory, len(systems))
	for i, s := range systems {
		list[i] = s.Connector.Inventory()
	}
	return list, nil
}

// Hash is the key of an identifier of a site; ok is false for one that
// identifies nobody.
func (q *Requesting) Hash(site string, i identity.Identifier) (key string, ok bool) {
	normal, ok := i.Normal()
	if !ok {
		return "", false
	}
	return q.Hasher.Identifier(site, string(i.Kind), normal), true
}
