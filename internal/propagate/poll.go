package propagate

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/request"
)

const (
	// pollEvery is how often a system is asked which flags were changed there.
	pollEvery = 5 * time.Minute
	// pollers is where the entries stand that do so. It is no subject's partition.
	pollers = "~poll"
)

// poll is the job of what was changed in a system: where a flag says something else
// than the ledger, mark looks at the person's records. What was listed may be old by
// then: a no in the list may be one that the person has taken back meanwhile.
type poll struct {
	mark
	ids   func(context.Context) ([]string, error) // of the sites
	begun *sync.Map                               // names of systems whose entry this instance has noted: it never ends
}

// begin notes that each system with flags is to be asked.
func (p poll) begin(ctx context.Context) error {
	list, err := p.systems.marked(ctx)
	if err != nil {
		return err
	}
	for _, one := range list {
		if _, done := p.begun.Load(one.Name); done {
			continue
		}
		now := p.now()
		if err := p.store.Add(ctx, outbox.Entry{Ref: outbox.Ref{Subject: pollers, Kind: outbox.Poll, ID: one.Name}, Since: now, Next: now}); err != nil {
			return err
		}
		p.begun.Store(one.Name, true)
	}
	return nil
}

// Do implements outbox.Job. It never ends: a system that fails is asked again.
func (p poll) Do(ctx context.Context, e outbox.Entry) (outbox.Outcome, error) {
	system, marker, err := p.systems.find(ctx, e.ID)
	if err != nil {
		return outbox.Outcome{State: outbox.Due, After: pollEvery, Reason: "the configuration is refused"}, nil
	}
	if system == nil || system.DryRun {
		return outbox.Outcome{State: outbox.Due, After: time.Hour, Reason: "the system follows no answers"}, nil
	}
	list, next, more, err := marker.Marks(ctx, slices.Sorted(maps.Keys(system.Marks)), e.Memo)
	if err == nil {
		err = p.all(ctx, e, system, list)
	}
	if err != nil {
		after := pollEvery
		if told, ok := connector.RetryAfter(err); ok {
			after = max(after, told)
		}
		return outbox.Outcome{State: outbox.Due, After: after, Reason: "the system cannot be asked", Refused: outbox.Refusal(err)}, nil
	}
	o := outbox.Outcome{State: outbox.Due, After: pollEvery, Memo: next}
	if more {
		o.After = time.Second
	}
	return o, nil
}

func (p poll) all(ctx context.Context, e outbox.Entry, system *request.System, list []connector.Flagged) error {
	if len(list) == 0 {
		return nil
	}
	sites, err := p.ids(ctx)
	if err != nil {
		return err
	}
	for _, one := range list {
		for _, site := range sites {
			if err := p.one(ctx, e, system, site, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// one compares the flags of a record with the ledger. Whom the ledger does not
// know, it hears nothing about.
func (p poll) one(ctx context.Context, e outbox.Entry, system *request.System, site string, f connector.Flagged) error {
	partition, ok := p.people.EmailPartition(site, f.Email)
	if !ok {
		return nil
	}
	who, err := p.person(ctx, site, partition)
	if errors.Is(err, consent.ErrTooManyEvents) { // the answer is no already
		return nil
	}
	if err != nil || !who.known || len(who.emails) == 0 {
		return err
	}
	answers, _ := who.answers(system, p.now())
	differs := false
	for flag, yes := range f.Yes {
		answer, asked := answers[flag]
		differs = differs || asked && yes != answer
	}
	if !differs {
		return nil
	}
	now := p.now()
	return p.store.Renew(ctx, outbox.Entry{Ref: outbox.Ref{Subject: partition, Kind: outbox.Mark, ID: system.Name}, Site: site, Since: now, Next: now})
}
