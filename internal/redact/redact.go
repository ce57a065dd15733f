// Package redact holds values that mask themselves when printed or logged, so
// that personal data cannot reach a log, a metric or an error text by accident.
package redact

import (
	"fmt"
	"io"
	"log/slog"
)

// Mask is what a masked value prints as.
const Mask = "[redacted]"

// String is personal data: an e-mail, a name, a phone number, an IP address, a
// subject id. Every verb of fmt, slog and encoding/json print the mask; Reveal
// gives the text itself.
type String string

// Reveal returns the text. Call it only where the text must leave: an answer to
// a private key, a stored attribute, a keyed hash.
func (s String) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s String) String() string { return Mask }

// GoString implements fmt.GoStringer.
func (s String) GoString() string { return Mask }

// Format implements fmt.Formatter for every verb, %x and %q included.
func (s String) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Mask) }

// LogValue implements slog.LogValuer.
func (s String) LogValue() slog.Value { return slog.StringValue(Mask) }

// MarshalText makes encoders print the mask.
func (s String) MarshalText() ([]byte, error) { return []byte(Mask), nil }
