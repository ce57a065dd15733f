package setup

import (
	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/mail"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/settings"
)

// PostOffice makes postmen for the configuration of the moment.
type PostOffice struct {
	q      *Requesting
	mailer request.Mailer
	chat   request.Chat
}

// PostOffice builds it from the environment of a function.
func (q *Requesting) PostOffice() (*PostOffice, error) {
	env, err := q.Base.Require("MAIL_CONFIGURATION_SET", "MESSAGES_TABLE", "OUTBOX_TABLE")
	if err != nil {
		return nil, err
	}
	post := chat.Post{
		Store: dynamo.NewMessages(q.Base.Config, env[1], q.Base.Now), Hasher: q.Hasher, Now: q.Base.Now,
		Outbox: chat.Queue{Store: dynamo.NewOutbox(q.Base.Config, env[2]), Now: q.Base.Now},
	}
	return &PostOffice{q, mail.New(q.Base.Config, env[0]), post}, nil
}

// With is the same post office with another mail service, for tests.
func (p *PostOffice) With(m request.Mailer) *PostOffice { return &PostOffice{p.q, m, p.chat} }

// Postman sends letters as the company has set them.
func (p *PostOffice) Postman(s *settings.Settings) request.Postman {
	return request.Postman{
		Store: p.q.Store, Letters: s.Letters, Mailer: p.mailer, Chat: p.chat, Controller: s.Controller, Policy: s.Policy,
		Hash: p.q.Hasher.Mailbox, Now: p.q.Base.Now,
	}
}
