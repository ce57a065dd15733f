package fake

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"time"
)

// User is an end user. One that is being deleted is still shown.
type User struct {
	ID         string            `json:"id"`
	ExternalID string            `json:"external_id"`
	ZendeskID  string            `json:"zendesk_id"`
	BrandID    string            `json:"brand_id"` // "": of no brand in particular
	Profile    map[string]string `json:"profile"`
	Metadata   map[string]any    `json:"metadata"`
	Identities []Identity        `json:"identities"`
	SignedUpAt time.Time         `json:"signed_up_at"`
	Deleting   *time.Time        `json:"deleting,omitempty"`
}

// Identity is an e-mail of a User.
type Identity struct {
	Type         string `json:"type"`
	Value        string `json:"value"`
	Verification string `json:"verification,omitempty"`
}

// Client is a channel of a User.
type Client struct {
	ID          string         `json:"id"`
	User        string         `json:"user"`
	Type        string         `json:"type"`
	ExternalID  string         `json:"external_id"`
	DisplayName string         `json:"display_name"`
	Raw         map[string]any `json:"raw"`
}

// Device is a browser or telephone of a User.
type Device struct {
	ID     string `json:"id"`
	User   string `json:"user"`
	Client string `json:"client"`
	Type   string `json:"type"`
}

// purge removes the users for whom time has come.
func (s *Server) purge() {
	for id, u := range s.data.Users {
		if u.Deleting == nil || s.Time().Before(u.Deleting.Add(s.Lasts(deletion))) {
			continue
		}
		delete(s.data.Users, id)
		maps.DeleteFunc(s.data.Clients, func(_ string, c *Client) bool { return c.User == id })
		maps.DeleteFunc(s.data.Devices, func(_ string, d *Device) bool { return d.User == id })
		// "Delete a user, its clients and its conversation history": of a conversation
		// with others, too, as far as the words go.
		for _, c := range list(s.data.Conversations) {
			if slices.Contains(c.Users, id) {
				s.drop(c.ID)
			}
		}
	}
}

// view is a user as the API shows it.
func (u *User) view() map[string]any {
	profile := map[string]any{"localeOrigin": "zendeskAccount"}
	for key, value := range u.Profile {
		profile[key] = value
	}
	v := map[string]any{
		"id": u.ID, "authenticated": u.ExternalID != "", "signedUpAt": stamp(u.SignedUpAt), "hasPaymentInfo": false, "toBeRetained": false,
		"profile": profile, "metadata": u.Metadata, "identities": append([]Identity{}, u.Identities...),
	}
	for key, value := range map[string]string{"externalId": u.ExternalID, "zendeskId": u.ZendeskID, "brandId": u.BrandID} {
		if value != "" {
			v[key] = value
		}
	}
	return v
}

// user is the one at a path: by id, or by external id within the brand.
func (s *Server) user(r *http.Request) *User {
	id, brand := r.PathValue("id"), r.URL.Query().Get("brandId")
	if u := s.data.Users[id]; u != nil {
		return u
	}
	for _, key := range slices.Sorted(maps.Keys(s.data.Users)) {
		if u := s.data.Users[key]; u.ExternalID != "" && u.ExternalID == id && u.BrandID == brand {
			return u
		}
	}
	return nil
}

func noUser() (int, any) { return 404, problem("user_not_found", "User not found") }

func (s *Server) listUsers(r *http.Request) (int, any) {
	q := r.URL.Query()
	email := q.Get("filter[identities.email]")
	if email == "" {
		return 400, problem("bad_request", "filter[identities.email] is required") // it would be everybody
	}
	users := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(s.data.Users)) {
		u := s.data.Users[id]
		if u.BrandID == q.Get("brandId") && slices.ContainsFunc(u.Identities, func(i Identity) bool { return i.Type == "email" && strings.EqualFold(i.Value, email) }) {
			users = append(users, u.view())
		}
	}
	return 200, map[string]any{"users": users}
}

func (s *Server) getUser(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser()
	}
	return 200, map[string]any{"user": u.view()}
}

// patchUser writes profile and metadata. Identities are read-only.
func (s *Server) patchUser(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser()
	}
	var body struct {
		Profile  map[string]*string `json:"profile"`
		Metadata map[string]any     `json:"metadata"`
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if d.Decode(&body) != nil || !validProfile(body.Profile) || !validMetadata(body.Metadata) {
		return 400, problem("bad_request", "Invalid body")
	}
	if body.Profile != nil {
		if !s.o.Merges {
			u.Profile = map[string]string{}
		}
		for key, value := range body.Profile {
			if delete(u.Profile, key); value != nil {
				u.Profile[key] = *value
			}
		}
	}
	if body.Metadata != nil {
		if !s.o.Merges {
			u.Metadata = map[string]any{}
		}
		maps.Copy(u.Metadata, body.Metadata)
	}
	return 200, map[string]any{"user": u.view()}
}

func validProfile(p map[string]*string) bool {
	longest := map[string]int{"givenName": 128, "surname": 128, "email": 128, "avatarUrl": 2048, "locale": 64}
	for key, value := range p {
		if longest[key] == 0 || value != nil && (*value == "" || len(*value) > longest[key]) {
			return false
		}
		if key == "email" && value != nil {
			if _, err := mail.ParseAddress(*value); err != nil {
				return false
			}
		}
	}
	return true
}

// validMetadata: flat, of texts, numbers and truth values, and at most 4 KB.
func validMetadata(m map[string]any) bool {
	for _, value := range m {
		switch value.(type) {
		case string, float64, bool:
		default:
			return false
		}
	}
	text, err := json.Marshal(m)
	return err == nil && len(text) <= 4<<10
}

// deleteUser begins to delete a user.
func (s *Server) deleteUser(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser()
	}
	if u.Deleting == nil {
		now := s.Time()
		u.Deleting = &now
	}
	return 200, map[string]any{}
}

// clearUser clears what identifies a user. What the contract does not name
// stays: external ids, a channel's number.
func (s *Server) clearUser(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser()
	}
	u.Profile, u.Metadata, u.Identities = map[string]string{}, map[string]any{}, nil
	for _, c := range s.data.Clients {
		if c.User == u.ID {
			c.DisplayName, c.Raw = "", nil
		}
	}
	return 200, map[string]any{"user": u.view()}
}

func (s *Server) listClients(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser()
	}
	own := slices.DeleteFunc(list(s.data.Clients), func(c Client) bool { return c.User != u.ID })
	page, meta, ok := paged(r, own, func(c Client) string { return c.ID })
	if !ok {
		return badPage()
	}
	clients := []map[string]any{}
	for _, c := range page {
		v := map[string]any{"id": c.ID, "type": c.Type, "status": "active", "lastSeen": stamp(u.SignedUpAt), "linkedAt": stamp(u.SignedUpAt)}
		if c.ExternalID != "" {
			v["externalId"] = c.ExternalID
		}
		if c.DisplayName != "" {
			v["displayName"] = c.DisplayName
		}
		if c.Raw != nil {
			v["raw"] = c.Raw
		}
		clients = append(clients, v)
	}
	return 200, map[string]any{"clients": clients, "meta": meta}
}

// removeClient removes a channel; those of sites and apps stay.
func (s *Server) removeClient(r *http.Request) (int, any) {
	u, c := s.user(r), s.data.Clients[r.PathValue("client")]
	switch {
	case u == nil:
		return noUser()
	case c == nil || c.User != u.ID:
		return 404, problem("client_not_found", "Client not found")
	case c.Type == "sdk":
		return 400, problem("bad_request", "Cannot remove a client of type 'sdk'")
	}
	delete(s.data.Clients, c.ID)
	return 200, map[string]any{}
}

func (s *Server) listDevices(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser()
	}
	devices := []map[string]any{}
	for _, d := range list(s.data.Devices) {
		if d.User == u.ID {
			devices = append(devices, map[string]any{
				"id": d.ID, "type": d.Type, "guid": "guid-" + d.ID, "clientId": d.Client, "status": "active", "integrationId": "5d83a25d9916b64a83ed25e8",
				"lastSeen": stamp(u.SignedUpAt), "info": map[string]any{"currentUrl": "https://shop.example.test/", "userAgent": "Mozilla/5.0", "browserLanguage": "fr-FR"},
			})
		}
	}
	return 200, map[string]any{"devices": devices}
}
