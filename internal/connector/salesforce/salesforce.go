// Package salesforce is the connector of Salesforce: contacts, leads, the
// Individual behind them, and the records that hang on them.
// docs/connectors/salesforce.md says what it covers.
//
// Which objects those are, and by which fields they belong to a person, stands
// in one table (object.go): an export writes their records, an erasure deletes
// or masks them in its order, and Verify counts them.
package salesforce

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Kind is the connector's name in systems.json.
const Kind = "salesforce"

// What an erasure does.
const (
	hard = "hard" // deletes, and empties the bin of it
	soft = "soft" // deletes, and leaves the rest to the Recycle Bin
	mask = "mask" // overwrites what names the person, where a record may not be deleted
)

// config is what systems.json may say in "config".
type config struct {
	BaseURL     string   `json:"base_url"` // My Domain
	Version     string   `json:"version"`  // of the API
	Audience    string   `json:"audience"` // of a JWT
	Erase       string   `json:"erase"`
	Individuals bool     `json:"individuals"` // Data Protection and Privacy is enabled
	ExternalID  string   `json:"external_id"` // field of contacts and leads with the company's own number
	Skip        []string `json:"skip"`        // objects that the company does not use, or that are not to be read
	Bin         []string `json:"bin"`         // objects that cannot be hard deleted
	Custom      []custom `json:"custom"`
	// Zoom is the name of the system that is Zoom; ZoomIDs are the fields with its
	// ids: "Contact.Zoom_User__c": "user_id".
	Zoom       string            `json:"zoom"`
	ZoomIDs    map[string]string `json:"zoom_ids"`
	AllowLocal bool              `json:"allow_local"`
}

// custom is an object of the company's own, or of a package.
type custom struct {
	Object     string   `json:"object"`
	Contact    string   `json:"contact"`    // lookup field
	Lead       string   `json:"lead"`       // lookup field
	Individual string   `json:"individual"` // lookup field
	Email      []string `json:"email"`      // fields with an e-mail address
}

// Connector is one Salesforce org.
type Connector struct {
	inventory connector.Inventory
	config    config
	session   *session
	objects   []object
	now       func() time.Time
}

var _ connector.Connector = (*Connector)(nil)

var (
	versionForm = regexp.MustCompile(`^[1-9][0-9]{1,2}\.0$`)
	nameForm    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,79}$`)
)

// zoomKinds are the ids of Zoom by which the connector zoom finds a person.
var zoomKinds = []string{"user_id", "meeting_id", "webinar_id", "registrant_id", "panelist_id"}

// New returns a Connector; a configuration that cannot work is Invalid. The
// secret is {"client_id": "…", "client_secret": "…"}, or for JWT bearer
// {"client_id": "…", "username": "…", "private_key": "-----BEGIN …"}.
func New(o kit.System) (*Connector, error) {
	c := config{Version: "66.0", Audience: "https://login.salesforce.com", Erase: hard, Individuals: true}
	if err := connector.Config(o.Inventory.System, o.Config, &c); err != nil {
		return nil, err
	}
	if err := c.check(o.Inventory.System); err != nil {
		return nil, err
	}
	c.Individuals = c.Individuals && !slices.Contains(c.Skip, individuals.object)
	s, err := newSession(o, c)
	if err != nil {
		return nil, err
	}
	return &Connector{inventory: complete(o.Inventory, c), config: c, session: s, objects: c.objects(), now: o.Now}, nil
}

func (c config) check(system string) error {
	invalid := func(format string, args ...any) error {
		return errs.New(errs.Invalid, "system %q: config."+format, append([]any{system}, args...)...)
	}
	base, err := url.Parse(c.BaseURL)
	switch {
	case c.BaseURL == "":
		return invalid("base_url is missing: it is the org's My Domain, https://example.my.salesforce.com")
	case err == nil && (base.Hostname() == "login.salesforce.com" || base.Hostname() == "test.salesforce.com"):
		return invalid("base_url must be the org's My Domain: Salesforce refuses this login at %s", base.Hostname())
	case err != nil || strings.Trim(base.Path, "/") != "":
		return invalid("base_url must have no path")
	case !versionForm.MatchString(c.Version):
		return invalid("version is no version such as 66.0")
	case !slices.Contains([]string{hard, soft, mask}, c.Erase):
		return invalid("erase must be hard, soft or mask")
	case len(c.ZoomIDs) > 0 && c.Zoom == "":
		return invalid("zoom is missing: the name of the system whose ids zoom_ids are")
	case c.ExternalID != "" && !nameForm.MatchString(c.ExternalID):
		return invalid("external_id is no name of a field")
	case slices.Contains(c.Skip, contacts.object) && slices.Contains(c.Skip, leads.object):
		return invalid("skip must leave Contact or Lead: nobody is found without them")
	}
	for _, own := range c.Custom {
		for _, name := range append([]string{own.Object, own.Contact, own.Lead, own.Individual}, own.Email...) {
			if name != "" && !nameForm.MatchString(name) || own.Object == "" {
				return invalid("custom: %q is no name of an object or field", name)
			}
		}
		if own.Contact == "" && own.Lead == "" && own.Individual == "" && len(own.Email) == 0 {
			return invalid("custom: nothing says whose a record of %s is", own.Object)
		}
	}
	known := c.objects()
	for place, kind := range c.ZoomIDs {
		name, field, _ := strings.Cut(place, ".")
		if !slices.ContainsFunc(known, func(o object) bool { return o.name == name }) || !nameForm.MatchString(field) {
			return invalid("zoom_ids: %q is no field of a known object, such as Contact.Zoom_User__c", place)
		}
		if !slices.Contains(zoomKinds, kind) {
			return invalid("zoom_ids: %q is none of %s", kind, strings.Join(zoomKinds, ", "))
		}
	}
	return nil
}

// complete adds what the vendor's documentation says to what the company says.
func complete(i connector.Inventory, c config) connector.Inventory {
	if c.Zoom != "" {
		i.Flows = append(slices.Clone(i.Flows), connector.Flow{To: "zoom", Data: connector.Text{
			"en": "first name, last name and e-mail address", "fr": "prénom, nom et adresse e-mail",
		}})
		i.Recipients = append(slices.Clone(i.Recipients), connector.Text{
			"en": "Zoom: first name, last name and e-mail address of the contact or lead, when a webinar registration is made",
			"fr": "Zoom : prénom, nom et adresse e-mail du contact ou de la piste, lors d'une inscription à un webinaire",
		})
	}
	return i.Complete(connector.Inventory{
		Does: []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object},
		Data: data,
		Backups: connector.Text{
			"en": "Deleted records that are not hard deleted stay in the Recycle Bin for 15 days.",
			"fr": "Les enregistrements supprimés sans suppression définitive restent 15 jours dans la corbeille.",
		},
	})
}

var (
	untilDeleted = connector.Text{"en": "Until it is deleted", "fr": "Jusqu'à la suppression"}
	customers    = connector.Text{"en": "Customer relations", "fr": "Relation client"}
)

// data is the inventory of an org.
var data = []connector.Category{
	{Name: connector.Text{"en": "Contact or lead: name, e-mail, telephone, addresses, preferences", "fr": "Contact ou piste : nom, e-mail, téléphone, adresses, préférences"}, Purpose: customers, Retention: untilDeleted},
	{Name: connector.Text{"en": "Cases, tasks, events, e-mails and files about the person", "fr": "Requêtes, tâches, évènements, e-mails et fichiers concernant la personne"}, Purpose: customers, Retention: untilDeleted},
	{Name: connector.Text{"en": "Membership of campaigns, roles in opportunities", "fr": "Participation à des campagnes, rôles dans des opportunités"}, Purpose: customers, Retention: untilDeleted},
	{Name: connector.Text{"en": "Privacy preferences and points of contact", "fr": "Préférences de confidentialité et points de contact"}, Purpose: customers, Retention: untilDeleted},
}

// Inventory implements connector.Connector.
func (c *Connector) Inventory() connector.Inventory { return c.inventory }

// The ids of an org's own records.
const (
	contactID    = "contact_id"
	leadID       = "lead_id"
	individualID = "individual_id"
	userID       = "user_id" // of an employee
)

// own is a kind of identifier of this org.
func (c *Connector) own(what string) identity.Kind {
	return identity.Kind(c.inventory.System + "." + what)
}

// Identifiers implements connector.Connector.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) {
	needs = []identity.Kind{identity.Email, identity.Phone, identity.ExternalID}
	for _, what := range []string{contactID, leadID, individualID, userID} {
		needs = append(needs, c.own(what))
	}
	yields = append(slices.Clone(needs[3:]), identity.Email)
	for _, what := range zoomKinds {
		if slices.ContainsFunc(c.zoomFields(), func(f zoomField) bool { return f.kind == what }) {
			yields = append(yields, identity.Kind(c.config.Zoom+"."+what))
		}
	}
	return needs, yields
}

// Start implements connector.Connector.
func (c *Connector) Start(ctx context.Context, call connector.Call) (connector.Progress, error) {
	return c.run(ctx, call, walk{})
}

// Poll implements connector.Connector.
func (c *Connector) Poll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	var w walk
	if call.Operation == connector.Export || call.Operation == connector.Erase {
		if err := kit.ParseHandle(call.Handle, &w); err != nil {
			return connector.Progress{}, err
		}
	}
	return c.run(ctx, call, w)
}

func (c *Connector) run(ctx context.Context, call connector.Call, w walk) (connector.Progress, error) {
	if w.Object < 0 || w.Object > len(c.objects) {
		return connector.Progress{}, errs.New(errs.Invalid, "system %q: the handle names no object", c.inventory.System)
	}
	p := c.person(call.Subject)
	switch call.Operation {
	case connector.Export:
		return c.export(ctx, call, p, w)
	case connector.Erase:
		return c.erase(ctx, call, p, w)
	case connector.Rectify:
		return c.rectify(ctx, call, p)
	case connector.Restrict, connector.Object:
		return c.flag(ctx, call, p)
	}
	return connector.Progress{}, errs.New(errs.Internal, "salesforce cannot %s", call.Operation)
}

// walk is how far an export or an erasure has come: it is their handle.
type walk struct {
	Object int     `json:"object"`           // in the table
	After  string  `json:"after,omitempty"`  // the last id that was seen to
	File   int     `json:"file,omitempty"`   // export: files of the next records that were written
	Queue  []batch `json:"queue,omitempty"`  // what is about to be deleted
	Job    string  `json:"job,omitempty"`    // that hard deletes the first of the queue
	Asked  int     `json:"asked,omitempty"`  // how often it was not done
	Binned int     `json:"binned,omitempty"` // records that were left to the Recycle Bin
}

// batch is some records of an object, at most as many as a query gives at a time.
type batch struct {
	Object string   `json:"object"`
	IDs    []string `json:"ids"`
	Gone   bool     `json:"gone,omitempty"` // they are in the bin
}

// soon is the pause before the next part of a long operation: only so long that
// one invocation does not do everything.
const soon = time.Second

func said(at time.Time, call, answer string) connector.Evidence {
	return connector.Evidence{At: at, Call: call, Answer: answer}
}
