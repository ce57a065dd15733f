package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/collect"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/scripts/local/streams"
	"github.com/avow-consent/avow/scripts/site/admin"
)

// calls prints what one consent asks of AWS, and what its projection costs. The
// tests assert the same figures.
func calls(ctx context.Context) error {
	base, stop, err := openStack(ctx)
	if err != nil {
		return err
	}
	defer stop()
	if err := benchSite(ctx, base); err != nil {
		return err
	}
	p, err := startProjection(ctx, base)
	if err != nil {
		return err
	}
	first, err := newDoor(ctx, base, collect.New)
	if err != nil {
		return err
	}
	second, err := newDoor(ctx, base, collect.New)
	if err != nil {
		return err
	}
	back, err := newDoor(ctx, base, api.New)
	if err != nil {
		return err
	}
	const form, large = "<form>demo</form>", 5000
	for _, step := range []struct {
		figure, goal string
		door         *door
		body         string
	}{
		{"AWS calls per consent: form never seen", "3", first, demoConsent("ada", form, 50)},
		{"AWS calls per consent: form shared, new to this instance", "2", second, demoConsent("leo", form, 50)},
		{"AWS calls per consent, caches warm", "1; at most 3 write units", second, demoConsent("ines", form, 50)},
		{"AWS calls per consent, caches warm, large content", "2", second, demoConsent("mo", form, large)},
		{"AWS calls per private consent that binds an e-mail", "2", back, `{"subject":{"id":"cust-1","email":"ada@example.test"},"preferences":{"newsletter":true}}`},
		{"AWS calls per private consent, e-mail bound before", "1", back, `{"subject":{"id":"cust-1","email":"ada@example.test"},"preferences":{"newsletter":true}}`},
	} {
		cost, err := step.door.post(ctx, step.body)
		if err != nil {
			return fmt.Errorf("%s: %w", step.figure, err)
		}
		projected, err := p.next(ctx)
		if err != nil {
			return err
		}
		row(step.figure, fmt.Sprintf("%d calls, %g WU; projection %d calls, %g WU", cost.calls, cost.written, projected.calls, projected.written), step.goal)
	}
	return nil
}

func benchSite(ctx context.Context, base *setup.Base) error {
	a, err := admin.New(base.Config, base.Getenv, time.Now)
	if err != nil {
		return err
	}
	_, err = a.CreateSite(ctx, "site-bench", "bench", site.DefaultShards, site.Settings{}, nil)
	return errors.Join(err, a.PutKey(ctx, "site-bench", keys.Private, "bench"), a.PutKey(ctx, "site-bench", keys.Public, "bench-public"))
}

// demoConsent is the consent of the demo page.
func demoConsent(person, form string, content int) string {
	body, _ := json.Marshal(map[string]any{
		"subject":       map[string]any{"email": person + "@example.test", "first_name": person, "last_name": "Roca"},
		"preferences":   map[string]any{"newsletter": true, "profiling": false, "terms": true},
		"legal_notices": []any{map[string]any{"identifier": "privacy_policy"}, map[string]any{"identifier": "terms"}},
		"proofs":        []any{map[string]any{"content": strings.Repeat("x", content), "form": form}},
	})
	return string(body)
}

// door is one instance of a component, warm, with a meter on what it asks.
type door struct {
	handler lambda.Handler
	meter   *meter
}

func newDoor(ctx context.Context, base *setup.Base, component func(context.Context, *setup.Base) (lambda.Handler, error)) (*door, error) {
	d := &door{meter: &meter{next: http.DefaultTransport}}
	metered := &setup.Base{Config: base.Config, Getenv: base.Getenv, Now: base.Now, NewID: base.NewID, Log: base.Log}
	metered.Config.HTTPClient = &http.Client{Transport: d.meter}
	var err error
	d.handler, err = component(ctx, metered)
	return d, err
}

// post makes one request of a warm instance: a request that is refused after
// its key and site have been read warms it.
func (d *door) post(ctx context.Context, body string) (cost, error) {
	path, key := "/public/consent", "bench-public"
	if strings.Contains(body, `"id"`) {
		path, key = "/consent", "bench"
	}
	if _, err := invoke(ctx, d.handler, "POST", path, "", "{", key); err == nil {
		return cost{}, errors.New("a malformed body was taken")
	}
	d.meter.cost = cost{}
	_, err := invoke(ctx, d.handler, "POST", path, "", body, key)
	return d.meter.cost, err
}

// projection is the project function behind the stream of the ledger.
type projection struct {
	door *door
	done chan struct{}
}

func startProjection(ctx context.Context, base *setup.Base) (*projection, error) {
	arn, err := streams.LatestStream(ctx, dynamodb.NewFromConfig(base.Config), base.Getenv("EVENTS_TABLE"))
	if err != nil {
		return nil, err
	}
	d, err := newDoor(ctx, base, project.New)
	if err != nil {
		return nil, err
	}
	p := &projection{door: d, done: make(chan struct{})}
	go func() {
		_ = streams.Run(ctx, streams.Config{
			Reader: dynamodbstreams.NewFromConfig(base.Config), StreamARN: arn, Function: "project",
			Handler: p, ReportBatchItemFailures: true, MaximumRetryAttempts: -1, Timeout: time.Minute, Log: base.Log,
		})
	}()
	return p, nil
}

// Invoke implements lambda.Handler.
func (p *projection) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	out, err := p.door.handler.Invoke(ctx, payload)
	select {
	case p.done <- struct{}{}:
	case <-ctx.Done():
	}
	return out, err
}

// next waits until everything that was written has been projected, and tells
// what that has cost.
func (p *projection) next(ctx context.Context) (cost, error) {
	select {
	case <-p.done:
	case <-ctx.Done():
		return cost{}, ctx.Err()
	}
	for { // the event and the binding of one request may come in two batches
		select {
		case <-p.done:
		case <-time.After(500 * time.Millisecond):
			c := p.door.meter.cost
			p.door.meter.cost = cost{}
			return c, nil
		}
	}
}
