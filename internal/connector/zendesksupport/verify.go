package zendesksupport

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/identity"
)

// status is one line of Zendesk's record of a purge.
type status struct {
	Action      string    `json:"action"` // request_deletion, started, complete
	Application string    `json:"application"`
	CreatedAt   time.Time `json:"created_at"`
}

// purged is what the record of a purge says.
type purged struct {
	finished map[string]time.Time // by application
	open     []string             // applications that have started only
	last     time.Time
}

// statuses reads the record of a user's purge. It has one line for each product
// that has started and one when it has finished; a product may start hours
// after another one has finished.
func (w *work) statuses(ctx context.Context, id int64) (purged, error) {
	type page struct {
		Statuses []status `json:"compliance_deletion_statuses"`
	}
	p := purged{finished: map[string]time.Time{}}
	started := map[string]bool{}
	err := each(ctx, w, kit.To("/users/{user_id}/compliance_deletion_statuses", number(id)), pageSize, func(one *page, _ bool) (bool, error) {
		for _, s := range one.Statuses {
			if s.CreatedAt.After(p.last) {
				p.last = s.CreatedAt
			}
			switch s.Action {
			case "started":
				started[s.Application] = true
			case "complete":
				p.finished[s.Application] = s.CreatedAt
			}
		}
		return false, nil
	})
	for _, application := range sorted(started) {
		if _, ok := p.finished[application]; !ok {
			p.open = append(p.open, application)
		}
	}
	return p, err
}

// settled reports whether every product that has begun has finished, and no other
// one has begun for a while.
func (p purged) settled(now time.Time, settle time.Duration) bool {
	return len(p.finished) > 0 && len(p.open) == 0 && !now.Before(p.last.Add(settle))
}

// evidence is one line for each product that has purged the user.
func (p purged) evidence() (list []connector.Evidence) {
	for _, application := range sorted(p.finished) {
		list = append(list, said(p.finished[application], "GET /users/{id}/compliance_deletion_statuses", kit.Token(application)+" complete"))
	}
	return list
}

// await waits until every product that has begun to purge a user has finished,
// and no other one has begun for a while. How often it asks is the policy's
// matter: it takes hours or days.
func (w *work) await(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	progress := connector.Progress{}
	var waiting []int64
	for _, id := range h.Purged {
		p, err := w.statuses(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if !p.settled(call.Now, w.settle) {
			waiting = append(waiting, id)
			continue
		}
		progress.Evidence = append(progress.Evidence, p.evidence()...)
	}
	h.Purged = waiting
	progress.Handle, progress.Done = kit.Handle(h), len(waiting) == 0
	return progress, nil
}

// Verify implements connector.Connector. Each user is read by its id, which is
// never late; then the person is searched for again, once the search has caught
// up with what was deleted.
func (c *Connector) Verify(ctx context.Context, call connector.Call) (connector.Residue, error) {
	v := &verifying{work: c.work(), call: call, mine: c.users(call.Subject), residue: connector.Residue{Counts: map[string]int{}}}
	for _, id := range v.mine {
		if err := v.gone(ctx, id); err != nil {
			return connector.Residue{}, err
		}
	}
	for _, by := range call.Subject.Identifiers {
		if err := v.searched(ctx, by); err != nil {
			return connector.Residue{}, err
		}
	}
	held, err := v.suspended(ctx, call.Subject, v.mine)
	if err != nil {
		return connector.Residue{}, err
	}
	if n := len(held.ids); n > 0 {
		v.residue.Counts["suspended_tickets"] = n
	}
	switch {
	case len(v.residue.Counts) > 0:
	case v.purging:
		return connector.Residue{Wait: purgePause}, nil
	case v.behind:
		return connector.Residue{Wait: indexPause}, nil
	}
	return v.residue, nil
}

// indexPause is how long the search is given to catch up; Zendesk does not say
// how long it takes.
const indexPause = 5 * time.Minute

// purgePause is how long products that still purge a user are given.
const purgePause = time.Hour

// verifying is a Verify on its way.
type verifying struct {
	*work
	call    connector.Call
	mine    []int64
	behind  bool // the search still finds what is gone
	purging bool // a product still purges a user
	residue connector.Residue
}

func (v *verifying) note(call, answer string) {
	v.residue.Evidence = append(v.residue.Evidence, said(v.now(), call, answer))
}

// gone looks for what is left of a user that was the person's.
func (v *verifying) gone(ctx context.Context, id int64) error {
	u, err := v.user(ctx, id)
	if err != nil {
		return err
	}
	if u != nil {
		v.residue.Counts["users"]++
		return nil
	}
	v.note("GET /users/{id}", "404")
	var body struct {
		User user `json:"deleted_user"`
	}
	a, err := v.do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/deleted_users/{deleted_user_id}", number(id)), Expect: []int{http.StatusNotFound}})
	if err != nil {
		return err
	}
	if a.Status != http.StatusNotFound {
		if err := a.JSON(&body); err != nil {
			return err
		}
		if body.User.Email != "" || body.User.Phone != "" {
			v.residue.Counts["users"]++
			return nil
		}
		v.note("GET /deleted_users/{id}", "without data")
	}
	// An erasure that was begun again does not wait for users that were gone by
	// then. Of a user that was purged long ago Zendesk may keep no record.
	p, err := v.statuses(ctx, id)
	if err != nil {
		return err
	}
	v.purging = v.purging || !p.last.IsZero() && !p.settled(v.call.Now, v.settle)
	v.residue.Evidence = append(v.residue.Evidence, p.evidence()...)
	return v.tickets(ctx, id)
}

// tickets looks for tickets of a user that was deleted. Where they are kept the
// number of the user in them leads to nobody; some of them are read again.
func (v *verifying) tickets(ctx context.Context, id int64) error {
	left, err := v.archived(ctx, id)
	if err != nil {
		return err
	}
	n := len(left)
	if v.config.Tickets == redactTickets {
		n = 0
		for _, t := range left[:min(len(left), batchPage)] {
			yes, err := v.readable(ctx, t, v.mine)
			if err != nil {
				return err
			}
			if yes {
				n++
			}
		}
	}
	if n > 0 {
		v.residue.Counts["tickets"] += n
	}
	return nil
}

// searched looks for records that carry an identifier of the person. Others may
// have the same telephone.
func (v *verifying) searched(ctx context.Context, by identity.Identifier) error {
	hits, err := v.search(ctx, by)
	if err != nil {
		return err
	}
	for _, hit := range hits {
		if slices.Contains(v.mine, hit.ID) {
			v.behind = true // whether it is really gone was looked at by its id
			continue
		}
		a, err := v.account(ctx, hit.ID)
		if err != nil {
			return err
		}
		if a == nil {
			v.behind = true
			continue
		}
		if carries, proven := a.carries(by); carries && proven && by.Followed() && a.staff() == v.call.Subject.Agent {
			v.residue.Counts["users"]++
			v.mine = append(v.mine, hit.ID) // counted once
		}
	}
	return nil
}
