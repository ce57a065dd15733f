package snippet_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	esbuild "github.com/evanw/esbuild/pkg/api"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/snippet/browser"
	"github.com/avow-consent/avow/internal/snippet/npm"
)

var update = flag.Bool("update", false, "write the proofs of testdata/forms")

// formCase is a page with a form, what a person does there, and what the ledger must hold then.
type formCase struct {
	script      string // a file with a script of the page that uses packages of npm
	load        string // the arguments of load, and what else the page does
	fill        func(*browser.Tab)
	send        string // what is clicked
	stays       bool   // the page stays, and hears the answer
	then        string // what is true of the page in the end
	preferences map[string]any
	entered     map[string]any
}

const emailNewsAds = `avow.load({submitElement: document.getElementById("send"), form: {selector: document.getElementById("signup"),
map: {subject: {email: "email"}, preferences: {newsletter: "news", advertising: "ads"}}}}, callbacks);`

// bundled is a page's script with what it imports from npm.
func bundled(t *testing.T, path string) string {
	t.Helper()
	result := esbuild.Build(esbuild.BuildOptions{
		EntryPoints: []string{path},
		Bundle:      true,
		Format:      esbuild.FormatIIFE,
		NodePaths:   []string{npm.Modules(t)},
		JSX:         esbuild.JSXAutomatic,
		Define:      map[string]string{"process.env.NODE_ENV": `"production"`},
	})
	if len(result.Errors) > 0 {
		t.Fatalf("bundling %s: %+v", path, result.Errors)
	}
	return string(result.OutputFiles[0].Contents)
}

func emailAndNews(tab *browser.Tab) { tab.Type(`[name=email]`, leo); tab.Click(`[name=news]`) }

var (
	newsNoAds = map[string]any{"newsletter": true, "advertising": false}
	enteredBy = map[string]any{"email": leo, "news": true, "ads": false}
)

var formCases = map[string]formCase{
	"plain": {load: emailNewsAds, fill: emailAndNews, send: "#send", preferences: newsNoAds, entered: enteredBy},
	"ajax": {
		load: emailNewsAds + `document.getElementById("signup").onsubmit = function (e) { e.preventDefault(); var f = this; Promise.resolve().then(function () { f.reset(); }); };`,
		fill: emailAndNews, send: "#send", stays: true, preferences: newsNoAds, entered: enteredBy,
	},
	"steps": {
		load: emailNewsAds + `document.getElementById("onward").onclick = function () { document.getElementById("step1").style.display = "none"; document.getElementById("step2").style.display = "block"; };`,
		fill: func(tab *browser.Tab) { emailAndNews(tab); tab.Click("#onward"); tab.Click("[value=green]") },
		send: "#send", preferences: newsNoAds, entered: map[string]any{"email": leo, "news": true, "ads": false, "tea": "green"},
	},
	"controlled": {
		script: "controlled.jsx", load: emailNewsAds,
		then: `document.querySelector("[name=email]").value === "" && !document.querySelector("[name=news]").checked`,
		fill: emailAndNews, send: "#send", stays: true, preferences: newsNoAds, entered: enteredBy,
	},
	"replaced": {
		load: `avow.load({submitElement: "#send", form: {selector: "#signup", map: {subject: {email: "email"}, preferences: {newsletter: "news"}}}}, callbacks);
setTimeout(function () {
  var form = document.createElement("form"); form.id = "signup";
  [["email", "email"], ["news", "checkbox"]].forEach(function (f) { var i = document.createElement("input"); i.name = f[0]; i.type = f[1]; form.append(f[0], i); });
  var b = document.createElement("button"); b.id = "send"; b.append("Go"); form.append(b);
  form.onsubmit = function (e) { e.preventDefault(); };
  document.getElementById("place").replaceChildren(form);
}, 300);`,
		fill: func(tab *browser.Tab) { tab.Until(`!!document.querySelector("[name=news]")`); emailAndNews(tab) },
		send: "#send", stays: true, preferences: map[string]any{"newsletter": true}, entered: map[string]any{"email": leo, "news": true},
	},
	"cf7": {
		load: `var f = document.querySelector(".wpcf7-form");
_iub.cons_instructions.push(["load", {submitElement: document.querySelector(".wpcf7-submit"), form: {selector: f,
map: {subject: {email: "your-email"}, preferences: {newsletter: "acceptance-news", topics: "topics[]"}}}}, callbacks]);
f.addEventListener("submit", function (e) { e.preventDefault(); setTimeout(function () { f.reset(); f.querySelector(".wpcf7-response-output").textContent = "Thank you."; }, 50); });`,
		fill: func(tab *browser.Tab) {
			tab.Type(`[name=your-email]`, leo)
			tab.Click(`[name=acceptance-news]`)
			tab.Click(`[value=Cups]`)
		},
		send: ".wpcf7-submit", stays: true, preferences: map[string]any{"newsletter": true, "topics": false},
		entered: map[string]any{"your-email": leo, "acceptance-news": true, "topics[]": []any{"Cups"}},
	},
	"wpforms": {
		load: `var f = document.getElementById("wpforms-form-9"), b = document.getElementById("wpforms-submit-9");
_iub.cons_instructions.push(["load", {submitElement: b, form: {selector: f,
map: {subject: {email: "wpforms[fields][1]"}, preferences: {newsletter: "wpforms[fields][2][]"}, exclude: ["wpforms[hp]"]}}}, callbacks]);
f.addEventListener("submit", function (e) { e.preventDefault(); b.disabled = true; b.textContent = b.dataset.altText; });`,
		fill: func(tab *browser.Tab) { tab.Type(`[type=email]`, leo); tab.Click(`#wpforms-9-field_2_1`) },
		send: "#wpforms-submit-9", stays: true, preferences: map[string]any{"newsletter": true},
		entered: map[string]any{"wpforms[fields][1]": leo, "wpforms[fields][2][]": true},
	},
	"elementor": {
		// As iubenda's plugin does it: armed when it is sent, without an element, and sent by hand.
		load: `var f = document.querySelector(".elementor-form");
f.addEventListener("submit", function (e) {
  e.preventDefault();
  _iub.cons_instructions.push(["load", {form: {selector: f, map: {subject: {email: "form_fields[email]"}, preferences: {newsletter: "form_fields[news]"}}}}, callbacks]);
  _iub.cons.sendData();
  _iub.cons.sendFromLocalStorage();
});`,
		fill: func(tab *browser.Tab) { tab.Type(`[type=email]`, leo); tab.Click(`#form-field-news`) },
		send: "[type=submit]", stays: true, preferences: map[string]any{"newsletter": true},
		entered: map[string]any{"form_fields[email]": leo, "form_fields[news]": true},
	},
	"mailchimp": {
		load: `_iub.cons_instructions.push(["load", {submitElement: document.getElementById("mc-embedded-subscribe"), form: {selector: document.getElementById("mc-embedded-subscribe-form"),
map: {subject: {email: "EMAIL"}, preferences: {newsletter: "gdpr[5678]"}, include: []}}}, callbacks]);`,
		fill: func(tab *browser.Tab) { tab.Type(`#mce-EMAIL`, leo); tab.Click(`#gdpr_5678`) },
		send: "#mc-embedded-subscribe", preferences: map[string]any{"newsletter": true},
		entered: map[string]any{"EMAIL": leo, "gdpr[5678]": true},
	},
}

// Each kind of form, from the browser into the ledger: what was shown, what was ticked, once.
func TestForms(t *testing.T) {
	t.Parallel()
	for name, c := range formCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t)
			body, err := os.ReadFile(filepath.Join("testdata", "forms", name+".html"))
			if err != nil {
				t.Fatal(err)
			}
			script := l.started() + c.load
			if c.script != "" {
				script = bundled(t, filepath.Join("testdata", "forms", c.script)) + script
			}
			tab := site{policy: "; style-src 'unsafe-inline'", body: string(body), after: script}.open(t, l.URL)
			c.fill(tab)
			tab.Click(c.send)
			if c.stays {
				tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
				empty(tab)
			}
			if c.then != "" {
				tab.Until(c.then)
			}
			r := l.one()
			if r.Subject.Email != leo {
				t.Errorf("subject.email = %q", r.Subject.Email)
			}
			if diff := cmp.Diff(c.preferences, r.Preferences); diff != "" {
				t.Errorf("preferences (-want +got):\n%s", diff)
			}
			entered, shown := r.content(t)
			if diff := cmp.Diff(c.entered, entered); diff != "" {
				t.Errorf("entered (-want +got):\n%s", diff)
			}
			if len(shown) != 1 { // the language, and no doubts
				t.Errorf("how it was shown: %v", shown)
			}
			golden := filepath.Join("testdata", "forms", name+".proof.html")
			if *update {
				if err := os.WriteFile(golden, []byte(r.Proofs[0].Form+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), r.Proofs[0].Form+"\n"); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
			quiet(t, tab)
		})
	}
}
