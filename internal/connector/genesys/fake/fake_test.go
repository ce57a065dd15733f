package fake_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/genesys/fake"
)

// client is a client of the API that is not Avow's.
type client struct {
	*fake.Server
	t     *testing.T
	token string
}

func newClient(t *testing.T, o fake.Options) *client {
	t.Helper()
	o.Now = func() time.Time { return time.Date(2026, 9, 15, 12, 0, 0, 0, time.UTC) }
	c := &client{Server: fake.New(o), t: t}
	c.login()
	return c
}

func (c *client) login() {
	c.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "https://login.mypurecloud.ie/oauth/token", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(fake.ID, fake.Secret)
	_, body := c.send(r)
	c.token, _ = body["access_token"].(string)
}

// pass lets time pass. Tokens do not last as long as a request.
func (c *client) pass(d time.Duration) {
	c.t.Helper()
	c.Advance(d)
	c.login()
}

func (c *client) send(r *http.Request) (*http.Response, map[string]any) {
	c.t.Helper()
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	body := map[string]any{}
	_ = json.Unmarshal(w.Body.Bytes(), &body)
	return w.Result(), body
}

func (c *client) do(method, path, body string) (status int, answer map[string]any) {
	c.t.Helper()
	r := httptest.NewRequest(method, "https://api.mypurecloud.ie"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+c.token)
	response, answer := c.send(r)
	return response.StatusCode, answer
}

func TestToken(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	for name, r := range map[string]*http.Request{
		"in the form": httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader("grant_type=client_credentials&client_id=avow&client_secret=genesys-secret")),
		"as JSON":     httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(`{"grant_type":"client_credentials"}`)),
	} {
		if name == "as JSON" {
			r.SetBasicAuth(fake.ID, fake.Secret)
		}
		if response, body := c.send(r); response.StatusCode < 400 || body["error"] == nil {
			t.Errorf("%s: %d %v", name, response.StatusCode, body)
		}
	}
	c.Advance(fake.Token)
	if status, body := c.do("GET", "/api/v2/gdpr/requests", ""); status != 401 || body["code"] != "bad.credentials" {
		t.Errorf("%d %v", status, body)
	}
}

// What may not be asked for is refused, and nothing is begun.
func TestCreate_refused(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	const subject = `"subject":{"emailAddresses":["ines@example.test"]}`
	const terms = `"replacementTerms":[{"type":"EMAIL","existingValue":"a","updatedValue":"b"}]`
	for name, tt := range map[string]struct{ query, body string }{
		"GDPR_DELETE without deleteConfirmed":  {"", `{"requestType":"GDPR_DELETE",` + subject + `}`},
		"deleteConfirmed=false":                {"?deleteConfirmed=false", `{"requestType":"GDPR_DELETE",` + subject + `}`},
		"GDPR_DELETE with replacementTerms":    {"?deleteConfirmed=true", `{"requestType":"GDPR_DELETE",` + subject + `,` + terms + `}`},
		"GDPR_EXPORT with replacementTerms":    {"", `{"requestType":"GDPR_EXPORT",` + subject + `,` + terms + `}`},
		"GDPR_UPDATE without replacementTerms": {"", `{"requestType":"GDPR_UPDATE",` + subject + `}`},
		"an unknown type":                      {"", `{"requestType":"GDPR_FORGET",` + subject + `}`},
		"nobody":                               {"", `{"requestType":"GDPR_EXPORT","subject":{}}`},
		"no JSON":                              {"", `x`},
	} {
		if status, body := c.do("POST", "/api/v2/gdpr/requests"+tt.query, tt.body); status != 400 || body["code"] != "bad.request" || body["status"] != 400.0 {
			t.Errorf("%s: %d %v", name, status, body)
		}
	}
	if _, body := c.do("GET", "/api/v2/gdpr/requests", ""); body["total"] != 0.0 {
		t.Errorf("%v", body)
	}
}

// A request takes days and goes through its stages.
func TestRequest(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	status, made := c.do("POST", "/api/v2/gdpr/requests?deleteConfirmed=true", `{"requestType":"GDPR_DELETE","subject":{"emailAddresses":["ines@example.test"]}}`)
	id, _ := made["id"].(string)
	if status != 202 || id == "" {
		t.Fatalf("%d %v", status, made)
	}
	var stages []string
	for range 5 {
		_, body := c.do("GET", "/api/v2/gdpr/requests/"+id, "")
		stages = append(stages, body["status"].(string))
		c.pass(fake.Work / 4)
	}
	if !slices.Equal(stages, []string{"INITIATED", "SEARCHING", "DELETING", "FINALIZING", "COMPLETED"}) {
		t.Errorf("%v", stages)
	}
	if _, body := c.do("GET", "/api/v2/gdpr/subjects?searchType=EMAIL&searchValue=ines@example.test", ""); body["total"] != 1.0 { // "nadines@…"
		t.Errorf("%v", body)
	}
	if status, _ := c.do("GET", "/api/v2/gdpr/requests/none", ""); status != 404 {
		t.Error(status)
	}
}

// Several identifiers in one subject match other people: why a client sends one.
func TestRequest_mixed(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	c.do("POST", "/api/v2/gdpr/requests?deleteConfirmed=true", `{"requestType":"GDPR_DELETE","subject":{"emailAddresses":["leo@example.test"],"phoneNumbers":["`+company.Shared+`"]}}`)
	c.pass(fake.Work)
	if strings.Contains(c.State(), company.Mo) {
		t.Error("Mo is still there")
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{PageSize: 2})
	if status, _ := c.do("GET", "/api/v2/gdpr/subjects?searchType=SHOE&searchValue=40", ""); status != 400 {
		t.Error(status)
	}
	link, n := "/api/v2/gdpr/subjects?searchType=EMAIL&searchValue=INES@example.test", 0
	for link != "" {
		_, body := c.do("GET", link, "")
		n += len(body["entities"].([]any))
		link, _ = body["nextUri"].(string)
	}
	if n != 5 { // four of hers, and one that only contains the address
		t.Errorf("%d subjects", n)
	}
}

// The link to a result expires, is at another host, and wants no token there.
func TestResults(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	_, made := c.do("POST", "/api/v2/gdpr/requests", `{"requestType":"GDPR_EXPORT","subject":{"userId":"`+fake.UserID(1)+`"}}`)
	c.pass(fake.Work)
	_, made = c.do("GET", "/api/v2/gdpr/requests/"+made["id"].(string), "")
	link := strings.TrimPrefix(made["resultsUrl"].(string), "https://api.mypurecloud.com")
	if status, _ := c.do("GET", link, ""); status != 302 {
		t.Errorf("without issueRedirect: %d", status)
	}
	_, body := c.do("GET", link+"?issueRedirect=false", "")
	signed := body["url"].(string)
	get := func(token string) int {
		r := httptest.NewRequest(http.MethodGet, signed, nil)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		if text, _ := io.ReadAll(w.Result().Body); w.Code == 200 && !strings.HasPrefix(string(text), "PK") {
			t.Errorf("%q", text)
		}
		return w.Code
	}
	if strings.Contains(signed, "mypurecloud") || get(c.token) != 400 || get("") != 200 {
		t.Errorf("%s", signed)
	}
	if !slices.ContainsFunc(c.Calls(), func(call fakekit.Call) bool { return strings.Contains(call.Route, "token sent") }) {
		t.Error("a token at the wrong host goes unnoticed")
	}
	c.Advance(fake.Signed + time.Second)
	if get("") != 403 {
		t.Error("the link does not expire")
	}
}

// Each answer tells of the limit, which holds.
func TestLimit(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{PerMinute: 2})
	for n := 1; n <= 3; n++ {
		r := httptest.NewRequest(http.MethodGet, "https://api.mypurecloud.ie/api/v2/gdpr/requests", nil)
		r.Header.Set("Authorization", "Bearer "+c.token)
		response, _ := c.send(r)
		if (response.StatusCode == 429) != (n > 2) || response.Header.Get("Inin-Ratelimit-Allowed") != "2" || response.Header.Get("Inin-Ratelimit-Reset") != "60" {
			t.Errorf("call %d: %d %v", n, response.StatusCode, response.Header)
		}
	}
	c.Advance(time.Minute)
	if status, _ := c.do("GET", "/api/v2/gdpr/requests", ""); status != 200 {
		t.Error(status)
	}
}

// The directory's deletion is soft.
func TestUsers(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	path := "/api/v2/users/" + fake.UserID(1)
	for _, want := range []struct {
		method, query string
		status        int
	}{{"GET", "", 200}, {"DELETE", "", 200}, {"DELETE", "", 404}, {"GET", "", 404}, {"GET", "?state=deleted", 200}} {
		if status, _ := c.do(want.method, path+want.query, ""); status != want.status {
			t.Errorf("%+v: %d", want, status)
		}
	}
	if status, _ := c.do("POST", "/api/v2/users/search", `{"query":[{"type":"CONTAINS","fields":["email"],"value":"a"}]}`); status != 400 {
		t.Error(status)
	}
}

// What the fake holds outlives a restart.
func TestSave(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	c.do("POST", "/api/v2/gdpr/requests?deleteConfirmed=true", `{"requestType":"GDPR_DELETE","subject":{"emailAddresses":["leo@example.test"]}}`)
	text, err := c.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := newClient(t, fake.Options{Empty: true})
	if err := again.Restore(text); err != nil || again.State() != c.State() {
		t.Fatal(err)
	}
	again.pass(fake.Work)
	if strings.Contains(again.State(), company.Leo) {
		t.Error("the request is forgotten")
	}
}
