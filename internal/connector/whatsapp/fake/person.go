package fake

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// change is one change that is to be posted, and to which of its fields.
type change struct {
	Field string
	Value map[string]any
}

// person acts as somebody on WhatsApp.
type act struct {
	From    string `json:"from"` // number or user id
	Text    string `json:"text"`
	Type    string `json:"type"` // image, document, …: a file; "" is a text
	Label   string `json:"label"`
	To      string `json:"to"`
	Stop    bool   `json:"stop"`
	Hide    bool   `json:"hide"`
	Address string `json:"address"`
}

// people adds what a test's person may do.
func (s *Server) people() {
	for path, do := range map[string]func(act) bool{
		"/_fake/write": func(a act) bool { return s.write(a.From, a.Text, a.Type) }, "/_fake/press": func(a act) bool { return s.press(a.From, a.Label) },
		"/_fake/move": func(a act) bool { return s.move(a.From, a.To) }, "/_fake/prefer": func(a act) bool { return s.prefer(a.From, a.Stop) },
		"/_fake/hide": func(a act) bool { return s.hide(a.From, a.Hide) },
	} {
		s.Stream("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			var a act
			ok := json.NewDecoder(r.Body).Decode(&a) == nil
			s.Settled(func() { ok = ok && do(a) })
			status := http.StatusNoContent
			if !ok {
				status = http.StatusBadRequest
			}
			w.WriteHeader(status)
		})
	}
	s.Stream("POST /_fake/subscribe", func(w http.ResponseWriter, r *http.Request) {
		var a act
		if json.NewDecoder(r.Body).Decode(&a) != nil || !s.Subscribe(a.Address) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	s.Stream("POST /_fake/deliver", func(w http.ResponseWriter, _ *http.Request) {
		s.Deliver()
		w.WriteHeader(http.StatusNoContent)
	})
}

// ServeHTTP implements http.Handler. Where a webhook is subscribed, what a call
// has led to is posted right after it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Server.ServeHTTP(w, r)
	s.Lock()
	subscribed := s.data.Callback != "" && len(s.data.Queue) > 0
	s.Unlock()
	if subscribed {
		go s.Deliver()
	}
}

// Write lets a person write; Press lets them press a button of the last message
// that has one; Move gives them another number; Prefer sets their choice in
// WhatsApp itself. Each is false for who does not exist, or cannot.
func (s *Server) Write(from, text string) (ok bool) {
	s.Settled(func() { ok = s.write(from, text, "") })
	return ok
}

// Send lets a person send a file.
func (s *Server) Send(from, kind, text string) (ok bool) {
	s.Settled(func() { ok = s.write(from, text, kind) })
	return ok
}

// Press presses the button with a label.
func (s *Server) Press(from, label string) (ok bool) {
	s.Settled(func() { ok = s.press(from, label) })
	return ok
}

// Move changes a person's number, and with it their user id.
func (s *Server) Move(from, to string) (ok bool) {
	s.Settled(func() { ok = s.move(from, to) })
	return ok
}

// Prefer stops or resumes marketing messages of the company.
func (s *Server) Prefer(from string, stop bool) (ok bool) {
	s.Settled(func() { ok = s.prefer(from, stop) })
	return ok
}

// Hide puts a person behind a username.
func (s *Server) Hide(from string, hidden bool) (ok bool) {
	s.Settled(func() { ok = s.hide(from, hidden) })
	return ok
}

// Shut lets a person block the company: nothing reaches them any more.
func (s *Server) Shut(from string) (ok bool) {
	s.Settled(func() {
		if p := s.find(from); p != nil {
			p.Shut, ok = true, true
		}
	})
	return ok
}

// Inbox is what a person has got.
func (s *Server) Inbox(address string) (list []Received) {
	s.Settled(func() {
		if p := s.find(address); p != nil {
			list = slices.Clone(p.Inbox)
		}
	})
	return list
}

// Waiting is how many changes are to be posted.
func (s *Server) Waiting() (n int) {
	s.Settled(func() { n = len(s.data.Queue) })
	return n
}

func (s *Server) write(from, text, kind string) bool {
	p := s.find(from)
	if p == nil || p.Blocked {
		return false
	}
	p.LastIn = s.Time()
	m := map[string]any{"type": "text", "text": map[string]any{"body": text}}
	if kind != "" {
		id := s.Number()
		s.data.Media[id] = &Media{ID: id, MediaType: "image/png", Text: text, At: s.Time(), URLs: map[string]time.Time{}}
		m = map[string]any{"type": kind, kind: map[string]any{"id": id, "mime_type": "image/png", "sha256": "x", "caption": "a caption of " + p.Name}}
	}
	s.say(p, m)
	return true
}

// say queues a message of a person.
func (s *Server) say(p *Person, m map[string]any) {
	m["id"] = "wamid." + base64.StdEncoding.EncodeToString([]byte(strings.TrimPrefix(p.Phone, "+")+"in"+s.Number()))
	m["timestamp"] = at(s.Time())
	contact := map[string]any{"profile": map[string]any{"name": p.Name}, "user_id": p.UserID}
	if !p.Hidden {
		m["from"], contact["wa_id"] = strings.TrimPrefix(p.Phone, "+"), strings.TrimPrefix(p.Phone, "+")
	}
	s.queue("messages", map[string]any{"contacts": []any{contact}, "messages": []any{m}})
}

func (s *Server) queue(field string, value map[string]any) {
	value["messaging_product"], value["metadata"] = "whatsapp", map[string]any{"display_phone_number": Number, "phone_number_id": NumberID}
	s.data.Queue = append(s.data.Queue, change{Field: field, Value: value})
}

func (s *Server) press(from, label string) bool {
	p := s.find(from)
	if p == nil || p.Blocked {
		return false
	}
	for _, got := range slices.Backward(p.Inbox) {
		i := slices.Index(got.Labels, label)
		if i < 0 {
			continue
		}
		p.LastIn = s.Time()
		m := map[string]any{"type": "interactive", "interactive": map[string]any{"type": "button_reply", "button_reply": map[string]any{"id": got.Payloads[i], "title": label}}}
		if got.Type == "template" {
			m = map[string]any{"type": "button", "button": map[string]any{"payload": got.Payloads[i], "text": label}}
		}
		m["context"] = map[string]any{"from": Number, "id": got.ID}
		s.say(p, m)
		return true
	}
	return false
}

func (s *Server) move(from, to string) bool {
	p := s.find(from)
	if p == nil || s.find(to) != nil {
		return false
	}
	old := strings.TrimPrefix(p.Phone, "+")
	delete(s.data.People, p.Phone)
	p.Phone = "+" + strings.TrimPrefix(to, "+")
	p.UserID += "m"
	s.data.People[p.Phone] = p
	s.queue("messages", map[string]any{"messages": []any{map[string]any{
		"from": old, "id": "wamid." + base64.StdEncoding.EncodeToString([]byte(old+"move"+s.Number())), "timestamp": at(s.Time()), "type": "system",
		"system": map[string]any{"body": "User " + p.Name + " changed from " + old + " to " + strings.TrimPrefix(p.Phone, "+"), "wa_id": strings.TrimPrefix(p.Phone, "+"), "type": "user_changed_number"},
	}}})
	return true
}

func (s *Server) prefer(from string, stop bool) bool {
	p := s.find(from)
	if p == nil {
		return false
	}
	p.OptedOut = stop
	word := map[bool]string{true: "stop", false: "resume"}[stop]
	id := strings.TrimPrefix(p.Phone, "+")
	s.queue("user_preferences", map[string]any{
		"contacts": []any{map[string]any{"profile": map[string]any{"name": p.Name}, "wa_id": id}},
		"user_preferences": []any{map[string]any{
			"wa_id": id, "detail": "User requested to " + word + " marketing messages", "category": "marketing_messages", "value": word, "timestamp": s.Time().Unix(),
		}},
	})
	return true
}

func (s *Server) hide(from string, hidden bool) bool {
	p := s.find(from)
	if p == nil {
		return false
	}
	p.Hidden = hidden
	return true
}

// report queues what became of a message.
func (s *Server) report(p *Person, id, value string, code int) {
	st := map[string]any{"id": id, "status": value, "timestamp": at(s.Time()), "recipient_id": strings.TrimPrefix(p.Phone, "+")}
	if code != 0 {
		st["errors"] = []any{map[string]any{"code": code, "title": "Unable to deliver the message", "message": "x"}}
	}
	s.queue("messages", map[string]any{"statuses": []any{st}})
}

// batch is how many changes a post carries.
const batch = 3

// Deliver posts what is waiting: in batches, the last change of each first, and
// each post twice. What is not taken waits for the next time.
func (s *Server) Deliver() {
	var queue []change
	s.Settled(func() { queue, s.data.Queue = s.data.Queue, nil })
	var left []change
	for chunk := range slices.Chunk(queue, batch) {
		body, signature := sealed(chunk)
		for range 2 {
			if status := s.post(body, signature); status != http.StatusOK {
				left = append(left, chunk...)
				break
			}
		}
	}
	s.Settled(func() {
		if len(left) > 0 {
			s.data.Failed++
		}
		s.data.Queue = append(left, s.data.Queue...)
	})
}

// sealed is a post with its signature. As at Meta, what is not ASCII, and "@"
// and "/", are escaped, so that no JSON library writes the same bytes.
func sealed(chunk []change) (body []byte, signature string) {
	changes := []any{}
	for _, c := range slices.Backward(chunk) {
		changes = append(changes, map[string]any{"field": c.Field, "value": c.Value})
	}
	plain, err := json.Marshal(map[string]any{"object": "whatsapp_business_account", "entry": []any{map[string]any{"id": AccountID, "changes": changes}}})
	if err != nil {
		panic("fake: " + err.Error())
	}
	body = escaped(plain)
	mac := hmac.New(sha256.New, []byte(AppSecret))
	mac.Write(body)
	return body, "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func escaped(plain []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(plain) {
		switch {
		case r == '@' || r > 0xFFFF || r > 0x7e:
			quoted := []rune{r}
			if r > 0xFFFF {
				r -= 0x10000
				quoted = []rune{0xd800 + r>>10, 0xdc00 + r&0x3ff}
			}
			for _, q := range quoted {
				b.WriteString(`\u`)
				b.WriteString(hex.EncodeToString([]byte{byte(q >> 8), byte(q)}))
			}
		case r == '/':
			b.WriteString(`\/`)
		default:
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}

func (s *Server) post(body []byte, signature string) int {
	if s.o.Post != nil {
		return s.o.Post(body, signature)
	}
	s.Lock()
	callback := s.data.Callback
	s.Unlock()
	if callback == "" {
		return 0
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, callback, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Hub-Signature-256", signature)
	return status(r, nil)
}

// status makes a call and returns its status, 0 without one; into takes the body.
func status(r *http.Request, into *string) int {
	client := http.Client{Timeout: 20 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4096))
	if err != nil {
		return 0
	}
	if into != nil {
		*into = string(text)
	}
	return answer.StatusCode
}

// Subscribe checks an address as Meta does, and posts to it from now on.
func (s *Server) Subscribe(address string) bool {
	const challenge = "1158201444"
	query := url.Values{"hub.mode": {"subscribe"}, "hub.verify_token": {VerifyToken}, "hub.challenge": {challenge}}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, address+"?"+query.Encode(), nil)
	if err != nil {
		return false
	}
	var said string
	if status(r, &said) != http.StatusOK || said != challenge {
		return false
	}
	s.Settled(func() { s.data.Callback = address })
	return true
}
