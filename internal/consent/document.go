package consent

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
)

// Document is a file that proves something: a scanned form, a signed contract.
// Once kept it is never changed, but for being referenced.
type Document struct {
	Site       string
	ID         string // UUIDv7 of the time of the idempotency key
	Name       string
	MimeType   string
	Digest     string // SHA-256 of the bytes, hex
	Size       int
	Created    time.Time
	Referenced bool // a consent or a notice names it
	// By are the first two subjects whose consents name it, or ByNotice; with two
	// of them nobody knows who else.
	By []string
}

// ByNotice stands among the subjects that name a document for a legal notice.
const ByNotice = "notice"

// OnlyBy reports whether nothing but the consents of these subjects names the
// document.
func (d *Document) OnlyBy(subjects map[string]bool) bool {
	return len(d.By) == 1 && subjects[d.By[0]]
}

// File is a document as a client sends it.
type File struct {
	Name     string
	MimeType string
	Body     []byte
}

// Documents knows the documents of sites.
type Documents interface {
	// Create puts a document unless one has its id; that one comes back
	// (prior != nil) and nothing changes. A lost reply is retried inside; the
	// retry finds the document.
	Create(ctx context.Context, d *Document) (prior *Document, err error)
}

// DocumentBytes keeps the bytes of documents. Putting what exists is not an
// error.
type DocumentBytes interface {
	PutDocument(ctx context.Context, site, id, digest string, body []byte) error
}

// Archive keeps documents. It is safe for concurrent use.
type Archive struct {
	Documents Documents
	Bytes     DocumentBytes
	Hasher    *pseudonym.Hasher
	Now       Clock
	NewID     func(time.Time) string // a UUIDv7 of the given time
}

// Keep stores a file. The same file, by name and bytes, with the same
// idempotency key gets the same answer; another file with that key is a
// Conflict and changes nothing. Without a key the server makes one.
func (a *Archive) Keep(ctx context.Context, p Policy, key string, f File) (*Document, error) {
	received := a.Now().UTC().Truncate(time.Millisecond)
	at, key, err := keyTime(p, key, received, a.NewID)
	if err != nil {
		return nil, err
	}
	d := &Document{
		Site: p.Site, ID: a.Hasher.ID(at, "document", p.Site, key),
		Name: f.Name, MimeType: f.MimeType, Digest: hexDigest(string(f.Body)), Size: len(f.Body), Created: received,
	}
	if err := a.Bytes.PutDocument(ctx, d.Site, d.ID, d.Digest, f.Body); err != nil {
		return nil, err
	}
	prior, err := a.Documents.Create(ctx, d)
	switch {
	case err != nil:
		return nil, err
	case prior == nil:
		return d, nil
	case prior.Name != d.Name || prior.Digest != d.Digest:
		return nil, errs.New(errs.Conflict, "another request was made with this idempotency key")
	}
	return prior, nil
}
