package snippet_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/snippet"
	"github.com/avow-consent/avow/internal/snippet/browser"
	bundler "github.com/avow-consent/avow/internal/snippet/build"
)

// trusted forbids everything that Trusted Types can forbid: no policy may even be made.
const trusted = "; require-trusted-types-for 'script'; trusted-types 'none'"

func published(t *testing.T, name string) string {
	t.Helper()
	all, err := bundler.ReadPublished("dist/integrity.json")
	if err != nil || all[snippet.Version][name] == "" {
		t.Fatalf("no integrity of %s: %v", name, err)
	}
	return all[snippet.Version][name]
}

// A page under a strict policy loads the script by its published hash and captures a form; nothing but _iub and avow
// appears on window, and no cookie is set.
func TestSafe_strictPage(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := l.newsletter(`var before = Object.keys(window);`)
	s.policy = trusted
	s.tag = `integrity="` + published(t, "avow.js") + `" crossorigin src="` + l.URL + `/avow.js"`
	s.after += stays
	tab := s.open(t, l.URL)
	const added = `Object.keys(window).filter(function (n) { return before.indexOf(n) < 0 && ["before", "form", "go"].indexOf(n) < 0; }).sort().join()`
	if got := browser.Eval[string](tab, added); got != "_iub,avow" {
		t.Errorf("the script adds %s to window", got)
	}
	fill(tab)
	tab.Click("#go")
	tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
	l.wantOnly(leo)
	if got := browser.Eval[string](tab, `document.cookie`); got != "" {
		t.Errorf("cookie %q", got)
	}
	quiet(t, tab)
}

func TestSafe_wrongIntegrityDoesNotRun(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	tab := site{tag: `integrity="` + published(t, "avow.mjs") + `" crossorigin src="` + l.URL + `/avow.js"`}.open(t, l.URL)
	if browser.Eval[bool](tab, `"avow" in window`) {
		t.Error("a script with another hash than the tag's has run")
	}
}

// The module is the same API, from the site's own host.
func TestSafe_module(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	module, err := os.ReadFile("dist/avow.mjs")
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{
		"/": `<!doctype html><title>Module</title>` + newsletter + `<script type="module" src="/page.mjs"></script>`,
		"/page.mjs": `import avow from "/avow-` + snippet.Version + `.mjs";
avow.init({api_key: "` + l.publicKey + `", endpoint: "` + l.URL + `"});
avow.submit({form: {selector: "f", map: {subject: {email: "mail"}, preferences: {news: "news"}}}, consent: {subject: {email: "` + leo + `"}}})
  .success(r => { document.title = r.id; });
if (avow !== window.avow) document.title = "another API";`,
		"/avow-" + snippet.Version + ".mjs": string(module),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".mjs") {
			w.Header().Set("Content-Type", snippet.ContentType)
		} else {
			w.Header().Set("Content-Type", "text/html")
		}
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; connect-src "+l.URL+trusted)
		w.Write([]byte(text[r.URL.Path]))
	}))
	t.Cleanup(server.Close)
	tab := chromium.Tab(t)
	tab.Open(server.URL)
	tab.Until(`document.title.length === 36`)
	r := l.one()
	if got := browser.Eval[string](tab, `document.title`); got != r.ID || r.Subject.Email != leo || r.Preferences["news"] != false {
		t.Errorf("the page got %s, the ledger holds %+v", got, r)
	}
	quiet(t, tab)
}

func TestSafe_foreignFetch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ before, after string }{
		"wrapped before": {before: `var plain = window.fetch; window.fetch = function () { return plain.apply(this, arguments); };`},
		"broken after":   {after: `window.fetch = function () { throw new Error("replaced"); };`},
		"gone after":     {after: `window.fetch = undefined;`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			s := l.newsletter(c.before)
			s.after += stays + c.after
			tab := s.open(t, l.URL)
			fill(tab)
			tab.Click("#go")
			tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
			l.wantOnly(leo)
			quiet(t, tab)
		})
	}
	// A fetch that does not work at all, from the beginning: the browser is handed the consent when the page goes.
	t.Run("broken before", func(t *testing.T) {
		t.Parallel()
		l := newLedger(t)
		tab := l.newsletter(`window.fetch = function () { throw new Error("replaced"); };`).open(t, l.URL)
		fill(tab)
		tab.Click("#go")
		tab.Until(`document.title === "Next"`)
		l.wantOnly(leo)
	})
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body: `<form id="f">
<input data-cons-subject="email" name="a" value="ines@example.test"><input data-cons-subject="telephone" value="600">
<input type="checkbox" data-cons-preference="newsletter" name="b"><input type="checkbox" data-cons-preference="ads" name="c">
<input type="radio" data-cons-preference="often" name="d" value="w"><input type="radio" name="d" value="m" id="m">
<input type="hidden" data-cons-preference="campaign" name="e" value="spring"><input data-cons-exclude name="f" value="tulip">
</form>`,
		after: started + `document.getElementById("m").checked = true;
function go() { avow.submit({form: {selector: "f", map: {preferences: {ads: "b"}}}}); }`,
	}.open(t, r.URL)
	tab.Click("[name=b]")
	tab.Script(`go()`)
	p := r.one()
	if diff := cmp.Diff(map[string]any{"email": "ines@example.test", "telephone": "600"}, p.body["subject"]); diff != "" {
		t.Errorf("subject (-want +got):\n%s", diff)
	}
	want := map[string]any{"newsletter": true, "ads": true, "often": "m", "campaign": "spring"} // the map wins
	if diff := cmp.Diff(want, p.body["preferences"]); diff != "" {
		t.Errorf("preferences (-want +got):\n%s", diff)
	}
	content, _ := p.proof(t)
	if diff := cmp.Diff(map[string]any{"a": "ines@example.test", "b": true, "c": false, "d": "m", "e": "spring"}, content); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	quiet(t, tab)
}

// What else is known of an act, and what a site asks for.
func TestOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options, map_ string
		ip            bool
		shown         map[string]any
		entered       []string
	}{
		"nothing asked for": {shown: map[string]any{"language": "it"}, entered: []string{"mail", "news", "words"}},
		"all asked for": {
			options: `, page_url: true, page_title: true, autodetect_ip_address: true`, ip: true,
			shown:   map[string]any{"language": "it", "title": "Site", "url": "URL/"},
			entered: []string{"mail", "news", "words"},
		},
		"only what is needed":      {map_: `, include: []`, shown: map[string]any{"language": "it"}, entered: []string{"mail", "news"}},
		"what is needed and words": {map_: `, include: ["words"]`, shown: map[string]any{"language": "it"}, entered: []string{"mail", "news", "words"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			url := site{
				body: `<div lang="it"><form id="f"><input name="mail" value="` + leo + `"><input type="checkbox" name="news"><textarea name="words">Ciao</textarea></form></div>`,
				after: `avow.init({api_key: "` + l.publicKey + `"` + c.options + `});
avow.submit({form: {selector: "f", map: {subject: {email: "mail"}, preferences: {news: "news"}` + c.map_ + `}}}, callbacks);`,
			}.serve(t, l.URL)
			tab := chromium.Tab(t)
			tab.Open(url + "/?token=secret#part")
			tab.Until(`answers.length === 1`)
			r := l.one()
			if (r.IPAddress != "") != c.ip {
				t.Errorf("ip_address = %q, wanted: %t", r.IPAddress, c.ip)
			}
			entered, shown := r.content(t)
			if u, ok := c.shown["url"]; ok {
				c.shown["url"] = strings.Replace(u.(string), "URL", url, 1)
			}
			if diff := cmp.Diff(c.shown, shown); diff != "" {
				t.Errorf("how it was shown (-want +got):\n%s", diff)
			}
			for _, name := range c.entered {
				if entered[name] == nil {
					t.Errorf("%s is not in the proof", name)
				}
			}
			if len(entered) != len(c.entered) {
				t.Errorf("entered = %v, want %v", entered, c.entered)
			}
			quiet(t, tab)
		})
	}
}

// A tick that may be nobody's act is recorded as such; a site may have it left out.
func TestDoubts(t *testing.T) {
	t.Parallel()
	const form = `<form id="f">
<label><input type="checkbox" name="kept" checked> Pre-ticked, left as it was</label>
<label><input type="checkbox" name="undone" checked> Pre-ticked, and unticked</label>
<label><input type="checkbox" name="redone" checked> Pre-ticked, unticked and ticked</label>
<span hidden><label><input type="checkbox" name="unseen"> Ticked by the page where nobody sees it</label></span>
<input type="hidden" name="secretly" value="1"><input type="hidden" name="paired" value="0"><label><input type="checkbox" name="paired"> Beside a hidden no</label>
<label><input type="checkbox" name="styled" hidden id="styled"> A box that only its label shows</label>
<label><input type="checkbox" name="honest"> Ticked by the person</label>
</form>`
	for name, c := range map[string]struct {
		option string
		left   map[string]any
	}{
		"recorded": {"", map[string]any{"kept": true, "undone": false, "redone": true, "unseen": true, "secretly": "1", "paired": false, "styled": true, "honest": true}},
		"left out": {`, doubtful: "omit"`, map[string]any{"undone": false, "redone": true, "paired": false, "styled": true, "honest": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			tab := site{
				before: `var logged = []; console.warn = function (s) { logged.push(s); };`,
				body:   form,
				after: `avow.init({api_key: "` + publicKey + `"` + c.option + `});
document.querySelector("[name=unseen]").checked = true;
function go() { var map = {}; "kept undone redone unseen secretly paired styled honest".split(" ").forEach(function (n) { map[n] = n; }); avow.submit({form: {selector: "f", map: {preferences: map}}}); }`,
			}.open(t, r.URL)
			for _, box := range []string{"[name=undone]", "[name=redone]", "[name=redone]", "label:has(#styled)", "[name=honest]"} {
				tab.Click(box)
			}
			tab.Script(`go()`)
			p := r.one()
			if diff := cmp.Diff(c.left, p.body["preferences"]); diff != "" {
				t.Errorf("preferences (-want +got):\n%s", diff)
			}
			text := p.body["proofs"].([]any)[0].(map[string]any)["content"].(string)
			if !strings.Contains(text, `"pre_ticked":["kept"],"hidden":["unseen","secretly"]`) || !strings.Contains(text, `"kept":true`) {
				t.Errorf("content: %s", text)
			}
			if got := browser.Eval[string](tab, `logged.join()`); got != "avow: doubtful: kept,unseen,secretly" {
				t.Errorf("log: %s", got)
			}
			quiet(t, tab)
		})
	}
}

// The style of 2018: what init and submit return goes on to be told.
func TestChain(t *testing.T) {
	t.Parallel()
	r := newRecorder(t, accepted, refused(400, map[string]string{"message": "bad request"}))
	tab := site{after: `
var told = [];
function tell(what) { return function (x) { told.push(what + (x.message || "")); }; }
_iub.cons.init({api_key: "` + publicKey + `", log_level: "none"}).success(tell("ready")).error(tell("not ready"));
_iub.cons.submit({consent: {preferences: {a: true}}}).success(tell("yes")).error(tell("no"));
_iub.cons.submit({consent: {preferences: {b: true}}}).error(tell("refused: ")).success(tell("accepted"));
_iub.cons.submit({form: "gone"}).error(tell("error: ")).success(function () { throw new Error("never"); });`}.open(t, r.URL)
	tab.Until(`told.length === 4`)
	if got := browser.Eval[string](tab, `told.join()`); got != "ready,error: form not found,yes,refused: bad request" {
		t.Errorf("told: %s", got)
	}
	quiet(t, tab)
}
