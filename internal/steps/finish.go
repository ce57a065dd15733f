package steps

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

// packer makes the package of what the exports have stored. It is bounded by the
// deadline of ctx; done is false when it wants to be called again.
type packer interface {
	Build(ctx context.Context, r *request.Request, steps []request.Step) (p request.Package, done bool, err error)
}

// issuer signs and stores a certificate of what was erased.
type issuer interface {
	Issue(ctx context.Context, r *request.Request, serial int, final bool) (request.CertificateRef, error)
}

// pack_ makes the package and waits for its release.
func (t *tools) pack_(ctx context.Context, p request.Payload) (request.Result, error) {
	r, over, err := t.current(ctx, p)
	if err != nil || r == nil {
		return over, err
	}
	switch {
	case r.Package != nil && !r.Package.Released.IsZero():
		return request.Result{State: released}, nil
	case r.State == request.WaitingRelease:
		return request.Result{State: waiting, Wait: request.WaitRelease(r.Package.Digest)}, nil
	}
	steps, err := t.Store.Steps(ctx, r.ID)
	if err != nil {
		return request.Result{}, err
	}
	built, done, err := t.pack.Build(ctx, r, steps)
	if errs.Is(err, errs.Invalid) && r.Package != nil && len(r.Package.Excluded) > 0 {
		return request.Result{State: string(request.Waiting)}, t.include(ctx, r)
	}
	if err != nil {
		return request.Result{}, err
	}
	if !done {
		return request.Result{State: string(request.Waiting)}, nil
	}
	err = t.Write(ctx, r, func(r *request.Request) (request.Change, error) {
		if r.Package != nil {
			built.Excluded = r.Package.Excluded
		}
		r.Package = &built
		e, err := r.Do(request.Pack, request.Avow, "", t.Now())
		e.Detail = map[string]string{"digest": built.Digest}
		return request.Change{Request: r, Entries: []request.Entry{e}}, err
	})
	return request.Result{State: waiting, Wait: request.WaitRelease(built.Digest)}, err
}

// include takes back what an officer wanted left out of the package, because it
// names a part that does not exist: the package is built whole and waits for its
// release again.
func (t *tools) include(ctx context.Context, r *request.Request) error {
	return t.Write(ctx, r, func(r *request.Request) (request.Change, error) {
		r.Package.Excluded = nil
		e, err := r.Do(request.Start, request.Avow, "a part to leave out does not exist: nothing is left out, name it as the package does", t.Now())
		return request.Change{Request: r, Entries: []request.Entry{e}}, err
	})
}

// deliver answers: it tells the person, or the organisation that receives the
// data, where to fetch the package; seconds is for how long it can be.
func (t *tools) deliver(ctx context.Context, p request.Payload) (request.Result, error) {
	r, over, err := t.current(ctx, p)
	if err != nil || r == nil {
		return over, err
	}
	if r.Package == nil || r.Package.Released.IsZero() {
		return request.Result{}, errs.New(errs.Conflict, "there is no package that an officer has released")
	}
	if err := t.answered(ctx, r); err != nil {
		return request.Result{}, err
	}
	until := r.Package.Released.Add(t.Policy.Scale(t.Policy.Package))
	if r.Type != request.Disclosure {
		on, err := t.sendLink(ctx, r, until)
		if err != nil || on.any() {
			return on.result(), err
		}
	}
	return request.Result{State: ready, Seconds: max(1, request.Seconds(until.Sub(t.Now())))}, nil
}

// sendLink sends the answer that carries a link to the package. The link of a
// portable copy for another organisation goes to that one, and the person is
// told so.
func (t *tools) sendLink(ctx context.Context, r *request.Request, until time.Time) (on open, err error) {
	person, err := t.Store.Personal(ctx, r.ID)
	if err != nil {
		return on, err
	}
	steps, err := t.Store.Steps(ctx, r.ID)
	if err != nil {
		return on, err
	}
	answer, occasion := t.answerOf(r, steps), r.Package.Digest[:min(8, len(r.Package.Digest))]
	linked := func(d letter.Data) func() (letter.Data, error) {
		return func() (_ letter.Data, err error) {
			d.Until = until
			d.Link, d.Expires, err = t.links.Make(ctx, r, request.PackageLink)
			return d, err
		}
	}
	if r.Type != request.Portability || person.Recipient == "" {
		return t.send(ctx, r, letter.Answer, occasion, linked(answer))
	}
	if on, err = t.send(ctx, r, letter.Handover, occasion, linked(letter.Data{})); err != nil || on.any() {
		return on, err
	}
	return t.send(ctx, r, letter.Answer, occasion, known(answer))
}

// answered marks the request as answered, once.
func (t *tools) answered(ctx context.Context, r *request.Request) error {
	if !r.Answered.IsZero() {
		return nil
	}
	return t.Write(ctx, r, func(r *request.Request) (request.Change, error) {
		e, err := r.Do(request.Answer, request.Avow, "", t.Now())
		r.Answered = t.Now()
		return request.Change{Request: r, Entries: []request.Entry{e}}, err
	})
}

// answer tells recipients (Art. 19) and the person what was done. Looking again
// after an erasure does not hold the answer up.
func (t *tools) answer(ctx context.Context, p request.Payload) (request.Result, error) {
	r, over, err := t.current(ctx, p)
	if err != nil || r == nil {
		return over, err
	}
	if pause, err := t.tell(ctx, r); err != nil || pause > 0 {
		return request.Result{State: string(request.Waiting), Seconds: request.Seconds(pause)}, err
	}
	steps, err := t.Store.Steps(ctx, r.ID)
	if err != nil {
		return request.Result{}, err
	}
	through, err := t.through(ctx, r, steps)
	if err != nil {
		return request.Result{}, err
	}
	if r.Type == request.Erasure && !through {
		if err := t.certify(ctx, r); err != nil {
			return request.Result{}, err
		}
	}
	if err := t.answered(ctx, r); err != nil {
		return request.Result{}, err
	}
	data := t.answerOf(r, steps)
	if through {
		data.Systems = append(data.Systems, letter.System{Title: t.inventory(r.Channel.System).Title.In(r.Language), Last: true})
	}
	on, err := t.send(ctx, r, letter.Answer, request.OnlyAnswer, known(data))
	switch {
	case err != nil || on.any():
		return on.result(), err
	case through:
		return t.over(ctx, r)
	}
	return t.next(r), nil
}

// over ends the chat that has carried the answer: it is erased now.
func (t *tools) over(ctx context.Context, r *request.Request) (request.Result, error) {
	err := t.post.Settle(ctx, r)
	if errors.Is(err, request.ErrUnderway) {
		return later(err).result(), nil
	}
	return request.Result{State: goOn}, err
}

// through reports whether the answer goes through a chat that is to be erased and
// is not yet.
func (t *tools) through(ctx context.Context, r *request.Request, steps []request.Step) (bool, error) {
	if r.Type != request.Erasure || r.Channel.System == "" {
		return false, nil
	}
	for _, s := range steps {
		if s.System == r.Channel.System && s.Operation == connector.Erase && s.Look == 0 && s.Phase.Ended() {
			return false, nil
		}
	}
	plan, err := t.PlanOf(ctx, r)
	for _, stage := range plan.Stages {
		for _, s := range stage {
			if s.System == r.Channel.System {
				return true, err
			}
		}
	}
	return false, err
}

// tell has every connector that can tell its recipients do so. What fails
// becomes a task and does not hold the answer up.
func (t *tools) tell(ctx context.Context, r *request.Request) (pause time.Duration, err error) {
	found, err := t.Store.Found(ctx, r.ID)
	if err != nil {
		return 0, err
	}
	for _, f := range found {
		s, err := t.System(f.System)
		if err != nil || len(f.Counts) == 0 || !s.Connector.Inventory().Can(connector.Tell) {
			continue
		}
		out, err := t.Advance(ctx, request.Ref{Request: r.ID, Epoch: r.Epoch, System: f.System, Operation: connector.Tell})
		if err != nil {
			return 0, err
		}
		if out.Status == request.Waiting {
			pause = max(pause, out.After, time.Second)
		}
	}
	return pause, nil
}

// next is the look that comes now, if the policy wants another one. The first of
// the policy is the one that ends each erasure.
func (t *tools) next(r *request.Request) request.Result {
	n := len(r.Looks) + 1
	if r.Type != request.Erasure || n >= len(t.Policy.Looks) {
		return request.Result{State: ready}
	}
	due := r.Answered.Add(t.Policy.Scale(t.Policy.Looks[n]))
	return request.Result{State: again, Look: n, Seconds: request.Seconds(due.Sub(t.Now()))}
}

// look lists the systems to look at again: those that were erased, and those in
// which nothing was found, because something may have come since.
func (t *tools) look(ctx context.Context, p request.Payload) (request.Result, error) {
	r, over, err := t.current(ctx, p)
	if err != nil || r == nil {
		return over, err
	}
	steps, err := t.Store.Steps(ctx, r.ID)
	if err != nil {
		return request.Result{}, err
	}
	done, again := map[string]bool{}, map[string]bool{}
	for _, s := range t.Systems {
		_, held := r.Held(s.Name)
		again[s.Name] = s.Connector.Inventory().Can(connector.Erase) && !s.DryRun && !held
	}
	for _, s := range steps {
		done[s.System] = done[s.System] || s.Look == p.Look && s.Phase.Ended()
		if s.Look == 0 && s.Operation == connector.Erase {
			again[s.System] = s.Phase == request.Finished
		}
	}
	out := request.Result{State: ready, Look: p.Look, Systems: []request.Child{}}
	for _, system := range slices.Sorted(maps.Keys(again)) {
		if again[system] && !done[system] {
			out.Systems = append(out.Systems, r.Child(system, connector.Erase, p.Look))
		}
	}
	return out, nil
}

// looked writes down what a look has found and issues the certificate again.
func (t *tools) looked(ctx context.Context, p request.Payload) (request.Result, error) {
	r, over, err := t.current(ctx, p)
	if err != nil || r == nil {
		return over, err
	}
	if len(r.Looks) < p.Look {
		steps, err := t.Store.Steps(ctx, r.ID)
		if err != nil {
			return request.Result{}, err
		}
		look := request.Look{At: t.Now(), Residue: residue(steps, p.Look)}
		err = t.Write(ctx, r, func(r *request.Request) (request.Change, error) {
			if len(r.Looks) >= p.Look {
				return request.Change{}, errLooked
			}
			r.Looks = append(r.Looks, look)
			e, err := r.Do(request.LookAct, request.Avow, "", t.Now())
			return request.Change{Request: r, Entries: []request.Entry{e}}, err
		})
		if err != nil && err != errLooked {
			return request.Result{}, err
		}
	}
	if err := t.certify(ctx, r); err != nil {
		return request.Result{}, err
	}
	return t.next(r), nil
}

var errLooked = errs.New(errs.Conflict, "the look is written down already")

// residue counts, by system, what a look has left standing on a decision.
func residue(steps []request.Step, look int) map[string]int {
	left := map[string]int{}
	for _, s := range steps {
		if s.Look == look && (s.Phase == request.Waived || s.Phase == request.Skipped) {
			left[s.System]++
		}
	}
	return left
}

// certify issues the certificate as of the last look.
func (t *tools) certify(ctx context.Context, r *request.Request) error {
	serial := len(r.Looks) + 1
	if r.Certificate != nil && r.Certificate.Serial >= serial {
		return nil
	}
	ref, err := t.issue.Issue(ctx, r, serial, len(r.Looks)+1 >= len(t.Policy.Looks))
	if err != nil {
		return err
	}
	return t.Write(ctx, r, func(r *request.Request) (request.Change, error) {
		r.Certificate = &ref
		e, err := r.Do(request.Certify, request.Avow, "", t.Now())
		e.Detail = map[string]string{"digest": ref.Digest}
		return request.Change{Request: r, Entries: []request.Entry{e}}, err
	})
}
