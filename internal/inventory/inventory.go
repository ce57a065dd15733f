// Package inventory is the controller's record of processing (Art. 30 GDPR): the
// same inventories of systems that packages show, put together, written as a
// table that can be handed to an authority, and compared with the privacy notice
// that is in force.
package inventory

import (
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/request"
)

// Record is the record of processing at one moment. It holds no data of any
// subject.
type Record struct {
	At         time.Time             `json:"at"`
	Controller Controller            `json:"controller"`
	Systems    []connector.Inventory `json:"systems"`
	Flows      []Flow                `json:"flows"`
	Missing    []Missing             `json:"missing"` // what nobody has stated
}

// Controller is who answers for the processing (Art. 30(1)(a)).
type Controller struct {
	Name    string          `json:"name"`
	Address string          `json:"address"`
	DPO     request.Contact `json:"dpo"`
}

// Flow is personal data that one system hands to another.
type Flow struct {
	From string         `json:"from"` // name of the system
	To   string         `json:"to"`   // name of the system; its kind where none of that kind is configured
	Data connector.Text `json:"data"`
}

// Missing is something that a category of data of a system does not say.
type Missing struct {
	System string         `json:"system"`
	Field  Field          `json:"field"`
	Data   connector.Text `json:"data"` // name of the category
}

// New puts a record together, its systems in the order of the configuration.
func New(c request.Controller, systems []connector.Inventory, at time.Time) Record {
	r := Record{
		At: at.UTC().Truncate(time.Second), Controller: Controller{c.Name, c.Address, c.DPO}, Systems: systems, Flows: []Flow{}, Missing: []Missing{},
	}
	for _, from := range systems {
		for _, f := range from.Flows {
			r.Flows = append(r.Flows, flows(from.System, f, systems)...)
		}
		for _, d := range from.Data {
			if len(d.Basis) == 0 {
				r.Missing = append(r.Missing, Missing{from.System, Basis, d.Name})
			}
		}
	}
	return r
}

// flows are those to each configured system of the kind.
func flows(from string, f connector.Flow, systems []connector.Inventory) []Flow {
	var list []Flow
	for _, to := range systems {
		if to.Kind == f.To && to.System != from {
			list = append(list, Flow{from, to.System, f.Data})
		}
	}
	if len(list) == 0 {
		list = append(list, Flow{from, f.To, f.Data})
	}
	return slices.Clip(list)
}
