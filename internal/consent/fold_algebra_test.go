package consent_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// The algebra of the fold: what holds whatever the events are.

func TestDecide_agreesWithOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules, v := drawEvents(t, 9), drawRules(t), drawView(t)
		rules.Vouched = rapid.Bool().Draw(t, "vouched")
		for _, p := range preferences {
			if diff := cmp.Diff(naiveDecide(events, p, v, rules), consent.Decide(events, p, v, rules)); diff != "" {
				t.Fatalf("%s (-oracle +fold):\n%s", p, diff)
			}
		}
	})
}

func TestFold_ignoresOrderAndDuplicates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules, v := drawEvents(t, 9), drawRules(t), drawView(t)
		want := consent.Fold(events, v, rules)
		if diff := cmp.Diff(want, consent.Fold(shuffled(t, events), v, rules)); diff != "" {
			t.Fatalf("another order gives another person:\n%s", diff)
		}
	})
}

func TestFold_leavesEventsAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t, 6)
		before := slices.Clone(events)
		consent.Fold(events, drawView(t), drawRules(t))
		if diff := cmp.Diff(before, events); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Preferences of the fold are the decisions, one by one, and no preference that
// was stated is missing.
func TestFold_preferencesAreDecisions(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules, v := drawEvents(t, 9), drawRules(t), drawView(t)
		folded := map[string]consent.State{}
		for _, s := range consent.Fold(events, v, rules).Preferences {
			folded[s.Preference] = s
		}
		for _, p := range preferences {
			decided := consent.Decide(events, p, v, rules)
			got, stated := folded[p]
			if !stated {
				got = consent.State{Preference: p, Reason: consent.NeverAsked}
			}
			if diff := cmp.Diff(decided, got); diff != "" {
				t.Fatalf("%s (-decide +fold):\n%s", p, diff)
			}
			delete(folded, p)
		}
		if len(folded) > 0 {
			t.Fatalf("nobody stated %v", folded)
		}
	})
}

// hearsay is a public event without a token that holds.
func hearsay(e consent.Event) bool {
	return e.Source == consent.Public && e.Token != consent.TokenValid
}

// After the last proven "no", only what is proven or vouched for opens the way:
// whatever public events exist.
func TestDecide_provenNoHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, v := drawEvents(t, 9), drawView(t)
		state := consent.Decide(events, "news", v, consent.Rules{})
		if !state.Granted {
			return
		}
		all := naiveStatements(events, "news")
		seen := func(s statement) bool {
			return (v.At.IsZero() || !s.at.After(v.At)) && (v.KnownAt.IsZero() || !s.received.After(v.KnownAt))
		}
		no := latest(all, func(s statement) bool { return seen(s) && s.proven && !s.yes })
		if no == nil {
			return
		}
		if latest(all, func(s statement) bool {
			return seen(s) && s.yes && (s.proven || s.vouched) && s.waits == nil && s.at.After(no.at)
		}) == nil {
			t.Fatalf("granted by %v although %s is a proven no and nothing vouches for a later yes", state.ConsentIDs, no.id)
		}
	})
}

// Whatever public events are added to a person whose last proven statement is
// "no", they never make a no a yes.
func TestDecide_publicNeverOvercomesProvenNo(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, v := drawEvents(t, 6), consent.View{Now: minute(0)}
		no := drawEvent(t, "no")
		no = consent.Event{
			ID: no.ID, Kind: consent.KindConsent, Act: consent.API, Claimed: no.Claimed, Received: no.Received,
			Source:      rapid.SampledFrom([]consent.Source{consent.Private, consent.Confirmed}).Draw(t, "who says no"),
			Preferences: []consent.Preference{{Key: "news", Value: rapid.SampledFrom([]string{"false", `"never"`}).Draw(t, "no")}},
		}
		events = append(events, no)
		last := latest(naiveStatements(events, "news"), func(s statement) bool { return s.proven })
		if last.yes || consent.Decide(events, "news", v, consent.Rules{}).Granted {
			return
		}
		for i, added := range drawEvents(t, 6) {
			added.ID = "added-" + added.ID
			if hearsay(added) && added.Kind == consent.KindConsent {
				events = slices.Insert(events, i%len(events), added)
			}
		}
		if state := consent.Decide(events, "news", v, consent.Rules{}); state.Granted {
			t.Fatalf("public events have made a proven no a yes: %v", state)
		}
	})
}

// Whether a public grant counts depends on proven statements alone: public ones
// between them, a "no" among them, do not matter (no laundering). Confirmations
// are left out: a public "no" before one does matter to it.
func TestDecide_publicBetweenDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, v := drawEvents(t, 8), consent.View{}
		events = slices.DeleteFunc(events, func(e consent.Event) bool { return e.Confirms != nil })
		grant := consent.Event{
			ID: "zz-grant", Kind: consent.KindConsent, Source: consent.Public, Act: consent.WebForm,
			Claimed: minute(minutes + 1), Received: minute(minutes + 1),
			Preferences: []consent.Preference{{Key: "news", Value: "true"}},
		}
		judges := slices.DeleteFunc(slices.Clone(events), func(e consent.Event) bool { return e.Source == consent.Public })
		unvouched := slices.DeleteFunc(slices.Clone(events), func(e consent.Event) bool { return e.Source == consent.Public && !hearsay(e) })
		alone := consent.Decide(append(judges, grant), "news", v, consent.Rules{})
		among := consent.Decide(append(unvouched, grant), "news", v, consent.Rules{})
		if alone.Granted != among.Granted {
			t.Fatalf("the last grant: %v without other public events, %v among them", alone, among)
		}
	})
}

// From an acknowledged withdrawal on, every read at or after its effective time
// says no until a later grant that counts.
func TestDecide_withdrawalHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules := drawEvents(t, 8), drawRules(t)
		w := drawEvent(t, "withdrawal")
		w.Kind, w.ErasedAt, w.Objected = consent.KindConsent, nil, nil
		w.Received = minute(minutes) // after everything else
		w.Preferences = []consent.Preference{{Key: "news", Value: "false"}}
		events = append(events, w)
		at := w.Effective(false)
		later := func(until time.Time) bool {
			return slices.ContainsFunc(naiveStatements(events, "news"), func(s statement) bool {
				return s.yes && s.at.After(at) && (until.IsZero() || !s.at.After(until))
			})
		}
		for n := range minutes + 1 {
			instant := minute(n)
			if instant.Before(at) || later(instant) {
				continue
			}
			v := consent.View{Now: minute(2 * minutes), At: instant}
			if state := consent.Decide(events, "news", v, rules); state.Granted {
				t.Fatalf("at %v, after the withdrawal of %v: %v", instant, at, state)
			}
		}
		if state := consent.Decide(events, "news", consent.View{Now: minute(minutes)}, rules); state.Granted && !later(time.Time{}) {
			t.Fatalf("now, after the withdrawal of %v: %v", at, state)
		}
	})
}

// A question about the past is the question about the events of that past.
func TestDecide_pastIsFilteredByHand(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules, v := drawEvents(t, 9), drawRules(t), drawView(t)
		var kept []consent.Event
		for _, e := range events {
			s := naiveStatements([]consent.Event{e}, "news")
			if len(s) == 1 && (v.At.IsZero() || !s[0].at.After(v.At)) && (v.KnownAt.IsZero() || !e.Received.After(v.KnownAt)) {
				kept = append(kept, e)
			}
		}
		then := v.Now
		if !v.At.IsZero() {
			then = v.At
		}
		want := consent.Decide(kept, "news", consent.View{Now: then}, rules)
		if diff := cmp.Diff(want, consent.Decide(events, "news", v, rules)); diff != "" {
			t.Fatalf("(-by hand +decide):\n%s", diff)
		}
	})
}

// An event that states nothing about a preference changes nothing about it.
func TestDecide_silenceChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules, v := drawEvents(t, 8), drawRules(t), drawView(t)
		silent := drawEvent(t, "silent")
		switch rapid.IntRange(0, 2).Draw(t, "silence") {
		case 0:
			silent.Objected, silent.Preferences = nil, []consent.Preference{{Key: "news", Value: "null"}, {Key: "else", Value: "true"}}
		case 1:
			silent.Kind = consent.KindSubject
		case 2:
			silent = consent.Event{ID: silent.ID, Subject: "p1", ErasedAt: minutePtr(1)}
		}
		want := consent.Decide(events, "news", v, rules)
		if diff := cmp.Diff(want, consent.Decide(append(events, silent), "news", v, rules)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// What was granted lapses once and for good, and judging it later is judging
// the events later.
func TestState_lapse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules := drawEvents(t, 6), drawRules(t)
		early := consent.Decide(events, "news", consent.View{}, consent.Rules{Latest: rules.Latest})
		lapsed := false
		for n := range 3 * minutes {
			s := consent.Decide(events, "news", consent.View{Now: minute(n)}, rules)
			if lapsed && s.Granted {
				t.Fatalf("at minute %d what had expired is granted again", n)
			}
			lapsed = lapsed || s.Reason == consent.Expired
			if s.Granted && s.ExpiresAt != nil && !minute(n).Before(*s.ExpiresAt) {
				t.Fatalf("granted at minute %d, beyond %v", n, s.ExpiresAt)
			}
			if diff := cmp.Diff(s, early.Lapse(minute(n), rules)); diff != "" {
				t.Fatalf("(-decided then +decided early, judged then):\n%s", diff)
			}
		}
	})
}

// Under "latest" the last statement decides, whoever made it, as long as it waits
// for nothing.
func TestDecide_latestSwitch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t, 9)
		all := naiveStatements(events, "news")
		last := latest(all, func(s statement) bool { return s.settled(all) })
		state := consent.Decide(events, "news", consent.View{}, consent.Rules{Latest: true})
		switch {
		case state.Reason == consent.Pending: // by no clock has it lapsed
		case last == nil && state.Reason != consent.NeverAsked:
			t.Fatalf("nothing was said: %v", state)
		case last != nil && (state.ConsentIDs[0] != last.id || len(state.ConsentIDs) != 1 || last.yes != (state.Granted || state.Reason == consent.Expired)):
			t.Fatalf("%v, want the answer of %s (%s)", state, last.id, last.value)
		}
	})
}

// What waits for a confirmation grants nothing: without the grants that wait,
// the same is granted.
func TestDecide_waitingGrantsNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules, v := drawEvents(t, 9), drawRules(t), drawView(t)
		rest := slices.DeleteFunc(slices.Clone(events), func(e consent.Event) bool {
			s := naiveStatements([]consent.Event{e}, "news")
			return e.OptIn != nil && len(s) == 1 && s[0].yes
		})
		with, without := consent.Decide(events, "news", v, rules), consent.Decide(rest, "news", v, rules)
		if with.Granted != without.Granted || with.Granted && with.ConsentIDs[0] != without.ConsentIDs[0] {
			t.Fatalf("with grants that wait %v, without them %v", with, without)
		}
	})
}

// A confirmation that comes late, or after a no, changes no answer.
func TestDecide_voidConfirmationsChangeNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules, v := drawEvents(t, 8), drawRules(t), drawView(t)
		grant := []consent.Preference{{Key: "news", Value: "true"}}
		received := drawMinute(t, "confirmed")
		second := consent.Event{
			ID: "second", Kind: consent.KindConsent, Source: consent.Confirmed, Act: consent.DoubleOptIn,
			Claimed: received, Received: received, Preferences: grant,
			Confirms: &consent.Confirmation{At: drawMinute(t, "first"), Until: received},
		}
		if rapid.Bool().Draw(t, "late") {
			second.Confirms.Until = received.Add(-1)
		} else {
			first, no := second.Confirms.At, drawMinute(t, "no")
			if first.After(no) || no.After(received) {
				return
			}
			events = append(events, consent.Event{
				ID: "no", Kind: consent.KindConsent, Source: rapid.SampledFrom([]consent.Source{consent.Public, consent.Private}).Draw(t, "who"),
				Claimed: no, Received: no, Preferences: []consent.Preference{{Key: "news", Value: "false"}},
			})
			if !v.KnownAt.IsZero() && no.After(v.KnownAt) { // the no is not known yet
				return
			}
		}
		want := consent.Decide(events, "news", v, rules)
		if diff := cmp.Diff(want, consent.Decide(append(events, second), "news", v, rules)); diff != "" {
			t.Fatalf("(-without +with the confirmation):\n%s", diff)
		}
	})
}

// Guarded never says yes where latest says no.
func TestDecide_guardedIsStricter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events, rules, v := drawEvents(t, 9), drawRules(t), drawView(t)
		rules.Latest = false
		guarded := consent.Decide(events, "news", v, rules)
		rules.Latest = true
		if free := consent.Decide(events, "news", v, rules); guarded.Granted && !free.Granted && free.Reason != consent.Expired {
			t.Fatalf("guarded %v, latest %v", guarded, free)
		}
	})
}

// The projected view answers like the fold, whatever time it is and whatever the
// site's rules have become since.
func TestProject_equalsFold(t *testing.T) {
	t.Parallel()
	hasher, err := pseudonym.New(make([]byte, pseudonym.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		events, rules, now := drawEvents(t, 8), drawRules(t), minute(rapid.IntRange(0, 2*minutes).Draw(t, "now"))
		union := &consent.Union{Events: events, Partitions: []string{"p1"}, Subjects: map[string]redact.String{"p1": "cust-1"}}
		view := consent.Project(hasher, "p1", union)
		want := consent.Fold(events, consent.View{Now: now}, rules)
		if view == nil {
			if want.Known {
				t.Fatal("a known person has no view")
			}
			return
		}
		if diff := cmp.Diff(want.Preferences, view.Preferences(now, rules)); diff != "" {
			t.Fatalf("(-fold +view):\n%s", diff)
		}
		got := consent.Person{
			Known: true, FirstSeen: want.FirstSeen, Updated: view.Updated, Email: view.Email, FirstName: view.FirstName,
			LastName: view.LastName, FullName: view.FullName, Verified: view.Verified, Phones: view.Phones, Preferences: want.Preferences,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("(-fold +view):\n%s", diff)
		}
		if len(events) > 0 {
			other := &consent.Union{Events: rapid.Permutation(events).Draw(t, "order"), Partitions: union.Partitions, Subjects: union.Subjects}
			if !consent.Project(hasher, "p1", other).Same(view) {
				t.Fatal("another order gives another view")
			}
		}
	})
}
