package wire_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/wire"
)

func TestDecodeNotices(t *testing.T) {
	t.Parallel()
	at := time.Date(2018, 2, 22, 0, 40, 0, 0, time.UTC)
	text := func(s string) map[string]string { return map[string]string{"": s} }
	for body, want := range map[string]struct {
		drafts []consent.NoticeDraft
		bulk   bool
	}{
		`{"identifier":"a","content":" x "}`:                                       {[]consent.NoticeDraft{{Identifier: "a", Texts: text(" x ")}}, false},
		`{"identifier":7,"content":"x","version":9,"timestamp":""}`:                {[]consent.NoticeDraft{{Identifier: "7", Texts: text("x")}}, false},
		`{"identifier":"a","content":{"en":"x","pt-BR":"y"},"document_ids":false}`: {[]consent.NoticeDraft{{Identifier: "a", Texts: map[string]string{"en": "x", "pt-BR": "y"}}}, false},
		`{"identifier":"a","content":"x","timestamp":"1519260000","document_ids":["d","",null,3]}`: {
			[]consent.NoticeDraft{{Identifier: "a", Texts: text("x"), Effective: &at, DocumentIDs: []string{"d", "3"}}}, false},
		` [ {"identifier":"a","content":"x"} ] `:                              {[]consent.NoticeDraft{{Identifier: "a", Texts: text("x")}}, true},
		`[{"identifier":"a","content":"x"},{"identifier":"b","content":"y"}]`: {[]consent.NoticeDraft{{Identifier: "a", Texts: text("x")}, {Identifier: "b", Texts: text("y")}}, true},
		`[]`: {nil, true},
	} {
		drafts, bulk, err := wire.DecodeNotices(json.RawMessage(body))
		if diff := cmp.Diff(want.drafts, drafts); err != nil || diff != "" || bulk != want.bulk {
			t.Errorf("%s: bulk %v, %v\n%s", body, bulk, err, diff)
		}
	}
}

func TestNewNoticeVersion(t *testing.T) {
	t.Parallel()
	n := &consent.Notice{
		Site: "40412", Identifier: "terms", Version: 3, Texts: map[string]string{"fr": "d2", "en": "d1"},
		Published: time.Date(2026, 2, 4, 0, 0, 1, 1e6, time.UTC), Effective: time.Date(2026, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)),
		DocumentIDs: []string{"a", "b"},
	}
	render := func() string {
		v := wire.NewNoticeVersion(n, func(digest string) string { return "<" + digest + ">" }, func(id string) wire.Document {
			if id == "b" {
				return wire.NewDocument(id, nil)
			}
			return wire.NewDocument(id, &consent.Document{Name: "a.pdf", MimeType: "application/pdf", Created: time.Unix(0, 0)})
		})
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(b.String())
	}
	const want = `{"id":"40412_terms","owner_id":"40412","identifier":"terms","version":3,"timestamp":"2025-12-31T23:00:00Z","published_at":"2026-02-04T00:00:01Z",` +
		`"content":{"en":"<d1>","fr":"<d2>"},"documents":[{"id":"a","name":"a.pdf","mime_type":"application/pdf","timestamp":"1970-01-01T00:00:00Z"},` +
		`{"id":"b","name":null,"mime_type":null,"timestamp":null,"missing":true}]}`
	if got := render(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	n.Texts, n.DocumentIDs = map[string]string{"": "d3"}, nil
	if got := render(); !strings.HasSuffix(got, `"content":"<d3>","documents":[]}`) {
		t.Errorf("got %s", got)
	}
}

// Whatever passes the decoder is within the limits, and says what the JSON says.
func FuzzDecodeNotices(f *testing.F) {
	for _, seed := range []string{
		`{"identifier":"terms","content":{"en":"Text","fr":"Texte"},"timestamp":"2026-02-04T00:00:00Z","document_ids":["d"]}`,
		`[{"identifier":"a","content":"x"},{"identifier":"b","content":"y"}]`,
		`[]`, `[[]]`, `[null]`, `{}`, `{"":1}`, `[{"identifier":"a","content":{"a.b":"x"}}`, `{"identifier":"a","content":"\u0000"}`, `}{`, `[],"a":[{}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if httpapi.CheckJSON(body) != nil {
			return // Decode stands before
		}
		drafts, bulk, err := wire.DecodeNotices(body)
		if err != nil {
			if kind := errs.KindOf(err); kind != errs.Invalid {
				t.Fatalf("%v: %s", err, kind)
			}
			return
		}
		var list []map[string]any
		if bulk {
			err = json.Unmarshal(body, &list)
		} else {
			list = make([]map[string]any, 1)
			err = json.Unmarshal(body, &list[0])
		}
		if err != nil || len(list) != len(drafts) {
			t.Fatalf("%d drafts of %s: %v", len(drafts), body, err)
		}
		for i, d := range drafts {
			if d.Identifier == "" || len(d.Identifier) > consent.MaxText || len(d.Texts) == 0 || len(d.Texts) > consent.MaxLanguages || len(d.DocumentIDs) > consent.MaxDocuments {
				t.Fatalf("out of limits: %v", d)
			}
			content := map[string]any{"": list[i]["content"]}
			if of, ok := list[i]["content"].(map[string]any); ok {
				content = of
			}
			got := map[string]any{}
			for language, text := range d.Texts {
				got[language] = text
			}
			if diff := cmp.Diff(content, got); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}
