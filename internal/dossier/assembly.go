package dossier

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// maxPieces is how many pieces an upload may have (S3): with PieceBytes, 52 GB.
const maxPieces = 10_000

// state is what is saved of a build: everything that another process needs to go
// on with it. What the last piece will hold so far follows it.
type state struct {
	Built   time.Time        `json:"built"`
	Upload  string           `json:"upload"`
	Tags    []string         `json:"tags"` // of the pieces uploaded
	Zip     zipped           `json:"zip"`
	Item    int              `json:"item"` // the one that is being written
	Page    int              `json:"page,omitempty"`
	At      cursor           `json:"at"`
	Package *request.Package `json:"package,omitempty"` // all pieces are uploaded
	Done    bool             `json:"done,omitempty"`    // and the object is made of them
}

// assembly is a build under way.
type assembly struct {
	builder *Builder
	ctx     context.Context
	plan    *plan
	state   state
	zip     *zipper
	buffer  []byte // the piece that is being filled
	items   []item
	lines   *lines
	kept    int64 // bytes of the ZIP when the state was saved last
}

// item is one thing that the ZIP holds. It does one bounded unit of work and
// reports whether there is more of it to do.
type item func(*assembly) (more bool, err error)

// open begins a build, or finds where it stands.
func (b *Builder) open(ctx context.Context, p *plan) (*assembly, error) {
	a := &assembly{builder: b, ctx: ctx, plan: p}
	saved, err := b.Store.State(ctx, p.in.Request.ID, p.build)
	switch {
	case errs.Is(err, errs.NotFound):
		a.state.Built = b.Now().UTC().Truncate(time.Second)
		if a.state.Upload, err = b.Store.Begin(ctx, p.in.Request.ID, p.build); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	default:
		head, tail, _ := bytes.Cut(saved, []byte("\n"))
		if err := json.Unmarshal(head, &a.state); err != nil {
			return nil, errs.Wrap(errs.Internal, err, "reading the state of a build")
		}
		a.buffer = append(make([]byte, 0, PieceBytes), tail...)
	}
	a.zip = newZipper(writing{a}, a.state.Built)
	if saved != nil && a.state.Package == nil {
		if err := a.zip.resume(a.state.Zip); err != nil {
			return nil, err
		}
	}
	a.kept = a.zip.offset
	a.items = a.contents()
	return a, nil
}

// forget gives a build up: the next one starts from the beginning.
func (b *Builder) forget(ctx context.Context, p *plan) error {
	upload, err := b.Store.Begin(ctx, p.in.Request.ID, p.build)
	if err != nil {
		return err
	}
	a := &assembly{builder: b, ctx: ctx, plan: p, state: state{Built: b.Now().UTC().Truncate(time.Second), Upload: upload}}
	a.zip = newZipper(writing{a}, a.state.Built)
	return a.save()
}

// run does what is left to do, until the time is up.
func (a *assembly) run() (done bool, err error) {
	for units := 1; a.state.Item < len(a.items); units++ {
		more, err := a.items[a.state.Item](a)
		if err != nil {
			return false, err
		}
		if !more {
			a.state.Item, a.state.Page, a.state.At, a.lines = a.state.Item+1, 0, cursor{}, nil
		}
		stop := a.builder.late(a.ctx) || units == a.builder.units
		if stop || a.zip.offset-a.kept > saveEvery {
			if err := a.save(); err != nil {
				return false, err
			}
		}
		if stop {
			return false, nil
		}
	}
	return true, a.seal()
}

// seal writes the directory and uploads the last piece.
func (a *assembly) seal() error {
	if err := a.zip.close(); err != nil {
		return err
	}
	if len(a.buffer) > 0 {
		if err := a.upload(); err != nil {
			return err
		}
	}
	a.state.Package = &request.Package{
		Build: a.plan.build, Digest: a.zip.digest(), Bytes: a.zip.offset, Built: a.state.Built, Excluded: a.plan.in.Excluded,
	}
	return a.save()
}

// finish makes the object of the pieces.
func (a *assembly) finish() error {
	err := a.builder.Store.Finish(a.ctx, a.plan.in.Request.ID, a.plan.build, a.state.Upload, a.state.Tags, a.state.Package.Bytes)
	if err != nil {
		return err
	}
	a.state.Done = true
	return a.save()
}

// save stores the state with the piece that is not full yet.
func (a *assembly) save() error {
	a.state.Zip = zipped{}
	if a.state.Package == nil {
		var err error
		if a.state.Zip, err = a.zip.pause(); err != nil {
			return err
		}
	}
	body, err := json.Marshal(a.state)
	if err != nil {
		return errs.Wrap(errs.Internal, err, "saving the state of a build")
	}
	body = append(append(body, '\n'), a.buffer...)
	if err := a.builder.Store.PutState(a.ctx, a.plan.in.Request.ID, a.plan.build, body); err != nil {
		return err
	}
	a.kept = a.zip.offset
	return nil
}

// writing is where the ZIP goes: pieces that are uploaded when they are full.
type writing struct{ a *assembly }

func (w writing) Write(p []byte) (int, error) {
	a, n := w.a, len(p)
	if a.buffer == nil {
		a.buffer = make([]byte, 0, PieceBytes)
	}
	for len(p) > 0 {
		take := min(len(p), PieceBytes-len(a.buffer))
		a.buffer, p = append(a.buffer, p[:take]...), p[take:]
		if len(a.buffer) == PieceBytes {
			if err := a.upload(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (a *assembly) upload() error {
	if len(a.state.Tags) == maxPieces {
		return errs.New(errs.TooLarge, "a package holds up to %d GB", int64(maxPieces)*PieceBytes/1e9)
	}
	tag, err := a.builder.Store.Upload(a.ctx, a.plan.in.Request.ID, a.plan.build, a.state.Upload, len(a.state.Tags)+1, a.buffer)
	if err != nil {
		return err
	}
	a.state.Tags, a.buffer = append(a.state.Tags, tag), a.buffer[:0]
	return nil
}
