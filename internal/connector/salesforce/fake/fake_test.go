package fake_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/salesforce/fake"
)

var start = time.Date(2026, 9, 15, 12, 0, 0, 0, time.UTC)

const api = "/services/data/v" + fake.Version

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
	status, body := c.login("avow.my.salesforce.com", fake.Secret)
	if c.token, _ = body["access_token"].(string); status != 200 || c.token == "" {
		t.Fatalf("%d %v", status, body)
	}
	if _, says := body["expires_in"]; says {
		t.Error("a login does not say how long it lasts")
	}
	return c
}

func (c *client) login(host, secret string) (int, map[string]any) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {fake.ID}, "client_secret": {secret}}
	r := httptest.NewRequest("POST", "https://"+host+"/services/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	var body map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		c.t.Fatal(err)
	}
	return w.Code, body
}

// do makes a call; what is sent is JSON, or CSV.
func (c *client) do(method, path, sent string) (int, string) {
	c.t.Helper()
	r := httptest.NewRequest(method, api+path, strings.NewReader(sent))
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(sent, "Id") {
		r.Header.Set("Content-Type", "text/csv")
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// is expects a status and a part of the answer.
func (c *client) is(method, path, sent string, status int, part string) string {
	c.t.Helper()
	got, body := c.do(method, path, sent)
	if got != status || !strings.Contains(body, part) {
		c.t.Errorf("%s %s: %d %s, want %d %s", method, path, got, body, status, part)
	}
	return body
}

func (c *client) rows(query string, want int) {
	c.t.Helper()
	path := "/query"
	if rest, ok := strings.CutPrefix(query, "ALL "); ok {
		path, query = "/queryAll", rest
	}
	_, body := c.do("GET", path+"?q="+url.QueryEscape(query), "")
	var page struct{ TotalSize int }
	if json.Unmarshal([]byte(body), &page) != nil || page.TotalSize != want {
		c.t.Errorf("%s: %s, want %d", query, body, want)
	}
}

func (c *client) contact(email string) string {
	for _, r := range c.Of("Contact") {
		if r.Fields["Email"] == email {
			return r.ID
		}
	}
	c.t.Fatal("there is no such contact")
	return ""
}

func TestToken(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	for _, host := range []string{"login.salesforce.com", "test.salesforce.com"} {
		if status, body := c.login(host, fake.Secret); status != 400 || body["error"] != "invalid_grant" {
			t.Errorf("%s: %d %v", host, status, body)
		}
	}
	if status, body := c.login("avow.my.salesforce.com", "x"); status != 400 || body["error"] != "invalid_client" {
		t.Errorf("%d %v", status, body)
	}
	c.Advance(fake.Session)
	c.is("GET", "/limits", "", 401, `"errorCode":"INVALID_SESSION_ID"`)
}

func TestQuery(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{PageSize: 60})
	id := c.contact(company.Ines)
	for query, want := range map[string]int{
		"SELECT Id FROM Contact": 101,
		"SELECT COUNT() FROM Contact WHERE Email = 'INES@EXAMPLE.TEST'":                         1,
		"SELECT Id FROM Contact WHERE Email IN ('leo@example.test','ines@example.test')":        2,
		"SELECT Id FROM Contact WHERE (Email = 'x' OR FirstName = 'Léo') AND DoNotCall = false": 1,
		"SELECT Id FROM EmailMessage WHERE ToAddress LIKE '%ines@example.test%'":                2,
		"SELECT Id FROM EmailMessage WHERE ToAddress LIKE '%i_es@example.test%'":                0, // this fake has no wildcards inside
		"SELECT Id FROM Contact WHERE IndividualId != null":                                     1,
		"SELECT Id FROM Contact WHERE Id > '" + id + "' ORDER BY Id LIMIT 5":                    5,
	} {
		c.rows(query, want)
	}
	for query, code := range map[string]string{
		"SELECT Id FROM Nothing": "INVALID_TYPE", "SELECT Nothing FROM Contact": "INVALID_FIELD", "SELECT Id FROM Contact WHERE Nothing = 'x'": "INVALID_FIELD",
		"SELECT Id FROM Contact WHERE Email = 'o'neil'": "MALFORMED_QUERY", "SELECT Id FROM Contact WHERE": "MALFORMED_QUERY", "SELECT Id FROM Contact; DELETE": "MALFORMED_QUERY",
		"SELECT Id FROM ContentDocumentLink": "MALFORMED_QUERY", `SELECT Id FROM Contact WHERE Email = '\x'`: "MALFORMED_QUERY", "": "MALFORMED_QUERY",
	} {
		c.is("GET", "/query?q="+url.QueryEscape(query), "", 400, code)
	}
	var page struct {
		Done    bool
		Next    string `json:"nextRecordsUrl"`
		Records []map[string]any
	}
	if err := json.Unmarshal([]byte(c.is("GET", "/query?q="+url.QueryEscape("SELECT Id FROM Contact"), "", 200, `"done":false`)), &page); err != nil || len(page.Records) != 60 {
		t.Fatalf("%v, %d", err, len(page.Records))
	}
	c.is("GET", strings.TrimPrefix(page.Next, api), "", 200, `"done":true`)
	c.is("GET", "/query/x", "", 400, "INVALID_QUERY_LOCATOR")
}

func TestRecord(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	id, lead := c.contact(company.Leo), ""
	for _, r := range c.Of("Lead") {
		if r.Fields["IsConverted"] == true {
			lead = r.ID
		}
	}
	c.is("GET", "/sobjects/Contact/"+id[:15], "", 200, `"Email":"leo@example.test"`)
	c.is("GET", "/sobjects/Lead/"+id, "", 404, "NOT_FOUND")
	c.is("PATCH", "/sobjects/Contact/"+id, `{"LastName":"New"}`, 204, "")
	c.is("PATCH", "/sobjects/Contact/"+id, `{"LastName":null}`, 400, "REQUIRED_FIELD_MISSING")
	c.is("PATCH", "/sobjects/Contact/"+id, `{"Nothing":1}`, 400, "INVALID_FIELD")
	c.is("PATCH", "/sobjects/Contact/"+id, `{"IsDeleted":true}`, 400, "INVALID_FIELD_FOR_INSERT_UPDATE")
	c.is("PATCH", "/sobjects/Contact/"+id, `{"Email":"x"}`, 400, "INVALID_EMAIL_ADDRESS")
	c.is("PATCH", "/sobjects/Lead/"+lead, `{"LastName":"New"}`, 400, "CANNOT_UPDATE_CONVERTED_LEAD")
	c.is("POST", "/sobjects/Individual", `{}`, 400, "REQUIRED_FIELD_MISSING")
	c.is("POST", "/sobjects/Individual", `{"LastName":"x"}`, 201, `"success":true`)
	c.is("GET", "/sobjects/Contact/Customer_Number__c/customer-1002", "", 200, id)
	c.is("GET", "/sobjects/Contact/Email/x", "", 400, "INVALID_FIELD")
	c.Add("Contact", map[string]any{"LastName": "Twin", "Customer_Number__c": "customer-1002"})
	c.is("GET", "/sobjects/Contact/Customer_Number__c/customer-1002", "", 300, "/sobjects/Contact/")
	c.is("GET", "/sobjects/Contact/describe", "", 200, `"name":"HasOptedOutOfEmail"`)
	c.is("GET", "/search?q="+url.QueryEscape("FIND {0199001122 OR 33199001122} IN PHONE FIELDS RETURNING Contact(Id,Phone), Lead(Id)"), "", 200, id)
	c.is("GET", "/search?q=x", "", 400, "MALFORMED_SEARCH")
}

// A composite is applied as a whole, or not at all.
func TestComposite(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	id := c.contact(company.Leo)
	call := func(field string) string {
		return `{"allOrNone":true,"compositeRequest":[{"method":"POST","url":"` + api + `/sobjects/Individual","referenceId":"i","body":{"LastName":"Petit"}},
			{"method":"PATCH","url":"` + api + `/sobjects/Contact/` + id + `","referenceId":"c","body":{"` + field + `":"@{i.id}"}}]}`
	}
	c.is("POST", "/composite", call("Nothing"), 200, `"httpStatusCode":400`)
	if n := len(c.Of("Individual")); n != 1 {
		t.Errorf("%d", n)
	}
	c.is("POST", "/composite", call("IndividualId"), 200, `"httpStatusCode":204`)
	if list := c.Of("Individual"); len(list) != 2 || c.State()[id].Fields["IndividualId"] != list[1].ID {
		t.Errorf("%v", list)
	}
}

// A deletion goes to the bin, which ages out; a case keeps its contact; users
// stay.
func TestDelete(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	id, one := c.contact(company.Ines), c.Of("Case")[0].ID
	c.is("DELETE", "/sobjects/Contact/"+id, "", 400, "DELETE_FAILED")
	c.is("DELETE", "/composite/sobjects?allOrNone=false&ids="+id+","+one+",003000000000000AAA", "", 200, `"statusCode":"NOT_FOUND"`)
	c.is("DELETE", "/sobjects/Contact/"+id, "", 204, "")
	c.is("DELETE", "/sobjects/Contact/"+id, "", 404, "ENTITY_IS_DELETED")
	c.is("GET", "/sobjects/Contact/"+id, "", 404, "NOT_FOUND")
	c.is("PATCH", "/sobjects/Contact/"+id, `{"LastName":"x"}`, 404, "ENTITY_IS_DELETED")
	c.is("DELETE", "/sobjects/User/"+c.Of("User")[0].ID, "", 400, "INSUFFICIENT_ACCESS")
	c.is("DELETE", "/composite/sobjects?ids=", "", 400, "INVALID_ID_FIELD")
	mine := " FROM Contact WHERE Email = 'ines@example.test'"
	c.rows("SELECT Id"+mine, 0)
	c.rows("ALL SELECT Id"+mine, 1)
	c.rows("ALL SELECT Id FROM CampaignMember WHERE IsDeleted = true", 1)
	c.Advance(fake.Bin)
	status, body := c.login("avow.my.salesforce.com", fake.Secret)
	if c.token, _ = body["access_token"].(string); status != 200 {
		t.Fatal(status)
	}
	c.rows("ALL SELECT Id"+mine, 0)
}

// A job takes its time, and may be complete with failed rows.
func TestJob(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	task := c.Of("Task")[0].ID
	create := func() string {
		var job struct{ ID, State string }
		if err := json.Unmarshal([]byte(c.is("POST", "/jobs/ingest", `{"object":"Task","operation":"hardDelete","contentType":"CSV","lineEnding":"LF"}`, 200, "contentUrl")), &job); err != nil || job.State != "Open" {
			t.Fatalf("%+v, %v", job, err)
		}
		return "/jobs/ingest/" + job.ID
	}
	job := create()
	c.is("PUT", job+"/batches", "Id,Name\nx,y\n", 400, "INVALIDBATCH")
	c.is("PUT", job+"/batches", "{}", 415, "")
	c.is("PUT", job+"/batches", "Id\n"+task+"\n00T000000000000AAA\n", 201, "")
	c.is("PUT", job+"/batches", "Id\n"+task+"\n", 400, "INVALIDJOBSTATE")
	c.is("PATCH", job, `{"state":"Open"}`, 400, "INVALIDJOBSTATE")
	c.is("PATCH", job, `{"state":"UploadComplete"}`, 200, "UploadComplete")
	c.is("PATCH", job, `{"state":"UploadComplete"}`, 400, "INVALIDJOBSTATE")
	c.Advance(fake.Job * 2 / 3)
	c.is("GET", job, "", 200, "InProgress")
	c.Advance(fake.Job)
	c.is("GET", job, "", 200, `"numberRecordsFailed":1,"numberRecordsProcessed":2`)
	c.is("GET", job+"/failedResults", "", 200, "ENTITY_IS_DELETED")
	c.rows("ALL SELECT Id FROM Task", 0)
	c.is("POST", "/jobs/ingest", `{"object":"Task","operation":"delete","contentType":"CSV","lineEnding":"LF"}`, 400, "INVALIDJOB")
	newClient(t, fake.Options{NoHard: true}).is("POST", "/jobs/ingest", `{"object":"Task","operation":"hardDelete","contentType":"CSV","lineEnding":"LF"}`, 400, "FEATURENOTENABLED")
}

func TestLimit(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{Daily: 2})
	c.is("GET", "/limits", "", 200, `"Remaining":1`)
	c.is("GET", "/limits", "", 200, `"Remaining":0`)
	c.is("GET", "/limits", "", 403, "REQUEST_LIMIT_EXCEEDED")
}

func TestNoPrivacy(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{NoPrivacy: true})
	c.is("GET", "/query?q="+url.QueryEscape("SELECT IndividualId FROM Contact"), "", 400, "INVALID_FIELD")
	c.is("GET", "/query?q="+url.QueryEscape("SELECT Id FROM Individual"), "", 400, "INVALID_TYPE")
	c.is("GET", "/sobjects/Individual/describe", "", 404, "NOT_FOUND")
}

// Everything outlives a restart.
func TestSaveRestore(t *testing.T) {
	t.Parallel()
	c := newClient(t, fake.Options{})
	c.is("DELETE", "/sobjects/Task/"+c.Of("Task")[0].ID, "", 204, "")
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
