package setup

import (
	"context"

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/connector/whatsapp"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/site"
)

// systemOptions makes the connector of Avow's own ledger. Only the function
// erase says that it removes: the others have no right to.
func (q *Requesting) systemOptions(removes bool) (SystemOptions, error) {
	b := q.Base
	env, err := b.Require("EVENTS_TABLE", "SUBJECTS_TABLE", "FORMS_TABLE", "DOCUMENTS_TABLE", "NOTICES_TABLE", "SITES_TABLE", "ERASURES_TABLE", "PROOFS_BUCKET", "MESSAGES_TABLE")
	if err != nil {
		return SystemOptions{}, err
	}
	events, proofs := dynamo.NewEvents(b.Config, env[0]), blob.NewProofs(b.Config, env[7])
	forms, documents := dynamo.NewForms(b.Config, env[2]), dynamo.NewDocuments(b.Config, env[3])
	sites := site.NewDirectory(dynamo.NewSites(b.Config, env[5]), secret.NewStore(b.Config), b.Now)
	o := ledger.Options{
		Rows: events, Views: dynamo.NewSubjects(b.Config, env[1]), Forms: forms, Documents: documents,
		Notices: dynamo.NewNotices(b.Config, env[4]), Texts: proofs, Hasher: q.Hasher, Now: b.Now,
		Rules: func(ctx context.Context, id string) (consent.Rules, error) {
			s, err := sites.Site(ctx, id)
			if err != nil {
				return consent.Rules{}, err
			}
			return s.Rules(), nil
		},
	}
	if removes {
		o.Append = events
		o.Removal = &ledger.Removal{
			Rows: events, Erasures: dynamo.NewErasures(b.Config, env[6]), Forms: forms, Documents: documents, Objects: proofs,
		}
	}
	messages := dynamo.NewMessages(b.Config, env[8], b.Now)
	chats := func() (whatsapp.Store, *pseudonym.Hasher) { return messages, q.Hasher }
	return SystemOptions{Transport: b.Vendors, Chats: chats, Ledger: func(i connector.Inventory, s *settings.Settings) (connector.Connector, error) {
		own := o
		own.Inventory, own.Policy = i, s.Policy
		own.Own = []redact.String{redact.String(s.Controller.DPO.Email), redact.String(s.Controller.From)}
		return ledger.New(own), nil
	}}, nil
}
