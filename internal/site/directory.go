package site

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/cache"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
)

// TTL is how long an instance remembers a site: a change of settings takes
// effect everywhere within this time.
const TTL = 10 * time.Second

// Store reads sites.
type Store interface {
	Site(ctx context.Context, id string) (*Site, error)
}

// Secrets reads secret values by name; one that does not exist is NotFound.
type Secrets interface {
	Value(ctx context.Context, name string) ([]byte, error)
}

// Directory knows the sites, remembering each for TTL.
type Directory struct {
	store   Store
	secrets Secrets
	sites   *cache.Cache[string, *Site]
	tokens  *cache.Cache[string, []byte]
}

// NewDirectory returns a Directory.
func NewDirectory(store Store, secrets Secrets, now func() time.Time) *Directory {
	return &Directory{
		store: store, secrets: secrets,
		sites:  cache.New[string, *Site](1024, TTL, now),
		tokens: cache.New[string, []byte](1024, TTL, now),
	}
}

// Site returns a site as it was at most TTL ago. It is shared: do not change it.
func (d *Directory) Site(ctx context.Context, id string) (*Site, error) {
	if s, ok := d.sites.Get(id); ok {
		return s, nil
	}
	return d.Refresh(ctx, id)
}

// Refresh reads a site from the table, past what is remembered.
func (d *Directory) Refresh(ctx context.Context, id string) (*Site, error) {
	s, err := d.store.Site(ctx, id)
	if err == nil {
		d.sites.Put(id, s)
	}
	return s, err
}

// Policy is what a site sets about the writing of events.
func (d *Directory) Policy(s *Site) consent.Policy {
	return consent.Policy{
		Site: s.ID, Shards: s.Shards, Backdate: s.Backdate(), Objection: s.SaleOrSharing(), OptIn: s.OptIn(),
		VerifyToken: func(ctx context.Context, token, subjectID string, now time.Time) (consent.TokenState, error) {
			return d.verify(ctx, s, token, subjectID, now)
		},
	}
}

// verify judges a subject token. A token that does not hold is no reason to
// refuse the consent: it is stored as one that nothing vouches for.
func (d *Directory) verify(ctx context.Context, s *Site, text, subjectID string, now time.Time) (consent.TokenState, error) {
	token, ok := ParseToken(text)
	if !ok {
		return consent.TokenInvalid, nil
	}
	for _, key := range s.TokenKeys {
		if key.ID != token.KeyID || key.Revoked {
			continue
		}
		secret, ok := d.tokens.Get(key.Secret)
		if !ok {
			var err error
			if secret, err = d.secrets.Value(ctx, key.Secret); err != nil {
				if errs.Is(err, errs.NotFound) {
					return consent.TokenInvalid, nil
				}
				return "", err
			}
			d.tokens.Put(key.Secret, secret)
		}
		return token.Verify(secret, s.ID, subjectID, now), nil
	}
	return consent.TokenInvalid, nil
}
