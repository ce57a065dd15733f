// Package company is the small shop whose customers the fakes of all vendors
// know: 200 people, one of whom is in every system, two who share a telephone,
// and an agent who answers them. What a fake adds of its own is up to it.
package company

import (
	"fmt"
	"strings"
)

// The people that matter to tests and to the demo.
const (
	Ines   = "ines@example.test"      // a customer who is in every system
	Leo    = "leo@example.test"       // shares a telephone with Mo
	Mo     = "mo@example.test"        //
	Agent  = "sam.agent@example.test" // answers others
	Shared = "+33199001122"           // the telephone of Leo and Mo
)

// Chat is the id of a chat that carries no e-mail: a ticket of Ines was made of it.
const Chat = "2109.10502823.Sjuj2YrBpXwei"

// Size is how many customers there are; the agent is not one of them.
const Size = 200

// Person is somebody whom the shop knows.
type Person struct {
	N          int    // 0 is Ines, 1 is Leo, 2 is Mo
	Given      string // "Inès"
	Family     string // "Martin"
	Email      string // in lower case
	Phone      string // E.164
	ExternalID string // the shop's own number of a customer: "customer-1001"
	Language   string // fr, en
}

// Name is given and family name.
func (p Person) Name() string { return p.Given + " " + p.Family }

// ZendeskID is the number of the person's user in Zendesk Support, by which
// Zendesk's other products know them.
func (p Person) ZendeskID() int64 { return 30045042290000 + int64(p.N) }

// Staff is the agent.
func Staff() Person {
	return Person{N: -1, Given: "Sam", Family: "Agent", Email: Agent, Phone: "+33199001000", ExternalID: "staff-7", Language: "en"}
}

// People are all customers, in order of N.
func People() []Person {
	list := []Person{
		{Given: "Inès", Family: "Martin", Email: Ines, Phone: "+33655000101", Language: "fr"},
		{Given: "Léo", Family: "Petit", Email: Leo, Phone: Shared, Language: "fr"},
		{Given: "Mo", Family: "Haddad", Email: Mo, Phone: Shared, Language: "en"},
	}
	for n := len(list); n < Size; n++ {
		i := n - 3
		given, family := givenNames[i%len(givenNames)], familyNames[i/len(givenNames)]
		list = append(list, Person{
			Given: given, Family: family, Email: plain(given) + "." + plain(family) + "@example.test",
			Phone: fmt.Sprintf("+33655%06d", 1000+n), Language: []string{"fr", "en"}[n%2],
		})
	}
	for n := range list {
		list[n].N, list[n].ExternalID = n, fmt.Sprintf("customer-%d", 1001+n)
	}
	return list
}

var (
	givenNames  = []string{"Ada", "Bela", "Chloé", "Dario", "Elif", "Finn", "Gala", "Hugo", "Iris", "Jan", "Kiko", "Lena", "Mara", "Nils", "Olga", "Pia", "Quim", "Rosa", "Sven", "Tess"}
	familyNames = []string{"Novak", "Rossi", "Meyer", "Dupont", "Silva", "Kowalski", "Jansen", "Fischer", "Moreau", "Bianchi"}
)

func plain(name string) string {
	return strings.ToLower(strings.NewReplacer("é", "e", "è", "e").Replace(name))
}
