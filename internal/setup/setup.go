// Package setup builds, from the environment of a function, what more than one
// component is made of. Together with each component's wire.go it is the only
// place that knows adapters and domain alike.
package setup

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/site"
)

// Base is the ground that components stand on. A test replaces what it needs
// to; nothing else does.
type Base struct {
	Config aws.Config
	Getenv func(string) string
	Now    func() time.Time
	NewID  func(time.Time) string // a fresh UUIDv7 of the given time
	Log    *slog.Logger
	// Vendors carries the calls to vendors; nil is a guarded transport for each.
	Vendors http.RoundTripper
	// Pause waits between two attempts at a vendor's call; nil is real time.
	Pause func(ctx context.Context, d time.Duration) error

	configured configured // see systems.go
}

// NewBase reads the standard environment of the SDK.
func NewBase(ctx context.Context, getenv func(string) string) (*Base, error) {
	cfg, err := cloud.Load(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS configuration: %w", err)
	}
	return &Base{Config: cfg, Getenv: getenv, Now: time.Now, NewID: freshID, Log: slog.Default()}, nil
}

// freshID makes a UUIDv7 of the given time with random bits.
func freshID(t time.Time) string {
	id := uuid.New()
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6] = id[6]&0x0f | 0x70
	return id.String()
}

// Require reads variables that must be set.
func (b *Base) Require(names ...string) ([]string, error) {
	values := make([]string, len(names))
	for i, name := range names {
		if values[i] = b.Getenv(name); values[i] == "" {
			return nil, fmt.Errorf("the environment variable %s is not set", name)
		}
	}
	return values, nil
}

// Hasher reads the pseudonym secret.
func (b *Base) Hasher(ctx context.Context) (*pseudonym.Hasher, error) {
	names, err := b.Require("PSEUDONYM_SECRET")
	if err != nil {
		return nil, err
	}
	value, err := secret.NewStore(b.Config).Value(ctx, names[0])
	if err != nil {
		return nil, fmt.Errorf("reading the pseudonym secret: %w", err)
	}
	return pseudonym.New(value)
}

// Writing is what every door that accepts consents is made of.
type Writing struct {
	Gate     *httpapi.Gate
	Sites    *site.Directory
	Recorder *consent.Recorder
	Hasher   *pseudonym.Hasher
	Events   *dynamo.Events
	Proofs   *blob.Proofs
}

// Writing builds a door for keys of one class.
func (b *Base) Writing(ctx context.Context, class keys.Class) (*Writing, error) {
	env, err := b.Require("EVENTS_TABLE", "FORMS_TABLE", "SITES_TABLE", "KEYS_TABLE", "PROOFS_BUCKET", "CONTENT_INLINE_BYTES")
	if err != nil {
		return nil, err
	}
	inline, err := strconv.Atoi(env[5])
	if err != nil || inline < 0 {
		return nil, fmt.Errorf("CONTENT_INLINE_BYTES must be a number of bytes")
	}
	hasher, err := b.Hasher(ctx)
	if err != nil {
		return nil, err
	}
	w := &Writing{
		Hasher: hasher,
		Events: dynamo.NewEvents(b.Config, env[0]),
		Proofs: blob.NewProofs(b.Config, env[4]),
		Sites:  site.NewDirectory(dynamo.NewSites(b.Config, env[2]), secret.NewStore(b.Config), b.Now),
	}
	w.Gate = &httpapi.Gate{Ring: keys.NewRing(dynamo.NewKeys(b.Config, env[3]), b.Now), Sites: w.Sites, Class: class}
	w.Recorder = consent.NewRecorder(consent.Options{
		Ledger: w.Events, Forms: dynamo.NewForms(b.Config, env[1]), Proofs: w.Proofs,
		Hasher: hasher, People: consent.NewPeople(w.Events, hasher), Now: b.Now, NewID: b.NewID, Inline: inline,
	})
	return w, nil
}
