package zendeskmessaging

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// user is a user as the API shows it.
type user struct {
	ID         string         `json:"id"`
	ExternalID string         `json:"externalId"`
	ZendeskID  string         `json:"zendeskId"`
	Profile    profile        `json:"profile"`
	Metadata   map[string]any `json:"metadata"`
	Identities []struct {
		Type         string `json:"type"`
		Value        string `json:"value"`
		Verification string `json:"verification"`
	} `json:"identities"`

	raw json.RawMessage // as it came, for the export
}

// profile are the fields that can be written; null removes one. What else the
// API shows of a profile, it writes itself.
type profile struct {
	GivenName *string `json:"givenName"`
	Surname   *string `json:"surname"`
	Email     *string `json:"email"`
	AvatarURL *string `json:"avatarUrl"`
	Locale    *string `json:"locale"`
}

// UnmarshalJSON keeps the text beside the fields.
func (u *user) UnmarshalJSON(text []byte) error {
	type plain user
	u.raw = slices.Clone(text)
	return json.Unmarshal(text, (*plain)(u))
}

// hasEmail reports whether one of the user's e-mail identities is equal to a
// normal form, and whether it is verified.
func (c *Connector) hasEmail(u user, normal string) (has, verified bool) {
	for _, i := range u.Identities {
		got, ok := identity.NormalizeEmail(i.Value)
		if i.Type == "email" && ok && got == normal {
			has, verified = true, verified || slices.Contains(c.config.Verified, i.Verification)
		}
	}
	return has, verified
}

// to is a route of the app.
func (c *Connector) to(template string, values ...string) kit.Route {
	return kit.To("/v2/apps/{app}"+template, append([]string{c.config.AppID}, values...)...)
}

// users are the ids of the person's records, as Locate has found them.
func (c *Connector) users(s connector.Subject) []string { return values(s.Of(c.userID())) }

func values(list []identity.Identifier) []string {
	var all []string
	for _, i := range list {
		all = append(all, i.Value.Reveal())
	}
	return all
}

// get reads the user at a route; nil for one that does not exist.
func (c *Connector) get(ctx context.Context, route kit.Route) (*user, error) {
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: route, Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, err
	}
	var body struct {
		User user `json:"user"`
	}
	if err := a.JSON(&body); err != nil {
		return nil, err
	}
	if body.User.ID == "" {
		return nil, errs.New(errs.Internal, "%s: a user without an id", c.inventory.System)
	}
	return &body.User, nil
}

// user reads a user by the vendor's own id. The path takes external ids, too:
// whoever has chosen the id of somebody else for theirs is not meant.
func (c *Connector) user(ctx context.Context, id string) (*user, error) {
	u, err := c.get(ctx, c.to("/users/{id}", id))
	if err != nil || u == nil || u.ID != id {
		return nil, err
	}
	return u, nil
}

// branded gives a route without a brand, and with each of the configured ones.
func (c *Connector) branded(route kit.Route) []kit.Route {
	routes := []kit.Route{route}
	for _, brand := range c.config.Brands {
		routes = append(routes, route.With("brandId", brand))
	}
	return routes
}

// byEmail are the users with an e-mail identity that is equal in normal form.
func (c *Connector) byEmail(ctx context.Context, normal string) ([]user, error) {
	var all []user
	for _, route := range c.branded(c.to("/users").With("filter[identities.email]", normal)) {
		var body struct {
			Users []user `json:"users"`
		}
		if err := c.api.Get(ctx, route, &body); err != nil {
			return nil, err
		}
		for _, u := range body.Users {
			if has, _ := c.hasEmail(u, normal); has && u.ID != "" {
				all = append(all, u)
			}
		}
	}
	return all, nil
}

// byExternalID are the users at the path of an external id. The caller looks
// whether it is really theirs.
func (c *Connector) byExternalID(ctx context.Context, id string) ([]user, error) {
	var all []user
	for _, route := range c.branded(c.to("/users/{id}", id)) {
		u, err := c.get(ctx, route)
		if err != nil {
			return nil, err
		}
		if u != nil {
			all = append(all, *u)
		}
	}
	return all, nil
}

// client is a channel of a user: a browser, a WhatsApp number.
type client struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	ExternalID string `json:"externalId"`

	raw json.RawMessage
}

// UnmarshalJSON keeps the text beside the fields.
func (c *client) UnmarshalJSON(text []byte) error {
	type plain client
	c.raw = slices.Clone(text)
	return json.Unmarshal(text, (*plain)(c))
}

// telephones are the types of client whose external id is a telephone number.
var telephones = []string{"whatsapp", "twilio", "messagebird"}

// phone is the telephone number of a client; ok is false without. WhatsApp
// writes it without the plus.
func (c client) phone() (normal string, ok bool) {
	if !slices.Contains(telephones, c.Type) || c.ExternalID == "" {
		return "", false
	}
	for _, text := range []string{c.ExternalID, "+" + c.ExternalID} {
		if normal, ok = (identity.Identifier{Kind: identity.Phone, Value: redact.String(text)}).Normal(); ok {
			return normal, true
		}
	}
	return "", false
}

// clients reads all clients of a user.
func (c *Connector) clients(ctx context.Context, user string) ([]client, error) {
	var all []client
	err := c.walk(ctx, c.to("/users/{id}/clients", user), func(a *kit.Answer) error {
		var body struct {
			Clients []client `json:"clients"`
		}
		err := a.JSON(&body)
		all = append(all, body.Clients...)
		return err
	})
	return all, err
}

// devices reads all devices of a user. The list has no pages.
func (c *Connector) devices(ctx context.Context, user string) ([]json.RawMessage, error) {
	var body struct {
		Devices []json.RawMessage `json:"devices"`
	}
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: c.to("/users/{id}/devices", user), Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, err
	}
	return body.Devices, a.JSON(&body)
}
