package salesforce

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// binDays is how long the Recycle Bin keeps a record.
const binDays = 15

// lockPause is how long a record that somebody else works on is left alone.
const lockPause = 5 * time.Second

// perMask is how many records are overwritten in one piece: each is a call.
const perMask = 20

// erase does the next piece of an erasure: what was queued, or the next records
// of an object.
func (c *Connector) erase(ctx context.Context, call connector.Call, p person, w walk) (connector.Progress, error) {
	switch {
	case w.Job != "":
		return c.pollJob(ctx, call, w)
	case len(w.Queue) > 0:
		return c.removeNext(ctx, call, w)
	case w.Object == len(c.objects):
		return c.finish(call, p, w), nil
	}
	o := c.objects[w.Object]
	if c.config.Erase == mask && o.masked {
		return c.mask(ctx, call, o, p, w)
	}
	ids, next, err := c.ids(ctx, o, p, w.After, perPage, c.config.Erase == hard)
	if err != nil {
		return connector.Progress{}, err
	}
	if ask, err := c.held(ctx, o, p, ids); err != nil || ask != nil {
		return connector.Progress{Handle: kit.Handle(w), Ask: ask}, err
	}
	return c.enqueue(ctx, o, ids, next, w)
}

// enqueue writes down what is about to be deleted, before anything is: the files
// of the records, then the records.
func (c *Connector) enqueue(ctx context.Context, o object, ids []string, next string, w walk) (connector.Progress, error) {
	queue, more, err := c.fileBatches(ctx, ids)
	if err != nil {
		return connector.Progress{}, err
	}
	if w.Queue = queue; more {
		return connector.Progress{Handle: kit.Handle(w), After: soon}, nil
	}
	if len(ids) > 0 {
		w.Queue = append(w.Queue, batch{Object: o.name, IDs: ids})
	}
	w.After = next
	if next == "" {
		w.Object, w.After = w.Object+1, ""
	}
	return connector.Progress{Handle: kit.Handle(w), After: soon}, nil
}

// held asks for a person where an Individual stands behind somebody else's
// record, too; nil is nobody's.
func (c *Connector) held(ctx context.Context, o object, p person, ids []string) (*connector.Ask, error) {
	if o.kind != individualID || len(ids) == 0 {
		return nil, nil
	}
	for _, r := range c.searched() {
		list, err := c.rows(ctx, "SELECT Id FROM "+r.object+" WHERE "+in("IndividualId", ids)+" LIMIT "+decimal(most+1), false)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(found row) bool { return !slices.Contains(*r.ids(&p), found.text("Id")) }) {
			return &connector.Ask{
				Retry: true, Reason: "another record of Salesforce shares the Individual of the person",
				Instructions: "Open the Individual in Salesforce, look which contacts and leads it is linked to, and unlink those that are somebody else's (clear their field Individual). Then choose retry.",
			}, nil
		}
	}
	return nil, nil
}

// fileBatches are the files of records: one that nobody else's record is linked
// to is deleted, of the others only the link. There may be more of them than one
// call deletes: then the records have to wait.
func (c *Connector) fileBatches(ctx context.Context, records []string) (queue []batch, more bool, err error) {
	list, err := c.files(ctx, records)
	if err != nil || len(list) == 0 {
		return nil, false, err
	}
	if len(list) > perPage {
		list, more = list[:perPage], true
	}
	shared, err := c.shared(ctx, records, list)
	if err != nil {
		return nil, false, err
	}
	var documents, links []string
	for _, l := range list {
		switch {
		case shared[l.document]:
			links = append(links, l.link)
		case !slices.Contains(documents, l.document):
			documents = append(documents, l.document)
		}
	}
	if len(links) > 0 {
		queue = append(queue, batch{Object: linkObject, IDs: links})
	}
	if len(documents) > 0 {
		queue = append(queue, batch{Object: fileObject, IDs: documents})
	}
	return queue, more, nil
}

// shared are the files that other records than these are linked to.
func (c *Connector) shared(ctx context.Context, records []string, list []linked) (map[string]bool, error) {
	var documents []string
	for _, l := range list {
		if !slices.Contains(documents, l.document) {
			documents = append(documents, l.document)
		}
	}
	rows, err := c.rows(ctx, "SELECT ContentDocumentId,LinkedEntityId FROM ContentDocumentLink WHERE "+in("ContentDocumentId", documents), false)
	shared := map[string]bool{}
	for _, r := range rows {
		if entity := r.text("LinkedEntityId"); !slices.Contains(records, entity) && !strings.HasPrefix(entity, userPrefix) {
			shared[r.text("ContentDocumentId")] = true
		}
	}
	return shared, err
}

// Each file is linked to the user who owns it; users' ids begin like this.
const (
	userPrefix = "005"
	linkObject = "ContentDocumentLink"
	fileObject = "ContentDocument"
)

// countName is what a batch of an object is counted as.
func (c *Connector) countName(object string) string {
	switch object {
	case linkObject:
		return "file_links"
	case fileObject:
		return "files"
	}
	for _, o := range c.objects {
		if o.name == object {
			return o.count
		}
	}
	return "records"
}

// removeNext deletes the first batch of the queue. Some have been deleted before:
// by an attempt whose answer was lost, or with another record.
func (c *Connector) removeNext(ctx context.Context, call connector.Call, w walk) (connector.Progress, error) {
	b := w.Queue[0]
	progress := connector.Progress{After: soon, Counts: map[string]int{}}
	if !b.Gone {
		outcomes, err := c.remove(ctx, b.IDs)
		if err != nil {
			return connector.Progress{}, err
		}
		stuck := 0
		failed := map[string]int{}
		for _, o := range outcomes {
			if !o.gone() {
				stuck++
				failed[o.reason()]++
			}
		}
		progress.Evidence = []connector.Evidence{said(call.Now, "DELETE /composite/sobjects", fmt.Sprintf("200, %d of %d %s", len(b.IDs)-stuck, len(b.IDs), b.Object))}
		if stuck > 0 && failed[rowLocked] == stuck {
			return connector.Progress{}, connector.Later(lockPause, errs.New(errs.Unavailable, "%s DELETE /composite/sobjects: %s", c.inventory.System, rowLocked))
		}
		if stuck > 0 {
			progress.Handle, progress.Ask = kit.Handle(w), blocked(b.Object, failed)
			return progress, nil
		}
		w.Queue[0].Gone = true
		progress.Counts[c.countName(b.Object)] = len(b.IDs)
	}
	if c.hardDeletes(b.Object) {
		p, err := c.startJob(ctx, call, w)
		p.Counts, p.Evidence = progress.Counts, append(progress.Evidence, p.Evidence...)
		return p, err
	}
	if b.Object != linkObject {
		w.Binned += len(b.IDs)
	}
	w.Queue = w.Queue[1:]
	progress.Handle = kit.Handle(w)
	return progress, nil
}

// hardDeletes reports whether a deletion of an object's records is followed by a
// job that empties the bin of them.
func (c *Connector) hardDeletes(object string) bool {
	return c.config.Erase == hard && object != linkObject && !slices.Contains(c.config.Bin, object)
}

// reason is the code of what kept a record from being deleted.
func (o outcome) reason() string {
	if len(o.Errors) == 0 {
		return "no reason given"
	}
	return kit.Token(o.Errors[0].Code)
}

// blocked asks for somebody who clears what stands in the way.
func blocked(object string, failed map[string]int) *connector.Ask {
	var reasons []string
	for code, n := range failed {
		reasons = append(reasons, fmt.Sprintf("%d with %s", n, code))
	}
	slices.Sort(reasons)
	return &connector.Ask{
		Retry:  true,
		Reason: "Salesforce does not delete records of " + object + ": " + strings.Join(reasons, ", "),
		Instructions: "Look in Salesforce what still refers to the person's records of " + object + " (active contracts, a portal user, records of a package, an Apex trigger), " +
			"and delete or re-parent it. Then choose retry: the erasure goes on from what is left.",
	}
}

// finish says what stays on purpose.
func (c *Connector) finish(call connector.Call, p person, w walk) connector.Progress {
	progress := connector.Progress{Done: true}
	if w.Binned > 0 {
		progress.Kept = []connector.Kept{{
			What: fmt.Sprintf("%d deleted records in Salesforce's Recycle Bin", w.Binned), Ground: "Art. 5(1)(e) GDPR",
			Reason: "they are deleted; the bin cannot be emptied of them by the connector, and ages out", Until: call.Now.AddDate(0, 0, binDays).Format(time.DateOnly),
		}}
	}
	if c.config.Erase == mask {
		progress.Kept = append(progress.Kept, connector.Kept{
			What: "records of Salesforce with everything overwritten that names the person", Ground: "Art. 4(1) GDPR",
			Reason: "the company's policy is to mask: what is left leads to nobody",
		})
	}
	if len(p.users) > 0 {
		progress.Done, progress.Ask = false, &connector.Ask{
			Reason:       "the person is a user of Salesforce: users cannot be deleted",
			Instructions: "Deactivate the user in Setup → Users, and scramble their data (an administrator can run System.UserManagement.obfuscateUser in Apex). This cannot be undone.",
		}
	}
	return progress
}

// masked is what stands where a name was and something must stand.
const masked = "Erased"

// mask overwrites the next records of an object. A converted lead cannot be
// changed: it is deleted.
func (c *Connector) mask(ctx context.Context, call connector.Call, o object, p person, w walk) (connector.Progress, error) {
	ids, next, err := c.ids(ctx, o, p, w.After, perMask, false)
	if err != nil {
		return connector.Progress{}, err
	}
	if len(ids) == 0 {
		return c.enqueue(ctx, o, nil, next, w)
	}
	if ask, err := c.held(ctx, o, p, ids); err != nil || ask != nil {
		return connector.Progress{Handle: kit.Handle(w), Ask: ask}, err
	}
	files, more, err := c.fileBatches(ctx, ids)
	if err != nil {
		return connector.Progress{}, err
	}
	if w.Queue = files; more {
		return connector.Progress{Handle: kit.Handle(w), After: soon}, nil
	}
	fields, err := c.describe(ctx, o.name)
	if err != nil {
		return connector.Progress{}, err
	}
	body := blank(fields)
	if len(body) == 0 {
		return connector.Progress{}, errs.New(errs.Forbidden, "system %q: no field of %s can be overwritten", c.inventory.System, o.name)
	}
	progress := connector.Progress{After: soon, Counts: map[string]int{}}
	var fixed []string
	for _, id := range ids {
		applied, err := c.patch(ctx, o.name, id, body)
		if err != nil {
			return connector.Progress{}, err
		}
		if applied {
			progress.Counts[o.count]++
		} else {
			fixed = append(fixed, id)
		}
	}
	w.After = next
	if len(fixed) > 0 {
		w.Queue = append(w.Queue, batch{Object: o.name, IDs: fixed})
	}
	if next == "" {
		w.Object, w.After = w.Object+1, ""
	}
	progress.Evidence = []connector.Evidence{said(call.Now, "PATCH /sobjects/"+o.name+"/{id}", fmt.Sprintf("204, %d records", len(ids)-len(fixed)))}
	progress.Handle = kit.Handle(w)
	return progress, nil
}

// blank is an update that empties all fields in which a person may be named. A
// field that must not be empty gets a word, if it takes one.
func blank(fields []field) map[string]any {
	body := map[string]any{}
	for _, f := range fields {
		if !f.Updateable {
			continue
		}
		switch f.Type {
		case "string", "textarea", "combobox", "encryptedstring":
			if !f.Nillable {
				body[f.Name] = masked
				continue
			}
		case "email", "phone", "url", "date", "location":
			if !f.Nillable {
				continue
			}
		default:
			continue
		}
		body[f.Name] = nil
	}
	return body
}
