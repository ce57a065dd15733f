package awstest

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/scripts/local/engine"
)

// Engine lets the machines that the template declares run for this Env: one
// engine of Step Functions for each test process, the definitions of the
// checkout, and the given functions behind them, by name ("steps"). Clients made
// of e.Config, and components that load the SDK's default configuration, reach
// the engine. Calling it again replaces the functions that are given: that is
// how a test deploys others.
func (e *Env) Engine(t testing.TB, functions map[string]lambda.Handler) {
	t.Helper()
	running, err := startEngine()
	if err != nil {
		t.Fatal(err)
	}
	shared, err := start()
	if err != nil {
		t.Fatal(err)
	}
	running.Serve(e.Stack, functions)
	if err := running.Create(t.Context(), shared.checkout.Root, e.Stack); err != nil {
		t.Fatal(err)
	}
}

// startEngine gives every test of the process the same engine; it ends with the
// process.
var startEngine = sync.OnceValues(func() (*engine.Engine, error) {
	shared, err := start()
	if err != nil {
		return nil, err
	}
	running, err := engine.Start(context.Background(), engine.Options{Venv: shared.venv, Emulator: shared.url})
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(running.URL())
	if err != nil {
		return nil, err
	}
	engineURL.Store(u)
	return running, os.Setenv("AWS_ENDPOINT_URL_SFN", running.URL())
})

var engineURL atomic.Pointer[url.URL]

// routed sends calls of Step Functions to the engine where there is one, and
// everything else where it is addressed to.
type routed struct{}

func (routed) RoundTrip(r *http.Request) (*http.Response, error) {
	if u := engineURL.Load(); u != nil && strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions.") {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host, r.Host = u.Scheme, u.Host, u.Host
	}
	return connections.RoundTrip(r)
}
