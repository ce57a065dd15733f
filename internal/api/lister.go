package api

import (
	"context"
	"errors"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/wire"
)

// lister gathers one page of consents, newest first, out of streams that are
// each newest first.
type lister struct {
	*server
	site   *site.Site
	filter consentFilter
	page   []consent.Event // one more than the limit when there is a next page
	read   int             // rows read so far
	views  map[string]*consent.SubjectView
}

// stream is one sorted source of consents.
type stream struct {
	more func(ctx context.Context, r consent.Range, limit int) ([]consent.Event, error)
	rows consent.Range
	held []consent.Event
	done bool
}

// full reports whether the page and the proof of a next one are there.
func (l *lister) full() bool { return len(l.page) > l.filter.limit }

// all lists the consents of a site, month by month.
func (l *lister) all(ctx context.Context) error {
	// The projection notes months a moment after the first consent of each, so
	// the site is read anew; the current month is always looked at.
	fresh, err := l.sites.Refresh(ctx, l.site.ID)
	if err != nil {
		return err
	}
	const layout = "2006-01"
	now := l.now().UTC()
	months := append(slices.Clone(fresh.Months), now.Format(layout), now.Add(consent.MaxAhead).Format(layout))
	slices.Sort(months)
	months = slices.Compact(months)
	slices.Reverse(months)
	for _, month := range months {
		if l.full() {
			return nil
		}
		if r := l.filter.rows; !r.To.IsZero() && month > r.To.Format(layout) ||
			!r.From.IsZero() && month < r.From.Format(layout) ||
			r.Before != "" && month > consent.Month(r.Before) {
			continue
		}
		var streams []*stream
		for shard := range max(1, l.site.Shards) {
			streams = append(streams, l.stream(func(ctx context.Context, r consent.Range, limit int) ([]consent.Event, error) {
				return l.events.ListShard(ctx, l.site.ID, month, shard, r, limit)
			}))
		}
		if err := l.merge(ctx, streams); err != nil {
			return err
		}
	}
	return nil
}

// partitions lists the consents of some subjects, from the ledger itself.
func (l *lister) partitions(ctx context.Context, subjects ...string) error {
	var streams []*stream
	for _, subject := range subjects {
		streams = append(streams, l.stream(func(ctx context.Context, r consent.Range, limit int) ([]consent.Event, error) {
			return l.events.ListSubject(ctx, subject, r, limit)
		}))
	}
	return l.merge(ctx, streams)
}

// person lists the consents of the subjects that have an e-mail, exactly as it
// is written: the e-mail's own subject, those bound to it, and those that only
// show it. When these are too many to be read one by one, the consents of the
// site are filtered by what their subjects show.
func (l *lister) person(ctx context.Context, email, onlyID string) error {
	union, err := l.people.ByEmail(ctx, l.site.ID, email, consent.View{}.KnownAt)
	tooMany := errors.Is(err, consent.ErrTooManyEvents)
	if err != nil && !tooMany {
		return err
	}
	found := map[string]bool{}
	for i := range union.Events {
		if e := &union.Events[i]; e.Profile.Email != nil && e.Profile.Email.Value.Reveal() == email {
			found[e.Subject] = true
		}
	}
	if onlyID != "" {
		return l.personAs(ctx, email, l.hasher.Subject(l.site.ID, onlyID), found)
	}
	shown, err := l.subjects.ViewsOfEmail(ctx, l.hasher.Email(l.site.ID, email), consent.Span{}, consent.MaxBound+1)
	if err != nil {
		return err
	}
	for _, view := range shown {
		found[view.Subject] = true
	}
	if tooMany || len(found) > consent.MaxBound {
		l.filter.subject.EmailExact = redact.String(email)
		return l.all(ctx)
	}
	return l.partitions(ctx, slices.Collect(maps.Keys(found))...)
}

// personAs lists the consents of one subject if it has an e-mail.
func (l *lister) personAs(ctx context.Context, email, subject string, found map[string]bool) error {
	if !found[subject] {
		view, err := l.subjects.View(ctx, subject)
		if err != nil || view == nil || view.Email.Reveal() != email {
			return err
		}
	}
	return l.partitions(ctx, subject)
}

func (l *lister) stream(more func(context.Context, consent.Range, int) ([]consent.Event, error)) *stream {
	return &stream{more: more, rows: l.filter.rows}
}

// merge takes the newest consent of all streams, again and again, until the
// page is full or the streams are empty.
func (l *lister) merge(ctx context.Context, streams []*stream) error {
	for !l.full() {
		if err := l.fill(ctx, streams); err != nil {
			return err
		}
		var newest *stream
		for _, s := range streams {
			if len(s.held) > 0 && (newest == nil || s.held[0].ID > newest.held[0].ID) {
				newest = s
			}
		}
		if newest == nil {
			return nil
		}
		e := newest.held[0]
		newest.held = newest.held[1:]
		if l.matches(&e) {
			l.page = append(l.page, e)
		}
	}
	return nil
}

func (l *lister) matches(e *consent.Event) bool {
	if !l.filter.matches(e) {
		return false
	}
	if l.filter.subject == (consent.SubjectFilter{}) {
		return true
	}
	view := l.views[e.Subject]
	return view != nil && l.filter.subject.Match(view)
}

// fill reads on in every stream that holds nothing.
func (l *lister) fill(ctx context.Context, streams []*stream) error {
	const filtered = 200 // rows that one read of a filtered list takes
	chunk := l.filter.limit + 1
	if !l.filter.plain() {
		chunk = filtered
	}
	var empty []*stream
	for _, s := range streams {
		if len(s.held) == 0 && !s.done {
			empty = append(empty, s)
		}
	}
	if len(empty) == 0 {
		return nil
	}
	if !l.filter.plain() && l.read >= readBudget {
		return errTooBroad
	}
	group, inner := errgroup.WithContext(ctx)
	for _, s := range empty {
		group.Go(func() (err error) {
			s.held, err = s.more(inner, s.rows, chunk)
			if s.done = len(s.held) < chunk; !s.done {
				s.rows.Before = s.held[len(s.held)-1].ID
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var candidates []consent.Event
	for _, s := range empty {
		l.read += max(1, len(s.held))
		for i := range s.held {
			if l.filter.matches(&s.held[i]) {
				candidates = append(candidates, s.held[i])
			}
		}
	}
	if l.filter.subject == (consent.SubjectFilter{}) {
		return nil
	}
	return l.load(ctx, candidates)
}

// load reads the views of the subjects of some consents.
func (l *lister) load(ctx context.Context, events []consent.Event) error {
	var missing []string
	for i := range events {
		subject := events[i].Subject
		if _, seen := l.views[subject]; !seen {
			l.views[subject] = nil
			missing = append(missing, subject)
		}
	}
	for chunk := range slices.Chunk(missing, 100) {
		views, err := l.subjects.Views(ctx, chunk)
		if err != nil {
			return err
		}
		for _, view := range views {
			l.views[view.Subject] = view
		}
	}
	return nil
}

// shown renders the subjects of a page: by their views, and where the
// projection has none yet, from the ledger itself.
func (l *lister) shown(ctx context.Context, page []consent.Event) (map[string]wire.Person, error) {
	if err := l.load(ctx, page); err != nil {
		return nil, err
	}
	people := map[string]wire.Person{}
	for i := range page {
		e := &page[i]
		if _, done := people[e.Subject]; done {
			continue
		}
		if view := l.views[e.Subject]; view != nil {
			people[e.Subject] = wire.NewPerson(l.site.ID, e.SubjectID.Reveal(), l.personOfView(l.site, view))
			continue
		}
		person, err := l.personOf(ctx, l.site, e.Subject, e.SubjectID.Reveal())
		if err != nil {
			return nil, err
		}
		people[e.Subject] = person
	}
	return people, nil
}
