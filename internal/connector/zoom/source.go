package zoom

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// A source is one kind of thing that Zoom holds of a person. It is read in
// parts, each of a bounded number of calls.
type source struct {
	kind   string // of its records in an export
	count  string // what plans and certificates call them
	read   func(ctx context.Context, at int) (rows []record, more bool, err error)
	remove func(row record) (target, bool) // nil: Zoom cannot delete it
	stays  string                          // why it stays, where remove is nil and it matters
}

// A target is a record that is about to be deleted.
type target struct {
	What   string   `json:"w"`
	Values []string `json:"v"`
}

// A deletion is how a target is deleted. Without its query, Zoom's own defaults
// hold: they keep the data.
type deletion struct {
	template string
	query    [2]string // name, value; "" as value: the last of the target's values
	count    string
	gone     []string // refusals that say that it is gone: it was found before
}

var deletions = map[string]deletion{
	ofMeeting:    {"/meetings/{id}/registrants/{registrant}", [2]string{"occurrence_id"}, "registrations", []string{"400/300", "400/3000", noEvent, noRegistrant}},
	ofWebinar:    {"/webinars/{id}/registrants/{registrant}", [2]string{"occurrence_id"}, "registrations", []string{"400/300", "400/3000", noEvent, noRegistrant}},
	ofPanel:      {"/webinars/{id}/panelists/{panelist}", [2]string{}, "panelists", []string{noUser, noEvent}},
	"recording":  {"/meetings/{id}/recordings", [2]string{"action", "delete"}, "recordings", []string{noRecording}},
	"call":       {"/phone/users/{id}/call_history/{call}", [2]string{}, "calls", []string{"404/301"}},
	"sound":      {"/phone/recordings/{id}", [2]string{}, "call recordings", []string{"404/404"}},
	"voice mail": {"/phone/voice_mails/{id}", [2]string{}, "voice mails", []string{"404/404", "404/"}},
	"user":       {"/users/{id}", [2]string{"action", "delete"}, "users", []string{noUser}},
	"invitation": {"/users/{id}", [2]string{"action", "disassociate"}, "users", []string{noUser}}, // there is nothing else of who was only invited
}

// route is the call that deletes a target.
func (t target) route(d deletion) kit.Route {
	values := t.Values
	value := d.query[1]
	if d.query[0] != "" && value == "" {
		value, values = values[len(values)-1], values[:len(values)-1]
	}
	route := kit.To(d.template, values...)
	if value != "" {
		route = route.With(d.query[0], value)
	}
	return route
}

// delete deletes a target; it may be repeated.
func (c *Connector) delete(ctx context.Context, t target) (count, answer string, err error) {
	d, ok := deletions[t.What]
	if !ok {
		return "", "", errRef
	}
	_, found, err := c.do(ctx, kit.Call{Method: http.MethodDelete, Route: t.route(d)}, d.gone...)
	if errs.Is(err, errs.Invalid) && d.count == "users" {
		return "", "", errs.New(errs.Conflict, "%s: Zoom refuses to delete a user: the owner of the account, a Zoom Room, the manager of a call queue, or a domain that is not managed. Change that in the admin portal, then retry", c.inventory.System)
	}
	answer = "204"
	if !found {
		answer = "404"
	}
	return d.count, answer, err
}

// sources are what Zoom holds of a person, in the order of an erasure: what the
// user is needed for comes before the user.
func (c *Connector) sources(p *who, day time.Time) []source {
	list := []source{c.registrations(p), c.panels(p), c.sessions(p)}
	for _, id := range p.accounts() {
		list = append(list, c.hosted(id, "meetings"), c.hosted(id, "webinars"), c.recordings(id, day))
		if c.config.Phone {
			list = append(list, c.calls(id, day), c.sounds("/phone/users/{id}/recordings", id, day, nil), c.voiceMails("/phone/users/{id}/voice_mails", id, day, nil), c.texts(id, "", day))
		}
	}
	// In the histories of those who were called. A user may have been one from
	// outside before, and an account that another system names may be gone.
	if c.config.Phone && !p.agent {
		for _, keyword := range slices.Sorted(maps.Keys(merged(p.emails, p.phones))) {
			list = append(list, c.callsWith(p, keyword, day))
		}
		for _, number := range slices.Sorted(maps.Keys(p.phones)) {
			keep := func(r record) bool { return p.calls(r, "caller_number") || p.calls(r, "callee_number") }
			list = append(list, c.sounds("/phone/recordings", "", day, keep), c.voiceMails("/phone/voice_mails", "", day, keep), c.texts("", number, day))
		}
	}
	return append(list, c.users(p))
}

func merged(a, b map[string]bool) map[string]bool {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// statuses of registrants: Zoom lists one at a time, and only the first if it is
// not told.
var statuses = []string{"approved", "pending", "denied"}

// registrants are those of an event, or of one occurrence, who are the person.
// registered is false for an event that nobody registers for.
func (c *Connector) registrants(ctx context.Context, what, event, occurrence string, keep func(record) bool) (rows []record, registered bool, err error) {
	for _, status := range statuses {
		route := kit.To("/meetings/{id}/registrants", event)
		if what == ofWebinar {
			route = kit.To("/webinars/{id}/registrants", event)
		}
		if route = route.With("status", status); occurrence != "" {
			route = route.With("occurrence_id", occurrence)
		}
		first, err := c.page(ctx, list{route: route, none: noRegistration}, "")
		if err != nil || first == nil {
			return nil, false, err
		}
		kept := first.rows([]string{"registrants"}, keep)
		if first.text("next_page_token") != "" {
			if kept, err = c.rows(ctx, list{route: route, fields: []string{"registrants"}, keep: keep}); err != nil {
				return nil, false, err
			}
		}
		for _, r := range kept {
			r["event"], r["event_id"] = what, event
			if occurrence != "" {
				r["occurrence_id"] = occurrence
			}
		}
		rows = append(rows, kept...)
	}
	return rows, true, nil
}

func (c *Connector) registrations(p *who) source {
	var events []ref // without registrant
	for _, r := range p.refs {
		r.parts[1] = ""
		if (r.what == ofMeeting || r.what == ofWebinar) && !slices.Contains(events, r) {
			events = append(events, r)
		}
	}
	return source{
		kind: "registration", count: "registrations",
		read: func(ctx context.Context, at int) (rows []record, more bool, err error) {
			if at >= len(events) {
				return nil, false, nil
			}
			e := events[at]
			rows, _, err = c.registrants(ctx, e.what, e.parts[0], e.parts[2], p.registered)
			return rows, at+1 < len(events), err
		},
		remove: func(r record) (target, bool) {
			return target{r.text("event"), []string{r.text("event_id"), r.text("id"), r.text("occurrence_id")}}, true
		},
	}
}

// panelists are those of a webinar who are the person.
func (c *Connector) panelists(ctx context.Context, event string, keep func(record) bool) ([]record, error) {
	body, err := c.get(ctx, kit.To("/webinars/{id}/panelists", event), noSession...)
	if err != nil {
		return nil, err
	}
	rows := body.rows([]string{"panelists"}, keep)
	for _, r := range rows {
		r["event_id"] = event
	}
	return rows, nil
}

func (c *Connector) panels(p *who) source {
	var events []string
	for _, r := range p.refs {
		if r.what == ofPanel && !slices.Contains(events, r.parts[0]) {
			events = append(events, r.parts[0])
		}
	}
	return source{
		kind: "panelist", count: "panelists",
		read: func(ctx context.Context, at int) (rows []record, more bool, err error) {
			if at >= len(events) {
				return nil, false, nil
			}
			rows, err = c.panelists(ctx, events[at], p.speaks)
			return rows, at+1 < len(events), err
		},
		remove: func(r record) (target, bool) {
			return target{ofPanel, []string{r.text("event_id"), r.text("id")}}, true
		},
	}
}

// hosted are the meetings or webinars of a user, with their settings.
func (c *Connector) hosted(id, what string) source {
	const batch = 5
	return source{
		kind: strings.TrimSuffix(what, "s"), count: "hosted " + what,
		read: func(ctx context.Context, at int) (rows []record, more bool, err error) {
			events, err := c.events(ctx, id, what)
			if err != nil {
				return nil, false, err
			}
			part := events[min(at*batch, len(events)):min((at+1)*batch, len(events))]
			for _, e := range part {
				full, err := c.event(ctx, what, e)
				if err != nil {
					return nil, false, err
				}
				rows = append(rows, full)
			}
			return rows, (at+1)*batch < len(events), nil
		},
		remove: nil, // they go with the user
	}
}

// events are the meetings or webinars of a user, as a list shows them. Webinars
// have pages by number.
func (c *Connector) events(ctx context.Context, user, what string) (rows []record, err error) {
	if what == "meetings" {
		route := kit.To("/users/{id}/meetings", user).With("type", "scheduled") // the default is what runs now
		return c.rows(ctx, list{route: route, fields: []string{what}, none: []string{noUser}})
	}
	for n := 1; n <= maxPages; n++ {
		route := kit.To("/users/{id}/webinars", user).With("page_size", "300").With("page_number", decimal(n))
		body, err := c.get(ctx, route, noWebinars...)
		if err != nil {
			return nil, err
		}
		rows = append(rows, body.rows([]string{what}, nil)...)
		if n >= body.number("page_count") {
			return rows, nil
		}
	}
	return nil, errs.New(errs.TooLarge, "%s: a user has more than %d pages of webinars", c.inventory.System, maxPages)
}

// event is a meeting or webinar with its settings, and with what is known of its
// last session.
func (c *Connector) event(ctx context.Context, what string, row record) (record, error) {
	details, past := kit.To("/meetings/{id}", row.text("id")), kit.To("/past_meetings/{id}", row.text("id"))
	if what == "webinars" {
		details, past = kit.To("/webinars/{id}", row.text("id")), kit.To("/report/webinars/{id}", row.text("id"))
	}
	full, err := c.get(ctx, details, noSession...)
	if err != nil {
		return nil, err
	}
	if full == nil { // gone since it was listed
		full = row
	}
	if start, err := time.Parse(time.RFC3339, row.text("start_time")); err == nil && start.After(c.now()) {
		return full, nil
	}
	last, err := c.get(ctx, past, noSession...)
	if err == nil && last != nil {
		full["last_session"] = record{
			"participants_count": last["participants_count"], "start_time": last["start_time"], "end_time": last["end_time"], "duration": last["duration"], "uuid": last["uuid"],
		}
	}
	return full, err
}

// recordings are a user's cloud recordings, back to when the user was made.
func (c *Connector) recordings(id string, day time.Time) source {
	var made time.Time
	return source{
		kind: "recording", count: "recordings",
		read: func(ctx context.Context, at int) (rows []record, more bool, err error) {
			if made.IsZero() {
				u, err := c.get(ctx, kit.To("/users/{id}", id), noUser)
				if err != nil || u == nil {
					return nil, false, err
				}
				if made, err = time.Parse(time.RFC3339, u.text("created_at")); err != nil {
					made = day.AddDate(-2, 0, 0)
				}
			}
			to := day.AddDate(0, 0, -window*at)
			from := to.AddDate(0, 0, 1-window)
			route := kit.To("/users/{id}/recordings", id).With("from", from.Format(time.DateOnly)).With("to", to.Format(time.DateOnly))
			rows, err = c.rows(ctx, list{route: route, fields: []string{"meetings"}, none: []string{noUser}})
			return rows, from.After(made), err
		},
		remove: func(r record) (target, bool) { return target{"recording", []string{session(r.text("uuid"))}}, true },
	}
}

// users are the accounts. A pending one is no more than an invitation.
func (c *Connector) users(p *who) source {
	ids := p.accounts()
	return source{
		kind: "user", count: "users",
		read: func(ctx context.Context, at int) (rows []record, more bool, err error) {
			if at >= len(ids) {
				return nil, false, nil
			}
			u, err := c.user(ctx, ids[at])
			if err != nil || u == nil {
				return nil, at+1 < len(ids), err
			}
			if c.config.Phone {
				phone, err := c.get(ctx, kit.To("/phone/users/{id}", ids[at]), noPhone...)
				if err != nil {
					return nil, false, err
				}
				if phone != nil {
					delete(phone, "policy") // settings of the company
					u["phone"] = phone
				}
			}
			return []record{u}, at+1 < len(ids), nil
		},
		remove: func(r record) (target, bool) {
			if r.text("status") == pending {
				return target{"invitation", []string{r.text("id")}}, true
			}
			return target{"user", []string{r.text("id")}}, true
		},
	}
}

const pending = "pending"

// user finds an account by id or e-mail; nil for none. Who is pending, and maybe
// who is inactive, stands in lists only.
func (c *Connector) user(ctx context.Context, key string) (record, error) {
	u, err := c.get(ctx, kit.To("/users/{id}", key), noUser, "400/1120")
	if err != nil || u != nil {
		return u, err
	}
	for _, status := range []string{pending, "inactive"} {
		rows, err := c.rows(ctx, list{
			route: kit.To("/users").With("status", status), fields: []string{"users"},
			keep: func(r record) bool { return r.text("id") == key || strings.EqualFold(r.text("email"), key) },
		})
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if r.text("id") == "" { // an invitation may have none: the address names it as well
				r["id"] = r.text("email")
			}
			return r, nil
		}
	}
	return nil, nil
}

// callID is what deletes a call: its name has changed with Zoom's versions.
func callID(r record) string {
	return cmp.Or(r.text("id"), r.text("call_history_uuid"), r.text("call_element_id"))
}

// callRows are the arrays of call histories, of the versions before and after
// November 2026.
var callRows = []string{"call_logs", "call_elements", "call_history"}

// calls are a user's call history.
func (c *Connector) calls(id string, day time.Time) source {
	return source{
		kind: "call", count: "calls",
		read: func(ctx context.Context, at int) ([]record, bool, error) {
			return c.inWindow(ctx, list{route: kit.To("/phone/users/{id}/call_history", id), fields: callRows, none: noPhone}, day, at)
		},
		remove: func(r record) (target, bool) {
			call := callID(r)
			return target{"call", []string{id, call}}, call != ""
		},
	}
}

// inWindow reads a list for one window.
func (c *Connector) inWindow(ctx context.Context, l list, day time.Time, at int) (rows []record, more bool, err error) {
	route, ok := c.between(l.route, day, at)
	if !ok {
		return nil, false, nil
	}
	l.route = route
	rows, err = c.rows(ctx, l)
	return rows, at+1 < c.windows(), err
}

// callsWith are the calls of users with somebody from outside. Zoom shows only
// those that were recorded unless it is told, so that each window is read twice.
func (c *Connector) callsWith(p *who, keyword string, day time.Time) source {
	keep := func(r record) bool { return p.end(r) != "" }
	return source{
		kind: "call", count: "calls",
		read: func(ctx context.Context, at int) (rows []record, more bool, err error) {
			route := kit.To("/phone/call_history").With("keyword", keyword).With("recording_status", []string{"recorded", "non_recorded"}[at%2])
			rows, more, err = c.inWindow(ctx, list{route: route, fields: callRows, keep: keep}, day, at/2)
			return rows, more || at%2 == 0, err
		},
		remove: func(r record) (target, bool) {
			user := r.text(map[string]string{"caller_": "callee_", "callee_": "caller_"}[p.end(r)] + "email")
			return target{"call", []string{user, callID(r)}}, user != "" && callID(r) != ""
		},
	}
}

// end is at which end of a call somebody from outside is the person; "" for
// neither. One who is a user has an account, of which an operator decides.
func (p *who) end(r record) string {
	for _, end := range []string{"caller_", "callee_"} {
		if r.text(end+"ext_type") != "user" && (p.has(r, end+"email") || p.calls(r, end+"did_number")) {
			return end
		}
	}
	return ""
}

func at(template, id string) kit.Route {
	if id == "" {
		return kit.To(template)
	}
	return kit.To(template, id)
}

// sounds are call recordings, of a user or of the account.
func (c *Connector) sounds(template, id string, day time.Time, keep func(record) bool) source {
	return source{
		kind: "call recording", count: "call recordings",
		read: func(ctx context.Context, n int) ([]record, bool, error) {
			return c.inWindow(ctx, list{route: at(template, id), fields: []string{"recordings"}, keep: keep, none: noPhone}, day, n)
		},
		remove: func(r record) (target, bool) { return target{"sound", []string{r.text("id")}}, true },
	}
}

// voiceMails are those of a user or of the account.
func (c *Connector) voiceMails(template, id string, day time.Time, keep func(record) bool) source {
	return source{
		kind: "voice mail", count: "voice mails",
		read: func(ctx context.Context, n int) ([]record, bool, error) {
			return c.inWindow(ctx, list{route: at(template, id), fields: []string{"voice_mails"}, keep: keep, none: noPhone}, day, n)
		},
		remove: func(r record) (target, bool) { return target{"voice mail", []string{r.text("id")}}, true },
	}
}

// texts are SMS sessions with their messages: of a user, or with a number. Zoom
// cannot delete them.
func (c *Connector) texts(id, number string, day time.Time) source {
	route := kit.To("/phone/sms/sessions").With("phone_number", number)
	if id != "" {
		route = kit.To("/phone/users/{id}/sms/sessions", id)
	}
	route = route.With("filter_type", "sent_received_message_time").With("session_type", "user")
	return source{
		kind: "text session", count: "text sessions", stays: "Zoom has no call that deletes text messages; they go by the retention policy of Zoom Phone",
		read: func(ctx context.Context, n int) (rows []record, more bool, err error) {
			rows, more, err = c.inWindow(ctx, list{route: route, fields: []string{"sms_sessions"}, size: 100, none: noPhone}, day, n)
			for _, r := range rows {
				messages, ok := c.between(kit.To("/phone/sms/sessions/{id}", r.text("session_id")), day, n)
				if err != nil || !ok {
					return nil, false, err
				}
				said, err := c.rows(ctx, list{route: messages, fields: []string{"sms_histories"}, size: 100, none: []string{"404/7013"}})
				if err != nil {
					return nil, false, err
				}
				r["messages"] = said
			}
			return rows, more, err
		},
	}
}
