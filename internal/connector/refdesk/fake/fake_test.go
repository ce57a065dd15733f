package fake_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
)

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

// client speaks to a fake the way curl would.
type client struct {
	*fake.Server
	t     *testing.T
	token string
}

func newClient(t *testing.T, o fake.Options) *client {
	t.Helper()
	o.Now = func() time.Time { return start }
	c := &client{Server: fake.New(o), t: t}
	c.login()
	return c
}

func (c *client) login() {
	c.t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"avow"}, "client_secret": {"refdesk-secret"}}
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	var granted struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &granted); err != nil || granted.Token == "" {
		c.t.Fatalf("%d %s", w.Code, w.Body)
	}
	c.token = granted.Token
}

// do makes a call and returns status, decoded body and the answer itself.
func (c *client) do(method, path, body string) (int, map[string]any, *http.Response) {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "example.refdesk.test"
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	answer := w.Result()
	text, _ := io.ReadAll(answer.Body)
	var decoded map[string]any
	_ = json.Unmarshal(text, &decoded)
	return answer.StatusCode, decoded, answer
}

func (c *client) status(method, path, body string, want int) map[string]any {
	c.t.Helper()
	got, decoded, _ := c.do(method, path, body)
	if got != want {
		c.t.Fatalf("%s %s: %d %v, want %d", method, path, got, decoded, want)
	}
	return decoded
}

func TestToken(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	c.status("GET", "/api/v1/users?email=leo", "", 200)
	c.Advance(fake.TokenLife - time.Second)
	c.status("GET", "/api/v1/users?email=leo", "", 200)
	c.Advance(time.Second)
	c.status("GET", "/api/v1/users?email=leo", "", 401)
	c.token = ""
	c.status("GET", "/api/v1/users?email=leo", "", 401)
}

func TestSearch(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	count := func(query string) int {
		return len(c.status("GET", "/api/v1/users?"+query, "", 200)["users"].([]any))
	}
	for query, want := range map[string]int{
		"email=ines@example.test": 3, "email=INES%40example.test": 3, "email=nobody": 0, "phone=%2B33199001122": 2, "external_id=customer-1002": 1, "external_id=customer-100": 0,
		"email=%40example": 10, // a page
	} {
		if got := count(query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	c.status("GET", "/api/v1/users", "", 400)
	c.status("GET", "/api/v1/users?email=", "", 400)
	c.status("GET", "/api/v1/users?email=leo&cursor=x", "", 400)
	id := c.AddUser(fake.User{Name: "New", Email: "new@example.test"})
	if count("email=new@") != 0 {
		t.Error("the search knows at once")
	}
	c.status("GET", "/api/v1/users/"+id, "", 200)
	c.Advance(10 * time.Minute)
	c.login()
	if count("email=new@") != 1 {
		t.Error("the search never knows")
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	next, seen := "/api/v1/users/"+c.Find(fake.Ines)+"/tickets", map[string]bool{}
	for range 10 {
		page := c.status("GET", next, "", 200)
		for _, one := range page["tickets"].([]any) {
			seen[one.(map[string]any)["id"].(string)] = true
		}
		link, more := page["next"].(string)
		if !more {
			break
		}
		next = strings.TrimPrefix(link, "https://example.refdesk.test")
	}
	if len(seen) != 24 {
		t.Errorf("%d tickets", len(seen))
	}
}

// A user goes in three steps, each by its own rules.
func TestDeletion(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	leo := c.Find(fake.Leo)
	c.status("DELETE", "/api/v1/deleted_users/"+leo, "", 409)
	if got := c.status("DELETE", "/api/v1/users/"+leo, "", 422); got["error"] != "OpenTickets" {
		t.Errorf("%v", got)
	}
	tickets := c.status("GET", "/api/v1/users/"+leo+"/tickets", "", 200)["tickets"].([]any)
	ticket := tickets[0].(map[string]any)["id"].(string)
	c.Audit(ticket, true)
	c.status("DELETE", "/api/v1/tickets/"+ticket, "", 423)
	c.Audit(ticket, false)
	c.status("DELETE", "/api/v1/tickets/"+ticket, "", 204)
	c.status("DELETE", "/api/v1/tickets/"+ticket, "", 404)
	c.status("DELETE", "/api/v1/users/"+leo, "", 200)
	c.status("DELETE", "/api/v1/users/"+leo, "", 404)
	if u := c.status("GET", "/api/v1/users/"+leo, "", 200)["user"].(map[string]any); u["active"] != false || u["email"] != fake.Leo {
		t.Errorf("a deleted user is still there: %v", u)
	}
	job := c.status("DELETE", "/api/v1/deleted_users/"+leo, "", 202)["job"].(map[string]any)["id"]
	if again := c.status("DELETE", "/api/v1/deleted_users/"+leo, "", 202)["job"].(map[string]any)["id"]; again != job {
		t.Errorf("two removals: %v, %v", job, again)
	}
	c.Advance(6 * time.Hour)
	c.login()
	c.status("GET", "/api/v1/users/"+leo, "", 404)
	gone := c.status("GET", "/api/v1/deleted_users/"+leo, "", 200)["deleted_user"].(map[string]any)
	if gone["status"] != fake.Purged || gone["certificate"] == "" {
		t.Errorf("%v", gone)
	}
	state, _ := json.Marshal(c.State())
	if strings.Contains(string(state), fake.Leo) {
		t.Error("something of him is left")
	}
	c.status("DELETE", "/api/v1/users/", "", 404)
}

func TestExport(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	body := `{"user_id":"` + c.Find(fake.Ines) + `","reference":"r1"}`
	first := c.status("POST", "/api/v1/exports", body, 202)["job"].(map[string]any)["id"].(string)
	if second := c.status("POST", "/api/v1/exports", body, 202)["job"].(map[string]any)["id"]; second == first {
		t.Error("it knows an idempotency key")
	}
	if list := c.status("GET", "/api/v1/exports?reference=r1", "", 200)["jobs"].([]any); len(list) != 2 {
		t.Errorf("%v", list)
	}
	for _, step := range []struct {
		passes time.Duration
		status string
	}{{0, "queued"}, {24 * time.Hour, "working"}, {24 * time.Hour, "completed"}} {
		c.Advance(step.passes)
		c.login()
		if job := c.status("GET", "/api/v1/jobs/"+first, "", 200)["job"].(map[string]any); job["status"] != step.status || (job["result_url"] != nil) != (step.status == "completed") {
			t.Errorf("%v, want %s", job, step.status)
		}
	}
	job := c.status("GET", "/api/v1/jobs/"+first, "", 200)["job"].(map[string]any)
	status, _, answer := c.do("GET", job["result_url"].(string), "")
	location := answer.Header.Get("Location")
	if status != 302 || !strings.HasPrefix(location, "https://files.refdesk.test/") {
		t.Fatalf("%d %s", status, location)
	}
	c.status("GET", strings.TrimPrefix(location, "https://files.refdesk.test"), "", 400) // with the token
	c.token = ""
	if status, _, answer := c.do("GET", strings.TrimPrefix(location, "https://files.refdesk.test"), ""); status != 200 || answer.ContentLength <= 0 {
		t.Errorf("%d", status)
	}
	calls := c.Calls()
	if calls[len(calls)-1].Route != "LEAKED TOKEN" {
		t.Errorf("a token at the wrong host is not noted: %+v", calls[len(calls)-1])
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{PerMinute: 4})
	forms, pages := map[string]bool{}, 0
	for n := range 10 {
		status, _, answer := c.do("GET", "/api/v1/users?email=leo", "")
		if (status == 429) != (n >= 4) {
			t.Fatalf("call %d: %d", n, status)
		}
		if status == 429 {
			forms[map[bool]string{true: "seconds", false: answer.Header.Get("Retry-After")[:1]}[len(answer.Header.Get("Retry-After")) < 4]] = true
			if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
				pages++
			}
		}
	}
	if len(forms) != 3 || pages == 0 || pages == 6 {
		t.Errorf("Retry-After in the forms %v, %d pages of HTML", forms, pages)
	}
	c.Advance(time.Minute)
	c.status("GET", "/api/v1/users?email=leo", "", 200)
}

func TestFailures(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	c.status("POST", "/_fake/fail", `{"method":"PUT","route":"/users/{id}","status":500,"times":2,"html":true,"applied":true}`, 204)
	id := c.Find(fake.Leo)
	status, _, answer := c.do("PUT", "/api/v1/users/"+id, `{"name":"Applied"}`)
	if status != 500 || answer.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d", status)
	}
	if u := c.status("GET", "/api/v1/users/"+id, "", 200)["user"].(map[string]any); u["name"] != "Applied" {
		t.Errorf("%v", u)
	}
	c.status("PUT", "/api/v1/users/"+id, `{"name":"Again"}`, 500)
	c.status("PUT", "/api/v1/users/"+id, `{"name":"Better"}`, 200)
	c.Fail(fakekit.Failure{Status: 503, After: time.Minute, Form: "iso"})
	if _, _, answer := c.do("GET", "/api/v1/users/"+id, ""); answer.Header.Get("Retry-After") != start.Add(time.Minute).Format(time.RFC3339) {
		t.Error(answer.Header.Get("Retry-After"))
	}
	c.Mend()
	c.status("GET", "/api/v1/users/"+id, "", 200)
	c.status("POST", "/_fake/advance", `{"seconds":60}`, 200)
	if !c.Now().Equal(start.Add(time.Minute)) {
		t.Error(c.Now())
	}
	c.status("POST", "/_fake/advance", `{"seconds":-60}`, 400)
	c.status("POST", "/_fake/fail", `{}`, 400)
}

// A test policy makes the vendor's days as short as everybody's; its tokens
// last as long as ever.
func TestDay(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Options: fakekit.Options{Day: time.Second}})
	body := `{"user_id":"` + c.Find(fake.Ines) + `","reference":"r1"}`
	id := c.status("POST", "/api/v1/exports", body, 202)["job"].(map[string]any)["id"].(string)
	c.Advance(2 * time.Second)
	if job := c.status("GET", "/api/v1/jobs/"+id, "", 200)["job"].(map[string]any); job["status"] != "completed" {
		t.Errorf("%v", job)
	}
}
