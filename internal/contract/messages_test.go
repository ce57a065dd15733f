package contract

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/site"
)

// messageState is a message as the API shows it.
type messageState struct {
	ID, State, Preference, Created string
}

// A message is noted once for a key, and shown to its own site only.
func TestMessages(t *testing.T) {
	t.Parallel()
	d := start(t)
	s := d.shop(t, site.Settings{}, messaging)
	key := map[string]string{"Idempotency-Key": s.base(t, "api", deployOptions{}).NewID(time.Now())}
	send := func(body string) call {
		return call{method: "POST", path: "/messages", key: s.private, header: key, body: body}
	}
	var first, again, shown messageState
	s.send(t, send(offer)).ok(t).into(t, &first)
	s.send(t, send(`{"text":"Chairs","phone":"+33655000101","preference":"offers","channel":"whatsapp"}`)).ok(t).into(t, &again)
	if first != again || first.State != "due" || first.Preference != "offers" || !strings.HasPrefix(first.ID, "msg_") {
		t.Errorf("%+v, again %+v", first, again)
	}
	other := send(strings.Replace(offer, "Chairs", "Tables", 1))
	other.bad = true
	s.send(t, other).problem(t, http.StatusConflict)
	s.send(t, call{method: "GET", path: "/messages/" + first.ID, key: s.private}).ok(t).into(t, &shown)
	if shown != first {
		t.Errorf("%+v", shown)
	}
	stranger := d.shop(t, site.Settings{}, messaging)
	for _, path := range []string{"/messages/" + first.ID, "/messages/msg_x.y", "/messages/x"} {
		stranger.refused(t, http.StatusNotFound, "GET", path, "")
	}
	if strings.Contains(first.ID, "336") {
		t.Error("the number is in the id")
	}
}

func TestMessages_refuses(t *testing.T) {
	t.Parallel()
	s := start(t).shop(t, site.Settings{}, messaging, site.Purpose{Key: "news", Channel: "email"})
	with := func(old, fresh string) string { return strings.Replace(offer, old, fresh, 1) }
	for name, tt := range map[string]struct{ body, field string }{
		"another channel":      {with("whatsapp", "fax"), "channel"},
		"no such preference":   {with("offers", "other"), "preference"},
		"one of another":       {with("offers", "news"), "preference"},
		"nobody":               {with(`"phone":"+33655000101",`, ""), "phone"},
		"two":                  {with(`"text"`, `"subject_id":"ada","text"`), "phone"},
		"a national number":    {with("+33655000101", "0655000101"), "phone"},
		"nothing to say":       {with(`,"text":"Chairs"`, ""), "text"},
		"too much":             {with(`"text"`, `"template":{"name":"offer","language":"fr"},"text"`), "text"},
		"too long":             {with("Chairs", strings.Repeat("x", 3901)), "text"},
		"a template's name":    {with(`"text":"Chairs"`, `"template":{"name":"Offer!","language":"fr"}`), "template.name"},
		"a template's tongue":  {with(`"text":"Chairs"`, `"template":{"name":"offer","language":"french"}`), "template.language"},
		"an empty parameter":   {with(`"text":"Chairs"`, `"template":{"name":"offer","language":"fr","parameters":[""]}`), "template.parameters"},
		"a line end":           {with(`"text":"Chairs"`, `"template":{"name":"offer","language":"fr","parameters":["a\nb"]}`), "template.parameters"},
		"a system":             {with(`"text"`, `"system":"Whats App","text"`), "system"},
		"a language":           {with(`"text"`, `"language":"-","text"`), "language"},
		"a subject without it": {with(`"phone":"+33655000101"`, `"subject_id":"nobody"`), "subject_id"},
	} {
		p := s.refused(t, http.StatusBadRequest, "POST", "/messages", tt.body)
		if len(p.Errors) == 0 || p.Errors[0].Field != tt.field {
			t.Errorf("%s: %+v", name, p)
		}
	}
	s.refused(t, http.StatusBadRequest, "POST", "/messages", with(`"text"`, `"txt"`))
}
