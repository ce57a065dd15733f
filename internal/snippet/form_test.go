package snippet_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/snippet/browser"
)

func TestSubmit_mapAndExplicitConsent(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body: `<form id="f">
<input name="mail" value="ines@example.test"><input id="given" value="Ines"><input name="family" value="Roca"><input name="blank">
<input type="checkbox" name="news" checked><input type="checkbox" name="ads">
<input name="secret_word" value="tulip">
</form>`,
		after: started + `
avow.submit({
  form: {selector: document.getElementById("f"), map: {
    subject: {email: "mail", first_name: "given", last_name: "family", full_name: "blank", id: "absent"},
    preferences: {newsletter: "news", ads: "ads"},
    exclude: ["secret_word"]
  }},
  consent: {
    timestamp: "2026-02-03T10:15:30Z",
    subject: {id: "cust-881", last_name: "Roca Vidal", email: undefined},
    preferences: {ads: true, terms: true},
    proofs: [{form: "shown elsewhere"}, {content: "second"}],
    legal_notices: [{identifier: "privacy_policy"}],
    consent_type: null
  }
}, callbacks);`,
	}.open(t, r.URL)
	got := r.one()
	delete(got.body, "sent_at")
	want := map[string]any{
		"timestamp":   "2026-02-03T10:15:30Z",
		"subject":     map[string]any{"id": "cust-881", "email": "ines@example.test", "first_name": "Ines", "last_name": "Roca Vidal"},
		"preferences": map[string]any{"newsletter": true, "ads": true, "terms": true},
		"proofs": []any{
			map[string]any{
				"content": `{"mail":"ines@example.test","given":"Ines","family":"Roca","blank":"","news":true,"ads":false,"_avow":{"language":"en","pre_ticked":["newsletter"]}}`,
				"form":    "shown elsewhere",
			},
			map[string]any{"content": "second"},
		},
		"legal_notices": []any{map[string]any{"identifier": "privacy_policy"}},
		"consent_type":  nil,

		"autodetect_ip_address": false,
	}
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	quiet(t, tab)
}

func TestSubmit_waysToNameAForm(t *testing.T) {
	t.Parallel()
	for name, form := range map[string]string{
		"element":             `{selector: document.forms[0]}`,
		"id":                  `{selector: "sign-up"}`,
		"CSS selector":        `{selector: "#sign-up"}`,
		"CSS path":            `{selector: "body > form.wide"}`,
		"jQuery-like":         `{selector: {0: document.forms[0], length: 1}}`,
		"the form itself":     `document.forms[0]`,
		"its id itself":       `"sign-up"`,
		"jQuery-like, itself": `{0: document.forms[0], length: 1, selector: "old"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			tab := site{
				// A field may have any name, also those of the form's own properties.
				body:  `<form id="sign-up" class="wide"><input name="elements" value="1"><input name="id" value="2"><input name="selector" value="3"></form>`,
				after: started + `avow.submit({form: ` + form + `});`,
			}.open(t, r.URL)
			content, _ := r.one().proof(t)
			if diff := cmp.Diff(map[string]any{"elements": "1", "id": "2", "selector": "3"}, content); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
			quiet(t, tab)
		})
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body: `<form id="f">
<input type="checkbox" name="yes" checked><input type="checkbox" name="no">
<input type="checkbox" name="topics[]" value="tea" checked><input type="checkbox" name="topics[]" value="cups"><input type="checkbox" name="topics[]" value="books" checked>
<input type="checkbox" name="others[]" value="a"><input type="checkbox" name="others[]" value="b" checked>
<input type="hidden" name="pair" value="0"><input type="checkbox" name="pair" value="1" checked>
<input type="hidden" name="pair_off" value="0"><input type="checkbox" name="pair_off" value="1">
<input type="hidden" name="rails_radio" value=""><input type="radio" name="rails_radio" value="a"><input type="radio" name="rails_radio" value="b" checked>
<input type="hidden" name="rails_unanswered" value=""><input type="radio" name="rails_unanswered" value="a"><input type="radio" name="rails_unanswered" value="b">
<input type="hidden" name="rails_many[]" value=""><select name="rails_many[]" multiple><option selected>fr</option><option>en</option></select>
<input type="radio" name="contact" value="mail"><input type="radio" name="contact" value="phone" checked>
<input type="radio" name="unanswered" value="a"><input type="radio" name="unanswered" value="b">
<select name="often"><option value="w">Weekly</option><option value="m" selected>Monthly</option></select>
<select name="langs" multiple><option selected>fr</option><option>en</option><option selected>it</option></select>
<textarea name="words">As is,
line by line</textarea>
<input name="names[]" value="Ana"><input name="names[]" value="Bo">
<input type="hidden" name="campaign" value="spring"><input type="hidden" name="csrf" value="9f3c">
</form><input type="date" name="day" form="f" value="2026-02-03">`,
		after: started + `
var names = ["yes", "no", "topics[]", "others[]", "pair", "pair_off", "rails_radio", "rails_unanswered", "rails_many[]", "contact", "unanswered", "often", "words", "names[]", "campaign", "day"], map = {};
names.forEach(function (n) { map[n] = n; });
avow.submit({form: {selector: "f", map: {preferences: map}}});`,
	}.open(t, r.URL)
	p := r.one()
	want := map[string]any{
		"yes": true, "no": false, "topics[]": true, "others[]": false, "pair": true, "pair_off": false,
		"rails_radio": "b", "rails_many[]": []any{"fr"},
		"contact": "phone", "often": "m", "words": "As is,\nline by line", "names[]": "Ana", "campaign": "spring", "day": "2026-02-03",
	}
	if diff := cmp.Diff(want, p.body["preferences"]); diff != "" {
		t.Errorf("preferences (-want +got):\n%s", diff)
	}
	content, _ := p.proof(t)
	want["topics[]"] = []any{"tea", "books"}
	want["others[]"] = []any{"b"}
	want["names[]"] = []any{"Ana", "Bo"}
	want["langs"] = []any{"fr", "it"}
	if diff := cmp.Diff(want, content); diff != "" {
		t.Errorf("proof content (-want +got):\n%s", diff)
	}
	quiet(t, tab)
}

// Boxes of one name are a question each where each says which.
func TestValues_boxesOfOneName(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body: `<form id="f">
<input type="checkbox" name="optin[]" value="mail" data-cons-preference="mail" id="yes"><input type="checkbox" name="optin[]" value="sms" data-cons-preference="sms">
</form>`,
		after: started + `function go() { avow.submit({form: "f"}); }`,
	}.open(t, r.URL)
	tab.Click("#yes")
	tab.Script(`go()`)
	p := r.one()
	if diff := cmp.Diff(map[string]any{"mail": true, "sms": false}, p.body["preferences"]); diff != "" {
		t.Errorf("preferences (-want +got):\n%s", diff)
	}
	content, _ := p.proof(t)
	if diff := cmp.Diff(map[string]any{"optin[]": []any{"mail"}}, content); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	quiet(t, tab)
}

func TestForm_neverCaptured(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	fields := map[string]string{
		"pw": `type="password"`, "upload": `type="file"`, "card": `autocomplete="cc-number"`, "holder": `autocomplete="section-a billing cc-name"`,
		"otp": `autocomplete="one-time-code"`, "one_time_code": ``, "card_number": ``, "cvc": ``, "g-recaptcha-response": ``, "plain_pw": `autocomplete="current-password"`, "shown": `type="password"`,
		"cvv2": ``, "cardCvc": ``, "otpCode": ``, "otp1": ``, "totp": ``, "cc_number": ``, "ccnumber": ``, "oneTimeCode": ``, "user_pin": ``, "csrf_token": ``,
	}
	var body, names strings.Builder
	for name, attributes := range fields {
		body.WriteString(`<input id="` + name + `" name="` + name + `" ` + attributes + `>`)
		names.WriteString(`"` + name + `":"` + name + `",`)
	}
	tab := site{
		body: `<form id="f"><input name="mail" value="leo@example.test">` + body.String() +
			`<button id="eye" type="button" value="B1">Show</button><input type="submit" name="send" value="Send"></form>`,
		after: started + `
document.getElementById("eye").onclick = function () { document.getElementById("shown").type = "text"; };
function go() { avow.submit({form: {selector: "f", map: {subject: {` + names.String() + `email: "mail"}, preferences: {` + names.String() + ` send: "send"}}}}); }`,
	}.open(t, r.URL)
	// Typed, the browser's own notices about cards and passwords would lie on top.
	tab.Script(`document.querySelectorAll("#f input:not([name=mail]):not([type=file]):not([type=submit])").forEach(function (i) { i.value = "hunter2"; })`)
	tab.Do(chromedp.SetUploadFiles(chromedp.CSS("#upload"), []string{"snippet.go"}))
	tab.Script(`document.getElementById("eye").click()`)
	if !browser.Eval[bool](tab, `document.getElementById("shown").value === "hunter2" && document.getElementById("shown").type === "text"`) {
		t.Fatal("the page did not show the password")
	}
	tab.Script(`go()`)
	p := r.one()
	content, form := p.proof(t)
	if diff := cmp.Diff(map[string]any{"mail": "leo@example.test"}, content); diff != "" {
		t.Errorf("proof content (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]any{"email": "leo@example.test"}, p.body["subject"]); diff != "" {
		t.Errorf("subject (-want +got):\n%s", diff)
	}
	if got := p.body["preferences"]; len(got.(map[string]any)) != 0 {
		t.Errorf("preferences = %v, want none", got)
	}
	if strings.Contains(form, "hunter2") || strings.Contains(form, "snippet.go") {
		t.Errorf("the form's proof holds a secret: %s", form)
	}
	quiet(t, tab)
}

// A name that only looks like that of a secret loses nothing, and a tick is none whatever its name says.
func TestForm_captured(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	var body strings.Builder
	want := map[string]any{}
	for _, name := range []string{"annonces", "alerte_annonces", "renonce_retractation", "optin", "opinion", "footprint", "otp_by_sms"} {
		body.WriteString(`<input type="checkbox" name="` + name + `" data-cons-preference="` + name + `" checked>`)
		want[name] = true
	}
	for _, name := range []string{"phone_time", "no_annonce", "opinions", "verification_code", "security_code", "smsCode"} {
		body.WriteString(`<input name="` + name + `" data-cons-preference="` + name + `" value="x">`)
		want[name] = "x"
	}
	tab := site{body: `<form id="f">` + body.String() + `</form>`, after: started + `avow.submit({form: "f"});`}.open(t, r.URL)
	p := r.one()
	if diff := cmp.Diff(want, p.body["preferences"]); diff != "" {
		t.Errorf("preferences (-want +got):\n%s", diff)
	}
	content, _ := p.proof(t)
	if diff := cmp.Diff(want, content); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	quiet(t, tab)
}

// signUpForm is a form as a server sends it to one visitor: with that visitor's tokens, and perhaps filled in already.
func signUpForm(visitor string) string {
	return `<form id="f" action="/next?sid=` + visitor + `" data-nonce="` + visitor + `" class="form">
<!-- rendered for ` + visitor + ` -->
<script src="/after.js?` + visitor + `"></script><style>p{color:red}</style>
<input type="hidden" name="csrf_` + visitor + `" value="` + visitor + `">
<p id="intro-` + visitor + `">Tea &amp; cups: <em>news</em> by post &lt;3</p><input id="search-` + visitor + `" name="search" aria-label="Search">
<label for="mail">E-mail</label> <input id="mail" type="email" name="mail" placeholder="you@example.test" required value="` + visitor + `">
<input type="password" id="pw" name="pw">
<label><input type="checkbox" name="news" value="1" checked> Send me news</label>
<label><input type="checkbox" name="ads" value="1"> Show me ads</label>
<select name="often"><option value="w">Weekly</option><option value="m" selected>Monthly</option></select>
<textarea name="words">` + visitor + `</textarea>
<div contenteditable>` + visitor + `</div>
<a href="/privacy?lang=en">Privacy</a> <a href="javascript:x('` + visitor + `')">Help</a><br>
<div><iframe title="captcha" src="/next?` + visitor + `"></iframe>` + map[string]string{
		"leo": `<textarea id="h-captcha-response-06iq" name="h-captcha-response"></textarea>`, // to Ines it comes later
	}[visitor] + `</div>
<button id="eye" type="button">Show</button><input type="submit" value="Sign up">
</form>`
}

const signUpProof = `<form>


` + `
<p>Tea &amp; cups: <em>news</em> by post &lt;3</p><input name="search" aria-label="Search">
<label for="mail">E-mail</label> <input type="email" name="mail" id="mail" required="" placeholder="you@example.test">
<input type="password" name="pw">
<label><input type="checkbox" name="news" value="1" checked=""> Send me news</label>
<label><input type="checkbox" name="ads" value="1"> Show me ads</label>
<select name="often"><option value="w">Weekly</option><option value="m" selected="">Monthly</option></select>
<textarea name="words"></textarea>
<div></div>
<a href="/privacy?lang=en">Privacy</a> <a>Help</a><br>
<div></div>
<button type="button">Show</button><input type="submit" value="Sign up">
</form>`

func TestProof_formIsTheSameForEverybody(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	for i, visitor := range []string{"ines", "leo"} {
		tab := site{
			body: signUpForm(visitor),
			after: started + `
document.getElementById("eye").onclick = function () { document.getElementById("pw").type = "text"; this.disabled = true; };`,
		}.open(t, r.URL)
		tab.Type("#mail", visitor+"@example.test")
		tab.Type("textarea", "I am "+visitor)
		tab.Type("#pw", visitor)
		if visitor == "leo" {
			tab.Click("[name=news]")
			tab.Click("[name=ads]")
			tab.Click("#eye")
			tab.Script(`document.querySelector("select").value = "w"; document.getElementById("f").classList.add("touched")`)
		}
		tab.Script(`avow.submit({form: "f"})`)
		posts := r.wait(1)
		_, form := posts[i].proof(t)
		if diff := cmp.Diff(signUpProof, form); diff != "" {
			t.Errorf("%s's form (-want +got):\n%s", visitor, diff)
		}
	}
}
