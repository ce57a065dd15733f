// Package fake is a server that behaves like Genesys Cloud as far as the
// connector genesys uses it: GDPR requests that take days, a search for subjects
// that is generous, results at another host behind links that expire, a
// directory, and a limit that every answer tells of. Its rules are those that a
// careless client breaks. It is never linked into a function.
package fake

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// The client, unless SetSecret says otherwise.
const (
	ID     = "avow"
	Secret = "genesys-secret"
)

// How long things last.
const (
	Token  = 24 * time.Hour
	Work   = 3 * 24 * time.Hour // a GDPR request
	Signed = time.Hour          // a link to results
)

// Options of a Server. The zero value is a seeded organisation by the real clock.
type Options struct {
	fakekit.Options
	PageSize  int // subjects of a page; 0: 25
	PerMinute int // calls; 0: 300
	Parts     int // archives of an export; 0: 1, by resultsUrl
	Empty     bool
}

// Server is the vendor. It is safe for concurrent use.
type Server struct {
	*fakekit.Server
	o      Options
	secret string
	data   Data

	mu    sync.Mutex // of the window
	from  time.Time
	spent int
}

// Data is everything that the vendor holds.
type Data struct {
	Subjects  map[string]*Subject
	Users     map[string]*User
	Messages  []Message
	Requests  map[string]*Request
	Links     map[string]Link
	Retention int    // days of chats
	Fails     int    // requests that will still end with ERROR
	Odd       string // a status that every request on its way has; "": the usual ones
	Stuck     bool   // requests do not end
	Dead      int    // links that will still be refused
	Hidden    bool   // e-mails of subjects are hidden in what a search finds
}

// Subject is a GDPRSubject: what belongs together at the vendor.
type Subject struct {
	Name              string            `json:"name,omitempty"`
	UserID            string            `json:"userId,omitempty"`
	ExternalContactID string            `json:"externalContactId,omitempty"`
	DialerContactID   map[string]string `json:"dialerContactId,omitempty"`
	JourneyCustomer   map[string]string `json:"journeyCustomer,omitempty"`
	SocialHandle      map[string]string `json:"socialHandle,omitempty"`
	ExternalID        string            `json:"externalId,omitempty"`
	Addresses         []string          `json:"addresses,omitempty"`
	PhoneNumbers      []string          `json:"phoneNumbers,omitempty"`
	EmailAddresses    []string          `json:"emailAddresses,omitempty"`
}

// User is an employee in the directory.
type User struct {
	ID, Name, Email, Jabber, State string
}

// Message is one of Collaborate or of a conversation with a customer.
type Message struct {
	From, To string // ids of users, or addresses
	Body     string
	At       time.Time
}

// Request is a GDPRRequest.
type Request struct {
	ID        string
	Type      string
	Created   time.Time
	Subject   Subject
	Terms     []Term
	Confirmed bool
	End       string // "", COMPLETED or ERROR
	Archives  []map[string]string
}

// Term is a ReplacementTerm.
type Term struct {
	Type          string `json:"type"`
	ExistingValue string `json:"existingValue"`
	UpdatedValue  string `json:"updatedValue"`
}

// Link is a signed address of results.
type Link struct {
	Request string
	Part    int
	Until   time.Time
}

// New returns a Server.
func New(o Options) *Server {
	if o.PageSize == 0 {
		o.PageSize = 25
	}
	if o.PerMinute == 0 {
		o.PerMinute = 300
	}
	s := &Server{o: o, secret: Secret, data: Data{
		Subjects: map[string]*Subject{}, Users: map[string]*User{}, Requests: map[string]*Request{}, Links: map[string]Link{}, Retention: 365,
	}}
	s.Server = fakekit.New(o.Options, fakekit.Rules{
		Prefix: "/api/v2", Data: &s.data, Settle: s.settle,
		Open:   func(r *http.Request) bool { return s.Valid(r) },
		Denied: func() (int, any) { return problem(401, "bad.credentials") },
		Busy: func(status int) any {
			_, body := problem(status, map[bool]string{true: "too.many.requests"}[status == 429])
			return body
		},
		Limits: []fakekit.Limit{{Name: "client", Calls: o.PerMinute, Per: time.Minute}},
		Forms:  []string{"seconds"}, Pages: true,
	})
	s.routes()
	if !o.Empty {
		s.seed()
	}
	return s
}

// ServeHTTP implements http.Handler. Each answer of the API tells how much of the
// limit is used up.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/api/v2/") && strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
		now := s.Now()
		s.mu.Lock()
		if !now.Before(s.from.Add(time.Minute)) {
			s.from, s.spent = now, 0
		}
		s.spent++
		w.Header().Set("Inin-Ratelimit-Count", strconv.Itoa(s.spent))
		w.Header().Set("Inin-Ratelimit-Allowed", strconv.Itoa(s.o.PerMinute))
		w.Header().Set("Inin-Ratelimit-Reset", strconv.Itoa(int(s.from.Add(time.Minute).Sub(now)/time.Second)))
		s.mu.Unlock()
	}
	s.Server.ServeHTTP(w, r)
}

func (s *Server) routes() {
	s.Free("POST /oauth/token", s.token)
	s.Free("GET /signed/{token}", s.signed)
	for pattern, handle := range map[string]func(*http.Request) (int, any){
		"GET /gdpr/subjects":                  s.search,
		"GET /gdpr/requests":                  s.list,
		"POST /gdpr/requests":                 s.create,
		"GET /gdpr/requests/{id}":             s.get,
		"GET /downloads/{id}":                 s.download,
		"POST /users/search":                  s.searchUsers,
		"GET /users/{id}":                     s.user,
		"DELETE /users/{id}":                  s.removeUser,
		"GET /externalcontacts/contacts/{id}": s.contact, "DELETE /externalcontacts/contacts/{id}": s.removeContact,
		"GET /chats/settings": func(*http.Request) (int, any) {
			return 200, map[string]int{"messageRetentionPeriodDays": s.data.Retention}
		},
	} {
		method, path, _ := strings.Cut(pattern, " ")
		s.API(method+" /api/v2"+path, handle)
	}
	s.Free("/", func(*http.Request) (int, any) { return problem(404, "not.found") })
}

// token is the login: Basic and a form, nothing else.
func (s *Server) token(r *http.Request) (int, any) {
	id, secret, ok := r.BasicAuth()
	switch {
	case !ok || id != ID || secret != s.secret:
		return 401, map[string]string{"error": "invalid_client", "error_description": "authentication failed"}
	case r.ParseForm() != nil || r.PostForm.Get("grant_type") != "client_credentials":
		return 400, map[string]string{"error": "unsupported_grant_type"}
	}
	return 200, map[string]any{"access_token": s.Grant(Token), "token_type": "bearer", "expires_in": int(Token / time.Second)}
}

// problem is an ErrorBody. Its message quotes nobody, but a client must not count
// on that.
func problem(status int, code string) (int, any) {
	return status, map[string]any{"message": "Invalid data", "code": or(code, "internal.server.error"), "status": status, "contextId": "c-1", "details": []any{}, "errors": []any{}}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// SetSecret replaces the client's secret and ends all sessions.
func (s *Server) SetSecret(secret string) {
	s.Settled(func() { s.secret = secret })
	s.Revoke()
}

// Change lets a test alter what the vendor holds.
func (s *Server) Change(f func(d *Data)) { s.Settled(func() { f(&s.data) }) }

// State is what the vendor holds of people, as JSON: without requests and links.
func (s *Server) State() (state string) {
	s.Settled(func() {
		text, err := json.Marshal([]any{s.data.Subjects, s.data.Users, s.data.Messages})
		if err != nil {
			panic(err) // plain data
		}
		state = string(text)
	})
	return state
}

// searchUsers is the directory's search, of active users only.
func (s *Server) searchUsers(r *http.Request) (int, any) {
	var body struct {
		Query []struct {
			Type   string
			Fields []string
			Value  string
		}
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Query) != 1 || body.Query[0].Type != "EXACT" || !slices.Equal(body.Query[0].Fields, []string{"email"}) {
		return problem(400, "bad.request")
	}
	found := []any{}
	for _, u := range s.data.Users {
		if u.State == "active" && strings.EqualFold(u.Email, body.Query[0].Value) {
			found = append(found, u.show())
		}
	}
	return 200, map[string]any{"results": found, "total": len(found), "pageCount": 1, "pageSize": 25, "pageNumber": 1, "types": []string{"users"}}
}

func (u *User) show() map[string]any {
	return map[string]any{"id": u.ID, "name": u.Name, "email": u.Email, "state": u.State, "version": 1, "chat": map[string]string{"jabberId": u.Jabber}}
}

// user is found while it is active, or by asking for those that are deleted.
func (s *Server) user(r *http.Request) (int, any) {
	u := s.data.Users[r.PathValue("id")]
	if u == nil || u.State != or(r.URL.Query().Get("state"), "active") {
		return problem(404, "not.found")
	}
	return 200, u.show()
}

// removeUser is the directory's deletion: the user stays readable as deleted.
func (s *Server) removeUser(r *http.Request) (int, any) {
	u := s.data.Users[r.PathValue("id")]
	if u == nil || u.State != "active" {
		return problem(404, "not.found")
	}
	u.State = "deleted"
	return 200, map[string]any{}
}

func (s *Server) contact(r *http.Request) (int, any) {
	for _, one := range s.data.Subjects {
		if one.ExternalContactID == r.PathValue("id") {
			return 200, map[string]any{"id": one.ExternalContactID, "lastName": one.Name}
		}
	}
	return problem(404, "not.found")
}

func (s *Server) removeContact(r *http.Request) (int, any) {
	for key, one := range s.data.Subjects {
		if one.ExternalContactID == r.PathValue("id") {
			delete(s.data.Subjects, key)
			return 200, map[string]any{}
		}
	}
	return problem(404, "not.found")
}

// download names the signed address, or leads there: issueRedirect says which.
func (s *Server) download(r *http.Request) (int, any) {
	text, _ := base64.RawURLEncoding.DecodeString(r.PathValue("id"))
	id, part, _ := strings.Cut(string(text), ".")
	n, err := strconv.Atoi(part)
	made := s.data.Requests[id]
	if err != nil || made == nil || n >= len(made.Archives) {
		return problem(404, "not.found")
	}
	token := "s" + s.Number()
	s.data.Links[token] = Link{Request: id, Part: n, Until: s.Time().Add(s.Lasts(Signed))}
	url := fakekit.OtherHost(r, "https://results.example.test") + "/signed/" + token
	if r.URL.Query().Get("issueRedirect") != "false" {
		return 302, fakekit.Raw{Header: http.Header{"Location": {url}}}
	}
	return 200, map[string]string{"url": url}
}
