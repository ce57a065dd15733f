package zoom

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// walk is the handle of an export or an erasure: which source is next, and which
// part of it.
type walk struct {
	Day    string         `json:"day"` // from which windows count
	Source int            `json:"source"`
	Part   int            `json:"part"`
	Found  []target       `json:"found,omitempty"` // to be deleted: nothing is that was not found before
	Gone   []target       `json:"gone,omitempty"`  // deleted last; a list may still show them
	Rounds int            `json:"rounds,omitempty"`
	Left   map[string]int `json:"left,omitempty"` // what Zoom cannot delete, by why
}

const (
	perPoll   = 10  // parts that one Poll reads
	enough    = 100 // records that one Poll writes, about
	batch     = 20  // deletions in one Poll
	maxRounds = 5   // until a list has to know what was deleted
	lag       = time.Minute
	maxReads  = 400 // parts that one look reads: it has no handle
)

// begin makes what an operation walks over.
func (c *Connector) begin(call connector.Call, w *walk) (*who, []source, error) {
	if w.Day == "" {
		w.Day = call.Now.UTC().Format(time.DateOnly)
	}
	day, err := time.Parse(time.DateOnly, w.Day)
	if err != nil {
		return nil, nil, errs.New(errs.Internal, "the handle of the operation cannot be read")
	}
	p, err := c.who(call.Subject)
	if err != nil {
		return nil, nil, err
	}
	return p, c.sources(p, day), nil
}

func (w *walk) next(more bool) {
	if w.Part++; !more {
		w.Source, w.Part = w.Source+1, 0
	}
	w.Gone, w.Rounds = nil, 0
}

// export writes what the sources hold, some parts at a time.
func (c *Connector) export(ctx context.Context, call connector.Call, w walk) (connector.Progress, error) {
	_, all, err := c.begin(call, &w)
	if err != nil {
		return connector.Progress{}, err
	}
	counts := map[string]int{}
	for n, written := 0, 0; n < perPoll && written < enough && w.Source < len(all); n++ {
		s := all[w.Source]
		rows, more, err := s.read(ctx, w.Part)
		if err != nil {
			return connector.Progress{}, err
		}
		for _, r := range rows {
			if err := call.Out.Record(s.kind, r.shown(s.unseen()...)); err != nil {
				return connector.Progress{}, err
			}
			counts[s.count]++
		}
		written += len(rows)
		w.next(more)
	}
	return connector.Progress{Done: w.Source >= len(all), Handle: kit.Handle(w), After: soon, Counts: counts}, nil
}

// unseen are credentials that Zoom holds in a record of this kind without
// showing them there.
func (s source) unseen() []string {
	if s.kind == "user" {
		return []string{"pmi_password", "host_key"}
	}
	return nil
}

// erase deletes what can be deleted, source by source. It finds first, keeps
// what it has found in the handle, and deletes it in the next step; then it looks
// again, and goes on when there is nothing left.
func (c *Connector) erase(ctx context.Context, call connector.Call, w walk) (connector.Progress, error) {
	p, all, err := c.begin(call, &w)
	if err != nil {
		return connector.Progress{}, err
	}
	progress := connector.Progress{After: soon, Counts: map[string]int{}}
	if err := c.deleteFound(ctx, call, &w, &progress); err != nil {
		return connector.Progress{}, err
	}
	for n := 0; n < perPoll && w.Source < len(all); n++ {
		s := all[w.Source]
		if s.remove == nil && s.stays == "" { // nothing can be done about it
			w.next(false)
			continue
		}
		rows, more, err := s.read(ctx, w.Part)
		if err != nil {
			return connector.Progress{}, err
		}
		left := w.find(s, rows)
		if len(w.Found) > 0 {
			break
		}
		if w.Rounds > 0 { // it still shows what was deleted
			if w.Rounds > maxRounds {
				return connector.Progress{}, errs.New(errs.Conflict, "%s: %s are still listed after they were deleted", c.inventory.System, s.count)
			}
			progress.After = lag
			break
		}
		w.leave(left)
		w.next(more)
	}
	if w.Source >= len(all) {
		progress.Done, progress.Kept = true, c.kept(p, w)
	}
	progress.Handle = kit.Handle(w)
	return progress, nil
}

// find lists what is to be deleted of a part, and returns why the rest stays, once
// for each record.
func (w *walk) find(s source, rows []record) (left []string) {
	stale := false
	for _, r := range rows {
		if s.remove == nil {
			left = append(left, s.stays)
			continue
		}
		t, ok := s.remove(r)
		switch {
		case !ok:
			left = append(left, "the call history names no user whose entry could be deleted")
		case slices.ContainsFunc(w.Gone, func(g target) bool { return g.What == t.What && slices.Equal(g.Values, t.Values) }):
			stale = true
		case len(w.Found) < batch:
			w.Found = append(w.Found, t)
		}
	}
	w.Rounds++
	if len(w.Found) > 0 || !stale {
		w.Rounds = 0
	}
	return left
}

// leave counts what stays of a part that is done.
func (w *walk) leave(left []string) {
	if w.Left == nil {
		w.Left = map[string]int{}
	}
	for _, why := range left {
		w.Left[why]++
	}
}

// deleteFound deletes what an earlier step has found, one after the other: Zoom
// refuses two deletions of one user at the same time.
func (c *Connector) deleteFound(ctx context.Context, call connector.Call, w *walk, progress *connector.Progress) error {
	if len(w.Found) == 0 {
		return nil
	}
	said := map[string]bool{}
	for _, t := range w.Found {
		count, answer, err := c.delete(ctx, t)
		if err != nil {
			return err
		}
		progress.Counts[count]++
		d := deletions[t.What]
		name := "DELETE " + d.template
		if d.query[1] != "" {
			name += "?" + d.query[0] + "=" + d.query[1]
		}
		if !said[name+answer] {
			said[name+answer] = true
			progress.Evidence = append(progress.Evidence, evidence(call.Now, name, answer))
		}
	}
	w.Gone, w.Found = w.Found, nil
	return nil
}

// kept is what Zoom cannot delete, with the date by which it is gone by itself.
func (c *Connector) kept(p *who, w walk) []connector.Kept {
	var list []connector.Kept
	last := ""
	sessions := map[string]bool{}
	for _, r := range p.refs {
		if r.what == inMeeting || r.what == inWebinar {
			sessions[r.parts[1]], last = true, max(last, r.parts[0])
		}
	}
	const ground = "no deletion at the vendor; kept until it expires (Art. 5(1)(e) GDPR)"
	if at, err := time.Parse(time.DateOnly, last); err == nil {
		list = append(list, connector.Kept{
			What: "attendance of past sessions, with reports, questions and polls: " + decimal(len(sessions)), Ground: ground,
			Reason: "Zoom has no call that deletes single rows of past sessions; they go with Zoom's reports, or with the meeting or its host",
			Until:  at.AddDate(0, c.config.Expire, 0).Format(time.DateOnly),
		})
	}
	for _, why := range slices.Sorted(maps.Keys(w.Left)) {
		list = append(list, connector.Kept{What: "records of Zoom Phone: " + decimal(w.Left[why]), Ground: ground, Reason: why})
	}
	return list
}

// Verify implements connector.Connector: it reads the sources again that can be
// empty, and looks for accounts by every address, whatever their status.
func (c *Connector) Verify(ctx context.Context, call connector.Call) (connector.Residue, error) {
	var w walk
	p, all, err := c.begin(call, &w)
	if err != nil {
		return connector.Residue{}, err
	}
	residue := connector.Residue{Counts: map[string]int{}}
	reads := 0
	for _, s := range all {
		for at, more := 0, s.remove != nil; more; at++ {
			if reads++; reads > maxReads {
				return connector.Residue{}, errs.New(errs.TooLarge, "%s: more is to be looked at than one look can: look by hand whether the person is still there", c.inventory.System)
			}
			var rows []record
			if rows, more, err = s.read(ctx, at); err != nil {
				return connector.Residue{}, err
			}
			for _, r := range rows {
				if _, ok := s.remove(r); ok {
					residue.Counts[s.count]++
				}
			}
			if len(rows) == 0 && s.count == "users" && len(p.users) > 0 {
				residue.Evidence = append(residue.Evidence, evidence(c.now(), "GET /users/{id}", "404 1001"))
			}
		}
	}
	if !p.agent {
		return residue, nil
	}
	for mail := range p.emails {
		u, err := c.user(ctx, mail)
		if err != nil {
			return connector.Residue{}, err
		}
		if u != nil && !p.users[u.text("id")] {
			residue.Counts["users"]++
		}
	}
	return residue, nil
}
