package preferences_test

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/avow-consent/avow/internal/centre"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/site"
)

const (
	linkPath = "/public/preferences/link"
	zoe      = "zoe.planted@example.test"
)

// due lists what the outbox is to tell.
func (d *door) due() []outbox.Ref {
	d.t.Helper()
	list, err := d.outbox.Due(d.t.Context(), d.now.Add(time.Hour), 100)
	d.must(err)
	return list
}

// Whoever asks is told the same, and the outbox learns no address.
func TestLink(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.record(consent.Submission{Source: consent.Private, Profile: consent.Profile{Email: &consent.Text{Value: zoe}}})
	var operations []string
	for _, email := range []string{zoe, "nobody@example.test"} {
		one := d.instance()
		one.net.Reset()
		a := one.ask("POST", linkPath, `{"email":"`+email+`","language":"fr"}`)
		if a.Status != 202 || a.Body != `{"status":"received"}` {
			t.Errorf("%d %s", a.Status, a.Body)
		}
		var made []string
		for _, c := range one.net.Calls() {
			made = append(made, c.Operation)
		}
		if operations = append(operations, strings.Join(made, " ")); operations[0] != operations[len(operations)-1] || strings.Contains(operations[0], "Query") {
			t.Errorf("the calls of one who is known and of one who is not: %v", operations)
		}
	}
	d.ask("POST", linkPath, `{"email":"`+zoe+`","language":"fr"}`) // pressed twice
	want, _ := centre.Ask(d.hasher, "shop", zoe, "fr", *d.now)
	if list := d.due(); len(list) != 2 || !slices.Contains(list, want.Entry(*d.now).Ref) || strings.Contains(list[0].ID+list[1].ID, "example") {
		t.Errorf("due: %v", list)
	}
	if log := d.log.String(); strings.Contains(log, "planted") || strings.Contains(log, "nobody@") {
		t.Errorf("logged:\n%s", log)
	}
}

func TestLink_refuses(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for name, tt := range map[string]struct {
		body    string
		headers []string
		status  int
	}{
		"nothing": {"", nil, 400}, "no address": {`{"email":""}`, nil, 400}, "half an address": {`{"email":"zoe@"}`, nil, 400}, "a list": {`{"email":["a@b.test"]}`, nil, 400},
		"another field": {`{"email":"a@b.test","subject_id":"x"}`, nil, 400}, "no language": {`{"email":"a@b.test","language":"<"}`, nil, 400},
		"long": {`{"email":"` + strings.Repeat("a", 2000) + `@b.test"}`, nil, 400}, "large": {strings.Repeat(" ", 100<<10), nil, 413},
		"no key": {`{"email":"a@b.test"}`, []string{"apikey", ""}, 401}, "private": {`{"email":"a@b.test"}`, []string{"apikey", privateKey}, 403},
		"no origin": {`{"email":"a@b.test"}`, []string{"apikey", listedKey}, 403}, "a form": {`email=a@b.test`, []string{"content-type", "application/x-www-form-urlencoded"}, 415},
	} {
		if a := d.ask("POST", linkPath, tt.body, tt.headers...); a.Status != tt.status {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if list := d.due(); len(list) > 0 {
		t.Errorf("due: %v", list)
	}
}

// A mailbox gets so many letters in a day, whatever stands behind its plus; and a
// network asks so often in an hour.
func TestLink_throttle(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for i := range 9 {
		*d.now = noon.Add(time.Duration(i) * time.Minute)
		if a := d.ask("POST", linkPath, `{"email":"zoe+`+string(rune('a'+i))+`@example.test"}`); a.Status != 202 {
			t.Fatalf("%d: %d %s", i, a.Status, a.Body)
		}
	}
	if list := d.due(); len(list) != 3 {
		t.Errorf("%d letters are owed to one mailbox", len(list))
	}
	status := 0
	for range 30 {
		if status = d.ask("POST", linkPath, `{"email":"leo@example.test"}`).Status; status != 202 {
			break
		}
	}
	if status != 429 {
		t.Errorf("the last was %d", status)
	}
}

// browser is who follows a link.
type browser struct {
	*door
	path string
	form url.Values // of the page that is shown
	text string     // of it
}

// follow opens the link that was mailed to an address.
func (d *door) follow(email string) *browser {
	d.t.Helper()
	l, ok := centre.Ask(d.hasher, "shop", email, "en", *d.now)
	if !ok {
		d.t.Fatal(email)
	}
	return &browser{door: d, path: "/public/preferences/" + l.Token(d.hasher)}
}

// get loads the page.
func (b *browser) get() answer {
	b.t.Helper()
	return b.read(b.ask("GET", b.path, "", "apikey", "", "content-type", ""))
}

// press sends the form of the page with a button, as it stands but for what
// change does to it.
func (b *browser) press(action string, change ...func(url.Values)) answer {
	b.t.Helper()
	form := url.Values{}
	for name, values := range b.form {
		form[name] = slices.Clone(values)
	}
	form.Set("action", action)
	for _, c := range change {
		c(form)
	}
	return b.read(b.post(form))
}

func (b *browser) post(form url.Values) answer {
	b.t.Helper()
	return b.ask("POST", b.path, form.Encode(), "apikey", "", "content-type", "application/x-www-form-urlencoded")
}

// read takes a page apart, as a browser does.
func (b *browser) read(a answer) answer {
	b.t.Helper()
	for name, want := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Robots-Tag": "noindex, nofollow", "Content-Type": "text/html; charset=utf-8",
	} {
		if a.Headers[name] != want {
			b.t.Errorf("%s: %q", name, a.Headers[name])
		}
	}
	if !strings.HasPrefix(a.Headers["Content-Security-Policy"], "default-src 'none'; style-src 'sha256-") {
		b.t.Errorf("the policy is %q", a.Headers["Content-Security-Policy"])
	}
	b.form, b.text = url.Values{}, ""
	doc, err := html.Parse(strings.NewReader(a.Body))
	b.must(err)
	for n := range doc.Descendants() {
		attr := map[string]string{}
		for _, one := range n.Attr {
			attr[one.Key] = one.Val
		}
		_, checked := attr["checked"]
		if n.Data == "input" && attr["name"] != "" && (attr["type"] != "checkbox" || checked) {
			b.form.Add(attr["name"], attr["value"])
		}
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			b.text += n.Data + " "
		}
	}
	b.text = regexp.MustCompile(`\s+`).ReplaceAllString(b.text, " ")
	return a
}

func off(key string) func(url.Values) {
	return func(f url.Values) {
		f["on"] = slices.DeleteFunc(f["on"], func(k string) bool { return k == key })
	}
}

func on(key string) func(url.Values) { return func(f url.Values) { f.Add("on", key) } }

// answers is what the ledger says of an address now.
func (d *door) answers(email, key string) consent.State {
	d.t.Helper()
	u, err := consent.NewPeople(d.events, d.hasher).ByEmail(d.t.Context(), "shop", email, time.Time{})
	d.must(err)
	return consent.Decide(u.Events, key, consent.View{Now: *d.now}, d.shop.Rules())
}

// zoes puts what Zoe has said: by e-mail, and under an id that a private key has
// bound to it.
func (d *door) zoes() {
	d.t.Helper()
	at := noon.Add(-48 * time.Hour)
	email := consent.Profile{Email: &consent.Text{Value: "Zoe.Planted@example.test"}}
	d.record(consent.Submission{Source: consent.Private, Timestamp: &at, Profile: email, Preferences: []consent.Preference{{Key: "newsletter", Value: "true"}}})
	d.record(consent.Submission{Source: consent.Private, Timestamp: &at, SubjectID: "cust-zoe", Profile: email, Preferences: []consent.Preference{{Key: "ads", Value: "false"}}})
}

// A person follows the link, looks, switches, looks again.
func TestPage(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.zoes()
	b := d.follow(zoe)
	for range 3 { // whatever scans mail
		if a := d.follow(zoe).get(); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	if a := b.get(); a.Status != 200 || !strings.Contains(b.text, "See my preferences") || strings.Contains(b.text, "News by e-mail") {
		t.Fatalf("%d %s", a.Status, b.text)
	}
	if a := b.press("open"); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, b.text)
	}
	for _, says := range []string{
		"News by e-mail You said yes on 1 February 2026. Your yes holds until 1 February 2027.", "Advertising You said no on 1 February 2026.",
		"What is read on our pages On, because we have a legitimate interest.", "Your orders Always on: we need it for our contract with you.", "Our accounts Always on: the law obliges us.", "Shop & Co",
	} {
		if !strings.Contains(b.text, says) {
			t.Errorf("the page does not say %q:\n%s", says, b.text)
		}
	}
	if got := b.form["on"]; !slices.Equal(got, []string{"newsletter", "statistics"}) {
		t.Errorf("on: %v", got)
	}
	if b.press("save"); !strings.Contains(b.text, "Nothing has changed.") {
		t.Errorf("%s", b.text)
	}
	before := len(d.said(d.hasher.EmailSubject("shop", zoe)))
	if a := b.press("save", off("newsletter"), off("statistics"), on("ads")); a.Status != 200 || !strings.Contains(b.text, "Saved. Your choice: News by e-mail: off Advertising: on What is read on our pages: off") {
		t.Errorf("%d %s", a.Status, b.text)
	}
	for key, want := range map[string]consent.Reason{"newsletter": consent.Withdrawn, "ads": consent.Granted, "statistics": consent.Objected} {
		if got := d.answers(zoe, key); got.Reason != want {
			t.Errorf("%s: %+v, want %s", key, got, want)
		}
	}
	events := d.said(d.hasher.EmailSubject("shop", zoe))
	if len(events) != before+1 {
		t.Fatalf("%d events, %d before", len(events), before)
	}
	e := events[len(events)-1]
	if e.Source != consent.Confirmed || e.Act != consent.PreferenceCentre || e.Profile.Email == nil || e.Profile.Email.Value != redact.String("Zoe.Planted@example.test") ||
		e.Profile.Verified == nil || len(e.Proofs) != 1 || d.form(e.Proofs[0]) == "" || e.IP != "" {
		t.Errorf("%+v", e)
	}
	// And back again.
	*d.now = noon.Add(time.Second)
	if b.press("save", on("newsletter")); d.answers(zoe, "newsletter").Reason != consent.Granted {
		t.Errorf("%+v\n%s", d.answers(zoe, "newsletter"), b.text)
	}
	*d.now = noon.Add(2 * time.Second)
	if b.press("refuse"); d.answers(zoe, "newsletter").Granted || d.answers(zoe, "ads").Granted || d.answers(zoe, "statistics").Granted || strings.Contains(strings.Join(b.form["on"], " "), "n") {
		t.Errorf("after refusing everything: %v", b.form)
	}
	if events := d.said(d.hasher.EmailSubject("shop", zoe)); len(events[len(events)-1].Preferences) != len(b.form["shown"]) {
		t.Errorf("refusing everything said no to %v of %v", events[len(events)-1].Preferences, b.form["shown"])
	}
	if strings.Contains(d.log.String(), "planted") || strings.Contains(d.log.String(), strings.TrimPrefix(b.path, "/public/preferences/")) {
		t.Errorf("logged:\n%s", d.log.String())
	}
}

// The same form again changes nothing twice, also after it was followed by
// another one; other choices in a form that was sent are saved for themselves.
func TestPage_again(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.zoes()
	b := d.follow(zoe)
	b.get()
	opening := b.form
	b.press("open")
	first := b.form
	tick := func() { *d.now = d.now.Add(time.Minute) }
	count := func() int { return len(d.said(d.hasher.EmailSubject("shop", zoe))) }
	send := func(form url.Values, action string, keys ...string) {
		t.Helper()
		f := url.Values{"action": {action}}
		for name, values := range form {
			if name != "on" {
				f[name] = values
			}
		}
		f["on"] = keys
		if a := b.read(b.post(f)); a.Status != 200 {
			t.Fatalf("%d %s", a.Status, b.text)
		}
	}
	before := count()
	tick()
	send(first, "save", "statistics") // newsletter off
	tick()
	send(first, "save", "statistics")
	if n := count(); n != before+1 {
		t.Errorf("%d events", n-before)
	}
	send(b.form, "save", "statistics", "newsletter") // on again
	tick()
	send(first, "save", "statistics") // the first form, late: it was that of before
	if n := count(); n != before+2 || !d.answers(zoe, "newsletter").Granted {
		t.Errorf("%d events, %+v", n-before, d.answers(zoe, "newsletter"))
	}
	send(first, "save", "statistics", "newsletter", "ads") // back in the browser, other choices
	if n := count(); n != before+3 || !d.answers(zoe, "ads").Granted || !d.answers(zoe, "newsletter").Granted {
		t.Errorf("%d events, %+v", n-before, d.answers(zoe, "ads"))
	}
	send(opening, "open") // the page that opened the link, loaded again
	if !strings.Contains(b.text, "Advertising") {
		t.Errorf("%s", b.text)
	}
}

// A link is used up by the page that opens it, for half an hour; then a new one
// can be had, by whoever was mailed one before.
func TestPage_once(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.zoes()
	mine, other := d.follow(zoe), d.follow(zoe)
	mine.get()
	other.get()
	if a := mine.press("open"); a.Status != 200 {
		t.Fatalf("%d", a.Status)
	}
	opened := mine.form
	if a := other.press("open"); a.Status != 404 || !strings.Contains(other.text, "This link cannot be used") || strings.Contains(other.text, "News") {
		t.Errorf("used twice: %d %s", a.Status, other.text)
	}
	if a := other.press("save", on("ads")); a.Status != 404 {
		t.Errorf("saved by another page: %d", a.Status)
	}
	*d.now = noon.Add(30*time.Minute - time.Second)
	if a := mine.press("save", on("ads")); a.Status != 200 || !d.answers(zoe, "ads").Granted {
		t.Errorf("%d %s", a.Status, mine.text)
	}
	*d.now = noon.Add(30 * time.Minute)
	mine.form = opened
	if a := mine.press("save", off("newsletter")); a.Status != 404 || !d.answers(zoe, "newsletter").Granted {
		t.Errorf("after half an hour: %d %s", a.Status, mine.text)
	}
	if a := mine.press("resend"); a.Status != 200 || !strings.Contains(mine.text, "Please look at your mail") {
		t.Errorf("%d %s", a.Status, mine.text)
	}
	if list := d.due(); len(list) != 1 || list[0].Subject != d.hasher.Subject("shop", d.hasher.EmailSubject("shop", zoe)) {
		t.Errorf("due: %v", list)
	}
	// One that was never opened lapses after a day.
	*d.now = noon
	late := d.follow(zoe + ".org")
	late.get()
	*d.now = noon.Add(24 * time.Hour)
	if a := late.press("open"); a.Status != 404 {
		t.Errorf("after a day: %d", a.Status)
	}
	if a := late.get(); a.Status != 404 {
		t.Errorf("after a day: %d", a.Status)
	}
}

// Nonsense leads nowhere, and to no mail; nobody learns who is known.
func TestPage_wrong(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.zoes()
	good := d.follow(zoe)
	for name, path := range map[string]string{
		"nonsense": "/public/preferences/x", "changed": good.path[:len(good.path)-2] + "AA", "long": "/public/preferences/" + strings.Repeat("a", 5000),
	} {
		b := &browser{door: d, path: path}
		if a := b.get(); a.Status != 404 {
			t.Errorf("%s: %d", name, a.Status)
		}
		for _, action := range []string{"open", "save", "refuse", "", "nonsense"} {
			if a := b.press(action); a.Status != 404 {
				t.Errorf("%s, %s: %d", name, action, a.Status)
			}
		}
		if a := b.press("resend"); a.Status != 200 || len(d.due()) != 0 {
			t.Errorf("%s: %d, due: %v", name, a.Status, d.due())
		}
	}
	nobody := d.follow("nobody@example.test") // whom the ledger does not know, or not any more
	nobody.get()
	if a := nobody.press("open"); a.Status != 404 {
		t.Errorf("%d %s", a.Status, nobody.text)
	}
	good.get()
	good.press("open")
	if a := good.press("save", func(f url.Values) { f.Set("shown", "terms"); f.Set("was", "terms") }); a.Status != 200 || !strings.Contains(good.text, "nothing was saved") {
		t.Errorf("a contract: %d %s", a.Status, good.text)
	}
	if a := good.press("save", func(f url.Values) { f.Del("visit") }); a.Status != 404 {
		t.Errorf("without a visit: %d", a.Status)
	}
}

// A yes to texts that have changed meanwhile is not saved; a no is.
func TestPage_purposesChanged(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.zoes()
	b := d.follow(zoe)
	b.get()
	b.press("open")
	opened := b.form
	changed := []site.Purpose{{Key: "newsletter", Purpose: map[string]string{"en": "Other news"}}, {Key: "ads", Purpose: map[string]string{"en": "Other ads"}}}
	_, err := dynamo.NewSites(d.env.Config, d.env.Getenv("SITES_TABLE")).PutRegister(t.Context(), "shop", changed, 0)
	d.must(err)
	b.door = d.instance()
	if b.press("save", on("ads")); !strings.Contains(b.text, "nothing was saved") || !strings.Contains(b.text, "Other ads") || d.answers(zoe, "ads").Granted {
		t.Errorf("%s", b.text)
	}
	b.form = opened
	if b.press("save", off("newsletter")); !strings.Contains(b.text, "Saved") || d.answers(zoe, "newsletter").Granted {
		t.Errorf("%s", b.text)
	}
}

// Whichever call fails or loses its reply: the button may be pressed again, and in
// the end there is one event.
func TestPage_faults(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.zoes()
	b := d.follow(zoe)
	b.get()
	b.press("open")
	b.net.Reset()
	b.press("save", on("ads"))
	calls := b.net.Calls()
	count := func() int { return len(d.said(d.hasher.EmailSubject("shop", zoe))) }
	for _, c := range calls {
		for _, f := range []faulty.Fault{faulty.Refused, faulty.Lost} {
			before := count()
			b.net.Reset()
			b.net.Break(faulty.Nth(c.Operation, c.Nth, f))
			form := url.Values{"action": {"save"}}
			for name, values := range b.form {
				form[name] = values
			}
			if ads := slices.Contains(form["on"], "ads"); ads {
				off("ads")(form)
			} else {
				on("ads")(form)
			}
			first := b.post(form)
			b.net.Reset()
			*d.now = d.now.Add(time.Second)
			if again := b.read(b.post(form)); again.Status != 200 || count() != before+1 || !strings.Contains(b.text, "Saved") {
				t.Errorf("%s %d, %s: %d, then %d, %d events: %s", c.Operation, c.Nth, f, first.Status, again.Status, count()-before, b.text)
			}
		}
	}
}

// The page is in the language of the letter.
func TestPage_french(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.zoes()
	b := d.follow(zoe)
	b.path = strings.Replace(b.path, "/en.", "/fr.", 1)
	if a := b.get(); !strings.Contains(a.Body, `<html lang="fr">`) || !strings.Contains(b.text, "Voir mes préférences") {
		t.Errorf("%s", b.text)
	}
	if b.press("open"); !strings.Contains(b.text, "Nos nouvelles par e-mail Vous avez dit oui le 1er février 2026. Votre oui vaut jusqu’au 1er février 2027.") {
		t.Errorf("%s", b.text)
	}
	if b.press("refuse"); !strings.Contains(b.text, "Nos nouvelles par e-mail : désactivé") {
		t.Errorf("%s", b.text)
	}
}
