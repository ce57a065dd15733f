package contract

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/site"
)

// TestRecord: a record never changes; what it shows of the subject does.
func TestRecord(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	ack := s.consent(t, `{"subject":{"id":"ada","email":"ada@example.test"},"preferences":{"a":true},"proofs":[{"content":"c","form":"f"}]}`)
	first := s.show(t, ack)
	other := s.show(t, s.consent(t, `{"subject":{"id":"ada","email":"ada@example.test"},"preferences":{"a":true},"proofs":[{"content":"c","form":"g"}]}`))
	s.put(t, "/subjects/ada", `{"email":"ada@new.example","verified":true}`)
	s.page(t, `{"subject":{"id":"ada"},"preferences":{"a":false}}`)
	later := s.show(t, ack)
	equal(t, "subject", later.Subject.Email, ptr("ada@new.example"))
	later.Subject = first.Subject
	equal(t, "the record", later, first)
	if other.Checksum == first.Checksum {
		t.Error("two records have one checksum")
	}
	// The beginning of time.
	old := s.consent(t, `{"subject":{"id":"old"},"timestamp":0,"preferences":{"a":true}}`)
	equal(t, "timestamp", s.show(t, old).Timestamp, "1970-01-01T00:00:00Z")
	equal(t, "by time", s.follow(t, "/consent?subject_id=old&from_time=0&to_time=0"), []string{old.ID})
}

// TestErased: of what was erased nothing is left to see, and a late retry of it
// stores nothing.
func TestErased(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{})
	key := map[string]string{"Idempotency-Key": newKey()}
	post := call{method: "POST", path: "/consent", key: s.private, body: `{"subject":{"id":"ada","email":"ada@example.test"},"preferences":{"a":true}}`, header: key}
	first := s.send(t, post).ok(t)
	var ack acknowledged
	first.into(t, &ack)
	s.settle(t)

	hasher, err := d.base(t, "api", deployOptions{}).Hasher(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = dynamodb.NewFromConfig(d.env.Config).PutItem(t.Context(), &dynamodb.PutItemInput{
		TableName: aws.String(d.env.Getenv("EVENTS_TABLE")),
		Item: map[string]types.AttributeValue{
			"subject":   &types.AttributeValueMemberS{Value: hasher.Subject(s.site, "ada")},
			"id":        &types.AttributeValueMemberS{Value: ack.ID},
			"erased_at": &types.AttributeValueMemberN{Value: unix(time.Now()) + "000"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	gone := func() {
		t.Helper()
		for _, path := range []string{"/consent/" + ack.ID, "/consent/" + ack.ID + "?subject_id=ada", "/subjects/ada", "/subjects/ada/consent/last"} {
			s.refused(t, http.StatusNotFound, "GET", path, "")
		}
		for _, path := range []string{"/consent", "/consent?subject_id=ada", "/consent?subject_email_exact=ada@example.test", "/subjects?id=ada"} {
			equal(t, path, string(s.get(t, path).body), "[]")
		}
		equal(t, "decide", s.decide(t, "subject_id=ada", "a").Reason, "never_asked")
	}
	gone()
	equal(t, "a late retry", string(s.send(t, post).ok(t).body), string(first.body))
	gone()
	s.settle(t)
	equal(t, "subjects", string(s.get(t, "/subjects").body), "[]")
}

// TestNothingEchoed: an error names fields, never what stood in them.
func TestNothingEchoed(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	const secret = "ada@example.test"
	for _, c := range []call{
		{method: "POST", path: "/consent", body: `{"timestamp":"` + secret + `","ip_address":"` + secret + `","act":"` + secret + `","subject":"` + secret + `","gpc":"` + secret + `"}`},
		{method: "POST", path: "/consent", body: `{"preferences":{"` + strings.Repeat(secret, 10) + `":true}}`},
		{method: "POST", path: "/consent", body: `{"` + secret + `":`},
		{method: "POST", path: "/consent", body: `{"` + secret + `":1,"` + secret + `":2}`},
		{method: "POST", path: "/consent", body: secret},
		{method: "POST", path: "/consent", body: "subject[" + secret + "=1", contentType: "application/x-www-form-urlencoded"},
		{method: "POST", path: "/consent", body: "{}", contentType: "text/" + secret},
		{method: "POST", path: "/consent", body: "{}", header: map[string]string{"Idempotency-Key": secret}},
		{method: "GET", path: "/consent?from_time=" + secret + "&ip_address=" + secret},
		{method: "GET", path: "/consent?starting_after=" + secret}, {method: "GET", path: "/subjects?starting_after=" + secret},
		{method: "GET", path: "/consent?subject_id=" + secret + "%"}, {method: "GET", path: "/" + secret},
		{method: "GET", path: "/subjects/" + secret}, {method: "GET", path: "/subjects/" + secret + "/consent/last"}, {method: "GET", path: "/consent/" + secret},
		{method: "DELETE", path: "/subjects/" + secret}, {method: "GET", path: "/legal_notices/" + secret}, {method: "GET", path: "/documents/" + secret},
		{method: "PUT", path: "/preferences", body: `{"` + secret + `":1}`},
		{method: "PUT", path: "/preferences", body: `{"preferences":[{"key":"` + strings.Repeat(secret, 10) + `"}]}`},
		{method: "POST", path: "/legal_notices", body: `{"identifier":"a","content":"x","timestamp":"` + secret + `"}`},
		{method: "GET", path: "/decide?preference=a&subject_id=a&at=" + secret},
	} {
		c.key, c.bad = s.private, true
		a := s.send(t, c)
		if a.status < 400 || bytes.Contains(a.body, []byte("ada@")) {
			t.Errorf("%s %.60s answered %v", c.method, c.path, a)
		}
	}
}

// TestLogs: one line for each request, without anything of a person.
func TestLogs(t *testing.T) {
	t.Parallel()
	d := start(t)
	out := &lines{}
	s := d.shop(t, site.Settings{}, messaging)
	ready := samples(t, s)
	s = s.on(d.deploy(t, deployOptions{log: slog.New(slog.NewJSONHandler(out, nil))}))
	const mail = "secret@example.test"
	calls := []call{
		{method: "POST", path: "/public/consent", key: s.public, body: `{"subject":{"id":"secret-id","email":"` + mail + `","full_name":"Secret Name","phones":[{"number":"+33 Secret"}]},"preferences":{"secret-key":"Secret value"},"proofs":[{"content":"Secret","form":"Secret"}]}`},
		{method: "GET", path: "/subjects?email=" + mail, key: s.private},
		{method: "GET", path: "/subjects/secret-id", key: s.private},
		{method: "GET", path: "/decide?email=" + mail + "&preference=secret-key", key: s.private},
		{method: "GET", path: "/consent/secret?subject_id=secret-id", key: s.private, bad: true},
		{method: "PUT", path: "/subjects/secret-unknown", key: s.private, body: `{"email":"` + mail + `"}`, bad: true},
		{method: "POST", path: "/consent", key: s.private, body: `{"subject":{"email":["` + mail + `"]}}`, bad: true},
		{method: "GET", path: "/secret/" + mail, key: s.private, bad: true},
		{method: "GET", path: "/consent", key: "secret-key-that-is-none", bad: true},
	}
	for _, c := range ready {
		calls = append(calls, c.call)
	}
	for _, c := range calls {
		s.send(t, c)
	}
	written := out.take()
	equal(t, "lines", len(written), len(calls))
	for _, line := range written {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"route", "status", "us", "request_id"} {
			if fields[name] == nil || fields[name] == "" {
				t.Errorf("a line without %s: %s", name, line)
			}
		}
		for _, name := range []string{"request_id", "site"} { // random
			delete(fields, name)
		}
		lower := strings.ToLower(encode(t, fields))
		for _, part := range []string{"secret", "ada", "leo", "127.0.0.1", strings.ToLower(s.private), strings.ToLower(s.public), "newsletter"} {
			if strings.Contains(lower, part) {
				t.Errorf("a line with %q: %s", part, line)
			}
		}
	}
}

// lines gathers what is written.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// TestMissingObject: a record whose proof cannot be read is not "not found"; a
// form may have gone with somebody whose address stood in it, and the record says
// so.
func TestMissingObject(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{})
	form := s.consent(t, `{"subject":{"id":"ada"},"proofs":[{"content":"c","form":"f"}]}`)
	ack := s.consent(t, `{"subject":{"id":"bob"},"proofs":[{"content":"`+strings.Repeat("c", 5000)+`"}]}`)
	document := s.upload(t, "/documents", "a.pdf", "%PDF-1.4")
	s.post(t, "/legal_notices", `{"identifier":"terms","content":"x"}`)
	s = s.on(d.deploy(t, deployOptions{wrap: func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.Header.Get("X-Amz-Target") != "" { // everything but S3
				return next.RoundTrip(r)
			}
			const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>NoSuchKey</Code><Message>secret-of-aws</Message></Error>`
			return &http.Response{StatusCode: 404, Request: r, Header: http.Header{"Content-Type": {"application/xml"}}, ProtoMajor: 1, ProtoMinor: 1,
				Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}, nil
		})
	}}))
	for _, path := range []string{"/consent/" + ack.ID, "/subjects/bob/consent/last", "/documents/" + document.ID, "/legal_notices", "/legal_notices/terms/1"} {
		equal(t, path, s.refused(t, http.StatusInternalServerError, "GET", path, "").Message, "internal error")
	}
	equal(t, "what needs no object", s.subject(t, "ada").ID, "ada")
	for _, path := range []string{"/consent/" + form.ID, "/subjects/ada/consent/last"} {
		var shown record
		s.send(t, call{method: "GET", path: path, key: s.private}).ok(t).into(t, &shown)
		if p := shown.Proofs[0]; p.Form != nil || !p.Missing || p.Content == nil || *p.Content != "c" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}
