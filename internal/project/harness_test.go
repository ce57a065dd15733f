package project

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

// TestMain bounds the property tests, each step of which costs a dozen calls of
// the emulator. -rapid.checks=1000 asks for more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "12"); err != nil {
		panic(err)
	}
	flag.Parse()
	os.Exit(m.Run())
}

// world is a ledger with what belongs to it, and any number of projections.
type world struct {
	t        testing.TB
	env      *awstest.Env
	ledger   *dynamo.Events
	subjects *dynamo.Subjects
	forms    *dynamo.Forms
	sites    *dynamo.Sites
	recorder *consent.Recorder
	hasher   *pseudonym.Hasher
	people   *consent.People
	log      *logs
	clock    time.Time
	ids      int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, env: awstest.New(t), log: &logs{}, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.ledger = dynamo.NewEvents(w.env.Config, w.env.Getenv("EVENTS_TABLE"))
	w.subjects = dynamo.NewSubjects(w.env.Config, w.env.Getenv("SUBJECTS_TABLE"))
	w.forms = dynamo.NewForms(w.env.Config, w.env.Getenv("FORMS_TABLE"))
	w.sites = dynamo.NewSites(w.env.Config, w.env.Getenv("SITES_TABLE"))
	var err error
	if w.hasher, err = w.base(w.env).Hasher(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.people = consent.NewPeople(w.ledger, w.hasher)
	w.recorder = consent.NewRecorder(consent.Options{
		Ledger: w.ledger, Forms: w.forms, Proofs: noProofs{}, Hasher: w.hasher, Inline: 4096,
		Now: func() time.Time { return w.clock },
		NewID: func(at time.Time) string {
			w.ids++
			return w.hasher.ID(at, fmt.Sprint(w.ids))
		},
	})
	return w
}

func (w *world) base(env *awstest.Env) *setup.Base {
	now := w.clock // projections only remember by it; the test's own goroutine moves it on
	return &setup.Base{
		Config: env.Config, Getenv: env.Function("project"), Log: slog.New(slog.NewJSONHandler(w.log, nil)),
		Now: func() time.Time { return now },
	}
}

// start makes a projection that knows nothing yet, as an instance that starts.
func (w *world) start() lambda.Handler { return w.startOn(w.env) }

func (w *world) startOn(env *awstest.Env) lambda.Handler {
	w.t.Helper()
	h, err := New(w.t.Context(), w.base(env))
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// through makes a projection whose requests go through a transport. It retries
// as often as a function does, but without the waiting.
func (w *world) through(wrap func(http.RoundTripper) http.RoundTripper) lambda.Handler {
	w.t.Helper()
	env := w.env.With(wrap)
	env.Config.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts, o.MaxBackoff = cloud.Attempts, time.Millisecond })
	}
	return w.startOn(env)
}

// projector is a projection to look into.
func (w *world) projector() *projector {
	w.t.Helper()
	p, _, err := wire(w.t.Context(), w.base(w.env))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// noProofs takes proofs and forgets them: no test here reads one.
type noProofs struct{}

func (noProofs) PutForm(context.Context, string, string, string, []byte) error    { return nil }
func (noProofs) PutContent(context.Context, string, string, string, []byte) error { return nil }

// logs is what the projections have logged.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logs) lines(event string) (list []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, `"event":"`+event+`"`) {
			list = append(list, line)
		}
	}
	return list
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// post records a consent. Each is a minute later than the one before.
func (w *world) post(source consent.Source, siteID, subjectID, email string, preferences ...consent.Preference) consent.Acknowledgement {
	w.t.Helper()
	s := &consent.Submission{Source: source, SubjectID: redact.String(subjectID), Preferences: preferences}
	if email != "" {
		s.Profile.Email = &consent.Text{Value: redact.String(email)}
	}
	return w.submit(siteID, s)
}

func (w *world) submit(siteID string, s *consent.Submission) consent.Acknowledgement {
	w.t.Helper()
	w.clock = w.clock.Add(time.Minute)
	ack, err := w.recorder.Record(w.t.Context(), consent.Policy{Site: siteID, Shards: 4, Backdate: 30 * 24 * time.Hour}, s)
	must(w.t, err)
	return ack
}

func pref(key, value string) consent.Preference { return consent.Preference{Key: key, Value: value} }

func (w *world) makeSite(id string) {
	w.t.Helper()
	if err := w.sites.Create(w.t.Context(), &site.Site{ID: id, Name: id, Shards: 4}); !errs.Is(err, errs.Conflict) { // a lost reply
		must(w.t, err)
	}
}

// rows are the rows of a table.
func (w *world) rows(variable string) []map[string]types.AttributeValue {
	w.t.Helper()
	pages := dynamodb.NewScanPaginator(dynamodb.NewFromConfig(w.env.Config), &dynamodb.ScanInput{
		TableName: aws.String(w.env.Getenv(variable)), ConsistentRead: aws.Bool(true),
	})
	var list []map[string]types.AttributeValue
	for pages.HasMorePages() {
		page, err := pages.NextPage(w.t.Context())
		must(w.t, err)
		list = append(list, page.Items...)
	}
	return list
}

// text is what a table holds.
func (w *world) text(variable string) (list []string) {
	w.t.Helper()
	for _, row := range w.rows(variable) {
		b, err := json.Marshal(image(row))
		must(w.t, err)
		list = append(list, string(b))
	}
	slices.Sort(list)
	return list
}

// inserts are the records of the ledger's rows, in the order of their receipt.
func (w *world) inserts() []string {
	w.t.Helper()
	rows := w.rows("EVENTS_TABLE")
	slices.SortFunc(rows, func(a, b map[string]types.AttributeValue) int {
		return strings.Compare(number(a["received"]), number(b["received"]))
	})
	var list []string
	for i, row := range rows {
		list = append(list, record(w.t, i+1, "INSERT", nil, row))
	}
	return list
}

func number(v types.AttributeValue) string {
	if n, ok := v.(*types.AttributeValueMemberN); ok {
		return n.Value
	}
	return ""
}

// record is one record as Lambda delivers it.
func record(t testing.TB, sequence int, name string, before, after map[string]types.AttributeValue) string {
	t.Helper()
	row := after
	if row == nil {
		row = before
	}
	change := map[string]any{
		"SequenceNumber": fmt.Sprint(sequence), "StreamViewType": "NEW_AND_OLD_IMAGES", "SizeBytes": 1, "ApproximateCreationDateTime": 1783711145,
		"Keys": image(map[string]types.AttributeValue{"subject": row["subject"], "id": row["id"]}),
	}
	if before != nil {
		change["OldImage"] = image(before)
	}
	if after != nil {
		change["NewImage"] = image(after)
	}
	b, err := json.Marshal(map[string]any{"eventID": fmt.Sprint("e", sequence), "eventName": name, "eventSource": "aws:dynamodb", "dynamodb": change})
	must(t, err)
	return string(b)
}

// image is an item as the stream shows it.
func image(item map[string]types.AttributeValue) map[string]any {
	out := map[string]any{}
	for name, v := range item {
		out[name] = value(v)
	}
	return out
}

func value(v types.AttributeValue) map[string]any {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return map[string]any{"S": v.Value}
	case *types.AttributeValueMemberN:
		return map[string]any{"N": v.Value}
	case *types.AttributeValueMemberB:
		return map[string]any{"B": v.Value}
	case *types.AttributeValueMemberBOOL:
		return map[string]any{"BOOL": v.Value}
	case *types.AttributeValueMemberL:
		list := []any{}
		for _, e := range v.Value {
			list = append(list, value(e))
		}
		return map[string]any{"L": list}
	}
	panic(fmt.Sprintf("no test has a %T", v))
}

// deliver gives records to a projection and returns the sequence numbers of
// those that it reports.
func deliver(t testing.TB, h lambda.Handler, records ...string) []string {
	t.Helper()
	out, err := h.Invoke(t.Context(), []byte(`{"Records":[`+strings.Join(records, ",")+`]}`))
	must(t, err)
	var answer events.DynamoDBEventResponse
	must(t, json.Unmarshal(out, &answer))
	var failed []string
	for _, f := range answer.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed
}

// settle delivers everything the ledger holds.
func (w *world) settle(h lambda.Handler) {
	w.t.Helper()
	for records := range slices.Chunk(w.inserts(), 100) {
		if failed := deliver(w.t, h, records...); failed != nil {
			w.t.Fatalf("records %v failed", failed)
		}
	}
}

// verify compares everything that is stored with the ledger: every view with
// the fold of what a read would find, every search entry with the views.
func (w *world) verify() map[string]*consent.SubjectView {
	w.t.Helper()
	sites := map[string]string{}
	must(w.t, w.ledger.Walk(w.t.Context(), func(site, subject string) error {
		if sites[subject] == "" {
			sites[subject] = site
		}
		return nil
	}))
	want := map[string]*consent.SubjectView{}
	var entries []string
	for subject, siteID := range sites {
		u, err := w.people.ByPartition(w.t.Context(), siteID, subject, time.Time{})
		must(w.t, err)
		if v := consent.Project(w.hasher, subject, &u); v != nil {
			want[subject] = v
			for _, e := range v.Entries() {
				entries = append(entries, show(e))
			}
		}
	}
	got := map[string]*consent.SubjectView{}
	var found []string
	must(w.t, w.subjects.Walk(w.t.Context(), func(v *consent.SubjectView) error {
		got[v.Subject] = v
		return nil
	}, func(e consent.Entry) error {
		found = append(found, show(e))
		return nil
	}))
	version := cmp.FilterPath(func(p cmp.Path) bool { return strings.HasSuffix(p.String(), "Version") }, cmp.Ignore())
	if diff := cmp.Diff(want, got, version); diff != "" {
		w.t.Errorf("views: %s", diff)
	}
	slices.Sort(entries)
	slices.Sort(found)
	if diff := cmp.Diff(entries, found); diff != "" {
		w.t.Errorf("search entries: %s", diff)
	}
	return got
}

func show(e consent.Entry) string {
	return fmt.Sprint(e.Site, " ", e.Token.Field, ":", e.Token.Text.Reveal(), " ", e.At.Created, " ", e.At.Subject)
}

// calls counts the requests of each operation.
type calls struct {
	mu    sync.Mutex
	count map[string]int
}

func (c *calls) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		c.mu.Lock()
		if c.count == nil {
			c.count = map[string]int{}
		}
		c.count[operation]++
		c.mu.Unlock()
		return next.RoundTrip(r)
	})
}

// take returns what was counted since the last time.
func (c *calls) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.count
	c.count = nil
	return got
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
