package throttle_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/throttle"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"203.0.113.7:0": "203.0.113.7", "[2001:db8::1]:0": "2001:db8::/64", "[2001:db8:0:0:ffff::1]:0": "2001:db8::/64", "[2001:db8:0:1::1]:0": "2001:db8:0:1::/64",
		"[::ffff:203.0.113.7]:0": "203.0.113.7", "[fe80::1%eth0]:0": "fe80::/64", "": "", "nonsense": "",
	} {
		if got := throttle.Network(remote); got != want {
			t.Errorf("%q: %q, want %q", remote, got, want)
		}
	}
}

// watched keeps the names of counters.
type watched struct {
	throttle.Store
	names []string
}

func (w *watched) Count(ctx context.Context, name string, expires time.Time) (int, error) {
	w.names = append(w.names, name)
	return w.Store.Count(ctx, name, expires)
}

// Each site, thing, value and period counts for itself, and what is counted does
// not stand in the counter.
func TestCounter(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	now := time.Date(2026, 2, 3, 12, 30, 0, 0, time.UTC)
	h, err := pseudonym.New([]byte(strings.Repeat("s", pseudonym.MinSecret)))
	if err != nil {
		t.Fatal(err)
	}
	clock := func() time.Time { return now }
	store := &watched{Store: dynamo.NewRequests(env.Config, env.Getenv("REQUESTS_TABLE"), h, clock, func(time.Time) string { return "by" })}
	c := throttle.Counter{Store: store, Hasher: h, Now: clock}
	count := func(site, what, value string, want int) {
		t.Helper()
		if n, err := c.Count(t.Context(), site, what, value, time.Hour); err != nil || n != want {
			t.Errorf("%s, %s, %s: %d, %v, want %d", site, what, value, n, err, want)
		}
	}
	count("shop", "door", "203.0.113.7", 1)
	count("shop", "door", "203.0.113.7", 2)
	count("other", "door", "203.0.113.7", 1)
	count("shop", "window", "203.0.113.7", 1)
	count("shop", "door", "203.0.113.8", 1)
	now = now.Add(29 * time.Minute)
	count("shop", "door", "203.0.113.7", 3)
	now = now.Add(time.Minute)
	count("shop", "door", "203.0.113.7", 1)
	for _, name := range store.names {
		if strings.Contains(name, "203.0.113") || strings.Contains(name, "shop") {
			t.Errorf("a counter is called %s", name)
		}
	}
}
