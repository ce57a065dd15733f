package asl

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/avow-consent/avow/internal/request"
)

// TransitionPrice is what AWS asked for a state transition of a Standard
// workflow in November 2026, in US dollars, without tax and beyond the 4,000 of
// each month that are free. https://aws.amazon.com/step-functions/pricing/
const TransitionPrice = 0.025 / 1000

// Figures is what executions have taken.
type Figures struct {
	Executions  int
	Events      int // of the longest history
	Transitions int // of all executions
	Invocations int // of functions
	Lasted      time.Duration
}

// Dollars is the price of the transitions alone; price is that of one.
func (f Figures) Dollars(price float64) float64 { return float64(f.Transitions) * price }

// Figures adds up all executions.
func (e *Engine) Figures() Figures {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := Figures{Executions: len(e.order), Invocations: e.invoked}
	for _, x := range e.order {
		f.Events = max(f.Events, len(x.events))
		f.Transitions += x.entered
		f.Lasted = max(f.Lasted, x.stopped.Sub(e.order[0].started))
	}
	return f
}

// Scenario is a request whose systems and people are stubs: they take their
// time and do nothing.
type Scenario struct {
	Type     request.Type
	Policy   request.Policy
	Identity time.Duration   // until the person proves who they are
	Approval time.Duration   // until an officer approves
	Stages   [][]SystemTimes // the order in which systems are asked
}

// SystemTimes is how long an operation takes.
type SystemTimes struct {
	Works time.Duration // the system's own job; it is polled
	Asks  time.Duration // a person's task before that; 0: none
}

// Play runs a scenario through the definitions of request and system and says
// what it has taken. It fails when the request does not come to its end.
func (s Scenario) Play(ctx context.Context, requests, systems string) (Figures, error) {
	stub := &stub{Scenario: s, Engine: New(time.Date(2027, 1, 4, 9, 0, 0, 0, time.UTC)), steps: map[string]*stubStep{}, asked: map[string]time.Time{}}
	stub.Function("steps", Func(stub.invoke))
	stub.Function("erase", Func(stub.invoke))
	var machine string
	for _, m := range []struct{ name, text string }{{"system", systems}, {"request", requests}} {
		arn, err := stub.Machine(m.name, m.text, Substitutions())
		if err != nil {
			return Figures{}, err
		}
		machine = arn
	}
	arn, err := stub.Start(machine, "r-1", `{"request":"r"}`)
	if err != nil {
		return Figures{}, err
	}
	over := stub.RunUntil(ctx, 2*maxYear, func() bool { return stub.Status(arn) != Running })
	if d, _ := stub.Describe(arn); !over || d.Status != Succeeded || !stub.closed {
		return Figures{}, fmt.Errorf("asl: the request did not close: %s %s %s, waiting for %v", d.Status, d.Error, d.Cause, d.Waiting)
	}
	return stub.Figures(), nil
}

// stub answers as the functions steps and erase do.
type stub struct {
	Scenario
	*Engine
	steps  map[string]*stubStep
	asked  map[string]time.Time // when a person was first asked
	closed bool
}

type stubStep struct {
	since time.Time
	polls int
	asked bool
	done  bool
}

type stubReply struct {
	State    string          `json:"state,omitempty"`
	Epoch    int             `json:"epoch,omitempty"`
	Type     request.Type    `json:"type,omitempty"`
	Timeouts map[string]int  `json:"timeouts,omitempty"`
	Seconds  int             `json:"seconds,omitempty"`
	Wait     string          `json:"wait,omitempty"`
	Look     int             `json:"look,omitempty"`
	Stages   []stubStage     `json:"stages,omitzero"`
	Systems  []stubReference `json:"systems,omitzero"`
}

type stubStage struct {
	Systems []stubReference `json:"systems"`
}

type stubReference struct {
	Request   string `json:"request"`
	Epoch     int    `json:"epoch"`
	System    string `json:"system"`
	Operation string `json:"operation"`
	Look      int    `json:"look"`
	Name      string `json:"name"`
}

func (s *stub) invoke(_ context.Context, payload []byte) ([]byte, error) {
	var call struct {
		Do, System, Wait, Token string
		Look                    int
	}
	if err := json.Unmarshal(payload, &call); err != nil {
		return nil, err
	}
	reply := stubReply{State: "done"}
	switch call.Do {
	case "begin":
		limit := func(d time.Duration) int { return max(1, int(s.Policy.Scale(d).Seconds())) }
		reply = stubReply{State: "unproven", Epoch: 1, Type: s.Type, Timeouts: map[string]int{
			"identity": limit(s.Policy.Identity), "approval": limit(s.Policy.Approval), "task": limit(s.Policy.Task), "release": limit(s.Policy.Approval)}}
	case "wait":
		s.person(call.Wait, call.Token)
	case "locate":
		reply = stubReply{State: "wait", Wait: "approval.digest"}
	case "plan":
		reply = stubReply{State: "planned", Stages: s.unfinished()}
	case "advance":
		reply = s.advance(call.System, call.Look)
	case "package":
		reply = stubReply{State: "wait", Wait: "release.digest"}
	case "answer":
		reply = s.nextLook(1)
	case "look":
		reply = stubReply{State: "look", Systems: s.references(call.Look, s.Stages...)}
	case "looked":
		reply = s.nextLook(call.Look + 1)
	case "close":
		s.closed = true
	case "ask":
		return nil, fmt.Errorf("a stub has nothing to ask: %s", payload)
	}
	return json.Marshal(reply)
}

// person answers when their time has come, however often they are asked.
func (s *stub) person(wait, token string) {
	after, outcome := s.Approval, map[string]string{"approval.digest": "approved", "release.digest": "released", "identity": "proven"}[wait]
	if wait == "identity" {
		after = s.Identity
	}
	if step := s.steps[wait]; step != nil {
		after = s.times(wait).Asks
	}
	first, again := s.asked[wait]
	if !again {
		first = s.Now()
		s.asked[wait] = first
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after(max(0, first.Add(s.Policy.Scale(after)).Sub(s.now)), func() bool { return s.tokens[token] == nil }, func(context.Context) {
		a := s.tokens[token]
		a.settle(map[string]any{"outcome": cmp.Or(outcome, "done")}, nil, "")
	})
}

func (s *stub) times(system string) SystemTimes {
	for i, stage := range s.Stages {
		for j := range stage {
			if stubName(i, j) == system {
				return stage[j]
			}
		}
	}
	return SystemTimes{}
}

func stubName(i, j int) string { return fmt.Sprintf("s%d-%d", i, j) }

func (s *stub) references(look int, stages ...[]SystemTimes) []stubReference {
	var all []stubReference
	for i, stage := range stages {
		for j := range stage {
			all = append(all, s.reference(stubName(i, j), look))
		}
	}
	return all
}

func (s *stub) reference(system string, look int) stubReference {
	return stubReference{"r", 1, system, string(s.Type.Operation()), look, fmt.Sprintf("r-1-%s-%d", system, look)}
}

func (s *stub) unfinished() []stubStage {
	stages := []stubStage{}
	for i, stage := range s.Stages {
		var left []stubReference
		for j := range stage {
			if step := s.steps[stubName(i, j)]; step == nil || !step.done {
				left = append(left, s.reference(stubName(i, j), 0))
			}
		}
		if len(left) > 0 {
			stages = append(stages, stubStage{left})
		}
	}
	return stages
}

// advance does one step of an operation, with the policy's own pauses.
func (s *stub) advance(system string, look int) stubReply {
	if look > 0 {
		return stubReply{State: "done"} // nothing is there any more
	}
	step, times := s.steps[system], s.times(system)
	if step == nil {
		step = &stubStep{}
		s.steps[system] = step
	}
	if times.Asks > 0 && !step.asked {
		if first, ok := s.asked[system]; !ok || s.Now().Before(first.Add(s.Policy.Scale(times.Asks))) {
			return stubReply{State: "wait", Wait: system}
		}
		step.asked = true
	}
	if step.since.IsZero() {
		step.since = s.Now()
	}
	if step.done = !s.Now().Before(step.since.Add(s.Policy.Scale(times.Works))); step.done {
		return stubReply{State: "done"}
	}
	step.polls++
	return stubReply{State: "pending", Seconds: max(1, int(s.Policy.Backoff(step.polls-1).Seconds()))}
}

func (s *stub) nextLook(n int) stubReply {
	if s.Type != request.Erasure || n > len(s.Policy.Looks) {
		return stubReply{State: "done"}
	}
	pause := s.Policy.Looks[n-1]
	if n > 1 {
		pause -= s.Policy.Looks[n-2]
	}
	return stubReply{State: "look", Look: n, Seconds: int(s.Policy.Scale(pause).Seconds())}
}
