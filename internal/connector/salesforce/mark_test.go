package salesforce_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/salesforce"
	"github.com/avow-consent/avow/internal/connector/salesforce/fake"
	"github.com/avow-consent/avow/internal/errs"
)

// clocked lets a second pass with every call, as calls do.
type clocked struct {
	http.RoundTripper
	*fake.Server
}

func (c clocked) RoundTrip(r *http.Request) (*http.Response, error) {
	c.Advance(time.Second)
	return c.RoundTripper.RoundTrip(r)
}

// heard reads changes until there are no more, and how often each e-mail was met.
func heard(t *testing.T, c *salesforce.Connector, cursor string) (times map[string]int, next string) {
	t.Helper()
	times = map[string]int{}
	for more, n := true, 0; more; n++ {
		list, to, again, err := c.Marks(t.Context(), []string{"HasOptedOutOfEmail"}, cursor)
		if err != nil || n > 100 {
			t.Fatalf("%d reads, %v", n, err)
		}
		for _, one := range list {
			if !one.Yes["HasOptedOutOfEmail"] {
				times[one.Email]++
			}
		}
		cursor, more = to, again
	}
	return times, cursor
}

// Each change is heard of once: also those of a load, which changes hundreds of
// records within a second, and what comes after it.
func TestMarks(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	c := a.connect(clocked{conformance.Local(a.Server), a.Server})
	_, cursor := heard(t, c, "")
	a.Advance(time.Hour)
	for object, n := range map[string]int{"Contact": 405, "Lead": 200} {
		for i := range n {
			a.Add(object, map[string]any{"LastName": "Load", "Company": "Load", "Email": fmt.Sprintf("%s.%d@load.example", object, i), "HasOptedOutOfEmail": true})
		}
	}
	a.Advance(time.Second)
	a.Add("Contact", map[string]any{"LastName": "Later", "Email": "later@load.example", "HasOptedOutOfEmail": true})
	a.Advance(time.Hour)
	times, cursor := heard(t, c, cursor)
	if len(times) != 606 || times["later@load.example"] != 1 {
		t.Errorf("%d people, the later one %d times", len(times), times["later@load.example"])
	}
	for email, n := range times {
		if n != 1 {
			t.Errorf("%s was heard of %d times", email, n)
		}
	}
	a.Advance(time.Hour)
	if times, _ = heard(t, c, cursor); len(times) != 0 {
		t.Errorf("heard of again: %d", len(times))
	}
}

// A cursor that is none of ours reaches no query.
func TestMarks_cursor(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	for _, cursor := range []string{"yesterday", "2026-09-15T10:00:00Z Contact ' OR Id != '", "2026-09-15T10:00:00Z Contact 0"} {
		if _, _, _, err := a.c.Marks(t.Context(), nil, cursor); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", cursor, err)
		}
	}
}
