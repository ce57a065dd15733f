package zendeskchat

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// Limits of the vendor.
const (
	perPage  = 40                 // hits on a page of the search
	maxPages = 250                // pages of one search; the next one is answered with 400
	maxHits  = maxPages * perPage // so that a search with as many may have more
)

// usualFields are the fields of the search. The first two are seen in use; the
// others are likely names, and config.fields replaces them.
var usualFields = map[string]string{byEmail: "visitor_email", byName: "visitor_name", byPhone: "visitor_phone", byAgent: "agent_names"}

// What is searched for.
const (
	byEmail = "email"
	byName  = "name"
	byPhone = "phone"
	byAgent = "agent"
)

// client is the API below the path that answers: which one it is depends on how
// old the account is, and nothing else says so.
func (c *Connector) client(ctx context.Context) (*kit.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.api == nil && len(c.clients) == 1 {
		c.api = c.clients[0]
	}
	refused := errs.NotFound
	for _, client := range c.clients {
		if c.api != nil {
			break
		}
		a, err := client.Do(ctx, kit.Call{
			Method: http.MethodGet, Route: kit.To("/chats/search").With("q", "type:chat"), Expect: []int{http.StatusNotFound, http.StatusForbidden},
		})
		switch {
		case err != nil:
			return nil, err
		case a.Status == http.StatusOK:
			c.api = client
		case a.Status == http.StatusForbidden:
			refused = errs.Forbidden
		}
	}
	if c.api == nil {
		return nil, errs.New(refused, "%s: the Chat API answers neither below %s: see config.base_url and the client's scopes", c.inventory.System, strings.Join(paths, " nor below "))
	}
	return c.api, nil
}

// do makes a call of the API.
func (c *Connector) do(ctx context.Context, call kit.Call) (*kit.Answer, error) {
	client, err := c.client(ctx)
	if err != nil {
		return nil, err
	}
	return client.Do(ctx, call)
}

// term is the part of a query that looks for a value. Values stand in quotation
// marks, so that nothing in them is an operator; a mark of their own becomes a
// space, as the search sees it anyway.
func (c *Connector) term(by, value string) string {
	value = `"` + strings.TrimSpace(strings.NewReplacer(`"`, " ", `\`, " ").Replace(value)) + `"`
	if field := c.config.Fields[by]; field != "" {
		return field + ":" + value
	}
	return value
}

// between is the part of a query that leaves out chats of other times.
func between(from, to time.Time) string {
	return " AND timestamp:[" + from.UTC().Format(time.RFC3339) + " TO " + to.UTC().Format(time.RFC3339) + "]"
}

// hit is a chat that a search has found: whose it is, the search does not say.
type hit struct {
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
}

// hits are a page of a search.
type hits struct {
	List  []hit
	Count int  // of all pages
	More  bool // there is a next page
	Over  bool // the vendor refuses this page: the search has too many hits
}

// search reads a page, from 1 (0 is the same page). The link to the next page is
// not followed, so that it can lead nowhere.
func (c *Connector) search(ctx context.Context, query string, page int) (hits, error) {
	route := kit.To("/chats/search").With("q", query).With("page", strconv.Itoa(page))
	a, err := c.do(ctx, kit.Call{Method: http.MethodGet, Route: route, Expect: []int{http.StatusBadRequest}})
	if err != nil {
		return hits{}, err
	}
	if a.Status == http.StatusBadRequest {
		if page == 1 {
			return hits{}, errs.New(errs.Invalid, "%s GET /chats/search: status 400: the search is not understood, see config.fields", c.inventory.System)
		}
		return hits{Over: true}, nil
	}
	var body struct {
		Results []hit   `json:"results"`
		Count   int     `json:"count"`
		Next    *string `json:"next_url"`
	}
	if err := a.JSON(&body); err != nil {
		return hits{}, err
	}
	for _, h := range body.Results {
		if !idForm.MatchString(h.ID) {
			return hits{}, errs.New(errs.Internal, "%s GET /chats/search: a hit has no id", c.inventory.System)
		}
	}
	return hits{List: body.Results, Count: body.Count, More: body.Next != nil && *body.Next != "" && len(body.Results) > 0}, nil
}

// idForm is an id that can stand in a list of ids: 2611.10000001.AbCdEfGhIjKlM.
var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// chats reads chats, at most perPage. Those that do not exist, or no more, are
// left out. An answer too long to be read is asked for in halves.
func (c *Connector) chats(ctx context.Context, ids []string) ([]*document, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	a, err := c.do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/chats").With("ids", strings.Join(ids, ","))})
	if errs.Is(err, errs.TooLarge) && len(ids) > 1 {
		first, err := c.chats(ctx, ids[:len(ids)/2])
		if err != nil {
			return nil, err
		}
		second, err := c.chats(ctx, ids[len(ids)/2:])
		return append(first, second...), err
	}
	if err != nil {
		return nil, err
	}
	var body struct {
		Docs map[string]json.RawMessage `json:"docs"`
	}
	if err := a.JSON(&body); err != nil {
		return nil, err
	}
	var docs []*document
	for _, id := range ids {
		text, told := body.Docs[id]
		if !told { // not "null": the list may have been cut short
			if text, err = c.chat(ctx, id); err != nil {
				return nil, err
			}
		}
		d, err := parse(id, text)
		if err != nil {
			return nil, errs.New(errs.Internal, "%s GET /chats: %v", c.inventory.System, err)
		}
		if d != nil {
			docs = append(docs, d)
		}
	}
	return docs, nil
}

// chat reads one chat; nil for one that does not exist.
func (c *Connector) chat(ctx context.Context, id string) (text json.RawMessage, err error) {
	a, err := c.do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/chats/{id}", id), Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, err
	}
	return text, a.JSON(&text)
}
