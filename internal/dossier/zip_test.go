package dossier

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// late is a file whose bytes begin at an offset, with zeros before.
type late struct {
	offset int64
	body   []byte
}

func (l late) ReadAt(p []byte, at int64) (int, error) {
	if at < l.offset {
		n := int(min(int64(len(p)), l.offset-at))
		clear(p[:n])
		if n == len(p) {
			return n, nil
		}
		m, err := l.ReadAt(p[n:], l.offset)
		return n + m, err
	}
	return bytes.NewReader(l.body).ReadAt(p, at-l.offset)
}

func contents(t *testing.T, r io.ReaderAt, size int64) map[string]string {
	t.Helper()
	z, err := zip.NewReader(r, size)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		body, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		files[f.Name] = string(text)
		if f.Modified.UTC() != clock() {
			t.Errorf("%s is of %v, want %v", f.Name, f.Modified, clock())
		}
	}
	return files
}

// Files of more than 4 GiB, files behind so many bytes, and more than 65,535 of
// them are found again.
func TestZipper_large(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		offset int64
		most   int64
		files  int
	}{
		"small": {0, 100, 3}, "wide": {0, 5 << 30, 3}, "behind": {5 << 30, 100, 3}, "wide behind": {6 << 30, 5 << 30, 2}, "many": {0, 10, 70_000},
		"just below": {0, wideFrom - 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			z := newZipper(&b, clock())
			z.offset = tt.offset
			want := map[string]string{}
			for i := range tt.files {
				file, text := fmt.Sprintf("folder/%d.txt", i), strings.Repeat(fmt.Sprint(i), i%7)
				want[file] = text
				if err := z.begin(file, tt.most, i%2 == 0); err != nil {
					t.Fatal(err)
				}
				_, _ = z.Write([]byte(text))
				if err := z.end(); err != nil {
					t.Fatal(err)
				}
			}
			if err := z.close(); err != nil {
				t.Fatal(err)
			}
			if z.offset != tt.offset+int64(b.Len()) {
				t.Errorf("at %d, want %d", z.offset, tt.offset+int64(b.Len()))
			}
			got := contents(t, late{tt.offset, b.Bytes()}, z.offset)
			if len(got) != len(want) {
				t.Errorf("%d files, want %d", len(got), len(want))
			}
			for file, text := range want {
				if got[file] != text {
					t.Errorf("%s: %q, want %q", file, got[file], text)
				}
			}
		})
	}
}

// A ZIP may be paused anywhere, even in the middle of a file, and gone on with
// by a writer that knows no more than what was saved.
func TestZipper_resume(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("some text that gets smaller ", 3_000)
	var b bytes.Buffer
	z := newZipper(&b, clock())
	pause := func() {
		s, err := z.pause()
		if err != nil {
			t.Fatal(err)
		}
		saved, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var read zipped
		if err := json.Unmarshal(saved, &read); err != nil {
			t.Fatal(err)
		}
		z = newZipper(&b, clock())
		if err := z.resume(read); err != nil {
			t.Fatal(err)
		}
	}
	pause()
	for _, name := range []string{"a", "b"} {
		if err := z.begin(name, small, name == "b"); err != nil {
			t.Fatal(err)
		}
		pause()
		for rest := text; rest != ""; {
			n := min(len(rest), 10_007)
			if _, err := z.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
			pause()
		}
		if err := z.end(); err != nil {
			t.Fatal(err)
		}
		pause()
	}
	digest := z.entries[0].SHA256
	if err := z.close(); err != nil {
		t.Fatal(err)
	}
	got := contents(t, bytes.NewReader(b.Bytes()), int64(b.Len()))
	if got["a"] != text || got["b"] != text || digest != z.entries[1].SHA256 {
		t.Error("a file is another one")
	}
}

func TestDos(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), clock(), time.Date(2099, 12, 31, 23, 59, 58, 0, time.UTC)} {
		c, d := dos(at)
		got := time.Date(1980+int(d>>9), time.Month(d>>5&15), int(d&31), int(c>>11), int(c>>5&63), int(c&31)*2, 0, time.UTC)
		if !got.Equal(at) {
			t.Errorf("%v, want %v", got, at)
		}
	}
}

func TestSafeName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"scan.PDF": "scan.pdf", "../../etc/passwd": "passwd.bin", `C:\x\run.exe`: "run.bin", "page.html": "page-html.txt", ".htaccess": "file.bin", "": "file.bin",
		"a b\u202Efdp.exe": "a_b_fdp.bin", "archive.tar.gz": "archive_tar.gz", strings.Repeat("x", 300) + ".txt": strings.Repeat("x", 80) + ".txt", "picture.svg": "picture-svg.txt",
		"CON.txt": "CON.txt", "..": "_.bin", "é.docx": "_.docx",
	} {
		if got := safeName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
	}
}

func FuzzReadRecord(f *testing.F) {
	for _, seed := range []string{`{"kind":"k","record":{"a":[1,{"b":null}],"t":"2026-01-02T03:04:05Z"}}`, `{"kind":1}`, `{"record":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}`, `[`, `{"kind":"k","record":"` + strings.Repeat("x", 70_000) + `"}`, `{"record":{"":{"\ud800":1}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		kind, tree, _ := readRecord(line, &english)
		if size(tree) > maxShown+8<<10 {
			t.Errorf("%d bytes are shown", size(tree))
		}
		if err := pages.ExecuteTemplate(io.Discard, "records", listing{page: page{W: &english}, Records: []shownRecord{{Heading: kind, Node: tree}}}); err != nil {
			t.Error(err)
		}
	})
}

// size is how much text a node shows.
func size(n node) int {
	total := len(n.Text) + len(n.Label)
	for _, c := range append(n.Fields, n.Items...) {
		total += size(c)
	}
	return total
}

func FuzzSafeName(f *testing.F) {
	for _, seed := range []string{"a.pdf", "../x", "a\x00.html", "....", "a.b/c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := safeName(name)
		if got == "" || len(got) > 100 || strings.ContainsAny(got, "/\\ \x00:") || strings.HasPrefix(got, ".") || strings.Count(got, ".") != 1 {
			t.Errorf("%q becomes %q", name, got)
		}
	})
}
