// Package fake is a server that behaves like Sunshine Conversations v2, which is
// behind Zendesk Messaging, as far as its contract says how, and as awkwardly as
// it may where that is silent. It is a program with rules: users go in their own
// time, the default conversation stays, lists have cursors that die with what
// they name. It is never linked into a function.
package fake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

const (
	deletion = 20 * time.Minute // from DELETE /users/{id} until the user is gone; the contract says: until a webhook
	cdn      = 15 * time.Minute // for which a removed file is still served
	maxBody  = 100 << 10        // bytes of a JSON body
)

// App, ID and Secret are the defaults of Options.
const (
	App    = "5d8cff3cd55b040010928b5b"
	ID     = "app_5f5f5f5f5f5f5f5f5f5f5f5f"
	Secret = "messaging-secret"
)

// Options of a Server. The zero value is a seeded company by the real clock.
type Options struct {
	fakekit.Options
	// PerMinute limits calls per minute; 0: no limit. The vendor names none.
	PerMinute int
	// App is the app's id; ID and Secret are those of its key.
	App, ID, Secret string
	// Files is the address of the host that serves attachments. By default it is
	// this server under its other local name, or https://media.smooch.test.
	Files string
	// Placeholders stay in lists where single messages were deleted.
	Placeholders bool
	// Merges: what PATCH does not name stays; otherwise it is gone.
	Merges bool
	// NewestFirst: a page of messages begins with the newest one.
	NewestFirst bool
	Empty       bool // nobody is there yet
}

// Server is the vendor. It is safe for concurrent use.
type Server struct {
	*fakekit.Server
	o    Options
	data data
}

// data is everything that the vendor holds.
type data struct {
	Users         map[string]*User
	Clients       map[string]*Client
	Devices       map[string]*Device
	Conversations map[string]*Conversation
	Files         map[string]*File
}

// New returns a Server.
func New(o Options) *Server {
	if o.App == "" {
		o.App = App
	}
	if o.ID == "" {
		o.ID, o.Secret = ID, Secret
	}
	s := &Server{o: o, data: data{
		Users: map[string]*User{}, Clients: map[string]*Client{}, Devices: map[string]*Device{},
		Conversations: map[string]*Conversation{}, Files: map[string]*File{},
	}}
	rules := fakekit.Rules{
		Prefix: "/sc/v2/apps/{app}", Data: &s.data, Settle: s.purge, State: func() any { return s.state() },
		Open:   s.open,
		Denied: func() (int, any) { return 401, problem("unauthorized", "Authorization is required") },
		Busy:   func(int) any { return problem("too_many_requests", "Please come back later") },
	}
	if o.PerMinute > 0 {
		rules.Limits = []fakekit.Limit{{Calls: o.PerMinute, Per: time.Minute}}
	}
	s.Server = fakekit.New(o.Options, rules)
	s.routes()
	if !o.Empty {
		s.seed()
	}
	return s
}

func (s *Server) routes() {
	for pattern, handle := range map[string]func(*http.Request) (int, any){
		"GET /users":                                s.listUsers,
		"GET /users/{id}":                           s.getUser,
		"PATCH /users/{id}":                         s.patchUser,
		"DELETE /users/{id}":                        s.deleteUser,
		"DELETE /users/{id}/personalinformation":    s.clearUser,
		"GET /users/{id}/clients":                   s.listClients,
		"DELETE /users/{id}/clients/{client}":       s.removeClient,
		"GET /users/{id}/devices":                   s.listDevices,
		"GET /conversations":                        s.listConversations,
		"GET /conversations/{id}":                   s.getConversation,
		"DELETE /conversations/{id}":                s.deleteConversation,
		"GET /conversations/{id}/participants":      s.listParticipants,
		"POST /conversations/{id}/leave":            s.leave,
		"GET /conversations/{id}/messages":          s.listMessages,
		"DELETE /conversations/{id}/messages":       s.deleteMessages,
		"DELETE /conversations/{id}/messages/{one}": s.deleteMessage,
		"POST /attachments/remove":                  s.removeAttachment,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		s.API(method+" /sc/v2/apps/{app}"+path, s.inApp(handle))
	}
	s.Stream("GET /_media/{id}/{name}", s.media)
	s.Stream("GET /sc/attachments/v2/{id}/{name}", s.private)
	s.Free("/", func(*http.Request) (int, any) { return 404, problem("not_found", "Resource not found") })
}

// inApp refuses another app's calls, and bodies that are too long.
func (s *Server) inApp(handle func(*http.Request) (int, any)) func(*http.Request) (int, any) {
	return func(r *http.Request) (int, any) {
		switch {
		case r.PathValue("app") != s.o.App:
			return 404, problem("not_found", "App not found")
		case r.ContentLength > maxBody:
			return 413, problem("payload_too_large", "The body is too large")
		}
		return handle(r)
	}
}

func (s *Server) open(r *http.Request) bool {
	id, secret, ok := r.BasicAuth()
	return ok && id == s.o.ID && secret == s.o.Secret
}

// SetSecret replaces the secret of the app's key.
func (s *Server) SetSecret(secret string) { s.Settled(func() { s.o.Secret = secret }) }

// State is everything that the vendor holds.
type State struct {
	Users         []User         `json:"users"`
	Clients       []Client       `json:"clients"`
	Devices       []Device       `json:"devices"`
	Conversations []Conversation `json:"conversations"`
	Files         []File         `json:"files"`
}

// State is what the vendor holds at this moment, in order of ids.
func (s *Server) State() (state State) {
	s.Settled(func() { state = s.state() })
	return state
}

func (s *Server) state() State {
	state := State{Users: list(s.data.Users), Clients: list(s.data.Clients), Devices: list(s.data.Devices), Files: list(s.data.Files)}
	for _, c := range list(s.data.Conversations) {
		c.Messages = slices.Clone(c.Messages)
		c.Users = slices.Clone(c.Users)
		state.Conversations = append(state.Conversations, c)
	}
	return state
}

// list are the values of a map, in order of ids.
func list[V any](m map[string]*V) []V {
	all := []V{}
	for _, id := range slices.Sorted(maps.Keys(m)) {
		all = append(all, *m[id])
	}
	return all
}

// id is the next record's: 24 hexadecimal digits that grow, as cursors need.
func (s *Server) id() string {
	n, err := strconv.Atoi(s.Number())
	if err != nil {
		panic(err) // fakekit's own
	}
	return fmt.Sprintf("67a0%020x", n)
}

func problem(code, title string) map[string]any {
	return map[string]any{"errors": []map[string]string{{"code": code, "title": title}}}
}

// stamp is a time as the API writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// paged cuts a page out of a list in order of ids, by page[after], page[before]
// and page[size]. A cursor that names nothing in it is refused.
func paged[V any](r *http.Request, all []V, id func(V) string) (page []V, meta map[string]any, ok bool) {
	q := r.URL.Query()
	size := 25
	if text := q.Get("page[size]"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 100 {
			return nil, nil, false
		}
		size = n
	}
	var from, to int
	after, before := q.Get("page[after]"), q.Get("page[before]")
	at := func(cursor string) int { return slices.IndexFunc(all, func(v V) bool { return id(v) == cursor }) }
	switch {
	case after != "" && before != "":
		return nil, nil, false
	case after != "":
		if from = at(after) + 1; from == 0 {
			return nil, nil, false
		}
		to = min(from+size, len(all))
	case before != "":
		if to = at(before); to < 0 {
			return nil, nil, false
		}
		from = max(0, to-size)
	default:
		to = min(size, len(all))
	}
	meta = map[string]any{"hasMore": to < len(all)}
	if before != "" {
		meta["hasMore"] = from > 0
	}
	if to < len(all) && to > from {
		meta["afterCursor"] = id(all[to-1])
	}
	if from > 0 && to > from {
		meta["beforeCursor"] = id(all[from])
	}
	return all[from:to], meta, true
}

func badPage() (int, any) { return 400, problem("bad_request", "Invalid page query parameters") }
