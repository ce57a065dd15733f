package salesforce_test

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
	"github.com/avow-consent/avow/internal/connector/salesforce"
	"github.com/avow-consent/avow/internal/connector/salesforce/fake"
	"github.com/avow-consent/avow/internal/identity"
)

var start = time.Date(2026, 9, 15, 12, 0, 0, 0, time.UTC)

const base = "https://avow.my.salesforce.com"

// settings of the seeded company, without its end: more may follow.
const settings = `{"base_url":"` + base + `","external_id":"Customer_Number__c","zoom":"zoom",
	"custom":[{"object":"Zoom_Registrant__c","contact":"Contact__c","lead":"Lead__c","email":["Email__c"]}],
	"zoom_ids":{"Contact.Zoom_User__c":"user_id","Zoom_Registrant__c.Registrant_Id__c":"registrant_id","Zoom_Registrant__c.Webinar_Id__c":"webinar_id"}`

// org is the vendor with a connector to it.
type org struct {
	*fake.Server
	t      testing.TB
	c      *salesforce.Connector
	secret string
	config string
}

// newOrg has a connector with more settings, such as `"erase":"soft"`.
func newOrg(t testing.TB, more string, o fake.Options) *org {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return start }
	}
	a := &org{Server: fake.New(o), t: t, config: settings + "}", secret: `{"client_id":"avow","client_secret":"salesforce-secret"}`}
	if more != "" {
		a.config = settings + "," + more + "}"
	}
	a.c = a.connect(newContract(t, conformance.Local(a.Server)))
	return a
}

func (a *org) connect(transport http.RoundTripper) *salesforce.Connector {
	a.t.Helper()
	c, err := salesforce.New(a.options(transport))
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// options sleep on the vendor's clock: what the connector waits, passes there.
func (a *org) options(transport http.RoundTripper) kit.System {
	return kit.System{
		Inventory: connector.Inventory{System: "salesforce", Kind: salesforce.Kind},
		Config:    json.RawMessage(a.config),
		Secret:    func(context.Context) ([]byte, error) { return []byte(a.secret), nil },
		Now:       a.Now, Transport: transport,
		Kit: kit.Options{Sleep: func(_ context.Context, d time.Duration) error { a.Advance(d); return nil }},
	}
}

// locate searches until nothing new is found, the way the engine does.
func (a *org) locate(s connector.Subject) (f connector.Findings, found connector.Subject) {
	a.t.Helper()
	found = s
	for range 10 {
		f, err := a.c.Locate(a.t.Context(), found)
		if err != nil {
			a.t.Fatal(err)
		}
		known := len(found.Identifiers)
		for _, i := range f.Identifiers {
			if i.Followed() && !slices.ContainsFunc(found.Identifiers, func(k identity.Identifier) bool { return k.Kind == i.Kind && k.Value == i.Value }) {
				found.Identifiers = append(slices.Clone(found.Identifiers), i)
			}
		}
		if len(found.Identifiers) == known {
			return f, found
		}
	}
	a.t.Fatal("the search never ends")
	return f, found
}

// drive takes an operation to its end, or to a question.
func (a *org) drive(call connector.Call) (connector.Progress, error) {
	a.t.Helper()
	return conformance.Driver{Connector: a.c, Clock: a, Steps: 500, Pause: time.Second}.Drive(a.t, call)
}

// must is drive without an error or a question.
func (a *org) must(op connector.Operation, s connector.Subject, changes ...connector.Change) connector.Progress {
	a.t.Helper()
	p, err := a.drive(connector.Call{Operation: op, Subject: s, Changes: changes, Out: &conformance.Recorder{}})
	if err != nil || !p.Done {
		a.t.Fatalf("%s: %+v, %v", op, p, err)
	}
	return p
}

func (a *org) verify(s connector.Subject) connector.Residue {
	a.t.Helper()
	r, err := a.c.Verify(a.t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()})
	if err != nil {
		a.t.Fatal(err)
	}
	return r
}

// ids are those of a subject by a kind.
func ids(s connector.Subject, kind identity.Kind) (list []string) {
	for _, i := range s.Of(kind) {
		list = append(list, i.Value.Reveal())
	}
	return list
}

// field is a field of a record.
func (a *org) field(id, name string) any {
	return a.State()[id].Fields[name]
}

// trip is a transport made of a function.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type identifier = identity.Identifier
