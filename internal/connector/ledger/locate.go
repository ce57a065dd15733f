package ledger

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// The bounds of looking for one person.
const (
	maxCandidates = 20  // an operator reads each
	maxForms      = 100 // that only this person was shown and that are remembered one by one
	maxPhones     = 5   // that others are looked for by
	maxSingles    = 50  // subjects of others that state the person's e-mail
)

// person is what belongs to whom a request is about.
type person struct {
	c    *Connector
	site string

	targets  []target                 // whole partitions, then those with single events
	subjects map[string]redact.String // subject id by partition
	emails   map[string]redact.String // the person's, by normal form
	phones   map[string]redact.String // as trusted writers gave them, by normal form
	names    map[string]bool          // as trusted writers gave them, folded
	forms    map[string]string        // nonce by digest, of events in whole partitions
	hearsay  map[string]int           // partitions with single events
	events   map[string]int           // events by whole partition
	counts   map[string]int
	moved    int // subjects that a trusted writer knows by now under an e-mail that was not asked for
}

// Locate implements connector.Connector. Identity decides what an identifier
// reaches (docs/architecture.md §7): an e-mail reaches its own subject and those
// that a trusted writer knows under it, and from there their other e-mails.
// Elsewhere only the single events that state it are the person's; the subject
// they stand in becomes a candidate.
func (c *Connector) Locate(ctx context.Context, s connector.Subject) (connector.Findings, error) {
	p, err := c.reach(ctx, s)
	if err != nil {
		return connector.Findings{}, err
	}
	f := connector.Findings{Counts: p.counts, Identifiers: p.identifiers(s)}
	if f.Identifiers, err = p.rememberForms(ctx, f.Identifiers); err != nil {
		return connector.Findings{}, err
	}
	if err := p.candidates(ctx, s, &f); err != nil {
		return connector.Findings{}, err
	}
	if p.moved > 0 {
		f.Notes = append(f.Notes, "The company has since known this person under another e-mail than the one that was asked for: make sure that both are the same person's.")
	}
	if p.counts["single_events"] > 0 {
		f.Notes = append(f.Notes, "Single events on other people's subjects state this person's e-mail: only those events are meant, not the subjects.")
	}
	return f, nil
}

// reach finds all partitions of a person and counts what is there.
func (c *Connector) reach(ctx context.Context, s connector.Subject) (*person, error) {
	p := &person{
		c: c, site: s.Site, subjects: map[string]redact.String{}, emails: map[string]redact.String{},
		phones: map[string]redact.String{}, names: map[string]bool{}, forms: map[string]string{},
		hearsay: map[string]int{}, events: map[string]int{}, counts: map[string]int{},
	}
	asked := map[string]bool{}
	for _, i := range s.Of(identity.Email) {
		p.email(i.Value)
		if normal, ok := i.Normal(); ok && i.System != p.system() {
			asked[normal] = true
		}
	}
	for _, i := range s.Of(identity.SubjectID) {
		id := i.Value.Reveal()
		partition := c.Hasher.Subject(s.Site, id)
		p.subjects[partition] = i.Value
		p.add(partition)
	}
	for i := 0; i < len(p.targets); i++ { // the list grows while it is walked
		if len(p.targets) > consent.MaxBound {
			return nil, errs.New(errs.Invalid, "the identifiers reach more than %d subjects: that is not one person", consent.MaxBound)
		}
		if err := p.walk(ctx, p.targets[i].Partition); err != nil {
			return nil, err
		}
		if i == len(p.targets)-1 { // nothing new: look for hearsay, which may lead on
			if err := p.hear(ctx); err != nil {
				return nil, err
			}
		}
	}
	for normal := range p.emails {
		if !asked[normal] && len(asked) > 0 {
			p.moved++
		}
	}
	slices.SortFunc(p.targets, func(a, b target) int { return cmp.Compare(a.Partition, b.Partition) })
	for _, partition := range slices.Sorted(maps.Keys(p.hearsay)) {
		if !p.has(partition) {
			p.targets = append(p.targets, target{Partition: partition, Single: true})
			p.count("single_events", p.hearsay[partition])
		}
	}
	return p, nil
}

func (p *person) count(kind string, n int) {
	if n > 0 {
		p.counts[kind] += n
	}
}

func (p *person) has(partition string) bool {
	return slices.ContainsFunc(p.targets, func(t target) bool { return t.Partition == partition && !t.Single })
}

func (p *person) add(partition string) {
	if !p.has(partition) {
		p.targets = append(p.targets, target{Partition: partition})
	}
}

// email takes an address as the person's: its own subject is reached.
func (p *person) email(shown redact.String) {
	normal, ok := identity.NormalizeEmail(shown.Reveal())
	if !ok {
		return
	}
	if _, known := p.emails[normal]; !known {
		p.emails[normal] = shown
	}
	if partition, ok := p.c.people.EmailPartition(p.site, normal); ok {
		if _, named := p.subjects[partition]; !named {
			p.subjects[partition] = redact.String(p.c.Hasher.EmailSubject(p.site, normal))
		}
		p.add(partition)
	}
}

// phone takes a telephone number, from which the person has answered a message,
// as the person's: its own subject is reached.
func (p *person) phone(e164 redact.String) {
	partition, ok := p.c.people.PhonePartition(p.site, e164.Reveal())
	if !ok {
		return
	}
	p.phones[e164.Reveal()] = e164
	if _, named := p.subjects[partition]; !named {
		p.subjects[partition] = redact.String(p.c.Hasher.PhoneSubject(p.site, e164.Reveal()))
	}
	p.add(partition)
}

// address takes the address of a binding as the person's.
func (p *person) address(b *consent.Binding) {
	p.email(b.Email)
	p.phone(b.Phone)
}

// walk reads a partition that is the person's, page by page.
func (p *person) walk(ctx context.Context, partition string) error {
	return p.c.rows(ctx, partition, "", func(r consent.Row) error {
		switch {
		case r.Binding != nil:
			p.count("bindings", 1)
			p.subjects[r.Binding.Subject] = r.Binding.SubjectID
			p.address(r.Binding)
			p.add(r.Binding.Subject)
		case r.Event != nil:
			p.event(r.Event)
		case !r.Erased:
			p.count("unreadable", 1)
		}
		return nil
	})
}

func (p *person) event(e *consent.Event) {
	p.subjects[e.Subject] = e.SubjectID
	p.events[e.Subject]++
	if e.Kind == consent.KindConsent {
		p.count("consents", 1)
	} else {
		p.count("statements", 1)
	}
	for _, proof := range e.Proofs {
		p.count("proofs", 1)
		if proof.FormDigest != "" && len(p.forms) < maxForms {
			p.forms[proof.FormDigest] = proof.FormNonce
		}
	}
	p.count("documents", len(e.DocumentIDs))
	if !e.Source.Trusted() {
		return
	}
	if e.Profile.Email != nil {
		p.email(e.Profile.Email.Value)
	}
	if number, ok := e.AnsweredFrom(); ok {
		p.phone(redact.String(number))
	}
	if e.Profile.Phones != nil {
		for _, phone := range e.Profile.Phones.List {
			if normal, ok := identity.NormalizePhone(phone.Number.Reveal()); ok {
				p.phones[normal] = phone.Number
			}
		}
	}
	for _, name := range names(&e.Profile) {
		p.names[name] = true
	}
}

// names are the names that a profile states, folded.
func names(p *consent.Profile) []string {
	var list []string
	add := func(texts ...*consent.Text) {
		var all []string
		for _, t := range texts {
			if t == nil || t.Value == "" {
				return
			}
			all = append(all, identity.Fold(strings.TrimSpace(t.Value.Reveal())))
		}
		list = append(list, strings.Join(all, " "))
	}
	add(p.FullName)
	add(p.FirstName, p.LastName)
	return list
}

// hear looks for events on subjects that are not the person's but state one of
// the person's e-mails. Where a trusted writer states it, the subject is the
// person's after all: a crash has kept the binding from being made.
func (p *person) hear(ctx context.Context) error {
	for _, partition := range slices.Sorted(maps.Keys(p.emails)) {
		found, err := p.suspects(ctx, partition)
		if err != nil {
			return err
		}
		for _, suspect := range found {
			if _, known := p.hearsay[suspect]; p.has(suspect) || !known && len(p.hearsay) >= maxSingles {
				continue
			}
			n, trusted := 0, false
			err := p.c.rows(ctx, suspect, "", func(r consent.Row) error {
				if r.Event != nil && p.states(r.Event) {
					n++
					trusted = trusted || r.Event.Source.Trusted()
					p.subjects[suspect] = r.Event.SubjectID
				}
				return nil
			})
			switch {
			case err != nil:
				return err
			case trusted:
				p.add(suspect)
			case n > 0:
				p.hearsay[suspect] = n
			}
		}
	}
	return nil
}

// suspects are the partitions whose views show an e-mail or are marked as
// holding an event that states it.
func (p *person) suspects(ctx context.Context, normal string) ([]string, error) {
	var list []string
	for _, t := range consent.EmailTokens(p.c.Hasher, p.site, normal) {
		entries, err := p.c.Views.Search(ctx, p.site, t, consent.MaxEntries)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if t.Field == consent.FieldEmail && e.Token.Text != t.Text && !strings.HasPrefix(e.Token.Text.Reveal(), t.Text.Reveal()) {
				continue
			}
			list = append(list, e.At.Subject)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	views, err := p.c.Views.Views(ctx, list)
	if err != nil {
		return nil, err
	}
	// An entry is found by a part of the address only: the view tells more.
	return slices.DeleteFunc(list, func(partition string) bool {
		v := views[partition]
		return v == nil || v.Site != p.site || !showsOrCarries(p.c, v, normal)
	}), nil
}

func showsOrCarries(c *Connector, v *consent.SubjectView, normal string) bool {
	if shown, ok := identity.NormalizeEmail(v.Email.Reveal()); ok && shown == normal {
		return true
	}
	tokens := consent.EmailTokens(c.Hasher, v.Site, normal)
	return slices.ContainsFunc(v.Tokens, func(t consent.Token) bool {
		return t.Field == consent.FieldCarried && slices.Contains(tokens, t)
	})
}

// states reports whether an event states one of the person's e-mails.
func (p *person) states(e *consent.Event) bool {
	if e.Profile.Email == nil {
		return false
	}
	normal, ok := identity.NormalizeEmail(e.Profile.Email.Value.Reveal())
	_, mine := p.emails[normal]
	return ok && mine
}

// identifiers are what the ledger yields: all that a later erasure is found by.
func (p *person) identifiers(s connector.Subject) []identity.Identifier {
	var list []identity.Identifier
	add := func(kind identity.Kind, value redact.String) {
		i := identity.Identifier{Kind: kind, Value: value, Trust: identity.Company, System: p.system()}
		normal, ok := i.Normal()
		if ok && !slices.ContainsFunc(s.Of(kind), func(o identity.Identifier) bool { known, _ := o.Normal(); return known == normal }) {
			list = append(list, i)
		}
	}
	for _, normal := range slices.Sorted(maps.Keys(p.emails)) {
		add(identity.Email, p.emails[normal])
	}
	for _, t := range p.targets {
		id := p.subjects[t.Partition]
		if t.Single || id == "" {
			continue
		}
		add(identity.SubjectID, id)
		if !pseudonym.Derived(id.Reveal()) { // vendors know the company's own numbers only
			add(identity.ExternalID, id)
		}
	}
	for _, normal := range slices.Sorted(maps.Keys(p.phones)) {
		add(identity.Phone, p.phones[normal])
	}
	return list
}

func (p *person) system() string { return cmp.Or(p.c.Options.Inventory.System, "ledger") }

// rememberForms adds the forms that only this person was shown.
func (p *person) rememberForms(ctx context.Context, list []identity.Identifier) ([]identity.Identifier, error) {
	mine := cursor{Targets: p.targets}.whole()
	for _, digest := range slices.Sorted(maps.Keys(p.forms)) {
		f, err := p.c.Forms.Form(ctx, p.site, digest)
		if err != nil {
			return nil, err
		}
		if f == nil || !f.OnlyTo(mine) {
			continue
		}
		list = append(list, identity.Identifier{
			Kind: FormKind, Value: redact.String(digest + "." + f.Nonce), Trust: identity.Company, System: p.system(),
		})
	}
	return list, nil
}

// candidates are subjects that may be the person: they share what several people
// can have, or what nobody has confirmed.
func (p *person) candidates(ctx context.Context, s connector.Subject, f *connector.Findings) error {
	seen := map[string]bool{}
	add := func(id redact.String, evidence string) {
		partition := p.c.Hasher.Subject(p.site, id.Reveal())
		if id == "" || seen[partition] || p.has(partition) {
			return
		}
		seen[partition] = true
		if len(f.Candidates) == maxCandidates {
			f.Notes = append(f.Notes, "More subjects share a telephone number, a name or an unproven e-mail with this person than are listed as candidates.")
		}
		if len(f.Candidates) < maxCandidates {
			f.Candidates = append(f.Candidates, connector.Candidate{
				Identifier: identity.Identifier{Kind: identity.SubjectID, Value: id, Trust: identity.Public, System: p.system()},
				Evidence:   evidence,
			})
		}
	}
	for _, t := range p.targets {
		if t.Single {
			add(p.subjects[t.Partition], "a public form has stated the e-mail on this subject, and nobody has confirmed it")
		}
	}
	phones := slices.Sorted(maps.Keys(p.phones))
	for _, i := range s.Of(identity.Phone) {
		if normal, ok := i.Normal(); ok && !slices.Contains(phones, normal) {
			phones = append(phones, normal)
		}
	}
	for _, normal := range phones[:min(len(phones), maxPhones)] {
		err := p.search(ctx, consent.SubjectFilter{Phone: redact.String(normal)}, f, nil, func(v *consent.SubjectView) {
			add(v.SubjectID, "the same telephone number, "+p.likeness(v))
		})
		if err != nil {
			return err
		}
	}
	for _, i := range s.Of(identity.Name) {
		name := identity.Fold(i.Value.Reveal())
		same := func(v *consent.SubjectView) bool { return slices.Contains(viewNames(v), name) }
		err := p.search(ctx, consent.SubjectFilter{FullName: redact.String(tellingWord(name))}, f, same, func(v *consent.SubjectView) {
			add(v.SubjectID, "the same name, nothing else")
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tellingWord is the longest of the first words of a name, by which few other
// people are found: an initial would find everybody.
func tellingWord(name string) string {
	const first = 4 // subjects are found by the first parts of their names only
	words := strings.FieldsFunc(name, func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
	return slices.MaxFunc(append(words[:min(first, len(words))], ""), func(a, b string) int { return cmp.Compare(len(a), len(b)) })
}

// search looks for subjects by search entries: the roles that locate may not list
// a site.
func (p *person) search(ctx context.Context, filter consent.SubjectFilter, f *connector.Findings, is func(*consent.SubjectView) bool, each func(*consent.SubjectView)) error {
	page, err := p.c.finder.LookUp(ctx, p.site, filter, maxCandidates+1, is)
	if errs.Is(err, errs.TooBroad) {
		f.Notes = append(f.Notes, "Too many subjects share a telephone number or a name with this person to list candidates.")
		return nil
	}
	for _, v := range page.Views {
		each(v)
	}
	return err
}

// likeness says how the names compare, without saying them.
func (p *person) likeness(v *consent.SubjectView) string {
	names := viewNames(v)
	switch {
	case len(names) == 0 || len(p.names) == 0:
		return "names unknown"
	case slices.ContainsFunc(names, func(n string) bool { return p.names[n] }):
		return "the same name"
	}
	return "another name"
}

func viewNames(v *consent.SubjectView) []string {
	text := func(s redact.String) *consent.Text { return &consent.Text{Value: s} }
	return names(&consent.Profile{FullName: text(v.FullName), FirstName: text(v.FirstName), LastName: text(v.LastName)})
}

// rows calls each with the rows of a partition behind a sort key.
func (c *Connector) rows(ctx context.Context, partition, after string, each func(consent.Row) error) error {
	for {
		page, next, err := c.Rows.Page(ctx, partition, after, pageRows)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := each(r); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
		after = next
	}
}
