package apigw

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"runtime"
	"strings"
	"unicode/utf8"
)

// writer collects what a handler writes, with the rules of net/http's own ResponseWriter: the first
// status wins, headers are frozen by it, no body with HEAD, 204 and 304, the type is sniffed if absent.
type writer struct {
	header http.Header // the handler's, still open
	frozen http.Header // as it was when the status was written
	status int
	head   bool
	body   bytes.Buffer
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid status %d", status))
	}
	if w.status != 0 || status < 200 { // informational answers cannot pass through a function
		return
	}
	w.status, w.frozen = status, w.header.Clone()
}

func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return 0, http.ErrBodyNotAllowed
	}
	if w.head {
		return len(p), nil
	}
	return w.body.Write(p)
}

// dropped are headers of one connection; API Gateway writes its own.
var dropped = []string{"Connection", "Content-Length", "Keep-Alive", "Trailer", "Transfer-Encoding", "Upgrade"}

// oneLine keeps a value from ending its header, as net/http's server does.
var oneLine = strings.NewReplacer("\r", " ", "\n", " ")

// answer is the part of an APIGatewayV2HTTPResponse that a handler can fill.
type answer struct {
	Status   int               `json:"statusCode"`
	Headers  map[string]string `json:"headers,omitempty"`
	Cookies  []string          `json:"cookies,omitempty"`
	Body     string            `json:"body"`
	IsBase64 bool              `json:"isBase64Encoded"`
}

func (w *writer) encode() ([]byte, error) {
	w.WriteHeader(http.StatusOK) // no effect unless the handler wrote nothing
	header, body := w.frozen, w.body.Bytes()
	if len(body) > 0 && header.Get("Content-Type") == "" {
		header.Set("Content-Type", http.DetectContentType(body))
	}
	a := answer{Status: w.status, Cookies: header.Values("Set-Cookie"), Headers: make(map[string]string, len(header))}
	header.Del("Set-Cookie")
	for _, name := range dropped {
		header.Del(name)
	}
	for name, values := range header {
		a.Headers[name] = oneLine.Replace(strings.Join(values, ", "))
	}
	if textual(header.Get("Content-Type")) && utf8.Valid(body) {
		a.Body = string(body)
	} else {
		a.Body, a.IsBase64 = base64.StdEncoding.EncodeToString(body), len(body) > 0
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // the answer would grow for nothing
	if err := enc.Encode(a); err != nil {
		return nil, fmt.Errorf("encoding an answer: %w", err)
	}
	return out.Bytes(), nil
}

// textual reports whether a body of this content type is passed as text.
func textual(contentType string) bool {
	t, _, _ := mime.ParseMediaType(contentType)
	switch t {
	case "application/json", "application/xml", "application/javascript", "application/x-www-form-urlencoded":
		return true
	}
	return strings.HasPrefix(t, "text/") || strings.HasSuffix(t, "+json") || strings.HasSuffix(t, "+xml")
}

// failure is a 500 with a fixed text.
func failure(message string) *writer {
	w := &writer{header: http.Header{"Content-Type": {"application/json"}}}
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(&w.body, `{"message":%q}`, message)
	return w
}

// panicText says what kind of panic it was. Only the runtime's own texts are kept: the value of any
// other panic may hold what a caller sent.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}

// stack lists the functions that led to a panic, innermost first, without arguments.
func stack() []string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	var lines []string
	for {
		f, more := frames.Next()
		if lines != nil || f.Function == "runtime.gopanic" { // what recovers comes first
			lines = append(lines, fmt.Sprintf("%s:%d", f.Function, f.Line))
		}
		if !more {
			return lines
		}
	}
}
