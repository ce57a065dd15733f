package fake

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// People of this fake beside those of the company.
const (
	Hoax = "zoe@example.test" // an e-mail that somebody typed into a bot: not verified
	Club = "customers' club"  // the conversation of Ines, Leo and Mo
)

// seed makes the company, long ago.
func (s *Server) seed() { s.Ago(400*24*time.Hour, s.company) }

func (s *Server) company() {
	people := company.People()
	for _, p := range people {
		u := s.addUser(User{
			ExternalID: p.ExternalID, ZendeskID: strconv.FormatInt(p.ZendeskID(), 10),
			Profile:    map[string]string{"givenName": p.Given, "surname": p.Family, "email": p.Email, "locale": p.Language},
			Metadata:   map[string]any{"plan": "shop"},
			Identities: []Identity{{Type: "email", Value: p.Email, Verification: "sso"}},
		})
		s.addClient(Client{User: u.ID, Type: "sdk"})
		if p.N%3 == 0 || p.Phone == company.Shared {
			s.addClient(Client{User: u.ID, Type: "whatsapp", ExternalID: strings.TrimPrefix(p.Phone, "+"), DisplayName: p.Name(), Raw: map[string]any{"from": p.Phone}})
		}
		if p.N > 2 && p.N%2 == 0 {
			s.say(s.openTalk(u.ID), u.ID, "Please call me back.")
		}
	}
	s.ines(people[0])
	s.club(people)
	s.addUser(User{Profile: map[string]string{"givenName": "Somebody"}, Identities: []Identity{{Type: "email", Value: Hoax}}})
}

// ines has a default conversation, two others, files of each sort and a device.
func (s *Server) ines(p company.Person) {
	u := s.data.Users[s.find(p.Email)]
	for _, c := range list(s.data.Clients) {
		if c.User == u.ID && c.Type == "sdk" {
			s.addDevice(u.ID, c.ID)
		}
	}
	first := s.openTalk(u.ID)
	for i := range 103 { // two pages
		s.say(first, u.ID, fmt.Sprintf("Where is order %d? I live at 12 rue des Lilas.", 4100+i))
	}
	s.sendFile(first, u.ID, File{ForMessage: true, File: fakekit.File{Name: "parcel.jpg", MediaType: "image/jpeg", Text: "JPEG of a parcel ", Size: 2000}})
	second := s.openTalk(u.ID)
	s.say(second, u.ID, "I want to send it back.")
	s.say(second, "", "Here is your label.")
	s.sendFile(second, "", File{File: fakekit.File{Name: "label.pdf", MediaType: "application/pdf", Text: "PDF for Inès Martin ", Size: 1500}})
	third := s.openTalk(u.ID)
	s.sendFile(third, u.ID, File{Foreign: "https://badhost.example.test", File: fakekit.File{Name: "old.png", MediaType: "image/png", Text: "PNG", Size: 3}})
}

// club is a conversation of three people and the company.
func (s *Server) club(people []company.Person) {
	var users []string
	for _, p := range people[:3] {
		users = append(users, s.find(p.Email))
	}
	club := s.group(users...)
	for i := range 4 {
		for _, id := range users {
			s.say(club, id, fmt.Sprintf("%s, number %d", Club, i))
		}
		s.say(club, "", "Welcome to the club.")
	}
	s.sendFile(club, users[0], File{ForMessage: true, File: fakekit.File{Name: "ines.jpg", MediaType: "image/jpeg", Text: "JPEG of Inès ", Size: 500}})
	s.sendFile(club, users[1], File{ForMessage: true, File: fakekit.File{Name: "leo.jpg", MediaType: "image/jpeg", Text: "JPEG of Léo ", Size: 500}})
}

// AddUser adds a user and returns its id.
func (s *Server) AddUser(u User) string {
	s.Lock()
	defer s.Unlock()
	return s.addUser(u).ID
}

func (s *Server) addUser(u User) *User {
	if u.ID == "" {
		u.ID = s.id()
	}
	u.SignedUpAt = s.Time()
	if u.Profile == nil {
		u.Profile = map[string]string{}
	}
	if u.Metadata == nil {
		u.Metadata = map[string]any{}
	}
	s.data.Users[u.ID] = &u
	return &u
}

// AddClient adds a channel of a user.
func (s *Server) AddClient(c Client) string {
	s.Lock()
	defer s.Unlock()
	return s.addClient(c)
}

func (s *Server) addClient(c Client) string {
	c.ID = s.id()
	s.data.Clients[c.ID] = &c
	return c.ID
}

func (s *Server) addDevice(user, client string) {
	d := Device{ID: s.id(), User: user, Client: client, Type: "web"}
	s.data.Devices[d.ID] = &d
}

// Talk opens a conversation of a user with the company and returns its id. The
// first one is the default.
func (s *Server) Talk(user string) string {
	s.Lock()
	defer s.Unlock()
	return s.openTalk(user)
}

func (s *Server) openTalk(user string) string {
	first := true
	for _, c := range s.data.Conversations {
		first = first && !(c.Type == Personal && slices.Contains(c.Users, user))
	}
	c := Conversation{ID: s.id(), Type: Personal, Default: first, Users: []string{user}, CreatedAt: s.Time()}
	s.data.Conversations[c.ID] = &c
	return c.ID
}

// TalkTogether opens a conversation of several users and returns its id.
func (s *Server) TalkTogether(users ...string) string {
	s.Lock()
	defer s.Unlock()
	return s.group(users...)
}

func (s *Server) group(users ...string) string {
	c := Conversation{ID: s.id(), Type: Group, Users: users, CreatedAt: s.Time()}
	s.data.Conversations[c.ID] = &c
	return c.ID
}

// Say adds a message of a user, "" for the company, and returns its id.
func (s *Server) Say(conversation, user, text string) string {
	s.Lock()
	defer s.Unlock()
	return s.say(conversation, user, text)
}

func (s *Server) say(conversation, user, text string) string {
	return s.add(conversation, Message{User: user, Text: text})
}

func (s *Server) add(conversation string, m Message) string {
	c := s.data.Conversations[conversation]
	m.ID, m.Name, m.At = s.id(), company.Staff().Name(), s.Time().Add(time.Duration(len(c.Messages))*time.Second)
	if u := s.data.Users[m.User]; u != nil {
		m.Name = strings.TrimSpace(u.Profile["givenName"] + " " + u.Profile["surname"])
	}
	c.Messages = append(c.Messages, m)
	return m.ID
}

// SendFile adds a message with a file, of a user or, with "", of the company.
func (s *Server) SendFile(conversation, user string, f File) string {
	s.Lock()
	defer s.Unlock()
	return s.sendFile(conversation, user, f)
}

func (s *Server) sendFile(conversation, user string, f File) string {
	f.ID = s.id()
	s.data.Files[f.ID] = &f
	s.add(conversation, Message{User: user, File: f.ID})
	return f.ID
}

// Find is the id of the user with an e-mail identity, "" without one.
func (s *Server) Find(email string) (id string) {
	s.Settled(func() { id = s.find(email) })
	return id
}

func (s *Server) find(email string) string {
	for _, id := range slices.Sorted(maps.Keys(s.data.Users)) {
		if slices.ContainsFunc(s.data.Users[id].Identities, func(i Identity) bool { return strings.EqualFold(i.Value, email) }) {
			return id
		}
	}
	return ""
}

// SetDefault makes a conversation the default one of its user.
func (s *Server) SetDefault(conversation string) {
	s.Lock()
	defer s.Unlock()
	s.data.Conversations[conversation].Default = true
}
