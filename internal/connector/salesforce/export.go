package salesforce

import (
	"context"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// perRead is how many whole records are in memory at a time. Each may have some
// long text areas of 128 kB.
const perRead = 25

// perExport is how many records a piece of an export is about.
const perExport = 100

// perFiles is how many files a piece of an export writes.
const perFiles = 10

// export writes the next records of an object, with all fields that describe
// names, and the files linked to them.
func (c *Connector) export(ctx context.Context, call connector.Call, p person, w walk) (connector.Progress, error) {
	if w.Object == len(c.objects) {
		counts, err := c.exportUsers(ctx, call, p)
		return connector.Progress{Done: true, Counts: counts}, err
	}
	o := c.objects[w.Object]
	ids, next, err := c.ids(ctx, o, p, w.After, perExport, false)
	if err != nil {
		return connector.Progress{}, err
	}
	progress := connector.Progress{After: soon, Counts: map[string]int{}}
	if len(ids) == 0 && next == "" {
		progress.Handle = kit.Handle(walk{Object: w.Object + 1})
		if w.Object+1 < len(c.objects) && c.objects[w.Object+1].of(p) == "" { // nothing can be there
			return c.export(ctx, call, p, walk{Object: w.Object + 1})
		}
		return progress, nil
	}
	if w.File == 0 {
		if progress.Counts[o.count], err = c.exportRecords(ctx, call, o, ids); err != nil {
			return connector.Progress{}, err
		}
	}
	list, err := c.files(ctx, ids)
	if err != nil {
		return connector.Progress{}, err
	}
	from := min(max(0, w.File), len(list))
	some := list[from:min(from+perFiles, len(list))]
	if progress.Counts["files"], err = c.exportFiles(ctx, call, some); err != nil {
		return connector.Progress{}, err
	}
	if from+len(some) < len(list) {
		w.File = from + len(some)
		progress.Handle = kit.Handle(w)
		return progress, nil
	}
	w.File = 0
	w.After = next
	if next == "" {
		w = walk{Object: w.Object + 1}
	}
	progress.Handle = kit.Handle(w)
	return progress, nil
}

func (c *Connector) exportRecords(ctx context.Context, call connector.Call, o object, ids []string) (n int, err error) {
	fields, err := c.describe(ctx, o.name)
	if err != nil {
		return 0, err
	}
	for some := range slices.Chunk(ids, perRead) {
		list, err := c.retrieve(ctx, o.name, some, fields)
		if err != nil {
			return 0, err
		}
		if o.archives && len(list) < len(some) {
			old, err := c.archived(ctx, o, some, list, fields)
			if err != nil {
				return 0, err
			}
			list = append(list, old...)
		}
		for _, r := range list {
			if err := call.Out.Record(o.name, r.plain()); err != nil {
				return 0, err
			}
			n++
		}
	}
	return n, nil
}

// archived are those of some records that retrieve has not shown.
func (c *Connector) archived(ctx context.Context, o object, ids []string, shown []row, fields []field) (list []row, err error) {
	var names []string
	for _, f := range fields {
		if f.Type != "base64" {
			names = append(names, f.Name)
		}
	}
	for _, id := range ids {
		if slices.ContainsFunc(shown, func(r row) bool { return r.text("Id") == id }) {
			continue
		}
		where, all := o.reach(in("Id", []string{id}), false)
		one, err := c.rows(ctx, "SELECT "+strings.Join(names, ",")+" FROM "+o.name+" WHERE "+where, all)
		if err != nil {
			return nil, err
		}
		list = append(list, one...)
	}
	return list, nil
}

func (c *Connector) exportUsers(ctx context.Context, call connector.Call, p person) (map[string]int, error) {
	counts := map[string]int{}
	for _, id := range p.users {
		r, err := c.record(ctx, "User", id)
		if err != nil {
			return nil, err
		}
		if r != nil {
			counts["users"]++
			if err := call.Out.Record("User", r.plain()); err != nil {
				return nil, err
			}
		}
	}
	return counts, nil
}

// linked is a file and a record that it is linked to.
type linked struct{ link, document, record string }

// files are the links of files to records, in the order of their ids.
func (c *Connector) files(ctx context.Context, records []string) (list []linked, err error) {
	if len(records) == 0 {
		return nil, nil
	}
	rows, err := c.rows(ctx, "SELECT Id,ContentDocumentId,LinkedEntityId FROM ContentDocumentLink WHERE "+in("LinkedEntityId", records), false)
	for _, r := range rows {
		l := linked{r.text("Id"), r.text("ContentDocumentId"), r.text("LinkedEntityId")}
		if !isID(l.link) || !isID(l.document) {
			return nil, errs.New(errs.Internal, "%s GET /query: a file has no id", c.inventory.System)
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b linked) int { return strings.Compare(a.link, b.link) })
	return list, err
}

// exportFiles writes the latest version of each file. One that is linked to
// several records is written with each.
func (c *Connector) exportFiles(ctx context.Context, call connector.Call, list []linked) (n int, err error) {
	for _, l := range list {
		versions, err := c.rows(ctx, "SELECT Id,Title,FileExtension FROM ContentVersion WHERE ContentDocumentId = "+literal(l.document)+" AND IsLatest = true LIMIT 1", false)
		if err != nil {
			return 0, err
		}
		for _, v := range versions {
			if err := c.exportFile(ctx, call, l, v); err != nil {
				return 0, err
			}
			n++
		}
	}
	return n, nil
}

func (c *Connector) exportFile(ctx context.Context, call connector.Call, l linked, v row) error {
	if !isID(v.text("Id")) {
		return errs.New(errs.Internal, "%s GET /query: a version of a file has no id", c.inventory.System)
	}
	api, err := c.session.client(ctx)
	if err != nil {
		return err
	}
	f, err := api.Open(ctx, "/sobjects/ContentVersion/VersionData", c.link("sobjects", "ContentVersion", v.text("Id"), "VersionData"))
	if err != nil {
		return err
	}
	defer f.Close()
	name := v.text("Title")
	if extension := v.text("FileExtension"); extension != "" {
		name += "." + extension
	}
	return call.Out.File(ctx, l.record+"-"+l.document+"-"+kit.FileName(name), f.MediaType, f)
}
