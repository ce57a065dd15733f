package salesforce_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/salesforce/fake"
)

// newContract holds calls and answers to contract.yaml.
func newContract(t testing.TB, next http.RoundTripper) *conformance.Contract {
	t.Helper()
	file, err := os.ReadFile("contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return conformance.NewContract(t, file, next)
}

// routes that an org's life has seen with each status.
var routes = []string{
	"POST /services/oauth2/token 200", "GET /query 200", "GET /queryAll 200", "GET /query/{locator} 200", "GET /sobjects/{type}/{id} 401", "GET /query 403", "GET /search 200",
	"GET /sobjects/{type}/describe 200", "GET /sobjects/{type}/{id} 200", "GET /sobjects/{type}/{id} 404", "PATCH /sobjects/{type}/{id} 204", "PATCH /sobjects/{type}/{id} 400",
	"GET /sobjects/{type}/{field}/{value} 200", "GET /sobjects/{type}/{field}/{value} 300", "GET /sobjects/{type}/{field}/{value} 404",
	"POST /composite 200", "POST /composite/sobjects/{type} 200", "DELETE /composite/sobjects 200",
	"POST /jobs/ingest 200", "POST /jobs/ingest 400", "PUT /jobs/ingest/{id}/batches 201", "PATCH /jobs/ingest/{id} 200", "GET /jobs/ingest/{id} 200", "GET /jobs/ingest/{id}/failedResults 200",
}

// Every request of the connector and every answer of the fake is as contract.yaml
// says, and every operation there is used.
func TestContract(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	play := func(more string, o fake.Options, f func(a *org)) {
		a := newOrg(t, more, o)
		c := newContract(t, conformance.Local(a.Server))
		a.c = a.connect(c)
		f(a)
		for _, route := range routes {
			full := strings.Replace(route, " /", " /services/data/v66.0/", 1)
			seen[route] = seen[route] || c.Seen(route) || c.Seen(full)
		}
	}
	play("", fake.Options{PageSize: 2}, func(a *org) {
		twin := a.Add("Contact", map[string]any{"LastName": "Twin", "Customer_Number__c": "customer-1003"})
		s := conformance.Person(company.Ines)
		s.Identifiers = append(s.Identifiers, conformance.By("phone", "+33655000101"), conformance.By("external_id", "customer-1001"), conformance.By("external_id", "customer-1003"), conformance.By("external_id", "nobody"))
		_, s = a.locate(s)
		a.must(connector.Export, s)
		a.Revoke()
		a.must(connector.Object, s)
		a.must(connector.Object, connector.Subject{Identifiers: []identifier{conformance.By("salesforce.contact_id", twin)}})
		a.Change(func(d *fake.Data) {
			d.Locked = 1
			for id, r := range d.Records {
				if r.Type == "Task" {
					d.Vetoed["hard "+id] = "CANNOT_DELETE"
				}
			}
		})
		a.must(connector.Rectify, s, connector.Change{Field: "first_name", Old: "Inès", New: "Ines"})
		if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); err != nil || p.Ask == nil {
			t.Errorf("%+v, %v", p, err)
		}
		a.Change(func(d *fake.Data) { clear(d.Vetoed) })
		a.must(connector.Erase, s)
		if r := a.verify(s); len(r.Counts) > 0 {
			t.Errorf("%+v", r)
		}
	})
	play("", fake.Options{NoHard: true}, func(a *org) {
		_, s := a.locate(conformance.Person(company.Ines))
		if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); err != nil || p.Ask == nil {
			t.Errorf("%+v, %v", p, err)
		}
	})
	play("", fake.Options{Daily: 3}, func(a *org) {
		if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); err == nil {
			t.Error("the day's calls are spent")
		}
	})
	for _, route := range routes {
		if !seen[route] {
			t.Errorf("%s was never seen", route)
		}
	}
}

// Each request has a path that Salesforce's own collection has with this method.
// Two are newer than it, or written there with a name that Salesforce ignores.
func TestContract_collection(t *testing.T) {
	t.Parallel()
	var file struct {
		Requests map[string]struct{ Method, URL string }
	}
	if err := json.Unmarshal(conformance.Spec(t, "salesforce/salesforce-postman-2021-requests.json"), &file); err != nil {
		t.Fatal(err)
	}
	var known []*regexp.Regexp
	for _, r := range file.Requests {
		path, _, _ := strings.Cut(r.URL, "?")
		path = regexp.MustCompile(`\{\{(_endpoint|url)\}\}|\{\{site\}\}`).ReplaceAllString(path, "")
		path = regexp.QuoteMeta(strings.TrimSuffix(path, "/"))
		path = regexp.MustCompile(`\\\{\\\{\w+\\\}\\\}|<\w+>`).ReplaceAllString(path, `[^/]+`)
		known = append(known, regexp.MustCompile("^"+r.Method+" "+path+"$"))
	}
	newer := map[string]string{
		"POST /composite/sobjects/Task": "a retrieve with its ids in the body, since API 42",
		"DELETE /composite/sobjects":    "the collection adds the name of an object, which is none of the call",
		"GET /query/":                   "nextRecordsUrl",
	}
	var mu sync.Mutex
	asked, missing := 0, map[string]bool{}
	a := newOrg(t, "", fake.Options{})
	local := conformance.Local(a.Server)
	a.c = a.connect(trip(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		line := r.Method + " " + r.URL.Path
		for _, k := range known {
			if k.MatchString(line) {
				return local.RoundTrip(r)
			}
		}
		missing[strings.Replace(line, "/services/data/v66.0", "", 1)] = true
		return local.RoundTrip(r)
	}))
	_, s := a.locate(conformance.Person(company.Ines))
	a.must(connector.Export, s)
	a.must(connector.Object, s)
	a.must(connector.Erase, s)
	a.verify(s)
	for line := range missing {
		object := regexp.MustCompile(`^(POST /composite/sobjects/)\w+$`).ReplaceAllString(line, "${1}Task")
		if newer[object] == "" {
			t.Errorf("%s is not in the collection", line)
		}
	}
	if asked < 50 {
		t.Errorf("%d requests", asked)
	}
}
