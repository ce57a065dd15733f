package fake

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// entry is a chat as the search knows it from an instant on. Of one that is gone
// there is no entry any more.
type entry struct {
	From      time.Time `json:"from"`
	Gone      bool      `json:"gone"`
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Phone     string    `json:"phone"`
	Agents    string    `json:"agents"`
	Text      string    `json:"text"`
}

// changed lets the search know of a chat, after a while.
func (s *Server) changed(id string) {
	e := entry{From: s.Time(), Gone: true}
	if c := s.data.Chats[id]; c != nil {
		e = entry{
			From: s.Time(), Type: c.Type, Timestamp: c.Timestamp, Email: strings.ToLower(c.Visitor.Email), Name: strings.ToLower(c.Visitor.Name),
			Phone: digits(c.Visitor.Phone), Agents: strings.ToLower(strings.Join(c.AgentNames, ", ")), Text: strings.ToLower(c.preview()),
		}
	}
	s.data.Index[id] = append(s.data.Index[id], e)
}

// indexed is a chat as the search knows it.
func (s *Server) indexed(id string) (known entry, ok bool) {
	until := s.Time().Add(-s.Lasts(IndexLag))
	for _, e := range s.data.Index[id] {
		if !e.From.After(until) {
			known, ok = e, !e.Gone
		}
	}
	return known, ok
}

// digits is what two notations of a number have in common.
func digits(text string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text), "0")
}

// matcher is one term of a query.
type matcher func(entry) bool

// parseQuery reads terms joined with AND. ok is false for what the vendor does
// not understand.
func parseQuery(q string) (terms []matcher, ok bool) {
	for _, term := range strings.Split(q, " AND ") {
		m, ok := parseTerm(strings.TrimSpace(term))
		if !ok {
			return nil, false
		}
		terms = append(terms, m)
	}
	return terms, true
}

func parseTerm(term string) (matcher, bool) {
	field, value, named := strings.Cut(term, ":")
	if strings.HasPrefix(term, `"`) || !named {
		field, value = "", term
	}
	if field == "timestamp" {
		return parseTimes(value)
	}
	if strings.HasPrefix(value, `"`) != strings.HasSuffix(value, `"`) || strings.Count(value, `"`) > 2 || strings.Trim(value, `" `) == "" {
		return nil, false
	}
	value = strings.ToLower(strings.Trim(value, `" `))
	switch field {
	case "": // anywhere
		return func(e entry) bool {
			return strings.Contains(strings.Join([]string{e.Email, e.Name, e.Agents, e.Text}, " "), value) || digits(value) != "" && e.Phone == digits(value)
		}, true
	case "type":
		return func(e entry) bool { return e.Type == value }, true
	case "visitor_email": // a part is enough
		return func(e entry) bool { return strings.Contains(e.Email, value) }, true
	case "visitor_name":
		return func(e entry) bool { return containsWords(e.Name, value) }, true
	case "agent_names":
		return func(e entry) bool { return containsWords(e.Agents, value) }, true
	case "visitor_phone":
		return func(e entry) bool { return digits(value) != "" && strings.HasSuffix(digits(value), tail(e.Phone)) }, true
	}
	return nil, false
}

// tail are the digits of a number that are the same at home and abroad.
func tail(number string) string {
	if number == "" {
		return "-"
	}
	return number[max(0, len(number)-8):]
}

// containsWords reports whether a text has all words, in any order.
func containsWords(text, words string) bool {
	return !slices.ContainsFunc(strings.Fields(words), func(w string) bool { return !strings.Contains(text, w) })
}

// parseTimes reads [A TO B], both included; * is open.
func parseTimes(value string) (matcher, bool) {
	inner, ok1 := strings.CutPrefix(value, "[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	from, to, ok3 := strings.Cut(inner, " TO ")
	if !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	a, b := time.Time{}, time.Time{}
	for text, at := range map[string]*time.Time{from: &a, to: &b} {
		if text == "*" {
			continue
		}
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return nil, false
		}
		*at = parsed
	}
	return func(e entry) bool {
		return (from == "*" || !e.Timestamp.Before(a)) && (to == "*" || !e.Timestamp.After(b))
	}, true
}

func (s *Server) search(r *http.Request) (int, any) {
	terms, ok := parseQuery(r.URL.Query().Get("q"))
	page := 1
	if text := r.URL.Query().Get("page"); text != "" {
		n, err := strconv.Atoi(text)
		ok = ok && err == nil && n >= 0
		page = max(1, n) // 0 is 1
	}
	if !ok || page > lastPage {
		return 400, problem("bad_request")
	}
	type found struct {
		id string
		entry
	}
	var all []found
	for id := range s.data.Index {
		e, ok := s.indexed(id)
		if ok && !slices.ContainsFunc(terms, func(m matcher) bool { return !m(e) }) {
			all = append(all, found{id, e})
		}
	}
	slices.SortFunc(all, func(a, b found) int { // the newest first
		if d := b.Timestamp.Compare(a.Timestamp); d != 0 {
			return d
		}
		return strings.Compare(a.id, b.id)
	})
	results := []map[string]any{}
	from := min((page-1)*pageSize, len(all))
	to := min(from+pageSize, len(all))
	for _, f := range all[from:to] {
		results = append(results, map[string]any{
			"id": f.id, "type": f.Type, "timestamp": f.Timestamp.UTC().Format(time.RFC3339), "preview": f.Text, "url": s.address(r, "/chats/"+f.id, nil),
		})
	}
	answer := map[string]any{"results": results, "count": len(all), "next_url": nil, "prev_url": nil}
	link := func(n int) string {
		return s.address(r, "/chats/search", url.Values{"q": {r.URL.Query().Get("q")}, "page": {strconv.Itoa(n)}})
	}
	if to < len(all) {
		answer["next_url"] = link(page + 1)
	}
	if page > 1 {
		answer["prev_url"] = link(page - 1)
	}
	return 200, answer
}

func (s *Server) address(r *http.Request, path string, query url.Values) string {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return fmt.Sprint(fakekit.Base(r), s.o.Path, path)
}
