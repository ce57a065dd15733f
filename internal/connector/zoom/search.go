package zoom

import (
	"context"
	"errors"
	"time"

	"github.com/avow-consent/avow/internal/connector/kit"
)

// errPause ends a piece of a search in the middle of a host.
var errPause = errors.New("the piece has had its calls")

// hosts goes through the users of the account from where the last piece has
// stopped, until this piece has had its calls. A page is never trusted to be
// what it was: the host at which to go on is looked for on it, and where it is
// not, the list begins again. What is found a second time is not counted twice.
func (s *search) hosts(ctx context.Context) error {
	for s.calls < perPiece {
		rows, next, err := s.users(ctx)
		if err != nil {
			return err
		}
		for s.At < len(rows) {
			s.Host = rows[s.At].text("id")
			err := s.host(ctx, s.Host)
			if errors.Is(err, errPause) {
				return nil
			}
			if err != nil {
				return err
			}
			s.At, s.Step, s.After, s.Host = s.At+1, 0, "", ""
			s.Done++
			if s.At < len(rows) {
				s.Host = rows[s.At].text("id")
			}
			if s.calls >= perPiece {
				break
			}
		}
		if s.At < len(rows) {
			return nil
		}
		s.turn(next)
		if s.Stage != stageSignedUp && s.Stage != stageCame {
			return nil
		}
	}
	return nil
}

// turn goes to the next page, list or stage.
func (s *search) turn(next string) {
	s.At, s.Host, s.Token = 0, "", next
	if next != "" {
		s.Page++
		return
	}
	s.Page = 0
	if s.Status++; s.Status < len(hostStatuses) {
		return
	}
	s.Status = 0
	if s.Stage == stageSignedUp && s.config.Months > 0 {
		s.Stage = stageCame
		return
	}
	s.Stage = stageHeld
}

// users reads the page of users at which the search is.
func (s *search) users(ctx context.Context) (rows []record, next string, err error) {
	if s.Of == 0 {
		if err := s.measure(ctx); err != nil {
			return nil, "", err
		}
	}
	l := list{route: kit.To("/users").With("status", hostStatuses[s.Status]), fields: []string{"users"}}
	body, err := s.page(ctx, l, s.Token)
	s.calls++
	if s.Token != "" && errors.Is(err, errRefused) { // it has died
		body, err = s.walkAgain(ctx, l)
	}
	if err != nil {
		return nil, "", err
	}
	rows = body.rows(l.fields, nil)
	if s.Host != "" && (s.At >= len(rows) || rows[s.At].text("id") != s.Host) {
		s.elsewhere(rows)
	}
	return rows, body.text("next_page_token"), nil
}

// walkAgain goes to the page at which the search is from the beginning of the
// list, by tokens that are alive.
func (s *search) walkAgain(ctx context.Context, l list) (record, error) {
	s.Token = ""
	for n := 0; ; n++ {
		body, err := s.page(ctx, l, s.Token)
		s.calls++
		if err != nil || n == s.Page {
			return body, err
		}
		next := body.text("next_page_token")
		if next == "" { // the list has become shorter
			s.Page, s.At, s.Step, s.After, s.Host = n, 0, 0, "", ""
			return body, nil
		}
		s.Token = next
	}
}

// elsewhere finds the host at which to go on, on a page that has changed.
func (s *search) elsewhere(rows []record) {
	for i, r := range rows {
		if r.text("id") == s.Host {
			s.At = i
			return
		}
	}
	s.At, s.Step, s.After, s.Host = 0, 0, "", "" // gone, or on another page: this page once more
}

// measure counts the hosts, for the progress that an administrator sees: each is
// looked at once for registrations and once for past sessions.
func (s *search) measure(ctx context.Context) error {
	for _, status := range hostStatuses {
		body, err := s.page(ctx, list{route: kit.To("/users").With("status", status), size: 1}, "")
		s.calls++
		if err != nil {
			return err
		}
		s.Of += body.number("total_records")
	}
	if s.config.Months > 0 {
		s.Of *= 2
	}
	return nil
}

// host looks at one host's lists.
func (s *search) host(ctx context.Context, id string) error {
	if s.Stage == stageSignedUp {
		return s.planned(ctx, id)
	}
	return s.past(ctx, id)
}

// each does something with the rows of a list after the last one that is done.
func (s *search) each(rows []record, field string, do func(record) error) error {
	from := 0
	for i, r := range rows {
		if s.After != "" && r.text(field) == s.After {
			from = i + 1
		}
	}
	for _, r := range rows[from:] {
		if s.calls >= perPiece {
			return errPause
		}
		if err := do(r); err != nil {
			return err
		}
		s.After = r.text(field)
	}
	s.After = ""
	return nil
}

// planned looks for registrants and panelists of a host's meetings and webinars.
func (s *search) planned(ctx context.Context, host string) error {
	for ; s.Step < 2; s.Step++ {
		what := []string{"meetings", "webinars"}[s.Step]
		rows, err := s.events(ctx, host, what)
		s.calls++
		if err != nil {
			return err
		}
		if err := s.each(rows, "id", func(r record) error { return s.signedUp(ctx, what, r) }); err != nil {
			return err
		}
	}
	return nil
}

// past looks for participants of a host's past sessions: those of the reports,
// one window after the other, and then those of events that are older than the
// reports reach.
func (s *search) past(ctx context.Context, host string) error {
	for ; s.Step < s.windows()+2; s.Step++ {
		rows, err := s.sessionsOf(ctx, host)
		s.calls++
		if err != nil {
			return err
		}
		if err := s.each(rows, "uuid", func(r record) error { return s.came(ctx, r) }); err != nil {
			return err
		}
	}
	return nil
}

// sessionsOf are the past sessions of the step at which the search is.
func (s *search) sessionsOf(ctx context.Context, host string) ([]record, error) {
	if s.Step < s.windows() {
		route, ok := s.between(kit.To("/report/users/{id}/meetings", host), s.day, s.Step)
		if !ok {
			return nil, nil
		}
		return s.rows(ctx, list{route: route, fields: []string{"meetings"}, none: []string{noUser}})
	}
	what := []string{"meetings", "webinars"}[s.Step-s.windows()]
	events, err := s.events(ctx, host, what)
	if err != nil {
		return nil, err
	}
	oldest := s.day.AddDate(0, -s.config.Months, 1)
	var rows []record
	for _, e := range events {
		if made, err := time.Parse(time.RFC3339, e.text("created_at")); err == nil && made.After(oldest) {
			continue
		}
		instances, err := s.instances(ctx, what, e.text("id"))
		s.calls++
		if err != nil {
			return nil, err
		}
		for _, r := range instances {
			if at, err := time.Parse(time.RFC3339, r.text("start_time")); err == nil && at.Before(oldest) {
				rows = append(rows, r)
			}
		}
	}
	return rows, nil
}

// instances are all sessions of an event that Zoom still knows.
func (s *search) instances(ctx context.Context, what, id string) ([]record, error) {
	route, kind := kit.To("/past_meetings/{id}/instances", id), 2
	if what == "webinars" {
		route, kind = kit.To("/past_webinars/{id}/instances", id), 5
	}
	body, err := s.get(ctx, route, noSession...)
	if err != nil {
		return nil, err
	}
	rows := body.rows([]string{what}, nil)
	for _, r := range rows {
		r["type"] = float64(kind)
	}
	return rows, nil
}

// came looks for the person among the participants of a session.
func (s *search) came(ctx context.Context, row record) error {
	what, uuid := inMeeting, row.text("uuid")
	if kind := row.number("type"); kind == 5 || kind == 6 || kind == 9 {
		what = inWebinar
	}
	date := dateOf(row.text("start_time"))
	if uuid == "" || date == "" {
		return nil
	}
	guests := 0
	rows, err := s.participants(ctx, what, uuid, func(r record) bool {
		mine := s.who.attended(r)
		if s.who.nobody(r) {
			guests++
		}
		return mine || s.who.looksLike(r)
	})
	s.calls += 2
	if err != nil {
		return err
	}
	s.Guests += guests
	for _, r := range rows {
		if s.who.attended(r) {
			s.named(r.text("name"))
			s.take(ref{what, [3]string{date, uuid}}, "sessions")
			continue
		}
		own, err := s.ours(ctx, r.text("id"))
		if err != nil {
			return err
		}
		if own {
			continue
		}
		if guest := (ref{what, [3]string{date, uuid, r.text("user_id")}}); s.first(guest) {
			s.maybe = append(s.maybe, guest)
		}
	}
	return nil
}

// ours reports whether an id is of a user of the account, who is no guest.
func (s *search) ours(ctx context.Context, id string) (bool, error) {
	if id == "" {
		return false, nil
	}
	s.calls++
	u, err := s.get(ctx, kit.To("/users/{id}", id), noUser, "404/1010", "400/1010")
	return u != nil, err
}

// dateOf is the date of an instant; "" for what is none.
func dateOf(text string) string {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return ""
	}
	return at.UTC().Format(time.DateOnly)
}
