// Package conformance holds connectors to their contract: whatever call of a
// vendor fails, before or after it was applied, and wherever the function dies,
// the end is the same and nothing harmful was done twice. A connector gets all
// of it by describing its World; see internal/connector/refdesk for one.
package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
)

// World is a vendor with a person in it, fresh for each schedule.
type World struct {
	// Vendor carries calls to the fake.
	Vendor http.RoundTripper
	// Connect makes a connector as a fresh instance of a function has it. It must
	// not really sleep.
	Connect func(http.RoundTripper) (connector.Connector, error)
	Subject connector.Subject  // as the request knows the person before locate
	Changes []connector.Change // to rectify
	Now     func() time.Time
	Advance func(time.Duration)
	// State is what the vendor holds, without what differs from one run to the
	// next although nothing is wrong, such as times.
	State func() any
	// Harm are the calls applied so far that must not be applied twice: creating,
	// sending, redacting by position.
	Harm func() []string
}

// most is how many steps an operation may take.
const most = 500

// A run is what one schedule has led to.
type run struct {
	State  any
	Harm   []string
	Counts map[string]int
	Kept   []connector.Kept
	Parts  []Part
	Left   map[string]int // after an erasure
	Again  connector.Findings
	calls  int
}

// Run tries every operation that the connector carries out by itself, and
// Locate, under every single fault, and prints how many schedules that were. In
// short mode every seventh schedule is tried.
func Run(t *testing.T, fresh func(testing.TB) *World) {
	t.Helper()
	w := fresh(t)
	c, err := w.Connect(w.Vendor)
	if err != nil {
		t.Fatal(err)
	}
	operations := append([]connector.Operation{Locate}, c.Inventory().Does...)
	total := 0
	for _, op := range operations {
		t.Run(string(op), func(t *testing.T) {
			findings, n := Check(t, fresh, op)
			for _, f := range findings {
				t.Error(f)
			}
			t.Logf("%d schedules", n)
			total += n
		})
	}
	t.Logf("%d schedules in all", total)
}

// Locate stands for Connector.Locate among the operations.
const Locate connector.Operation = "locate"

// enough findings tell what is wrong.
const enough = 10

// Check tries one operation under every single fault, and returns what it found
// and how many schedules it tried. It stops when it has found enough.
func Check(t testing.TB, fresh func(testing.TB) *World, op connector.Operation) (findings []string, schedules int) {
	t.Helper()
	find := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }
	want, err := (&driver{World: fresh(t), faults: &faults{}, op: op}).drive()
	if err != nil {
		find("without any fault: %v", err)
		return findings, 1
	}
	if len(want.Left) > 0 {
		find("after an erasure without any fault there are %v", want.Left)
	}
	n := 0
	for at := 1; at <= want.calls && len(findings) < enough; at++ {
		for _, f := range allFaults {
			if n++; testing.Short() && n%7 != 0 {
				continue
			}
			schedules++
			got, err := (&driver{World: fresh(t), faults: &faults{at: at, what: f}, op: op}).drive()
			if err != nil {
				find("call %d %s: %v", at, f, err)
				continue
			}
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(run{}), cmp.FilterPath(isCalls, cmp.Ignore())); diff != "" {
				find("call %d %s leads elsewhere:\n%s", at, f, diff)
			}
		}
	}
	return findings, schedules
}

func isCalls(p cmp.Path) bool { return p.Last().String() == ".calls" }

// A driver does what the engine does: it calls until the operation is over, and
// again when a call has failed or its function has died.
type driver struct {
	*World
	faults    *faults
	op        connector.Operation
	connector connector.Connector
	sink      *Sink
}

func (d *driver) drive() (run, error) {
	subject, err := d.locate()
	if err != nil {
		return run{}, fmt.Errorf("locating: %w", err)
	}
	d.faults.next = d.Vendor
	d.sink = &Sink{}
	if err := d.restart(); err != nil {
		return run{}, err
	}
	r := run{Counts: map[string]int{}}
	if d.op == Locate {
		if r.Again, err = d.find(d.Subject); err != nil {
			return run{}, err
		}
	} else if err := d.operate(subject, &r); err != nil {
		return run{}, err
	}
	r.calls, r.State, r.Parts = d.faults.calls, d.State(), d.sink.Parts
	r.Harm = slices.Sorted(slices.Values(d.Harm()))
	if d.op == connector.Erase {
		r.Left, err = d.verify(subject)
	}
	return r, err
}

// restart is a fresh instance of the function.
func (d *driver) restart() (err error) {
	d.faults.revive()
	d.connector, err = d.Connect(d.faults)
	return err
}

// locate finds what is to be known of the person, without any fault.
func (d *driver) locate() (connector.Subject, error) {
	c, err := d.Connect(d.Vendor)
	if err != nil {
		return connector.Subject{}, err
	}
	subject := d.Subject
	for range most {
		f, err := c.Locate(ctx, subject)
		if err != nil {
			return subject, err
		}
		subject.Handle = f.Handle
		known := len(subject.Identifiers)
		for _, i := range f.Identifiers {
			if i.Followed() && !slices.Contains(subject.Identifiers, i) {
				subject.Identifiers = append(slices.Clone(subject.Identifiers), i)
			}
		}
		if len(subject.Identifiers) == known && f.More == 0 {
			subject.Handle = ""
			return subject, nil
		}
		d.Advance(max(f.More, time.Second))
	}
	return subject, fmt.Errorf("no fixpoint")
}

// find is Locate until there is no more to find.
func (d *driver) find(s connector.Subject) (all connector.Findings, err error) {
	for range most {
		f, err := d.connector.Locate(ctx, s)
		if err == nil && d.faults.dead { // nobody has heard of it
			err = errDied
		}
		if err != nil {
			if err := d.failed(err); err != nil {
				return f, err
			}
			continue
		}
		f.Identifiers, f.Candidates = append(all.Identifiers, f.Identifiers...), append(all.Candidates, f.Candidates...)
		if all, s.Handle = f, f.Handle; f.More == 0 {
			all.Handle = ""
			return all, nil
		}
		d.wait(f.More)
	}
	return connector.Findings{}, fmt.Errorf("it never ends")
}

// operate takes the operation to its end.
func (d *driver) operate(s connector.Subject, r *run) error {
	handle, polling, again := "", false, false
	for range most {
		call := connector.Call{
			Request: "0199", Key: "0199.system." + string(d.op), Operation: d.op, Subject: s, Handle: handle,
			Again: again && !polling, Changes: d.Changes, About: connector.Erase, Now: d.Now(),
		}
		if d.op == connector.Export {
			call.Out = d.sink.begin()
		}
		do := d.connector.Start
		if polling {
			do = d.connector.Poll
		}
		p, err := do(ctx, call)
		if err == nil && d.faults.dead { // nobody has heard of it
			err = errDied
		}
		if err != nil {
			again = true
			if err := d.failed(err); err != nil {
				return err
			}
			continue
		}
		d.sink.commit()
		for kind, n := range p.Counts {
			r.Counts[kind] += n
		}
		r.Kept = append(r.Kept, p.Kept...)
		if p.Done || p.Ask != nil {
			return nil
		}
		handle, polling, again = p.Handle, true, false
		d.wait(p.After)
	}
	return fmt.Errorf("it never ends")
}

// verify looks until the vendor can tell.
func (d *driver) verify(s connector.Subject) (map[string]int, error) {
	for range most {
		res, err := d.connector.Verify(ctx, connector.Call{Operation: connector.Erase, Subject: s, Now: d.Now()})
		switch {
		case err != nil:
			if err := d.failed(err); err != nil {
				return nil, err
			}
		case res.Wait > 0:
			d.wait(res.Wait)
		default:
			left := map[string]int{}
			for kind, n := range res.Counts {
				if n > 0 {
					left[kind] = n
				}
			}
			return left, nil
		}
	}
	return nil, fmt.Errorf("it can never tell")
}

// failed is what becomes of a call that did not succeed: nil, and it is made
// again; by a fresh instance if this one has died.
func (d *driver) failed(err error) error {
	if d.faults.dead {
		return d.restart()
	}
	if !errs.Is(err, errs.Unavailable) {
		return fmt.Errorf("a failure that passes is taken for one that does not: %w", err)
	}
	after, _ := connector.RetryAfter(err)
	d.wait(after)
	return nil
}

// wait lets time pass, an hour where the connector does not say how long.
func (d *driver) wait(after time.Duration) {
	if after == 0 {
		after = time.Hour
	}
	d.Advance(after)
}
