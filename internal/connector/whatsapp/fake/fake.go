// Package fake is a server that behaves like the WhatsApp Business Cloud API as
// far as Avow uses it: it takes messages, refuses those that Meta refuses, and
// posts to the webhook what people do, signed, several changes at once, twice and
// out of order. It is a program with rules and is never linked into a function.
//
// Paths below /_fake let a test's person act: POST /_fake/write, /_fake/press,
// /_fake/move and /_fake/prefer, see person.go.
package fake

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// What the platform grants.
const (
	window   = 24 * time.Hour
	pairGap  = 6 * time.Second // between two messages to the same person
	burst    = 45              // of messages to the same person
	mediaFor = 30 * 24 * time.Hour
	urlFor   = 5 * time.Minute // an address of a file
)

// The company's account, as the fake knows it.
const (
	Version     = "v23.0"
	NumberID    = "106540352242922"
	Number      = "15550783881"
	AccountID   = "419561257915477"
	Token       = "fake-system-user-token"
	AppSecret   = "fake-app-secret"
	VerifyToken = "fake-verify-token"
)

// Options of a Server. The zero value is a seeded company by the real clock that
// posts to nobody.
type Options struct {
	fakekit.Options
	// Post takes a post with its signature and returns the status of the answer;
	// nil: by HTTP to the address that POST /_fake/subscribe names.
	Post func(body []byte, signature string) int
	// PerSecond limits messages; 80 by default.
	PerSecond int
	// Direct: a marketing template to who has opted out is refused at once (131050);
	// else it is taken, and reported as failed.
	Direct bool
	// Flat: the business profile comes without the object that the contract has.
	Flat  bool
	Empty bool // nobody is there yet
}

// Server is the platform. It is safe for concurrent use.
type Server struct {
	*fakekit.Server
	o    Options
	data data
}

// data is everything that the platform holds.
type data struct {
	Token     string
	Callback  string // of the webhook
	People    map[string]*Person
	Templates []Template
	Media     map[string]*Media
	Websites  []string
	Queue     []change // to be posted
	Failed    int      // posts that were not answered with 200
}

// Person is somebody on WhatsApp.
type Person struct {
	Phone             string // E.164
	UserID            string
	Name              string
	Hidden            bool      // behind a username: posts carry no number
	LastIn            time.Time // last message to the company
	OptedOut, Blocked bool
	Shut              bool // they have blocked the company
	Inbox             []Received
	Credit            float64   // of the pair's rate
	Paid              time.Time // when it was last counted
}

// Received is a message that a person has got.
type Received struct {
	ID, Type, Text string
	Template       string
	Language       string
	Payloads       []string // of the buttons
	Labels         []string
	At             time.Time
}

// Template is an approved or not approved template.
type Template struct {
	Name, Language, Status, Category, Body string
	Buttons                                []string
}

// Media is a file.
type Media struct {
	ID, MediaType, Text string
	At                  time.Time
	URLs                map[string]time.Time // until
}

// New returns a Server.
func New(o Options) *Server {
	if o.PerSecond == 0 {
		o.PerSecond = 80
	}
	s := &Server{o: o, data: data{Token: Token, People: map[string]*Person{}, Media: map[string]*Media{}, Websites: []string{"https://shop.example/privacy"}}}
	s.Server = fakekit.New(o.Options, fakekit.Rules{
		Prefix: "/" + Version, Data: &s.data, Settle: s.expire,
		Open:   s.open,
		Denied: func() (int, any) { return 401, problem(190, "Invalid OAuth access token") },
		Busy: func(status int) any {
			if status == http.StatusTooManyRequests {
				return problem(130429, "(#130429) Rate limit hit")
			}
			return problem(2, "Service temporarily unavailable")
		},
		Forms:  []string{""},
		Limits: []fakekit.Limit{{Name: "messages", Method: "POST", Route: "/{number}/messages", Calls: o.PerSecond, Per: time.Second}},
	})
	s.routes()
	if !o.Empty {
		s.seed()
	}
	return s
}

func (s *Server) routes() {
	const base = "/" + Version
	s.API("POST "+base+"/{number}/messages", s.number(s.send))
	s.API("GET "+base+"/{number}/block_users", s.number(s.blocked))
	s.API("POST "+base+"/{number}/block_users", s.number(s.block(true)))
	s.API("DELETE "+base+"/{number}/block_users", s.number(s.block(false)))
	s.API("GET "+base+"/{number}/whatsapp_business_profile", s.number(s.profile))
	s.API("GET "+base+"/{account}/message_templates", s.templates)
	s.API("GET "+base+"/{media}", s.media)
	s.API("DELETE "+base+"/{media}", s.deleteMedia)
	s.API("GET /_media/{id}", s.file)
	s.people()
	s.Free("/", func(*http.Request) (int, any) { return 404, problem(2500, "Unknown path components") })
}

// open reports whether a call has the token.
func (s *Server) open(r *http.Request) bool {
	return r.Header.Get("Authorization") == "Bearer "+s.data.Token
}

// SetWebsites replaces the addresses in the business profile.
func (s *Server) SetWebsites(list ...string) { s.Settled(func() { s.data.Websites = list }) }

// SetToken replaces the system user's token.
func (s *Server) SetToken(token string) { s.Settled(func() { s.data.Token = token }) }

// number refuses calls for another number than the company's.
func (s *Server) number(handle func(*http.Request) (int, any)) func(*http.Request) (int, any) {
	return func(r *http.Request) (int, any) {
		if r.PathValue("number") != NumberID {
			return missing()
		}
		return handle(r)
	}
}

// problem is how Graph answers errors: the code counts, not the status.
func problem(code int, message string) any {
	return map[string]any{"error": map[string]any{
		"message": message, "type": "OAuthException", "code": code,
		"error_data": map[string]any{"messaging_product": "whatsapp", "details": message}, "fbtrace_id": "AXsgnV2Cm3ZMGF3dF",
	}}
}

func missing() (int, any) {
	return 400, problem(100, "Unsupported request. Object does not exist, cannot be loaded due to missing permissions")
}

// decode reads a JSON body, and refuses what is none.
func decode(r *http.Request, into any) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") && json.NewDecoder(r.Body).Decode(into) == nil
}

func (s *Server) expire() {
	for id, m := range s.data.Media {
		if !s.Time().Before(m.At.Add(mediaFor)) {
			delete(s.data.Media, id)
		}
	}
}
