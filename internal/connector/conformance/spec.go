package conformance

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Spec reads a vendor's own contract, such as "zendesk-support/….json". They are
// the vendors' files and no part of this project: they lie in the folder that
// AVOW_SPECS names, by default in shared/specs beside the checkout. Where they
// are missing the test is skipped and says so; in CI it fails.
func Spec(t testing.TB, name string) []byte {
	t.Helper()
	folder := os.Getenv("AVOW_SPECS")
	if folder == "" {
		folder = filepath.Join(checkout(t), "..", "shared", "specs")
	}
	text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(name)))
	switch {
	case err == nil:
		return text
	case errors.Is(err, fs.ErrNotExist) && os.Getenv("CI") == "":
		t.Skipf("the vendor's contract %s is not here: AVOW_SPECS names the folder that has it", name)
	default:
		t.Fatal(err)
	}
	return nil
}

// checkout is the folder of go.mod.
func checkout(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("there is no go.mod above")
		}
		dir = parent
	}
}
