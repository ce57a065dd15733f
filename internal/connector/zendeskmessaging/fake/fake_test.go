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
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
)

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

// client speaks to a fake the way curl would.
type client struct {
	*fake.Server
	t      *testing.T
	secret string
}

func newClient(t *testing.T, o fake.Options) *client {
	t.Helper()
	o.Now = func() time.Time { return start }
	return &client{Server: fake.New(o), t: t, secret: fake.Secret}
}

// do makes a call below the app and wants a status.
func (c *client) do(want int, method, path, body string) map[string]any {
	c.t.Helper()
	r := httptest.NewRequest(method, "/sc/v2/apps/"+fake.App+path, strings.NewReader(body))
	r.Host = "example.zendesk.com"
	if c.secret != "" {
		r.SetBasicAuth(fake.ID, c.secret)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if w.Code != want {
		c.t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
	}
	var decoded map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &decoded); err != nil && w.Body.Len() > 0 {
		c.t.Fatal(err)
	}
	return decoded
}

// code is the vendor's code of an answer.
func code(answer map[string]any) string {
	return answer["errors"].([]any)[0].(map[string]any)["code"].(string)
}

// size is how many records a list has.
func size(answer map[string]any, list string) int { return len(answer[list].([]any)) }

// file reads a file at its address.
func (c *client) file(want int, address string, credentials bool) string {
	c.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		c.t.Fatal(err)
	}
	r := httptest.NewRequest("GET", u.RequestURI(), nil)
	if credentials {
		r.SetBasicAuth(fake.ID, c.secret)
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if w.Code != want {
		c.t.Fatalf("GET %s: %d, want %d", address, w.Code, want)
	}
	text, _ := io.ReadAll(w.Result().Body)
	return string(text)
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	ines := "/users/" + c.Find(company.Ines)
	c.do(200, "GET", ines, "")
	c.secret = "wrong"
	if got := code(c.do(401, "GET", ines, "")); got != "unauthorized" {
		t.Error(got)
	}
	c.SetSecret("wrong")
	c.do(200, "GET", ines, "")
	c.secret = ""
	c.do(401, "DELETE", ines, "")
	r := httptest.NewRequest("GET", "/sc/v2/apps/another"+ines, nil)
	r.SetBasicAuth(fake.ID, "wrong")
	w := httptest.NewRecorder()
	if c.ServeHTTP(w, r); w.Code != 404 {
		t.Errorf("another app: %d", w.Code)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	if n := len(c.State().Users); n != company.Size+1 {
		t.Errorf("%d users", n)
	}
	for query, want := range map[string]int{company.Ines: 1, strings.ToUpper(company.Ines): 1, "ines": 0, "nobody@example.test": 0} {
		if got := size(c.do(200, "GET", "/users?filter[identities.email]="+query, ""), "users"); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	c.do(400, "GET", "/users", "") // it would be everybody
	c.do(400, "GET", "/users?filter[identities.email]=", "")
	byExternal := c.do(200, "GET", "/users/customer-1001", "")["user"].(map[string]any)
	if byExternal["id"] != c.Find(company.Ines) {
		t.Errorf("%v", byExternal)
	}
	c.AddUser(fake.User{ExternalID: "b-1", BrandID: "7"})
	c.do(404, "GET", "/users/b-1", "")
	c.do(200, "GET", "/users/b-1?brandId=7", "")
	if got := code(c.do(404, "GET", "/users/none", "")); got != "user_not_found" {
		t.Error(got)
	}
	c.do(404, "DELETE", "/users/", "") // never everybody
}

func TestPatch(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		merges bool
		want   map[string]string
	}{
		"replaces": {false, map[string]string{"surname": "Durand"}},
		"merges":   {true, map[string]string{"surname": "Durand", "givenName": "Inès", "locale": "fr"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, fake.Options{Merges: tt.merges})
			path := "/users/" + c.Find(company.Ines)
			c.do(200, "PATCH", path, `{"profile":{"surname":"Durand","email":null}}`)
			if diff := cmp.Diff(tt.want, c.State().Users[0].Profile); diff != "" {
				t.Error(diff)
			}
			for _, body := range []string{
				`{"profile":{"surname":""}}`, `{"profile":{"nickname":"x"}}`, `{"profile":{"email":"x"}}`, `{"profile":{"surname":"` + strings.Repeat("x", 129) + `"}}`,
				`{"identities":[]}`, `{"metadata":{"a":[1]}}`, `{"metadata":{"a":"` + strings.Repeat("x", 4<<10) + `"}}`, `x`,
			} {
				c.do(400, "PATCH", path, body)
			}
			c.do(413, "PATCH", path, `{"metadata":{"a":"`+strings.Repeat("x", 100<<10)+`"}}`)
		})
	}
}

// A user is shown until it is gone, and takes its own things along; what is not
// its own goes, too, if it is still part of it.
func TestDeleteUser(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	leo := c.Find(company.Leo)
	before := len(c.State().Conversations)
	c.do(200, "DELETE", "/users/"+leo, "")
	c.do(200, "DELETE", "/users/"+leo, "")
	c.do(200, "GET", "/users/"+leo, "")
	c.Advance(20 * time.Minute)
	c.do(404, "GET", "/users/"+leo, "")
	c.do(404, "DELETE", "/users/"+leo, "")
	c.do(404, "GET", "/conversations?filter[userId]="+leo, "")
	if n := len(c.State().Conversations); n != before-1 {
		t.Errorf("%d conversations of %d", n, before)
	}
	state, _ := json.Marshal(c.State())
	if strings.Contains(string(state), company.Leo) || strings.Contains(string(state), leo) {
		t.Error("something of him is left")
	}
}

func TestPersonalInformation(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	leo := c.Find(company.Leo)
	u := c.do(200, "DELETE", "/users/"+leo+"/personalinformation", "")["user"].(map[string]any)
	if u["id"] != leo || u["externalId"] != "customer-1002" || len(u["identities"].([]any)) != 0 || len(u["metadata"].(map[string]any)) != 0 {
		t.Errorf("%v", u)
	}
	clients := c.do(200, "GET", "/users/"+leo+"/clients", "")["clients"].([]any)
	for _, one := range clients {
		one := one.(map[string]any)
		if one["raw"] != nil || one["displayName"] != nil || one["type"] == "whatsapp" && one["externalId"] == nil {
			t.Errorf("%v", one)
		}
		want := map[any]int{"sdk": 400, "whatsapp": 200}[one["type"]]
		c.do(want, "DELETE", fmt.Sprintf("/users/%s/clients/%s", leo, one["id"]), "")
	}
	c.do(404, "DELETE", "/users/"+leo+"/clients/none", "")
	if n := size(c.do(200, "GET", "/users/"+leo+"/clients", ""), "clients"); n != 1 || len(clients) != 2 {
		t.Errorf("%d of %d clients", n, len(clients))
	}
}

func TestConversations(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	ines := c.Find(company.Ines)
	c.do(400, "GET", "/conversations", "") // it would be everybody's
	c.do(400, "GET", "/conversations?filter[userId]="+ines+"&filter[userExternalId]=customer-1001", "")
	c.do(200, "GET", "/conversations?filter[userExternalId]=customer-1001", "")
	list := c.do(200, "GET", "/conversations?filter[userId]="+ines, "")["conversations"].([]any)
	kinds := map[string]int{}
	for _, one := range list {
		one := one.(map[string]any)
		id := one["id"].(string)
		kind := fmt.Sprintf("%v %v", one["type"], one["isDefault"])
		kinds[kind]++
		switch kind {
		case "personal true":
			answer := c.do(400, "DELETE", "/conversations/"+id, "")
			if code(answer) != "bad_request" || !strings.Contains(fmt.Sprint(answer), "cannot be deleted because it is the default") {
				t.Errorf("%v", answer)
			}
			c.do(200, "DELETE", "/conversations/"+id+"/messages", "")
			if n := size(c.do(200, "GET", "/conversations/"+id+"/messages", ""), "messages"); n != 0 {
				t.Errorf("%d messages", n)
			}
			c.do(400, "POST", "/conversations/"+id+"/leave", `{"userId":"`+ines+`"}`)
		case "personal false":
			c.do(200, "DELETE", "/conversations/"+id, "")
			c.do(404, "DELETE", "/conversations/"+id, "")
			c.do(404, "GET", "/conversations/"+id, "")
		case "sdkGroup false":
			if n := size(c.do(200, "GET", "/conversations/"+id+"/participants", ""), "participants"); n != 3 {
				t.Errorf("%d participants", n)
			}
			c.do(400, "POST", "/conversations/"+id+"/leave", `{}`)
			c.do(200, "POST", "/conversations/"+id+"/leave", `{"userId":"`+ines+`"}`)
			c.do(404, "POST", "/conversations/"+id+"/leave", `{"userId":"`+ines+`"}`)
		}
	}
	if diff := cmp.Diff(map[string]int{"personal true": 1, "personal false": 2, "sdkGroup false": 1}, kinds); diff != "" {
		t.Error(diff)
	}
}

// The newest page first, then backwards; a cursor dies with what it names.
func TestMessages(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Empty: true})
	user := c.AddUser(fake.User{})
	talk := c.Talk(user)
	var all []string
	for i := range 250 {
		all = append(all, c.Say(talk, user, fmt.Sprint(i)))
	}
	var got []string
	cursor := ""
	for range 3 {
		path := "/conversations/" + talk + "/messages"
		if cursor != "" {
			path += "?page[before]=" + cursor
		}
		page := c.do(200, "GET", path, "")
		var ids []string
		for _, m := range page["messages"].([]any) {
			ids = append(ids, m.(map[string]any)["id"].(string))
		}
		got = append(ids, got...)
		cursor, _ = page["meta"].(map[string]any)["beforeCursor"].(string)
	}
	if diff := cmp.Diff(all, got); diff != "" || cursor != "" {
		t.Errorf("%s, cursor %q", diff, cursor)
	}
	c.do(200, "DELETE", "/conversations/"+talk+"/messages/"+all[100], "")
	c.do(404, "DELETE", "/conversations/"+talk+"/messages/"+all[100], "")
	c.do(400, "GET", "/conversations/"+talk+"/messages?page[before]="+all[100], "")
}

func TestMessages_placeholders(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Placeholders: true})
	leo := c.Find(company.Leo)
	talk := c.Talk(leo)
	id := c.Say(talk, leo, "secret")
	c.do(200, "DELETE", "/conversations/"+talk+"/messages/"+id, "")
	c.do(404, "DELETE", "/conversations/"+talk+"/messages/"+id, "")
	m := c.do(200, "GET", "/conversations/"+talk+"/messages", "")["messages"].([]any)[0].(map[string]any)
	if m["id"] != id || m["deleted"] != true || m["content"] != nil {
		t.Errorf("%v", m)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Empty: true})
	user := c.AddUser(fake.User{})
	for range 30 {
		c.Talk(user)
	}
	base := "/conversations?filter[userId]=" + user
	first := c.do(200, "GET", base, "")
	meta := first["meta"].(map[string]any)
	if size(first, "conversations") != 25 || meta["hasMore"] != true {
		t.Fatalf("%v", meta)
	}
	second := c.do(200, "GET", base+"&page[after]="+meta["afterCursor"].(string), "")
	if size(second, "conversations") != 5 || second["meta"].(map[string]any)["hasMore"] != false {
		t.Errorf("%v", second["meta"])
	}
	back := c.do(200, "GET", base+"&page[before]="+second["meta"].(map[string]any)["beforeCursor"].(string), "")
	if size(back, "conversations") != 25 {
		t.Errorf("%d", size(back, "conversations"))
	}
	for _, bad := range []string{"page[size]=101", "page[size]=0", "page[size]=x", "page[after]=none", "page[after]=a&page[before]=b"} {
		c.do(400, "GET", base+"&"+bad, "")
	}
}

// A file goes with its message if it was uploaded for it, else only by its
// address, and copies are served a while longer.
func TestFiles(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Empty: true})
	user := c.AddUser(fake.User{})
	c.Talk(user)
	talk := c.Talk(user)
	for _, f := range []fake.File{{ForMessage: true}, {}, {Private: true}, {Foreign: "https://badhost.example.test"}} {
		f.File = fakekit.File{Name: "a b.txt", MediaType: "text/plain", Text: "x", Size: 3}
		c.SendFile(talk, user, f)
	}
	var address []string
	for _, m := range c.do(200, "GET", "/conversations/"+talk+"/messages", "")["messages"].([]any) {
		address = append(address, m.(map[string]any)["content"].(map[string]any)["mediaUrl"].(string))
	}
	if !strings.HasPrefix(address[0], "https://media.smooch.test/") || !strings.HasPrefix(address[2], "https://example.zendesk.com/sc/attachments/") {
		t.Fatalf("%q", address)
	}
	if got := c.file(200, address[0], false); got != "xxx" {
		t.Errorf("%q", got)
	}
	c.file(400, address[0], true)
	if calls := c.Calls(); calls[len(calls)-1].Route != "LEAKED TOKEN" {
		t.Error("credentials at the wrong host are not noted")
	}
	c.file(401, address[2], false)
	c.file(200, address[2], true)
	remove := func(want int, address string) {
		t.Helper()
		body, _ := json.Marshal(map[string]string{"mediaUrl": address})
		c.do(want, "POST", "/attachments/remove", string(body))
	}
	remove(400, "")
	remove(400, address[3])
	remove(400, strings.Replace(address[1], "media.smooch.test", "other.test", 1))
	remove(404, "https://media.smooch.test/_media/none/x")
	c.do(200, "DELETE", "/conversations/"+talk, "")
	remove(404, address[0]) // with its message
	remove(200, address[1])
	remove(404, address[1])
	remove(200, address[2])
	c.file(200, address[1], false)
	c.Advance(15 * time.Minute)
	c.file(404, address[1], false)
	c.file(404, address[2], true)
}

func TestLimits(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{PerMinute: 2})
	path := "/users/" + c.Find(company.Ines)
	c.do(200, "GET", path, "")
	c.do(200, "GET", path, "")
	r := httptest.NewRequest("GET", "/sc/v2/apps/"+fake.App+path, nil)
	r.SetBasicAuth(fake.ID, fake.Secret)
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "" {
		t.Errorf("%d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	c.Advance(time.Minute)
	c.do(200, "GET", path, "")
}

// All that the vendor holds outlives a restart.
func TestSave(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	c.do(200, "DELETE", "/users/"+c.Find(company.Leo), "")
	kept, err := c.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := newClient(t, fake.Options{Empty: true})
	if err := again.Restore(kept); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.State(), again.State()); diff != "" {
		t.Error(diff)
	}
	again.Advance(20 * time.Minute)
	if again.Find(company.Leo) != "" {
		t.Error("a deletion that had begun never ends")
	}
}
