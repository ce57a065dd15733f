package chat

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/identity"
)

func TestKeyword(t *testing.T) {
	t.Parallel()
	type want struct {
		w        Word
		language string
	}
	for text, want := range map[string]want{
		"STOP": {Stop, ""}, " stop. ": {Stop, ""}, "Stop all": {Stop, ""}, "STOP!!!": {Stop, ""}, "Stop 🙏": {Stop, ""},
		"ARRET": {Stop, "fr"}, "Arrêt": {Stop, "fr"}, "arre\u0302t": {Stop, "fr"}, "DÉSABONNER": {Stop, "fr"}, "desabonner ": {Stop, "fr"}, "Désinscrire": {Stop, "fr"},
		"unsubscribe": {Stop, "en"}, "cancel": {Stop, "en"}, "END": {Stop, "en"}, "quit": {Stop, "en"},
		"start": {Start, "en"}, "Unstop": {Start, "en"}, "OUI": {Yes, "fr"}, "yes!": {Yes, "en"},
		"Delete my data": {Erase, "en"}, "supprimer  mes\tdonnées": {Erase, "fr"}, "Effacez mes données.": {Erase, "fr"},
		"My data?": {Access, "en"}, "Envoyez-moi mes données": {Access, "fr"}, "accéder à mes données": {Access, "fr"},
		// No keywords.
		"": {}, "don't stop": {}, "stop it": {}, "non stop": {}, "Please stop": {}, "the end": {}, "oui mais non": {}, "...": {}, "🙏": {},
		"stop" + strings.Repeat(" ", 80): {},
	} {
		if w, language := Keyword(text); w != want.w || language != want.language {
			t.Errorf("Keyword(%q) = %q, %q", text, w, language)
		}
	}
}

// Each keyword stands as it is compared, and in one language only.
func TestKeyword_table(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, of := range words {
		for text := range of {
			if identity.Bare(text) != text || len(text) > longestWord || seen[text] {
				t.Errorf("%q", text)
			}
			seen[text] = true
		}
	}
}

func FuzzKeyword(f *testing.F) {
	for _, seed := range []string{"STOP", "arre\u0302t ! ", "don't stop", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		w, _ := Keyword(text)
		if again, _ := Keyword(" " + strings.ToUpper(strings.TrimSpace(text)) + "."); w != "" && len(text) < longestWord-2 && utf8.ValidString(text) && again != w {
			t.Errorf("%q means %q, and %q in capitals", text, w, again)
		}
	})
}
