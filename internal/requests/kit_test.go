package requests_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/requests"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
)

// planted is personal data that the tests of this package post. None of it may
// be logged, or given to the state machine.
var planted = []string{
	"ines.planted@example.test", "Inesita", "+34600123987", "cust-planted-881", "chat-planted-77", "what Inesita writes", "Planted Street 1",
	"letter of planted Inesita.pdf",
}

const (
	ines    = "ines.planted@example.test"
	mallory = "mallory@example.test"
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

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.NewJSONHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug})))
	code := m.Run()
	lower := strings.ToLower(lines.text.String())
	for _, value := range planted {
		for _, form := range []string{value, url.QueryEscape(value), base64.StdEncoding.EncodeToString([]byte(value))} {
			if i := strings.Index(lower, strings.ToLower(form)); i >= 0 {
				fmt.Fprintf(os.Stderr, "FAIL: was logged: …%s…\n", lower[max(0, i-60):min(len(lower), i+80)])
				code = 1
			}
		}
	}
	os.Exit(code)
}

// flows is a state machine that only notes what it is asked.
type flows struct {
	mu      sync.Mutex
	started []string // names
	ended   map[string]bool
	told    map[string]string // outcome by token
	late    map[string]bool   // tokens that are too late
	fails   error
}

func (f *flows) Start(_ context.Context, id, name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails != nil {
		return "", f.fails
	}
	if f.ended["arn:"+name] {
		return "", errs.New(errs.Conflict, "an execution of this name has ended")
	}
	if !strings.HasPrefix(name, id) {
		panic("a name that does not say which request: " + name)
	}
	f.started = append(f.started, name)
	return "arn:" + name, nil
}

func (f *flows) Alive(_ context.Context, execution string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return execution != "" && !f.ended[execution], f.fails
}

func (f *flows) Succeed(_ context.Context, token, outcome string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails != nil || f.late[token] {
		return false, f.fails
	}
	f.told[token] = outcome
	return true, nil
}

func (f *flows) names() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.started)
}

func (f *flows) outcome(token string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told[token]
}

// mails keeps what is sent.
type mails struct {
	mu    sync.Mutex
	sent  []letter.Message
	fails error
}

func (m *mails) Send(_ context.Context, one letter.Message) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails != nil {
		return "", m.fails
	}
	m.sent = append(m.sent, one)
	return fmt.Sprint("mail-", len(m.sent)), nil
}

func (m *mails) to(address string) (list []letter.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.sent {
		if one.To.Reveal() == address {
			list = append(list, one)
		}
	}
	return list
}

// outside is everything else.
type outside struct {
	*blob.Packages // the real bucket, for what is uploaded
	plan           request.Plan
	cert           map[string][]byte
}

func (o *outside) Plan(context.Context, *request.Request) (request.Plan, error) { return o.plan, nil }

func (o *outside) Download(_ context.Context, r *request.Request, valid time.Duration) (string, error) {
	return "https://bucket.example/" + r.Package.Build + "?valid=" + valid.String(), nil
}

func (o *outside) Certificate(_ context.Context, id string, serial int) ([]byte, error) {
	if body, ok := o.cert[fmt.Sprint(id, serial)]; ok {
		return body, nil
	}
	return nil, errs.New(errs.NotFound, "the object does not exist")
}

func (o *outside) PublicKey(context.Context) (string, ed25519.PublicKey, error) {
	return "key-1", ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey), nil
}

// door is the component over fresh tables.
type door struct {
	lambda.Handler
	t      testing.TB
	env    *awstest.Env
	net    *faulty.Transport
	now    *time.Time
	store  *dynamo.Requests
	hasher *pseudonym.Hasher
	flow   *flows
	mail   *mails
	out    *outside
	from   string // source address
}

var noon = time.Date(2026, 2, 3, 12, 0, 0, 0, time.UTC)

// keysOf are the keys of the tests, by who has them.
var keysOf = map[string]string{
	"public": "PublicKeyThatMustNotBeLogged0001", "private": "PrivateKeyThatMustNotBeLogged001",
	"viewer": "ViewerKeyThatMustNotBeLogged0001", "operator": "OperatorKeyThatMustNotBeLogged01", "officer": "OfficerKeyThatMustNotBeLogged001",
	"second": "SecondOfficerKeyMustNotBeLogged1", "admin": "AdminKeyThatMustNotBeLogged00001", "elsewhere": "OfficerOfAnotherSiteNotLogged001",
}

const config = `{
	"controller": {"name": "Shop & Co", "from": "privacy@shop.example", "base_url": "https://api.shop.example/", "time_zone": "Europe/Paris",
		"dpo": {"name": "The DPO", "email": "dpo@shop.example"}, "authority": {"en": "the authority"}},
	"policy": {%s}
}`

func newDoor(t testing.TB) *door { return newDoorWithPolicy(t, `"per_address": 8`) }

// newDoorWithPolicy is newDoor under another policy.
func newDoorWithPolicy(t testing.TB, policy string) *door {
	t.Helper()
	d := &door{t: t, env: awstest.New(t), now: new(noon), flow: &flows{ended: map[string]bool{}, told: map[string]string{}, late: map[string]bool{}}, mail: &mails{}, from: "203.0.113.7"}
	d.out = &outside{cert: map[string][]byte{}, plan: request.Plan{Operation: "erase", Digest: "plan-1", Stages: [][]request.Planned{{{System: "ledger", Counts: map[string]int{"consents": 2}}}}}}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := secretsmanager.NewFromConfig(d.env.Config).PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(d.env.Getenv("SYSTEMS_SECRET")), SecretString: aws.String(fmt.Sprintf(config, policy)),
	})
	must(err)
	sites := dynamo.NewSites(d.env.Config, d.env.Getenv("SITES_TABLE"))
	must(sites.Create(t.Context(), &site.Site{ID: "shop", Shards: 2, Register: []site.Purpose{{Key: "newsletter"}, {Key: "ads", SaleOrSharing: true}}}))
	must(sites.Create(t.Context(), &site.Site{ID: "other", Shards: 2}))
	ring := dynamo.NewKeys(d.env.Config, d.env.Getenv("KEYS_TABLE"))
	for who, text := range keysOf {
		k := keys.Key{Hash: keys.Hash(text), Site: "shop", Class: keys.Role, Rank: keys.Rank(who), Person: "The " + who, Created: noon}
		switch who {
		case "public", "private":
			k.Class, k.Rank, k.Person = keys.Class(who), "", ""
		case "second":
			k.Rank = keys.Officer
		case "elsewhere":
			k.Rank, k.Site = keys.Officer, "other"
		}
		must(ring.Create(t.Context(), k))
	}
	return d.instance()
}

// instance is another instance of the function over the same tables.
func (d *door) instance() *door {
	d.t.Helper()
	other := *d
	base, err := setup.NewBase(d.t.Context(), d.env.Getenv)
	if err != nil {
		d.t.Fatal(err)
	}
	other.net = &faulty.Transport{}
	base.Config = d.env.With(other.net.Wrap).Config
	base.Config.Retryer = faulty.Impatient
	base.Now = func() time.Time { return *d.now }
	base.Log = slog.Default()
	out := *d.out
	out.Packages, other.out = blob.NewPackages(base.Config, d.env.Getenv("PACKAGES_BUCKET")), &out
	hasher, err := base.Hasher(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	other.hasher = hasher
	other.store = dynamo.NewRequests(d.env.Config, d.env.Getenv("REQUESTS_TABLE"), hasher, base.Now, base.NewID)
	other.Handler, err = requests.With(d.t.Context(), base, requests.Outside{
		Flow: d.flow, Mailer: d.mail, Plans: other.out, Packages: other.out, Signer: other.out,
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return &other
}

type answer struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
	t       testing.TB
}

// ask makes a call with the key of somebody ("" for none). More are header
// names and values.
func (d *door) ask(who, method, path, body string, more ...string) answer {
	d.t.Helper()
	headers := map[string]string{"content-type": "application/json"}
	if who != "" {
		headers["apikey"] = keysOf[who]
	}
	for i := 0; i+1 < len(more); i += 2 {
		headers[strings.ToLower(more[i])] = more[i+1]
	}
	path, query, _ := strings.Cut(path, "?")
	event, err := json.Marshal(map[string]any{
		"version": "2.0", "rawPath": path, "rawQueryString": query, "headers": headers, "body": body,
		"requestContext": map[string]any{
			"http": map[string]any{"method": method, "path": path, "sourceIp": d.from}, "requestId": "request-1", "stage": "$default", "domainName": "api.shop.example",
		},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := d.Invoke(d.t.Context(), event)
	if err != nil {
		d.t.Fatal(err)
	}
	a := answer{t: d.t}
	if err := json.Unmarshal(out, &a); err != nil {
		d.t.Fatal(err)
	}
	return a
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("%d %s, want %d", a.Status, a.Body, status)
	}
	return a
}

// says demands a text in the body.
func (a answer) says(text string) answer {
	a.t.Helper()
	if !strings.Contains(a.Body, text) {
		a.t.Errorf("%d %s: does not say %q", a.Status, a.Body, text)
	}
	return a
}

func (a answer) object() map[string]any {
	a.t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
		a.t.Fatalf("%v: %s", err, a.Body)
	}
	return v
}

func (a answer) id() string { return a.object()["id"].(string) }

// at reads a value by a path of names.
func (a answer) at(path string) any {
	a.t.Helper()
	var v any = a.object()
	for name := range strings.SplitSeq(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// opened opens a request by an operator who has checked who it is.
func (d *door) opened(body map[string]any, more ...string) string {
	d.t.Helper()
	whole := map[string]any{
		"type": "erasure", "subject": map[string]any{"email": ines, "name": "Inesita"}, "channel": "letter",
		"identity": map[string]any{"method": "operator", "evidence": "passport shown at the counter"},
	}
	maps.Copy(whole, body)
	text, err := json.Marshal(whole)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.ask("operator", "POST", "/requests", string(text), more...).want(200).id()
}

// change alters the stored request as a run would.
func (d *door) change(id string, change func(*request.Request)) {
	d.t.Helper()
	r, err := d.store.Get(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	change(r)
	e := request.Entry{At: *d.now, By: request.Avow, Act: request.Begin, From: r.State, To: r.State}
	if err := d.store.Write(d.t.Context(), request.Change{Request: r, Entries: []request.Entry{e}}); err != nil {
		d.t.Fatal(err)
	}
}

// located brings a request to where an officer reads its plan, and has a run
// wait for the approval.
func (d *door) located(id string) {
	d.t.Helper()
	d.change(id, func(r *request.Request) {
		r.State, r.Findings, r.Epoch, r.Execution = request.WaitingApproval, "plan-1", 1, "arn:"+id+"-1"
	})
	d.waiting(id, request.WaitApproval("plan-1"))
}

// waiting registers the token of a run.
func (d *door) waiting(id string, w request.Wait) {
	d.t.Helper()
	err := d.store.PutToken(d.t.Context(), id, request.Token{Wait: w, Token: "token-" + string(w), Epoch: d.get(id).Epoch, At: *d.now})
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *door) get(id string) *request.Request {
	d.t.Helper()
	r, err := d.store.Get(d.t.Context(), id)
	if err != nil {
		d.t.Fatal(err)
	}
	return r
}

// log lists the acts of a request.
func (d *door) log(id string) (acts []request.Act) {
	d.t.Helper()
	entries, err := d.store.Log(d.t.Context(), id, "", 100)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, e := range entries {
		acts = append(acts, e.Act)
	}
	return acts
}

var linkForm = regexp.MustCompile(`https://api\.shop\.example(/public/confirm/[A-Za-z0-9_-]+)`)

// links are the paths of all links that were mailed to an address.
func (d *door) links(address string) (paths []string) {
	d.t.Helper()
	for _, m := range d.mail.to(address) {
		if found := linkForm.FindStringSubmatch(m.Text); found != nil {
			paths = append(paths, found[1])
		}
	}
	return paths
}

// packageLink is the path of a link to the package of a request.
func (d *door) packageLink(id string) string {
	d.t.Helper()
	links := request.Links{Store: d.store, Policy: request.Defaults(), Controller: request.Controller{BaseURL: "https://x"}, Now: func() time.Time { return *d.now }, Token: request.NewToken}
	url, _, err := links.Make(d.t.Context(), d.get(id), request.PackageLink)
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimPrefix(url, "https://x")
}

// press presses a button of a page.
func (d *door) press(path, action string, more ...string) answer {
	d.t.Helper()
	return d.ask("", "POST", path, "action="+action, append([]string{"content-type", "application/x-www-form-urlencoded"}, more...)...)
}

// rows counts the rows of the table of requests whose partition begins with a
// text.
func (d *door) rows(prefix string) int {
	d.t.Helper()
	out, err := dynamodb.NewFromConfig(d.env.Config).Scan(d.t.Context(), &dynamodb.ScanInput{
		TableName: aws.String(d.env.Getenv("REQUESTS_TABLE")), ConsistentRead: aws.Bool(true),
		FilterExpression:          aws.String("begins_with(#k, :p)"),
		ExpressionAttributeNames:  map[string]string{"#k": "request"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":p": &types.AttributeValueMemberS{Value: prefix}},
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return int(out.Count)
}

// events counts the rows of the ledger.
func (d *door) events() int {
	d.t.Helper()
	out, err := dynamodb.NewFromConfig(d.env.Config).Scan(d.t.Context(), &dynamodb.ScanInput{TableName: aws.String(d.env.Getenv("EVENTS_TABLE")), ConsistentRead: aws.Bool(true)})
	if err != nil {
		d.t.Fatal(err)
	}
	return int(out.Count)
}
