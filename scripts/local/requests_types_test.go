package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/avow-consent/avow/internal/connector/company/vendors"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
)

// Each type of request on the whole stack, from the first letter to the close.
// The demo's systems are the ledger, the products of Zendesk, and an inbox that
// only people reach; a day lasts a second.
func TestRequests(t *testing.T) {
	t.Parallel()
	s := shop{process: launch(t, checkout(t), "-policy", "fast"), ends: &ends{}}
	tests := map[string]struct {
		long bool // not with -short
		run  func(*testing.T, shop)
	}{
		"access":                 {false, access},
		"access by the web form": {true, accessByForm},
		"portability":            {true, portability},
		"portability to others":  {true, handover},
		"rectification":          {true, rectification},
		"erasure":                {false, erasure},
		"restriction":            {true, restriction},
		"objection":              {false, objection},
		"opt-out of sale, ccpa":  {true, optOut},
		"access, ccpa":           {true, ccpa},
		"legal disclosure":       {true, disclosure},
		"withdrawn":              {true, withdrawn},
		"flags follow":           {true, follows},
		"refused":                {true, refused},
		"held and released":      {true, held},
		"extended":               {true, extended},
		"unproven":               {true, unproven},
		"people nobody knows":    {true, unknown},
		"links":                  {true, links},
	}
	t.Run("first", func(t *testing.T) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if test.long && testing.Short() {
					t.Skip("the long ones run with make test-full")
				}
				test.run(t, s)
			})
		}
	})
	// What takes a month or two is waited for once, by all.
	s.finish(t, s.ends.ids)
	for _, end := range s.ends.list {
		t.Run("last/"+end.name, func(t *testing.T) { end.run(t) })
	}
}

// ends are what tests have to wait for at the end.
type ends struct {
	mu   sync.Mutex
	ids  []string // of requests
	list []end
}

type end struct {
	name string
	run  func(*testing.T)
}

// later leaves something to the end of all tests, when the request has ended.
func (s shop) later(t *testing.T, id string, run func(*testing.T)) {
	if testing.Short() {
		return
	}
	s.ends.mu.Lock()
	defer s.ends.mu.Unlock()
	s.ends.ids = append(s.ends.ids, id)
	s.ends.list = append(s.ends.list, end{t.Name()[strings.LastIndexByte(t.Name(), '/')+1:], run})
}

// closes wants a request to close by itself and to forget its person.
func (s shop) closes(t *testing.T, id string, p person) {
	s.later(t, id, func(t *testing.T) {
		s.until(t, id, request.Closed)
		s.forgotten(t, id, p)
	})
}

// download fetches a package by the page that a mailed link opens.
func (s shop) download(t *testing.T, address, digest string) map[string]string {
	t.Helper()
	got := s.press(t, address)
	if got.Status != http.StatusSeeOther {
		t.Fatalf("the link to the package: %d %s", got.Status, got.Body)
	}
	return unpack(t, ask(t, "", "GET", got.Header.Get("Location"), nil).Body, digest)
}

func access(t *testing.T, s shop) {
	p := customer(0)
	ids := s.consents(t, p)
	id := s.open(t, request.Access, p, nil)
	s.letter(t, id, p.email, "Your request has arrived")
	ready := s.until(t, id, request.WaitingRelease)
	read := s.must(t, 200, s.role(keys.Officer), "GET", "/requests/"+id+"/package", nil)
	digest := ready.Text("package.digest")
	unpack(t, ask(t, "", "GET", read.Text("url"), nil).Body, digest)
	s.until(t, id, request.Answered)

	files := s.download(t, link(s.letter(t, id, p.email, "Your personal data")), digest)
	holdsConsents(t, files, ids)
	if !strings.Contains(files["index.html"], `lang="en"`) || strings.Contains(files["index.html"], "<script") {
		t.Errorf("the first page: %.300s", files["index.html"])
	}
	if !strings.Contains(files["data/zendesk-support.json"], p.phone) {
		t.Errorf("what the help desk holds is not in the package: %.300s", files["data/zendesk-support.json"])
	}
	s.closes(t, id, p)
}

func accessByForm(t *testing.T, s shop) {
	p := customer(1)
	ids := s.consents(t, p)
	s.form(t, request.Access, p, object{"language": "fr", "residence": "FR"})
	id := s.mine(t, p)
	if a := s.do(t, s.role(keys.Officer), "GET", "/requests/"+id+"/plan", nil); a.Status == 200 {
		t.Errorf("there is a plan before anybody has proven who they are: %s", a.Body)
	}
	s.identify(t, id, p.email, "Merci de confirmer votre demande")
	ready := s.until(t, id, request.Answered)
	files := s.download(t, link(s.letter(t, id, p.email, "Vos données personnelles")), ready.Text("package.digest"))
	holdsConsents(t, files, ids)
	if !strings.Contains(files["index.html"], `lang="fr"`) {
		t.Errorf("the first page: %.300s", files["index.html"])
	}
	s.closes(t, id, p)
	if log := s.must(t, 200, s.role(keys.Viewer), "GET", "/requests/"+id+"/log?limit=100", nil); !bytes.Contains(log.Body, []byte(`"fetch"`)) || bytes.Contains(log.Body, []byte(p.email)) {
		t.Errorf("the log: %s", log.Body)
	}
}

func portability(t *testing.T, s shop) {
	p := customer(2)
	ids := s.consents(t, p)
	id := s.open(t, request.Portability, p, object{"language": "fr"})
	ready := s.until(t, id, request.Answered)
	files := s.download(t, link(s.letter(t, id, p.email, "Vos données personnelles, prêtes à emporter")), ready.Text("package.digest"))
	if !strings.Contains(files["data/ledger.json"], ids[0]) || !json.Valid([]byte(files["data/ledger.json"])) {
		t.Errorf("the consents: %.300s", files["data/ledger.json"])
	}
	s.closes(t, id, p)
}

// handover gives the data to another organisation, and tells the person.
func handover(t *testing.T, s shop) {
	p := customer(3)
	s.consents(t, p)
	const other = "intake@other-shop.example.test"
	id := s.open(t, request.Portability, p, object{"recipient": other})
	ready := s.until(t, id, request.Answered)
	files := s.download(t, link(s.letter(t, id, other, "Personal data that a person asked us to give to you")), ready.Text("package.digest"))
	if !strings.Contains(files["data/ledger.json"], p.email) {
		t.Errorf("the data: %.300s", files["data/ledger.json"])
	}
	if m := s.letter(t, id, p.email, "Your personal data, ready to take along"); !strings.Contains(m.Text, other) || link(m) != "" {
		t.Errorf("the letter to the person: %s", m.Text)
	}
	s.closes(t, id, p)
}

func rectification(t *testing.T, s shop) {
	p := customer(4)
	s.consents(t, p)
	const number = "+33140205050"
	id := s.open(t, request.Rectification, p, object{"changes": []object{
		{"field": "phone", "old": p.phone, "new": number}, {"field": "last_name", "new": "Rossi-Meyer"},
	}})
	s.until(t, id, request.Answered, request.Closed)
	if m := s.letter(t, id, p.email, "Your data has been corrected"); !strings.Contains(m.Text, number) {
		t.Errorf("the letter does not say what was corrected: %s", m.Text)
	}
	eventually(t, "the ledger has the new name", func() bool {
		return s.must(t, 200, s.PrivateKey, "GET", "/subjects/"+p.id, nil).Text("last_name") == "Rossi-Meyer"
	})
	if u, _ := s.desk(t, p.email); u.Phone != number {
		t.Errorf("the help desk has %q", u.Phone)
	}
	s.closes(t, id, p)
}

func erasure(t *testing.T, s shop) {
	p := customer(6)
	ids := s.consents(t, p)
	before, _ := s.desk(t, p.email)
	if before.ID == 0 {
		t.Fatal("the help desk does not know the person")
	}
	id := s.open(t, request.Erasure, p, object{"identity": object{"method": "email"}})
	s.identify(t, id, p.email, "Please confirm your request")
	s.until(t, id, request.Answered, request.Reverifying)
	s.letter(t, id, p.email, "Your data has been deleted")
	s.gone(t, p, ids)
	first := s.certificate(t, id, p)
	s.later(t, id, func(t *testing.T) {
		closed := s.until(t, id, request.Closed)
		s.forgotten(t, id, p)
		s.gone(t, p, ids)
		last := s.certificate(t, id, p)
		if final, _ := closed.Get("certificate.final").(bool); !final || bytes.Equal(first, last) {
			t.Errorf("the last certificate: %s", closed.Body)
		}
	})
}

// gone wants nothing of a person to be left, wherever somebody might look.
func (s shop) gone(t *testing.T, p person, ids []string) {
	t.Helper()
	for _, path := range []string{"/subjects/" + p.id, "/subjects/" + p.id + "/consent/last", "/consent/" + ids[0], "/consent/" + ids[1]} {
		if a := s.do(t, s.PrivateKey, "GET", path, nil); a.Status != 404 {
			t.Errorf("GET %s: %d %s", path, a.Status, a.Body)
		}
	}
	for _, path := range []string{"/consent?subject_email_exact=", "/consent?subject_email=", "/subjects?email="} {
		if a := s.do(t, s.PrivateKey, "GET", path+p.email, nil); bytes.Contains(a.Body, []byte(p.email)) {
			t.Errorf("GET %s: %d %s", path, a.Status, a.Body)
		}
	}
	if granted, reason := s.decides(t, p, "newsletter"); granted || reason != "never_asked" {
		t.Errorf("decide says %v, %s", granted, reason)
	}
	if u, tickets := s.desk(t, p.email); u.ID != 0 || tickets > 0 {
		t.Errorf("the help desk has %+v and %d tickets", u, tickets)
	}
}

// certificate fetches the latest certificate and checks it offline.
func (s shop) certificate(t *testing.T, id string, p person) []byte {
	t.Helper()
	public := ask(t, "", "GET", s.API+"/keys", nil)
	text := s.must(t, 200, s.role(keys.Viewer), "GET", "/requests/"+id+"/certificate", nil).Body
	said := verify(t, "certificate.json", text, "-key", write(t, "keys.json", public.Body))
	for system, outcome := range map[string]string{
		"ledger": "erased", vendors.Chat: "erased", vendors.Messaging: "erased", vendors.Support: "erased", vendors.Message: "by_hand",
		vendors.Zoom: "(erased|nothing)", vendors.Genesys: "erased", vendors.Salesforce: "erased",
	} {
		if !regexp.MustCompile(`(?m)^  ` + system + ` +` + outcome).MatchString(said) {
			t.Errorf("%s is not %s: %s", system, outcome, said)
		}
	}
	for _, word := range []string{p.email, p.name, p.id, p.phone} {
		if bytes.Contains(bytes.ToLower(text), []byte(strings.ToLower(word))) {
			t.Errorf("the certificate names the person: %s", word)
		}
	}
	return text
}

func restriction(t *testing.T, s shop) {
	p := customer(7)
	s.consents(t, p)
	id := s.open(t, request.Restriction, p, nil)
	s.until(t, id, request.Answered, request.Closed)
	if granted, reason := s.decides(t, p, "newsletter"); granted || reason != "restricted" {
		t.Errorf("decide says %v, %s", granted, reason)
	}
	s.letter(t, id, p.email, "The use of your data is restricted")
	if u, _ := s.desk(t, p.email); !u.Suspended {
		t.Error("the help desk does not know of the restriction")
	}
	s.closes(t, id, p)
}

// objection counts from the moment it is made, by whoever makes it.
func objection(t *testing.T, s shop) {
	p := customer(8)
	s.consents(t, p)
	if granted, reason := s.decides(t, p, "newsletter"); !granted {
		t.Fatalf("decide says no at first: %s", reason)
	}
	s.form(t, request.Objection, p, object{"language": "en"})
	if granted, reason := s.decides(t, p, "newsletter"); granted {
		t.Errorf("decide says yes after the objection: %s", reason)
	}
	id := s.mine(t, p)
	s.identify(t, id, p.email, "Please confirm your request")
	s.until(t, id, request.Answered, request.Closed)
	s.letter(t, id, p.email, "Your objection")
	if granted, reason := s.decides(t, p, "newsletter"); granted || reason != "objected" {
		t.Errorf("decide says %v, %s", granted, reason)
	}
	s.closes(t, id, p)
}

func optOut(t *testing.T, s shop) {
	p := customer(9)
	s.consents(t, p)
	id := s.open(t, request.Objection, p, object{"residence": "US-CA"})
	if granted, _ := s.decides(t, p, "profiling"); granted {
		t.Error("what is sold or shared is still granted after the opt-out")
	}
	if granted, reason := s.decides(t, p, "newsletter"); !granted {
		t.Errorf("the opt-out has ended the newsletter as well: %s", reason)
	}
	if got := s.until(t, id, request.Closed); got.Text("regime") != "ccpa" {
		t.Errorf("the regime is %s", got.Text("regime"))
	}
	s.letter(t, id, p.email, "Your objection")
}

// ccpa has a clock of its own: the receipt confirmed in ten business days, the
// answer in 45 days.
func ccpa(t *testing.T, s shop) {
	p := customer(10)
	s.consents(t, p)
	id := s.open(t, request.Access, p, object{"residence": "US-CA"})
	european := s.open(t, request.Access, customer(11), nil)
	got, other := s.show(t, id), s.show(t, european)
	if got.Text("clock.acknowledge") == "" || other.Text("clock.acknowledge") != "" || other.Text("regime") != "gdpr" {
		t.Errorf("the clocks: %v and %v", got.Get("clock"), other.Get("clock"))
	}
	days := func(a harness.Answer) float64 { return a.Get("clock.days_left").(float64) }
	if days(got) <= days(other) {
		t.Errorf("%v days are left under the CCPA, %v under the GDPR", days(got), days(other))
	}
	s.letter(t, id, p.email, "Your request has arrived")
	s.closes(t, id, p)
	s.closes(t, european, customer(11))
}

// disclosure is read by an officer, and nobody writes to the person.
func disclosure(t *testing.T, s shop) {
	p := customer(12)
	ids := s.consents(t, p)
	id := s.open(t, request.Disclosure, p, object{"identity": nil, "authority": "Tribunal judiciaire de Paris", "ground": "Art. 60-1 CPP"})
	s.until(t, id, request.Answered)
	read := s.must(t, 200, s.role(keys.Officer), "GET", "/requests/"+id+"/package", nil)
	holdsConsents(t, unpack(t, ask(t, "", "GET", read.Text("url"), nil).Body, read.Text("digest")), ids)
	s.later(t, id, func(t *testing.T) {
		if all := s.letters(t, p.email); len(all) > 0 {
			t.Errorf("%d letters to the person", len(all))
		}
	})
	s.closes(t, id, p)
}

func withdrawn(t *testing.T, s shop) {
	p := customer(13)
	ids := s.consents(t, p)
	id := s.open(t, request.Erasure, p, nil)
	eventually(t, "there is a plan", func() bool { return s.show(t, id).Text("state") == string(request.WaitingApproval) })
	s.must(t, 200, s.role(keys.Operator), "POST", "/requests/"+id+"/cancel", object{"reason": "the person has called"})
	s.letter(t, id, p.email, "You have withdrawn your request")
	s.until(t, id, request.Withdrawn)
	s.must(t, 200, s.PrivateKey, "GET", "/consent/"+ids[0], nil)
	s.forgotten(t, id, p)
}

func refused(t *testing.T, s shop) {
	p := customer(14)
	ids := s.consents(t, p)
	id := s.open(t, request.Erasure, p, object{"language": "fr"})
	if a := s.do(t, s.role(keys.Operator), "POST", "/requests/"+id+"/refuse", object{"ground": "x", "reason": "y"}); a.Status != 403 {
		t.Errorf("an operator refuses: %d %s", a.Status, a.Body)
	}
	s.must(t, 200, s.role(keys.Officer), "POST", "/requests/"+id+"/refuse", object{"ground": "Art. 12(5) GDPR", "reason": "La même demande a eu sa réponse la semaine dernière."})
	if m := s.letter(t, id, p.email, "Notre réponse à votre demande"); !strings.Contains(m.Text, "Art. 12(5)") || !strings.Contains(m.Text, "CNIL") {
		t.Errorf("the letter: %s", m.Text)
	}
	s.until(t, id, request.Refused)
	s.must(t, 200, s.PrivateKey, "GET", "/consent/"+ids[0], nil)
	s.forgotten(t, id, p)
}

// held stops the deletion, not the clock: the person is told in time.
func held(t *testing.T, s shop) {
	p := customer(15)
	ids := s.consents(t, p)
	id := s.open(t, request.Erasure, p, nil)
	officer := s.role(keys.Officer)
	s.must(t, 200, officer, "POST", "/requests/"+id+"/hold", object{"ground": "Art. 17(3)(e) GDPR", "reason": "a claim is pending"})
	eventually(t, "the request is held", func() bool { return s.show(t, id).Text("state") == string(request.OnHold) })
	if m := s.letter(t, id, p.email, "About the deletion of your data"); !strings.Contains(m.Text, "Art. 17(3)(e)") {
		t.Errorf("the letter: %s", m.Text)
	}
	s.must(t, 200, s.PrivateKey, "GET", "/consent/"+ids[0], nil)
	s.must(t, 200, officer, "POST", "/requests/"+id+"/release", object{"hold": true, "why": "the claim is settled"})
	s.until(t, id, request.Answered, request.Reverifying, request.Closed)
	s.letter(t, id, p.email, "Your data has been deleted")
	s.gone(t, p, ids)
	s.closes(t, id, p)
}

func extended(t *testing.T, s shop) {
	p := customer(16)
	s.consents(t, p)
	id := s.open(t, request.Access, p, object{"language": "fr"})
	before := s.show(t, id)
	after := s.must(t, 200, s.role(keys.Officer), "POST", "/requests/"+id+"/extend", object{"reason": "Douze classeurs sont à lire."})
	if after.Text("clock.due") <= before.Text("clock.due") {
		t.Errorf("due %s after the extension, %s before", after.Text("clock.due"), before.Text("clock.due"))
	}
	if m := s.letter(t, id, p.email, "Il nous faut plus de temps pour votre demande"); !strings.Contains(m.Text, "Douze classeurs") {
		t.Errorf("the letter: %s", m.Text)
	}
	if a := s.do(t, s.role(keys.Officer), "POST", "/requests/"+id+"/extend", object{"reason": "Encore."}); a.Status != 409 {
		t.Errorf("a second extension: %d %s", a.Status, a.Body)
	}
	s.closes(t, id, p)
}

// unproven is a request that nobody ever confirms: it ends by itself, and leaves
// nothing of whoever was named in it.
func unproven(t *testing.T, s shop) {
	p := customer(17)
	ids := s.consents(t, p)
	s.form(t, request.Erasure, p, nil)
	id := s.mine(t, p)
	s.letter(t, id, p.email, "Please confirm your request")
	s.later(t, id, func(t *testing.T) {
		s.until(t, id, request.Refused)
		s.must(t, 200, s.PrivateKey, "GET", "/consent/"+ids[0], nil)
		s.forgotten(t, id, p)
	})
}

// unknown: the form says the same to everybody.
func unknown(t *testing.T, s shop) {
	known, stranger := customer(18), person{"", "No Body", "no.body@example.test", ""}
	s.consents(t, known)
	a, b := s.form(t, request.Access, known, nil), s.form(t, request.Access, stranger, nil)
	for _, name := range []string{"Date", "X-Request-Id", "Apigw-Requestid"} {
		a.Header.Del(name)
		b.Header.Del(name)
	}
	if !bytes.Equal(a.Body, b.Body) || !slices.Equal(names(a.Header), names(b.Header)) {
		t.Errorf("a person who is known reads %s %v, another one %s %v", a.Body, a.Header, b.Body, b.Header)
	}
	id := s.mine(t, stranger)
	s.identify(t, id, stranger.email, "Please confirm your request")
	ready := s.until(t, id, request.Answered)
	files := s.download(t, link(s.letter(t, id, stranger.email, "Your personal data")), ready.Text("package.digest"))
	if strings.Contains(files["data/ledger.json"], "@example.test") {
		t.Errorf("a stranger reads %s", files["data/ledger.json"])
	}
}

func names(h http.Header) []string {
	var list []string
	for name := range h {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// links: a link that was used shows the same page again, and a guessed one
// nothing.
func links(t *testing.T, s shop) {
	p := customer(19)
	s.form(t, request.Restriction, p, nil)
	id := s.mine(t, p)
	address := link(s.letter(t, id, p.email, "Please confirm your request"))
	if got := ask(t, "", "GET", address[:len(address)-4]+"AAAA", nil); got.Status != 404 {
		t.Errorf("a guessed link: %d", got.Status)
	}
	first := s.press(t, address)
	again := ask(t, "", "POST", address, nil)
	if first.Status != 200 || again.Status != 200 || !bytes.Equal(first.Body, again.Body) {
		t.Errorf("the button twice: %d and %d", first.Status, again.Status)
	}
	s.closes(t, id, p)
}
