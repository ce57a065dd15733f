package zendeskmessaging

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// maxMetadata is how many bytes of metadata the vendor takes.
const maxMetadata = 4 << 10

// update is the body of PATCH /users/{id}. The contract does not say whether
// what is not named stays, so that everything is named.
type update struct {
	Profile  *profile       `json:"profile,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

// patch writes to a user. It may be repeated: it names the whole outcome.
func (c *Connector) patch(ctx context.Context, id string, body update) error {
	if text, err := json.Marshal(body.Metadata); err != nil || len(text) > maxMetadata {
		return errs.New(errs.Conflict, "%s: the user's metadata has no room for more: shorten it", c.inventory.System)
	}
	_, err := c.api.Do(ctx, kit.Call{Method: http.MethodPatch, Route: c.to("/users/{id}", id), Body: body, Repeatable: true})
	return err
}

// metadataField is what the name of a field of metadata begins with.
const metadataField = "metadata."

// field is where a field that can be rectified stands; nil for no such field.
func (p *profile) field(name string) **string {
	switch name {
	case "first_name":
		return &p.GivenName
	case "last_name":
		return &p.Surname
	case "email":
		return &p.Email
	case "language":
		return &p.Locale
	}
	return nil
}

// rectify corrects profiles and metadata. Only a field that has the old value is
// changed, so that a repetition finds nothing to do; what it finds done by the
// attempt before it counts. Identities are read-only: the e-mail there is
// corrected in Support, by a person.
func (c *Connector) rectify(ctx context.Context, call connector.Call) (connector.Progress, error) {
	progress := connector.Progress{Done: true, Counts: map[string]int{}}
	fixed := false // an identity that only Support corrects
	for _, id := range c.users(call.Subject) {
		u, err := c.user(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil {
			continue
		}
		fixed = fixed || u.identified(call.Changes)
		changed, done := u.correct(call.Changes)
		if changed {
			if err := c.patch(ctx, id, update{Profile: &u.Profile, Metadata: u.Metadata}); err != nil {
				return connector.Progress{}, err
			}
			progress.Evidence = append(progress.Evidence, connector.Evidence{At: call.Now, Call: "PATCH /users/{id}", Answer: "200"})
		}
		if changed || call.Again && done {
			progress.Counts["users"]++
		}
	}
	if ask := asking(call.Changes, fixed); ask != nil {
		progress.Done, progress.Ask = false, ask
	}
	return progress, nil
}

// asking is what is left for a person; nil for nothing.
func asking(changes []connector.Change, identified bool) *connector.Ask {
	var ask connector.Ask
	add := func(reason, instructions string) {
		ask.Reason = strings.TrimPrefix(ask.Reason+"; "+reason, "; ")
		ask.Instructions = strings.TrimSpace(ask.Instructions + " " + instructions)
	}
	if identified {
		add("the e-mail that identifies the user in Messaging is read-only there: it follows the user in Support",
			"Correct the primary e-mail of the user in Support, where that has not happened. "+
				"Then have Messaging take it over: POST /v2/apps/{app}/users/{zendeskId}/sync with the number of the Support user; where another messaging user has the new e-mail already, Zendesk merges the two. "+
				"A user without a zendeskId takes the new e-mail when the person signs in again: correct it in what signs them in. "+
				"Read the user again and upload what shows the new e-mail.")
	}
	if slices.ContainsFunc(changes, func(change connector.Change) bool {
		return !strings.HasPrefix(change.Field, metadataField) && (&profile{}).field(change.Field) == nil
	}) {
		add("Messaging has no such field that can be written",
			"Look for the old value in the person's profile, channels and conversations. What can be written are first_name, last_name, email, language and metadata.<key>; "+
				"what stands in a channel follows the channel, such as WhatsApp. Upload what shows the correction.")
	}
	if ask.Reason == "" {
		return nil
	}
	return &ask
}

// correct applies the changes whose old value the user has. done: a new value is
// there already.
func (u *user) correct(changes []connector.Change) (changed, done bool) {
	for _, change := range changes {
		was, now := change.Old.Reveal(), change.New.Reveal()
		has, set := u.slot(change.Field)
		if set == nil {
			continue
		}
		switch {
		case has == now:
			done = true
		case same(change.Field, has, was):
			set(now)
			changed = true
		}
	}
	return changed, done
}

// slot is a field's value, and how to write it; nil for what cannot be written.
func (u *user) slot(field string) (has string, set func(string)) {
	if key, ok := strings.CutPrefix(field, metadataField); ok {
		has, isText := u.Metadata[key].(string)
		if _, there := u.Metadata[key]; key == "" || there && !isText {
			return "", nil
		}
		return has, func(text string) {
			if u.Metadata == nil {
				u.Metadata = map[string]any{}
			}
			u.Metadata[key] = text
		}
	}
	at := u.Profile.field(field)
	if at == nil {
		return "", nil
	}
	return text(*at), func(text string) {
		*at = nil
		if text != "" {
			*at = &text
		}
	}
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// same compares two values of a field, e-mails in normal form.
func same(field, a, b string) bool {
	if a == b {
		return true
	}
	one, ok1 := identity.NormalizeEmail(a)
	two, ok2 := identity.NormalizeEmail(b)
	return field == "email" && ok1 && ok2 && one == two
}

// identified reports whether a change is one of an identity: then the profile's
// own e-mail is not all there is.
func (u *user) identified(changes []connector.Change) bool {
	for _, change := range changes {
		for _, i := range u.Identities {
			if change.Field == "email" && i.Type == "email" && same("email", i.Value, change.Old.Reveal()) {
				return true
			}
		}
	}
	return false
}

// tag marks the person's records in their metadata, which agents see and bots
// and triggers act on.
func (c *Connector) tag(ctx context.Context, call connector.Call, tag string) (connector.Progress, error) {
	progress := connector.Progress{Done: true, Counts: map[string]int{}}
	for _, id := range c.users(call.Subject) {
		u, err := c.user(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil {
			continue
		}
		progress.Counts["users"]++
		if u.Metadata[tag] == true {
			continue
		}
		metadata := map[string]any{}
		maps.Copy(metadata, u.Metadata)
		metadata[tag] = true
		if err := c.patch(ctx, id, update{Metadata: metadata}); err != nil {
			return connector.Progress{}, err
		}
		progress.Evidence = append(progress.Evidence, connector.Evidence{At: call.Now, Call: "PATCH /users/{id}", Answer: "200"})
	}
	return progress, nil
}
