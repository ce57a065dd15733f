package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
)

// trouble names a reason for which CheckJSON must refuse a text, found with
// encoding/json alone; "" when there is none.
func trouble(body []byte) string {
	if !utf8.Valid(body) {
		return "not UTF-8"
	}
	if !json.Valid(body) {
		return "not JSON"
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	type level struct {
		names map[string]bool // of an object; nil for an array
		name  bool            // a name comes next
	}
	var stack []level
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return ""
		}
		if err != nil {
			return "not JSON"
		}
		top := len(stack) - 1
		isName := top >= 0 && stack[top].name
		if text, ok := token.(string); ok {
			if strings.Contains(text, "\x00") {
				return "NUL"
			}
			if isName {
				if stack[top].names[text] {
					return "name twice"
				}
				stack[top].names[text] = true
			}
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			l := level{}
			if token == json.Delim('{') {
				l = level{names: map[string]bool{}, name: true}
			}
			if top >= 0 && stack[top].names != nil {
				stack[top].name = true // after this value
			}
			if stack = append(stack, l); len(stack) > consent.MaxDepth {
				return "too deep"
			}
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
			continue
		}
		if top >= 0 && stack[top].names != nil {
			stack[top].name = !isName
		}
	}
}

func addJSON(f *testing.F) {
	for _, seed := range []string{
		``, ` `, `{}`, `[]`, `null`, `"x"`, `1 2`, `{"a":1}{}`, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `{"a":"\u0000"}`, `{"a":"\ud83d"}`, `{"a":"\ud83d\ude00"}`,
		"\ufeff{}", "{\"a\":\"\xe9\"}", strings.Repeat("[", 16) + strings.Repeat("]", 16), strings.Repeat("[", 17) + strings.Repeat("]", 17),
		`{"a":[{"b":{"c":[null,true,-0.5e-7,"\\\"\/\b\f\n\r\t"]}}]}`, `{"a":1} x`, `{"":{"":[]}}`,
	} {
		f.Add([]byte(seed))
	}
}

// FuzzCheckJSON: what is accepted is without trouble, and what is without
// trouble is accepted, but for lone surrogates, which encoding/json does not
// tell.
func FuzzCheckJSON(f *testing.F) {
	addJSON(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		err, why := CheckJSON(body), trouble(body)
		switch {
		case err == nil && why != "":
			t.Errorf("%q was accepted: %s", body, why)
		case err != nil && !errs.Is(err, errs.Invalid):
			t.Errorf("%q: %v", body, err)
		case err != nil && why == "" && !bytes.Contains(bytes.ToLower(body), []byte(`\ud`)):
			t.Errorf("%q was refused: %v", body, err)
		}
	})
}

// FuzzDecodeForm: a form is refused, or becomes an object that CheckJSON
// accepts and that holds every value.
func FuzzDecodeForm(f *testing.F) {
	for _, seed := range []string{
		"", "a=b", "a[b]=c&a[d]=e", "a[]=1&a[]=2", "n[][i]=a&n[][v]=1&n[][i]=b", "n[0][i]=a&n[1][i]=b", "p[a]=1&p[2]=3", "a=%C3%A9+%26", "a=%00", "a=%E9",
		"a" + strings.Repeat("[b]", 15) + "=1", "a" + strings.Repeat("[]", 16) + "=1", "a=1&a[b]=2", "[a]=1", "a[b=1", "{}", "a[0]=1&a[00]=2&a[]=3", "&&&=&", "a[b]c=1",
		"a[][b][]=1&a[][b][]=2", "a[][b]=1&a[]=2", "a[1]=x&a[b]=y", "%5B%5D=1", "a%5B%5D=1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		out, err := decodeForm(body)
		if err != nil {
			if !errs.Is(err, errs.Invalid) || out != nil {
				t.Errorf("%q: %s, %v", body, out, err)
			}
			return
		}
		if err := CheckJSON(out); err != nil || first(out) != '{' {
			t.Errorf("%q became %s: %v", body, out, err)
		}
		var tree any
		if err := json.Unmarshal(out, &tree); err != nil {
			t.Fatal(err)
		}
		values := map[string]bool{}
		leaves(tree, values)
		// A plain name keeps its last value; every other value is somewhere.
		last := map[string]string{}
		for pair := range strings.SplitSeq(string(body), "&") {
			name, value, _ := strings.Cut(pair, "=")
			name, _ = url.QueryUnescape(name)
			value, _ = url.QueryUnescape(value)
			if pair != "" {
				last[name] = value
			}
		}
		for name, value := range last {
			if !values[value] {
				t.Errorf("%q became %s, which lacks %s=%q", body, out, name, value)
			}
		}
	})
}

func leaves(tree any, into map[string]bool) {
	switch v := tree.(type) {
	case string:
		into[v] = true
	case []any:
		for _, e := range v {
			leaves(e, into)
		}
	case map[string]any:
		for _, e := range v {
			leaves(e, into)
		}
	}
}

// FuzzParseTime: an accepted text is an instant of the years 1 to 9999, in UTC,
// and says the same when it is written as RFC 3339 and read again.
func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{
		"", "2018-02-22T00:40:00Z", "2018-02-22 00:40:00 UTC", "2018-02-22 00:40:00 CET", "1519260000", "0", "-1", "253402300799", "253402300800",
		"0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2018-02-22T00:40:00.123456789+0530", "2018-02-22", "2018-02-22T00:40", "9223372036854775807",
		"2018-02-22T24:00:00Z", "2018-02-22 00:40:00 GMT+3", "2018-02-22T00:40:00,5Z",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, ok := ParseTime(text)
		if !ok {
			return
		}
		if at.Location() != time.UTC || at.Year() < 1 || at.Year() > 9999 {
			t.Errorf("%q is %v", text, at)
		}
		if again, ok := ParseTime(at.Format(time.RFC3339Nano)); !ok || !again.Equal(at) {
			t.Errorf("%q is %v, which reads as %v", text, at, again)
		}
	})
}
