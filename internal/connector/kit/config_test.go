package kit_test

import (
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

func TestFileName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"photo.jpg": "photo.jpg", "../../etc/passwd": "passwd", `C:\evil\x.exe`: "x.exe", "": "file", "..": "file", " . ": "file", "a/": "file",
		"a\x00b\n.txt": "a_b_.txt", "<img>.png": "_img_.png", "invoice\u202efdp.exe": "invoice_fdp.exe", "é ü.pdf": "é ü.pdf", "a\xffb": "a_b",
		strings.Repeat("a", 200) + ".pdf": strings.Repeat("a", 96) + ".pdf",
	} {
		if got := kit.FileName(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, name := range []string{"", "a/b", `..\..`, "\u202e", "con", strings.Repeat("é", 300)} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := kit.FileName(name)
		if got == "" || got == "." || got == ".." || strings.ContainsAny(got, "/\\\x00\n<>\"") || !utf8.ValidString(got) || utf8.RuneCountInString(got) > 100 {
			t.Fatalf("%q: %q", name, got)
		}
	})
}

// A link of a vendor stays below the vendor's own address, or is refused.
func FuzzLink(f *testing.F) {
	for _, link := range []string{"", "?page=2", "/api/users", "https://desk.test/api/x", "//evil.test/api/x", "https://desk.test/api/../x", "/api/%2e%2e/x", "https:/\\evil.test/api/", "javascript:alert(1)"} {
		f.Add(link)
	}
	v := &vendor{}
	c, err := kit.New(v.options())
	if err != nil {
		f.Fatal(err)
	}
	base, _ := url.Parse(v.options().Base)
	f.Fuzz(func(t *testing.T, link string) {
		route, err := c.Link(kit.To("/users"), link)
		if err != nil {
			return
		}
		u, err := route.Resolve(base)
		if err != nil || u.Scheme != "https" || u.Host != "desk.test" && u.Host != "desk.test:443" || u.User != nil || !strings.HasPrefix(u.Path, "/api/") || strings.Contains(u.Path, "/../") {
			t.Fatalf("%q: %v, %v", link, u, err)
		}
	})
}

func TestParseHandle(t *testing.T) {
	t.Parallel()
	type handle struct{ Next string }
	var got handle
	if err := kit.ParseHandle(kit.Handle(handle{"a"}), &got); err != nil || got.Next != "a" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := kit.ParseHandle("of ines", &got); !errs.Is(err, errs.Internal) || strings.Contains(err.Error(), "ines") {
		t.Errorf("%v", err)
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"RDP-J1001": "RDP-J1001", "": "(not printable)", "ines@example.test": "(not printable)", "a b": "(not printable)"} {
		if got := kit.Token(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
