// Package genesys is the connector of Genesys Cloud: customers who called, wrote
// or were called, and employees with their Collaborate chats.
// docs/connectors/genesys.md says what it covers.
//
// Genesys does the work itself, by requests of its GDPR API that take days: one
// for each identifier of the person (job.go). Locate finds the identifiers
// (locate.go); the results of an export are fetched as soon as they are ready,
// and what others wrote is left out of them (result.go).
package genesys

import (
	"context"
	"fmt"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Kind is the connector's name in systems.json.
const Kind = "genesys"

// config is what systems.json may say in "config".
type config struct {
	Region string `json:"region"` // "mypurecloud.ie"
	// BaseURL and LoginURL replace the region's hosts, with allow_local only.
	BaseURL  string `json:"base_url"`
	LoginURL string `json:"login_url"`
	// SmallSet is how many identifiers one operation may have: Genesys wants GDPR
	// requests for a person or a small set of them.
	SmallSet int `json:"small_set"`
	// ChatRetentionDays is how long the organisation keeps Collaborate's messages;
	// 0: not said.
	ChatRetentionDays int `json:"chat_retention_days"`
	// DeadlineDays is after how long a person is asked about a request that Genesys
	// has not finished.
	DeadlineDays int `json:"deadline_days"`
	// Poll is how long a request is left alone at first; later up to six times that.
	Poll             string `json:"poll"`
	Files            bool   `json:"files"`             // files that are not JSON enter the package unread
	ExternalContacts string `json:"external_contacts"` // erase: "gdpr" or "delete"
	DirectoryUsers   string `json:"directory_users"`   // erase: "delete" or "keep"
	Ground           string `json:"ground"`            // why directory users are kept
	AllowLocal       bool   `json:"allow_local"`
}

// What becomes of a record that the GDPR request itself leaves.
const (
	viaGDPR  = "gdpr"   // the request's deletion is enough
	byDelete = "delete" // it is deleted as well
	keep     = "keep"   // it stays, for a ground
)

// mostIdentifiers is the largest small_set.
const mostIdentifiers = 50

// Connector is one Genesys Cloud organisation.
type Connector struct {
	inventory connector.Inventory
	config    config
	poll      time.Duration
	api       *kit.Client
	files     *kit.Client // has no login: for results, which lie at another host
	now       func() time.Time
}

var _ connector.Connector = (*Connector)(nil)

// New returns a Connector; a configuration that cannot work is Invalid. The
// secret is {"client_id": "…", "client_secret": "…"}.
func New(o kit.System) (*Connector, error) {
	c := config{SmallSet: 10, DeadlineDays: 14, Poll: "1h", ExternalContacts: viaGDPR, DirectoryUsers: byDelete}
	if err := connector.Config(o.Inventory.System, o.Config, &c); err != nil {
		return nil, err
	}
	if err := c.check(o.Inventory); err != nil {
		return nil, err
	}
	poll, err := time.ParseDuration(c.Poll)
	if err != nil || poll <= 0 || poll < time.Minute && !c.AllowLocal || poll > 24*time.Hour {
		return nil, errs.New(errs.Invalid, "system %q: config.poll must be a duration of 1m to 24h", o.Inventory.System)
	}
	api, files, err := newClients(o, c)
	if err != nil {
		return nil, err
	}
	return &Connector{inventory: complete(o.Inventory, c), config: c, poll: poll, api: api, files: files, now: o.Now}, nil
}

func (c config) check(i connector.Inventory) error {
	if err := checkRegion(i, c.Region); err != nil {
		return err
	}
	refuse := func(text string) error { return errs.New(errs.Invalid, "system %q: config.%s", i.System, text) }
	switch {
	case (c.BaseURL != "" || c.LoginURL != "") && !c.AllowLocal:
		return refuse("base_url and login_url are for the fake: they need allow_local; region names the hosts")
	case c.SmallSet < 1 || c.SmallSet > mostIdentifiers:
		return refuse(fmt.Sprintf("small_set must be 1 to %d", mostIdentifiers))
	case c.ChatRetentionDays != 0 && (c.ChatRetentionDays < 10 || c.ChatRetentionDays > 3650):
		return refuse("chat_retention_days must be 10 to 3650, as in Genesys, or be left out")
	case c.DeadlineDays < 1 || c.DeadlineDays > 90:
		return refuse("deadline_days must be 1 to 90")
	case c.ExternalContacts != viaGDPR && c.ExternalContacts != byDelete:
		return refuse(`external_contacts must be "gdpr" or "delete"`)
	case c.DirectoryUsers != byDelete && c.DirectoryUsers != keep:
		return refuse(`directory_users must be "delete" or "keep"`)
	case (c.DirectoryUsers == keep) != (c.Ground != ""):
		return refuse("ground belongs to directory_users \"keep\": say why accounts stay")
	}
	return nil
}

// complete adds what the vendor's documentation says to what the company says.
func complete(i connector.Inventory, c config) connector.Inventory {
	return i.Complete(connector.Inventory{
		Does: []connector.Operation{connector.Export, connector.Rectify, connector.Erase},
		Data: c.data(),
		Source: connector.Text{
			"en": "The person, by calling, writing or being called; employees by their work.",
			"fr": "La personne, en appelant, en écrivant ou en étant appelée ; les employés, par leur travail.",
		},
		Backups: connector.Text{
			"en": "Genesys carries out requests within days; what it backs up ages out by its own schedule.",
			"fr": "Genesys exécute les demandes en quelques jours ; ses sauvegardes expirent selon son propre calendrier.",
		},
	})
}

// data is the inventory of an organisation, its own retention of chats included.
func (c config) data() []connector.Category {
	service := connector.Text{"en": "Customer service", "fr": "Service client"}
	set := connector.Text{"en": "As the organisation has set it in Genesys", "fr": "Selon le réglage de l'organisation dans Genesys"}
	chats := set
	if c.ChatRetentionDays > 0 {
		chats = connector.Text{"en": fmt.Sprintf("%d days", c.ChatRetentionDays), "fr": fmt.Sprintf("%d jours", c.ChatRetentionDays)}
	}
	one := connector.Text{
		"en": fmt.Sprintf("Found and handed out for one person or a small set only: at most %d identifiers at a time", c.SmallSet),
		"fr": fmt.Sprintf("Recherché et remis pour une personne ou un petit ensemble seulement : au plus %d identifiants à la fois", c.SmallSet),
	}
	return []connector.Category{
		{Name: connector.Text{"en": "Conversations: calls, chats, e-mails, messages, recordings", "fr": "Conversations : appels, chats, e-mails, messages, enregistrements"}, Purpose: service, Retention: set},
		{Name: connector.Text{"en": "External contacts, contacts of campaigns, visitors of websites, handles of social networks", "fr": "Contacts externes, contacts de campagnes, visiteurs de sites, comptes de réseaux sociaux"}, Purpose: service, Retention: connector.Text{"en": "Until it is deleted", "fr": "Jusqu'à la suppression"}},
		{Name: connector.Text{"en": "Employees: directory entry", "fr": "Employés : fiche de l'annuaire"}, Purpose: service, Retention: connector.Text{"en": "While employed", "fr": "Pendant l'emploi"}},
		{Name: connector.Text{"en": "Employees: messages of Collaborate. " + one["en"], "fr": "Employés : messages de Collaborate. " + one["fr"]}, Purpose: connector.Text{"en": "Working together", "fr": "Travail en commun"}, Retention: chats},
	}
}

// Inventory implements connector.Connector.
func (c *Connector) Inventory() connector.Inventory { return c.inventory }

// own is a kind of identifier of this organisation.
func (c *Connector) own(what string) identity.Kind {
	return identity.Kind(c.inventory.System + "." + what)
}

// Identifiers implements connector.Connector. The chat address of an employee
// only tells whose a message is.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) {
	needs = []identity.Kind{identity.Email, identity.Phone, identity.ExternalID, identity.Name}
	for _, what := range []string{userID, contactID, dialerContact, journey, social, number} {
		needs = append(needs, c.own(what))
		yields = append(yields, c.own(what))
	}
	return needs, append(yields, c.own(chatAddress), identity.Email, identity.ExternalID)
}

// Start implements connector.Connector. It sends nothing: which requests are
// Avow's is told by the time in the handle, so that it must be stored first.
func (c *Connector) Start(_ context.Context, call connector.Call) (connector.Progress, error) {
	switch call.Operation {
	case connector.Export, connector.Erase, connector.Rectify:
		return c.begin(call)
	}
	return connector.Progress{}, errs.New(errs.Internal, "genesys cannot %s", call.Operation)
}

// Poll implements connector.Connector.
func (c *Connector) Poll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	var h handle
	if call.Handle == "" { // a person has said "retry" of what could not begin
		return c.Start(ctx, call)
	}
	if err := kit.ParseHandle(call.Handle, &h); err != nil {
		return connector.Progress{}, err
	}
	w := &work{Connector: c, call: call, h: h, who: c.who(call.Subject)}
	p, err := w.goOn(ctx)
	if err != nil {
		return connector.Progress{}, err
	}
	p.Handle = kit.Handle(w.h)
	return p, nil
}

// soon is the pause before the next part of an operation that need not wait.
const soon = time.Second
