package refdesk

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// maxPages bounds one search: an e-mail that matches thousands of parts is
// no search for a person.
const maxPages = 100

// search finds users. The vendor matches parts of an e-mail and any notation of
// a number, so that only what is equal in normal form is returned.
func (c *Connector) search(ctx context.Context, by identity.Identifier) (users []user, indexed time.Time, err error) {
	parameter := map[identity.Kind]string{identity.Email: "email", identity.Phone: "phone", identity.ExternalID: "external_id"}[by.Kind]
	want, ok := by.Normal()
	if parameter == "" || !ok {
		return nil, time.Time{}, nil
	}
	route := kit.To("/users").With(parameter, want)
	err = kit.Walk(maxPages, func(next string) (string, error) {
		if next != "" {
			var err error
			if route, err = c.api.Link(route, next); err != nil {
				return "", err
			}
		}
		var page struct {
			Users   []user    `json:"users"`
			Next    string    `json:"next"`
			Indexed time.Time `json:"indexed_until"`
		}
		if err := c.api.Get(ctx, route, &page); err != nil {
			return "", err
		}
		indexed = page.Indexed
		for _, u := range page.Users {
			if got, ok := u.identifier(by.Kind).Normal(); ok && got == want {
				users = append(users, u)
			}
		}
		return page.Next, nil
	})
	return users, indexed, err
}

// identifier is what a user has of a kind.
func (u user) identifier(kind identity.Kind) identity.Identifier {
	value := map[identity.Kind]string{identity.Email: u.Email, identity.Phone: u.Phone, identity.ExternalID: u.ExternalID}[kind]
	return identity.Identifier{Kind: kind, Value: redact.String(value), Trust: identity.Vendor}
}

// finding is a Locate on its way.
type finding struct {
	*Connector
	subject connector.Subject
	own     map[string]user // the person's
	maybe   map[string]connector.Candidate
	notes   map[string]bool
	found   connector.Findings
}

// Locate implements connector.Connector.
func (c *Connector) Locate(ctx context.Context, s connector.Subject) (connector.Findings, error) {
	f := &finding{Connector: c, subject: s, own: map[string]user{}, maybe: map[string]connector.Candidate{}, notes: map[string]bool{}}
	for _, id := range c.users(s) {
		if err := f.follow(ctx, id); err != nil {
			return connector.Findings{}, err
		}
	}
	for _, by := range s.Identifiers {
		users, _, err := c.search(ctx, by)
		if err != nil {
			return connector.Findings{}, err
		}
		for _, u := range users {
			if err := f.judge(ctx, by.Kind, u); err != nil {
				return connector.Findings{}, err
			}
		}
	}
	if err := f.neighbours(ctx); err != nil {
		return connector.Findings{}, err
	}
	return f.sum(ctx)
}

// judge decides whether a user with an equal identifier is the person. A number
// may be shared, and an e-mail that the vendor has not verified may be anybody's.
func (f *finding) judge(ctx context.Context, by identity.Kind, u user) error {
	switch {
	case (u.Role == agent) != f.subject.Agent:
		f.notes["a record of an agent carries an identifier of an end user, or the other way round: it is left alone"] = true
	case by == identity.Phone:
		f.candidate(u, "the record has the same telephone number")
	case by == identity.Email && !u.Verified:
		f.candidate(u, "the record has the same e-mail, which the help desk has not verified")
	default:
		return f.follow(ctx, u.ID)
	}
	return nil
}

func (f *finding) candidate(u user, evidence string) {
	f.maybe[u.ID] = connector.Candidate{
		Identifier: identity.Identifier{Kind: f.userID(), Value: redact.String(u.ID), Trust: identity.Vendor, System: f.inventory.System},
		Evidence:   evidence,
	}
}

// follow takes in a record that is the person's, with those it was merged with.
func (f *finding) follow(ctx context.Context, id string) error {
	if _, ok := f.own[id]; ok {
		return nil
	}
	u, err := f.get(ctx, id)
	if err != nil || u == nil {
		return err
	}
	f.own[id] = *u
	linked := u.MergedFrom
	if u.MergedInto != "" {
		linked = append(linked, u.MergedInto)
	}
	for _, other := range linked {
		if err := f.follow(ctx, other); err != nil {
			return err
		}
	}
	return nil
}

// neighbours are other records with the telephone number of the person's own.
func (f *finding) neighbours(ctx context.Context) error {
	for _, id := range sorted(f.own) {
		by := f.own[id].identifier(identity.Phone)
		users, _, err := f.search(ctx, by)
		if err != nil {
			return err
		}
		for _, u := range users {
			if u.Role != agent && u.ID != id {
				f.candidate(u, "the record has the telephone number of the person's own record")
			}
		}
	}
	return nil
}

// sum counts what the person's records hold and lists what they yield.
func (f *finding) sum(ctx context.Context) (connector.Findings, error) {
	counts := map[string]int{}
	for _, id := range sorted(f.own) {
		u := f.own[id]
		page, err := f.tickets(ctx, id, "")
		if err != nil {
			return connector.Findings{}, err
		}
		counts["users"]++
		if page.Count > 0 {
			counts["tickets"] += page.Count
		}
		f.yield(identity.Identifier{Kind: f.userID(), Value: redact.String(id), Trust: identity.Vendor})
		for _, kind := range []identity.Kind{identity.Email, identity.ExternalID, identity.Phone} {
			if i := u.identifier(kind); kind != identity.Email || u.Verified {
				f.yield(i)
			}
		}
	}
	for _, id := range sorted(f.maybe) {
		if _, own := f.own[id]; !own {
			f.found.Candidates = append(f.found.Candidates, f.maybe[id])
		}
	}
	f.found.Counts, f.found.Notes = counts, sorted(f.notes)
	return f.found, nil
}

func (f *finding) yield(i identity.Identifier) {
	if _, ok := i.Normal(); ok {
		i.System = f.inventory.System
		f.found.Identifiers = append(f.found.Identifiers, i)
	}
}
