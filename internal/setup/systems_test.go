package setup_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/manual"
	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/setup"
)

// ledgerOf stands for the ledger's connector.
func ledgerOf(i connector.Inventory, _ *settings.Settings) (connector.Connector, error) {
	return manual.New(i, nil)
}

type world struct {
	t     *testing.T
	base  *setup.Base
	env   *awstest.Env
	net   *faulty.Transport
	store *secret.Store
	now   time.Time
	log   bytes.Buffer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, env: awstest.New(t), net: &faulty.Transport{}, now: time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)}
	w.store = secret.NewStore(w.env.Config)
	cfg := w.env.With(w.net.Wrap).Config
	cfg.Retryer = faulty.Impatient
	w.base = &setup.Base{
		Config: cfg, Getenv: w.env.Getenv, Now: func() time.Time { return w.now },
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	return w
}

func (w *world) put(text string) {
	w.t.Helper()
	if err := w.store.Put(w.t.Context(), w.env.Getenv("SYSTEMS_SECRET"), []byte(text)); err != nil {
		w.t.Fatal(err)
	}
	w.now = w.now.Add(setup.ConfigTTL)
}

func (w *world) systems(transport http.RoundTripper) []request.System {
	w.t.Helper()
	list, err := w.base.Systems(w.t.Context(), setup.SystemOptions{Ledger: ledgerOf, Transport: transport})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// A fresh stack answers from its ledger; a change takes effect within ConfigTTL;
// a broken text is refused; an outage of Secrets Manager is survived.
func TestBase_settings(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, err := w.base.Settings(t.Context())
	if err != nil || len(s.Systems) != 1 || s.Systems[0].Name != settings.Ledger {
		t.Fatalf("a fresh stack: %+v, %v", s, err)
	}
	if again, err := w.base.Settings(t.Context()); err != nil || again != s {
		t.Errorf("read twice: %v", err)
	}
	if list := w.systems(nil); len(list) != 1 || list[0].Connector.Inventory().Region != w.base.Config.Region {
		t.Errorf("%+v", list)
	}
	w.put(`{"policy":{"day":"1s"},"systems":[]}`)
	if s, err = w.base.Settings(t.Context()); err != nil || s.Policy.Day != time.Second {
		t.Errorf("changed: %+v, %v", s, err)
	}
	w.put(`{"systems":[],"policy":{"day":"1 day"}}`)
	if s, err := w.base.Settings(t.Context()); !errs.Is(err, errs.Internal) || s != nil || !strings.Contains(err.Error(), "policy: day") {
		t.Errorf("broken: %v", err)
	}
	w.put(`{"policy":{"day":"2s"}}`)
	if s, err = w.base.Settings(t.Context()); err != nil || s.Policy.Day != 2*time.Second {
		t.Errorf("mended: %+v, %v", s, err)
	}
	w.net.Break(faulty.Every("secretsmanager.GetSecretValue", faulty.Refused))
	w.now = w.now.Add(time.Hour)
	if again, err := w.base.Settings(t.Context()); err != nil || again != s {
		t.Errorf("Secrets Manager is away: %v", err)
	}
}

const systemsJSON = `{"systems":[
	{"name":"helpdesk","kind":"refdesk","secret":"helpdesk","config":{"base_url":"https://example.refdesk.test"},
	 "processor":{"name":"Refdesk","dpa":"2025-03-01","review":"2026-05-01"},"region":"DE","dry_run":true,"retrieval":{"per_day":7}},
	{"name":"paper","kind":"manual","region":"FR","data":[{"name":{"en":"a"},"purpose":{"en":"b"},"retention":{"en":"c"}}]},
	{"name":"messaging","kind":"zendesk-messaging","secret":"messaging","config":{"base_url":"https://example.zendesk.com/sc","app_id":"5d8cff3cd55b040010928b5b"},
	 "processor":{"name":"Zendesk","dpa":"2025-03-01"},"region":"DE"},
	{"name":"chat","kind":"zendesk-chat","secret":"chat","config":{"base_url":"https://example.zendesk.com"},
	 "processor":{"name":"Zendesk","dpa":"2025-03-01"},"region":"DE"},
	{"name":"support","kind":"zendesk-support","secret":"support","config":{"base_url":"https://example.zendesk.com"},
	 "processor":{"name":"Zendesk","dpa":"2025-03-01"},"region":"DE"},
	{"name":"crm","kind":"salesforce","secret":"crm","config":{"base_url":"https://example.my.salesforce.com"},
	 "processor":{"name":"Salesforce","dpa":"2025-03-01"},"region":"DE"},
	{"name":"whatsapp","kind":"whatsapp","secret":"whatsapp","config":{"phone_number_id":"1","account_id":"2","site":"shop","privacy_url":"https://shop.example/privacy"},
	 "processor":{"name":"Meta","dpa":"2025-03-01"},"region":"IE"},
	{"name":"zoom","kind":"zoom","secret":"zoom","config":{"account_id":"abc"},
	 "processor":{"name":"Zoom","dpa":"2025-03-01"},"region":"DE"},
	{"name":"contact-center","kind":"genesys","secret":"genesys","config":{"region":"mypurecloud.de"},
	 "processor":{"name":"Genesys","dpa":"2025-03-01"},"region":"DE"}]}`

func TestBase_systems(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(systemsJSON)
	desk := fake.New(fake.Options{Options: fakekit.Options{Now: func() time.Time { return w.now }}})
	transport := conformance.Local(desk)
	list := w.systems(transport)
	if len(list) < 3 || list[1].Name != "helpdesk" || !list[1].DryRun || list[1].Retrieval.PerDay != 7 || list[2].Connector.Inventory().Kind != manual.Kind {
		t.Fatalf("%+v", list)
	}
	if !strings.Contains(w.log.String(), `due on 2026-05-01`) {
		t.Errorf("no warning of the review: %s", w.log.String())
	}
	if again := w.systems(transport); again[1].Connector != list[1].Connector {
		t.Error("the connector, and its token with it, is made anew for each call")
	}
	leo := connector.Subject{Identifiers: []identity.Identifier{{Kind: identity.Email, Value: redact.String(fake.Leo), Trust: identity.Proven}}}
	locate := func() error {
		_, err := list[1].Connector.Locate(context.Background(), leo)
		return err
	}
	if err := locate(); !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), "there is no secret") {
		t.Errorf("without a secret: %v", err)
	}
	name := w.env.Getenv("SYSTEM_SECRET_PREFIX") + "helpdesk"
	if err := w.store.Put(t.Context(), name, []byte(`{"client_id":"avow","client_secret":"refdesk-secret"}`)); err != nil {
		t.Fatal(err)
	}
	if err := locate(); err != nil {
		t.Errorf("with a secret: %v", err)
	}
	desk.SetSecret("new")
	if err := w.store.Put(t.Context(), name, []byte(`{"client_id":"avow","client_secret":"new"}`)); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(setup.ConfigTTL)
	if err := locate(); err != nil {
		t.Errorf("with replaced credentials: %v", err)
	}
}

// A config that its connector does not understand is refused with the system's
// name, and every kind that systems.json may name can be built.
func TestBase_kinds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(strings.Replace(systemsJSON, "https://example.refdesk.test", "http://example.refdesk.test", 1))
	_, err := w.base.Systems(t.Context(), setup.SystemOptions{Ledger: ledgerOf})
	if !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), `system "helpdesk": base_url must begin with https://`) {
		t.Errorf("%v", err)
	}
	w.put(systemsJSON)
	var built []string
	for _, s := range w.systems(nil) {
		built = append(built, s.Connector.Inventory().Kind)
	}
	slices.Sort(built)
	if !slices.Equal(built, settings.Kinds()) {
		t.Errorf("built %v of the kinds %v: add the missing one to systemsJSON", built, settings.Kinds())
	}
}

func TestCheckSystems(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 4, 5, 12, 0, 0, 0, time.UTC)
	warnings, err := setup.CheckSystems([]byte(systemsJSON), now)
	if err != nil || !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "2026-05-01") }) {
		t.Errorf("%q, %v", warnings, err)
	}
	for text, want := range map[string]string{
		`{"system":[]}`: `invalid: systems.json: unknown key "system"`,
		strings.Replace(systemsJSON, "base_url", "url", 1): `invalid: systems.json: system "helpdesk": config has an unknown field "url"`,
	} {
		if _, err := setup.CheckSystems([]byte(text), now); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
