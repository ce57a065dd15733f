package demo_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/avow-consent/avow/scripts/local/demo"
)

func get(t *testing.T, path, acceptLanguage string) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.Header.Set("Accept-Language", acceptLanguage)
	return send(t, r)
}

func send(t *testing.T, r *http.Request) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	demo.Handler(demo.Config{
		API: "http://127.0.0.1:9000/stage/", PublicKey: "pub_example", SubjectToken: func(subjectID string) string { return "token of " + subjectID },
	}).ServeHTTP(w, r)
	res := w.Result()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestHandler_homeByLanguage(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"":                        "/en",
		"fr":                      "/fr",
		"fr-CA,en;q=0.5":          "/fr",
		"de,en;q=0.8,fr;q=0.9":    "/fr",
		"it":                      "/en",
		"en-GB,fr;q=0.9":          "/en",
		"not a language at all;;": "/en",
	} {
		if res, _ := get(t, "/", accept); res.Header.Get("Location") != want {
			t.Errorf("Accept-Language %q goes to %s, want %s", accept, res.Header.Get("Location"), want)
		}
	}
}

func TestHandler_page(t *testing.T) {
	t.Parallel()
	for lang, title := range map[string]string{"en": "Create an account", "fr": "Créer un compte"} {
		res, body := get(t, "/"+lang, "")
		for _, want := range []string{
			`<html lang="` + lang + `">`, title,
			`src="http://127.0.0.1:9000/stage/avow.js"`, `data-public-key="pub_example"`,
			`href="/` + lang + `/notices/terms"`, `href="/` + lang + `/notices/privacy_policy"`,
		} {
			if !strings.Contains(body, want) {
				t.Errorf("/%s lacks %s", lang, want)
			}
		}
		if strings.Contains(body, " checked") || strings.Contains(body, "<script>") || strings.Contains(body, "style=") {
			t.Errorf("/%s has a ticked box, an inline script or an inline style", lang)
		}
		policy := res.Header.Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'self' http://127.0.0.1:9000;") {
			t.Errorf("Content-Security-Policy: %s", policy)
		}
	}
}

func TestHandler_notices(t *testing.T) {
	t.Parallel()
	for _, n := range demo.Notices() {
		for lang, text := range n.Content {
			_, body := get(t, "/"+lang+"/notices/"+n.Identifier, "")
			body = strings.NewReplacer("<strong>", "", "</strong>", "").Replace(body)
			for paragraph := range strings.SplitSeq(text, "\n\n") {
				if !strings.Contains(body, ">"+strings.NewReplacer("&", "&amp;", "'", "&#39;").Replace(paragraph)+"<") {
					t.Errorf("%s in %s: the page lacks %q", n.Identifier, lang, paragraph)
				}
			}
		}
	}
}

// Whoever has just signed up gets a token with their preferences; whoever comes by the link does not.
func TestHandler_preferences(t *testing.T) {
	t.Parallel()
	for lang, title := range map[string]string{"en": "Your preferences", "fr": "Vos préférences"} {
		known := httptest.NewRequest("POST", "/"+lang+"/preferences", strings.NewReader(`subject_id=ines%22%3E`))
		known.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		unknown := httptest.NewRequest("GET", "/"+lang+"/preferences?subject_id=ines", nil)
		for r, want := range map[*http.Request]string{
			known:   `data-subject-id="ines&#34;&gt;" data-subject-token="token of ines&#34;&gt;"`,
			unknown: `data-subject-id="" data-subject-token=""`,
		} {
			res, body := send(t, r)
			if !strings.Contains(body, want) || !strings.Contains(body, "<h1>"+title+"</h1>") || !strings.Contains(body, `<html lang="`+lang+`">`) {
				t.Errorf("%s %s lacks %s:\n%s", r.Method, r.URL, want, body)
			}
			if res.Header.Get("Cache-Control") != "no-store" || !strings.Contains(res.Header.Get("Content-Security-Policy"), "require-trusted-types-for 'script'") {
				t.Errorf("%s %s: %v", r.Method, r.URL, res.Header)
			}
		}
	}
	if _, script := get(t, "/scripts/avow-preferences.js", ""); !strings.Contains(script, "preferences") {
		t.Error("the script is not served")
	}
}

func TestHandler_notFound(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/de", "/en/notices/cookies", "/de/notices/terms", "/static/../demo.go", "/static/none.js", "/en/other", "/de/preferences"} {
		if res, _ := get(t, path, ""); res.StatusCode != http.StatusNotFound && res.StatusCode/100 != 3 {
			t.Errorf("GET %s = %d", path, res.StatusCode)
		}
	}
}

func TestNoticesAndPreferences_areInBothLanguages(t *testing.T) {
	t.Parallel()
	both := func(what string, byLang map[string]string) {
		if byLang["en"] == "" || byLang["fr"] == "" || byLang["en"] == byLang["fr"] {
			t.Errorf("%s is not in both languages: %v", what, byLang)
		}
	}
	for _, n := range demo.Notices() {
		both(n.Identifier, n.Content)
	}
	for _, p := range demo.Preferences() {
		both(p.Key, p.Purpose)
		if p.LegalBasis == "" || p.Channel == "" {
			t.Errorf("%s lacks a legal basis or a channel", p.Key)
		}
	}
}
