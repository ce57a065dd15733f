package snippet_test

import (
	"flag"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/snippet/browser"
	"github.com/avow-consent/avow/scripts/local/demo"
)

var screenshots = flag.String("screenshots", "", "write every state of the demo page into this folder")

func demoSite(t testing.TB, api string) string {
	server := httptest.NewServer(demo.Handler(demo.Config{API: api, PublicKey: publicKey}))
	t.Cleanup(server.Close)
	return server.URL
}

// shoot takes a picture of a state of the page, wide and narrow, when asked to.
func shoot(t testing.TB, tab *browser.Tab, name string) {
	t.Helper()
	if *screenshots == "" {
		return
	}
	for suffix, width := range map[string]int64{"": 1100, "-narrow": 360} {
		tab.Width(width)
		tab.Screenshot(filepath.Join(*screenshots, name+suffix+".png"))
	}
	tab.Width(1100)
}

func TestDemo_signUp(t *testing.T) {
	t.Parallel()
	for lang, label := range map[string]string{"en": "I accept the", "fr": "J’accepte les"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			shop := demoSite(t, r.URL)
			tab := chromium.Tab(t)
			ines := browser.Person{FirstName: "Inès", LastName: "Roca", Email: "ines@example.test", Newsletter: true}
			tab.Width(1100)
			tab.Open(shop + "/" + lang)
			shoot(t, tab, lang+"-1-empty")
			tab.FillSignUp(shop, lang, ines)
			shoot(t, tab, lang+"-2-filled")
			id := tab.SignUp(shop, lang, ines)
			shoot(t, tab, lang+"-4-confirmed")
			p := r.one()
			if id != p.key { // the recorder answers with the key
				t.Errorf("the page shows record %q, want %q", id, p.key)
			}
			if read := tab.Text("#read"); !strings.Contains(read, "$PRIVATE_KEY") || !strings.Contains(read, r.URL+"/consent/"+id) {
				t.Errorf("the page says how to read the record: %s", read)
			}
			if got := browser.Eval[string](tab, `document.activeElement.id`); got != "welcome" {
				t.Errorf("focus is on %q, want the confirmation", got)
			}

			content, form := p.proof(t)
			delete(p.body, "proofs")
			delete(p.body, "timestamp")
			delete(p.body, "sent_at")
			want := map[string]any{
				"autodetect_ip_address": true, // the demo asks for it
				"subject":               map[string]any{"first_name": "Inès", "last_name": "Roca", "email": "ines@example.test"},
				"preferences":           map[string]any{"newsletter": true, "profiling": false, "terms": true},
				"legal_notices":         []any{map[string]any{"identifier": "privacy_policy"}, map[string]any{"identifier": "terms"}},
			}
			if diff := cmp.Diff(want, p.body); diff != "" {
				t.Errorf("body (-want +got):\n%s", diff)
			}
			if content["newsletter"] != true || content["email"] != "ines@example.test" || len(content) != 6 {
				t.Errorf("proof content = %v", content)
			}
			if !strings.Contains(form, label) || strings.Contains(form, "checked") || strings.Contains(form, "ines") {
				t.Errorf("proof form: %s", form)
			}
			quiet(t, tab)
		})
	}
}

func TestDemo_refusedAndBlocked(t *testing.T) {
	t.Parallel()
	leo := browser.Person{FirstName: "Leo", LastName: "Weiss", Email: "leo@example.test"}
	for lang, want := range map[string]string{"en": "could not be recorded", "fr": "n’ont pas pu être enregistrés"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t, refused(403, map[string]string{"message": "Invalid authentication credentials"}))
			shop := demoSite(t, r.URL)
			tab := chromium.Tab(t)
			tab.Width(1100)
			tab.FillSignUp(shop, lang, leo)
			tab.Click("#send")
			tab.Until(`document.querySelector("#problem").textContent !== ""`)
			shoot(t, tab, lang+"-3-error")
			if got := tab.Text("#problem"); !strings.Contains(got, want) || !strings.Contains(got, "403") {
				t.Errorf("the page says: %s", got)
			}
			if got := browser.Eval[string](tab, `document.querySelector("#email").value`); got != leo.Email {
				t.Errorf("the e-mail field holds %q after an error", got)
			}
			r.one()
			quiet(t, tab)
		})
	}
	t.Run("script blocked", func(t *testing.T) {
		t.Parallel()
		nowhere := httptest.NewServer(nil)
		nowhere.Close()
		tab := chromium.Tab(t)
		tab.FillSignUp(demoSite(t, nowhere.URL), "en", leo)
		tab.Click("#send")
		tab.Until(`document.querySelector("#problem").textContent !== ""`)
		if got := tab.Text("#problem"); !strings.Contains(got, "content blocker") {
			t.Errorf("the page says: %s", got)
		}
	})
}

// Without a network the choices are kept: nobody is asked to send them again, and they are on record once.
func TestDemo_offline(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string]string{"en": "will be sent by themselves", "fr": "partiront d’eux-mêmes"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			tab := chromium.Tab(t)
			tab.Width(1100)
			tab.FillSignUp(demoSite(t, r.URL), lang, browser.Person{FirstName: "Leo", LastName: "Weiss", Email: "leo@example.test"})
			tab.Offline(true)
			tab.Click("#send")
			tab.Until(`document.querySelector("#progress").textContent.includes("` + want + `")`)
			shoot(t, tab, lang+"-3-kept")
			if got := tab.Text("#problem"); got != "" || !browser.Eval[bool](tab, `document.querySelector("#send").disabled`) {
				t.Errorf("the page asks for another try: %s", got)
			}
			tab.Offline(false)
			tab.Until(`!document.querySelector("#done").hidden`)
			r.one()
			quiet(t, tab)
		})
	}
}

func TestDemo_noticesOpen(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	shop := demoSite(t, r.URL)
	tab := chromium.Tab(t)
	tab.Width(1100)
	for _, n := range demo.Notices() {
		for lang, text := range n.Content {
			tab.Open(shop + "/" + lang + "/notices/" + n.Identifier)
			title, _, _ := strings.Cut(text, "\n")
			if got := tab.Text("h1"); got != title {
				t.Errorf("%s in %s has title %q, want %q", n.Identifier, lang, got, title)
			}
			shoot(t, tab, lang+"-5-"+n.Identifier)
		}
	}
	quiet(t, tab)
}

// The shop's banner: what is chosen is on record, opens the gates here and on the next page, and is taken back as
// easily as it was given.
func TestDemo_banner(t *testing.T) {
	t.Parallel()
	for lang, c := range map[string]struct{ asked, on, off string }{
		"en": {"Count my visits", "running", "off"},
		"fr": {"Comptez mes visites", "en marche", "à l’arrêt"},
	} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			shop := demoSite(t, r.URL)
			tab := chromium.Tab(t)
			tab.Width(1100)
			tab.Open(shop + "/" + lang)
			runs := func(audience, advertising string) {
				t.Helper()
				if got := tab.Text("[data-state=audience]") + ", " + tab.Text("[data-state=advertising]"); got != audience+", "+advertising {
					t.Errorf("audience and advertising are %s", got)
				}
			}
			runs(c.off, c.off)
			tab.Click("#audience")
			shoot(t, tab, lang+"-6-banner")
			tab.Click("#choose")
			runs(c.on, c.off)
			p := r.one()
			if diff := cmp.Diff(map[string]any{"audience": true, "advertising": false}, p.body["preferences"]); diff != "" {
				t.Errorf("preferences (-want +got):\n%s", diff)
			}
			proofs := p.body["proofs"].([]any)
			if form := proofs[0].(map[string]any)["form"].(string); p.body["act"] != "banner" || !strings.Contains(form, c.asked) || strings.Contains(form, "checked") {
				t.Errorf("act %v with the proof %s", p.body["act"], form)
			}
			tab.Open(shop + "/" + lang)
			tab.Until(`document.querySelector("#banner").hidden`)
			runs(c.on, c.off)
			tab.Click("#reopen")
			if !browser.Eval[bool](tab, `document.querySelector("#audience").checked`) {
				t.Error("the banner does not show the earlier choice")
			}
			tab.Click("#accept")
			runs(c.on, c.on)
			shoot(t, tab, lang+"-7-running")
			tab.Click("#reopen")
			tab.Click("#refuse")
			runs(c.off, c.on)
			shoot(t, tab, lang+"-8-withdrawn")
			if got := browser.Eval[bool](tab, `document.querySelector("#ending").hidden`); got {
				t.Error("nothing says that the partner's script runs until the page is reloaded")
			}
			tab.Open(shop + "/" + lang)
			tab.Until(`document.querySelector("#banner").hidden`)
			runs(c.off, c.off)
			r.wait(2)
			quiet(t, tab)
		})
	}
}
