package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
)

// What is stated is used or refused, never dropped: a filter that goes shows
// everything.
func TestTime(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]struct {
		at time.Time
		ok bool
	}{
		"":                     {time.Time{}, true},
		"t=":                   {time.Time{}, true},
		"t=2026-02-03":         {time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC), true},
		"t=yesterday":          {time.Time{}, false},
		"t=0001-01-01":         {time.Time{}, false},
		"t=0001-01-02T00:00":   {time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), true},
		"t=9999-12-31T23%3A59": {time.Date(9999, 12, 31, 23, 59, 0, 0, time.UTC), true},
	} {
		at, err := httpapi.Time(httptest.NewRequest(http.MethodGet, "/?"+query, nil), "t")
		if !at.Equal(want.at) || (err == nil) != want.ok || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v, %v", query, at, err)
		}
	}
}
