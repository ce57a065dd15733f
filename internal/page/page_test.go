package page_test

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/page"
)

// Every page is whole in both languages, runs nothing and loads nothing, and its
// style is the one that its policy names.
func TestRender(t *testing.T) {
	t.Parallel()
	for _, language := range page.Languages {
		for _, kind := range page.Kinds {
			html := string(page.Render(kind, language, page.Data{Controller: "Shop & Co", Contact: "dpo@shop.example", Type: "access"}))
			for _, want := range []string{"<!DOCTYPE html>", `<html lang="` + language + `">`, "<h1>", "Shop &amp; Co", `<a href="mailto:dpo@shop.example">`, "<main>", "viewport"} {
				if !strings.Contains(html, want) {
					t.Errorf("%s, %s: no %s in\n%s", kind, language, want, html)
				}
			}
			if found := regexp.MustCompile(`<script|<img|<link|<iframe|javascript:|style=|\son\w+=|https?:`).FindString(html); found != "" {
				t.Errorf("%s, %s: holds %s", kind, language, found)
			}
			style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(html)
			sum := sha256.Sum256([]byte(style[1]))
			if !strings.Contains(page.Policy(), base64.StdEncoding.EncodeToString(sum[:])) {
				t.Errorf("%s, %s: the policy does not allow the style", kind, language)
			}
		}
	}
}

// An objection counts at its receipt: no page says that nothing has happened yet.
func TestRender_objection(t *testing.T) {
	t.Parallel()
	for language, wait := range map[string]string{"en": "Nothing happens until", "fr": "Rien ne se passe tant que"} {
		for kind, want := range map[string]bool{"erasure": true, "objection": false} {
			html := string(page.Render(page.Confirm, language, page.Data{Type: kind}))
			if strings.Contains(html, wait) != want || !strings.Contains(html, `value="confirm"`) {
				t.Errorf("%s, %s: %s", language, kind, html)
			}
		}
	}
}

// What a person or a company calls itself is text.
func TestRender_hostile(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><a href="javascript:x`
	one := page.Switch{Key: evil, Purpose: evil, Basis: evil, Reason: "granted", Since: evil, Until: evil}
	data := page.Data{
		Controller: evil, Contact: evil, Type: evil, Items: []string{evil}, Hidden: []page.Field{{Name: evil, Value: evil}},
		Outcome: page.Saved, Switches: []page.Switch{one}, Chosen: []page.Switch{one},
	}
	for _, kind := range page.Kinds {
		html := string(page.Render(kind, "en", data))
		if strings.Contains(html, "<script") || strings.Contains(html, `href="javascript`) {
			t.Errorf("%s: %s", kind, html)
		}
	}
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for tags, want := range map[string]string{
		"": "en", "fr": "fr", "fr-CA": "fr", "FR": "fr", "de": "en", "de, fr;q=0.8, en": "fr", "en-GB,fr": "en", "français": "en", " ,;": "en",
	} {
		if got := page.Language(tags); got != want {
			t.Errorf("%q: %s, want %s", tags, got, want)
		}
	}
}

func FuzzLanguage(f *testing.F) {
	for _, seed := range []string{"", "fr", "fr-CA;q=1, en", ",,,", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, tags string) {
		if got := page.Language(tags); got != "en" && got != "fr" {
			t.Errorf("%q: %q", tags, got)
		}
	})
}
