package setup

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/connector/whatsapp"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/site"
)

// Line is a number of the company on WhatsApp, with what the posts about it are
// checked with.
type Line struct {
	*chat.Line
	Keys LineKeys
}

// LineKeys are what Meta and the company have agreed on for the webhook.
type LineKeys struct {
	AppSecret   string `json:"app_secret"`
	VerifyToken string `json:"verify_token"`
}

// anyPast lets messages be recorded however late they are posted: their time is
// Meta's, not a client's.
const anyPast = 100 * 365 * 24 * time.Hour

// LineOf is a system of kind whatsapp as a number of its site.
func LineOf(ctx context.Context, sites *site.Directory, one settings.System) (*chat.Line, error) {
	c, err := whatsapp.ParseConfig(one.Name, one.Config)
	if err != nil {
		return nil, errs.Wrap(errs.Internal, err, "the configuration is refused: %s", errs.MessageOf(err))
	}
	s, err := sites.Site(ctx, c.Site)
	if errs.Is(err, errs.NotFound) {
		return nil, errs.New(errs.Internal, "system %q: there is no site %q", one.Name, c.Site)
	}
	if err != nil {
		return nil, err
	}
	policy := sites.Policy(s)
	policy.Backdate = anyPast
	return &chat.Line{System: one.Name, Number: c.NumberID, Site: s, Policy: policy, Language: c.Language, Metadata: c.Metadata()}, nil
}

// Lines are all numbers that systems.json names. One that is not set up is left
// out, and the error says why: the posts about the others have to be taken.
func (b *Base) Lines(ctx context.Context, sites *site.Directory) (lines []Line, failed error) {
	terms, err := b.Settings(ctx)
	if err != nil {
		return nil, err
	}
	for _, one := range terms.Systems {
		if one.Kind != whatsapp.Kind {
			continue
		}
		line, err := b.line(ctx, sites, one)
		if err != nil {
			failed = err
			continue
		}
		lines = append(lines, line)
	}
	return lines, failed
}

func (b *Base) line(ctx context.Context, sites *site.Directory, one settings.System) (l Line, err error) {
	if l.Line, err = LineOf(ctx, sites, one); err != nil {
		return l, err
	}
	one.Secret = whatsapp.HookSecret(one.Secret)
	text, err := b.secretOf(one)(ctx)
	if err != nil {
		return l, fmt.Errorf("reading the webhook's keys: %w", err)
	}
	if json.Unmarshal(text, &l.Keys) != nil || l.Keys.AppSecret == "" || l.Keys.VerifyToken == "" {
		return l, errs.New(errs.Internal, "system %q: the secret %q must be {\"app_secret\": …, \"verify_token\": …}", one.Name, one.Secret)
	}
	return l, nil
}

// secretOf is credentials for who has not locked the configuration.
func (b *Base) secretOf(one settings.System) func(ctx context.Context) ([]byte, error) {
	b.configured.mu.Lock()
	defer b.configured.mu.Unlock()
	return b.credentials(one)
}
