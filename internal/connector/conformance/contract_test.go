package conformance_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/connector/conformance"
)

const file = `openapi: 3.0.3
info: {title: t, version: "1"}
servers: [{url: "https://desk.test"}]
paths:
  /users/{id}:
    parameters: [{name: brand, in: query, schema: {type: string}}, {name: page, in: query, style: deepObject, explode: true, schema: {type: object, properties: {after: {type: string}}}}]
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: string}}, {name: full, in: query, schema: {type: boolean}}]
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: object, required: [id], properties: {id: {type: string}}}}}}
`

// listener hears what a test would report.
type listener struct {
	testing.TB
	said []string
}

func (l *listener) Errorf(format string, args ...any) {
	l.said = append(l.said, fmt.Sprintf(format, args...))
}

func TestContract(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method, url, answer string
		want                string // part of what is reported; "" is nothing
	}{
		"fine":              {"GET", "https://desk.test/users/1?full=true", `{"id":"1"}`, ""},
		"of the path":       {"GET", "https://desk.test/users/1?brand=x&page%5Bafter%5D=y", `{"id":"1"}`, ""},
		"unknown property":  {"GET", "https://desk.test/users/1?page%5Bbefore%5D=y", `{"id":"1"}`, `no parameter "page[before]"`},
		"another host":      {"GET", "https://files.test/x", `nothing`, ""},
		"unknown path":      {"GET", "https://desk.test/people/1", `{}`, "not in the contract"},
		"unknown method":    {"DELETE", "https://desk.test/users/1", `{}`, "not in the contract"},
		"unknown parameter": {"GET", "https://desk.test/users/1?name=a", `{"id":"1"}`, `no parameter "name"`},
		"bad parameter":     {"GET", "https://desk.test/users/1?full=perhaps", `{"id":"1"}`, "the request breaks the contract"},
		"bad answer":        {"GET", "https://desk.test/users/1", `{"id":1}`, "the answer 200 breaks the contract"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &listener{TB: t}
			c := conformance.NewContract(l, []byte(file), conformance.Local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, tt.answer)
			})))
			r, err := http.NewRequest(tt.method, tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.RoundTrip(r); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(l.said, "\n")
			if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
				t.Errorf("reported %q", got)
			}
			if c.Seen("GET /users/{id} 200") != (strings.Contains(tt.url, "desk.test/users") && tt.method == "GET") {
				t.Error("what was seen is not kept")
			}
		})
	}
}

// A vendor's Swagger 2.0 is held to as well.
func TestContract_swagger(t *testing.T) {
	t.Parallel()
	const old = `{"swagger":"2.0","info":{"title":"t","version":"1"},"host":"desk.test","schemes":["https"],"consumes":["application/json"],"produces":["application/json"],
"paths":{"/users":{"post":{"parameters":[{"in":"body","name":"body","required":true,"schema":{"$ref":"#/definitions/User"}}],
"responses":{"200":{"description":"ok","schema":{"$ref":"#/definitions/User"}}}}}},
"definitions":{"User":{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}}}`
	for body, want := range map[string]string{`{"name":"a"}`: "", `{"name":1}`: "breaks the contract", `{}`: "breaks the contract"} {
		l := &listener{TB: t}
		c := conformance.NewContract(l, []byte(old), conformance.Local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"name":"a"}`)
		})))
		r, err := http.NewRequest("POST", "https://desk.test/users", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if _, err := c.RoundTrip(r); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(l.said, "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: reported %q", body, got)
		}
	}
}
