package webhook

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/httpapi"
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
	env, err := base.Require("REQUESTS_TABLE")
	if err != nil {
		return nil, err
	}
	chats, err := base.Chats(ctx)
	if err != nil {
		return nil, err
	}
	requests := dynamo.NewRequests(base.Config, env[0], chats.Hasher, base.Now, base.NewID)
	s := &server{lines: func(ctx context.Context) ([]Line, Desk, error) {
		terms, err := base.Settings(ctx)
		if err != nil {
			return nil, nil, err
		}
		desk := chats.Desk()
		desk.Requests = &chat.Counter{
			Opener:    request.Opener{Store: requests, Policy: terms.Policy, Regimes: terms.Regimes, Controller: terms.Controller},
			Otherwise: terms.Otherwise, Hasher: chats.Hasher, Now: base.Now,
		}
		lines, failed := lines(ctx, chats)
		return lines, desk, failed
	}}
	mux := httpapi.New(base.Log, base.Now)
	s.routes(mux)
	return apigw.Handler(mux), nil
}

// lines are the numbers that systems.json names, and why one is missing.
func lines(ctx context.Context, chats *setup.Chats) ([]Line, error) {
	configured, failed := chats.Base.Lines(ctx, chats.Sites)
	list := make([]Line, len(configured))
	for i, c := range configured {
		list[i] = Line{Line: c.Line, Keys: Keys{AppSecret: []byte(c.Keys.AppSecret), VerifyToken: []byte(c.Keys.VerifyToken)}}
	}
	return list, failed
}
