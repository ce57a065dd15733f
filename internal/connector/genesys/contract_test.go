package genesys_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/genesys/fake"
)

// newContract holds calls and answers to Genesys's own file, for the region's
// host. createdBy and the like are required there and read-only at the same time:
// no client may send what every client must.
func newContract(t testing.TB, next http.RoundTripper) *conformance.Contract {
	t.Helper()
	var file map[string]any
	if err := json.Unmarshal(conformance.Spec(t, "genesys/genesys-publicapi-v2-trimmed.swagger.json"), &file); err != nil {
		t.Fatal(err)
	}
	file["host"] = "api.mypurecloud.ie"
	request := file["definitions"].(map[string]any)["GDPRRequest"].(map[string]any)
	request["required"] = []string{"requestType", "subject"}
	paths := file["paths"].(map[string]any)
	for path := range paths { // others have mistakes that OpenAPI 3 does not allow
		if !slices.ContainsFunc(routes, func(route string) bool { return strings.Contains(route, " "+path+" ") }) {
			delete(paths, path)
		}
	}
	search := paths["/api/v2/gdpr/subjects"].(map[string]any)["get"].(map[string]any)
	search["parameters"] = append(search["parameters"].([]any), map[string]any{"name": "pageNumber", "in": "query", "type": "integer"}) // only nextUri has it
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	text = regexp.MustCompile(`"(Guest) (Chat) (JWT)"|"(PureCloud) (OAuth)"`).ReplaceAll(text, []byte(`"$1$2$3$4$5"`)) // names that OpenAPI 3 does not allow
	return conformance.NewContract(t, text, next)
}

// routes that an organisation's life has seen with each status.
var routes = []string{
	"GET /api/v2/gdpr/subjects 200", "GET /api/v2/gdpr/requests 200", "POST /api/v2/gdpr/requests 202", "GET /api/v2/gdpr/requests/{requestId} 200",
	"GET /api/v2/gdpr/requests/{requestId} 401", "GET /api/v2/downloads/{downloadId} 200", "POST /api/v2/users/search 200", "GET /api/v2/users/{userId} 200",
	"GET /api/v2/users/{userId} 404", "DELETE /api/v2/users/{userId} 200", "GET /api/v2/chats/settings 200",
	"GET /api/v2/externalcontacts/contacts/{contactId} 200", "GET /api/v2/externalcontacts/contacts/{contactId} 404", "DELETE /api/v2/externalcontacts/contacts/{contactId} 200",
	"POST /api/v2/gdpr/requests 400",
}

// Every request of the connector and every answer of the fake is as Genesys's
// file says, and every operation that the connector has is used.
func TestContract(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, subject := range []connector.Subject{conformance.Person(company.Ines), employee(company.Agent)} {
		a := newOrg(t, `"external_contacts":"delete"`, fake.Options{PageSize: 2, Parts: 2})
		c := newContract(t, conformance.Local(a.Server))
		a.c = a.connect(c)
		if !subject.Agent {
			subject.Identifiers = append(subject.Identifiers, conformance.By("phone", "+33655000101"), conformance.By("name", "Inès Martin"))
		}
		_, s := a.locate(subject)
		a.must(connector.Export, s)
		a.Revoke()
		a.must(connector.Rectify, s, connector.Change{Field: "name", Old: "Inès Martin", New: "Agnès Martin"})
		call := connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()}
		p, err := a.c.Start(t.Context(), call)
		if err == nil {
			call.Handle = p.Handle
			p, err = a.c.Poll(t.Context(), call)
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // all are made, then the token is gone
			call.Handle = p.Handle
			if p, err = a.c.Poll(t.Context(), call); err != nil {
				t.Fatal(err)
			}
			a.Revoke()
		}
		if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s, Handle: p.Handle}); err != nil || !p.Done {
			t.Fatalf("%+v, %v", p, err)
		}
		if r := a.verify(s); len(r.Counts) > 0 {
			t.Errorf("%+v", r)
		}
		for _, route := range routes {
			seen[route] = seen[route] || c.Seen(route)
		}
	}
	for _, route := range routes {
		if !seen[route] && !strings.HasSuffix(route, " 400") { // see TestContract_refusals
			t.Errorf("%s was never seen", route)
		}
	}
}

// What the fake refuses is refused in the contract's form.
func TestContract_refusals(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	c := newContract(t, conformance.Local(a.Server))
	token := a.login(t)
	for _, body := range []string{
		`{"requestType":"GDPR_DELETE","subject":{"emailAddresses":["a@example.test"]}}`,
		`{"requestType":"GDPR_EXPORT","subject":{"emailAddresses":["a@example.test"]},"replacementTerms":[{"type":"EMAIL","existingValue":"a","updatedValue":"b"}]}`,
	} {
		r, err := http.NewRequest(http.MethodPost, "https://api.mypurecloud.ie/api/v2/gdpr/requests", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		if response, err := c.RoundTrip(r); err != nil || response.StatusCode != 400 {
			t.Errorf("%s: %+v, %v", body, response, err)
		}
	}
	if !c.Seen("POST /api/v2/gdpr/requests 400") {
		t.Error("nothing was refused")
	}
}

// login is a token for a test's own calls.
func (a *org) login(t testing.TB) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "https://login.mypurecloud.ie/oauth/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(fake.ID, fake.Secret)
	response, err := conformance.Local(a.Server).RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	var granted struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&granted); err != nil || granted.Token == "" {
		t.Fatalf("no token: %v", err)
	}
	return granted.Token
}
