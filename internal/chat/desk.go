package chat

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/hook"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/site"
)

// Channel is the channel of preferences that stand in a register for messages on
// WhatsApp.
const Channel = "whatsapp"

// Line is one telephone number of the company.
type Line struct {
	System   string // its name in systems.json
	Number   string // Meta's id of it
	Site     *site.Site
	Policy   consent.Policy
	Language string        // where nothing tells the person's
	Metadata time.Duration // how long types and times of messages are kept; 0: not at all
}

// Preferences are the keys of the site's register for this channel.
func (l *Line) Preferences() []string {
	var keys []string
	for _, p := range l.Site.Register {
		if p.Channel == Channel {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// Ledger records what a person has said: *consent.Recorder.
type Ledger interface {
	Record(ctx context.Context, p consent.Policy, s *consent.Submission) (consent.Acknowledgement, error)
	Confirm(ctx context.Context, p consent.Policy, pending *consent.Event, m consent.Message) (consent.Acknowledgement, error)
}

// Events finds a consent that waits for its confirmation; nil when there is none.
type Events interface {
	Get(ctx context.Context, subject, id string) (*consent.Event, error)
}

// Outbox has a message sent that Store.Note has noted. Repeating it changes
// nothing.
type Outbox interface {
	Message(ctx context.Context, site string, o Outgoing) error
}

// Requests opens and proves requests that come by chat.
type Requests interface {
	// Ask opens a request that waits for the person's own word; "" when they have
	// asked often enough.
	Ask(ctx context.Context, l *Line, w Wish) (id string, err error)
	// Prove is that word: it reports whether the request is theirs and goes on.
	Prove(ctx context.Context, l *Line, id string, kin []Kin) (bool, error)
	// Withdraw takes the request back, if it is theirs.
	Withdraw(ctx context.Context, l *Line, id string, kin []Kin) (bool, error)
}

// Desk acts on what comes from the platform. Every act may be repeated: posts come
// twice, late and in any order.
type Desk struct {
	Store    Store
	Ledger   Ledger
	Events   Events
	People   *consent.People // what an answer is judged by
	Requests Requests
	Outbox   Outbox
	Hasher   *pseudonym.Hasher
	Now      func() time.Time
}

// Kin is one address of a person with all that stands for it.
type Kin struct {
	Address redact.String // E.164 or a business-scoped user id
	Person  string        // partition of the messages; also the key of the identifier
	Silence string        // key of the silence, the same for all numbers of a site
	Subject redact.String // subject id in the ledger
}

// kin is what stands for an address.
func (d *Desk) kin(l *Line, address redact.String) Kin {
	return KinOf(d.Hasher, l.Site.ID, l.System, address)
}

// KinOf is what stands for an address at a system of a site.
func KinOf(h *pseudonym.Hasher, site, system string, address redact.String) Kin {
	k := Kin{Address: address, Person: h.Identifier(site, string(request.ChatAddress(system)), address.Reveal()), Silence: h.Identifier(site, Channel, address.Reveal())}
	k.Subject = redact.String(h.ChatSubject(site, address.Reveal()))
	if strings.HasPrefix(address.Reveal(), "+") {
		k.Subject = redact.String(h.PhoneSubject(site, address.Reveal()))
	}
	return k
}

// who is somebody with all addresses that are known, the number first.
type who struct {
	kin []Kin
	hook.Person
	language string
}

func (w who) first() Kin { return w.kin[0] }

// find completes a person by what was known of either address before. What was
// known of an address that somebody has left is about them.
func (d *Desk) find(ctx context.Context, l *Line, p hook.Person) (who, error) {
	w := who{Person: p}
	for _, address := range []redact.String{p.Phone, p.UserID} {
		if address == "" {
			continue
		}
		k := d.kin(l, address)
		c, err := d.Store.Contact(ctx, k.Person)
		if err != nil {
			return w, err
		}
		if c == nil {
			continue
		}
		if left, err := d.Store.Left(ctx, k.Silence); !left.IsZero() || err != nil {
			if err != nil {
				return w, err
			}
			continue
		}
		if w.Phone == "" {
			w.Phone = c.Phone
		}
		if w.UserID == "" {
			w.UserID = c.UserID
		}
		if w.language == "" {
			w.language = c.Language
		}
	}
	for _, address := range []redact.String{w.Phone, w.UserID} {
		if address != "" {
			w.kin = append(w.kin, d.kin(l, address))
		}
	}
	return w, nil
}

// Change acts on one change of a post. Its parts are independent: what fails is
// returned, after the others were tried, and Meta posts it again.
func (d *Desk) Change(ctx context.Context, l *Line, c hook.Change) error {
	var failed error
	note := func(err error) {
		if err != nil && (failed == nil || errs.Is(err, errs.Unavailable)) {
			failed = err
		}
	}
	for _, p := range c.Preferences {
		note(d.preference(ctx, l, p))
	}
	for _, m := range c.Messages {
		note(d.message(ctx, l, m))
	}
	for _, s := range c.Statuses {
		note(d.status(ctx, l, s))
	}
	return failed
}

// message acts on a message, once.
func (d *Desk) message(ctx context.Context, l *Line, m hook.Message) error {
	m.At = d.past(m.At)
	w, err := d.find(ctx, l, m.From)
	if err != nil {
		return err
	}
	id := d.wamid(l, m.ID)
	if seen, err := d.Store.Seen(ctx, w.first().Person, id); seen || err != nil {
		return err
	}
	word, language := meaning(m)
	if language != "" {
		w.language = language
	}
	if err := d.meet(ctx, w, m.At); err != nil {
		return err
	}
	if err := d.act(ctx, l, w, m, word); err != nil {
		return err
	}
	return d.Store.Keep(ctx, d.incoming(l, w, m, id))
}

// wamid is the keyed hash of the vendor's id of a message.
func (d *Desk) wamid(l *Line, id redact.String) string {
	return d.Hasher.Key("wamid", l.Site.ID, id.Reveal())
}

// past is a time by Meta's clock. One that is a little ahead stays, because ids
// follow from it, and a post that comes again is to have the same ones. One that
// cannot be true is now, and so is none at all: what somebody has asked for is not
// lost for that.
func (d *Desk) past(at time.Time) time.Time {
	if now := d.Now().UTC(); at.IsZero() || at.After(now.Add(consent.MaxAhead)) {
		return now.Truncate(time.Millisecond)
	}
	return at
}

// meaning is what a message asks for: a keyword, or a button that says one.
func meaning(m hook.Message) (Word, string) {
	word, language := Keyword(m.Text.Reveal())
	if word == "" && m.Payload != "" {
		word, language = Keyword(m.Payload.Reveal())
	}
	return word, language
}

// meet notes the contact under each of its addresses, so that a message that
// carries only one of them finds the other.
func (d *Desk) meet(ctx context.Context, w who, at time.Time) error {
	for _, k := range w.kin {
		c := Contact{Person: k.Person, Phone: w.Phone, UserID: w.UserID, Language: w.language, LastIn: at, Expires: at.Add(contactFor)}
		if err := d.Store.Meet(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// incoming is what is kept of a message.
func (d *Desk) incoming(l *Line, w who, m hook.Message, id string) Incoming {
	in := Incoming{Person: w.first().Person, Message: id, At: m.At, Expires: d.Now().Add(seenFor)}
	if l.Metadata > 0 {
		in.Type, in.Expires = m.Type, later(in.Expires, m.At.Add(l.Metadata))
	}
	if m.Media != "" {
		in.Media, in.Expires = m.Media, later(in.Expires, m.At.Add(mediaFor))
	}
	return in
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// act does what a message asks for.
func (d *Desk) act(ctx context.Context, l *Line, w who, m hook.Message, word Word) error {
	switch verb, about, _ := strings.Cut(m.Payload.Reveal(), ":"); {
	case m.Moved.Key() != "":
		return d.moved(ctx, l, w, m)
	case verb == proves:
		return d.prove(ctx, l, w, m, about)
	case verb == withdraws:
		_, err := d.Requests.Withdraw(ctx, l, about, w.kin)
		return err
	case verb == agrees:
		return d.answer(ctx, l, w, m, about, true)
	case verb == declines:
		return d.answer(ctx, l, w, m, about, false)
	}
	switch word {
	case Stop:
		return d.stop(ctx, l, w, m)
	case Start:
		return d.start(ctx, l, w, m)
	case Yes:
		return d.yes(ctx, l, w, m)
	case Erase, Access:
		return d.ask(ctx, l, w, m, word)
	}
	return nil
}

// stop ends the messages to a person: silence first, the ledger next, one
// confirmation last.
func (d *Desk) stop(ctx context.Context, l *Line, w who, m hook.Message) error {
	first, err := d.silence(ctx, w, ByPerson, true, m.At, d.wamid(l, m.ID))
	if err != nil {
		return err
	}
	if err := d.refuse(ctx, l, w, m.At, d.wamid(l, m.ID), m.Text, l.Preferences()); err != nil || !first {
		return err
	}
	return d.reply(ctx, l, w, m, Stopped, "")
}

// silence stops or allows messages to all addresses of a person.
func (d *Desk) silence(ctx context.Context, w who, r Reason, stop bool, at time.Time, by string) (first bool, err error) {
	for i, k := range w.kin {
		one, err := d.Store.Silence(ctx, k.Silence, r, stop, at, by)
		if err != nil {
			return false, err
		}
		first = first || i == 0 && one
	}
	return first, nil
}

// refuse records a no to some preferences, in the partition of each address. said
// is the person's own word, "" where there is none.
func (d *Desk) refuse(ctx context.Context, l *Line, w who, at time.Time, key string, said redact.String, preferences []string) error {
	if err := d.taint(ctx, l, w, w.Phone, at, key); err != nil {
		return err
	}
	for _, k := range w.kin {
		s := d.statement(l, w.Phone, k.Subject, at, "chat-refusal", key)
		for _, p := range preferences {
			s.Preferences = append(s.Preferences, consent.Preference{Key: p, Value: "false"})
		}
		if said != "" {
			s.Proofs = []consent.ProofText{{Content: &said}}
		}
		if err := d.record(ctx, l, s); err != nil {
			return err
		}
	}
	return nil
}

// statement is what a person has said by a message, with nothing said yet. The
// number that it came from becomes one of the subject's.
func (d *Desk) statement(l *Line, phone, subject redact.String, at time.Time, what, key string) *consent.Submission {
	s := &consent.Submission{
		Source: consent.Confirmed, Act: consent.MessageReply, IdempotencyKey: d.Hasher.ID(at, what, l.Site.ID, key), Timestamp: &at, SubjectID: subject,
	}
	if phone != "" {
		s.Profile.Phones = &consent.Phones{List: []consent.Phone{{Number: phone, Label: Channel}}}
	}
	return s
}

// record puts a statement into the ledger. A Conflict is a repetition after the
// register has changed: what was said first stands.
func (d *Desk) record(ctx context.Context, l *Line, s *consent.Submission) error {
	_, err := d.Ledger.Record(ctx, l.Policy, s)
	if errs.Is(err, errs.Conflict) {
		return nil
	}
	return err
}

// reply notes an answer to a message, and has it sent.
func (d *Desk) reply(ctx context.Context, l *Line, w who, m hook.Message, p Purpose, about string) error {
	language := w.language
	if language == "" {
		language = l.Language
	}
	o := Outgoing{
		Person: w.first().Person, ID: d.Hasher.ID(m.At, "chat-reply", string(p), l.Site.ID, d.wamid(l, m.ID)),
		Purpose: p, System: l.System, To: w.first().Address, Language: language, About: about, State: Due, At: m.At, Expires: m.At.Add(contactFor),
	}
	if err := d.Store.Note(ctx, o); err != nil {
		return err
	}
	return d.Outbox.Message(ctx, l.Site.ID, o)
}

// moved notes that a person has another number or user id from now on: what was
// said under the old one holds under the new one. The old one gets nothing more: a
// number is given to somebody else, who has agreed to nothing.
func (d *Desk) moved(ctx context.Context, l *Line, w who, m hook.Message) error {
	fresh, err := d.find(ctx, l, m.Moved)
	if err != nil {
		return err
	}
	for _, k := range w.kin {
		reasons, err := d.Store.Silenced(ctx, k.Silence)
		if err != nil {
			return err
		}
		if !slices.Contains(reasons, ByPerson) && !slices.Contains(reasons, ByPlatform) {
			continue
		}
		if _, err := d.silence(ctx, fresh, ByPerson, true, m.At, d.wamid(l, m.ID)); err != nil {
			return err
		}
	}
	if fresh.Phone != "" {
		if err := d.tie(ctx, l, w, fresh.Phone, m, "chat-moved"); err != nil {
			return err
		}
	}
	if err := d.arrive(ctx, l, fresh, m); err != nil {
		return err
	}
	old := who{kin: slices.DeleteFunc(slices.Clone(w.kin), func(k Kin) bool { return slices.Contains(fresh.kin, k) })}
	slices.Reverse(old.kin) // the number last: once it is left it leads to the others no more, and this may be repeated
	if _, err := d.silence(ctx, old, Moved, true, m.At, d.wamid(l, m.ID)); err != nil {
		return err
	}
	return d.meet(ctx, who{kin: fresh.kin, Person: fresh.Person, language: w.language}, m.At)
}

// allow lifts the silence of a person who wants messages, and at whose address
// somebody else may have been before.
func (d *Desk) allow(ctx context.Context, l *Line, w who, m hook.Message) error {
	if _, err := d.silence(ctx, w, ByPerson, false, m.At, d.wamid(l, m.ID)); err != nil {
		return err
	}
	return d.arrive(ctx, l, w, m)
}

// arrive ends the silence of addresses that somebody had left.
func (d *Desk) arrive(ctx context.Context, l *Line, w who, m hook.Message) error {
	for _, k := range w.kin {
		reasons, err := d.Store.Silenced(ctx, k.Silence)
		if err != nil {
			return err
		}
		if !slices.Contains(reasons, Moved) {
			continue
		}
		if _, err := d.Store.Silence(ctx, k.Silence, Moved, false, m.At, d.wamid(l, m.ID)); err != nil {
			return err
		}
	}
	return nil
}

// tie makes what is said under the addresses of a person count for a telephone
// number, too. The contact that knows them together goes after a month; a STOP that
// comes later by the user id alone must still reach what the number has agreed to.
func (d *Desk) tie(ctx context.Context, l *Line, w who, phone redact.String, m hook.Message, what string) error {
	if err := d.taint(ctx, l, w, phone, m.At, d.wamid(l, m.ID)); err != nil {
		return err
	}
	for _, k := range w.kin {
		if k.Address == phone {
			continue
		}
		if err := d.record(ctx, l, d.statement(l, phone, k.Subject, m.At, what, d.wamid(l, m.ID))); err != nil {
			return err
		}
	}
	return nil
}

// taint notes of the other addresses of a person that somebody has left the number
// which they are about to be tied to: they lead to the same data then, and must not
// prove more than the number does.
func (d *Desk) taint(ctx context.Context, l *Line, w who, phone redact.String, at time.Time, by string) error {
	if phone == "" {
		return nil
	}
	if left, err := d.Store.Left(ctx, d.kin(l, phone).Silence); left.IsZero() || err != nil {
		return err
	}
	for _, k := range w.kin {
		if left, err := d.Store.Left(ctx, k.Silence); !left.IsZero() || err != nil {
			if err != nil {
				return err
			}
			continue // it may be silent for that
		}
		if _, err := d.Store.Silence(ctx, k.Silence, Moved, false, at, by); err != nil {
			return err
		}
	}
	return nil
}

// left reports whether somebody has left one of a person's addresses: what stands
// under it may be about them.
func (d *Desk) left(ctx context.Context, w who) (bool, error) {
	for _, k := range w.kin {
		if left, err := d.Store.Left(ctx, k.Silence); !left.IsZero() || err != nil {
			return true, err
		}
	}
	return false, nil
}

// preference acts on a choice that a person has made in WhatsApp itself. A stop
// is a no; a resume is no consent, it only lifts that stop.
func (d *Desk) preference(ctx context.Context, l *Line, p hook.Preference) error {
	p.At = d.past(p.At)
	w, err := d.find(ctx, l, p.From)
	if err != nil {
		return err
	}
	return d.platform(ctx, l, w, p.Stop, p.At)
}

// OptedOut notes that Meta says that a person has stopped all marketing there.
func (d *Desk) OptedOut(ctx context.Context, l *Line, address redact.String, at time.Time) error {
	p := hook.Person{UserID: address}
	if strings.HasPrefix(address.Reveal(), "+") {
		p = hook.Person{Phone: address}
	}
	w, err := d.find(ctx, l, p)
	if err != nil {
		return err
	}
	return d.platform(ctx, l, w, true, at)
}

func (d *Desk) platform(ctx context.Context, l *Line, w who, stop bool, at time.Time) error {
	key := d.Hasher.Key("platform", l.Site.ID, w.first().Silence+at.UTC().Format(time.RFC3339))
	if _, err := d.silence(ctx, w, ByPlatform, stop, at, key); err != nil || !stop {
		return err
	}
	return d.refuse(ctx, l, w, at, key, "", l.Preferences())
}

// optedOut is Meta's code of a message that was not delivered because the person
// has stopped all marketing messages of the company.
const optedOut = 131050

// status notes what became of a message.
func (d *Desk) status(ctx context.Context, l *Line, s hook.Status) error {
	if s.To.Key() == "" {
		return nil
	}
	w, err := d.find(ctx, l, s.To)
	if err != nil {
		return err
	}
	if s.Code == optedOut {
		if err := d.platform(ctx, l, w, true, d.past(s.At)); err != nil {
			return err
		}
	}
	return d.Store.Report(ctx, w.first().Person, d.wamid(l, s.ID), s.Value, s.Code)
}
