package zoom_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/zoom/fake"
	"github.com/avow-consent/avow/internal/identity"
)

// The search of a large account takes hundreds of pieces and longer than a page
// token lives: it goes on where it stopped, also when a host has gone, and says
// how far it is. Its handle stays small, and holds nobody's name or address.
func TestLocate_largeAccount(t *testing.T) {
	t.Parallel()
	const hosts = 350
	a := newAccount(t, fake.Options{})
	var first, late string
	for n := range hosts {
		id := a.AddUser(fake.User{ID: fmt.Sprintf("host-%04d", n), Email: fmt.Sprintf("host.%d@example.test", n), First: "Host", Last: fmt.Sprint(n)})
		event := a.AddEvent(fake.Event{Host: id, Topic: "Demo", Webinar: n%2 == 0})
		a.AddRegistrant(fake.Registrant{Event: event, Email: fmt.Sprintf("guest.%d@elsewhere.test", n), First: "Guest", Last: fmt.Sprint(n)})
		switch n {
		case 10:
			first = event
		case hosts - 5:
			late = event
		}
	}
	for _, event := range []string{first, late} {
		a.AddRegistrant(fake.Registrant{Event: event, Email: company.Mo, First: "Mo", Last: "Haddad"})
	}
	pieces, longest, last := 0, 0, 0
	s := conformance.Person(company.Mo)
	var f connector.Findings
	for range 2000 {
		var err error
		if f, err = a.c.Locate(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		pieces, longest = pieces+1, max(longest, len(f.Handle))
		if f.Done < last || f.Done > f.Of {
			t.Fatalf("piece %d: %d of %d, after %d", pieces, f.Done, f.Of, last)
		}
		last = f.Done
		if strings.Contains(f.Handle, "@") || strings.Contains(f.Handle, "Haddad") {
			t.Fatalf("the handle names somebody: %s", f.Handle)
		}
		if pieces == 100 { // a host whom the search has passed, and one to come
			a.Change(func(d *fake.Data) { delete(d.Users, "host-0003"); delete(d.Users, "host-0325") })
		}
		if s.Handle = f.Handle; f.More == 0 {
			break
		}
		if a.Advance(f.More); pieces%10 == 0 { // others use the account, too
			a.Advance(2 * fake.PageLife)
		}
	}
	if f.More != 0 || f.Counts["registrations"] != 3 { // one of them is of the seed
		t.Errorf("%+v", f.Counts)
	}
	dead := 0
	for _, c := range a.Calls() {
		if c.Route == "/users" && c.Status == http.StatusBadRequest {
			dead++
		}
	}
	t.Logf("%d hosts: %d calls in %d pieces, %v, %d dead tokens, handles of up to %d bytes", hosts, len(a.Calls()), pieces, a.Now().Sub(start), dead, longest)
	if dead == 0 || longest > 4096 || a.Beyond() != 0 {
		t.Errorf("%d dead tokens, %d bytes, %d calls too many", dead, longest, a.Beyond())
	}
	if calls := len(a.Calls()); calls > hosts*16 || calls/pieces > 60 {
		t.Errorf("%d calls in %d pieces", calls, pieces)
	}
}

// What a person costs in calls: deterministic.
func TestFigures(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		subject                 connector.Subject
		locate, export, erasure int
	}{
		"registrant": {conformance.Person(company.Ines), 96, 33, 40},
		"employee":   {employee(company.Agent), 143, 73, 74},
	} {
		a := newAccount(t, fake.Options{})
		_, s := a.locate(tt.subject)
		located := len(a.Calls())
		if _, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: &conformance.Recorder{}}); err != nil {
			t.Fatal(err)
		}
		exported := len(a.Calls()) - located
		if _, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); err != nil {
			t.Fatal(err)
		}
		erased := len(a.Calls()) - located - exported
		t.Logf("%s, 4 hosts: %d calls to locate, %d to export, %d to erase", name, located, exported, erased)
		if located != tt.locate || exported != tt.export || erased != tt.erasure {
			t.Errorf("%s: %d, %d and %d calls, not %d, %d and %d", name, located, exported, erased, tt.locate, tt.export, tt.erasure)
		}
	}
}

// small makes an account with one of everything: each call of it is tried under
// every fault.
func small(a *account) {
	ago := func(days int) time.Time { return start.Add(-time.Duration(days) * day) }
	agent := a.AddUser(fake.User{Email: company.Agent, First: "Sam", Last: "Agent", Phone: "+33199001000", PhoneUser: "p"})
	workshop := a.AddEvent(fake.Event{Host: agent, Topic: "Workshop", EachTime: true, Occurrences: []string{"1"}, Start: ago(9)})
	webinar := a.AddEvent(fake.Event{Host: agent, Topic: "Webinar", Webinar: true, Start: ago(5), Made: ago(99)})
	a.AddRegistrant(fake.Registrant{Event: workshop, Occurrence: "1", Email: company.Ines, First: "Inès", Last: "Martin"})
	signed := a.AddRegistrant(fake.Registrant{Event: webinar, Email: company.Ines, First: "Inès", Last: "Martin"})
	a.AddRegistrant(fake.Registrant{Event: webinar, Email: company.Leo, First: "Léo", Last: "Petit"})
	a.AddPanelist(fake.Panelist{Event: webinar, Email: company.Ines, Name: "Inès Martin"})
	staff := fake.Participant{ID: agent, Name: "Sam Agent", Email: company.Agent, Minutes: 9}
	a.AddSession(fake.Session{UUID: fake.Slashed, Event: webinar, Host: agent, Webinar: true, Start: ago(5), Participants: []fake.Participant{staff, {Name: "Inès Martin", Registrant: signed, Minutes: 8}}})
	a.AddSession(fake.Session{Event: workshop, Host: agent, Start: ago(9), Participants: []fake.Participant{staff, {Name: "Inès Martin", Minutes: 8}}})
	a.AddRecording(fake.Recording{UUID: fake.Slashed, Event: webinar, Host: agent, Start: ago(5)})
	a.AddCall(fake.Call{Owner: agent, Inbound: true, Name: "Inès Martin", Number: "+33655000101", Start: ago(3)})
	a.AddAudio(fake.Audio{Owner: agent, Kind: "voice_mails", Number: "+33655000101", At: ago(3)})
}

// world is a fresh account with a person in it.
func world(subject connector.Subject) func(testing.TB) *conformance.World {
	return func(t testing.TB) *conformance.World {
		a := newAccount(t, fake.Options{Empty: true})
		a.config = `{"account_id":"acc-avow","phone":true,"managed_domains":["example.test"],"months":1}`
		small(a)
		return &conformance.World{
			Vendor:  conformance.Local(a.Server),
			Connect: func(r http.RoundTripper) (connector.Connector, error) { return a.connect(r), nil },
			Subject: subject, Now: a.Now, Advance: a.Advance,
			Changes: []connector.Change{{Field: "first_name", Old: "Sam", New: "Samuel"}, {Field: "email", Old: company.Agent, New: "samuel@example.test"}},
			State:   func() any { return a.State() },
			Harm: func() (list []string) {
				for _, c := range a.Calls() {
					if c.Applied && (c.Method == http.MethodPost || c.Route == "/users/{id}/email") {
						list = append(list, c.Method+" "+c.Route)
					}
				}
				return list
			},
		}
	}
}

// The connector under every fault of every call.
func TestConformance(t *testing.T) {
	t.Parallel()
	for name, subject := range map[string]connector.Subject{
		"registrant": {Identifiers: []identity.Identifier{conformance.By(identity.Email, company.Ines), conformance.By(identity.Phone, "+33655000101")}},
		"employee":   employee(company.Agent),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conformance.Run(t, world(subject))
		})
	}
}
