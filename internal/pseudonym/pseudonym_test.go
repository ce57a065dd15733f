package pseudonym_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/pseudonym"
)

func hasher(t *testing.T, secret string) *pseudonym.Hasher {
	t.Helper()
	h, err := pseudonym.New([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestNew_shortSecret(t *testing.T) {
	t.Parallel()
	if _, err := pseudonym.New([]byte("short")); err == nil {
		t.Error("a short secret was accepted")
	}
}

func TestHasher_separatesSecretsSitesAndPurposes(t *testing.T) {
	t.Parallel()
	a, b := hasher(t, strings.Repeat("a", 32)), hasher(t, strings.Repeat("b", 32))
	seen := map[string]string{}
	for name, value := range map[string]string{
		"subject":        a.Subject("s1", "x"),
		"other site":     a.Subject("s2", "x"),
		"shifted parts":  a.Subject("s1x", ""),
		"other secret":   b.Subject("s1", "x"),
		"e-mail":         a.Email("s1", "x"),
		"e-mail subject": a.EmailSubject("s1", "x"),
		"phone subject":  a.PhoneSubject("s1", "x"),
		"chat subject":   a.ChatSubject("s1", "x"),
		"key subject":    a.KeySubject("s1", "x"),
		"confirmation":   string(a.Confirm("s1", "x")),
		"key":            a.Key("notice", "s1", "x"),
		"key id":         a.KeyID(),
		"other key id":   b.KeyID(),
	} {
		if other, dup := seen[value]; dup {
			t.Errorf("%s and %s give the same hash", name, other)
		}
		seen[value] = name
	}
	if again := hasher(t, strings.Repeat("a", 32)); a.Subject("s1", "x") != again.Subject("s1", "x") {
		t.Error("the same subject gives two hashes")
	}
}

// What is made of an address is known for that; the company's own numbers are not.
func TestDerived(t *testing.T) {
	t.Parallel()
	h, err := pseudonym.New(make([]byte, pseudonym.MinSecret))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{
		h.EmailSubject("s", "x"): true, h.PhoneSubject("s", "x"): true, h.ChatSubject("s", "x"): true, h.KeySubject("s", "x"): true,
		strings.ToUpper(h.EmailSubject("s", "x")): false, "{" + h.EmailSubject("s", "x") + "}": false,
		h.ID(time.Unix(0, 0), "x"): false, "cust-881": false, "": false, "0b9aa7b4-8f0e-4f3e-9d5e-0c2f6f1c7a11": false,
	} {
		if got := pseudonym.Derived(id); got != want {
			t.Errorf("%q: %v", id, got)
		}
	}
}

func TestHasher_ID(t *testing.T) {
	t.Parallel()
	h := hasher(t, strings.Repeat("a", 32))
	at := time.Date(2026, 2, 3, 10, 15, 30, 123_000_000, time.UTC)
	id := h.ID(at, "site", "subject", "key")
	u, err := uuid.Parse(id)
	if err != nil {
		t.Fatal(err)
	}
	if u.Version() != 7 || u.Variant() != uuid.RFC4122 {
		t.Errorf("version %d, variant %v", u.Version(), u.Variant())
	}
	sec, nsec := u.Time().UnixTime()
	if got := time.Unix(sec, nsec).UTC().Truncate(time.Millisecond); !got.Equal(at) {
		t.Errorf("time %v, want %v", got, at)
	}
	if h.ID(at, "site", "subject", "key") != id {
		t.Error("not repeatable")
	}
	if h.ID(at, "site", "subjec", "tkey") == id {
		t.Error("parts run into each other")
	}
}

func TestHasher_concurrent(t *testing.T) {
	t.Parallel()
	h := hasher(t, strings.Repeat("a", 32))
	want := h.Subject("s", "x")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if h.Subject("s", "x") != want {
					t.Error("a concurrent hash differs")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestMailbox(t *testing.T) {
	t.Parallel()
	h, err := pseudonym.New([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	for _, same := range [][2]string{{"ines@example.test", " Ines@Example.TEST"}, {"no address", " No Address "}} {
		if a, b := h.Mailbox(same[0]), h.Mailbox(same[1]); a != b || len(a) != 22 {
			t.Errorf("%q: %s, %q: %s", same[0], a, same[1], b)
		}
	}
	if h.Mailbox("ines@example.test") == h.Mailbox("inez@example.test") || h.Mailbox("a@b.test") == h.Email("", "a@b.test") {
		t.Error("two keys are the same")
	}
}
