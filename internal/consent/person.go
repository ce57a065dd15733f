package consent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// ErrTooManyEvents says that a person's events exceed what one read may take.
// Whoever meets it must answer "no".
var ErrTooManyEvents = errors.New("consent: the person has too many events")

// Union is every row that belongs to one person: those of the subject that was
// asked for, of the addresses that a trusted writer knows it under, and of every
// subject bound to one of these addresses.
type Union struct {
	Events     []Event
	Partitions []string                 // in the order they were reached
	Subjects   map[string]redact.String // subject id by partition, where an event or binding names it
	Emails     map[string]bool          // e-mails as trusted writers gave them
	Phones     map[string]bool          // telephone numbers, in E.164, whose owners have answered a message
}

// People finds all that belongs to a person.
type People struct {
	reader Reader
	hasher *pseudonym.Hasher
}

// NewPeople returns a People over the ledger.
func NewPeople(reader Reader, hasher *pseudonym.Hasher) *People {
	return &People{reader: reader, hasher: hasher}
}

// ByID reads the person whom a subject id belongs to, as far as it was known at
// the given instant.
func (p *People) ByID(ctx context.Context, site, subjectID string, knownAt time.Time) (Union, error) {
	return p.ByPartition(ctx, site, p.hasher.Subject(site, subjectID), knownAt)
}

// ByEmail reads the person whom an e-mail belongs to. An address that cannot
// identify anybody gives an empty union.
func (p *People) ByEmail(ctx context.Context, site, email string, knownAt time.Time) (Union, error) {
	partition, ok := p.EmailPartition(site, email)
	if !ok {
		return Union{}, nil
	}
	return p.ByPartition(ctx, site, partition, knownAt)
}

// EmailPartition is where the own subject of an e-mail and its bindings stand.
func (p *People) EmailPartition(site, email string) (string, bool) {
	normal, ok := identity.NormalizeEmail(email)
	if !ok {
		return "", false
	}
	return p.hasher.Subject(site, p.hasher.EmailSubject(site, normal)), true
}

// ByPhone reads the person whom a telephone number belongs to: what its owner
// has said by messages, and the subjects bound to it by that. A number that
// cannot identify anybody gives an empty union.
func (p *People) ByPhone(ctx context.Context, site, number string, knownAt time.Time) (Union, error) {
	partition, ok := p.PhonePartition(site, number)
	if !ok {
		return Union{}, nil
	}
	return p.ByPartition(ctx, site, partition, knownAt)
}

// PhonePartition is where the own subject of a telephone number and its bindings
// stand.
func (p *People) PhonePartition(site, number string) (string, bool) {
	normal, ok := identity.NormalizePhone(number)
	if !ok {
		return "", false
	}
	return p.hasher.Subject(site, p.hasher.PhoneSubject(site, normal)), true
}

// Bindings tell under which addresses an event makes its subject known: an
// e-mail that a trusted writer has given, and the telephone number that a person
// has confirmed a consent or answered a message from. Other numbers bind nobody:
// telephones are shared. An address's own subject needs no binding to itself.
func Bindings(h *pseudonym.Hasher, e *Event) []Binding {
	return slices.DeleteFunc(addresses(h, e), func(b Binding) bool { return b.Own == b.Subject })
}

// addresses are the bindings of an event, with the one of its own subject.
func addresses(h *pseudonym.Hasher, e *Event) []Binding {
	if e.ErasedAt != nil || !e.Source.Trusted() {
		return nil
	}
	var list []Binding
	add := func(ownID string, b Binding) {
		b.Own = h.Subject(e.Site, ownID)
		b.Site, b.Subject, b.SubjectID, b.At, b.KeyID = e.Site, e.Subject, e.SubjectID, e.Received, e.KeyID
		list = append(list, b)
	}
	if e.Profile.Email != nil {
		if normal, ok := identity.NormalizeEmail(e.Profile.Email.Value.Reveal()); ok {
			add(h.EmailSubject(e.Site, normal), Binding{Email: e.Profile.Email.Value})
		}
	}
	if normal, ok := e.AnsweredFrom(); ok {
		add(h.PhoneSubject(e.Site, normal), Binding{Phone: redact.String(normal)})
	}
	return list
}

// AnsweredFrom is the telephone number, in E.164, from which a person has said
// what an event says; ok is false for an event that came another way.
func (e *Event) AnsweredFrom() (e164 string, ok bool) {
	byMessage := e.Act == MessageReply || e.Confirms != nil && e.Confirms.Message.Channel == ByWhatsApp
	if e.Source != Confirmed || !byMessage || e.Profile.Phones == nil || len(e.Profile.Phones.List) != 1 {
		return "", false
	}
	return identity.NormalizePhone(e.Profile.Phones.List[0].Number.Reveal())
}

// ByPartition reads the person whom a partition belongs to.
func (p *People) ByPartition(ctx context.Context, site, partition string, knownAt time.Time) (Union, error) {
	u := Union{Partitions: []string{partition}, Subjects: map[string]redact.String{}, Emails: map[string]bool{}, Phones: map[string]bool{}}
	reached := map[string]bool{partition: true}
	reach := func(partition string) {
		if !reached[partition] {
			reached[partition] = true
			u.Partitions = append(u.Partitions, partition)
		}
	}
	budget := MaxPerson
	for i := 0; i < len(u.Partitions); i++ {
		if len(u.Partitions) > MaxBound {
			return Union{}, ErrTooManyEvents
		}
		rows, err := p.reader.Partition(ctx, u.Partitions[i], budget)
		if err != nil {
			return Union{}, err
		}
		budget -= rows.Bytes
		for _, b := range rows.Bindings {
			if !known(b.At, knownAt) {
				continue
			}
			u.Subjects[b.Subject] = b.SubjectID
			u.note(&b)
			reach(b.Subject)
		}
		for j := range rows.Events {
			e := &rows.Events[j]
			if e.ErasedAt != nil || !known(e.Received, knownAt) {
				continue
			}
			u.Subjects[e.Subject] = e.SubjectID
			for _, b := range addresses(p.hasher, e) {
				u.note(&b)
				reach(b.Own)
			}
		}
		u.Events = append(u.Events, rows.Events...)
	}
	return u, nil
}

// note keeps the address that a binding is about.
func (u *Union) note(b *Binding) {
	if b.Phone != "" {
		u.Phones[b.Phone.Reveal()] = true
		return
	}
	u.Emails[b.Email.Reveal()] = true
}

func known(received, knownAt time.Time) bool { return View{KnownAt: knownAt}.knows(received) }
