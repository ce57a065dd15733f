package genesys

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// maxArchive is the longest archive that is read: it is read in memory, because
// its table of contents stands at its end.
const maxArchive = 64 << 20

// collect stores the next result of an export that is ready: links expire. One
// archive is one piece.
func (w *work) collect(ctx context.Context, j *job, r gdprRequest, p *connector.Progress) (stored bool, err error) {
	links := r.results()
	if len(links) == 0 && !j.Bare { // they may still be on their way: another look
		j.Bare = true
		return false, nil
	}
	if j.Part < len(links) {
		err := w.store(ctx, j, links[j.Part], p)
		if errors.Is(err, errStale) { // once more, with a link that is fresh
			if r, err = w.get(ctx, j.ID); err != nil {
				return false, err
			}
			err = errStale
			if fresh := r.results(); j.Part < len(fresh) {
				err = w.store(ctx, j, fresh[j.Part], p)
			}
		}
		if errors.Is(err, errStale) || errs.Is(err, errs.TooLarge) {
			w.giveUp(j, p)
			return false, nil
		}
		if err != nil {
			return false, err
		}
		j.Part++
		if stored = true; j.Part < len(links) {
			return stored, nil
		}
	}
	j.End = completed
	p.Counts["requests"]++
	p.Evidence = append(p.Evidence, w.ended(j))
	return stored, nil
}

// errStale is a link that is refused: it has expired, or was never good.
var errStale = errors.New("the link to results is refused")

// stale turns refusals of some kinds into errStale.
func stale(err error, kinds ...errs.Kind) error {
	if slices.ContainsFunc(kinds, func(k errs.Kind) bool { return errs.Is(err, k) }) {
		return errStale
	}
	return err
}

// giveUp puts results that cannot be had to a person; a retry asks for them anew.
func (w *work) giveUp(j *job, p *connector.Progress) {
	p.Evidence = append(p.Evidence, evidence(w.call.Now, "GET results", "not available "+kit.Token(j.ID)))
	*j = job{By: j.By}
	w.h.Since, w.h.Begun, w.h.Pause = w.call.Now.Add(-clockSkew), w.call.Now, 0
	p.Ask = &connector.Ask{
		Reason:       fmt.Sprintf("the results of an export are refused by their host, or longer than %d MB", maxArchive>>20),
		Instructions: "Retry asks Genesys for a new export. If they are too long, download them in Genesys, take out what others wrote, and upload the rest.",
		Retry:        true,
	}
}

// fetch reads what a link leads to. The API's own links name a signed address at
// another host: it is asked without the token.
func (w *work) fetch(ctx context.Context, link string) ([]byte, error) {
	if id := downloadID(link); id != "" {
		var signed struct {
			URL string `json:"url"`
		}
		if err := w.api.Get(ctx, kit.To("/downloads/{id}", id).With("issueRedirect", "false"), &signed); err != nil {
			return nil, stale(err, errs.NotFound)
		}
		link = signed.URL
	}
	if link == "" {
		return nil, errStale
	}
	file, err := w.files.Open(ctx, "/results", link)
	if err != nil {
		return nil, stale(err, errs.Forbidden, errs.NotFound, errs.Invalid)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxArchive+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxArchive {
		return nil, errs.New(errs.TooLarge, "%s: the results of an export are longer than %d bytes", w.inventory.System, maxArchive)
	}
	return text, nil
}

// A kept record names the file that it stood in, and under what it was found: the
// same record may be in the results of several requests.
type kept struct {
	File    string `json:"file"`
	FoundBy string `json:"found_by"`
	Data    any    `json:"data"`
}

// leftOut says what a package does not show: what others wrote, or a file that
// cannot be judged.
type leftOut struct {
	File    string `json:"file"`
	Records int    `json:"records,omitempty"`
	Reason  string `json:"reason"`
}

// store writes the archive that a link leads to, without what is not the
// person's. It is read through once before: what cannot be written as a whole is
// not written in part.
func (w *work) store(ctx context.Context, j *job, link string, p *connector.Progress) error {
	text, err := w.fetch(ctx, link)
	if err != nil {
		return err
	}
	mine := newSelf(w.call.Subject)
	err = entries(text, func(_ string, r io.Reader) error {
		_, _, err := records(r, mine, func(any) error { return nil })
		if errors.Is(err, errNoJSON) || errors.Is(err, errHalf) {
			return nil
		}
		return err
	}, nil)
	if err != nil {
		return err
	}
	return w.write(ctx, j, text, mine, p)
}

func (w *work) write(ctx context.Context, j *job, text []byte, mine self, p *connector.Progress) error {
	by := ""
	if o := w.one(j.By); o != nil {
		by = label(o.Kind)
	}
	add := func(kind string, n int) {
		if n > 0 {
			p.Counts[kind] += n
		}
	}
	return entries(text, func(name string, r io.Reader) error {
		name = kit.FileName(name)
		withheld, n, err := records(r, mine, func(v any) error { return w.call.Out.Record("record", kept{name, by, v}) })
		add("records", n)
		add("left_out", withheld)
		switch {
		case errors.Is(err, errNoJSON) && w.config.Files:
			return errFile
		case errors.Is(err, errNoJSON), errors.Is(err, errHalf):
			add("held_but_not_shown", 1)
			return w.call.Out.Record("held_but_not_shown", leftOut{File: name, Reason: "the file cannot be read by a machine, so that nobody can tell whether others speak in it"})
		case err != nil || withheld == 0:
			return err
		}
		return w.call.Out.Record("left_out", leftOut{File: name, Records: withheld, Reason: "other people's"})
	}, func(name string, r io.Reader) error {
		add("files", 1)
		name = fmt.Sprintf("%s-%d-%s", kit.Token(j.ID), j.Part, kit.FileName(name)) // the same name may be in each result
		return w.call.Out.File(ctx, name, "application/octet-stream", r)
	})
}
