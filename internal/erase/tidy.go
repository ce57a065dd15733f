package erase

import (
	"context"
	"errors"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// tidier is a system in which something is due although no request asks for it.
type tidier interface {
	// Tidy does it; done is false where the time of the invocation has run short.
	// It may be repeated.
	Tidy(ctx context.Context) (done bool, err error)
}

// tidy erases again what is back of what earlier requests have erased, deletes
// proofs whose day is over, and removes requests that need not be kept any
// longer. What fails keeps nothing else from being done; "pending" says that the
// time has run short and that the next call goes on.
func (t *tools) tidy(ctx context.Context) (request.Result, error) {
	out, failed := request.Result{State: string(request.Ready)}, []error(nil)
	did := func(done bool, err error) {
		if !done {
			out.State = string(request.Waiting)
		}
		failed = append(failed, err)
	}
	for _, s := range t.Systems {
		if c, ok := s.Connector.(tidier); ok && !s.DryRun {
			did(c.Tidy(ctx))
		}
	}
	did(t.remove(ctx))
	return out, errors.Join(failed...)
}

const (
	removals = 100              // requests that are read from the index at a time
	margin   = 20 * time.Second // before the end of the invocation no removal begins
)

// remove deletes requests that have ended so long ago that the policy does not
// keep them any more: sweep has said so, and done all that was due before.
func (t *tools) remove(ctx context.Context) (done bool, err error) {
	var failed []error
	for after := ""; ; {
		list, next, err := t.forgetter.Over(ctx, t.Now(), after, removals)
		if err != nil {
			return false, errors.Join(append(failed, err)...)
		}
		for _, id := range list {
			if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < margin {
				return false, errors.Join(failed...)
			}
			failed = append(failed, t.removeOne(ctx, id))
		}
		if after = next; next == "" {
			return true, errors.Join(failed...)
		}
	}
}

// removeOne deletes one, unless the policy has come to keep it longer, or
// somebody has written it meanwhile.
func (t *tools) removeOne(ctx context.Context, id string) error {
	r, err := t.Store.Get(ctx, id)
	if errs.Is(err, errs.NotFound) { // the index lags
		return nil
	}
	if err != nil || !r.State.Ended() || !r.Next.IsZero() || request.KeptUntil(r, t.Policy).After(t.Now()) {
		return err
	}
	if err := t.files.Remove(ctx, id); err != nil {
		return err
	}
	if err := t.forgetter.Remove(ctx, id); err != nil && !errs.Is(err, errs.Conflict) {
		return err
	}
	t.log.InfoContext(ctx, "a request was kept as long as the policy says, and is deleted", "event", "request_removed", "request", id, "type", r.Type)
	return nil
}
