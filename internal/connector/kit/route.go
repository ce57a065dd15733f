package kit

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

// Route is a path below the base address: a template, which may stand in logs
// and evidence, and the values for its placeholders, which may not.
type Route struct {
	template string
	values   []string
	query    url.Values
	exact    *url.URL // a link of the vendor to the next page
}

// To is a route such as To("/users/{id}/tickets", id). A value that is empty,
// blank, "." or "..", or that has control characters, makes every call of the
// route fail before it is sent: a DELETE of /users/ might mean everybody.
func To(template string, values ...string) Route {
	return Route{template: template, values: values}
}

// With adds a query parameter.
func (r Route) With(name, value string) Route {
	query := url.Values{}
	for k, v := range r.query {
		query[k] = v
	}
	query.Add(name, value)
	r.query = query
	return r
}

// String is the template: it holds no values.
func (r Route) String() string { return r.template }

var placeholder = regexp.MustCompile(`\{[a-zA-Z_]+\}`)

var errRoute = errors.New("the path of the call is incomplete")

// path fills the template in.
func (r Route) path() (string, error) {
	if !strings.HasPrefix(r.template, "/") || len(placeholder.FindAllString(r.template, -1)) != len(r.values) {
		return "", errRoute
	}
	next := 0
	segments := strings.Split(r.template[1:], "/")
	for i, segment := range segments {
		bad := segment == ""
		segments[i] = placeholder.ReplaceAllStringFunc(segment, func(string) string {
			value := r.values[next]
			next++
			bad = bad || !addressable(value)
			return strings.ReplaceAll(url.PathEscape(value), "+", "%2B") // Zoom takes a plus sign in a path for a space
		})
		if bad || !addressable(segments[i]) {
			return "", errRoute
		}
	}
	return "/" + strings.Join(segments, "/"), nil
}

// addressable reports whether a value names one record in a path.
func addressable(value string) bool {
	return strings.TrimSpace(value) != "" && value != "." && value != ".." && !strings.ContainsFunc(value, unicode.IsControl)
}

// resolve is the address of the route.
func (r Route) resolve(base *url.URL) (*url.URL, error) {
	if r.exact != nil {
		return r.exact, nil
	}
	path, err := r.path()
	if err != nil {
		return nil, err
	}
	target := *base
	escaped := strings.TrimSuffix(base.EscapedPath(), "/") + path
	if target.Path, err = url.PathUnescape(escaped); err != nil {
		return nil, errRoute
	}
	target.RawPath = escaped
	target.RawQuery = r.query.Encode()
	return &target, nil
}
