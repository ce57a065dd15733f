package asl

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// The states of an execution.
const (
	Running   = "RUNNING"
	Succeeded = "SUCCEEDED"
	Failed    = "FAILED"
	TimedOut  = "TIMED_OUT"
	Aborted   = "ABORTED"
)

// Description is what is known of an execution.
type Description struct {
	ARN, Machine, Name string
	Status             string
	Input, Output      string // JSON
	Error, Cause       string
	Started, Stopped   time.Time
	// Transitions is what AWS bills: every state that was entered, every further
	// attempt of a task, and the start and the end of the execution, which the
	// example of the price list counts as well.
	Transitions int
	// Path is the states that were entered, those of a Map as "Systems/System".
	Path    []string
	Events  []Event
	Waiting []string // states that are entered and not left
}

// Event is one entry of an execution's history. Which events there are is
// counted as in AWS's histories:
//
//	any state             <Type>StateEntered, <Type>StateExited (Fail: only Entered)
//	a task, each attempt  TaskScheduled, TaskStarted, then TaskSucceeded, TaskFailed or TaskTimedOut;
//	                      with a token or a nested execution TaskSubmitted before that
//	a Map                 MapStateStarted, for each item MapIterationStarted and MapIterationSucceeded, Failed or Aborted,
//	                      then MapStateSucceeded or MapStateFailed
//	an execution          ExecutionStarted, then ExecutionSucceeded, Failed, Aborted or TimedOut
type Event struct {
	Type   string
	State  string
	At     time.Time
	Detail string // what AWS shows with it: JSON
}

type execution struct {
	e        *Engine
	machine  *machine
	arn      string
	name     string
	status   string
	input    any
	text     string // of the input, as it was given
	output   any
	err      *Failure
	started  time.Time
	stopped  time.Time
	events   []Event
	path     []string
	entered  int
	root     *thread
	watchers []func() // the tasks that wait for its end
}

// maxYear is how long AWS lets an execution run.
const maxYear = 365 * 24 * time.Hour

var executionName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// Start starts an execution of a machine. As on AWS, a repetition with the same
// name and input finds the same execution as long as it runs; otherwise the
// failure's name is ExecutionAlreadyExists.
func (e *Engine) Start(machineARN, name, input string) (arn string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x, failure := e.start(machineARN, name, input)
	if failure != nil {
		return "", failure
	}
	return x.arn, nil
}

func (e *Engine) start(machineARN, name, input string) (*execution, *Failure) {
	m := e.machines[machineARN]
	if m == nil {
		return nil, &Failure{Name: "StateMachineDoesNotExist", Cause: "there is no machine " + machineARN}
	}
	if !executionName.MatchString(name) {
		return nil, &Failure{Name: "InvalidName", Cause: "an execution is named by 1 to 80 of A-Z a-z 0-9 _ -"}
	}
	var data any
	if err := decode([]byte(input), &data); err != nil || len(input) > MaxData {
		return nil, &Failure{Name: "InvalidExecutionInput", Cause: "the input is no JSON or too large"}
	}
	arn := ExecutionARN(m.name, name)
	if x := e.executions[arn]; x != nil {
		if x.status == Running && x.text == input {
			return x, nil
		}
		return nil, &Failure{Name: "ExecutionAlreadyExists", Cause: "the execution exists: " + arn}
	}
	x := &execution{e: e, machine: m, arn: arn, name: name, status: Running, input: data, text: input, started: e.now, entered: 1}
	e.executions[arn] = x
	e.order = append(e.order, x)
	x.record("ExecutionStarted", "", data)
	x.root = &thread{x: x, in: m.definition, done: x.succeed, fail: x.failed}
	e.after(maxYear, x.over, func(context.Context) { x.end(TimedOut, &Failure{Name: "States.Timeout"}, "ExecutionTimedOut") })
	e.after(0, x.over, func(ctx context.Context) { x.root.enter(ctx, m.definition.StartAt, data) })
	return x, nil
}

func (x *execution) over() bool { return x.status != Running }

// record puts an event into the history. One too many ends the execution.
func (x *execution) record(kind, state string, detail any) {
	text := ""
	if detail != nil {
		text = encode(detail)
	}
	x.events = append(x.events, Event{Type: kind, State: state, At: x.e.now, Detail: text})
	if len(x.events) == MaxEvents && x.status == Running {
		x.end(Failed, &Failure{Name: "States.Runtime", Cause: "the history has reached its maximum of events"}, "ExecutionFailed")
	}
}

func (x *execution) succeed(output any) {
	x.output = output
	x.end(Succeeded, nil, "ExecutionSucceeded")
}

func (x *execution) failed(f *Failure) { x.end(Failed, f, "ExecutionFailed") }

func (x *execution) end(status string, f *Failure, event string) {
	if x.status != Running {
		return
	}
	x.status, x.err, x.stopped = status, f, x.e.now
	x.entered++
	x.root.kill()
	detail := x.output
	if f != nil {
		detail = f.detail()
	}
	x.record(event, "", detail)
	for _, tell := range x.watchers {
		tell()
	}
}

// kill ends an execution without a trace.
func (x *execution) kill() {
	x.status = Aborted
	x.root.kill()
}

// Stop ends an execution, and those that it waits for unless Orphans is set.
// False: there is none, or it has ended.
func (e *Engine) Stop(arn string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.executions[arn]
	if x == nil || x.status != Running {
		return false
	}
	x.end(Aborted, &Failure{Name: "Avow.Stopped"}, "ExecutionAborted")
	return true
}

// Status is the state of an execution; empty when there is none.
func (e *Engine) Status(arn string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.executions[arn]; x != nil {
		return x.status
	}
	return ""
}

// Describe says what is known of an execution.
func (e *Engine) Describe(arn string) (Description, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	x := e.executions[arn]
	if x == nil {
		return Description{}, false
	}
	d := Description{
		ARN: x.arn, Machine: x.machine.name, Name: x.name, Status: x.status, Input: x.text, Started: x.started, Stopped: x.stopped,
		Transitions: x.entered, Path: append([]string(nil), x.path...), Events: append([]Event(nil), x.events...),
	}
	if x.status == Succeeded {
		d.Output = encode(x.output)
	}
	if x.err != nil {
		d.Error, d.Cause = x.err.Name, x.err.Cause
	}
	d.Waiting = x.root.waiting(nil)
	return d, true
}

// Failure is an error of a task or an execution, as Retry and Catch see it. A
// function that returns one decides about both texts.
type Failure struct {
	Name  string // "Lambda.TooManyRequestsException", "Unavailable"
	Cause string
}

// Error returns the name and the cause.
func (f *Failure) Error() string { return f.Name + ": " + f.Cause }

func (f *Failure) detail() any { return map[string]any{"Error": f.Name, "Cause": f.Cause} }

func runtimeFailure(err error) *Failure { return &Failure{Name: "States.Runtime", Cause: err.Error()} }

// matchedBy reports whether ErrorEquals names the failure. Nothing but its own
// name matches what ends an execution on AWS whatever it catches.
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
func (f *Failure) matchedBy(names []string) bool {
	for _, n := range names {
		switch {
		case f.Name == "States.Runtime":
		case n == f.Name:
			return true
		case f.Name == "States.DataLimitExceeded":
		case n == "States.ALL", n == "States.TaskFailed" && f.Name != "States.Timeout":
			return true
		}
	}
	return false
}

// A thread goes from state to state: the execution itself, or one item of a Map.
type thread struct {
	x      *execution
	in     *Definition
	prefix string // "Systems/"
	item   any    // $$.Map of an item
	done   func(output any)
	fail   func(*Failure)

	dead    bool
	state   string
	entered time.Time
	task    *attempt
	items   *items
}

func (t *thread) over() bool { return t.dead || t.x.over() }

// after does something later, unless the thread has ended or left the state by
// then.
func (t *thread) after(d time.Duration, run func(ctx context.Context)) {
	state := t.state
	t.x.e.after(d, func() bool { return t.over() || t.state != state }, run)
}

// enter begins a state. The transition is counted here.
func (t *thread) enter(ctx context.Context, name string, data any) {
	if t.over() {
		return
	}
	s := t.in.States[name]
	t.state, t.entered = name, t.x.e.now
	t.x.entered++
	t.x.path = append(t.x.path, t.prefix+name)
	t.x.record(s.Type+"StateEntered", t.prefix+name, data)
	if t.over() {
		return
	}
	if f := tooLarge(data); f != nil {
		t.fail(f)
		return
	}
	switch s.Type {
	case "Pass":
		t.pass(s, data)
	case "Choice":
		next, err := s.choose(data, t.context(s, nil))
		if err != nil {
			t.fail(runtimeFailure(err))
			return
		}
		t.leave(s, next, data)
	case "Wait":
		t.wait(s, data)
	case "Task":
		t.try(s, data, make(counts, len(s.Retry)), t.attempt)
	case "Map":
		t.try(s, data, make(counts, len(s.Retry)), t.mapItems)
	case "Succeed":
		t.state = ""
		t.x.record("SucceedStateExited", t.prefix+name, data)
		t.done(data)
	case "Fail":
		t.fail(&Failure{Name: s.Error, Cause: s.Cause})
	}
}

// leave ends a state; what follows is done as an action of its own.
func (t *thread) leave(s *State, next string, data any) {
	if f := tooLarge(data); f != nil {
		t.fail(f)
		return
	}
	t.x.record(s.Type+"StateExited", t.prefix+t.state, data)
	if t.over() {
		return
	}
	t.state, t.task, t.items = "", nil, nil
	if s.End {
		t.done(data)
		return
	}
	t.x.e.after(0, t.over, func(ctx context.Context) { t.enter(ctx, next, data) })
}

func (t *thread) pass(s *State, data any) {
	result, err := data, error(nil)
	switch {
	case s.Result != nil:
		result = s.Result
	case s.Parameters != nil:
		result, err = fill(s.Parameters, data, t.context(s, nil))
	default:
		t.leave(s, s.Next, data)
		return
	}
	if err == nil {
		result, err = s.place(data, result)
	}
	if err != nil {
		t.fail(runtimeFailure(err))
		return
	}
	t.leave(s, s.Next, result)
}

func (t *thread) wait(s *State, data any) {
	d, err := seconds(s.Seconds, s.SecondsPath, data, t.context(s, nil))
	if err != nil {
		t.fail(runtimeFailure(err))
		return
	}
	t.after(d, func(context.Context) { t.leave(s, s.Next, data) })
}

// place puts a result where ResultPath says.
func (s *State) place(data, result any) (any, error) {
	if s.ResultPath == nil {
		return result, nil
	}
	p, err := parsePath(*s.ResultPath)
	if err != nil {
		return nil, err
	}
	return p.put(data, result)
}

// kill ends the thread with all that it waits for.
func (t *thread) kill() {
	if t == nil || t.dead {
		return
	}
	t.dead = true
	if t.task != nil {
		t.task.cancel()
	}
	if t.items != nil {
		t.items.kill()
	}
}

func (t *thread) waiting(found []string) []string {
	if t == nil || t.over() || t.state == "" {
		return found
	}
	found = append(found, t.prefix+t.state)
	if t.items != nil {
		for _, inner := range t.items.threads {
			found = inner.waiting(found)
		}
	}
	return found
}

// context is the context object ("$$").
func (t *thread) context(s *State, token any) any {
	x := t.x
	c := map[string]any{
		"Execution":    map[string]any{"Id": x.arn, "Name": x.name, "Input": x.input, "StartTime": x.started.UTC().Format(time.RFC3339Nano)},
		"State":        map[string]any{"Name": t.state, "EnteredTime": t.entered.UTC().Format(time.RFC3339Nano)},
		"StateMachine": map[string]any{"Id": x.machine.arn, "Name": x.machine.name},
	}
	if strings.HasSuffix(s.Resource, ".waitForTaskToken") && token != nil {
		c["Task"] = map[string]any{"Token": token}
	}
	if t.item != nil {
		c["Map"] = t.item
	}
	return c
}

func tooLarge(v any) *Failure {
	if n := len(encode(v)); n > MaxData {
		return &Failure{Name: "States.DataLimitExceeded", Cause: fmt.Sprintf("%d bytes are more than a state may hold", n)}
	}
	return nil
}
