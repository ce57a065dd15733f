package fake

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// withheld is the time of which the incremental export tells nothing yet.
const withheld = time.Minute

// place is where a user stands in the incremental export.
type place struct {
	At int64 // when it last changed, in nanoseconds
	ID int64
}

func (p place) after(other place) bool { return p.At > other.At || p.At == other.At && p.ID > other.ID }

func (p place) cursor() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d|%d", p.At, p.ID))
}

// since is the place from which an export goes on.
func (s *Server) since(r *http.Request) (from place, ok bool) {
	q := r.URL.Query()
	if cursor := q.Get("cursor"); cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil {
			return from, false
		}
		n, err := fmt.Sscanf(string(text), "%d|%d", &from.At, &from.ID)
		return from, err == nil && n == 2
	}
	start, err := strconv.ParseInt(q.Get("start_time"), 10, 64)
	return place{At: start * int64(time.Second)}, err == nil && s.Time().Sub(time.Unix(start, 0)) >= withheld
}

// changedUsers is the incremental export of users, in the order of their last
// change, deleted ones included.
func (s *Server) changedUsers(r *http.Request) (int, any) {
	from, ok := s.since(r)
	size := pageSize
	if text := r.URL.Query().Get("per_page"); text != "" {
		n, err := strconv.Atoi(text)
		size, ok = min(n, 1000), ok && err == nil && n > 0
	}
	if !ok {
		return 400, problem("InvalidValue", "start_time must be at least a minute ago, or the cursor one of ours")
	}
	var places []place
	for id, versions := range s.data.Versions {
		p := place{At: versions[len(versions)-1].From.UnixNano(), ID: id}
		if p.after(from) && p.At <= s.Time().Add(-withheld).UnixNano() {
			places = append(places, p)
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.after(b) {
			return 1
		}
		return -1
	})
	rest := len(places) - min(size, len(places))
	shown := []map[string]any{}
	for _, p := range places[:len(places)-rest] {
		shown, from = append(shown, s.userView(s.data.Users[p.ID])), p
	}
	return 200, map[string]any{
		"users": shown, "after_cursor": from.cursor(), "after_url": fakekit.Base(r) + r.URL.Path + ".json?cursor=" + from.cursor(),
		"before_cursor": nil, "before_url": nil, "end_of_stream": rest == 0,
	}
}
