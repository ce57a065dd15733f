package refdesk_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/connector/refdesk"
	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

// desk is the vendor with a connector to it.
type desk struct {
	*fake.Server
	t        testing.TB
	c        *refdesk.Connector
	contract *conformance.Contract
	secret   string
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	d := &desk{Server: fake.New(fake.Options{Options: fakekit.Options{Now: func() time.Time { return start }}}), t: t}
	d.secret = `{"client_id":"avow","client_secret":"refdesk-secret"}`
	file, err := os.ReadFile("contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d.contract = conformance.NewContract(t, file, conformance.Local(d.Server))
	d.c = d.connect(d.contract)
	return d
}

func (d *desk) connect(transport http.RoundTripper) *refdesk.Connector {
	d.t.Helper()
	c, err := refdesk.New(d.options(transport))
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *desk) options(transport http.RoundTripper) kit.System {
	return kit.System{
		Inventory: connector.Inventory{System: "helpdesk", Kind: refdesk.Kind},
		Config:    json.RawMessage(`{"base_url":"https://example.refdesk.test"}`),
		Secret:    func(context.Context) ([]byte, error) { return []byte(d.secret), nil },
		Now:       d.Now, Transport: transport,
		Kit: kit.Options{Sleep: func(context.Context, time.Duration) error { return nil }},
	}
}

// located is a person with what Locate yields, to the fixpoint.
func (d *desk) located(s connector.Subject) connector.Subject {
	d.t.Helper()
	for {
		f, err := d.c.Locate(d.t.Context(), s)
		if err != nil {
			d.t.Fatal(err)
		}
		known := len(s.Identifiers)
		for _, i := range f.Identifiers {
			if i.Followed() && !slices.Contains(s.Identifiers, i) {
				s.Identifiers = append(s.Identifiers, i)
			}
		}
		if len(s.Identifiers) == known {
			return s
		}
	}
}

// drive takes an operation to its end, or to a question.
func (d *desk) drive(call connector.Call) (connector.Progress, error) {
	d.t.Helper()
	return conformance.Driver{Connector: d.c, Clock: d, Steps: 500, Pause: time.Hour}.Drive(d.t, call)
}

// ids are the user ids among identifiers.
func ids(list []identity.Identifier) []string {
	var all []string
	for _, i := range list {
		if i.Kind == "helpdesk.user_id" {
			all = append(all, i.Value.Reveal())
		}
	}
	return all
}

func TestLocate(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	f, err := d.c.Locate(t.Context(), conformance.Person(strings.ToUpper(fake.Ines)))
	if err != nil {
		t.Fatal(err)
	}
	older := d.Find("ines.martin@old.example.test")
	if diff := cmp.Diff([]string{d.Find(fake.Ines), older}, ids(f.Identifiers)); diff != "" {
		t.Errorf("people whose e-mail contains hers are not her, the merged record is: %s", diff)
	}
	if diff := cmp.Diff(map[string]int{"users": 2, "tickets": 24}, f.Counts); diff != "" {
		t.Error(diff)
	}
	if len(f.Candidates) != 0 || len(f.Notes) != 0 {
		t.Errorf("%+v", f)
	}
}

// Two people with one telephone: each of them is the other's candidate, never
// the other.
func TestLocate_sharedPhone(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	f, err := d.c.Locate(t.Context(), conformance.Person(fake.Leo))
	if err != nil {
		t.Fatal(err)
	}
	if got := ids(f.Identifiers); len(got) != 1 || got[0] != d.Find(fake.Leo) {
		t.Errorf("Leo is %v", got)
	}
	if len(f.Candidates) != 1 || f.Candidates[0].Identifier.Value.Reveal() != d.Find(fake.Mo) || f.Candidates[0].Evidence == "" {
		t.Errorf("candidates: %+v", f.Candidates)
	}
	phone := connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.Phone, fake.Shared)}}
	f, err = d.c.Locate(t.Context(), phone)
	if err != nil || len(f.Identifiers) != 0 || len(f.Candidates) != 2 {
		t.Errorf("by telephone only: %+v, %v", f, err)
	}
}

func TestLocate_others(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	f, err := d.c.Locate(t.Context(), conformance.Person(fake.Hoax))
	if err != nil || len(f.Identifiers) != 0 || len(f.Candidates) != 1 {
		t.Errorf("an e-mail that nobody has verified: %+v, %v", f, err)
	}
	f, err = d.c.Locate(t.Context(), conformance.Person(fake.Agent))
	if err != nil || len(f.Identifiers) != 0 || len(f.Candidates) != 0 || len(f.Notes) != 1 {
		t.Errorf("an agent who asks as an end user: %+v, %v", f, err)
	}
	agent := conformance.Person(fake.Agent)
	agent.Agent = true
	if f, err = d.c.Locate(t.Context(), agent); err != nil || len(ids(f.Identifiers)) != 1 {
		t.Errorf("an agent: %+v, %v", f, err)
	}
	f, err = d.c.Locate(t.Context(), conformance.Person("nobody@example.test"))
	if err != nil || len(f.Identifiers)+len(f.Candidates)+len(f.Counts) != 0 {
		t.Errorf("nobody: %+v, %v", f, err)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.located(conformance.Person(fake.Ines))
	out := &conformance.Recorder{}
	p, err := d.drive(connector.Call{Key: "k", Operation: connector.Export, Subject: s, Out: out})
	if err != nil || !p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	if diff := cmp.Diff(map[string]int{"users": 2, "tickets": 24, "files": 6}, p.Counts); diff != "" {
		t.Error(diff)
	}
	if len(out.Records["ticket"]) != 24 || len(out.Records["user"]) != 2 || len(out.Files) != 6 {
		t.Errorf("%d tickets, %d users, %d files", len(out.Records["ticket"]), len(out.Records["user"]), len(out.Files))
	}
	for _, text := range out.Records["ticket"] {
		if strings.Contains(text, "/files/") {
			t.Errorf("an address of the vendor is exported: %s", text)
		}
	}
	if waited := d.Now().Sub(start); waited < 48*time.Hour {
		t.Errorf("the vendor's job takes two days, not %v", waited)
	}
	for _, c := range d.Calls() {
		if c.Route == "LEAKED TOKEN" {
			t.Error("the host of the files got the token")
		}
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	before := d.State()
	s := d.located(conformance.Person(fake.Ines))
	p, err := d.drive(connector.Call{Key: "k", Operation: connector.Erase, Subject: s})
	if err != nil || !p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	if diff := cmp.Diff(map[string]int{"users": 2, "tickets": 24}, p.Counts); diff != "" {
		t.Error(diff)
	}
	if !slices.ContainsFunc(p.Evidence, func(e connector.Evidence) bool {
		return strings.HasPrefix(e.Answer, "purged, record RDP-J") && !e.At.IsZero()
	}) {
		t.Errorf("no evidence of the vendor: %+v", p.Evidence)
	}
	d.gone(s)
	after := d.State()
	if len(after.Users) != len(before.Users) || len(after.Tickets) != len(before.Tickets)-24 {
		t.Errorf("others were touched: %d users, %d tickets", len(after.Users), len(after.Tickets))
	}
	for i, u := range after.Users {
		mine := slices.Contains(ids(s.Identifiers), u.ID)
		if (u.Status == fake.Purged) != mine || !mine && cmp.Diff(before.Users[i], u) != "" {
			t.Errorf("user %s: %s", u.ID, u.Status)
		}
	}
	text, _ := json.Marshal(p)
	for _, planted := range []string{"ines", "Martin", "customer-1001"} {
		if strings.Contains(string(text), planted) {
			t.Errorf("progress holds %q: %s", planted, text)
		}
	}
	again, err := d.drive(connector.Call{Key: "k", Operation: connector.Erase, Subject: s, Again: true})
	if err != nil || !again.Done || len(again.Counts) != 0 {
		t.Errorf("when all is gone: %+v, %v", again, err)
	}
}

// gone verifies, waiting for the search.
func (d *desk) gone(s connector.Subject) {
	d.t.Helper()
	waits := 0
	for {
		r, err := d.c.Verify(d.t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: d.Now()})
		if err != nil {
			d.t.Fatal(err)
		}
		if r.Wait == 0 {
			if len(r.Counts) != 0 || len(r.Evidence) == 0 || waits == 0 {
				d.t.Errorf("after %d waits: %+v", waits, r)
			}
			return
		}
		waits++
		d.Advance(r.Wait)
	}
}

func TestVerify_residue(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.located(conformance.Person(fake.Ines))
	r, err := d.c.Verify(t.Context(), connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || r.Counts["users"] != 2 || r.Counts["tickets"] != 24 {
		t.Errorf("nothing was deleted: %+v, %v", r, err)
	}
	if _, err := d.drive(connector.Call{Operation: connector.Erase, Subject: s}); err != nil {
		t.Fatal(err)
	}
	d.AddUser(fake.User{Name: "Inès", Email: fake.Ines, Verified: true})
	d.Advance(time.Hour)
	r, err = d.c.Verify(t.Context(), connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || r.Counts["users"] != 1 {
		t.Errorf("a record that came back: %+v, %v", r, err)
	}
}

// A ticket that is opened while the others are deleted blocks the user; it is
// deleted, too.
func TestErase_openTicket(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.located(conformance.Person(fake.Leo))
	late := false
	d.c = d.connect(hook{d.contract, func(r *http.Request) {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/users/") && !late {
			late = true
			d.AddTicket(d.Find(fake.Leo), "one more thing", "…", fake.Open)
		}
	}})
	p, err := d.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || !p.Done || p.Counts["tickets"] != 2 || !d.contract.Seen("DELETE /users/{id} 422") {
		t.Errorf("%+v, %v", p, err)
	}
}

type hook struct {
	next   http.RoundTripper
	before func(*http.Request)
}

func (h hook) RoundTrip(r *http.Request) (*http.Response, error) {
	h.before(r)
	return h.next.RoundTrip(r)
}

// What a person must solve is a Conflict, and a retry goes on from there.
func TestErase_locked(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.located(conformance.Person(fake.Leo))
	ticket := d.AddTicket(d.Find(fake.Leo), "under audit", "…", fake.Solved)
	d.Audit(ticket, true)
	call := connector.Call{Operation: connector.Erase, Subject: s}
	if _, err := d.drive(call); !errs.Is(err, errs.Conflict) {
		t.Fatalf("%v", err)
	}
	if r, err := d.c.Verify(t.Context(), call); err != nil || r.Counts["users"] != 1 || r.Counts["tickets"] != 1 {
		t.Errorf("the user went before the ticket: %+v, %v", r, err)
	}
	d.Audit(ticket, false)
	call.Again = true
	if p, err := d.drive(call); err != nil || !p.Done {
		t.Errorf("%+v, %v", p, err)
	}
	d.gone(s)
}

func TestErase_agentWithWork(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	agent := conformance.Person(fake.Agent)
	agent.Agent = true
	agent = d.located(agent)
	before := len(d.State().Tickets)
	p, err := d.drive(connector.Call{Operation: connector.Erase, Subject: agent})
	if err != nil || !p.Done || len(d.State().Tickets) != before {
		t.Errorf("an agent's tickets are other people's: %+v, %v, %d tickets of %d", p, err, len(d.State().Tickets), before)
	}
}

func TestRectify(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.located(conformance.Person(fake.Ines))
	call := connector.Call{Operation: connector.Rectify, Subject: s, Changes: []connector.Change{
		{Field: "name", Old: "Inès Martin", New: "Inès Durand"}, {Field: "phone", Old: "+33655000101", New: "+33655000202"},
	}}
	for i, want := range []int{1, 0} { // repeated, there is nothing to do
		p, err := d.drive(call)
		if err != nil || !p.Done || p.Counts["users"] != want {
			t.Errorf("time %d: %+v, %v", i, p, err)
		}
	}
	for _, u := range d.State().Users {
		if u.ID == d.Find(fake.Ines) && (u.Name != "Inès Durand" || u.Phone != "+33655000202") {
			t.Errorf("%+v", u)
		}
	}
	call.Changes = []connector.Change{{Field: "birthday", New: "2000-01-01"}}
	if p, err := d.drive(call); err != nil || p.Ask == nil {
		t.Errorf("a field that the help desk does not have: %+v, %v", p, err)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	s := d.located(conformance.Person(fake.Ines))
	for _, op := range []connector.Operation{connector.Restrict, connector.Object, connector.Restrict} {
		if p, err := d.drive(connector.Call{Operation: op, Subject: s}); err != nil || !p.Done {
			t.Errorf("%s: %+v, %v", op, p, err)
		}
	}
	for _, u := range d.State().Users {
		if u.ID == d.Find(fake.Ines) && !slices.Equal(u.Tags, []string{"avow-restricted", "avow-objected"}) {
			t.Errorf("%v", u.Tags)
		}
	}
}

// Replaced credentials work without a restart; wrong ones are a matter for a
// person.
func TestCredentials(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.located(conformance.Person(fake.Leo))
	d.SetSecret("another")
	if _, err := d.c.Locate(t.Context(), conformance.Person(fake.Leo)); !errs.Is(err, errs.Forbidden) || strings.Contains(err.Error(), "refdesk-secret") {
		t.Errorf("%v", err)
	}
	d.secret = `{"client_id":"avow","client_secret":"another"}`
	if _, err := d.c.Locate(t.Context(), conformance.Person(fake.Leo)); err != nil {
		t.Errorf("%v", err)
	}
	d.secret = "not JSON"
	d.Revoke()
	if _, err := d.c.Locate(t.Context(), conformance.Person(fake.Leo)); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%v", err)
	}
}

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for config, want := range map[string]string{
		``:                                     "base_url is no address",
		`{"base_url":"http://desk.test"}`:      "must begin with https://",
		`{"base_uri":"https://desk.test"}`:     `unknown field "base_uri"`,
		`{"base_url":1}`:                       "config.base_url must not be a number",
		`{"base_url":"https://u:p@desk.test"}`: "base_url is no address",
	} {
		o := d.options(nil)
		o.Config = json.RawMessage(config)
		if _, err := refdesk.New(o); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `system "helpdesk"`) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

// Through a real server, with redirects to another host of this machine and an
// attachment that does not fit into memory twice.
func TestExport_overHTTP(t *testing.T) { // not parallel: it measures what is allocated
	d := newDesk(t)
	server := httptest.NewServer(d.Server)
	defer server.Close()
	ticket := d.AddTicket(d.Find(fake.Leo), "a film", "see attachment", fake.Solved)
	const size = 64 << 20
	d.AddFile(ticket, "../film.mp4", "video/mp4", "0123456789", size)
	s := d.located(conformance.Person(fake.Leo))
	o := d.options(nil)
	o.Config = json.RawMessage(`{"base_url":"` + server.URL + `","allow_local":true}`)
	var err error
	if d.c, err = refdesk.New(o); err != nil {
		t.Fatal(err)
	}
	out := &conformance.Recorder{}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if p, err := d.drive(connector.Call{Key: "k", Operation: connector.Export, Subject: s, Out: out}); err != nil || !p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	runtime.ReadMemStats(&after)
	for name, n := range out.Files {
		if strings.Contains(name, "..") {
			t.Errorf("the file is called %q", name)
		}
		if strings.HasSuffix(name, "film.mp4") && n != size {
			t.Errorf("%d bytes of %d", n, size)
		}
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; len(out.Files) != 2 || allocated > size/2 {
		t.Errorf("files %v, %d bytes allocated", out.Files, allocated)
	}
}
