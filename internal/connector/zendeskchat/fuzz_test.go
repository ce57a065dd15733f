package zendeskchat

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// A chat is parsed under its own id only, whatever the vendor sends; what cannot
// be parsed is not quoted. What was parsed can be exported, and no address of a
// file is left where the connector looks for one.
func FuzzParse(f *testing.F) {
	const id = "2611.10000001.AbCdEfGhIjKlM"
	for _, text := range []string{
		"", "null", "[]", `"x"`, `{"id":"` + id + `"}`, `{"id":"other"}`, `{"id":"` + id + `","agent_ids":[1,"2",null],"visitor":null,"tags":null,"history":{}}`,
		`{"id":"` + id + `","history":[null,1,{"attachment":{"url":"https://x.test/"}},{"attachments":[{"url":"y"},{"url":1},7]}],"duration":1e400}`, `{"id":"` + id + `","visitor":{"id":{}}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := parse(id, json.RawMessage(text))
		if err != nil && err != errShape && err != errAnother {
			t.Fatalf("%v may quote a chat", err)
		}
		if d == nil {
			return
		}
		if d.ID != id {
			t.Fatalf("%q stands for %q", d.ID, id)
		}
		all := d.all()
		for _, said := range all.history() {
			for _, a := range said.attachments() {
				delete(a, "url")
			}
		}
		for _, said := range all.history() {
			if left := said.attachments(); len(left) != 0 {
				t.Fatalf("%v", left)
			}
		}
		if _, err := json.Marshal(all); err != nil {
			t.Fatal(err)
		}
	})
}

// A value in a query stays a value: nothing in it ends the quotation marks.
func FuzzTerm(f *testing.F) {
	for _, value := range []string{"", `a" OR "b`, `\`, `\"`, "timestamp:[* TO *]", "Ada\nNovak"} {
		f.Add(value)
	}
	c := &Connector{config: config{Fields: usualFields}}
	f.Fuzz(func(t *testing.T, value string) {
		inner, ok := strings.CutPrefix(c.term(byName, value), `visitor_name:"`)
		inner, closed := strings.CutSuffix(inner, `"`)
		if !ok || !closed || strings.ContainsAny(inner, `"\`) {
			t.Fatalf("%q: %q", value, inner)
		}
	})
}

// Two windows side by side have each chat once, and one whose time cannot be read
// everywhere.
func FuzzWithin(f *testing.F) {
	for _, at := range []string{"", "2026-11-01T08:15:48Z", "2026-11-01T08:15:48.5+02:00", "soon", "0000-00-00T00:00:00Z"} {
		f.Add(at)
	}
	const from, middle, to = 1_000_000_000, 1_500_000_000, 2_000_000_000
	f.Fuzz(func(t *testing.T, at string) {
		h := hit{Timestamp: at}
		whole, left, right := h.within(time.Unix(from, 0), time.Unix(to, 0)), h.within(time.Unix(from, 0), time.Unix(middle, 0)), h.within(time.Unix(middle, 0), time.Unix(to, 0))
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			if !whole || !left || !right {
				t.Fatalf("%q is nowhere", at)
			}
			return
		}
		if whole != (left != right) {
			t.Fatalf("%q: %v, but %v and %v", at, whole, left, right)
		}
	})
}

// An id that may stand in a list of ids names one chat and is no path.
func FuzzID(f *testing.F) {
	for _, id := range []string{"2611.10000001.AbCdEfGhIjKlM", "", ".", "..", "a,b", "a/b", "a\n", "é", strings.Repeat("a", 200)} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if idForm.MatchString(id) && (strings.ContainsAny(id, ",/?#% \n") || strings.Trim(id, ".") == "" || len(id) > 100 || !utf8.ValidString(id)) {
			t.Fatalf("%q", id)
		}
	})
}
