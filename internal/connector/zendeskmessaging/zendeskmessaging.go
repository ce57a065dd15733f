// Package zendeskmessaging is the connector of Zendesk Messaging: web, mobile
// and social conversations, by the API of Sunshine Conversations v2. What must
// be set up at Zendesk stands in docs/connectors/zendesk-messaging.md.
//
// The API has end users only: agents speak as "business". Users are found by
// id, external id or e-mail identity, never by telephone.
package zendeskmessaging

import (
	"context"
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
const Kind = "zendesk-messaging"

// config is what systems.json may say in "config".
type config struct {
	// BaseURL is what comes before /v2: https://example.zendesk.com/sc, or the
	// address of a legacy region, https://api.eu-1.smooch.io.
	BaseURL    string `json:"base_url"`
	AllowLocal bool   `json:"allow_local"` // base_url is on this machine: for the fake
	AppID      string `json:"app_id"`
	// Support is the name of the zendesk-support system of the same account.
	Support string `json:"support"`
	// Brands are ids of brands with users of their own, which the API finds by
	// external id or e-mail only when their brand is named.
	Brands []string `json:"brands"`
	// Verified are the verifications of an e-mail identity that prove it.
	Verified []string `json:"verified"`
	// Erase is what an erasure does: eraseUser or erasePersonal.
	Erase string `json:"erase"`
	// Groups is what it does in conversations with other people: groupsOwn or
	// groupsKeep.
	Groups string `json:"groups"`
	// Attachments are the uploaded files that are removed one by one:
	// attachmentsAll or attachmentsPerson.
	Attachments string `json:"attachments"`
	// Ground is why messages stay where Erase or Groups say so.
	Ground string `json:"ground"`
	// RestrictTag and ObjectTag are the keys of metadata that mark a user.
	RestrictTag string `json:"restrict_tag"`
	ObjectTag   string `json:"object_tag"`
}

// The policies.
const (
	eraseUser         = "user"                 // the user, clients and conversations
	erasePersonal     = "personal_information" // names, e-mail, metadata and channels; messages stay
	groupsOwn         = "own"                  // what the person wrote is deleted
	groupsKeep        = "keep"                 // what the person wrote stays
	attachmentsAll    = "all"                  // those that the company sent to the person, too
	attachmentsPerson = "person"               // those that the person sent
)

var (
	appForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	tagForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// check refuses what cannot work, in one sentence that names the key.
func (c config) check(system string) error {
	bad := func(format string, args ...any) error {
		return errs.New(errs.Invalid, "system %q: config."+format, append([]any{system}, args...)...)
	}
	one := func(key, value string, of ...string) error {
		if slices.Contains(of, value) {
			return nil
		}
		return bad("%s must be %s", key, strings.Join(of, " or "))
	}
	if !appForm.MatchString(c.AppID) {
		return bad("app_id must be the id of the app in Sunshine Conversations")
	}
	for _, err := range []error{
		one("erase", c.Erase, eraseUser, erasePersonal), one("groups", c.Groups, groupsOwn, groupsKeep),
		one("attachments", c.Attachments, attachmentsAll, attachmentsPerson),
	} {
		if err != nil {
			return err
		}
	}
	switch {
	case (c.Erase == erasePersonal || c.Groups == groupsKeep) && strings.TrimSpace(c.Ground) == "":
		return bad("ground must say why messages stay after an erasure, such as \"Art. 17(3)(e) GDPR\"")
	case !tagForm.MatchString(c.RestrictTag), !tagForm.MatchString(c.ObjectTag), c.RestrictTag == c.ObjectTag:
		return bad("restrict_tag and object_tag must be two keys of letters, digits, _ and -")
	case c.Support == system:
		return bad("support must name the system of kind zendesk-support")
	case slices.ContainsFunc(c.Brands, func(id string) bool { return !appForm.MatchString(id) }):
		return bad("brands must be ids of brands")
	}
	return nil
}

// Connector is one app of Sunshine Conversations.
type Connector struct {
	inventory connector.Inventory
	config    config
	api       *kit.Client
	now       func() time.Time
}

var (
	_ connector.Connector = (*Connector)(nil)
	_ connector.After     = (*Connector)(nil)
)

// codes are the vendor's error codes that may stand in an error text.
var codes = map[string]errs.Kind{
	"bad_request": "", "unauthorized": "", "forbidden": "", "not_found": "", "user_not_found": "", "conversation_not_found": "",
	"client_not_found": "", "conflict": "", "locked": "", "too_many_requests": "", "payload_too_large": "",
}

// code reads {"errors": [{"code": "…", "title": "…"}]}. A title quotes ids and
// addresses.
func code(a *kit.Answer) string {
	var body struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if a.JSON(&body) != nil || len(body.Errors) == 0 {
		return ""
	}
	return body.Errors[0].Code
}

// New returns a Connector; a configuration that cannot work is Invalid.
// The secret is an API key, {"client_id": "app_…", "client_secret": "…"}.
func New(o kit.System) (*Connector, error) {
	c := config{
		Verified: []string{"sso"}, Erase: eraseUser, Groups: groupsOwn, Attachments: attachmentsAll,
		RestrictTag: "avow_restricted", ObjectTag: "avow_objected",
	}
	if err := connector.Config(o.Inventory.System, o.Config, &c); err != nil {
		return nil, err
	}
	if err := c.check(o.Inventory.System); err != nil {
		return nil, err
	}
	options := o.Kit
	options.System, options.Base, options.AllowLocal = o.Inventory.System, c.BaseURL, c.AllowLocal
	options.Now, options.Transport, options.Codes, options.Code = o.Now, o.Transport, codes, code
	options.Login = kit.Basic{Read: kit.Secret(o.Inventory.System, o.Secret)}
	api, err := kit.New(options)
	if err != nil {
		return nil, err
	}
	return &Connector{inventory: complete(o.Inventory), config: c, api: api, now: o.Now}, nil
}

// complete adds what the vendor's documentation says to what the company says.
func complete(i connector.Inventory) connector.Inventory {
	return i.Complete(connector.Inventory{
		Does: []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object},
		Data: []connector.Category{{
			Name:      connector.Text{"en": "Profile, channels, devices, conversations, files", "fr": "Profil, canaux, appareils, conversations, fichiers"},
			Purpose:   connector.Text{"en": "Customer support by messaging", "fr": "Assistance à la clientèle par messagerie"},
			Retention: connector.Text{"en": "Until the user is deleted", "fr": "Jusqu'à la suppression de l'utilisateur"},
		}},
		Backups: connector.Text{
			"en": "Copies of deleted files may be served for up to 15 minutes.",
			"fr": "Des copies de fichiers supprimés peuvent rester accessibles jusqu'à 15 minutes.",
		},
	})
}

// Inventory implements connector.Connector.
func (c *Connector) Inventory() connector.Inventory { return c.inventory }

func (c *Connector) userID() identity.Kind { return identity.Kind(c.inventory.System + ".user_id") }

func (c *Connector) conversationID() identity.Kind {
	return identity.Kind(c.inventory.System + ".conversation_id")
}

// supportID is the id of a user in the Support of the same account; "" without.
func (c *Connector) supportID() identity.Kind {
	if c.config.Support == "" {
		return ""
	}
	return identity.Kind(c.config.Support + ".user_id")
}

// Identifiers implements connector.Connector. It yields its own ids only:
// Support, which is deleted after this system, must not be found by what is
// deleted before it.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) {
	yields = []identity.Kind{c.userID(), c.conversationID()}
	needs = append([]identity.Kind{identity.Email, identity.ExternalID}, yields...)
	if support := c.supportID(); support != "" {
		needs = append(needs, support)
	}
	return needs, yields
}

// After implements connector.After: Zendesk's order is chats, then
// conversations, then the user.
func (c *Connector) After() map[string]string {
	return map[string]string{"zendesk-chat": "Zendesk's order: chats before conversations"}
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
		return c.tag(ctx, call, c.config.RestrictTag)
	case connector.Object:
		return c.tag(ctx, call, c.config.ObjectTag)
	}
	return connector.Progress{}, errs.New(errs.Internal, "%s cannot %s", Kind, call.Operation)
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

// soon is the pause before the next part of a long operation: only so long that
// one invocation does not do everything.
const soon = time.Second
