package centre

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/optin"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/throttle"
)

// Job mails links. It is safe for concurrent use.
type Job struct {
	People   *consent.People
	Settings func(ctx context.Context) (*settings.Settings, error)
	Store    optin.Store
	Mailer   request.Mailer
	Hasher   *pseudonym.Hasher
	Now      func() time.Time
}

var _ outbox.Job = (*Job)(nil)

// Do implements outbox.Job for entries of the kind Preferences: it mails one link,
// once, to an address that the ledger knows. Of one that it does not know nothing
// is kept.
func (j *Job) Do(ctx context.Context, of outbox.Entry) (outbox.Outcome, error) {
	l, ok := linkOf(of)
	if !ok {
		return outbox.Outcome{State: outbox.Failed, Reason: "the entry names no link"}, nil
	}
	post := optin.Post{Store: j.Store, Now: j.Now}
	before, _, err := post.Before(ctx, l.ID)
	if err != nil {
		return outbox.Outcome{}, err
	}
	if before != nil {
		return *before, nil
	}
	if !j.Now().Before(l.Expires()) {
		return outbox.Outcome{State: outbox.Failed, Reason: "the link has lapsed before it could be sent"}, nil
	}
	_, email, err := Person(ctx, j.People, l)
	if errors.Is(err, consent.ErrTooManyEvents) {
		return outbox.Outcome{State: outbox.Failed, Reason: "the person has too many events to be shown"}, nil
	}
	if err != nil {
		return outbox.Outcome{}, err
	}
	if email == "" {
		return outbox.Outcome{State: outbox.Skipped, Forget: true}, nil
	}
	conf, err := j.Settings(ctx)
	if errs.Is(err, errs.Internal) { // it is refused, and alarms of its own say so
		return outbox.Outcome{State: outbox.Due, After: time.Hour, Reason: "systems.json is refused"}, nil
	}
	if err != nil {
		return outbox.Outcome{}, err
	}
	if conf.Controller.BaseURL == "" || conf.Controller.From == "" {
		return outbox.Outcome{State: outbox.Due, After: time.Hour, Reason: "systems.json names no sender or no base_url"}, nil
	}
	state, err := j.stopped(ctx, l, email, conf.Policy)
	if err != nil {
		return outbox.Outcome{}, err
	}
	if state != "" {
		return post.Stop(ctx, l.ID, l.Expires(), state)
	}
	m, err := j.letter(l, email, conf)
	if err != nil {
		return outbox.Outcome{}, err
	}
	// The wording is not kept: it holds the link.
	sent := consent.Message{Channel: consent.ByEmail, Language: m.Language, Template: m.Template, TemplateVersion: m.Version}
	return post.Send(ctx, l.ID, l.Expires(), sent, func(ctx context.Context) ([]string, error) {
		id, err := j.Mailer.Send(ctx, m)
		return []string{id}, err
	})
}

// stopped is the state in which a letter stays that may not be sent; "" for one
// that may. How often an address asks, the door has counted.
func (j *Job) stopped(ctx context.Context, l Link, email string, p request.Policy) (optin.State, error) {
	gone, err := j.Store.Suppressed(ctx, j.Hasher.Mailbox(email))
	if err != nil || gone {
		return optin.Suppressed, err
	}
	const day = 24 * time.Hour
	counter := throttle.Counter{Store: j.Store, Hasher: j.Hasher, Now: j.Now}
	n, err := counter.Count(ctx, l.Site, optin.SitesDay, l.Site, p.Scale(day))
	if err != nil || n > p.MailsPerDay {
		return optin.NotTaken, err
	}
	return "", nil
}

// letter is the mail with a link. It names nobody, because anybody may have asked.
func (j *Job) letter(l Link, email string, conf *settings.Settings) (letter.Message, error) {
	c := conf.Controller
	d := letter.Data{
		Controller: c.Name, Address: c.Address, DPO: c.DPO.Name, DPOEmail: c.DPO.Email, Reference: l.ID, Received: consent.IDTime(l.ID),
		Expires: l.Expires(), Link: strings.TrimSuffix(c.BaseURL, "/") + "/public/preferences/" + l.Token(j.Hasher), Notice: c.Notice.In(l.Language),
	}
	if zone, err := time.LoadLocation(c.TimeZone); err == nil {
		d.Zone = zone
	}
	m, err := conf.Letters.Render(letter.PreferencesLink, l.Language, d)
	m.To, m.From = redact.String(email), c.From
	return m, err
}
