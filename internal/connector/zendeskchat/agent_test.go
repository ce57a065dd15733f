package zendeskchat_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/zendeskchat/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// An agent's name stands in other people's chats: the approver is told in how
// many, and of how many people.
func TestAgent_effectOnOthers(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]string{"ask": "asks an operator", "keep": "keeps them", "delete": "DELETES them"} {
		a := newAccount(t, fake.Options{}, fmt.Sprintf(`{"base_url":"https://example.zendesk.com","agent_chats":%q}`, policy))
		f := a.locate(sam())
		if f.Counts["agents"] != 1 || f.Counts["agent_chats"] != 37 || len(f.Identifiers) != 2 || f.Identifiers[0].Kind != "chat.agent_id" || f.Identifiers[0].Value.Reveal() != "2" ||
			f.Identifiers[1].Kind != "chat.agent_name" || f.Identifiers[1].Value.Reveal() != "2 Sam Agent" {
			t.Errorf("%s: %+v", policy, f)
		}
		if len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "in 37 chats with 37 other people") || !strings.Contains(f.Notes[0], want) || strings.Contains(f.Notes[0], "Sam") {
			t.Errorf("%s: %v", policy, f.Notes)
		}
	}
}

// What becomes of the chats is policy; other people's data is never deleted
// unless it says so.
func TestAgent_erase(t *testing.T) {
	t.Parallel()
	for policy, check := range map[string]func(connector.Progress) bool{
		"ask": func(p connector.Progress) bool {
			return p.Ask != nil && strings.Contains(p.Ask.Reason, "37 chat transcripts: they are the chats of 37 other people")
		},
		"keep": func(p connector.Progress) bool {
			return p.Done && len(p.Kept) == 1 && strings.Contains(p.Kept[0].What, "37 chat transcripts") && p.Kept[0].Ground != ""
		},
		"delete": func(p connector.Progress) bool { return p.Done && p.Counts["chats"] == 37 },
	} {
		a := newAccount(t, fake.Options{}, fmt.Sprintf(`{"base_url":"https://example.zendesk.com","agent_chats":%q}`, policy))
		before := len(a.State().Chats)
		if p := a.operate(connector.Erase, sam()); !check(p) {
			t.Errorf("%s: %+v", policy, p)
		}
		gone := before - len(a.State().Chats)
		if policy == "delete" && gone != 37 || policy != "delete" && gone != 0 || len(a.State().Agents) != 2 {
			t.Errorf("%s: %d chats are gone", policy, gone)
		}
		if r, _ := a.verify(sam()); len(r.Counts) != 0 || len(r.Evidence) != 1 {
			t.Errorf("%s: %+v", policy, r)
		}
	}
}

// Of an agent who was deleted the name stays in transcripts: an operator who
// accepts it finds them. An agent of the same name who is still there is another
// one, or a candidate.
func TestAgent_deletedNameStays(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	named := person(conformance.By(identity.Name, "sam AGENT"))
	named.Agent = true
	if f := a.locate(named); len(f.Candidates) != 1 || f.Candidates[0].Identifier.Kind != "chat.agent_id" || len(f.Counts) != 0 {
		t.Errorf("%+v", f)
	}
	a.RemoveAgent(2)
	if f := a.locate(named); len(f.Candidates) != 0 || f.Counts["agent_chats"] != 37 {
		t.Errorf("%+v", f)
	}
	a.AddChat(fake.Chat{Visitor: fake.Visitor{Email: company.Leo}, AgentNames: []string{"Sam Agent"}})
	a.AddChat(fake.Chat{Visitor: fake.Visitor{Email: company.Mo}, AgentNames: []string{"Sam Agentsson"}})
	a.Advance(fake.IndexLag)
	if f := a.locate(named); f.Counts["agent_chats"] != 38 {
		t.Errorf("%+v", f)
	}
}

// An account that goes between the plan and the erasure takes no name with it:
// transcripts are found by what Locate has yielded. Without a name nothing is
// taken for done.
func TestAgent_accountGone(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, `{"base_url":"https://example.zendesk.com","agent_chats":"delete"}`)
	s := sam()
	s.Identifiers = append(s.Identifiers, a.locate(s).Identifiers...)
	unnamed := s
	unnamed.Identifiers = slices.DeleteFunc(slices.Clone(s.Identifiers), func(i identity.Identifier) bool { return i.Kind == "chat.agent_name" })
	other := a.AddAgent(fake.Agent{Email: "other.sam@example.test", Display: "Sam Agent", First: "Sam", Last: "Agent"})
	a.RemoveAgent(2)
	a.AddChat(fake.Chat{Visitor: fake.Visitor{Email: company.Leo}, AgentIDs: []string{fmt.Sprint(other)}, AgentNames: []string{"Sam Agent"}})
	a.Advance(fake.IndexLag)
	if f := a.locate(unnamed); len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "not known") {
		t.Errorf("%+v", f)
	}
	if _, err := a.drive(connector.Call{Operation: connector.Erase, Subject: unnamed}); !errs.Is(err, errs.Conflict) {
		t.Errorf("%v", err)
	}
	if _, err := a.c.Verify(t.Context(), connector.Call{Operation: connector.Erase, Subject: unnamed, Now: a.Now()}); !errs.Is(err, errs.Conflict) {
		t.Errorf("%v", err)
	}
	if r, _ := a.verify(s); r.Counts["chats"] != 37 {
		t.Errorf("before: %+v", r)
	}
	if p := a.operate(connector.Erase, s); !p.Done || p.Counts["chats"] != 37 {
		t.Errorf("%+v", p)
	}
	if r, _ := a.verify(s); len(r.Counts) != 0 || len(r.Evidence) == 0 {
		t.Errorf("%+v", r)
	}
}

// An agent who shares a display name with another one: ids decide.
func TestAgent_sameName(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	id := a.AddAgent(fake.Agent{Email: "other.sam@example.test", Display: "Sam Agent", First: "Sam", Last: "Agent"})
	a.AddChat(fake.Chat{Visitor: fake.Visitor{Email: company.Leo}, AgentIDs: []string{fmt.Sprint(id)}, AgentNames: []string{"Sam Agent"}})
	a.Advance(fake.IndexLag)
	if f := a.locate(sam()); f.Counts["agent_chats"] != 37 {
		t.Errorf("%+v", f)
	}
}

// An agent is given what they have written, not what visitors have.
func TestAgent_export(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	out := &conformance.Recorder{}
	p, err := a.drive(connector.Call{Operation: connector.Export, Subject: sam(), Out: out})
	if err != nil || !p.Done || p.Counts["agents"] != 1 || p.Counts["chats"] != 37 || len(out.Records["agent_messages"]) != 37 || len(out.Files) != 0 {
		t.Fatalf("%+v, %d, %v", p, len(out.Records["agent_messages"]), err)
	}
	for _, text := range out.Records["agent_messages"] {
		if !strings.Contains(text, "On its way to you.") || strings.Contains(text, "parcel") || strings.Contains(text, "ip") {
			t.Fatalf("%s", text)
		}
	}
	if !strings.Contains(out.Records["agent"][0], company.Agent) {
		t.Errorf("%v", out.Records["agent"])
	}
	for _, op := range []connector.Operation{connector.Rectify, connector.Restrict, connector.Object} {
		if p := a.operate(op, sam()); p.Ask == nil || !strings.Contains(p.Ask.Instructions, "Support") {
			t.Errorf("%s: %+v", op, p)
		}
	}
}

// The list of agents has pages, or has not.
func TestAgent_pages(t *testing.T) {
	t.Parallel()
	a := newAccount(t, fake.Options{}, "")
	for i := range 250 {
		a.AddAgent(fake.Agent{Email: fmt.Sprintf("agent%d@example.test", i), Display: "Agent"})
	}
	s := person(conformance.By(identity.Email, "agent249@example.test"))
	s.Agent = true
	if f := a.locate(s); f.Counts["agents"] != 1 || a.route("GET", "/agents") != 3 {
		t.Errorf("%+v after %d pages", f, a.route("GET", "/agents"))
	}
	same := &fixed{}
	for range 100 {
		same.body += `,{"id":7,"email":"a@example.test","display_name":"A"}`
	}
	same.next, same.body = conformance.Local(a.Server), "["+same.body[1:]+"]"
	a.c = a.connect(same, "")
	if f := a.locate(s); f.Counts["agents"] != 0 || same.asked != 2 {
		t.Errorf("a vendor that knows no pages: %+v after %d", f, same.asked)
	}
}
