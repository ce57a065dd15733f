package setup

import (
	"github.com/avow-consent/avow/internal/centre"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/optin"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/site"
)

// OptIn asks people to confirm consents. whatsapp is nil where it is not set up.
func (p *PostOffice) OptIn(whatsapp optin.Messenger) (*optin.Job, error) {
	b := p.q.Base
	env, err := b.Require("EVENTS_TABLE", "SITES_TABLE")
	if err != nil {
		return nil, err
	}
	events := dynamo.NewEvents(b.Config, env[0])
	sites := site.NewDirectory(dynamo.NewSites(b.Config, env[1]), secret.NewStore(b.Config), b.Now)
	return &optin.Job{
		Events: events, People: consent.NewPeople(events, p.q.Hasher), Sites: sites.Site, Settings: b.Settings,
		Store: p.q.Store, Mailer: p.mailer, WhatsApp: whatsapp, Hasher: p.q.Hasher, Now: b.Now,
	}, nil
}

// Preferences mails links to the preference centre.
func (p *PostOffice) Preferences() (*centre.Job, error) {
	b := p.q.Base
	env, err := b.Require("EVENTS_TABLE")
	if err != nil {
		return nil, err
	}
	return &centre.Job{
		People: consent.NewPeople(dynamo.NewEvents(b.Config, env[0]), p.q.Hasher), Settings: b.Settings,
		Store: p.q.Store, Mailer: p.mailer, Hasher: p.q.Hasher, Now: b.Now,
	}, nil
}
