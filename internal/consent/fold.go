package consent

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// Reason says why a preference is granted or not.
type Reason string

// The reasons. Only Granted goes with a yes.
const (
	Granted       Reason = "granted"
	Refused       Reason = "refused"         // the person said no and had not said yes before
	Withdrawn     Reason = "withdrawn"       // the person said no after a yes
	Expired       Reason = "expired"         // the yes was given for a time that is over
	NeverAsked    Reason = "never_asked"     // nothing was said
	Unconfirmed   Reason = "unconfirmed"     // a public yes that does not count: after a proven no, or where somebody must vouch for it
	Pending       Reason = "pending"         // a yes that waits for its confirmation
	Lapsed        Reason = "lapsed"          // a yes that was not confirmed in time
	NotBoolean    Reason = "not_boolean"     // the value is neither a yes nor a no
	TooManyEvents Reason = "too_many_events" // the person's events exceed what one read may take
	Objected      Reason = "objected"        // the person has objected to the processing
	Restricted    Reason = "restricted"      // the person has had the processing restricted, whatever was granted
)

// Rules are the settings of a site that decide what counts.
type Rules struct {
	// Latest lets a public grant count after a trusted "no". Default off: the
	// grant stays unconfirmed.
	Latest bool
	// Vouched lets no grant count that nothing vouches for, whatever was said
	// before: anybody may have ticked the box.
	Vouched bool
	// Validity is how long a grant of a preference lasts; absent or zero means
	// without end.
	Validity map[string]time.Duration
}

// View is the instant that a person is looked at from.
type View struct {
	// Now is the present: what lapses is judged by it, unless At is set. Events
	// are not: another instance's clock may be ahead of this one's, and what it
	// has acknowledged counts at once.
	Now     time.Time
	At      time.Time // what was effective at this instant; zero for all there is
	KnownAt time.Time // as far as the server had received it by this instant; zero for all there is
}

func (v View) knows(received time.Time) bool {
	return v.KnownAt.IsZero() || !received.After(v.KnownAt)
}

func (v View) reaches(effective time.Time) bool {
	return v.At.IsZero() || !effective.After(v.At)
}

func (v View) instant() time.Time {
	if v.At.IsZero() {
		return v.Now
	}
	return v.At
}

// State is the current answer for one preference.
type State struct {
	Preference string
	Granted    bool
	Reason     Reason
	Value      string     // JSON text of the deciding statement; "" when never asked
	ConsentIDs []string   // the events that decide, the deciding one first
	Since      time.Time  // when the deciding statement took effect
	ExpiresAt  *time.Time // when a grant lapses or has lapsed
	Own        *time.Time // the expiry that the deciding event itself states
	Until      *time.Time // with Pending and Lapsed: how long the yes may be confirmed
}

// Lapse looks at a state that was computed earlier: a grant whose time is over
// by now has expired, and one that waits for its confirmation has lapsed.
func (s State) Lapse(now time.Time, rules Rules) State {
	if s.Until != nil {
		s.Reason = Pending
		if now.After(*s.Until) {
			s.Reason = Lapsed
		}
		return s
	}
	if s.Reason != Granted && s.Reason != Expired {
		return s
	}
	s.ExpiresAt = earliestExpiry(s.Own, s.Since, rules.Validity[s.Preference])
	s.Reason = Granted
	if s.ExpiresAt != nil && !now.Before(*s.ExpiresAt) {
		s.Reason = Expired
	}
	s.Granted = s.Reason == Granted
	return s
}

// statement is what one event says about one preference.
type statement struct {
	event     *Event
	value     string
	yes       bool
	boolean   bool
	effective time.Time
}

// order sorts statements: later effective time last; on equal time a "no"
// last; then by id.
func (s statement) order(o statement) int {
	if c := s.effective.Compare(o.effective); c != 0 {
		return c
	}
	if s.yes != o.yes {
		if s.yes {
			return -1
		}
		return 1
	}
	return strings.Compare(s.event.ID, o.event.ID)
}

// yesValues are the JSON texts that grant, noValues those that plainly refuse.
// Everything else but null is a "no" that was not meant as one.
var (
	yesValues = []string{`true`, `"true"`, `1`, `"1"`, `"on"`, `"yes"`}
	noValues  = []string{`false`, `"false"`, `0`, `"0"`, `"off"`, `"no"`}
)

// Effective returns when a yes or a no of this event takes effect
// (docs/architecture.md §3, "When").
func (e *Event) Effective(yes bool) time.Time {
	switch {
	case (e.Source.Trusted() || e.Act == Import) && (yes || !e.Undated):
		return earliest(e.Claimed, e.Received)
	case e.Corrected != nil:
		return *e.Corrected
	case yes:
		return earliest(e.Claimed, e.Received)
	default:
		return e.Received
	}
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// statements lists what the events say, by preference and in order. With only
// set, it looks at that preference alone. It is one pass over the events,
// however many preferences they name.
func statements(events []Event, v View, only string) map[string][]statement {
	said := map[string][]statement{}
	add := func(key string, s statement) {
		if (only == "" || key == only) && v.reaches(s.effective) {
			said[key] = append(said[key], s)
		}
	}
	var general []statement // objections to every preference
	for i := range events {
		e := &events[i]
		if e.Kind != KindConsent && e.Kind != KindObjection || e.ErasedAt != nil || !v.knows(e.Received) {
			continue
		}
		no := statement{event: e, value: "false", boolean: true, effective: e.Effective(false)}
		for _, key := range e.Objected {
			add(key, no)
		}
		if e.All {
			general = append(general, no)
		}
		for _, p := range e.Preferences {
			// A privacy signal beats a tick in the same post.
			if p.Value == "null" || slices.Contains(e.Objected, p.Key) {
				continue
			}
			yes := slices.Contains(yesValues, p.Value)
			add(p.Key, statement{
				event: e, value: p.Value, yes: yes,
				boolean:   yes || slices.Contains(noValues, p.Value),
				effective: e.Effective(yes),
			})
		}
	}
	for _, no := range general {
		if only != "" {
			add(only, no)
			continue
		}
		for key := range said {
			add(key, no)
		}
	}
	for _, list := range said {
		slices.SortFunc(list, statement.order)
	}
	return said
}

// restriction is the restriction of processing that is in force, nil when there
// is none. Only trusted events restrict and lift; on equal time it stays.
func restriction(events []Event, v View) *Event {
	var latest *Event
	for i := range events {
		e := &events[i]
		if e.Kind != KindRestriction || e.ErasedAt != nil || !e.Source.Trusted() || !v.knows(e.Received) || !v.reaches(e.Effective(false)) {
			continue
		}
		if latest == nil || later(latest, e) {
			latest = e
		}
	}
	if latest == nil || latest.Lifted {
		return nil
	}
	return latest
}

// later reports whether b comes after a among restrictions.
func later(a, b *Event) bool {
	if c := a.Effective(false).Compare(b.Effective(false)); c != 0 {
		return c < 0
	}
	if a.Lifted != b.Lifted {
		return a.Lifted
	}
	return a.ID < b.ID
}

// under is what a restriction makes of a state; nil leaves it.
func (s State) under(restriction *Event) State {
	if restriction == nil {
		return s
	}
	return State{
		Preference: s.Preference, Reason: Restricted, Value: "false",
		ConsentIDs: []string{restriction.ID}, Since: restriction.Effective(false),
	}
}

// Decide answers whether a preference is granted, from the events of a person.
// The order of events does not matter, and neither do duplicates.
func Decide(events []Event, preference string, v View, rules Rules) State {
	return decide(preference, statements(events, v, preference)[preference], v, rules).under(restriction(events, v))
}

func decide(preference string, list []statement, v View, rules Rules) State {
	list, waiting := settle(list)
	var winner *statement      // the latest statement that counts
	var unconfirmed *statement // the latest public grant that does not
	var trusted *statement     // the latest trusted statement effective at or before the one at hand
	given := false             // some statement that counts granted
	for i, next := 0, 0; i < len(list); i++ {
		s := &list[i]
		for ; next < len(list) && !list[next].effective.After(s.effective); next++ {
			if list[next].event.Source.Trusted() {
				trusted = &list[next]
			}
		}
		if s.yes && s.hearsay() && (rules.Vouched || !rules.Latest && trusted != nil && !trusted.yes) {
			unconfirmed = s
			continue
		}
		given = given || s.yes
		winner = s
	}
	state := State{Preference: preference, Reason: NeverAsked}
	open := last(unconfirmed, waiting)
	if decides := cmp.Or(winner, open); decides != nil {
		state.Value, state.Since = decides.value, decides.effective
	}
	if winner != nil {
		state.ConsentIDs = []string{winner.event.ID}
	}
	switch {
	case winner != nil && winner.yes:
		state.Own, state.Reason = winner.event.ExpiresAt, Granted
		return state.Lapse(v.instant(), rules)
	case open != nil && (winner == nil || !open.effective.Before(winner.effective)):
		return state.unmet(open).Lapse(v.instant(), rules)
	case winner == nil:
		return state
	case winner.event.objects(preference):
		state.Reason = Objected
	case !winner.boolean:
		state.Reason = NotBoolean
	case given:
		state.Reason = Withdrawn
	default:
		state.Reason = Refused
	}
	return state
}

// objects reports whether an event's no to a preference is an objection. That of
// a browser's signal is not called so: it may have been sent with any post.
func (e *Event) objects(preference string) bool {
	return e.Kind == KindObjection || e.Act == PreferenceCentre && !e.GPC && slices.Contains(e.Objected, preference)
}

// settle leaves out the grants that wait for a confirmation, and the
// confirmations that came too late or after a refusal; waiting is the latest of
// the former.
func settle(all []statement) (list []statement, waiting *statement) {
	for i := range all {
		switch s := &all[i]; {
		case s.yes && s.event.OptIn != nil:
			waiting = s
		case s.yes && s.event.Confirms != nil && s.void(all):
		default:
			list = append(list, *s)
		}
	}
	return list, waiting
}

// void reports whether a confirmation changes nothing.
func (s statement) void(all []statement) bool {
	return s.event.Received.After(s.event.Confirms.Until) ||
		slices.ContainsFunc(all, func(o statement) bool { return o.refuses(s.event.Confirms.At, s.effective) })
}

// unmet is what a grant that does not count makes of a state.
func (s State) unmet(grant *statement) State {
	s.Reason, s.ConsentIDs = Unconfirmed, append(s.ConsentIDs, grant.event.ID)
	if o := grant.event.OptIn; o != nil {
		s.Until = &o.Until
	}
	return s
}

// last is the later of two statements, either of which may be nil.
func last(a, b *statement) *statement {
	if a == nil || b != nil && a.order(*b) < 0 {
		return b
	}
	return a
}

// hearsay reports whether a statement is a public one that nothing vouches for.
func (s statement) hearsay() bool {
	return !s.event.Source.Trusted() && s.event.Token != TokenValid
}

// earliestExpiry is the earlier of an event's own expiry and the end of a
// preference's validity; nil when there is neither.
func earliestExpiry(own *time.Time, since time.Time, validity time.Duration) *time.Time {
	if validity > 0 {
		if lapse := since.Add(validity); own == nil || lapse.Before(*own) {
			return &lapse
		}
	}
	return own
}

// Person is what follows from the events of one person.
type Person struct {
	Known       bool      // at least one event exists
	FirstSeen   time.Time // claimed time of the earliest event
	Updated     time.Time // claimed time of the latest event
	Email       redact.String
	FirstName   redact.String
	LastName    redact.String
	FullName    redact.String
	Verified    bool
	Phones      []Phone
	Preferences []State // one per preference ever stated, by key
}

// Fold computes a person from the union of the events that belong to them.
func Fold(events []Event, v View, rules Rules) Person {
	var p Person
	var profile folder
	for i := range events {
		e := &events[i]
		if e.ErasedAt != nil || !v.knows(e.Received) || !v.reaches(e.Claimed) {
			continue
		}
		if !p.Known || e.Claimed.Before(p.FirstSeen) {
			p.FirstSeen = e.Claimed
		}
		if !p.Known || e.Claimed.After(p.Updated) {
			p.Updated = e.Claimed
		}
		p.Known = true
		profile.add(e)
	}
	profile.into(&p)
	restricted := restriction(events, v)
	for key, list := range statements(events, v, "") {
		p.Preferences = append(p.Preferences, decide(key, list, v, rules).under(restricted))
	}
	slices.SortFunc(p.Preferences, func(a, b State) int { return strings.Compare(a.Preference, b.Preference) })
	return p
}

// folder keeps, for each profile field, the event that states it with the
// highest precedence: trusted before public, then latest claimed, then id.
type folder struct {
	email, firstName, lastName, fullName, verified, phones *Event

	answered map[string]*Event // telephone numbers whose owners have answered a message, with the latest answer
}

func (f *folder) add(e *Event) {
	p := &e.Profile
	prefer(&f.email, e, p.Email != nil)
	prefer(&f.firstName, e, p.FirstName != nil)
	prefer(&f.lastName, e, p.LastName != nil)
	prefer(&f.fullName, e, p.FullName != nil)
	if number, ok := e.AnsweredFrom(); ok {
		best := f.answered[number]
		prefer(&best, e, true)
		if f.answered == nil {
			f.answered = map[string]*Event{}
		}
		f.answered[number] = best
	} else {
		prefer(&f.phones, e, p.Phones != nil)
	}
	prefer(&f.verified, e, p.Verified != nil && e.Source.Trusted())
}

func prefer(best **Event, e *Event, states bool) {
	if states && (*best == nil || precedence(*best, e) < 0) {
		*best = e
	}
}

// precedence is negative when b wins over a.
func precedence(a, b *Event) int {
	if a.Source.Trusted() != b.Source.Trusted() {
		if a.Source.Trusted() {
			return 1
		}
		return -1
	}
	return cmp.Or(a.Claimed.Compare(b.Claimed), strings.Compare(a.ID, b.ID))
}

func (f *folder) into(p *Person) {
	text := func(e *Event, field func(*Profile) *Text) redact.String {
		if e == nil {
			return ""
		}
		return field(&e.Profile).Value
	}
	p.Email = text(f.email, func(p *Profile) *Text { return p.Email })
	p.FirstName = text(f.firstName, func(p *Profile) *Text { return p.FirstName })
	p.LastName = text(f.lastName, func(p *Profile) *Text { return p.LastName })
	p.FullName = text(f.fullName, func(p *Profile) *Text { return p.FullName })
	if f.verified != nil {
		p.Verified = f.verified.Profile.Verified.Value
	}
	if f.phones != nil {
		p.Phones = f.phones.Profile.Phones.List
	}
	p.Phones = f.withAnswered(p.Phones)
}

// withAnswered adds to a list of phones the numbers that messages were answered
// from since it was stated: an answer states one number, not the whole list.
func (f *folder) withAnswered(list []Phone) []Phone {
	listed := map[string]bool{}
	for _, phone := range list {
		if normal, ok := identity.NormalizePhone(phone.Number.Reveal()); ok {
			listed[normal] = true
		}
	}
	list = slices.Clip(list)
	for _, number := range slices.Sorted(maps.Keys(f.answered)) {
		if !listed[number] && (f.phones == nil || precedence(f.phones, f.answered[number]) < 0) {
			list = append(list, Phone{Number: redact.String(number)})
		}
	}
	return list
}
