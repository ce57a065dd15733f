package zendesksupport_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector/zendesksupport"
)

// The results of a job are a list of rows for a deletion, an object for a
// permanent one.
func TestJob_resultsAsObjectOrArray(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"status":"queued","results":null}`:  "running",
		`{"status":"working","results":null}`: "running",
		`{"status":"a word of tomorrow"}`:     "running",
		`{"status":"failed"}`:                 "failed",
		`{"status":"killed"}`:                 "failed",
		`{"status":"completed","results":[{"id":1,"action":"delete","success":true,"status":"Deleted"}]}`:                                                                "done",
		`{"status":"completed","results":[{"id":1,"action":"delete","success":true,"status":"Deleted"},{"id":2,"success":false,"error":"TicketNotFound","details":""}]}`: "failed",
		`{"status":"completed","results":[{"id":1,"index":0}]}`:                                                                                                          "done",
		`{"status":"completed","results":{"success":true}}`:                                                                                                              "done",
		`{"status":"completed","results":{"success":false}}`:                                                                                                             "failed",
		`{"status":"completed","results":[]}`:                                                                                                                            "done",
		`{"status":"completed","results":null}`:                                                                                                                          "done",
		`{"status":"completed","results":"fine"}`:                                                                                                                        "failed",
		`{"status":"completed"}`:                                                                                                                                         "failed",
	} {
		if got, err := zendesksupport.Outcome([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
}

func TestMarkup(t *testing.T) {
	t.Parallel()
	for html, want := range map[string]string{
		"":                          "",
		" <p>\n</p> ":               " <p>\n</p> ",
		"<p>My ID is 8</p>":         "<p><redact>My ID is 8</redact></p>",
		"a < b":                     "<redact>a < b</redact>",
		"<p>▇▇▇ ▇</p>&nbsp;":        "<p>▇▇▇ ▇</p>&nbsp;",
		"<p>▇▇ Inès</p>":            "<p><redact>▇▇ Inès</redact></p>",
		`<a href="x">link</a>`:      `<a href="x" redact><redact>link</redact></a>`,
		`<img src="a>b" alt="c"/>`:  `<img src="a>b" alt="c" redact/>`,
		`<a href="x" redact>▇▇</a>`: `<a href="x" redact>▇▇</a>`,
		`<p title="it's">x`:         `<p title="it's"><redact>x</redact>`,
		`<p title="open>x`:          `<p title="open><redact>x</redact>`,
		"x<":                        "<redact>x<</redact>",
		"x<b":                       "<redact>x<b</redact>",
		"<abbr>WHO</abbr>":          "<abbr><redact>WHO</redact></abbr>",
	} {
		got, left := zendesksupport.Markup(html)
		if got != want || left != (got != html) {
			t.Errorf("%s: %s, %v", html, got, left)
		}
	}
}

var mark = regexp.MustCompile(`</?redact>| redact`)

// Without its marks a text is what it was, and all that is read is marked.
func FuzzMarkup(f *testing.F) {
	for _, seed := range []string{`<p>a<img src="x"/> b</p>`, "a < b > c", `<a href='"'>`, "<!-- x -->", "<>", "▇", "<a", "</"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, html string) {
		if strings.Contains(html, "redact") {
			return
		}
		marked, left := zendesksupport.Markup(html)
		if mark.ReplaceAllString(marked, "") != html || left != (marked != html) {
			t.Errorf("%q became %q, %v", html, marked, left)
		}
	})
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"ines@example.test":      `"ines@example.test"`,
		`a" OR role:admin "@b.c`: `"a OR role:admin @b.c"`,
		`a\`:                     `"a"`,
		"a*\x00\nb":              `"ab"`,
	} {
		if got := zendesksupport.Quote(value); got != want {
			t.Errorf("%q: %q", value, got)
		}
	}
}

func FuzzQuote(f *testing.F) {
	f.Add(`a" OR "b`)
	f.Fuzz(func(t *testing.T, value string) {
		got := zendesksupport.Quote(value)
		if inner := got[1 : len(got)-1]; strings.ContainsAny(inner, "\"\\*\n") || got[0] != '"' || got[len(got)-1] != '"' {
			t.Errorf("%q: %q", value, got)
		}
	})
}

func TestPlain(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(zendesksupport.Plain([]byte(`{"id":12345678901234567890,"url":"u","attachments":[{"content_url":"c","mapped_content_url":"m","thumbnails":[],"file_name":"f"}],"html_body":"h","body":"b"}`)))
	if diff := cmp.Diff(`{"attachments":[{"file_name":"f"}],"body":"b","id":12345678901234567890}`, string(got)); err != nil || diff != "" {
		t.Errorf("%s, %v", diff, err)
	}
}

// Whatever Zendesk sends, reading it does not fail in a way that nobody expects.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"status":"completed","results":[{"success":false}]}`))
	f.Add([]byte(`{"meta":{"has_more":true,"after_cursor":"x"},"next_page":"y"}`))
	f.Add([]byte(`{"events":[{"type":"ChatStartedEvent","value":{"chat_id":"1","history":[{"type":"ChatMessage","message":"m","chat_index":0}]}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, err := zendesksupport.Outcome(text); err == nil && got != "running" && got != "done" && got != "failed" {
			t.Errorf("an outcome %q", got)
		}
		if cursor, ok := zendesksupport.Next(text); ok && cursor == "" && strings.Contains(string(text), `"has_more":true,"after_cursor":""`) && json.Valid(text) && len(text) < 60 {
			t.Errorf("a list that goes on nowhere: %s", text)
		}
		for _, id := range zendesksupport.Chats(text) {
			if id == "" {
				t.Error("a chat without an id")
			}
		}
		if v := zendesksupport.Plain(text); v != nil {
			if out, err := json.Marshal(v); err != nil || strings.Contains(string(out), `"content_url":`) && !strings.Contains(string(text), `\`) {
				t.Errorf("%s, %v", out, err)
			}
		}
	})
}
