package genesys

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// search finds subjects by an identifier. Genesys searches generously: what
// shows another value than the one asked for is dropped; sure is false for what
// shows none.
func (c *Connector) search(ctx context.Context, by identity.Identifier) (found []subject, sure []bool, err error) {
	kind, value := c.searchType(by)
	if kind == "" {
		return nil, nil, nil
	}
	route := kit.To("/gdpr/subjects").With("searchType", kind).With("searchValue", value)
	err = kit.Walk(maxPages, func(next string) (string, error) {
		if next != "" {
			var err error
			if route, err = c.api.Link(route, next); err != nil {
				return "", err
			}
		}
		var page struct {
			Entities []subject `json:"entities"`
			Next     string    `json:"nextUri"`
		}
		if err := c.api.Get(ctx, route, &page); err != nil {
			return "", err
		}
		for _, s := range page.Entities {
			equal, shown := s.carries(by)
			if equal || !shown {
				found, sure = append(found, s), append(sure, equal)
			}
		}
		return page.Next, nil
	})
	return found, sure, err
}

// searchType is how Genesys is asked for an identifier; "" for one that it
// cannot search.
func (c *Connector) searchType(by identity.Identifier) (kind, value string) {
	value, ok := by.Normal()
	switch {
	case !ok:
	case by.Kind == identity.Email:
		return "EMAIL", value
	case by.Kind == identity.Phone, by.Kind == c.own(number):
		return "PHONE", value
	case by.Kind == identity.ExternalID:
		return "EXTERNAL_ID", value
	case by.Kind == identity.Name && strings.Contains(value, " "): // one word is nobody's name alone
		return "NAME", strings.TrimSpace(by.Value.Reveal())
	case by.Kind == c.own(social):
		if network, handle, _ := strings.Cut(value, "/"); slices.Contains([]string{"TWITTER", "INSTAGRAM", "FACEBOOK", "APPLE_MESSAGES"}, network) && handle != "" {
			return network, handle
		}
	}
	return "", ""
}

// carries compares what a found subject shows with what it was asked for.
func (s subject) carries(by identity.Identifier) (equal, shown bool) {
	var values []string
	kind := by.Kind
	switch {
	case kind == identity.Email:
		values = s.Emails
	case kind == identity.ExternalID:
		values = []string{s.External}
	case kind == identity.Name:
		values = []string{s.Name}
	case strings.HasSuffix(string(kind), "."+social):
		values = []string{s.ids()[social]}
	default:
		values, kind = s.Phones, identity.Phone
	}
	want, _ := identity.Identifier{Kind: kind, Value: by.Value}.Normal()
	for _, value := range values {
		got, ok := identity.Identifier{Kind: kind, Value: redact.String(value)}.Normal()
		shown = shown || value != ""
		equal = equal || ok && got == want
	}
	return equal, shown
}

// finding is a Locate on its way.
type finding struct {
	*Connector
	subject connector.Subject
	own     map[identity.Identifier]bool
	maybe   map[identity.Identifier]string // with the evidence
	counts  map[string]map[string]bool     // distinct records by kind
	notes   map[string]bool
}

// Locate implements connector.Connector.
func (c *Connector) Locate(ctx context.Context, s connector.Subject) (connector.Findings, error) {
	f := &finding{Connector: c, subject: s, own: map[identity.Identifier]bool{}, maybe: map[identity.Identifier]string{}, counts: map[string]map[string]bool{}, notes: map[string]bool{}}
	for _, o := range c.who(s) { // what is known already is the person's
		for what, value := range o.subject.ids() {
			f.count(what, value)
		}
		if o.Kind == c.own(number) {
			f.count(number, o.Value.Reveal())
		}
	}
	for _, by := range s.Identifiers {
		if err := f.look(ctx, by); err != nil {
			return connector.Findings{}, err
		}
	}
	if s.Agent && len(f.counts) > 0 {
		if err := f.retention(ctx); err != nil {
			return connector.Findings{}, err
		}
	}
	return f.sum(), nil
}

func (f *finding) look(ctx context.Context, by identity.Identifier) error {
	found, sure, err := f.search(ctx, by)
	if err != nil {
		return err
	}
	for i, s := range found {
		f.judge(by, s, sure[i])
	}
	if f.subject.Agent && by.Kind == identity.Email {
		return f.employee(ctx, by)
	}
	return nil
}

// judge decides whether a found subject is the person. A number or a name may be
// shared; a record that does not show what it was found by may be anybody's.
func (f *finding) judge(by identity.Identifier, s subject, sure bool) {
	ids := s.ids()
	if _, employee := ids[userID]; employee != f.subject.Agent {
		f.notes["a record of an employee carries an identifier of an end user, or the other way round: it is left alone"] = true
		return
	}
	evidence := ""
	switch {
	case !sure:
		evidence = "found by the person's " + label(by.Kind) + ", which the record does not show"
	case by.Kind == identity.Phone, by.Kind == f.Connector.own(number): // also one that only the person uses may stand in another's record
		evidence = "the record has the same telephone number"
	case by.Kind == identity.Name:
		evidence = "the record has the same name"
	}
	if len(ids) == 0 {
		f.bare(by, s, evidence)
		return
	}
	for what, value := range ids {
		if evidence == "" {
			f.count(what, value)
		}
		f.take(identity.Identifier{Kind: f.Connector.own(what), Value: redact.String(value)}, evidence)
	}
	if evidence == "" {
		f.more(s)
	}
}

// bare is a subject without a record: conversations with a number or an address.
// The address is the person's; the number is for an operator to judge.
func (f *finding) bare(by identity.Identifier, s subject, evidence string) {
	switch {
	case by.Kind == identity.Phone:
		value, _ := by.Normal()
		f.take(identity.Identifier{Kind: f.Connector.own(number), Value: redact.String(value)}, "conversations with the same telephone number and no contact: accept it if nobody else uses the number")
	case evidence == "":
		f.count("addresses", by.Value.Reveal())
		f.more(s)
	}
}

// more is what a record of the person has beside: the company's own number is
// theirs, another address may be somebody else's that an agent has written down.
func (f *finding) more(s subject) {
	if s.External != "" {
		f.take(identity.Identifier{Kind: identity.ExternalID, Value: redact.String(s.External)}, "")
	}
	for _, mail := range s.Emails {
		i := identity.Identifier{Kind: identity.Email, Value: redact.String(mail)}
		if known, _ := f.knows(i); !known {
			f.take(i, "the person's record has this address, too")
		}
	}
}

// knows reports whether the request has an identifier already.
func (f *finding) knows(i identity.Identifier) (known, ok bool) {
	want, ok := i.Normal()
	for _, have := range f.subject.Identifiers {
		if got, _ := have.Normal(); have.Kind == i.Kind && got == want {
			return true, ok
		}
	}
	return false, ok
}

func (f *finding) take(i identity.Identifier, evidence string) {
	if known, ok := f.knows(i); known || !ok {
		return
	}
	i.Trust, i.System = identity.Vendor, f.inventory.System
	if evidence == "" {
		f.own[i] = true
	} else {
		f.maybe[i] = evidence
	}
}

// countNames are the kinds of record as counts call them.
var countNames = map[string]string{
	userID: "users", contactID: "external_contacts", dialerContact: "campaign_contacts", journey: "visitors", social: "social_handles", number: "numbers",
}

func (f *finding) count(what, value string) {
	name := or(countNames[what], what)
	if f.counts[name] == nil {
		f.counts[name] = map[string]bool{}
	}
	f.counts[name][value] = true
}

// user is an employee in the directory.
type user struct {
	ID    string `json:"id"`
	Email string `json:"email"`
	State string `json:"state"`
	Chat  struct {
		Address string `json:"jabberId"`
	} `json:"chat"`
}

// employee finds an employee by the address in the directory.
func (f *finding) employee(ctx context.Context, by identity.Identifier) error {
	want, ok := by.Normal()
	if !ok {
		return nil
	}
	type criterion struct {
		Type   string   `json:"type"`
		Fields []string `json:"fields"`
		Value  string   `json:"value"`
	}
	body := struct {
		Query []criterion `json:"query"`
		Size  int         `json:"pageSize"`
		Page  int         `json:"pageNumber"`
	}{[]criterion{{"EXACT", []string{"email"}, want}}, 25, 1}
	a, err := f.api.Do(ctx, kit.Call{Method: http.MethodPost, Route: kit.To("/users/search"), Body: body, Repeatable: true})
	if err != nil {
		return err
	}
	var page struct {
		Results []user `json:"results"`
		Pages   int    `json:"pageCount"`
	}
	if err := a.JSON(&page); err != nil {
		return err
	}
	if page.Pages > 1 {
		return errs.New(errs.TooLarge, "%s POST /users/search: an exact address has more than 25 users", f.inventory.System)
	}
	for _, u := range page.Results {
		if got, ok := identity.NormalizeEmail(u.Email); !ok || got != want || u.ID == "" {
			continue
		}
		f.count(userID, u.ID)
		f.take(identity.Identifier{Kind: f.Connector.own(userID), Value: redact.String(u.ID)}, "")
		f.take(identity.Identifier{Kind: f.Connector.own(chatAddress), Value: redact.String(u.Chat.Address)}, "")
	}
	return nil
}

// retention holds the inventory to what the organisation has really set: an
// answer must not promise messages that are gone, nor the other way round.
func (f *finding) retention(ctx context.Context) error {
	var set struct {
		Days int `json:"messageRetentionPeriodDays"`
	}
	if err := f.api.Get(ctx, kit.To("/chats/settings"), &set); err != nil {
		return err
	}
	if set.Days > 0 {
		f.notes[fmt.Sprintf("messages of Collaborate older than %d days are gone", set.Days)] = true
	}
	if said := f.config.ChatRetentionDays; said > 0 && set.Days != said {
		f.notes[fmt.Sprintf("the inventory says that messages are kept for %d days, Genesys has %d: correct chat_retention_days", said, set.Days)] = true
	}
	return nil
}

// sum is what was found, in an order that is always the same.
func (f *finding) sum() connector.Findings {
	found := connector.Findings{Counts: map[string]int{}, Notes: slices.Sorted(maps.Keys(f.notes))}
	for name, values := range f.counts {
		found.Counts[name] = len(values)
	}
	order := func(a, b identity.Identifier) int {
		return strings.Compare(string(a.Kind)+a.Value.Reveal(), string(b.Kind)+b.Value.Reveal())
	}
	found.Identifiers = slices.SortedFunc(maps.Keys(f.own), order)
	for _, i := range slices.SortedFunc(maps.Keys(f.maybe), order) {
		if !f.own[i] {
			found.Candidates = append(found.Candidates, connector.Candidate{Identifier: i, Evidence: f.maybe[i]})
		}
	}
	known := f.subject
	known.Identifiers = append(slices.Clone(known.Identifiers), found.Identifiers...)
	if n := len(f.who(known)); n > f.config.SmallSet {
		found.Notes = append(found.Notes, fmt.Sprintf("the person has %d identifiers here, and small_set allows %d: a person must decide", n, f.config.SmallSet))
	}
	return found
}

func label(k identity.Kind) string {
	_, what, own := strings.Cut(string(k), ".")
	if own {
		return strings.ReplaceAll(what, "_", " ")
	}
	return strings.ReplaceAll(string(k), "_", " ")
}
