package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packed is an archive as npm makes them, with one file.
func packed(t *testing.T, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o777, Size: 4}); err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("text"))
	w.Close()
	z.Close()
	return b.Bytes()
}

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unpack(packed(t, "package/dist/a.js"), filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "a", "dist", "a.js")); err != nil || string(text) != "text" {
		t.Errorf("the file holds %q (%v)", text, err)
	}
	if err := unpack(packed(t, "package/../../b.js"), filepath.Join(dir, "b")); err == nil {
		t.Error("a file outside the folder was written")
	}
	if err := unpack([]byte("no archive"), filepath.Join(dir, "c")); err == nil {
		t.Error("no archive was unpacked")
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	const empty = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="
	if err := verify(nil, empty); err != nil {
		t.Error(err)
	}
	if err := verify([]byte("x"), empty); err == nil || !strings.Contains(err.Error(), empty) {
		t.Errorf("another archive than the listed one: %v", err)
	}
}
