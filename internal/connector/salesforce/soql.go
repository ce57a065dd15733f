package salesforce

import (
	"strings"
	"unicode"
)

// literal is a text in a query. A text with other control characters, which no
// name or address has, loses them.
func literal(text string) string { return "'" + escape(text) + "'" }

var escapes = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

func escape(text string) string {
	return escapes.Replace(strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t' {
			return -1
		}
		return c
	}, text))
}

// contains is the pattern of LIKE for texts that contain another one.
func contains(text string) string {
	return "'%" + strings.NewReplacer("_", `\_`, "%", `\%`).Replace(escape(text)) + "%'"
}

// in is a condition on a field: one of some texts.
func in(field string, values []string) string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = literal(v)
	}
	return field + " IN (" + strings.Join(list, ",") + ")"
}

// digits are those of a telephone number.
func digits(number string) string {
	return strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, number)
}

// phoneSearch finds a telephone number in E.164 as people write it: with the
// country's prefix, without it, and with a zero instead (SOSL takes no wildcard
// in front). Many signs are operators in SOSL; digits are none of them.
func phoneSearch(number string) (sosl string, ok bool) {
	d := digits(number)
	if len(d) < 8 {
		return "", false
	}
	terms := []string{d}
	if len(d) > 10 {
		terms = append(terms, d[len(d)-10:])
	}
	if len(d) > 9 {
		terms = append(terms, "0"+d[len(d)-9:])
	}
	return "FIND {" + strings.Join(terms, " OR ") + "} IN PHONE FIELDS", true
}

// samePhone compares what a record has with a number in E.164: national
// notations are equal if their last digits are.
func samePhone(have, want string) bool {
	a, b := digits(have), digits(want)
	n := min(9, len(b))
	return len(a) >= n && n >= 7 && a[len(a)-n:] == b[len(b)-n:]
}
