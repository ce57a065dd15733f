package contract

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/scripts/local/edge"
)

// ofAdmin reports whether the component admin serves an operation.
func ofAdmin(op operation) bool { return strings.HasPrefix(op.path, "/admin/") }

// newMaster is a site with an administrator, whose key it returns, too.
func newMaster(t *testing.T) (s *shop, master string) {
	t.Helper()
	s = start(t).shop(t, site.Settings{})
	master, err := s.admin.CreateRoleKey(t.Context(), s.site, "The admin", keys.Admin)
	if err != nil {
		t.Fatal(err)
	}
	s.roles = append(s.roles, master)
	return s, master
}

// ofMaster lists a call of each operation of the component admin. The body of
// each is accepted. systems.json stays as it is: other tests live by it.
func ofMaster(t *testing.T, s *shop, master, systems string) (list []sampleCall) {
	t.Helper()
	file, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{
		"makeKey": `{"class":"private","label":"back end"}`, "revokeKey": `{}`, "makeSite": `{"name":"Blog"}`, "putSiteSettings": `{"backdate_days":7}`, "putSystems": systems,
	}
	for _, op := range file.operations() {
		if !ofAdmin(op) {
			continue
		}
		path := strings.NewReplacer("{key}", keys.Hash(s.public), "{site}", s.site).Replace(op.path)
		c := call{method: op.method, path: path, key: master, body: bodies[op.OperationID]}
		if op.OperationID == "putSystems" {
			c.header = map[string]string{"If-Match": `"x"`}
		}
		list = append(list, sampleCall{op, c})
	}
	return list
}

// TestAdmin: each operation, as it should be, and what each refuses.
func TestAdmin(t *testing.T) {
	t.Parallel()
	s, master := newMaster(t)
	systems := s.send(t, call{method: "GET", path: "/admin/systems", key: master}).ok(t)
	if systems.header.Get("ETag") == "" {
		t.Errorf("no version: %v", systems)
	}
	for _, c := range ofMaster(t, s, master, string(systems.body)) {
		ask := func(status int, change func(*call)) {
			t.Helper()
			one := c.call
			change(&one)
			one.bad = status != 200
			if a := s.send(t, one); a.status != status {
				t.Errorf("%v answered %v; want %d", c.op, a, status)
			}
		}
		ask(401, func(c *call) { c.key = "" })
		ask(403, func(c *call) { c.key = s.private })
		if c.body != "" {
			ask(400, func(c *call) { c.body = `{"nonsense":1}` })
			ask(413, func(c *call) { c.body += strings.Repeat(" ", 1<<20) })
			ask(415, func(c *call) { c.contentType = "application/xml" })
		}
		switch c.op.OperationID {
		case "makeKey", "makeSite":
			key := map[string]string{"Idempotency-Key": s.base(t, "admin", deployOptions{}).NewID(time.Now())}
			ask(200, func(c *call) { c.header = key })
			ask(409, func(c *call) { c.header = key })
			continue
		case "revokeKey":
			ask(404, func(c *call) { c.path = "/admin/keys/none/revoke" })
			ask(409, func(c *call) { c.path = "/admin/keys/" + keys.Hash(master) + "/revoke" })
		case "putSiteSettings":
			ask(404, func(c *call) { c.path = "/admin/sites/none/settings" })
		case "putSystems":
			ask(409, func(c *call) { c.body = `{"systems":[],"policy":{"links":4}}` })
		case "listAdminLog":
			ask(400, func(c *call) { c.path += "?limit=x" })
			ask(200, func(c *call) { c.path += "?limit=1&about=systems" })
		}
		ask(200, func(*call) {})
	}
}

// TestAdmin_faults: what AWS does wrong, and the stage's throttle.
func TestAdmin_faults(t *testing.T) {
	t.Parallel()
	s, master := newMaster(t)
	closed := s.on(s.deploy(t, deployOptions{throttle: &edge.Throttle{Rate: 1, Burst: 0}}))
	for status, broken := range map[int]func(*http.Request) (*http.Response, error){
		http.StatusServiceUnavailable: func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED },
		http.StatusInternalServerError: func(r *http.Request) (*http.Response, error) {
			body := `{"__type":"com.amazonaws.dynamodb.v20120810#ValidationException","message":"secret-of-aws"}`
			return &http.Response{StatusCode: 400, Request: r, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
				Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), ProtoMajor: 1, ProtoMinor: 1}, nil
		},
	} {
		failing := s.on(s.deploy(t, deployOptions{wrap: func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if !strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_") {
					return next.RoundTrip(r)
				}
				return broken(r)
			})
		}}))
		for _, c := range ofMaster(t, s, master, `{"systems":[]}`) {
			c.bad = true
			closed.send(t, c.call).problem(t, http.StatusTooManyRequests)
			a := failing.send(t, c.call)
			a.problem(t, status)
			if strings.Contains(string(a.body), "secret") {
				t.Errorf("%v told what is broken: %v", c.op, a)
			}
		}
	}
}
