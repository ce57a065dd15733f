package zendesksupport_test

import (
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
)

// Every request of the connector and every answer of the fake is as the vendor's
// own contract says (and contract.json, where that has a gap).
func TestContract(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	routes := []string{
		"POST /oauth/tokens 200", "GET /users/search 200", "GET /users/{user_id} 200", "GET /users/{user_id} 404", "PUT /users/{user_id} 200", "DELETE /users/{user_id} 200",
		"DELETE /users/{user_id} 422", "GET /users/{user_id}/related 200", "GET /users/{user_id}/identities 200", "GET /users/{user_id}/sessions 200",
		"POST /users/{user_id}/identities 201", "POST /users/{user_id}/identities 422", "PUT /users/{user_id}/identities/{user_identity_id}/make_primary 200",
		"DELETE /users/{user_id}/identities/{user_identity_id} 204", "GET /users/{user_id}/tickets/requested 200", "GET /users/{user_id}/tickets/ccd 200", "GET /users/{user_id}/tickets/assigned 200",
		"GET /users/{user_id}/compliance_deletion_statuses 200", "GET /deleted_users 200", "GET /deleted_users/{deleted_user_id} 404", "DELETE /deleted_users/{deleted_user_id} 200",
		"GET /tickets/{ticket_id} 200", "GET /tickets/show_many 200", "GET /tickets/{ticket_id}/comments 200", "GET /tickets/{ticket_id}/audits 200", "PUT /tickets/{ticket_id} 200",
		"DELETE /tickets/destroy_many 200", "DELETE /deleted_tickets/destroy_many 200", "GET /job_statuses/{job_status_id} 200", "GET /search/export 200",
		"PUT /comment_redactions/{ticket_comment_id} 200", "PUT /comment_redactions/{ticket_comment_id} 422", "PUT /chat_redactions/{ticket_id} 200", "PUT /chat_file_redactions/{ticket_id} 200",
		"PUT /tickets/{ticket_id}/comments/{comment_id}/attachments/{attachment_id}/redact 200", "GET /suspended_tickets 200", "DELETE /suspended_tickets/destroy_many 204", "GET /users/search 429", "GET /incremental/users/cursor 200",
	}
	each := func(config string, play func(d *desk)) {
		d := small(t, config)
		c := underContract(t, d)
		play(d)
		for _, route := range routes {
			seen[route] = seen[route] || c.Seen(route) || c.Seen(strings.Replace(route, " /", " /api/v2/", 1))
		}
	}
	each("", func(d *desk) {
		d.Fail(fakekit.Failure{Route: "/users/search", Times: 1, Status: 429, HTML: true, After: time.Second, Form: "seconds"})
		s := d.located(conformance.Person(company.Ines))
		d.must(connector.Call{Operation: connector.Export, Subject: s, Out: &conformance.Recorder{}})
		d.must(connector.Call{Operation: connector.Restrict, Subject: s})
		d.changes(d.changes(""))
		d.must(connector.Call{Operation: connector.Object, Subject: s})
		if p, err := d.drive(rectify(s, connector.Change{Field: "email", Old: company.Ines, New: company.Leo})); err != nil || p.Ask == nil {
			t.Errorf("%+v, %v", p, err)
		}
		d.must(rectify(s, connector.Change{Field: "email", Old: fake.Older, New: "new@example.test"}, connector.Change{Field: "email", Old: company.Ines, New: "newer@example.test"},
			connector.Change{Field: "phone", Old: "+33655000101", New: ""}, connector.Change{Field: "name", Old: "Inès Martin", New: "I"}))
		d.must(erase(s))
		d.verify(s)
		d.Update(d.Find(company.Leo), func(u *fake.User) { u.Locked = true })
		if p, err := d.drive(erase(d.located(conformance.Person(company.Leo)))); err != nil || p.Ask == nil {
			t.Errorf("%+v, %v", p, err)
		}
	})
	each(redacting, func(d *desk) {
		open := d.AddTicket(fake.Ticket{Requester: d.Find(company.Ines), Status: fake.Open, Subject: "Inès"}, `<p>I am Inès</p>`)
		d.AddFile(open, fakekit.File{Name: "id card.jpg", MediaType: "image/jpeg", Text: "x", Size: 10})
		d.Fail(fakekit.Failure{Method: "PUT", Route: "/comment_redactions/{ticket_comment_id}", Times: 1, Status: 502, HTML: true, Applied: true})
		d.must(erase(d.located(conformance.Person(company.Ines))))
	})
	for _, route := range routes {
		if !seen[route] {
			t.Errorf("%s was never seen", route)
		}
	}
}
