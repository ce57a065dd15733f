package fake

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The states of a User.
const (
	Active   = "active"
	Inactive = "inactive"
	Pending  = "pending" // invited, and has not answered
	// Left is a person who was only taken out of the account: Zoom still holds
	// everything of them. No call finds them.
	Left = "disassociated"
)

// User is somebody with a seat in the account.
type User struct {
	ID, Email, First, Last, Status string
	Owner                          bool // of the account: cannot be deleted
	Room                           bool // a Zoom Room: cannot be deleted, either
	Unverified                     bool
	PMI                            int
	PMIPassword, HostKey           string
	Phone, Company, JobTitle       string
	PhoneUser                      string // id in Zoom Phone; "" without a licence
	Extension                      int
	CreatedAt                      time.Time
}

// Display is the name that others see.
func (u User) Display() string { return strings.TrimSpace(u.First + " " + u.Last) }

// AddUser adds a user and returns the id.
func (s *Server) AddUser(u User) (id string) {
	s.Settled(func() { id = s.addUser(u).ID })
	return id
}

func (s *Server) addUser(u User) *User {
	n := s.Number()
	if u.ID == "" {
		u.ID = "uS3r-" + n + "_id"
	}
	if u.Status == "" {
		u.Status = Active
	}
	if u.PMI == 0 {
		number, _ := strconv.Atoi(n)
		u.PMI = 9_000_000_000 + number
	}
	u.PMIPassword, u.HostKey, u.CreatedAt = "pmi-secret-"+n, "host-key-"+n, s.Time()
	s.data.Users[u.ID] = &u
	return &u
}

// user finds by id or e-mail. A plus sign that is not encoded is a space.
func (s *Server) user(r *http.Request) *User {
	key := r.PathValue("id")
	if strings.Contains(r.URL.EscapedPath(), "+") {
		key = strings.ReplaceAll(key, "+", " ")
	}
	for _, u := range s.data.Users {
		if (u.ID == key || strings.EqualFold(u.Email, key)) && u.Status != Left {
			return u
		}
	}
	return nil
}

func noUser(id string) (int, any) { return 404, problem(1001, "User does not exist: "+id+".") }

func userRow(u *User) map[string]any {
	v := map[string]any{
		"id": u.ID, "email": u.Email, "first_name": u.First, "last_name": u.Last, "display_name": u.Display(), "type": 2, "status": u.Status,
		"pmi": u.PMI, "verified": 1, "created_at": instant(u.CreatedAt), "timezone": "Europe/Paris", "role_id": "2", "dept": "Support",
	}
	if u.Unverified {
		v["verified"] = 0
	}
	if u.Owner {
		v["role_id"] = "0"
	}
	return v
}

func (s *Server) listUsers(r *http.Request) (int, any) {
	status := r.URL.Query().Get("status")
	if status == "" {
		status = Active // and nobody who is inactive or pending is seen
	}
	rows := []map[string]any{}
	for _, u := range pick(s.data.Users, func(u *User) bool { return u.Status == status }) {
		rows = append(rows, userRow(u))
	}
	return s.page(r, "users", rows, 300, 300)
}

// getUser does not find who has not accepted the invitation yet.
func (s *Server) getUser(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil || u.Status == Pending {
		return noUser(r.PathValue("id"))
	}
	v := userRow(u)
	maps.Copy(v, map[string]any{
		"use_pmi": false, "personal_meeting_url": "https://example.zoom.us/j/" + strconv.Itoa(u.PMI) + "?pwd=" + u.PMIPassword,
		"phone_number": u.Phone, "company": u.Company, "job_title": u.JobTitle, "plan_united_type": "1", "account_id": Account,
		"language": "fr-FR", "location": "Lyon", "pic_url": "https://example.zoom.us/p/" + u.ID,
	})
	return 200, v
}

func (s *Server) patchUser(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil || u.Status == Pending {
		return noUser(r.PathValue("id"))
	}
	var change struct {
		First   *string `json:"first_name"`
		Last    *string `json:"last_name"`
		Phone   *string `json:"phone_number"`
		Company *string `json:"company"`
		Title   *string `json:"job_title"`
		Display *string `json:"display_name"`
	}
	if json.NewDecoder(r.Body).Decode(&change) != nil {
		return 400, problem(300, "Request body is invalid.")
	}
	for to, value := range map[*string]*string{&u.First: change.First, &u.Last: change.Last, &u.Phone: change.Phone, &u.Company: change.Company, &u.JobTitle: change.Title} {
		if value != nil {
			*to = *value
		}
	}
	return 204, nil
}

// Managed is the domain in which the account may change e-mail addresses.
const Managed = "example.test"

func (s *Server) putEmail(r *http.Request) (int, any) {
	u := s.user(r)
	var change struct {
		Email string `json:"email"`
	}
	switch {
	case u == nil:
		return noUser(r.PathValue("id"))
	case json.NewDecoder(r.Body).Decode(&change) != nil || !strings.HasSuffix(change.Email, "@"+Managed) || !strings.HasSuffix(u.Email, "@"+Managed):
		return 400, problem(300, "The e-mail address is not in a managed domain.")
	}
	u.Email = change.Email
	return 204, nil
}

// deleteUser without action only takes the person out of the account; so does
// everything that is not exactly "delete".
func (s *Server) deleteUser(r *http.Request) (int, any) {
	u := s.user(r)
	q := r.URL.Query()
	switch {
	case u == nil:
		return noUser(r.PathValue("id"))
	case s.Time().Before(s.data.Busy[u.ID]):
		return 429, problem(429, "Too many concurrent requests. A request to delete this user has already been made.")
	case u.Owner:
		return 400, problem(200, "Cannot delete a user out of your account.")
	case u.Room:
		return 400, problem(200, "Cannot delete a Zoom Rooms user.")
	case q.Get("action") == "delete" && u.Status == Pending:
		return 400, problem(300, "Unable to unlink API user(s).")
	}
	if q.Get("action") != "delete" {
		if u.Status == Pending {
			delete(s.data.Users, u.ID)
			return 204, nil
		}
		u.Status = Left
		return 204, nil
	}
	delete(s.data.Users, u.ID)
	if q.Get("transfer_email") != "" {
		return 204, nil // all of it belongs to somebody else now
	}
	for id, e := range s.data.Events {
		if e.Host == u.ID {
			delete(s.data.Events, id)
			maps.DeleteFunc(s.data.Registrants, func(_ string, p *Registrant) bool { return p.Event == id })
			maps.DeleteFunc(s.data.Panelists, func(_ string, p *Panelist) bool { return p.Event == id })
		}
	}
	maps.DeleteFunc(s.data.Sessions, func(_ string, x *Session) bool { return x.Host == u.ID })
	for _, x := range s.data.Recordings {
		if x.Host == u.ID {
			x.Trashed = true
		}
	}
	return 204, nil
}
