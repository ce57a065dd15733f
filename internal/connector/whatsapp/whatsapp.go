// Package whatsapp is the connector of the WhatsApp Business Platform: what Avow
// holds of people who write to the company's number (contact, messages by their
// kind and time, files at Meta), and a client of the Graph API. What must be set up
// at Meta stands in docs/connectors/whatsapp.md.
//
// Meta has no endpoint to read or delete conversations. It keeps messages for up
// to 30 days as a processor; the certificate says so.
package whatsapp

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// metaKeeps is how long Meta keeps messages and files.
const metaKeeps = 30 * 24 * time.Hour

// Store is what the connector needs of the table of messages.
type Store interface {
	chat.Keeper
	Contact(ctx context.Context, person string) (*chat.Contact, error)
	Silence(ctx context.Context, address string, r chat.Reason, stop bool, at time.Time, by string) (first bool, err error)
	Silenced(ctx context.Context, address string) ([]chat.Reason, error)
}

// Connector is one telephone number of the company.
type Connector struct {
	*Client
	inventory connector.Inventory
	store     Store
	hasher    *pseudonym.Hasher
	kind      identity.Kind // of an address: "<system>.address"
}

var (
	_ connector.Connector = (*Connector)(nil)
	_ connector.After     = (*Connector)(nil)
)

// New returns a Connector; a configuration that cannot work is Invalid.
func New(o kit.System, store Store, hasher *pseudonym.Hasher) (*Connector, error) {
	client, err := NewClient(o)
	if err != nil {
		return nil, err
	}
	return &Connector{
		Client: client, inventory: inventory(o.Inventory), store: store, hasher: hasher, kind: request.ChatAddress(o.Inventory.System),
	}, nil
}

// inventory adds what is known of every WhatsApp number to what systems.json says.
func inventory(i connector.Inventory) connector.Inventory {
	return i.Complete(connector.Inventory{
		Does: []connector.Operation{connector.Export, connector.Erase, connector.Restrict, connector.Object},
		Data: []connector.Category{{
			Name: connector.Text{"en": "Telephone number, time of the last message, messages that were sent, files", "fr": "Numéro de téléphone, heure du dernier message, messages envoyés, fichiers"},
			Purpose: connector.Text{"en": "Answering people on WhatsApp and sending them what they have agreed to",
				"fr": "Répondre aux personnes sur WhatsApp et leur envoyer ce qu'elles ont accepté"},
			Retention: connector.Text{"en": "30 days after the last message, here and at Meta", "fr": "30 jours après le dernier message, ici et chez Meta"},
		}},
		Source: connector.Text{"en": "The person, by writing to the company on WhatsApp", "fr": "La personne, en écrivant à l'entreprise sur WhatsApp"},
		Backups: connector.Text{
			"en": "Meta keeps messages and files for up to 30 days, as a processor; nobody can delete a conversation earlier",
			"fr": "Meta conserve messages et fichiers jusqu'à 30 jours, comme sous-traitant ; personne ne peut supprimer une conversation plus tôt",
		},
	})
}

// Inventory implements connector.Connector.
func (c *Connector) Inventory() connector.Inventory { return c.inventory }

// Identifiers implements connector.Connector.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) {
	return []identity.Kind{c.kind, identity.Phone}, []identity.Kind{c.kind}
}

// After implements connector.After: the chat is the last that goes, because an
// answer may have to go through it.
func (c *Connector) After() map[string]string {
	all := map[string]string{}
	for _, kind := range []string{"ledger", "genesys", "refdesk", "salesforce", "zendesk-chat", "zendesk-messaging", "zendesk-support", "zoom"} {
		all[kind] = "the answer may have to go by WhatsApp"
	}
	return all
}

// kin are the addresses of a person that may be followed.
func (c *Connector) kin(s connector.Subject) []chat.Kin {
	if s.Site != "" && s.Site != c.Site {
		return nil
	}
	var list []chat.Kin
	seen := map[string]bool{}
	for _, i := range s.Of(c.kind) {
		k := chat.KinOf(c.hasher, c.Site, c.inventory.System, redact.String(c.normal(i.Value)))
		if !seen[k.Person] {
			seen[k.Person] = true
			list = append(list, k)
		}
	}
	return list
}

// normal is a telephone number in E.164, and a user id as it is.
func (c *Connector) normal(value redact.String) string {
	if phone, ok := identity.NormalizePhone(value.Reveal()); ok {
		return phone
	}
	return value.Reveal()
}

// Locate implements connector.Connector. An address leads to the other one of the
// same account; a telephone number alone may be anybody's who has it now.
func (c *Connector) Locate(ctx context.Context, s connector.Subject) (connector.Findings, error) {
	f := connector.Findings{Counts: map[string]int{}}
	own := c.kin(s)
	known := map[string]bool{}
	for _, k := range own {
		known[k.Address.Reveal()] = true
		contact, err := c.store.Contact(ctx, k.Person)
		if err != nil {
			return f, err
		}
		f.Identifiers = append(f.Identifiers, c.other(contact, k)...)
	}
	var at cursor
	if s.Handle != "" {
		if kit.ParseHandle(s.Handle, &at) != nil || at.Done < 0 {
			return f, errHandle
		}
	}
	err := c.walk(ctx, own, &at, pagesPerCall, func(r chat.Row) error { at.count(r); return nil })
	if err != nil {
		return f, err
	}
	for kind, n := range at.Counts {
		f.Counts[kind] = n
	}
	f.Candidates, err = c.candidates(ctx, s, known)
	if f.Handle = kit.Handle(at); at.Done < len(own) {
		f.More = time.Second
	} else {
		f.Handle = ""
	}
	return f, err
}

// other is the address that a contact has beside the one it was found by.
func (c *Connector) other(contact *chat.Contact, k chat.Kin) []identity.Identifier {
	var list []identity.Identifier
	if contact == nil {
		return nil
	}
	for _, address := range []redact.String{contact.Phone, contact.UserID} {
		if address != "" && address != k.Address {
			list = append(list, identity.Identifier{Kind: c.kind, Value: address, Trust: identity.Vendor, System: c.inventory.System})
		}
	}
	return list
}

// candidates are contacts under a telephone number that is known of the person.
func (c *Connector) candidates(ctx context.Context, s connector.Subject, known map[string]bool) ([]connector.Candidate, error) {
	if s.Site != "" && s.Site != c.Site {
		return nil, nil
	}
	var list []connector.Candidate
	for _, i := range s.Of(identity.Phone) {
		phone, ok := i.Normal()
		if !ok || known[phone] {
			continue
		}
		known[phone] = true
		k := chat.KinOf(c.hasher, c.Site, c.inventory.System, redact.String(phone))
		rows, _, err := c.store.Rows(ctx, k.Person, "", 1)
		if err != nil {
			return nil, err
		}
		if len(rows) > 0 {
			list = append(list, connector.Candidate{
				Identifier: identity.Identifier{Kind: c.kind, Value: redact.String(phone), Trust: identity.Vendor, System: c.inventory.System},
				Evidence:   "somebody has written from the same telephone number: numbers are shared and change hands",
			})
		}
	}
	return list, nil
}

// Start implements connector.Connector.
func (c *Connector) Start(ctx context.Context, call connector.Call) (connector.Progress, error) {
	switch call.Operation {
	case connector.Export:
		return c.export(ctx, call, cursor{})
	case connector.Erase:
		return c.erase(ctx, call, erasing{})
	case connector.Object:
		return c.object(ctx, call)
	case connector.Restrict:
		return connector.Progress{Done: true, Evidence: []connector.Evidence{{
			At: call.Now, Call: "send", Answer: "every message asks the ledger first, which says no while the restriction lasts",
		}}}, nil
	}
	return connector.Progress{}, errs.New(errs.Internal, "system %q does not do %s", c.inventory.System, call.Operation)
}

// Poll implements connector.Connector.
func (c *Connector) Poll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	if call.Operation == connector.Export {
		var at cursor
		if kit.ParseHandle(call.Handle, &at) != nil || at.Done < 0 {
			return connector.Progress{}, errHandle
		}
		return c.export(ctx, call, at)
	}
	var at erasing
	if kit.ParseHandle(call.Handle, &at) != nil || at.Done < 0 {
		return connector.Progress{}, errHandle
	}
	return c.erase(ctx, call, at)
}

// object silences every address: nothing is sent any more, whatever is granted
// later by anybody but the person.
func (c *Connector) object(ctx context.Context, call connector.Call) (connector.Progress, error) {
	own := c.kin(call.Subject)
	p := connector.Progress{Done: true, Counts: map[string]int{"addresses": len(own)}}
	for _, k := range own {
		if _, err := c.store.Silence(ctx, k.Silence, chat.ByPerson, true, call.Now, call.Key); err != nil {
			return connector.Progress{}, err
		}
	}
	evidence, err := c.block(ctx, call, own)
	p.Evidence = append(p.Evidence, evidence...)
	return p, err
}

// block puts the person on Meta's block list, where the configuration wants that.
func (c *Connector) block(ctx context.Context, call connector.Call, own []chat.Kin) ([]connector.Evidence, error) {
	if !c.Config.Block {
		return nil, nil
	}
	var list []connector.Evidence
	for _, k := range own {
		if k.Address.Reveal()[0] != '+' {
			continue // the list takes numbers
		}
		taken, err := c.Client.Block(ctx, k.Address)
		if err != nil {
			return nil, err
		}
		answer := "200"
		if !taken {
			answer = "not taken: Meta takes who has written in the last 24 hours"
		}
		list = append(list, connector.Evidence{At: call.Now, Call: "POST /{number}/block_users", Answer: answer})
	}
	return list, nil
}

// Verify implements connector.Connector.
func (c *Connector) Verify(ctx context.Context, call connector.Call) (connector.Residue, error) {
	at := cursor{}
	own := c.kin(call.Subject)
	err := c.walk(ctx, own, &at, pagesPerCall, func(r chat.Row) error { at.count(r); return nil })
	if err != nil {
		return connector.Residue{}, err
	}
	return connector.Residue{Counts: at.Counts}, nil
}
