package site_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/site"
)

func TestSite_backdate(t *testing.T) {
	t.Parallel()
	for days, want := range map[int]time.Duration{0: 30 * 24 * time.Hour, -1: 30 * 24 * time.Hour, 1: 24 * time.Hour, 365: 365 * 24 * time.Hour} {
		s := site.Site{Settings: site.Settings{BackdateDays: days}}
		if got := s.Backdate(); got != want {
			t.Errorf("%d days: %v, want %v", days, got, want)
		}
	}
}

func TestSite_rules(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		site site.Site
		want consent.Rules
	}{
		"by default":           {site.Site{}, consent.Rules{Validity: map[string]time.Duration{}}},
		"guarded":              {site.Site{Settings: site.Settings{PublicGrants: site.Guarded}}, consent.Rules{Validity: map[string]time.Duration{}}},
		"latest":               {site.Site{Settings: site.Settings{PublicGrants: site.Latest}}, consent.Rules{Latest: true, Validity: map[string]time.Duration{}}},
		"a word of the future": {site.Site{Settings: site.Settings{PublicGrants: "LATEST"}}, consent.Rules{Validity: map[string]time.Duration{}}},
		"validity": {site.Site{Register: []site.Purpose{{Key: "a", ValidityDays: 2}, {Key: "b"}, {Key: "c", ValidityDays: -1}}},
			consent.Rules{Validity: map[string]time.Duration{"a": 48 * time.Hour}}},
	} {
		if diff := cmp.Diff(tt.want, tt.site.Rules()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSite_saleOrSharing(t *testing.T) {
	t.Parallel()
	s := site.Site{Register: []site.Purpose{{Key: "a"}, {Key: "b", SaleOrSharing: true}, {Key: "c", SaleOrSharing: true}}}
	if diff := cmp.Diff([]string{"b", "c"}, s.SaleOrSharing()); diff != "" {
		t.Error(diff)
	}
}

func TestValidateRegister(t *testing.T) {
	t.Parallel()
	many := func(n int) []site.Purpose {
		var list []site.Purpose
		for i := range n {
			list = append(list, site.Purpose{Key: fmt.Sprint(i)})
		}
		return list
	}
	long := strings.Repeat("x", 4097)
	for name, tt := range map[string]struct {
		register []site.Purpose
		field    string // "" when it is accepted
	}{
		"empty":                 {nil, ""},
		"full":                  {[]site.Purpose{{Key: strings.Repeat("k", 128), Purpose: map[string]string{"en-GB": long[:4096]}, LegalBasis: long[:1024], Channel: long[:1024], ValidityDays: 36500}}, ""},
		"100 entries":           {many(100), ""},
		"101 entries":           {many(101), "preferences"},
		"no key":                {[]site.Purpose{{}}, "preferences[0].key"},
		"long key":              {[]site.Purpose{{Key: strings.Repeat("k", 129)}}, "preferences[0].key"},
		"key twice":             {[]site.Purpose{{Key: "a"}, {Key: "a"}}, "preferences[1].key"},
		"negative validity":     {[]site.Purpose{{Key: "a", ValidityDays: -1}}, "preferences[0].validity_days"},
		"validity of centuries": {[]site.Purpose{{Key: "a", ValidityDays: 36501}}, "preferences[0].validity_days"},
		"no language":           {[]site.Purpose{{Key: "a", Purpose: map[string]string{"": "x"}}}, "preferences[0].purpose"},
		"long language":         {[]site.Purpose{{Key: "a", Purpose: map[string]string{long[:36]: "x"}}}, "preferences[0].purpose"},
		"long text":             {[]site.Purpose{{Key: "a", Purpose: map[string]string{"en": long}}}, "preferences[0].purpose"},
		"long legal basis":      {[]site.Purpose{{Key: "a", LegalBasis: long[:1025]}}, "preferences[0].legal_basis"},
		"long channel":          {[]site.Purpose{{Key: "a", Channel: long[:1025]}}, "preferences[0].legal_basis"},
	} {
		err := site.ValidateRegister(tt.register)
		var refusal *errs.Error
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.field != "" && (!errors.As(err, &refusal) || refusal.Kind != errs.Invalid || refusal.Fields[0].Field != tt.field):
			t.Errorf("%s: %v, want a refusal of %s", name, err, tt.field)
		}
	}
}
