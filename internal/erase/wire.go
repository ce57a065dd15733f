package erase

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/invoke"
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
	q, err := base.Requesting(ctx, true)
	if err != nil {
		return nil, err
	}
	s := &server{log: base.Log, now: base.Now, tools: func(ctx context.Context) (*tools, error) {
		runner, _, err := q.Runner(ctx)
		if err != nil {
			return nil, err
		}
		return &tools{Runner: runner, forgetter: q.Store, files: q.Packages, log: base.Log}, nil
	}}
	return invoke.Handler(s.serve), nil
}
