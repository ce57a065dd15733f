package genesys

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/identity"
)

// What Genesys knows people by, beside e-mail and external id.
const (
	userID        = "user_id"             // an employee
	contactID     = "external_contact_id" //
	dialerContact = "dialer_contact"      // "<contact list>/<contact>" of a campaign
	journey       = "journey"             // "<type>/<id>" of a visitor
	social        = "social"              // "TWITTER/<handle>"
	number        = "number"              // a telephone number that nobody else uses: an operator has said so
	chatAddress   = "chat_address"        // under which an employee writes in Collaborate
)

// subject is a GDPRSubject. Avow sends it with one identifier only: Genesys
// mixes up several.
type subject struct {
	Name      string        `json:"name,omitempty"`
	UserID    string        `json:"userId,omitempty"`
	ContactID string        `json:"externalContactId,omitempty"`
	Dialer    *dialer       `json:"dialerContactId,omitempty"`
	Journey   *visitor      `json:"journeyCustomer,omitempty"`
	Social    *socialHandle `json:"socialHandle,omitempty"`
	External  string        `json:"externalId,omitempty"`
	Addresses []string      `json:"addresses,omitempty"`
	Phones    []string      `json:"phoneNumbers,omitempty"`
	Emails    []string      `json:"emailAddresses,omitempty"`
}

type dialer struct {
	ID   string `json:"id"`
	List string `json:"contactListId"`
}

type visitor struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

type socialHandle struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// ids are the identifiers of Genesys that a found subject carries, by what they
// are. Half a pair is none.
func (s subject) ids() map[string]string {
	all := map[string]string{userID: s.UserID, contactID: s.ContactID}
	if s.Dialer != nil {
		all[dialerContact] = pair(s.Dialer.List, s.Dialer.ID)
	}
	if s.Journey != nil {
		all[journey] = pair(s.Journey.Type, s.Journey.ID)
	}
	if s.Social != nil {
		all[social] = pair(s.Social.Type, s.Social.Value)
	}
	for what, value := range all {
		if value == "" {
			delete(all, what)
		}
	}
	return all
}

// pair joins two parts, of which the first has no stroke.
func pair(a, b string) string {
	if a == "" || b == "" || strings.Contains(a, "/") {
		return ""
	}
	return a + "/" + b
}

// asSubject is an identifier the way a request names it; nil for one that
// Genesys has no requests for.
func (c *Connector) asSubject(i identity.Identifier) *subject {
	value, ok := i.Normal()
	if !ok {
		return nil
	}
	first, second, paired := strings.Cut(value, "/")
	paired = paired && first != "" && second != ""
	switch {
	case i.Kind == identity.Email:
		return &subject{Emails: []string{value}}
	case i.Kind == identity.ExternalID:
		return &subject{External: value}
	case i.Kind == c.own(userID):
		return &subject{UserID: value}
	case i.Kind == c.own(contactID):
		return &subject{ContactID: value}
	case i.Kind == c.own(number):
		return &subject{Phones: []string{value}}
	case i.Kind == c.own(dialerContact) && paired:
		return &subject{Dialer: &dialer{ID: second, List: first}}
	case i.Kind == c.own(journey) && paired:
		return &subject{Journey: &visitor{Type: first, ID: second}}
	case i.Kind == c.own(social) && paired:
		return &subject{Social: &socialHandle{Type: first, Value: second}}
	}
	return nil
}

// one is an identifier for which there is a request.
type one struct {
	identity.Identifier
	key     string // names it in a handle without saying it
	subject subject
}

// who are the identifiers of a person for which there are requests, in order.
// An end user is never acted on by a user id, which is an employee's; an
// employee only by that: what customers wrote to their address is not theirs.
func (c *Connector) who(s connector.Subject) []one {
	var list []one
	for _, i := range s.Identifiers {
		if s.Agent != (i.Kind == c.own(userID)) {
			continue
		}
		sub := c.asSubject(i)
		if sub == nil {
			continue
		}
		value, _ := i.Normal()
		sum := sha256.Sum256([]byte(string(i.Kind) + "\x00" + value))
		list = append(list, one{Identifier: i, key: hex.EncodeToString(sum[:8]), subject: *sub})
	}
	slices.SortFunc(list, func(a, b one) int { return strings.Compare(rank(a)+a.Value.Reveal(), rank(b)+b.Value.Reveal()) })
	return slices.CompactFunc(list, func(a, b one) bool { return a.key == b.key })
}

// rank orders requests: an e-mail last, because a correction may replace it.
func rank(o one) string {
	if o.Kind == identity.Email {
		return "~"
	}
	return string(o.Kind)
}
