package sweep

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

// visit is one look at one request.
type visit struct {
	*sweeper
	r  *request.Request
	at time.Time
	// later: something did not succeed that may soon.
	later bool
}

// all does everything that is due about the request. What fails for now does not
// keep the rest from being done, except where the order matters.
func (v *visit) all(ctx context.Context) error {
	steps := []func(context.Context) error{
		v.identity, v.letters, v.decisions, v.acknowledgement, v.held, v.deadline, v.approval, v.tasks, v.run, v.expire,
	}
	if v.r.State.Ended() {
		steps = []func(context.Context) error{v.letters, v.farewell, v.expire, v.kept}
	}
	var failed []error
	for _, step := range steps {
		err := step(ctx)
		switch {
		case errs.Is(err, errs.Conflict):
			return err // what was read is old: the next visit reads anew
		case errs.Is(err, errs.Unavailable):
			v.later = true
		}
		if err != nil {
			failed = append(failed, err)
		}
	}
	v.later = v.later || len(failed) > 0
	if err := v.rest(ctx); err != nil {
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// rest sets when the next visit is.
func (v *visit) rest(ctx context.Context) error {
	next := request.NextCalm(v.r, v.policy, v.at)
	if v.later {
		next = request.NextVisit(v.r, v.policy, v.at)
	}
	if v.r.Next = next; v.r.State.Ended() && !v.later && !request.KeptUntil(v.r, v.policy).After(v.at) {
		v.r.Next = time.Time{}
	}
	return v.store.Write(ctx, request.Change{Request: v.r})
}

// act writes what Avow does, with its line in the log. change is made to the
// request that is written, and may add to the line.
func (v *visit) act(ctx context.Context, act request.Act, why string, change func(*request.Request, *request.Entry, *request.Change)) error {
	next := *v.r
	entry, err := next.Do(act, request.Avow, why, v.at)
	if err != nil {
		return err
	}
	c := request.Change{Request: &next}
	if change != nil {
		change(&next, &entry, &c)
	}
	next.Next = request.NextVisit(&next, v.policy, v.at)
	c.Entries = []request.Entry{entry}
	if err := v.store.Write(ctx, c); err != nil {
		return err
	}
	*v.r = next
	return nil
}

// mailed sees to it that a letter goes out, once. One that cannot be mailed, or
// of which nobody knows whether it went out, is brought to the privacy office:
// that is all that sweep can do about it. d makes what is to be said; it is not
// called for a letter that nothing more will happen to.
func (v *visit) mailed(ctx context.Context, kind letter.Kind, occasion string, d func() (letter.Data, error)) (out bool, err error) {
	out, settled, err := v.post.Arrived(ctx, v.r.ID, kind, occasion)
	if err == nil && !settled {
		var data letter.Data
		if data, err = d(); err == nil {
			err = v.post.Send(ctx, v.r, kind, occasion, data)
		}
		if errors.Is(err, request.ErrUnderway) { // the next visit sees what has become of it
			v.later = true
			return false, nil
		}
		if errors.Is(err, request.ErrUndeliverable) {
			v.log.WarnContext(ctx, "a letter cannot be mailed", "event", "letter_undeliverable", "request", v.r.ID, "letter", request.MailKey(kind, occasion))
			err = nil
		}
		if err == nil {
			out, settled, err = v.post.Arrived(ctx, v.r.ID, kind, occasion)
		}
	}
	if err != nil || out || !settled || kind == letter.Reminder {
		return out, err
	}
	if v.hearsay() { // only what is wrong with the mail service, not with an address that a form has named
		return false, v.post.Outage(ctx, v.r, kind, occasion)
	}
	key := request.MailKey(kind, occasion)
	return false, v.remind(ctx, letter.Undeliverable, key, key)
}

// nothing is what a letter says that needs nothing but the request.
func nothing() (letter.Data, error) { return letter.Data{}, nil }

// hearsay: a public form has named an address, and nobody has proven that it is
// theirs. Whoever fills in forms is not to fill the privacy office's mailbox.
func (v *visit) hearsay() bool { return !v.r.Identity.Proven() && v.r.Opened == request.ThePerson }

// remind writes to the privacy office, once for an occasion.
func (v *visit) remind(ctx context.Context, matter letter.Matter, occasion, what string) error {
	_, err := v.mailed(ctx, letter.Reminder, fmt.Sprintf("%s.%s", matter, occasion), func() (letter.Data, error) {
		return letter.Data{Matter: matter, What: what}, nil
	})
	return err
}

// letters sends what the request's state demands and nobody has sent.
func (v *visit) letters(ctx context.Context) error {
	var failed []error
	for kind, occasion := range request.Owed(v.r) {
		_, err := v.mailed(ctx, kind, occasion, func() (d letter.Data, err error) {
			switch kind {
			case letter.IdentityLink:
				d.Link, d.Expires, err = v.links.Make(ctx, v.r, request.IdentityLink)
			case letter.Unverified:
				d.Until = request.IdentityEnds(v.r, v.policy)
			}
			return d, err
		})
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", kind, err))
		}
	}
	return errors.Join(failed...)
}

// undelivered is how long a decision may go without its run hearing of it before
// somebody must look, on a day of 24 hours.
const undelivered = time.Hour

// decisions tells the run what was decided and it has not heard.
func (v *visit) decisions(ctx context.Context) error {
	decisions, err := v.store.Decisions(ctx, v.r.ID)
	if err != nil {
		return err
	}
	var failed []error
	for _, d := range decisions {
		if d.Delivered.IsZero() {
			failed = append(failed, v.deliver(ctx, d))
		}
	}
	return errors.Join(failed...)
}

// deliver does nothing while no run waits: the one that comes to wait looks for
// the decision itself. A token that nobody waits with any more is of a run that
// has ended, and the next one does the same.
func (v *visit) deliver(ctx context.Context, d request.Decision) error {
	token, err := v.store.Token(ctx, v.r.ID, d.Wait)
	if err != nil || token == nil {
		return err
	}
	if _, err := v.flow.Succeed(ctx, token.Token, d.Outcome); err != nil {
		if v.at.Sub(d.At) > v.policy.Scale(undelivered) {
			v.log.ErrorContext(ctx, "a run does not hear of a decision", "event", "decision_undelivered", "request", v.r.ID, "wait", d.Wait, "err", err)
		}
		return err
	}
	return v.store.Delivered(ctx, v.r.ID, d.Wait, v.at)
}

// run starts a run where none lives. An unverified request has none until the
// person asks for another link.
func (v *visit) run(ctx context.Context) error {
	if v.r.State == request.Unverified {
		return nil
	}
	alive, err := v.flow.Alive(ctx, v.r.Execution)
	if err != nil || alive {
		return err
	}
	if err := v.act(ctx, request.Resume, "no run was alive", nil); err != nil {
		return err
	}
	v.later = true // whether it has begun, the next visit sees
	return request.Launch(ctx, v.flow, v.r)
}

// farewell sees a request that has ended to its end: the run hears of it and
// forgets what the request holds of people. The last letter goes before.
func (v *visit) farewell(ctx context.Context) error {
	for kind, occasion := range request.Owed(v.r) {
		if _, settled, err := v.post.Arrived(ctx, v.r.ID, kind, occasion); err != nil || !settled {
			v.later = true
			return err
		}
	}
	if err := v.decisions(ctx); err != nil {
		return err
	}
	if err := v.release(ctx); err != nil {
		return err
	}
	holds, err := v.holdsPerson(ctx)
	if err != nil || !holds {
		return err
	}
	v.later = true
	alive, err := v.flow.Alive(ctx, v.r.Execution)
	if err != nil || alive {
		return err
	}
	return request.Launch(ctx, v.flow, v.r)
}

// release ends the waits for tasks that nobody will decide any more.
func (v *visit) release(ctx context.Context) error {
	tasks, err := v.store.Tasks(ctx, v.r.ID)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if !t.Decided.IsZero() || !t.Kind.Blocks() {
			continue
		}
		token, err := v.store.Token(ctx, v.r.ID, request.WaitTask(t.ID))
		if err != nil {
			return err
		}
		if token == nil {
			continue
		}
		if _, err := v.flow.Succeed(ctx, token.Token, string(v.r.State)); err != nil {
			return err
		}
	}
	return nil
}

// holdsPerson reports whether the request still holds what is forgotten at its
// end.
func (v *visit) holdsPerson(ctx context.Context) (bool, error) {
	known, err := v.store.Known(ctx, v.r.ID)
	if err != nil || len(known) > 0 {
		return len(known) > 0, err
	}
	p, err := v.store.Personal(ctx, v.r.ID)
	return p.Name+p.Address+p.Message+p.OnBehalf+p.Recipient+p.Authority != "" || len(p.Changes) > 0, err
}
