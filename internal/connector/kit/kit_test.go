package kit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// planted must never be seen in an error.
const planted = "ines.martin@example.test"

// reply is what the vendor does with one request.
type reply struct {
	status int
	header map[string]string
	body   string
	err    error
	stream io.Reader
}

// vendor answers with one reply after the other, the last one for ever.
type vendor struct {
	replies []reply

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	slept    []time.Duration
}

func (v *vendor) RoundTrip(r *http.Request) (*http.Response, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	body := ""
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		body = string(text)
	}
	one := reply{status: 200, body: `{}`}
	if n := len(v.requests); n < len(v.replies) {
		one = v.replies[n]
	} else if len(v.replies) > 0 {
		one = v.replies[len(v.replies)-1]
	}
	v.requests, v.bodies = append(v.requests, r), append(v.bodies, body)
	if one.err != nil {
		return nil, one.err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	for name, value := range one.header {
		header.Set(name, value)
	}
	stream := one.stream
	if stream == nil {
		stream = strings.NewReader(one.body)
	}
	return &http.Response{StatusCode: one.status, Header: header, Body: io.NopCloser(stream), ContentLength: -1, Request: r}, nil
}

func (v *vendor) options() kit.Options {
	return kit.Options{
		System: "desk", Base: "https://desk.test/api", Transport: v, Now: func() time.Time { return noon },
		Codes:  map[string]errs.Kind{"RecordInvalid": "", "Locked": errs.Conflict, "Spent": errs.Unavailable},
		Pauses: map[string]time.Duration{"Spent": time.Hour},
		Random: func() float64 { return 0.5 },
		Sleep: func(ctx context.Context, d time.Duration) error {
			v.slept = append(v.slept, d)
			return ctx.Err()
		},
	}
}

func (v *vendor) client(t testing.TB) *kit.Client {
	t.Helper()
	c, err := kit.New(v.options())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var (
	lost    = reply{err: &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}}
	late    = reply{err: &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}}
	down    = reply{err: &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}}
	fine    = reply{status: 200, body: `{"id":"1"}`}
	broken  = reply{status: 500, body: "<html>" + planted, header: map[string]string{"Content-Type": "text/html"}}
	limited = reply{status: 429, body: "<h1>" + planted, header: map[string]string{"Content-Type": "text/html", "Retry-After": "2"}}
)

// What is tried again, and what is not: a call that may have been applied is
// repeated only if that does no harm.
func TestClient_attempts(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method   string
		replies  []reply
		requests int
		kind     errs.Kind // "" is success
		after    time.Duration
	}{
		"fine":                          {"GET", []reply{fine}, 1, "", 0},
		"GET, lost":                     {"GET", []reply{lost, fine}, 2, "", 0},
		"PUT, 500":                      {"PUT", []reply{broken, broken, fine}, 3, "", 0},
		"DELETE, late":                  {"DELETE", []reply{late, fine}, 2, "", 0},
		"POST, lost":                    {"POST", []reply{lost, fine}, 1, errs.Unavailable, 150 * time.Millisecond},
		"POST, 500":                     {"POST", []reply{broken, fine}, 1, errs.Unavailable, 150 * time.Millisecond},
		"PATCH, late":                   {"PATCH", []reply{late, fine}, 1, errs.Unavailable, 150 * time.Millisecond},
		"POST, never sent":              {"POST", []reply{down, fine}, 2, "", 0},
		"POST, limited":                 {"POST", []reply{limited, fine}, 2, "", 0},
		"down for good":                 {"GET", []reply{down}, 4, errs.Unavailable, 1200 * time.Millisecond},
		"limited for good":              {"GET", []reply{limited}, 4, errs.Unavailable, 2 * time.Second},
		"limited for long":              {"GET", []reply{{status: 429, header: map[string]string{"Retry-After": "600"}}}, 1, errs.Unavailable, 10 * time.Minute},
		"limited until (HTTP date)":     {"GET", []reply{{status: 503, header: map[string]string{"Retry-After": noon.Add(time.Hour).Format(http.TimeFormat)}}}, 1, errs.Unavailable, time.Hour},
		"limited until (ISO 8601)":      {"DELETE", []reply{{status: 429, header: map[string]string{"Retry-After": noon.Add(time.Hour).Format(time.RFC3339)}}}, 1, errs.Unavailable, time.Hour},
		"limited, the vendor's clock":   {"GET", []reply{{status: 429, header: map[string]string{"Date": noon.Add(-time.Hour).Format(http.TimeFormat), "Retry-After": noon.Format(http.TimeFormat)}}}, 1, errs.Unavailable, time.Hour},
		"400":                           {"GET", []reply{{status: 400, body: planted}}, 1, errs.Invalid, 0},
		"401 without a login":           {"GET", []reply{{status: 401}}, 1, errs.Forbidden, 0},
		"403":                           {"DELETE", []reply{{status: 403}}, 1, errs.Forbidden, 0},
		"404":                           {"DELETE", []reply{{status: 404}}, 1, errs.NotFound, 0},
		"409":                           {"PUT", []reply{{status: 409}}, 1, errs.Conflict, 0},
		"418":                           {"GET", []reply{{status: 418}}, 1, errs.Internal, 0},
		"501":                           {"GET", []reply{{status: 501}}, 1, errs.Internal, 0},
		"a code that has a kind":        {"GET", []reply{{status: 422, body: `{"error":"Locked"}`}}, 1, errs.Conflict, 0},
		"a code that passes, and when":  {"PATCH", []reply{{status: 403, body: `{"error":"Spent"}`}}, 1, errs.Unavailable, time.Hour},
		"a code, and the vendor's word": {"GET", []reply{{status: 403, body: `{"error":"Spent"}`, header: map[string]string{"Retry-After": "60"}}}, 1, errs.Unavailable, time.Minute},
		"redirected DELETE":             {"DELETE", []reply{{status: 307, header: map[string]string{"Location": "/api/x"}}}, 1, errs.Internal, 0},
		"redirected to another host":    {"GET", []reply{{status: 302, header: map[string]string{"Location": "https://evil.test/api/x"}}}, 1, errs.Internal, 0},
		"redirected to plain http":      {"GET", []reply{{status: 302, header: map[string]string{"Location": "http://desk.test/api/x"}}}, 1, errs.Internal, 0},
		"redirected nowhere":            {"GET", []reply{{status: 302}}, 1, errs.Internal, 0},
		"redirected on the same host":   {"GET", []reply{{status: 302, header: map[string]string{"Location": "/api/v3/x"}}, fine}, 2, "", 0},
		"redirected in a circle":        {"GET", []reply{{status: 302, header: map[string]string{"Location": "/api/x"}}}, 6, errs.Internal, 0},
		"longer than anything sensible": {"GET", []reply{{status: 200, stream: io.LimitReader(endless{}, kit.MaxAnswer+1)}}, 1, errs.TooLarge, 0},
		"the answer breaks off":         {"GET", []reply{{status: 200, stream: io.MultiReader(strings.NewReader(`{"a`), failing{})}, fine}, 2, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &vendor{replies: tt.replies}
			a, err := v.client(t).Do(t.Context(), kit.Call{Method: tt.method, Route: kit.To("/users/{id}", planted), Body: map[string]string{"a": planted}})
			if len(v.requests) != tt.requests {
				t.Errorf("%d requests, want %d", len(v.requests), tt.requests)
			}
			if (err == nil) != (tt.kind == "") || err != nil && !errs.Is(err, tt.kind) || (a == nil) != (err != nil) {
				t.Errorf("%v, want %s", err, tt.kind)
			}
			if after, ok := connector.RetryAfter(err); ok != (tt.kind == errs.Unavailable) || after != tt.after {
				t.Errorf("after %v, %v, want %v", after, ok, tt.after)
			}
			quiet(t, err)
		})
	}
}

// quiet fails if an error, or anything it wraps, quotes a person.
func quiet(t *testing.T, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "ines") || strings.Contains(text, "<") {
			t.Errorf("the error quotes: %s", text)
		}
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestClient_codes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"error":"RecordInvalid"}`:                  "invalid: desk GET /users/{id}: status 422 RecordInvalid",
		`{"code":"RecordInvalid"}`:                   "invalid: desk GET /users/{id}: status 422 RecordInvalid",
		`{"error":"` + planted + `"}`:                "invalid: desk GET /users/{id}: status 422",
		`{"error":{"code":"RecordInvalid"}}`:         "invalid: desk GET /users/{id}: status 422",
		`{"error":"Locked","description":"of ines"}`: "conflict: desk GET /users/{id}: status 422 Locked",
	} {
		v := &vendor{replies: []reply{{status: 422, body: body}}}
		if err := v.client(t).Get(t.Context(), kit.To("/users/{id}", planted), nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestClient_expect(t *testing.T) {
	t.Parallel()
	v := &vendor{replies: []reply{{status: 404, body: `{"error":"RecordNotFound"}`}}}
	a, err := v.client(t).Do(t.Context(), kit.Call{Method: "DELETE", Route: kit.To("/users/{id}", "1"), Expect: []int{404}})
	if err != nil || a.Status != 404 {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestClient_expectCodes(t *testing.T) {
	t.Parallel()
	v := &vendor{replies: []reply{{status: 400, body: `{"error":"Locked"}`}, {status: 400, body: `{"error":"RecordInvalid"}`}}}
	call := kit.Call{Method: "PUT", Route: kit.To("/rows"), CSV: "Id\n1\n", ExpectCodes: []string{"Locked"}}
	if a, err := v.client(t).Do(t.Context(), call); err != nil || a.Status != 400 {
		t.Errorf("%v, %v", a, err)
	}
	if v.bodies[0] != "Id\n1\n" || v.requests[0].Header.Get("Content-Type") != "text/csv" {
		t.Errorf("%q as %s", v.bodies[0], v.requests[0].Header.Get("Content-Type"))
	}
	if _, err := v.client(t).Do(t.Context(), call); !errs.Is(err, errs.Invalid) {
		t.Errorf("another code: %v", err)
	}
}

func TestAnswer_JSON(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		mediaType, body string
		ok              bool
	}{
		"JSON":          {"application/json; charset=utf-8", `{"id":"1"}`, true},
		"problem":       {"application/problem+json", `{"id":"1"}`, true},
		"HTML":          {"text/html", `{"id":"1"}`, false},
		"no type":       {"", `{"id":"1"}`, false},
		"broken":        {"application/json", `{"id":"` + planted, false},
		"another shape": {"application/json", `{"id":33612345678}`, false},
	} {
		v := &vendor{replies: []reply{{status: 200, body: tt.body, header: map[string]string{"Content-Type": tt.mediaType}}}}
		var into struct{ ID string }
		err := v.client(t).Get(t.Context(), kit.To("/users/{id}", "1"), &into)
		if (err == nil) != tt.ok || tt.ok && into.ID != "1" || err != nil && !errs.Is(err, errs.Unavailable) {
			t.Errorf("%s: %v, %+v", name, err, into)
		}
		quiet(t, err)
		if err != nil && strings.Contains(err.Error(), "33612345678") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The deadline of the invocation is never slept past.
func TestClient_deadline(t *testing.T) {
	t.Parallel()
	v := &vendor{replies: []reply{limited}}
	o := v.options()
	o.Sleep = nil
	c, err := kit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	_, err = c.Do(ctx, kit.Call{Method: "GET", Route: kit.To("/x")})
	if after, ok := connector.RetryAfter(err); !ok || after != 2*time.Second || time.Since(begun) > 900*time.Millisecond {
		t.Errorf("%v, after %v, took %v", err, after, time.Since(begun))
	}
}

func TestClient_backoff(t *testing.T) {
	t.Parallel()
	v := &vendor{replies: []reply{down}}
	_, _ = v.client(t).Do(t.Context(), kit.Call{Method: "GET", Route: kit.To("/x")})
	if diff := cmp.Diff([]time.Duration{150 * time.Millisecond, 300 * time.Millisecond, 600 * time.Millisecond}, v.slept); diff != "" {
		t.Error(diff)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for base, tt := range map[string]struct{ local, ok bool }{
		"https://desk.test":           {false, true},
		"https://desk.test/api/v2/":   {false, true},
		"http://desk.test":            {true, false},
		"http://127.0.0.1:8080":       {true, true},
		"http://localhost:8080/x":     {true, true},
		"http://localhost:8080":       {false, false},
		"https://user:pass@desk.test": {false, false},
		"https://desk.test?x=1":       {false, false},
		"desk.test":                   {false, false},
		"ftp://desk.test":             {false, false},
		"":                            {false, false},
	} {
		if _, err := kit.New(kit.Options{System: "desk", Base: base, AllowLocal: tt.local}); (err == nil) != tt.ok || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	now := noon
	v := &vendor{}
	logins := 0
	tokens := kit.NewTokens(func() time.Time { return now }, func(context.Context) (string, time.Duration, error) {
		logins++
		return fmt.Sprintf("Bearer t%d", logins), 5 * time.Minute, nil
	})
	o := v.options()
	o.Login = tokens
	c, err := kit.New(o)
	if err != nil {
		t.Fatal(err)
	}
	call := func(replies ...reply) (string, error) {
		t.Helper()
		v.requests, v.replies = nil, replies
		_, err := c.Do(t.Context(), kit.Call{Method: "POST", Route: kit.To("/x")})
		return v.requests[len(v.requests)-1].Header.Get("Authorization"), err
	}
	for _, step := range []struct {
		name    string
		passes  time.Duration
		replies []reply
		token   string
		kind    errs.Kind
	}{
		{"the first call logs in", 0, []reply{fine}, "Bearer t1", ""},
		{"the token is kept", 4 * time.Minute, []reply{fine}, "Bearer t1", ""},
		{"and replaced before it ends", 40 * time.Second, []reply{fine}, "Bearer t2", ""},
		{"a refused token is replaced once", 0, []reply{{status: 401}, fine}, "Bearer t3", ""},
		{"and only once", 0, []reply{{status: 401}}, "Bearer t4", errs.Forbidden},
	} {
		now = now.Add(step.passes)
		token, err := call(step.replies...)
		if token != step.token || (err == nil) != (step.kind == "") || err != nil && !errs.Is(err, step.kind) {
			t.Errorf("%s: %s, %v", step.name, token, err)
		}
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	v := &vendor{replies: []reply{{status: 200, body: `{"access_token":"abc","token_type":"bearer","expires_in":300}`}}}
	secret := kit.Credentials{ID: "id", Secret: "s3cret&="}
	login := kit.ClientCredentials(v.client(t), kit.To("/oauth/token"), "read", func(context.Context) (kit.Credentials, error) { return secret, nil })
	token, err := login.Token(t.Context())
	if err != nil || token != "Bearer abc" || v.bodies[0] != "client_id=id&client_secret=s3cret%26%3D&grant_type=client_credentials&scope=read" {
		t.Errorf("%s, %v, %q", token, err, v.bodies)
	}
	v.replies = []reply{{status: 401, body: `{"error":"invalid_client","s":"s3cret"}`}}
	login.Renew(token)
	if _, err := login.Token(t.Context()); !errs.Is(err, errs.Forbidden) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
	v.replies = []reply{{status: 200, body: `{}`}}
	if _, err := login.Token(t.Context()); !errs.Is(err, errs.Internal) {
		t.Errorf("no token: %v", err)
	}
	v.replies, v.requests, v.bodies = []reply{{status: 200, body: `{"access_token":"abc","expires_in":300}`}}, nil, nil
	login = kit.JSONCredentials(v.client(t), kit.To("/oauth/tokens"), map[string]any{"scope": "read", "expires_in": 301}, func(context.Context) (kit.Credentials, error) { return secret, nil })
	token, err = login.Token(t.Context())
	if err != nil || token != "Bearer abc" || v.requests[0].Header.Get("Content-Type") != "application/json" ||
		v.bodies[0] != `{"client_id":"id","client_secret":"s3cret\u0026=","expires_in":301,"grant_type":"client_credentials","scope":"read"}` {
		t.Errorf("%s, %v, %q", token, err, v.bodies)
	}
	v.replies, v.requests, v.bodies = []reply{{status: 200, body: `{"access_token":"abc","expires_in":300}`}}, nil, nil
	login = kit.BasicCredentials(v.client(t), kit.To("/oauth/token"), url.Values{"grant_type": {"client_credentials"}}, func(context.Context) (kit.Credentials, error) { return secret, nil })
	token, err = login.Token(t.Context())
	if err != nil || token != "Bearer abc" || v.requests[0].Header.Get("Authorization") != "Basic aWQ6czNjcmV0Jj0=" || v.bodies[0] != "grant_type=client_credentials" {
		t.Errorf("%s, %v, %q", token, err, v.bodies)
	}
	basic := kit.Basic{Read: func(context.Context) (kit.Credentials, error) { return kit.Credentials{ID: "a", Secret: "b"}, nil }}
	if got, err := basic.Token(t.Context()); got != "Basic YTpi" || err != nil || basic.Renew(got) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestClient_Open(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		link       string
		replies    []reply
		body       string // "" is refused
		authorised []bool // per request
	}{
		"own host":                {"/api/files/1", []reply{{status: 200, body: "abc"}}, "abc", []bool{true}},
		"another host":            {"https://cdn.test/1?sig=x", []reply{{status: 200, body: "abc"}}, "abc", []bool{false}},
		"redirect to a host":      {"https://desk.test/api/files/1", []reply{{status: 302, header: map[string]string{"Location": "https://cdn.test/1"}}, {status: 200, body: "abc"}}, "abc", []bool{true, false}},
		"and back":                {"https://desk.test/a", []reply{{status: 302, header: map[string]string{"Location": "https://cdn.test/1"}}, {status: 302, header: map[string]string{"Location": "https://desk.test/b"}}, {status: 200, body: "abc"}}, "abc", []bool{true, false, false}},
		"metadata service":        {"/f", []reply{{status: 302, header: map[string]string{"Location": "https://169.254.169.254/latest/meta-data"}}}, "", []bool{true}},
		"private":                 {"https://10.1.2.3/x", nil, "", nil},
		"private, IPv6":           {"https://[fd00::1]/x", nil, "", nil},
		"mapped":                  {"https://[::ffff:10.0.0.1]/x", nil, "", nil},
		"this machine":            {"https://127.0.0.1/x", nil, "", nil},
		"this machine by name":    {"https://LOCALHOST./x", nil, "", nil},
		"without TLS":             {"http://cdn.test/x", nil, "", nil},
		"a file":                  {"file:///etc/passwd", nil, "", nil},
		"credentials in the link": {"https://a:b@cdn.test/x", nil, "", nil},
		"nothing":                 {"", nil, "", nil},
		"gone":                    {"/f", []reply{{status: 404, body: planted}}, "", []bool{true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := &vendor{replies: tt.replies}
			o := v.options()
			o.Login = kit.NewTokens(o.Now, func(context.Context) (string, time.Duration, error) { return "Bearer t", 0, nil })
			c, err := kit.New(o)
			if err != nil {
				t.Fatal(err)
			}
			f, err := c.Open(t.Context(), "/files/{id}", tt.link)
			if (err == nil) != (tt.body != "") {
				t.Fatalf("%v", err)
			}
			quiet(t, err)
			var authorised []bool
			for _, r := range v.requests {
				authorised = append(authorised, r.Header.Get("Authorization") != "")
			}
			if diff := cmp.Diff(tt.authorised, authorised); diff != "" {
				t.Error(diff)
			}
			if err != nil {
				return
			}
			text, err := io.ReadAll(f)
			if string(text) != tt.body || err != nil || f.Close() != nil {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
}

// A file that breaks off is no shorter file.
func TestFile_breaksOff(t *testing.T) {
	t.Parallel()
	v := &vendor{replies: []reply{{status: 200, stream: io.MultiReader(strings.NewReader("abc"), failing{})}}}
	f, err := v.client(t).Open(t.Context(), "/files/{id}", "/api/f")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if text, err := io.ReadAll(f); string(text) != "abc" || !errs.Is(err, errs.Unavailable) {
		t.Errorf("%q, %v", text, err)
	}
}

func TestWalk(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		next  map[string]string
		pages int
		kind  errs.Kind
	}{
		"one":          {nil, 1, ""},
		"three":        {map[string]string{"": "a", "a": "b"}, 3, ""},
		"stands":       {map[string]string{"": "a", "a": "a"}, 2, errs.Internal},
		"circle":       {map[string]string{"": "a", "a": "b", "b": "a"}, 3, errs.Internal},
		"far too many": {map[string]string{"": "a", "a": "b", "b": "c", "c": "d", "d": "e"}, 5, errs.TooLarge},
	} {
		pages := 0
		err := kit.Walk(5, func(cursor string) (string, error) {
			pages++
			return tt.next[cursor], nil
		})
		if pages != tt.pages || (err == nil) != (tt.kind == "") || err != nil && !errs.Is(err, tt.kind) {
			t.Errorf("%s: %d pages, %v", name, pages, err)
		}
	}
}

func TestClient_Link(t *testing.T) {
	t.Parallel()
	v := &vendor{}
	c := v.client(t)
	for link, want := range map[string]string{
		"https://desk.test/api/users?page=2":     "https://desk.test/api/users?page=2",
		"https://desk.test:443/api/users?page=2": "https://desk.test:443/api/users?page=2",
		"/api/users?cursor=a%2Fb":                "https://desk.test/api/users?cursor=a%2Fb",
		"?page=3":                                "https://desk.test/api/users?page=3",
		"https://evil.test/api/users":            "",
		"http://desk.test/api/users":             "",
		"https://desk.test/admin":                "",
		"/api/../admin":                          "",
		"/api/%2e%2e/admin":                      "",
		"//evil.test/api/":                       "",
		"https://u:p@desk.test/api/x":            "",
		"":                                       "",
		"\x7f":                                   "",
	} {
		route, err := c.Link(kit.To("/users"), link)
		if (err == nil) != (want != "") {
			t.Errorf("%q: %v", link, err)
			continue
		}
		if err != nil {
			continue
		}
		v.requests = nil
		if err := c.Get(t.Context(), route, &struct{}{}); err != nil || v.requests[0].URL.String() != want || route.String() != "/users" {
			t.Errorf("%q: %v, %v", link, err, v.requests[0].URL)
		}
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"93.184.215.14": true, "2606:4700::1111": true, "8.8.8.8": true,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false, "127.0.0.1": false, "169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false,
		"224.0.0.1": false, "255.255.255.255": false, "::1": false, "::": false, "fe80::1": false, "fd00:ec2::254": false, "::ffff:169.254.169.254": false,
		"64:ff9b::a9fe:a9fe": false, "2002:a9fe:a9fe::": false, "ff02::1": false,
	} {
		if got := kit.Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// A public name that resolves to the inside of a network is refused when the
// connection is made, except for the host that the company has configured.
func TestTransport_rebinding(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	lookup := func(_ context.Context, _, host string) ([]netip.Addr, error) {
		inside := map[string]string{"evil.test": "169.254.169.254", "loop.test": "127.0.0.1"}[host]
		return []netip.Addr{netip.MustParseAddr(inside)}, nil
	}
	for name, tt := range map[string]struct {
		address string
		local   bool
		ok      bool
	}{
		"configured":         {"127.0.0.1:" + port, false, true},
		"inside":             {"evil.test:80", false, false},
		"inside, local":      {"evil.test:80", true, false},
		"loopback":           {"loop.test:" + port, false, false},
		"loopback of a fake": {"loop.test:" + port, true, true},
	} {
		conn, err := kit.Dial(t.Context(), "127.0.0.1", tt.local, lookup, tt.address)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if conn != nil {
			conn.Close()
		}
	}
}

// A file whose host is away for good is given up, others are waited for.
func TestMissing(t *testing.T) {
	t.Parallel()
	gone, away := errs.New(errs.NotFound, "gone"), errs.New(errs.Unavailable, "away")
	if !kit.Missing(gone, 0) || kit.Missing(away, kit.Patience-1) || !kit.Missing(away, kit.Patience) || kit.Missing(nil, kit.Patience) ||
		kit.Missing(errs.New(errs.Forbidden, "no"), kit.Patience) {
		t.Error("the wrong files are given up")
	}
}

// What was surely not carried out can be told from what may have been.
func TestUnapplied(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reply reply
		want  bool
	}{
		"limited":             {reply{status: 429}, true},
		"no connection":       {reply{err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}, true},
		"refused":             {reply{status: 400}, true},
		"not allowed":         {reply{status: 403}, true},
		"fails":               {reply{status: 500}, false},
		"breaks off":          {reply{err: io.ErrUnexpectedEOF}, false},
		"answers without end": {reply{status: 200, body: strings.Repeat(" ", kit.MaxAnswer+1)}, false},
	} {
		v := &vendor{replies: []reply{tt.reply}}
		c, err := kit.New(kit.Options{
			System: "x", Base: "https://x.test", Transport: v, Now: time.Now, Sleep: func(context.Context, time.Duration) error { return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Do(t.Context(), kit.Call{Method: http.MethodPost, Route: kit.To("/messages"), Body: 1})
		if err == nil || kit.Unapplied(err) != tt.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if kit.Unapplied(nil) {
		t.Error("nothing has failed")
	}
}
