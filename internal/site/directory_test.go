package site_test

import (
	"context"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/site"
)

// office is a table of sites and a store of secrets that counts how often it is
// asked.
type office struct {
	sites        map[string]*site.Site
	secrets      map[string]string
	asked, vault int
	fails        error
}

func (o *office) Site(_ context.Context, id string) (*site.Site, error) {
	o.asked++
	if o.fails != nil {
		return nil, o.fails
	}
	if s := o.sites[id]; s != nil {
		return s, nil
	}
	return nil, errs.New(errs.NotFound, "the site does not exist")
}

func (o *office) Value(_ context.Context, name string) ([]byte, error) {
	o.vault++
	if o.fails != nil {
		return nil, o.fails
	}
	if v, ok := o.secrets[name]; ok {
		return []byte(v), nil
	}
	return nil, errs.New(errs.NotFound, "the secret does not exist")
}

func TestDirectory_remembers(t *testing.T) {
	t.Parallel()
	now := noon
	o := &office{sites: map[string]*site.Site{"shop": {ID: "shop", Name: "one"}}}
	d := site.NewDirectory(o, o, func() time.Time { return now })
	want := func(step, name string, asked int) {
		t.Helper()
		if s, err := d.Site(t.Context(), "shop"); err != nil || s.Name != name || o.asked != asked {
			t.Errorf("%s: %v, %v, asked %d times", step, s, err, o.asked)
		}
	}
	want("first", "one", 1)
	o.sites["shop"] = &site.Site{ID: "shop", Name: "two"}
	now = now.Add(site.TTL - 1)
	want("remembered", "one", 1)
	now = now.Add(1)
	want("asked again", "two", 2)
	o.sites["shop"] = &site.Site{ID: "shop", Name: "three"}
	if s, err := d.Refresh(t.Context(), "shop"); err != nil || s.Name != "three" {
		t.Errorf("refreshed: %v, %v", s, err)
	}
	want("after the refresh", "three", 3)
	for range 2 {
		if _, err := d.Site(t.Context(), "nowhere"); !errs.Is(err, errs.NotFound) {
			t.Errorf("no such site: %v", err)
		}
	}
	o.fails = errs.New(errs.Unavailable, "dynamodb GetItem: no answer")
	now = now.Add(site.TTL)
	if _, err := d.Site(t.Context(), "shop"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("no answer: %v", err)
	}
}

func TestDirectory_policy(t *testing.T) {
	t.Parallel()
	o := &office{}
	d := site.NewDirectory(o, o, time.Now)
	p := d.Policy(&site.Site{ID: "shop", Shards: 3, Settings: site.Settings{BackdateDays: 2}, Register: []site.Purpose{{Key: "a", SaleOrSharing: true}}})
	if p.Site != "shop" || p.Shards != 3 || p.Backdate != 48*time.Hour || len(p.Objection) != 1 || p.Objection[0] != "a" {
		t.Errorf("%+v", p)
	}
}

func TestDirectory_verify(t *testing.T) {
	t.Parallel()
	now := noon
	o := &office{secrets: map[string]string{"s1": "one", "s2": "two"}}
	d := site.NewDirectory(o, o, func() time.Time { return now })
	shop := &site.Site{ID: "shop", TokenKeys: []site.TokenKey{
		{ID: "k1", Secret: "s1"}, {ID: "k2", Secret: "s2", Revoked: true}, {ID: "k3", Secret: "gone"},
	}}
	verify := func(text string) (consent.TokenState, error) {
		return d.Policy(shop).VerifyToken(t.Context(), text, "cust-1", now)
	}
	sign := func(key, secret string) string {
		return site.SignToken(key, []byte(secret), "shop", "cust-1", noon.Add(time.Hour))
	}
	for name, tt := range map[string]struct {
		token string
		want  consent.TokenState
		vault int // how often secrets have been asked for
	}{
		"malformed":      {"x", consent.TokenInvalid, 0},
		"revoked key":    {sign("k2", "two"), consent.TokenInvalid, 0},
		"unknown key":    {sign("k4", "one"), consent.TokenInvalid, 0},
		"no key of site": {sign("", "one"), consent.TokenInvalid, 0},
	} {
		if got, err := verify(tt.token); err != nil || got != tt.want || o.vault != tt.vault {
			t.Errorf("%s: %s, %v, %d secrets read", name, got, err, o.vault)
		}
	}
	for step := range 2 { // read once, then remembered
		if got, err := verify(sign("k1", "one")); err != nil || got != consent.TokenValid || o.vault != 1 {
			t.Errorf("time %d: %s, %v, %d secrets read", step, got, err, o.vault)
		}
	}
	if got, err := verify(sign("k3", "one")); err != nil || got != consent.TokenInvalid {
		t.Errorf("a secret that is gone: %s, %v", got, err)
	}
	shop.TokenKeys[0].Revoked = true
	if got, err := verify(sign("k1", "one")); err != nil || got != consent.TokenInvalid {
		t.Errorf("revoked while its secret is remembered: %s, %v", got, err)
	}
	shop.TokenKeys[0].Revoked = false
	now = now.Add(site.TTL)
	o.fails = errs.New(errs.Unavailable, "secretsmanager GetSecretValue: no answer")
	if got, err := verify(sign("k1", "one")); !errs.Is(err, errs.Unavailable) || got != "" {
		t.Errorf("no answer: %q, %v", got, err)
	}
}
