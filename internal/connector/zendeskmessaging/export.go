package zendeskmessaging

import (
	"context"
	"encoding/json"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// An export writes the records with their clients and devices first, then one
// page of conversations or of messages for each Poll.

// exporting is the handle of an export.
type exporting struct {
	Users  []string `json:"users"`            // whose conversations are still to be written; the first one's now
	All    []string `json:"all"`              // the person's records: what others wrote is left out
	Next   string   `json:"next,omitempty"`   // page of the first user's conversations
	Queue  []talk   `json:"queue,omitempty"`  // conversations of the page; the first one's messages are next
	Before string   `json:"before,omitempty"` // page of its messages
	Pages  int      `json:"pages,omitempty"`  // that were read of it
	Groups []string `json:"groups,omitempty"` // shared conversations that were written
}

// talk is a conversation in a handle.
type talk struct {
	ID      string `json:"id"`
	Shared  bool   `json:"shared,omitempty"`
	Default bool   `json:"default,omitempty"`
}

const (
	perPoll  = 25   // writes, or files, in one Poll
	maxTurns = 3000 // pages and batches of one conversation, which holds at most 30,000 messages
)

func (c *Connector) startExport(ctx context.Context, call connector.Call) (connector.Progress, error) {
	h := exporting{}
	counts := map[string]int{}
	for _, id := range c.users(call.Subject) {
		u, err := c.user(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil {
			continue
		}
		if err := c.exportUser(ctx, call.Out, u, counts); err != nil {
			return connector.Progress{}, err
		}
		h.Users = append(h.Users, id)
	}
	h.All = h.Users
	if len(h.Users) == 0 {
		return connector.Progress{Done: true}, nil
	}
	return connector.Progress{Handle: kit.Handle(h), After: soon, Counts: counts}, nil
}

// exportUser writes a record with its clients and devices, as the vendor has
// them.
func (c *Connector) exportUser(ctx context.Context, out connector.Sink, u *user, counts map[string]int) error {
	clients, err := c.clients(ctx, u.ID)
	if err != nil {
		return err
	}
	devices, err := c.devices(ctx, u.ID)
	if err != nil {
		return err
	}
	write := func(kind string, text json.RawMessage) error {
		counts[kind+"s"]++
		return out.Record(kind, text)
	}
	if err := write("user", u.raw); err != nil {
		return err
	}
	for _, one := range clients {
		if err := write("client", one.raw); err != nil {
			return err
		}
	}
	for _, text := range devices {
		if err := write("device", text); err != nil {
			return err
		}
	}
	return nil
}

func (c *Connector) pollExport(ctx context.Context, call connector.Call) (connector.Progress, error) {
	var h exporting
	if err := kit.ParseHandle(call.Handle, &h); err != nil {
		return connector.Progress{}, err
	}
	counts := map[string]int{}
	var err error
	switch {
	case len(h.Queue) > 0:
		err = c.exportMessages(ctx, call, &h, counts)
	case len(h.Users) == 0:
		return connector.Progress{Done: true, Handle: call.Handle}, nil
	default:
		err = c.exportConversations(ctx, call.Out, &h, counts)
	}
	if err != nil {
		return connector.Progress{}, err
	}
	return connector.Progress{Handle: kit.Handle(h), After: soon, Counts: counts, Done: len(h.Queue) == 0 && len(h.Users) == 0}, nil
}

// exportConversations writes a page of conversations and makes their messages
// the next thing to do.
func (c *Connector) exportConversations(ctx context.Context, out connector.Sink, h *exporting, counts map[string]int) error {
	list, next, err := c.conversations(ctx, h.Users[0], h.Next)
	if err != nil {
		return err
	}
	for _, one := range list {
		if !one.personal() {
			if slices.Contains(h.Groups, one.ID) {
				continue // two records of the person talk in it
			}
			h.Groups = append(h.Groups, one.ID)
		}
		if err := out.Record("conversation", one.raw); err != nil {
			return err
		}
		counts["conversations"]++
		h.Queue = append(h.Queue, talk{ID: one.ID, Shared: !one.personal()})
	}
	if h.Next = next; next == "" {
		h.Users = h.Users[1:]
	}
	return nil
}

// exportMessages writes a page of messages with their files, the newest first.
// After many files it stops, and goes on before the last message.
func (c *Connector) exportMessages(ctx context.Context, call connector.Call, h *exporting, counts map[string]int) error {
	at := h.Queue[0]
	list, before, err := c.messages(ctx, at.ID, h.Before)
	if err != nil {
		return err
	}
	if h.Pages++; h.Pages > maxTurns {
		return c.endless()
	}
	files := 0
	for i, m := range list {
		if at.Shared && m.Author.Type != "business" && !m.by(h.All) {
			counts["messages of others, left out"]++
			continue
		}
		n, err := c.exportMessage(ctx, call, at.ID, m, counts)
		if err != nil {
			return err
		}
		if files += n; files >= perPoll && i+1 < len(list) {
			h.Before = m.ID
			return nil
		}
	}
	if h.Before = before; before == "" {
		h.Queue, h.Pages = h.Queue[1:], 0
	}
	return nil
}

func (c *Connector) endless() error {
	return errs.New(errs.TooLarge, "%s: a conversation has no end", c.inventory.System)
}

// exportMessage writes a message and its file. In place of the file's address,
// which lets whoever has it in, stands its name in the package.
func (c *Connector) exportMessage(ctx context.Context, call connector.Call, conversation string, m message, counts map[string]int) (files int, err error) {
	counts["messages"]++
	link := m.file()
	if link == "" {
		return 0, call.Out.Record("message", m.raw)
	}
	name := "conversations/" + kit.FileName(conversation) + "/" + kit.FileName(m.ID) + " " + fileName(m)
	there, err := c.exportFile(ctx, call, name, link)
	if err != nil {
		return 0, err
	}
	if there {
		counts["files"]++
	} else {
		counts["files that their host does not give out"]++
		name = ""
	}
	text, err := withFile(m.raw, name)
	if err != nil {
		return 0, err
	}
	return 1, call.Out.Record("message", text)
}

// fileName is a message's own name of its file.
func fileName(m message) string {
	if m.Content.AltText != "" {
		return kit.FileName(m.Content.AltText)
	}
	u, err := url.Parse(m.Content.MediaURL)
	if err != nil {
		return "file"
	}
	return kit.FileName(path.Base(u.Path))
}

// withFile is a message with the name of its exported file in place of its
// address; "" where there is none.
func withFile(raw json.RawMessage, name string) (map[string]any, error) {
	var m map[string]any
	err := json.Unmarshal(raw, &m)
	content, ok := m["content"].(map[string]any)
	if err != nil || !ok {
		return nil, errs.New(errs.Internal, "a message cannot be read")
	}
	delete(content, "mediaUrl")
	if name != "" {
		content["file"] = name
	}
	return m, nil
}

// exportFile copies a file, in constant memory. Files of other hosts expire, and
// their address is whatever was sent: what such a host does not give out, or
// what leads into a private network, is missing and no reason to stop. At the
// vendor's own host only what is gone is missing, and at any what is away for too
// long (kit.Missing).
func (c *Connector) exportFile(ctx context.Context, call connector.Call, name, link string) (there bool, err error) {
	own, ok := c.hosted(link)
	if !ok {
		return false, nil
	}
	f, err := c.api.Open(ctx, "/attachments/{file}", link)
	switch {
	case kit.Missing(err, call.Failing), err != nil && !own && !errs.Is(err, errs.Unavailable):
		return false, nil
	case err != nil:
		return false, err
	}
	defer f.Close()
	return true, call.Out.File(ctx, name, f.MediaType, f)
}

// hosted reports whether the vendor's own host, which gets the credentials, has
// a file. ok is false for an address that leads into the API itself: a message
// could have it fetch what is somebody else's.
func (c *Connector) hosted(link string) (own, ok bool) {
	base, err := url.Parse(c.config.BaseURL)
	if err != nil {
		return false, false
	}
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || !strings.EqualFold(u.Hostname(), base.Hostname()) {
		return false, err == nil && u.Host != ""
	}
	return true, strings.HasPrefix(path.Clean(u.Path), strings.TrimSuffix(base.Path, "/")+"/attachments/")
}
