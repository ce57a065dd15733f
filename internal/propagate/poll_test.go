package propagate

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/site"
)

const (
	ines = "ines@example.com"
	flag = "no_mail"
)

// crm is a system with one record, and what happens there while it is listed.
type crm struct {
	connector.Connector
	yes   bool
	while func()
}

func (*crm) Inventory() connector.Inventory { return connector.Inventory{System: "crm"} }
func (*crm) CheckMark(string) error         { return nil }

func (c *crm) Mark(_ context.Context, m connector.Marking) (connector.Marked, error) {
	out := connector.Marked{Records: 1}
	if !c.yes && m.Yes[flag] && m.OwnNo(flag) {
		out.Own = []string{flag}
		return out, nil
	}
	c.yes = m.Yes[flag]
	return out, nil
}

func (c *crm) Marks(context.Context, []string, string) ([]connector.Flagged, string, bool, error) {
	list := []connector.Flagged{{Email: ines, Yes: map[string]bool{flag: c.yes}}}
	if c.while != nil {
		c.while()
	}
	return list, "", false, nil
}

type theSite struct{ *site.Site }

func (s theSite) Refresh(context.Context, string) (*site.Site, error) { return s.Site, nil }

// scene is a system that follows what Ines answers.
type scene struct {
	t        *testing.T
	crm      *crm
	worker   *outbox.Worker
	store    *dynamo.Outbox
	people   *consent.People
	recorder *consent.Recorder
	subject  string
	now      time.Time
}

func newScene(t *testing.T) *scene {
	t.Helper()
	env := awstest.New(t)
	hasher, err := pseudonym.New([]byte(strings.Repeat("a", 32)))
	if err != nil {
		t.Fatal(err)
	}
	events := dynamo.NewEvents(env.Config, env.Getenv("EVENTS_TABLE"))
	s := &scene{
		t: t, crm: &crm{yes: true}, store: dynamo.NewOutbox(env.Config, env.Getenv("OUTBOX_TABLE")), people: consent.NewPeople(events, hasher),
		subject: hasher.Subject("shop", hasher.EmailSubject("shop", ines)), now: time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC),
	}
	now := func() time.Time { return s.now }
	s.recorder = consent.NewRecorder(consent.Options{Ledger: events, People: s.people, Hasher: hasher, Now: now, NewID: func(at time.Time) string { return hasher.ID(at, "x") }})
	m := mark{
		store: s.store, sites: theSite{&site.Site{ID: "shop"}}, people: s.people, now: now, newID: hasher.ID,
		systems: func(context.Context) ([]request.System, error) {
			return []request.System{{Name: "crm", Connector: s.crm, Marks: map[string]string{flag: "news"}}}, nil
		},
		amender: &consent.Amender{Ledger: events, Hasher: hasher, Now: now},
		policy:  func(context.Context) (request.Policy, error) { return request.Policy{}, nil },
	}
	p := poll{mark: m, ids: func(context.Context) ([]string, error) { return []string{"shop"}, nil }, begun: new(sync.Map)}
	if err := p.begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.worker = &outbox.Worker{
		Store: s.store, Jobs: map[outbox.Kind]outbox.Job{outbox.Mark: m, outbox.Poll: p}, Now: now, Log: slog.New(slog.DiscardHandler), Wait: connector.RetryAfter,
	}
	return s
}

// says records an answer of Ines, and has the system told.
func (s *scene) says(yes bool) {
	s.t.Helper()
	s.now = s.now.Add(time.Minute)
	_, err := s.recorder.Record(s.t.Context(), consent.Policy{Site: "shop", Shards: 1, Backdate: time.Hour}, &consent.Submission{
		Source: consent.Private, Profile: consent.Profile{Email: &consent.Text{Value: redact.String(ines)}},
		Preferences: []consent.Preference{{Key: "news", Value: map[bool]string{true: "true", false: "false"}[yes]}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	err = s.store.Renew(s.t.Context(), outbox.Entry{Ref: outbox.Ref{Subject: s.subject, Kind: outbox.Mark, ID: "crm"}, Site: "shop", Since: s.now, Next: s.now})
	if err != nil {
		s.t.Fatal(err)
	}
	s.tell(outbox.Mark)
}

// tell does what is due of a kind.
func (s *scene) tell(kind outbox.Kind) {
	s.t.Helper()
	due, err := s.store.Due(s.t.Context(), s.now, 100)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range slices.DeleteFunc(due, func(r outbox.Ref) bool { return r.Kind != kind }) {
		if err := s.worker.Tell(s.t.Context(), r); err != nil {
			s.t.Fatal(err)
		}
	}
}

// polls asks the system, and does what follows.
func (s *scene) polls() {
	s.t.Helper()
	s.now = s.now.Add(time.Hour)
	s.tell(outbox.Poll)
	s.tell(outbox.Mark)
}

func (s *scene) wants(reason consent.Reason, yes bool, when string) {
	s.t.Helper()
	u, err := s.people.ByEmail(s.t.Context(), "shop", ines, time.Time{})
	if err != nil {
		s.t.Fatal(err)
	}
	if got := consent.Decide(u.Events, "news", consent.View{Now: s.now}, consent.Rules{}); got.Reason != reason || s.crm.yes != yes {
		s.t.Errorf("%s: the ledger says %s, the system %v", when, got.Reason, s.crm.yes)
	}
}

// A list that is read while the person agrees again says no where the system was
// told so: that is no withdrawal. What is entered there is.
func TestPoll_oldList(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.says(true)
	s.says(false)
	s.wants(consent.Withdrawn, false, "before the list")
	s.crm.while = func() { s.says(true) }
	s.polls()
	s.crm.while = nil
	s.wants(consent.Granted, true, "while it was listed they have agreed again")
	s.crm.yes = false
	s.polls()
	s.wants(consent.Objected, false, "a no that was entered there")
	s.crm.yes = true
	s.polls()
	s.wants(consent.Objected, false, "a yes that was entered there")
}
