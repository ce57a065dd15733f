package asl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
)

// ErrHang, returned by a function, means that it does not answer: the task ends by
// its time-out. What the function did before has happened.
var ErrHang = errors.New("asl: the function hangs")

// An attempt is one try of a task.
type attempt struct {
	t       *thread
	s       *State
	data    any
	token   string
	child   *execution
	settled bool
	end     func(result any, f *Failure)
}

// counts is how often each retrier of a state has been used.
type counts []int

// try carries a state out by run until it succeeds, is caught or fails.
func (t *thread) try(s *State, data any, used counts, run func(ctx context.Context, s *State, data any, end func(any, *Failure))) {
	entered := t.entered
	again := func(ctx context.Context) {
		run(ctx, s, data, func(result any, f *Failure) {
			if t.over() {
				return
			}
			if f == nil {
				result, f = t.shape(s, data, result)
			}
			if f == nil {
				t.leave(s, s.Next, result)
				return
			}
			if d, ok := s.retry(f, used); ok {
				t.after(d, func(ctx context.Context) {
					t.x.entered++ // a further attempt is billed as well
					t.entered = entered
					t.try(s, data, used, run)
				})
				return
			}
			t.catch(s, data, f)
		})
	}
	t.after(0, again)
}

// shape makes the state's output of a result.
func (t *thread) shape(s *State, data, result any) (any, *Failure) {
	var err error
	if s.ResultSelector != nil {
		if result, err = fill(s.ResultSelector, result, t.context(s, nil)); err != nil {
			return nil, runtimeFailure(err)
		}
	}
	if result, err = s.place(data, result); err != nil {
		return nil, runtimeFailure(err)
	}
	return result, nil
}

// retry says whether, and when, a failure is tried again. Full jitter is any
// time up to the computed one: here always the latest, so that runs repeat.
func (s *State) retry(f *Failure, used counts) (time.Duration, bool) {
	for i, r := range s.Retry {
		if !f.matchedBy(r.ErrorEquals) {
			continue
		}
		if used[i] >= or(r.MaxAttempts, 3) {
			return 0, false
		}
		d := float64(or(r.IntervalSeconds, 1)) * math.Pow(or(r.BackoffRate, 2), float64(used[i]))
		if r.MaxDelaySeconds > 0 {
			d = min(d, float64(r.MaxDelaySeconds))
		}
		used[i]++
		return time.Duration(d * float64(time.Second)), true
	}
	return 0, false
}

func or[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

func (t *thread) catch(s *State, data any, f *Failure) {
	for _, c := range s.Catch {
		if !f.matchedBy(c.ErrorEquals) {
			continue
		}
		caught := &State{ResultPath: c.ResultPath, Type: s.Type}
		out, err := caught.place(data, f.detail())
		if err != nil {
			t.fail(runtimeFailure(err))
			return
		}
		t.leave(caught, c.Next, out)
		return
	}
	t.fail(f)
}

// attempt begins one try of a task.
func (t *thread) attempt(ctx context.Context, s *State, data any, end func(any, *Failure)) {
	e := t.x.e
	a := &attempt{t: t, s: s, data: data}
	a.end = end
	t.task = a
	var token any
	if strings.HasSuffix(s.Resource, ".waitForTaskToken") {
		e.seq++
		a.token = fmt.Sprintf("token-%d", e.seq)
		token = a.token
	}
	within := t.context(s, token)
	parameters, err := fill(s.Parameters, data, within)
	if err != nil {
		a.settle(nil, runtimeFailure(err), "")
		return
	}
	if f := tooLarge(parameters); f != nil {
		a.settle(nil, f, "")
		return
	}
	limit, err := seconds(s.TimeoutSeconds, s.TimeoutSecondsPath, data, within)
	if err != nil || limit <= 0 {
		a.settle(nil, runtimeFailure(fmt.Errorf("the time-out is not a number of seconds above 0: %w", err)), "")
		return
	}
	t.x.record("TaskScheduled", t.prefix+t.state, parameters)
	t.x.record("TaskStarted", t.prefix+t.state, nil)
	if t.over() {
		return
	}
	e.after(limit, func() bool { return a.settled || t.over() }, func(context.Context) {
		a.cancel()
		a.settled = false
		a.settle(nil, &Failure{Name: "States.Timeout"}, "TaskTimedOut")
	})
	members, _ := parameters.(map[string]any)
	if strings.HasPrefix(s.Resource, nested) {
		a.startChild(members)
		return
	}
	if a.token != "" {
		e.tokens[a.token] = a
	}
	a.invoke(ctx, members)
}

// The resources of tasks.
const (
	invoke   = "arn:aws:states:::lambda:invoke"
	callback = "arn:aws:states:::lambda:invoke.waitForTaskToken"
	nested   = "arn:aws:states:::states:startExecution.sync:2"
)

// settle ends the attempt, once.
func (a *attempt) settle(result any, f *Failure, event string) {
	if a.settled || a.t.over() {
		return
	}
	a.settled = true
	delete(a.t.x.e.tokens, a.token)
	if f == nil {
		f = tooLarge(result)
	}
	where := a.t.prefix + a.t.state
	switch {
	case f == nil:
		a.t.x.record("TaskSucceeded", where, result)
	case event != "":
		a.t.x.record(event, where, f.detail())
	default:
		a.t.x.record("TaskFailed", where, f.detail())
	}
	a.end(result, f)
}

// cancel: nobody waits for the attempt any more.
func (a *attempt) cancel() {
	a.settled = true
	delete(a.t.x.e.tokens, a.token)
	if a.child != nil && !a.t.x.e.Orphans {
		a.child.end(Aborted, &Failure{Name: "States.TaskAborted"}, "ExecutionAborted")
	}
}

// invoke calls a function. The engine is open to it meanwhile.
func (a *attempt) invoke(ctx context.Context, parameters map[string]any) {
	e := a.t.x.e
	name, _ := parameters["FunctionName"].(string)
	h := e.functions[name]
	if h == nil {
		a.settle(nil, &Failure{Name: "Lambda.ResourceNotFoundException", Cause: "there is no function " + name}, "")
		return
	}
	e.invoked++
	e.mu.Unlock()
	out, err := call(ctx, h, []byte(encode(parameters["Payload"])))
	e.mu.Lock()
	var payload any
	switch f := failureOf(err); {
	case errors.Is(err, ErrHang):
		return
	case f != nil:
		a.settle(nil, f, "")
	case decodeReply(out, &payload) != nil:
		a.settle(nil, &Failure{Name: "States.Runtime", Cause: "the function's answer is no JSON"}, "")
	case a.token != "":
		if !a.settled && !a.t.over() {
			a.t.x.record("TaskSubmitted", a.t.prefix+a.t.state, payload)
		}
	default:
		a.settle(map[string]any{"ExecutedVersion": "$LATEST", "Payload": payload, "StatusCode": json.Number("200")}, nil, "")
	}
}

func decodeReply(out []byte, payload *any) error {
	if len(out) == 0 {
		return nil // a function without an answer: null
	}
	return decode(out, payload)
}

type invoker interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// call makes an error of a panic, as the runtime of Lambda does.
func call(ctx context.Context, h invoker, payload []byte) (out []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Failure{Name: typeName(p), Cause: encode(map[string]any{"errorType": typeName(p), "errorMessage": fmt.Sprint(p)})}
		}
	}()
	return h.Invoke(ctx, payload)
}

// failureOf names an error by its Go type, as the runtime of Lambda does, unless
// it brings a name of its own.
func failureOf(err error) *Failure {
	var f *Failure
	if err == nil || errors.As(err, &f) {
		return f
	}
	name := typeName(err)
	if named, ok := err.(messages.InvokeResponse_Error); ok {
		name = named.Type
	}
	return &Failure{Name: name, Cause: encode(map[string]any{"errorType": name, "errorMessage": err.Error()})}
}

func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}

// startChild starts, or joins, a nested execution and waits for its end.
func (a *attempt) startChild(parameters map[string]any) {
	machineARN, _ := parameters["StateMachineArn"].(string)
	name, _ := parameters["Name"].(string)
	x, f := a.t.x.e.start(machineARN, name, encode(parameters["Input"]))
	if f != nil {
		a.settle(nil, &Failure{Name: "StepFunctions." + f.Name + "Exception", Cause: f.Cause}, "")
		return
	}
	a.child = x
	a.t.x.record("TaskSubmitted", a.t.prefix+a.t.state, map[string]any{"ExecutionArn": x.arn})
	x.watchers = append(x.watchers, func() {
		described := map[string]any{"ExecutionArn": x.arn, "Name": x.name, "StateMachineArn": x.machine.arn, "Status": x.status, "Input": x.input}
		if x.status == Succeeded {
			described["Output"] = x.output
			a.settle(described, nil, "")
			return
		}
		described["Error"], described["Cause"] = x.err.Name, x.err.Cause
		a.settle(nil, &Failure{Name: "States.TaskFailed", Cause: encode(described)}, "")
	})
}

// Succeed answers a token with JSON. False: nobody waits with it (any more).
func (e *Engine) Succeed(token, output string) bool {
	var result any
	if err := decode([]byte(output), &result); err != nil {
		return false
	}
	return e.answer(token, result, nil)
}

// Fail answers a token with a failure.
func (e *Engine) Fail(token string, f *Failure) bool { return e.answer(token, nil, f) }

func (e *Engine) answer(token string, result any, f *Failure) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.tokens[token]
	if a == nil || a.settled || a.t.over() {
		return false
	}
	delete(e.tokens, token) // a second answer comes too late
	// As an action of its own: the function that registered the token may not have
	// returned yet.
	e.after(0, func() bool { return a.settled || a.t.over() }, func(context.Context) { a.settle(result, f, "") })
	return true
}

// seconds reads a fixed or a computed number of seconds.
func seconds(fixed *json.Number, where string, data, context any) (time.Duration, error) {
	var v any
	if fixed != nil {
		v = *fixed
	} else {
		p, err := parsePath(where)
		if err != nil {
			return 0, err
		}
		found, ok := p.get(data, context)
		if !ok {
			return 0, fmt.Errorf("the path %s is not in the data", where)
		}
		v = found
	}
	n, ok := number(v)
	if !ok || n < 0 || n > 99_999_999 || n != math.Trunc(n) {
		return 0, fmt.Errorf("not a whole number of seconds between 0 and 99999999")
	}
	return time.Duration(n) * time.Second, nil
}
