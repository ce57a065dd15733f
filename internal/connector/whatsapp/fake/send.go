package fake

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// outgoing is the body of POST /messages.
type outgoing struct {
	Product   string `json:"messaging_product"`
	Recipient string `json:"recipient_type"`
	To        string `json:"to"`
	UserID    string `json:"recipient"`
	Type      string `json:"type"`
	Text      struct {
		Body string `json:"body"`
	} `json:"text"`
	Interactive struct {
		Type string `json:"type"`
		Body struct {
			Text string `json:"text"`
		} `json:"body"`
		Action struct {
			Buttons []struct {
				Type  string `json:"type"`
				Reply struct {
					ID    string `json:"id"`
					Title string `json:"title"`
				} `json:"reply"`
			} `json:"buttons"`
		} `json:"action"`
	} `json:"interactive"`
	Template struct {
		Name     string `json:"name"`
		Language struct {
			Code string `json:"code"`
		} `json:"language"`
		Components []struct {
			Type       string `json:"type"`
			SubType    string `json:"sub_type"`
			Index      string `json:"index"`
			Parameters []struct {
				Type    string `json:"type"`
				Text    string `json:"text"`
				Payload string `json:"payload"`
			} `json:"parameters"`
		} `json:"components"`
	} `json:"template"`
}

// send is POST /{number}/messages.
func (s *Server) send(r *http.Request) (int, any) {
	var m outgoing
	if !decode(r, &m) || m.Product != "whatsapp" {
		return 400, problem(100, "(#100) Invalid parameter")
	}
	input := m.To + m.UserID
	p := s.find(input)
	if p == nil || p.Blocked || p.Shut {
		return 400, problem(131026, "(#131026) Message undeliverable")
	}
	got := Received{Type: m.Type, At: s.Time()}
	marketing := false
	var status int
	var refused any
	switch m.Type {
	case "text", "interactive":
		status, refused = s.free(p, m, &got)
	case "template":
		marketing, status, refused = s.template(p, m, &got)
	default:
		return 400, problem(131051, "(#131051) Unsupported message type")
	}
	if status != 0 {
		return status, refused
	}
	if !s.pay(p) {
		return 400, problem(131056, "(#131056) (Business Account, Consumer Account) pair rate limit hit")
	}
	got.ID = "wamid." + base64.StdEncoding.EncodeToString([]byte(strings.TrimPrefix(p.Phone, "+")+s.Number()))
	if marketing && p.OptedOut {
		s.report(p, got.ID, "failed", 131050)
	} else {
		p.Inbox = append(p.Inbox, got)
		for _, value := range []string{"sent", "delivered", "read"} {
			s.report(p, got.ID, value, 0)
		}
	}
	return 200, map[string]any{
		"messaging_product": "whatsapp", "contacts": []any{map[string]any{"input": input, "wa_id": strings.TrimPrefix(p.Phone, "+")}},
		"messages": []any{map[string]any{"id": got.ID, "message_status": "accepted"}},
	}
}

// find finds a person by number or user id.
func (s *Server) find(address string) *Person {
	for _, p := range s.data.People {
		if p.Phone == "+"+strings.TrimPrefix(address, "+") || p.UserID == address {
			return p
		}
	}
	return nil
}

// free is what is not a template: within the window only.
func (s *Server) free(p *Person, m outgoing, got *Received) (int, any) {
	got.Text = m.Text.Body + m.Interactive.Body.Text
	for _, b := range m.Interactive.Action.Buttons {
		const longest = 20
		if b.Type != "reply" || b.Reply.ID == "" || b.Reply.Title == "" || len([]rune(b.Reply.Title)) > longest {
			return 400, problem(131009, "(#131009) Parameter value is not valid")
		}
		got.Payloads, got.Labels = append(got.Payloads, b.Reply.ID), append(got.Labels, b.Reply.Title)
	}
	const most, longest = 3, 4096
	switch {
	case got.Text == "" || utf8.RuneCountInString(got.Text) > longest || len(got.Payloads) > most || (m.Type == "interactive") != (len(got.Payloads) > 0):
		return 400, problem(131009, "(#131009) Parameter value is not valid")
	case p.LastIn.IsZero() || !s.Time().Before(p.LastIn.Add(window)):
		return 400, problem(131047, "(#131047) Re-engagement message")
	}
	return 0, nil
}

// longestBody is the most that a template says with its values, in characters.
const longestBody = 1024

// template fills a template in.
func (s *Server) template(p *Person, m outgoing, got *Received) (marketing bool, status int, refused any) {
	i := slices.IndexFunc(s.data.Templates, func(t Template) bool {
		return t.Name == m.Template.Name && t.Language == m.Template.Language.Code
	})
	if i < 0 {
		return false, 404, problem(132001, "(#132001) Template name does not exist in the translation")
	}
	t := s.data.Templates[i]
	switch t.Status {
	case "APPROVED":
	case "PAUSED":
		return false, 400, problem(132015, "(#132015) Template is paused")
	default:
		return false, 404, problem(132001, "(#132001) Template name does not exist in the translation")
	}
	got.Template, got.Language, got.Text, got.Labels = t.Name, t.Language, t.Body, t.Buttons
	got.Payloads = slices.Clone(t.Buttons) // without a payload of its own a button says its label
	filled := 0
	for _, c := range m.Template.Components {
		for _, one := range c.Parameters {
			switch {
			case c.Type == "body" && one.Type == "text" && (strings.ContainsAny(one.Text, "\n\t") || strings.Contains(one.Text, "     ")):
				return false, 400, problem(100, "(#100) Invalid parameter: param text cannot have new-line/tab characters or more than 4 consecutive spaces")
			case c.Type == "body" && one.Type == "text" && one.Text != "":
				filled++
				got.Text = strings.ReplaceAll(got.Text, "{{"+strconv.Itoa(filled)+"}}", one.Text)
			case c.Type == "button" && c.SubType == "quick_reply" && one.Type == "payload" && one.Payload != "":
				n, err := strconv.Atoi(c.Index)
				if err != nil || n < 0 || n >= len(t.Buttons) {
					return false, 400, problem(132012, "(#132012) Template parameter format mismatch")
				}
				got.Payloads[n] = one.Payload
			default:
				return false, 400, problem(132012, "(#132012) Template parameter format mismatch")
			}
		}
	}
	if filled != strings.Count(t.Body, "{{") {
		return false, 400, problem(132000, "(#132000) Number of parameters does not match the expected number of params")
	}
	if utf8.RuneCountInString(got.Text) > longestBody {
		return false, 400, problem(132005, "(#132005) Translated text too long")
	}
	marketing = t.Category == "MARKETING"
	if marketing && p.OptedOut && s.o.Direct {
		return false, 400, problem(131050, "(#131050) User has stopped marketing messages from this business")
	}
	return marketing, 0, nil
}

// pay takes one message from the credit of the pair: one each six seconds, and a
// burst of 45.
func (s *Server) pay(p *Person) bool {
	now := s.Time()
	if p.Paid.IsZero() {
		p.Credit = burst
	} else {
		p.Credit = min(burst, p.Credit+float64(now.Sub(p.Paid))/float64(pairGap))
	}
	p.Paid = now
	if p.Credit < 1 {
		return false
	}
	p.Credit--
	return true
}

// profile is GET /{number}/whatsapp_business_profile.
func (s *Server) profile(r *http.Request) (int, any) {
	p := map[string]any{"messaging_product": "whatsapp", "about": "A small shop", "description": "Chairs", "websites": s.data.Websites}
	for name := range p {
		if f := r.URL.Query().Get("fields"); f != "" && !slices.Contains(strings.Split(f, ","), name) && name != "messaging_product" {
			delete(p, name)
		}
	}
	if s.o.Flat {
		return 200, map[string]any{"data": []any{p}}
	}
	return 200, map[string]any{"data": []any{map[string]any{"business_profile": p}}}
}

// templates is GET /{account}/message_templates: two on a page.
func (s *Server) templates(r *http.Request) (int, any) {
	if r.PathValue("account") != AccountID {
		return missing()
	}
	all := []any{}
	for i, t := range s.data.Templates {
		if name := r.URL.Query().Get("name"); name == "" || strings.Contains(t.Name, name) { // parts match
			parts := []any{map[string]any{"type": "BODY", "text": t.Body}}
			if len(t.Buttons) > 0 {
				buttons := []any{}
				for _, label := range t.Buttons {
					buttons = append(buttons, map[string]any{"type": "QUICK_REPLY", "text": label})
				}
				parts = append(parts, map[string]any{"type": "BUTTONS", "buttons": buttons})
			}
			all = append(all, map[string]any{"components": parts, "id": strconv.Itoa(i + 1), "name": t.Name, "language": t.Language, "status": t.Status, "category": t.Category})
		}
	}
	const size = 2
	from, _ := strconv.Atoi(r.URL.Query().Get("after"))
	from = min(max(from, 0), len(all))
	to := min(len(all), from+size)
	paging := map[string]any{"cursors": map[string]any{"before": strconv.Itoa(from), "after": strconv.Itoa(to)}}
	if to < len(all) {
		next := r.URL.Query()
		next.Set("after", strconv.Itoa(to))
		paging["next"] = fakekit.Base(r) + r.URL.Path + "?" + next.Encode()
	}
	return 200, map[string]any{"data": all[from:to], "paging": paging}
}

// blocked is GET /{number}/block_users: two on a page.
func (s *Server) blocked(r *http.Request) (int, any) {
	var all []string
	for _, p := range s.data.People {
		if p.Blocked {
			all = append(all, strings.TrimPrefix(p.Phone, "+"))
		}
	}
	slices.Sort(all)
	const size = 2
	from, _ := slices.BinarySearch(all, r.URL.Query().Get("after")+"\x00")
	if r.URL.Query().Get("after") == "" {
		from = 0
	}
	to := min(len(all), from+size)
	list := []any{}
	for _, id := range all[from:to] {
		list = append(list, map[string]any{"messaging_product": "whatsapp", "wa_id": id})
	}
	answer := map[string]any{"data": list}
	if to > from {
		paging := map[string]any{"cursors": map[string]any{"before": all[from], "after": all[to-1]}}
		if to < len(all) {
			paging["next"] = fakekit.Base(r) + r.URL.Path + "?after=" + all[to-1]
		}
		answer["paging"] = paging
	}
	return 200, answer
}

// block is POST and DELETE /{number}/block_users.
func (s *Server) block(yes bool) func(*http.Request) (int, any) {
	return func(r *http.Request) (int, any) {
		var in struct {
			Product string `json:"messaging_product"`
			Users   []struct {
				User string `json:"user"`
			} `json:"block_users"`
		}
		if !decode(r, &in) || in.Product != "whatsapp" || len(in.Users) == 0 {
			return 400, problem(100, "(#100) Invalid parameter")
		}
		done := []any{}
		for _, u := range in.Users {
			p := s.find(u.User)
			if p == nil || yes && !s.Time().Before(p.LastIn.Add(window)) {
				return 400, problem(139100, "(#139100) Failed to block or unblock some users")
			}
			p.Blocked = yes
			done = append(done, map[string]any{"input": u.User, "wa_id": strings.TrimPrefix(p.Phone, "+")})
		}
		key := map[bool]string{true: "added_users", false: "removed_users"}[yes]
		return 200, map[string]any{"messaging_product": "whatsapp", "block_users": map[string]any{key: done}}
	}
}

// media is GET /{media}: an address that is good for five minutes.
func (s *Server) media(r *http.Request) (int, any) {
	m := s.data.Media[r.PathValue("media")]
	if m == nil || !ours(r) {
		return missing()
	}
	key := "u" + s.Number()
	m.URLs[key] = s.Time().Add(urlFor)
	return 200, map[string]any{
		"messaging_product": "whatsapp", "id": m.ID, "mime_type": m.MediaType, "file_size": strconv.Itoa(len(m.Text)), "sha256": "x",
		"url": mediaBase(r) + "/_media/" + m.ID + "?key=" + key,
	}
}

// mediaBase is the host that serves files.
func mediaBase(r *http.Request) string {
	if fakekit.Local(r) {
		return fakekit.Base(r)
	}
	return "https://lookaside.fbsbx.com"
}

func ours(r *http.Request) bool {
	number := r.URL.Query().Get("phone_number_id")
	return number == "" || number == NumberID
}

// deleteMedia is DELETE /{media}.
func (s *Server) deleteMedia(r *http.Request) (int, any) {
	id := r.PathValue("media")
	if s.data.Media[id] == nil || !ours(r) {
		return missing()
	}
	delete(s.data.Media, id)
	return 200, map[string]any{"success": true}
}

// file is the file itself, on a host that wants the token, too.
func (s *Server) file(r *http.Request) (int, any) {
	m := s.data.Media[r.PathValue("id")]
	if m == nil {
		return 404, problem(100, "gone")
	}
	until, known := m.URLs[r.URL.Query().Get("key")]
	if !known || !s.Time().Before(until) {
		return 404, problem(100, "the address is over")
	}
	return 200, fakekit.Raw{Header: http.Header{"Content-Type": {m.MediaType}}, Text: m.Text}
}

// at is a time as the platform writes it.
func at(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
