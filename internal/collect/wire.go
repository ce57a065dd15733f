package collect

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
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
	w, err := base.Writing(ctx, keys.Public)
	if err != nil {
		return nil, err
	}
	mux := httpapi.New(base.Log, base.Now)
	s := &server{sites: w.Sites, recorder: w.Recorder}
	s.routes(mux, w.Gate)
	return apigw.Handler(mux), nil
}
