package fake

import (
	"net/http"
	"time"
)

// Suspended is a message that Zendesk held back.
type Suspended struct {
	ID        int64     `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	Subject   string    `json:"subject"`
	Content   string    `json:"content"`
	CreatedAt time.Time `json:"created_at"`
}

func (s *Server) suspended(r *http.Request) (int, any) {
	var list []row
	for _, id := range ordered(s.data.Suspended) {
		one := s.data.Suspended[id]
		list = append(list, row{id: id, view: func() map[string]any {
			return map[string]any{
				"id": one.ID, "url": "https://example.zendesk.com/api/v2/suspended_tickets/" + text(id) + ".json", "author": map[string]any{"email": one.Email, "name": one.Name},
				"subject": one.Subject, "content": one.Content, "cause": "Detected as spam", "cause_id": 0, "attachments": []any{}, "error_messages": nil,
				"recipient": "support@example.test", "created_at": stamp(one.CreatedAt), "updated_at": stamp(one.CreatedAt),
				"via": map[string]any{"channel": "email", "source": map[string]any{"from": map[string]any{"address": one.Email, "name": one.Name}, "rel": nil, "to": map[string]any{"address": "support@example.test", "name": "Example"}}},
			}
		}})
	}
	return paged(r, "suspended_tickets", list)
}

func (s *Server) dropSuspended(r *http.Request) (int, any) {
	ids, ok := idsOf(r)
	if !ok {
		return tooMany()
	}
	for _, id := range ids {
		delete(s.data.Suspended, id)
	}
	return 204, nil
}

// AddSuspended holds back a message.
func (s *Server) AddSuspended(one Suspended) {
	s.Lock()
	defer s.Unlock()
	s.addSuspended(one)
}

func (s *Server) addSuspended(one Suspended) {
	one.ID, one.CreatedAt = s.number(), s.Time()
	s.data.Suspended[one.ID] = &one
}
