package consent

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
)

// Appender puts rows into the ledger. Nothing in the product changes or deletes
// one, but the erasure of a person.
type Appender interface {
	// Append puts an event under the condition that no row has its id. When one
	// has, nothing changes and that row comes back (prior != nil): the caller
	// tells a retry from another request. The event is durable when prior and
	// err are nil. A lost reply is retried inside; the retry finds the row.
	Append(ctx context.Context, e *Event) (prior *Event, err error)
	// Bind puts a binding row; it is not an error when the row exists.
	Bind(ctx context.Context, b *Binding) error
}

// Reader reads the ledger, one person at a time.
type Reader interface {
	// Partition reads all rows of a subject consistently, but stops with
	// ErrTooManyEvents, and what it has read, when that is more than limit bytes.
	Partition(ctx context.Context, subject string, limit int) (Rows, error)
}

// Row is one row of the ledger as whoever exports or erases a person needs it:
// one of Event and Binding, or neither where the row is a tombstone or cannot be
// read by this version.
type Row struct {
	Sort     string // sort key
	Form     RowForm
	Event    *Event
	Binding  *Binding
	Erased   bool      // a tombstone
	ErasedAt time.Time // of a tombstone
	Said     time.Time // when it was said; of what cannot be read as near as its id tells
}

// RowForm tells rows apart by their key alone: a tombstone has nothing else.
type RowForm string

// The forms of row.
const (
	RowConsent   RowForm = "consents"
	RowStatement RowForm = "statements"
	RowBinding   RowForm = "bindings"
)

// Pager reads a partition page by page, in order of the sort key.
type Pager interface {
	// Page reads up to limit rows consistently that come after a sort key ("" from
	// the first). Fewer than limit rows may come before the last page: next is ""
	// on the last one only.
	Page(ctx context.Context, subject, after string, limit int) (rows []Row, next string, err error)
}

// Eraser replaces rows by tombstones. Only the function erase holds one.
type Eraser interface {
	// Bury replaces a row in place by a tombstone, which says when and nothing of
	// what was there. A row that is a tombstone already, or that does not exist,
	// is left alone.
	Bury(ctx context.Context, subject, sort, site string, at time.Time) error
}

// Erasures remembers, by keyed hashes, whom an erasure has removed, so that what
// comes back late is known (docs/architecture.md §5).
type Erasures interface {
	// Put remembers an erasure of what was said until at. A later one of the same
	// keys wins.
	Put(ctx context.Context, keys []string, at time.Time, request, site string) error
	// Erased tells until when what was said under a key is erased; keys of which
	// nothing is known are absent.
	Erased(ctx context.Context, keys []string) (map[string]time.Time, error)
	// Revivals lists the partitions in which something is back that an erasure
	// covers; Settled notes that one has been erased again.
	Revivals(ctx context.Context) ([]Revived, error)
	Settled(ctx context.Context, r Revived) error
}

// Revived is a partition in which something is back that an erasure covers.
type Revived struct{ Site, Subject string }

// EmailKey is the key under which an erasure remembers the e-mail that an event
// states; ok is false where it states none that could identify anybody.
func EmailKey(hasher *pseudonym.Hasher, e *Event) (key string, ok bool) {
	if e == nil || e.Profile.Email == nil {
		return "", false
	}
	normal, ok := identity.NormalizeEmail(e.Profile.Email.Value.Reveal())
	return hasher.Identifier(e.Site, string(identity.Email), normal), ok
}

// FormState is what is known of a form that was shown.
type FormState struct {
	Nonce  string // names the object together with the digest
	Stored bool   // an event that names the object exists
	Shared bool   // more than one subject was shown it
}

// Form is what is known of a form by whoever erases a person.
type Form struct {
	Site    string
	Digest  string
	Nonce   string
	ShownTo []string // the first two subjects; with two of them nobody knows who else
}

// OnlyTo reports whether nobody but these subjects was shown the form.
func (f *Form) OnlyTo(subjects map[string]bool) bool {
	return len(f.ShownTo) == 1 && subjects[f.ShownTo[0]]
}

// Forms knows which forms have been shown.
type Forms interface {
	// Show records that a subject was shown a form and returns what is known of
	// it; nonce is taken when the form was never seen. One write.
	Show(ctx context.Context, site, digest, subject, nonce string) (FormState, error)
}

// Proofs keeps what people were shown and entered. Every object is immutable:
// putting what exists already is not an error.
type Proofs interface {
	PutForm(ctx context.Context, site, digest, nonce string, body []byte) error
	PutContent(ctx context.Context, subject, consentID, digest string, body []byte) error
}

// Clock tells the time.
type Clock func() time.Time
