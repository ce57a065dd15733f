package zendesksupport_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
	"github.com/avow-consent/avow/internal/identity"
)

func TestLocate(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	f := d.locate(conformance.Person(strings.ToUpper(company.Ines)))
	ines := strconv.FormatInt(d.Find(company.Ines), 10)
	if diff := cmp.Diff([]string{ines}, values(f.Identifiers, "support.user_id")); diff != "" {
		t.Errorf("people whose e-mail contains hers are not her: %s", diff)
	}
	if diff := cmp.Diff(map[string]int{"users": 1, "tickets": 24, "others_tickets": 2, "suspended_tickets": 1}, f.Counts); diff != "" {
		t.Error(diff)
	}
	for kind, want := range map[identity.Kind][]string{
		identity.Email: {company.Ines, fake.Older}, identity.Phone: {"+33655000101"}, identity.ExternalID: {"customer-1001"}, "support.chat_id": {company.Chat},
	} {
		if diff := cmp.Diff(want, values(f.Identifiers, kind)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
	if len(f.Candidates) != 0 || len(f.Notes) != 1 || !strings.Contains(f.Notes[0], "2 tickets of other people copy the person") {
		t.Errorf("%+v", f)
	}
	if n := len(d.Calls()); n != 14 {
		t.Errorf("%d calls to locate a person: %v", n, d.Calls())
	}
	t.Logf("%d calls to locate a person", len(d.Calls()))
}

func TestExport(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	s := d.located(conformance.Person(company.Ines))
	before := len(d.Calls())
	out := &conformance.Recorder{}
	p := d.must(connector.Call{Key: "k", Operation: connector.Export, Subject: s, Out: out})
	calls := len(d.Calls()) - before
	t.Logf("%d calls to export a person with 24 tickets", calls)
	if calls != 60 {
		t.Error("not as many calls as docs/connectors/zendesk-support.md says")
	}
	if diff := cmp.Diff(map[string]int{"users": 1, "tickets": 24, "others_tickets": 2, "suspended_tickets": 1, "files": 4}, p.Counts); diff != "" {
		t.Error(diff)
	}
	got := map[string]int{}
	for kind, list := range out.Records {
		got[kind] = len(list)
	}
	want := map[string]int{"user": 1, "identity": 3, "session": 1, "ticket": 24, "comment": 25, "audit": 25, "others_ticket": 2, "others_comment": 24, "others_audit": 22, "suspended_ticket": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	all := strings.Join(slices.Concat(out.Records["ticket"], out.Records["comment"], out.Records["audit"], out.Records["user"]), "\n")
	for _, needed := range []string{`"birthday":"1990-02-03"`, `"score":"good"`, "rue des Lilas", "192.0.2.7", "My number is 847564"} {
		if !strings.Contains(all, needed) {
			t.Errorf("%s is missing", needed)
		}
	}
	for _, link := range []string{"_files", "zendesk.com/api"} {
		if strings.Contains(all, link) {
			t.Errorf("an address of the vendor is exported: %s", link)
		}
	}
	for _, c := range d.Calls() {
		if c.Route == "LEAKED TOKEN" {
			t.Error("the host of the files got the token")
		}
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	ines := d.Find(company.Ines)
	s := d.located(conformance.Person(company.Ines))
	before := d.State()
	calls := len(d.Calls())
	p := d.must(connector.Call{Key: "k", Operation: connector.Erase, Subject: s})
	calls = len(d.Calls()) - calls
	t.Logf("%d calls to erase a person with 24 tickets", calls)
	if calls != 82 {
		t.Error("not as many calls as docs/connectors/zendesk-support.md says")
	}
	if diff := cmp.Diff(map[string]int{"users": 1, "tickets": 24, "others_tickets": 2, "suspended_tickets": 1}, p.Counts); diff != "" {
		t.Error(diff)
	}
	if u := d.user(ines); u.Status != fake.Purged || len(d.tickets(ines)) != 0 {
		t.Errorf("%+v", u)
	}
	r := d.verify(s)
	if len(r.Counts) != 0 || len(r.Evidence) == 0 {
		t.Errorf("%+v", r)
	}
	after := d.State()
	for i, u := range after.Users {
		if u.ID != ines && cmp.Diff(before.Users[i], u) != "" {
			t.Errorf("user %d was touched", u.ID)
		}
	}
}
