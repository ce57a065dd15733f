package requests

import (
	"context"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/site"
)

// object makes the ledger say no at once: neither proof of identity nor approval
// nor a hold delays an objection. What nobody has proven is recorded as any
// public refusal is, which always counts and which a later grant may end; what
// an operator has checked is the company's own word. One event for each subject
// that an identifier names, so that no event joins two of them; a telephone
// number, which others may share, names one only when it was checked.
//
// The events carry the request's id: a repetition changes nothing.
func (s *server) object(ctx context.Context, site *site.Site, r *request.Request, d *draft) error {
	for _, k := range d.known {
		event := consent.Amendment{
			Site: site.ID, Case: r.ID, Kind: consent.KindObjection, Source: consent.Public,
			Objected: objected(site, r.Regime, d.preferences),
		}
		if k.Trust == identity.Proven {
			event.Source = consent.Private
		}
		switch {
		case k.Kind == identity.Email:
			event.Email = k.Value
		case k.Kind == identity.SubjectID && d.door != publicDoor: // a page's word on that is hearsay
			event.SubjectID = k.Value
		case k.Trust == identity.Proven:
			event.SubjectID, event.Profile = s.reachable(site, k)
		}
		if event.SubjectID == "" && event.Email == "" {
			continue // no subject follows from it: the run reaches what it finds by it
		}
		if _, err := s.ledger.Append(ctx, event); err != nil {
			return err
		}
	}
	return nil
}

// objectAlso records an objection for what has become reachable since it was made:
// a telephone number or an address in a chat that an operator has checked. What
// counts since the receipt is not said again, because a later grant may have ended
// it.
func (s *server) objectAlso(ctx context.Context, site *site.Site, r *request.Request, checked []request.Known) error {
	checked = slices.DeleteFunc(slices.Clone(checked), func(k request.Known) bool {
		return k.Kind == identity.Email || k.Kind == identity.SubjectID
	})
	if r.Type != request.Objection || r.State.Ended() || len(checked) == 0 {
		return nil
	}
	person, err := s.store.Personal(ctx, r.ID)
	if err != nil {
		return err
	}
	d := &draft{known: checked, door: roleDoor}
	for _, c := range person.Changes {
		d.preferences = append(d.preferences, c.New.Reveal())
	}
	return s.object(ctx, site, r, d)
}

// reachable is the own subject of a telephone number or of an address in a chat,
// where the ledger keeps what its owner says by messages; "" for anything else.
func (s *server) reachable(site *site.Site, k request.Known) (id redact.String, stated consent.Profile) {
	system, _, _ := strings.Cut(string(k.Kind), ".")
	number := k.Kind == identity.Phone
	if k.Kind == request.ChatAddress(system) {
		if number = strings.HasPrefix(k.Value.Reveal(), "+"); !number {
			return redact.String(s.hasher.ChatSubject(site.ID, k.Value.Reveal())), stated
		}
	}
	e164, ok := identity.NormalizePhone(k.Value.Reveal())
	if !number || !ok {
		return "", stated
	}
	stated.Phones = &consent.Phones{List: []consent.Phone{{Number: redact.String(e164)}}}
	return redact.String(s.hasher.PhoneSubject(site.ID, e164)), stated
}

// objected are the preferences that an objection is about: those that the person
// names; else, under the CCPA, those of sale or sharing; else none, which means
// every one.
func objected(site *site.Site, regime request.Regime, stated []string) []string {
	if len(stated) == 0 && regime == request.CCPA {
		stated = site.SaleOrSharing()
	}
	return slices.Compact(slices.Sorted(slices.Values(stated)))
}

// refusals name to the systems what is objected to, as the ledger reads it, too.
func refusals(preferences []string) (changes []connector.Change) {
	for _, p := range preferences {
		changes = append(changes, connector.Change{Field: ledger.FieldPreference, New: redact.String(p)})
	}
	return changes
}
