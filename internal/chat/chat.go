// Package chat is what follows from what people write to the company on
// WhatsApp: who asks for silence has it at once, who asks for their data has a
// request, who is asked for consent can answer. What is to be said in return is
// only noted here; the function propagate sends it.
//
// The text of a message is kept where it is the proof of an answer, and nowhere
// else.
package chat

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/redact"
)

// Window is how long after a person's last message the company may write freely;
// behind it Meta takes approved templates only.
const Window = 24 * time.Hour

// How long rows are kept.
const (
	seenFor    = 8 * 24 * time.Hour // Meta repeats a post for up to 7 days
	contactFor = 30 * 24 * time.Hour
	mediaFor   = 30 * 24 * time.Hour // Meta keeps a file no longer
)

// Contact is what is known of who writes: a row of one month after the last
// message.
type Contact struct {
	Person   string        // partition: keyed hash of the address
	Phone    redact.String // E.164; "" where it is hidden
	UserID   redact.String // business-scoped
	Language string        // of the last keyword or answer that told one
	LastIn   time.Time     // the window of free text begins here
	Expires  time.Time
}

// Incoming is what is kept of a message that somebody has sent, as soon as what
// follows from it is done: it is then not done again.
type Incoming struct {
	Person  string
	Message string // keyed hash of the vendor's id
	At      time.Time
	Type    string        // "" where metadata is not kept
	Media   redact.String // id at Meta
	Expires time.Time
}

// Purpose is why a message is sent.
type Purpose string

// The purposes.
const (
	Stopped Purpose = "stopped" // confirms that nothing more will come
	Prove   Purpose = "prove"   // asks whether a request is really wanted
	Opened  Purpose = "opened"  // the request is being worked on
	Invite  Purpose = "invite"  // asks for a consent (double opt-in)
	Agreed  Purpose = "agreed"  // confirms the answer yes
	Left    Purpose = "left"    // the number was somebody else's before: the chat proves no request
	Late    Purpose = "late"    // the answer came too late, or after a no: it changes nothing
	Send    Purpose = "message" // by POST /messages
	Letter  Purpose = "letter"  // about a request that was made in the chat
)

// State is how far a message has come.
type State string

// The states of a message.
const (
	Due     State = "due"
	Sending State = "sending" // handed to the vendor, whose answer is not known yet
	Sent    State = "sent"
	Failed  State = "failed"  // surely not sent
	Unknown State = "unknown" // the vendor's answer was lost: never sent again
)

// Outgoing is a message of the company.
type Outgoing struct {
	Person     string
	ID         string // UUIDv7
	Purpose    Purpose
	System     string // by which number
	To         redact.String
	Language   string
	About      string        // the request or consent that it is about
	Preference string        // what it is sent under; "" for an answer to what the person has asked
	Text       redact.String // to say, while it is due; then only of a proof
	Brief      redact.String // of a letter, while it is due: the same in one line, for a template
	Template   string
	Version    string // of the template's wording
	State      State
	Reason     string // why it failed, never the vendor's own text
	Message    redact.String
	At         time.Time // when it was asked for
	Sent       time.Time
	Delivery   string // sent, delivered, read, failed: what the vendor has reported since
	Code       int    // of a failed delivery
	Expires    time.Time
}

// givenUp is when a message that was not taken will not be sent any more: the
// outbox has stopped trying before.
const givenUp = outbox.Patience + 12*time.Hour

// Standing is how far a message has come, and why it failed. One that the outbox
// has given up has failed, though nobody has written that into its row.
func (o *Outgoing) Standing(now time.Time) (state State, reason string) {
	if o.State == Due && now.Sub(o.At) > givenUp {
		return Failed, "given_up"
	}
	return o.State, o.Reason
}

// Reason is who has stopped the messages to an address.
type Reason string

// The reasons. Each is lifted for itself.
const (
	ByPerson   Reason = "person"   // by a keyword or button
	ByPlatform Reason = "platform" // in WhatsApp's own settings
	Moved      Reason = "moved"    // the person has another number or user id now
)

// Store keeps contacts and messages, each person in a partition of their own,
// and whom nothing may be sent to. Reads are consistent. Repeating a write
// changes nothing.
type Store interface {
	// Contact finds what is known of a person; nil: nothing.
	Contact(ctx context.Context, person string) (*Contact, error)
	// Meet notes that a person has written. The later time stays, and what is ""
	// leaves the row as it is.
	Meet(ctx context.Context, c Contact) error
	// Seen reports whether Keep has been called for a message.
	Seen(ctx context.Context, person, message string) (bool, error)
	Keep(ctx context.Context, m Incoming) error
	// Note puts a message that is due; one with its id is left alone.
	Note(ctx context.Context, o Outgoing) error
	// Message finds one; nil: none.
	Message(ctx context.Context, person, id string) (*Outgoing, error)
	// Take begins the sending of a message that is due; false where somebody else
	// has. by is an id of the attempt: it may be repeated when the reply was lost.
	Take(ctx context.Context, person, id, by string, at time.Time) (bool, error)
	// Settle says what came of the sending. One that is gone or was sent meanwhile is
	// a Conflict: what is known to be sent stays so.
	Settle(ctx context.Context, o Outgoing) error
	// Bind notes, before Settle, which message the keyed hash of a vendor's id means.
	Bind(ctx context.Context, o Outgoing, message string) error
	// Report notes what the vendor says of a message, by the keyed hash of the
	// vendor's id. A report that is older than what is known changes nothing, and
	// so does one of a message that is not known.
	Report(ctx context.Context, person, message, delivery string, code int) error
	// Silence stops (or, with stop false, allows) messages to an address, given its
	// keyed hash. The latest by time stands; at the same time the stop does. by is
	// the keyed hash of the message that asks; first reports whether it is the one
	// that has stopped them, also when it is repeated.
	Silence(ctx context.Context, address string, r Reason, stop bool, at time.Time, by string) (first bool, err error)
	// Silenced tells why messages to an address are stopped; none: they are not.
	Silenced(ctx context.Context, address string) ([]Reason, error)
	// Left is when somebody has left an address, given its keyed hash, or when the
	// next holder was first heard of: when Silence was last called for it because of
	// Moved. Zero: nobody ever has.
	Left(ctx context.Context, address string) (time.Time, error)
	// Rows is that of Keeper.
	Rows(ctx context.Context, person, after string, limit int) (rows []Row, next string, err error)
}

// Row is one row of a person's partition: one of the three, or none where the row
// only leads to another one.
type Row struct {
	Entry    string // sort key
	Contact  *Contact
	Incoming *Incoming
	Outgoing *Outgoing
}

// Keeper goes through what is kept of a person, and removes it. Silence is not
// among it: it outlives an erasure, so that nobody is written to who has asked for
// silence.
type Keeper interface {
	// Rows reads up to limit rows that come after an entry ("" from the first); next
	// is "" behind the last page.
	Rows(ctx context.Context, person, after string, limit int) (rows []Row, next string, err error)
	// Remove deletes a row; one that is gone is no error.
	Remove(ctx context.Context, person, entry string) error
}
