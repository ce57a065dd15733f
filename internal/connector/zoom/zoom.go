// Package zoom is the connector of Zoom: users of the company's account, and
// people who registered for, spoke at or took part in its meetings and webinars,
// or telephoned with it. docs/connectors/zoom.md says what it covers.
//
// Zoom has no search for people who are not users. Locate goes through the
// hosts of the account and their lists, in pieces (search.go); everything else
// works on what that has found. What the vendor holds of a person is described
// once, as sources (source.go): an export writes them, an erasure deletes what
// can be deleted of them, and Verify looks whether they are empty.
package zoom

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Kind is the connector's name in systems.json.
const Kind = "zoom"

// config is what systems.json may say in "config".
type config struct {
	AccountID string `json:"account_id"`
	BaseURL   string `json:"base_url"`  // of the API
	LoginURL  string `json:"login_url"` // of the token
	// ManagedDomains are those in which Zoom lets the account change the e-mail
	// addresses of its users.
	ManagedDomains []string `json:"managed_domains"`
	Phone          bool     `json:"phone"`      // the account has Zoom Phone
	Months         int      `json:"months"`     // how far back reports and calls are read; Zoom keeps six
	Expire         int      `json:"expire"`     // months after which Zoom's reports are gone by themselves
	PerSecond      int      `json:"per_second"` // calls, at the most
	AllowLocal     bool     `json:"allow_local"`
}

// maxMonths is how far back Zoom answers for reports and call history.
const maxMonths = 6

// Connector is one Zoom account.
type Connector struct {
	inventory connector.Inventory
	config    config
	api       *kit.Client
	once      *kit.Client // makes one attempt: for what Zoom counts
	now       func() time.Time
}

var _ connector.Connector = (*Connector)(nil)

// New returns a Connector; a configuration that cannot work is Invalid. The
// secret is {"client_id": "…", "client_secret": "…"}.
func New(o kit.System) (*Connector, error) {
	system := o.Inventory.System
	c := config{BaseURL: "https://api.zoom.us/v2", LoginURL: "https://zoom.us", Months: maxMonths, Expire: 12, PerSecond: 5}
	if err := connector.Config(system, o.Config, &c); err != nil {
		return nil, err
	}
	switch {
	case c.AccountID == "":
		return nil, errs.New(errs.Invalid, "system %q: config.account_id is missing", system)
	case c.Months < 0 || c.Months > maxMonths:
		return nil, errs.New(errs.Invalid, "system %q: config.months must be 0 to %d: Zoom does not answer for more", system, maxMonths)
	case c.Expire < 1 || c.Expire > 120:
		return nil, errs.New(errs.Invalid, "system %q: config.expire must be 1 to 120 months", system)
	case c.PerSecond < 1 || c.PerSecond > 40:
		return nil, errs.New(errs.Invalid, "system %q: config.per_second must be 1 to 40", system)
	}
	api, once, err := newClients(o, c)
	if err != nil {
		return nil, err
	}
	return &Connector{inventory: complete(o.Inventory), config: c, api: api, once: once, now: o.Now}, nil
}

// complete adds what the vendor's documentation says to what the company says.
func complete(i connector.Inventory) connector.Inventory {
	return i.Complete(connector.Inventory{
		Does: []connector.Operation{connector.Export, connector.Rectify, connector.Erase},
		Data: data,
		Source: connector.Text{
			"en": "The person, when registering for, joining or hosting a session or calling; for registrations made from Salesforce, the contact's or lead's first name, last name and e-mail address, passed on from there.",
			"fr": "La personne, en s'inscrivant à une session, en y participant, en l'animant ou en appelant ; pour les inscriptions faites depuis Salesforce, le prénom, le nom et l'adresse e-mail du contact ou de la piste, transmis par Salesforce.",
		},
		Backups: connector.Text{
			"en": "Attendance of past sessions, reports, questions and polls cannot be deleted one by one: they age out with Zoom's reports.",
			"fr": "La participation aux sessions passées, les rapports, les questions et les sondages ne peuvent pas être supprimés un par un : ils expirent avec les rapports de Zoom.",
		},
	})
}

var (
	untilDeleted = connector.Text{"en": "Until it is deleted", "fr": "Jusqu'à la suppression"}
	withReports  = connector.Text{"en": "As long as Zoom keeps its reports, about twelve months", "fr": "Tant que Zoom conserve ses rapports, environ douze mois"}
	meetings     = connector.Text{"en": "Meetings and webinars", "fr": "Réunions et webinaires"}
)

// data is the inventory of a Zoom account.
var data = []connector.Category{
	{Name: connector.Text{"en": "User: name, e-mail, Zoom and Zoom Phone user ids, personal meeting id and its password, plan", "fr": "Utilisateur : nom, e-mail, identifiants Zoom et Zoom Phone, identifiant de réunion personnelle et son mot de passe, forfait"}, Purpose: meetings, Retention: untilDeleted},
	{Name: connector.Text{"en": "Meetings and webinars hosted, with their settings, links and passwords", "fr": "Réunions et webinaires animés, avec leurs réglages, liens et mots de passe"}, Purpose: meetings, Retention: untilDeleted},
	{Name: connector.Text{"en": "Registrations, answers to their questions, panelists", "fr": "Inscriptions, réponses à leurs questions, intervenants"}, Purpose: meetings, Retention: untilDeleted},
	{Name: connector.Text{"en": "Attendance, questions and polls of past sessions", "fr": "Participation, questions et sondages des sessions passées"}, Purpose: meetings, Retention: withReports},
	{Name: connector.Text{"en": "Cloud recordings", "fr": "Enregistrements dans le cloud"}, Purpose: meetings, Retention: untilDeleted},
	{Name: connector.Text{"en": "Telephone calls, call recordings, voice mails, text messages, device addresses", "fr": "Appels, enregistrements d'appels, messages vocaux, SMS, adresses des appareils"}, Purpose: connector.Text{"en": "Telephony", "fr": "Téléphonie"}, Retention: untilDeleted},
}

// Inventory implements connector.Connector.
func (c *Connector) Inventory() connector.Inventory { return c.inventory }

// own is a kind of identifier of this account.
func (c *Connector) own(what string) identity.Kind {
	return identity.Kind(c.inventory.System + "." + what)
}

// Identifiers that other systems may yield by this one's name: Salesforce keeps
// Zoom's ids.
const (
	userID       = "user_id"
	meetingID    = "meeting_id"
	webinarID    = "webinar_id"
	registrantID = "registrant_id"
	panelistID   = "panelist_id"
	records      = "records" // what Locate has found, packed: see ref
)

// Identifiers implements connector.Connector. The records are not among the
// needs: what the search has found must not begin it anew.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) {
	needs = []identity.Kind{identity.Email, identity.Phone, identity.Name}
	for _, what := range []string{userID, meetingID, webinarID, registrantID, panelistID} {
		needs = append(needs, c.own(what))
	}
	return needs, []identity.Kind{c.own(userID), c.own(records), identity.Email}
}

// Start implements connector.Connector.
func (c *Connector) Start(ctx context.Context, call connector.Call) (connector.Progress, error) {
	switch call.Operation {
	case connector.Export:
		return c.export(ctx, call, walk{})
	case connector.Erase:
		return c.erase(ctx, call, walk{})
	case connector.Rectify:
		return c.rectify(ctx, call)
	}
	return connector.Progress{}, errs.New(errs.Internal, "zoom cannot %s", call.Operation)
}

// Poll implements connector.Connector.
func (c *Connector) Poll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	var w walk
	if call.Operation == connector.Rectify {
		return c.rectify(ctx, call)
	}
	if err := kit.ParseHandle(call.Handle, &w); err != nil {
		return connector.Progress{}, err
	}
	if call.Operation == connector.Export {
		return c.export(ctx, call, w)
	}
	return c.erase(ctx, call, w)
}

// soon is the pause before the next part of a long operation: only so long that
// one invocation does not do everything.
const soon = time.Second
