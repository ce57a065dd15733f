package snippet_test

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/avow-consent/avow/internal/snippet/browser"
	"github.com/avow-consent/avow/internal/snippet/npm"
	"github.com/avow-consent/avow/scripts/local/demo"
)

// accessible fails the test for what axe-core finds against WCAG 2.2 AA and its good practices, and for what it cannot
// decide.
func accessible(t testing.TB, tab *browser.Tab, state string) {
	t.Helper()
	if browser.Eval[string](tab, `typeof axe`) == "undefined" {
		tab.Script(string(npm.Read(t, "axe-core/axe.min.js")))
	}
	type result struct {
		Found  []string `json:"found"`
		Passed int      `json:"passed"`
	}
	r := browser.Eval[result](tab, `axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => ({
  found: [...r.violations, ...r.incomplete].map(v => v.id + " (" + v.help + "): " + v.nodes.map(n => n.html + " " + n.failureSummary).join(" | ")),
  passed: r.passes.length,
}))`)
	if r.Passed < 15 {
		t.Errorf("%s: axe-core looked at little: %d rules passed", state, r.Passed)
	}
	for _, f := range r.Found {
		t.Errorf("%s: %s", state, f)
	}
}

// fits fails the test when something of the page is cut off or needs scrolling sideways.
func fits(t testing.TB, tab *browser.Tab, state string) {
	t.Helper()
	over := browser.Eval[[]string](tab, `Array.from(document.querySelectorAll("body, body *"))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1 || (e.closest(".avow-preferences") && e.scrollWidth > e.clientWidth + 1 && e.clientWidth))
  .map(e => e.tagName + "." + e.className)`)
	if len(over) > 0 {
		t.Errorf("%s: does not fit: %v", state, over)
	}
}

// look checks a state of the page as people see it who need it wide, narrow, large, or in colours of their own.
func look(t *testing.T, tab *browser.Tab, state string) {
	t.Helper()
	picture := func(suffix string) {
		if *screenshots != "" {
			tab.Screenshot(filepath.Join(*screenshots, state+suffix+".png"))
		}
	}
	for _, how := range []struct {
		suffix string
		width  int64
		zoom   string
	}{
		{"", 1100, "100%"},
		{"-narrow", 320, "100%"}, // WCAG 1.4.10: also 1280 px at a zoom of 400 %
		{"-zoomed", 640, "100%"}, // 1280 px at a zoom of 200 %
		{"-large", 640, "200%"},  // WCAG 1.4.4: the text alone is twice as large
	} {
		tab.Width(how.width)
		tab.Script(fmt.Sprintf(`new Promise(done => { document.documentElement.style.fontSize = "%s"; requestAnimationFrame(() => requestAnimationFrame(done)); })`, how.zoom))
		fits(t, tab, state+how.suffix)
		if how.suffix != "-zoomed" {
			picture(how.suffix)
		}
		// Forced colours are painted, and not what a script reads.
		if (how.suffix == "" || how.suffix == "-narrow") && !browser.Eval[bool](tab, `matchMedia("(forced-colors: active)").matches`) {
			accessible(t, tab, state+how.suffix)
		}
	}
	tab.Script(`document.documentElement.style.fontSize = ""`)
	tab.Width(1100)
}

// TestCentre_looks walks through every state of the centre on the demo's page, in both languages.
func TestCentre_looks(t *testing.T) {
	t.Parallel()
	for lang, words := range map[string]map[string]string{
		"en": {"unsaved": "Not saved yet.", "saved": "Your choices are saved: yes to 1, no to 1.", "refused": "Your choices are saved: yes to 0, no to 3.",
			"offline": offline, "lapsed": lapsed, "wrong": "Enter an e-mail address such as name@example.com.",
			"sent": "If we know this address, a link is on its way to it. That may take a few minutes; please look among unwanted mail too."},
		"fr": {"unsaved": "Pas encore enregistré.", "saved": "Vos choix sont enregistrés : oui pour 1, non pour 1.", "refused": "Vos choix sont enregistrés : oui pour 0, non pour 3.",
			"offline": "Nous sommes injoignables. Vérifiez votre connexion, puis réessayez.",
			"lapsed":  "Pour protéger vos choix, cette page ne les montre que pendant un temps limité. Rechargez-la, ou faites-vous envoyer un lien.", "wrong": "Saisissez une adresse e-mail comme nom@exemple.fr.",
			"sent": "Si nous connaissons cette adresse, un lien est en route. Cela peut prendre quelques minutes ; regardez aussi parmi les indésirables."},
	} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			c := newCentre(t)
			c.said(map[string]any{"news": true, "orders": true}, nil)
			valid := time.Hour
			shop := httptest.NewServer(demo.Handler(demo.Config{API: c.URL, PublicKey: c.publicKey, SubjectToken: func(string) string { return c.token(valid) }}))
			t.Cleanup(shop.Close)
			tab := chromium.Tab(t)
			tab.Width(1100)
			open := func() {
				tab.Open(shop.URL + "/" + lang)
				tab.Script(`document.querySelector("#subject-id").value = "` + c.subject + `"; document.querySelector("#subject-id").form.submit();`)
				tab.Until(`!!document.querySelector(".avow-preferences")`)
			}
			open()
			tab.Until(`!!document.querySelector(".avow-choices")`)
			look(t, tab, lang+"-1-choices")
			flip(tab, register[0].Purpose[lang])
			hears(tab, words["unsaved"])
			look(t, tab, lang+"-2-unsaved")
			c.down(true)
			tab.Click(".avow-save")
			hears(tab, words["offline"])
			look(t, tab, lang+"-3-offline")
			c.down(false)
			flip(tab, register[1].Purpose[lang])
			tab.Click(".avow-save")
			hears(tab, words["saved"])
			look(t, tab, lang+"-4-saved")
			tab.Click(".avow-refuse")
			hears(tab, words["refused"])
			look(t, tab, lang+"-5-refused")
			tab.Prefer("prefers-reduced-motion", "reduce", "forced-colors", "active")
			look(t, tab, lang+"-6-colours")
			tab.Prefer()
			c.down(true)
			open()
			hears(tab, words["offline"])
			look(t, tab, lang+"-7-down")
			c.down(false)
			valid = -time.Second
			open()
			hears(tab, words["lapsed"])
			look(t, tab, lang+"-8-lapsed")
			tab.Open(shop.URL + "/" + lang + "/preferences")
			look(t, tab, lang+"-9-link")
			tab.Click(".avow-send")
			tab.Until(fmt.Sprintf(`document.querySelector(".avow-wrong").textContent === %q`, words["wrong"]))
			look(t, tab, lang+"-10-wrong")
			tab.Type(".avow-email", "ines@example.test")
			tab.Click(".avow-send")
			hears(tab, words["sent"])
			look(t, tab, lang+"-11-sent")
			quiet(t, tab)
		})
	}
}

// TestCentre_plain is the centre on a page without any style: nothing of it needs one.
func TestCentre_plain(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	c.said(map[string]any{"news": true}, nil)
	page := c.page(c.call(c.token(time.Hour), ""))
	page.body = `<meta name="viewport" content="width=device-width">` + page.body
	tab := page.open(t, c.URL)
	tab.Until(`!!document.querySelector(".avow-choices")`)
	look(t, tab, "plain-1-choices")
	tab.Prefer("prefers-color-scheme", "dark", "forced-colors", "active")
	look(t, tab, "plain-2-colours")
	tab.Prefer()
	tab.Click(".avow-save")
	hears(tab, "You have not changed anything, so there is nothing to save.")
	look(t, tab, "plain-3-unchanged")
	if moving := browser.Eval[int](tab, `document.getAnimations().length`); moving != 0 {
		t.Errorf("%d animations", moving)
	}
	quiet(t, tab)
}

// TestCentre_keyboard uses nothing but the keyboard; the focus is never lost.
func TestCentre_keyboard(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	c.down(true)
	tab := c.page(c.call(c.token(time.Hour), "")).open(t, c.URL)
	hears(tab, offline)
	focused := func(want string) {
		t.Helper()
		if got := browser.Eval[string](tab, `document.activeElement.className + " " + document.activeElement.checked`); !strings.HasPrefix(got, want) {
			t.Fatalf("the focus is on %q, want %q", got, want)
		}
	}
	press := func(keys ...string) {
		t.Helper()
		for _, key := range keys {
			tab.Do(chromedp.KeyEvent(key))
		}
	}
	press(kb.Tab)
	focused("avow-again")
	c.down(false)
	press(kb.Enter)
	tab.Until(`!!document.querySelector(".avow-choices")`)
	focused("avow-body") // what was pressed is gone, the keyboard stays where it was
	press(kb.Tab)
	focused("avow-switch false")
	press(" ")
	focused("avow-switch true")
	press(kb.Tab, kb.Tab, kb.Tab)
	focused("avow-save")
	press(kb.Enter)
	hears(tab, "Your choices are saved: yes to 1, no to 0.")
	focused("avow-save")
	press(kb.Tab)
	focused("avow-refuse")
	press(" ")
	hears(tab, "Your choices are saved: yes to 0, no to 3.")
	focused("avow-refuse")
	equal(t, "recorded", len(c.own(2)), 2)

	// Enter in a switch saves, as in any form; what takes the form's place has the focus.
	tab.Script(`document.querySelector(".avow-switch").focus()`)
	press(" ")
	c.meet(staleTexts)
	press(kb.Enter)
	tab.Until(`document.querySelector("[role=alert]").textContent !== ""`)
	focused("avow-body")
	quiet(t, tab)
}

// TestCentre_keyboardLink asks for the link with the keyboard; a mistake is named where it is.
func TestCentre_keyboardLink(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	tab := c.page(c.call("", "")).open(t, c.URL)
	press := func(keys string) { t.Helper(); tab.Do(chromedp.KeyEvent(keys)) }
	press(kb.Tab)
	press("ines@")
	press(kb.Enter)
	type field struct {
		Focused, Invalid bool
		Says             string
	}
	read := func() field {
		return browser.Eval[field](tab, `(() => { const e = document.querySelector("input"); return {
  Focused: e === document.activeElement, Invalid: e.getAttribute("aria-invalid") === "true",
  Says: document.getElementById(e.getAttribute("aria-describedby")).textContent }; })()`)
	}
	equal(t, "a wrong address", read(), field{true, true, "Enter an e-mail address such as name@example.com."})
	press("example.test")
	press(kb.Enter)
	tab.Until(`document.querySelector("[role=status]").textContent.startsWith("If we know this address")`)
	equal(t, "a good address", read(), field{true, false, ""})
	quiet(t, tab)
}
