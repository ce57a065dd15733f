package webhook_test

import (
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector/whatsapp/fake"
	"github.com/avow-consent/avow/internal/redact"
)

// A letter about a request goes as a text while the window is open, by the template
// when it is not, and is refused where neither is possible. It asks for no consent.
func TestTalk_letter(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("mot ", 1100)
	for name, tt := range map[string]struct {
		before    func(*talk)
		full      string // the letter
		language  string
		says      string // what the person gets; "": nothing
		template  string
		reason    string
		stillKept string // of the message
	}{
		"within a day":  {func(w *talk) { w.Write(phone, "bonjour") }, "Objet\n\nBonjour", "fr", "Objet\n\nBonjour", "", "", ""},
		"after a STOP":  {func(w *talk) { w.Write(phone, "STOP") }, "Objet\n\nBonjour", "fr", "Objet\n\nBonjour", "", "", ""},
		"a long letter": {func(w *talk) { w.Write(phone, "bonjour") }, long, "fr", "en bref", "", "", ""},
		"after a day": {func(w *talk) {
			w.Write(phone, "bonjour")
			w.settle()
			w.later(24 * time.Hour)
		}, "x", "fr", "Shop, au sujet de votre demande 019c : en bref Vous n'avez pas à répondre.", "avow_answer/fr", "", fake.Answer["fr"].Body},
		"closed as Meta sees it": {func(w *talk) {
			w.Write(phone, "bonjour")
			w.settle()
			w.later(24 * time.Hour)
			if err := w.messages.Meet(w.t.Context(), chat.Contact{Person: w.kin(phone).Person, Phone: phone, LastIn: w.door.now, Expires: w.door.now.Add(time.Hour)}); err != nil {
				w.t.Fatal(err)
			}
		}, "x", "fr", "Shop, au sujet de votre demande 019c : en bref Vous n'avez pas à répondre.", "avow_answer/fr", "", fake.Answer["fr"].Body},
		"a number that was left": {func(w *talk) {
			w.Write(phone, "bonjour")
			w.settle()
			w.Move(phone, "+33655000999")
			w.settle()
			w.Move("+33655001003", phone) // somebody has it now, who may read everything
		}, "x", "fr", "", "", "moved", ""},
		"a language without one": {func(*talk) {}, "x", "en", "", "", "no_template", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTalk(t, fake.Options{})
			tt.before(w)
			w.settle()
			before := len(w.Inbox(phone))
			o := chat.Outgoing{
				Person: w.kin(phone).Person, ID: "letter", Purpose: chat.Letter, System: "whatsapp", To: phone, Language: tt.language, About: "019c",
				Text: redact.String(tt.full), Brief: "en bref", State: chat.Due, At: w.Server.Now(), Expires: w.Server.Now().Add(time.Hour),
			}
			if err := w.messages.Note(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if out := w.send(o); out.Reason != tt.reason || (out.State == chat.Sent) != (tt.says != "") {
					t.Errorf("%+v", out)
				}
			}
			got := w.Inbox(phone)[before:]
			if len(got) > 1 || (len(got) == 1) != (tt.says != "") || len(got) == 1 && got[0].Text != tt.says {
				t.Errorf("%+v", got)
			}
			kept, err := w.messages.Message(t.Context(), o.Person, o.ID)
			if err != nil || kept.Template != tt.template || kept.Text.Reveal() != tt.stillKept || kept.Brief != "" || (kept.Version == "2026-02") != (tt.template != "") {
				t.Errorf("%+v, %v", kept, err)
			}
		})
	}
}
