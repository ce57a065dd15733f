// Package npm brings other people's scripts into tests, each as it is published on the npm registry: the banners that
// avow.js has adapters for, what forms are made with, and what checks the types of the source and pages for everybody's
// use. Nothing of them is in the project but name, version and hash (packages.txt); the first test that needs them has
// npm fetch them into .local/npm.
package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/avow-consent/avow/scripts/local/emulator"
)

// list has a package in each line: name, version, and the integrity of what the registry serves.
//
//go:embed packages.txt
var list string

// Modules returns a folder node_modules with the packages. Where they cannot be fetched the test fails when CI is set,
// and is skipped elsewhere.
func Modules(t testing.TB) string {
	t.Helper()
	dir, err := ensure()
	if missing := (*missingError)(nil); errors.As(err, &missing) && os.Getenv("CI") == "" {
		t.Skipf("needs packages of npm: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Read returns a file of a package: klaro/dist/klaro.js.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Modules(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// missingError is that of a machine without npm, or without a way to the registry.
type missingError struct{ error }

var ensure = sync.OnceValues(func() (string, error) {
	checkout, err := emulator.FindCheckout()
	if err != nil {
		return "", err
	}
	all := filepath.Join(checkout.Local(), "npm")
	sum := sha256.Sum256([]byte(list))
	dir := filepath.Join(all, hex.EncodeToString(sum[:6]), "node_modules")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(all, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(all, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	if err := fetch(work); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	// Another process may have been faster: then its folder stands.
	if err := os.Rename(filepath.Join(work, "node_modules"), dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	return dir, nil
})

// fetch lets npm download the packages into a folder, and unpacks those whose hash is right.
func fetch(work string) error {
	args := []string{"pack", "--ignore-scripts", "--pack-destination", work, "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"}
	lines := strings.Split(strings.TrimSpace(list), "\n")
	for _, line := range lines {
		f := strings.Fields(line)
		args = append(args, f[0]+"@"+f[1])
	}
	npm := exec.Command("npm", args...)
	npm.Dir = work
	if out, err := npm.CombinedOutput(); err != nil {
		return &missingError{fmt.Errorf("npm pack: %w\n%s", err, out)}
	}
	for _, line := range lines {
		f := strings.Fields(line)
		name, version, integrity := f[0], f[1], f[2]
		// npm names the archive of @scope/name scope-name.
		file := strings.ReplaceAll(strings.TrimPrefix(name, "@"), "/", "-") + "-" + version + ".tgz"
		archive, err := os.ReadFile(filepath.Join(work, file))
		if err != nil {
			return err
		}
		if err := verify(archive, integrity); err != nil {
			return fmt.Errorf("%s %s: %w", name, version, err)
		}
		if err := unpack(archive, filepath.Join(work, "node_modules", filepath.FromSlash(name))); err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}
	}
	return nil
}

// verify compares an archive with its integrity in the list.
func verify(archive []byte, integrity string) error {
	sum := sha512.Sum512(archive)
	if got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:]); got != integrity {
		return fmt.Errorf("the integrity is %s, packages.txt says %s", got, integrity)
	}
	return nil
}

// unpack writes the regular files of an archive into dir, without the folder that npm puts around them.
func unpack(archive []byte, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		_, name, inside := strings.Cut(h.Name, "/")
		if h.Typeflag != tar.TypeReg || !inside {
			continue
		}
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := root.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
}
