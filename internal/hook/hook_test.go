package hook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/hook"
	"github.com/avow-consent/avow/internal/redact"
)

const appSecret = "an app's secret"

func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// The signature is that of the bytes: Meta's escapes are part of them.
func TestSigned(t *testing.T) {
	t.Parallel()
	body := []byte(`{"text":"d\u00e9sabonner ines@example.test \u0040"}`)
	again, err := json.Marshal(json.RawMessage(body))
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	rewritten, err := json.Marshal(v)
	if err != nil || string(rewritten) == string(body) {
		t.Fatal("the sample has no escapes")
	}
	good := sign(appSecret, body)
	for name, tt := range map[string]struct {
		secret string
		body   []byte
		header string
		want   bool
	}{
		"raw body with unicode and @":    {appSecret, body, good, true},
		"the same bytes":                 {appSecret, again, good, true},
		"hex in upper case":              {appSecret, body, "sha256=" + strings.ToUpper(good[7:]), true},
		"parsed and written again":       {appSecret, rewritten, good, false},
		"wrong key":                      {appSecret, body, sign("the verify token", body), false},
		"missing prefix":                 {appSecret, body, good[7:], false},
		"another prefix":                 {appSecret, body, "sha1=" + good[7:], false},
		"no header":                      {appSecret, body, "", false},
		"cut off":                        {appSecret, body, good[:20], false},
		"no hex":                         {appSecret, body, "sha256=zz", false},
		"no secret is no key for anyone": {"", body, sign("", body), false},
		"one byte more":                  {appSecret, append([]byte(" "), body...), good, false},
	} {
		if got := hook.Signed([]byte(tt.secret), tt.body, tt.header); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	ask := func(mode, token, challenge string) url.Values {
		return url.Values{"hub.mode": {mode}, "hub.verify_token": {token}, "hub.challenge": {challenge}}
	}
	for name, tt := range map[string]struct {
		query url.Values
		token string
		want  string
	}{
		"subscribes":      {ask("subscribe", "secret", "1158201444"), "secret", "1158201444"},
		"another token":   {ask("subscribe", "Secret", "1158201444"), "secret", ""},
		"another mode":    {ask("unsubscribe", "secret", "1158201444"), "secret", ""},
		"no token is set": {ask("subscribe", "", "1158201444"), "", ""},
		"a script":        {ask("subscribe", "secret", "<script>"), "secret", ""},
		"nothing to say":  {ask("subscribe", "secret", ""), "secret", ""},
		"endless":         {ask("subscribe", "secret", strings.Repeat("1", 129)), "secret", ""},
		"no query":        {url.Values{}, "secret", ""},
	} {
		got, ok := hook.Challenge(tt.query, []byte(tt.token))
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
}

// post is a body with one change of messages.
func post(value string) []byte {
	return []byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550783881","phone_number_id":"106540352242922"},` + value + `}}]}]}`)
}

// one is the only message of a post.
func one(t *testing.T, body []byte) hook.Message {
	t.Helper()
	d, err := hook.Parse(body)
	if err != nil || d.Unread != 0 || len(d.Changes) != 1 || len(d.Changes[0].Messages) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	return d.Changes[0].Messages[0]
}

func TestParse_messages(t *testing.T) {
	t.Parallel()
	at := time.Unix(1749416383, 0).UTC()
	ines := hook.Person{Phone: "+16505551234"}
	message := func(rest string) []byte {
		return post(`"contacts":[{"profile":{"name":"Sheena Nelson"},"wa_id":"16505551234"}],"messages":[{"from":"16505551234","id":"wamid.1","timestamp":"1749416383",` + rest + `}]`)
	}
	for name, tt := range map[string]struct {
		body []byte
		want hook.Message
	}{
		"text":                      {message(`"type":"text","text":{"body":"arr\u00eat"}`), hook.Message{Type: "text", Text: "arrêt"}},
		"button":                    {message(`"type":"button","button":{"payload":"x.y","text":"Unsubscribe"},"context":{"from":"15550783881","id":"wamid.0"}`), hook.Message{Type: "button", Text: "Unsubscribe", Payload: "x.y", About: "wamid.0"}},
		"reply":                     {message(`"type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"yes","title":"Yes"}}`), hook.Message{Type: "interactive", Text: "Yes", Payload: "yes"}},
		"list":                      {message(`"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"a","title":"A","description":"b"}}`), hook.Message{Type: "interactive", Text: "A", Payload: "a"}},
		"image":                     {message(`"type":"image","image":{"caption":"my passport","id":"1003383421387256"}`), hook.Message{Type: "image", Media: "1003383421387256"}},
		"contacts, of other people": {message(`"type":"contacts","contacts":[{"phones":[{"wa_id":"19835552319"}]}]`), hook.Message{Type: "contacts"}},
		"a type of tomorrow":        {message(`"type":"hologram","hologram":[1]`), hook.Message{Type: "hologram"}},
		"a type that is no word":    {message(`"type":"Ines Martin"`), hook.Message{Type: "unknown"}},
		"number changed":            {post(`"messages":[{"from":"16505551234","id":"wamid.1","timestamp":"1749416383","type":"system","system":{"body":"User Sheena Nelson changed","wa_id":"12195555358","type":"user_changed_number"}}]`), hook.Message{Type: "system", Moved: hook.Person{Phone: "+12195555358"}}},
	} {
		tt.want.ID, tt.want.From, tt.want.At = "wamid.1", ines, at
		if diff := cmp.Diff(tt.want, one(t, tt.body), reveal); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A field of another shape than documented costs itself only.
func TestParse_otherShapes(t *testing.T) {
	t.Parallel()
	for _, other := range []string{
		`"timestamp":"soon"`, `"timestamp":null`, `"context":"wamid.0"`, `"context":{"id":7}`, `"system":[]`, `"image":"x"`, `"interactive":{"button_reply":1}`, `"from_user_id":{}`,
	} {
		got := one(t, post(`"contacts":[{"wa_id":"33600000001","user_id":1},"x"],"statuses":{},"messages":[{"from":"33600000001","id":"wamid.1","type":"text","text":{"body":"STOP"},`+other+`}]`))
		if got.ID != "wamid.1" || got.From.Phone != "+33600000001" || got.Text != "STOP" || !got.At.IsZero() {
			t.Errorf("%s: %+v", other, got)
		}
	}
}

// reveal compares what is masked.
var reveal = cmp.Transformer("reveal", func(s redact.String) string { return s.Reveal() })

// People whose number is hidden are known by their business-scoped id.
func TestParse_userIDWithoutNumber(t *testing.T) {
	t.Parallel()
	text := `"id":"wamid.1","timestamp":"1749416383","type":"text","text":{"body":"STOP"}`
	for name, tt := range map[string]struct {
		value string
		want  hook.Person
	}{
		"in the message":            {`"messages":[{"from_user_id":"FR.1A2b","` + text[1:] + `}]`, hook.Person{UserID: "FR.1A2b"}},
		"under its other name":      {`"messages":[{"user_id":"FR.1A2b","` + text[1:] + `}]`, hook.Person{UserID: "FR.1A2b"}},
		"in the only contact":       {`"contacts":[{"profile":{"name":"x"},"user_id":"FR.1A2b"}],"messages":[{` + text + `}]`, hook.Person{UserID: "FR.1A2b"}},
		"both":                      {`"contacts":[{"wa_id":"33600000001","user_id":"FR.1A2b"}],"messages":[{"from":"33600000001",` + text + `}]`, hook.Person{Phone: "+33600000001", UserID: "FR.1A2b"}},
		"another one's contact":     {`"contacts":[{"wa_id":"33600000002","user_id":"FR.9"}],"messages":[{"from":"33600000001",` + text + `}]`, hook.Person{Phone: "+33600000001"}},
		"number beside the id":      {`"contacts":[{"wa_id":"33600000001","user_id":"FR.1A2b"}],"messages":[{"from_user_id":"FR.1A2b","` + text[1:] + `}]`, hook.Person{Phone: "+33600000001", UserID: "FR.1A2b"}},
		"an id of another form":     {`"messages":[{"from":"33600000001","from_user_id":"../x","` + text[1:] + `}]`, hook.Person{Phone: "+33600000001"}},
		"a number that is no one's": {`"messages":[{"from":"12","from_user_id":"FR.1A2b","` + text[1:] + `}]`, hook.Person{UserID: "FR.1A2b"}},
	} {
		if diff := cmp.Diff(tt.want, one(t, post(tt.value)).From, reveal); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	d, err := hook.Parse(post(`"contacts":[{"user_id":"FR.1"},{"user_id":"FR.2"}],"messages":[{` + text + `}]`))
	if err != nil || d.Unread != 1 || len(d.Changes[0].Messages) != 0 {
		t.Errorf("nobody knows which of two has written: %+v, %v", d, err)
	}
}

// A choice made in WhatsApp itself comes in a field of its own, with a number as
// its time, and in an older form as a message of the system.
func TestParse_preferences(t *testing.T) {
	t.Parallel()
	want := []hook.Preference{{From: hook.Person{Phone: "+33600000001"}, Stop: true, At: time.Unix(1749416383, 0).UTC()}}
	for name, body := range map[string][]byte{
		"field":                []byte(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"user_preferences","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"2"},"contacts":[{"profile":{"name":"x"},"wa_id":"33600000001"}],"user_preferences":[{"wa_id":"33600000001","detail":"User requested to stop marketing messages","category":"marketing_messages","value":"stop","timestamp":1749416383}]}}]}]}`),
		"older, in the system": post(`"messages":[{"from":"33600000001","id":"wamid.1","timestamp":"1749416383","type":"system","system":{"type":"user_preference_changed","marketing":"stop"}}]`),
		"older, as a type":     post(`"messages":[{"from":"33600000001","id":"wamid.1","timestamp":"1749416383","type":"user_preference_changed","marketing":"stop"}]`),
	} {
		d, err := hook.Parse(body)
		if err != nil || d.Unread != 0 || len(d.Changes) != 1 {
			t.Errorf("%s: %+v, %v", name, d, err)
			continue
		}
		if diff := cmp.Diff(want, d.Changes[0].Preferences, reveal); diff != "" || len(d.Changes[0].Messages) != 0 {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestParse_statuses(t *testing.T) {
	t.Parallel()
	d, err := hook.Parse(post(`"statuses":[{"id":"wamid.1","status":"sent","timestamp":"1749416383","recipient_id":"33600000001","conversation":{"id":"c","origin":{"type":"utility"}},"pricing":{"billable":true}},
		{"id":"wamid.2","status":"failed","timestamp":"1749416384","recipient_id":"33600000002","errors":[{"code":131050,"title":"opted out"}]},
		{"id":"wamid.3","status":"vanished","timestamp":"1749416384","recipient_id":"33600000002"}]`))
	want := []hook.Status{
		{ID: "wamid.1", Value: "sent", At: time.Unix(1749416383, 0).UTC(), To: hook.Person{Phone: "+33600000001"}},
		{ID: "wamid.2", Value: "failed", At: time.Unix(1749416384, 0).UTC(), To: hook.Person{Phone: "+33600000002"}, Code: 131050},
	}
	if err != nil || d.Unread != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	if diff := cmp.Diff(want, d.Changes[0].Statuses, reveal); diff != "" {
		t.Error(diff)
	}
}

// Several changes in a post, one of a field nobody has asked for, one that is
// not as documented: the others are read.
func TestParse_severalChanges(t *testing.T) {
	t.Parallel()
	good := `{"field":"messages","value":{"metadata":{"phone_number_id":"%d"},"messages":[{"from":"3360000000%d","id":"wamid.%d","timestamp":"1749416383","type":"text","text":{"body":"x"}}]}}`
	body := `{"object":"whatsapp_business_account","entry":[{"changes":[` + fmt.Sprintf(good, 1, 1, 1) + `,{"field":"account_alerts","value":{"contacts":"none"}},{"field":"messages","value":{"messages":"none"}}]},
		{"changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"1"},"messages":[1,{"from":"33600000001"},{"from":"33600000001","id":"wamid.9","timestamp":"soon","type":"text"}]}},` + fmt.Sprintf(good, 2, 2, 2) + `]}]}`
	d, err := hook.Parse([]byte(body))
	if err != nil || len(d.Changes) != 3 || d.Unread != 3 {
		t.Fatalf("%+v, %v", d, err)
	}
	if d.Changes[0].Messages[0].ID != "wamid.1" || len(d.Changes[1].Messages) != 1 || d.Changes[2].Number != "2" || d.Changes[2].Messages[0].ID != "wamid.2" {
		t.Errorf("%+v", d.Changes)
	}
}

func TestParse_refuses(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty": "", "no JSON": "<html>", "a list": "[]", "a page": `{"object":"page","entry":[]}`, "an entry that is none": `{"object":"whatsapp_business_account","entry":{}}`,
	} {
		if d, err := hook.Parse([]byte(body)); !errs.Is(err, errs.Invalid) || len(d.Changes) != 0 {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// samples are the posts in Meta's own contract.
func samples(t testing.TB) map[string]json.RawMessage {
	var file struct {
		Inbound map[string]json.RawMessage `json:"webhook_inbound"`
	}
	if err := json.Unmarshal(conformance.Spec(t, "whatsapp/whatsapp-examples-extracted.json"), &file); err != nil {
		t.Fatal(err)
	}
	return file.Inbound
}

// Every sample of Meta's is read, and no name of a profile or contact with it.
func TestParse_samplesOfMeta(t *testing.T) {
	t.Parallel()
	all := samples(t)
	if len(all) < 16 {
		t.Fatalf("%d samples", len(all))
	}
	messages := 0
	for name, body := range all {
		d, err := hook.Parse(body)
		if err != nil || d.Unread != 0 {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
		for _, c := range d.Changes {
			for _, m := range c.Messages {
				messages++
				kept := fmt.Sprint(m.Text.Reveal(), m.Payload.Reveal(), m.From.Phone.Reveal(), m.Moved.Phone.Reveal(), m.Type)
				for _, dropped := range []string{"Sheena", "Taj Mahal", "Philz", "Gómez", "ctwa"} {
					if strings.Contains(kept, dropped) {
						t.Errorf("%s: %q is kept", name, dropped)
					}
				}
			}
		}
	}
	if messages < 13 {
		t.Errorf("%d messages in the samples", messages)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":{"messages":[{"from":"33600000001","id":"w","timestamp":"1","type":"text","text":{"body":"STOP"}}]}}]}]}`))
	f.Add(post(`"contacts":[{"user_id":"FR.1A2b"}],"messages":[{"id":"wamid.1","timestamp":"1749416383","type":"system","system":{"type":"user_changed_number","wa_id":"33600000009"}}]`))
	f.Add(post(`"statuses":[{"id":"wamid.1","status":"failed","timestamp":1,"recipient_id":"1","errors":[{"code":131050}]}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := hook.Parse(body)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%v", err)
			}
			return
		}
		for _, c := range d.Changes {
			for _, m := range c.Messages {
				if m.ID == "" || m.From.Key() == "" || m.Type == "" {
					t.Errorf("nobody could act on it")
				}
			}
			for _, p := range c.Preferences {
				if p.From.Key() == "" {
					t.Errorf("nobody's choice")
				}
			}
		}
	})
}

func FuzzSigned(f *testing.F) {
	f.Add([]byte("{}"), "sha256=00")
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		if hook.Signed([]byte(appSecret), body, header) && !strings.EqualFold(header, sign(appSecret, body)) {
			t.Errorf("%q is accepted", header)
		}
	})
}
