package snippet_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/snippet/browser"
)

// What these tests have in common: the newsletter form of act_test.go, the real API, and one question: is what the
// ledger holds exactly what was entered, once?

func (l *ledger) newsletter(before string) site {
	return site{before: before, body: newsletter, after: strings.ReplaceAll(watched, started, l.started())}
}

// wantOnly fails the test unless the ledger holds one consent, of Leo, with the newsletter ticked.
func (l *ledger) wantOnly(email string) record {
	l.t.Helper()
	r := l.one()
	entered, _ := r.content(l.t)
	if r.Subject.Email != email || r.Preferences["news"] != true || len(r.Preferences) != 1 ||
		entered["mail"] != email || entered["news"] != true || len(entered) != 2 {
		l.t.Errorf("the ledger holds %+v", r)
	}
	return r
}

// empty waits until nothing is kept in the browser any more.
func empty(tab *browser.Tab) { tab.Until(`Object.keys(localStorage).length === 0`) }

const leo = "leo@example.test"

func fill(tab *browser.Tab) {
	tab.Type("#mail", leo)
	tab.Click("#news")
}

// stays keeps the form on the page, as AJAX forms do.
const stays = `form.addEventListener("submit", function (e) { e.preventDefault(); });`

func TestOutbox_leftAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meddle []meddler
		slow   time.Duration
	}{
		"all well":            {},
		"slow server":         {slow: 6 * time.Second},
		"first answer lost":   {meddle: []meddler{answerLost}},
		"first post cut off":  {meddle: []meddler{noAnswer}},
		"both of them refuse": {meddle: []meddler{noAnswer, noAnswer}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, c.meddle...)
			l.slow = c.slow
			tab := l.newsletter("").open(t, l.URL)
			fill(tab)
			begun := time.Now()
			tab.Click("#go")
			tab.Until(`document.title === "Next"`)
			if took := time.Since(begun); c.slow > 0 && took > c.slow-time.Second {
				t.Errorf("the form was on its way after %v", took)
			}
			// The next page of the site says nothing of a form, only who the site is.
			tab.Script(`location.href = "/started"`)
			tab.Until(`document.title === "Started"`)
			empty(tab)
			l.wantOnly(leo)
			quiet(t, tab)
		})
	}
}

func TestOutbox_staysAndTriesAgain(t *testing.T) {
	t.Parallel()
	busy := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"message": "Service Unavailable"})
	}
	for name, meddle := range map[string][]meddler{
		"refused at first, as by a blocker": {noAnswer},
		"answer lost":                       {answerLost, answerLost},
		"server busy":                       {busy, busy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, meddle...)
			s := l.newsletter("")
			s.after += stays
			tab := s.open(t, l.URL)
			fill(tab)
			tab.Click("#go")
			tab.Until(`answers.length > 0`)
			if got := browser.Eval[string](tab, `answers.map(function (a) { return a[0]; }).join()`); got != "success" {
				t.Errorf("callbacks: %s, want success", got)
			}
			if r := l.wantOnly(leo); browser.Eval[string](tab, `answers[0][1].id`) != r.ID {
				t.Errorf("the callback got another id than %s", r.ID)
			}
			empty(tab)
			quiet(t, tab)
		})
	}
}

func TestOutbox_doubleClick(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	tab := site{
		body: newsletter,
		// Some frameworks put a new form, with the same values, in the place of the one that was sent.
		after: l.started() + `
avow.load({submitElement: "#go", form: {selector: "#f", map: {subject: {email: "mail"}, preferences: {news: "news"}}}}, callbacks);
addEventListener("submit", function (e) {
  e.preventDefault();
  setTimeout(function () { e.target.replaceWith(e.target.cloneNode(true)); });
});`,
	}.open(t, l.URL)
	fill(tab)
	tab.Click("#go")
	tab.Click("#go")
	tab.Until(`answers.length === 2`)
	l.wantOnly(leo)
	quiet(t, tab)
}

func TestOutbox_offlineThenOnline(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := l.newsletter("")
	s.after += stays
	tab := s.open(t, l.URL)
	tab.Offline(true)
	fill(tab)
	tab.Click("#go")
	tab.Until(`answers.length === 1`)
	if got := browser.Eval[string](tab, `answers[0][0] + answers[0][1].status + answers[0][1].queued`); got != "error0true" {
		t.Errorf("offline, the page is told %s, want an error that says queued", got)
	}
	tab.Click("#news") // and changes their mind: another act
	tab.Click("#go")
	tab.Offline(false)
	tab.Until(`answers.filter(function (a) { return a[0] === "success"; }).length === 2`)
	empty(tab)
	all := l.wait(2)
	if all[0].Preferences["news"] != true || all[1].Preferences["news"] != false {
		t.Errorf("the ledger holds %+v, want yes, then no", all)
	}
	quiet(t, tab)
}

func TestOutbox_offlineAndPageClosed(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := l.newsletter("")
	s.after += stays
	url := s.serve(t, l.URL)
	tab := chromium.Tab(t)
	tab.Open(url)
	tab.Offline(true)
	fill(tab)
	tab.Click("#go")
	tab.Until(`answers.length === 1`)
	later := tab.Beside()
	tab.Kill()
	later.Open(url + "/started")
	empty(later)
	l.wantOnly(leo)
	quiet(t, later)
}

// A tab dies while its post waits for an answer. Another one that was open all the time, or one that opens later, goes
// on with it.
func TestOutbox_tabKilledMidSend(t *testing.T) {
	t.Parallel()
	for name, openBefore := range map[string]bool{"another tab is open": true, "another tab opens": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLedger(t, func(w http.ResponseWriter, r *http.Request, api http.Handler) {
				time.Sleep(4 * time.Second)
				noAnswer(w, r, api)
			})
			s := l.newsletter("")
			s.after += stays
			url := s.serve(t, l.URL)
			tab := chromium.Tab(t)
			tab.Open(url)
			other := tab.Beside()
			if openBefore {
				other.Open(url + "/started")
			}
			fill(tab)
			tab.Click("#go")
			tab.Until(`Object.keys(localStorage).length === 1`)
			time.Sleep(500 * time.Millisecond)
			tab.Kill()
			if !openBefore {
				other.Open(url + "/started")
			}
			empty(other)
			l.wantOnly(leo)
			quiet(t, other)
		})
	}
}

func TestOutbox_twoTabs(t *testing.T) {
	t.Parallel()
	l := newLedger(t, noAnswer, answerLost, noAnswer)
	s := l.newsletter("")
	s.after += stays
	url := s.serve(t, l.URL)
	one := chromium.Tab(t)
	one.Open(url)
	two := one.Beside()
	two.Open(url)
	fill(one)
	two.Type("#mail", "ines@example.test")
	one.Click("#go")
	two.Click("#go")
	for _, tab := range []*browser.Tab{one, two} {
		tab.Until(`answers.length > 0 && answers[answers.length - 1][0] === "success"`)
		quiet(t, tab)
	}
	empty(one)
	said := map[string]any{}
	for _, r := range l.wait(2) {
		said[r.Subject.Email] = r.Preferences["news"]
	}
	if said[leo] != true || said["ines@example.test"] != false {
		t.Errorf("the ledger holds %v", said)
	}
}

// Without storage a consent lives as long as the page does, and is handed to the browser when that goes.
func TestOutbox_withoutStorage(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{
		"full":    `try { for (var n = 1 << 22; n > 0; n >>= 1) { try { localStorage.setItem("n" + n, "x".repeat(n)); } catch (e) {} } } catch (e) {}`,
		"blocked": `Object.defineProperty(window, "localStorage", {get: function () { throw new DOMException("denied", "SecurityError"); }});`,
		"absent":  `Object.defineProperty(window, "localStorage", {value: null});`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("the page stays", func(t *testing.T) {
				t.Parallel()
				l := newLedger(t, noAnswer, answerLost)
				s := l.newsletter(before)
				s.after += stays
				tab := s.open(t, l.URL)
				fill(tab)
				tab.Click("#go")
				tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
				l.wantOnly(leo)
				quiet(t, tab)
			})
			t.Run("the page goes", func(t *testing.T) {
				t.Parallel()
				l := newLedger(t, noAnswer)
				s := l.newsletter(before)
				s.after += stays
				tab := s.open(t, l.URL)
				fill(tab)
				tab.Click("#go")
				tab.Until(`fetches.length === 1`)
				time.Sleep(300 * time.Millisecond) // the first attempt has failed, the second not begun
				tab.Script(`location.href = "/next"`)
				l.wantOnly(leo)
			})
		})
	}
}

// shifted makes the page's clock wrong by so many days.
func shifted(days int) string {
	return fmt.Sprintf(`(function () {
var Real = Date, wrong = %d * 86400000;
window.Date = new Proxy(Real, {
  construct: function (T, args) { return args.length ? new T(...args) : new T(Real.now() + wrong); },
  get: function (T, name) { return name === "now" ? function () { return Real.now() + wrong; } : T[name]; }
});
})();`, days)
}

func TestOutbox_wrongClock(t *testing.T) {
	t.Parallel()
	for name, days := range map[string]int{"a year behind": -370, "a year ahead": 370, "two months behind": -60} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("the page stays", func(t *testing.T) {
				t.Parallel()
				l := newLedger(t)
				s := l.newsletter(shifted(days))
				s.after += stays
				tab := s.open(t, l.URL)
				fill(tab)
				tab.Click("#go")
				tab.Until(`answers.length === 1 && answers[0][0] === "success"`)
				wantCorrected(t, l.wantOnly(leo), days)
				quiet(t, tab)
			})
			if days == -60 {
				return // see TestOutbox_perhapsStored
			}
			t.Run("the page goes", func(t *testing.T) {
				t.Parallel()
				l := newLedger(t, noAnswer, noAnswer)
				url := l.newsletter(shifted(days)).serve(t, l.URL)
				tab := chromium.Tab(t)
				tab.Open(url)
				fill(tab)
				tab.Click("#go")
				tab.Until(`document.title === "Next"`)
				tab.Open(url + "/started")
				empty(tab)
				wantCorrected(t, l.wantOnly(leo), days)
			})
		})
	}
}

func wantCorrected(t *testing.T, r record, days int) {
	t.Helper()
	claimed, err := time.Parse(time.RFC3339, r.Timestamp)
	if err != nil || time.Since(claimed).Abs() > 2*time.Minute {
		t.Errorf("timestamp %q (%v), want the corrected time", r.Timestamp, err)
	}
	device, err := time.Parse(time.RFC3339, r.DeviceTime)
	if wrong := time.Since(device.AddDate(0, 0, -days)); err != nil || wrong.Abs() > 26*time.Hour {
		t.Errorf("device_time %q (%v), want what the device's clock showed", r.DeviceTime, err)
	}
}

// What nobody knows not to have been stored, and what is too old to be sent under its key, is not sent under another.
func TestOutbox_perhapsStored(t *testing.T) {
	t.Parallel()
	l := newLedger(t, answerLost)
	s := l.newsletter(shifted(-60) + `var logged = []; console.warn = function (s) { logged.push(s); };`)
	s.after = strings.Replace(s.after, `, log_level: "none"`, "", 1) + stays
	tab := s.open(t, l.URL)
	fill(tab)
	tab.Click("#go")
	tab.Until(`answers.length === 1`)
	if got := browser.Eval[string](tab, `answers[0][0] + answers[0][1].code + logged.join()`); !strings.Contains(got, "errorclock") || !strings.Contains(got, "perhaps recorded") {
		t.Errorf("the page is told %s", got)
	}
	empty(tab)
	l.wait(0)
}

// What waits for an address that is gone goes to the site's new one, and what is behind it with it.
func TestOutbox_apiHasMoved(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	s := l.newsletter("")
	s.after = strings.Replace(s.after, `log_level`, `endpoint: localStorage.moved || "http://127.0.0.1:9", log_level`, 1) + stays
	url := s.serve(t, l.URL)
	tab := chromium.Tab(t)
	tab.Open(url)
	fill(tab)
	tab.Click("#go")
	tab.Until(`answers.length === 1 && answers[0][1].queued`)
	tab.Script(`localStorage.moved = "` + l.URL + `"`)
	tab.Open(url)
	tab.Until(`Object.keys(localStorage).join() === "moved"`)
	l.wantOnly(leo)
}

func TestOutbox_putAside(t *testing.T) {
	t.Parallel()
	l := newLedger(t)
	submit := `avow.submit({writeOnLocalStorage: true, form: {selector: "f", map: {subject: {email: "mail"}, preferences: {news: "news"}}}}, callbacks);`
	held := strings.Replace(l.started(), `log_level`, `sendFromLocalStorageAtLoad: false, log_level`, 1)
	url := site{body: newsletter, after: held + "function go() {" + submit + "}"}.serve(t, l.URL)
	tab := chromium.Tab(t)
	tab.Open(url)
	fill(tab)
	tab.Script(`go()`)
	l.wait(0)
	tab.Open(url) // whose init wants it to be held back
	l.wait(0)
	tab.Script(`avow.sendFromLocalStorage()`)
	l.wantOnly(leo)
	empty(tab)

	fill(tab)
	tab.Click("#news")
	tab.Script(`go()`)
	l.wait(1)
	tab.Open(url + "/started")
	tab.Script(l.started()) // which does not hold it back
	empty(tab)
	if all := l.wait(2); all[1].Preferences["news"] != false {
		t.Errorf("the ledger holds %+v", all)
	}
	quiet(t, tab)
}
