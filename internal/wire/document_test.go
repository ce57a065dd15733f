package wire_test

import (
	"bytes"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/wire"
)

func TestContentDisposition(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"signed.pdf":      `attachment; filename="signed.pdf"; filename*=UTF-8''signed.pdf`,
		`a "b" \c.txt`:    `attachment; filename="a _b_ _c.txt"; filename*=UTF-8''a%20%22b%22%20%5Cc.txt`,
		"Größe 100%.pdf":  `attachment; filename="Gr__e 100_.pdf"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20100%25.pdf`,
		"x'*();:,/?😀.doc": `attachment; filename="x'*();:,/?_.doc"; filename*=UTF-8''x%27%2A%28%29%3B%3A%2C%2F%3F%F0%9F%98%80.doc`,
	} {
		if got := wire.ContentDisposition(name); got != want {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
}

// A browser reads the name that was stored.
func FuzzContentDisposition(f *testing.F) {
	for _, seed := range []string{"signed.pdf", "Größe.pdf", `"\`, "%41", "'", "a;b=c", "\u00a0"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !utf8.ValidString(name) || name == "" {
			return
		}
		header := wire.ContentDisposition(name)
		if strings.ContainsFunc(header, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q is no header", header)
		}
		kind, params, err := mime.ParseMediaType(header)
		if err != nil || kind != "attachment" || params["filename"] != name {
			t.Fatalf("%q is read as %s %q: %v", header, kind, params["filename"], err)
		}
	})
}

// filePart is a multipart body with one file.
func filePart(disposition, kind string, body []byte) (contentType string, text []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	header := textproto.MIMEHeader{"Content-Disposition": {disposition}}
	if kind != "" {
		header.Set("Content-Type", kind)
	}
	part, _ := w.CreatePart(header)
	_, _ = part.Write(body)
	_ = w.Close()
	return w.FormDataContentType(), b.Bytes()
}

func TestDecodeDocument_names(t *testing.T) {
	t.Parallel()
	for parameter, want := range map[string]string{
		`filename="signed.pdf"`:                        "signed.pdf",
		`filename=signed.pdf`:                          "signed.pdf",
		`filename="/home/ines/signed.pdf"`:             "signed.pdf",
		`filename="C:\scans\signed.pdf"`:               "signed.pdf",
		`filename="..\..\signed.pdf"`:                  "signed.pdf",
		`filename="Größe 😀.pdf"`:                       "Größe 😀.pdf",
		`filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf`:         "Größe.pdf",
		`filename="a\"b.pdf"`:                          `a"b.pdf`,
		`filename=" a .pdf"`:                           " a .pdf",
		`filename="` + strings.Repeat("x", 1024) + `"`: strings.Repeat("x", 1024),
		`filename="family 👨‍👩‍👧.jpg"`:                  "family 👨‍👩‍👧.jpg",
	} {
		contentType, body := filePart(`form-data; name="file"; `+parameter, "", []byte("x"))
		f, err := wire.DecodeDocument(contentType, body)
		if err != nil || f.Name != want {
			t.Errorf("%s: %q, %v; want %q", parameter, f.Name, err, want)
		}
	}
}

func TestDecodeDocument_types(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ stated, body, want string }{
		{"application/pdf", "x", "application/pdf"},
		{"Image/PNG; q=1", "x", "image/png"},
		{"text/plain; charset", "x", "text/plain"},
		{"", "%PDF-1.7", "application/pdf"},
		{"application/octet-stream", "\x89PNG\r\n\x1a\n", "image/png"},
		{"application/octet-stream", "\x00\x01", "application/octet-stream"},
		{"pdf", "<html>", "text/html"},
		{"a/" + strings.Repeat("b", 300), "x", "text/plain"},
		{"a/b/c", "x", "text/plain"},
	} {
		contentType, body := filePart(`form-data; name="file"; filename="a"`, tt.stated, []byte(tt.body))
		f, err := wire.DecodeDocument(contentType, body)
		if err != nil || f.MimeType != tt.want {
			t.Errorf("%q: %q, %v; want %q", tt.stated, f.MimeType, err, tt.want)
		}
	}
}

// Whatever passes the decoder has a name that can be shown, a type that can be
// a header, and bytes that stand in the body.
func FuzzDecodeDocument(f *testing.F) {
	for _, disposition := range []string{
		`form-data; name="file"; filename="signed.pdf"`, `form-data; name=file; filename*=UTF-8''%E2%82%AC.pdf`, `form-data; name="file"`,
		`form-data; name="other"; filename="x"`, `form-data; name="file"; filename="C:\a\b"`, `attachment`,
	} {
		contentType, body := filePart(disposition, "application/pdf", []byte("%PDF-1.7\r\n--"))
		f.Add(contentType, body)
		f.Add(contentType, body[:len(body)-9])
	}
	f.Add("multipart/form-data; boundary=b", []byte("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\xff\x00\r\n--b--"))
	f.Add("multipart/form-data; boundary=\"\"", []byte("----"))
	f.Add("multipart/mixed; boundary=b", []byte("--b--"))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		file, err := wire.DecodeDocument(contentType, body)
		if err != nil {
			if kind := errs.KindOf(err); kind != errs.Invalid && kind != errs.Unsupported {
				t.Fatalf("%v: %s", err, kind)
			}
			return
		}
		if file.Name == "" || len(file.Name) > consent.MaxText || !utf8.ValidString(file.Name) ||
			strings.ContainsAny(file.Name, `/\`) || strings.ContainsFunc(file.Name, unicode.IsControl) {
			t.Fatalf("name %q", file.Name)
		}
		if kind, _, err := mime.ParseMediaType(file.MimeType); err != nil || kind != file.MimeType || !strings.Contains(kind, "/") {
			t.Fatalf("type %q: %v", file.MimeType, err)
		}
		if len(file.Body) == 0 || !bytes.Contains(body, file.Body) {
			t.Fatalf("%q is not in the body", file.Body)
		}
	})
}
