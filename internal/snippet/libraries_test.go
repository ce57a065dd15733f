package snippet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/snippet/browser"
)

// The libraries are the packages of npm as they are published.
var (
	cookieConsentFiles = []string{
		"/npm/vanilla-cookieconsent/dist/cookieconsent.css", "/npm/vanilla-cookieconsent/dist/cookieconsent.umd.js",
		"/scripts/avow-cookieconsent.js", "/scripts/avow-gate.js",
	}
	klaroFiles = []string{
		"/npm/klaro/dist/klaro.min.css", "/npm/klaro/dist/klaro-no-css.js", "/scripts/avow-klaro.js", "/scripts/avow-gate.js",
	}
)

// press clicks on what a library shows, once it can be seen and has come to rest.
func press(tab *browser.Tab, selector string) {
	tab.Script(`new Promise(function (done) {
  var before;
  (function look() {
    var e = document.querySelector("` + selector + `"), now = e && e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && JSON.stringify(e.getBoundingClientRect());
    if (now && now === before) return done();
    before = now;
    setTimeout(look, 150);
  })();
})`)
	tab.Click(selector)
}

const cookieConsentPage = heard + `
var ran = [];
avow.gate("analytics.visits", function () { ran.push("visits"); return function () { ran.push("visits ended"); }; });
function adapt() { avow.cookieconsent({consent: {legal_notices: [{identifier: "cookie_policy"}]}, callbacks: callbacks}); }
function run(revision) {
  return CookieConsent.run({
    revision: revision || 0, hideFromBots: false,
    categories: {
      necessary: {enabled: true, readOnly: true},
      analytics: {services: {visits: {label: "Visits"}, clicks: {label: "Clicks"}}},
      ads: {}
    },
    language: {default: "en", translations: {en: {
      consentModal: {title: "We use cookies", description: "To measure and to advertise.", acceptAllBtn: "Accept all", acceptNecessaryBtn: "Reject all", showPreferencesBtn: "Choose"},
      preferencesModal: {title: "Your choices", acceptAllBtn: "Accept all", acceptNecessaryBtn: "Reject all", savePreferencesBtn: "Save", sections: [
        {title: "Necessary", description: "The basket.", linkedCategory: "necessary"},
        {title: "Audience", description: "Who visits.", linkedCategory: "analytics"},
        {title: "Advertising", description: "Who buys.", linkedCategory: "ads"}]}
    }}}
  });
}
`

func cookieChoice(analytics, visits, clicks, ads bool) map[string]any {
	return map[string]any{"analytics": analytics, "analytics.visits": visits, "analytics.clicks": clicks, "ads": ads}
}

func cookieAct(choice string) map[string]any {
	return map[string]any{"choice": choice, "revision": 0., "language": "en"}
}

func TestCookieConsent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clicks      []string
		preferences map[string]any
		choice      string
		shown       string
	}{
		"accept all": {[]string{`.cm [data-role=all]`}, cookieChoice(true, true, true, true), "all", "To measure and to advertise."},
		"reject all": {[]string{`.cm [data-role=necessary]`}, cookieChoice(false, false, false, false), "necessary", "To measure and to advertise."},
		"custom": {
			[]string{`.cm [data-role=show]`, `.pm .section__toggle-wrapper:has([value=ads])`, `.pm [data-role=save]`},
			cookieChoice(false, false, false, true), "custom", "Who buys.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			url := site{policy: "; style-src 'self'; img-src data:", beside: cookieConsentFiles, after: l.started() + cookieConsentPage + `adapt(); run();`}.serve(t, l.URL)
			tab := chromium.Tab(t)
			tab.Open(url)
			for _, selector := range c.clicks {
				press(tab, selector)
			}
			tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
			r := l.one()
			wantAct(t, r, c.preferences, cookieAct(c.choice), c.shown, "We use cookies")
			if id := browser.Eval[string](tab, `CookieConsent.getCookie("consentId")`); r.Subject.ID != id || id == "" {
				t.Errorf("subject %q, the library's consentId is %q", r.Subject.ID, id)
			}
			// On the next page nothing is asked and nothing recorded, and the gates know.
			tab.Open(url)
			tab.Until(`CookieConsent.validConsent()`)
			l.wait(1)
			want := ""
			if c.preferences["analytics.visits"] == true {
				want = "visits"
			}
			if got := browser.Eval[string](tab, `ran.join()`); got != want {
				t.Errorf("ran %q on the next page, want %q", got, want)
			}
			quiet(t, tab)
		})
	}
}

func TestCookieConsent_changeOfMind(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	url := site{policy: "; style-src 'self'; img-src data:", beside: cookieConsentFiles, after: l.started() + cookieConsentPage + `run(); adapt();`}.serve(t, l.URL)
	tab := chromium.Tab(t)
	tab.Open(url)
	press(tab, `.cm [data-role=all]`)
	l.wait(1)
	tab.Open(url)
	tab.Until(`ran.join() === "visits"`)
	tab.Script(`CookieConsent.showPreferences()`)
	press(tab, `.pm .section__toggle-wrapper:has([value=ads])`)
	press(tab, `.pm [data-role=save]`)
	tab.Until(`answers.length === 1`)
	tab.Script(`CookieConsent.acceptCategory([])`)
	tab.Until(`answers.length === 2 && ran.join() === "visits,visits ended"`)
	all := l.wait(3)
	wantAct(t, all[0], cookieChoice(true, true, true, true), cookieAct("all"))
	wantAct(t, all[1], cookieChoice(true, true, true, false), cookieAct("custom"), "Who buys.")
	wantAct(t, all[2], cookieChoice(false, false, false, false), cookieAct("necessary"))
	if all[0].Subject.ID != all[2].Subject.ID {
		t.Errorf("one browser is two subjects: %q, %q", all[0].Subject.ID, all[2].Subject.ID)
	}
	quiet(t, tab)
}

// What the preference centre was told last holds against what the library still believes; when the library forgets,
// or asks anew, everything is open again.
func TestCookieConsent_memory(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	url := site{policy: "; style-src 'self'; img-src data:", beside: cookieConsentFiles, after: l.started() + cookieConsentPage + `run(+location.hash.slice(1)); adapt();`}.serve(t, l.URL)
	tab := chromium.Tab(t)
	tab.Open(url)
	press(tab, `.cm [data-role=all]`)
	tab.Until(`ran.join() === "visits" && answers.length === 1`)
	tab.Script(`dispatchEvent(new CustomEvent("avow:preferences", {detail: {preferences: {"analytics.visits": false}}}))`)
	tab.Open(url)
	tab.Until(`CookieConsent.validConsent()`)
	if got := browser.Eval[string](tab, `ran.join()`); got != "" {
		t.Errorf("ran %q after a withdrawal elsewhere", got)
	}
	// The site's data is cleared but for the library's cookie: it still knows.
	tab.Script(`localStorage.clear()`)
	tab.Open(url)
	tab.Until(`ran.join() === "visits"`)
	// A new revision is asked anew, and until then nothing runs.
	tab.Open("about:blank")
	tab.Open(url + "#1")
	tab.Until(`!!document.querySelector(".show--consent")`)
	if got := browser.Eval[string](tab, `ran.join()`); got != "" {
		t.Errorf("ran %q while the banner asks anew", got)
	}
	press(tab, `.cm [data-role=all]`)
	tab.Until(`ran.join() === "visits" && answers.length === 1`)
	l.wait(2)
	quiet(t, tab)
}

// The person is faster than the adapter and avow.js.
func TestCookieConsent_beforeAdapter(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	url := site{
		policy: "; style-src 'self'; img-src data:", tag: `src="/empty.js"`, beside: cookieConsentFiles,
		after: cookieConsentPage + `run(); avow.cons_instructions = [["init", {api_key: "` + l.publicKey + `", log_level: "none"}]];
function arrive() { var s = document.createElement("script"); s.src = "` + l.URL + `/avow.js"; document.head.append(s); }`,
	}.serve(t, l.URL)
	tab := chromium.Tab(t)
	tab.Open(url)
	press(tab, `.cm [data-role=all]`)
	tab.Until(`CookieConsent.validConsent()`)
	tab.Script(`adapt(); arrive()`)
	tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
	wantAct(t, l.one(), cookieChoice(true, true, true, true), cookieAct("all"), "To measure and to advertise.")
	tab.Open(url)
	tab.Script(`adapt(); arrive()`)
	tab.Until(`ran.join() === "visits" && !!avow.submit`)
	l.wait(1)
	quiet(t, tab)
}

const klaroConfig = `
var klaroConfig = {
  elementID: "choices", lang: "en", acceptAll: true, privacyPolicy: "/privacy",
  translations: {en: {consentNotice: {description: "We would like to measure and to advertise."}, purposes: {audience: "Audience", advertising: "Advertising", basket: "Basket"},
    visits: {description: "Who visits."}, clicks: {description: "What is clicked."}, banners: {description: "What is bought."}, shop: {description: "The basket."}}},
  services: [
    {name: "shop", purposes: ["basket"], required: true},
    {name: "visits", purposes: ["audience"]}, {name: "clicks", purposes: ["audience", "advertising"]}, {name: "banners", purposes: ["advertising"]}
  ]
};
`

const klaroPage = heard + `
var ran = [];
avow.gate("visits", function () { ran.push("visits"); return function () { ran.push("visits ended"); }; });
avow.klaro({consent: {legal_notices: [{identifier: "cookie_policy"}]}, callbacks: callbacks});
`

func klaroChoice(visits, clicks, banners bool) map[string]any {
	return map[string]any{
		"visits": visits, "clicks": clicks, "banners": banners, "audience": visits && clicks, "advertising": clicks && banners,
	}
}

func TestKlaro(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		clicks      []string
		preferences map[string]any
		choice      string
		shown       string
	}{
		"accept":  {[]string{`.cm-btn-success`}, klaroChoice(true, true, true), "accept", "We would like to measure and to advertise."},
		"decline": {[]string{`.cn-decline`}, klaroChoice(false, false, false), "decline", "We would like to measure and to advertise."},
		"custom": {
			[]string{`.cn-learn-more`, `li:has(#purpose-item-audience) .cm-caret a`, `label[for=service-item-visits]`, `.cm-btn-accept`},
			klaroChoice(true, false, false), "save", "Who visits.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			url := site{policy: "; style-src 'self' 'unsafe-inline'; img-src data:", before: klaroConfig, beside: klaroFiles, after: l.started() + klaroPage}.serve(t, l.URL)
			tab := chromium.Tab(t)
			tab.Open(url)
			for _, selector := range c.clicks {
				press(tab, selector)
			}
			tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
			r := l.one()
			wantAct(t, r, c.preferences, map[string]any{"choice": c.choice}, c.shown)
			want := ""
			if c.preferences["visits"] == true {
				want = "visits"
			}
			for range 2 { // here, and on the next page, where nothing is recorded
				if got := browser.Eval[string](tab, `ran.join()`); got != want {
					t.Errorf("ran %q, want %q", got, want)
				}
				tab.Open(url)
				tab.Until(`klaro.getManager().confirmed`)
			}
			// A change of mind is a record of its own, and the gate closes.
			tab.Script(`klaro.getManager().changeAll(false); klaro.getManager().saveAndApplyConsents()`)
			if want != "" {
				tab.Until(`ran.join() === "visits,visits ended"`)
			}
			all := l.wait(2)
			if diff := cmp.Diff(klaroChoice(false, false, false), all[1].Preferences); diff != "" {
				t.Errorf("preferences (-want +got):\n%s", diff)
			}
			quiet(t, tab)
		})
	}
}

// When Klaro's cookie lapses it asks anew, and until it is answered nothing runs.
func TestKlaro_memory(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	url := site{policy: "; style-src 'self' 'unsafe-inline'; img-src data:", before: klaroConfig, beside: klaroFiles, after: l.started() + klaroPage}.serve(t, l.URL)
	tab := chromium.Tab(t)
	tab.Open(url)
	press(tab, `.cm-btn-success`)
	tab.Until(`ran.join() === "visits" && answers.length === 1`)
	tab.Script(`document.cookie = "klaro=; path=/; max-age=0"`)
	tab.Open(url)
	tab.Until(`!!document.querySelector(".cm-btn-success")`)
	if got := browser.Eval[string](tab, `ran.join()`); got != "" {
		t.Errorf("ran %q while the banner asks anew", got)
	}
	l.wait(1)
	quiet(t, tab)
}
