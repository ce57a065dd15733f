package request

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/redact"
)

// Chat carries letters to people who have made their request in a chat. Nothing is
// sent by it at once: it notes a letter for whoever may send, who judges at that
// moment whether it may go as a text or by an approved template. It never sends
// one twice.
type Chat interface {
	// Put notes a letter. Repeating it changes nothing.
	Put(ctx context.Context, l ChatLetter) error
	// Look says how far the letter of this address and key is; nil: it was never
	// noted, or the chat has been erased since.
	Look(ctx context.Context, l ChatLetter) (*ChatOutcome, error)
}

// ChatLetter is a letter that goes to a person's address in a chat.
type ChatLetter struct {
	Request  *Request
	To       Known
	Key      string        // MailKey
	Language string        // of the texts: fr, en
	Text     redact.String // the whole letter
	Brief    redact.String // the same in one line, for a template
}

// ChatState is how far a letter is.
type ChatState string

// The states of a letter in a chat.
const (
	ChatWaits   ChatState = "waits" // it is to be sent, or is being sent
	ChatSent    ChatState = "sent"
	ChatRefused ChatState = "refused" // it will surely not be sent
	ChatUnknown ChatState = "unknown" // whether it went out
)

// ChatOutcome is what has become of a letter.
type ChatOutcome struct {
	State  ChatState
	Reason string // of ChatRefused: a word or code, no personal data
	// Template, Version and Wording are those of the template that carried it, as it
	// was approved; "" where it went as a text.
	Template, Version, Wording string
}

// ErrUnderway is in the chain of an error of Postman.Send, of kind Unavailable,
// when a letter is noted and its outcome not known yet: Send it again later
// (connector.RetryAfter) to learn what has become of it.
var ErrUnderway = errors.New("the letter is on its way")

// The pauses between two looks at a letter that is on its way: as long as it has
// been, between these.
const (
	firstLook   = 5 * time.Second
	longestLook = time.Hour
)

// AnswerFirst reports whether an operation on a system waits until the answer is
// out, or put to an operator: the chat that carries it is erased after it.
func (x *Runner) AnswerFirst(ctx context.Context, r *Request, system string, o connector.Operation) (bool, error) {
	if r.Type != Erasure || o != connector.Erase || r.Channel.System == "" || r.Channel.System != system {
		return false, nil
	}
	_, settled, err := Postman{Store: x.Store}.Arrived(ctx, r.ID, letter.Answer, OnlyAnswer)
	return !settled, err
}

// OnlyAnswer is the occasion of an answer without a package.
const OnlyAnswer = "1"

// inChat reports whether a letter goes to the chat in which the request was made.
func inChat(r *Request, kind letter.Kind, person Personal) bool {
	return r.Channel.System != "" && person.Address == "" && !kind.ToOffice() && kind != letter.Handover
}

// chat takes a letter in a chat one step further: notes it with its intent, or
// learns what has become of it.
func (p Postman) chat(ctx context.Context, r *Request, kind letter.Kind, occasion string, person Personal, data func() (letter.Data, error)) error {
	key := MailKey(kind, occasion)
	m, err := p.Store.Mail(ctx, r.ID, key)
	if err != nil || m != nil && !m.Sent.IsZero() {
		return err
	}
	l := ChatLetter{Request: r, Key: key}
	if l.To, err = p.chatAddress(ctx, r); err != nil {
		return p.giveUp(ctx, r, kind, key, undeliverable, err)
	}
	if m == nil {
		return p.begin(ctx, kind, l, person, data)
	}
	o, err := p.Chat.Look(ctx, l)
	if err != nil {
		return err
	}
	age := p.Now().Sub(m.At)
	switch {
	case o == nil && age < p.lease(): // whoever has written the intent may have died before the letter was noted
		return p.put(ctx, kind, l, person, data)
	case o == nil:
		return p.giveUp(ctx, r, kind, key, unknown, errs.New(errs.Conflict, "nobody knows whether the letter %s went out: its sending was interrupted", key))
	case o.State == ChatWaits:
		return underway(key, age)
	case o.State == ChatRefused:
		return p.giveUp(ctx, r, kind, key, undeliverable, errs.New(errs.Invalid, "the letter %s cannot go by chat: %s", key, o.Reason))
	case o.State == ChatUnknown:
		return p.giveUp(ctx, r, kind, key, unknown, errs.New(errs.Conflict, "nobody knows whether the letter %s went out", key))
	}
	return p.arrived(ctx, r, key, *o)
}

// Settle learns what has become of the letters that went to a chat and are not the
// answer, before the chat is erased and nobody can know any more. ErrUnderway: one
// is still on its way. One that was not begun is left alone.
func (p Postman) Settle(ctx context.Context, r *Request) error {
	letters := Owed(r)
	letters[letter.Held] = "1"
	for kind, occasion := range letters {
		m, err := p.Store.Mail(ctx, r.ID, MailKey(kind, occasion))
		if err != nil {
			return err
		}
		if m == nil || !m.Sent.IsZero() {
			continue
		}
		// Its intent is written: its data would only be read if it was never noted.
		if err := p.Send(ctx, r, kind, occasion, letter.Data{}); err != nil && !errors.Is(err, ErrUndeliverable) {
			return err // of what cannot be delivered sweep tells the privacy office
		}
	}
	return nil
}

// begin writes the intent, and notes the letter.
func (p Postman) begin(ctx context.Context, kind letter.Kind, l ChatLetter, person Personal, data func() (letter.Data, error)) error {
	if err := p.log(ctx, l.Request, l.Key, nil, ""); err != nil {
		return err
	}
	err := p.Store.PutMail(ctx, l.Request.ID, Mail{Key: l.Key, Kind: string(kind), At: p.Now().UTC()})
	if errs.Is(err, errs.Conflict) {
		return underway(l.Key, 0)
	}
	if err != nil {
		return err
	}
	return p.put(ctx, kind, l, person, data)
}

func (p Postman) put(ctx context.Context, kind letter.Kind, l ChatLetter, person Personal, data func() (letter.Data, error)) error {
	d, err := data()
	if err != nil {
		return err
	}
	d = p.fill(l.Request, kind, person, d)
	full, err := p.Letters.Render(kind, l.Request.Language, d)
	if err != nil {
		return err
	}
	brief, err := p.Letters.Brief(kind, l.Request.Language, d)
	if err != nil {
		return err
	}
	l.Language, l.Text, l.Brief = full.Language, redact.String(full.Subject+"\n\n"+full.Text), redact.String(brief)
	if err := p.Chat.Put(ctx, l); err != nil {
		return err
	}
	return underway(l.Key, 0)
}

// underway is the error for a letter whose intent has this age.
func underway(key string, age time.Duration) error {
	why := errors.Join(errs.New(errs.Unavailable, "the letter %s is on its way", key), ErrUnderway)
	return connector.Later(min(max(age, firstLook), longestLook), why)
}

// arrived writes down that a letter was sent, and by what.
func (p Postman) arrived(ctx context.Context, r *Request, key string, o ChatOutcome) error {
	detail := map[string]string{"outcome": "sent", "channel": r.Channel.System}
	if o.Template != "" { // the proof of what the person could read around what was said
		detail["template"], detail["version"], detail["wording"] = o.Template, o.Version, o.Wording
	}
	if err := p.log(ctx, r, key, detail, ""); err != nil {
		return err
	}
	return p.Store.Sent(ctx, r.ID, key, r.Channel.System, p.Now().UTC())
}

// chatAddress is where in the chat a person can be reached: the address that they
// have proven there, a telephone number first. Once the erasure of the chat has
// begun there is none.
func (p Postman) chatAddress(ctx context.Context, r *Request) (Known, error) {
	if p.Chat == nil || !r.Identity.Proven() {
		return Known{}, errs.New(errs.Forbidden, "nobody has proven that the address is the person's")
	}
	steps, err := p.Store.Steps(ctx, r.ID)
	if err != nil {
		return Known{}, err
	}
	for _, s := range steps {
		if s.System == r.Channel.System && s.Operation == connector.Erase && s.Phase != "" && s.Phase != Skipped && s.Phase != Waived {
			return Known{}, errs.New(errs.NotFound, "the chat is erased: nothing more is written there")
		}
	}
	known, err := p.Store.Known(ctx, r.ID)
	if err != nil {
		return Known{}, err
	}
	var to Known
	for _, k := range known {
		if k.Kind != ChatAddress(r.Channel.System) || k.Trust != identity.Proven {
			continue
		}
		if to.Key == "" || strings.HasPrefix(k.Value.Reveal(), "+") {
			to = k
		}
	}
	if to.Key == "" {
		return Known{}, errs.New(errs.NotFound, "there is no address in the chat that the letter could go to")
	}
	return to, nil
}

// ChatAddress is how a messenger's address of a person is called among the
// identifiers of a request.
func ChatAddress(system string) identity.Kind { return identity.Kind(system + ".address") }
