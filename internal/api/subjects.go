package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/wire"
)

// postSubject says who a subject is. One that exists already is updated.
func (s *server) postSubject(w http.ResponseWriter, r *http.Request) error {
	return s.stateSubject(w, r, "")
}

// updateSubject changes the stated fields of a subject that exists.
func (s *server) updateSubject(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := httpapi.CheckText("id", id, consent.MaxSubjectID); err != nil {
		return err
	}
	known, err := s.events.Known(r.Context(), s.hasher.Subject(siteOf(r).ID, id))
	if err != nil {
		return err
	}
	if !known {
		return errNoSubject
	}
	return s.stateSubject(w, r, redact.String(id))
}

func (s *server) stateSubject(w http.ResponseWriter, r *http.Request, id redact.String) error {
	body, err := httpapi.Decode(r)
	if err != nil {
		return err
	}
	statement, err := wire.DecodeSubject(body)
	if err != nil {
		return err
	}
	if id != "" {
		statement.SubjectID = id
	}
	statement.IdempotencyKey = httpapi.IdempotencyKey(r)
	ack, err := s.recorder.RecordSubject(r.Context(), s.sites.Policy(siteOf(r)), statement)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, wire.NewSubjectAcknowledgement(ack))
}

// getSubject shows a subject, or the latest consent of one.
func (s *server) getSubject(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := httpapi.CheckText("id", id, consent.MaxSubjectID+len(lastSuffix)); err != nil {
		return err
	}
	if of, ok := strings.CutSuffix(id, lastSuffix); ok {
		return s.lastConsent(w, r, of)
	}
	subject, err := s.subject(r, id)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, subject)
}

const lastSuffix = "/consent/last"

// subject reads one subject from the ledger itself.
func (s *server) subject(r *http.Request, id string) (wire.Subject, error) {
	site := siteOf(r)
	person, err := s.person(r.Context(), site, s.hasher.Subject(site.ID, id))
	if errors.Is(err, consent.ErrTooManyEvents) {
		s.alarmTooMany(r)
		return wire.Subject{}, errs.New(errs.TooBroad, "this subject has too many events to be shown; GET /decide answers no for it")
	}
	if err != nil {
		return wire.Subject{}, err
	}
	if !person.Known {
		return wire.Subject{}, errNoSubject
	}
	return wire.NewSubject(site.ID, id, person), nil
}

// person folds the person whom a partition belongs to.
func (s *server) person(ctx context.Context, site *site.Site, partition string) (*consent.Person, error) {
	view := consent.View{Now: s.now().UTC()}
	union, err := s.people.ByPartition(ctx, site.ID, partition, view.KnownAt)
	if err != nil {
		return nil, err
	}
	person := consent.Fold(union.Events, view, site.Rules())
	return &person, nil
}

// personOf is the current view of a subject as a consent shows it. Someone with
// too many events is shown by id alone.
func (s *server) personOf(ctx context.Context, site *site.Site, partition, id string) (wire.Person, error) {
	person, err := s.person(ctx, site, partition)
	if errors.Is(err, consent.ErrTooManyEvents) {
		return wire.NewPerson(site.ID, id, &consent.Person{}), nil
	}
	if err != nil {
		return wire.Person{}, err
	}
	return wire.NewPerson(site.ID, id, person), nil
}

// alarmTooMany leaves what the alarm on such persons counts.
func (s *server) alarmTooMany(r *http.Request) {
	httpapi.Note(r.Context(), slog.String("event", "too_many_events"))
}

// listSubjects shows subjects, newest first. With id alone it reads the ledger
// itself: the safe form for an id that a path cannot carry.
func (s *server) listSubjects(w http.ResponseWriter, r *http.Request) error {
	filter, err := parseSubjectFilter(r, "")
	if err != nil {
		return err
	}
	after, err := httpapi.Query(r, "starting_after", consent.MaxSubjectID)
	if err != nil {
		return err
	}
	limit, err := httpapi.Limit(r)
	if err != nil {
		return err
	}
	if owner := r.URL.Query().Get("owner_id"); owner != "" && owner != siteOf(r).ID {
		return httpapi.WriteJSON(w, []wire.Subject{})
	}
	if id := filter.ID.Reveal(); filter == (consent.SubjectFilter{ID: filter.ID}) && id != "" && (after == "" || after == id) {
		return s.listOne(w, r, id, after)
	}
	page, err := s.finder.FindSubjects(r.Context(), siteOf(r).ID, filter, redact.String(after), limit)
	if err != nil {
		return err
	}
	items, err := s.showSubjects(r.Context(), siteOf(r), page.Views)
	if err != nil {
		return err
	}
	if page.More {
		httpapi.LinkNext(w, r, "starting_after", items[len(items)-1].ID)
	}
	return httpapi.WriteJSON(w, items)
}

// showSubjects reads what a page shows from the ledger itself. The views, which
// may lag, choose whom it shows; they never say yes after a withdrawal.
func (s *server) showSubjects(ctx context.Context, site *site.Site, views []*consent.SubjectView) ([]wire.Subject, error) {
	const parallel = 10
	items := make([]wire.Subject, len(views))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, v := range views {
		group.Go(func() error {
			person, err := s.person(ctx, site, v.Subject)
			if errors.Is(err, consent.ErrTooManyEvents) {
				person, err = s.personOfView(site, v), nil
				for i, state := range person.Preferences {
					person.Preferences[i] = consent.State{Preference: state.Preference, Reason: consent.TooManyEvents}
				}
			}
			if err == nil {
				items[i] = wire.NewSubject(site.ID, v.SubjectID.Reveal(), person)
			}
			return err
		})
	}
	return items, group.Wait()
}

// listOne is the list of the one subject that has an id; nothing follows it.
func (s *server) listOne(w http.ResponseWriter, r *http.Request, id, after string) error {
	subject, err := s.subject(r, id)
	if errs.Is(err, errs.NotFound) || err == nil && after != "" {
		return httpapi.WriteJSON(w, []wire.Subject{})
	}
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, []wire.Subject{subject})
}

// personOfView is what a projected view says of a person at this moment.
func (s *server) personOfView(site *site.Site, v *consent.SubjectView) *consent.Person {
	return &consent.Person{
		Known: true, FirstSeen: v.Created, Updated: v.Updated,
		Email: v.Email, FirstName: v.FirstName, LastName: v.LastName, FullName: v.FullName,
		Verified: v.Verified, Phones: v.Phones,
		Preferences: v.Preferences(s.now().UTC(), site.Rules()),
	}
}

// parseSubjectFilter reads the filters of a list of subjects. In a list of
// consents their names begin with "subject_", and the times are not theirs.
func parseSubjectFilter(r *http.Request, prefix string) (f consent.SubjectFilter, err error) {
	for name, into := range map[string]*redact.String{
		"id": &f.ID, "email_exact": &f.EmailExact, "email": &f.Email, "first_name": &f.FirstName,
		"last_name": &f.LastName, "full_name": &f.FullName, "phone": &f.Phone,
	} {
		value, err := httpapi.Query(r, prefix+name, consent.MaxText)
		if err != nil {
			return f, err
		}
		*into = redact.String(value)
	}
	if f.Verified, err = httpapi.Bool(r, prefix+"verified"); err != nil || prefix != "" {
		return f, err
	}
	f.From, f.To, err = timeRange(r)
	return f, err
}
