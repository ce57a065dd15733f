package event

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// patterns are the texts that stand for any value of a kind.
var patterns = map[string]func(v any) bool{
	"<any>":    func(any) bool { return true },
	"<bool>":   func(v any) bool { _, ok := v.(bool); return ok },
	"<string>": func(v any) bool { s, ok := v.(string); return ok && s != "" },
	"<int>":    func(v any) bool { n, ok := v.(json.Number); return ok && !strings.ContainsAny(n.String(), ".eE") },
	"<uuid>":   textLike(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`),
	"<time>":   textLike(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$`),
	"<hex64>":  textLike(`^[0-9a-f]{64}$`),
}

func textLike(expression string) func(any) bool {
	re := regexp.MustCompile(expression)
	return func(v any) bool {
		s, ok := v.(string)
		return ok && re.MatchString(s)
	}
}

// match compares a JSON text with a pattern. An object has exactly the keys of
// the pattern, unless that has the key "...". The list ["each", p] stands for
// one element or more that all match p.
func match(pattern, text []byte) error {
	want, err := decode(pattern)
	if err != nil {
		return fmt.Errorf("the pattern is not JSON: %w", err)
	}
	got, err := decode(text)
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return compare("body", want, got)
}

func decode(text []byte) (any, error) {
	var v any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	err := d.Decode(&v)
	return v, err
}

func compare(at string, want, got any) error {
	switch want := want.(type) {
	case string:
		if is := patterns[want]; is != nil {
			if !is(got) {
				return fmt.Errorf("%s is %s, want %s", at, show(got), want)
			}
			return nil
		}
	case map[string]any:
		if got, ok := got.(map[string]any); ok {
			return compareObject(at, want, got)
		}
	case []any:
		if got, ok := got.([]any); ok {
			return compareList(at, want, got)
		}
	}
	if show(want) != show(got) {
		return fmt.Errorf("%s is %s, want %s", at, show(got), show(want))
	}
	return nil
}

func compareObject(at string, want, got map[string]any) error {
	for key, w := range want {
		if key == "..." {
			continue
		}
		g, ok := got[key]
		if !ok {
			return fmt.Errorf("%s.%s is missing", at, key)
		}
		if err := compare(at+"."+key, w, g); err != nil {
			return err
		}
	}
	for key := range got {
		if _, known := want[key]; !known && want["..."] == nil {
			return fmt.Errorf("%s.%s is not expected", at, key)
		}
	}
	return nil
}

func compareList(at string, want, got []any) error {
	if len(want) == 2 && want[0] == "each" {
		if len(got) == 0 {
			return fmt.Errorf("%s is empty", at)
		}
		each := want[1]
		want = nil
		for range got {
			want = append(want, each)
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("%s has %d elements, want %d", at, len(got), len(want))
	}
	for i := range want {
		if err := compare(fmt.Sprintf("%s[%d]", at, i), want[i], got[i]); err != nil {
			return err
		}
	}
	return nil
}

func show(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}
