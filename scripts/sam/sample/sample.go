// Package sample puts what the events of events/ need into empty tables: two
// sites, their keys, a document, one consent, a configuration of systems, and
// data-subject requests. Everything is fixed, the pseudonym secret included, so
// that ids and hashes are the same on every machine.
package sample

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/wire"
)

// The keys and ids that stand in the events. They open nothing but emulators.
const (
	Site       = "site-example"
	PublicKey  = "pubExample0000000000000000000001"
	ShopKey    = "pubExample0000000000000000000002" // public, for Origin only
	PrivateKey = "prvExample0000000000000000000001"

	OtherSite = "site-other"
	OtherKey  = "prvExample0000000000000000000002" // private, of the other site

	Origin    = "https://shop.example"
	SubjectID = "cust-881"
	// These follow from the rest.
	ConsentID  = "019c2300-0648-70e6-b4af-aa0efa8d6a29"
	DocumentID = "019c2300-0648-75a1-828e-2fec368df2c5"
	Secret     = "a-sample-of-a-pseudonym-secret-that-opens-nothing-but-emulators"

	// TokenSubject is vouched for by Token, which TokenSecret signs.
	TokenSubject = "visitor-7"
	TokenKey     = "sample"
	TokenSecret  = "a-sample-of-a-token-secret-that-opens-nothing-but-emulators"

	// AppSecret signs what is posted about the number on WhatsApp that the systems.json
	// of admin/systems_put names.
	AppSecret   = "a-sample-of-an-app-secret-that-opens-nothing-but-emulators"
	VerifyToken = "a-sample-of-a-verify-token"
)

// At is when the consent was given, and received.
var At = time.Date(2026, 2, 3, 10, 15, 30, 120e6, time.UTC)

// Document is the file that the consent names as a proof.
var Document = consent.File{Name: "signed.pdf", MimeType: "application/pdf", Body: []byte("%PDF-1.4\n%%EOF\n")}

// Token is the subject token of TokenSubject.
func Token() string {
	return site.SignToken(TokenKey, []byte(TokenSecret), Site, TokenSubject, time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
}

// Consent is the body of the consent, the example of the consent API's docs.
const Consent = `{
  "subject": {"id": "cust-881", "email": "ines@example.test", "full_name": "Ines Roca", "verified": false},
  "legal_notices": [{"identifier": "privacy_policy"}, {"identifier": "terms", "version": 2}],
  "proofs": [{"content": "{\"email\":\"ines@example.test\",\"news\":true}", "form": "<form id=\"s\">…</form>"}],
  "proof_document_ids": ["` + DocumentID + `"],
  "preferences": {"newsletter": true, "profiling": false},
  "ip_address": "203.0.113.7"
}`

// Seed puts the sample. getenv is the environment of a function. Repeating it
// changes nothing.
func Seed(ctx context.Context, cfg aws.Config, getenv func(string) string) error {
	tokenSecret, err := secrets(ctx, cfg, getenv)
	if err != nil {
		return err
	}
	register := []site.Purpose{
		{Key: "newsletter", Purpose: map[string]string{"en": "News about our offers by e-mail", "fr": "Nos offres par e-mail"}, LegalBasis: "consent", Channel: "email"},
		{Key: "profiling", Purpose: map[string]string{"en": "Offers that fit what you buy", "fr": "Des offres selon vos achats"}, LegalBasis: "consent", SaleOrSharing: true},
	}
	sites := dynamo.NewSites(cfg, getenv("SITES_TABLE"))
	ring := dynamo.NewKeys(cfg, getenv("KEYS_TABLE"))
	key := func(text, siteID string, class keys.Class, origins ...string) keys.Key {
		return keys.Key{Hash: keys.Hash(text), Site: siteID, Class: class, Label: "sample", Origins: origins, Created: At}
	}
	return errors.Join(
		once(sites.Create(ctx, &site.Site{ID: Site, Name: "Example shop", Shards: site.DefaultShards, Register: register, RegisterVersion: 1, TokenKeys: []site.TokenKey{{ID: TokenKey, Secret: tokenSecret}}})),
		once(sites.Create(ctx, &site.Site{ID: OtherSite, Name: "Another shop", Shards: site.DefaultShards, RegisterVersion: 1})),
		once(ring.Create(ctx, key(PublicKey, Site, keys.Public))),
		once(ring.Create(ctx, key(ShopKey, Site, keys.Public, Origin))),
		once(ring.Create(ctx, key(PrivateKey, Site, keys.Private))),
		once(ring.Create(ctx, key(OtherKey, OtherSite, keys.Private))),
		once(ring.Create(ctx, people()[0])),
		once(ring.Create(ctx, people()[1])),
		once(ring.Create(ctx, people()[2])),
		record(ctx, cfg, getenv),
		late(ctx, cfg, getenv),
		company(ctx, cfg, getenv),
		machine(ctx, cfg, getenv),
		requests(ctx, cfg, getenv),
		runs(ctx, cfg, getenv),
	)
}

// once takes "exists already" for done.
func once(err error) error {
	if errs.Is(err, errs.Conflict) {
		return nil
	}
	return err
}

// secrets sets the pseudonym secret, with which everything else is hashed, and
// the token secret, whose name it returns.
func secrets(ctx context.Context, cfg aws.Config, getenv func(string) string) (string, error) {
	client := secretsmanager.NewFromConfig(cfg)
	_, err := client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(getenv("PSEUDONYM_SECRET")), SecretString: aws.String(Secret),
	})
	if err != nil {
		return "", fmt.Errorf("setting the pseudonym secret: %w", err)
	}
	name := getenv("TOKEN_SECRET_PREFIX") + Site + "/" + TokenKey
	return name, createSecret(ctx, client, name, TokenSecret)
}

func createSecret(ctx context.Context, client *secretsmanager.Client, name, value string) error {
	_, err := client.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
	if exists := (*types.ResourceExistsException)(nil); err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("creating the secret %s: %w", name, err)
	}
	return nil
}

// record puts the document and the consent as the api function would have at
// that time.
func record(ctx context.Context, cfg aws.Config, getenv func(string) string) error {
	hasher, err := pseudonym.New([]byte(Secret))
	if err != nil {
		return err
	}
	now := func() time.Time { return At }
	newID := func(t time.Time) string { return hasher.ID(t, "sample") }
	policy := consent.Policy{Site: Site, Shards: site.DefaultShards, Backdate: site.DefaultBackdateDays * 24 * time.Hour}
	proofs := blob.NewProofs(cfg, getenv("PROOFS_BUCKET"))

	archive := consent.Archive{
		Documents: dynamo.NewDocuments(cfg, getenv("DOCUMENTS_TABLE")), Bytes: proofs, Hasher: hasher, Now: now, NewID: newID,
	}
	if _, err := archive.Keep(ctx, policy, "", Document); err != nil {
		return err
	}
	submission, err := wire.DecodeConsent([]byte(Consent), consent.Private)
	if err != nil {
		return err
	}
	recorder := consent.NewRecorder(consent.Options{
		Ledger: dynamo.NewEvents(cfg, getenv("EVENTS_TABLE")), Forms: dynamo.NewForms(cfg, getenv("FORMS_TABLE")), Proofs: proofs,
		Hasher: hasher, Now: now, NewID: newID, Inline: 4096,
	})
	_, err = recorder.Record(ctx, policy, submission)
	return err
}
