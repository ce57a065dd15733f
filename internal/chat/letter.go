package chat

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
)

// Post notes letters about requests for the function that may send
// (request.Chat).
type Post struct {
	Store  Store
	Outbox Outbox
	Hasher *pseudonym.Hasher
	Now    func() time.Time
}

var _ request.Chat = Post{}

// Put implements request.Chat.
func (p Post) Put(ctx context.Context, l request.ChatLetter) error {
	now := p.Now().UTC()
	o := Outgoing{
		Person: l.To.Key, ID: p.id(l), Purpose: Letter, System: l.Request.Channel.System, To: l.To.Value, Language: l.Language, About: l.Request.ID,
		Text: l.Text, Brief: l.Brief, State: Due, At: now, Expires: now.Add(contactFor),
	}
	if err := p.Store.Note(ctx, o); err != nil {
		return err
	}
	return p.Outbox.Message(ctx, l.Request.Site, o)
}

// id is that of a letter: a key of a request has one.
func (p Post) id(l request.ChatLetter) string {
	return p.Hasher.ID(l.Request.Received, "chat-letter", l.Request.ID, l.Key)
}

// Look implements request.Chat. Whoever has noted a letter may have died before
// the outbox heard of it.
func (p Post) Look(ctx context.Context, l request.ChatLetter) (*request.ChatOutcome, error) {
	o, err := p.Store.Message(ctx, l.To.Key, p.id(l))
	if o == nil || err != nil {
		return nil, err
	}
	switch state, reason := o.Standing(p.Now()); state {
	case Sent:
		return &request.ChatOutcome{State: request.ChatSent, Template: o.Template, Version: o.Version, Wording: o.Text.Reveal()}, nil
	case Failed:
		return &request.ChatOutcome{State: request.ChatRefused, Reason: reason}, nil
	case Unknown:
		return &request.ChatOutcome{State: request.ChatUnknown}, nil
	}
	return &request.ChatOutcome{State: request.ChatWaits}, p.Outbox.Message(ctx, l.Request.Site, *o)
}
