package fake

import (
	"fmt"
	"strconv"
	"time"

	"github.com/avow-consent/avow/internal/connector/company"
)

// seed makes the chats of the company, long ago.
func (s *Server) seed() { s.Ago(400*24*time.Hour, s.company) }

func (s *Server) company() {
	staff := company.Staff()
	s.data.Agents = []Agent{
		{ID: 1, Email: "lou.agent@example.test", Display: "Lou Agent", First: "Lou", Last: "Agent"},
		{ID: 2, Email: staff.Email, Display: staff.Name(), First: staff.Given, Last: staff.Family},
	}
	for _, p := range company.People() {
		s.customer(p)
	}
	// Searching for ines@example.test finds this one as well: parts match.
	s.chat(company.Person{Given: "Marines", Family: "Roy", Email: "mar" + company.Ines}, 0)
	// Inès again, without her e-mail: Visitor 1 has nothing but the id of a chat.
	ines := company.People()[0]
	s.chat(company.Person{Given: "Inès", Family: "Martin", Phone: ines.Phone}, 1)
	s.addChat(Chat{
		ID: company.Chat, Visitor: Visitor{Name: "Visitor 1"}, AgentIDs: []string{"1"}, AgentNames: []string{"Lou Agent"},
		History: []Line{{Type: "chat.msg", Name: "Visitor 1", By: "Visitor", Text: "My number is 847564"}},
	})
}

// customer has chatted about every third order; Inès always did.
func (s *Server) customer(p company.Person) {
	switch {
	case p.N == 0:
		for i := range 5 {
			c := s.chat(p, i%2)
			if i < 2 {
				s.addFile(c, fmt.Sprintf("photo %d.jpg", i), "image/jpeg", "JPEG of a parcel ", 2000)
			}
		}
		s.addChat(Chat{
			Type: Offline, Visitor: Visitor{Name: p.Name(), Email: p.Email, Phone: p.Phone}, Message: "Are you there on Sundays? I live at 12 rue des Lilas.",
			IP: "192.0.2.10", UserAgent: "Mozilla/5.0 (X11; Linux)", Ticket: 83,
		})
	case p.N < 3 || p.N%3 == 0:
		s.chat(p, p.N%2)
	}
}

// chat is a chat of a customer with an agent: 0 is Lou, 1 is Sam.
func (s *Server) chat(p company.Person, by int) *Chat {
	a := s.data.Agents[by]
	c := s.addChat(Chat{
		Visitor: Visitor{Name: p.Name(), Email: p.Email, Phone: p.Phone}, AgentIDs: []string{strconv.Itoa(a.ID)}, AgentNames: []string{a.Display},
		IP: "192.0.2.10", UserAgent: "Mozilla/5.0 (X11; Linux)", Rating: "good", Comment: "quick <script>alert(1)</script>",
		History: []Line{
			{Type: "chat.memberjoin", Name: p.Name(), By: "Visitor"},
			{Type: "chat.msg", Name: p.Name(), By: "Visitor", Text: "Where is my parcel?"},
			{Type: "chat.msg", Name: a.Display, By: "Agent", Text: "On its way to you."},
		},
	})
	return c
}
