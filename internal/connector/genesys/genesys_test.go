package genesys_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/genesys"
	"github.com/avow-consent/avow/internal/connector/genesys/fake"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

var phone = conformance.By(identity.Phone, "+33655000101")

// Calls per customer and per employee who is located, exported, corrected,
// erased and looked for again. Most look after requests that take three days.
func TestCalls(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		subject connector.Subject
		want    map[string]int
	}{
		"customer": {conformance.Person(company.Ines), map[string]int{"locate": 4, "export": 105, "rectify": 99, "erase": 99, "verify": 3}},
		"employee": {employee(company.Agent), map[string]int{"locate": 6, "export": 18, "rectify": 17, "erase": 19, "verify": 2}},
	} {
		a := newOrg(t, "", fake.Options{})
		before, calls := 0, map[string]int{}
		spent := func(what string) {
			n := len(a.Calls())
			calls[what], before = n-before, n
		}
		_, s := a.locate(tt.subject)
		spent("locate")
		a.must(connector.Export, s)
		spent("export")
		a.must(connector.Rectify, s, connector.Change{Field: "phone", Old: "+33655000101", New: "+33655000199"})
		spent("rectify")
		a.must(connector.Erase, s)
		spent("erase")
		if r := a.verify(s); len(r.Counts) > 0 {
			t.Errorf("%s: %+v", name, r)
		}
		spent("verify")
		t.Logf("%s: %v", name, calls)
		if diff := cmp.Diff(tt.want, calls); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// One person is several subjects; a number that others may have is for an
// operator to judge, with a contact and without.
func TestLocate(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{PageSize: 1})
	f, s := a.locate(conformance.Person(company.Ines))
	want := map[string]int{"external_contacts": 1, "campaign_contacts": 1, "visitors": 1, "social_handles": 1}
	if diff := cmp.Diff(want, f.Counts); diff != "" || len(s.Identifiers) != 6 || len(f.Candidates) != 0 {
		t.Errorf("%s %d identifiers, %+v", diff, len(s.Identifiers), f.Candidates)
	}
	s = conformance.Person(company.Leo)
	s.Identifiers = append(s.Identifiers, conformance.By(identity.Phone, company.Shared))
	if f, _ = a.locate(s); len(f.Candidates) != 1 || !strings.Contains(f.Candidates[0].Evidence, "same telephone number") { // Mo
		t.Errorf("%+v", f.Candidates)
	}
	s = conformance.Person(company.Ines)
	s.Identifiers = append(s.Identifiers, phone)
	f, s = a.locate(s)
	if len(f.Candidates) != 1 || f.Candidates[0].Identifier.Kind != "genesys.number" {
		t.Fatalf("%+v", f.Candidates)
	}
	p, _ := a.must(connector.Export, s)
	without := p.Counts["requests"]
	accepted := f.Candidates[0].Identifier
	accepted.Trust = identity.Public // as the engine keeps it: the operator has decided
	s.Identifiers = append(s.Identifiers, accepted)
	if p, _ = a.must(connector.Export, s); p.Counts["requests"] != without+1 {
		t.Errorf("%d requests with the number, %d without", p.Counts["requests"], without)
	}
	if f, again := a.locate(connector.Subject{Identifiers: []identity.Identifier{accepted}}); f.Counts["numbers"] != 1 || len(again.Identifiers) != 1 || len(f.Candidates) != 2 {
		t.Errorf("a number that was accepted takes records with it: %+v", f)
	}
	only := connector.Subject{Identifiers: []identity.Identifier{accepted}}
	if r := a.verify(only); r.Counts["numbers"] != 1 || len(r.Counts) != 1 {
		t.Errorf("%+v", r)
	}
	a.Change(func(d *fake.Data) { d.Hidden = true })
	if f, _ = a.locate(conformance.Person(company.Ines)); len(f.Counts) != 0 || len(f.Candidates) == 0 {
		t.Errorf("what does not show the address is taken for the person's: %+v", f)
	}
	if f, _ = a.locate(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.Name, "inès martin")}}); len(f.Counts) != 0 || len(f.Candidates) != 3 {
		t.Errorf("by name: %+v", f)
	}
}

// An end user is never acted on by a user id, an employee only by that.
func TestLocate_employees(t *testing.T) {
	t.Parallel()
	a := newOrg(t, `"chat_retention_days":90`, fake.Options{})
	f, s := a.locate(conformance.Person(company.Agent))
	if len(f.Counts)+len(f.Identifiers) != 0 || len(f.Notes) != 1 {
		t.Errorf("an end user with an employee's address: %+v", f)
	}
	s.Identifiers = append(s.Identifiers, conformance.By("genesys.user_id", fake.UserID(1)))
	for _, op := range []connector.Operation{connector.Erase, connector.Export} {
		p, err := a.drive(connector.Call{Operation: op, Subject: s, Out: &conformance.Recorder{}})
		if err != nil || p.Ask == nil || fakekit.Count(a.Calls(), "POST /gdpr/requests") != 0 {
			t.Errorf("%s: a request by an employee's address: %+v, %v", op, p, err)
		}
	}
	if r := a.verify(employee(company.Agent)); r.Counts["users"] != 1 {
		t.Errorf("the employee is gone: %+v", r)
	}
	f, s = a.locate(employee(company.Agent))
	if f.Counts["users"] != 1 || len(f.Notes) != 2 || !strings.Contains(f.Notes[0]+f.Notes[1], "says that messages are kept for 90 days, Genesys has 365") {
		t.Errorf("%+v", f)
	}
	s.Identifiers = append(s.Identifiers, conformance.By("genesys.external_contact_id", fake.ContactID(company.People()[0])))
	a.must(connector.Erase, s)
	if r := a.verify(conformance.Person(company.Ines)); r.Counts["external_contacts"] != 1 {
		t.Errorf("a customer is gone with the employee: %+v", r)
	}
}

// Traps of the vendor.

func TestStart_sendsNothing(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	n := len(a.Calls())
	for _, op := range []connector.Operation{connector.Export, connector.Erase, connector.Rectify} {
		p, err := a.c.Start(t.Context(), connector.Call{Operation: op, Subject: s, Now: a.Now(), Changes: []connector.Change{{Field: "name", Old: "a", New: "b"}}})
		if err != nil || p.Handle == "" || len(a.Calls()) != n || strings.Contains(p.Handle, "@") || strings.Contains(p.Handle, "contact-") {
			t.Errorf("%s: %+v, %v, %d calls", op, p, err, len(a.Calls())-n)
		}
	}
	if _, err := a.c.Start(t.Context(), connector.Call{Operation: connector.Restrict, Subject: s}); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
}

// Each request names one identifier; five at most are made at a time; a request
// that was made without our hearing of it is taken up.
func TestRequests_onePerIdentifier(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	call := connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()}
	p, err := a.c.Start(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	first := p.Handle
	call.Handle = first
	if p, err = a.c.Poll(t.Context(), call); err != nil || fakekit.Count(a.Calls(), "POST /gdpr/requests?deleteConfirmed=true") != 5 {
		t.Fatalf("%v, %d", err, fakekit.Count(a.Calls(), "POST /gdpr/requests"))
	}
	call.Handle = first // nobody has heard of the five
	for range 2 {
		if p, err = a.c.Poll(t.Context(), call); err != nil {
			t.Fatal(err)
		}
		call.Handle = p.Handle
	}
	if n := fakekit.Count(a.Calls(), "POST /gdpr/requests"); n != 6 {
		t.Errorf("%d requests", n)
	}
	a.Change(func(d *fake.Data) {
		for _, r := range d.Requests {
			text, _ := json.Marshal(r.Subject)
			if !r.Confirmed || strings.Count(string(text), ":")-strings.Count(string(text), "{") > 1 || r.Subject.Name != "" {
				t.Errorf("a request names more than one identifier: %s", text)
			}
		}
	})
}

func TestRectify(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.must(connector.Rectify, s, connector.Change{Field: "phone", Old: "+33655000101", New: "+33655000199"}, connector.Change{Field: "email", Old: company.Ines, New: "ines.new@example.test"})
	if state := a.State(); strings.Count(state, "ines.new@example.test") != 4 || strings.Contains(state, `"externalContactId":"contact-1000","externalId":"customer-1001","phoneNumbers":["+33655000101"]`) {
		t.Errorf("%s", state)
	}
	p, err := a.drive(connector.Call{Operation: connector.Rectify, Subject: s, Changes: []connector.Change{{Field: "phone", Old: "+33655000199", New: "+33655000101"}, {Field: "shoe_size", New: "40"}}})
	if err != nil || p.Ask == nil || p.Counts["subjects"] == 0 {
		t.Errorf("what Genesys cannot correct is no task: %+v, %v", p, err)
	}
	n := len(a.Calls())
	if p, err = a.drive(connector.Call{Operation: connector.Rectify, Subject: s, Changes: []connector.Change{{Field: "name", New: "Added"}}}); err != nil || p.Ask == nil || len(a.Calls()) != n {
		t.Errorf("%+v, %v", p, err)
	}
}

// What others wrote is in no package: neither a colleague's messages nor an
// agent's answers. For an authority, each participant has a request.
func TestExport_nobodyElsesMessages(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	for email, tt := range map[string]struct{ own, others string }{
		company.Ines: {"where is my order?", "SAM-ANSWER"}, company.Agent: {"lunch at noon?", "KIM-SECRET"}, "kim.agent@example.test": {"KIM-SECRET", "lunch"},
	} {
		s := conformance.Person(email)
		s.Agent = email != company.Ines
		_, s = a.locate(s)
		p, out := a.must(connector.Export, s)
		text := strings.Join(out.Records["record"], "\n")
		if !strings.Contains(text, tt.own) || strings.Contains(text, tt.others) || len(out.Files) != 0 || p.Counts["held_but_not_shown"] == 0 {
			t.Errorf("%s: %s, %+v", email, text, p.Counts)
		}
		if email == company.Ines && (p.Counts["left_out"] != 1 || len(out.Records["left_out"]) != 1) {
			t.Errorf("%+v", p.Counts)
		}
	}
	a = newOrg(t, `"files":true`, fake.Options{})
	_, s := a.locate(employee(company.Agent))
	if _, out := a.must(connector.Export, s); out.Files["r-1001-0-recording.wav"] == 0 {
		t.Errorf("%+v", out.Files)
	}
}

// Results are fetched with a link that is fresh and without our token, which
// belongs to no other host; what is ready is stored before the rest is.
func TestExport_results(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{Parts: 2})
	_, s := a.locate(employee(company.Agent))
	a.Change(func(d *fake.Data) { d.Dead = 1 })
	if p, _ := a.must(connector.Export, s); p.Counts["requests"] != 1 {
		t.Errorf("%+v", p)
	}
	if n := fakekit.Count(a.Calls(), "GET /downloads/{id}?issueRedirect=false"); n != 3 {
		t.Errorf("%d links for two archives, one of them refused once", n)
	}
	if n := fakekit.Count(a.Calls(), "GET token sent"); n > 0 {
		t.Error("the token went to another host")
	}
	a.Change(func(d *fake.Data) { d.Dead = 2 })
	p, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: &conformance.Recorder{}})
	if err != nil || p.Ask == nil || !p.Ask.Retry {
		t.Fatalf("%+v, %v", p, err)
	}
	posts := fakekit.Count(a.Calls(), "POST /gdpr/requests")
	if p, err = a.drive(connector.Call{Operation: connector.Export, Subject: s, Handle: p.Handle, Out: &conformance.Recorder{}}); err != nil || !p.Done || fakekit.Count(a.Calls(), "POST /gdpr/requests") != posts+1 {
		t.Errorf("a retry makes no new export: %+v, %v", p, err)
	}
}

// Results that come later than the end of a request are not lost.
func TestExport_lateResults(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(employee(company.Agent))
	local, looks := conformance.Local(a.Server), 0
	a.c = a.connect(trip(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/gdpr/requests/r-1001") {
			if looks++; looks == 1 {
				return answering{local, "r-1001", `{"id":"r-1001","status":"COMPLETED"}`}.RoundTrip(r)
			}
		}
		return local.RoundTrip(r)
	}))
	if p, _ := a.must(connector.Export, s); p.Counts["records"] == 0 || p.Counts["requests"] != 1 {
		t.Errorf("%+v", p)
	}
}

// A record says under what it was found.
func TestExport_foundBy(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	_, out := a.must(connector.Export, s)
	text := strings.Join(out.Records["record"], "\n")
	for _, by := range []string{"email", "external contact id", "dialer contact", "journey", "social", "external id"} {
		if !strings.Contains(text, `"found_by":"`+by+`"`) {
			t.Errorf("nothing by %s", by)
		}
	}
}

// An error of one request waits for the others; a retry makes only that one anew.
func TestRequests_error(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.Change(func(d *fake.Data) { d.Fails = 2 })
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || p.Ask == nil || !p.Ask.Retry || !strings.Contains(p.Ask.Reason, "2 of 6") || p.Counts["subjects"] != 4 {
		t.Fatalf("%+v, %v", p, err)
	}
	if p, err = a.drive(connector.Call{Operation: connector.Erase, Subject: s, Handle: p.Handle}); err != nil || !p.Done || p.Counts["subjects"] != 2 || fakekit.Count(a.Calls(), "POST /gdpr/requests") != 8 {
		t.Errorf("%+v, %v, %d requests", p, err, fakekit.Count(a.Calls(), "POST /gdpr/requests"))
	}
}

// A status that nobody knows is on its way, until somebody should look.
func TestRequests_unknownStatus(t *testing.T) {
	t.Parallel()
	a := newOrg(t, `"deadline_days":2`, fake.Options{})
	_, s := a.locate(employee(company.Agent))
	a.Change(func(d *fake.Data) { d.Odd, d.Stuck = "PONDERING", true })
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || p.Ask == nil || !p.Ask.Retry || !strings.Contains(p.Ask.Reason, "within 2 days") {
		t.Fatalf("%+v, %v", p, err)
	}
	a.Change(func(d *fake.Data) { d.Stuck = false })
	if p, err = a.drive(connector.Call{Operation: connector.Erase, Subject: s, Handle: p.Handle}); err != nil || !p.Done {
		t.Errorf("%+v, %v", p, err)
	}
}

// Requests are looked after from every hour to every six.
func TestRequests_pauses(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(employee(company.Agent))
	call := connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()}
	p, err := a.c.Start(t.Context(), call)
	var pauses []time.Duration
	for len(pauses) < 7 && err == nil {
		pauses = append(pauses, p.After)
		a.Advance(p.After)
		call.Handle, call.Now = p.Handle, a.Now()
		p, err = a.c.Poll(t.Context(), call)
	}
	if diff := cmp.Diff([]time.Duration{time.Second, time.Second, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 6 * time.Hour}, pauses); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
}

// Genesys's requests are for one person or a small set: with more nothing is sent.
func TestSmallSet(t *testing.T) {
	t.Parallel()
	a := newOrg(t, `"small_set":5`, fake.Options{})
	f, s := a.locate(conformance.Person(company.Ines))
	if len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "6 identifiers") {
		t.Errorf("%v", f.Notes)
	}
	n := len(a.Calls())
	for _, op := range []connector.Operation{connector.Export, connector.Erase, connector.Rectify} {
		p, err := a.drive(connector.Call{Operation: op, Subject: s})
		if err != nil || p.Ask == nil || !p.Ask.Retry || len(a.Calls()) != n {
			t.Errorf("%s: %+v, %v", op, p, err)
		}
	}
	if data := a.c.Inventory().Data; !strings.Contains(data[3].Name.In("en"), "at most 5 identifiers") {
		t.Errorf("%+v", data[3])
	}
}

// The policies of erasure.
func TestErase_policies(t *testing.T) {
	t.Parallel()
	for more, tt := range map[string]struct {
		subject connector.Subject
		deleted string // call; "" for none
		kept    int
	}{
		``:                             {conformance.Person(company.Ines), "", 0},
		`"external_contacts":"delete"`: {conformance.Person(company.Ines), "DELETE /externalcontacts/contacts/{id}", 0},
		`"directory_users":"delete"`:   {employee(company.Agent), "DELETE /users/{id}", 0},
		`"directory_users":"keep","ground":"Art. 17(3)(b) GDPR"`: {employee(company.Agent), "", 1},
	} {
		a := newOrg(t, more, fake.Options{})
		_, s := a.locate(tt.subject)
		p, _ := a.must(connector.Erase, s)
		all := fakekit.Count(a.Calls(), "DELETE ")
		if len(p.Kept) != tt.kept || tt.deleted == "" && all != 0 || tt.deleted != "" && (all != 1 || fakekit.Count(a.Calls(), tt.deleted) != 1) {
			t.Errorf("%s: %+v, %d deletions", more, p, all)
		}
		if r := a.verify(s); len(r.Counts) != 0 {
			t.Errorf("%s: %+v", more, r)
		}
	}
}

// What turns up after an erasure is found by a later look.
func TestVerify_residue(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.must(connector.Erase, s)
	a.Change(func(d *fake.Data) {
		d.Subjects["new"] = &fake.Subject{ExternalContactID: "contact-new", EmailAddresses: []string{company.Ines}}
		d.Subjects["other"] = &fake.Subject{ExternalContactID: "contact-other", EmailAddresses: []string{"x" + company.Ines}}
	})
	if r := a.verify(s); r.Counts["external_contacts"] != 1 {
		t.Errorf("%+v", r)
	}
}

// The limit is obeyed before Genesys has to say so: four calls a minute, and never
// one too many.
func TestLimit(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{PerMinute: 4})
	do := func(f func() error) {
		for range 100 {
			err := f()
			if err == nil {
				return
			}
			after, ok := connector.RetryAfter(err)
			if !errs.Is(err, errs.Unavailable) || !ok || after > time.Minute {
				t.Fatalf("%v", err)
			}
			a.Advance(after)
		}
		t.Fatal("it never ends")
	}
	s := conformance.Person(company.Ines)
	do(func() error {
		f, err := a.c.Locate(t.Context(), s)
		s.Identifiers = append(s.Identifiers, f.Identifiers...)
		return err
	})
	s.Identifiers = s.Identifiers[:3]
	call := connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()}
	p, err := a.c.Start(t.Context(), call)
	for range 100 {
		if err != nil || p.Done {
			break
		}
		a.Advance(p.After)
		call.Handle, call.Now = p.Handle, a.Now()
		do(func() (err error) { p, err = a.c.Poll(t.Context(), call); return err })
	}
	if !p.Done || a.Beyond() != 0 || len(a.Calls()) < 20 {
		t.Errorf("%+v, %v: %d of %d calls beyond the limit", p, err, a.Beyond(), len(a.Calls()))
	}
}

// A conflict is a request on its way: it is waited for, and taken up if it is ours.
func TestRequests_conflict(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(employee(company.Agent))
	local := conformance.Local(a.Server)
	a.c = a.connect(trip(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/gdpr/requests") {
			return conformance.Local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusConflict)
				_, _ = w.Write([]byte(`{"status":409,"code":"request.conflict","message":"sam.agent@example.test"}`))
			})).RoundTrip(r)
		}
		return local.RoundTrip(r)
	}))
	_, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: &conformance.Recorder{}})
	if after, ok := connector.RetryAfter(err); !errs.Is(err, errs.Unavailable) || !ok || after != time.Hour || strings.Contains(err.Error(), "sam") {
		t.Errorf("%v, %v", after, err)
	}
}

// Another client may use up the limit: a 429, also as a page, says when to return.
func TestLimit_page(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	a.Fail(fakekit.Failure{Status: 429, After: 90 * time.Second, HTML: true})
	_, err := a.c.Locate(t.Context(), conformance.Person(company.Ines))
	if after, ok := connector.RetryAfter(err); !errs.Is(err, errs.Unavailable) || !ok || after != 90*time.Second {
		t.Errorf("%v, %v", after, err)
	}
}

func TestDown(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.Fail(fakekit.Failure{Status: 503})
	if _, err := a.c.Locate(t.Context(), s); !errs.Is(err, errs.Unavailable) || strings.Contains(err.Error(), "example.test") {
		t.Errorf("%v", err)
	}
	if _, err := a.c.Verify(t.Context(), connector.Call{Operation: connector.Erase, Subject: s}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("%v", err)
	}
}

// Credentials that are replaced work at once, those that are wrong are named.
func TestCredentials(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(employee(company.Agent))
	a.SetSecret("new")
	if _, err := a.c.Locate(t.Context(), s); !errs.Is(err, errs.Forbidden) || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	a.secret = `{"client_id":"avow","client_secret":"new"}`
	a.must(connector.Erase, s)
}

// A refusal of the API itself is no stale link: the export is not thrown away.
func TestExport_credentials(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(employee(company.Agent))
	a.Fail(fakekit.Failure{Route: "/downloads/{id}", Status: 403, Times: 1})
	call := connector.Call{Operation: connector.Export, Subject: s, Out: &conformance.Recorder{}}
	if p, err := a.drive(call); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%+v, %v", p, err)
	}
	if p, _ := a.must(connector.Export, s); p.Counts["requests"] != 1 {
		t.Errorf("%+v", p)
	}
}

// Evidence, questions and handles say nothing of the person.
func TestNothingPersonal(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	for _, s := range []connector.Subject{conformance.Person(company.Ines), employee(company.Agent)} {
		f, s := a.locate(s)
		text, _ := json.Marshal([]any{f.Counts, f.Notes})
		for _, op := range []connector.Operation{connector.Export, connector.Erase} {
			p, _ := a.must(op, s)
			more, _ := json.Marshal(p)
			text = append(text, more...)
		}
		for _, personal := range []string{"example.test", "Martin", "contact-1000", "ines_m", fake.UserID(1), "33655"} {
			if strings.Contains(string(text), personal) {
				t.Errorf("%q in %s", personal, text)
			}
		}
	}
}

// answering answers one path in Genesys's place.
type answering struct {
	next       http.RoundTripper
	path, body string
}

func (h answering) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, h.path) && r.Method == http.MethodGet {
		return conformance.Local(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(h.body))
		})).RoundTrip(r)
	}
	return h.next.RoundTrip(r)
}

// Hostile answers.
func TestHostile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		path, body string
		kind       errs.Kind
	}{
		"a page at another host": {"/gdpr/subjects", `{"entities":[],"nextUri":"https://evil.test/api/v2/gdpr/subjects"}`, errs.Internal},
		"pages in a circle":      {"/gdpr/subjects", `{"entities":[],"nextUri":"/api/v2/gdpr/subjects?a=b"}`, errs.Internal},
		"no list":                {"/gdpr/subjects", `{"entities":{}}`, errs.Unavailable},
	} {
		a := newOrg(t, "", fake.Options{})
		a.c = a.connect(answering{conformance.Local(a.Server), tt.path, tt.body})
		if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); !errs.Is(err, tt.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, link := range map[string]string{"inside": "https://169.254.169.254/latest", "no TLS": "http://results.example.test/x", "nothing": "", "this machine": "https://localhost/x"} {
		a := newOrg(t, "", fake.Options{})
		_, s := a.locate(employee(company.Agent))
		body, _ := json.Marshal(map[string]any{"status": "COMPLETED", "resultsUrls": []string{link}})
		a.c = a.connect(answering{conformance.Local(a.Server), "/gdpr/requests/r-1001", string(body)})
		p, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: &conformance.Recorder{}})
		if p.Done || err == nil && p.Ask == nil {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	a := newOrg(t, "", fake.Options{})
	for _, id := range []string{"", " ", "..", "a\x00b"} {
		s := connector.Subject{Agent: true, Identifiers: []identity.Identifier{{Kind: "genesys.user_id", Value: redact.String(id), Trust: identity.Vendor}}}
		if _, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); err != nil && !errs.Is(err, errs.Internal) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if fakekit.Count(a.Calls(), "DELETE ") != 0 {
		t.Error("an id that is none was deleted")
	}
}

// trip is a transport made of a function.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestNew(t *testing.T) {
	t.Parallel()
	inside, outside := connector.Inventory{System: "genesys", Region: "IE", EEA: true}, connector.Inventory{System: "genesys", Region: "GB", Transfer: "Art. 45 GDPR, adequacy"}
	for name, tt := range map[string]struct {
		inventory    connector.Inventory
		config, want string // "": it works
	}{
		"Dublin":                {inside, `{"region":"mypurecloud.ie"}`, ""},
		"the sovereign cloud":   {inside, `{"region":"edee1.eusc-pure.cloud"}`, ""},
		"London":                {outside, `{"region":"euw2.pure.cloud"}`, ""},
		"London as the EEA":     {inside, `{"region":"euw2.pure.cloud"}`, "outside the European Economic Area"},
		"Zurich as the EEA":     {inside, `{"region":"euc2.pure.cloud"}`, "outside the European Economic Area"},
		"Dublin as Britain":     {outside, `{"region":"mypurecloud.ie"}`, "is in the European Economic Area"},
		"no basis":              {connector.Inventory{System: "genesys", Region: "GB"}, `{"region":"euw2.pure.cloud"}`, "transfer names no basis"},
		"no region":             {inside, ``, "config.region must be one of"},
		"an unknown region":     {inside, `{"region":"evil.test"}`, "config.region must be one of"},
		"a host of its own":     {inside, `{"region":"mypurecloud.ie","base_url":"https://evil.test"}`, "allow_local"},
		"a login of its own":    {inside, `{"region":"mypurecloud.ie","login_url":"https://evil.test"}`, "allow_local"},
		"a fake":                {inside, `{"region":"mypurecloud.ie","base_url":"http://127.0.0.1:1","login_url":"http://127.0.0.1:1","allow_local":true}`, ""},
		"without TLS":           {inside, `{"region":"mypurecloud.ie","base_url":"http://evil.test","allow_local":true}`, "https://"},
		"nobody":                {inside, `{"region":"mypurecloud.ie","small_set":0}`, "small_set"},
		"everybody":             {inside, `{"region":"mypurecloud.ie","small_set":51}`, "small_set"},
		"retention":             {inside, `{"region":"mypurecloud.ie","chat_retention_days":5}`, "chat_retention_days"},
		"deadline":              {inside, `{"region":"mypurecloud.ie","deadline_days":0}`, "deadline_days"},
		"contacts":              {inside, `{"region":"mypurecloud.ie","external_contacts":"x"}`, "external_contacts"},
		"users":                 {inside, `{"region":"mypurecloud.ie","directory_users":"x"}`, "directory_users"},
		"kept without a ground": {inside, `{"region":"mypurecloud.ie","directory_users":"keep"}`, "ground"},
		"an unknown key":        {inside, `{"regoin":"x"}`, "unknown field"},
	} {
		_, err := genesys.New(kit.System{Inventory: tt.inventory, Config: json.RawMessage(tt.config), Now: time.Now})
		if (tt.want == "") != (err == nil) || err != nil && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestInventory(t *testing.T) {
	t.Parallel()
	i := newOrg(t, `"chat_retention_days":365`, fake.Options{}).c.Inventory()
	if !i.Can(connector.Export) || i.Can(connector.Restrict) || len(i.Data) != 4 || i.Data[3].Retention.In("fr") != "365 jours" {
		t.Errorf("%+v", i)
	}
	needs, yields := newOrg(t, "", fake.Options{}).c.Identifiers()
	if !slices.Contains(needs, "genesys.external_contact_id") || !slices.Contains(yields, "genesys.user_id") || slices.Contains(needs, "genesys.chat_address") {
		t.Errorf("%v, %v", needs, yields)
	}
}
