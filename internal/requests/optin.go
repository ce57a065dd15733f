package requests

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/optin"
	"github.com/avow-consent/avow/internal/page"
	"github.com/avow-consent/avow/internal/redact"
)

// consents is the ledger as far as double opt-in needs it.
type consents struct {
	events   optin.Events
	people   *consent.People
	recorder *consent.Recorder
	asked    optin.Store
}

// optIn finds the consent that a token leads to; nil where the token is none of
// a consent, or the consent is gone.
func (s *server) optIn(r *http.Request) (*consent.Event, error) {
	subject, id, ok := consent.ParseConfirmToken(s.hasher, r.PathValue("token"))
	if !ok {
		return nil, nil
	}
	e, err := s.consents.events.Get(r.Context(), subject, id)
	if err != nil || e == nil || e.ErasedAt != nil || e.OptIn == nil {
		return nil, err
	}
	return e, nil
}

// showOptIn shows what a consent waits for, and changes nothing.
func (s *server) showOptIn(w http.ResponseWriter, r *http.Request, e *consent.Event) error {
	waiting, err := s.consents.people.Waiting(r.Context(), e, s.now().UTC())
	if err == nil && waiting.Confirmed != nil {
		return s.optInPage(w, r, http.StatusOK, page.ConsentConfirmed, e, waiting.Confirmed.Preferences)
	}
	if kind, ok := refusal(err); ok {
		return s.optInPage(w, r, http.StatusNotFound, kind, e, nil)
	}
	if err != nil {
		return err
	}
	return s.optInPage(w, r, http.StatusOK, page.ConfirmConsent, e, waiting.Grants)
}

// refusal is the page that says why a consent cannot be confirmed.
func refusal(err error) (page.Kind, bool) {
	switch {
	case errors.Is(err, consent.ErrLapsed):
		return page.ConsentLapsed, true
	case errors.Is(err, consent.ErrWithdrawn):
		return page.ConsentWithdrawn, true
	}
	return "", false
}

// confirmOptIn confirms a consent: whoever presses the button reads the mail of
// the address. Pressing it again shows the same page.
func (s *server) confirmOptIn(w http.ResponseWriter, r *http.Request, e *consent.Event) error {
	ctx := r.Context()
	of, err := s.sites.Site(ctx, e.Site)
	if err != nil {
		return err
	}
	m, ok, err := s.proof(ctx, e)
	if err != nil {
		return err
	}
	if !ok { // nothing was sent: the token was made by nobody who may
		return s.page(w, r, http.StatusNotFound, page.Unusable, nil)
	}
	ack, err := s.consents.recorder.Confirm(ctx, s.sites.Policy(of), e, m)
	if kind, ok := refusal(err); ok {
		return s.optInPage(w, r, http.StatusNotFound, kind, e, nil)
	}
	if err != nil {
		return err
	}
	second, err := s.consents.events.Get(ctx, consent.ConfirmationPartition(s.hasher, e), ack.ID)
	if err != nil {
		return err
	}
	if second == nil || second.ErasedAt != nil {
		return s.page(w, r, http.StatusNotFound, page.Unusable, nil)
	}
	return s.optInPage(w, r, http.StatusOK, page.ConsentConfirmed, e, second.Preferences)
}

// proof is the message as it was sent and is answered now. One whose outcome
// nobody knew has arrived: here is its answer.
func (s *server) proof(ctx context.Context, e *consent.Event) (m consent.Message, ok bool, err error) {
	asked, err := s.consents.asked.Asked(ctx, e.ID)
	if err != nil || asked == nil || asked.Message.Wording == "" || e.OptIn.Channel != consent.ByEmail {
		return m, false, err
	}
	m = asked.Message
	m.AnsweredAt = s.now().UTC().Truncate(time.Millisecond)
	m.Answer = redact.String(page.ButtonOf(page.ConfirmConsent, m.Language))
	return m, true, nil
}

// optInPage writes a page about a consent, in the language of its message.
func (s *server) optInPage(w http.ResponseWriter, r *http.Request, status int, kind page.Kind, e *consent.Event, grants []consent.Preference) error {
	of, err := s.sites.Site(r.Context(), e.Site)
	if err != nil {
		return err
	}
	language := e.OptIn.Language
	if language == "" {
		language = s.terms.Controller.Language
	}
	data := page.Data{}
	for _, g := range grants {
		data.Items = append(data.Items, of.PurposeOf(g.Key, page.Language(language)))
	}
	return s.render(w, status, kind, language, data)
}
