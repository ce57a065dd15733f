package refdesk

import (
	"context"
	"net/http"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// An export begins the vendor's slow job first, then writes the records and the
// tickets, one page for each Poll, and the job's file at the end.

// exporting is the handle of an export.
type exporting struct {
	Users []string `json:"users"`
	At    int      `json:"at"`   // which of Users has its tickets written next; all: only jobs are left
	Next  string   `json:"next"` // page of its tickets; "" is the first
	Jobs  []string `json:"jobs"` // not written yet, one for each of Users
}

func (c *Connector) startExport(ctx context.Context, call connector.Call) (connector.Progress, error) {
	h := exporting{}
	counts := map[string]int{}
	for _, id := range c.users(call.Subject) {
		u, err := c.get(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil {
			continue
		}
		job, err := c.exportJob(ctx, id, call.Key+"."+id)
		if err != nil {
			return connector.Progress{}, err
		}
		if err := call.Out.Record("user", u); err != nil {
			return connector.Progress{}, err
		}
		h.Users, h.Jobs = append(h.Users, id), append(h.Jobs, job)
		counts["users"]++
	}
	if len(h.Users) == 0 {
		return connector.Progress{Done: true}, nil
	}
	return connector.Progress{Handle: kit.Handle(h), After: soon, Counts: counts}, nil
}

// exportJob begins to collect a user's activity, unless that was done already:
// the vendor would do it twice.
func (c *Connector) exportJob(ctx context.Context, user, reference string) (string, error) {
	var begun struct {
		Jobs []job `json:"jobs"`
	}
	if err := c.api.Get(ctx, kit.To("/exports").With("reference", reference), &begun); err != nil {
		return "", err
	}
	if len(begun.Jobs) > 0 {
		return begun.Jobs[0].ID, nil
	}
	a, err := c.api.Do(ctx, kit.Call{
		Method: http.MethodPost, Route: kit.To("/exports"), Body: map[string]string{"user_id": user, "reference": reference},
	})
	if err != nil {
		return "", err
	}
	var made struct {
		Job job `json:"job"`
	}
	return made.Job.ID, a.JSON(&made)
}

type job struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Result string `json:"result_url"`
}

func (c *Connector) pollExport(ctx context.Context, call connector.Call) (connector.Progress, error) {
	var h exporting
	if err := kit.ParseHandle(call.Handle, &h); err != nil {
		return connector.Progress{}, err
	}
	if h.At < len(h.Users) {
		return c.exportPage(ctx, call, h)
	}
	return c.exportActivity(ctx, call, h)
}

// exportPage writes one page of tickets, with their files.
func (c *Connector) exportPage(ctx context.Context, call connector.Call, h exporting) (connector.Progress, error) {
	p, err := c.tickets(ctx, h.Users[h.At], h.Next)
	if err != nil {
		return connector.Progress{}, err
	}
	counts := map[string]int{}
	for _, one := range p.Tickets {
		t, err := c.ticket(ctx, one.ID)
		if err != nil {
			return connector.Progress{}, err
		}
		if t == nil {
			continue
		}
		files, err := c.exportTicket(ctx, call.Out, t)
		if err != nil {
			return connector.Progress{}, err
		}
		counts["tickets"]++
		if files > 0 {
			counts["files"] += files
		}
	}
	if h.Next = p.Next; h.Next == "" {
		h.At++
	}
	return connector.Progress{Handle: kit.Handle(h), After: soon, Counts: counts}, nil
}

func (c *Connector) exportTicket(ctx context.Context, out connector.Sink, t *ticket) (files int, err error) {
	for i, said := range t.Comments {
		for j, a := range said.Attachments {
			if err := c.exportFile(ctx, out, "tickets/"+t.ID+"/"+a.ID+" "+kit.FileName(a.Name), a.URL); err != nil {
				return 0, err
			}
			t.Comments[i].Attachments[j].URL = "" // it means nothing to the person, and lets whoever has it in
			files++
		}
	}
	return files, out.Record("ticket", t)
}

// exportFile copies a file, in constant memory.
func (c *Connector) exportFile(ctx context.Context, out connector.Sink, name, link string) error {
	f, err := c.api.Open(ctx, "/files/{id}", link)
	if err != nil {
		return err
	}
	defer f.Close()
	return out.File(ctx, name, f.MediaType, f)
}

// exportActivity writes the files of the jobs that are done.
func (c *Connector) exportActivity(ctx context.Context, call connector.Call, h exporting) (connector.Progress, error) {
	if len(h.Jobs) == 0 {
		return connector.Progress{Done: true, Handle: call.Handle}, nil
	}
	var body struct {
		Job job `json:"job"`
	}
	if err := c.api.Get(ctx, kit.To("/jobs/{id}", h.Jobs[0]), &body); err != nil {
		return connector.Progress{}, err
	}
	if body.Job.Status != "completed" { // also of a status that is not known yet
		return connector.Progress{Handle: call.Handle}, nil
	}
	if strings.TrimSpace(body.Job.Result) == "" {
		return connector.Progress{}, errs.New(errs.Internal, "%s: a completed export has no file", c.inventory.System)
	}
	if err := c.exportFile(ctx, call.Out, "activity "+kit.FileName(h.Jobs[0])+".ndjson", body.Job.Result); err != nil {
		return connector.Progress{}, err
	}
	h.Jobs = h.Jobs[1:]
	return connector.Progress{
		Done: len(h.Jobs) == 0, Handle: kit.Handle(h), After: soon, Counts: map[string]int{"files": 1},
		Evidence: []connector.Evidence{{At: call.Now, Call: "POST /exports", Answer: "completed"}},
	}, nil
}
