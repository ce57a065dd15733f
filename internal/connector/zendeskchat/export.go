package zendeskchat

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// exporting writes each chat as the vendor has it, with its attachments.
func (c *Connector) exporting(call connector.Call) work {
	p := c.visitor(call.Subject)
	return c.reading(p, func(ctx context.Context, d *document, counts map[string]int) error {
		return c.exportChat(ctx, call, d, counts)
	})
}

// reading is the work of an export: write deals with each chat of a person.
func (c *Connector) reading(p person, write func(ctx context.Context, d *document, counts map[string]int) error) work {
	return work{
		size: perPage, call: "GET /chats", done: "exported",
		do: func(ctx context.Context, ids []string) (connector.Progress, error) {
			docs, err := c.owned(ctx, p, ids)
			if err != nil {
				return connector.Progress{}, err
			}
			counts := map[string]int{}
			for _, d := range docs {
				if err := write(ctx, d, counts); err != nil {
					return connector.Progress{}, err
				}
				counts["chats"]++
			}
			return connector.Progress{Counts: counts}, nil
		},
	}
}

// exportChat writes a chat and its files, and counts the files.
func (c *Connector) exportChat(ctx context.Context, call connector.Call, d *document, counts map[string]int) error {
	all, n := d.all(), 0
	for _, said := range all.history() {
		for _, a := range said.attachments() {
			n++
			if err := c.exportFile(ctx, call, fmt.Sprintf("chats/%s/%d %s", d.ID, n, kit.FileName(a.text("name"))), a, counts); err != nil {
				return err
			}
		}
	}
	if d.Type == offline {
		return call.Out.Record("offline_message", all)
	}
	return call.Out.Record("chat", all)
}

// exportFile copies a file, in constant memory, and puts its name in the place
// of its address, which means nothing to the person and lets in whoever has it.
// A file that is gone, that another host does not give out any more, or that lies
// where Avow must not go, is no reason to keep the rest from the person: it is
// counted. A refusal of the vendor's own host is one of the credentials.
func (c *Connector) exportFile(ctx context.Context, call connector.Call, name string, a fields, counts map[string]int) error {
	link := a.text("url")
	delete(a, "url")
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	file, err := client.Open(ctx, "/attachment", link)
	switch {
	case err != nil && !kit.Missing(err, call.Failing) && (errs.Is(err, errs.Unavailable) || c.hosts(link)):
		return err
	case err != nil:
		a["unavailable"] = string(errs.KindOf(err))
		counts["unavailable_files"]++
		return nil
	}
	defer file.Close()
	a["file"] = name
	counts["files"]++
	return call.Out.File(ctx, name, file.MediaType, file)
}

// hosts reports whether a file lies at the vendor's own host, which gets the
// credentials.
func (c *Connector) hosts(link string) bool {
	base, err := url.Parse(c.config.BaseURL)
	if err != nil {
		return false
	}
	u, err := base.Parse(link)
	return err == nil && strings.EqualFold(u.Hostname(), base.Hostname())
}
