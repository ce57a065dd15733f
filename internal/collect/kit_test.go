package collect_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/collect"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

// planted is personal data that the tests of this package post wherever they
// can. None of it may ever be logged.
var planted = map[string]string{
	"e-mail": "ines.planted@example.test", "first name": "Inesita", "last name": "Plantada", "phone": "+34600123987",
	"subject id": "cust-planted-881", "address": "203.0.113.77", "content": "what Inesita entered", "key": publicKey, "token secret": "planted-token-secret",
}

const (
	publicKey  = "PublicKeyThatMustNotBeLogged0001"
	listedKey  = "ListedKeyThatMustNotBeLogged0001"
	privateKey = "PrivateKeyThatMustNotBeLogged001"
)

// lines is everything that was logged while the tests of this package ran.
var lines = &sink{}

type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewJSONHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug})))
	code := m.Run()
	for what, value := range planted {
		if where := leak(lines.String(), value); where != "" {
			fmt.Fprintf(os.Stderr, "FAIL: the %s was logged: …%s…\n", what, where)
			code = 1
		}
	}
	os.Exit(code)
}

// leak finds a value in a text, plain or in one of the forms in which data
// travels; "" when it is not there.
func leak(text, value string) string {
	forms := []string{value, url.QueryEscape(value), url.PathEscape(value), hex.EncodeToString([]byte(value)), fmt.Sprintf("%q", value)}
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for shift := range 3 { // what stands before it moves the letters
			whole := enc.EncodeToString(append(make([]byte, shift), value...))
			forms = append(forms, whole[(shift*8+5)/6:len(whole)-1])
		}
	}
	lower := strings.ToLower(text)
	for _, f := range forms {
		if i := strings.Index(lower, strings.ToLower(f)); i >= 0 && len(f) > 5 {
			return text[max(0, i-40):min(len(text), i+80)]
		}
	}
	return ""
}

func TestLeak(t *testing.T) {
	t.Parallel()
	const value = "ines.planted@example.test"
	for name, text := range map[string]string{
		"plain": "x " + value + " y", "capitals": "INES.planted@EXAMPLE.test", "query": "email=ines.planted%40example.test",
		"base64": base64.StdEncoding.EncodeToString([]byte(value)), "base64, shifted": base64.StdEncoding.EncodeToString([]byte(`{"e":"` + value + `"}`)),
		"base64, shifted more": base64.URLEncoding.EncodeToString([]byte("ab" + value + "cd")), "hex": hex.EncodeToString([]byte("a" + value)),
	} {
		if leak(text, value) == "" {
			t.Errorf("%s: not found in %s", name, text)
		}
	}
	if where := leak("nothing of the kind", value); where != "" {
		t.Errorf("found %q", where)
	}
}

// door is the component over fresh tables, with its key, its site and a clock.
type door struct {
	lambda.Handler
	env *awstest.Env
	net *faulty.Transport
	now *time.Time
}

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

func newDoor(t testing.TB, changes ...func(*site.Site)) *door {
	t.Helper()
	d := &door{env: awstest.New(t), now: new(noon)}
	shop := &site.Site{ID: "shop", Shards: 2}
	for _, change := range changes {
		change(shop)
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(dynamo.NewSites(d.env.Config, d.env.Getenv("SITES_TABLE")).Create(t.Context(), shop))
	ring := dynamo.NewKeys(d.env.Config, d.env.Getenv("KEYS_TABLE"))
	for _, k := range []keys.Key{
		{Hash: keys.Hash(publicKey), Class: keys.Public},
		{Hash: keys.Hash(listedKey), Class: keys.Public, Origins: []string{"https://shop.example"}},
		{Hash: keys.Hash(privateKey), Class: keys.Private},
	} {
		k.Site, k.Created = "shop", noon
		must(ring.Create(t.Context(), k))
	}
	return d.instance(t)
}

// instance is another instance of the function over the same tables.
func (d *door) instance(t testing.TB) *door {
	t.Helper()
	other := *d
	base, err := setup.NewBase(t.Context(), d.env.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	other.net = &faulty.Transport{}
	base.Config = d.env.With(other.net.Wrap).Config
	base.Config.Retryer = faulty.Impatient
	base.Now = func() time.Time { return *d.now }
	base.Log = slog.Default()
	if other.Handler, err = collect.New(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	return &other
}

// request is what API Gateway passes on.
type request struct {
	method, path, query, body string
	headers                   map[string]string
	binary                    bool // the body travels in base64
}

// post is a post of the public key in JSON.
func post(body string) request {
	return request{body: body, headers: map[string]string{"apikey": publicKey, "content-type": "application/json"}}
}

func (r request) with(headers ...string) request {
	r.headers = maps.Clone(r.headers)
	for i := 0; i < len(headers); i += 2 {
		if r.headers[headers[i]] = headers[i+1]; headers[i+1] == "" {
			delete(r.headers, headers[i])
		}
	}
	return r
}

type answer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

func (d *door) ask(t testing.TB, r request) answer {
	t.Helper()
	orDefault := func(s, usual string) string {
		if s == "" {
			return usual
		}
		return s
	}
	method, path := orDefault(r.method, "POST"), orDefault(r.path, "/public/consent")
	body := r.body
	if r.binary {
		body = base64.StdEncoding.EncodeToString([]byte(body))
	}
	event, err := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "POST /public/{proxy+}", "rawPath": path, "rawQueryString": r.query, "headers": r.headers,
		"requestContext": map[string]any{
			"http":      map[string]any{"method": method, "path": path, "sourceIp": planted["address"]},
			"requestId": "request-1", "stage": "$default", "domainName": "api.example.test",
		},
		"body": body, "isBase64Encoded": r.binary,
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := d.Invoke(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// ack is what a web page is told.
type ack struct {
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	SubjectID string `json:"subject_id"`
}

// record posts a consent that must be accepted and reads what was stored.
func (d *door) record(t testing.TB, r request) (ack, *consent.Event) {
	t.Helper()
	a := d.ask(t, r)
	var told ack
	if a.Status != 200 || json.Unmarshal([]byte(a.Body), &told) != nil {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	e, err := dynamo.NewEvents(d.env.Config, d.env.Getenv("EVENTS_TABLE")).Get(t.Context(), d.partition(t, told.SubjectID), told.ID)
	if err != nil || e == nil {
		t.Fatalf("reading %s: %v, %v", told.ID, e, err)
	}
	return told, e
}

func (d *door) partition(t testing.TB, subjectID string) string {
	t.Helper()
	base := &setup.Base{Config: d.env.Config, Getenv: d.env.Getenv}
	hasher, err := base.Hasher(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return hasher.Subject("shop", subjectID)
}

// stored counts what the posts have left: rows of the ledger, forms, objects.
func (d *door) stored(t testing.TB) (events, forms, objects int) {
	t.Helper()
	count := func(table string) int {
		out, err := dynamodb.NewFromConfig(d.env.Config).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(d.env.Getenv(table)), ConsistentRead: aws.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		return int(out.Count)
	}
	list, err := s3.NewFromConfig(d.env.Config, func(o *s3.Options) { o.UsePathStyle = true }).
		ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(d.env.Getenv("PROOFS_BUCKET"))})
	if err != nil {
		t.Fatal(err)
	}
	return count("EVENTS_TABLE"), count("FORMS_TABLE"), len(list.Versions)
}

// wrote reports whether a call of the instance could have changed something.
func wrote(counts map[string]int) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(counts)), func(operation string) bool {
		return operation != "dynamodb.GetItem" && operation != "secretsmanager.GetSecretValue"
	})
}

// person is a body about the planted person; more is added to it.
func person(more map[string]any) string {
	body := map[string]any{
		"subject": map[string]any{
			"id": planted["subject id"], "email": planted["e-mail"], "first_name": planted["first name"], "last_name": planted["last name"],
			"phones": []any{map[string]any{"number": planted["phone"], "label": "home"}},
		},
		"preferences": map[string]any{"newsletter": true},
		"proofs":      []any{map[string]any{"content": planted["content"]}},
	}
	maps.Copy(body, more)
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(text)
}
