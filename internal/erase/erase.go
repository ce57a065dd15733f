// Package erase is the component that alters and deletes personal data for a
// data-subject request: no other function has the right to. It carries out one
// operation on one system, looks again afterwards, and at the end of a request
// deletes what the request itself holds of the person. Once an hour it tidies up:
// what has come back after an erasure goes again, and so does what was only kept
// for a time.
package erase

import (
	"context"
	"log/slog"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// files is where exports and packages are.
type files interface {
	// Forget removes all parts and packages of a request; certificates stay. It
	// may be repeated.
	Forget(ctx context.Context, request string) error
	// Remove removes the certificates, too.
	Remove(ctx context.Context, request string) error
}

// tools are what one invocation works with: the configuration may have changed
// since the last.
type tools struct {
	*request.Runner
	forgetter request.Forgetter
	files     files
	log       *slog.Logger
}

// server answers invocations.
type server struct {
	tools func(ctx context.Context) (*tools, error)
	log   *slog.Logger
	now   func() time.Time
}

// serve does one piece of work and logs one line of it.
func (s *server) serve(ctx context.Context, p request.Payload) (request.Result, error) {
	start := s.now()
	out, err := s.do(ctx, p)
	request.LogStep(ctx, s.log, p, out, err, s.now().Sub(start))
	return out, err
}

func (s *server) do(ctx context.Context, p request.Payload) (request.Result, error) {
	t, err := s.tools(ctx)
	if err != nil {
		return request.Result{}, err
	}
	switch p.Do {
	case "advance":
		return t.advance(ctx, p)
	case "close":
		return t.close(ctx, p)
	case "tidy":
		return t.tidy(ctx)
	}
	return request.Result{}, errs.New(errs.Invalid, "erase cannot %q", p.Do)
}

// advance takes an operation that alters data, or a look at what an erasure has
// left, one step forward.
func (t *tools) advance(ctx context.Context, p request.Payload) (request.Result, error) {
	if !p.Operation.Changes() {
		return request.Result{}, errs.New(errs.Forbidden, "erase only alters: %s is for the function steps", p.Operation)
	}
	out, err := t.Advance(ctx, request.Ref{
		Request: p.Request, Epoch: p.Epoch, System: p.System, Operation: p.Operation, Look: p.Look,
	})
	return out.Result(), err
}

// close ends a request: what it holds of the person goes. Log, dates, grounds and
// keyed hashes stay, for as long as the policy keeps them. A request that was
// refused or withdrawn is only forgotten.
func (t *tools) close(ctx context.Context, p request.Payload) (request.Result, error) {
	r, err := t.Store.Get(ctx, p.Request)
	if err != nil {
		return request.Result{}, err
	}
	if r.Epoch != p.Epoch {
		return request.Result{State: string(request.Stale)}, nil
	}
	if !r.State.Ended() {
		err := t.Write(ctx, r, func(r *request.Request) (request.Change, error) {
			e, err := r.Do(request.Close, request.Avow, "", t.Now())
			r.Closed = t.Now()
			return request.Change{Request: r, Entries: []request.Entry{e}}, err
		})
		if err != nil {
			return request.Result{}, err
		}
	}
	if err := t.forgetter.Forget(ctx, r.ID); err != nil {
		return request.Result{}, err
	}
	return request.Result{State: string(request.Ready)}, t.files.Forget(ctx, r.ID)
}
