package preferences_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/preferences"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

const (
	publicKey   = "public-key-of-a-test-0000000000001"
	listedKey   = "public-key-of-a-test-0000000000002" // for one origin
	privateKey  = "private-key-of-a-test-000000000001"
	tokenSecret = "a-token-secret-of-a-test"
	network     = "203.0.113.77"
	ines        = "cust-881"
)

// systems is the company's configuration.
const systems = `{"controller":{"name":"Shop & Co","dpo":{"name":"Privacy","email":"dpo@shop.example"},"from":"privacy@shop.example","base_url":"https://api.shop.example","time_zone":"Europe/Paris"}}`

// register is what the shop asks.
var register = []site.Purpose{
	{Key: "newsletter", Purpose: map[string]string{"en": "News by e-mail", "fr": "Nos nouvelles par e-mail"}, LegalBasis: "consent", Channel: "email", ValidityDays: 365},
	{Key: "ads", Purpose: map[string]string{"en": "Advertising", "fr": "Publicité"}, SaleOrSharing: true},
	{Key: "statistics", Purpose: map[string]string{"en": "What is read on our pages"}, LegalBasis: "Legitimate interests"},
	{Key: "terms", Purpose: map[string]string{"en": "Your orders"}, LegalBasis: "contract"},
	{Key: "books", Purpose: map[string]string{"en": "Our accounts"}, LegalBasis: "legal obligation"},
}

// door is the component over fresh tables, with its keys, its site and a clock.
type door struct {
	lambda.Handler
	t      testing.TB
	env    *awstest.Env
	net    *faulty.Transport
	log    *lines
	now    *time.Time
	shop   *site.Site
	hasher *pseudonym.Hasher
	events *dynamo.Events
	outbox *dynamo.Outbox
}

// lines is what was logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *lines) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *lines) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func newDoor(t testing.TB, changes ...func(*site.Site)) *door {
	t.Helper()
	d := &door{t: t, env: awstest.New(t), log: &lines{}, now: new(noon)}
	d.shop = &site.Site{ID: "shop", Name: "Shop", Shards: 1, Register: slices.Clone(register), TokenKeys: []site.TokenKey{{ID: "k1", Secret: d.env.Getenv("TOKEN_SECRET_PREFIX") + "shop/k1"}}}
	for _, change := range changes {
		change(d.shop)
	}
	d.must(secret.NewStore(d.env.Config).Put(t.Context(), d.env.Getenv("TOKEN_SECRET_PREFIX")+"shop/k1", []byte(tokenSecret)))
	d.must(secret.NewStore(d.env.Config).Put(t.Context(), d.env.Getenv("SYSTEMS_SECRET"), []byte(systems)))
	d.must(dynamo.NewSites(d.env.Config, d.env.Getenv("SITES_TABLE")).Create(t.Context(), d.shop))
	ring := dynamo.NewKeys(d.env.Config, d.env.Getenv("KEYS_TABLE"))
	for _, k := range []keys.Key{
		{Hash: keys.Hash(publicKey), Class: keys.Public},
		{Hash: keys.Hash(listedKey), Class: keys.Public, Origins: []string{"https://shop.example"}},
		{Hash: keys.Hash(privateKey), Class: keys.Private},
	} {
		k.Site, k.Created = "shop", noon
		d.must(ring.Create(t.Context(), k))
	}
	return d.instance()
}

func (d *door) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// instance is another instance of the function over the same tables.
func (d *door) instance() *door {
	d.t.Helper()
	other := *d
	base, err := setup.NewBase(d.t.Context(), d.env.Function("preferences"))
	d.must(err)
	other.net = &faulty.Transport{}
	base.Config = d.env.With(other.net.Wrap).Config
	base.Config.Retryer = faulty.Impatient
	base.Now = func() time.Time { return *d.now }
	base.Log = slog.New(slog.NewJSONHandler(d.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	other.hasher, err = base.Hasher(d.t.Context())
	d.must(err)
	other.events = dynamo.NewEvents(d.env.Config, d.env.Getenv("EVENTS_TABLE"))
	other.outbox = dynamo.NewOutbox(d.env.Config, d.env.Getenv("OUTBOX_TABLE"))
	other.Handler, err = preferences.New(d.t.Context(), base)
	d.must(err)
	return &other
}

// token is what the site's back end signs for a subject.
func (d *door) token(subject string) string {
	return site.SignToken("k1", []byte(tokenSecret), "shop", subject, d.now.Add(time.Hour))
}

// body is one that holds for a subject, with more in it.
func (d *door) body(subject string, more map[string]any) string {
	body := map[string]any{"subject_id": subject, "subject_token": d.token(subject), "language": "en"}
	maps.Copy(body, more)
	text, err := json.Marshal(body)
	d.must(err)
	return string(text)
}

type answer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

const (
	showPath = "/public/preferences/show"
	savePath = "/public/preferences"
)

// ask posts what a page would; headers are name, value pairs, and "" takes one
// away.
func (d *door) ask(method, path, body string, headers ...string) answer {
	d.t.Helper()
	all := map[string]string{"apikey": publicKey, "content-type": "application/json"}
	for i := 0; i < len(headers); i += 2 {
		if all[headers[i]] = headers[i+1]; headers[i+1] == "" {
			delete(all, headers[i])
		}
	}
	event, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": method + " " + path, "rawPath": path, "headers": all,
		"requestContext": map[string]any{
			"http":      map[string]any{"method": method, "path": path, "sourceIp": network},
			"requestId": "request-1", "stage": "$default", "domainName": "api.example.test",
		},
		"body": body,
	})
	d.must(err)
	out, err := d.Invoke(d.t.Context(), event)
	d.must(err)
	var a answer
	d.must(json.Unmarshal(out, &a))
	return a
}

// show asks for a view that must be given.
func (d *door) show(subject string) preferences.View {
	d.t.Helper()
	return d.view(d.ask("POST", showPath, d.body(subject, nil)))
}

func (d *door) view(a answer) preferences.View {
	d.t.Helper()
	var v preferences.View
	if a.Status != 200 || json.Unmarshal([]byte(a.Body), &v) != nil {
		d.t.Fatalf("%d %s", a.Status, a.Body)
	}
	return v
}

// save chooses, and is told the view after it.
func (d *door) save(subject string, choices map[string]bool, headers ...string) preferences.View {
	d.t.Helper()
	return d.view(d.ask("POST", savePath, d.body(subject, map[string]any{"preferences": choices}), headers...))
}

// of is one switch of a view.
func of(t testing.TB, v preferences.View, key string) preferences.Preference {
	t.Helper()
	i := slices.IndexFunc(v.Preferences, func(p preferences.Preference) bool { return p.Key == key })
	if i < 0 {
		t.Fatalf("there is no %q in %+v", key, v)
	}
	return v.Preferences[i]
}

// said lists what stands in the ledger of a subject.
func (d *door) said(subject string) []consent.Event {
	d.t.Helper()
	rows, err := d.events.Partition(d.t.Context(), d.hasher.Subject("shop", subject), consent.MaxPerson)
	d.must(err)
	return rows.Events
}

// record puts a consent the way another door does.
func (d *door) record(s consent.Submission) consent.Acknowledgement {
	d.t.Helper()
	r := consent.NewRecorder(consent.Options{
		Ledger: d.events, Hasher: d.hasher, Now: func() time.Time { return *d.now }, NewID: keyAt, Inline: 4096,
	})
	ack, err := r.Record(d.t.Context(), consent.Policy{Site: "shop", Shards: 1, Backdate: d.shop.Backdate(), OptIn: d.shop.OptIn()}, &s)
	d.must(err)
	return ack
}

// keyAt is an idempotency key of an instant.
func keyAt(at time.Time) string {
	id := uuid.New()
	for i, ms := 5, at.UnixMilli(); i >= 0; i, ms = i-1, ms>>8 {
		id[i] = byte(ms)
	}
	id[6] = id[6]&0x0f | 0x70
	return id.String()
}

// form is the form of a proof as it was stored.
func (d *door) form(p consent.Proof) string {
	d.t.Helper()
	text, err := blob.NewProofs(d.env.Config, d.env.Getenv("PROOFS_BUCKET")).Form(d.t.Context(), "shop", p.FormDigest, p.FormNonce)
	d.must(err)
	return string(text)
}
