// Package fake is a server that behaves like Zendesk Support: users with
// identities, tickets, suspended tickets, jobs, and purges that take days by a
// clock. It is a program with the vendor's rules, held to the vendor's contract
// by the tests of the connector. It is never linked into a function.
package fake

import (
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// How long things take, in days of Options.Day.
const (
	indexLag  = 3 * time.Minute // until the search knows of a change
	jobQueued = 2 * time.Second
	jobLasts  = 8 * time.Second
	jobKept   = 24 * time.Hour
	cursorOld = time.Hour // life of a cursor of the search export
)

// TokenLife is the longest life of a token that the account allows, whatever is
// asked for and whatever a day is: the shortest that Zendesk knows.
const TokenLife = 5 * time.Minute

// What Zendesk allows at most.
const (
	PerMinute = 400   // calls of an account
	MaxJobs   = 30    // queued or running
	MaxRows   = 10000 // of a list by offset
	pageSize  = 100
)

// Options of a Server. The zero value is a seeded company by the real clock.
type Options struct {
	fakekit.Options
	PerMinute  int    // calls of the account; PerMinute
	ID, Secret string // of the API client; "avow" and "zendesk-secret"
	Empty      bool   // nobody is there yet
	Small      bool   // only the people that matter to tests, with fewer tickets
	Refuse     bool   // tickets cannot be changed: a field is required
	Required   int64  // field of tickets that cannot be emptied
}

// Server is the vendor. It is safe for concurrent use.
type Server struct {
	*fakekit.Server
	o    Options
	data data
}

// data is everything that the vendor holds.
type data struct {
	Users     map[int64]*User
	Versions  map[int64][]version // what the search may see
	Tickets   map[int64]*Ticket
	Suspended map[int64]*Suspended
	Jobs      map[string]*Job
	Files     map[int64]fakekit.File
}

// New returns a Server.
func New(o Options) *Server {
	if o.ID == "" {
		o.ID, o.Secret = "avow", "zendesk-secret"
	}
	if o.PerMinute == 0 {
		o.PerMinute = PerMinute
	}
	s := &Server{o: o, data: data{
		Users: map[int64]*User{}, Versions: map[int64][]version{}, Tickets: map[int64]*Ticket{}, Suspended: map[int64]*Suspended{},
		Jobs: map[string]*Job{}, Files: map[int64]fakekit.File{},
	}}
	s.Server = fakekit.New(o.Options, fakekit.Rules{
		Prefix: "/api/v2", Data: &s.data, Settle: s.work, State: func() any { return s.state() },
		Open: func(r *http.Request) bool { return s.Valid(r) },
		Denied: func() (int, any) {
			return 401, problem("invalid_token", "The access token provided is expired, revoked, malformed or invalid")
		},
		Busy: func(int) any {
			return problem("APIRateLimitExceeded", "Number of allowed API requests per minute exceeded")
		},
		Limits: []fakekit.Limit{
			{Name: "account", Calls: o.PerMinute, Per: time.Minute},
			{Name: "tickets", Method: "DELETE", Route: "/tickets/{ticket_id}", Calls: 400, Per: time.Minute},
			{Name: "search export", Method: "GET", Route: "/search/export", Calls: 100, Per: time.Minute},
			{Name: "changed users", Method: "GET", Route: "/incremental/users/cursor", Calls: 10, Per: time.Minute},
			{Name: "deleted tickets", Method: "GET", Route: "/deleted_tickets", Calls: 10, Per: time.Minute},
			{Name: "purges", Method: "DELETE", Route: "/deleted_users/{deleted_user_id}", Calls: 700, Per: 10 * time.Minute},
		},
		Forms: []string{"seconds"}, Pages: true,
	})
	s.routes()
	if !o.Empty {
		s.seed()
	}
	return s
}

func (s *Server) routes() {
	for pattern, handle := range map[string]func(*http.Request) (int, any){
		"GET /incremental/users/cursor":                                   s.changedUsers,
		"GET /users/search":                                               s.searchUsers,
		"GET /users/{user_id}":                                            s.getUser,
		"PUT /users/{user_id}":                                            s.putUser,
		"DELETE /users/{user_id}":                                         s.deleteUser,
		"GET /users/{user_id}/related":                                    s.related,
		"GET /users/{user_id}/sessions":                                   s.sessions,
		"GET /users/{user_id}/identities":                                 s.identities,
		"POST /users/{user_id}/identities":                                s.addIdentity,
		"PUT /users/{user_id}/identities/{user_identity_id}/make_primary": s.makePrimary,
		"DELETE /users/{user_id}/identities/{user_identity_id}":           s.dropIdentity,
		"GET /users/{user_id}/compliance_deletion_statuses":               s.compliance,
		"GET /users/{user_id}/tickets/{list}":                             s.userTickets,
		"GET /deleted_users":                                              s.deletedUsers,
		"GET /deleted_users/{deleted_user_id}":                            s.deletedUser,
		"DELETE /deleted_users/{deleted_user_id}":                         s.purgeUser,
		"GET /tickets/show_many":                                          s.showTickets,
		"GET /tickets/{ticket_id}":                                        s.getTicket,
		"PUT /tickets/{ticket_id}":                                        s.putTicket,
		"DELETE /tickets/{ticket_id}":                                     s.deleteTicket,
		"DELETE /tickets/destroy_many":                                    s.deleteTickets,
		"DELETE /deleted_tickets/destroy_many":                            s.purgeTickets,
		"GET /deleted_tickets":                                            s.deletedTickets,
		"GET /tickets/{ticket_id}/comments":                               s.comments,
		"GET /tickets/{ticket_id}/audits":                                 s.audits,
		"PUT /comment_redactions/{ticket_comment_id}":                     s.redactComment,
		"PUT /tickets/{ticket_id}/comments/{comment_id}/attachments/{attachment_id}/redact": s.redactAttachment,
		"PUT /chat_redactions/{ticket_id}":                                                  s.redactChat,
		"PUT /chat_file_redactions/{ticket_id}":                                             s.redactChatFile,
		"GET /search/export":                                                                s.searchTickets,
		"GET /job_statuses/{job_status_id}":                                                 s.getJob,
		"GET /suspended_tickets":                                                            s.suspended,
		"DELETE /suspended_tickets/destroy_many":                                            s.dropSuspended,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		s.API(method+" /api/v2"+path, handle)
	}
	s.Free("POST /oauth/tokens", s.token)
	s.Stream("GET /_files/{id}", s.file)
	s.Free("/", func(*http.Request) (int, any) { return 404, problem("InvalidEndpoint", "Not found") })
}

// token is the OAuth endpoint: client credentials as JSON, and a life that lies
// within Zendesk's bounds.
func (s *Server) token(r *http.Request) (int, any) {
	var ask struct {
		Grant  string `json:"grant_type"`
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
		Scope  string `json:"scope"`
		Life   int    `json:"expires_in"`
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind != "application/json" || json.NewDecoder(r.Body).Decode(&ask) != nil || ask.Scope == "":
		return 400, oauthProblem("invalid_request")
	case ask.Grant != "client_credentials":
		return 400, oauthProblem("unsupported_grant_type")
	case ask.ID != s.o.ID || ask.Secret != s.o.Secret:
		return 401, oauthProblem("invalid_client")
	case ask.Life != 0 && (ask.Life <= 300 || ask.Life >= 172800):
		return 400, oauthProblem("invalid_request")
	}
	life := TokenLife
	if ask.Life != 0 {
		life = min(life, time.Duration(ask.Life)*time.Second)
	}
	return 200, map[string]any{"access_token": s.Grant(life), "token_type": "bearer", "scope": ask.Scope, "expires_in": int(life.Seconds())}
}

// SetSecret replaces the API client's secret and ends all tokens.
func (s *Server) SetSecret(secret string) {
	s.Settled(func() { s.o.Secret = secret })
	s.Revoke()
}

// State is everything that the vendor holds.
type State struct {
	Users     []User      `json:"users"`
	Tickets   []Ticket    `json:"tickets"`
	Suspended []Suspended `json:"suspended"`
}

// State is what the vendor holds at this moment, in order of ids.
func (s *Server) State() (state State) {
	s.Settled(func() { state = s.state() })
	return state
}

func (s *Server) state() State {
	state := State{Users: []User{}, Tickets: []Ticket{}, Suspended: []Suspended{}}
	for _, id := range ordered(s.data.Users) {
		state.Users = append(state.Users, *s.data.Users[id])
	}
	for _, id := range ordered(s.data.Tickets) {
		state.Tickets = append(state.Tickets, *s.data.Tickets[id])
	}
	for _, id := range ordered(s.data.Suspended) {
		state.Suspended = append(state.Suspended, *s.data.Suspended[id])
	}
	return state
}

// work does what time has come for.
func (s *Server) work() { s.runJobs() }

// number is the next id.
func (s *Server) number() int64 {
	n, _ := strconv.ParseInt(s.Number(), 10, 64)
	return n
}

func ordered[V any](m map[int64]V) []int64 { return slices.Sorted(maps.Keys(m)) }

// pathID is an id in the path, 0 for what is none.
func pathID(r *http.Request, name string) int64 {
	id, _ := strconv.ParseInt(r.PathValue(name), 10, 64)
	return id
}

func problem(code, text string) map[string]any {
	return map[string]any{"error": code, "description": text}
}

func oauthProblem(code string) map[string]any {
	return map[string]any{"error": code, "error_description": "see RFC 6749 on " + code}
}

func notFound() (int, any) { return 404, problem("RecordNotFound", "Not found") }

// invalid is the refusal of a change.
func invalid(field, why string) (int, any) {
	return 422, map[string]any{
		"error": "RecordInvalid", "description": "Record validation errors",
		"details": map[string]any{field: []map[string]string{{"description": why, "error": "InvalidValue"}}},
	}
}

func stamp(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
