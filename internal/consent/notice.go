package consent

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
)

// The limits of a publication (docs/limits.md).
const (
	MaxNotices   = 50 // of one call
	MaxLanguages = 64 // of one notice
)

// Notice is one version of a legal notice. Once published it is never changed.
type Notice struct {
	Site        string
	Identifier  string
	Version     int               // counts from 1 for each identifier, without gaps
	Texts       map[string]string // SHA-256 (hex) of the text in each language; under "" when it is a text without a language
	Bytes       int               // of all texts together
	Published   time.Time         // by the server's clock, never before that of an earlier version
	Effective   time.Time         // when it takes effect, as the publisher says
	DocumentIDs []string
}

// inForce reports whether someone who acted at the claimed time, and whose act
// was received when it was, was subject to this version.
func (n *Notice) inForce(received, claimed time.Time) bool {
	return !n.Published.After(received) && !n.Effective.After(claimed)
}

// NoticeDraft is a notice as a client sends it.
type NoticeDraft struct {
	Identifier  string
	Texts       map[string]string // by language; under "" a text without a language
	Effective   *time.Time        // nil for the time of publication
	DocumentIDs []string
}

// Publication is what is remembered of a call that published notices.
type Publication struct {
	Request   [32]byte  // digest of the request, to tell a retry from another request
	Published time.Time // of every notice of the call
	Versions  []int     // in the order of the call
}

// ErrNoticeRace says that another publication of one of the identifiers was
// faster, and that nothing has been published.
var ErrNoticeRace = errors.New("consent: another publication was faster")

// Notices keeps the versions of notices. Every read is consistent.
type Notices interface {
	// Publish puts all notices of a call and the memory of the call, or nothing.
	// When the key is remembered already, nothing changes and that memory comes
	// back (prior != nil). When one of the versions exists, or another writer is
	// at it, the error is ErrNoticeRace. A lost reply is retried inside.
	Publish(ctx context.Context, key string, p Publication, notices []Notice) (prior *Publication, err error)
	// Version reads one version; nil when there is none.
	Version(ctx context.Context, site, identifier string, version int) (*Notice, error)
	// Versions reads up to limit versions of an identifier, highest first,
	// lower than before unless that is 0.
	Versions(ctx context.Context, site, identifier string, before, limit int) ([]Notice, error)
}

// NoticeRange bounds a list of notices by the time that they show. From and To
// are included; the list goes on after the notice After. The zero value has no
// bounds.
type NoticeRange struct {
	From, To time.Time
	After    *Notice
}

// NoticeTexts keeps the texts of notices. Putting what exists is not an error.
type NoticeTexts interface {
	PutNotice(ctx context.Context, site, digest string, body []byte) error
}

// References notes that a document is used. One that does not exist is no error.
type References interface {
	MarkReferenced(ctx context.Context, site, id string) error
}

// Publisher publishes notices. It is safe for concurrent use.
type Publisher struct {
	Notices   Notices
	Texts     NoticeTexts
	Documents References
	Hasher    *pseudonym.Hasher
	Now       Clock
	NewID     func(time.Time) string // a UUIDv7 of the given time
}

// Publish gives each draft the next version of its identifier, all of them or
// none. The same call with the same idempotency key gets the same answer;
// another one with that key is a Conflict and publishes nothing. Without a key
// the server makes one.
//
// The texts are stored first, then the versions in one transaction, which is
// tried again, until the context ends, when another publication was faster.
func (p *Publisher) Publish(ctx context.Context, policy Policy, key string, drafts []NoticeDraft) ([]Notice, error) {
	if len(drafts) == 0 || len(drafts) > MaxNotices {
		return nil, errs.New(errs.Invalid, "one call publishes 1 to %d notices", MaxNotices)
	}
	_, key, err := keyTime(policy, key, p.Now().UTC().Truncate(time.Millisecond), p.NewID)
	if err != nil {
		return nil, err
	}
	notices, err := p.keepTexts(ctx, policy.Site, drafts)
	if err != nil {
		return nil, err
	}
	row := p.Hasher.Key("notice", policy.Site, key)
	publication := Publication{Request: digestDrafts(drafts)}
	for try := 0; ; try++ {
		if err := p.number(ctx, &publication, notices); err != nil {
			return nil, err
		}
		fill(notices, publication, drafts)
		prior, err := p.Notices.Publish(ctx, row, publication, notices)
		switch {
		case errors.Is(err, ErrNoticeRace):
			if err := pause(ctx, try); err != nil {
				return nil, errs.Wrap(errs.Unavailable, err, "publishing notices: others were faster until the time was over")
			}
			continue
		case err != nil:
			return nil, err
		case prior != nil && prior.Request != publication.Request:
			return nil, errs.New(errs.Conflict, "another request was made with this idempotency key")
		case prior != nil:
			fill(notices, *prior, drafts)
		}
		return notices, p.reference(ctx, notices)
	}
}

// keepTexts stores each text once and returns the notices, still without a
// version.
func (p *Publisher) keepTexts(ctx context.Context, site string, drafts []NoticeDraft) ([]Notice, error) {
	notices := make([]Notice, len(drafts))
	texts := map[string]string{} // by digest
	for i, d := range drafts {
		notices[i] = Notice{Site: site, Identifier: d.Identifier, Texts: make(map[string]string, len(d.Texts)), DocumentIDs: d.DocumentIDs}
		for language, text := range d.Texts {
			digest := hexDigest(text)
			notices[i].Texts[language] = digest
			notices[i].Bytes += len(text)
			texts[digest] = text
		}
	}
	digests := slices.Collect(maps.Keys(texts))
	return notices, each(ctx, len(digests), func(ctx context.Context, i int) error {
		return p.Texts.PutNotice(ctx, site, digests[i], []byte(texts[digests[i]]))
	})
}

// number reads the latest version of each identifier and counts on from there.
// The time of publication is rounded up, so that a consent that was received
// before it cannot share its millisecond.
func (p *Publisher) number(ctx context.Context, publication *Publication, notices []Notice) error {
	last := map[string]int{}
	for _, n := range notices {
		last[n.Identifier] = 0
	}
	identifiers := slices.Collect(maps.Keys(last))
	latest := make([][]Notice, len(identifiers))
	err := each(ctx, len(identifiers), func(ctx context.Context, i int) (err error) {
		latest[i], err = p.Notices.Versions(ctx, notices[0].Site, identifiers[i], 0, 1)
		return err
	})
	if err != nil {
		return err
	}
	publication.Published = p.Now().UTC().Add(time.Millisecond - 1).Truncate(time.Millisecond)
	for i, found := range latest {
		if len(found) == 0 {
			continue
		}
		last[identifiers[i]] = found[0].Version
		if found[0].Published.After(publication.Published) {
			publication.Published = found[0].Published
		}
	}
	publication.Versions = make([]int, len(notices))
	for i, n := range notices {
		last[n.Identifier]++
		publication.Versions[i] = last[n.Identifier]
	}
	return nil
}

// fill writes into the notices what was decided when they were published.
func fill(notices []Notice, p Publication, drafts []NoticeDraft) {
	for i := range notices {
		n := &notices[i]
		n.Version, n.Published, n.Effective = p.Versions[i], p.Published, p.Published
		if drafts[i].Effective != nil {
			n.Effective = drafts[i].Effective.UTC().Truncate(time.Millisecond)
		}
	}
}

// reference marks the documents of the notices. It comes after the publication
// and before the answer; a retry does it again.
func (p *Publisher) reference(ctx context.Context, notices []Notice) error {
	var ids []string
	for _, n := range notices {
		ids = append(ids, n.DocumentIDs...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	return each(ctx, len(ids), func(ctx context.Context, i int) error {
		return p.Documents.MarkReferenced(ctx, notices[0].Site, ids[i])
	})
}

// pause waits a random time before the next try, longer on average with each.
func pause(ctx context.Context, try int) error {
	timer := time.NewTimer(rand.N(10 * time.Millisecond << min(try, 5)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func digestDrafts(drafts []NoticeDraft) [32]byte {
	d := newDigest("avow/notices/v1")
	d.count(len(drafts))
	for _, draft := range drafts {
		d.text(draft.Identifier)
		d.count(len(draft.Texts))
		for _, language := range slices.Sorted(maps.Keys(draft.Texts)) {
			d.text(language, draft.Texts[language])
		}
		d.time(draft.Effective)
		d.count(len(draft.DocumentIDs))
		d.text(draft.DocumentIDs...)
	}
	return d.sum()
}

// Resolver tells which version of a notice an event was subject to.
type Resolver struct{ Notices Notices }

// InForce resolves what an event says of a notice; 0 means that it cannot be.
// An explicit version counts if it was published when the event was received.
// Otherwise it is the highest version that was published then and had taken
// effect at the claimed time. What is published later never changes the answer;
// a publication that is under way may, until it is acknowledged.
func (r Resolver) InForce(ctx context.Context, site string, ref NoticeRef, received, claimed time.Time) (int, error) {
	if ref.Version != "" {
		version, ok := ref.Number()
		if !ok {
			return 0, nil
		}
		n, err := r.Notices.Version(ctx, site, ref.Identifier, version)
		if err != nil || n == nil || n.Published.After(received) {
			return 0, err
		}
		return version, nil
	}
	// Nearly always it is among the latest few.
	for before, limit := 0, 10; ; limit = min(1000, limit*10) {
		page, err := r.Notices.Versions(ctx, site, ref.Identifier, before, limit)
		if err != nil {
			return 0, err
		}
		for i := range page {
			if page[i].inForce(received, claimed) {
				return page[i].Version, nil
			}
		}
		if len(page) < limit {
			return 0, nil
		}
		before = page[len(page)-1].Version
	}
}

// NoticeTimes are the times by which an event's notices are resolved: when it was
// received and when its grants take effect. A confirmation is about the notices
// of the consent that it confirms.
func (e *Event) NoticeTimes() (received, claimed time.Time) {
	if e.Confirms != nil {
		return e.Confirms.Received, e.Confirms.At
	}
	return e.Received, e.Effective(true)
}

// InForceAll resolves all notices that an event names, in their order.
func (r Resolver) InForceAll(ctx context.Context, site string, refs []NoticeRef, received, claimed time.Time) ([]int, error) {
	distinct := slices.Clone(refs)
	slices.SortFunc(distinct, compareRefs)
	distinct = slices.Compact(distinct)
	found := make([]int, len(distinct))
	err := each(ctx, len(distinct), func(ctx context.Context, i int) (err error) {
		found[i], err = r.InForce(ctx, site, distinct[i], received, claimed)
		return err
	})
	if err != nil {
		return nil, err
	}
	versions := make([]int, len(refs))
	for i, ref := range refs {
		at, _ := slices.BinarySearchFunc(distinct, ref, compareRefs)
		versions[i] = found[at]
	}
	return versions, nil
}

func compareRefs(a, b NoticeRef) int {
	return cmp.Or(strings.Compare(a.Identifier, b.Identifier), strings.Compare(a.Version, b.Version))
}

// each calls f for 0 to n-1, several at a time, and returns the first error,
// which ends the context of the others.
func each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	const parallel = 8
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg     sync.WaitGroup
		once   sync.Once
		first  error
		places = make(chan struct{}, parallel)
	)
	for i := range n {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := f(ctx, i); err != nil {
				once.Do(func() { first = err; cancel() })
			}
		})
	}
	wg.Wait()
	return first
}
