package dynamo

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
)

// FuzzSearchKeys: an entry is read back from its key whatever its text is, and
// stands in the partition where its beginnings are looked for.
func FuzzSearchKeys(f *testing.F) {
	f.Add("site-1", "ines@exa", int64(1760000000000), "AAAAAAAAAAAAAAAAAAAAAA")
	f.Add("s", "#a#b#20260101T000000.000Z#c", int64(0), "-")
	f.Add("s", "é#", int64(253402300799999), "_z")
	f.Fuzz(func(t *testing.T, site, token string, ms int64, subject string) {
		if strings.Contains(site+subject, "#") || ms < 0 || ms > 253402300799999 || len([]rune(token)) < 2 {
			t.Skip()
		}
		e := consent.Entry{Site: site, Token: consent.Token{Field: consent.FieldName, Text: redact.String(token)}}
		e.At = consent.Position{Created: time.UnixMilli(ms).UTC(), Subject: subject}
		key := searchKey(site, e.Token)
		got, ok := parseSearch(key, searchSort(e))
		if !ok || got != e {
			t.Errorf("%q read back as %q, %v", token, got.Token.Text.Reveal(), got.At)
		}
		start := e.Token
		start.Text = redact.String([]rune(token)[:2])
		if searchKey(site, start) != key {
			t.Errorf("%q is not looked for where %q stands", start.Text.Reveal(), token)
		}
	})
}

func TestParseSearch_notAnEntry(t *testing.T) {
	t.Parallel()
	for _, sort := range []string{"", "VIEW", "#", "a#b", "a#20260101T000000.000Z", "a#x#y"} {
		if e, ok := parseSearch("s#e#ab", sort); ok {
			t.Errorf("%q is read as %v", sort, e.At)
		}
	}
}

func TestCreatedBounds(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC)
	place := func(t time.Time, subject string) consent.Position {
		return consent.Position{Created: t, Subject: subject}
	}
	for name, tt := range map[string]struct {
		span consent.Span
		in   []consent.Position
		out  []consent.Position
	}{
		"none": {consent.Span{}, []consent.Position{place(at, "a"), place(time.UnixMilli(0), "-")}, nil},
		"from and to": {
			consent.Span{From: at, To: at},
			[]consent.Position{place(at, "-"), place(at, "zz")},
			[]consent.Position{place(at.Add(time.Millisecond), "-"), place(at.Add(-time.Millisecond), "zz")},
		},
		"within a millisecond": {
			consent.Span{From: at.Add(1), To: at.Add(time.Millisecond + 1)},
			[]consent.Position{place(at.Add(time.Millisecond), "a")}, []consent.Position{place(at, "zz")},
		},
		"before": {
			consent.Span{Before: new(place(at, "m0"))},
			[]consent.Position{place(at, "lz"), place(at, "m-"), place(at, "l-")},
			[]consent.Position{place(at, "m0"), place(at, "m1"), place(at.Add(time.Millisecond), "-")},
		},
		"before and to": {
			consent.Span{Before: new(place(at, "m0")), To: at.Add(-time.Hour)},
			[]consent.Position{place(at.Add(-time.Hour), "zz")}, []consent.Position{place(at, "lz")},
		},
		"ages ago and far ahead": {
			consent.Span{From: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)},
			[]consent.Position{place(time.UnixMilli(0), "-"), place(at, "a")}, nil,
		},
	} {
		low, high := createdBounds(tt.span)
		inside := func(p consent.Position) bool { c := viewCreated(p); return low <= c && c <= high }
		for _, p := range tt.in {
			if !inside(p) {
				t.Errorf("%s: %v is out", name, p)
			}
		}
		for _, p := range tt.out {
			if inside(p) {
				t.Errorf("%s: %v is in", name, p)
			}
		}
	}
}

// TestDecodeView_damaged: nobody is shown a view that cannot be read in full;
// whoever writes views gets what there is.
func TestDecodeView_damaged(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1760000000000).UTC()
	v := &consent.SubjectView{Site: "s", Subject: "x", SubjectID: "1", Created: at, Updated: at, Answers: []consent.Answer{{State: consent.State{Preference: "n", Reason: consent.Refused, Value: "false", Since: at}}}}
	row := encodeView(v, 7)
	v.Version = 7
	got, err := decodeView(row)
	if diff := cmp.Diff(v, got); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
	row["answers"] = text("[")
	damaged, err := decodeView(row)
	if err == nil || damaged.Version != 7 || damaged.Same(got) {
		t.Errorf("%+v, %v", damaged, err)
	}
	if v, err := readable(decodeView(row)); v != nil || err == nil {
		t.Errorf("%+v, %v", v, err)
	}
}
