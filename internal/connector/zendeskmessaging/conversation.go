package zendeskmessaging

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"

	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// conversation is a conversation as the API shows it.
type conversation struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Default bool   `json:"isDefault"`

	raw json.RawMessage
}

// UnmarshalJSON keeps the text beside the fields.
func (c *conversation) UnmarshalJSON(text []byte) error {
	type plain conversation
	c.raw = slices.Clone(text)
	return json.Unmarshal(text, (*plain)(c))
}

// personal reports whether the person talks to the company alone. Of a type
// that is not known it is not assumed.
func (c conversation) personal() bool { return c.Type == "personal" }

// ofUser is the list of the conversations that a user is part of.
func (c *Connector) ofUser(user string) kit.Route {
	return c.to("/conversations").With("filter[userId]", user)
}

// conversations reads one page of a user's conversations; none of a user who is
// gone.
func (c *Connector) conversations(ctx context.Context, user, cursor string) (list []conversation, next string, err error) {
	a, next, err := c.page(ctx, c.ofUser(user), cursor)
	if err != nil || a == nil {
		return nil, "", err
	}
	return conversationsOf(a, next)
}

func conversationsOf(a *kit.Answer, next string) ([]conversation, string, error) {
	var body struct {
		Conversations []conversation `json:"conversations"`
	}
	return body.Conversations, next, a.JSON(&body)
}

// conversation reads a conversation; nil for one that does not exist.
func (c *Connector) conversation(ctx context.Context, id string) (*conversation, error) {
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: c.to("/conversations/{id}", id), Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, err
	}
	var body struct {
		Conversation conversation `json:"conversation"`
	}
	return &body.Conversation, a.JSON(&body)
}

// participants are the ids of the users in a conversation.
func (c *Connector) participants(ctx context.Context, id string) ([]string, error) {
	var users []string
	err := c.walk(ctx, c.to("/conversations/{id}/participants", id), func(a *kit.Answer) error {
		var body struct {
			Participants []struct {
				UserID string `json:"userId"`
			} `json:"participants"`
		}
		err := a.JSON(&body)
		for _, p := range body.Participants {
			users = append(users, p.UserID)
		}
		return err
	})
	return users, err
}

// message is a message of a conversation.
type message struct {
	ID       string `json:"id"`
	Received string `json:"received"` // RFC 3339 in UTC, so that texts sort like times
	Deleted  bool   `json:"deleted"`  // a placeholder for one that was deleted
	Author   struct {
		Type   string `json:"type"`
		UserID string `json:"userId"`
	} `json:"author"`
	Content struct {
		Type     string `json:"type"`
		MediaURL string `json:"mediaUrl"`
		AltText  string `json:"altText"`
	} `json:"content"`

	raw json.RawMessage
}

// UnmarshalJSON keeps the text beside the fields.
func (m *message) UnmarshalJSON(text []byte) error {
	type plain message
	m.raw = slices.Clone(text)
	return json.Unmarshal(text, (*plain)(m))
}

// by reports whether one of these users has written the message.
func (m message) by(users []string) bool {
	return m.Author.Type == "user" && slices.Contains(users, m.Author.UserID)
}

// file is the address of the message's attachment, "" without. Pictures of a
// carousel or a list are the company's catalogue and no attachments.
func (m message) file() string {
	if m.Content.Type != "file" && m.Content.Type != "image" {
		return ""
	}
	return m.Content.MediaURL
}

// messages reads the page of a conversation's messages before a cursor, the
// newest page without one. The newest message is the first; before is the
// cursor of the page that follows, "" after the oldest one. Any message's id is
// such a cursor as long as the message is there.
func (c *Connector) messages(ctx context.Context, conversation, cursor string) (list []message, before string, err error) {
	route := c.to("/conversations/{id}/messages", conversation)
	if cursor != "" {
		route = route.With("page[before]", cursor)
	}
	a, err := c.api.Do(ctx, kit.Call{Method: http.MethodGet, Route: route, Expect: []int{http.StatusNotFound}})
	if err != nil || a.Status == http.StatusNotFound {
		return nil, "", err
	}
	var body struct {
		Messages []message `json:"messages"`
		Meta     meta      `json:"meta"`
	}
	if err := a.JSON(&body); err != nil {
		return nil, "", err
	}
	list = body.Messages
	if slices.ContainsFunc(list, func(m message) bool { return m.ID == "" }) {
		return nil, "", errs.New(errs.Internal, "%s: a message without an id", c.inventory.System)
	}
	if n := len(list); n > 1 && list[0].Received <= list[n-1].Received { // the contract does not say in which order a page is
		slices.Reverse(list)
	}
	before, err = c.next(body.Meta, body.Meta.Before)
	if err == nil && before != "" && len(list) == 0 {
		err = errs.New(errs.Internal, "%s: an empty page of messages goes on", c.inventory.System)
	}
	return list, before, err
}
