package redact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/redact"
)

func TestString_neverPrintsItself(t *testing.T) {
	t.Parallel()
	const secret = "ines@example.test"
	s := redact.String(secret)
	holder := struct {
		Email  redact.String
		Emails []redact.String
		Map    map[string]redact.String
	}{s, []redact.String{s}, map[string]redact.String{"email": s}}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", s, holder, &holder)
	}
	fmt.Fprintln(&out, s, holder)
	log := slog.New(slog.NewJSONHandler(&out, nil))
	log.Info("x", "email", s, "holder", holder)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "email", s, "holder", holder)
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	for _, leak := range []string{secret, "ines", fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("printed %q:\n%s", leak, out.String())
		}
	}
	if s.Reveal() != secret {
		t.Errorf("Reveal() = %q", s.Reveal())
	}
}
