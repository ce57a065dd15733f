package contract

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/textproto"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// equal reports a difference.
func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var uuidText = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

func isUUID(s string) bool { return uuidText.MatchString(s) }

// keyAt makes an idempotency key of a time.
func keyAt(t time.Time) string {
	id := uuid.New()
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	return id.String()
}

// newKey makes an idempotency key of this moment.
func newKey() string { return keyAt(time.Now()) }

type uploaded struct {
	ID, Name, Timestamp string
	MimeType            string `json:"mime_type"`
	Referenced          bool
}

// form makes a multipart body with one file.
func form(t *testing.T, name, content string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="file"; filename="` + name + `"`}, "Content-Type": {"application/pdf"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// upload keeps a PDF.
func (s *shop) upload(t *testing.T, path, name, content string) (u uploaded) {
	t.Helper()
	body, contentType := form(t, name, content)
	s.send(t, call{method: "POST", path: path, key: s.private, body: body, contentType: contentType}).ok(t).into(t, &u)
	return u
}

func ptr[T any](v T) *T { return &v }

// quote writes a text as JSON.
func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
