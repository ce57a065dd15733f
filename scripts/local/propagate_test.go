package main

import (
	"slices"
	"testing"

	"github.com/avow-consent/avow/internal/connector/company/vendors"
	salesforce "github.com/avow-consent/avow/internal/connector/salesforce/fake"
	"github.com/avow-consent/avow/internal/keys"
)

// follows: a newsletter that is granted, and then withdrawn on a web page, by posts
// alone, sets the flags at both vendors; an administrator sees how long it took.
func follows(t *testing.T, s shop) {
	p := customer(20)
	ticked := func(desk, crm bool) func() bool {
		return func() bool {
			u, _ := s.desk(t, p.email)
			var state struct{ Records map[string]*salesforce.Record }
			s.fake(t, vendors.Salesforce, &state)
			met := 0
			for _, r := range state.Records {
				if (r.Type == "Contact" || r.Type == "Lead") && r.Fields["Email"] == p.email {
					if met++; (r.Fields["HasOptedOutOfEmail"] == true) != crm {
						return false
					}
				}
			}
			return met > 0 && slices.Contains(u.Tags, "no-newsletter") == desk
		}
	}
	s.must(t, 200, s.PrivateKey, "POST", "/consent", object{"subject": object{"email": p.email}, "preferences": object{"newsletter": true}})
	s.must(t, 200, s.PublicKey, "POST", "/public/consent", object{"subject": object{"email": p.email}, "preferences": object{"newsletter": false}})
	eventually(t, "the vendors know of the withdrawal", ticked(true, true))
	s.must(t, 200, s.PrivateKey, "POST", "/consent", object{"subject": object{"email": p.email}, "preferences": object{"newsletter": true}})
	eventually(t, "the vendors know of the new grant", ticked(false, false))
	eventually(t, "the figures are there", func() bool {
		var told []any
		for _, item := range s.must(t, 200, s.role(keys.Viewer), "GET", "/propagation", nil).Get("items").([]any) {
			one := item.(map[string]any)
			if one["kind"] == "mark" && one["told"].(float64) > 0 && one["p99_ms"].(float64) > 0 {
				t.Logf("%v: p50 %v ms, p99 %v ms", one["system"], one["p50_ms"], one["p99_ms"])
				told = append(told, one["system"])
			}
		}
		return len(told) == 2
	})
}
