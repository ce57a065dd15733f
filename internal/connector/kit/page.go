package kit

import (
	"net/url"
	"strings"

	"github.com/avow-consent/avow/internal/errs"
)

// Walk reads pages until there is no next one. page gets a cursor, "" for the
// first page, and returns the next one. A cursor that comes back, and more than
// limit pages, is an error: a list that never ends must not look complete.
func Walk(limit int, page func(cursor string) (next string, err error)) error {
	seen := map[string]bool{}
	cursor := ""
	for range limit {
		next, err := page(cursor)
		if err != nil || next == "" {
			return err
		}
		if seen[next] || next == cursor {
			return errs.New(errs.Internal, "the pages of a list lead in a circle")
		}
		seen[next] = true
		cursor = next
	}
	return errs.New(errs.TooLarge, "a list has more than %d pages", limit)
}

// Link is the route of a link that the vendor gave for the next page of route.
// One that leads to another host, or out of the API, is refused: it would be
// called with the company's credentials.
func (c *Client) Link(route Route, link string) (Route, error) {
	astray := errs.New(errs.Internal, "%s %s: the link to the next page leads elsewhere", c.o.System, route)
	current, err := route.resolve(c.base)
	if err != nil {
		return Route{}, astray
	}
	next, err := current.Parse(link)
	if err != nil || link == "" || next.User != nil || !sameOrigin(next, c.base) {
		return Route{}, astray
	}
	prefix := strings.TrimSuffix(c.base.EscapedPath(), "/") + "/"
	if !strings.HasPrefix(next.EscapedPath(), prefix) || hasDots(next) {
		return Route{}, astray
	}
	next.Fragment = ""
	return Route{template: route.template, exact: next}, nil
}

func hasDots(u *url.URL) bool {
	for _, segment := range strings.Split(u.Path, "/") {
		if segment == ".." || segment == "." {
			return true
		}
	}
	return false
}
