package site_test

import (
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/site"
)

func TestSite_purposeOf(t *testing.T) {
	t.Parallel()
	s := site.Site{Register: []site.Purpose{
		{Key: "news", Purpose: map[string]string{"en": "News", "fr": "Nouvelles"}}, {Key: "ads", Purpose: map[string]string{"de": "Werbung", "it": "Pubblicità"}}, {Key: "bare"},
	}}
	for _, tt := range [][3]string{
		{"news", "fr", "Nouvelles"}, {"news", "fr-CH", "Nouvelles"}, {"news", "de", "News"}, {"news", "", "News"},
		{"ads", "fr", "Werbung"}, {"bare", "fr", "bare"}, {"unknown", "fr", "unknown"},
	} {
		if got := s.PurposeOf(tt[0], tt[1]); got != tt[2] {
			t.Errorf("%s in %q: %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

func TestSite_optIn(t *testing.T) {
	t.Parallel()
	for days, want := range map[int]time.Duration{0: 7 * 24 * time.Hour, 3: 72 * time.Hour} {
		if got := (&site.Site{Settings: site.Settings{OptInDays: days}}).OptIn(); got != want {
			t.Errorf("%d: %v", days, got)
		}
	}
}

// How companies write legal bases, and what the preference centre makes of them.
func TestPurpose_basis(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		basis              string
		optional, presumed bool
	}{
		"": {"consent", true, false}, "Consent": {"consent", true, false}, "legitimate_interest": {"legitimate_interest", true, true},
		"Legitimate interests": {"legitimate_interest", true, true}, "contract": {"contract", false, true}, "Legal obligation": {"legal_obligation", false, true},
		"vital-interests": {"vital_interests", false, true}, "public_task": {"public_task", true, true}, "Art. 6(1)(a)": {"art._6(1)(a)", true, false},
	} {
		p := site.Purpose{LegalBasis: text}
		if got := p.Basis(); got != want.basis || site.Optional(got) != want.optional || site.Presumed(got) != want.presumed {
			t.Errorf("%q: %q, %v, %v", text, got, site.Optional(got), site.Presumed(got))
		}
		if got := p.Basis(); site.Objectable(got) != (want.optional && want.presumed) {
			t.Errorf("%q: a no is an objection: %v", text, site.Objectable(got))
		}
	}
}
