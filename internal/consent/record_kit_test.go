package consent_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	gocmp "github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/secret"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

// clock is the server's clock in a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// book is a ledger of one site on the emulator, with the recorder of one
// function instance. It is made of what the functions are made of.
type book struct {
	*setup.Writing
	env   *awstest.Env
	net   *faulty.Transport // between this instance and AWS
	base  *setup.Base
	clock *clock
	site  *site.Site
}

func newBook(t testing.TB, changes ...func(*site.Site)) *book {
	t.Helper()
	b := &book{env: awstest.New(t), clock: &clock{now: day0}, site: &site.Site{ID: "shop", Name: "Shop", Shards: 2}}
	for _, change := range changes {
		change(b.site)
	}
	if err := dynamo.NewSites(b.env.Config, b.env.Getenv("SITES_TABLE")).Create(t.Context(), b.site); err != nil {
		t.Fatal(err)
	}
	return b.instance(t)
}

// instance is another function instance over the same tables and the same
// clock: it has seen nothing yet.
func (b *book) instance(t testing.TB) *book {
	t.Helper()
	other := *b
	base, err := setup.NewBase(t.Context(), b.env.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	other.net = &faulty.Transport{}
	base.Config = b.env.With(other.net.Wrap).Config
	base.Config.Retryer = faulty.Impatient
	base.Now = b.clock.Now
	base.Log = slog.New(slog.NewJSONHandler(io.Discard, nil))
	other.base = base
	if other.Writing, err = base.Writing(t.Context(), keys.Private); err != nil {
		t.Fatal(err)
	}
	other.net.Reset()
	return &other
}

// key is a fresh idempotency key that a client makes when its clock is so far
// ahead of the server's.
func (b *book) key(ahead time.Duration) string { return b.base.NewID(b.clock.Now().Add(ahead)) }

func (b *book) record(ctx context.Context, s *consent.Submission) (consent.Acknowledgement, error) {
	return b.Recorder.Record(ctx, b.Sites.Policy(b.site), s)
}

func (b *book) mustRecord(t testing.TB, s *consent.Submission) consent.Acknowledgement {
	t.Helper()
	ack, err := b.record(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return ack
}

// event reads what was acknowledged.
func (b *book) event(t testing.TB, ack consent.Acknowledgement) *consent.Event {
	t.Helper()
	e, err := b.Events.Get(t.Context(), b.Hasher.Subject(b.site.ID, ack.SubjectID.Reveal()), ack.ID)
	if err != nil || e == nil {
		t.Fatalf("reading %s: %v, %v", ack.ID, e, err)
	}
	return e
}

// decide asks for a preference of a person, by id and, if given, by e-mail.
func (b *book) decide(t testing.TB, subjectID, email, preference string) []consent.State {
	t.Helper()
	people := consent.NewPeople(b.Events, b.Hasher)
	var states []consent.State
	ask := func(u consent.Union, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, consent.Decide(u.Events, preference, consent.View{Now: b.clock.Now()}, b.site.Rules()))
	}
	if subjectID != "" {
		ask(people.ByID(t.Context(), b.site.ID, subjectID, time.Time{}))
	}
	if email != "" {
		ask(people.ByEmail(t.Context(), b.site.ID, email, time.Time{}))
	}
	return states
}

// events counts the rows of the ledger: events, bindings and tombstones.
func (b *book) events(t testing.TB) int {
	t.Helper()
	return len(scan(t, b.env, "EVENTS_TABLE"))
}

// everything is the content of every table and of the bucket.
func (b *book) everything(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, table := range []string{"EVENTS_TABLE", "SUBJECTS_TABLE", "NOTICES_TABLE", "DOCUMENTS_TABLE", "FORMS_TABLE", "SITES_TABLE", "KEYS_TABLE"} {
		for i, row := range scan(t, b.env, table) {
			all[fmt.Sprintf("%s %d", table, i)] = row
		}
	}
	for i, v := range b.objects(t) {
		all[fmt.Sprintf("%s %d", *v.Key, i)] = aws.ToString(v.VersionId)
	}
	return all
}

func (b *book) bucket() (*s3.Client, *string) {
	return s3.NewFromConfig(b.env.Config, func(o *s3.Options) { o.UsePathStyle = true }), aws.String(b.env.Getenv("PROOFS_BUCKET"))
}

// objects are all versions of all objects.
func (b *book) objects(t testing.TB) []s3types.ObjectVersion {
	t.Helper()
	client, name := b.bucket()
	list, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: name})
	if err != nil {
		t.Fatal(err)
	}
	return list.Versions
}

// deleteObjects deletes what an erasure would delete.
func (b *book) deleteObjects(t testing.TB) {
	t.Helper()
	client, name := b.bucket()
	for _, o := range b.objects(t) {
		if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: name, Key: o.Key, VersionId: o.VersionId}); err != nil {
			t.Fatal(err)
		}
	}
}

// scan lists the rows of a table as texts, sorted.
func scan(t testing.TB, env *awstest.Env, table string) []string {
	t.Helper()
	var rows []string
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(env.Config), &dynamodb.ScanInput{
		TableName: aws.String(env.Getenv(table)), ConsistentRead: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Items {
			text, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, string(text))
		}
	}
	slices.Sort(rows)
	return rows
}

// putSecret makes a secret and returns its name.
func (b *book) putSecret(t testing.TB, id, value string) string {
	t.Helper()
	store, name := secret.NewStore(b.env.Config), b.env.Getenv("TOKEN_SECRET_PREFIX")+id
	if err := store.Create(t.Context(), name, "test", []byte(value)); err != nil {
		// A busy emulator may drop a reply; unlike AWS it does not know the SDK's retry by its token.
		if stored, again := store.Value(t.Context(), name); again != nil || string(stored) != value {
			t.Fatal(err)
		}
	}
	return name
}

// erase does to a row what the erasure of a person will do: nothing but the key
// and the time stays.
func (b *book) erase(t testing.TB, ack consent.Acknowledgement) {
	t.Helper()
	text := func(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
	_, err := dynamodb.NewFromConfig(b.env.Config).PutItem(t.Context(), &dynamodb.PutItemInput{
		TableName: aws.String(b.env.Getenv("EVENTS_TABLE")),
		Item: map[string]types.AttributeValue{
			"subject": text(b.Hasher.Subject(b.site.ID, ack.SubjectID.Reveal())), "id": text(ack.ID),
			"erased_at": &types.AttributeValueMemberN{Value: fmt.Sprint(b.clock.Now().UnixMilli())},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// wantUnchanged compares what is stored with what was.
func (b *book) wantUnchanged(t testing.TB, before map[string]string) {
	t.Helper()
	if diff := gocmp.Diff(before, b.everything(t)); diff != "" {
		t.Errorf("what is stored has changed (-before +after):\n%s", diff)
	}
}

// submission is what a page posts: a yes or no to "news".
func submission(source consent.Source, subjectID, email, value string) *consent.Submission {
	s := &consent.Submission{
		Source: source, SubjectID: redact.String(subjectID),
		Preferences: []consent.Preference{{Key: "news", Value: cmp.Or(value, "true")}},
	}
	if email != "" {
		s.Profile.Email = &consent.Text{Value: redact.String(email)}
	}
	return s
}

func proofs(content, form string) []consent.ProofText {
	var p consent.ProofText
	if content != "" {
		p.Content = (*redact.String)(&content)
	}
	if form != "" {
		p.Form = (*redact.String)(&form)
	}
	return []consent.ProofText{p}
}
