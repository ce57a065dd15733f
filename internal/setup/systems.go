package setup

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/cache"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/genesys"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/connector/manual"
	"github.com/avow-consent/avow/internal/connector/refdesk"
	"github.com/avow-consent/avow/internal/connector/salesforce"
	"github.com/avow-consent/avow/internal/connector/whatsapp"
	"github.com/avow-consent/avow/internal/connector/zendeskchat"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging"
	"github.com/avow-consent/avow/internal/connector/zendesksupport"
	"github.com/avow-consent/avow/internal/connector/zoom"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/settings"
)

// ConfigTTL is how long an instance remembers systems.json and the systems'
// credentials: a change takes effect everywhere within this time.
const ConfigTTL = 30 * time.Second

// configured is what a Base remembers of the configuration.
type configured struct {
	mu       sync.Mutex
	text     []byte
	read     time.Time
	settings *settings.Settings
	secrets  *cache.Cache[string, []byte]

	of      *settings.Settings // what systems were built from
	systems []request.System
}

// Settings are systems.json as it was at most ConfigTTL ago. They are shared: do
// not change them. As long as the text is the same, so is the pointer. A text
// that is refused is Internal; while Secrets Manager does not answer, the last
// settings hold.
func (b *Base) Settings(ctx context.Context) (*settings.Settings, error) {
	c := &b.configured
	c.mu.Lock()
	defer c.mu.Unlock()
	return b.load(ctx, settings.Parse)
}

// Terms are Settings for a function that writes no letters, and is smaller for
// it (settings.ParseTerms). A function uses one of the two.
func (b *Base) Terms(ctx context.Context) (*settings.Settings, error) {
	c := &b.configured
	c.mu.Lock()
	defer c.mu.Unlock()
	return b.load(ctx, settings.ParseTerms)
}

func (b *Base) load(ctx context.Context, parse func([]byte) (*settings.Settings, error)) (*settings.Settings, error) {
	c := &b.configured
	if c.settings != nil && b.Now().Before(c.read.Add(ConfigTTL)) {
		return c.settings, nil
	}
	names, err := b.Require("SYSTEMS_SECRET")
	if err != nil {
		return nil, err
	}
	text, err := secret.NewStore(b.Config).Value(ctx, names[0])
	if errs.Is(err, errs.Unavailable) && c.settings != nil {
		return c.settings, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading systems.json: %w", err)
	}
	if c.settings == nil || !bytes.Equal(text, c.text) {
		s, err := parse(text)
		if err != nil {
			return nil, errs.Wrap(errs.Internal, err, "the configuration is refused: %s", errs.MessageOf(err))
		}
		for _, warning := range s.Warnings(b.Now()) {
			cmp.Or(b.Log, slog.Default()).WarnContext(ctx, "systems.json", "warning", warning)
		}
		c.settings, c.text = s, text
	}
	c.read = b.Now()
	return c.settings, nil
}

// SystemOptions are what connectors are made of that the environment does not
// say.
type SystemOptions struct {
	// Ledger makes the connector of Avow's own ledger. It is needed.
	Ledger func(connector.Inventory, *settings.Settings) (connector.Connector, error)
	// Chats is the table of messages, of which a WhatsApp number is made; nil where
	// systems.json is only checked.
	Chats func() (whatsapp.Store, *pseudonym.Hasher)
	// Transport carries the calls to vendors; nil is a guarded one per vendor.
	Transport http.RoundTripper
}

// Systems are the configured systems with their connectors, the ledger first.
// They are built anew when systems.json has changed, and only then, so that a
// token that was fetched serves as long as it is good. Credentials are read when
// they are needed and forgotten after ConfigTTL.
func (b *Base) Systems(ctx context.Context, o SystemOptions) ([]request.System, error) {
	c := &b.configured
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := b.load(ctx, settings.Parse)
	if err != nil {
		return nil, err
	}
	if c.of == s {
		return c.systems, nil
	}
	var list []request.System
	for _, one := range s.Systems {
		built, err := b.built(o, one, s)
		if err != nil {
			return nil, errs.Wrap(errs.Internal, err, "the configuration is refused: %s", errs.MessageOf(err))
		}
		list = append(list, request.System{Name: one.Name, Connector: built, DryRun: one.DryRun, Retrieval: one.Retrieval, Marks: one.Marks})
	}
	c.systems, c.of = list, s
	return list, nil
}

// built makes the connector of one system, whose flags must exist.
func (b *Base) built(o SystemOptions, one settings.System, s *settings.Settings) (connector.Connector, error) {
	c, err := b.build(o, one, s)
	if err != nil {
		return nil, err
	}
	return c, checkMarks(one, c)
}

// build makes the connector of one system.
func (b *Base) build(o SystemOptions, one settings.System, s *settings.Settings) (connector.Connector, error) {
	switch one.Kind {
	case settings.Ledger:
		one.Region = cmp.Or(one.Region, b.Config.Region)
		return o.Ledger(one.Inventory(), s)
	case settings.Manual:
		return manual.New(one.Inventory(), one.Config)
	}
	system := kit.System{
		Inventory: one.Inventory(), Config: one.Config, Secret: b.credentials(one), Now: b.Now, Transport: o.Transport,
		Kit: kit.Options{Sleep: b.Pause},
	}
	if one.Kind == whatsapp.Kind {
		var store whatsapp.Store
		var hasher *pseudonym.Hasher
		if o.Chats != nil {
			store, hasher = o.Chats()
		}
		return vendor(func(s kit.System) (*whatsapp.Connector, error) { return whatsapp.New(s, store, hasher) })(system)
	}
	build := vendors[one.Kind]
	if build == nil {
		return nil, errs.New(errs.Internal, "system %q: there is no connector of kind %q", one.Name, one.Kind)
	}
	return build(system)
}

// checkMarks: the flags that are to follow answers must exist.
func checkMarks(one settings.System, c connector.Connector) error {
	marker, ok := c.(connector.Marker)
	for _, flag := range slices.Sorted(maps.Keys(one.Marks)) {
		if !ok {
			return errs.New(errs.Invalid, "system %q: marks is set, but a system of kind %q has no flags", one.Name, one.Kind)
		}
		if err := marker.CheckMark(flag); err != nil {
			return errs.Wrap(errs.Invalid, err, "system %q: marks: %s", one.Name, errs.MessageOf(err))
		}
	}
	return nil
}

// vendors are the connectors that speak HTTP.
var vendors = map[string]func(kit.System) (connector.Connector, error){
	genesys.Kind:          vendor(genesys.New),
	refdesk.Kind:          vendor(refdesk.New),
	salesforce.Kind:       vendor(salesforce.New),
	zendeskchat.Kind:      vendor(zendeskchat.New),
	zendeskmessaging.Kind: vendor(zendeskmessaging.New),
	zendesksupport.Kind:   vendor(zendesksupport.New),
	zoom.Kind:             vendor(zoom.New),
}

func vendor[C connector.Connector](build func(kit.System) (C, error)) func(kit.System) (connector.Connector, error) {
	return func(s kit.System) (connector.Connector, error) { // a nil C would be a connector.Connector
		c, err := build(s)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
}

// CheckSystems judges a systems.json the way a function does when it starts,
// the connectors' own settings included, without asking any system.
func CheckSystems(text []byte, now time.Time) (warnings []string, err error) {
	s, err := settings.Parse(text)
	if err != nil {
		return nil, err
	}
	b := &Base{Now: func() time.Time { return now }}
	o := SystemOptions{Ledger: func(connector.Inventory, *settings.Settings) (connector.Connector, error) { return nil, nil }}
	for _, one := range s.Systems {
		if _, err := b.built(o, one, s); err != nil {
			return nil, errs.Wrap(errs.Invalid, err, "systems.json: %s", errs.MessageOf(err))
		}
	}
	return s.Warnings(now), nil
}

// credentials reads a system's own secret when it is needed.
func (b *Base) credentials(one settings.System) func(ctx context.Context) ([]byte, error) {
	c := &b.configured
	if c.secrets == nil {
		c.secrets = cache.New[string, []byte](settings.MaxSystems, ConfigTTL, b.Now)
	}
	return func(ctx context.Context) ([]byte, error) {
		names, err := b.Require("SYSTEM_SECRET_PREFIX")
		if err != nil {
			return nil, err
		}
		name := names[0] + one.Secret
		if value, ok := c.secrets.Get(name); ok {
			return value, nil
		}
		value, err := secret.NewStore(b.Config).Value(ctx, name)
		if errs.Is(err, errs.NotFound) {
			return nil, errs.New(errs.Internal, "system %q: there is no secret %q", one.Name, name)
		}
		if err != nil {
			return nil, err
		}
		c.secrets.Put(name, value)
		return value, nil
	}
}
