package asl_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/asl"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/flow"
)

var start = time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)

// stage is an engine with one machine "m" and one function "f".
type stage struct {
	*asl.Engine
	t   testing.TB
	arn string
}

func newStage(t testing.TB, definition string, f asl.Func) *stage {
	t.Helper()
	s := &stage{Engine: asl.New(start), t: t}
	s.Function("f", f)
	s.define("m", definition)
	return s
}

func (s *stage) define(name, definition string) {
	s.t.Helper()
	arn, err := s.Machine(name, definition, map[string]string{"F": asl.FunctionARN("f"), "M": asl.MachineARN("m"), "Child": asl.MachineARN("child")})
	if err != nil {
		s.t.Fatal(err)
	}
	if s.arn == "" {
		s.arn = arn
	}
}

// run starts an execution and lets the clock run until nothing is due any more.
func (s *stage) run(input string) asl.Description {
	s.t.Helper()
	arn, err := s.Start(s.arn, "x", input)
	if err != nil {
		s.t.Fatal(err)
	}
	s.RunUntil(s.t.Context(), 1000*24*time.Hour, func() bool { return s.Status(arn) != asl.Running })
	return s.describe(arn)
}

func (s *stage) describe(arn string) asl.Description {
	s.t.Helper()
	d, ok := s.Describe(arn)
	if !ok {
		s.t.Fatalf("there is no execution %s", arn)
	}
	return d
}

func echo(_ context.Context, payload []byte) ([]byte, error) { return payload, nil }

// replies answers with one text after the other; "!Name" fails with that name.
func replies(texts ...string) asl.Func {
	return func(context.Context, []byte) ([]byte, error) {
		if len(texts) == 0 {
			return nil, errors.New("called too often")
		}
		text := texts[0]
		texts = texts[1:]
		if name, ok := strings.CutPrefix(text, "!"); ok {
			return nil, &asl.Failure{Name: name, Cause: "as told"}
		}
		return []byte(text), nil
	}
}

// machine wraps states; the first one named begins.
func machine(first, states string) string {
	return `{"StartAt":"` + first + `","States":{` + states + `}}`
}

const call = `"Call":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"${F}","Payload.$":"$"},
  "ResultSelector":{"reply.$":"$.Payload"},"ResultPath":"$.called","TimeoutSeconds":60,%s"End":true}`

func TestRun(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		definition string
		f          asl.Func
		input      string
		status     string
		output     string // or error: name
		path       string
		after      time.Duration // that have passed in the end
	}{
		"pass": {machine("A", `"A":{"Type":"Pass","Result":{"x":1},"ResultPath":"$.a.b","Next":"B"},"B":{"Type":"Pass","Parameters":{"y.$":"$.a.b.x","n":{"z.$":"$$.Execution.Name"},"l":[1,{"m.$":"$.k"}]},"End":true}`),
			nil, `{"k":"v"}`, asl.Succeeded, `{"l":[1,{"m":"v"}],"n":{"z":"x"},"y":1}`, "A B", 0},
		"a path that is missing": {machine("A", `"A":{"Type":"Pass","Parameters":{"y.$":"$.a"},"End":true}`), nil, `{}`, asl.Failed, "States.Runtime", "A", 0},
		"choice": {machine("A", `"A":{"Type":"Choice","Choices":[
			{"And":[{"Variable":"$.n","IsPresent":true},{"Variable":"$.n","NumericGreaterThan":3}],"Next":"B"},
			{"Or":[{"Variable":"$.s","StringEquals":"x"},{"Not":{"Variable":"$.l[1]","IsPresent":true}}],"Next":"C"}],"Default":"D"},
			"B":{"Type":"Succeed"},"C":{"Type":"Succeed"},"D":{"Type":"Succeed"}`), nil, `{"s":"y","l":[1]}`, asl.Succeeded, `{"l":[1],"s":"y"}`, "A C", 0},
		"a comparison of nothing": {machine("A", `"A":{"Type":"Choice","Choices":[{"Variable":"$.n","NumericGreaterThan":3,"Next":"B"}],"Default":"B"},"B":{"Type":"Succeed"}`), nil, `{}`, asl.Failed, "States.Runtime", "A", 0},
		"fail":                    {machine("A", `"A":{"Type":"Fail","Error":"Mine","Cause":"c"}`), nil, `{}`, asl.Failed, "Mine", "A", 0},
		"wait":                    {machine("A", `"A":{"Type":"Wait","Seconds":90,"Next":"B"},"B":{"Type":"Wait","SecondsPath":"$.s","End":true}`), nil, `{"s":30}`, asl.Succeeded, `{"s":30}`, "A B", 2 * time.Minute},
		"a wait of half a second": {machine("B", `"B":{"Type":"Wait","SecondsPath":"$.s","End":true}`), nil, `{"s":0.5}`, asl.Failed, "States.Runtime", "B", 0},
		"task":                    {machine("Call", fmt.Sprintf(call, "")), echo, `{"a":1}`, asl.Succeeded, `{"a":1,"called":{"reply":{"a":1}}}`, "Call", 0},
		"a function without answer": {machine("Call", fmt.Sprintf(call, "")), func(context.Context, []byte) ([]byte, error) { return nil, nil }, `{}`,
			asl.Succeeded, `{"called":{"reply":null}}`, "Call", 0},
		"an error of Go": {machine("Call", fmt.Sprintf(call, "")), func(context.Context, []byte) ([]byte, error) { return nil, errs.New(errs.Invalid, "x") }, `{}`,
			asl.Failed, "Error", "Call", 0},
		"an error with a name": {machine("Call", fmt.Sprintf(call, "")), func(context.Context, []byte) ([]byte, error) {
			return nil, messages.InvokeResponse_Error{Type: "Unavailable", Message: "x"}
		}, `{}`, asl.Failed, "Unavailable", "Call", 0},
		"a panic": {machine("Call", fmt.Sprintf(call, "")), func(context.Context, []byte) ([]byte, error) { panic(errors.New("x")) }, `{}`,
			asl.Failed, "errorString", "Call", 0},
		"retry": {machine("Call", fmt.Sprintf(call, `"Retry":[{"ErrorEquals":["X"],"IntervalSeconds":2,"BackoffRate":3,"MaxDelaySeconds":10},{"ErrorEquals":["States.ALL"],"IntervalSeconds":5,"MaxAttempts":1}],`)),
			replies("!X", "!Y", "!X", "!X", `1`), `{}`, asl.Succeeded, `{"called":{"reply":1}}`, "Call", (2 + 5 + 6 + 10) * time.Second},
		"retry in vain": {machine("Call", fmt.Sprintf(call, `"Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":1,"MaxAttempts":2}],`)),
			replies("!X", "!X", "!X"), `{}`, asl.Failed, "X", "Call", 3 * time.Second},
		"never tried again": {machine("Call", fmt.Sprintf(call, `"Retry":[{"ErrorEquals":["X"],"MaxAttempts":0},{"ErrorEquals":["States.ALL"]}],`)),
			replies("!X"), `{}`, asl.Failed, "X", "Call", 0},
		"catch": {machine("Call", fmt.Sprintf(call, `"Catch":[{"ErrorEquals":["Y"],"Next":"A"},{"ErrorEquals":["States.TaskFailed"],"ResultPath":"$.e","Next":"B"}],`)+`,"A":{"Type":"Succeed"},"B":{"Type":"Succeed"}`),
			replies("!X"), `{"k":1}`, asl.Succeeded, `{"e":{"Cause":"as told","Error":"X"},"k":1}`, "Call B", 0},
		"a function that hangs": {machine("Call", fmt.Sprintf(call, `"Catch":[{"ErrorEquals":["States.Timeout"],"ResultPath":"$.e","Next":"B"}],`)+`,"B":{"Type":"Succeed"}`),
			func(context.Context, []byte) ([]byte, error) { return nil, asl.ErrHang }, `{}`, asl.Succeeded, `{"e":{"Cause":"","Error":"States.Timeout"}}`, "Call B", time.Minute},
		"too large an answer": {machine("Call", fmt.Sprintf(call, `"Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],`)+`,"B":{"Type":"Succeed"}`),
			replies(`"` + strings.Repeat("x", asl.MaxData) + `"`), `{}`, asl.Failed, "States.DataLimitExceeded", "Call", 0},
		"States.Runtime is not caught": {machine("Call", fmt.Sprintf(strings.Replace(call, `"$"`, `"$.missing"`, 1), `"Catch":[{"ErrorEquals":["States.ALL"],"Next":"B"}],`)+`,"B":{"Type":"Succeed"}`),
			echo, `{}`, asl.Failed, "States.Runtime", "Call", 0},
		"intrinsics": {machine("A", `"A":{"Type":"Pass","Parameters":{"a.$":"States.ArrayContains($.l[*].e, 'b, c')","b.$":"States.ArrayGetItem($.l, 1)","c.$":"States.Format('{}-{}', $.s, 7)"},"End":true}`),
			nil, `{"l":[{"e":"a"},{"e":"b, c"}],"s":"x"}`, asl.Succeeded, `{"a":true,"b":{"e":"b, c"},"c":"x-7"}`, "A", 0},
		"a loop without end": {machine("A", `"A":{"Type":"Pass","Next":"B"},"B":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"C"}],"Default":"A"},"C":{"Type":"Succeed"}`),
			nil, `{}`, asl.Failed, "States.Runtime", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, tt.definition, tt.f)
			d := s.run(tt.input)
			got := d.Output
			if d.Status != asl.Succeeded {
				got = d.Error
			}
			if d.Status != tt.status || got != tt.output {
				t.Errorf("%s %s (%s), want %s %s", d.Status, got, d.Cause, tt.status, tt.output)
			}
			if path := strings.Join(d.Path, " "); tt.path != "" && path != tt.path {
				t.Errorf("went %s, want %s", path, tt.path)
			}
			if after := s.Now().Sub(start); after != tt.after {
				t.Errorf("took %s, want %s", after, tt.after)
			}
		})
	}
}

const ask = `"Ask":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke.waitForTaskToken","Parameters":{"FunctionName":"${F}","Payload":{"token.$":"$$.Task.Token"}},
  "ResultSelector":{"reply.$":"$"},"ResultPath":"$.decided","TimeoutSecondsPath":"$.limit",%s"End":true}`

func tokenOf(payload []byte) string {
	var p struct{ Token string }
	_ = json.Unmarshal(payload, &p)
	return p.Token
}

func TestCallback(t *testing.T) {
	t.Parallel()
	var tokens []string
	s := newStage(t, machine("Ask", fmt.Sprintf(ask, `"Catch":[{"ErrorEquals":["States.Timeout"],"ResultPath":"$.e","Next":"Late"}],`)+`,"Late":{"Type":"Pass","Next":"Ask"}`),
		func(_ context.Context, payload []byte) ([]byte, error) {
			tokens = append(tokens, tokenOf(payload))
			return nil, nil
		})
	arn, err := s.Start(s.arn, "x", `{"limit":60}`)
	if err != nil {
		t.Fatal(err)
	}
	s.Advance(t.Context(), 90*time.Second)
	if d := s.describe(arn); len(tokens) != 2 || tokens[0] == tokens[1] || !slices.Equal(d.Waiting, []string{"Ask"}) {
		t.Fatalf("after one time-out: tokens %q, waiting for %q", tokens, d.Waiting)
	}
	if s.Succeed(tokens[0], `{"outcome":"late"}`) {
		t.Error("a token whose time was over was accepted")
	}
	if !s.Succeed(tokens[1], `{"outcome":"approved"}`) || s.Succeed(tokens[1], `{"outcome":"twice"}`) {
		t.Error("a token is accepted once")
	}
	s.RunUntilIdle(t.Context())
	d := s.describe(arn)
	if want := `"decided":{"reply":{"outcome":"approved"}}`; d.Status != asl.Succeeded || !strings.Contains(d.Output, want) || len(d.Waiting) != 0 {
		t.Errorf("%s %s, waiting for %q", d.Status, d.Output, d.Waiting)
	}
	if next, ok := s.Next(); ok {
		t.Errorf("something is due at %s though nothing runs", next)
	}
}

// A function may answer its own token before it returns, and may then fail.
func TestCallback_atOnce(t *testing.T) {
	t.Parallel()
	var s *stage
	s = newStage(t, machine("Ask", fmt.Sprintf(ask, "")), func(_ context.Context, payload []byte) ([]byte, error) {
		if !s.Succeed(tokenOf(payload), `{"outcome":"approved"}`) {
			t.Error("the token is not known while the function runs")
		}
		return nil, nil
	})
	if d := s.run(`{"limit":60}`); d.Status != asl.Succeeded {
		t.Errorf("%s %s", d.Status, d.Error)
	}
}

func TestCallback_fails(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(s *stage) asl.Func{
		"the function": func(*stage) asl.Func { return replies("!X") },
		"the answer": func(s *stage) asl.Func {
			return func(_ context.Context, payload []byte) ([]byte, error) {
				s.Fail(tokenOf(payload), &asl.Failure{Name: "X"})
				return nil, nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, machine("Ask", fmt.Sprintf(ask, "")), nil)
			s.Function("f", f(s))
			if d := s.run(`{"limit":60}`); d.Status != asl.Failed || d.Error != "X" {
				t.Errorf("%s %s", d.Status, d.Error)
			}
		})
	}
}

const each = `"Each":{"Type":"Map","ItemsPath":"$.l","MaxConcurrency":%d,"ItemProcessor":{"ProcessorConfig":{"Mode":"INLINE"},"StartAt":"Wait","States":{
  "Wait":{"Type":"Choice","Choices":[{"Variable":"$.s","NumericEquals":0,"Next":"Call"}],"Default":"Pause"},
  "Pause":{"Type":"Wait","SecondsPath":"$.s","Next":"Call"},
  "Call":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"${F}","Payload":{"n.$":"$.n"}},"ResultSelector":{"n.$":"$.Payload.n"},"TimeoutSeconds":10,"End":true}}},
  "ResultSelector":{"all.$":"$[*].n"},"ResultPath":"$.each",%s"Next":"Done"},"Done":{"Type":"Pass","Parameters":{"all.$":"$.each.all"},"End":true},"Caught":{"Type":"Succeed"}`

// An item that waits holds up only those for which there is no room.
func TestMap(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		concurrency int
		order       string
		after       time.Duration
	}{
		"one by one":    {1, "1 2 3", 70 * time.Second},
		"two at a time": {2, "2 3 1", 60 * time.Second},
		"all at once":   {0, "2 3 1", 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var order []string
			s := newStage(t, machine("Each", fmt.Sprintf(each, tt.concurrency, "")), func(_ context.Context, payload []byte) ([]byte, error) {
				var p struct{ N json.Number }
				_ = json.Unmarshal(payload, &p)
				order = append(order, p.N.String())
				return payload, nil
			})
			d := s.run(`{"l":[{"n":1,"s":60},{"n":2,"s":0},{"n":3,"s":10}]}`)
			if got := strings.Join(order, " "); got != tt.order || d.Output != `{"all":[1,2,3]}` || s.Now().Sub(start) != tt.after {
				t.Errorf("order %s, output %s, after %s", got, d.Output, s.Now().Sub(start))
			}
		})
	}
	t.Run("nothing to do", func(t *testing.T) {
		t.Parallel()
		if d := newStage(t, machine("Each", fmt.Sprintf(each, 1, "")), echo).run(`{"l":[]}`); d.Output != `{"all":[]}` {
			t.Errorf("%s %s", d.Status, d.Output)
		}
	})
}

// One item that fails ends the Map and the other items.
func TestMap_fails(t *testing.T) {
	t.Parallel()
	s := newStage(t, machine("Each", fmt.Sprintf(each, 0, `"Retry":[{"ErrorEquals":["States.ALL"],"MaxAttempts":1,"IntervalSeconds":7}],"Catch":[{"ErrorEquals":["States.ALL"],"ResultPath":"$.e","Next":"Caught"}],`)),
		replies("!X", "!X"))
	d := s.run(`{"l":[{"n":1,"s":60},{"n":2,"s":0}]}`)
	if d.Status != asl.Succeeded || !strings.HasSuffix(strings.Join(d.Path, " "), "Caught") || s.Now().Sub(start) != 7*time.Second {
		t.Errorf("%s %q after %s", d.Status, d.Path, s.Now().Sub(start))
	}
	if n := count(d, "MapIterationAborted"); n != 2 {
		t.Errorf("%d items were aborted, want 2", n)
	}
}

func count(d asl.Description, kind string) int {
	n := 0
	for _, e := range d.Events {
		if e.Type == kind {
			n++
		}
	}
	return n
}

const parent = `"Child":{"Type":"Task","Resource":"arn:aws:states:::states:startExecution.sync:2",
  "Parameters":{"StateMachineArn":"${Child}","Name.$":"$.name","Input":{"s.$":"$.s"}},"ResultSelector":{"out.$":"$.Output"},"TimeoutSeconds":1000,%s"End":true}`

func TestNested(t *testing.T) {
	t.Parallel()
	caught := `"Retry":[{"ErrorEquals":["States.Timeout"],"MaxAttempts":0}],"Catch":[{"ErrorEquals":["States.ALL"],"Next":"Caught"}],`
	for name, tt := range map[string]struct {
		child  string
		before func(s *stage)
		while  func(s *stage)
		input  string
		output string
		status string // of the child in the end
		runs   int
	}{
		"succeeds": {`"A":{"Type":"Wait","SecondsPath":"$.s","Next":"B"},"B":{"Type":"Pass","Result":{"state":"done"},"End":true}`, nil, nil,
			`{"name":"c","s":5}`, `{"out":{"state":"done"}}`, asl.Succeeded, 2},
		"is joined": {`"A":{"Type":"Wait","SecondsPath":"$.s","Next":"B"},"B":{"Type":"Pass","Result":{"state":"done"},"End":true}`,
			func(s *stage) {
				_, _ = s.Start(asl.MachineARN("child"), "c", `{"s":5}`)
				s.Advance(s.t.Context(), time.Second)
			}, nil,
			`{"name":"c","s":5}`, `{"out":{"state":"done"}}`, asl.Succeeded, 2},
		"has ended before": {`"A":{"Type":"Succeed"}`,
			func(s *stage) {
				_, _ = s.Start(asl.MachineARN("child"), "c", `{"s":5}`)
				s.Advance(s.t.Context(), time.Second)
			}, nil,
			`{"name":"c","s":5}`, `StepFunctions.ExecutionAlreadyExistsException`, asl.Succeeded, 2},
		"runs with another input": {`"A":{"Type":"Wait","Seconds":10000,"End":true}`,
			func(s *stage) { _, _ = s.Start(asl.MachineARN("child"), "c", `{"s":6}`) }, nil,
			`{"name":"c","s":5}`, `StepFunctions.ExecutionAlreadyExistsException`, asl.Running, 2},
		"has a bad name": {`"A":{"Type":"Succeed"}`, nil, nil, `{"name":"c c","s":5}`, `StepFunctions.InvalidNameException`, "", 1},
		"fails":          {`"A":{"Type":"Fail","Error":"E","Cause":"c"}`, nil, nil, `{"name":"c","s":5}`, `States.TaskFailed`, asl.Failed, 2},
		"is stopped": {`"A":{"Type":"Wait","Seconds":100,"End":true}`, nil, func(s *stage) { s.Stop(asl.ExecutionARN("child", "c")) },
			`{"name":"c","s":5}`, `States.TaskFailed`, asl.Aborted, 2},
		"takes too long": {`"A":{"Type":"Wait","Seconds":1001,"End":true}`, nil, nil, `{"name":"c","s":5}`, `States.Timeout`, asl.Aborted, 2},
		"its parent is stopped": {`"A":{"Type":"Wait","Seconds":100,"End":true}`, nil, func(s *stage) { s.Stop(asl.ExecutionARN("m", "x")) },
			`{"name":"c","s":5}`, `Avow.Stopped`, asl.Aborted, 2},
		"an orphan goes on": {`"A":{"Type":"Wait","Seconds":100,"End":true}`, nil, func(s *stage) { s.Orphans = true; s.Stop(asl.ExecutionARN("m", "x")) },
			`{"name":"c","s":5}`, `Avow.Stopped`, asl.Running, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, machine("Child", fmt.Sprintf(parent, caught)+`,"Caught":{"Type":"Pass","End":true}`), nil)
			s.define("child", machine("A", tt.child))
			if tt.before != nil {
				tt.before(s)
			}
			if _, err := s.Start(s.arn, "x", tt.input); err != nil {
				t.Fatal(err)
			}
			s.Advance(t.Context(), 2*time.Second)
			if tt.while != nil {
				tt.while(s)
			}
			x := asl.ExecutionARN("m", "x")
			s.RunUntil(t.Context(), time.Hour, func() bool { return s.Status(x) != asl.Running })
			d := s.describe(x)
			if got := d.Output + d.Error; !strings.Contains(got, tt.output) {
				t.Errorf("%s %s, want %s", d.Status, got, tt.output)
			}
			if len(s.Executions()) != tt.runs {
				t.Errorf("executions %q, want %d", s.Executions(), tt.runs)
			}
			if c, ok := s.Describe(asl.ExecutionARN("child", "c")); ok && c.Status != tt.status || !ok && tt.status != "" {
				t.Errorf("the child is %q, want %q", c.Status, tt.status)
			}
		})
	}
}

// The kinds and the number of events are those of AWS.
func TestHistory(t *testing.T) {
	t.Parallel()
	s := newStage(t, machine("Call", strings.Replace(fmt.Sprintf(call, `"Retry":[{"ErrorEquals":["X"]}],`), `"End":true`, `"Next":"Ask"`, 1)+","+
		strings.Replace(fmt.Sprintf(ask, ""), `"End":true`, `"Next":"Wait"`, 1)+`,"Wait":{"Type":"Wait","Seconds":1,"Next":"Done"},"Done":{"Type":"Succeed"}`), nil)
	n := 0
	s.Function("f", asl.Func(func(_ context.Context, payload []byte) ([]byte, error) {
		if n++; n == 1 {
			return nil, &asl.Failure{Name: "X"}
		}
		s.Succeed(tokenOf(payload), `{}`)
		return []byte(`{}`), nil
	}))
	d := s.run(`{"limit":5}`)
	var kinds []string
	for _, e := range d.Events {
		kinds = append(kinds, e.Type)
	}
	want := []string{
		"ExecutionStarted",
		"TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskFailed", "TaskScheduled", "TaskStarted", "TaskSucceeded", "TaskStateExited",
		"TaskStateEntered", "TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded", "TaskStateExited",
		"WaitStateEntered", "WaitStateExited",
		"SucceedStateEntered", "SucceedStateExited",
		"ExecutionSucceeded",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if d.Transitions != 4+1+2 { // states, a further attempt, start and end
		t.Errorf("%d transitions", d.Transitions)
	}
}

func TestMaxEvents(t *testing.T) {
	t.Parallel()
	s := newStage(t, machine("A", `"A":{"Type":"Wait","Seconds":1,"Next":"B"},"B":{"Type":"Pass","Next":"A"},"C":{"Type":"Succeed"}`), nil)
	if d := s.run(`{}`); d.Status != asl.Failed || len(d.Events) != asl.MaxEvents+1 {
		t.Errorf("%s after %d events", d.Status, len(d.Events))
	}
}

// A running execution keeps its definition.
func TestMachine_replaced(t *testing.T) {
	t.Parallel()
	s := newStage(t, machine("A", `"A":{"Type":"Wait","Seconds":10,"Next":"B"},"B":{"Type":"Pass","Result":1,"End":true}`), nil)
	arn, err := s.Start(s.arn, "x", `{}`)
	if err != nil {
		t.Fatal(err)
	}
	s.Advance(t.Context(), time.Second)
	s.define("m", machine("B", `"B":{"Type":"Pass","Result":2,"End":true}`))
	s.Advance(t.Context(), time.Minute)
	if d := s.describe(arn); d.Output != "1" {
		t.Errorf("%s %s", d.Status, d.Output)
	}
}

func TestMachine_refused(t *testing.T) {
	t.Parallel()
	e := asl.New(start)
	for _, definition := range []string{``, `{}`, machine("A", `"A":{"Type":"Pass","Next":"B"}`), machine("A", `"A":{"Type":"Parallel","End":true}`)} {
		if _, err := e.Machine("m", definition, nil); err == nil {
			t.Errorf("%q was accepted", definition)
		}
	}
	for name, input := range map[string]string{"no machine": `{}`, "no JSON": `{`, "a bad name!": `{}`} {
		arn := asl.MachineARN("none")
		if name == "no JSON" {
			arn, _ = e.Machine("m", machine("A", `"A":{"Type":"Succeed"}`), nil)
		}
		if _, err := e.Start(arn, name, input); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}

// What the functions are given is what internal/flow is on AWS.
var _ interface {
	Start(ctx context.Context, request, name string) (string, error)
	Alive(ctx context.Context, execution string) (bool, error)
	Succeed(ctx context.Context, token, outcome string) (bool, error)
	Stop(ctx context.Context, execution string) error
} = (*flow.Machine)(nil)

func TestFlow(t *testing.T) {
	t.Parallel()
	var token string
	s := newStage(t, machine("Limit", `"Limit":{"Type":"Pass","Result":100,"ResultPath":"$.limit","Next":"Ask"},`+fmt.Sprintf(ask, "")), func(_ context.Context, payload []byte) ([]byte, error) {
		token = tokenOf(payload)
		return nil, nil
	})
	f := s.Flow(s.arn)
	ctx := t.Context()
	x, err := f.Start(ctx, "018f", "018f-1")
	if again, err2 := f.Start(ctx, "018f", "018f-1"); err != nil || err2 != nil || again != x {
		t.Fatalf("started %q, %v and %q, %v", x, err, again, err2)
	}
	if _, err := f.Start(ctx, "018e", "018f-1"); !errs.Is(err, errs.Conflict) {
		t.Errorf("the name with another request: %v", err)
	}
	s.RunUntilIdle(ctx)
	if alive, err := f.Alive(ctx, x); !alive || err != nil {
		t.Errorf("alive: %v, %v", alive, err)
	}
	if alive, err := f.Alive(ctx, x+"0"); alive || err != nil {
		t.Errorf("an unknown one is alive: %v, %v", alive, err)
	}
	if ok, err := f.Succeed(ctx, token, "approved"); !ok || err != nil {
		t.Errorf("delivered: %v, %v", ok, err)
	}
	if ok, err := f.Succeed(ctx, token, "approved"); ok || err != nil {
		t.Errorf("delivered twice: %v, %v", ok, err)
	}
	s.RunUntilIdle(ctx)
	if d := s.describe(x); d.Status != asl.Succeeded || !strings.Contains(d.Output, `"outcome":"approved"`) {
		t.Errorf("%s %s", d.Status, d.Output)
	}
	if _, err := f.Start(ctx, "018f", "018f-1"); !errs.Is(err, errs.Conflict) {
		t.Errorf("the name of one that has ended: %v", err)
	}
	y, err := f.Start(ctx, "018f", "018f-2")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Stop(ctx, y); err != nil || s.Status(y) != asl.Aborted {
		t.Errorf("stopped: %v, %s", err, s.Status(y))
	}
	if err := f.Stop(ctx, y+"0"); err != nil {
		t.Errorf("stopping what is not there: %v", err)
	}
	s.Lose()
	if alive, err := f.Alive(ctx, x); alive || err != nil || len(s.Executions()) > 0 {
		t.Errorf("after a loss: %v, %v, %q", alive, err, s.Executions())
	}
}

func FuzzLint(f *testing.F) {
	f.Add([]byte(sound))
	f.Add([]byte(definition(f, "request")))
	f.Add([]byte(definition(f, "system")))
	f.Add([]byte(`{"StartAt":"A","States":{"A":null}}`))
	f.Add([]byte(`{"StartAt":"A","States":{"A":{"Type":"Map","End":true,"ItemProcessor":{"StartAt":"A"}}}}`))
	f.Add([]byte(`{"StartAt":"A","States":{"A":{"Type":"Pass","Parameters":{"a.$":"States.Format('"},"End":true}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if findings := asl.Lint(text, asl.House); len(findings) > 0 {
			return
		}
		e := asl.New(start)
		m, err := e.Machine("m", string(text), asl.Substitutions())
		if err != nil {
			t.Fatalf("lint finds nothing, but: %v", err)
		}
		e.Function("steps", asl.Func(echo))
		e.Function("erase", asl.Func(echo))
		x, err := e.Start(m, "x", `{"request":"r"}`)
		if err != nil {
			t.Fatal(err)
		}
		e.RunUntil(t.Context(), time.Hour, func() bool { return false })
		if d, _ := e.Describe(x); d.Error == "States.Runtime" && strings.Contains(d.Cause, "not in the data") {
			t.Errorf("lint finds nothing, but %s", d.Cause)
		}
	})
}
