package contract

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// An answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) decode(v any) error { return json.Unmarshal(a.body, v) }

func (a answer) String() string { return fmt.Sprintf("%d %.600s", a.status, a.body) }

// A call is a request as a test states it. Path is what stands in the request
// line, query included.
type call struct {
	method, path string
	key          string // "" for none
	header       map[string]string
	body         string
	contentType  string // application/json for a body when empty; "none" for none
	bad          bool   // meant to be bad: only the answer is checked against the file
}

var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// send makes a call and holds request and answer to the file.
func (s *shop) send(t *testing.T, c call) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), c.method, s.url+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.key != "" {
		r.Header.Set("ApiKey", c.key)
	}
	if c.contentType == "" && c.body != "" {
		c.contentType = "application/json"
	}
	if c.contentType != "" && c.contentType != "none" {
		r.Header.Set("Content-Type", c.contentType)
	}
	for name, value := range c.header {
		r.Header.Set(name, value)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	if a.body, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	file, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	if err := file.check(exchange{decoded(r.URL.EscapedPath()), r, []byte(c.body), s.classOf(r), c.bad, a}); err != nil {
		t.Errorf("%s %s: %v\n%v", c.method, c.path, err, a)
	}
	return a
}

// classOf is the class of the key that a request names.
func (s *shop) classOf(r *http.Request) string {
	key := r.Header.Get("ApiKey")
	if key == "" {
		key = r.URL.Query().Get("key")
	}
	switch key {
	case s.private:
		return "private"
	case s.public:
		return "public"
	case "":
		return ""
	}
	if slices.Contains(s.roles, key) {
		return "role"
	}
	return ""
}

// get, post and the like call with the private key and demand a 200.
func (s *shop) get(t *testing.T, path string) answer {
	t.Helper()
	return s.send(t, call{method: "GET", path: path, key: s.private}).ok(t)
}

func (s *shop) post(t *testing.T, path, body string) answer {
	t.Helper()
	return s.send(t, call{method: "POST", path: path, key: s.private, body: body}).ok(t)
}

func (s *shop) put(t *testing.T, path, body string) answer {
	t.Helper()
	return s.send(t, call{method: "PUT", path: path, key: s.private, body: body}).ok(t)
}

// refused calls with the private key and demands an error.
func (s *shop) refused(t *testing.T, status int, method, path, body string) problem {
	t.Helper()
	return s.send(t, call{method: method, path: path, key: s.private, body: body, bad: true}).problem(t, status)
}

func (a answer) ok(t *testing.T) answer {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("answered %v", a)
	}
	return a
}

// A problem is the body of an error.
type problem struct {
	Message    string
	Code       string
	Status     string
	ServerTime string `json:"server_time"`
	Errors     []struct{ Field, Message string }
}

func (p problem) fields() (list []string) {
	for _, e := range p.Errors {
		list = append(list, e.Field)
	}
	return list
}

func (a answer) problem(t *testing.T, status int) (p problem) {
	t.Helper()
	if a.status != status {
		t.Fatalf("answered %v; want status %d", a, status)
	}
	a.into(t, &p)
	return p
}

// into decodes a body, numbers as they are written.
func (a answer) into(t *testing.T, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v: %v", a, err)
	}
}

// The parts of answers that tests look at.
type (
	acknowledged struct {
		ID        string
		Timestamp string
		CreatedAt string `json:"created_at"`
		SubjectID string `json:"subject_id"`
	}
	person struct {
		ID          string
		OwnerID     string `json:"owner_id"`
		Email       *string
		FirstName   *string `json:"first_name"`
		LastName    *string `json:"last_name"`
		FullName    *string `json:"full_name"`
		Verified    bool
		Phones      []struct{ Number, Label string }
		Preferences map[string]state
		Timestamp   string
	}
	state struct {
		Value     json.RawMessage
		ConsentID string `json:"consent_id"`
		Granted   bool
		Reason    string
		ExpiresAt string `json:"expires_at"`
	}
	record struct {
		ID            string
		Timestamp     string
		Owner, Source string
		Subject       person
		Preferences   map[string]json.RawMessage
		IPAddress     *string `json:"ip_address"`
		ConsentType   *string `json:"consent_type"`
		Checksum      string
		LegalNotices  []notice `json:"legal_notices"`
		Proofs        []struct {
			Content, Form *string
			Missing       bool
		}
		ProofDocuments []struct {
			ID      string
			Name    *string
			Missing bool
		} `json:"proof_documents"`
		Act          string
		ReceivedAt   string  `json:"received_at"`
		CorrectedAt  *string `json:"corrected_at"`
		SentAt       *string `json:"sent_at"`
		DeviceTime   *string `json:"device_time"`
		ExpiresAt    *string `json:"expires_at"`
		GPC          bool
		SubjectToken *string `json:"subject_token"`
		OptIn        struct {
			Channel, Language, State string
			LapsesAt                 string `json:"lapses_at"`
		} `json:"double_opt_in"`
	}
	notice struct {
		Identifier   string
		Version      *int
		Resolved     bool
		VersionGiven string `json:"version_given"`
	}
	version struct {
		ID, Identifier string
		OwnerID        string `json:"owner_id"`
		Version        int
		Timestamp      string
		PublishedAt    string `json:"published_at"`
		Content        any
		Documents      []struct{ ID string }
	}
	decision struct {
		Granted    bool
		Reason     string
		ConsentIDs []string `json:"consent_ids"`
		At         string
		ExpiresAt  string `json:"expires_at"`
	}
)

// consent records one with the private key.
func (s *shop) consent(t *testing.T, body string) (a acknowledged) {
	t.Helper()
	s.post(t, "/consent", body).into(t, &a)
	return a
}

// page records one with the public key.
func (s *shop) page(t *testing.T, body string) (a acknowledged) {
	t.Helper()
	s.send(t, call{method: "POST", path: "/public/consent", key: s.public, body: body}).ok(t).into(t, &a)
	return a
}

// show reads a consent, consistently.
func (s *shop) show(t *testing.T, a acknowledged) (r record) {
	t.Helper()
	s.get(t, "/consent/"+a.ID+"?subject_id="+url.QueryEscape(a.SubjectID)).into(t, &r)
	return r
}

// subject reads a subject by the safe form.
func (s *shop) subject(t *testing.T, id string) person {
	t.Helper()
	var list []person
	s.get(t, "/subjects?id="+url.QueryEscape(id)).into(t, &list)
	if len(list) != 1 {
		t.Fatalf("GET /subjects?id= has %d elements", len(list))
	}
	return list[0]
}

// decide asks; who is like "subject_id=x" or "email=y".
func (s *shop) decide(t *testing.T, who, preference string, more ...string) (d decision) {
	t.Helper()
	query := who + "&preference=" + url.QueryEscape(preference)
	for i := 0; i+1 < len(more); i += 2 {
		query += "&" + more[i] + "=" + url.QueryEscape(more[i+1])
	}
	s.get(t, "/decide?"+query).into(t, &d)
	return d
}

// follow reads a list from page to page by the Link header and gives the ids in
// order.
func (s *shop) follow(t *testing.T, path string) (ids []string) {
	t.Helper()
	for pages := 0; path != ""; pages++ {
		if pages > 100 {
			t.Fatalf("%s does not end", path)
		}
		a := s.get(t, path)
		var list []struct {
			ID, Identifier string
			Version        int
		}
		a.into(t, &list)
		for _, e := range list {
			if e.Identifier != "" {
				e.ID = fmt.Sprint(e.Identifier, "/", e.Version)
			}
			ids = append(ids, e.ID)
		}
		path = next(t, a)
	}
	return ids
}

// next is the path and query of the next page, "" on the last one.
func next(t *testing.T, a answer) string {
	t.Helper()
	link := a.header.Get("Link")
	if link == "" {
		return ""
	}
	target, ok := strings.CutSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
	u, err := url.Parse(target)
	if !ok || err != nil {
		t.Fatalf("Link: %s", link)
	}
	return u.RequestURI()
}
