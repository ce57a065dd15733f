package consent_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/redact"
)

const week = 7 * 24 * time.Hour

// waiting is a post that asks for a confirmation.
func waiting(source consent.Source, subjectID, address string) *consent.Submission {
	s := submission(source, subjectID, "", "true")
	s.OptIn = &consent.OptInRequest{Channel: consent.ByEmail, Language: "fr"}
	if strings.HasPrefix(address, "+") {
		s.OptIn.Channel = consent.ByWhatsApp
		s.Profile.Phones = &consent.Phones{List: []consent.Phone{{Number: redact.String(address)}}}
		return s
	}
	s.Profile.Email = &consent.Text{Value: redact.String(address)}
	return s
}

func (b *book) message(channel consent.Channel) consent.Message {
	return consent.Message{
		Channel: channel, Language: "fr", Wording: "Confirmez.", Template: "confirm", TemplateVersion: "1",
		IDs: []string{"m1"}, SentAt: b.clock.Now(), AnsweredAt: b.clock.Now(), Answer: "Je confirme",
	}
}

func (b *book) confirm(t testing.TB, pending *consent.Event) (consent.Acknowledgement, error) {
	t.Helper()
	return b.Recorder.Confirm(t.Context(), b.Sites.Policy(b.site), pending, b.message(pending.OptIn.Channel))
}

// reasons are the answers to "news", one after another.
func reasons(states []consent.State) string {
	var list []string
	for _, s := range states {
		list = append(list, string(s.Reason))
	}
	return strings.Join(list, " ")
}

func TestRecorder_confirm(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	post := waiting(private, "cust-1", "Ines@example.test")
	post.LegalNotices = []consent.NoticeRef{{Identifier: "terms"}}
	pending := b.event(t, b.mustRecord(t, post))
	if got := reasons(b.decide(t, "cust-1", "ines@example.test", "news")); got != "pending pending" {
		t.Errorf("before: %s", got)
	}
	b.clock.advance(time.Hour)
	ack, err := b.confirm(t, pending)
	if err != nil {
		t.Fatal(err)
	}
	e := b.event(t, ack)
	want := &consent.Confirmation{
		Consent: pending.ID, At: pending.Claimed, Received: pending.Received, Until: pending.Received.Add(week),
		Message: b.message(consent.ByEmail),
	}
	if diff := cmp.Diff(want, e.Confirms); diff != "" {
		t.Errorf("(-want +stored):\n%s", diff)
	}
	if e.Source != consent.Confirmed || e.Act != consent.DoubleOptIn || e.Profile.Email.Value != "ines@example.test" || !e.Profile.Verified.Value || len(e.LegalNotices) != 1 {
		t.Errorf("%+v", e)
	}
	states := b.decide(t, "cust-1", "ines@example.test", "news")
	if reasons(states) != "granted granted" || states[0].ConsentIDs[0] != e.ID {
		t.Errorf("after: %+v", states)
	}
	before := b.everything(t)
	b.clock.advance(2 * week)
	again, err := b.instance(t).confirm(t, pending)
	if err != nil || again != ack {
		t.Errorf("again, and late: %+v, %v; want %+v", again, err, ack)
	}
	b.wantUnchanged(t, before)
}

// Who confirms too late, or has said no in the meantime, under either name,
// changes nothing.
func TestRecorder_confirmRefused(t *testing.T) {
	t.Parallel()
	no := func(source consent.Source, subjectID, address string) func(*testing.T, *book) {
		return func(t *testing.T, b *book) { b.mustRecord(t, submission(source, subjectID, address, "false")) }
	}
	for name, tt := range map[string]struct {
		post  *consent.Submission
		then  func(*testing.T, *book)
		after time.Duration
		want  error
	}{
		"in the last instant":   {waiting(private, "cust-1", "ines@example.test"), nil, week, nil},
		"late":                  {waiting(private, "cust-1", "ines@example.test"), nil, week + 1e6, consent.ErrLapsed},
		"withdrawn by id":       {waiting(private, "cust-1", "ines@example.test"), no(private, "cust-1", ""), time.Hour, consent.ErrWithdrawn},
		"withdrawn by address":  {waiting(private, "cust-1", "ines@example.test"), no(public, "", "ines@example.test"), time.Hour, consent.ErrWithdrawn},
		"public, no by id":      {waiting(public, "cust-1", "ines@example.test"), no(public, "cust-1", ""), time.Hour, consent.ErrWithdrawn},
		"public, no by address": {waiting(public, "cust-1", "ines@example.test"), no(public, "", "ines@example.test"), time.Hour, consent.ErrWithdrawn},
		"no of somebody else":   {waiting(public, "cust-1", "ines@example.test"), no(public, "cust-2", ""), time.Hour, nil},
		"objection to everything": {waiting(public, "", "ines@example.test"), func(t *testing.T, b *book) {
			amend := consent.Amender{Ledger: b.Events, Hasher: b.Hasher, Now: b.clock.Now}
			if _, err := amend.ObjectAtReceipt(t.Context(), "shop", "ines@example.test", nil, b.key(0)); err != nil {
				t.Fatal(err)
			}
		}, time.Hour, consent.ErrWithdrawn},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			pending := b.event(t, b.mustRecord(t, tt.post))
			if tt.then != nil {
				b.clock.advance(time.Minute)
				tt.then(t, b)
			}
			b.clock.advance(tt.after)
			if b.clock.Now().After(pending.OptIn.Until) && tt.want == nil {
				b.clock.advance(pending.OptIn.Until.Sub(b.clock.Now()))
			}
			before := b.everything(t)
			if _, err := b.confirm(t, pending); !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if tt.want != nil {
				b.wantUnchanged(t, before)
			}
		})
	}
}

// A withdrawal that a confirmation has not seen, because both came at once, wins:
// the fold judges it again.
func TestRecorder_confirmRacesWithdrawal(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	pending := b.event(t, b.mustRecord(t, waiting(private, "cust-1", "ines@example.test")))
	b.clock.advance(time.Hour)
	ack, err := b.confirm(t, pending)
	if err != nil {
		t.Fatal(err)
	}
	late := submission(private, "cust-1", "", "false")
	at := b.clock.Now().Add(-time.Minute)
	late.Timestamp = &at // effective between the two events
	b.mustRecord(t, late)
	if got := b.decide(t, "cust-1", "", "news"); got[0].Granted || got[0].Reason != consent.Refused {
		t.Errorf("%+v, by %s", got, ack.ID)
	}
}

// Of two grants, one of which was refused since, the other is confirmed.
func TestRecorder_confirmsWhatIsLeft(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	post := waiting(public, "", "ines@example.test")
	post.Preferences = append(post.Preferences, consent.Preference{Key: "ads", Value: "1"}, consent.Preference{Key: "sms", Value: "false"})
	pending := b.event(t, b.mustRecord(t, post))
	b.clock.advance(time.Minute)
	b.mustRecord(t, submission(public, "", "ines@example.test", "false"))
	b.clock.advance(time.Minute)
	ack, err := b.confirm(t, pending)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]consent.Preference{{Key: "ads", Value: "1"}}, b.event(t, ack).Preferences); diff != "" {
		t.Error(diff)
	}
	if got := reasons(append(b.decide(t, "", "ines@example.test", "ads"), append(b.decide(t, "", "ines@example.test", "sms"), b.decide(t, "", "ines@example.test", "news")...)...)); got != "granted refused refused" {
		t.Error(got)
	}
}

// A public post names whom it likes: what the address confirms stands with the
// address, and joins nobody (docs/architecture.md §1, promise 5).
func TestRecorder_confirmAttachesToNobody(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.mustRecord(t, submission(private, "victim", "victim@example.test", "false"))
	b.clock.advance(time.Minute)
	for name, tt := range map[string]*consent.Submission{
		"foreign subject":               waiting(public, "victim", "mallory@example.test"),
		"foreign subject, by telephone": waiting(public, "victim", "+41 79 555 01 01"),
		"foreign e-mail, own telephone": func() *consent.Submission {
			s := waiting(public, "", "+41 79 555 01 02")
			s.Profile.Email = &consent.Text{Value: "victim@example.test"}
			return s
		}(),
		"token that vouches for nothing": func() *consent.Submission {
			s := waiting(public, "victim", "mallory@example.test")
			s.Token = "v1.x.1.y"
			return s
		}(),
	} {
		pending := b.event(t, b.mustRecord(t, tt))
		b.clock.advance(time.Minute)
		ack, err := b.confirm(t, pending)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if e := b.event(t, ack); e.SubjectID == "victim" || e.Subject == pending.Subject {
			t.Errorf("%s: the confirmation stands with %s", name, e.SubjectID.Reveal())
		}
		for _, s := range b.decide(t, "victim", "victim@example.test", "news") {
			if s.Granted {
				t.Errorf("%s: the victim has granted: %+v", name, s)
			}
		}
	}
	people := consent.NewPeople(b.Events, b.Hasher)
	u, err := people.ByEmail(t.Context(), "shop", "victim@example.test", time.Time{})
	if err != nil || len(u.Phones) > 0 || len(u.Emails) != 1 {
		t.Errorf("the victim is known by %v and %v, %v", u.Emails, u.Phones, err)
	}
	if got := reasons(b.decide(t, "", "mallory@example.test", "news")); got != "granted" {
		t.Errorf("the address that has confirmed: %s", got)
	}
}

// A number whose owner has answered identifies them; any other number nobody.
func TestRecorder_confirmByPhone(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	people := consent.NewPeople(b.Events, b.Hasher)
	byPhone := func(number string) consent.State {
		t.Helper()
		u, err := people.ByPhone(t.Context(), "shop", number, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return consent.Decide(u.Events, "news", consent.View{Now: b.clock.Now()}, consent.Rules{})
	}
	lone := b.event(t, b.mustRecord(t, waiting(public, "", "+41 79 555 01 01")))
	if got := byPhone("0041795550101"); got.Reason != consent.Pending {
		t.Errorf("a post with a number alone: %+v", got)
	}
	known := b.event(t, b.mustRecord(t, waiting(private, "cust-1", "+41 79 555 01 02")))
	if got := byPhone("+41795550102"); got.Reason != consent.NeverAsked {
		t.Errorf("a number that nobody has answered from: %+v", got)
	}
	b.clock.advance(time.Minute)
	for _, e := range []*consent.Event{lone, known} {
		if _, err := b.confirm(t, e); err != nil {
			t.Fatal(err)
		}
	}
	if one, two := byPhone("+41795550101"), byPhone("+41795550102"); !one.Granted || !two.Granted {
		t.Errorf("confirmed: %+v, %+v", one, two)
	}
	b.clock.advance(time.Minute)
	b.mustRecord(t, submission(private, "cust-1", "", "false"))
	if got := byPhone("+41795550102"); got.Reason != consent.Withdrawn {
		t.Errorf("withdrawn by id: %+v", got)
	}
	if got := byPhone("079 555 01 01"); got.Reason != consent.NeverAsked {
		t.Errorf("a national number: %+v", got)
	}
}

// Every call of a confirmation may fail, lose its reply, or be the last one that
// the process makes: trying again leads to the same rows.
func TestRecorder_confirmFaults(t *testing.T) {
	t.Parallel()
	for _, call := range []struct {
		operation string
		nth       int
	}{{"dynamodb.Query", 1}, {"dynamodb.Query", 2}, {"dynamodb.PutItem", 1}, {"dynamodb.PutItem", 2}} {
		t.Run(fmt.Sprint(call.operation, " ", call.nth), func(t *testing.T) {
			t.Parallel()
			for _, fault := range faultsOf(call.operation) {
				b := newBook(t)
				pending := b.event(t, b.mustRecord(t, waiting(private, "cust-1", "ines@example.test")))
				b.clock.advance(time.Minute)
				broken := b.instance(t)
				var dead atomic.Bool
				broken.net.Break(func(c faulty.Call) faulty.Fault {
					if dead.Load() {
						return faulty.Refused
					}
					if c.Operation != call.operation || c.Nth != call.nth {
						return faulty.None
					}
					dead.Store(true)
					return fault
				})
				if _, err := broken.confirm(t, pending); err == nil || !dead.Load() {
					t.Fatalf("%v: %v, broken: %v", fault, err, dead.Load())
				}
				b.clock.advance(time.Minute)
				if _, err := b.instance(t).confirm(t, pending); err != nil {
					t.Fatalf("%v: %v", fault, err)
				}
				if got := reasons(b.decide(t, "cust-1", "ines@example.test", "news")); got != "granted granted" {
					t.Errorf("%v: %s", fault, got)
				}
				if n := b.events(t); n != 3 { // two events and a binding
					t.Errorf("%v: %d rows", fault, n)
				}
			}
		})
	}
}

func TestRecord_optInRefused(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	before := b.everything(t)
	for name, change := range map[string]func(*consent.Submission){
		"unknown channel":  func(s *consent.Submission) { s.OptIn.Channel = "fax" },
		"no address":       func(s *consent.Submission) { s.Profile.Email = nil },
		"address cleared":  func(s *consent.Submission) { s.Profile.Email = &consent.Text{Null: true} },
		"no valid address": func(s *consent.Submission) { s.Profile.Email = &consent.Text{Value: "ines"} },
		"no telephone":     func(s *consent.Submission) { s.OptIn.Channel = consent.ByWhatsApp },
		"national number": func(s *consent.Submission) {
			s.OptIn.Channel = consent.ByWhatsApp
			s.Profile.Phones = &consent.Phones{List: []consent.Phone{{Number: "079 555 01 01"}}}
		},
		"nothing granted":      func(s *consent.Submission) { s.Preferences[0].Value = "false" },
		"no preference at all": func(s *consent.Submission) { s.Preferences = nil },
	} {
		s := waiting(public, "", "ines@example.test")
		change(s)
		if _, err := b.record(t.Context(), s); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.wantUnchanged(t, before)
}

func TestConfirmToken(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	pending := b.event(t, b.mustRecord(t, waiting(public, "", "ines@example.test")))
	token := consent.ConfirmToken(b.Hasher, pending)
	if subject, id, ok := consent.ParseConfirmToken(b.Hasher, token); !ok || subject != pending.Subject || id != pending.ID || len(token) != 66 {
		t.Errorf("%s leads to %s, %s, %v", token, subject, id, ok)
	}
	for i := range token {
		forged := []byte(token)
		forged[i] = 'A' + (forged[i]-'A'+1)%26
		if _, _, ok := consent.ParseConfirmToken(b.Hasher, string(forged)); ok {
			t.Errorf("%s is taken for a token", forged)
		}
	}
}

func FuzzParseConfirmToken(f *testing.F) {
	p := newPartitions(f)
	e := consent.Event{ID: "0190a0a0-0000-7000-8000-000000000001", Subject: p.subject("cust-1")}
	token := consent.ConfirmToken(p.hasher, &e)
	for _, seed := range []string{token, token[1:], token + "A", "", "AQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		subject, id, ok := consent.ParseConfirmToken(p.hasher, text)
		if ok && consent.ConfirmToken(p.hasher, &consent.Event{ID: id, Subject: subject}) != text {
			t.Errorf("two texts are one token: %q", text)
		}
	})
}
