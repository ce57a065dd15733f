package dossier

import (
	"bufio"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"path"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/sheet"
)

//go:embed pages/pages.html
var pagesText string

var pages = template.Must(template.New("").Funcs(sheet.Funcs).Parse(pagesText))

// The bounds of the pages. What is beyond them is in the data file, and the page
// says so.
const (
	pageRecords = 100       // on a page
	pageBytes   = 512 << 10 // of records on a page
	maxPages    = 50        // for a system
	maxListed   = 500       // attachments
)

// page is what every page shows.
type page struct {
	W               *words
	Title, Subtitle string
	Request         string
	Built, Received string
	Controller      request.Controller
}

func (a *assembly) page(title, subtitle string) page {
	w := a.plan.words
	return page{
		W: w, Title: title, Subtitle: subtitle, Request: a.plan.in.Request.ID, Controller: a.plan.in.Controller,
		Built: w.date(a.state.Built), Received: w.date(a.plan.received),
	}
}

// html adds a page.
func (a *assembly) html(name, definition string, data any) error {
	if err := a.zip.begin(name, small, false); err != nil {
		return err
	}
	out := bufio.NewWriterSize(a.zip, 32<<10) // templates write a few bytes at a time
	err := pages.ExecuteTemplate(out, definition, data)
	if err = cmp.Or(err, out.Flush()); err != nil {
		if errs.KindOf(err) == errs.Internal {
			return errs.Wrap(errs.Internal, err, "writing a page of a package")
		}
		return err
	}
	return a.zip.end()
}

// overview is the first page and the page of information.
type overview struct {
	page
	Intro     string
	Authority string
	Rights    []string
	Systems   []shownSystem
}

// shownSystem is a system as pages show it.
type shownSystem struct {
	Folder, Title         string
	Status                Status
	StatusText, StatusWhy string
	Reason                string
	Included, HasRecords  bool
	CountText, FileText   string
	Page, DataFile        string
	Files                 int
	Left                  []request.Exclusion

	Source, Region, Transfer, Backups string
	Automated, Logic, Consequences    string
	EEA                               bool
	Recipients                        []string
	Processor                         *connector.Processor
	Categories                        []shownCategory
}

type shownCategory struct{ Name, Purpose, Retention, Basis string }

func (a *assembly) index() overview {
	p := a.plan
	w := *p.words
	if p.in.Request.Type == request.Disclosure {
		w.KeepWhy = w.KeepDisclosure
	}
	o := overview{
		page: a.page(p.title(), p.in.Controller.Name), Intro: p.intro(),
		Authority: p.in.Controller.Authority.In(w.Language), Rights: p.rights(),
	}
	o.W = &w
	for _, s := range p.systems {
		o.Systems = append(o.Systems, s.shown(&w))
	}
	return o
}

func (a *assembly) information() overview {
	o := a.index()
	o.Title, o.Subtitle = o.W.About, o.Title
	return o
}

func (s *part) shown(w *words) shownSystem {
	in := func(t connector.Text) string { return t.In(w.Language) }
	x := shownSystem{
		Folder: folder(s.System), Title: cmp.Or(in(s.Title), s.System), Status: s.Status, Reason: s.Reason,
		Included: s.Status == Included, HasRecords: s.visible() > 0, CountText: w.records(s.visible()),
		Page: s.page(0), DataFile: s.dataFile(), Files: s.attached(), FileText: w.files(s.attached()), Left: s.left(),
		Source: in(s.Source), Region: s.Region, Transfer: s.Transfer, Backups: in(s.Backups), EEA: s.EEA, Processor: s.Processor,
	}
	switch a := s.Automated; {
	case a == nil:
		x.Automated = w.Unstated
	case !a.Decisions:
		x.Automated = w.NoDecisions
	default:
		x.Automated, x.Logic, x.Consequences = w.Yes, in(a.Logic), in(a.Consequences)
	}
	switch s.Status {
	case Included:
		x.StatusText = w.Included
	case Nothing:
		x.StatusText, x.StatusWhy = w.Nothing, w.NothingWhy
	case ByHand:
		x.StatusText, x.StatusWhy = w.ByHand, w.ByHandWhy
	case LeftOut:
		x.StatusText, x.StatusWhy = w.LeftOutTag, w.LeftOutWhy
	case NotPortable:
		x.StatusText, x.StatusWhy = w.NotPort, w.NotPortWhy
	}
	for _, r := range s.Recipients {
		x.Recipients = append(x.Recipients, in(r))
	}
	for _, c := range s.Data {
		x.Categories = append(x.Categories, shownCategory{in(c.Name), in(c.Purpose), in(c.Retention), in(c.Basis)})
	}
	return x
}

// listing is one page of a system's records.
type listing struct {
	page
	Range, Rest    string
	Data           string
	Records        []shownRecord
	Attachments    []shownFile
	MoreFiles      string
	Previous, Next string
}

type shownRecord struct {
	Heading string
	Node    node
	Cut     bool
}

type shownFile struct{ Name, Link, Size, Note string }

// pagesOf are the pages that show a system's records and list its attachments: a
// page is one unit of work.
func pagesOf(s *part) item {
	return func(a *assembly) (bool, error) {
		a.read(s)
		w, n := a.plan.words, a.state.Page
		l := listing{page: a.page(cmp.Or(s.Title.In(w.Language), s.System), a.plan.title()), Data: "../" + s.dataFile()}
		first := a.state.At.Shown + 1
		more, err := a.collect(s, &l)
		if err != nil {
			return false, err
		}
		if len(l.Records) > 0 {
			l.Range = fmt.Sprintf(w.RangeText, w.number(first), w.number(a.state.At.Shown), w.number(s.visible()))
		}
		if more && n+1 == maxPages {
			l.Rest, more = fmt.Sprintf(w.RestText, w.number(a.state.At.Shown), w.number(s.visible())), false
		}
		if n == 0 {
			s.list(w, &l)
		}
		if n > 0 {
			l.Previous = path.Base(s.page(n - 1))
		}
		if more {
			l.Next = path.Base(s.page(n + 1))
		}
		a.state.Page++
		return more, a.html(s.page(n), "records", l)
	}
}

// collect reads the records of a page, and reports whether there are more.
func (a *assembly) collect(s *part, l *listing) (more bool, err error) {
	w := a.plan.words
	for bytes := 0; len(l.Records) < pageRecords && bytes < pageBytes; {
		line, err := a.next(s)
		if err != nil || line == nil {
			return false, err
		}
		kind, tree, cut := readRecord(line, w)
		if !s.selective() {
			a.state.At.count(kind)
		}
		// The number is that of an exclusion: "desk/tickets/3".
		heading := w.kind(kind) + " " + w.number(a.state.At.Numbers[kind])
		l.Records = append(l.Records, shownRecord{Heading: heading, Node: tree, Cut: cut})
		bytes += len(line)
	}
	return a.state.At.Shown < s.visible(), nil
}

// list shows the attachments.
func (s *part) list(w *words, l *listing) {
	for i, f := range s.files {
		if i == maxListed {
			l.MoreFiles = fmt.Sprintf(w.MoreFiles, w.number(len(s.files)-i))
			break
		}
		x := shownFile{Name: f.Name, Link: "../" + f.path, Size: w.size(f.Bytes), Note: fmt.Sprintf(w.Renamed, path.Base(f.path))}
		if f.reason != "" { // not even the name: it may be somebody else's
			x = shownFile{Name: path.Base(f.number()), Size: w.size(f.Bytes), Note: fmt.Sprintf(w.FileLeft, f.reason)}
		}
		l.Attachments = append(l.Attachments, x)
	}
}
