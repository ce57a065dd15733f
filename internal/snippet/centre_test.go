package snippet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/secret"
	sites "github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/snippet/browser"
)

// centre is a site of the stack whose back end signs tokens, and one of its people.
type centre struct {
	*ledger
	subject string
	keyID   string
	secret  []byte
}

// register is what the sites of these tests ask for: of each kind of legal basis one.
var register = []sites.Purpose{
	{Key: "news", Purpose: map[string]string{"en": "Send me news by e-mail.", "fr": "M’envoyer des nouvelles par e-mail."}, LegalBasis: "consent", Channel: "email", ValidityDays: 1095},
	{Key: "profiling", Purpose: map[string]string{"en": "Derive my tastes from my orders.", "fr": "Déduire mes goûts de mes commandes."}, LegalBasis: "consent"},
	{Key: "statistics", Purpose: map[string]string{"en": "Count which pages are read.", "fr": "Compter les pages lues."}, LegalBasis: "legitimate_interest"},
	{Key: "orders", Purpose: map[string]string{"en": "Handle my orders.", "fr": "Traiter mes commandes."}, LegalBasis: "contract"},
}

func newCentre(t testing.TB, meddle ...meddler) *centre {
	t.Helper()
	c := &centre{ledger: newLedger(t, meddle...), subject: "ines", keyID: "k1", secret: []byte("a secret of the back end")}
	name := c.env.Function("preferences")("TOKEN_SECRET_PREFIX") + c.site + "/" + c.keyID
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(secret.NewStore(c.env.Config).Create(t.Context(), name, "test", c.secret))
	table := dynamo.NewSites(c.env.Config, c.env.Getenv("SITES_TABLE"))
	must(table.PutTokenKeys(t.Context(), c.site, nil, []sites.TokenKey{{ID: c.keyID, Secret: name}}))
	_, err := table.PutRegister(t.Context(), c.site, register, 0)
	must(err)
	return c
}

// token is one of the back end's, good for so long.
func (c *centre) token(valid time.Duration) string {
	return sites.SignToken(c.keyID, c.secret, c.site, c.subject, time.Now().Add(valid))
}

// said has the back end record what the person has said; more are further fields of the consent.
func (c *centre) said(preferences map[string]any, more map[string]any) {
	c.t.Helper()
	c.record("/consent", c.private, preferences, more)
}

func (c *centre) record(path, key string, preferences, more map[string]any) {
	c.t.Helper()
	fields := map[string]any{"subject": map[string]string{"id": c.subject}, "preferences": preferences}
	maps.Copy(fields, more)
	body, err := json.Marshal(fields)
	if err != nil {
		c.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("ApiKey", key)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if c.gateway.ServeHTTP(w, r); w.Code != http.StatusOK {
		c.t.Fatalf("recording a consent: %d %s", w.Code, w.Body)
	}
}

// down takes the API away from pages, or gives it back.
func (c *centre) down(isDown bool) { c.mu.Lock(); defer c.mu.Unlock(); c.isDown = isDown }

// meet sets what happens to the next post.
func (c *centre) meet(m meddler) { c.mu.Lock(); defer c.mu.Unlock(); c.meddle = []meddler{m} }

// call is what a page says to show the centre; more are further options, as script.
func (c *centre) call(token, more string) string {
	return fmt.Sprintf(`avow.preferences("#centre", {api_key: %q, endpoint: %q, subject_id: %q, subject_token: %q, %s});`, c.publicKey, c.URL, c.subject, token, more)
}

// page is a page of the site with the centre on it, under the strictest content policy that scripts can run in.
func (c *centre) page(call string) site {
	return site{
		tag: `src="/scripts/avow-preferences.js"`, body: `<main><h1>My account</h1><div id="centre">A moment, please.</div></main>`,
		before: `var changes = [], told = [];
addEventListener("avow:preferences", function (e) { changes.push(e.detail.preferences); });`,
		after: call, policy: "; require-trusted-types-for 'script'; trusted-types 'none'",
	}
}

// show opens the page with a good token, and waits for the switches.
func (c *centre) show() *browser.Tab {
	c.t.Helper()
	tab := c.page(c.call(c.token(time.Hour), "")).open(c.t, c.URL)
	tab.Until(`!!document.querySelector(".avow-choices")`)
	return tab
}

// rows is what the page says of each preference: of a switch whether it is on, the purpose, and the state, in which a
// date that the page writes rightly is "today" or "in … days" where it is not past.
func rows(tab *browser.Tab) []string {
	return browser.Eval[[]string](tab, `Array.from(document.querySelectorAll(".avow-preference"), row => {
  const box = row.querySelector("input"), state = row.querySelector(".avow-state").cloneNode(true);
  state.querySelectorAll("time").forEach(time => {
    const at = new Date(time.dateTime), days = (at - Date.now()) / 864e5;
    if (time.textContent !== new Intl.DateTimeFormat(window.language || document.documentElement.lang, {dateStyle: "long"}).format(at)) time.textContent += " WRONG";
    else if (days > -.1) time.textContent = days > .5 ? "in " + Math.round(days) + " days" : "today";
  });
  return (box ? (box.checked ? "[x] " : "[ ] ") : "") + row.querySelector(".avow-purpose").textContent + " " + state.textContent;
})`)
}

// flip moves the switch of a purpose.
func flip(tab *browser.Tab, purpose string) {
	tab.Click(`label[for="` + browser.Eval[string](tab, fmt.Sprintf(`Array.from(document.querySelectorAll("label")).find(l => l.textContent === %q).htmlFor`, purpose)) + `"]`)
}

func status(tab *browser.Tab) string  { return tab.Text(".avow-status") }
func problem(tab *browser.Tab) string { return tab.Text(".avow-problem") }

// hears waits for a text to be announced, as news or as a problem.
func hears(tab *browser.Tab, text string) {
	tab.Until(fmt.Sprintf(`Array.from(document.querySelectorAll("[role=status], [role=alert]"), e => e.textContent).includes(%q)`, text))
}

const (
	offline = "We could not be reached. Check your connection, then try again."
	lapsed  = "To keep your choices safe, this page shows them for a limited time. Reload it, or have a link sent to you."
)

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// own are the consents that the centre has recorded, in the order of their arrival.
func (c *centre) own(n int) []record {
	c.t.Helper()
	var own []record
	for _, r := range c.wait(n) {
		if r.Act == "preference_centre" {
			own = append(own, r)
		}
	}
	return own
}

// A person sees what is on record, takes a yes back, gives another and objects, in one go; what they see then is what
// the ledger holds, and so is what the next page shows.
func TestCentre_change(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	c.said(map[string]any{"news": true, "orders": true}, nil)
	tab := c.show()
	const always = "Handle my orders. Always on: we need it for our contract with you. Recorded on today."
	equal(t, "before", rows(tab), []string{
		"[x] Send me news by e-mail. You said yes. Recorded on today, valid until in 1095 days.",
		"[ ] Derive my tastes from my orders. Off: you have said nothing about it.",
		"[x] Count which pages are read. On, because we have a legitimate interest. You may object: switch it off.",
		always,
	})
	flip(tab, "Send me news by e-mail.")
	equal(t, "status", status(tab), "Not saved yet.")
	flip(tab, "Derive my tastes from my orders.")
	flip(tab, "Count which pages are read.")
	tab.Click(".avow-save")
	hears(tab, "Your choices are saved: yes to 1, no to 2.")
	after := []string{
		"[ ] Send me news by e-mail. You withdrew your yes. Recorded on today.",
		"[x] Derive my tastes from my orders. You said yes. Recorded on today.",
		"[ ] Count which pages are read. You objected. Recorded on today.",
		always,
	}
	equal(t, "after", rows(tab), after)
	said := map[string]any{"news": false, "profiling": true, "statistics": false}
	equal(t, "told to the page", browser.Eval[[]map[string]any](tab, `changes`), []map[string]any{said})
	own := c.own(2)
	if len(own) != 1 || own[0].Source != "public" || len(own[0].Proofs) != 1 || !strings.Contains(own[0].Proofs[0].Form, "Derive my tastes") {
		t.Fatalf("recorded %+v", own)
	}
	equal(t, "recorded", own[0].Preferences, said)
	quiet(t, tab)
	tab.Do(chromedp.Reload())
	tab.Until(`!!document.querySelector(".avow-choices")`)
	equal(t, "after a reload", rows(tab), after)
}

// One button says no to everything, at once; it says so in the ledger even where nothing was on.
func TestCentre_refuseAll(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	c.said(map[string]any{"news": true}, nil)
	tab := c.show()
	tab.Click(".avow-refuse")
	hears(tab, "Your choices are saved: yes to 0, no to 3.")
	equal(t, "after", rows(tab), []string{
		"[ ] Send me news by e-mail. You withdrew your yes. Recorded on today.",
		"[ ] Derive my tastes from my orders. You said no. Recorded on today.",
		"[ ] Count which pages are read. You objected. Recorded on today.",
		"Handle my orders. Always on: we need it for our contract with you.",
	})
	own := c.own(2)
	equal(t, "recorded", own[0].Preferences, map[string]any{"news": false, "profiling": false, "statistics": false})
	quiet(t, tab)
}

// Nothing is sent that the person has not moved.
func TestCentre_unchanged(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	tab := c.show()
	tab.Click(".avow-save")
	hears(tab, "You have not changed anything, so there is nothing to save.")
	flip(tab, "Send me news by e-mail.")
	tab.Click(".avow-save")
	hears(tab, "Your choices are saved: yes to 1, no to 0.")
	equal(t, "recorded", c.own(1)[0].Preferences, map[string]any{"news": true})
	quiet(t, tab)
}

// What is on record is told in words, whatever it is.
func TestCentre_states(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	c.said(map[string]any{"refused": false, "withdrawn": true, "text": "perhaps", "proven": false}, nil)
	c.said(map[string]any{"withdrawn": false}, nil)
	c.said(map[string]any{"expired": true}, map[string]any{"timestamp": "2024-03-01T12:00:00Z", "expires_at": "2025-03-01T12:00:00Z"})
	c.record("/public/consent", c.publicKey, map[string]any{"proven": true}, nil)
	tab := c.show()
	said := map[string]string{}
	for _, row := range rows(tab)[len(register):] {
		key, state, _ := strings.Cut(strings.TrimPrefix(row, "[ ] "), " ")
		said[key] = state
	}
	equal(t, "states", said, map[string]string{
		"refused":   "You said no. Recorded on today.",
		"withdrawn": "You withdrew your yes. Recorded on today.",
		"text":      "Off: what was said about it is no yes. Recorded on today.",
		"proven":    "Off: a yes was sent to us, and nobody knows whether it was yours. Recorded on today.",
		"expired":   "Off: your yes has run out. Recorded on March 1, 2024, valid until March 1, 2025.",
	})
	quiet(t, tab)
}

// Every reason that the ledger may give has its words in both languages.
func TestCentre_everyReasonHasWords(t *testing.T) {
	t.Parallel()
	words, err := os.ReadFile("src/words.ts")
	if err != nil {
		t.Fatal(err)
	}
	fold, err := os.ReadFile("../consent/fold.go")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`Reason = "(\w+)"`).FindAllSubmatch(fold, -1)
	if len(reasons) < 10 {
		t.Fatalf("found %d reasons", len(reasons))
	}
	for _, r := range append(reasons, [][]byte{nil, []byte("contract")}, [][]byte{nil, []byte("legal_obligation")}, [][]byte{nil, []byte("vital_interests")}, [][]byte{nil, []byte("public_task")}) {
		if n := bytes.Count(words, []byte("\n  "+string(r[1])+": '")); n != 2 {
			t.Errorf("%s has words in %d languages", r[1], n)
		}
	}
}

// The network is gone: the page says so, keeps what was chosen, and the same save later is the same consent, also when
// the first had arrived after all.
func TestCentre_networkDown(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	c.down(true)
	tab := c.page(c.call(c.token(time.Hour), "")).open(t, c.URL)
	hears(tab, offline)
	tab.Click(".avow-again") // still down
	hears(tab, offline)
	c.down(false)
	tab.Click(".avow-again")
	tab.Until(`!!document.querySelector(".avow-choices")`)
	equal(t, "problem after it is back", problem(tab), "")
	flip(tab, "Send me news by e-mail.")
	c.meet(answerLost)
	tab.Click(".avow-save")
	hears(tab, offline)
	equal(t, "what was chosen", rows(tab)[0], "[x] Send me news by e-mail. Off: you have said nothing about it.")
	tab.Click(".avow-save")
	hears(tab, "Your choices are saved: yes to 1, no to 0.")
	if own := c.own(1); len(own) != 1 {
		t.Errorf("recorded %+v", own)
	}
	quiet(t, tab)
}

// An API that answers with a fault of its own, or that it is asked too often, is told apart from one that is away; the same
// save later is one consent.
func TestCentre_fails(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]string{
		http.StatusServiceUnavailable:  "The service does not answer properly just now. Try again in a few minutes.",
		http.StatusInternalServerError: "The service does not answer properly just now. Try again in a few minutes.",
		http.StatusTooManyRequests:     "There were too many attempts. Wait for up to an hour, then try again.",
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			fail := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
				w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
				w.WriteHeader(status)
			}
			c := newCentre(t, fail)
			tab := c.page(c.call(c.token(time.Hour), "")).open(t, c.URL)
			hears(tab, want)
			tab.Click(".avow-again")
			tab.Until(`!!document.querySelector(".avow-choices")`)
			flip(tab, "Send me news by e-mail.")
			c.meet(fail)
			tab.Click(".avow-save")
			hears(tab, want)
			tab.Click(".avow-save")
			hears(tab, "Your choices are saved: yes to 1, no to 0.")
			if own := c.own(1); len(own) != 1 {
				t.Errorf("recorded %+v", own)
			}
			quiet(t, tab)
		})
	}
}

// Another choice after a lost answer is another consent.
func TestCentre_anotherChoiceAfterALostAnswer(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	tab := c.show()
	flip(tab, "Send me news by e-mail.")
	c.meet(answerLost)
	tab.Click(".avow-save")
	hears(tab, offline)
	flip(tab, "Send me news by e-mail.")
	tab.Click(".avow-save")
	hears(tab, "Your choices are saved: yes to 0, no to 1.")
	equal(t, "recorded last", c.own(2)[1].Preferences, map[string]any{"news": false})
}

func TestCentre_tokenLapsed(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	tab := c.page(c.call(c.token(-time.Second), "")).open(t, c.URL)
	hears(tab, lapsed)
	if tab.Text(".avow-send") != "Send me the link" {
		t.Error("no form that asks for the link")
	}
	// It lapses while the person chooses.
	tab = c.show()
	flip(tab, "Send me news by e-mail.")
	c.meet(rewriting(`"subject_token":"[^"]+"`, `"subject_token":"`+c.token(-time.Second)+`"`))
	tab.Click(".avow-save")
	hears(tab, lapsed)
	if n := c.count(); n != 0 {
		t.Errorf("%d consents recorded", n)
	}
	quiet(t, tab)
}

// What is asked for changes while the person chooses: a yes to the old text is not taken for one to the new.
func TestCentre_purposesChange(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	tab := c.show()
	flip(tab, "Send me news by e-mail.")
	c.meet(staleTexts)
	tab.Click(".avow-save")
	hears(tab, "What you are asked has changed in the meantime, so nothing was saved. Please choose again.")
	equal(t, "switch", rows(tab)[0], "[ ] Send me news by e-mail. Off: you have said nothing about it.")
	flip(tab, "Send me news by e-mail.")
	tab.Click(".avow-save")
	hears(tab, "Your choices are saved: yes to 1, no to 0.")
	c.own(1)
	quiet(t, tab)
}

// staleTexts has the API believe that the page showed other texts than those of now.
var staleTexts = rewriting(`"purposes_version":"\w{4}`, `"purposes_version":"0000`)

// rewriting changes what the post says on its way to the API.
func rewriting(pattern, replacement string) meddler {
	return func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		body = regexp.MustCompile(pattern).ReplaceAll(body, []byte(replacement))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		api.ServeHTTP(w, r)
	}
}

// Somebody who guesses tokens is stopped, and told how long.
func TestCentre_tooMany(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	tab := c.page(c.call("v1.k1.1.x", "")).open(t, c.URL)
	hears(tab, lapsed)
	tab.Script(fmt.Sprintf(`(async () => {
  for (let i = 0; i < 100; i++) {
    const r = await fetch(%q, {method: "POST", headers: {ApiKey: %q, "Content-Type": "application/json"}, body: JSON.stringify({subject_id: "ines", subject_token: "guess"})});
    if (r.status === 429) return;
  }
})()`, c.URL+"/public/preferences/show", c.publicKey))
	tab.Do(chromedp.Reload())
	hears(tab, "There were too many attempts. Wait for up to an hour, then try again.")
	if tab.Text(".avow-again") != "Try again" {
		t.Error("no way to try again")
	}
	quiet(t, tab)
}

// A fault of the site is not blamed on the person, and its developer reads what it is in the console.
func TestCentre_wrongKey(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	c.publicKey = "nonsense"
	page := c.page(c.call(c.token(time.Hour), ""))
	page.before += `console.error = function (text) { told.push(text); };`
	tab := page.open(t, c.URL)
	hears(tab, "Your choices cannot be shown or changed here, because of a fault of this site. Please write to us.")
	if told := browser.Eval[[]string](tab, `told`); len(told) != 1 || !strings.HasPrefix(told[0], "avow: preferences: 403 ") {
		t.Errorf("told the developer %q", told)
	}
}

// A device's clock is years off: what was said last counts all the same.
func TestCentre_wrongClock(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]string{"behind": "-3 * 31536e6", "ahead": "3 * 31536e6"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCentre(t)
			c.said(map[string]any{"news": true}, nil)
			page := c.page(c.call(c.token(time.Hour), ""))
			page.before += `const now = Date.now; Date.now = () => now() + ` + off + `;`
			tab := page.open(t, c.URL)
			tab.Until(`!!document.querySelector(".avow-choices")`)
			flip(tab, "Send me news by e-mail.")
			tab.Click(".avow-save")
			hears(tab, "Your choices are saved: yes to 0, no to 1.")
			equal(t, "after", rows(tab)[0][:4], "[ ] ")
			c.own(2)
			quiet(t, tab)
		})
	}
}

// The script may come before avow.js, after it, or without it, and by its queue.
func TestCentre_besideTheCore(t *testing.T) {
	t.Parallel()
	for name, beside := range map[string][]string{
		"before": {"/scripts/avow-preferences.js", "/scripts/avow.js"},
		"after":  {"/scripts/avow.js", "/scripts/avow-preferences.js"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCentre(t)
			page := c.page(`avow.cons_instructions.push(["preferences", "centre", {api_key: "` + c.publicKey + `", endpoint: "` + c.URL + `/", subject_id: "ines", subject_token: "` + c.token(time.Hour) + `"}]);`)
			page.tag, page.beside = `src="/empty.js"`, beside
			tab := page.open(t, c.URL)
			tab.Until(`document.querySelectorAll(".avow-switch").length === 3`)
			quiet(t, tab)
		})
	}
}

// As a module it is the same; where it comes from is the API when nothing else is said.
func TestCentre_module(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	page := c.page(`import("/scripts/avow-preferences.mjs").then(m => m.default(document.querySelector("#centre"), {api_key: "` + c.publicKey + `", endpoint: "` + c.URL + `", subject_id: "ines", subject_token: "` + c.token(time.Hour) + `"}));`)
	page.tag = `src="/empty.js"`
	tab := page.open(t, c.URL)
	tab.Until(`document.querySelectorAll(".avow-switch").length === 3`)
	quiet(t, tab)
}

// A page that replaces fetch after the script changes nothing.
func TestCentre_foreignFetch(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	tab := c.page(`window.fetch = function () { throw new Error("replaced"); };`+c.call(c.token(time.Hour), "")).open(t, c.URL)
	tab.Until(`document.querySelectorAll(".avow-switch").length === 3`)
	quiet(t, tab)
}

// What a site passes on arrives: the notices beside the switches in the ledger, its texts on the page, and the outcome in
// its function, whose mistakes are its own.
func TestCentre_options(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	page := c.page(c.call(c.token(time.Hour), `language: "fr-CA", texts: {save: "C’est bon", granted: "D’accord."}, legal_notices: [{identifier: "privacy_policy"}],
  change: function (preferences) { told.push(preferences); throw new Error("a mistake of the page"); }`))
	page.before += `console.error = function () {}; var language = "fr-CA";`
	tab := page.open(t, c.URL)
	tab.Until(`!!document.querySelector(".avow-choices")`)
	equal(t, "button", tab.Text(".avow-save"), "C’est bon")
	flip(tab, "M’envoyer des nouvelles par e-mail.")
	tab.Click(".avow-save")
	hears(tab, "Vos choix sont enregistrés : oui pour 1, non pour 0.")
	equal(t, "row", rows(tab)[0], "[x] M’envoyer des nouvelles par e-mail. D’accord. Enregistré le today, valable jusqu’au in 1095 days.")
	equal(t, "told", browser.Eval[[]map[string]bool](tab, `told`), []map[string]bool{{"news": true}})
	own := c.own(1)
	if len(own[0].LegalNotices) != 1 || own[0].LegalNotices[0].Identifier != "privacy_policy" || !strings.Contains(own[0].Proofs[0].Form, "nouvelles") {
		t.Errorf("recorded %+v", own[0])
	}
	quiet(t, tab)
}

// The language is that of the page around the element; what the centre does not speak it says in English, with English
// dates, while the purposes are in the language of the page, and say so (WCAG 3.1.2).
func TestCentre_language(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	c.said(map[string]any{"news": true}, nil)
	for lang, want := range map[string]struct{ texts, dates, purposes string }{
		"fr": {"fr Vos choix", "fr", "fr"}, "fr_FR": {"fr Vos choix", "fr", "fr-FR"}, "FR": {"fr Vos choix", "fr", "fr"},
		"en-GB": {"en Your choices", "en-GB", "en-GB"}, "de": {"en Your choices", "en", "de"}, "frr": {"en Your choices", "en", "frr"},
		"": {"en Your choices", "en", "en"}, "no language": {"en Your choices", "en", "en"},
	} {
		page := c.page(c.call(c.token(time.Hour), ""))
		page.body = `<main lang="` + lang + `">` + page.body + `</main>`
		tab := page.open(t, c.URL)
		tab.Until(`!!document.querySelector(".avow-choices")`)
		if got := browser.Eval[string](tab, `document.querySelector(".avow-preferences").lang`) + " " + tab.Text(".avow-legend"); got != want.texts {
			t.Errorf("in %q: %s, want %s", lang, got, want.texts)
		}
		date := browser.Eval[[]string](tab, fmt.Sprintf(`[document.querySelector("time").textContent, new Intl.DateTimeFormat(%q, {dateStyle: "long"}).format(new Date(document.querySelector("time").dateTime))]`, want.dates))
		equal(t, "date in "+lang, date[0], date[1])
		equal(t, "language of a purpose in "+lang, browser.Eval[string](tab, `document.querySelector(".avow-purpose").lang`), want.purposes)
		quiet(t, tab)
		tab.Close()
	}
}

// Whatever stands in the register is text.
func TestCentre_hostileTexts(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	const evil = `<img src=x onerror=alert(1)><script>alert(2)</script>`
	c.said(map[string]any{evil: false, "__proto__": true, "constructor": true}, nil)
	tab := c.show()
	all := rows(tab)[len(register):]
	if len(all) != 3 || !strings.Contains(strings.Join(all, "\n"), "[ ] "+evil+" You said no.") {
		t.Errorf("%q", all)
	}
	tab.Click(".avow-refuse")
	hears(tab, "Your choices are saved: yes to 0, no to 6.")
	quiet(t, tab)
}

// Two centres on one page, or the same place used twice, do not mix.
func TestCentre_twice(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	page := c.page(c.call(c.token(time.Hour), "") + c.call(c.token(time.Hour), "") + strings.Replace(c.call("", ""), "#centre", "#other", 1))
	page.body += `<div id="other"></div>`
	tab := page.open(t, c.URL)
	tab.Until(`!!document.querySelector(".avow-choices")`)
	type found struct{ Centres, Doubles int }
	equal(t, "on the page", browser.Eval[found](tab, `(() => { const ids = Array.from(document.querySelectorAll("[id]"), e => e.id);
  return {Centres: document.querySelectorAll(".avow-preferences").length, Doubles: ids.length - new Set(ids).size}; })()`), found{2, 0})
	quiet(t, tab)
}

// A person who hurries: two clicks are one save, and what is moved while it is under way stays moved.
func TestCentre_hurry(t *testing.T) {
	t.Parallel()
	c := newCentre(t)
	tab := c.show()
	flip(tab, "Send me news by e-mail.")
	c.mu.Lock()
	c.slow = time.Second
	c.mu.Unlock()
	tab.Script(`document.querySelector(".avow-save").click(); document.querySelector(".avow-save").click(); document.querySelector(".avow-refuse").click();`)
	hears(tab, "Saving…")
	flip(tab, "Derive my tastes from my orders.")
	hears(tab, "Your choices are saved: yes to 1, no to 0. Not saved yet.")
	if got := rows(tab); got[1][:4] != "[x] " {
		t.Errorf("%q", got)
	}
	tab.Click(".avow-save")
	hears(tab, "Your choices are saved: yes to 1, no to 0.")
	equal(t, "recorded last", c.own(2)[1].Preferences, map[string]any{"profiling": true})
	quiet(t, tab)
}
