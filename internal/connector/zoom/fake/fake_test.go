package fake_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zoom/fake"
)

var start = time.Date(2026, 9, 15, 12, 0, 0, 0, time.UTC)

// client speaks to a fake the way curl would.
type client struct {
	*fake.Server
	t     *testing.T
	token string
}

func newClient(t *testing.T) *client {
	t.Helper()
	c := &client{Server: fake.New(fake.Options{PerSecond: 1000, Options: fakekit.Options{Now: func() time.Time { return start }}}), t: t}
	status, body := c.login("account_credentials", fake.Account, fake.Secret)
	if c.token, _ = body["access_token"].(string); status != 200 || c.token == "" {
		t.Fatalf("%d %v", status, body)
	}
	return c
}

func (c *client) login(grant, account, secret string) (int, map[string]any) {
	form := url.Values{"grant_type": {grant}, "account_id": {account}}
	r := httptest.NewRequest("POST", "/oauth/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(fake.ID+":"+secret)))
	return c.send(r)
}

func (c *client) send(r *http.Request) (int, map[string]any) {
	c.t.Helper()
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	var body map[string]any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			c.t.Fatalf("%s %s: %q", r.Method, r.URL, w.Body)
		}
	}
	return w.Code, body
}

func (c *client) do(method, path string) (int, map[string]any) {
	c.t.Helper()
	r := httptest.NewRequest(method, "/v2"+path, nil)
	r.Header.Set("Authorization", "Bearer "+c.token)
	return c.send(r)
}

// is expects a status and a code, "" for none.
func (c *client) is(method, path string, status int, code float64) map[string]any {
	c.t.Helper()
	got, body := c.do(method, path)
	if said, _ := body["code"].(float64); got != status || said != code {
		c.t.Errorf("%s %s: %d %v, want %d code %v", method, path, got, body, status, code)
	}
	return body
}

func (c *client) rows(path, field string, want int) {
	c.t.Helper()
	status, body := c.do("GET", path)
	if list, _ := body[field].([]any); status != 200 || len(list) != want {
		c.t.Errorf("%s: %d, %d rows, want %d", path, status, len(list), want)
	}
}

func (c *client) idOf(mail string) (id string) {
	c.Change(func(d *fake.Data) {
		for _, u := range d.Users {
			if u.Email == mail {
				id = u.ID
			}
		}
	})
	return id
}

func TestToken(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for name, tt := range map[string]struct {
		grant, account, secret string
		want                   int
	}{
		"good":          {"account_credentials", fake.Account, fake.Secret, 200},
		"other grant":   {"client_credentials", fake.Account, fake.Secret, 400},
		"other account": {"account_credentials", "x", fake.Secret, 400},
		"wrong secret":  {"account_credentials", fake.Account, "x", 400},
	} {
		if status, body := c.login(tt.grant, tt.account, tt.secret); status != tt.want {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	c.Advance(fake.TokenLife)
	c.is("GET", "/users", 401, 124)
}

// What is left out has the vendor's own default, which is not the one that is
// needed.
func TestDefaults(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	agent, host := c.idOf(company.Agent), c.idOf(fake.Desk)
	c.rows("/users", "users", 3) // active ones
	c.rows("/users?status=inactive", "users", 1)
	c.rows("/users?status=pending", "users", 1)
	c.rows("/users/"+agent+"/meetings", "meetings", 0) // that run now
	c.rows("/users/"+agent+"/meetings?type=scheduled", "meetings", 1)
	c.rows("/webinars/86000001009/registrants", "registrants", 0) // approved ones
	c.rows("/webinars/86000001009/registrants?status=pending", "registrants", 1)
	c.rows("/meetings/86000001006/registrants", "registrants", 0) // of no occurrence
	c.rows("/meetings/86000001006/registrants?occurrence_id=1700604800000", "registrants", 1)
	c.rows("/phone/call_history?from=2026-05-20&to=2026-06-18", "call_logs", 1) // recorded ones
	c.rows("/phone/call_history?from=2026-08-01&to=2026-08-29", "call_history", 0)
	c.rows("/phone/call_history?from=2026-08-01&to=2026-08-29&recording_status=non_recorded", "call_history", 2)
	c.rows("/phone/users/"+agent+"/call_history", "call_elements", 0) // of a day
	c.is("DELETE", "/meetings/%252FaBc%252F%252FdEf%252BgHi%253D%253D/recordings", 204, 0)
	c.rows("/users/"+agent+"/recordings?from=2026-07-01&to=2026-07-30&trash=true", "meetings", 1)
	c.is("DELETE", "/users/"+host, 204, 0)
	c.Change(func(d *fake.Data) {
		if u := d.Users[host]; u == nil || u.Status != fake.Left || u.Email == "" {
			t.Error("who is only taken out of the account leaves everything there")
		}
	})
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	agent, owner, invited := c.idOf(company.Agent), c.idOf("owner@example.test"), c.idOf("invited@example.test")
	c.is("DELETE", "/users/"+owner+"?action=delete", 400, 200)
	c.is("DELETE", "/users/"+invited+"?action=delete", 400, 300)
	c.is("DELETE", "/users/"+invited+"?action=disassociate", 204, 0)
	c.Change(func(d *fake.Data) { d.Busy[agent] = start.Add(time.Second) })
	c.is("DELETE", "/users/"+agent+"?action=delete", 429, 429)
	c.Advance(time.Second)
	c.is("DELETE", "/users/"+agent+"?action=delete", 204, 0)
	c.is("GET", "/users/"+company.Agent, 404, 1001)
	c.is("DELETE", "/users/"+agent+"?action=delete", 404, 1001)
	c.is("GET", "/webinars/86000001008", 404, 3001) // it went with its host
	c.is("DELETE", "/webinars/86000001009/registrants/none", 400, 300)
	c.is("DELETE", "/webinars/86000001009/panelists", 204, 0)
	c.rows("/webinars/86000001009/panelists", "panelists", 0)
}

// The same code means something else at each endpoint.
func TestPaths(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.is("GET", "/users/workshop.host+zoom@example.test", 404, 1001) // a plus is a space
	c.is("GET", "/users/workshop.host%2Bzoom@example.test", 200, 0)
	c.is("GET", "/past_webinars/%2FaBc%2F%2FdEf+gHi==/participants", 404, 3001)
	c.is("GET", "/past_webinars/%252FaBc%252F%252FdEf%252BgHi%253D%253D/participants", 200, 0)
	c.is("GET", "/report/webinars/oLd==/participants", 404, 3001) // reports reach back half a year
	c.is("GET", "/past_webinars/oLd==/participants", 200, 0)
	c.is("GET", "/phone/users/nobody@example.test/call_history", 404, 300)
	c.is("GET", "/phone/users/nobody@example.test", 404, 1001)
	c.is("GET", "/meetings/86000001007/registrants", 400, 300) // nobody has to register
	c.is("GET", "/report/users/"+company.Agent+"/meetings?from=2026-01-01&to=2026-01-30", 400, 300)
}

// A page token dies after a quarter of an hour, and is good for its list only.
func TestPage(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	body := c.is("GET", "/users?page_size=2", 200, 0)
	token := url.QueryEscape(body["next_page_token"].(string))
	c.rows("/users?page_size=2&next_page_token="+token, "users", 1)
	c.is("GET", "/users?page_size=2&status=inactive&next_page_token="+token, 400, 300)
	c.is("GET", "/users?page_size=2&next_page_token=x", 400, 300)
	c.is("GET", "/users?page_size=301", 400, 300)
	c.Advance(fake.PageLife)
	c.is("GET", "/users?page_size=2&next_page_token="+token, 400, 300)
}

func TestLimit(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	s := fake.New(fake.Options{PerSecond: 2, Options: fakekit.Options{Now: func() time.Time { return start }}})
	c.Server = s
	_, body := c.login("account_credentials", fake.Account, fake.Secret)
	c.token = body["access_token"].(string)
	for range 2 {
		c.is("GET", "/users", 200, 0)
	}
	c.is("GET", "/users", 429, 429)
	s.Advance(time.Second)
	c.is("GET", "/users", 200, 0)
}

// Everything outlives a restart.
func TestSaveRestore(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.AddSession(fake.Session{Event: "86000001007", Host: c.idOf(company.Agent), Participants: []fake.Participant{{Name: "A", Minutes: 1}, {Name: "B", Minutes: 2}}})
	c.AddAudio(fake.Audio{Kind: "voice_mails"})
	text, err := c.Save()
	if err != nil {
		t.Fatal(err)
	}
	other := fake.New(fake.Options{Empty: true, Options: fakekit.Options{Now: func() time.Time { return start }}})
	if err := other.Restore(text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.State(), other.State()); diff != "" {
		t.Error(diff)
	}
}
