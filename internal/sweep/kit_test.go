package sweep

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
)

// machine records what an engine is told. Runs live until a test ends them.
type machine struct {
	mu      sync.Mutex
	meet    func() (do, answer bool)
	started []string // names, each once
	ended   map[string]bool
	told    []string // token=outcome
	late    bool     // tokens are of runs that have ended
	deaf    error    // what Succeed answers
	fails   map[string]error
	panics  string // id of a request
}

// broken is what a call meets that a test has ended.
func broken(meet func() (do, answer bool)) (do bool, err error) {
	if meet == nil {
		return true, nil
	}
	do, answer := meet()
	if !answer {
		err = errDied
	}
	return do, err
}

func (m *machine) Start(_ context.Context, request, name string) (string, error) {
	do, err := broken(m.meet)
	if !do {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fails[request]; err != nil {
		return "", err
	}
	if m.ended[name] {
		return "", errs.New(errs.Conflict, "the name is taken")
	}
	for _, s := range m.started {
		if s == name {
			return "arn:" + name, err
		}
	}
	m.started = append(m.started, name)
	return "arn:" + name, err
}

func (m *machine) Alive(_ context.Context, execution string) (bool, error) {
	if _, err := broken(m.meet); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	name := strings.TrimPrefix(execution, "arn:")
	if m.panics != "" && strings.Contains(name, m.panics) {
		panic("ines@example.com")
	}
	for id, err := range m.fails {
		if strings.Contains(name, id) {
			return false, err
		}
	}
	return name != "" && !m.ended[name], nil
}

func (m *machine) Succeed(_ context.Context, token, outcome string) (bool, error) {
	do, err := broken(m.meet)
	if !do {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deaf != nil {
		return false, m.deaf
	}
	m.told = append(m.told, token+"="+outcome)
	return !m.late, err
}

// mailbox records mails.
type mailbox struct {
	mu    sync.Mutex
	meet  func() (do, answer bool)
	mails []letter.Message
	fail  error
}

func (o *mailbox) Send(_ context.Context, m letter.Message) (string, error) {
	do, err := broken(o.meet)
	if !do {
		return "", err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return "", o.fail
	}
	o.mails = append(o.mails, m)
	return fmt.Sprint("message-", len(o.mails)), err
}

// to are the mails to an address: their subjects.
func (o *mailbox) to(address string) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := []string{}
	for _, m := range o.mails {
		if m.To.Reveal() == address {
			list = append(list, m.Subject)
		}
	}
	return list
}

const (
	ines = "ines@example.com"
	dpo  = "dpo@example.com"
)

var (
	start  = time.Date(2026, time.March, 5, 10, 0, 0, 0, time.UTC) // gdpr: due 5 April
	olga   = request.Actor{Who: "Olga", Role: "operator"}
	moment = time.Minute
)

const days = 24 * time.Hour

// kit is a sweeper on a real store, with a clock that the test moves.
type kit struct {
	*sweeper
	store   *dynamo.Requests
	machine *machine
	mails   *mailbox
	lines   *bytes.Buffer
	at      time.Time
	regime  request.Regime
}

func newKit(t *testing.T) *kit {
	t.Helper()
	return newKitOn(t, func(next http.RoundTripper) http.RoundTripper { return next })
}

func newKitOn(t *testing.T, wrap func(http.RoundTripper) http.RoundTripper) *kit {
	t.Helper()
	env := awstest.New(t).With(wrap)
	env.Config.Retryer = faulty.Impatient
	hasher, err := pseudonym.New([]byte("a secret of these tests, 32 bytes long"))
	if err != nil {
		t.Fatal(err)
	}
	letters, err := letter.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{machine: &machine{ended: map[string]bool{}, fails: map[string]error{}}, mails: &mailbox{}, lines: &bytes.Buffer{}, at: start, regime: request.GDPR}
	now := func() time.Time { return k.at }
	newID := func(at time.Time) string { return hasher.ID(at, rand.Text()) }
	k.store = dynamo.NewRequests(env.Config, env.Getenv("REQUESTS_TABLE"), hasher, now, newID)
	controller := request.Controller{
		Name: "Example Company", From: "privacy@example.com", BaseURL: "https://avow.example", TimeZone: "Europe/Paris", DPO: request.Contact{Email: dpo},
	}
	policy := request.Defaults()
	k.sweeper = &sweeper{
		store: k.store, flow: k.machine, policy: policy, hash: hasher.Mailbox, now: now, log: slog.New(slog.NewJSONHandler(k.lines, nil)),
		links: request.Links{Store: k.store, Policy: policy, Controller: controller, Now: now, Token: request.NewToken},
		post: request.Postman{
			Store: k.store, Letters: letters, Mailer: k.mails, Controller: controller, Policy: policy, Hash: hasher.Mailbox, Now: now,
		},
	}
	return k
}

// open stores a request that a living run works on, proven by mail, apart from
// what change makes of it.
func (k *kit) open(t *testing.T, change func(*request.Request, *request.Personal)) *request.Request {
	t.Helper()
	r := &request.Request{
		ID: uuid.NewString(), Site: "site-example", Type: request.Erasure, Regime: k.regime, State: request.Running, Language: "en",
		Opened: request.ThePerson, Received: k.at, Since: k.at, Epoch: 1, Next: k.at,
		Identity: request.Identity{Method: "email", ProvenAt: k.at, Links: 1},
	}
	var err error
	r.Clock, err = request.NewClock(request.Regimes()[k.regime], request.Controller{TimeZone: "Europe/Paris"}, k.policy, k.at)
	must(t, err)
	r.Execution = "arn:" + r.ID + "-1"
	p := request.Personal{Name: "Ines Example", Address: ines}
	if change != nil {
		change(r, &p)
	}
	email := identity.Identifier{Kind: identity.Email, Value: ines, Trust: identity.Proven}
	known := []request.Known{{Identifier: email, Key: "key-of-ines"}}
	must(t, k.store.Create(t.Context(), r, request.Entry{At: k.at, By: r.Opened, Act: request.Open, To: r.State}, p, known))
	if r.Identity.Links > 0 { // the link went out
		must(t, k.store.PutMail(t.Context(), r.ID, request.Mail{Key: "identity_link.1", Kind: "identity_link", At: k.at}))
		must(t, k.store.Sent(t.Context(), r.ID, "identity_link.1", "message-0", k.at))
	}
	return r
}

// sweep runs a sweep after a while.
func (k *kit) sweep(t *testing.T, after time.Duration) Report {
	t.Helper()
	k.at = k.at.Add(after)
	report, err := k.run(t.Context())
	must(t, err)
	return report
}

func (k *kit) get(t *testing.T, id string) *request.Request {
	t.Helper()
	r, err := k.store.Get(t.Context(), id)
	must(t, err)
	return r
}

// acts are what the log says of Avow, letters apart.
func (k *kit) acts(t *testing.T, id string) []request.Act {
	t.Helper()
	log, err := k.store.Log(t.Context(), id, "", 1000)
	must(t, err)
	acts := []request.Act{}
	for _, e := range log {
		if e.By == request.Avow && e.Act != request.Letter {
			acts = append(acts, e.Act)
		}
	}
	return acts
}

// write changes a request as somebody else would.
func (k *kit) write(t *testing.T, id string, change func(*request.Request, *request.Change)) {
	t.Helper()
	r := k.get(t, id)
	c := request.Change{Request: r}
	change(r, &c)
	r.Next = request.NextVisit(r, k.policy, k.at)
	must(t, k.store.Write(t.Context(), c))
}

// events are the alarms in the log of the function.
func (k *kit) events() []string {
	list := []string{}
	for line := range strings.Lines(k.lines.String()) {
		if _, rest, ok := strings.Cut(line, `"event":"`); ok {
			name, _, _ := strings.Cut(rest, `"`)
			list = append(list, name)
		}
	}
	return list
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func unproven(r *request.Request, _ *request.Personal) {
	r.State, r.Identity.ProvenAt = request.WaitingIdentity, time.Time{}
}

func byHand(r *request.Request, _ *request.Personal) {
	r.Opened, r.Identity = olga, request.Identity{Method: "operator", ProvenAt: r.Received, By: olga, Evidence: "passport seen"}
}

var hold = request.Hold{Ground: "Art. 17(3)(e) GDPR", Reason: "a claim is pending", By: olga}
