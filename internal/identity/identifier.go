package identity

import (
	"strings"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/redact"
)

// Kind says what an identifier is. The kinds of a vendor are named
// "<system>.<what>", such as "refdesk.user_id".
type Kind string

// The kinds that are not a vendor's own.
const (
	Email      Kind = "email"
	Phone      Kind = "phone" // E.164
	Name       Kind = "name"
	SubjectID  Kind = "subject_id"  // a subject of Avow's ledger
	ExternalID Kind = "external_id" // the company's own number for the person
	ChatID     Kind = "chat_id"     // of the chat in which a request was made
)

// shared are the kinds that more than one person may have: what they find is a
// candidate, which an operator accepts or not.
var shared = map[Kind]bool{Phone: true, Name: true}

// Trust says how an identifier is known to be the person's.
type Trust string

// The kinds of trust, the strongest first.
const (
	Proven  Trust = "proven"  // the person has shown control of it, or an operator has checked and says how
	Company Trust = "company" // the company's back end says so: private or confirmed in the ledger
	Vendor  Trust = "vendor"  // a vendor's own record, reached by an identifier that may be followed
	Public  Trust = "public"  // a public key says so: hearsay
	Claimed Trust = "claimed" // the request says so, nothing proves it
)

// maxIdentifier is the longest value, in bytes.
const maxIdentifier = 256

// Identifier is something under which a person may be found.
type Identifier struct {
	Kind   Kind
	Value  redact.String
	Trust  Trust
	System string // the system that yielded it; "" for the request itself
}

// Normal is the form in which two identifiers of a kind are compared; ok is
// false for a value that cannot identify anybody.
func (i Identifier) Normal() (normal string, ok bool) {
	text := strings.TrimSpace(i.Value.Reveal())
	if text == "" || len(text) > maxIdentifier || !utf8.ValidString(text) || strings.ContainsAny(text, "*%?\x00\r\n") && i.Kind != SubjectID {
		return "", false
	}
	switch i.Kind {
	case Email:
		return NormalizeEmail(text)
	case Phone:
		return NormalizePhone(text)
	case Name:
		return Fold(text), true
	}
	return text, true
}

// Followed reports whether what carries the identifier belongs to the person
// without anybody having to look: it names one person only, and it is not
// hearsay (docs/architecture.md §7).
func (i Identifier) Followed() bool {
	return !shared[i.Kind] && i.Trust != Public && i.Trust != Claimed
}
