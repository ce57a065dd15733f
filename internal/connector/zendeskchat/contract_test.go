package zendeskchat_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/avow-consent/avow/internal/connector/conformance"
)

// fixed answers every call of the list of agents with one body.
type fixed struct {
	next  http.RoundTripper
	body  string
	asked int
}

func (f *fixed) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/agents") {
		return f.next.RoundTrip(r)
	}
	f.asked++
	header := http.Header{"Content-Type": {"application/json"}}
	return &http.Response{StatusCode: 200, Header: header, Body: io.NopCloser(strings.NewReader(f.body)), Request: r}, nil
}

// known is what is known of the vendor's API: zendesk-chat-facts.json.
type known struct {
	Base []struct {
		URL string `json:"url"`
	} `json:"base_urls"`
	Auth struct {
		Scopes []string `json:"scopes"`
		Tokens []struct {
			URL string `json:"url"`
		} `json:"token_urls"`
	} `json:"auth"`
	Endpoints map[string]struct {
		Method   string            `json:"method"`
		Path     string            `json:"path"`
		Query    map[string]string `json:"query"`
		Response map[string]any    `json:"response"`
		Status   []int             `json:"status"`
		Limits   map[string]int    `json:"limits"`
	} `json:"endpoints"`
	Chat    []string `json:"chat_fields"`
	Offline []string `json:"offline_message_fields"`
	Private []string `json:"personal_data_fields"`
}

// used are the endpoints that the connector uses.
var used = []string{"search", "get_many", "get", "update", "delete", "agents"}

// The contract is ours; this holds it to the facts, sample by sample.
func TestContract_facts(t *testing.T) {
	t.Parallel()
	var facts known
	if err := json.Unmarshal(conformance.Spec(t, "zendesk-chat/zendesk-chat-facts.json"), &facts); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile("contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(file)
	if err != nil {
		t.Fatal(err)
	}
	var servers []string
	for _, s := range doc.Servers {
		servers = append(servers, strings.Replace(s.URL, "example", "{subdomain}", 1))
	}
	for _, b := range facts.Base {
		if !slices.Contains(servers, b.URL) {
			t.Errorf("%s is no server of %v", b.URL, servers)
		}
	}
	for _, token := range facts.Auth.Tokens {
		if !slices.ContainsFunc(servers, func(s string) bool {
			path, ok := strings.CutPrefix(token.URL, s)
			return ok && doc.Paths.Value(path) != nil
		}) {
			t.Errorf("%s is not in the contract", token.URL)
		}
	}
	for _, name := range used {
		e := facts.Endpoints[name]
		item := doc.Paths.Value(strings.Replace(e.Path, "{chat_id}", "{id}", 1))
		if item == nil || item.GetOperation(e.Method) == nil {
			t.Errorf("%s: %s %s is not in the contract", name, e.Method, e.Path)
			continue
		}
		for parameter := range e.Query {
			if item.GetOperation(e.Method).Parameters.GetByInAndName("query", parameter) == nil {
				t.Errorf("%s: the contract has no parameter %s", name, parameter)
			}
		}
		for _, status := range e.Status {
			if item.GetOperation(e.Method).Responses.Status(status) == nil {
				t.Errorf("%s: the contract has no answer %d", name, status)
			}
		}
	}
	schemas := doc.Components.Schemas
	search := facts.Endpoints["search"]
	if err := schemas["Hits"].Value.VisitJSON(search.Response); err != nil {
		t.Errorf("the sample of a search: %v", err)
	}
	if most := schemas["Hits"].Value.Properties["results"].Value.MaxItems; most == nil || int(*most) != search.Limits["per_page"] {
		t.Errorf("a page has %d hits", search.Limits["per_page"])
	}
	many := facts.Endpoints["get_many"].Response
	many["docs"] = map[string]any{"2611.10000001.AbCdEfGhIjKlM": nil} // the sample has a placeholder; null is what counts
	if err := schemas["Docs"].Value.VisitJSON(many); err != nil {
		t.Errorf("the sample of docs: %v", err)
	}
	many["docs"] = []any{}
	if schemas["Docs"].Value.VisitJSON(many) == nil {
		t.Error("docs as a list passes")
	}
	checkFields(t, schemas["Chat"].Value, slices.Concat(facts.Chat, facts.Offline, facts.Private))
}

// checkFields wants every field of lines such as "visitor{id,name}",
// "history[{index}]" or "session.ip" to be in the contract.
func checkFields(t *testing.T, chat *openapi3.Schema, lines []string) {
	t.Helper()
	for _, line := range lines {
		line, _, _ = strings.Cut(line, "=")
		field, inner, nested := strings.Cut(strings.NewReplacer("[{", "{", "}]", "}", "[].", "{", ".", "{").Replace(line), "{")
		property := chat.Properties[field]
		if property == nil {
			t.Errorf("the contract has no %s", field)
			continue
		}
		if !nested {
			continue
		}
		in := property.Value
		if in.Items != nil {
			in = in.Items.Value
		}
		for _, name := range strings.Split(strings.TrimSuffix(inner, "}"), ",") {
			if name != "*" && in.Properties[name] == nil {
				t.Errorf("the contract has no %s of %s", name, field)
			}
		}
	}
}

// Every operation of the contract is one that the connector uses, and the fake
// answers it as the contract says: the other tests run through it.
func TestContract_isUsed(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(file)
	if err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, item := range doc.Paths.Map() {
		operations += len(item.Operations())
	}
	if operations != len(used)+2 { // two ways to a token
		t.Errorf("%d operations", operations)
	}
}
