package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/avow-consent/avow/internal/errs"
)

// DecodeStrict reads a body of at most limit bytes into a struct, as our own
// paths want it: one JSON object, no field that the struct does not have, no
// value of another type. What is wrong names its field. An empty body is an
// empty object. It returns the text of the body, in which an idempotent write
// is known again.
func DecodeStrict(r *http.Request, limit int, into any) (json.RawMessage, error) {
	kind, err := bodyType(r)
	if err != nil {
		return nil, err
	}
	if kind != "application/json" {
		return nil, errs.New(errs.Unsupported, "the Content-Type must be application/json")
	}
	body, err := bodyUpTo(r, limit)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if err := CheckJSON(body); err != nil {
		return nil, err
	}
	if first(body) != '{' {
		return nil, errs.New(errs.Invalid, "the body must be a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	return body, strictError(d.Decode(into))
}

// strictError names the field that a decoder disliked.
func strictError(err error) error {
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &mismatch):
		return errs.InvalidField(mismatch.Field, "must not be a JSON %s", strings.Fields(mismatch.Value)[0])
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return errs.InvalidField(strings.Trim(name, `"`), "is not a field of this request")
	}
	var own *errs.Error
	if errors.As(err, &own) {
		return own
	}
	return errs.Wrap(errs.Invalid, err, "the body cannot be read: is each time written like 2026-02-03T10:15:30Z?")
}

// Canonical is a text that is the same for JSON bodies that say the same.
func Canonical(body json.RawMessage) string {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return string(body)
	}
	text, err := json.Marshal(v) // names in order
	if err != nil {
		return string(body)
	}
	return string(text)
}
