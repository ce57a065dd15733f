package zendesksupport

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// Redaction names a text, so that it may not simply be repeated: what a comment
// says now is read first, and only what is left of it is sent. A redaction of
// which nobody has heard is refused when it is sent again, because the text is
// another one by then, and the next look finds nothing to do.

// errLater ends a piece of work that has changed enough for one Poll.
var errLater = errors.New("the rest is for the next Poll")

// redacted replaces the subject of a ticket.
const redacted = "(redacted)"

// redactBatch removes the person from tickets of their own, and closes those
// that are not: the user could not be deleted otherwise.
func (w *work) redactBatch(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	cursor := h.Cursor
	p, rest, err := w.batch(ctx, call, h, "redacted_tickets", func(t *ticket) (*connector.Ask, error) {
		if err := w.redactTicket(ctx, t, h.people()); err != nil || t.closed() {
			return nil, err
		}
		if refused, err := w.shut(ctx, t); err != nil || !refused {
			return nil, err
		}
		t, err := w.ticket(ctx, t.ID)
		if err != nil || t == nil || t.closed() { // by an earlier attempt
			return nil, err
		}
		return openAsk, nil
	})
	if err != nil || rest || p.Ask != nil {
		return p, err
	}
	h = h.to(listTickets)
	if h.Cursor = cursor; cursor == "" {
		h = h.to(listArchived)
	}
	p.Handle = kit.Handle(h)
	return p, nil
}

// shut empties a ticket's subject and fields and closes it. A field that the
// account requires cannot be emptied: then it stays, so that the ticket closes.
func (w *work) shut(ctx context.Context, t *ticket) (refused bool, err error) {
	fields := map[string]any{"subject": redacted, "status": "closed"}
	if empty := t.emptied(); len(empty) > 0 {
		fields["custom_fields"] = empty
		if refused, err := w.change(ctx, t.ID, fields); err != nil || !refused {
			return refused, err
		}
		delete(fields, "custom_fields")
	}
	return w.change(ctx, t.ID, fields)
}

// people are all users of the person: each may have written in tickets of the other.
func (h erasing) people() []int64 { return slices.Concat(h.Users, h.Purged) }

// batch deals with the tickets of the batch, as many as one Poll may. rest: some
// are left, and the progress says so.
func (w *work) batch(ctx context.Context, call connector.Call, h erasing, kind string, deal func(*ticket) (*connector.Ask, error)) (p connector.Progress, rest bool, err error) {
	p = connector.Progress{After: soon, Counts: map[string]int{}}
	for len(h.Batch) > 0 {
		t, err := w.ticket(ctx, h.Batch[0])
		if err != nil {
			return connector.Progress{}, false, err
		}
		if t != nil {
			ask, err := deal(t)
			if errors.Is(err, errLater) {
				break
			}
			if err != nil {
				return connector.Progress{}, false, err
			}
			if ask != nil {
				p.Ask, p.Handle = ask, kit.Handle(h)
				return p, false, nil
			}
		}
		h.Batch = h.Batch[1:]
		p.Counts[kind]++
	}
	if n := p.Counts[kind]; n > 0 {
		p.Evidence = []connector.Evidence{said(call.Now, "PUT /comment_redactions/{id}", fmt.Sprintf("200, %d tickets", n))}
	}
	p.Handle = kit.Handle(h)
	return p, len(h.Batch) > 0, nil
}

// redactTicket redacts what people wrote in a ticket, until nothing is left.
func (w *work) redactTicket(ctx context.Context, t *ticket, people []int64) error {
	for range maxTries {
		changed, err := w.redactComments(ctx, t, people)
		if err != nil {
			return err
		}
		lines, err := w.redactChats(ctx, t, people)
		if err != nil {
			return err
		}
		if !changed && !lines {
			return nil
		}
	}
	return errs.New(errs.Conflict, "%s: a comment is still readable after it was redacted: is the Agent Workspace on?", w.inventory.System)
}

// spend ends the piece of work when it has changed enough.
func (w *work) spend() error {
	if w.writes >= perPoll {
		return errLater
	}
	return nil
}

// redactComments redacts what is left of the people's comments. changed: there
// was something, so that it is worth another look.
func (w *work) redactComments(ctx context.Context, t *ticket, people []int64) (changed bool, err error) {
	err = w.comments(ctx, t.ID, func(c comment) error {
		if !slices.Contains(people, c.Author) {
			return nil
		}
		marked, left := markup(c.HTML)
		urls := []string{}
		for _, a := range c.Attachments {
			if a.redacted() {
				continue
			}
			changed = true
			if t.closed() { // its attachments can be named in the redaction only
				urls = append(urls, a.URL)
				continue
			}
			if err := w.redactAttachment(ctx, t.ID, c.ID, a.ID); err != nil {
				return err
			}
		}
		if !left && len(urls) == 0 {
			return nil
		}
		changed = true
		return w.redaction(ctx, kit.To("/comment_redactions/{ticket_comment_id}", number(c.ID)),
			map[string]any{"ticket_id": t.ID, "html_body": marked, "external_attachment_urls": urls})
	})
	return changed, err
}

func (w *work) redactAttachment(ctx context.Context, ticket, comment, id int64) error {
	route := kit.To("/tickets/{ticket_id}/comments/{comment_id}/attachments/{attachment_id}/redact", number(ticket), number(comment), number(id))
	return w.redaction(ctx, route, nil)
}

// redaction sends a redaction. A refusal is no error: the next look tells.
func (w *work) redaction(ctx context.Context, route kit.Route, body any) error {
	if err := w.spend(); err != nil {
		return err
	}
	_, err := w.do(ctx, kit.Call{
		Method: http.MethodPut, Route: route, Body: body,
		Expect: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusUnprocessableEntity},
	})
	return err
}

// redactChats redacts what the visitor said in chats from which a ticket of the
// person was made, and the files that were sent.
func (w *work) redactChats(ctx context.Context, t *ticket, people []int64) (changed bool, err error) {
	if !slices.Contains(people, t.Requester) {
		return false, nil
	}
	err = w.audits(ctx, t.ID, func(a audit) error {
		for _, c := range a.chats() {
			for _, l := range c.History {
				route, body := l.redaction(c.ID)
				if body == nil {
					continue
				}
				changed = true
				if err := w.redaction(ctx, kit.To(route+"/{ticket_id}", number(t.ID)), body); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return changed, err
}

// readable reports whether anything that people wrote in a ticket can be read.
func (w *work) readable(ctx context.Context, t ticket, people []int64) (yes bool, err error) {
	err = w.comments(ctx, t.ID, func(c comment) error {
		_, left := markup(c.HTML)
		file := slices.ContainsFunc(c.Attachments, func(a attachment) bool { return !a.redacted() })
		yes = yes || slices.Contains(people, c.Author) && (left || file)
		return nil
	})
	if err != nil || yes || !slices.Contains(people, t.Requester) {
		return yes, err
	}
	err = w.audits(ctx, t.ID, func(a audit) error {
		for _, c := range a.chats() {
			for _, l := range c.History {
				_, body := l.redaction(c.ID)
				yes = yes || body != nil
			}
		}
		return nil
	})
	return yes, err
}

// redaction is the call that redacts a line of a transcript; none for one of an
// agent, or with nothing left to redact.
func (l line) redaction(chat string) (route string, body map[string]any) {
	if l.ActorType != "end-user" && l.ActorType != "" || l.Index == nil && l.MessageID == "" {
		return "", nil
	}
	switch {
	case l.Type == "ChatMessage" && !blank(l.Message):
		body = map[string]any{"chat_id": chat, "text": "<redact>" + l.Message + "</redact>"}
		if l.Index != nil {
			body["chat_index"] = *l.Index
		} else {
			body["message_id"] = l.MessageID
		}
		return "/chat_redactions", body
	case l.Type == "ChatFileAttachment" && l.FileName != "redacted.txt":
		body = map[string]any{"chat_id": chat}
		if l.Index != nil {
			body["chat_indexes"] = []int{*l.Index}
		} else {
			body["message_ids"] = []string{l.MessageID}
		}
		return "/chat_file_redactions", body
	}
	return "", nil
}

// block is what Zendesk puts in the place of each redacted character.
const block = '▇'

// blank reports whether a text says nothing, or nothing any more.
func blank(text string) bool {
	text = strings.ReplaceAll(text, "&nbsp;", " ")
	return strings.TrimFunc(text, func(r rune) bool { return r == block || r == '\u00a0' || r == '\u200b' || r == '\ufeff' || r <= ' ' }) == ""
}

// markup marks everything in the HTML of a comment that can be redacted: texts
// are wrapped in <redact>, and elements that show or link to something get the
// attribute redact. left: there is something to redact.
func markup(html string) (marked string, left bool) {
	var b strings.Builder
	for html != "" {
		n := textEnd(html)
		if text := html[:n]; blank(text) {
			b.WriteString(text)
		} else {
			b.WriteString("<redact>" + text + "</redact>")
			left = true
		}
		html = html[n:]
		n = tagEnd(html)
		element := html[:n]
		if shows(element) {
			end := strings.LastIndexByte(element, '>')
			if end > 0 && element[end-1] == '/' {
				end--
			}
			element = element[:end] + " redact" + element[end:]
			left = true
		}
		b.WriteString(element)
		html = html[n:]
	}
	return b.String(), left
}

// textEnd is where the next tag begins. A "<" that begins none is text.
func textEnd(html string) int {
	for i := range len(html) - 1 {
		if next := html[i+1] | 0x20; html[i] == '<' && (next >= 'a' && next <= 'z' || html[i+1] == '/' || html[i+1] == '!') && strings.IndexByte(html[i:], '>') > 0 {
			return i
		}
	}
	return len(html)
}

// tagEnd is where the tag ends that html begins with: at a ">" outside quotes,
// or at the first one where the quotes never end.
func tagEnd(html string) int {
	quote := byte(0)
	for i := range len(html) {
		switch c := html[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && c == '>':
			return i + 1
		}
	}
	return strings.IndexByte(html, '>') + 1
}

// shows reports whether an element shows or links to something by itself.
func shows(element string) bool {
	name := strings.TrimPrefix(element, "<")
	if end := strings.IndexAny(name, " \t\r\n/>"); end >= 0 {
		name = name[:end]
	}
	return slices.Contains([]string{"a", "img", "video", "audio", "source", "iframe", "embed", "object"}, strings.ToLower(name)) &&
		!strings.Contains(element, " redact")
}
