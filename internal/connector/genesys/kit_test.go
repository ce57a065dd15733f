package genesys_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/genesys"
	"github.com/avow-consent/avow/internal/connector/genesys/fake"
	"github.com/avow-consent/avow/internal/connector/kit"
)

var start = time.Date(2026, 9, 15, 12, 0, 0, 0, time.UTC)

// org is the vendor with a connector to it.
type org struct {
	*fake.Server
	t      testing.TB
	c      *genesys.Connector
	secret string
	config string
}

func newOrg(t testing.TB, more string, o fake.Options) *org {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return start }
	}
	if more != "" {
		more = "," + more
	}
	a := &org{Server: fake.New(o), t: t, config: `{"region":"mypurecloud.ie"` + more + `}`, secret: `{"client_id":"avow","client_secret":"genesys-secret"}`}
	a.c = a.connect(conformance.Local(a.Server))
	return a
}

func (a *org) connect(transport http.RoundTripper) *genesys.Connector {
	a.t.Helper()
	c, err := genesys.New(a.options(transport))
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// options sleep on the vendor's clock: what the connector waits, passes there.
func (a *org) options(transport http.RoundTripper) kit.System {
	return kit.System{
		Inventory: connector.Inventory{System: "genesys", Kind: genesys.Kind, Region: "IE", EEA: true},
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

// locate searches until nothing new is found, the way the engine does.
func (a *org) locate(s connector.Subject) (all connector.Findings, found connector.Subject) {
	a.t.Helper()
	for found = s; ; {
		f, err := a.c.Locate(a.t.Context(), found)
		if err != nil {
			a.t.Fatal(err)
		}
		known := len(found.Identifiers)
		found.Identifiers = append(slices.Clone(found.Identifiers), f.Identifiers...)
		f.Identifiers = append(all.Identifiers, f.Identifiers...)
		if all = f; len(found.Identifiers) == known {
			return all, found
		}
	}
}

// drive takes an operation to its end, or to a question.
func (a *org) drive(call connector.Call) (connector.Progress, error) {
	a.t.Helper()
	return conformance.Driver{Connector: a.c, Clock: a, Steps: 500, Pause: time.Second}.Drive(a.t, call)
}

// must is drive to an end without a question.
func (a *org) must(op connector.Operation, s connector.Subject, changes ...connector.Change) (connector.Progress, *conformance.Recorder) {
	a.t.Helper()
	out := &conformance.Recorder{}
	p, err := a.drive(connector.Call{Operation: op, Subject: s, Changes: changes, Out: out})
	if err != nil || !p.Done {
		a.t.Fatalf("%s: %+v, %v", op, p, err)
	}
	return p, out
}

func (a *org) verify(s connector.Subject) connector.Residue {
	a.t.Helper()
	r, err := a.c.Verify(a.t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()})
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}
