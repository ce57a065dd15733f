package snippet_test

import (
	"testing"

	"github.com/avow-consent/avow/internal/snippet/browser"
)

// gated loads a function behind analytics and a script behind ads, and says what ran.
const gated = heard + `
var ran = [];
function log(what) { return function () { ran.push(what); }; }
avow.gate("analytics", function () { ran.push("analytics"); return log("analytics ended"); });
avow.gate("ads", "/scripts/avow-klaro.js"); // any script; it makes avow.klaro
avow.gate("maps", log("maps"), {withdrawn: log("maps withdrawn")});
function tell(preferences) { dispatchEvent(new CustomEvent("avow:preferences", {detail: {preferences: preferences}})); }
function choose(preferences) { avow.banner({categories: Object.keys(preferences)}).choose(preferences); }
function has() { return ran.join() + (avow.klaro ? " and ads" : ""); }
`

func gateSite(t *testing.T, s site) (tab *browser.Tab, url string, want func(string)) {
	t.Helper()
	r := newRecorder(t)
	s.beside = []string{"/scripts/avow-gate.js", "/scripts/avow-banner.js"}
	s.after = gated + s.after
	url = s.serve(t, r.URL)
	tab = chromium.Tab(t)
	tab.Open(url)
	return tab, url, func(ran string) {
		t.Helper()
		got := browser.Eval[string](tab, `new Promise(function (done) {
  var tries = 0;
  (function look() {
    // Once it is as wanted it has to stay so for a moment.
    if (has() !== "`+ran+`" && tries++ < 100) return setTimeout(look, 50);
    setTimeout(function () { done(has()); }, 200);
  })();
})`)
		if got != ran {
			t.Errorf("ran: %q, want %q", got, ran)
		}
	}
}

func TestGate_opensAndCloses(t *testing.T) {
	t.Parallel()
	tab, url, want := gateSite(t, site{before: `var logged = []; console.warn = function (s) { logged.push(s); };`})
	want("")
	tab.Script(`tell({analytics: false, ads: "yes", maps: 1})`) // only true is a yes
	want("")
	tab.Script(`tell({analytics: true, other: true})`)
	want("analytics")
	tab.Script(`tell({ads: true})`)
	want("analytics and ads")
	// Who only tells has to tell each page; what was chosen in our own banner opens the next page's gates at once.
	tab.Open(url)
	want("")
	tab.Script(`choose({analytics: true, ads: true})`)
	tab.Open(url)
	want("analytics and ads")
	// A no lasts, whoever tells it. What is withdrawn ends as far as it can, and the page hears what only a reload ends.
	tab.Script(`tell({analytics: false, ads: false, maps: true})`)
	want("analytics,analytics ended,maps and ads")
	if got := browser.Eval[string](tab, `JSON.stringify(heard.filter(function (h) { return h[0] === "avow:reload"; })) + logged`); got != `[["avow:reload",{"preference":"ads"}]]avow: ads was withdrawn; what it loaded runs until the page is reloaded` {
		t.Errorf("the page heard %s", got)
	}
	// What ended can begin again; what never ended is not loaded twice.
	tab.Script(`ran = []; tell({analytics: true, ads: true, maps: false})`)
	want("analytics,maps withdrawn and ads")
	if got := browser.Eval[int](tab, `document.querySelectorAll("script[src='/scripts/avow-klaro.js']").length`); got != 1 {
		t.Errorf("the script is there %d times", got)
	}
	tab.Script(`tell({maps: true})`)
	want("analytics,maps withdrawn and ads")
	tab.Script(`tell({analytics: false, ads: false, maps: false})`)
	tab.Open(url)
	want("")
	quiet(t, tab)
}

func TestGate_otherTabs(t *testing.T) {
	t.Parallel()
	tab, url, want := gateSite(t, site{})
	beside := tab.Beside()
	beside.Open(url)
	beside.Script(`choose({analytics: true, ads: true})`)
	tab.Until(`has() === "analytics and ads"`)
	beside.Script(`tell({analytics: false})`)
	tab.Until(`has() === "analytics,analytics ended and ads"`)
	// Somebody clears the storage: nobody has withdrawn anything.
	beside.Script(`localStorage.clear()`)
	want("analytics,analytics ended and ads")
	tab.Open(url)
	want("")
	quiet(t, tab)
	quiet(t, beside)
}

func TestGate_withoutStorage(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{
		"denied": `Object.defineProperty(window, "localStorage", {get: function () { throw new DOMException("denied"); }});`,
		"full":   `Storage.prototype.setItem = function () { throw new DOMException("full"); };`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tab, url, want := gateSite(t, site{before: before, after: `
function late() { avow.gate("analytics", log("late")); }`})
			tab.Script(`tell({analytics: true}); late()`)
			want("analytics,late")
			tab.Script(`tell({maps: true}); tell({analytics: false})`)
			want("analytics,late,maps,analytics ended")
			tab.Open(url)
			want("")
			quiet(t, tab)
		})
	}
}

// A signal of the browser is a no to what the site says is sale or sharing, and to nothing else.
func TestGate_globalPrivacyControl(t *testing.T) {
	t.Parallel()
	tab, _, want := gateSite(t, site{
		before: `Object.defineProperty(navigator, "globalPrivacyControl", {value: true});`,
		after:  `avow.gate("analytics", log("shared"), {sale_or_sharing: true});`,
	})
	tab.Script(`tell({analytics: true})`)
	want("analytics")
	quiet(t, tab)
}

// One gate's error is the page's to see, and no other gate's.
func TestGate_throwing(t *testing.T) {
	t.Parallel()
	tab, _, want := gateSite(t, site{after: `
var errors = [];
addEventListener("error", function (e) { errors.push(e.message); e.preventDefault(); });
avow.gate("maps", function () { throw new Error("broken"); });
avow.gate("maps", log("after"));`})
	tab.Script(`tell({maps: true})`)
	want("maps,after")
	if got := browser.Eval[string](tab, `errors.join()`); got != "Uncaught Error: broken" {
		t.Errorf("errors: %s", got)
	}
}

// The strictest page takes functions, and scripts only through its own policy.
func TestGate_trustedTypes(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		policy: "; require-trusted-types-for 'script'; trusted-types shop", beside: []string{"/scripts/avow-gate.js"},
		after: heard + `
var shop = trustedTypes.createPolicy("shop", {createScriptURL: function (url) { return url; }});
avow.gate("ads", shop.createScriptURL("/scripts/avow-klaro.js"));
function tell(preferences) { dispatchEvent(new CustomEvent("avow:preferences", {detail: {preferences: preferences}})); }`,
	}.open(t, r.URL)
	tab.Script(`tell({ads: true}); dispatchEvent(new CustomEvent("avow:preferences"))`)
	tab.Until(`!!avow.klaro`)
	quiet(t, tab)
}
