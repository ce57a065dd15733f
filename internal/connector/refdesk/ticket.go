package refdesk

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector/kit"
)

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// page is a page of a user's tickets.
type page struct {
	Tickets []struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Locked bool   `json:"locked"`
	} `json:"tickets"`
	Next  string `json:"next"`
	Count int    `json:"count"`
}

// tickets reads the page of a user's tickets at a link, the first one without.
// A user who is gone has none.
func (c *Connector) tickets(ctx context.Context, user, link string) (page, error) {
	route := kit.To("/users/{id}/tickets", user)
	if link != "" {
		var err error
		if route, err = c.api.Link(route, link); err != nil {
			return page{}, err
		}
	}
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: route, Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return page{}, err
	}
	var p page
	return p, a.JSON(&p)
}

// ticket is a ticket with what was written in it.
type ticket struct {
	ID        string    `json:"id"`
	Subject   string    `json:"subject"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
	Requester string    `json:"requester_id"`
	Comments  []comment `json:"comments"`
}

type comment struct {
	ID          string       `json:"id"`
	Author      string       `json:"author_id"`
	Body        string       `json:"body"`
	CreatedAt   time.Time    `json:"created_at"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Size      int64  `json:"size"`
	URL       string `json:"url,omitempty"`
}

// ticket reads a ticket; nil for one that was deleted meanwhile.
func (c *Connector) ticket(ctx context.Context, id string) (*ticket, error) {
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/tickets/{id}", id), Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, err
	}
	var body struct {
		Ticket ticket `json:"ticket"`
	}
	return &body.Ticket, a.JSON(&body)
}
