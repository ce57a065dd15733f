// Package fake is a server that behaves like Zendesk Chat, as far as its users
// know (see ../contract.yaml): the search is generous, late and short, one path
// of two answers, tokens expire, and deleting is final. It is a program with
// rules and is never linked into a function.
//
// Paths below /_fake show and change what no client may: calls, state, failures
// and the clock.
package fake

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// The rules.
const (
	IndexLag  = 5 * time.Minute // until the search knows of a change
	TokenLife = 5 * time.Minute // whatever a day is
	PerMinute = 200             // calls of one endpoint
	pageSize  = 40
	lastPage  = 250
)

// Options of a Server. The zero value is a seeded company by the real clock, in
// an account that was made in Support.
type Options struct {
	fakekit.Options
	// Path of the API: "/api/v2/chat", or "/api/v2" of older accounts. Below the
	// other one there is nothing.
	Path string
	// ID and Secret are the Chat OAuth client's; "avow" and "chat-secret".
	ID, Secret string
	// Files is the address of the host that serves attachments. By default it is
	// this server under its other local name, or https://files.zopim.test.
	Files string
	// Endless tokens have no expires_in and are good until they are revoked.
	Endless bool
	// Fixed visitors and tags: a change is answered with 200 and not made.
	Fixed bool
	// Short leaves chats that do not exist out of docs, instead of null.
	Short bool
	Empty bool // there is no chat yet
}

// Server is the vendor. It is safe for concurrent use.
type Server struct {
	*fakekit.Server
	o    Options
	data data

	agentOnly bool // the client belongs to an agent, not to an administrator
	public    bool // somebody has saved the client in the dashboard
}

// data is everything that the vendor holds.
type data struct {
	Chats  map[string]*Chat
	Index  map[string][]entry // what the search may see
	Agents []Agent
	Files  map[string]fakekit.File
}

// New returns a Server.
func New(o Options) *Server {
	o.Path, o.ID, o.Secret = cmp.Or(o.Path, "/api/v2/chat"), cmp.Or(o.ID, "avow"), cmp.Or(o.Secret, "chat-secret")
	s := &Server{o: o, data: data{Chats: map[string]*Chat{}, Index: map[string][]entry{}, Files: map[string]fakekit.File{}}}
	s.Server = fakekit.New(o.Options, fakekit.Rules{
		Prefix: o.Path, Data: &s.data, State: func() any { return s.state() },
		Open:   func(r *http.Request) bool { return s.Valid(r) },
		Denied: func() (int, any) { return 401, problem("invalid_token") },
		Busy:   func(int) any { return problem("busy") },
		Limits: []fakekit.Limit{{Name: "endpoint", Each: true, Calls: PerMinute, Per: time.Minute}},
		Forms:  []string{"seconds"}, Pages: true,
	})
	s.routes()
	if !o.Empty {
		s.seed()
	}
	return s
}

func (s *Server) routes() {
	s.API("GET "+s.o.Path+"/chats/search", s.search)
	s.API("GET "+s.o.Path+"/chats", s.getChats)
	s.API("DELETE "+s.o.Path+"/chats", s.deleteChats)
	s.API("GET "+s.o.Path+"/chats/{id}", s.getChat)
	s.API("PUT "+s.o.Path+"/chats/{id}", s.putChat)
	s.API("DELETE "+s.o.Path+"/chats/{id}", s.deleteChat)
	s.API("GET "+s.o.Path+"/agents", s.listAgents)
	s.Free("POST /oauth2/chat/token", s.token)
	s.Free("POST /oauth2/token", s.token)
	s.Stream("GET /_files/{id}", s.file)
	s.Free("/", func(*http.Request) (int, any) { return 404, problem("not_found") })
}

// token is the OAuth endpoint, for confidential clients only.
func (s *Server) token(r *http.Request) (int, any) {
	switch {
	case r.FormValue("grant_type") != "client_credentials":
		return 400, problem("unsupported_grant_type")
	case r.FormValue("client_id") != s.o.ID || r.FormValue("client_secret") != s.o.Secret || s.public:
		return 401, problem("invalid_client")
	case !strings.Contains(r.FormValue("scope"), "read"):
		return 400, problem("invalid_scope")
	}
	granted := map[string]any{"token_type": "Bearer", "scope": r.FormValue("scope")}
	life := TokenLife
	if s.o.Endless {
		life = 10 * 365 * 24 * time.Hour
	} else {
		granted["expires_in"] = int(life.Seconds())
	}
	granted["access_token"] = s.Grant(life)
	return 200, granted
}

// SetSecret replaces the OAuth client's secret and ends all tokens.
func (s *Server) SetSecret(secret string) {
	s.Settled(func() { s.o.Secret = secret })
	s.Revoke()
}

// SaveClient is what happens when somebody saves the OAuth client in the
// dashboard: it is public from then on. Confidential makes it usable again.
func (s *Server) SaveClient() { s.Settled(func() { s.public = true }) }

// Confidential sets the client's type by the API, as its owner must.
func (s *Server) Confidential() { s.Settled(func() { s.public = false }) }

// AgentOnly takes the rights of an administrator from the client, or gives them
// back.
func (s *Server) AgentOnly(yes bool) { s.Settled(func() { s.agentOnly = yes }) }

// State is everything that the vendor holds.
type State struct {
	Chats  []Chat   `json:"chats"`
	Agents []Agent  `json:"agents"`
	Files  []string `json:"files"`
}

// State is what the vendor holds at this moment, in order of ids.
func (s *Server) State() (state State) {
	s.Settled(func() { state = s.state() })
	return state
}

func (s *Server) state() State {
	state := State{Chats: []Chat{}, Agents: slices.Clone(s.data.Agents), Files: slices.Sorted(maps.Keys(s.data.Files))}
	for _, id := range slices.Sorted(maps.Keys(s.data.Chats)) {
		state.Chats = append(state.Chats, *s.data.Chats[id])
	}
	return state
}

func problem(code string) map[string]string {
	return map[string]string{"error": code, "message": "see the documentation of " + code}
}
