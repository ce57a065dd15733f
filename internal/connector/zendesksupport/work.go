package zendesksupport

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// work is one piece of work: one Locate, Start, Poll or Verify. It counts its
// calls, so that the next piece begins no sooner than the account's limit allows.
type work struct {
	*Connector
	calls, writes int
}

func (c *Connector) work() *work { return &work{Connector: c} }

const (
	soon      = time.Second // before the next piece, at the least
	perPoll   = 25          // calls that change something in one piece
	pageSize  = 100         // the longest page that Zendesk gives
	maxPages  = 250         // of a list that is read in one piece: more is an error, never a shorter list
	offset    = 100         // pages of a list without a cursor: beyond that Zendesk answers 400
	textPage  = 25          // comments and audits of a page: each may be 64 kB long, three times over
	manyPages = 20          // of an account-wide list that cannot be searched
)

// paced puts off the next piece until the calls of this one fit into the share
// of the account's limit.
func (w *work) paced(p connector.Progress, err error) (connector.Progress, error) {
	if err == nil && p.After > 0 {
		p.After = max(p.After, soon, time.Duration(w.calls)*time.Minute/time.Duration(w.config.PerMinute))
	}
	return p, err
}

// do makes a call.
func (w *work) do(ctx context.Context, call kit.Call) (*kit.Answer, error) {
	w.calls++
	if call.Method != http.MethodGet {
		w.writes++
	}
	return w.api.Do(ctx, call)
}

// get reads a record into a struct; found is false for 404.
func (w *work) get(ctx context.Context, route kit.Route, into any) (found bool, err error) {
	a, err := w.do(ctx, kit.Call{Method: http.MethodGet, Route: route, Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return false, err
	}
	return true, a.JSON(into)
}

// page reads a page of a list by cursor, "" for the first one, and gives the
// cursor of the next. Zendesk's own link to it is not followed: the cursor is
// enough, and leads nowhere else. Without page[size] the list would silently be
// one by offset, which ends at 10,000 rows; an answer of that form is refused.
// A list that belongs to a record that is gone is empty.
func (w *work) page(ctx context.Context, route kit.Route, size int, cursor string, into any) (next string, err error) {
	paged := route.With("page[size]", strconv.Itoa(size))
	if cursor != "" {
		paged = paged.With("page[after]", cursor)
	}
	a, err := w.do(ctx, kit.Call{Method: http.MethodGet, Route: paged, Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return "", err
	}
	if err := a.JSON(into); err != nil {
		return "", err
	}
	var p paging
	if err := a.JSON(&p); err != nil {
		return "", err
	}
	next, ok := p.next()
	if !ok {
		return "", errs.New(errs.Internal, "%s GET %s: the list goes on, but not where", w.inventory.System, route)
	}
	return next, nil
}

// paging is how a list says where it goes on.
type paging struct {
	Meta struct {
		More  bool   `json:"has_more"`
		After string `json:"after_cursor"`
	} `json:"meta"`
	NextPage string `json:"next_page"` // of a list by offset
}

// next is the cursor of the next page, "" after the last; ok is false for a list
// that goes on in a way that cannot be followed.
func (p paging) next() (cursor string, ok bool) {
	if !p.Meta.More {
		return "", p.NextPage == ""
	}
	return p.Meta.After, p.Meta.After != ""
}

// each reads a list by cursor, page by page. take gets each page, and whether
// there is another one; it may end the reading.
func each[T any](ctx context.Context, w *work, route kit.Route, size int, take func(page *T, more bool) (enough bool, err error)) error {
	return kit.Walk(maxPages, func(cursor string) (string, error) {
		page := new(T)
		next, err := w.page(ctx, route, size, cursor, page)
		if err != nil {
			return "", err
		}
		enough, err := take(page, next != "")
		if enough {
			next = ""
		}
		return next, err
	})
}

// list is ids as Zendesk wants many of them.
func list(ids []int64) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = number(id)
	}
	return strings.Join(texts, ",")
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

// said is a line of evidence.
func said(at time.Time, call, answer string) connector.Evidence {
	return connector.Evidence{At: at, Call: call, Answer: answer}
}

// record is a record as Zendesk shows it, every field as it came.
type record = json.RawMessage

// links are fields that mean nothing to the person, and let whoever has them in.
var links = map[string]bool{"url": true, "content_url": true, "mapped_content_url": true, "thumbnails": true, "html_body": true, "recording_url": true}

// plain is a record without links, for an export. Numbers stay as they are.
func plain(r record) any {
	d := json.NewDecoder(strings.NewReader(string(r)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return bare(v)
}

func bare(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if links[name] {
				delete(v, name)
			} else {
				v[name] = bare(value)
			}
		}
	case []any:
		for i := range v {
			v[i] = bare(v[i])
		}
	}
	return v
}
