package project

import (
	"context"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/outbox"
)

// Outbox takes note of what has to be told outside.
type Outbox interface {
	// Add notes what is told once. What is noted already stays as it is.
	Add(ctx context.Context, e outbox.Entry) error
	// Renew notes that there is something new to tell.
	Renew(ctx context.Context, e outbox.Entry) error
}

// tell notes that the answers of a person have changed. It comes before the
// views are saved: after a crash between the two the same change is seen again,
// and what is noted twice is told twice at the most.
func (p *projector) tell(ctx context.Context, j job, known *stored, next map[string]*consent.SubjectView, ledger *snapshot) error {
	if p.outbox == nil {
		return nil
	}
	for _, partition := range slices.Compact(slices.Sorted(slices.Values(j.changed))) {
		after := next[partition]
		if after == nil || same(known.read[partition], after) {
			continue
		}
		since := received(ledger.events(partition))
		err := p.outbox.Renew(ctx, outbox.Entry{
			Ref: outbox.Ref{Subject: partition, Kind: outbox.Change}, Site: after.Site, Since: since, Next: since,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// ask notes that a person has to be asked to confirm a new consent.
func (p *projector) ask(ctx context.Context, c change) error {
	if p.outbox == nil || !c.waits {
		return nil
	}
	return p.outbox.Add(ctx, outbox.Entry{
		Ref: outbox.Ref{Subject: c.subject, Kind: outbox.Confirm, ID: c.id}, Site: c.site, Since: c.received, Next: c.received,
	})
}

// same reports whether two views answer alike, whatever the events behind it.
func same(before, after *consent.SubjectView) bool {
	if before == nil {
		return len(after.Answers) == 0
	}
	return before.TooMany == after.TooMany && slices.EqualFunc(before.Answers, after.Answers, func(a, b consent.Answer) bool {
		return a.Preference == b.Preference && a.Granted == b.Granted && a.Reason == b.Reason
	})
}

// received is when the latest of the events came.
func received(list []consent.Event) (latest time.Time) {
	for i := range list {
		if at := list[i].Received; at.After(latest) {
			latest = at
		}
	}
	return latest
}
