package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
)

const (
	zoe       = "zoe@example.test"
	zoesPhone = "+41795550101"
)

// confirmed is a consent that was posted by the back end and confirmed in the
// chat, and what was said in the chat before that.
func (w *world) confirmed() (first, second consent.Acknowledgement) {
	w.t.Helper()
	phones := &consent.Phones{List: []consent.Phone{{Number: zoesPhone}}}
	number := redact.String(w.hasher.PhoneSubject(shop, zoesPhone))
	_, err := w.events.Append(w.t.Context(), &consent.Event{
		ID: w.newID(w.now()), Kind: consent.KindConsent, Site: shop, Subject: w.hasher.Subject(shop, number.Reveal()), SubjectID: number,
		KeyID: w.hasher.KeyID(), Shards: 2, Source: consent.Confirmed, Act: consent.MessageReply, Claimed: w.now(), Received: w.now(),
		Preferences: []consent.Preference{{Key: "chat", Value: "true"}}, Profile: consent.Profile{Phones: phones},
	})
	must(w.t, err)
	s := submission(consent.Private, "crm-9", zoe, "true")
	s.Profile.Phones, s.OptIn = phones, &consent.OptInRequest{Channel: consent.ByWhatsApp, Language: "fr"}
	first = w.post(s)
	pending, err := w.events.Get(w.t.Context(), w.partition("crm-9"), first.ID)
	must(w.t, err)
	w.advance(time.Hour)
	second, err = w.recorder.Confirm(w.t.Context(), policy, pending, consent.Message{
		Channel: consent.ByWhatsApp, Language: "fr", Wording: "Voulez-vous nos nouvelles ?", Template: "invite", TemplateVersion: "3",
		IDs: []string{"wamid.1"}, SentAt: w.now(), AnsweredAt: w.now(), Answer: "Oui",
	})
	must(w.t, err)
	return first, second
}

// A request for the e-mail exports both events of a double opt-in, the proof, and
// what was said from the telephone that has confirmed it.
func TestExport_doubleOptIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second := w.confirmed()
	w.project()
	out := w.export(of(zoe))
	counts := map[string]int{}
	for kind, list := range out.records {
		counts[kind] = len(list)
	}
	if diff := cmp.Diff(map[string]int{"subjects": 2, "consents": 3, "links": 2}, counts); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	all := strings.Join(out.order, "\n")
	for _, want := range []string{
		first.ID, second.ID, `"double_opt_in":{"channel":"whatsapp","address":"` + zoesPhone + `","language":"fr"`, `"consent_id":"` + first.ID,
		"Voulez-vous nos nouvelles ?", `"template":"invite"`, `"template_version":"3"`, "wamid.1", `"answer":"Oui"`, `"phone":"` + zoesPhone, `"act":"message_reply"`,
	} {
		if !strings.Contains(all, want) {
			t.Errorf("the export lacks %q", want)
		}
	}
}

// Nothing stays of it: neither the second event with its message, nor the
// telephone's own partition and its binding.
func TestErase_doubleOptIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.confirmed()
	w.project()
	_, call, p := w.erase(of(zoe))
	if !p.Done || p.Counts["consents"] != 3 || p.Counts["bindings"] != 2 {
		t.Errorf("%+v", p)
	}
	w.project()
	w.wantGone(zoe, zoesPhone, "Voulez-vous", "wamid.1")
	if r := w.verify(call); len(r.Counts) > 0 {
		t.Errorf("%+v", r)
	}
	u, err := consent.NewPeople(w.events, w.hasher).ByPhone(t.Context(), shop, zoesPhone, time.Time{})
	if s := consent.Decide(u.Events, "news", consent.View{Now: w.now()}, consent.Rules{}); err != nil || s.Reason != consent.NeverAsked {
		t.Errorf("%+v, %v", s, err)
	}
}
