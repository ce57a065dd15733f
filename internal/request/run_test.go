package request_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// crm is a system whose answers a test sets.
type crm struct {
	kind     string
	does     []connector.Operation
	needs    []identity.Kind
	yields   []identity.Kind
	after    map[string]string
	findings connector.Findings
	located  func(connector.Subject) (connector.Findings, error)
	start    func(connector.Call) (connector.Progress, error)
	poll     func(connector.Call) (connector.Progress, error)
	verify   func(connector.Call) (connector.Residue, error)

	processor *connector.Processor

	mu    sync.Mutex
	calls []string
	last  connector.Call
}

func (c *crm) note(what string, call connector.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call.Again {
		what += " again"
	}
	c.calls = append(c.calls, what)
	c.last = call
}

func (c *crm) Inventory() connector.Inventory {
	return connector.Inventory{Kind: c.kind, Does: c.does, Processor: c.processor}
}

func (c *crm) Identifiers() (needs, yields []identity.Kind) { return c.needs, c.yields }
func (c *crm) After() map[string]string                     { return c.after }

func (c *crm) Locate(_ context.Context, s connector.Subject) (connector.Findings, error) {
	c.note("locate", connector.Call{})
	if c.located != nil {
		return c.located(s)
	}
	return c.findings, nil
}

func (c *crm) Start(_ context.Context, call connector.Call) (connector.Progress, error) {
	c.note("start", call)
	if c.start == nil {
		return connector.Progress{Done: true}, nil
	}
	return c.start(call)
}

func (c *crm) Poll(_ context.Context, call connector.Call) (connector.Progress, error) {
	c.note("poll", call)
	return c.poll(call)
}

func (c *crm) Verify(_ context.Context, call connector.Call) (connector.Residue, error) {
	c.note("verify", call)
	if c.verify == nil {
		return connector.Residue{}, nil
	}
	return c.verify(call)
}

// parts is where exports of these tests go.
type parts struct {
	mu     sync.Mutex
	closed []int
}

type part struct {
	to    *parts
	chunk int
}

func (p *parts) Sink(_ context.Context, _, _ string, chunk int) (request.Part, error) {
	return part{p, chunk}, nil
}
func (part) Record(string, any) error                              { return nil }
func (part) File(context.Context, string, string, io.Reader) error { return nil }
func (p part) Close(context.Context) error {
	p.to.mu.Lock()
	defer p.to.mu.Unlock()
	p.to.closed = append(p.to.closed, p.chunk)
	return nil
}

// bench is a runner on real tables, with a clock that the test moves.
type bench struct {
	*request.Runner
	store *dynamo.Requests
	parts *parts
	id    string
	now   time.Time
}

func newBench(t *testing.T, r request.Request, systems ...request.System) *bench {
	t.Helper()
	env := awstest.New(t)
	hasher, err := pseudonym.New([]byte("a secret of these tests, 32 bytes long"))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{now: noon, parts: &parts{}}
	now := func() time.Time { return b.now }
	newID := func(at time.Time) string { return hasher.ID(at, rand.Text()) }
	b.store = dynamo.NewRequests(env.Config, env.Getenv("REQUESTS_TABLE"), hasher, now, newID)
	b.Runner = &request.Runner{
		Store: b.store, Systems: systems, Policy: request.Defaults(), Parts: b.parts,
		Controller: request.Controller{TimeZone: "Europe/Paris"},
		Hash: func(site string, i identity.Identifier) (string, bool) {
			normal, ok := i.Normal()
			return hasher.Identifier(site, string(i.Kind), normal), ok
		},
		Now: now, NewID: newID,
	}
	b.id = uuid.NewString()
	r.ID, r.Site, r.Epoch, r.Received = b.id, "shop", 1, noon
	email := identity.Identifier{Kind: identity.Email, Value: "ines@example.test", Trust: identity.Proven}
	key, _ := b.Hash("shop", email)
	err = b.store.Create(t.Context(), &r, request.Entry{At: noon, By: officer, Act: request.Open, To: r.State},
		request.Personal{Changes: []connector.Change{{Field: "name", New: redact.String("Inès")}}},
		[]request.Known{{Identifier: email, Key: key}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) ref(op connector.Operation) request.Ref {
	return request.Ref{Request: b.id, Epoch: 1, System: "crm", Operation: op}
}

func (b *bench) advance(t *testing.T, op connector.Operation) request.Outcome {
	t.Helper()
	out, err := b.Advance(t.Context(), b.ref(op))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (b *bench) step(t *testing.T) request.Step {
	t.Helper()
	steps, err := b.store.Steps(t.Context(), b.id)
	if err != nil || len(steps) != 1 {
		t.Fatalf("steps %+v, %v", steps, err)
	}
	return steps[0]
}

func (b *bench) request(t *testing.T) *request.Request {
	t.Helper()
	r, err := b.store.Get(t.Context(), b.id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func running(kind request.Type) request.Request {
	return request.Request{Type: kind, State: request.Running}
}

func one(c *crm) request.System {
	if c.does == nil {
		c.does = []connector.Operation{connector.Export, connector.Erase, connector.Rectify}
	}
	return request.System{Name: "crm", Connector: c}
}

var errDown = errs.New(errs.Unavailable, "crm: no answer")

func TestAdvance_erase(t *testing.T) {
	t.Parallel()
	left := 2
	c := &crm{
		start: func(connector.Call) (connector.Progress, error) { return connector.Progress{Handle: "job-7"}, nil },
		poll: func(call connector.Call) (connector.Progress, error) {
			return connector.Progress{Done: call.Handle == "job-7", Counts: map[string]int{"tickets": 3}}, nil
		},
		verify: func(connector.Call) (connector.Residue, error) {
			left--
			return connector.Residue{Wait: time.Duration(left) * time.Minute}, nil
		},
	}
	b := newBench(t, running(request.Erasure), one(c))
	if out := b.advance(t, connector.Erase); out.Status != request.Waiting || out.After != time.Minute {
		t.Fatalf("after the start: %+v", out)
	}
	if out := b.advance(t, connector.Erase); out.Status != request.Waiting || out.After != time.Minute {
		t.Fatalf("while the search index lags: %+v", out)
	}
	if out := b.advance(t, connector.Erase); out.Status != request.Ready {
		t.Fatalf("after the look: %+v", out)
	}
	if out := b.advance(t, connector.Erase); out.Status != request.Ready {
		t.Fatalf("once more: %+v", out)
	}
	if want := []string{"start", "poll", "verify", "verify"}; !slices.Equal(c.calls, want) {
		t.Errorf("calls %v, want %v", c.calls, want)
	}
	if s := b.step(t); s.Phase != request.Finished || s.Counts["tickets"] != 3 || s.Ended.IsZero() {
		t.Errorf("the step is %+v", s)
	}
}

// The intent is written before the call: whoever comes after a crash knows that
// the outcome is not known, and does not call before the dead one's lease is over.
func TestAdvance_crash(t *testing.T) {
	t.Parallel()
	crash := true
	c := &crm{start: func(connector.Call) (connector.Progress, error) {
		if crash {
			panic("the function dies")
		}
		return connector.Progress{Done: true}, nil
	}}
	b := newBench(t, running(request.Rectification), one(c))
	func() {
		defer func() { _ = recover() }()
		b.advance(t, connector.Rectify)
	}()
	crash = false
	if s := b.step(t); s.Phase != request.Intended || s.Attempt != 1 {
		t.Fatalf("after the crash the step is %+v", s)
	}
	out := b.advance(t, connector.Rectify)
	if out.Status != request.Waiting || out.After <= 0 || len(c.calls) != 1 {
		t.Fatalf("under the lease: %+v, calls %v", out, c.calls)
	}
	b.now = b.now.Add(out.After)
	if out := b.advance(t, connector.Rectify); out.Status != request.Ready {
		t.Fatalf("after the lease: %+v", out)
	}
	if want := []string{"start", "start again"}; !slices.Equal(c.calls, want) {
		t.Errorf("calls %v, want %v", c.calls, want)
	}
	if len(c.last.Changes) != 1 || c.last.Changes[0].New.Reveal() != "Inès" {
		t.Errorf("the connector is asked to change %d fields", len(c.last.Changes))
	}
}

// Connectors hear what is to change only where that is the request.
func TestAdvance_changes(t *testing.T) {
	t.Parallel()
	for kind, want := range map[request.Type]int{request.Rectification: 1, request.Objection: 1, request.Restriction: 0} {
		c := &crm{does: []connector.Operation{kind.Operation()}}
		b := newBench(t, running(kind), one(c))
		if out := b.advance(t, kind.Operation()); out.Status != request.Ready || len(c.last.Changes) != want {
			t.Errorf("%s: %+v, %d changes", kind, out, len(c.last.Changes))
		}
	}
}

// A week without an answer is no task for anybody; a quarter of a year is.
func TestAdvance_outage(t *testing.T) {
	t.Parallel()
	c := &crm{start: func(connector.Call) (connector.Progress, error) { return connector.Progress{}, errDown }}
	b := newBench(t, running(request.Rectification), one(c))
	asked := time.Duration(0)
	for range 200 {
		out := b.advance(t, connector.Rectify)
		if out.Status == request.NeedsTask {
			break
		}
		if out.Status != request.Waiting || out.After <= 0 || out.After > 24*time.Hour {
			t.Fatalf("after %v: %+v", asked, out)
		}
		b.now, asked = b.now.Add(out.After), asked+out.After
	}
	if asked < 90*24*time.Hour || asked > 92*24*time.Hour {
		t.Errorf("an operator is asked after %v", asked)
	}
	if n := len(c.calls); n > 120 {
		t.Errorf("the system was called %d times in 90 days", n)
	}
	if r := b.request(t); r.State != request.WaitingOperator || r.Open != 1 {
		t.Errorf("the request is %s with %d open tasks", r.State, r.Open)
	}
}

// A vendor's job that never ends is put to an operator, too.
func TestAdvance_endless(t *testing.T) {
	t.Parallel()
	going := func(connector.Call) (connector.Progress, error) { return connector.Progress{Handle: "job"}, nil }
	c := &crm{start: going, poll: going}
	b := newBench(t, running(request.Rectification), one(c))
	for range 200 {
		out := b.advance(t, connector.Rectify)
		if out.Status == request.NeedsTask {
			break
		}
		b.now = b.now.Add(out.After)
	}
	if waited := b.now.Sub(noon); waited < 90*24*time.Hour || waited > 92*24*time.Hour {
		t.Errorf("an operator is asked after %v", waited)
	}
}

func TestAdvance_retryAfter(t *testing.T) {
	t.Parallel()
	c := &crm{start: func(connector.Call) (connector.Progress, error) {
		return connector.Progress{}, connector.Later(3*time.Hour, errDown)
	}}
	b := newBench(t, running(request.Rectification), one(c))
	if out := b.advance(t, connector.Rectify); out.After != 3*time.Hour {
		t.Errorf("%+v, although the system asked for three hours", out)
	}
}

// What does not pass by itself is for an operator; after the retry the connector
// is told that its last call may have been applied.
func TestAdvance_refused(t *testing.T) {
	t.Parallel()
	failure := error(errs.New(errs.Forbidden, "crm: 403"))
	c := &crm{start: func(connector.Call) (connector.Progress, error) {
		return connector.Progress{Done: failure == nil}, failure
	}}
	b := newBench(t, running(request.Rectification), one(c))
	out := b.advance(t, connector.Rectify)
	if out.Status != request.NeedsTask {
		t.Fatalf("%+v", out)
	}
	if again := b.advance(t, connector.Rectify); again != out || len(c.calls) != 1 {
		t.Errorf("asked again: %+v, calls %v", again, c.calls)
	}
	tasks, err := b.store.Tasks(t.Context(), b.id)
	if err != nil || len(tasks) != 1 || tasks[0].Kind != request.TaskFailed || tasks[0].Due.IsZero() {
		t.Fatalf("tasks %+v, %v", tasks, err)
	}
	r, step := b.request(t), b.step(t)
	entry, decision, err := r.Decide(&tasks[0], &step, nil, request.Verdict{Decision: request.Retry, By: officer, At: b.now})
	if err != nil {
		t.Fatal(err)
	}
	err = b.store.Write(t.Context(), request.Change{Request: r, Entries: []request.Entry{entry}, Tasks: tasks, Steps: []request.Step{step}, Decision: &decision})
	if err != nil {
		t.Fatal(err)
	}
	failure = nil
	if out := b.advance(t, connector.Rectify); out.Status != request.Ready || c.calls[1] != "start again" {
		t.Errorf("after the retry: %+v, calls %v", out, c.calls)
	}
}

// A retry goes on with what is under way where only the way there was barred, and
// begins again where that does not help. Each part of an export is there once.
func TestAdvance_resumes(t *testing.T) {
	t.Parallel()
	var failure error
	polls := 0
	c := &crm{
		start: func(connector.Call) (connector.Progress, error) { return connector.Progress{Handle: "page 1"}, failure },
		poll: func(connector.Call) (connector.Progress, error) {
			if failure != nil {
				return connector.Progress{}, failure
			}
			polls++
			return connector.Progress{Handle: "page 2", Counts: map[string]int{"tickets": 1}, Done: polls >= 4}, nil
		},
	}
	b := newBench(t, running(request.Access), one(c))
	step := func(want request.Status) {
		t.Helper()
		if out := b.advance(t, connector.Export); out.Status != want {
			t.Fatalf("%+v, want %s; calls %v", out, want, c.calls)
		}
	}
	step(request.Waiting)
	step(request.Waiting)
	failure = errs.New(errs.Forbidden, "crm: 401")
	step(request.NeedsTask)
	failure = nil
	b.retry(t)
	step(request.Waiting)
	if got := b.step(t); c.calls[len(c.calls)-1] != "poll" || got.Chunk != 3 || got.Counts["tickets"] != 2 {
		t.Errorf("after the retry: calls %v, %d parts, %v", c.calls, got.Chunk, got.Counts)
	}

	failure = errs.New(errs.Forbidden, "crm: 403")
	step(request.NeedsTask)
	b.retry(t)
	step(request.NeedsTask) // going on does not help
	failure = nil
	b.retry(t)
	step(request.Waiting)
	if got := b.step(t); c.calls[len(c.calls)-1] != "start again" || got.Chunk != 1 || len(got.Counts) != 0 {
		t.Errorf("after the second retry: calls %v, %d parts, %v", c.calls, got.Chunk, got.Counts)
	}

	failure = errs.New(errs.NotFound, "crm: 404") // what was under way is gone
	step(request.NeedsTask)
	failure = nil
	b.retry(t)
	step(request.Waiting)
	if c.calls[len(c.calls)-1] != "start again" {
		t.Errorf("after it was gone: calls %v", c.calls)
	}
}

// Who waits for a purge goes on waiting after a retry: its evidence is to come.
func TestAdvance_resumesTheLook(t *testing.T) {
	t.Parallel()
	barred := false
	c := &crm{verify: func(connector.Call) (connector.Residue, error) {
		if barred {
			return connector.Residue{}, errs.New(errs.Forbidden, "crm: 401")
		}
		return connector.Residue{Wait: time.Hour}, nil
	}}
	b := newBench(t, running(request.Erasure), one(c))
	b.advance(t, connector.Erase)
	b.now, barred = b.now.Add(time.Hour), true
	if out := b.advance(t, connector.Erase); out.Status != request.NeedsTask {
		t.Fatalf("%+v", out)
	}
	barred = false
	b.retry(t)
	if out := b.advance(t, connector.Erase); out.Status != request.Waiting || !slices.Equal(c.calls[len(c.calls)-2:], []string{"verify", "verify"}) {
		t.Errorf("%+v, calls %v", out, c.calls)
	}
}

func TestAdvance_residue(t *testing.T) {
	t.Parallel()
	c := &crm{verify: func(connector.Call) (connector.Residue, error) {
		return connector.Residue{Counts: map[string]int{"tickets": 1}}, nil
	}}
	b := newBench(t, running(request.Erasure), one(c))
	if out := b.advance(t, connector.Erase); out.Status != request.NeedsTask {
		t.Fatalf("%+v", out)
	}
	tasks, err := b.store.Tasks(t.Context(), b.id)
	if err != nil || len(tasks) != 1 || tasks[0].Kind != request.TaskResidue || !slices.Contains(tasks[0].Choices, request.Waive) {
		t.Errorf("tasks %+v, %v", tasks, err)
	}
}

// What came after the search is searched for, and erased with the rest: a retry
// finds a record that nobody had an id of, and what was found before still counts.
func TestAdvance_residueIsNew(t *testing.T) {
	t.Parallel()
	records := []string{"u1"}
	c := &crm{needs: []identity.Kind{identity.Email}}
	c.located = func(connector.Subject) (connector.Findings, error) {
		var ids []identity.Identifier
		for _, id := range records {
			ids = append(ids, vendorID("crm.user_id", id))
		}
		return found("contacts", len(records), ids...), nil
	}
	c.start = func(call connector.Call) (connector.Progress, error) {
		records = slices.DeleteFunc(records, func(id string) bool {
			return slices.ContainsFunc(call.Subject.Of("crm.user_id"), func(i identity.Identifier) bool { return i.Value.Reveal() == id })
		})
		return connector.Progress{Done: true}, nil
	}
	c.verify = func(connector.Call) (connector.Residue, error) {
		return connector.Residue{Counts: map[string]int{"contacts": len(records)}}, nil
	}
	b := newBench(t, locating(request.Erasure), one(c))
	b.locate(t)
	r := b.request(t)
	r.State = request.Running
	if err := b.store.Write(t.Context(), request.Change{Request: r}); err != nil {
		t.Fatal(err)
	}
	records = append(records, "u2")
	if out := b.advance(t, connector.Erase); out.Status != request.NeedsTask || !slices.Equal(records, []string{"u2"}) {
		t.Fatalf("%+v, left %v", out, records)
	}
	b.retry(t)
	if out := b.advance(t, connector.Erase); out.Status != request.Ready || len(records) > 0 {
		t.Errorf("after the retry: %+v, left %v", out, records)
	}
	seen, err := b.store.Found(t.Context(), b.id)
	if err != nil || len(seen) != 1 || seen[0].Counts["contacts"] != 2 {
		t.Errorf("found %+v, %v", seen, err)
	}
}

// A connector is told for how long its call has failed, in real days, and from
// the beginning once it has succeeded.
func TestAdvance_failing(t *testing.T) {
	t.Parallel()
	fails := true
	c := &crm{start: func(connector.Call) (connector.Progress, error) {
		if fails {
			return connector.Progress{}, errDown
		}
		return connector.Progress{Handle: "h", After: time.Minute}, nil
	}}
	c.poll = c.start
	b := newBench(t, running(request.Rectification), one(c))
	b.advance(t, connector.Rectify)
	if c.last.Failing != 0 {
		t.Errorf("it fails for %v at first", c.last.Failing)
	}
	b.now = b.now.Add(30 * time.Hour)
	fails = false
	b.advance(t, connector.Rectify)
	if c.last.Failing != 30*time.Hour {
		t.Errorf("it fails for %v", c.last.Failing)
	}
	b.now = b.now.Add(time.Hour)
	b.advance(t, connector.Rectify)
	if c.last.Failing != 0 {
		t.Errorf("after a success it fails for %v", c.last.Failing)
	}
}

func TestAdvance_manual(t *testing.T) {
	t.Parallel()
	c := &crm{does: []connector.Operation{connector.Export}}
	b := newBench(t, running(request.Erasure), one(c))
	if out := b.advance(t, connector.Erase); out.Status != request.NeedsTask || len(c.calls) != 0 {
		t.Errorf("what the connector cannot do is %+v, calls %v", out, c.calls)
	}
}

// What a person does by hand is done or skipped; what only stands in the way of
// an operation can be retried, too.
func TestAdvance_asks(t *testing.T) {
	t.Parallel()
	for retry, want := range map[bool]request.TaskKind{false: request.TaskManual, true: request.TaskFailed} {
		c := &crm{start: func(connector.Call) (connector.Progress, error) {
			return connector.Progress{Ask: &connector.Ask{Reason: "blocked", Instructions: "unblock it", Retry: retry}}, nil
		}}
		b := newBench(t, running(request.Erasure), one(c))
		if out := b.advance(t, connector.Erase); out.Status != request.NeedsTask {
			t.Errorf("%+v", out)
		}
		tasks, err := b.store.Tasks(t.Context(), b.id)
		if err != nil || len(tasks) != 1 || tasks[0].Kind != want || slices.Contains(tasks[0].Choices, request.Retry) != retry || tasks[0].Instructions != "unblock it" {
			t.Errorf("tasks %+v, %v", tasks, err)
		}
	}
}

func TestAdvance_stale(t *testing.T) {
	t.Parallel()
	c := &crm{}
	b := newBench(t, running(request.Erasure), one(c))
	for name, ref := range map[string]request.Ref{
		"an old run":   {Request: b.id, Epoch: 0, System: "crm", Operation: connector.Erase},
		"a future run": {Request: b.id, Epoch: 2, System: "crm", Operation: connector.Erase},
	} {
		if out, err := b.Advance(t.Context(), ref); err != nil || out.Status != request.Stale {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	ended := newBench(t, request.Request{Type: request.Erasure, State: request.Refused}, one(c))
	if out := ended.advance(t, connector.Erase); out.Status != request.Stale {
		t.Errorf("a refused request: %+v", out)
	}
	if len(c.calls) != 0 {
		t.Errorf("calls %v", c.calls)
	}
}

// A function that wakes up after another run has taken over writes nothing.
func TestAdvance_late(t *testing.T) {
	t.Parallel()
	var b *bench
	c := &crm{start: func(connector.Call) (connector.Progress, error) {
		r := b.request(t)
		r.Epoch++
		if err := b.store.Write(t.Context(), request.Change{Request: r}); err != nil {
			t.Error(err)
		}
		return connector.Progress{Done: true}, nil
	}}
	b = newBench(t, running(request.Rectification), one(c))
	b.advance(t, connector.Rectify)
	if s := b.step(t); s.Phase != request.Intended || s.Epoch != 1 {
		t.Errorf("the old run has written %+v", s)
	}
	if out := b.advance(t, connector.Rectify); out.Status != request.Stale {
		t.Errorf("it goes on: %+v", out)
	}
}

// What could not be asked what it holds is asked again before the operation, and
// put to an operator as long as it cannot answer.
// retry is an operator's decision about the one open task of the one step.
func (b *bench) retry(t *testing.T) {
	t.Helper()
	tasks, err := b.store.Tasks(t.Context(), b.id)
	tasks = slices.DeleteFunc(tasks, func(t request.Task) bool { return !t.Decided.IsZero() })
	if err != nil || len(tasks) != 1 {
		t.Fatalf("tasks %+v, %v", tasks, err)
	}
	now, step := b.request(t), b.step(t)
	entry, decision, err := now.Decide(&tasks[0], &step, nil, request.Verdict{Decision: request.Retry, By: officer, At: b.now})
	if err != nil {
		t.Fatal(err)
	}
	err = b.store.Write(t.Context(), request.Change{Request: now, Entries: []request.Entry{entry}, Tasks: tasks, Steps: []request.Step{step}, Decision: &decision})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAdvance_neverFound(t *testing.T) {
	t.Parallel()
	down := true
	c := &crm{needs: []identity.Kind{identity.Email}, located: func(connector.Subject) (connector.Findings, error) {
		if down {
			return connector.Findings{}, errs.New(errs.Forbidden, "crm: 403")
		}
		return found("contacts", 1, vendorID("crm.user_id", "u1")), nil
	}}
	b := newBench(t, locating(request.Access), one(c))
	b.locate(t)
	r := b.request(t)
	r.State = request.Running
	if err := b.store.Write(t.Context(), request.Change{Request: r}); err != nil {
		t.Fatal(err)
	}
	if out := b.advance(t, connector.Export); out.Status != request.NeedsTask || slices.Contains(c.calls, "start") {
		t.Fatalf("an export of what was never found: %+v, calls %v", out, c.calls)
	}
	down = false
	b.retry(t)
	if out := b.advance(t, connector.Export); out.Status != request.Ready || len(c.last.Subject.Of("crm.user_id")) != 1 {
		t.Errorf("after the retry: %+v, calls %v", out, c.calls)
	}
}

func TestAdvance_notAllowed(t *testing.T) {
	t.Parallel()
	c := &crm{}
	s := one(c)
	s.Retrieval.Operations = []connector.Operation{connector.Export}
	b := newBench(t, running(request.Erasure), s)
	if out := b.advance(t, connector.Erase); out.Status != request.NeedsTask || len(c.calls) != 0 {
		t.Errorf("what systems.json does not allow: %+v, calls %v", out, c.calls)
	}
}

// While the agreement with its processor has lapsed, a system gets no more data
// where the policy blocks; what a person has a right to goes on, and what waits
// goes on when the agreement is renewed.
func TestAdvance_lapsed(t *testing.T) {
	t.Parallel()
	lapsed := &connector.Processor{Name: "CRM Inc.", DPA: "2020-01-01", Review: noon.Format(time.DateOnly)}
	all := []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object, connector.Tell}
	for _, tt := range []struct {
		policy  string
		blocked []connector.Operation
	}{{request.RemindDPA, nil}, {request.BlockDPA, []connector.Operation{connector.Rectify, connector.Tell}}} {
		for _, op := range all {
			t.Run(tt.policy+" "+string(op), func(t *testing.T) {
				t.Parallel()
				c := &crm{does: all, processor: lapsed}
				b := newBench(t, running(request.Rectification), one(c))
				b.Policy.DPA = tt.policy
				out := b.advance(t, op)
				if !slices.Contains(tt.blocked, op) {
					if out.Status != request.Ready || !slices.Contains(c.calls, "start") {
						t.Errorf("%+v, calls %v", out, c.calls)
					}
					return
				}
				if out.Status != request.NeedsTask || len(c.calls) != 0 {
					t.Fatalf("%+v, calls %v", out, c.calls)
				}
				tasks, err := b.store.Tasks(t.Context(), b.id)
				if err != nil || len(tasks) != 1 || tasks[0].Kind != request.TaskFailed || !slices.Contains(tasks[0].Choices, request.Retry) ||
					!strings.Contains(tasks[0].Reason, "agreement") || !strings.Contains(tasks[0].Instructions, "processor.review") {
					t.Fatalf("tasks %+v, %v", tasks, err)
				}
				c.processor = &connector.Processor{Name: "CRM Inc.", DPA: "2020-01-01", Review: noon.AddDate(1, 0, 0).Format(time.DateOnly)}
				b.retry(t)
				if out := b.advance(t, op); out.Status != request.Ready || !slices.Contains(c.calls, "start again") || b.request(t).Open != 0 {
					t.Errorf("after the renewal: %+v, calls %v", out, c.calls)
				}
			})
		}
	}
}

// A retry before the agreement is renewed is a question again, and what the
// processor has begun is finished.
func TestAdvance_lapsedMeanwhile(t *testing.T) {
	t.Parallel()
	c := &crm{processor: &connector.Processor{Name: "CRM Inc.", DPA: "2020-01-01", Expires: noon.AddDate(0, 0, 1).Format(time.DateOnly)}}
	c.start = func(connector.Call) (connector.Progress, error) { return connector.Progress{Handle: "job"}, nil }
	c.poll = func(connector.Call) (connector.Progress, error) { return connector.Progress{Done: true}, nil }
	b := newBench(t, running(request.Rectification), one(c))
	b.Policy.DPA = request.BlockDPA
	if out := b.advance(t, connector.Rectify); out.Status != request.Waiting {
		t.Fatalf("%+v", out)
	}
	b.now = b.now.AddDate(0, 0, 1)
	if out := b.advance(t, connector.Rectify); out.Status != request.Ready || !slices.Contains(c.calls, "poll") {
		t.Errorf("what it has begun: %+v, calls %v", out, c.calls)
	}

	again := newBench(t, running(request.Rectification), one(&crm{processor: c.processor}))
	again.Policy.DPA, again.now = request.BlockDPA, b.now
	if out := again.advance(t, connector.Rectify); out.Status != request.NeedsTask {
		t.Fatalf("%+v", out)
	}
	again.retry(t)
	if out := again.advance(t, connector.Rectify); out.Status != request.NeedsTask || again.request(t).Open != 1 {
		t.Errorf("a retry too early: %+v", out)
	}
}

func TestAdvance_hold(t *testing.T) {
	t.Parallel()
	c := &crm{}
	r := running(request.Erasure)
	r.Holds = []request.Hold{{Systems: []string{"crm"}, Ground: "Art. 17(3)(e) GDPR"}}
	b := newBench(t, r, one(c))
	for range 2 {
		if out := b.advance(t, connector.Erase); out.Status != request.Waiting || len(c.calls) != 0 {
			t.Fatalf("a held system: %+v, calls %v", out, c.calls)
		}
	}
	tasks, err := b.store.Tasks(t.Context(), b.id)
	if err != nil || len(tasks) != 1 || tasks[0].Kind != request.TaskHold || b.request(t).Open != 0 {
		t.Fatalf("tasks %+v, %d open, %v", tasks, b.request(t).Open, err)
	}
	if out := b.advance(t, connector.Rectify); out.Status != request.Ready {
		t.Errorf("a hold stops a rectification: %+v", out)
	}
	steps, err := b.store.Steps(t.Context(), b.id)
	if err != nil {
		t.Fatal(err)
	}
	held, now := tasks[0].Step(steps), b.request(t)
	entry, decision, err := now.Decide(&tasks[0], held, nil, request.Verdict{Decision: request.Waive, Ground: "Art. 17(3)(e) GDPR", By: officer, At: b.now})
	if err != nil {
		t.Fatal(err)
	}
	err = b.store.Write(t.Context(), request.Change{Request: now, Entries: []request.Entry{entry}, Tasks: tasks, Steps: []request.Step{*held}, Decision: &decision})
	if err != nil {
		t.Fatal(err)
	}
	if out := b.advance(t, connector.Erase); out.Status != request.Ready || slices.Contains(c.calls, "verify") {
		t.Errorf("what is kept on a ground: %+v, calls %v", out, c.calls)
	}
}

// When the hold is lifted, the deletion goes on, and its task is about nothing
// any more.
func TestAdvance_unhold(t *testing.T) {
	t.Parallel()
	c := &crm{}
	r := running(request.Erasure)
	r.Holds = []request.Hold{{Ground: "Art. 17(3)(e) GDPR"}}
	b := newBench(t, r, one(c))
	b.advance(t, connector.Erase)
	lifted := b.request(t)
	lifted.Holds = nil
	if err := b.store.Write(t.Context(), request.Change{Request: lifted}); err != nil {
		t.Fatal(err)
	}
	if out := b.advance(t, connector.Erase); out.Status != request.Ready || b.step(t).Task != "" {
		t.Errorf("after the hold: %+v, step %+v", out, b.step(t))
	}
}

func TestAdvance_dryRun(t *testing.T) {
	t.Parallel()
	c := &crm{}
	s := one(c)
	s.DryRun = true
	b := newBench(t, running(request.Erasure), s)
	if out := b.advance(t, connector.Erase); out.Status != request.Ready || len(c.calls) != 0 {
		t.Errorf("a dry run: %+v, calls %v", out, c.calls)
	}
	if s := b.step(t); s.Phase != request.Skipped || s.Reason == "" {
		t.Errorf("the step is %+v", s)
	}
}

func TestAdvance_retrieval(t *testing.T) {
	t.Parallel()
	c := &crm{}
	s := one(c)
	s.Retrieval = request.Retrieval{From: 22, To: 6, PerDay: 1} // noon in UTC is 13 h in Paris
	b := newBench(t, running(request.Rectification), s)
	if out := b.advance(t, connector.Rectify); out.Status != request.Waiting || out.After != 9*time.Hour || len(c.calls) != 0 {
		t.Fatalf("outside the hours: %+v", out)
	}
	b.now = b.now.Add(9 * time.Hour)
	if out := b.advance(t, connector.Rectify); out.Status != request.Ready {
		t.Fatalf("inside the hours: %+v", out)
	}
	if out := b.advance(t, connector.Export); out.Status != request.Waiting || out.After != 2*time.Hour {
		t.Errorf("the second operation of a day that allows one: %+v", out)
	}
}

func TestAdvance_export(t *testing.T) {
	t.Parallel()
	more := func(call connector.Call) (connector.Progress, error) {
		if call.Out == nil {
			return connector.Progress{}, errors.New("nowhere to write to")
		}
		return connector.Progress{Done: call.Handle == "b", Handle: map[string]string{"": "a", "a": "b"}[call.Handle], After: time.Nanosecond}, nil
	}
	c := &crm{start: more, poll: more}
	b := newBench(t, running(request.Access), one(c))
	for n := 0; b.advance(t, connector.Export).Status != request.Ready; n++ {
		if n > 3 {
			t.Fatal("the export does not end")
		}
	}
	if !slices.Equal(b.parts.closed, []int{0, 1, 2}) || b.step(t).Chunk != 3 {
		t.Errorf("parts %v, step %+v", b.parts.closed, b.step(t))
	}
}

// Ten systems that fail at the same moment meet at the version of one request.
func TestAdvance_together(t *testing.T) {
	t.Parallel()
	var systems []request.System
	for i := range 10 {
		s := one(&crm{start: func(connector.Call) (connector.Progress, error) {
			return connector.Progress{}, errs.New(errs.Forbidden, "no")
		}})
		s.Name = string(rune('a' + i))
		systems = append(systems, s)
	}
	b := newBench(t, running(request.Rectification), systems...)
	var group sync.WaitGroup
	for _, s := range systems {
		group.Go(func() {
			for range 20 {
				out, err := b.Advance(t.Context(), request.Ref{Request: b.id, Epoch: 1, System: s.Name, Operation: connector.Rectify})
				if err != nil {
					t.Error(err)
				}
				if out.Status == request.NeedsTask {
					return
				}
				b.store.Steps(t.Context(), b.id)
			}
			t.Errorf("%s was never put to an operator", s.Name)
		})
	}
	group.Wait()
	tasks, err := b.store.Tasks(t.Context(), b.id)
	if r := b.request(t); err != nil || r.Open != 10 || len(tasks) != 10 {
		t.Errorf("%d open tasks, %d rows, %v", r.Open, len(tasks), err)
	}
}
