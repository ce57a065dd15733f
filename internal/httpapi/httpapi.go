// Package httpapi is the one path of every HTTP request: it finds the handler,
// turns its error into status and body, writes JSON, and logs one line that
// holds no personal data.
package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/errs"
)

// Handler answers a request or returns an error, which the Mux writes.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Mux routes requests as http.ServeMux does, after it has made paths plain:
// doubled and trailing slashes go, and so does a leading /beta.
type Mux struct {
	mux      *http.ServeMux
	log      *slog.Logger
	now      func() time.Time
	fallback Handler
}

// New returns an empty Mux.
func New(log *slog.Logger, now func() time.Time) *Mux {
	return &Mux{mux: http.NewServeMux(), log: log, now: now}
}

// Fallback sets what answers a path that no route has. Without it that is a
// NotFound.
func (m *Mux) Fallback(h Handler) { m.fallback = h }

// Handle adds a route, in the syntax of http.ServeMux.
func (m *Mux) Handle(pattern string, h Handler) {
	m.mux.Handle(pattern, route(h))
}

type route Handler

// ServeHTTP leaves the route's error for the Mux.
func (do route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Context().Value(logKey{}).(*logLine).err = do(w, r)
}

// ServeHTTP implements http.Handler.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := m.now()
	line := &logLine{}
	ctx := context.WithValue(r.Context(), logKey{}, line)
	r = r.WithContext(ctx)
	r.URL.Path, r.URL.RawPath = plainPath(r.URL.Path), ""
	r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, ";", "%3B") // a plain character; net/url drops the parameter

	rec := &recorder{ResponseWriter: w}
	h, pattern := m.mux.Handler(r)
	if isRoute(h) {
		m.mux.ServeHTTP(rec, r)
	} else {
		line.err = m.missed(rec, r)
	}
	if line.err != nil {
		WriteError(rec, line.err)
	}
	m.logLine(ctx, line, r, pattern, rec.status, m.now().Sub(start))
}

// missed tells a wrong method from a wrong path.
func (m *Mux) missed(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		probe := r.Clone(r.Context())
		probe.Method = method
		// ServeMux would redirect a path with "." or ".." in it: that is no route.
		if h, _ := m.mux.Handler(probe); method != r.Method && isRoute(h) {
			allowed = append(allowed, method)
		}
	}
	if allowed != nil {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return errs.New(errs.NotAllowed, "the method is not allowed here; try %s", strings.Join(allowed, ", "))
	}
	if m.fallback != nil {
		return m.fallback(w, r)
	}
	return errs.New(errs.NotFound, "there is no such path")
}

func isRoute(h http.Handler) bool {
	_, ok := h.(route)
	return ok
}

// plainPath drops doubled and trailing slashes and a leading /beta.
func plainPath(path string) string {
	var b strings.Builder
	for segment := range strings.SplitSeq(path, "/") {
		if segment != "" && (b.Len() > 0 || segment != "beta") {
			b.WriteString("/" + segment)
		}
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// statuses maps kinds to statuses; what is not here is a 500.
var statuses = map[errs.Kind]int{
	errs.Invalid:         http.StatusBadRequest,
	errs.Clock:           http.StatusBadRequest,
	errs.TooBroad:        http.StatusBadRequest,
	errs.Unauthenticated: http.StatusUnauthorized,
	errs.Token:           http.StatusUnauthorized,
	errs.Forbidden:       http.StatusForbidden,
	errs.NotFound:        http.StatusNotFound,
	errs.NotAllowed:      http.StatusMethodNotAllowed,
	errs.Conflict:        http.StatusConflict,
	errs.TooLarge:        http.StatusRequestEntityTooLarge,
	errs.Unsupported:     http.StatusUnsupportedMediaType,
	errs.TooMany:         http.StatusTooManyRequests,
	errs.Unavailable:     http.StatusServiceUnavailable,
}

// Problem is the body of an error. 404 also carries status "not_found", as the
// reference API does.
type Problem struct {
	Message    string       `json:"message"`
	Code       string       `json:"code,omitempty"`
	Status     string       `json:"status,omitempty"`
	ServerTime string       `json:"server_time,omitempty"`
	Errors     []errs.Field `json:"errors,omitempty"`
}

// problem is the only translation of an error into status and body. An error
// of no kind says nothing of itself.
func problem(err error) (int, Problem) {
	var e *errs.Error
	if !errors.As(err, &e) {
		return http.StatusInternalServerError, Problem{Message: "internal error"}
	}
	status, known := statuses[e.Kind]
	switch {
	case !known:
		return http.StatusInternalServerError, Problem{Message: "internal error"}
	case e.Kind == errs.Unavailable:
		return status, Problem{Message: "a service that this one needs did not answer; nothing was acknowledged, try again"}
	}
	p := Problem{Message: e.Message, Errors: e.Fields}
	switch e.Kind {
	case errs.NotFound:
		p.Status = string(errs.NotFound)
	case errs.Clock, errs.TooBroad, errs.Token:
		p.Code = string(e.Kind)
	}
	if !e.ServerTime.IsZero() {
		p.ServerTime = e.ServerTime.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return status, p
}

// WriteError is the one door through which errors leave.
func WriteError(w http.ResponseWriter, err error) {
	status, p := problem(err)
	switch status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "3600")
	}
	body, _ := Encode(p)
	write(w, status, body)
}

// WriteJSON answers 200 with a JSON body. An answer that Lambda could not carry
// becomes an error that asks for less.
func WriteJSON(w http.ResponseWriter, v any) error {
	return WriteStatus(w, http.StatusOK, v)
}

// WriteStatus is WriteJSON with another status.
func WriteStatus(w http.ResponseWriter, status int, v any) error {
	body, err := Encode(v)
	if err != nil {
		return err
	}
	// In the function's own answer the body is a JSON string: quotes,
	// backslashes and the like take one more byte each.
	if len(body)+bytes.Count(body, []byte(`"`))+bytes.Count(body, []byte(`\`)) > apigw.MaxResponse-4096 {
		return errs.New(errs.TooBroad, "the answer would be too large: ask for fewer items with limit")
	}
	write(w, status, body)
	return nil
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// Encode writes JSON without the escapes that HTML would need.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// recorder notes the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

type logKey struct{}

// logLine gathers what a request's line says.
type logLine struct {
	attrs []slog.Attr
	err   error
}

// Note adds an attribute to the request's log line. It must not hold personal
// data.
func Note(ctx context.Context, attr slog.Attr) {
	if line, ok := ctx.Value(logKey{}).(*logLine); ok {
		line.attrs = append(line.attrs, attr)
	}
}

// logLine writes the one line of a request: route, never path; error kinds and
// the safe texts of adapters, never a message that a caller's data is part of.
func (m *Mux) logLine(ctx context.Context, line *logLine, r *http.Request, pattern string, status int, took time.Duration) {
	if pattern == "" {
		pattern = r.Method + " -"
	}
	attrs := append([]slog.Attr{
		slog.String("route", pattern),
		slog.Int("status", status),
		slog.Int64("us", took.Microseconds()),
		slog.String("request_id", apigw.RequestID(ctx)),
	}, line.attrs...)
	level := slog.LevelInfo
	if err := line.err; err != nil {
		attrs = append(attrs, slog.String("error", string(errs.KindOf(err))))
		if status >= http.StatusInternalServerError {
			level = slog.LevelError
			attrs = append(attrs, slog.String("cause", errs.Cause(err)))
		}
	}
	m.log.LogAttrs(ctx, level, "request", attrs...)
}
