package zoom

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// who is the person, as records are compared with them.
type who struct {
	agent       bool
	emails      map[string]bool // in normal form
	phones      map[string]bool // E.164
	names       map[string]bool // digests of folded names
	users       map[string]bool // ids of accounts that are theirs
	registrants map[string]bool // ids
	panelists   map[string]bool // ids
	meetings    []string        // that another system names
	webinars    []string
	refs        []ref // what Locate has found
}

func (c *Connector) who(s connector.Subject) (*who, error) {
	p := &who{
		agent: s.Agent, emails: map[string]bool{}, phones: map[string]bool{}, names: map[string]bool{},
		users: map[string]bool{}, registrants: map[string]bool{}, panelists: map[string]bool{},
	}
	for _, i := range s.Identifiers {
		value, ok := i.Normal()
		if !ok {
			continue
		}
		switch i.Kind {
		case identity.Email:
			p.emails[value] = true
		case identity.Phone:
			p.phones[value] = true
		case identity.Name:
			p.names[digest(value)] = true
		case c.own(userID):
			p.users[value] = true
		case c.own(registrantID):
			p.registrants[value] = true
		case c.own(panelistID):
			p.panelists[value] = true
		case c.own(meetingID):
			p.meetings = append(p.meetings, value)
		case c.own(webinarID):
			p.webinars = append(p.webinars, value)
		case c.own(records):
			refs, err := unpack(value)
			if err != nil {
				return nil, err
			}
			p.take(refs)
		}
	}
	return p, nil
}

// take adds what was found, with the ids by which it is found again.
func (p *who) take(refs []ref) {
	for _, r := range refs {
		if slices.Contains(p.refs, r) {
			continue
		}
		p.refs = append(p.refs, r)
		switch r.what {
		case ofMeeting, ofWebinar:
			p.registrants[r.parts[1]] = true
		case ofPanel:
			p.panelists[r.parts[1]] = true
		}
	}
}

// digest is a text without the text: handles hold no names.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

func nameDigest(name string) string { return digest(identity.Fold(name)) }

// has reports whether a field of a record is one of the person's e-mail addresses.
func (p *who) has(r record, field string) bool {
	mail, ok := identity.NormalizeEmail(r.text(field))
	return ok && p.emails[mail]
}

// calls reports whether a field of a record is one of the person's numbers.
func (p *who) calls(r record, field string) bool {
	number, ok := identity.NormalizePhone(r.text(field))
	return ok && p.phones[number]
}

// registered reports whether a registrant is the person. Whoever typed in the
// address: the answer of Zoom went to it, and with it the link to take part.
func (p *who) registered(r record) bool { return p.registrants[r.text("id")] || p.has(r, "email") }

func (p *who) speaks(r record) bool { return p.panelists[r.text("id")] || p.has(r, "email") }

// attended reports whether a participant is the person.
func (p *who) attended(r record) bool {
	return p.users[r.text("id")] || p.registrants[r.text("registrant_id")] || p.has(r, "user_email")
}

// looksLike reports whether a guest without an e-mail has the person's name.
func (p *who) looksLike(r record) bool {
	return p.nobody(r) && p.names[nameDigest(r.text("name"))]
}

// nobody reports whether a participant might be anybody. The id of one who has
// logged in says no more: it may be of an account of their own, elsewhere.
func (p *who) nobody(r record) bool {
	internal, _ := r["internal_user"].(bool)
	return r.text("user_email") == "" && r.text("registrant_id") == "" && !internal && !p.attended(r)
}

// accounts are the ids of the person's accounts, in order.
func (p *who) accounts() []string { return slices.Sorted(maps.Keys(p.users)) }

func (c *Connector) identifier(what, value string) identity.Identifier {
	return identity.Identifier{Kind: c.own(what), Value: redact.String(value), Trust: identity.Vendor, System: c.inventory.System}
}
