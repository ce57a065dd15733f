package contract

import (
	"net/http"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/site"
)

// TestPreflight: a browser may ask for every path without a key.
func TestPreflight(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for _, path := range []string{"/public/consent", "/beta/public/consent", "/public/consent/", "/avow.js", "/consent", "/subjects/a%2Fb", "/nowhere"} {
		r, err := http.NewRequestWithContext(t.Context(), "OPTIONS", s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Origin": "https://shop.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "apikey,content-type,idempotency-key",
		} {
			r.Header.Set(name, value)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode/100 != 2 {
			t.Errorf("%s: status %d", path, response.StatusCode)
		}
		equal(t, path+": origin", response.Header.Get("Access-Control-Allow-Origin"), "*")
		for header, wants := range map[string][]string{
			"Access-Control-Allow-Headers": {"apikey", "content-type", "idempotency-key"}, "Access-Control-Allow-Methods": {"get", "post"},
		} {
			for _, want := range wants {
				if got := strings.ToLower(response.Header.Get(header)); !strings.Contains(got, want) {
					t.Errorf("%s: %s is %q, which lacks %s", path, header, got, want)
				}
			}
		}
		if response.Header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", path)
		}
	}
}

// TestCORS: a script may read every answer, errors included, and the Link.
func TestCORS(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	origin := map[string]string{"Origin": "https://shop.example"}
	for name, c := range map[string]call{
		"consent":      {method: "POST", path: "/public/consent", key: s.public, body: `{}`},
		"no key":       {method: "POST", path: "/public/consent", body: `{}`, bad: true},
		"wrong key":    {method: "POST", path: "/public/consent", key: "x", body: `{}`, bad: true},
		"bad request":  {method: "POST", path: "/public/consent", key: s.public, body: `{`, bad: true},
		"too large":    {method: "POST", path: "/public/consent", key: s.public, body: `{}` + strings.Repeat(" ", 1<<20), bad: true},
		"wrong method": {method: "DELETE", path: "/consent", key: s.private, bad: true},
		"snippet":      {method: "GET", path: "/avow.js"},
		"list":         {method: "GET", path: "/consent", key: s.private},
	} {
		c.header = origin
		a := s.send(t, c)
		equal(t, name+": origin", a.header.Values("Access-Control-Allow-Origin"), []string{"*"})
		equal(t, name+": exposed", strings.EqualFold(a.header.Get("Access-Control-Expose-Headers"), "link"), true)
		if c.path != "/avow.js" {
			equal(t, name+": type", a.header.Get("Content-Type"), "application/json; charset=utf-8")
			equal(t, name+": cache", a.header.Get("Cache-Control"), "no-store")
		}
	}
}

// TestTooLarge: what does not even reach a function.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	body := `{}` + strings.Repeat(" ", 7<<20)
	for path, key := range map[string]string{"/public/consent": s.public, "/consent": s.private} {
		s.send(t, call{method: "POST", path: path, key: key, body: body, bad: true}).problem(t, http.StatusRequestEntityTooLarge)
	}
}

// TestOrigins: a public key with a list of origins works from those only.
func TestOrigins(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{})
	s.public = d.key(t, s.site, keys.Public, "https://shop.example", "https://www.shop.example")
	for origin, status := range map[string]int{
		"https://shop.example": 200, "https://www.shop.example": 200, "": 403, "null": 403, "http://shop.example": 403,
		"https://shop.example.evil.example": 403, "https://SHOP.example": 403, "https://shop.example:8443": 403,
	} {
		c := call{method: "POST", path: "/public/consent", key: s.public, body: `{}`, bad: status != 200}
		if origin != "" {
			c.header = map[string]string{"Origin": origin}
		}
		a := s.send(t, c)
		if a.status != status {
			t.Errorf("from %q: answered %v; want %d", origin, a, status)
		}
		if status == 403 {
			equal(t, origin, a.problem(t, 403).Message, "this key may not be used from this origin")
		}
	}
	// A key without a list works from everywhere.
	any := d.shop(t, site.Settings{})
	any.send(t, call{method: "POST", path: "/public/consent", key: any.public, body: `{}`, header: map[string]string{"Origin": "https://anywhere.example"}}).ok(t)
}

// TestAddress: whose address a consent keeps.
func TestAddress(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	const caller = "127.0.0.1"
	for name, tt := range map[string]struct {
		body    string
		page    *string
		backEnd *string
	}{
		"nothing said":    {`{}`, ptr(caller), nil},
		"given":           {`{"ip_address":"203.0.113.7"}`, ptr(caller), ptr("203.0.113.7")},
		"given oddly":     {`{"ip_address":"2001:DB8:0::1"}`, ptr(caller), ptr("2001:db8::1")},
		"not detected":    {`{"autodetect_ip_address":false}`, nil, nil},
		"as a text":       {`{"autodetect_ip_address":"false"}`, nil, nil},
		"detected":        {`{"autodetect_ip_address":"true"}`, ptr(caller), nil},
		"given, detected": {`{"ip_address":"203.0.113.7","autodetect_ip_address":false}`, nil, ptr("203.0.113.7")},
	} {
		equal(t, name+", page", s.show(t, s.page(t, tt.body)).IPAddress, tt.page)
		equal(t, name+", back end", s.show(t, s.consent(t, tt.body)).IPAddress, tt.backEnd)
	}
	// What a caller writes into X-Forwarded-For is not the caller's address.
	var ack acknowledged
	s.send(t, call{method: "POST", path: "/public/consent", key: s.public, body: `{}`, header: map[string]string{"X-Forwarded-For": "203.0.113.66"}}).ok(t).into(t, &ack)
	equal(t, "forged", s.show(t, ack).IPAddress, ptr(caller))
}

// TestHead: HEAD is GET without a body.
func TestHead(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for _, path := range []string{"/consent", "/preferences"} {
		r, err := http.NewRequestWithContext(t.Context(), "HEAD", s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("ApiKey", s.private)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		equal(t, path, response.StatusCode, 200)
	}
}
