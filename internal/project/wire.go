package project

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/stream"
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
	p, _, err := wire(ctx, base)
	if err != nil {
		return nil, err
	}
	env, err := base.Require("OUTBOX_TABLE")
	if err != nil {
		return nil, err
	}
	p.outbox = dynamo.NewOutbox(base.Config, env[0])
	return stream.Handler(p.batch), nil
}

// Rebuild makes all views anew from the ledger that the environment names, and
// proves that they are right. It calls progress after every subject of the
// ledger.
func Rebuild(ctx context.Context, getenv func(string) string, progress func(done, changed int)) (Report, error) {
	base, err := setup.NewBase(ctx, getenv)
	if err != nil {
		return Report{}, err
	}
	return RebuildOn(ctx, base, progress)
}

// RebuildOn is Rebuild on a base that a test may have changed.
func RebuildOn(ctx context.Context, base *setup.Base, progress func(done, changed int)) (Report, error) {
	_, r, err := wire(ctx, base)
	if err != nil {
		return Report{}, err
	}
	r.progress = progress
	return r.run(ctx)
}

func wire(ctx context.Context, base *setup.Base) (*projector, *rebuilder, error) {
	env, err := base.Require("EVENTS_TABLE", "SUBJECTS_TABLE", "FORMS_TABLE", "SITES_TABLE", "DOCUMENTS_TABLE")
	if err != nil {
		return nil, nil, err
	}
	hasher, err := base.Hasher(ctx)
	if err != nil {
		return nil, nil, err
	}
	ledger, views := dynamo.NewEvents(base.Config, env[0]), dynamo.NewSubjects(base.Config, env[1])
	p := &projector{
		ledger: ledger, views: views, hasher: hasher, log: base.Log, bound: dynamo.BoundSubject,
		marks: newMarks(
			dynamo.NewForms(base.Config, env[2]), dynamo.NewSites(base.Config, env[3]),
			dynamo.NewDocuments(base.Config, env[4]), base.Now,
		),
	}
	if table := base.Getenv("ERASURES_TABLE"); table != "" { // a rebuild needs none
		p.erased = dynamo.NewErasures(base.Config, table)
	}
	return p, &rebuilder{projector: p, ledger: ledger, views: views}, nil
}
