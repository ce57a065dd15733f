package requests

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// Whatever names a person, what is accepted has a normal form, names no more
// than one, and is not changed on the way.
func FuzzIdentifiers(f *testing.F) {
	h, err := pseudonym.New([]byte(strings.Repeat("s", pseudonym.MinSecret)))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"ines@example.test", "*", "%", "all", " ", "a\nb", "@", "*@x.test", "+33123456789", "\xff", "null", "ｅveryone", "cust-881", "a%b"} {
		for _, kind := range ownKinds {
			f.Add(string(kind), seed)
		}
	}
	f.Add("refdesk.user_id", "12")
	f.Add("../etc", "12")
	f.Fuzz(func(t *testing.T, kind, value string) {
		p := subject{}
		p.Identifiers = append(p.Identifiers, struct {
			Kind  identity.Kind `json:"kind"`
			Value redact.String `json:"value"`
		}{identity.Kind(kind), redact.String(value)})
		known, err := identifiers(h, "shop", []subject{p}, identity.Claimed)
		if err != nil {
			return
		}
		for _, k := range known {
			normal, ok := k.Normal()
			if !ok || normal == "" || k.Key == "" || blanket(k.Kind, value) || k.Value.Reveal() != strings.TrimSpace(value) {
				t.Errorf("%q %q became %q", kind, value, normal)
			}
			if k.Kind != identity.SubjectID && strings.ContainsAny(normal, "*%") {
				t.Errorf("a wild card: %q", normal)
			}
		}
	})
}

// A proof is a digest in one form, or refused.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{`null`, `{}`, `{"sha256":"` + strings.Repeat("a", 64) + `"}`, `{"document":"YQ=="}`, `{"document":""}`, `{"sha256":"x","document":"YQ=="}`, `[]`, `{"x":1}`, `{"document":"%"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d document
		if err := json.Unmarshal([]byte(text), &d); err == nil && !d.empty() && !sha256Text.MatchString(d.digest()) {
			t.Errorf("%q became %q", text, d.digest())
		}
	})
}

// A file keeps name and bytes, within the limits, or is refused.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		`null`, `{}`, `{"name":"a","content":"YQ=="}`, `{"name":"a","type":"text/plain; charset=utf-8","content":"YQ=="}`, `{"name":"a","type":"x","content":"YQ=="}`,
		`{"name":"","content":"YQ=="}`, `{"name":"a","content":"%"}`, `{"name":"a","content":"YQ==","x":1}`, `[]`, `{"name":"../../e\u202e","content":"YQ=="}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var one file
		if json.Unmarshal([]byte(text), &one) != nil {
			return
		}
		if one.name == "" || len(one.name) > maxName || len(one.content) == 0 || !strings.Contains(one.mediaType, "/") {
			t.Errorf("%q became %d bytes of %q", text, len(one.content), one.mediaType)
		}
		other := one
		other.content = append([]byte("x"), one.content...)
		if nameOf([]file{one}) == nameOf([]file{other}) || nameOf([]file{one, other}) == nameOf([]file{other, one}) {
			t.Error("two uploads have one name")
		}
	})
}
