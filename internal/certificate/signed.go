package certificate

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/avow-consent/avow/internal/canon"
	"github.com/avow-consent/avow/internal/errs"
)

// Signer signs with a key that it does not give away.
type Signer interface {
	// Sign returns the Ed25519 signature of a message of up to 4096 bytes.
	Sign(ctx context.Context, message []byte) (signature []byte, err error)
	// PublicKey is the key to check it with, and its name.
	PublicKey(ctx context.Context) (id string, key ed25519.PublicKey, err error)
}

// Statement is what is signed: short enough for every signer, and good for this
// one purpose.
type Statement struct {
	Domain  string `json:"domain"` // Format
	Key     string `json:"key"`    // name of the key
	Request string `json:"request"`
	Serial  int    `json:"serial"`
	SHA256  string `json:"sha256"` // of the canonical certificate, hex
}

// Signed is a certificate as it is stored and given away: canonical JSON (RFC
// 8785), byte for byte, with at most a line end behind it.
type Signed struct {
	Certificate json.RawMessage `json:"certificate"`
	Statement   Statement       `json:"statement"`
	Signature   []byte          `json:"signature"` // over the canonical statement; base64
}

// Sign signs a certificate and returns the text of a Signed, after having
// checked it with the public key.
func Sign(ctx context.Context, s Signer, c *Certificate) ([]byte, error) {
	text, err := canon.JSON(c)
	if err != nil {
		return nil, err
	}
	id, key, err := s.PublicKey(ctx)
	if err != nil {
		return nil, err
	}
	signed := Signed{Certificate: text, Statement: Statement{Domain: Format, Key: id, Request: c.Request.ID, Serial: c.Serial, SHA256: digest(text)}}
	message, err := canon.JSON(signed.Statement)
	if err != nil {
		return nil, err
	}
	if signed.Signature, err = s.Sign(ctx, message); err != nil {
		return nil, err
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, message, signed.Signature) {
		return nil, errs.New(errs.Internal, "the signer's own public key does not verify its signature")
	}
	return canon.JSON(signed)
}

func digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// maxText bounds what Parse reads.
const maxText = 16 << 20

// Parse reads a certificate and checks everything but the signature: form,
// digest, and that certificate and statement are about the same. Invalid says in
// one sentence what is wrong.
func Parse(text []byte) (*Certificate, *Signed, error) {
	if len(text) > maxText {
		return nil, nil, errs.New(errs.Invalid, "the file is larger than any certificate")
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
	}
	var s Signed
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, nil, errs.New(errs.Invalid, "the file is not a certificate: it is not JSON of its form")
	}
	if len(s.Certificate) == 0 || s.Statement.Domain == "" {
		return nil, nil, errs.New(errs.Invalid, "the file is not a certificate: certificate or statement is missing")
	}
	if !canon.Is(text) {
		return nil, nil, errs.New(errs.Invalid, "the file is not in canonical form (RFC 8785): it was changed, or an editor has laid it out anew")
	}
	if again, err := canon.JSON(s); err != nil || string(again) != string(text) {
		return nil, nil, errs.New(errs.Invalid, "the file holds something that no certificate holds")
	}
	var c Certificate
	if err := json.Unmarshal(s.Certificate, &c); err != nil {
		return nil, nil, errs.New(errs.Invalid, "the file is not a certificate: what is certified is of another form")
	}
	switch {
	case s.Statement.Domain != Format || c.Format != Format:
		return nil, nil, errs.New(errs.Invalid, "the file is not a certificate of the form %s", Format)
	case s.Statement.SHA256 != digest(s.Certificate):
		return nil, nil, errs.New(errs.Invalid, "the certificate is not the one that was signed: its SHA-256 is another one than the statement's")
	case s.Statement.Request != c.Request.ID || s.Statement.Serial != c.Serial:
		return nil, nil, errs.New(errs.Invalid, "certificate and statement are about different requests")
	}
	return &c, &s, nil
}

// Verify is Parse, and checks the signature with the key that the statement
// names.
func Verify(text []byte, keys []Key) (*Certificate, *Signed, error) {
	c, s, err := Parse(text)
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(keys, func(k Key) bool { return k.ID == s.Statement.Key })
	if i < 0 {
		return nil, nil, errs.New(errs.Invalid, "it is signed with the key %q, which is none of the %d given", s.Statement.Key, len(keys))
	}
	message, err := canon.JSON(s.Statement)
	if err != nil {
		return nil, nil, err
	}
	if !ed25519.Verify(keys[i].Key, message, s.Signature) {
		return nil, nil, errs.New(errs.Invalid, "the signature is not one of the key %q", s.Statement.Key)
	}
	return c, s, nil
}

// Key is a public key that certificates are checked with.
type Key struct {
	ID  string
	Key ed25519.PublicKey
}

// ParseKeys reads the answer of GET /keys. Keys of other algorithms are passed
// over.
func ParseKeys(text []byte) ([]Key, error) {
	var set struct {
		Keys []struct {
			ID        string `json:"id"`
			Algorithm string `json:"algorithm"`
			PublicKey []byte `json:"public_key"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, errs.New(errs.Invalid, "the file of keys is not what GET /keys answers")
	}
	var keys []Key
	for _, k := range set.Keys {
		if k.Algorithm != "Ed25519" {
			continue
		}
		if k.ID == "" || len(k.PublicKey) != ed25519.PublicKeySize {
			return nil, errs.New(errs.Invalid, "the file of keys holds an Ed25519 key without name or of the wrong length")
		}
		if slices.ContainsFunc(keys, func(other Key) bool { return other.ID == k.ID }) {
			return nil, errs.New(errs.Invalid, "the file of keys holds two keys of one name")
		}
		keys = append(keys, Key{ID: k.ID, Key: k.PublicKey})
	}
	if len(keys) == 0 {
		return nil, errs.New(errs.Invalid, "the file of keys holds no Ed25519 key")
	}
	return keys, nil
}
