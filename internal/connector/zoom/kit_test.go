package zoom_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/connector/zoom"
	"github.com/avow-consent/avow/internal/connector/zoom/fake"
	"github.com/avow-consent/avow/internal/identity"
)

var start = time.Date(2026, 9, 15, 12, 0, 0, 0, time.UTC)

const settings = `{"account_id":"acc-avow","phone":true,"managed_domains":["example.test"]}`

// account is the vendor with a connector to it.
type account struct {
	*fake.Server
	t      testing.TB
	c      *zoom.Connector
	secret string
	config string
}

func newAccount(t testing.TB, o fake.Options) *account {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return start }
	}
	a := &account{Server: fake.New(o), t: t, config: settings, secret: `{"client_id":"avow","client_secret":"zoom-secret"}`}
	a.c = a.connect(conformance.Local(a.Server))
	return a
}

// held is an account whose calls are held to the vendor's contract.
func held(t testing.TB) *account {
	t.Helper()
	a := newAccount(t, fake.Options{})
	a.c = a.connect(newContract(t, conformance.Local(a.Server)))
	return a
}

func (a *account) connect(transport http.RoundTripper) *zoom.Connector {
	a.t.Helper()
	c, err := zoom.New(a.options(transport))
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// options sleep on the vendor's clock: what the connector waits, passes there.
func (a *account) options(transport http.RoundTripper) kit.System {
	return kit.System{
		Inventory: connector.Inventory{System: "zoom", Kind: zoom.Kind},
		Config:    json.RawMessage(a.config),
		Secret:    func(context.Context) ([]byte, error) { return []byte(a.secret), nil },
		Now:       a.Now, Transport: transport,
		Kit: kit.Options{Sleep: func(_ context.Context, d time.Duration) error { a.Advance(d); return nil }},
	}
}

func employee(email string) connector.Subject {
	s := conformance.Person(email)
	s.Agent = true
	return s
}

// locate searches to the end, the way the engine does: a system is asked with
// what it needs, and with its handle.
func (a *account) locate(s connector.Subject) (all connector.Findings, found connector.Subject) {
	a.t.Helper()
	needs, _ := a.c.Identifiers()
	found = s
	for range 2000 {
		asked := found
		asked.Handle = all.Handle
		asked.Identifiers = slices.DeleteFunc(slices.Clone(found.Identifiers), func(i identity.Identifier) bool { return !slices.Contains(needs, i.Kind) })
		f, err := a.c.Locate(a.t.Context(), asked)
		if err != nil {
			a.t.Fatal(err)
		}
		known := len(found.Identifiers)
		for _, i := range f.Identifiers {
			if i.Followed() && !slices.Contains(found.Identifiers, i) {
				found.Identifiers = append(slices.Clone(found.Identifiers), i)
			}
		}
		f.Identifiers, f.Candidates = append(all.Identifiers, f.Identifiers...), append(all.Candidates, f.Candidates...)
		all = f
		if f.More == 0 && len(found.Identifiers) == known {
			return all, found
		}
		a.Advance(f.More)
	}
	a.t.Fatal("the search never ends")
	return all, found
}

// accept takes candidates for the person's, as an operator does.
func accept(s connector.Subject, candidates ...connector.Candidate) connector.Subject {
	s.Identifiers = slices.Clone(s.Identifiers)
	for _, c := range candidates {
		s.Identifiers = append(s.Identifiers, c.Identifier)
	}
	return s
}

// drive takes an operation to its end, or to a question.
func (a *account) drive(call connector.Call) (connector.Progress, error) {
	a.t.Helper()
	return conformance.Driver{Connector: a.c, Clock: a, Steps: 500, Pause: time.Second}.Drive(a.t, call)
}

func (a *account) verify(s connector.Subject) connector.Residue {
	a.t.Helper()
	r, err := a.c.Verify(a.t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()})
	if err != nil || r.Wait != 0 {
		a.t.Fatalf("%+v, %v", r, err)
	}
	return r
}

type hook struct {
	next   http.RoundTripper
	before func(*http.Request)
}

func (h hook) RoundTrip(r *http.Request) (*http.Response, error) {
	h.before(r)
	return h.next.RoundTrip(r)
}
