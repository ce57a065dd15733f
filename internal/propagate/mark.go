package propagate

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/site"
)

// Sites knows the sites of the stack.
type Sites interface {
	Refresh(ctx context.Context, id string) (*site.Site, error)
}

// Amender puts what a vendor says into the ledger (consent.Amender).
type Amender interface {
	Append(ctx context.Context, m consent.Amendment) (id string, err error)
}

// mark is the job of one person's flags in one system. It reads what the ledger
// answers now, so that it does not matter how many changes there were, in which
// order they are heard of, and how often.
type mark struct {
	store   outbox.Store
	systems systems
	sites   Sites
	people  *consent.People
	amender Amender
	newID   func(t time.Time, parts ...string) string
	now     func() time.Time
	policy  func(context.Context) (request.Policy, error)
}

// lapsedPause is how long nobody looks whether an agreement was renewed.
const lapsedPause = 24 * time.Hour

// Do implements outbox.Job.
func (m mark) Do(ctx context.Context, e outbox.Entry) (outbox.Outcome, error) {
	system, marker, err := m.systems.find(ctx, e.ID)
	if err != nil {
		return outbox.Outcome{}, err
	}
	if system == nil || system.DryRun {
		return outbox.Outcome{State: outbox.Skipped, Reason: "the system follows no answers"}, nil
	}
	p, err := m.person(ctx, e.Site, e.Subject)
	if errors.Is(err, consent.ErrTooManyEvents) { // every answer is no, and nobody can tell who it is
		return outbox.Outcome{State: outbox.Failed, Reason: "the person has too many events: the flags must be set by hand"}, nil
	}
	if err != nil {
		return outbox.Outcome{}, err
	}
	if !p.known {
		return outbox.Outcome{State: outbox.Skipped, Reason: "the person is not known any more", Forget: true}, nil
	}
	last, err := m.last(ctx, p, e.Sort())
	if err != nil {
		return outbox.Outcome{}, err
	}
	yes, expires := p.answers(system, m.now())
	if len(yes) == 0 || len(p.emails) == 0 {
		return outbox.Outcome{State: outbox.Skipped, Reason: "nothing was answered by somebody with an e-mail"}, nil
	}
	held, err := m.hold(ctx, system, yes, last)
	if err != nil {
		return outbox.Outcome{}, err
	}
	if held && len(yes) == 0 {
		return later(""), nil
	}
	if err := m.intend(ctx, &e, last, yes); err != nil {
		return outbox.Outcome{}, err
	}
	got, err := marker.Mark(ctx, connector.Marking{Subject: p.subject(e.Site), Yes: yes, Last: last})
	if err != nil {
		return outbox.Outcome{}, err
	}
	if got.Records > 0 && !expires.IsZero() {
		// No event says that a grant has ended by time: the system is told at that moment.
		err := m.store.Add(ctx, outbox.Entry{
			Ref: outbox.Ref{Subject: e.Subject, Kind: outbox.Expiry, ID: outbox.ExpiryID(system.Name, expires)}, Site: e.Site, Since: expires, Next: expires,
		})
		if err != nil {
			return outbox.Outcome{}, err
		}
	}
	// What the system says on its own account was not told: the ledger hears of it.
	for _, flag := range got.Own {
		delete(yes, flag)
	}
	if err := m.object(ctx, e.Site, p, system, got.Own); err != nil {
		return outbox.Outcome{}, err
	}
	maps.Copy(last, yes)
	memo, err := json.Marshal(last)
	if err != nil {
		return outbox.Outcome{}, err
	}
	if held {
		return later(string(memo)), nil
	}
	o := outbox.Outcome{State: outbox.Done, Memo: string(memo)}
	if got.Records == 0 {
		o.State, o.Reason = outbox.Skipped, "the system does not know the person"
	}
	return o, nil
}

// intend writes down each no that the system was not told before, and only then
// is it told. A call of which nobody knows how it ended leaves a no of ours, which
// must not be taken for the system's own when the person has agreed again.
func (m mark) intend(ctx context.Context, e *outbox.Entry, last, yes map[string]bool) error {
	intent := maps.Clone(last)
	for flag, granted := range yes {
		if !granted {
			intent[flag] = false
		}
	}
	if maps.Equal(intent, last) {
		return nil
	}
	memo, err := json.Marshal(intent)
	if err != nil {
		return err
	}
	return m.store.Remember(ctx, e, string(memo), m.now())
}

// hold takes out of the flags each yes that the system was not told before,
// while its processor may get no more data. A no is never held: a withdrawal
// takes effect whatever the company has signed (Art. 7(3) GDPR).
func (m mark) hold(ctx context.Context, system *request.System, yes, last map[string]bool) (held bool, err error) {
	policy, err := m.policy(ctx)
	if err != nil || !policy.Blocks(system.Connector.Inventory().Processor, m.now()) {
		return false, err
	}
	for flag, granted := range yes {
		if granted && !last[flag] {
			delete(yes, flag)
			held = true
		}
	}
	return held, nil
}

// later is the outcome while an answer is held.
func later(memo string) outbox.Outcome {
	return outbox.Outcome{State: outbox.Due, After: lapsedPause, Held: true, Memo: memo, Reason: "the agreement with the system's processor has lapsed"}
}

// person is what the ledger says of somebody.
type person struct {
	site       *site.Site
	known      bool
	events     []consent.Event
	partitions []string
	emails     []string // by which the ledger finds the person, in normal form
}

func (m mark) person(ctx context.Context, siteID, partition string) (*person, error) {
	s, err := m.sites.Refresh(ctx, siteID)
	if err != nil {
		return nil, err
	}
	p := &person{site: s}
	u, err := m.people.ByPartition(ctx, siteID, partition, time.Time{})
	if err != nil {
		return nil, err
	}
	p.events, p.partitions = u.Events, u.Partitions
	for i := range u.Events {
		e := &u.Events[i]
		if e.ErasedAt != nil {
			continue
		}
		p.known = true
		if e.Profile.Email == nil {
			continue
		}
		// A public e-mail that stands beside a subject id is hearsay: it is the person's
		// only where their events stand under it.
		normal, ok := identity.NormalizeEmail(e.Profile.Email.Value.Reveal())
		own, found := m.people.EmailPartition(siteID, normal)
		if ok && found && slices.Contains(u.Partitions, own) && !slices.Contains(p.emails, normal) {
			p.emails = append(p.emails, normal)
		}
	}
	slices.Sort(p.emails)
	return p, nil
}

// answers are the flags of a system by what the person answers now, and when the
// first yes among them ends by time; zero: none does. What was never asked moves no
// flag.
func (p *person) answers(system *request.System, now time.Time) (yes map[string]bool, expires time.Time) {
	yes = map[string]bool{}
	for flag, preference := range system.Marks {
		state := consent.Decide(p.events, preference, consent.View{Now: now}, p.site.Rules())
		if state.Reason != consent.NeverAsked {
			yes[flag] = state.Granted
		}
		if at := state.ExpiresAt; state.Granted && at != nil && (expires.IsZero() || at.Before(expires)) {
			expires = *at
		}
	}
	return yes, expires
}

func (p *person) subject(site string) connector.Subject {
	s := connector.Subject{Site: site}
	for _, email := range p.emails {
		s.Identifiers = append(s.Identifiers, identity.Identifier{Kind: identity.Email, Value: redact.String(email), Trust: identity.Company})
	}
	return s
}

// last is what a system was told of a person, under whichever of the person's
// partitions.
func (m mark) last(ctx context.Context, p *person, sort string) (map[string]bool, error) {
	memo, err := m.store.Memo(ctx, p.partitions, sort)
	if err != nil {
		return nil, err
	}
	last := map[string]bool{}
	if memo != "" {
		if err := json.Unmarshal([]byte(memo), &last); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// object records a no that was entered in a system, for each preference that its
// flags follow and that the ledger still grants. The same no is said once: a
// later one follows a later grant.
func (m mark) object(ctx context.Context, siteID string, p *person, system *request.System, flags []string) error {
	for _, flag := range flags {
		state := consent.Decide(p.events, system.Marks[flag], consent.View{Now: m.now()}, p.site.Rules())
		if !state.Granted {
			continue
		}
		_, err := m.amender.Append(ctx, consent.Amendment{
			Site: siteID, Email: redact.String(p.emails[0]), Kind: consent.KindObjection, Source: consent.Vendor,
			Objected: []string{system.Marks[flag]}, Case: m.newID(state.Since, "mark", siteID, system.Name, flag, state.ConsentIDs[0]),
		})
		if err != nil {
			return err
		}
	}
	return nil
}
