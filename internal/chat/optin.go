package chat

import (
	"context"
	"errors"
	"slices"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/hook"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// What the buttons of an invitation carry, before ":" and the token of the consent
// that waits.
const (
	agrees   = "consent-yes"
	declines = "consent-no"
)

// InvitePayloads are what the buttons of an invitation carry, yes and no.
func InvitePayloads(token string) []string {
	return []string{agrees + ":" + token, declines + ":" + token}
}

// InviteID is the id of the message that invites a person to confirm a consent: a
// consent has one.
func InviteID(h *pseudonym.Hasher, pending *consent.Event) string {
	return h.ID(consent.IDTime(pending.ID), "invite", pending.Site, pending.ID)
}

// answer is what a person says to an invitation. Only who was invited can answer,
// and only what was really sent can be agreed to: the message is the proof.
func (d *Desk) answer(ctx context.Context, l *Line, w who, m hook.Message, token string, yes bool) error {
	subject, id, ok := consent.ParseConfirmToken(d.Hasher, token)
	if !ok {
		return nil
	}
	pending, err := d.Events.Get(ctx, subject, id)
	if err != nil || pending == nil || pending.Site != l.Site.ID || pending.OptIn == nil || pending.OptIn.Channel != consent.ByWhatsApp {
		return err
	}
	sent, err := d.Store.Message(ctx, d.kin(l, pending.OptIn.Address).Person, InviteID(d.Hasher, pending))
	if err != nil || sent == nil || sent.Text == "" || sent.State == Due {
		return err
	}
	if sent.Message == "" { // the vendor's reply was lost, or is on its way: the button shows that it has arrived
		sent.Message = m.About
	}
	if w.Phone != pending.OptIn.Address && (w.Phone != "" || m.About == "" || m.About != sent.Message) {
		return nil // somebody else's button
	}
	if w.language == "" {
		w.language = sent.Language
	}
	if !yes {
		return d.refuse(ctx, l, w, m.At, d.wamid(l, m.ID), m.Text, pending.Granted())
	}
	return d.confirm(ctx, l, w, m, pending, sent)
}

func (d *Desk) confirm(ctx context.Context, l *Line, w who, m hook.Message, pending *consent.Event, sent *Outgoing) error {
	waiting, err := d.People.Waiting(ctx, pending, d.Now())
	if err == nil && waiting.Confirmed != nil && !slices.Contains(waiting.Confirmed.Confirms.Message.IDs, m.ID.Reveal()) {
		return nil // an old button: it was pressed before, and says nothing new
	}
	ids := []string{m.ID.Reveal()}
	if sent.Message != "" { // a word that answers no message does not tell what the invitation is called
		ids = []string{sent.Message.Reveal(), m.ID.Reveal()}
	}
	_, err = d.Ledger.Confirm(ctx, l.Policy, pending, consent.Message{
		Channel: consent.ByWhatsApp, Language: sent.Language, Wording: sent.Text, Template: sent.Template, TemplateVersion: sent.Version,
		IDs: ids, SentAt: sent.Sent, AnsweredAt: m.At, Answer: m.Text,
	})
	if errors.Is(err, consent.ErrLapsed) || errors.Is(err, consent.ErrWithdrawn) {
		return d.reply(ctx, l, w, m, Late, pending.ID)
	}
	if err != nil {
		return err
	}
	if err := d.tie(ctx, l, w, pending.OptIn.Address, m, "chat-known"); err != nil {
		return err
	}
	if err := d.allow(ctx, l, w, m); err != nil {
		return err
	}
	return d.reply(ctx, l, w, m, Agreed, pending.ID)
}

// yes answers the last invitation that is open. Without one it means nothing, and
// neither does the answer to another message: the word says yes to that. Where the
// vendor's reply was lost nobody knows what the invitation is called, only what it
// is not.
func (d *Desk) yes(ctx context.Context, l *Line, w who, m hook.Message) error {
	last, ours, err := d.invited(ctx, w, m.About)
	if last == nil || err != nil {
		return err
	}
	if m.About != "" && m.About != last.Message && (last.Message != "" || ours) {
		return nil
	}
	return d.answer(ctx, l, w, m, last.About, true)
}

// invited is the last invitation that a person has got, or may have; nil when there
// is none. ours reports whether a message of Avow's is known by an id.
func (d *Desk) invited(ctx context.Context, w who, id redact.String) (last *Outgoing, ours bool, err error) {
	for _, k := range w.kin {
		const page = 100
		for after, more := "", true; more; {
			rows, next, err := d.Store.Rows(ctx, k.Person, after, page)
			if err != nil {
				return nil, false, err
			}
			for _, r := range rows {
				o := r.Outgoing
				if o == nil {
					continue
				}
				ours = ours || id != "" && o.Message == id
				if o.Purpose == Invite && mayHaveArrived[o.State] && (last == nil || o.Sent.After(last.Sent)) {
					last = o
				}
			}
			after, more = next, next != ""
		}
	}
	return last, ours, nil
}

// mayHaveArrived are the states of a message that somebody may answer.
var mayHaveArrived = map[State]bool{Sent: true, Sending: true, Unknown: true}

// start is a person's own wish to get messages: it opens a consent that waits, so
// that they are asked with all that the law wants them to know before they agree.
// Who hides their number cannot be invited.
func (d *Desk) start(ctx context.Context, l *Line, w who, m hook.Message) error {
	preferences := l.Preferences()
	if w.Phone == "" || len(preferences) == 0 {
		return nil
	}
	if err := d.allow(ctx, l, w, m); err != nil {
		return err
	}
	language := w.language
	if language == "" {
		language = l.Language
	}
	s := d.statement(l, w.Phone, d.kin(l, w.Phone).Subject, m.At, "chat-start", d.wamid(l, m.ID))
	s.OptIn = &consent.OptInRequest{Channel: consent.ByWhatsApp, Language: language}
	for _, p := range preferences {
		s.Preferences = append(s.Preferences, consent.Preference{Key: p, Value: "true"})
	}
	s.Proofs = []consent.ProofText{{Content: new(redact.String(m.Text.Reveal()))}}
	return d.record(ctx, l, s)
}
