package optin

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/settings"
)

// byMail sends the letter that asks.
func (j *Job) byMail(ctx context.Context, i Invitation, conf *settings.Settings) (outbox.Outcome, error) {
	if i.Controller.BaseURL == "" || i.Controller.From == "" {
		return outbox.Outcome{State: outbox.Due, After: time.Hour, Reason: "systems.json names no sender or no base_url"}, nil
	}
	m, err := Letter(i, conf)
	if err != nil {
		return outbox.Outcome{}, err
	}
	return j.post().Send(ctx, i.Consent.ID, i.Consent.OptIn.Until, Wording(m), func(ctx context.Context) ([]string, error) {
		id, err := j.Mailer.Send(ctx, m)
		return []string{id}, err
	})
}

// Letter is the mail that asks to confirm a consent. It names nobody: whoever
// filled in the form would choose the words of a letter to somebody else.
func Letter(i Invitation, conf *settings.Settings) (letter.Message, error) {
	c, e := i.Controller, i.Consent
	d := letter.Data{
		Controller: c.Name, Address: c.Address, DPO: c.DPO.Name, DPOEmail: c.DPO.Email, Reference: e.ID,
		Received: e.Received, Expires: e.OptIn.Until, Link: i.Link(), Purposes: i.Purposes, Notice: c.Notice.In(i.Language),
	}
	if zone, err := time.LoadLocation(c.TimeZone); err == nil {
		d.Zone = zone
	}
	m, err := conf.Letters.Render(letter.DoubleOptIn, i.Language, d)
	m.To, m.From = e.OptIn.Address, c.From
	return m, err
}

// Wording is the message as the confirmation will show it: subject and text, as
// they were sent.
func Wording(m letter.Message) consent.Message {
	return consent.Message{
		Channel: consent.ByEmail, Language: m.Language, Template: m.Template, TemplateVersion: m.Version,
		Wording: redact.String(m.Subject + "\n\n" + m.Text),
	}
}

// byWhatsApp has the invitation sent. The message that comes back is the
// messenger's to keep; the row only says that it was sent.
func (j *Job) byWhatsApp(ctx context.Context, i Invitation) (outbox.Outcome, error) {
	if j.WhatsApp == nil {
		return outbox.Outcome{State: outbox.Failed, Reason: "WhatsApp is not set up"}, nil
	}
	return j.post().Send(ctx, i.Consent.ID, i.Consent.OptIn.Until, consent.Message{Channel: consent.ByWhatsApp, Language: i.Language}, func(ctx context.Context) ([]string, error) {
		m, err := j.WhatsApp.Invite(ctx, i)
		return m.IDs, err
	})
}
