package kit_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/connector/kit"
)

func TestRoute(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("https://example.test/api/v2/")
	for name, tt := range map[string]struct {
		route kit.Route
		want  string // "" is refused
	}{
		"plain":             {kit.To("/users"), "https://example.test/api/v2/users"},
		"value":             {kit.To("/users/{id}/tickets", "7"), "https://example.test/api/v2/users/7/tickets"},
		"two values":        {kit.To("/a/{id}/b/{other}", "x", "y"), "https://example.test/api/v2/a/x/b/y"},
		"slash":             {kit.To("/users/{id}", "a/b"), "https://example.test/api/v2/users/a%2Fb"},
		"mail":              {kit.To("/users/{id}", "a+b@é.test?x#y%"), "https://example.test/api/v2/users/a%2Bb@%C3%A9.test%3Fx%23y%25"},
		"braces in a value": {kit.To("/users/{id}", "{id}"), "https://example.test/api/v2/users/%7Bid%7D"},
		"query":             {kit.To("/users").With("email", "a+b@x.test").With("page", "2"), "https://example.test/api/v2/users?email=a%2Bb%40x.test&page=2"},
		"part of a segment": {kit.To("/users/{id}.json", "7"), "https://example.test/api/v2/users/7.json"},
		"empty":             {kit.To("/users/{id}", ""), ""},
		"blank":             {kit.To("/users/{id}", " \t"), ""},
		"upwards":           {kit.To("/users/{id}", ".."), ""},
		"here":              {kit.To("/users/{id}", "."), ""},
		"control":           {kit.To("/users/{id}", "a\nb"), ""},
		"value missing":     {kit.To("/users/{id}"), ""},
		"value too many":    {kit.To("/users/{id}", "1", "2"), ""},
		"trailing slash":    {kit.To("/users/"), ""},
		"double slash":      {kit.To("/users//x"), ""},
		"relative":          {kit.To("users"), ""},
	} {
		u, err := tt.route.Resolve(base)
		if (err == nil) != (tt.want != "") || err == nil && u.String() != tt.want {
			t.Errorf("%s: %v, %v", name, u, err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "{}%\n") {
			t.Errorf("%s: %v quotes", name, err)
		}
	}
}

// Whatever the values: a call is refused, or it reaches exactly the path that
// its template means, with each value in a segment of its own.
func TestRoute_property(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("https://example.test/api")
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", " ", ".", "..", "/", "//", "%2e%2e", "a/../b", "?", "#", "\x00", "..\\", "é"}))
		a, b := value.Draw(t, "a"), value.Draw(t, "b")
		u, err := kit.To("/users/{id}/tickets/{ticket}", a, b).Resolve(base)
		if err != nil {
			return
		}
		parts := strings.Split(u.EscapedPath(), "/")
		if len(parts) != 6 || parts[2] != "users" || parts[4] != "tickets" {
			t.Fatalf("%q", u)
		}
		for i, want := range map[int]string{3: a, 5: b} {
			got, err := url.PathUnescape(parts[i])
			if err != nil || got != want || strings.TrimSpace(got) == "" || got == "." || got == ".." {
				t.Fatalf("segment %d: %q, want %q", i, got, want)
			}
		}
		sent, err := url.Parse(u.String()) // as a server reads it
		if err != nil || sent.EscapedPath() != u.EscapedPath() || sent.RawQuery != "" || sent.Fragment != "" {
			t.Fatalf("%q: %v", u, err)
		}
	})
}

// No method is ever sent to a path with an empty segment, DELETE above all.
func TestClient_emptySegment(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodHead} {
		v := &vendor{}
		_, err := v.client(t).Do(t.Context(), kit.Call{Method: method, Route: kit.To("/users/{id}", "")})
		if err == nil || len(v.requests) != 0 {
			t.Errorf("%s: %v, %d requests", method, err, len(v.requests))
		}
	}
}
