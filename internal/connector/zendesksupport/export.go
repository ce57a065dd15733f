package zendesksupport

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// An export writes the records first, then one page of one list of tickets in
// each Poll, and the suspended tickets at the end. Everything is written record
// by record: a person may have ten thousand tickets.
//
// What other people wrote has kinds of its own (others_ticket, others_comment,
// others_audit), so that an officer can leave it out (Art. 15(4) GDPR).

const exportPage = 25 // tickets written in one Poll

// exporting is the handle of an export.
type exporting struct {
	Users  []int64 `json:"users"`
	At     int     `json:"at"`              // which of Users has its lists written next; all: the suspended tickets are next
	List   int     `json:"list"`            // which of lists
	Cursor string  `json:"cursor"`          // page of the list; "" is the first
	Last   int64   `json:"last,omitempty"`  // archived ticket that was listed
	Batch  []int64 `json:"batch,omitempty"` // archived tickets to be written
}

// Lists that only the search knows.
const (
	archived = "archived" // of the user, not in requested
	followed = "followed" // by the user
)

// lists of tickets, in the order in which they are written.
var lists = []string{requested, archived, copied, assigned, followed}

func (w *work) startExport(ctx context.Context, call connector.Call) (connector.Progress, error) {
	h := exporting{}
	counts := map[string]int{}
	for _, id := range w.users(call.Subject) {
		a, err := w.account(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if a == nil {
			continue
		}
		if err := call.Out.Record("user", plain(a.raw)); err != nil {
			return connector.Progress{}, err
		}
		for _, i := range a.idents {
			if err := call.Out.Record("identity", plain(i.raw)); err != nil {
				return connector.Progress{}, err
			}
		}
		if err := w.exportSessions(ctx, call.Out, id); err != nil {
			return connector.Progress{}, err
		}
		h.Users = append(h.Users, id)
		counts["users"]++
	}
	return connector.Progress{Handle: kit.Handle(h), After: soon, Counts: counts}, nil
}

// exportSessions writes the user's logins.
func (w *work) exportSessions(ctx context.Context, out connector.Sink, id int64) error {
	type page struct {
		Sessions []record `json:"sessions"`
	}
	return each(ctx, w, kit.To("/users/{user_id}/sessions", number(id)), pageSize, func(p *page, _ bool) (bool, error) {
		for _, s := range p.Sessions {
			if err := out.Record("session", plain(s)); err != nil {
				return false, err
			}
		}
		return false, nil
	})
}

func (w *work) pollExport(ctx context.Context, call connector.Call) (connector.Progress, error) {
	var h exporting
	if err := kit.ParseHandle(call.Handle, &h); err != nil {
		return connector.Progress{}, err
	}
	e := exportation{work: w, out: call.Out, failing: call.Failing, users: h.Users, counts: map[string]int{}}
	if h.At >= len(h.Users) {
		next, err := e.suspended(ctx, call.Subject, h.Cursor)
		h.Cursor = next
		return connector.Progress{Done: next == "", Handle: kit.Handle(h), After: soon, Counts: e.counts}, err
	}
	if lists[h.List] == archived {
		err := e.archived(ctx, &h)
		return connector.Progress{Handle: kit.Handle(h), After: soon, Counts: e.counts}, err
	}
	next, err := e.list(ctx, h.Users[h.At], lists[h.List], h.Cursor)
	if err != nil {
		return connector.Progress{}, err
	}
	if h.Cursor = next; next == "" {
		if h.List++; h.List == len(lists) {
			h.List, h.At = 0, h.At+1
		}
	}
	return connector.Progress{Handle: kit.Handle(h), After: soon, Counts: e.counts}, nil
}

// exportation is one Poll of an export.
type exportation struct {
	*work
	out     connector.Sink
	failing time.Duration // connector.Call.Failing
	users   []int64
	counts  map[string]int
}

func (e *exportation) mine(user int64) bool { return slices.Contains(e.users, user) }

// list writes a page of one list, and gives the cursor of the next.
func (e *exportation) list(ctx context.Context, user int64, name, cursor string) (next string, err error) {
	if name == followed {
		return "", e.followed(ctx, user)
	}
	tickets, next, err := e.tickets(ctx, user, name, exportPage, cursor)
	if err != nil {
		return "", err
	}
	for _, t := range tickets {
		if name != requested && e.mine(t.Requester) || name == assigned && t.names(user) {
			continue // it stands in an earlier list
		}
		if err := e.ticket(ctx, t); err != nil {
			return "", err
		}
	}
	return next, nil
}

// archived writes some tickets that the user's list has not shown, or lists which
// are next.
func (e *exportation) archived(ctx context.Context, h *exporting) error {
	user := h.Users[h.At]
	if len(h.Batch) == 0 {
		ids, err := e.unlisted(ctx, user, h.Last, pageSize)
		if err != nil {
			return err
		}
		if len(ids) == 0 {
			h.List, h.Last = h.List+1, 0
			return nil
		}
		h.Batch, h.Last = ids, ids[len(ids)-1]
	}
	n := min(exportPage, len(h.Batch))
	tickets, err := e.existing(ctx, h.Batch[:n])
	if err != nil {
		return err
	}
	for _, t := range tickets {
		if t.Requester != user {
			continue
		}
		if err := e.ticket(ctx, t); err != nil {
			return err
		}
	}
	h.Batch = h.Batch[n:]
	return nil
}

// followed writes that the user follows tickets, not what they say: nobody but
// agents can follow, and what they wrote there is in the other lists.
func (e *exportation) followed(ctx context.Context, user int64) error {
	return e.found(ctx, "follower:"+number(user), func(tickets []ticket, _ bool) (bool, error) {
		for _, t := range tickets {
			if e.mine(t.Requester) || !slices.Contains(t.Followers, user) {
				continue
			}
			if err := e.out.Record("followed_ticket", map[string]any{"id": t.ID, "status": t.Status}); err != nil {
				return false, err
			}
			e.counts["followed_tickets"]++
		}
		return false, nil
	})
}

// ticket writes a ticket with its comments and files; of the person's own also
// the audits, which say from where each message came.
func (e *exportation) ticket(ctx context.Context, t ticket) error {
	kind := "others_ticket"
	if e.mine(t.Requester) {
		kind = "ticket"
	}
	e.counts[kind+"s"]++
	if err := e.out.Record(kind, plain(t.raw)); err != nil {
		return err
	}
	err := e.comments(ctx, t.ID, func(c comment) error {
		gone, err := e.files(ctx, e.folder(c.Author)+number(t.ID), c.Attachments)
		if err != nil {
			return err
		}
		return e.out.Record(e.by(c.Author, "comment"), labelled(t.ID, unavailable(plain(c.raw), gone)))
	})
	if err != nil || kind != "ticket" {
		return err
	}
	return e.audits(ctx, t.ID, func(a audit) error {
		return e.out.Record(e.by(a.Author, "audit"), withoutComments(plain(a.raw)))
	})
}

// by is the kind of what an author wrote.
func (e *exportation) by(author int64, kind string) string {
	if e.mine(author) {
		return kind
	}
	return "others_" + kind
}

func (e *exportation) folder(author int64) string {
	if e.mine(author) {
		return "tickets/"
	}
	return "others/"
}

// labelled adds to a comment which ticket it is of.
func labelled(ticket int64, v any) any {
	if fields, ok := v.(map[string]any); ok {
		fields["ticket_id"] = ticket
	}
	return v
}

// withoutComments is an audit without the texts that were written as comments
// already.
func withoutComments(v any) any {
	fields, ok := v.(map[string]any)
	if !ok {
		return v
	}
	events, _ := fields["events"].([]any)
	fields["events"] = slices.DeleteFunc(events, func(event any) bool {
		one, _ := event.(map[string]any)
		return one["type"] == "Comment" || one["type"] == "VoiceComment"
	})
	return fields
}

// files copies attachments. One that was redacted or withheld for malware is not
// there; the comment says so. One that is gone, or whose host is away for good,
// is counted, and returned for what it belongs to.
func (e *exportation) files(ctx context.Context, folder string, attachments []attachment) (gone map[string]string, err error) {
	gone = map[string]string{}
	for _, a := range attachments {
		if a.withheld() {
			continue
		}
		switch err := e.file(ctx, folder+"/"+number(a.ID)+" "+kit.FileName(a.Name), a); {
		case kit.Missing(err, e.failing):
			gone[number(a.ID)] = string(errs.KindOf(err))
			e.counts["unavailable_files"]++
		case err != nil:
			return nil, err
		default:
			e.counts["files"]++
		}
	}
	return gone, nil
}

// unavailable marks attachments of which there is no file, by their ids.
func unavailable(v any, gone map[string]string) any {
	fields, _ := v.(map[string]any)
	list, _ := fields["attachments"].([]any)
	for _, one := range list {
		a, _ := one.(map[string]any)
		if why, yes := gone[fmt.Sprint(a["id"])]; yes {
			a["unavailable"] = why
		}
	}
	return v
}

// file copies a file, in constant memory. Its address may be another host's: it
// gets no credentials.
func (e *exportation) file(ctx context.Context, name string, a attachment) error {
	e.calls++
	f, err := e.api.Open(ctx, "/attachments/{id}", a.URL)
	if err != nil {
		return err
	}
	defer f.Close()
	return e.out.File(ctx, name, f.MediaType, f)
}

// suspended writes those of a page of suspended tickets that are the person's,
// and gives the cursor of the next page.
func (e *exportation) suspended(ctx context.Context, s connector.Subject, cursor string) (next string, err error) {
	var body struct {
		Tickets []suspendedTicket `json:"suspended_tickets"`
	}
	next, err = e.page(ctx, kit.To("/suspended_tickets"), pageSize, cursor, &body)
	if err != nil {
		return "", err
	}
	for _, t := range body.Tickets {
		if !t.from(s, e.users) {
			continue
		}
		gone, err := e.files(ctx, "suspended/"+number(t.ID), t.Attachments)
		if err != nil {
			return "", err
		}
		if err := e.out.Record("suspended_ticket", unavailable(plain(t.raw), gone)); err != nil {
			return "", err
		}
		e.counts["suspended_tickets"]++
	}
	return next, nil
}
