package page

import (
	"maps"
	"os"
	"strings"
	"testing"
)

// The widget of avow.js tells people of their choices in the same words.
func TestCentre_asTheWidget(t *testing.T) {
	source, err := os.ReadFile("../snippet/src/words.ts")
	if err != nil {
		t.Fatal(err)
	}
	english, french, _ := strings.Cut(string(source), "const french")
	for widget, c := range map[string]centre{english: englishCentre, french: frenchCentre} {
		said := maps.Clone(c.reasons)
		maps.Copy(said, c.fixed)
		said["presumed"], said["public_task"] = c.presumed["legitimate_interest"], c.presumed["public_task"]
		for key, sentence := range said {
			sentence = strings.TrimSuffix(strings.ReplaceAll(sentence, "{when}", ""), ".")
			if !strings.Contains(widget, "\n  "+key+": '"+sentence) {
				t.Errorf("%s: the widget does not say %q", key, sentence)
			}
		}
	}
}
