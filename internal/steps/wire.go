package steps

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/certificate"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dossier"
	"github.com/avow-consent/avow/internal/flow"
	"github.com/avow-consent/avow/internal/invoke"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/signer"
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
	const removes = false
	q, err := base.Requesting(ctx, removes)
	if err != nil {
		return nil, err
	}
	post, err := q.PostOffice()
	if err != nil {
		return nil, err
	}
	machine, key := flow.NewMachine(base.Config, env[0]), signer.New(base.Config, env[1])
	s := &server{log: base.Log, now: base.Now, tools: func(ctx context.Context) (*tools, error) {
		runner, conf, err := q.Runner(ctx)
		if err != nil {
			return nil, err
		}
		return &tools{
			Runner: runner, engine: machine, post: post.Postman(conf),
			links: request.Links{Store: q.Store, Policy: conf.Policy, Controller: conf.Controller, Now: base.Now, Token: request.NewToken},
			pack:  packing{&dossier.Builder{Store: q.Packages, Now: base.Now}, runner},
			issue: &certificate.Issuer{
				Requests: q.Store, Shelf: q.Packages, Signer: key, Systems: runner.Systems, Controller: conf.Controller,
				HashKey: q.Hasher.KeyID(), Plan: runner.PlanOf, Now: base.Now,
			},
		}, nil
	}}
	return invoke.Handler(s.serve), nil
}

// packing makes packages of what the runner's systems have exported.
type packing struct {
	builder *dossier.Builder
	runner  *request.Runner
}

// Build implements packer.
func (p packing) Build(ctx context.Context, r *request.Request, steps []request.Step) (request.Package, bool, error) {
	found, err := p.runner.Store.Found(ctx, r.ID)
	if err != nil {
		return request.Package{}, false, err
	}
	var systems []connector.Inventory
	for _, s := range p.runner.Systems {
		systems = append(systems, s.Connector.Inventory())
	}
	in := dossier.Input{Request: r, Controller: p.runner.Controller, Systems: systems, Found: found, Steps: steps, Language: r.Language}
	if r.Package != nil {
		in.Excluded = r.Package.Excluded
	}
	out, err := p.builder.Build(ctx, in)
	return out.Package, out.Done, err
}
