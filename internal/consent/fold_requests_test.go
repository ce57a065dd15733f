package consent_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/consent"
)

// TestDecide_requests: what restrictions and objections make of an answer, and
// who may restrict and lift.
func TestDecide_requests(t *testing.T) {
	t.Parallel()
	event := func(n int, source consent.Source, change func(e *consent.Event)) consent.Event {
		e := consent.Event{ID: fmt.Sprintf("%03d", n), Kind: consent.KindConsent, Site: "shop", Source: source, Claimed: minute(n), Received: minute(n)}
		change(&e)
		return e
	}
	grant := func(n int, source consent.Source) consent.Event {
		return event(n, source, func(e *consent.Event) { e.Preferences = []consent.Preference{{Key: "news", Value: "true"}} })
	}
	restrict := func(n int, source consent.Source, lifted bool) consent.Event {
		return event(n, source, func(e *consent.Event) { e.Kind, e.Lifted = consent.KindRestriction, lifted })
	}
	object := func(n int, source consent.Source, to ...string) consent.Event {
		return event(n, source, func(e *consent.Event) { e.Kind, e.Objected, e.All = consent.KindObjection, to, len(to) == 0 })
	}
	switched := func(n int, gpc bool) consent.Event { // off, in the preference centre
		return event(n, public, func(e *consent.Event) {
			e.Act, e.Token, e.Objected, e.GPC = consent.PreferenceCentre, consent.TokenValid, []string{"news"}, gpc
			e.Preferences = []consent.Preference{{Key: "news", Value: "false"}}
		})
	}
	at := func(n int) consent.View { return consent.View{Now: minute(100), At: minute(n)} }
	now := consent.View{Now: minute(100)}
	for name, tt := range map[string]struct {
		events []consent.Event
		view   consent.View
		want   consent.Reason
		by     string
	}{
		"restricted":                        {[]consent.Event{grant(1, private), restrict(2, confirmed, false)}, now, consent.Restricted, "002"},
		"and granted again":                 {[]consent.Event{grant(1, private), restrict(2, confirmed, false), grant(3, private)}, now, consent.Restricted, "002"},
		"before it":                         {[]consent.Event{grant(1, private), restrict(5, confirmed, false)}, at(4), consent.Granted, "001"},
		"lifted":                            {[]consent.Event{grant(1, private), restrict(2, confirmed, false), restrict(3, private, true)}, now, consent.Granted, "001"},
		"lifted and restricted at one time": {[]consent.Event{grant(1, private), restrict(3, private, true), restrict(3, confirmed, false)}, now, consent.Restricted, "003"},
		"a stranger cannot lift":            {[]consent.Event{grant(1, private), restrict(2, confirmed, false), restrict(3, public, true)}, now, consent.Restricted, "002"},
		"a stranger cannot restrict":        {[]consent.Event{grant(1, private), restrict(2, public, false)}, now, consent.Granted, "001"},
		"never asked, restricted":           {[]consent.Event{restrict(2, confirmed, false)}, now, consent.Restricted, "002"},
		"objected to all":                   {[]consent.Event{grant(1, private), object(2, confirmed)}, now, consent.Objected, "002"},
		"objected to this":                  {[]consent.Event{grant(1, private), object(2, confirmed, "ads", "news")}, now, consent.Objected, "002"},
		"objected to another":               {[]consent.Event{grant(1, private), object(2, confirmed, "ads")}, now, consent.Granted, "001"},
		"a stranger objects":                {[]consent.Event{grant(1, private), object(2, public)}, now, consent.Objected, "002"},
		"a stranger grants after it":        {[]consent.Event{object(2, confirmed), grant(3, public)}, now, consent.Unconfirmed, "002"},
		"granted after it":                  {[]consent.Event{object(2, confirmed), grant(3, private)}, now, consent.Granted, "003"},
		"never asked, objected":             {[]consent.Event{object(2, confirmed)}, now, consent.Objected, "002"},
		"switched off":                      {[]consent.Event{grant(1, private), switched(2, false)}, now, consent.Objected, "002"},
		"switched off, with a signal":       {[]consent.Event{grant(1, private), switched(2, true)}, now, consent.Withdrawn, "002"},
		"switched off, granted after it":    {[]consent.Event{switched(2, false), grant(3, private)}, now, consent.Granted, "003"},
		"both":                              {[]consent.Event{object(2, confirmed), restrict(1, confirmed, false)}, now, consent.Restricted, "001"},
	} {
		s := consent.Decide(tt.events, "news", tt.view, consent.Rules{})
		if s.Reason != tt.want || s.Granted != (tt.want == consent.Granted) || s.ConsentIDs[0] != tt.by {
			t.Errorf("%s: %+v, want %s by %s", name, s, tt.want, tt.by)
		}
		for _, p := range consent.Fold(tt.events, tt.view, consent.Rules{}).Preferences {
			if d := consent.Decide(tt.events, p.Preference, tt.view, consent.Rules{}); !cmp.Equal(d, p) {
				t.Errorf("%s: fold and decide differ: %s", name, cmp.Diff(d, p))
			}
		}
	}
}

// TestFold_requestsInAnyOrder: the order of events and duplicates do not matter,
// a restriction never lets a yes through, and fold and decide agree.
func TestFold_requestsInAnyOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var events []consent.Event
		for i := range rapid.IntRange(0, 8).Draw(r, "events") {
			n := rapid.IntRange(0, 4).Draw(r, "at")
			e := consent.Event{
				ID: fmt.Sprintf("%03d", i), Site: "shop", Claimed: minute(n), Received: minute(n),
				Kind:   rapid.SampledFrom([]consent.Kind{consent.KindConsent, consent.KindObjection, consent.KindRestriction}).Draw(r, "kind"),
				Source: rapid.SampledFrom([]consent.Source{public, private, confirmed}).Draw(r, "source"),
			}
			switch key := rapid.SampledFrom([]string{"news", "ads", ""}).Draw(r, "key"); e.Kind {
			case consent.KindConsent:
				e.Preferences = []consent.Preference{{Key: key, Value: rapid.SampledFrom([]string{"true", "false", "null"}).Draw(r, "value")}}
			case consent.KindObjection:
				if e.All = key == ""; key != "" {
					e.Objected = []string{key}
				}
			default:
				e.Lifted = rapid.Bool().Draw(r, "lifted")
			}
			events = append(events, e)
		}
		view := consent.View{Now: minute(10)}
		want := consent.Fold(events, view, consent.Rules{})
		shuffled := rapid.Permutation(append(slices.Clone(events), events...)).Draw(r, "order")
		if got := consent.Fold(shuffled, view, consent.Rules{}); !cmp.Equal(want.Preferences, got.Preferences) {
			r.Fatalf("another order: %s", cmp.Diff(want.Preferences, got.Preferences))
		}
		var last *consent.Event
		for i := range events {
			e := &events[i]
			if e.Kind == consent.KindRestriction && e.Source.Trusted() && (last == nil || e.Received.After(last.Received) || e.Received.Equal(last.Received) && last.Lifted) {
				last = e
			}
		}
		for _, p := range want.Preferences {
			if d := consent.Decide(shuffled, p.Preference, view, consent.Rules{}); !cmp.Equal(d, p) {
				r.Fatalf("decide and fold differ: %s", cmp.Diff(d, p))
			}
			if restricted := last != nil && !last.Lifted; restricted != (p.Reason == consent.Restricted) {
				r.Fatalf("restricted %v, but %s", restricted, p.Reason)
			}
		}
	})
}
