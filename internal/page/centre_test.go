package page_test

import (
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/page"
)

// Every state of a switch has a sentence of its own in both languages, with its
// dates and without.
func TestRender_switches(t *testing.T) {
	t.Parallel()
	type look struct {
		reason, basis string
		fixed         bool
	}
	var looks []look
	for _, reason := range []consent.Reason{
		consent.Granted, consent.Refused, consent.Withdrawn, consent.Expired, consent.NeverAsked, consent.Unconfirmed, consent.Pending, consent.Lapsed,
		consent.NotBoolean, consent.Objected, consent.Restricted,
	} {
		looks = append(looks, look{string(reason), "consent", false})
	}
	looks = append(looks, look{"never_asked", "legitimate_interest", false}, look{"never_asked", "public_task", false})
	for _, basis := range []string{"contract", "legal_obligation", "vital_interests"} {
		looks = append(looks, look{"never_asked", basis, true})
	}
	for _, language := range page.Languages {
		said := map[string]look{}
		for _, l := range looks {
			for _, since := range []string{"", "DAY"} {
				html := string(page.Render(page.Preferences, language, page.Data{Switches: []page.Switch{{
					Key: "k", Purpose: "P", On: l.reason == "granted" || l.reason == "never_asked" && l.basis != "consent", Since: since, Until: since,
					Fixed: l.fixed, Basis: l.basis, Reason: l.reason,
				}}}))
				_, text, _ := strings.Cut(html, `<p id="d0">`)
				text, _, _ = strings.Cut(text, "</p>")
				if len(text) < 12 || strings.ContainsAny(text, "{}<") || !strings.HasSuffix(text, ".") || strings.Contains(text, "  ") {
					t.Errorf("%s, %+v, %q: %q", language, l, since, text)
				}
				if other, twice := said[text]; twice && other != l {
					t.Errorf("%s: %q says %+v and %+v", language, text, l, other)
				}
				said[text] = l
			}
		}
	}
}

// The form sends back what it showed: fixed switches have no name, the others are
// ticked when they are on, and each has its label and its description.
func TestRender_form(t *testing.T) {
	t.Parallel()
	html := string(page.Render(page.Preferences, "fr", page.Data{
		Hidden: []page.Field{{Name: "visit", Value: `"><x`}}, Outcome: page.Saved, Chosen: []page.Switch{{Purpose: "Nouvelles.", On: true}},
		Switches: []page.Switch{{Key: "a", Purpose: "A", On: true, Basis: "consent", Reason: "granted"}, {Key: "b", Purpose: "B", Fixed: true, On: true, Basis: "contract"}, {Key: "c", Purpose: "C"}},
	}))
	for _, want := range []string{
		`<input type="hidden" name="visit" value="&#34;&gt;&lt;x">`, `<div class="said" role="status">`, "<li>Nouvelles : activé</li>", "<legend>À quoi vos données peuvent-elles servir ?</legend>",
		`<input type="checkbox" role="switch" id="s0" aria-describedby="d0" name="on" value="a" checked>`, `<label for="s0">A</label>`,
		`<input type="checkbox" role="switch" id="s1" aria-describedby="d1" checked disabled>`, `<input type="checkbox" role="switch" id="s2" aria-describedby="d2" name="on" value="c">`,
		`name="action" value="save">Enregistrer</button>`, `name="action" value="refuse" class="other">Tout refuser</button>`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in\n%s", want, html)
		}
	}
}
