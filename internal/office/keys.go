package office

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
)

// Bounds of a key's texts, in bytes. A person's name stands in each entry of the
// log of a request.
const (
	maxLabel   = 128
	maxPerson  = 128
	maxOrigins = 20
)

// KeySpec is a key to make.
type KeySpec struct {
	Class   keys.Class `json:"class"`
	Label   string     `json:"label"`   // what a public or private key is for
	Origins []string   `json:"origins"` // of a public key: the only ones that may use it
	Person  string     `json:"person"`  // of a role key
	Rank    keys.Rank  `json:"role"`    // of a role key
}

func (s KeySpec) check() error {
	role := s.Class == keys.Role
	switch {
	case !slices.Contains([]keys.Class{keys.Public, keys.Private, keys.Role}, s.Class):
		return errs.New(errs.Invalid, "the class of a key is public, private or role")
	case role && (s.Person == "" || len(s.Person) > maxPerson || strings.ContainsFunc(s.Person, unicode.IsControl)):
		return errs.New(errs.Invalid, "a role key belongs to a named person: up to %d bytes without control characters", maxPerson)
	case role && !s.Rank.Valid():
		return errs.New(errs.Invalid, "a role is one of %v", keys.Ranks)
	case role && s.Label != "":
		return errs.New(errs.Invalid, "a role key has a person in place of a label")
	case !role && (s.Person != "" || s.Rank != ""):
		return errs.New(errs.Invalid, "only a role key has a person and a role")
	case len(s.Label) > maxLabel || strings.ContainsFunc(s.Label, unicode.IsControl):
		return errs.New(errs.Invalid, "a label has up to %d bytes without control characters", maxLabel)
	case s.Class != keys.Public && len(s.Origins) > 0:
		return errs.New(errs.Invalid, "only a public key has allowed origins")
	case len(s.Origins) > maxOrigins:
		return errs.New(errs.Invalid, "a key has at most %d origins", maxOrigins)
	}
	for _, o := range s.Origins {
		if u, err := url.Parse(o); err != nil || u.Host == "" || o != u.Scheme+"://"+u.Host || u.Scheme != "https" && u.Scheme != "http" {
			return errs.New(errs.Invalid, "an origin is what a browser sends, such as https://shop.example.com, without a path")
		}
	}
	return nil
}

func (s KeySpec) key(siteID, text string, at time.Time) keys.Key {
	return keys.Key{
		Hash: keys.Hash(text), Site: siteID, Class: s.Class, Label: s.Label, Person: s.Person, Rank: s.Rank, Origins: s.Origins, Created: at,
	}
}

// MakeKey makes a key of a site and returns its text, which is stored nowhere. An
// idempotency key that was used before is a Conflict that names the key it has
// made: its text is shown once, so there is nothing to repeat.
func (d *Desk) MakeKey(ctx context.Context, by Actor, siteID string, spec KeySpec, once string) (made keys.Key, text string, err error) {
	return d.makeKey(ctx, by, siteID, spec, keys.New(), once)
}

// PutKey makes a key of a known text, for samples, tests and the local stack.
func (d *Desk) PutKey(ctx context.Context, by Actor, siteID string, spec KeySpec, text string) error {
	_, _, err := d.makeKey(ctx, by, siteID, spec, text, "")
	return err
}

func (d *Desk) makeKey(ctx context.Context, by Actor, siteID string, spec KeySpec, text, once string) (keys.Key, string, error) {
	spec.Person = strings.TrimSpace(spec.Person)
	if err := spec.check(); err != nil {
		return keys.Key{}, "", err
	}
	if _, err := d.Store.Site(ctx, siteID); err != nil {
		return keys.Key{}, "", err
	}
	remember, err := d.once(ctx, siteID, once, spec)
	if err != nil {
		return keys.Key{}, "", err
	}
	e := d.entry(by, siteID, MakeKey, map[string]string{"class": string(spec.Class)})
	key := spec.key(siteID, text, e.At)
	e.Detail["key"] = key.Hash
	if spec.Class == keys.Role {
		e.Detail["person"], e.Detail["role"] = spec.Person, string(spec.Rank)
	}
	if remember != nil {
		remember.Made = key.Hash
	}
	if err := d.do(ctx, by, Change{Entry: e, Once: remember, Key: &key}, "this key exists already"); err != nil {
		return keys.Key{}, "", err
	}
	return key, text, nil
}

var errNoSuchKey = errs.New(errs.NotFound, "there is no such key")

// Revoke ends a key of a site, given its hash; NotFound when the site has none.
// Twice is once. The last admin key of a site is a Conflict, but for whoever has
// AWS rights, who can make another one.
func (d *Desk) Revoke(ctx context.Context, by Actor, siteID, hash string) (keys.Key, error) {
	key, ok, err := d.Store.Key(ctx, hash)
	switch {
	case err != nil:
		return key, err
	case !ok || key.Site != siteID:
		return key, errNoSuchKey
	case key.Revoked:
		return key, nil
	}
	c := Change{Entry: d.entry(by, siteID, RevokeKey, map[string]string{"key": hash, "class": string(key.Class)}), Revoke: hash}
	if by.Key == hash { // who revokes others stays
		if c.Live, err = d.another(ctx, siteID, hash); err != nil {
			return key, err
		}
	}
	if err := d.do(ctx, by, c, "somebody else has just revoked one of these keys: read the list again"); err != nil {
		return key, err
	}
	key.Revoked = true
	return key, nil
}

// another is an admin key of a site beside the given one.
func (d *Desk) another(ctx context.Context, siteID, hash string) (string, error) {
	list, err := d.Store.Keys(ctx, siteID)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(list, func(k keys.Key) bool {
		return k.Hash != hash && k.Class == keys.Role && k.Rank == keys.Admin && !k.Revoked
	})
	if i < 0 {
		return "", errs.New(errs.Conflict, "the last admin key of a site cannot be revoked: make another one first")
	}
	return list[i].Hash, nil
}

// once is the row that remembers an idempotency key; nil without one. One that
// was used before is a Conflict.
func (d *Desk) once(ctx context.Context, siteID, key string, spec any) (*Once, error) {
	if key == "" {
		return nil, nil
	}
	if id, err := uuid.Parse(key); err != nil || id.Version() != 7 || id.String() != key {
		return nil, errs.New(errs.Invalid, "an idempotency key is a UUID of version 7, in small letters")
	}
	text, err := json.Marshal(spec)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "digesting what is asked for")
	}
	sum := sha256.Sum256(text)
	o := &Once{Key: key, Stated: hex.EncodeToString(sum[:])}
	return o, d.used(ctx, siteID, o)
}

// used says what an idempotency key has made before; nil: nothing.
func (d *Desk) used(ctx context.Context, siteID string, o *Once) error {
	before, err := d.Store.Once(ctx, siteID, o.Key)
	switch {
	case err != nil || before == nil:
		return err
	case before.Stated != o.Stated:
		return errs.New(errs.Conflict, "another request was made with this idempotency key")
	}
	return errs.New(errs.Conflict, "this was made already, and its key is shown once: %s; if you do not have the key, revoke it, and ask again under a new idempotency key", before.Made)
}

// do carries a change out. When it meets something, it says what.
func (d *Desk) do(ctx context.Context, by Actor, c Change, otherwise string) error {
	c.By = by.Key
	err := d.Store.Do(ctx, c)
	if !errs.Is(err, errs.Conflict) {
		return err
	}
	if c.By != "" {
		if own, ok, err := d.Store.Key(ctx, c.By); err != nil || !ok || own.Revoked {
			if err != nil {
				return err
			}
			return errs.New(errs.Forbidden, "Invalid authentication credentials")
		}
	}
	if c.Once != nil {
		if err := d.used(ctx, c.Entry.Site, c.Once); err != nil {
			return err
		}
	}
	return errs.New(errs.Conflict, "%s", otherwise)
}
