package snippet_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/snippet/browser"
)

// homeMade is a banner as a site makes it: it goes as soon as something was chosen.
const homeMade = `<div id="banner" lang="fr"><p>Nous aimerions mesurer l’audience et montrer des publicités.</p>
<label><input type="checkbox" name="analytics"> Audience</label> <label><input type="checkbox" name="ads"> Publicité</label>
<button id="all">Tout accepter</button> <button id="none">Tout refuser</button> <button id="some">Enregistrer</button></div>
<button id="leave">Next</button>`

// heard keeps what the page is told.
const heard = `
var heard = [];
["avow:preferences", "avow:reload"].forEach(function (type) {
  addEventListener(type, function (e) { heard.push([type, e.detail]); });
});
function click(id, act) { document.getElementById(id).onclick = function () { act(); document.getElementById("banner").remove(); }; }
function ask() {
  var banner = avow.banner({element: "#banner", categories: ["analytics", "ads"],
    consent: {legal_notices: [{identifier: "cookie_policy"}]}, callbacks: callbacks});
  click("all", banner.accept);
  click("none", banner.refuse);
  click("some", function () {
    var chosen = {};
    document.querySelectorAll("#banner input").forEach(function (box) { chosen[box.name] = box.checked; });
    banner.choose(chosen);
  });
  return banner;
}
`

// acts are what a person can do with a banner, and what is on record then.
var acts = map[string]struct {
	clicks      []string
	preferences map[string]any
	choice      string
}{
	"accept all": {[]string{"#all"}, map[string]any{"analytics": true, "ads": true}, "all"},
	"refuse all": {[]string{"#none"}, map[string]any{"analytics": false, "ads": false}, "none"},
	"custom":     {[]string{"[name=ads]", "#some"}, map[string]any{"analytics": false, "ads": true}, "custom"},
}

// wantAct checks the record of an act on a banner: what was chosen, how, and what was on the screen.
func wantAct(t *testing.T, r record, preferences map[string]any, act map[string]any, shown ...string) {
	t.Helper()
	if r.Act != "banner" {
		t.Errorf("act = %q", r.Act)
	}
	if diff := cmp.Diff(preferences, r.Preferences); diff != "" {
		t.Errorf("preferences (-want +got):\n%s", diff)
	}
	if len(r.Proofs) != 2 {
		t.Fatalf("proofs = %+v, want the banner as shown and the act", r.Proofs)
	}
	var said map[string]any
	if err := json.Unmarshal([]byte(r.Proofs[1].Content), &said); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(act, said); diff != "" {
		t.Errorf("the act in the proof (-want +got):\n%s", diff)
	}
	for _, text := range shown {
		if !strings.Contains(r.Proofs[0].Form, text) {
			t.Errorf("the banner in the proof lacks %q: %s", text, r.Proofs[0].Form)
		}
	}
}

func TestBanner(t *testing.T) {
	t.Parallel()
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			tab := site{
				policy: trusted, beside: []string{"/scripts/avow-banner.js"}, body: homeMade,
				after: l.started() + heard + `ask();`,
			}.open(t, l.URL)
			for _, c := range act.clicks {
				tab.Click(c)
			}
			tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
			r := l.one()
			wantAct(t, r, act.preferences, map[string]any{"choice": act.choice}, "mesurer l’audience", `lang="fr"`)
			if !strings.Contains(r.Proofs[0].Content, `"_avow":{"language":"fr"}`) {
				t.Errorf("content = %s", r.Proofs[0].Content)
			}
			if len(r.LegalNotices) != 1 || r.LegalNotices[0].Identifier != "cookie_policy" {
				t.Errorf("legal notices = %+v", r.LegalNotices)
			}
			want, _ := json.Marshal(act.preferences)
			if got := browser.Eval[string](tab, `heard.map(function (h) { return h[0] + JSON.stringify(h[1].preferences, Object.keys(h[1].preferences).sort()); }).join()`); got != "avow:preferences"+string(want) {
				t.Errorf("the page heard %s", got)
			}
			quiet(t, tab)
		})
	}
}

// The person is faster than avow.js, and the banner is gone when the script comes.
func TestBanner_beforeAvow(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	tab := site{
		tag: `src="/empty.js"`, beside: []string{"/scripts/avow-banner.js"}, body: homeMade,
		after: heard + `avow.cons_instructions = [["init", {api_key: "` + l.publicKey + `", log_level: "none"}]]; ask();
function arrive() { var s = document.createElement("script"); s.src = "` + l.URL + `/avow.js"; document.head.append(s); }`,
	}.open(t, l.URL)
	tab.Click("#some")
	tab.Script(`arrive()`)
	tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
	r := l.one()
	wantAct(t, r, map[string]any{"analytics": false, "ads": false}, map[string]any{"choice": "custom"}, "mesurer l’audience")
	if !strings.Contains(r.Proofs[0].Content, `"_avow":{"language":"fr"}`) {
		t.Errorf("content = %s", r.Proofs[0].Content)
	}
	quiet(t, tab)
}

// The page asks once, asks again about what is new, and when half a year has passed.
func TestBanner_chosen(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := site{beside: []string{"/scripts/avow-banner.js"}, body: homeMade, after: l.started() + heard + `
var banner = ask();
function chosen(categories) { return JSON.stringify(avow.banner({element: "#banner", categories: categories}).chosen()) || "ask"; }
function age(days) {
  var kept = JSON.parse(localStorage["avow.choices"]);
  Object.keys(kept).forEach(function (key) { kept[key] -= Math.sign(kept[key]) * days * 864e5; });
  localStorage["avow.choices"] = JSON.stringify(kept);
}`}
	url := s.serve(t, l.URL)
	tab := chromium.Tab(t)
	want := func(script, want string) {
		t.Helper()
		if got := browser.Eval[string](tab, script); got != want {
			t.Errorf("%s = %s, want %s", script, got, want)
		}
	}
	tab.Open(url)
	want(`chosen(["analytics", "ads"])`, "ask")
	tab.Click("[name=ads]")
	tab.Click("#some")
	tab.Open(url)
	want(`chosen(["ads", "analytics"])`, `{"ads":true,"analytics":false}`)
	want(`chosen(["ads", "analytics", "maps"])`, "ask")
	tab.Script(`age(100)`)
	want(`chosen(["ads", "analytics"])`, `{"ads":true,"analytics":false}`)
	tab.Script(`age(83)`)
	want(`chosen(["ads", "analytics"])`, "ask")
	for _, junk := range []string{`null`, `7`, `"x"`, `[1]`, `{"ads":"yes","analytics":null}`, `{`} {
		tab.Script("localStorage['avow.choices'] = `" + junk + "`")
		want(`chosen(["ads", "analytics"])`, "ask")
	}
	tab.Click("#all")
	want(`chosen(["ads", "analytics"])`, `{"ads":true,"analytics":true}`)
	l.wait(2)
	quiet(t, tab)
}

// A box that was ticked before the person came says so in the proof: hardly consent.
func TestBanner_preTicked(t *testing.T) {
	t.Parallel()
	for doubtful, preferences := range map[string]map[string]any{
		"record": {"analytics": true, "ads": true},
		"omit":   {"analytics": true},
	} {
		t.Run(doubtful, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			tab := site{
				beside: []string{"/scripts/avow-banner.js"},
				body:   strings.Replace(homeMade, `name="ads"`, `name="ads" checked`, 1),
				after:  strings.Replace(l.started(), `log_level`, `doubtful: "`+doubtful+`", log_level`, 1) + heard + `ask();`,
			}.open(t, l.URL)
			tab.Click("[name=analytics]")
			tab.Click("#some")
			tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
			r := l.one()
			wantAct(t, r, preferences, map[string]any{"choice": "custom"})
			if !strings.Contains(r.Proofs[0].Content, `"pre_ticked":["ads"]`) {
				t.Errorf("content = %s", r.Proofs[0].Content)
			}
			quiet(t, tab)
		})
	}
}

// The modules are the same functions, and find the API that is on the page.
func TestBanner_modules(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	tab := site{
		tag: `src="/empty.js"`, policy: trusted, body: homeMade + `<script type="module" src="/page.mjs"></script>`,
		modules: map[string]string{"/page.mjs": `
import avow from "/scripts/avow.mjs";
import {banner} from "/scripts/avow-banner.mjs";
import {gate} from "/scripts/avow-gate.mjs";
import {cookieconsent} from "/scripts/avow-cookieconsent.mjs";
import {klaro} from "/scripts/avow-klaro.mjs";
avow.init({api_key: "` + l.publicKey + `", endpoint: "` + l.URL + `"});
gate("ads", () => { document.title = [avow.banner === banner, avow.gate === gate, avow.cookieconsent === cookieconsent, avow.klaro === klaro].join(); });
banner({element: "banner", categories: ["ads"], callbacks}).accept();`},
	}.open(t, l.URL)
	tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
	if got := browser.Eval[string](tab, `document.title`); got != "true,true,true,true" {
		t.Errorf("the gate says %s", got)
	}
	wantAct(t, l.one(), map[string]any{"ads": true}, map[string]any{"choice": "all"})
	quiet(t, tab)
}
