package fake

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// row is a record with the id that lists are ordered by.
type row struct {
	id   int64
	view func() map[string]any // made only of what is shown
}

// paged answers with a page of a list. With page[size] the list goes on by
// cursor. Without it, it silently goes by offset, a hundred rows a page, and
// ends with an error after 10,000 rows.
func paged(r *http.Request, name string, rows []row) (int, any) {
	q := r.URL.Query()
	if q.Get("page[size]") == "" {
		return byOffset(r, name, rows)
	}
	size, err := strconv.Atoi(q.Get("page[size]"))
	if err != nil || size < 1 {
		return 400, problem("InvalidPaginationParameter", "page[size] is invalid")
	}
	after, ok := cursorID(q.Get("page[after]"))
	if !ok {
		return 400, problem("InvalidPaginationParameter", "page[after] is not valid")
	}
	return byCursor(r, name, rows, min(size, pageSize), after, func(id int64) string {
		return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(id, 10)))
	})
}

// byCursor shows the rows after an id, so that what is deleted meanwhile moves
// nothing.
func byCursor(r *http.Request, name string, rows []row, size int, after int64, cursor func(int64) string) (int, any) {
	shown, last, more := []map[string]any{}, int64(0), false
	for _, one := range rows {
		if one.id <= after {
			continue
		}
		if len(shown) == size {
			more = true
			break
		}
		shown, last = append(shown, one.view()), one.id
	}
	body := map[string]any{name: shown, "meta": map[string]any{"has_more": more, "after_cursor": nil, "before_cursor": nil}, "links": map[string]any{"next": nil, "prev": nil}}
	if more {
		q := r.URL.Query()
		q.Set("page[after]", cursor(last))
		body["meta"] = map[string]any{"has_more": true, "after_cursor": cursor(last), "before_cursor": nil}
		body["links"] = map[string]any{"next": fakekit.Base(r) + r.URL.Path + ".json?" + q.Encode(), "prev": nil}
	}
	return 200, body
}

func cursorID(cursor string) (id int64, ok bool) {
	if cursor == "" {
		return 0, true
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return 0, false
	}
	id, err = strconv.ParseInt(string(text), 10, 64)
	return id, err == nil
}

func byOffset(r *http.Request, name string, rows []row) (int, any) {
	q := r.URL.Query()
	number, size := 1, pageSize
	for key, into := range map[string]*int{"page": &number, "per_page": &size} {
		if text := q.Get(key); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return 400, problem("InvalidPaginationParameter", key+" is invalid")
			}
			*into = n
		}
	}
	size = min(size, pageSize)
	if number*size > MaxRows {
		return 400, problem("InvalidPaginationDepth", fmt.Sprintf("Page %d is beyond the first %d records", number, MaxRows))
	}
	from := min((number-1)*size, len(rows))
	to := min(from+size, len(rows))
	shown := []map[string]any{}
	for _, one := range rows[from:to] {
		shown = append(shown, one.view())
	}
	body := map[string]any{name: shown, "count": len(rows), "next_page": nil, "previous_page": nil}
	if to < len(rows) {
		q.Set("page", strconv.Itoa(number+1))
		body["next_page"] = fakekit.Base(r) + r.URL.Path + ".json?" + q.Encode()
	}
	return 200, body
}
