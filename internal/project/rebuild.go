package project

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/avow-consent/avow/internal/consent"
)

// Report says what a rebuild found and did.
type Report struct {
	Subjects  int // subjects that have events
	Written   int // views that were missing or wrong
	Removed   int // views of subjects without events
	Entries   int // subjects whose search entries were missing, or too many
	Different int // views, or search entries of a subject, that still differ from the ledger: 0 is the proof
}

// Walker lists the partitions of the ledger's rows.
type Walker interface {
	// Walk calls f for every row, in no order and with repetitions; the site is
	// "" where the row does not name it.
	Walk(ctx context.Context, f func(site, subject string) error) error
}

// Shelf is all that is stored of views.
type Shelf interface {
	Views
	// Walk calls f with every view and g with every search entry.
	Walk(ctx context.Context, f func(*consent.SubjectView) error, g func(consent.Entry) error) error
	// Repair puts all search entries of a stored view (nil: none) again and
	// deletes those that do not belong to it.
	Repair(ctx context.Context, view *consent.SubjectView, stray []consent.Entry) error
}

// workers is how many persons are folded at once.
const workers = 4

// rebuilder makes all views anew. It may run beside the projection, be stopped
// and be run again: what is right is left alone.
type rebuilder struct {
	projector *projector
	ledger    Walker
	views     Shelf
	progress  func(done, changed int)

	mu     sync.Mutex
	report Report
}

func (r *rebuilder) run(ctx context.Context) (Report, error) {
	sites, err := r.walk(ctx)
	if err != nil {
		return r.report, err
	}
	if err := r.project(ctx, sites); err != nil {
		return r.report, err
	}
	if err := r.sweep(ctx, sites); err != nil {
		return r.report, err
	}
	return r.report, r.prove(ctx, sites)
}

// walk lists the partitions of the ledger with their sites.
func (r *rebuilder) walk(ctx context.Context) (map[string]string, error) {
	sites := map[string]string{}
	err := r.ledger.Walk(ctx, func(site, subject string) error {
		if sites[subject] == "" {
			sites[subject] = site
		}
		return nil
	})
	return sites, err
}

// project brings every view to what the ledger says.
func (r *rebuilder) project(ctx context.Context, sites map[string]string) error {
	covered := map[string]bool{}
	done := 0
	return each(ctx, sites, func(ctx context.Context, subject, site string) error {
		r.mu.Lock()
		skip := covered[subject]
		r.mu.Unlock()
		var out outcome
		if !skip {
			var err error
			if out, err = r.projector.project(ctx, job{site: site, changed: []string{subject}, all: true}); err != nil {
				return err
			}
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for partition, v := range out.views {
			if v != nil && !covered[partition] {
				r.report.Subjects++
			}
			covered[partition] = true
		}
		r.report.Written += out.written
		r.report.Removed += out.removed
		done++
		if r.progress != nil {
			r.progress(done, r.report.Written+r.report.Removed)
		}
		return nil
	})
}

func each(ctx context.Context, sites map[string]string, f func(ctx context.Context, subject, site string) error) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for subject, site := range sites {
		if inner.Err() != nil {
			break
		}
		group.Go(func() error { return f(inner, subject, site) })
	}
	return cmp.Or(group.Wait(), ctx.Err())
}

// sweep removes views that have no events, and brings search entries to what
// the views say.
func (r *rebuilder) sweep(ctx context.Context, sites map[string]string) error {
	found, err := r.compare(ctx)
	if err != nil {
		return err
	}
	for subject, v := range found {
		if _, inLedger := sites[subject]; !v.stored || inLedger {
			continue
		}
		out, err := r.projector.project(ctx, job{site: v.site, changed: []string{subject}})
		if err != nil {
			return err
		}
		r.report.Written += out.written
		r.report.Removed += out.removed
	}
	return r.repair(ctx, found)
}

// shelved is what is stored of one subject: whether there is a view, and digests
// of the search entries that it asks for and of those that there are.
type shelved struct {
	site       string
	stored     bool
	want, have entrySum
}

// entrySum is a digest of a set of search entries, whatever their order.
type entrySum struct {
	count int
	sum   uint64
}

func (s *entrySum) add(e consent.Entry) {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%s#%s#%d#%s", e.Site, e.Token.Field, e.At.Created.UnixMilli(), e.Token.Text.Reveal())
	s.count++
	s.sum ^= h.Sum64()
}

// compare reads all that is stored.
func (r *rebuilder) compare(ctx context.Context) (map[string]*shelved, error) {
	found := map[string]*shelved{}
	of := func(subject string) *shelved {
		if found[subject] == nil {
			found[subject] = &shelved{}
		}
		return found[subject]
	}
	err := r.views.Walk(ctx, func(v *consent.SubjectView) error {
		s := of(v.Subject)
		s.site, s.stored = v.Site, true
		for _, e := range v.Entries() {
			s.want.add(e)
		}
		return nil
	}, func(e consent.Entry) error {
		of(e.At.Subject).have.add(e)
		return nil
	})
	return found, err
}

// repair brings the search entries of the subjects where they do not fit to
// what the views say by now.
func (r *rebuilder) repair(ctx context.Context, found map[string]*shelved) error {
	entries := map[string][]consent.Entry{}
	for subject, s := range found {
		if s.want != s.have {
			entries[subject] = nil
		}
	}
	if len(entries) == 0 {
		return nil
	}
	err := r.views.Walk(ctx, func(*consent.SubjectView) error { return nil }, func(e consent.Entry) error {
		if list, wanted := entries[e.At.Subject]; wanted {
			entries[e.At.Subject] = append(list, e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for subject, list := range entries {
		if err := r.repairSubject(ctx, subject, list); err != nil {
			return err
		}
	}
	return nil
}

func (r *rebuilder) repairSubject(ctx context.Context, subject string, entries []consent.Entry) error {
	found, err := r.views.Stored(ctx, []string{subject})
	if err != nil {
		return err
	}
	view := found[subject]
	belong := view.Entries()
	stray := slices.DeleteFunc(entries, func(e consent.Entry) bool { return slices.Contains(belong, e) })
	if len(stray) == 0 && len(entries) == len(belong) {
		return nil // the projection has seen to it meanwhile
	}
	r.report.Entries++
	if err := r.views.Repair(ctx, view, stray); !errors.Is(err, consent.ErrViewChanged) {
		return err
	}
	return nil // the projection writes it at this moment: the proof will tell
}

// prove folds every subject again and compares the views with that, and the
// search entries with the views. What another instance was just writing gets
// another look.
func (r *rebuilder) prove(ctx context.Context, sites map[string]string) error {
	found, err := r.compare(ctx)
	if err != nil {
		return err
	}
	ask := maps.Clone(sites)
	for subject, s := range found {
		if _, known := ask[subject]; !known {
			ask[subject] = s.site // a view, or entries, of a subject that the ledger does not know
		}
	}
	left, err := r.differing(ctx, ask, found)
	for look := 0; err == nil && len(left) > 0 && look < 3; look++ {
		if err = pause(ctx, time.Second/4); err != nil {
			break
		}
		if found, err = r.compare(ctx); err == nil {
			left, err = r.differing(ctx, left, found)
		}
	}
	r.report.Different = len(left)
	return err
}

// differing lists those of the subjects whose views or search entries are not
// what they should be.
func (r *rebuilder) differing(ctx context.Context, ask map[string]string, found map[string]*shelved) (map[string]string, error) {
	left := map[string]string{}
	err := each(ctx, ask, func(ctx context.Context, subject, site string) error {
		same, err := r.projector.check(ctx, site, subject)
		if s := found[subject]; s != nil && s.want != s.have {
			same = false
		}
		if err == nil && !same {
			r.mu.Lock()
			defer r.mu.Unlock()
			left[subject] = site
		}
		return err
	})
	return left, err
}

// check reports whether the view of a subject is what the ledger says.
func (p *projector) check(ctx context.Context, site, subject string) (bool, error) {
	known := &stored{views: p.views, read: map[string]*consent.SubjectView{}}
	if err := known.reach(ctx, subject); err != nil {
		return false, err
	}
	ledger := newSnapshot(p.ledger)
	site, err := p.site(ctx, job{site: site}, known, ledger)
	if err != nil {
		return false, err
	}
	known.order = []string{subject}
	next, err := p.fold(ctx, site, known, ledger)
	return err == nil && known.read[subject].Same(next[subject]), err
}
