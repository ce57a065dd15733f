package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
)

// Body reads a request body of at most consent.MaxBody bytes.
func Body(r *http.Request) ([]byte, error) { return bodyUpTo(r, consent.MaxBody) }

func bodyUpTo(r *http.Request, limit int) ([]byte, error) {
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, int64(limit))) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(r.Body, int64(limit)+1)); err != nil {
		return nil, errs.Wrap(errs.Invalid, err, "the body could not be read")
	}
	body := b.Bytes()
	if len(body) > limit {
		return nil, errs.New(errs.TooLarge, "Request Entity Too Large: a body has at most %d bytes", limit)
	}
	return body, nil
}

// Decode reads a body as JSON: application/json, text/plain (what sendBeacon
// sends), or application/x-www-form-urlencoded with nested names, which becomes
// the JSON that it stands for. The text is UTF-8 without NUL, no name stands
// twice in an object, and nothing is nested deeper than consent.MaxDepth.
func Decode(r *http.Request) (json.RawMessage, error) {
	kind, err := bodyType(r)
	if err != nil {
		return nil, err
	}
	body, err := Body(r)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "application/json", "text/plain":
		return body, CheckJSON(body)
	case "application/x-www-form-urlencoded":
		return decodeForm(body)
	default:
		return nil, errs.New(errs.Unsupported, "the Content-Type must be application/json or application/x-www-form-urlencoded")
	}
}

// bodyType is the type of a request's body, JSON where none is stated. A charset
// that is not UTF-8 is refused.
func bodyType(r *http.Request) (string, error) {
	stated := r.Header.Get("Content-Type")
	if stated == "" {
		return "application/json", nil
	}
	kind, params, err := mime.ParseMediaType(stated)
	if err != nil {
		return "", errs.New(errs.Invalid, "the Content-Type header cannot be read")
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return "", errs.New(errs.Invalid, "the charset must be UTF-8")
	}
	return kind, nil
}

// mediaType is the type of a request's body without parameters.
func mediaType(r *http.Request) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind
}

// CheckJSON accepts exactly one JSON value within the limits of Decode.
func CheckJSON(body []byte) error {
	escaped := bytes.Contains(body, []byte(`\u0000`)) // the only way in which JSON can hold a NUL
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	for {
		token, err := d.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && d.InputOffset() > 0 && d.StackDepth() == 0:
			return nil
		case err != nil:
			return errs.Wrap(errs.Invalid, err, "the body is not valid JSON in UTF-8 (at byte %d)", d.InputOffset())
		case d.StackDepth() > consent.MaxDepth:
			return errs.New(errs.Invalid, "the body is nested deeper than %d levels", consent.MaxDepth)
		case escaped && token.Kind() == '"' && strings.Contains(token.String(), "\x00"):
			return errs.New(errs.Invalid, "the body holds a NUL character")
		}
		if d.StackDepth() == 0 && token.Kind() != '{' && token.Kind() != '[' {
			// One whole value has been read; only white space may follow.
			if rest := bytes.TrimLeft(body[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
				return errs.New(errs.Invalid, "the body holds more than one JSON value")
			}
			return nil
		}
	}
}

// Object reads the fields of a JSON object leniently, as the clients of the
// reference API need it: numbers where texts are expected, "true" for true,
// null or "" for absent. What it dislikes it notes under the field's path;
// unknown fields are ignored.
type Object struct {
	path   string
	fields map[string]json.RawMessage
	bad    *[]errs.Field
}

// NewObject reads a body that must be an object.
func NewObject(body json.RawMessage) (Object, error) {
	o := Object{bad: new([]errs.Field)}
	if !o.open(body) {
		return o, errs.New(errs.Invalid, "the body must be a JSON object")
	}
	return o, nil
}

// open reads the fields of a text that must be an object.
func (o *Object) open(raw json.RawMessage) bool {
	names, values, ok := Fields(raw)
	o.fields = make(map[string]json.RawMessage, len(names))
	for i, name := range names {
		o.fields[name] = values[i]
	}
	return ok
}

// Err returns what was disliked so far, nil when nothing.
func (o Object) Err() error {
	if len(*o.bad) == 0 {
		return nil
	}
	return errs.InvalidFields(*o.bad...)
}

// Dislike notes a field that cannot be accepted.
func (o Object) Dislike(name, message string) {
	*o.bad = append(*o.bad, errs.Field{Field: o.path + name, Message: message})
}

// first is the byte that tells the kind of a JSON value; 0 for none.
func first(raw json.RawMessage) byte {
	if raw = bytes.TrimLeft(raw, " \t\r\n"); len(raw) > 0 {
		return raw[0]
	}
	return 0
}

// Null reports whether a field is given as null.
func (o Object) Null(name string) bool { return first(o.fields[name]) == 'n' }

// Raw returns the text of a field; nil when it is absent or null.
func (o Object) Raw(name string) json.RawMessage {
	if raw := o.fields[name]; first(raw) != 'n' {
		return raw
	}
	return nil
}

// Text returns a text, or a number as text; "" when absent. false is absent, as
// PHP has it: taken for a text, it would make all who have no id one person.
func (o Object) Text(name string, limit int) string {
	raw := o.Raw(name)
	if c := first(raw); c == 0 || c == 'f' {
		return ""
	}
	text, ok := scalar(raw)
	switch {
	case !ok, first(raw) == 't':
		o.Dislike(name, "must be a string")
		return ""
	case len(text) > limit:
		o.Dislike(name, "must have at most "+strconv.Itoa(limit)+" bytes")
	}
	return text
}

// scalar is the text of a string, a number or a truth value.
func scalar(raw json.RawMessage) (string, bool) {
	switch c := first(raw); {
	case c == '"':
		text, err := jsontext.AppendUnquote(nil, bytes.TrimSpace(raw))
		return string(text), err == nil
	case c == '{' || c == '[' || c == 'n' || c == 0:
		return "", false
	default:
		return string(bytes.TrimSpace(raw)), true
	}
}

// Bool returns a truth value; nil when it is absent, null or "".
func (o Object) Bool(name string) *bool {
	raw := o.Raw(name)
	if raw == nil {
		return nil
	}
	text, ok := scalar(raw)
	var value bool
	switch text {
	case "true", "1":
		value = true
	case "false", "0":
	case "":
		if ok {
			return nil
		}
		fallthrough
	default:
		o.Dislike(name, "must be true or false")
	}
	return &value
}

// Time returns an instant; nil when it is absent, null or "".
func (o Object) Time(name string) *time.Time {
	text := o.Text(name, consent.MaxText)
	if text == "" {
		return nil
	}
	t, ok := ParseTime(text)
	if !ok {
		o.Dislike(name, "must be a time like 2026-02-03T10:15:30Z")
	}
	return &t
}

// Object returns a nested object; ok is false when it is absent, null, false, ""
// or [], as some clients send for none: PHP writes an empty map as [].
func (o Object) Object(name string) (Object, bool) {
	raw := o.Raw(name)
	nested := Object{path: o.path + name + ".", bad: o.bad}
	switch first(raw) {
	case 0, 'f':
		return nested, false
	case '{':
		ok := nested.open(raw)
		return nested, ok
	}
	if o.some(name) == nil { // []
		return nested, false
	}
	if text, ok := scalar(raw); !ok || text != "" {
		o.Dislike(name, "must be an object")
	}
	return nested, false
}

// some returns the text of a field; nil also when it is empty, because PHP
// writes an empty map and an empty list alike.
func (o Object) some(name string) json.RawMessage {
	raw := o.Raw(name)
	if inner, ok := bytes.CutPrefix(raw, []byte("[")); ok && len(bytes.TrimSpace(inner)) == 1 {
		return nil
	}
	if inner, ok := bytes.CutPrefix(raw, []byte("{")); ok && len(bytes.TrimSpace(inner)) == 1 {
		return nil
	}
	return raw
}

// List returns the elements of an array, each under its path; nil when it is
// absent, null, false, {} or "".
func (o Object) List(name string, limit int) []Element {
	raw := o.some(name)
	if c := first(raw); c == 0 || c == 'f' {
		return nil
	}
	values, ok := elements(raw)
	if !ok {
		if text, ok := scalar(raw); !ok || text != "" {
			o.Dislike(name, "must be an array")
		}
		return nil
	}
	if len(values) > limit {
		o.Dislike(name, "must have at most "+strconv.Itoa(limit)+" elements")
		return nil
	}
	list := make([]Element, len(values))
	for i, v := range values {
		list[i] = Element{parent: o, name: name + "[" + strconv.Itoa(i) + "]", raw: v}
	}
	return list
}

// Element is one element of an array.
type Element struct {
	parent Object
	name   string
	raw    json.RawMessage
}

// Object returns the element as an object.
func (e Element) Object() (Object, bool) { return e.lone().Object(e.name) }

// Text returns the element as a text.
func (e Element) Text(limit int) string { return e.lone().Text(e.name, limit) }

func (e Element) lone() Object {
	return Object{path: e.parent.path, fields: map[string]json.RawMessage{e.name: e.raw}, bad: e.parent.bad}
}

// Fields returns the names and texts of an object in the order of the text.
func Fields(raw json.RawMessage) (names []string, values []json.RawMessage, ok bool) {
	d := checked(raw)
	if token, err := d.ReadToken(); err != nil || token.Kind() != '{' {
		return nil, nil, false
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return nil, nil, false
		}
		name := token.String()
		value, err := readValue(d, raw)
		if err != nil {
			return nil, nil, false
		}
		names, values = append(names, name), append(values, value)
	}
	return names, values, d.PeekKind() == '}'
}

// checked reads a text that CheckJSON has accepted: no name stands twice in it.
func checked(raw json.RawMessage) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true))
}

// elements returns the texts of the elements of an array.
func elements(raw json.RawMessage) (values []json.RawMessage, ok bool) {
	d := checked(raw)
	if token, err := d.ReadToken(); err != nil || token.Kind() != '[' {
		return nil, false
	}
	for d.PeekKind() != ']' {
		value, err := readValue(d, raw)
		if err != nil {
			return nil, false
		}
		values = append(values, value)
	}
	return values, true
}

// readValue reads the next value as the part of the text that it is.
func readValue(d *jsontext.Decoder, text json.RawMessage) (json.RawMessage, error) {
	value, err := d.ReadValue()
	end := int(d.InputOffset())
	return text[end-len(value) : end : end], err
}

// timeLayouts are the ways in which clients write an instant. Without a zone it
// is UTC.
var timeLayouts = []string{
	time.RFC3339Nano, "2006-01-02 15:04:05 MST", "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05.999999999Z0700",
	"2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05.999999999", "2006-01-02",
}

// ParseTime reads an instant as ISO 8601, as "2018-02-22 00:40:00 UTC", or as
// unix seconds. Years run from 1 to 9999.
func ParseTime(text string) (time.Time, bool) {
	if unix, err := strconv.ParseInt(text, 10, 64); err == nil {
		const year10000 = 253402300800
		if unix < 0 || unix >= year10000 {
			return time.Time{}, false
		}
		return time.Unix(unix, 0).UTC(), true
	}
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, text)
		if err != nil {
			continue
		}
		if zone, offset := t.Zone(); strings.HasSuffix(layout, "MST") && (offset != 0 || zone != "UTC" && zone != "GMT") {
			return time.Time{}, false // Go would take any unknown zone name for UTC
		}
		t = t.UTC()
		return t, t.Year() >= 1 && t.Year() <= 9999
	}
	return time.Time{}, false
}

// CheckText refuses a text of a query or a path that no stored text can be.
func CheckText(field, text string, limit int) error {
	switch {
	case !utf8.ValidString(text):
		return errs.InvalidField(field, "must be UTF-8")
	case strings.Contains(text, "\x00"):
		return errs.InvalidField(field, "must not hold a NUL character")
	case len(text) > limit:
		return errs.InvalidField(field, "must have at most %d bytes", limit)
	}
	return nil
}
