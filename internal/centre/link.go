// Package centre is the way to the preference centre by mail: the link, what it
// proves, and the job that sends it. Whoever asks for a link is told nothing: the
// door only notes that one is owed, and the job finds out whether the ledger knows
// the address.
package centre

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/pseudonym"
)

const (
	// Valid is how long a link may be opened, Visit how long a person may stay.
	Valid = 24 * time.Hour
	Visit = 30 * time.Minute

	// step: who asks twice within it is sent one letter.
	step = time.Minute
)

// Link leads one person to their preferences. What it is about follows from its
// token: nothing of it is stored.
type Link struct {
	Language string // one of letter.Languages, of letter and page
	Site     string
	Subject  string // partition of the address's own subject
	ID       string // UUIDv7 of the minute in which it was asked for
}

// Expires is when a link can no longer be opened.
func (l Link) Expires() time.Time { return consent.IDTime(l.ID).Add(Valid) }

// Ask is the link that is owed for an address at an instant; ok is false for an
// address that identifies nobody.
func Ask(h *pseudonym.Hasher, site, email, language string, now time.Time) (l Link, ok bool) {
	normal, ok := identity.NormalizeEmail(email)
	if !ok {
		return Link{}, false
	}
	return Link{Language: letter.Language(language), Site: site, Subject: h.Subject(site, h.EmailSubject(site, normal))}.Again(h, now), true
}

// Again is another link to the same.
func (l Link) Again(h *pseudonym.Hasher, now time.Time) Link {
	l.ID = h.ID(now.UTC().Truncate(step), "preferences", l.Site, l.Subject)
	return l
}

// Entry is the entry of the outbox that a link is owed by. It holds no personal
// data, and is the same one for all who ask within a minute.
func (l Link) Entry(now time.Time) outbox.Entry {
	return outbox.Entry{Ref: outbox.Ref{Subject: l.Subject, Kind: outbox.Preferences, ID: l.Language + "." + l.ID}, Site: l.Site, Since: now, Next: now}
}

// linkOf is the link that an entry is about.
func linkOf(e outbox.Entry) (l Link, ok bool) {
	language, id, ok := strings.Cut(e.ID, ".")
	return Link{Language: language, Site: e.Site, Subject: e.Subject, ID: id}, ok && !consent.IDTime(id).IsZero()
}

// Token is what stands in the address of a link: language, site, and in base64
// the partition, the id, and a MAC over all but the language.
func (l Link) Token(h *pseudonym.Hasher) string {
	subject, _ := base64.RawURLEncoding.DecodeString(l.Subject)
	id, _ := uuid.Parse(l.ID)
	text := append(append(subject, id[:]...), h.PreferencesLink(l.Site, l.Subject, l.ID)...)
	return l.Language + "." + l.Site + "." + base64.RawURLEncoding.EncodeToString(text)
}

// maxToken is longer than any token.
const maxToken = 256

// Parse reads a token, however old. ok is false for one that nobody was mailed.
func Parse(h *pseudonym.Hasher, token string) (l Link, ok bool) {
	const size = 16 // bytes of each of the three parts
	if len(token) > maxToken {
		return Link{}, false
	}
	language, rest, _ := strings.Cut(token, ".")
	end := strings.LastIndexByte(rest, '.')
	if end < 0 {
		return Link{}, false
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(rest[end+1:])
	if err != nil || len(text) != 3*size || len(rest[end+1:]) != base64.RawURLEncoding.EncodedLen(3*size) { // line ends are skipped
		return Link{}, false
	}
	l = Link{
		Language: language, Site: rest[:end],
		Subject: base64.RawURLEncoding.EncodeToString(text[:size]), ID: uuid.UUID(text[size : 2*size]).String(),
	}
	ok = letter.Language(language) == language && !consent.IDTime(l.ID).IsZero() &&
		subtle.ConstantTimeCompare(text[2*size:], h.PreferencesLink(l.Site, l.Subject, l.ID)) == 1
	return l, ok
}

// Person reads whom a link leads to: everything that belongs to them, and their
// address as the ledger has it, "" where it knows none (any more).
func Person(ctx context.Context, people *consent.People, l Link) (consent.Union, string, error) {
	u, err := people.ByPartition(ctx, l.Site, l.Subject, time.Time{})
	if err != nil {
		return u, "", err
	}
	is := func(email string) bool {
		partition, ok := people.EmailPartition(l.Site, email)
		return ok && partition == l.Subject
	}
	for email := range u.Emails {
		if is(email) {
			return u, email, nil
		}
	}
	for i := range u.Events {
		e := &u.Events[i]
		if text := e.Profile.Email; e.ErasedAt == nil && text != nil && is(text.Value.Reveal()) {
			return u, text.Value.Reveal(), nil
		}
	}
	return u, "", nil
}
