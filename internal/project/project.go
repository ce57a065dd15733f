// Package project keeps the views of subjects. A record of the ledger's stream
// only says that a subject has changed: whoever it belongs to is read from the
// ledger and folded anew, and what is stored already is not written again. So
// records may come twice, late and in any order.
package project

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/stream"
)

// Ledger is what the projection reads.
type Ledger interface {
	consent.Reader
	// Get reads one consent consistently; nil means that there is none.
	Get(ctx context.Context, subject, id string) (*consent.Event, error)
}

// Views is what the projection writes.
type Views interface {
	// Stored reads views consistently; those that do not exist are absent.
	Stored(ctx context.Context, subjects []string) (map[string]*consent.SubjectView, error)
	// Save replaces the view prior (nil: none) by next (nil: none), with its
	// search entries. When prior is no longer what is stored, nothing changes
	// and the error is consent.ErrViewChanged.
	Save(ctx context.Context, prior, next *consent.SubjectView) error
}

// Erasures is what the projection asks of erasures and tells about them.
type Erasures interface {
	// Erased tells until when what was said under a key is erased; keys of which
	// nothing is known are absent.
	Erased(ctx context.Context, keys []string) (map[string]time.Time, error)
	// Revive notes that a partition must be erased again: the next invocation of
	// the function erase does it.
	Revive(ctx context.Context, site, subject string) error
}

// projector projects persons.
type projector struct {
	ledger Ledger
	views  Views
	marks  *marks
	erased Erasures // nil: nothing is known of erasures
	outbox Outbox   // nil: nobody is told of anything, as in a rebuild
	hasher *pseudonym.Hasher
	log    *slog.Logger
	// bound tells which partition a row binds to the e-mail in whose partition
	// it stands, from the row's sort key.
	bound func(id string) (subject string, ok bool)
}

// batch handles the records of one invocation. Records that concern one person
// are handled together, once.
func (p *projector) batch(ctx context.Context, records []events.DynamoDBEventRecord) map[int]error {
	linked := links{}
	for _, r := range records {
		if c, err := p.parse(r); err == nil && c.bound != "" {
			linked.join(c.subject, c.bound)
		}
	}
	key := func(r events.DynamoDBEventRecord) (string, error) {
		c, err := p.parse(r)
		return linked.root(c.subject), err
	}
	return stream.ByKey(key, p.person)(ctx, records)
}

// links joins the partitions that binding rows name together.
type links map[string]string

func (l links) root(s string) string {
	for l[s] != "" {
		s = l[s]
	}
	return s
}

func (l links) join(a, b string) {
	if a, b = l.root(a), l.root(b); a != b {
		l[b] = a
	}
}

// person handles the records of one person.
func (p *projector) person(ctx context.Context, _ string, records []events.DynamoDBEventRecord) error {
	j := job{grown: true}
	var failed error
	for _, r := range records {
		c, err := p.parse(r)
		if err != nil {
			return err
		}
		if c.tampered {
			p.log.ErrorContext(ctx, "a row of the ledger was changed by something that is not an erasure",
				"event", "ledger_changed", "eventName", r.EventName, "subject", c.subject)
		}
		if j.site == "" {
			j.site = c.site
		}
		j.grown = j.grown && c.added
		j.changed = append(j.changed, c.subject)
		if c.bound != "" {
			j.changed = append(j.changed, c.bound)
		}
		if c.added && c.statement != "" {
			j.said = append(j.said, c)
		}
		if c.added && c.site != "" && !consent.IDTime(c.id).IsZero() {
			j.added = append(j.added, c)
			if err := p.ask(ctx, c); err != nil {
				return err
			}
			if err := p.marks.month(ctx, c.site, c.id); err != nil {
				failed = err
			}
		}
	}
	if _, err := p.project(ctx, j); err != nil {
		return err
	}
	return failed
}

// A job says what has changed about one person.
type job struct {
	site    string   // "" when only the ledger or the view knows
	changed []string // partitions
	grown   bool     // the ledger has only got new rows
	added   []change // new consents, which may name forms and documents
	said    []change // new statements about the person
	all     bool     // every event of the person may name forms and documents
}

// An outcome says what became of a person's views.
type outcome struct {
	views            map[string]*consent.SubjectView // by partition; nil where there is none
	written, removed int
}

// attempts is how often a person is folded when other instances keep writing
// the same views.
const attempts = 6

var errRacing = errs.New(errs.Unavailable, "the views of a person kept changing while they were made")

// project brings the views of a person to what the ledger says.
func (p *projector) project(ctx context.Context, j job) (outcome, error) {
	var total outcome
	for attempt := range attempts {
		if attempt > 0 {
			if err := pause(ctx, time.Duration(attempt)*20*time.Millisecond); err != nil {
				return total, err
			}
		}
		got, err := p.attempt(ctx, j)
		total.views = got.views
		total.written += got.written
		total.removed += got.removed
		if !errors.Is(err, consent.ErrViewChanged) {
			return total, err
		}
	}
	return total, errRacing
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// attempt folds a person once. Every view is read before the ledger is: when a
// view still has the same version on writing, nobody has folded later rows into
// it meanwhile.
func (p *projector) attempt(ctx context.Context, j job) (outcome, error) {
	known := &stored{views: p.views, read: map[string]*consent.SubjectView{}}
	if err := known.reach(ctx, j.changed...); err != nil {
		return outcome{}, err
	}
	if j.grown && known.tooMany(j.changed) {
		return outcome{}, p.mark(ctx, j, newSnapshot(p.ledger))
	}
	ledger := newSnapshot(p.ledger)
	site, err := p.site(ctx, j, known, ledger)
	if err != nil {
		return outcome{}, err
	}
	var next map[string]*consent.SubjectView
	for pass := 0; ; pass++ {
		if next, err = p.fold(ctx, site, known, ledger); err != nil {
			return outcome{}, err
		}
		met := ledger.partitions()
		if known.has(met) {
			break
		}
		if pass == consent.MaxBound {
			return outcome{}, errRacing
		}
		// The person has partitions whose views were not read before the ledger.
		if err := known.reach(ctx, met...); err != nil {
			return outcome{}, err
		}
		ledger = newSnapshot(p.ledger)
	}
	if err := p.mark(ctx, j, ledger); err != nil {
		return outcome{}, err
	}
	if err := p.tell(ctx, j, known, next, ledger); err != nil {
		return outcome{}, err
	}
	return p.save(ctx, known, next)
}

// site finds the site of a person: a tombstone does not name it.
func (p *projector) site(ctx context.Context, j job, known *stored, ledger *snapshot) (string, error) {
	if j.site != "" {
		return j.site, nil
	}
	for _, partition := range known.order {
		if v := known.read[partition]; v != nil && v.Site != "" {
			return v.Site, nil
		}
		rows, err := ledger.Partition(ctx, partition, consent.MaxPerson)
		if err != nil && !errors.Is(err, consent.ErrTooManyEvents) {
			return "", err
		}
		for _, e := range rows.Events {
			if e.Site != "" {
				return e.Site, nil
			}
		}
		for _, b := range rows.Bindings {
			return b.Site, nil
		}
	}
	return "", nil
}

// fold computes the view of every partition that is known: its own person's,
// for what is reached from one partition need not lead back to it.
func (p *projector) fold(ctx context.Context, site string, known *stored, ledger *snapshot) (map[string]*consent.SubjectView, error) {
	people := consent.NewPeople(ledger, p.hasher)
	next := map[string]*consent.SubjectView{}
	for _, partition := range known.order {
		if _, done := next[partition]; done {
			continue
		}
		before := ledger.partitions()
		u, err := people.ByPartition(ctx, site, partition, time.Time{})
		if errors.Is(err, consent.ErrTooManyEvents) {
			// All that was met on the way belongs to the person.
			met := slices.DeleteFunc(ledger.partitions(), func(s string) bool { return s != partition && slices.Contains(before, s) })
			for _, member := range met {
				next[member] = consent.ProjectTooMany(p.hasher, known.read[member], member, ledger.events(member), met)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		next[partition] = consent.Project(p.hasher, partition, &u)
	}
	return next, nil
}

// save writes the views that differ from what is stored.
func (p *projector) save(ctx context.Context, known *stored, next map[string]*consent.SubjectView) (outcome, error) {
	out := outcome{views: next}
	for _, partition := range known.order {
		before, after := known.read[partition], next[partition]
		if before.Same(after) {
			continue
		}
		if err := p.views.Save(ctx, before, after); err != nil {
			return out, err
		}
		if after == nil {
			out.removed++
			continue
		}
		out.written++
		if after.TooMany {
			p.log.ErrorContext(ctx, "a person has more events than a read may take", "event", "too_many_events", "subject", partition)
		}
	}
	return out, nil
}

// stored are views as they were before the ledger was read.
type stored struct {
	views Views
	read  map[string]*consent.SubjectView // nil where there is none
	order []string
}

// reach reads the views of partitions, and of those that belonged to the same
// persons when these were written: what no longer belongs to them must change
// too.
func (s *stored) reach(ctx context.Context, partitions ...string) error {
	for {
		var ask []string
		for _, partition := range partitions {
			if _, done := s.read[partition]; !done && !slices.Contains(ask, partition) {
				ask = append(ask, partition)
			}
		}
		if len(ask) == 0 {
			return nil
		}
		found, err := s.views.Stored(ctx, ask)
		if err != nil {
			return err
		}
		partitions = nil
		for _, partition := range ask {
			v := found[partition]
			s.read[partition] = v
			s.order = append(s.order, partition)
			if v != nil {
				partitions = append(partitions, v.Members...)
			}
		}
	}
}

func (s *stored) has(partitions []string) bool {
	return !slices.ContainsFunc(partitions, func(partition string) bool {
		_, ok := s.read[partition]
		return !ok
	})
}

// tooMany reports whether all of these are known to belong to persons with too
// many events. More rows do not change that.
func (s *stored) tooMany(partitions []string) bool {
	return !slices.ContainsFunc(partitions, func(partition string) bool {
		v := s.read[partition]
		return v == nil || !v.TooMany
	})
}

// snapshot reads each partition of the ledger once, so that all views of a
// person are folded from the same rows.
type snapshot struct {
	ledger consent.Reader
	read   map[string]reading
	order  []string
}

type reading struct {
	rows  consent.Rows
	limit int  // under which it was read
	over  bool // the limit was exceeded
}

func newSnapshot(ledger consent.Reader) *snapshot {
	return &snapshot{ledger: ledger, read: map[string]reading{}}
}

// Partition implements consent.Reader.
func (s *snapshot) Partition(ctx context.Context, subject string, limit int) (consent.Rows, error) {
	r, known := s.read[subject]
	if !known || r.over && limit > r.limit {
		rows, err := s.ledger.Partition(ctx, subject, limit)
		if err != nil && !errors.Is(err, consent.ErrTooManyEvents) {
			return consent.Rows{}, err
		}
		if !known {
			s.order = append(s.order, subject)
		}
		r = reading{rows, limit, err != nil}
		s.read[subject] = r
	}
	if r.over || r.rows.Bytes > limit {
		return r.rows, consent.ErrTooManyEvents
	}
	return r.rows, nil
}

func (s *snapshot) partitions() []string { return slices.Clone(s.order) }

// events are the events of a partition as far as they were read.
func (s *snapshot) events(subject string) []consent.Event { return s.read[subject].rows.Events }
