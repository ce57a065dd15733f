package kit_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/kit"
)

var noon = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "7": 7 * time.Second, " 93 ": 93 * time.Second, "1.5": 1500 * time.Millisecond, "99999999999": kit.LongestWait, "1e300": kit.LongestWait,
		noon.Add(time.Minute).Format(http.TimeFormat):  time.Minute,
		noon.Add(time.Minute).Format(time.RFC850):      time.Minute,
		noon.Add(-time.Minute).Format(http.TimeFormat): 0,
		"2026-04-05T12:00:30Z":                         30 * time.Second,
		"2026-04-05T14:00:30+02:00":                    30 * time.Second,
		"2026-04-05T14:00:30+0200":                     30 * time.Second,
		"2026-04-05T12:00:30.250Z":                     30250 * time.Millisecond,
		"2026-04-05T12:00:30":                          30 * time.Second,
		"2026-04-05T11:00:00Z":                         0,
		"2036-04-05T12:00:00Z":                         kit.LongestWait,
	} {
		if got, ok := kit.RetryAfter(text, noon); !ok || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", " ", "-1", "soon", "NaN", "2026-04-05", "12:00", "Sun, 05 Apr"} {
		if got, ok := kit.RetryAfter(text, noon); ok || got != 0 {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, text := range []string{"1", "1.5", "inf", "-0", "0x10p3", "Sun, 05 Apr 2026 12:01:00 GMT", "2026-04-05T12:00:30Z", "20260405T120030Z"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := kit.RetryAfter(text, noon)
		if got < 0 || got > kit.LongestWait || !ok && got != 0 {
			t.Fatalf("%q: %v, %v", text, got, ok)
		}
	})
}
