package requests

import (
	"context"
	"slices"

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
// that an identifier names, so that no event joins two of them.
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
		default:
			continue
		}
		if _, err := s.ledger.Append(ctx, event); err != nil {
			return err
		}
	}
	return nil
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
