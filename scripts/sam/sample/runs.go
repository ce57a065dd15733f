package sample

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// Leaver is the e-mail of who asks in the requests that the events of steps and
// erase take forward, from the first step to the last. What the ledger holds of
// them comes from events of api.
const (
	Leaver   = "mara@example.test"
	LeaverID = "cust-891"
)

// The requests of Leaver. Those that are approved already have one operation on
// the ledger before them.
const (
	AccessID      = "019c2300-0648-7bbb-8000-000000000001" // locating
	ErasureID     = "019c2300-0648-7bbb-8000-000000000002" // locating
	RectifyingID  = "019c2300-0648-7bbb-8000-000000000003" // approved
	RestrictionID = "019c2300-0648-7bbb-8000-000000000004" // approved
	ObjectionID   = "019c2300-0648-7bbb-8000-000000000005" // approved
	UnprovenID    = "019c2300-0648-7bbb-8000-000000000006" // waits for the proof of identity
	StrandedID    = "019c2300-0648-7bbb-8000-000000000007" // approved and overdue; its run is gone and has not heard so
	CustomerID    = "019c2300-0648-7bbb-8000-000000000008" // locating, of the person whose consent is the sample
)

// Execution is a run that Step Functions does not know (any more).
const Execution = "arn:aws:states:eu-central-1:123456789012:execution:sam-request:gone"

// systemsJSON has a controller that can write letters, and a system beside the
// ledger whose credentials nobody has put right: it cannot be asked, which an
// operator decides about.
const systemsJSON = `{
  "controller": {
    "name": "Example shop", "dpo": {"name": "Privacy office", "email": "privacy@example.test"}, "from": "privacy@example.test",
    "authority": {"en": "CNIL, Paris", "fr": "CNIL, Paris"}, "base_url": "https://privacy.example.test", "time_zone": "Europe/Paris"
  },
  "policy": {"looks": ["0d", "1d"], "proof_kept": "1826d"},
  "systems": [
    {
      "name": "desk", "kind": "refdesk", "title": {"en": "Help desk"}, "secret": "desk", "region": "DE",
      "config": {"base_url": "https://desk.example.test"}, "processor": {"name": "Refdesk GmbH", "dpa": "2025-03-01", "review": "2098-03-01"}
    }
  ]
}`

// company puts systems.json and the credentials that it names.
func company(ctx context.Context, cfg aws.Config, getenv func(string) string) error {
	client := secretsmanager.NewFromConfig(cfg)
	_, err := client.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(getenv("SYSTEMS_SECRET")), SecretString: aws.String(systemsJSON),
	})
	if err != nil {
		return fmt.Errorf("setting systems.json: %w", err)
	}
	return errors.Join(
		createSecret(ctx, client, getenv("SYSTEM_SECRET_PREFIX")+"desk", `{"client_id":"nobody has said"}`),
		createSecret(ctx, client, getenv("SYSTEM_SECRET_PREFIX")+"chat-webhook", `{"app_secret":"`+AppSecret+`","verify_token":"`+VerifyToken+`"}`),
	)
}

// machine puts a request machine whose runs wait: what runs do comes from the
// events, one step after the other.
func machine(ctx context.Context, cfg aws.Config, getenv func(string) string) error {
	arn := getenv("REQUEST_MACHINE")
	_, err := sfn.NewFromConfig(cfg).CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name:       aws.String(arn[strings.LastIndexByte(arn, ':')+1:]),
		RoleArn:    aws.String("arn:aws:iam::123456789012:role/sample"),
		Definition: aws.String(`{"StartAt":"Wait","States":{"Wait":{"Type":"Wait","Seconds":86400,"End":true}}}`),
	})
	if exists := (*types.StateMachineAlreadyExists)(nil); err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("creating the request machine: %w", err)
	}
	return nil
}

// runs puts the requests of Leaver.
func runs(ctx context.Context, cfg aws.Config, getenv func(string) string) error {
	hasher, err := pseudonym.New([]byte(Secret))
	if err != nil {
		return err
	}
	store := dynamo.NewRequests(cfg, getenv("REQUESTS_TABLE"), hasher, func() time.Time { return At }, func(t time.Time) string { return hasher.ID(t, "sample-run") })
	for _, s := range seeds() {
		entry := request.Entry{At: At, By: s.request.Opened, Act: request.Open, To: s.request.State}
		email := s.person.Address
		known := request.Known{
			Identifier: identity.Identifier{Kind: identity.Email, Value: email, Trust: identity.Proven}, Key: hasher.Identifier(Site, "email", email.Reveal()),
		}
		err := store.Create(ctx, s.request, entry, s.person, []request.Known{known})
		if errs.Is(err, errs.Conflict) {
			continue
		}
		if err != nil {
			return err
		}
		if s.request.State == request.Running {
			found := request.Found{System: "ledger", Counts: map[string]int{"consents": 1}, At: At}
			if err := store.Write(ctx, request.Change{Fence: &request.Fence{Request: s.request.ID, Epoch: 1}, Found: []request.Found{found}}); err != nil {
				return err
			}
		}
		if s.request.ID == StrandedID {
			if err := strand(ctx, store, s.request); err != nil {
				return err
			}
		}
	}
	return leftovers(ctx, cfg, getenv, hasher)
}

// leftovers puts what a crash leaves behind: an upload of a package that nobody
// has finished, and a proof of Leaver whose consent was never stored.
func leftovers(ctx context.Context, cfg aws.Config, getenv func(string) string, hasher *pseudonym.Hasher) error {
	_, uploading := blob.NewPackages(cfg, getenv("PACKAGES_BUCKET")).Begin(ctx, AccessID, "sample")
	err := blob.NewProofs(cfg, getenv("PROOFS_BUCKET")).PutContent(ctx, hasher.Subject(Site, LeaverID), hasher.ID(At, "leftover"), Digest, []byte("left over"))
	return errors.Join(uploading, err)
}

// strand gives a request a decision that its run was never told of.
func strand(ctx context.Context, store *dynamo.Requests, r *request.Request) error {
	const wait = request.Wait("task.decided")
	officer := request.Actor{Who: "Oscar Officer", Role: "officer"}
	decision := request.Decision{Wait: wait, Outcome: "done", By: officer, At: At}
	entry := request.Entry{At: At.Add(time.Second), By: officer, Act: request.Done, From: r.State, To: r.State}
	return errors.Join(
		store.Write(ctx, request.Change{Request: r, Decision: &decision, Entries: []request.Entry{entry}}),
		store.PutToken(ctx, r.ID, request.Token{Wait: wait, Token: "SampleToken", Epoch: 1, At: At}),
	)
}

// seed is a request as it is put.
type seed struct {
	request *request.Request
	person  request.Personal
}

func seeds() []seed {
	person := request.Personal{Name: "Mara Voss", Address: Leaver}
	one := func(id string, t request.Type, change func(r *request.Request, p *request.Personal)) seed {
		s := seed{sampleRequest(id, t), person}
		s.request.State = request.Locating
		if change != nil {
			change(s.request, &s.person)
		}
		return s
	}
	approved := func(r *request.Request, p *request.Personal) {
		r.State, r.Epoch, r.Execution = request.Running, 1, Execution
		r.Findings, r.Approval = Digest, request.Approval{At: At, By: request.Actor{Who: "Oscar Officer", Role: "officer"}, Digest: Digest}
		if r.Type == request.Rectification {
			p.Changes = []connector.Change{
				{Field: "full_name", Old: "Mara Vos", New: "Mara Voss"}, {Field: "phone", New: redact.String("+33140205317")},
			}
		}
	}
	return []seed{
		one(AccessID, request.Access, nil),
		one(ErasureID, request.Erasure, nil),
		one(RectifyingID, request.Rectification, approved),
		one(RestrictionID, request.Restriction, approved),
		one(ObjectionID, request.Objection, approved),
		one(UnprovenID, request.Access, func(r *request.Request, _ *request.Personal) {
			r.State, r.Identity = request.WaitingIdentity, request.Identity{Method: "email", Links: 1}
		}),
		one(StrandedID, request.Restriction, func(r *request.Request, p *request.Personal) {
			approved(r, p)
			r.Clock.Due, r.Next = At.AddDate(0, 1, 0), At
		}),
		one(CustomerID, request.Access, func(_ *request.Request, p *request.Personal) { p.Name, p.Address = "Ines Roca", "ines@example.test" }),
	}
}
