// Package event runs the sample events of events/ against a function, however
// it is reached, and checks its answers against events/answers.json.
// events/README.md describes both.
package event

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// An Answer says what a function must answer to an event.
type Answer struct {
	Event string // "collect/consent_json" for events/collect/consent_json.json

	// Of an HTTP event. Body and Contains (a part of it) may be absent.
	Status   int
	Headers  map[string]string
	Body     json.RawMessage
	Contains string
	Save     string // keeps the body, or the result, under this name
	Same     string // the body must equal the one kept under this name

	// Result is a pattern of what a function must return to any other event.
	Result json.RawMessage
}

// Function is the name of the function that the event is for.
func (a Answer) Function() string {
	function, _, _ := strings.Cut(a.Event, "/")
	return function
}

// A Session fills the placeholders of events and remembers the answers that
// later ones must equal. Events run in the order of answers.json.
type Session struct {
	dir   string
	keys  map[string]string
	saved map[string]json.RawMessage
	etags map[string]string
}

// Open reads answers.json in the directory events of a checkout.
func Open(dir string) (*Session, []Answer, error) {
	text, err := os.ReadFile(filepath.Join(dir, "answers.json"))
	if err != nil {
		return nil, nil, err
	}
	var answers []Answer
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&answers); err != nil {
		return nil, nil, fmt.Errorf("reading answers.json: %w", err)
	}
	return &Session{dir: dir, keys: map[string]string{}, saved: map[string]json.RawMessage{}, etags: map[string]string{}}, answers, nil
}

// Payload is the event, ready to be sent.
func (s *Session) Payload(a Answer) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(a.Event)+".json"))
	if err != nil {
		return nil, err
	}
	filled, err := s.Fill(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Event, err)
	}
	return filled, nil
}

var placeholder = regexp.MustCompile(`\{\{([^{}]+)\}\}`)

// Fill replaces what cannot stand fixed in an event: {{uuidv7}} is a fresh
// idempotency key, {{uuidv7:a}} the same one each time, {{x:1000}} a thousand
// times x, {{plan.wait}} the text "wait" of what was kept as plan, and
// {{plan.wait:approval.}} the same without that beginning. {{plan.etag}} is the
// ETag that came with it.
func (s *Session) Fill(text []byte) ([]byte, error) {
	var failed error
	filled := placeholder.ReplaceAllFunc(text, func(match []byte) []byte {
		value, err := s.value(string(match[2 : len(match)-2]))
		if err != nil {
			failed = err
		}
		return []byte(value)
	})
	return filled, failed
}

func (s *Session) value(name string) (string, error) {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind {
	case "uuidv7":
		if s.keys[rest] == "" || rest == "" {
			id, err := uuid.NewV7()
			if err != nil {
				return "", err
			}
			s.keys[rest] = id.String()
		}
		return s.keys[rest], nil
	case "x":
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 {
			return "", fmt.Errorf("{{%s}} has no number", name)
		}
		return strings.Repeat("x", n), nil
	}
	if from, field, ok := strings.Cut(kind, "."); ok && s.saved[from] != nil {
		if field == "etag" {
			return s.etags[from], nil
		}
		return s.field(from, field, rest)
	}
	return "", fmt.Errorf("{{%s}} is not known", name)
}

// field is a text of what was kept.
func (s *Session) field(from, name, prefix string) (string, error) {
	var kept map[string]any
	if err := json.Unmarshal(s.saved[from], &kept); err != nil {
		return "", fmt.Errorf("what is kept as %s is no object: %w", from, err)
	}
	text, ok := kept[name].(string)
	if !ok || !strings.HasPrefix(text, prefix) {
		return "", fmt.Errorf("what is kept as %s has no text %q that begins with %q", from, name, prefix)
	}
	return strings.TrimPrefix(text, prefix), nil
}

// Reply is what a function returns to an HTTP event, and what a caller gets.
type Reply struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	Base64  bool              `json:"isBase64Encoded"`
}

// Check compares what a function returned with the answer.
func (s *Session) Check(a Answer, returned []byte) error {
	if a.Result != nil {
		if a.Save != "" {
			s.saved[a.Save] = returned
		}
		return match(a.Result, returned)
	}
	var r Reply
	if err := json.Unmarshal(returned, &r); err != nil || r.Status == 0 {
		return fmt.Errorf("returned no HTTP answer: %.300s", returned)
	}
	return s.CheckReply(a, r)
}

// CheckReply compares an HTTP answer.
func (s *Session) CheckReply(a Answer, r Reply) error {
	body := []byte(r.Body)
	if r.Base64 {
		var err error
		if body, err = base64.StdEncoding.DecodeString(r.Body); err != nil {
			return fmt.Errorf("its body is not base64: %w", err)
		}
	}
	if r.Status != a.Status {
		return fmt.Errorf("status %d, want %d: %.300s", r.Status, a.Status, body)
	}
	for name, want := range a.Headers {
		if got := header(r.Headers, name); got != want {
			return fmt.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
	if !bytes.Contains(body, []byte(a.Contains)) {
		return fmt.Errorf("its body does not hold %q: %.300s", a.Contains, body)
	}
	if a.Body != nil {
		if err := match(a.Body, body); err != nil {
			return fmt.Errorf("%w, in %.600s", err, body)
		}
	}
	if a.Save != "" {
		s.saved[a.Save], s.etags[a.Save] = body, strings.Trim(header(r.Headers, "ETag"), `"`)
	}
	if a.Same != "" && !bytes.Equal(s.saved[a.Same], body) {
		return fmt.Errorf("answered %.300s, want the same as before: %.300s", body, s.saved[a.Same])
	}
	return nil
}

func header(headers map[string]string, name string) string {
	for key, value := range headers {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}
