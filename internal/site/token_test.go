package site_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/site"
)

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// The form of a token is a contract with the back ends that sign them.
func TestSignToken_form(t *testing.T) {
	t.Parallel()
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte("v1\nshop\n1770120000\ncust-1"))
	want := "v1.k1.1770120000." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	if got := site.SignToken("k1", []byte("secret"), "shop", "cust-1", noon); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// The example of docs/preferences.md, with which back ends check theirs.
func TestSignToken_documented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/preferences.md")
	if err != nil {
		t.Fatal(err)
	}
	token := site.SignToken("k1", []byte("secret"), "shop", "cust-1", time.Unix(1770120000, 0))
	if !strings.Contains(string(doc), "`"+token+"`") {
		t.Errorf("docs/preferences.md does not name %s", token)
	}
}

func TestToken_verify(t *testing.T) {
	t.Parallel()
	token, ok := site.ParseToken(site.SignToken("k1", []byte("secret"), "shop", "cust-1", noon))
	if !ok || token.KeyID != "k1" {
		t.Fatalf("%+v, %v", token, ok)
	}
	for name, tt := range map[string]struct {
		secret, site, subject string
		now                   time.Time
		want                  consent.TokenState
	}{
		"holds":           {"secret", "shop", "cust-1", noon.Add(-1), consent.TokenValid},
		"long before":     {"secret", "shop", "cust-1", time.Unix(0, 0), consent.TokenValid},
		"at its expiry":   {"secret", "shop", "cust-1", noon, consent.TokenExpired},
		"later":           {"secret", "shop", "cust-1", noon.Add(time.Hour), consent.TokenExpired},
		"other secret":    {"Secret", "shop", "cust-1", noon.Add(-1), consent.TokenInvalid},
		"empty secret":    {"", "shop", "cust-1", noon.Add(-1), consent.TokenInvalid},
		"other site":      {"secret", "shop2", "cust-1", noon.Add(-1), consent.TokenInvalid},
		"other subject":   {"secret", "shop", "cust-2", noon.Add(-1), consent.TokenInvalid},
		"no subject":      {"secret", "shop", "", noon.Add(-1), consent.TokenInvalid},
		"forged and late": {"Secret", "shop", "cust-1", noon.Add(time.Hour), consent.TokenInvalid},
	} {
		if got := token.Verify([]byte(tt.secret), tt.site, tt.subject, tt.now); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// Nothing that a token is about can be moved into another part of it.
func TestToken_partsDoNotRunTogether(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.StringOfN(rapid.SampledFrom([]rune("a1\n")), 0, 4, -1)
		siteID := rapid.StringOfN(rapid.SampledFrom([]rune("a1")), 1, 3, -1) // a site id is one word
		one, two := siteID.Draw(t, "site"), siteID.Draw(t, "other site")
		subject, other := part.Draw(t, "subject"), part.Draw(t, "other subject")
		token, ok := site.ParseToken(site.SignToken("k", []byte("s"), one, subject, noon))
		if !ok {
			t.Fatal("a signed token cannot be parsed")
		}
		if valid := token.Verify([]byte("s"), two, other, noon.Add(-1)) == consent.TokenValid; valid != (one == two && subject == other) {
			t.Fatalf("a token for (%q, %q) holds for (%q, %q): %v", one, subject, two, other, valid)
		}
	})
}

var tokenSeeds = []string{
	"", ".", "...", "v1", "v1...", "v1.k1.1770120000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	"v2.k1.1770120000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "v1..1770120000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	"v1.k1.-1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "v1.k1.+1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	"v1.k1.01.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "v1.k1.9223372036854775808.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	"v1.k1.9223372036854775807.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	"v1.k1.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB", // not canonical base64
	"v1.k1.1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "v1.k1.1.AAAA", "v1.k1.1.!!!!", "v1.k1.1.A\nAAA",
	"v1.k.1.x.1770120000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
}

func TestParseToken_refuses(t *testing.T) {
	t.Parallel()
	for i, text := range tokenSeeds {
		accepted := strings.HasPrefix(text, "v1.k1.1770120000.A") || strings.HasPrefix(text, "v1.k1.9223372036854775807.A")
		if _, ok := site.ParseToken(text); ok != accepted {
			t.Errorf("seed %d, %q: accepted %v", i, text, ok)
		}
	}
	if token, ok := site.ParseToken("v1.k1.9223372036854775807.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"); ok && token.Verify([]byte("s"), "shop", "x", noon) == consent.TokenValid {
		t.Error("a token that nobody signed holds")
	}
}

// FuzzParseToken: a text that is accepted is the only text of its token, and
// nobody who does not know the secret makes one that holds.
func FuzzParseToken(f *testing.F) {
	for _, seed := range tokenSeeds {
		f.Add(seed)
	}
	f.Add(site.SignToken("k1", []byte("another secret"), "shop", "cust-1", noon))
	f.Fuzz(func(t *testing.T, text string) {
		token, ok := site.ParseToken(text)
		if !ok {
			return
		}
		parts := strings.Split(text, ".")
		if len(parts) != 4 || parts[1] != token.KeyID || len(parts[3]) != 43 {
			t.Errorf("%q is taken for a token of %q", text, token.KeyID)
		}
		if token.Verify([]byte("secret"), "shop", "cust-1", noon) != consent.TokenInvalid {
			t.Errorf("%q holds", text)
		}
	})
}
