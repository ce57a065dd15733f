// Package fake is a server that behaves like Zoom as far as the connector zoom
// uses it: users, meetings, webinars, registrants, panelists, what is left of
// past sessions, cloud recordings, and Zoom Phone. Its rules are those of the
// vendor that a careless client breaks: what is left out of a call has the
// vendor's own default, which is never the one that an erasure needs; page
// tokens die after a quarter of an hour; the e-mail of a guest is missing;
// UUIDs with slashes are found only when they are encoded twice. It is never
// linked into a function.
package fake

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// The account and its client, unless Options say otherwise.
const (
	Account = "acc-avow"
	ID      = "avow"
	Secret  = "zoom-secret"
)

// How long things are good for.
const (
	TokenLife = time.Hour        // an access token; there is no refresh token
	PageLife  = 15 * time.Minute // a next_page_token
	History   = 6                // months that reports and call history reach back
)

// Options of a Server. The zero value is a seeded company by the real clock.
type Options struct {
	fakekit.Options
	PerSecond int  // calls; 0: 10, the lowest of a Pro account
	Empty     bool // nobody is there yet
}

// Server is the vendor. It is safe for concurrent use.
type Server struct {
	*fakekit.Server
	secret string
	data   Data
}

// Data is everything that the vendor holds.
type Data struct {
	Users       map[string]*User
	Events      map[string]*Event
	Registrants map[string]*Registrant
	Panelists   map[string]*Panelist
	Sessions    map[string]*Session
	Recordings  map[string]*Recording
	Calls       map[string]*Call
	Audio       map[string]*Audio
	Texts       map[string]*Text
	Busy        map[string]time.Time // users with a DELETE under way, until when
}

// New returns a Server.
func New(o Options) *Server {
	s := &Server{secret: Secret, data: Data{
		Users: map[string]*User{}, Events: map[string]*Event{}, Registrants: map[string]*Registrant{}, Panelists: map[string]*Panelist{},
		Sessions: map[string]*Session{}, Recordings: map[string]*Recording{}, Calls: map[string]*Call{}, Audio: map[string]*Audio{},
		Texts: map[string]*Text{}, Busy: map[string]time.Time{},
	}}
	if o.PerSecond == 0 {
		o.PerSecond = 10
	}
	s.Server = fakekit.New(o.Options, fakekit.Rules{
		Prefix: "/v2", Data: &s.data,
		Open:   func(r *http.Request) bool { return s.Valid(r) },
		Denied: func() (int, any) { return 401, problem(124, "Invalid access token.") },
		Busy: func(status int) any {
			return problem(status, "You have reached the maximum per-second rate limit for this API.")
		},
		Forms:  []string{"iso", ""}, // and X-RateLimit-* may be missing altogether
		Limits: []fakekit.Limit{{Name: "second", Calls: o.PerSecond, Per: time.Second}},
	})
	s.routes()
	if !o.Empty {
		s.seed()
	}
	return s
}

func (s *Server) routes() {
	s.Free("POST /oauth/token", s.token)
	for pattern, handle := range map[string]func(*http.Request) (int, any){
		"GET /users":                                   s.listUsers,
		"GET /users/{id}":                              s.getUser,
		"PATCH /users/{id}":                            s.patchUser,
		"PUT /users/{id}/email":                        s.putEmail,
		"DELETE /users/{id}":                           s.deleteUser,
		"GET /users/{id}/meetings":                     s.listMeetings,
		"GET /users/{id}/webinars":                     s.listWebinars,
		"GET /users/{id}/recordings":                   s.listRecordings,
		"GET /meetings/{id}":                           s.getEvent,
		"GET /webinars/{id}":                           s.getEvent,
		"GET /meetings/{id}/registrants":               s.listRegistrants,
		"GET /webinars/{id}/registrants":               s.listRegistrants,
		"GET /meetings/{id}/registrants/{rid}":         s.getRegistrant,
		"GET /webinars/{id}/registrants/{rid}":         s.getRegistrant,
		"DELETE /meetings/{id}/registrants/{rid}":      s.deleteRegistrant,
		"DELETE /webinars/{id}/registrants/{rid}":      s.deleteRegistrant,
		"GET /webinars/{id}/panelists":                 s.listPanelists,
		"DELETE /webinars/{id}/panelists":              s.deletePanelists,
		"DELETE /webinars/{id}/panelists/{pid}":        s.deletePanelist,
		"GET /past_meetings/{id}":                      s.getSession,
		"GET /past_meetings/{id}/instances":            s.listInstances,
		"GET /past_webinars/{id}/instances":            s.listInstances,
		"GET /past_meetings/{id}/participants":         s.listParticipants,
		"GET /past_webinars/{id}/participants":         s.listParticipants,
		"GET /past_meetings/{id}/qa":                   s.getQuestions,
		"GET /past_webinars/{id}/qa":                   s.getQuestions,
		"GET /past_meetings/{id}/polls":                s.getPolls,
		"GET /past_webinars/{id}/polls":                s.getPolls,
		"GET /report/users/{id}/meetings":              s.reportSessions,
		"GET /report/meetings/{id}":                    s.getSession,
		"GET /report/webinars/{id}":                    s.getSession,
		"GET /report/meetings/{id}/participants":       s.listParticipants,
		"GET /report/webinars/{id}/participants":       s.listParticipants,
		"DELETE /meetings/{id}/recordings":             s.deleteRecordings,
		"GET /phone/users/{id}":                        s.getPhoneUser,
		"GET /phone/call_history":                      s.accountCalls,
		"GET /phone/users/{id}/call_history":           s.userCalls,
		"DELETE /phone/users/{id}/call_history/{call}": s.deleteCall,
		"GET /phone/users/{id}/recordings":             s.listAudio("recordings"),
		"GET /phone/users/{id}/voice_mails":            s.listAudio("voice_mails"),
		"GET /phone/recordings":                        s.listAudio("recordings"),
		"GET /phone/voice_mails":                       s.listAudio("voice_mails"),
		"DELETE /phone/recordings/{audio}":             s.deleteAudio("recordings"),
		"DELETE /phone/voice_mails/{audio}":            s.deleteAudio("voice_mails"),
		"GET /phone/users/{id}/sms/sessions":           s.listTexts,
		"GET /phone/sms/sessions":                      s.listTexts,
		"GET /phone/sms/sessions/{text}":               s.getText,
	} {
		method, path, _ := strings.Cut(pattern, " ")
		s.API(method+" /v2"+path, handle)
	}
	s.Free("/", func(*http.Request) (int, any) { return 404, problem(404, "No such API.") })
}

// token is the OAuth endpoint: account credentials only.
func (s *Server) token(r *http.Request) (int, any) {
	id, secret, ok := r.BasicAuth()
	switch {
	case r.FormValue("grant_type") != "account_credentials":
		return 400, map[string]string{"reason": "unsupported grant type (4,705)", "error": "unsupported_grant_type"}
	case !ok || id != ID || secret != s.secret:
		return 400, map[string]string{"reason": "Invalid client_id or client_secret (4,702)", "error": "invalid_client"}
	case r.FormValue("account_id") != Account:
		return 400, map[string]string{"reason": "Bad request", "error": "bad_request"}
	}
	return 200, map[string]any{
		"access_token": s.Grant(TokenLife), "token_type": "bearer", "expires_in": int(TokenLife.Seconds()),
		"scope": "user:read:user:admin", "api_url": "https://api-eu.zoom.us",
	}
}

// SetSecret replaces the client's secret and ends all tokens.
func (s *Server) SetSecret(secret string) {
	s.Settled(func() { s.secret = secret })
	s.Revoke()
}

// State is a copy of what the vendor holds, without what only time makes.
func (s *Server) State() (d Data) {
	text, err := s.Save()
	if err != nil {
		panic(err) // plain data
	}
	var kept struct{ Data Data }
	if err := json.Unmarshal(text, &kept); err != nil {
		panic(err)
	}
	return kept.Data
}

// Change lets a test alter what the vendor holds.
func (s *Server) Change(f func(d *Data)) { s.Settled(func() { f(&s.data) }) }

// problem is an error. Its code has nothing to do with the HTTP status, and
// means something else at each endpoint.
func problem(code int, message string) map[string]any {
	return map[string]any{"code": code, "message": message}
}

// page cuts a page out of a list and adds how the list goes on. The token of
// the next page is good for this list only, and not for long; a dead one is
// answered with the code that the endpoint has for it.
func (s *Server) page(r *http.Request, name string, list []map[string]any, most, dead int) (int, any) {
	q := r.URL.Query()
	size := 30
	if text := q.Get("page_size"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			return 400, problem(300, "Invalid page_size.")
		}
		size = n
	}
	q.Del("next_page_token")
	h := fnv.New32a()
	fmt.Fprint(h, r.URL.EscapedPath(), "?", q.Encode())
	mark := strconv.Itoa(int(h.Sum32()))
	from := 0
	if token := r.URL.Query().Get("next_page_token"); token != "" {
		text, _ := base64.RawURLEncoding.DecodeString(token)
		var until int64
		var of string
		if n, err := fmt.Sscanf(string(text), "%d %d %s", &from, &until, &of); n != 3 || err != nil || of != mark || s.Time().Unix() >= until || from > len(list) {
			return 400, problem(dead, "The next page token is invalid or expired.")
		}
	}
	to := min(from+size, len(list))
	next := ""
	if to < len(list) {
		next = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d %d %s", to, s.Time().Add(PageLife).Unix(), mark))
	}
	return 200, map[string]any{name: append([]map[string]any{}, list[from:to]...), "next_page_token": next, "page_size": size, "total_records": len(list)}
}

// span is the time that a list is asked for: at most a month of the last six,
// and only yesterday and today if the client does not say.
func (s *Server) span(r *http.Request) (from, to time.Time, ok bool) {
	now := s.Time()
	q := r.URL.Query()
	if q.Get("from") == "" {
		return now.Add(-24 * time.Hour), now, true
	}
	from, err := time.Parse(time.DateOnly, q.Get("from"))
	to, err2 := time.Parse(time.DateOnly, q.Get("to"))
	if err != nil || err2 != nil || to.Before(from) {
		return from, to, false
	}
	to = to.Add(24*time.Hour - time.Nanosecond)
	if begin := to.AddDate(0, -1, -1); from.Before(begin) { // the answer includes one month only
		from = begin
	}
	return from, to, true
}

// path is an id out of a path. One that begins with a slash, or has two in a
// row, is found only when it was encoded twice.
func path(r *http.Request, name string) string {
	value := r.PathValue(name)
	twice, err := url.PathUnescape(value)
	if err == nil && twice != value {
		return twice
	}
	if strings.HasPrefix(value, "/") || strings.Contains(value, "//") {
		return ""
	}
	return value
}

// pick are the records that keep takes, in order of their ids.
func pick[T any](m map[string]T, keep func(T) bool) (list []T) {
	var ids []string
	for id, v := range m {
		if keep(v) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		list = append(list, m[id])
	}
	return list
}

// instant is a time as Zoom writes it; "" for none.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func within(t, from, to time.Time) bool { return !t.Before(from) && !t.After(to) }
