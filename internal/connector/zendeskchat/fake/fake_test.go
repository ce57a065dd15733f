package fake_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/zendeskchat/fake"
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
	status, body := c.ask("avow", "chat-secret", "client_credentials", "read write")
	token, ok := body["access_token"].(string)
	if status != 200 || !ok {
		c.t.Fatalf("%d %v", status, body)
	}
	c.token = token
}

// ask asks for a token.
func (c *client) ask(id, secret, grant, scope string) (int, map[string]any) {
	form := url.Values{"grant_type": {grant}, "client_id": {id}, "client_secret": {secret}, "scope": {scope}}
	r := httptest.NewRequest("POST", "/oauth2/chat/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	var body map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &body)
	return w.Code, body
}

func (c *client) do(method, path, body string) (int, []byte, http.Header) {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "example.zendesk.com"
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Result().Body)
	return w.Code, text, w.Result().Header
}

const api = "/api/v2/chat"

func (c *client) status(method, path, body string, want int) map[string]any {
	c.t.Helper()
	got, text, _ := c.do(method, api+path, body)
	if got != want {
		c.t.Fatalf("%s %s: %d %s, want %d", method, path, got, text, want)
	}
	var decoded map[string]any
	_ = json.Unmarshal(text, &decoded)
	return decoded
}

func (c *client) search(q string) (ids []string, count int) {
	c.t.Helper()
	body := c.status("GET", "/chats/search?q="+url.QueryEscape(q), "", 200)
	for _, one := range body["results"].([]any) {
		ids = append(ids, one.(map[string]any)["id"].(string))
	}
	return ids, int(body["count"].(float64))
}

// A token is for confidential clients, and good for five minutes.
func TestToken(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	c.status("GET", "/agents", "", 200)
	c.Advance(fake.TokenLife)
	c.status("GET", "/agents", "", 401)
	c.token = ""
	c.status("GET", "/agents", "", 401)
	for name, tt := range map[string]struct {
		id, secret, grant, scope string
		status                   int
		code                     string
	}{
		"wrong secret": {"avow", "x", "client_credentials", "read", 401, "invalid_client"},
		"wrong client": {"x", "chat-secret", "client_credentials", "read", 401, "invalid_client"},
		"wrong grant":  {"avow", "chat-secret", "password", "read", 400, "unsupported_grant_type"},
		"no scope":     {"avow", "chat-secret", "client_credentials", "", 400, "invalid_scope"},
	} {
		if status, body := c.ask(tt.id, tt.secret, tt.grant, tt.scope); status != tt.status || body["error"] != tt.code {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	c.SaveClient()
	if status, body := c.ask("avow", "chat-secret", "client_credentials", "read"); status != 401 || body["error"] != "invalid_client" {
		t.Errorf("a public client: %d %v", status, body)
	}
	c.Confidential()
	c.login()
	c.SetSecret("another")
	c.status("GET", "/agents", "", 401)
	endless := newClient(t, fake.Options{Endless: true})
	endless.Advance(365 * 24 * time.Hour)
	endless.status("GET", "/agents", "", 200)
}

// Below the other path there is nothing.
func TestPath(t *testing.T) {
	t.Parallel()
	for path, other := range map[string]string{"/api/v2": "/api/v2/chat", "/api/v2/chat": "/api/v2"} {
		c := newClient(t, fake.Options{Path: path})
		if status, _, _ := c.do("GET", path+"/agents", ""); status != 200 {
			t.Errorf("%s: %d", path, status)
		}
		if status, _, _ := c.do("GET", other+"/agents", ""); status != 404 {
			t.Errorf("%s: %d", other, status)
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	for q, want := range map[string]int{
		"visitor_email:ines@example.test": 7, `visitor_email:"INES@example.test"`: 7, `visitor_email:"nobody"`: 0, `visitor_name:"Martin Inès"`: 7, `visitor_phone:"0199001122"`: 2,
		`agent_names:"Sam Agent"`: 37, "type:offline_msg": 1, `type:chat AND visitor_email:"ines@example.test"`: 6, `"ines@example.test"`: 7,
		"visitor_email:ines AND timestamp:[2020-01-01T00:00:00Z TO *]": 7, "visitor_email:ines AND timestamp:[* TO 2020-01-01T00:00:00Z]": 0,
	} {
		if _, got := c.search(q); got != want {
			t.Errorf("%s: %d, want %d", q, got, want)
		}
	}
	for _, q := range []string{"", `""`, "visitor_mail:x", `visitor_name:"x`, `visitor_name:"a" OR "b"`, "timestamp:[a TO b]", "timestamp:2020"} {
		c.status("GET", "/chats/search?q="+url.QueryEscape(q), "", 400)
	}
	c.status("GET", "/chats/search?q=type:chat&page=-1", "", 400)
	c.status("GET", "/chats/search?q=type:chat&page=x", "", 400)
}

// The index is behind, in both directions.
func TestSearch_lag(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	id := c.AddChat(fake.Chat{Visitor: fake.Visitor{Name: "New", Email: "new@example.test"}})
	if _, n := c.search("visitor_email:new@"); n != 0 {
		t.Error("the search knows at once")
	}
	c.status("GET", "/chats/"+id, "", 200)
	c.Advance(fake.IndexLag)
	c.login()
	if _, n := c.search("visitor_email:new@"); n != 1 {
		t.Error("the search never knows")
	}
	c.do("DELETE", api+"/chats/"+id, "")
	if _, n := c.search("visitor_email:new@"); n != 1 {
		t.Error("the search forgets at once")
	}
	c.status("GET", "/chats/"+id, "", 404)
	c.Advance(fake.IndexLag)
	c.login()
	if _, n := c.search("visitor_email:new@"); n != 0 {
		t.Error("the search never forgets")
	}
}

// 40 hits on a page, pages 0 and 1 are the same, and there are 250.
func TestSearch_pagesZeroAndOne(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	page := func(n string) map[string]any { return c.status("GET", "/chats/search?q=type:chat"+n, "", 200) }
	if diff := cmp.Diff(page("&page=0"), page("&page=1")) + cmp.Diff(page(""), page("&page=1")); diff != "" {
		t.Error(diff)
	}
	seen, next := map[string]bool{}, api+"/chats/search?q=type:chat"
	for range 10 {
		_, text, _ := c.do("GET", next, "")
		var body struct {
			Results []struct{ ID string }
			Next    *string `json:"next_url"`
		}
		if err := json.Unmarshal(text, &body); err != nil || len(body.Results) > 40 {
			t.Fatalf("%s", text)
		}
		for _, one := range body.Results {
			seen[one.ID] = true
		}
		if body.Next == nil {
			break
		}
		next = strings.TrimPrefix(*body.Next, "https://example.zendesk.com")
	}
	if _, count := c.search("type:chat"); len(seen) != count || count < 41 {
		t.Errorf("%d of %d", len(seen), count)
	}
	if got := page("&page=250")["results"].([]any); len(got) != 0 {
		t.Errorf("%v", got)
	}
	c.status("GET", "/chats/search?q=type:chat&page=251", "", 400)
}

// docs is an object, and null stands for what does not exist.
func TestDocs(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	id := c.Find(company.Ines)[0]
	body := c.status("GET", "/chats?ids="+id+",2604.1.gone", "", 200)
	docs := body["docs"].(map[string]any)
	if gone, there := docs["2604.1.gone"]; !there || gone != nil || docs[id].(map[string]any)["id"] != id || body["count"] != 1.0 {
		t.Errorf("%v", body)
	}
	c.status("GET", "/chats?ids=", "", 400)
	c.status("GET", "/chats", "", 400)
	c.status("GET", "/chats?ids="+strings.Repeat("a,", 50)+"a", "", 400)
	short := newClient(t, fake.Options{Short: true})
	if docs := short.status("GET", "/chats?ids=2604.1.gone", "", 200)["docs"].(map[string]any); len(docs) != 0 {
		t.Errorf("%v", docs)
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	id := c.Find(company.Leo)[0]
	v := c.status("PUT", "/chats/"+id, `{"visitor":{"name":"Leo P"},"tags":["a"]}`, 200)
	if got := v["visitor"].(map[string]any); got["name"] != "Leo P" || got["email"] != company.Leo || fmt.Sprint(v["tags"]) != "[a]" {
		t.Errorf("%v", v)
	}
	c.status("PUT", "/chats/"+id, `[`, 400)
	c.status("PUT", "/chats/2604.1.gone", `{}`, 404)
	fixed := newClient(t, fake.Options{Fixed: true})
	if v := fixed.status("PUT", "/chats/"+fixed.Find(company.Leo)[0], `{"visitor":{"name":"X"}}`, 200); v["visitor"].(map[string]any)["name"] != "Léo Petit" {
		t.Errorf("%v", v)
	}
}

// Deleting is final, and for administrators; many at once is not allowed.
func TestDelete(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	mine := c.Find(company.Ines)
	c.AgentOnly(true)
	c.status("DELETE", "/chats/"+mine[0], "", 403)
	c.AgentOnly(false)
	statuses := map[int]int{}
	for _, id := range mine {
		status, _, _ := c.do("DELETE", api+"/chats/"+id, "")
		statuses[status]++
		c.status("DELETE", "/chats/"+id, "", 404)
		c.status("GET", "/chats/"+id, "", 404)
	}
	if statuses[200] != 3 || statuses[204] != 3 || len(c.State().Files) != 0 {
		t.Errorf("%v, files %v", statuses, c.State().Files)
	}
	before := len(c.State().Chats)
	c.status("DELETE", "/chats", "", 400)
	if len(c.State().Chats) != before {
		t.Error("all are gone")
	}
}

// Each endpoint has a limit of its own, and says in seconds when it is worth
// another try; every second answer is a page.
func TestLimit(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	for range fake.PerMinute {
		c.status("GET", "/agents", "", 200)
	}
	pages := 0
	for range 4 {
		status, _, header := c.do("GET", api+"/agents", "")
		if status != 429 || header.Get("Retry-After") != "60" {
			t.Errorf("%d %v", status, header)
		}
		if strings.HasPrefix(header.Get("Content-Type"), "text/html") {
			pages++
		}
	}
	c.status("GET", "/chats/search?q=type:chat", "", 200)
	c.Advance(time.Minute)
	c.status("GET", "/agents", "", 200)
	if pages != 2 || c.Beyond() != 4 {
		t.Errorf("%d pages, %d beyond", pages, c.Beyond())
	}
}

func TestAgents(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	list := func(query string) (list []fake.Agent) {
		_, text, _ := c.do("GET", api+"/agents"+query, "")
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatal(err)
		}
		return list
	}
	if all := list(""); len(all) != 2 || all[1].Email != company.Agent {
		t.Errorf("%v", all)
	}
	if some := list("?limit=1&since_id=1"); len(some) != 1 || some[0].ID != 2 {
		t.Errorf("%v", some)
	}
}

// Files lie at another host, which must not get the token.
func TestFiles(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Empty: true})
	id := c.AddChat(fake.Chat{})
	file := c.AddFile(id, "a.txt", "text/plain", "ab", 5)
	chat := c.status("GET", "/chats/"+id, "", 200)
	link := chat["history"].([]any)[0].(map[string]any)["attachment"].(map[string]any)["url"].(string)
	path, ok := strings.CutPrefix(link, "https://files.zopim.test")
	if !ok {
		t.Fatal(link)
	}
	if status, _, _ := c.do("GET", path, ""); status != 400 || c.Calls()[len(c.Calls())-1].Route != "LEAKED TOKEN" {
		t.Errorf("with a token: %d", status)
	}
	c.token = ""
	if status, text, _ := c.do("GET", path, ""); status != 200 || string(text) != "ababa" {
		t.Errorf("%d %q", status, text)
	}
	if status, _, _ := c.do("GET", path+"x", ""); status != 400 {
		t.Errorf("a signature that was changed: %d", status)
	}
	c.DropFile(file)
	if status, _, _ := c.do("GET", path, ""); status != 404 {
		t.Errorf("a file that is gone: %d", status)
	}
}

func TestSaveRestore(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	id := c.AddChat(fake.Chat{Visitor: fake.Visitor{Email: "new@example.test"}})
	text, err := c.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := newClient(t, fake.Options{Empty: true})
	if err := again.Restore(text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.State(), again.State()); diff != "" {
		t.Error(diff)
	}
	again.Advance(fake.IndexLag)
	again.login()
	if ids, _ := again.search("visitor_email:new@"); len(ids) != 1 || ids[0] != id {
		t.Errorf("%v", ids)
	}
	if next := again.AddChat(fake.Chat{}); next == id {
		t.Error("an id is given twice")
	}
}
