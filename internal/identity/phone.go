package identity

import "strings"

// NormalizePhone returns a telephone number in E.164: "+", the country's prefix
// and at most 15 digits in all. Spaces, dots, dashes, slashes and brackets are
// dropped, and a leading "00" means "+". A national number identifies nobody:
// which country it belongs to is not known, so ok is false.
func NormalizePhone(number string) (normal string, ok bool) {
	var b strings.Builder
	for _, r := range strings.TrimSpace(number) {
		switch {
		case r >= '0' && r <= '9', r == '+' && b.Len() == 0:
			b.WriteRune(r)
		case strings.ContainsRune(" .-/()\u00a0\u202f", r):
		default:
			return "", false
		}
	}
	digits := b.String()
	if rest, international := strings.CutPrefix(digits, "00"); international {
		digits = "+" + rest
	}
	const shortest, longest = 7, 15
	n := len(digits) - 1
	if !strings.HasPrefix(digits, "+") || n < shortest || n > longest || digits[1] == '0' {
		return "", false
	}
	return digits, true
}
