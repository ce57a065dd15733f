package conformance

import (
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
)

// Clock is the time of a vendor's fake, on which a connector waits.
type Clock interface {
	Now() time.Time
	Advance(time.Duration)
}

// A Driver takes operations to their end, as the engine does.
type Driver struct {
	Connector connector.Connector
	Clock     Clock
	Steps     int           // within which an operation has to end
	Pause     time.Duration // between two steps when the connector names none
	Handle    int           // the most bytes that a handle may have: it is read and written with each step; 0 is any number
	// Again tells a failure after which the engine goes on, and when; nil: every
	// failure ends the operation.
	Again func(error) (after time.Duration, again bool)
}

// Drive takes an operation from its start, or from the handle that the call has,
// to its end or to a question, and adds up what the connector says on the way.
func (d Driver) Drive(t testing.TB, call connector.Call) (connector.Progress, error) {
	t.Helper()
	sum := connector.Progress{Counts: map[string]int{}}
	do := d.Connector.Start
	if call.Handle != "" {
		do = d.Connector.Poll
	}
	for range d.Steps {
		call.Now = d.Clock.Now()
		p, err := do(t.Context(), call)
		if err != nil {
			after, again := d.again(err)
			if !again {
				return sum, err
			}
			d.Clock.Advance(after)
			continue
		}
		for kind, n := range p.Counts {
			sum.Counts[kind] += n
		}
		sum.Evidence, sum.Kept = append(sum.Evidence, p.Evidence...), append(sum.Kept, p.Kept...)
		if sum.Done, sum.Ask, sum.Handle = p.Done, p.Ask, p.Handle; p.Done || p.Ask != nil {
			return sum, nil
		}
		if d.Handle > 0 && len(p.Handle) > d.Handle {
			t.Fatalf("%s: a handle of %d bytes", call.Operation, len(p.Handle))
		}
		if call.Handle, do = p.Handle, d.Connector.Poll; p.After == 0 {
			p.After = d.Pause
		}
		d.Clock.Advance(p.After)
	}
	t.Fatalf("%s never ends", call.Operation)
	return sum, nil
}

func (d Driver) again(err error) (time.Duration, bool) {
	if d.Again == nil {
		return 0, false
	}
	return d.Again(err)
}
