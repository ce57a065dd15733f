package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/snippet/browser"
	"github.com/avow-consent/avow/scripts/local/stack"
)

var updateScreenshot = flag.Bool("update-screenshot", false, "write docs/demo.png")

// startStack runs what `make run` runs, in a checkout of its own that shares
// the Python environment with this one.
func startStack(t *testing.T) stack.Info {
	t.Helper()
	root := checkout(t)
	signals, ended := make(chan os.Signal, 3), make(chan error, 1)
	go func() {
		ended <- stack.Run(t.Context(), stack.Options{
			Checkout: root, Components: components,
			Seed: seed, Configure: configure, Fakes: fakes(24 * time.Hour), Rebuild: rebuild, Publish: publish,
			Out: io.Discard, Signals: signals,
		})
	}()
	t.Cleanup(func() {
		signals <- syscall.SIGTERM
		<-ended
	})
	var info stack.Info
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the stack ended: %v", err)
		default:
		}
		text, err := os.ReadFile(filepath.Join(root.Local(), "stack.json"))
		if err == nil && json.Unmarshal(text, &info) == nil {
			return info
		}
	}
	t.Fatal("the stack did not start")
	return info
}

// get asks the private API.
func get(t *testing.T, info stack.Info, path string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, info.API+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("ApiKey", info.PrivateKey)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %s (%v)", path, response.StatusCode, body, err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatal(err)
	}
}

// wantBanner waits for the record of an answer to the shop's banner. The record names nobody.
func wantBanner(t *testing.T, info stack.Info, granted bool) {
	t.Helper()
	want := map[string]bool{"audience": granted, "advertising": granted}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		var list []struct {
			ID          string
			Preferences map[string]bool
		}
		get(t, info, "/consent", &list)
		for _, row := range list {
			if !maps.Equal(row.Preferences, want) {
				continue
			}
			var record struct {
				Act    string
				Proofs []struct{ Form string }
			}
			get(t, info, "/consent/"+row.ID, &record)
			if record.Act != "banner" || len(record.Proofs) != 2 || !strings.Contains(record.Proofs[0].Form, "advertising") {
				t.Errorf("the record of the banner is %+v", record)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no record of the banner with %v: %+v", want, list)
		}
	}
}

var linkOfPreferences = regexp.MustCompile(`https?://\S+/public/preferences/[^\s<>]+`)

// TestCapture: a box ticked on the demo page, in a real browser and on the
// whole stack, comes back through the private API as a record of who, which
// wording, which form, which result, by which act, when and from where; and the
// shop's preference centre takes it back as easily.
func TestCapture(t *testing.T) {
	var chromium browser.Browser
	t.Cleanup(chromium.Close)
	if _, err := browser.Find(); err != nil && os.Getenv("CI") == "" {
		t.Skip(err) // before the stack is started for nothing
	}
	info := startStack(t)
	demo := strings.TrimSuffix(info.Demo, "/")
	for lang, p := range map[string]browser.Person{
		"fr": {FirstName: "Inès", LastName: "Roca", Email: "ines@example.test", Newsletter: true},
		"en": {FirstName: "Leo", LastName: "Park", Email: "leo@example.test", Profiling: true},
	} {
		t.Run(lang, func(t *testing.T) {
			tab := chromium.Tab(t)
			before := time.Now().Add(-time.Second)
			tab.Open(demo + "/" + lang)
			tab.Click(map[bool]string{true: "#accept", false: "#refuse"}[p.Newsletter])
			id := tab.SignUp(demo, lang, p)
			var record struct {
				Timestamp, Source, Act string
				Checksum               string
				Subject                struct{ ID, Email string }
				Preferences            map[string]bool
				LegalNotices           []struct {
					Identifier string
					Version    int
					Resolved   bool
				} `json:"legal_notices"`
				Proofs    []struct{ Content, Form string }
				IPAddress string `json:"ip_address"`
				SentAt    string `json:"sent_at"`
			}
			get(t, info, "/consent/"+id, &record)

			want := map[string]bool{"newsletter": p.Newsletter, "profiling": p.Profiling, "terms": true}
			if !maps.Equal(record.Preferences, want) {
				t.Errorf("result %v, want %v", record.Preferences, want)
			}
			if record.Subject.Email != p.Email || record.Source != "public" || record.Act != "web_form" || record.IPAddress != "127.0.0.1" {
				t.Errorf("who and how: %+v", record)
			}
			at, err := time.Parse(time.RFC3339, record.Timestamp)
			if err != nil || at.Before(before.Truncate(time.Second)) || at.After(time.Now()) {
				t.Errorf("time %q", record.Timestamp)
			}
			var named []string
			for _, n := range record.LegalNotices {
				if n.Version != 1 || !n.Resolved {
					t.Errorf("wording %+v", n)
				}
				named = append(named, n.Identifier)
				var notice struct{ Content map[string]string }
				get(t, info, "/legal_notices/"+n.Identifier+"/1", &notice)
				if notice.Content[lang] == "" {
					t.Errorf("the wording of %s in %s is not there", n.Identifier, lang)
				}
			}
			if slices.Sort(named); !slices.Equal(named, []string{"privacy_policy", "terms"}) {
				t.Errorf("wordings %v", named)
			}
			if len(record.Proofs) != 1 || !strings.Contains(record.Proofs[0].Content, p.Email) ||
				!strings.Contains(record.Proofs[0].Form, "newsletter") || strings.Contains(record.Proofs[0].Form, p.Email) {
				t.Errorf("proof %+v", record.Proofs)
			}
			var decision struct {
				Granted bool
				Reason  string
			}
			get(t, info, "/decide?preference=newsletter&email="+p.Email, &decision)
			if decision.Granted != p.Newsletter {
				t.Errorf("decide says %+v", decision)
			}
			wantBanner(t, info, p.Newsletter)
			if lang == "en" && *updateScreenshot {
				tab.Width(1100)
				tab.Screenshot(filepath.Join("..", "..", "docs", "demo.png"))
			}

			tab.Click("#done button")
			tab.Until(`!!document.querySelector(".avow-choices")`)
			if on := browser.Eval[int](tab, `document.querySelectorAll(".avow-switch:checked").length`); on != 1 {
				t.Errorf("%d switches are on, want the one that was ticked", on)
			}
			tab.Click(".avow-refuse")
			tab.Until(`/ 0,.*[1-9]/.test(document.querySelector(".avow-status").textContent)`)
			for key, granted := range want {
				reason := map[bool]string{true: "withdrawn", false: "refused"}[granted]
				get(t, info, "/decide?preference="+key+"&email="+p.Email, &decision)
				if key != "terms" && (decision.Granted || decision.Reason != reason) {
					t.Errorf("after the refusal, %s: %+v, want %s", key, decision, reason)
				}
			}

			// Another day, not signed in, a mailed link leads to the same choices.
			tab.Open(demo + "/" + lang + "/preferences")
			tab.Type(".avow-email", p.Email)
			tab.Click(".avow-send")
			tab.Until(`document.querySelector(".avow-status").textContent.length > 30`)
			var address string
			eventually(t, "the letter with the link", func() bool {
				for _, m := range (shop{process: &process{Info: info}}).letters(t, p.Email) {
					address = cmp.Or(address, linkOfPreferences.FindString(m.Text))
				}
				return address != ""
			})
			tab.Open(address)
			tab.Click("button")
			tab.Until(`document.querySelectorAll("[type=checkbox]").length > 2 && document.querySelectorAll(":checked:enabled").length === 0`)
			if got := browser.Eval[string](tab, `document.documentElement.lang`); got != lang {
				t.Errorf("the page of the link is in %q", got)
			}
			if problems := tab.Problems(); len(problems) > 0 {
				t.Errorf("on the page: %v", problems)
			}
		})
	}
}
