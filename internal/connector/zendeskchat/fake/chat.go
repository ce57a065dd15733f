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

// The types of a Chat.
const (
	Live    = "chat"
	Offline = "offline_msg"
)

// Chat is a chat, or a message that was left while nobody was there.
type Chat struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	Visitor    Visitor   `json:"visitor"`
	Timestamp  time.Time `json:"timestamp"`
	Message    string    `json:"message,omitempty"` // of an offline message
	History    []Line    `json:"history,omitempty"`
	AgentIDs   []string  `json:"agent_ids,omitempty"`
	AgentNames []string  `json:"agent_names,omitempty"`
	Tags       []string  `json:"tags"`
	IP         string    `json:"ip"`
	UserAgent  string    `json:"user_agent"`
	Rating     string    `json:"rating"`
	Comment    string    `json:"comment"`
	Ticket     int       `json:"ticket,omitempty"`
}

// Visitor is what the visitor has typed.
type Visitor struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone"`
	Notes string `json:"notes"`
}

// Line is an entry of a transcript.
type Line struct {
	Type string `json:"type"` // chat.msg, chat.file, chat.memberjoin
	Name string `json:"name"`
	By   string `json:"by"` // Visitor, Agent
	Text string `json:"text"`
	File string `json:"file,omitempty"`
}

// Agent is somebody who answers.
type Agent struct {
	ID      int    `json:"id"`
	Email   string `json:"email"`
	Display string `json:"display_name"`
	First   string `json:"first_name"`
	Last    string `json:"last_name"`
}

// preview is the beginning of what was written first.
func (c *Chat) preview() string {
	text := c.Message
	if i := slices.IndexFunc(c.History, func(l Line) bool { return l.Type == "chat.msg" }); i >= 0 {
		text = c.History[i].Text
	}
	runes := []rune(text)
	return string(runes[:min(len(runes), 100)])
}

// view is a chat as the API shows it.
func (s *Server) view(r *http.Request, c *Chat) map[string]any {
	at := c.Timestamp.UTC()
	v := map[string]any{
		"id": c.ID, "type": c.Type, "visitor": c.Visitor, "timestamp": at.Format(time.RFC3339), "department_id": 7, "department_name": "Shop", "unread": false,
		"session": map[string]any{
			"id": "s" + c.ID, "ip": c.IP, "city": "Lyon", "region": "Auvergne-Rhône-Alpes", "country_code": "FR", "country_name": "France", "platform": "Linux",
			"browser": "Firefox", "user_agent": c.UserAgent, "start_date": at.Add(-time.Minute).Format(time.RFC3339), "end_date": at.Add(10 * time.Minute).Format(time.RFC3339),
		},
		"webpath": []map[string]any{{"from": "https://search.example.test/?q=lamp", "to": "https://shop.example.test/lamps", "title": "Lamps", "timestamp": at.Format(time.RFC3339)}},
	}
	if c.Ticket > 0 {
		v["zendesk_ticket_id"] = c.Ticket
	}
	if c.Type == Offline {
		v["message"] = c.Message
		return v
	}
	history := []map[string]any{}
	for i, l := range c.History {
		history = append(history, s.line(r, c, i, l))
	}
	more := map[string]any{
		"end_timestamp": at.Add(10 * time.Minute).Format(time.RFC3339), "duration": 600, "history": history, "agent_ids": append([]string{}, c.AgentIDs...),
		"agent_names": append([]string{}, c.AgentNames...), "tags": append([]string{}, c.Tags...), "rating": c.Rating, "comment": c.Comment, "missed": false,
		"triggered": false, "triggered_response": false, "started_by": "visitor", "count": map[string]int{"visitor": 1, "agent": 1, "total": 2},
		"response_time": map[string]any{"first": 4, "avg": 4.5, "max": 5}, "referrer_search_engine": "", "referrer_search_terms": "", "conversions": []any{},
	}
	for key, value := range more {
		v[key] = value
	}
	return v
}

func (s *Server) line(r *http.Request, c *Chat, i int, l Line) map[string]any {
	v := map[string]any{
		"index": i, "type": l.Type, "name": l.Name, "nick": strings.ToLower(l.By), "channel": "#chat", "timestamp": c.Timestamp.UTC().Add(time.Duration(i) * time.Second).Format(time.RFC3339),
		"msg": l.Text, "msg_id": strconv.Itoa(i), "sender_type": l.By,
	}
	if l.File != "" {
		f := s.data.Files[l.File]
		v["attachment"] = map[string]any{"name": f.Name, "mime_type": f.MediaType, "size": f.Size, "url": s.fileHost(r) + "/_files/" + l.File + "?sig=" + signature(l.File)}
	}
	return v
}

func (s *Server) fileHost(r *http.Request) string {
	if s.o.Files != "" {
		return s.o.Files
	}
	return fakekit.OtherHost(r, "https://files.zopim.test")
}

// getChats answers with an object, and null for what does not exist.
func (s *Server) getChats(r *http.Request) (int, any) {
	ids := strings.Split(r.URL.Query().Get("ids"), ",")
	if len(ids) > 50 || slices.Contains(ids, "") {
		return 400, problem("bad_request")
	}
	docs, count := map[string]any{}, 0
	for _, id := range ids {
		if c := s.data.Chats[id]; c != nil {
			docs[id] = s.view(r, c)
			count++
		} else if !s.o.Short {
			docs[id] = nil
		}
	}
	return 200, map[string]any{"docs": docs, "count": count}
}

func (s *Server) getChat(r *http.Request) (int, any) {
	c := s.data.Chats[r.PathValue("id")]
	if c == nil {
		return 404, problem("not_found")
	}
	return 200, s.view(r, c)
}

// putChat changes the visitor and the tags.
func (s *Server) putChat(r *http.Request) (int, any) {
	c := s.data.Chats[r.PathValue("id")]
	if c == nil {
		return 404, problem("not_found")
	}
	var change struct {
		Visitor *struct{ Name, Email, Phone, Notes *string }
		Tags    []string
	}
	if json.NewDecoder(r.Body).Decode(&change) != nil {
		return 400, problem("bad_request")
	}
	if s.o.Fixed {
		return 200, s.view(r, c)
	}
	if v := change.Visitor; v != nil {
		for to, value := range map[*string]*string{&c.Visitor.Name: v.Name, &c.Visitor.Email: v.Email, &c.Visitor.Phone: v.Phone, &c.Visitor.Notes: v.Notes} {
			if value != nil {
				*to = *value
			}
		}
	}
	if change.Tags != nil {
		c.Tags = change.Tags
	}
	s.changed(c.ID)
	return 200, s.view(r, c)
}

// deleteChat deletes a chat for good, with its files. Zendesk does not document
// whether that is answered with 204 or 200: here it is one, then the other.
func (s *Server) deleteChat(r *http.Request) (int, any) {
	c := s.data.Chats[r.PathValue("id")]
	switch {
	case s.agentOnly:
		return 403, problem("forbidden")
	case c == nil:
		return 404, problem("not_found")
	}
	for _, l := range c.History {
		delete(s.data.Files, l.File)
	}
	delete(s.data.Chats, c.ID)
	s.changed(c.ID)
	if len(s.data.Chats)%2 == 0 {
		return 200, map[string]any{}
	}
	return 204, nil
}

// deleteChats would delete several. No client of ours does, and one that forgets
// to say which must not find out what happens.
func (s *Server) deleteChats(r *http.Request) (int, any) {
	s.Note("DELETE OF MANY", r)
	return 400, problem("bad_request")
}

func (s *Server) listAgents(r *http.Request) (int, any) {
	since, _ := strconv.Atoi(r.URL.Query().Get("since_id"))
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 {
		limit = 100
	}
	list := []Agent{}
	for _, a := range s.data.Agents {
		if a.ID > since && len(list) < limit {
			list = append(list, a)
		}
	}
	return 200, list
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

// AddChat adds a chat and returns its id. Without a time it is now; the search
// finds it after a while.
func (s *Server) AddChat(c Chat) string {
	s.Lock()
	defer s.Unlock()
	return s.addChat(c).ID
}

func (s *Server) addChat(c Chat) *Chat {
	if c.Timestamp.IsZero() {
		c.Timestamp = s.Time()
	}
	n := s.Number()
	if c.ID == "" {
		c.ID = c.Timestamp.UTC().Format("0601") + ".10000001.Ch" + n
	}
	if c.Type == "" {
		c.Type = Live
	}
	if c.Visitor.ID == "" {
		c.Visitor.ID = "10000001.v" + n
	}
	if c.Tags == nil {
		c.Tags = []string{}
	}
	s.data.Chats[c.ID] = &c
	s.changed(c.ID)
	return &c
}

// AddFile adds an attachment of size bytes to a chat and returns its id.
func (s *Server) AddFile(chat, name, mediaType, text string, size int64) string {
	s.Lock()
	defer s.Unlock()
	return s.addFile(s.data.Chats[chat], name, mediaType, text, size)
}

func (s *Server) addFile(c *Chat, name, mediaType, text string, size int64) string {
	id := "F" + s.Number()
	s.data.Files[id] = fakekit.File{ID: id, Name: name, MediaType: mediaType, Text: text, Size: size}
	c.History = append(c.History, Line{Type: "chat.file", Name: c.Visitor.Name, By: "Visitor", File: id})
	return id
}

// DropFile makes a file vanish that its chat still names.
func (s *Server) DropFile(id string) { s.Settled(func() { delete(s.data.Files, id) }) }

// AddAgent adds an agent and returns its id.
func (s *Server) AddAgent(a Agent) int {
	s.Lock()
	defer s.Unlock()
	a.ID = 1 + len(s.data.Agents)
	s.data.Agents = append(s.data.Agents, a)
	return a.ID
}

// RemoveAgent deletes an agent. Transcripts keep the name.
func (s *Server) RemoveAgent(id int) {
	s.Settled(func() { s.data.Agents = slices.DeleteFunc(s.data.Agents, func(a Agent) bool { return a.ID == id }) })
}

// Find are the ids of the chats whose visitor has an e-mail, in order.
func (s *Server) Find(email string) []string {
	var ids []string
	for _, c := range s.State().Chats {
		if strings.EqualFold(c.Visitor.Email, email) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}
