package fake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// The types of a Conversation.
const (
	Personal = "personal"
	Group    = "sdkGroup"
)

// Conversation is what users and the company have said.
type Conversation struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Default   bool      `json:"default"` // the first personal one of its user
	Users     []string  `json:"users"`
	Messages  []Message `json:"messages"`
	CreatedAt time.Time `json:"created_at"`
}

// Message is one message. User is "" for what the company says.
type Message struct {
	ID      string    `json:"id"`
	User    string    `json:"user,omitempty"`
	Name    string    `json:"name"`
	Text    string    `json:"text,omitempty"`
	File    string    `json:"file,omitempty"`
	Deleted bool      `json:"deleted,omitempty"`
	At      time.Time `json:"at"`
}

func (c *Conversation) view() map[string]any {
	v := map[string]any{"id": c.ID, "type": c.Type, "isDefault": c.Default, "createdAt": stamp(c.CreatedAt), "metadata": map[string]any{}}
	if n := len(c.Messages); n > 0 {
		v["lastUpdatedAt"] = stamp(c.Messages[n-1].At)
	}
	return v
}

// view is a message as the API shows it.
func (s *Server) view(r *http.Request, m Message) map[string]any {
	author := map[string]any{"type": "business", "displayName": m.Name, "subtypes": []string{"agent"}}
	if m.User != "" {
		author = map[string]any{"type": "user", "displayName": m.Name, "userId": m.User}
		if u := s.data.Users[m.User]; u != nil {
			author["user"] = u.view()
		}
	}
	v := map[string]any{"id": m.ID, "received": stamp(m.At), "author": author, "source": map[string]any{"type": "web"}}
	switch {
	case m.Deleted:
		v["deleted"] = true
	case m.File != "":
		f := s.data.Files[m.File]
		if f == nil {
			f = &File{Foreign: "https://gone.example.test", File: fakekit.File{ID: m.File}}
		}
		kind := "file"
		if f.MediaType == "image/jpeg" {
			kind = "image"
		}
		v["content"] = map[string]any{"type": kind, "mediaUrl": s.address(r, f), "mediaType": f.MediaType, "mediaSize": f.Size, "altText": f.Name}
	default:
		v["content"] = map[string]any{"type": "text", "text": m.Text}
	}
	return v
}

func noConversation() (int, any) {
	return 404, problem("conversation_not_found", "Conversation not found")
}

func (s *Server) conversation(r *http.Request) *Conversation {
	return s.data.Conversations[r.PathValue("id")]
}

func (s *Server) listConversations(r *http.Request) (int, any) {
	q := r.URL.Query()
	id, external := q.Get("filter[userId]"), q.Get("filter[userExternalId]")
	if (id == "") == (external == "") {
		return 400, problem("bad_request", "Exactly one of userId and userExternalId is required") // it would be everybody's
	}
	for _, u := range s.data.Users {
		if external != "" && u.ExternalID == external {
			id = u.ID
		}
	}
	if s.data.Users[id] == nil {
		return noUser()
	}
	own := slices.DeleteFunc(list(s.data.Conversations), func(c Conversation) bool { return !slices.Contains(c.Users, id) })
	page, meta, ok := paged(r, own, func(c Conversation) string { return c.ID })
	if !ok {
		return badPage()
	}
	views := []map[string]any{}
	for _, c := range page {
		views = append(views, c.view())
	}
	return 200, map[string]any{"conversations": views, "meta": meta}
}

func (s *Server) getConversation(r *http.Request) (int, any) {
	c := s.conversation(r)
	if c == nil {
		return noConversation()
	}
	return 200, map[string]any{"conversation": c.view()}
}

// deleteConversation deletes a conversation with its messages, and with the
// files that were uploaded for them. The default one stays.
func (s *Server) deleteConversation(r *http.Request) (int, any) {
	c := s.conversation(r)
	switch {
	case c == nil:
		return noConversation()
	case c.Default:
		return 400, problem("bad_request", fmt.Sprintf("Conversation %s cannot be deleted because it is the default.", c.ID))
	}
	s.drop(c.ID)
	return 200, map[string]any{}
}

// drop removes a conversation.
func (s *Server) drop(id string) {
	for _, m := range s.data.Conversations[id].Messages {
		s.dropFile(m)
	}
	delete(s.data.Conversations, id)
}

func (s *Server) listParticipants(r *http.Request) (int, any) {
	c := s.conversation(r)
	if c == nil {
		return noConversation()
	}
	page, meta, ok := paged(r, c.Users, func(id string) string { return id })
	if !ok {
		return badPage()
	}
	views := []map[string]any{}
	for _, id := range page {
		views = append(views, map[string]any{"id": id, "userId": id, "unreadCount": 0, "clientAssociations": []any{}})
	}
	return 200, map[string]any{"participants": views, "meta": meta}
}

// leave takes a user out of a conversation with others.
func (s *Server) leave(r *http.Request) (int, any) {
	var body struct {
		UserID string `json:"userId"`
	}
	c := s.conversation(r)
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.UserID == "" {
		return 400, problem("bad_request", "userId is required")
	}
	if c == nil || !slices.Contains(c.Users, body.UserID) {
		return 404, problem("not_found", "User is not a member of the conversation")
	}
	if c.Type == Personal {
		return 400, problem("bad_request", "A personal conversation cannot be left")
	}
	c.Users = slices.DeleteFunc(c.Users, func(id string) bool { return id == body.UserID })
	return 200, map[string]any{}
}

// listMessages gives pages of 100, the newest page first.
func (s *Server) listMessages(r *http.Request) (int, any) {
	c := s.conversation(r)
	if c == nil {
		return 404, problem("not_found", "Resource not found")
	}
	q := r.URL.Query()
	from, to := 0, len(c.Messages)
	if before := q.Get("page[before]"); before != "" {
		if to = slices.IndexFunc(c.Messages, func(m Message) bool { return m.ID == before }); to < 0 {
			return badPage() // it was deleted
		}
	}
	from = max(0, to-100)
	meta := map[string]any{"hasMore": from > 0}
	if from > 0 {
		meta["beforeCursor"] = c.Messages[from].ID
	}
	views := []map[string]any{}
	for _, m := range c.Messages[from:to] {
		views = append(views, s.view(r, m))
	}
	if s.o.NewestFirst {
		slices.Reverse(views)
	}
	return 200, map[string]any{"messages": views, "meta": meta}
}

func (s *Server) deleteMessages(r *http.Request) (int, any) {
	c := s.conversation(r)
	if c == nil {
		return noConversation()
	}
	for _, m := range c.Messages {
		s.dropFile(m)
	}
	c.Messages = nil
	return 200, map[string]any{}
}

func (s *Server) deleteMessage(r *http.Request) (int, any) {
	c := s.conversation(r)
	if c == nil {
		return noConversation()
	}
	i := slices.IndexFunc(c.Messages, func(m Message) bool { return m.ID == r.PathValue("one") && !m.Deleted })
	if i < 0 {
		return 404, problem("not_found", "Message not found")
	}
	s.dropFile(c.Messages[i])
	if s.o.Placeholders {
		m := c.Messages[i]
		c.Messages[i] = Message{ID: m.ID, User: m.User, At: m.At, Deleted: true}
	} else {
		c.Messages = slices.Delete(c.Messages, i, i+1)
	}
	return 200, map[string]any{}
}
