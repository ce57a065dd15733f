package whatsapp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/connector/whatsapp"
	"github.com/avow-consent/avow/internal/connector/whatsapp/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

var start = time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)

const (
	ines   = redact.String("+33655000101")
	nobody = redact.String("+33999999999")
	conf   = `{"phone_number_id":"106540352242922","account_id":"419561257915477","site":"shop","privacy_url":"https://shop.example/privacy"}`
)

// world is the platform with a client of it.
type world struct {
	*fake.Server
	client *whatsapp.Client
	secret string
	wire   *wire
}

// wire remembers what goes over it.
type wire struct {
	next http.RoundTripper

	mu    sync.Mutex
	calls []exchange
}

type exchange struct {
	what           string // "POST /messages"
	status         int
	request, reply any
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	answer, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	got, _ := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(got))
	x := exchange{what: r.Method + " " + r.URL.Path, status: answer.StatusCode}
	_ = json.Unmarshal(sent, &x.request)
	_ = json.Unmarshal(got, &x.reply)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, x)
	return answer, nil
}

func newWorld(t testing.TB, o fake.Options) *world {
	t.Helper()
	if o.Now == nil {
		o.Options = fakekit.Options{Now: func() time.Time { return start }}
	}
	w := &world{Server: fake.New(o), secret: `{"access_token":"` + fake.Token + `"}`}
	w.wire = &wire{next: conformance.Local(w.Server)}
	var err error
	if w.client, err = whatsapp.NewClient(w.system(w.wire)); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) system(transport http.RoundTripper) kit.System {
	return kit.System{
		Inventory: connector.Inventory{System: "whatsapp", Kind: whatsapp.Kind}, Config: json.RawMessage(conf),
		Secret: func(context.Context) ([]byte, error) { return []byte(w.secret), nil }, Now: w.Now, Transport: transport,
		Kit: kit.Options{Sleep: func(context.Context, time.Duration) error { return nil }, Random: func() float64 { return 0 }},
	}
}

func offer() whatsapp.Template {
	return whatsapp.Template{Name: "offer", Code: "fr", Body: []string{"chairs"}}
}

func invitation() whatsapp.Template {
	return whatsapp.Template{Name: "avow_invitation", Code: "fr", Body: []string{"Shop", "offers", "https://shop.example/privacy"}, Payloads: []string{"token.yes", "token.no"}}
}

func TestSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fake.Options{})
	sent, err := w.client.SendTemplate(t.Context(), ines, invitation())
	if err != nil || !strings.HasPrefix(sent.ID.Reveal(), "wamid.") {
		t.Fatalf("%v, %v", sent, err)
	}
	got := w.Inbox(ines.Reveal())[0]
	if got.Text != "Shop souhaite vous envoyer sur WhatsApp : offers. Êtes-vous d'accord ? Vous pouvez arrêter à tout moment en répondant STOP. Confidentialité : https://shop.example/privacy" ||
		!slices.Equal(got.Payloads, []string{"token.yes", "token.no"}) || got.ID != sent.ID.Reveal() {
		t.Errorf("%+v", got)
	}
	w.Write(ines.Reveal(), "hi")
	if _, err := w.client.SendText(t.Context(), ines, "hello"); err != nil {
		t.Error(err)
	}
	if _, err := w.client.SendText(t.Context(), "FR.1001x", "sure?", whatsapp.Button{Payload: "a:1", Label: "Yes"}, whatsapp.Button{Payload: "b:1", Label: "No"}); err != nil {
		t.Error(err)
	}
	if got := w.Inbox(ines.Reveal()); len(got) != 3 || got[1].Text != "hello" || !slices.Equal(got[2].Payloads, []string{"a:1", "b:1"}) {
		t.Errorf("%+v", got)
	}
}

// Each refusal is what it is: never again, later, or a matter for a person.
func TestSend_refused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		set  func(*world)
		send func(*world) error
		code string
		kind errs.Kind
	}{
		"window closed": {nil, func(w *world) error { _, err := w.client.SendText(t.Context(), ines, "hello"); return err }, whatsapp.WindowClosed, ""},
		"unreachable":   {nil, func(w *world) error { _, err := w.client.SendTemplate(t.Context(), nobody, offer()); return err }, whatsapp.Unreachable, ""},
		"131050":        {func(w *world) { w.Prefer(ines.Reveal(), true) }, func(w *world) error { _, err := w.client.SendTemplate(t.Context(), ines, offer()); return err }, whatsapp.OptedOut, ""},
		"no template": {nil, func(w *world) error {
			_, err := w.client.SendTemplate(t.Context(), ines, whatsapp.Template{Name: "offer", Code: "de"})
			return err
		}, "132001", ""},
		"wrong token": {func(w *world) { w.SetToken("another") }, func(w *world) error { _, err := w.client.SendTemplate(t.Context(), ines, offer()); return err }, "", errs.Forbidden},
		"limited":     {func(w *world) { w.Fail(fakekit.Failure{Status: 429}) }, func(w *world) error { _, err := w.client.SendTemplate(t.Context(), ines, offer()); return err }, "", errs.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, fake.Options{Direct: true})
			if tt.set != nil {
				tt.set(w)
			}
			err := tt.send(w)
			var refused *whatsapp.Refusal
			if errors.As(err, &refused) != (tt.code != "") || refused != nil && refused.Code != tt.code || tt.kind != "" && !errs.Is(err, tt.kind) {
				t.Errorf("%v", err)
			}
			if tt.code == "" && !kit.Unapplied(err) {
				t.Errorf("surely not sent, and not said so: %v", err)
			}
			if strings.Contains(fmt.Sprint(err), "336") || len(w.Inbox(ines.Reveal())) != 0 {
				t.Errorf("%v", err)
			}
		})
	}
}

// A message whose answer was lost is not sent again, and is known for one that
// may have gone out.
func TestSend_lostReply(t *testing.T) {
	t.Parallel()
	for _, f := range []fakekit.Failure{{Status: 500, Applied: true}, {Status: 503, Applied: true, HTML: true}, {Status: 200, Applied: true, HTML: true}} {
		w := newWorld(t, fake.Options{})
		w.Fail(f)
		_, err := w.client.SendTemplate(t.Context(), ines, offer())
		if err == nil || kit.Unapplied(err) || len(w.Inbox(ines.Reveal())) != 1 {
			t.Errorf("%+v: %v, %d messages", f, err, len(w.Inbox(ines.Reveal())))
		}
	}
}

// A client that waits as long as it is told never sends more than the pair's rate
// takes.
func TestSend_pairRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fake.Options{})
	refused := 0
	for i, failures := 0, 0; i < 60; {
		_, err := w.client.SendTemplate(t.Context(), ines, offer())
		if err == nil {
			i, failures = i+1, 0
			continue
		}
		if !errs.Is(err, errs.Unavailable) || !kit.Unapplied(err) {
			t.Fatal(err)
		}
		refused++
		w.Advance(whatsapp.Later(err, failures))
		failures++
	}
	if n := len(w.Inbox(ines.Reveal())); n != 60 || refused > 15 {
		t.Errorf("%d messages, %d refusals", n, refused)
	}
}

func TestLater(t *testing.T) {
	t.Parallel()
	told := connector.Later(20*time.Minute, errs.New(errs.Unavailable, "x"))
	for n, want := range map[int]time.Duration{0: 20 * time.Minute, 6: time.Hour, 100: time.Hour} {
		if got := whatsapp.Later(told, n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for n, want := range []time.Duration{time.Second, 4 * time.Second, 16 * time.Second} {
		if got := whatsapp.Later(errs.New(errs.Unavailable, "x"), n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestMedia(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fake.Options{})
	w.Send(ines.Reveal(), "image", "picture")
	f, err := w.client.Media(t.Context(), "1001")
	if err != nil || f.MediaType != "image/png" {
		t.Fatalf("%+v, %v", f, err)
	}
	r, err := w.client.Open(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	r.Close()
	if err != nil || string(text) != "picture" {
		t.Errorf("%q, %v", text, err)
	}
	for i, want := range []bool{true, false} {
		if was, err := w.client.DeleteMedia(t.Context(), "1001"); was != want || err != nil {
			t.Errorf("%d: %v, %v", i, was, err)
		}
	}
	if _, err := w.client.Media(t.Context(), "1001"); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
	before := len(w.Calls())
	for _, id := range []redact.String{"", " ", "..", "."} { // DELETE of nothing might mean everything
		if _, err := w.client.DeleteMedia(t.Context(), id); err == nil {
			t.Errorf("%q", id.Reveal())
		}
	}
	if len(w.Calls()) != before {
		t.Error("it was called")
	}
}

// Credentials go to Meta's own hosts only.
func TestOpen_elsewhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fake.Options{})
	for _, url := range []string{"https://evil.example/file", "https://lookaside.fbsbx.com.evil.example/x", "http://169.254.169.254/latest", "://"} {
		var seen string
		client, err := whatsapp.NewClient(w.system(spy(func(r *http.Request) (*http.Response, error) {
			seen = r.Header.Get("Authorization")
			return nil, io.ErrUnexpectedEOF
		})))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Open(t.Context(), whatsapp.File{URL: url}); err == nil || seen != "" {
			t.Errorf("%s: %v, with %q", url, err, seen)
		}
	}
}

type spy func(*http.Request) (*http.Response, error)

func (s spy) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

func TestBlock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fake.Options{})
	if ok, err := w.client.Block(t.Context(), ines); ok || err != nil {
		t.Errorf("who has not written: %v, %v", ok, err)
	}
	for _, who := range []string{ines.Reveal(), "+33655001003", "+33655001004", "+33655001005", "+33655001006"} {
		w.Write(who, "hi")
		for range 2 {
			if ok, err := w.client.Block(t.Context(), redact.String(who)); !ok || err != nil {
				t.Errorf("%v, %v", ok, err)
			}
		}
	}
	for who, want := range map[redact.String]bool{ines: true, "+33655001006": true, "+33655001007": false} {
		if got, err := w.client.Blocked(t.Context(), who); got != want || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	}
}

// An answer of 200 that does not name the person has not blocked them.
func TestBlock_leftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fake.Options{})
	for _, body := range []string{`{"messaging_product":"whatsapp","block_users":{"failed_users":[{"input":"+33655000101","wa_id":"33655000101"}]}}`, `{"block_users":{"added_users":[{"wa_id":"33655000102"}]}}`, `{}`} {
		client, err := whatsapp.NewClient(w.system(spy(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
		})))
		if err != nil {
			t.Fatal(err)
		}
		if taken, err := client.Block(t.Context(), ines); taken || err != nil {
			t.Errorf("%s: %v, %v", body, taken, err)
		}
	}
}

func TestLinksNotice(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]fake.Options{"as in the contract": {}, "flat": {Flat: true}} {
		w := newWorld(t, o)
		if ok, err := w.client.LinksNotice(t.Context()); !ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
		w.client.PrivacyURL = "https://shop.example/other"
		if ok, err := w.client.LinksNotice(t.Context()); ok || err != nil {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

// A search finds parts of names, so what is looked for may stand on any page.
func TestTemplate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fake.Options{})
	for what, want := range map[[2]string]whatsapp.TemplateState{
		{"offer", "fr"}: {Approved: true, Stops: true}, {"offer_button", "fr"}: {Approved: true, Stops: true}, {"offer_endless", "fr"}: {Approved: true},
		{"offer", "de"}: {}, {"offer_draft", "fr"}: {}, {"off", "fr"}: {},
	} {
		if got, err := w.client.Template(t.Context(), what[0], what[1]); got != want || err != nil {
			t.Errorf("%v: %+v, %v", what, got, err)
		}
	}
}

// A replaced token works at once, and a secret that is none is a matter for a person.
func TestClient_credentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fake.Options{})
	w.SetToken("new")
	if _, err := w.client.SendTemplate(t.Context(), ines, offer()); !errs.Is(err, errs.Forbidden) {
		t.Errorf("%v", err)
	}
	w.secret = `{"access_token":"new"}`
	if _, err := w.client.SendTemplate(t.Context(), ines, offer()); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{"", "new", `{"access_token":""}`, `{"access_token":"a\nb"}`, `{"client_id":"x"}`} {
		w.secret = secret
		if _, err := w.client.SendTemplate(t.Context(), ines, offer()); !errs.Is(err, errs.Forbidden) || secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

func TestParseConfig_refuses(t *testing.T) {
	t.Parallel()
	const good = `{"template":"t","version":"1","languages":{"fr":{"code":"fr","body":"{{1}} {{2}} {{3}} STOP","yes":"Oui","no":"Non"}}}`
	with := func(old, fresh string) string { return strings.Replace(conf, old, fresh, 1) }
	invite := func(old, fresh string) string {
		return strings.TrimSuffix(conf, "}") + `,"invitation":` + strings.Replace(good, old, fresh, 1) + `}`
	}
	const fine = `{"template":"a","version":"1","languages":{"fr":{"code":"fr","body":"{{1}} {{2}} {{3}}"}}}`
	answer := func(old, fresh string) string {
		return strings.TrimSuffix(conf, "}") + `,"answer":` + strings.Replace(fine, old, fresh, 1) + `}`
	}
	for _, text := range []string{invite("", ""), answer("", "")} {
		if _, err := whatsapp.ParseConfig("whatsapp", json.RawMessage(text)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"no number": with(`"phone_number_id":"106540352242922",`, ""), "a number with signs": with("106540352242922", "+1555"), "no account": with(`"account_id":"419561257915477",`, ""),
		"no site": with(`"site":"shop",`, ""), "no notice": with(`,"privacy_url":"https://shop.example/privacy"`, ""), "a notice without https": with("https://", "http://"),
		"an unknown key": with(`"site"`, `"sites":1,"site"`), "another version": with(`"site"`, `"version":"latest","site"`), "days": with(`"site"`, `"metadata_days":-1,"site"`),
		"a language": with(`"site"`, `"language":"French","site"`), "a template's name": invite(`"t"`, `"T T"`), "no version": invite(`"1"`, `""`), "no languages": invite(`"fr":{`, `"x":{`),
		"no way to stop": invite("STOP", ""), "no notice in the wording": invite("{{3}}", ""), "one button": invite("Non", "Oui"), "no button": invite("Non", ""), "a code": invite(`"code":"fr"`, `"code":"french"`),
		"an answer's name": answer(`"a"`, `""`), "an answer's version": answer(`"1"`, `" "`), "an answer without languages": answer(`"fr":{"code":"fr","body":"{{1}} {{2}} {{3}}"}`, ""),
		"an answer's code": answer(`"code":"fr"`, `"code":"FR"`), "an answer without its reference": answer("{{2}}", ""), "an answer that says it twice": answer("{{3}}", "{{3}} {{3}}"),
		"an answer that is too long": answer("{{1}}", "{{1}}"+strings.Repeat("x", 1024)),
	} {
		if _, err := whatsapp.ParseConfig("whatsapp", json.RawMessage(text)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), `system "whatsapp"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shape is every path of a JSON value, "template.components[].type".
func shape(v any, at string, into map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, one := range v {
			shape(one, at+"."+name, into)
		}
	case []any:
		for _, one := range v {
			shape(one, at+"[]", into)
		}
	default:
		into[at] = true
	}
}

// The contract's schemas refuse Meta's own samples, so what the client sends and
// what the fake answers is held to the samples: no field that they do not have.
func TestContract(t *testing.T) {
	t.Parallel()
	var file struct {
		Sent   map[string]any `json:"send_request"`
		Answer map[string]any `json:"send_response"`
	}
	if err := json.Unmarshal(conformance.Spec(t, "whatsapp/whatsapp-examples-extracted.json"), &file); err != nil {
		t.Fatal(err)
	}
	spec := string(conformance.Spec(t, "whatsapp/meta-business-messaging-api_v23.0.yaml"))
	known := func(samples map[string]any, more ...string) map[string]bool {
		all := map[string]bool{}
		for _, s := range samples {
			shape(s, "", all)
		}
		for _, m := range more {
			all[m] = true
		}
		return all
	}
	// The samples of the extract have no button; the contract has (line 12921). An
	// answer may say what became of the message. A user id is younger than it all.
	button := ".template.components[]"
	for _, needed := range []string{"sub_type: quick_reply", "payload: aGlzIHRoaXMgaXMgY29v", "index: '0'"} {
		if !strings.Contains(spec, needed) {
			t.Errorf("the contract has no %q", needed)
		}
	}
	requests := known(file.Sent, button+".sub_type", button+".index", button+".parameters[].payload")
	answers := known(file.Answer, ".messages[].message_status")
	w := newWorld(t, fake.Options{})
	w.Write(ines.Reveal(), "hi")
	w.Send(ines.Reveal(), "image", "x")
	for _, send := range []func() error{
		func() error { _, err := w.client.SendTemplate(t.Context(), ines, invitation()); return err },
		func() error { _, err := w.client.SendText(t.Context(), ines, "a"); return err },
		func() error {
			_, err := w.client.SendText(t.Context(), ines, "a", whatsapp.Button{Payload: "a", Label: "b"})
			return err
		},
	} {
		if err := send(); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = w.client.Block(t.Context(), ines)
	_, _ = w.client.Blocked(t.Context(), ines)
	_, _ = w.client.LinksNotice(t.Context())
	_, _ = w.client.Template(t.Context(), "offer", "fr")
	_, _ = w.client.Media(t.Context(), "1002")
	_, _ = w.client.DeleteMedia(t.Context(), "1002")
	routes := map[string]bool{}
	for _, x := range w.wire.calls {
		method, path, _ := strings.Cut(x.what, " ")
		parts := strings.Split(strings.TrimPrefix(path, "/"+fake.Version+"/"), "/")
		switch parts[0] {
		case fake.NumberID:
			parts[0] = "{Phone-Number-ID}"
		case fake.AccountID:
			parts[0] = "{WABA-ID}"
		default:
			parts[0] = "{Media-ID}"
		}
		route := "/{Version}/" + strings.Join(parts, "/")
		routes[method+" "+route] = true
		_, block, found := strings.Cut(spec, "\n  "+route+":\n")
		block, _, _ = strings.Cut("\n"+block, "\n  /{")
		if !found || !strings.Contains(block, "\n    "+strings.ToLower(method)+":\n") {
			t.Errorf("the contract has no %s %s", method, route)
		}
		if x.status != 200 {
			t.Errorf("%s: %d", x.what, x.status)
		}
		if !strings.HasSuffix(route, "/messages") {
			continue
		}
		for side, pair := range map[string][2]map[string]bool{"request": {shapes(x.request), requests}, "answer": {shapes(x.reply), answers}} {
			for path := range pair[0] {
				if !pair[1][path] {
					t.Errorf("%s: the %s has %s, which no sample has", x.what, side, path)
				}
			}
		}
	}
	if len(routes) != 7 {
		t.Errorf("%v", slices.Sorted(maps.Keys(routes)))
	}
}

func shapes(v any) map[string]bool {
	all := map[string]bool{}
	shape(v, "", all)
	return all
}
