package zendesksupport

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// ticket is a ticket as far as the connector decides by it; raw is all of it.
type ticket struct {
	ID            int64   `json:"id"`
	Status        string  `json:"status"`
	Subject       string  `json:"subject"`
	Requester     int64   `json:"requester_id"`
	CCs           []int64 `json:"email_cc_ids"`
	Followers     []int64 `json:"follower_ids"`
	Collaborators []int64 `json:"collaborator_ids"` // the only list where the account has the older kind of CC
	Fields        []struct {
		ID    int64 `json:"id"`
		Value any   `json:"value"`
	} `json:"custom_fields"`
	raw record
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *ticket) UnmarshalJSON(text []byte) error {
	type fields ticket
	if err := json.Unmarshal(text, (*fields)(t)); err != nil {
		return err
	}
	t.raw = append(record(nil), text...)
	return nil
}

// closed tickets cannot be changed any more; solved ones can.
func (t ticket) closed() bool { return t.Status == "closed" }

// emptied are the fields of the company's that say something, without a value.
func (t ticket) emptied() (fields []map[string]any) {
	for _, f := range t.Fields {
		if f.Value != nil && f.Value != "" {
			fields = append(fields, map[string]any{"id": f.ID, "value": nil})
		}
	}
	return fields
}

// names reports whether the ticket copies or is followed by a user.
func (t ticket) names(user int64) bool {
	return slices.Contains(t.CCs, user) || slices.Contains(t.Followers, user) || slices.Contains(t.Collaborators, user)
}

// The lists of tickets that Zendesk keeps of a user. They are up to date; there
// is none of the tickets that somebody follows, which only the search knows.
const (
	requested = "requested"
	copied    = "ccd"
	assigned  = "assigned"
)

// tickets reads a page of one of a user's lists.
func (w *work) tickets(ctx context.Context, user int64, list string, size int, cursor string) (tickets []ticket, next string, err error) {
	var body struct {
		Tickets []ticket `json:"tickets"`
	}
	next, err = w.page(ctx, kit.To("/users/{user_id}/tickets/"+list, number(user)), size, cursor, &body)
	return body.Tickets, next, err
}

// ticket reads a ticket; nil for one that was deleted.
func (w *work) ticket(ctx context.Context, id int64) (*ticket, error) {
	var body struct {
		Ticket ticket `json:"ticket"`
	}
	found, err := w.get(ctx, kit.To("/tickets/{ticket_id}", number(id)), &body)
	if err != nil || !found {
		return nil, err
	}
	return &body.Ticket, nil
}

// existing reads those of up to 100 tickets that are there: the search still
// finds what was deleted minutes ago.
func (w *work) existing(ctx context.Context, ids []int64) ([]ticket, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var body struct {
		Tickets []ticket `json:"tickets"`
	}
	found, err := w.get(ctx, kit.To("/tickets/show_many").With("ids", list(ids)), &body)
	if err != nil || !found {
		return nil, err
	}
	return body.Tickets, nil
}

// found searches for tickets and gives those of each page that are really there.
// The cursor of this search lives an hour: it is never kept.
func (w *work) found(ctx context.Context, query string, take func(tickets []ticket, more bool) (enough bool, err error)) error {
	type page struct {
		Results []struct {
			ID int64 `json:"id"`
		} `json:"results"`
	}
	route := kit.To("/search/export").With("query", query).With("filter[type]", "ticket")
	return each(ctx, w, route, pageSize, func(p *page, more bool) (bool, error) {
		var ids []int64
		for _, r := range p.Results {
			ids = append(ids, r.ID)
		}
		tickets, err := w.existing(ctx, ids)
		if err != nil {
			return false, err
		}
		return take(tickets, more)
	})
}

// unlisted are up to n tickets after an id which the search shows as a user's and
// the user's list does not: archived ones, in the order of their ids. Each call
// searches anew, as the cursor of a search does not live long enough. Whose they
// are, and whether they are there, is for the caller to see.
func (w *work) unlisted(ctx context.Context, user, after int64, n int) (ids []int64, err error) {
	ids, err = w.hitsAfter(ctx, "requester:"+number(user), after)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	type page struct {
		Tickets []hit `json:"tickets"`
	}
	listed := map[int64]bool{}
	err = each(ctx, w, kit.To("/users/{user_id}/tickets/"+requested, number(user)), pageSize, func(p *page, _ bool) (bool, error) {
		for _, t := range p.Tickets {
			listed[t.ID] = true
		}
		return false, nil
	})
	ids = slices.DeleteFunc(ids, func(id int64) bool { return listed[id] })
	return ids[:min(n, len(ids))], err
}

// hit is a ticket of which only the id is read.
type hit struct {
	ID int64 `json:"id"`
}

// hitsAfter are the tickets after an id that a search shows, in the order of
// their ids.
func (w *work) hitsAfter(ctx context.Context, query string, after int64) (ids []int64, err error) {
	type page struct {
		Hits []hit `json:"results"`
	}
	route := kit.To("/search/export").With("query", query).With("filter[type]", "ticket")
	err = each(ctx, w, route, pageSize, func(p *page, _ bool) (bool, error) {
		for _, h := range p.Hits {
			if h.ID > after {
				ids = append(ids, h.ID)
			}
		}
		return false, nil
	})
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// comment is one message of a ticket.
type comment struct {
	ID          int64        `json:"id"`
	Author      int64        `json:"author_id"`
	HTML        string       `json:"html_body"`
	Attachments []attachment `json:"attachments"`
	raw         record
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *comment) UnmarshalJSON(text []byte) error {
	type fields comment
	if err := json.Unmarshal(text, (*fields)(c)); err != nil {
		return err
	}
	c.raw = append(record(nil), text...)
	return nil
}

type attachment struct {
	ID        int64  `json:"id"`
	Name      string `json:"file_name"`
	MediaType string `json:"content_type"`
	URL       string `json:"content_url"`
	Deleted   bool   `json:"deleted"`
	Scan      string `json:"malware_scan_result"`
}

// withheld reports whether Zendesk does not give a file away.
func (a attachment) withheld() bool { return a.redacted() || a.URL == "" || a.Scan == "malware_found" }

// redacted reports whether an attachment was replaced by Zendesk's empty file.
func (a attachment) redacted() bool { return a.Deleted || a.Name == "redacted.txt" }

// comments reads the comments of a ticket, images in the text included.
func (w *work) comments(ctx context.Context, ticket int64, take func(comment) error) error {
	type page struct {
		Comments []comment `json:"comments"`
	}
	route := kit.To("/tickets/{ticket_id}/comments", number(ticket)).With("include_inline_images", "true")
	return each(ctx, w, route, textPage, func(p *page, _ bool) (bool, error) {
		for _, c := range p.Comments {
			if err := take(c); err != nil {
				return false, err
			}
		}
		return false, nil
	})
}

// audit is one change of a ticket, with the technical data of who made it.
type audit struct {
	Author int64   `json:"author_id"`
	Events []event `json:"events"`
	raw    record
}

// UnmarshalJSON implements json.Unmarshaler.
func (a *audit) UnmarshalJSON(text []byte) error {
	type fields audit
	if err := json.Unmarshal(text, (*fields)(a)); err != nil {
		return err
	}
	a.raw = append(record(nil), text...)
	return nil
}

// event is a part of an audit. Only the beginning of a chat is looked into: its
// value names the chat and holds the transcript.
type event struct {
	Type  string `json:"type"`
	Value record `json:"value"`
}

const chatStarted = "ChatStartedEvent"

// chat is the value of a ChatStartedEvent.
type chat struct {
	ID      string `json:"chat_id"`
	History []line `json:"history"`
}

// line is one entry of a transcript.
type line struct {
	Type      string `json:"type"`
	ActorType string `json:"actor_type"`
	Index     *int   `json:"chat_index"`
	MessageID string `json:"message_id"`
	Message   string `json:"message"`
	FileName  string `json:"filename"`
}

// chats are the chats that began in an audit. A value of another form is none.
func (a audit) chats() []chat {
	var chats []chat
	for _, e := range a.Events {
		var c chat
		if e.Type == chatStarted && json.Unmarshal(e.Value, &c) == nil && c.ID != "" {
			chats = append(chats, c)
		}
	}
	return chats
}

// audits reads the audits of a ticket.
func (w *work) audits(ctx context.Context, ticket int64, take func(audit) error) error {
	type page struct {
		Audits []audit `json:"audits"`
	}
	return each(ctx, w, kit.To("/tickets/{ticket_id}/audits", number(ticket)), textPage, func(p *page, _ bool) (bool, error) {
		for _, a := range p.Audits {
			if err := take(a); err != nil {
				return false, err
			}
		}
		return false, nil
	})
}

// change changes a ticket. refused: Zendesk's rules, such as a required field,
// do not let it.
func (w *work) change(ctx context.Context, id int64, fields map[string]any) (refused bool, err error) {
	a, err := w.do(ctx, kit.Call{
		Method: http.MethodPut, Route: kit.To("/tickets/{ticket_id}", number(id)), Body: map[string]any{"ticket": fields},
		Expect: []int{http.StatusNotFound, http.StatusUnprocessableEntity},
	})
	return err == nil && a.Status == http.StatusUnprocessableEntity, err
}

// suspendedTicket is a message that Zendesk held back, such as for spam.
type suspendedTicket struct {
	ID     int64 `json:"id"`
	Author struct {
		ID    int64  `json:"id"`
		Email string `json:"email"`
	} `json:"author"`
	Attachments []attachment `json:"attachments"`
	raw         record
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *suspendedTicket) UnmarshalJSON(text []byte) error {
	type fields suspendedTicket
	if err := json.Unmarshal(text, (*fields)(s)); err != nil {
		return err
	}
	s.raw = append(record(nil), text...)
	return nil
}

// job is work that Zendesk does later.
type job struct {
	ID      string          `json:"id"`
	Status  string          `json:"status"`
	Results json.RawMessage `json:"results"`
}

// The outcomes of a job.
const (
	running = "running" // queued, working, and every word that is not known yet
	done    = "done"
	failed  = "failed" // wholly or in part
)

// outcome is how a job stands. Its results are a list with a row for each record
// of a deletion, an object for a permanent one, or nothing yet.
func (j job) outcome() string {
	switch j.Status {
	case "failed", "killed":
		return failed
	case "completed":
	default:
		return running
	}
	type row struct {
		Success *bool  `json:"success"`
		Error   string `json:"error"`
	}
	var rows []row
	var one row
	if json.Unmarshal(j.Results, &rows) != nil {
		if json.Unmarshal(j.Results, &one) != nil {
			return failed // what it says cannot be read: who asked looks for itself
		}
		rows = []row{one}
	}
	for _, r := range rows {
		if r.Success != nil && !*r.Success || r.Error != "" {
			return failed
		}
	}
	return done
}

// begin makes a call that starts a job. gone: none of the records is there.
func (w *work) begin(ctx context.Context, route kit.Route) (id string, gone bool, err error) {
	a, err := w.do(ctx, kit.Call{Method: http.MethodDelete, Route: route, Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return "", err == nil, err
	}
	var body struct {
		Job job `json:"job_status"`
	}
	if err := a.JSON(&body); err != nil {
		return "", false, err
	}
	if body.Job.ID == "" {
		return "", false, errs.New(errs.Unavailable, "%s DELETE %s: the answer names no job", w.inventory.System, route)
	}
	return body.Job.ID, false, nil
}

// job asks how a job stands. One that is not kept any more has failed as far as
// anybody can tell.
func (w *work) job(ctx context.Context, id string) (string, error) {
	var body struct {
		Job job `json:"job_status"`
	}
	found, err := w.get(ctx, kit.To("/job_statuses/{job_status_id}", id), &body)
	if err != nil || !found {
		return failed, err
	}
	return body.Job.outcome(), nil
}
