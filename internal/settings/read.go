package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/mail"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/avow-consent/avow/internal/connector"
)

// wellFormed reports the first flaw of a JSON text: no name stands twice in an
// object, and nothing follows.
func wellFormed(text []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	_, err := d.ReadValue()
	if err == nil {
		if _, more := d.ReadToken(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the end of the object")
		}
	}
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		return fmt.Errorf("is not valid JSON: %w at byte %d, %q", syntax.Err, syntax.ByteOffset, syntax.JSONPointer)
	}
	return err
}

// strict decodes an object into a struct whose fields all carry a json tag. A
// key that the struct does not name is refused, in other capitals too. where
// begins each sentence; it is empty for the whole file.
func strict(where string, text json.RawMessage, into any) error {
	if len(text) == 0 {
		return nil
	}
	if err := knownKeys(where, text, keysOf(into)); err != nil {
		return err
	}
	err := json.Unmarshal(text, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return say(where, "%s must be %s", wrong.Field, nameOf(wrong.Type))
	}
	if err != nil {
		return say(where, "cannot be read")
	}
	return nil
}

// knownKeys refuses an object with a key that is not one of keys.
func knownKeys(where string, text json.RawMessage, keys []string) error {
	fields, err := object(where, text)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(keys, key) {
			return say(where, "unknown key %q; the keys are %s", key, strings.Join(keys, ", "))
		}
	}
	return nil
}

// object is a JSON object's fields.
func object(where string, text json.RawMessage) (map[string]json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		return nil, say(where, "must be an object")
	}
	return fields, nil
}

func keysOf(into any) []string {
	t := reflect.TypeOf(into).Elem()
	var keys []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		keys = append(keys, name)
	}
	return keys
}

// nameOf says in words what JSON a Go type is read from.
func nameOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}

// say makes a sentence that begins with where, if that is not empty.
func say(where, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if where != "" {
		text = where + ": " + text
	}
	return errors.New(text)
}

var durationForm = regexp.MustCompile(`^([0-9]{1,6})(ms|s|m|h|d)$`)

// ParseDuration reads a whole number with one unit: "30d", "24h", "10m", "1s",
// "200ms".
func ParseDuration(text string) (time.Duration, error) {
	m := durationForm.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("%q is no duration such as 30d, 24h, 10m, 1s", text)
	}
	if m[2] != "d" {
		return time.ParseDuration(text)
	}
	days, err := time.ParseDuration(m[1] + "h")
	return 24 * days, err
}

// date accepts 2026-03-01.
func date(where, field, text string) error {
	if _, err := time.Parse(time.DateOnly, text); err != nil {
		return say(where, "%s %q is no date such as 2026-03-01", field, text)
	}
	return nil
}

var languageForm = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

// texts checks texts by language, given with the names of their fields.
func texts(where string, fields map[string]connector.Text) error {
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		for _, language := range slices.Sorted(maps.Keys(fields[field])) {
			if !languageForm.MatchString(language) {
				return say(where, "%s has a text in %q, which is no language such as en or fr", field, language)
			}
			if strings.TrimSpace(fields[field][language]) == "" {
				return say(where, "%s has an empty text in %q", field, language)
			}
		}
	}
	return nil
}

// address accepts a mail address without a display name.
func address(where, field, text string) error {
	if a, err := mail.ParseAddress(text); err != nil || a.Address != text {
		return say(where, "%s is no mail address", field)
	}
	return nil
}

// WebAddress accepts an https URL without credentials, query and fragment, and
// http only for this machine itself.
func WebAddress(where, field, text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return say(where, "%s is no address such as https://example.com", field)
	}
	local := u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1" || u.Hostname() == "::1"
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return say(where, "%s must begin with https://", field)
	}
	return nil
}
