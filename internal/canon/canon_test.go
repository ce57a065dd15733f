package canon_test

import (
	"testing"

	"github.com/avow-consent/avow/internal/canon"
)

func TestJSON(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		`{"a":1,"b":[true,null,"<é>"]}`: map[string]any{"b": []any{true, nil, "<é>"}, "a": 1.0},
		`{"1":{},"10":0,"2":""}`:        map[string]any{"10": 0, "2": "", "1": map[string]any{}},
		`[1e+30,4.5,0.002,1e-27]`:       []float64{1e30, 4.50, 2e-3, 1e-27},
		// Names are sorted by their UTF-16 units: the surrogates of an emoji come before U+FB33.
		"{\"\u20ac\":1,\"\U0001F600\":2,\"\ufb33\":3}": map[string]int{"\ufb33": 3, "\U0001F600": 2, "\u20ac": 1},
	} {
		got, err := canon.JSON(v)
		if err != nil || string(got) != want {
			t.Errorf("%s, %v; want %s", got, err, want)
		}
		if !canon.Is(got) {
			t.Errorf("%s is not canonical", got)
		}
	}
	if _, err := canon.JSON(func() {}); err == nil {
		t.Error("a function as JSON")
	}
}

func TestIs_not(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " {}", "{}\n", `{"b":1,"a":2}`, `{"a":1,"a":1}`, `{"a":1.0}`, `"\u0041"`, "\"\xff\"", `{"a":1} {}`, `{"a"`} {
		if canon.Is([]byte(text)) {
			t.Errorf("%q is canonical", text)
		}
	}
}

func FuzzIs(f *testing.F) {
	for _, text := range []string{`{"a":1}`, `[1e30]`, `"\ud800"`, `{"a":{"b":[]}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before := string(text)
		canon.Is(text)
		if string(text) != before {
			t.Error("the text was changed")
		}
	})
}
