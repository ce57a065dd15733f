package zendesksupport_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
)

// archive gives somebody n tickets of their own that only the search shows, made
// before and after one that the list shows.
func (d *desk) archive(user int64, n int) (ids []int64) {
	d.t.Helper()
	for i := range n {
		id := d.AddTicket(fake.Ticket{Requester: user, Subject: "Long ago"}, "<p>I live at 12 rue des Lilas.</p>")
		d.Edit(id, func(t *fake.Ticket) { t.Archived = true })
		ids = append(ids, id)
		if i == n/2 {
			d.AddTicket(fake.Ticket{Requester: user, Subject: "Of late"}, "<p>Thanks.</p>")
		}
	}
	d.Advance(time.Hour)
	return ids
}

// Tickets that a user's list does not show any more are exported, each once.
func TestExport_archived(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	mo := d.Find(company.Mo)
	ids := d.archive(mo, 130) // more than the search is asked for at a time
	out := &conformance.Recorder{}
	p := d.must(connector.Call{Operation: connector.Export, Subject: d.located(conformance.Person(company.Mo)), Out: out})
	distinct := slices.Compact(slices.Sorted(slices.Values(out.Records["ticket"])))
	if p.Counts["tickets"] != len(ids)+1 || len(distinct) != len(ids)+1 || len(out.Records["comment"]) != len(ids)+1 {
		t.Errorf("%v, %d tickets, %d comments", p.Counts, len(distinct), len(out.Records["comment"]))
	}
}

// They are deleted, or redacted, like the others.
func TestErase_archived(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{"delete": "", "redact": redacting} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := small(t, config)
			ids := d.archive(d.Find(company.Mo), 130)
			s := d.located(conformance.Person(company.Mo))
			p := d.must(erase(s))
			if n := p.Counts["tickets"] + p.Counts["redacted_tickets"]; n != len(ids)+1 {
				t.Errorf("%v", p.Counts)
			}
			for _, id := range ids {
				if ticket := d.Ticket(id); ticket.State == fake.Live && strings.Contains(ticket.Comments[0].HTML, "Lilas") || ticket.State == fake.Trashed {
					t.Fatalf("%+v", ticket)
				}
			}
			if r := d.verify(s); len(r.Counts) != 0 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What the company has added to a ticket goes when the ticket is closed, unless
// the account requires it; what stays is in the certificate, once.
func TestErase_redactFields(t *testing.T) {
	t.Parallel()
	for name, required := range map[string]int64{"free": 0, "required": 7} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deskOf(t, redacting, fake.Options{Small: true, Required: required})
			fields := []fake.Field{{ID: 7, Value: "12 rue des Lilas"}, {ID: 8, Value: nil}, {ID: 9, Value: true}}
			id := d.AddTicket(fake.Ticket{Requester: d.Find(company.Leo), Status: fake.Open, Subject: "Léo", Fields: slices.Clone(fields)}, "<p>x</p>")
			p := d.must(erase(d.located(conformance.Person(company.Leo))))
			want := []fake.Field{{ID: 7}, {ID: 8}, {ID: 9}}
			if required != 0 {
				want = fields
			}
			ticket := d.Ticket(id)
			if diff := cmp.Diff(want, ticket.Fields); diff != "" || ticket.Status != fake.Closed || ticket.Subject != "(redacted)" {
				t.Errorf("%s, %+v", diff, ticket)
			}
			if len(p.Kept) != 1 || p.Kept[0].Ground != "Art. 17(3)(e) GDPR" || !strings.Contains(p.Kept[0].What, "what agents wrote") {
				t.Errorf("%+v", p.Kept)
			}
		})
	}
}

// Where tickets stay, what can still be read in them is found.
func TestVerify_redactedTickets(t *testing.T) {
	t.Parallel()
	d := small(t, redacting)
	s := d.located(conformance.Person(company.Ines))
	d.must(erase(s))
	if r := d.verify(s); len(r.Counts) != 0 {
		t.Fatalf("%+v", r)
	}
	ines := d.tickets(d.State().Tickets[0].Requester)
	for _, ticket := range ines {
		if ticket.Chat != nil {
			d.Edit(ticket.ID, func(t *fake.Ticket) { t.Chat.Lines[0].Text = "My number is 847564" })
		}
	}
	d.Say(ines[0].ID, ines[0].Requester, "<p>It is me again</p>")
	if r := d.verify(s); r.Counts["tickets"] != 2 {
		t.Errorf("%+v", r)
	}
}
