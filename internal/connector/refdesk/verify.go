package refdesk

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/identity"
)

var kindOf = map[string]identity.Kind{"email": identity.Email, "phone": identity.Phone}

// Verify implements connector.Connector. It reads each record by its id, which
// is never late, and searches for others by e-mail and external id once the
// search knows what was removed.
func (c *Connector) Verify(ctx context.Context, call connector.Call) (connector.Residue, error) {
	residue := connector.Residue{Counts: map[string]int{}}
	left := map[string]bool{}
	var last time.Time // removal that the search must know of
	for _, id := range c.users(call.Subject) {
		gone, err := c.deleted(ctx, id)
		if err != nil {
			return connector.Residue{}, err
		}
		if gone != nil && gone.Status == purged {
			residue.Evidence = append(residue.Evidence, gone.evidence())
			if gone.PurgedAt.After(last) {
				last = gone.PurgedAt
			}
			continue
		}
		left[id] = true
	}
	for _, by := range call.Subject.Identifiers {
		if by.Kind == identity.Phone { // others have it, too
			continue
		}
		found, indexed, err := c.search(ctx, by)
		if err != nil {
			return connector.Residue{}, err
		}
		if !indexed.IsZero() && indexed.Before(last) {
			return connector.Residue{Wait: max(last.Sub(indexed), soon)}, nil
		}
		for _, u := range found {
			if call.Subject.Agent == (u.Role == agent) && (u.Verified || by.Kind != identity.Email) {
				left[u.ID] = true
			}
		}
	}
	return residue, c.weigh(ctx, left, &residue)
}

// weigh counts what is really there.
func (c *Connector) weigh(ctx context.Context, left map[string]bool, residue *connector.Residue) error {
	for _, id := range sorted(left) {
		u, err := c.get(ctx, id)
		if err != nil {
			return err
		}
		if u == nil {
			residue.Evidence = append(residue.Evidence, connector.Evidence{At: c.now(), Call: "GET /users/{id}", Answer: "404"})
			continue
		}
		p, err := c.tickets(ctx, id, "")
		if err != nil {
			return err
		}
		residue.Counts["users"]++
		if p.Count > 0 {
			residue.Counts["tickets"] += p.Count
		}
	}
	return nil
}
