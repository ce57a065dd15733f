// Package connector says what Avow asks of a system that holds personal data,
// its own ledger included. It knows no vendor, no HTTP and no AWS: each system
// has a folder of its own below, and internal/connector/kit is what those that
// speak HTTP share.
package connector

import (
	"context"
	"io"
	"time"

	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// Operation is what a system is asked to do for a person.
type Operation string

// The operations.
const (
	Export   Operation = "export"   // Art. 15, Art. 20
	Rectify  Operation = "rectify"  // Art. 16
	Erase    Operation = "erase"    // Art. 17
	Restrict Operation = "restrict" // Art. 18
	Object   Operation = "object"   // Art. 21; the CCPA opt-out
	Tell     Operation = "tell"     // Art. 19: the system's own recipients are told of the request's operation
)

// Changes reports whether an operation alters personal data: then only the
// function erase may carry it out.
func (o Operation) Changes() bool { return o != Export && o != Tell }

// Connector is one system. Its methods may be called again at any time, by
// another instance, after a crash: see Call.Again. Errors are internal/errs:
// Unavailable may pass and is retried; every other kind is put to an operator.
// No error text holds personal data or a vendor's body.
type Connector interface {
	// Inventory is what the system holds, why, and who is behind it.
	Inventory() Inventory
	// Identifiers says under what the system finds a person (any one of needs
	// will do) and what it knows of a person beyond that.
	Identifiers() (needs, yields []identity.Kind)
	// Locate looks for the person. It changes nothing.
	Locate(ctx context.Context, s Subject) (Findings, error)
	// Start begins an operation and, where that takes no longer than a few
	// seconds, ends it.
	Start(ctx context.Context, c Call) (Progress, error)
	// Poll goes on with an operation that Start or Poll left pending.
	Poll(ctx context.Context, c Call) (Progress, error)
	// Verify looks again after an erasure: what is still there?
	Verify(ctx context.Context, c Call) (Residue, error)
}

// After may be implemented by a connector that must be erased after other
// systems although no identifier demands it.
type After interface {
	// After names systems, or kinds of system, that must be empty before this
	// one is erased, each with the reason.
	After() map[string]string
}

// Subject is whom a request is about, as far as Locate may use it.
type Subject struct {
	Site        string
	Agent       bool                  // an employee who answers others, not an end user
	Identifiers []identity.Identifier // those that may be followed, and those an operator has accepted
	Handle      string                // locate: what the last Findings gave, whatever it was asked with; "" at first
}

// Of returns the values of a kind.
func (s Subject) Of(kind identity.Kind) []identity.Identifier {
	var list []identity.Identifier
	for _, i := range s.Identifiers {
		if i.Kind == kind {
			list = append(list, i)
		}
	}
	return list
}

// Findings are what a system holds of a person: counts, never content.
type Findings struct {
	// Counts by kind of record ("consents", "tickets"). Empty: nothing found.
	Counts map[string]int
	// Identifiers that the system yields. Everything that a later deletion needs
	// must be here: nothing is looked up again once something was deleted.
	Identifiers []identity.Identifier
	// Candidates may be the same person: an operator decides.
	Candidates []Candidate
	// Notes are what an approver must know, without personal data: "deleting the
	// chats also removes what 12 other people wrote".
	Notes []string
	// More: there is more to find and Locate wants to be called again, after a
	// search index has caught up or because the system asked for a pause.
	More time.Duration
	// Handle is given back to the next Locate in Subject.Handle, also to one that
	// is asked with more identifiers. A search that takes longer than some seconds
	// is done in pieces: each gives More and a Handle that has moved. Identifiers
	// and candidates of the pieces add up; Counts and Notes are of all so far. Like
	// that of Progress it may name records of the vendor, and is deleted when the
	// request closes.
	Handle string
	// Done of Of parts of such a search are done; Of is 0 where that is not known.
	Done, Of int
}

// Candidate is a record that carries an identifier which is shared, public or
// not proven.
type Candidate struct {
	Identifier identity.Identifier // becomes one that may be followed when it is accepted
	Evidence   string              // why it may be the person, without personal data: "same phone, other name"
}

// Call is one operation on one system for one person.
type Call struct {
	Request   string // id, for the vendor's own reference
	Key       string // the same for every repetition of this call: an idempotency key where the vendor takes one
	Operation Operation
	Subject   Subject
	Handle    string // what the last Progress gave
	// Again: an earlier Start may have been applied although its outcome is not
	// known. Look before repeating anything but a deletion by immutable id. Poll
	// is never told: it may always be a repetition.
	Again bool
	// Failing is for how long this call has failed as Unavailable by now, in days of
	// 24 hours whatever the policy's are; 0 when it has not. An export may go on
	// without a file whose host is away for good.
	Failing time.Duration
	Changes []Change  // rectify
	About   Operation // tell: what the recipients are told of
	Out     Sink      // export
	Now     time.Time
}

// Change is one field to rectify. Old is empty for an addition.
type Change struct {
	Field string
	Old   redact.String
	New   redact.String
}

// Sink takes what an export finds, in order. What one Start or Poll writes is
// kept when it returns without an error, and replaces what an earlier attempt
// at the same step wrote.
type Sink interface {
	// Record adds one record; v is encoded as JSON.
	Record(kind string, v any) error
	// File adds a file; r is read to its end, in constant memory.
	File(ctx context.Context, name, mediaType string, r io.Reader) error
}

// Progress is the outcome of Start or Poll.
type Progress struct {
	Done bool
	// Handle is given back to the next Poll. It may name records of the vendor,
	// and is deleted when the request closes.
	Handle string
	// After is when to poll, at the earliest; zero leaves it to the policy.
	After time.Duration
	// Ask puts the matter to a person, instead of Done.
	Ask *Ask
	// Evidence is added to what the request keeps.
	Evidence []Evidence
	// Counts of records that were exported, deleted, changed, by kind.
	Counts map[string]int
	// Kept is what stays on purpose.
	Kept []Kept
}

// Ask is a task for a person.
type Ask struct {
	Reason       string // one sentence, without personal data
	Instructions string // what to do, step by step, without personal data
	// Retry: what is asked for is not the operation itself but what stands in its
	// way. The person may say "retry", and the operation goes on from what is left.
	Retry bool
}

// Evidence is what a vendor said of a call, without personal data: it may stand
// in a certificate.
type Evidence struct {
	At     time.Time `json:"at"`
	Call   string    `json:"call"`             // "DELETE /users/{id}"
	Answer string    `json:"answer"`           // "204", "job completed"
	Digest string    `json:"digest,omitempty"` // SHA-256 of a document that an operator gave
}

// Kept is data that is not erased, and the ground.
type Kept struct {
	What   string `json:"what"`
	Ground string `json:"ground"` // "Art. 17(3)(e) GDPR"
	Reason string `json:"reason"`
	Until  string `json:"until,omitempty"` // date on which it ages out by itself
}

// Residue is what Verify still finds. Empty Counts: gone.
type Residue struct {
	Counts   map[string]int
	Evidence []Evidence
	Wait     time.Duration // the system cannot tell yet: look again after this
}
