package fake_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/whatsapp/fake"
)

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

const ines = "+33655000101"

func platform(o fake.Options) *fake.Server {
	o.Now = func() time.Time { return start }
	return fake.New(o)
}

// ask makes a call and returns its status, the error's code and the body.
func ask(t *testing.T, s *fake.Server, method, path, body string) (status, code int, answer string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+fake.Token)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var e struct {
		Error struct {
			Code int `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(w.Body.Bytes(), &e)
	return w.Code, e.Error.Code, w.Body.String()
}

const (
	messages = "/" + fake.Version + "/" + fake.NumberID + "/messages"
	text     = `{"messaging_product":"whatsapp","to":"+33655000101","type":"text","text":{"body":"hello"}}`
	offer    = `{"messaging_product":"whatsapp","to":"+33655000101","type":"template","template":{"name":"offer","language":{"code":"fr"},"components":[{"type":"body","parameters":[{"type":"text","text":"chairs"}]}]}}`
)

func TestSend_refusals(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body string
		code int
	}{
		"window closed":                {text, 131047},
		"no such person":               {strings.Replace(offer, "33655000101", "33999999999", 1), 131026},
		"no such template":             {strings.Replace(offer, `"offer"`, `"other"`, 1), 132001},
		"no such language":             {strings.Replace(offer, `"fr"`, `"de"`, 1), 132001},
		"not approved yet":             {strings.Replace(offer, `"offer"`, `"offer_draft"`, 1), 132001},
		"paused":                       {strings.Replace(offer, `"offer"`, `"offer_tired"`, 1), 132015},
		"a parameter is missing":       {strings.Replace(offer, `{"type":"text","text":"chairs"}`, ``, 1), 132000},
		"a parameter of another form":  {strings.Replace(offer, `"type":"text","text":"chairs"`, `"type":"currency"`, 1), 132012},
		"a button that is not there":   {strings.Replace(offer, `"components":[`, `"components":[{"type":"button","sub_type":"quick_reply","index":"0","parameters":[{"type":"payload","payload":"x"}]},`, 1), 132012},
		"two lines in a parameter":     {strings.Replace(offer, "chairs", `a\nb`, 1), 100},
		"a parameter that is too long": {strings.Replace(offer, "chairs", strings.Repeat("x", 1024), 1), 132005},
		"another product":              {strings.Replace(text, "whatsapp", "messenger", 1), 100},
		"a type that is not supported": {strings.Replace(text, `"type":"text"`, `"type":"fax"`, 1), 131051},
		"no JSON":                      {"x", 100},
	} {
		s := platform(fake.Options{})
		if status, code, body := ask(t, s, "POST", messages, tt.body); code != tt.code || status < 400 {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if len(s.Inbox(ines)) != 0 {
			t.Errorf("%s: it was sent", name)
		}
	}
	s := platform(fake.Options{})
	if _, code, _ := ask(t, s, "POST", strings.Replace(messages, fake.NumberID, "1", 1), offer); code != 100 {
		t.Errorf("another number: %d", code)
	}
	s.SetToken("another")
	if status, code, _ := ask(t, s, "POST", messages, offer); status != 401 || code != 190 {
		t.Errorf("another token: %d %d", status, code)
	}
}

// The window opens with a message of the person's and lasts a day.
func TestSend_window(t *testing.T) {
	t.Parallel()
	s := platform(fake.Options{})
	s.Write(ines, "hi")
	s.Advance(24*time.Hour - time.Second)
	if status, _, body := ask(t, s, "POST", messages, text); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	s.Advance(time.Second)
	if _, code, _ := ask(t, s, "POST", messages, text); code != 131047 {
		t.Errorf("%d", code)
	}
}

// 45 at once, then one each six seconds.
func TestSend_pairRate(t *testing.T) {
	t.Parallel()
	s := platform(fake.Options{})
	for i := range 46 {
		if _, code, _ := ask(t, s, "POST", messages, offer); (code == 131056) != (i == 45) {
			t.Fatalf("message %d: %d", i+1, code)
		}
	}
	s.Advance(6 * time.Second)
	for i := range 2 {
		if _, code, _ := ask(t, s, "POST", messages, offer); (code == 131056) != (i == 1) {
			t.Errorf("after a pause, message %d: %d", i+1, code)
		}
	}
}

func TestSend_perSecond(t *testing.T) {
	t.Parallel()
	s := platform(fake.Options{PerSecond: 2})
	for i := range 3 {
		if status, code, _ := ask(t, s, "POST", messages, offer); (status == 429) != (i == 2) || (code == 130429) != (i == 2) {
			t.Errorf("message %d: %d %d", i+1, status, code)
		}
	}
}

// Who has opted out of marketing gets none: refused at once, or reported.
func TestSend_optedOut(t *testing.T) {
	t.Parallel()
	direct := platform(fake.Options{Direct: true})
	direct.Prefer(ines, true)
	if _, code, _ := ask(t, direct, "POST", messages, offer); code != 131050 || len(direct.Inbox(ines)) != 0 {
		t.Errorf("%d", code)
	}
	var posts []string
	s := platform(fake.Options{Post: func(body []byte, _ string) int { posts = append(posts, string(body)); return 200 }})
	s.Prefer(ines, true)
	if status, _, body := ask(t, s, "POST", messages, offer); status != 200 || len(s.Inbox(ines)) != 0 {
		t.Errorf("%d %s", status, body)
	}
	s.Deliver()
	if all := strings.Join(posts, ""); !strings.Contains(all, "131050") || strings.Contains(all, `"sent"`) {
		t.Errorf("%s", all)
	}
}

// Posts are signed over their bytes, come in batches and twice, and those that
// nobody takes come again.
func TestDeliver(t *testing.T) {
	t.Parallel()
	type post struct {
		body, signature string
	}
	var posts []post
	answer := 500
	s := platform(fake.Options{Post: func(body []byte, signature string) int {
		posts = append(posts, post{string(body), signature})
		return answer
	}})
	s.Write(ines, "Désabonner / 🙏 @")
	s.Write(ines, "two")
	s.Deliver()
	if len(posts) != 1 || s.Waiting() != 2 {
		t.Fatalf("%d posts, %d waiting", len(posts), s.Waiting())
	}
	answer = 200
	s.Deliver()
	if len(posts) != 3 || posts[1] != posts[2] || s.Waiting() != 0 {
		t.Fatalf("%d posts, %d waiting", len(posts), s.Waiting())
	}
	p := posts[1]
	mac := hmac.New(sha256.New, []byte(fake.AppSecret))
	mac.Write([]byte(p.body))
	if p.signature != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		t.Error("the signature is not that of the bytes")
	}
	for _, c := range p.body {
		if c > 0x7e || c == '@' {
			t.Errorf("%q is not escaped", c)
		}
	}
	var v struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Messages []struct {
						Text struct{ Body string }
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(p.body), &v); err != nil {
		t.Fatal(err)
	}
	if c := v.Entry[0].Changes; len(c) != 2 || c[0].Value.Messages[0].Text.Body != "two" || c[1].Value.Messages[0].Text.Body != "Désabonner / 🙏 @" {
		t.Errorf("%+v", c)
	}
}

// A person's acts over HTTP: what the demo and people at a terminal use.
func TestPeople(t *testing.T) {
	t.Parallel()
	var posts []string
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			if r.URL.Query().Get("hub.verify_token") == fake.VerifyToken {
				_, _ = io.WriteString(w, r.URL.Query().Get("hub.challenge"))
			}
			return
		}
		body, _ := io.ReadAll(r.Body)
		posts = append(posts, string(body))
	}))
	defer hook.Close()
	s := platform(fake.Options{})
	if s.Subscribe(hook.URL + "/%zz") {
		t.Error("an address that is none")
	}
	for _, call := range [][2]string{
		{"write", `{"from":"` + ines + `","text":"hi"}`}, {"write", `{"from":"` + ines + `","text":"a picture","type":"image"}`}, {"prefer", `{"from":"` + ines + `","stop":true}`},
		{"hide", `{"from":"` + ines + `","hide":true}`}, {"move", `{"from":"` + ines + `","to":"+33600000099"}`},
	} {
		if status, _, _ := ask(t, s, "POST", "/_fake/"+call[0], call[1]); status != 204 {
			t.Errorf("%s: %d", call[0], status)
		}
	}
	for _, call := range [][2]string{{"write", `{"from":"+1"}`}, {"write", "x"}, {"press", `{"from":"+33600000099","label":"none"}`}, {"move", `{"from":"+33600000099","to":"+33600000099"}`}, {"subscribe", `{"address":"http://127.0.0.1:1/"}`}} {
		if status, _, _ := ask(t, s, "POST", "/_fake/"+call[0], call[1]); status != 400 {
			t.Errorf("%s %s: %d", call[0], call[1], status)
		}
	}
	if !s.Subscribe(hook.URL) {
		t.Fatal("the check has failed")
	}
	s.Deliver()
	all := strings.Join(posts, "\n")
	for _, want := range []string{"user_changed_number", "user_preferences", `"stop"`, `"image"`} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in the posts", want)
		}
	}
}

func TestMedia(t *testing.T) {
	t.Parallel()
	s := platform(fake.Options{})
	s.Send(ines, "image", "picture")
	const media = "/" + fake.Version + "/1001"
	status, _, body := ask(t, s, "GET", media, "")
	var m struct{ URL string }
	if status != 200 || json.Unmarshal([]byte(body), &m) != nil || !strings.HasPrefix(m.URL, "https://lookaside.fbsbx.com/") {
		t.Fatalf("%d %s", status, body)
	}
	path := strings.TrimPrefix(m.URL, "https://lookaside.fbsbx.com")
	if status, _, body := ask(t, s, "GET", path, ""); status != 200 || body != "picture" {
		t.Errorf("%d %s", status, body)
	}
	s.Advance(5 * time.Minute)
	if status, _, _ := ask(t, s, "GET", path, ""); status != 404 {
		t.Errorf("the address is over: %d", status)
	}
	for i, want := range []int{200, 400} {
		if status, _, _ := ask(t, s, "DELETE", media, ""); status != want {
			t.Errorf("delete %d: %d", i, status)
		}
	}
	s.Send(ines, "image", "another")
	s.Advance(30 * 24 * time.Hour)
	if status, _, _ := ask(t, s, "GET", "/"+fake.Version+"/1004", ""); status != 400 {
		t.Errorf("Meta keeps a file for 30 days: %d", status)
	}
}

func TestBlock(t *testing.T) {
	t.Parallel()
	s := platform(fake.Options{})
	const list = "/" + fake.Version + "/" + fake.NumberID + "/block_users"
	const who = `{"messaging_product":"whatsapp","block_users":[{"user":"` + ines + `"}]}`
	if _, code, _ := ask(t, s, "POST", list, who); code != 139100 {
		t.Errorf("who has not written: %d", code)
	}
	s.Write(ines, "hi")
	if status, _, _ := ask(t, s, "POST", list, who); status != 200 {
		t.Errorf("%d", status)
	}
	if _, code, _ := ask(t, s, "POST", messages, text); code != 131026 || s.Write(ines, "hi") {
		t.Errorf("blocked, and yet they talk: %d", code)
	}
	if _, _, body := ask(t, s, "GET", list, ""); !strings.Contains(body, strings.TrimPrefix(ines, "+")) {
		t.Error(body)
	}
	if status, _, _ := ask(t, s, "DELETE", list, who); status != 200 || !s.Write(ines, "hi") {
		t.Errorf("%d", status)
	}
}

func TestSave(t *testing.T) {
	t.Parallel()
	s := platform(fake.Options{})
	s.Write(ines, "hi")
	s.Send(ines, "image", "x")
	kept, err := s.Save()
	if err != nil {
		t.Fatal(err)
	}
	other := fake.New(fake.Options{Empty: true, Options: fakekit.Options{Now: func() time.Time { return start }}})
	if err := other.Restore(kept); err != nil {
		t.Fatal(err)
	}
	again, err := other.Save()
	if err != nil || !bytes.Equal(kept, again) || other.Waiting() != 2 {
		t.Errorf("%v, %d waiting", err, other.Waiting())
	}
}
