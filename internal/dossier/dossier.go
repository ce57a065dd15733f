// Package dossier makes of what the systems have exported the one package that a
// person receives: a ZIP with pages to read, the same data as JSON, the
// attachments, and what Art. 15 GDPR wants to be said beside them. It streams:
// the memory it needs does not grow with the records, only by some hundred bytes
// for each attachment. See docs/decisions/0006-package.md.
package dossier

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// Input is what a package is made of. The same input is the same package,
// whoever builds it and however often; another input is another one.
type Input struct {
	Request    *request.Request
	Controller request.Controller
	Systems    []connector.Inventory // in the order in which they are shown
	Found      []request.Found       // what they said when they were asked: who holds something has an export
	Steps      []request.Step        // of the request; those that are no export are ignored
	Excluded   []request.Exclusion
	Language   string // of the pages: "fr" or "en", with or without a region; every other one reads English
}

// Result says how far a package has come.
type Result struct {
	Done    bool // else: call Build again
	Package request.Package
}

// Builder builds packages.
type Builder struct {
	Store Store
	Now   func() time.Time
	// Margin is how long before the deadline of its context Build stops and saves
	// what it has; 0: 20 seconds. A Build without a deadline goes on to the end.
	Margin time.Duration

	units int // for tests: how many units of work one Build does, 0 for no limit
}

// saveEvery bounds what a crash costs: so many bytes are written again at most.
const saveEvery = 64 << 20

// Build makes a package or goes on with it. It returns when the package is
// complete, or with Done unset and everything saved when its time is up. After
// an error, too, the next call goes on from what was saved last.
//
// Invalid: the input excludes a part that does not exist. TooLarge: more than
// MaxFiles attachments, or 50 GB. Conflict: a step has not finished, or what it
// has stored is gone.
func (b *Builder) Build(ctx context.Context, in Input) (Result, error) {
	p, err := b.plan(ctx, in)
	if err != nil {
		return Result{}, err
	}
	result, err := b.goOn(ctx, p)
	if errs.Is(err, errs.Conflict) { // the upload was abandoned for too long, or two instances have mixed: from the start
		if err = b.forget(ctx, p); err == nil {
			result, err = b.goOn(ctx, p)
		}
	}
	return result, err
}

func (b *Builder) goOn(ctx context.Context, p *plan) (Result, error) {
	a, err := b.open(ctx, p)
	if err != nil {
		return Result{}, err
	}
	if a.state.Package == nil {
		if done, err := a.run(); err != nil || !done {
			return Result{}, err
		}
	}
	if !a.state.Done {
		if err := a.finish(); err != nil {
			return Result{}, err
		}
	}
	return Result{Done: true, Package: *a.state.Package}, nil
}

// late reports whether it is time to stop.
func (b *Builder) late(ctx context.Context) bool {
	margin := b.Margin
	if margin == 0 {
		margin = 20 * time.Second
	}
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && time.Until(deadline) < margin
}
