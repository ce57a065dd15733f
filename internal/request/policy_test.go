package request_test

import (
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/request"
)

// Short days shorten what machines wait for; people keep the time to read.
func TestPolicy_ForPerson(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ day, of, want time.Duration }{
		{24 * time.Hour, 48 * time.Hour, 48 * time.Hour},
		{time.Second, 48 * time.Hour, 2 * time.Minute},
		{time.Second, time.Minute, time.Minute},
		{time.Hour, 48 * time.Hour, 2 * time.Hour},
	} {
		if got := (request.Policy{Day: tt.day}).ForPerson(tt.of); got != tt.want {
			t.Errorf("%s where a day lasts %s: %s, want %s", tt.of, tt.day, got, tt.want)
		}
	}
}
