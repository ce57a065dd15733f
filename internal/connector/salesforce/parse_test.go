package salesforce_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/avow-consent/avow/internal/connector/salesforce"
)

// unquote reads a literal the way Salesforce's documentation describes it; ok is
// false when the text goes on after it.
func unquote(text string) (value string, ok bool) {
	if len(text) < 2 || text[0] != '\'' {
		return "", false
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; c {
		case '\'':
			return b.String(), i == len(text)-1
		case '\\':
			i++
			if i == len(text) {
				return "", false
			}
			if c, ok := map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', '\\': '\\', '\'': '\'', '_': '_', '%': '%'}[text[i]]; ok {
				b.WriteByte(c)
			} else {
				return "", false
			}
		case '\n', '\r', '\t':
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

// clean is a text without the control characters that no name has.
func clean(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) && !strings.ContainsRune("\n\r\t", c) {
			return -1
		}
		return c
	}, text)
}

// No text gets out of its literal, in a comparison and in LIKE, and none is
// changed by it.
func FuzzLiteral(f *testing.F) {
	for _, text := range []string{"", "o'neil@example.test", `\`, `\'`, `x' OR Id != '`, "a\nb", "%_%", "é\x00", `\\''`, "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := unquote(salesforce.Literal(text)); !ok || got != clean(text) {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
		pattern := salesforce.Contains(text)
		if got, ok := unquote(pattern); !ok || got != "%"+clean(text)+"%" {
			t.Errorf("LIKE %q: %q, %v", text, got, ok)
		}
		inner := strings.NewReplacer(`\_`, "", `\%`, "", `\\`, "").Replace(pattern[2 : len(pattern)-2])
		if strings.ContainsAny(inner, "%_") {
			t.Errorf("LIKE %q: a wildcard is left in %s", text, pattern)
		}
	})
}

// A search has digits and nothing else of what it was made of.
func FuzzPhoneSearch(f *testing.F) {
	for _, text := range []string{"+33655000101", "{1} IN ALL FIELDS", "+1 (555) 123-4567", "12", "٣٣٣٣٣٣٣٣"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		search, ok := salesforce.PhoneSearch(text)
		inner := strings.TrimSuffix(strings.TrimPrefix(search, "FIND {"), "} IN PHONE FIELDS")
		if ok && strings.Trim(strings.ReplaceAll(inner, " OR ", ""), "0123456789") != "" {
			t.Errorf("%q: %s", text, search)
		}
	})
}

func TestTrusted(t *testing.T) {
	t.Parallel()
	for instance, want := range map[string]bool{
		base: true, base + "/": true, "https://AVOW.my.salesforce.com": true, "https://eu45.salesforce.com": true, "https://avow.my.site.force.com": true,
		"http://avow.my.salesforce.com": false, "https://salesforce.com.evil.test": false, "https://evilsalesforce.com": false, "https://avow.my.salesforce.com.evil.test": false,
		"https://user@eu45.salesforce.com": false, "https://eu45.salesforce.com:8443": false, "https://eu45.salesforce.com/x": false, "https://eu45.salesforce.com?x": false,
		"https://evil.test#.salesforce.com": false, "//eu45.salesforce.com": false, "": false, "https:eu45.salesforce.com": false, "https://.salesforce.com@evil.test": false,
	} {
		if got := salesforce.Trusted(instance, base); got != want {
			t.Errorf("%q: %v", instance, got)
		}
	}
}

// A token is only ever sent by TLS to Salesforce.
func FuzzTrusted(f *testing.F) {
	for _, text := range []string{base, "https://evil.test/.salesforce.com", "https://evil.test\\.salesforce.com", "https://a.force.com", "https://a.force.com\n.evil.test"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, instance string) {
		if !salesforce.Trusted(instance, base) {
			return
		}
		rest, ok := strings.CutPrefix(strings.ToLower(instance), "https://")
		host := strings.TrimRight(rest, "/")
		if !ok || strings.ContainsAny(host, "/\\@?# \n\t") || !strings.HasSuffix(host, ".salesforce.com") && !strings.HasSuffix(host, ".force.com") {
			t.Errorf("%q", instance)
		}
	})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	text := "\"sf__Id\",\"sf__Error\",Id\n" +
		"\"\",\"ENTITY_IS_DELETED:entity is deleted:--\",\"1\"\n" +
		"\"\",\"CANNOT_DELETE:a trigger says \"\"no\"\",\nand why:--\",\"2\"\n"
	failed, n, err := salesforce.Failures(strings.NewReader(text))
	if err != nil || n != 2 || len(failed) != 1 || failed["CANNOT_DELETE"] != 1 {
		t.Errorf("%v, %d, %v", failed, n, err)
	}
	for _, text := range []string{"", "<html>", "{}", "Id\n1\n", "\"sf__Id\",\"sf__Error\"\n\"x"} {
		if _, _, err := salesforce.Failures(strings.NewReader(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Whatever the results of a job say, no row is lost, and what is named is a code.
func FuzzFailures(f *testing.F) {
	for _, text := range []string{"sf__Id,sf__Error,Id\n,X:y,1\n", "sf__Id,sf__Error\n,ines@example.test,\n", "a,sf__Error\n\n\"\"\"\",b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		failed, n, err := salesforce.Failures(strings.NewReader(text))
		sum := 0
		for code, k := range failed {
			if sum += k; code != "(not printable)" && strings.ContainsAny(code, "@ \n") {
				t.Errorf("%q", code)
			}
		}
		if err != nil && failed != nil || sum > n {
			t.Errorf("%v, %d, %v", failed, n, err)
		}
	})
}

func TestMine(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]bool{
		"ines@example.test": true, "a@example.test; Ines@Example.test": true, `"Martin, Inès" <ines@example.test>`: false, "Inès <ines@example.test>;b@example.test": true,
		"marines@example.test": false, "ines@example.test.evil.test": false, "": false,
	} {
		if got := salesforce.Mine(to, "ines@example.test"); got != want {
			t.Errorf("%q: %v", to, got)
		}
	}
}

func FuzzMine(f *testing.F) {
	f.Add("a;b,c <d@e.test>", "d@e.test")
	f.Fuzz(func(t *testing.T, to, email string) {
		if salesforce.Mine(to, email) && !strings.Contains(to, "@") {
			t.Errorf("%q is to %q", to, email)
		}
	})
}
