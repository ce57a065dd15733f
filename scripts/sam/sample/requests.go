package sample

import (
	"context"
	"crypto/ed25519"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/certificate"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// Three people who work on requests, and the requests that they find: one that
// waits for its approval, one whose package waits for its release, two whose
// person has not proven yet who they are, one of them with a mailed link, and one
// whose archive somebody has to search by hand.
const (
	OperatorKey = "oprExample0000000000000000000001"
	OfficerKey  = "offExample0000000000000000000001"
	AdminKey    = "admExample0000000000000000000001"

	RequestID = "019c2300-0648-7aaa-8000-000000000001"
	PackedID  = "019c2300-0648-7aaa-8000-000000000002"
	ClaimedID = "019c2300-0648-7aaa-8000-000000000003"
	LinkedID  = "019c2300-0648-7aaa-8000-000000000004"
	TaskID    = "019c2300-0648-7aaa-8000-000000000005"
	SearchID  = "019c2300-0648-7aaa-8000-000000000006"
	FilesID   = "019c2300-0648-7aaa-8000-000000000007" // its task
	LinkToken = "SampleTokenSampleTokenSampleTokenSampleToken"
	Digest    = "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"
)

// signer signs the certificate of RequestID with a key that everybody knows.
type signer struct{}

func (signer) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

// Sign implements certificate.Signer.
func (s signer) Sign(_ context.Context, message []byte) ([]byte, error) {
	return ed25519.Sign(s.key(), message), nil
}

// PublicKey implements certificate.Signer.
func (s signer) PublicKey(context.Context) (string, ed25519.PublicKey, error) {
	return "sample", s.key().Public().(ed25519.PublicKey), nil
}

// certify puts the certificate of RequestID: what was begun in its only system.
func certify(ctx context.Context, packages *blob.Packages) error {
	text, err := certificate.Sign(ctx, signer{}, &certificate.Certificate{
		Format: certificate.Format, Serial: 1, Issued: At.Format(time.RFC3339), Controller: "Sample Shop", Site: Site,
		Request: certificate.Request{ID: RequestID, Type: request.Erasure, Regime: request.GDPR, Received: At.Format(time.RFC3339)},
		Systems: []certificate.System{{System: "archive", Kind: "manual", Outcome: certificate.Pending}},
	})
	if err != nil {
		return err
	}
	_, err = packages.PutCertificate(ctx, RequestID, 1, text)
	return err
}

// people are the role keys.
func people() []keys.Key {
	key := func(text, person string, rank keys.Rank) keys.Key {
		return keys.Key{Hash: keys.Hash(text), Site: Site, Class: keys.Role, Person: person, Rank: rank, Created: At}
	}
	return []keys.Key{key(OperatorKey, "Olga Operator", keys.Operator), key(OfficerKey, "Oscar Officer", keys.Officer), key(AdminKey, "Alma Admin", keys.Admin)}
}

// requests puts the requests.
func requests(ctx context.Context, cfg aws.Config, getenv func(string) string) error {
	hasher, err := pseudonym.New([]byte(Secret))
	if err != nil {
		return err
	}
	now := func() time.Time { return At }
	store := dynamo.NewRequests(cfg, getenv("REQUESTS_TABLE"), hasher, now, func(t time.Time) string { return hasher.ID(t, "sample-entry") })
	erasure, packed := sampleRequest(RequestID, request.Erasure), sampleRequest(PackedID, request.Access)
	erasure.State, erasure.Findings = request.WaitingApproval, Digest
	erasure.Certificate = &request.CertificateRef{Serial: 1, Digest: Digest, At: At}
	packed.State = request.WaitingRelease
	packed.Package = &request.Package{Build: "sample", Digest: Digest, Bytes: 22, Built: At}
	claimed, linked := sampleRequest(ClaimedID, request.Access), sampleRequest(LinkedID, request.Access)
	for _, r := range []*request.Request{claimed, linked} {
		r.State, r.Identity = request.WaitingIdentity, request.Identity{Method: "email", Links: 1}
	}
	search := sampleRequest(SearchID, request.Access)
	search.State, search.Epoch, search.Open = request.WaitingOperator, 1, 1
	task := func(id string, kind request.TaskKind, op connector.Operation) *request.Task {
		return &request.Task{
			ID: id, Kind: kind, System: "archive", Operation: op, Reason: "the archive is on paper", Choices: []request.Act{request.Done}, Opened: At,
		}
	}
	tasks := map[string]*request.Task{RequestID: task(TaskID, request.TaskAttend, connector.Erase), SearchID: task(FilesID, request.TaskManual, connector.Export)}
	for _, r := range []*request.Request{erasure, packed, claimed, linked, search} {
		if err := put(ctx, store, hasher, r, tasks[r.ID]); err != nil {
			return err
		}
	}
	err = certify(ctx, blob.NewPackages(cfg, getenv("PACKAGES_BUCKET")))
	link := request.Link{
		Hash: request.LinkHash(LinkToken), Request: LinkedID, Site: Site, Purpose: request.IdentityLink, Made: At, Expires: farAway,
	}
	return errors.Join(err, once(store.PutLink(ctx, link)))
}

// farAway is a deadline that no run of the samples reaches.
var farAway = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)

func sampleRequest(id string, t request.Type) *request.Request {
	opened := request.Actor{Who: "Olga Operator", Role: "operator"}
	return &request.Request{
		ID: id, Site: Site, Type: t, Regime: request.GDPR, Channel: request.Channel{Kind: "letter"}, Language: "en",
		Opened: opened, Received: At, Since: At, Next: farAway,
		Clock:    request.Clock{Zone: "Europe/Paris", Due: farAway, Latest: farAway.AddDate(0, 2, 0), History: []request.Tick{{At: At, Due: farAway, Why: "a sample"}}},
		Identity: request.Identity{Method: "operator", ProvenAt: At, By: opened, Evidence: "identity card shown"},
	}
}

// put creates one request with a person and, where a run has asked, a task: nil
// for none.
func put(ctx context.Context, store *dynamo.Requests, hasher *pseudonym.Hasher, r *request.Request, task *request.Task) error {
	const email = "ines@example.test"
	trust := identity.Proven
	if !r.Identity.Proven() {
		trust = identity.Claimed
	}
	known := request.Known{
		Identifier: identity.Identifier{Kind: identity.Email, Value: email, Trust: trust}, Key: hasher.Identifier(Site, "email", email),
	}
	entry := request.Entry{At: At, By: r.Opened, Act: request.Open, To: r.State}
	err := store.Create(ctx, r, entry, request.Personal{Name: "Ines Roca", Address: redact.String(email)}, []request.Known{known})
	if errs.Is(err, errs.Conflict) {
		return nil
	}
	if err != nil || task == nil {
		return err
	}
	asked := request.Entry{At: At.Add(time.Second), By: request.Avow, Act: request.AskAct, From: r.State, To: r.State, System: task.System}
	c := request.Change{Request: r, Entries: []request.Entry{asked}, Tasks: []request.Task{*task}}
	if task.Kind.Blocks() {
		c.Steps = []request.Step{{System: task.System, Operation: task.Operation, Phase: request.Asking, Epoch: r.Epoch, Task: task.ID}}
	}
	return store.Write(ctx, c)
}
