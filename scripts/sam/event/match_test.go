package event

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	const id = `"019c2300-0648-70e6-b4af-aa0efa8d6a29"`
	for name, tt := range map[string]struct {
		pattern, text string
		want          string // part of the error; empty: it matches
	}{
		"equal":           {`{"a":[1,null,"x"]}`, `{"a":[1,null,"x"]}`, ""},
		"other value":     {`{"a":{"b":1}}`, `{"a":{"b":2}}`, "body.a.b is 2, want 1"},
		"other kind":      {`{"a":{}}`, `{"a":[]}`, "body.a is [], want {}"},
		"missing":         {`{"a":1,"b":1}`, `{"a":1}`, "body.b is missing"},
		"one too many":    {`{"a":1}`, `{"a":1,"b":1}`, "body.b is not expected"},
		"others allowed":  {`{"a":1,"...":true}`, `{"a":1,"b":1}`, ""},
		"uuid":            {`"<uuid>"`, id, ""},
		"no uuid":         {`"<uuid>"`, `"x"`, `body is "x", want <uuid>`},
		"time":            {`["<time>","<time>"]`, `["2026-02-03T10:15:30Z","2026-02-03T10:15:30.120Z"]`, ""},
		"no time":         {`"<time>"`, `"2026-02-03T10:15:30+00:00"`, "want <time>"},
		"int":             {`"<int>"`, `12`, ""},
		"no int":          {`"<int>"`, `1.0`, "want <int>"},
		"empty string":    {`"<string>"`, `""`, "want <string>"},
		"any":             {`{"a":"<any>"}`, `{"a":null}`, ""},
		"each":            {`["each",{"a":"<bool>"}]`, `[{"a":true},{"a":false}]`, ""},
		"one is not":      {`["each",{"a":"<bool>"}]`, `[{"a":true},{"a":1}]`, "body[1].a is 1"},
		"each of none":    {`["each",1]`, `[]`, "body is empty"},
		"length":          {`[1]`, `[1,2]`, "has 2 elements, want 1"},
		"not JSON at all": {`1`, `oops`, "not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := match([]byte(tt.pattern), []byte(tt.text))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("match(%s, %s): %v; want %q", tt.pattern, tt.text, err, tt.want)
			}
		})
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	s := &Session{keys: map[string]string{}, saved: map[string]json.RawMessage{"plan": []byte(`{"wait":"approval.1a","n":1}`), "list": []byte(`[]`)}}
	fill := func(text string) string {
		t.Helper()
		filled, err := s.Fill([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return string(filled)
	}
	if got := fill(`{{x:3}} {"a":{"b":{}}}`); got != `xxx {"a":{"b":{}}}` {
		t.Errorf("filled: %s", got)
	}
	fresh, again := fill("{{uuidv7}}"), fill("{{uuidv7}}")
	a, kept, b := fill("{{uuidv7:a}}"), fill("{{uuidv7:a}}"), fill("{{uuidv7:b}}")
	if fresh == again || a != kept || a == b {
		t.Errorf("fresh keys %s and %s; a is %s, then %s; b is %s", fresh, again, a, kept, b)
	}
	if got := fill("{{plan.wait}} {{plan.wait:approval.}}"); got != "approval.1a 1a" {
		t.Errorf("filled: %s", got)
	}
	for _, text := range []string{"{{x:many}}", "{{x:-1}}", "{{unknown}}", "{{other.wait}}", "{{plan.n}}", "{{plan.wait:release.}}", "{{list.wait}}"} {
		if _, err := s.Fill([]byte(text)); err == nil {
			t.Errorf("%s was filled", text)
		}
	}
}
