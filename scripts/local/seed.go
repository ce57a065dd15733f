package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/connector/company/vendors"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/scripts/local/demo"
	"github.com/avow-consent/avow/scripts/local/stack"
	"github.com/avow-consent/avow/scripts/site/admin"
)

// people are who has a role key of the demo, by role.
var people = map[keys.Rank]string{
	keys.Viewer: "Vera Viewer", keys.Operator: "Otto Operator", keys.Officer: "Olga Officer", keys.Admin: "Ali Admin",
}

// seed makes the demo's site and its keys at the first start, and again under
// the same names when the tables have lost them.
func seed(ctx context.Context, getenv func(string) string, s *stack.Site) error {
	cfg, err := cloud.Load(ctx)
	if err != nil {
		return err
	}
	a, err := admin.New(cfg, getenv, time.Now)
	if err != nil {
		return err
	}
	if s.ID == "" {
		*s = stack.Site{ID: uuid.NewString(), PublicKey: keys.New(), PrivateKey: keys.New()}
	}
	if s.RoleKeys == nil {
		s.RoleKeys = map[string]string{}
	}
	for rank := range people {
		if s.RoleKeys[string(rank)] == "" {
			s.RoleKeys[string(rank)] = keys.New()
		}
	}
	_, err = a.CreateSite(ctx, s.ID, "Demo", site.DefaultShards, site.Settings{}, register())
	if err != nil && !errs.Is(err, errs.Conflict) {
		return err
	}
	if err == nil || s.TokenKey.ID == "" {
		if s.TokenKey.ID, s.TokenKey.Secret, err = a.CreateTokenKey(ctx, s.ID); err != nil {
			return err
		}
	}
	for class, text := range map[keys.Class]string{keys.Public: s.PublicKey, keys.Private: s.PrivateKey} {
		if err := a.PutKey(ctx, s.ID, class, text); err != nil && !errs.Is(err, errs.Conflict) {
			return err
		}
	}
	for rank, person := range people {
		if err := a.PutRoleKey(ctx, s.ID, person, rank, s.RoleKeys[string(rank)]); err != nil && !errs.Is(err, errs.Conflict) {
			return err
		}
	}
	return nil
}

func register() []site.Purpose {
	var all []site.Purpose
	for _, p := range demo.Preferences() {
		all = append(all, site.Purpose{
			Key: p.Key, Purpose: p.Purpose, LegalBasis: p.LegalBasis, Channel: p.Channel,
			ValidityDays: p.ValidityDays, SaleOrSharing: p.SaleOrSharing,
		})
	}
	return all
}

// publish imports the texts that the demo page shows, those that the site does
// not have yet, as a back end does: through the API.
func publish(ctx context.Context, i stack.Info) error {
	for _, n := range demo.Notices() {
		status, _, err := call(ctx, i, http.MethodGet, "/legal_notices/"+url.PathEscape(n.Identifier)+"/1", nil)
		if err != nil {
			return err
		}
		if status == http.StatusOK {
			continue
		}
		body, err := json.Marshal(map[string]any{"identifier": n.Identifier, "content": n.Content})
		if err != nil {
			return err
		}
		if status, answer, err := call(ctx, i, http.MethodPost, "/legal_notices", body); err != nil || status != http.StatusOK {
			return errors.Join(fmt.Errorf("notice %s: %d %s", n.Identifier, status, answer), err)
		}
	}
	return subscribe(ctx, i)
}

// subscribe has WhatsApp's fake post to the webhook, as one does in Meta's console.
func subscribe(ctx context.Context, i stack.Info) error {
	body, err := json.Marshal(map[string]string{"address": i.API + "/webhooks/whatsapp"})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.Fakes[vendors.WhatsApp]+"/_fake/subscribe", bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the webhook of WhatsApp: status %d", res.StatusCode)
	}
	return nil
}

func call(ctx context.Context, i stack.Info, method, path string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, i.API+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("ApiKey", i.PrivateKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return res.StatusCode, answer, err
}
