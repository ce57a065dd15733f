package setup

import (
	"context"
	"strconv"
	"sync"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/connector/whatsapp"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/site"
)

// Chats is what functions are made of that take part in chats.
type Chats struct {
	Base   *Base
	Store  *dynamo.Messages
	Events *dynamo.Events
	People *consent.People
	Ledger *consent.Recorder
	Sites  *site.Directory
	Hasher *pseudonym.Hasher
	Queue  chat.Queue

	mu      sync.Mutex
	of      *settings.Settings // what clients were made of
	clients map[string]*whatsapp.Client
}

var _ whatsapp.Senders = (*Chats)(nil)

// Chats builds it from the environment of a function.
func (b *Base) Chats(ctx context.Context) (*Chats, error) {
	env, err := b.Require("EVENTS_TABLE", "SITES_TABLE", "MESSAGES_TABLE", "OUTBOX_TABLE", "CONTENT_INLINE_BYTES")
	if err != nil {
		return nil, err
	}
	inline, err := strconv.Atoi(env[4])
	if err != nil {
		return nil, errs.New(errs.Internal, "CONTENT_INLINE_BYTES must be a number of bytes")
	}
	hasher, err := b.Hasher(ctx)
	if err != nil {
		return nil, err
	}
	events := dynamo.NewEvents(b.Config, env[0])
	people := consent.NewPeople(events, hasher)
	return &Chats{
		Base: b, Events: events, People: people, Hasher: hasher, Store: dynamo.NewMessages(b.Config, env[2], b.Now),
		Sites: site.NewDirectory(dynamo.NewSites(b.Config, env[1]), secret.NewStore(b.Config), b.Now),
		Queue: chat.Queue{Store: dynamo.NewOutbox(b.Config, env[3]), Now: b.Now},
		// Forms and large proofs never come this way: a message is the proof, and it is short.
		Ledger: consent.NewRecorder(consent.Options{Ledger: events, People: people, Hasher: hasher, Now: b.Now, NewID: b.NewID, Inline: inline}),
	}, nil
}

// Desk acts on what comes from the platform.
func (c *Chats) Desk() *chat.Desk {
	return &chat.Desk{Store: c.Store, Ledger: c.Ledger, Events: c.Events, People: c.People, Outbox: c.Queue, Hasher: c.Hasher, Now: c.Base.Now}
}

// Sender implements whatsapp.Senders.
func (c *Chats) Sender(ctx context.Context, system string) (*whatsapp.Sender, error) {
	return c.sender(ctx, func(one settings.System, _ whatsapp.Config) bool { return one.Name == system })
}

// SenderOf implements whatsapp.Senders.
func (c *Chats) SenderOf(ctx context.Context, site string) (*whatsapp.Sender, error) {
	return c.sender(ctx, func(_ settings.System, config whatsapp.Config) bool { return config.Site == site })
}

// sender makes the sender of the first number that is wanted, as configured at
// this moment.
func (c *Chats) sender(ctx context.Context, wanted func(settings.System, whatsapp.Config) bool) (*whatsapp.Sender, error) {
	terms, err := c.Base.Settings(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range terms.Systems {
		if one.Kind != whatsapp.Kind {
			continue
		}
		config, err := whatsapp.ParseConfig(one.Name, one.Config)
		if err != nil {
			return nil, errs.Wrap(errs.Internal, err, "the configuration is refused: %s", errs.MessageOf(err))
		}
		if !wanted(one, config) {
			continue
		}
		line, err := LineOf(ctx, c.Sites, one)
		if err != nil {
			return nil, err
		}
		client, err := c.client(terms, one)
		if err != nil {
			return nil, err
		}
		return &whatsapp.Sender{
			Client: client, Line: line, Company: terms.Controller.Name, Store: c.Store, People: c.People, Events: c.Events, Refuse: c.Desk().OptedOut,
			Hasher: c.Hasher, Now: c.Base.Now, NewID: c.Base.NewID,
		}, nil
	}
	return nil, errs.New(errs.NotFound, "systems.json names no such number")
}

// client is kept as long as systems.json is the same.
func (c *Chats) client(terms *settings.Settings, one settings.System) (*whatsapp.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of != terms {
		c.of, c.clients = terms, map[string]*whatsapp.Client{}
	}
	if client := c.clients[one.Name]; client != nil {
		return client, nil
	}
	client, err := whatsapp.NewClient(kit.System{
		Inventory: one.Inventory(), Config: one.Config, Secret: c.Base.secretOf(one), Now: c.Base.Now, Transport: c.Base.Vendors, Kit: kit.Options{Sleep: c.Base.Pause},
	})
	if err == nil {
		c.clients[one.Name] = client
	}
	return client, err
}
