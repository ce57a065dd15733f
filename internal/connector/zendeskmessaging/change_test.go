package zendeskmessaging_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
	"github.com/avow-consent/avow/internal/errs"
)

// record is a user as the vendor has it.
func (d *inbox) record(id string) fake.User {
	d.t.Helper()
	for _, u := range d.State().Users {
		if u.ID == id {
			return u
		}
	}
	d.t.Fatal("there is no such user")
	return fake.User{}
}

// The contract does not say whether PATCH drops what it does not name. Either
// way only what is corrected changes.
func TestRectify(t *testing.T) {
	t.Parallel()
	for name, merges := range map[string]bool{"it replaces": false, "it merges": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newInbox(t, fake.Options{Merges: merges})
			ines := d.Find(company.Ines)
			s := d.located(conformance.Person(company.Ines))
			call := connector.Call{Operation: connector.Rectify, Subject: s, Changes: []connector.Change{
				{Field: "last_name", Old: "Martin", New: "Durand"}, {Field: "metadata.plan", Old: "shop", New: "club"},
				{Field: "language", Old: "fr"}, {Field: "metadata.city", New: "Lyon"}, {Field: "first_name", Old: "Agnès", New: "Inès-Marie"},
			}}
			for i, want := range []int{1, 0} { // repeated, there is nothing to do
				p, err := d.drive(call)
				if err != nil || !p.Done || p.Counts["users"] != want {
					t.Errorf("time %d: %+v, %v", i, p, err)
				}
			}
			u := d.record(ines)
			if diff := cmp.Diff(map[string]string{"givenName": "Inès", "surname": "Durand", "email": company.Ines}, u.Profile); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(map[string]any{"plan": "club", "city": "Lyon"}, u.Metadata); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Identities are read-only: the profile is corrected, and what is left is put to
// a person, with Support and sync in the instructions.
func TestRectify_identityGoesThroughSupport(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	ines := d.Find(company.Ines)
	s := d.located(conformance.Person(company.Ines))
	call := connector.Call{Operation: connector.Rectify, Subject: s, Changes: []connector.Change{{Field: "email", Old: "INES@example.test", New: "ines.durand@example.test"}}}
	p, err := d.drive(call)
	if err != nil || p.Done || p.Ask == nil || !strings.Contains(p.Ask.Instructions, "/sync") || !strings.Contains(p.Ask.Reason, "read-only") || p.Counts["users"] != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	for _, text := range []string{p.Ask.Reason, p.Ask.Instructions} {
		if strings.Contains(text, "ines") {
			t.Errorf("a task holds an e-mail: %q", text)
		}
	}
	if u := d.record(ines); u.Profile["email"] != "ines.durand@example.test" || u.Identities[0].Value != company.Ines {
		t.Errorf("%+v", u)
	}
}

func TestRectify_otherFields(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	s := d.located(conformance.Person(company.Leo))
	call := connector.Call{Operation: connector.Rectify, Subject: s, Changes: []connector.Change{{Field: "phone", Old: company.Shared, New: "+33199001133"}}}
	if p, err := d.drive(call); err != nil || p.Ask == nil || p.Counts["users"] != 0 {
		t.Errorf("a telephone: %+v, %v", p, err)
	}
	call.Changes = []connector.Change{{Field: "last_name", Old: "Grand", New: "Petit-Grand"}, {Field: "metadata.", New: "x"}}
	if p, err := d.drive(call); err != nil || !p.Done || p.Counts["users"] != 0 {
		t.Errorf("a value that nobody has: %+v, %v", p, err)
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	for name, merges := range map[string]bool{"it replaces": false, "it merges": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newInbox(t, fake.Options{Merges: merges})
			d.set(`,"object_tag":"no_marketing"`)
			leo := d.Find(company.Leo)
			s := d.located(conformance.Person(company.Leo))
			for _, op := range []connector.Operation{connector.Restrict, connector.Object, connector.Restrict} {
				if p, err := d.drive(connector.Call{Operation: op, Subject: s}); err != nil || !p.Done || p.Counts["users"] != 1 {
					t.Errorf("%s: %+v, %v", op, p, err)
				}
			}
			if diff := cmp.Diff(map[string]any{"plan": "shop", "avow_restricted": true, "no_marketing": true}, d.record(leo).Metadata); diff != "" {
				t.Error(diff)
			}
			if n := d.calls(0)["PATCH /users/{id}"]; n != 2 {
				t.Errorf("%d writes", n)
			}
		})
	}
}

// Metadata has 4 KB. A tag that does not fit is a matter for a person, and
// nothing is sent.
func TestTags_noRoom(t *testing.T) {
	t.Parallel()
	d := newInbox(t, fake.Options{})
	id := d.AddUser(fake.User{ExternalID: "x-1", Metadata: map[string]any{"note": strings.Repeat("x", 4<<10-15)}})
	s := connector.Subject{Identifiers: nil}
	s.Identifiers = append(s.Identifiers, conformance.By("messaging.user_id", id))
	if _, err := d.drive(connector.Call{Operation: connector.Restrict, Subject: s}); !errs.Is(err, errs.Conflict) {
		t.Errorf("%v", err)
	}
	if n := d.calls(0)["PATCH /users/{id}"]; n != 0 {
		t.Errorf("%d writes", n)
	}
}
