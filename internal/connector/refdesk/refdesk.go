// Package refdesk is the connector of the reference vendor: a help desk that
// does not exist, with the difficulties of those that do (contract.yaml). It is
// the example for connectors; docs/connectors/README.md walks through it.
package refdesk

import (
	"context"
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Kind is the connector's name in systems.json.
const Kind = "refdesk"

// config is what systems.json may say in "config".
type config struct {
	BaseURL    string `json:"base_url"`
	AllowLocal bool   `json:"allow_local"` // base_url is on this machine: for the fake
}

// Connector is one help desk.
type Connector struct {
	inventory connector.Inventory
	api       *kit.Client
	now       func() time.Time
}

var _ connector.Connector = (*Connector)(nil)

// codes are the vendor's error codes that may stand in an error text.
var codes = map[string]errs.Kind{
	"RecordNotFound": "", "RecordInvalid": "", "OpenTickets": errs.Conflict, "TicketLocked": errs.Conflict, "NotDeleted": errs.Conflict,
	"CursorInvalid": "", "QueryMissing": "", "InvalidToken": "", "invalid_client": "", "Busy": "",
}

// New returns a Connector; a configuration that cannot work is Invalid.
// The secret is {"client_id": "…", "client_secret": "…"}.
func New(o kit.System) (*Connector, error) {
	var c config
	if err := connector.Config(o.Inventory.System, o.Config, &c); err != nil {
		return nil, err
	}
	options := o.Kit
	options.System, options.Base, options.AllowLocal = o.Inventory.System, c.BaseURL, c.AllowLocal
	options.Now, options.Transport, options.Codes = o.Now, o.Transport, codes
	door, err := kit.New(options)
	if err != nil {
		return nil, err
	}
	options.Base += "/api/v1"
	options.Login = kit.ClientCredentials(door, kit.To("/oauth/token"), "", kit.Secret(o.Inventory.System, o.Secret))
	api, err := kit.New(options)
	if err != nil {
		return nil, err
	}
	return &Connector{inventory: complete(o.Inventory), api: api, now: o.Now}, nil
}

// complete adds what the vendor's documentation says to what the company says.
func complete(i connector.Inventory) connector.Inventory {
	return i.Complete(connector.Inventory{
		Does: []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object},
		Data: []connector.Category{{
			Name:      connector.Text{"en": "Account, tickets, attachments, activity", "fr": "Compte, demandes, pièces jointes, activité"},
			Purpose:   connector.Text{"en": "Customer support", "fr": "Assistance à la clientèle"},
			Retention: connector.Text{"en": "Until the account is deleted", "fr": "Jusqu'à la suppression du compte"},
		}},
		Backups: connector.Text{"en": "The vendor's backups age out after 30 days.", "fr": "Les sauvegardes du prestataire expirent après 30 jours."},
	})
}

// Inventory implements connector.Connector.
func (c *Connector) Inventory() connector.Inventory { return c.inventory }

// userID is the vendor's own id of a user: of this system, not of another help
// desk of the same vendor.
func (c *Connector) userID() identity.Kind {
	return identity.Kind(c.inventory.System + ".user_id")
}

// Identifiers implements connector.Connector.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) {
	return []identity.Kind{identity.Email, identity.ExternalID, identity.Phone, c.userID()},
		[]identity.Kind{c.userID(), identity.Email, identity.ExternalID, identity.Phone}
}

// Start implements connector.Connector.
func (c *Connector) Start(ctx context.Context, call connector.Call) (connector.Progress, error) {
	switch call.Operation {
	case connector.Export:
		return c.startExport(ctx, call)
	case connector.Erase:
		return c.startErase(ctx, call)
	case connector.Rectify:
		return c.rectify(ctx, call)
	case connector.Restrict:
		return c.tag(ctx, call, "avow-restricted")
	case connector.Object:
		return c.tag(ctx, call, "avow-objected")
	}
	return connector.Progress{}, errs.New(errs.Internal, "refdesk cannot %s", call.Operation)
}

// Poll implements connector.Connector.
func (c *Connector) Poll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	switch call.Operation {
	case connector.Export:
		return c.pollExport(ctx, call)
	case connector.Erase:
		return c.pollErase(ctx, call)
	}
	return c.Start(ctx, call)
}

// user is a user as the API shows it.
type user struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Email      string    `json:"email"`
	Phone      string    `json:"phone"`
	ExternalID string    `json:"external_id"`
	Role       string    `json:"role"`
	Verified   bool      `json:"verified"`
	Active     bool      `json:"active"`
	MergedInto string    `json:"merged_into"`
	MergedFrom []string  `json:"merged_from"`
	Tags       []string  `json:"tags"`
	Notes      string    `json:"notes"`
	CreatedAt  time.Time `json:"created_at"`
}

const agent = "agent"

// users are the ids of the person's records, as Locate has found them.
func (c *Connector) users(s connector.Subject) []string {
	var ids []string
	for _, i := range s.Of(c.userID()) {
		ids = append(ids, i.Value.Reveal())
	}
	return ids
}

// get reads a user; nil for one that does not exist.
func (c *Connector) get(ctx context.Context, id string) (*user, error) {
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: kit.To("/users/{id}", id), Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, err
	}
	var body struct {
		User user `json:"user"`
	}
	if err := a.JSON(&body); err != nil {
		return nil, err
	}
	return &body.User, nil
}

// soon is the pause before the next part of a long operation: only so long that
// one invocation does not do everything.
const soon = time.Second
