package zendesksupport_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/connector/zendesksupport"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// redacting is the config that keeps tickets.
const redacting = `"tickets":"redact","ground":"Art. 17(3)(e) GDPR"`

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

// desk is the vendor with a connector to it.
type desk struct {
	*fake.Server
	t      testing.TB
	c      *zendesksupport.Connector
	secret string
	config string // beside base_url
	slept  time.Duration
}

func newDesk(t testing.TB, config string) *desk {
	t.Helper()
	return deskOf(t, config, fake.Options{})
}

func deskOf(t testing.TB, config string, o fake.Options) *desk {
	t.Helper()
	o.Now = func() time.Time { return start }
	d := &desk{Server: fake.New(o), t: t, secret: `{"client_id":"avow","client_secret":"zendesk-secret"}`, config: config}
	d.c = d.connect(conformance.Local(d.Server))
	return d
}

func (d *desk) connect(transport http.RoundTripper) *zendesksupport.Connector {
	d.t.Helper()
	c, err := zendesksupport.New(d.options(transport))
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *desk) options(transport http.RoundTripper) kit.System {
	config := `{"base_url":"https://example.zendesk.com"`
	if d.config != "" {
		config += "," + d.config
	}
	return kit.System{
		Inventory: connector.Inventory{System: "support", Kind: zendesksupport.Kind},
		Config:    json.RawMessage(config + "}"),
		Secret:    func(context.Context) ([]byte, error) { return []byte(d.secret), nil },
		Now:       d.Now, Transport: transport,
		Kit: kit.Options{Sleep: func(_ context.Context, pause time.Duration) error { d.slept += pause; return nil }},
	}
}

// locate is one Locate.
func (d *desk) locate(s connector.Subject) connector.Findings {
	d.t.Helper()
	f, err := d.c.Locate(d.t.Context(), s)
	if err != nil {
		d.t.Fatal(err)
	}
	return f
}

// located is a person with what Locate yields, to the fixpoint.
func (d *desk) located(s connector.Subject) connector.Subject {
	d.t.Helper()
	needs, _ := d.c.Identifiers()
	for {
		known := len(s.Identifiers)
		for _, i := range d.locate(s).Identifiers {
			if slices.Contains(needs, i.Kind) && i.Followed() && !slices.Contains(s.Identifiers, i) {
				s.Identifiers = append(s.Identifiers, i)
			}
		}
		if len(s.Identifiers) == known {
			return s
		}
	}
}

// drive takes an operation to its end, or to a question. What may pass is tried
// again when the vendor has said so.
func (d *desk) drive(call connector.Call) (connector.Progress, error) {
	d.t.Helper()
	again := func(err error) (time.Duration, bool) {
		after, told := connector.RetryAfter(err)
		return after, told && errs.Is(err, errs.Unavailable)
	}
	return conformance.Driver{Connector: d.c, Clock: d, Steps: 5000, Pause: time.Hour, Handle: 4 << 10, Again: again}.Drive(d.t, call)
}

// must drive an operation to a good end.
func (d *desk) must(call connector.Call) connector.Progress {
	d.t.Helper()
	p, err := d.drive(call)
	if err != nil || !p.Done {
		d.t.Fatalf("%s: %+v, %v", call.Operation, p, err)
	}
	d.clean(p)
	return p
}

// clean looks for personal data in what may stand in a certificate.
func (d *desk) clean(p connector.Progress) {
	d.t.Helper()
	text, _ := json.Marshal(p)
	for _, planted := range []string{"ines", "Martin", "customer-1001", "rue des Lilas", "33655"} {
		if strings.Contains(string(text), planted) {
			d.t.Errorf("progress holds %q: %s", planted, text)
		}
	}
}

// verify looks until the vendor can tell.
func (d *desk) verify(s connector.Subject) connector.Residue {
	d.t.Helper()
	for range 100 {
		r, err := d.c.Verify(d.t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: d.Now()})
		if err != nil {
			d.t.Fatal(err)
		}
		if r.Wait == 0 {
			return r
		}
		d.Advance(r.Wait)
	}
	d.t.Fatal("it can never tell")
	return connector.Residue{}
}

// user is a user of the fake.
func (d *desk) user(id int64) fake.User {
	d.t.Helper()
	for _, u := range d.State().Users {
		if u.ID == id {
			return u
		}
	}
	d.t.Fatalf("no user %d", id)
	return fake.User{}
}

// tickets are the tickets that are there, of a requester.
func (d *desk) tickets(requester int64) (live []fake.Ticket) {
	for _, t := range d.State().Tickets {
		if t.State == fake.Live && t.Requester == requester {
			live = append(live, t)
		}
	}
	return live
}

// values are the identifiers of a kind.
func values(list []identity.Identifier, kind identity.Kind) []string {
	var all []string
	for _, i := range list {
		if i.Kind == kind {
			all = append(all, i.Value.Reveal())
		}
	}
	return all
}

// contract is the vendor's own file, with what it documents in prose only. It is
// read once, as it is long.
var contract = sync.OnceValues(func() ([]byte, error) {
	own, err := os.ReadFile("contract.json")
	if err != nil {
		return nil, err
	}
	var file, addition map[string]any
	if err := json.Unmarshal(vendors, &file); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(own, &addition); err != nil {
		return nil, err
	}
	// These two are no valid OpenAPI: each declares a parameter that its path lacks.
	for _, broken := range []string{"/api/v2/suspended_tickets/attachments", "/api/v2/users/{user_id}/skips"} {
		delete(file["paths"].(map[string]any), broken)
	}
	merge(file, addition)
	for _, item := range file["paths"].(map[string]any) {
		for method, operation := range item.(map[string]any) {
			if slices.Contains([]string{"get", "put", "post", "delete"}, method) {
				responses := operation.(map[string]any)["responses"].(map[string]any)
				for _, status := range []string{"4XX", "5XX"} {
					if responses[status] == nil {
						responses[status] = map[string]any{"$ref": "#/components/responses/Problem"}
					}
				}
			}
		}
	}
	return json.Marshal(file)
})

var vendors []byte // zendesk-support-trimmed.openapi.json

// merge adds to a document: objects are merged, parameters appended, all else
// replaced.
func merge(into, from map[string]any) {
	for key, value := range from {
		switch value := value.(type) {
		case map[string]any:
			if has, ok := into[key].(map[string]any); ok {
				merge(has, value)
				continue
			}
		case []any:
			if has, ok := into[key].([]any); ok && key == "parameters" {
				into[key] = append(has, value...)
				continue
			}
		}
		into[key] = from[key]
	}
}

func init() {
	openapi3filter.RegisterBodyDecoder("text/html", func(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (any, error) {
		text, err := io.ReadAll(body)
		return string(text), err
	})
}

// underContract puts the vendor's contract between a desk and its connector.
func underContract(t testing.TB, d *desk) *conformance.Contract {
	t.Helper()
	if vendors == nil {
		vendors = conformance.Spec(t, "zendesk-support/zendesk-support-trimmed.openapi.json")
	}
	file, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	c := conformance.NewContract(t, file, conformance.Local(d.Server))
	d.c = d.connect(c)
	return c
}

// harm are the calls that were applied and must not be applied twice: those that
// create, and redactions.
func harm(calls []fakekit.Call) []string {
	var list []string
	for _, c := range calls {
		if c.Applied && (c.Method == http.MethodPost || strings.HasPrefix(c.Route, "/comment_redactions") || strings.HasPrefix(c.Route, "/chat_redactions")) {
			list = append(list, c.Method+" "+c.Path)
		}
	}
	return list
}

// timeless is a state without what the clock has written.
func timeless(s fake.State) fake.State {
	for i := range s.Users {
		s.Users[i].PurgedAt = time.Time{}
	}
	for i := range s.Tickets {
		s.Tickets[i].GoneAt = time.Time{}
	}
	return s
}

// world is a fresh vendor with a person in it, whose days last an hour: each
// look at a purge is one call more to disturb.
func world(config, email string) func(testing.TB) *conformance.World {
	return func(t testing.TB) *conformance.World {
		d := deskOf(t, config, fake.Options{Options: fakekit.Options{Day: time.Hour}, Small: true})
		return &conformance.World{
			Vendor:  conformance.Local(d.Server),
			Connect: func(r http.RoundTripper) (connector.Connector, error) { return d.connect(r), nil },
			Subject: conformance.Person(email), Now: d.Now, Advance: d.Advance,
			Changes: []connector.Change{
				{Field: "name", Old: "Inès Martin", New: "Inès Durand"}, {Field: "email", Old: company.Ines, New: "ines.durand@example.test"},
				{Field: "phone", Old: "+33655000101", New: ""},
			},
			State: func() any { return timeless(d.State()) },
			Harm:  func() []string { return harm(d.Calls()) },
		}
	}
}
