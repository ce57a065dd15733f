package fake

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// The states of a User.
const (
	Active  = "active"
	Merged  = "merged"  // into another one, which has the tickets; the record is still there
	Trashed = "trashed" // deleted, and can be restored
	Purging = "purging" // a job removes it for good
	Purged  = "purged"  // gone; only the evidence is left
)

// User is a person or an agent. Of a purged one nothing but id, times and
// certificate is left.
type User struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Email       string     `json:"email"`
	Phone       string     `json:"phone"`
	ExternalID  string     `json:"external_id"`
	Role        string     `json:"role"` // end_user, agent
	Verified    bool       `json:"verified"`
	Status      string     `json:"status"`
	MergedInto  string     `json:"merged_into,omitempty"`
	MergedFrom  []string   `json:"merged_from,omitempty"`
	Tags        []string   `json:"tags"`
	Notes       string     `json:"notes"`
	CreatedAt   time.Time  `json:"created_at"`
	PurgeAsked  *time.Time `json:"purge_asked,omitempty"`
	PurgedAt    *time.Time `json:"purged_at,omitempty"`
	Certificate string     `json:"certificate,omitempty"`
	Job         string     `json:"job,omitempty"`
}

// version is a user as it was from an instant on; nil: gone.
type version struct {
	From time.Time
	User *User
}

// changed lets the search know of a user, after a while.
func (s *Server) changed(u *User) {
	v := version{From: s.Time()}
	if u.Status != Purged {
		copied := *u
		v.User = &copied
	}
	s.data.Versions[u.ID] = append(s.data.Versions[u.ID], v)
}

// indexed is a user as the search knows it.
func (s *Server) indexed(id string) *User {
	var known *User
	until := s.Time().Add(-s.Lasts(indexLag))
	for _, v := range s.data.Versions[id] {
		if !v.From.After(until) {
			known = v.User
		}
	}
	return known
}

// purge removes for good what time has come for.
func (s *Server) purge() {
	for _, u := range s.data.Users {
		if u.Status == Purging && !s.Time().Before(u.PurgeAsked.Add(s.Lasts(purgeJob))) {
			at := u.PurgeAsked.Add(s.Lasts(purgeJob))
			*u = User{ID: u.ID, Status: Purged, CreatedAt: u.CreatedAt, PurgeAsked: u.PurgeAsked, PurgedAt: &at, Certificate: "RDP-" + u.Job, Job: u.Job, Tags: []string{}}
			s.changed(u)
		}
	}
}

// view is a user as the API shows it.
func view(u *User) map[string]any {
	return map[string]any{
		"id": u.ID, "name": u.Name, "email": u.Email, "phone": u.Phone, "external_id": u.ExternalID, "role": u.Role, "verified": u.Verified,
		"active": u.Status == Active, "merged_into": u.MergedInto, "merged_from": append([]string{}, u.MergedFrom...), "tags": append([]string{}, u.Tags...),
		"notes": u.Notes, "created_at": u.CreatedAt.UTC(),
	}
}

// searchUsers finds by part of the e-mail, by phone or by the exact external id.
func (s *Server) searchUsers(r *http.Request) (int, any) {
	q := r.URL.Query()
	email, phone, external := strings.ToLower(q.Get("email")), digits(q.Get("phone")), q.Get("external_id")
	if email == "" && phone == "" && external == "" {
		return 400, problem("QueryMissing") // it would be everybody
	}
	hits := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(s.data.Versions)) {
		u := s.indexed(id)
		if u == nil || u.Status == Trashed || u.Status == Purging {
			continue
		}
		if email != "" && strings.Contains(strings.ToLower(u.Email), email) || phone != "" && digits(u.Phone) == phone || external != "" && u.ExternalID == external {
			hits = append(hits, view(u))
		}
	}
	page, next, status := paged(r, hits)
	if status != 200 {
		return status, problem("CursorInvalid")
	}
	return 200, map[string]any{"users": page, "next": next, "indexed_until": s.Time().Add(-s.Lasts(indexLag)).UTC()}
}

// digits is what two notations of a number have in common.
func digits(text string) string {
	return strings.TrimLeft(strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, text), "0")
}

// paged cuts a page out of a list; next is the address of the one that follows,
// nil after the last.
func paged(r *http.Request, list []map[string]any) (page []map[string]any, next any, status int) {
	from := 0
	if cursor := r.URL.Query().Get("cursor"); cursor != "" {
		n, err := strconv.Atoi(strings.TrimPrefix(cursor, "c"))
		if err != nil || n < 0 || n > len(list) {
			return nil, nil, 400
		}
		from = n
	}
	to := min(from+pageSize, len(list))
	if to < len(list) {
		q := r.URL.Query()
		q.Set("cursor", "c"+strconv.Itoa(to))
		next = fakekit.Base(r) + r.URL.Path + "?" + q.Encode()
	}
	return list[from:to], next, 200
}

func (s *Server) user(r *http.Request) *User {
	u := s.data.Users[r.PathValue("id")]
	if u == nil || u.Status == Purged {
		return nil
	}
	return u
}

func (s *Server) getUser(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return 404, problem("RecordNotFound")
	}
	return 200, map[string]any{"user": view(u)}
}

func (s *Server) putUser(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil || u.Status != Active {
		return 404, problem("RecordNotFound")
	}
	var change struct{ Name, Email, Phone *string }
	if json.NewDecoder(r.Body).Decode(&change) != nil || change.Email != nil && !strings.Contains(*change.Email, "@") {
		return 422, problem("RecordInvalid")
	}
	for to, value := range map[*string]*string{&u.Name: change.Name, &u.Email: change.Email, &u.Phone: change.Phone} {
		if value != nil {
			*to = *value
		}
	}
	s.changed(u)
	return 200, map[string]any{"user": view(u)}
}

func (s *Server) putTags(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil || u.Status != Active {
		return 404, problem("RecordNotFound")
	}
	var body struct{ Tags []string }
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Tags) > 20 {
		return 422, problem("RecordInvalid")
	}
	u.Tags = body.Tags
	s.changed(u)
	return 200, map[string]any{"user": view(u)}
}

// trashUser deletes a user, so that it can be restored. One with a ticket that
// is open, asked or to be answered, stays.
func (s *Server) trashUser(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil || u.Status != Active {
		return 404, problem("RecordNotFound")
	}
	for _, t := range s.data.Tickets {
		if t.Status == Open && (t.Requester == u.ID || t.Assignee == u.ID) {
			return 422, problem("OpenTickets")
		}
	}
	u.Status = Trashed
	s.changed(u)
	return 200, map[string]any{"user": view(u)}
}

func deletedView(u *User) map[string]any {
	v := map[string]any{"id": u.ID, "status": u.Status, "requested_at": nil, "purged_at": nil, "certificate": nil}
	if u.Status == Merged {
		v["status"] = Trashed
	}
	if u.PurgeAsked != nil {
		v["requested_at"] = u.PurgeAsked.UTC()
	}
	if u.PurgedAt != nil {
		v["purged_at"], v["certificate"] = u.PurgedAt.UTC(), u.Certificate
	}
	return map[string]any{"deleted_user": v}
}

func (s *Server) getDeleted(r *http.Request) (int, any) {
	u := s.data.Users[r.PathValue("id")]
	if u == nil || u.Status == Active {
		return 404, problem("RecordNotFound")
	}
	return 200, deletedView(u)
}

// purgeUser begins to remove a deleted user for good. Asked again it is the
// same job.
func (s *Server) purgeUser(r *http.Request) (int, any) {
	u := s.data.Users[r.PathValue("id")]
	switch {
	case u == nil || u.Status == Purged:
		return 404, problem("RecordNotFound")
	case u.Status == Active:
		return 409, problem("NotDeleted")
	}
	if u.Status != Purging {
		now := s.Time()
		job := &Job{ID: "J" + s.Number(), Kind: "purge", User: u.ID, CreatedAt: now, ReadyAt: now.Add(s.Lasts(purgeJob))}
		s.data.Jobs[job.ID] = job
		u.Status, u.PurgeAsked, u.Job = Purging, &now, job.ID
		s.changed(u)
	}
	return 202, map[string]any{"job": s.jobView(*s.data.Jobs[u.Job])}
}
