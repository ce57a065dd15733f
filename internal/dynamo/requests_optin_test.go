package dynamo_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/optin"
)

// The row about a message: one intent, one outcome; only what was surely not sent
// is begun again.
func TestAsked(t *testing.T) {
	t.Parallel()
	s := requests(t, awstest.New(t))
	ctx := t.Context()
	if a, err := s.Asked(ctx, "c1"); a != nil || err != nil {
		t.Errorf("none yet: %v, %v", a, err)
	}
	intent := &optin.Asked{
		ID: "c1", State: optin.Sending, At: epoch, Until: epoch.Add(time.Hour),
		Message: consent.Message{Channel: consent.ByEmail, Language: "fr", Wording: "Confirmez.", Template: "t", TemplateVersion: "1", SentAt: epoch},
	}
	must(t, s.PutAsked(ctx, intent))
	if err := s.PutAsked(ctx, intent); !errs.Is(err, errs.Conflict) {
		t.Errorf("begun twice: %v", err)
	}
	must(t, s.SettleAsked(ctx, "c1", optin.NotTaken, nil))
	must(t, s.SettleAsked(ctx, "c1", optin.Sent, []string{"late"})) // no intent is open: nothing changes
	must(t, s.PutAsked(ctx, intent))
	must(t, s.SettleAsked(ctx, "c1", optin.Sent, []string{"m1"}))
	for name, err := range map[string]error{"begun after it was sent": s.PutAsked(ctx, intent)} {
		if !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := *intent
	want.State, want.Message.IDs = optin.Sent, []string{"m1"}
	got, err := s.Asked(ctx, "c1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got, revealed); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	must(t, s.SettleAsked(ctx, "none", optin.Sent, nil))
}

// A reply that is lost makes the SDK repeat the call: that is no conflict.
func TestAsked_lostReply(t *testing.T) {
	t.Parallel()
	net := &faulty.Transport{}
	s := requests(t, awstest.New(t).With(net.Wrap))
	for _, fault := range faulty.After {
		id := fault.String()
		net.Break(faulty.Nth("dynamodb.PutItem", 1, fault))
		if err := s.PutAsked(t.Context(), &optin.Asked{ID: id, State: optin.Sending, At: epoch, Until: epoch}); err != nil {
			t.Errorf("%v, beginning: %v", fault, err)
		}
		net.Break(faulty.Nth("dynamodb.UpdateItem", 1, fault))
		if err := s.SettleAsked(t.Context(), id, optin.Sent, []string{"m1"}); err != nil {
			t.Errorf("%v, settling: %v", fault, err)
		}
		if a, err := s.Asked(t.Context(), id); err != nil || a.State != optin.Sent {
			t.Errorf("%v: %v, %v", fault, a, err)
		}
	}
}
