package request_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/request"
)

// bureau is a desk that is found by an e-mail and a chat that is found by what the
// desk knows, with a vendor who wants the chats to go first.
type bureau struct {
	*bench
	desk, chat *crm
	chats      []string // in the chat; the desk knows all of their ids
	deskDown   error
}

func newBureau(t *testing.T) *bureau {
	t.Helper()
	does := []connector.Operation{connector.Erase}
	o := &bureau{
		desk: &crm{does: does, needs: []identity.Kind{identity.Email}, yields: []identity.Kind{"desk.chat_id"}, after: map[string]string{"chat": "the user leads to the chats"}},
		chat: &crm{does: does, needs: []identity.Kind{"desk.chat_id"}},
	}
	o.desk.located = func(connector.Subject) (connector.Findings, error) {
		var ids []identity.Identifier
		for _, id := range o.chats {
			ids = append(ids, vendorID("desk.chat_id", id))
		}
		return found("users", 1, ids...), o.deskDown
	}
	known := func(s connector.Subject) (n int) {
		for _, id := range s.Of("desk.chat_id") {
			if slices.Contains(o.chats, id.Value.Reveal()) {
				n++
			}
		}
		return n
	}
	o.chat.located = func(s connector.Subject) (connector.Findings, error) {
		if n := known(s); n > 0 {
			return found("chats", n), nil
		}
		return connector.Findings{}, nil
	}
	o.chat.start = func(call connector.Call) (connector.Progress, error) {
		o.chats = slices.DeleteFunc(o.chats, func(id string) bool {
			return slices.ContainsFunc(call.Subject.Of("desk.chat_id"), func(i identity.Identifier) bool { return i.Value.Reveal() == id })
		})
		return connector.Progress{Done: true}, nil
	}
	o.bench = newBench(t, locating(request.Erasure),
		request.System{Name: "chat", Connector: o.chat}, request.System{Name: "desk", Connector: o.desk})
	return o
}

// runs locates and approves.
func (o *bureau) runs(t *testing.T) {
	t.Helper()
	o.locate(t)
	r := o.request(t)
	r.State = request.Running
	if err := o.store.Write(t.Context(), request.Change{Request: r}); err != nil {
		t.Fatal(err)
	}
}

func (o *bureau) erase(t *testing.T, system string, look int) request.Outcome {
	t.Helper()
	out, err := o.Advance(t.Context(), request.Ref{Request: o.id, Epoch: 1, System: system, Operation: connector.Erase, Look: look})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// waits wants the desk to leave the turn to the chat, which is in the plan now,
// under another plan's name.
func (o *bureau) waits(t *testing.T) {
	t.Helper()
	before, err := o.PlanOf(t.Context(), o.request(t))
	if err != nil {
		t.Fatal(err)
	}
	if out := o.erase(t, "desk", 0); out.Status != request.Ready || slices.Contains(o.desk.calls, "start") {
		t.Fatalf("%+v, calls %v", out, o.desk.calls)
	}
	after, err := o.PlanOf(t.Context(), o.request(t))
	if err != nil || after.Of("chat") == nil || len(after.Of("desk").After) == 0 {
		t.Fatalf("the plan is %+v, %v", after, err)
	}
	r := o.request(t)
	if child := r.Child("desk", connector.Erase, 0); child.Under(before).Name == child.Under(after).Name {
		t.Error("the next execution has the name of the one that has ended")
	}
	if out := o.erase(t, "chat", 0); out.Status != request.Ready || len(o.chats) > 0 {
		t.Fatalf("the chat: %+v, left %v", out, o.chats)
	}
	if out := o.erase(t, "desk", 0); out.Status != request.Ready || !slices.Contains(o.desk.calls, "start") {
		t.Errorf("then the desk: %+v, calls %v", out, o.desk.calls)
	}
}

// The desk could not be asked before the approval: what it knows of the chats is
// not destroyed before they are.
func TestAdvance_orderOfWhatFailed(t *testing.T) {
	t.Parallel()
	o := newBureau(t)
	o.chats, o.deskDown = []string{"c1"}, errs.New(errs.Forbidden, "desk: 403")
	o.runs(t)
	o.deskDown = nil
	o.waits(t)
}

// Days lie between the search and the approval: who is asked long after is asked
// again, and so is what they lead to.
func TestAdvance_orderOfWhatCame(t *testing.T) {
	t.Parallel()
	o := newBureau(t)
	o.runs(t)
	o.now = o.now.Add(2 * 24 * time.Hour)
	o.chats = []string{"c1"}
	o.waits(t)
}

// Soon after the search nobody is asked twice.
func TestAdvance_orderOfWhatIsFresh(t *testing.T) {
	t.Parallel()
	o := newBureau(t)
	o.chats = []string{"c1"}
	o.runs(t)
	asked := len(o.desk.calls) + len(o.chat.calls)
	for _, system := range []string{"chat", "desk"} {
		if out := o.erase(t, system, 0); out.Status != request.Ready {
			t.Fatalf("%s: %+v", system, out)
		}
	}
	if n := len(o.desk.calls) + len(o.chat.calls) - asked; n != 4 {
		t.Errorf("%d calls, want a start and a look at each: %v, %v", n, o.desk.calls, o.chat.calls)
	}
}

// A chat that cannot be asked holds the desk back, for as long as an operation
// may take; then a person is asked.
func TestAdvance_orderOfWhatIsDown(t *testing.T) {
	t.Parallel()
	o := newBureau(t)
	o.chats = []string{"c1"}
	o.runs(t)
	o.now = o.now.Add(2 * 24 * time.Hour)
	o.chats = []string{"c1", "c2"}
	o.chat.located = func(connector.Subject) (connector.Findings, error) { return connector.Findings{}, errDown }
	if out := o.erase(t, "desk", 0); out.Status != request.Waiting || out.After <= 0 || slices.Contains(o.desk.calls, "start") {
		t.Fatalf("%+v, calls %v", out, o.desk.calls)
	}
	o.now = o.now.Add(o.Policy.PollDeadline)
	if out := o.erase(t, "desk", 0); out.Status != request.Ready || slices.Contains(o.desk.calls, "start") {
		t.Fatalf("at the end of patience: %+v, calls %v", out, o.desk.calls)
	}
	if out := o.erase(t, "chat", 0); out.Status != request.Waiting {
		t.Errorf("the chat: %+v", out)
	}
}

// A look finds in the desk what leads to a chat: the desk is not erased before
// somebody has seen to that chat.
func TestAdvance_orderOfResidue(t *testing.T) {
	t.Parallel()
	o := newBureau(t)
	o.runs(t)
	o.erase(t, "desk", 0)
	o.chats = []string{"c1"}
	o.desk.verify = func(connector.Call) (connector.Residue, error) {
		return connector.Residue{Counts: map[string]int{"tickets": 1}}, nil
	}
	if out := o.erase(t, "desk", 1); out.Status != request.NeedsTask {
		t.Fatalf("%+v", out)
	}
	starts := func() (n int) {
		for _, c := range o.desk.calls {
			if strings.HasPrefix(c, "start") {
				n++
			}
		}
		return n
	}
	before := starts()
	o.again(t, "desk")
	if out := o.erase(t, "desk", 1); out.Status != request.NeedsTask || starts() != before {
		t.Fatalf("with a chat that nobody would find: %+v, calls %v", out, o.desk.calls)
	}
	o.chats, o.desk.verify = nil, nil
	o.again(t, "desk")
	if out := o.erase(t, "desk", 1); out.Status != request.Ready || starts() != before+1 {
		t.Errorf("after the chat is gone: %+v, calls %v", out, o.desk.calls)
	}
}

// again is an operator's retry of the open task of a look.
func (o *bureau) again(t *testing.T, system string) {
	t.Helper()
	tasks, err := o.store.Tasks(t.Context(), o.id)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := o.store.Steps(t.Context(), o.id)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if task.System != system || !task.Decided.IsZero() {
			continue
		}
		r, step := o.request(t), task.Step(steps)
		entry, decision, err := r.Decide(&task, step, nil, request.Verdict{Decision: request.Retry, By: officer, At: o.now})
		if err != nil {
			t.Fatal(err)
		}
		err = o.store.Write(t.Context(), request.Change{Request: r, Entries: []request.Entry{entry}, Tasks: []request.Task{task}, Steps: []request.Step{*step}, Decision: &decision})
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("no open task of %s: %+v", system, tasks)
}

// While nothing is changed in the chat, the desk is left as it is.
func TestAdvance_orderOfTrial(t *testing.T) {
	t.Parallel()
	o := newBureau(t)
	o.Systems[0].DryRun = true
	o.chats = []string{"c1"}
	o.runs(t)
	for _, system := range []string{"chat", "desk"} {
		if out := o.erase(t, system, 0); out.Status != request.Ready {
			t.Fatalf("%s: %+v", system, out)
		}
	}
	if slices.Contains(o.desk.calls, "start") || slices.Contains(o.chat.calls, "start") {
		t.Errorf("calls %v, %v", o.chat.calls, o.desk.calls)
	}
	steps, err := o.store.Steps(t.Context(), o.id)
	if err != nil || len(steps) != 2 || steps[0].Phase != request.Skipped || steps[1].Phase != request.Skipped {
		t.Errorf("steps %+v, %v", steps, err)
	}
}
