package asl

import (
	"container/heap"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

// The limits of AWS that an execution must keep.
// https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
const (
	MaxEvents = 25_000    // in the history of an execution
	MaxData   = 256 << 10 // bytes of input or output of a state, a task or an execution
)

// Engine carries out definitions on a clock that only moves when it is told to.
// Nothing sleeps and nothing runs in the background: RunUntilIdle and Advance
// do all the work, in an order that depends on nothing but what was done
// before. Functions take no time, unless they say so (ErrHang).
//
// One goroutine moves the clock. Functions, and tests between two calls, may start and stop executions and
// answer tokens at any time.
type Engine struct {
	// Orphans lets the executions of systems go on when the one that has started
	// them ends, as the local engine does. AWS tries to stop them.
	Orphans bool

	mu         sync.Mutex
	now        time.Time
	seq        int
	queue      queue
	functions  map[string]lambda.Handler
	machines   map[string]*machine
	executions map[string]*execution
	order      []*execution // as they were started
	tokens     map[string]*attempt
	invoked    int
}

type machine struct {
	name, arn  string
	definition *Definition
}

// New returns an engine whose clock shows now.
func New(now time.Time) *Engine {
	return &Engine{
		now: now, functions: map[string]lambda.Handler{}, machines: map[string]*machine{},
		executions: map[string]*execution{}, tokens: map[string]*attempt{},
	}
}

// Now is the engine's clock, for the functions that it calls.
func (e *Engine) Now() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.now
}

// Func is a function given as a Go function.
type Func func(ctx context.Context, payload []byte) ([]byte, error)

// Invoke implements lambda.Handler.
func (f Func) Invoke(ctx context.Context, payload []byte) ([]byte, error) { return f(ctx, payload) }

// FunctionARN is the ARN under which definitions call a function.
func FunctionARN(name string) string {
	return "arn:aws:lambda:eu-central-1:000000000000:function:" + name
}

// MachineARN is the ARN of a machine.
func MachineARN(name string) string {
	return "arn:aws:states:eu-central-1:000000000000:stateMachine:" + name
}

// ExecutionARN is the ARN of an execution of a machine.
func ExecutionARN(machine, name string) string {
	return "arn:aws:states:eu-central-1:000000000000:execution:" + machine + ":" + name
}

// Function makes h the function of the name, or replaces it.
func (e *Engine) Function(name string, h lambda.Handler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.functions[FunctionARN(name)] = h
}

// Machine creates a state machine, or replaces its definition: executions that
// run keep the one they began with. Substitutions ("${StepsFunctionArn}") are
// replaced first. A definition that Lint finds wrong as a whole is refused.
func (e *Engine) Machine(name, definition string, substitutions map[string]string) (arn string, err error) {
	for from, to := range substitutions {
		definition = strings.ReplaceAll(definition, "${"+from+"}", to)
	}
	d, err := Parse([]byte(definition))
	if err != nil {
		return "", err
	}
	if findings := d.structure(); len(findings) > 0 {
		return "", fmt.Errorf("asl: the machine %s: %s", name, strings.Join(findings, "; "))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	m := &machine{name: name, arn: MachineARN(name), definition: d}
	e.machines[m.arn] = m
	return m.arn, nil
}

// RunUntilIdle does everything that can be done without moving the clock.
func (e *Engine) RunUntilIdle(ctx context.Context) { e.Advance(ctx, 0) }

// Advance moves the clock by d and does on the way what is due, each at its own
// time.
func (e *Engine) Advance(ctx context.Context, d time.Duration) {
	end := e.Now().Add(d)
	for e.step(ctx, end) {
	}
	e.mu.Lock()
	e.now = end
	e.mu.Unlock()
}

// AdvanceToNext moves the clock to the next thing that is due and does all that
// is due then. False: nothing is, for ever.
func (e *Engine) AdvanceToNext(ctx context.Context) bool {
	next, ok := e.Next()
	if ok {
		e.Advance(ctx, max(0, next.Sub(e.Now())))
	}
	return ok
}

// RunUntil moves the clock from one due thing to the next until done says so,
// nothing is due any more, or the clock has moved by more than limit. It returns
// what done says in the end.
func (e *Engine) RunUntil(ctx context.Context, limit time.Duration, done func() bool) bool {
	end := e.Now().Add(limit)
	for e.RunUntilIdle(ctx); !done(); {
		if next, ok := e.Next(); !ok || next.After(end) {
			return false
		}
		e.AdvanceToNext(ctx)
	}
	return true
}

// Next is when something is due.
func (e *Engine) Next() (time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop()
	if len(e.queue) == 0 {
		return time.Time{}, false
	}
	return e.queue[0].at, true
}

// Invocations is how often a function was called.
func (e *Engine) Invocations() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.invoked
}

// An action is something that is due. It runs with the engine locked.
type action struct {
	at    time.Time
	seq   int
	run   func(ctx context.Context)
	stale func() bool
}

// step does what is due first, up to end.
func (e *Engine) step(ctx context.Context, end time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.drop()
	if len(e.queue) == 0 || e.queue[0].at.After(end) {
		return false
	}
	a := heap.Pop(&e.queue).(*action)
	if a.at.After(e.now) {
		e.now = a.at
	}
	a.run(ctx)
	return true
}

// drop forgets what nobody waits for any more.
func (e *Engine) drop() {
	for len(e.queue) > 0 && e.queue[0].stale() {
		heap.Pop(&e.queue)
	}
}

func (e *Engine) after(d time.Duration, stale func() bool, run func(ctx context.Context)) {
	e.seq++
	heap.Push(&e.queue, &action{at: e.now.Add(d), seq: e.seq, run: run, stale: stale})
}

type queue []*action

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	if c := q[i].at.Compare(q[j].at); c != 0 {
		return c < 0
	}
	return q[i].seq < q[j].seq
}
func (q *queue) Push(a any) { *q = append(*q, a.(*action)) }
func (q *queue) Pop() any {
	last := len(*q) - 1
	a := (*q)[last]
	*q = (*q)[:last]
	return a
}

// Executions are the ARNs of all executions, in the order of their start.
func (e *Engine) Executions() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	arns := make([]string, len(e.order))
	for i, x := range e.order {
		arns[i] = x.arn
	}
	return arns
}

// Lose forgets all executions, as the local engine does when it is started
// again. Machines and functions stay.
func (e *Engine) Lose() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range slices.Collect(maps.Values(e.executions)) {
		x.kill()
	}
	e.executions, e.order, e.tokens, e.queue = map[string]*execution{}, nil, map[string]*attempt{}, nil
}
