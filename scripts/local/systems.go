package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/connector/company/vendors"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/scripts/local/stack"
)

// fakes are the vendors of the demo.
func fakes(day time.Duration) map[string]stack.Fake {
	all := map[string]stack.Fake{}
	for name, fake := range vendors.New(fakekit.Options{Day: day}).Fakes() {
		all[name] = fake
	}
	return all
}

// configure writes the demo's systems.json and the credentials of its systems,
// at each start: addresses may have changed.
func configure(ctx context.Context, getenv func(string) string, i stack.Info, day time.Duration) error {
	cfg, err := cloud.Load(ctx)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(systems(i, day), "", "  ")
	if err != nil {
		return err
	}
	all := map[string]string{getenv("SYSTEMS_SECRET"): string(text)}
	for system, credentials := range vendors.Secrets() {
		all[getenv("SYSTEM_SECRET_PREFIX")+system] = string(credentials)
	}
	service := secretsmanager.NewFromConfig(cfg)
	for name, value := range all {
		if err := put(ctx, service, name, value); err != nil {
			return fmt.Errorf("secret %s: %w", name, err)
		}
	}
	return nil
}

func put(ctx context.Context, service *secretsmanager.Client, name, value string) error {
	_, err := service.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: &value})
	if missing := (*types.ResourceNotFoundException)(nil); errors.As(err, &missing) {
		_, err = service.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String(name), SecretString: &value})
	}
	return err
}

// systems is the systems.json of a small shop: its ledger, and what
// its vendors run for it.
func systems(i stack.Info, day time.Duration) map[string]any {
	type object = map[string]any
	type texts = map[string]string
	const authority = "CNIL, 3 place de Fontenoy, 75007 Paris, www.cnil.fr"
	ledger := object{"name": "ledger", "kind": "ledger", "title": texts{"en": "Consents", "fr": "Consentements"}}
	all := object{
		"controller": object{
			"name": "Tilleul & Grès", "address": "1 rue des Lilas, 75011 Paris",
			"dpo":  object{"name": "Data protection officer", "email": "dpo@shop.example"},
			"from": "privacy@shop.example", "base_url": i.API, "time_zone": "Europe/Paris",
			"authority": texts{"en": authority, "fr": authority},
		},
		"systems": append([]object{ledger}, vendors.Systems(vendors.All, i.Fakes, i.Site, day)...),
	}
	if day < 24*time.Hour {
		// Where seconds stand for days, tests ask often.
		all["policy"] = object{
			"day": fmt.Sprintf("%ds", int(day.Seconds())), "per_address": 10_000, "per_identifier": 100, "mails_per_day": 100_000,
		}
	}
	return all
}
