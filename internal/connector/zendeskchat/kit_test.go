package zendeskchat_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/connector/zendeskchat"
	"github.com/avow-consent/avow/internal/connector/zendeskchat/fake"
	"github.com/avow-consent/avow/internal/identity"
)

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

func TestMain(m *testing.M) {
	openapi3filter.RegisterBodyDecoder("text/html", openapi3filter.RegisteredBodyDecoder("text/plain")) // pages of proxies
	os.Exit(m.Run())
}

// account is the vendor with a connector to it.
type account struct {
	*fake.Server
	t        testing.TB
	c        *zendeskchat.Connector
	contract *conformance.Contract
	secret   string
}

const credentials = `{"client_id":"avow","client_secret":"chat-secret"}`

// newAccount is a seeded account; config is added to the system's.
func newAccount(t testing.TB, o fake.Options, config string) *account {
	t.Helper()
	o.Now = func() time.Time { return start }
	a := &account{Server: fake.New(o), t: t, secret: credentials}
	file, err := os.ReadFile("contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a.contract = conformance.NewContract(t, file, conformance.Local(a.Server))
	a.c = a.connect(a.contract, config)
	return a
}

func (a *account) connect(transport http.RoundTripper, config string) *zendeskchat.Connector {
	a.t.Helper()
	if config == "" {
		config = `{"base_url":"https://example.zendesk.com","support":"zendesk"}`
	}
	c, err := zendeskchat.New(a.options(transport, config))
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

func (a *account) options(transport http.RoundTripper, config string) kit.System {
	return kit.System{
		Inventory: connector.Inventory{System: "chat", Kind: zendeskchat.Kind},
		Config:    json.RawMessage(config),
		Secret:    func(context.Context) ([]byte, error) { return []byte(a.secret), nil },
		Now:       a.Now, Transport: transport,
		Kit: kit.Options{Sleep: func(context.Context, time.Duration) error { return nil }},
	}
}

func person(list ...identity.Identifier) connector.Subject {
	return connector.Subject{Site: "s", Identifiers: list}
}

func ines() connector.Subject { return person(conformance.By(identity.Email, company.Ines)) }

// sam is the company's agent.
func sam() connector.Subject {
	s := person(conformance.By(identity.Email, company.Agent))
	s.Agent = true
	return s
}

func (a *account) locate(s connector.Subject) connector.Findings {
	a.t.Helper()
	f, err := a.c.Locate(a.t.Context(), s)
	if err != nil {
		a.t.Fatal(err)
	}
	return f
}

// drive takes an operation to its end, or to a question.
func (a *account) drive(call connector.Call) (connector.Progress, error) {
	a.t.Helper()
	return conformance.Driver{Connector: a.c, Clock: a, Steps: 2000}.Drive(a.t, call)
}

func (a *account) operate(op connector.Operation, s connector.Subject, changes ...connector.Change) connector.Progress {
	a.t.Helper()
	p, err := a.drive(connector.Call{Key: "k", Operation: op, Subject: s, Changes: changes, Out: &conformance.Recorder{}})
	if err != nil {
		a.t.Fatal(err)
	}
	return p
}

// verify looks until the vendor can tell; waits is how often it had to.
func (a *account) verify(s connector.Subject) (r connector.Residue, waits int) {
	a.t.Helper()
	for range 20 {
		r, err := a.c.Verify(a.t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()})
		if err != nil {
			a.t.Fatal(err)
		}
		if r.Wait == 0 {
			return r, waits
		}
		waits++
		a.Advance(r.Wait)
	}
	a.t.Fatal("it can never tell")
	return r, waits
}

// chat is a chat as the vendor holds it, nil for none.
func (a *account) chat(id string) *fake.Chat {
	for _, c := range a.State().Chats {
		if c.ID == id {
			return &c
		}
	}
	return nil
}

// route counts the calls of a route that have reached the vendor.
func (a *account) route(method, route string) int {
	n := 0
	for _, c := range a.Calls() {
		if c.Method == method && c.Route == route {
			n++
		}
	}
	return n
}

// world is a fresh account with the company's chats, or only with those that
// fill adds.
func world(subject connector.Subject, config string, fill func(*fake.Server)) func(testing.TB) *conformance.World {
	return func(t testing.TB) *conformance.World {
		o := fake.Options{Options: fakekit.Options{Now: func() time.Time { return start }}, Empty: fill != nil}
		a := &account{Server: fake.New(o), t: t, secret: credentials}
		if fill != nil {
			fill(a.Server)
			a.Advance(fake.IndexLag)
		}
		return &conformance.World{
			Vendor:  conformance.Local(a.Server),
			Connect: func(r http.RoundTripper) (connector.Connector, error) { return a.connect(r, config), nil },
			Subject: subject, Now: a.Now, Advance: a.Advance,
			Changes: []connector.Change{{Field: "name", Old: "Inès Martin", New: "Inès Durand"}, {Field: "phone", Old: "+33655000101", New: "+33655000202"}},
			State:   func() any { return lines(a.t, a.State()) },
			Harm:    func() []string { return harm(a.Calls()) },
		}
	}
}

// lines is a state with a line for each chat: hundreds of them are compared.
func lines(t testing.TB, s fake.State) []string {
	var list []string
	add := func(v any) {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(text))
	}
	for _, c := range s.Chats {
		add(c)
	}
	add(s.Agents)
	add(s.Files)
	return list
}

// harm are the calls that must not be applied twice: those that create, of which
// there is none.
func harm(calls []fakekit.Call) []string {
	var list []string
	for _, c := range calls {
		if c.Applied && c.Method == http.MethodPost {
			list = append(list, c.Method+" "+c.Path)
		}
	}
	return list
}

// The connector under every fault of every call.
func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, world(ines(), `{"base_url":"https://example.zendesk.com"}`, nil))
}

// An agent under every fault of every call, when their chats are to go.
func TestConformance_agent(t *testing.T) {
	t.Parallel()
	fresh := world(sam(), `{"base_url":"https://example.zendesk.com","path":"/api/v2/chat","agent_chats":"delete"}`, func(s *fake.Server) {
		for _, display := range []string{"Sam Agent", "Lou Agent"} {
			id := s.AddAgent(fake.Agent{Email: strings.ToLower(strings.Replace(display, " ", ".", 1)) + "@example.test", Display: display})
			for range 2 {
				s.AddChat(fake.Chat{AgentIDs: []string{strconv.Itoa(id)}, AgentNames: []string{display}, History: []fake.Line{{Type: "chat.msg", Name: display, Text: "hello"}}})
			}
		}
	})
	for _, op := range []connector.Operation{conformance.Locate, connector.Export, connector.Erase} {
		findings, n := conformance.Check(t, fresh, op)
		for _, f := range findings {
			t.Error(f)
		}
		t.Logf("%s: %d schedules", op, n)
	}
}

func ids(list []connector.Candidate) []string {
	var all []string
	for _, c := range list {
		all = append(all, c.Identifier.Value.Reveal())
	}
	slices.Sort(all)
	return all
}
