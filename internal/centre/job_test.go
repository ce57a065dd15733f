package centre_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/centre"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/settings"
)

const (
	zoe     = "Zoe@example.test"
	systems = `{"controller":{"name":"Shop","from":"privacy@shop.example","base_url":"https://api.shop.example/","time_zone":"Europe/Paris"},"policy":{"mails_per_day":3}}`
)

// mailer notes what it is given, and may refuse it.
type mailer struct {
	mu     sync.Mutex
	mails  []letter.Message
	answer error
}

func (m *mailer) Send(_ context.Context, l letter.Message) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mails = append(m.mails, l)
	return fmt.Sprint("m", len(m.mails)), m.answer
}

// room is the job over fresh tables.
type room struct {
	*centre.Job
	t      testing.TB
	now    time.Time
	net    *faulty.Transport
	mails  *mailer
	hasher *pseudonym.Hasher
	store  *dynamo.Requests
	events *dynamo.Events
	terms  string
}

func newRoom(t testing.TB) *room {
	t.Helper()
	env := awstest.New(t)
	r := &room{t: t, now: noon, net: &faulty.Transport{}, mails: &mailer{}, hasher: hasher(t, "s"), terms: systems}
	cfg := env.With(r.net.Wrap).Config
	cfg.Retryer = faulty.Impatient
	now := func() time.Time { return r.now }
	r.events = dynamo.NewEvents(cfg, env.Getenv("EVENTS_TABLE"))
	r.store = dynamo.NewRequests(cfg, env.Getenv("REQUESTS_TABLE"), r.hasher, now, func(time.Time) string { return fmt.Sprint("call-", time.Now().UnixNano()) })
	r.Job = &centre.Job{
		People: consent.NewPeople(r.events, r.hasher), Store: r.store, Mailer: r.mails, Hasher: r.hasher, Now: now,
		Settings: func(context.Context) (*settings.Settings, error) { return settings.Parse([]byte(r.terms)) },
	}
	return r
}

// knows puts a consent with an address.
func (r *room) knows(source consent.Source, subject, email string) {
	r.t.Helper()
	rec := consent.NewRecorder(consent.Options{Ledger: r.events, Hasher: r.hasher, Now: r.Now, NewID: func(t time.Time) string { return r.hasher.ID(t, subject, email) }, Inline: 100})
	_, err := rec.Record(r.t.Context(), consent.Policy{Site: "shop", Shards: 1, Backdate: time.Hour}, &consent.Submission{
		Source: source, SubjectID: redact.String(subject), Profile: consent.Profile{Email: &consent.Text{Value: redact.String(email)}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) entry(email string) outbox.Entry {
	r.t.Helper()
	l, ok := centre.Ask(r.hasher, "shop", email, "fr", r.now)
	if !ok {
		r.t.Fatal(email)
	}
	return l.Entry(r.now)
}

func (r *room) do(e outbox.Entry) outbox.Outcome {
	r.t.Helper()
	o, err := r.Do(r.t.Context(), e)
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

// The letter goes to the address as the ledger has it, once, with a link that
// leads to the person.
func TestJob(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.knows(consent.Public, "", zoe)
	e := r.entry("zoe@example.test")
	for range 3 {
		if o := r.do(e); o.State != outbox.Done {
			t.Errorf("%+v", o)
		}
	}
	if len(r.mails.mails) != 1 {
		t.Fatalf("%d letters", len(r.mails.mails))
	}
	m := r.mails.mails[0]
	_, token, _ := strings.Cut(m.Text, "https://api.shop.example/public/preferences/")
	token, _, _ = strings.Cut(token, "\n")
	l, ok := centre.Parse(r.hasher, token)
	if !ok || l.Entry(r.now).Ref != e.Ref || m.To != zoe || m.From != "privacy@shop.example" || m.Language != "fr" || !strings.Contains(m.Text, "jusqu’au 4 février 2026 à 13 h 00 (CET)") {
		t.Errorf("%+v, %v, %s\n%s", l, ok, m.To.Reveal(), m.Text)
	}
	if asked, err := r.store.Asked(t.Context(), l.ID); err != nil || asked == nil || asked.Message.Wording != "" {
		t.Errorf("what is kept of the letter: %+v, %v", asked, err)
	}
}

// Who gets a letter, and what is kept of whom it is not sent to.
func TestJob_who(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		prepare func(r *room)
		want    outbox.Outcome
		mails   int
	}{
		"nobody":              {func(*room) {}, outbox.Outcome{State: outbox.Skipped, Forget: true}, 0},
		"by a page":           {func(r *room) { r.knows(consent.Public, "", zoe) }, outbox.Outcome{State: outbox.Done}, 1},
		"bound by a back end": {func(r *room) { r.knows(consent.Private, "cust-1", zoe) }, outbox.Outcome{State: outbox.Done}, 1},
		"claimed by a page":   {func(r *room) { r.knows(consent.Public, "cust-1", zoe) }, outbox.Outcome{State: outbox.Skipped, Forget: true}, 0},
		"erased": {func(r *room) {
			r.knows(consent.Private, "cust-1", zoe)
			for _, p := range []string{r.hasher.Subject("shop", "cust-1"), r.hasher.Subject("shop", r.hasher.EmailSubject("shop", "zoe@example.test"))} {
				rows, _, err := r.events.Page(r.t.Context(), p, "", 100)
				for _, row := range rows {
					err = errors.Join(err, r.events.Bury(r.t.Context(), p, row.Sort, "shop", r.now))
				}
				if err != nil || len(rows) == 0 {
					r.t.Fatal(len(rows), err)
				}
			}
		}, outbox.Outcome{State: outbox.Skipped, Forget: true}, 0},
		"mail came back": {func(r *room) {
			r.knows(consent.Public, "", zoe)
			if err := r.store.Suppress(r.t.Context(), r.hasher.Mailbox(zoe), "bounce", r.now); err != nil {
				r.t.Fatal(err)
			}
		}, outbox.Outcome{State: outbox.Failed, Reason: "mail to this address came back, or its owner does not want any"}, 0},
		"no sender":           {func(r *room) { r.knows(consent.Public, "", zoe); r.terms = `{"controller":{"name":"Shop"}}` }, outbox.Outcome{State: outbox.Due, After: time.Hour, Reason: "systems.json names no sender or no base_url"}, 0},
		"a refused file":      {func(r *room) { r.knows(consent.Public, "", zoe); r.Settings = refused }, outbox.Outcome{State: outbox.Due, After: time.Hour, Reason: "systems.json is refused"}, 0},
		"surely not sent":     {func(r *room) { r.knows(consent.Public, "", zoe); r.mails.answer = request.ErrNotTaken }, outbox.Outcome{State: outbox.Due}, 1},
		"nobody knows":        {func(r *room) { r.knows(consent.Public, "", zoe); r.mails.answer = errors.New("cut") }, outbox.Outcome{State: outbox.Unknown, Reason: "nobody knows whether the message went out: it is not sent again"}, 1},
		"the service is slow": {func(r *room) { r.knows(consent.Public, "", zoe); r.now = noon.Add(24 * time.Hour) }, outbox.Outcome{State: outbox.Failed, Reason: "the link has lapsed before it could be sent"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t)
			e := r.entry(zoe)
			tt.prepare(r)
			if o := r.do(e); o != tt.want || len(r.mails.mails) != tt.mails {
				t.Errorf("%+v, %d letters, want %+v, %d", o, len(r.mails.mails), tt.want, tt.mails)
			}
		})
	}
}

func refused(context.Context) (*settings.Settings, error) {
	return nil, errs.New(errs.Internal, "the configuration is refused")
}

// A site sends so many letters in a day; the next day the rest goes.
func TestJob_sitesDay(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	for i := range 5 {
		email := fmt.Sprintf("zoe%d@example.test", i)
		r.knows(consent.Public, "", email)
		want := outbox.Done
		if i >= 3 {
			want = outbox.Due
		}
		if o := r.do(r.entry(email)); o.State != want {
			t.Errorf("%d: %+v", i, o)
		}
	}
	r.now = noon.Add(12 * time.Hour)
	if o := r.do(r.entry("zoe4@example.test")); o.State != outbox.Done {
		t.Errorf("%+v", o)
	}
}

// Whichever call fails or loses its reply: in the end one letter at the most has
// gone out, and exactly one where nothing hides it.
func TestJob_faults(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	r.terms = strings.Replace(systems, `"mails_per_day":3`, `"mails_per_day":1000`, 1)
	r.knows(consent.Public, "", "first@example.test")
	r.net.Reset()
	r.do(r.entry("first@example.test"))
	for n, c := range r.net.Calls() {
		for _, f := range []faulty.Fault{faulty.Refused, faulty.Lost} {
			email := fmt.Sprintf("zoe%d-%d@example.test", n, f)
			r.net.Reset()
			r.knows(consent.Public, "", email)
			e, before := r.entry(email), len(r.mails.mails)
			r.net.Reset()
			r.net.Break(faulty.Nth(c.Operation, c.Nth, f))
			first, err := r.Do(t.Context(), e)
			if err != nil && !errs.Is(err, errs.Unavailable) {
				t.Errorf("%s %d, %s: %v", c.Operation, c.Nth, f, err)
			}
			r.net.Reset()
			var last outbox.Outcome
			for range 3 {
				r.now = r.now.Add(5 * time.Minute)
				last = r.do(e)
			}
			if sent := len(r.mails.mails) - before; sent != 1 || last.State != outbox.Done && last.State != outbox.Unknown {
				t.Errorf("%s %d, %s: %+v, then %+v, %d letters", c.Operation, c.Nth, f, first, last, sent)
			}
		}
	}
}
