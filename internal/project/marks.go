package project

import (
	"context"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/cache"
	"github.com/avow-consent/avow/internal/consent"
)

// Forms knows which forms have been shown.
type Forms interface {
	// MarkStored records that an event names the object of a form. Repeating it
	// changes nothing.
	MarkStored(ctx context.Context, site, digest, nonce string) error
}

// Months knows which months of a site hold consents.
type Months interface {
	// AddMonth records a month ("2026-02"). Repeating it changes nothing.
	AddMonth(ctx context.Context, site, month string) error
}

// Documents knows which documents are referenced.
type Documents interface {
	// Refer records that an event of a subject names a document. A document that
	// does not exist is no error. Repeating it changes nothing.
	Refer(ctx context.Context, site, id, subject string) error
}

// marks records, beside the views, what the ledger says about forms, documents
// and months. Each fact is recorded once and remembered by this instance.
type marks struct {
	forms     Forms
	months    Months
	documents Documents
	done      *cache.Cache[string, struct{}]
}

func newMarks(forms Forms, months Months, documents Documents, now func() time.Time) *marks {
	const facts = 8192 // about 1 MB
	return &marks{forms, months, documents, cache.New[string, struct{}](facts, time.Hour, now)}
}

// month records the month that a consent is listed in.
func (m *marks) month(ctx context.Context, site, id string) error {
	month := consent.IDTime(id).Format("2006-01")
	return m.once("month#"+site+"#"+month, func() error { return m.months.AddMonth(ctx, site, month) })
}

// event records the forms and documents that an event names.
func (m *marks) event(ctx context.Context, e *consent.Event) error {
	for _, proof := range e.Proofs {
		if proof.FormDigest == "" {
			continue
		}
		err := m.once("form#"+e.Site+"#"+proof.FormDigest+"#"+proof.FormNonce, func() error {
			return m.forms.MarkStored(ctx, e.Site, proof.FormDigest, proof.FormNonce)
		})
		if err != nil {
			return err
		}
	}
	for _, id := range e.DocumentIDs {
		err := m.once("document#"+e.Site+"#"+id+"#"+e.Subject, func() error { return m.documents.Refer(ctx, e.Site, id, e.Subject) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *marks) once(fact string, record func() error) error {
	if _, done := m.done.Get(fact); done {
		return nil
	}
	if err := record(); err != nil {
		return err
	}
	m.done.Put(fact, struct{}{})
	return nil
}

// mark records what the events of a job name. They are taken from the rows that
// were read for the fold; what is not among them is read by itself.
func (p *projector) mark(ctx context.Context, j job, ledger *snapshot) error {
	if j.all {
		for _, partition := range ledger.partitions() {
			for _, e := range ledger.events(partition) {
				if e.ErasedAt != nil || e.Kind != consent.KindConsent {
					continue
				}
				if err := p.marks.month(ctx, e.Site, e.ID); err != nil {
					return err
				}
				if err := p.marks.event(ctx, &e); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, c := range j.added {
		e, err := p.added(ctx, c, ledger)
		if err != nil {
			return err
		}
		if e == nil || e.ErasedAt != nil {
			continue
		}
		if err := p.marks.event(ctx, e); err != nil {
			return err
		}
		if err := p.guard(ctx, e); err != nil {
			return err
		}
	}
	for _, c := range j.said {
		list := ledger.events(c.subject)
		if i := slices.IndexFunc(list, func(e consent.Event) bool { return e.ID == c.statement }); i >= 0 {
			if err := p.guard(ctx, &list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// late is how long after it was said an event arrives that an erasure may have
// covered meanwhile. What comes at once, the erasure itself meets.
const late = time.Minute

// guard notices what comes back after an erasure: by an import, a late webhook,
// a page that was offline. What was said after the erasure is a fresh consent.
func (p *projector) guard(ctx context.Context, e *consent.Event) error {
	if p.erased == nil || e.ErasedAt != nil || e.Received.Sub(e.Said()) < late {
		return nil
	}
	keys := []string{e.Subject}
	if key, ok := consent.EmailKey(p.hasher, e); ok {
		keys = append(keys, key)
	}
	until, err := p.erased.Erased(ctx, keys)
	if err != nil {
		return err
	}
	for _, at := range until {
		if !e.Said().After(at) {
			p.log.WarnContext(ctx, "an event is back that an erasure covers: it is erased again", "event", "erased_again", "subject", e.Subject)
			return p.erased.Revive(ctx, e.Site, e.Subject)
		}
	}
	return nil
}

// added finds an event that a record of the stream names.
func (p *projector) added(ctx context.Context, c change, ledger *snapshot) (*consent.Event, error) {
	list := ledger.events(c.subject)
	if i := slices.IndexFunc(list, func(e consent.Event) bool { return e.ID == c.id }); i >= 0 {
		return &list[i], nil
	}
	return p.ledger.Get(ctx, c.subject, c.id)
}
