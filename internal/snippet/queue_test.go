package snippet_test

import (
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/snippet/browser"
)

func TestQueue_entriesBeforeLoad(t *testing.T) {
	t.Parallel()
	const entries = `.push(["submit", {consent: {preferences: {a: true}}}, callbacks], ["init", {api_key: "` + publicKey + `"}])`
	for name, before := range map[string]string{
		"object":           `var _iub = _iub || {}; _iub.cons_instructions = _iub.cons_instructions || []; _iub.cons_instructions` + entries,
		"array":            `var _iub = _iub || []; _iub.cons_instructions = _iub.cons_instructions || []; _iub.cons_instructions` + entries,
		"own name":         `var avow = avow || {}; avow.cons_instructions = []; avow.cons_instructions` + entries,
		"one of each name": `var _iub = {cons_instructions: [["submit", {consent: {preferences: {a: true}}}, callbacks]]}, avow = {cons_instructions: [["init", {api_key: "` + publicKey + `"}]]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			tab := site{before: before}.open(t, r.URL)
			p := r.one()
			if got := p.body["preferences"].(map[string]any)["a"]; got != true {
				t.Errorf("preferences.a = %v, want true", got)
			}
			tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
			if got := browser.Eval[string](tab, `answers[0][1].id`); got != p.key {
				t.Errorf("the success callback got id %q, want %q", got, p.key)
			}
			if !browser.Eval[bool](tab, `_iub.cons === avow && _iub.cons_instructions === avow.cons_instructions`) {
				t.Error("_iub and avow are not the same API with the same queue")
			}
			quiet(t, tab)
		})
	}
}

func TestQueue_pushAfterLoadIsSynchronous(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body: `<form id="f"><input name="mail" value="leo@example.test"></form>`,
		after: `
var seen = [];
_iub.cons_instructions.push(["init", {api_key: "` + publicKey + `"}, function () { seen.push("ready"); }]);
seen.push(fetches.length);
_iub.cons_instructions.push(["load", {submitElement: null, form: {selector: "f", map: {subject: {email: "mail"}}}}, callbacks]);
_iub.cons.sendData();
seen.push(fetches.length);`,
	}.open(t, r.URL)
	if got := browser.Eval[string](tab, `seen.join()`); got != "ready,0,1" {
		t.Errorf("right after the pushes: %s, want ready,0,1", got)
	}
	if got := r.one().body["subject"].(map[string]any)["email"]; got != "leo@example.test" {
		t.Errorf("subject.email = %v", got)
	}
	quiet(t, tab)
}

func TestInit(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{after: `
var ready = 0;
function count() { ready++; }
_iub.cons.submit({consent: {preferences: {early: true}}}, callbacks);
_iub.cons.init({log_level: "none"}, count);
_iub.cons.init({api_key: "` + publicKey + `", logger: "none", sendFromLocalStorageAtLoad: false}, count);`}.open(t, r.URL)
	if got := browser.Eval[int](tab, `ready`); got != 1 {
		t.Errorf("init without api_key and with it called back %d times, want once", got)
	}
	r.one()
	quiet(t, tab)
}

func TestInit_endpoint(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]struct{ tag, option string }{
		"where the script came from": {tag: `src="API/avow.js"`},
		"asynchronous script":        {tag: `async src="API/avow.js?v=1"`},
		"attribute":                  {tag: `src="/copy.js" data-endpoint="API/"`},
		"option":                     {tag: `src="API/avow.js" data-endpoint="/nowhere"`, option: `, endpoint: "API"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			in := func(s string) string { return strings.ReplaceAll(s, "API", r.URL) }
			before := `var _iub = {cons_instructions: [["init", {api_key: "` + publicKey + `"` + in(s.option) + `}], ["submit", {consent: {preferences: {a: 1}}}]]};`
			quiet(t, site{before: before, tag: in(s.tag)}.open(t, r.URL))
			r.one()
		})
	}
}

// Nothing a page says may throw into it.
func TestQueue_nonsenseIsHarmless(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		before: `var _iub = {cons_instructions: [null, 1, "x", [], ["nope"], ["toString"], ["load"], ["submit", null, 7], ["sendData"]]};`,
		after: `
avow.init(); avow.load(); avow.load(null); avow.submit(1, 2); avow.sendData(1); avow.cons_instructions.push();
avow.init({api_key: "` + publicKey + `"}, 3);
avow.load({form: {selector: "#:bad"}, submitElement: "]"});
avow.submit({form: "gone"}, {error: function (e) { answers.push(["error", e]); throw new Error("the page's own"); }});
var loop = {}; loop.loop = loop;
avow.submit({consent: {preferences: loop}}, callbacks);
document.body.click();
document.title = "alive";`,
	}.open(t, r.URL)
	if got := browser.Eval[string](tab, `document.title`); got != "alive" {
		t.Errorf("title = %q: the page's script was stopped", got)
	}
	tab.Until(`answers.length > 0`)
	if got := browser.Eval[string](tab, `answers[0][0] + answers[0][1].status + answers[0][1].message`); got != "error0form not found" {
		t.Errorf("a form that is not there: %s", got)
	}
	quiet(t, tab)
}

func TestScript_secondTagAndForeignFetch(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body: `<form id="f"><button id="go">Go</button></form>`,
		after: started + `
window.fetch = function () { throw new Error("replaced"); };
avow.load({form: "f", submitElement: "go", consent: {preferences: {a: true}}}, callbacks);
document.getElementById("f").addEventListener("submit", function (e) { e.preventDefault(); });
var again = document.createElement("script");
again.onload = function () { document.title = "twice"; };
again.src = "` + r.URL + `/avow.js";
document.body.append(again);`,
	}.open(t, r.URL)
	tab.Until(`document.title === "twice"`)
	tab.Click("#go")
	r.one()
	quiet(t, tab)
}

// An element with id "avow" is a property of window, too.
func TestScript_elementNamedAvow(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body:  `<p id="avow"></p>`,
		tag:   `src="/empty.js"`,
		after: `var s = document.createElement("script"); s.src = "` + r.URL + `/avow.js"; s.onload = function () {` + started + `avow.submit({consent: {preferences: {a: true}}}); }; document.body.append(s);`,
	}.open(t, r.URL)
	r.one()
	quiet(t, tab)
}
