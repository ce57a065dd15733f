package snippet_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/avow-consent/avow/internal/page"
)

// TestPages_look looks at the pages that mailed links lead to, as at the widget: with axe-core, narrow, large, and with the texts
// at twice their size.
func TestPages_look(t *testing.T) {
	t.Parallel()
	full := page.Data{
		Controller: "Shop & Co", Contact: "dpo@shop.example", Type: "access", Items: []string{"Newsletter", "Privacy policy, version 3"},
		Hidden: []page.Field{{Name: "read", Value: "1"}},
		Switches: []page.Switch{
			{Key: "news", Purpose: "Newsletter once a month", On: true, Basis: "consent", Reason: "granted", Since: "4 March 2026", Until: "4 March 2027"},
			{Key: "ads", Purpose: "Advertising", Basis: "consent", Reason: "refused", Since: "4 March 2026"},
			{Key: "fraud", Purpose: "Protection against fraud", On: true, Basis: "legitimate_interest", Reason: "never_asked"},
			{Key: "orders", Purpose: "Orders and invoices", On: true, Fixed: true, Basis: "contract", Reason: "never_asked"},
		},
	}
	saved := full
	saved.Outcome, saved.Chosen = page.Saved, full.Switches[:2]
	type state struct {
		name string
		kind page.Kind
		data page.Data
	}
	states := []state{{"saved", page.Preferences, saved}}
	for _, kind := range page.Kinds {
		states = append(states, state{string(kind), kind, full})
	}
	for _, language := range page.Languages {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			tab := chromium.Tab(t)
			for _, s := range states {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "text/html; charset=utf-8")
					_, _ = w.Write(page.Render(s.kind, language, s.data))
				}))
				tab.Open(server.URL)
				look(t, tab, "page-"+language+"-"+s.name)
				server.Close()
			}
		})
	}
}
