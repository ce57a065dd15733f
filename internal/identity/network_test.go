package identity_test

import (
	"testing"

	"github.com/avow-consent/avow/internal/identity"
)

func TestNetwork(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
		"": "", "x": "", "203.0.113.7:80": "",
	} {
		if got := identity.Network(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

func TestMailbox(t *testing.T) {
	t.Parallel()
	for normal, want := range map[string]string{
		"zoe@x.test": "zoe@x.test", "zoe+news@x.test": "zoe@x.test", "zoe+a+b@x.test": "zoe@x.test", "+a@x.test": "+a@x.test",
	} {
		if got := identity.Mailbox(normal); got != want {
			t.Errorf("%s: %s, want %s", normal, got, want)
		}
	}
}

func TestIsLanguage(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]bool{"fr": true, "en-GB": true, "zh-Hant-TW": true, "": false, "f": false, "fr_CA": false, "a language": false, "fr-": false} {
		if got := identity.IsLanguage(tag); got != want {
			t.Errorf("%q: %v", tag, got)
		}
	}
}
