package apigw

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestInvoke_golden turns each event of testdata into the request that the handler sees and the answer
// that API Gateway gets.
func TestInvoke_golden(t *testing.T) {
	quiet(t)
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no events", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			payload, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b.WriteString(renderRequest(t, r))
				site(w, r)
			})
			out, err := Handler(h).Invoke(t.Context(), payload)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteString(renderAnswer(t, out))
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// site answers each path of the golden events in another way.
func site(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	switch r.URL.Path {
	case "/public/consent":
		h.Set("Content-Type", "application/json; charset=utf-8")
		h.Add("Link", `</a>; rel="next"`)
		h.Add("Link", `</b>; rel="first"`)
		h.Set("Content-Length", "999")
		fmt.Fprint(w, `{"id":"<é>"}`)
	case "/avow.js":
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		w.WriteHeader(http.StatusAccepted)
		w.WriteHeader(http.StatusTeapot)
		h.Set("X-Late", "not sent")
		fmt.Fprint(w, "var _iub = [];")
	case "/binary":
		w.Write([]byte{0, 1, 2, 0xff})
	case "/latin1":
		h.Set("Content-Type", "text/plain; charset=iso-8859-1")
		w.Write([]byte{'c', 'a', 'f', 0xe9})
	case "/cookies":
		h.Add("Set-Cookie", "a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT")
		h.Add("Set-Cookie", "b=2")
		h.Set("X-Split", "one\r\nX-Injected: two")
		fmt.Fprint(w, "<p>sniffed")
	case "/nothing":
		w.WriteHeader(http.StatusNoContent)
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
			panic(err)
		}
	case "/panic":
		w.WriteHeader(http.StatusOK)
		fmt.Fprint(w, "half an answer")
		panic("about " + r.URL.Query().Get("email"))
	}
}

func renderRequest(t *testing.T, r *http.Request) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(body)) != r.ContentLength {
		t.Errorf("%d bytes of body, content length %d", len(body), r.ContentLength)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\n", r.Method, r.RequestURI, r.Proto)
	fmt.Fprintf(&b, "path %q query %q\n", r.URL.Path, r.URL.RawQuery)
	fmt.Fprintf(&b, "host %s from %s\n", r.Host, r.RemoteAddr)
	fmt.Fprintf(&b, "request %s route %s\n", RequestID(r.Context()), RouteKey(r.Context()))
	for _, c := range r.Cookies() {
		fmt.Fprintf(&b, "cookie %s\n", c)
	}
	var names []string
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %q\n", name, r.Header[name])
	}
	fmt.Fprintf(&b, "\n%q\n\n", body)
	return b.String()
}

// renderAnswer reads the answer through the library's type, so that its names are checked too.
func renderAnswer(t *testing.T, out []byte) string {
	t.Helper()
	var a events.APIGatewayV2HTTPResponse
	d := json.NewDecoder(bytes.NewReader(out))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d base64=%v\n", a.StatusCode, a.IsBase64Encoded)
	var names []string
	for name := range a.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "%s: %s\n", name, a.Headers[name])
	}
	for _, c := range a.Cookies {
		fmt.Fprintf(&b, "cookie %s\n", c)
	}
	fmt.Fprintf(&b, "\n%s\n", a.Body)
	return b.String()
}

func TestInvoke_notAnEvent(t *testing.T) {
	for name, payload := range map[string]string{
		"empty":        ``,
		"not JSON":     `{"version":"2.0"`,
		"null":         `null`,
		"list":         `[]`,
		"REST API":     `{"httpMethod":"GET","path":"/"}`,
		"version 1.0":  `{"version":"1.0","requestContext":{"http":{"method":"GET"}}}`,
		"no method":    `{"version":"2.0","rawPath":"/"}`,
		"wrong type":   `{"version":"2.0","headers":"ada@example.com","requestContext":{"http":{"method":"GET"}}}`,
		"wrong base64": `{"version":"2.0","body":"ada@example.com","isBase64Encoded":true,"requestContext":{"http":{"method":"POST"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("handler called") })
			out, err := Handler(h).Invoke(t.Context(), []byte(payload))
			if !errors.Is(err, ErrPayload) || out != nil {
				t.Errorf("got %s, %v", out, err)
			}
			if strings.Contains(err.Error(), "ada@") {
				t.Errorf("the error quotes the payload: %v", err)
			}
		})
	}
}

// noMap is a map that cannot be written, as a forgotten make leaves it.
func noMap() map[string]int { return nil }

func TestInvoke_panicLog(t *testing.T) {
	for name, f := range map[string]func(*http.Request){
		"value":   func(r *http.Request) { panic(r.URL.Query().Get("email")) },
		"error":   func(r *http.Request) { panic(errors.New(r.URL.Query().Get("email"))) },
		"runtime": func(r *http.Request) { _ = r.URL.Query()["email"][len(r.Method)] },
		"nil map": func(r *http.Request) { noMap()[r.URL.Query().Get("email")] = 1 },
		"abort":   func(*http.Request) { panic(http.ErrAbortHandler) },
		"status":  func(*http.Request) { (&writer{header: http.Header{}}).WriteHeader(0) },
	} {
		t.Run(name, func(t *testing.T) {
			log := quiet(t)
			payload, err := os.ReadFile("testdata/panic.json")
			if err != nil {
				t.Fatal(err)
			}
			out, err := Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { f(r) })).Invoke(t.Context(), payload)
			if err != nil {
				t.Fatal(err)
			}
			if got := renderAnswer(t, out); !strings.Contains(got, `{"message":"internal error"}`) || !strings.HasPrefix(got, "500") {
				t.Errorf("answer %s", got)
			}
			line := log.String()
			if strings.Contains(line, "ada@") || strings.Contains(line, "email") {
				t.Errorf("the log quotes the request: %s", line)
			}
			if strings.Count(line, "\n") != 1 || !strings.Contains(line, "TestInvoke_panicLog") || !strings.Contains(line, "ATfSmjLgPHcESJw=") {
				t.Errorf("want one line with the stack and the request's id, got %s", line)
			}
		})
	}
}

func TestInvoke_tooLarge(t *testing.T) {
	log := quiet(t)
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"text that fits":       {strings.Repeat("a", MaxResponse-200), 200},
		"text":                 {strings.Repeat("a", MaxResponse), 500},
		"escapes count double": {strings.Repeat("\n", MaxResponse/2), 500},
		"base64 counts":        {strings.Repeat("\xff", MaxResponse*3/4), 500},
	} {
		t.Run(name, func(t *testing.T) {
			payload, _ := os.ReadFile("testdata/id_slash.json")
			h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/plain")
				io.WriteString(w, c.body)
			})
			out, err := Handler(h).Invoke(t.Context(), payload)
			if err != nil {
				t.Fatal(err)
			}
			var a answer
			if err := json.Unmarshal(out, &a); err != nil {
				t.Fatal(err)
			}
			if a.Status != c.want || len(out) > MaxResponse {
				t.Errorf("status %d with %d bytes, want %d", a.Status, len(out), c.want)
			}
		})
	}
	if !strings.Contains(log.String(), "answer too large") {
		t.Errorf("log: %s", log)
	}
}

func TestRequestID_outside(t *testing.T) {
	if RequestID(context.Background()) != "" || RouteKey(context.Background()) != "" {
		t.Error("want empty texts")
	}
}

// FuzzInvoke: whatever the payload, an error or a well-formed answer, and what the handler read is
// what the event said.
func FuzzInvoke(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.json")
	for _, file := range files {
		payload, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload, []byte("answer"), "text/plain")
	}
	f.Add([]byte(`{"version":"2.0","rawPath":"%zz","requestContext":{"stage":"s","http":{"method":" "}}}`), []byte{0xff}, "application/json")
	slog.SetDefault(slog.New(slog.DiscardHandler))
	f.Fuzz(func(t *testing.T, payload, reply []byte, contentType string) {
		var e events.APIGatewayV2HTTPRequest
		valid := json.Unmarshal(payload, &e) == nil
		called := false
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			called = true
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatal(err)
			}
			if valid {
				want := []byte(e.Body)
				if e.IsBase64Encoded {
					want, _ = base64.StdEncoding.DecodeString(e.Body)
				}
				if !bytes.Equal(body, want) {
					t.Errorf("body %q, want %q", body, want)
				}
				if !strings.HasSuffix(e.RawPath, strings.TrimPrefix(r.URL.Path, "/")) {
					t.Errorf("path %q of %q", r.URL.Path, e.RawPath)
				}
			}
			if r.URL.Path == "" || r.URL.Path[0] != '/' || r.RequestURI == "" {
				t.Errorf("path %q, URI %q", r.URL.Path, r.RequestURI)
			}
			w.Header().Set("Content-Type", contentType)
			w.Write(reply)
		})
		out, err := Handler(h).Invoke(t.Context(), payload)
		if err != nil {
			if !errors.Is(err, ErrPayload) || called {
				t.Fatalf("called %v: %v", called, err)
			}
			return
		}
		var a events.APIGatewayV2HTTPResponse
		if err := json.Unmarshal(out, &a); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		got := []byte(a.Body)
		if a.IsBase64Encoded {
			got, err = base64.StdEncoding.DecodeString(a.Body)
		}
		if e.RequestContext.HTTP.Method == http.MethodHead {
			reply = nil
		}
		if err != nil || a.StatusCode != 200 || !bytes.Equal(got, reply) {
			t.Fatalf("answer %s, %v", out, err)
		}
	})
}

func BenchmarkInvoke(b *testing.B) {
	payload, err := os.ReadFile("testdata/consent_json.json")
	if err != nil {
		b.Fatal(err)
	}
	h := Handler(http.HandlerFunc(site))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Invoke(b.Context(), payload); err != nil {
			b.Fatal(err)
		}
	}
}

// quiet sends the log into a buffer for the time of a test.
func quiet(t *testing.T) *bytes.Buffer {
	var b bytes.Buffer
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewJSONHandler(&b, nil)))
	t.Cleanup(func() { slog.SetDefault(old) })
	return &b
}
