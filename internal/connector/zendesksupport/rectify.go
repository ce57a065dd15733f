package zendesksupport

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// A correction is sent only where the old value stands, and every part of it is
// looked for before it is sent: a repetition finds what is left to do. The new
// value is written before the old one is dropped.

// rectify corrects the person's records.
func (w *work) rectify(ctx context.Context, call connector.Call) (connector.Progress, error) {
	progress := connector.Progress{Done: true, Counts: map[string]int{}}
	looked, matched := false, map[connector.Change]bool{}
	for _, id := range w.users(call.Subject) {
		a, err := w.account(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if a == nil || !a.Active {
			continue
		}
		looked = true
		c := &correction{work: w, account: a, call: call, matched: matched}
		if err := c.all(ctx); err != nil {
			return connector.Progress{}, err
		}
		if c.taken {
			progress.Done, progress.Ask = false, &connector.Ask{
				Reason:       "Zendesk does not take the new e-mail or telephone: another user has it already",
				Instructions: "Find the user with the new e-mail or telephone. If it is the same person, merge the two users, then retry. If not, ask the person which one is right.",
				Retry:        true,
			}
			return progress, nil
		}
		if len(c.evidence) > 0 || call.Again && c.stands() {
			progress.Counts["users"]++
		}
		progress.Evidence = append(progress.Evidence, c.evidence...)
	}
	const instructions = "Look for the old value in the person's tickets, notes and fields, and correct it there."
	switch {
	case slices.ContainsFunc(call.Changes, func(change connector.Change) bool { return !known(change.Field) }):
		progress.Done, progress.Ask = false, &connector.Ask{
			Reason:       "Zendesk has no such field of a user: a correction may be needed in tickets, notes or the user's own fields",
			Instructions: instructions,
		}
	case looked && slices.ContainsFunc(call.Changes, func(change connector.Change) bool { return !matched[change] }):
		progress.Done, progress.Ask = false, &connector.Ask{
			Reason:       "a value that is to be corrected stands in no record of the person, or its field does not take the new one",
			Instructions: instructions,
		}
	}
	return progress, nil
}

// fieldPrefix begins the names of the fields that the company has added to users.
const fieldPrefix = "user_fields."

func known(field string) bool {
	return slices.Contains([]string{"name", "alias", "external_id", "email", "phone"}, field) || strings.HasPrefix(field, fieldPrefix) && field != fieldPrefix
}

// correction is what is done to one record.
type correction struct {
	*work
	*account
	call     connector.Call
	taken    bool                      // the new e-mail or number is somebody else's
	matched  map[connector.Change]bool // changes whose old or new value stood in a record
	evidence []connector.Evidence
}

func (c *correction) all(ctx context.Context) error {
	if err := c.profile(ctx); err != nil {
		return err
	}
	for _, change := range c.call.Changes {
		var err error
		switch change.Field {
		case "phone":
			err = c.phone(ctx, change)
		case "email":
			err = c.email(ctx, change)
		}
		if err != nil || c.taken {
			return err
		}
	}
	return nil
}

// value is a simple field of the record. A field of the company's may be a
// number or a box that is ticked: its text is how JSON writes it.
func (c *correction) value(field string) (value string, ok bool) {
	if name, custom := strings.CutPrefix(field, fieldPrefix); custom {
		raw, ok := c.Fields[name]
		if !ok || json.Unmarshal(raw, &value) == nil { // null is the empty text
			return value, ok
		}
		return string(raw), true
	}
	value, ok = map[string]string{"name": c.Name, "alias": c.Alias, "external_id": c.ExternalID}[field]
	return value, ok
}

// typed is a new value in the form that the field has now; ok is false where it
// has none.
func typed(now record, value string) (v any, ok bool) {
	var was, is any
	if json.Unmarshal(now, &was) != nil {
		return nil, false
	}
	switch was.(type) {
	case nil, string:
		return value, true
	case bool, float64:
		if value == "" {
			return nil, true
		}
		if json.Unmarshal([]byte(value), &is) == nil && reflect.TypeOf(is) == reflect.TypeOf(was) {
			return record(value), true
		}
	}
	return nil, false
}

// profile corrects the simple fields, in one call.
func (c *correction) profile(ctx context.Context) error {
	fields, custom := map[string]any{}, map[string]any{}
	for _, change := range c.call.Changes {
		now, ok := c.value(change.Field)
		if ok && now == change.New.Reveal() {
			c.matched[change] = true
			continue
		}
		if !ok || now != change.Old.Reveal() {
			continue
		}
		if name, own := strings.CutPrefix(change.Field, fieldPrefix); own {
			value, ok := typed(c.Fields[name], change.New.Reveal())
			if !ok {
				continue
			}
			custom[name] = value
		} else {
			fields[change.Field] = change.New.Reveal()
		}
		c.matched[change] = true
	}
	if len(custom) > 0 {
		fields["user_fields"] = custom
	}
	if len(fields) == 0 {
		return nil
	}
	return c.put(ctx, fields)
}

func (c *correction) put(ctx context.Context, fields map[string]any) error {
	_, err := c.do(ctx, kit.Call{Method: http.MethodPut, Route: kit.To("/users/{user_id}", number(c.ID)), Body: map[string]any{"user": fields}})
	if err == nil {
		c.done("PUT /users/{id}", "200")
	}
	return err
}

func (c *correction) done(call, answer string) {
	c.evidence = append(c.evidence, said(c.call.Now, call, answer))
}

// phone corrects the number, which stands in the profile, as an identity, or as
// two different ones: the profile keeps a number although its identity was deleted.
func (c *correction) phone(ctx context.Context, change connector.Change) error {
	had := c.numbers(change.Old)
	inProfile := c.has(change.Old)
	there := c.has(change.New) || len(c.numbers(change.New)) > 0
	found := inProfile || len(had) > 0 || change.Old == ""
	if c.matched[change] = c.matched[change] || found || there || change.New == ""; !found {
		return nil
	}
	switch {
	case inProfile && c.Phone != change.New.Reveal():
		if err := c.put(ctx, map[string]any{"phone": change.New.Reveal()}); err != nil {
			return err
		}
	case change.New != "" && !there:
		if _, err := c.add(ctx, phoneType, change.New); err != nil || c.taken {
			return err
		}
	}
	for _, i := range had {
		if same(i.identifier(), identity.Identifier{Kind: identity.Phone, Value: change.New}) {
			continue
		}
		if err := c.drop(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// has reports whether the profile has a number.
func (c *correction) has(number redact.String) bool {
	profile := identity.Identifier{Kind: identity.Phone, Value: redact.String(c.Phone)}
	return c.Phone == number.Reveal() || same(profile, identity.Identifier{Kind: identity.Phone, Value: number})
}

// numbers are the identities with a telephone number.
func (c *correction) numbers(number redact.String) (list []ident) {
	for _, i := range c.idents {
		if i.Type == phoneType && same(i.identifier(), identity.Identifier{Kind: identity.Phone, Value: number}) {
			list = append(list, i)
		}
	}
	return list
}

// drop deletes an identity.
func (c *correction) drop(ctx context.Context, i ident) error {
	_, err := c.do(ctx, kit.Call{
		Method: http.MethodDelete, Route: kit.To("/users/{user_id}/identities/{user_identity_id}", number(c.ID), number(i.ID)), Expect: []int{http.StatusNotFound},
	})
	if err == nil {
		c.done("DELETE /users/{id}/identities/{id}", "204")
	}
	return err
}

// email puts a new address in the place of the old one: it is added, without a
// mail to anybody, becomes the primary one if the old one was, and the old one
// goes.
func (c *correction) email(ctx context.Context, change connector.Change) error {
	old, had := c.identity(change.Old)
	_, has := c.identity(change.New)
	if c.matched[change] = c.matched[change] || had || has || change.Old == "" || change.New == ""; change.Old != "" && !had {
		return nil
	}
	if change.New != "" {
		fresh, there := c.identity(change.New)
		if !there {
			var err error
			if fresh, err = c.add(ctx, emailType, change.New); err != nil || c.taken {
				return err
			}
		}
		if had && old.Primary && !fresh.Primary {
			route := kit.To("/users/{user_id}/identities/{user_identity_id}/make_primary", number(c.ID), number(fresh.ID))
			if _, err := c.do(ctx, kit.Call{Method: http.MethodPut, Route: route}); err != nil {
				return err
			}
			c.done("PUT /users/{id}/identities/{id}/make_primary", "200")
		}
	}
	if !had || same(old.identifier(), identity.Identifier{Kind: identity.Email, Value: change.New}) {
		return nil
	}
	return c.drop(ctx, old)
}

// identity is the e-mail identity with an address.
func (c *correction) identity(address redact.String) (ident, bool) {
	want := identity.Identifier{Kind: identity.Email, Value: address}
	for _, i := range c.idents {
		if i.Type == emailType && same(i.identifier(), want) {
			return i, true
		}
	}
	return ident{}, false
}

// add makes an identity of an address or a number that the company vouches for.
func (c *correction) add(ctx context.Context, kind string, value redact.String) (ident, error) {
	a, err := c.do(ctx, kit.Call{
		Method: http.MethodPost, Route: kit.To("/users/{user_id}/identities", number(c.ID)), Expect: []int{http.StatusUnprocessableEntity},
		Body: map[string]any{"identity": map[string]any{"type": kind, "value": value.Reveal(), "verified": true, "skip_verify_email": true}},
	})
	if err != nil {
		return ident{}, err
	}
	if a.Status == http.StatusUnprocessableEntity {
		c.taken = true
		return ident{}, nil
	}
	var body struct {
		Identity ident `json:"identity"`
	}
	if err := a.JSON(&body); err != nil {
		return ident{}, err
	}
	if body.Identity.ID == 0 {
		return ident{}, errs.New(errs.Unavailable, "%s POST /users/{id}/identities: the answer names no identity", c.inventory.System)
	}
	c.done("POST /users/{id}/identities", "201")
	return body.Identity, nil
}

// stands reports whether a new value stands in the record already.
func (c *correction) stands() bool {
	return slices.ContainsFunc(c.call.Changes, func(change connector.Change) bool {
		switch change.Field {
		case "email":
			_, ok := c.identity(change.New)
			return ok
		case "phone":
			return c.has(change.New) || len(c.numbers(change.New)) > 0
		}
		now, ok := c.value(change.Field)
		return ok && now == change.New.Reveal()
	})
}

// mark suspends the person's records, or puts a tag on them: agents, triggers
// and views act on tags. Agents are never suspended: their account is their
// workplace.
func (w *work) mark(ctx context.Context, call connector.Call, how, word string) (connector.Progress, error) {
	progress := connector.Progress{Done: true, Counts: map[string]int{}}
	for _, id := range w.users(call.Subject) {
		u, err := w.user(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil || !u.Active {
			continue
		}
		progress.Counts["users"]++
		fields := map[string]any{"suspended": true}
		marked := u.Suspended
		if how == tag || u.staff() {
			fields, marked = map[string]any{"tags": append(slices.Clone(u.Tags), word)}, slices.Contains(u.Tags, word)
		}
		if marked {
			continue
		}
		if _, err := w.do(ctx, kit.Call{Method: http.MethodPut, Route: kit.To("/users/{user_id}", number(id)), Body: map[string]any{"user": fields}}); err != nil {
			return connector.Progress{}, err
		}
		progress.Evidence = append(progress.Evidence, said(call.Now, "PUT /users/{id}", "200"))
	}
	return progress, nil
}
