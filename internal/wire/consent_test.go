package wire_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/wire"
)

var reveal = cmp.Transformer("reveal", redact.String.Reveal)

func text(s string) *consent.Text { return &consent.Text{Value: redact.String(s)} }

func revealed(s string) *redact.String { return (*redact.String)(&s) }

// Every field of a consent, as the reference API's clients write it.
func TestDecodeConsent_whole(t *testing.T) {
	t.Parallel()
	body := `{
		"timestamp":"2026-02-03T10:15:30.120Z","sent_at":"2026-02-03T10:15:31Z","device_time":"1770113731","expires_at":"2027-02-03",
		"subject":{"id":"cust-881","email":"ines@example.test","first_name":"Ines","last_name":null,"full_name":"","verified":"true",
			"phones":[{"number":"+34 600","label":"home"},{"number":600,"label":null}],"telephone":"1","type":"x"},
		"legal_notices":[{"identifier":"privacy_policy"},{"identifier":"terms","version":2},{"identifier":7,"version":"2.0"},{"identifier":"x","version":null}],
		"proofs":[{"content":"{\"a\":1}","form":"<form>"},{"form":"<f>"},{"content":""},{}],
		"preferences":{"newsletter":true,"profiling":"false","form name":{"b": [1, 2], "a":"é"},"x":null},
		"proof_document_ids":["d1","",2],"consent_type":"cookie_policy","act":"paper","gpc":1,"ip_address":"203.0.113.7","source":"public",
		"autodetect_ip_address":false,"subject_token":"v1.k.1.x","unescape_json":true,"unknown":{"deep":[{}]}
	}`
	at := func(s string) *time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return &v
	}
	want := &consent.Submission{
		Source: consent.Private, Token: "v1.k.1.x",
		Timestamp: at("2026-02-03T10:15:30.12Z"), SentAt: at("2026-02-03T10:15:31Z"), DeviceTime: at("2026-02-03T10:15:31Z"), ExpiresAt: at("2027-02-03T00:00:00Z"),
		SubjectID: "cust-881",
		Profile: consent.Profile{
			Email: text("ines@example.test"), FirstName: text("Ines"), LastName: &consent.Text{Null: true}, Verified: &consent.Flag{Value: true},
			Phones: &consent.Phones{List: []consent.Phone{{Number: "+34 600", Label: "home"}, {Number: "600"}}},
		},
		Preferences: []consent.Preference{
			{Key: "newsletter", Value: "true"}, {Key: "profiling", Value: `"false"`}, {Key: "form name", Value: `{"b":[1,2],"a":"é"}`}, {Key: "x", Value: "null"},
		},
		LegalNotices: []consent.NoticeRef{{Identifier: "privacy_policy"}, {Identifier: "terms", Version: "2"}, {Identifier: "7", Version: "2.0"}, {Identifier: "x"}},
		Proofs:       []consent.ProofText{{Content: revealed(`{"a":1}`), Form: revealed("<form>")}, {Form: revealed("<f>")}},
		DocumentIDs:  []string{"d1", "2"}, ConsentType: "cookie_policy", Act: consent.Paper, GPC: true, IP: "203.0.113.7", IPGiven: true,
	}
	got, err := wire.DecodeConsent(json.RawMessage(body), consent.Private)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, reveal); diff != "" {
		t.Errorf("private (-want +got):\n%s", diff)
	}

	// What a public key has no say in is ignored with it.
	want.Source, want.DocumentIDs, want.IP, want.IPGiven, want.NoIP, want.Act = consent.Public, nil, "", false, true, consent.Banner
	got, err = wire.DecodeConsent(json.RawMessage(strings.Replace(body, `"paper"`, `"banner"`, 1)), consent.Public)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, reveal); diff != "" {
		t.Errorf("public (-want +got):\n%s", diff)
	}
}

// What clients send for nothing is nothing.
func TestDecodeConsent_nothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`,
		`{"subject":null,"preferences":null,"legal_notices":null,"proofs":null,"timestamp":null,"act":null,"gpc":null,"ip_address":null,"proof_document_ids":null,"consent_type":null}`,
		`{"subject":false,"preferences":false,"legal_notices":false,"proofs":false}`,
		`{"subject":"","preferences":"","legal_notices":"","proofs":"","timestamp":"","act":"","gpc":"","ip_address":"","proof_document_ids":"","consent_type":""}`,
		`{"subject":{},"preferences":{},"legal_notices":[],"proofs":[],"proof_document_ids":[]}`,
		`{"subject":[],"preferences":[],"legal_notices":{},"proofs":{},"proof_document_ids":{}}`,
		`{"subject":{"id":"","email":"","first_name":"","phones":[],"verified":""},"legal_notices":[null],"proofs":[null,{"content":null,"form":""}],"proof_document_ids":[null,""]}`,
		`{"subject":{"id":false,"email":false,"phones":false}}`,
		`{"unknown":1,"Subject":{"id":"x"},"SUBJECT":{}}`,
	} {
		for _, source := range []consent.Source{consent.Public, consent.Private} {
			got, err := wire.DecodeConsent(json.RawMessage(body), source)
			if err != nil {
				t.Errorf("%s: %v", body, err)
				continue
			}
			if diff := cmp.Diff(&consent.Submission{Source: source}, got, reveal); diff != "" {
				t.Errorf("%s (-want +got):\n%s", body, diff)
			}
		}
	}
}

func list(n int, element string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
}

func preferences(n, keyBytes, valueBytes int) string {
	var b strings.Builder
	for i := range n {
		key := fmt.Sprintf("%0*d", keyBytes, i)
		fmt.Fprintf(&b, `%q:%q,`, key, strings.Repeat("v", valueBytes-2))
	}
	return `{"preferences":{` + strings.TrimSuffix(b.String(), ",") + `}}`
}

// Each limit, and one beyond it.
func TestDecodeConsent_limits(t *testing.T) {
	t.Parallel()
	x := func(n int) string { return strings.Repeat("x", n) }
	for name, tt := range map[string]struct {
		within, beyond string
		field          string // that is named
		limit          string // that is told
	}{
		"preferences":         {preferences(100, 3, 10), preferences(101, 3, 10), "preferences", "100"},
		"preference key":      {preferences(1, 128, 10), preferences(1, 129, 10), "preferences", "128"},
		"preference bytes":    {preferences(1, 128, 32<<10-128), preferences(1, 128, 32<<10-127), "preferences", "32768"},
		"preference bytes, 2": {preferences(32, 124, 900), preferences(32, 125, 900), "preferences", "32768"},
		"subject id":          {`{"subject":{"id":"` + x(256) + `"}}`, `{"subject":{"id":"` + x(257) + `"}}`, "subject.id", "256"},
		"letters in bytes":    {`{"subject":{"id":"` + strings.Repeat("é", 128) + `"}}`, `{"subject":{"id":"` + strings.Repeat("é", 129) + `"}}`, "subject.id", "256"},
		"e-mail":              {`{"subject":{"email":"` + x(1024) + `"}}`, `{"subject":{"email":"` + x(1025) + `"}}`, "subject.email", "1024"},
		"first name":          {`{"subject":{"first_name":"` + x(1024) + `"}}`, `{"subject":{"first_name":"` + x(1025) + `"}}`, "subject.first_name", "1024"},
		"last name":           {`{"subject":{"last_name":"` + x(1024) + `"}}`, `{"subject":{"last_name":"` + x(1025) + `"}}`, "subject.last_name", "1024"},
		"full name":           {`{"subject":{"full_name":"` + x(1024) + `"}}`, `{"subject":{"full_name":"` + x(1025) + `"}}`, "subject.full_name", "1024"},
		"phones":              {`{"subject":{"phones":` + list(20, `{"number":"1"}`) + `}}`, `{"subject":{"phones":` + list(21, `{"number":"1"}`) + `}}`, "subject.phones", "20"},
		"phone number":        {`{"subject":{"phones":[{"number":"` + x(1024) + `"}]}}`, `{"subject":{"phones":[{"number":"` + x(1025) + `"}]}}`, "subject.phones[0].number", "1024"},
		"phone label":         {`{"subject":{"phones":[{"number":1,"label":"` + x(1024) + `"}]}}`, `{"subject":{"phones":[{"number":1,"label":"` + x(1025) + `"}]}}`, "subject.phones[0].label", "1024"},
		"notices":             {`{"legal_notices":` + list(32, `{"identifier":"a"}`) + `}`, `{"legal_notices":` + list(33, `{"identifier":"a"}`) + `}`, "legal_notices", "32"},
		"notice identifier":   {`{"legal_notices":[{"identifier":"` + x(1024) + `"}]}`, `{"legal_notices":[{"identifier":"` + x(1025) + `"}]}`, "legal_notices[0].identifier", "1024"},
		"notice version":      {`{"legal_notices":[{"identifier":"a","version":"` + x(1024) + `"}]}`, `{"legal_notices":[{"identifier":"a","version":"` + x(1025) + `"}]}`, "legal_notices[0].version", "1024"},
		"proofs":              {`{"proofs":` + list(16, `{"content":"a"}`) + `}`, `{"proofs":` + list(17, `{"content":"a"}`) + `}`, "proofs", "16"},
		"documents":           {`{"proof_document_ids":` + list(32, `"a"`) + `}`, `{"proof_document_ids":` + list(33, `"a"`) + `}`, "proof_document_ids", "32"},
		"document id":         {`{"proof_document_ids":["` + x(1024) + `"]}`, `{"proof_document_ids":["` + x(1025) + `"]}`, "proof_document_ids[0]", "1024"},
		"consent type":        {`{"consent_type":"` + x(1024) + `"}`, `{"consent_type":"` + x(1025) + `"}`, "consent_type", "1024"},
		"token":               {`{"subject_token":"` + x(1024) + `"}`, `{"subject_token":"` + x(1025) + `"}`, "subject_token", "1024"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := wire.DecodeConsent(json.RawMessage(tt.within), consent.Private); err != nil {
				t.Errorf("within: %v", err)
			}
			_, err := wire.DecodeConsent(json.RawMessage(tt.beyond), consent.Private)
			var refusal *errs.Error
			if !errors.As(err, &refusal) || refusal.Kind != errs.Invalid || len(refusal.Fields) != 1 {
				t.Fatalf("beyond: %v", err)
			}
			if f := refusal.Fields[0]; f.Field != tt.field || !strings.Contains(f.Message, tt.limit) {
				t.Errorf("beyond: %+v, want %s and %s", f, tt.field, tt.limit)
			}
		})
	}
}

// wrong are texts of every JSON type.
var wrong = map[string]string{"null": `null`, "true": `true`, "false": `false`, "number": `7`, "text": `"ines@example.test"`, "empty text": `""`, "object": `{"z":1}`, "list": `["z"]`}

// The wrong type in any field is refused by name, or read as the contract says;
// it never passes for something else.
func TestDecodeConsent_types(t *testing.T) {
	t.Parallel()
	fields := map[string]struct {
		body    string // with %s for the value
		refused []string
	}{
		"timestamp":                {`{"timestamp":%s}`, []string{"true", "text", "object", "list"}},
		"sent_at":                  {`{"sent_at":%s}`, []string{"true", "text", "object", "list"}},
		"device_time":              {`{"device_time":%s}`, []string{"true", "text", "object", "list"}},
		"expires_at":               {`{"expires_at":%s}`, []string{"true", "text", "object", "list"}},
		"subject":                  {`{"subject":%s}`, []string{"true", "number", "text", "list"}},
		"subject.id":               {`{"subject":{"id":%s}}`, []string{"true", "object", "list"}},
		"subject.email":            {`{"subject":{"email":%s}}`, []string{"true", "object", "list"}},
		"subject.first_name":       {`{"subject":{"first_name":%s}}`, []string{"true", "object", "list"}},
		"subject.verified":         {`{"subject":{"verified":%s}}`, []string{"number", "text", "object", "list"}},
		"subject.phones":           {`{"subject":{"phones":%s}}`, []string{"true", "number", "text", "object", "list"}},
		"subject.phones[0]":        {`{"subject":{"phones":[%s]}}`, []string{"true", "number", "text", "object", "list"}},
		"subject.phones[0].label":  {`{"subject":{"phones":[{"number":"1","label":%s}]}}`, []string{"true", "object", "list"}},
		"preferences":              {`{"preferences":%s}`, []string{"true", "number", "text", "list"}},
		"legal_notices":            {`{"legal_notices":%s}`, []string{"true", "number", "text", "object", "list"}},
		"legal_notices[0]":         {`{"legal_notices":[%s]}`, []string{"true", "number", "text", "object", "list"}},
		"legal_notices[0].version": {`{"legal_notices":[{"identifier":"a","version":%s}]}`, []string{"true", "object", "list"}},
		"proofs":                   {`{"proofs":%s}`, []string{"true", "number", "text", "object", "list"}},
		"proofs[0]":                {`{"proofs":[%s]}`, []string{"true", "number", "text", "list"}},
		"proofs[0].content":        {`{"proofs":[{"content":%s}]}`, []string{"true", "object", "list"}},
		"proofs[0].form":           {`{"proofs":[{"form":%s}]}`, []string{"true", "object", "list"}},
		"proof_document_ids":       {`{"proof_document_ids":%s}`, []string{"true", "number", "text", "object"}},
		"proof_document_ids[0]":    {`{"proof_document_ids":[%s]}`, []string{"true", "object", "list"}},
		"consent_type":             {`{"consent_type":%s}`, []string{"true", "object", "list"}},
		"act":                      {`{"act":%s}`, []string{"true", "number", "text", "object", "list"}},
		"gpc":                      {`{"gpc":%s}`, []string{"number", "text", "object", "list"}},
		"ip_address":               {`{"ip_address":%s}`, []string{"true", "number", "text", "object", "list"}},
		"subject_token":            {`{"subject_token":%s}`, []string{"true", "object", "list"}},
		"source":                   {`{"act":"import","source":%s}`, []string{"true", "number", "text", "object", "list"}},
	}
	for field, tt := range fields {
		for name, value := range wrong {
			_, err := wire.DecodeConsent(json.RawMessage(fmt.Sprintf(tt.body, value)), consent.Private)
			if refused := err != nil; refused != slices.Contains(tt.refused, name) {
				t.Errorf("%s of type %s: %v", field, name, err)
			}
			var refusal *errs.Error
			if err == nil || !errors.As(err, &refusal) {
				continue
			}
			if len(refusal.Fields) == 0 || !strings.HasPrefix(refusal.Fields[0].Field, field) {
				t.Errorf("%s of type %s: %+v", field, name, refusal.Fields)
			}
			if strings.Contains(fmt.Sprint(refusal.Fields, refusal.Message), "ines") {
				t.Errorf("%s of type %s: the refusal quotes the value", field, name)
			}
		}
	}
	for name, value := range wrong {
		if _, err := wire.DecodeConsent(json.RawMessage(value), consent.Public); (err == nil) != (name == "object") {
			t.Errorf("a body of type %s: %v", name, err)
		}
		if _, err := wire.DecodeConsent(json.RawMessage(`{"autodetect_ip_address":`+value+`}`), consent.Public); (err != nil) != slices.Contains([]string{"number", "text", "object", "list"}, name) {
			t.Errorf("autodetect_ip_address of type %s: %v", name, err)
		}
		// Any JSON is a preference's value, and any type of what a public key has no say in is ignored.
		if s, err := wire.DecodeConsent(json.RawMessage(`{"preferences":{"a":`+value+`}}`), consent.Public); err != nil || s.Preferences[0].Value != value {
			t.Errorf("preference of type %s: %v", name, err)
		}
		if s, err := wire.DecodeConsent(json.RawMessage(`{"ip_address":`+value+`,"proof_document_ids":`+value+`}`), consent.Public); err != nil || s.IP != "" || s.DocumentIDs != nil {
			t.Errorf("address and documents of type %s from a public key: %v", name, err)
		}
	}
}

// Which acts a key may state, and whose event an import may be.
func TestDecodeConsent_acts(t *testing.T) {
	t.Parallel()
	for act, who := range map[string]string{
		"": "both", "web_form": "both", "banner": "both", "signal": "both",
		"paper": "private", "api": "private", "message_reply": "private", "double_opt_in": "private", "import": "private",
		"Paper": "nobody", "confirmed": "nobody", "erase": "nobody",
	} {
		for _, source := range []consent.Source{consent.Public, consent.Private} {
			_, err := wire.DecodeConsent(json.RawMessage(`{"act":"`+act+`"}`), source)
			if allowed := who == "both" || who == string(source); (err == nil) != allowed {
				t.Errorf("%s by a %s key: %v", act, source, err)
			}
		}
	}
	for body, want := range map[string]consent.Source{
		`{"act":"import","source":"public"}`: consent.Public, `{"act":"import","source":"private"}`: consent.Private, `{"act":"import"}`: "",
		`{"source":"public"}`: "", `{"act":"paper","source":"public"}`: "", `{"source":"confirmed"}`: "",
	} {
		s, err := wire.DecodeConsent(json.RawMessage(body), consent.Private)
		if err != nil || s.Original != want {
			t.Errorf("%s: original %q, %v; want %q", body, s.Original, err, want)
		}
	}
	for _, body := range []string{`{"act":"import","source":"confirmed"}`, `{"act":"import","source":"vendor"}`} {
		if _, err := wire.DecodeConsent(json.RawMessage(body), consent.Private); err == nil {
			t.Errorf("%s was accepted", body)
		}
	}
}

func TestDecodeConsent_address(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "2001:DB8::0007": "2001:db8::7", "::ffff:203.0.113.7": "::ffff:203.0.113.7",
		"203.0.113.256": "", "203.0.113": "", "203.0.113.7:80": "", "fe80::1%eth0": "", "localhost": "", " 203.0.113.7": "", "0x7f.1": "",
	} {
		s, err := wire.DecodeConsent(json.RawMessage(`{"ip_address":"`+given+`"}`), consent.Private)
		if (err == nil) != (want != "") || err == nil && (s.IP.Reveal() != want || !s.IPGiven) {
			t.Errorf("%q: %q, %v; want %q", given, s.IP.Reveal(), err, want)
		}
	}
}

// The same statement made in JSON and in a form is the same request.
func TestDecodeConsent_samePreferenceText(t *testing.T) {
	t.Parallel()
	one, err1 := wire.DecodeConsent(json.RawMessage(`{"preferences":{"a":{"b":[1,2]},"c":"d"}}`), consent.Public)
	two, err2 := wire.DecodeConsent(json.RawMessage("{\n \"preferences\" : { \"c\" : \"d\" , \"a\" : { \"b\" : [ 1 ,\t2 ] } } }"), consent.Public)
	if err1 != nil || err2 != nil || one.Digest() != two.Digest() {
		t.Errorf("%v, %v: white space and order make another request", err1, err2)
	}
}

func TestDecodeSubject(t *testing.T) {
	t.Parallel()
	got, err := wire.DecodeSubject(json.RawMessage(`{"id":12,"email":null,"first_name":"Ines","verified":false,"phones":null,"preferences":{"a":true},"unknown":1}`))
	want := &consent.SubjectStatement{SubjectID: "12", Profile: consent.Profile{
		Email: &consent.Text{Null: true}, FirstName: text("Ines"), Verified: &consent.Flag{}, Phones: &consent.Phones{Null: true},
	}}
	if diff := cmp.Diff(want, got, reveal); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, body := range []string{`[]`, `{"id":{}}`, `{"id":"` + strings.Repeat("x", 257) + `"}`, `{"verified":"perhaps"}`, `{"phones":[{}]}`, `{"phones":[{"label":"home"}]}`} {
		if _, err := wire.DecodeSubject(json.RawMessage(body)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

var bodies = []string{
	`{}`, `{"subject":{"id":"cust-881","email":"ines@example.test","full_name":"Ines Roca","verified":false,"phones":[{"number":"+34","label":"x"}]},"legal_notices":[{"identifier":"privacy_policy"},{"identifier":"terms","version":2}],"proofs":[{"content":"{\"email\":1}","form":"<form id=\"s\">…</form>"}],"preferences":{"newsletter":true,"profiling":false},"ip_address":"203.0.113.7"}`,
	`{"subject":{"email":"leo@example.test"},"preferences":{"newsletter":true},"autodetect_ip_address":false,"timestamp":"2026-02-03T10:15:30Z","sent_at":1770113730,"act":"banner","gpc":true}`,
	`{"subject":false,"preferences":[],"proofs":[null],"legal_notices":[{"version":null}]}`, `{"act":"import","source":"public","timestamp":"2019-01-01"}`,
	`{"preferences":{"a":{"b":[1,2,{"c":null}]},"":1}}`, `{"id":"x","first_name":null,"phones":[]}`, `{"subject":{"id":7e2,"phones":[{"number":""}]}}`, `[]`, `"x"`,
}

func plain(t *testing.T, what, s string, limit int) {
	t.Helper()
	if len(s) > limit || !utf8.ValidString(s) || strings.Contains(s, "\x00") {
		t.Errorf("%s: %q (%d bytes)", what, s, len(s))
	}
}

func plainProfile(t *testing.T, p consent.Profile) {
	t.Helper()
	for _, f := range []*consent.Text{p.Email, p.FirstName, p.LastName, p.FullName} {
		if f != nil {
			plain(t, "profile", f.Value.Reveal(), consent.MaxText)
			if f.Null == (f.Value != "") {
				t.Errorf("null %v beside %q", f.Null, f.Value.Reveal())
			}
		}
	}
	if p.Phones != nil {
		if len(p.Phones.List) > consent.MaxPhones || p.Phones.Null == (len(p.Phones.List) > 0) {
			t.Errorf("%d phones, null %v", len(p.Phones.List), p.Phones.Null)
		}
		for _, phone := range p.Phones.List {
			plain(t, "phone", phone.Number.Reveal()+phone.Label, 2*consent.MaxText)
		}
	}
}

// FuzzDecodeConsent: what is accepted is within every limit, and what a public
// key has no say in is not there.
func FuzzDecodeConsent(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body), true)
		f.Add([]byte(body), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, private bool) {
		if httpapi.CheckJSON(body) != nil {
			return
		}
		source := consent.Public
		if private {
			source = consent.Private
		}
		s, err := wire.DecodeConsent(body, source)
		if err != nil {
			var refusal *errs.Error
			if !errors.As(err, &refusal) || refusal.Kind != errs.Invalid {
				t.Errorf("%v", err)
			}
			return
		}
		plain(t, "subject id", s.SubjectID.Reveal(), consent.MaxSubjectID)
		plainProfile(t, s.Profile)
		if len(s.Preferences) > consent.MaxPreferences || len(s.LegalNotices) > consent.MaxLegalNotices || len(s.Proofs) > consent.MaxProofs || len(s.DocumentIDs) > consent.MaxDocuments {
			t.Error("more than the limit")
		}
		seen, total := map[string]bool{}, 0
		for _, p := range s.Preferences {
			plain(t, "preference key", p.Key, consent.MaxPreferenceKey)
			if p.Key == "" || seen[p.Key] || !json.Valid([]byte(p.Value)) || strings.ContainsAny(p.Value, "\n\t\r") {
				t.Errorf("preference %q: %q", p.Key, p.Value)
			}
			seen[p.Key] = true
			total += len(p.Key) + len(p.Value)
		}
		if total > consent.MaxPreferenceBytes {
			t.Errorf("%d bytes of preferences", total)
		}
		for _, n := range s.LegalNotices {
			plain(t, "notice", n.Identifier+n.Version, 2*consent.MaxText)
			if n.Identifier == "" {
				t.Error("a notice without identifier")
			}
		}
		for _, p := range s.Proofs {
			if p.Content == nil && p.Form == nil {
				t.Error("an empty proof")
			}
		}
		if !private && (s.IP != "" || s.IPGiven || s.DocumentIDs != nil || s.Original != "" || s.Act == consent.Import) {
			t.Errorf("a public key has said %+v", s)
		}
		if again, err := wire.DecodeConsent(body, source); err != nil || again.Digest() != s.Digest() {
			t.Errorf("the same body is another request: %v", err)
		}
	})
}

// FuzzDecodeSubject: what is accepted is within every limit.
func FuzzDecodeSubject(f *testing.F) {
	for _, body := range bodies {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if httpapi.CheckJSON(body) != nil {
			return
		}
		s, err := wire.DecodeSubject(body)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		plain(t, "subject id", s.SubjectID.Reveal(), consent.MaxSubjectID)
		plainProfile(t, s.Profile)
	})
}
