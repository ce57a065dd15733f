package fake

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// term is one condition of a query.
type term struct{ field, value string }

// parse reads a query: words, "quoted texts", and field:value. ok is false for
// quotes without an end.
func parse(query string) (terms []term, ok bool) {
	for {
		query = strings.TrimLeft(query, " ")
		if query == "" {
			return terms, true
		}
		t := term{}
		if name, rest, has := strings.Cut(query, ":"); has && !strings.ContainsAny(name, ` "`) {
			t.field, query = name, rest
		}
		if strings.HasPrefix(query, `"`) {
			end := strings.IndexByte(query[1:], '"')
			if end < 0 {
				return nil, false
			}
			t.value, query = query[1:1+end], query[end+2:]
		} else {
			t.value, query, _ = strings.Cut(query, " ")
		}
		terms = append(terms, t)
	}
}

// searchTickets is the export of a search: by cursor, which lives an hour. The
// type stands beside the query, never in it.
func (s *Server) searchTickets(r *http.Request) (int, any) {
	q := r.URL.Query()
	terms, ok := parse(q.Get("query"))
	if !ok || len(terms) == 0 || q.Get("filter[type]") != "ticket" || slices.ContainsFunc(terms, func(t term) bool { return t.field == "type" }) {
		return 422, problem("invalid", "the query or filter[type] is invalid")
	}
	after, ok := s.exportCursor(q.Get("page[after]"))
	if !ok {
		return 422, problem("invalid", "the cursor has expired")
	}
	size, err := strconv.Atoi(q.Get("page[size]"))
	if err != nil || size < 1 || size > 1000 {
		size = pageSize
	}
	var list []row
	for _, id := range ordered(s.data.Tickets) {
		if t := s.data.Tickets[id]; s.found(t, terms) {
			list = append(list, row{id: id, view: func() map[string]any {
				return map[string]any{"id": t.ID, "result_type": "ticket", "subject": t.Subject, "created_at": stamp(t.CreatedAt), "updated_at": stamp(t.CreatedAt), "url": "https://example.zendesk.com/api/v2/tickets/" + text(t.ID) + ".json"}
			}})
		}
	}
	status, body := byCursor(r, "results", list, size, after, func(id int64) string {
		return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d@%d", id, s.Time().Unix()))
	})
	body.(map[string]any)["facets"] = nil
	return status, body
}

func (s *Server) exportCursor(cursor string) (after int64, ok bool) {
	if cursor == "" {
		return 0, true
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, false
	}
	id, made, _ := strings.Cut(string(raw), "@")
	unix, err := strconv.ParseInt(made, 10, 64)
	if err != nil || s.Time().Sub(time.Unix(unix, 0)) > cursorOld {
		return 0, false
	}
	after, err = strconv.ParseInt(id, 10, 64)
	return after, err == nil
}

// found reports whether the search knows a ticket and it is as the terms say. A
// new one is not known yet, and one that was deleted still is.
func (s *Server) found(t *Ticket, terms []term) bool {
	until := s.Time().Add(-s.Lasts(indexLag))
	if t.CreatedAt.After(until) || t.State != Live && !t.GoneAt.After(until) {
		return false
	}
	return !slices.ContainsFunc(terms, func(one term) bool {
		switch one.field {
		case "requester":
			return text(t.Requester) != one.value
		case "via":
			return t.Channel != one.value
		case "follower":
			return !slices.ContainsFunc(t.Followers, func(id int64) bool { return text(id) == one.value })
		}
		return !strings.Contains(strings.ToLower(t.Subject), strings.ToLower(one.value))
	})
}
