package httpapi_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
)

// door is a Mux with its log.
func door() (*httpapi.Mux, *bytes.Buffer) {
	var log bytes.Buffer
	return httpapi.New(slog.New(slog.NewJSONHandler(&log, nil)), time.Now), &log
}

func ask(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "/", nil)
	r.URL.Path = path // as it comes from API Gateway: decoded
	h.ServeHTTP(w, r)
	return w
}

func says(text string) httpapi.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return httpapi.WriteJSON(w, text+r.PathValue("id"))
	}
}

func TestMux_paths(t *testing.T) {
	t.Parallel()
	mux, _ := door()
	mux.Handle("GET /consent", says("list"))
	mux.Handle("POST /consent", says("post"))
	mux.Handle("GET /consent/{id}", says("one "))
	mux.Handle("GET /subjects/{id...}", says("subject "))
	mux.Handle("GET /beta/x", says("unreachable"))
	for name, tt := range map[string]struct {
		method, path string
		status       int
		body         string
	}{
		"plain":                       {"GET", "/consent", 200, `"list"`},
		"trailing slash":              {"GET", "/consent/", 200, `"list"`},
		"doubled slashes":             {"POST", "//consent//", 200, `"post"`},
		"beta":                        {"GET", "/beta/consent", 200, `"list"`},
		"beta, doubled":               {"GET", "//beta//consent/7/", 200, `"one 7"`},
		"beta twice":                  {"GET", "/beta/beta/consent", 200, `"list"`},
		"beta as an id":               {"GET", "/consent/beta", 200, `"one beta"`},
		"id with a slash":             {"GET", "/subjects/a/b", 200, `"subject a/b"`},
		"id with a doubled slash":     {"GET", "/subjects/a//b", 200, `"subject a/b"`},
		"id with a percent sign":      {"GET", "/subjects/100%", 200, `"subject 100%"`},
		"id with an escape":           {"GET", "/subjects/a%2Fb", 200, `"subject a%2Fb"`},
		"id with a question mark":     {"GET", "/subjects/a?b", 200, `"subject a?b"`},
		"id with a space":             {"GET", "/subjects/a b", 200, `"subject a b"`},
		"id with an accent":           {"GET", "/subjects/é", 200, `"subject é"`},
		"id with markup":              {"GET", "/subjects/<b>&", 200, `"subject <b>&"`},
		"HEAD":                        {"HEAD", "/consent", 200, ``},
		"no such path":                {"GET", "/nothing", 404, ``},
		"root":                        {"GET", "/", 404, ``},
		"empty":                       {"GET", "", 404, ``},
		"beta alone":                  {"GET", "/beta", 404, ``},
		"wrong method":                {"DELETE", "/consent", 405, ``},
		"wrong method, with id":       {"PUT", "/consent/7", 405, ``},
		"dots are no way up":          {"GET", "/consent/../subjects/1", 404, ``},
		"a dot is no way to stay":     {"GET", "/./consent", 404, ``},
		"methods are told by capital": {"get", "/consent", 405, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := ask(mux, tt.method, tt.path)
			if w.Code != tt.status || tt.body != "" && w.Body.String() != tt.body {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, tt.status, tt.body)
			}
			if w.Code == 405 && (w.Header().Get("Allow") == "" || strings.Contains(w.Header().Get("Allow"), tt.method)) {
				t.Errorf("allowed: %q", w.Header().Get("Allow"))
			}
		})
	}
}

func TestMux_fallback(t *testing.T) {
	t.Parallel()
	mux, _ := door()
	mux.Handle("GET /consent", says("list"))
	mux.Fallback(func(http.ResponseWriter, *http.Request) error { return errs.New(errs.Unauthenticated, "who?") })
	for path, want := range map[string]int{"/nothing": 401, "/consent": 200} {
		if w := ask(mux, "GET", path); w.Code != want {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if w := ask(mux, "POST", "/consent"); w.Code != 405 {
		t.Errorf("a wrong method: %d", w.Code)
	}
}

// Errors leave by one door: kind to status and body.
func TestMux_errors(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 3, 10, 15, 30, 123_000_000, time.FixedZone("", 3600))
	secret := errors.New("item of ines@example.test")
	for name, tt := range map[string]struct {
		err    error
		status int
		body   string
		retry  bool
	}{
		"invalid":             {errs.New(errs.Invalid, "no <b>"), 400, `{"message":"no <b>"}`, false},
		"field":               {errs.InvalidField("a.b", "must be"), 400, `{"message":"invalid request: see errors","errors":[{"field":"a.b","message":"must be"}]}`, false},
		"clock":               {&errs.Error{Kind: errs.Clock, Message: "m", ServerTime: at}, 400, `{"message":"m","code":"clock","server_time":"2026-02-03T09:15:30.123Z"}`, false},
		"too broad":           {errs.New(errs.TooBroad, "m"), 400, `{"message":"m","code":"too_broad"}`, false},
		"unauthenticated":     {errs.New(errs.Unauthenticated, "No API key found in request"), 401, `{"message":"No API key found in request"}`, false},
		"forbidden":           {errs.New(errs.Forbidden, "m"), 403, `{"message":"m"}`, false},
		"not found":           {errs.New(errs.NotFound, "m"), 404, `{"message":"m","status":"not_found"}`, false},
		"not allowed":         {errs.New(errs.NotAllowed, "m"), 405, `{"message":"m"}`, false},
		"conflict":            {errs.New(errs.Conflict, "m"), 409, `{"message":"m"}`, false},
		"too large":           {errs.New(errs.TooLarge, "m"), 413, `{"message":"m"}`, false},
		"unsupported":         {errs.New(errs.Unsupported, "m"), 415, `{"message":"m"}`, false},
		"too many":            {errs.New(errs.TooMany, "m"), 429, `{"message":"m"}`, true},
		"unavailable":         {errs.Wrap(errs.Unavailable, secret, "dynamodb PutItem: no answer"), 503, `{"message":"a service that this one needs did not answer; nothing was acknowledged, try again"}`, true},
		"internal":            {errs.Wrap(errs.Internal, secret, "dynamodb PutItem: ValidationException"), 500, `{"message":"internal error"}`, false},
		"kind of the future":  {errs.New("odd", "m"), 500, `{"message":"internal error"}`, false},
		"of no kind":          {secret, 500, `{"message":"internal error"}`, false},
		"of no kind, wrapped": {fmt.Errorf("reading ines: %w", secret), 500, `{"message":"internal error"}`, false},
		"wrapped":             {fmt.Errorf("reading ines: %w", errs.New(errs.Conflict, "m")), 409, `{"message":"m"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux, log := door()
			mux.Handle("GET /x", func(http.ResponseWriter, *http.Request) error { return tt.err })
			w := ask(mux, "GET", "/x")
			if w.Code != tt.status || w.Body.String() != tt.body {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, tt.status, tt.body)
			}
			if (w.Header().Get("Retry-After") != "") != tt.retry {
				t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
			}
			for header, want := range map[string]string{"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
				if got := w.Header().Get(header); got != want {
					t.Errorf("%s: %q", header, got)
				}
			}
			if strings.Contains(log.String(), "ines") {
				t.Errorf("logged: %s", log)
			}
		})
	}
}

// One line for each request: what was asked for, how it went, and nothing of
// whom it was about.
func TestMux_log(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method, path string
		handler      httpapi.Handler
		want         map[string]any
	}{
		"answered": {"GET", "/consent/ines@example.test", says("x"), map[string]any{"level": "INFO", "route": "GET /consent/{id}", "status": 200.0}},
		"noted": {"GET", "/consent/7", func(w http.ResponseWriter, r *http.Request) error {
			httpapi.Note(r.Context(), slog.String("site", "shop"))
			return httpapi.WriteJSON(w, "x")
		}, map[string]any{"level": "INFO", "route": "GET /consent/{id}", "status": 200.0, "site": "shop"}},
		"refused": {"GET", "/consent/7", func(http.ResponseWriter, *http.Request) error {
			return errs.InvalidField("email", "ines@example.test is none")
		}, map[string]any{"level": "INFO", "route": "GET /consent/{id}", "status": 400.0, "error": "invalid"}},
		"failed": {"GET", "/consent/7", func(http.ResponseWriter, *http.Request) error {
			return errs.Wrap(errs.Unavailable, errors.New("ines"), "dynamodb GetItem: no answer")
		}, map[string]any{"level": "ERROR", "route": "GET /consent/{id}", "status": 503.0, "error": "unavailable", "cause": "dynamodb GetItem: no answer"}},
		"failed, of no kind": {"GET", "/consent/7", func(http.ResponseWriter, *http.Request) error { return errors.New("ines") },
			map[string]any{"level": "ERROR", "route": "GET /consent/{id}", "status": 500.0, "error": "internal", "cause": "*errors.errorString"}},
		"no such path":           {"GET", "/ines@example.test", says("x"), map[string]any{"level": "INFO", "route": "GET -", "status": 404.0, "error": "not_found"}},
		"wrong method":           {"POST", "/consent/ines@example.test", says("x"), map[string]any{"level": "INFO", "route": "POST -", "status": 405.0, "error": "not_allowed"}},
		"path that is not clean": {"GET", "/consent/../ines@example.test", says("x"), map[string]any{"level": "INFO", "status": 404.0, "error": "not_found"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mux, log := door()
			mux.Handle("GET /consent/{id}", tt.handler)
			ask(mux, tt.method, tt.path)
			if lines := strings.Count(log.String(), "\n"); lines != 1 {
				t.Fatalf("%d lines: %s", lines, log)
			}
			if strings.Contains(log.String(), "ines") {
				t.Errorf("the line tells who: %s", log)
			}
			var got map[string]any
			if err := json.Unmarshal(log.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			for _, always := range []string{"time", "msg", "us", "request_id"} {
				if _, ok := got[always]; !ok {
					t.Errorf("no %s: %s", always, log)
				}
				delete(got, always)
			}
			if tt.want["route"] == nil {
				delete(got, "route")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := httpapi.WriteJSON(w, map[string]string{"a": "<b>&é\u2028"}); err != nil || w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"a":"<b>&é`) {
		t.Errorf("%d %s, %v", w.Code, w.Body, err)
	}
	w = httptest.NewRecorder()
	if err := httpapi.WriteJSON(w, func() {}); err == nil || w.Body.Len() > 0 {
		t.Errorf("what is no JSON: %s, %v", w.Body, err)
	}
	// An answer that Lambda could not carry, in letters that take one or two bytes there.
	for text, ok := range map[string]bool{
		strings.Repeat("x", apigw.MaxResponse-8192): true, strings.Repeat("x", apigw.MaxResponse): false,
		strings.Repeat(`"`, apigw.MaxResponse/5): true, strings.Repeat(`"`, apigw.MaxResponse/3): false,
	} {
		w := httptest.NewRecorder()
		err := httpapi.WriteJSON(w, text)
		if (err == nil) != ok || err != nil && (!errs.Is(err, errs.TooBroad) || w.Body.Len() > 0) {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
}
