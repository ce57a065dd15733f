// Package fake is a server that behaves like the reference vendor: a small help
// desk with every difficulty that real ones have (see ../contract.yaml). It is
// a program with rules: time passes by a clock, jobs take as long as they take,
// and what a careless client would break is refused. It is never linked into a
// function.
//
// Paths below /_fake show and change what no client may: calls, state, failures
// and the clock.
package fake

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// How long things take, in days of Options.Day.
const (
	indexLag  = 10 * time.Minute // until the search knows of a change
	exportJob = 2 * 24 * time.Hour
	purgeJob  = 6 * time.Hour
)

// TokenLife is how long a token is good for, whatever a day is.
const TokenLife = 5 * time.Minute

// pageSize is how many records a page holds.
const pageSize = 10

// Options of a Server. The zero value is a seeded company by the real clock.
type Options struct {
	fakekit.Options
	// PerMinute limits calls per minute; 0: no limit.
	PerMinute int
	// ID and Secret are the API client's; "avow" and "refdesk-secret".
	ID, Secret string
	// Files is the address of the host that serves attachments. By default it is
	// this server under its other local name, or https://files.refdesk.test.
	Files string
	Empty bool // nobody is there yet
}

// Server is the vendor. It is safe for concurrent use.
type Server struct {
	*fakekit.Server
	o    Options
	data data
}

// data is everything that the vendor holds.
type data struct {
	Users    map[string]*User
	Versions map[string][]version // what the search may see
	Tickets  map[string]*Ticket
	Jobs     map[string]*Job
	Files    map[string]fakekit.File
}

// New returns a Server.
func New(o Options) *Server {
	if o.ID == "" {
		o.ID, o.Secret = "avow", "refdesk-secret"
	}
	s := &Server{o: o, data: data{
		Users: map[string]*User{}, Versions: map[string][]version{}, Tickets: map[string]*Ticket{}, Jobs: map[string]*Job{}, Files: map[string]fakekit.File{},
	}}
	rules := fakekit.Rules{
		Prefix: "/api/v1", Data: &s.data, Settle: s.purge, State: func() any { return s.state() },
		Open:   func(r *http.Request) bool { return s.Valid(r) },
		Denied: func() (int, any) { return 401, problem("InvalidToken") },
		Busy:   func(int) any { return problem("Busy") },
		Forms:  []string{"seconds", "http", "iso"}, Pages: true,
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
	s.API("GET /api/v1/users", s.searchUsers)
	s.API("GET /api/v1/users/{id}", s.getUser)
	s.API("PUT /api/v1/users/{id}", s.putUser)
	s.API("DELETE /api/v1/users/{id}", s.trashUser)
	s.API("PUT /api/v1/users/{id}/tags", s.putTags)
	s.API("GET /api/v1/users/{id}/tickets", s.listTickets)
	s.API("GET /api/v1/tickets/{id}", s.getTicket)
	s.API("DELETE /api/v1/tickets/{id}", s.deleteTicket)
	s.API("GET /api/v1/deleted_users/{id}", s.getDeleted)
	s.API("DELETE /api/v1/deleted_users/{id}", s.purgeUser)
	s.API("GET /api/v1/exports", s.listExports)
	s.API("POST /api/v1/exports", s.createExport)
	s.API("GET /api/v1/jobs/{id}", s.getJob)
	s.API("GET /api/v1/files/{id}", s.redirect)
	s.Free("POST /oauth/token", s.token)
	s.Stream("GET /_files/{id}", s.file)
	s.Free("/", func(*http.Request) (int, any) { return 404, problem("RouteNotFound") })
}

// token is the OAuth endpoint: client credentials only.
func (s *Server) token(r *http.Request) (int, any) {
	switch {
	case r.FormValue("grant_type") != "client_credentials":
		return 400, problem("unsupported_grant_type")
	case r.FormValue("client_id") != s.o.ID || r.FormValue("client_secret") != s.o.Secret:
		return 401, problem("invalid_client")
	}
	return 200, map[string]any{"access_token": s.Grant(TokenLife), "token_type": "bearer", "expires_in": int(TokenLife.Seconds())}
}

// SetSecret replaces the API client's secret and ends all tokens.
func (s *Server) SetSecret(secret string) {
	s.Settled(func() { s.o.Secret = secret })
	s.Revoke()
}

// State is everything that the vendor holds.
type State struct {
	Users   []User   `json:"users"`
	Tickets []Ticket `json:"tickets"`
	Jobs    []Job    `json:"jobs"`
}

// State is what the vendor holds at this moment, in order of ids.
func (s *Server) State() (state State) {
	s.Settled(func() { state = s.state() })
	return state
}

func (s *Server) state() State {
	state := State{Users: []User{}, Tickets: []Ticket{}, Jobs: []Job{}}
	for _, id := range slices.Sorted(maps.Keys(s.data.Users)) {
		state.Users = append(state.Users, *s.data.Users[id])
	}
	for _, id := range slices.Sorted(maps.Keys(s.data.Tickets)) {
		state.Tickets = append(state.Tickets, *s.data.Tickets[id])
	}
	for _, id := range slices.Sorted(maps.Keys(s.data.Jobs)) {
		state.Jobs = append(state.Jobs, s.seen(*s.data.Jobs[id]))
	}
	return state
}

func problem(code string) map[string]string {
	return map[string]string{"error": code, "description": "see the documentation of " + code}
}
