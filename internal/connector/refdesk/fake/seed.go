package fake

import (
	"fmt"
	"strings"
	"time"
)

// The people of the company that matter to tests and to the demo.
const (
	Ines   = "ines@example.test" // a customer who is in every system, with many tickets and an older record that was merged
	Leo    = "leo@example.test"  // shares a telephone with Mo
	Mo     = "mo@example.test"
	Agent  = "sam.agent@example.test" // answers tickets
	Hoax   = "zoe@example.test"       // a record that somebody made with Zoe's e-mail, not verified
	Shared = "+33 1 99 00 11 22"      // the telephone of Leo and Mo
)

// seed makes a small company, long ago: a few dozen people, their tickets, an agent.
func (s *Server) seed() { s.Ago(400*24*time.Hour, s.company) }

func (s *Server) company() {
	agent := s.addUser(User{Name: "Sam Agent", Email: Agent, Role: "agent", Verified: true, ExternalID: "staff-7"})
	ines := s.addUser(User{Name: "Inès Martin", Email: Ines, Phone: "+33 6 55 00 01 01", ExternalID: "customer-1001", Verified: true, Notes: "prefers e-mail"})
	older := s.addUser(User{Name: "I. Martin", Email: "ines.martin@old.example.test", ExternalID: "", Verified: true})
	leo := s.addUser(User{Name: "Léo Petit", Email: Leo, Phone: Shared, ExternalID: "customer-1002", Verified: true})
	s.addUser(User{Name: "Mo Haddad", Email: Mo, Phone: "0033 1 99 00 11 22", ExternalID: "customer-1003", Verified: true})
	s.addUser(User{Name: "Somebody", Email: Hoax})
	// Searching for ines@example.test finds these two as well: the vendor matches parts.
	s.addUser(User{Name: "Marines Roy", Email: "mar" + Ines, Verified: true})
	s.addUser(User{Name: "Ines Other", Email: Ines + ".example.org", Verified: true})
	s.people()
	for i := range 23 {
		t := s.addTicket(ines.ID, fmt.Sprintf("Order %d", 4100+i), "Where is my parcel? I live at 12 rue des Lilas.", Solved, s.Time().Add(time.Duration(i)*24*time.Hour))
		t.Assignee = agent.ID
		if i%7 == 0 {
			s.addFile(t, fmt.Sprintf("photo %d.jpg", i), "image/jpeg", "JPEG of a parcel ", 2000)
		}
	}
	s.addTicket(older.ID, "First question", "Do you ship to Lyon?", Solved, s.Time())
	s.addTicket(leo.ID, "Broken lamp", "It does not light. <script>alert(1)</script>", Open, s.Time())
	s.merge(ines.ID, older.ID)
}

func (s *Server) people() {
	first := []string{"Ada", "Bela", "Chloé", "Dario", "Elif", "Finn", "Gala", "Hugo", "Iris", "Jan", "Kiko", "Lena"}
	last := []string{"Novak", "Rossi", "Meyer"}
	for i, name := range first {
		for j, family := range last {
			mail := strings.ToLower(strings.ReplaceAll(name, "é", "e")+"."+family) + "@example.test"
			u := s.addUser(User{Name: name + " " + family, Email: mail, Phone: fmt.Sprintf("+4930555%04d", 100*i+j), ExternalID: fmt.Sprintf("customer-%d", 2000+10*i+j), Verified: true})
			if (i+j)%2 == 0 {
				s.addTicket(u.ID, "A question", "Please call me back.", Solved, s.Time())
			}
		}
	}
}
