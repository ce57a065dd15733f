package kit

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/avow-consent/avow/internal/errs"
)

// Secret reads Credentials from a system's secret, which is JSON. Its text is
// never quoted.
func Secret(system string, read func(ctx context.Context) ([]byte, error)) func(ctx context.Context) (Credentials, error) {
	return func(ctx context.Context) (Credentials, error) {
		text, err := read(ctx)
		if err != nil {
			return Credentials{}, err
		}
		var c Credentials
		if json.Unmarshal(text, &c) != nil || c.ID == "" || c.Secret == "" {
			return Credentials{}, errs.New(errs.Forbidden, "system %q: the secret must be {\"client_id\": …, \"client_secret\": …}", system)
		}
		return c, nil
	}
}

// Handle is a handle made of a struct.
func Handle(h any) string {
	text, err := json.Marshal(h)
	if err != nil {
		panic(fmt.Sprintf("kit: encoding a handle of type %T", h)) // only a connector's own types
	}
	return string(text)
}

// ParseHandle reads what Handle has made.
func ParseHandle(text string, into any) error {
	if json.Unmarshal([]byte(text), into) != nil {
		return errs.New(errs.Internal, "the handle of the operation cannot be read")
	}
	return nil
}

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,80}$`)

// Token is a vendor's own number or word as it may stand in evidence; what
// does not look like one is left out.
func Token(text string) string {
	if !tokenForm.MatchString(text) {
		return "(not printable)"
	}
	return text
}

// FileName makes a vendor's file name harmless: no path, no control characters,
// no name that is only dots, at most 100 characters.
func FileName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar || strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
	if runes := []rune(name); len(runes) > 100 {
		name = string(runes[len(runes)-100:]) // the end has the extension
	}
	if strings.Trim(name, ". ") == "" {
		return "file"
	}
	return name
}
