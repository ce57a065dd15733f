package consent_test

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
)

// This file is a second, naive reading of docs/architecture.md §3 ("When",
// "What counts"), which shares no code with fold.go: every question is answered
// by looking at every statement again.

// statement is what one event says about one preference.
type statement struct {
	id       string
	value    string
	yes      bool
	plain    bool // a yes or a no, nothing else
	proven   bool // from a private key or confirmed
	vouched  bool // carries a valid subject token
	at       time.Time
	received time.Time
	expires  *time.Time
	waits    *time.Time            // a grant that may be confirmed until then
	confirms *consent.Confirmation // a grant that confirms one
}

// naiveStatements lists what the events say about a preference.
func naiveStatements(events []consent.Event, preference string) []statement {
	var list []statement
	seen := map[string]bool{}
	for _, e := range events {
		if seen[e.ID] || e.Kind != "consent" || e.ErasedAt != nil {
			continue
		}
		seen[e.ID] = true
		value := "null"
		for _, p := range e.Preferences {
			if p.Key == preference {
				value = p.Value
			}
		}
		for _, o := range e.Objected {
			if o == preference {
				value = "false"
			}
		}
		if value == "null" {
			continue
		}
		s := statement{
			id: e.ID, value: value, received: e.Received, expires: e.ExpiresAt,
			proven: e.Source == "private" || e.Source == "confirmed", vouched: e.Token == "valid",
		}
		if e.OptIn != nil {
			s.waits = &e.OptIn.Until
		}
		s.confirms = e.Confirms
		switch value {
		case `true`, `"true"`, `1`, `"1"`, `"on"`, `"yes"`:
			s.yes, s.plain = true, true
		case `false`, `"false"`, `0`, `"0"`, `"off"`, `"no"`:
			s.plain = true
		}
		notLater := e.Claimed // claimed, but never later than received
		if e.Received.Before(notLater) {
			notLater = e.Received
		}
		switch {
		case (s.proven || e.Act == "import") && (s.yes || !e.Undated):
			s.at = notLater
		case e.Corrected != nil:
			s.at = *e.Corrected
		case s.yes:
			s.at = notLater
		default:
			s.at = e.Received
		}
		list = append(list, s)
	}
	return list
}

// beats reports whether s comes after o: by time; on equal time a no beats a
// yes; then the higher id.
func (s statement) beats(o statement) bool {
	if !s.at.Equal(o.at) {
		return s.at.After(o.at)
	}
	if s.yes != o.yes {
		return !s.yes
	}
	return s.id > o.id
}

func latest(list []statement, which func(statement) bool) *statement {
	var best *statement
	for i, s := range list {
		if which(s) && (best == nil || s.beats(*best)) {
			best = &list[i]
		}
	}
	return best
}

// settled reports whether a statement waits for nothing, and confirms in time
// what was not refused since.
func (s statement) settled(all []statement) bool {
	if s.yes && s.waits != nil {
		return false
	}
	if !s.yes || s.confirms == nil {
		return true
	}
	since := latest(all, func(o statement) bool { return !o.yes && !o.at.Before(s.confirms.At) && !o.at.After(s.at) })
	return since == nil && !s.received.After(s.confirms.Until)
}

// counts reports whether a statement counts among all that is said.
func (s statement) counts(all []statement, rules consent.Rules) bool {
	if !s.settled(all) {
		return false
	}
	if !s.yes || s.proven || s.vouched {
		return true
	}
	if rules.Vouched || rules.Latest {
		return !rules.Vouched
	}
	before := latest(all, func(o statement) bool { return o.proven && !o.at.After(s.at) && o.settled(all) })
	return before == nil || before.yes
}

// naiveDecide answers a question from the events.
func naiveDecide(events []consent.Event, preference string, v consent.View, rules consent.Rules) consent.State {
	var all []statement
	for _, s := range naiveStatements(events, preference) {
		if (v.KnownAt.IsZero() || !s.received.After(v.KnownAt)) && (v.At.IsZero() || !s.at.After(v.At)) {
			all = append(all, s)
		}
	}
	state := consent.State{Preference: preference, Reason: "never_asked"}
	winner := latest(all, func(s statement) bool { return s.counts(all, rules) })
	if winner == nil {
		open := latest(all, func(s statement) bool { return s.yes && (s.waits != nil || s.settled(all)) })
		if open != nil {
			state.Value, state.Since = open.value, open.at
			return open.pending(state, v)
		}
		return state
	}
	state.Value, state.Since, state.ConsentIDs = winner.value, winner.at, []string{winner.id}
	if winner.yes {
		state.Own, state.ExpiresAt = winner.expires, winner.expires
		if days := rules.Validity[preference]; days > 0 {
			lapse := winner.at.Add(days)
			if state.ExpiresAt == nil || lapse.Before(*state.ExpiresAt) {
				state.ExpiresAt = &lapse
			}
		}
		instant := v.At
		if instant.IsZero() {
			instant = v.Now
		}
		state.Granted, state.Reason = true, "granted"
		if state.ExpiresAt != nil && !state.ExpiresAt.After(instant) {
			state.Granted, state.Reason = false, "expired"
		}
		return state
	}
	pending := latest(all, func(s statement) bool {
		return !s.counts(all, rules) && !s.at.Before(winner.at) && (s.waits != nil || s.settled(all))
	})
	before := latest(all, func(s statement) bool { return s.yes && s.counts(all, rules) })
	switch {
	case pending != nil:
		return pending.pending(state, v)
	case !winner.plain:
		state.Reason = "not_boolean"
	case before != nil:
		state.Reason = "withdrawn"
	default:
		state.Reason = "refused"
	}
	return state
}

// pending is the state while a grant waits, after it has done so in vain, and
// where it does not count.
func (s statement) pending(state consent.State, v consent.View) consent.State {
	instant := v.Now
	if !v.At.IsZero() {
		instant = v.At
	}
	state.Reason, state.Until = "pending", s.waits
	switch {
	case s.waits == nil:
		state.Reason = "unconfirmed"
	case instant.After(*s.waits):
		state.Reason = "lapsed"
	}
	state.ConsentIDs = append(state.ConsentIDs, s.id)
	return state
}

// day0 is where the minutes of these tests begin.
var day0 = time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)

func minute(n int) time.Time { return day0.Add(time.Duration(n) * time.Minute) }

func minutePtr(n int) *time.Time { t := minute(n); return &t }

// minutes are few, so that ties come up often.
const minutes = 6

func drawMinute(t *rapid.T, label string) time.Time {
	return minute(rapid.IntRange(0, minutes).Draw(t, label))
}

func drawMaybe(t *rapid.T, label string) *time.Time {
	if rapid.Bool().Draw(t, label+"?") {
		return nil
	}
	at := drawMinute(t, label)
	return &at
}

var preferences = []string{"news", "ads"}

func drawEvent(t *rapid.T, id string) consent.Event {
	e := consent.Event{
		ID: id, Kind: consent.KindConsent, Site: "shop", Subject: "p1", SubjectID: "cust-1",
		Source:    rapid.SampledFrom([]consent.Source{consent.Public, consent.Public, consent.Private, consent.Confirmed}).Draw(t, "source"),
		Act:       rapid.SampledFrom([]consent.Act{consent.WebForm, consent.Banner, consent.Import}).Draw(t, "act"),
		Claimed:   drawMinute(t, "claimed"),
		Received:  drawMinute(t, "received"),
		ExpiresAt: drawMaybe(t, "expires"),
		Token:     rapid.SampledFrom([]consent.TokenState{"", "", consent.TokenValid, consent.TokenExpired, consent.TokenInvalid}).Draw(t, "token"),
	}
	e.Undated = rapid.Bool().Draw(t, "undated")
	if e.Source == consent.Public {
		e.Corrected = drawMaybe(t, "corrected")
	}
	for _, key := range preferences {
		if rapid.IntRange(0, 9).Draw(t, key+" objected") == 0 {
			e.Objected = append(e.Objected, key)
		}
		if value := rapid.SampledFrom([]string{"", "true", "true", `"on"`, "false", "false", `"no"`, "null", `"maybe"`, `{"a":1}`}).Draw(t, key); value != "" {
			e.Preferences = append(e.Preferences, consent.Preference{Key: key, Value: value})
		}
	}
	switch rapid.IntRange(0, 19).Draw(t, "row") {
	case 0:
		return consent.Event{ID: id, Subject: e.Subject, ErasedAt: minutePtr(minutes)}
	case 1:
		e.Kind = consent.KindSubject
	}
	e.Profile = drawProfile(t)
	switch second := rapid.IntRange(0, 3).Draw(t, "double opt-in") == 0; {
	case second && e.Source == consent.Confirmed:
		e.Act, e.Undated = consent.DoubleOptIn, false
		channel := rapid.SampledFrom([]consent.Channel{consent.ByEmail, consent.ByWhatsApp}).Draw(t, "channel")
		e.Confirms = &consent.Confirmation{
			Consent: "first", At: drawMinute(t, "first at"), Until: drawMinute(t, "until"), Message: consent.Message{Channel: channel},
		}
		if channel == consent.ByWhatsApp {
			e.Profile = consent.Profile{Phones: &consent.Phones{List: []consent.Phone{{Number: redact.String(fmt.Sprintf("+4179555010%d", rapid.IntRange(1, 2).Draw(t, "answered from")))}}}}
		}
	case second:
		e.OptIn = &consent.OptIn{Channel: consent.ByEmail, Until: drawMinute(t, "until")}
	}
	return e
}

func drawProfile(t *rapid.T) consent.Profile {
	text := func(label string) *consent.Text {
		switch n := rapid.IntRange(0, 4).Draw(t, label); n {
		case 0:
			return &consent.Text{Null: true}
		case 1, 2:
			return &consent.Text{Value: redact.String(fmt.Sprintf("%s-%d", label, n))}
		}
		return nil
	}
	p := consent.Profile{Email: text("email"), FirstName: text("first"), LastName: text("last"), FullName: text("full")}
	switch rapid.IntRange(0, 5).Draw(t, "verified") {
	case 0:
		p.Verified = &consent.Flag{Null: true}
	case 1:
		p.Verified = &consent.Flag{Value: true}
	case 2:
		p.Verified = &consent.Flag{}
	}
	switch rapid.IntRange(0, 4).Draw(t, "phones") {
	case 0:
		p.Phones = &consent.Phones{Null: true}
	case 1:
		p.Phones = &consent.Phones{List: []consent.Phone{{Number: redact.String(fmt.Sprint(rapid.IntRange(1, 2).Draw(t, "phone")))}}}
	}
	return p
}

// drawEvents draws events whose ids are in no relation to their times.
func drawEvents(t *rapid.T, most int) []consent.Event {
	n := rapid.IntRange(0, most).Draw(t, "events")
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("id-%02d", i)
	}
	if n > 0 {
		ids = rapid.Permutation(ids).Draw(t, "ids")
	}
	events := make([]consent.Event, n)
	for i := range events {
		events[i] = drawEvent(t, ids[i])
	}
	return events
}

func drawRules(t *rapid.T) consent.Rules {
	rules := consent.Rules{Latest: rapid.Bool().Draw(t, "latest"), Validity: map[string]time.Duration{}}
	if n := rapid.IntRange(0, minutes).Draw(t, "validity"); n > 0 {
		rules.Validity["news"] = time.Duration(n) * time.Minute
	}
	return rules
}

func drawView(t *rapid.T) consent.View {
	v := consent.View{Now: minute(rapid.IntRange(0, 2*minutes).Draw(t, "now"))}
	if at := drawMaybe(t, "at"); at != nil {
		v.At = *at
	}
	if known := drawMaybe(t, "known at"); known != nil {
		v.KnownAt = *known
	}
	return v
}

// shuffled is a permutation with some events standing twice.
func shuffled(t *rapid.T, events []consent.Event) []consent.Event {
	if len(events) == 0 {
		return nil
	}
	list := slices.Clone(events)
	for range rapid.IntRange(0, 3).Draw(t, "duplicates") {
		list = append(list, events[rapid.IntRange(0, len(events)-1).Draw(t, "duplicate")])
	}
	return rapid.Permutation(list).Draw(t, "order")
}
