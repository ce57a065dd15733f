package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/canon"
	"github.com/avow-consent/avow/internal/dossier"
)

const (
	good = "../../internal/certificate/testdata/certificate.json"
	keys = "../../internal/certificate/testdata/keys.json"
)

// content is what the files of a small package hold, with their sums.
var content = []struct{ name, text, sum string }{
	{"index.html", "hello", "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
	{"data/desk.json", "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
}

// packed writes a package; change may alter its files and its manifest.
func packed(t testing.TB, change func(files map[string]string, m *dossier.Manifest)) string {
	t.Helper()
	m := &dossier.Manifest{Format: dossier.Format, Request: "r", Type: "access", Built: "2026-03-09T14:05:00Z"}
	files := map[string]string{}
	for _, f := range content {
		files[f.name] = f.text
		m.Files = append(m.Files, dossier.ManifestFile{Name: f.name, Bytes: int64(len(f.text)), SHA256: f.sum})
	}
	if change != nil {
		change(files, m)
	}
	if _, ok := files["manifest.json"]; !ok {
		text, err := canon.JSON(m)
		if err != nil {
			t.Fatal(err)
		}
		files["manifest.json"] = string(text) + "\n"
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range files {
		if text == "none" {
			continue
		}
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file(t, "package.zip", b.Bytes())
}

func file(t testing.TB, name string, body []byte) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestRun(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := file(t, "changed.json", bytes.Replace(text, []byte(`"consents":12`), []byte(`"consents":11`), 1))
	type files = map[string]string
	for name, tt := range map[string]struct {
		args []string
		want int
		say  string
	}{
		"certificate":             {[]string{good, "-key", keys}, right, "The certificate is right"},
		"flags first":             {[]string{"--key", keys, good}, right, "desk               erased"},
		"changed certificate":     {[]string{changed, "-key", keys}, wrong, "NOT RIGHT: the certificate is not the one that was signed"},
		"a certificate as key":    {[]string{good, "-key", good}, unchecked, "no Ed25519 key"},
		"keys as certificate":     {[]string{keys, "-key", keys}, wrong, "missing"},
		"without key":             {[]string{good}, unchecked, "-key is missing"},
		"no such file":            {[]string{"none.json", "-key", keys}, unchecked, "no such file"},
		"no such key":             {[]string{good, "-key", "none.json"}, unchecked, "no such file"},
		"nothing":                 {nil, unchecked, "usage:"},
		"help":                    {[]string{"-h"}, right, "usage:"},
		"two files":               {[]string{good, good}, unchecked, "one file"},
		"unknown flag":            {[]string{"-x"}, unchecked, "usage:"},
		"package":                 {[]string{packed(t, nil)}, right, "2 files"},
		"package, other digest":   {[]string{packed(t, nil), "-digest", "00"}, wrong, "not 00"},
		"no such package":         {[]string{"none.zip"}, unchecked, "no such file"},
		"no ZIP":                  {[]string{file(t, "x.zip", []byte("PK"))}, wrong, "no whole ZIP"},
		"without manifest":        {[]string{packed(t, func(f files, _ *dossier.Manifest) { f["manifest.json"] = "none" })}, wrong, "no manifest"},
		"manifest of others":      {[]string{packed(t, func(_ files, m *dossier.Manifest) { m.Format = "x" })}, wrong, "not of the form"},
		"manifest laid out":       {[]string{packed(t, func(f files, _ *dossier.Manifest) { f["manifest.json"] = "{ \"format\":\"" + dossier.Format + "\"}\n" })}, wrong, "canonical"},
		"file changed":            {[]string{packed(t, func(f files, _ *dossier.Manifest) { f["index.html"] = "hullo" })}, wrong, "changed"},
		"file longer":             {[]string{packed(t, func(f files, _ *dossier.Manifest) { f["index.html"] = "hello!" })}, wrong, "changed"},
		"file added":              {[]string{packed(t, func(f files, _ *dossier.Manifest) { f["x"] = "" })}, wrong, "added"},
		"file missing":            {[]string{packed(t, func(f files, _ *dossier.Manifest) { f["index.html"] = "none" })}, wrong, "missing"},
		"manifest names it twice": {[]string{packed(t, func(_ files, m *dossier.Manifest) { m.Files = append(m.Files, m.Files[0]) })}, wrong, "twice"},
		"manifest names itself":   {[]string{packed(t, func(_ files, m *dossier.Manifest) { m.Files[0].Name = "manifest.json" })}, wrong, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if got := run(tt.args, &out, &out); got != tt.want || !strings.Contains(out.String(), tt.say) {
				t.Errorf("%d, want %d and %q:\n%s", got, tt.want, tt.say, out.String())
			}
		})
	}
}

func FuzzParseManifest(f *testing.F) {
	for _, seed := range []string{`{"format":"avow/package/v1"}` + "\n", "{}\n", "", `{"files":[{"bytes":-1}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if m, err := parseManifest(text); err == nil && !json.Valid(text) {
			t.Errorf("%+v", m)
		}
	})
}
