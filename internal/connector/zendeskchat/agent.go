package zendeskchat

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// An agent is a subject like others, but the chats that name one are other
// people's. An agent is found by e-mail or id among the account's agents, and by
// a name that an operator has accepted: of an agent who was deleted only the
// name is left, in transcripts. Locate yields it, as the account may go first.

// agent is somebody who answers.
type agent struct {
	ID   number // "" of one who was deleted
	Name string // as transcripts show it
}

// account is an agent of the account's list.
type account struct {
	ID      number `json:"id"`
	Email   string `json:"email"`
	Display string `json:"display_name"`
	First   string `json:"first_name"`
	Last    string `json:"last_name"`
	text    json.RawMessage
}

// names are what transcripts may call the agent.
func (a account) names() []string {
	var names []string
	for _, name := range []string{a.Display, a.First + " " + a.Last} {
		i := identity.Identifier{Kind: identity.Name, Value: redact.String(name)}
		if _, ok := i.Normal(); ok && !slices.ContainsFunc(names, func(other string) bool { return same(identity.Name, other, name) }) {
			names = append(names, name)
		}
	}
	return names
}

// team is how many agents one page of the list has, and teams how many pages
// there are at most.
const (
	team  = 100
	teams = 100
)

// accounts are all agents of the account. The list goes on behind an id; where
// the vendor does not know that parameter, a page brings nothing new and is the
// last one.
func (c *Connector) accounts(ctx context.Context) (all []account, err error) {
	seen := map[number]bool{}
	err = kit.Walk(teams, func(since string) (next string, err error) {
		route := kit.To("/agents").With("limit", strconv.Itoa(team))
		if since != "" {
			route = route.With("since_id", since)
		}
		a, err := c.do(ctx, kit.Call{Method: http.MethodGet, Route: route})
		if err != nil {
			return "", err
		}
		var page []json.RawMessage
		if err := a.JSON(&page); err != nil {
			return "", err
		}
		for _, text := range page {
			one := account{text: text}
			if json.Unmarshal(text, &one) != nil || one.ID == "" {
				return "", errs.New(errs.Internal, "%s GET /agents: an agent is not as documented", c.inventory.System)
			}
			if !seen[one.ID] {
				seen[one.ID], next = true, string(one.ID)
				all = append(all, one)
			}
		}
		if len(page) < team {
			return "", nil
		}
		return next, nil
	})
	return all, err
}

// staff are the accounts of a person who is an agent.
type staff struct {
	own     []account
	maybe   []account // with an accepted name
	unnamed bool      // an account that is gone, and nobody knows what it was called
}

// employee is the person as an agent: whom transcripts name, and the accounts
// that are theirs.
func (c *Connector) employee(ctx context.Context, s connector.Subject) (p person, found staff, err error) {
	all, err := c.accounts(ctx)
	if err != nil {
		return person{}, staff{}, err
	}
	for _, a := range all {
		switch {
		case slices.ContainsFunc(s.Of(c.own("agent_id")), func(i identity.Identifier) bool { return i.Value.Reveal() == string(a.ID) }),
			slices.ContainsFunc(s.Of(identity.Email), func(i identity.Identifier) bool { return same(identity.Email, a.Email, i.Value.Reveal()) }):
			found.own = append(found.own, a)
			for _, name := range a.names() {
				p.agents = append(p.agents, agent{ID: a.ID, Name: name})
			}
		case slices.ContainsFunc(s.Of(identity.Name), func(i identity.Identifier) bool { return a.called(i.Value.Reveal()) }):
			found.maybe = append(found.maybe, a)
		}
	}
	for _, i := range s.Of(c.own("agent_name")) {
		if id, name, ok := strings.Cut(i.Value.Reveal(), " "); ok {
			if a := (agent{ID: number(id), Name: name}); !slices.Contains(p.agents, a) {
				p.agents = append(p.agents, a)
			}
		}
	}
	for _, i := range s.Of(c.own("agent_id")) {
		found.unnamed = found.unnamed || !slices.ContainsFunc(p.agents, func(a agent) bool { return string(a.ID) == i.Value.Reveal() })
	}
	for _, i := range s.Of(identity.Name) {
		if !slices.ContainsFunc(all, func(a account) bool { return a.called(i.Value.Reveal()) }) { // else the account decides
			p.agents = append(p.agents, agent{Name: i.Value.Reveal()})
		}
	}
	return p, found, nil
}

// named is the person as an agent whose names are known. Without them nothing
// would be found, which must not look like nothing to be done.
func (c *Connector) named(ctx context.Context, s connector.Subject) (person, []account, error) {
	p, found, err := c.employee(ctx, s)
	if err == nil && found.unnamed {
		err = errs.New(errs.Conflict, "%s: an agent's account was deleted, and the name that transcripts show is not known: look for it by hand, in the Chat dashboard", c.inventory.System)
	}
	return p, found.own, err
}

func (a account) called(name string) bool {
	return slices.ContainsFunc(a.names(), func(own string) bool { return same(identity.Name, own, name) })
}

// locateAgent finds an agent, and what deleting their chats would do to others.
func (c *Connector) locateAgent(ctx context.Context, s connector.Subject) (connector.Findings, error) {
	p, accounts, err := c.employee(ctx, s)
	if err != nil {
		return connector.Findings{}, err
	}
	found := connector.Findings{Counts: map[string]int{}}
	for _, a := range accounts.own {
		found.Counts["agents"]++
		found.Identifiers = append(found.Identifiers, c.id("agent_id", string(a.ID)))
		for _, name := range a.names() {
			found.Identifiers = append(found.Identifiers, c.id("agent_name", string(a.ID)+" "+name))
		}
	}
	if accounts.unnamed {
		found.Notes = append(found.Notes, "an account of the agent was deleted before, and the name that transcripts show is not known: chats that name the agent are not found")
	}
	for _, a := range accounts.maybe {
		found.Candidates = append(found.Candidates, connector.Candidate{Identifier: c.id("agent_id", string(a.ID)), Evidence: "an agent's account has the same name"})
	}
	chats, err := c.count(ctx, p)
	if err != nil {
		return connector.Findings{}, err
	}
	if chats.total() == 0 {
		return found, nil
	}
	found.Counts["agent_chats"] = chats.total()
	found.Notes = append(found.Notes, append(chats.notes(), fmt.Sprintf(
		"the agent's name stands in %d chats with %d other people. Zendesk keeps it there until these chats are deleted, which deletes what those people wrote, too. %s",
		chats.total(), len(chats.visitors), map[string]string{
			agentAsk:    "An erasure asks an operator about them (agent_chats: ask).",
			agentKeep:   "An erasure keeps them (agent_chats: keep).",
			agentDelete: "An erasure DELETES them (agent_chats: delete).",
		}[c.config.AgentChats]))...)
	return found, nil
}

// agentPoll does the next piece of an operation on an agent.
func (c *Connector) agentPoll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	switch call.Operation {
	case connector.Export:
		return c.exportAgent(ctx, call)
	case connector.Erase:
		return c.eraseAgent(ctx, call)
	}
	return connector.Progress{Ask: &connector.Ask{
		Reason:       "the details of an agent are kept in Zendesk Support, not in Chat",
		Instructions: "Carry out the operation on the agent's user in Zendesk Support. Transcripts keep the name that the agent had then.",
	}}, nil
}

// exportAgent writes the agent's account and what they have written. What the
// visitors wrote is not the agent's.
func (c *Connector) exportAgent(ctx context.Context, call connector.Call) (connector.Progress, error) {
	p, own, err := c.named(ctx, call.Subject)
	if err != nil {
		return connector.Progress{}, err
	}
	counts := map[string]int{}
	if call.Handle == "" {
		for _, a := range own {
			if err := call.Out.Record("agent", a.text); err != nil {
				return connector.Progress{}, err
			}
			counts["agents"]++
		}
	}
	progress, err := c.walkOf(ctx, call, p, c.reading(p, func(_ context.Context, d *document, _ map[string]int) error {
		var lines []fields
		for _, said := range d.all().history() {
			if slices.ContainsFunc(p.agents, func(a agent) bool { return same(identity.Name, said.text("name"), a.Name) }) {
				lines = append(lines, said)
			}
		}
		return call.Out.Record("agent_messages", map[string]any{"chat_id": d.ID, "timestamp": d.Timestamp, "history": lines})
	}))
	if counts["agents"] > 0 && err == nil {
		progress.Counts = counts // the first piece lists only
	}
	return progress, err
}

// eraseAgent does with the chats that name an agent what the policy says. The
// agent's user is deleted in Support.
func (c *Connector) eraseAgent(ctx context.Context, call connector.Call) (connector.Progress, error) {
	p, _, err := c.named(ctx, call.Subject)
	if err != nil {
		return connector.Progress{}, err
	}
	if c.config.AgentChats == agentDelete {
		return c.walkOf(ctx, call, p, c.erasing())
	}
	chats, err := c.count(ctx, p)
	if err != nil || chats.total() == 0 {
		return connector.Progress{Done: err == nil}, err
	}
	what := fmt.Sprintf("the agent's name in %d chat transcripts", chats.total())
	if c.config.AgentChats == agentKeep {
		return connector.Progress{Done: true, Kept: []connector.Kept{{
			What: what, Ground: "Art. 17(1)(a) GDPR",
			Reason: "they are other people's chats, still needed for what they were made for; the name goes when they do",
		}}}, nil
	}
	return connector.Progress{Ask: &connector.Ask{
		Reason: what + fmt.Sprintf(": they are the chats of %d other people", len(chats.visitors)),
		Instructions: "Decide whether these chats are still needed. If they are, keep them and write down the ground. If they are not, delete them in the Chat dashboard, under History, by the agent's name: " +
			"that deletes what the other people wrote, too. Finish before the agent's user is deleted in Support.",
	}}, nil
}

// id is an identifier that this account yields.
func (c *Connector) id(what, value string) identity.Identifier {
	return identity.Identifier{Kind: c.own(what), Value: redact.String(value), Trust: identity.Vendor, System: c.inventory.System}
}
