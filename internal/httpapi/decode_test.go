package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
)

func decode(contentType, body string) (json.RawMessage, error) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return httpapi.Decode(r)
}

func TestDecode_contentType(t *testing.T) {
	t.Parallel()
	const object = `{"a":"é"}`
	for contentType, want := range map[string]errs.Kind{ // "" when it is accepted
		"":                                                  "",
		"application/json":                                  "",
		"Application/JSON":                                  "",
		"application/json; charset=utf-8":                   "",
		`application/json; charset="UTF-8"`:                 "",
		"application/json;charset=utf8":                     "",
		"text/plain;charset=UTF-8":                          "", // what sendBeacon sends
		"text/plain":                                        "",
		"application/json; charset=iso-8859-1":              errs.Invalid,
		"application/json; charset=utf-16":                  errs.Invalid,
		"text/plain; charset=windows-1252":                  errs.Invalid,
		"application/x-www-form-urlencoded; charset=latin1": errs.Invalid,
		"application/json; charset=utf-8; charset=latin1":   errs.Invalid,
		"application/json; charset=":                        errs.Invalid,
		"application/json; =":                               errs.Invalid,
		"/":                                                 errs.Invalid,
		"application/x-www-form-urlencoded":                 errs.Invalid, // JSON sent as a form
		"multipart/form-data; boundary=x":                   errs.Unsupported,
		"application/xml":                                   errs.Unsupported,
		"application/vnd.api+json":                          errs.Unsupported,
		"text/html":                                         errs.Unsupported,
	} {
		body, err := decode(contentType, object)
		switch {
		case want == "" && (err != nil || string(body) != object):
			t.Errorf("%q: %s, %v", contentType, body, err)
		case want != "" && !errs.Is(err, want):
			t.Errorf("%q: %v, want %s", contentType, err, want)
		}
	}
}

func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth-1) + "[]" + strings.Repeat("}", depth-1)
}

func utf16Of(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		b.WriteByte(byte(u))
		b.WriteByte(byte(u >> 8))
	}
	return b.String()
}

var jsonCases = map[string]struct {
	body string
	ok   bool
}{
	"object":                       {`{"a":1}`, true},
	"array":                        {`[{"a":1}]`, true},
	"white space around":           {" \t\r\n{ \"a\" : 1 } \n", true},
	"scalar":                       {`"x"`, true},
	"empty object":                 {`{}`, true},
	"letters beyond the plane":     {`{"a":"😀"}`, true},
	"escaped pair":                 {`{"a":"\ud83d\ude00"}`, true},
	"16 levels":                    {nested(16), true},
	"big number":                   {`{"a":1e999}`, true},
	"same name in two objects":     {`{"a":{"b":1},"c":{"b":2}}`, true},
	"names that differ in case":    {`{"a":1,"A":2}`, true},
	"empty":                        {``, false},
	"white space alone":            {"  \n", false},
	"cut off in an object":         {`{"a":1`, false},
	"cut off in a name":            {`{"a`, false},
	"cut off in a string":          {`{"a":"b`, false},
	"cut off in an escape":         {`{"a":"\u00`, false},
	"cut off in a letter":          {"{\"a\":\"\xc3", false},
	"cut off in a literal":         {`{"a":tru`, false},
	"cut off in an array":          {`[1,`, false},
	"no value":                     {`{"a":}`, false},
	"comma at the end":             {`{"a":1,}`, false},
	"comment":                      {`{"a":1/* */}`, false},
	"single quotes":                {`{'a':1}`, false},
	"no quotes":                    {`{a:1}`, false},
	"NaN":                          {`{"a":NaN}`, false},
	"hexadecimal":                  {`{"a":0x1}`, false},
	"leading zero":                 {`{"a":01}`, false},
	"two values":                   {`{"a":1}{"b":2}`, false},
	"two scalars":                  {`1 2`, false},
	"text behind":                  {`{"a":1}x`, false},
	"form feed behind":             {"0\f", false},
	"no-break space behind":        {"{}\u00a0", false},
	"NUL behind":                   {"{\"a\":1}\x00", false},
	"NUL in a string":              {`{"a":"b\u0000"}`, false},
	"NUL in a name":                {`{"\u0000":1}`, false},
	"NUL deep inside":              {`{"a":[{"b":"\u0000"}]}`, false},
	"NUL as a byte":                {"{\"a\":\"\x00\"}", false},
	"control character":            {"{\"a\":\"\x01\"}", false},
	"lone high surrogate":          {`{"a":"\ud83d"}`, false},
	"lone low surrogate":           {`{"a":"\ude00"}`, false},
	"surrogates the wrong way":     {`{"a":"\ude00\ud83d"}`, false},
	"lone surrogate in a name":     {`{"\ud83d":1}`, false},
	"surrogate in UTF-8":           {"{\"a\":\"\xed\xa0\x80\"}", false},
	"Latin-1":                      {"{\"a\":\"\xe9\"}", false},
	"overlong":                     {"{\"a\":\"\xc0\xaf\"}", false},
	"beyond Unicode":               {"{\"a\":\"\xf4\x90\x80\x80\"}", false},
	"byte order mark":              {"\ufeff{\"a\":1}", false},
	"UTF-16":                       {utf16Of(`{"a":1}`), false},
	"name twice":                   {`{"a":1,"a":1}`, false},
	"name twice, once escaped":     {`{"a":1,"\u0061":2}`, false},
	"name twice, deep inside":      {`{"x":[{"a":1,"a":2}]}`, false},
	"17 levels":                    {nested(17), false},
	"17 levels of arrays":          {strings.Repeat("[", 17) + strings.Repeat("]", 17), false},
	"100,000 levels":               {strings.Repeat("[", 100_000), false},
	"a form":                       {`a=b&c=d`, false},
	"literal with wrong case":      {`TRUE`, false},
	"unescaped line end in string": {"{\"a\":\"b\nc\"}", false},
}

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	for name, tt := range jsonCases {
		err := httpapi.CheckJSON([]byte(tt.body))
		if (err == nil) != tt.ok || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v, want accepted %v", name, err, tt.ok)
		}
	}
}

func TestBody_limit(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]errs.Kind{consent.MaxBody: "", consent.MaxBody + 1: errs.TooLarge, 5 << 20: errs.TooLarge} {
		text := `{"a":"` + strings.Repeat("x", size-8) + `"}`
		for _, contentType := range []string{"application/json", "application/x-www-form-urlencoded"} {
			if contentType != "application/json" {
				text = "a=" + strings.Repeat("x", size-2)
			}
			_, err := decode(contentType, text)
			if want == "" && err != nil || want != "" && (!errs.Is(err, want) || !strings.Contains(err.Error(), fmt.Sprint(consent.MaxBody))) {
				t.Errorf("%d bytes of %s: %v", size, contentType, err)
			}
		}
	}
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader("{"), iotest.ErrReader(errors.New("connection of ines@example.test lost"))))
	if _, err := httpapi.Body(r); !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "ines") {
		t.Errorf("a body that breaks off: %v", err)
	}
}

// An urlencoded body is the JSON that its names describe.
func TestDecode_form(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		form string
		want string // "" when it is refused
	}{
		"empty":                          {"", `{}`},
		"only ampersands":                {"&&", `{}`},
		"plain":                          {"a=b&c=d", `{"a":"b","c":"d"}`},
		"escapes":                        {"a=%C3%A9+%26%3D%3C%2B", `{"a":"é &=<+"}`},
		"no value":                       {"a&b=", `{"a":"","b":""}`},
		"equals in a value":              {"a=b=c", `{"a":"b=c"}`},
		"the last of two":                {"a=1&a=2", `{"a":"2"}`},
		"object":                         {"subject[email]=q%40x.test&subject[id]=1", `{"subject":{"email":"q@x.test","id":"1"}}`},
		"escaped brackets":               {"subject%5Bemail%5D=q", `{"subject":{"email":"q"}}`},
		"deeper":                         {"a[b][c]=1&a[b][d]=2&a[e]=3", `{"a":{"b":{"c":"1","d":"2"},"e":"3"}}`},
		"list of texts":                  {"a[]=1&a[]=2", `{"a":["1","2"]}`},
		"list of objects":                {"n[][i]=a&n[][v]=1&n[][i]=b&n[][v]=2", `{"n":[{"i":"a","v":"1"},{"i":"b","v":"2"}]}`},
		"list of objects, some shorter":  {"n[][i]=a&n[][i]=b&n[][v]=2", `{"n":[{"i":"a"},{"i":"b","v":"2"}]}`},
		"list of objects of objects":     {"n[][i][x]=a&n[][i][y]=b&n[][i][x]=c", `{"n":[{"i":{"x":"a","y":"b"}},{"i":{"x":"c"}}]}`},
		"numbered list":                  {"n[0][i]=a&n[0][v]=1&n[1][i]=b", `{"n":[{"i":"a","v":"1"},{"i":"b"}]}`},
		"numbered list, out of order":    {"n[7][i]=a&n[3][i]=b&n[7][v]=1", `{"n":[{"i":"a","v":"1"},{"i":"b"}]}`},
		"numbered list of texts":         {"n[0]=a&n[1]=b", `{"n":["a","b"]}`},
		"a number in an object":          {"p[a]=1&p[2]=3", `{"p":{"a":"1","2":"3"}}`},
		"dots and dashes are letters":    {"a.b=1&c-d[e.f]=2", `{"a.b":"1","c-d":{"e.f":"2"}}`},
		"16 levels":                      {"a" + strings.Repeat("[b]", 15) + "=1", `{"a":` + strings.Repeat(`{"b":`, 15) + `"1"` + strings.Repeat("}", 16)},
		"17 levels":                      {"a" + strings.Repeat("[b]", 16) + "=1", ""},
		"looks like JSON":                {`{"a":1}`, ""},
		"looks like a JSON array":        {` [1]`, ""},
		"no name":                        {"=1", ""},
		"no name before a bracket":       {"[a]=1", ""},
		"bracket left open":              {"a[b=1", ""},
		"bracket not opened":             {"a]=1", `{"a]":"1"}`},
		"bracket in brackets":            {"a[b[c]]=1", ""},
		"text behind a bracket":          {"a[b]c=1", ""},
		"text and object":                {"a=1&a[b]=2", ""},
		"object and text":                {"a[b]=2&a=1", ""},
		"list and object":                {"a[]=1&a[b]=2", ""},
		"object and list":                {"a[b]=2&a[]=1", ""},
		"list of texts and objects":      {"a[]=1&a[][b]=2", ""},
		"broken escape in a name":        {"a%zz=1", ""},
		"broken escape in a value":       {"a=%f", ""},
		"Latin-1":                        {"a=%E9", ""},
		"Latin-1 in a name":              {"%E9=a", ""},
		"surrogate in UTF-8":             {"a=%ED%A0%80", ""},
		"NUL in a value":                 {"a=%00", ""},
		"NUL in a name":                  {"a[%00]=1", ""},
		"semicolons separate nothing":    {"a=1;b=2", `{"a":"1;b=2"}`},
		"2000 fields":                    {strings.Repeat("a=1&", 2000), `{"a":"1"}`},
		"2001 fields":                    {strings.Repeat("a=1&", 2001), ""},
		"markup is not escaped":          {"a=%3Cb%3E%26", `{"a":"<b>&"}`},
		"prototype":                      {"__proto__[x]=1", `{"__proto__":{"x":"1"}}`},
		"a number for a name":            {"1=a&b=c", `{"1":"a","b":"c"}`},
		"only a number for a name":       {"0", `{"0":""}`},
		"a list with a number of 70,000": {"a[70000]=1", `{"a":{"70000":"1"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, err := decode("application/x-www-form-urlencoded", tt.form)
			if tt.want == "" {
				if !errs.Is(err, errs.Invalid) {
					t.Errorf("%s, %v; want a refusal", body, err)
				}
				return
			}
			var got, want any
			if err != nil || json.Unmarshal(body, &got) != nil || json.Unmarshal([]byte(tt.want), &want) != nil {
				t.Fatalf("%s, %v", body, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := httpapi.CheckJSON(body); err != nil {
				t.Errorf("what a form stands for would be refused: %v", err)
			}
			if bytes.Contains(body, []byte(`\u003c`)) {
				t.Errorf("%s is escaped as for HTML", body)
			}
		})
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2018, 2, 22, 0, 40, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2018-02-22T00:40:00Z":           at,
		"2018-02-22T00:40:00.000Z":       at,
		"2018-02-22T01:40:00+01:00":      at,
		"2018-02-22T01:40:00.000+0100":   at,
		"2018-02-21T16:40:00-08:00":      at,
		"2018-02-22 00:40:00 UTC":        at,
		"2018-02-22 00:40:00 GMT":        at,
		"2018-02-22 00:40:00":            at,
		"2018-02-22 01:40:00+01:00":      at,
		"2018-02-22T00:40:00":            at,
		"2018-02-22T00:40":               at,
		"1519260000":                     at,
		"2018-02-22":                     at.Truncate(24 * time.Hour),
		"2018-02-22T00:40:00.123Z":       at.Add(123 * time.Millisecond),
		"2018-02-22T00:40:00.123456789Z": at.Add(123456789),
		"2018-02-22T00:40:00,5Z":         at.Add(500 * time.Millisecond),
		"0":                              time.Unix(0, 0).UTC(),
		"0001-01-01T00:00:00Z":           {},
		"9999-12-31T23:59:59Z":           time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		"253402300799":                   time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		"2024-02-29":                     time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC),
	} {
		got, ok := httpapi.ParseTime(text)
		if !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%q: %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", " ", "now", "yesterday", "2018-02-30", "2023-02-29", "2018-13-01", "2018-02-22T25:00:00Z", "2018-02-22T00:60:00Z",
		"2018-02-22T00:40:00 Z", " 2018-02-22", "2018-02-22 00:40:00 CET", "2018-02-22 00:40:00 PST", "2018-02-22 00:40:00 GMT+3",
		"22/02/2018", "22.02.2018", "2018-2-22", "-1", "+-1", "253402300800", "9223372036854775807", "99999999999999999999",
		"1519260000000" /* milliseconds */, "1519260000.5", "10000-01-01T00:00:00Z", "0000-12-31T23:59:59Z", "0001-01-01T00:00:00+01:00",
		"9999-12-31T23:59:59-01:00", "2018-02-22T00:40:00Z\x00", "2018-W08-4", "Thu, 22 Feb 2018 00:40:00 GMT",
	} {
		if got, ok := httpapi.ParseTime(text); ok {
			t.Errorf("%q: %v, want a refusal", text, got)
		}
	}
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"": true, "cust-1": true, "é😀": true, "12345678": true, "123456789": false, "a\x00": false, "\xe9": false} {
		err := httpapi.CheckText("id", text, 8)
		var refusal *errs.Error
		if (err == nil) != ok || err != nil && (!errors.As(err, &refusal) || refusal.Fields[0].Field != "id") {
			t.Errorf("%q: %v, want accepted %v", text, err, ok)
		}
	}
}

func object(t *testing.T, text string) httpapi.Object {
	t.Helper()
	o, err := httpapi.NewObject(json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestNewObject(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{`{}`: true, " {\"a\":1}": true, `[]`: false, `"x"`: false, `null`: false, `1`: false, ``: false, `{`: false} {
		if _, err := httpapi.NewObject(json.RawMessage(text)); (err == nil) != ok || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v, want accepted %v", text, err, ok)
		}
	}
}

// Scalars are read leniently, as clients of the reference API write them.
func TestObject_scalars(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]struct {
		text     string
		textOK   bool
		truth    string // "true", "false", "none", "bad"
		instant  string // "none", "bad", or seconds
		asObject bool   // accepted where an object may stand
		asList   bool   // accepted where a list may stand
	}{
		`null`:         {"", true, "none", "none", true, true},
		`""`:           {"", true, "none", "none", true, true},
		`"x"`:          {"x", true, "bad", "bad", false, false},
		`true`:         {"", false, "true", "bad", false, false},
		`false`:        {"", true, "false", "none", true, true}, // PHP's absent
		`"true"`:       {"true", true, "true", "bad", false, false},
		`"false"`:      {"false", true, "false", "bad", false, false},
		`1`:            {"1", true, "true", "1", false, false},
		`0`:            {"0", true, "false", "0", false, false},
		`"1"`:          {"1", true, "true", "1", false, false},
		`"TRUE"`:       {"TRUE", true, "bad", "bad", false, false},
		`12.50`:        {"12.50", true, "bad", "bad", false, false},
		`1519260000`:   {"1519260000", true, "bad", "1519260000", false, false},
		`"1519260000"`: {"1519260000", true, "bad", "1519260000", false, false},
		`-5`:           {"-5", true, "bad", "bad", false, false},
		`{}`:           {"", false, "bad", "bad", true, true}, // PHP writes what is empty either way
		`[]`:           {"", false, "bad", "bad", true, true},
		`[ ]`:          {"", false, "bad", "bad", true, true},
		`{"b":1}`:      {"", false, "bad", "bad", true, false},
		`[1]`:          {"", false, "bad", "bad", false, true},
		`[[]]`:         {"", false, "bad", "bad", false, true},
	} {
		read := func(do func(o httpapi.Object)) bool { // whether nothing was disliked
			o := object(t, `{"a": `+value+` }`)
			do(o)
			return o.Err() == nil
		}
		var text string
		if ok := read(func(o httpapi.Object) { text = o.Text("a", 100) }); ok != want.textOK || text != want.text {
			t.Errorf("%s as text: %q, %v", value, text, ok)
		}
		var truth *bool
		ok := read(func(o httpapi.Object) { truth = o.Bool("a") })
		got := "none"
		if truth != nil {
			got = fmt.Sprint(*truth)
		}
		if !ok {
			got = "bad"
		}
		if got != want.truth {
			t.Errorf("%s as truth value: %s, want %s", value, got, want.truth)
		}
		var instant *time.Time
		ok = read(func(o httpapi.Object) { instant = o.Time("a") })
		got = "none"
		if instant != nil {
			got = fmt.Sprint(instant.Unix())
		}
		if !ok {
			got = "bad"
		}
		if got != want.instant {
			t.Errorf("%s as time: %s, want %s", value, got, want.instant)
		}
		if ok := read(func(o httpapi.Object) { o.Object("a") }); ok != want.asObject {
			t.Errorf("%s where an object may stand: %v", value, ok)
		}
		if ok := read(func(o httpapi.Object) { o.List("a", 3) }); ok != want.asList {
			t.Errorf("%s where a list may stand: %v", value, ok)
		}
	}
}

// What is disliked is named by its path, and never quoted.
func TestObject_paths(t *testing.T) {
	t.Parallel()
	o := object(t, `{"a":{"b":[{"c":"ines@example.test"},{"c":{}},7,null]},"long":"ines@example.test","many":[1,2,3,4]}`)
	a, ok := o.Object("a")
	if !ok {
		t.Fatal("no object")
	}
	for _, e := range a.List("b", 10) {
		if b, ok := e.Object(); ok {
			b.Bool("c")
		}
	}
	o.Text("long", 5)
	o.List("many", 3)
	o.Text("absent", 5)
	var refusal *errs.Error
	if !errors.As(o.Err(), &refusal) {
		t.Fatal("nothing was disliked")
	}
	got := map[string]string{}
	for _, f := range refusal.Fields {
		got[f.Field] = f.Message
		if strings.Contains(f.Message, "ines") {
			t.Errorf("%s: %s", f.Field, f.Message)
		}
	}
	want := map[string]string{
		"a.b[0].c": "must be true or false", "a.b[1].c": "must be true or false", "a.b[2]": "must be an object",
		"long": "must have at most 5 bytes", "many": "must have at most 3 elements",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	names, values, ok := httpapi.Fields(json.RawMessage(` { "b" : [1, 2] , "a":"x", "\u0063": {"d":null} } `))
	if !ok {
		t.Fatal("not read")
	}
	if diff := cmp.Diff([]string{"b", "a", "c"}, names); diff != "" {
		t.Error(diff)
	}
	for i, want := range []string{"[1, 2]", `"x"`, `{"d":null}`} {
		if string(values[i]) != want {
			t.Errorf("value %d: %s, want %s", i, values[i], want)
		}
	}
	for _, text := range []string{``, `[]`, `null`, `{"a":}`, `{"a":1`} {
		if _, _, ok := httpapi.Fields(json.RawMessage(text)); ok {
			t.Errorf("%s was read as an object", text)
		}
	}
}

// A body that API Gateway passed in base64 is decoded before it comes here; that
// text is no JSON.
func TestDecode_base64(t *testing.T) {
	t.Parallel()
	if _, err := decode("application/json", base64.StdEncoding.EncodeToString([]byte(`{"a":1}`))); !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
}
