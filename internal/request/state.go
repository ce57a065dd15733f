package request

import (
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/errs"
)

// State is where a request stands.
type State string

// The states.
const (
	WaitingIdentity State = "waiting_identity" // the person has not proven yet who they are
	Unverified      State = "unverified"       // and did not in time; a new link reopens it
	Locating        State = "locating"         // systems are asked what they hold
	WaitingApproval State = "waiting_approval" // an officer reads the plan
	OnHold          State = "held"             // a legal hold stops the deletion
	Running         State = "running"          //
	WaitingOperator State = "waiting_operator" // a task needs a person
	WaitingRelease  State = "waiting_release"  // an officer reads the package
	Answered        State = "answered"         // the person has the answer
	Reverifying     State = "re_verifying"     // answered; systems are looked at again
	Closed          State = "closed"           //
	Refused         State = "refused"          //
	Withdrawn       State = "withdrawn"        // by the person
)

// States are all states.
var States = []State{
	WaitingIdentity, Unverified, Locating, WaitingApproval, OnHold, Running, WaitingOperator,
	WaitingRelease, Answered, Reverifying, Closed, Refused, Withdrawn,
}

// Ended reports whether nothing happens any more.
func (s State) Ended() bool { return s == Closed || s == Refused || s == Withdrawn }

// Act is something that is done to a request. Each is in the log before it
// takes effect: one transaction writes both.
type Act string

// The acts. The comment says who does them.
const (
	Open     Act = "open"         // operator; the person
	SendLink Act = "send_link"    // avow; operator
	Prove    Act = "prove"        // the person by a link; operator with evidence
	Lapse    Act = "lapse"        // avow: the proof did not come in time
	Begin    Act = "begin"        // avow: a run of the state machine starts
	Locate   Act = "locate"       // avow: findings are complete
	Accept   Act = "accept"       // operator: a candidate is the person
	Reject   Act = "reject"       // operator: a candidate is somebody else
	Approve  Act = "approve"      // officer
	HoldAct  Act = "hold"         // officer
	Unhold   Act = "release_hold" // officer
	Start    Act = "start"        // avow: an operation on a system is about to be called
	Finish   Act = "finish"       // avow: an operation on a system has ended
	AskAct   Act = "ask"          // avow: a task was put to a person
	Retry    Act = "retry"        // operator, of a task
	Skip     Act = "skip"         // officer, of a task: not done, with the reason
	Waive    Act = "waive"        // officer, of a task: kept on a ground
	Done     Act = "done"         // operator, of a task: done by hand, with evidence
	Extend   Act = "extend"       // officer: the deadline, with the notice to the person
	Refuse   Act = "refuse"       // officer
	Cancel   Act = "cancel"       // operator: the person has withdrawn the request
	Pack     Act = "pack"         // avow: the package is complete
	Release  Act = "release"      // officer: the package may be delivered
	Exclude  Act = "exclude"      // officer: parts are left out, the package is built again
	Answer   Act = "answer"       // avow: the answer went out
	LookAct  Act = "look"         // avow: the systems were looked at again
	Certify  Act = "certify"      // avow
	Close    Act = "close"        // avow
	Remind   Act = "remind"       // avow
	Warn     Act = "warn"         // avow: the deadline is near
	Overdue  Act = "overdue"      // avow
	Letter   Act = "letter"       // avow: a letter was sent
	Fetch    Act = "fetch"        // the person or a recipient has downloaded the package
	Resume   Act = "resume"       // operator: a new run goes on where the last one ended
	Read     Act = "read"         // who opened package or certificate
	Inform   Act = "inform"       // avow: the person was told before the deadline why nothing is deleted yet
	Expire   Act = "expire"       // avow: the package is not offered any more
)

// rule says from which states an act is possible and where it leads; to "" keeps
// the state.
type rule struct {
	from []State
	to   State
}

var (
	open    = []State{WaitingIdentity, Unverified, Locating, WaitingApproval, OnHold, Running, WaitingOperator, WaitingRelease, Answered, Reverifying}
	working = []State{Locating, WaitingApproval, OnHold, Running, WaitingOperator, WaitingRelease, Answered, Reverifying}
	before  = []State{WaitingIdentity, Unverified, Locating, WaitingApproval, OnHold}
)

var rules = map[Act]rule{
	SendLink: {from: []State{WaitingIdentity, Unverified}, to: WaitingIdentity},
	Prove:    {from: []State{WaitingIdentity, Unverified}, to: Locating},
	Lapse:    {from: []State{WaitingIdentity}, to: Unverified},
	Begin:    {from: open},
	Locate:   {from: []State{Locating, WaitingApproval, OnHold}, to: WaitingApproval},
	Accept:   {from: []State{Locating, WaitingApproval, OnHold}, to: Locating},
	Reject:   {from: []State{Locating, WaitingApproval, OnHold}, to: Locating},
	Approve:  {from: []State{WaitingApproval}, to: Running},
	HoldAct:  {from: open},
	Unhold:   {from: open},
	Start:    {from: working},
	Finish:   {from: working},
	AskAct:   {from: open},
	Retry:    {from: working},
	Skip:     {from: working},
	Waive:    {from: working},
	Done:     {from: working},
	Extend:   {from: open},
	Refuse:   {from: append(slices.Clone(before), Running, WaitingOperator, WaitingRelease), to: Refused},
	Cancel:   {from: append(slices.Clone(before), Running, WaitingOperator, WaitingRelease), to: Withdrawn},
	Pack:     {from: []State{Running, WaitingOperator}, to: WaitingRelease},
	Exclude:  {from: []State{WaitingRelease}, to: Running},
	Release:  {from: []State{WaitingRelease}, to: Running},
	Answer:   {from: []State{Running, WaitingOperator}, to: Answered},
	LookAct:  {from: []State{Answered, Reverifying, WaitingOperator}, to: Reverifying},
	Certify:  {from: working},
	Close:    {from: []State{Running, Answered, Reverifying}, to: Closed},
	Remind:   {from: open},
	Warn:     {from: open},
	Overdue:  {from: open},
	Letter:   {from: States},
	Fetch:    {from: []State{Answered, Reverifying, Closed}},
	Resume:   {from: open},
	Read:     {from: States},
	Inform:   {from: working},
	Expire:   {from: States},
}

// Do carries an act out on the request, in memory, and returns the entry of the
// log that goes with it: whoever stores one stores both. An act that the state
// does not allow is a Conflict and changes nothing.
//
// While tasks are open the state is WaitingOperator in place of Running, and
// while a hold is in force OnHold in place of WaitingApproval.
func (r *Request) Do(act Act, by Actor, why string, now time.Time) (Entry, error) {
	rule, known := rules[act]
	if !known || !slices.Contains(rule.from, r.State) {
		return Entry{}, errs.New(errs.Conflict, "a request that is %s does not allow %s", r.State, act)
	}
	from := r.State
	if rule.to != "" {
		r.State = rule.to
	}
	r.settle()
	if r.State != from {
		r.Since, r.Reminded = now, time.Time{}
	}
	return Entry{At: now, By: by, Act: act, From: from, To: r.State, Why: why}, nil
}

// settle makes the state say what holds and open tasks mean for it.
func (r *Request) settle() {
	_, held := r.Held("")
	switch {
	case r.State == Running && r.Open > 0:
		r.State = WaitingOperator
	case r.State == WaitingOperator && r.Open == 0:
		r.State = Running
	case r.State == WaitingApproval && held && r.Type == Erasure:
		r.State = OnHold
	case r.State == OnHold && !held:
		r.State = WaitingApproval
	}
}
