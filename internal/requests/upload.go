package requests

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"regexp"
	"strings"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

// Bounds of an uploaded document and of the body that carries it in base64. A
// function takes no more than 6 MB (API Gateway 10 MB).
const (
	maxDocument = 3 << 20
	maxUpload   = maxDocument/3*4 + 64<<10
	maxName     = 255 // of a file, and of its media type
)

var sha256Text = regexp.MustCompile(`^[0-9a-f]{64}$`)

// document is a document that shows something: its SHA-256, or itself, of which
// only the SHA-256 is kept. Whoever doubts it later compares the company's copy.
type document struct{ sha256 string }

func (d document) empty() bool    { return d.sha256 == "" }
func (d document) digest() string { return d.sha256 }

// UnmarshalJSON reads {"sha256":"…"} or {"document":"<base64>"}.
func (d *document) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil
	}
	var in struct {
		SHA256   string `json:"sha256"`
		Document string `json:"document"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil || (in.SHA256 == "") == (in.Document == "") {
		return errs.New(errs.Invalid, `a proof is {"sha256":"<64 hexadecimal digits>"} or {"document":"<base64>"}`)
	}
	if in.SHA256 != "" {
		if !sha256Text.MatchString(in.SHA256) {
			return errs.New(errs.Invalid, "sha256 must be 64 hexadecimal digits in small letters")
		}
		d.sha256 = in.SHA256
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(in.Document)
	if err != nil || len(raw) == 0 {
		return errs.New(errs.Invalid, "document must be base64")
	}
	if len(raw) > maxDocument {
		return errs.New(errs.TooLarge, "a document has at most %d bytes; give its sha256 instead", maxDocument)
	}
	d.sha256 = digestOf(raw)
	return nil
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// maxFiles is how many files one task takes; together they are no larger than
// one document.
const maxFiles = 10

// file is what a person has found by hand in a system that no API reaches. It
// becomes part of the package.
type file struct {
	name      redact.String // the operator's own: it may hold anything
	mediaType string
	content   []byte
}

// UnmarshalJSON reads {"name":"…","type":"…","content":"<base64>"}; without a
// type it is application/octet-stream.
func (f *file) UnmarshalJSON(text []byte) error {
	var in struct {
		Name    redact.String `json:"name"`
		Type    string        `json:"type"`
		Content string        `json:"content"`
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil || in.Name == "" || in.Content == "" {
		return errs.New(errs.Invalid, `a file is {"name":"letter.pdf","type":"application/pdf","content":"<base64>"}`)
	}
	if len(in.Name) > maxName {
		return errs.New(errs.Invalid, "the name of a file has at most %d bytes", maxName)
	}
	kind := cmp.Or(in.Type, "application/octet-stream")
	if media, _, err := mime.ParseMediaType(kind); err != nil || !strings.Contains(media, "/") || len(kind) > maxName {
		return errs.New(errs.Invalid, "the type of a file must be a media type, such as application/pdf")
	}
	raw, err := base64.StdEncoding.DecodeString(in.Content)
	if err != nil {
		return errs.New(errs.Invalid, "the content of a file must be base64")
	}
	f.name, f.mediaType, f.content = in.Name, kind, raw
	return nil
}

func checkFiles(files []file) error {
	if len(files) > maxFiles {
		return errs.InvalidField("files", "are at most %d: put more into an archive", maxFiles)
	}
	size := 0
	for _, f := range files {
		size += len(f.content)
	}
	if size > maxDocument {
		return errs.New(errs.TooLarge, "the files of a task have at most %d bytes together; send what is larger to the person yourself, and give its sha256 as evidence", maxDocument)
	}
	return nil
}

// digestsOf are the SHA-256 of files, as the log keeps them.
func digestsOf(files []file) string {
	var list []string
	for _, f := range files {
		list = append(list, digestOf(f.content))
	}
	return strings.Join(list, " ")
}

// nameOf names an upload by all that is in it. So two people who upload at the
// same time do not meet, the verdict says whose files count, and who repeats a
// call writes again what is there.
func nameOf(files []file) string {
	sum := sha256.New()
	for _, f := range files {
		for _, part := range []string{f.name.Reveal(), f.mediaType, digestOf(f.content)} {
			fmt.Fprintf(sum, "%d:%s", len(part), part)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// found is the entry of a file in the data of its system. The name is not in it:
// an officer who leaves the file out leaves its name out, too.
type found struct {
	MediaType string `json:"media_type"`
	Bytes     int    `json:"bytes"`
	SHA256    string `json:"sha256"` // as in manifest.json
}

// keep stores files as the part of a system.
func (s *server) keep(ctx context.Context, id, system, name string, files []file) error {
	part, err := s.packages.UploadSink(ctx, id, system, name)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := part.File(ctx, f.name.Reveal(), f.mediaType, bytes.NewReader(f.content)); err != nil {
			return err
		}
		if err := part.Record("document", found{f.mediaType, len(f.content), digestOf(f.content)}); err != nil {
			return err
		}
	}
	return part.Close(ctx)
}
