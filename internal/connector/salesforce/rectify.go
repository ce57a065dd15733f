package salesforce

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// names are the fields of Salesforce that a field of a correction may mean.
var names = map[string][]string{
	"email":      {"Email", "EmailAddress"},
	"phone":      {"Phone", "MobilePhone", "HomePhone", "OtherPhone", "TelephoneNumber"},
	"first_name": {"FirstName"}, "given_name": {"FirstName"}, "last_name": {"LastName"}, "family_name": {"LastName"},
	"birthdate": {"Birthdate"}, "job_title": {"Title"}, "company": {"Company"},
	"street": {"MailingStreet", "Street"}, "city": {"MailingCity", "City"}, "postal_code": {"MailingPostalCode", "PostalCode"}, "country": {"MailingCountry", "Country"},
}

// apiName is a field by its name in Salesforce, which a correction may give, too.
var apiName = regexp.MustCompile(`^[A-Z][A-Za-z0-9_]{0,79}$`)

// protected are fields that no correction is about.
var protected = []string{"Id", "OwnerId", "IsDeleted", "IndividualId", "AccountId"}

func fieldsOf(name string) []string {
	if list, ok := names[name]; ok {
		return list
	}
	if apiName.MatchString(name) && !slices.Contains(protected, name) {
		return []string{name}
	}
	return nil
}

// rectified are the objects in which a correction looks for the old value.
var rectified = []string{"Contact", "Lead", "Individual", "ContactPointEmail", "ContactPointPhone", "ContactPointAddress"}

// rectify corrects the person's records: a field where it has the old value, so
// that a repetition finds nothing to do. A converted lead cannot be corrected;
// the contact that it has become is.
func (c *Connector) rectify(ctx context.Context, call connector.Call, p person) (connector.Progress, error) {
	progress := connector.Progress{Done: true, Counts: map[string]int{}}
	met := make([]bool, len(call.Changes))
	for _, o := range c.objects {
		if !slices.Contains(rectified, o.name) {
			continue
		}
		ids, next, err := c.ids(ctx, o, p, "", perRead, false)
		if err != nil {
			return connector.Progress{}, err
		}
		if next != "" {
			return connector.Progress{Ask: &connector.Ask{Reason: "the person has very many records", Instructions: "Correct the person's records of " + o.name + " in Salesforce."}}, nil
		}
		for _, id := range ids {
			if err := c.correct(ctx, call, o, id, met, &progress); err != nil {
				return connector.Progress{}, err
			}
		}
	}
	if slices.Contains(met, false) && !call.Again {
		progress.Done, progress.Ask = false, &connector.Ask{
			Reason:       "a value that is to be corrected stands in no field of the person's records that the connector may change",
			Instructions: "Look for the old value in the person's contact, lead and related records in Salesforce, and correct it there. Names in one field, and notes, are not corrected by the connector.",
		}
	}
	return progress, nil
}

func (c *Connector) correct(ctx context.Context, call connector.Call, o object, id string, met []bool, progress *connector.Progress) error {
	r, err := c.record(ctx, o.name, id)
	if err != nil || r == nil || r.flag("IsConverted") {
		return err
	}
	body := map[string]any{}
	done := false
	for i, change := range call.Changes {
		for _, name := range fieldsOf(change.Field) {
			have, ok := r[name]
			text, isText := have.(string)
			switch {
			case !ok || have != nil && !isText:
			case text == change.New.Reveal():
				met[i], done = true, true
			case same(change.Field, text, change.Old):
				met[i] = true
				body[name] = change.New.Reveal()
			}
			if ok && change.Old.Reveal() == "" {
				break // an addition goes into one field
			}
		}
	}
	if len(body) == 0 {
		if done && call.Again {
			progress.Counts[o.count]++
		}
		return nil
	}
	applied, err := c.patch(ctx, o.name, id, body)
	if err != nil || !applied {
		return err
	}
	progress.Counts[o.count]++
	progress.Evidence = append(progress.Evidence, said(call.Now, "PATCH /sobjects/"+o.name+"/{id}", "204"))
	return nil
}

// same reports whether a field has the old value, however it is written. An
// addition goes into an empty field.
func same(field, have string, old redact.String) bool {
	if strings.TrimSpace(old.Reveal()) == "" {
		return strings.TrimSpace(have) == ""
	}
	switch field {
	case "email", "Email":
		a, ok := identity.NormalizeEmail(have)
		b, ok2 := identity.NormalizeEmail(old.Reveal())
		return ok && ok2 && a == b
	case "phone", "Phone", "MobilePhone":
		return samePhone(have, old.Reveal())
	}
	return identity.Fold(strings.TrimSpace(have)) == identity.Fold(strings.TrimSpace(old.Reveal()))
}
