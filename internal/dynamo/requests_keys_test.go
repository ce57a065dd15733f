package dynamo

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// FuzzCursor: whatever is decoded is a place of that list, and no other text
// stands for the same one.
func FuzzCursor(f *testing.F) {
	due := dueSort(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), "019ca945-0a00-7cef-8e73-6477d3e14e2f")
	for _, s := range []string{cursorDue.encode(due), cursorID.encode("019ca945"), cursorDue.encode("x"), cursorDue.encode(due + "#"), cursorID.encode("a#b"), "", "!", "aX0\r", "aX1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, c := range []cursor{cursorDue, cursorID} {
			place, err := c.decode(s)
			if err != nil {
				if !errs.Is(err, errs.Invalid) || place != "" {
					t.Errorf("%q, %v", place, err)
				}
				continue
			}
			if c.encode(place) != s {
				t.Errorf("%q is read from %q, too", place, s)
			}
			if len(place) > 100 || strings.ContainsAny(place, "~ \x00") && c == cursorDue {
				t.Errorf("%q", place)
			}
		}
		if _, err := cursorDue.decode(s); err == nil {
			if _, err := cursorID.decode(s); err == nil {
				t.Errorf("%q is a place of two lists", s)
			}
		}
	})
}

// TestBody_personal: personal data comes into a body only where Forget deletes
// the row, or where the encoding of the row takes it out first.
func TestBody_personal(t *testing.T) {
	t.Parallel()
	want := map[string][]string{
		"Request":  {"Channel.Reference"}, // an attribute of its own
		"Personal": {"Name", "Address", "Message", "OnBehalf", "Recipient", "Authority", "Changes.Old", "Changes.New"},
		"Known":    {"Identifier.Value"},
		"Step":     nil, "Found": nil, "Task": nil, "Entry": nil, "Decision": nil, "Token": nil, "Link": nil, "Mail": nil,
	}
	for _, v := range []any{
		request.Request{}, request.Personal{}, request.Known{}, request.Step{}, request.Found{}, request.Task{},
		request.Entry{}, request.Decision{}, request.Token{}, request.Link{}, request.Mail{},
	} {
		typ := reflect.TypeOf(v)
		if got := masked(typ, nil); !slices.Equal(got, want[typ.Name()]) {
			t.Errorf("%s holds personal data in %v, want %v", typ.Name(), got, want[typ.Name()])
		}
	}
	r := &request.Request{ID: "r", Channel: request.Channel{Reference: "planted"}}
	if row := encodeRequest(r); strings.Contains(getText(row, "body"), "planted") || r.Channel.Reference != "planted" {
		t.Errorf("the body %q", getText(row, "body"))
	}
	for _, row := range []item{encodeStep("r", request.Step{Handle: "planted"}), encodeFound("r", request.Found{Handle: "planted"})} {
		if strings.Contains(getText(row, "body"), "planted") {
			t.Errorf("the body %q", getText(row, "body"))
		}
	}
}

// masked are the paths of a type that lead to personal data.
func masked(t reflect.Type, path []string) (list []string) {
	switch t.Kind() {
	case reflect.Slice, reflect.Pointer, reflect.Map:
		return masked(t.Elem(), path)
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return nil
		}
		for field := range t.Fields() {
			list = append(list, masked(field.Type, append(slices.Clone(path), field.Name))...)
		}
	}
	if t == reflect.TypeFor[redact.String]() {
		return []string{strings.Join(path, ".")}
	}
	return list
}
