package connector

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/avow-consent/avow/internal/errs"
)

// Config decodes the "config" of a system in systems.json into a struct. An
// unknown key, or a value of the wrong type, is Invalid and names both. Without
// a text the struct keeps its defaults.
func Config(system string, text json.RawMessage, into any) error {
	if len(text) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return errs.New(errs.Invalid, "system %q: config.%s must not be a %s", system, wrong.Field, wrong.Value)
	case strings.Contains(err.Error(), "unknown field"):
		return errs.New(errs.Invalid, "system %q: config has an %s", system, strings.TrimPrefix(err.Error(), "json: "))
	}
	return errs.New(errs.Invalid, "system %q: config cannot be read", system)
}
