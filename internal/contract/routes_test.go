package contract

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/site"
)

// pattern is how a route is written for http.ServeMux.
var pattern = regexp.MustCompile(`^(GET|HEAD|POST|PUT|PATCH|DELETE) /`)

// routes lists the routes of a component, as its source registers them.
func routes(t *testing.T, component string) (list []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", component, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil && pattern.MatchString(text) {
					list = append(list, text)
				}
			}
			return true
		})
	}
	return list
}

// serves reports which route of a component serves an operation.
func serves(route string, op operation) bool {
	method, path, _ := strings.Cut(route, " ")
	if method != op.method {
		return false
	}
	if before, _, greedy := strings.Cut(path, "{"); greedy && strings.HasSuffix(path, "...}") {
		return strings.HasPrefix(op.path, before+"{")
	}
	names := regexp.MustCompile(`\{[^}]*\}`)
	return names.ReplaceAllString(path, "{}") == names.ReplaceAllString(op.path, "{}")
}

// TestRoutes: every route stands in the file, and every operation has a route.
func TestRoutes(t *testing.T) {
	t.Parallel()
	file, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(routes(t, "api"), routes(t, "collect"), routes(t, "requests"), routes(t, "admin"), routes(t, "preferences"))
	if len(all) < 20 {
		t.Fatalf("found %d routes only: %v", len(all), all)
	}
	for _, route := range all {
		if !slices.ContainsFunc(file.operations(), func(op operation) bool { return serves(route, op) }) {
			t.Errorf("docs/openapi.yaml does not name %s", route)
		}
	}
	for _, op := range file.operations() {
		if !slices.ContainsFunc(all, func(route string) bool { return serves(route, op) }) {
			t.Errorf("no component serves %v of docs/openapi.yaml", op)
		}
	}
}

// TestMethods asks the product itself which methods a path has.
func TestMethods(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	file, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	byPath := map[string][]string{}
	for _, op := range file.operations() {
		path := strings.NewReplacer("{id}", "x", "{identifier}", "x", "{version}", "1").Replace(op.path)
		byPath[path] = append(byPath[path], op.method)
	}
	// What API Gateway sends to another function than the path's own.
	delete(byPath, "/avow.js")
	maps.DeleteFunc(byPath, func(path string, _ []string) bool {
		return path == "/keys" || path == "/propagation" || path == "/inventory" || strings.HasPrefix(path, "/public/") || strings.HasPrefix(path, "/requests") || strings.HasPrefix(path, "/admin/")
	})
	// The last consent is a subject's id to other methods.
	byPath["/subjects/x/consent/last"] = []string{"GET", "PATCH", "POST", "PUT"}
	for path, methods := range byPath {
		a := s.send(t, call{method: "DELETE", path: path, key: s.private, bad: true})
		a.problem(t, http.StatusMethodNotAllowed)
		allowed := strings.Split(a.header.Get("Allow"), ", ")
		slices.Sort(allowed)
		slices.Sort(methods)
		equal(t, path, allowed, methods)
	}
}

// TestCheck: what is not as the file says is noticed.
func TestCheck(t *testing.T) {
	t.Parallel()
	file, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	good := func() exchange {
		return exchange{
			path: "/consent", request: request("POST", "/consent", "private"),
			requestBody: []byte(`{"preferences":{"newsletter":true}}`),
			class:       "private",
			answer: answer{status: 200, header: http.Header{"Content-Type": {"application/json; charset=utf-8"}},
				body: []byte(`{"id":"019c2300-0648-70e6-b4af-aa0efa8d6a29","timestamp":"2026-02-03T10:15:30Z","subject_id":"x"}`)},
		}
	}
	if err := file.check(good()); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*exchange)
		want   string
	}{
		"path":          {func(x *exchange) { x.path = "/consents" }, "no operation"},
		"method":        {func(x *exchange) { x.request = request("DELETE", "/consent", "private") }, "no operation"},
		"class of key":  {func(x *exchange) { x.class = "public" }, "PrivateKey"},
		"body":          {func(x *exchange) { x.requestBody = []byte(`{"preferences":5}`) }, "the request"},
		"query":         {func(x *exchange) { x.request = request("GET", "/consent?limit=many", "private") }, "the request"},
		"header":        {func(x *exchange) { x.request.Header.Set("Idempotency-Key", "1") }, "the request"},
		"status":        {func(x *exchange) { x.answer.status = 201 }, "status is not supported"},
		"type":          {func(x *exchange) { x.answer.header.Set("Content-Type", "text/html") }, "the answer"},
		"field missing": {func(x *exchange) { x.answer.body = []byte(`{"id":"019c2300-0648-70e6-b4af-aa0efa8d6a29"}`) }, "the answer"},
		"field unknown": {func(x *exchange) { x.answer.body = append(x.answer.body[:len(x.answer.body)-1], `,"more":1}`...) }, "more"},
		"milliseconds": {func(x *exchange) {
			x.answer.body = []byte(strings.Replace(string(x.answer.body), "30Z", "30.120Z", 1))
		}, "the answer"},
		"bad request, good answer": {func(x *exchange) { x.requestBody, x.bad = []byte(`{"preferences":5}`), true }, ""},
	} {
		x := good()
		tt.change(&x)
		err := file.check(x)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v; want %q", name, err, tt.want)
		}
	}
	for path, want := range map[string]string{
		"/consent/x":                           "/consent/{id}",
		"/beta//subjects/a%2Fb/":               "/subjects/{id}",
		"/subjects/a%2Fb/consent/last":         "/subjects/{id}/consent/last",
		"/subjects/consent/last":               "/subjects/{id}",
		"/legal_notices/terms":                 "/legal_notices/{identifier}",
		"/legal_notices/terms/2":               "/legal_notices/{identifier}/{version}",
		"/legal_notices/terms%2Fcustomers/two": "/legal_notices/{identifier}",
	} {
		if op, _, ok := file.find("GET", decoded(path)); !ok || op.path != want {
			t.Errorf("%s means %q, want %q", path, op.path, want)
		}
	}
}

func request(method, path, key string) *http.Request {
	r := httptest.NewRequest(method, path, io.LimitReader(nil, 0))
	r.Header.Set("ApiKey", key)
	r.Header.Set("Content-Type", "application/json")
	return r
}
