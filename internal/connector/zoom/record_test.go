package zoom

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// Whatever a ref is read from, it is written the same way, fits an identifier
// and never leaves an id empty.
func FuzzUnpack(f *testing.F) {
	for _, seed := range []string{"meeting/86/rEg/", "w/2026-07-17/~L2FCYy8vZEVmK2dIaT09/ panelist/1/p/", "meeting//r/", "m/2026-01-01/~/", "meeting/~Lw/x/y/z", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		refs, err := unpack(text)
		if err != nil {
			return
		}
		for _, r := range refs {
			if r.parts[0] == "" || r.parts[1] == "" {
				t.Errorf("%q has an empty id", text)
			}
		}
		again, err := unpack(strings.Join(pack(refs), " "))
		if err != nil || !slices.Equal(refs, again) {
			t.Errorf("%q: %v, %v", text, again, err)
		}
	})
}

func TestPack(t *testing.T) {
	t.Parallel()
	var refs []ref
	for _, uuid := range []string{"/aBc//dEf+gHi==", "plain==", "50%*?", "né d"} {
		for range 20 {
			refs = append(refs, ref{inWebinar, [3]string{"2026-07-17", uuid, "16778241"}})
		}
	}
	packed := pack(refs)
	var again []ref
	for _, text := range packed {
		i := identity.Identifier{Kind: "zoom.records", Value: redact.String(text)}
		if normal, ok := i.Normal(); !ok || normal != text {
			t.Errorf("%q is no identifier", text)
		}
		one, err := unpack(text)
		if err != nil {
			t.Fatal(err)
		}
		again = append(again, one...)
	}
	if !slices.Equal(refs, again) || len(packed) > len(refs)/3 {
		t.Errorf("%d identifiers for %d records", len(packed), len(refs))
	}
}

// Whatever a record holds, no door of it is shown.
func FuzzShown(f *testing.F) {
	for _, seed := range []string{`{"join_url":"https://example.zoom.us/j/1?pwd=x&tk=y","password":"x"}`, `{"a":[{"start_url":"s"},["https://x?zak=1"]]}`, `{"u":"https://%zz?pwd=1"}`, `{"u":"https://x#y&pwd=1"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var r record
		if json.Unmarshal([]byte(text), &r) != nil || r == nil {
			return
		}
		out, err := json.Marshal(r.shown("host_key"))
		if err != nil {
			t.Fatal(err)
		}
		var back any
		if err := json.Unmarshal(out, &back); err != nil {
			t.Fatal(err)
		}
		seek(t, back)
	})
}

func seek(t *testing.T, v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if doors[name] {
				t.Errorf("%s is shown", name)
			}
			seek(t, inner)
		}
	case []any:
		for _, inner := range v {
			seek(t, inner)
		}
	case string:
		if strings.HasPrefix(v, "https://") && (strings.Contains(v, "?pwd=") || strings.Contains(v, "&pwd=") || strings.Contains(v, "?zak=") || strings.Contains(v, "&zak=")) {
			t.Errorf("%q lets whoever has it in", v)
		}
	}
}

// The windows lie one beside the other, none is longer than Zoom answers for,
// and together they reach back as far as it does, also when days pass between
// two pieces of a search.
func TestWindows(t *testing.T) {
	t.Parallel()
	for months := 0; months <= maxMonths; months++ {
		for _, later := range []int{0, 1, 9} {
			day := time.Date(2026, 8, 31, 0, 0, 0, 0, time.UTC)
			now := day.AddDate(0, 0, later).Add(13 * time.Hour)
			c := &Connector{config: config{Months: months}, now: func() time.Time { return now }}
			next, oldest := day.Format(time.DateOnly), now.AddDate(0, -months, 1).Format(time.DateOnly)
			for n := range c.windows() {
				route, ok := c.between(kit.To("/x"), day, n)
				if !ok {
					continue
				}
				from, to := dates(t, route)
				if to.Format(time.DateOnly) != next || to.Sub(from) >= window*24*time.Hour || from.Format(time.DateOnly) < oldest {
					t.Errorf("%d months, window %d: %v to %v, not to %s", months, n, from, to, next)
				}
				next = from.AddDate(0, 0, -1).Format(time.DateOnly)
			}
			if months > 0 && next >= oldest {
				t.Errorf("%d months, %d days later: %s is in no window", months, later, next)
			}
		}
	}
}

func dates(t *testing.T, route kit.Route) (from, to time.Time) {
	t.Helper()
	var query url.Values
	api, err := kit.New(kit.Options{System: "zoom", Base: "https://api.zoom.us", Now: time.Now, Attempts: 1, Transport: seen{&query}})
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Get(t.Context(), route, nil); err == nil {
		t.Fatal("no answer was given")
	}
	from, err = time.Parse(time.DateOnly, query.Get("from"))
	to, err2 := time.Parse(time.DateOnly, query.Get("to"))
	if err != nil || err2 != nil {
		t.Fatal(query)
	}
	return from, to
}

type seen struct{ query *url.Values }

func (s seen) RoundTrip(r *http.Request) (*http.Response, error) {
	*s.query = r.URL.Query()
	return nil, errRefused
}
