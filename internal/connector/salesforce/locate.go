package salesforce

import (
	"context"
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

func decimal(n int) string { return strconv.Itoa(n) }

// finding is a Locate on its way.
type finding struct {
	*Connector
	subject connector.Subject
	person  person
	maybe   map[string]bool
	names   map[string]bool // folded, of the records that are the person's
	result  connector.Findings
}

// Locate implements connector.Connector.
func (c *Connector) Locate(ctx context.Context, s connector.Subject) (connector.Findings, error) {
	f := &finding{Connector: c, subject: s, person: c.person(s), maybe: map[string]bool{}, names: map[string]bool{}}
	f.result.Counts = map[string]int{}
	for _, step := range []func(context.Context) error{f.staff, f.byEmail, f.byNumber, f.known, f.byPhone, f.neighbours, f.sum, f.zoom} {
		if err := step(ctx); err != nil {
			return connector.Findings{}, err
		}
	}
	return f.result, nil
}

// root is an object by which a person is followed.
type root struct {
	object, kind string
	ids          func(*person) *[]string
}

var (
	contacts    = root{"Contact", contactID, func(p *person) *[]string { return &p.contacts }}
	leads       = root{"Lead", leadID, func(p *person) *[]string { return &p.leads }}
	individuals = root{"Individual", individualID, func(p *person) *[]string { return &p.individuals }}
	users       = root{"User", userID, func(p *person) *[]string { return &p.users }}
)

// skips reports whether the company has left an object out: nobody is looked for
// in it, or followed to it.
func (c *Connector) skips(r root) bool { return slices.Contains(c.config.Skip, r.object) }

// searched are the objects in which a person is looked for.
func (c *Connector) searched() []root {
	return slices.DeleteFunc([]root{contacts, leads}, c.skips)
}

// fields that a search reads of a contact or lead.
func (f *finding) fields(r root) string {
	list := []string{"Id", "FirstName", "LastName", "Email", "Phone", "MobilePhone"}
	if f.config.Individuals {
		list = append(list, "IndividualId")
	}
	if r.object == leads.object {
		list = append(list, "IsConverted", "ConvertedContactId")
	}
	return strings.Join(list, ",")
}

// staff looks for a user: an employee. Users have their own way, and nothing
// else of theirs is touched when an end user asks.
func (f *finding) staff(ctx context.Context) error {
	if len(f.person.emails) == 0 || f.skips(users) {
		return nil
	}
	list, err := f.rows(ctx, "SELECT Id FROM User WHERE "+in("Email", f.person.emails)+" LIMIT "+decimal(most), false)
	if err != nil || len(list) == 0 {
		return err
	}
	if !f.subject.Agent {
		f.result.Notes = append(f.result.Notes, "a user of Salesforce, an employee, has the same e-mail: it is left alone")
		return nil
	}
	for _, u := range list {
		f.add(users, u.text("Id"))
	}
	return nil
}

// add takes a record for the person's.
func (f *finding) add(r root, id string) {
	if !isID(id) || f.skips(r) {
		return
	}
	if into := r.ids(&f.person); !slices.Contains(*into, id) {
		*into = append(*into, id)
	}
	i := identity.Identifier{Kind: f.own(r.kind), Value: redact.String(id), Trust: identity.Vendor, System: f.inventory.System}
	if !slices.ContainsFunc(f.result.Identifiers, func(k identity.Identifier) bool { return k.Kind == i.Kind && k.Value == i.Value }) {
		f.result.Identifiers = append(f.result.Identifiers, i)
	}
}

// suggest puts a record to an operator.
func (f *finding) suggest(r root, id, why string) {
	if !isID(id) || f.maybe[id] || slices.Contains(*r.ids(&f.person), id) {
		return
	}
	f.maybe[id] = true
	f.result.Candidates = append(f.result.Candidates, connector.Candidate{
		Identifier: identity.Identifier{Kind: f.own(r.kind), Value: redact.String(id), Trust: identity.Vendor, System: f.inventory.System}, Evidence: why,
	})
}

// take takes a contact or lead for the person's, with the contact that a lead has
// become, and the Individual.
func (f *finding) take(r root, found row) {
	f.add(r, found.text("Id"))
	if name := identity.Fold(strings.TrimSpace(found.text("FirstName") + " " + found.text("LastName"))); name != "" {
		f.names[name] = true
	}
	if r.object == leads.object && found.flag("IsConverted") {
		f.add(contacts, found.text("ConvertedContactId"))
	}
	f.add(individuals, found.text("IndividualId"))
	if address, ok := identity.NormalizeEmail(found.text("Email")); ok && !slices.Contains(f.person.emails, address) {
		f.person.emails = append(f.person.emails, address)
		f.result.Identifiers = append(f.result.Identifiers, identity.Identifier{Kind: identity.Email, Value: redact.String(address), Trust: identity.Vendor, System: f.inventory.System})
	}
}

// byEmail finds contacts and leads with an e-mail of the person. Salesforce
// compares without regard to case. Where an erasure empties the Recycle Bin,
// those that somebody has deleted or merged lately are found in it.
func (f *finding) byEmail(ctx context.Context) error {
	if len(f.person.emails) == 0 {
		return nil
	}
	emails := slices.Clone(f.person.emails)
	for _, r := range f.searched() {
		list, err := f.rows(ctx, "SELECT "+f.fields(r)+" FROM "+r.object+" WHERE "+in("Email", emails)+" ORDER BY Id LIMIT "+decimal(most+1), f.config.Erase == hard)
		if err != nil {
			return err
		}
		if len(list) > most {
			return errs.New(errs.TooLarge, "system %q: more than %d records have an e-mail of the person", f.inventory.System, most)
		}
		for _, found := range list {
			if address, ok := identity.NormalizeEmail(found.text("Email")); ok && slices.Contains(emails, address) {
				f.take(r, found)
			}
		}
	}
	return nil
}

// byNumber finds them by the company's own number. Salesforce answers 300 when
// more than one record has it: then it proves nothing.
func (f *finding) byNumber(ctx context.Context) error {
	if f.config.ExternalID == "" {
		return nil
	}
	for _, i := range f.subject.Of(identity.ExternalID) {
		for _, r := range f.searched() {
			a, err := f.do(ctx, kit.Call{
				Method: http.MethodGet, Route: kit.To("/sobjects/"+r.object+"/"+f.config.ExternalID+"/{value}", i.Value.Reveal()),
				Expect: []int{http.StatusMultipleChoices, http.StatusNotFound},
			})
			if err != nil {
				return err
			}
			switch a.Status {
			case http.StatusNotFound:
			case http.StatusMultipleChoices:
				var urls []string
				if err := a.JSON(&urls); err != nil {
					return err
				}
				for _, u := range urls[:min(len(urls), most)] {
					f.suggest(r, u[strings.LastIndex(u, "/")+1:], "several records have the same customer number")
				}
			default:
				var found row
				if err := a.JSON(&found); err != nil {
					return err
				}
				f.take(r, found)
			}
		}
	}
	return nil
}

// known reads the records that are the person's already, for what they lead to,
// and the leads that the person's contacts once were: these may have an older
// e-mail.
func (f *finding) known(ctx context.Context) error {
	for _, r := range f.searched() {
		var any []string
		if ids := *r.ids(&f.person); len(ids) > 0 {
			any = append(any, in("Id", ids))
		}
		if r.object == leads.object && len(f.person.contacts) > 0 {
			any = append(any, in("ConvertedContactId", f.person.contacts))
		}
		if len(any) == 0 {
			continue
		}
		if err := f.person.bounded(f.inventory.System); err != nil {
			return err
		}
		list, err := f.rows(ctx, "SELECT "+f.fields(r)+" FROM "+r.object+" WHERE "+strings.Join(any, " OR ")+" LIMIT "+decimal(most+1), false)
		if err != nil {
			return err
		}
		if len(list) > most {
			return errs.New(errs.TooLarge, "system %q: more than %d records belong to the person", f.inventory.System, most)
		}
		for _, found := range list {
			f.take(r, found)
		}
	}
	return nil
}

// byPhone suggests records with a telephone number of the person: it may be
// shared, and is written in many ways.
func (f *finding) byPhone(ctx context.Context) error {
	for _, i := range f.subject.Of(identity.Phone) {
		number, ok := i.Normal()
		if !ok {
			continue
		}
		search, ok := phoneSearch(number)
		if !ok {
			continue
		}
		var of []string
		for _, r := range f.searched() {
			of = append(of, r.object+"(Id,Phone,MobilePhone)")
		}
		a, err := f.do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/search").With("q", search+" RETURNING "+strings.Join(of, ", "))})
		if err != nil {
			return err
		}
		var hits struct {
			Records []row `json:"searchRecords"`
		}
		if err := a.JSON(&hits); err != nil {
			return err
		}
		for _, hit := range hits.Records {
			note, _ := hit["attributes"].(map[string]any)
			for _, r := range f.searched() {
				if row(note).text("type") == r.object && (samePhone(hit.text("Phone"), number) || samePhone(hit.text("MobilePhone"), number)) {
					f.suggest(r, hit.text("Id"), "the record has the same telephone number")
				}
			}
		}
	}
	return nil
}

// neighbours suggests other records that share the person's Individual.
func (f *finding) neighbours(ctx context.Context) error {
	if len(f.person.individuals) == 0 {
		return nil
	}
	for _, r := range f.searched() {
		list, err := f.rows(ctx, "SELECT Id FROM "+r.object+" WHERE "+in("IndividualId", f.person.individuals)+" LIMIT "+decimal(most), false)
		if err != nil {
			return err
		}
		for _, found := range list {
			f.suggest(r, found.text("Id"), "the record shares the Individual of the person's record")
		}
	}
	return nil
}

// sum counts what there is.
func (f *finding) sum(ctx context.Context) error {
	if err := f.person.bounded(f.inventory.System); err != nil {
		return err
	}
	counted := map[string]bool{}
	for _, o := range f.objects {
		n, err := f.countOf(ctx, o, f.person, false)
		if err != nil {
			return err
		}
		if n > 0 {
			f.result.Counts[o.count] += n
			counted[o.count] = true
		}
	}
	if n := len(f.person.users); n > 0 {
		f.result.Counts["users"] = n
	}
	if n := len(f.names); n > 1 {
		f.result.Notes = append(f.result.Notes, "the person's contacts and leads carry "+decimal(n)+" names: two people may use one e-mail, and Salesforce does not check whose it is")
	}
	if counted["emails"] {
		f.result.Notes = append(f.result.Notes, "deleting e-mails also removes them for others who sent or received them")
	}
	return nil
}

// countOf counts an object's records of a person.
func (c *Connector) countOf(ctx context.Context, o object, p person, bin bool) (n int, err error) {
	where := o.of(p)
	if where == "" {
		return 0, nil
	}
	if len(o.addresses) == 0 {
		where, all := o.reach(where, bin)
		return c.count(ctx, o.name, where, all)
	}
	for after := ""; ; {
		ids, next, err := c.ids(ctx, o, p, after, perPage, bin)
		if err != nil || next == "" {
			return n + len(ids), err
		}
		n, after = n+len(ids), next
	}
}

// zoomField is a field with an id of Zoom.
type zoomField struct{ object, field, kind string }

func (c *Connector) zoomFields() (list []zoomField) {
	for place, kind := range c.config.ZoomIDs {
		object, field, _ := strings.Cut(place, ".")
		list = append(list, zoomField{object, field, kind})
	}
	slices.SortFunc(list, func(a, b zoomField) int { return strings.Compare(a.object+"."+a.field, b.object+"."+b.field) })
	return list
}

// zoom yields the ids of Zoom that the person's records hold, under the kinds of
// the system that is Zoom.
func (f *finding) zoom(ctx context.Context) error {
	seen := map[identity.Identifier]bool{}
	for _, z := range f.zoomFields() {
		i := slices.IndexFunc(f.objects, func(o object) bool { return o.name == z.object })
		where := f.objects[i].of(f.person)
		if where == "" {
			continue
		}
		where, all := f.objects[i].reach(where, false)
		list, err := f.rows(ctx, "SELECT Id,"+z.field+" FROM "+z.object+" WHERE "+where+" ORDER BY Id LIMIT "+decimal(most+1), all)
		if err != nil {
			return err
		}
		if len(list) > most {
			f.result.Notes = append(f.result.Notes, "more than "+decimal(most)+" records of "+z.object+" hold ids of Zoom: those beyond are not searched for there")
		}
		for _, r := range list[:min(len(list), most)] {
			id := identity.Identifier{Kind: identity.Kind(f.config.Zoom + "." + z.kind), Value: redact.String(idText(r[z.field])), Trust: identity.Vendor, System: f.inventory.System}
			if id.Value.Reveal() != "" && !seen[id] {
				seen[id] = true
				f.result.Identifiers = append(f.result.Identifiers, id)
			}
		}
	}
	return nil
}

// idText is an id that another system has given: a text, or a number without
// fractions.
func idText(v any) string {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}
