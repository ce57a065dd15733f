package contract

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/avow-consent/avow/internal/site"
)

// TestExamples walks through the examples of the reference API's fact sheet.
func TestExamples(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{})
	for range 2 {
		s.post(t, "/legal_notices", `{"identifier":"terms","content":{"en":"Text"}}`)
	}
	s.post(t, "/legal_notices", `{"identifier":"privacy_policy","content":"https://shop.example/privacy"}`)

	ines := s.consent(t, `{"subject":{"id":"cust-881","email":"ines@example.test","full_name":"Ines Roca","verified":false},
		"legal_notices":[{"identifier":"privacy_policy"},{"identifier":"terms","version":2}],
		"proofs":[{"content":"{\"email\":\"ines@example.test\",\"news\":true}","form":"<form id=\"s\">…</form>"}],
		"preferences":{"newsletter":true,"profiling":false},"ip_address":"203.0.113.7"}`)
	if ines.SubjectID != "cust-881" {
		t.Errorf("subject_id %q", ines.SubjectID)
	}

	leo := s.page(t, `{"subject":{"email":"leo@example.test"},"preferences":{"newsletter":true},"autodetect_ip_address":false}`)
	if !isUUID(leo.SubjectID) {
		t.Errorf("subject_id %q is no UUID", leo.SubjectID)
	}

	var shown map[string]any
	s.get(t, "/consent/"+ines.ID).into(t, &shown)
	equal(t, "checksum", len(shown["checksum"].(string)), 64)
	want := map[string]any{
		"id": ines.ID, "timestamp": ines.Timestamp, "owner": s.site, "source": "private",
		"subject": map[string]any{
			"id": "cust-881", "owner_id": s.site, "email": "ines@example.test", "first_name": nil, "last_name": nil,
			"full_name": "Ines Roca", "verified": false,
		},
		"preferences": map[string]any{"newsletter": true, "profiling": false},
		"legal_notices": []any{
			map[string]any{"identifier": "privacy_policy", "version": json.Number("1"), "resolved": true},
			map[string]any{"identifier": "terms", "version": json.Number("2"), "resolved": true},
		},
		"proofs":          []any{map[string]any{"content": `{"email":"ines@example.test","news":true}`, "form": `<form id="s">…</form>`}},
		"proof_documents": []any{}, "ip_address": "203.0.113.7", "consent_type": nil,
	}
	for name, value := range want {
		equal(t, name, shown[name], value)
	}

	// The next page of a list.
	older := s.consent(t, `{"subject":{"id":"cust-881"},"preferences":{"newsletter":false},"timestamp":"2026-01-09T08:00:00Z"}`)
	var page []map[string]any
	s.get(t, "/consent?subject_id=cust-881&limit=2&starting_after="+ines.ID).into(t, &page)
	if len(page) != 1 {
		t.Fatalf("the next page has %d elements", len(page))
	}
	for name, value := range map[string]any{
		"id": older.ID, "timestamp": "2026-01-09T08:00:00Z", "owner": s.site, "source": "private",
		"preferences": map[string]any{"newsletter": false}, "ip_address": nil,
	} {
		equal(t, name, page[0][name], value)
	}

	// Subjects.
	var mo acknowledged
	s.post(t, "/subjects", `{"email":"mo@example.test"}`).into(t, &mo)
	if !isUUID(mo.ID) || mo.Timestamp == "" || mo.CreatedAt != mo.Timestamp {
		t.Errorf("POST /subjects: %+v", mo)
	}
	var patched acknowledged
	s.send(t, call{method: "PATCH", path: "/subjects/" + mo.ID, key: s.private, body: `{"verified":true}`}).ok(t).into(t, &patched)
	equal(t, "PATCH /subjects/:id", patched.ID, mo.ID)
	var subject map[string]any
	s.get(t, "/subjects/cust-881").into(t, &subject)
	for name, value := range map[string]any{
		"id": "cust-881", "owner_id": s.site, "email": "ines@example.test", "first_name": nil, "last_name": nil,
		"full_name": "Ines Roca", "verified": false, "timestamp": ines.Timestamp,
	} {
		equal(t, name, subject[name], value)
	}
	newsletter := subject["preferences"].(map[string]any)["newsletter"].(map[string]any)
	equal(t, "value", newsletter["value"], any(true))
	equal(t, "consent_id", newsletter["consent_id"], any(ines.ID))

	// Legal notices.
	var terms version
	s.post(t, "/legal_notices", `{"identifier":"terms","content":{"en":"Text","fr":"Texte"}}`).into(t, &terms)
	equal(t, "version", terms.Version, 3)
	var bulk []version
	s.post(t, "/legal_notices", `[{"identifier":"a","content":"x"},{"identifier":"b","content":"y"}]`).into(t, &bulk)
	if len(bulk) != 2 || bulk[0].Identifier != "a" || bulk[0].Version != 1 || bulk[1].Identifier != "b" || bulk[1].Version != 1 {
		t.Errorf("bulk: %+v", bulk)
	}
	var versions []map[string]any
	s.get(t, "/legal_notices/terms?limit=1&starting_after=3").into(t, &versions)
	if len(versions) != 1 {
		t.Fatalf("terms after 3: %v", versions)
	}
	for name, value := range map[string]any{
		"identifier": "terms", "version": json.Number("2"), "id": s.site + "_terms", "owner_id": s.site, "content": map[string]any{"en": "Text"},
	} {
		equal(t, name, versions[0][name], value)
	}

	// A document.
	document := s.upload(t, "/beta/documents", "signed.pdf", "%PDF-1.4 signed")
	equal(t, "name", document.Name, "signed.pdf")
	equal(t, "mime_type", document.MimeType, "application/pdf")
	signed := s.consent(t, `{"proof_document_ids":["`+document.ID+`"],"subject":{"id":"cust-881"}}`)
	if shown := s.show(t, signed); len(shown.ProofDocuments) != 1 || shown.ProofDocuments[0].ID != document.ID || *shown.ProofDocuments[0].Name != "signed.pdf" {
		t.Errorf("proof_documents: %+v", shown.ProofDocuments)
	}

	// Errors, byte for byte where the reference API's are known.
	for name, tt := range map[string]struct {
		key    string
		path   string
		status int
		body   string
	}{
		"no key":    {"", "/consent", http.StatusUnauthorized, `{"message":"No API key found in request"}`},
		"wrong key": {"nobody's", "/consent", http.StatusForbidden, `{"message":"Invalid authentication credentials"}`},
	} {
		a := s.send(t, call{method: "GET", path: tt.path, key: tt.key, bad: true})
		equal(t, name+": status", a.status, tt.status)
		equal(t, name+": body", string(a.body), tt.body)
	}
	if p := s.refused(t, http.StatusNotFound, "GET", "/consent/"+absentID, ""); p.Status != "not_found" || p.Message == "" {
		t.Errorf("404: %+v", p)
	}
}

// absentID is the id of a consent that nobody has recorded.
const absentID = "019c2300-0000-7000-8000-000000000000"
