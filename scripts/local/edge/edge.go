// Package edge stands for Amazon API Gateway (HTTP API, payload format 2.0) and for the Invoke API of
// AWS Lambda on the local stack: the same events reach the same handlers, and what AWS does between a
// browser and a function happens here too, the awkward parts included.
//
// Where a comment says "measured", the source is a capture of the real service that someone published:
//   - paths: github.com/hotsock/voker, examples/aws-ingress-probe and vokerhttp/testdata (July to September 2026)
//   - which bodies are text: github.com/ministackorg/ministack, pull request 766 (June 2026)
//
// Where it says "documented", it is the API Gateway or Lambda developer guide, page named. Anything else
// is said to be a guess.
package edge

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

// Config describes the API: what the template declares, and the functions behind it.
type Config struct {
	Routes    []Route
	Functions map[string]lambda.Handler
	// Timeouts is how long each function may run; 3 s, Lambda's own default, for one that is not named.
	Timeouts map[string]time.Duration
	// CORS is nil when the API declares none.
	CORS *CORS
	// Throttles by route key; the empty key is for all routes that are not named. API Gateway counts
	// each route on its own. No entry, or a rate of 0, means no limit.
	Throttles map[string]Throttle
	// Log receives one line per request; slog.Default when nil.
	Log *slog.Logger
}

// Limits of API Gateway that no template can change (documented: Quotas for HTTP APIs).
const (
	maxBody    = 10 << 20
	maxHeaders = 10240 // request line and header values together
	maxWait    = 30 * time.Second
)

// New returns the API as a handler. It refuses routes that API Gateway would refuse and functions that
// are not there.
func New(c Config) (http.Handler, error) {
	routes, err := compile(c.Routes)
	if err != nil {
		return nil, err
	}
	functions := map[string]lambda.Handler{}
	for name, h := range c.Functions {
		functions[name] = Runtime(name, c.Timeouts[name], h)
	}
	for _, r := range routes {
		if functions[r.Function] == nil {
			return nil, fmt.Errorf("route %s: no function %q", r.key, r.Function)
		}
	}
	return &gateway{routes, functions, c.CORS, newThrottles(c.Throttles), cmp.Or(c.Log, slog.Default())}, nil
}

type gateway struct {
	routes    []route
	functions map[string]lambda.Handler
	cors      *CORS
	throttles *throttles
	log       *slog.Logger
}

// ServeHTTP answers one request and logs it as the access log of the template does: nothing of the
// path, the query, the address or the headers, which may all name a person.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	id := requestID()
	w.Header().Set("Apigw-Requestid", id)
	key, status := g.serve(w, r, id, start)
	g.log.LogAttrs(r.Context(), slog.LevelInfo, "request", slog.String("routeKey", key), slog.Int("status", status),
		slog.Int64("latencyMs", time.Since(start).Milliseconds()), slog.String("requestId", id))
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request, id string, now time.Time) (key string, status int) {
	if headerBytes(r) > maxHeaders {
		return "-", fail(w, http.StatusRequestHeaderFieldsTooLarge, "Request Header Fields Too Large") // the text is a guess
	}
	match, rawPath, err := decodePath(r.URL.EscapedPath())
	if err != nil {
		return "-", fail(w, http.StatusBadRequest, "Bad Request")
	}
	rt, params, ok := choose(g.routes, r.Method, match)
	if preflight := g.cors.preflight(r); preflight && !ok {
		g.cors.answerPreflight(w, r)
		return "-", http.StatusNoContent
	}
	if !ok {
		return "-", fail(w, http.StatusNotFound, "Not Found")
	}
	if !g.throttles.allow(rt.key, now) {
		return rt.key, fail(w, http.StatusTooManyRequests, "Too Many Requests")
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return rt.key, fail(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		}
		return rt.key, fail(w, http.StatusBadRequest, "Bad Request")
	}
	payload := newEvent(r, rawPath, rt.key, params, body, id, now).encode()
	if len(payload) > maxPayload { // Lambda refuses it; how API Gateway then answers is a guess
		return rt.key, fail(w, http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	}
	return rt.key, g.invoke(w, r, rt.Function, payload)
}

// invoke runs the function and writes its answer. An error of the function, its timeout included, is a
// 500; when the function may run longer than API Gateway waits, that is a 503.
func (g *gateway) invoke(w http.ResponseWriter, r *http.Request, function string, payload []byte) int {
	type result struct {
		out []byte
		err error
	}
	ctx := context.WithoutCancel(r.Context()) // a caller that goes away does not stop a function
	done := make(chan result, 1)
	go func() {
		out, err := g.functions[function].Invoke(ctx, payload)
		done <- result{out, err}
	}()
	select {
	case res := <-done:
		if res.err != nil {
			g.log.Error("function failed", "function", function, "errorType", asError(res.err).Type)
			return fail(w, http.StatusInternalServerError, "Internal Server Error")
		}
		a, err := parseAnswer(res.out)
		if err != nil {
			g.log.Error("function failed", "function", function, "errorType", "malformed answer")
			return fail(w, http.StatusInternalServerError, "Internal Server Error")
		}
		g.cors.apply(w.Header(), a.header, r)
		return a.write(w)
	case <-time.After(maxWait):
		return fail(w, http.StatusServiceUnavailable, "Service Unavailable")
	}
}

// fail writes an answer of API Gateway itself. It has no CORS headers: those are added to answers of an
// integration (documented: Configure CORS for HTTP APIs), so a script sees only a network error.
func fail(w http.ResponseWriter, status int, message string) int {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"message":%q}`, message)
	return status
}

// headerBytes is the size of the request line and the header.
func headerBytes(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("Host: ") + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(": ") + len(v)
		}
	}
	return n
}

// requestID looks like API Gateway's: 16 characters, the last one "=".
func requestID() string {
	b := make([]byte, 11)
	rand.Read(b)
	return base64.URLEncoding.EncodeToString(b)
}

// hostOnly is a host without its port.
func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}
