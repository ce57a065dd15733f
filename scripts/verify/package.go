package main

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/avow-consent/avow/internal/canon"
	"github.com/avow-consent/avow/internal/dossier"
)

// maxManifest bounds what is read into memory.
const maxManifest = 64 << 20

func checkPackage(out io.Writer, file, digest string) error {
	sum, err := sumOf(file)
	if err != nil {
		return cannot(err)
	}
	if digest != "" && !strings.EqualFold(digest, sum) {
		return fmt.Errorf("the SHA-256 of the package is %s, not %s", sum, digest)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		return errors.New("the file is no whole ZIP")
	}
	defer z.Close()
	m, err := readManifest(&z.Reader)
	if err != nil {
		return err
	}
	if err := compare(&z.Reader, m); err != nil {
		return err
	}
	fmt.Fprintf(out, "The package is whole: %d files as its manifest names them.\n", len(m.Files))
	fmt.Fprintf(out, "  request   %s (%s)\n  built     %s\n  sha-256   %s\n", m.Request, m.Type, m.Built, sum)
	if digest == "" {
		fmt.Fprintln(out, "Whether it is the one that was released, only its SHA-256 in the log of the request tells: -digest.")
	}
	return nil
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func readManifest(z *zip.Reader) (*dossier.Manifest, error) {
	f, err := z.Open("manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("the package has no manifest.json")
	} else if err != nil {
		return nil, errors.New("manifest.json cannot be read")
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil || len(text) > maxManifest {
		return nil, errors.New("manifest.json cannot be read")
	}
	return parseManifest(text)
}

func parseManifest(text []byte) (*dossier.Manifest, error) {
	var m dossier.Manifest
	if err := json.Unmarshal(text, &m); err != nil || m.Format != dossier.Format {
		return nil, fmt.Errorf("manifest.json is not of the form %s", dossier.Format)
	}
	if n := len(text); n == 0 || text[n-1] != '\n' || !canon.Is(text[:n-1]) {
		return nil, errors.New("manifest.json is not in canonical form (RFC 8785): it was changed")
	}
	return &m, nil
}

// compare checks every file of the ZIP against the manifest, and that there is
// none besides.
func compare(z *zip.Reader, m *dossier.Manifest) error {
	named := map[string]dossier.ManifestFile{"manifest.json": {}}
	for _, f := range m.Files {
		if _, twice := named[f.Name]; twice {
			return fmt.Errorf("the manifest names %q twice", f.Name)
		}
		named[f.Name] = f
	}
	seen := map[string]bool{}
	for _, f := range z.File {
		want, known := named[f.Name]
		switch {
		case !known:
			return fmt.Errorf("the manifest does not name %q: it was added", f.Name)
		case seen[f.Name]:
			return fmt.Errorf("the package holds %q twice", f.Name)
		}
		seen[f.Name] = true
		if f.Name == "manifest.json" {
			continue
		}
		if err := same(f, want); err != nil {
			return err
		}
	}
	for name := range named {
		if !seen[name] {
			return fmt.Errorf("%q is missing", name)
		}
	}
	return nil
}

func same(f *zip.File, want dossier.ManifestFile) error {
	r, err := f.Open()
	if err != nil {
		return fmt.Errorf("%q cannot be read", f.Name)
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(r, want.Bytes+1))
	if err != nil {
		return fmt.Errorf("%q cannot be read whole", f.Name)
	}
	if n != want.Bytes || hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return fmt.Errorf("%q is another file than the manifest names: it was changed", f.Name)
	}
	return nil
}
