package kit

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// LongestWait bounds what a vendor may ask for: a day, after which it is asked
// again anyway.
const LongestWait = 24 * time.Hour

var isoForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05Z07:00", "20060102T150405Z"}

// RetryAfter reads a Retry-After header in all forms that vendors use: seconds
// and HTTP date (RFC 9110 section 10.2.3), and ISO 8601 (Zoom). A date that has
// passed is 0; ok is false for what is none of these.
func RetryAfter(text string, now time.Time) (after time.Duration, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		if math.IsNaN(seconds) || seconds < 0 {
			return 0, false
		}
		return time.Duration(min(seconds, LongestWait.Seconds()) * float64(time.Second)), true
	}
	at, err := http.ParseTime(text)
	for _, form := range isoForms {
		if err == nil {
			break
		}
		at, err = time.Parse(form, text)
	}
	if err != nil {
		return 0, false
	}
	return min(max(0, at.Sub(now)), LongestWait), true
}
