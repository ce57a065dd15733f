package contract

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/site"
)

// TestLenient: what real clients send for a scalar, and for nothing.
func TestLenient(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})

	// Nothing, in every way of writing it.
	for _, body := range []string{
		`{}`, `{"subject":false}`, `{"subject":null}`, `{"subject":""}`, `{"subject":[]}`, `{"subject":{}}`,
		`{"preferences":null}`, `{"preferences":[]}`, `{"preferences":false}`, `{"preferences":{}}`,
		`{"legal_notices":null}`, `{"legal_notices":[]}`, `{"legal_notices":false}`, `{"legal_notices":""}`,
		`{"proofs":null}`, `{"proofs":[]}`, `{"proofs":[{}]}`, `{"proofs":[{"content":null,"form":""}]}`,
		`{"timestamp":null}`, `{"timestamp":""}`, `{"timestamp":false}`, `{"ip_address":""}`, `{"ip_address":null}`, `{"ip_address":false}`,
		`{"proof_document_ids":[]}`, `{"proof_document_ids":null}`, `{"consent_type":null}`, `{"act":""}`, `{"source":null}`, `{"gpc":""}`,
		`{"subject":{"id":null,"email":"","first_name":null,"verified":"","phones":[]}}`, `{"subject":{"id":false,"email":false,"verified":null,"phones":null}}`,
		`{"expires_at":"","sent_at":null,"device_time":""}`,
		`{"unheard":1,"subject":{"type":"x","telephone":"1"},"message":{"a":[{}]}}`, " {\r\n\t} ",
	} {
		ack := s.consent(t, body)
		if !isUUID(ack.SubjectID) {
			t.Errorf("%s: subject_id %q", body, ack.SubjectID)
		}
		r := s.show(t, ack)
		if r.Preferences == nil || len(r.Preferences) > 0 || r.LegalNotices == nil || len(r.LegalNotices) > 0 || len(r.Proofs) > 0 ||
			r.IPAddress != nil || r.ConsentType != nil || r.Subject.Email != nil || r.Subject.Verified || r.ExpiresAt != nil {
			t.Errorf("%s is shown as %+v", body, r)
		}
		equal(t, body+": act", r.Act, "api")
		s.page(t, body)
	}
	// false is nobody's id: each is somebody else.
	first, second := s.consent(t, `{"subject":{"id":false}}`), s.consent(t, `{"subject":{"id":false}}`)
	if first.SubjectID == second.SubjectID {
		t.Errorf("two consents without an id have the subject %s", first.SubjectID)
	}

	// Scalars.
	ack := s.consent(t, `{"subject":{"id":12,"email":"ada@example.test","first_name":7,"verified":"true","phones":[{"number":33123,"label":null}]},
		"legal_notices":[{"identifier":"a","version":null},{"identifier":"b","version":2},{"identifier":"c","version":"3"},
			{"identifier":"d","version":"4.0"},{"identifier":"e","version":"v5"},{"identifier":"f","version":""},{"identifier":6}],
		"preferences":{"a":"true","b":1,"c":"on","d":null,"e":{"deep":[1,2.50,"x"]},"f":"free text","g":1e3},
		"proofs":[{"content":"c"},{"form":"f"}],"consent_type":"cookie_policy","gpc":"1"}`)
	r := s.show(t, ack)
	equal(t, "subject_id", r.Subject.ID, "12")
	equal(t, "first_name", r.Subject.FirstName, ptr("7"))
	equal(t, "verified", r.Subject.Verified, true)
	equal(t, "phones", s.subject(t, "12").Phones[0].Number, "33123")
	equal(t, "consent_type", r.ConsentType, ptr("cookie_policy"))
	equal(t, "gpc", r.GPC, true)
	var versions []string
	for _, n := range r.LegalNotices {
		version := "null"
		if n.Version != nil {
			version = fmt.Sprint(*n.Version)
		}
		versions = append(versions, n.Identifier+" "+version+" "+n.VersionGiven)
	}
	equal(t, "legal_notices", versions, []string{"a null ", "b 2 ", "c 3 ", "d 4 ", "e null v5", "f null ", "6 null "})
	equal(t, "preferences", r.Preferences, map[string]json.RawMessage{
		"a": []byte(`"true"`), "b": []byte(`1`), "c": []byte(`"on"`), "d": []byte(`null`), "e": []byte(`{"deep":[1,2.50,"x"]}`), "f": []byte(`"free text"`), "g": []byte(`1e3`),
	})
	for preference, granted := range map[string]bool{"a": true, "b": true, "c": true, "d": false, "e": false, "f": false, "g": false} {
		equal(t, preference, s.decide(t, "subject_id=12", preference).Granted, granted)
	}
	if r.Proofs[0].Form != nil || *r.Proofs[0].Content != "c" || r.Proofs[1].Content != nil || *r.Proofs[1].Form != "f" {
		t.Errorf("proofs: %+v", r.Proofs)
	}

	// Times, in and out.
	for in, want := range map[string]string{
		`"2018-02-22 00:40:00 UTC"`: "2018-02-22T00:40:00Z", `"2018-02-22T00:40:00Z"`: "2018-02-22T00:40:00Z", `1519260000`: "2018-02-22T00:40:00Z",
		`"1519260000"`: "2018-02-22T00:40:00Z", `"2018-02-22T01:40:00+01:00"`: "2018-02-22T00:40:00Z", `"2018-02-22T00:40:00.999Z"`: "2018-02-22T00:40:00Z",
		`"2018-02-22T00:40:00"`: "2018-02-22T00:40:00Z", `"2018-02-22"`: "2018-02-22T00:00:00Z", `"2018-02-22T01:40:00+0100"`: "2018-02-22T00:40:00Z",
	} {
		equal(t, in, s.consent(t, `{"timestamp":`+in+`}`).Timestamp, want)
	}

	// Text comes back as it went in, unescaped.
	const odd = `<b>&amp; "quoted" \ é 日本 😀 '`
	ack = s.consent(t, `{"subject":{"id":"odd","full_name":`+quote(odd)+`},"proofs":[{"form":`+quote(odd)+`}]}`)
	a := s.get(t, "/consent/"+ack.ID+"?subject_id=odd&unescape_json=true")
	if !strings.Contains(string(a.body), "<b>&amp; ") {
		t.Errorf("escaped: %s", a.body)
	}
	a.into(t, &r)
	equal(t, "full_name", r.Subject.FullName, ptr(odd))
	equal(t, "form", *r.Proofs[0].Form, odd)
}

// TestRefusedFields: a bad field is named by its path, and nothing is stored.
func TestRefusedFields(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	long, many := strings.Repeat("x", 1025), func(n int, element string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
	}
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":true,`, i)
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	tests := map[string]string{
		`{"timestamp":"soon"}`:                                                   "timestamp",
		`{"timestamp":{}}`:                                                       "timestamp",
		`{"timestamp":true}`:                                                     "timestamp",
		`{"timestamp":"1969-12-31T23:59:59Z"}`:                                   "timestamp",
		`{"expires_at":"x"}`:                                                     "expires_at",
		`{"sent_at":[]}`:                                                         "sent_at",
		`{"device_time":"x"}`:                                                    "device_time",
		`{"subject":"ada"}`:                                                      "subject",
		`{"subject":true}`:                                                       "subject",
		`{"subject":["ada"]}`:                                                    "subject",
		`{"subject":{"email":{}}}`:                                               "subject.email",
		`{"subject":{"full_name":"` + long + `"}}`:                               "subject.full_name",
		`{"subject":{"verified":"maybe"}}`:                                       "subject.verified",
		`{"subject":{"phones":"+33"}}`:                                           "subject.phones",
		`{"subject":{"phones":[{"number":""}]}}`:                                 "subject.phones[0].number",
		`{"subject":{"phones":["+33"]}}`:                                         "subject.phones[0]",
		`{"subject":{"phones":` + many(21, `{"number":"1"}`) + `}}`:              "subject.phones",
		`{"preferences":"all"}`:                                                  "preferences",
		`{"preferences":["newsletter"]}`:                                         "preferences",
		`{"preferences":{"":true}}`:                                              "preferences",
		`{"preferences":{"` + strings.Repeat("k", 129) + `":true}}`:              "preferences",
		`{"preferences":` + keys(101) + `}`:                                      "preferences",
		`{"preferences":{"a":"` + strings.Repeat("v", 32<<10) + `"}}`:            "preferences",
		`{"legal_notices":{"identifier":"terms"}}`:                               "legal_notices",
		`{"legal_notices":["terms"]}`:                                            "legal_notices[0]",
		`{"legal_notices":[{"version":1}]}`:                                      "legal_notices[0].identifier",
		`{"legal_notices":[{"identifier":"a"},{"identifier":"b","version":{}}]}`: "legal_notices[1].version",
		`{"legal_notices":` + many(33, `{"identifier":"a"}`) + `}`:               "legal_notices",
		`{"proofs":"signed"}`:                                                    "proofs",
		`{"proofs":[{"content":{}}]}`:                                            "proofs[0].content",
		`{"proofs":` + many(17, `{"form":"f"}`) + `}`:                            "proofs",
		`{"consent_type":"` + long + `"}`:                                        "consent_type",
		`{"double_opt_in":{"channel":"email"},"subject":{"email":"ada@x.test"}}`: "double_opt_in",
		`{"double_opt_in":{"channel":"fax"},"preferences":{"a":true}}`:           "double_opt_in.channel",
		`{"double_opt_in":{},"preferences":{"a":true}}`:                          "double_opt_in.channel",
		`{"double_opt_in":"email","preferences":{"a":true}}`:                     "double_opt_in",
		`{"double_opt_in":true,"preferences":{"a":true}}`:                        "double_opt_in",
		`{"double_opt_in":{"channel":"email"},"subject":{"id":"ada"},"preferences":{"a":true}}`:                                   "double_opt_in.channel",
		`{"double_opt_in":{"channel":"whatsapp"},"subject":{"phones":[{"number":"079 555 01 01"}]},"preferences":{"a":true}}`:     "double_opt_in.channel",
		`{"double_opt_in":{"channel":"email","language":"a language"},"subject":{"email":"ada@x.test"},"preferences":{"a":true}}`: "double_opt_in.language",
		`{"act":"telepathy"}`: "act",
		`{"gpc":"perhaps"}`:   "gpc",
	}
	for body, field := range tests {
		p := s.refused(t, 400, "POST", "/consent", body)
		equal(t, fmt.Sprintf("%.80s", body), p.fields(), []string{field})
		p = s.send(t, call{method: "POST", path: "/public/consent", key: s.public, body: body, bad: true}).problem(t, 400)
		equal(t, fmt.Sprintf("%.80s from a page", body), p.fields(), []string{field})
	}
	// A page has no say in these: they are ignored, whatever they are.
	for body, field := range map[string]string{
		`{"ip_address":"nowhere"}`:                       "ip_address",
		`{"ip_address":"fe80::1%eth0"}`:                  "ip_address",
		`{"proof_document_ids":"one"}`:                   "proof_document_ids",
		`{"proof_document_ids":[{}]}`:                    "proof_document_ids[0]",
		`{"proof_document_ids":` + many(33, `"d"`) + `}`: "proof_document_ids",
	} {
		equal(t, body, s.refused(t, 400, "POST", "/consent", body).fields(), []string{field})
		r := s.show(t, s.page(t, body))
		if r.IPAddress == nil || *r.IPAddress != "127.0.0.1" || len(r.ProofDocuments) > 0 {
			t.Errorf("%s from a page is shown as %+v", body, r)
		}
	}
	equal(t, "source", s.refused(t, 400, "POST", "/consent", `{"act":"import","source":"confirmed"}`).fields(), []string{"source"})
	// What only a back end may state.
	for _, act := range []string{"paper", "api", "message_reply", "double_opt_in", "import"} {
		a := s.send(t, call{method: "POST", path: "/public/consent", key: s.public, body: `{"act":"` + act + `"}`, bad: true})
		equal(t, act, a.problem(t, 400).fields(), []string{"act"})
	}
	// Several at once.
	p := s.refused(t, 400, "POST", "/consent", `{"subject":{"email":["x"],"verified":3},"timestamp":"x"}`)
	if len(p.Errors) != 3 {
		t.Errorf("errors: %+v", p.Errors)
	}
	// Each text within its limit, and too much of them to be stored.
	p = s.refused(t, 413, "POST", "/consent", `{"legal_notices":`+many(32, `{"identifier":"`+strings.Repeat("i", 1024)+`","version":"`+strings.Repeat("v", 1024)+`"}`)+
		`,"preferences":{"a":"`+strings.Repeat("v", 32000)+`"},"proof_document_ids":`+many(32, `"`+strings.Repeat("d", 1024)+`"`)+
		`,"proofs":`+many(16, `{"content":"`+strings.Repeat(`\"`, 4096)+`"}`)+`,"subject":{"phones":`+many(20, `{"number":"`+strings.Repeat("1", 1024)+`","label":"`+strings.Repeat("l", 1024)+`"}`)+`}}`)
	if !strings.Contains(p.Message, "262144") {
		t.Errorf("413 says %q", p.Message)
	}
}

// TestForms: a form says the same as JSON.
func TestForms(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	fields := url.Values{
		"subject[id]": {"ada"}, "subject[email]": {"ada+news@example.test"}, "subject[full_name]": {"Ada & Byron"}, "subject[verified]": {"true"},
		"subject[phones][][number]": {"+33 1"}, "preferences[newsletter]": {"true"}, "preferences[profiling]": {"false"},
		"legal_notices[0][identifier]": {"privacy_policy"}, "legal_notices[1][identifier]": {"terms"}, "legal_notices[1][version]": {"2"},
		"proofs[][content]": {`{"a":1}`}, "ip_address": {"203.0.113.7"}, "unheard[of]": {"x"},
	}
	body := fields.Encode()
	for _, path := range []string{"/consent", "/public/consent"} { // in this order: the back end verifies first
		key := s.private
		if path == "/public/consent" {
			key = s.public
		}
		var ack acknowledged
		s.send(t, call{method: "POST", path: path, key: key, body: body, contentType: "application/x-www-form-urlencoded; charset=utf-8"}).ok(t).into(t, &ack)
		r := s.show(t, ack)
		equal(t, "preferences", r.Preferences, map[string]json.RawMessage{"newsletter": []byte(`"true"`), "profiling": []byte(`"false"`)})
		equal(t, "content", *r.Proofs[0].Content, `{"a":1}`)
		equal(t, "notices", []string{r.LegalNotices[0].Identifier, r.LegalNotices[1].Identifier, fmt.Sprint(*r.LegalNotices[1].Version)}, []string{"privacy_policy", "terms", "2"})
		equal(t, "e-mail", r.Subject.Email, ptr("ada+news@example.test"))
		equal(t, "verified", r.Subject.Verified, true)
		equal(t, "address", *r.IPAddress == "203.0.113.7", key == s.private)
		equal(t, "granted", s.decide(t, "subject_id=ada", "newsletter").Granted, true)
	}
	// Rails' way of an array without numbers.
	var ack acknowledged
	s.send(t, call{method: "POST", path: "/consent", key: s.private, contentType: "application/x-www-form-urlencoded",
		body: "legal_notices[][identifier]=a&legal_notices[][version]=1&legal_notices[][identifier]=b"}).ok(t).into(t, &ack)
	r := s.show(t, ack)
	if len(r.LegalNotices) != 2 || r.LegalNotices[0].Identifier != "a" || *r.LegalNotices[0].Version != 1 || r.LegalNotices[1].Identifier != "b" {
		t.Errorf("legal_notices: %+v", r.LegalNotices)
	}
	for _, bad := range []string{"subject[=x", "subject[id]x=x", "a[b]=1&a[]=2", "%zz=1", "a=%FF", "a=%00", "=x"} {
		p := s.send(t, call{method: "POST", path: "/consent", key: s.private, body: bad, contentType: "application/x-www-form-urlencoded", bad: true}).problem(t, 400)
		if p.Message == "" {
			t.Errorf("%s: no message", bad)
		}
	}
}

// TestBeacon: what navigator.sendBeacon can send, key and idempotency key in the
// query.
func TestBeacon(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	key := newKey()
	path := "/public/consent?key=" + s.public + "&idempotency_key=" + key
	const body = `{"subject":{"id":"visitor"},"preferences":{"newsletter":true}}`
	var first, again acknowledged
	s.send(t, call{method: "POST", path: path, body: body, contentType: "text/plain;charset=UTF-8"}).ok(t).into(t, &first)
	s.send(t, call{method: "POST", path: "/beta" + path, body: body, contentType: "text/plain;charset=UTF-8"}).ok(t).into(t, &again)
	equal(t, "again", again, first)
	// The header says the same, and comes first.
	s.send(t, call{method: "POST", path: "/public/consent", key: s.public, body: body, header: map[string]string{"Idempotency-Key": key}}).ok(t).into(t, &again)
	equal(t, "by header", again, first)
	for name, c := range map[string]call{
		"as JSON, the query names no key": {path: path, body: body},
		"no key at all":                   {path: "/public/consent", body: body, contentType: "text/plain"},
		"as a form":                       {path: path, body: "subject[id]=visitor", contentType: "application/x-www-form-urlencoded"},
	} {
		c.method, c.bad = "POST", true
		s.send(t, c).problem(t, 401)
		_ = name
	}
	s.send(t, call{method: "POST", path: "/public/consent?key=" + s.private, body: body, contentType: "text/plain", bad: true}).problem(t, 403)
	// A private key never stands in an address.
	s.send(t, call{method: "POST", path: "/consent?key=" + s.private, body: body, contentType: "text/plain", bad: true}).problem(t, 401)
	s.send(t, call{method: "POST", path: "/public/consent?key=" + s.public, body: "not JSON", contentType: "text/plain", bad: true}).problem(t, 400)
}

// TestIdempotency: the same request has the same answer, another one a 409.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	file, contentType := form(t, "a.pdf", "%PDF-1.4 a")
	other, otherType := form(t, "a.pdf", "%PDF-1.4 b")
	for name, tt := range map[string]struct{ first, again, other call }{
		"private consent": {
			call{path: "/consent", body: `{"subject":{"id":"a"},"preferences":{"x":true,"y":false}}`},
			call{path: "/beta//consent/", body: ` {"preferences" : {"y":false, "x":true}, "subject":{"id":"a"}, "unheard":1} `},
			call{path: "/consent", body: `{"subject":{"id":"a"},"preferences":{"x":false,"y":false}}`},
		},
		"public consent": {
			call{path: "/public/consent", key: s.public, body: `{"subject":{"email":"Ada@example.test"},"preferences":{"x":true},"sent_at":"2026-01-01T00:00:00Z"}`},
			call{path: "/public/consent", key: s.public, body: `{"subject":{"email":"Ada@example.test"},"preferences":{"x":true},"sent_at":"2026-01-02T00:00:00Z"}`, header: map[string]string{"Sec-GPC": "1"}},
			call{path: "/public/consent", key: s.public, body: `{"subject":{"email":"ada@example.test"},"preferences":{"x":true}}`},
		},
		"subject": {
			call{path: "/subjects", body: `{"id":"b","full_name":"B"}`},
			call{path: "/subjects", body: `{"full_name":"B","id":"b"}`},
			call{path: "/subjects", body: `{"id":"b","full_name":"C"}`},
		},
		"update": {
			call{method: "PUT", path: "/subjects/a", body: `{"full_name":"A"}`},
			call{method: "PATCH", path: "/subjects/a/", body: `{"full_name":"A"}`},
			call{method: "POST", path: "/subjects/a", body: `{"full_name":null}`},
		},
		"update by PATCH": {
			call{method: "POST", path: "/subjects/a", body: `{"verified":true}`},
			call{method: "PUT", path: "/subjects/a", body: `{"verified":"true"}`},
			call{method: "PATCH", path: "/subjects/a", body: `{"verified":false}`},
		},
		"update by PUT": {
			call{method: "PATCH", path: "/subjects/a", body: `{"first_name":"A"}`},
			call{method: "POST", path: "/beta/subjects/a", body: `{"first_name":"A"}`},
			call{method: "PUT", path: "/subjects/a", body: `{"last_name":"A"}`},
		},
		"notices": {
			call{path: "/legal_notices", body: `[{"identifier":"a","content":"x"},{"identifier":"b","content":"y"}]`},
			call{path: "/legal_notices/", body: `[{"identifier":"a","content":"x"},{"identifier":"b","content":"y"}]`},
			call{path: "/legal_notices", body: `[{"identifier":"a","content":"x"},{"identifier":"b","content":"z"}]`},
		},
		"document": {
			call{path: "/documents", body: file, contentType: contentType},
			call{path: "/beta/documents", body: file, contentType: contentType},
			call{path: "/documents", body: other, contentType: otherType},
		},
	} {
		if strings.HasPrefix(name, "update") {
			s.post(t, "/subjects", `{"id":"a"}`)
		}
		key := newKey()
		send := func(c call, bad bool) answer {
			if c.method == "" {
				c.method = "POST"
			}
			if c.key == "" {
				c.key = s.private
			}
			if c.header == nil {
				c.header = map[string]string{}
			}
			c.header["Idempotency-Key"], c.bad = key, bad
			return s.send(t, c)
		}
		first := send(tt.first, false).ok(t)
		for range 2 {
			equal(t, name+", again", string(send(tt.again, false).ok(t).body), string(first.body))
		}
		p := send(tt.other, true).problem(t, http.StatusConflict)
		if !strings.Contains(p.Message, "idempotency key") {
			t.Errorf("%s: %q", name, p.Message)
		}
		equal(t, name+", after the conflict", string(send(tt.first, false).ok(t).body), string(first.body))
		// In capitals it is the same key.
		key = strings.ToUpper(key)
		equal(t, name+", in capitals", string(send(tt.first, false).ok(t).body), string(first.body))
	}
	equal(t, "consents of a", len(s.follow(t, "/consent?subject_id=a")), 1)
	equal(t, "full_name", s.subject(t, "b").FullName, ptr("B"))
	equal(t, "versions of b", s.follow(t, "/legal_notices/b"), []string{"b/1"})
	equal(t, "documents", len(s.follow(t, "/documents")), 1)

	// Another subject, timestamp or class of key is another scope.
	key := map[string]string{"Idempotency-Key": newKey()}
	ids := map[string]bool{}
	for _, c := range []call{
		{path: "/consent", key: s.private, body: `{"subject":{"id":"x"}}`}, {path: "/consent", key: s.private, body: `{"subject":{"id":"y"}}`},
		{path: "/consent", key: s.private, body: `{"subject":{"id":"x"},"timestamp":"2026-01-01T00:00:00Z"}`},
	} {
		c.method, c.header = "POST", key
		var ack acknowledged
		s.send(t, c).ok(t).into(t, &ack)
		ids[ack.ID] = true
	}
	equal(t, "scopes", len(ids), 3)
	s.send(t, call{method: "POST", path: "/public/consent", key: s.public, body: `{"subject":{"id":"x"}}`, header: key, bad: true}).problem(t, http.StatusConflict)

	// What is no key.
	for _, bad := range []string{"1", "3b0e3c1e-52a4-4d0f-9a55-0d5a9b7c1f10", "urn:uuid:" + newKey(), newKey() + "x"} {
		p := s.send(t, call{method: "POST", path: "/consent", key: s.private, body: "{}", header: map[string]string{"Idempotency-Key": bad}, bad: true}).problem(t, 400)
		equal(t, bad, p.fields(), []string{"Idempotency-Key"})
	}
}

// TestClock: times that a wrong clock must have made are refused with the
// server's own.
func TestClock(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{})
	c := newClock(time.Now())
	s = s.on(d.deploy(t, deployOptions{now: c.Now}))
	now := c.Now()
	at := func(age time.Duration) string {
		return `{"timestamp":"` + now.Add(-age).Format(time.RFC3339Nano) + `"}`
	}
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		call
		field string // of a clock error; "" when it is accepted
	}{
		"public, 30 days ago":      {call{key: s.public, body: at(30 * day)}, ""},
		"public, before that":      {call{key: s.public, body: at(30*day + time.Second)}, "timestamp"},
		"public, 5 minutes ahead":  {call{key: s.public, body: at(-5 * time.Minute)}, ""},
		"public, 6 minutes ahead":  {call{key: s.public, body: at(-6 * time.Minute)}, "timestamp"},
		"private, 40 years ago":    {call{key: s.private, body: at(40 * 365 * day)}, ""},
		"private, 6 minutes ahead": {call{key: s.private, body: at(-6 * time.Minute)}, "timestamp"},
		"key of 31 days ago":       {call{key: s.private, body: `{}`, header: map[string]string{"Idempotency-Key": keyAt(now.Add(-31 * day))}}, "Idempotency-Key"},
		"key of an hour ahead":     {call{key: s.public, body: `{}`, header: map[string]string{"Idempotency-Key": keyAt(now.Add(time.Hour))}}, "Idempotency-Key"},
		"old key, subject":         {call{key: s.private, path: "/subjects", body: `{}`, header: map[string]string{"Idempotency-Key": keyAt(now.Add(-31 * day))}}, "Idempotency-Key"},
		"key of 29 days ago":       {call{key: s.private, body: `{}`, header: map[string]string{"Idempotency-Key": keyAt(now.Add(-29 * day))}}, ""},
	} {
		tt.method, tt.bad = "POST", tt.field != ""
		if tt.path == "" {
			tt.path = map[string]string{s.public: "/public/consent", s.private: "/consent"}[tt.key]
		}
		a := s.send(t, tt.call)
		if tt.field == "" {
			a.ok(t)
			continue
		}
		p := a.problem(t, 400)
		equal(t, name, []string{p.Code, p.ServerTime, strings.Join(p.fields(), " ")}, []string{"clock", now.Format("2006-01-02T15:04:05.000Z"), tt.field})
	}
	// A clock that is ahead within bounds is taken back to the server's.
	equal(t, "clamped", s.page(t, at(-5*time.Minute)).Timestamp, text(now))
	// A site may allow more.
	wide := d.shop(t, site.Settings{BackdateDays: 60}).on(s.deployment)
	equal(t, "60 days", wide.page(t, at(45*day)).Timestamp, text(now.Add(-45*day)))
}

// TestSentAt: the age of a public consent is what the device's clock measured.
func TestSentAt(t *testing.T) {
	t.Parallel()
	d := start(t)
	c := newClock(time.Now())
	s := d.shop(t, site.Settings{}).on(d.deploy(t, deployOptions{now: c.Now}))
	now := c.Now()
	device := now.Add(-2 * time.Hour) // a slow clock
	ack := s.page(t, fmt.Sprintf(`{"subject":{"id":"ada"},"preferences":{"newsletter":true},"timestamp":%q,"sent_at":%q,"device_time":%q}`,
		text(device.Add(-10*time.Minute)), text(device), text(device)))
	r := s.show(t, ack)
	equal(t, "timestamp", r.Timestamp, text(device.Add(-10*time.Minute)))
	equal(t, "corrected_at", r.CorrectedAt, ptr(text(now.Add(-10*time.Minute))))
	equal(t, "sent_at", r.SentAt, ptr(text(device)))
	equal(t, "device_time", r.DeviceTime, ptr(text(device)))
	equal(t, "received_at", r.ReceivedAt, text(now))
	equal(t, "before", s.decide(t, "subject_id=ada", "newsletter", "at", text(now.Add(-11*time.Minute))).Reason, "never_asked")
	equal(t, "then", s.decide(t, "subject_id=ada", "newsletter", "at", text(now.Add(-10*time.Minute))).Granted, true)
}
