package api

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
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
	w, err := base.Writing(ctx, keys.Private)
	if err != nil {
		return nil, err
	}
	env, err := base.Require("SITES_TABLE", "SUBJECTS_TABLE", "NOTICES_TABLE", "DOCUMENTS_TABLE", "MESSAGES_TABLE", "OUTBOX_TABLE")
	if err != nil {
		return nil, err
	}
	s := &server{
		sites: w.Sites, recorder: w.Recorder, events: w.Events, proofs: w.Proofs, hasher: w.Hasher,
		now: base.Now, newID: base.NewID,
		register:  dynamo.NewSites(base.Config, env[0]),
		people:    consent.NewPeople(w.Events, w.Hasher),
		subjects:  dynamo.NewSubjects(base.Config, env[1]),
		notices:   dynamo.NewNotices(base.Config, env[2]),
		documents: dynamo.NewDocuments(base.Config, env[3]),
		messages:  dynamo.NewMessages(base.Config, env[4], base.Now),
		outbox:    chat.Queue{Store: dynamo.NewOutbox(base.Config, env[5]), Now: base.Now},
	}
	s.finder = consent.NewFinder(s.subjects, w.Hasher)
	mux := httpapi.New(base.Log, base.Now)
	s.routes(mux, w.Gate)
	return apigw.Handler(mux), nil
}
