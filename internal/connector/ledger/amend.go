package ledger

import (
	"context"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// lifted is the handle that turns a restriction into its end.
const lifted = "lifted"

// The fields that can be rectified. FieldPreference is no field of the ledger:
// an objection names in it what is objected to, in Change.New.
const (
	FieldEmail      = "email"
	FieldFirstName  = "first_name"
	FieldLastName   = "last_name"
	FieldFullName   = "full_name"
	FieldPhone      = "phone"
	FieldPhones     = "phones"
	FieldPreference = "preference"
)

// amend appends what a request changes to each subject of the person: the ledger
// only grows, and what is appended takes effect when it is received. Repeating it
// appends nothing.
func (c *Connector) amend(ctx context.Context, call connector.Call) (connector.Progress, error) {
	p, err := c.reach(ctx, call.Subject)
	if err != nil {
		return connector.Progress{}, err
	}
	m, ask, err := c.amendment(ctx, call, p)
	if err != nil || ask != nil {
		return connector.Progress{Ask: ask}, err
	}
	n := 0
	for _, t := range p.targets {
		id := p.subjects[t.Partition]
		if t.Single || id == "" || m.Kind == consent.KindSubject && p.events[t.Partition] == 0 {
			continue // there is nothing to rectify where nothing was said
		}
		one := m
		one.SubjectID = id
		if m.Kind != consent.KindSubject {
			one.Email = p.ownEmail(id)
		}
		if _, err := c.amender.Append(ctx, one); err != nil {
			return connector.Progress{}, err
		}
		n++
	}
	if n == 0 {
		return connector.Progress{}, errs.New(errs.NotFound, "the ledger has no subject of the person to change")
	}
	return connector.Progress{
		Done: true, Counts: map[string]int{"subjects": n},
		Evidence: []connector.Evidence{{At: call.Now, Call: "append " + string(m.Kind), Answer: "appended to the ledger"}},
	}, nil
}

// ownEmail is the e-mail whose own subject an id is: without it a subject that
// only this request has made would not say whose it is.
func (p *person) ownEmail(id redact.String) redact.String {
	for normal, shown := range p.emails {
		if p.c.Hasher.EmailSubject(p.site, normal) == id.Reveal() {
			return shown
		}
	}
	return ""
}

// amendment is what a call means for the ledger, or what a person must do.
func (c *Connector) amendment(ctx context.Context, call connector.Call, p *person) (consent.Amendment, *connector.Ask, error) {
	m := consent.Amendment{Site: call.Subject.Site, Case: call.Request, Source: consent.Confirmed}
	switch call.Operation {
	case connector.Restrict:
		m.Kind, m.Lifted = consent.KindRestriction, call.Handle == lifted
		return m, nil, nil
	case connector.Object:
		m.Kind = consent.KindObjection
		for _, change := range call.Changes {
			if change.Field == FieldPreference && change.New != "" {
				m.Objected = append(m.Objected, change.New.Reveal())
			}
		}
		return m, nil, nil
	}
	m.Kind, m.Source = consent.KindSubject, consent.Private // what the company says of the person from now on
	unknown, err := c.rectify(ctx, call.Changes, p, &m.Profile)
	if err != nil {
		return m, nil, err
	}
	if len(unknown) > 0 || m.Profile == (consent.Profile{}) {
		return m, &connector.Ask{
			Reason:       "the ledger holds no field of this name: " + strings.Join(unknown, ", "),
			Instructions: "The ledger knows email, first_name, last_name, full_name and phone. Correct the rest where it is kept, or in a new request.",
		}, nil
	}
	return m, nil, nil
}

// rectify fills in the fields as they should be; phones are stated as a whole, so
// a change of one keeps the others.
func (c *Connector) rectify(ctx context.Context, changes []connector.Change, p *person, into *consent.Profile) (unknown []string, err error) {
	for _, change := range changes {
		text := &consent.Text{Value: change.New, Null: change.New == ""}
		if len(change.New) > consent.MaxText {
			return nil, errs.InvalidField("changes", "a value is longer than %d bytes", consent.MaxText)
		}
		switch change.Field {
		case FieldEmail:
			if _, ok := identity.NormalizeEmail(change.New.Reveal()); !ok && !text.Null {
				return nil, errs.InvalidField("changes", "the new e-mail is no address")
			}
			into.Email = text
		case FieldFirstName:
			into.FirstName = text
		case FieldLastName:
			into.LastName = text
		case FieldFullName:
			into.FullName = text
		case FieldPhone, FieldPhones:
			if into.Phones == nil {
				if into.Phones, err = c.phones(ctx, p); err != nil {
					return nil, err
				}
			}
			replacePhone(into.Phones, change)
		default:
			unknown = append(unknown, plainName(change.Field))
		}
	}
	return unknown, nil
}

// plainName is a field's name as far as it is one: what a request calls a field
// must not carry personal data into a task.
func plainName(field string) string {
	if field == "" || len(field) > 40 || strings.Trim(field, "abcdefghijklmnopqrstuvwxyz_") != "" {
		return "(not a name)"
	}
	return field
}

// phones are the numbers that the person has by now, of the view that was
// updated last.
func (c *Connector) phones(ctx context.Context, p *person) (*consent.Phones, error) {
	var latest *consent.SubjectView
	for _, t := range p.targets {
		if t.Single {
			continue
		}
		v, err := c.Views.View(ctx, t.Partition)
		if err != nil {
			return nil, err
		}
		if v != nil && (latest == nil || v.Updated.After(latest.Updated)) {
			latest = v
		}
	}
	out := &consent.Phones{}
	if latest != nil {
		out.List = append(out.List, latest.Phones...)
	}
	return out, nil
}

func replacePhone(list *consent.Phones, change connector.Change) {
	same := func(a, b redact.String) bool {
		x, okX := identity.NormalizePhone(a.Reveal())
		y, okY := identity.NormalizePhone(b.Reveal())
		return a == b || okX && okY && x == y
	}
	label, kept := "", list.List[:0:0]
	for _, phone := range list.List {
		if change.Old != "" && same(phone.Number, change.Old) {
			label = phone.Label
			continue
		}
		if !same(phone.Number, change.New) {
			kept = append(kept, phone)
		}
	}
	if change.New != "" {
		kept = append(kept, consent.Phone{Number: change.New, Label: label})
	}
	list.List, list.Null = kept[:min(len(kept), consent.MaxPhones)], len(kept) == 0
}
