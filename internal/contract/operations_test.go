package contract

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/scripts/local/edge"
)

// A sampleCall is a call that succeeds, one for each operation.
type sampleCall struct {
	op operation
	call
}

// messaging is a register with something that may be sent on WhatsApp.
var messaging = site.Purpose{Key: "offers", Channel: "whatsapp"}

const offer = `{"channel":"whatsapp","preference":"offers","phone":"+33655000101","text":"Chairs"}`

// samples are calls for a site that has one of everything. Only avow.js needs no
// key.
func samples(t *testing.T, s *shop) []sampleCall {
	t.Helper()
	ada := s.consent(t, `{"subject":{"id":"ada","email":"ada@example.test"},"preferences":{"newsletter":true}}`)
	s.post(t, "/legal_notices", `{"identifier":"terms","content":"Text"}`)
	document := s.upload(t, "/documents", "a.pdf", "%PDF-1.4 a")
	var message struct{ ID string }
	s.post(t, "/messages", offer).into(t, &message)
	body, multipart := form(t, "b.pdf", "%PDF-1.4 b")
	calls := map[string]call{
		"postPublicConsent":  {body: `{"subject":{"email":"leo@example.test"},"preferences":{"newsletter":true}}`},
		"getSnippet":         {},
		"createConsent":      {body: `{"subject":{"id":"eva"},"preferences":{"newsletter":false}}`},
		"listConsents":       {path: "?limit=1"},
		"getConsent":         {path: "?subject_id=ada"},
		"createSubject":      {body: `{"id":"bob","full_name":"Bob"}`},
		"listSubjects":       {path: "?id=ada"},
		"getSubject":         {},
		"updateSubject":      {body: `{"verified":true}`},
		"patchSubject":       {body: `{"first_name":"Ada"}`},
		"postSubjectUpdate":  {body: `{"last_name":"Byron"}`},
		"getLastConsent":     {},
		"createNotices":      {body: `{"identifier":"privacy_policy","content":{"en":"Text"}}`},
		"listNotices":        {path: "?identifier=terms"},
		"listNoticeVersions": {},
		"getNotice":          {},
		"createDocument":     {body: body, contentType: multipart},
		"listDocuments":      {},
		"getDocument":        {},
		"decide":             {path: "?subject_id=ada&preference=newsletter"},
		"postMessage":        {body: offer},
		"getMessage":         {},
		"getRegister":        {},
		"putRegister":        {body: `{"preferences":[{"key":"newsletter","purpose":{"en":"News"}}]}`},
	}
	file, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	var list []sampleCall
	for _, op := range file.operations() {
		if ofRequests(op) || ofAdmin(op) || ofPreferences(op) {
			continue // they have tests of their own
		}
		c, ok := calls[op.OperationID]
		if !ok {
			t.Fatalf("no sample for %v", op)
		}
		id := "ada"
		switch {
		case strings.HasPrefix(op.path, "/consent/"):
			id = ada.ID
		case strings.HasPrefix(op.path, "/documents/"):
			id = document.ID
		case strings.HasPrefix(op.path, "/messages/"):
			id = message.ID
		}
		c.method = op.method
		c.path = strings.NewReplacer("{id}", id, "{identifier}", "terms", "{version}", "1").Replace(op.path) + c.path
		c.key = s.private
		switch op.OperationID {
		case "postPublicConsent":
			c.key = s.public
		case "getSnippet":
			c.key = ""
		}
		list = append(list, sampleCall{op, c})
	}
	return list
}

// TestOperations: each answers, with and without /beta and however many slashes
// a client writes.
func TestOperations(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{}, messaging)
	for _, c := range samples(t, s) {
		path, query, _ := strings.Cut(c.path, "?")
		doubled := strings.ReplaceAll(path, "/", "//")
		paths := map[string]int{
			path: 200, "/beta" + path: 200, path + "/": 200, doubled: 200, "/beta/" + doubled + "//": 200, "//beta" + path: 200,
		}
		if c.op.OperationID == "getSnippet" {
			paths = map[string]int{path: 200}
		} else if c.key == s.public {
			// A public path that API Gateway does not know goes to api, which takes no public key.
			paths = map[string]int{
				path: 200, "/beta" + path: 200, path + "/": 200, "/public//consent": 200, "/beta/public//consent//": 200, doubled: 403,
			}
		}
		for path, status := range paths {
			variant := c.call
			variant.path, variant.bad = path+"?"+query, status != 200
			if a := s.send(t, variant); a.status != status {
				t.Errorf("%v as %s answered %v", c.op, path, a)
			}
		}
	}
}

// TestKeys: who may call what, with the documented bodies.
func TestKeys(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{}, messaging)
	revoked := d.key(t, s.site, keys.Private)
	if err := d.admin.RevokeKey(t.Context(), revoked); err != nil {
		t.Fatal(err)
	}
	revokedPublic := d.key(t, s.site, keys.Public)
	if err := d.admin.RevokeKey(t.Context(), revokedPublic); err != nil {
		t.Fatal(err)
	}
	const noKey, wrongKey = `{"message":"No API key found in request"}`, `{"message":"Invalid authentication credentials"}`
	for _, c := range samples(t, s) {
		if c.key == "" {
			continue
		}
		other, gone := s.public, revoked
		if c.key == s.public {
			other, gone = s.private, revokedPublic
		}
		for name, tt := range map[string]struct {
			key    string
			status int
			body   string
		}{
			"no key":       {"", http.StatusUnauthorized, noKey},
			"unknown key":  {keys.New(), http.StatusForbidden, wrongKey},
			"long key":     {strings.Repeat("k", 5000), http.StatusForbidden, wrongKey},
			"wrong class":  {other, http.StatusForbidden, wrongKey},
			"revoked key":  {gone, http.StatusForbidden, wrongKey},
			"padded key":   {c.key + "x", http.StatusForbidden, wrongKey},
			"key in upper": {strings.ToUpper(c.key), http.StatusForbidden, wrongKey},
		} {
			bad := c.call
			bad.key, bad.bad = tt.key, true
			a := s.send(t, bad)
			if a.status != tt.status || string(a.body) != tt.body {
				t.Errorf("%v, %s: answered %v", c.op, name, a)
			}
		}
		// The name of the header in another case is the same header; the key in the query is none.
		lower := c.call
		lower.header, lower.key = map[string]string{"apikey": c.key}, ""
		if a := s.send(t, lower); a.status != 200 {
			t.Errorf("%v with the header apikey answered %v", c.op, a)
		}
		inQuery := c.call
		inQuery.key, inQuery.bad = "", true
		inQuery.path += map[bool]string{true: "&", false: "?"}[strings.Contains(c.path, "?")] + "key=" + c.key
		if a := s.send(t, inQuery); a.status != http.StatusUnauthorized {
			t.Errorf("%v with the key in the query answered %v", c.op, a)
		}
	}
}

// TestThrottle: the stage's throttle answers every operation.
func TestThrottle(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{}, messaging)
	all := samples(t, s)
	closed := s.on(d.deploy(t, deployOptions{throttle: &edge.Throttle{Rate: 1, Burst: 0}}))
	for _, c := range all {
		c.bad = true
		a := closed.send(t, c.call)
		equal(t, c.op.String(), a.problem(t, http.StatusTooManyRequests).Message, "Too Many Requests")
	}
	if limit := d.env.Stack.API.Throttles[""]; limit.Rate != 50 {
		t.Errorf("the template throttles at %+v; the file says 50 per second", limit)
	}
}

// TestFaults: what AWS does wrong is a 503 when it may pass, else a 500, and says
// nothing of itself.
func TestFaults(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{}, messaging)
	all := samples(t, s)
	for status, failing := range failures(t, s) {
		for _, c := range all {
			if c.key == "" {
				continue
			}
			t.Run(fmt.Sprint(status, " ", c.op.OperationID), func(t *testing.T) {
				t.Parallel()
				c.bad = true
				a := failing.send(t, c.call)
				a.problem(t, status)
				if bytes.Contains(a.body, []byte("secret")) || bytes.Contains(a.body, []byte("dynamodb")) {
					t.Errorf("told what is broken: %v", a)
				}
				equal(t, "Retry-After", a.header.Get("Retry-After") != "", status == http.StatusServiceUnavailable)
			})
		}
	}
}

// failures are deployments whose tables do not answer as they should, by the
// status that this gives.
func failures(t *testing.T, s *shop) map[int]*shop {
	t.Helper()
	list := map[int]*shop{}
	for status, broken := range map[int]roundTripper{
		http.StatusServiceUnavailable: func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNREFUSED },
		http.StatusInternalServerError: func(r *http.Request) (*http.Response, error) {
			body := `{"__type":"com.amazonaws.dynamodb.v20120810#ValidationException","message":"secret-of-aws"}`
			return &http.Response{StatusCode: 400, Request: r, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}},
				Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), ProtoMajor: 1, ProtoMinor: 1}, nil
		},
	} {
		list[status] = s.on(s.deploy(t, deployOptions{wrap: func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if !strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_") {
					return next.RoundTrip(r)
				}
				return broken(r)
			})
		}}))
	}
	return list
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestBodies: every operation that reads a body refuses the same bad ones.
func TestBodies(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{}, messaging)
	for _, c := range samples(t, s) {
		if c.body == "" {
			continue
		}
		upload := c.op.OperationID == "createDocument"
		for name, tt := range map[string]struct {
			body, contentType string
			status            int
		}{
			"too large":       {strings.Repeat(" ", 1<<20) + c.body, c.contentType, http.StatusRequestEntityTooLarge},
			"other type":      {c.body, "application/xml", http.StatusUnsupportedMediaType},
			"empty":           {"", c.contentType, http.StatusBadRequest},
			"unreadable type": {c.body, ";;", http.StatusBadRequest},
			"other charset":   {c.body, "application/json; charset=iso-8859-1", http.StatusBadRequest},
			"malformed":       {`{"a":`, "", http.StatusBadRequest},
			"truncated text":  {`{"a":"b`, "", http.StatusBadRequest},
			"two values":      {c.body + c.body, "", http.StatusBadRequest},
			"not an object":   {`5`, "", http.StatusBadRequest},
			"text":            {`"text"`, "", http.StatusBadRequest},
			"null":            {`null`, "", http.StatusBadRequest},
			"not UTF-8":       {"{\"a\":\"\xff\"}", "", http.StatusBadRequest},
			"lone surrogate":  {`{"a":"\ud800"}`, "", http.StatusBadRequest},
			"NUL":             {`{"a":"\u0000"}`, "", http.StatusBadRequest},
			"twice a name":    {`{"a":1,"a":2}`, "", http.StatusBadRequest},
			"deep":            {`{"a":` + strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40) + `}`, "", http.StatusBadRequest},
			"JSON as a form":  {c.body, "application/x-www-form-urlencoded", http.StatusBadRequest},
		} {
			if upload {
				switch name {
				case "too large":
					tt.body = c.body + strings.Repeat(" ", 1<<20)
				case "other type":
				case "empty":
				default: // what is not multipart is of another type
					tt.status = http.StatusUnsupportedMediaType
				}
			}
			if c.op.OperationID == "postMessage" && name == "JSON as a form" { // our own paths take JSON only
				tt.status = http.StatusUnsupportedMediaType
			}
			bad := c.call
			bad.body, bad.bad = tt.body, true
			if bad.contentType = tt.contentType; tt.contentType == "" && tt.body == "" {
				bad.contentType = "none"
			}
			if a := s.send(t, bad); a.status != tt.status {
				t.Errorf("%v, %s: answered %v; want %d", c.op, name, a, tt.status)
			}
		}
	}
}

// TestUnknownPaths: a path that is none tells nobody anything without a key.
func TestUnknownPaths(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for _, path := range []string{"/", "/beta", "/nowhere", "/consent/a/b", "/consents", "/decide/x", "/beta/avow.js", "/subjects/..", "/subjects/a%2F..%2Fb"} {
		for key, status := range map[string]int{"": 401, s.public: 403, s.private: 404} {
			a := s.send(t, call{method: "GET", path: path, key: key, bad: true})
			if a.status != status {
				t.Errorf("%s with key %.4s answered %v; want %d", path, key, a, status)
			}
		}
	}
	// Behind /public/ another function answers.
	for _, path := range []string{"/public/nothing", "/beta/public/consent/x"} {
		s.send(t, call{method: "POST", path: path, key: s.public, body: "{}", bad: true}).problem(t, 404)
	}
}

// TestSnippet: the library is cached by its ETag.
func TestSnippet(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	first := s.send(t, call{method: "GET", path: "/avow.js"}).ok(t)
	if !bytes.Contains(first.body, []byte("cons_instructions")) {
		t.Errorf("avow.js is %.100s", first.body)
	}
	again := s.send(t, call{method: "GET", path: "/avow.js", header: map[string]string{"If-None-Match": first.header.Get("ETag")}})
	if again.status != http.StatusNotModified || len(again.body) > 0 {
		t.Errorf("answered %v", again)
	}
}
