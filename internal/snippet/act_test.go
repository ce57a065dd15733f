package snippet_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/avow-consent/avow/internal/snippet/browser"
)

// newsletter is a form that goes to the next page, as most do, and is watched from the start.
const newsletter = `<form id="f" action="/next">
<input id="mail" name="mail" type="email" required>
<input type="checkbox" id="news" name="news">
<button id="go">Subscribe</button><button id="later" name="later">Save for later</button>
</form>`

const watched = started + `
avow.load({
  submitElement: document.getElementById("go"),
  form: {selector: document.getElementById("f"), map: {subject: {email: "mail"}, preferences: {news: "news"}}}
}, callbacks);
var form = document.getElementById("f"), go = document.getElementById("go");
`

func wantNews(t *testing.T, p post, email string, news bool) {
	t.Helper()
	if got := p.body["subject"].(map[string]any)["email"]; got != email {
		t.Errorf("subject.email = %v, want %s", got, email)
	}
	if got := p.body["preferences"].(map[string]any)["news"]; got != news {
		t.Errorf("preferences.news = %v, want %t", got, news)
	}
}

// The form goes its own way, at once, and the post outlives the page.
func TestLoad_nativeNavigation(t *testing.T) {
	t.Parallel()
	held := func(w http.ResponseWriter, p post) {
		time.Sleep(4 * time.Second)
		accepted(w, p)
	}
	for name, send := range map[string]func(*browser.Tab){
		"click":        func(tab *browser.Tab) { tab.Click("#go") },
		"enter":        func(tab *browser.Tab) { tab.Type("#mail", kb.Enter) },
		"click in js":  func(tab *browser.Tab) { tab.Script(`go.click()`) },
		"submit in js": func(tab *browser.Tab) { tab.Script(`form.requestSubmit()`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t, held)
			r.slow = true
			tab := site{body: newsletter, after: watched}.open(t, r.URL)
			tab.Type("#mail", "leo@example.test")
			tab.Click("#news")
			begun := time.Now()
			send(tab)
			tab.Until(`document.title === "Next"`)
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("the form was on its way after %v, held up by the slow API", took)
			}
			wantNews(t, r.one(), "leo@example.test", true)
			quiet(t, tab)
		})
	}
}

func TestLoad_oneConsentPerAct(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		page string // what the page does when the form is sent
		act  func(*browser.Tab)
	}{
		"the page handles submit": {
			`form.addEventListener("submit", function (e) { e.preventDefault(); });`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"double click": {
			`form.addEventListener("submit", function (e) { e.preventDefault(); });`,
			func(tab *browser.Tab) { tab.Script(`go.click(); go.click()`) },
		},
		"the page handles the click": {
			`go.addEventListener("click", function (e) { e.preventDefault(); });`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"the page stops the events": {
			`form.addEventListener("submit", function (e) { e.preventDefault(); e.stopImmediatePropagation(); }, true);
			 go.addEventListener("click", function (e) { e.stopImmediatePropagation(); }, true);`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"the page resets the form": {
			`form.addEventListener("submit", function (e) { e.preventDefault(); form.reset(); });
			 go.addEventListener("mousedown", function () {});`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"the page handles the click, sends by itself, and empties the form": {
			`go.addEventListener("click", function (e) { e.preventDefault(); form.reset(); });`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"the page makes the form valid and sends it by itself": {
			`var mail = document.getElementById("mail"); mail.pattern = "nothing";
			 go.addEventListener("click", function (e) { e.preventDefault(); mail.pattern = ".*"; form.submit(); });`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"the page disables the button and sends the form itself": {
			`go.addEventListener("click", function () { go.disabled = true; form.submit(); });`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"the page leaves by itself, busily": {
			`go.addEventListener("click", function (e) {
			   e.preventDefault(); location.href = "/next"; for (var end = Date.now() + 1500; Date.now() < end;) {}
			 });`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"the page replaces the form": {
			`form.addEventListener("submit", function (e) { e.preventDefault(); form.remove(); });`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"the page submits by hand as well": {
			`form.addEventListener("submit", function (e) {
			   e.preventDefault();
			   avow.submit({form: {selector: form, map: {subject: {email: "mail"}, preferences: {news: "news"}}}}, callbacks);
			 });`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"armed twice": {
			`avow.load({submitElement: go, form: {selector: form, map: {subject: {email: "mail"}, preferences: {news: "news"}}}}, callbacks);`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			tab := site{body: newsletter, after: watched + c.page}.open(t, r.URL)
			tab.Type("#mail", "leo@example.test")
			tab.Click("#news")
			c.act(tab)
			wantNews(t, r.one(), "leo@example.test", true)
			quiet(t, tab)
		})
	}
}

// What the browser does not send, and what another button sends, is not this act.
func TestLoad_notAnAct(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		page string
		act  func(*browser.Tab)
	}{
		"invalid form": {act: func(tab *browser.Tab) { tab.Click("#go") }},
		"invalid form, and the page handles the click": {
			`go.addEventListener("click", function (e) { e.preventDefault(); });`,
			func(tab *browser.Tab) { tab.Click("#go") },
		},
		"the page finds the form invalid at the click": {
			`go.addEventListener("click", function () { document.getElementById("mail").setCustomValidity("No."); });`,
			func(tab *browser.Tab) {
				tab.Type("#mail", "leo@example.test")
				tab.Click("#go")
			},
		},
		"another button": {act: func(tab *browser.Tab) {
			tab.Type("#mail", "leo@example.test")
			tab.Click("#later")
			tab.Until(`document.title === "Next"`)
		}},
		"elsewhere": {act: func(tab *browser.Tab) { tab.Click("#news") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			tab := site{body: newsletter, after: watched + c.page}.open(t, r.URL)
			c.act(tab)
			r.wait(0)
			quiet(t, tab)
		})
	}
}

func TestLoad_elementThatIsNoButton(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body:  `<form id="f"><input id="mail" name="mail"><input type="checkbox" id="news" name="news" checked></form><a id="go" href="/next"><b>Go on</b></a>`,
		after: watched,
	}.open(t, r.URL)
	tab.Type("#mail", "leo@example.test")
	tab.Click("#go b")
	tab.Until(`document.title === "Next"`)
	wantNews(t, r.one(), "leo@example.test", true)
}

// A form named by a selector may come later than the instruction, and be replaced.
func TestLoad_formThatComesLater(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		before: `var _iub = {cons_instructions: [["init", {api_key: "` + publicKey + `"}],
["load", {submitElement: "#go", form: {selector: "#f", map: {subject: {email: "mail"}, preferences: {news: "news"}}}}]]};`,
		body:  newsletter,
		after: `var old = document.getElementById("f"); old.replaceWith(old.cloneNode(true));`,
	}.open(t, r.URL)
	tab.Type("#mail", "leo@example.test")
	tab.Click("#go")
	tab.Until(`document.title === "Next"`)
	wantNews(t, r.one(), "leo@example.test", false)
}

func TestSendData(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body: `<form id="f"><input id="mail" name="mail" value="leo@example.test"><input type="checkbox" id="news" name="news"></form>`,
		after: started + `
function arm() { avow.load({form: {selector: document.getElementById("f"), map: {subject: {email: "mail"}, preferences: {news: "news"}}}}, callbacks); }
arm();`,
	}.open(t, r.URL)
	tab.Script(`avow.sendData()`)
	wantNews(t, r.wait(1)[0], "leo@example.test", false)
	// Another act soon after, armed anew as plugins do, says something else and is a consent of its own.
	tab.Click("#news")
	tab.Script(`arm(); avow.sendData()`)
	wantNews(t, r.wait(1)[1], "leo@example.test", true)
	tab.Until(`answers.length === 2`)
	quiet(t, tab)
}

func TestSubmit_twiceInAMomentIsOneConsent(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body:  newsletter,
		after: started + `function go() { avow.submit({form: {selector: "f", map: {preferences: {news: "news"}}}}, callbacks); }`,
	}.open(t, r.URL)
	tab.Script(`go(); go()`)
	r.one()
	tab.Until(`answers.length === 2 && answers[0][1].id === answers[1][1].id`)
	time.Sleep(2 * time.Second)
	tab.Script(`go()`)
	if posts := r.wait(1); posts[0].key == posts[1].key {
		t.Error("the same values sent again after two seconds are another act, but have the same key")
	}
	quiet(t, tab)
}

func TestPost_sameKeyUntilAnswered(t *testing.T) {
	t.Parallel()
	r := newRecorder(t, unheard, refused(http.StatusServiceUnavailable, map[string]string{"message": "Service Unavailable"}))
	tab := site{after: started + `avow.submit({consent: {preferences: {a: true}}}, callbacks);`}.open(t, r.URL)
	posts := r.wait(3)
	for i, p := range posts[1:] {
		if p.key != posts[0].key || p.body["timestamp"] != posts[0].body["timestamp"] {
			t.Errorf("attempt %d has key %s and timestamp %v, want those of the first: %s, %v", i+2, p.key, p.body["timestamp"], posts[0].key, posts[0].body["timestamp"])
		}
		if pause := instant(t, p, "sent_at").Sub(instant(t, posts[i], "sent_at")); pause < 400*time.Millisecond {
			t.Errorf("sent_at of attempt %d is %v after the one before, want a pause", i+2, pause)
		}
	}
	tab.Until(`answers.length > 0`)
	if got := browser.Eval[string](tab, `answers.map(function (a) { return a[0]; }).join()`); got != "success" {
		t.Errorf("callbacks: %s, want one success", got)
	}
	quiet(t, tab)
}

func TestPost_noAnswerAtAll(t *testing.T) {
	t.Parallel()
	r := newRecorder(t, unheard, unheard, unheard)
	tab := site{after: started + `avow.submit({consent: {preferences: {a: true}}}, callbacks);`}.open(t, r.URL)
	r.wait(3)
	tab.Until(`answers.length === 1`)
	if got := browser.Eval[string](tab, `answers[0][0] + " " + answers[0][1].status + " " + answers[0][1].message + " " + answers[0][1].queued`); got != "error 0 no answer from the server true" {
		t.Errorf("callback: %s", got)
	}
	quiet(t, tab)
}

func TestPost_refusalIsFinal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer reply
		want   string // status, message and first error's field
	}{
		"bad field": {
			refused(400, map[string]any{"message": "bad request", "errors": []any{map[string]string{"field": "subject.id"}}}),
			"400 bad request subject.id",
		},
		"wrong key":  {refused(403, map[string]string{"message": "Invalid authentication credentials"}), "403 Invalid authentication credentials"},
		"not found":  {refused(404, map[string]string{"status": "not_found"}), "404 the server answered 404"},
		"no JSON":    {func(w http.ResponseWriter, _ post) { http.Error(w, "too big", http.StatusRequestEntityTooLarge) }, "413 the server answered 413"},
		"conflict":   {refused(409, map[string]string{"message": "another request"}), "409 another request"},
		"null body":  {refused(400, nil), "400 the server answered 400"},
		"array body": {refused(400, []string{}), "400 the server answered 400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t, c.answer)
			tab := site{after: started + `avow.submit({consent: {preferences: {a: true}}}, callbacks);`}.open(t, r.URL)
			tab.Until(`answers.length > 0`)
			got := browser.Eval[string](tab, `answers.map(function (a) {
var e = a[1]; return (a[0] === "error" ? "" : a[0]) + e.status + " " + e.message + (e.errors ? " " + e.errors[0].field : ""); }).join()`)
			if got != c.want {
				t.Errorf("error callback: %q, want %q", got, c.want)
			}
			r.one()
			quiet(t, tab)
		})
	}
}

// Too many requests is no refusal: the same consent comes again, after a longer pause.
func TestPost_tooManyComesAgain(t *testing.T) {
	t.Parallel()
	r := newRecorder(t, refused(http.StatusTooManyRequests, map[string]string{"message": "Too Many Requests"}))
	tab := site{after: started + `avow.submit({consent: {preferences: {a: true}}}, callbacks);`}.open(t, r.URL)
	posts := r.wait(2)
	if pause := instant(t, posts[1], "sent_at").Sub(instant(t, posts[0], "sent_at")); posts[0].key != posts[1].key || pause < 10*time.Second {
		t.Errorf("keys %s and %s, %v apart; want the same key, at least ten seconds apart", posts[0].key, posts[1].key, pause)
	}
	tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
	quiet(t, tab)
}

func TestPost_keepaliveOnlyWhileTheBrowserTakesIt(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{after: started + `
avow.submit({consent: {preferences: {a: "é".repeat(20000)}}}, callbacks);
avow.submit({consent: {preferences: {a: "é".repeat(31000)}}}, callbacks);`}.open(t, r.URL)
	tab.Until(`fetches.length === 2`)
	if got := browser.Eval[string](tab, `fetches.map(function (f) { return f.keepalive; }).join()`); got != "true,false" {
		t.Errorf("keepalive of 40 kB and 62 kB = %s, want true,false", got)
	}
	r.wait(2)
	quiet(t, tab)
}

func TestPost_globalPrivacyControl(t *testing.T) {
	t.Parallel()
	for signal, want := range map[string]any{"true": true, "false": nil, "undefined": nil, `"1"`: nil} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			tab := site{
				before: `Object.defineProperty(navigator, "globalPrivacyControl", {value: ` + signal + `});`,
				after:  started + `avow.submit({consent: {preferences: {a: true}}});`,
			}.open(t, r.URL)
			if got := r.one().body["gpc"]; got != want {
				t.Errorf("gpc = %v, want %v", got, want)
			}
			quiet(t, tab)
		})
	}
}

// The log tells a developer what happened and never what a person entered.
func TestLog_holdsNothingEntered(t *testing.T) {
	t.Parallel()
	r := newRecorder(t, refused(400, map[string]string{"message": "bad request"}))
	tab := site{
		before: `var logged = []; ["log", "warn", "error"].forEach(function (m) { console[m] = function (s) { logged.push(m + " " + s); }; });`,
		body:   `<form id="f"><input name="mail" value="leo@example.test"></form>`,
		after: `avow.init({api_key: "` + publicKey + `", log_level: "debug"});
avow.submit({form: {selector: "f", map: {subject: {email: "mail"}}}}, callbacks); avow.cons_instructions.push(["leo@example.test"]);`,
	}.open(t, r.URL)
	tab.Until(`answers.length > 0`)
	got := browser.Eval[string](tab, `logged.join("\n")`)
	if !strings.Contains(got, "warn avow: not recorded: 400 bad request") || strings.Contains(got, "leo@") {
		t.Errorf("log:\n%s", got)
	}
}
