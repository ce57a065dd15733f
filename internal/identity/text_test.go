package identity

import "testing"

func TestFold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":              "",
		"Ines ROCA":     "ines roca",
		"JOSE\u0301":    "jos\u00e9", // composed
		"Jos\u00c9":     "jos\u00e9",
		"Jose":          "jose", // an accent is a letter of its own
		"O’Neil":        "o'neil",
		"ÅNGSTRÖM":      "ångström",
		"a\xffb":        "a\ufffdb",
		"ΣΊΣΥΦΟΣ":       "σίσυφοσ",
		"\u212bngstrom": "\u00e5ngstrom", // the sign of the unit is the letter
	} {
		if got := Fold(text); got != want {
			t.Errorf("Fold(%q) = %q, want %q", text, got, want)
		}
		if got := Fold(want); got != want {
			t.Errorf("Fold(%q) = %q: not at rest", want, got)
		}
	}
}

func TestBare(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                "",
		"ARRÊT":           "arret",
		"arre\u0302t":     "arret",
		"D\u00e9sabonner": "desabonner",
		"l’été":           "l'ete",
		"a\xffb":          "a\ufffdb",
		"\u0301":          "",
	} {
		if got := Bare(text); got != want {
			t.Errorf("Bare(%q) = %q, want %q", text, got, want)
		}
		if got := Bare(want); got != want {
			t.Errorf("Bare(%q) = %q: not at rest", want, got)
		}
	}
}
