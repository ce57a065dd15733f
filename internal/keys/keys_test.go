package keys_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
)

// shelf is a table of keys that counts how often it is asked.
type shelf struct {
	keys  map[string]keys.Key
	asked int
	fails error
}

func (s *shelf) Key(_ context.Context, hash string) (keys.Key, bool, error) {
	s.asked++
	k, ok := s.keys[hash]
	return k, ok, s.fails
}

func newRing(now *time.Time, list ...keys.Key) (*keys.Ring, *shelf) {
	s := &shelf{keys: map[string]keys.Key{}}
	for _, k := range list {
		s.keys[k.Hash] = k
	}
	return keys.NewRing(s, func() time.Time { return *now }), s
}

func TestNew(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[A-Za-z0-9]{32}$`)
	seen := map[string]bool{}
	counts := map[rune]int{}
	for range 2000 {
		k := keys.New()
		if !form.MatchString(k) || len(k) != keys.Length || seen[k] {
			t.Fatalf("%q", k)
		}
		seen[k] = true
		for _, r := range k {
			counts[r]++
		}
	}
	for r, n := range counts { // 64,000 letters over 62: 1,032 each
		if n < 800 || n > 1300 {
			t.Errorf("%q comes up %d times", r, n)
		}
	}
	if len(counts) != 62 {
		t.Errorf("%d letters", len(counts))
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	// SHA-256 of "abc" (FIPS 180-2, appendix B.1).
	if got := keys.Hash("abc"); got != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("%s", got)
	}
}

func TestRing_authenticate(t *testing.T) {
	t.Parallel()
	public := keys.Key{Hash: keys.Hash("pub"), Site: "shop", Class: keys.Public}
	private := keys.Key{Hash: keys.Hash("prv"), Site: "shop", Class: keys.Private}
	revoked := keys.Key{Hash: keys.Hash("old"), Site: "shop", Class: keys.Private, Revoked: true}
	classless := keys.Key{Hash: keys.Hash("odd"), Site: "shop"}
	for name, tt := range map[string]struct {
		text    string
		classes []keys.Class
		want    errs.Kind // "" when it is let in
		message string
	}{
		"right class":      {"pub", []keys.Class{keys.Public}, "", ""},
		"one of two":       {"prv", []keys.Class{keys.Public, keys.Private}, "", ""},
		"wrong class":      {"pub", []keys.Class{keys.Private}, errs.Forbidden, "Invalid authentication credentials"},
		"the other way":    {"prv", []keys.Class{keys.Public}, errs.Forbidden, "Invalid authentication credentials"},
		"no class allowed": {"pub", nil, errs.Forbidden, "Invalid authentication credentials"},
		"without a class":  {"odd", []keys.Class{keys.Public, keys.Private}, errs.Forbidden, "Invalid authentication credentials"},
		"revoked":          {"old", []keys.Class{keys.Private}, errs.Forbidden, "Invalid authentication credentials"},
		"unknown":          {"new", []keys.Class{keys.Public}, errs.Forbidden, "Invalid authentication credentials"},
		"none":             {"", []keys.Class{keys.Public}, errs.Unauthenticated, "No API key found in request"},
		"the hash itself":  {public.Hash, []keys.Class{keys.Public}, errs.Forbidden, "Invalid authentication credentials"},
		"other case":       {"PUB", []keys.Class{keys.Public}, errs.Forbidden, "Invalid authentication credentials"},
		"with white space": {"pub ", []keys.Class{keys.Public}, errs.Forbidden, "Invalid authentication credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			ring, _ := newRing(&now, public, private, revoked, classless)
			for range 2 { // from the table, then from memory
				k, err := ring.Authenticate(t.Context(), tt.text, tt.classes...)
				if tt.want == "" {
					if err != nil || k.Site != "shop" {
						t.Errorf("%v, %v", k, err)
					}
					continue
				}
				var refusal *errs.Error
				if !errors.As(err, &refusal) || refusal.Kind != tt.want || refusal.Message != tt.message || k != nil {
					t.Errorf("%v, %v; want %s", k, err, tt.want)
				}
			}
		})
	}
}

// Known and unknown keys are remembered, but not for long.
func TestRing_remembers(t *testing.T) {
	t.Parallel()
	if keys.TTL > time.Minute {
		t.Errorf("a revocation takes up to %v, want at most a minute", keys.TTL)
	}
	now := time.Now()
	known := keys.Key{Hash: keys.Hash("pub"), Class: keys.Public}
	ring, s := newRing(&now, known)
	ask := func(text string, allowed bool, asked int) {
		t.Helper()
		if _, err := ring.Authenticate(t.Context(), text, keys.Public); (err == nil) != allowed || s.asked != asked {
			t.Errorf("%s: %v, asked %d times; want %v, %d", text, err, s.asked, allowed, asked)
		}
	}
	ask("pub", true, 1)
	ask("pub", true, 1)
	ask("new", false, 2)
	ask("new", false, 2)
	known.Revoked = true
	s.keys[known.Hash] = known
	s.keys[keys.Hash("new")] = keys.Key{Class: keys.Public}
	now = now.Add(keys.TTL - 1)
	ask("pub", true, 2)
	ask("new", false, 2)
	now = now.Add(1)
	ask("pub", false, 3)
	ask("new", true, 4)
}

// A table that does not answer makes nobody unknown.
func TestRing_unavailable(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ring, s := newRing(&now, keys.Key{Hash: keys.Hash("pub"), Class: keys.Public})
	s.fails = errs.New(errs.Unavailable, "dynamodb GetItem: no answer")
	if k, err := ring.Authenticate(t.Context(), "pub", keys.Public); k != nil || !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v, %v", k, err)
	}
	s.fails = nil
	if _, err := ring.Authenticate(t.Context(), "pub", keys.Public); err != nil {
		t.Errorf("the failure was remembered: %v", err)
	}
}

// A text that no key can be is not looked up.
func TestRing_longText(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ring, s := newRing(&now)
	if _, err := ring.Authenticate(t.Context(), strings.Repeat("x", 257), keys.Public); !errs.Is(err, errs.Forbidden) || s.asked != 0 {
		t.Errorf("%v, asked %d times", err, s.asked)
	}
}

func TestKey_allowOrigin(t *testing.T) {
	t.Parallel()
	listed := keys.Key{Origins: []string{"https://shop.example", "https://shop.example:8443"}}
	for name, tt := range map[string]struct {
		key    keys.Key
		origin string
		want   bool
	}{
		"no list":           {keys.Key{}, "https://anywhere.example", true},
		"no list, absent":   {keys.Key{}, "", true},
		"listed":            {listed, "https://shop.example", true},
		"listed with port":  {listed, "https://shop.example:8443", true},
		"absent":            {listed, "", false},
		"null":              {listed, "null", false},
		"other scheme":      {listed, "http://shop.example", false},
		"other port":        {listed, "https://shop.example:444", false},
		"subdomain":         {listed, "https://www.shop.example", false},
		"prefix":            {listed, "https://shop.example.evil.test", false},
		"trailing slash":    {listed, "https://shop.example/", false},
		"two at once":       {listed, "https://shop.example, https://evil.test", false},
		"empty in the list": {keys.Key{Origins: []string{""}}, "", false},
	} {
		err := tt.key.AllowOrigin(tt.origin)
		if (err == nil) != tt.want || err != nil && !errs.Is(err, errs.Forbidden) {
			t.Errorf("%s: %v, want allowed %v", name, err, tt.want)
		}
	}
}

func TestRank_atLeast(t *testing.T) {
	t.Parallel()
	for i, have := range keys.Ranks {
		for j, least := range keys.Ranks {
			if have.AtLeast(least) != (i >= j) {
				t.Errorf("%s at least %s: %v", have, least, have.AtLeast(least))
			}
		}
	}
	for _, none := range []keys.Rank{"", "root", "Officer"} {
		if none.Valid() || none.AtLeast(keys.Viewer) || keys.Admin.AtLeast(none) || none.AtLeast(none) {
			t.Errorf("%q is a rank", none)
		}
	}
}
