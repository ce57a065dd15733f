package fake

import (
	"time"

	"github.com/avow-consent/avow/internal/connector/company"
)

// Slashed is the UUID of a session that has to be encoded twice.
const Slashed = "/aBc//dEf+gHi=="

// Desk is an employee who hosts; company.Agent is another one.
const Desk = "workshop.host+zoom@example.test"

const day = 24 * time.Hour

// seed makes the company's half year: two hosts, a weekly workshop, a webinar,
// telephone calls, and some of the customers in them. Ines registered for the
// webinar and a workshop, spoke at another one, came twice, once without an
// e-mail, and called.
func (s *Server) seed() {
	people := company.People()
	ines, leo := people[0], people[1]
	var agent, host *User
	s.Ago(700*day, func() {
		staff := company.Staff()
		agent = s.addUser(User{Email: staff.Email, First: staff.Given, Last: staff.Family, Phone: staff.Phone, PhoneUser: "pH0ne-sam", Extension: 801, Company: "Lumen", JobTitle: "Support"})
		host = s.addUser(User{Email: Desk, First: "Hana", Last: "Host", Company: "Lumen"})
		s.addUser(User{Email: "owner@example.test", First: "Olga", Last: "Owner", Owner: true})
		s.addUser(User{Email: "gone@example.test", First: "Ivo", Last: "Gone", Status: Inactive})
		s.addUser(User{Email: "invited@example.test", Status: Pending})
	})
	workshop := s.addEvent(Event{Host: host.ID, Topic: "Care for your lamp", Agenda: "Cleaning, bulbs, questions", Start: s.Time().Add(-100 * day), EachTime: true, Occurrences: []string{"1700000000000", "1700604800000"}})
	coffee := s.addEvent(Event{Host: agent.ID, Topic: "Coffee", Open: true, Start: s.Time().Add(-10 * day)})
	launch := s.addEvent(Event{Host: agent.ID, Topic: "Spring collection", Agenda: "What is new", Webinar: true, Start: s.Time().Add(-60 * day), Made: s.Time().Add(-300 * day)})
	next := s.addEvent(Event{Host: host.ID, Topic: "Autumn collection", Webinar: true, Start: s.Time().Add(20 * day)})
	var signed *Registrant
	s.Ago(70*day, func() {
		signed = s.addRegistrant(Registrant{Event: launch.ID, Email: "Ines@Example.test", First: ines.Given, Last: ines.Family, Phone: ines.Phone, City: "Lyon", Organization: "none", Comment: "<b>hi</b>", Questions: map[string]string{"How did you hear of us?": "a friend"}})
		s.addRegistrant(Registrant{Event: workshop.ID, Occurrence: "1700604800000", Email: ines.Email, First: ines.Given, Last: ines.Family})
		s.addRegistrant(Registrant{Event: next.ID, Email: ines.Email, First: ines.Given, Last: ines.Family, Status: "pending"})
		s.addRegistrant(Registrant{Event: launch.ID, Email: "mar" + ines.Email, First: "Marines", Last: "Roy"})
		for _, p := range people[1:40] {
			s.addRegistrant(Registrant{Event: launch.ID, Email: p.Email, First: p.Given, Last: p.Family})
		}
	})
	s.addPanelist(Panelist{Event: next.ID, Email: ines.Email, Name: ines.Name()})
	s.addPanelist(Panelist{Event: next.ID, Email: "speaker@example.test", Name: "Sasha Speaker"})
	s.addSession(Session{
		UUID: Slashed, Event: launch.ID, Host: agent.ID, Topic: launch.Topic, Webinar: true, Start: s.Time().Add(-60 * day),
		Participants: []Participant{{ID: agent.ID, Name: agent.Display(), Email: agent.Email, Minutes: 50}, {Name: ines.Name(), Registrant: signed.ID, Email: ines.Email, Minutes: 40}, {Name: leo.Name(), Email: leo.Email, Minutes: 12}},
		Questions:    []Question{{ines.Name(), ines.Email, "Is it waterproof?", "Yes."}, {leo.Name(), leo.Email, "What does it cost?", ""}},
		Polls:        []Question{{ines.Name(), ines.Email, "Which colour?", "Blue"}},
	})
	s.addSession(Session{Event: workshop.ID, Host: host.ID, Topic: workshop.Topic, Start: s.Time().Add(-30 * day),
		Participants: []Participant{{ID: host.ID, Name: host.Display(), Email: host.Email, Minutes: 60}, {Name: ines.Name(), Minutes: 30}, {Name: "iPhone", Minutes: 5}}})
	s.addSession(Session{Event: coffee.ID, Host: agent.ID, Topic: coffee.Topic, Start: s.Time().Add(-10 * day), Participants: []Participant{{ID: agent.ID, Name: agent.Display(), Email: agent.Email, Minutes: 3}}})
	s.addSession(Session{UUID: "oLd==", Event: launch.ID, Host: agent.ID, Topic: launch.Topic, Webinar: true, Start: s.Time().Add(-250 * day),
		Participants: []Participant{{ID: agent.ID, Name: agent.Display(), Email: agent.Email, Minutes: 50}, {Name: ines.Name(), Email: ines.Email, Minutes: 9}}})
	s.addRecording(Recording{UUID: Slashed, Event: launch.ID, Host: agent.ID, Topic: launch.Topic, Start: s.Time().Add(-60 * day)})
	s.addCall(Call{Owner: agent.ID, Inbound: true, Name: ines.Name(), Email: ines.Email, Number: ines.Phone, Start: s.Time().Add(-40 * day), Seconds: 65})
	s.addCall(Call{Owner: agent.ID, Name: ines.Name(), Number: ines.Phone, Start: s.Time().Add(-100 * day), Seconds: 31, Recorded: true, Legacy: true})
	s.addCall(Call{Owner: agent.ID, Inbound: true, Name: leo.Name(), Number: leo.Phone, Start: s.Time().Add(-39 * day), Result: "no_answer"})
	s.addAudio(Audio{Owner: agent.ID, Kind: "recordings", Name: ines.Name(), Number: ines.Phone, At: s.Time().Add(-100 * day)})
	s.addAudio(Audio{Owner: agent.ID, Kind: "voice_mails", Name: leo.Name(), Number: leo.Phone, At: s.Time().Add(-39 * day)})
	s.addText(Text{Owner: agent.ID, Number: ines.Phone, Messages: []string{"Where is my parcel?", "It is on its way."}, At: s.Time().Add(-20 * day)})
}
