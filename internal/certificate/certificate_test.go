package certificate_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/certificate"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/request"
)

var update = flag.Bool("update", false, "write testdata anew")

// signer signs with a key that everybody knows.
type signer struct {
	key    ed25519.PrivateKey
	broken bool
}

func newSigner(seed byte) signer {
	return signer{key: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))}
}

func (s signer) Sign(_ context.Context, message []byte) ([]byte, error) {
	if len(message) > 4096 {
		return nil, errors.New("too long")
	}
	if s.broken {
		message = append(message, ' ')
	}
	return ed25519.Sign(s.key, message), nil
}

func (s signer) PublicKey(context.Context) (string, ed25519.PublicKey, error) {
	return "test-key-1", s.key.Public().(ed25519.PublicKey), nil
}

func (s signer) keys() []certificate.Key {
	return []certificate.Key{{ID: "test-key-1", Key: s.key.Public().(ed25519.PublicKey)}}
}

// held is a connector of which only the inventory is asked.
type held struct {
	connector.Connector
	inventory connector.Inventory
}

func (h held) Inventory() connector.Inventory { return h.inventory }

func system(name, kind, en, fr, region string) request.System {
	does := []connector.Operation{connector.Erase}
	if kind == "manual" {
		does = nil
	}
	return request.System{Name: name, Connector: held{inventory: connector.Inventory{
		System: name, Kind: kind, Title: connector.Text{"en": en, "fr": fr}, Region: region, Does: does,
		Backups: connector.Text{"en": "backups, after 35 days", "fr": "les sauvegardes, après 35 jours"},
	}}}
}

func at(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 123456789, time.UTC) }

// facts are of an erasure over five systems, as of the second look.
func facts() certificate.Facts {
	const id = "0190a8c0-0000-7000-8000-000000000001"
	officer := request.Actor{Who: "Dr. Ada Beispiel", Role: "officer"}
	desk := system("desk", "refdesk", "Customer service", "Service client", "US")
	trial := system("calls", "genesys", "Telephone", "Téléphone", "DE")
	trial.DryRun = true
	erase := func(name string, phase request.Phase, day int) request.Step {
		return request.Step{System: name, Operation: connector.Erase, Phase: phase, Started: at(day, 10), Ended: at(day, 11), Handle: "vendor-user-77"}
	}
	deskStep := erase("desk", request.Finished, 5)
	deskStep.Counts = map[string]int{"tickets": 3, "users": 1}
	deskStep.Evidence = []connector.Evidence{{At: at(5, 10), Call: "DELETE /users/{id}", Answer: "204"}, {At: at(5, 11), Call: "GET /users/{id}", Answer: "404"}}
	ledgerStep := erase("ledger", request.Finished, 6)
	ledgerStep.Counts = map[string]int{"consents": 12}
	ledgerStep.Kept = []connector.Kept{{What: "proofs of 2 consents", Ground: "Art. 17(3)(e) GDPR", Reason: "defence of legal claims", Until: "2029-03-06"}}
	paper := erase("paper", request.Finished, 5)
	paper.Evidence = []connector.Evidence{{At: at(5, 11), Call: "by hand", Answer: "done by operator", Digest: strings.Repeat("ab", 32)}}
	crm := erase("crm", request.Waived, 5)
	crm.Reason = "invoices of the last ten years"
	crm.Kept = []connector.Kept{{What: "crm", Ground: "Art. 17(3)(b) GDPR", Reason: crm.Reason}}
	look := erase("desk", request.Finished, 7)
	look.Look, look.Evidence = 1, []connector.Evidence{{At: at(7, 11), Call: "GET /users/search", Answer: "0 results"}}
	unseen := erase("paper", request.Finished, 7) // nobody has looked at the paper again: the certificate does not say so
	unseen.Look = 1
	return certificate.Facts{
		Request: &request.Request{
			ID: id, Site: "shop", Type: request.Erasure, Regime: request.GDPR, Received: at(1, 9), Answered: at(6, 12), Clock: request.Clock{Due: at(31, 9)},
			Identity: request.Identity{Method: "email", ProvenAt: at(1, 10), By: request.ThePerson, Evidence: "x"},
			Approval: request.Approval{At: at(2, 9), By: officer, Digest: strings.Repeat("cd", 32)},
			Holds:    []request.Hold{{Systems: []string{"crm"}, Ground: "Art. 17(3)(b) GDPR", Reason: "tax law", By: officer, At: at(2, 8)}},
			Looks:    []request.Look{{At: at(7, 12)}},
		},
		Serial: 2, Issued: at(7, 12), Controller: "Muster & Söhne GmbH", HashKey: "k1",
		Systems: []request.System{
			system("ledger", "ledger", "Consents", "Consentements", "eu-central-1"), desk, trial, system("paper", "manual", "Paper files", "Dossiers papier", "DE"),
			system("crm", "salesforce", "Customer file", "Fichier client", "DE"), system("later", "zoom", "Later", "Plus tard", "DE"), system("chat", "zendesk-chat", "Chat", "Chat", "DE"),
		},
		Plan: request.Plan{Operation: connector.Erase, Stages: [][]request.Planned{
			{{System: "crm"}, {System: "calls"}, {System: "desk"}, {System: "paper"}},
			{{System: "ledger", After: []request.Reason{{System: "desk", Why: "is found by the email that ledger holds"}}}},
		}},
		Found: []request.Found{
			{System: "ledger", Counts: map[string]int{"consents": 12}}, {System: "desk", Counts: map[string]int{"tickets": 3, "users": 1}},
			{System: "calls", Counts: map[string]int{"recordings": 4}}, {System: "paper"}, {System: "crm", Counts: map[string]int{"invoices": 2}}, {System: "chat"},
		},
		Steps: []request.Step{
			deskStep, ledgerStep, paper, crm, erase("calls", request.Skipped, 5), look, unseen,
			{System: "desk", Operation: connector.Tell, Phase: request.Finished, Ended: at(6, 11)},
		},
		Known: []request.Known{
			{Identifier: identity.Identifier{Kind: identity.Email, Value: "ana.lopes@example.org", Trust: identity.Proven}, Key: "hmac-1"},
			{Identifier: identity.Identifier{Kind: "refdesk.user_id", Value: "vendor-user-77", Trust: identity.Vendor}, Key: "hmac-2"},
			{Identifier: identity.Identifier{Kind: identity.Email, Value: "ana.lopes@example.org", Trust: identity.Company}, Key: "hmac-1"},
			{Identifier: identity.Identifier{Kind: identity.Phone, Value: "+4915112345678", Trust: identity.Vendor}, Key: "not-accepted"},
		},
		Log: []request.Entry{
			{ID: "0190a8c0-0001-7000-8000-000000000001", At: at(1, 9), By: request.ThePerson, Act: request.Open, To: request.WaitingIdentity},
			{ID: "0190a8c0-0002-7000-8000-000000000001", At: at(2, 9), By: officer, Act: request.Approve, From: request.WaitingApproval, To: request.Running, Why: "checked"},
		},
	}
}

func signed(t testing.TB, f certificate.Facts) []byte {
	t.Helper()
	c, err := certificate.Make(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := certificate.Sign(t.Context(), newSigner(1), c)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMake_outcomes(t *testing.T) {
	t.Parallel()
	c, err := certificate.Make(facts())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]certificate.Outcome{}
	for _, s := range c.Systems {
		got[s.System] = s.Outcome
	}
	want := map[string]certificate.Outcome{
		"desk": certificate.Erased, "ledger": certificate.Partly, "paper": certificate.ByHand, "crm": certificate.Kept, "calls": certificate.DryRun, "chat": certificate.Nothing,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	f := facts()
	f.Steps = f.Steps[1:2]
	f.Found[5].Failed = true
	if c, err = certificate.Make(f); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.Systems {
		if want := map[string]certificate.Outcome{"ledger": certificate.Partly, "paper": certificate.Nothing, "chat": certificate.Failed}[s.System]; want != s.Outcome && s.Outcome != certificate.Pending {
			t.Errorf("%s without a step: %s, want %s", s.System, s.Outcome, want)
		}
	}
}

// Nothing in a certificate or on its page says who the person is, or who acted.
func TestSign_noPersonalData(t *testing.T) {
	t.Parallel()
	text := signed(t, facts())
	var pages bytes.Buffer
	for _, language := range []string{"fr", "en"} {
		if err := certificate.Page(&pages, text, language); err != nil {
			t.Fatal(err)
		}
	}
	for _, personal := range []string{"ana.lopes", "vendor-user-77", "4915112345678", "Ada Beispiel", "not-accepted"} {
		if strings.Contains(string(text)+pages.String(), personal) {
			t.Errorf("it holds %s", personal)
		}
	}
}

// The files of testdata are vectors: another program that follows the
// specification reads and verifies them, and this one makes them, byte for byte.
func TestVectors(t *testing.T) {
	t.Parallel()
	key := newSigner(1).key.Public().(ed25519.PublicKey)
	keys, err := json.Marshal(map[string]any{"keys": []any{map[string]any{"id": "test-key-1", "algorithm": "Ed25519", "public_key": []byte(key)}}})
	if err != nil {
		t.Fatal(err)
	}
	var fr bytes.Buffer
	if err := certificate.Page(&fr, signed(t, facts()), "fr"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{"certificate.json": signed(t, facts()), "keys.json": keys, "certificate.fr.html": fr.Bytes()} {
		name = filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(name)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is another one (%v); -update writes it anew", name, err)
		}
	}
	set, err := certificate.ParseKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := certificate.Verify(append(signed(t, facts()), '\n'), set); err != nil {
		t.Error(err)
	}
}

func TestVerify_refuses(t *testing.T) {
	t.Parallel()
	good := string(signed(t, facts()))
	other := newSigner(2).keys()
	var laidOut bytes.Buffer
	if err := json.Indent(&laidOut, []byte(good), "", " "); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		text string
		keys []certificate.Key
		want string
	}{
		"empty":             {"", nil, "not JSON"},
		"not JSON":          {"<html>", nil, "not JSON"},
		"something else":    {"{}", nil, "missing"},
		"laid out":          {laidOut.String(), nil, "canonical"},
		"two line ends":     {good + "\n\n", nil, "canonical"},
		"count changed":     {strings.Replace(good, `"consents":12`, `"consents":13`, 1), nil, "SHA-256"},
		"statement changed": {strings.Replace(good, `"serial":2,"sha256"`, `"serial":3,"sha256"`, 1), nil, "different requests"},
		"field added":       {strings.Replace(good, `{"certificate":`, `{"added":1,"certificate":`, 1), nil, "no certificate holds"},
		"domain":            {strings.Replace(good, `"domain":"avow/erasure-certificate/v1"`, `"domain":"avow/erasure-certificate/v2"`, 1), nil, "form"},
		"other key":         {good, other, "not one of the key"},
		"unknown key":       {good, []certificate.Key{{ID: "k", Key: other[0].Key}}, "none of the 1 given"},
		"key renamed":       {strings.Replace(good, `"key":"test-key-1"`, `"key":"test-key-2"`, 1), []certificate.Key{{ID: "test-key-2", Key: newSigner(1).keys()[0].Key}}, "not one of the key"},
	} {
		if tt.keys == nil {
			tt.keys = newSigner(1).keys()
		}
		_, _, err := certificate.Verify([]byte(tt.text), tt.keys)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	broken := newSigner(1)
	broken.broken = true
	c, _ := certificate.Make(facts())
	if _, err := certificate.Sign(t.Context(), broken, c); err == nil {
		t.Error("a signature that does not verify is given away")
	}
}

func TestLogDigest(t *testing.T) {
	t.Parallel()
	log := facts().Log
	seen := map[string]bool{}
	log2 := facts().Log
	log2[1].Why = "other"
	for _, l := range [][]request.Entry{nil, log, log[:1], log2, {log[1], log[0]}} {
		digest, err := certificate.LogDigest(l)
		if err != nil || seen[digest] {
			t.Errorf("%s, %v: the same digest for another log", digest, err)
		}
		seen[digest] = true
	}
}

// world is what an Issuer reads and writes.
type world struct {
	f     certificate.Facts
	shelf map[int][]byte
}

func (w *world) Steps(context.Context, string) ([]request.Step, error)  { return w.f.Steps, nil }
func (w *world) Found(context.Context, string) ([]request.Found, error) { return w.f.Found, nil }
func (w *world) Known(context.Context, string) ([]request.Known, error) { return w.f.Known, nil }

func (w *world) Log(_ context.Context, _, after string, limit int) ([]request.Entry, error) {
	var list []request.Entry
	for _, e := range w.f.Log {
		if e.ID > after && len(list) < limit {
			list = append(list, e)
		}
	}
	return list, nil
}

func (w *world) PutCertificate(_ context.Context, _ string, serial int, body []byte) ([]byte, error) {
	if _, ok := w.shelf[serial]; !ok {
		w.shelf[serial] = body
	}
	return w.shelf[serial], nil
}

// A serial is issued once: a repetition, later, refers to the first.
func TestIssuer(t *testing.T) {
	t.Parallel()
	w := &world{facts(), map[int][]byte{}}
	now := at(7, 13)
	i := &certificate.Issuer{
		Requests: w, Shelf: w, Signer: newSigner(1), Systems: w.f.Systems, HashKey: "k1", Controller: request.Controller{Name: "Muster GmbH"},
		Plan: func(context.Context, *request.Request) (request.Plan, error) { return w.f.Plan, nil }, Now: func() time.Time { return now },
	}
	first, err := i.Issue(t.Context(), w.f.Request, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	for range 600 {
		w.f.Log = append(w.f.Log, request.Entry{ID: "0190b" + now.Format("150405.000000000"), At: now})
		now = now.Add(time.Millisecond)
	}
	again, err := i.Issue(t.Context(), w.f.Request, 1, false)
	if err != nil || again != first {
		t.Errorf("%+v, %v; want %+v", again, err, first)
	}
	second, err := i.Issue(t.Context(), w.f.Request, 2, true)
	if err != nil || second.Digest == first.Digest || !second.Final || second.Serial != 2 {
		t.Errorf("%+v, %v", second, err)
	}
	c, s, err := certificate.Verify(w.shelf[2], newSigner(1).keys())
	if err != nil || s.Statement.SHA256 != second.Digest || c.Log.Entries != 602 {
		t.Errorf("%v: %d entries", err, c.Log.Entries)
	}
}

func FuzzParse(f *testing.F) {
	good, err := os.ReadFile("testdata/certificate.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{good, good[:len(good)/2], []byte(`{"certificate":{},"signature":"","statement":{}}`), []byte("{}"), bytes.Replace(good, []byte("12"), []byte("1e99"), 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, s, err := certificate.Parse(text)
		if err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%v", err)
		}
		if err == nil && (c.Request.ID != s.Statement.Request || certificate.Page(new(bytes.Buffer), text, "fr") != nil) {
			t.Error("what was read cannot be shown")
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	for _, seed := range []string{`{"keys":[]}`, `{"keys":[{"id":"a","algorithm":"Ed25519","public_key":"AAAA"}]}`, `{"keys":[{"algorithm":"RSA"}]}`, "[]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := certificate.ParseKeys(text)
		if err == nil && (len(keys) == 0 || len(keys[0].Key) != ed25519.PublicKeySize) {
			t.Errorf("%+v", keys)
		}
	})
}
