package zendesksupport_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
	"github.com/avow-consent/avow/internal/errs"
)

// hook runs before each call.
type hook struct {
	next   http.RoundTripper
	before func(*http.Request)
}

func (h hook) RoundTrip(r *http.Request) (*http.Response, error) {
	h.before(r)
	return h.next.RoundTrip(r)
}

// liar answers some calls itself.
type liar struct {
	next http.RoundTripper
	lies func(*http.Request) (status int, body string)
}

func (l liar) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := l.lies(r)
	if status == 0 {
		return l.next.RoundTrip(r)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// applied are the routes of calls that were applied, of some methods.
func (d *desk) applied(methods ...string) (routes []string) {
	for _, c := range d.Calls() {
		if c.Applied && slices.Contains(methods, c.Method) {
			routes = append(routes, c.Method+" "+c.Route)
		}
	}
	return routes
}

// small is a desk with three people in it.
func small(t testing.TB, config string) *desk {
	t.Helper()
	return deskOf(t, config, fake.Options{Small: true})
}

func erase(s connector.Subject) connector.Call {
	return connector.Call{Key: "k", Operation: connector.Erase, Subject: s}
}

// The official order inside Support: tickets, for good, then the user, then for
// good; and no user goes while a ticket of theirs is there.
func TestErase_order(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	ines := d.Find(company.Ines)
	s := d.located(conformance.Person(company.Ines))
	d.c = d.connect(hook{conformance.Local(d.Server), func(r *http.Request) {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "users/") && len(d.tickets(ines)) > 0 {
			t.Errorf("%s %s while there are tickets", r.Method, r.URL.Path)
		}
	}})
	d.must(erase(s))
	want := []string{
		"DELETE /tickets/destroy_many", "DELETE /deleted_tickets/destroy_many", "DELETE /suspended_tickets/destroy_many",
		"DELETE /users/{user_id}", "DELETE /deleted_users/{deleted_user_id}",
	}
	if diff := cmp.Diff(want, d.applied(http.MethodDelete)); diff != "" {
		t.Error(diff)
	}
}

// After is the order between the products.
func TestAfter(t *testing.T) {
	t.Parallel()
	after := small(t, "").c.After()
	for _, kind := range []string{"zendesk-chat", "zendesk-message", "zendesk-messaging"} {
		if after[kind] == "" {
			t.Errorf("nothing says that %s goes first", kind)
		}
	}
}

// solved is not closed: a ticket that comes in meanwhile and is solved blocks
// the user (422), and is deleted, too.
func TestErase_beforeTicketClosed422(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	leo := d.Find(company.Leo)
	s := d.located(conformance.Person(company.Leo))
	late := false
	d.c = d.connect(hook{conformance.Local(d.Server), func(r *http.Request) {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/users/") && !late {
			late = true
			d.AddTicket(fake.Ticket{Requester: leo, Status: fake.Solved}, "<p>one more thing</p>")
		}
	}})
	p := d.must(erase(s))
	refused := slices.ContainsFunc(d.Calls(), func(c fakekit.Call) bool { return c.Route == "/users/{user_id}" && c.Status == 422 })
	if p.Counts["tickets"] != 3 || !refused || len(d.tickets(leo)) != 0 {
		t.Errorf("%+v, refused %v", p, refused)
	}
}

// A placeholder of a shared ticket, or a user of the legacy Chat, is a person's
// matter; after that the erasure goes on.
func TestErase_sharingAndLegacyChat(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	leo := d.Find(company.Leo)
	d.Update(leo, func(u *fake.User) { u.Locked = true })
	s := d.located(conformance.Person(company.Leo))
	p, err := d.drive(erase(s))
	if err != nil || p.Ask == nil || !p.Ask.Retry || !strings.Contains(p.Ask.Instructions, "legacy Chat") || p.Counts["tickets"] != 2 || p.Counts["users"] != 0 {
		t.Fatalf("%+v, %v", p, err)
	}
	d.Update(leo, func(u *fake.User) { u.Locked = false })
	call := erase(s)
	call.Again = true
	if p := d.must(call); p.Counts["users"] != 1 || p.Counts["tickets"] != 0 {
		t.Errorf("%+v", p)
	}
}

// An agent is not deleted, nor any ticket of others, until a person has made
// them an end user; then their name goes, and what they answered stays.
func TestErase_agent(t *testing.T) {
	t.Parallel()
	d := newDesk(t, "")
	agent := conformance.Person(company.Agent)
	agent.Agent = true
	s := d.located(agent)
	before := d.State()
	p, err := d.drive(erase(s))
	if err != nil || p.Ask == nil || !p.Ask.Retry || cmp.Diff(before, d.State()) != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	id := d.Find(company.Agent)
	d.Update(id, func(u *fake.User) { u.Role = "end-user" })
	d.Edit(openTicket(before), func(t *fake.Ticket) { t.Assignee = 0 })
	d.must(erase(s))
	after := d.State()
	if d.user(id).Status != fake.Purged || len(after.Tickets) != len(before.Tickets) {
		t.Errorf("%+v", d.user(id))
	}
	for i := range after.Tickets {
		if cmp.Diff(before.Tickets[i].Comments, after.Tickets[i].Comments) != "" {
			t.Errorf("ticket %d of somebody else was changed", after.Tickets[i].ID)
		}
	}
}

func openTicket(s fake.State) int64 {
	for _, t := range s.Tickets {
		if t.Status == fake.Open {
			return t.ID
		}
	}
	return 0
}

// Tickets of others stay: the person's words in them are redacted, the person is
// copied no more; a closed one is kept, with the reason.
func TestErase_ticketsOfOthers(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	ines := d.Find(company.Ines)
	s := d.located(conformance.Person(company.Ines))
	p := d.must(erase(s))
	for _, ticket := range d.tickets(d.Find(company.Leo)) {
		if slices.Contains(ticket.CCs, ines) != (ticket.Status == fake.Closed) {
			t.Errorf("%+v", ticket)
		}
		for _, c := range ticket.Comments {
			if (c.Author == ines) != strings.Contains(c.HTML, "▇") {
				t.Errorf("%+v", c)
			}
		}
	}
	if len(p.Kept) != 1 || !strings.HasPrefix(p.Kept[0].What, "1 closed tickets") || p.Kept[0].Reason == "" {
		t.Errorf("%+v", p.Kept)
	}
}

// A follower is taken out of tickets that can be changed.
func TestErase_followed(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	mo, leo := d.Find(company.Mo), d.Find(company.Leo)
	open := d.AddTicket(fake.Ticket{Requester: leo, Status: fake.Solved, Followers: []int64{mo}}, "<p>x</p>")
	closed := d.AddTicket(fake.Ticket{Requester: leo, Followers: []int64{mo}}, "<p>x</p>")
	d.Advance(10 * time.Minute)
	p := d.must(erase(d.located(conformance.Person(company.Mo))))
	if p.Counts["followed_tickets"] != 1 || len(d.Ticket(open).Followers) != 0 || len(d.Ticket(closed).Followers) != 1 {
		t.Errorf("%+v", p)
	}
}

func TestErase_redact(t *testing.T) {
	t.Parallel()
	d := small(t, redacting)
	ines := d.Find(company.Ines)
	open := d.AddTicket(fake.Ticket{Requester: ines, Status: fake.Open, Subject: "Inès and her parcel"}, `<p>I am <b>Inès</b><img src="https://x.test/a.png"></p>`)
	d.AddFile(open, fakekit.File{Name: "id card.jpg", MediaType: "image/jpeg", Text: "x", Size: 10})
	s := d.located(conformance.Person(company.Ines))
	p := d.must(erase(s))
	if diff := cmp.Diff(map[string]int{"users": 1, "redacted_tickets": 5, "others_tickets": 2, "suspended_tickets": 1}, p.Counts); diff != "" {
		t.Error(diff)
	}
	tickets := d.tickets(ines)
	if len(tickets) != 5 || d.Ticket(open).Subject != "(redacted)" {
		t.Errorf("%d tickets are kept", len(tickets))
	}
	for _, ticket := range tickets {
		if ticket.Status != fake.Closed {
			t.Errorf("ticket %d is %s", ticket.ID, ticket.Status)
		}
		for _, c := range ticket.Comments {
			if c.Author == ines && strings.ContainsAny(strings.ReplaceAll(c.HTML, "div class=\"zd-comment\"", ""), "IWMDéT") {
				t.Errorf("ticket %d says %s", ticket.ID, c.HTML)
			}
			if c.Author != ines && strings.Contains(c.HTML, "▇") {
				t.Errorf("what an agent wrote was redacted: %s", c.HTML)
			}
		}
		if ticket.Chat != nil {
			if diff := cmp.Diff([]fake.ChatLine{{Text: strings.Repeat("▇", 19)}, {Agent: true, Text: "Thank you"}, {File: "redacted.txt"}}, ticket.Chat.Lines); diff != "" {
				t.Error(diff)
			}
		}
	}
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// A redaction names a text: repeated it is refused, and nothing is done twice.
func TestErase_redactionTwice(t *testing.T) {
	t.Parallel()
	d := small(t, redacting)
	s := d.located(conformance.Person(company.Ines))
	d.Fail(fakekit.Failure{Method: "PUT", Route: "/comment_redactions/{ticket_comment_id}", Times: 1, Status: 502, HTML: true, Applied: true})
	d.must(erase(s))
	seen := map[string]bool{}
	for _, path := range harm(d.Calls()) {
		if seen[path] && !strings.Contains(path, "chat_redactions") {
			t.Errorf("%s twice", path)
		}
		seen[path] = true
	}
}

// A ticket that the account's rules do not let be closed is a person's matter.
func TestErase_redactRefused(t *testing.T) {
	t.Parallel()
	d := deskOf(t, redacting, fake.Options{Small: true, Refuse: true})
	p, err := d.drive(erase(d.located(conformance.Person(company.Leo))))
	if err != nil || p.Ask == nil || !p.Ask.Retry || d.user(d.Find(company.Leo)).Status != fake.Active {
		t.Errorf("%+v, %v", p, err)
	}
}

// A rule of the account that keeps a person on somebody else's ticket is a
// person's matter, not something to be tried for ever.
func TestErase_othersRefused(t *testing.T) {
	t.Parallel()
	for _, ticket := range []fake.Ticket{{CCs: []int64{0}}, {Followers: []int64{0}}} {
		d := deskOf(t, "", fake.Options{Small: true, Refuse: true})
		for _, list := range [][]int64{ticket.CCs, ticket.Followers} {
			for i := range list {
				list[i] = d.Find(company.Mo)
			}
		}
		ticket.Requester, ticket.Status = d.Find(company.Leo), fake.Open
		d.AddTicket(ticket, "<p>x</p>")
		d.Advance(10 * time.Minute)
		if _, err := d.drive(erase(d.located(conformance.Person(company.Mo)))); !errs.Is(err, errs.Conflict) || d.user(d.Find(company.Mo)).Status != fake.Active {
			t.Errorf("%v", err)
		}
	}
}

// Jobs that are killed, or whose record is gone because nobody asked for a day,
// are begun again; what they did is counted once.
func TestErase_jobs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		disturb func(*desk)
		which   []int // of the jobs
		want    int   // jobs in all
	}{
		"killed":  {func(d *desk) { d.Kill() }, []int{1, 3}, 4},
		"expired": {func(d *desk) { d.Advance(48 * time.Hour) }, []int{1, 2}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := small(t, "")
			s := d.located(conformance.Person(company.Ines))
			times := map[string]int{}
			d.c = d.connect(hook{conformance.Local(d.Server), func(r *http.Request) {
				if id, ok := strings.CutPrefix(r.URL.Path, "/api/v2/job_statuses/"); ok {
					if times[id]++; times[id] == 1 && slices.Contains(tt.which, len(times)) {
						tt.disturb(d)
					}
				}
			}})
			if p := d.must(erase(s)); p.Counts["tickets"] != 4 || len(times) != tt.want {
				t.Errorf("%+v, %v", p, times)
			}
		})
	}
}

// Zendesk that never deletes is a person's matter.
func TestErase_deletionRefused(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Ines))
	d.c = d.connect(liar{conformance.Local(d.Server), func(r *http.Request) (int, string) {
		if r.Method == http.MethodDelete && r.URL.Path == "/api/v2/tickets/destroy_many" {
			return 200, `{"job_status":{"id":"lie","status":"queued"}}`
		}
		if strings.HasSuffix(r.URL.Path, "/job_statuses/lie") {
			return 200, `{"job_status":{"id":"lie","status":"completed","results":[{"id":1,"action":"delete","success":true,"status":"Deleted"}]}}`
		}
		return 0, ""
	}})
	if _, err := d.drive(erase(s)); !errs.Is(err, errs.Conflict) {
		t.Errorf("%v", err)
	}
	if d.user(d.Find(company.Ines)).Status != fake.Active {
		t.Error("the user went before the tickets")
	}
}

// Suspended tickets that are listed however often they are deleted, and tickets
// that are followed however often they are changed, are not tried for ever.
func TestErase_endless(t *testing.T) {
	t.Parallel()
	for name, lies := range map[string]func(*http.Request) bool{
		"suspended": func(r *http.Request) bool {
			return r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/suspended_tickets/")
		},
		"followed": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/tickets/")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deskOf(t, "", fake.Options{Small: true, PerMinute: 100000})
			mo := d.Find(company.Mo)
			d.AddSuspended(fake.Suspended{Email: company.Mo})
			d.AddTicket(fake.Ticket{Requester: d.Find(company.Leo), Status: fake.Solved, Followers: []int64{mo}}, "<p>x</p>")
			d.Advance(10 * time.Minute)
			s := d.located(conformance.Person(company.Mo))
			d.c = d.connect(liar{conformance.Local(d.Server), func(r *http.Request) (int, string) {
				if lies(r) {
					return 200, "{}"
				}
				return 0, ""
			}})
			if _, err := d.drive(erase(s)); !errs.Is(err, errs.Conflict) || d.user(mo).Status != fake.Active {
				t.Errorf("%v", err)
			}
		})
	}
}

// TooManyJobs is a 429 that passes.
func TestErase_tooManyJobs(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Ines))
	d.Fail(fakekit.Failure{Method: "DELETE", Route: "/tickets/destroy_many", Times: 6, Status: 429, After: 40 * time.Second, Form: "seconds"})
	if p := d.must(erase(s)); p.Counts["tickets"] != 4 {
		t.Errorf("%+v", p)
	}
}

// A product that begins hours after another one has finished is waited for: each
// of them is evidence.
func TestErase_complianceOfEachProduct(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	p := d.must(erase(d.located(conformance.Person(company.Ines))))
	var products []string
	for _, e := range p.Evidence {
		if product, ok := strings.CutSuffix(e.Answer, " complete"); ok && strings.HasSuffix(e.Call, "compliance_deletion_statuses") && e.At.After(start) {
			products = append(products, product)
		}
	}
	if diff := cmp.Diff([]string{"chat", "explore", "support"}, products); diff != "" {
		t.Error(diff)
	}
	if waited := d.Now().Sub(start); waited < 48*time.Hour {
		t.Errorf("it was over after %v", waited)
	}
}

// A deleted user that somebody restores meanwhile is not purged.
func TestErase_restored(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	mo := d.Find(company.Mo)
	s := d.located(conformance.Person(company.Mo))
	d.c = d.connect(hook{conformance.Local(d.Server), func(r *http.Request) {
		if r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/deleted_users/") {
			d.Update(mo, func(u *fake.User) { u.Status = fake.Active })
		}
	}})
	if _, err := d.drive(erase(s)); !errs.Is(err, errs.Conflict) {
		t.Errorf("%v", err)
	}
}

// A user who is gone by the time of the deletion is no deletion of Avow's: the
// evidence is that nobody is there.
func TestErase_goneMeanwhile(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{true, false} {
		d := small(t, "")
		mo := d.Find(company.Mo)
		s := d.located(conformance.Person(company.Mo))
		looks := 0
		d.c = d.connect(hook{conformance.Local(d.Server), func(r *http.Request) {
			if gone && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/users/"+strconv.FormatInt(mo, 10)) {
				if looks++; looks == 2 { // right before the deletion
					now := d.Now()
					d.Update(mo, func(u *fake.User) { u.Status, u.PurgedAt = fake.Purged, now })
				}
			}
		}})
		p := d.must(erase(s))
		was404 := slices.ContainsFunc(p.Evidence, func(e connector.Evidence) bool { return e.Call == "GET /users/{id}" && e.Answer == "404" })
		was200 := slices.ContainsFunc(p.Evidence, func(e connector.Evidence) bool { return e.Call == "DELETE /deleted_users/{id}" })
		if was404 != gone || was200 == gone || p.Counts["users"] != 1 {
			t.Errorf("%+v", p)
		}
	}
}

// Somebody whom Zendesk does not know as a user may still have been held back.
func TestErase_suspendedOnly(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	d.AddSuspended(fake.Suspended{Email: "nobody@example.test", Subject: "Hello"})
	s := d.located(conformance.Person("nobody@example.test"))
	out := &conformance.Recorder{}
	if p := d.must(connector.Call{Operation: connector.Export, Subject: s, Out: out}); p.Counts["suspended_tickets"] != 1 || len(out.Records["suspended_ticket"]) != 1 {
		t.Errorf("%+v", p)
	}
	if p := d.must(erase(s)); p.Counts["suspended_tickets"] != 1 {
		t.Errorf("%+v", p)
	}
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("%+v", r)
	}
}

// What is left: nothing was deleted, somebody came back, a record was merged away
// between the search and the deletion, the search is behind.
func TestVerify_residue(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Leo))
	if r := d.verify(s); r.Counts["users"] != 1 {
		t.Errorf("nothing was deleted: %+v", r)
	}
	d.must(erase(s))
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Errorf("all is gone: %+v", r)
	}
	d.AddUser(fake.User{Name: "Léo"}, company.Leo)
	d.AddSuspended(fake.Suspended{Email: company.Leo})
	d.Advance(24 * time.Hour)
	if r := d.verify(s); r.Counts["users"] != 1 || r.Counts["suspended_tickets"] != 1 {
		t.Errorf("found a day later: %+v", r)
	}
}

func TestVerify_indexLag(t *testing.T) {
	t.Parallel()
	d := small(t, `"settle":"0s"`)
	s := d.located(conformance.Person(company.Mo))
	d.must(erase(s))
	d.c = d.connect(liar{conformance.Local(d.Server), func(r *http.Request) (int, string) {
		if r.URL.Path == "/api/v2/users/search" { // as it was
			return 200, `{"users":[{"id":` + values(s.Identifiers, "support.user_id")[0] + `,"name":"Mo","email":"` + company.Mo + `"}],"next_page":null}`
		}
		return 0, ""
	}})
	if r, err := d.c.Verify(t.Context(), erase(s)); err != nil || r.Wait == 0 || len(r.Counts) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestErase_mergedMeanwhile(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Mo))
	winner := d.AddUser(fake.User{Name: "Mo H."}, "mo.h@example.test")
	d.Merge(winner, d.Find(company.Mo))
	d.Advance(time.Hour)
	if p := d.must(erase(s)); p.Counts["users"] != 1 {
		t.Errorf("%+v", p)
	}
	if r := d.verify(s); r.Counts["users"] != 1 {
		t.Errorf("the record that the person's was merged into has the e-mail: %+v", r)
	}
}

// The vendor is down for a week: each attempt says that it may pass, and the
// erasure goes on where it was.
func TestErase_vendorDown(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Ines))
	call := erase(s)
	call.Now = d.Now()
	p, err := d.c.Start(t.Context(), call)
	if err != nil {
		t.Fatal(err)
	}
	call.Handle = p.Handle
	d.Fail(fakekit.Failure{Status: 503, HTML: true})
	for range 7 {
		if _, err := d.c.Poll(t.Context(), call); !errs.Is(err, errs.Unavailable) {
			t.Fatalf("%v", err)
		}
		d.Advance(24 * time.Hour)
	}
	d.Mend()
	if p := d.must(erase(s)); p.Counts["tickets"] != 4 {
		t.Errorf("%+v", p)
	}
}

// A limit whose answer is a page of HTML is obeyed, and never read as JSON.
func TestLimits_html429(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	d.Fail(fakekit.Failure{Times: 8, Status: 429, HTML: true, After: 93 * time.Second, Form: "seconds"})
	_, err := d.c.Locate(t.Context(), conformance.Person(company.Ines))
	if after, ok := connector.RetryAfter(err); !errs.Is(err, errs.Unavailable) || !ok || after != 93*time.Second {
		t.Errorf("%v, %v", err, after)
	}
	var later *connector.LaterError
	if !errors.As(err, &later) || d.slept > 0 {
		t.Errorf("%v was slept", d.slept)
	}
}
