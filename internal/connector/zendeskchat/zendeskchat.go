// Package zendeskchat is the connector of Zendesk Chat: the transcripts of live
// chats and the messages left while nobody was there.
//
// Chat has no record of a person: each chat carries what its visitor has typed.
// A person's chats are those with their e-mail, and those whose id another
// record of theirs names. docs/connectors/zendesk-chat.md is the manual.
package zendeskchat

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Kind is the connector's name in systems.json.
const Kind = "zendesk-chat"

// config is what systems.json may say in "config".
type config struct {
	BaseURL string `json:"base_url"` // https://example.zendesk.com; https://www.zopim.com for stand-alone accounts
	// Path of the API below base_url. "": the one of paths that answers.
	Path string `json:"path"`
	// TokenPath of the OAuth endpoint below base_url.
	TokenPath string `json:"token_path"`
	Scope     string `json:"scope"`
	// Support is the name of the system of kind zendesk-support, whose tickets
	// name chats.
	Support string `json:"support"`
	// AgentChats is what becomes of transcripts when an agent is erased: "ask",
	// "keep" or "delete". They are other people's.
	AgentChats string `json:"agent_chats"`
	// Fields of the search by what they hold; "" searches the whole text.
	Fields map[string]string `json:"fields"`
	// TagsSuffice: triggers and exports of the company act on the tags of
	// restricted and objected chats, so that nobody has to be asked.
	TagsSuffice bool `json:"tags_suffice"`
	PerMinute   int  `json:"per_minute"`  // calls of one endpoint that Zendesk allows
	AllowLocal  bool `json:"allow_local"` // base_url is on this machine: for the fake
}

// What becomes of transcripts when an agent is erased.
const (
	agentAsk    = "ask"
	agentKeep   = "keep"
	agentDelete = "delete"
)

// paths are where the API may be: of accounts that were made in Support, and of
// older ones.
var paths = []string{"/api/v2/chat", "/api/v2"}

// perMinute is Zendesk's limit on each endpoint, as integrators report it.
const perMinute = 200

// Connector is one Zendesk Chat account.
type Connector struct {
	inventory connector.Inventory
	config    config
	now       func() time.Time
	clients   []*kit.Client // one for each path that may be it

	mu  sync.Mutex
	api *kit.Client // the one that has answered
}

var _ connector.Connector = (*Connector)(nil)

// New returns a Connector; a configuration that cannot work is Invalid.
// The secret is that of a Chat OAuth client, {"client_id": "…",
// "client_secret": "…"}: clients of Zendesk Support are others.
func New(o kit.System) (*Connector, error) {
	c, err := parseConfig(o.Inventory.System, o.Config)
	if err != nil {
		return nil, err
	}
	options := o.Kit
	options.System, options.Base, options.AllowLocal = o.Inventory.System, strings.TrimSuffix(c.BaseURL, "/"), c.AllowLocal
	options.Now, options.Transport, options.Codes = o.Now, o.Transport, codes
	door, err := kit.New(options)
	if err != nil {
		return nil, err
	}
	base := options.Base
	options.Login = login{
		Tokens: kit.ClientCredentials(door, kit.To(c.TokenPath), c.Scope, kit.Secret(o.Inventory.System, o.Secret)), system: o.Inventory.System,
	}
	made := &Connector{inventory: complete(o.Inventory), config: c, now: o.Now}
	tried := paths
	if c.Path != "" {
		tried = []string{c.Path}
	}
	for _, path := range tried {
		options.Base = base + path
		client, err := kit.New(options)
		if err != nil {
			return nil, err
		}
		made.clients = append(made.clients, client)
	}
	return made, nil
}

func parseConfig(system string, text json.RawMessage) (config, error) {
	c := config{Scope: "read write", AgentChats: agentAsk, PerMinute: perMinute}
	if err := connector.Config(system, text, &c); err != nil {
		return c, err
	}
	refuse := func(what string) (config, error) {
		return c, errs.New(errs.Invalid, "system %q: config.%s", system, what)
	}
	fields := maps.Clone(usualFields)
	for name, field := range c.Fields {
		if _, known := usualFields[name]; !known || strings.ContainsFunc(field, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) {
			return refuse("fields may set email, name, phone and agent to the name of a field of the search")
		}
		fields[name] = field
	}
	c.Fields = fields
	c.TokenPath = cmp.Or(c.TokenPath, tokenPath(c.BaseURL))
	switch {
	case c.Path != "" && !pathForm(c.Path):
		return refuse("path must be a path such as /api/v2/chat")
	case !pathForm(c.TokenPath):
		return refuse("token_path must be a path such as /oauth2/chat/token")
	case !slices.Contains([]string{agentAsk, agentKeep, agentDelete}, c.AgentChats):
		return refuse("agent_chats must be ask, keep or delete")
	case c.PerMinute < 1:
		return refuse("per_minute must be at least 1")
	}
	return c, nil
}

func pathForm(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.HasSuffix(path, "/") && !strings.ContainsAny(path, "?#{}%\\ ") && !strings.Contains(path, "//") && !strings.Contains(path, "..")
}

// tokenPath is where a token is given: stand-alone accounts have an address of
// their own.
func tokenPath(base string) string {
	if u, err := url.Parse(base); err == nil && (u.Hostname() == "zopim.com" || strings.HasSuffix(u.Hostname(), ".zopim.com")) {
		return "/oauth2/token"
	}
	return "/oauth2/chat/token"
}

// complete adds what the vendor's documentation says to what the company says.
// Whether Art. 20 covers chats stays with the company: Zendesk does portability,
// and the details of a person, through Support.
func complete(i connector.Inventory) connector.Inventory {
	return i.Complete(connector.Inventory{
		Does: []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object},
		Data: []connector.Category{{
			Name: connector.Text{
				"en": "Chat transcripts with attachments, name, e-mail, telephone, IP address, browser, pages visited, rating",
				"fr": "Transcriptions de chat avec pièces jointes, nom, e-mail, téléphone, adresse IP, navigateur, pages visitées, évaluation",
			},
			Purpose:   connector.Text{"en": "Customer support by chat", "fr": "Assistance à la clientèle par chat"},
			Retention: connector.Text{"en": "Until the chat is deleted", "fr": "Jusqu'à la suppression du chat"},
		}},
		Source: connector.Text{"en": "The person, in the chat; their browser", "fr": "La personne, dans le chat ; son navigateur"},
	})
}

// Inventory implements connector.Connector.
func (c *Connector) Inventory() connector.Inventory { return c.inventory }

// own is a kind of id of this account, not of another one at Zendesk.
func (c *Connector) own(what string) identity.Kind {
	return identity.Kind(c.inventory.System + "." + what)
}

// chatKinds are the kinds under which the id of a chat may be known: by this
// system, by the request that was made in the chat, by a ticket of Support.
func (c *Connector) chatKinds() []identity.Kind {
	kinds := []identity.Kind{c.own("chat_id"), identity.ChatID}
	if c.config.Support != "" {
		kinds = append(kinds, identity.Kind(c.config.Support+".chat_id"))
	}
	return kinds
}

// Identifiers implements connector.Connector.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) {
	needs = append([]identity.Kind{identity.Email, identity.Name, identity.Phone, c.own("agent_id"), c.own("agent_name")}, c.chatKinds()...)
	return needs, []identity.Kind{c.own("chat_id"), c.own("agent_id"), c.own("agent_name"), identity.Email}
}

// Start implements connector.Connector.
func (c *Connector) Start(ctx context.Context, call connector.Call) (connector.Progress, error) {
	call.Handle = ""
	return c.Poll(ctx, call)
}

// Poll implements connector.Connector. Every operation is a walk over the
// person's chats.
func (c *Connector) Poll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	if call.Subject.Agent {
		return c.agentPoll(ctx, call)
	}
	switch call.Operation {
	case connector.Export:
		return c.walk(ctx, call, c.exporting(call))
	case connector.Erase:
		return c.walk(ctx, call, c.erasing())
	case connector.Rectify:
		return c.walk(ctx, call, c.rectifying(call))
	case connector.Restrict:
		return c.walk(ctx, call, c.tagging("avow-restricted"))
	case connector.Object:
		return c.walk(ctx, call, c.tagging("avow-objected"))
	}
	return connector.Progress{}, errs.New(errs.Internal, "zendesk-chat cannot %s", call.Operation)
}
