package whatsapp

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/chat"
)

// longestText is the most that Meta takes of a free text, in characters.
const longestText = 4096

// letter is about a request that the person has made in this chat. It is no
// marketing: it needs no consent, and whoever has asked for silence gets it all the
// same, because they have asked for it. Nothing goes to a number that somebody has
// left: it may be another person who reads it. Within the window it is a text; behind it,
// or where Meta says that the window is closed, the template carries it in short.
func (s *Sender) letter(ctx context.Context, o *chat.Outgoing) (sending, string, error) {
	left, err := s.left(ctx, o.To)
	if err != nil || !left.IsZero() {
		return nil, moved, err
	}
	open, err := s.window(ctx, o)
	if err != nil {
		return nil, "", err
	}
	o.Template, o.Version = "", "" // of an earlier attempt
	text := o.Text.Reveal()
	if utf8.RuneCountInString(text) > longestText {
		text = o.Brief.Reveal()
	}
	filled, refused := s.answer(o)
	if !open {
		return s.byTemplate(o, filled), refused, nil
	}
	return func(ctx context.Context) (Sent, error) {
		sent, err := s.Client.SendText(ctx, o.To, text)
		var refusal *Refusal
		if errors.As(err, &refusal) && refusal.Code == WindowClosed && refused == "" {
			return s.byTemplate(o, filled)(ctx)
		}
		return sent, err
	}, "", nil
}

// answer fills the template in, in the language of the letter; refused says why it
// cannot carry it.
func (s *Sender) answer(o *chat.Outgoing) (t Template, refused string) {
	if s.Client.Answer == nil {
		return t, noTemplate
	}
	w, there := s.Client.Answer.Languages[o.Language]
	if !there {
		return t, noTemplate
	}
	t = Template{Name: s.Client.Answer.Template, Code: w.Code, Body: []string{s.Company, o.About, o.Brief.Reveal()}}
	length := utf8.RuneCountInString(w.Body)
	for i, value := range t.Body {
		length += utf8.RuneCountInString(value) - utf8.RuneCountInString(blank(i+1))
	}
	if length > longestBody {
		return t, tooLong
	}
	return t, ""
}

// byTemplate notes in the message which template carries it, for the proof.
func (s *Sender) byTemplate(o *chat.Outgoing, t Template) sending {
	return func(ctx context.Context) (Sent, error) {
		o.Template, o.Version = strings.Join([]string{t.Name, t.Code}, "/"), s.Client.Answer.Version
		return s.Client.SendTemplate(ctx, o.To, t)
	}
}
