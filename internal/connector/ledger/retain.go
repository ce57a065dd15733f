package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
)

// Reapply erases again what an earlier erasure covers and what is back all the
// same: by a restored backup, an import, a late webhook. It needs no identifiers
// of the person: partitions and e-mails are compared by their keyed hashes. dry
// only counts. What was said after the erasure stays.
func (c *Connector) Reapply(ctx context.Context, site, partition string, dry bool) (rows int, err error) {
	rows, _, err = c.reapply(ctx, site, partition, dry, false)
	return rows, err
}

// reapply is Reapply as far as the time of the invocation reaches; done is false
// when it has stopped before the end. Nothing is lost by that: what is erased is
// a tombstone, and the next call passes by it. That one does not see what else
// the one before has left to do: resumed says that there may have been one.
func (c *Connector) reapply(ctx context.Context, site, partition string, dry, resumed bool) (rows int, done bool, err error) {
	if c.Removal == nil {
		return 0, false, errs.New(errs.Internal, "only the function erase may erase")
	}
	x := c.erasing(ctx, connector.Call{Subject: connector.Subject{Site: site}, Now: c.Now()}, cursor{Targets: []target{{Partition: partition}}})
	stays := false
	for after := ""; ; {
		if short(ctx) {
			return rows, false, nil
		}
		page, next, err := c.Rows.Page(ctx, partition, after, pageRows)
		if err != nil {
			return rows, false, err
		}
		n, left, err := x.again(partition, page, dry)
		rows, stays = rows+n, stays || left
		if err != nil {
			return rows, false, err
		}
		if after = next; next == "" {
			break
		}
	}
	if dry || rows == 0 && !resumed {
		return rows, true, nil
	}
	if stays { // and so must the bindings that it has made
		if err := c.rows(ctx, partition, "", func(r consent.Row) error {
			if r.Event == nil {
				return nil
			}
			return c.bindAgain(ctx, r.Event)
		}); err != nil {
			return rows, false, err
		}
	}
	until, err := c.Removal.Erasures.Erased(ctx, []string{partition})
	if err != nil {
		return rows, false, err
	}
	if at, whole := until[partition]; whole {
		x.at = at
	}
	for {
		if short(ctx) {
			return rows, false, nil
		}
		next, err := x.objects(x.cursor.Targets[0])
		if err != nil || next == "" {
			return rows, err == nil, err
		}
		x.cursor.After = next
	}
}

// again erases the rows of a page that an erasure covers, and reports whether
// events stay.
func (x *erasing) again(partition string, page []consent.Row, dry bool) (rows int, stays bool, err error) {
	until, err := x.Removal.Erasures.Erased(x.ctx, x.pageKeys(partition, page))
	if err != nil {
		return 0, false, err
	}
	for _, r := range page {
		at, erased := x.erasedAt(partition, r, until)
		if !erased {
			stays = stays || r.Event != nil
			continue
		}
		rows++
		if dry {
			continue
		}
		x.at = at
		if r.Event != nil {
			if err := x.unbind(r.Event); err != nil {
				return rows, stays, err
			}
		}
		if err := x.row(target{Partition: partition}, r); err != nil {
			return rows, stays, err
		}
	}
	return rows, stays, nil
}

// unbind erases the binding that an event has made when it came back: it stands
// in the address's own partition, and bears the time of its receipt.
func (x *erasing) unbind(e *consent.Event) error {
	for _, b := range consent.Bindings(x.Hasher, e) {
		err := x.Connector.rows(x.ctx, b.Own, "", func(r consent.Row) error {
			if r.Binding == nil || r.Binding.Subject != e.Subject || !r.Said.Equal(e.Received) {
				return nil
			}
			return x.Removal.Rows.Bury(x.ctx, b.Own, r.Sort, e.Site, x.at)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// EraseRevived erases again where the projection has noticed that something is
// back which an erasure covers. It stops where the time runs short; what is left
// waits for the next call. A partition that cannot be erased keeps no other from
// it, and is tried again with the next call.
func (c *Connector) EraseRevived(ctx context.Context) (partitions int, err error) {
	if c.Removal == nil {
		return 0, errs.New(errs.Internal, "only the function erase may erase")
	}
	list, err := c.Removal.Erasures.Revivals(ctx)
	if err != nil {
		return 0, err
	}
	var failed []error
	for _, r := range list {
		if short(ctx) {
			break
		}
		done, err := c.eraseRevived(ctx, r)
		if err != nil {
			failed = append(failed, err)
		}
		if done {
			partitions++
		}
	}
	return partitions, errors.Join(failed...)
}

func (c *Connector) eraseRevived(ctx context.Context, r consent.Revived) (done bool, err error) {
	if _, done, err = c.reapply(ctx, r.Site, r.Subject, false, true); err != nil || !done {
		return false, err
	}
	if err := c.Removal.Erasures.Settled(ctx, r); err != nil {
		return false, err
	}
	// What came while the first pass went by may have been noted before it was
	// settled.
	if _, done, err = c.reapply(ctx, r.Site, r.Subject, false, false); err != nil || !done {
		return false, errors.Join(err, c.Removal.Erasures.Revive(context.WithoutCancel(ctx), r.Site, r.Subject))
	}
	return true, nil
}

// Tidy does what is due although no request asks for it: it erases again what is
// back of what earlier requests have erased, and deletes the kept proofs whose
// day is over. done is false where the time of the invocation has run short.
func (c *Connector) Tidy(ctx context.Context) (done bool, err error) {
	_, revived := c.EraseRevived(ctx)
	if short(ctx) {
		return false, revived
	}
	_, done, expired := c.expire(ctx, false)
	if err := errors.Join(revived, expired); err != nil || !done {
		return false, err
	}
	left, err := c.Removal.Erasures.Revivals(ctx)
	return err == nil && len(left) == 0, err
}

// pageKeys are the keys under which an erasure may have covered rows of a page.
func (c *Connector) pageKeys(partition string, page []consent.Row) []string {
	keys := []string{partition}
	seen := map[string]bool{}
	for _, r := range page {
		if key, ok := consent.EmailKey(c.Hasher, r.Event); ok && !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	return keys
}

// erasedAt tells whether an erasure covers a row, and until when that one
// reached.
func (c *Connector) erasedAt(partition string, r consent.Row, until map[string]time.Time) (time.Time, bool) {
	at, ok := until[partition]
	if key, stated := consent.EmailKey(c.Hasher, r.Event); stated {
		if t, known := until[key]; known && t.After(at) {
			at, ok = t, true
		}
	}
	return at, ok && !r.Erased && !r.Said.After(at)
}

// Expire deletes the kept proofs whose day is over, as far as the time of the
// invocation reaches; dry only counts, and no more than one page.
func (c *Connector) Expire(ctx context.Context, dry bool) (proofs int, err error) {
	proofs, _, err = c.expire(ctx, dry)
	return proofs, err
}

func (c *Connector) expire(ctx context.Context, dry bool) (proofs int, done bool, err error) {
	if c.Removal == nil {
		return 0, false, errs.New(errs.Internal, "only the function erase may erase")
	}
	for !short(ctx) {
		keys, more, err := c.Removal.Objects.Expired(ctx, c.Now())
		if err != nil {
			return proofs, false, err
		}
		if dry {
			return len(keys), true, nil
		}
		for _, key := range keys {
			if short(ctx) {
				return proofs, false, nil
			}
			if err := c.Removal.Objects.EraseKept(ctx, key); err != nil {
				return proofs, false, err
			}
			proofs++
		}
		if !more || len(keys) == 0 {
			return proofs, true, nil
		}
	}
	return proofs, false, nil
}
