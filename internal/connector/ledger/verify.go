package ledger

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// settle is how long the projection may take to follow an erasure.
const settle = 5 * time.Minute

// verifying is one look at what an erasure has left.
type verifying struct {
	*erasing
	residue map[string]int
	late    map[string]bool // partitions in which the person has said something since
	named   map[string]bool // digests of forms that fresh events name
	swept   int             // objects that came back and are gone again
}

// Verify looks everywhere again: rows, bindings, large contents in every version,
// forms, views and search entries. What was said after the erasure is a fresh
// consent and no residue. What a late retry has put without a row (a large
// content, a form) belongs to nobody any more and is deleted on the way.
func (c *Connector) Verify(ctx context.Context, call connector.Call) (connector.Residue, error) {
	if c.Removal == nil {
		return connector.Residue{}, errs.New(errs.Internal, "only the function erase may look for what is left")
	}
	if _, err := c.EraseRevived(ctx); err != nil { // nothing of an erasure may be back when it is certified
		return connector.Residue{}, err
	}
	p, err := c.reach(ctx, call.Subject)
	if err != nil {
		return connector.Residue{}, err
	}
	until, err := c.Removal.Erasures.Erased(ctx, p.keys())
	if err != nil {
		return connector.Residue{}, err
	}
	targets := slices.DeleteFunc(p.targets, func(t target) bool {
		// What the person's fresh consents lead to was no part of the erasure.
		_, erased := until[t.Partition]
		return !erased && !t.Single && len(until) > 0
	})
	v := &verifying{residue: map[string]int{}, late: map[string]bool{}, named: map[string]bool{}}
	v.erasing = c.erasing(ctx, call, cursor{At: latest(until, call.Now).UnixMilli(), Targets: targets})
	v.erasing.person = p
	for _, look := range []func() error{v.rowsLeft, v.contents, v.formsLeft} {
		if err := look(); err != nil {
			return connector.Residue{}, err
		}
	}
	wait, err := v.views()
	if err != nil {
		return connector.Residue{}, err
	}
	if wait > 0 && len(v.residue) == 0 {
		return connector.Residue{Wait: wait}, nil
	}
	return connector.Residue{Counts: v.residue, Evidence: v.evidence()}, nil
}

// latest is the instant that the erasure covered; now when none was remembered:
// then everything that is there is too much.
func latest(until map[string]time.Time, now time.Time) time.Time {
	var at time.Time
	for _, t := range until {
		if t.After(at) {
			at = t
		}
	}
	if at.IsZero() {
		return now
	}
	return at
}

func (v *verifying) evidence() []connector.Evidence {
	left := 0
	for _, n := range v.residue {
		left += n
	}
	list := []connector.Evidence{{
		At: v.call.Now, Call: "read rows, objects with all versions, forms, views and search entries again",
		Answer: strconv.Itoa(left) + " left",
	}}
	if v.swept > 0 {
		list = append(list, connector.Evidence{At: v.call.Now, Call: "delete objects of late repetitions", Answer: strconv.Itoa(v.swept) + " deleted"})
	}
	return list
}

// rowsLeft counts rows that should be tombstones, and notes what is fresh. It
// binds fresh consents again where an instance remembered the erased binding as
// made.
func (v *verifying) rowsLeft() error {
	for _, t := range v.cursor.Targets {
		err := v.Connector.rows(v.ctx, t.Partition, "", func(r consent.Row) error {
			if v.covers(t, r) {
				v.residue[string(r.Form)]++
				return nil
			}
			if r.Erased || t.Single {
				return nil
			}
			v.late[t.Partition] = true
			if r.Event == nil {
				return nil
			}
			for _, p := range r.Event.Proofs {
				v.named[p.FormDigest] = true
			}
			return v.bindAgain(v.ctx, r.Event)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bindAgain binds a subject to the addresses of one of its events.
func (c *Connector) bindAgain(ctx context.Context, e *consent.Event) error {
	if c.Append == nil {
		return nil
	}
	for _, b := range consent.Bindings(c.Hasher, e) {
		if err := c.Append.Bind(ctx, &b); err != nil {
			return err
		}
	}
	return nil
}

// contents deletes large contents that no live row names.
func (v *verifying) contents() error {
	for _, t := range v.cursor.Targets {
		for v.cursor.After = ""; ; {
			next, err := v.objects(t)
			if err != nil {
				return err
			}
			if v.cursor.After = next; next == "" {
				break
			}
		}
	}
	return nil
}

// formsLeft looks at the forms that only this person was shown. Who is shown one
// again after the erasure, by a late retry, makes a new row and object that no
// event names.
func (v *verifying) formsLeft() error {
	for _, i := range v.call.Subject.Of(FormKind) {
		digest, nonce, _ := strings.Cut(i.Value.Reveal(), ".")
		if v.named[digest] {
			continue
		}
		f, err := v.Connector.Forms.Form(v.ctx, v.call.Subject.Site, digest)
		if err != nil {
			return err
		}
		nonces := []string{nonce}
		if f != nil && f.OnlyTo(v.whole) {
			removed, err := v.Removal.Forms.Forget(v.ctx, f)
			if err != nil {
				return err
			}
			if removed {
				nonces = append(nonces, f.Nonce)
			}
		} else if f != nil {
			// Others were shown it meanwhile: it is theirs.
			nonces = slices.DeleteFunc(nonces, func(n string) bool { return n == f.Nonce })
		}
		for _, n := range nonces {
			count, err := v.Removal.Objects.EraseForm(v.ctx, v.call.Subject.Site, digest, n)
			if err != nil {
				return err
			}
			v.swept += count
		}
	}
	return nil
}

// views looks for views without events, and for search entries without views.
// For a while the projection may just not have followed yet.
func (v *verifying) views() (wait time.Duration, err error) {
	var gone []string
	for _, t := range v.cursor.Targets {
		if !t.Single && !v.late[t.Partition] {
			gone = append(gone, t.Partition)
		}
	}
	views, err := v.Connector.Views.Views(v.ctx, gone)
	if err != nil {
		return 0, err
	}
	entries := 0
	for _, i := range v.call.Subject.Of(identity.Email) {
		for _, token := range consent.EmailTokens(v.Hasher, v.call.Subject.Site, i.Value.Reveal()) {
			found, err := v.Connector.Views.Search(v.ctx, v.call.Subject.Site, token, consent.MaxEntries)
			if err != nil {
				return 0, err
			}
			for _, e := range found {
				if slices.Contains(gone, e.At.Subject) {
					entries++
				}
			}
		}
	}
	if len(views)+entries == 0 {
		return 0, nil
	}
	if v.call.Now.Before(v.at.Add(settle)) {
		return time.Second, nil
	}
	for kind, n := range map[string]int{"views": len(views), "search_entries": entries} {
		if n > 0 {
			v.residue[kind] = n
		}
	}
	return 0, nil
}
