package zendeskchat

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

const (
	looked     = 10 // pages of a search that Locate and Verify compare hit by hit
	neighbours = 3  // names, and telephones, of the person's chats that are searched for
	candidates = 20 // put to a person
)

// counted are a person's chats, as far as they were looked at.
type counted struct {
	chats     map[string]*document // compared one by one
	unchecked int                  // hits beyond the pages that were read
	stale     int                  // hits that do not exist any more: the search is behind
	visitors  map[string]bool      // who wrote in them
}

func (n counted) total() int { return len(n.chats) + n.unchecked }

func (n counted) notes() []string {
	if n.unchecked == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d chats were compared, %d more are counted as the search counts them: each is compared before anything is done with it", len(n.chats), n.unchecked)}
}

// count looks for a person's chats. Of a search with very many hits it reads the
// first pages.
func (c *Connector) count(ctx context.Context, p person) (counted, error) {
	n := counted{chats: map[string]*document{}, visitors: map[string]bool{}}
	for at := 0; at < len(p.ids); at += perPage {
		docs, err := c.chats(ctx, p.ids[at:min(at+perPage, len(p.ids))])
		if err != nil {
			return n, err
		}
		n.add(docs)
	}
	for _, s := range c.sources(p)[1:] {
		if err := c.countHits(ctx, p, s.query, &n); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (c *Connector) countHits(ctx context.Context, p person, query string, n *counted) error {
	read := 0
	for page := 1; page <= looked; page++ {
		found, err := c.search(ctx, query, page)
		if err != nil {
			return err
		}
		var ids []string
		for _, h := range found.List {
			ids = append(ids, h.ID)
		}
		docs, err := c.chats(ctx, ids)
		if err != nil {
			return err
		}
		n.stale += len(ids) - len(docs)
		n.add(slices.DeleteFunc(docs, func(d *document) bool { return !p.owns(d) }))
		if read += len(ids); !found.More {
			return nil
		}
		if page == looked {
			n.unchecked += max(0, found.Count-read)
		}
	}
	return nil
}

func (n counted) add(docs []*document) {
	for _, d := range docs {
		d.text = nil // hundreds of transcripts would fill the memory
		n.chats[d.ID] = d
		n.visitors[cmp.Or(string(d.Visitor.ID), identity.Fold(d.Visitor.Email), d.ID)] = true
	}
}

// Locate implements connector.Connector.
func (c *Connector) Locate(ctx context.Context, s connector.Subject) (connector.Findings, error) {
	if s.Agent {
		return c.locateAgent(ctx, s)
	}
	p := c.visitor(s)
	own, err := c.count(ctx, p)
	if err != nil {
		return connector.Findings{}, err
	}
	found := connector.Findings{Counts: map[string]int{}, Notes: own.notes()}
	if own.total() > 0 {
		found.Counts["chats"] = own.total()
	}
	for _, i := range s.Of(identity.ChatID) { // of the request: now it is known to be of this system
		if own.chats[i.Value.Reveal()] != nil {
			found.Identifiers = append(found.Identifiers, c.id("chat_id", i.Value.Reveal()))
		}
	}
	l := &looking{Connector: c, p: p, own: own, maybe: map[string]connector.Candidate{}, emails: map[string]connector.Candidate{}}
	return l.neighbours(ctx, s, found)
}

// looking is a search for chats that may be the person's.
type looking struct {
	*Connector
	p      person
	own    counted
	maybe  map[string]connector.Candidate // chats, by id
	emails map[string]connector.Candidate // typed in the person's chats, by normal form
	left   int                            // candidates that nobody will be asked about
	more   bool                           // a search has more pages than were read
}

// neighbours are chats without the person's e-mail whose visitor has a name or a
// telephone of the person: of their own chats, or one that an operator has
// accepted. They are candidates, as is another e-mail in a chat of the person.
func (l *looking) neighbours(ctx context.Context, s connector.Subject, found connector.Findings) (connector.Findings, error) {
	phones, names := l.values(s, identity.Phone), l.values(s, identity.Name)
	for _, phone := range firstOf(phones, neighbours) {
		if err := l.look(ctx, byPhone, phone, func(d *document) string {
			return "the visitor of the chat has the same telephone number" + another(d)
		}); err != nil {
			return connector.Findings{}, err
		}
	}
	for _, name := range firstOf(names, neighbours) {
		if err := l.look(ctx, byName, name, func(d *document) string {
			if d.Visitor.Email != "" {
				return "" // somebody else of that name, as far as anybody can tell
			}
			return "the visitor of the chat has the same name and has given no e-mail"
		}); err != nil {
			return connector.Findings{}, err
		}
	}
	l.typed()
	for _, from := range []map[string]connector.Candidate{l.emails, l.maybe} {
		for _, key := range slices.Sorted(maps.Keys(from)) {
			if len(found.Candidates) == candidates {
				l.left++
				continue
			}
			found.Candidates = append(found.Candidates, from[key])
		}
	}
	if l.left > 0 || l.more && l.own.unchecked == 0 {
		found.Notes = append(found.Notes, fmt.Sprintf("at least %d more chats have a name or a telephone number of the person; they are not put to anybody", l.left))
	}
	if n := len(l.values(connector.Subject{}, identity.Name)); n > 1 {
		found.Notes = append(found.Notes, fmt.Sprintf("the person's chats carry %d names: Zendesk does not check what a visitor types", n))
	}
	return found, nil
}

// another is what evidence adds about the e-mail.
func another(d *document) string {
	if d.Visitor.Email == "" {
		return " and has given no e-mail"
	}
	return ", and another e-mail"
}

func firstOf(list []identity.Identifier, n int) []identity.Identifier {
	return list[:min(n, len(list))]
}

// values are the different names or telephone numbers of the person, in order.
func (l *looking) values(s connector.Subject, kind identity.Kind) []identity.Identifier {
	byNormal := map[string]identity.Identifier{}
	take := func(i identity.Identifier) {
		if normal, ok := i.Normal(); ok {
			byNormal[normal] = i
		}
	}
	for _, i := range s.Of(kind) {
		take(i)
	}
	for _, id := range slices.Sorted(maps.Keys(l.own.chats)) {
		v := l.own.chats[id].Visitor
		take(identity.Identifier{Kind: kind, Value: redact.String(map[identity.Kind]string{identity.Phone: v.Phone, identity.Name: v.Name}[kind])})
	}
	var list []identity.Identifier
	for _, normal := range slices.Sorted(maps.Keys(byNormal)) {
		list = append(list, byNormal[normal])
	}
	return list
}

// look reads the first pages of a search and makes candidates of the chats that
// really have the value; evidence says why, or "" if not.
func (l *looking) look(ctx context.Context, by string, want identity.Identifier, evidence func(*document) string) error {
	value := want.Value.Reveal()
	if want.Kind == identity.Phone {
		value, _ = want.Normal()
	}
	for page := 1; page <= looked; page++ {
		found, err := l.search(ctx, l.term(by, value), page)
		if err != nil {
			return err
		}
		var ids []string
		for _, h := range found.List {
			if l.own.chats[h.ID] == nil && l.maybe[h.ID].Evidence == "" {
				ids = append(ids, h.ID)
			}
		}
		docs, err := l.chats(ctx, ids)
		if err != nil {
			return err
		}
		for _, d := range docs {
			if why := evidence(d); why != "" && d.has(want) && !l.p.owns(d) {
				l.maybe[d.ID] = connector.Candidate{Identifier: l.id("chat_id", d.ID), Evidence: why}
			}
		}
		if !found.More {
			return nil
		}
		l.more = l.more || page == looked
	}
	return nil
}

// typed makes candidates of e-mails that stand in chats found by id.
func (l *looking) typed() {
	for _, d := range l.own.chats {
		i := identity.Identifier{Kind: identity.Email, Value: redact.String(d.Visitor.Email), Trust: identity.Vendor, System: l.inventory.System}
		if normal, ok := i.Normal(); ok && !slices.ContainsFunc(l.p.emails, d.has) {
			l.emails[normal] = connector.Candidate{Identifier: i, Evidence: "typed by the visitor of a chat of the person; Zendesk has not verified it"}
		}
	}
}
