package salesforce_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/salesforce/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// find is the first contact or lead with an e-mail.
func (a *org) find(object, email string) string {
	for _, r := range a.Of(object) {
		if r.Fields["Email"] == email {
			return r.ID
		}
	}
	a.t.Fatalf("there is no %s", object)
	return ""
}

func TestInventory(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	i := a.c.Inventory()
	if len(i.Recipients) != 1 || !strings.Contains(i.Recipients[0]["en"], "Zoom: first name, last name and e-mail") || !strings.Contains(i.Recipients[0]["fr"], "Zoom") {
		t.Errorf("the flow of names to Zoom: %v", i.Recipients)
	}
	if len(i.Data) == 0 || !i.Can(connector.Object) || !i.Can(connector.Restrict) {
		t.Errorf("%+v", i)
	}
	_, yields := a.c.Identifiers()
	for _, kind := range []identity.Kind{"salesforce.contact_id", "salesforce.lead_id", "salesforce.individual_id", "zoom.user_id", "zoom.registrant_id", "zoom.webinar_id"} {
		if !slices.Contains(yields, kind) {
			t.Errorf("%s is not yielded", kind)
		}
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	f, s := a.locate(conformance.Person("INES@example.test"))
	want := map[string]int{
		"contacts": 1, "leads": 1, "individuals": 1, "cases": 1, "tasks": 1, "events": 1, "campaign_members": 1, "emails": 2, "opportunity_roles": 1,
		"contact_points": 2, "consents": 1, "zoom_registrant__c": 1,
	}
	if fmt.Sprint(f.Counts) != fmt.Sprint(want) || len(f.Candidates) != 0 {
		t.Errorf("%v, %+v", f.Counts, f.Candidates)
	}
	for kind, value := range map[identity.Kind]string{"zoom.user_id": "zUsEr-ines", "zoom.registrant_id": "rEg_1-x", "zoom.webinar_id": "86000001008"} {
		if got := ids(s, kind); !slices.Equal(got, []string{value}) {
			t.Errorf("%s: %v", kind, got)
		}
	}
	if f, _ := a.locate(conformance.Person("nobody@example.test")); len(f.Counts) != 0 || len(f.Identifiers) != 0 {
		t.Errorf("nobody: %+v", f)
	}
}

// A quote in an address stays in its literal.
func TestLocate_quote(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	id := a.Add("Contact", map[string]any{"LastName": "O'Neil", "Email": "o'neil@example.test"})
	_, s := a.locate(conformance.Person("o'neil@example.test"))
	if got := ids(s, "salesforce.contact_id"); !slices.Equal(got, []string{id}) {
		t.Errorf("%v", got)
	}
}

// A converted lead leads to the contact that it has become, which may have
// another e-mail by now.
func TestLocate_convertedLead(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	contact := a.Add("Contact", map[string]any{"LastName": "Now", "Email": "now@example.test"})
	a.Add("Lead", map[string]any{"LastName": "Then", "Company": "x", "Email": "then@example.test", "IsConverted": true, "ConvertedContactId": contact})
	a.Add("Task", map[string]any{"WhoId": contact, "Subject": "x"})
	f, s := a.locate(conformance.Person("then@example.test"))
	if !slices.Equal(ids(s, "salesforce.contact_id"), []string{contact}) || f.Counts["tasks"] != 1 || !slices.Contains(ids(s, identity.Email), "now@example.test") {
		t.Errorf("%+v", f)
	}
}

// Salesforce archives old tasks and events: only queryAll shows them, beside what
// was deleted. They are counted, exported and erased like the others.
func TestArchivedActivities(t *testing.T) {
	t.Parallel()
	for _, erase := range []string{"hard", "soft", "mask"} {
		t.Run(erase, func(t *testing.T) {
			t.Parallel()
			a := newOrg(t, `"erase":"`+erase+`"`, fake.Options{})
			contact := a.Add("Contact", map[string]any{"LastName": "Old", "Email": "old@example.test"})
			var old []string
			for object, subject := range map[string]string{"Task": "Long ago called", "Event": "Long ago met"} {
				old = append(old, a.Add(object, map[string]any{"WhoId": contact, "Subject": subject, "IsArchived": true}))
			}
			f, s := a.locate(conformance.Person("old@example.test"))
			if f.Counts["tasks"] != 1 || f.Counts["events"] != 1 {
				t.Fatalf("%v", f.Counts)
			}
			out := &conformance.Recorder{}
			if _, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: out}); err != nil || len(out.Records["Task"]) != 1 || !strings.Contains(out.Records["Event"][0], "Long ago met") {
				t.Errorf("%v, %v", out.Records, err)
			}
			if p := a.must(connector.Erase, s); p.Counts["tasks"] != 1 || p.Counts["events"] != 1 {
				t.Errorf("%+v", p)
			}
			for _, id := range old {
				if r, there := a.State()[id]; there && !r.Deleted && r.Fields["Subject"] != nil {
					t.Errorf("%+v", r)
				}
			}
			if r := a.verify(s); len(r.Counts) != 0 {
				t.Errorf("%+v", r)
			}
			if erase == "soft" { // what is in the bin only is not counted as there
				if f, _ := a.locate(s); len(f.Counts) != 0 {
					t.Errorf("%v", f.Counts)
				}
			}
		})
	}
}

// A lead's e-mail is the one of then: the contact that it became leads back to it.
func TestErase_convertedLeadWithOldEmail(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	contact := a.Add("Contact", map[string]any{"LastName": "Now", "Email": "now@example.test"})
	lead := a.Add("Lead", map[string]any{"LastName": "Then", "Company": "x", "Email": "then@example.test", "IsConverted": true, "ConvertedContactId": contact})
	_, s := a.locate(conformance.Person("now@example.test"))
	if p := a.must(connector.Erase, s); p.Counts["leads"] != 1 || p.Counts["contacts"] != 1 {
		t.Errorf("%+v", p)
	}
	if _, there := a.State()[lead]; there {
		t.Error("the lead is still there")
	}
}

// What somebody has deleted lately is in the bin with all that hangs on it: a
// hard erasure reaches it, or Verify would find it with nobody able to act.
func TestErase_deletedEarlier(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	old := a.Add("Contact", map[string]any{"LastName": "Martin", "Email": "INES@example.test"})
	call := a.Add("Task", map[string]any{"WhoId": old, "Subject": "Called Inès"})
	a.Change(func(d *fake.Data) {
		for _, id := range []string{old, call} {
			d.Records[id].Deleted, d.Records[id].DeletedAt = true, start
		}
	})
	f, s := a.locate(conformance.Person(company.Ines))
	if f.Counts["contacts"] != 1 || len(ids(s, "salesforce.contact_id")) != 2 {
		t.Errorf("%+v", f)
	}
	a.must(connector.Erase, s)
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
	for _, id := range []string{old, call} {
		if r, there := a.State()[id]; there {
			t.Errorf("%s is in the bin", r.Type)
		}
	}
}

// An object that is left out is not read, and nothing leads to it: what no
// erasure reaches must not be looked for afterwards.
func TestLocate_skip(t *testing.T) {
	t.Parallel()
	for skipped, want := range map[string]struct{ kind, object string }{
		"Lead": {"lead_id", "Lead"}, "Individual": {"individual_id", "Individual"}, "User": {"user_id", "User"},
	} {
		a := newOrg(t, `"skip":["`+skipped+`"]`, fake.Options{})
		sub := conformance.Person(company.Ines)
		sub.Agent = skipped == "User"
		sub.Identifiers = append(sub.Identifiers, conformance.By(identity.Phone, "+33655000101"), conformance.By(identity.ExternalID, "customer-1001"))
		_, s := a.locate(sub)
		if got := ids(s, identity.Kind("salesforce."+want.kind)); len(got) != 0 {
			t.Errorf("without %s: %v", skipped, got)
		}
		s.Identifiers = append(s.Identifiers, conformance.By(identity.Kind("salesforce."+want.kind), strings.Repeat("0", 18))) // of an earlier configuration
		a.must(connector.Object, s)
		a.must(connector.Erase, s)
		if r := a.verify(s); len(r.Counts) != 0 {
			t.Errorf("without %s: %v", skipped, r.Counts)
		}
		for _, c := range a.Calls() {
			if query, err := url.QueryUnescape(c.Query); err != nil || strings.Contains(query, "FROM "+want.object+" ") || strings.Contains(query, want.object+"(") || strings.Contains(c.Path, "/sobjects/"+want.object) {
				t.Errorf("without %s: %s %s?%s", skipped, c.Method, c.Path, query)
			}
		}
	}
}

// An external id that several records have (300) proves nothing.
func TestLocate_externalIDMultipleChoices(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	twin := a.Add("Contact", map[string]any{"LastName": "Twin", "Customer_Number__c": "customer-1001"})
	ines := a.find("Contact", company.Ines)
	f, s := a.locate(connector.Subject{Identifiers: []identifier{conformance.By(identity.ExternalID, "customer-1001")}})
	if len(f.Candidates) != 2 || len(ids(s, "salesforce.contact_id")) != 0 {
		t.Errorf("%+v", f)
	}
	for _, c := range f.Candidates {
		if id := c.Identifier.Value.Reveal(); id != twin && id != ines || c.Evidence == "" {
			t.Errorf("%+v", c)
		}
	}
	_, s = a.locate(connector.Subject{Identifiers: []identifier{conformance.By(identity.ExternalID, "customer-1002")}})
	if !slices.Equal(ids(s, "salesforce.contact_id"), []string{a.find("Contact", company.Leo)}) {
		t.Errorf("a number of one record: %+v", s)
	}
}

// A telephone number is shared, and written in many ways: candidates.
func TestLocate_phone(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	national := a.Add("Lead", map[string]any{"LastName": "National", "Company": "x", "MobilePhone": "01 99 00 11 22"})
	f, _ := a.locate(connector.Subject{Identifiers: []identifier{conformance.By(identity.Phone, company.Shared)}})
	var got []string
	for _, c := range f.Candidates {
		got = append(got, c.Identifier.Value.Reveal())
	}
	slices.Sort(got)
	want := []string{a.find("Contact", company.Leo), a.find("Contact", company.Mo), national}
	slices.Sort(want)
	if !slices.Equal(got, want) || len(f.Counts) != 0 {
		t.Errorf("%v, want %v; %v", got, want, f.Counts)
	}
	s := conformance.Person("x@example.test")
	s.Identifiers = append(s.Identifiers, f.Candidates[0].Identifier)
	if f, _ := a.locate(s); f.Counts["contacts"]+f.Counts["leads"] != 1 {
		t.Errorf("an accepted candidate: %+v", f)
	}
}

// Who shares the Individual of somebody is put to an operator, and keeps it.
func TestLocate_sharedIndividual(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", `"erase":"soft"`, `"erase":"mask"`} {
		a := newOrg(t, more, fake.Options{})
		individual := a.Of("Individual")[0].ID
		other := a.Add("Contact", map[string]any{"LastName": "Other", "IndividualId": individual})
		f, s := a.locate(conformance.Person(company.Ines))
		if len(f.Candidates) != 1 || f.Candidates[0].Identifier.Value.Reveal() != other {
			t.Fatalf("%+v", f.Candidates)
		}
		p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
		if err != nil || p.Ask == nil || !p.Ask.Retry || a.field(individual, "LastName") != "Martin" {
			t.Fatalf("%s: %+v, %v", more, p, err)
		}
		a.Change(func(d *fake.Data) { d.Records[other].Fields["IndividualId"] = nil })
		if p, err = a.drive(connector.Call{Operation: connector.Erase, Subject: s, Handle: p.Handle}); err != nil || !p.Done {
			t.Errorf("%s: %+v, %v", more, p, err)
		}
		if a.field(individual, "LastName") == "Martin" && !a.State()[individual].Deleted {
			t.Errorf("%s: the Individual still names the person", more)
		}
	}
}

// An employee has a way of their own.
func TestLocate_agent(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	f, s := a.locate(conformance.Person(company.Agent))
	if len(f.Counts) != 0 || len(f.Notes) != 1 || len(ids(s, "salesforce.user_id")) != 0 {
		t.Errorf("%+v", f)
	}
	agent := conformance.Person(company.Agent)
	agent.Agent = true
	f, s = a.locate(agent)
	if f.Counts["users"] != 1 {
		t.Errorf("%+v", f)
	}
	r := &conformance.Recorder{}
	if p, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: r}); err != nil || !p.Done || len(r.Records["User"]) != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); err != nil || p.Ask == nil || p.Ask.Retry {
		t.Errorf("users cannot be deleted: %+v, %v", p, err)
	}
}

// An org without Data Protection and Privacy says so at first, instead of looking
// empty.
func TestLocate_noIndividuals(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{NoPrivacy: true})
	if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "INVALID_FIELD") {
		t.Errorf("%v", err)
	}
	a = newOrg(t, `"individuals":false`, fake.Options{NoPrivacy: true})
	_, s := a.locate(conformance.Person(company.Ines))
	a.must(connector.Export, s)
	a.must(connector.Object, s)
	if a.field(a.find("Contact", company.Ines), "DoNotCall") != true {
		t.Error("the contact has no flag")
	}
	a.must(connector.Erase, s)
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	r := &conformance.Recorder{}
	p, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: r})
	if err != nil || !p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	for object, text := range map[string]string{
		"Contact": "1990-02-03", "Lead": "Ines@Example.test", "Individual": "HasOptedOutSolicit", "Case": "flickers", "Task": "Called Inès back", "Event": "Shop", "CampaignMember": "Responded",
		"EmailMessage": "Hello, it flickers", "OpportunityContactRole": "Buyer", "ContactPointEmail": company.Ines, "ContactPointPhone": "+33655000101", "ContactPointTypeConsent": "OptIn", "Zoom_Registrant__c": "rEg_1-x",
	} {
		if all := strings.Join(r.Records[object], "\n"); !strings.Contains(all, text) || strings.Contains(all, "attributes") {
			t.Errorf("%s: %s", object, all)
		}
	}
	if len(r.Files) != 2 || p.Counts["files"] != 2 {
		t.Errorf("a file linked to the contact and to the case: %v", r.Files)
	}
	if strings.Contains(fmt.Sprint(r.Records), "Marine") {
		t.Error("an e-mail of somebody else is in the package")
	}
}

// Long lists are read in pieces, each to its end however short Salesforce's pages
// are, with never more than some records at a time.
func TestExport_nextRecordsUrl(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{PageSize: 7})
	leo := a.find("Contact", company.Leo)
	for n := range 250 {
		a.Add("Task", map[string]any{"WhoId": leo, "Subject": fmt.Sprint("t", n)})
	}
	_, s := a.locate(conformance.Person(company.Leo))
	r := &conformance.Recorder{}
	most := 0
	call := connector.Call{Operation: connector.Export, Subject: s, Out: r}
	p, err := a.c.Start(t.Context(), call)
	for err == nil && !p.Done {
		most = max(most, p.Counts["tasks"])
		call.Handle = p.Handle
		if len(p.Handle) > 200 {
			t.Fatalf("a handle of %d bytes", len(p.Handle))
		}
		p, err = a.c.Poll(t.Context(), call)
	}
	if err != nil || len(r.Records["Task"]) != 250 || most > 100 {
		t.Errorf("%d tasks, %d at a time, %v", len(r.Records["Task"]), most, err)
	}
}

// Texts of 131,072 characters, each of three bytes: some of them are more than an
// answer may be long.
func TestExport_longTexts(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	a.c = a.connect(conformance.Local(a.Server))
	const n = 60
	for range n {
		a.Add("EmailMessage", map[string]any{"FromAddress": company.Leo, "ToAddress": "help@example.test", "TextBody": strings.Repeat("日", 128<<10)})
	}
	_, s := a.locate(conformance.Person(company.Leo))
	if p := a.must(connector.Export, s); p.Counts["emails"] != n {
		t.Errorf("%+v", p.Counts)
	}
}

// The next page is Salesforce's: nothing is asked for elsewhere.
func TestExport_hostilePages(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"other host": `{"totalSize":9,"done":false,"records":[],"nextRecordsUrl":"https://evil.test/services/data/v66.0/query/x"}`,
		"other path": `{"totalSize":9,"done":false,"records":[],"nextRecordsUrl":"/services/data/v66.0/../oauth2/token"}`,
		"circle":     `{"totalSize":9,"done":false,"records":[],"nextRecordsUrl":"/services/data/v66.0/query/again"}`,
		"nowhere":    `{"totalSize":9,"done":false,"records":[]}`,
		"an object":  `{"totalSize":9,"done":true,"records":{"Id":"x"}}`,
		"no id":      `{"totalSize":1,"done":true,"records":[{"Id":"../../users"}]}`,
	} {
		a := newOrg(t, "", fake.Options{})
		_, s := a.locate(conformance.Person(company.Ines))
		local := conformance.Local(a.Server)
		a.c = a.connect(trip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "avow.my.salesforce.com" {
				t.Errorf("%s: %s is called", name, r.URL.Host)
			}
			if !strings.Contains(r.URL.Path, "/query") {
				return local.RoundTrip(r)
			}
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}))
		if p, err := a.c.Start(t.Context(), connector.Call{Operation: connector.Export, Subject: s, Out: &conformance.Recorder{}}); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestRectify(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	contact, lead := a.find("Contact", company.Ines), a.find("Lead", "Ines@Example.test")
	_, s := a.locate(conformance.Person(company.Ines))
	changes := []connector.Change{
		{Field: "email", Old: "INES@example.test", New: "new@example.test"}, {Field: "first_name", Old: "Inès", New: "Agnès"},
		{Field: "phone", Old: "+33 6 55 00 01 01", New: "+33655000199"}, {Field: "MailingStreet", Old: "3 rue des Lampes", New: "4 rue des Lampes"},
	}
	p := a.must(connector.Rectify, s, changes...)
	for field, want := range map[string]string{"Email": "new@example.test", "FirstName": "Agnès", "Phone": "+33655000199", "MobilePhone": "+33655000199", "MailingStreet": "4 rue des Lampes"} {
		if got := a.field(contact, field); got != want {
			t.Errorf("%s: %v", field, got)
		}
	}
	if a.field(lead, "Email") != "Ines@Example.test" || p.Counts["contacts"] != 1 || p.Counts["individuals"] != 1 || p.Counts["contact_points"] != 2 || p.Counts["leads"] != 0 {
		t.Errorf("a converted lead cannot be changed: %v", p.Counts)
	}
	before := fakekit.Count(a.Calls(), "PATCH")
	a.must(connector.Rectify, s, changes...)
	if fakekit.Count(a.Calls(), "PATCH") != before {
		t.Error("what is correct is written again")
	}
	p, err := a.drive(connector.Call{Operation: connector.Rectify, Subject: s, Changes: []connector.Change{{Field: "last_name", Old: "Other", New: "x"}, {Field: "OwnerId", Old: "", New: "x"}}})
	if err != nil || p.Ask == nil || a.field(contact, "LastName") != "Martin" || a.field(contact, "OwnerId") != nil {
		t.Errorf("an old value that is not there: %+v, %v", p, err)
	}
	a.must(connector.Rectify, connector.Subject{Identifiers: s.Of("salesforce.contact_id")}, connector.Change{Field: "job_title", New: "Chemist"})
	if a.field(contact, "Title") != "Chemist" {
		t.Error("an addition")
	}
}

// An objection sets the flags of all records. Somebody without an Individual gets
// one, and no second one.
func TestObject(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.must(connector.Object, s)
	contact := a.find("Contact", company.Ines)
	for _, flag := range []string{"HasOptedOutOfEmail", "HasOptedOutOfFax", "DoNotCall"} {
		if a.field(contact, flag) != true {
			t.Errorf("%s: %v", flag, a.field(contact, flag))
		}
	}
	individual := a.Of("Individual")[0]
	if individual.Fields["HasOptedOutSolicit"] != true || individual.Fields["HasOptedOutProfiling"] != true || individual.Fields["HasOptedOutGeoTracking"] != true || individual.Fields["HasOptedOutProcessing"] == true || individual.Fields["ShouldForget"] == true {
		t.Errorf("%+v", individual)
	}
	leo, second := a.find("Contact", company.Leo), a.Add("Lead", map[string]any{"LastName": "Petit", "Company": "x", "Email": company.Leo})
	_, s = a.locate(conformance.Person(company.Leo))
	for range 2 {
		a.must(connector.Restrict, s)
	}
	if list := a.Of("Individual"); len(list) != 2 || a.field(leo, "IndividualId") != list[1].ID || a.field(second, "IndividualId") != list[1].ID || list[1].Fields["HasOptedOutProcessing"] != true || list[1].Fields["LastName"] != "Petit" {
		t.Errorf("%+v", list)
	}
}

// The records are gone, from the Recycle Bin, too; children went first.
func TestErase_hard(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	before := len(a.State())
	_, s := a.locate(conformance.Person(company.Ines))
	p := a.must(connector.Erase, s)
	if len(p.Kept) != 0 || p.Counts["contacts"] != 1 || p.Counts["files"] != 1 || p.Counts["emails"] != 2 {
		t.Errorf("%+v", p)
	}
	if after := len(a.State()); before-after != 18 {
		t.Errorf("%d records are gone", before-after)
	}
	if r := a.verify(s); len(r.Counts) != 0 || len(r.Evidence) == 0 {
		t.Errorf("%+v", r)
	}
	for _, e := range p.Evidence {
		if strings.ContainsAny(e.Call+e.Answer, "@") {
			t.Errorf("%+v", e)
		}
	}
	if f, _ := a.locate(conformance.Person(company.Ines)); len(f.Counts) != 0 {
		t.Errorf("%+v", f)
	}
}

// DELETE alone leaves everything in the bin, which queryAll sees.
func TestErase_softStaysInBin(t *testing.T) {
	t.Parallel()
	a := newOrg(t, `"erase":"soft"`, fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	p := a.must(connector.Erase, s)
	if len(p.Kept) != 1 || p.Kept[0].Until != a.Now().AddDate(0, 0, 15).Format(time.DateOnly) || fakekit.Count(a.Calls(), "POST /jobs/ingest") != 0 {
		t.Errorf("%+v", p.Kept)
	}
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
	a.config = settings + "}"
	a.c = a.connect(conformance.Local(a.Server))
	if r := a.verify(s); r.Counts["contacts"] != 1 || r.Counts["tasks"] != 1 {
		t.Errorf("a hard deletion would not be proven: %+v", r)
	}
	a.must(connector.Erase, s) // what is in the bin is found and hard deleted
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// A policy that may not delete overwrites what names the person.
func TestErase_mask(t *testing.T) {
	t.Parallel()
	a := newOrg(t, `"erase":"mask"`, fake.Options{})
	contact := a.find("Contact", company.Ines)
	_, s := a.locate(conformance.Person(company.Ines))
	if r := a.verify(s); r.Counts["contacts"] != 1 {
		t.Errorf("before: %+v", r)
	}
	p := a.must(connector.Erase, s)
	if len(p.Kept) != 2 || p.Counts["contacts"] != 1 || p.Counts["cases"] != 1 || p.Counts["leads"] != 1 {
		t.Errorf("%+v", p)
	}
	fields := a.State()[contact].Fields
	if fields["LastName"] != "Erased" || fields["FirstName"] != nil || fields["Email"] != nil || fields["MobilePhone"] != nil || fields["Birthdate"] != nil || fields["Customer_Number__c"] != nil || fields["Zoom_User__c"] != nil {
		t.Errorf("%v", fields)
	}
	for id, r := range a.State() {
		if text := fmt.Sprint(r.Fields); !r.Deleted && r.Fields["LastName"] != "Erased" && strings.Contains(strings.ToLower(text), company.Ines) && !strings.Contains(text, "mar"+company.Ines) {
			t.Errorf("%s %s: %s", r.Type, id, text)
		}
	}
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// What still refers to a contact keeps it: a person clears it, and the erasure
// goes on from what is left.
func TestErase_deleteFailed(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	contact := a.find("Contact", company.Ines)
	_, s := a.locate(conformance.Person(company.Ines))
	a.Change(func(d *fake.Data) { d.Vetoed[contact] = "DELETE_FAILED" })
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || p.Ask == nil || !p.Ask.Retry || !strings.Contains(p.Ask.Reason, "DELETE_FAILED") || strings.Contains(p.Ask.Reason, contact) {
		t.Fatalf("%+v, %v", p, err)
	}
	if r := a.verify(s); r.Counts["contacts"] == 0 || r.Counts["tasks"] != 0 {
		t.Errorf("%+v", r)
	}
	a.Change(func(d *fake.Data) { clear(d.Vetoed) })
	if p, err = a.drive(connector.Call{Operation: connector.Erase, Subject: s, Handle: p.Handle}); err != nil || !p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// A job that is complete has not succeeded when rows have failed.
func TestErase_jobCompleteWithFailedRows(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	task := a.Of("Task")[0].ID
	_, s := a.locate(conformance.Person(company.Ines))
	a.Change(func(d *fake.Data) { d.Vetoed["hard "+task] = "CANNOT_DELETE" })
	p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if err != nil || p.Ask == nil || !p.Ask.Retry || !strings.Contains(p.Ask.Reason, "1 with CANNOT_DELETE") || !a.State()[task].Deleted {
		t.Fatalf("%+v, %v", p, err)
	}
	a.Change(func(d *fake.Data) { clear(d.Vetoed) })
	for name, handle := range map[string]string{"from its handle": p.Handle, "from the beginning": ""} {
		if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s, Handle: handle}); err != nil || !p.Done {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// The permission for it is not granted even to administrators.
func TestErase_noHardDelete(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{NoHard: true})
	_, s := a.locate(conformance.Person(company.Ines))
	if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); err != nil || p.Ask == nil || !p.Ask.Retry || !strings.Contains(p.Ask.Instructions, "Bulk API Hard Delete") {
		t.Errorf("%+v, %v", p, err)
	}
}

// What is deleted twice was found before: that is no failure. Objects that
// cannot be hard deleted stay in the bin.
func TestErase_entityIsDeleted(t *testing.T) {
	t.Parallel()
	a := newOrg(t, `"bin":["ContentDocument","Task"]`, fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	p, err := a.c.Start(t.Context(), connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()})
	if err != nil || p.Handle == "" {
		t.Fatal(p, err)
	}
	a.Change(func(d *fake.Data) {
		for _, r := range d.Records {
			if r.Type == "Task" {
				r.Deleted, r.DeletedAt = true, start
			}
		}
	})
	if p, err = a.drive(connector.Call{Operation: connector.Erase, Subject: s, Handle: p.Handle}); err != nil || !p.Done || len(p.Kept) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// A file that somebody else's record has, too, stays there.
func TestErase_sharedFile(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	ines, leo := a.find("Contact", company.Ines), a.find("Contact", company.Leo)
	// The receipt of the seed is linked to her case and to her contact: it goes
	// with the second.
	document := a.AddFile("price list.pdf", "x", ines, leo, a.Of("User")[0].ID)
	own := a.AddFile("letter.pdf", "x", ines, a.Of("User")[0].ID)
	_, s := a.locate(conformance.Person(company.Ines))
	p := a.must(connector.Erase, s)
	if d, ok := a.State()[document]; !ok || d.Deleted || p.Counts["file_links"] != 2 {
		t.Errorf("%+v, %v", d, p.Counts)
	}
	if _, ok := a.State()[own]; ok {
		t.Error("a file that only its owner has besides is still there")
	}
}

// A row that is locked inside a call that succeeds is tried again later.
func TestErase_lockedRow(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	task := a.Of("Task")[0].ID
	a.Change(func(d *fake.Data) { d.Vetoed[task] = "UNABLE_TO_LOCK_ROW" })
	_, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s})
	if after, ok := connector.RetryAfter(err); !errs.Is(err, errs.Unavailable) || !ok || after > time.Minute {
		t.Errorf("%v", err)
	}
}

// What comes back after an erasure is found.
func TestVerify_residue(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	_, s := a.locate(conformance.Person(company.Ines))
	a.must(connector.Erase, s)
	a.Add("Lead", map[string]any{"LastName": "x", "Company": "x", "Email": "INES@example.test"})
	a.Add("EmailMessage", map[string]any{"FromAddress": "help@example.test", "ToAddress": "a@example.test; ines@example.test"})
	a.Add("Case", map[string]any{"SuppliedEmail": company.Ines})
	if r := a.verify(s); fmt.Sprint(r.Counts) != "map[cases:1 emails:1 leads:1]" {
		t.Errorf("%+v", r)
	}
}

// Nothing is deleted by an id that is none, and no answer is taken for more than
// it says.
func TestErase_hostile(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	before := len(a.State())
	for _, id := range []string{"", " ", "..", "003", "x' OR Id != '", "003000000000001AA/"} {
		a.must(connector.Erase, connector.Subject{Identifiers: []identifier{conformance.By("salesforce.contact_id", id)}})
	}
	for _, handle := range []string{"", "{", `{"object":-1}`, `{"object":99}`, `{"object":0,"job":"x"}`, `{"queue":[{"object":"Contact","ids":[]}]}`, `{"queue":[{"object":"Contact","ids":["../x"]}]}`} {
		if _, err := a.c.Poll(t.Context(), connector.Call{Operation: connector.Erase, Handle: handle, Now: a.Now()}); err == nil {
			t.Errorf("%s is taken", handle)
		}
	}
	if len(a.State()) != before {
		t.Error("something was deleted")
	}
	_, s := a.locate(conformance.Person(company.Ines))
	for _, body := range []string{`[]`, `{"results":[]}`, `[{"id":"x","success":false}]`, `null`} {
		local := conformance.Local(a.Server)
		a.c = a.connect(trip(func(r *http.Request) (*http.Response, error) {
			if r.Method != http.MethodDelete {
				return local.RoundTrip(r)
			}
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		}))
		if p, err := a.drive(connector.Call{Operation: connector.Erase, Subject: s}); err == nil && p.Ask == nil {
			t.Errorf("%s: %+v", body, p)
		}
	}
}

// How many calls a person takes.
func TestCalls(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	a.c = a.connect(conformance.Local(a.Server))
	calls := func(f func()) int {
		before := len(a.Calls())
		f()
		return len(a.Calls()) - before
	}
	var s connector.Subject
	once := calls(func() {
		if _, err := a.c.Locate(t.Context(), conformance.Person(company.Ines)); err != nil {
			t.Fatal(err)
		}
	})
	located := calls(func() { _, s = a.locate(conformance.Person(company.Ines)) })
	exported := calls(func() { a.must(connector.Export, s) })
	erased := calls(func() { a.must(connector.Erase, s) })
	verified := calls(func() { a.verify(s) })
	t.Logf("a search %d, until nothing new is found %d, an export %d, an erasure %d, its proof %d", once, located, exported, erased, verified)
	if got, want := []int{once, located, exported, erased, verified}, []int{24, 48, 57, 158, 19}; !slices.Equal(got, want) {
		t.Errorf("%v calls, want %v", got, want)
	}
	for _, c := range a.Calls() {
		if c.Status == 414 || len(c.Query) > 12_000 {
			t.Errorf("%s %s: a query of %d bytes", c.Method, c.Route, len(c.Query))
		}
	}
}

// Everything that leads to the person goes first, then the contact, the
// Individual last; many records go in batches, of which the handle names one.
func TestErase_order(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{PageSize: 150})
	contact := a.find("Contact", company.Ines)
	for n := range 450 {
		a.Add("Task", map[string]any{"WhoId": contact, "Subject": fmt.Sprint("t", n)})
	}
	_, s := a.locate(conformance.Person(company.Ines))
	call := connector.Call{Operation: connector.Erase, Subject: s, Now: a.Now()}
	before := len(a.Calls())
	p, err := a.c.Start(t.Context(), call)
	for err == nil && !p.Done && p.Ask == nil {
		if len(p.Handle) > 6000 {
			t.Fatalf("a handle of %d bytes", len(p.Handle))
		}
		a.Advance(p.After)
		seen := len(a.Calls())
		call.Handle, call.Now = p.Handle, a.Now()
		if p, err = a.c.Poll(t.Context(), call); len(a.Calls())-seen > 25 {
			t.Fatalf("%d calls in one piece", len(a.Calls())-seen)
		}
	}
	if err != nil || p.Ask != nil {
		t.Fatalf("%+v, %v", p, err)
	}
	var order []string
	for _, c := range a.Calls()[before:] {
		if c.Method != http.MethodDelete {
			continue
		}
		q, err := url.ParseQuery(c.Query)
		if err != nil || len(strings.Split(q.Get("ids"), ",")) > 200 {
			t.Fatalf("%s: %v", c.Query, err)
		}
		if prefix := q.Get("ids")[:3]; len(order) == 0 || order[len(order)-1] != prefix {
			order = append(order, prefix)
		}
	}
	want := []string{"00T", "00U", "02s", "00v", "00K", "a01", "06A", "500", "0ZY", "9Vl", "9Vj", "00Q", "069", "003", "0PK"}
	if !slices.Equal(order, want) {
		t.Errorf("%v, want %v", order, want)
	}
	if r := a.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// Many files are written, and deleted, in pieces.
func TestFiles_many(t *testing.T) {
	t.Parallel()
	for _, more := range []string{"", `"erase":"mask"`} {
		a := newOrg(t, more, fake.Options{})
		contact := a.find("Contact", company.Leo)
		for n := range 230 {
			a.AddFile(fmt.Sprintf("f%d.txt", n), "x", contact)
		}
		_, s := a.locate(conformance.Person(company.Leo))
		r := &conformance.Recorder{}
		if p, err := a.drive(connector.Call{Operation: connector.Export, Subject: s, Out: r}); err != nil || len(r.Files) != 230 || p.Counts["files"] != 230 || len(r.Records["Contact"]) != 1 {
			t.Errorf("%d files, %v, %v", len(r.Files), p.Counts, err)
		}
		if p := a.must(connector.Erase, s); p.Counts["files"] != 230 || p.Counts["contacts"] != 1 {
			t.Errorf("%v", p.Counts)
		}
		for _, d := range a.Of("ContentDocument") {
			if title, _ := d.Fields["Title"].(string); strings.HasPrefix(title, "f") && !d.Deleted {
				t.Errorf("%s is still there", title)
			}
		}
		if r := a.verify(s); len(r.Counts) != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// Two people who use one e-mail are both found by it, as the proof of an e-mail
// proves no name: whoever approves is told.
func TestLocate_twoNames(t *testing.T) {
	t.Parallel()
	a := newOrg(t, "", fake.Options{})
	const told = "contacts and leads carry 2 names"
	has := func() bool {
		f, _ := a.locate(conformance.Person(company.Ines))
		return slices.ContainsFunc(f.Notes, func(n string) bool { return strings.Contains(n, told) })
	}
	if has() {
		t.Error("her own name, as it is written twice, counts as two")
	}
	a.Add("Contact", map[string]any{"FirstName": "Paul", "LastName": "Martin", "Email": company.Ines})
	if !has() {
		t.Error("nobody is told of the other name")
	}
}
