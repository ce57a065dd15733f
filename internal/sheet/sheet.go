// Package sheet is what pages that people keep have in common, those of a
// package and of a certificate: one style, one policy by which nothing in them
// can run, be loaded or be sent, and how dates and numbers are written.
package sheet

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"strings"
	"time"
)

//go:embed style.css
var style string

var styleSum = sha256.Sum256([]byte(style))

// Policy is the Content-Security-Policy of such a page: this very style and
// nothing else, should some content ever find a way out of its place.
var Policy = fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", base64.StdEncoding.EncodeToString(styleSum[:]))

// Funcs are for the head of a page: {{policy}} as the content of its meta
// element, {{style}} as an element of its own.
var Funcs = template.FuncMap{
	"policy": func() string { return Policy },
	"style":  func() template.HTML { return template.HTML("<style>" + style + "</style>") }, // our own text
}

// Language is the language of the texts for somebody who wants the given one
// (BCP 47): "fr" or "en".
func Language(wanted string) string {
	if main, _, _ := strings.Cut(strings.ToLower(wanted), "-"); main == "fr" {
		return "fr"
	}
	return "en"
}

var months = map[string][]string{
	"en": strings.Fields("January February March April May June July August September October November December"),
	"fr": strings.Fields("janvier février mars avril mai juin juillet août septembre octobre novembre décembre"),
}

// Date writes a moment, to the minute, in UTC.
func Date(language string, t time.Time) string {
	t = t.UTC()
	day, month, clock := fmt.Sprint(t.Day()), months[language][t.Month()-1], t.Format("15:04")
	if language == "fr" {
		if t.Day() == 1 {
			day = "1er"
		}
		return fmt.Sprintf("%s %s %d à %s UTC", day, month, t.Year(), clock)
	}
	return fmt.Sprintf("%s %s %d, %s UTC", day, month, t.Year(), clock)
}

// Number writes a number with its thousands apart.
func Number(language string, n int) string {
	separator := ","
	if language == "fr" {
		separator = "\u202f"
	}
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + separator + digits[i:]
	}
	return digits
}

// Size writes how large a file is.
func Size(language string, n int64) string {
	units, point := []string{"B", "kB", "MB", "GB", "TB"}, "."
	if language == "fr" {
		units, point = []string{"o", "ko", "Mo", "Go", "To"}, ","
	}
	value, unit := float64(n), 0
	for value >= 1000 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	if unit == 0 || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, units[unit])
	}
	return strings.Replace(fmt.Sprintf("%.1f", value), ".", point, 1) + " " + units[unit]
}
