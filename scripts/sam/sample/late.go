package sample

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/pseudonym"
)

// LateSite is where a consent is back that an erasure covers: a site of its own,
// so that no list shows it.
const LateSite = "site-late"

// LateID is that consent's.
const LateID = "019c2300-0648-7c1e-b0a4-5a1b7c2d3e4f"

// late puts the consent of a person who was erased an hour after it, and which
// arrives an hour later than that.
func late(ctx context.Context, cfg aws.Config, getenv func(string) string) error {
	hasher, err := pseudonym.New([]byte(Secret))
	if err != nil {
		return err
	}
	e := &consent.Event{
		ID: LateID, Kind: consent.KindConsent, Site: LateSite, Subject: hasher.Subject(LateSite, "cust-890"), SubjectID: "cust-890",
		KeyID: hasher.KeyID(), Shards: 1, Source: consent.Private, Act: consent.Import, Claimed: At, Received: At.Add(2 * time.Hour),
		Preferences: []consent.Preference{{Key: "newsletter", Value: "true"}},
	}
	if _, err := dynamo.NewEvents(cfg, getenv("EVENTS_TABLE")).Append(ctx, e); err != nil {
		return err
	}
	return dynamo.NewErasures(cfg, getenv("ERASURES_TABLE")).Put(ctx, []string{e.Subject}, At.Add(time.Hour), "019c2300-0000-7000-8000-000000000000", LateSite)
}
