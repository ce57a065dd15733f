// Package zendesksupport is the connector of Zendesk Support: users with their
// identities, tickets with comments, audits and attachments, suspended tickets,
// and the purge that Zendesk reports of each of its products
// (developer.zendesk.com/api-reference/ticketing).
package zendesksupport

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Kind is the connector's name in systems.json.
const Kind = "zendesk-support"

// What is done with tickets, and with the person's record.
const (
	deleteTickets = "delete"
	redactTickets = "redact" // the ticket stays, the person goes
	suspend       = "suspend"
	tag           = "tag"
)

// config is what systems.json may say in "config".
type config struct {
	BaseURL    string `json:"base_url"`
	AllowLocal bool   `json:"allow_local"` // base_url is on this machine: for the fake
	Tickets    string `json:"tickets"`     // delete, redact
	Ground     string `json:"ground"`      // why tickets stay where they are redacted
	Restrict   string `json:"restrict"`    // suspend, tag
	Object     string `json:"object"`      // suspend, tag
	Scope      string `json:"scope"`
	TokenLife  int    `json:"token_seconds"`    // asked for; more than 300, less than 172800
	PerMinute  int    `json:"calls_per_minute"` // of the account's limit, what one operation may use
	Settle     string `json:"settle"`           // after the last product has finished, until no other one is waited for
}

// check names the first setting that cannot work.
func (c config) check(system string) error {
	for _, choice := range []struct {
		name, value string
		of          []string
	}{
		{"tickets", c.Tickets, []string{deleteTickets, redactTickets}},
		{"restrict", c.Restrict, []string{suspend, tag}},
		{"object", c.Object, []string{suspend, tag}},
	} {
		if !slices.Contains(choice.of, choice.value) {
			return errs.New(errs.Invalid, "system %q: config.%s must be one of %q", system, choice.name, choice.of)
		}
	}
	if c.Tickets == redactTickets && strings.TrimSpace(c.Ground) == "" {
		return errs.New(errs.Invalid, "system %q: config.ground must say why tickets stay after an erasure, such as \"Art. 17(3)(e) GDPR\"", system)
	}
	if c.TokenLife <= 300 || c.TokenLife >= 172800 {
		return errs.New(errs.Invalid, "system %q: config.token_seconds must lie between 300 and 172800", system)
	}
	if c.PerMinute < 1 || c.PerMinute > 10000 {
		return errs.New(errs.Invalid, "system %q: config.calls_per_minute must be 1 to 10000", system)
	}
	return nil
}

// Connector is one Zendesk account.
type Connector struct {
	inventory connector.Inventory
	config    config
	settle    time.Duration
	api       *kit.Client
	now       func() time.Time
}

var (
	_ connector.Connector = (*Connector)(nil)
	_ connector.After     = (*Connector)(nil)
)

// codes are the vendor's error codes that may stand in an error text.
var codes = map[string]errs.Kind{
	"RecordNotFound": "", "RecordInvalid": "", "TooManyValues": "", "TooManyJobs": "", "invalid": "", "unavailable": errs.Unavailable,
	"invalid_token": "", "invalid_client": "", "invalid_request": "", "Forbidden": "",
}

// New returns a Connector; a configuration that cannot work is Invalid. The
// secret is {"client_id": "…", "client_secret": "…"} of an OAuth client.
func New(o kit.System) (*Connector, error) {
	c := config{Tickets: deleteTickets, Restrict: suspend, Object: tag, Scope: "read write", TokenLife: 1800, PerMinute: 200, Settle: "24h"}
	if err := connector.Config(o.Inventory.System, o.Config, &c); err != nil {
		return nil, err
	}
	if err := c.check(o.Inventory.System); err != nil {
		return nil, err
	}
	settle, err := time.ParseDuration(c.Settle)
	if err != nil || settle < 0 {
		return nil, errs.New(errs.Invalid, "system %q: config.settle is no duration such as 24h", o.Inventory.System)
	}
	options := o.Kit
	options.System, options.Base, options.AllowLocal = o.Inventory.System, c.BaseURL, c.AllowLocal
	options.Now, options.Transport, options.Codes = o.Now, o.Transport, codes
	door, err := kit.New(options)
	if err != nil {
		return nil, err
	}
	options.Base += "/api/v2"
	options.Login = kit.JSONCredentials(door, kit.To("/oauth/tokens"), map[string]any{"scope": c.Scope, "expires_in": c.TokenLife}, kit.Secret(o.Inventory.System, o.Secret))
	api, err := kit.New(options)
	if err != nil {
		return nil, err
	}
	return &Connector{inventory: complete(o.Inventory), config: c, settle: settle, api: api, now: o.Now}, nil
}

// complete adds what the vendor's documentation says to what the company says.
func complete(i connector.Inventory) connector.Inventory {
	return i.Complete(connector.Inventory{
		Does: []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object},
		Data: []connector.Category{{
			Name: connector.Text{
				"en": "Account, contact details, support requests with messages, attachments and ratings, technical data of messages",
				"fr": "Compte, coordonnées, demandes d'assistance avec messages, pièces jointes et évaluations, données techniques des messages",
			},
			Purpose:   connector.Text{"en": "Customer support", "fr": "Assistance à la clientèle"},
			Retention: connector.Text{"en": "Until the account is deleted", "fr": "Jusqu'à la suppression du compte"},
		}},
		Backups: connector.Text{
			"en": "Zendesk scrubs what an agent had deleted earlier 30 days after that.",
			"fr": "Zendesk efface 30 jours après ce qu'un agent avait supprimé auparavant.",
		},
	})
}

// Inventory implements connector.Connector.
func (c *Connector) Inventory() connector.Inventory { return c.inventory }

// After implements connector.After. The user is the index to what the other
// products hold, and its name stays in a transcript until the chat is deleted.
func (c *Connector) After() map[string]string {
	return map[string]string{
		"zendesk-chat":      "a transcript shows the user's name until the chat itself is deleted",
		"zendesk-message":   "sessions are found by the user",
		"zendesk-messaging": "conversations are found by the user",
	}
}

// own is an identifier kind of this account.
func (c *Connector) own(what string) identity.Kind {
	return identity.Kind(c.inventory.System + "." + what)
}

// Identifiers implements connector.Connector.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) {
	needs = []identity.Kind{identity.Email, identity.ExternalID, identity.Phone, c.own("user_id")}
	return needs, append(slices.Clone(needs), c.own("chat_id"))
}

// Start implements connector.Connector.
func (c *Connector) Start(ctx context.Context, call connector.Call) (connector.Progress, error) {
	w := c.work()
	switch call.Operation {
	case connector.Export:
		return w.paced(w.startExport(ctx, call))
	case connector.Erase:
		return w.paced(w.startErase(ctx, call))
	case connector.Rectify:
		return w.rectify(ctx, call)
	case connector.Restrict:
		return w.mark(ctx, call, c.config.Restrict, restricted)
	case connector.Object:
		return w.mark(ctx, call, c.config.Object, objected)
	}
	return connector.Progress{}, errs.New(errs.Internal, "zendesk-support cannot %s", call.Operation)
}

// Poll implements connector.Connector.
func (c *Connector) Poll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	w := c.work()
	switch call.Operation {
	case connector.Export:
		return w.paced(w.pollExport(ctx, call))
	case connector.Erase:
		return w.paced(w.pollErase(ctx, call))
	}
	return c.Start(ctx, call)
}

// users are the ids of the person's records, as Locate has found them.
func (c *Connector) users(s connector.Subject) []int64 {
	var ids []int64
	for _, i := range s.Of(c.own("user_id")) {
		if id, err := strconv.ParseInt(i.Value.Reveal(), 10, 64); err == nil && id > 0 && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
