package salesforce

import (
	"context"
	"net/mail"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// object is one whose records may be about a person, and by which fields.
type object struct {
	name       string
	count      string // in Findings and Progress
	kind       string // of the record's own id, if the person is followed by it
	contact    string // lookups
	lead       string
	individual string
	email      []string // fields that hold one address
	addresses  []string // fields that hold many
	loose      string   // email counts only where this lookup is empty
	masked     bool     // it can be overwritten instead of deleted
	archives   bool     // Salesforce archives old ones, which only queryAll shows
}

// objects are what hangs on a person, in the order of an erasure: what leads to
// the person first, since a case keeps its contact from being deleted, and the
// Individual last.
func (c config) objects() []object {
	list := []object{
		{name: "Task", count: "tasks", contact: "WhoId", lead: "WhoId", masked: true, archives: true},
		{name: "Event", count: "events", contact: "WhoId", lead: "WhoId", masked: true, archives: true},
		{name: "EmailMessage", count: "emails", email: []string{"FromAddress"}, addresses: []string{"ToAddress", "CcAddress", "BccAddress"}},
		{name: "CampaignMember", count: "campaign_members", contact: "ContactId", lead: "LeadId"},
		{name: "OpportunityContactRole", count: "opportunity_roles", contact: "ContactId"},
	}
	for _, own := range c.Custom {
		list = append(list, object{name: own.Object, count: strings.ToLower(own.Object), contact: own.Contact, lead: own.Lead, individual: own.Individual, email: own.Email, masked: true})
	}
	list = append(list, object{name: "Case", count: "cases", contact: "ContactId", email: []string{"SuppliedEmail"}, loose: "ContactId", masked: true})
	if c.Individuals {
		list = append(list,
			object{name: "ContactPointTypeConsent", count: "consents", individual: "PartyId"},
			object{name: "ContactPointEmail", count: "contact_points", individual: "ParentId"},
			object{name: "ContactPointPhone", count: "contact_points", individual: "ParentId"},
			object{name: "ContactPointAddress", count: "contact_points", individual: "ParentId"},
		)
	}
	list = append(list,
		object{name: "Lead", count: "leads", kind: leadID, lead: "Id", masked: true},
		object{name: "Contact", count: "contacts", kind: contactID, contact: "Id", masked: true},
	)
	if c.Individuals {
		list = append(list, object{name: "Individual", count: "individuals", kind: individualID, individual: "Id", masked: true})
	}
	return slices.DeleteFunc(list, func(o object) bool { return slices.Contains(c.Skip, o.name) })
}

// person is whom an operation is about, by what Locate has found.
type person struct {
	contacts, leads, individuals, users, emails []string
}

func (c *Connector) person(s connector.Subject) person {
	var p person
	for _, r := range slices.DeleteFunc([]root{contacts, leads, individuals, users}, c.skips) {
		into := r.ids(&p)
		for _, i := range s.Of(c.own(r.kind)) {
			if id := i.Value.Reveal(); isID(id) && !slices.Contains(*into, id) {
				*into = append(*into, id)
			}
		}
	}
	for _, i := range s.Of(identity.Email) {
		if address, ok := i.Normal(); ok && !slices.Contains(p.emails, address) {
			p.emails = append(p.emails, address)
		}
	}
	return p
}

// most bounds the records of a person that stand in one query.
const most = 100

func (p person) bounded(system string) error {
	if len(p.contacts)+len(p.leads)+len(p.individuals)+len(p.emails) > most {
		return errs.New(errs.TooLarge, "system %q: more than %d records and addresses belong to the person", system, most)
	}
	return nil
}

// of is the condition for an object's records of a person; "" if there can be
// none.
func (o object) of(p person) string {
	var any []string
	add := func(field string, ids []string) {
		if field != "" && len(ids) > 0 {
			any = append(any, in(field, ids))
		}
	}
	if o.contact == o.lead {
		add(o.contact, slices.Concat(p.contacts, p.leads))
	} else {
		add(o.contact, p.contacts)
		add(o.lead, p.leads)
	}
	add(o.individual, p.individuals)
	for _, field := range o.email {
		if len(p.emails) == 0 {
			continue
		}
		condition := in(field, p.emails)
		if o.loose != "" {
			condition = "(" + condition + " AND " + o.loose + " = null)"
		}
		any = append(any, condition)
	}
	for _, field := range o.addresses {
		for _, address := range p.emails {
			any = append(any, field+" LIKE "+contains(address))
		}
	}
	if len(any) == 0 {
		return ""
	}
	return "(" + strings.Join(any, " OR ") + ")"
}

// perPage is how many records an operation sees to at a time: as many as one
// call may delete.
const perPage = 200

// ids are the next records of an object, in the order of their ids, and whether
// there may be more.
func (c *Connector) ids(ctx context.Context, o object, p person, after string, limit int, bin bool) (ids []string, next string, err error) {
	if err := p.bounded(c.inventory.System); err != nil {
		return nil, "", err
	}
	where := o.of(p)
	if where == "" {
		return nil, "", nil
	}
	if after != "" {
		where += " AND Id > " + literal(after)
	}
	where, all := o.reach(where, bin)
	fields := append([]string{"Id"}, o.addresses...)
	if len(o.addresses) > 0 {
		fields = append(fields, o.email...)
	}
	list, err := c.rows(ctx, "SELECT "+strings.Join(fields, ",")+" FROM "+o.name+" WHERE "+where+" ORDER BY Id LIMIT "+decimal(limit), all)
	if err != nil {
		return nil, "", err
	}
	for _, r := range list {
		id := r.text("Id")
		if !isID(id) {
			return nil, "", errs.New(errs.Internal, "%s GET /query: a record has no id", c.inventory.System)
		}
		if o.about(r, p) {
			ids = append(ids, id)
		}
		next = id
	}
	if len(list) < limit {
		next = ""
	}
	return ids, next, nil
}

// reach is where a query of an object's records has to be asked, with its
// condition: queryAll shows archived ones, and those in the Recycle Bin as well.
func (o object) reach(where string, bin bool) (string, bool) {
	if o.archives && !bin {
		return where + " AND IsDeleted = false", true
	}
	return where, bin
}

// about reports whether a record is the person's: a list of addresses that
// contains another one, in which the person's is a part, was found as well.
func (o object) about(r row, p person) bool {
	if len(o.addresses) == 0 {
		return true
	}
	for _, field := range slices.Concat(o.email, o.addresses) {
		for _, text := range strings.FieldsFunc(r.text(field), func(c rune) bool { return c == ';' || c == ',' }) {
			if one, err := mail.ParseAddress(text); err == nil {
				text = one.Address
			}
			if address, ok := identity.NormalizeEmail(text); ok && slices.Contains(p.emails, address) {
				return true
			}
		}
	}
	return false
}
