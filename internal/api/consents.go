package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/wire"
)

// postConsent appends one consent on the word of the back end.
func (s *server) postConsent(w http.ResponseWriter, r *http.Request) error {
	body, err := httpapi.Decode(r)
	if err != nil {
		return err
	}
	submission, err := wire.DecodeConsent(body, consent.Private)
	if err != nil {
		return err
	}
	submission.IdempotencyKey = httpapi.IdempotencyKey(r)
	submission.SignalGPC = r.Header.Get("Sec-GPC") == "1"
	ack, err := s.recorder.Record(r.Context(), s.sites.Policy(siteOf(r)), submission)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, wire.NewAcknowledgement(ack))
}

// consentID reads the id of a consent as it is written in the ledger. Other ways
// to write a UUID, such as urn:uuid:…, are none.
func consentID(text string) (id string, ok bool) {
	const length = 36
	return strings.ToLower(text), len(text) == length && !consent.IDTime(text).IsZero()
}

var errNoConsent = errs.New(errs.NotFound, "there is no such consent")

// getConsent shows a whole record. With subject_id it reads the ledger itself
// and is consistent; without, it finds the record through the listing index,
// which may lag behind a write by a moment.
func (s *server) getConsent(w http.ResponseWriter, r *http.Request) error {
	id, ok := consentID(r.PathValue("id"))
	if !ok {
		return errNoConsent
	}
	subjectID, err := httpapi.Query(r, "subject_id", consent.MaxSubjectID)
	if err != nil {
		return err
	}
	site := siteOf(r)
	subject := s.hasher.Subject(site.ID, subjectID)
	if subjectID == "" {
		if subject, err = s.locate(r.Context(), site.ID, id, site.Shards); err != nil {
			return err
		}
	}
	e, err := s.events.Get(r.Context(), subject, id)
	if err != nil {
		return err
	}
	if e == nil || e.ErasedAt != nil {
		return errNoConsent
	}
	return s.showConsent(w, r, e)
}

// locate asks the listing index, again and again for up to a second.
func (s *server) locate(ctx context.Context, site, id string, shards int) (string, error) {
	wait := 50 * time.Millisecond
	for waited := time.Duration(0); ; waited, wait = waited+wait, wait*2 {
		subject, err := s.events.Locate(ctx, site, id, shards)
		if err != nil || subject != "" {
			return subject, err
		}
		if waited+wait > time.Second {
			return "", errNoConsent
		}
		select {
		case <-ctx.Done():
			return "", errs.Wrap(errs.Unavailable, ctx.Err(), "dynamodb Query: canceled")
		case <-time.After(wait):
		}
	}
}

// showConsent answers with a record and everything that it names.
func (s *server) showConsent(w http.ResponseWriter, r *http.Request, e *consent.Event) error {
	site := siteOf(r)
	var person wire.Person
	var notices []wire.Notice
	var documents []wire.Document
	var confirmation string
	proofs := make([]wire.Proof, len(e.Proofs))

	group, ctx := errgroup.WithContext(r.Context())
	group.Go(func() (err error) {
		person, err = s.personOf(ctx, site, e.Subject, e.SubjectID.Reveal())
		return err
	})
	group.Go(func() (err error) {
		notices, err = s.noticesOf(ctx, site.ID, e)
		return err
	})
	group.Go(func() (err error) {
		documents, err = s.documentsOf(ctx, site.ID, e.DocumentIDs)
		return err
	})
	group.Go(func() (err error) {
		confirmation, err = s.confirmationOf(ctx, e)
		return err
	})
	for i, p := range e.Proofs {
		group.Go(func() (err error) {
			proofs[i], err = s.proofOf(ctx, e, p)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	record := wire.NewConsent(e, person)
	record.Proofs = proofs
	if e.OptIn != nil {
		record.OptIn.Confirmed(confirmation, e.OptIn.Until, s.now())
	}
	record.LegalNotices = append(record.LegalNotices, notices...)
	record.ProofDocuments = append(record.ProofDocuments, documents...)
	return httpapi.WriteJSON(w, record)
}

// confirmationOf is the id of the event that confirms a consent, "" where there
// is none. It stands with the consent or with the address.
func (s *server) confirmationOf(ctx context.Context, e *consent.Event) (id string, err error) {
	if e.OptIn == nil {
		return "", nil
	}
	id = consent.ConfirmationID(s.hasher, e)
	second, err := s.events.Get(ctx, consent.ConfirmationPartition(s.hasher, e), id)
	if err != nil || second == nil || second.ErasedAt != nil {
		return "", err
	}
	return id, nil
}

// proofOf reads what was entered and what was shown.
func (s *server) proofOf(ctx context.Context, e *consent.Event, p consent.Proof) (wire.Proof, error) {
	var out wire.Proof
	if p.HasContent {
		content := p.Content.Reveal()
		if p.ContentDigest != "" {
			body, err := s.proofs.Content(ctx, e.Subject, e.ID, p.ContentDigest)
			if err != nil {
				return out, lost(err)
			}
			content = string(body)
		}
		out.Content = &content
	}
	if p.FormDigest != "" {
		body, err := s.proofs.Form(ctx, e.Site, p.FormDigest, p.FormNonce)
		switch {
		case errs.Is(err, errs.NotFound): // it had somebody's address in it, and went with them
			out.Missing = true
		case err != nil:
			return out, err
		default:
			form := string(body)
			out.Form = &form
		}
	}
	return out, nil
}

// lost turns the absence of an object that an event names into an internal
// error: the record exists, so "not found" would be a lie.
func lost(err error) error {
	if errs.Is(err, errs.NotFound) {
		return errs.Wrap(errs.Internal, err, "a stored proof is missing")
	}
	return err
}

// lastConsent shows the latest consent of a subject.
func (s *server) lastConsent(w http.ResponseWriter, r *http.Request, subjectID string) error {
	list, err := s.events.LastOf(r.Context(), s.hasher.Subject(siteOf(r).ID, subjectID))
	if err != nil {
		return err
	}
	if list == nil {
		return errNoSubject
	}
	return s.showConsent(w, r, list)
}

// decide answers whether a preference is granted: the whole person, now or at a
// past instant, as it is known now or as it was known then.
func (s *server) decide(w http.ResponseWriter, r *http.Request) error {
	q, err := s.question(r)
	if err != nil {
		return err
	}
	site := siteOf(r)
	var union consent.Union
	switch {
	case q.email != "":
		union, err = s.people.ByEmail(r.Context(), site.ID, q.email, q.view.KnownAt)
	case q.phone != "":
		union, err = s.people.ByPhone(r.Context(), site.ID, q.phone, q.view.KnownAt)
	default:
		union, err = s.people.ByID(r.Context(), site.ID, q.subjectID, q.view.KnownAt)
	}
	at := q.view.At
	if at.IsZero() {
		at = q.view.Now
	}
	answer := wire.Decision{At: wire.Time(at), ConsentIDs: []string{}}
	if errors.Is(err, consent.ErrTooManyEvents) {
		answer.Reason = consent.TooManyEvents
		s.alarmTooMany(r)
		return httpapi.WriteJSON(w, answer)
	}
	if err != nil {
		return err
	}
	state := consent.Decide(union.Events, q.preference, q.view, site.Rules())
	answer.Granted, answer.Reason = state.Granted, state.Reason
	answer.ConsentIDs = append(answer.ConsentIDs, state.ConsentIDs...)
	answer.ExpiresAt = wire.TimePtr(state.ExpiresAt)
	return httpapi.WriteJSON(w, answer)
}

type question struct {
	subjectID, email, phone, preference string
	view                                consent.View
}

func (s *server) question(r *http.Request) (q question, err error) {
	for name, into := range map[string]*string{"subject_id": &q.subjectID, "email": &q.email, "phone": &q.phone, "preference": &q.preference} {
		if *into, err = httpapi.Query(r, name, consent.MaxText); err != nil {
			return q, err
		}
	}
	if given := len(q.subjectID) + len(q.email) + len(q.phone); given == 0 || given != max(len(q.subjectID), len(q.email), len(q.phone)) {
		return q, errs.New(errs.Invalid, "give one of subject_id, email and phone")
	}
	if q.preference == "" {
		return q, errs.InvalidField("preference", "must be given")
	}
	q.view.Now = s.now().UTC()
	for name, into := range map[string]*time.Time{"at": &q.view.At, "known_at": &q.view.KnownAt} {
		if *into, err = httpapi.Time(r, name); err != nil {
			return q, err
		}
		if into.After(q.view.Now) {
			return q, errs.InvalidField(name, "must not lie in the future")
		}
		*into = secondEnd(*into)
	}
	return q, nil
}
