package request_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// outbox is a mail service that keeps what it is given.
type outbox struct {
	mu    sync.Mutex
	mails []letter.Message
	fail  error // returned instead of taking a message
	after error // returned although the message was taken
}

func (o *outbox) Send(_ context.Context, m letter.Message) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return "", o.fail
	}
	o.mails = append(o.mails, m)
	return fmt.Sprint("message-", len(o.mails)), o.after
}

func (o *outbox) to() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []string
	for _, m := range o.mails {
		list = append(list, m.To.Reveal()+": "+m.Subject)
	}
	return list
}

// office is a postman on a real store, and what it has sent.
type office struct {
	request.Postman
	out   *outbox
	store *dynamo.Requests
	now   time.Time
}

func newOffice(t *testing.T) *office {
	t.Helper()
	env := awstest.New(t)
	hasher, err := pseudonym.New([]byte("a secret of these tests, 32 bytes long"))
	if err != nil {
		t.Fatal(err)
	}
	o := &office{out: &outbox{}, now: instant(t, "2026-03-05T10:00:00Z")}
	now := func() time.Time { return o.now }
	o.store = dynamo.NewRequests(env.Config, env.Getenv("REQUESTS_TABLE"), hasher, now, func(at time.Time) string { return hasher.ID(at, rand.Text()) })
	letters, err := letter.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	o.Postman = request.Postman{
		Store: o.store, Letters: letters, Mailer: o.out, Policy: request.Defaults(), Now: now,
		Hash: func(address string) string { return "hash-of-" + strings.ToLower(address) },
		Controller: request.Controller{
			Name: "Example Company", From: "privacy@example.com", DPO: request.Contact{Email: "dpo@example.com"},
			Authority: connector.Text{"en": "Example Authority"}, TimeZone: "Europe/Paris", Language: "fr",
		},
	}
	return o
}

// open stores a request of somebody with an address.
func (o *office) open(t *testing.T, change func(*request.Request, *request.Personal)) *request.Request {
	t.Helper()
	c, err := request.NewClock(request.Regimes()[request.GDPR], o.Controller, o.Policy, o.now)
	if err != nil {
		t.Fatal(err)
	}
	r := &request.Request{
		ID: uuid.NewString(), Site: "site-example", Type: request.Erasure, Regime: request.GDPR, State: request.Locating, Language: "en",
		Opened: request.ThePerson, Received: o.now, Clock: c, Next: o.now.Add(time.Hour),
		Identity: request.Identity{Method: "email", ProvenAt: o.now, Links: 1},
	}
	p := request.Personal{Name: "Ines Example", Address: "ines@example.com"}
	if change != nil {
		change(r, &p)
	}
	entry := request.Entry{At: o.now, By: r.Opened, Act: request.Open, To: r.State}
	if err := o.store.Create(t.Context(), r, entry, p, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

// outcomes are the lines of the log about letters.
func (o *office) outcomes(t *testing.T, r *request.Request) []string {
	t.Helper()
	log, err := o.store.Log(t.Context(), r.ID, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range log {
		if e.Act == request.Letter {
			lines = append(lines, strings.TrimSpace(e.Detail["letter"]+" "+e.Detail["outcome"]))
		}
	}
	slices.Sort(lines) // those of one millisecond have no order
	return lines
}

func TestPostman_once(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.open(t, nil)
	for range 3 {
		if err := o.Send(t.Context(), r, letter.Answer, "1", letter.Data{Systems: []letter.System{{Title: "Shop", At: o.now}}}); err != nil {
			t.Fatal(err)
		}
		o.now = o.now.Add(time.Hour)
	}
	if d := cmp.Diff([]string{"ines@example.com: Your data has been deleted"}, o.out.to()); d != "" {
		t.Error(d)
	}
	m := o.out.mails[0]
	if m.From != "privacy@example.com" || !strings.Contains(m.Text, "Hello Ines Example,") || !strings.Contains(m.Text, r.ID) || !strings.Contains(m.Text, "Example Authority") {
		t.Errorf("%s: %s", m.From, m.Text)
	}
	if d := cmp.Diff([]string{"answer.1"}, o.outcomes(t, r)); d != "" {
		t.Error(d)
	}
	kept, err := o.store.Mail(t.Context(), r.ID, "answer.1")
	if err != nil || kept == nil || kept.Message != "message-1" || kept.Sent.IsZero() {
		t.Errorf("%+v, %v", kept, err)
	}
	if err := o.Send(t.Context(), r, letter.Answer, "2", letter.Data{}); err != nil || len(o.out.to()) != 2 {
		t.Errorf("another occasion: %v, %v", err, o.out.to())
	}
}

// Whatever becomes of the call, a letter goes out at most once, and whoever
// cannot be sure is told so, once.
func TestPostman_failures(t *testing.T) {
	t.Parallel()
	refused := errors.Join(request.ErrNotTaken, errs.New(errs.Unavailable, "ses SendEmail: throttled"))
	never := fmt.Errorf("%w: %w", errs.New(errs.Invalid, "ses SendEmail: no such address"), request.ErrNotTaken)
	lost := errs.New(errs.Unavailable, "ses SendEmail: the connection broke")
	for name, tt := range map[string]struct {
		fail, after error
		want        errs.Kind
		told        bool // a person is
		again       int  // letters in all after the service works again
		outcomes    []string
	}{
		"not taken":       {fail: refused, want: errs.Unavailable, again: 1, outcomes: []string{"refusal.1", "refusal.1~2"}},
		"never taken":     {fail: never, want: errs.Invalid, told: true, again: 0, outcomes: []string{"refusal.1", "refusal.1 undeliverable"}},
		"before or after": {fail: lost, want: errs.Conflict, told: true, again: 0, outcomes: []string{"refusal.1", "refusal.1 unknown"}},
		"reply lost":      {after: lost, want: errs.Conflict, told: true, again: 1, outcomes: []string{"refusal.1", "refusal.1 unknown"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			r := o.open(t, nil)
			o.out.fail, o.out.after = tt.fail, tt.after
			err := o.Send(t.Context(), r, letter.Refusal, "1", letter.Data{})
			if !errs.Is(err, tt.want) || errors.Is(err, request.ErrUndeliverable) != tt.told {
				t.Fatalf("%v", err)
			}
			o.out.fail, o.out.after = nil, nil
			for range 2 {
				if err := o.Send(t.Context(), r, letter.Refusal, "1", letter.Data{}); err != nil {
					t.Fatal(err)
				}
			}
			if len(o.out.to()) != tt.again {
				t.Errorf("sent %v", o.out.to())
			}
			if d := cmp.Diff(tt.outcomes, o.outcomes(t, r)); d != "" {
				t.Error(d)
			}
		})
	}
}

// A sender that dies between intent and outcome leaves a letter of which nobody
// knows whether it went out.
func TestPostman_died(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := o.open(t, nil)
	must(t, o.store.PutMail(t.Context(), r.ID, request.Mail{Key: "answer.1", Kind: "answer", At: o.now}))
	if err := o.Send(t.Context(), r, letter.Answer, "1", letter.Data{}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("while it may live: %v", err)
	}
	o.now = o.now.Add(time.Hour)
	if err := o.Send(t.Context(), r, letter.Answer, "1", letter.Data{}); !errors.Is(err, request.ErrUndeliverable) || !errs.Is(err, errs.Conflict) {
		t.Errorf("after it has died: %v", err)
	}
	if err := o.Send(t.Context(), r, letter.Answer, "1", letter.Data{}); err != nil || len(o.out.to()) != 0 {
		t.Errorf("after a person was told: %v, %v", err, o.out.to())
	}
	if d := cmp.Diff([]string{"answer.1 unknown"}, o.outcomes(t, r)); d != "" {
		t.Error(d)
	}
}

func TestPostman_to(t *testing.T) {
	t.Parallel()
	operator := request.Actor{Who: "Olga", Role: "operator"}
	unproven := func(r *request.Request, _ *request.Personal) {
		r.State, r.Identity.ProvenAt = request.WaitingIdentity, time.Time{}
	}
	for name, tt := range map[string]struct {
		kind   letter.Kind
		change func(*request.Request, *request.Personal)
		want   string // to whom; "": nobody
		kind2  errs.Kind
	}{
		"proven":                  {letter.Acknowledgement, nil, "ines@example.com", ""},
		"a link to a claimed one": {letter.IdentityLink, unproven, "ines@example.com", ""},
		"nothing else":            {letter.Acknowledgement, unproven, "", errs.Forbidden},
		"no refusal either":       {letter.Refusal, unproven, "", errs.Forbidden},
		"an operator's address": {letter.Acknowledgement, func(r *request.Request, p *request.Personal) {
			unproven(r, p)
			r.Opened = operator
		}, "ines@example.com", ""},
		"never data to it": {letter.PackageReady, func(r *request.Request, p *request.Personal) {
			unproven(r, p)
			r.Opened = operator
		}, "", errs.Forbidden},
		"no address":   {letter.Answer, func(_ *request.Request, p *request.Personal) { p.Address = "" }, "", errs.NotFound},
		"no such":      {letter.Answer, func(_ *request.Request, p *request.Personal) { p.Address = "Ines <ines@example.com>" }, "", errs.NotFound},
		"two":          {letter.Answer, func(_ *request.Request, p *request.Personal) { p.Address = "a@example.com, b@example.com" }, "", errs.NotFound},
		"a header":     {letter.Answer, func(_ *request.Request, p *request.Personal) { p.Address = "a@example.com\r\nBcc: b@example.com" }, "", errs.NotFound},
		"suppressed":   {letter.Answer, func(_ *request.Request, p *request.Personal) { p.Address = "Gone@example.com" }, "", errs.Forbidden},
		"disclosure":   {letter.Acknowledgement, func(r *request.Request, _ *request.Personal) { r.Type = request.Disclosure }, "", ""},
		"its reminder": {letter.Reminder, func(r *request.Request, _ *request.Personal) { r.Type = request.Disclosure }, "dpo@example.com", ""},
		"handover":     {letter.Handover, func(_ *request.Request, p *request.Personal) { p.Recipient = "in@other.example" }, "in@other.example", ""},
		"no recipient": {letter.Handover, nil, "", errs.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			must(t, o.store.Suppress(t.Context(), "hash-of-gone@example.com", "bounce", o.now))
			r := o.open(t, tt.change)
			err := o.Send(t.Context(), r, tt.kind, "1", letter.Data{Link: "https://avow.example/x", Matter: letter.Approval})
			if tt.kind2 != "" && (!errs.Is(err, tt.kind2) || !errors.Is(err, request.ErrUndeliverable)) || tt.kind2 == "" && err != nil {
				t.Fatal(err)
			}
			to := ""
			for _, m := range o.out.mails {
				to += m.To.Reveal()
			}
			if to != tt.want {
				t.Errorf("sent to %q", to)
			}
			if err := o.Send(t.Context(), r, tt.kind, "1", letter.Data{Link: "https://avow.example/x"}); err != nil || len(o.out.mails) > 1 {
				t.Errorf("again: %v, %v", err, o.out.to())
			}
			if !r.Identity.Proven() && len(o.out.mails) == 1 && strings.Contains(o.out.mails[0].Text, "Ines") {
				t.Error("whoever filled in the form has chosen how the letter begins")
			}
			if tt.want == "dpo@example.com" && !strings.Contains(o.out.mails[0].Text, "approbation") {
				t.Errorf("not in the office's language: %s", o.out.mails[0].Text)
			}
		})
	}
}

// A flood of a public form stops at the daily limit, and does not hold up the
// answers to people who are known.
func TestPostman_limit(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.Policy.MailsPerDay = 2
	link := letter.Data{Link: "https://avow.example/x"}
	claimed := func(r *request.Request, p *request.Personal) {
		r.State, r.Identity.ProvenAt = request.WaitingIdentity, time.Time{}
	}
	for range 2 {
		must(t, o.Send(t.Context(), o.open(t, claimed), letter.IdentityLink, "1", link))
	}
	late := o.open(t, claimed)
	for range 2 {
		if err := o.Send(t.Context(), late, letter.IdentityLink, "1", link); !errs.Is(err, errs.Unavailable) {
			t.Fatal(err)
		}
	}
	must(t, o.Send(t.Context(), o.open(t, nil), letter.Acknowledgement, "1", letter.Data{}))
	o.now = o.now.Add(24 * time.Hour)
	must(t, o.Send(t.Context(), late, letter.IdentityLink, "1", link))
	if len(o.out.to()) != 4 {
		t.Errorf("%v", o.out.to())
	}
}

func TestPostman_fill(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	refused := o.open(t, func(r *request.Request, p *request.Personal) {
		r.State, r.Refusal, r.Language = request.Refused, &request.Refusal{Ground: "Art. 12(5) GDPR", Reason: "the fourth this week"}, "fr"
		p.Name = redact.String("https://evil.example")
	})
	must(t, o.Send(t.Context(), refused, letter.Refusal, "1", letter.Data{}))
	held := o.open(t, func(r *request.Request, _ *request.Personal) {
		r.State, r.Holds = request.OnHold, []request.Hold{{Ground: "Art. 17(3)(e) GDPR", Reason: "a claim"}}
	})
	must(t, o.Send(t.Context(), held, letter.Held, "1", letter.Data{}))
	corrected := o.open(t, func(r *request.Request, p *request.Personal) {
		r.Type, p.Changes = request.Rectification, []connector.Change{{Field: "city", Old: "Lyon", New: "Paris"}}
	})
	must(t, o.Send(t.Context(), corrected, letter.Answer, "1", letter.Data{}))
	for i, words := range [][]string{
		{"Bonjour,", "Art. 12(5) GDPR", "the fourth this week", "5 mars 2026"},
		{"Art. 17(3)(e) GDPR", "a claim"},
		{"city: Lyon → Paris"},
	} {
		for _, w := range words {
			if !strings.Contains(o.out.mails[i].Text, w) {
				t.Errorf("%q is not in %s", w, o.out.mails[i].Text)
			}
		}
	}
}

// A lapsed agreement is told to the privacy office, once for the system and the
// day, whatever becomes of the call.
func TestPostman_agreement(t *testing.T) {
	t.Parallel()
	refused := errors.Join(request.ErrNotTaken, errs.New(errs.Unavailable, "ses SendEmail: throttled"))
	lost := errs.New(errs.Unavailable, "ses SendEmail: the connection broke")
	for name, tt := range map[string]struct {
		fail, after error
		want        errs.Kind
		told        bool
		mails       int // in all, after the service works again
	}{
		"sent":       {mails: 1},
		"not taken":  {fail: refused, want: errs.Unavailable, mails: 1},
		"never sent": {fail: lost, want: errs.Conflict, told: true},
		"reply lost": {after: lost, want: errs.Conflict, told: true, mails: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			desk := connector.Inventory{System: "desk", Processor: &connector.Processor{Name: "Desk Inc.", DPA: "2020-01-01", Review: "2026-03-05"}}
			o.out.fail, o.out.after = tt.fail, tt.after
			sent, err := o.Agreement(t.Context(), desk)
			if (tt.want != "" && !errs.Is(err, tt.want)) || sent != (err == nil) || (tt.want == "") != sent || errors.Is(err, request.ErrUndeliverable) != tt.told {
				t.Fatalf("%v, %v", sent, err)
			}
			o.out.fail, o.out.after = nil, nil
			for range 3 {
				o.now = o.now.Add(48 * time.Hour)
				if _, err := o.Agreement(t.Context(), desk); err != nil {
					t.Fatal(err)
				}
			}
			if got := o.out.to(); !slices.Equal(got, slices.Repeat([]string{"dpo@example.com: Contrat à examiner : desk"}, tt.mails)) {
				t.Errorf("sent %v", got)
			}
			for _, m := range o.out.mails {
				if m.From != "privacy@example.com" || m.Request != "" || !strings.Contains(m.Text, "Desk Inc.") || !strings.Contains(m.Text, "5 mars 2026") {
					t.Errorf("%s", m.Text)
				}
			}
		})
	}
}

// Another day, another system and another lapse are told; a later date ends it.
// Without an office or a sender it is told when there is one.
func TestPostman_agreementDates(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := &connector.Processor{Name: "Desk Inc.", DPA: "2020-01-01", Review: "2026-03-06"}
	tell := func(system string, want bool) {
		t.Helper()
		if sent, err := o.Agreement(t.Context(), connector.Inventory{System: system, Processor: p}); err != nil || sent != want {
			t.Errorf("%s: %v, %v", system, sent, err)
		}
	}
	tell("desk", false) // the day has not come
	o.now = o.now.AddDate(0, 0, 1)
	full := o.Controller
	for _, missing := range []func(*request.Controller){func(c *request.Controller) { c.DPO.Email = "" }, func(c *request.Controller) { c.From = "" }} {
		missing(&o.Controller)
		tell("desk", false)
		o.Controller = full
	}
	tell("desk", true)
	tell("desk", false)
	tell("crm", true)
	p.Review = "2027-03-06"
	tell("desk", false)
	p.Expires = "2026-03-01"
	tell("desk", true)
	tell("desk", false)
	if sent, err := o.Agreement(t.Context(), connector.Inventory{System: "own"}); sent || err != nil {
		t.Errorf("a system without a processor: %v, %v", sent, err)
	}
}

// A function that died between intent and call leaves a mail of which nobody
// knows: it is not sent again.
func TestPostman_agreementDied(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	desk := connector.Inventory{System: "desk", Processor: &connector.Processor{Name: "Desk Inc.", DPA: "2020-01-01", Review: "2026-03-05"}}
	must(t, o.store.PutMail(t.Context(), request.Office, request.Mail{Key: "agreement.desk.2026-03-05", Kind: "agreement", At: o.now}))
	if _, err := o.Agreement(t.Context(), desk); !errs.Is(err, errs.Unavailable) {
		t.Errorf("while it may live: %v", err)
	}
	o.now = o.now.Add(time.Hour)
	if _, err := o.Agreement(t.Context(), desk); !errors.Is(err, request.ErrUndeliverable) {
		t.Errorf("after it has died: %v", err)
	}
	if sent, err := o.Agreement(t.Context(), desk); sent || err != nil || len(o.out.to()) != 0 {
		t.Errorf("later: %v, %v, %v", sent, err, o.out.to())
	}
}

func TestOwed(t *testing.T) {
	t.Parallel()
	operator := request.Actor{Who: "Olga", Role: "operator"}
	at := time.Unix(1_800_000_000, 0)
	for name, tt := range map[string]struct {
		r    request.Request
		want map[letter.Kind]string
	}{
		"link":                  {request.Request{State: request.WaitingIdentity, Opened: request.ThePerson, Identity: request.Identity{Links: 2}}, map[letter.Kind]string{letter.IdentityLink: "2"}},
		"refused, claimed":      {request.Request{State: request.Refused, Opened: request.ThePerson}, map[letter.Kind]string{}},
		"refused":               {request.Request{State: request.Refused, Opened: request.ThePerson, Identity: request.Identity{ProvenAt: at, Links: 1}}, map[letter.Kind]string{letter.Refusal: "1"}},
		"withdrawn":             {request.Request{State: request.Withdrawn, Opened: operator}, map[letter.Kind]string{letter.Withdrawn: "1"}},
		"checked by hand":       {request.Request{State: request.Locating, Opened: operator, Identity: request.Identity{ProvenAt: at}}, map[letter.Kind]string{letter.Acknowledgement: "1"}},
		"extended":              {request.Request{State: request.Running, Identity: request.Identity{ProvenAt: at, Links: 1}, Clock: request.Clock{Extended: true}}, map[letter.Kind]string{letter.Extension: "1"}},
		"closed":                {request.Request{State: request.Closed, Identity: request.Identity{ProvenAt: at}, Clock: request.Clock{Extended: true}}, map[letter.Kind]string{}},
		"disclosure":            {request.Request{Type: request.Disclosure, State: request.Refused, Opened: operator}, nil},
		"unverified, by letter": {request.Request{State: request.Unverified, Opened: operator, Identity: request.Identity{Links: 3}}, map[letter.Kind]string{letter.Unverified: "3"}},
	} {
		if d := cmp.Diff(tt.want, request.Owed(&tt.r)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A letter that the mail service does not take is tried again for a week, less and
// less often; then a person is told, and the office once for a day of requests.
func TestPostman_outage(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	claimed := func(r *request.Request, p *request.Personal) {
		r.State, r.Identity.ProvenAt = request.WaitingIdentity, time.Time{}
	}
	link := letter.Data{Link: "https://avow.example/x"}
	list := []*request.Request{o.open(t, claimed), o.open(t, claimed)}
	o.out.fail = errors.Join(request.ErrNotTaken, errs.New(errs.Unavailable, "ses SendEmail: paused"))
	began := o.now
	var given []time.Duration
	for len(given) < len(list) && o.now.Sub(began) < 9*24*time.Hour {
		for _, r := range list {
			err := o.Send(t.Context(), r, letter.IdentityLink, "1", link)
			if errors.Is(err, request.ErrUndeliverable) {
				given = append(given, o.now.Sub(began))
			} else if !errs.Is(err, errs.Unavailable) && len(given) == 0 {
				t.Fatal(err)
			}
		}
		o.now = o.now.Add(15 * time.Minute)
	}
	if len(given) != 2 || given[0] < 7*24*time.Hour || given[0] > 8*24*time.Hour {
		t.Fatalf("given up after %v", given)
	}
	lines := o.outcomes(t, list[0])
	if n := len(lines); n < 20 || n > 50 || !slices.ContainsFunc(lines, func(l string) bool { return strings.HasSuffix(l, " outage") }) {
		t.Errorf("%d lines, %v", n, lines)
	}
	for _, r := range list {
		if out, settled, err := o.Arrived(t.Context(), r.ID, letter.IdentityLink, "1"); out || !settled || err != nil {
			t.Errorf("out %v, settled %v, %v", out, settled, err)
		}
	}
	o.out.fail = nil
	fine := o.open(t, claimed)
	must(t, o.Send(t.Context(), fine, letter.IdentityLink, "1", link))
	for range 2 {
		for _, r := range append(list, fine) {
			must(t, o.Outage(t.Context(), r, letter.IdentityLink, "1"))
		}
	}
	if mails := o.out.to(); len(mails) != 2 || !strings.HasPrefix(mails[1], "dpo@example.com: ") {
		t.Errorf("sent %q, want the link of one and a word to the office", mails)
	}
}

// What the mail service did not take is no mail of the day.
func TestPostman_uncounted(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.Policy.MailsPerDay = 2
	for name, fail := range map[string]error{
		"for now": errors.Join(request.ErrNotTaken, errs.New(errs.Unavailable, "ses SendEmail: throttled")),
		"ever":    fmt.Errorf("%w: %w", errs.New(errs.Invalid, "ses SendEmail: no such address"), request.ErrNotTaken),
	} {
		o.out.fail = fail
		for range 3 {
			if err := o.Send(t.Context(), o.open(t, nil), letter.Acknowledgement, "1", letter.Data{}); !errors.Is(err, request.ErrNotTaken) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	o.out.fail = nil
	for range 2 {
		must(t, o.Send(t.Context(), o.open(t, nil), letter.Acknowledgement, "1", letter.Data{}))
	}
	if err := o.Send(t.Context(), o.open(t, nil), letter.Acknowledgement, "1", letter.Data{}); !errs.Is(err, errs.Unavailable) {
		t.Errorf("over the limit: %v", err)
	}
}
