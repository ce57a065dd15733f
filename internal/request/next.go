package request

import "time"

// How often sweep looks at a request about which nothing is to be done by a
// date, on a day of 24 hours.
const (
	soon = 15 * time.Minute // after a change: a decision or a letter may not have gone out
	calm = 6 * time.Hour    // nothing was wrong last time
)

// leastKept is how long the log of a request is kept at the least, whatever the
// policy says (CCPA regulations § 7101: 24 months).
const leastKept = 730 * calendarDay

// holdNotice is how long before the deadline a person whose data is held hears
// of it.
const holdNotice = 2 * calendarDay

// NextVisit is when sweep is to look at a request that was just changed. Every
// writer of a request sets Request.Next to it, last: sweep repairs what a crash
// after the write has left undone.
func NextVisit(r *Request, p Policy, now time.Time) time.Time {
	return earliest(now.Add(p.Scale(soon)), Milestone(r, p, now))
}

// NextCalm is NextVisit for a request of which sweep has found that all is well.
func NextCalm(r *Request, p Policy, now time.Time) time.Time {
	milestone := Milestone(r, p, now)
	if r.State.Ended() {
		return milestone
	}
	return earliest(now.Add(p.Scale(calm)), milestone)
}

// Milestone is the next instant after now at which something is to be done
// about the request; zero when there is none.
func Milestone(r *Request, p Policy, now time.Time) time.Time {
	var next time.Time
	for _, at := range milestones(r, p) {
		if at.After(now) {
			next = earliest(next, at)
		}
	}
	return next
}

func milestones(r *Request, p Policy) []time.Time {
	list := []time.Time{PackageExpires(r, p)}
	if r.State.Ended() {
		return append(list, KeptUntil(r, p))
	}
	list = append(list, IdentityLapses(r, p), IdentityEnds(r, p), RemindAt(r, p))
	if r.Answered.IsZero() && r.Clock.Paused.IsZero() {
		list = append(list, r.Clock.Due, r.Clock.Due.Add(-p.Scale(p.Warn)), InformAt(r, p))
	}
	if !r.Clock.Acknowledge.IsZero() {
		list = append(list, r.Clock.Acknowledge.Add(-p.Scale(calendarDay)), r.Clock.Acknowledge)
	}
	return list
}

// since is when the request came into its state.
func (r *Request) since() time.Time {
	if r.Since.IsZero() {
		return r.Received
	}
	return r.Since
}

// IdentityLapses is when the person has had time enough to prove who they are;
// zero when the request does not wait for that.
func IdentityLapses(r *Request, p Policy) time.Time {
	if r.State != WaitingIdentity {
		return time.Time{}
	}
	return r.since().Add(p.ForPerson(p.Identity))
}

// IdentityEnds is when a request that was never proven is refused: at the legal
// deadline, and not before a new link could have been used. Zero when the
// request is not unverified.
func IdentityEnds(r *Request, p Policy) time.Time {
	if r.State != Unverified {
		return time.Time{}
	}
	return latest(r.Clock.Due, r.since().Add(p.Scale(p.Identity)))
}

// RemindAt is when an administrator is reminded of an approval, of a release, or
// of the check of somebody who has no link to prove themselves with; zero when
// nothing waits for one.
func RemindAt(r *Request, p Policy) time.Time {
	check := r.State == WaitingIdentity && r.Identity.Links == 0
	if r.State != WaitingApproval && r.State != WaitingRelease && !check {
		return time.Time{}
	}
	if !r.Reminded.IsZero() {
		return r.Reminded.Add(p.Scale(p.Remind))
	}
	return r.since().Add(p.Scale(p.Approval))
}

// InformAt is when a person whose data is held is told so: a hold stops the
// deletion, never the duty to answer in time. Zero when that is not the case,
// or done.
func InformAt(r *Request, p Policy) time.Time {
	if r.Type != Erasure || len(r.Holds) == 0 || r.State.Ended() || !r.Clock.Informed.IsZero() || !r.Answered.IsZero() {
		return time.Time{}
	}
	return r.Clock.Due.Add(-p.Scale(min(holdNotice, max(p.Warn, time.Hour))))
}

// PackageExpires is when a delivered package is not offered any more; zero when
// there is none, or it has expired.
func PackageExpires(r *Request, p Policy) time.Time {
	if r.Package == nil || r.Package.Released.IsZero() || !r.Package.Expired.IsZero() {
		return time.Time{}
	}
	return r.Package.Released.Add(p.Scale(p.Package))
}

// KeptUntil is until when the log of an ended request is kept; zero while it is
// open.
func KeptUntil(r *Request, p Policy) time.Time {
	if !r.State.Ended() {
		return time.Time{}
	}
	return r.since().Add(p.Scale(max(p.Keep, leastKept)))
}

// earliest is the earlier of two instants, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// latest is the later of two instants.
func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
