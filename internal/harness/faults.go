package harness

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/avow-consent/avow/internal/asl"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/flow"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/secret"
)

// Kind is what becomes of one call of a request.
type Kind int

// The kinds of fault. Vendor and AWS clients try again by themselves after the
// first two; the last two kill the function that made the call, and the engine
// calls it again.
const (
	Before    Kind = iota // the call never left
	Lost                  // applied, but the reply is lost
	DiesFirst             // the function dies before the call
	DiesAfter             // the function dies when the call was applied
)

// Kinds are all of them.
var Kinds = []Kind{Before, Lost, DiesFirst, DiesAfter}

func (k Kind) String() string {
	return []string{"fails before", "reply lost", "dies before", "dies after applying"}[k]
}

// Schedule breaks the call of a number, counting every call of AWS and vendors
// that the functions behind the engine make from the moment of Break.
type Schedule struct {
	Call int // from 1; 0 breaks nothing and only counts
	Kind Kind
}

func (s Schedule) String() string { return fmt.Sprintf("call %d %s", s.Call, s.Kind) }

// breaker carries a schedule out.
type breaker struct {
	running  sync.Mutex // held by the invocation that runs: only one does, so that it is clear which one dies
	mu       sync.Mutex
	schedule Schedule
	calls    int
	dead     bool // the invocation that runs has died
	hit      string
}

// script decides about one call.
func (b *breaker) script(c faulty.Call) faulty.Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return faulty.Refused
	}
	b.calls++
	if b.calls != b.schedule.Call {
		return faulty.None
	}
	b.hit = c.Operation
	switch b.schedule.Kind {
	case Before:
		return faulty.Refused
	case Lost:
		return faulty.Lost
	case DiesFirst:
		b.dead = true
		return faulty.Refused
	}
	b.dead = true
	return faulty.Lost
}

// mortal is a function that dies when its breaker says so.
type mortal struct {
	lambda.Handler
	breaker *breaker
	world   *World
}

// errDied is what Lambda says of a function that has not come to its end.
var errDied = messages.InvokeResponse_Error{Type: "Sandbox.Timedout", Message: "made up by a test"}

// Invoke implements lambda.Handler. The function is not told when it has to end:
// nobody repeats a call until whoever made it has certainly died, and that would
// take the local engine 15 real minutes.
func (m mortal) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	m.breaker.running.Lock()
	defer m.breaker.running.Unlock()
	if m.world.OnInvoke != nil {
		var p request.Payload
		if json.Unmarshal(payload, &p) == nil {
			m.world.OnInvoke(p)
		}
	}
	out, err := m.Handler.Invoke(context.WithoutCancel(ctx), payload)
	m.breaker.mu.Lock()
	defer m.breaker.mu.Unlock()
	if m.breaker.dead {
		m.breaker.dead = false
		return nil, errDied
	}
	return out, err
}

// Break sets a schedule for what follows.
func (w *World) Break(s Schedule) {
	b := &w.breaker
	b.mu.Lock()
	b.schedule, b.calls, b.dead, b.hit = s, 0, false, ""
	b.mu.Unlock()
	w.AWS.Break(b.script)
	w.Vendor.Break(b.script)
}

// Calls is how many calls were made since Break, and which one was broken.
func (w *World) Calls() (n int, broken string) {
	w.breaker.mu.Lock()
	defer w.breaker.mu.Unlock()
	return w.breaker.calls, w.breaker.hit
}

// Store reads and writes requests past every fault.
func (w *World) Store(t testing.TB) *dynamo.Requests {
	t.Helper()
	return dynamo.NewRequests(w.Env.Config, w.Env.Getenv("REQUESTS_TABLE"), w.Hasher(t), w.Now, w.newID)
}

// Hasher makes the keyed hashes that stand in the tables.
func (w *World) Hasher(t testing.TB) *pseudonym.Hasher {
	t.Helper()
	value, err := secret.NewStore(w.Env.Config).Value(t.Context(), w.Env.Getenv("PSEUDONYM_SECRET"))
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := pseudonym.New(value)
	if err != nil {
		t.Fatal(err)
	}
	return hasher
}

// Play lets the people of a company work on a request (act) and the schedule run
// every day until the request has ended. It fails the test when that takes longer
// than limit, on the world's clock.
func (w *World) Play(t testing.TB, id string, limit time.Duration) {
	t.Helper()
	store, end := w.Store(t), w.Now().Add(limit)
	for {
		w.Engine.RunUntilIdle(t.Context())
		r, err := store.Get(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if w.over(t, r) {
			return
		}
		if w.Now().After(end) {
			t.Fatalf("after %v the request is %s with %d open tasks\n%s", limit, r.State, r.Open, w.Log)
		}
		if w.act(t, store, r) {
			continue
		}
		// Nothing to decide: time goes on, but sweep comes at least once a day.
		next, ok := w.Engine.Next()
		if day := w.Now().Add(24 * time.Hour); !ok || next.After(day) {
			w.Engine.Advance(t.Context(), 24*time.Hour)
			w.Sweep(t)
			continue
		}
		w.Engine.AdvanceToNext(t.Context())
	}
}

// over reports whether nothing is left to do: the request has ended, and so has
// its run.
func (w *World) over(t testing.TB, r *request.Request) bool {
	t.Helper()
	if !r.State.Ended() {
		return false
	}
	if w.Engine != nil {
		d, ok := w.Engine.Describe(r.Execution)
		return !ok || d.Status != asl.Running
	}
	alive, err := flow.NewMachine(w.Env.Config, "").Alive(t.Context(), r.Execution)
	if err != nil {
		t.Fatal(err)
	}
	return !alive
}

// Act lets the people of a company do what there is to do about a request now.
func (w *World) Act(t testing.TB, id string) (acted bool) {
	t.Helper()
	store := w.Store(t)
	r, err := store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return w.act(t, store, r)
}

// act does what there is to do about a request: approve what is planned, release
// what is packed, decide what is asked.
func (w *World) act(t testing.TB, store *dynamo.Requests, r *request.Request) (acted bool) {
	t.Helper()
	officer, path := w.Roles[keys.Officer], "/requests/"+r.ID
	acted = w.decideAll(t, store, r)
	switch r.State {
	case request.WaitingApproval:
		plan := w.Must(t, 200, officer, "GET", path+"/plan", nil)
		w.Must(t, 200, officer, "POST", path+"/approve", map[string]any{"digest": plan.Text("digest"), "why": "checked"})
		acted = true
	case request.WaitingRelease:
		w.Must(t, 200, officer, "POST", path+"/release", map[string]any{"package": r.Package.Digest, "why": "read"})
		acted = true
	}
	return acted
}

// decideAll decides every task that holds a request up: retry once, then done.
func (w *World) decideAll(t testing.TB, store *dynamo.Requests, r *request.Request) (acted bool) {
	t.Helper()
	if r.Open == 0 {
		return false
	}
	tasks, err := store.Tasks(t.Context(), r.ID)
	if err != nil {
		t.Fatal(err)
	}
	retried := map[string]bool{}
	for _, task := range tasks {
		retried[task.System+task.Reason] = retried[task.System+task.Reason] || task.Decision == request.Retry
	}
	for _, task := range tasks {
		if !task.Decided.IsZero() || !task.Kind.Blocks() {
			continue
		}
		t.Logf("%s task of %s: %s", task.Kind, task.System, task.Reason)
		decision := request.Done
		for _, c := range task.Choices {
			if c == request.Retry && (!retried[task.System+task.Reason] || task.Kind == request.TaskEngine) {
				decision = request.Retry
			}
		}
		body := map[string]any{"decision": decision, "why": "looked at it"}
		if decision == request.Done {
			body["evidence"] = map[string]any{"sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}
		}
		w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+r.ID+"/tasks/"+task.ID, body)
		acted = true
	}
	return acted
}
