package consent

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// Channel is the way in which a person is asked to confirm a consent.
type Channel string

// The channels.
const (
	ByEmail    Channel = "email"
	ByWhatsApp Channel = "whatsapp"
)

// Known reports whether a channel exists.
func (c Channel) Known() bool { return c == ByEmail || c == ByWhatsApp }

// OptInRequest asks for a confirmation of a consent before its grants count.
type OptInRequest struct {
	Channel  Channel
	Language string // of the message, BCP 47; "" for the site's own
}

// OptIn says that the grants of an event wait until the person has confirmed
// them by a message to Address. What the event refuses counts at once.
type OptIn struct {
	Channel  Channel
	Address  redact.String // where the message goes: a normal e-mail, or E.164
	Language string        // BCP 47; "" for the site's own
	Until    time.Time     // a confirmation that is received later changes nothing
}

// Confirmation is the second event of a double opt-in: what was confirmed, and
// the proof.
type Confirmation struct {
	Consent  string    // id of the event that waited
	At       time.Time // when its grants would have taken effect
	Received time.Time // when it was received: its notices are resolved by this time
	Until    time.Time // as the event said
	Message  Message
}

// Message is what a person was sent and how they answered, as it can be shown
// years later.
type Message struct {
	Channel         Channel
	Language        string        // of the wording, BCP 47
	Wording         redact.String // the text as it was sent
	Template        string        // name of the text at Avow or at the vendor
	TemplateVersion string        //
	IDs             []string      // what the vendor calls the messages
	SentAt          time.Time     //
	AnsweredAt      time.Time     //
	Answer          redact.String // the button or keyword as it is written
}

// WordingDigest is the SHA-256, in hex, of the wording.
func (m *Message) WordingDigest() string { return hexDigest(m.Wording.Reveal()) }

// The refusals of Confirm. Neither changes anything.
var (
	ErrLapsed    = errors.New("consent: the time to confirm is over")
	ErrWithdrawn = errors.New("consent: the person has said no since")
)

// ConfirmationID is the id of the event that confirms a consent. It is fixed
// from the beginning, so confirming twice is confirming once.
func ConfirmationID(h *pseudonym.Hasher, pending *Event) string {
	return h.ID(IDTime(pending.ID), "confirm", pending.Site, pending.ID)
}

// optIn settles where the message of a double opt-in goes and how long the
// grants of an event wait. Where nothing is left to confirm, because a privacy
// signal beats every tick, there is none.
func (s *Submission) optIn(p Policy, e *Event) error {
	if s.OptIn == nil {
		return nil
	}
	if !s.OptIn.Channel.Known() {
		return errs.InvalidField("double_opt_in.channel", "must be email or whatsapp")
	}
	address, ok := s.address()
	if !ok {
		return errs.InvalidField("double_opt_in.channel", "needs a valid address: subject.email for email, the first of subject.phones with its country prefix for whatsapp")
	}
	if !slices.ContainsFunc(s.Preferences, Preference.grants) {
		return errs.InvalidField("double_opt_in", "needs a preference that is granted")
	}
	if len(e.grants()) > 0 {
		e.OptIn = &OptIn{Channel: s.OptIn.Channel, Address: redact.String(address), Language: s.OptIn.Language, Until: e.Received.Add(p.OptIn)}
	}
	return nil
}

// address is where the message of a double opt-in goes.
func (s *Submission) address() (normal string, ok bool) {
	switch phones := s.Profile.Phones; {
	case s.OptIn.Channel == ByEmail && s.Profile.Email != nil:
		return identity.NormalizeEmail(s.Profile.Email.Value.Reveal())
	case s.OptIn.Channel == ByWhatsApp && phones != nil && len(phones.List) > 0:
		return identity.NormalizePhone(phones.List[0].Number.Reveal())
	}
	return "", false
}

func (p Preference) grants() bool { return slices.Contains(yesValues, p.Value) }

// grants lists what an event grants. A privacy signal beats a tick in the same
// post.
func (e *Event) grants() []Preference {
	var list []Preference
	for _, p := range e.Preferences {
		if p.grants() && !slices.Contains(e.Objected, p.Key) {
			list = append(list, p)
		}
	}
	return list
}

// Confirm puts the second event of a double opt-in into the ledger: the grants
// of the first that the person has not refused since, with the message as their
// proof. It stands where the first one does if somebody vouches for that, else
// with the address itself (ConfirmationPartition): a public post cannot attach its
// address to anybody. Confirming again gets the same acknowledgement, whatever has
// happened in between.
//
// It is refused with ErrLapsed after the first event's Until, and with
// ErrWithdrawn where the person has refused everything since, under the first
// event's subject or under the address. A pending that waits for nothing is
// Invalid.
func (r *Recorder) Confirm(ctx context.Context, p Policy, pending *Event, m Message) (Acknowledgement, error) {
	if r.people == nil {
		return Acknowledgement{}, errs.New(errs.Internal, "this function may not read what a person has said")
	}
	if pending.OptIn == nil || pending.ErasedAt != nil || pending.Site != p.Site || m.Channel != pending.OptIn.Channel {
		return Acknowledgement{}, errs.New(errs.Invalid, "the consent waits for no confirmation by this channel")
	}
	e := r.confirmation(p, pending, m)
	waiting, err := r.people.Waiting(ctx, pending, e.Received)
	if err != nil {
		return Acknowledgement{}, err
	}
	if waiting.Confirmed != nil {
		return r.acknowledge(ctx, waiting.Confirmed) // its binding may be missing
	}
	e.Preferences = waiting.Grants
	return r.append(ctx, e)
}

// Waiting is what a consent still asks the person to confirm.
type Waiting struct {
	Grants    []Preference // those that were not refused since
	Confirmed *Event       // the event that has confirmed it; nil while it waits
}

// Waiting reads what a consent still waits for at an instant, under its own
// subject and under the address that the message goes to. The errors are those
// of Recorder.Confirm.
func (p *People) Waiting(ctx context.Context, pending *Event, now time.Time) (Waiting, error) {
	said, err := p.both(ctx, pending.Site, pending.Subject, ConfirmationPartition(p.hasher, pending))
	if err != nil {
		return Waiting{}, err
	}
	id := ConfirmationID(p.hasher, pending)
	for i := range said {
		if said[i].ID == id {
			return Waiting{Confirmed: &said[i]}, nil
		}
	}
	if now.After(pending.OptIn.Until) {
		return Waiting{}, ErrLapsed
	}
	w := Waiting{Grants: slices.DeleteFunc(pending.grants(), func(g Preference) bool {
		list := statements(said, View{}, g.Key)[g.Key]
		return slices.ContainsFunc(list, func(s statement) bool { return s.refuses(pending.Effective(true), now) })
	})}
	if len(w.Grants) == 0 {
		return Waiting{}, ErrWithdrawn
	}
	return w, nil
}

// both reads all that the persons of two partitions have said.
func (p *People) both(ctx context.Context, site, one, other string) ([]Event, error) {
	u, err := p.ByPartition(ctx, site, one, time.Time{})
	if err != nil || slices.Contains(u.Partitions, other) {
		return u.Events, err
	}
	second, err := p.ByPartition(ctx, site, other, time.Time{})
	return append(u.Events, second.Events...), err
}

// confirmation is the second event, with no preference yet.
func (r *Recorder) confirmation(p Policy, pending *Event, m Message) *Event {
	o := pending.OptIn
	received := r.now().UTC().Truncate(time.Millisecond)
	e := &Event{
		Kind: KindConsent, Site: pending.Site, Source: Confirmed, Act: DoubleOptIn, Shards: p.Shards,
		Subject: pending.Subject, SubjectID: pending.SubjectID, KeyID: pending.KeyID,
		ID: ConfirmationID(r.hasher, pending), Claimed: received, Received: received, ExpiresAt: pending.ExpiresAt,
		LegalNotices: pending.LegalNotices, Profile: Profile{Verified: &Flag{Value: true}},
		Confirms: &Confirmation{
			Consent: pending.ID, At: pending.Effective(true), Received: pending.Received, Until: o.Until, Message: m,
		},
	}
	switch o.Channel {
	case ByEmail:
		e.Profile.Email = &Text{Value: o.Address}
	case ByWhatsApp:
		e.Profile.Phones = &Phones{List: []Phone{{Number: o.Address}}}
	}
	d := newDigest("avow/confirm/v1")
	d.text(pending.ID)
	e.Request = d.sum()
	if !pending.vouched() {
		e.SubjectID = ownSubject(r.hasher, e.Site, o.Channel, o.Address.Reveal())
		e.Subject = r.hasher.Subject(e.Site, e.SubjectID.Reveal())
		e.KeyID = r.hasher.KeyID()
	}
	return e
}

// vouched reports whether somebody trusted says whom an event is about.
func (e *Event) vouched() bool { return e.Source.Trusted() || e.Token == TokenValid }

// ConfirmationPartition is where the event that confirms a consent stands: with
// the consent if somebody vouches for that, else with the address.
func ConfirmationPartition(h *pseudonym.Hasher, pending *Event) string {
	if pending.vouched() {
		return pending.Subject
	}
	return h.Subject(pending.Site, ownSubject(h, pending.Site, pending.OptIn.Channel, pending.OptIn.Address.Reveal()).Reveal())
}

// ownSubject is the id of the subject of whom nothing is known but an address.
func ownSubject(h *pseudonym.Hasher, site string, c Channel, normal string) redact.String {
	if c == ByWhatsApp {
		return redact.String(h.PhoneSubject(site, normal))
	}
	return redact.String(h.EmailSubject(site, normal))
}

// refuses reports whether a statement is a no that keeps a grant from being
// confirmed: it took effect after the grant was made, or in the same instant, and
// not after it was confirmed.
func (s statement) refuses(made, confirmed time.Time) bool {
	return !s.yes && !s.effective.Before(made) && !s.effective.After(confirmed)
}

// confirmTokenVersion begins every token of a confirmation.
const confirmTokenVersion = 1

// ConfirmToken is what stands in a message and leads to the consent that it asks
// to confirm: 66 characters of URL-safe base64, no personal data, no secret but
// that nobody else can make one. It is good until the consent's Until.
func ConfirmToken(h *pseudonym.Hasher, pending *Event) string {
	id, _ := uuid.Parse(pending.ID)
	partition, _ := base64.RawURLEncoding.DecodeString(pending.Subject)
	token := append([]byte{confirmTokenVersion}, partition...)
	token = append(token, id[:]...)
	token = append(token, h.Confirm(pending.Subject, pending.ID)...)
	return base64.RawURLEncoding.EncodeToString(token)
}

// ParseConfirmToken tells which consent a token leads to; ok is false for a text
// that is no token of ours.
func ParseConfirmToken(h *pseudonym.Hasher, token string) (subject, id string, ok bool) {
	const part, all = 16, 1 + 3*16
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != all || raw[0] != confirmTokenVersion {
		return "", "", false
	}
	subject = base64.RawURLEncoding.EncodeToString(raw[1 : 1+part])
	id = uuid.UUID(raw[1+part : 1+2*part]).String()
	return subject, id, subtle.ConstantTimeCompare(raw[1+2*part:], h.Confirm(subject, id)) == 1
}
