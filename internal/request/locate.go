package request

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// maxKnown bounds how many identifiers one request may gather: one person, or a
// small set, has fewer.
const maxKnown = 500

// locating is one invocation's work on finding a person.
type locating struct {
	*Runner
	r      *Request
	known  []Known
	found  map[string]Found
	keys   map[string]bool
	pause  time.Duration             // until a system that cannot tell yet is asked again
	before map[string]map[string]int // what systems that are searched once more held at first
	leave  map[string]bool           // systems that are not asked: what they hold is being dealt with
	most   time.Duration             // for how long a system that does not answer is asked again
}

// Locate asks every system what it holds, again each time another one has
// yielded an identifier that it is found by, until nothing new comes: so every
// identifier is stored before anything is deleted. It is bounded by the deadline
// of ctx; Waiting means that it wants to be called again. At the end the plan is
// bound by its digest, and the request waits for its approval.
func (x *Runner) Locate(ctx context.Context, id string, epoch int) (Outcome, error) {
	r, err := x.Current(ctx, id, epoch)
	if err != nil || r == nil {
		return Outcome{Status: Stale}, err
	}
	if !slices.Contains([]State{Locating, WaitingApproval, OnHold}, r.State) {
		return Outcome{Status: Ready}, nil // approved: what follows may have begun to delete
	}
	l, err := x.locating(ctx, r)
	if err != nil {
		return Outcome{}, err
	}
	if err := l.settle(ctx); err != nil {
		return Outcome{}, err
	}
	if l.pause > 0 {
		return Outcome{Status: Waiting, After: l.pause}, nil
	}
	return l.conclude(ctx)
}

// settle asks until nobody has anything new to tell, or until time runs out or a
// system wants a pause.
func (l *locating) settle(ctx context.Context) error {
	for progress := true; progress; {
		progress = false
		for _, s := range l.Systems {
			if l.leave[s.Name] {
				continue
			}
			if time.Until(deadline(ctx)) < slack {
				l.pause = time.Second
				return nil
			}
			asked, err := l.ask(ctx, s)
			if err != nil {
				return err
			}
			progress = progress || asked
		}
	}
	return nil
}

// slack is what an invocation keeps for writing down what it has found.
const slack = 20 * time.Second

func deadline(ctx context.Context) time.Time {
	if d, ok := ctx.Deadline(); ok {
		return d
	}
	return time.Now().Add(time.Hour)
}

func (x *Runner) locating(ctx context.Context, r *Request) (*locating, error) {
	l := &locating{Runner: x, r: r, found: map[string]Found{}, keys: map[string]bool{}, before: map[string]map[string]int{}, leave: map[string]bool{}, most: x.Policy.Scale(x.Policy.Task)}
	var err error
	if l.known, err = x.Store.Known(ctx, r.ID); err != nil {
		return nil, err
	}
	for _, k := range l.known {
		l.keys[k.Key] = true
	}
	found, err := x.Store.Found(ctx, r.ID)
	for _, f := range found {
		l.found[f.System] = f
	}
	return l, err
}

// ask asks one system, if there is something that it was not asked with yet.
func (l *locating) ask(ctx context.Context, s System) (asked bool, err error) {
	now := l.Now()
	f := l.found[s.Name]
	f.System = s.Name
	subject := l.subject(s)
	subject.Handle = f.Handle
	digest := l.asking(subject)
	if f.Asked == digest {
		return false, nil
	}
	if next := f.At.Add(l.Policy.Backoff(f.Polls - 1)); f.Polls > 0 && next.After(now) {
		l.wait(next.Sub(now))
		return false, nil
	}
	findings, err := s.Connector.Locate(ctx, subject)
	f.At = now
	switch {
	case err != nil && l.tryAgain(&f, err, now):
		pause, _ := connector.RetryAfter(err)
		l.wait(max(pause, l.Policy.Backoff(f.Polls-1)))
	case err != nil:
		f.Failed, f.Reason, f.Asked = true, string(errs.KindOf(err)), digest
	default:
		f.Failed, f.Reason, f.Since, f.Asked = false, "", time.Time{}, digest
		f.Counts, f.Notes, f.Done, f.Of = add(l.before[s.Name], findings.Counts), findings.Notes, findings.Done, findings.Of
		asked = l.more(&f, findings)
	}
	fresh, tasks, left := l.learn(s.Name, findings)
	if left > 0 {
		f.Notes = append(slices.Clone(f.Notes), fmt.Sprintf("%d more records may be the person's: too many to judge one by one, such as those of a number that many share", left))
	}
	if err := l.store(ctx, f, fresh, tasks); err != nil {
		return false, err
	}
	l.found[s.Name] = f
	l.known = append(l.known, fresh...)
	return asked || f.Asked != "", nil
}

// more sees to a system that has more to tell. A search that has moved goes on,
// at once where it wants no longer pause than that; one that waits for something
// is asked less and less often.
func (l *locating) more(f *Found, findings connector.Findings) (atOnce bool) {
	moved := findings.Handle != f.Handle
	f.Handle = findings.Handle
	if findings.More <= 0 {
		f.Polls = 0
		return false
	}
	f.Asked, f.Polls = "", f.Polls+1
	if moved {
		f.Polls = 0
	}
	if moved && findings.More <= time.Second {
		return true
	}
	l.wait(findings.More)
	return false
}

// tryAgain reports whether a failure to find may still pass: before a plan is
// made for as long as the policy gives an operator for a task, and then for as long
// as it gives an operation.
func (l *locating) tryAgain(f *Found, err error, now time.Time) bool {
	if f.Since.IsZero() {
		f.Since = now
	}
	f.Polls++
	return errs.Is(err, errs.Unavailable) && now.Sub(f.Since) < l.most
}

func (l *locating) wait(d time.Duration) {
	if l.pause == 0 || d < l.pause {
		l.pause = max(d, time.Millisecond)
	}
}

// subject is the person as one system may be asked for.
func (l *locating) subject(s System) connector.Subject {
	needs, _ := s.Connector.Identifiers()
	subject := SubjectOf(l.r, l.known)
	subject.Identifiers = slices.DeleteFunc(subject.Identifiers, func(i identity.Identifier) bool {
		return !slices.Contains(needs, i.Kind)
	})
	return subject
}

// asking is what a system is asked with, as a digest.
func (l *locating) asking(s connector.Subject) string {
	var keys []string
	for _, i := range s.Identifiers {
		key, _ := l.Hash(l.r.Site, i)
		keys = append(keys, key+"/"+string(i.Trust))
	}
	slices.Sort(keys)
	h := sha256.New()
	for _, k := range keys {
		h.Write([]byte(k + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// maxCandidates bounds what one answer of a system puts to people: a number that a
// whole company shares leads to all who work there.
const maxCandidates = 20

// learn makes rows of what is new: identifiers that may be followed, and
// candidates, each with a task; left are the candidates that are too many.
func (l *locating) learn(system string, f connector.Findings) (fresh []Known, tasks []Task, left int) {
	take := func(i identity.Identifier, evidence string) (key string, isNew bool) {
		key, ok := l.Hash(l.r.Site, i)
		if !ok || l.keys[key] || len(l.keys) >= maxKnown {
			return "", false
		}
		i.System = system
		l.keys[key] = true
		fresh = append(fresh, Known{Identifier: i, Key: key, Evidence: evidence})
		return key, true
	}
	for _, i := range f.Identifiers {
		take(i, "")
	}
	for _, c := range f.Candidates {
		if len(tasks) == maxCandidates {
			if key, ok := l.Hash(l.r.Site, c.Identifier); ok && !l.keys[key] {
				left++
			}
			continue
		}
		c.Identifier.Trust = identity.Public // whatever the system says: an operator decides
		if key, isNew := take(c.Identifier, c.Evidence); isNew {
			tasks = append(tasks, l.judge(system, key, c.Evidence,
				"Compare the record with what the person has said. Accept it only if it is theirs; what is in doubt is somebody else's."))
		}
	}
	return fresh, tasks, left
}

// judge asks a person about a candidate.
func (l *locating) judge(system, key, evidence, how string) Task {
	t := l.Task(TaskCandidate, connector.Ask{Reason: evidence, Instructions: how})
	t.System, t.Candidate = system, key
	return t
}

// The evidence of what only the request says.
const (
	stated = "stated in the request, not proven"
	common = "stated in the request; several people may have the same"
)

// claims puts what the request only claims to people, once: what somebody has
// named beside the address that they have proven is not followed until an
// operator vouches for it, nor is a proven telephone number or name, which others
// may share. The evidence marks what was put already; it is written together with
// the task.
func (l *locating) claims() (tasks []Task, asked []Known) {
	for _, k := range l.known {
		if k.System != "" || k.Evidence != "" || k.Accepted || k.Rejected {
			continue
		}
		switch {
		case k.Trust == identity.Claimed:
			k.Evidence = stated
		case k.Trust == identity.Proven && !k.Followed():
			k.Evidence = common
		default:
			continue
		}
		asked = append(asked, k)
		tasks = append(tasks, l.judge("", k.Key, k.Evidence,
			"Accept it only if you know that it is the person's, such as from their customer file: then the systems are searched for it, too. Nothing waits for this; what is undecided is not searched for."))
	}
	return tasks, asked
}

// undecided counts the candidates of a system that nobody has judged.
func undecided(known []Known, system string) int {
	n := 0
	for _, k := range known {
		if k.System == system && k.Evidence != "" && !k.Accepted && !k.Rejected {
			n++
		}
	}
	return n
}

func (l *locating) store(ctx context.Context, f Found, fresh []Known, tasks []Task) error {
	if len(tasks) == 0 {
		return l.Store.Write(ctx, Change{
			Fence: &Fence{Request: l.r.ID, Epoch: l.r.Epoch}, Found: []Found{f}, Known: fresh,
		})
	}
	return l.open(ctx, l.r, tasks, Change{Found: []Found{f}, Known: fresh})
}

// conclude binds what was found: the request waits for an approval of exactly
// this plan.
func (l *locating) conclude(ctx context.Context) (Outcome, error) {
	plan, err := l.plan(l.r, l.found, l.known)
	if err != nil {
		return Outcome{}, err
	}
	tasks, asked := l.claims()
	if l.r.Findings == plan.Digest && l.r.State != Locating && len(tasks) == 0 {
		return Outcome{Status: NeedsTask, Wait: WaitApproval(plan.Digest)}, nil
	}
	r := *l.r
	e, err := r.Do(Locate, Avow, "", l.Now())
	if err != nil {
		return Outcome{}, err
	}
	r.Findings = plan.Digest
	e.Detail = map[string]string{"digest": plan.Digest}
	c := Change{Request: &r, Entries: []Entry{e}, Tasks: tasks, Known: asked}
	for _, t := range tasks {
		if e, err = r.ask(t); err != nil {
			return Outcome{}, err
		}
		c.Entries = append(c.Entries, e)
	}
	r.Next = NextVisit(&r, l.Policy, l.Now())
	err = l.Store.Write(ctx, c)
	if errs.Is(err, errs.Conflict) { // something was decided meanwhile: what was read may not hold any more
		return Outcome{Status: Waiting, After: time.Second}, nil
	}
	return Outcome{Status: NeedsTask, Wait: WaitApproval(plan.Digest)}, err
}

// PlanOf is the plan of a request as of its last locate.
func (x *Runner) PlanOf(ctx context.Context, r *Request) (Plan, error) {
	l, err := x.locating(ctx, r)
	if err != nil {
		return Plan{}, err
	}
	return x.plan(r, l.found, l.known)
}

// plan covers the systems that hold something of the person, and those that
// cannot tell: a person has to look there.
func (x *Runner) plan(r *Request, found map[string]Found, known []Known) (Plan, error) {
	var systems []System
	var list []Found
	for _, s := range x.Systems {
		f, asked := found[s.Name]
		if !asked || len(f.Counts) == 0 && !f.Failed && s.Connector.Inventory().Kind != "manual" {
			continue
		}
		systems = append(systems, s)
		list = append(list, f)
	}
	for name, f := range found { // what was found is not forgotten with the system's entry: Advance puts it to an operator
		if _, err := x.System(name); err != nil && len(f.Counts) > 0 {
			systems, list = append(systems, System{Name: name, Connector: gone{}}), append(list, f)
		}
	}
	slices.SortFunc(systems, func(a, b System) int { return cmp.Compare(a.Name, b.Name) })
	return MakePlan(r.Type.Operation(), systems, list, known)
}

// gone stands in a plan for a system that systems.json does not have any more.
type gone struct{ connector.Connector }

func (gone) Inventory() connector.Inventory               { return connector.Inventory{} }
func (gone) Identifiers() (needs, yields []identity.Kind) { return nil, nil }
