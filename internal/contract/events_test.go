package contract

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/collect"
	"github.com/avow-consent/avow/internal/erase"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/requests"
	"github.com/avow-consent/avow/internal/steps"
	"github.com/avow-consent/avow/scripts/sam/event"
	"github.com/avow-consent/avow/scripts/sam/sample"
)

// TestEvents runs the sample events and holds each request and answer to the
// file, besides to events/answers.json.
func TestEvents(t *testing.T) {
	t.Parallel()
	start(t)
	file, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{env: awstest.New(t)}
	if err := sample.Seed(t.Context(), w.env.Config, w.env.Getenv); err != nil {
		t.Fatal(err)
	}
	handlers := map[string]lambda.Handler{}
	for name, h := range map[string]func() (lambda.Handler, error){
		"api":     func() (lambda.Handler, error) { return api.New(t.Context(), w.base(t, "api", deployOptions{})) },
		"collect": func() (lambda.Handler, error) { return collect.New(t.Context(), w.base(t, "collect", deployOptions{})) },
		"project": func() (lambda.Handler, error) { return project.New(t.Context(), w.base(t, "project", deployOptions{})) },
		"requests": func() (lambda.Handler, error) {
			return requests.New(t.Context(), w.base(t, "requests", deployOptions{}))
		},
		"steps": func() (lambda.Handler, error) { return steps.New(t.Context(), w.base(t, "steps", deployOptions{})) },
		"erase": func() (lambda.Handler, error) { return erase.New(t.Context(), w.base(t, "erase", deployOptions{})) },
	} {
		if handlers[name], err = h(); err != nil {
			t.Fatal(err)
		}
	}
	session, answers, err := event.Open("../../events")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, a := range answers { // later ones need earlier ones
		if handlers[a.Function()] == nil {
			continue // no event of HTTP needs it
		}
		payload, err := session.Payload(a)
		if err != nil {
			t.Error(err)
			continue
		}
		returned, err := handlers[a.Function()].Invoke(context.Background(), payload)
		if err == nil {
			err = session.Check(a, returned)
		}
		if err != nil {
			t.Errorf("%s: %v", a.Event, err)
			continue
		}
		if a.Result != nil {
			continue // no HTTP
		}
		if err := file.check(exchangeOf(t, payload, returned)); err != nil {
			t.Errorf("%s: %v\n%.300s", a.Event, err, returned)
		}
		checked++
	}
	if checked < 40 {
		t.Errorf("%d events only are requests", checked)
	}
}

// exchangeOf is the request of an event and its answer.
func exchangeOf(t *testing.T, payload, returned []byte) exchange {
	t.Helper()
	var e events.APIGatewayV2HTTPRequest
	var r events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(payload, &e); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(returned, &r); err != nil {
		t.Fatal(err)
	}
	text := func(body string, isBase64 bool) []byte {
		if !isBase64 {
			return []byte(body)
		}
		b, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	x := exchange{
		path:        e.RawPath,
		request:     &http.Request{Method: e.RequestContext.HTTP.Method, URL: &url.URL{Path: e.RawPath, RawQuery: e.RawQueryString}, Header: http.Header{}},
		requestBody: text(e.Body, e.IsBase64Encoded),
		answer:      answer{status: r.StatusCode, header: http.Header{}, body: text(r.Body, r.IsBase64Encoded)},
		bad:         r.StatusCode >= http.StatusBadRequest,
	}
	for name, value := range e.Headers {
		x.request.Header.Set(name, value)
	}
	for name, value := range r.Headers {
		x.answer.header.Set(name, value)
	}
	key := x.request.Header.Get("ApiKey")
	if key == "" {
		key = x.request.URL.Query().Get("key")
	}
	x.class = map[string]string{
		sample.PublicKey: "public", sample.ShopKey: "public", sample.PrivateKey: "private", sample.OtherKey: "private",
		sample.OperatorKey: "role", sample.OfficerKey: "role",
	}[key]
	return x
}
