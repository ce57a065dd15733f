package zendesksupport_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// Two people with one telephone: each of them is the other's candidate, never
// the other.
func TestLocate_sharedPhone(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	f := d.locate(conformance.Person(company.Leo))
	if got := values(f.Identifiers, "support.user_id"); len(got) != 1 || got[0] != fmt.Sprint(d.Find(company.Leo)) {
		t.Errorf("Leo is %v", got)
	}
	if len(f.Candidates) != 1 || f.Candidates[0].Identifier.Value.Reveal() != fmt.Sprint(d.Find(company.Mo)) || f.Candidates[0].Evidence == "" {
		t.Errorf("candidates: %+v", f.Candidates)
	}
	f = d.locate(connector.Subject{Identifiers: []identity.Identifier{conformance.By(identity.Phone, "+33 1 99 00 11 22")}})
	if len(f.Identifiers) != 0 || len(f.Candidates) != 2 {
		t.Errorf("by telephone only: %+v", f)
	}
}

func TestLocate_others(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	if f := d.locate(conformance.Person(fake.Hoax)); len(f.Identifiers) != 0 || len(f.Candidates) != 1 {
		t.Errorf("an e-mail that nobody has verified: %+v", f)
	}
	if f := d.locate(conformance.Person(company.Agent)); len(f.Identifiers) != 0 || len(f.Candidates) != 0 || len(f.Notes) != 1 {
		t.Errorf("an agent who asks as an end user: %+v", f)
	}
	agent := conformance.Person(company.Agent)
	agent.Agent = true
	if f := d.locate(agent); len(values(f.Identifiers, "support.user_id")) != 1 || len(f.Notes) != 2 || !strings.Contains(strings.Join(f.Notes, ""), "has answered") {
		t.Errorf("an agent: %+v", f)
	}
	if f := d.locate(conformance.Person("nobody@example.test")); len(f.Identifiers)+len(f.Candidates)+len(f.Counts) != 0 {
		t.Errorf("nobody: %+v", f)
	}
	for kind, value := range map[identity.Kind]string{identity.ExternalID: "customer-1001", "support.user_id": fmt.Sprint(d.Find(company.Ines)), identity.Email: fake.Older} {
		f := d.locate(connector.Subject{Identifiers: []identity.Identifier{conformance.By(kind, value)}})
		if got := values(f.Identifiers, "support.user_id"); len(got) != 1 || got[0] != fmt.Sprint(d.Find(company.Ines)) {
			t.Errorf("by %s: %v", kind, got)
		}
	}
}

// A user that an agent has deleted is in no search, but still there.
func TestLocate_deletedUser(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	s := d.located(conformance.Person(fake.Left))
	if len(values(s.Identifiers, "support.user_id")) != 1 {
		t.Fatalf("%+v", s)
	}
	if p := d.must(connector.Call{Operation: connector.Erase, Subject: s}); p.Counts["users"] != 1 {
		t.Errorf("%+v", p)
	}
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// An e-mail that says something in Zendesk's search syntax is only searched for.
func TestLocate_searchSyntax(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	for _, hostile := range []string{`"a OR role:admin"@example.test`, `"x\"y"@example.test`, `email:*@example.test`} {
		f, err := d.c.Locate(t.Context(), conformance.Person(hostile))
		if err != nil || len(f.Identifiers)+len(f.Candidates) != 0 {
			t.Errorf("%s: %+v, %v", hostile, f, err)
		}
	}
}

// The first hundred users whose e-mail contains the person's are not all looked
// into, and hide nobody: the approver is told, and equal ones are found.
func TestLocate_manyAlike(t *testing.T) {
	t.Parallel()
	d := deskOf(t, "", fake.Options{Small: true})
	for i := range 130 {
		d.AddUser(fake.User{Name: "Somebody"}, fmt.Sprintf("%da%s", i, company.Leo))
	}
	late := d.AddUser(fake.User{Name: "Léo"}, company.Leo)
	d.Advance(10 * time.Minute)
	f := d.locate(conformance.Person(company.Leo))
	if got := values(f.Identifiers, "support.user_id"); len(got) != 2 || !slices.Contains(got, fmt.Sprint(late)) || !strings.Contains(strings.Join(f.Notes, "\n"), "only resembles") {
		t.Errorf("%v, %v", got, f.Notes)
	}
}

// The chats of hundreds of tickets are yielded in pieces that go on where the
// last one stopped; a person with more than a request can keep is a matter for a
// person before their tickets, the last index to the chats, are deleted.
func TestLocate_manyChats(t *testing.T) {
	t.Parallel()
	for tickets, told := range map[int]bool{230: false, 450: true} {
		d := deskOf(t, "", fake.Options{Small: true, PerMinute: 100000})
		mo := d.Find(company.Mo)
		for i := range tickets {
			d.AddTicket(fake.Ticket{Requester: mo, Channel: "chat", Chat: &fake.Chat{ID: fmt.Sprintf("2611.%d.AbCd", i)}}, "<p>Transcript</p>")
		}
		d.Advance(time.Hour)
		s := conformance.Person(company.Mo)
		chats := map[string]bool{}
		var f connector.Findings
		pieces := 0
		for more := true; more; more = f.More > 0 {
			s.Handle = f.Handle
			f = d.locate(s)
			d.Advance(time.Minute)
			for _, id := range values(f.Identifiers, "support.chat_id") {
				chats[id] = true
			}
			if pieces++; pieces > 10 {
				t.Fatal("it never ends")
			}
		}
		if !told && len(chats) != tickets || told && len(chats) != 401 || f.Counts["tickets"] != tickets {
			t.Errorf("%d of %d chats, %v", len(chats), tickets, f.Counts)
		}
		if strings.Contains(strings.Join(f.Notes, "\n"), "an erasure asks first") != told {
			t.Errorf("%d: %q", tickets, f.Notes)
		}
		s.Handle = ""
		s.Identifiers = append(s.Identifiers, conformance.By("support.user_id", fmt.Sprint(mo)))
		for id := range chats {
			s.Identifiers = append(s.Identifiers, conformance.By("support.chat_id", id))
		}
		p, err := d.drive(erase(s))
		if err != nil || (p.Ask != nil) != told {
			t.Fatalf("%d: %+v, %v", tickets, p.Ask, err)
		}
		if !told {
			continue
		}
		call := erase(s)
		call.Handle = p.Handle
		if p := d.retry(call); p.Counts["tickets"] != tickets {
			t.Errorf("%+v", p)
		}
	}
}

// A list by offset ends at 10,000 rows: it is refused, not taken for the end.
func TestLocate_offsetTrap(t *testing.T) {
	t.Parallel()
	d := deskOf(t, "", fake.Options{Small: true, PerMinute: 100000})
	for i := range fake.MaxRows {
		d.AddUser(fake.User{Name: "Somebody"}, fmt.Sprintf("%da%s", i, company.Leo))
	}
	d.Advance(10 * time.Minute)
	if _, err := d.c.Locate(t.Context(), conformance.Person(company.Leo)); !errs.Is(err, errs.TooLarge) {
		t.Errorf("%v", err)
	}
	// A server that answers a list by cursor with one by offset is not believed.
	d.c = d.connect(liar{conformance.Local(d.Server), func(r *http.Request) (int, string) {
		if strings.HasSuffix(r.URL.Path, "/identities") {
			return 200, `{"identities":[],"count":300,"next_page":"https://example.zendesk.com/api/v2/users/1/identities.json?page=2"}`
		}
		return 0, ""
	}})
	if _, err := d.c.Locate(t.Context(), conformance.Person(company.Mo)); !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
}

// Lists that lead in a circle, nowhere, or to another host.
func TestPages_hostile(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"circle":  `{"deleted_users":[],"meta":{"has_more":true,"after_cursor":"x"}}`,
		"nowhere": `{"deleted_users":[],"meta":{"has_more":true,"after_cursor":""}}`,
		"null":    `{"deleted_users":[],"meta":{"has_more":true,"after_cursor":null}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deskOf(t, "", fake.Options{Small: true})
			d.c = d.connect(liar{conformance.Local(d.Server), func(r *http.Request) (int, string) {
				if strings.HasSuffix(r.URL.Path, "/deleted_users") {
					return 200, body
				}
				return 0, ""
			}})
			if _, err := d.c.Locate(t.Context(), conformance.Person(company.Leo)); !errs.Is(err, errs.Internal) {
				t.Errorf("%v", err)
			}
		})
	}
	d := deskOf(t, "", fake.Options{Small: true})
	seen := ""
	d.c = d.connect(liar{conformance.Local(d.Server), func(r *http.Request) (int, string) {
		if r.URL.Host != "example.zendesk.com" {
			t.Errorf("a call to %s", r.URL.Host)
		}
		switch {
		case !strings.HasSuffix(r.URL.Path, "/deleted_users"):
			return 0, ""
		case r.URL.Query().Get("page[after]") == "":
			return 200, `{"deleted_users":[],"links":{"next":"https://evil.test/api/v2/deleted_users?page[after]=x"},"meta":{"has_more":true,"after_cursor":"../../evil?&page[size]=1"}}`
		}
		seen = r.URL.Query().Get("page[after]")
		return 200, `{"deleted_users":[],"meta":{"has_more":false}}`
	}})
	if _, err := d.c.Locate(t.Context(), conformance.Person(company.Leo)); err != nil || seen != "../../evil?&page[size]=1" {
		t.Errorf("%q, %v", seen, err)
	}
}

// An id that is no number reaches no path.
func TestUsers_emptyPathID(t *testing.T) {
	t.Parallel()
	d := deskOf(t, "", fake.Options{Small: true})
	var list []identity.Identifier
	for _, id := range []string{"", " ", "..", "1/../2", "0", "-1", "1e3", "1?x", "99999999999999999999"} {
		list = append(list, conformance.By("support.user_id", id))
	}
	for _, op := range d.c.Inventory().Does {
		if p, err := d.drive(connector.Call{Operation: op, Subject: connector.Subject{Identifiers: list}, Out: &conformance.Recorder{}}); err != nil || len(p.Counts) != 0 {
			t.Errorf("%s: %+v, %v", op, p, err)
		}
	}
	for _, c := range d.Calls() {
		if c.Method != http.MethodGet {
			t.Errorf("%+v", c)
		}
	}
}
