package fake

import (
	"fmt"
	"time"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// What the seed adds to the company's people.
const (
	Older = "ines.martin@old.example.test" // of a record of Ines that was merged
	Hoax  = "zoe@example.test"             // a record that somebody made with Zoe's e-mail, not verified
	Left  = "lou@example.test"             // a user that an agent has deleted, not purged yet
)

// seed makes a small company, long ago.
func (s *Server) seed() { s.Ago(400*24*time.Hour, s.company) }

func (s *Server) company() {
	staff := company.Staff()
	agent := s.addUser(User{ID: staff.ZendeskID(), Name: staff.Name(), Role: "agent", ExternalID: staff.ExternalID, Phone: staff.Phone}, staff.Email)
	ids := map[string]int64{}
	people, orders := company.People(), 22
	if s.o.Small {
		people, orders = people[:3], 2
	}
	for _, p := range people {
		u := s.addUser(User{ID: p.ZendeskID(), Name: p.Name(), Phone: p.Phone, ExternalID: p.ExternalID, Fields: map[string]any{"birthday": "1990-02-03"}}, p.Email)
		ids[p.Email] = u.ID
		if p.N > 2 && p.N%2 == 0 {
			t := s.addTicket(Ticket{Requester: u.ID, Assignee: agent.ID, Subject: "A question"}, "<p>Please call me back.</p>")
			s.say(t, agent.ID, "<p>We did.</p>")
		}
	}
	ines, leo := ids[company.Ines], ids[company.Leo]
	older := s.addUser(User{Name: "I. Martin"}, Older)
	s.addTicket(Ticket{Requester: older.ID, Subject: "First question"}, "<p>Do you ship to Lyon?</p>")
	s.merge(ines, older.ID)
	hoax := s.addUser(User{Name: "Somebody"}, Hoax)
	hoax.Identities[0].Verified = false
	s.changed(hoax)
	// Searching for the e-mail of Ines finds these two as well: Zendesk matches parts.
	s.addUser(User{Name: "Marines Roy"}, "mar"+company.Ines)
	s.addUser(User{Name: "Ines Other"}, company.Ines+".example.org")
	left := s.addUser(User{Name: "Lou Left"}, Left)
	left.Status = Deleted
	s.changed(left)
	s.correspondence(ines, leo, agent.ID, orders)
}

// correspondence are the tickets of Ines and Leo.
func (s *Server) correspondence(ines, leo, agent int64, orders int) {
	for i := range orders {
		t := s.addTicket(Ticket{Requester: ines, Assignee: agent, Subject: fmt.Sprintf("Order %d", 4100+i)},
			`<div class="zd-comment"><p>Where is my parcel? I live at 12 rue des Lilas.<br>See <a href="https://example.test/me">me</a></p></div>`)
		if i == 0 {
			t.Rating = "good"
		}
		if i%7 == 0 {
			s.addFile(t, fakekit.File{Name: fmt.Sprintf("photo %d.jpg", i), MediaType: "image/jpeg", Text: "JPEG of a parcel ", Size: 2000})
		}
		s.say(t, agent, "<p>It is on its way.</p>")
	}
	s.addTicket(Ticket{Requester: ines, Assignee: agent, Subject: "Chat with Inès", Channel: "chat", Status: Solved, Chat: &Chat{ID: company.Chat, Lines: []ChatLine{
		{Text: "My number is 847564"}, {Agent: true, Text: "Thank you"}, {File: "invoice.pdf"},
	}}}, "<p>Transcript of a chat</p>")
	lamp := s.addTicket(Ticket{Requester: leo, Assignee: agent, Subject: "Broken lamp", Status: Open, CCs: []int64{ines}, Followers: []int64{agent}}, "<p>It does not light. &lt;script&gt;alert(1)&lt;/script&gt;</p>")
	s.say(lamp, ines, "<p>Mine neither, call me on +33 6 55 00 01 01</p>")
	s.addTicket(Ticket{Requester: leo, Subject: "Old lamp", CCs: []int64{ines}}, "<p>Thanks</p>")
	s.addSuspended(Suspended{Email: company.Ines, Name: "Inès Martin", Subject: "Out of office", Content: "I am away."})
	s.addSuspended(Suspended{Email: "spam@example.org", Name: "Spam", Subject: "Win", Content: "Click."})
}
