package request_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

func locating(kind request.Type) request.Request {
	return request.Request{Type: kind, State: request.Locating}
}

func (b *bench) locate(t *testing.T) request.Outcome {
	t.Helper()
	out, err := b.Locate(t.Context(), b.id, 1)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func found(kind string, n int, more ...identity.Identifier) connector.Findings {
	return connector.Findings{Counts: map[string]int{kind: n}, Identifiers: more}
}

func vendorID(kind identity.Kind, value string) identity.Identifier {
	return identity.Identifier{Kind: kind, Value: redact.String(value), Trust: identity.Vendor}
}

// The chat is found by an id that only the desk knows, and the desk is asked
// again when the chat has named another e-mail.
func TestLocate_fixpoint(t *testing.T) {
	t.Parallel()
	var desk, chat crm
	desk = crm{needs: []identity.Kind{identity.Email}, located: func(s connector.Subject) (connector.Findings, error) {
		return found("tickets", len(s.Of(identity.Email)), vendorID("desk.chat_id", "c1")), nil
	}}
	chat = crm{needs: []identity.Kind{"desk.chat_id"}, located: func(s connector.Subject) (connector.Findings, error) {
		if len(s.Of("desk.chat_id")) == 0 {
			return connector.Findings{}, nil
		}
		return found("chats", 1, vendorID(identity.Email, "ines@other.test")), nil
	}}
	all := []connector.Operation{connector.Erase}
	desk.does, chat.does = all, all
	b := newBench(t, locating(request.Erasure), request.System{Name: "chat", Connector: &chat}, request.System{Name: "desk", Connector: &desk})
	out := b.locate(t)
	r := b.request(t)
	if out.Status != request.NeedsTask || out.Wait != request.WaitApproval(r.Findings) || r.State != request.WaitingApproval {
		t.Fatalf("%+v, the request is %s", out, r.State)
	}
	plan, err := b.PlanOf(t.Context(), r)
	if err != nil || plan.Digest != r.Findings {
		t.Fatalf("the plan has another digest than the one that an approval binds: %v", err)
	}
	if len(plan.Stages) != 2 || plan.Stages[0][0].System != "chat" || plan.Stages[1][0].Counts["tickets"] != 2 {
		t.Errorf("stages %+v", plan.Stages)
	}
	asked := len(desk.calls) + len(chat.calls)
	if again := b.locate(t); again != out || len(desk.calls)+len(chat.calls) != asked {
		t.Errorf("once more: %+v, %d calls after %d", again, len(desk.calls)+len(chat.calls), asked)
	}
	known, err := b.store.Known(t.Context(), b.id)
	if err != nil || len(known) != 3 {
		t.Errorf("%d identifiers are stored, %v", len(known), err)
	}
}

// A shared phone finds a candidate; only a person makes it the subject.
func TestLocate_candidate(t *testing.T) {
	t.Parallel()
	c := &crm{needs: []identity.Kind{identity.Email, "crm.user_id"}, located: func(s connector.Subject) (connector.Findings, error) {
		f := connector.Findings{Candidates: []connector.Candidate{{Identifier: vendorID("crm.user_id", "u2"), Evidence: "same phone, other name"}}}
		if len(s.Of("crm.user_id")) > 0 {
			f.Counts = map[string]int{"contacts": 1}
		}
		return f, nil
	}}
	b := newBench(t, locating(request.Erasure), one(c))
	first := b.locate(t)
	if first.Status != request.NeedsTask || len(c.calls) != 1 {
		t.Fatalf("%+v after %v", first, c.calls)
	}
	r := b.request(t)
	if r.State != request.WaitingApproval || r.Open != 0 {
		t.Errorf("a candidate holds the request up: %s, %d open", r.State, r.Open)
	}
	tasks, err := b.store.Tasks(t.Context(), b.id)
	if err != nil || len(tasks) != 1 || tasks[0].Kind != request.TaskCandidate {
		t.Fatalf("tasks %+v, %v", tasks, err)
	}
	if d := b.verdict(t, tasks[0], request.Accept); d.Wait != first.Wait {
		t.Fatalf("the run that waits for %s hears %+v", first.Wait, d)
	}
	second := b.locate(t)
	if plan, err := b.PlanOf(t.Context(), b.request(t)); err != nil || plan.Digest != b.request(t).Findings || plan.Stages[0][0].Candidates != 0 {
		t.Errorf("the plan that is shown is not the one to approve: %+v, %v", plan, err)
	}
	if second.Status != request.NeedsTask || second.Wait == first.Wait || len(c.calls) != 2 {
		t.Errorf("after the acceptance: %+v, calls %v", second, c.calls)
	}
}

// claim adds to a request what nothing has proven.
func (b *bench) claim(t *testing.T, kind identity.Kind, value string) {
	t.Helper()
	b.knows(t, kind, value, identity.Claimed)
}

func (b *bench) knows(t *testing.T, kind identity.Kind, value string, trust identity.Trust) {
	t.Helper()
	k := request.Known{Identifier: identity.Identifier{Kind: kind, Value: redact.String(value), Trust: trust}}
	k.Key, _ = b.Hash("shop", k.Identifier)
	err := b.store.Write(t.Context(), request.Change{Fence: &request.Fence{Request: b.id, Epoch: 1}, Known: []request.Known{k}})
	if err != nil {
		t.Fatal(err)
	}
}

// verdict decides a task about a candidate.
func (b *bench) verdict(t *testing.T, task request.Task, a request.Act) request.Decision {
	t.Helper()
	r := b.request(t)
	known, err := b.store.Known(t.Context(), b.id)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(known, func(k request.Known) bool { return k.Key == task.Candidate })
	entry, decision, err := r.Decide(&task, nil, &known[i], request.Verdict{Decision: a, By: officer, At: noon})
	if err != nil {
		t.Fatal(err)
	}
	err = b.store.Write(t.Context(), request.Change{
		Request: r, Entries: []request.Entry{entry}, Tasks: []request.Task{task}, Known: known[i : i+1], Decision: &decision,
	})
	if err != nil {
		t.Fatal(err)
	}
	return decision
}

// What the request only claims is followed when somebody vouches for it, and is
// asked about once.
func TestLocate_claims(t *testing.T) {
	t.Parallel()
	var asked []identity.Identifier
	c := &crm{needs: []identity.Kind{identity.Email, identity.ExternalID, identity.Phone}, located: func(s connector.Subject) (connector.Findings, error) {
		asked = s.Identifiers
		return found("contacts", len(s.Identifiers)), nil
	}}
	b := newBench(t, locating(request.Erasure), one(c))
	b.claim(t, identity.ExternalID, "cust-881")
	b.claim(t, identity.Phone, "+33612345678")
	waits := []request.Wait{b.locate(t).Wait}
	if again := b.locate(t); again.Wait != waits[0] || again.Status != request.NeedsTask {
		t.Errorf("once more: %+v", again)
	}
	tasks, err := b.store.Tasks(t.Context(), b.id)
	if err != nil || len(tasks) != 2 || len(asked) != 1 {
		t.Fatalf("%d tasks, asked with %d identifiers, %v", len(tasks), len(asked), err)
	}
	if r := b.request(t); r.State != request.WaitingApproval || r.Open != 0 {
		t.Errorf("claims hold the request up: %s, %d open", r.State, r.Open)
	}
	for i, act := range []request.Act{request.Accept, request.Reject} {
		if task := tasks[i]; task.Kind != request.TaskCandidate || task.System != "" || task.Reason != "stated in the request, not proven" || task.Instructions == "" {
			t.Errorf("the task %+v", task)
		}
		if d := b.verdict(t, tasks[i], act); d.Wait != waits[i] || d.Outcome != "relocate" {
			t.Errorf("the run that waits for %s hears %+v", waits[i], d)
		}
		waits = append(waits, b.locate(t).Wait)
		if len(asked) != 2 || waits[i+1] == waits[i] {
			t.Errorf("after %s: asked with %d identifiers, waits for %s", act, len(asked), waits[i+1])
		}
	}
	if tasks, err = b.store.Tasks(t.Context(), b.id); err != nil || len(tasks) != 2 {
		t.Errorf("%d tasks in the end, %v", len(tasks), err)
	}
}

// A telephone number or a name that an operator has checked is asked about, too:
// others may share it, and nothing would ever be searched for by it.
func TestLocate_common(t *testing.T) {
	t.Parallel()
	var asked []identity.Identifier
	c := &crm{needs: []identity.Kind{identity.Email, identity.Phone, identity.Name, identity.ExternalID}, located: func(s connector.Subject) (connector.Findings, error) {
		asked = s.Identifiers
		return connector.Findings{}, nil
	}}
	b := newBench(t, locating(request.Access), one(c))
	for kind, value := range map[identity.Kind]string{identity.Phone: "+33612345678", identity.Name: "Ines Roy", identity.ExternalID: "cust-881"} {
		b.knows(t, kind, value, identity.Proven)
	}
	for range 2 {
		b.locate(t)
	}
	tasks, err := b.store.Tasks(t.Context(), b.id)
	if err != nil || len(tasks) != 2 || len(asked) != 2 {
		t.Fatalf("%d tasks, asked with %d identifiers, %v", len(tasks), len(asked), err)
	}
	for _, task := range tasks {
		if task.Kind != request.TaskCandidate || !strings.Contains(task.Reason, "several people") {
			t.Errorf("the task %+v", task)
		}
		b.verdict(t, task, request.Accept)
	}
	b.locate(t)
	if len(asked) != 4 {
		t.Errorf("after the acceptance it is asked with %d identifiers", len(asked))
	}
}

func TestLocate_lag(t *testing.T) {
	t.Parallel()
	f := connector.Findings{More: 2 * time.Minute}
	c := &crm{needs: []identity.Kind{identity.Email}, located: func(connector.Subject) (connector.Findings, error) { return f, nil }}
	b := newBench(t, locating(request.Access), one(c))
	if out := b.locate(t); out.Status != request.Waiting || out.After != 2*time.Minute {
		t.Fatalf("%+v", out)
	}
	f = found("contacts", 1)
	b.now = b.now.Add(2 * time.Minute)
	if out := b.locate(t); out.Status != request.NeedsTask {
		t.Errorf("%+v", out)
	}
}

// A search in pieces goes on where it stopped, at once and without growing
// pauses, says how far it is, and is not begun again by what it has yielded.
func TestLocate_pieces(t *testing.T) {
	t.Parallel()
	var handles []string
	c := &crm{needs: []identity.Kind{identity.Email, "crm.user_id"}, located: func(s connector.Subject) (connector.Findings, error) {
		handles = append(handles, s.Handle)
		n := len(s.Handle)
		f := connector.Findings{Counts: map[string]int{"rows": n}, Handle: s.Handle, Done: n, Of: 40}
		switch {
		case n == 40:
			return f, nil
		case n == 20 && len(handles) == 21: // the vendor asks for a pause
			f.More = time.Hour
		default:
			f.More = time.Second
		}
		f.Handle += "x"
		f.Identifiers = []identity.Identifier{vendorID("crm.user_id", f.Handle)}
		return f, nil
	}}
	b := newBench(t, locating(request.Access), one(c))
	out := b.locate(t)
	if out.Status != request.Waiting || out.After != time.Hour || len(handles) != 21 {
		t.Fatalf("%+v after %d pieces", out, len(handles))
	}
	found, err := b.store.Found(t.Context(), b.id)
	if err != nil || len(found) != 1 || !found[0].Searching() || found[0].Done != 20 || found[0].Of != 40 {
		t.Errorf("%+v, %v", found, err)
	}
	b.now = b.now.Add(time.Hour)
	if out := b.locate(t); out.Status != request.NeedsTask {
		t.Errorf("%+v", out)
	}
	if known, err := b.store.Known(t.Context(), b.id); err != nil || len(known) != 41 {
		t.Errorf("%d identifiers, %v", len(known), err)
	}
	for i, h := range handles {
		if len(h) != min(i, 40) {
			t.Errorf("piece %d went on at %d", i, len(h))
		}
	}
}

// A system that is down for longer than the policy waits is shown to the
// approver as what could not be asked.
func TestLocate_down(t *testing.T) {
	t.Parallel()
	c := &crm{needs: []identity.Kind{identity.Email}, located: func(connector.Subject) (connector.Findings, error) {
		return connector.Findings{}, errDown
	}}
	b := newBench(t, locating(request.Access), one(c))
	waited := time.Duration(0)
	for range 100 {
		out := b.locate(t)
		if out.Status != request.Waiting {
			break
		}
		b.now, waited = b.now.Add(out.After), waited+out.After
	}
	if waited < b.Policy.Task || waited > b.Policy.Task+24*time.Hour {
		t.Errorf("the system was given %v", waited)
	}
	plan, err := b.PlanOf(t.Context(), b.request(t))
	if err != nil || len(plan.Stages) != 1 || plan.Stages[0][0].Failed == "" {
		t.Errorf("the plan %+v does not show the failure, %v", plan, err)
	}
}

func TestLocate_refused(t *testing.T) {
	t.Parallel()
	c := &crm{needs: []identity.Kind{identity.Email}, located: func(connector.Subject) (connector.Findings, error) {
		return connector.Findings{}, errs.New(errs.Forbidden, "crm: 403")
	}}
	b := newBench(t, locating(request.Access), one(c))
	if out := b.locate(t); out.Status != request.NeedsTask || len(c.calls) != 1 {
		t.Errorf("%+v, calls %v", out, c.calls)
	}
}

// What was approved is not looked for again: deleting may have begun.
func TestLocate_approved(t *testing.T) {
	t.Parallel()
	c := &crm{}
	b := newBench(t, running(request.Erasure), one(c))
	if out := b.locate(t); out.Status != request.Ready || len(c.calls) != 0 {
		t.Errorf("%+v, calls %v", out, c.calls)
	}
}

// A system that is taken out of systems.json between approval and deletion is
// not left out without a word.
func TestPlanOf_systemGone(t *testing.T) {
	t.Parallel()
	c := &crm{needs: []identity.Kind{identity.Email}, findings: found("contacts", 2)}
	b := newBench(t, locating(request.Erasure), one(c))
	b.locate(t)
	b.Systems = nil
	plan, err := b.PlanOf(t.Context(), b.request(t))
	if err != nil || len(plan.Stages) != 1 || plan.Stages[0][0].System != "crm" {
		t.Fatalf("the plan is %+v, %v", plan, err)
	}
	if out := b.advance(t, connector.Erase); out.Status != request.NeedsTask {
		t.Errorf("its part is %+v, want a task for an operator", out)
	}
}

// A number that a whole company shares stops nothing: some are put to people, and
// the plan says that there are more.
func TestLocate_manyCandidates(t *testing.T) {
	t.Parallel()
	c := &crm{needs: []identity.Kind{identity.Email}, located: func(connector.Subject) (connector.Findings, error) {
		f := found("contacts", 1)
		for i := range 60 {
			f.Candidates = append(f.Candidates, connector.Candidate{Identifier: vendorID("crm.user_id", fmt.Sprint("u", i)), Evidence: "the same telephone"})
		}
		return f, nil
	}}
	b := newBench(t, locating(request.Erasure), one(c))
	if out := b.locate(t); out.Status != request.NeedsTask {
		t.Fatalf("%+v", out)
	}
	tasks, err := b.store.Tasks(t.Context(), b.id)
	if err != nil || len(tasks) != 20 {
		t.Errorf("%d tasks, %v", len(tasks), err)
	}
	plan, err := b.PlanOf(t.Context(), b.request(t))
	if err != nil || !strings.Contains(strings.Join(plan.Of("crm").Notes, " "), "40 more records") {
		t.Errorf("the plan: %+v, %v", plan, err)
	}
}
