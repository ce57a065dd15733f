package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"golang.org/x/sync/errgroup"

	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/emulator"
)

// scale prints what the same requests cost on a site of 1,000 records and on a
// large one.
func scale(ctx context.Context, large int) error {
	const small = 1000
	few, err := measureSite(ctx, small)
	if err != nil {
		return err
	}
	many, err := measureSite(ctx, large)
	if err != nil {
		return err
	}
	for i := range few {
		row(few[i].request, fmt.Sprintf("%v | %v", few[i].cost, many[i].cost), fmt.Sprintf("the same at %d and %d records", small, large))
	}
	return nil
}

// cost is what a request asks of DynamoDB.
type cost struct {
	calls   int
	scanned int     // rows that were read
	read    int     // bytes of these rows, as JSON
	written float64 // write units, table and indexes
}

func (c cost) String() string {
	return fmt.Sprintf("%d calls, %d rows, %d B, %g WU", c.calls, c.scanned, c.read, c.written)
}

type measured struct {
	request string
	cost    cost
}

// meter counts calls and what they read and write.
type meter struct {
	next http.RoundTripper
	mu   sync.Mutex
	cost cost
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_") {
		var fields map[string]json.RawMessage
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if json.Unmarshal(body, &fields) == nil {
			fields["ReturnConsumedCapacity"] = json.RawMessage(`"TOTAL"`)
			body, _ = json.Marshal(fields)
		}
		r = r.Clone(r.Context())
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	response, err := m.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	m.count(r.Header.Get("X-Amz-Target"), body)
	return response, nil
}

func (m *meter) count(target string, body []byte) {
	type capacity struct{ CapacityUnits float64 }
	var reply struct {
		Items            []json.RawMessage
		Item             json.RawMessage
		Responses        map[string][]json.RawMessage
		ScannedCount     int
		ConsumedCapacity json.RawMessage
	}
	_ = json.Unmarshal(body, &reply) // not an answer of DynamoDB: counted as a call
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cost.calls++
	m.cost.scanned += reply.ScannedCount
	for _, item := range reply.Items {
		m.cost.read += len(item)
	}
	for _, list := range reply.Responses {
		m.cost.scanned += len(list)
		for _, item := range list {
			m.cost.read += len(item)
		}
	}
	if reply.Item != nil {
		m.cost.scanned++
		m.cost.read += len(reply.Item)
	}
	_, operation, _ := strings.Cut(target, ".")
	var units capacity
	switch {
	case strings.HasPrefix(operation, "Put"), strings.HasPrefix(operation, "Update"):
		_ = json.Unmarshal(reply.ConsumedCapacity, &units)
		m.cost.written += units.CapacityUnits
	case strings.HasPrefix(operation, "Transact"), strings.HasPrefix(operation, "BatchWrite"):
		var tables []capacity
		_ = json.Unmarshal(reply.ConsumedCapacity, &tables)
		for _, t := range tables {
			m.cost.written += t.CapacityUnits
		}
	}
}

// measureSite fills a fresh site with records of ten each for a person, and one
// person of fixed size, and measures requests about that person and the site.
func measureSite(ctx context.Context, records int) ([]measured, error) {
	base, stop, err := openStack(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := benchSite(ctx, base); err != nil {
		return nil, err
	}
	if err := fill(ctx, base, records); err != nil {
		return nil, err
	}
	report, err := project.RebuildOn(ctx, base, func(done, _ int) { progress("projecting", done, records/10) })
	if err != nil || report.Different != 0 {
		return nil, fmt.Errorf("rebuilding the views: %+v: %w", report, err)
	}
	fmt.Fprintln(os.Stderr)
	d, err := newDoor(ctx, base, api.New)
	if err != nil {
		return nil, err
	}
	return requests(ctx, d.handler, d.meter)
}

// fill writes the records, spread over a year, newest last.
func fill(ctx context.Context, base *setup.Base, records int) error {
	w, err := base.Writing(ctx, keys.Private)
	if err != nil {
		return err
	}
	s, err := w.Sites.Site(ctx, "site-bench")
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	now := time.Now()
	put := func(person string, at time.Time) {
		group.Go(func() error {
			_, err := w.Recorder.Record(ctx, w.Sites.Policy(s), &consent.Submission{
				Source: consent.Private, Timestamp: &at, SubjectID: redact.String(person),
				Profile:     consent.Profile{Email: &consent.Text{Value: redact.String(person + "@example.test")}},
				Preferences: []consent.Preference{{Key: "newsletter", Value: "true"}},
			})
			return err
		})
	}
	year := 365 * 24 * time.Hour
	for i := range records {
		put(fmt.Sprintf("p%07d", i/10), now.Add(-year+year*time.Duration(i)/time.Duration(records+1)))
		progress("writing", i+1, records)
	}
	for i := range 30 {
		put("measured", now.Add(-year-time.Duration(i)*time.Hour))
	}
	return group.Wait()
}

func progress(what string, done, all int) {
	if done%1000 == 0 || done == all {
		fmt.Fprintf(os.Stderr, "\r%s %d of %d", what, done, all)
	}
}

// requests makes each request twice and measures the second, when caches are
// warm.
func requests(ctx context.Context, h lambda.Handler, m *meter) ([]measured, error) {
	var id string
	var list []measured
	for _, r := range []struct{ name, method, path, query, body string }{
		{"POST /consent", "POST", "/consent", "", `{"subject":{"id":"measured"},"preferences":{"newsletter":true},"timestamp":"2020-01-01T00:00:00Z"}`},
		{"GET /consent/:id", "GET", "/consent/{id}", "", ""},
		{"GET /consent/:id?subject_id=", "GET", "/consent/{id}", "subject_id=measured", ""},
		{"GET /subjects/:id", "GET", "/subjects/measured", "", ""},
		{"GET /decide", "GET", "/decide", "subject_id=measured&preference=newsletter", ""},
		{"GET /consent", "GET", "/consent", "", ""},
		{"GET /consent?subject_id=", "GET", "/consent", "subject_id=measured", ""},
		{"GET /consent?subject_email_exact=", "GET", "/consent", "subject_email_exact=measured@example.test", ""},
		{"GET /subjects", "GET", "/subjects", "", ""},
		{"GET /subjects?email_exact=", "GET", "/subjects", "email_exact=measured@example.test", ""},
	} {
		var answer string
		for range 2 {
			m.cost = cost{}
			var err error
			if answer, err = invoke(ctx, h, r.method, strings.ReplaceAll(r.path, "{id}", id), r.query, r.body, "bench"); err != nil {
				return nil, fmt.Errorf("%s: %w", r.name, err)
			}
		}
		list = append(list, measured{r.name, m.cost})
		if id == "" {
			var ack struct{ ID string }
			if err := json.Unmarshal([]byte(answer), &ack); err != nil {
				return nil, err
			}
			id = ack.ID
		}
	}
	return list, nil
}

func invoke(ctx context.Context, h lambda.Handler, method, path, query, body, key string) (string, error) {
	event, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
		"headers": map[string]string{"apikey": key, "content-type": "application/json"},
		"requestContext": map[string]any{
			"http":      map[string]any{"method": method, "path": path, "sourceIp": "127.0.0.1"},
			"requestId": "bench", "stage": "$default", "domainName": "localhost",
		},
		"body": body,
	})
	if err != nil {
		return "", err
	}
	out, err := h.Invoke(ctx, event)
	if err != nil {
		return "", err
	}
	var answer struct {
		StatusCode int
		Body       string
	}
	if err := json.Unmarshal(out, &answer); err != nil || answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("status %d: %s", answer.StatusCode, answer.Body)
	}
	return answer.Body, nil
}

// openStack starts an emulator with what the template declares.
func openStack(ctx context.Context) (*setup.Base, func(), error) {
	checkout, err := emulator.FindCheckout()
	if err != nil {
		return nil, nil, err
	}
	venv, err := emulator.EnsureVenv(ctx, checkout.Local(), os.Stderr)
	if err != nil {
		return nil, nil, err
	}
	template, err := emulator.ReadTemplate(ctx, checkout, venv, nil)
	if err != nil {
		return nil, nil, err
	}
	server, err := emulator.Start(ctx, emulator.Options{Venv: venv})
	if err != nil {
		return nil, nil, err
	}
	stack, err := cfn.Resolve(template, cfn.Options{StackName: "bench"})
	if err == nil {
		err = emulator.Provision(ctx, emulator.Config(server.URL()), stack)
	}
	if err == nil {
		err = emulator.SetEnvironment(server.URL())
	}
	if err != nil {
		server.Kill()
		return nil, nil, err
	}
	getenv := func(name string) string {
		for _, f := range stack.Functions {
			if v, ok := f.Env[name]; ok {
				return v
			}
		}
		return ""
	}
	base, err := setup.NewBase(ctx, getenv)
	if err != nil {
		server.Kill()
		return nil, nil, err
	}
	base.Config = emulator.Config(server.URL())
	base.Log = slog.New(slog.DiscardHandler)
	return base, server.Kill, nil
}
