package fake

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Call is one user's view of a telephone call; the other end has a view of its
// own, if it is a user at all.
type Call struct {
	ID, Owner, CallID   string
	Inbound             bool
	Name, Email, Number string // of the other end
	Extension           string // of the other end, inside
	Start               time.Time
	Seconds             int
	Result              string
	Recorded            bool
	Legacy              bool // shown in the array call_logs, which is dropped in November 2026
}

// Audio is a call recording or a voice mail.
type Audio struct {
	ID, Owner, Kind, Name, Number string // kind: recordings, voice_mails
	At                            time.Time
}

// Text is an SMS session.
type Text struct {
	ID, Owner, Number string
	Messages          []string
	At                time.Time
}

// AddCall adds a call to a user's history and returns its id.
func (s *Server) AddCall(c Call) (id string) {
	s.Settled(func() { id = s.addCall(c) })
	return id
}

func (s *Server) addCall(c Call) string {
	n := s.Number()
	c.ID = "cAll-" + n
	if c.CallID == "" {
		c.CallID = "70000" + n
	}
	if c.Result == "" {
		c.Result = "answered"
	}
	if c.Start.IsZero() {
		c.Start = s.Time()
	}
	s.data.Calls[c.ID] = &c
	return c.ID
}

func (s *Server) addAudio(a Audio) {
	a.ID = "aUdio-" + s.Number()
	s.data.Audio[a.ID] = &a
}

// AddAudio adds a recording or voice mail.
func (s *Server) AddAudio(a Audio) { s.Settled(func() { s.addAudio(a) }) }

func (s *Server) addText(x Text) {
	x.ID = "sMs-" + s.Number()
	s.data.Texts[x.ID] = &x
}

// phoneUser is a user with a telephone. The code for none differs from one
// endpoint to the next.
func (s *Server) phoneUser(r *http.Request) *User {
	u := s.user(r)
	if u == nil || u.PhoneUser == "" {
		return nil
	}
	return u
}

func (s *Server) getPhoneUser(r *http.Request) (int, any) {
	u := s.phoneUser(r)
	if u == nil {
		return noUser(r.PathValue("id"))
	}
	return 200, map[string]any{
		"id": u.ID, "phone_user_id": u.PhoneUser, "email": u.Email, "extension_number": u.Extension, "status": "activate",
		"calling_plans": []map[string]any{{"type": 200}}, "phone_numbers": []map[string]any{{"id": "n-" + u.PhoneUser, "number": u.Phone}},
	}
}

// ends are caller and callee of a call, with the owner at one of them.
func (s *Server) ends(c *Call, v map[string]any) {
	mine, theirs := "callee_", "caller_"
	if !c.Inbound {
		mine, theirs = "caller_", "callee_"
	}
	if u := s.data.Users[c.Owner]; u != nil {
		v[mine+"name"], v[mine+"email"], v[mine+"ext_id"], v[mine+"ext_type"] = u.Display(), u.Email, u.PhoneUser, "user"
		v[mine+"did_number"], v[mine+"ext_number"] = u.Phone, "801"
	}
	v[theirs+"name"], v[theirs+"email"], v[theirs+"did_number"], v[theirs+"ext_number"] = c.Name, c.Email, c.Number, c.Extension
}

func (s *Server) callRow(c *Call) map[string]any {
	v := map[string]any{"call_id": c.CallID, "connect_type": "external", "call_type": "general", "start_time": instant(c.Start), "end_time": instant(c.Start.Add(time.Duration(c.Seconds+9) * time.Second))}
	if c.Seconds > 0 {
		v["answer_time"] = instant(c.Start.Add(9 * time.Second))
	}
	v["direction"] = "outbound"
	if c.Inbound {
		v["direction"] = "inbound"
	}
	s.ends(c, v)
	return v
}

// matches reports whether a keyword is in name, number, e-mail or id: parts of
// them, so that others are found as well.
func (c *Call) matches(keyword string) bool {
	keyword = strings.ToLower(keyword)
	return slices.ContainsFunc([]string{c.Name, c.Email, c.Number, c.Extension, c.CallID}, func(text string) bool {
		return strings.Contains(strings.ToLower(text), keyword)
	})
}

// calls are those of a time that a caller asks for, of one owner or of all.
func (s *Server) calls(r *http.Request, owner, recorded string) ([]*Call, bool) {
	from, to, ok := s.span(r)
	if begin := s.Time().AddDate(0, -History, 0); from.Before(begin) {
		from = begin
	}
	q := r.URL.Query()
	return pick(s.data.Calls, func(c *Call) bool {
		return (owner == "" || c.Owner == owner) && within(c.Start, from, to) && c.matches(q.Get("keyword")) && (recorded == "" || c.Recorded == (recorded == "recorded"))
	}), ok
}

// userCalls has an array for old and one for new calls.
func (s *Server) userCalls(r *http.Request) (int, any) {
	u := s.phoneUser(r)
	if u == nil {
		return 404, problem(300, "User does not exist: "+r.PathValue("id")+".")
	}
	list, ok := s.calls(r, u.ID, r.URL.Query().Get("recording_status"))
	if !ok {
		return 400, problem(301, "Invalid request param: from.")
	}
	rows := []map[string]any{}
	for _, c := range list {
		v := s.callRow(c)
		v["result"], v["event"], v["talk_time"] = c.Result, "incoming", c.Seconds
		v["caller_device_public_ip"] = "192.0.2.17"
		if c.Legacy {
			v["id"] = c.ID
		} else {
			v["call_element_id"], v["call_history_uuid"] = "element-"+c.ID, c.ID
		}
		rows = append(rows, v)
	}
	status, body := s.page(r, "call_elements", rows, 300, 301)
	return status, split(body, "call_elements", "call_logs")
}

// accountCalls is heavy, and shows recorded calls only unless it is told.
func (s *Server) accountCalls(r *http.Request) (int, any) {
	recorded := r.URL.Query().Get("recording_status")
	if recorded == "" {
		recorded = "recorded"
	}
	list, ok := s.calls(r, "", recorded)
	if !ok {
		return 400, problem(300, "Validation Failed")
	}
	rows := []map[string]any{}
	for _, c := range list {
		v := s.callRow(c)
		v["call_result"], v["duration"], v["recording_status"] = c.Result, c.Seconds, recorded
		if c.Legacy {
			v["id"] = c.ID
		} else {
			v["call_history_uuid"] = c.ID
		}
		rows = append(rows, v)
	}
	status, body := s.page(r, "call_history", rows, 300, 300)
	return status, split(body, "call_history", "call_logs")
}

// split puts the rows with an id of the old kind into an array of their own.
func split(body any, from, old string) any {
	v, ok := body.(map[string]any)
	rows, ok2 := v[from].([]map[string]any)
	if !ok || !ok2 {
		return body
	}
	var before, after []map[string]any
	for _, row := range rows {
		if row["id"] != nil {
			before = append(before, row)
		} else {
			after = append(after, row)
		}
	}
	delete(v, from)
	if before != nil {
		v[old] = before
	}
	if after != nil {
		v[from] = after
	}
	return v
}

func (s *Server) deleteCall(r *http.Request) (int, any) {
	u := s.phoneUser(r)
	if u == nil {
		return 404, problem(300, "User does not exist: "+r.PathValue("id")+".")
	}
	c := s.data.Calls[r.PathValue("call")]
	if c == nil || c.Owner != u.ID {
		return 404, problem(301, "Call history not found: "+r.PathValue("call")+".")
	}
	delete(s.data.Calls, c.ID)
	return 204, nil
}

func (s *Server) listAudio(kind string) func(*http.Request) (int, any) {
	return func(r *http.Request) (int, any) {
		u := s.phoneUser(r)
		if u == nil && r.PathValue("id") != "" {
			return noUser(r.PathValue("id"))
		}
		from, to, ok := s.span(r)
		if !ok {
			return 400, problem(300, "Validation Failed")
		}
		rows := []map[string]any{}
		for _, a := range pick(s.data.Audio, func(a *Audio) bool { return a.Kind == kind && within(a.At, from, to) }) {
			owner := s.data.Users[a.Owner]
			if owner != nil && (u == nil || u == owner) {
				rows = append(rows, map[string]any{
					"id": a.ID, "call_id": "7", "caller_name": a.Name, "caller_number": a.Number, "callee_name": owner.Display(), "callee_number": owner.Phone,
					"date_time": instant(a.At), "duration": 12, "download_url": "https://example.zoom.us/v2/phone/download/" + a.ID,
				})
			}
		}
		return s.page(r, kind, rows, 300, 400)
	}
}

func (s *Server) deleteAudio(kind string) func(*http.Request) (int, any) {
	return func(r *http.Request) (int, any) {
		if a := s.data.Audio[r.PathValue("audio")]; a == nil || a.Kind != kind {
			return 404, problem(404, "Recording does not exist.")
		}
		delete(s.data.Audio, r.PathValue("audio"))
		return 204, nil
	}
}

func textEnd(name, number string, owner bool) map[string]any {
	return map[string]any{"display_name": name, "phone_number": number, "is_session_owner": owner}
}

func (s *Server) listTexts(r *http.Request) (int, any) {
	var of *User
	if r.PathValue("id") != "" {
		if of = s.phoneUser(r); of == nil {
			return noUser(r.PathValue("id"))
		}
	}
	from, to, ok := s.span(r)
	if !ok {
		return 400, problem(400, "Requires from and to.")
	}
	number := r.URL.Query().Get("phone_number")
	rows := []map[string]any{}
	for _, x := range pick(s.data.Texts, func(x *Text) bool {
		return (of == nil || x.Owner == of.ID) && (number == "" || x.Number == number) && within(x.At, from, to)
	}) {
		rows = append(rows, map[string]any{
			"session_id": x.ID, "session_type": "user", "last_access_time": instant(x.At),
			"participants": []map[string]any{textEnd("Support", "+33199001000", true), textEnd("", x.Number, false)},
		})
	}
	return s.page(r, "sms_sessions", rows, 100, 400)
}

func (s *Server) getText(r *http.Request) (int, any) {
	x := s.data.Texts[r.PathValue("text")]
	if x == nil {
		return 404, problem(7013, "Error retrieving SMS history.")
	}
	rows := []map[string]any{}
	for i, text := range x.Messages {
		rows = append(rows, map[string]any{
			"message_id": x.ID + "-" + string(rune('a'+i)), "message": text, "message_type": 1, "date_time": instant(x.At), "direction": "In",
			"sender": map[string]any{"phone_number": x.Number}, "to_members": []map[string]any{{"phone_number": "+33199001000"}},
		})
	}
	return s.page(r, "sms_histories", rows, 100, 400)
}
