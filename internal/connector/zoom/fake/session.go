package fake

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Session is a meeting or a webinar that has taken place.
type Session struct {
	UUID, Event, Host, Topic string
	Webinar                  bool
	Start                    time.Time
	Participants             []Participant
	Questions, Polls         []Question
}

// Participant of a session. The e-mail of a guest is known only if the guest
// registered, was invited by calendar, or signed in.
type Participant struct {
	ID         string // of a user, of this account or of another one; "" of a guest who did not log in
	Name       string
	Email      string
	Registrant string
	Minutes    int
}

// Question is what somebody has asked or answered.
type Question struct{ Name, Email, Question, Answer string }

// AddSession adds a session.
func (s *Server) AddSession(x Session) { s.Settled(func() { s.addSession(x) }) }

func (s *Server) addSession(x Session) *Session {
	if x.UUID == "" {
		x.UUID = "sEss" + s.Number() + "=="
	}
	if x.Start.IsZero() {
		x.Start = s.Time()
	}
	s.data.Sessions[x.UUID] = &x
	return &x
}

// session finds by UUID, or the last one by the number of the event.
func (s *Server) session(r *http.Request) *Session {
	key := path(r, "id")
	webinar := strings.Contains(r.URL.Path, "webinars/")
	var last *Session
	for _, x := range pick(s.data.Sessions, func(x *Session) bool { return x.Webinar == webinar && (x.UUID == key || x.Event == key) }) {
		if last == nil || x.Start.After(last.Start) {
			last = x
		}
	}
	if last != nil && strings.Contains(r.URL.Path, "/report/") && last.Start.Before(s.Time().AddDate(0, -History, 0)) {
		return nil
	}
	return last
}

func (x *Session) end() time.Time {
	longest := 1
	for _, p := range x.Participants {
		longest = max(longest, p.Minutes)
	}
	return x.Start.Add(time.Duration(longest) * time.Minute)
}

func (x *Session) row() map[string]any {
	kind := 2
	if x.Webinar {
		kind = 5
	}
	return map[string]any{
		"uuid": x.UUID, "id": number(x.Event), "topic": x.Topic, "type": kind, "start_time": instant(x.Start), "end_time": instant(x.end()),
		"duration": int(x.end().Sub(x.Start).Minutes()), "participants_count": len(x.Participants),
	}
}

func (s *Server) getSession(r *http.Request) (int, any) {
	x := s.session(r)
	if x == nil {
		return noEvent(r.PathValue("id"))
	}
	v := x.row()
	if !strings.Contains(r.URL.Path, "/report/") {
		v["host_id"] = x.Host
	}
	return 200, v
}

// reportSessions lists what a user has hosted, one month per call, not further
// back than half a year.
func (s *Server) reportSessions(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser(r.PathValue("id"))
	}
	q := r.URL.Query()
	from, to, ok := s.span(r)
	if !ok || q.Get("from") == "" || q.Get("to") == "" {
		return 400, problem(300, "The from and to dates are required.")
	}
	if from.Before(s.Time().AddDate(0, -History, -1)) {
		return 400, problem(300, "The from date must be within the last 6 months.")
	}
	rows := []map[string]any{}
	for _, x := range pick(s.data.Sessions, func(x *Session) bool { return x.Host == u.ID && within(x.Start, from, to) }) {
		rows = append(rows, x.row())
	}
	return s.page(r, "meetings", rows, 300, 300)
}

// listInstances knows sessions of an event of any age, but only of one that
// still stands.
func (s *Server) listInstances(r *http.Request) (int, any) {
	e := s.event(r)
	if e == nil {
		return noEvent(r.PathValue("id"))
	}
	rows := []map[string]any{}
	for _, x := range pick(s.data.Sessions, func(x *Session) bool { return x.Event == e.ID }) {
		rows = append(rows, map[string]any{"uuid": x.UUID, "start_time": instant(x.Start)})
	}
	if e.Webinar {
		return 200, map[string]any{"webinars": rows}
	}
	return 200, map[string]any{"meetings": rows}
}

// listParticipants has nothing of a session with one person in it, and names
// registrants in reports only if it is asked to.
func (s *Server) listParticipants(r *http.Request) (int, any) {
	x := s.session(r)
	if x == nil || len(x.Participants) < 2 {
		return noEvent(r.PathValue("id"))
	}
	report := strings.Contains(r.URL.Path, "/report/")
	rows := []map[string]any{}
	for i, p := range x.Participants {
		v := map[string]any{
			"id": p.ID, "user_id": strconv.Itoa(16778240 + i), "name": p.Name, "user_email": p.Email, "join_time": instant(x.Start),
			"leave_time": instant(x.Start.Add(time.Duration(p.Minutes) * time.Minute)), "duration": p.Minutes * 60, "status": "in_meeting",
		}
		if !report || r.URL.Query().Get("include_fields") == "registrant_id" {
			v["registrant_id"] = p.Registrant
		}
		rows = append(rows, v)
	}
	return s.page(r, "participants", rows, 300, 300)
}

func (s *Server) getQuestions(r *http.Request) (int, any) {
	return s.questions(r, func(x *Session) []Question { return x.Questions })
}

func (s *Server) getPolls(r *http.Request) (int, any) {
	return s.questions(r, func(x *Session) []Question { return x.Polls })
}

func (s *Server) questions(r *http.Request, of func(*Session) []Question) (int, any) {
	x := s.session(r)
	if x == nil {
		return noEvent(r.PathValue("id"))
	}
	list := []map[string]any{}
	for _, q := range of(x) {
		list = append(list, map[string]any{"name": q.Name, "email": q.Email, "question_details": []map[string]any{{"question": q.Question, "answer": q.Answer}}})
	}
	return 200, map[string]any{"id": number(x.Event), "uuid": x.UUID, "start_time": instant(x.Start), "questions": list}
}

// Recording is a session in the cloud.
type Recording struct {
	UUID, Event, Host, Topic string
	Start                    time.Time
	Trashed                  bool // can be restored for 30 days
}

func (s *Server) addRecording(x Recording) { s.data.Recordings[x.UUID] = &x }

// AddRecording adds a cloud recording.
func (s *Server) AddRecording(x Recording) { s.Settled(func() { s.addRecording(x) }) }

func (s *Server) listRecordings(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser(r.PathValue("id"))
	}
	from, to, ok := s.span(r)
	if !ok {
		return 400, problem(300, "Invalid date.")
	}
	trash := r.URL.Query().Get("trash") == "true"
	rows := []map[string]any{}
	for _, x := range pick(s.data.Recordings, func(x *Recording) bool { return x.Host == u.ID && x.Trashed == trash && within(x.Start, from, to) }) {
		rows = append(rows, map[string]any{
			"uuid": x.UUID, "id": number(x.Event), "host_id": x.Host, "topic": x.Topic, "start_time": instant(x.Start), "duration": 45, "recording_count": 1,
			"recording_play_passcode": "play-secret", "recording_files": []map[string]any{{
				"id": "file-" + x.Event, "meeting_id": x.UUID, "recording_start": instant(x.Start), "recording_end": instant(x.Start.Add(45 * time.Minute)), "file_type": "MP4",
				"file_size": 7_000_000, "play_url": "https://example.zoom.us/rec/play/door", "download_url": "https://example.zoom.us/rec/download/door", "status": "completed",
			}},
		})
	}
	return s.page(r, "meetings", rows, 300, 300)
}

// deleteRecordings without action only moves them to the trash.
func (s *Server) deleteRecordings(r *http.Request) (int, any) {
	x := s.data.Recordings[path(r, "id")]
	switch {
	case x == nil:
		return 404, problem(3301, "There is no recording for this meeting.")
	case r.URL.Query().Get("action") != "delete":
		x.Trashed = true
		return 204, nil
	}
	delete(s.data.Recordings, x.UUID)
	return 204, nil
}
