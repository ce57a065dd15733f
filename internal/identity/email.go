// Package identity normalises what identifies a person, so that the same
// person is found however an identifier was typed.
package identity

import (
	"net/mail"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// maxEmail is the longest address SMTP can carry (RFC 5321 §4.5.3.1.3, less
// the angle brackets).
const maxEmail = 254

// NormalizeEmail returns the form of an e-mail address under which a person is
// known: trimmed, Unicode NFC, lower-cased, the domain in IDNA ASCII. Dots and
// plus signs of the local part are kept: only the mail host knows whether they
// matter. ok is false for an address that cannot be one; such an address may be
// stored as it was typed but never identifies anybody.
func NormalizeEmail(address string) (normal string, ok bool) {
	if !utf8.ValidString(address) {
		return "", false
	}
	folded := norm.NFC.String(strings.ToLower(norm.NFC.String(strings.TrimSpace(address))))
	at := strings.LastIndexByte(folded, '@')
	if at < 1 || at == len(folded)-1 || strings.ContainsAny(folded, " \t\r\n<>,;:\"()[]\\") {
		return "", false
	}
	domain, err := idna.Lookup.ToASCII(folded[at+1:])
	if err != nil || domain == "" {
		return "", false
	}
	normal = folded[:at] + "@" + strings.ToLower(domain)
	if len(normal) > maxEmail {
		return "", false
	}
	if parsed, err := mail.ParseAddress(normal); err != nil || parsed.Address != normal {
		return "", false
	}
	return normal, true
}

// Mailbox is a normal e-mail without the tag behind a plus sign: who may have
// letters sent to it has no more of them by inventing tags. It counts letters and
// identifies nobody.
func Mailbox(normal string) string {
	local, domain, _ := strings.Cut(normal, "@")
	if name, _, tagged := strings.Cut(local, "+"); tagged && name != "" {
		local = name
	}
	return local + "@" + domain
}
