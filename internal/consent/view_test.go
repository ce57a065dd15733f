package consent

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

func testHasher(t testing.TB) *pseudonym.Hasher {
	t.Helper()
	h, err := pseudonym.New([]byte(strings.Repeat("k", pseudonym.MinSecret)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

var viewEpoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// drawEvents makes events of one person under one or two subject ids.
func drawEvents(t *rapid.T) []Event {
	minute := func(label string, upTo int) time.Time {
		return viewEpoch.Add(time.Duration(rapid.IntRange(0, upTo).Draw(t, label)) * time.Minute)
	}
	text := func(label string, texts ...string) *Text {
		s := rapid.SampledFrom(append(texts, "", "null")).Draw(t, label)
		switch s {
		case "":
			return nil
		case "null":
			return &Text{Null: true}
		}
		return &Text{Value: redact.String(s)}
	}
	var list []Event
	for i := range rapid.IntRange(0, 12).Draw(t, "events") {
		e := Event{
			ID: fmt.Sprintf("%02d", i), Kind: KindConsent, Site: "s",
			Source: rapid.SampledFrom([]Source{Public, Private, Confirmed}).Draw(t, "source"),
			Act:    WebForm, Received: minute("received", 60),
		}
		e.Subject = rapid.SampledFrom([]string{"A", "B"}).Draw(t, "subject")
		e.SubjectID = redact.String("id of " + e.Subject)
		e.Claimed = earliest(minute("claimed", 60), e.Received)
		if rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
			e.ErasedAt = &e.Received
		}
		if rapid.Bool().Draw(t, "statement") {
			e.Kind = KindSubject
			e.Profile = Profile{
				Email: text("email", "a@x.test", "b@x.test"), FullName: text("name", "Ann Bee", "Ann Cee"),
				Verified: rapid.SampledFrom([]*Flag{nil, {Value: true}, {Null: true}}).Draw(t, "verified"),
			}
		}
		if e.Kind == KindConsent {
			if rapid.Bool().Draw(t, "expires") {
				e.ExpiresAt = new(minute("expiry", 90))
			}
			for _, key := range []string{"n", "p"} {
				if v := rapid.SampledFrom([]string{"", "true", "false", "null", `"maybe"`, `"on"`}).Draw(t, key); v != "" {
					e.Preferences = append(e.Preferences, Preference{key, v})
				}
			}
		}
		list = append(list, e)
	}
	return list
}

// TestProject_isTheFold: at whatever instant and under whatever rules a view is
// read, it says what folding the events says.
func TestProject_isTheFold(t *testing.T) {
	t.Parallel()
	hasher := testHasher(t)
	rapid.Check(t, func(t *rapid.T) {
		u := &Union{Events: drawEvents(t), Partitions: []string{"A", "B"}}
		v := Project(hasher, "A", u)
		own := 0
		var created time.Time
		for _, e := range u.Events {
			if e.Subject == "A" && e.ErasedAt == nil {
				if own++; own == 1 || e.Claimed.Before(created) {
					created = e.Claimed
				}
			}
		}
		if own == 0 {
			if v != nil {
				t.Fatalf("a view without events: %+v", v)
			}
			return
		}
		now := viewEpoch.Add(time.Duration(rapid.IntRange(60, 400).Draw(t, "now")) * time.Minute)
		rules := Rules{Latest: rapid.Bool().Draw(t, "latest"), Validity: map[string]time.Duration{
			"p": time.Duration(rapid.IntRange(0, 300).Draw(t, "validity")) * time.Minute,
		}}
		want := Fold(u.Events, View{Now: now}, rules)
		if diff := cmp.Diff(want.Preferences, v.Preferences(now, rules)); diff != "" {
			t.Errorf("preferences: %s", diff)
		}
		got := Person{
			Known: true, FirstSeen: want.FirstSeen, Updated: v.Updated, Email: v.Email, FirstName: v.FirstName, LastName: v.LastName,
			FullName: v.FullName, Verified: v.Verified, Phones: v.Phones, Preferences: want.Preferences,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("profile: %s", diff)
		}
		if v.SubjectID != "id of A" || v.Site != "s" || !v.Created.Equal(created) || cmp.Diff([]string{"B"}, v.Members) != "" {
			t.Errorf("identity: %+v", v)
		}
		shuffled := &Union{Events: append(rapid.Permutation(u.Events).Draw(t, "order"), u.Events...), Partitions: []string{"B", "A"}}
		shuffled.Events = shuffled.Events[:len(u.Events)]
		if !Project(hasher, "A", shuffled).Same(v) {
			t.Error("the order of events matters")
		}
	})
}

// TestProject_everyEventShows: whatever the events say, one more or one less
// makes another view. A projector that sees the stored view unchanged may rely
// on that (see internal/project).
func TestProject_everyEventShows(t *testing.T) {
	t.Parallel()
	hasher := testHasher(t)
	e := Event{ID: "1", Kind: KindConsent, Site: "s", Subject: "A", Source: Public, Claimed: viewEpoch, Received: viewEpoch}
	one := Project(hasher, "A", &Union{Events: []Event{e}})
	e.ID = "2"
	other := Project(hasher, "A", &Union{Events: []Event{e}})
	if one.Same(other) {
		t.Error("views of different events are the same")
	}
}

func TestSubjectView_tooMany(t *testing.T) {
	t.Parallel()
	hasher := testHasher(t)
	events := []Event{{
		ID: "1", Kind: KindConsent, Site: "s", Subject: "A", SubjectID: "a", Source: Private, Claimed: viewEpoch, Received: viewEpoch,
		Profile: Profile{Email: &Text{Value: "a@x.test"}}, Preferences: []Preference{{"n", "true"}},
	}}
	want := []State{{Preference: "n", Reason: TooManyEvents}}
	fresh := ProjectTooMany(hasher, nil, "A", events, []string{"A", "B"})
	kept := ProjectTooMany(hasher, Project(hasher, "A", &Union{Events: events}), "A", nil, nil)
	for name, v := range map[string]*SubjectView{"without a stored view": fresh, "with one": kept} {
		if diff := cmp.Diff(want, v.Preferences(viewEpoch, Rules{})); diff != "" || v.Email != "a@x.test" || !v.TooMany {
			t.Errorf("%s: %+v, %s", name, v, diff)
		}
	}
	if ProjectTooMany(hasher, nil, "B", nil, nil) != nil {
		t.Error("a view of a partition without events")
	}
	if again := ProjectTooMany(hasher, kept, "A", events, nil); !again.Same(kept) {
		t.Error("it changes when it is made again")
	}
}

func TestProject_boundsAnswers(t *testing.T) {
	t.Parallel()
	var events []Event
	for i := range 40 {
		e := Event{ID: fmt.Sprint(i), Kind: KindConsent, Site: "s", Subject: "A", Source: Private, Act: API}
		e.Claimed = viewEpoch.Add(time.Duration(i) * time.Minute)
		e.Received = e.Claimed
		for j := range MaxPreferences {
			e.Preferences = append(e.Preferences, Preference{fmt.Sprintf("%d/%d", i, j), "true"})
		}
		events = append(events, e)
	}
	v := Project(testHasher(t), "A", &Union{Events: events})
	if !v.Partial || len(v.Answers) < MaxPreferences || len(v.Answers) > 1000 {
		t.Errorf("%d answers, partial %v", len(v.Answers), v.Partial)
	}
	latest := map[string]bool{}
	for _, a := range v.Answers {
		latest[a.Preference] = true
	}
	if !latest["39/0"] || latest["0/0"] {
		t.Error("the oldest answers must go first")
	}

	// What one consent may hold always fits.
	one := Event{ID: "1", Kind: KindConsent, Site: "s", Subject: "A", Source: Public, Claimed: viewEpoch, Received: viewEpoch}
	for j := range MaxPreferences {
		one.Preferences = append(one.Preferences, Preference{fmt.Sprint(j), `"` + strings.Repeat("x", MaxPreferenceBytes/MaxPreferences-5) + `"`})
	}
	if v := Project(testHasher(t), "A", &Union{Events: []Event{one}}); v.Partial || len(v.Answers) != MaxPreferences {
		t.Errorf("one full consent: %d answers, partial %v", len(v.Answers), v.Partial)
	}
}
