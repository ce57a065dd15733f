// Package fakekit is what the fakes of vendors have in common: a clock that can
// be moved, limits, failures on demand, a log of calls, and a state that can be
// shown and kept. A fake is a program with the rules of its vendor; it is never
// linked into a function.
//
// Paths below /_fake show and change what no client may: calls, state, failures
// and the clock.
package fakekit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options of a Server. The zero value is the real clock and days of 24 hours.
type Options struct {
	Now func() time.Time
	Day time.Duration // how long a day of the vendor's jobs lasts; 24 h
}

// Rules are what one vendor does differently from another. Its functions are
// called while the Server is locked.
type Rules struct {
	// Prefix of the API's paths, without which routes stand in Calls and Failures.
	Prefix string
	// Data points to a struct with everything that the vendor holds, as plain
	// JSON: Save and Restore keep it.
	Data any
	// Settle does what time has done since the last call; may be nil.
	Settle func()
	// State is what /_fake/state shows; nil: Data.
	State func() any
	// Open reports whether the credentials of a call hold; nil: they are not asked.
	Open func(*http.Request) bool
	// Denied is the answer to a call whose credentials do not hold.
	Denied func() (status int, body any)
	// Busy is the body of a failure or of a call beyond a limit.
	Busy func(status int) any
	// Limits are those of the vendor. A call must stay within each that it matches.
	Limits []Limit
	// Forms of Retry-After that the vendor uses, one after the other: "seconds",
	// "http", "iso", or "" for none.
	Forms []string
	// Pages: every second answer beyond a limit is a page of HTML.
	Pages bool
}

// Limit is so many calls in a time.
type Limit struct {
	Name   string
	Method string // "": any
	Route  string // "": any, all together
	Each   bool   // with an empty Route: every route has the limit for itself
	Calls  int
	Per    time.Duration
}

// Call is one call that reached the vendor.
type Call struct {
	Method string `json:"method"`
	Route  string `json:"route"`
	Path   string `json:"path"`
	Query  string `json:"query,omitempty"`
	Status int    `json:"status"`
	// Applied: the vendor did what was asked, whatever the client heard.
	Applied bool `json:"applied"`
}

// Raw is a body that is not JSON, or an answer with headers of its own.
type Raw struct {
	Header http.Header
	Text   string
}

// Server runs the calls of a vendor one after the other. Lock it to read or
// change Data from outside a call.
type Server struct {
	sync.Mutex
	o   Options
	r   Rules
	mux *http.ServeMux

	offset   time.Duration
	last     int // number given last
	logins   int
	served   int
	tokens   map[string]time.Time // until
	calls    []Call
	failures []Failure
	windows  map[string]*window
}

// window is how much of a limit is used up.
type window struct {
	from  time.Time
	calls int
}

// New returns a Server without routes.
func New(o Options, r Rules) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Day == 0 {
		o.Day = 24 * time.Hour
	}
	s := &Server{o: o, r: r, mux: http.NewServeMux(), last: 1000, tokens: map[string]time.Time{}, windows: map[string]*window{}}
	s.mux.HandleFunc("GET /_fake/calls", func(w http.ResponseWriter, _ *http.Request) { write(w, 200, s.Calls()) })
	s.mux.HandleFunc("GET /_fake/state", s.showState)
	s.mux.HandleFunc("POST /_fake/fail", s.fail)
	s.mux.HandleFunc("POST /_fake/mend", func(w http.ResponseWriter, _ *http.Request) { s.Mend(); write(w, 204, nil) })
	s.mux.HandleFunc("POST /_fake/advance", s.advance)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mux.ServeHTTP(w, r)
	s.Lock()
	defer s.Unlock()
	s.served++
}

// API adds a call of the API: credentials, limits and failures are judged first.
// handle runs while the Server is locked.
func (s *Server) API(pattern string, handle func(*http.Request) (status int, body any)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s.Lock()
		defer s.Unlock()
		s.serve(w, r, pattern, handle)
	})
}

// Free adds a call without credentials that is not logged: a login, a file host,
// what answers unknown paths ("/"). handle runs while the Server is locked.
func (s *Server) Free(pattern string, handle func(*http.Request) (status int, body any)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		s.Lock()
		defer s.Unlock()
		s.settle()
		status, body := handle(r)
		write(w, status, body)
	})
}

// Stream adds a call that writes its own answer, such as a large file. Nothing
// is locked.
func (s *Server) Stream(pattern string, handle http.HandlerFunc) { s.mux.HandleFunc(pattern, handle) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request, pattern string, handle func(*http.Request) (int, any)) {
	s.settle()
	w.Header().Set("Date", s.Time().UTC().Format(http.TimeFormat))
	_, route, _ := strings.Cut(pattern, " ")
	call := Call{Method: r.Method, Route: strings.TrimPrefix(route, s.r.Prefix), Path: r.URL.Path, Query: r.URL.RawQuery}
	defer func() { s.calls = append(s.calls, call) }()
	if s.r.Open != nil && !s.r.Open(r) {
		var body any
		call.Status, body = s.r.Denied()
		write(w, call.Status, body)
		return
	}
	if wait, beyond := s.beyond(call); beyond {
		call.Status = http.StatusTooManyRequests
		s.slowDown(w, Failure{Status: call.Status, After: wait})
		return
	}
	failure := s.failing(call)
	if failure != nil && !failure.Applied {
		call.Status = failure.Status
		s.slowDown(w, *failure)
		return
	}
	status, body := handle(r)
	call.Status, call.Applied = status, status < 300
	if failure != nil {
		s.slowDown(w, *failure)
		return
	}
	write(w, status, body)
}

// beyond reports whether a call is one too many, and when it is worth another try.
func (s *Server) beyond(call Call) (wait time.Duration, yes bool) {
	for _, l := range s.r.Limits {
		if l.Method != "" && l.Method != call.Method || l.Route != "" && l.Route != call.Route {
			continue
		}
		name := l.Name
		if l.Each {
			name += " " + call.Method + " " + call.Route
		}
		w := s.windows[name]
		if w == nil || !s.Time().Before(w.from.Add(l.Per)) {
			w = &window{from: s.Time()}
			s.windows[name] = w
		}
		if w.calls++; w.calls > l.Calls {
			wait, yes = max(wait, w.from.Add(l.Per).Sub(s.Time())), true
		}
	}
	return wait, yes
}

// Note logs something that no client should have caused, such as a token sent to
// the wrong host. The Server is locked.
func (s *Server) Note(what string, r *http.Request) {
	s.calls = append(s.calls, Call{Method: r.Method, Route: what, Path: r.URL.Path, Status: http.StatusBadRequest})
}

// Grant makes a token that is good for a time; Valid checks a call's. The Server
// is locked.
func (s *Server) Grant(life time.Duration) string {
	s.logins++
	token := "token_" + strconv.Itoa(s.logins)
	s.tokens[token] = s.Time().Add(life)
	return token
}

// Valid reports whether a call carries a bearer token that is still good.
func (s *Server) Valid(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	until, known := s.tokens[token]
	return ok && known && s.Time().Before(until)
}

// Revoke ends all tokens.
func (s *Server) Revoke() {
	s.Lock()
	defer s.Unlock()
	clear(s.tokens)
}

// Advance lets time pass.
func (s *Server) Advance(d time.Duration) {
	s.Lock()
	defer s.Unlock()
	s.offset += d
}

// Now is the vendor's clock.
func (s *Server) Now() time.Time {
	s.Lock()
	defer s.Unlock()
	return s.Time()
}

// Time is the vendor's clock for who has locked the Server.
func (s *Server) Time() time.Time { return s.o.Now().Add(s.offset) }

// Ago runs f at an earlier time: for seeds. The Server is locked, or not used yet.
func (s *Server) Ago(d time.Duration, f func()) {
	s.offset -= d
	defer func() { s.offset += d }()
	f()
}

// Lasts is how long something of the vendor's days takes.
func (s *Server) Lasts(d time.Duration) time.Duration {
	return time.Duration(float64(d) * float64(s.o.Day) / float64(24*time.Hour))
}

// Number is the next id. The Server is locked, or not used yet.
func (s *Server) Number() string {
	s.last++
	return strconv.Itoa(s.last)
}

// Calls are all calls of the API so far, in order.
func (s *Server) Calls() []Call {
	s.Lock()
	defer s.Unlock()
	return slices.Clone(s.calls)
}

// Count is how many of the calls began with something: "DELETE /users/{id}?action=".
func Count(calls []Call, prefix string) (n int) {
	for _, c := range calls {
		if strings.HasPrefix(c.Method+" "+c.Route+"?"+c.Query, prefix) {
			n++
		}
	}
	return n
}

// Beyond are the calls that were answered with 429 by a limit or a failure.
func (s *Server) Beyond() int {
	n := 0
	for _, c := range s.Calls() {
		if c.Status == http.StatusTooManyRequests {
			n++
		}
	}
	return n
}

func (s *Server) settle() {
	if s.r.Settle != nil {
		s.r.Settle()
	}
}

func (s *Server) showState(w http.ResponseWriter, _ *http.Request) {
	s.Lock()
	defer s.Unlock()
	s.settle()
	if s.r.State == nil {
		write(w, 200, s.r.Data)
		return
	}
	write(w, 200, s.r.State())
}

// Settled locks the Server, lets time do its work, and runs f.
func (s *Server) Settled(f func()) {
	s.Lock()
	defer s.Unlock()
	s.settle()
	f()
}

// kept is what outlives a restart. Tokens do not.
type kept struct {
	Offset time.Duration   `json:"offset"`
	Last   int             `json:"last"`
	Data   json.RawMessage `json:"data"`
}

// Save returns everything that the vendor holds, for Restore.
func (s *Server) Save() ([]byte, error) {
	s.Lock()
	defer s.Unlock()
	data, err := json.Marshal(s.r.Data)
	if err != nil {
		return nil, fmt.Errorf("saving a fake: %w", err)
	}
	return json.Marshal(kept{Offset: s.offset, Last: s.last, Data: data})
}

// Restore puts back what Save has returned. What cannot be read, or was saved by
// another version of the fake, changes nothing.
func (s *Server) Restore(text []byte) error {
	s.Lock()
	defer s.Unlock()
	var k kept
	if err := json.Unmarshal(text, &k); err != nil {
		return fmt.Errorf("restoring a fake: %w", err)
	}
	held := reflect.ValueOf(s.r.Data).Elem()
	fresh := reflect.New(held.Type())
	d := json.NewDecoder(bytes.NewReader(k.Data))
	d.DisallowUnknownFields()
	if err := d.Decode(fresh.Interface()); err != nil {
		return fmt.Errorf("restoring a fake: %w", err)
	}
	for i := range fresh.Elem().NumField() {
		if f := fresh.Elem().Field(i); f.Kind() == reflect.Map && f.IsNil() {
			return fmt.Errorf("restoring a fake: there is no %s", fresh.Elem().Type().Field(i).Name)
		}
	}
	held.Set(fresh.Elem())
	s.offset, s.last = k.Offset, k.Last
	return nil
}

// Served is how many calls there were, of any kind: what was saved at the same
// number is up to date.
func (s *Server) Served() int {
	s.Lock()
	defer s.Unlock()
	return s.served
}

func write(w http.ResponseWriter, status int, body any) {
	if raw, ok := body.(Raw); ok {
		maps.Copy(w.Header(), raw.Header)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(raw.Text))
		return
	}
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(fmt.Sprintf("fakekit: %v", err))
	}
}
