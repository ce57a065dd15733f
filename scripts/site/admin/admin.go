// Package admin makes sites, keys and token keys from the command line, locally
// and in a deployed account: with AWS rights, where the doors of administrators
// want a key.
package admin

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/site"
)

// Script is who acts in the log: AWS knows who has run it.
var Script = office.Actor{Who: "a script", Role: "aws"}

// NewDesk is the desk over the tables of a stack: AUDIT_TABLE, KEYS_TABLE and
// SITES_TABLE.
func NewDesk(cfg aws.Config, getenv func(string) string, now func() time.Time) (*office.Desk, error) {
	for _, name := range []string{"AUDIT_TABLE", "KEYS_TABLE", "SITES_TABLE"} {
		if getenv(name) == "" {
			return nil, errs.New(errs.Invalid, "%s is not set: the stack must be updated first", name)
		}
	}
	store := dynamo.NewOffice(cfg, getenv("AUDIT_TABLE"), getenv("KEYS_TABLE"), getenv("SITES_TABLE"))
	return &office.Desk{Store: store, Now: now, NewID: func(time.Time) string { return uuid.Must(uuid.NewV7()).String() }}, nil
}

// Admin works on the tables of one stack.
type Admin struct {
	desk    *office.Desk
	sites   *dynamo.Sites
	secrets *secret.Store
	prefix  string
	now     func() time.Time
}

// New reads TOKEN_SECRET_PREFIX and what NewDesk reads.
func New(cfg aws.Config, getenv func(string) string, now func() time.Time) (*Admin, error) {
	desk, err := NewDesk(cfg, getenv, now)
	if err != nil {
		return nil, err
	}
	if getenv("TOKEN_SECRET_PREFIX") == "" {
		return nil, errs.New(errs.Invalid, "TOKEN_SECRET_PREFIX is not set")
	}
	return &Admin{desk, dynamo.NewSites(cfg, getenv("SITES_TABLE")), secret.NewStore(cfg), getenv("TOKEN_SECRET_PREFIX"), now}, nil
}

// CreateSite makes a site; an empty id has one made.
func (a *Admin) CreateSite(ctx context.Context, id, name string, shards int, settings site.Settings, register []site.Purpose) (*site.Site, error) {
	s, _, err := a.desk.MakeSite(ctx, Script, office.Stack, office.SiteSpec{ID: id, Name: name, Shards: shards, Settings: settings, Register: register}, "")
	return s, err
}

// Set replaces the settings of a site.
func (a *Admin) Set(ctx context.Context, siteID string, settings site.Settings) error {
	return a.desk.SetSettings(ctx, Script, siteID, settings)
}

// Site shows a site.
func (a *Admin) Site(ctx context.Context, siteID string) (*site.Site, error) {
	return a.desk.Store.Site(ctx, siteID)
}

// CreateKey makes a key and returns its text, which is stored nowhere.
func (a *Admin) CreateKey(ctx context.Context, siteID string, class keys.Class, label string, origins []string) (string, error) {
	if class == keys.Role {
		return "", errs.New(errs.Invalid, "a key is public or private; role keys have a command of their own")
	}
	_, text, err := a.desk.MakeKey(ctx, Script, siteID, office.KeySpec{Class: class, Label: label, Origins: origins}, "")
	return text, err
}

// CreateRoleKey makes a key of a named person and returns its text, which is
// stored nowhere.
func (a *Admin) CreateRoleKey(ctx context.Context, siteID, person string, rank keys.Rank) (string, error) {
	_, text, err := a.desk.MakeKey(ctx, Script, siteID, office.KeySpec{Class: keys.Role, Person: person, Rank: rank}, "")
	return text, err
}

// PutRoleKey stores a role key of a known text, for samples, tests and the local
// stack.
func (a *Admin) PutRoleKey(ctx context.Context, siteID, person string, rank keys.Rank, text string) error {
	return a.desk.PutKey(ctx, Script, siteID, office.KeySpec{Class: keys.Role, Person: person, Rank: rank}, text)
}

// PutKey stores a key of a known text, for samples and tests.
func (a *Admin) PutKey(ctx context.Context, siteID string, class keys.Class, text string) error {
	return a.desk.PutKey(ctx, Script, siteID, office.KeySpec{Class: class}, text)
}

// RevokeKey ends a key, given its text or its SHA-256 in hex; NotFound. Instances
// notice within keys.TTL.
func (a *Admin) RevokeKey(ctx context.Context, key string) error {
	if len(key) == keys.Length {
		key = keys.Hash(key)
	}
	found, _, err := a.desk.Store.Key(ctx, key)
	if err == nil {
		_, err = a.desk.Revoke(ctx, Script, found.Site, key)
	}
	return err
}

// Keys lists the keys of a site.
func (a *Admin) Keys(ctx context.Context, siteID string) ([]keys.Key, error) {
	return a.desk.Store.Keys(ctx, siteID)
}

// CreateTokenKey makes a secret with which the site's back end signs subject
// tokens, and returns the key's id and the secret.
func (a *Admin) CreateTokenKey(ctx context.Context, siteID string) (id, value string, err error) {
	s, err := a.sites.Site(ctx, siteID)
	if err != nil {
		return "", "", err
	}
	id = strings.ToLower(rand.Text()[:8])
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	value = base64.RawURLEncoding.EncodeToString(random)
	name := a.prefix + siteID + "/" + id
	if err := a.desk.Note(ctx, Script, siteID, office.MakeTokenKey, map[string]string{"token_key": id}); err != nil {
		return "", "", err
	}
	if err := a.secrets.Create(ctx, name, "Signs subject tokens of site "+siteID, []byte(value)); err != nil {
		return "", "", err
	}
	return id, value, a.sites.PutTokenKeys(ctx, siteID, s.TokenKeys, append(slices.Clone(s.TokenKeys), site.TokenKey{ID: id, Secret: name}))
}

// RevokeTokenKey ends a token key: what was signed with it vouches for nobody any
// more. NotFound when the site has none of this id.
func (a *Admin) RevokeTokenKey(ctx context.Context, siteID, id string) error {
	s, err := a.sites.Site(ctx, siteID)
	if err != nil {
		return err
	}
	revoked := slices.Clone(s.TokenKeys)
	at := slices.IndexFunc(revoked, func(k site.TokenKey) bool { return k.ID == id })
	if at < 0 {
		return errs.New(errs.NotFound, "the site has no token key %q: go run ./scripts/site show -site %s", id, siteID)
	}
	if revoked[at].Revoked {
		return nil
	}
	revoked[at].Revoked = true
	if err := a.desk.Note(ctx, Script, siteID, office.RevokeTokenKey, map[string]string{"token_key": id}); err != nil {
		return err
	}
	return a.sites.PutTokenKeys(ctx, siteID, s.TokenKeys, revoked)
}

// SubjectToken signs a token for a subject id, for a trial.
func (a *Admin) SubjectToken(keyID, secret, siteID, subjectID string, validity time.Duration) string {
	return site.SignToken(keyID, []byte(secret), siteID, subjectID, a.now().Add(validity))
}
