package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/company/vendors"
	support "github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/scripts/local/demo"
	"github.com/avow-consent/avow/scripts/local/mailpage"
)

// A shop is the running demo as its people and its customers reach it: by HTTP
// and by letters.
type shop struct {
	*process
	ends *ends
}

// A person whom the demo's vendors know.
type person struct{ id, name, email, phone string }

// customer is the n-th of the ordinary customers whom all of the demo's vendors
// know, and of whom the ledger learns from consents. Every third one has chatted.
func customer(n int) person {
	p := company.People()[3+3*n]
	return person{id: strings.TrimSuffix(p.Email, "@example.test"), name: p.Name(), email: p.Email, phone: p.Phone}
}

var noRedirects = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       time.Minute,
}

func send(t *testing.T, r *http.Request) harness.Answer {
	t.Helper()
	res, err := noRedirects.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return harness.Answer{Status: res.StatusCode, Header: res.Header, Body: body}
}

func ask(t *testing.T, key, method, address string, body any, headers ...string) harness.Answer {
	t.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			t.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("ApiKey", key)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return send(t, r)
}

// do calls the API, must wants a status. What API Gateway answers by itself is met as clients meet it, with a pause and the same
// call again: a throttle, or a function that has run out of time and may have done everything but answer.
func (s shop) do(t *testing.T, key, method, path string, body any) harness.Answer {
	t.Helper()
	once := uuid.Must(uuid.NewV7()).String()
	for n := 1; ; n++ {
		a := ask(t, key, method, s.API+path, body, "Idempotency-Key", once)
		if !s.passes(t, a) || n == 10 {
			return a
		}
		t.Logf("%s %s: %d, again", method, path, a.Status)
		time.Sleep(time.Second)
	}
}

// passes reports whether API Gateway says no by itself, and for no fault of a function but that its time was over.
func (p *process) passes(t *testing.T, a harness.Answer) bool {
	t.Helper()
	switch string(a.Body) {
	case `{"message":"Too Many Requests"}`:
		return true
	case `{"message":"Internal Server Error"}`:
		text, err := os.ReadFile(p.log)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "function failed") && !strings.Contains(line, "Sandbox.Timedout") {
				t.Fatalf("a function failed: %s", line)
			}
		}
		return true
	}
	return false
}

func (s shop) must(t *testing.T, want int, key, method, path string, body any) harness.Answer {
	t.Helper()
	a := s.do(t, key, method, path, body)
	if a.Status != want {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, a.Status, want, a.Body)
	}
	return a
}

func (s shop) role(rank keys.Rank) string { return s.RoleKeys[string(rank)] }

type object = map[string]any

// consents puts into the ledger what a back end and a web page know of a person,
// and returns the ids.
func (s shop) consents(t *testing.T, p person) (ids []string) {
	t.Helper()
	body := object{
		"subject":       object{"id": p.id, "email": p.email, "full_name": p.name},
		"preferences":   object{"newsletter": true, "profiling": true},
		"legal_notices": []object{{"identifier": "privacy_policy"}, {"identifier": "terms", "version": 1}},
		"proofs":        []object{{"content": `{"email":"` + p.email + `"}`, "form": "<form>for " + p.id + "</form>"}},
	}
	ids = append(ids, s.must(t, 200, s.PrivateKey, "POST", "/consent", body).Text("id"))
	ids = append(ids, s.must(t, 200, s.PublicKey, "POST", "/public/consent", object{
		"subject": object{"id": p.id, "email": p.email}, "preferences": object{"newsletter": true},
	}).Text("id"))
	eventually(t, "the view of "+p.id, func() bool { return s.do(t, s.PrivateKey, "GET", "/subjects/"+p.id, nil).Status == 200 })
	return ids
}

// decides is what the API says of a preference.
func (s shop) decides(t *testing.T, p person, preference string) (granted bool, reason string) {
	t.Helper()
	a := s.must(t, 200, s.PrivateKey, "GET", "/decide?preference="+preference+"&email="+url.QueryEscape(p.email), nil)
	granted, _ = a.Get("granted").(bool)
	return granted, a.Text("reason")
}

// open is what an operator enters who has checked who it is.
func (s shop) open(t *testing.T, kind request.Type, p person, more object) string {
	t.Helper()
	body := object{
		"type": kind, "subject": object{"email": p.email}, "channel": "phone", "language": "en", "residence": "FR",
		"identity": object{"method": "operator", "evidence": "called back on the number of the contract"},
	}
	for k, v := range more {
		body[k] = v
		if v == nil {
			delete(body, k)
		}
	}
	return s.must(t, 200, s.role(keys.Operator), "POST", "/requests", body).Text("id")
}

// form is what a person enters into the form of the web site.
func (s shop) form(t *testing.T, kind request.Type, p person, more object) harness.Answer {
	t.Helper()
	body := object{"type": kind, "email": p.email, "name": p.name}
	for k, v := range more {
		body[k] = v
	}
	return s.must(t, http.StatusAccepted, s.PublicKey, "POST", "/public/requests", body)
}

// mine is the one request of a person.
func (s shop) mine(t *testing.T, p person) string {
	t.Helper()
	var id string
	path := "/requests?identifier[kind]=email&identifier[value]=" + url.QueryEscape(p.email)
	eventually(t, "the request of "+p.id+" is in the list", func() bool {
		id = s.must(t, 200, s.role(keys.Operator), "GET", path, nil).Text("0.id")
		return id != ""
	})
	return id
}

func (s shop) show(t *testing.T, id string) harness.Answer {
	t.Helper()
	return s.must(t, 200, s.role(keys.Operator), "GET", "/requests/"+id, nil)
}

// letters are those to an address, the newest first.
func (s shop) letters(t *testing.T, to string) []mailpage.Mail {
	t.Helper()
	a := ask(t, "", "GET", s.Mail+"?format=json", nil)
	var all []mailpage.Mail
	if err := json.Unmarshal(a.Body, &all); err != nil {
		t.Fatalf("the page of letters: %d %v", a.Status, err)
	}
	return slices.DeleteFunc(all, func(m mailpage.Mail) bool {
		return !slices.ContainsFunc(m.To, func(one string) bool { return strings.Contains(one, to) })
	})
}

// letter waits for a letter of this subject about a request.
func (s shop) letter(t *testing.T, id, to, subject string) mailpage.Mail {
	t.Helper()
	var found mailpage.Mail
	eventually(t, "the letter "+subject+" to "+to, func() bool {
		for _, m := range s.letters(t, to) {
			if m.Subject == subject && strings.Contains(m.Text, id) {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func link(m mailpage.Mail) string { return harness.Mail{Text: m.Text}.Link() }

// press is the button of a page that a mailed link has opened. Looking at the
// page, as scanners of mail do, changes nothing.
func (s shop) press(t *testing.T, address string) harness.Answer {
	t.Helper()
	shown := ask(t, "", "GET", address, nil)
	if shown.Status != 200 || shown.Header.Get("Cache-Control") != "no-store" || shown.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Fatalf("the page of the link: %d %v", shown.Status, shown.Header)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader("action=confirm"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return send(t, r)
}

// identify opens the link of the latest letter and confirms.
func (s shop) identify(t *testing.T, id, to, subject string) {
	t.Helper()
	if got := s.press(t, link(s.letter(t, id, to, subject))); got.Status != 200 {
		t.Fatalf("the link: %d %s", got.Status, got.Body)
	}
}

// until waits for one of these states, and lets the people of the company do
// what each takes: approve, work by hand, release.
func (s shop) until(t *testing.T, id string, want ...request.State) harness.Answer {
	t.Helper()
	var seen harness.Answer
	var state request.State
	eventually(t, "request "+id+" becomes "+string(want[0]), func() bool {
		seen = s.show(t, id)
		state = request.State(seen.Text("state"))
		if slices.Contains(want, state) {
			return true
		}
		if state.Ended() {
			t.Fatalf("request %s is %s, not %s", id, state, want)
		}
		s.work(t, id, seen)
		return false
	})
	return seen
}

// finish works on requests until all have ended.
func (s shop) finish(t *testing.T, ids []string) {
	t.Helper()
	open := slices.Clone(ids)
	defer func() {
		if t.Failed() {
			for _, id := range open {
				t.Logf("still open: %s", s.show(t, id).Body)
				t.Logf("its log: %s", s.must(t, 200, s.role(keys.Officer), "GET", "/requests/"+id+"/log", nil).Body)
			}
		}
	}()
	eventually(t, "all requests have ended", func() bool {
		open = slices.DeleteFunc(open, func(id string) bool {
			seen := s.show(t, id)
			s.work(t, id, seen)
			return request.State(seen.Text("state")).Ended()
		})
		return len(open) == 0
	})
}

// work does what waits for somebody. What has changed meanwhile is left to the
// next time.
func (s shop) work(t *testing.T, id string, seen harness.Answer) {
	t.Helper()
	officer, path := s.role(keys.Officer), "/requests/"+id
	switch request.State(seen.Text("state")) {
	case request.WaitingApproval:
		plan := s.must(t, 200, officer, "GET", path+"/plan", nil)
		s.act(t, officer, path+"/approve", object{"digest": plan.Text("digest"), "why": "read"})
	case request.WaitingRelease:
		s.act(t, officer, path+"/release", object{"package": seen.Text("package.digest"), "why": "read"})
	}
	if n, _ := seen.Get("open_tasks").(float64); n > 0 {
		s.decideAll(t, id)
	}
}

// act is a decision that somebody else may have been faster with.
func (s shop) act(t *testing.T, key, path string, body object) {
	t.Helper()
	if a := s.do(t, key, "POST", path, body); a.Status != 200 && a.Status != 409 {
		t.Fatalf("POST %s: %d %s", path, a.Status, a.Body)
	}
}

// document is a scan of what somebody has signed.
var document = object{"document": "c2hyZWRkZWQ="}

// task is what waits for a person.
type task struct {
	ID, Kind, System, Reason string
	Decided                  *string
	Choices                  []request.Act
}

// tasks are those of a request that nobody has decided yet.
func (s shop) tasks(t *testing.T, id string) []task {
	t.Helper()
	var all []task
	a := s.must(t, 200, s.role(keys.Operator), "GET", "/requests/"+id+"/tasks", nil)
	if err := json.Unmarshal(a.Body, &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(one task) bool { return one.Decided != nil })
}

// decideAll works on the open tasks: what is to be done by hand is done, and
// what has failed is tried again.
func (s shop) decideAll(t *testing.T, id string) {
	t.Helper()
	for _, task := range s.tasks(t, id) {
		t.Logf("task of %s for %s: %s", task.Kind, task.System, task.Reason)
		body := object{"decision": request.Done, "why": "by hand", "evidence": document}
		switch {
		case task.Kind == string(request.TaskCandidate):
			body = object{"decision": request.Reject, "why": "another person"}
		case task.System != vendors.Message && slices.Contains(task.Choices, request.Retry):
			body = object{"decision": request.Retry, "why": "again"}
		}
		s.act(t, s.role(keys.Operator), "/requests/"+id+"/tasks/"+task.ID, body)
	}
}

// fake reads what a fake holds.
func (s shop) fake(t *testing.T, name string, state any) {
	t.Helper()
	a := ask(t, "", "GET", s.Fakes[name]+"/_fake/state", nil)
	if err := json.Unmarshal(a.Body, state); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// desk is what Zendesk Support holds of a person.
func (s shop) desk(t *testing.T, email string) (u support.User, tickets int) {
	t.Helper()
	var state support.State
	s.fake(t, vendors.Support, &state)
	for _, one := range state.Users {
		if slices.ContainsFunc(one.Identities, func(i support.Identity) bool { return i.Value == email }) {
			u = one
		}
	}
	for _, one := range state.Tickets {
		if u.ID != 0 && one.Requester == u.ID {
			tickets++
		}
	}
	return u, tickets
}

// forgotten fails the test when a request that has ended still knows its person.
func (s shop) forgotten(t *testing.T, id string, p person) {
	t.Helper()
	eventually(t, "request "+id+" forgets the person", func() bool {
		return !bytes.Contains(s.show(t, id).Body, []byte(p.email))
	})
}

// verifierDir is where scripts/verify is built, "" while nobody has needed it.
var verifierDir string

// verifier is scripts/verify as a company gives it away.
var verifier = sync.OnceValues(func() (string, error) {
	var err error
	if verifierDir, err = os.MkdirTemp("", "verify"); err != nil {
		return "", err
	}
	path := filepath.Join(verifierDir, "verify")
	out, err := exec.Command("go", "build", "-o", path, "github.com/avow-consent/avow/scripts/verify").CombinedOutput()
	if err != nil {
		return string(out), err
	}
	return path, nil
})

// verify runs it on files with these contents.
func verify(t *testing.T, name string, body []byte, more ...string) string {
	t.Helper()
	command, err := verifier()
	if err != nil {
		t.Fatalf("building scripts/verify: %v %s", err, command)
	}
	file := write(t, name, body)
	out, err := exec.Command(command, append([]string{file}, more...)...).CombinedOutput()
	if err != nil {
		t.Errorf("verify %s: %v\n%s", name, err, out)
	}
	return string(out)
}

func write(t *testing.T, name string, body []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// unpack reads the files of a package, after scripts/verify has.
func unpack(t *testing.T, body []byte, digest string) map[string]string {
	t.Helper()
	verify(t, "package.zip", body, "-digest", digest)
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
		files[f.Name] = string(text)
	}
	return files
}

// holdsConsents wants the consents of a person in their package, each with the
// exact notices of the shop.
func holdsConsents(t *testing.T, files map[string]string, ids []string) {
	t.Helper()
	for _, id := range ids {
		if !strings.Contains(files["data/ledger.json"], id) {
			t.Errorf("consent %s is not in the package: %v", id, slices.Sorted(mapKeys(files)))
		}
	}
	for _, n := range demo.Notices() {
		for language, want := range n.Content {
			found := false
			for name, text := range files {
				found = found || strings.HasPrefix(name, "files/ledger/") && strings.Contains(name, n.Identifier) && text == want
			}
			if !found {
				t.Errorf("the wording of %s in %s is not in the package", n.Identifier, language)
			}
		}
	}
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}
