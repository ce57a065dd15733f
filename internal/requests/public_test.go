package requests_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/request"
)

const wish = `{"type":"access","email":"` + ines + `","name":"Inesita","message":"what Inesita writes","language":"fr","subject_id":"cust-planted-881"}`

// Whoever asks, and whatever is known of them, the answer is the same.
func TestPublic_sameAnswer(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	first := d.ask("public", "POST", "/public/requests", wish).want(202)
	if first.Body != `{"status":"received"}` {
		t.Errorf("%s", first.Body)
	}
	for n := range 5 { // the identifier may ask three times in a day
		d.from = fmt.Sprint("198.51.100.", n)
		again := d.ask("public", "POST", "/public/requests", wish).want(202)
		if again.Body != first.Body {
			t.Errorf("%s", again.Body)
		}
	}
	if n := len(d.mail.to(ines)); n != 3 {
		t.Errorf("%d mails, want 3", n)
	}
	// Mail that comes back, and a mail service that is down.
	d.from = "192.0.2.1"
	d.mail.fails = errs.Wrap(errs.Invalid, request.ErrNotTaken, "suppressed")
	d.ask("public", "POST", "/public/requests", strings.ReplaceAll(wish, ines, "gone@example.test")).want(202)
	d.mail.fails = fmt.Errorf("no answer")
	d.ask("public", "POST", "/public/requests", strings.ReplaceAll(wish, ines, "down@example.test")).want(202)
}

// One mailbox has as many spellings as somebody cares to invent.
func TestPublic_variants(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	variants := []string{"victim@b\u00fccher.example", "VICTIM@bu\u0308cher.example", " victim@XN--BCHER-KVA.example ", "victim+1@b\u00fccher.example", "victim+2+3@b\uff55\u0308cher.example", "victim@b\u00fccher\u3002example"}
	for n, email := range variants {
		d.from = fmt.Sprint("198.51.100.", n)
		body, err := json.Marshal(map[string]string{"type": "access", "email": email})
		if err != nil {
			t.Fatal(err)
		}
		d.ask("public", "POST", "/public/requests", string(body)).want(202)
	}
	if len(d.mail.sent) != 3 {
		t.Errorf("%d mails, want 3", len(d.mail.sent))
	}
	for _, email := range []string{
		"a@b.example,c@d.example", "a@b.example;c@d.example", "a@b.example\r\nBcc: c@d.example", "A <a@b.example>", "a(c)@b.example", `"a b"@b.example`,
		"a@b.example.", "a@[127.0.0.1]", "a@b@c.example", "a@b.example\u2028c", "%61@b.example",
	} {
		body, err := json.Marshal(map[string]string{"type": "access", "email": email})
		if err != nil {
			t.Fatal(err)
		}
		d.ask("public", "POST", "/public/requests", string(body)).want(400).says(`"email"`)
	}
}

func TestPublic_address(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for n := range 8 {
		d.ask("public", "POST", "/public/requests", strings.ReplaceAll(wish, ines, fmt.Sprint(n, "@example.test"))).want(202)
	}
	if a := d.ask("public", "POST", "/public/requests", wish).want(429).says("too many"); a.Headers["Retry-After"] == "" {
		t.Errorf("headers %v", a.Headers)
	}
	d.from = "203.0.113.8"
	d.ask("public", "POST", "/public/requests", wish).want(202)
	// All addresses of a network of IPv6 are one.
	for n := range 9 {
		d.from = fmt.Sprint("2001:db8::", n+1)
		want := 202
		if n == 8 {
			want = 429
		}
		d.ask("public", "POST", "/public/requests", strings.ReplaceAll(wish, ines, fmt.Sprint("v6-", n, "@example.test"))).want(want)
	}
	*d.now = d.now.Add(2 * time.Hour)
	d.ask("public", "POST", "/public/requests", strings.ReplaceAll(wish, ines, "later@example.test")).want(202)
}

func TestPublic_refuses(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for name, tt := range map[string]struct{ body, field string }{
		"no e-mail":      {`{"type":"access"}`, "email"},
		"no address":     {`{"type":"access","email":"ines"}`, "email"},
		"everybody":      {`{"type":"erasure","email":"*@example.test"}`, "email"},
		"authority":      {`{"type":"legal_disclosure","email":"a@example.test"}`, "type"},
		"no type":        {`{"email":"a@example.test"}`, "type"},
		"identity":       {`{"type":"access","email":"a@example.test","identity":{"method":"operator","evidence":"x"}}`, "identity"},
		"long message":   {`{"type":"access","email":"a@example.test","message":"` + strings.Repeat("x", 9000) + `"}`, "message"},
		"received":       {`{"type":"access","email":"a@example.test","received":"2026-01-01T00:00:00Z"}`, "received"},
		"claim, hostile": {`{"type":"access","email":"a@example.test","subject_id":"*"}`, "subject_id"},
	} {
		d.ask("public", "POST", "/public/requests", tt.body).want(400).says(`"` + tt.field + `"`)
		_ = name
	}
	d.ask("operator", "POST", "/public/requests", wish).want(403)
	d.ask("", "POST", "/public/requests", wish).want(401)
	d.ask("private", "POST", "/public/requests", wish).want(403)
}

// An objection from a page counts at once for the address that it names, and for
// no subject that the page merely claims to be.
func TestPublic_objection(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.ask("public", "POST", "/public/requests", `{"type":"objection","email":"`+ines+`","subject_id":"cust-planted-881","residence":"US-CA"}`).want(202)
	if n := d.events(); n != 1 {
		t.Errorf("%d events", n)
	}
	for n := range 4 { // past what the identifier may ask, too
		d.from = fmt.Sprint("198.51.100.", n)
		*d.now = d.now.Add(time.Second)
		d.ask("public", "POST", "/public/requests", `{"type":"objection","email":"`+ines+`"}`).want(202)
	}
	if n := d.events(); n != 5 {
		t.Errorf("%d events", n)
	}
}

// Whoever proves an address reaches what is known by that address, not what they
// have claimed beside it.
func TestConfirm(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.ask("public", "POST", "/public/requests", wish).want(202)
	path := d.links(ines)[0]
	id := strings.TrimSuffix(d.flow.names()[0], "-1")
	d.change(id, func(r *request.Request) { r.Epoch, r.Execution = 1, "arn:"+id+"-1" })
	d.waiting(id, request.WaitIdentity)

	// Scanners of mail follow links, as often as they like.
	for range 3 {
		a := d.ask("", "GET", path, "").want(200).says("Cette demande").says("Shop &amp; Co")
		for header, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY", "X-Robots-Tag": "noindex, nofollow", "X-Content-Type-Options": "nosniff",
		} {
			if a.Headers[header] != want {
				t.Errorf("%s: %q", header, a.Headers[header])
			}
		}
		if !strings.HasPrefix(a.Headers["Content-Security-Policy"], "default-src 'none'") || strings.Contains(a.Body, ines) || strings.Contains(a.Body, "Inesita") {
			t.Errorf("%v %s", a.Headers, a.Body)
		}
	}
	d.ask("", "HEAD", path, "")
	if r := d.get(id); r.Identity.Proven() || r.State != request.WaitingIdentity || slices.Contains(d.log(id), request.Prove) {
		t.Fatal("a GET has proven something")
	}
	for range 2 { // the button twice
		d.press(path, "confirm").want(200).says("Merci")
	}
	r := d.get(id)
	if !r.Identity.Proven() || r.Identity.By != request.ThePerson || r.State != request.Locating {
		t.Errorf("%+v", r.Identity)
	}
	if got := d.flow.outcome("token-identity"); got != "proven" {
		t.Errorf("the run was told %q", got)
	}
	decision, err := d.store.Decision(t.Context(), id, request.WaitIdentity)
	if err != nil || decision == nil || decision.Outcome != "proven" || decision.Delivered.IsZero() {
		t.Errorf("%+v, %v", decision, err)
	}
	known, err := d.store.Known(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range known {
		if (k.Kind == identity.Email) != (k.Trust == identity.Proven) {
			t.Errorf("%s is %s", k.Kind, k.Trust)
		}
	}
	proofs := 0
	for _, act := range d.log(id) {
		if act == request.Prove {
			proofs++
		}
	}
	if proofs != 1 {
		t.Errorf("proven %d times", proofs)
	}
	// Used: a GET shows nothing of the request any more.
	d.ask("", "GET", path, "", "Accept-Language", "en").want(404).says("cannot be used")
}

// Wrong, expired and used links look the same; a new one is sent to the same
// address only, and not for ever.
func TestConfirm_takeover(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.ask("public", "POST", "/public/requests", wish).want(202)
	path := d.links(ines)[0]
	id := strings.TrimSuffix(d.flow.names()[0], "-1")
	wrong := "/public/confirm/" + strings.Repeat("A", 43)
	unknown := d.ask("", "GET", wrong, "").want(404)
	for _, p := range []string{"/public/confirm/x", "/public/confirm/" + strings.Repeat("x", 500), path[:len(path)-1], path + "x", "/public/confirm/%00"} {
		if a := d.ask("", "GET", p, "").want(404); a.Body != unknown.Body {
			t.Errorf("%s looks different", p)
		}
		d.press(p, "confirm").want(404)
	}
	*d.now = d.now.Add(49 * time.Hour)
	if a := d.ask("", "GET", path, "").want(404); a.Body != unknown.Body {
		t.Error("an expired link looks different")
	}
	d.press(path, "confirm").want(404)
	if d.get(id).Identity.Proven() {
		t.Fatal("an expired link has proven something")
	}
	// Asking for a new one looks the same for all; only the true one is mailed.
	same := d.press(wrong, "resend").want(200).says("new link")
	for range 7 {
		if a := d.press(path, "resend").want(200); a.Body != same.Body {
			t.Error("asking for a link tells whether there is a request")
		}
	}
	links := d.links(ines)
	if len(links) != 5 || len(d.mail.sent) != 5 {
		t.Fatalf("%d links, %d mails; the policy allows 5", len(links), len(d.mail.sent))
	}
	d.press(links[1], "confirm").want(200)
	if !d.get(id).Identity.Proven() {
		t.Error("the new link proves nothing")
	}
	// No other link of the request does anything any more.
	d.ask("", "GET", links[2], "").want(404)
	d.press(links[2], "confirm").want(404)
}

// A lapsed request is reopened by a new link, with a run of its own.
func TestConfirm_lapsed(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.ask("public", "POST", "/public/requests", wish).want(202)
	path := d.links(ines)[0]
	id := strings.TrimSuffix(d.flow.names()[0], "-1")
	d.change(id, func(r *request.Request) { r.State, r.Epoch, r.Execution = request.Unverified, 1, "arn:"+id+"-1" })
	d.flow.ended["arn:"+id+"-1"] = true
	d.press(path, "resend").want(200)
	if r := d.get(id); r.State != request.WaitingIdentity || !slices.Contains(d.flow.names(), id+"-2") {
		t.Errorf("%s, runs %v", r.State, d.flow.names())
	}
	d.press(d.links(ines)[1], "confirm").want(200)
	// A link that is still good proves a lapsed request directly, too.
	if r := d.get(id); r.State != request.Locating {
		t.Errorf("%s", r.State)
	}
}

// Refused meanwhile: the link leads nowhere.
func TestConfirm_refused(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	d.ask("public", "POST", "/public/requests", wish).want(202)
	id := strings.TrimSuffix(d.flow.names()[0], "-1")
	d.ask("officer", "POST", "/requests/"+id+"/refuse", `{"ground":"Art. 12(5) GDPR","reason":"again and again"}`).want(200)
	path := d.links(ines)[0]
	d.ask("", "GET", path, "").want(404)
	d.press(path, "confirm").want(404)
	d.press(path, "resend").want(200)
	if r := d.get(id); r.State != request.Refused || r.Identity.Proven() || len(d.links(ines)) != 1 {
		t.Errorf("%s, %d links", r.State, len(d.links(ines)))
	}
}

// Too many buttons from one address.
func TestConfirm_attempts(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for range 60 {
		d.press("/public/confirm/"+strings.Repeat("A", 43), "confirm").want(404)
	}
	d.press("/public/confirm/"+strings.Repeat("A", 43), "confirm").want(429).says("Too many")
	d.from = "203.0.113.99"
	d.press("/public/confirm/"+strings.Repeat("A", 43), "confirm").want(404)
}

// The package is behind a page with a button; what follows is an address that
// lives for minutes, and the log has it first.
func TestDownload(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(map[string]any{"type": "access", "language": "fr"})
	d.change(id, func(r *request.Request) {
		r.State = request.Answered
		r.Package = &request.Package{Build: "build-1", Digest: "zip-1", Bytes: 10, Built: *d.now, Released: *d.now}
	})
	path := d.packageLink(id)
	d.ask("", "GET", path, "").want(200).says("Télécharger")
	if slices.Contains(d.log(id), request.Fetch) {
		t.Error("a GET has fetched")
	}
	for range 2 {
		a := d.press(path, "download").want(303)
		if a.Headers["Location"] != "https://bucket.example/build-1?valid=10m0s" || a.Headers["Cache-Control"] != "no-store" || a.Headers["Referrer-Policy"] != "no-referrer" {
			t.Errorf("%v", a.Headers)
		}
	}
	if r := d.get(id); r.Package.Fetched.IsZero() || !slices.Contains(d.log(id), request.Fetch) {
		t.Error("not in the log")
	}
	// An identity is nothing that this link could prove.
	*d.now = d.now.Add(49 * time.Hour)
	d.press(path, "download").want(404)
	d.press(path, "resend").want(200)
	fresh := d.links(ines)
	if len(fresh) != 1 {
		t.Fatalf("%d links", len(fresh))
	}
	d.press(fresh[0], "download").want(303)
	d.change(id, func(r *request.Request) { r.Package.Expired = *d.now })
	d.press(fresh[0], "download").want(404)
}

// Who asks for a fresh link to a copy that was sent to another organisation is
// that organisation: the link goes there, not to the person.
func TestDownload_handover(t *testing.T) {
	t.Parallel()
	const bank = "intake@bank.example.test"
	d := newDoor(t)
	id := d.opened(map[string]any{"type": "portability", "recipient": bank})
	d.change(id, func(r *request.Request) {
		r.State = request.Answered
		r.Package = &request.Package{Build: "build-1", Digest: "zip-1", Bytes: 10, Built: *d.now, Released: *d.now}
	})
	path := d.packageLink(id)
	before := len(d.links(ines))
	*d.now = d.now.Add(49 * time.Hour)
	d.press(path, "resend").want(200)
	if n := len(d.links(ines)) - before; n != 0 {
		t.Errorf("%d links to the person", n)
	}
	fresh := d.links(bank)
	if len(fresh) != 1 {
		t.Fatalf("%d links to the recipient", len(fresh))
	}
	d.press(fresh[0], "download").want(303)
}
