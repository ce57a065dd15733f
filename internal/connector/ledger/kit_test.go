package ledger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

var day0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const shop = "shop"

// world is a ledger of one site, and the connector as the function erase has it.
type world struct {
	t        testing.TB
	env      *awstest.Env
	net      *faulty.Transport // between the connector and AWS
	base     *setup.Base
	hasher   *pseudonym.Hasher
	events   *dynamo.Events
	erasures *dynamo.Erasures
	docs     *dynamo.Documents
	proofs   *blob.Proofs
	recorder *consent.Recorder
	options  ledger.Options

	mu    sync.Mutex
	clock time.Time
	ids   int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, env: awstest.New(t), net: &faulty.Transport{}, clock: day0}
	w.base = &setup.Base{Config: w.env.Config, Getenv: w.env.Getenv, Now: w.now, NewID: w.newID, Log: slog.New(slog.NewJSONHandler(io.Discard, nil))}
	var err error
	w.hasher, err = w.base.Hasher(t.Context())
	must(t, err)
	w.events = dynamo.NewEvents(w.env.Config, w.env.Getenv("EVENTS_TABLE"))
	w.erasures = dynamo.NewErasures(w.env.Config, w.env.Getenv("ERASURES_TABLE"))
	w.docs = dynamo.NewDocuments(w.env.Config, w.env.Getenv("DOCUMENTS_TABLE"))
	w.proofs = blob.NewProofs(w.env.Config, w.env.Getenv("PROOFS_BUCKET"))
	_ = dynamo.NewSites(w.env.Config, w.env.Getenv("SITES_TABLE")).Create(t.Context(), &site.Site{ID: shop, Name: "Shop", Shards: 2})
	w.recorder = w.record()
	w.options = w.connectorOptions()
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) newID(at time.Time) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return w.hasher.ID(at, "test", fmt.Sprint(w.ids))
}

// record is a recorder that remembers nothing yet, as another instance's.
func (w *world) record() *consent.Recorder {
	return consent.NewRecorder(consent.Options{
		Ledger: w.events, Forms: dynamo.NewForms(w.env.Config, w.env.Getenv("FORMS_TABLE")), Proofs: w.proofs,
		Hasher: w.hasher, People: consent.NewPeople(w.events, w.hasher), Now: w.now, NewID: w.newID, Inline: 64,
	})
}

func (w *world) connectorOptions() ledger.Options {
	cfg := w.env.With(w.net.Wrap).Config
	cfg.Retryer = faulty.Impatient
	events, forms := dynamo.NewEvents(cfg, w.env.Getenv("EVENTS_TABLE")), dynamo.NewForms(cfg, w.env.Getenv("FORMS_TABLE"))
	documents, proofs := dynamo.NewDocuments(cfg, w.env.Getenv("DOCUMENTS_TABLE")), blob.NewProofs(cfg, w.env.Getenv("PROOFS_BUCKET"))
	return ledger.Options{
		Inventory: connector.Inventory{System: "ledger", Kind: "ledger", Region: "eu-central-1", EEA: true},
		Rows:      events, Append: events, Views: dynamo.NewSubjects(cfg, w.env.Getenv("SUBJECTS_TABLE")),
		Forms: forms, Documents: documents, Notices: dynamo.NewNotices(cfg, w.env.Getenv("NOTICES_TABLE")), Texts: proofs,
		Hasher: w.hasher, Policy: request.Defaults(), Now: w.now,
		Removal: &ledger.Removal{
			Rows: events, Erasures: dynamo.NewErasures(cfg, w.env.Getenv("ERASURES_TABLE")),
			Forms: forms, Documents: documents, Objects: proofs,
		},
	}
}

func (w *world) connector() *ledger.Connector { return ledger.New(w.options) }

// project brings the views to what the ledger says.
func (w *world) project() {
	w.t.Helper()
	_, err := project.RebuildOn(w.t.Context(), w.base, nil)
	must(w.t, err)
}

// submission is what a page or a back end posts.
func submission(source consent.Source, subjectID, email, value string) *consent.Submission {
	s := &consent.Submission{Source: source, SubjectID: redact.String(subjectID), Preferences: []consent.Preference{{Key: "news", Value: value}}}
	if email != "" {
		s.Profile.Email = &consent.Text{Value: redact.String(email)}
	}
	return s
}

func proof(content, form string) []consent.ProofText {
	var p consent.ProofText
	if content != "" {
		p.Content = (*redact.String)(&content)
	}
	if form != "" {
		p.Form = (*redact.String)(&form)
	}
	return []consent.ProofText{p}
}

// policy is what the site sets.
var policy = consent.Policy{Site: shop, Shards: 2, Backdate: 30 * 24 * time.Hour, OptIn: 7 * 24 * time.Hour}

// post records a submission, a minute after the one before.
func (w *world) post(s *consent.Submission) consent.Acknowledgement {
	w.t.Helper()
	w.advance(time.Minute)
	ack, err := w.recorder.Record(w.t.Context(), policy, s)
	must(w.t, err)
	return ack
}

func (w *world) say(source consent.Source, subjectID, email, value string) consent.Acknowledgement {
	w.t.Helper()
	return w.post(submission(source, subjectID, email, value))
}

// of is a subject with a proven e-mail.
func of(email string, more ...identity.Identifier) connector.Subject {
	s := connector.Subject{Site: shop, Identifiers: more}
	if email != "" {
		s.Identifiers = append(s.Identifiers, identity.Identifier{Kind: identity.Email, Value: redact.String(email), Trust: identity.Proven})
	}
	return s
}

func id(kind identity.Kind, value string) identity.Identifier {
	return identity.Identifier{Kind: kind, Value: redact.String(value), Trust: identity.Company}
}

// locate runs to the fixpoint, as the engine does.
func (w *world) locate(s connector.Subject) (connector.Subject, connector.Findings) {
	w.t.Helper()
	for range 5 {
		f, err := w.connector().Locate(w.t.Context(), s)
		must(w.t, err)
		fresh := false
		for _, i := range f.Identifiers {
			if i.Followed() && !slices.ContainsFunc(s.Identifiers, func(o identity.Identifier) bool { return o.Kind == i.Kind && o.Value == i.Value }) {
				s.Identifiers, fresh = append(s.Identifiers, i), true
			}
		}
		if !fresh {
			return s, f
		}
	}
	w.t.Fatal("locate finds no end")
	return s, connector.Findings{}
}

func (w *world) call(op connector.Operation, s connector.Subject) connector.Call {
	return connector.Call{Request: w.newID(w.now()), Key: "key", Operation: op, Subject: s, Now: w.now()}
}

// run takes an operation to its end.
func (w *world) run(call connector.Call) connector.Progress {
	w.t.Helper()
	c := w.connector()
	total := connector.Progress{Counts: map[string]int{}}
	step := c.Start
	for range 1000 {
		call.Now = w.now()
		p, err := step(w.t.Context(), call)
		must(w.t, err)
		for k, n := range p.Counts {
			total.Counts[k] += n
		}
		total.Kept = append(total.Kept, p.Kept...)
		total.Evidence = append(total.Evidence, p.Evidence...)
		if total.Ask = p.Ask; p.Done || p.Ask != nil {
			total.Done = p.Done
			return total
		}
		call.Handle, step = p.Handle, c.Poll
	}
	w.t.Fatal("the operation finds no end")
	return total
}

// erase locates and erases a person.
func (w *world) erase(s connector.Subject) (connector.Subject, connector.Call, connector.Progress) {
	w.t.Helper()
	s, _ = w.locate(s)
	w.advance(time.Hour)
	call := w.call(connector.Erase, s)
	return s, call, w.run(call)
}

func (w *world) verify(call connector.Call) connector.Residue {
	w.t.Helper()
	call.Now = w.now()
	r, err := w.connector().Verify(w.t.Context(), call)
	must(w.t, err)
	return r
}

func (w *world) decide(subjectID, email, preference string) consent.State {
	w.t.Helper()
	people := consent.NewPeople(w.events, w.hasher)
	u, err := people.ByEmail(w.t.Context(), shop, email, time.Time{})
	if subjectID != "" {
		u, err = people.ByID(w.t.Context(), shop, subjectID, time.Time{})
	}
	must(w.t, err)
	return consent.Decide(u.Events, preference, consent.View{Now: w.now()}, consent.Rules{})
}

// own is the id of an e-mail's own subject.
func (w *world) own(email string) string {
	normal, _ := identity.NormalizeEmail(email)
	return w.hasher.EmailSubject(shop, normal)
}

func (w *world) partition(id string) string { return w.hasher.Subject(shop, id) }

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

func (w *world) put(variable string, row map[string]types.AttributeValue) {
	w.t.Helper()
	_, err := dynamodb.NewFromConfig(w.env.Config).PutItem(w.t.Context(), &dynamodb.PutItemInput{TableName: aws.String(w.env.Getenv(variable)), Item: row})
	must(w.t, err)
}

// objects are all versions of all objects, with their bytes.
func (w *world) objects() map[string]string {
	w.t.Helper()
	client := s3.NewFromConfig(w.env.Config, func(o *s3.Options) { o.UsePathStyle = true })
	bucket := aws.String(w.env.Getenv("PROOFS_BUCKET"))
	list, err := client.ListObjectVersions(w.t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket})
	must(w.t, err)
	all := map[string]string{}
	for _, v := range list.Versions {
		out, err := client.GetObject(w.t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: v.Key, VersionId: v.VersionId})
		must(w.t, err)
		body, err := io.ReadAll(out.Body)
		must(w.t, err)
		all[*v.Key] = string(body)
	}
	var markers []s3types.DeleteMarkerEntry
	if markers = list.DeleteMarkers; len(markers) > 0 {
		w.t.Errorf("%d delete markers are left", len(markers))
	}
	return all
}

// everything is all that is stored, but for the keys of sites and secrets.
func (w *world) everything() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, table := range []string{"EVENTS_TABLE", "SUBJECTS_TABLE", "NOTICES_TABLE", "DOCUMENTS_TABLE", "FORMS_TABLE", "ERASURES_TABLE"} {
		for _, row := range w.rows(table) {
			text, err := json.Marshal(row)
			must(w.t, err)
			all[table+" "+string(text)] = string(text)
		}
	}
	for key, body := range w.objects() {
		all["object "+key] = body
	}
	return all
}

// wantGone checks that nothing that is stored holds one of the texts.
func (w *world) wantGone(texts ...string) {
	w.t.Helper()
	for name, content := range w.everything() {
		for _, text := range texts {
			if strings.Contains(strings.ToLower(name+content), strings.ToLower(text)) {
				w.t.Errorf("%.80s still holds %q", name, text)
			}
		}
	}
}

// sink takes an export.
type sink struct {
	records map[string][]string // by kind
	files   map[string]string
	order   []string
}

func newSink() *sink { return &sink{records: map[string][]string{}, files: map[string]string{}} }

// Record implements connector.Sink.
func (s *sink) Record(kind string, v any) error {
	b, err := json.Marshal(v)
	s.records[kind] = append(s.records[kind], string(b))
	s.order = append(s.order, kind+string(b))
	return err
}

// File implements connector.Sink.
func (s *sink) File(_ context.Context, name, _ string, r io.Reader) error {
	b, err := io.ReadAll(r)
	if _, twice := s.files[name]; twice {
		return fmt.Errorf("the file %s comes twice", name)
	}
	s.files[name] = string(b)
	return err
}
