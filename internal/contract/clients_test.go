package contract

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/site"
)

// These tests do what clients of the reference API do, as far as their source
// tells.

// TestClient_npm: iubenda-consent-solution-api joins its base, a slash and the
// path, tells errors by a key "error", and walks from lists to single reads.
func TestClient_npm(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for _, base := range []string{"//", "/beta//"} {
		result := func(method, path, body string) any {
			t.Helper()
			var v any
			s.send(t, call{method: method, path: base + path, key: s.private, body: body}).ok(t).into(t, &v)
			switch v := v.(type) {
			case map[string]any:
				if _, failed := v["error"]; failed {
					t.Errorf("%s %s looks like an error: %v", method, path, v)
				}
			case []any:
			default:
				t.Fatalf("%s %s is no object and no array: %v", method, path, v)
			}
			return v
		}
		first := func(path string) map[string]any {
			t.Helper()
			list := result("GET", path, "").([]any)
			if len(list) == 0 {
				t.Fatalf("GET %s is empty", path)
			}
			return list[0].(map[string]any)
		}
		created := result("POST", "consent", `{"timestamp":"","subject":{"id":"js-1","email":"js@example.test","first_name":"J","last_name":"S","full_name":"J S","verified":false},
			"legal_notices":[{"identifier":"privacy_policy","version":"1"},{"identifier":"cookie_policy"}],
			"proofs":[{"content":"yes","form":"<form>…</form>"}],"preferences":{"general":"true","other":"free text"},"ip_address":"","autodetect_ip_address":"true"}`).(map[string]any)
		s.settle(t)
		if id := first("consent?unescape_json=true")["id"]; id != created["id"] {
			t.Errorf("the list begins with %v, want %v", id, created["id"])
		}
		shown := result("GET", "consent/"+created["id"].(string)+"?unescape_json=true", "").(map[string]any)
		if shown["ip_address"] != nil {
			t.Errorf("ip_address %v", shown["ip_address"])
		}
		result("GET", "subjects/"+first("subjects")["id"].(string), "")
		result("PUT", "subjects/js-1", `{"verified":true}`)
		result("POST", "subjects", `{"id":"js-2","email":"js2@example.test"}`)
		result("POST", "legal_notices", `{"identifier":"privacy_policy","content":"text"}`)
		result("GET", "legal_notices/"+first("legal_notices")["identifier"].(string), "")
		result("GET", "legal_notices/privacy_policy/1", "")

		// It shows the message of anything that is not a success.
		p := s.send(t, call{method: "GET", path: base + "subjects/none", key: s.private, bad: true}).problem(t, 404)
		if p.Message == "" {
			t.Error("a 404 without a message")
		}
		s.send(t, call{method: "POST", path: base + "public/consent", key: s.public, body: `{}`, bad: true}).problem(t, 403) // doubled slashes are for private paths
	}
}

// TestClient_php: trailing slashes, false for nobody, times without fractions.
func TestClient_php(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	atom := func(what, text string) {
		t.Helper()
		if at, err := time.Parse("2006-01-02T15:04:05Z07:00", text); err != nil || strings.Contains(text, ".") || at.IsZero() {
			t.Errorf("%s: %q is no time that PHP reads", what, text)
		}
	}
	s.post(t, "/legal_notices/", `{"identifier":"123","content":"text"}`)
	var ack acknowledged
	s.post(t, "/consent/", `{"subject":false,"legal_notices":[{"identifier":"123","version":"1"}],"proofs":[],"preferences":[]}`).into(t, &ack)
	atom("consent", ack.Timestamp)
	if ack.ID == "" || ack.SubjectID == "" {
		t.Errorf("POST /consent/: %+v", ack)
	}
	s.post(t, "/consent/", `{"subject":{"id":"php-1","email":"php@example.test"},"preferences":{"newsletter":true}}`)
	var updated acknowledged
	s.put(t, "/subjects/php-1", `{"first_name":"P"}`).into(t, &updated)
	atom("subject", updated.Timestamp)
	s.post(t, "/subjects/", `{"id":"php-2"}`).into(t, &updated)
	var list []record
	s.get(t, "/consent/").into(t, &list)
	for _, r := range list {
		atom("list", r.Timestamp)
	}
	var p person
	s.get(t, "/subjects/php-1/").into(t, &p)
	atom("subject", p.Timestamp)
	r := s.show(t, ack)
	equal(t, "version", r.LegalNotices[0].Version, ptr(1))
}

// TestClient_laravel: POST to a subject's path, version null, and the keys that
// it demands of a list.
func TestClient_laravel(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	s.post(t, "/legal_notices/", `{"identifier":"terms","content":"one"}`)
	s.post(t, "/legal_notices/", `{"identifier":"terms","content":"two"}`)
	s.post(t, "/subjects/", `{"id":"lar-1"}`)
	s.post(t, "/subjects/lar-1", `{"email":"lar@example.test","full_name":"L A R"}`)
	equal(t, "updated", s.subject(t, "lar-1").FullName, ptr("L A R"))
	ack := s.consent(t, `{"subject":{"id":"lar-1"},"legal_notices":[{"identifier":"terms","version":null}],"preferences":{}}`)
	equal(t, "version in force", s.show(t, ack).LegalNotices, []notice{{Identifier: "terms", Version: ptr(2), Resolved: true}})
	s.settle(t)
	var list []map[string]json.RawMessage
	s.get(t, "/consent").into(t, &list)
	for _, key := range []string{"id", "timestamp", "owner", "source", "subject", "preferences"} {
		if string(list[0][key]) == "null" || list[0][key] == nil {
			t.Errorf("%s is %s", key, list[0][key])
		}
	}
	equal(t, "preferences", string(list[0]["preferences"]), "{}")
	s.refused(t, 404, "POST", "/subjects/lar-none", `{"email":"x@example.test"}`)
}

// TestClient_craft: the test of its connection is the status of GET /consent.
func TestClient_craft(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	s.get(t, "/consent")
	s.send(t, call{method: "GET", path: "/consent", key: s.public, bad: true}).problem(t, 403)
	ack := s.consent(t, `{"subject":{"email":"craft@example.test"},"preferences":{"form_name":"Contact"},"proofs":[{"content":"{}","form":"<form>"}]}`)
	equal(t, "preference", string(s.show(t, ack).Preferences["form_name"]), `"Contact"`)
	equal(t, "decide", s.decide(t, "email=craft@example.test", "form_name").Reason, "not_boolean")
}

// TestClient_ruby: the fields that its fixtures and specs ask for.
func TestClient_ruby(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	s.post(t, "/legal_notices", `{"identifier":"privacy_policy","content":{"it":"https://shop.example/privacy_policy.pdf"}}`)
	has := func(path string, keys ...string) {
		t.Helper()
		var v any
		s.get(t, path).into(t, &v)
		if list, ok := v.([]any); ok {
			v = list[0]
		}
		for _, key := range keys {
			if _, ok := v.(map[string]any)[key]; !ok {
				t.Errorf("GET %s lacks %s", path, key)
			}
		}
	}
	ack := s.consent(t, `{"subject":{"id":"rb-1"},"autodetect_ip_address":"false","preferences":{"n":"true"},"proofs":[{"content":"c","form":"f"}],"legal_notices":[{"identifier":"privacy_policy"}]}`)
	s.settle(t)
	has("/consent/"+ack.ID, "id", "timestamp", "checksum", "owner", "subject", "preferences", "legal_notices", "proofs", "ip_address")
	has("/consent?ip_address=none&subject_verified=false&limit=100", "id", "timestamp", "owner", "source", "subject", "preferences", "ip_address")
	has("/subjects/rb-1", "id", "owner_id", "email", "first_name", "last_name", "full_name", "verified", "preferences", "timestamp")
	has("/subjects", "id", "owner_id", "timestamp")
	has("/legal_notices", "id", "owner_id", "identifier", "version", "timestamp", "content")
	has("/legal_notices/privacy_policy", "id", "owner_id", "identifier", "version", "timestamp", "content")
	has("/legal_notices/privacy_policy/1", "identifier", "version", "timestamp", "content")
	var created acknowledged
	s.post(t, "/subjects", `{"email":"rb@example.test"}`).into(t, &created)
	equal(t, "created_at", created.CreatedAt, created.Timestamp)
	s.refused(t, 404, "PUT", "/subjects/rb-none", `{"verified":true}`)
}

// TestClient_wordpress: the plugin's server side posts with the public key, under
// a header in lower case, and content alone as proof.
func TestClient_wordpress(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	var ack acknowledged
	s.send(t, call{method: "POST", path: "/public/consent", header: map[string]string{"apikey": s.public},
		body: `{"subject":{"email":"wp@example.test","full_name":"W P"},"preferences":{"newsletter":true,"terms":false},"legal_notices":[{"identifier":"privacy_policy"},{"identifier":"nobody has it"}],"proofs":[{"content":"{\"wpforms[fields][1]\":\"W P\"}"}]}`}).ok(t).into(t, &ack)
	r := s.show(t, ack)
	equal(t, "proof", *r.Proofs[0].Content, `{"wpforms[fields][1]":"W P"}`)
	equal(t, "notices", r.LegalNotices, []notice{{Identifier: "privacy_policy"}, {Identifier: "nobody has it"}})
}

// TestClient_odoo: a module that polls by from_time gets what came since, page by
// page.
func TestClient_odoo(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	since := time.Now().UTC().Truncate(time.Second)
	s.consent(t, `{"timestamp":"`+since.Add(-time.Hour).Format(time.RFC3339)+`"}`)
	want := []string{}
	for range 5 {
		want = append([]string{s.consent(t, `{}`).ID}, want...)
	}
	if a := s.send(t, call{method: "GET", path: "/consent?from_time=" + esc(since.Format("2006-01-02 15:04:05 UTC")) + "&limit=2", key: s.private}); a.status != http.StatusOK {
		t.Errorf("answered %v", a)
	}
	if diff := difference(s.follow(t, "/consent?from_time="+unix(since)+"&limit=2"), want); diff != "" {
		// Within a millisecond the order is by id.
		if strings.Contains(diff, "0 missing, 0 too many") {
			return
		}
		t.Error(diff)
	}
}
