// Package canon gives a value its one form as JSON (RFC 8785): sorted names, no
// space, one way to write each number and text. Two who have the same value have
// the same bytes, and so the same digest.
package canon

import (
	"bytes"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/avow-consent/avow/internal/errs"
)

// JSON is the canonical form of v. Numbers must be such that a double keeps
// them: integers up to 2^53.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, errs.Wrap(errs.Internal, err, "encoding JSON")
	}
	text := jsontext.Value(bytes.TrimSpace(b.Bytes()))
	if err := text.Canonicalize(); err != nil {
		return nil, errs.Wrap(errs.Internal, err, "encoding canonical JSON")
	}
	return text, nil
}

// Is reports whether a text is in canonical form. A text with a name that stands
// twice, or with invalid UTF-8, is not.
func Is(text []byte) bool {
	again := jsontext.Value(bytes.Clone(text))
	return again.Canonicalize() == nil && bytes.Equal(again, text)
}
