package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/connector/whatsapp"
	"github.com/avow-consent/avow/internal/connector/whatsapp/fake"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/optin"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/site"
)

// Inès as the platform knows her.
const phone = "+33655000101"

// talk is the door with the platform before it, and the sender behind it.
type talk struct {
	*door
	*fake.Server
	sender *whatsapp.Sender
	line   *chat.Line
}

func newTalk(t testing.TB, o fake.Options) *talk {
	t.Helper()
	w := &talk{door: newDoor(t)}
	o.Options = fakekit.Options{Now: func() time.Time { return w.door.now }}
	o.Post = func(body []byte, signature string) int {
		return w.call("POST", "", signature, string(body), false).Status
	}
	w.Server = fake.New(o)
	config := map[string]any{"phone_number_id": fake.NumberID, "account_id": fake.AccountID, "site": "shop", "privacy_url": "https://shop.example/privacy"}
	wordings := map[string]any{}
	for language, template := range fake.Invitation {
		wordings[language] = map[string]any{"code": template.Language, "body": template.Body, "yes": template.Buttons[0], "no": template.Buttons[1]}
	}
	config["invitation"] = map[string]any{"template": "avow_invitation", "version": "2026-01", "languages": wordings}
	config["answer"] = map[string]any{"template": "avow_answer", "version": "2026-02", "languages": map[string]any{"fr": map[string]any{"code": "fr", "body": fake.Answer["fr"].Body}}}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	client, err := whatsapp.NewClient(kit.System{
		Inventory: connector.Inventory{System: "whatsapp"}, Config: text, Now: w.Server.Now, Transport: conformance.Local(w.Server),
		Secret: func(context.Context) ([]byte, error) { return []byte(`{"access_token":"` + fake.Token + `"}`), nil },
		Kit:    kit.Options{Sleep: func(context.Context, time.Duration) error { return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	sites := site.NewDirectory(dynamo.NewSites(w.env.Config, w.env.Getenv("SITES_TABLE")), secret.NewStore(w.env.Config), w.Server.Now)
	shop, err := sites.Site(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	w.line = &chat.Line{System: "whatsapp", Number: fake.NumberID, Site: shop, Policy: sites.Policy(shop), Language: "en"}
	w.line.Policy.Backdate = 100 * 365 * 24 * time.Hour
	desk := &chat.Desk{Store: w.messages, Ledger: w.recorder(), Hasher: w.hasher, Now: w.Server.Now, People: consent.NewPeople(w.events, w.hasher)}
	w.sender = &whatsapp.Sender{
		Client: client, Line: w.line, Company: "Shop", Store: w.messages, People: consent.NewPeople(w.events, w.hasher), Events: w.events,
		Refuse: desk.OptedOut, Hasher: w.hasher, Now: w.Server.Now, NewID: func(time.Time) string { return uuid.NewString() },
	}
	return w
}

func (w *talk) recorder() *consent.Recorder {
	return consent.NewRecorder(consent.Options{
		Ledger: w.events, Hasher: w.hasher, People: consent.NewPeople(w.events, w.hasher), Now: w.Server.Now, Inline: 4096,
		NewID: func(at time.Time) string { return w.hasher.ID(at, "fresh", fmt.Sprint(len(w.Calls()))) },
	})
}

// later lets time pass for both sides.
func (w *talk) later(d time.Duration) { w.door.now = w.door.now.Add(d) }

// settle posts and sends until nothing is left to do.
func (w *talk) settle() {
	w.t.Helper()
	worker := &outbox.Worker{
		Store: w.door.outbox, Jobs: map[outbox.Kind]outbox.Job{outbox.Message: &whatsapp.Job{Store: w.messages, Senders: only{w.sender}}},
		Now: w.Server.Now, Log: slog.New(slog.DiscardHandler), Wait: connector.RetryAfter,
	}
	for range 20 {
		w.Deliver()
		due, err := w.door.outbox.Due(w.t.Context(), w.Server.Now(), 100)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range due {
			if err := worker.Tell(w.t.Context(), r); err != nil {
				w.t.Fatal(err)
			}
		}
		if len(due) == 0 && w.Waiting() == 0 {
			return
		}
	}
	w.t.Fatal("it never ends")
}

// only is the only number there is.
type only struct{ sender *whatsapp.Sender }

func (o only) Sender(context.Context, string) (*whatsapp.Sender, error)   { return o.sender, nil }
func (o only) SenderOf(context.Context, string) (*whatsapp.Sender, error) { return o.sender, nil }

func (w *talk) send(o chat.Outgoing) whatsapp.Outcome {
	w.t.Helper()
	out, err := w.sender.Send(w.t.Context(), o.Person, o.ID, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// tick is a box on a website, public and pending.
func (w *talk) tick(keyed string) *consent.Event {
	w.t.Helper()
	r := w.recorder()
	s := &consent.Submission{
		Source: consent.Public, IdempotencyKey: w.hasher.ID(w.Server.Now(), "tick", keyed), Preferences: []consent.Preference{{Key: "offers", Value: "true"}},
		Profile: consent.Profile{Phones: &consent.Phones{List: []consent.Phone{{Number: phone}}}}, OptIn: &consent.OptInRequest{Channel: consent.ByWhatsApp, Language: "fr"},
	}
	p := w.line.Policy
	ack, err := r.Record(w.t.Context(), p, s)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := w.events.Get(w.t.Context(), w.hasher.Subject("shop", ack.SubjectID.Reveal()), ack.ID)
	if err != nil || e == nil || e.OptIn == nil {
		w.t.Fatalf("%+v, %v", e, err)
	}
	return e
}

// invite sends the invitation of a consent that waits.
func (w *talk) invite(pending *consent.Event) whatsapp.Outcome {
	w.t.Helper()
	o, ok, err := w.sender.Invite(w.t.Context(), pending)
	if err != nil || !ok {
		w.t.Fatalf("%v, %v", ok, err)
	}
	return w.send(o)
}

// decides is what the ledger says of offers to the number.
func (w *talk) decides() consent.State {
	w.t.Helper()
	u, err := consent.NewPeople(w.events, w.hasher).ByPhone(w.t.Context(), "shop", phone, time.Time{})
	if err != nil {
		w.t.Fatal(err)
	}
	return consent.Decide(u.Events, "offers", consent.View{Now: w.Server.Now()}, consent.Rules{})
}

// offer notes an offer and tries to send it.
func (w *talk) offer(id, template, text string) whatsapp.Outcome {
	w.t.Helper()
	o := chat.Outgoing{
		Person: w.kin(phone).Person, ID: id, Purpose: chat.Send, System: "whatsapp", To: phone, Language: "fr", Preference: "offers", Template: template, Text: redact.String(text),
		State: chat.Due, At: w.Server.Now(), Expires: w.Server.Now().Add(time.Hour),
	}
	if err := w.messages.Note(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
	if err := (chat.Queue{Store: w.door.outbox, Now: w.Server.Now}).Message(w.t.Context(), "shop", o); err != nil {
		w.t.Fatal(err)
	}
	return w.send(o)
}

// From a box on a website to a message, and to silence: the whole way.
func TestTalk(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	if out := w.offer("0", "offer/fr", "chaises"); out.State != chat.Failed || out.Reason != "no_consent" {
		t.Errorf("nobody has agreed: %+v", out)
	}
	pending := w.tick("box")
	if s := w.decides(); s.Granted {
		t.Fatalf("%+v", s)
	}
	for range 2 { // one invitation, however often it is asked for
		if out := w.invite(pending); out.State != chat.Sent {
			t.Fatalf("%+v", out)
		}
	}
	inbox := w.Inbox(phone)
	want := "Shop souhaite vous envoyer sur WhatsApp : offers. Êtes-vous d'accord ? Vous pouvez arrêter à tout moment en répondant STOP. Confidentialité : https://shop.example/privacy"
	if len(inbox) != 1 || inbox[0].Text != want || inbox[0].Language != "fr" {
		t.Fatalf("%+v", inbox)
	}
	asked := w.door.now
	w.later(time.Hour)
	w.Press(phone, "Oui, d'accord")
	w.settle()
	if s := w.decides(); !s.Granted {
		t.Fatalf("%+v", s)
	}
	u, err := consent.NewPeople(w.events, w.hasher).ByPhone(t.Context(), "shop", phone, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(u.Events, func(e consent.Event) bool { return e.Confirms != nil })
	m := u.Events[i].Confirms.Message
	if !strings.HasPrefix(m.Wording.Reveal(), want) || !strings.HasSuffix(m.Wording.Reveal(), "[Oui, d'accord] [Non merci]") || m.Template != "avow_invitation" || m.TemplateVersion != "2026-01" ||
		len(m.IDs) != 2 || m.IDs[0] != inbox[0].ID || !m.SentAt.Equal(asked) || m.AnsweredAt.Sub(asked) != time.Hour || m.Answer.Reveal() != "Oui, d'accord" || m.Language != "fr" {
		t.Errorf("the proof: %+v, wording %q", m, m.Wording.Reveal())
	}
	if got := w.Inbox(phone); len(got) != 2 || !strings.Contains(got[1].Text, "STOP") {
		t.Errorf("%+v", got)
	}
	if out := w.offer("1", "", "Des chaises !"); out.State != chat.Sent {
		t.Errorf("%+v", out)
	}
	if got := w.Inbox(phone); got[2].Text != "Des chaises !\n\nPour arrêter, répondez STOP." {
		t.Errorf("%q", got[2].Text)
	}
	w.later(25 * time.Hour)
	if out := w.offer("2", "", "Des tables !"); out.Reason != "window_closed" {
		t.Errorf("%+v", out)
	}
	for template, reason := range map[string]string{"offer_endless/fr": "template", "offer_draft/fr": "template", "offer/de": "template"} {
		if out := w.offer(template, template, "x"); out.Reason != reason {
			t.Errorf("%s: %+v", template, out)
		}
	}
	if out := w.offer("3", "offer/fr", "tables"); out.State != chat.Sent {
		t.Errorf("%+v", out)
	}
	before := len(w.Inbox(phone))
	w.Write(phone, "Arrêt")
	w.settle()
	if s := w.decides(); s.Granted || s.Reason != consent.Withdrawn {
		t.Errorf("%+v", s)
	}
	got := w.Inbox(phone)
	if len(got) != before+1 || !strings.Contains(got[before].Text, "plus de messages") {
		t.Errorf("one message confirms it: %+v", got[before:])
	}
	w.Write(phone, "STOP")
	w.Press(phone, "Oui, d'accord") // the old button: a no lies between
	w.settle()
	if out := w.offer("4", "offer/fr", "lits"); out.State != chat.Failed {
		t.Errorf("%+v", out)
	}
	if s := w.decides(); s.Granted || len(w.Inbox(phone)) != before+1 {
		t.Errorf("nothing comes after it: %+v, %+v", s, w.Inbox(phone)[before+1:])
	}
	for _, o := range w.outgoing(phone)[chat.Send] {
		if o.Text != "" {
			t.Error("the text of a message is kept")
		}
	}
}

// A page learns the number's own subject when it asks for a double opt-in: what it
// then says there by itself is no agreement. Where the person has agreed, it takes
// nothing away.
func TestTalk_hearsay(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	pending := w.tick("box")
	public := func(key string, at time.Duration) {
		t.Helper()
		w.later(at)
		_, err := w.recorder().Record(t.Context(), w.line.Policy, &consent.Submission{
			Source: consent.Public, IdempotencyKey: w.hasher.ID(w.Server.Now(), "public", key), SubjectID: pending.SubjectID, Preferences: []consent.Preference{{Key: "offers", Value: "true"}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	public("a", time.Minute)
	if s := w.decides(); !s.Granted {
		t.Fatalf("the post does not stand with the number: %+v", s)
	}
	if out := w.offer("1", "offer/fr", "x"); out.Reason != "no_consent" || len(w.Inbox(phone)) != 0 {
		t.Errorf("nobody has answered in the chat: %+v", out)
	}
	w.invite(pending)
	w.later(time.Minute)
	w.Press(phone, "Oui, d'accord")
	w.settle()
	public("b", time.Minute)
	if out := w.offer("2", "offer/fr", "x"); out.State != chat.Sent {
		t.Errorf("%+v", out)
	}
	w.Write(phone, "STOP")
	w.settle()
	w.line.Site.Settings.PublicGrants = site.Latest
	public("c", time.Minute)
	if out := w.offer("3", "offer/fr", "x"); out.Reason != "no_consent" {
		t.Errorf("whatever the site lets a page say: %+v", out)
	}
}

// Who writes START is asked before anything is sent; OUI answers the last
// invitation, and nothing where there is none.
func TestTalk_startAndYes(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	w.Write(phone, "OUI")
	w.settle()
	if len(w.Inbox(phone)) != 0 || len(w.ledger(phone)) != 0 {
		t.Error("nobody has asked")
	}
	w.Write(phone, "STOP")
	w.settle()
	w.later(time.Minute)
	w.Write(phone, "Start")
	w.settle()
	events := w.ledger(phone)
	i := slices.IndexFunc(events, func(e consent.Event) bool { return e.OptIn != nil })
	if i < 0 || w.silenced(phone) {
		t.Fatalf("%d events, silenced %v", len(events), w.silenced(phone))
	}
	if s := w.decides(); s.Granted {
		t.Errorf("%+v", s)
	}
	w.later(time.Minute)
	if out := w.invite(&events[i]); out.State != chat.Sent {
		t.Fatalf("%+v", out)
	}
	w.later(time.Minute)
	w.Write(phone, "oui !")
	w.settle()
	if s := w.decides(); !s.Granted {
		t.Errorf("%+v", s)
	}
}

// A no is a no; late, or from another telephone, a yes changes nothing.
func TestTalk_answers(t *testing.T) {
	t.Parallel()
	t.Run("no", func(t *testing.T) {
		t.Parallel()
		w := newTalk(t, fake.Options{})
		w.invite(w.tick("a"))
		w.later(time.Minute)
		w.Press(phone, "Non merci")
		w.settle()
		w.later(time.Minute)
		w.Press(phone, "Oui, d'accord")
		w.settle()
		if s := w.decides(); s.Granted {
			t.Errorf("%+v", s)
		}
	})
	t.Run("late", func(t *testing.T) {
		t.Parallel()
		w := newTalk(t, fake.Options{})
		pending := w.tick("a")
		w.invite(pending)
		w.later(pending.OptIn.Until.Sub(w.door.now) + time.Second)
		w.Press(phone, "Oui, d'accord")
		w.settle()
		if got := w.Inbox(phone); w.decides().Granted || len(got) != 2 || !strings.Contains(got[1].Text, "plus ouverte") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("another telephone", func(t *testing.T) {
		t.Parallel()
		w := newTalk(t, fake.Options{})
		pending := w.tick("a")
		w.invite(pending)
		body := strings.ReplaceAll(presses("x", chat.InvitePayloads(consent.ConfirmToken(w.hasher, pending))[0], 10), ines, "33655001003")
		w.posted(body)
		w.posted(strings.ReplaceAll(body, "consent-yes:", "consent-yes:x"))
		if w.decides().Granted {
			t.Error("somebody else has agreed")
		}
	})
	t.Run("before it was sent", func(t *testing.T) {
		t.Parallel()
		w := newTalk(t, fake.Options{})
		pending := w.tick("a")
		w.posted(strings.ReplaceAll(presses("x", chat.InvitePayloads(consent.ConfirmToken(w.hasher, pending))[0], 10), ines, strings.TrimPrefix(phone, "+")))
		if w.decides().Granted {
			t.Error("there is no proof of what was asked")
		}
	})
	t.Run("noted, not sent", func(t *testing.T) {
		t.Parallel()
		w := newTalk(t, fake.Options{})
		pending := w.tick("a")
		if _, ok, err := w.sender.Invite(t.Context(), pending); !ok || err != nil {
			t.Fatal(err)
		}
		w.posted(strings.ReplaceAll(presses("x", chat.InvitePayloads(consent.ConfirmToken(w.hasher, pending))[0], 10), ines, strings.TrimPrefix(phone, "+")))
		if w.decides().Granted {
			t.Error("nothing was sent that could be agreed to")
		}
	})
	t.Run("from somebody hidden, to no message", func(t *testing.T) {
		t.Parallel()
		w := newTalk(t, fake.Options{})
		w.Fail(fakekit.Failure{Route: "/{number}/messages", Status: 500, Applied: true})
		pending := w.tick("a")
		w.invite(pending)
		body := presses("x", chat.InvitePayloads(consent.ConfirmToken(w.hasher, pending))[0], 10)
		w.posted(strings.Replace(body, `"from":"`+ines+`"`, `"from_user_id":"`+userID+`"`, 1))
		if w.decides().Granted {
			t.Error("nothing says that it is the person who was asked")
		}
	})
	t.Run("to another message", func(t *testing.T) {
		t.Parallel()
		w := newTalk(t, fake.Options{})
		w.invite(w.tick("a"))
		about := func(id, message string) string {
			post := strings.ReplaceAll(says(id, "Oui", 10), ines, strings.TrimPrefix(phone, "+"))
			return strings.ReplaceAll(post, `"type":"text"`, `"context":{"id":"`+message+`"},"type":"text"`)
		}
		w.posted(about("1", "wamid.of-the-help-desk"))
		if s := w.decides(); s.Granted {
			t.Errorf("the help desk has asked something else: %+v", s)
		}
		w.posted(about("2", w.Inbox(phone)[0].ID))
		if s := w.decides(); !s.Granted {
			t.Errorf("%+v", s)
		}
	})
	for _, hidden := range []bool{false, true} {
		t.Run(fmt.Sprintf("to a message of which nobody knows, hidden %v", hidden), func(t *testing.T) {
			t.Parallel()
			w := newTalk(t, fake.Options{})
			w.Fail(fakekit.Failure{Route: "/{number}/messages", Status: 500, Applied: true})
			if out := w.invite(w.tick("a")); out.State != chat.Unknown {
				t.Fatalf("%+v", out)
			}
			w.Mend()
			w.Hide(phone, hidden)
			w.later(time.Minute)
			w.Press(phone, "Oui, d'accord")
			w.settle()
			if s := w.decides(); !s.Granted {
				t.Fatalf("%+v", s)
			}
			u, err := consent.NewPeople(w.events, w.hasher).ByPhone(t.Context(), "shop", phone, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(u.Events, func(e consent.Event) bool { return e.Confirms != nil })
			if m := u.Events[i].Confirms.Message; m.IDs[0] != w.Inbox(phone)[0].ID || !strings.Contains(m.Wording.Reveal(), "STOP") {
				t.Errorf("the proof: %+v", m)
			}
		})
	}
	for _, state := range []chat.State{chat.Sending, chat.Unknown} {
		for about, want := range map[string]bool{"": true, "the invitation": true, "another message of ours": false} {
			t.Run(fmt.Sprintf("a word about %q while the invitation is %s", about, state), func(t *testing.T) {
				t.Parallel()
				w := newTalk(t, fake.Options{})
				w.Write(phone, "STOP") // answered by a message that is known
				w.settle()
				w.later(time.Minute)
				w.Write(phone, "START")
				w.settle()
				w.later(time.Minute)
				events := w.ledger(phone)
				pending := &events[slices.IndexFunc(events, func(e consent.Event) bool { return e.OptIn != nil })]
				if state == chat.Unknown {
					w.Fail(fakekit.Failure{Route: "/{number}/messages", Status: 500, Applied: true})
					if out := w.invite(pending); out.State != state {
						t.Fatalf("%+v", out)
					}
					w.Mend()
				} else { // the answer comes before the sender has written down what Meta has said
					o, _, err := w.sender.Invite(t.Context(), pending)
					if err != nil {
						t.Fatal(err)
					}
					if mine, err := w.messages.Take(t.Context(), o.Person, o.ID, "sender", w.door.now); !mine || err != nil {
						t.Fatal(err)
					}
				}
				w.later(time.Minute)
				post := strings.ReplaceAll(says("x", "Oui", 600), ines, strings.TrimPrefix(phone, "+"))
				of := map[string]string{"the invitation": "wamid.invitation", "another message of ours": w.Inbox(phone)[0].ID}[about]
				if of != "" {
					post = strings.ReplaceAll(post, `"type":"text"`, `"context":{"id":"`+of+`"},"type":"text"`)
				}
				w.posted(post)
				if s := w.decides(); s.Granted != want {
					t.Fatalf("%+v", s)
				}
				for _, e := range w.ledger(phone) {
					if e.Confirms != nil && slices.Contains(e.Confirms.Message.IDs, "") {
						t.Errorf("%q", e.Confirms.Message.IDs)
					}
				}
			})
		}
	}
	t.Run("hidden number", func(t *testing.T) {
		t.Parallel()
		w := newTalk(t, fake.Options{})
		w.invite(w.tick("a"))
		w.Hide(phone, true)
		w.later(time.Minute)
		w.Press(phone, "Oui, d'accord")
		w.Deliver()
		if s := w.decides(); !s.Granted {
			t.Errorf("the answer names the message: %+v", s)
		}
	})
}

// Sending is at most once, whatever becomes of the call.
func TestTalk_sendingUnderFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		failure fakekit.Failure
		state   chat.State
		sent    int
	}{
		"limited":      {fakekit.Failure{Status: http.StatusTooManyRequests, Times: 1 << 20}, chat.Due, 0},
		"down":         {fakekit.Failure{Status: 503}, chat.Unknown, 0},
		"reply lost":   {fakekit.Failure{Status: 500, Applied: true}, chat.Unknown, 1},
		"page of HTML": {fakekit.Failure{Status: 200, HTML: true, Applied: true}, chat.Unknown, 1},
		"wrong token":  {fakekit.Failure{Status: 401}, chat.Due, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTalk(t, fake.Options{})
			pending := w.tick("a")
			tt.failure.Route = "/{number}/messages"
			w.Fail(tt.failure)
			o, _, err := w.sender.Invite(t.Context(), pending)
			if err != nil {
				t.Fatal(err)
			}
			if out := w.send(o); out.State != tt.state || (out.State == chat.Due) != (out.After > 0) {
				t.Errorf("%+v", out)
			}
			w.Mend()
			w.later(time.Hour)
			want := chat.Unknown
			if tt.state == chat.Due {
				want = chat.Sent
				tt.sent++
			}
			for range 2 {
				if out := w.send(o); out.State != want {
					t.Errorf("%+v", out)
				}
			}
			if got := w.Inbox(phone); len(got) != tt.sent {
				t.Errorf("%d messages", len(got))
			}
		})
	}
}

// Who is interrupted between the call and writing down its outcome leaves a
// message of which nobody knows; it is not sent again.
func TestTalk_interrupted(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	o, _, err := w.sender.Invite(t.Context(), w.tick("a"))
	if err != nil {
		t.Fatal(err)
	}
	if mine, err := w.messages.Take(t.Context(), o.Person, o.ID, "somebody", w.door.now); !mine || err != nil {
		t.Fatal(err)
	}
	if out := w.send(o); out.State != chat.Due || out.After == 0 {
		t.Errorf("somebody is at it: %+v", out)
	}
	w.later(3 * time.Minute)
	for range 2 {
		if out := w.send(o); out.State != chat.Unknown {
			t.Errorf("%+v", out)
		}
	}
	if len(w.Inbox(phone)) != 0 {
		t.Error("it was sent")
	}
}

// What Meta refuses for good is not tried again; 131050 is a no.
func TestTalk_refusedByMeta(t *testing.T) {
	t.Parallel()
	for _, direct := range []bool{true, false} {
		w := newTalk(t, fake.Options{Direct: direct})
		w.invite(w.tick("a"))
		w.later(time.Minute)
		w.Press(phone, "Oui, d'accord")
		w.settle()
		w.later(time.Minute)
		w.Prefer(phone, true)
		if out := w.offer("1", "offer/fr", "x"); direct && (out.State != chat.Failed || out.Reason != whatsapp.OptedOut) {
			t.Errorf("%+v", out)
		}
		if direct && (w.decides().Granted || !w.silenced(phone)) {
			t.Error("131050 is a no")
		}
		w.later(time.Minute)
		w.settle()
		if s := w.decides(); s.Granted || !w.silenced(phone) || s.Reason != consent.Withdrawn {
			t.Errorf("%+v, silenced %v", s, w.silenced(phone))
		}
	}
}

// Who has agreed with their number and hides it later has still the same consent
// to withdraw, when nobody remembers the chat any more.
func TestTalk_stopWithoutNumber(t *testing.T) {
	t.Parallel()
	for _, hidden := range []bool{false, true} { // when agreeing
		w := newTalk(t, fake.Options{})
		w.invite(w.tick("a"))
		w.Hide(phone, hidden)
		w.later(time.Minute)
		w.Press(phone, "Oui, d'accord")
		w.settle()
		if s := w.decides(); !s.Granted {
			t.Fatalf("hidden %v: %+v", hidden, s)
		}
		w.later(60 * 24 * time.Hour)
		w.Hide(phone, true)
		w.Write(phone, "STOP")
		w.settle()
		if s := w.decides(); s.Granted || s.Reason != consent.Withdrawn {
			t.Errorf("hidden %v: %+v", hidden, s)
		}
		if out := w.offer("1", "offer/fr", "x"); out.State != chat.Failed {
			t.Errorf("hidden %v: %+v", hidden, out)
		}
	}
}

// Silence holds whatever the ledger says: nobody but the person ends it, and a
// button that was left open gets no answer.
func TestTalk_silence(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	w.invite(w.tick("a"))
	w.later(time.Minute)
	w.Write(phone, "STOP")
	w.settle()
	w.later(time.Minute)
	before := len(w.Inbox(phone))
	w.Press(phone, "Oui, d'accord")
	w.settle()
	if late := w.outgoing(phone)[chat.Late]; len(late) != 1 || late[0].State != chat.Failed || late[0].Reason != "silenced" || len(w.Inbox(phone)) != before {
		t.Errorf("%+v, %d messages more", late, len(w.Inbox(phone))-before)
	}
	w.grant(phone, w.Server.Now())
	if s := w.decides(); !s.Granted {
		t.Fatalf("%+v", s)
	}
	if out := w.offer("1", "offer/fr", "x"); out.State != chat.Failed || out.Reason != "silenced" {
		t.Errorf("%+v", out)
	}
	w.later(time.Minute)
	if out := w.invite(w.tick("b")); out.State != chat.Failed || out.Reason != "silenced" || len(w.Inbox(phone)) != before {
		t.Errorf("a box that anybody may have ticked: %+v", out)
	}
}

// A site's key sends nothing by the number of another site, whoever has agreed
// there.
func TestTalk_anotherSite(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	w.invite(w.tick("a"))
	w.later(time.Minute)
	w.Press(phone, "Oui, d'accord")
	w.settle()
	before := len(w.Inbox(phone))
	o := chat.Outgoing{
		Person: chat.KinOf(w.hasher, "another", "whatsapp", phone).Person, ID: "1", Purpose: chat.Send, System: "whatsapp", To: phone, Preference: "offers",
		Template: "offer/fr", Text: "x", State: chat.Due, At: w.Server.Now(), Expires: w.Server.Now().Add(time.Hour),
	}
	if err := w.messages.Note(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if out := w.send(o); out.State != chat.Failed || out.Reason != "another_site" || len(w.Inbox(phone)) != before {
		t.Errorf("%+v, %d messages more", out, len(w.Inbox(phone))-before)
	}
}

// A request by chat: the question, the button, the answer.
func TestTalk_request(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	w.Write(phone, "Supprimer mes données")
	w.settle()
	w.Press(phone, "Oui, c'est moi")
	w.settle()
	inbox := w.Inbox(phone)
	if len(inbox) != 2 || !strings.Contains(inbox[0].Text, "données personnelles") || !strings.Contains(inbox[1].Text, "référence") {
		t.Fatalf("%+v", inbox)
	}
	id := w.outgoing(phone)[chat.Opened][0].About
	if r, err := w.requests.Get(t.Context(), id); err != nil || !r.Identity.Proven() || !strings.Contains(inbox[1].Text, id) {
		t.Errorf("%+v, %v", r, err)
	}
}

// handOver gives the number to somebody else, whose own it was not before.
func (w *talk) handOver() {
	w.t.Helper()
	w.later(time.Minute)
	w.Move(phone, "+33655000999")
	w.settle()
	w.Move("+33655001003", phone)
	w.settle()
	w.later(time.Minute)
}

// Who asks from a number that somebody has left is told so, without a button.
func TestTalk_requestFromNumberLeft(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	w.Write(phone, "bonjour")
	w.settle()
	w.handOver()
	before := len(w.Inbox(phone))
	w.Write(phone, "Mes données")
	w.settle()
	got := w.Inbox(phone)[before:]
	if len(got) != 1 || len(got[0].Payloads) != 0 || !strings.Contains(got[0].Text, "appartenait à quelqu'un d'autre") || !strings.HasSuffix(got[0].Text, ")\nhttps://shop.example/privacy") {
		t.Fatalf("%+v", got)
	}
}

// What somebody has agreed to under a number is no yes of whoever has it next: they
// are asked, and get nothing before.
func TestTalk_yesOfNumberLeft(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	agree := func(key string) {
		w.invite(w.tick(key))
		w.later(time.Minute)
		w.Press(phone, "Oui, d'accord")
		w.settle()
		w.later(time.Minute)
	}
	agree("before")
	if out := w.offer("0", "offer/fr", "chaises"); out.State != chat.Sent {
		t.Fatalf("%+v", out)
	}
	w.handOver()
	w.Write(phone, "START")
	w.settle()
	w.later(time.Minute)
	if out := w.offer("1", "offer/fr", "chaises"); out.State != chat.Failed || out.Reason != "no_consent" {
		t.Errorf("the next holder gets %+v", out)
	}
	agree("after")
	if out := w.offer("2", "offer/fr", "chaises"); out.State != chat.Sent {
		t.Errorf("after their own yes: %+v", out)
	}
}

// A consent that waits is asked for by the outbox's job of double opt-ins, once;
// a limit of Meta's passes, and what Meta refuses for good does not.
func TestTalk_askedByTheOutbox(t *testing.T) {
	t.Parallel()
	terms, err := settings.Parse([]byte(systems))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		failure *fakekit.Failure
		sent    int
		first   func(outbox.Outcome) bool
		later   int // messages once the failure is over
	}{
		"sent":       {nil, 1, func(o outbox.Outcome) bool { return o.State == outbox.Done }, 1},
		"limited":    {&fakekit.Failure{Status: 429}, 0, func(o outbox.Outcome) bool { return o.State == outbox.Due }, 1},
		"reply lost": {&fakekit.Failure{Status: 500, Applied: true}, 1, func(o outbox.Outcome) bool { return o.State == outbox.Unknown || o.State == outbox.Failed }, 1},
		"down":       {&fakekit.Failure{Status: 500}, 0, func(o outbox.Outcome) bool { return o.State == outbox.Unknown || o.State == outbox.Failed }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTalk(t, fake.Options{})
			job := &optin.Job{
				Events: w.events, People: consent.NewPeople(w.events, w.hasher), Hasher: w.hasher, Now: w.Server.Now, Store: w.requests,
				Sites:    func(context.Context, string) (*site.Site, error) { return w.line.Site, nil },
				Settings: func(context.Context) (*settings.Settings, error) { return terms, nil },
				WhatsApp: whatsapp.Messenger{Senders: only{w.sender}},
			}
			pending := w.tick("a")
			ask := func() outbox.Outcome {
				t.Helper()
				o, err := job.Do(t.Context(), outbox.Entry{Ref: outbox.Ref{Subject: pending.Subject, Kind: outbox.Confirm, ID: pending.ID}, Site: "shop", Since: w.Server.Now()})
				if err != nil {
					t.Fatal(err)
				}
				return o
			}
			if tt.failure != nil {
				tt.failure.Route = "/{number}/messages"
				w.Fail(*tt.failure)
			}
			if o := ask(); !tt.first(o) || len(w.Inbox(phone)) != tt.sent {
				t.Errorf("%+v, %d messages", o, len(w.Inbox(phone)))
			}
			w.Mend()
			for range 3 {
				w.later(time.Hour)
				ask()
			}
			if n := len(w.Inbox(phone)); n != tt.later {
				t.Errorf("%d messages in the end", n)
			}
		})
	}
}

// What fails on our side before anything is sent keeps nobody from being invited
// later, once.
func TestTalk_askedUnderFaults(t *testing.T) {
	t.Parallel()
	terms, err := settings.Parse([]byte(systems))
	if err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"dynamodb.UpdateItem", "dynamodb.GetItem", "dynamodb.PutItem"} {
		w := newTalk(t, fake.Options{})
		cfg := w.env.With(w.net.Wrap).Config
		cfg.Retryer = faulty.Impatient
		w.sender.Store = dynamo.NewMessages(cfg, w.env.Getenv("MESSAGES_TABLE"), w.Server.Now)
		job := &optin.Job{
			Events: w.events, People: consent.NewPeople(w.events, w.hasher), Hasher: w.hasher, Now: w.Server.Now, Store: w.requests,
			Sites:    func(context.Context, string) (*site.Site, error) { return w.line.Site, nil },
			Settings: func(context.Context) (*settings.Settings, error) { return terms, nil },
			WhatsApp: whatsapp.Messenger{Senders: only{w.sender}},
		}
		pending := w.tick("a")
		ask := func() outbox.Outcome {
			t.Helper()
			w.later(time.Hour)
			o, err := job.Do(t.Context(), outbox.Entry{Ref: outbox.Ref{Subject: pending.Subject, Kind: outbox.Confirm, ID: pending.ID}, Site: "shop", Since: w.Server.Now()})
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		w.net.Break(faulty.Every(operation, faulty.Refused))
		if o := ask(); o.State != outbox.Due {
			t.Errorf("%s: %+v", operation, o)
		}
		w.net.Reset()
		for range 2 {
			if o := ask(); o.State != outbox.Done || len(w.Inbox(phone)) != 1 {
				t.Errorf("%s: %+v, %d messages", operation, o, len(w.Inbox(phone)))
			}
		}
	}
}

// Who wants it invites nobody while the business profile does not link the
// privacy notice.
func TestTalk_profile(t *testing.T) {
	t.Parallel()
	w := newTalk(t, fake.Options{})
	w.sender.Client.CheckProfile = true
	pending := w.tick("box")
	w.SetWebsites("https://shop.example")
	if _, _, err := w.sender.Invite(t.Context(), pending); !errs.Is(err, errs.Unavailable) || len(w.Inbox(phone)) != 0 {
		t.Errorf("without a link: %v", err)
	}
	w.SetWebsites("https://shop.example", "https://shop.example/privacy")
	if out := w.invite(pending); out.State != chat.Sent {
		t.Errorf("with a link: %+v", out)
	}
}
