package consent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

// shelf is a ViewReader over any number of views that counts what it reads. Its
// indexes are those of the views it holds.
type shelf struct {
	views   []*SubjectView // newest first
	entries []Entry
	read    int // views and entries
	calls   int
	lists   int
}

func newShelf(views ...*SubjectView) *shelf {
	s := &shelf{views: views}
	slices.SortFunc(s.views, func(a, b *SubjectView) int { return a.Position().Compare(b.Position()) })
	for _, v := range s.views {
		v.Tokens = tokens(v)
		s.entries = append(s.entries, v.Entries()...)
	}
	return s
}

func (s *shelf) View(ctx context.Context, subject string) (*SubjectView, error) {
	found, err := s.Views(ctx, []string{subject})
	return found[subject], err
}

func (s *shelf) Views(_ context.Context, subjects []string) (map[string]*SubjectView, error) {
	s.calls++
	found := map[string]*SubjectView{}
	for _, v := range s.views {
		if slices.Contains(subjects, v.Subject) {
			found[v.Subject] = v
			s.read++
		}
	}
	return found, nil
}

func (s *shelf) list(span Span, limit int, f func(*SubjectView) bool) []*SubjectView {
	s.calls++
	s.lists++
	var list []*SubjectView
	for _, v := range s.views {
		if len(list) < limit && span.holds(v.Position()) && f(v) {
			list = append(list, v)
			s.read++
		}
	}
	return list
}

func (s *shelf) ViewsOfSite(_ context.Context, site string, span Span, limit int) ([]*SubjectView, error) {
	return s.list(span, limit, func(v *SubjectView) bool { return v.Site == site }), nil
}

func (s *shelf) ViewsOfEmail(_ context.Context, key string, span Span, limit int) ([]*SubjectView, error) {
	return s.list(span, limit, func(v *SubjectView) bool { return v.EmailKey == key }), nil
}

func (s *shelf) Search(_ context.Context, site string, token Token, limit int) ([]Entry, error) {
	s.calls++
	var list []Entry
	for _, e := range s.entries {
		if e.Site == site && e.Token.Field == token.Field && strings.HasPrefix(e.Token.Text.Reveal(), token.Text.Reveal()) && len(list) < limit {
			list = append(list, e)
			s.read++
		}
	}
	return list, nil
}

// town makes n subjects, one each minute; every tenth is called Ada, every
// hundredth verified.
func town(t testing.TB, n int) (*Finder, *shelf) {
	hasher := testHasher(t)
	var views []*SubjectView
	for i := range n {
		id := fmt.Sprintf("%05d", i)
		v := &SubjectView{
			Site: "s", Subject: hasher.Subject("s", id), SubjectID: redact.String(id), Verified: i%100 == 0,
			Created: viewEpoch.Add(time.Duration(i) * time.Minute), FullName: "Bob Other",
			Email: redact.String(fmt.Sprintf("p%s@example.test", id)),
		}
		if i%10 == 0 {
			v.FullName = "Ada Other"
		}
		v.EmailKey = hasher.Email("s", v.Email.Reveal())
		views = append(views, v)
	}
	s := newShelf(views...)
	return NewFinder(s, hasher), s
}

func ids(views []*SubjectView) (list []string) {
	for _, v := range views {
		list = append(list, v.SubjectID.Reveal())
	}
	return list
}

// TestFindSubjects_agrees: every page of every filter is what looking at all
// views one by one would give.
func TestFindSubjects_agrees(t *testing.T) {
	t.Parallel()
	yes := true
	for name, filter := range map[string]SubjectFilter{
		"all":                       {},
		"id":                        {ID: "00042"},
		"unknown id":                {ID: "42"},
		"id and another":            {ID: "00042", FirstName: "x"},
		"exact e-mail":              {EmailExact: "p00042@example.test"},
		"few":                       {Email: "p0004"},
		"many, by the list":         {FullName: "other"},
		"common part":               {Email: "example"},
		"one character":             {Email: "p"},
		"two terms":                 {Email: "p00007 p0011"},
		"name":                      {FullName: "ada"},
		"verified":                  {Verified: &yes},
		"name and verified":         {FullName: "ada", Verified: &yes},
		"time range":                {From: viewEpoch.Add(10 * time.Minute), To: viewEpoch.Add(20 * time.Minute)},
		"name in time range":        {FullName: "ada", To: viewEpoch.Add(90 * time.Minute)},
		"nobody":                    {Email: "..."},
		"more terms than looked up": {Email: redact.String(strings.Repeat("zz ", maxTerms) + "p00013")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := town(t, 1200)
			var want, got []string
			for _, v := range s.views {
				if filter.Match(v) {
					want = append(want, v.SubjectID.Reveal())
				}
			}
			var after redact.String
			for range 1300 {
				limit := 7 + len(got)%50
				page, err := f.FindSubjects(t.Context(), "s", filter, after, limit)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, ids(page.Views)...)
				if !page.More {
					break
				}
				if len(page.Views) != limit {
					t.Fatalf("a short page of %d in the middle", len(page.Views))
				}
				after = page.Views[limit-1].SubjectID
			}
			if !slices.Equal(want, got) {
				t.Errorf("%d found, want %d:\n%v\n%v", len(got), len(want), got, want)
			}
		})
	}
}

// TestFindSubjects_cost: what is asked most often costs the same at any size.
func TestFindSubjects_cost(t *testing.T) {
	t.Parallel()
	type cost struct{ calls, read int }
	for name, tt := range map[string]struct {
		filter SubjectFilter
		after  redact.String
		want   cost
	}{
		"unfiltered":    {SubjectFilter{}, "", cost{1, 11}},
		"next page":     {SubjectFilter{}, "00100", cost{2, 12}},
		"id":            {SubjectFilter{ID: "00100"}, "", cost{1, 1}},
		"exact e-mail":  {SubjectFilter{EmailExact: "p00100@example.test"}, "", cost{1, 1}},
		"one by e-mail": {SubjectFilter{Email: "p00100@"}, "", cost{2, 2}},
		"in a minute":   {SubjectFilter{From: viewEpoch.Add(time.Hour), To: viewEpoch.Add(time.Hour)}, "", cost{1, 1}},
	} {
		for _, size := range []int{200, 4000} {
			f, s := town(t, size)
			if _, err := f.FindSubjects(t.Context(), "s", tt.filter, tt.after, 10); err != nil {
				t.Fatal(err)
			}
			if got := (cost{s.calls, s.read}); got != tt.want {
				t.Errorf("%s of %d: %+v, want %+v", name, size, got, tt.want)
			}
		}
	}
}

func TestFindSubjects_refuses(t *testing.T) {
	t.Parallel()
	no := false
	for name, tt := range map[string]struct {
		filter SubjectFilter
		after  redact.String
		want   errs.Kind
	}{
		"a filter that few meet":                     {SubjectFilter{LastName: "Nobody", Email: "x"}, "", ""}, // the name is looked up
		"a filter that is not indexed":               {SubjectFilter{Verified: &no, Email: "q"}, "", errs.TooBroad},
		"with a time range":                          {SubjectFilter{Verified: &no, Email: "q", To: viewEpoch.Add(2000 * time.Minute)}, "", ""},
		"too many entries, then too few in the list": {SubjectFilter{Email: "example", LastName: "-"}, "", errs.TooBroad},
		"unknown cursor":                             {SubjectFilter{}, "nobody", errs.Invalid},
		"unknown cursor, even for id":                {SubjectFilter{ID: "00001"}, "nobody", errs.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s := town(t, 3500)
			page, err := f.FindSubjects(t.Context(), "s", tt.filter, tt.after, 10)
			if err != nil && errs.KindOf(err) != tt.want || err == nil && tt.want != "" {
				t.Errorf("got %v, %v; want %q", ids(page.Views), err, tt.want)
			}
			if most := MaxScan + 2*MaxEntries; s.read > most {
				t.Errorf("%d rows read, at most %d", s.read, most)
			}
			if tt.want == errs.TooBroad && !strings.Contains(err.Error(), "from_time") {
				t.Errorf("%v does not say what to do", err)
			}
		})
	}
}

// TestFindSubjects_budget: everything that may be read is read.
func TestFindSubjects_budget(t *testing.T) {
	t.Parallel()
	for size, found := range map[int]bool{MaxScan - 1: true, MaxScan + 1: false} {
		f, s := town(t, size)
		s.views[size-1].FirstName = "-" // the oldest; a name that is not looked up
		page, err := f.FindSubjects(t.Context(), "s", SubjectFilter{FirstName: "-"}, "", 10)
		if found != (err == nil && len(page.Views) == 1) || !found && !errs.Is(err, errs.TooBroad) {
			t.Errorf("the oldest of %d: %v, %v", size, ids(page.Views), err)
		}
	}
}

// TestLookUp: what only some of the many may be is found, and the list of the
// site is never read.
func TestLookUp(t *testing.T) {
	t.Parallel()
	f, s := town(t, 5000)
	rare := func(v *SubjectView) bool { return v.SubjectID == "00010" }
	page, err := f.LookUp(t.Context(), "s", SubjectFilter{FullName: "ada"}, 2, rare)
	if err != nil || len(page.Views) != 1 || page.More {
		t.Errorf("the rare one: %v %v, %v", ids(page.Views), page.More, err)
	}
	page, err = f.LookUp(t.Context(), "s", SubjectFilter{FullName: "ada"}, 2, nil)
	if err != nil || len(page.Views) != 2 || !page.More {
		t.Errorf("all: %v %v, %v", ids(page.Views), page.More, err)
	}
	for name, filter := range map[string]SubjectFilter{
		"too many entries": {FullName: "other"}, "a letter": {FullName: "a"}, "a name and an initial": {FullName: "ada o"}, "nothing": {},
	} {
		calls := s.lists
		if page, err := f.LookUp(t.Context(), "s", filter, 2, nil); !errs.Is(err, errs.TooBroad) || s.lists != calls {
			t.Errorf("%s: %v, %v, and %d lists were read; want too broad, and none", name, ids(page.Views), err, s.lists-calls)
		}
	}
}

// TestFindSubjects_otherSites: a cursor or an id of another site means nothing.
func TestFindSubjects_otherSites(t *testing.T) {
	t.Parallel()
	f, _ := town(t, 20)
	for _, filter := range []SubjectFilter{{}, {ID: "00001"}, {Email: "p0"}, {EmailExact: "p00001@example.test"}} {
		page, err := f.FindSubjects(t.Context(), "other", filter, "", 10)
		if err != nil || len(page.Views) > 0 {
			t.Errorf("%v, %v", ids(page.Views), err)
		}
	}
	if _, err := f.FindSubjects(t.Context(), "other", SubjectFilter{}, "00001", 10); !errs.Is(err, errs.Invalid) {
		t.Errorf("cursor of another site: %v", err)
	}
}

// TestFindSubjects_fails: a page is never made of what could be read.
func TestFindSubjects_fails(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for _, filter := range []SubjectFilter{{}, {ID: "00001"}, {Email: "p0"}, {EmailExact: "p00001@example.test"}, {FirstName: "x"}} {
		_, s := town(t, 20)
		f := NewFinder(broken{s, boom}, testHasher(t))
		if page, err := f.FindSubjects(t.Context(), "s", filter, "", 10); !errors.Is(err, boom) || len(page.Views) > 0 {
			t.Errorf("%v, %v", ids(page.Views), err)
		}
	}
}

type broken struct {
	ViewReader
	err error
}

func (b broken) View(context.Context, string) (*SubjectView, error) { return nil, b.err }
func (b broken) Views(context.Context, []string) (map[string]*SubjectView, error) {
	return nil, b.err
}
func (b broken) ViewsOfSite(context.Context, string, Span, int) ([]*SubjectView, error) {
	return nil, b.err
}
func (b broken) ViewsOfEmail(context.Context, string, Span, int) ([]*SubjectView, error) {
	return nil, b.err
}

func TestPosition(t *testing.T) {
	t.Parallel()
	list := []Position{{viewEpoch, "b"}, {viewEpoch.Add(1), "a"}, {viewEpoch, "a"}}
	slices.SortFunc(list, Position.Compare)
	if list[0].Created != viewEpoch.Add(1) || list[1].Subject != "b" || cmp.Compare(list[2].Subject, "a") != 0 {
		t.Errorf("order %v", list)
	}
}
