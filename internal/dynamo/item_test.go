package dynamo

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
)

var reveal = cmp.Transformer("reveal", redact.String.Reveal)

func drawText(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "<b>&amp;", "é😀\u2028", "a\"b\\c", "line\r\nline"}),
		rapid.StringN(0, 12, 40),
	).Draw(t, label)
}

func drawTime(t *rapid.T, label string) time.Time {
	return time.UnixMilli(rapid.Int64Range(-62135596800000, 253402300799999).Draw(t, label)).UTC()
}

func drawEvent(t *rapid.T) *consent.Event {
	maybe := func(label string) bool { return rapid.Bool().Draw(t, label+"?") }
	at := func(label string) *time.Time {
		if !maybe(label) {
			return nil
		}
		return new(drawTime(t, label))
	}
	text := func(label string) *consent.Text {
		if !maybe(label) {
			return nil
		}
		return &consent.Text{Value: redact.String(drawText(t, label)), Null: rapid.Bool().Draw(t, label+" null")}
	}
	texts := func(label string) []string {
		var list []string
		for range rapid.IntRange(0, 3).Draw(t, label) {
			list = append(list, drawText(t, label))
		}
		return list
	}
	e := &consent.Event{
		ID: "019c22f1-d500-774e-a595-79648550181b", Kind: rapid.SampledFrom([]consent.Kind{consent.KindConsent, consent.KindSubject}).Draw(t, "kind"),
		Site: "shop", Subject: "p", SubjectID: redact.String(drawText(t, "subject")), KeyID: "k",
		Source: rapid.SampledFrom([]consent.Source{consent.Public, consent.Private, consent.Confirmed}).Draw(t, "source"),
		Act:    consent.Act(drawText(t, "act")), Claimed: drawTime(t, "claimed"), Received: drawTime(t, "received"),
		Corrected: at("corrected"), SentAt: at("sent"), DeviceTime: at("device"), ExpiresAt: at("expires"),
		Profile:  consent.Profile{Email: text("email"), FirstName: text("first"), LastName: text("last"), FullName: text("full")},
		Objected: texts("objected"), GPC: maybe("gpc"), DocumentIDs: texts("documents"),
		IP: redact.String(drawText(t, "ip")), ConsentType: drawText(t, "type"), Token: consent.TokenState(drawText(t, "token")),
	}
	copy(e.Request[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "request"))
	if maybe("verified") {
		e.Profile.Verified = &consent.Flag{Value: rapid.Bool().Draw(t, "verified"), Null: rapid.Bool().Draw(t, "verified null")}
	}
	if maybe("phones") {
		e.Profile.Phones = &consent.Phones{Null: rapid.Bool().Draw(t, "phones null")}
		for range rapid.IntRange(0, 2).Draw(t, "phones") {
			e.Profile.Phones.List = append(e.Profile.Phones.List, consent.Phone{Number: redact.String(drawText(t, "number")), Label: drawText(t, "label")})
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "preferences") {
		e.Preferences = append(e.Preferences, consent.Preference{
			Key:   drawText(t, "key"),
			Value: rapid.SampledFrom([]string{"true", `"<b>"`, `"\u003cb\u003e"`, `"\u2028"`, "1.0", "1e400", "12345678901234567890", `{"b":1,"a":[null,{}]}`, `"\/"`, "-0"}).Draw(t, "value"),
		})
	}
	for range rapid.IntRange(0, 2).Draw(t, "notices") {
		e.LegalNotices = append(e.LegalNotices, consent.NoticeRef{Identifier: drawText(t, "identifier"), Version: drawText(t, "version")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "proofs") {
		e.Proofs = append(e.Proofs, consent.Proof{
			HasContent: maybe("content"), Content: redact.String(drawText(t, "content")), ContentDigest: drawText(t, "digest"),
			ContentBytes: rapid.IntRange(0, 9).Draw(t, "bytes"), FormDigest: drawText(t, "form"), FormNonce: drawText(t, "nonce"), FormBytes: rapid.IntRange(0, 9).Draw(t, "form bytes"),
		})
	}
	return e
}

// Whatever an event states comes back from its row, to the letter.
func TestEvent_rowReadsBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		row := encodeEvent(e)
		got, err := decodeEvent(row)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, got, reveal); diff != "" {
			t.Fatalf("(-put +got):\n%s", diff)
		}
		if got.Checksum() != e.Checksum() {
			t.Fatal("another checksum")
		}
		if _, listed := row["listing"]; listed != (e.Kind == consent.KindConsent) {
			t.Fatalf("a %s event is listed: %v", e.Kind, listed)
		}
	})
}

// A row that this version cannot read is an error: it must not be left out.
func TestDecodeEvent_damaged(t *testing.T) {
	t.Parallel()
	event := &consent.Event{ID: "a", Kind: consent.KindConsent, Site: "shop", Subject: "p", Source: consent.Public, Preferences: []consent.Preference{{Key: "a", Value: "true"}}}
	for name, tt := range map[string]struct {
		change   func(item)
		readable bool
	}{
		"as it was":          {func(item) {}, true},
		"kind of the future": {func(r item) { r["kind"] = text("promise") }, false},
		"no source":          {func(r item) { delete(r, "source") }, false},
		"no kind, not of the index": {func(r item) {
			delete(r, "kind")
			delete(r, "listing")
		}, false},
		"no kind, of the index":   {func(r item) { delete(r, "kind") }, true},
		"preferences cut off":     {func(r item) { r["preferences"] = text(`[{"k":"a","v":`) }, false},
		"preferences of another":  {func(r item) { r["preferences"] = text(`{"a":true}`) }, false},
		"profile":                 {func(r item) { r["profile"] = text(`[]`) }, false},
		"proofs":                  {func(r item) { r["proofs"] = text(`{}`) }, false},
		"notices":                 {func(r item) { r["notices"] = text(`"x"`) }, false},
		"attribute of the future": {func(r item) { r["leaf"] = number(1) }, true},
		"tombstone":               {func(r item) { clear(r); r["erased_at"] = number(1); r["id"], r["subject"] = text("a"), text("p") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := encodeEvent(event)
			tt.change(row)
			e, err := decodeEvent(row)
			if (err == nil) != tt.readable || (e == nil) == tt.readable {
				t.Errorf("%v, %v; want readable %v", e, err, tt.readable)
			}
		})
	}
}

func TestDecodeEvent_tombstone(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{"a": "a", subjectEventPrefix + "a": "a"} {
		e, err := decodeEvent(item{"subject": text("p"), "id": text(id), "erased_at": number(1_000)})
		if err != nil || e.ErasedAt == nil || !e.ErasedAt.Equal(time.Unix(1, 0)) || e.ID != want || e.Subject != "p" {
			t.Errorf("%s: %+v, %v", id, e, err)
		}
	}
}

// Sizes as DynamoDB counts them: names and values in UTF-8 bytes.
func TestItemSize(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		row  item
		want int
	}{
		"empty":  {item{}, 0},
		"text":   {item{"ab": text("cde")}, 5},
		"UTF-8":  {item{"é": text("😀")}, 6},
		"bytes":  {item{"a": &types.AttributeValueMemberB{Value: make([]byte, 32)}}, 33},
		"truth":  {item{"a": &types.AttributeValueMemberBOOL{Value: true}}, 2},
		"null":   {item{"a": &types.AttributeValueMemberNULL{Value: true}}, 2},
		"set":    {item{"a": &types.AttributeValueMemberSS{Value: []string{"b", "cd"}}}, 4},
		"list":   {item{"a": texts([]string{"b", "cd"})}, 1 + 3 + 2*1 + 3},
		"map":    {item{"a": &types.AttributeValueMemberM{Value: item{"b": text("c")}}}, 1 + 3 + 1 + 2},
		"number": {item{"a": number(1770113730123)}, 1 + 13/2 + 2},
	} {
		if got := itemSize(tt.row); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", name, got, tt.want)
		}
	}
}

func TestItem_absentOrOfAnotherType(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]item{
		"absent": {}, "null": {"a": &types.AttributeValueMemberNULL{Value: true}}, "map": {"a": &types.AttributeValueMemberM{}},
	} {
		if getText(row, "a") != "" || getNumber(row, "a") != 0 || getBool(row, "a") || getList(row, "a") != nil {
			t.Errorf("%s: something was read", name)
		}
		var v []string
		if err := getJSON(row, "a", &v); err != nil || v != nil {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	if getTimePtr(item{}, "a") != nil || getTimePtr(item{"a": number(0)}, "a") == nil {
		t.Error("an absent time and 1970 are taken for each other")
	}
	row := item{}
	row.setText("a", "")
	row.setTime("b", nil)
	row.setList("c", []string{})
	if len(row) != 0 {
		t.Errorf("what is empty was put: %v", row)
	}
	row.setJSON("d", map[string]string{"<": "&"})
	if got := getText(row, "d"); got != `{"<":"&"}` {
		t.Errorf("JSON is kept as %s", got)
	}
	var back map[string]string
	if err := getJSON(row, "d", &back); err != nil || back["<"] != "&" {
		t.Errorf("%v, %v", back, err)
	}
	if err := getJSON(item{"a": text("{")}, "a", &back); err == nil || strings.Contains(err.Error(), "dynamo:") {
		t.Errorf("JSON that is cut off: %v", err)
	}
}
