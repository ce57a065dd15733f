package consent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// What one search may read. Beyond it the caller is asked for a time range: a
// page is never shorter than it says.
const (
	MaxScan    = 3000 // views that a list looks at
	MaxEntries = 1000 // search entries of one field
	maxTerms   = 16   // of a query that is looked up; a longer one reads the list
)

// Span bounds a list of subjects: Before is excluded, From and To are included.
// The zero value has no bounds.
type Span struct {
	Before   *Position
	From, To time.Time
}

func (s Span) holds(p Position) bool {
	return (s.Before == nil || s.Before.Compare(p) < 0) &&
		(s.From.IsZero() || !p.Created.Before(s.From)) && (s.To.IsZero() || !p.Created.After(s.To))
}

// ViewReader reads views. Lists and search entries may lag behind the views,
// and the views behind the ledger.
type ViewReader interface {
	// View reads one view consistently; nil means that there is none.
	View(ctx context.Context, subject string) (*SubjectView, error)
	// Views reads many views by partition; those that do not exist are absent.
	Views(ctx context.Context, subjects []string) (map[string]*SubjectView, error)
	// ViewsOfSite lists up to limit views of a site, newest first.
	ViewsOfSite(ctx context.Context, site string, span Span, limit int) ([]*SubjectView, error)
	// ViewsOfEmail lists up to limit views that show an e-mail, newest first.
	ViewsOfEmail(ctx context.Context, emailKey string, span Span, limit int) ([]*SubjectView, error)
	// Search lists up to limit search entries whose token begins with the given
	// one.
	Search(ctx context.Context, site string, token Token, limit int) ([]Entry, error)
}

// Finder finds subjects.
type Finder struct {
	views  ViewReader
	hasher *pseudonym.Hasher
}

// NewFinder returns a Finder over views.
func NewFinder(views ViewReader, hasher *pseudonym.Hasher) *Finder {
	return &Finder{views, hasher}
}

// Page is one page of a list.
type Page struct {
	Views []*SubjectView // newest first
	More  bool           // others follow
}

// FindSubjects lists the subjects that a filter means, newest first, behind the
// subject whose id is after ("" for the first page). It goes the cheapest way
// that the filter allows and never reads more than MaxScan views and, for each
// field of the filter, MaxEntries search entries; where that does not fill the
// page, the error is TooBroad. A cursor that is no subject of the site is
// Invalid.
func (f *Finder) FindSubjects(ctx context.Context, site string, filter SubjectFilter, after redact.String, limit int) (Page, error) {
	q := query{finder: f, site: site, filter: &filter, span: Span{From: filter.From, To: filter.To}, limit: limit}
	if after != "" {
		cursor, err := f.views.View(ctx, f.hasher.Subject(site, after.Reveal()))
		if err != nil {
			return Page{}, err
		}
		if cursor == nil {
			return Page{}, errs.InvalidField("starting_after", "names no subject of this site")
		}
		q.span.Before = new(cursor.Position())
	}
	switch {
	case filter.ID != "":
		return q.one(ctx)
	case filter.EmailExact != "":
		key := f.hasher.Email(site, filter.EmailExact.Reveal())
		return q.list(ctx, func(span Span, n int) ([]*SubjectView, error) { return f.views.ViewsOfEmail(ctx, key, span, n) })
	}
	for _, lookup := range q.lookups() {
		page, err := q.search(ctx, lookup)
		if !errors.Is(err, errTooMany) {
			return page, err
		}
	}
	return q.list(ctx, func(span Span, n int) ([]*SubjectView, error) { return f.views.ViewsOfSite(ctx, site, span, n) })
}

// LookUp lists up to limit subjects that a filter means and that is agrees with,
// newest first. It goes by search entries alone and never reads the list of a
// site, which not everybody may: a filter that no field answers with at most
// MaxEntries entries is TooBroad.
func (f *Finder) LookUp(ctx context.Context, site string, filter SubjectFilter, limit int, is func(*SubjectView) bool) (Page, error) {
	q := query{finder: f, site: site, filter: &filter, limit: limit, is: is}
	for _, lookup := range q.lookups() {
		page, err := q.search(ctx, lookup)
		if !errors.Is(err, errTooMany) {
			return page, err
		}
	}
	return Page{}, errs.New(errs.TooBroad, "the filter would read too many search entries")
}

// query is one call of FindSubjects or LookUp.
type query struct {
	finder *Finder
	site   string
	filter *SubjectFilter
	span   Span
	limit  int
	is     func(*SubjectView) bool // what the filter cannot say; nil agrees with all
}

func (q *query) match(v *SubjectView) bool { return q.filter.Match(v) && (q.is == nil || q.is(v)) }

// errTooMany says that a look-up has more entries than may be read.
var errTooMany = errors.New("consent: too many search entries")

// one looks at the subject that the filter names.
func (q *query) one(ctx context.Context) (Page, error) {
	v, err := q.finder.views.View(ctx, q.finder.hasher.Subject(q.site, q.filter.ID.Reveal()))
	if err != nil || v == nil || !q.span.holds(v.Position()) || !q.filter.Match(v) {
		return Page{}, err
	}
	return Page{Views: []*SubjectView{v}}, nil
}

// list reads a list until the page is full and it is known whether others
// follow.
func (q *query) list(ctx context.Context, read func(Span, int) ([]*SubjectView, error)) (Page, error) {
	var found []*SubjectView
	span, chunk := q.span, q.limit+1
	for budget := MaxScan; budget > 0; {
		chunk = min(chunk, budget)
		views, err := read(span, chunk)
		if err != nil {
			return Page{}, err
		}
		for _, v := range views {
			if q.filter.Match(v) {
				found = append(found, v)
			}
		}
		if len(found) > q.limit || len(views) < chunk {
			return q.page(found), nil
		}
		span.Before = new(views[len(views)-1].Position())
		budget -= chunk
		chunk = min(4*chunk, 500) // the filter is not met by all: look at more at once
	}
	if len(found) == q.limit {
		return Page{Views: found, More: true}, nil // whether others follow, the next page tells
	}
	return Page{}, errs.New(errs.TooBroad, "the filter would read too many subjects: narrow it with from_time and to_time")
}

func (q *query) page(found []*SubjectView) Page {
	return Page{Views: found[:min(len(found), q.limit)], More: len(found) > q.limit}
}

// lookups are the tokens that the filter can be answered by, the most telling
// field first. What is found by one of a field's tokens is a candidate; Match
// decides.
func (q *query) lookups() [][]Token {
	var all [][]Token
	add := func(field Field, given redact.String, terms []string) {
		var list []Token
		for _, term := range terms {
			t, ok := SearchToken(field, term)
			if !ok {
				return
			}
			list = append(list, t)
		}
		if given != "" && len(list) <= maxTerms {
			all = append(all, list)
		}
	}
	exact := func(name redact.String) {
		if parts := firstOf(nameParts(name)); len(parts) > 0 {
			add(FieldName, name, parts)
		}
	}
	f := q.filter
	add(FieldPhone, f.Phone, phoneTerm(f.Phone))
	add(FieldEmail, f.Email, terms(f.Email, emailSeparators))
	exact(f.LastName)
	add(FieldName, f.FullName, terms(f.FullName, nameSeparators))
	exact(f.FirstName)
	return all
}

// search looks at the subjects that have one of the tokens.
func (q *query) search(ctx context.Context, tokens []Token) (Page, error) {
	var places []Position
	budget := MaxEntries
	for _, t := range tokens {
		entries, err := q.finder.views.Search(ctx, q.site, t, budget+1)
		if err != nil {
			return Page{}, err
		}
		if budget -= len(entries); budget < 0 {
			return Page{}, errTooMany
		}
		for _, e := range entries {
			if q.span.holds(e.At) {
				places = append(places, e.At)
			}
		}
	}
	slices.SortFunc(places, Position.Compare)
	return q.pick(ctx, slices.CompactFunc(places, func(a, b Position) bool { return a.Compare(b) == 0 }))
}

// pick reads the views of candidates, in their order, until the page is full.
func (q *query) pick(ctx context.Context, places []Position) (Page, error) {
	var found []*SubjectView
	for chunk := range slices.Chunk(places, min(100, 2*q.limit+1)) {
		subjects := make([]string, len(chunk))
		for i, p := range chunk {
			subjects[i] = p.Subject
		}
		views, err := q.finder.views.Views(ctx, subjects)
		if err != nil {
			return Page{}, err
		}
		for _, s := range subjects {
			if v := views[s]; v != nil && v.Site == q.site && q.match(v) {
				found = append(found, v)
			}
		}
		if len(found) > q.limit {
			break
		}
	}
	return q.page(found), nil
}
