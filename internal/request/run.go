package request

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Ref names one operation on one system of one run.
type Ref struct {
	Request   string
	Epoch     int
	System    string
	Operation connector.Operation
	Look      int // n: look for the n-th time at what an erasure has left
}

// Status is where an operation stands, as the state machine needs to know it.
type Status string

// The statuses.
const (
	Ready     Status = "done"
	Waiting   Status = "pending" // come again after Outcome.After
	NeedsTask Status = "wait"    // a person decides: Outcome.Wait
	Stale     Status = "stale"   // another run has taken over, or the request has ended
)

// Outcome is what one step forward has led to.
type Outcome struct {
	Status Status
	After  time.Duration
	Wait   Wait
}

// Part takes what one Start or Poll of an export writes. Without Close nothing
// of it counts; a part of the same number replaces an earlier attempt.
type Part interface {
	connector.Sink
	Close(ctx context.Context) error
}

// Parts keeps what exports write until the package is made of it.
type Parts interface {
	Sink(ctx context.Context, request, system string, chunk int) (Part, error)
}

// Runner takes operations on systems forward, one bounded step at a time. All
// progress is in the store, so that any instance can go on where another one
// has died: intent is written before a call, and what an interrupted call has
// done is found out by looking (connector.Call.Again).
type Runner struct {
	Store      Store
	Systems    []System
	Policy     Policy
	Controller Controller
	Parts      Parts // nil where nothing is exported
	// Hash is the key of an identifier of a site; ok is false for one that
	// identifies nobody.
	Hash  func(site string, i identity.Identifier) (key string, ok bool)
	Now   func() time.Time
	NewID func(time.Time) string
}

// System returns a configured system.
func (x *Runner) System(name string) (System, error) {
	for _, s := range x.Systems {
		if s.Name == name {
			return s, nil
		}
	}
	return System{}, errs.New(errs.NotFound, "systems.json has no system %q any more", name)
}

// Current reads a request for a run. A run that another one has replaced, or
// whose request has ended, gets nil.
func (x *Runner) Current(ctx context.Context, id string, epoch int) (*Request, error) {
	r, err := x.Store.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.Epoch != epoch || r.State.Ended() {
		return nil, nil
	}
	return r, nil
}

// Advance takes one operation one step forward. A vendor's failure is no error
// of Advance: what may pass is tried again later, everything else is put to an
// operator. An error means that the store did not answer.
func (x *Runner) Advance(ctx context.Context, ref Ref) (Outcome, error) {
	r, err := x.Current(ctx, ref.Request, ref.Epoch)
	if err != nil || r == nil {
		return Outcome{Status: Stale}, err
	}
	steps, err := x.Store.Steps(ctx, ref.Request)
	if err != nil {
		return Outcome{}, err
	}
	step := &Step{System: ref.System, Operation: ref.Operation, Look: ref.Look}
	if one := stepOf(steps, ref.System, ref.Operation, ref.Look); one != nil {
		step = one
	}
	out, err := x.advance(ctx, r, ref, step, steps)
	if errs.Is(err, errs.Conflict) { // another invocation was faster: see what it has made of it
		return Outcome{Status: Waiting, After: time.Second}, nil
	}
	return out, err
}

// stepOf is the row of an operation; nil when it has not begun.
func stepOf(steps []Step, system string, o connector.Operation, look int) *Step {
	for i := range steps {
		if s := &steps[i]; s.System == system && s.Operation == o && s.Look == look {
			return s
		}
	}
	return nil
}

func (x *Runner) advance(ctx context.Context, r *Request, ref Ref, step *Step, steps []Step) (Outcome, error) {
	now := x.Now()
	switch {
	case step.Phase.Ended():
		return Outcome{Status: Ready}, nil
	case step.Phase == Asking:
		return Outcome{Status: NeedsTask, Wait: WaitTask(step.Task)}, nil
	case step.Lease.After(now): // an earlier invocation may still be calling
		return Outcome{Status: Waiting, After: step.Lease.Sub(now)}, nil
	}
	system, err := x.System(ref.System)
	if err != nil {
		return x.ask(ctx, r, step, TaskFailed, connector.Ask{Reason: err.(*errs.Error).Message,
			Instructions: "Put the system back into systems.json and retry, or finish its part by hand."})
	}
	if hold, held := r.Held(system.Name); held && step.Operation == connector.Erase && step.Look == 0 {
		return x.held(ctx, r, step, hold)
	}
	if first, err := x.AnswerFirst(ctx, r, step.System, step.Operation); err != nil || first {
		return Outcome{Status: Ready}, err // the plan comes back to it
	}
	begins := step.Phase == "" && step.Look == 0
	if pause := system.Retrieval.closed(x.Controller, now); begins && pause > 0 {
		return Outcome{Status: Waiting, After: pause}, nil
	}
	if system.DryRun && ref.Operation.Changes() && ref.Look == 0 {
		return x.end(ctx, step, Skipped, ref, dryRun, now)
	}
	if x.lapsed(system, step, now) {
		return x.ask(ctx, r, step, TaskFailed, connector.Ask{
			Reason:       "the agreement with the system's processor has ended or its review is due: systems.json gives it no more personal data (Art. 28(3) GDPR)",
			Instructions: "Renew or review the agreement, enter the new date as processor.review or processor.expires in systems.json, then retry. The deadline of the person goes on: if it takes too long, do the part by hand or name the ground on which it is not done.",
		})
	}
	var known []Known
	if step.Residue || step.Attempt == 0 && ref.Look == 0 {
		l, err := x.locating(ctx, r)
		if err != nil {
			return Outcome{}, err
		}
		if out, stop, err := x.findAgain(ctx, l, system, step, steps); err != nil || stop {
			return out, err
		}
		known = l.known
	}
	if begins {
		if pause, stop, err := x.tooMany(ctx, r, system, now); err != nil || stop {
			return Outcome{Status: Waiting, After: pause}, err
		}
	}
	again := step.Phase == Intended
	if err := x.intend(ctx, step, ref, now); err != nil {
		return Outcome{}, err
	}
	call, err := x.call(ctx, r, step, again, known)
	if err != nil {
		return Outcome{}, err
	}
	if step.Phase == Looking {
		return x.verify(ctx, r, system, step, call)
	}
	return x.operate(ctx, r, system, step, call)
}

// lapsed reports whether an operation is about to give a processor more personal
// data while the policy wants it to get none. What leaves it with less data, or
// less use of it, goes on, and so does what it has begun: a person's rights do
// not depend on the company's contracts.
func (x *Runner) lapsed(system System, step *Step, now time.Time) bool {
	gives := step.Operation == connector.Rectify || step.Operation == connector.Tell
	begins := step.Phase == "" || step.Phase == Intended
	return gives && begins && x.Policy.Blocks(system.Connector.Inventory().Processor, now)
}

// held waits for the end of a legal hold, or for an officer who decides that the
// data is kept: then the request can be answered.
func (x *Runner) held(ctx context.Context, r *Request, step *Step, hold Hold) (Outcome, error) {
	out := Outcome{Status: Waiting, After: x.Policy.Scale(x.Policy.PollLongest)}
	if step.Task != "" {
		return out, nil
	}
	task := x.Task(TaskHold, connector.Ask{
		Reason:       "a legal hold stops the deletion: " + hold.Ground,
		Instructions: "When the hold is lifted, the deletion goes on within a day. If the data is to stay, waive it and name the ground: the person is told so in the answer.",
	})
	task.System, task.Operation = step.System, step.Operation
	step.Task, step.Epoch = task.ID, r.Epoch
	return out, x.Open(ctx, r, []Task{task}, []Step{*step})
}

// dryRun is the reason of a trial.
const dryRun = "dry run: nothing was changed"

// fresh is for how long what was found is taken to be all: a new record enters a
// vendor's search within minutes, and an approval may take days.
const fresh = time.Hour

// findAgain asks once more what a system holds: one that could not be asked when
// the others were, one in which a look has found what came later, and before it is
// erased also one that was asked long ago. Without that, an export of it would be
// empty and a deletion reach nothing. What an erasure learns by it the others are
// asked with, and nothing is erased while something that it comes after is not:
// the plan comes back to it. What is found now adds to what was found before.
func (x *Runner) findAgain(ctx context.Context, l *locating, system System, step *Step, steps []Step) (out Outcome, stop bool, err error) {
	before := maps.Clone(l.found)
	l.most = x.Policy.Scale(x.Policy.PollDeadline)
	if !l.reopen(system, step, steps) {
		return out, false, nil
	}
	if err := l.settle(ctx); err != nil {
		return out, true, err
	}
	switch f := l.found[system.Name]; {
	case f.Failed:
		out, err = x.ask(ctx, l.r, step, TaskFailed, connector.Ask{
			Reason:       "the system cannot be asked what it holds: " + f.Reason,
			Instructions: "Look at its credentials, rights and status, mend what is wrong, then retry: it is asked again. If it cannot be mended, do its part by hand.",
		})
		return out, true, err
	case l.pause > 0:
		return Outcome{Status: Waiting, After: l.pause}, true, nil
	}
	if step.Residue {
		if others := l.grown(system, before); len(others) > 0 {
			out, err = x.ask(ctx, l.r, step, TaskFailed, connector.Ask{
				Reason:       "what this system still holds leads to records of the person in " + strings.Join(others, " and ") + ", which could not be found afterwards",
				Instructions: "Erase them there first, by hand or by a new request for the same person, then retry: this system is erased then.",
			})
			return out, true, err
		}
		step.Residue = false
	}
	if step.Operation != connector.Erase || step.Look > 0 {
		return out, false, nil
	}
	return x.inOrder(ctx, l, step, steps)
}

// reopen chooses who is asked once more, and who is left alone. It is false when
// nothing can have changed.
func (l *locating) reopen(system System, step *Step, steps []Step) bool {
	erases := step.Operation == connector.Erase
	for _, s := range l.Systems {
		f, asked := l.found[s.Name]
		begun := stepOf(steps, s.Name, connector.Erase, 0)
		own := s.Name == system.Name
		switch {
		case !own && !erases:
			l.leave[s.Name] = true
		case !own && step.Residue: // asked with what is new
			l.before[s.Name] = f.Counts
		case !own && begun != nil && begun.Phase != "":
			l.leave[s.Name] = true
		case own && step.Residue && f.Asked != "":
			l.before[s.Name], l.found[s.Name] = f.Counts, Found{Counts: f.Counts}
		case !asked: // it came after the request
			l.leave[s.Name] = true
		case f.Failed && (own || leadsTo(system, s)):
			l.found[s.Name] = Found{Handle: f.Handle}
		case f.Asked != "" && erases && (own || leadsTo(system, s)) && l.Now().Sub(f.At) > l.Policy.Scale(fresh):
			f.Handle, f.Asked, f.Polls, f.Since = "", "", 0, time.Time{}
			l.found[s.Name] = f
		}
	}
	return erases || !l.leave[system.Name] && l.found[system.Name].Asked == ""
}

// leadsTo reports whether what a system holds may be needed to find what another
// one does, or is to go after it.
func leadsTo(system, other System) bool {
	_, yields := system.Connector.Identifiers()
	needs, _ := other.Connector.Identifiers()
	_, after := comesAfter(system, other)
	return after || slices.ContainsFunc(needs, func(k identity.Kind) bool { return slices.Contains(yields, k) })
}

// grown are the systems in which more was found now, and which a system leads to.
func (l *locating) grown(system System, before map[string]Found) (names []string) {
	for _, s := range l.Systems {
		if s.Name != system.Name && leadsTo(system, s) && total(l.found[s.Name].Counts) > total(before[s.Name].Counts) {
			names = append(names, s.Name)
		}
	}
	return names
}

func total(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// inOrder lets an erasure begin when all that it comes after by what is known now
// has ended.
func (x *Runner) inOrder(ctx context.Context, l *locating, step *Step, steps []Step) (out Outcome, stop bool, err error) {
	plan, err := x.plan(l.r, l.found, l.known)
	if err != nil {
		return out, true, err
	}
	one := plan.Of(step.System)
	if one == nil {
		return out, false, nil
	}
	if one.DryRun {
		out, err = x.end(ctx, step, Skipped, x.ref(l.r, step), dryRun+", because nothing is changed in a system that comes before", x.Now())
		return out, true, err
	}
	for _, reason := range one.After {
		if s := stepOf(steps, reason.System, connector.Erase, 0); s != nil && s.Phase.Ended() {
			continue
		}
		first, err := x.AnswerFirst(ctx, l.r, reason.System, connector.Erase)
		if err != nil || !first {
			return Outcome{Status: Ready}, true, err
		}
	}
	return out, false, nil
}

// tooMany holds an operation back that is beyond the day's number of operations.
func (x *Runner) tooMany(ctx context.Context, r *Request, system System, now time.Time) (pause time.Duration, stop bool, err error) {
	if system.Retrieval.PerDay <= 0 {
		return 0, false, nil
	}
	day := x.Controller.local(now)
	next := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, day.Location())
	n, err := x.Store.Count(ctx, "operations."+r.Site+"."+system.Name+"."+day.Format(time.DateOnly), next.Add(24*time.Hour))
	if err != nil || n <= system.Retrieval.PerDay {
		return 0, false, err
	}
	return next.Sub(now), true, nil
}

// allows reports whether the company lets Avow carry out an operation.
func (p Retrieval) allows(o connector.Operation) bool {
	return len(p.Operations) == 0 || slices.Contains(p.Operations, o)
}

// closed is how long it takes until the hours of a retrieval policy begin; zero
// while they last.
func (p Retrieval) closed(c Controller, now time.Time) time.Duration {
	local := c.local(now)
	open := p.From == p.To || p.From < p.To && local.Hour() >= p.From && local.Hour() < p.To ||
		p.From > p.To && (local.Hour() >= p.From || local.Hour() < p.To)
	if open {
		return 0
	}
	next := time.Date(local.Year(), local.Month(), local.Day(), p.From, 0, 0, 0, local.Location())
	if !next.After(local) {
		next = next.AddDate(0, 0, 1)
	}
	return next.Sub(local)
}

// local is an instant in the controller's time zone, UTC when that is not known.
func (c Controller) local(t time.Time) time.Time {
	zone, err := time.LoadLocation(c.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	return t.In(zone)
}

// intend writes what is about to be called, and for how long nobody else may.
func (x *Runner) intend(ctx context.Context, step *Step, ref Ref, now time.Time) error {
	c := Change{Fence: &Fence{Request: ref.Request, Epoch: ref.Epoch}}
	if step.Phase == "" && ref.Look > 0 {
		step.Phase, step.Since, step.Started = Looking, now, now
	}
	if step.Phase == "" || step.Phase == Intended {
		step.Phase, step.Since = Intended, now
		step.Attempt++
		if step.Started.IsZero() {
			step.Started = now
		}
		c.Entries = []Entry{x.entry(step, Start, "", now)}
	}
	step.Task, step.Epoch, step.Lease = "", ref.Epoch, now.Add(lease(ctx))
	c.Steps = []Step{*step}
	if err := x.Store.Write(ctx, c); err != nil {
		return err
	}
	step.Version++
	return nil
}

// leaseMargin is how much longer a lease is than the invocation may run.
const leaseMargin = 15 * time.Second

// lease is for how long nobody else repeats the call that is about to be made:
// until the function that makes it is certainly dead.
func lease(ctx context.Context) time.Duration {
	d, ok := ctx.Deadline()
	if !ok {
		return leaseMargin
	}
	return max(0, time.Until(d)) + leaseMargin
}

func (x *Runner) entry(step *Step, act Act, why string, now time.Time) Entry {
	detail := map[string]string{"operation": string(step.Operation)}
	if step.Look > 0 {
		detail["look"] = strconv.Itoa(step.Look)
	}
	return Entry{At: now, By: Avow, Act: act, Why: why, System: step.System, Detail: detail}
}

// call gathers what the connector needs; known is read where it was not before.
func (x *Runner) call(ctx context.Context, r *Request, step *Step, again bool, known []Known) (connector.Call, error) {
	if known == nil {
		var err error
		if known, err = x.Store.Known(ctx, r.ID); err != nil {
			return connector.Call{}, err
		}
	}
	c := connector.Call{
		Request: r.ID, Key: r.ID + "." + step.System + "." + string(step.Operation), Operation: step.Operation,
		Subject: SubjectOf(r, known), Handle: step.Handle, Again: again, About: r.Type.Operation(), Now: x.Now(),
	}
	if !step.Failing.IsZero() {
		c.Failing = x.Policy.Real(x.Now().Sub(step.Failing))
	}
	if r.Type == Rectification || r.Type == Objection { // what is to change, what is objected to
		p, err := x.Store.Personal(ctx, r.ID)
		if err != nil {
			return connector.Call{}, err
		}
		c.Changes = p.Changes
	}
	return c, nil
}

// SubjectOf is whom a request is about, as far as connectors may use it: what
// may be followed, and the chat in which the request was made.
func SubjectOf(r *Request, known []Known) connector.Subject {
	s := connector.Subject{Site: r.Site, Agent: r.Agent}
	for _, k := range known {
		if k.Followed() {
			s.Identifiers = append(s.Identifiers, k.Identifier)
		}
	}
	return s
}

// operate calls the connector and writes down what came of it.
func (x *Runner) operate(ctx context.Context, r *Request, system System, step *Step, call connector.Call) (Outcome, error) {
	if !system.Retrieval.allows(step.Operation) {
		return x.ask(ctx, r, step, TaskManual, connector.Ask{
			Reason:       "systems.json does not allow " + string(step.Operation) + " on this system",
			Instructions: "Carry out the operation in the system's own console and upload what shows it.",
		})
	}
	if !system.Connector.Inventory().Can(step.Operation) && system.Connector.Inventory().Kind != "manual" {
		return x.ask(ctx, r, step, TaskManual, connector.Ask{
			Reason:       "the connector of this system cannot do this by itself",
			Instructions: "Carry out the operation in the system's own console and upload what shows it.",
		})
	}
	progress, err := x.invoke(ctx, system, step, &call)
	if err != nil {
		return x.failed(ctx, r, step, err)
	}
	step.Lease, step.Failing = time.Time{}, time.Time{}
	step.Handle = progress.Handle
	step.Evidence = append(step.Evidence, progress.Evidence...)
	step.Kept = append(step.Kept, progress.Kept...)
	step.Counts = add(step.Counts, progress.Counts)
	if call.Out != nil {
		step.Chunk++
	}
	switch {
	case progress.Ask != nil && progress.Ask.Retry:
		return x.ask(ctx, r, step, TaskFailed, *progress.Ask)
	case progress.Ask != nil:
		return x.ask(ctx, r, step, TaskManual, *progress.Ask)
	case !progress.Done:
		return x.pending(ctx, r, step, Pending, progress.After)
	case step.Operation == connector.Erase:
		step.Phase, step.Since, step.Polls = Looking, x.Now(), 0
		return x.verify(ctx, r, system, step, call)
	}
	return x.end(ctx, step, Finished, x.ref(r, step), "", x.Now())
}

// invoke is the call itself, with a part to write to where it exports.
func (x *Runner) invoke(ctx context.Context, system System, step *Step, call *connector.Call) (connector.Progress, error) {
	var part Part
	if step.Operation == connector.Export {
		var err error
		if part, err = x.Parts.Sink(ctx, call.Request, step.System, step.Chunk); err != nil {
			return connector.Progress{}, err
		}
		call.Out = part
	}
	run := system.Connector.Start
	if step.Phase == Pending {
		run = system.Connector.Poll
	}
	progress, err := run(ctx, *call)
	if err != nil || part == nil {
		return progress, err
	}
	return progress, part.Close(ctx)
}

// verify looks at what an erasure has left.
func (x *Runner) verify(ctx context.Context, r *Request, system System, step *Step, call connector.Call) (Outcome, error) {
	residue, err := system.Connector.Verify(ctx, call)
	if err != nil {
		return x.failed(ctx, r, step, err)
	}
	step.Lease, step.Failing = time.Time{}, time.Time{}
	if residue.Wait > 0 {
		return x.pending(ctx, r, step, Looking, residue.Wait)
	}
	step.Evidence = append(step.Evidence, residue.Evidence...)
	left := total(residue.Counts)
	if left == 0 {
		return x.end(ctx, step, Finished, x.ref(r, step), "", x.Now())
	}
	step.Residue = true
	return x.ask(ctx, r, step, TaskResidue, connector.Ask{
		Reason:       "the system still holds " + strconv.Itoa(left) + " records of the person",
		Instructions: "Retry searches and erases again. If they must stay, waive them and name the ground.",
	})
}

// failed deals with a call that did not succeed: what may pass is tried again,
// at the latest when the policy's deadline for one operation is over.
func (x *Runner) failed(ctx context.Context, r *Request, step *Step, err error) (Outcome, error) {
	kind := errs.KindOf(err)
	step.Lease = time.Time{}
	if kind == errs.Unavailable && step.Failing.IsZero() {
		step.Failing = x.Now()
	}
	if kind == errs.Unavailable && !x.late(step) {
		after, _ := connector.RetryAfter(err) // at the earliest: a long outage is not asked about every second
		return x.pending(ctx, r, step, step.Phase, max(after, x.Policy.Backoff(step.Polls)))
	}
	step.Resume = ""
	if step.Polls > 0 && slices.Contains([]errs.Kind{errs.Unavailable, errs.Unauthenticated, errs.Forbidden}, kind) {
		step.Resume = step.Phase // what is under way there is not lost; if that fails at once, the next retry begins again
	}
	reason := "the system refuses the call: " + errs.MessageOf(err)
	if kind == errs.Unavailable {
		reason = "the system has not answered for too long"
	}
	step.Reason = string(kind)
	return x.ask(ctx, r, step, TaskFailed, connector.Ask{Reason: reason,
		Instructions: "Look at the system's credentials, rights and status, mend what is wrong, then retry. If it cannot be mended, finish the part by hand and say so."})
}

// late reports whether an operation takes longer than the policy lets it.
func (x *Runner) late(step *Step) bool {
	return x.Now().Sub(step.Started) >= x.Policy.Scale(x.Policy.PollDeadline)
}

// pending writes that the operation goes on later, unless it has taken too long
// already: then a person decides.
func (x *Runner) pending(ctx context.Context, r *Request, step *Step, phase Phase, after time.Duration) (Outcome, error) {
	if x.late(step) {
		step.Resume = phase
		return x.ask(ctx, r, step, TaskFailed, connector.Ask{Reason: "the system has not finished for too long",
			Instructions: "Ask the system's support what has become of the work. Retry goes on waiting; if it was done, say done with what shows it."})
	}
	if step.Phase != phase {
		step.Phase, step.Since, step.Polls = phase, x.Now(), 0
	}
	if after <= 0 {
		after = x.Policy.Backoff(step.Polls)
	}
	step.Polls++
	ref := x.ref(r, step)
	err := x.Store.Write(ctx, Change{Fence: &Fence{Request: ref.Request, Epoch: ref.Epoch}, Steps: []Step{*step}})
	return Outcome{Status: Waiting, After: after}, err
}

func (x *Runner) ref(r *Request, step *Step) Ref {
	return Ref{Request: r.ID, Epoch: r.Epoch, System: step.System, Operation: step.Operation, Look: step.Look}
}

// end writes that the operation is over.
func (x *Runner) end(ctx context.Context, step *Step, phase Phase, ref Ref, why string, now time.Time) (Outcome, error) {
	step.Phase, step.Since, step.Ended, step.Lease, step.Epoch = phase, now, now, time.Time{}, ref.Epoch
	if why != "" {
		step.Reason = why
	}
	entry := x.entry(step, Finish, why, now)
	for kind, n := range step.Counts {
		entry.Detail["count."+kind] = strconv.Itoa(n)
	}
	err := x.Store.Write(ctx, Change{
		Fence: &Fence{Request: ref.Request, Epoch: ref.Epoch}, Steps: []Step{*step}, Entries: []Entry{entry},
	})
	return Outcome{Status: Ready}, err
}

// choices are what a person may decide, by kind of task.
var choices = map[TaskKind][]Act{
	TaskManual:    {Done, Skip, Waive},
	TaskFailed:    {Retry, Done, Skip, Waive},
	TaskResidue:   {Retry, Waive, Done},
	TaskCandidate: {Accept, Reject},
	TaskHold:      {Waive},
	TaskEngine:    {Retry},
}

// ask puts the operation to a person.
func (x *Runner) ask(ctx context.Context, r *Request, step *Step, kind TaskKind, a connector.Ask) (Outcome, error) {
	now := x.Now()
	task := x.Task(kind, a)
	task.System, task.Operation = step.System, step.Operation
	if kind == TaskManual && !step.Operation.Changes() { // an export by hand comes with the document
		task.Choices = []Act{Done, Skip}
	}
	step.Phase, step.Since, step.Task, step.Lease, step.Epoch = Asking, now, task.ID, time.Time{}, r.Epoch
	err := x.Open(ctx, r, []Task{task}, []Step{*step})
	return Outcome{Status: NeedsTask, Wait: WaitTask(task.ID)}, err
}

// Task makes a question to a person; Open puts it.
func (x *Runner) Task(kind TaskKind, a connector.Ask) Task {
	now := x.Now()
	return Task{
		ID: x.NewID(now), Kind: kind, Reason: a.Reason, Instructions: a.Instructions,
		Choices: slices.Clone(choices[kind]), Opened: now, Due: now.Add(x.Policy.Scale(x.Policy.Task)),
	}
}

// Open puts tasks to people. Systems that run side by side meet at the request's
// version: the later one reads it again.
func (x *Runner) Open(ctx context.Context, r *Request, tasks []Task, steps []Step) error {
	return x.open(ctx, r, tasks, Change{Steps: steps})
}

func (x *Runner) open(ctx context.Context, r *Request, tasks []Task, with Change) error {
	epoch := r.Epoch
	return x.Write(ctx, r, func(r *Request) (Change, error) {
		if r.Epoch != epoch {
			return Change{}, errs.New(errs.Conflict, "another run has taken over")
		}
		c := with
		c.Request, c.Tasks = r, tasks
		for _, t := range tasks {
			e, err := r.ask(t)
			if err != nil {
				return Change{}, err
			}
			c.Entries = append(c.Entries, e)
		}
		return c, nil
	})
}

// Write stores what change makes of the request, reading it again when another
// writer was faster.
func (x *Runner) Write(ctx context.Context, r *Request, change func(*Request) (Change, error)) error {
	const tries = 24 // in each round of a race one writer wins
	for try := 1; ; try++ {
		fresh := *r
		c, err := change(&fresh)
		if err != nil {
			return err
		}
		fresh.Next = NextVisit(&fresh, x.Policy, x.Now())
		if err = x.Store.Write(ctx, c); err == nil {
			*r = fresh
			return nil
		}
		if !errs.Is(err, errs.Conflict) || try == tries {
			return err
		}
		newer, err := x.Store.Get(ctx, r.ID)
		if err != nil {
			return err
		}
		if newer.Version == r.Version {
			return errs.New(errs.Conflict, "another invocation has written the row")
		}
		*r = *newer
	}
}

func add(sum, more map[string]int) map[string]int {
	if len(more) == 0 {
		return sum
	}
	all := maps.Clone(sum)
	if all == nil {
		all = map[string]int{}
	}
	for k, n := range more {
		all[k] += n
	}
	return all
}

// Result is the outcome as the state machine reads it.
func (o Outcome) Result() Result {
	return Result{State: string(o.Status), Seconds: Seconds(o.After), Wait: o.Wait}
}

// Child names the execution that takes one operation on one system forward.
func (r *Request) Child(system string, op connector.Operation, look int) Child {
	name := strings.Join([]string{r.ID, strconv.Itoa(r.Epoch), strconv.Itoa(r.Round), system, string(op), strconv.Itoa(look)}, "_")
	return Child{Request: r.ID, Epoch: r.Epoch, System: system, Operation: op, Look: look}.named(name)
}

// Anew is the same operation under the name of another execution, because one may
// have ended without it (Runner.AnswerFirst).
func (c Child) Anew() Child { return c.named(c.Name + "_anew") }

// Under is the same operation under a plan: an execution that has ended without
// it, because something else came first, had the name of an earlier plan.
func (c Child) Under(p Plan) Child { return c.named(c.Name + "_" + p.Digest[:12]) }

func (c Child) named(name string) Child {
	const longest = 80 // of an execution's name
	if len(name) > longest {
		sum := sha256.Sum256([]byte(name))
		name = c.Request + "_" + hex.EncodeToString(sum[:16])
	}
	c.Name = name
	return c
}

// LogStep writes the one line of an invocation by a state machine.
func LogStep(ctx context.Context, log *slog.Logger, p Payload, out Result, err error, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("do", p.Do), slog.String("dsr", p.Request), slog.Int("epoch", p.Epoch),
		slog.String("system", p.System), slog.String("operation", string(p.Operation)), slog.Int("look", p.Look),
		slog.String("state", out.State), slog.Int64("us", took.Microseconds()),
	}
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("error", string(errs.KindOf(err))), slog.String("cause", errs.Cause(err)))
	}
	log.LogAttrs(ctx, level, "step", attrs...)
}
