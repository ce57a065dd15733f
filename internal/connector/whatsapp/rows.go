package whatsapp

import (
	"context"
	"mime"
	"time"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

// How much one call does.
const (
	pageSize     = 100
	pagesPerCall = 20
	filesPerCall = 10 // read or deleted
)

// cursor is where a walk through the rows of a person's addresses stands.
type cursor struct {
	Done   int            `json:"done"`            // addresses that are done with
	After  string         `json:"after,omitempty"` // row of the next one
	Counts map[string]int `json:"counts,omitempty"`
}

// errHandle is a handle that none of ours can be.
var errHandle = errs.New(errs.Internal, "the handle of the operation cannot be read")

// kindOf is how a row is counted; "" for one that only leads to another.
func kindOf(r chat.Row) string {
	switch {
	case r.Contact != nil:
		return "contacts"
	case r.Incoming != nil:
		return "messages_received"
	case r.Outgoing != nil:
		return "messages_sent"
	}
	return ""
}

func (at *cursor) count(r chat.Row) {
	if at.Counts == nil {
		at.Counts = map[string]int{}
	}
	if kind := kindOf(r); kind != "" {
		at.Counts[kind]++
	}
	if r.Incoming != nil && r.Incoming.Media != "" {
		at.Counts["files"]++
	}
}

// walk goes through rows, at most so many pages, and leaves the cursor behind the
// last one.
func (c *Connector) walk(ctx context.Context, own []chat.Kin, at *cursor, most int, each func(chat.Row) error) error {
	for n := 0; at.Done < len(own) && n < most; n++ {
		rows, next, err := c.store.Rows(ctx, own[at.Done].Person, at.After, pageSize)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := each(r); err != nil {
				return err
			}
		}
		if at.After = next; next == "" {
			at.Done++
		}
	}
	return nil
}

// What an export says of each row.
type (
	contactRecord struct {
		Phone    string    `json:"phone,omitempty"`
		UserID   string    `json:"user_id,omitempty"`
		Language string    `json:"language,omitempty"`
		LastIn   time.Time `json:"last_message"`
		Expires  time.Time `json:"kept_until"`
	}
	incomingRecord struct {
		At      time.Time `json:"at"`
		Type    string    `json:"type,omitempty"`
		File    string    `json:"file,omitempty"`
		Expires time.Time `json:"kept_until"`
	}
	outgoingRecord struct {
		At         time.Time  `json:"at"`
		Purpose    string     `json:"purpose"`
		Language   string     `json:"language,omitempty"`
		Preference string     `json:"preference,omitempty"`
		Template   string     `json:"template,omitempty"`
		Text       string     `json:"text,omitempty"`
		State      string     `json:"state"`
		Sent       *time.Time `json:"sent,omitempty"`
		Delivery   string     `json:"delivery,omitempty"`
		Message    string     `json:"message_id,omitempty"`
		Expires    time.Time  `json:"kept_until"`
	}
)

// export writes a page of rows, and the files that they name.
func (c *Connector) export(ctx context.Context, call connector.Call, at cursor) (connector.Progress, error) {
	p := connector.Progress{}
	own := c.kin(call.Subject)
	at.Counts = nil
	err := c.walk(ctx, own, &at, 1, func(r chat.Row) error {
		at.count(r)
		return c.write(ctx, call, r)
	})
	p.Counts, at.Counts = at.Counts, nil
	p.Handle, p.Done, p.After = kit.Handle(at), at.Done >= len(own), time.Second
	return p, err
}

func (c *Connector) write(ctx context.Context, call connector.Call, r chat.Row) error {
	switch {
	case r.Contact != nil:
		return call.Out.Record("contacts", contactRecord{r.Contact.Phone.Reveal(), r.Contact.UserID.Reveal(), r.Contact.Language, r.Contact.LastIn, r.Contact.Expires})
	case r.Incoming != nil:
		return c.writeIncoming(ctx, call, *r.Incoming)
	case r.Outgoing != nil:
		o := r.Outgoing
		record := outgoingRecord{
			o.At, string(o.Purpose), o.Language, o.Preference, o.Template, o.Text.Reveal(), string(o.State), nil, o.Delivery, o.Message.Reveal(), o.Expires,
		}
		if !o.Sent.IsZero() {
			record.Sent = &o.Sent
		}
		return call.Out.Record("messages_sent", record)
	}
	return nil
}

// writeIncoming writes a message and its file. Meta may have deleted the file by
// now: the record says so.
func (c *Connector) writeIncoming(ctx context.Context, call connector.Call, m chat.Incoming) error {
	record := incomingRecord{At: m.At, Type: m.Type, Expires: m.Expires}
	if m.Media == "" {
		return call.Out.Record("messages_received", record)
	}
	record.File = "gone"
	f, err := c.Media(ctx, m.Media)
	if errs.Is(err, errs.NotFound) {
		return call.Out.Record("messages_received", record)
	}
	if err != nil {
		return err
	}
	file, err := c.Open(ctx, f)
	if err != nil && kit.Missing(err, call.Failing) {
		return call.Out.Record("messages_received", record)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	record.File = kit.FileName(m.Media.Reveal() + extension(f.MediaType))
	if err := call.Out.Record("messages_received", record); err != nil {
		return err
	}
	return call.Out.File(ctx, record.File, f.MediaType, file)
}

// extension is that of a media type, "" for one that has none.
func extension(mediaType string) string {
	kind, _, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return ""
	}
	return map[string]string{
		"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "audio/ogg": ".ogg", "audio/mpeg": ".mp3", "audio/aac": ".aac", "audio/mp4": ".m4a",
		"video/mp4": ".mp4", "video/3gpp": ".3gp", "application/pdf": ".pdf", "text/plain": ".txt",
	}[kind]
}

// erasing is where an erasure stands. Rows are listed with the files that exist
// first, and deleted in the next call: so counts are exact, and a file that is gone
// then was deleted by us.
type erasing struct {
	Done  int     `json:"done"` // addresses that are done with
	Batch []entry `json:"batch,omitempty"`
	Found bool    `json:"found,omitempty"` // something was found at all
}

type entry struct {
	Entry string `json:"entry"`
	Kind  string `json:"kind,omitempty"`
	Media string `json:"media,omitempty"` // a file that exists
}

func (c *Connector) erase(ctx context.Context, call connector.Call, at erasing) (connector.Progress, error) {
	own := c.kin(call.Subject)
	p := connector.Progress{Counts: map[string]int{}, After: time.Second}
	if len(at.Batch) > 0 && at.Done < len(own) {
		if err := c.remove(ctx, call, own[at.Done].Person, at.Batch, &p); err != nil {
			return connector.Progress{}, err
		}
		at.Batch = nil
	}
	for at.Done < len(own) {
		batch, err := c.list(ctx, own[at.Done].Person)
		if err != nil {
			return connector.Progress{}, err
		}
		if len(batch) > 0 {
			at.Batch, at.Found = batch, true
			p.Handle = kit.Handle(at)
			return p, nil
		}
		at.Done++
	}
	return c.finish(ctx, call, own, at, p)
}

// list are the first rows of a person, and which of their files exist.
func (c *Connector) list(ctx context.Context, person string) ([]entry, error) {
	rows, _, err := c.store.Rows(ctx, person, "", pageSize)
	if err != nil {
		return nil, err
	}
	var batch []entry
	files := 0
	for _, r := range rows {
		e := entry{Entry: r.Entry, Kind: kindOf(r)}
		if r.Incoming != nil && r.Incoming.Media != "" {
			if files++; files > filesPerCall {
				break
			}
			switch _, err := c.Media(ctx, r.Incoming.Media); {
			case err == nil:
				e.Media = r.Incoming.Media.Reveal()
			case !errs.Is(err, errs.NotFound):
				return nil, err
			}
		}
		batch = append(batch, e)
	}
	return batch, nil
}

// remove deletes what list has found. It may be repeated.
func (c *Connector) remove(ctx context.Context, call connector.Call, person string, batch []entry, p *connector.Progress) error {
	for _, e := range batch {
		if e.Media != "" {
			if _, err := c.DeleteMedia(ctx, redact.String(e.Media)); err != nil {
				return err
			}
			p.Counts["files"]++
			p.Evidence = append(p.Evidence, connector.Evidence{At: call.Now, Call: "DELETE /{media}", Answer: "success"})
		}
		if err := c.store.Remove(ctx, person, e.Entry); err != nil {
			return err
		}
		if e.Kind != "" {
			p.Counts[e.Kind]++
		}
	}
	return nil
}

// finish says what stays: Meta's own copy, and the silence.
func (c *Connector) finish(ctx context.Context, call connector.Call, own []chat.Kin, at erasing, p connector.Progress) (connector.Progress, error) {
	evidence, err := c.block(ctx, call, own)
	if err != nil {
		return connector.Progress{}, err
	}
	p.Evidence, p.Done, p.After = append(p.Evidence, evidence...), true, 0
	if at.Found {
		p.Kept = append(p.Kept, connector.Kept{
			What: "messages at Meta", Ground: "Art. 28 GDPR", Until: call.Now.Add(metaKeeps).UTC().Format(time.DateOnly),
			Reason: "Meta, the processor, deletes messages by itself within 30 days; it offers no way to delete them earlier",
		})
	}
	for _, k := range own {
		silent, err := c.store.Silenced(ctx, k.Silence)
		if err != nil {
			return connector.Progress{}, err
		}
		if len(silent) > 0 {
			p.Kept = append(p.Kept, connector.Kept{
				What: "a keyed hash of the address", Ground: "Art. 21(3) GDPR", Reason: "the person has asked for silence, which could not be kept without it",
			})
			break
		}
	}
	return p, nil
}
