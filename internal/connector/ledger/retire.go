package ledger

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// Retired is a subject that retention would erase.
type Retired struct {
	SubjectID redact.String
	Partition string
	Events    int
	Updated   time.Time // of the latest event
}

// Retention lists, oldest first of each page, the subjects of a site whose latest
// event lies before a day, from a position on (nil for the first page): what
// would go, for a report before anything does. A day that is younger than the
// policy's floor is Invalid. A view may be of a person who is active under
// another subject: Retire and Retirable look closer.
func (c *Connector) Retention(ctx context.Context, site string, before time.Time, from *consent.Position, limit int) (list []Retired, next *consent.Position, err error) {
	if err := c.mayRetire(before); err != nil {
		return nil, nil, err
	}
	views, err := c.Views.ViewsOfSite(ctx, site, consent.Span{Before: from, To: before}, limit)
	if err != nil {
		return nil, nil, err
	}
	for _, v := range views {
		if v.Updated.Before(before) && !v.TooMany {
			list = append(list, Retired{v.SubjectID, v.Subject, v.Events, v.Updated})
		}
	}
	if len(views) == limit && limit > 0 {
		next = new(views[len(views)-1].Position())
	}
	return list, next, nil
}

// Identify is whom a request for retention or for an erasure by subject id is
// about.
func Identify(site string, id redact.String) connector.Subject {
	return connector.Subject{Site: site, Identifiers: []identity.Identifier{{Kind: identity.SubjectID, Value: id, Trust: identity.Company}}}
}

// mayRetire refuses a day that is younger than the policy's hard floor.
func (c *Connector) mayRetire(before time.Time) error {
	if c.Policy.RetentionFloor <= 0 || before.After(c.Now().Add(-c.Policy.Scale(c.Policy.RetentionFloor))) {
		return errs.New(errs.Invalid, "retention never deletes what is younger than the policy's retention floor")
	}
	return nil
}

// Standing is whether retention may erase a person, and why not.
type Standing string

// The standings.
const (
	Lapsed     Standing = "lapsed"     // nothing was said or received since the day
	Active     Standing = "active"     // something was, under this subject or another one of the same person
	Restricted Standing = "restricted" // Art. 18 GDPR: what is restricted is not deleted either, the person may need it
	Requested  Standing = "requested"  // a request of the person is open, and may be held
)

// Retirement is one person before, and after, retention.
type Retirement struct {
	Standing Standing
	Subjects []string  // partitions of the person
	Latest   time.Time // when the last was said or received
	Found    map[string]int
	Erased   map[string]int // tombstones of this erasure; nil where nothing was erased
	Kept     []connector.Kept
	Residue  map[string]int // what looking again has found, but for views, which follow
}

// Requests tells whether a request that knows an identifier is open.
type Requests func(ctx context.Context, i identity.Identifier) (open bool, err error)

// Retirable tells how it stands with the person of a subject; nothing changes.
// The whole person counts, as an erasure would reach them: all their subjects,
// and single events that state their e-mail elsewhere.
func (c *Connector) Retirable(ctx context.Context, site string, id redact.String, before time.Time, requests Requests) (Retirement, error) {
	out, _, _, err := c.standing(ctx, site, id, before, requests)
	return out, err
}

// Retire erases the person of a subject of whom nothing was heard since a day, by
// the same operation as a request, and looks again. It covers what was said until
// that day and nothing else: what arrives while it goes on, and was said later,
// stays. run is the id of what erases, a UUIDv7. It may be repeated, also after a
// crash.
func (c *Connector) Retire(ctx context.Context, run, site string, id redact.String, before time.Time, requests Requests) (Retirement, error) {
	if c.Removal == nil {
		return Retirement{}, errs.New(errs.Internal, "only the function erase may erase")
	}
	before = time.UnixMilli(before.UnixMilli()).UTC()
	out, p, s, err := c.standing(ctx, site, id, before, requests)
	if err != nil || out.Standing != Lapsed {
		return out, err
	}
	now := c.Now().UTC()
	call := connector.Call{Request: run, Operation: connector.Erase, Subject: s, Now: now}
	progress, err := c.fixErasure(ctx, call, p, cursor{At: before.UnixMilli(), From: now.UnixMilli()})
	// Should this call die, tidying up erases what is left; the look settles it.
	for _, partition := range out.Subjects {
		if err == nil {
			err = c.Removal.Erasures.Revive(ctx, site, partition)
		}
	}
	for err == nil {
		out.Kept = append(out.Kept, progress.Kept...)
		if progress.Done {
			out.Erased = progress.Counts
			break
		}
		if err = ctx.Err(); err == nil {
			call.Handle = progress.Handle
			progress, err = c.erase(ctx, call)
		}
	}
	if err != nil {
		return out, err
	}
	residue, err := c.Verify(ctx, call)
	out.Residue = residue.Counts
	for _, lists := range []string{"views", "search_entries"} { // the projection follows by itself
		delete(out.Residue, lists)
	}
	return out, err
}

// standing reads all of a person.
func (c *Connector) standing(ctx context.Context, site string, id redact.String, before time.Time, requests Requests) (out Retirement, p *person, s connector.Subject, err error) {
	if err := c.mayRetire(before); err != nil {
		return out, nil, s, err
	}
	s = Identify(site, id)
	if p, err = c.reach(ctx, s); err != nil {
		return out, nil, s, err
	}
	s.Identifiers = append(s.Identifiers, p.identifiers(s)...)
	if s.Identifiers, err = p.rememberForms(ctx, s.Identifiers); err != nil {
		return out, nil, s, err
	}
	out.Found = p.counts
	for _, t := range p.targets {
		if !t.Single {
			out.Subjects = append(out.Subjects, t.Partition)
		}
	}
	restricted, err := p.lastHeard(ctx, &out.Latest)
	if err != nil {
		return out, nil, s, err
	}
	switch {
	case !out.Latest.Before(before):
		out.Standing = Active
		return out, p, s, nil
	case restricted:
		out.Standing = Restricted
		return out, p, s, nil
	}
	out.Standing = Lapsed
	for _, i := range s.Identifiers {
		if i.Kind == FormKind {
			continue
		}
		open, err := requests(ctx, i)
		if err != nil {
			return out, nil, s, err
		}
		if open {
			out.Standing = Requested
			break
		}
	}
	return out, p, s, nil
}

// lastHeard finds when the last of a person was said or received, and whether the
// last word on a restriction is that there is one.
func (p *person) lastHeard(ctx context.Context, latest *time.Time) (restricted bool, err error) {
	var judged time.Time
	later := func(t time.Time) {
		if t.After(*latest) {
			*latest = t
		}
	}
	for _, t := range p.targets {
		err := p.c.rows(ctx, t.Partition, "", func(r consent.Row) error {
			e := r.Event
			if r.Erased || t.Single && (e == nil || !p.states(e)) {
				return nil
			}
			if later(r.Said); e == nil {
				return nil
			}
			later(e.Received)
			if e.Kind == consent.KindRestriction && !e.Received.Before(judged) {
				judged, restricted = e.Received, !e.Lifted
			}
			return nil
		})
		if err != nil {
			return false, err
		}
	}
	return restricted, nil
}
