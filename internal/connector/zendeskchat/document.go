package zendeskchat

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// offline is the type of a message that was left while nobody was there.
const offline = "offline_msg"

// document is a chat or an offline message. text is all that the vendor says of
// it; the fields are what the connector goes by.
type document struct {
	ID         string   `json:"id"`
	Type       string   `json:"type"` // chat, offline_msg
	Timestamp  string   `json:"timestamp"`
	Visitor    visitor  `json:"visitor"`
	AgentIDs   []number `json:"agent_ids"`
	AgentNames []string `json:"agent_names"`
	Tags       []string `json:"tags"`

	text json.RawMessage
}

// visitor is who has started a chat, as they have said themselves.
type visitor struct {
	ID    number `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone"`
	Notes string `json:"notes"`
}

// number is an id that may be a JSON number or a text.
type number string

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte(`"`)) {
		return json.Unmarshal(text, (*string)(n))
	}
	var plain json.Number
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	*n = number(plain)
	return nil
}

var (
	errShape   = errors.New("a chat is not as documented")
	errAnother = errors.New("a chat stands under the id of another one")
)

// parse reads a chat; nil for null and nothing, which stand for a chat that does
// not exist. No error quotes it.
func parse(id string, text json.RawMessage) (*document, error) {
	if text = bytes.TrimSpace(text); len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	d := &document{}
	if text[0] != '{' || json.Unmarshal(text, d) != nil {
		return nil, errShape
	}
	if d.ID != id {
		return nil, errAnother
	}
	d.text = text
	return d, nil
}

// has reports whether the visitor has an identifier, in normal form.
func (d *document) has(want identity.Identifier) bool {
	value := map[identity.Kind]string{identity.Email: d.Visitor.Email, identity.Phone: d.Visitor.Phone, identity.Name: d.Visitor.Name}[want.Kind]
	return same(want.Kind, value, want.Value.Reveal())
}

// same compares two values of a kind in normal form.
func same(kind identity.Kind, a, b string) bool {
	left, ok1 := identity.Identifier{Kind: kind, Value: redact.String(a)}.Normal()
	right, ok2 := identity.Identifier{Kind: kind, Value: redact.String(b)}.Normal()
	return ok1 && ok2 && left == right
}

// by reports whether an agent took part: by id where both have one, else by name.
func (d *document) by(a agent) bool {
	if a.ID != "" && len(d.AgentIDs) > 0 {
		return slices.Contains(d.AgentIDs, a.ID)
	}
	return slices.ContainsFunc(d.AgentNames, func(name string) bool { return same(identity.Name, name, a.Name) })
}

// within reports whether the chat began at a time from one on and before
// another. What has no time is everywhere, rather than nowhere.
func (h hit) within(from, to time.Time) bool {
	at, err := time.Parse(time.RFC3339, h.Timestamp)
	return err != nil || !at.Before(from) && at.Before(to)
}

// fields is a JSON object, to change some of it and leave the rest.
type fields map[string]any

// all are the fields of the chat as the vendor has it, numbers as they stand.
func (d *document) all() fields {
	decoder := json.NewDecoder(bytes.NewReader(d.text))
	decoder.UseNumber()
	all := fields{}
	_ = decoder.Decode(&all) // parse has read the text before
	return all
}

// history are the entries of the chat; an offline message has none.
func (f fields) history() []fields { return f.list("history") }

// attachments are the files of an entry of the history.
func (f fields) attachments() []fields {
	files := f.list("attachments")
	if one, ok := f["attachment"].(map[string]any); ok {
		files = append(files, one)
	}
	return slices.DeleteFunc(files, func(a fields) bool { return a.text("url") == "" })
}

func (f fields) list(key string) []fields {
	var list []fields
	many, _ := f[key].([]any)
	for _, one := range many {
		if object, ok := one.(map[string]any); ok {
			list = append(list, object)
		}
	}
	return list
}

func (f fields) text(key string) string {
	s, _ := f[key].(string)
	return strings.TrimSpace(s)
}
