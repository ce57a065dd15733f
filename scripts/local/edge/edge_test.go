package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/apigw"
)

type handlerFunc func(ctx context.Context, payload []byte) ([]byte, error)

func (f handlerFunc) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return f(ctx, payload)
}

// echo answers with the event it got.
var echo = handlerFunc(func(_ context.Context, payload []byte) ([]byte, error) {
	return json.Marshal(events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"Content-Type": "application/json"}, Body: string(payload)})
})

// answering gives the same result to every event.
func answering(result string) lambda.Handler {
	return handlerFunc(func(context.Context, []byte) ([]byte, error) { return []byte(result), nil })
}

// serve starts the API on a port.
func serve(t *testing.T, c Config) string {
	t.Helper()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

var avow = []Route{
	{"POST", "/public/{proxy+}", "collect"},
	{"POST", "/beta/public/{proxy+}", "collect"},
	{"GET", "/avow.js", "collect"},
	{"ANY", "$default", "api"},
}

func do(t *testing.T, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// received sends a request and reads the event that the function got, through the library's type.
func received(t *testing.T, method, url, body string, header ...string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	resp, b := do(t, method, url, body, header...)
	if resp.StatusCode != 200 {
		t.Fatalf("%s: %s", resp.Status, b)
	}
	var e events.APIGatewayV2HTTPRequest
	d := json.NewDecoder(strings.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestPaths: the first cases are captures of the real API Gateway.
func TestPaths(t *testing.T) {
	base := serve(t, Config{Routes: avow, Functions: map[string]lambda.Handler{"api": echo, "collect": echo}})
	for sent, want := range map[string]string{
		"/capture/plain":                             "/capture/plain",
		"/capture/space%20value":                     "/capture/space value",
		"/capture/question%3Fvalue":                  "/capture/question",
		"/capture/percent%25done":                    "400",
		"/capture/hash%23value":                      "/capture/hash#value",
		"/capture/slash%2Fvalue":                     "/capture/slash/value",
		"/capture/unicode-%CE%BB-%E4%B8%96%E7%95%8C": "/capture/unicode-λ-世界",
		"/capture/literal%252Fvalue":                 "/capture/literal/value",
		"/capture/literal%253Fvalue":                 "/capture/literal?value",
		"/capture/literal%2525value":                 "/capture/literal%value",
		"/subjects/a%2Fb":                            "/subjects/a/b",
		"/subjects/100%25":                           "400",
		"/subjects/100%2525":                         "/subjects/100%",
		"/subjects/a%20b":                            "/subjects/a b",
		"/subjects/%C3%A9":                           "/subjects/é",
		"/subjects/a%3Fb":                            "/subjects/a",
		"/subjects/a%253Fb":                          "/subjects/a?b",
		"/subjects/a+b":                              "/subjects/a+b",
		"//subjects//a/":                             "//subjects//a/",
		"/":                                          "/",
	} {
		t.Run(sent, func(t *testing.T) {
			resp, body := do(t, "GET", base+sent+"?marker=a%3Fb%25c", "")
			got := fmt.Sprint(resp.StatusCode)
			if resp.StatusCode == 200 {
				var e events.APIGatewayV2HTTPRequest
				if err := json.Unmarshal([]byte(body), &e); err != nil {
					t.Fatal(err)
				}
				got = e.RawPath
				if e.RequestContext.HTTP.Path != got || e.RawQueryString != "marker=a%3Fb%25c" || e.QueryStringParameters["marker"] != "a?b%c" {
					t.Errorf("event %s", body)
				}
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// TestIDs: what a component sees of an id in the path and in the query, behind the edge and apigw.
func TestIDs(t *testing.T) {
	mux := http.NewServeMux()
	show := func(w http.ResponseWriter, id string) { fmt.Fprintf(w, "%q", id) }
	mux.HandleFunc("GET /subjects/{id...}", func(w http.ResponseWriter, r *http.Request) { show(w, r.PathValue("id")) })
	mux.HandleFunc("GET /subjects", func(w http.ResponseWriter, r *http.Request) { show(w, r.FormValue("id")) })
	base := serve(t, Config{Routes: avow, Functions: map[string]lambda.Handler{"api": apigw.Handler(mux), "collect": echo}})
	for id, c := range map[string]struct{ path, query, pathGives string }{
		"a/b":  {"a%2Fb", "a%2Fb", `"a/b"`},
		"100%": {"100%25", "100%25", `{"message":"Bad Request"}`},
		"a b":  {"a%20b", "a+b", `"a b"`},
		"é":    {"%C3%A9", "%C3%A9", `"é"`},
		"a?b":  {"a%3Fb", "a%3Fb", `"a"`},
	} {
		t.Run(id, func(t *testing.T) {
			if _, got := do(t, "GET", base+"/subjects/"+c.path, ""); got != c.pathGives {
				t.Errorf("in the path: %s, want %s", got, c.pathGives)
			}
			if _, got := do(t, "GET", base+"/subjects?id="+c.query, ""); got != fmt.Sprintf("%q", id) {
				t.Errorf("in the query: %s", got)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	routes := []Route{
		{"GET", "/pets/dog/1", "exact"},
		{"GET", "/pets/dog/{id}", "variable"},
		{"GET", "/pets/{proxy+}", "greedy"},
		{"ANY", "/pets/dog/1", "any"},
		{"ANY", "/{proxy+}", "all"},
		{"GET", "/{kind}/cat/{id}", "kind"},
		{"GET", "/", "root"},
		{"ANY", "$default", "default"},
	}
	compiled, err := compile(routes)
	if err != nil {
		t.Fatal(err)
	}
	for request, want := range map[string]string{
		"GET /pets/dog/1":       "exact",
		"POST /pets/dog/1":      "any",
		"GET /pets/dog/2":       "variable id=2",
		"GET /pets/dog/2/x":     "greedy proxy=dog/2/x",
		"GET /pets/dog/1/":      "greedy proxy=dog/1/",
		"GET /pets/dog/":        "greedy proxy=dog/",
		"GET /pets/cat/1":       "kind id=1 kind=pets",
		"POST /pets/dog/2":      "all proxy=pets/dog/2",
		"GET /pets":             "all proxy=pets",
		"GET /pets/":            "all proxy=pets/",
		"GET /":                 "root",
		"POST /":                "default",
		"GET //pets/dog/1":      "all proxy=/pets/dog/1",
		"GET /pets/dog/a%252Fb": "variable id=a/b",
		"GET /pets/dog/a%2Fb":   "greedy proxy=dog/a/b",
	} {
		method, path, _ := strings.Cut(request, " ")
		match, _, err := decodePath(path)
		if err != nil {
			t.Fatal(err)
		}
		r, params, ok := choose(compiled, method, match)
		got := r.Function
		for _, name := range []string{"id", "kind", "proxy"} {
			if v, ok := params[name]; ok {
				got += " " + name + "=" + v
			}
		}
		if !ok || got != want {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
}

func TestNew_refuses(t *testing.T) {
	functions := map[string]lambda.Handler{"f": echo}
	for name, r := range map[string][]Route{
		"unknown function":   {{"GET", "/", "g"}},
		"no slash":           {{"GET", "a", "f"}},
		"trailing slash":     {{"GET", "/a/", "f"}},
		"greedy in front":    {{"GET", "/{a+}/b", "f"}},
		"half a variable":    {{"GET", "/a{b}", "f"}},
		"twice":              {{"GET", "/a", "f"}, {"get", "/a", "f"}},
		"two default routes": {{"ANY", "$default", "f"}, {"", "$default", "f"}},
	} {
		if _, err := New(Config{Routes: r, Functions: functions}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestEvent(t *testing.T) {
	base := serve(t, Config{Routes: avow, Functions: map[string]lambda.Handler{"api": echo, "collect": echo}})
	host := strings.TrimPrefix(base, "http://")
	_, port, _ := net.SplitHostPort(host)
	before := time.Now()
	e := received(t, "POST", base+"/public/consent?repeat=one&repeat=two&redirect=https%3A%2F%2Fexample.com%2Fa&literalPlus=a+b&encodedPlus=a%2Bb&empty=&bad=%zz&&novalue",
		`{"unicode":"λ"}`, "Content-Type", "application/json; charset=utf-8", "X-Probe", "first", "X-Probe", "second",
		"Cookie", "session=abc123; theme=dark", "User-Agent", "test/1", "Connection", "close", "X-Forwarded-For", "203.0.113.9", "X-Amzn-Trace-Id", "Root=1-a-b")
	if d := before.Sub(time.UnixMilli(e.RequestContext.TimeEpoch)); d > time.Second || d < -time.Second {
		t.Errorf("time %d", e.RequestContext.TimeEpoch)
	}
	at, err := time.Parse("02/Jan/2006:15:04:05 -0700", e.RequestContext.Time)
	if err != nil || at.Unix() != e.RequestContext.TimeEpoch/1000 {
		t.Errorf("time %q, %v", e.RequestContext.Time, err)
	}
	if id := e.RequestContext.RequestID; len(id) != 16 {
		t.Errorf("request id %q", id)
	}
	e.RequestContext.Time, e.RequestContext.TimeEpoch, e.RequestContext.RequestID = "", 0, ""
	want := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "POST /public/{proxy+}", RawPath: "/public/consent",
		RawQueryString: "repeat=one&repeat=two&redirect=https%3A%2F%2Fexample.com%2Fa&literalPlus=a+b&encodedPlus=a%2Bb&empty=&bad=%zz&&novalue",
		Cookies:        []string{"session=abc123", "theme=dark"},
		Headers: map[string]string{
			"accept-encoding": "gzip", "content-length": "16", "content-type": "application/json; charset=utf-8", "host": host, "user-agent": "test/1",
			"x-probe": "first,second", "x-forwarded-for": "203.0.113.9, 127.0.0.1", "x-forwarded-port": port, "x-forwarded-proto": "http", "x-amzn-trace-id": "Root=1-a-b",
		},
		QueryStringParameters: map[string]string{"repeat": "one,two", "redirect": "https://example.com/a", "literalPlus": "a b", "encodedPlus": "a+b", "empty": "", "bad": "%zz", "novalue": ""},
		PathParameters:        map[string]string{"proxy": "consent"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: "POST /public/{proxy+}", AccountID: Account, Stage: "$default", APIID: "local", DomainName: "127.0.0.1", DomainPrefix: "127",
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "POST", Path: "/public/consent", Protocol: "HTTP/1.1", SourceIP: "127.0.0.1", UserAgent: "test/1"},
		},
		Body: `{"unicode":"λ"}`,
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Error(diff)
	}
}

func TestEvent_nothingExtra(t *testing.T) {
	base := serve(t, Config{Routes: avow, Functions: map[string]lambda.Handler{"api": echo, "collect": echo}})
	_, body := do(t, "GET", base+"/", "")
	var e map[string]any
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"cookies", "queryStringParameters", "pathParameters", "body", "stageVariables"} {
		if _, there := e[name]; there {
			t.Errorf("%s in an event without any", name)
		}
	}
	if h := e["headers"].(map[string]any); h["content-length"] != "0" || h["x-amzn-trace-id"] == "" {
		t.Errorf("headers %v", h)
	}
}

// TestEvent_bodies: the first half is what was measured on the real service.
func TestEvent_bodies(t *testing.T) {
	base := serve(t, Config{Routes: avow, Functions: map[string]lambda.Handler{"api": echo, "collect": echo}})
	for name, c := range map[string]struct {
		contentType, body string
		base64            bool
	}{
		"json":           {"application/json", `{"a":1}`, false},
		"json, charset":  {"application/json; charset=utf-8", `{"a":1}`, false},
		"xml":            {"application/xml", `<a/>`, false},
		"javascript":     {"application/javascript", `a`, false},
		"text":           {"text/plain", `{"a":1}`, false},
		"text, upper":    {"Text/HTML", `a`, false},
		"form":           {"application/x-www-form-urlencoded", `a=1`, true},
		"no type":        {"", `a=1`, true},
		"octets":         {"application/octet-stream", `a`, true},
		"problem json":   {"application/problem+json", `{}`, true},
		"multipart":      {"multipart/form-data; boundary=x", `--x--`, true},
		"text, not UTF8": {"text/plain", "caf\xe9", true},
		"json, not UTF8": {"application/json", "\"\xff\"", true},
		"empty":          {"application/octet-stream", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var header []string
			if c.contentType != "" {
				header = []string{"Content-Type", c.contentType}
			}
			e := received(t, "POST", base+"/consent", c.body, header...)
			if e.IsBase64Encoded != c.base64 {
				t.Errorf("base64 %v", e.IsBase64Encoded)
			}
			seen := ""
			h := apigw.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				seen = string(b)
			}))
			payload, _ := json.Marshal(e)
			if _, err := h.Invoke(t.Context(), payload); err != nil || seen != c.body {
				t.Errorf("the function reads %q, %v, want %q", seen, err, c.body)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	var boom lambda.Handler = handlerFunc(func(context.Context, []byte) ([]byte, error) { return nil, errors.New("ada@example.com") })
	for name, c := range map[string]struct {
		function lambda.Handler
		status   int
		body     string
		header   http.Header // of those that must be there; nil value: must not
	}{
		"text":         {answering(`{"statusCode":201,"headers":{"content-type":"text/html","x-multi":"a, b"},"body":"<é>"}`), 201, "<é>", http.Header{"Content-Type": {"text/html"}, "X-Multi": {"a, b"}}},
		"base64":       {answering(`{"statusCode":200,"headers":{"Content-Type":"image/png"},"body":"AAEC/w==","isBase64Encoded":true}`), 200, "\x00\x01\x02\xff", nil},
		"cookies":      {answering(`{"statusCode":204,"cookies":["a=1; Secure","b=2"]}`), 204, "", http.Header{"Set-Cookie": {"a=1; Secure", "b=2"}}},
		"no type":      {answering(`{"statusCode":200,"body":"a"}`), 200, "a", http.Header{"Content-Type": {"text/plain; charset=utf-8"}}},
		"numbers":      {answering(`{"statusCode":200,"headers":{"x-n":7,"x-b":true}}`), 200, "", http.Header{"X-N": {"7"}, "X-B": {"true"}}},
		"hop by hop":   {answering(`{"statusCode":200,"headers":{"connection":"upgrade","transfer-encoding":"chunked","content-length":"99","upgrade":"x"},"body":"a"}`), 200, "a", http.Header{"Upgrade": nil}},
		"multi values": {answering(`{"statusCode":200,"multiValueHeaders":{"x-a":["1"]}}`), 200, "", http.Header{"X-A": nil}},
		"no status":    {answering(`{"hello":"world"}`), 200, `{"hello":"world"}`, http.Header{"Content-Type": {"application/json"}}},
		"list":         {answering(`[1]`), 200, `[1]`, http.Header{"Content-Type": {"application/json"}}},
		"null":         {answering(`null`), 200, `null`, nil},
		"bad status":   {answering(`{"statusCode":"ok"}`), 500, `{"message":"Internal Server Error"}`, nil},
		"status 0":     {answering(`{"statusCode":0}`), 500, `{"message":"Internal Server Error"}`, nil},
		"status 99999": {answering(`{"statusCode":99999}`), 500, `{"message":"Internal Server Error"}`, nil},
		"bad header":   {answering(`{"statusCode":200,"headers":{"a":["b"]}}`), 500, `{"message":"Internal Server Error"}`, nil},
		"bad body":     {answering(`{"statusCode":200,"body":{}}`), 500, `{"message":"Internal Server Error"}`, nil},
		"bad base64":   {answering(`{"statusCode":200,"body":"%","isBase64Encoded":true}`), 500, `{"message":"Internal Server Error"}`, nil},
		"not JSON":     {answering(`<html>`), 500, `{"message":"Internal Server Error"}`, nil},
		"nothing":      {answering(``), 500, `{"message":"Internal Server Error"}`, nil},
		"error":        {boom, 500, `{"message":"Internal Server Error"}`, http.Header{"Content-Type": {"application/json"}}},
		"panic":        {handlerFunc(func(context.Context, []byte) ([]byte, error) { panic("ada@example.com") }), 500, `{"message":"Internal Server Error"}`, nil},
		"too large":    {answering(`{"statusCode":200,"body":"` + strings.Repeat("a", maxPayload) + `"}`), 500, `{"message":"Internal Server Error"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			base := serve(t, Config{Routes: avow, Functions: map[string]lambda.Handler{"api": c.function, "collect": echo}, Log: slog.New(slog.NewJSONHandler(&log, nil))})
			resp, body := do(t, "GET", base+"/", "")
			if resp.StatusCode != c.status || body != c.body {
				t.Errorf("%d %q, want %d %q", resp.StatusCode, body, c.status, c.body)
			}
			for name, want := range c.header {
				if diff := cmp.Diff([]string(want), resp.Header.Values(name)); diff != "" && (want != nil || len(resp.Header.Values(name)) > 0) {
					t.Errorf("%s: %s", name, diff)
				}
			}
			if len(resp.Header.Get("Apigw-Requestid")) != 16 {
				t.Errorf("request id %q", resp.Header.Get("Apigw-Requestid"))
			}
			if strings.Contains(log.String(), "ada@") {
				t.Errorf("the log quotes an error: %s", &log)
			}
			if resp, body := do(t, "HEAD", base+"/", ""); resp.StatusCode != c.status || body != "" {
				t.Errorf("HEAD: %d %q", resp.StatusCode, body)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	called := 0
	f := handlerFunc(func(context.Context, []byte) ([]byte, error) { called++; return []byte(`{"statusCode":200}`), nil })
	base := serve(t, Config{Routes: avow[:3], Functions: map[string]lambda.Handler{"collect": f}})
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		want               string
	}{
		"no route":            {"GET", "/consent", "", nil, 404, `{"message":"Not Found"}`},
		"other method":        {"GET", "/public/consent", "", nil, 404, `{"message":"Not Found"}`},
		"HEAD is not GET":     {"HEAD", "/avow.js", "", nil, 404, ``},
		"nothing after slash": {"POST", "/public/", "", nil, 404, `{"message":"Not Found"}`},
		"slash at the end":    {"GET", "/avow.js/", "", nil, 404, `{"message":"Not Found"}`},
		"body":                {"POST", "/public/a", strings.Repeat("a", maxBody+1), []string{"Content-Type", "text/plain"}, 413, `{"message":"Request Entity Too Large"}`},
		"event":               {"POST", "/public/a", strings.Repeat("a", maxPayload), []string{"Content-Type", "text/plain"}, 413, `{"message":"Request Entity Too Large"}`},
		"headers":             {"POST", "/public/a", "", []string{"X-A", strings.Repeat("a", maxHeaders)}, 431, `{"message":"Request Header Fields Too Large"}`},
		"query":               {"POST", "/public/a?" + strings.Repeat("a", maxHeaders), "", nil, 431, `{"message":"Request Header Fields Too Large"}`},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := do(t, c.method, base+c.path, c.body, c.header...)
			if resp.StatusCode != c.status || body != c.want {
				t.Errorf("%d %.100s, want %d %s", resp.StatusCode, body, c.status, c.want)
			}
		})
	}
	if called != 0 {
		t.Errorf("function called %d times", called)
	}
	if resp, _ := do(t, "POST", base+"/public/a", strings.Repeat("a", 4<<20), "X-A", strings.Repeat("a", maxHeaders-400)); resp.StatusCode != 200 || called != 1 {
		t.Errorf("just below the limits: %s, %d calls", resp.Status, called)
	}
}

func TestThrottle(t *testing.T) {
	start := time.Now()
	limits := newThrottles(map[string]Throttle{"": {Rate: 2, Burst: 3}, "GET /free": {}, "GET /slow": {Rate: 1, Burst: 1}})
	type ask struct {
		route string
		after time.Duration
		want  bool
	}
	for i, a := range []ask{
		{"GET /a", 0, true}, {"GET /a", 0, true}, {"GET /a", 0, true}, {"GET /a", 0, false},
		{"GET /b", 0, true}, {"GET /slow", 0, true}, {"GET /slow", 0, false}, {"GET /free", 0, true},
		{"GET /a", 400 * time.Millisecond, false}, {"GET /a", 500 * time.Millisecond, true}, {"GET /a", 500 * time.Millisecond, false},
		{"GET /a", time.Hour, true}, {"GET /a", time.Hour, true}, {"GET /a", time.Hour, true}, {"GET /a", time.Hour, false},
	} {
		if got := limits.allow(a.route, start.Add(a.after)); got != a.want {
			t.Errorf("request %d, %s after %v: %v", i, a.route, a.after, got)
		}
	}
	base := serve(t, Config{Routes: avow, Functions: map[string]lambda.Handler{"api": echo, "collect": echo}, Throttles: map[string]Throttle{"": {Rate: 0.001, Burst: 2}}})
	for i, want := range []int{200, 200, 429} {
		resp, body := do(t, "GET", base+"/", "")
		if resp.StatusCode != want || want == 429 && body != `{"message":"Too Many Requests"}` {
			t.Errorf("request %d: %s %s", i, resp.Status, body)
		}
	}
}

var cors = &CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"GET", "POST"}, AllowHeaders: []string{"ApiKey", "Content-Type"}, ExposeHeaders: []string{"Link"}, MaxAge: 3600}

func accessControl(h http.Header) map[string]string {
	got := map[string]string{}
	for name, values := range h {
		if rest, ok := strings.CutPrefix(name, "Access-Control-"); ok {
			got[rest] = strings.Join(values, "|")
		}
	}
	return got
}

func TestCORS(t *testing.T) {
	own := answering(`{"statusCode":200,"headers":{"access-control-allow-origin":"https://evil.example","Access-Control-Allow-Credentials":"true"},"body":"x"}`)
	preflight := []string{"Origin", "https://shop.example", "Access-Control-Request-Method", "POST"}
	all := map[string]string{"Allow-Origin": "*", "Allow-Methods": "GET,POST", "Allow-Headers": "ApiKey,Content-Type", "Max-Age": "3600"}
	listed := &CORS{AllowOrigins: []string{"https://Shop.example", "http://*"}, AllowCredentials: true}
	for name, c := range map[string]struct {
		cors         *CORS
		routes       []Route
		method, path string
		header       []string
		status       int
		want         map[string]string
	}{
		"preflight":                      {cors, avow[:3], "OPTIONS", "/public/consent", preflight, 204, all},
		"preflight of what is not there": {cors, avow[:3], "OPTIONS", "/nowhere", preflight, 204, all},
		"preflight takes $default":       {cors, avow, "OPTIONS", "/public/consent", preflight, 200, all},
		"OPTIONS without origin":         {cors, avow[:3], "OPTIONS", "/avow.js", nil, 404, map[string]string{}},
		"OPTIONS without method":         {cors, avow[:3], "OPTIONS", "/avow.js", preflight[:2], 404, map[string]string{}},
		"answer":                         {cors, avow, "GET", "/avow.js", preflight[:2], 200, map[string]string{"Allow-Origin": "*", "Expose-Headers": "Link"}},
		"answer without origin":          {cors, avow, "GET", "/avow.js", nil, 200, map[string]string{}},
		"error of the gateway":           {cors, avow[:3], "GET", "/nowhere", preflight[:2], 404, map[string]string{}},
		"not configured":                 {nil, avow, "GET", "/avow.js", preflight[:2], 200, map[string]string{"Allow-Origin": "https://evil.example", "Allow-Credentials": "true"}},
		"preflight not configured":       {nil, avow[:3], "OPTIONS", "/avow.js", preflight, 404, map[string]string{}},
		"listed origin":                  {listed, avow, "GET", "/avow.js", preflight[:2], 200, map[string]string{"Allow-Origin": "https://shop.example", "Allow-Credentials": "true"}},
		"listed scheme":                  {listed, avow, "GET", "/avow.js", []string{"Origin", "http://a.example"}, 200, map[string]string{"Allow-Origin": "http://a.example", "Allow-Credentials": "true"}},
		"unlisted origin":                {listed, avow, "GET", "/avow.js", []string{"Origin", "https://b.example"}, 200, map[string]string{}},
		"unlisted preflight":             {listed, avow[:3], "OPTIONS", "/avow.js", []string{"Origin", "https://b.example", "Access-Control-Request-Method", "GET"}, 204, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			base := serve(t, Config{Routes: c.routes, Functions: map[string]lambda.Handler{"api": own, "collect": own}, CORS: c.cors})
			resp, _ := do(t, c.method, base+c.path, "", c.header...)
			if resp.StatusCode != c.status {
				t.Errorf("status %d, want %d", resp.StatusCode, c.status)
			}
			if diff := cmp.Diff(c.want, accessControl(resp.Header)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLog(t *testing.T) {
	var log bytes.Buffer
	base := serve(t, Config{Routes: avow, Functions: map[string]lambda.Handler{"api": echo, "collect": echo}, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	resp, _ := do(t, "POST", base+"/public/ada?email=ada@example.com", "ada", "Cookie", "ada=1", "User-Agent", "ada", "Origin", "https://ada.example")
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	delete(line, "latencyMs")
	want := map[string]any{"level": "INFO", "msg": "request", "routeKey": "POST /public/{proxy+}", "status": 200.0, "requestId": resp.Header.Get("Apigw-Requestid")}
	if diff := cmp.Diff(want, line); diff != "" {
		t.Error(diff)
	}
}

func TestTimeouts(t *testing.T) {
	for name, c := range map[string]struct {
		timeout, work, wait time.Duration
		status              int
		message             string
	}{
		"in time":               {15 * time.Second, 14 * time.Second, 14 * time.Second, 200, ""},
		"function too slow":     {15 * time.Second, time.Minute, 15 * time.Second, 500, "Internal Server Error"},
		"Lambda's default":      {0, time.Minute, defaultTimeout, 500, "Internal Server Error"},
		"gateway waits no more": {time.Minute, 45 * time.Second, maxWait, 503, "Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := handlerFunc(func(ctx context.Context, _ []byte) ([]byte, error) {
					if d, ok := ctx.Deadline(); c.timeout > 0 && (!ok || time.Until(d) != c.timeout) {
						t.Errorf("deadline %v %v", d, ok)
					}
					time.Sleep(c.work) // a function need not look at its context
					return []byte(`{"statusCode":200}`), nil
				})
				h, err := New(Config{Routes: avow, Functions: map[string]lambda.Handler{"api": f, "collect": f}, Timeouts: map[string]time.Duration{"api": c.timeout}, Log: slog.New(slog.DiscardHandler)})
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.Code != c.status || !strings.Contains(w.Body.String(), c.message) || time.Since(start) != c.wait {
					t.Errorf("%d %s after %v", w.Code, w.Body, time.Since(start))
				}
				time.Sleep(c.work) // until the function is done
			})
		})
	}
}

func TestInvoke(t *testing.T) {
	type oops struct{ error }
	seen := make(chan string, 10)
	functions := map[string]lambda.Handler{
		"echo": handlerFunc(func(ctx context.Context, payload []byte) ([]byte, error) {
			lc, ok := lambdacontext.FromContext(ctx)
			if _, hasDeadline := ctx.Deadline(); !ok || !hasDeadline || lc.InvokedFunctionArn != ARN("echo") {
				return nil, errors.New("no lambda context")
			}
			seen <- lc.AwsRequestID
			return payload, nil
		}),
		"fails":  handlerFunc(func(context.Context, []byte) ([]byte, error) { return nil, &oops{errors.New("no luck")} }),
		"named":  handlerFunc(func(context.Context, []byte) ([]byte, error) { return nil, &FunctionError{"TryLater", "busy"} }),
		"panics": handlerFunc(func(context.Context, []byte) ([]byte, error) { panic(oops{errors.New("no luck")}) }),
		"speaks": answering(`<html>`),
	}
	s := httptest.NewServer(Invoke(functions))
	defer s.Close()
	for name, c := range map[string]struct {
		method, path, kind, payload string
		status                      int
		functionError               string
		want                        string
	}{
		"success":          {"POST", "echo/invocations", "", `{"a":1}`, 200, "", `{"a":1}`},
		"nothing":          {"POST", "echo/invocations", "RequestResponse", ``, 200, "", `{}`},
		"ARN":              {"POST", "arn%3Aaws%3Alambda%3Aeu-central-1%3A000000000000%3Afunction%3Aecho/invocations", "", `1`, 200, "", `1`},
		"ARN as it is":     {"POST", "arn:aws:lambda:eu-central-1:000000000000:function:echo/invocations", "", `1`, 200, "", `1`},
		"ARN with alias":   {"POST", "arn%3Aaws%3Alambda%3Aeu-central-1%3A000000000000%3Afunction%3Aecho%3Alive/invocations", "", `1`, 200, "", `1`},
		"name with alias":  {"POST", "echo:live/invocations?Qualifier=live", "", `1`, 200, "", `1`},
		"event":            {"POST", "echo/invocations", "Event", `1`, 202, "", ``},
		"dry run":          {"POST", "echo/invocations", "DryRun", `1`, 204, "", ``},
		"error":            {"POST", "fails/invocations", "", `1`, 200, "Unhandled", `{"errorType":"oops","errorMessage":"no luck"}`},
		"named error":      {"POST", "named/invocations", "", `1`, 200, "Unhandled", `{"errorType":"TryLater","errorMessage":"busy"}`},
		"panic":            {"POST", "panics/invocations", "", `1`, 200, "Unhandled", `{"errorType":"oops","errorMessage":"no luck"}`},
		"no JSON":          {"POST", "speaks/invocations", "", `1`, 200, "Unhandled", `{"errorType":"Runtime.InvalidResponse","errorMessage":"the function returned no JSON"}`},
		"unknown":          {"POST", "nobody/invocations", "", `1`, 404, "", `{"Message":"Function not found: arn:aws:lambda:eu-central-1:000000000000:function:nobody","Type":"User"}` + "\n"},
		"unknown type":     {"POST", "echo/invocations", "Later", `1`, 400, "", `{"Message":"unknown invocation type","Type":"User"}` + "\n"},
		"invalid":          {"POST", "echo/invocations", "", `{`, 400, "", `{"Message":"Could not parse request body into json","Type":"User"}` + "\n"},
		"other operation":  {"GET", "echo", "", ``, 404, "", `{"Message":"no such operation","Type":"User"}` + "\n"},
		"path in the name": {"POST", "a/b/invocations", "", ``, 404, "", `{"Message":"no such operation","Type":"User"}` + "\n"},
		"too large":        {"POST", "echo/invocations", "", strings.Repeat("1", maxPayload+1), 413, "", `{"Message":"Request must be smaller than 6291556 bytes for the InvokeFunction operation","Type":"User"}` + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := do(t, c.method, s.URL+"/2015-03-31/functions/"+c.path, c.payload, "X-Amz-Invocation-Type", c.kind)
			if resp.StatusCode != c.status || body != c.want || resp.Header.Get("X-Amz-Function-Error") != c.functionError {
				t.Errorf("%d %q %q", resp.StatusCode, resp.Header.Get("X-Amz-Function-Error"), body)
			}
			id := resp.Header.Get("X-Amzn-RequestId")
			if id == "" {
				t.Error("no request id")
			}
			if c.status == 200 && resp.Header.Get("X-Amz-Executed-Version") != "$LATEST" {
				t.Error("no version")
			}
			if c.status >= 400 && resp.Header.Get("X-Amzn-ErrorType") == "" {
				t.Error("no error type")
			}
			if strings.Contains(c.path, "echo") && (c.status == 200 || c.status == 202) {
				if got := <-seen; got != id {
					t.Errorf("the function was told %s, the caller %s", got, id)
				}
			}
		})
	}
}

// FuzzPaths: the path of any request line gives an answer, and the path that the function sees never
// has more to decode than twice.
func FuzzPaths(f *testing.F) {
	for _, s := range []string{"/a%2Fb", "/%25", "/%2525", "//", "/a?b", "/%3F%23", "/\xff"} {
		f.Add(s)
	}
	compiled, err := compile(avow)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		match, raw, err := decodePath(path)
		if err != nil {
			return
		}
		if strings.Contains(match, "?") {
			t.Errorf("match %q", match)
		}
		if _, _, ok := choose(compiled, "POST", match); !ok {
			t.Error("not even $default")
		}
		if !strings.Contains(path, "%") && !strings.Contains(path, "?") && raw != path {
			t.Errorf("%q became %q", path, raw)
		}
	})
}
