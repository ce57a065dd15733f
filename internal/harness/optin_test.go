package harness_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/outbox"
)

// post asks for a confirmation by the public key, as a page does.
func post(t testing.TB, w *harness.World, subject map[string]any) harness.Answer {
	t.Helper()
	return w.Must(t, 200, w.Public, "POST", "/public/consent", map[string]any{
		"subject": subject, "preferences": map[string]any{"newsletter": true},
		"double_opt_in": map[string]any{"channel": "email", "language": "fr"},
	})
}

// pending is the entry of the outbox about the consent of an acknowledgement.
func pending(t testing.TB, w *harness.World, ack harness.Answer) outbox.Entry {
	t.Helper()
	return outbox.Entry{Site: w.Site, Ref: outbox.Ref{
		Subject: w.Hasher(t).Subject(w.Site, ack.Text("subject_id")), Kind: outbox.Confirm, ID: ack.Text("id"),
	}}
}

// ask has the message sent and returns what is left to do.
func ask(t testing.TB, w *harness.World, ack harness.Answer) outbox.Outcome {
	t.Helper()
	o, err := w.OptIn(t).Do(t.Context(), pending(t, w, ack))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// page gets a page behind a mailed link, or presses its button.
func page(t testing.TB, method, link string) (status int, text string) {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader("action=confirm")
	}
	r, err := http.NewRequestWithContext(t.Context(), method, link, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// newsletter is the answer to "may I send the newsletter", with its reason.
func newsletter(t testing.TB, w *harness.World, who string) string {
	t.Helper()
	a := w.Must(t, 200, w.Secret, "GET", "/decide?preference=newsletter&"+who, nil)
	return fmt.Sprint(a.Get("granted"), " ", a.Text("reason"))
}

func wantNewsletter(t testing.TB, w *harness.World, step, who, want string) {
	t.Helper()
	if got := newsletter(t, w, who); got != want {
		t.Errorf("%s, %s: %s, want %s", step, who, got, want)
	}
}

func mailsTo(t testing.TB, w *harness.World, address string) (list []harness.Mail) {
	t.Helper()
	for _, m := range w.Mails(t) {
		if strings.Contains(m.To, address) {
			list = append(list, m)
		}
	}
	return list
}

// The whole path: a page posts, a letter asks, a scanner follows the link, the
// person presses the button, and the proof holds what was sent.
func TestOptIn(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	const who = "email=zoe@example.test"
	ack := post(t, w, map[string]any{"email": "zoe@example.test"})
	wantNewsletter(t, w, "posted", who, "false pending")
	for range 2 { // the job may be done again
		if o := ask(t, w, ack); o.State != outbox.Done {
			t.Fatalf("%+v", o)
		}
	}
	mails := mailsTo(t, w, "zoe@example.test")
	if len(mails) != 1 {
		t.Fatalf("%d letters", len(mails))
	}
	m := mails[0]
	for _, text := range []string{"Example SAS", "News", "Merci de confirmer"} {
		if !strings.Contains(m.Subject+m.Text, text) {
			t.Errorf("the letter does not say %q:\n%s", text, m.Text)
		}
	}
	for range 3 {
		if status, text := page(t, "GET", m.Link()); status != 200 || !strings.Contains(text, "<li>News</li>") || !strings.Contains(text, `lang="fr"`) {
			t.Fatalf("%d %s", status, text)
		}
	}
	wantNewsletter(t, w, "after a scanner's GET", who, "false pending")
	w.Engine.Advance(t.Context(), time.Hour)
	for range 2 { // twice is once
		if status, text := page(t, "POST", m.Link()); status != 200 || !strings.Contains(text, "Merci") {
			t.Fatalf("%d %s", status, text)
		}
		wantNewsletter(t, w, "confirmed", who, "true granted")
	}
	first := w.Must(t, 200, w.Secret, "GET", "/consent/"+ack.Text("id")+"?subject_id="+ack.Text("subject_id"), nil)
	if first.Text("double_opt_in.state") != "confirmed" {
		t.Errorf("the first event: %s", first.Body)
	}
	second := w.Must(t, 200, w.Secret, "GET", "/consent/"+first.Text("double_opt_in.confirmation_id")+"?subject_id="+ack.Text("subject_id"), nil)
	wording := m.Subject + "\n\n" + m.Text
	sum := sha256.Sum256([]byte(wording))
	for field, want := range map[string]string{
		"source": "confirmed", "act": "double_opt_in", "confirms.consent_id": ack.Text("id"), "confirms.language": "fr",
		"confirms.wording": wording, "confirms.wording_digest": hex.EncodeToString(sum[:]), "confirms.template": "double_opt_in.fr",
		"confirms.answer": "Oui, j’accepte", "subject.email": "zoe@example.test",
	} {
		if got := second.Text(field); got != want {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
	sent, _ := time.Parse(time.RFC3339, second.Text("confirms.sent_at"))
	answered, _ := time.Parse(time.RFC3339, second.Text("confirms.answered_at"))
	if answered.Sub(sent) < time.Hour || answered.Sub(sent) > 2*time.Hour {
		t.Errorf("sent at %v, answered at %v", sent, answered)
	}

	w.Engine.Advance(t.Context(), time.Minute)
	w.Must(t, 200, w.Public, "POST", "/public/consent", map[string]any{"subject": map[string]any{"email": "zoe@example.test"}, "preferences": map[string]any{"newsletter": false}})
	if status, _ := page(t, "POST", m.Link()); status != 200 {
		t.Errorf("pressed again after the withdrawal: %d", status)
	}
	wantNewsletter(t, w, "withdrawn, and pressed again", who, "false withdrawn")
	for _, secret := range []string{"zoe@example.test", strings.TrimPrefix(m.Link(), w.URL+"/public/confirm/")} {
		if strings.Contains(w.Log.String(), secret) {
			t.Errorf("%s was logged", secret)
		}
	}
}

// The same by the functions as they are deployed, from one stream to the next:
// nobody but the person does anything.
func TestOptIn_streams(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	w.Stream(t)
	ack := post(t, w, map[string]any{"email": "zoe@example.test"})
	var mails []harness.Mail
	for end := time.Now().Add(30 * time.Second); len(mails) == 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		mails = mailsTo(t, w, "zoe@example.test")
	}
	if len(mails) != 1 {
		t.Fatalf("%d letters", len(mails))
	}
	if status, _ := page(t, "POST", mails[0].Link()); status != 200 {
		t.Fatal(status)
	}
	wantNewsletter(t, w, "confirmed", "subject_id="+ack.Text("subject_id"), "true granted")
}

// A page that says why nothing is confirmed, and nothing that is.
func TestOptIn_late(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	lapses, withdrawn := post(t, w, map[string]any{"email": "late@example.test"}), post(t, w, map[string]any{"email": "no@example.test"})
	unsent := post(t, w, map[string]any{"email": "unsent@example.test"})
	ask(t, w, lapses)
	ask(t, w, withdrawn)
	w.Engine.Advance(t.Context(), time.Hour)
	w.Must(t, 200, w.Secret, "POST", "/consent", map[string]any{"subject": map[string]any{"email": "no@example.test"}, "preferences": map[string]any{"newsletter": false}})
	w.Must(t, 200, w.Secret, "POST", "/consent", map[string]any{"subject": map[string]any{"email": "unsent@example.test"}, "preferences": map[string]any{"newsletter": false}})
	if o := ask(t, w, unsent); o.State != outbox.Skipped || len(mailsTo(t, w, "unsent@example.test")) > 0 {
		t.Errorf("who has said no before the letter went out gets one: %+v", o)
	}
	for _, method := range []string{"GET", "POST"} {
		if status, text := page(t, method, w.LastMail(t, "no@example.test").Link()); status != 404 || !strings.Contains(text, "Vous avez dit non") {
			t.Errorf("%s, withdrawn: %d %s", method, status, text)
		}
	}
	w.Engine.Advance(t.Context(), 7*24*time.Hour)
	for _, method := range []string{"GET", "POST"} {
		if status, text := page(t, method, w.LastMail(t, "late@example.test").Link()); status != 404 || !strings.Contains(text, "Ce lien est trop ancien") {
			t.Errorf("%s, late: %d %s", method, status, text)
		}
	}
	wantNewsletter(t, w, "late", "email=late@example.test", "false lapsed")
	wantNewsletter(t, w, "withdrawn", "email=no@example.test", "false refused")
	link := w.LastMail(t, "late@example.test").Link()
	for name, forged := range map[string]string{"no token": w.URL + "/public/confirm/x", "another mac": link[:len(link)-2] + "AA"} {
		if status, _ := page(t, "POST", forged); status != 404 {
			t.Errorf("%s: %d", name, status)
		}
	}
}

// A page may name whom it likes: what an address confirms stays with it.
func TestOptIn_foreignSubject(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	w.Must(t, 200, w.Secret, "POST", "/consent", map[string]any{"subject": map[string]any{"id": "victim", "email": "victim@example.test"}, "preferences": map[string]any{"newsletter": false}})
	w.Engine.Advance(t.Context(), time.Minute)
	ack := post(t, w, map[string]any{"id": "victim", "email": "mallory@example.test"})
	ask(t, w, ack)
	if status, _ := page(t, "POST", w.LastMail(t, "mallory@example.test").Link()); status != 200 {
		t.Fatal(status)
	}
	for who, want := range map[string]string{"subject_id=victim": "false pending", "email=victim@example.test": "false pending", "email=mallory@example.test": "true granted"} {
		wantNewsletter(t, w, "confirmed", who, want)
	}
	if a := w.Must(t, 200, w.Secret, "GET", "/subjects/victim", nil); a.Text("email") != "victim@example.test" {
		t.Errorf("the victim's address is %s", a.Text("email"))
	}
	w.Engine.Advance(t.Context(), time.Minute)
	w.Must(t, 200, w.Secret, "POST", "/consent", map[string]any{"subject": map[string]any{"email": "mallory@example.test"}, "preferences": map[string]any{"newsletter": false}})
	wantNewsletter(t, w, "mallory withdraws", "email=mallory@example.test", "false withdrawn")
}

// A public key cannot have a stranger flooded: by mailbox whatever its tag, by
// network, by site, and not at all where mail comes back.
func TestOptIn_throttled(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true, Policy: `{"per_identifier": 2, "per_address": 4, "mails_per_day": 3}`})
	outcomes := func(addresses ...string) (list []outbox.State) {
		for _, address := range addresses {
			list = append(list, ask(t, w, post(t, w, map[string]any{"email": address})).State)
		}
		return list
	}
	const sent, failed, later = outbox.Done, outbox.Failed, outbox.Due
	if got := outcomes("zoe@example.test", "zoe+1@example.test", "Zoe+2@example.test"); !slices.Equal(got, []outbox.State{sent, sent, failed}) {
		t.Errorf("one mailbox: %v", got)
	}
	if got := outcomes("yan@example.test", "xia@example.test", "wim@example.test"); !slices.Equal(got, []outbox.State{sent, later, failed}) {
		t.Errorf("one network, and one site: %v", got)
	}
	w.Engine.Advance(t.Context(), time.Hour)
	if err := w.Store(t).Suppress(t.Context(), w.Hasher(t).Mailbox("vic@example.test"), "bounce", w.Now()); err != nil {
		t.Fatal(err)
	}
	if got := outcomes("vic@example.test"); !slices.Equal(got, []outbox.State{failed}) || len(mailsTo(t, w, "vic@")) > 0 {
		t.Errorf("suppressed: %v", got)
	}
}

// What was put off until the site may send again goes out then, once.
func TestOptIn_laterThatWeek(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true, Policy: `{"mails_per_day": 1}`})
	ask(t, w, post(t, w, map[string]any{"email": "zoe@example.test"}))
	second := post(t, w, map[string]any{"email": "yan@example.test"})
	for range 5 {
		if o := ask(t, w, second); o.State != outbox.Due {
			t.Fatalf("%+v", o)
		}
	}
	w.Engine.Advance(t.Context(), 24*time.Hour)
	if o := ask(t, w, second); o.State != outbox.Done || len(mailsTo(t, w, "yan@")) != 1 {
		t.Errorf("%+v, %d letters", o, len(mailsTo(t, w, "yan@")))
	}
}

// Every call of the job fails once, in every way: no letter goes out twice, and
// one whose outcome nobody knows can be confirmed all the same when it arrives.
func TestOptIn_faults(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"dynamodb.GetItem", "dynamodb.Query", "dynamodb.PutItem", "dynamodb.UpdateItem", "secretsmanager.GetSecretValue", "ses.POST outbound-emails"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t, harness.Options{Bare: true, Policy: `{"per_address": 100, "per_identifier": 20}`})
			for n, fault := range slices.Concat(faulty.Before, faulty.After) {
				address := fmt.Sprintf("zoe%d@example.test", n)
				ack := post(t, w, map[string]any{"email": address})
				var broken bool
				job, of := w.OptIn(t), pending(t, w, ack)
				w.Doors.Break(func(c faulty.Call) faulty.Fault {
					if c.Operation != operation || broken {
						return faulty.None
					}
					broken = true
					return fault
				})
				_, err := job.Do(t.Context(), of)
				w.Doors.Break(nil)
				if !broken {
					t.Fatalf("%v: no such call", fault)
				}
				var o outbox.Outcome
				for range 4 {
					w.Engine.Advance(t.Context(), 3*time.Minute)
					if o = ask(t, w, ack); o.State != outbox.Due {
						break
					}
				}
				letters := mailsTo(t, w, address)
				unknown := strings.HasPrefix(operation, "ses") && (fault.Applied() || fault == faulty.TimedOut || fault == faulty.Failed)
				if unknown != (o.State == outbox.Unknown) || len(letters) > 1 || len(letters) == 0 && !unknown {
					t.Errorf("%v: %+v, %v, %d letters", fault, o, err, len(letters))
				}
				if len(letters) == 1 {
					if status, _ := page(t, "POST", letters[0].Link()); status != 200 {
						t.Errorf("%v: confirming: %d", fault, status)
					}
					wantNewsletter(t, w, fault.String(), "email="+url.QueryEscape(address), "true granted")
				}
			}
		})
	}
}

// Every call behind the button fails once, in every way: pressing it again leads
// to the same two events.
func TestOptIn_confirmFaults(t *testing.T) {
	t.Parallel()
	for _, operation := range []string{"dynamodb.GetItem", "dynamodb.Query", "dynamodb.PutItem", "dynamodb.UpdateItem"} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t, harness.Options{Bare: true, Policy: `{"per_address": 100}`})
			for n, fault := range slices.Concat(faulty.Before, faulty.After) {
				address := fmt.Sprintf("zoe%d@example.test", n)
				ack := post(t, w, map[string]any{"email": address})
				ask(t, w, ack)
				w.Engine.Advance(t.Context(), time.Minute)
				link, broken := w.LastMail(t, address).Link(), false
				w.Doors.Break(func(c faulty.Call) faulty.Fault {
					if c.Operation != operation || broken {
						return faulty.None
					}
					broken = true
					return fault
				})
				page(t, "POST", link)
				w.Doors.Break(nil)
				if !broken {
					t.Fatalf("%v: no such call", fault)
				}
				w.Engine.Advance(t.Context(), time.Minute)
				if status, text := page(t, "POST", link); status != 200 {
					t.Errorf("%v: %d %s", fault, status, text)
				}
				wantNewsletter(t, w, fault.String(), "email="+url.QueryEscape(address), "true granted")
			}
			if rows := w.Must(t, 200, w.Secret, "GET", "/consent?limit=100", nil); strings.Count(string(rows.Body), `"owner"`) != 2*8 {
				t.Errorf("%d consents, want two of each of eight persons", strings.Count(string(rows.Body), `"owner"`))
			}
		})
	}
}
