package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// reasons are what decide answers by id and by e-mail.
func (w *world) reasons(subjectID, email string) []consent.Reason {
	return []consent.Reason{w.decide(subjectID, "", "news").Reason, w.decide("", email, "news").Reason}
}

func both(r consent.Reason) []consent.Reason { return []consent.Reason{r, r} }

// TestRestrict: until it is lifted the answer is no, whatever is granted.
func TestRestrict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(consent.Private, "crm-1", ines, "true")
	w.say(consent.Private, "crm-2", bob, "true")
	s, _ := w.locate(of(ines))
	w.advance(time.Minute)
	before := w.now()
	call := w.call(connector.Restrict, s)
	if p := w.run(call); !p.Done || p.Counts["subjects"] != 2 {
		t.Errorf("%+v", p)
	}
	rows := len(w.rows("EVENTS_TABLE"))
	w.advance(time.Hour)
	w.run(call)
	if again := len(w.rows("EVENTS_TABLE")); again != rows {
		t.Errorf("a repetition appends %d rows", again-rows)
	}
	w.say(consent.Private, "crm-1", ines, "true")
	w.say(consent.Public, "", ines, "true")
	if diff := cmp.Diff(both(consent.Restricted), w.reasons("crm-1", ines)); diff != "" {
		t.Error(diff)
	}
	if r := w.reasons("crm-2", bob); r[0] != consent.Granted {
		t.Errorf("bob: %v", r)
	}
	u, err := consent.NewPeople(w.events, w.hasher).ByEmail(t.Context(), shop, ines, time.Time{})
	must(t, err)
	if past := consent.Decide(u.Events, "news", consent.View{Now: w.now(), At: before.Add(-time.Second)}, consent.Rules{}); !past.Granted {
		t.Errorf("before the restriction: %+v", past)
	}
	w.project()
	v, err := w.options.Views.View(t.Context(), w.partition("crm-1"))
	must(t, err)
	if p := v.Preferences(w.now(), consent.Rules{})[0]; p.Granted || p.Reason != consent.Restricted || p.Value != "false" {
		t.Errorf("the view: %+v", p)
	}
	w.advance(time.Minute)
	must(t, w.connector().Lift(t.Context(), s, w.newID(w.now())))
	if diff := cmp.Diff(both(consent.Granted), w.reasons("crm-1", ines)); diff != "" {
		t.Error(diff)
	}
}

// TestObject: a no to everything, or to what is named, that a later grant ends.
func TestObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(consent.Private, "crm-1", ines, "true")
	s, _ := w.locate(of(ines))
	w.advance(time.Minute)
	named := w.call(connector.Object, s)
	named.Changes = []connector.Change{{Field: ledger.FieldPreference, New: "partners"}}
	w.run(named)
	if diff := cmp.Diff(both(consent.Granted), w.reasons("crm-1", ines)); diff != "" {
		t.Error(diff)
	}
	if d := w.decide("crm-1", "", "partners"); d.Granted || d.Reason != consent.Objected {
		t.Errorf("partners: %+v", d)
	}
	w.advance(time.Minute)
	w.run(w.call(connector.Object, s))
	if diff := cmp.Diff(both(consent.Objected), w.reasons("crm-1", ines)); diff != "" {
		t.Error(diff)
	}
	if d := w.decide("crm-1", "", "never asked"); d.Reason != consent.Objected {
		t.Errorf("what was never asked: %+v", d)
	}
	w.say(consent.Public, "", ines, "true")
	if diff := cmp.Diff(both(consent.Unconfirmed), w.reasons("crm-1", ines)); diff != "" {
		t.Errorf("a public grant after a proven objection: %s", diff)
	}
	w.say(consent.Private, "crm-1", ines, "true")
	if diff := cmp.Diff(both(consent.Granted), w.reasons("crm-1", ines)); diff != "" {
		t.Errorf("a proven grant after it: %s", diff)
	}
}

// TestObjectAtReceipt: an objection acts before anybody has proven anything, and
// says no more than a public refusal may.
func TestObjectAtReceipt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.say(consent.Private, "crm-1", ines, "true")
	w.advance(time.Minute)
	a := consent.Amender{Ledger: w.events, Hasher: w.hasher, Now: w.now}
	request := w.newID(w.now())
	for range 2 {
		if _, err := a.ObjectAtReceipt(t.Context(), shop, " INES@example.test", nil, request); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(both(consent.Objected), w.reasons("crm-1", ines)); diff != "" {
		t.Error(diff)
	}
	if n := len(w.rows("EVENTS_TABLE")); n != 3 {
		t.Errorf("%d rows", n)
	}
	w.say(consent.Public, "", ines, "true")
	if diff := cmp.Diff(both(consent.Granted), w.reasons("crm-1", ines)); diff != "" {
		t.Errorf("a later grant: %s", diff)
	}
	for _, address := range []string{"", "nobody", "a@"} {
		if _, err := a.ObjectAtReceipt(t.Context(), shop, redact.String(address), nil, request); err == nil {
			t.Errorf("%q objects", address)
		}
	}
	if _, err := a.ObjectAtReceipt(t.Context(), shop, ines, nil, "no request"); err == nil {
		t.Error("an objection without a request")
	}
}

// TestRectify: corrected fields show at once in the whole person, and the old
// value stays in the ledger that only grows.
func TestRectify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := submission(consent.Private, "crm-1", "inse@example.test", "true")
	first.Profile.Phones = &consent.Phones{List: []consent.Phone{{Number: "+33 611", Label: "home"}, {Number: "+33612345678", Label: "mobile"}}}
	w.post(first)
	w.project()
	s, _ := w.locate(of("", id(identity.SubjectID, "crm-1")))
	w.advance(time.Minute)
	call := w.call(connector.Rectify, s)
	call.Changes = []connector.Change{
		{Field: "email", Old: "inse@example.test", New: ines}, {Field: "first_name", New: "Ines"},
		{Field: "phone", Old: "+33 6 12 34 56 78", New: "+33698765432"},
	}
	w.run(call)
	rows := len(w.rows("EVENTS_TABLE"))
	w.run(call)
	if n := len(w.rows("EVENTS_TABLE")); n != rows {
		t.Errorf("a repetition appends %d rows", n-rows)
	}
	w.project()
	v, err := w.options.Views.View(t.Context(), w.partition("crm-1"))
	must(t, err)
	if v.Email != ines || v.FirstName != "Ines" {
		t.Error("the view shows other names")
	}
	want := []consent.Phone{{Number: "+33 611", Label: "home"}, {Number: "+33698765432", Label: "mobile"}}
	if !cmp.Equal(want, v.Phones, cmp.Comparer(func(a, b redact.String) bool { return a == b })) {
		t.Errorf("%d phones, labels %v", len(v.Phones), v.Phones)
	}
	if diff := cmp.Diff(both(consent.Granted), w.reasons("crm-1", ines)); diff != "" {
		t.Errorf("by the new address: %s", diff)
	}
	call = w.call(connector.Rectify, s)
	call.Changes = []connector.Change{{Field: "iban", New: "x"}, {Field: "Ines Roy <ines@example.test>", New: "x"}}
	if p := w.run(call); p.Ask == nil || strings.Contains(p.Ask.Reason, "@") || !strings.Contains(p.Ask.Reason, "iban") {
		t.Errorf("fields that the ledger does not know: %+v", p.Ask)
	}
	call.Changes = []connector.Change{{Field: "email", New: "no address"}}
	if _, err := w.connector().Start(t.Context(), call); err == nil {
		t.Error("an e-mail that is none")
	}
}
