package sweep

import (
	"context"
	"strconv"
	"time"

	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

// identityMargin is how much later than the run itself sweep ends the wait for
// the proof of identity, on a day of 24 hours.
const identityMargin = time.Hour

// A due date that has come: set, and not after now.
func come(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }

// on names the occasion of a reminder: the instant for which it was due.
func on(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }

// identity ends the wait for a proof that did not come, and in the end the
// request.
func (v *visit) identity(ctx context.Context) error {
	if lapses := request.IdentityLapses(v.r, v.policy); !lapses.IsZero() && come(lapses.Add(v.policy.Scale(identityMargin)), v.at) {
		return v.act(ctx, request.Lapse, "the person has not proven who they are", nil)
	}
	if !come(request.IdentityEnds(v.r, v.policy), v.at) {
		return nil
	}
	if !v.hearsay() {
		if err := v.remind(ctx, letter.IdentityRefused, "1", ""); err != nil {
			return err
		}
	}
	ground := "Art. 12(6) GDPR"
	if v.r.Regime == request.CCPA {
		ground = "Cal. Code Regs. tit. 11, § 7060"
	}
	return v.act(ctx, request.Refuse, "the person has not proven who they are", func(r *request.Request, e *request.Entry, _ *request.Change) {
		r.Refusal = &request.Refusal{Ground: ground, Reason: e.Why, By: request.Avow, At: v.at}
		r.Closed = v.at
	})
}

// acknowledgement sees to it that the receipt is confirmed in time (CCPA). The
// letter itself is one that is owed; here the office hears that it did not go
// out.
func (v *visit) acknowledgement(ctx context.Context) error {
	until := v.r.Clock.Acknowledge
	if until.IsZero() || !come(until.Add(-v.policy.Scale(24*time.Hour)), v.at) || v.r.Type == request.Disclosure || v.hearsay() {
		return nil
	}
	for kind, occasion := range map[letter.Kind]string{letter.Acknowledgement: "1", letter.IdentityLink: "1"} {
		if out, _, err := v.post.Arrived(ctx, v.r.ID, kind, occasion); err != nil || out {
			return err
		}
	}
	if _, told, err := v.post.Arrived(ctx, v.r.ID, letter.Reminder, string(letter.Unacknowledged)+".1"); err != nil || told {
		return err
	}
	v.log.WarnContext(ctx, "the receipt of a request is not confirmed", "event", "request_unacknowledged", "request", v.r.ID)
	return v.remind(ctx, letter.Unacknowledged, "1", "")
}

// held tells a person before the deadline that nothing is deleted for now, and
// on which ground.
func (v *visit) held(ctx context.Context) error {
	if !come(request.InformAt(v.r, v.policy), v.at) {
		return nil
	}
	if out, err := v.mailed(ctx, letter.Held, "1", nothing); err != nil || !out {
		return err
	}
	return v.act(ctx, request.Inform, "nothing is deleted while the hold is in force", func(r *request.Request, _ *request.Entry, _ *request.Change) {
		r.Clock.Informed = v.at
	})
}

// deadline warns before it, and marks a request that has none of its answer
// after it. What a form has claimed and nobody proven is no reason to wake
// anybody: it is refused in the end.
func (v *visit) deadline(ctx context.Context) error {
	c := &v.r.Clock
	informed := len(v.r.Holds) > 0 && !c.Informed.IsZero()
	if !v.r.Answered.IsZero() || !c.Paused.IsZero() || v.r.State == request.Unverified || v.r.State.Ended() || v.hearsay() || informed {
		return nil
	}
	if come(c.Due, v.at) && !c.Overdue {
		v.log.ErrorContext(ctx, "a request has no answer at its deadline", "event", "request_overdue", "request", v.r.ID, "type", v.r.Type, "state", v.r.State)
		if err := v.remind(ctx, letter.Overdue, on(c.Due), ""); err != nil {
			return err
		}
		return v.act(ctx, request.Overdue, "", func(r *request.Request, _ *request.Entry, _ *request.Change) { r.Clock.Overdue = true })
	}
	if c.Overdue || c.Warned || !come(c.Due.Add(-v.policy.Scale(v.policy.Warn)), v.at) {
		return nil
	}
	if err := v.remind(ctx, letter.Deadline, on(c.Due), ""); err != nil {
		return err
	}
	return v.act(ctx, request.Warn, "", func(r *request.Request, _ *request.Entry, _ *request.Change) { r.Clock.Warned = true })
}

// approval reminds of what waits for an administrator: a plan, a package, a check
// of who the person is.
func (v *visit) approval(ctx context.Context) error {
	at := request.RemindAt(v.r, v.policy)
	if !come(at, v.at) {
		return nil
	}
	matter := map[request.State]letter.Matter{
		request.WaitingApproval: letter.Approval, request.WaitingRelease: letter.Release, request.WaitingIdentity: letter.Identity,
	}[v.r.State]
	if err := v.remind(ctx, matter, on(at), ""); err != nil {
		return err
	}
	return v.act(ctx, request.Remind, "", func(r *request.Request, e *request.Entry, _ *request.Change) {
		r.Reminded, e.Detail = v.at, map[string]string{"matter": string(matter)}
	})
}

// tasks reminds of tasks that nobody has decided in time.
func (v *visit) tasks(ctx context.Context) error {
	if v.r.Open == 0 {
		return nil
	}
	tasks, err := v.store.Tasks(ctx, v.r.ID)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		at := t.Due
		if !t.Reminded.IsZero() {
			at = t.Reminded.Add(v.policy.Scale(v.policy.Remind))
		}
		if !t.Decided.IsZero() || !come(at, v.at) {
			continue
		}
		if err := v.remind(ctx, letter.Task, t.ID+"."+on(at), t.System); err != nil {
			return err
		}
		t.Reminded = v.at
		err := v.act(ctx, request.Remind, "", func(_ *request.Request, e *request.Entry, c *request.Change) {
			e.System, e.Detail, c.Tasks = t.System, map[string]string{"matter": string(letter.Task), "task": t.ID}, []request.Task{t}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// expire stops offering a package whose time is over. The bucket's lifecycle
// deletes it.
func (v *visit) expire(ctx context.Context) error {
	if !come(request.PackageExpires(v.r, v.policy), v.at) {
		return nil
	}
	return v.act(ctx, request.Expire, "", func(r *request.Request, _ *request.Entry, _ *request.Change) {
		copied := *r.Package
		copied.Expired = v.at
		r.Package = &copied
	})
}

// kept says that the log of a request has been kept as long as the policy says.
// Without a next visit (rest) it is the function erase's to remove: sweep deletes
// nothing.
func (v *visit) kept(ctx context.Context) error {
	if come(request.KeptUntil(v.r, v.policy), v.at) {
		v.log.InfoContext(ctx, "the log of a request need not be kept any longer", "event", "request_retention_over", "request", v.r.ID)
	}
	return nil
}
