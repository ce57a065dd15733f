package fake

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The states of a User.
const (
	Active  = "active"
	Deleted = "deleted" // can be restored
	Purged  = "purged"  // gone; Zendesk lists that there was one
)

// User is a person or an agent. Of a purged one nothing but id and times is left.
type User struct {
	ID         int64          `json:"id"`
	Name       string         `json:"name"`
	Alias      string         `json:"alias,omitempty"`
	Phone      string         `json:"phone,omitempty"`
	ExternalID string         `json:"external_id,omitempty"`
	Role       string         `json:"role"` // end-user, agent, admin
	Suspended  bool           `json:"suspended"`
	Locked     bool           `json:"locked"` // a placeholder of a shared ticket, or made by the legacy Chat: cannot be deleted
	Status     string         `json:"status"`
	MergedInto int64          `json:"merged_into,omitempty"`
	Tags       []string       `json:"tags"`
	Notes      string         `json:"notes,omitempty"`
	Fields     map[string]any `json:"fields"` // strings, numbers and boxes that are ticked or not
	Identities []Identity     `json:"identities"`
	CreatedAt  time.Time      `json:"created_at"`
	PurgedAt   time.Time      `json:"purged_at,omitzero"`
}

// Identity is one address or number of a User.
type Identity struct {
	ID       int64  `json:"id"`
	Type     string `json:"type"`
	Value    string `json:"value"`
	Primary  bool   `json:"primary"`
	Verified bool   `json:"verified"`
}

// email is the primary address.
func (u *User) email() string {
	for _, i := range u.Identities {
		if i.Type == "email" && i.Primary {
			return i.Value
		}
	}
	return ""
}

// version is a user as it was from an instant on; nil: gone.
type version struct {
	From time.Time
	User *User
}

// changed lets the search know of a user, after a while.
func (s *Server) changed(u *User) {
	v := version{From: s.Time()}
	if u.Status == Active {
		copied := *u
		copied.Identities = slices.Clone(u.Identities)
		v.User = &copied
	}
	s.data.Versions[u.ID] = append(s.data.Versions[u.ID], v)
}

// indexed is a user as the search knows it.
func (s *Server) indexed(id int64) *User {
	var known *User
	until := s.Time().Add(-s.Lasts(indexLag))
	for _, v := range s.data.Versions[id] {
		if !v.From.After(until) {
			known = v.User
		}
	}
	return known
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func (s *Server) userView(u *User) map[string]any {
	fields := map[string]any{}
	for name, value := range u.Fields {
		fields[name] = value
	}
	verified := slices.ContainsFunc(u.Identities, func(i Identity) bool { return i.Primary && i.Verified })
	return map[string]any{
		"id": u.ID, "url": "https://example.zendesk.com/api/v2/users/" + text(u.ID) + ".json", "name": u.Name, "alias": u.Alias, "email": u.email(),
		"phone": orNil(u.Phone), "shared_phone_number": false, "external_id": orNil(u.ExternalID), "role": u.Role, "active": u.Status == Active,
		"suspended": u.Suspended, "verified": verified, "tags": append([]string{}, u.Tags...), "notes": u.Notes, "details": "",
		"user_fields": fields, "organization_id": nil, "photo": nil, "locale": "fr", "locale_id": 16, "time_zone": "Paris", "iana_time_zone": "Europe/Paris",
		"created_at": stamp(u.CreatedAt), "updated_at": stamp(u.CreatedAt), "last_login_at": stamp(u.CreatedAt),
	}
}

// live is the user of the path; nil for none, and for a purged one.
func (s *Server) live(r *http.Request) *User {
	u := s.data.Users[pathID(r, "user_id")]
	if u == nil || u.Status == Purged {
		return nil
	}
	return u
}

// searchUsers finds by the exact external id, or by a query that matches parts.
func (s *Server) searchUsers(r *http.Request) (int, any) {
	q := r.URL.Query()
	terms, ok := parse(q.Get("query"))
	external := q.Get("external_id")
	if !ok || len(terms) == 0 && external == "" {
		return 400, problem("invalid", "the query cannot be understood")
	}
	var rows []row
	for _, id := range ordered(s.data.Versions) {
		u := s.indexed(id)
		if u == nil || external != "" && u.ExternalID != external || external == "" && !u.matches(terms) {
			continue
		}
		rows = append(rows, row{id: id, view: func() map[string]any { return s.userView(u) }})
	}
	return byOffset(r, "users", rows)
}

// matches reports whether a user has a part that each term names.
func (u *User) matches(terms []term) bool {
	return !slices.ContainsFunc(terms, func(t term) bool {
		var values []string
		for _, i := range u.Identities {
			if t.field == "" || t.field == "email" && i.Type == "email" || t.field == "phone" && i.Type == "phone_number" {
				values = append(values, i.Value)
			}
		}
		if t.field == "" || t.field == "phone" {
			values = append(values, u.Phone)
		}
		if t.field == "" {
			values = append(values, u.Name, u.Notes)
		}
		return !slices.ContainsFunc(values, func(value string) bool { return contains(value, t.value) })
	})
}

// contains matches parts: of a number by its digits.
func contains(value, part string) bool {
	if value == "" || part == "" {
		return false
	}
	if strings.HasPrefix(part, "+") {
		return digits(value) != "" && strings.Contains(digits(value), digits(part))
	}
	return strings.Contains(strings.ToLower(value), strings.ToLower(part))
}

// digits is what two notations of a number have in common.
func digits(number string) string {
	if !strings.HasPrefix(number, "+") && !strings.HasPrefix(number, "00") {
		return ""
	}
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number), "0")
}

func (s *Server) getUser(r *http.Request) (int, any) {
	u := s.live(r)
	if u == nil {
		return notFound()
	}
	return 200, map[string]any{"user": s.userView(u)}
}

func (s *Server) putUser(r *http.Request) (int, any) {
	u := s.live(r)
	if u == nil || u.Status != Active {
		return notFound()
	}
	var body struct {
		User struct {
			Name       *string        `json:"name"`
			Alias      *string        `json:"alias"`
			Phone      *string        `json:"phone"`
			ExternalID *string        `json:"external_id"`
			Role       *string        `json:"role"`
			Suspended  *bool          `json:"suspended"`
			Tags       []string       `json:"tags"`
			Fields     map[string]any `json:"user_fields"`
		} `json:"user"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.User.Name != nil && strings.TrimSpace(*body.User.Name) == "" {
		return invalid("name", "Name: is too short")
	}
	for name, value := range body.User.Fields {
		if now := u.Fields[name]; now != nil && value != nil && reflect.TypeOf(now) != reflect.TypeOf(value) {
			return invalid("user_fields", name+": is of another type")
		}
	}
	for to, value := range map[*string]*string{&u.Name: body.User.Name, &u.Alias: body.User.Alias, &u.Phone: body.User.Phone, &u.ExternalID: body.User.ExternalID, &u.Role: body.User.Role} {
		if value != nil {
			*to = *value
		}
	}
	if body.User.Suspended != nil {
		u.Suspended = *body.User.Suspended
	}
	if body.User.Tags != nil {
		u.Tags = body.User.Tags
	}
	for name, value := range body.User.Fields {
		u.Fields[name] = value
	}
	s.changed(u)
	return 200, map[string]any{"user": s.userView(u)}
}

// deleteUser deletes a user so that it can be restored. One who has asked for a
// ticket that is not closed stays, and so does an agent with open assignments, a
// placeholder of a shared ticket, and a user of the legacy Chat.
func (s *Server) deleteUser(r *http.Request) (int, any) {
	u := s.live(r)
	if u == nil || u.Status != Active {
		return notFound()
	}
	for _, t := range s.data.Tickets {
		switch {
		case t.State != Live || t.Status == Closed:
		case t.Requester == u.ID:
			return invalid("base", "User is requester on tickets that are not closed")
		case t.Assignee == u.ID && t.Status != Solved:
			return invalid("base", "User has open assignments")
		}
	}
	if u.Locked {
		return invalid("base", "User cannot be deleted")
	}
	u.Status = Deleted
	s.changed(u)
	return 200, map[string]any{"user": s.userView(u)}
}

func (s *Server) deletedView(u *User) map[string]any {
	v := map[string]any{
		"id": u.ID, "url": "https://example.zendesk.com/api/v2/deleted_users/" + text(u.ID) + ".json", "name": u.Name, "email": u.email(), "phone": orNil(u.Phone),
		"shared_phone_number": nil, "photo": nil, "locale": "fr", "locale_id": 16, "time_zone": "Paris", "organization_id": 1, "role": u.Role, "active": false,
		"created_at": stamp(u.CreatedAt), "updated_at": stamp(u.CreatedAt),
	}
	if u.Status == Purged {
		v["name"], v["email"], v["phone"] = "Permanently Deleted User", nil, nil
	}
	return v
}

func (s *Server) deletedUsers(r *http.Request) (int, any) {
	var rows []row
	for _, id := range ordered(s.data.Users) {
		if u := s.data.Users[id]; u.Status != Active {
			rows = append(rows, row{id: id, view: func() map[string]any { return s.deletedView(u) }})
		}
	}
	return paged(r, "deleted_users", rows)
}

// deletedUser shows a user that is deleted but not purged yet.
func (s *Server) deletedUser(r *http.Request) (int, any) {
	u := s.data.Users[pathID(r, "deleted_user_id")]
	if u == nil || u.Status != Deleted {
		return notFound()
	}
	return 200, map[string]any{"deleted_user": s.deletedView(u)}
}

// purgeUser removes a deleted user for good. The other products of the account
// follow in their own time.
func (s *Server) purgeUser(r *http.Request) (int, any) {
	u := s.data.Users[pathID(r, "deleted_user_id")]
	if u == nil || u.Status != Deleted {
		return notFound()
	}
	view := s.deletedView(u)
	*u = User{ID: u.ID, Status: Purged, Role: "end-user", CreatedAt: u.CreatedAt, PurgedAt: s.Time(), Tags: []string{}, Fields: map[string]any{}, Identities: []Identity{}}
	s.changed(u)
	return 200, map[string]any{"deleted_user": view}
}

// purges are when each product begins and ends, after the purge was asked for.
var purges = []struct {
	application string
	from, to    time.Duration
}{
	{"support", 6 * time.Second, 100 * time.Second},
	{"explore", 20 * time.Minute, 10 * time.Hour},
	{"chat", 4 * time.Hour, 30 * time.Hour},
}

func (s *Server) compliance(r *http.Request) (int, any) {
	u := s.data.Users[pathID(r, "user_id")]
	if u == nil {
		return notFound()
	}
	var rows []row
	add := func(action, application string, after time.Duration, executer any) {
		at := u.PurgedAt.Add(s.Lasts(after))
		if u.Status != Purged || at.After(s.Time()) {
			return
		}
		rows = append(rows, row{id: int64(len(rows) + 1), view: func() map[string]any {
			return map[string]any{"action": action, "application": application, "account_subdomain": "example", "user_id": u.ID, "executer_id": executer, "created_at": stamp(at)}
		}})
	}
	add("request_deletion", "all", 0, 2000)
	for _, p := range purges {
		if only := r.URL.Query().Get("application"); only == "" || only == p.application {
			add("started", p.application, p.from, nil)
			add("complete", p.application, p.to, nil)
		}
	}
	return paged(r, "compliance_deletion_statuses", rows)
}

func (s *Server) sessions(r *http.Request) (int, any) {
	u := s.live(r)
	if u == nil {
		return notFound()
	}
	return paged(r, "sessions", []row{{id: 1, view: func() map[string]any {
		return map[string]any{"id": 3432, "user_id": u.ID, "authenticated_at": stamp(u.CreatedAt), "last_seen_at": stamp(u.CreatedAt), "url": "https://example.zendesk.com/api/v2/users/" + text(u.ID) + "/sessions/3432.json"}
	}}})
}

func (s *Server) related(r *http.Request) (int, any) {
	u := s.live(r)
	if u == nil {
		return notFound()
	}
	count := func(list string) int { return len(s.listed(u.ID, list)) }
	return 200, map[string]any{"user_related": map[string]int{
		"requested_tickets": count("requested"), "ccd_tickets": count("ccd"), "assigned_tickets": count("assigned"), "organization_subscriptions": 0,
	}}
}

func identityView(u *User, i Identity) map[string]any {
	return map[string]any{
		"id": i.ID, "user_id": u.ID, "url": "https://example.zendesk.com/api/v2/users/" + text(u.ID) + "/identities/" + text(i.ID) + ".json", "type": i.Type, "value": i.Value,
		"primary": i.Primary, "verified": i.Verified, "verification_method": map[bool]string{true: "full", false: "none"}[i.Verified], "deliverable_state": "deliverable",
		"undeliverable_count": 0, "created_at": stamp(u.CreatedAt), "updated_at": stamp(u.CreatedAt),
	}
}

func (s *Server) identities(r *http.Request) (int, any) {
	u := s.live(r)
	if u == nil {
		return notFound()
	}
	var rows []row
	for _, i := range u.Identities {
		rows = append(rows, row{id: i.ID, view: func() map[string]any { return identityView(u, i) }})
	}
	return paged(r, "identities", rows)
}

// addIdentity adds an address or a number that nobody else has. Doing it twice
// is refused.
func (s *Server) addIdentity(r *http.Request) (int, any) {
	u := s.live(r)
	if u == nil || u.Status != Active {
		return notFound()
	}
	var body struct {
		Identity struct {
			Type, Value string
			Verified    bool
			Skip        bool `json:"skip_verify_email"`
		} `json:"identity"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Identity.Value == "" {
		return invalid("value", "Value: cannot be blank")
	}
	for _, other := range s.data.Users {
		if slices.ContainsFunc(other.Identities, func(i Identity) bool {
			return i.Type == body.Identity.Type && strings.EqualFold(i.Value, body.Identity.Value)
		}) {
			return invalid("value", "Value: is already being used by another user")
		}
	}
	if !body.Identity.Skip {
		s.Note("MAIL SENT", r)
	}
	i := Identity{ID: s.number(), Type: body.Identity.Type, Value: body.Identity.Value, Verified: body.Identity.Verified}
	u.Identities = append(u.Identities, i)
	s.changed(u)
	return 201, map[string]any{"identity": identityView(u, i)}
}

func (s *Server) makePrimary(r *http.Request) (int, any) {
	u := s.live(r)
	if u == nil || u.Status != Active {
		return notFound()
	}
	n := slices.IndexFunc(u.Identities, func(i Identity) bool { return i.ID == pathID(r, "user_identity_id") })
	if n < 0 {
		return notFound()
	}
	for i := range u.Identities {
		if u.Identities[i].Type == u.Identities[n].Type {
			u.Identities[i].Primary = i == n
		}
	}
	s.changed(u)
	return s.identities(r)
}

// dropIdentity deletes an identity. The profile keeps the number of a telephone.
func (s *Server) dropIdentity(r *http.Request) (int, any) {
	u := s.live(r)
	if u == nil || u.Status != Active {
		return notFound()
	}
	n := slices.IndexFunc(u.Identities, func(i Identity) bool { return i.ID == pathID(r, "user_identity_id") })
	if n < 0 {
		return notFound()
	}
	if i := u.Identities[n]; i.Type == "email" && i.Primary && len(u.Identities) > 1 {
		return invalid("base", "the primary identity cannot be deleted")
	}
	u.Identities = slices.Delete(u.Identities, n, n+1)
	s.changed(u)
	return 204, nil
}

// AddUser adds a user and returns its id. The search finds it after a while.
func (s *Server) AddUser(u User, emails ...string) int64 {
	s.Lock()
	defer s.Unlock()
	return s.addUser(u, emails...).ID
}

// addUser adds a user with verified e-mails, the first of which is the primary one.
func (s *Server) addUser(u User, emails ...string) *User {
	if u.CreatedAt = s.Time(); u.ID == 0 {
		u.ID = s.number()
	}
	if u.Role == "" {
		u.Role = "end-user"
	}
	if u.Status == "" {
		u.Status = Active
	}
	if u.Tags == nil {
		u.Tags = []string{}
	}
	if u.Fields == nil {
		u.Fields = map[string]any{}
	}
	for n, email := range emails {
		u.Identities = append(u.Identities, Identity{ID: s.number(), Type: "email", Value: email, Primary: n == 0, Verified: true})
	}
	if u.Phone != "" {
		u.Identities = append(u.Identities, Identity{ID: s.number(), Type: "phone_number", Value: u.Phone, Primary: true, Verified: true})
	}
	s.data.Users[u.ID] = &u
	s.changed(&u)
	return &u
}

// Merge makes two users one: the second is deleted, and loses its identities and
// its tickets to the first.
func (s *Server) Merge(into, from int64) {
	s.Lock()
	defer s.Unlock()
	s.merge(into, from)
}

func (s *Server) merge(into, from int64) {
	winner, loser := s.data.Users[into], s.data.Users[from]
	for _, i := range loser.Identities {
		i.Primary = false
		winner.Identities = append(winner.Identities, i)
	}
	loser.Identities, loser.Phone, loser.ExternalID = []Identity{}, "", ""
	loser.Status, loser.MergedInto = Deleted, into
	for _, t := range s.data.Tickets {
		if t.Requester == from {
			t.Requester = into
		}
		for i := range t.Comments {
			if t.Comments[i].Author == from {
				t.Comments[i].Author = into
			}
		}
	}
	s.changed(winner)
	s.changed(loser)
}

// Update changes a user as an agent would, in the dashboard.
func (s *Server) Update(id int64, f func(*User)) {
	s.Lock()
	defer s.Unlock()
	f(s.data.Users[id])
	s.changed(s.data.Users[id])
}

// Find is the id of the user with an e-mail, 0 without one.
func (s *Server) Find(email string) int64 {
	s.Lock()
	defer s.Unlock()
	return s.find(email)
}

func (s *Server) find(email string) int64 {
	for _, id := range ordered(s.data.Users) {
		for _, i := range s.data.Users[id].Identities {
			if i.Type == "email" && strings.EqualFold(i.Value, email) {
				return id
			}
		}
	}
	return 0
}
