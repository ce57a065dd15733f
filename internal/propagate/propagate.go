// Package propagate tells others what follows from the ledger: it asks for
// confirmations, and brings the flags of vendors to what people have answered.
// The outbox feeds it: its stream at once, a schedule with what was left for
// later.
package propagate

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/stream"
)

const (
	page   = 100              // entries that are read from the index at a time
	margin = 30 * time.Second // before the end of the invocation no entry is begun
)

// Report says what a scheduled invocation has done.
type Report struct {
	Told   int `json:"told"`   // entries that were tried
	Failed int `json:"failed"` // those of which the outbox itself could not be read or written
}

// propagator is the component.
type propagator struct {
	worker *outbox.Worker
	store  outbox.Store
	poll   poll
	now    func() time.Time
	log    *slog.Logger
}

// handler takes batches of the outbox's stream, and the schedule.
func (p *propagator) handler() lambda.Handler {
	records := stream.Handler(p.batch)
	return invoker(func(ctx context.Context, payload []byte) ([]byte, error) {
		var e struct {
			Source  string
			Records json.RawMessage
		}
		if err := json.Unmarshal(payload, &e); err != nil {
			return nil, errs.New(errs.Invalid, "propagate takes a batch of a stream, or a scheduled event")
		}
		switch {
		case e.Records != nil:
			return records.Invoke(ctx, payload)
		case e.Source == "aws.events" || e.Source == "aws.scheduler":
			report, err := p.due(ctx)
			if err != nil {
				return nil, err
			}
			return json.Marshal(report)
		}
		return nil, errs.New(errs.Invalid, "propagate takes no events of this source")
	})
}

type invoker func(ctx context.Context, payload []byte) ([]byte, error)

// Invoke implements lambda.Handler.
func (f invoker) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return f(ctx, payload) }

// batch does the entries that are new. A record that says an entry is due later,
// or has ended, is no work.
func (p *propagator) batch(ctx context.Context, records []events.DynamoDBEventRecord) map[int]error {
	failed := map[int]error{}
	for i, r := range records {
		ref, due, err := p.parse(r)
		if err == nil && due {
			err = p.worker.Tell(ctx, ref)
		}
		if err != nil {
			failed[i] = err
		}
	}
	return failed
}

// parse reads a record of the stream.
func (p *propagator) parse(r events.DynamoDBEventRecord) (ref outbox.Ref, due bool, err error) {
	if r.EventName == string(events.DynamoDBOperationTypeRemove) {
		return ref, false, nil
	}
	ref, err = outbox.ParseRef(stream.Text(r.Change.Keys, "subject"), stream.Text(r.Change.Keys, "entry"))
	if err != nil {
		return ref, false, err
	}
	row := r.Change.NewImage
	next, leased := stream.Number(row, "next"), stream.Number(row, "lease")
	return ref, stream.Text(row, "waits") != "" && leased == 0 && next <= p.now().UnixMilli(), nil
}

// due does what is due, the longest waiting first, until nothing is left or the
// invocation nears its end. What is not reached now is reached next time, first.
func (p *propagator) due(ctx context.Context) (Report, error) {
	var report Report
	if err := p.poll.begin(ctx); err != nil { // what is due does not wait for it
		p.log.ErrorContext(ctx, "asking systems for changed flags", "event", "outbox_failed", "err", err)
	}
	seen := map[outbox.Ref]bool{}
	for {
		list, err := p.store.Due(ctx, p.now(), len(seen)+page)
		if err != nil {
			return report, err
		}
		fresh := 0
		for _, r := range list {
			if seen[r] {
				continue
			}
			if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < margin {
				p.log.WarnContext(ctx, "the time of this run is over before its work", "event", "propagate_unfinished", "told", report.Told)
				return report, nil
			}
			seen[r] = true
			fresh++
			report.Told++
			if err := p.worker.Tell(ctx, r); err != nil {
				report.Failed++
				p.log.ErrorContext(ctx, "an entry of the outbox", "event", "outbox_failed", "kind", r.Kind, "subject", r.Subject, "err", err)
			}
		}
		if fresh == 0 {
			return report, nil
		}
	}
}
