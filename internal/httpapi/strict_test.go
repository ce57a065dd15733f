package httpapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
)

type strictBody struct {
	Why  string    `json:"why"`
	At   time.Time `json:"at"`
	Deep struct {
		N int `json:"n"`
	} `json:"deep"`
}

func strict(contentType, body string) (strictBody, error) {
	r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	var into strictBody
	_, err := httpapi.DecodeStrict(r, 100, &into)
	return into, err
}

func TestDecodeStrict(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		kind, body string
		want       errs.Kind
		field      string
	}{
		"good":              {"application/json", `{"why":"a","deep":{"n":1}}`, "", ""},
		"no type":           {"", `{"why":"a"}`, "", ""},
		"empty":             {"application/json", " ", "", ""},
		"unknown":           {"application/json", `{"wyh":"a"}`, errs.Invalid, "wyh"},
		"unknown, nested":   {"application/json", `{"deep":{"m":1}}`, errs.Invalid, "m"},
		"other type":        {"application/json", `{"deep":{"n":"1"}}`, errs.Invalid, "deep.n"},
		"twice":             {"application/json", `{"why":"a","why":"b"}`, errs.Invalid, ""},
		"time":              {"application/json", `{"at":"yesterday"}`, errs.Invalid, ""},
		"array":             {"application/json", `[]`, errs.Invalid, ""},
		"two":               {"application/json", `{} {}`, errs.Invalid, ""},
		"none":              {"application/json", `{`, errs.Invalid, ""},
		"too large":         {"application/json", `{"why":"` + strings.Repeat("x", 100) + `"}`, errs.TooLarge, ""},
		"form":              {"application/x-www-form-urlencoded", `why=a`, errs.Unsupported, ""},
		"type not readable": {";", `{}`, errs.Invalid, ""},
		"charset":           {"application/json; charset=UTF-8", `{"why":"a"}`, "", ""},
		"other charset":     {"application/json; charset=latin1", `{"why":"a"}`, errs.Invalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := strict(tt.kind, tt.body)
			var e *errs.Error
			errors.As(err, &e)
			if tt.want == "" && err != nil || tt.want != "" && !errs.Is(err, tt.want) {
				t.Fatalf("%v, want %s", err, tt.want)
			}
			if tt.field != "" && (len(e.Fields) != 1 || e.Fields[0].Field != tt.field) {
				t.Errorf("fields %v, want %s", e.Fields, tt.field)
			}
		})
	}
}

// Whatever is posted, nothing panics, and what is accepted is a JSON object.
func FuzzDecodeStrict(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"why":"a"}`, `{"why":1}`, `{"deep":null}`, `{"at":"2026-02-03T10:15:30Z"}`, "[", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		if _, err := strict("application/json", body); err == nil && strings.TrimSpace(body) != "" && !json.Valid([]byte(body)) {
			t.Errorf("accepted %q", body)
		}
	})
}
