package api

import (
	"context"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/site"
)

// ledger is what this component reads of the ledger, beside whole persons.
type ledger interface {
	// Get reads one consent consistently; nil when there is none.
	Get(ctx context.Context, subject, id string) (*consent.Event, error)
	// Locate finds the partition of a consent through an index that may lag; ""
	// when the index does not know it.
	Locate(ctx context.Context, site, id string, shards int) (subject string, err error)
	// LastOf reads the latest consent of a subject consistently; nil when there
	// is none.
	LastOf(ctx context.Context, subject string) (*consent.Event, error)
	// Known reports, consistently, whether the ledger holds anything about a
	// subject.
	Known(ctx context.Context, subject string) (bool, error)
	// ListSubject reads up to limit consents of a subject, newest first and
	// consistently.
	ListSubject(ctx context.Context, subject string, r consent.Range, limit int) ([]consent.Event, error)
	// ListShard reads up to limit consents of a shard of a month, newest first,
	// through an index that may lag; they hold what a list shows, no more.
	ListShard(ctx context.Context, site, month string, shard int, r consent.Range, limit int) ([]consent.Event, error)
}

// registerStore keeps the register of preferences.
type registerStore interface {
	// PutRegister replaces the register if it still has the given version, and
	// returns the new one; a Conflict otherwise.
	PutRegister(ctx context.Context, site string, register []site.Purpose, version int) (int, error)
}

// notices keeps the versions of legal notices.
type notices interface {
	consent.Notices
	// List reads up to limit versions of a site, newest first.
	List(ctx context.Context, site string, r consent.NoticeRange, limit int) ([]consent.Notice, error)
}

// documents keeps what is known of documents.
type documents interface {
	consent.Documents
	consent.References
	// Get reads one document; nil when there is none.
	Get(ctx context.Context, site, id string) (*consent.Document, error)
	// BatchGet reads documents by id; those that do not exist are absent.
	BatchGet(ctx context.Context, site string, ids []string) (map[string]*consent.Document, error)
	// List reads up to limit documents, newest first, behind the id before.
	List(ctx context.Context, site, before string, limit int) ([]consent.Document, error)
}

// proofs keeps texts and bytes. What does not exist is NotFound.
type proofs interface {
	consent.NoticeTexts
	consent.DocumentBytes
	Form(ctx context.Context, site, digest, nonce string) ([]byte, error)
	Content(ctx context.Context, subject, consentID, digest string) ([]byte, error)
	Notice(ctx context.Context, site, digest string) ([]byte, error)
	Document(ctx context.Context, site, id, digest string) ([]byte, error)
}

// messages keeps what is to be sent.
type messages interface {
	Note(ctx context.Context, o chat.Outgoing) error
	Message(ctx context.Context, person, id string) (*chat.Outgoing, error)
}
