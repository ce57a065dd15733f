// Package awstest gives tests the AWS services of the template: one emulator
// for each test process (or the one that AVOW_TEST_EMULATOR names), and tables,
// bucket, queues and secrets of its own for each call of New, so that tests run
// in parallel.
package awstest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/emulator"
)

// Env is what the template declares, fresh and empty.
type Env struct {
	// Config is for clients of the emulator. Components that load the SDK's
	// default configuration reach the emulator as well: New sets the process
	// environment.
	Config aws.Config
	// Stack is the resolved template, with the physical names of this Env.
	Stack *cfn.Stack
	// URL is the endpoint of the emulator.
	URL string
}

// New creates everything that the template declares, under new names.
func New(t testing.TB) *Env {
	t.Helper()
	shared, err := start()
	if err != nil {
		t.Fatal(err)
	}
	stack, err := cfn.Resolve(shared.template, cfn.Options{StackName: "t" + strings.ToLower(rand.Text()[:8])})
	if err != nil {
		t.Fatalf("reading template.yaml: %v", err)
	}
	// The emulator deletes what has expired by the clock of this machine, once a
	// minute; a test has a clock of its own, and what lives by it must not die.
	for i := range stack.Tables {
		stack.Tables[i].TimeToLiveSpecification.Enabled = false
	}
	e := &Env{Config: emulator.Config(shared.url), Stack: stack, URL: shared.url}
	e.Config.HTTPClient = &http.Client{Transport: routed{}}
	e.Config.Retryer = cloud.Retryer
	if err := emulator.Provision(t.Context(), e.Config, stack); err != nil {
		t.Fatal(err)
	}
	return e
}

// Getenv is the environment of the functions, as the template gives it to them.
func (e *Env) Getenv(name string) string {
	for _, f := range e.Stack.Functions {
		if v, ok := f.Env[name]; ok {
			return v
		}
	}
	return ""
}

// Function is the environment of one function alone.
func (e *Env) Function(function string) func(string) string {
	for _, f := range e.Stack.Functions {
		if f.Name == function {
			return func(name string) string { return f.Env[name] }
		}
	}
	panic(fmt.Sprintf("template.yaml declares no function %q", function))
}

// With is e with clients that send their requests through the transport that
// wrap makes of the usual one: a test can lose, delay or break replies.
func (e *Env) With(wrap func(http.RoundTripper) http.RoundTripper) *Env {
	with := *e
	with.Config.HTTPClient = &http.Client{Transport: wrap(routed{})}
	return &with
}

// connections are shared by all clients of the process.
var connections = func() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 100
	return t
}()

type process struct {
	url      string
	template []byte
	server   *emulator.Server // holds the emulator alive; it ends with this process
	checkout emulator.Checkout
	venv     emulator.Venv
}

// start gives every test of the process the same emulator.
var start = sync.OnceValues(func() (*process, error) {
	ctx := context.Background()
	checkout, err := emulator.FindCheckout()
	if err != nil {
		return nil, err
	}
	venv, err := emulator.OpenVenv(checkout.Local())
	if err != nil {
		return nil, err
	}
	p := &process{url: os.Getenv("AVOW_TEST_EMULATOR"), checkout: checkout, venv: venv}
	if p.template, err = emulator.ReadTemplate(ctx, checkout, venv, nil); err != nil {
		return nil, err
	}
	if p.url == "" {
		if p.server, err = emulator.Start(ctx, emulator.Options{Venv: venv}); err != nil {
			return nil, err
		}
		p.url = p.server.URL()
	}
	return p, emulator.SetEnvironment(p.url)
})
