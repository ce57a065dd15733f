package fake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// The states of a Ticket.
const (
	Open   = "open"
	Solved = "solved"
)

// Ticket is a conversation with the help desk.
type Ticket struct {
	ID        string    `json:"id"`
	Requester string    `json:"requester"`
	Assignee  string    `json:"assignee"`
	Subject   string    `json:"subject"`
	Status    string    `json:"status"`
	Locked    bool      `json:"locked"` // under an audit of the vendor: cannot be deleted
	Comments  []Comment `json:"comments"`
	CreatedAt time.Time `json:"created_at"`
}

// Comment is one message of a ticket.
type Comment struct {
	ID     string    `json:"id"`
	Author string    `json:"author"`
	Body   string    `json:"body"`
	Files  []string  `json:"files"`
	At     time.Time `json:"at"`
}

func (s *Server) listTickets(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return 404, problem("RecordNotFound")
	}
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(s.data.Tickets)) {
		if t := s.data.Tickets[id]; t.Requester == u.ID {
			list = append(list, map[string]any{"id": t.ID, "subject": t.Subject, "status": t.Status, "locked": t.Locked, "created_at": t.CreatedAt.UTC()})
		}
	}
	page, next, status := paged(r, list)
	if status != 200 {
		return status, problem("CursorInvalid")
	}
	return 200, map[string]any{"tickets": page, "next": next, "count": len(list)}
}

func (s *Server) getTicket(r *http.Request) (int, any) {
	t := s.data.Tickets[r.PathValue("id")]
	if t == nil {
		return 404, problem("RecordNotFound")
	}
	comments := []map[string]any{}
	for _, c := range t.Comments {
		files := []map[string]any{}
		for _, id := range c.Files {
			f := s.data.Files[id]
			files = append(files, map[string]any{"id": id, "name": f.Name, "media_type": f.MediaType, "size": f.Size, "url": fakekit.Base(r) + "/api/v1/files/" + id})
		}
		comments = append(comments, map[string]any{"id": c.ID, "author_id": c.Author, "body": c.Body, "created_at": c.At.UTC(), "attachments": files})
	}
	return 200, map[string]any{"ticket": map[string]any{
		"id": t.ID, "subject": t.Subject, "status": t.Status, "locked": t.Locked, "created_at": t.CreatedAt.UTC(), "requester_id": t.Requester, "comments": comments,
	}}
}

// deleteTicket deletes a ticket with its comments and files, for good.
func (s *Server) deleteTicket(r *http.Request) (int, any) {
	t := s.data.Tickets[r.PathValue("id")]
	switch {
	case t == nil:
		return 404, problem("RecordNotFound")
	case t.Locked:
		return 423, problem("TicketLocked")
	}
	for _, c := range t.Comments {
		for _, id := range c.Files {
			delete(s.data.Files, id)
		}
	}
	delete(s.data.Tickets, t.ID)
	return 204, nil
}

// redirect sends a client with a token to the host that has the file.
func (s *Server) redirect(r *http.Request) (int, any) {
	id := r.PathValue("id")
	if _, ok := s.data.Files[id]; !ok {
		return 404, problem("RecordNotFound")
	}
	host := s.o.Files
	if host == "" {
		host = fakekit.OtherHost(r, "https://files.refdesk.test")
	}
	return 302, fakekit.Raw{Header: http.Header{"Location": {host + "/_files/" + id + "?sig=" + signature(id)}}}
}

func signature(id string) string { return fmt.Sprintf("%x", "file "+id) }

// file is the other host. A token that is sent there is a token lost.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	var f fakekit.File
	var ok bool
	leaked := r.Header.Get("Authorization") != ""
	s.Settled(func() {
		f, ok = s.data.Files[r.PathValue("id")]
		if leaked {
			s.Note("LEAKED TOKEN", r)
		}
	})
	switch {
	case leaked || r.URL.Query().Get("sig") != signature(r.PathValue("id")):
		http.Error(w, "bad signature", http.StatusBadRequest)
	case !ok:
		http.Error(w, "gone", http.StatusNotFound)
	default:
		f.Serve(w)
	}
}

// AddFile adds an attachment of size bytes to the first comment of a ticket.
func (s *Server) AddFile(ticket, name, mediaType, text string, size int64) {
	s.Lock()
	defer s.Unlock()
	s.addFile(s.data.Tickets[ticket], name, mediaType, text, size)
}

func (s *Server) addFile(t *Ticket, name, mediaType, text string, size int64) {
	id := "F" + s.Number()
	s.data.Files[id] = fakekit.File{ID: id, Name: name, MediaType: mediaType, Text: text, Size: size}
	t.Comments[0].Files = append(t.Comments[0].Files, id)
}

// AddTicket opens a ticket of a user and returns its id.
func (s *Server) AddTicket(requester, subject, body, status string) string {
	s.Lock()
	defer s.Unlock()
	return s.addTicket(requester, subject, body, status, s.Time()).ID
}

func (s *Server) addTicket(requester, subject, body, status string, at time.Time) *Ticket {
	id := "T" + s.Number()
	s.data.Tickets[id] = &Ticket{
		ID: id, Requester: requester, Subject: subject, Status: status, CreatedAt: at,
		Comments: []Comment{{ID: "C" + s.Number(), Author: requester, Body: body, At: at, Files: []string{}}},
	}
	return s.data.Tickets[id]
}

// Audit puts a ticket under an audit, or takes it out.
func (s *Server) Audit(ticket string, locked bool) {
	s.Lock()
	defer s.Unlock()
	s.data.Tickets[ticket].Locked = locked
}

// AddUser adds a user and returns its id. The search finds it after a while.
func (s *Server) AddUser(u User) string {
	s.Lock()
	defer s.Unlock()
	return s.addUser(u).ID
}

func (s *Server) addUser(u User) *User {
	u.ID = "U" + s.Number()
	u.CreatedAt = s.Time()
	if u.Role == "" {
		u.Role = "end_user"
	}
	if u.Status == "" {
		u.Status = Active
	}
	if u.Tags == nil {
		u.Tags = []string{}
	}
	s.data.Users[u.ID] = &u
	s.changed(&u)
	return &u
}

// Merge makes two users one: the second keeps its record, and loses its tickets
// to the first.
func (s *Server) Merge(into, from string) {
	s.Lock()
	defer s.Unlock()
	s.merge(into, from)
}

func (s *Server) merge(into, from string) {
	winner, loser := s.data.Users[into], s.data.Users[from]
	loser.Status, loser.MergedInto = Merged, into
	winner.MergedFrom = append(winner.MergedFrom, from)
	for _, t := range s.data.Tickets {
		if t.Requester == from {
			t.Requester = into
		}
	}
	s.changed(winner)
	s.changed(loser)
}

// Find is the id of the user with an e-mail, "" without one.
func (s *Server) Find(email string) string {
	s.Lock()
	defer s.Unlock()
	for _, u := range s.data.Users {
		if strings.EqualFold(u.Email, email) && u.Status != Purged {
			return u.ID
		}
	}
	return ""
}
