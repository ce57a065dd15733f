// Package manual is the connector of systems that no API reaches: an archive on
// paper, an inbox that only its own dashboard can empty. Every operation becomes
// a task for a person, with the company's own instructions; what shows that it
// was done is the document that the person uploads.
package manual

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Kind is the connector's name in systems.json.
const Kind = "manual"

// config is what systems.json may say in "config".
type config struct {
	// Language of the people who work on tasks; "en".
	Language string `json:"language"`
	// Operations have instructions of the company's own, by language.
	Operations map[connector.Operation]task `json:"operations"`
	// Identifiers under which people are looked for; e-mail and name.
	Identifiers []identity.Kind `json:"identifiers"`
	// After names systems, or kinds of system, that must be erased before this
	// one, each with the reason.
	After map[string]string `json:"after"`
}

type task struct {
	Instructions connector.Text `json:"instructions"`
}

// Connector is a system that people work on.
type Connector struct {
	inventory connector.Inventory
	config    config
}

var (
	_ connector.Connector = (*Connector)(nil)
	_ connector.After     = (*Connector)(nil)
)

// New returns a Connector; a configuration that cannot work is Invalid.
func New(inventory connector.Inventory, text json.RawMessage) (*Connector, error) {
	c := config{Language: "en", Identifiers: []identity.Kind{identity.Email, identity.Name}}
	if err := connector.Config(inventory.System, text, &c); err != nil {
		return nil, err
	}
	for _, op := range slices.Sorted(maps.Keys(c.Operations)) {
		if _, known := usual[op]; !known {
			return nil, errs.New(errs.Invalid, "system %q: config.operations has an unknown operation %q", inventory.System, op)
		}
		if strings.TrimSpace(c.Operations[op].Instructions.In(c.Language)) == "" {
			return nil, errs.New(errs.Invalid, "system %q: config.operations.%s has no instructions", inventory.System, op)
		}
	}
	if len(c.Identifiers) == 0 {
		return nil, errs.New(errs.Invalid, "system %q: config.identifiers is empty: nobody could be found", inventory.System)
	}
	return &Connector{inventory: inventory.Complete(connector.Inventory{}), config: c}, nil
}

// Inventory implements connector.Connector. It can do nothing by itself.
func (c *Connector) Inventory() connector.Inventory { return c.inventory }

// Identifiers implements connector.Connector.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) { return c.config.Identifiers, nil }

// After implements connector.After.
func (c *Connector) After() map[string]string { return c.config.After }

// Locate implements connector.Connector: nobody is asked before the plan is
// approved, and the plan says so.
func (c *Connector) Locate(context.Context, connector.Subject) (connector.Findings, error) {
	return connector.Findings{Notes: []string{"nobody has looked yet: a person works on this system by hand"}}, nil
}

// Start implements connector.Connector: it asks a person.
func (c *Connector) Start(_ context.Context, call connector.Call) (connector.Progress, error) {
	words, ok := usual[call.Operation]
	if !ok {
		return connector.Progress{}, errs.New(errs.Internal, "nobody knows how to %s", call.Operation)
	}
	instructions := words.instructions.In(c.config.Language)
	if own := c.config.Operations[call.Operation].Instructions; len(own) > 0 {
		instructions = own.In(c.config.Language)
	}
	return connector.Progress{Ask: &connector.Ask{Reason: words.reason.In(c.config.Language), Instructions: instructions}}, nil
}

// Poll implements connector.Connector.
func (c *Connector) Poll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	return c.Start(ctx, call)
}

// Verify implements connector.Connector: there is nothing that Avow could look
// at. The evidence is what the person has uploaded.
func (c *Connector) Verify(context.Context, connector.Call) (connector.Residue, error) {
	return connector.Residue{}, nil
}
