package settings

import (
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/request"
)

// The reference names every key, and every policy with its default and bounds.
func TestReference(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/connectors/systems.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	p := request.Defaults()
	known := settingsOf(&p)
	for _, key := range slices.Sorted(maps.Keys(known)) {
		if row := "| `" + key + "` | " + known[key].describe() + " |"; !strings.Contains(page, row) {
			t.Errorf("systems.md has no row that begins %s", row)
		}
	}
	for _, into := range []any{&request.Controller{}, &request.Contact{}, &entry{}, &retrieval{}, &automated{}, &request.Rules{}} {
		for _, key := range keysOf(into) {
			if !strings.Contains(page, "`"+key+"`") {
				t.Errorf("systems.md does not name %s of %T", key, into)
			}
		}
	}
	for _, kind := range Kinds() {
		if !strings.Contains(page, "| `"+kind+"` |") {
			t.Errorf("systems.md does not describe the kind %s", kind)
		}
	}
}

// describe is a setting's value and bounds, as the reference has them.
func (s setting) describe() string {
	zero := ""
	if s.zero && s.min > 0 {
		zero = "0d or "
	}
	switch to := s.to.(type) {
	case *bool:
		return strconv.FormatBool(*to) + " | true, false"
	case *int:
		return strconv.Itoa(*to) + " | " + strconv.Itoa(s.least) + " to " + strconv.Itoa(s.most)
	case *string:
		return *to + " | " + strings.Join(s.words, ", ")
	case *time.Duration:
		return inWords(*to) + " | " + zero + inWords(s.min) + " to " + inWords(s.max)
	case *[]time.Duration:
		var words []string
		for _, d := range *to {
			words = append(words, inWords(d))
		}
		return strings.Join(words, ", ") + " | 1 to 10, each up to " + inWords(s.max)
	}
	return ""
}
