package whatsapp

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// lease is how long a message may be on its way to Meta before nobody knows what
// became of it.
const lease = 2 * time.Minute

// Sender sends messages that are noted in the table of messages, each at most
// once. It is the only way by which Avow writes to anybody on WhatsApp, and asks
// before every message whether it may.
type Sender struct {
	Client  *Client
	Line    *chat.Line
	Company string // as the invitation names it
	Store   chat.Store
	People  *consent.People
	Events  chat.Events
	// Refuse records that Meta says that a person has opted out there.
	Refuse func(ctx context.Context, l *chat.Line, address redact.String, at time.Time) error
	Hasher *pseudonym.Hasher
	Now    func() time.Time
	NewID  func(time.Time) string
}

// Outcome is what came of an attempt to send.
type Outcome struct {
	State  chat.State    // Due: try again after the pause
	After  time.Duration //
	Reason string        // why it failed: a word of ours or Meta's code
}

// What stands as the reason of a message that failed.
const (
	noConsent    = "no_consent"
	silenced     = "silenced"
	windowClosed = "window_closed"
	notWaiting   = "nothing_waits" // the consent is confirmed, lapsed or gone
	badTemplate  = "template"      // not approved, or it does not say how to stop
	noTemplate   = "no_template"   // the window is closed, and systems.json has no answer in the language
	tooLong      = "too_long"
	interrupted  = "interrupted"
	moved        = "moved"        // the person has left the number since, or somebody else before
	foreign      = "another_site" // the number belongs to another site than the message
)

// Send takes one message a step further; attempt counts its failures so far, from
// 0. A message that is gone, or that is sent, is left alone. An error is one of
// ours: nothing has changed, or another call finds what has.
func (s *Sender) Send(ctx context.Context, person, id string, attempt int) (Outcome, error) {
	o, err := s.Store.Message(ctx, person, id)
	if err != nil {
		return Outcome{}, err
	}
	switch {
	case o == nil: // erased meanwhile
		return Outcome{State: chat.Failed, Reason: "erased"}, nil
	case o.State == chat.Sending && s.Now().Sub(o.Sent) < lease:
		return Outcome{State: chat.Due, After: lease}, nil
	case o.State == chat.Sending:
		return s.settle(ctx, *o, chat.Unknown, interrupted)
	case o.State != chat.Due:
		return Outcome{State: o.State, Reason: o.Reason}, nil
	}
	message, refused, err := s.prepare(ctx, o)
	if err != nil {
		return postponed(err, attempt)
	}
	if refused != "" {
		return s.settle(ctx, *o, chat.Failed, refused)
	}
	now := s.Now().UTC().Truncate(time.Millisecond)
	mine, err := s.Store.Take(ctx, person, id, s.NewID(now), now)
	if err != nil {
		return Outcome{}, err
	}
	if !mine {
		return Outcome{State: chat.Due, After: lease}, nil
	}
	o.Sent = now
	sent, err := message(ctx)
	return s.result(ctx, *o, sent, err, attempt)
}

// postponed tells a vendor's pause from an error of ours.
func postponed(err error, attempt int) (Outcome, error) {
	if errs.Is(err, errs.Unavailable) && kit.Unapplied(err) {
		return Outcome{State: chat.Due, After: Later(err, attempt)}, nil
	}
	return Outcome{}, err
}

// result writes down what Meta has answered.
func (s *Sender) result(ctx context.Context, o chat.Outgoing, sent Sent, err error, attempt int) (Outcome, error) {
	var refused *Refusal
	switch {
	case err == nil:
		o.Message = sent.ID
		if err := s.Store.Bind(ctx, o, s.Hasher.Key("wamid", s.Line.Site.ID, sent.ID.Reveal())); err != nil {
			return Outcome{}, err
		}
		return s.settle(ctx, o, chat.Sent, "")
	case errors.As(err, &refused):
		if refused.Code == OptedOut {
			if err := s.Refuse(ctx, s.Line, o.To, o.Sent); err != nil {
				return Outcome{}, err
			}
		}
		return s.settle(ctx, o, chat.Failed, refused.Code)
	case kit.Unapplied(err): // a wrong token is mended by somebody, a limit passes
		back, text := o, o.Text
		back.State, back.Text, back.Message = chat.Due, text, ""
		if err := s.Store.Settle(ctx, back); err != nil {
			return Outcome{}, err
		}
		return Outcome{State: chat.Due, After: Later(err, attempt), Reason: string(errs.KindOf(err))}, nil
	}
	return s.settle(ctx, o, chat.Unknown, "reply_lost")
}

// settle writes an end. The text stays only where it is a proof, or may be one: an
// invitation of which nobody knows may have arrived, and be answered.
func (s *Sender) settle(ctx context.Context, o chat.Outgoing, state chat.State, reason string) (Outcome, error) {
	o.State, o.Reason, o.Brief = state, reason, ""
	switch {
	case (state == chat.Sent || state == chat.Unknown) && o.Purpose == chat.Invite:
	case state == chat.Sent && o.Purpose == chat.Letter && o.Template != "": // what was approved, not what it was filled with
		o.Text = redact.String(s.Client.Answer.Languages[o.Language].Body)
	default:
		o.Text = ""
	}
	return Outcome{State: state, Reason: reason}, s.Store.Settle(ctx, o)
}

// sending makes the call.
type sending func(ctx context.Context) (Sent, error)

// prepare judges a message and says how it is sent, or why it is not.
func (s *Sender) prepare(ctx context.Context, o *chat.Outgoing) (sending, string, error) {
	// Where a message stands tells its site: who names the number of another one in
	// POST /messages would write to people who have agreed to that one.
	if o.Person != chat.KinOf(s.Hasher, s.Line.Site.ID, s.Line.System, o.To).Person {
		return nil, foreign, nil
	}
	switch o.Purpose {
	case chat.Invite:
		return s.invitation(ctx, o)
	case chat.Send:
		return s.marketing(ctx, o)
	case chat.Letter:
		return s.letter(ctx, o)
	}
	open, err := s.window(ctx, o)
	if err != nil || !open {
		return nil, windowClosed, err
	}
	if o.Purpose == chat.Agreed || o.Purpose == chat.Late { // nothing comes after the answer to a STOP but what the person asks for
		if silent, err := s.silent(ctx, o.To); silent || err != nil {
			return nil, silenced, err
		}
	}
	text := chat.Says(o.Purpose, o.Language, o.About)
	if o.Purpose == chat.Left {
		text += "\n" + s.Client.PrivacyURL
	}
	if o.Purpose != chat.Prove {
		return s.text(o, text), "", nil
	}
	yes, no := chat.ProveLabels(o.Language)
	return s.text(o, text, Button{chat.ProvePayload(o.About), yes}, Button{chat.WithdrawPayload(o.About), no}), "", nil
}

func (s *Sender) text(o *chat.Outgoing, text string, buttons ...Button) sending {
	return func(ctx context.Context) (Sent, error) { return s.Client.SendText(ctx, o.To, text, buttons...) }
}

// window reports whether the person has written in the last 24 hours.
func (s *Sender) window(ctx context.Context, o *chat.Outgoing) (bool, error) {
	c, err := s.Store.Contact(ctx, o.Person)
	return err == nil && c != nil && s.Now().Before(c.LastIn.Add(chat.Window)), err
}

// silent reports whether nothing may be sent to an address.
// left is when somebody else has left a number; zero when nobody has.
func (s *Sender) left(ctx context.Context, to redact.String) (time.Time, error) {
	return s.Store.Left(ctx, chat.KinOf(s.Hasher, s.Line.Site.ID, s.Line.System, to).Silence)
}

func (s *Sender) silent(ctx context.Context, to redact.String) (bool, error) {
	reasons, err := s.Store.Silenced(ctx, chat.KinOf(s.Hasher, s.Line.Site.ID, s.Line.System, to).Silence)
	return len(reasons) > 0, err
}

// invitation asks for a consent that waits. It is no marketing: the person has
// asked for it, and it is the only message that needs no consent.
func (s *Sender) invitation(ctx context.Context, o *chat.Outgoing) (sending, string, error) {
	subject, id, ok := consent.ParseConfirmToken(s.Hasher, o.About)
	if !ok || s.Client.Invitation == nil {
		return nil, badTemplate, nil
	}
	pending, err := s.Events.Get(ctx, subject, id)
	if err != nil || pending == nil || pending.ErasedAt != nil || pending.OptIn == nil {
		return nil, notWaiting, err
	}
	grants, err := s.waiting(ctx, pending)
	if err != nil || len(grants) == 0 {
		return nil, notWaiting, err
	}
	if silent, err := s.silent(ctx, o.To); silent || err != nil {
		return nil, silenced, err
	}
	if text, _, ok := s.Wording(pending, grants, o.Language); !ok || text != o.Text.Reveal() || o.Version != s.Client.Invitation.Version {
		return nil, badTemplate, nil // the configuration has changed since: what would be sent is not what the proof says
	}
	wording := s.Client.Invitation.Languages[o.Language]
	t := Template{Name: s.Client.Invitation.Template, Code: wording.Code, Body: s.blanks(grants, o.Language), Payloads: chat.InvitePayloads(o.About)}
	return func(ctx context.Context) (Sent, error) { return s.Client.SendTemplate(ctx, o.To, t) }, "", nil
}

// blanks are what stands in for {{1}}, {{2}} and {{3}}: the company, what will be
// sent, and the address of the privacy notice.
func (s *Sender) blanks(grants []string, language string) []string {
	var purposes []string
	for _, key := range grants {
		purposes = append(purposes, s.Line.Site.PurposeOf(key, language))
	}
	return []string{s.Company, strings.Join(purposes, "; "), s.Client.PrivacyURL}
}

// waiting is what a consent still asks for; nothing where it is confirmed, has
// lapsed, or the person has said no since.
func (s *Sender) waiting(ctx context.Context, pending *consent.Event) ([]string, error) {
	w, err := s.People.Waiting(ctx, pending, s.Now())
	if errors.Is(err, consent.ErrLapsed) || errors.Is(err, consent.ErrWithdrawn) || errors.Is(err, consent.ErrTooManyEvents) {
		return nil, nil
	}
	var keys []string
	for _, g := range w.Grants {
		keys = append(keys, g.Key)
	}
	return keys, err
}

// Wording is an invitation as the person reads it, in the language that fits best.
func (s *Sender) Wording(pending *consent.Event, grants []string, known string) (text, language string, ok bool) {
	if s.Client.Invitation == nil {
		return "", "", false
	}
	for _, language := range []string{base(pending.OptIn.Language), base(known), s.Line.Language, "en"} {
		w, there := s.Client.Invitation.Languages[language]
		if !there {
			continue
		}
		text := w.Body
		for i, blank := range s.blanks(grants, language) {
			text = strings.ReplaceAll(text, []string{"{{1}}", "{{2}}", "{{3}}"}[i], blank)
		}
		return text + "\n[" + w.Yes + "] [" + w.No + "]", language, true
	}
	return "", "", false
}

// base is the language of a tag: "fr" of "fr-CA".
func base(tag string) string {
	tag, _, _ = strings.Cut(strings.ToLower(tag), "-")
	return tag
}

// Invite notes the invitation that a consent waits for. Repeating it changes
// nothing: a consent has one. ok is false where there is no invitation in any
// language that could be sent. Where the configuration wants it, a business
// profile that does not link the privacy notice is Unavailable: it can be mended.
func (s *Sender) Invite(ctx context.Context, pending *consent.Event) (o chat.Outgoing, ok bool, err error) {
	if err := s.linksNotice(ctx); err != nil {
		return o, false, err
	}
	k := chat.KinOf(s.Hasher, s.Line.Site.ID, s.Line.System, pending.OptIn.Address)
	known := ""
	c, err := s.Store.Contact(ctx, k.Person)
	if err != nil {
		return o, false, err
	}
	if c != nil {
		known = c.Language
	}
	grants, err := s.waiting(ctx, pending)
	if err != nil {
		return o, false, err
	}
	text, language, ok := s.Wording(pending, grants, known)
	if !ok || len(grants) == 0 {
		return o, false, nil
	}
	o = chat.Outgoing{
		Person: k.Person, ID: chat.InviteID(s.Hasher, pending), Purpose: chat.Invite, System: s.Line.System, To: pending.OptIn.Address, Language: language,
		About: consent.ConfirmToken(s.Hasher, pending), Text: redact.String(text), Template: s.Client.Invitation.Template, Version: s.Client.Invitation.Version,
		State: chat.Due, At: s.Now().UTC(), Expires: pending.OptIn.Until.Add(30 * 24 * time.Hour),
	}
	return o, true, s.Store.Note(ctx, o)
}

func (s *Sender) linksNotice(ctx context.Context) error {
	if !s.Client.CheckProfile {
		return nil
	}
	links, err := s.Client.LinksNotice(ctx)
	if err == nil && !links {
		err = errs.New(errs.Unavailable, "system %q: the business profile does not link the privacy notice", s.Line.System)
	}
	return err
}

// marketing is what somebody has agreed to get: a yes at this moment, no silence,
// and a way to stop in the message itself.
func (s *Sender) marketing(ctx context.Context, o *chat.Outgoing) (sending, string, error) {
	may, err := s.may(ctx, o)
	if err != nil || !may {
		return nil, noConsent, err
	}
	if silent, err := s.silent(ctx, o.To); silent || err != nil {
		return nil, silenced, err
	}
	if o.Template == "" {
		open, err := s.window(ctx, o)
		if err != nil || !open {
			return nil, windowClosed, err
		}
		return s.text(o, chat.WithStop(o.Text.Reveal(), o.Language)), "", nil
	}
	name, code, _ := strings.Cut(o.Template, "/")
	state, err := s.Client.Template(ctx, name, code)
	if err != nil || !state.Approved || !state.Stops {
		return nil, badTemplate, err
	}
	t := Template{Name: name, Code: code}
	if o.Text != "" {
		t.Body = strings.Split(o.Text.Reveal(), "\n")
	}
	return func(ctx context.Context) (Sent, error) { return s.Client.SendTemplate(ctx, o.To, t) }, "", nil
}

// may asks the ledger whether the person has agreed to a preference of this
// channel: in all that is said under the number, bound subjects included. What a
// page alone has said does not count: the number's own subject is told to whoever
// posts the number, and a box beside it proves nothing.
func (s *Sender) may(ctx context.Context, o *chat.Outgoing) (bool, error) {
	of := false
	for _, p := range s.Line.Preferences() {
		of = of || p == o.Preference
	}
	if !of {
		return false, nil
	}
	u, err := s.People.ByPhone(ctx, s.Line.Site.ID, o.To.Reveal(), time.Time{})
	if errors.Is(err, consent.ErrTooManyEvents) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	left, err := s.left(ctx, o.To)
	if err != nil {
		return false, err
	}
	if !left.IsZero() { // what was said before was somebody else's
		u.Events = slices.DeleteFunc(u.Events, func(e consent.Event) bool { return !e.Received.After(left) })
	}
	rules := s.Line.Site.Rules()
	rules.Vouched = true
	return consent.Decide(u.Events, o.Preference, consent.View{Now: s.Now()}, rules).Granted, nil
}
