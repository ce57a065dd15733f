// Package optin asks people to confirm consents that wait for it (double opt-in):
// one message for each consent, at most once. Whether it may be sent is judged in
// the moment of sending; what became of it is a row that is written before the
// call.
package optin

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/throttle"
)

// State is what has become of the message about a consent.
type State string

// The states. Unknown and the refusals are final.
const (
	Sending    State = "sending"    // the call is made, or its maker has died
	NotTaken   State = "not_taken"  // surely not sent: it is tried again
	Sent       State = "sent"       //
	Unknown    State = "unknown"    // nobody knows whether it went out: it is not sent again
	Refused    State = "refused"    // the service will never take it
	Throttled  State = "throttled"  // the address or the network has asked too often
	Suppressed State = "suppressed" // mail to the address came back, or its owner does not want any
)

// Asked is the row about a message that is sent once: that of one consent, or of
// one link to the preference centre. It holds no address; the message is what the
// confirmation will carry as its proof.
type Asked struct {
	ID      string // of the consent, or of the link
	State   State
	At      time.Time // of the last attempt
	Until   time.Time // of the consent: the row goes some time after
	Message consent.Message
}

// Store keeps what was asked, and counts. Counters hold keyed hashes only.
type Store interface {
	// Asked reads the row about a message; nil where there is none.
	Asked(ctx context.Context, id string) (*Asked, error)
	// PutAsked writes a row where there is none, or where there is one in the
	// state NotTaken; else it is a Conflict and changes nothing.
	PutAsked(ctx context.Context, a *Asked) error
	// SettleAsked writes what became of a message in the state Sending; in any
	// other nothing changes.
	SettleAsked(ctx context.Context, id string, state State, ids []string) error
	throttle.Store
	// Suppressed reports whether mail to an address, as a keyed hash, is stopped.
	Suppressed(ctx context.Context, address string) (bool, error)
}

// Events reads the ledger.
type Events interface {
	// Get reads one consent consistently; nil where there is none.
	Get(ctx context.Context, subject, id string) (*consent.Event, error)
}

// Invitation is what a person is asked.
type Invitation struct {
	Consent    *consent.Event // the one that waits
	Language   string         // of the message, one of letter.Languages
	Controller request.Controller
	Purposes   []string // what is consented to, in words
	Token      string   // consent.ConfirmToken: of a link, or the payload of a button
}

// Link is the page that confirms.
func (i *Invitation) Link() string {
	return strings.TrimSuffix(i.Controller.BaseURL, "/") + "/public/confirm/" + i.Token
}

// Messenger asks by WhatsApp, and returns the message as it was sent. Its errors
// are those of request.Mailer.
type Messenger interface {
	Invite(ctx context.Context, i Invitation) (consent.Message, error)
}

// SitesDay is what counts the messages of a site in a day, whatever asks for them.
const SitesDay = "optin.site"

const (
	lease    = 2 * time.Minute // an intent that is older: its maker has died
	patience = time.Minute     // one call
	day      = 24 * time.Hour
)

// Job asks people. It is safe for concurrent use.
type Job struct {
	Events   Events
	People   *consent.People
	Sites    func(ctx context.Context, id string) (*site.Site, error)
	Settings func(ctx context.Context) (*settings.Settings, error)
	Store    Store
	Mailer   request.Mailer
	WhatsApp Messenger // nil where it is not set up
	Hasher   *pseudonym.Hasher
	Now      func() time.Time
}

var _ outbox.Job = (*Job)(nil)

// Do implements outbox.Job for entries of the kind Confirm: it sends the message
// about a consent that waits, once. Doing it again sends nothing more: neither
// after an answer that was lost nor while another call is at it. An error means
// that nothing was decided.
func (j *Job) Do(ctx context.Context, of outbox.Entry) (outbox.Outcome, error) {
	before, again, err := j.post().Before(ctx, of.ID)
	if err != nil {
		return outbox.Outcome{}, err
	}
	if before != nil {
		return *before, nil
	}
	e, err := j.Events.Get(ctx, of.Subject, of.ID)
	if err != nil || e == nil || e.ErasedAt != nil || e.OptIn == nil || e.Site != of.Site {
		return skipped, err
	}
	waiting, err := j.People.Waiting(ctx, e, j.Now())
	switch {
	case errors.Is(err, consent.ErrLapsed):
		return outbox.Outcome{State: outbox.Failed, Reason: "the consent has lapsed before its message could be sent"}, nil
	case errors.Is(err, consent.ErrWithdrawn), err == nil && waiting.Confirmed != nil:
		return skipped, nil
	case errors.Is(err, consent.ErrTooManyEvents):
		return outbox.Outcome{State: outbox.Failed, Reason: "the person has too many events"}, nil
	case err != nil:
		return outbox.Outcome{}, err
	}
	conf, err := j.Settings(ctx)
	if errs.Is(err, errs.Internal) { // it is refused, and alarms of its own say so
		return outbox.Outcome{State: outbox.Due, After: time.Hour, Reason: "systems.json is refused"}, nil
	}
	if err != nil {
		return outbox.Outcome{}, err
	}
	i, err := j.invitation(ctx, e, waiting.Grants, conf)
	if err != nil {
		return outbox.Outcome{}, err
	}
	state, err := j.throttle(ctx, e, conf.Policy, again)
	if err != nil {
		return outbox.Outcome{}, err
	}
	if state != "" {
		return j.post().Stop(ctx, e.ID, e.OptIn.Until, state)
	}
	if e.OptIn.Channel == consent.ByWhatsApp {
		return j.byWhatsApp(ctx, i)
	}
	return j.byMail(ctx, i, conf)
}

var skipped = outbox.Outcome{State: outbox.Skipped}

func (j *Job) post() Post { return Post{j.Store, j.Now} }

// throttle keeps a page from having strangers written to: a public key is known
// to everybody. The limits are those of public requests. It gives the state in
// which a message stays that may not be sent; "" for one that may. again: what
// counts for the address and the network has been counted.
//
// A message is counted against the site's day last, so that what is stopped
// before does not use it up.
func (j *Job) throttle(ctx context.Context, e *consent.Event, p request.Policy, again bool) (State, error) {
	address := e.OptIn.Address.Reveal()
	if e.OptIn.Channel == consent.ByEmail {
		gone, err := j.Store.Suppressed(ctx, j.Hasher.Mailbox(address))
		if err != nil || gone {
			return Suppressed, err
		}
		address = identity.Mailbox(address)
	}
	limits := []struct {
		what, value string
		period      time.Duration
		most        int
		over        State
		once        bool // for each consent
	}{
		{"optin.mailbox", address, day, p.PerIdentifier, Throttled, true},
		{"optin.network", identity.Network(e.IP.Reveal()), time.Hour, p.PerAddress, Throttled, true},
		{SitesDay, e.Site, day, p.MailsPerDay, NotTaken, false},
	}
	if e.Source != consent.Public {
		limits = limits[:1] // the company's own back end answers for the rest
	}
	counter := throttle.Counter{Store: j.Store, Hasher: j.Hasher, Now: j.Now}
	for _, l := range limits {
		if l.once && again || l.value == "" {
			continue
		}
		n, err := counter.Count(ctx, e.Site, l.what, l.value, p.Scale(l.period))
		if err != nil || n > l.most {
			return l.over, err
		}
	}
	return "", nil
}

// invitation puts together what the person is asked.
func (j *Job) invitation(ctx context.Context, e *consent.Event, grants []consent.Preference, conf *settings.Settings) (Invitation, error) {
	of, err := j.Sites(ctx, e.Site)
	if err != nil {
		return Invitation{}, err
	}
	language := e.OptIn.Language
	if language == "" {
		language = conf.Controller.Language
	}
	i := Invitation{
		Consent: e, Language: letter.Language(language), Controller: conf.Controller, Token: consent.ConfirmToken(j.Hasher, e),
	}
	for _, g := range grants {
		i.Purposes = append(i.Purposes, of.PurposeOf(g.Key, i.Language))
	}
	return i, nil
}
