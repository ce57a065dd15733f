package request

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"
)

// What a mailed link is for.
const (
	IdentityLink = "identity"
	PackageLink  = "package"
)

// NewToken is a secret of 256 bits for a link: it cannot be guessed, and only its
// hash is kept.
func NewToken() string {
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// LinkHash is under what a token is stored.
func LinkHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Links makes the links that letters carry.
type Links struct {
	Store      Store
	Policy     Policy
	Controller Controller
	Now        func() time.Time
	Token      func() string // NewToken, or a test's
}

// Make stores a fresh link and returns its address. Links that were made before
// keep working until they expire: they went to the same person.
func (l Links) Make(ctx context.Context, r *Request, purpose string) (url string, expires time.Time, err error) {
	now := l.Now().UTC()
	token := l.Token()
	expires = now.Add(l.Policy.ForPerson(l.Policy.Link))
	err = l.Store.PutLink(ctx, Link{
		Hash: LinkHash(token), Request: r.ID, Site: r.Site, Purpose: purpose, Made: now, Expires: expires,
	})
	return strings.TrimSuffix(l.Controller.BaseURL, "/") + "/public/confirm/" + token, expires, err
}
