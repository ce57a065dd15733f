// Package keys authenticates callers by API key. A key is random; the table
// holds its SHA-256 only, so that a read of the table gives nobody access.
package keys

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/cache"
	"github.com/avow-consent/avow/internal/errs"
)

// Class is what a key may do.
type Class string

// The classes.
const (
	Public  Class = "public"  // may post consents, nothing else
	Private Class = "private" // the consent API
	Role    Class = "role"    // a named person who works on requests, up to the key's Rank
)

// Rank is what the person of a role key may do; each one may what the ranks
// before it may.
type Rank string

// The ranks, from the least.
const (
	Viewer   Rank = "viewer"   // reads
	Operator Rank = "operator" // opens requests, works on tasks
	Officer  Rank = "officer"  // approves, refuses, extends, holds, releases, waives
	Admin    Rank = "admin"    // also keys, sites, systems, for which there are commands and no door yet
)

// Ranks are all ranks, from the least.
var Ranks = []Rank{Viewer, Operator, Officer, Admin}

// Valid reports whether a text is a rank.
func (r Rank) Valid() bool { return slices.Contains(Ranks, r) }

// AtLeast reports whether r may what least may. What is no rank may nothing.
func (r Rank) AtLeast(least Rank) bool {
	return least.Valid() && slices.Index(Ranks, r) >= slices.Index(Ranks, least)
}

// Length is the number of characters of a key that New makes.
const Length = 32

// TTL is how long a known or an unknown key is remembered by one instance: a
// revocation takes effect everywhere within this time.
const TTL = 10 * time.Second

// maxText bounds what is hashed and looked up.
const maxText = 256

// Key is one row of the Keys table.
type Key struct {
	Hash    string // SHA-256 of the key, hex
	Site    string
	Class   Class
	Label   string
	Person  string   // of a role key: whose it is, as the log of a request names them
	Rank    Rank     // of a role key
	Origins []string // when not empty, the only origins that may use the key
	Created time.Time
	Revoked bool
}

// Hash returns under what a key is stored.
func Hash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// New returns a random key of 32 letters and digits (190 bits).
func New() string {
	key := make([]byte, 0, Length)
	var random [2 * Length]byte
	for len(key) < Length {
		_, _ = rand.Read(random[:]) // never fails (crypto/rand)
		for _, b := range random {
			// Bytes past the largest multiple of the alphabet would favour its start.
			if int(b) < 256-256%len(alphabet) && len(key) < Length {
				key = append(key, alphabet[int(b)%len(alphabet)])
			}
		}
	}
	return string(key)
}

// Store looks keys up. A key that does not exist is (Key{}, false, nil).
type Store interface {
	Key(ctx context.Context, hash string) (Key, bool, error)
}

// Ring authenticates keys, remembering known and unknown ones for TTL.
type Ring struct {
	store Store
	cache *cache.Cache[string, *Key]
}

// NewRing returns a Ring over a store.
func NewRing(store Store, now func() time.Time) *Ring {
	return &Ring{store: store, cache: cache.New[string, *Key](1024, TTL, now)}
}

// The bodies that clients of the reference API expect.
var (
	errNoKey  = errs.New(errs.Unauthenticated, "No API key found in request")
	errBadKey = errs.New(errs.Forbidden, "Invalid authentication credentials")
)

// Authenticate returns the key behind a text if it is of one of the classes.
func (r *Ring) Authenticate(ctx context.Context, text string, classes ...Class) (*Key, error) {
	if text == "" {
		return nil, errNoKey
	}
	if len(text) > maxText {
		return nil, errBadKey
	}
	hash := Hash(text)
	key, ok := r.cache.Get(hash)
	if !ok {
		found, exists, err := r.store.Key(ctx, hash)
		if err != nil {
			return nil, err
		}
		if exists {
			key = &found
		}
		r.cache.Put(hash, key)
	}
	if key == nil || key.Revoked || !slices.Contains(classes, key.Class) {
		return nil, errBadKey
	}
	return key, nil
}

// AllowOrigin checks the Origin header of a browser against the key's list.
func (k *Key) AllowOrigin(origin string) error {
	if len(k.Origins) == 0 || slices.Contains(k.Origins, origin) && origin != "" {
		return nil
	}
	return errs.New(errs.Forbidden, "this key may not be used from this origin")
}
