package inventory

import "testing"

func TestFold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"<p>Données</p><p>cœur</p>":           "donnees coeur",
		"E&eacute;<b>TE</b>":                  "eete",
		"a < b and c > d":                     "a b and c d",
		"<!-- Zoom --><style>x</style>y":      "y",
		"<a href=\"https://zoom.us\">us</a>!": "us",
		"**Zoom**, _Inc_":                     "zoom inc",
		"":                                    "",
	} {
		if got := fold(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// FuzzSays: folding is stable, and a plain phrase is found in whatever stands
// around it as long as nothing there opens markup.
func FuzzSays(f *testing.F) {
	for _, seed := range [][2]string{{"<p>Données & co</p>", "données"}, {"ZOOM\u00ad", "zoom"}, {"İstanbul ﬁn ǅ", "\u0345x"}, {"&amp;lt;b&gt;", "b"}, {"", ""}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, notice, phrase string) {
		folded := fold(notice)
		if again := fold(folded); again != folded {
			t.Fatalf("%q is folded to %q and then to %q", notice, folded, again)
		}
		words := fold(phrase)
		if !says(fold("before <p>"+words+"</p> after"), phrase) {
			t.Fatalf("%q is not found", phrase)
		}
		if words != "" && says(fold(""), phrase) {
			t.Fatalf("%q is found in nothing", phrase)
		}
	})
}
