package refdesk

import (
	"context"
	"net/http"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
)

// rectify corrects the person's records. Only a field that has the old value is
// changed, so that a repetition finds nothing to do; what it finds done by the
// attempt before it counts.
func (c *Connector) rectify(ctx context.Context, call connector.Call) (connector.Progress, error) {
	counts := map[string]int{}
	var evidence []connector.Evidence
	for _, id := range c.users(call.Subject) {
		u, err := c.get(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil || !u.Active {
			continue
		}
		fields := u.corrections(call.Changes)
		if len(fields) == 0 {
			if call.Again && u.has(call.Changes) {
				counts["users"]++
			}
			continue
		}
		if _, err := c.api.Do(ctx, kit.Call{Method: http.MethodPut, Route: kit.To("/users/{id}", id), Body: fields}); err != nil {
			return connector.Progress{}, err
		}
		counts["users"]++
		evidence = append(evidence, connector.Evidence{At: call.Now, Call: "PUT /users/{id}", Answer: "200"})
	}
	progress := connector.Progress{Done: true, Counts: counts, Evidence: evidence}
	for _, change := range call.Changes {
		if _, ok := (user{}).field(change.Field); !ok {
			progress.Done, progress.Ask = false, &connector.Ask{
				Reason:       "the help desk has no such field of its own: a correction may be needed in its tickets or notes",
				Instructions: "Look for the old value in the person's tickets and notes, and correct it there.",
			}
		}
	}
	return progress, nil
}

// field is the value of a field that can be corrected.
func (u user) field(name string) (value string, ok bool) {
	value, ok = map[string]string{"name": u.Name, "email": u.Email, "phone": u.Phone}[name]
	return value, ok
}

// corrections are the fields to send: those that have the old value, and those
// that are empty where something is added.
func (u user) corrections(changes []connector.Change) map[string]string {
	fields := map[string]string{}
	for _, change := range changes {
		now, ok := u.field(change.Field)
		if ok && now != change.New.Reveal() && u.same(change.Field, now, change.Old.Reveal()) {
			fields[change.Field] = change.New.Reveal()
		}
	}
	return fields
}

// has reports whether the user has a new value.
func (u user) has(changes []connector.Change) bool {
	return slices.ContainsFunc(changes, func(change connector.Change) bool {
		now, ok := u.field(change.Field)
		return ok && now == change.New.Reveal()
	})
}

// same compares two values of a field, e-mails and numbers in normal form.
func (u user) same(field, a, b string) bool {
	if a == b {
		return true
	}
	left, right := user{Email: a, Phone: a}, user{Email: b, Phone: b}
	kind, ok := kindOf[field]
	if !ok {
		return false
	}
	one, ok1 := left.identifier(kind).Normal()
	two, ok2 := right.identifier(kind).Normal()
	return ok1 && ok2 && one == two
}

// tag marks the person's records: agents and automations of the help desk act
// on tags.
func (c *Connector) tag(ctx context.Context, call connector.Call, tag string) (connector.Progress, error) {
	progress := connector.Progress{Done: true, Counts: map[string]int{}}
	for _, id := range c.users(call.Subject) {
		u, err := c.get(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil || !u.Active {
			continue
		}
		progress.Counts["users"]++
		if slices.Contains(u.Tags, tag) {
			continue
		}
		body := map[string][]string{"tags": append(u.Tags, tag)}
		if _, err := c.api.Do(ctx, kit.Call{Method: http.MethodPut, Route: kit.To("/users/{id}/tags", id), Body: body}); err != nil {
			return connector.Progress{}, err
		}
		progress.Evidence = append(progress.Evidence, connector.Evidence{At: call.Now, Call: "PUT /users/{id}/tags", Answer: "200"})
	}
	return progress, nil
}
