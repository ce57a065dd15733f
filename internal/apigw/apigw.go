// Package apigw runs a net/http handler behind an API Gateway HTTP API: it turns events of payload
// format 2.0 into requests and what the handler writes into answers.
//
// API Gateway decodes the path, even twice, before the function sees it (scripts/local/edge knows the
// details), so rawPath becomes URL.Path as it is and is never parsed: an id that holds "/" has become two
// segments, and a "%" or "?" that is still there is plain text.
package apigw

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
)

// MaxResponse is the size in bytes, as JSON, above which an answer is replaced by a 500. Lambda refuses
// results above 6 MB (6,291,556 bytes); the margin is for headers that API Gateway counts too.
const MaxResponse = 5_500_000

// ErrPayload is returned by Invoke for a payload that API Gateway would not send: the function is
// wired to something else, which is for the operator to see and not for a caller.
var ErrPayload = errors.New("apigw: not an event of an HTTP API in payload format 2.0")

// Handler returns the Lambda handler that serves h. It never panics: a panic of h is logged, without
// data of the request, and answered with 500.
func Handler(h http.Handler) lambda.Handler { return adapter{h} }

type adapter struct{ http http.Handler }

// Invoke answers one event.
func (a adapter) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil || e.Version != "2.0" || e.Context.HTTP.Method == "" {
		return nil, ErrPayload // the decoder's error may quote the payload
	}
	body, err := e.body()
	if err != nil {
		return nil, ErrPayload
	}
	w := &writer{header: http.Header{}, head: e.Context.HTTP.Method == http.MethodHead}
	a.serve(w, e.request(ctx, body))
	out, err := w.encode()
	if err == nil && len(out) > MaxResponse {
		slog.ErrorContext(ctx, "answer too large", "requestId", e.Context.RequestID, "bytes", len(out))
		out, err = failure("answer too large").encode()
	}
	return out, err
}

func (a adapter) serve(w *writer, r *http.Request) {
	defer func() {
		if v := recover(); v != nil {
			slog.ErrorContext(r.Context(), "panic", "requestId", RequestID(r.Context()), "panic", panicText(v), "stack", stack())
			*w = *failure("internal error")
		}
	}()
	a.http.ServeHTTP(w, r)
}

// event is the part of an APIGatewayV2HTTPRequest that a request is made of.
type event struct {
	Version  string            `json:"version"`
	Path     string            `json:"rawPath"`
	Query    string            `json:"rawQueryString"`
	Cookies  []string          `json:"cookies"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	IsBase64 bool              `json:"isBase64Encoded"`
	Context  struct {
		RequestID string `json:"requestId"`
		RouteKey  string `json:"routeKey"`
		Stage     string `json:"stage"`
		Domain    string `json:"domainName"`
		HTTP      struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"`
	} `json:"requestContext"`
}

func (e *event) body() ([]byte, error) {
	if e.IsBase64 {
		return base64.StdEncoding.DecodeString(e.Body)
	}
	return []byte(e.Body), nil
}

// path is the decoded path without the stage, which API Gateway prepends unless it is $default.
func (e *event) path() string {
	path := e.Path
	if s := e.Context.Stage; s != "" && s != "$default" {
		if rest, ok := strings.CutPrefix(path, "/"+s); ok && (rest == "" || rest[0] == '/') {
			path = rest
		}
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path
}

// request makes the request as net/http's server would have: Host apart from the headers, an origin-form
// URL, a port in RemoteAddr. Header values that API Gateway joined with commas stay one value.
func (e *event) request(ctx context.Context, body []byte) *http.Request {
	ctx = context.WithValue(ctx, metaKey{}, meta{e.Context.RequestID, e.Context.RouteKey})
	header := make(http.Header, len(e.Headers)+1)
	for name, value := range e.Headers {
		header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	host := header.Get("Host")
	header.Del("Host")
	if host == "" {
		host = e.Context.Domain
	}
	r := (&http.Request{
		Method:        e.Context.HTTP.Method,
		URL:           &url.URL{Path: e.path(), RawQuery: e.Query},
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          http.NoBody,
		ContentLength: int64(len(body)),
		Host:          host,
		RemoteAddr:    net.JoinHostPort(e.Context.HTTP.SourceIP, "0"),
	}).WithContext(ctx)
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	r.RequestURI = r.URL.RequestURI()
	return r
}

type (
	metaKey struct{}
	meta    struct{ requestID, routeKey string }
)

// RequestID returns the id that API Gateway gave to the request, the one in its access log; "" outside
// a request of this package.
func RequestID(ctx context.Context) string {
	m, _ := ctx.Value(metaKey{}).(meta)
	return m.requestID
}

// RouteKey returns the route that API Gateway chose, such as "POST /public/{proxy+}" or "$default".
func RouteKey(ctx context.Context) string {
	m, _ := ctx.Value(metaKey{}).(meta)
	return m.routeKey
}
