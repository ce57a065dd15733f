package zoom

import (
	"context"
	"slices"
	"strconv"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/identity"
)

func decimal(n int) string { return strconv.Itoa(n) }

// participants are those of a past session whom keep takes. Reports have those
// of half a year; of what is older, the list of the event may still know.
func (c *Connector) participants(ctx context.Context, what, uuid string, keep func(record) bool) ([]record, error) {
	past, report := "/past_meetings/{id}/participants", "/report/meetings/{id}/participants"
	if what == inWebinar {
		past, report = "/past_webinars/{id}/participants", "/report/webinars/{id}/participants"
	}
	l := list{route: kit.To(report, session(uuid)).With("include_fields", "registrant_id"), fields: []string{"participants"}, keep: keep, none: noSession}
	first, err := c.page(ctx, l, "")
	if err != nil {
		return nil, err
	}
	if first == nil {
		l.route = kit.To(past, session(uuid))
		return c.rows(ctx, l)
	}
	if first.text("next_page_token") == "" {
		return first.rows(l.fields, keep), nil
	}
	return c.rows(ctx, l)
}

// sessions are the past sessions that the person took part in, with what they
// asked and answered there. Zoom cannot delete them.
func (c *Connector) sessions(p *who) source {
	type one struct{ what, date, uuid string }
	var order []one
	marks := map[one][]string{} // of participants whom an operator has accepted
	for _, r := range p.refs {
		if r.what != inMeeting && r.what != inWebinar {
			continue
		}
		s := one{r.what, r.parts[0], r.parts[1]}
		if !slices.Contains(order, s) {
			order = append(order, s)
		}
		marks[s] = append(marks[s], r.parts[2])
	}
	return source{
		kind: "session", count: "sessions",
		read: func(ctx context.Context, at int) ([]record, bool, error) {
			if at >= len(order) {
				return nil, false, nil
			}
			s := order[at]
			keep := func(r record) bool {
				return p.attended(r) || r.text("user_id") != "" && slices.Contains(marks[s], r.text("user_id"))
			}
			row, err := c.attendance(ctx, s.what, s.uuid, p, keep)
			if err != nil || row == nil {
				return nil, at+1 < len(order), err
			}
			return []record{row}, at+1 < len(order), nil
		},
	}
}

// attendance is a session as far as it is about the person; nil when Zoom has
// forgotten it.
func (c *Connector) attendance(ctx context.Context, what, uuid string, p *who, keep func(record) bool) (record, error) {
	others := map[string]bool{} // names, folded
	mine, err := c.participants(ctx, what, uuid, func(r record) bool {
		yes := keep(r)
		if !yes {
			others[identity.Fold(r.text("name"))] = true
		}
		return yes
	})
	if err != nil || len(mine) == 0 {
		return nil, err
	}
	details, event := "/past_meetings/{id}", "/past_meetings/{id}/"
	if what == inWebinar {
		details, event = "/report/webinars/{id}", "/past_webinars/{id}/"
	}
	row := record{"uuid": uuid, "participants": mine}
	last, err := c.get(ctx, kit.To(details, session(uuid)), noSession...)
	if err != nil {
		return nil, err
	}
	for _, field := range []string{"id", "topic", "start_time", "end_time", "duration", "participants_count"} {
		if value, ok := last[field]; ok {
			row[field] = value
		}
	}
	for _, kind := range []string{"qa", "polls"} {
		body, err := c.get(ctx, kit.To(event+kind, session(uuid)), noSession...)
		if err != nil {
			return nil, err
		}
		unclear := 0
		said := body.rows([]string{"questions"}, func(r record) bool {
			if r.text("email") != "" {
				return p.has(r, "email")
			}
			name := identity.Fold(r.text("name"))
			if !slices.ContainsFunc(mine, func(m record) bool { return identity.Fold(m.text("name")) == name }) {
				return false
			}
			if others[name] || !fullName(name) {
				unclear++
				return false
			}
			return true
		})
		if len(said) > 0 {
			row[kind] = said
		}
		if unclear > 0 { // under the person's name, but maybe somebody else's words
			row[kind+"_left_out"] = unclear
		}
	}
	return row, nil
}
