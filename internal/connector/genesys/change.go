package genesys

import (
	"context"
	"net/http"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/identity"
)

// termTypes are the fields that GDPR_UPDATE replaces, as a request calls them.
var termTypes = map[string]string{
	"name": "NAME", "address": "ADDRESS", "phone": "PHONE", "email": "EMAIL", "external_id": "EXTERNAL_ID",
	"twitter": "TWITTER", "instagram": "INSTAGRAM", "facebook": "FACEBOOK",
}

// terms are the corrections that Genesys can make: it replaces a value by another.
func terms(changes []connector.Change) (list []term) {
	for _, change := range changes {
		if kind := termTypes[change.Field]; kind != "" && change.Old != "" && change.New != "" {
			list = append(list, term{Type: kind, Old: change.Old.Reveal(), New: change.New.Reveal()})
		}
	}
	return list
}

var byHand = &connector.Ask{
	Reason:       "Genesys only replaces names, addresses, telephone numbers, e-mails and external ids by others: a correction adds, removes or names another field",
	Instructions: "Correct the rest in Genesys: Admin, External Contacts, or the directory for an employee.",
}

// sharedAddress is for an address that is an employee's as well.
var sharedAddress = &connector.Ask{
	Reason:       "an employee has the person's e-mail, too: a request by this address would take in the employee's own data, and was not made",
	Instructions: "Find out whether the customer and the employee are one person. If so, open a request of the employee as well. Deal with what Genesys holds by this address alone by hand.",
}

// finish ends an operation whose requests are done.
func (w *work) finish(ctx context.Context, p connector.Progress) (connector.Progress, error) {
	p, err := w.conclude(ctx, p)
	if p.Done && slices.ContainsFunc(w.h.Jobs, func(j job) bool { return j.End == skipped }) {
		p.Done, p.Ask = false, sharedAddress
	}
	return p, err
}

func (w *work) conclude(ctx context.Context, p connector.Progress) (connector.Progress, error) {
	switch w.call.Operation {
	case connector.Erase:
		return w.remove(ctx, p)
	case connector.Rectify:
		if len(terms(w.call.Changes)) < len(w.call.Changes) {
			p.Ask = byHand
			return p, nil
		}
	}
	p.Done = true
	return p, nil
}

// A place is a record that may be deleted after its request.
type place struct{ key, count, route, id string }

// places are the records that the policy deletes beside.
func (c *Connector) places(s connector.Subject) (list []place) {
	for _, o := range c.who(s) {
		switch {
		case o.Kind == c.own(contactID) && c.config.ExternalContacts == byDelete:
			list = append(list, place{o.key, "external_contacts", "/externalcontacts/contacts/{id}", o.subject.ContactID})
		case o.Kind == c.own(userID) && c.config.DirectoryUsers == byDelete:
			list = append(list, place{o.key, "users", "/users/{id}", o.subject.UserID})
		}
	}
	return list
}

// remove deletes records that the requests leave, by the policy: found first,
// deleted in the next step. What is no longer there then was deleted by it.
func (w *work) remove(ctx context.Context, p connector.Progress) (connector.Progress, error) {
	places := w.places(w.call.Subject)
	if !w.h.Look && len(places) > 0 {
		for _, at := range places {
			found, err := w.find(ctx, kit.To(at.route, at.id), &struct{}{})
			if err != nil {
				return p, err
			}
			if found {
				w.h.Found = append(w.h.Found, at.key)
			}
		}
		w.h.Look, p.After = true, soon
		return p, nil
	}
	for _, at := range places {
		if !slices.Contains(w.h.Found, at.key) {
			continue
		}
		a, err := w.api.Do(ctx, kit.Call{Method: http.MethodDelete, Route: kit.To(at.route, at.id), Expect: []int{http.StatusNotFound}})
		if err != nil {
			return p, err
		}
		p.Counts[at.count]++
		p.Evidence = append(p.Evidence, evidence(w.call.Now, "DELETE /api/v2"+at.route, http.StatusText(a.Status)))
	}
	if w.call.Subject.Agent && w.config.DirectoryUsers == keep && len(w.who) > 0 {
		p.Kept = append(p.Kept, connector.Kept{What: "the employee's entry in the directory", Ground: w.config.Ground, Reason: "the account is in use"})
	}
	p.Done = true
	return p, nil
}

// Verify implements connector.Connector. It searches again, and reads by id what
// the search might not know of yet.
func (c *Connector) Verify(ctx context.Context, call connector.Call) (connector.Residue, error) {
	residue := connector.Residue{Counts: map[string]int{}}
	left := map[string]string{} // kind of count by record
	for _, by := range call.Subject.Identifiers {
		found, sure, err := c.search(ctx, by)
		if err != nil {
			return connector.Residue{}, err
		}
		for i, s := range found {
			c.weigh(call.Subject, by, s, sure[i], left)
		}
	}
	for _, at := range c.places(call.Subject) {
		var u user
		found, err := c.find(ctx, kit.To(at.route, at.id), &u)
		if err != nil {
			return connector.Residue{}, err
		}
		if found && u.State != "deleted" {
			left[at.id] = at.count
		}
	}
	for _, count := range left {
		residue.Counts[count]++
	}
	residue.Evidence = []connector.Evidence{evidence(call.Now, "GET /api/v2/gdpr/subjects", map[bool]string{true: "nothing of the person", false: "still found"}[len(left) == 0])}
	return residue, nil
}

// weigh adds what a found subject leaves: its records, where they are the
// person's. Who only has the same number or name is somebody else.
func (c *Connector) weigh(s connector.Subject, by identity.Identifier, found subject, sure bool, left map[string]string) {
	ids := found.ids()
	if _, employee := ids[userID]; employee != s.Agent || s.Agent && c.config.DirectoryUsers == keep {
		return
	}
	certain := sure && by.Kind != identity.Phone && by.Kind != identity.Name
	if len(ids) == 0 && certain {
		left[string(by.Kind)+by.Value.Reveal()] = map[bool]string{true: "numbers", false: "addresses"}[by.Kind == c.own(number)]
	}
	certain = certain && by.Kind != c.own(number)
	for what, value := range ids {
		known := slices.ContainsFunc(s.Identifiers, func(i identity.Identifier) bool { return i.Kind == c.own(what) && i.Value.Reveal() == value })
		if certain || known {
			left[value] = or(countNames[what], what)
		}
	}
}
