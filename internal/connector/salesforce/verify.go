package salesforce

import (
	"context"
	"fmt"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
)

// Verify implements connector.Connector. After a hard deletion the Recycle Bin is
// looked into as well. Records that have come back with an e-mail of the person
// are found, too.
func (c *Connector) Verify(ctx context.Context, call connector.Call) (connector.Residue, error) {
	p := c.person(call.Subject)
	residue := connector.Residue{Counts: map[string]int{}}
	for _, r := range []root{contacts, leads, individuals} {
		if err := c.verifyRoots(ctx, call, r, p, &residue); err != nil {
			return connector.Residue{}, err
		}
	}
	for _, o := range c.objects {
		if o.kind == individualID {
			continue
		}
		bin := c.config.Erase == hard && !slices.Contains(c.config.Bin, o.name)
		n, err := c.left(ctx, o, p, bin)
		if err != nil {
			return connector.Residue{}, err
		}
		if n > 0 {
			residue.Counts[o.count] += n
		}
		path := "GET /query"
		if _, all := o.reach("", bin); all {
			path = "GET /queryAll"
		}
		residue.Evidence = append(residue.Evidence, said(call.Now, path, fmt.Sprintf("%s: %d", o.name, n)))
	}
	return residue, nil
}

// verifyRoots looks at the person's own records one by one.
func (c *Connector) verifyRoots(ctx context.Context, call connector.Call, r root, p person, residue *connector.Residue) error {
	for _, id := range *r.ids(&p) {
		found, err := c.record(ctx, r.object, id)
		if err != nil {
			return err
		}
		answer := "404"
		if found != nil {
			answer = "200"
			if c.config.Erase == mask && found.text("LastName") == masked && found.text("FirstName") == "" && found.text("Email") == "" {
				answer = "200, masked"
			} else {
				residue.Counts[c.countName(r.object)]++
			}
		} else if c.config.Erase == hard && !slices.Contains(c.config.Bin, r.object) {
			n, err := c.count(ctx, r.object, in("Id", []string{id}), true)
			if err != nil {
				return err
			}
			if n > 0 {
				answer = "404, but in the bin"
				residue.Counts[c.countName(r.object)]++
			}
		}
		residue.Evidence = append(residue.Evidence, said(call.Now, "GET /sobjects/"+r.object+"/{id}", answer))
	}
	return nil
}

// left counts what is still there of an object. Contacts and leads are new ones
// with an e-mail of the person: the known ones were looked at. What is masked
// stays, without anything by which it would be found.
func (c *Connector) left(ctx context.Context, o object, p person, bin bool) (int, error) {
	if o.kind == "" && !(c.config.Erase == mask && o.masked) {
		return c.countOf(ctx, o, p, bin)
	}
	o.contact, o.lead, o.individual = "", "", ""
	if o.kind == "" {
		return c.countOf(ctx, o, p, bin)
	}
	o.email = []string{"Email"}
	ids, _, err := c.ids(ctx, o, p, "", most, bin)
	known := slices.Concat(p.contacts, p.leads)
	return len(slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(known, id) })), err
}
