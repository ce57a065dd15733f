package zendeskmessaging

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// Bounds of what Locate yields and looks into.
const (
	maxYielded = 50 // ids of conversations: the others are listed while their user is there
	maxGroups  = 20 // conversations with other people whose participants are counted
)

// finding is a Locate on its way.
type finding struct {
	*Connector
	subject connector.Subject
	own     map[string]user // the person's
	maybe   map[string]maybe
	notes   map[string]bool
	counts  map[string]int
	talks   []conversation // the person's
	phones  map[string]bool
}

// maybe is a record that may be the person's.
type maybe struct {
	user     user
	evidence string
}

// Locate implements connector.Connector.
func (c *Connector) Locate(ctx context.Context, s connector.Subject) (connector.Findings, error) {
	f := &finding{
		Connector: c, subject: s, own: map[string]user{}, maybe: map[string]maybe{},
		notes: map[string]bool{}, counts: map[string]int{}, phones: map[string]bool{},
	}
	for _, look := range []func(context.Context) error{f.byOwnID, f.byExternalIDs, f.bySupport, f.byEmails, f.hold, f.byConversation} {
		if err := look(ctx); err != nil {
			return connector.Findings{}, err
		}
	}
	if err := f.groups(ctx); err != nil {
		return connector.Findings{}, err
	}
	candidates, err := f.candidates(ctx)
	if err != nil {
		return connector.Findings{}, err
	}
	if s.Agent {
		f.notes["an agent's name and words stand in other people's conversations, where the system cannot be searched for them: they go with those conversations"] = true
	}
	return connector.Findings{Counts: f.counts, Identifiers: f.yield(), Candidates: candidates, Notes: sorted(f.notes)}, nil
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func (f *finding) byOwnID(ctx context.Context) error {
	for _, id := range f.users(f.subject) {
		u, err := f.user(ctx, id)
		if err != nil {
			return err
		}
		if u != nil {
			f.own[u.ID] = *u
		}
	}
	return nil
}

func (f *finding) byExternalIDs(ctx context.Context) error {
	for _, by := range f.subject.Of(identity.ExternalID) {
		id, ok := by.Normal()
		if !ok {
			continue
		}
		users, err := f.byExternalID(ctx, id)
		if err != nil {
			return err
		}
		for _, u := range users {
			if u.ExternalID == id { // the path takes ids of users, too
				f.own[u.ID] = u
			}
		}
	}
	return nil
}

// bySupport looks for the Support user under the external id, which is where
// Zendesk often has it: the API does not search by zendeskId. Without the link
// it may as well be a number of the company's that is the same by chance.
func (f *finding) bySupport(ctx context.Context) error {
	if f.supportID() == "" {
		return nil
	}
	for _, id := range values(f.subject.Of(f.supportID())) {
		users, err := f.byExternalID(ctx, id)
		if err != nil {
			return err
		}
		for _, u := range users {
			switch {
			case u.ZendeskID == id:
				f.own[u.ID] = u
			case u.ZendeskID == "" && u.ExternalID == id:
				f.maybe[u.ID] = maybe{u, "the record's external id is the number of the Support user, to which it is not linked"}
			}
		}
	}
	return nil
}

func (f *finding) byEmails(ctx context.Context) error {
	for _, by := range f.subject.Of(identity.Email) {
		normal, ok := by.Normal()
		if !ok {
			continue
		}
		users, err := f.byEmail(ctx, normal)
		if err != nil {
			return err
		}
		for _, u := range users {
			if _, verified := f.hasEmail(u, normal); verified {
				f.own[u.ID] = u
			} else {
				f.maybe[u.ID] = maybe{u, "the record has the same e-mail, which Zendesk has not verified"}
			}
		}
	}
	return nil
}

// hold counts what the person's records hold.
func (f *finding) hold(ctx context.Context) error {
	known := values(f.subject.Of(f.supportID()))
	for _, id := range sorted(f.own) {
		if err := f.holds(ctx, id); err != nil {
			return err
		}
		if z := f.own[id].ZendeskID; z != "" && f.supportID() != "" && !slices.Contains(known, z) {
			f.notes["a record is linked to a user of Support that was not found there by what is known of the person: look whether it is theirs"] = true
		}
	}
	return nil
}

// holds counts what one record of the person holds.
func (f *finding) holds(ctx context.Context, id string) error {
	f.counts["users"]++
	clients, err := f.clients(ctx, id)
	if err != nil {
		return err
	}
	for _, one := range clients {
		f.counts["clients"]++
		if phone, ok := one.phone(); ok {
			f.phones[phone] = true
		}
	}
	devices, err := f.devices(ctx, id)
	if err != nil {
		return err
	}
	f.counts["devices"] += len(devices)
	return f.walk(ctx, f.ofUser(id), func(a *kit.Answer) error {
		list, _, err := conversationsOf(a, "")
		for _, talk := range list {
			if !slices.ContainsFunc(f.talks, func(t conversation) bool { return t.ID == talk.ID }) {
				f.talks = append(f.talks, talk)
				f.counts["conversations"]++
			}
		}
		return err
	})
}

// byConversation finds who talks in a conversation that is known from elsewhere,
// such as a ticket: whoever talks to the company alone.
func (f *finding) byConversation(ctx context.Context) error {
	for _, id := range values(f.subject.Of(f.conversationID())) {
		if slices.ContainsFunc(f.talks, func(t conversation) bool { return t.ID == id }) {
			continue
		}
		talk, err := f.conversation(ctx, id)
		if err != nil {
			return err
		}
		if talk == nil || !talk.personal() {
			continue
		}
		users, err := f.participants(ctx, id)
		if err != nil {
			return err
		}
		for _, user := range users {
			u, err := f.user(ctx, user)
			if err != nil {
				return err
			}
			if u == nil {
				continue
			}
			if _, known := f.own[u.ID]; known {
				continue
			}
			f.own[u.ID] = *u
			if err := f.holds(ctx, u.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// groups says what other people have in the person's conversations.
func (f *finding) groups(ctx context.Context) error {
	others, shared := map[string]bool{}, 0
	for _, talk := range f.talks {
		if talk.personal() {
			continue
		}
		if shared++; shared > maxGroups {
			continue
		}
		users, err := f.participants(ctx, talk.ID)
		if err != nil {
			return err
		}
		for _, id := range users {
			if _, own := f.own[id]; !own {
				others[id] = true
			}
		}
	}
	if shared == 0 {
		return nil
	}
	f.counts["shared conversations"] = shared
	what := "only what the person wrote there is exported and deleted, and the person leaves them"
	if f.config.Groups == groupsKeep {
		what = "only what the person wrote there is exported, and by policy it stays after an erasure; the person leaves them"
	}
	more := ""
	if shared > maxGroups {
		more = "at least "
	}
	f.notes[fmt.Sprintf("%d conversations are shared with %s%d other people: %s", shared, more, len(others), what)] = true
	return nil
}

// candidates are the records that may be the person's, for an operator. That one
// of its channels has the person's telephone number is evidence, no proof: the
// API does not search by number.
func (f *finding) candidates(ctx context.Context) ([]connector.Candidate, error) {
	var list []connector.Candidate
	for _, id := range sorted(f.maybe) {
		if _, own := f.own[id]; own {
			continue
		}
		evidence := f.maybe[id].evidence
		if len(f.phones) > 0 {
			clients, err := f.clients(ctx, id)
			if err != nil {
				return nil, err
			}
			for _, one := range clients {
				if phone, ok := one.phone(); ok && f.phones[phone] {
					evidence += "; one of its channels has the telephone number of the person's own record"
					break
				}
			}
		}
		list = append(list, connector.Candidate{Identifier: f.identifier(f.userID(), id), Evidence: evidence})
	}
	return list, nil
}

func (f *finding) identifier(kind identity.Kind, id string) identity.Identifier {
	return identity.Identifier{Kind: kind, Value: redact.String(id), Trust: identity.Vendor, System: f.inventory.System}
}

func (f *finding) yield() []identity.Identifier {
	var list []identity.Identifier
	for _, id := range sorted(f.own) {
		list = append(list, f.identifier(f.userID(), id))
	}
	for _, talk := range f.talks[:min(maxYielded, len(f.talks))] {
		list = append(list, f.identifier(f.conversationID(), talk.ID))
	}
	return list
}
