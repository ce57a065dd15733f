package refdesk

import (
	"context"
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// An erasure goes: list the tickets (nothing is deleted before their ids are
// stored in the handle), delete them, list again; then delete each user, which
// can be undone, have it removed for good, and wait for the vendor's record of
// that. Every deletion names an immutable id, so that it may be repeated; what
// is gone already counts because it was found before.

// erasing is the handle of an erasure.
type erasing struct {
	Stage   string   `json:"stage"`
	Users   []string `json:"users"`   // still to be removed
	Tickets []string `json:"tickets"` // found, to be deleted
	Rounds  int      `json:"rounds"`  // lists that were read
}

// The stages.
const (
	stageTickets = "tickets"
	stageUsers   = "users"
	stagePurge   = "purge"
)

const (
	batch     = 200 // tickets in a handle
	perPoll   = 25  // deletions in one Poll
	maxRounds = 200 // a person who writes faster than this is no person
)

func (c *Connector) startErase(ctx context.Context, call connector.Call) (connector.Progress, error) {
	h := erasing{Stage: stageTickets}
	for _, id := range c.users(call.Subject) {
		there, err := c.there(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if there {
			h.Users = append(h.Users, id)
		}
	}
	if len(h.Users) == 0 {
		return connector.Progress{Done: true}, nil
	}
	return c.list(ctx, h)
}

// there reports whether a user is not gone for good yet.
func (c *Connector) there(ctx context.Context, id string) (bool, error) {
	gone, err := c.deleted(ctx, id)
	if err != nil {
		return false, err
	}
	if gone != nil {
		return gone.Status != purged, nil
	}
	u, err := c.get(ctx, id)
	return u != nil, err
}

func (c *Connector) pollErase(ctx context.Context, call connector.Call) (connector.Progress, error) {
	var h erasing
	if err := kit.ParseHandle(call.Handle, &h); err != nil {
		return connector.Progress{}, err
	}
	switch h.Stage {
	case stageTickets:
		return c.deleteTickets(ctx, call, h)
	case stageUsers:
		return c.deleteUsers(ctx, call, h)
	}
	return c.awaitPurge(ctx, h)
}

// list reads which tickets are left. When there are none, the users are next.
func (c *Connector) list(ctx context.Context, h erasing) (connector.Progress, error) {
	locked := 0
	for _, user := range h.Users {
		err := kit.Walk(batch, func(link string) (string, error) {
			p, err := c.tickets(ctx, user, link)
			for _, t := range p.Tickets {
				if t.Locked {
					locked++
				} else if len(h.Tickets) < batch {
					h.Tickets = append(h.Tickets, t.ID)
				}
			}
			if len(h.Tickets) >= batch {
				return "", err
			}
			return p.Next, err
		})
		if err != nil {
			return connector.Progress{}, err
		}
	}
	h.Rounds++
	switch {
	case len(h.Tickets) > 0 && h.Rounds > maxRounds:
		return connector.Progress{}, errs.New(errs.Conflict, "%s: new tickets appear as fast as they are deleted", c.inventory.System)
	case len(h.Tickets) > 0:
	case locked > 0:
		return connector.Progress{}, errs.New(errs.Conflict, "%s: %d tickets are under an audit and cannot be deleted", c.inventory.System, locked)
	default:
		h.Stage = stageUsers
	}
	return connector.Progress{Handle: kit.Handle(h), After: soon}, nil
}

func (c *Connector) deleteTickets(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	if len(h.Tickets) == 0 {
		return c.list(ctx, h)
	}
	n := min(perPoll, len(h.Tickets))
	for _, id := range h.Tickets[:n] {
		// 404: gone since it was listed. 423: locked since then, the next list says so.
		_, err := c.api.Do(ctx, kit.Call{Method: http.MethodDelete, Route: kit.To("/tickets/{id}", id), Expect: []int{http.StatusNotFound, http.StatusLocked}})
		if err != nil {
			return connector.Progress{}, err
		}
	}
	h.Tickets = h.Tickets[n:]
	return connector.Progress{
		Handle: kit.Handle(h), After: soon, Counts: map[string]int{"tickets": n},
		Evidence: []connector.Evidence{{At: call.Now, Call: "DELETE /tickets/{id}", Answer: "204"}},
	}, nil
}

// deleteUsers deletes each user and has it removed for good.
func (c *Connector) deleteUsers(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	for _, id := range h.Users {
		a, err := c.api.Do(ctx, kit.Call{
			Method: http.MethodDelete, Route: kit.To("/users/{id}", id), Expect: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
		})
		if err != nil {
			return connector.Progress{}, err
		}
		if a.Status == http.StatusUnprocessableEntity {
			return c.blocked(ctx, h)
		}
		// 404: deleted already, by an earlier attempt or by a merge; the removal decides.
		_, err = c.api.Do(ctx, kit.Call{Method: http.MethodDelete, Route: kit.To("/deleted_users/{id}", id), Expect: []int{http.StatusNotFound}})
		if err != nil {
			return connector.Progress{}, err
		}
	}
	h.Stage = stagePurge
	return connector.Progress{
		Handle: kit.Handle(h), After: soon,
		Evidence: []connector.Evidence{{At: call.Now, Call: "DELETE /deleted_users/{id}", Answer: "202"}},
	}, nil
}

// blocked deals with a user that cannot be deleted because of an open ticket: a
// new one is deleted like the others, an agent's must be given to another agent.
func (c *Connector) blocked(ctx context.Context, h erasing) (connector.Progress, error) {
	h.Stage = stageTickets
	progress, err := c.list(ctx, h)
	if err != nil {
		return connector.Progress{}, err
	}
	var next erasing
	if err := kit.ParseHandle(progress.Handle, &next); err != nil || next.Stage == stageUsers {
		return connector.Progress{}, errs.New(errs.Conflict, "%s: open tickets of other people are assigned to the user: give them to somebody else", c.inventory.System)
	}
	return progress, nil
}

// awaitPurge collects the vendor's records of what it has removed.
func (c *Connector) awaitPurge(ctx context.Context, h erasing) (connector.Progress, error) {
	var waiting []string
	progress := connector.Progress{Counts: map[string]int{}}
	for _, id := range h.Users {
		gone, err := c.deleted(ctx, id)
		switch {
		case err != nil:
			return connector.Progress{}, err
		case gone == nil, gone.Status == trashed: // restored meanwhile
			return connector.Progress{}, errs.New(errs.Conflict, "%s: a deleted user was restored", c.inventory.System)
		case gone.Status != purged:
			waiting = append(waiting, id)
		default:
			progress.Counts["users"]++
			progress.Evidence = append(progress.Evidence, gone.evidence())
		}
	}
	h.Users = waiting
	progress.Handle, progress.Done = kit.Handle(h), len(waiting) == 0
	return progress, nil
}

// deletion is the vendor's record of a deleted user.
type deletion struct {
	Status      string    `json:"status"`
	PurgedAt    time.Time `json:"purged_at"`
	Certificate string    `json:"certificate"`
}

// The states of a deleted user.
const (
	trashed = "trashed"
	purged  = "purged"
)

func (d deletion) evidence() connector.Evidence {
	return connector.Evidence{At: d.PurgedAt, Call: "GET /deleted_users/{id}", Answer: "purged, record " + kit.Token(d.Certificate)}
}

// deleted reads what became of a user; nil for one that is active, or of which
// the vendor has never heard.
func (c *Connector) deleted(ctx context.Context, id string) (*deletion, error) {
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/deleted_users/{id}", id), Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, err
	}
	var body struct {
		Deleted deletion `json:"deleted_user"`
	}
	return &body.Deleted, a.JSON(&body)
}
