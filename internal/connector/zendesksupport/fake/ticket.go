package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// The statuses of a Ticket that matter: a closed one cannot be changed any more.
const (
	Open   = "open"
	Solved = "solved"
	Closed = "closed"
)

// The states of a Ticket's record.
const (
	Live    = "live"
	Trashed = "trashed" // can be restored; scrubbed after 30 days
	Gone    = "gone"
)

// Ticket is a support request.
type Ticket struct {
	ID        int64     `json:"id"`
	State     string    `json:"state"`
	Subject   string    `json:"subject"`
	Status    string    `json:"status"`
	Archived  bool      `json:"archived,omitempty"` // only the search shows it
	Channel   string    `json:"channel"`
	Requester int64     `json:"requester"`
	Assignee  int64     `json:"assignee,omitempty"`
	CCs       []int64   `json:"ccs,omitempty"`
	Followers []int64   `json:"followers,omitempty"`
	Rating    string    `json:"rating,omitempty"`
	Fields    []Field   `json:"fields,omitempty"`
	Comments  []Comment `json:"comments"`
	Chat      *Chat     `json:"chat,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	GoneAt    time.Time `json:"gone_at,omitzero"`
}

// Field is a value that the company has added to a Ticket.
type Field struct {
	ID    int64 `json:"id"`
	Value any   `json:"value"`
}

// Comment is one message of a Ticket.
type Comment struct {
	ID     int64   `json:"id"`
	Author int64   `json:"author"`
	HTML   string  `json:"html"`
	Files  []int64 `json:"files,omitempty"`
}

// Chat is the chat that a Ticket was made of.
type Chat struct {
	ID    string     `json:"id"`
	Lines []ChatLine `json:"lines"`
}

// ChatLine is one message of a Chat, or a file.
type ChatLine struct {
	Agent bool   `json:"agent"`
	Text  string `json:"text,omitempty"`
	File  string `json:"file,omitempty"`
}

func text(id int64) string { return strconv.FormatInt(id, 10) }

// view is a ticket as the API shows it: without its comments.
func (t *Ticket) view() map[string]any {
	both := slices.Compact(slices.Sorted(slices.Values(slices.Concat(t.CCs, t.Followers))))
	v := map[string]any{
		"id": t.ID, "url": "https://example.zendesk.com/api/v2/tickets/" + text(t.ID) + ".json", "subject": t.Subject, "raw_subject": t.Subject, "status": t.Status,
		"requester_id": t.Requester, "submitter_id": t.Requester, "collaborator_ids": append([]int64{}, both...), "email_cc_ids": append([]int64{}, t.CCs...),
		"follower_ids": append([]int64{}, t.Followers...), "via": map[string]any{"channel": t.Channel, "source": map[string]any{}}, "tags": []string{}, "due_at": nil,
		"custom_fields": append([]Field{}, t.Fields...), "is_public": true, "created_at": stamp(t.CreatedAt), "updated_at": stamp(t.CreatedAt),
		"satisfaction_rating": map[string]any{"score": map[bool]string{true: "unoffered", false: t.Rating}[t.Rating == ""]},
	}
	if t.Assignee != 0 {
		v["assignee_id"] = t.Assignee
	}
	return v
}

// live is the ticket of the path; nil for none and for a deleted one.
func (s *Server) ticketOf(r *http.Request) *Ticket {
	t := s.data.Tickets[pathID(r, "ticket_id")]
	if t == nil || t.State != Live {
		return nil
	}
	return t
}

// listed are a user's tickets of one list, in order.
func (s *Server) listed(user int64, list string) []*Ticket {
	var tickets []*Ticket
	for _, t := range s.data.Tickets {
		if t.State != Live || t.Archived {
			continue
		}
		if list == "requested" && t.Requester == user || list == "assigned" && t.Assignee == user || list == "ccd" && slices.Contains(t.CCs, user) {
			tickets = append(tickets, t)
		}
	}
	slices.SortFunc(tickets, func(a, b *Ticket) int { return int(a.ID - b.ID) })
	return tickets
}

func (s *Server) userTickets(r *http.Request) (int, any) {
	u := s.data.Users[pathID(r, "user_id")]
	list := r.PathValue("list")
	if u == nil || u.Status != Active || !slices.Contains([]string{"requested", "ccd", "assigned"}, list) {
		return notFound()
	}
	return paged(r, "tickets", rows(s.listed(u.ID, list)))
}

func rows(tickets []*Ticket) []row {
	list := make([]row, len(tickets))
	for i, t := range tickets {
		list[i] = row{id: t.ID, view: t.view}
	}
	return list
}

func (s *Server) getTicket(r *http.Request) (int, any) {
	t := s.ticketOf(r)
	if t == nil {
		return notFound()
	}
	return 200, map[string]any{"ticket": t.view()}
}

// idsOf reads a list of at most 100 ids.
func idsOf(r *http.Request) (ids []int64, ok bool) {
	texts := strings.Split(r.URL.Query().Get("ids"), ",")
	for _, one := range texts {
		id, err := strconv.ParseInt(one, 10, 64)
		if err != nil || len(texts) > 100 {
			return nil, false
		}
		ids = append(ids, id)
	}
	return ids, true
}

func tooMany() (int, any) {
	return 400, problem("TooManyValues", "ids must be 1 to 100 numbers, separated by commas")
}

func (s *Server) showTickets(r *http.Request) (int, any) {
	ids, ok := idsOf(r)
	if !ok {
		return tooMany()
	}
	shown := []map[string]any{}
	for _, id := range ids {
		if t := s.data.Tickets[id]; t != nil && t.State == Live {
			shown = append(shown, t.view())
		}
	}
	return 200, map[string]any{"tickets": shown}
}

func (s *Server) putTicket(r *http.Request) (int, any) {
	t := s.ticketOf(r)
	if t == nil {
		return notFound()
	}
	type who struct {
		User   string `json:"user_id"`
		Action string `json:"action"`
	}
	var body struct {
		Ticket struct {
			Subject   *string `json:"subject"`
			Status    *string `json:"status"`
			CCs       []who   `json:"email_ccs"`
			Followers []who   `json:"followers"`
			Fields    []Field `json:"custom_fields"`
		} `json:"ticket"`
	}
	switch {
	case json.NewDecoder(r.Body).Decode(&body) != nil:
		return invalid("base", "cannot be read")
	case t.Status == Closed:
		return invalid("status", "Status: closed prevents ticket update")
	case s.o.Refuse:
		return invalid("base", "Order number: is required when solving a ticket")
	}
	fields := slices.Clone(t.Fields)
	for _, f := range body.Ticket.Fields {
		n := slices.IndexFunc(fields, func(one Field) bool { return one.ID == f.ID })
		if n < 0 {
			continue
		}
		if f.ID == s.o.Required && (f.Value == nil || f.Value == "") {
			return invalid("base", "Order number: is required when solving a ticket")
		}
		fields[n].Value = f.Value
	}
	t.Fields = fields
	if body.Ticket.Subject != nil {
		t.Subject = *body.Ticket.Subject
	}
	if body.Ticket.Status != nil {
		t.Status = *body.Ticket.Status
	}
	for list, changes := range map[*[]int64][]who{&t.CCs: body.Ticket.CCs, &t.Followers: body.Ticket.Followers} {
		for _, w := range changes {
			if w.Action == "delete" {
				*list = slices.DeleteFunc(slices.Clone(*list), func(id int64) bool { return text(id) == w.User })
			}
		}
	}
	audit := map[string]any{"id": 1, "ticket_id": t.ID, "events": []any{}}
	return 200, map[string]any{"ticket": t.view(), "audit": audit}
}

func (s *Server) trash(t *Ticket) { t.State, t.GoneAt = Trashed, s.Time() }

func (s *Server) deleteTicket(r *http.Request) (int, any) {
	t := s.ticketOf(r)
	if t == nil {
		return notFound()
	}
	s.trash(t)
	return 204, nil
}

func (s *Server) deletedTickets(r *http.Request) (int, any) {
	var list []row
	for _, id := range ordered(s.data.Tickets) {
		if t := s.data.Tickets[id]; t.State == Trashed {
			list = append(list, row{id: id, view: func() map[string]any {
				return map[string]any{"id": t.ID, "subject": t.Subject, "previous_state": t.Status, "deleted_at": stamp(t.GoneAt), "actor": map[string]any{"id": 2000, "name": "Avow"}}
			}})
		}
	}
	return paged(r, "deleted_tickets", list)
}

// commentView is a comment as the API shows it.
func (s *Server) commentView(r *http.Request, t *Ticket, c Comment) map[string]any {
	files := []map[string]any{}
	for _, id := range c.Files {
		f := s.data.Files[id]
		host := fakekit.OtherHost(r, "https://files.zendesk-cdn.test")
		files = append(files, map[string]any{
			"id": id, "file_name": f.Name, "content_type": f.MediaType, "size": f.Size, "inline": false, "deleted": false, "thumbnails": []any{},
			"content_url": host + "/_files/" + text(id) + "?token=" + token(id), "url": fakekit.Base(r) + "/api/v2/attachments/" + text(id) + ".json",
		})
	}
	return map[string]any{
		"id": c.ID, "type": "Comment", "author_id": c.Author, "public": true, "html_body": c.HTML, "body": words(c.HTML), "plain_body": words(c.HTML), "audit_id": c.ID + 1,
		"attachments": files, "via": map[string]any{"channel": t.Channel, "source": map[string]any{}}, "metadata": map[string]any{}, "created_at": stamp(t.CreatedAt),
	}
}

// words is the text of HTML.
func words(html string) string {
	var b strings.Builder
	inside := false
	for _, r := range html {
		switch {
		case r == '<':
			inside = true
		case r == '>':
			inside = false
		case !inside:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func (s *Server) comments(r *http.Request) (int, any) {
	t := s.ticketOf(r)
	if t == nil {
		return notFound()
	}
	var list []row
	for _, c := range t.Comments {
		list = append(list, row{id: c.ID, view: func() map[string]any { return s.commentView(r, t, c) }})
	}
	return paged(r, "comments", list)
}

// audits say who changed a ticket from where; one has the transcript of the chat.
func (s *Server) audits(r *http.Request) (int, any) {
	t := s.ticketOf(r)
	if t == nil {
		return notFound()
	}
	var list []row
	for _, c := range t.Comments {
		list = append(list, row{id: c.ID + 1, view: func() map[string]any {
			return auditView(t, c.ID+1, c.Author, map[string]any{"id": c.ID, "type": "Comment", "body": words(c.HTML), "html_body": c.HTML, "public": true, "attachments": []any{}})
		}})
	}
	if t.Chat != nil {
		list = append(list, row{id: t.ID + 1<<40, view: func() map[string]any { return auditView(t, t.ID+1<<40, t.Requester, t.chatEvent()) }})
	}
	return paged(r, "audits", list)
}

func auditView(t *Ticket, id, author int64, event map[string]any) map[string]any {
	return map[string]any{
		"id": id, "ticket_id": t.ID, "author_id": author, "created_at": stamp(t.CreatedAt), "via": map[string]any{"channel": t.Channel, "source": map[string]any{}},
		"metadata": map[string]any{"custom": map[string]any{}, "system": map[string]any{"client": "Mozilla/5.0", "ip_address": "192.0.2.7", "location": "Paris, France"}},
		"events":   []any{event},
	}
}

func (t *Ticket) chatEvent() map[string]any {
	history := []map[string]any{}
	for i, l := range t.Chat.Lines {
		one := map[string]any{"chat_index": i, "actor_id": t.Requester, "actor_type": "end-user", "type": "ChatMessage", "message": l.Text, "timestamp": 1632470783218}
		if l.Agent {
			one["actor_id"], one["actor_type"] = t.Assignee, "agent"
		}
		if l.File != "" {
			one["type"], one["filename"] = "ChatFileAttachment", l.File
			delete(one, "message")
		}
		history = append(history, one)
	}
	return map[string]any{"id": t.ID + 2<<40, "type": "ChatStartedEvent", "value": map[string]any{"chat_id": t.Chat.ID, "visitor_id": "10502823-16EkM3T6VNq7KMd", "history": history}}
}

func token(id int64) string { return fmt.Sprintf("%x", "file "+text(id)) }

// file is the other host. A token that is sent there is a token lost.
func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	var f fakekit.File
	var ok bool
	leaked := r.Header.Get("Authorization") != ""
	id := pathID(r, "id")
	s.Settled(func() {
		f, ok = s.data.Files[id]
		if leaked {
			s.Note("LEAKED TOKEN", r)
		}
	})
	switch {
	case leaked || r.URL.Query().Get("token") != token(id):
		http.Error(w, "bad token", http.StatusBadRequest)
	case !ok:
		http.Error(w, "gone", http.StatusNotFound)
	default:
		f.Serve(w)
	}
}

// AddTicket adds a ticket with one comment of its requester and returns its id.
func (s *Server) AddTicket(t Ticket, html string) int64 {
	s.Lock()
	defer s.Unlock()
	return s.addTicket(t, html).ID
}

func (s *Server) addTicket(t Ticket, html string) *Ticket {
	t.ID, t.State, t.CreatedAt = s.number(), Live, s.Time()
	if t.Status == "" {
		t.Status = Closed
	}
	if t.Channel == "" {
		t.Channel = "email"
	}
	s.data.Tickets[t.ID] = &t
	s.say(&t, t.Requester, html)
	return &t
}

// say adds a comment.
func (s *Server) say(t *Ticket, author int64, html string) {
	t.Comments = append(t.Comments, Comment{ID: 10 * s.number(), Author: author, HTML: html})
}

// Say adds a comment to a ticket.
func (s *Server) Say(ticket, author int64, html string) {
	s.Lock()
	defer s.Unlock()
	s.say(s.data.Tickets[ticket], author, html)
}

// AddFile adds an attachment of size bytes to the last comment of a ticket.
func (s *Server) AddFile(ticket int64, f fakekit.File) {
	s.Lock()
	defer s.Unlock()
	s.addFile(s.data.Tickets[ticket], f)
}

func (s *Server) addFile(t *Ticket, f fakekit.File) {
	id := s.number()
	f.ID = text(id)
	s.data.Files[id] = f
	last := &t.Comments[len(t.Comments)-1]
	last.Files = append(last.Files, id)
}

// Ticket is a ticket as it is now.
func (s *Server) Ticket(id int64) Ticket {
	s.Lock()
	defer s.Unlock()
	return *s.data.Tickets[id]
}

// Edit changes a ticket as an agent would, in the dashboard.
func (s *Server) Edit(id int64, f func(*Ticket)) {
	s.Lock()
	defer s.Unlock()
	f(s.data.Tickets[id])
}
