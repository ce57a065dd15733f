package project

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/redact"
)

// TestHandler_revived: what was said before an erasure and arrives after it is
// noted to be erased again; a fresh consent, and anybody else's, is not.
func TestHandler_revived(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		post func(w *world, before time.Time)
		want bool
	}{
		"a late import": {func(w *world, before time.Time) {
			w.submit("s", &consent.Submission{Source: consent.Private, SubjectID: "1", Act: consent.Import, Timestamp: &before, Preferences: []consent.Preference{pref("n", "true")}})
		}, true},
		"by e-mail, under another id": {func(w *world, before time.Time) {
			s := &consent.Submission{Source: consent.Private, SubjectID: "2", Act: consent.Import, Timestamp: &before}
			s.Profile.Email = &consent.Text{Value: " ADA@example.test"}
			w.submit("s", s)
		}, true},
		"a page that was offline": {func(w *world, before time.Time) {
			sent := before.Add(2 * time.Hour) // a device whose clock is behind
			at := sent.Add(-90 * time.Minute)
			w.submit("s", &consent.Submission{Source: consent.Public, SubjectID: "1", Timestamp: &at, SentAt: &sent})
		}, true},
		"a page that was offline since": {func(w *world, before time.Time) {
			sent := before.Add(time.Hour)
			at := sent.Add(-30 * time.Minute) // by the device's clock before the erasure, by its own measure after it
			w.submit("s", &consent.Submission{Source: consent.Public, SubjectID: "1", Timestamp: &at, SentAt: &sent})
		}, false},
		"a fresh consent": {func(w *world, _ time.Time) { w.post(consent.Private, "s", "1", "ada@example.test", pref("n", "true")) }, false},
		"somebody else": {func(w *world, before time.Time) {
			w.submit("s", &consent.Submission{Source: consent.Private, SubjectID: "3", Timestamp: &before})
		}, false},
		"another site": {func(w *world, before time.Time) {
			w.submit("other", &consent.Submission{Source: consent.Private, SubjectID: "1", Timestamp: &before})
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			erasures := dynamo.NewErasures(w.env.Config, w.env.Getenv("ERASURES_TABLE"))
			before := w.clock.Add(-time.Hour)
			erased := w.clock
			keys := []string{w.hasher.Subject("s", "1"), w.hasher.Identifier("s", "email", "ada@example.test")}
			must(t, erasures.Put(t.Context(), keys, erased, "r", "s"))
			w.clock = w.clock.Add(time.Hour)
			tt.post(w, before)
			w.settle(w.start())
			got, err := erasures.Revivals(t.Context())
			must(t, err)
			var want []consent.Revived
			if tt.want {
				subject := w.hasher.Subject("s", "1")
				if strings.Contains(name, "another id") {
					subject = w.hasher.Subject("s", "2")
				}
				want = []consent.Revived{{Site: "s", Subject: subject}}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := len(w.log.lines("erased_again")); (n > 0) != tt.want || strings.Contains(w.log.text.String(), "example.test") {
				t.Errorf("%d lines", n)
			}
			for _, r := range got {
				must(t, erasures.Settled(t.Context(), r))
			}
			if left, err := erasures.Revivals(t.Context()); len(left) != 0 || err != nil {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// TestHandler_burial: tombstones that an erasure really leaves raise no alarm,
// for events and bindings alike, and the view and its search entries go.
func TestHandler_burial(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(consent.Private, "s", "1", "ada@example.test", pref("n", "true"))
	_, err := w.recorder.RecordSubject(t.Context(), consent.Policy{Site: "s"}, &consent.SubjectStatement{SubjectID: "1", Profile: consent.Profile{FullName: &consent.Text{Value: redact.String("Ada Lovelace")}}})
	must(t, err)
	h := w.start()
	w.settle(h)
	before := w.rows("EVENTS_TABLE")
	for i, row := range before {
		subject, id := row["subject"].(*types.AttributeValueMemberS).Value, row["id"].(*types.AttributeValueMemberS).Value
		must(t, w.ledger.Bury(t.Context(), subject, id, "s", w.clock))
		for _, after := range w.rows("EVENTS_TABLE") {
			if after["id"].(*types.AttributeValueMemberS).Value == id && after["subject"].(*types.AttributeValueMemberS).Value == subject {
				if failed := deliver(t, h, record(t, i+1, "MODIFY", row, after)); failed != nil {
					t.Errorf("%v failed", failed)
				}
			}
		}
	}
	if views := w.verify(); len(views) != 0 {
		t.Errorf("%d views are left", len(views))
	}
	if rows := w.rows("SUBJECTS_TABLE"); len(rows) != 0 {
		t.Errorf("%d rows of views and search entries are left", len(rows))
	}
	if lines := w.log.lines("ledger_changed"); len(lines) != 0 {
		t.Errorf("an erasure raises the alarm: %v", lines)
	}
}
