package zoom_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zoom"
	"github.com/avow-consent/avow/internal/connector/zoom/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

const day = 24 * time.Hour

// Somebody from outside is found in the lists of all hosts, in any status and
// any occurrence; whoever has an address that contains hers is not her.
func TestLocate_outside(t *testing.T) {
	t.Parallel()
	a := held(t)
	f, s := a.locate(conformance.Person(strings.ToUpper(company.Ines)))
	if diff := cmp.Diff(map[string]int{"registrations": 3, "panelists": 1, "sessions": 2, "calls": 1}, f.Counts); diff != "" {
		t.Error(diff)
	}
	if f.Done != f.Of || f.Of != 8 {
		t.Errorf("%d of %d: four hosts, each looked at twice", f.Done, f.Of)
	}
	if kinds := s.Of("zoom.user_id"); len(kinds) != 0 || len(s.Of("zoom.records")) == 0 {
		t.Errorf("%v", s.Identifiers)
	}
	if a.Beyond() != 0 {
		t.Errorf("%d calls were more than the account allows", a.Beyond())
	}
	// An account that another system names, and that is gone, hides nothing.
	named := conformance.Person(company.Ines)
	named.Identifiers = append(named.Identifiers, identity.Identifier{Kind: "zoom.user_id", Value: "gOne", Trust: identity.Vendor, System: "crm"})
	if f, _ := a.locate(named); f.Counts["calls"] != 1 || f.Counts["users"] != 0 {
		t.Errorf("with an account that is gone: %v", f.Counts)
	}
	f, _ = a.locate(conformance.Person("nobody@example.test"))
	if len(f.Counts) != 0 || len(f.Identifiers) != 0 || len(f.Candidates) != 0 {
		t.Errorf("nobody: %+v", f)
	}
}

// Since 2022 Zoom does not show the e-mail of guests: one with the person's name
// is a candidate, and the note says how many others there were.
func TestLocate_guestWithoutEmail(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	f, s := a.locate(conformance.Person(company.Ines))
	if len(f.Candidates) != 1 || f.Candidates[0].Identifier.Kind != "zoom.records" || !strings.Contains(f.Candidates[0].Evidence, "guests without an e-mail") {
		t.Fatalf("%+v", f.Candidates)
	}
	if !slices.ContainsFunc(f.Notes, func(n string) bool { return strings.Contains(n, "guests without an e-mail took part about 2 times") }) {
		t.Errorf("%q", f.Notes)
	}
	for name, tt := range map[string]struct {
		subject connector.Subject
		want    int
	}{"undecided": {s, 2}, "accepted": {accept(s, f.Candidates...), 3}} {
		out := &conformance.Recorder{}
		if p, err := a.drive(connector.Call{Operation: connector.Export, Subject: tt.subject, Out: out}); err != nil || p.Counts["sessions"] != tt.want {
			t.Errorf("%s: %+v, %v", name, p.Counts, err)
		}
		for _, text := range out.Records["session"] {
			if strings.Contains(text, "iPhone") || strings.Contains(text, company.Leo) {
				t.Errorf("%s: others are exported: %s", name, text)
			}
		}
	}
}

// A guest who has logged in with an account of their own has an id and no e-mail:
// with the person's name they are a candidate, like any guest. A user of the
// company is not, whatever their name.
func TestLocate_guestWithAccount(t *testing.T) {
	t.Parallel()
	a := held(t)
	ines := company.People()[0]
	staff := a.AddUser(fake.User{Email: "namesake@example.test", First: ines.Given, Last: ines.Family})
	host := a.AddUser(fake.User{Email: "hana@example.test", First: "Hana", Last: "Host"})
	a.AddSession(fake.Session{Host: host, Topic: "Logged in", Start: a.Now().Add(-5 * day), Participants: []fake.Participant{
		{ID: host, Name: "Hana Host", Email: "hana@example.test", Minutes: 20}, {ID: "eLsewhere-1", Name: ines.Name(), Minutes: 20},
		{ID: "eLsewhere-2", Name: "Somebody Else", Minutes: 20}, {ID: staff, Name: ines.Name(), Minutes: 20},
	}})
	f, s := a.locate(conformance.Person(company.Ines))
	evidence := ""
	for _, c := range f.Candidates {
		evidence += c.Evidence
	}
	if !strings.Contains(evidence, a.Now().Add(-5*day).Format(time.DateOnly)) || !strings.Contains(strings.Join(f.Notes, "\n"), "took part about 5 times") {
		t.Errorf("%q, %q", evidence, f.Notes)
	}
	out := &conformance.Recorder{}
	if _, err := a.drive(connector.Call{Operation: connector.Export, Subject: accept(s, f.Candidates...), Out: out}); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(out.Records["session"], "\n")
	if !strings.Contains(all, "eLsewhere-1") || strings.Contains(all, "eLsewhere-2") || strings.Contains(all, staff) {
		t.Errorf("%s", all)
	}
}

// What was asked without an e-mail is the person's only where nobody else in the
// session has the name.
func TestExport_namelessQuestions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mine, other string
		taken       int
		left        bool
	}{
		"alone":    {"Inès Martin", "Leo", 1, false},
		"namesake": {"Inès Martin", "INÈS Martin", 0, true},
		"one word": {"Inès", "Leo", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, fake.Options{})
			host := a.AddUser(fake.User{Email: "hana@example.test", First: "Hana", Last: "Host"})
			a.AddSession(fake.Session{UUID: "qUestions==", Host: host, Topic: "Questions", Start: a.Now().Add(-5 * day),
				Participants: []fake.Participant{{ID: host, Name: "Hana Host", Email: "hana@example.test", Minutes: 20}, {Name: tt.mine, Email: company.Ines, Minutes: 20}, {Name: tt.mine, Email: company.Ines, Minutes: 2}, {Name: tt.other, Minutes: 20}},
				Questions:    []fake.Question{{Name: tt.mine, Question: "Nameless?"}, {Name: "Leo", Question: "Of Leo?"}, {Name: "x", Email: company.Ines, Question: "Hers?"}},
			})
			_, s := a.locate(conformance.Person(company.Ines))
			out := &conformance.Recorder{}
			if _, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: out}); err != nil {
				t.Fatal(err)
			}
			for _, text := range out.Records["session"] {
				if !strings.Contains(text, "qUestions==") {
					continue
				}
				if strings.Count(text, "Nameless?") != tt.taken || strings.Contains(text, `"qa_left_out":1`) != tt.left || !strings.Contains(text, "Hers?") || strings.Contains(text, "Of Leo?") {
					t.Errorf("%s", text)
				}
				return
			}
			t.Error("the session is missing")
		})
	}
}

// An account is an employee's: an end user's request does not take it for theirs
// without anybody looking.
func TestLocate_account(t *testing.T) {
	t.Parallel()
	a := held(t)
	f, _ := a.locate(conformance.Person(company.Agent))
	if len(f.Candidates) != 1 || f.Candidates[0].Identifier.Kind != "zoom.user_id" || f.Counts["users"]+f.Counts["calls"] != 0 {
		t.Errorf("a request of an end user: %+v", f)
	}
	f, s := a.locate(employee(company.Agent))
	want := map[string]int{
		"users": 1, "hosted meetings": 1, "hosted webinars": 1, "recordings": 1, "sessions": 2, "calls": 3, "call recordings": 1, "voice mails": 1, "text sessions": 1,
	}
	if diff := cmp.Diff(want, f.Counts); diff != "" || len(s.Of("zoom.user_id")) != 1 || len(f.Notes) < 2 {
		t.Errorf("%s %q", diff, f.Notes)
	}
	if a.Beyond() != 0 {
		t.Errorf("%d calls were more than the account allows", a.Beyond())
	}
}

// A plus sign in an address, which Zoom reads as a space unless it is encoded;
// and accounts that are no list's default.
func TestLocate_accountStatus(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	a.AddUser(fake.User{Email: "hoax@example.test", Unverified: true})
	for mail, want := range map[string]int{fake.Desk: 1, "gone@example.test": 1, "invited@example.test": 1, "nobody@example.test": 0, "hoax@example.test": 0} {
		f, _ := a.locate(employee(mail))
		if f.Counts["users"] != want {
			t.Errorf("%s: %+v", mail, f.Counts)
		}
		if unproven := mail == "hoax@example.test"; unproven != (len(f.Candidates) == 1) {
			t.Errorf("%s: %+v", mail, f.Candidates)
		}
	}
}

// A search is not begun again by what it has yielded, but by what another
// system has: Salesforce keeps Zoom's ids.
func TestLocate_hints(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	f, s := a.locate(conformance.Person(company.Ines))
	before := len(a.Calls())
	s.Handle = f.Handle
	if again, err := a.c.Locate(t.Context(), s); err != nil || again.More != 0 || len(a.Calls()) != before || cmp.Diff(f.Counts, again.Counts) != "" {
		t.Errorf("asked again with what it has found: %d calls, %v", len(a.Calls())-before, err)
	}
	var event, registrant string
	a.Change(func(d *fake.Data) {
		for id, r := range d.Registrants {
			if r.Email == company.Mo {
				r.Email, event, registrant = "another@example.test", r.Event, id
			}
		}
	})
	hinted := connector.Subject{Identifiers: []identity.Identifier{conformance.By("zoom.registrant_id", registrant), conformance.By("zoom.webinar_id", event)}}
	first := len(a.Calls())
	f, _ = a.locate(hinted)
	if f.Counts["registrations"] != 1 {
		t.Errorf("by the id that Salesforce has: %+v", f.Counts)
	}
	if calls := a.Calls()[first:]; !strings.HasSuffix(calls[0].Path, event+"/registrants") {
		t.Errorf("the event that is named is not looked at first, but %s", calls[0].Path)
	}
}

// inventory is every field that Zoom holds of a person, by the kind of record in
// an export (docs/connectors/zoom.md). What stands behind a "!" lets whoever has
// it in: it is named, and its value never shown.
var inventory = map[string][]string{
	"user":         {"id", "phone.phone_user_id", "email", "pmi", "!pmi_password", "!host_key", "plan_united_type", "type"},
	"meeting":      {"topic", "join_url", "!password", "last_session.participants_count", "last_session.start_time", "last_session.end_time", "id", "duration", "!start_url", "host_id", "settings.host_video", "settings.participant_video"},
	"webinar":      {"topic", "agenda", "start_time", "join_url", "registration_url", "settings.approval_type", "settings.allow_multiple_devices", "settings.close_registration", "settings.host_video", "settings.panelists_video", "settings.practice_session", "!password", "last_session.participants_count", "last_session.start_time", "last_session.end_time"},
	"registration": {"first_name", "last_name", "id", "join_url", "status", "custom_questions"},
	"session":      {"participants.id", "participants.user_id", "participants.name", "participants.user_email", "participants.join_time", "participants.leave_time", "participants.duration", "participants_count", "topic", "start_time", "end_time"},
	"panelist":     {"name", "email", "id", "join_url"},
	"call":         {"start_time", "answer_time", "end_time", "call_id", "callee_ext_number", "callee_did_number", "caller_ext_number", "caller_did_number"},
}

// holds reports whether a record has a field by its path.
func holds(v any, path []string) bool {
	if list, ok := v.([]any); ok {
		return slices.ContainsFunc(list, func(one any) bool { return holds(one, path) })
	}
	if len(path) == 0 {
		return true
	}
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	inner, ok := m[path[0]]
	return ok && holds(inner, path[1:])
}

func TestExport_inventory(t *testing.T) {
	t.Parallel()
	a := held(t)
	out := &conformance.Recorder{}
	for _, subject := range []connector.Subject{conformance.Person(company.Ines), employee(company.Agent)} {
		f, s := a.locate(subject)
		p, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: out})
		if err != nil || !p.Done {
			t.Fatalf("%+v, %v", p, err)
		}
		if diff := cmp.Diff(f.Counts, p.Counts); diff != "" {
			t.Errorf("what is exported is not what was found: %s", diff)
		}
	}
	for kind, fields := range inventory {
		for _, field := range fields {
			name, door := strings.CutPrefix(field, "!")
			if !slices.ContainsFunc(out.Records[kind], func(text string) bool {
				var v map[string]any
				if err := json.Unmarshal([]byte(text), &v); err != nil {
					t.Fatal(err)
				}
				if door {
					named, _ := v["held_but_not_shown"].([]any)
					return slices.Contains(named, any(name)) && !holds(v, []string{name})
				}
				return holds(v, strings.Split(name, "."))
			}) {
				t.Errorf("%s: %s is not in the export", kind, field)
			}
		}
	}
	if status := strings.Join(out.Records["call"], ""); !strings.Contains(status, `"call_result"`) || !strings.Contains(status, `"result"`) {
		t.Error("the status of calls is not in the export")
	}
	for kind, list := range out.Records {
		for _, text := range list {
			for _, secret := range []string{"-secret", "host-key", "/rec/", "/download/", "zak="} {
				if strings.Contains(text, secret) {
					t.Errorf("%s: a way in is shown: %s", kind, text)
				}
			}
		}
	}
}

// call_logs is dropped in November 2026, call_elements comes instead: both are
// read, and both are deleted.
func TestExport_callArrays(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]bool{"call_logs": true, "call_elements": false} {
		a := newAccount(t, fake.Options{})
		a.Change(func(d *fake.Data) {
			for _, c := range d.Calls {
				c.Legacy = tt
			}
		})
		_, s := a.locate(employee(company.Agent))
		out := &conformance.Recorder{}
		if _, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: out}); err != nil || len(out.Records["call"]) != 3 {
			t.Errorf("%s: %d calls, %v", name, len(out.Records["call"]), err)
		}
		if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); err != nil || p.Counts["calls"] != 3 {
			t.Errorf("%s: %+v, %v", name, p.Counts, err)
		}
	}
}

func TestErase_outside(t *testing.T) {
	t.Parallel()
	a := held(t)
	_, s := a.locate(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.Email, company.Ines), conformance.By(identity.Phone, "+33 6 55 00 01 01")}})
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || !p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	if diff := cmp.Diff(map[string]int{"registrations": 3, "panelists": 1, "calls": 2, "call recordings": 1}, p.Counts); diff != "" {
		t.Error(diff)
	}
	if len(p.Kept) != 2 || !strings.Contains(p.Kept[0].What, "polls: 2") || p.Kept[0].Until != "2027-07-17" || !strings.Contains(p.Kept[1].Reason, "text messages") {
		t.Errorf("what stays: %+v", p.Kept)
	}
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
	a.Change(func(d *fake.Data) {
		if len(d.Registrants) != 40 || len(d.Panelists) != 1 || len(d.Users) != 5 || len(d.Calls) != 1 {
			t.Errorf("others were touched: %d registrants, %d panelists, %d users, %d calls", len(d.Registrants), len(d.Panelists), len(d.Users), len(d.Calls))
		}
	})
	text, _ := json.Marshal(p)
	for _, planted := range []string{"ines", "Martin", "33655", "agent@"} {
		if strings.Contains(string(text), planted) {
			t.Errorf("progress holds %q: %s", planted, text)
		}
	}
	again, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s, Again: true})
	if err != nil || !again.Done || len(again.Counts) != 0 {
		t.Errorf("when all is gone: %+v, %v", again, err)
	}
	// She registers again for the same webinar: a later look finds it.
	a.AddRegistrant(fake.Registrant{Event: "86000001008", Email: company.Ines, First: "Inès", Status: "denied"})
	if r := a.verify(s); r.Counts["registrations"] != 1 {
		t.Errorf("a registration that came back: %+v", r)
	}
}

// Without its action Zoom only takes the person out of the account and keeps all
// of it; with transfer_* somebody else has it; and recordings go to the trash.
func TestErase_actionDelete(t *testing.T) {
	t.Parallel()
	a := held(t)
	_, s := a.locate(employee(company.Agent))
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || p.Counts["users"] != 1 || p.Counts["recordings"] != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	a.Change(func(d *fake.Data) {
		for _, u := range d.Users {
			if u.Email == company.Agent {
				t.Errorf("the user is %s", u.Status)
			}
		}
		if len(d.Recordings) != 0 || len(d.Calls) != 0 || len(d.Audio) != 0 {
			t.Errorf("%d recordings, %d calls, %d sounds are left", len(d.Recordings), len(d.Calls), len(d.Audio))
		}
	})
	for _, c := range a.Calls() {
		if strings.Contains(c.Query, "transfer") || c.Method == http.MethodDelete && c.Query != "" && !strings.HasPrefix(c.Query, "occurrence_id=") && c.Query != "action=delete" {
			t.Errorf("%s %s?%s", c.Method, c.Path, c.Query)
		}
	}
	r := a.verify(s)
	if len(r.Counts) != 0 || len(r.Evidence) == 0 {
		t.Errorf("%+v", r)
	}
	a.AddUser(fake.User{Email: company.Agent, Status: fake.Inactive})
	if r := a.verify(s); r.Counts["users"] != 1 {
		t.Errorf("an account that came back, inactive: %+v", r)
	}
}

// A call whose other end is no user cannot be deleted: it is listed as kept, once,
// however often its window is read.
func TestErase_callOfNobody(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	a.AddCall(fake.Call{Owner: "a queue", Inbound: true, Name: "Inès", Email: company.Ines, Number: "+33655000101", Start: start.Add(-41 * day)})
	_, s := a.locate(conformance.Person(company.Ines))
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || p.Counts["calls"] != 1 || len(p.Kept) != 2 || p.Kept[1].What != "records of Zoom Phone: 1" {
		t.Errorf("%+v, %+v, %v", p.Counts, p.Kept, err)
	}
	if r := a.verify(s); r.Counts["calls"] != 0 {
		t.Errorf("what is kept on purpose is no residue: %+v", r)
	}
}

func TestErase_invitation(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	_, s := a.locate(employee("invited@example.test"))
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || p.Counts["users"] != 1 || fakekit.Count(a.Calls(), "DELETE /users/{id}?action=disassociate") != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestErase_ownerAndRoom(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	a.AddUser(fake.User{Email: "room@example.test", Room: true})
	for _, mail := range []string{"owner@example.test", "room@example.test"} {
		_, s := a.locate(employee(mail))
		if _, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); !errs.Is(err, errs.Conflict) || strings.Contains(err.Error(), "@") {
			t.Errorf("%s: %v", mail, err)
		}
	}
}

// Two deletions of one user at a time are refused; the other one is waited for.
func TestErase_concurrentDelete(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	_, s := a.locate(employee("gone@example.test"))
	id := s.Of("zoom.user_id")[0].Value.Reveal()
	a.Change(func(d *fake.Data) { d.Busy[id] = a.Time().Add(time.Hour) })
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if !errs.Is(err, errs.Unavailable) || p.Counts["users"] != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	a.Advance(time.Hour)
	if p, err = a.drive(connector.Call{Operation: connector.Erase, Subject: s, Again: true}); err != nil || p.Counts["users"] != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

// A panelist without an id would be all panelists.
func TestErase_emptyID(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.c = a.connect(liar{conformance.Local(a.Server), func(r *http.Request) string {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/panelists") {
			return `{"panelists":[{"id":"","email":"` + company.Ines + `"}]}`
		}
		return ""
	}})
	if _, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
	a.Change(func(d *fake.Data) {
		if len(d.Panelists) != 2 {
			t.Errorf("%d panelists", len(d.Panelists))
		}
	})
}

// A page of HTML is no word of Zoom: nothing is gone because of it. And a list
// that leads in a circle has no end, but the search has.
func TestHostile(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	_, s := a.locate(employee(company.Agent))
	a.Fail(fakekit.Failure{Method: http.MethodDelete, Route: "/phone/voice_mails/{audio}", Status: 404, HTML: true})
	if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); !errs.Is(err, errs.Unavailable) || p.Counts["voice mails"] != 0 {
		t.Errorf("%+v, %v", p.Counts, err)
	}
	a.Mend()
	a.c = a.connect(liar{conformance.Local(a.Server), func(r *http.Request) string {
		if strings.HasSuffix(r.URL.Path, "/meetings") {
			return `{"meetings":[{"id":1,"topic":"<script>"},7,null,{"id":{}}],"next_page_token":"again"}`
		}
		return ""
	}})
	if _, err := search(a, conformance.Person(company.Ines)); !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), "circle") {
		t.Errorf("%v", err)
	}
	for _, handle := range []string{"x", `{"keys":["x"],"day":"soon"}`} {
		s := conformance.Person(company.Ines)
		s.Handle = handle
		if handle != "x" {
			s.Identifiers = nil
		}
		if _, err := a.c.Locate(t.Context(), s); !errs.Is(err, errs.Internal) {
			t.Errorf("%s: %v", handle, err)
		}
	}
	many := conformance.Person("busy@example.test")
	for n := range 500 {
		many.Identifiers = append(many.Identifiers, conformance.By("zoom.records", fmt.Sprintf("meeting/%d/r/", 90000000000+n)))
	}
	if _, err := a.c.Verify(t.Context(), connector.Call{Operation: connector.Erase, Subject: many, Now: a.Now()}); !errs.Is(err, errs.TooLarge) {
		t.Errorf("%v", err)
	}
	s.Identifiers = append(s.Identifiers, conformance.By("zoom.records", "meeting//x/"))
	if _, err := a.c.Start(t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()}); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
}

// What is listed although it was deleted is waited for, within bounds, and never
// counted twice.
func TestErase_listLags(t *testing.T) {
	t.Parallel()
	for name, until := range map[string]time.Duration{"minutes": 3 * time.Minute, "for ever": 999 * day} {
		a := newAccount(t, fake.Options{})
		_, s := a.locate(conformance.Person(company.Ines))
		a.c = a.connect(liar{conformance.Local(a.Server), func(r *http.Request) string {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/panelists") && a.Now().Before(start.Add(time.Minute+until)) {
				return `{"panelists":[{"id":"pAn_1053","email":"` + company.Ines + `"}]}`
			}
			return ""
		}})
		p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
		if forever := until > day; forever != errs.Is(err, errs.Conflict) || !forever && p.Counts["panelists"] != 1 {
			t.Errorf("%s: %+v, %v", name, p.Counts, err)
		}
	}
}

// liar answers some calls itself.
type liar struct {
	next http.RoundTripper
	lies func(*http.Request) string
}

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	body := l.lies(r)
	if body == "" {
		return l.next.RoundTrip(r)
	}
	return conformance.Local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(body))
	})).RoundTrip(r)
}

// An account without telephones, where each endpoint has another code for that.
func TestErase_noTelephone(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	_, s := a.locate(employee(fake.Desk))
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || p.Counts["users"] != 1 || p.Counts["calls"] != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestRectify(t *testing.T) {
	t.Parallel()
	a := held(t)
	_, s := a.locate(employee(fake.Desk))
	call := connector.Call{Operation: connector.Rectify, Subject: s, Changes: []connector.Change{
		{Field: "first_name", Old: "Hana", New: "Hanna"}, {Field: "email", Old: fake.Desk, New: "hanna@example.test"},
	}}
	for i, want := range []int{1, 0} { // repeated, there is nothing to do
		if p, err := a.drive(call); err != nil || !p.Done || p.Counts["users"] != want {
			t.Errorf("time %d: %+v, %v", i, p, err)
		}
	}
	a.Change(func(d *fake.Data) {
		if !slices.ContainsFunc(slices.Collect(mapValues(d.Users)), func(u *fake.User) bool { return u.Email == "hanna@example.test" && u.First == "Hanna" }) {
			t.Error("nothing was corrected")
		}
	})
	// Outside the managed domains only Zoom, and the person, can change it.
	call.Changes = []connector.Change{{Field: "email", Old: "hanna@example.test", New: "hanna@elsewhere.test"}}
	if p, err := a.drive(call); err != nil || p.Done || p.Ask == nil || fakekit.Count(a.Calls(), "PUT /users/{id}/email") != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	// A registration cannot be edited; removing and adding it sends mail.
	_, s = a.locate(conformance.Person(company.Ines))
	call.Subject, call.Changes = s, []connector.Change{{Field: "last_name", Old: "Martin", New: "Durand"}}
	before := len(a.Calls())
	p, err := a.drive(call)
	if err != nil || p.Ask == nil || !strings.Contains(p.Ask.Instructions, "sends new mail") {
		t.Errorf("%+v, %v", p, err)
	}
	for _, c := range a.Calls()[before:] {
		if c.Method != http.MethodGet {
			t.Errorf("%s %s", c.Method, c.Path)
		}
	}
}

func mapValues[K comparable, V any](m map[K]V) func(func(V) bool) {
	return func(yield func(V) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// A UUID with slashes is found only when it is encoded twice.
func TestDoubleEncodedUUID(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	twice := 0
	a.c = a.connect(hook{conformance.Local(a.Server), func(r *http.Request) {
		if strings.Contains(r.URL.EscapedPath(), "%252FaBc%252F%252FdEf%252BgHi%253D%253D") {
			twice++
		}
	}})
	_, s := a.locate(employee(company.Agent))
	out := &conformance.Recorder{}
	if _, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: out}); err != nil || !strings.Contains(strings.Join(out.Records["session"], ""), `"uuid":"`+fake.Slashed+`"`) || twice < 4 {
		t.Errorf("%d calls, %v", twice, err)
	}
}

// Zoom says when to come back by a date in ISO 8601, or not at all, and its
// X-RateLimit headers may be missing.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for form, want := range map[string]time.Duration{"iso": 5 * time.Hour, "none": 0} {
		a := newAccount(t, fake.Options{})
		a.Fail(fakekit.Failure{Route: "/users", Status: 429, After: 5*time.Hour + time.Second/2, Form: form})
		_, err := a.c.Locate(t.Context(), employee("invited@example.test"))
		after, told := connector.RetryAfter(err)
		if !errs.Is(err, errs.Unavailable) || !told || after < want || after > want+time.Minute {
			t.Errorf("%s: %v, %v", form, after, err)
		}
	}
}

// The same code means something else at each endpoint: a user that does not
// exist is none at one, a wrong request at another.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	for body, want := range map[string]bool{`{"code":300,"message":"This meeting has not set registration as required: 1."}`: true, `{"code":4711,"message":"Invalid access token, does not contain scopes of ines@example.test"}`: false} {
		a.c = a.connect(hook400{conformance.Local(a.Server), "/registrants", body})
		_, err := search(a, conformance.Person(company.Ines))
		if (err == nil) != want || err != nil && (!strings.Contains(err.Error(), "status 400 4711") || strings.Contains(err.Error(), "@")) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// search takes a search to its end or to its first error.
func search(a *account, s connector.Subject) (f connector.Findings, err error) {
	for range 500 {
		if f, err = a.c.Locate(a.t.Context(), s); err != nil || f.More == 0 {
			return f, err
		}
		s.Handle = f.Handle
	}
	return f, err
}

// hook400 refuses some calls.
type hook400 struct {
	next         http.RoundTripper
	suffix, body string
}

func (h hook400) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, h.suffix) {
		return h.next.RoundTrip(r)
	}
	return conformance.Local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(h.body))
	})).RoundTrip(r)
}

// Replaced credentials work without a restart; wrong ones are a matter for a
// person.
func TestCredentials(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	a.locate(employee(fake.Desk))
	a.SetSecret("another")
	if _, err := a.c.Locate(t.Context(), employee(fake.Desk)); !errs.Is(err, errs.Forbidden) || strings.Contains(err.Error(), "zoom-secret") {
		t.Errorf("%v", err)
	}
	a.secret = `{"client_id":"avow","client_secret":"another"}`
	if _, err := a.c.Locate(t.Context(), employee(fake.Desk)); err != nil {
		t.Errorf("%v", err)
	}
	a.Advance(2 * fake.TokenLife) // there is no refresh token: another one is asked for
	if _, err := a.c.Locate(t.Context(), employee(fake.Desk)); err != nil {
		t.Errorf("%v", err)
	}
	a.secret = "not JSON"
	a.Revoke()
	if _, err := a.c.Locate(t.Context(), employee(fake.Desk)); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%v", err)
	}
}

// While Zoom is down, nothing is lost; pages of HTML are no answers.
func TestDown(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.Fail(fakekit.Failure{Status: 503, HTML: true})
	for _, op := range []connector.Operation{connector.Export, connector.Erase} {
		if _, err := a.drive(connector.Call{Operation: op, Subject: s, Out: &conformance.Recorder{}}); !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v", err)
	}
	a.Advance(7 * day)
	a.Mend()
	if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s, Again: true}); err != nil || p.Counts["registrations"] != 3 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{})
	for config, want := range map[string]string{
		``:                                  "config.account_id is missing",
		`{"account_id":"a","months":7}`:     "config.months must be 0 to 6",
		`{"account_id":"a","expire":0}`:     "config.expire must be 1 to 120",
		`{"account_id":"a","per_second":0}`: "config.per_second must be 1 to 40",
		`{"account_id":"a","base_url":"http://api.zoom.us/v2"}`: "must begin with https://",
		`{"account_id":"a","login_url":"x"}`:                    "base_url is no address",
		`{"account":"a"}`:                                       `unknown field "account"`,
	} {
		a.config = config
		if _, err := zoom.New(a.options(nil)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `system "zoom"`) {
			t.Errorf("%s: %v", config, err)
		}
	}
}
