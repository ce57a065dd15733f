package salesforce

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// marks are the flags that may follow answers: true is a no.
var marks = flags

// settled is how long after a change a record is sure to be in a query: what
// changed later is read again by the next one.
const settled = time.Minute

// perMarks is how many changed records are read at a time.
const perMarks = 200

// CheckMark implements connector.Marker.
func (c *Connector) CheckMark(flag string) error {
	if !slices.Contains(marks, flag) {
		return errs.New(errs.Invalid, "there is no flag %q: contacts and leads have %s", flag, strings.Join(marks, ", "))
	}
	return nil
}

// Mark implements connector.Marker, for contacts and leads with one of the
// person's e-mails. A converted lead cannot be changed, and nobody mails it.
func (c *Connector) Mark(ctx context.Context, m connector.Marking) (connector.Marked, error) {
	var out connector.Marked
	p := c.person(m.Subject)
	if len(p.emails) == 0 {
		return out, nil
	}
	for _, r := range c.searched() {
		list, err := c.rows(ctx, "SELECT "+markFields(r)+" FROM "+r.object+" WHERE "+in("Email", p.emails)+" ORDER BY Id LIMIT "+decimal(most+1), false)
		if err != nil {
			return out, err
		}
		if len(list) > most {
			return out, errs.New(errs.TooLarge, "system %q: more than %d records have an e-mail of the person", c.inventory.System, most)
		}
		for _, found := range list {
			if address, ok := identity.NormalizeEmail(found.text("Email")); !ok || !slices.Contains(p.emails, address) || found.flag("IsConverted") {
				continue
			}
			out.Records++
			body, own := unlike(m, found)
			for _, flag := range own {
				if !slices.Contains(out.Own, flag) {
					out.Own = append(out.Own, flag)
				}
			}
			if len(body) == 0 {
				continue
			}
			if _, err := c.patch(ctx, r.object, found.text("Id"), body); err != nil {
				return out, err
			}
			out.Changed++
		}
	}
	return out, nil
}

// unlike are the flags of a record that must change, and those whose no is its own.
func unlike(m connector.Marking, found row) (body map[string]any, own []string) {
	body = map[string]any{}
	for flag, yes := range m.Yes {
		no := found.flag(flag)
		switch {
		case no && yes && m.OwnNo(flag):
			own = append(own, flag)
		case no == yes:
			body[flag] = !yes
		}
	}
	return body, own
}

func markFields(r root) string {
	list := slices.Concat([]string{"Id", "Email"}, marks)
	if r.object == leads.object {
		list = append(list, "IsConverted")
	}
	return strings.Join(list, ",")
}

// stampForm is an instant as queries write it.
const stampForm = "2006-01-02T15:04:05Z"

// position is where reading changes stands: all up to an instant were read, and of
// the second behind it, where more have changed than one read takes, those up to
// an Id of an object.
type position struct {
	since      time.Time
	object, id string // "" where the second is none of these
}

func (p position) String() string {
	at := p.since.Format(stampForm)
	if p.object == "" {
		return at
	}
	return at + " " + p.object + " " + p.id
}

func parsePosition(cursor string) (p position, err error) {
	at, rest, _ := strings.Cut(cursor, " ")
	p.object, p.id, _ = strings.Cut(rest, " ")
	if p.since, err = time.Parse(stampForm, at); err != nil || p.id != "" && !isID(p.id) {
		return p, errs.New(errs.Invalid, "the cursor is no instant")
	}
	return p, nil
}

// Marks implements connector.Marker. What has changed in a record does not matter.
func (c *Connector) Marks(ctx context.Context, names []string, cursor string) (list []connector.Flagged, next string, more bool, err error) {
	end := c.now().Add(-settled).UTC().Truncate(time.Second)
	if cursor == "" {
		return nil, position{since: end}.String(), false, nil
	}
	at, err := parsePosition(cursor)
	if err != nil {
		return nil, "", false, err
	}
	if !end.After(at.since) {
		return nil, cursor, false, nil
	}
	if at.object != "" {
		list, at, err = c.crowded(ctx, names, at)
		return list, at.String(), true, err
	}
	// Times that more than one read may take are gone through in halves.
	for until := end; ; {
		full := false
		if list, full, err = c.changed(ctx, names, at.since, until); err != nil || !full {
			return list, position{since: until}.String(), until.Before(end), err
		}
		half := at.since.Add(until.Sub(at.since) / 2).Truncate(time.Second)
		if !half.After(at.since) {
			list, at, err = c.crowded(ctx, names, position{since: at.since, object: c.searched()[0].object})
			return list, at.String(), true, err
		}
		until = half
	}
}

// between is the condition that a record changed after one instant and not after
// another.
func between(since, until time.Time) string {
	return "SystemModstamp > " + since.Format(stampForm) + " AND SystemModstamp <= " + until.Format(stampForm)
}

// changed are the records that changed between two instants; full: they are too
// many for a read.
func (c *Connector) changed(ctx context.Context, names []string, since, until time.Time) (list []connector.Flagged, full bool, err error) {
	for _, r := range c.searched() {
		rows, err := c.rows(ctx, "SELECT "+markFields(r)+" FROM "+r.object+" WHERE "+between(since, until)+" LIMIT "+decimal(perMarks+1), false)
		if err != nil {
			return nil, false, err
		}
		if len(rows) > perMarks {
			return nil, true, nil
		}
		list = append(list, flagged(rows, names)...)
	}
	return list, false, nil
}

// crowded reads on in a second in which more records have changed than one read
// takes: a load changes hundreds at once.
func (c *Connector) crowded(ctx context.Context, names []string, at position) (list []connector.Flagged, next position, err error) {
	roots := c.searched()
	i := max(0, slices.IndexFunc(roots, func(r root) bool { return r.object == at.object }))
	until := at.since.Add(time.Second)
	where := between(at.since, until)
	if at.id != "" {
		where += " AND Id > '" + at.id + "'"
	}
	rows, err := c.rows(ctx, "SELECT "+markFields(roots[i])+" FROM "+roots[i].object+" WHERE "+where+" ORDER BY Id LIMIT "+decimal(perMarks), false)
	switch {
	case err != nil:
		return nil, at, err
	case len(rows) == perMarks:
		at.id = rows[len(rows)-1].text("Id")
	case i+1 < len(roots):
		at.object, at.id = roots[i+1].object, ""
	default:
		at = position{since: until}
	}
	return flagged(rows, names), at, nil
}

// flagged are records with their flags. A converted lead is nobody any more.
func flagged(rows []row, names []string) (list []connector.Flagged) {
	for _, found := range rows {
		email, ok := identity.NormalizeEmail(found.text("Email"))
		if !ok || found.flag("IsConverted") {
			continue
		}
		one := connector.Flagged{Email: email, Yes: map[string]bool{}}
		for _, flag := range names {
			one.Yes[flag] = !found.flag(flag)
		}
		list = append(list, one)
	}
	return list
}
