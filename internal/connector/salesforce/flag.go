package salesforce

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
)

// The flags of a contact or lead, and those of an Individual for an objection
// (Art. 21) and for a restriction (Art. 18).
var (
	flags         = []string{"HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"}
	objectFlags   = []string{"HasOptedOutSolicit", "HasOptedOutProfiling", "HasOptedOutTracking", "HasOptedOutGeoTracking"}
	restrictFlags = []string{"HasOptedOutSolicit", "HasOptedOutProfiling", "HasOptedOutTracking", "HasOptedOutGeoTracking", "HasOptedOutProcessing"}
)

func set(names []string) map[string]any {
	body := map[string]any{}
	for _, name := range names {
		body[name] = true
	}
	return body
}

// flag sets the flags of the person's contacts, leads and Individuals. A contact
// without an Individual gets one.
func (c *Connector) flag(ctx context.Context, call connector.Call, p person) (connector.Progress, error) {
	progress := connector.Progress{Done: true, Counts: map[string]int{}}
	individual := objectFlags
	if call.Operation == connector.Restrict {
		individual = restrictFlags
	}
	if err := p.bounded(c.inventory.System); err != nil {
		return connector.Progress{}, err
	}
	behind := slices.Clone(p.individuals)
	for _, r := range c.searched() {
		for _, id := range *r.ids(&p) {
			of, err := c.flagRecord(ctx, call, r, id, individual, behind, &progress)
			if err != nil {
				return connector.Progress{}, err
			}
			if of != "" && !slices.Contains(behind, of) {
				behind = append(behind, of)
			}
		}
	}
	if !c.config.Individuals {
		return progress, nil
	}
	for _, id := range behind {
		applied, err := c.patch(ctx, "Individual", id, set(individual))
		if err != nil {
			return connector.Progress{}, err
		}
		if applied {
			progress.Counts["individuals"]++
			progress.Evidence = append(progress.Evidence, said(call.Now, "PATCH /sobjects/Individual/{id}", "204, "+strings.Join(individual, ", ")))
		}
	}
	return progress, nil
}

// flagRecord sets the flags of one record and gives the Individual behind it. A
// converted lead has passed its own on to the contact.
func (c *Connector) flagRecord(ctx context.Context, call connector.Call, r root, id string, individual []string, behind []string, progress *connector.Progress) (string, error) {
	found, err := c.record(ctx, r.object, id)
	if err != nil || found == nil || found.flag("IsConverted") {
		return "", err
	}
	body := set(flags)
	of := found.text("IndividualId")
	switch {
	case of != "" || !c.config.Individuals:
		_, err = c.patch(ctx, r.object, id, body)
	case len(behind) > 0: // the person's other record has one
		of = behind[0]
		body["IndividualId"] = of
		_, err = c.patch(ctx, r.object, id, body)
	default:
		of, err = c.createIndividual(ctx, r, found, body, individual)
	}
	if err != nil {
		return "", err
	}
	progress.Counts[strings.ToLower(r.object)+"s"]++
	progress.Evidence = append(progress.Evidence, said(call.Now, fmt.Sprintf("PATCH /sobjects/%s/{id}", r.object), "204, "+strings.Join(flags, ", ")))
	return of, nil
}

// createIndividual makes the Individual of a record that has none, and sets the
// flags of both: all in one, or nothing. A repetition after a lost answer finds
// that the record has one.
func (c *Connector) createIndividual(ctx context.Context, r root, found row, body map[string]any, individual []string) (id string, err error) {
	made := set(individual)
	made["LastName"] = found.text("LastName")
	if first := found.text("FirstName"); first != "" {
		made["FirstName"] = first
	}
	linked := maps.Clone(body)
	linked["IndividualId"] = "@{individual.id}"
	err = c.composite(ctx, []map[string]any{
		{"method": "POST", "url": c.link("sobjects", "Individual"), "referenceId": "individual", "body": made},
		{"method": "PATCH", "url": c.link("sobjects", r.object, found.text("Id")), "referenceId": "record", "body": linked},
	})
	if err != nil {
		return "", err
	}
	now, err := c.record(ctx, r.object, found.text("Id"))
	return now.text("IndividualId"), err
}
