package fake

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Redaction replaces each marked character by a block. What is sent must be the
// text as it stands now, with marks: a redaction that was done already is refused.

var (
	markedText    = regexp.MustCompile(`<redact>(.*?)</redact>`)
	markedElement = regexp.MustCompile(`<[a-zA-Z]+[^>]* redact/?>`)
)

// unmarked is a text without its marks.
func unmarked(text string) string {
	text = markedElement.ReplaceAllStringFunc(text, func(element string) string { return strings.Replace(element, " redact", "", 1) })
	return strings.NewReplacer("<redact>", "", "</redact>", "").Replace(text)
}

// blocks is a marked text after its redaction.
func blocks(text string) string {
	text = markedElement.ReplaceAllString(text, "")
	return markedText.ReplaceAllStringFunc(text, func(marked string) string {
		return strings.Repeat("▇", len([]rune(marked))-len("<redact></redact>"))
	})
}

func (s *Server) comment(ticket, id int64) (*Ticket, *Comment) {
	t := s.data.Tickets[ticket]
	if t == nil || t.State != Live {
		return nil, nil
	}
	n := slices.IndexFunc(t.Comments, func(c Comment) bool { return c.ID == id })
	if n < 0 {
		return nil, nil
	}
	return t, &t.Comments[n]
}

// redactComment works on closed tickets, too.
func (s *Server) redactComment(r *http.Request) (int, any) {
	var body struct {
		Ticket int64    `json:"ticket_id"`
		HTML   string   `json:"html_body"`
		URLs   []string `json:"external_attachment_urls"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return invalid("base", "cannot be read")
	}
	t, c := s.comment(body.Ticket, pathID(r, "ticket_comment_id"))
	if t == nil {
		return notFound()
	}
	if unmarked(body.HTML) != c.HTML || body.HTML == c.HTML && len(body.URLs) == 0 {
		return invalid("html_body", "is not the body of the comment with marks")
	}
	view := s.commentView(r, t, *c)
	c.HTML = blocks(body.HTML)
	for i, shown := range view["attachments"].([]map[string]any) {
		if slices.Contains(body.URLs, shown["content_url"].(string)) {
			s.emptyFile(c.Files[i])
		}
	}
	return 200, map[string]any{"comment": s.commentView(r, t, *c)}
}

func (s *Server) emptyFile(id int64) {
	f := s.data.Files[id]
	f.Name, f.MediaType, f.Text, f.Size = "redacted.txt", "text/plain", "", 0
	s.data.Files[id] = f
}

// redactAttachment does not work once the ticket is closed.
func (s *Server) redactAttachment(r *http.Request) (int, any) {
	t, c := s.comment(pathID(r, "ticket_id"), pathID(r, "comment_id"))
	id := pathID(r, "attachment_id")
	switch {
	case t == nil || !slices.Contains(c.Files, id):
		return notFound()
	case t.Status == Closed:
		return invalid("base", "closed tickets cannot be redacted")
	}
	s.emptyFile(id)
	return 200, map[string]any{"attachment": map[string]any{"id": id, "file_name": "redacted.txt", "content_type": "text/plain", "size": 0, "thumbnails": []any{}}}
}

// redactChat redacts one line of the transcript in the ticket.
func (s *Server) redactChat(r *http.Request) (int, any) {
	var body struct {
		Chat  string `json:"chat_id"`
		Index *int   `json:"chat_index"`
		Text  string `json:"text"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || body.Index == nil {
		return invalid("base", "chat_index or message_id is missing")
	}
	t := s.ticketOf(r)
	if t == nil || t.Chat == nil || t.Chat.ID != body.Chat || *body.Index < 0 || *body.Index >= len(t.Chat.Lines) {
		return notFound()
	}
	l := &t.Chat.Lines[*body.Index]
	if unmarked(body.Text) != l.Text || body.Text == l.Text {
		return invalid("text", "is not the message with marks")
	}
	l.Text = blocks(body.Text)
	return 200, map[string]any{"chat_event": t.chatEvent()}
}

func (s *Server) redactChatFile(r *http.Request) (int, any) {
	var body struct {
		Chat    string `json:"chat_id"`
		Indexes []int  `json:"chat_indexes"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Indexes) == 0 {
		return invalid("base", "chat_indexes or message_ids is missing")
	}
	t := s.ticketOf(r)
	if t == nil || t.Chat == nil || t.Chat.ID != body.Chat {
		return notFound()
	}
	for _, i := range body.Indexes {
		if i < 0 || i >= len(t.Chat.Lines) || t.Chat.Lines[i].File == "" {
			return notFound()
		}
		t.Chat.Lines[i].File = "redacted.txt"
	}
	return 200, map[string]any{"chat_event": t.chatEvent()}
}
