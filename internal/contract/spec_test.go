package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// specFile is the file that the tests hold the product to.
const specFile = "../../docs/openapi.yaml"

// A spec is docs/openapi.yaml and what the tests have seen of it.
type spec struct {
	doc *openapi3.T

	mu   sync.Mutex
	seen map[string]map[int]int // by operationId and status
}

var loadSpec = sync.OnceValues(func() (*spec, error) {
	openapi3filter.RegisterBodyDecoder("application/pdf", openapi3filter.FileBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/javascript", openapi3filter.PlainBodyDecoder)
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.PlainBodyDecoder)
	doc, err := openapi3.NewLoader().LoadFromFile(specFile)
	if err != nil {
		return nil, err
	}
	if err := doc.Validate(context.Background()); err != nil {
		return nil, err
	}
	s := &spec{doc: doc, seen: map[string]map[int]int{}}
	for _, op := range s.operations() {
		for _, response := range op.Responses.Map() {
			for _, content := range response.Value.Content {
				strict(content.Schema, map[*openapi3.Schema]bool{})
			}
		}
	}
	return s, nil
})

// strict lets an object of an answer have no field that the file does not name.
// Clients must ignore such fields; the file must not be silent about them.
func strict(ref *openapi3.SchemaRef, done map[*openapi3.Schema]bool) {
	if ref == nil || done[ref.Value] {
		return
	}
	s := ref.Value
	done[s] = true
	if s.Type.Is("object") && len(s.Properties) > 0 && s.AdditionalProperties.Schema == nil {
		s.AdditionalProperties.Has = openapi3.Ptr(false)
	}
	strict(s.Items, done)
	strict(s.AdditionalProperties.Schema, done)
	for _, p := range s.Properties {
		strict(p, done)
	}
	for _, list := range []openapi3.SchemaRefs{s.OneOf, s.AnyOf, s.AllOf} {
		for _, p := range list {
			strict(p, done)
		}
	}
}

// An operation is one of the file, with where it stands.
type operation struct {
	*openapi3.Operation
	method, path string
	item         *openapi3.PathItem
}

func (o operation) String() string { return o.method + " " + o.path }

// operations lists all operations, in order of path and method.
func (s *spec) operations() []operation {
	var list []operation
	for _, path := range slices.Sorted(maps.Keys(s.doc.Paths.Map())) {
		item := s.doc.Paths.Value(path)
		byMethod := item.Operations()
		for _, method := range slices.Sorted(maps.Keys(byMethod)) {
			list = append(list, operation{byMethod[method], method, path, item})
		}
	}
	return list
}

// find tells which operation a request means, given the path that a function
// sees, by the rules of the file's section "Paths", and the parameters of the
// path. ok is false when there is none.
func (s *spec) find(method, path string) (op operation, params map[string]string, ok bool) {
	snippet := path == "/avow.js"
	path = plain(path)
	for _, candidate := range s.operations() {
		if candidate.method != method || candidate.path == "/avow.js" && !snippet {
			continue
		}
		// A path without parameters says more, and so does a longer template.
		if p, matches := matchPath(candidate.path, path); matches && (!ok || len(p) == 0 || len(params) > 0 && len(candidate.path) > len(op.path)) {
			op, params, ok = candidate, p, true
		}
	}
	return op, params, ok
}

// decoded is what becomes of a path on its way through API Gateway.
func decoded(escaped string) string {
	once, err := url.PathUnescape(escaped)
	if err != nil {
		return escaped
	}
	once, _, _ = strings.Cut(once, "?")
	if twice, err := url.PathUnescape(once); err == nil {
		return twice
	}
	return once
}

// plain drops doubled and trailing slashes and the prefix /beta.
func plain(path string) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	if len(parts) > 0 && parts[0] == "beta" {
		parts = parts[1:]
	}
	return "/" + strings.Join(parts, "/")
}

// matchPath matches a path with a template. A parameter may hold slashes, so
// what stands behind it in the template is matched from the end.
func matchPath(template, path string) (params map[string]string, ok bool) {
	params = map[string]string{}
	for template != "" {
		before, rest, variable := strings.Cut(template, "{")
		if path, ok = strings.CutPrefix(path, before); !ok {
			return nil, false
		}
		if !variable {
			return params, path == ""
		}
		name, after, _ := strings.Cut(rest, "}")
		end := len(path)
		if literal, _, more := strings.Cut(after, "{"); after != "" {
			if end = strings.LastIndex(path, literal); end < 0 || !more && end+len(literal) != len(path) {
				return nil, false
			}
		}
		if end == 0 {
			return nil, false
		}
		if name == "version" && strings.Trim(path[:end], "0123456789") != "" {
			return nil, false
		}
		params[name], path, template = path[:end], path[end:], after
	}
	return params, path == ""
}

// An exchange is a request and its answer, bodies apart.
type exchange struct {
	path        string // that a function sees
	request     *http.Request
	requestBody []byte
	class       string // of the key: public, private or "" for any other
	bad         bool   // the request is meant to be bad: only the answer is checked
	answer      answer
}

// check reports where an exchange is not as the file says, and notes it.
func (s *spec) check(x exchange) error {
	op, params, ok := s.find(x.request.Method, x.path)
	if !ok {
		if !x.bad {
			return errors.New("no operation of the file is meant")
		}
		return s.checkProblem(x.answer)
	}
	s.note(op, x.answer.status)
	query, err := url.ParseQuery(strings.ReplaceAll(x.request.URL.RawQuery, ";", "%3B"))
	if err != nil && !x.bad {
		return err
	}
	for name, values := range query { // an empty parameter counts as absent
		if len(values) == 1 && values[0] == "" {
			delete(query, name)
		}
	}
	r := x.request.Clone(context.Background())
	r.Body = io.NopCloser(bytes.NewReader(x.requestBody))
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, QueryParams: query,
		Route: &routers.Route{Spec: s.doc, Path: op.path, PathItem: op.item, Method: op.method, Operation: op.Operation},
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, SkipSettingDefaults: true, MultiError: true,
			SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.DisableSchemaErrorDetails()},
			AuthenticationFunc:      func(_ context.Context, in *openapi3filter.AuthenticationInput) error { return x.authenticate(in) },
		},
	}
	if len(x.requestBody) > 0 && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if !x.bad {
		if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
			return fmt.Errorf("the request: %w", err)
		}
	}
	return s.checkAnswer(input, x.answer)
}

func (s *spec) checkAnswer(input *openapi3filter.RequestValidationInput, a answer) error {
	err := openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: a.status, Header: a.header,
		Body: io.NopCloser(bytes.NewReader(a.body)), Options: input.Options,
	})
	if err != nil {
		return fmt.Errorf("the answer: %w", err)
	}
	return nil
}

// checkProblem checks an error that belongs to no operation.
func (s *spec) checkProblem(a answer) error {
	name := "Problem"
	if a.status == http.StatusNotFound {
		name = "NotFound"
	}
	var body any
	if err := a.decode(&body); err != nil {
		return err
	}
	return s.doc.Components.Schemas[name].Value.VisitJSON(body)
}

// authenticate checks that the key stands where the scheme says and has its
// class.
func (x exchange) authenticate(in *openapi3filter.AuthenticationInput) error {
	want := map[string]string{"PrivateKey": "private", "PublicKey": "public", "BeaconKey": "public", "RoleKey": "role"}[in.SecuritySchemeName]
	if want == "" || want != x.class {
		return fmt.Errorf("%s: a key of class %q", in.SecuritySchemeName, x.class)
	}
	r := in.RequestValidationInput.Request
	beacon := strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") && r.URL.Query().Get("key") != ""
	if in.SecurityScheme.In == "query" && !beacon || in.SecurityScheme.In == "header" && r.Header.Get("ApiKey") == "" {
		return fmt.Errorf("%s: no key there", in.SecuritySchemeName)
	}
	return nil
}

func (s *spec) note(op operation, status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[op.OperationID] == nil {
		s.seen[op.OperationID] = map[int]int{}
	}
	s.seen[op.OperationID][status]++
}

// unseen lists the statuses that the file names and no test has met.
func (s *spec) unseen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []string
	for _, op := range s.operations() {
		for _, status := range slices.Sorted(maps.Keys(op.Responses.Map())) {
			var code int
			if _, err := fmt.Sscan(status, &code); err != nil || s.seen[op.OperationID][code] == 0 {
				list = append(list, op.String()+" "+status)
			}
		}
	}
	return list
}
