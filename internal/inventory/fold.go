package inventory

import (
	"html"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

var (
	unseen = regexp.MustCompile(`(?is)<!--.*?-->|<script\b.*?</script\s*>|<style\b.*?</style\s*>`)
	inline = regexp.MustCompile(`(?i)</?(?:a|abbr|b|em|font|i|mark|s|small|span|strong|sub|sup|u|wbr)(?:\s[^<>]*)?/?>`)
	block  = regexp.MustCompile(`</?[A-Za-z][^<>]*>`)
)

var letters = strings.NewReplacer("œ", "oe", "æ", "ae", "ß", "ss", "ø", "o", "ł", "l")

// fold reduces a text to its words, parted by single spaces: without markup,
// case, accents, punctuation and invisible characters. Folding twice is folding
// once.
func fold(text string) string {
	text = inline.ReplaceAllString(unseen.ReplaceAllString(text, " "), "")
	text = html.UnescapeString(block.ReplaceAllString(text, " "))
	var b strings.Builder
	for _, r := range letters.Replace(strings.ToLower(norm.NFKD.String(text))) {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Cf): // accents, soft hyphens, joiners
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// says reports whether the words of a phrase stand in a folded text, in their
// order and whole. A phrase without words is not looked for: it counts as said.
func says(folded, phrase string) bool {
	words := fold(phrase)
	return words == "" || strings.Contains(" "+folded+" ", " "+words+" ")
}
