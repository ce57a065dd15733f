package consent

import (
	"cmp"
	"errors"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// ErrViewChanged says that a view is no longer the one that the caller read: it
// must look at the ledger again.
var ErrViewChanged = errors.New("consent: the view has changed since it was read")

// maxAnswers bounds the answers of a view, in bytes as they are stored: a person
// may be asked about any number of preferences, a row may not grow like that.
const maxAnswers = 64 << 10

// SubjectView is what lists and searches show of a subject: the fold of all that
// belongs to the person, under one of the person's subject ids. It follows from
// the events alone, whatever the settings of the site and the time of day are:
// Preferences applies those when it is read.
type SubjectView struct {
	Site      string
	Subject   string // partition
	SubjectID redact.String
	Version   int64     // of the stored row; 0 when it is not stored
	Created   time.Time // claimed time of the earliest event under this subject id
	Updated   time.Time // claimed time of the person's latest event

	Email     redact.String
	FirstName redact.String
	LastName  redact.String
	FullName  redact.String
	Verified  bool
	Phones    []Phone
	EmailKey  string // keyed hash of Email as it is shown; "" without one

	Answers []Answer // by preference
	Partial bool     // older answers were left out: only the ledger knows them
	TooMany bool     // the person's events exceed what a read may take: every answer is no

	Tokens  []Token  // what the subject is found by
	Members []string // the other partitions of the person, sorted
	Events  int      // of the person
	Digest  uint64   // of the ids of these events
}

// Answer is the state of a preference before anything lapses.
type Answer struct {
	State
	Latest *State // under the rule that a public grant always counts, where it differs
}

// Preferences are the states of the preferences at an instant, under the rules
// that the site has at that moment.
func (v *SubjectView) Preferences(now time.Time, rules Rules) []State {
	var list []State
	for _, a := range v.Answers {
		s := a.State
		if rules.Latest && a.Latest != nil {
			s = *a.Latest
		}
		if v.TooMany {
			list = append(list, State{Preference: s.Preference, Reason: TooManyEvents})
			continue
		}
		list = append(list, s.Lapse(now, rules))
	}
	return list
}

// Position is the place of a subject in a list.
func (v *SubjectView) Position() Position { return Position{v.Created, v.Subject} }

// Same reports whether two views say the same, whichever their versions are.
func (v *SubjectView) Same(o *SubjectView) bool {
	if v == nil || o == nil {
		return v == o
	}
	a, b := *v, *o
	a.Version, b.Version = 0, 0
	return reflect.DeepEqual(a, b)
}

// Project computes the view of a partition from all that belongs to its person.
// nil means that the partition holds no event.
func Project(hasher *pseudonym.Hasher, partition string, u *Union) *SubjectView {
	v := &SubjectView{Subject: partition, Tokens: nil}
	for i := range u.Events {
		e := &u.Events[i]
		if e.ErasedAt != nil {
			continue
		}
		v.Events++
		v.Digest ^= digestID(e)
		if e.Subject != partition {
			continue
		}
		if v.Site == "" || e.Claimed.Before(v.Created) {
			v.Created = e.Claimed
		}
		v.Site, v.SubjectID = e.Site, e.SubjectID
	}
	if v.Site == "" {
		return nil
	}
	for _, p := range u.Partitions {
		if p != partition {
			v.Members = append(v.Members, p)
		}
	}
	slices.Sort(v.Members)
	v.show(hasher, u.Events)
	return v
}

// ProjectTooMany is the view of a partition whose person has too many events.
// What was stored stays, for display; without it, as many events of the
// partition as could be read are shown. Every answer is no.
func ProjectTooMany(hasher *pseudonym.Hasher, stored *SubjectView, partition string, read []Event, members []string) *SubjectView {
	v := stored
	if v == nil {
		v = Project(hasher, partition, &Union{Events: read, Partitions: members})
	}
	if v == nil || v.TooMany {
		return v
	}
	flagged := *v
	flagged.TooMany = true
	return &flagged
}

func digestID(e *Event) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(e.Subject + "/" + e.ID))
	return h.Sum64()
}

// show fills in what the events say of the person.
func (v *SubjectView) show(hasher *pseudonym.Hasher, events []Event) {
	p := Fold(events, View{}, Rules{})
	v.Updated = p.Updated
	v.Email, v.FirstName, v.LastName, v.FullName = p.Email, p.FirstName, p.LastName, p.FullName
	v.Verified, v.Phones = p.Verified, p.Phones
	if len(v.Phones) == 0 {
		v.Phones = nil
	}
	if v.Email != "" {
		v.EmailKey = hasher.Email(v.Site, v.Email.Reveal())
	}
	latest := Fold(events, View{}, Rules{Latest: true}).Preferences // the same keys in the same order
	for i, s := range p.Preferences {
		a := Answer{State: timeless(s)}
		if other := timeless(latest[i]); !reflect.DeepEqual(a.State, other) {
			a.Latest = &other
		}
		v.Answers = append(v.Answers, a)
	}
	v.bound()
	v.Tokens = sortTokens(append(tokens(v), carried(hasher, v, events)...))
}

// timeless is a state of which nothing has lapsed.
func timeless(s State) State {
	s.ExpiresAt = nil
	return s
}

// bound leaves out the answers that were settled longest ago, when there are too
// many.
func (v *SubjectView) bound() {
	size := func(a Answer) int {
		n := len(a.Preference) + len(a.Value) + 48*len(a.ConsentIDs) + 96
		if a.Latest != nil {
			n += len(a.Latest.Value) + 48*len(a.Latest.ConsentIDs) + 96
		}
		return n
	}
	total := 0
	for _, a := range v.Answers {
		total += size(a)
	}
	if total <= maxAnswers {
		return
	}
	v.Partial = true
	slices.SortStableFunc(v.Answers, func(a, b Answer) int { return b.Since.Compare(a.Since) })
	total = 0
	keep := 0
	for _, a := range v.Answers {
		if total += size(a); total > maxAnswers {
			break
		}
		keep++
	}
	v.Answers = slices.Clip(v.Answers[:keep])
	slices.SortFunc(v.Answers, func(a, b Answer) int { return strings.Compare(a.Preference, b.Preference) })
}

// Position is a place in a list of subjects, newest first.
type Position struct {
	Created time.Time
	Subject string
}

// Compare is negative when p stands before o in the list.
func (p Position) Compare(o Position) int {
	return cmp.Or(o.Created.Compare(p.Created), strings.Compare(o.Subject, p.Subject))
}

// Entry is one search entry of a subject.
type Entry struct {
	Site  string
	Token Token
	At    Position
}

// Entries are the search entries that belong to a view.
func (v *SubjectView) Entries() []Entry {
	if v == nil {
		return nil
	}
	list := make([]Entry, len(v.Tokens))
	for i, t := range v.Tokens {
		list[i] = Entry{v.Site, t, v.Position()}
	}
	return list
}
