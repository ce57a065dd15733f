package zendesksupport

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

const (
	maxHits  = 25  // of a search that only resemble what was searched for and are looked into
	maxChats = 100 // tickets made of chats whose audits are read in one piece
	keptIDs  = 400 // chats that are yielded, about: a request keeps 500 identifiers
)

// bridging is the handle of a search: how far the tickets that were chats were
// read. "": from the beginning.
type bridging struct {
	Last   map[int64]int64 `json:"last"`  // ticket, by user; math.MaxInt64: all
	Chats  int             `json:"chats"` // yielded
	budget int             // tickets that this piece still reads
}

// finding is a Locate on its way.
type finding struct {
	*work
	subject connector.Subject
	mine    map[int64]*account // the person's
	maybe   map[int64]string   // somebody's: why it may be the person
	notes   map[string]bool
	bridges bridging
	result  connector.Findings
}

// Locate implements connector.Connector.
func (c *Connector) Locate(ctx context.Context, s connector.Subject) (connector.Findings, error) {
	f := &finding{work: c.work(), subject: s, mine: map[int64]*account{}, maybe: map[int64]string{}, notes: map[string]bool{}}
	f.result.Counts = map[string]int{}
	if s.Handle != "" {
		if err := kit.ParseHandle(s.Handle, &f.bridges); err != nil {
			return connector.Findings{}, err
		}
	}
	f.bridges.budget = maxChats
	for _, step := range []func(context.Context) error{f.known, f.searched, f.trashed, f.neighbours, f.sum, f.held} {
		if err := step(ctx); err != nil {
			return connector.Findings{}, err
		}
	}
	f.result.Notes = sorted(f.notes)
	if f.bridges.budget == 0 { // there may be more
		f.result.Handle, f.result.More = kit.Handle(f.bridges), soon
	}
	return f.result, nil
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func (f *finding) note(format string, args ...any) { f.notes[fmt.Sprintf(format, args...)] = true }

// known takes in the records that are the person's already.
func (f *finding) known(ctx context.Context) error {
	for _, id := range f.users(f.subject) {
		a, err := f.account(ctx, id)
		if err != nil {
			return err
		}
		if a != nil {
			f.mine[id] = a
		}
	}
	return nil
}

// searched looks for records by what is known of the person.
func (f *finding) searched(ctx context.Context) error {
	for _, by := range f.subject.Identifiers {
		hits, err := f.search(ctx, by)
		if err != nil {
			return err
		}
		alike := 0
		for _, hit := range hits {
			// An older e-mail is only an identity of the record, so that what does not
			// seem equal is looked into, too, as long as it is not everybody.
			if !same(identity.Identifier{Kind: identity.Email, Value: redact.String(hit.Email)}, by) && by.Kind == identity.Email {
				if alike++; alike > maxHits {
					f.note("the search finds many records whose e-mail only resembles the person's: not all of them were looked into")
					continue
				}
			}
			if err := f.judge(ctx, by, hit.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// trashed looks through deleted users that are not purged yet: the search does
// not know them. Zendesk purges them by itself 30 days after their deletion.
func (f *finding) trashed(ctx context.Context) error {
	type page struct {
		Users []user `json:"deleted_users"`
	}
	pages := 0
	return each(ctx, f.work, kit.To("/deleted_users"), pageSize, func(p *page, more bool) (bool, error) {
		for _, u := range p.Users {
			for _, by := range f.subject.Identifiers {
				email := identity.Identifier{Kind: identity.Email, Value: redact.String(u.Email)}
				phone := identity.Identifier{Kind: identity.Phone, Value: redact.String(u.Phone)}
				if same(email, by) || same(phone, by) {
					if err := f.judge(ctx, by, u.ID); err != nil {
						return false, err
					}
				}
			}
		}
		if pages++; pages >= manyPages && more {
			f.note("more than %d users were deleted: the later ones were not searched; Zendesk purges each 30 days after its deletion", manyPages*pageSize)
			return true, nil
		}
		return false, nil
	})
}

// judge decides whether a record that was found is the person. A number may be
// shared, and an e-mail that Zendesk has not verified may be anybody's.
func (f *finding) judge(ctx context.Context, by identity.Identifier, id int64) error {
	if f.mine[id] != nil {
		return nil
	}
	a, err := f.account(ctx, id)
	if err != nil || a == nil { // the search is behind
		return err
	}
	carries, proven := a.carries(by)
	switch {
	case !carries:
	case a.staff() != f.subject.Agent:
		f.note("a record of an agent carries an identifier of an end user, or the other way round: it is left alone")
	case by.Kind == identity.Phone:
		f.maybe[id] = "the record has the same telephone number"
	case !proven:
		f.maybe[id] = "the record has the same e-mail, which Zendesk has not verified"
	default:
		f.mine[id] = a
	}
	return nil
}

// neighbours are other records with the telephone number of the person's own.
func (f *finding) neighbours(ctx context.Context) error {
	for _, id := range sorted(f.mine) {
		identifiers, _ := f.mine[id].identifiers()
		for _, by := range distinct(identifiers, identity.Phone) {
			hits, err := f.search(ctx, by)
			if err != nil {
				return err
			}
			for _, hit := range hits {
				if err := f.judge(ctx, by, hit.ID); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// distinct are the identifiers of a kind, each once.
func distinct(list []identity.Identifier, kind identity.Kind) (once []identity.Identifier) {
	for _, i := range list {
		if i.Kind == kind && !slices.ContainsFunc(once, func(other identity.Identifier) bool { return same(i, other) }) {
			once = append(once, i)
		}
	}
	return once
}

// sum counts what the person's records hold and lists what they yield.
func (f *finding) sum(ctx context.Context) error {
	for _, id := range sorted(f.mine) {
		a := f.mine[id]
		f.yield(identity.Identifier{Kind: f.own("user_id"), Value: redact.String(number(id)), Trust: identity.Vendor})
		identifiers, proven := a.identifiers()
		for n, i := range identifiers {
			if proven[n] {
				f.yield(i)
			}
		}
		if err := f.count(ctx, a); err != nil {
			return err
		}
		if err := f.bridge(ctx, id); err != nil {
			return err
		}
	}
	for _, id := range sorted(f.maybe) {
		if f.mine[id] == nil {
			f.result.Candidates = append(f.result.Candidates, connector.Candidate{
				Identifier: identity.Identifier{Kind: f.own("user_id"), Value: redact.String(number(id)), Trust: identity.Vendor, System: f.inventory.System},
				Evidence:   f.maybe[id],
			})
		}
	}
	return nil
}

func (f *finding) yield(i identity.Identifier) {
	i.System = f.inventory.System
	if _, ok := i.Normal(); ok && !slices.ContainsFunc(f.result.Identifiers, func(other identity.Identifier) bool { return same(i, other) }) {
		f.result.Identifiers = append(f.result.Identifiers, i)
	}
}

// count adds what belongs to a record, and says what an approver must know.
func (f *finding) count(ctx context.Context, a *account) error {
	var body struct {
		Related struct {
			Requested int `json:"requested_tickets"`
			Copied    int `json:"ccd_tickets"`
			Assigned  int `json:"assigned_tickets"`
		} `json:"user_related"`
	}
	if _, err := f.get(ctx, kit.To("/users/{user_id}/related", number(a.ID)), &body); err != nil {
		return err
	}
	f.result.Counts["users"]++
	for kind, n := range map[string]int{"tickets": body.Related.Requested, "others_tickets": body.Related.Copied} {
		if n > 0 {
			f.result.Counts[kind] += n
		}
	}
	if n := body.Related.Copied; n > 0 {
		f.note("%d tickets of other people copy the person: they stay, without the person and what the person wrote", n)
	}
	if a.staff() {
		f.note("the agent has answered %d tickets of other people: they stay, and show the agent as a deleted user; a name inside their texts, and in transcripts of chats, stays", body.Related.Assigned)
		f.note("an agent is deleted only after a person has given their open tickets to somebody else and made them an end user")
	}
	if f.config.Tickets == redactTickets && body.Related.Requested > 0 {
		f.note("the person's tickets are closed and kept; what the person wrote in them is redacted, and their fields are emptied; what agents wrote, ratings and technical data stay; subjects and fields of tickets that are closed already cannot be changed")
	}
	return nil
}

// bridge yields the chats from which tickets of the person were made: a visitor
// without an e-mail is found by nothing else. It reads some tickets in the order
// of their ids, after those that earlier pieces have read.
func (f *finding) bridge(ctx context.Context, id int64) error {
	if f.bridges.budget <= 0 || f.bridges.Last[id] == math.MaxInt64 {
		return nil
	}
	ids, err := f.hitsAfter(ctx, "requester:"+number(id)+" via:chat", f.bridges.Last[id])
	if err != nil {
		return err
	}
	some := ids[:min(len(ids), f.bridges.budget)]
	tickets, err := f.existing(ctx, some)
	if err != nil {
		return err
	}
	for _, t := range tickets {
		if t.Requester != id {
			continue
		}
		if f.bridges.Chats > keptIDs {
			f.bridges.budget = -1 // no piece reads on
			f.note("more than %d chats became tickets of the person: the other chats are found by e-mail, telephone or name only; an erasure asks first", keptIDs)
			return nil
		}
		err := f.audits(ctx, t.ID, func(a audit) error {
			for _, c := range a.chats() {
				known := len(f.result.Identifiers)
				f.yield(identity.Identifier{Kind: f.own("chat_id"), Value: redact.String(c.ID), Trust: identity.Vendor})
				f.bridges.Chats += len(f.result.Identifiers) - known
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	last := int64(math.MaxInt64)
	if len(some) < len(ids) {
		last = some[len(some)-1]
	}
	if f.bridges.Last == nil {
		f.bridges.Last = map[int64]int64{}
	}
	f.bridges.Last[id] = last
	f.bridges.budget -= len(some)
	return nil
}

// held counts the suspended tickets of the person.
func (f *finding) held(ctx context.Context) error {
	known := f.subject
	known.Identifiers = append(slices.Clone(known.Identifiers), f.result.Identifiers...)
	held, err := f.suspended(ctx, known, sorted(f.mine))
	if n := len(held.ids); n > 0 {
		f.result.Counts["suspended_tickets"] = n
	}
	if held.more {
		f.note("more than %d tickets are suspended: the later ones were not searched; Zendesk deletes each after 14 days", manyPages*pageSize)
	}
	return err
}

// holding are suspended tickets of the person.
type holding struct {
	ids  []int64
	more bool // not all suspended tickets were looked through
}

// suspended looks through the account's suspended tickets for those of users, or
// from an address that is proven to be theirs.
func (w *work) suspended(ctx context.Context, s connector.Subject, users []int64) (held holding, err error) {
	type page struct {
		Tickets []suspendedTicket `json:"suspended_tickets"`
	}
	pages := 0
	err = each(ctx, w, kit.To("/suspended_tickets"), pageSize, func(p *page, more bool) (bool, error) {
		for _, t := range p.Tickets {
			if t.from(s, users) {
				held.ids = append(held.ids, t.ID)
			}
		}
		pages++
		held.more = more && pages >= manyPages
		return held.more, nil
	})
	return held, err
}

// from reports whether a suspended ticket came from the person.
func (t suspendedTicket) from(s connector.Subject, users []int64) bool {
	author := identity.Identifier{Kind: identity.Email, Value: redact.String(t.Author.Email)}
	return t.Author.ID != 0 && slices.Contains(users, t.Author.ID) ||
		slices.ContainsFunc(s.Identifiers, func(i identity.Identifier) bool { return i.Followed() && same(i, author) })
}
