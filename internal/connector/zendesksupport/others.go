package zendesksupport

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// Tickets of other people that copy the person, or that the person follows, are
// not the person's to delete: the person is taken out of them.

// listOthers reads which tickets of others copy the person.
func (w *work) listOthers(ctx context.Context, _ connector.Call, h erasing) (connector.Progress, error) {
	tickets, next, err := w.tickets(ctx, h.Users[h.At], copied, batchPage, h.Cursor)
	if err != nil {
		return connector.Progress{}, err
	}
	h = h.to(withdrawing)
	h.Cursor = next
	for _, t := range tickets {
		if !slices.Contains(h.people(), t.Requester) {
			h.Batch = append(h.Batch, t.ID)
		}
	}
	switch {
	case len(h.Batch) > 0:
	case next != "":
		h.Stage = listOthers
	default:
		h = h.to(listFollowed)
	}
	return h.next(soon), nil
}

// withdrawBatch takes the person out of tickets of others: what they wrote is
// redacted, and they are copied no more. What an agent wrote there is the
// company's answer to somebody else, and stays.
func (w *work) withdrawBatch(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	cursor, closed := h.Cursor, 0
	p, rest, err := w.batch(ctx, call, h, "others_tickets", func(t *ticket) (*connector.Ask, error) {
		if !call.Subject.Agent {
			if err := w.redactTicket(ctx, t, h.people()); err != nil {
				return nil, err
			}
		}
		stays, err := w.uncopy(ctx, t, h.people())
		if stays {
			closed++
		}
		return nil, err
	})
	if err != nil {
		return p, err
	}
	if rest {
		if err := kit.ParseHandle(p.Handle, &h); err != nil {
			return connector.Progress{}, err
		}
		h = h.stays(closed)
		p.Handle = kit.Handle(h)
		return p, nil
	}
	h = h.stays(closed).to(listOthers)
	if h.Cursor = cursor; cursor == "" {
		h = h.to(listFollowed)
	}
	p.Handle = kit.Handle(h)
	return p, nil
}

// stays counts tickets of others that keep copying the user who is dealt with.
func (h erasing) stays(n int) erasing {
	if n > 0 {
		if h.Closed == nil {
			h.Closed = map[int64]int{}
		}
		h.Closed[h.Users[h.At]] += n
	}
	return h
}

// uncopy takes people out of a ticket's copies and followers. stays: a closed
// ticket cannot be changed.
func (w *work) uncopy(ctx context.Context, t *ticket, people []int64) (stays bool, err error) {
	remove := func(ids []int64) (gone []map[string]any) {
		for _, id := range ids {
			if slices.Contains(people, id) {
				gone = append(gone, map[string]any{"user_id": number(id), "action": "delete"})
			}
		}
		return gone
	}
	fields := map[string]any{}
	if gone := remove(t.CCs); gone != nil {
		fields["email_ccs"] = gone
	}
	if gone := remove(t.Followers); gone != nil {
		fields["followers"] = gone
	}
	if len(fields) == 0 && remove(t.Collaborators) != nil {
		fields["collaborator_ids"] = slices.DeleteFunc(slices.Clone(t.Collaborators), func(id int64) bool { return slices.Contains(people, id) })
	}
	if len(fields) == 0 {
		return false, nil
	}
	if t.closed() {
		return true, nil
	}
	if err := w.spend(); err != nil {
		return false, err
	}
	refused, err := w.change(ctx, t.ID, fields)
	if err != nil || !refused {
		return false, err
	}
	if t, err = w.ticket(ctx, t.ID); err != nil || t == nil || t.closed() { // since it was read
		return t != nil && err == nil, err
	}
	return false, errs.New(errs.Conflict, "%s: a rule of the account does not let a person be taken off a ticket of somebody else", w.inventory.System)
}

// listFollowed reads which tickets the person follows, those only that can be
// changed: the search may show the others for ever.
func (w *work) listFollowed(ctx context.Context, _ connector.Call, h erasing) (connector.Progress, error) {
	if err := w.round(&h); err != nil {
		return connector.Progress{}, err
	}
	id := h.Users[h.At]
	h = h.to(unfollowing)
	err := w.found(ctx, "follower:"+number(id), func(tickets []ticket, _ bool) (bool, error) {
		for _, t := range tickets {
			if slices.Contains(t.Followers, id) && !t.closed() && len(h.Batch) < batchPage {
				h.Batch = append(h.Batch, t.ID)
			}
		}
		return len(h.Batch) > 0, nil
	})
	if err != nil {
		return connector.Progress{}, err
	}
	if len(h.Batch) > 0 {
		return h.next(soon), nil
	}
	return w.userDone(h), nil
}

// unfollowBatch takes the person out of the followers of tickets.
func (w *work) unfollowBatch(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	p, rest, err := w.batch(ctx, call, h, "followed_tickets", func(t *ticket) (*connector.Ask, error) {
		_, err := w.uncopy(ctx, t, h.people())
		return nil, err
	})
	if err == nil && !rest {
		p.Handle = kit.Handle(h.to(listFollowed))
	}
	return p, err
}

// userDone goes on to the tickets of the person's next user. After the last one
// it says what stays.
func (w *work) userDone(h erasing) connector.Progress {
	h = h.to(listTickets)
	h.Last = 0
	if h.At++; h.At < len(h.Users) {
		return h.next(soon)
	}
	closed, told := 0, map[int64]int{}
	maps.Copy(told, h.Told)
	for id, n := range h.Closed { // a "retry" meets the same tickets again
		closed += max(0, n-told[id])
		told[id] = max(n, told[id])
	}
	h = h.to(listHeld)
	h.Closed, h.Told = nil, told
	p := h.next(soon)
	if closed > 0 {
		p.Kept = []connector.Kept{{
			What:   fmt.Sprintf("%d closed tickets of other people that had copied the person", closed),
			Ground: "Art. 4(1) GDPR",
			Reason: "a closed ticket cannot be changed; once the user is purged, its number in the ticket leads to nobody",
		}}
	}
	return p
}
