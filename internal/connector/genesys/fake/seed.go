package fake

import (
	"strconv"
	"time"

	"github.com/avow-consent/avow/internal/connector/company"
)

// UserID is the id of an employee: of the agent 1, of their colleague 2.
func UserID(n int) string { return "4f0c5a7e-0000-4000-8000-00000000000" + strconv.Itoa(n) }

// ContactID is the external contact of a customer.
func ContactID(p company.Person) string { return "contact-" + strconv.Itoa(1000+p.N) }

// seed is the shop: each customer an external contact; Inès also in a campaign,
// on the website and on Twitter; two employees who chat with each other.
func (s *Server) seed() {
	d := &s.data
	for _, p := range company.People() {
		d.Subjects["contact "+strconv.Itoa(1000+p.N)] = &Subject{
			Name: p.Name(), ExternalContactID: ContactID(p), ExternalID: p.ExternalID, PhoneNumbers: []string{p.Phone}, EmailAddresses: []string{p.Email},
		}
	}
	ines := company.People()[0]
	d.Subjects["dialer ines"] = &Subject{Name: ines.Name(), DialerContactID: map[string]string{"id": "d-1", "contactListId": "list-1"}, EmailAddresses: []string{ines.Email}, PhoneNumbers: []string{ines.Phone}}
	d.Subjects["journey ines"] = &Subject{JourneyCustomer: map[string]string{"type": "cookie", "id": "j/1"}, EmailAddresses: []string{ines.Email}}
	d.Subjects["social ines"] = &Subject{Name: ines.Name(), SocialHandle: map[string]string{"type": "TWITTER", "value": "ines_m"}, EmailAddresses: []string{ines.Email}}
	d.Subjects["number ines"] = &Subject{PhoneNumbers: []string{ines.Phone}}
	d.Subjects["near ines"] = &Subject{Name: "Nadines", ExternalContactID: "contact-near", EmailAddresses: []string{"nad" + ines.Email}}

	staff := company.Staff()
	d.Users[UserID(1)] = &User{ID: UserID(1), Name: staff.Name(), Email: staff.Email, Jabber: "sam@genesys.example.test", State: "active"}
	d.Users[UserID(2)] = &User{ID: UserID(2), Name: "Kim Agent", Email: "kim.agent@example.test", Jabber: "kim@genesys.example.test", State: "active"}
	d.Subjects["user 1"] = &Subject{Name: staff.Name(), UserID: UserID(1), EmailAddresses: []string{staff.Email}}
	d.Subjects["user 2"] = &Subject{Name: "Kim Agent", UserID: UserID(2), EmailAddresses: []string{"kim.agent@example.test"}}

	at := s.Time().Add(-48 * time.Hour).UTC().Truncate(time.Second)
	d.Messages = []Message{
		{From: UserID(1), To: UserID(2), Body: "lunch at noon?", At: at},
		{From: UserID(2), To: UserID(1), Body: "KIM-SECRET", At: at.Add(time.Minute)},
		{From: ines.Email, To: UserID(1), Body: "where is my order?", At: at},
		{From: UserID(1), To: ines.Email, Body: "SAM-ANSWER", At: at.Add(time.Minute)},
	}
}
