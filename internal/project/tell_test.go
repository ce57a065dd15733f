package project

import (
	"slices"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/redact"
)

// A consent that waits is noted in the outbox once, however often its record
// comes; no other consent is.
func TestTell_waits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.start()
	waits := w.submit("s", &consent.Submission{
		Source: consent.Public, Preferences: []consent.Preference{pref("newsletter", "true")},
		Profile: consent.Profile{Email: &consent.Text{Value: redact.String("zoe@example.test")}},
		OptIn:   &consent.OptInRequest{Channel: consent.ByEmail},
	})
	w.post(consent.Public, "s", "", "eve@example.test", pref("newsletter", "true"))
	for range 2 {
		deliver(t, h, w.inserts()...)
	}
	store := dynamo.NewOutbox(w.env.Config, w.env.Getenv("OUTBOX_TABLE"))
	e, err := dynamo.NewEvents(w.env.Config, w.env.Getenv("EVENTS_TABLE")).Get(t.Context(), w.hasher.Subject("s", waits.SubjectID.Reveal()), waits.ID)
	must(t, err)
	due, err := store.Due(t.Context(), e.Received, 10)
	if err != nil {
		t.Fatal(err)
	}
	due = slices.DeleteFunc(due, func(r outbox.Ref) bool { return r.Kind != outbox.Confirm })
	if want := (outbox.Ref{Subject: e.Subject, Kind: outbox.Confirm, ID: waits.ID}); len(due) != 1 || due[0] != want {
		t.Fatalf("%v, want %v", due, want)
	}
	taken, err := store.Take(t.Context(), due[0], e.Received, e.Received.Add(outbox.Lease))
	if err != nil || taken == nil || taken.Site != "s" || !taken.Since.Equal(e.Received) || taken.Version != 1 {
		t.Errorf("%+v, %v", taken, err)
	}
}

// The stored view of a person who is waited for lapses on reading, as the fold
// does.
func TestProject_waits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	h := w.start()
	ack := w.submit("s", &consent.Submission{
		Source: consent.Public, Preferences: []consent.Preference{pref("newsletter", "true")},
		Profile: consent.Profile{Email: &consent.Text{Value: redact.String("zoe@example.test")}},
		OptIn:   &consent.OptInRequest{Channel: consent.ByEmail},
	})
	deliver(t, h, w.inserts()...)
	w.verify()
	partition := w.hasher.Subject("s", ack.SubjectID.Reveal())
	view, err := dynamo.NewSubjects(w.env.Config, w.env.Getenv("SUBJECTS_TABLE")).View(t.Context(), partition)
	must(t, err)
	until := w.clock // the site of these tests waits no time
	for want, at := range map[consent.Reason]time.Time{consent.Pending: until, consent.Lapsed: until.Add(time.Second)} {
		if list := view.Preferences(at, consent.Rules{}); len(list) != 1 || list[0].Reason != want || list[0].Granted {
			t.Errorf("%+v, want %s", list, want)
		}
	}
}
