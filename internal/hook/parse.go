package hook

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// The post as Meta sends it: only what is read. Items are raw, so that one that
// is not as documented costs no other.
type (
	envelope struct {
		Object string `json:"object"`
		Entry  []struct {
			Changes []struct {
				Field string          `json:"field"`
				Value json.RawMessage `json:"value"`
			} `json:"changes"`
		} `json:"entry"`
	}
	value struct {
		Metadata struct {
			Number string `json:"phone_number_id"`
		} `json:"metadata"`
		Contacts    []json.RawMessage `json:"contacts"`
		Messages    []json.RawMessage `json:"messages"`
		Statuses    []json.RawMessage `json:"statuses"`
		Preferences []json.RawMessage `json:"user_preferences"`
	}
	contact struct {
		Number string `json:"wa_id"`
		UserID string `json:"user_id"`
	}
	message struct {
		ID      string `json:"id"`
		From    string `json:"from"`
		FromID  string `json:"from_user_id"`
		UserID  string `json:"user_id"`
		At      unix   `json:"timestamp"`
		Type    string `json:"type"`
		Context struct {
			ID string `json:"id"`
		} `json:"context"`
		Text struct {
			Body string `json:"body"`
		} `json:"text"`
		Button struct {
			Payload string `json:"payload"`
			Text    string `json:"text"`
		} `json:"button"`
		Interactive struct {
			Button reply `json:"button_reply"`
			List   reply `json:"list_reply"`
		} `json:"interactive"`
		Image, Audio, Video, Document, Sticker file
		System                                 system
		Marketing                              string `json:"marketing"`
	}
	reply struct {
		ID    string `json:"id"`
		Title string `json:"title"`
	}
	file struct {
		ID string `json:"id"`
	}
	system struct {
		Type      string `json:"type"`
		Number    string `json:"wa_id"`
		UserID    string `json:"user_id"`
		Marketing string `json:"marketing"`
	}
	status struct {
		ID     string `json:"id"`
		Value  string `json:"status"`
		At     unix   `json:"timestamp"`
		To     string `json:"recipient_id"`
		ToID   string `json:"recipient_user_id"`
		Errors []struct {
			Code int `json:"code"`
		} `json:"errors"`
	}
	preference struct {
		Number   string `json:"wa_id"`
		UserID   string `json:"user_id"`
		Category string `json:"category"`
		Value    string `json:"value"`
		At       unix   `json:"timestamp"`
	}
)

// unix is a time in seconds, which Meta writes as a text and, in
// user_preferences, as a number.
type unix time.Time

// UnmarshalJSON implements json.Unmarshaler. What is no time is none: a STOP counts
// without one.
func (u *unix) UnmarshalJSON(text []byte) error {
	seconds, err := strconv.ParseInt(strings.Trim(string(text), `"`), 10, 64)
	const last = 253402300799 // 9999-12-31
	if err == nil && seconds > 0 && seconds <= last {
		*u = unix(time.Unix(seconds, 0).UTC())
	}
	return nil
}

// read decodes an item. A field of another shape than documented costs itself
// only: nobody's STOP is lost for a place or a card that has changed.
func read(raw json.RawMessage, item any) bool {
	err := json.Unmarshal(raw, item)
	return err == nil || errors.As(err, new(*json.UnmarshalTypeError))
}

// Parse reads the body of a genuine post. One that is not of a WhatsApp Business
// Account, or no JSON of the documented shape, is Invalid. Posts about fields
// that Avow does not act on are deliveries without changes.
func Parse(body []byte) (Delivery, error) {
	var e envelope
	if json.Unmarshal(body, &e) != nil { // its text quotes the body
		return Delivery{}, errs.New(errs.Invalid, "the body is not JSON as the platform documents it")
	}
	if e.Object != "whatsapp_business_account" {
		return Delivery{}, errs.New(errs.Invalid, "the body is not about a WhatsApp Business Account")
	}
	var d Delivery
	for _, entry := range e.Entry {
		for _, c := range entry.Changes {
			if c.Field != "messages" && c.Field != "user_preferences" {
				continue
			}
			var v value
			if !read(c.Value, &v) || v.Metadata.Number == "" {
				d.Unread++
				continue
			}
			d.Changes = append(d.Changes, d.change(v))
		}
	}
	return d, nil
}

// change reads one change and counts what cannot be read.
func (d *Delivery) change(v value) Change {
	c := Change{Number: v.Metadata.Number}
	people := contacts(v.Contacts)
	for _, raw := range v.Messages {
		var m message
		if !read(raw, &m) {
			d.Unread++
			continue
		}
		said, wish := m.read(people)
		switch {
		case wish != nil:
			c.Preferences = append(c.Preferences, *wish)
		case said.ID == "" || said.From.Key() == "":
			d.Unread++
		default:
			c.Messages = append(c.Messages, said)
		}
	}
	for _, raw := range v.Statuses {
		var s status
		if !read(raw, &s) || s.ID == "" || !statuses[s.Value] {
			d.Unread++
			continue
		}
		c.Statuses = append(c.Statuses, s.read())
	}
	for _, raw := range v.Preferences {
		var p preference
		if !read(raw, &p) {
			d.Unread++
			continue
		}
		from := person(p.Number, p.UserID)
		stop, known := stops(p.Value)
		if !known || from.Key() == "" || p.Category != "marketing_messages" {
			d.Unread++
			continue
		}
		c.Preferences = append(c.Preferences, Preference{From: from, Stop: stop, At: time.Time(p.At)})
	}
	return c
}

var statuses = map[string]bool{"sent": true, "delivered": true, "read": true, "failed": true}

// stops reads "stop" and "resume".
func stops(word string) (stop, known bool) { return word == "stop", word == "stop" || word == "resume" }

// contacts are the people of a change. Their names are not even decoded.
func contacts(list []json.RawMessage) []contact {
	var people []contact
	for _, raw := range list {
		var c contact
		if read(raw, &c) {
			people = append(people, c)
		}
	}
	return people
}

var (
	userForm = regexp.MustCompile(`^[A-Z]{2}\.[A-Za-z0-9.]{1,160}$`) // a parent id has a second dot (guess)
	wordForm = regexp.MustCompile(`^[a-z_]{1,40}$`)
)

// person reads a number, which Meta writes without "+", and a user id; what is
// neither is left out.
func person(number, userID string) Person {
	var p Person
	if normal, ok := identity.NormalizePhone("+" + strings.TrimPrefix(number, "+")); ok {
		p.Phone = redact.String(normal)
	}
	if userForm.MatchString(userID) {
		p.UserID = redact.String(userID)
	}
	return p
}

// read takes from a message what Avow acts on. The older form of a choice made
// in WhatsApp comes as a message of the system, and is given as one.
func (m message) read(people []contact) (Message, *Preference) {
	from := m.sender(people)
	if word := m.System.Marketing + m.Marketing; m.Type == "user_preference_changed" || m.System.Type == "user_preference_changed" {
		if stop, known := stops(word); known && from.Key() != "" {
			return Message{}, &Preference{From: from, Stop: stop, At: time.Time(m.At)}
		}
		return Message{}, nil
	}
	out := Message{ID: redact.String(m.ID), From: from, At: time.Time(m.At), Type: m.Type, About: redact.String(m.Context.ID)}
	if !wordForm.MatchString(m.Type) {
		out.Type = "unknown"
	}
	switch m.Type {
	case "text":
		out.Text = redact.String(m.Text.Body)
	case "button":
		out.Text, out.Payload = redact.String(m.Button.Text), redact.String(m.Button.Payload)
	case "interactive":
		chosen := m.Interactive.Button
		if chosen.ID == "" {
			chosen = m.Interactive.List
		}
		out.Text, out.Payload = redact.String(chosen.Title), redact.String(chosen.ID)
	case "system":
		if m.System.Type == "user_changed_number" || m.System.Type == "customer_changed_number" {
			out.Moved = person(m.System.Number, m.System.UserID)
		}
	case "image", "audio", "video", "document", "sticker":
		out.Media = redact.String(m.file().ID)
	}
	return out, nil
}

func (m message) file() file {
	return map[string]file{"image": m.Image, "audio": m.Audio, "video": m.Video, "document": m.Document, "sticker": m.Sticker}[m.Type]
}

// sender is who has sent a message: what the message says, completed by the
// contact it belongs to. A contact that could be somebody else's is not used.
func (m message) sender(people []contact) Person {
	p := person(m.From, m.FromID)
	if p.UserID == "" {
		p.UserID = person("", m.UserID).UserID
	}
	for _, c := range people {
		other := person(c.Number, c.UserID)
		same := p.Phone != "" && p.Phone == other.Phone || p.UserID != "" && p.UserID == other.UserID
		if same || p.Key() == "" && len(people) == 1 {
			if p.Phone == "" {
				p.Phone = other.Phone
			}
			if p.UserID == "" {
				p.UserID = other.UserID
			}
		}
	}
	return p
}

func (s status) read() Status {
	out := Status{ID: redact.String(s.ID), Value: s.Value, At: time.Time(s.At), To: person(s.To, s.ToID)}
	if s.Value == "failed" && len(s.Errors) > 0 {
		out.Code = s.Errors[0].Code
	}
	return out
}
