// Package page writes the few HTML pages that a person sees who follows a link
// of a letter: plain, readable by every browser and screen reader, without
// scripts, in French and English. It knows nothing of requests: whoever calls it
// says what stands on the page.
package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"strings"
)

// Kind is a page.
type Kind string

// The pages.
const (
	Confirm   Kind = "confirm"   // a button confirms that the request is the person's
	Confirmed Kind = "confirmed" // it is confirmed
	Download  Kind = "download"  // a button downloads the package
	Unusable  Kind = "unusable"  // the link is wrong, used or expired: the same page for all three
	Resent    Kind = "resent"    // a new link was asked for; says nothing about whether there is one
	TooMany   Kind = "too_many"  // too many attempts from this address

	ConfirmConsent   Kind = "confirm_consent"   // a button confirms a consent
	ConsentConfirmed Kind = "consent_confirmed" // it is confirmed
	ConsentLapsed    Kind = "consent_lapsed"    // the time to confirm is over
	ConsentWithdrawn Kind = "consent_withdrawn" // the person has said no since

	PreferencesLink     Kind = "preferences_link"     // a button opens the preference centre
	Preferences         Kind = "preferences"          // the preference centre
	PreferencesUnusable Kind = "preferences_unusable" // its link is wrong, used or expired: the same page for all three
	PreferencesResent   Kind = "preferences_resent"   // a new link was asked for; says nothing about whether there is one
)

// Kinds are all pages.
var Kinds = []Kind{
	Confirm, Confirmed, Download, Unusable, Resent, TooMany,
	ConfirmConsent, ConsentConfirmed, ConsentLapsed, ConsentWithdrawn,
	PreferencesLink, Preferences, PreferencesUnusable, PreferencesResent,
}

// Data is what a page shows. Every field is text, whoever it comes from.
type Data struct {
	Controller string   // who answers
	Contact    string   // an e-mail address to write to, "" for none
	Type       string   // of the request, such as "access"; "" when nothing may be told
	Items      []string // what is consented to
	Hidden     []Field  // sent back with the button

	// Of Preferences.
	Switches []Switch
	Outcome  Outcome  // of what was sent
	Chosen   []Switch // as they are now
}

// Field is a hidden field of a form.
type Field struct{ Name, Value string }

// Switch is one preference.
type Switch struct {
	Key     string
	Purpose string
	On      bool
	Fixed   bool   // nobody can switch it
	Basis   string // legal basis, such as "consent"
	Reason  string // why it is on or off (consent.Reason)
	Since   string // date, written out; "" for none
	Until   string // date, written out, after which a yes no longer holds; "" for none
}

// Outcome is what became of the choices that were sent.
type Outcome string

// The outcomes; "" before anything was sent.
const (
	Saved     Outcome = "saved"
	Unchanged Outcome = "unchanged" // nothing was chosen differently
	Stale     Outcome = "stale"     // the purposes have changed since they were shown: nothing was saved
)

//go:embed style.css
var style string

// Policy is the Content-Security-Policy of a page: nothing is loaded, nothing
// runs, no other page frames it, and the style is the one that stands in it.
//
// It does not limit where a form may lead: the answer to the button of Download
// is a redirect to the bucket, and browsers hold a redirect to form-action.
func Policy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; frame-ancestors 'none'"
}

// Languages in which pages are written; the first is the one for all others.
var Languages = []string{"en", "fr"}

// Language is the one of Languages that is meant by a tag (BCP 47) or by an
// Accept-Language header, whose order counts and whose weights do not.
func Language(tags string) string {
	for tag := range strings.SplitSeq(tags, ",") {
		tag, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(tag)), ";")
		primary, _, _ := strings.Cut(tag, "-")
		for _, l := range Languages {
			if primary == l {
				return l
			}
		}
	}
	return Languages[0]
}

// ButtonOf is what stands on the button of a page.
func ButtonOf(kind Kind, language string) string { return texts[Language(language)].pages[kind].Button }

// Render writes a page in one of Languages.
func Render(kind Kind, language string, d Data) []byte {
	words := texts[Language(language)]
	text := words.pages[kind]
	if kind == Confirm && d.Type == "objection" {
		text = words.objection
	}
	p := sheet{words: words, language: Language(language)}
	p.begin(text, d)
	p.said(d)
	p.switches(d)
	p.button(text, d)
	p.end(text, d)
	return []byte(p.String())
}
