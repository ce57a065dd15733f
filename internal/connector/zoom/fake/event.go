package fake

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Event is a meeting or a webinar.
type Event struct {
	ID, UUID, Host, Topic, Agenda string
	Webinar                       bool
	Open                          bool // whoever has the link takes part: nobody registers
	EachTime                      bool // people register for single occurrences
	Occurrences                   []string
	Password                      string
	Start, Made                   time.Time
	Minutes                       int
}

// Registrant has signed up for an event.
type Registrant struct {
	ID, Event, Occurrence              string
	Email, First, Last, Status         string // approved, pending, denied
	Phone, City, Organization, Comment string
	Questions                          map[string]string
	CreatedAt                          time.Time
}

// Panelist speaks at a webinar.
type Panelist struct{ ID, Event, Email, Name string }

// AddEvent adds a meeting or webinar and returns its id.
func (s *Server) AddEvent(e Event) (id string) {
	s.Settled(func() { id = s.addEvent(e).ID })
	return id
}

func (s *Server) addEvent(e Event) *Event {
	n := s.Number()
	if e.ID == "" {
		e.ID = "8600000" + n
	}
	if e.UUID == "" {
		e.UUID = "eVent" + n + "=="
	}
	if e.Minutes == 0 {
		e.Minutes = 45
	}
	if e.Made.IsZero() {
		e.Made = s.Time()
	}
	e.Password = "event-secret-" + n
	s.data.Events[e.ID] = &e
	return &e
}

// AddRegistrant adds a registrant and returns the id.
func (s *Server) AddRegistrant(p Registrant) (id string) {
	s.Settled(func() { id = s.addRegistrant(p).ID })
	return id
}

func (s *Server) addRegistrant(p Registrant) *Registrant {
	if p.ID == "" {
		p.ID = "rEg_" + s.Number() + "-x"
	}
	if p.Status == "" {
		p.Status = "approved"
	}
	p.CreatedAt = s.Time()
	s.data.Registrants[p.ID] = &p
	return &p
}

// AddPanelist adds a panelist and returns the id.
func (s *Server) AddPanelist(p Panelist) (id string) {
	s.Settled(func() { id = s.addPanelist(p).ID })
	return id
}

func (s *Server) addPanelist(p Panelist) *Panelist {
	p.ID = "pAn_" + s.Number()
	s.data.Panelists[p.ID] = &p
	return &p
}

func number(id string) int {
	n, _ := strconv.Atoi(id)
	return n
}

func (e *Event) row() map[string]any {
	kind := 2
	switch {
	case e.Webinar && len(e.Occurrences) > 0:
		kind = 9
	case e.Webinar:
		kind = 5
	case len(e.Occurrences) > 0:
		kind = 8
	}
	return map[string]any{
		"id": number(e.ID), "uuid": e.UUID, "host_id": e.Host, "topic": e.Topic, "agenda": e.Agenda, "type": kind, "duration": e.Minutes,
		"start_time": instant(e.Start), "timezone": "Europe/Paris", "created_at": instant(e.Made),
		"join_url": "https://example.zoom.us/j/" + e.ID + "?pwd=" + e.Password,
	}
}

func (s *Server) eventRows(host string, webinars bool) []map[string]any {
	rows := []map[string]any{}
	for _, e := range pick(s.data.Events, func(e *Event) bool { return e.Host == host && e.Webinar == webinars }) {
		rows = append(rows, e.row())
	}
	return rows
}

func (s *Server) listMeetings(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser(r.PathValue("id"))
	}
	if r.URL.Query().Get("type") != "scheduled" { // the default, "live", is what runs at this moment
		return s.page(r, "meetings", nil, 300, 300)
	}
	return s.page(r, "meetings", s.eventRows(u.ID, false), 300, 300)
}

// listWebinars has pages by number, not by token.
func (s *Server) listWebinars(r *http.Request) (int, any) {
	u := s.user(r)
	if u == nil {
		return noUser(r.PathValue("id"))
	}
	rows := s.eventRows(u.ID, true)
	size, at := 30, 1
	if n, err := strconv.Atoi(r.URL.Query().Get("page_size")); err == nil && n >= 1 && n <= 300 {
		size = n
	}
	if n, err := strconv.Atoi(r.URL.Query().Get("page_number")); err == nil && n > 0 {
		at = n
	}
	pages := max(1, (len(rows)+size-1)/size)
	from := min((at-1)*size, len(rows))
	return 200, map[string]any{
		"webinars": append([]map[string]any{}, rows[from:min(from+size, len(rows))]...), "page_count": pages, "page_number": at, "page_size": size, "total_records": len(rows),
	}
}

// event is the one of a path; a webinar is not found among meetings.
func (s *Server) event(r *http.Request) *Event {
	e := s.data.Events[r.PathValue("id")]
	if e == nil || e.Webinar != strings.Contains(r.URL.Path, "webinars/") {
		return nil
	}
	return e
}

func noEvent(id string) (int, any) {
	return 404, problem(3001, "Meeting does not exist: "+id+".")
}

func (s *Server) getEvent(r *http.Request) (int, any) {
	e := s.event(r)
	if e == nil {
		return noEvent(r.PathValue("id"))
	}
	v := e.row()
	approval, registration := 0, 1
	if e.Open {
		approval = 2
	}
	if e.EachTime {
		registration = 2
	}
	settings := map[string]any{"approval_type": approval, "registration_type": registration, "allow_multiple_devices": true, "close_registration": false, "host_video": true}
	if e.Webinar {
		maps.Copy(settings, map[string]any{"panelists_video": true, "practice_session": true})
	} else {
		settings["participant_video"] = false
	}
	v["settings"], v["password"] = settings, e.Password
	v["start_url"] = "https://example.zoom.us/s/" + e.ID + "?zak=start-secret-" + e.ID
	if !e.Open {
		v["registration_url"] = "https://example.zoom.us/meeting/register/" + e.ID
	}
	var occurrences []map[string]any
	for i, id := range e.Occurrences {
		occurrences = append(occurrences, map[string]any{"occurrence_id": id, "start_time": instant(e.Start.Add(time.Duration(i) * 168 * time.Hour)), "duration": e.Minutes, "status": "available"})
	}
	if occurrences != nil {
		v["occurrences"] = occurrences
	}
	return 200, v
}

func (p *Registrant) row() map[string]any {
	questions := []map[string]any{}
	for _, title := range slices.Sorted(maps.Keys(p.Questions)) {
		questions = append(questions, map[string]any{"title": title, "value": p.Questions[title]})
	}
	return map[string]any{
		"id": p.ID, "email": p.Email, "first_name": p.First, "last_name": p.Last, "status": p.Status, "phone": p.Phone, "city": p.City, "org": p.Organization,
		"comments": p.Comment, "custom_questions": questions, "create_time": instant(p.CreatedAt), "join_url": "https://example.zoom.us/w/" + p.Event + "?tk=door-of-" + p.ID,
	}
}

// listRegistrants shows one status at a time, "approved" by default, and of a
// recurring event whose people register for single occurrences one occurrence
// at a time.
func (s *Server) listRegistrants(r *http.Request) (int, any) {
	e := s.event(r)
	q := r.URL.Query()
	status := q.Get("status")
	if status == "" {
		status = "approved"
	}
	switch {
	case e == nil:
		return noEvent(r.PathValue("id"))
	case e.Open:
		return 400, problem(300, "This meeting has not set registration as required: "+e.ID+".")
	}
	rows := []map[string]any{}
	for _, p := range pick(s.data.Registrants, func(p *Registrant) bool {
		return p.Event == e.ID && p.Status == status && p.Occurrence == q.Get("occurrence_id")
	}) {
		rows = append(rows, p.row())
	}
	return s.page(r, "registrants", rows, 300, 300)
}

func (s *Server) registrant(r *http.Request) *Registrant {
	p := s.data.Registrants[r.PathValue("rid")]
	if p == nil || p.Event != r.PathValue("id") {
		return nil
	}
	return p
}

func (s *Server) getRegistrant(r *http.Request) (int, any) {
	if e := s.event(r); e == nil {
		return noEvent(r.PathValue("id"))
	}
	p := s.registrant(r)
	if p == nil {
		return 404, problem(3000, "Registrant was not found.") // with the code that elsewhere means "cannot access"
	}
	return 200, p.row()
}

func (s *Server) deleteRegistrant(r *http.Request) (int, any) {
	e := s.event(r)
	if e == nil {
		return noEvent(r.PathValue("id"))
	}
	p := s.registrant(r)
	if p == nil || p.Occurrence != r.URL.Query().Get("occurrence_id") {
		return 400, problem(300, "The value that you entered for the Registrant ID field is invalid. Enter a valid value and try again.")
	}
	delete(s.data.Registrants, p.ID)
	return 204, nil
}

func (s *Server) listPanelists(r *http.Request) (int, any) {
	e := s.event(r)
	if e == nil {
		return noEvent(r.PathValue("id"))
	}
	rows := []map[string]any{}
	for _, p := range pick(s.data.Panelists, func(p *Panelist) bool { return p.Event == e.ID }) {
		rows = append(rows, map[string]any{"id": p.ID, "email": p.Email, "name": p.Name, "join_url": "https://example.zoom.us/w/" + e.ID + "?tk=door-of-" + p.ID})
	}
	return 200, map[string]any{"panelists": rows, "total_records": len(rows)}
}

// deletePanelists removes everybody: what a client with an empty id would do.
func (s *Server) deletePanelists(r *http.Request) (int, any) {
	e := s.event(r)
	if e == nil {
		return noEvent(r.PathValue("id"))
	}
	maps.DeleteFunc(s.data.Panelists, func(_ string, p *Panelist) bool { return p.Event == e.ID })
	return 204, nil
}

func (s *Server) deletePanelist(r *http.Request) (int, any) {
	if e := s.event(r); e == nil {
		return noEvent(r.PathValue("id"))
	}
	p := s.data.Panelists[r.PathValue("pid")]
	if p == nil || p.Event != r.PathValue("id") {
		return 404, problem(1001, "User does not exist or does not belong to this account.")
	}
	delete(s.data.Panelists, p.ID)
	return 204, nil
}
