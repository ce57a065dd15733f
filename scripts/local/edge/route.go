package edge

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A Route sends requests to a function. Method is a method or ANY; Path is "$default", or segments that
// may be a {variable}, the last one also a greedy {variable+}.
type Route struct {
	Method, Path string
	Function     string
}

type route struct {
	Route
	key      string   // as events show it: "POST /public/{proxy+}", "$default"
	segments []string // nil for $default
}

var variable = regexp.MustCompile(`^\{[A-Za-z0-9._-]+\+?\}$`)

func compile(routes []Route) ([]route, error) {
	var compiled []route
	keys := map[string]bool{}
	for _, r := range routes {
		c := route{Route: r, key: "$default"}
		if r.Path != "$default" {
			c.Method = strings.ToUpper(r.Method)
			c.key = c.Method + " " + r.Path
			rest, ok := strings.CutPrefix(r.Path, "/")
			if !ok || rest != "" && strings.HasSuffix(rest, "/") {
				return nil, fmt.Errorf("route %s: a path starts with a slash and does not end with one", c.key)
			}
			c.segments = strings.Split(rest, "/")
			for i, s := range c.segments {
				if strings.ContainsAny(s, "{}") && (!variable.MatchString(s) || greedy(s) && i < len(c.segments)-1) {
					return nil, fmt.Errorf("route %s: %q is no variable, or greedy before the end", c.key, s)
				}
			}
		}
		if keys[c.key] {
			return nil, fmt.Errorf("route %s: declared twice", c.key)
		}
		keys[c.key] = true
		compiled = append(compiled, c)
	}
	return compiled, nil
}

func isVariable(segment string) bool { return strings.HasPrefix(segment, "{") }
func greedy(segment string) bool     { return strings.HasSuffix(segment, "+}") }

// choose finds the route for a request: a full match before one with a greedy variable before $default
// (documented: Create routes for HTTP APIs). Between two of the same sort, the first segment where they
// differ decides, literal before variable; then a method before ANY. A trailing slash makes another
// path (measured by the authors of powertools-lambda-python, pull request 1609).
func choose(routes []route, method, path string) (best route, params map[string]string, ok bool) {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for _, r := range routes {
		if r.Path != "$default" && r.Method != "ANY" && r.Method != method {
			continue
		}
		if p, matches := r.match(segments); matches && (!ok || r.before(best)) {
			best, params, ok = r, p, true
		}
	}
	return best, params, ok
}

func (r route) match(segments []string) (params map[string]string, ok bool) {
	if r.segments == nil {
		return nil, true
	}
	params = map[string]string{}
	for i, s := range r.segments {
		switch {
		case i >= len(segments):
			return nil, false
		case greedy(s):
			rest := strings.Join(segments[i:], "/")
			params[s[1:len(s)-2]] = decodeOnce(rest)
			return params, rest != ""
		case isVariable(s):
			if segments[i] == "" {
				return nil, false
			}
			params[s[1:len(s)-1]] = decodeOnce(segments[i])
		case s != segments[i]:
			return nil, false
		}
	}
	return params, len(segments) == len(r.segments)
}

// before reports whether r is the better one of two routes that match the same request.
func (r route) before(o route) bool {
	if r.rank() != o.rank() {
		return r.rank() < o.rank()
	}
	for i := range min(len(r.segments), len(o.segments)) {
		if a, b := isVariable(r.segments[i]), isVariable(o.segments[i]); a != b {
			return b
		}
	}
	if len(r.segments) != len(o.segments) {
		return len(r.segments) > len(o.segments)
	}
	return r.Method != "ANY" && o.Method == "ANY"
}

func (r route) rank() int {
	switch {
	case r.segments == nil:
		return 2
	case greedy(r.segments[len(r.segments)-1]):
		return 1
	}
	return 0
}

// decodePath turns the path of the request line into the one that routes are matched against and the
// rawPath of the event. Measured: API Gateway decodes the path, reads the result as a URL path once
// more, which ends at a "?", and decodes that again. So %2F and %252F both arrive as "/", %3F cuts the
// path, %253F arrives as "?", %2525 as "%", and %25 that is not followed by two hexadecimal digits is
// a 400. "#", spaces and letters of any alphabet arrive decoded. Whether routes are matched after the
// first decoding, as here, is a guess; so is "+", which stays as it is.
func decodePath(escaped string) (match, rawPath string, err error) {
	once, err := url.PathUnescape(escaped)
	if err != nil {
		return "", "", err
	}
	once, _, _ = strings.Cut(once, "?")
	twice, err := url.PathUnescape(once)
	if err != nil {
		return "", "", err
	}
	return once, twice, nil
}

// decodeOnce is for parts of a path that decodePath has accepted.
func decodeOnce(s string) string {
	decoded, err := url.PathUnescape(s)
	if err != nil {
		return s
	}
	return decoded
}
