package zendesksupport_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
	"github.com/avow-consent/avow/internal/errs"
)

const noNews = "no-newsletter"

// changes reads all changes after a cursor, whatever they are, and says where to go on.
func (d *desk) changes(cursor string) (next string) {
	d.t.Helper()
	_, next = d.flagged(cursor)
	d.Advance(5 * time.Minute)
	return next
}

// flagged are the changes after a cursor.
func (d *desk) flagged(cursor string) (all []connector.Flagged, next string) {
	d.t.Helper()
	for more := true; more; {
		var list []connector.Flagged
		var err error
		if list, cursor, more, err = d.c.Marks(d.t.Context(), []string{noNews}, cursor); err != nil {
			d.t.Fatal(err)
		}
		all = append(all, list...)
	}
	return all, cursor
}

func (d *desk) mark(yes bool, last map[string]bool) connector.Marked {
	d.t.Helper()
	got, err := d.c.Mark(d.t.Context(), connector.Marking{Subject: conformance.Person(company.Ines), Yes: map[string]bool{noNews: yes}, Last: last})
	if err != nil {
		d.t.Fatal(err)
	}
	return got
}

// A tag follows the answers; other tags, and other people, stay as they are.
func TestMark_answers(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	ines := d.Find(company.Ines)
	before := d.State()
	tags := slices.Clone(d.user(ines).Tags)
	for _, c := range []struct {
		yes  bool
		last map[string]bool
		want connector.Marked
		tags []string
	}{
		{true, nil, connector.Marked{Records: 1}, tags},
		{false, map[string]bool{noNews: true}, connector.Marked{Records: 1, Changed: 1}, append(slices.Clone(tags), noNews)},
		{false, map[string]bool{noNews: false}, connector.Marked{Records: 1}, append(slices.Clone(tags), noNews)},
		{true, map[string]bool{noNews: true}, connector.Marked{Records: 1, Own: []string{noNews}}, append(slices.Clone(tags), noNews)}, // somebody's own no stays
		{true, map[string]bool{noNews: false}, connector.Marked{Records: 1, Changed: 1}, tags},
	} {
		if diff := cmp.Diff(c.want, d.mark(c.yes, c.last)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(c.tags, d.user(ines).Tags); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff(before, d.State()); diff != "" {
		t.Errorf("something else has changed: %s", diff)
	}
}

// An e-mail that Zendesk has not verified is nobody's, and an agent is no customer.
func TestMark_others(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*fake.User){
		"not verified": func(u *fake.User) {
			for i := range u.Identities {
				u.Identities[i].Verified = false
			}
		},
		"an agent": func(u *fake.User) { u.Role = "agent" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := small(t, "")
			cursor := d.changes("")
			d.Update(d.Find(company.Ines), change)
			d.Advance(time.Hour)
			if got := d.mark(false, nil); got.Records != 0 {
				t.Errorf("%+v", got)
			}
			if list, _ := d.flagged(cursor); len(list) != 0 {
				t.Errorf("%+v", list)
			}
		})
	}
}

// Whatever happens to the calls, the tag is there in the end, once.
func TestMark_faults(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]fakekit.Failure{
		"before": {Method: "PUT", Status: 500, Times: 9}, "after": {Method: "PUT", Status: 500, Times: 9, Applied: true}, "search": {Method: "GET", Status: 503, Times: 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := small(t, "")
			d.Fail(failure)
			m := connector.Marking{Subject: conformance.Person(company.Ines), Yes: map[string]bool{noNews: false}}
			if _, err := d.c.Mark(t.Context(), m); !errs.Is(err, errs.Unavailable) {
				t.Fatalf("got %v", err)
			}
			d.Mend()
			d.mark(false, nil)
			count := 0
			for _, tag := range d.user(d.Find(company.Ines)).Tags {
				if tag == noNews {
					count++
				}
			}
			if count != 1 {
				t.Errorf("the tag stands %d times", count)
			}
		})
	}
}

// Each change is heard of once, and none is lost between two reads.
func TestMarks(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	cursor := d.changes("")
	if list, next := d.flagged(cursor); len(list) > 0 && next == cursor {
		t.Errorf("%+v", list)
	}
	_, cursor = d.flagged(cursor)
	ines, leo := d.Find(company.Ines), d.Find(company.Leo)
	d.Update(ines, func(u *fake.User) { u.Tags = append(u.Tags, noNews) })
	d.Advance(30 * time.Second)
	d.Update(leo, func(u *fake.User) { u.Notes = "called" })
	d.Advance(45 * time.Second) // Zendesk withholds what is younger than a minute
	first, cursor := d.flagged(cursor)
	if diff := cmp.Diff([]connector.Flagged{{Email: company.Ines, Yes: map[string]bool{noNews: false}}}, first); diff != "" {
		t.Error(diff)
	}
	d.Advance(time.Minute)
	second, cursor := d.flagged(cursor)
	if diff := cmp.Diff([]connector.Flagged{{Email: company.Leo, Yes: map[string]bool{noNews: true}}}, second); diff != "" {
		t.Error(diff)
	}
	if third, _ := d.flagged(cursor); len(third) != 0 {
		t.Errorf("%+v", third)
	}
}

func TestCheckMark(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	for flag, want := range map[string]bool{noNews: true, "No News": false, "": false, "avow-objected": false, "avow-restricted": false} {
		if err := d.c.CheckMark(flag); (err == nil) != want || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", flag, err)
		}
	}
}
