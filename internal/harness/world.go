// Package harness runs data-subject requests as a whole in a test: the functions
// as they are deployed, the state machines as they are deployed, the tables and
// buckets of the template in the emulator, and a clock that only the test moves,
// or the local engine and the real clock. Everything that leaves a function, to
// AWS or to a vendor, can be made to fail at any call.
package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/google/uuid"

	doors "github.com/avow-consent/avow/internal/admin"
	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/asl"
	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/collect"
	"github.com/avow-consent/avow/internal/connector/company/vendors"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/erase"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/preferences"
	"github.com/avow-consent/avow/internal/propagate"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/requests"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/steps"
	"github.com/avow-consent/avow/internal/sweep"
	"github.com/avow-consent/avow/internal/webhook"
	"github.com/avow-consent/avow/scripts/local/edge"
	"github.com/avow-consent/avow/scripts/local/emulator"
	"github.com/avow-consent/avow/scripts/site/admin"
)

// Start is what the clock of a World shows first: a Monday morning.
var Start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// siteID is the company's site.
const siteID = "shop"

// Options say how a World differs from a company that has set nothing.
type Options struct {
	Policy  string // JSON object of systems.json; "" for the defaults
	Systems string // JSON list of systems beside the ledger; "" for none
	// Bare leaves the reference vendor out.
	Bare bool
	// Company are systems of internal/connector/company/vendors that are there
	// instead of the reference vendor.
	Company []string
	// Local takes the local engine of Step Functions and the real clock, on which a
	// day of policy and vendor lasts a second.
	Local bool
}

// World is a company with its site, its keys and its systems.
type World struct {
	Env     *awstest.Env
	Engine  *asl.Engine // nil on the local engine
	Now     func() time.Time
	AWS     *faulty.Transport // every call of AWS by a function that the engine runs goes through it
	Doors   *faulty.Transport // those of the functions behind the API, and of sweep
	Desk    *fake.Server      // the reference vendor
	Company *vendors.Vendors  // see Options.Company
	Vendor  *faulty.Transport // every call of a vendor goes through this
	Site    string
	Public  string
	Secret  string // private key
	Roles   map[keys.Rank]string
	Log     *Lines // what the functions log
	URL     string
	// OnInvoke is told of each invocation of a function by the engine, before it
	// happens.
	OnInvoke func(request.Payload)
	// OnCall is told of each call of a vendor before it is sent.
	OnCall func(*http.Request)

	deskURL   string
	addresses map[string]string // of the company's vendors, by system
	breaker   breaker
	sweep     lambda.Handler
	propagate lambda.Handler

	base func(function string) *setup.Base
	ids  int
	mu   sync.Mutex
}

// Lines gathers what is written.
type Lines struct {
	mu sync.Mutex
	b  strings.Builder
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was written.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// New makes a world of its own, with tables of its own.
func New(t testing.TB, o Options) *World {
	t.Helper()
	w := &World{
		Env: awstest.New(t), Now: time.Now, AWS: &faulty.Transport{}, Doors: &faulty.Transport{}, Vendor: &faulty.Transport{},
		Roles: map[keys.Rank]string{}, Log: &Lines{},
	}
	if !o.Local {
		w.Engine = asl.New(Start)
		w.Now = w.Engine.Now
	}
	server := httptest.NewUnstartedServer(nil)
	w.URL = "http://" + server.Listener.Addr().String()
	w.desk(t, o)
	w.company(t, o)
	w.configure(t, o)
	w.seed(t)
	w.deploy(t)
	server.Config.Handler = w.gateway(t)
	server.Start()
	t.Cleanup(server.Close)
	return w
}

// desk starts the reference vendor on the world's clock.
func (w *World) desk(t testing.TB, o Options) {
	t.Helper()
	if o.Bare || o.Company != nil {
		return
	}
	w.Desk = fake.New(fake.Options{Options: fakekit.Options{Now: w.Now, Day: o.day()}})
	w.deskURL = listen(t, w.Desk)
	w.secret(t, "helpdesk", []byte(`{"client_id":"avow","client_secret":"refdesk-secret"}`))
}

// company starts the company's vendors on the world's clock.
func (w *World) company(t testing.TB, o Options) {
	t.Helper()
	if o.Company == nil {
		return
	}
	w.Company, w.addresses = vendors.New(fakekit.Options{Now: w.Now, Day: o.day()}), map[string]string{}
	secrets, fakes := vendors.Secrets(), w.Company.Fakes()
	for _, name := range o.Company {
		if fake := fakes[name]; fake != nil {
			w.addresses[name] = listen(t, fake)
		}
	}
	for name, credentials := range secrets {
		w.secret(t, name, credentials)
	}
}

// listen serves a fake and returns its address.
func listen(t testing.TB, fake http.Handler) string {
	server := httptest.NewServer(fake)
	t.Cleanup(server.Close)
	return server.URL
}

// secret keeps the credentials of a system.
func (w *World) secret(t testing.TB, system string, text []byte) {
	t.Helper()
	_, err := secretsmanager.NewFromConfig(w.Env.Config).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
		Name: aws.String(w.Env.Getenv("SYSTEM_SECRET_PREFIX") + system), SecretString: aws.String(string(text)),
	})
	var exists *types.ResourceExistsException // the reply to the first attempt was lost
	if err != nil && !errors.As(err, &exists) {
		t.Fatal(err)
	}
}

// helpdesk is the entry of the reference vendor in systems.json.
func (w *World) helpdesk() json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{
		"name": "helpdesk", "kind": "refdesk", "title": {"en": "Help desk", "fr": "Assistance"}, "secret": "helpdesk",
		"config": {"base_url": %q, "allow_local": true},
		"processor": {"name": "Refdesk GmbH", "dpa": "2025-03-01"}, "region": "DE"
	}`, w.deskURL))
}

// configure writes systems.json into its secret.
func (w *World) configure(t testing.TB, o Options) {
	t.Helper()
	systems := []json.RawMessage{}
	if o.Systems != "" {
		if err := json.Unmarshal([]byte(o.Systems), &systems); err != nil {
			t.Fatal(err)
		}
	}
	if w.Desk != nil {
		systems = append(systems, w.helpdesk())
	}
	for _, entry := range vendors.Systems(o.Company, w.addresses, siteID, o.day()) {
		text, err := json.Marshal(entry)
		if err != nil {
			t.Fatal(err)
		}
		systems = append(systems, text)
	}
	policy := map[string]any{}
	if o.Policy != "" {
		if err := json.Unmarshal([]byte(o.Policy), &policy); err != nil {
			t.Fatal(err)
		}
	}
	if o.Local {
		policy["day"] = localDay.String()
	}
	text, err := json.Marshal(map[string]any{
		"controller": map[string]any{
			"name": "Example SAS", "address": "1 rue des Lilas, 75011 Paris",
			"dpo":       map[string]string{"name": "The DPO", "email": "dpo@example.test"},
			"authority": map[string]string{"en": "CNIL, cnil.fr", "fr": "CNIL, cnil.fr"},
			"from":      w.from(), "base_url": w.URL, "time_zone": "Europe/Paris",
		},
		"policy": policy, "systems": systems,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = secretsmanager.NewFromConfig(w.Env.Config).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(w.Env.Getenv("SYSTEMS_SECRET")), SecretString: aws.String(string(text)),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// seed makes the site and a key for everybody.
func (w *World) seed(t testing.TB) {
	t.Helper()
	a, err := admin.New(w.Env.Config, w.Env.Getenv, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	w.Site, w.Public, w.Secret = siteID, keys.New(), keys.New()
	_, err = a.CreateSite(t.Context(), w.Site, "A shop", 2, site.Settings{}, []site.Purpose{
		{Key: "newsletter", Purpose: map[string]string{"en": "News"}, LegalBasis: "consent", Channel: "email"},
		{Key: "ads", Purpose: map[string]string{"en": "Advertising"}, LegalBasis: "consent", SaleOrSharing: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	for class, text := range map[keys.Class]string{keys.Public: w.Public, keys.Private: w.Secret} {
		if err := a.PutKey(t.Context(), w.Site, class, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, rank := range keys.Ranks {
		w.Roles[rank] = keys.New()
		if err := a.PutRoleKey(t.Context(), w.Site, "The "+string(rank), rank, w.Roles[rank]); err != nil {
			t.Fatal(err)
		}
	}
}

// component builds a function on a base.
type component func(context.Context, *setup.Base) (lambda.Handler, error)

// machined are the functions that the engine calls, served those behind routes.
var (
	machined = map[string]component{"steps": steps.New, "erase": erase.New}
	served   = map[string]component{"admin": doors.New, "api": api.New, "collect": collect.New, "preferences": preferences.New, "requests": requests.New, "webhook": webhook.New}
)

// deploy makes the machines and new instances of the functions they call.
func (w *World) deploy(t testing.TB) {
	t.Helper()
	w.base = func(function string) *setup.Base { return w.newBase(t, function) }
	w.Restart(t)
	if w.Engine == nil {
		return // its machines come with the functions
	}
	checkout, err := emulator.FindCheckout()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range w.Env.Stack.Machines {
		text, err := os.ReadFile(filepath.Join(checkout.Root, m.Definition))
		if err != nil {
			t.Fatal(err)
		}
		substitutions := map[string]string{}
		for name, value := range m.Substitutions {
			substitutions[name] = value
		}
		substitutions["StepsFunctionArn"] = asl.FunctionARN("steps")
		substitutions["EraseFunctionArn"] = asl.FunctionARN("erase")
		if _, err := w.Engine.Machine(m.Name, string(text), substitutions); err != nil {
			t.Fatal(err)
		}
	}
}

// Restart replaces every instance of the functions that the engine calls, as if
// all had been cold.
func (w *World) Restart(t testing.TB) {
	t.Helper()
	functions := map[string]lambda.Handler{}
	for name, build := range machined {
		h, err := build(t.Context(), w.base(name))
		if err != nil {
			t.Fatal(err)
		}
		functions[name] = mortal{h, &w.breaker, w}
	}
	if w.Engine == nil {
		w.Env.Engine(t, functions)
		return
	}
	for name, h := range functions {
		w.Engine.Function(name, h)
	}
}

// newBase is the ground of one function of this world.
func (w *World) newBase(t testing.TB, function string) *setup.Base {
	t.Helper()
	base, err := setup.NewBase(t.Context(), w.Env.Function(function))
	if err != nil {
		t.Fatal(err)
	}
	through := w.Doors
	if machined[function] != nil {
		through = w.AWS
	}
	env := w.Env.With(func(next http.RoundTripper) http.RoundTripper {
		if w.Engine != nil {
			next = &states{engine: w.Engine, next: next}
		}
		return through.Wrap(next)
	})
	base.Config = env.Config
	base.Config.Retryer = faulty.Impatient
	base.Now = w.Now
	base.NewID = w.newID
	base.Log = slog.New(slog.NewJSONHandler(w.Log, nil))
	base.Vendors = w.Vendor.Wrap(watched{w})
	base.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	return base
}

// watched tells the world of each call that leaves for a vendor. Each takes a
// moment of the vendors' time, because their limits are by the second.
type watched struct{ w *World }

// moment is how long a call of a vendor takes.
const moment = 50 * time.Millisecond

// RoundTrip implements http.RoundTripper.
func (c watched) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.w.OnCall != nil {
		c.w.OnCall(r)
	}
	if c.w.Company != nil {
		for _, fake := range c.w.Company.Fakes() {
			fake.Advance(moment)
		}
	}
	return http.DefaultTransport.RoundTrip(r)
}

// SetSecret replaces the credentials of a system.
func (w *World) SetSecret(t testing.TB, system, text string) {
	t.Helper()
	_, err := secretsmanager.NewFromConfig(w.Env.Config).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(w.Env.Getenv("SYSTEM_SECRET_PREFIX") + system), SecretString: aws.String(text),
	})
	if err != nil {
		t.Fatal(err)
	}
}

// newID is a UUIDv7 of the given time; ids of one time are in order.
func (w *World) newID(at time.Time) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	id := uuid.UUID{}
	ms := uint64(at.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	for i := range 8 {
		id[15-i] = byte(uint64(w.ids) >> (8 * i))
	}
	id[6], id[8] = 0x70, 0x80|id[8]&0x3f
	return id.String()
}

// gateway puts functions behind the routes of the template.
func (w *World) gateway(t testing.TB) http.Handler {
	t.Helper()
	c := edge.Config{Functions: map[string]lambda.Handler{}, Timeouts: map[string]time.Duration{}, Log: slog.New(slog.NewJSONHandler(w.Log, nil))}
	for name, build := range served {
		h, err := build(t.Context(), w.base(name))
		if err != nil {
			t.Fatal(err)
		}
		c.Functions[name] = h
	}
	for _, f := range w.Env.Stack.Functions {
		c.Timeouts[f.Name] = time.Duration(f.Timeout) * time.Second
	}
	for _, r := range w.Env.Stack.API.Routes {
		c.Routes = append(c.Routes, edge.Route(r))
	}
	h, err := edge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Propagate lets the function of the outbox's schedule run once.
func (w *World) Propagate(t testing.TB) {
	t.Helper()
	if w.propagate == nil {
		h, err := propagate.New(t.Context(), w.base("propagate"))
		if err != nil {
			t.Fatal(err)
		}
		w.propagate = h
	}
	const event = `{"detail-type":"Scheduled Event","source":"aws.events","detail":{}}`
	if _, err := w.propagate.Invoke(t.Context(), []byte(event)); err != nil {
		t.Fatal(err)
	}
}

// Outbox is what has to be told.
func (w *World) Outbox() *dynamo.Outbox {
	return dynamo.NewOutbox(w.Env.Config, w.Env.Getenv("OUTBOX_TABLE"))
}

// Sweep lets the function of the schedule run once.
func (w *World) Sweep(t testing.TB) {
	t.Helper()
	if w.sweep == nil {
		h, err := sweep.New(t.Context(), w.base("sweep"))
		if err != nil {
			t.Fatal(err)
		}
		w.sweep = h
	}
	event := fmt.Sprintf(`{"source":"aws.events","detail-type":"Scheduled Event","time":%q,"detail":{}}`, w.Now().UTC().Format(time.RFC3339))
	if _, err := w.sweep.Invoke(t.Context(), []byte(event)); err != nil {
		t.Fatal(err)
	}
}

// Answer is what the API has answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Get reads a field of a JSON body, such as "tasks.0.id".
func (a Answer) Get(path string) any {
	var v any
	_ = json.Unmarshal(a.Body, &v)
	for _, name := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

// Text is Get for a text.
func (a Answer) Text(path string) string {
	s, _ := a.Get(path).(string)
	return s
}

// Do calls the API. Body is JSON, or nil.
func (w *World) Do(t testing.TB, key, method, path string, body any) Answer {
	t.Helper()
	var text io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = strings.NewReader(string(b))
	}
	r, err := http.NewRequestWithContext(t.Context(), method, w.URL+path, text)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("ApiKey", key)
	r.Header.Set("Content-Type", "application/json")
	return w.send(t, r)
}

var client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func (w *World) send(t testing.TB, r *http.Request) Answer {
	t.Helper()
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Answer{res.StatusCode, res.Header, b}
}

// Must is Do that fails the test on any other status than want.
func (w *World) Must(t testing.TB, want int, key, method, path string, body any) Answer {
	t.Helper()
	a := w.Do(t, key, method, path, body)
	if a.Status != want {
		t.Fatalf("%s %s: %d, want %d: %s", method, path, a.Status, want, a.Body)
	}
	return a
}

// Mail is a letter that went out.
type Mail struct{ From, To, Subject, Text, HTML string }

// Link is the address of the one link of a letter.
func (m Mail) Link() string {
	for _, word := range strings.Fields(m.Text) {
		if strings.Contains(word, "/public/confirm/") {
			return strings.Trim(word, "<>().,")
		}
	}
	return ""
}

// Mails are the letters of this world, the oldest first.
func (w *World) Mails(t testing.TB) []Mail {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.Env.URL+"/_ministack/ses/messages", nil)
	if err != nil {
		t.Fatal(err)
	}
	a := w.send(t, r)
	var all struct {
		Messages map[string][]struct { // by account
			Source   string
			To       []string
			Subject  string
			BodyText string
			BodyHTML string `json:"BodyHtml"`
		}
	}
	if err := json.Unmarshal(a.Body, &all); err != nil {
		t.Fatalf("%v: %.200s", err, a.Body)
	}
	var list []Mail
	for _, m := range slices.Concat(slices.Collect(maps.Values(all.Messages))...) {
		if strings.Contains(m.Source, w.from()) {
			list = append(list, Mail{From: m.Source, To: strings.Join(m.To, ", "), Subject: m.Subject, Text: m.BodyText, HTML: m.BodyHTML})
		}
	}
	return list
}

// from is the sender of this world's letters: the emulator keeps those of all.
func (w *World) from() string { return "privacy@" + w.Env.Stack.Name + ".example.test" }

// LastMail is the latest letter to an address.
func (w *World) LastMail(t testing.TB, to string) Mail {
	t.Helper()
	all := w.Mails(t)
	for i := range all {
		if m := all[len(all)-1-i]; strings.Contains(m.To, to) {
			return m
		}
	}
	t.Fatalf("no letter to %s among %d", to, len(all))
	return Mail{}
}

// Follow posts to a link, as the button on its page does.
func (w *World) Follow(t testing.TB, link string) Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, link, strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return w.send(t, r)
}

// Invoke calls a function as the engine does.
func (w *World) Invoke(t testing.TB, function string, p request.Payload) (request.Result, error) {
	t.Helper()
	payload, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	h, err := machined[function](t.Context(), w.base(function))
	if err != nil {
		t.Fatal(err)
	}
	out, err := h.Invoke(t.Context(), payload)
	if err != nil {
		return request.Result{}, err
	}
	var r request.Result
	return r, json.Unmarshal(out, &r)
}
