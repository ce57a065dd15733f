package zendeskmessaging

import (
	"context"
	"net/http"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

const (
	pageSize = "100" // the most that a list gives at once
	maxPages = 100   // of one list: 10,000 conversations
)

// meta says whether a list goes on. Links are not followed: a cursor leads
// nowhere but to the same list.
type meta struct {
	HasMore bool   `json:"hasMore"`
	After   string `json:"afterCursor"`
	Before  string `json:"beforeCursor"`
}

// next is the cursor of the page that follows, "" after the last one. A list
// that breaks off must not look complete.
func (c *Connector) next(m meta, cursor string) (string, error) {
	switch {
	case !m.HasMore:
		return "", nil
	case cursor == "":
		return "", errs.New(errs.Internal, "%s: a list goes on without a cursor", c.inventory.System)
	}
	return cursor, nil
}

// page reads a page of a list at a cursor, "" for the first one; nil for a list
// of something that does not exist.
func (c *Connector) page(ctx context.Context, route kit.Route, cursor string) (*kit.Answer, string, error) {
	route = route.With("page[size]", pageSize)
	if cursor != "" {
		route = route.With("page[after]", cursor)
	}
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: route, Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, "", err
	}
	var body struct {
		Meta meta `json:"meta"`
	}
	if err := a.JSON(&body); err != nil {
		return nil, "", err
	}
	next, err := c.next(body.Meta, body.Meta.After)
	return a, next, err
}

// walk reads all pages of a list.
func (c *Connector) walk(ctx context.Context, route kit.Route, take func(*kit.Answer) error) error {
	return kit.Walk(maxPages, func(cursor string) (string, error) {
		a, next, err := c.page(ctx, route, cursor)
		if err != nil || a == nil {
			return "", err
		}
		return next, take(a)
	})
}
