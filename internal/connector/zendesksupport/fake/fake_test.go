package fake_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
)

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

// client talks to a fake the way a program would.
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
	status, body := c.do("POST", "/oauth/tokens", `{"grant_type":"client_credentials","client_id":"avow","client_secret":"zendesk-secret","scope":"read write"}`)
	if status != 200 {
		c.t.Fatalf("%d %v", status, body)
	}
	c.token, _ = body["access_token"].(string)
}

func (c *client) do(method, path, body string) (int, map[string]any) {
	c.t.Helper()
	r := httptest.NewRequest(method, "https://example.zendesk.com"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+c.token)
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	var v map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &v)
	return w.Code, v
}

// expect makes a call of the API that must be answered with a status.
func (c *client) expect(status int, method, path, body string) map[string]any {
	c.t.Helper()
	got, v := c.do(method, "/api/v2"+path, body)
	if got != status {
		c.t.Errorf("%s %s: %d, not %d: %v", method, path, got, status, v)
	}
	return v
}

func TestToken(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Small: true})
	ask := `{"grant_type":"client_credentials","client_id":"avow","client_secret":"%s","scope":"read","expires_in":%d}`
	for body, want := range map[string]int{
		fmt.Sprintf(ask, "zendesk-secret", 301):             200,
		fmt.Sprintf(ask, "zendesk-secret", 300):             400,
		fmt.Sprintf(ask, "zendesk-secret", 172800):          400,
		fmt.Sprintf(ask, "wrong", 301):                      401,
		`{"grant_type":"password"}`:                         400,
		`grant_type=client_credentials&client_id=avow&c=no`: 400,
	} {
		if got, v := c.do("POST", "/oauth/tokens", body); got != want {
			t.Errorf("%s: %d %v", body, got, v)
		}
	}
	c.Advance(fake.TokenLife)
	c.expect(401, "GET", "/deleted_users", "")
	c.token = "avow/token:abc" // as an API token would be
	c.expect(401, "GET", "/deleted_users", "")
}

// The order of a deletion: nothing is purged that was not deleted, no user is
// deleted with a ticket that is not closed.
func TestDelete_order(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Small: true})
	leo := c.Find(company.Leo)
	user, deleted := fmt.Sprintf("/users/%d", leo), fmt.Sprintf("/deleted_users/%d", leo)
	c.expect(404, "DELETE", deleted, "")
	v := c.expect(422, "DELETE", user, "")
	if v["error"] != "RecordInvalid" || v["details"] == nil {
		t.Errorf("%v", v)
	}
	for _, ticket := range c.State().Tickets {
		if ticket.Requester == leo {
			c.Edit(ticket.ID, func(t *fake.Ticket) { t.Status = fake.Solved })
		}
	}
	c.expect(422, "DELETE", user, "")
	for _, ticket := range c.State().Tickets {
		if ticket.Requester == leo {
			c.expect(204, "DELETE", fmt.Sprintf("/tickets/%d", ticket.ID), "")
		}
	}
	if v := c.expect(200, "DELETE", user, ""); v["user"].(map[string]any)["active"] != false {
		t.Errorf("%v", v)
	}
	c.expect(200, "GET", user, "")
	c.expect(200, "GET", deleted, "")
	c.expect(404, "DELETE", user, "")
	c.expect(200, "DELETE", deleted, "")
	c.expect(404, "GET", user, "")
	c.expect(404, "GET", deleted, "")
	v = c.expect(200, "GET", "/deleted_users?page[size]=100", "")
	found := false
	for _, one := range v["deleted_users"].([]any) {
		one := one.(map[string]any)
		if one["id"] == float64(leo) {
			found = one["name"] == "Permanently Deleted User" && one["email"] == nil && one["phone"] == nil
		}
	}
	if !found {
		t.Errorf("%v", v)
	}
}

func TestJobs(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Small: true})
	a := c.AddTicket(fake.Ticket{Requester: c.Find(company.Mo)}, "<p>a</p>")
	ids := fmt.Sprintf("?ids=%d,999999", a)
	c.expect(404, "DELETE", "/deleted_tickets/destroy_many"+ids, "")
	job := func(v map[string]any) map[string]any { return v["job_status"].(map[string]any) }
	first := job(c.expect(200, "DELETE", "/tickets/destroy_many"+ids, ""))
	look := func(id any) map[string]any { return job(c.expect(200, "GET", fmt.Sprint("/job_statuses/", id), "")) }
	var statuses []any
	for range 4 {
		statuses = append(statuses, look(first["id"])["status"])
		c.Advance(3 * time.Second)
	}
	if diff := cmp.Diff([]any{"queued", "working", "working", "completed"}, statuses); diff != "" {
		t.Error(diff)
	}
	if rows, ok := look(first["id"])["results"].([]any); !ok || len(rows) != 2 || rows[0].(map[string]any)["success"] != true || rows[1].(map[string]any)["success"] != false {
		t.Errorf("a deletion says how each record went: %v", look(first["id"]))
	}
	second := job(c.expect(200, "DELETE", "/deleted_tickets/destroy_many"+ids, ""))
	c.Advance(time.Minute)
	if one, ok := look(second["id"])["results"].(map[string]any); !ok || one["success"] != true {
		t.Errorf("a permanent one is an object: %v", look(second["id"]))
	}
	c.login()
	for range fake.MaxJobs {
		c.expect(200, "DELETE", "/tickets/destroy_many?ids=1", "")
	}
	if v := c.expect(429, "DELETE", "/tickets/destroy_many?ids=1", ""); v["error"] != "TooManyJobs" {
		t.Errorf("%v", v)
	}
	c.Advance(25 * time.Hour)
	c.login()
	c.expect(404, "GET", fmt.Sprint("/job_statuses/", first["id"]), "")
	c.expect(400, "DELETE", "/tickets/destroy_many?ids="+strings.Repeat("1,", 100)+"1", "")
	c.expect(400, "DELETE", "/tickets/destroy_many?ids=", "")
}

// Without page[size] a list silently goes by offset, which ends at 10,000 rows.
func TestPages(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	v := c.expect(200, "GET", "/users/search?query=example&page=1&per_page=100", "")
	if v["next_page"] == nil || v["count"].(float64) < 200 {
		t.Errorf("%v %v", v["next_page"], v["count"])
	}
	c.expect(400, "GET", "/users/search?query=example&page=101&per_page=100", "")
	list := fmt.Sprintf("/users/%d/tickets/requested", c.Find(company.Ines))
	if v := c.expect(200, "GET", list, ""); v["meta"] != nil || v["count"] != float64(24) {
		t.Errorf("%v", v)
	}
	seen, cursor := 0, ""
	for {
		v := c.expect(200, "GET", list+"?page[size]=10"+cursor, "")
		seen += len(v["tickets"].([]any))
		meta := v["meta"].(map[string]any)
		if meta["has_more"] != true {
			break
		}
		cursor = "&page[after]=" + meta["after_cursor"].(string)
	}
	if seen != 24 {
		t.Errorf("%d tickets", seen)
	}
	c.expect(400, "GET", list+"?page[size]=10&page[after]=!", "")
	c.expect(422, "GET", "/search/export?query=type:ticket&filter[type]=ticket", "")
	c.expect(422, "GET", "/search/export?query=requester:1", "")
	v = c.expect(200, "GET", fmt.Sprintf("/search/export?query=requester:%d&filter[type]=ticket&page[size]=10", c.Find(company.Ines)), "")
	cursor = v["meta"].(map[string]any)["after_cursor"].(string)
	c.Advance(61 * time.Minute)
	c.login()
	c.expect(422, "GET", fmt.Sprintf("/search/export?query=requester:%d&filter[type]=ticket&page[size]=10&page[after]=%s", c.Find(company.Ines), cursor), "")
}

// The search is behind, knows parts, and does not break out of quotes.
func TestSearch(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Small: true})
	count := func(query string) any { return c.expect(200, "GET", "/users/search?query="+query, "")["count"] }
	if n := count(`email:"ines@example.test"`); n != float64(3) {
		t.Errorf("%v users have a part of the e-mail", n)
	}
	c.AddUser(fake.User{Name: "New"}, "new@example.test")
	if n := count(`email:"new@example.test"`); n != float64(0) {
		t.Error("a new user is known at once")
	}
	c.Advance(5 * time.Minute)
	c.login()
	if n := count(`email:"new@example.test"`); n != float64(1) {
		t.Error("a new user is not known after five minutes")
	}
	if n := count(`phone:"%2B33199001122"`); n != float64(2) {
		t.Errorf("%v users have the telephone", n)
	}
	c.expect(400, "GET", `/users/search?query=email:"x`, "")
	c.expect(400, "GET", `/users/search?query=`, "")
}

func TestRedactions(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Small: true})
	id := c.AddTicket(fake.Ticket{Requester: c.Find(company.Mo), Status: fake.Solved}, `<p>My ID is <a href="x">8</a></p>`)
	c.AddFile(id, fakekit.File{Name: "a.jpg", Size: 3, Text: "abc"})
	comment := c.Ticket(id).Comments[0]
	path := fmt.Sprintf("/comment_redactions/%d", comment.ID)
	body := func(html string) string {
		text, _ := json.Marshal(map[string]any{"ticket_id": id, "html_body": html})
		return string(text)
	}
	c.expect(422, "PUT", path, body("<p>Something <redact>else</redact></p>"))
	c.expect(422, "PUT", path, body(`<p>My ID is <a href="x">8</a></p>`))
	marked := body(`<p>My ID is <a href="x" redact><redact>8</redact></a></p>`)
	c.expect(200, "PUT", path, marked)
	if got := c.Ticket(id).Comments[0].HTML; got != "<p>My ID is ▇</a></p>" {
		t.Errorf("%s", got)
	}
	c.expect(422, "PUT", path, marked)
	file := fmt.Sprintf("/tickets/%d/comments/%d/attachments/%d/redact", id, comment.ID, c.Ticket(id).Comments[0].Files[0])
	c.expect(200, "PUT", file, "")
	c.Edit(id, func(t *fake.Ticket) { t.Status = fake.Closed })
	c.expect(422, "PUT", file, "")
	c.expect(422, "PUT", fmt.Sprintf("/tickets/%d", id), `{"ticket":{"subject":"x"}}`)
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Small: true})
	ines := c.Find(company.Ines)
	path := fmt.Sprintf("/users/%d/identities", ines)
	taken := c.expect(422, "POST", path, `{"identity":{"type":"email","value":"`+company.Leo+`","skip_verify_email":true}}`)
	if taken["error"] != "RecordInvalid" {
		t.Errorf("%v", taken)
	}
	for _, one := range c.expect(200, "GET", path+"?page[size]=100", "")["identities"].([]any) {
		one := one.(map[string]any)
		if one["primary"] == true && one["type"] == "email" {
			c.expect(422, "DELETE", fmt.Sprint(path, "/", int64(one["id"].(float64))), "")
		}
		if one["type"] == "phone_number" {
			c.expect(204, "DELETE", fmt.Sprint(path, "/", int64(one["id"].(float64))), "")
		}
	}
	if v := c.expect(200, "GET", fmt.Sprintf("/users/%d", ines), "")["user"].(map[string]any); v["phone"] != "+33655000101" {
		t.Errorf("the profile keeps the number: %v", v["phone"])
	}
}

// The products purge one after the other, for days.
func TestCompliance(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Small: true})
	mo := c.Find(company.Mo)
	path := fmt.Sprintf("/users/%d/compliance_deletion_statuses?page[size]=100", mo)
	lines := func() int {
		c.login()
		return len(c.expect(200, "GET", path, "")["compliance_deletion_statuses"].([]any))
	}
	if lines() != 0 {
		t.Error("nothing was asked for")
	}
	c.expect(200, "DELETE", fmt.Sprintf("/users/%d", mo), "")
	c.expect(200, "DELETE", fmt.Sprintf("/deleted_users/%d", mo), "")
	var seen []int
	for _, pause := range []time.Duration{0, time.Hour, 4 * time.Hour, 6 * time.Hour, 24 * time.Hour} {
		c.Advance(pause)
		seen = append(seen, lines())
	}
	if diff := cmp.Diff([]int{1, 4, 5, 6, 7}, seen); diff != "" {
		t.Error(diff)
	}
	c.expect(404, "GET", "/users/1/compliance_deletion_statuses?page[size]=100", "")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Small: true, PerMinute: 1000})
	for range 10 {
		c.expect(200, "GET", "/deleted_tickets?page[size]=1", "")
	}
	c.expect(429, "GET", "/deleted_tickets?page[size]=1", "")
	for range 700 {
		c.expect(404, "DELETE", "/deleted_users/1", "")
	}
	c.expect(429, "DELETE", "/deleted_users/1", "")
	if c.Beyond() != 2 {
		t.Errorf("%d", c.Beyond())
	}
}

// Everything outlives a restart.
func TestRestore(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	c.expect(200, "DELETE", fmt.Sprintf("/users/%d", c.Find(company.Mo)), "")
	text, err := c.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := fake.New(fake.Options{Options: fakekit.Options{Now: func() time.Time { return start }}, Empty: true})
	if err := again.Restore(text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.State(), again.State()); diff != "" {
		t.Error(diff)
	}
	second, err := again.Save()
	if err != nil || !bytes.Equal(text, second) {
		t.Errorf("another text, %v", err)
	}
	w := httptest.NewRecorder()
	again.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/_fake/state", nil))
	if w.Code != 200 || !strings.Contains(w.Body.String(), company.Ines) {
		t.Errorf("%d", w.Code)
	}
}

// The company is there: 200 people, one with many tickets, two with one
// telephone, an agent.
func TestSeed(t *testing.T) {
	t.Parallel()
	s := fake.New(fake.Options{}).State()
	people, agents := 0, 0
	for _, u := range s.Users {
		switch {
		case u.Role == "agent":
			agents++
		case u.ExternalID != "":
			people++
		}
	}
	if people != company.Size || agents != 1 || len(s.Tickets) < 100 || len(s.Suspended) != 2 {
		t.Errorf("%d people, %d agents, %d tickets, %d suspended", people, agents, len(s.Tickets), len(s.Suspended))
	}
}
