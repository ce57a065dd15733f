package zendeskmessaging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

// settings are the system's config; more adds keys to it.
func settings(more string) string {
	return `{"base_url":"https://example.zendesk.com/sc","app_id":"` + fake.App + `","support":"support"` + more + `}`
}

// spec is the vendor's contract, with three of its defects mended: the server
// has a variable that is not declared, a property is "required" by itself, and
// every body of a leave matches all of the forms of which it must match one.
func spec(t testing.TB) []byte {
	t.Helper()
	text := string(conformance.Spec(t, "sunshine-conversations/sunshine-conversations-v2-openapi.yaml"))
	for _, mend := range [][2]string{
		{"url: https://{subdomain}.zendesk.com/sc", "url: https://example.zendesk.com/sc"},
		{"`profile.email`.\n            required: true", "`profile.email`."},
		{"participantLeaveBody:\n      oneOf:", "participantLeaveBody:\n      anyOf:"},
	} {
		if strings.Count(text, mend[0]) != 1 {
			t.Fatalf("the vendor's contract has changed: %q", mend[0])
		}
		text = strings.Replace(text, mend[0], mend[1], 1)
	}
	return []byte(text)
}

// inbox is the vendor with a connector to it.
type inbox struct {
	*fake.Server
	t        testing.TB
	c        *zendeskmessaging.Connector
	contract *conformance.Contract
	config   string
	secret   string
	pauses   []time.Duration // that the client has made
}

func newInbox(t testing.TB, o fake.Options) *inbox {
	t.Helper()
	d := unheldInbox(t, o)
	d.contract = conformance.NewContract(t, spec(t), conformance.Local(d.Server))
	d.c = d.connect(d.contract)
	return d
}

// unheldInbox is an inbox that is not held to the vendor's contract: it has no
// word for 401, 423, 429 and 5xx.
func unheldInbox(t testing.TB, o fake.Options) *inbox {
	t.Helper()
	o.Now = func() time.Time { return start }
	d := &inbox{Server: fake.New(o), t: t, config: settings(""), secret: `{"client_id":"` + fake.ID + `","client_secret":"` + fake.Secret + `"}`}
	d.c = d.connect(conformance.Local(d.Server))
	return d
}

func (d *inbox) connect(transport http.RoundTripper) *zendeskmessaging.Connector {
	d.t.Helper()
	c, err := zendeskmessaging.New(d.options(transport))
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *inbox) options(transport http.RoundTripper) kit.System {
	return kit.System{
		Inventory: connector.Inventory{System: "messaging", Kind: zendeskmessaging.Kind},
		Config:    json.RawMessage(d.config),
		Secret:    func(context.Context) ([]byte, error) { return []byte(d.secret), nil },
		Now:       d.Now, Transport: transport,
		Kit: kit.Options{Sleep: func(_ context.Context, pause time.Duration) error {
			d.pauses = append(d.pauses, pause)
			d.Advance(pause)
			return nil
		}},
	}
}

// set changes the config.
func (d *inbox) set(more string) {
	d.t.Helper()
	d.config = settings(more)
	d.c = d.connect(d.contract)
}

func (d *inbox) locate(s connector.Subject) connector.Findings {
	d.t.Helper()
	f, err := d.c.Locate(d.t.Context(), s)
	if err != nil {
		d.t.Fatal(err)
	}
	return f
}

// located is a person with what Locate yields, to the fixpoint.
func (d *inbox) located(s connector.Subject) connector.Subject {
	d.t.Helper()
	for {
		known := len(s.Identifiers)
		for _, i := range d.locate(s).Identifiers {
			if i.Followed() && !slices.Contains(s.Identifiers, i) {
				s.Identifiers = append(s.Identifiers, i)
			}
		}
		if len(s.Identifiers) == known {
			return s
		}
	}
}

// drive takes an operation to its end, or to a question. What may pass is tried
// again.
func (d *inbox) drive(call connector.Call) (connector.Progress, error) {
	d.t.Helper()
	again := func(err error) (time.Duration, bool) {
		after, _ := connector.RetryAfter(err)
		return after + time.Minute, errs.Is(err, errs.Unavailable)
	}
	p, err := conformance.Driver{Connector: d.c, Clock: d, Steps: 5000, Pause: time.Hour, Handle: 32 << 10, Again: again}.Drive(d.t, call)
	p.Handle = "" // nobody is shown it
	return p, err
}

func (d *inbox) erase(s connector.Subject) connector.Progress {
	d.t.Helper()
	p, err := d.drive(connector.Call{Key: "k", Operation: connector.Erase, Subject: s})
	if err != nil || !p.Done {
		d.t.Fatalf("%+v, %v", p, err)
	}
	return p
}

func (d *inbox) verify(s connector.Subject) connector.Residue {
	d.t.Helper()
	r, err := d.c.Verify(d.t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: d.Now()})
	if err != nil || r.Wait != 0 {
		d.t.Fatalf("%+v, %v", r, err)
	}
	return r
}

// ids are the identifiers of a kind.
func ids(list []identity.Identifier, what string) []string {
	var all []string
	for _, i := range list {
		if i.Kind == identity.Kind("messaging."+what) {
			all = append(all, i.Value.Reveal())
		}
	}
	return all
}

// world is a fresh vendor with Ines in it.
func world(o fake.Options, config string) func(testing.TB) *conformance.World {
	return func(t testing.TB) *conformance.World {
		d := unheldInbox(t, o)
		d.config = config
		return &conformance.World{
			Vendor:  conformance.Local(d.Server),
			Connect: func(r http.RoundTripper) (connector.Connector, error) { return zendeskmessaging.New(d.options(r)) },
			Subject: conformance.Person(company.Ines), Now: d.Now, Advance: d.Advance,
			Changes: []connector.Change{{Field: "last_name", Old: "Martin", New: "Durand"}, {Field: "metadata.plan", Old: "shop", New: "club"}},
			State:   func() any { return timeless(d.State()) },
			Harm:    func() []string { return harm(d.Calls()) },
		}
	}
}

// timeless is a state without what the clock has written.
func timeless(s fake.State) fake.State {
	for i := range s.Users {
		s.Users[i].Deleting = nil
	}
	for i, f := range s.Files {
		if f.RemovedAt != nil {
			s.Files[i].RemovedAt = &start
		}
	}
	return s
}

// harm are the calls that must not be applied twice: POSTs. Here these remove
// and leave, and a second one finds nothing to do.
func harm(calls []fakekit.Call) []string {
	var list []string
	for _, c := range calls {
		if c.Applied && c.Method == http.MethodPost {
			list = append(list, c.Method+" "+c.Path)
		}
	}
	return list
}

// The connector under every fault of every call, by each policy.
func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, world(fake.Options{}, settings("")))
}

func TestConformance_policies(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]string{
		"groups are kept":           `,"groups":"keep","ground":"Art. 17(3)(e) GDPR"`,
		"personal information only": `,"erase":"personal_information","ground":"Art. 17(3)(e) GDPR"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings, n := conformance.Check(t, world(fake.Options{Placeholders: true, Merges: true, NewestFirst: true}, settings(more)), connector.Erase)
			for _, f := range findings {
				t.Error(f)
			}
			t.Logf("%d schedules", n)
		})
	}
}

// calls counts the calls since a mark by method and route.
func (d *inbox) calls(since int) map[string]int {
	n := map[string]int{}
	for _, c := range d.Calls()[since:] {
		n[strings.TrimSpace(c.Method+" "+c.Route)]++
	}
	return n
}

// rewrite puts an address into each message that has a file.
type rewrite struct {
	next    http.RoundTripper
	address string
}

func (w rewrite) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := w.next.RoundTrip(r)
	if err != nil || !strings.HasSuffix(r.URL.Path, "/messages") {
		return response, err
	}
	text, err := io.ReadAll(response.Body)
	var body map[string]any
	if err != nil || json.Unmarshal(text, &body) != nil {
		return response, errors.New("no messages")
	}
	for _, m := range body["messages"].([]any) {
		if content := m.(map[string]any)["content"].(map[string]any); content["mediaUrl"] != nil {
			content["mediaUrl"] = w.address
		}
	}
	text, err = json.Marshal(body)
	response.Body = io.NopCloser(bytes.NewReader(text))
	return response, err
}

// answer is one of JSON.
func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}
