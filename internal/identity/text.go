package identity

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// languageTag is the form of a tag of BCP 47.
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$`)

// IsLanguage reports whether a text has the form of a language tag (BCP 47), such
// as "fr" or "en-GB".
func IsLanguage(tag string) bool { return languageTag.MatchString(tag) }

// Fold brings a text to the form in which texts are compared when upper and
// lower case, and the ways to compose a letter or to type an apostrophe, do not
// matter. Accents do.
func Fold(text string) string {
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	text = norm.NFC.String(strings.ToLower(norm.NFC.String(text)))
	return strings.ReplaceAll(text, "’", "'")
}

// Bare is Fold without accents and other marks: for words that people type on a
// telephone, where "arrêt" comes as "arret" as often as not.
func Bare(text string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(Fold(text))))
}
