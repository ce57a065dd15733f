package dynamo_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
)

// all are the rows of a partition, read in pages of a size.
func all(t testing.TB, s *dynamo.Events, subject string, size int) []consent.Row {
	t.Helper()
	var list []consent.Row
	for after := ""; ; {
		page, next, err := s.Page(t.Context(), subject, after, size)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, page...)
		if after = next; next == "" {
			return list
		}
	}
}

// TestEvents_page: pages of any size give the same rows, statements and bindings
// behind the consents.
func TestEvents_page(t *testing.T) {
	t.Parallel()
	_, s := ledger(t)
	var events []*consent.Event
	for i := range 7 {
		events = append(events, said(t, "cust-1", i))
	}
	objection := said(t, "cust-1", 8)
	objection.Kind, objection.All, objection.Case, objection.Preferences = consent.KindObjection, true, "case", nil
	restriction := said(t, "cust-1", 9)
	restriction.Kind, restriction.Lifted = consent.KindRestriction, true
	appendAll(t, s, append(events, objection, restriction)...)
	if err := s.Bind(t.Context(), &consent.Binding{Site: "shop", Own: events[0].Subject, Subject: "other", SubjectID: "x", Email: "a@x.test", At: epoch}); err != nil {
		t.Fatal(err)
	}
	want := all(t, s, events[0].Subject, 100)
	forms := map[consent.RowForm]int{}
	for _, r := range want {
		forms[r.Form]++
		if r.Event != nil && !r.Said.Equal(r.Event.Said()) {
			t.Errorf("said %v", r.Said)
		}
	}
	if diff := cmp.Diff(map[consent.RowForm]int{consent.RowConsent: 7, consent.RowStatement: 2, consent.RowBinding: 1}, forms); diff != "" {
		t.Error(diff)
	}
	for size := 1; size < 5; size++ {
		if diff := cmp.Diff(want, all(t, s, events[0].Subject, size), revealed); diff != "" {
			t.Errorf("pages of %d: %s", size, diff)
		}
	}
	for _, r := range want {
		for _, e := range []*consent.Event{objection, restriction} {
			if r.Event != nil && r.Event.ID == e.ID {
				if diff := cmp.Diff(stored(e), r.Event, revealed); diff != "" {
					t.Errorf("%s: %s", e.Kind, diff)
				}
			}
		}
	}
}

// TestEvents_bury: a tombstone says when and nothing else; it stays as it is, and
// so does what it stands in the way of. A reply that is lost changes nothing.
func TestEvents_bury(t *testing.T) {
	t.Parallel()
	for _, fault := range append([]faulty.Fault{faulty.None}, faulty.After...) {
		env, net := awstest.New(t), &faulty.Transport{}
		cfg := env.With(net.Wrap).Config
		cfg.Retryer = faulty.Impatient
		s := dynamo.NewEvents(cfg, env.Getenv("EVENTS_TABLE"))
		e := said(t, "cust-1", 1)
		appendAll(t, s, e)
		net.Break(faulty.Nth("dynamodb.PutItem", 1, fault))
		first := epoch.Add(time.Hour)
		if err := s.Bury(t.Context(), e.Subject, e.ID, "shop", first); err != nil {
			t.Fatalf("%v: %v", fault, err)
		}
		for _, again := range []string{e.ID, "019c0000-0000-7000-8000-000000000000"} { // a tombstone, and nothing
			if err := s.Bury(t.Context(), e.Subject, again, "shop", first.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		rows := all(t, s, e.Subject, 10)
		if len(rows) != 1 || !rows[0].Erased || !rows[0].ErasedAt.Equal(first) || rows[0].Event != nil {
			t.Errorf("%v: %+v", fault, rows)
		}
		prior, err := s.Append(t.Context(), e)
		if err != nil || prior == nil || prior.ErasedAt == nil {
			t.Errorf("%v: a late retry: %v, %v", fault, prior, err)
		}
		if at, err := s.Locate(t.Context(), "shop", e.ID, 2); at != "" || err != nil {
			t.Errorf("%v: the index still finds it: %q, %v", fault, at, err)
		}
	}
}

// TestEvents_bindAgain: after an erasure, and after the next one, a fresh consent
// is bound again.
func TestEvents_bindAgain(t *testing.T) {
	t.Parallel()
	_, s := ledger(t)
	b := &consent.Binding{Site: "shop", Own: "mail", Subject: "cust", SubjectID: "cust-1", Email: "a@x.test", At: epoch}
	for i := range 4 {
		for range 2 {
			if err := s.Bind(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := s.Partition(t.Context(), "mail", consent.MaxPerson)
		if err != nil || len(rows.Bindings) != 1 || rows.Bindings[0].Subject != "cust" {
			t.Fatalf("after %d erasures: %+v, %v", i, rows, err)
		}
		list := all(t, s, "mail", 100)
		if len(list) != i+1 {
			t.Errorf("after %d erasures: %d rows", i, len(list))
		}
		for _, r := range list {
			if bound, ok := dynamo.BoundSubject(r.Sort); !ok || bound != "cust" {
				t.Errorf("%s binds %q", r.Sort, bound)
			}
			if err := s.Bury(t.Context(), "mail", r.Sort, "shop", epoch.Add(time.Duration(i+1)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestForms_forget: a form goes only if nobody else was shown it since it was
// read, and whoever is shown it next stores it anew.
func TestForms_forget(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	s := dynamo.NewForms(env.Config, env.Getenv("FORMS_TABLE"))
	show := func(subject, nonce string) consent.FormState {
		state, err := s.Show(t.Context(), "shop", "d", subject, nonce)
		if err != nil {
			t.Fatal(err)
		}
		return state
	}
	if f, err := s.Form(t.Context(), "shop", "d"); f != nil || err != nil {
		t.Fatalf("%+v, %v", f, err)
	}
	show("one", "n1")
	f, err := s.Form(t.Context(), "shop", "d")
	if diff := cmp.Diff(&consent.Form{Site: "shop", Digest: "d", Nonce: "n1", ShownTo: []string{"one"}}, f); diff != "" || err != nil {
		t.Fatalf("%v %s", err, diff)
	}
	if !f.OnlyTo(map[string]bool{"one": true}) || f.OnlyTo(map[string]bool{"two": true}) {
		t.Error("shown to one, and to nobody else")
	}
	show("two", "n2")
	if removed, err := s.Forget(t.Context(), f); removed || err != nil {
		t.Errorf("a form that another was shown: %v, %v", removed, err)
	}
	if f, err = s.Form(t.Context(), "shop", "d"); err != nil || f.OnlyTo(map[string]bool{"one": true, "two": true}) {
		t.Errorf("with two nobody knows who else: %v", err)
	}
	for range 2 {
		if removed, err := s.Forget(t.Context(), f); !removed || err != nil {
			t.Errorf("%v, %v", removed, err)
		}
	}
	if state := show("one", "n3"); state.Nonce != "n3" || state.Stored || state.Shared {
		t.Errorf("shown again: %+v", state)
	}
}

// TestDocuments_forget: a document goes only if nothing else names it.
func TestDocuments_forget(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	s := dynamo.NewDocuments(env.Config, env.Getenv("DOCUMENTS_TABLE"))
	d := document("shop", 1)
	if _, err := s.Create(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	get := func() *consent.Document {
		got, err := s.Get(t.Context(), "shop", d.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	refer := func(by ...string) {
		for _, subject := range by {
			if err := s.Refer(t.Context(), "shop", d.ID, subject); err != nil {
				t.Fatal(err)
			}
		}
	}
	unreferenced := get()
	refer("one", "one")
	once := get()
	if !once.Referenced || !once.OnlyBy(map[string]bool{"one": true}) {
		t.Errorf("%+v", once)
	}
	refer("two", "three")
	if got := get(); len(got.By) != 2 || got.OnlyBy(map[string]bool{"one": true, "two": true}) {
		t.Errorf("%+v", got)
	}
	for _, old := range []*consent.Document{unreferenced, once} {
		if removed, err := s.Forget(t.Context(), old); removed || err != nil {
			t.Errorf("removed although others name it: %v, %v", removed, err)
		}
	}
	for range 2 {
		if removed, err := s.Forget(t.Context(), &consent.Document{Site: "shop", ID: d.ID, By: []string{"one", "two"}}); !removed || err != nil {
			t.Errorf("%v, %v", removed, err)
		}
	}
	refer("four")
	if get() != nil {
		t.Error("a reference has made a document")
	}
}
