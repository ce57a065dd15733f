package zendeskmessaging

import (
	"context"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/identity"
)

// Verify implements connector.Connector. It reads each record and conversation
// by its id, and looks for others by external id and e-mail: somebody who writes
// again is a new user.
func (c *Connector) Verify(ctx context.Context, call connector.Call) (connector.Residue, error) {
	r := connector.Residue{Counts: map[string]int{}}
	own := c.users(call.Subject)
	for _, id := range own {
		u, err := c.user(ctx, id)
		switch {
		case err != nil:
			return connector.Residue{}, err
		case u == nil:
			r.Evidence = append(r.Evidence, c.seen("GET /users/{id}", "404"))
		case c.config.Erase == eraseUser || !u.cleared():
			r.Counts["users"]++
		default:
			r.Evidence = append(r.Evidence, c.seen("GET /users/{id}", "no personal information"))
		}
	}
	if err := c.returned(ctx, call.Subject, own, &r); err != nil {
		return connector.Residue{}, err
	}
	if c.config.Erase == erasePersonal {
		return r, nil // messages stay, and say so in what was kept
	}
	return r, c.talks(ctx, call.Subject, own, &r)
}

func (c *Connector) seen(call, answer string) connector.Evidence {
	return connector.Evidence{At: c.now(), Call: call, Answer: answer}
}

// cleared reports whether nothing of a user is left but its ids.
func (u *user) cleared() bool {
	p := u.Profile
	return text(p.GivenName)+text(p.Surname)+text(p.Email)+text(p.AvatarURL) == "" && len(u.Metadata) == 0 && len(u.Identities) == 0
}

// returned counts users that came back under what is known of the person.
func (c *Connector) returned(ctx context.Context, s connector.Subject, own []string, r *connector.Residue) error {
	back := map[string]bool{}
	take := func(u user) {
		if !slices.Contains(own, u.ID) {
			back[u.ID] = true
		}
	}
	for _, by := range s.Of(identity.ExternalID) {
		id, ok := by.Normal()
		if !ok {
			continue
		}
		users, err := c.byExternalID(ctx, id)
		if err != nil {
			return err
		}
		for _, u := range users {
			if u.ExternalID == id {
				take(u)
			}
		}
	}
	for _, by := range s.Of(identity.Email) {
		normal, ok := by.Normal()
		if !ok {
			continue
		}
		users, err := c.byEmail(ctx, normal)
		if err != nil {
			return err
		}
		for _, u := range users {
			if _, verified := c.hasEmail(u, normal); verified {
				take(u)
			}
		}
	}
	if n := len(back); n > 0 {
		r.Counts["users"] += n
	}
	return nil
}

// talks looks for the person's conversations. One with other people goes on
// without the person.
func (c *Connector) talks(ctx context.Context, s connector.Subject, own []string, r *connector.Residue) error {
	for _, id := range values(s.Of(c.conversationID())) {
		talk, err := c.conversation(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case talk == nil:
			r.Evidence = append(r.Evidence, c.seen("GET /conversations/{id}", "404"))
		case talk.personal():
			r.Counts["conversations"]++
		default:
			there, err := c.takesPart(ctx, id, own)
			if err != nil {
				return err
			}
			if there {
				r.Counts["conversations"]++
			}
		}
	}
	return nil
}

// takesPart reports whether the person is in a conversation with others, or has
// written in it lately.
func (c *Connector) takesPart(ctx context.Context, id string, own []string) (bool, error) {
	users, err := c.participants(ctx, id)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(users, func(id string) bool { return slices.Contains(own, id) }) {
		return true, nil
	}
	if c.config.Groups == groupsKeep {
		return false, nil
	}
	list, _, err := c.messages(ctx, id, "")
	return slices.ContainsFunc(list, func(m message) bool { return !m.Deleted && m.by(own) }), err
}
