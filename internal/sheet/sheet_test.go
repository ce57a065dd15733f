package sheet_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/sheet"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 8, 1, 23, 59, 59, 0, time.FixedZone("", -3600))
	for _, tt := range []struct{ got, want string }{
		{sheet.Date("en", first), "2 August 2026, 00:59 UTC"},
		{sheet.Date("fr", first.Add(-24*time.Hour)), "1er août 2026 à 00:59 UTC"},
		{sheet.Number("en", 7), "7"},
		{sheet.Number("en", 1234567), "1,234,567"},
		{sheet.Number("fr", 999999), "999\u202f999"},
		{sheet.Size("en", 999), "999 B"},
		{sheet.Size("en", 1500), "1.5 kB"},
		{sheet.Size("fr", 52_400_000_000), "52,4 Go"},
		{sheet.Size("fr", 1<<60), "1152922 To"},
		{sheet.Language("FR-be"), "fr"},
		{sheet.Language("de"), "en"},
		{sheet.Language(""), "en"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}

// The policy allows the style that the page has, to the byte.
func TestPolicy(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := template.Must(template.New("").Funcs(sheet.Funcs).Parse(`{{style}}`)).Execute(&b, nil); err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSuffix(strings.TrimPrefix(b.String(), "<style>"), "</style>")
	sum := sha256.Sum256([]byte(text))
	if !strings.Contains(sheet.Policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Error("the policy is about another style")
	}
}
