package zoom_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/connector/conformance"
)

// The vendor's contract is in two files: names of fields for users, meetings,
// webinars and reports, an OpenAPI document for the telephone. Requests and
// answers are held to both.

// shape is a part of the file of names.
type shape struct {
	Type       string           `json:"type"`
	Properties map[string]shape `json:"properties"`
	Required   []string         `json:"required"`
	Items      *shape           `json:"items"`
}

type operation struct {
	Query       *shape `json:"query"`
	RequestBody *shape `json:"requestBody"`
	Response    *shape `json:"response"`
}

type names struct {
	t     testing.TB
	paths map[string]map[string]operation
	phone http.RoundTripper
	next  http.RoundTripper
}

// known are fields that the file does not have although Zoom sends them: it has
// registration_url only where an event is made, and the inventory demands it.
var known = map[string]bool{"registration_url": true}

func newContract(t testing.TB, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	n := &names{t: t, next: next}
	var file struct {
		Paths map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal(conformance.Spec(t, "zoom/zoom-rivet-0.3.0-contract.json"), &file); err != nil {
		t.Fatal(err)
	}
	n.paths = file.Paths
	n.phone = newPhoneContract(t, next)
	return n
}

// newPhoneContract takes out of the document what OpenAPI does not allow: a login
// without the address of its token, and examples and defaults that break their
// own schemas. A default would also be filled into the call that is checked.
func newPhoneContract(t testing.TB, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(conformance.Spec(t, "zoom/zoom-phone-trimmed.openapi.json"), &doc); err != nil {
		t.Fatal(err)
	}
	schemes := doc["components"].(map[string]any)["securitySchemes"].(map[string]any)
	for name := range schemes {
		schemes[name] = map[string]string{"type": "http", "scheme": "bearer"}
	}
	plainly(doc)
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	return conformance.NewContract(t, text, next)
}

func plainly(v any) {
	switch v := v.(type) {
	case map[string]any:
		delete(v, "example")
		delete(v, "examples")
		delete(v, "default")
		for _, inner := range v {
			plainly(inner)
		}
	case []any:
		for _, inner := range v {
			plainly(inner)
		}
	}
}

var placeholder = regexp.MustCompile(`\{[a-zA-Z]+\}`)

// find is the operation of a call. Paths with fewer placeholders come first.
func (n *names) find(method, path string) (name string, op operation, ok bool) {
	for template, methods := range n.paths {
		pattern := "^" + placeholder.ReplaceAllString(template, `[^/]+`) + "$"
		if matched, _ := regexp.MatchString(pattern, path); !matched {
			continue
		}
		if found, has := methods[method]; has && (!ok || strings.Count(template, "{") < strings.Count(name, "{")) {
			name, op, ok = template, found, true
		}
	}
	return name, op, ok
}

// RoundTrip implements http.RoundTripper.
func (n *names) RoundTrip(r *http.Request) (*http.Response, error) {
	path, api := strings.CutPrefix(r.URL.EscapedPath(), "/v2")
	switch {
	case !api:
		return n.next.RoundTrip(r)
	case strings.HasPrefix(path, "/phone/"):
		return n.phone.RoundTrip(r)
	}
	name, op, ok := n.find(r.Method, path)
	if !ok {
		n.t.Errorf("%s %s is not in the contract", r.Method, path)
		return n.next.RoundTrip(r)
	}
	for parameter := range r.URL.Query() {
		if op.Query == nil || !has(op.Query.Properties, parameter) {
			n.t.Errorf("%s %s has no parameter %q", r.Method, name, parameter)
		}
	}
	if r.Body != nil {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		n.check(r.Method+" "+name, body, op.RequestBody)
	}
	response, err := n.next.RoundTrip(r)
	if err != nil || response.StatusCode >= 300 {
		return response, err
	}
	body, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(body))
	n.check(fmt.Sprintf("%s %s %d", r.Method, name, response.StatusCode), body, op.Response)
	return response, err
}

func has(m map[string]shape, name string) bool { _, ok := m[name]; return ok }

// check holds a body to its shape: no field that is not there, every one that
// must be, each of its type.
func (n *names) check(what string, body []byte, s *shape) {
	if len(bytes.TrimSpace(body)) == 0 {
		if s != nil && len(s.Required) > 0 {
			n.t.Errorf("%s: no body", what)
		}
		return
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil || s == nil {
		n.t.Errorf("%s: a body where there is none in the contract, or no JSON: %v", what, err)
		return
	}
	for _, problem := range s.problems("", v) {
		n.t.Errorf("%s: %s", what, problem)
	}
}

func (s shape) problems(at string, v any) (list []string) {
	say := func(format string, args ...any) { list = append(list, at+": "+fmt.Sprintf(format, args...)) }
	switch v := v.(type) {
	case map[string]any:
		if s.Properties == nil {
			say("an object")
			return list
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				say("%s is missing", name)
			}
		}
		for name, value := range v {
			field, ok := s.Properties[name]
			if ok {
				list = append(list, field.problems(at+"."+name, value)...)
			} else if !known[name] {
				say("no field %s", name)
			}
		}
	case []any:
		if s.Items == nil {
			say("an array")
			return list
		}
		for _, value := range v {
			list = append(list, s.Items.problems(at+"[]", value)...)
		}
	case string, bool, float64:
		want := map[string]string{"string": "string", "bool": "boolean", "float64": "number"}[fmt.Sprintf("%T", v)]
		if s.Type != want {
			say("a %s, not a %s", want, s.Type)
		}
	}
	return list
}

// A call that is not in the contract, a parameter, a field of a body or answer
// that is not, are found: the checks can fail.
func TestContract_catches(t *testing.T) {
	t.Parallel()
	said, answer := &quiet{TB: t}, ""
	c := newContract(said, conformance.Local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	})))
	for name, tt := range map[string]struct{ method, path, body, answer string }{
		"path":      {"GET", "/v2/everybody", "", `{}`},
		"method":    {"POST", "/v2/users/1", "", ``},
		"parameter": {"DELETE", "/v2/users/1?reason=x", "", ``},
		"body":      {"PATCH", "/v2/users/1", `{"forename":"x"}`, ``},
		"answer":    {"GET", "/v2/users/1", "", `{"type":1,"shoe_size":44}`},
		"missing":   {"GET", "/v2/users/1", "", `{"id":"x"}`},
		"type":      {"GET", "/v2/users/1", "", `{"type":"1"}`},
		"telephone": {"GET", "/v2/phone/call_history?recording_status=both", "", `{}`},
	} {
		said.failed, answer = false, tt.answer
		r := httptest.NewRequest(tt.method, "https://api.zoom.us"+tt.path, strings.NewReader(tt.body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer x")
		if _, err := c.RoundTrip(r); err != nil || !said.failed {
			t.Errorf("%s: not found, %v", name, err)
		}
	}
}

type quiet struct {
	testing.TB
	failed bool
}

func (q *quiet) Errorf(string, ...any) { q.failed = true }
