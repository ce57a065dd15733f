package request_test

import (
	"slices"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

var (
	noon    = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	officer = request.Actor{Who: "Ada Lovelace", Role: "officer"}
)

func TestDo(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		in   request.Request
		act  request.Act
		want request.State // "" for a conflict
	}{
		"identity proven":           {request.Request{State: request.WaitingIdentity}, request.Prove, request.Locating},
		"proven after it lapsed":    {request.Request{State: request.Unverified}, request.Prove, request.Locating},
		"a new link":                {request.Request{State: request.Unverified}, request.SendLink, request.WaitingIdentity},
		"found":                     {request.Request{State: request.Locating}, request.Locate, request.WaitingApproval},
		"found under a hold":        {request.Request{State: request.Locating, Type: request.Erasure, Holds: []request.Hold{{}}}, request.Locate, request.OnHold},
		"access under a hold":       {request.Request{State: request.Locating, Type: request.Access, Holds: []request.Hold{{}}}, request.Locate, request.WaitingApproval},
		"a hold on one system":      {request.Request{State: request.Locating, Type: request.Erasure, Holds: []request.Hold{{Systems: []string{"crm"}}}}, request.Locate, request.WaitingApproval},
		"the hold is lifted":        {request.Request{State: request.OnHold, Type: request.Erasure}, request.Unhold, request.WaitingApproval},
		"approved":                  {request.Request{State: request.WaitingApproval}, request.Approve, request.Running},
		"approved under a hold":     {request.Request{State: request.OnHold, Holds: []request.Hold{{}}}, request.Approve, ""},
		"approved twice":            {request.Request{State: request.Running}, request.Approve, ""},
		"approved before it found":  {request.Request{State: request.Locating}, request.Approve, ""},
		"a task opens":              {request.Request{State: request.Running, Open: 1}, request.AskAct, request.WaitingOperator},
		"the last task is decided":  {request.Request{State: request.WaitingOperator}, request.Retry, request.Running},
		"one of two is decided":     {request.Request{State: request.WaitingOperator, Open: 1}, request.Done, request.WaitingOperator},
		"packed":                    {request.Request{State: request.Running}, request.Pack, request.WaitingRelease},
		"parts left out":            {request.Request{State: request.WaitingRelease}, request.Exclude, request.Running},
		"answered":                  {request.Request{State: request.Running}, request.Answer, request.Answered},
		"looked again":              {request.Request{State: request.Answered}, request.LookAct, request.Reverifying},
		"closed":                    {request.Request{State: request.Reverifying}, request.Close, request.Closed},
		"closed before the answer":  {request.Request{State: request.WaitingApproval}, request.Close, ""},
		"refused":                   {request.Request{State: request.WaitingApproval}, request.Refuse, request.Refused},
		"refused after the answer":  {request.Request{State: request.Answered}, request.Refuse, ""},
		"withdrawn":                 {request.Request{State: request.WaitingIdentity}, request.Cancel, request.Withdrawn},
		"extended":                  {request.Request{State: request.Running}, request.Extend, request.Running},
		"extended when it is over":  {request.Request{State: request.Closed}, request.Extend, ""},
		"an act that nobody knows":  {request.Request{State: request.Running}, "dance", ""},
		"a candidate after the end": {request.Request{State: request.Closed}, request.Accept, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tt.in
			e, err := r.Do(tt.act, officer, "because", noon)
			if tt.want == "" {
				if !errs.Is(err, errs.Conflict) || r.State != tt.in.State {
					t.Fatalf("%s is %v and leads to %s, want a conflict and no change", tt.act, err, r.State)
				}
				return
			}
			if err != nil || r.State != tt.want {
				t.Fatalf("%s leads to %s (%v), want %s", tt.act, r.State, err, tt.want)
			}
			if e.From != tt.in.State || e.To != tt.want || e.Act != tt.act || e.By != officer || e.Why != "because" || !e.At.Equal(noon) {
				t.Errorf("the entry %+v does not say what was done", e)
			}
		})
	}
}

// What has ended is left alone, but for reading it and for letters about it.
func TestDo_ended(t *testing.T) {
	t.Parallel()
	allowed := []request.Act{request.Letter, request.Read, request.Fetch}
	for _, state := range request.States {
		if !state.Ended() {
			continue
		}
		for _, act := range acts {
			r := request.Request{State: state}
			if _, err := r.Do(act, officer, "", noon); err == nil && !slices.Contains(allowed, act) {
				t.Errorf("a request that is %s allows %s", state, act)
			}
		}
	}
}

var acts = []request.Act{
	request.SendLink, request.Prove, request.Lapse, request.Begin, request.Locate, request.Accept, request.Reject,
	request.Approve, request.HoldAct, request.Unhold, request.Start, request.Finish, request.AskAct, request.Retry,
	request.Skip, request.Waive, request.Done, request.Extend, request.Refuse, request.Cancel, request.Pack,
	request.Exclude, request.Release, request.Answer, request.LookAct, request.Certify, request.Close,
	request.Remind, request.Warn, request.Overdue, request.Letter, request.Fetch, request.Resume, request.Read,
}

func TestDecide(t *testing.T) {
	t.Parallel()
	open := request.Task{ID: "t", Kind: request.TaskFailed, System: "crm", Choices: []request.Act{request.Retry, request.Waive, request.Done}}
	step := request.Step{System: "crm", Phase: request.Asking, Task: "t", Attempt: 2}
	r := request.Request{State: request.WaitingOperator, Open: 1}

	refusals := map[string]request.Verdict{
		"not offered":            {Decision: request.Skip},
		"kept without a ground":  {Decision: request.Waive},
		"accepted, no candidate": {Decision: request.Accept},
	}
	for name, v := range refusals {
		if _, _, err := r.Decide(&open, &step, nil, v); err == nil || r.Open != 1 || !open.Decided.IsZero() || step.Phase != request.Asking {
			t.Errorf("%s: %v, and the rows are %+v %+v %+v", name, err, r, open, step)
		}
	}

	entry, d, err := r.Decide(&open, &step, nil, request.Verdict{Decision: request.Waive, By: officer, Ground: "Art. 17(3)(e) GDPR", Why: "a claim is pending", At: noon})
	if err != nil {
		t.Fatal(err)
	}
	if step.Phase != request.Waived || len(step.Kept) != 1 || step.Kept[0].Ground != "Art. 17(3)(e) GDPR" || !step.Phase.Ended() {
		t.Errorf("the step is %+v", step)
	}
	if r.State != request.Running || r.Open != 0 || d.Wait != request.WaitTask("t") || entry.Detail["ground"] == "" {
		t.Errorf("the request is %+v, the decision %+v, the entry %+v", r, d, entry)
	}
	if _, _, err := r.Decide(&open, &step, nil, request.Verdict{Decision: request.Retry}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a second decision is %v", err)
	}
}

// What was deleted or corrected by hand is done when something shows it.
func TestDecide_evidence(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		kind     request.TaskKind
		op       connector.Operation
		evidence string
		refused  bool
	}{
		{request.TaskManual, connector.Erase, "", true},
		{request.TaskManual, connector.Rectify, "", true},
		{request.TaskManual, connector.Erase, "5feceb66", false},
		{request.TaskManual, connector.Object, "", false},
		{request.TaskManual, "", "", false}, // a letter by other means
		{request.TaskFailed, connector.Erase, "", false},
	} {
		task := request.Task{ID: "t", Kind: tt.kind, Operation: tt.op, Choices: []request.Act{request.Done}}
		step := request.Step{Phase: request.Asking, Task: "t"}
		r := request.Request{State: request.WaitingOperator, Open: 1}
		_, _, err := r.Decide(&task, &step, nil, request.Verdict{Decision: request.Done, By: officer, Evidence: tt.evidence, At: noon})
		if errs.Is(err, errs.Invalid) != tt.refused || tt.refused == (step.Phase == request.Finished) || (r.Open == 1) != tt.refused {
			t.Errorf("%+v: %v, the step is %s", tt, err, step.Phase)
		}
	}
}

// A retried step is one whose outcome is not known: the next call looks first.
func TestDecide_retry(t *testing.T) {
	t.Parallel()
	task := request.Task{ID: "t", Kind: request.TaskResidue, Choices: []request.Act{request.Retry}}
	step := request.Step{Phase: request.Asking, Task: "t", Polls: 9, Lease: noon.Add(time.Hour)}
	r := request.Request{State: request.WaitingOperator, Open: 1}
	_, d, err := r.Decide(&task, &step, nil, request.Verdict{Decision: request.Retry, By: officer, At: noon})
	if err != nil || d.Outcome != "retry" || step.Phase != request.Intended || step.Polls != 0 || !step.Lease.IsZero() || step.Task != "" {
		t.Errorf("%v, decision %+v, step %+v", err, d, step)
	}
}

// A candidate is decided while the run waits for an approval of other findings.
func TestDecide_candidate(t *testing.T) {
	t.Parallel()
	task := request.Task{ID: "t", Kind: request.TaskCandidate, Choices: []request.Act{request.Accept, request.Reject}}
	r := request.Request{State: request.WaitingApproval, Findings: "digest"}
	var known request.Known
	_, d, err := r.Decide(&task, nil, &known, request.Verdict{Decision: request.Accept, By: officer, At: noon})
	if err != nil || !known.Accepted || r.State != request.Locating {
		t.Errorf("%v, known %+v, state %s", err, known.Accepted, r.State)
	}
	if d.Wait != request.WaitApproval("digest") || d.Outcome != "relocate" {
		t.Errorf("the run hears %+v", d)
	}
}
