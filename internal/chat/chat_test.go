package chat_test

import (
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/outbox"
)

// What the outbox has given up has failed, whatever its row says; what has an end
// keeps it, and what is being sent may still have gone out.
func TestOutgoing_standing(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		is     chat.State
		after  time.Duration
		want   chat.State
		reason string
	}{
		{chat.Due, outbox.Patience, chat.Due, "r"},
		{chat.Due, outbox.Patience + 24*time.Hour, chat.Failed, "given_up"},
		{chat.Sending, outbox.Patience + 24*time.Hour, chat.Sending, "r"},
		{chat.Sent, outbox.Patience + 24*time.Hour, chat.Sent, "r"},
		{chat.Failed, outbox.Patience + 24*time.Hour, chat.Failed, "r"},
	} {
		o := chat.Outgoing{State: tt.is, Reason: "r", At: at}
		if state, reason := o.Standing(at.Add(tt.after)); state != tt.want || reason != tt.reason {
			t.Errorf("%s after %v: %s, %s", tt.is, tt.after, state, reason)
		}
	}
}
