package snippet_test

import (
	"bytes"
	"go/build"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/snippet"
	bundler "github.com/avow-consent/avow/internal/snippet/build"
	"github.com/avow-consent/avow/internal/snippet/npm"
)

func TestDist_isBuiltFromSource(t *testing.T) {
	t.Parallel()
	published, err := bundler.ReadPublished("dist/integrity.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range bundler.Scripts() {
		want, err := s.Bundle("src")
		if err != nil {
			t.Fatal(err)
		}
		got, err := fs.ReadFile(snippet.Files(), s.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("dist/%s is not what src builds: run go run ./scripts/snippet and commit the result", s.Name)
		}
		if listed := published[snippet.Version][s.Name]; listed != bundler.Integrity(want) {
			t.Errorf("dist/integrity.json has %q for %s of version %s, want %q", listed, s.Name, snippet.Version, bundler.Integrity(want))
		}
		size := bundler.GzipSize(want)
		t.Logf("%s gzipped: %d bytes (goal %d)", s.Name, size, s.Goal)
		if size > s.Goal {
			t.Errorf("%s gzipped: %d bytes, more than the goal of %d", s.Name, size, s.Goal)
		}
	}
}

// What sites pin and cache for ever stays what it is.
func TestPublished_releasedStays(t *testing.T) {
	t.Parallel()
	list := bundler.Published{}
	note := func(version string, isReleased bool, hash string) error {
		return list.Note(version, isReleased, map[string]string{"avow.js": hash})
	}
	for _, err := range []error{
		note("1.0.0", false, "a"), note("1.0.0", false, "b"), // nobody has it yet
		note("1.0.0", true, "b"), note("1.1.0", true, "c"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := note("1.0.0", true, "d"); err == nil || list["1.0.0"]["avow.js"] != "b" {
		t.Errorf("other files of a released version: %v, and the list has %v", err, list)
	}
}

// The bundler drops types without a look; the compiler reads them, the published ones among them.
func TestSource_isWellTyped(t *testing.T) {
	t.Parallel()
	tsc := filepath.Join(npm.Modules(t), "typescript", "lib", "tsc.js")
	if out, err := exec.Command("node", tsc, "--project", "src").CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestSource_isTheCallersOwn(t *testing.T) {
	t.Parallel()
	first := snippet.Source()
	clear(first)
	if second := snippet.Source(); bytes.Equal(first, second) || len(second) == 0 {
		t.Error("changing one Source changed the next")
	}
}

func TestETag(t *testing.T) {
	t.Parallel()
	tag := snippet.ETag()
	if len(tag) != 34 || !strings.HasPrefix(tag, `"`) || !strings.HasSuffix(tag, `"`) || tag != snippet.ETag() {
		t.Errorf("ETag() = %s, want a stable, quoted, strong tag", tag)
	}
}

// What serves the script in AWS must not link the compiler that builds it.
func TestPackage_importsOnlyTheStandardLibrary(t *testing.T) {
	t.Parallel()
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range pkg.Imports {
		if strings.Contains(path, ".") {
			t.Errorf("package snippet imports %s", path)
		}
	}
}

// Nothing in the scripts may need a content policy to be loosened, and nothing may set a cookie.
func TestDist_needsNoUnsafeSource(t *testing.T) {
	t.Parallel()
	for _, s := range bundler.Scripts() {
		text, err := fs.ReadFile(snippet.Files(), s.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, forbidden := range []string{"eval(", "Function(", "innerHTML", "outerHTML", "document.write", ".style", "document.cookie"} {
			if bytes.Contains(text, []byte(forbidden)) {
				t.Errorf("%s uses %s", s.Name, forbidden)
			}
		}
	}
}
