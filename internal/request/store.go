package request

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/identity"
)

// Store keeps requests. Every write is one transaction with its condition; one
// that meets a newer version, or an older epoch than the row's, is a Conflict
// and changes nothing. Reads are consistent, except for List.
type Store interface {
	// Create puts a new request, its first entry, its identifiers and what it
	// holds of people. A request with the same id is a Conflict.
	Create(ctx context.Context, r *Request, e Entry, p Personal, known []Known) error
	// Get reads a request; NotFound.
	Get(ctx context.Context, id string) (*Request, error)
	// Write stores a change. It sets the request's Version and the ids of the
	// entries when it succeeds.
	Write(ctx context.Context, c Change) error

	Personal(ctx context.Context, id string) (Personal, error)
	Known(ctx context.Context, id string) ([]Known, error)
	Steps(ctx context.Context, id string) ([]Step, error)
	Found(ctx context.Context, id string) ([]Found, error)
	Tasks(ctx context.Context, id string) ([]Task, error)
	Log(ctx context.Context, id, after string, limit int) ([]Entry, error)
	Decision(ctx context.Context, id string, w Wait) (*Decision, error) // nil: none
	Decisions(ctx context.Context, id string) ([]Decision, error)
	Token(ctx context.Context, id string, w Wait) (*Token, error) // nil: none
	PutToken(ctx context.Context, id string, t Token) error       // refuses one of an older epoch
	Delivered(ctx context.Context, id string, w Wait, at time.Time) error

	// Link finds a mailed link by the hash of its token; NotFound.
	Link(ctx context.Context, hash string) (*Link, error)
	PutLink(ctx context.Context, l Link) error
	// UseLink marks a link used with its result, once: the result of the first
	// use comes back, and whether this was it.
	UseLink(ctx context.Context, hash, result string, at time.Time) (first string, used bool, err error)

	// Mail reads the intent to send a letter; nil: none.
	Mail(ctx context.Context, id, key string) (*Mail, error)
	PutMail(ctx context.Context, id string, m Mail) error // a Conflict when there is one with the key
	Sent(ctx context.Context, id, key, message string, at time.Time) error

	// List reads requests of a site from an index, which may lag.
	List(ctx context.Context, q Query) (list []Request, next string, err error)
	// Due lists requests whose Next has come, of all sites: open ones first, then
	// ended ones that have a Next.
	Due(ctx context.Context, now time.Time, limit int) ([]string, error)
	// Count adds one to a counter that is forgotten at expires, and returns its
	// value. Name holds keyed hashes only.
	Count(ctx context.Context, name string, expires time.Time) (int, error)
	// Uncount takes one off a counter again, unless it is forgotten.
	Uncount(ctx context.Context, name string) error
	// Suppress stops mail to an address, given its keyed hash; Suppressed asks.
	Suppress(ctx context.Context, address, reason string, at time.Time) error
	Suppressed(ctx context.Context, address string) (bool, error)
}

// Forgetter is what the function erase may do beyond a Store, and nobody else.
type Forgetter interface {
	// Forget deletes identifiers, personal rows, links, tokens and the handles of
	// steps of a closed request. It may be repeated.
	Forget(ctx context.Context, id string) error
	// Over lists requests that have ended and have no Next, from a cursor on ("" for
	// the first page; next is "" behind the last): nothing is left to do about them.
	// The index that it reads may lag.
	Over(ctx context.Context, now time.Time, after string, limit int) (ids []string, next string, err error)
	// Remove deletes all of such a request, its log included; a Conflict when it is
	// not one. It may be repeated.
	Remove(ctx context.Context, id string) error
}

// Change is what one transaction writes. Request is written under the condition
// that the stored version is Request.Version; Fence is for rows of one system:
// it leaves the request as it is and only demands that its epoch is still
// Fence.Epoch. Exactly one of the two is set.
type Change struct {
	Request  *Request
	Fence    *Fence
	Entries  []Entry
	Steps    []Step
	Found    []Found
	Tasks    []Task
	Known    []Known
	Decision *Decision
	Personal *Personal
}

// Fence names the run that writes.
type Fence struct {
	Request string
	Epoch   int
}

// Query filters a list. Zero fields do not filter.
type Query struct {
	Site       string
	State      State
	Type       Type
	DueBefore  time.Time
	Identifier *identity.Identifier
	After      string // cursor
	Limit      int
}
