// Package consent is the ledger's domain: what an event says, who may say it,
// what counts, and what follows from the events of a person. It knows nothing
// of HTTP, of AWS or of the environment.
package consent

import (
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/redact"
)

// Source is who stands behind an event.
type Source string

// The sources. A public event is hearsay about identity (docs/architecture.md
// §3, "Who"); the others are trusted.
const (
	Public    Source = "public"
	Private   Source = "private"
	Confirmed Source = "confirmed"
	Vendor    Source = "vendor" // a flag that was changed in a system: only its no counts
)

// Trusted reports whether a source may bind identities and settle preferences.
func (s Source) Trusted() bool { return s == Private || s == Confirmed }

// Act is the way in which an event came about.
type Act string

// The acts.
const (
	WebForm      Act = "web_form"
	Banner       Act = "banner"
	Paper        Act = "paper"
	API          Act = "api"
	MessageReply Act = "message_reply"
	DoubleOptIn  Act = "double_opt_in"
	Signal       Act = "signal"
	Import       Act = "import"
	DataRequest  Act = "data_request" // a data-subject request has led to it
	VendorFlag   Act = "vendor_flag"  // a flag was changed in a system of the company

	PreferenceCentre Act = "preference_centre" // the person has looked at what they had said, and changed it
)

// Kind tells what an event in the ledger records.
type Kind string

// The kinds of event.
const (
	KindConsent     Kind = "consent"     // a consent, refusal or withdrawal
	KindSubject     Kind = "subject"     // what the company's back end says about a subject
	KindObjection   Kind = "objection"   // Art. 21 GDPR: a no to the preferences named, or to every one
	KindRestriction Kind = "restriction" // Art. 18: the answer is no until the restriction is lifted
)

// known reports whether this version can read a kind.
func (k Kind) known() bool {
	return k == KindConsent || k == KindSubject || k == KindObjection || k == KindRestriction
}

// TokenState says what became of the subject token that came with a post.
type TokenState string

// The states of a subject token; empty when none came.
const (
	TokenValid   TokenState = "valid"
	TokenExpired TokenState = "expired"
	TokenInvalid TokenState = "invalid"
)

// Event is one row of the ledger. Once put it is never changed, but for
// becoming a tombstone when the person is erased.
type Event struct {
	ID        string        // UUIDv7; its time is the claimed time as it was sent
	Kind      Kind          //
	Site      string        //
	Subject   string        // partition: keyed hash of site and subject id
	SubjectID redact.String //
	KeyID     string        // which pseudonym secret made Subject and ID
	Shards    int           // shards of the site's listing index, for a consent that is put
	Source    Source        //
	Act       Act           //

	Claimed    time.Time  // what the writer says, never later than Received
	Received   time.Time  // what the server's clock showed
	Undated    bool       // no timestamp was given: Claimed is the time of the idempotency key
	Corrected  *time.Time // claimed time freed of the device's clock error, when the post carried sent_at
	SentAt     *time.Time // device clock at the moment of sending
	DeviceTime *time.Time // recorded, never judged
	ExpiresAt  *time.Time // after this instant the grants of this event no longer count

	Profile      Profile
	Preferences  []Preference
	Objected     []string // preferences that the event objects to: a Global Privacy Control signal, a KindObjection, or a switch of the preference centre
	GPC          bool
	All          bool   // KindObjection: to every preference
	Lifted       bool   // KindRestriction: it ends
	Case         string // the data-subject request that has led to the event
	LegalNotices []NoticeRef
	Proofs       []Proof
	DocumentIDs  []string
	IP           redact.String
	ConsentType  string
	Token        TokenState
	OptIn        *OptIn        // the grants wait for a confirmation
	Confirms     *Confirmation // the grants are those of an event that waited

	Request  [32]byte   // digest of the request, to tell a retry from another request
	ErasedAt *time.Time // set on a tombstone, which has nothing else but Subject and ID
}

// Readable reports whether this version knows what an event means.
func (e *Event) Readable() bool { return e.Kind.known() && e.Source != "" }

// Said is when the person said what the event records, as far as it is known:
// the claimed time, freed of the device's clock error where that was measured.
// An erasure covers what was said before it, whenever that arrives.
func (e *Event) Said() time.Time {
	if e.Corrected != nil {
		return *e.Corrected
	}
	return e.Claimed
}

// Profile is what an event states about a subject. A nil field is not stated.
type Profile struct {
	Email     *Text
	FirstName *Text
	LastName  *Text
	FullName  *Text
	Verified  *Flag
	Phones    *Phones
}

// Text states a text, or with Null that there is none.
type Text struct {
	Value redact.String
	Null  bool
}

// Flag states a truth value, or with Null that it is unknown.
type Flag struct {
	Value bool
	Null  bool
}

// Phones states the whole list of phones, or with Null that there is none.
type Phones struct {
	List []Phone
	Null bool
}

// Phone is a telephone number, with country prefix, and its label.
type Phone struct {
	Number redact.String
	Label  string
}

// Preference is one key of a consent with its value, the JSON text as it came.
type Preference struct {
	Key   string
	Value string
}

// NoticeRef names a legal notice. Version is the text that the writer gave;
// empty means the version in force.
type NoticeRef struct {
	Identifier string
	Version    string
}

// Number is the version as the ledger numbers versions. Clients write it as 2,
// "2" or "2.0"; ok is false for anything else, an empty version included.
func (n NoticeRef) Number() (version int, ok bool) {
	version, err := strconv.Atoi(strings.TrimSuffix(n.Version, ".0"))
	return version, err == nil && version > 0
}

// Proof is what was entered (content) and what was shown (form). Small content
// stands in the event, large content and every form are objects.
type Proof struct {
	HasContent    bool
	Content       redact.String // when inline
	ContentDigest string        // SHA-256, hex, when an object
	ContentBytes  int
	FormDigest    string // SHA-256, hex; empty when no form was given
	FormNonce     string // names the object together with the digest
	FormBytes     int
}

// Binding says that a trusted writer knows a subject under an address: an
// e-mail, or a telephone number whose owner has answered a message. It stands in
// the address's own partition.
type Binding struct {
	Site      string
	Own       string        // partition of the address's own subject
	Subject   string        // partition of the bound subject
	SubjectID redact.String //
	Email     redact.String // as the writer gave it; "" with Phone
	Phone     redact.String // E.164; "" with Email
	At        time.Time     // receive time
	KeyID     string
}

// Rows is one partition of the ledger: the events and the bindings of a
// subject, in order of id.
type Rows struct {
	Events   []Event
	Bindings []Binding
	Bytes    int // size of what was read
}

// Granted lists the preferences that an event grants, whether or not they wait
// for a confirmation.
func (e *Event) Granted() []string {
	var keys []string
	for _, p := range e.grants() {
		keys = append(keys, p.Key)
	}
	return keys
}
