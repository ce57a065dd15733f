package identity_test

import (
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/identity"
)

func TestNormalizeEmail(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ in, want string }{
		"plain":               {"ines@example.test", "ines@example.test"},
		"case and space":      {"  Ines@EXAMPLE.Test ", "ines@example.test"},
		"dots and plus stay":  {"i.n.e.s+shop@example.test", "i.n.e.s+shop@example.test"},
		"decomposed accent":   {"ine\u0301s@example.test", "in\u00e9s@example.test"},
		"international host":  {"ines@B\u00dcCHER.example", "ines@xn--bcher-kva.example"},
		"punycode host":       {"ines@xn--bcher-kva.example", "ines@xn--bcher-kva.example"},
		"no at":               {"ines.example.test", ""},
		"empty":               {"", ""},
		"only at":             {"@", ""},
		"no local part":       {"@example.test", ""},
		"no domain":           {"ines@", ""},
		"two addresses":       {"a@example.test,b@example.test", ""},
		"display name":        {"Ines <ines@example.test>", ""},
		"inner space":         {"in es@example.test", ""},
		"control":             {"ines\r\n@example.test", ""},
		"domain with nothing": {"ines@..", ""},
		"too long":            {strings.Repeat("a", 250) + "@example.test", ""},
		"invalid utf-8":       {"ines\xff@example.test", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := identity.NormalizeEmail(tt.in)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("NormalizeEmail(%q) = %q, %v; want %q", tt.in, got, ok, tt.want)
			}
		})
	}
}

func FuzzNormalizeEmail(f *testing.F) {
	for _, seed := range []string{"ines@example.test", "Ine\u0301s@B\u00fccher.example", "@", "a@b@c", "x@[127.0.0.1]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		normal, ok := identity.NormalizeEmail(address)
		if !ok {
			return
		}
		again, ok := identity.NormalizeEmail(normal)
		if !ok || again != normal {
			t.Errorf("not stable: %q -> %q -> %q", address, normal, again)
		}
	})
}
