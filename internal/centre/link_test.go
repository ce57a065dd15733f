package centre_test

import (
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/centre"
	"github.com/avow-consent/avow/internal/pseudonym"
)

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

func hasher(t testing.TB, secret string) *pseudonym.Hasher {
	t.Helper()
	h, err := pseudonym.New([]byte(strings.Repeat(secret, pseudonym.MinSecret)))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(t testing.TB, h *pseudonym.Hasher, email string, at time.Time) centre.Link {
	t.Helper()
	l, ok := centre.Ask(h, "shop.example", email, "fr-CA", at)
	if !ok {
		t.Fatalf("%q identifies nobody", email)
	}
	return l
}

// A token is read as the link that it was made of; nobody else makes one, and
// none can be changed into another.
func TestToken(t *testing.T) {
	t.Parallel()
	h := hasher(t, "s")
	l := ask(t, h, "Ines@Example.test ", noon.Add(59*time.Second))
	token := l.Token(h)
	if got, ok := centre.Parse(h, token); !ok || got != l || got.Language != "fr" || got.Site != "shop.example" || !got.Expires().Equal(noon.Add(24*time.Hour)) {
		t.Errorf("%+v, %v, of %+v", got, ok, l)
	}
	if strings.Contains(token, "ines") || strings.ContainsAny(token, "/+=?#%&@") || len(token) > 120 {
		t.Errorf("the token is %s", token)
	}
	other := ask(t, h, "leo@example.test", noon).Token(h)
	for name, bad := range map[string]string{
		"empty": "", "of another secret": l.Token(hasher(t, "x")), "of another site": strings.Replace(token, "shop", "shot", 1),
		"without language": strings.TrimPrefix(token, "fr."), "another language": "de" + token[2:], "longer": token + "A", "shorter": token[:len(token)-1],
		"line end": token[:len(token)-1] + "\n" + token[len(token)-1:], "two halves": token[:40] + other[40:], "long": strings.Repeat("a", 1000) + token,
	} {
		if l, ok := centre.Parse(h, bad); ok {
			t.Errorf("%s: %s is read as %+v", name, bad, l)
		}
	}
	if l, ok := centre.Parse(h, "en"+token[2:]); !ok || l.Language != "en" { // which language the page has is nobody's secret
		t.Errorf("%+v, %v", l, ok)
	}
}

// Who asks twice within a minute is owed one letter; later, and in another
// language, another one.
func TestAsk(t *testing.T) {
	t.Parallel()
	h := hasher(t, "s")
	first := ask(t, h, "ines@example.test", noon)
	if again := ask(t, h, "INES@example.test", noon.Add(59*time.Second)); again.Entry(noon).Ref != first.Entry(noon).Ref {
		t.Errorf("%+v, then %+v", first, again)
	}
	for name, other := range map[string]centre.Link{
		"later": ask(t, h, "ines@example.test", noon.Add(time.Minute)), "of another": ask(t, h, "leo@example.test", noon), "again": first.Again(h, noon.Add(time.Hour)),
	} {
		if other.ID == first.ID {
			t.Errorf("%s: %+v, and %+v", name, first, other)
		}
	}
	if e := first.Entry(noon); strings.Contains(e.ID+e.Subject+e.Site, "ines") || e.Site != "shop.example" || !e.Next.Equal(noon) {
		t.Errorf("the entry is %+v", e)
	}
	for _, nobody := range []string{"", "ines", "@example.test", "ines@", "a b@example.test"} {
		if l, ok := centre.Ask(h, "shop", nobody, "fr", noon); ok {
			t.Errorf("%q is owed %+v", nobody, l)
		}
	}
}

// FuzzParse: what is accepted was made with the secret, and is the only text of
// its link.
func FuzzParse(f *testing.F) {
	h := hasher(f, "s")
	l := ask(f, h, "ines@example.test", noon)
	for _, seed := range []string{"", ".", "..", "fr..", "fr.shop.", l.Token(h), l.Token(hasher(f, "x")), strings.ToUpper(l.Token(h))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := centre.Parse(h, text); ok && (got.Token(h) != text || text != l.Token(h) && got.ID != l.ID) {
			t.Errorf("%q is read as %+v", text, got)
		}
	})
}
