// Package office makes sites and keys, for the doors of administrators and for
// the scripts of whoever has AWS rights alike. Each act is one transaction with
// its entry in the log of the office, and with the check that the key of who acts
// still holds: what cannot be written down does not happen.
package office

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/site"
)

// Action is what an administrator has done.
type Action string

// The actions.
const (
	MakeSite       Action = "make_site"
	SetSettings    Action = "set_settings"
	MakeKey        Action = "make_key"
	RevokeKey      Action = "revoke_key"
	MakeTokenKey   Action = "make_token_key"
	RevokeTokenKey Action = "revoke_token_key"
	PutSystems     Action = "put_systems"
)

// Stack is the log of what all sites share: systems.json. It is no site's id.
const Stack = "*"

// Actor is who acts.
type Actor struct {
	Who  string
	Role string
	Key  string // hash of the admin key; "" for a script, which has AWS rights
}

// Entry is one line of the log, which only grows. It is about keys, sites and
// systems, never about a person whose data is held.
type Entry struct {
	ID     string // UUIDv7
	Site   string // in whose log it stands, or Stack
	At     time.Time
	Who    string
	Role   string
	Act    Action
	Detail map[string]string
}

// Once remembers what an idempotency key was used for.
type Once struct {
	Key    string // as the client chose it
	Stated string // digest of what was asked for
	Made   string // id of the key or site that came of it
}

// Change is what one transaction writes, beside its entry. All keys that it
// names by hash are of the entry's site, but for By in the log of the stack.
type Change struct {
	Entry    Entry
	By       string         // this admin key must hold; "" asks for none
	Once     *Once          // and this idempotency key must be new
	Site     *site.Site     // a new site
	Key      *keys.Key      // a new key
	Settings *site.Settings // of the entry's site, in place of what it has
	Revoke   string         // a key that ends
	Live     string         // another admin key that must hold: somebody stays who can make keys
}

// Store keeps what the office does.
type Store interface {
	// Do carries a change out as a whole, or not at all: a Conflict when something
	// that it takes for new exists, or what it takes for live does not.
	Do(ctx context.Context, c Change) error
	Key(ctx context.Context, hash string) (keys.Key, bool, error)
	// Keys lists the keys of a site from an index, which may lag.
	Keys(ctx context.Context, site string) ([]keys.Key, error)
	Site(ctx context.Context, id string) (*site.Site, error)   // NotFound
	Once(ctx context.Context, site, key string) (*Once, error) // nil: it is new
	// Log lists the entries of a site before one, "" for the newest; newest first.
	Log(ctx context.Context, site, before string, limit int) ([]Entry, error)
}

// Desk is where an administrator acts.
type Desk struct {
	Store Store
	Now   func() time.Time
	NewID func(time.Time) string // a fresh UUIDv7
}

func (d *Desk) entry(by Actor, site string, act Action, detail map[string]string) Entry {
	now := d.Now().UTC().Truncate(time.Millisecond)
	return Entry{ID: d.NewID(now), Site: site, At: now, Who: by.Who, Role: by.Role, Act: act, Detail: detail}
}

// Note writes down what is about to be done elsewhere. Without an error it may be
// done.
func (d *Desk) Note(ctx context.Context, by Actor, site string, act Action, detail map[string]string) error {
	return d.do(ctx, by, Change{Entry: d.entry(by, site, act, detail)}, "the entry exists already: try again")
}

// Systems is what the log says of a systems.json that is about to take the place
// of a version.
func Systems(text []byte, version string) map[string]string {
	sum := sha256.Sum256(text)
	return map[string]string{"before": version, "sha256": hex.EncodeToString(sum[:])}
}
