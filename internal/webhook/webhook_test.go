package webhook_test

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/hook"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/webhook"
)

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

const (
	appSecret   = "fake-app-secret" // that of the fake
	verifyToken = "the-verify-token-of-a-test"
	line        = "106540352242922"
	ines        = "33600000001"
	userID      = "FR.1A2b3C"

	systems = `{"controller":{"name":"Shop"},"systems":[
		{"name":"whatsapp","kind":"whatsapp","secret":"whatsapp","region":"IE","processor":{"name":"Meta","dpa":"2026-01-01"},
		 "config":{"phone_number_id":"106540352242922","account_id":"419561257915477","site":"shop","language":"en","privacy_url":"https://shop.example/privacy"}}]}`
)

// door is the component over fresh tables.
type door struct {
	lambda.Handler
	t        testing.TB
	env      *awstest.Env
	net      *faulty.Transport
	now      time.Time
	log      *bytes.Buffer
	hasher   *pseudonym.Hasher
	messages *dynamo.Messages
	requests *dynamo.Requests
	events   *dynamo.Events
	outbox   *dynamo.Outbox
}

func newDoor(t testing.TB) *door {
	t.Helper()
	d := &door{t: t, env: awstest.New(t), net: &faulty.Transport{}, now: noon, log: &bytes.Buffer{}}
	secrets := secret.NewStore(d.env.Config)
	for name, value := range map[string]string{
		d.env.Getenv("SYSTEMS_SECRET"):                            systems,
		d.env.Getenv("SYSTEM_SECRET_PREFIX") + "whatsapp-webhook": `{"app_secret":"` + appSecret + `","verify_token":"` + verifyToken + `"}`,
	} {
		if err := secrets.Put(t.Context(), name, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	err := dynamo.NewSites(d.env.Config, d.env.Getenv("SITES_TABLE")).Create(t.Context(), &site.Site{
		ID: "shop", Name: "Shop", Shards: 1, Register: []site.Purpose{{Key: "offers", Channel: "whatsapp"}, {Key: "news", Channel: "email"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	base, err := setup.NewBase(t.Context(), d.env.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	base.Config = d.env.With(d.net.Wrap).Config
	base.Config.Retryer = faulty.Impatient
	base.Now = func() time.Time { return d.now }
	base.Log = slog.New(slog.NewJSONHandler(d.log, nil))
	if d.hasher, err = base.Hasher(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.messages = dynamo.NewMessages(d.env.Config, d.env.Getenv("MESSAGES_TABLE"), base.Now)
	d.requests = dynamo.NewRequests(d.env.Config, d.env.Getenv("REQUESTS_TABLE"), d.hasher, base.Now, base.NewID)
	d.events = dynamo.NewEvents(d.env.Config, d.env.Getenv("EVENTS_TABLE"))
	d.outbox = dynamo.NewOutbox(d.env.Config, d.env.Getenv("OUTBOX_TABLE"))
	if d.Handler, err = webhook.New(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	return d
}

type answer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// call invokes the function as API Gateway does.
func (d *door) call(method, query, signature, body string, encoded bool) answer {
	d.t.Helper()
	event, err := json.Marshal(map[string]any{
		"version": "2.0", "rawPath": "/webhooks/whatsapp", "rawQueryString": query, "headers": map[string]string{"x-hub-signature-256": signature, "content-type": "application/json"},
		"body": body, "isBase64Encoded": encoded,
		"requestContext": map[string]any{"http": map[string]any{"method": method, "sourceIp": "203.0.113.7"}, "requestId": "r", "stage": "$default", "domainName": "api.shop.example"},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := d.Invoke(d.t.Context(), event)
	if err != nil {
		d.t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		d.t.Fatal(err)
	}
	return a
}

// post posts what Meta would have signed.
func (d *door) post(body string) answer {
	d.t.Helper()
	return d.call("POST", "", sign(appSecret, []byte(body)), body, false)
}

// posted posts and wants it to be taken.
func (d *door) posted(body string) {
	d.t.Helper()
	if a := d.post(body); a.Status != 200 {
		d.t.Fatalf("%d %s", a.Status, a.Body)
	}
}

// change is a post with one change.
func change(field, value string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"` + field + `","value":{"metadata":{"display_phone_number":"15550783881","phone_number_id":"` + line + `"},` + value + `}}]}]}`
}

// says is a text of Ines, at a time in seconds after noon.
func says(id, body string, at int) string {
	return change("messages", `"contacts":[{"profile":{"name":"Ines Roca"},"wa_id":"`+ines+`"}],"messages":[`+text(id, body, at)+`]`)
}

func text(id, body string, at int) string {
	return fmt.Sprintf(`{"from":"%s","id":"wamid.%s","timestamp":"%d","type":"text","text":{"body":"%s"}}`, ines, id, noon.Unix()+int64(at), body)
}

func presses(id, payload string, at int) string {
	return change("messages", fmt.Sprintf(`"messages":[{"from":"%s","id":"wamid.%s","timestamp":"%d","type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"%s","title":"x"}}}]`, ines, id, noon.Unix()+int64(at), payload))
}

func (d *door) kin(address string) chat.Kin {
	return chat.KinOf(d.hasher, "shop", "whatsapp", redact.String(address))
}

// silenced reports whether nothing may be sent to an address.
func (d *door) silenced(address string) bool {
	d.t.Helper()
	reasons, err := d.messages.Silenced(d.t.Context(), d.kin(address).Silence)
	if err != nil {
		d.t.Fatal(err)
	}
	return len(reasons) > 0
}

// ledger are the events of an address's own subject.
func (d *door) ledger(address string) []consent.Event {
	d.t.Helper()
	rows, err := d.events.Partition(d.t.Context(), d.hasher.Subject("shop", d.kin(address).Subject.Reveal()), 1<<20)
	if err != nil {
		d.t.Fatal(err)
	}
	return rows.Events
}

// grant records what the company says that the person has agreed to.
func (d *door) grant(address string, at time.Time) {
	d.t.Helper()
	r := consent.NewRecorder(consent.Options{Ledger: d.events, Hasher: d.hasher, Now: func() time.Time { return d.now }, NewID: func(t time.Time) string { return d.hasher.ID(t, "x") }})
	_, err := r.Record(d.t.Context(), consent.Policy{Site: "shop", Shards: 1, Backdate: time.Hour}, &consent.Submission{
		Source: consent.Private, Timestamp: &at, SubjectID: d.kin(address).Subject, Preferences: []consent.Preference{{Key: "offers", Value: "true"}},
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// may asks whether offers may be sent.
func (d *door) may(address string) consent.State {
	return consent.Decide(d.ledger(address), "offers", consent.View{Now: d.now}, consent.Rules{})
}

// outgoing are the messages to an address, by purpose. Those that are due are in
// the outbox.
func (d *door) outgoing(address string) map[chat.Purpose][]chat.Outgoing {
	d.t.Helper()
	found := map[chat.Purpose][]chat.Outgoing{}
	rows, _, err := d.messages.Rows(d.t.Context(), d.kin(address).Person, "", 100)
	if err != nil {
		d.t.Fatal(err)
	}
	waiting := d.waiting()
	for _, r := range rows {
		if o := r.Outgoing; o != nil {
			found[o.Purpose] = append(found[o.Purpose], *o)
			ref := outbox.Ref{Subject: o.Person, Kind: outbox.Message, ID: o.ID}
			if o.State == chat.Due && !slices.Contains(waiting, ref) {
				d.t.Errorf("%s is noted, and nobody is told to send it", o.Purpose)
			}
		}
	}
	return found
}

// waiting are the entries of the outbox that are due.
func (d *door) waiting() []outbox.Ref {
	d.t.Helper()
	refs, err := d.outbox.Due(d.t.Context(), d.now.Add(24*time.Hour), 100)
	if err != nil {
		d.t.Fatal(err)
	}
	return refs
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	query := "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
	if a := d.call("GET", query+verifyToken, "", "", false); a.Status != 200 || a.Body != "1158201444" || !strings.HasPrefix(a.Headers["Content-Type"], "text/plain") {
		t.Errorf("%+v", a)
	}
	for name, q := range map[string]string{"another token": query + "x", "the app secret": query + appSecret, "no query": ""} {
		if a := d.call("GET", q, "", "", false); a.Status != 403 || strings.Contains(a.Body, "1158201444") {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if a := d.call("DELETE", "", "", "", false); a.Status != 405 {
		t.Errorf("%+v", a)
	}
}

// Of what is not signed by Meta nothing is believed.
func TestPost_signature(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	body := says("1", `STOP \ud83d\ude4f \u0040 d\u00e9sol\u00e9`, 0)
	good := sign(appSecret, []byte(body))
	encoded := base64.StdEncoding.EncodeToString([]byte(body))
	for name, tt := range map[string]struct {
		signature, body string
		base64          bool
		want            int
	}{
		"raw body with unicode and @":  {good, body, false, 200},
		"base64 body":                  {good, encoded, true, 200},
		"wrong key":                    {sign(verifyToken, []byte(body)), body, false, 403},
		"missing prefix":               {good[7:], body, false, 403},
		"no signature":                 {"", body, false, 403},
		"signature of the base64 text": {sign(appSecret, []byte(encoded)), encoded, true, 403},
		"one character more":           {good, body + " ", false, 403},
		"signed, but no JSON":          {sign(appSecret, []byte("<html>")), "<html>", false, 400},
		"signed, of another product":   {sign(appSecret, []byte(`{"object":"page"}`)), `{"object":"page"}`, false, 400},
		"too large":                    {"", strings.Repeat("x", hook.MaxBody+1), false, 413},
	} {
		if a := d.call("POST", "", tt.signature, tt.body, tt.base64); a.Status != tt.want {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	if len(d.ledger("+"+ines)) != 0 || d.silenced("+"+ines) {
		t.Error("a sentence is no keyword")
	}
	d.call("POST", "", "", says("2", "STOP", 0), false)
	if len(d.ledger("+"+ines)) != 0 || d.silenced("+"+ines) {
		t.Error("an unsigned STOP was believed")
	}
}

// Who writes STOP has said no at once, is told so once, and nothing else is sent.
func TestPost_stop(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.grant("+"+ines, noon.Add(-time.Minute))
	if s := d.may("+" + ines); !s.Granted {
		t.Fatalf("%+v", s)
	}
	d.now = noon.Add(time.Minute)
	d.posted(says("1", "Arr\\u00eat !", 30))
	if s := d.may("+" + ines); s.Granted || s.Reason != consent.Withdrawn {
		t.Errorf("%+v", s)
	}
	for range 3 { // duplicates, and another STOP
		d.posted(says("1", "Arr\\u00eat !", 30))
	}
	d.posted(says("2", "STOP", 40))
	events := d.ledger("+" + ines)
	if len(events) != 3 {
		t.Fatalf("%d events: one grant and one no for each message", len(events))
	}
	e := events[slices.IndexFunc(events, func(e consent.Event) bool { return e.Claimed.Equal(noon.Add(30 * time.Second)) })]
	if e.Source != consent.Confirmed || e.Act != consent.MessageReply || len(e.Preferences) != 1 || e.Preferences[0].Key != "offers" || e.Proofs[0].Content.Reveal() != "Arrêt !" {
		t.Errorf("%+v", e)
	}
	out := d.outgoing("+" + ines)
	if len(out) != 1 || len(out[chat.Stopped]) != 1 || out[chat.Stopped][0].Language != "fr" || out[chat.Stopped][0].To.Reveal() != "+"+ines {
		t.Errorf("%+v", out)
	}
	if !d.silenced("+" + ines) {
		t.Error("offers could go on")
	}
}

// However a call to AWS fails, Meta posts again and the end is the same, also
// where its clock is ahead of ours.
func TestPost_stopUnderFaults(t *testing.T) {
	t.Parallel()
	probe := newDoor(t)
	probe.net.Reset()
	probe.posted(says("1", "STOP", 2))
	calls := len(probe.net.Calls())
	if calls < 8 {
		t.Fatalf("%d calls", calls)
	}
	step := 1
	if testing.Short() {
		step = 3
	}
	tried, failed := 0, 0
	for n := 0; n < calls; n += step {
		for _, f := range []faulty.Fault{faulty.Refused, faulty.Throttled, faulty.Lost, faulty.FailedYet} {
			d := newDoor(t)
			seen := 0
			d.net.Break(func(faulty.Call) faulty.Fault {
				if seen++; seen-1 >= n && seen-1 < n+cloud.Attempts { // beyond the SDK's own attempts
					return f
				}
				return faulty.None
			})
			first := d.post(says("1", "STOP", 2))
			d.net.Reset()
			d.now = d.now.Add(time.Second)
			if first.Status != 200 && first.Status < 500 {
				t.Errorf("call %d %s: %d: Meta would not post again", n, f, first.Status)
			}
			if first.Status != 200 {
				failed++
			}
			d.posted(says("1", "STOP", 2))
			if out := d.outgoing("+" + ines); len(d.ledger("+"+ines)) != 1 || !d.silenced("+"+ines) || len(out[chat.Stopped]) != 1 {
				t.Errorf("call %d %s: %d events, silenced %v, %d replies", n, f, len(d.ledger("+"+ines)), d.silenced("+"+ines), len(out[chat.Stopped]))
			}
			tried++
		}
	}
	if failed < tried/2 {
		t.Errorf("only %d of %d posts failed", failed, tried)
	}
	t.Logf("%d calls to AWS for a STOP, %d schedules, %d posts that failed", calls, tried, failed)
}

// Several changes in a post, the same message twice, and one of a number that is
// not the company's: each of ours counts once.
func TestPost_severalChanges(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	own := `{"field":"messages","value":{"metadata":{"phone_number_id":"` + line + `"},"messages":[` + text("1", "STOP", 0) + `,` + text("1", "STOP", 0) + `]}}`
	other := `{"field":"messages","value":{"metadata":{"phone_number_id":"1"},"messages":[{"from":"33600000002","id":"wamid.9","timestamp":"1770120000","type":"text","text":{"body":"STOP"}}]}}`
	d.posted(`{"object":"whatsapp_business_account","entry":[{"changes":[` + other + `,` + own + `]},{"changes":[` + own + `,{"field":"account_update","value":{}}]}]}`)
	if len(d.ledger("+"+ines)) != 1 || len(d.outgoing("+" + ines)[chat.Stopped]) != 1 {
		t.Errorf("%d events", len(d.ledger("+"+ines)))
	}
	if d.silenced("+33600000002") {
		t.Error("a post about another company's number was acted on")
	}
	if !strings.Contains(d.log.String(), `"unknown_numbers":1`) {
		t.Errorf("%s", d.log)
	}
}

// Nobody's name, number, id or word is in the log.
func TestPost_log(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for _, body := range []string{says("SECRETID", "STOP", 0), says("SECRETID2", "private words", 1), says("SECRETID3", "delete my data", 2), change("messages", `"messages":[{"id":"wamid.SECRETID4","type":"text","text":{"body":"private words"}}]`)} {
		d.posted(body)
	}
	d.call("POST", "", "sha256=00", says("SECRETID5", "STOP", 0), false)
	for _, private := range []string{ines, "Ines", "Roca", "SECRETID", "private words", "delete my data", appSecret, verifyToken} {
		if strings.Contains(d.log.String(), private) {
			t.Errorf("%q is in the log: %s", private, d.log)
		}
	}
	if !strings.Contains(d.log.String(), `"unread":1`) {
		t.Errorf("%s", d.log)
	}
}

// Who asks to be deleted has a request, which waits for their own word in the
// same chat.
func TestPost_erasureRequest(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for range 2 {
		d.posted(says("1", "Supprimez mes donn\\u00e9es.", 0))
	}
	asked := d.outgoing("+" + ines)[chat.Prove]
	if len(asked) != 1 || asked[0].Language != "fr" {
		t.Fatalf("%+v", asked)
	}
	id := asked[0].About
	r, err := d.requests.Get(t.Context(), id)
	if err != nil || r.Type != request.Erasure || r.State != request.WaitingIdentity || r.Identity.Method != "chat" || r.Channel.Kind != "chat" || r.Site != "shop" || r.Clock.Due.IsZero() || r.Language != "fr" {
		t.Fatalf("%+v, %v", r, err)
	}
	// Somebody else's button, an id that is none, and an old one, prove nothing.
	d.posted(strings.ReplaceAll(presses("2", chat.ProvePayload(id), 10), ines, "33600000009"))
	d.posted(presses("3", chat.ProvePayload("019c2300-0648-70e6-b4af-000000000000"), 10))
	d.posted(presses("4", chat.ProvePayload("x"), 10))
	if r, _ = d.requests.Get(t.Context(), id); r.Identity.Proven() {
		t.Fatal("proven by somebody else")
	}
	for range 2 {
		d.posted(presses("5", chat.ProvePayload(id), 20))
	}
	r, err = d.requests.Get(t.Context(), id)
	if err != nil || r.State != request.Locating || !r.Identity.Proven() || r.Identity.Method != "chat" {
		t.Errorf("%+v, %v", r, err)
	}
	known, err := d.requests.Known(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[identity.Kind]bool{}
	for _, k := range known {
		kinds[k.Kind] = true
		if k.Trust != identity.Proven || k.Followed() != (k.Kind != identity.Phone) {
			t.Errorf("%s: %s", k.Kind, k.Trust)
		}
	}
	if !kinds["whatsapp.address"] || !kinds[identity.SubjectID] || !kinds[identity.Phone] {
		t.Errorf("%v", kinds)
	}
	if decision, err := d.requests.Decision(t.Context(), id, request.WaitIdentity); err != nil || decision == nil || decision.Outcome != request.ProvenOutcome {
		t.Errorf("%+v, %v", decision, err)
	}
	if len(d.outgoing("+" + ines)[chat.Opened]) != 1 {
		t.Error("they are told that it is being worked on, once")
	}
	d.posted(presses("6", chat.WithdrawPayload(id), 30))
	if r, _ = d.requests.Get(t.Context(), id); r.State != request.Locating {
		t.Errorf("after the word was given the button says nothing: %s", r.State)
	}
	d.posted(says("7", "my data", 40))
	if out := d.outgoing("+" + ines)[chat.Prove]; len(out) != 2 {
		t.Fatalf("%+v", out)
	} else {
		other := out[0].About
		if other == id {
			other = out[1].About
		}
		d.posted(presses("8", chat.WithdrawPayload(other), 50))
		if r, _ = d.requests.Get(t.Context(), other); r.Type != request.Access || r.State != request.Withdrawn {
			t.Errorf("%+v", r)
		}
	}
}

// Nobody can fill the office with requests.
func TestPost_requestsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for i := range 6 {
		d.posted(says(fmt.Sprint(i), "delete my data", i))
	}
	if n := len(d.outgoing("+" + ines)[chat.Prove]); n != request.Defaults().PerIdentifier {
		t.Errorf("%d requests", n)
	}
}

// What fails here does not use up what somebody may ask: Meta's repetitions of a
// post are one question.
func TestPost_requestUnderFaults(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	post := says("1", "delete my data", 0)
	d.net.Break(faulty.Every("dynamodb.TransactWriteItems", faulty.Refused))
	for range request.Defaults().PerIdentifier + 2 {
		if a := d.post(post); a.Status < 500 {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
	}
	d.net.Reset()
	d.posted(post)
	if n := len(d.outgoing("+" + ines)[chat.Prove]); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// A choice made in WhatsApp itself is a no; taking it back is no yes.
func TestPost_userPreferences(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	choice := func(value string, at int) string {
		return change("user_preferences", fmt.Sprintf(`"user_preferences":[{"wa_id":"%s","detail":"x","category":"marketing_messages","value":"%s","timestamp":%d}]`, ines, value, noon.Unix()+int64(at)))
	}
	d.grant("+"+ines, noon.Add(-time.Minute))
	d.now = noon.Add(time.Minute)
	for range 2 {
		d.posted(choice("stop", 10))
	}
	if s := d.may("+" + ines); s.Granted || !d.silenced("+"+ines) || len(d.ledger("+"+ines)) != 2 {
		t.Errorf("%+v, %d events", s, len(d.ledger("+"+ines)))
	}
	d.posted(choice("resume", 20))
	if s := d.may("+" + ines); s.Granted || d.silenced("+"+ines) {
		t.Errorf("%+v, silenced %v", s, d.silenced("+"+ines))
	}
	d.posted(choice("stop", 5)) // late
	if d.silenced("+" + ines) {
		t.Error("an older choice has won")
	}
	if len(d.outgoing("+"+ines)) != 0 {
		t.Error("they were written to about it")
	}
}

// Meta refuses to deliver to who has opted out there: that is a no, too.
func TestPost_status131050(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.grant("+"+ines, noon.Add(-time.Minute))
	failed := change("messages", fmt.Sprintf(`"statuses":[{"id":"wamid.out","status":"failed","timestamp":"%d","recipient_id":"%s","errors":[{"code":131050,"title":"x"}]}]`, noon.Unix(), ines))
	for range 2 {
		d.posted(failed)
	}
	if s := d.may("+" + ines); s.Granted || !d.silenced("+"+ines) {
		t.Errorf("%+v", s)
	}
	d.posted(strings.Replace(failed, "131050", "131026", 1))
}

// A number that is not set up does not stop the posts about another one; those
// about itself come again.
func TestPost_missingNumber(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	both := strings.Replace(systems, `]}`, `,{"name":"second","kind":"whatsapp","secret":"second","region":"IE","processor":{"name":"Meta","dpa":"2026-01-01"},
		"config":{"phone_number_id":"2","account_id":"3","site":"shop","privacy_url":"https://shop.example/privacy"}}]}`, 1)
	if err := secret.NewStore(d.env.Config).Put(t.Context(), d.env.Getenv("SYSTEMS_SECRET"), []byte(both)); err != nil {
		t.Fatal(err)
	}
	d.now = d.now.Add(time.Hour)
	d.posted(says("1", "STOP", 0))
	if !d.silenced("+"+ines) || !strings.Contains(d.log.String(), "missing_number") {
		t.Errorf("the other number's absence was not noted, or has stopped this one: %s", d.log)
	}
	if a := d.post(strings.ReplaceAll(says("2", "STOP", 0), line, "2")); a.Status < 500 {
		t.Errorf("its own post, by the same app: %d %s", a.Status, a.Body)
	}
	body := says("3", "STOP", 0)
	if a := d.call("POST", "", sign("of-the-second", []byte(body)), body, false); a.Status < 500 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if a := d.call("GET", "hub.mode=subscribe&hub.challenge=1&hub.verify_token=of-the-second", "", "", false); a.Status < 500 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
}

// A no counts without its time.
func TestPost_noWithoutTime(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"STOP":   strings.Replace(says("1", "STOP", 0), `"timestamp"`, `"time"`, 1),
		"131050": change("messages", `"statuses":[{"id":"wamid.out","status":"failed","recipient_id":"`+ines+`","errors":[{"code":131050}]}]`),
		"choice": change("user_preferences", `"user_preferences":[{"wa_id":"`+ines+`","category":"marketing_messages","value":"stop"}]`),
	} {
		d := newDoor(t)
		d.grant("+"+ines, noon.Add(-time.Minute))
		for range 2 {
			d.posted(body)
			d.now = d.now.Add(time.Minute)
		}
		if s := d.may("+" + ines); s.Granted || !d.silenced("+"+ines) || len(d.outgoing("+" + ines)[chat.Stopped]) > 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// People without a number in the post are known by their id, and as the same
// person once a post has both.
func TestPost_userIDWithoutNumber(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	hidden := func(id, body string, at int) string {
		return change("messages", fmt.Sprintf(`"contacts":[{"profile":{"name":"x"},"user_id":"%s"}],"messages":[{"id":"wamid.%s","timestamp":"%d","type":"text","text":{"body":"%s"}}]`, userID, id, noon.Unix()+int64(at), body))
	}
	d.posted(hidden("1", "STOP", 0))
	if !d.silenced(userID) || len(d.ledger(userID)) != 1 || d.silenced("+"+ines) {
		t.Errorf("silenced %v, %d events", d.silenced(userID), len(d.ledger(userID)))
	}
	if out := d.outgoing(userID)[chat.Stopped]; len(out) != 1 || out[0].To.Reveal() != userID {
		t.Errorf("%+v", out)
	}
	other := strings.ReplaceAll(hidden("2", "hello", 1), userID, "FR.9z")
	both := strings.Replace(other, `"user_id"`, `"wa_id":"`+ines+`","user_id"`, 1)
	d.posted(both)
	d.posted(strings.ReplaceAll(hidden("3", "STOP", 2), userID, "FR.9z"))
	if !d.silenced("+"+ines) || len(d.ledger("+"+ines)) != 1 {
		t.Errorf("silenced %v, %d events: the number is known from before", d.silenced("+"+ines), len(d.ledger("+"+ines)))
	}
}

// Who has asked for silence has it under a new number, too, and what was said
// under the old one is known there.
func TestPost_userChangedNumber(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	moved := func(id, to string, at int) string {
		return change("messages", fmt.Sprintf(`"messages":[{"from":"%s","id":"wamid.%s","timestamp":"%d","type":"system","system":{"body":"User Ines Roca changed","wa_id":"%s","type":"user_changed_number"}}]`, ines, id, noon.Unix()+int64(at), to))
	}
	d.posted(moved("1", "33600000007", 0))
	if d.silenced("+33600000007") {
		t.Error("nobody has asked for silence")
	}
	d.posted(says("2", "STOP", 1))
	for range 2 {
		d.posted(moved("3", "33600000008", 2))
	}
	if !d.silenced("+33600000008") || len(d.outgoing("+33600000008")) != 0 {
		t.Errorf("silenced %v", d.silenced("+33600000008"))
	}
	person, err := consent.NewPeople(d.events, d.hasher).ByPhone(t.Context(), "shop", "+33600000008", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if s := consent.Decide(person.Events, "offers", consent.View{Now: d.now}, consent.Rules{}); s.Granted || s.Reason != consent.Refused {
		t.Errorf("what was said under the old number holds under the new one: %+v", s)
	}
}

// Whoever is given a number that somebody has left gets nothing of what was agreed
// to under it, until they ask themselves; who comes back to their number does.
func TestPost_numberLeft(t *testing.T) {
	t.Parallel()
	move := func(id, from, to string, at int) string {
		return change("messages", fmt.Sprintf(`"messages":[{"from":"%s","id":"wamid.%s","timestamp":"%d","type":"system","system":{"wa_id":"%s","type":"user_changed_number"}}]`, from, id, noon.Unix()+int64(at), to))
	}
	const other = "33600000007"
	for name, tt := range map[string]struct {
		then string
		left bool
	}{
		"somebody writes": {says("2", "hello", 10), true},
		"they ask":        {says("2", "START", 10), false},
		"they come back":  {move("2", other, ines, 10), false},
	} {
		d := newDoor(t)
		d.now = d.now.Add(time.Minute)
		for range 2 {
			d.posted(move("1", ines, other, 0))
		}
		if !d.silenced("+"+ines) || d.silenced("+"+other) {
			t.Errorf("%s: silenced %v, the new one %v", name, d.silenced("+"+ines), d.silenced("+"+other))
		}
		for range 2 {
			d.posted(tt.then)
		}
		if d.silenced("+"+ines) != tt.left {
			t.Errorf("%s: silenced %v", name, !tt.left)
		}
	}
	// Wherever the first try ends: what it has done is not taken for their own wish.
	for n := 1; ; n++ {
		d, calls := newDoor(t), 0
		d.net.Break(func(faulty.Call) faulty.Fault {
			if calls++; calls >= n {
				return faulty.Refused
			}
			return faulty.None
		})
		status := d.post(move("1", ines, other, 0)).Status
		d.net.Reset()
		d.posted(move("1", ines, other, 0))
		if !d.silenced("+"+ines) || d.silenced("+"+other) {
			t.Errorf("call %d: silenced %v, the new one %v", n, d.silenced("+"+ines), d.silenced("+"+other))
		}
		if status == 200 {
			break
		}
	}
}

// Whoever is given a number that somebody has left proves nothing by holding it:
// what stands under the number, and under all that it was tied to, is not theirs.
func TestPost_numberLeftProvesNothing(t *testing.T) {
	t.Parallel()
	const former, heir, other = "FR.former", "FR.heir", "33600000007"
	for name, tt := range map[string]struct {
		then   []string // words of the heir after the move, with the number
		as     string   // and with this user id; "": only the number is in the post
		hidden bool     // and they ask a month and a half later, without the number
	}{
		"at once":                        {},
		"silence lifted":                 {then: []string{"START"}, as: heir},
		"known by the number alone":      {then: []string{"STOP"}},
		"tied to the number, and hidden": {then: []string{"STOP"}, as: heir, hidden: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDoor(t)
			by := func(user, post string) string {
				return strings.Replace(post, `"from":"`+ines+`"`, `"from":"`+ines+`","from_user_id":"`+user+`"`, 1)
			}
			d.posted(by(former, says("1", "my data", 0)))
			asked := d.outgoing("+" + ines)[chat.Prove][0].About
			d.posted(change("messages", fmt.Sprintf(`"messages":[{"from":"%s","id":"wamid.2","timestamp":"%d","type":"system","system":{"wa_id":"%s","type":"user_changed_number"}}]`, ines, noon.Unix()+1, other)))
			before := len(d.ledger(former))
			for i, word := range tt.then {
				d.now = d.now.Add(time.Minute)
				post := says(fmt.Sprint("3", i), word, 60+i)
				if tt.as != "" {
					post = by(tt.as, post)
				}
				d.posted(post)
			}
			last := says("4", "my data", 120)
			if tt.hidden {
				d.now = d.now.Add(45 * 24 * time.Hour)
				last = strings.Replace(says("4", "my data", 45*86400), `"from":"`+ines+`"`, `"from_user_id":"`+heir+`"`, 1)
				last = strings.Replace(last, `"wa_id":"`+ines+`"`, `"user_id":"`+heir+`"`, 1)
			}
			d.posted(last)
			d.posted(presses("5", chat.ProvePayload(asked), 130))
			if r, err := d.requests.Get(t.Context(), asked); err != nil || r.Identity.Proven() {
				t.Errorf("the heir has confirmed what the former holder has asked: %+v, %v", r, err)
			}
			address := "+" + ines
			if tt.hidden {
				address = heir
			}
			var id string
			for _, o := range d.outgoing(address)[chat.Left] {
				id = cmp.Or(id, o.About)
			}
			if questions := len(d.outgoing(address)[chat.Prove]); id == "" || !tt.hidden && questions != 1 || tt.hidden && questions != 0 {
				t.Fatalf("request %q, %d questions with a button", id, questions)
			}
			r, err := d.requests.Get(t.Context(), id)
			if err != nil || r.State != request.WaitingIdentity {
				t.Errorf("%+v, %v", r, err)
			}
			known, err := d.requests.Known(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range known {
				if k.Kind != identity.Phone || k.Trust != identity.Claimed {
					t.Errorf("%s, %s: it leads to the former holder", k.Kind, k.Trust)
				}
			}
			d.posted(by(former, strings.ReplaceAll(presses("6", chat.ProvePayload(id), 140), ines, other)))
			if r, err := d.requests.Get(t.Context(), id); err != nil || r.Identity.Proven() {
				t.Errorf("%+v, %v", r, err)
			}
			if n := len(d.ledger(former)); n != before {
				t.Errorf("%d events more with the former holder", n-before)
			}
		})
	}
}

// A clock that is ahead of ours, and posts that come weeks late, are no reason to
// lose a no.
func TestPost_clocks(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]int{"ahead": 3600, "weeks late": -60 * 86400} {
		d := newDoor(t)
		d.posted(says("1", "STOP", at))
		if len(d.ledger("+"+ines)) != 1 || !d.silenced("+"+ines) {
			t.Errorf("%s: %d events", name, len(d.ledger("+"+ines)))
		}
	}
}
