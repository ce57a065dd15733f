package wire

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
)

// DecodeDocument reads the body of POST /documents: multipart/form-data with
// one part "file"; other parts are ignored.
func DecodeDocument(contentType string, body []byte) (f consent.File, err error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return f, errs.New(errs.Unsupported, "the Content-Type must be multipart/form-data, with one part named file")
	}
	found := false
	reader := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for {
		part, err := reader.NextRawPart()
		if err == io.EOF { //nolint:errorlint // a truncated body wraps it: it must not pass for the end
			break
		}
		if err != nil {
			return f, errs.Wrap(errs.Invalid, err, "the multipart body cannot be read")
		}
		if part.FormName() != "file" {
			continue
		}
		if found {
			return f, errs.InvalidField("file", "must stand once")
		}
		found = true
		if f.Body, err = io.ReadAll(part); err != nil {
			return f, errs.Wrap(errs.Invalid, err, "the multipart body cannot be read")
		}
		if f.Name, err = fileName(part.FileName()); err != nil {
			return f, err
		}
		if err := checkEncoding(part.Header); err != nil {
			return f, err
		}
		f.MimeType = mimeType(part.Header.Get("Content-Type"), f.Body)
	}
	switch {
	case !found:
		return f, errs.InvalidField("file", "must be a part of the multipart body")
	case len(f.Body) == 0:
		return f, errs.InvalidField("file", "must not be empty")
	}
	return f, nil
}

// checkEncoding refuses what would have to be decoded: forms send bytes as they
// are (RFC 7578 §4.7).
func checkEncoding(header textproto.MIMEHeader) error {
	switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
	case "", "7bit", "8bit", "binary":
		return nil
	}
	return errs.InvalidField("file", "must be sent without a Content-Transfer-Encoding")
}

// fileName is the last element of a path, in whichever system's form.
func fileName(name string) (string, error) {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	// Besides control characters: what ends a line, and what reverses the order of
	// letters, so that a name shows another ending than it has.
	unprintable := func(r rune) bool {
		return unicode.IsControl(r) || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}
	var message string
	switch {
	case slices.Contains([]string{"", ".", ".."}, strings.TrimSpace(name)):
		message = "must have a file name"
	case len(name) > consent.MaxText:
		message = "must have a file name of at most " + strconv.Itoa(consent.MaxText) + " bytes"
	case !utf8.ValidString(name):
		message = "must have a file name in UTF-8"
	case strings.ContainsFunc(name, unprintable):
		message = "must have a file name without control characters"
	default:
		return name, nil
	}
	return "", errs.InvalidField("file", "%s", message)
}

// mimeType is the stated type without parameters, or what the bytes look like
// when none is stated, or none in particular.
func mimeType(stated string, body []byte) string {
	const unknown, longest = "application/octet-stream", 255
	kind, _, err := mime.ParseMediaType(stated)
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) || kind == unknown || len(kind) > longest || !strings.Contains(kind, "/") {
		kind, _, _ = mime.ParseMediaType(http.DetectContentType(body))
	}
	return kind
}

// ContentDisposition makes a browser save a document under its name (RFC 6266):
// an ASCII name for old readers and the whole one, percent-encoded (RFC 8187).
func ContentDisposition(name string) string {
	var plain, encoded strings.Builder
	for _, r := range name {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%`, r) {
			r = '_'
		}
		plain.WriteRune(r)
	}
	const hexDigits = "0123456789ABCDEF"
	for _, b := range []byte(name) {
		if b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || strings.IndexByte("!#$&+-.^_`|~", b) >= 0 {
			encoded.WriteByte(b)
			continue
		}
		encoded.Write([]byte{'%', hexDigits[b>>4], hexDigits[b&15]})
	}
	return `attachment; filename="` + plain.String() + `"; filename*=UTF-8''` + encoded.String()
}

// DocumentAcknowledgement is the answer to an upload.
type DocumentAcknowledgement struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	MimeType  string `json:"mime_type"`
	Timestamp string `json:"timestamp"`
}

// NewDocumentAcknowledgement renders the answer to an upload.
func NewDocumentAcknowledgement(d *consent.Document) DocumentAcknowledgement {
	return DocumentAcknowledgement{ID: d.ID, Name: d.Name, MimeType: d.MimeType, Timestamp: Time(d.Created)}
}

// DocumentItem is a document as a list shows it.
type DocumentItem struct {
	DocumentAcknowledgement
	Referenced bool `json:"referenced"`
}

// NewDocumentItem renders a document for a list.
func NewDocumentItem(d *consent.Document) DocumentItem {
	return DocumentItem{DocumentAcknowledgement: NewDocumentAcknowledgement(d), Referenced: d.Referenced}
}

// NewDocument renders a document that a consent or a notice names; nil means
// that the site has none of that id.
func NewDocument(id string, d *consent.Document) Document {
	if d == nil {
		return Document{ID: id, Missing: true}
	}
	at := Time(d.Created)
	return Document{ID: id, Name: &d.Name, MimeType: &d.MimeType, Timestamp: &at}
}
