package steps

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// States that the machine reads beside those of an Outcome.
const (
	proven   = "proven"
	unproven = "unproven"
	ended    = "ended"
	busy     = "busy"
	approved = "approved"
	released = "released"
	again    = "look"
	goOn     = "plan" // the plan is asked again: something is left to do
	stale    = string(request.Stale)
	ready    = string(request.Ready)
	waiting  = string(request.NeedsTask)
)

// begin gives a run its epoch: from here on every other run of the request is
// stale. A run that begins again after a failure keeps its own. While another
// one lives the new one is turned away.
func (t *tools) begin(ctx context.Context, p request.Payload) (request.Result, error) {
	r, err := t.Store.Get(ctx, p.Request)
	if err != nil {
		return request.Result{}, err
	}
	if p.Execution == "" {
		return request.Result{}, errs.New(errs.Invalid, "begin needs the execution")
	}
	err = t.Write(ctx, r, func(r *request.Request) (request.Change, error) {
		if r.State.Ended() {
			return request.Change{}, errEnded
		}
		if r.Execution != p.Execution || r.Epoch == 0 {
			if err := t.takeOver(ctx, r); err != nil {
				return request.Change{}, err
			}
			r.Execution, r.Round = p.Execution, 0
			r.Epoch++
		} else {
			r.Round++
		}
		e, err := r.Do(request.Begin, request.Avow, "", t.Now())
		return request.Change{Request: r, Entries: []request.Entry{e}}, err
	})
	state := unproven
	switch {
	case err == errEnded:
		state = ended
	case err == errBusy:
		return request.Result{State: busy}, nil
	case err != nil:
		return request.Result{}, err
	case r.Identity.Proven():
		state = proven
	}
	return request.Result{State: state, Epoch: new(r.Epoch), Type: r.Type, Timeouts: t.timeouts(r)}, nil
}

var (
	errEnded = errs.New(errs.Conflict, "the request has ended")
	errBusy  = errs.New(errs.Conflict, "another run of the request lives")
)

// takeOver lets a run replace an earlier one that is dead.
func (t *tools) takeOver(ctx context.Context, r *request.Request) error {
	if r.Execution == "" {
		return nil
	}
	alive, err := t.engine.Alive(ctx, r.Execution)
	if err == nil && alive {
		return errBusy
	}
	return err
}

// timeouts are how long the run waits for each kind of decision. Only the proof
// of identity lapses; for the others an execution's own end is the bound, and
// sweep reminds.
func (t *tools) timeouts(r *request.Request) map[string]int {
	longest := request.Seconds(300 * 24 * time.Hour)
	lapses := request.IdentityLapses(r, t.Policy)
	if lapses.IsZero() {
		lapses = t.Now().Add(t.Policy.ForPerson(t.Policy.Identity))
	}
	return map[string]int{
		"identity": max(1, request.Seconds(lapses.Sub(t.Now()))),
		"approval": longest, "task": longest, "release": longest,
	}
}

// wait registers the token of a run that waits for a decision, and answers it at
// once when the decision is there already: it is written before anybody looks
// for the token, so that one of the two always finds the other.
func (t *tools) wait(ctx context.Context, p request.Payload) (request.Result, error) {
	r, err := t.Store.Get(ctx, p.Request)
	if err != nil {
		return request.Result{}, err
	}
	if r.Epoch != p.Epoch || r.State.Ended() {
		_, err := t.engine.Succeed(ctx, p.Token, outcomeOf(r))
		return request.Result{State: stale}, err
	}
	err = t.Store.PutToken(ctx, r.ID, request.Token{Wait: p.Wait, Token: p.Token, Epoch: p.Epoch, At: t.Now()})
	if err != nil {
		return request.Result{}, err
	}
	d, err := t.Store.Decision(ctx, r.ID, p.Wait)
	if err != nil || d == nil || d.Spent() {
		return request.Result{State: waiting, Wait: p.Wait}, err
	}
	delivered, err := t.engine.Succeed(ctx, p.Token, d.Outcome)
	if err == nil && delivered {
		err = t.Store.Delivered(ctx, r.ID, p.Wait, t.Now())
	}
	return request.Result{State: ready}, err
}

// outcomeOf is what a run hears that has nothing to wait for any more.
func outcomeOf(r *request.Request) string {
	if r.State.Ended() {
		return string(r.State)
	}
	return stale
}

// current reads the request of a run. r is nil when the run has nothing to do any
// more: over says whether the request has ended, which leaves its close to do,
// or another run has taken over.
func (t *tools) current(ctx context.Context, p request.Payload) (r *request.Request, over request.Result, err error) {
	r, err = t.Store.Get(ctx, p.Request)
	switch {
	case err != nil:
		return nil, over, err
	case r.Epoch != p.Epoch:
		return nil, request.Result{State: stale}, nil
	case r.State.Ended():
		return nil, request.Result{State: ended}, nil
	}
	return r, over, nil
}

// lapse ends the wait for a proof of identity that did not come in time.
func (t *tools) lapse(ctx context.Context, p request.Payload) (request.Result, error) {
	r, over, err := t.current(ctx, p)
	if err != nil || r == nil {
		return over, err
	}
	if r.Identity.Proven() {
		return request.Result{State: proven}, nil
	}
	if r.State == request.Unverified {
		return request.Result{State: unproven}, nil
	}
	err = t.Write(ctx, r, func(r *request.Request) (request.Change, error) {
		if r.Identity.Proven() {
			return request.Change{}, errProven
		}
		e, err := r.Do(request.Lapse, request.Avow, "identity was not proven in time", t.Now())
		return request.Change{Request: r, Entries: []request.Entry{e}}, err
	})
	if err == errProven {
		return request.Result{State: proven}, nil
	}
	return request.Result{State: unproven}, err
}

var errProven = errs.New(errs.Conflict, "identity is proven")

// locate finds the person in every system.
func (t *tools) locate(ctx context.Context, p request.Payload) (request.Result, error) {
	out, err := t.Locate(ctx, p.Request, p.Epoch)
	if err == nil && out.Status == request.Ready {
		return request.Result{State: approved}, nil
	}
	return out.Result(), err
}

// plan lists the operations that are not finished, by stage.
func (t *tools) plan(ctx context.Context, p request.Payload) (request.Result, error) {
	r, over, err := t.current(ctx, p)
	if err != nil || r == nil {
		return over, err
	}
	plan, err := t.PlanOf(ctx, r)
	if err != nil {
		return request.Result{}, err
	}
	steps, err := t.Store.Steps(ctx, r.ID)
	if err != nil {
		return request.Result{}, err
	}
	done := map[string]bool{}
	for _, s := range steps {
		if s.Look == 0 && s.Operation == plan.Operation && s.Phase.Ended() {
			done[s.System] = true
		}
	}
	out := request.Result{State: ready, Stages: []request.Stage{}}
	for _, stage := range plan.Stages {
		var open []request.Child
		for _, s := range stage {
			if done[s.System] {
				continue
			}
			child, now, err := t.child(ctx, r, s.System, plan)
			if err != nil {
				return request.Result{}, err
			}
			if now {
				open = append(open, child)
			}
		}
		if len(open) > 0 {
			out.Stages = append(out.Stages, request.Stage{Systems: open})
		}
	}
	return out, nil
}

// child is the execution that takes an operation forward; now is false while it
// waits for the answer. A hold comes first: the answer waits for it, too.
func (t *tools) child(ctx context.Context, r *request.Request, system string, plan request.Plan) (child request.Child, now bool, err error) {
	child = r.Child(system, plan.Operation, 0).Under(plan)
	first, err := t.AnswerFirst(ctx, r, system, plan.Operation)
	_, held := r.Held(system)
	if !first && system == r.Channel.System {
		child = child.Anew()
	}
	return child, !first || held, err
}

// advance takes an operation that alters nothing one step forward.
func (t *tools) advance(ctx context.Context, p request.Payload) (request.Result, error) {
	if p.Operation.Changes() || p.Look > 0 {
		return request.Result{}, errs.New(errs.Forbidden, "steps alters nothing: %s is for the function erase", p.Operation)
	}
	out, err := t.Advance(ctx, request.Ref{Request: p.Request, Epoch: p.Epoch, System: p.System, Operation: p.Operation})
	return out.Result(), err
}

// ask puts a failure of the machine itself to an operator, once for each state
// that has failed.
func (t *tools) ask(ctx context.Context, p request.Payload) (request.Result, error) {
	r, over, err := t.current(ctx, p)
	if err != nil || r == nil {
		return over, err
	}
	tasks, err := t.Store.Tasks(ctx, r.ID)
	if err != nil {
		return request.Result{}, err
	}
	for _, task := range tasks {
		if task.Kind == request.TaskEngine && task.Decided.IsZero() && task.System == p.System && task.Reason == failure(p) {
			return request.Result{State: waiting, Wait: request.WaitTask(task.ID)}, nil
		}
	}
	task := t.Task(request.TaskEngine, connector.Ask{
		Reason:       failure(p),
		Instructions: "Look at the logs of the functions steps and erase at this time; when the cause is mended, retry: the request goes on where it stopped.",
	})
	task.System, task.Operation = p.System, p.Operation
	err = t.Open(ctx, r, []request.Task{task}, nil)
	return request.Result{State: waiting, Wait: request.WaitTask(task.ID)}, err
}

// failure names what went wrong: the machine's own words, no data.
func failure(p request.Payload) string {
	return "the step " + p.State + " has failed: " + p.Error
}
