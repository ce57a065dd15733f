package edge

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// CORS is the CORS configuration of the API.
type CORS struct {
	AllowOrigins, AllowMethods, AllowHeaders, ExposeHeaders []string
	MaxAge                                                  int // seconds; 0 for none
	AllowCredentials                                        bool
}

// preflight reports whether API Gateway would answer r by itself if no route takes it. A route that
// takes OPTIONS, be it ANY or $default, comes first: its function is called, and its status decides
// whether the browser goes on (documented: Configuring CORS for an HTTP API with a $default route;
// seen in github.com/aws/serverless-application-model, issue 1603). A function behind such a route must
// answer OPTIONS with a 2xx and without asking for a key.
func (c *CORS) preflight(r *http.Request) bool {
	return c != nil && asksPreflight(r)
}

func asksPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

func (c *CORS) answerPreflight(w http.ResponseWriter, r *http.Request) {
	c.add(w.Header(), r)
	w.WriteHeader(http.StatusNoContent)
}

// apply removes the CORS headers of the function and adds the configured ones to what will be sent.
func (c *CORS) apply(h, answered http.Header, r *http.Request) {
	if c == nil {
		return
	}
	for name := range answered {
		if strings.HasPrefix(name, "Access-Control-") {
			answered.Del(name)
		}
	}
	c.add(h, r)
}

// add adds the headers of an answer to r, none if r has no Origin or one that is not allowed.
func (c *CORS) add(h http.Header, r *http.Request) {
	origin := r.Header.Get("Origin")
	allowed := c.allow(origin)
	if origin == "" || allowed == "" {
		return
	}
	h.Set("Access-Control-Allow-Origin", allowed)
	if c.AllowCredentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	set := func(name string, list []string) {
		if len(list) > 0 {
			h.Set(name, strings.Join(list, ","))
		}
	}
	if !asksPreflight(r) {
		set("Access-Control-Expose-Headers", c.ExposeHeaders)
		return
	}
	set("Access-Control-Allow-Methods", c.AllowMethods)
	set("Access-Control-Allow-Headers", c.AllowHeaders)
	if c.MaxAge > 0 {
		h.Set("Access-Control-Max-Age", strconv.Itoa(c.MaxAge))
	}
}

// allow is the value of Access-Control-Allow-Origin for an origin, "" if it is not allowed.
func (c *CORS) allow(origin string) string {
	if slices.Contains(c.AllowOrigins, "*") {
		return "*"
	}
	scheme, _, _ := strings.Cut(origin, "://")
	if slices.ContainsFunc(c.AllowOrigins, func(o string) bool { return strings.EqualFold(o, origin) || o == scheme+"://*" }) {
		return origin
	}
	return ""
}
