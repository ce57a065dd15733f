package contract

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/site"
)

// TestSubjectIDs: any text is an id. In a path API Gateway decodes it twice; the
// query carries every one.
func TestSubjectIDs(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for id, tt := range map[string]struct {
		path   string // the id in the request line
		status int
	}{
		"plain":                  {"plain", 200},
		"a/b":                    {"a%2Fb", 200},
		"a/b/c":                  {"a/b/c", 200},
		"100%":                   {"100%2525", 200},
		"50%25":                  {"50%252525", 200},
		"a b":                    {"a%20b", 200},
		"a  b":                   {"a%20%20b", 200},
		"é":                      {"%C3%A9", 200},
		"e\u0301":                {"e%CC%81", 200},
		"日本":                     {"%E6%97%A5%E6%9C%AC", 200},
		"a?b":                    {"a%253Fb", 200},
		"a&b=c":                  {"a&b=c", 200},
		"a#b":                    {"a%23b", 200},
		"a+b":                    {"a+b", 200},
		"{id}":                   {"%7Bid%7D", 200},
		"a;b,c":                  {"a;b,c", 200},
		`"q"`:                    {"%22q%22", 200},
		"../x":                   {"..%2Fx", 404}, // a way up is no path
		"s//t":                   {"s%2F%2Ft", 404},
		"x/consent/last":         {"x%2Fconsent%2Flast", 404}, // means the last consent of x
		"100%x":                  {"100%25x", 400},            // API Gateway cannot read it
		"a?c":                    {"a%3Fc", 404},              // API Gateway cuts it: the id is a
		"beta":                   {"beta", 200},
		strings.Repeat("i", 256): {strings.Repeat("i", 256), 200},
	} {
		ack := s.consent(t, `{"subject":{"id":`+quote(id)+`},"preferences":{"newsletter":true}}`)
		equal(t, id+": subject_id", ack.SubjectID, id)

		// The safe forms.
		equal(t, id+": GET /subjects?id=", s.subject(t, id).ID, id)
		equal(t, id+": GET /consent?subject_id=", s.follow(t, "/consent?subject_id="+url.QueryEscape(id)), []string{ack.ID})
		equal(t, id+": GET /consent/:id?subject_id=", s.show(t, ack).Subject.ID, id)
		equal(t, id+": GET /decide", s.decide(t, "subject_id="+url.QueryEscape(id), "newsletter").Granted, true)
		var updated acknowledged
		s.post(t, "/subjects", `{"id":`+quote(id)+`,"full_name":"By body"}`).into(t, &updated)
		equal(t, id+": POST /subjects", updated.ID, id)

		// The path.
		a := s.send(t, call{method: "GET", path: "/subjects/" + tt.path, key: s.private, bad: tt.status != 200})
		if a.status != tt.status {
			t.Errorf("%s: GET /subjects/%s answered %v; want %d", id, tt.path, a, tt.status)
		}
		if tt.status == http.StatusNotFound && strings.ContainsAny(id, "%?") && !strings.Contains(a.problem(t, 404).Message, "no such subject") {
			t.Errorf("%s: answered %v", id, a)
		}
		if tt.status != 200 {
			continue
		}
		var shown person
		a.into(t, &shown)
		equal(t, id+": GET /subjects/:id", shown.ID, id)
		equal(t, id+": full_name", shown.FullName, ptr("By body"))
		for _, method := range []string{"PUT", "PATCH", "POST"} {
			a := s.send(t, call{method: method, path: "/subjects/" + tt.path, key: s.private, body: `{"full_name":"By ` + method + `"}`}).ok(t)
			a.into(t, &updated)
			equal(t, id+": "+method, updated.ID, id)
			equal(t, id+": full_name after "+method, s.subject(t, id).FullName, ptr("By "+method))
		}
		var last record
		s.get(t, "/beta/subjects/"+tt.path+"/consent/last").into(t, &last)
		equal(t, id+": last consent", last.ID, ack.ID)
	}
}

// TestSubjectIDs_refused: what no id can be.
func TestSubjectIDs_refused(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for name, tt := range map[string]struct {
		method, path, body string
		status             int
		field              string
	}{
		"too long in a body":       {"POST", "/consent", `{"subject":{"id":"` + strings.Repeat("i", 257) + `"}}`, 400, "subject.id"},
		"too long in bytes":        {"POST", "/consent", `{"subject":{"id":"` + strings.Repeat("é", 129) + `"}}`, 400, "subject.id"},
		"too long for a subject":   {"POST", "/subjects", `{"id":"` + strings.Repeat("i", 257) + `"}`, 400, "id"},
		"too long in a path":       {"GET", "/subjects/" + strings.Repeat("i", 270), "", 400, "id"},
		"too long for a record":    {"GET", "/subjects/" + strings.Repeat("i", 270) + "/consent/last", "", 400, "id"},
		"too long in an update":    {"PUT", "/subjects/" + strings.Repeat("i", 257), `{"verified":true}`, 400, "id"},
		"too long in a query":      {"GET", "/subjects?id=" + strings.Repeat("i", 1025), "", 400, "id"},
		"too long beside a record": {"GET", "/consent/" + absentID + "?subject_id=" + strings.Repeat("i", 257), "", 400, "subject_id"},
		"NUL in a path":            {"GET", "/subjects/a%00b", "", 400, "id"},
		"not UTF-8 in a query":     {"GET", "/consent?subject_id=%FF", "", 400, "subject_id"},
		"an object":                {"POST", "/consent", `{"subject":{"id":{}}}`, 400, "subject.id"},
		"true":                     {"POST", "/consent", `{"subject":{"id":true}}`, 400, "subject.id"},
		"unknown":                  {"GET", "/subjects/nobody", "", 404, ""},
		"unknown in an update":     {"PATCH", "/subjects/nobody", `{"verified":true}`, 404, ""},
		"no last consent":          {"GET", "/subjects/nobody/consent/last", "", 404, ""},
	} {
		p := s.refused(t, tt.status, tt.method, tt.path, tt.body)
		if tt.field != "" {
			equal(t, name, p.fields(), []string{tt.field})
		}
	}
	// A subject without a consent has no last one.
	s.post(t, "/subjects", `{"id":"silent"}`)
	s.refused(t, 404, "GET", "/subjects/silent/consent/last", "")
}

// TestConsentIDs: what is no id of a consent is not found.
func TestConsentIDs(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	ack := s.consent(t, `{"subject":{"id":"ada"}}`)
	for _, id := range []string{strings.ToUpper(ack.ID), ack.ID + "/"} {
		var shown record
		s.get(t, "/consent/"+id).into(t, &shown)
		equal(t, id, shown.ID, ack.ID)
	}
	for _, id := range []string{"x", "urn:uuid:" + ack.ID, "%7B" + ack.ID + "%7D", strings.ReplaceAll(ack.ID, "-", ""), absentID,
		"3b0e3c1e-52a4-4d0f-9a55-0d5a9b7c1f10", ack.ID[:35] + "~"} {
		p := s.refused(t, 404, "GET", "/consent/"+id, "")
		equal(t, id, p.Status, "not_found")
	}
	s.refused(t, 404, "GET", "/consent/"+ack.ID+"?subject_id=somebody-else", "")
}
