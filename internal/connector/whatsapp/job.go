package whatsapp

import (
	"context"
	"errors"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/optin"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/request"
)

// Senders finds the sender of a system; NotFound where systems.json names none.
type Senders interface {
	// Sender is that of a system by its name.
	Sender(ctx context.Context, system string) (*Sender, error)
	// SenderOf is that of a site's number; where a site has several, the first in
	// systems.json.
	SenderOf(ctx context.Context, site string) (*Sender, error)
}

// Job sends the messages of the outbox.
type Job struct {
	Store   chat.Store
	Senders Senders
}

var _ outbox.Job = (*Job)(nil)

// Do implements outbox.Job. It may be repeated: the row of the message says how far
// it is.
func (j *Job) Do(ctx context.Context, e outbox.Entry) (outbox.Outcome, error) {
	o, err := j.Store.Message(ctx, e.Subject, e.ID)
	if err != nil {
		return outbox.Outcome{}, err
	}
	if o == nil { // erased meanwhile
		return outbox.Outcome{State: outbox.Skipped}, nil
	}
	sender, err := j.Senders.Sender(ctx, o.System)
	if errs.Is(err, errs.NotFound) {
		return outbox.Outcome{State: outbox.Failed, Reason: "systems.json names no such number"}, nil
	}
	if err != nil {
		return outbox.Outcome{}, err
	}
	out, err := sender.Send(ctx, e.Subject, e.ID, max(0, e.Attempts-1))
	if err != nil {
		return outbox.Outcome{}, err
	}
	return outcome(out)
}

// outcome tells the outbox. What was refused because the person does not want it
// is no failure of anything.
func outcome(out Outcome) (outbox.Outcome, error) {
	switch out.State {
	case chat.Sent:
		return outbox.Outcome{State: outbox.Done}, nil
	case chat.Unknown:
		return outbox.Outcome{State: outbox.Unknown, Reason: out.Reason}, nil
	case chat.Due:
		return outbox.Outcome{}, connector.Later(out.After, errs.New(errs.Unavailable, "the platform has not taken the message yet: %s", out.Reason))
	}
	switch out.Reason {
	case noConsent, silenced, notWaiting, OptedOut, noTemplate, tooLong: // of a letter the last two: it is put to a person
		return outbox.Outcome{State: outbox.Skipped, Reason: out.Reason}, nil
	}
	return outbox.Outcome{State: outbox.Failed, Reason: out.Reason}, nil
}

// Messenger invites people to confirm a consent on WhatsApp.
type Messenger struct{ Senders Senders }

var _ optin.Messenger = Messenger{}

// Invite implements optin.Messenger. Its errors are those of request.Mailer.
func (m Messenger) Invite(ctx context.Context, i optin.Invitation) (consent.Message, error) {
	sender, err := m.Senders.SenderOf(ctx, i.Consent.Site)
	if err != nil {
		return consent.Message{}, notTaken(err)
	}
	o, ok, err := sender.Invite(ctx, i.Consent)
	if err != nil {
		return consent.Message{}, notTaken(err)
	}
	if !ok {
		return consent.Message{}, notTaken(errs.New(errs.Invalid, "there is no invitation in a language that could be sent"))
	}
	out, err := sender.Send(ctx, o.Person, o.ID, 0)
	if err != nil {
		return consent.Message{}, notTaken(err) // the row says whether it went out, and sends nothing twice
	}
	switch out.State {
	case chat.Sent:
		return sender.invited(ctx, o)
	case chat.Due:
		return consent.Message{}, notTaken(connector.Later(out.After, errs.New(errs.Unavailable, "the invitation is not taken yet: %s", out.Reason)))
	case chat.Unknown:
		return consent.Message{}, errs.New(errs.Unavailable, "nobody knows whether the invitation went out")
	}
	return consent.Message{}, notTaken(errs.New(errs.Invalid, "the invitation is refused: %s", out.Reason))
}

// notTaken says of an error that nothing was sent, or that trying again sends
// nothing twice.
func notTaken(err error) error { return errors.Join(err, request.ErrNotTaken) }

// invited is an invitation as it went out.
func (s *Sender) invited(ctx context.Context, o chat.Outgoing) (consent.Message, error) {
	sent, err := s.Store.Message(ctx, o.Person, o.ID)
	if err != nil || sent == nil {
		return consent.Message{Channel: consent.ByWhatsApp}, err
	}
	return consent.Message{
		Channel: consent.ByWhatsApp, Language: sent.Language, Wording: sent.Text, Template: sent.Template, TemplateVersion: sent.Version,
		IDs: []string{sent.Message.Reveal()}, SentAt: sent.Sent,
	}, nil
}
