// Package pseudonym makes the keyed hashes that stand for subjects, e-mails and
// consents wherever personal data must not stand. Whoever does not hold the
// secret can neither compute nor test one.
package pseudonym

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/identity"
)

// MinSecret is the least number of bytes that a secret must have.
const MinSecret = 32

// Hasher computes keyed hashes under one secret. It is safe for concurrent use.
type Hasher struct {
	keyID string
	macs  sync.Pool // of *mac
}

// mac is an HMAC with the buffer for its input.
type mac struct {
	hash.Hash
	input []byte
}

// New returns a Hasher. The secret comes from Secrets Manager; it is never
// rotated without re-keying the tables.
func New(secret []byte) (*Hasher, error) {
	if len(secret) < MinSecret {
		return nil, errors.New("pseudonym: the secret is shorter than 32 bytes")
	}
	key := append([]byte(nil), secret...)
	h := &Hasher{macs: sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} }}}
	id := h.sum("key-id")
	h.keyID = base64.RawURLEncoding.EncodeToString(id[:6])
	return h, nil
}

// KeyID names the secret (8 characters) without telling anything about it. It
// is stored beside hashes so that a later re-keying can tell old from new.
func (h *Hasher) KeyID() string { return h.keyID }

// Subject returns the partition of a subject: 22 characters of URL-safe base64
// that stand for (site, subject id).
func (h *Hasher) Subject(site, subjectID string) string {
	sum := h.sum("subject", site, subjectID)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// EmailSubject returns the subject id (a UUID) of a person of whom only the
// e-mail is known. normalEmail comes from identity.NormalizeEmail.
func (h *Hasher) EmailSubject(site, normalEmail string) string {
	return uuidFrom(h.sum("email-subject", site, normalEmail)).String()
}

// PhoneSubject returns the subject id (a UUID) of a person of whom only a
// telephone number is known, in E.164 (identity.NormalizePhone).
func (h *Hasher) PhoneSubject(site, e164 string) string {
	return uuidFrom(h.sum("phone-subject", site, e164)).String()
}

// ChatSubject returns the subject id (a UUID) of a person of whom only the id at
// a chat platform is known.
func (h *Hasher) ChatSubject(site, userID string) string {
	return uuidFrom(h.sum("chat-subject", site, userID)).String()
}

// KeySubject returns the subject id (a UUID) of a person of whom nothing is
// known but the idempotency key of a post.
func (h *Hasher) KeySubject(site, idempotencyKey string) string {
	return uuidFrom(h.sum("key-subject", site, idempotencyKey)).String()
}

// Email returns the index key of an e-mail exactly as it is displayed.
func (h *Hasher) Email(site, shown string) string {
	sum := h.sum("email", site, shown)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Identifier returns the key of an identifier of a person: 22 characters that
// stand for (site, kind, normal value). Evidence and tombstones use it in place
// of the identifier.
func (h *Hasher) Identifier(site, kind, normal string) string {
	sum := h.sum("identifier", site, kind, normal)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Mailbox returns the key under which mail to an address is stopped, the same for
// all sites: an address that does not exist does so nowhere.
func (h *Hasher) Mailbox(address string) string {
	normal, ok := identity.NormalizeEmail(address)
	if !ok {
		normal = strings.ToLower(strings.TrimSpace(address))
	}
	sum := h.sum("mailbox", normal)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Key returns the row key of an idempotency key of the given kind of write.
func (h *Hasher) Key(kind, site, idempotencyKey string) string {
	sum := h.sum("key", kind, site, idempotencyKey)
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Confirm returns 16 bytes that prove that whoever shows them was given the link
// or button that confirms a consent.
func (h *Hasher) Confirm(subject, consentID string) []byte {
	sum := h.sum("confirm", subject, consentID)
	return sum[:16]
}

// PreferencesLink returns 16 bytes that prove that whoever shows them was mailed
// the link to the preferences of a subject.
func (h *Hasher) PreferencesLink(site, subject, id string) []byte {
	sum := h.sum("preferences-link", site, subject, id)
	return sum[:16]
}

// ID returns a UUIDv7 (RFC 9562 §5.7) whose time is t, in milliseconds, and
// whose random part is a keyed hash of parts: the same parts give the same id,
// and nobody without the secret can aim at the id of another.
func (h *Hasher) ID(t time.Time, parts ...string) string {
	sum := h.sum("id", parts...)
	var id uuid.UUID
	copy(id[:], sum[:16])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(id[:6], ms[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// sum is HMAC-SHA256 over the purpose and the parts, each preceded by its
// length so that no two lists of parts give the same input.
func (h *Hasher) sum(purpose string, parts ...string) [sha256.Size]byte {
	m := h.macs.Get().(*mac)
	defer h.macs.Put(m)
	m.input = appendPart(m.input[:0], purpose)
	for _, p := range parts {
		m.input = appendPart(m.input, p)
	}
	m.Reset()
	m.Write(m.input)
	return [sha256.Size]byte(m.Sum(m.input[:0]))
}

func appendPart(input []byte, part string) []byte {
	return append(binary.BigEndian.AppendUint64(input, uint64(len(part))), part...)
}

// Derived reports whether a subject id has the form of those that a Hasher makes.
// Which address it stands for is not told, and need not be known: it is nobody's
// number but Avow's.
func Derived(subjectID string) bool {
	const made = 8
	id, err := uuid.Parse(subjectID)
	return err == nil && id.Version() == made && id.Variant() == uuid.RFC4122 && id.String() == subjectID
}

// uuidFrom shapes a hash as a UUIDv8 (RFC 9562 §5.8, vendor-specific content).
func uuidFrom(sum [sha256.Size]byte) uuid.UUID {
	var id uuid.UUID
	copy(id[:], sum[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
