package sweep

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/flow"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
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
	env, err := base.Require("REQUEST_MACHINE")
	if err != nil {
		return nil, err
	}
	return With(ctx, base, flow.NewMachine(base.Config, env[0]))
}

// With builds the component on an engine.
func With(ctx context.Context, base *setup.Base, machine Flow) (lambda.Handler, error) {
	q, err := base.Requesting(ctx, false)
	if err != nil {
		return nil, err
	}
	office, err := q.PostOffice()
	if err != nil {
		return nil, err
	}
	return lambda.NewHandler(func(ctx context.Context, e event) (Report, error) {
		conf, err := base.Settings(ctx)
		if err != nil {
			return Report{}, err
		}
		inventories := make([]connector.Inventory, len(conf.Systems))
		for i, one := range conf.Systems {
			inventories[i] = one.Inventory()
		}
		return handle(ctx, &sweeper{
			inventories: inventories,
			store:       q.Store, flow: machine, post: office.Postman(conf), policy: conf.Policy, hash: q.Hasher.Mailbox, now: base.Now, log: base.Log,
			links: request.Links{Store: q.Store, Policy: conf.Policy, Controller: conf.Controller, Now: base.Now, Token: request.NewToken},
		}, e)
	}), nil
}
