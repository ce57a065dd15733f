// Package hook reads what Meta posts to the webhook of the WhatsApp Business
// Platform (Graph API, v23.0): it tells a genuine post from any other, and takes
// from it what Avow acts on. Everything else is dropped here and goes no
// further: profile names, captions, contact cards, places, orders, and where
// somebody came from.
//
// The contract is Meta's (developers.facebook.com/docs/graph-api/webhooks and
// …/whatsapp/cloud-api/webhooks). Ids of messages are personal data: a "wamid"
// is base64 and has the telephone number in it.
package hook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/url"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/redact"
)

// MaxBody is how long a post may be, in bytes: Meta says 3 MB.
const MaxBody = 3 << 20

// SignatureHeader is where a post carries its signature.
const SignatureHeader = "X-Hub-Signature-256"

// Signed reports whether a post comes from Meta: header is "sha256=" and the hex
// HMAC-SHA256, under the app's secret, of the exact bytes of the body. Meta
// escapes non-ASCII characters in its JSON, so a body that was read and written
// again has another signature.
func Signed(appSecret, body []byte, header string) bool {
	hexed, ok := strings.CutPrefix(header, "sha256=")
	if !ok || len(appSecret) == 0 {
		return false
	}
	sent, err := hex.DecodeString(hexed)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, appSecret)
	mac.Write(body)
	return hmac.Equal(sent, mac.Sum(nil))
}

// Challenge is the answer to Meta's check of a subscription (GET with
// hub.mode, hub.verify_token and hub.challenge); ok is false when the token is
// another one or the call is no such check. The token is compared in constant time.
func Challenge(query url.Values, token []byte) (challenge string, ok bool) {
	challenge = query.Get("hub.challenge")
	same := subtle.ConstantTimeCompare([]byte(query.Get("hub.verify_token")), token) == 1
	if query.Get("hub.mode") != "subscribe" || len(token) == 0 || !same || !plain(challenge) {
		return "", false
	}
	return challenge, true
}

// plain reports whether a text may be sent back to whoever has sent it: Meta's
// challenge is a number.
func plain(text string) bool {
	const longest = 128
	return text != "" && len(text) <= longest && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '-'
	})
}

// Delivery is one post.
type Delivery struct {
	Changes []Change
	// Unread counts what could not be read although the post was genuine: messages
	// without an id or a sender, items of another shape than documented.
	Unread int
}

// Change is what has happened at one telephone number of the company.
type Change struct {
	Number      string // the company's phone_number_id
	Messages    []Message
	Statuses    []Status
	Preferences []Preference
}

// Person is who has written. Either field may be empty, not both: since 2026
// people may hide their number behind a username, and older posts know no user id.
type Person struct {
	Phone  redact.String // E.164
	UserID redact.String // business-scoped: "FR.1a2b…", another one after a change of number
}

// Key is the address that stands for the person at this business: the number,
// where it is known.
func (p Person) Key() redact.String {
	if p.Phone != "" {
		return p.Phone
	}
	return p.UserID
}

// Message is what a person has sent.
type Message struct {
	ID      redact.String // "wamid.…": holds the telephone number
	From    Person
	At      time.Time     // by Meta's clock, to the second; zero where it says none
	Type    string        // text, button, interactive, image, …; "unknown" for what is no word
	Text    redact.String // of a text; the label of a button
	Payload redact.String // what the company has put behind a button
	About   redact.String // id of the company's message that is answered; "" for none
	Media   redact.String // id of a file at Meta
	Moved   Person        // type system: the number or user id that the person has from now on
}

// Status is what became of a message of the company.
type Status struct {
	ID    redact.String // of the message
	Value string        // sent, delivered, read, failed
	At    time.Time
	To    Person
	Code  int // why it failed; 0 where it did not
}

// Preference is a choice that a person has made in WhatsApp itself, about all
// marketing messages of the company.
type Preference struct {
	From Person
	Stop bool // else: resume
	At   time.Time
}
