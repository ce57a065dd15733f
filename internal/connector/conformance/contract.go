package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi2"
	"github.com/getkin/kin-openapi/openapi2conv"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Contract holds both sides of a transport to an OpenAPI file: what the
// connector sends, and what the fake answers. Calls of hosts that the file does
// not name pass.
type Contract struct {
	t    testing.TB
	file *contractFile
	next http.RoundTripper

	mu   sync.Mutex
	seen map[string]bool // "GET /users/{id} 200"
}

// contractFile is an OpenAPI file that was read.
type contractFile struct {
	router routers.Router
	hosts  map[string]bool
}

// files are those that this test binary has read: a vendor's own takes a second.
var files sync.Map // SHA-256 of the text -> func() (*contractFile, error)

// NewContract reads an OpenAPI file.
func NewContract(t testing.TB, file []byte, next http.RoundTripper) *Contract {
	t.Helper()
	read, _ := files.LoadOrStore(sha256.Sum256(file), sync.OnceValues(func() (*contractFile, error) { return readContract(file) }))
	f, err := read.(func() (*contractFile, error))()
	if err != nil {
		t.Fatal(err)
	}
	return &Contract{t: t, file: f, next: next, seen: map[string]bool{}}
}

// readContract reads an OpenAPI file. Its examples are not judged: those of
// vendors break their own schemas.
func readContract(file []byte) (*contractFile, error) {
	doc, err := load(file)
	if err != nil {
		return nil, err
	}
	router, err := legacy.NewRouter(doc, openapi3.DisableExamplesValidation()) // validates the file
	if err != nil {
		return nil, err
	}
	f := &contractFile{router: router, hosts: map[string]bool{}}
	for _, s := range doc.Servers {
		u, err := url.Parse(s.URL)
		if err != nil {
			return nil, err
		}
		f.hosts[u.Host] = true
	}
	return f, nil
}

// load reads OpenAPI 3, or Swagger 2.0 in JSON as vendors that began early
// publish it.
func load(file []byte) (*openapi3.T, error) {
	var old openapi2.T
	if json.Unmarshal(file, &old) != nil || old.Swagger == "" {
		return openapi3.NewLoader().LoadFromData(file)
	}
	return openapi2conv.ToV3(&old)
}

// Seen reports whether an operation was answered with a status, such as
// "DELETE /users/{id} 422".
func (c *Contract) Seen(what string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen[what]
}

// RoundTrip implements http.RoundTripper.
func (c *Contract) RoundTrip(r *http.Request) (*http.Response, error) {
	if !c.file.hosts[r.URL.Host] {
		return c.next.RoundTrip(r)
	}
	route, params, err := c.file.router.FindRoute(r)
	if err != nil {
		c.t.Errorf("%s %s is not in the contract: %v", r.Method, r.URL.Path, err)
		return c.next.RoundTrip(r)
	}
	if err := strictQuery(route, r.URL.Query()); err != nil {
		c.t.Errorf("%s %s: %v", r.Method, route.Path, err)
	}
	options := &openapi3filter.Options{AuthenticationFunc: authenticate, MultiError: true}
	in := &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route, Options: options}
	if err := openapi3filter.ValidateRequest(r.Context(), in); err != nil {
		c.t.Errorf("%s %s: the request breaks the contract: %v", r.Method, route.Path, err)
	}
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	out := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: in, Status: response.StatusCode, Header: response.Header,
		Body: io.NopCloser(bytes.NewReader(body)), Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	if err := openapi3filter.ValidateResponse(r.Context(), out); err != nil {
		c.t.Errorf("%s %s: the answer %d breaks the contract: %v", r.Method, route.Path, response.StatusCode, err)
	}
	c.mu.Lock()
	c.seen[fmt.Sprintf("%s %s %d", r.Method, strings.TrimPrefix(route.Path, "/api/v1"), response.StatusCode)] = true
	c.mu.Unlock()
	return response, nil
}

// strictQuery refuses parameters that the file does not name. Those of a path
// hold for all its operations, and filter[name] is a property of the object
// "filter".
func strictQuery(route *routers.Route, query url.Values) error {
	for name := range query {
		object, property, deep := strings.Cut(strings.TrimSuffix(name, "]"), "[")
		known := false
		for _, all := range []openapi3.Parameters{route.Operation.Parameters, route.PathItem.Parameters} {
			known = known || all.GetByInAndName("query", name) != nil
			if p := all.GetByInAndName("query", object); deep && p != nil && p.Style == openapi3.SerializationDeepObject {
				known = known || p.Schema.Value.Properties[property] != nil
			}
		}
		if !known {
			return fmt.Errorf("the contract has no parameter %q", name)
		}
	}
	return nil
}

func authenticate(_ context.Context, in *openapi3filter.AuthenticationInput) error {
	header := in.RequestValidationInput.Request.Header.Get("Authorization")
	if !strings.HasPrefix(header, "Bearer ") && !strings.HasPrefix(header, "Basic ") {
		return in.NewError(fmt.Errorf("no credentials"))
	}
	return nil
}
