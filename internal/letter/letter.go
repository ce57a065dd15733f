// Package letter writes what Avow sends by mail about a request or a consent: to
// the person, to an organisation that receives a portable copy, and to the
// controller's own privacy office. Letters exist in French and English. Each is one text, from
// which the HTML form is made, so that the two cannot say different things; a
// company may replace any of them.
//
// Letters load nothing and count nothing: no images, no tracking, no links but
// the one that the letter is about.
package letter

import (
	"log/slog"
	"time"

	"github.com/avow-consent/avow/internal/redact"
)

// Kind is a letter.
type Kind string

// The letters to the person.
const (
	Acknowledgement Kind = "acknowledgement"  // the request has arrived; until when it is answered
	IdentityLink    Kind = "identity_link"    // the same, and a link to prove who they are
	Unverified      Kind = "unverified"       // the proof did not come in time
	Extension       Kind = "extension"        // Art. 12(3): later, why, and until when
	Held            Kind = "held"             // nothing is deleted for now, and on which ground
	Refusal         Kind = "refusal"          // Art. 12(4): ground, and where to complain
	Answer          Kind = "answer"           // what was done, by type of request
	PackageReady    Kind = "package_ready"    // a link to the package
	Recipients      Kind = "recipients"       // Art. 19: who was told
	Withdrawn       Kind = "withdrawn"        // the person has withdrawn the request
	DoubleOptIn     Kind = "double_opt_in"    // a link that confirms a consent: no request has led to it
	PreferencesLink Kind = "preferences_link" // a link to the preference centre; nor to this
)

// The letters to others.
const (
	Handover Kind = "handover" // Art. 20(2): to the organisation that receives the data
	Reminder Kind = "reminder" // to the privacy office: something waits
	// Agreement is to the privacy office, too: one with a processor has lapsed. It is
	// about no request.
	Agreement Kind = "agreement"
)

// Kinds are all letters.
var Kinds = []Kind{
	Acknowledgement, IdentityLink, Unverified, Extension, Held, Refusal, Answer, PackageReady, Recipients, Withdrawn, DoubleOptIn, PreferencesLink, Handover, Reminder, Agreement,
}

// ToOffice reports whether a letter goes to the controller's own privacy office.
func (k Kind) ToOffice() bool { return k == Reminder || k == Agreement }

// Matter is what a Reminder or an Agreement is about.
type Matter string

// The matters.
const (
	Approval        Matter = "approval"
	Release         Matter = "release"
	Task            Matter = "task"
	Identity        Matter = "identity"        // of somebody who has no link to prove it with
	Deadline        Matter = "deadline"        // it is near
	Overdue         Matter = "overdue"         // it has passed
	Undeliverable   Matter = "undeliverable"   // a letter cannot be mailed to the person
	Unacknowledged  Matter = "unacknowledged"  // the receipt is to be confirmed and was not
	IdentityRefused Matter = "identity_failed" // never proven: the request has ended

	Ended      Matter = "ended"      // the agreement
	Unreviewed Matter = "unreviewed" // the agreement, whose review is due
)

// Message is a mail. Printed or logged, it masks itself.
type Message struct {
	Request string // id, for the mail service to name when the mail comes back
	To      redact.String
	From    string
	Subject string
	Text    string
	HTML    string

	Language string // of the text
	Template string // its name, such as "refusal.fr"
	Version  string // of the template: the first 12 hexadecimal digits of its SHA-256
}

// String masks the message.
func (Message) String() string { return redact.Mask }

// GoString masks the message.
func (Message) GoString() string { return redact.Mask }

// LogValue masks the message.
func (Message) LogValue() slog.Value { return slog.StringValue(redact.Mask) }

// Data is what a letter may say. Which fields a letter uses, templates/ shows;
// unset fields leave their sentence out. Every text is inert in the letter,
// whoever it comes from.
type Data struct {
	Controller string // who answers
	Address    string // postal
	DPO        string // name of the person or office to write to
	DPOEmail   string
	Authority  string         // where to complain, in the letter's language; "": the general sentence
	Zone       *time.Location // in which dates are written; nil: UTC

	Reference string // id of the request
	Type      string // "access", …
	Regime    string // "gdpr", "ccpa", …
	Name      redact.String
	OnBehalf  bool // the reader acts for the person
	Received  time.Time
	Due       time.Time

	Link    string    // https; the one link of the letter
	Expires time.Time // of the link
	Until   time.Time // unverified: end of the request; package: until when it is kept
	Ground  string    // refusal, hold: "Art. 12(5) GDPR"
	Reason  string    // why, in the officer's words

	Systems     []System // answer: what was done where
	Changes     []Change // rectification
	Recipients  []string // who was told (Art. 19)
	Looks       []time.Time
	Certificate string // digest of the certificate of an erasure
	Recipient   redact.String

	Purposes []string // double opt-in: what is consented to, in the letter's language
	Notice   string   // double opt-in: address of the privacy notice

	Matter Matter // reminder, agreement
	What   string // the system or the letter that it is about

	Processor string // agreement: who runs the system
	Blocked   bool   // agreement: the processor gets no more data
}

// System is one system in an answer.
type System struct {
	Title   string
	Records int       // exported, deleted, changed
	At      time.Time // when it was done; zero: it was not
	Undone  string    // why it was not
	Last    bool      // it is done when the answer is out, because that goes through it
	Kept    []Kept
	Backups string // what ages out by itself, and when
}

// Kept is data that stays, and the ground.
type Kept struct {
	What   string
	Ground string
	Reason string
	Until  string
}

// Change is a corrected field.
type Change struct {
	Field string
	Old   redact.String // "" for an addition
	New   redact.String
}
