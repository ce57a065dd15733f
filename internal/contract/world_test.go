package contract

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"

	doors "github.com/avow-consent/avow/internal/admin"
	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/collect"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/preferences"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/webhook"
	"github.com/avow-consent/avow/scripts/local/edge"
	"github.com/avow-consent/avow/scripts/local/streams"
	"github.com/avow-consent/avow/scripts/site/admin"
)

// TestMain asks at the end whether every operation and every status of the file
// was met, when all tests have run.
func TestMain(m *testing.M) {
	flag.Parse()
	slog.SetDefault(slog.New(slog.DiscardHandler))
	code := m.Run()
	all := flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	if s, err := loadSpec(); code == 0 && all && err == nil {
		for _, missing := range s.unseen() {
			fmt.Println("docs/openapi.yaml names what no test has met:", missing)
			code = 1
		}
	}
	os.Exit(code)
}

// A world is one set of tables with the projection at work. Tests share it:
// each has a site of its own, and sees nothing of the others.
type world struct {
	env   *awstest.Env
	admin *admin.Admin
	beside

	mu        sync.Mutex
	projected map[string]bool // sort keys of the rows that the projection has handled
}

var shared struct {
	sync.Mutex
	world *world
	main  *deployment
}

// start gives the shared world and the functions of the template at real time.
func start(t *testing.T) *deployment {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.main == nil {
		shared.world = newWorld(t)
		shared.main = shared.world.deploy(t, deployOptions{forever: true})
	}
	return shared.main
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := newWorldWithoutProjection(t)
	w.project(t)
	return w
}

// newWorldWithoutProjection is for persons whom it would be dear to project.
func newWorldWithoutProjection(t *testing.T) *world {
	t.Helper()
	w := &world{env: awstest.New(t), projected: map[string]bool{}}
	var err error
	if w.admin, err = admin.New(w.env.Config, w.env.Getenv, time.Now); err != nil {
		t.Fatal(err)
	}
	return w
}

// project lets the projection follow the ledger's stream, as the template says.
func (w *world) project(t *testing.T) {
	t.Helper()
	ctx := context.Background() // for as long as the process lives
	handler, err := project.New(ctx, w.base(t, "project", deployOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	arn, err := streams.LatestStream(ctx, dynamodb.NewFromConfig(w.env.Config), w.env.Getenv("EVENTS_TABLE"))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		err := streams.Run(ctx, streams.Config{
			Reader: dynamodbstreams.NewFromConfig(w.env.Config), StreamARN: arn,
			Function: "project", Handler: watched{handler, w}, Timeout: time.Minute,
			ReportBatchItemFailures: true, BisectBatchOnFunctionError: true, MaximumRetryAttempts: 20,
		})
		panic(fmt.Sprint("the stream has ended: ", err))
	}()
}

// watched notes which rows the projection has handled.
type watched struct {
	lambda.Handler
	world *world
}

func (h watched) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	out, err := h.Handler.Invoke(ctx, payload)
	var report events.DynamoDBEventResponse
	var batch events.DynamoDBEvent
	if err != nil || json.Unmarshal(out, &report) != nil || len(report.BatchItemFailures) > 0 || json.Unmarshal(payload, &batch) != nil {
		return out, err
	}
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	for _, r := range batch.Records {
		if id, ok := r.Change.Keys["id"]; ok {
			h.world.projected[id.String()] = true
		}
	}
	return out, nil
}

func (w *world) hasProjected(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.projected[id]
}

// deployOptions say how a deployment differs from the template's.
type deployOptions struct {
	now      func() time.Time // the functions' clock; real time when nil
	wrap     func(http.RoundTripper) http.RoundTripper
	throttle *edge.Throttle // of every route; none when nil, unlike the template
	log      *slog.Logger   // of the functions; none when nil
	forever  bool           // not closed with the test
}

func (w *world) base(t *testing.T, function string, o deployOptions) *setup.Base {
	t.Helper()
	base, err := setup.NewBase(t.Context(), w.env.Function(function))
	if err != nil {
		t.Fatal(err)
	}
	env := w.env
	if o.wrap != nil {
		env = env.With(o.wrap)
	}
	base.Config, base.Log = env.Config, slog.New(slog.DiscardHandler)
	if o.wrap != nil {
		base.Config.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // what is broken stays broken
	}
	if o.log != nil {
		base.Log = o.log
	}
	if o.now != nil {
		base.Now = o.now
	}
	return base
}

// A deployment is the HTTP API over the tables of a world.
type deployment struct {
	*world
	url string
}

// deploy puts new instances of the functions behind the routes of the template.
func (w *world) deploy(t *testing.T, o deployOptions) *deployment {
	t.Helper()
	functions := map[string]lambda.Handler{}
	for name, start := range map[string]func(context.Context, *setup.Base) (lambda.Handler, error){
		"admin": doors.New, "api": api.New, "collect": collect.New, "preferences": preferences.New, "requests": w.requests, "webhook": webhook.New,
	} {
		h, err := start(context.Background(), w.base(t, name, o))
		if err != nil {
			t.Fatal(err)
		}
		functions[name] = h
	}
	c := edge.Config{Functions: functions, Timeouts: map[string]time.Duration{}, Throttles: map[string]edge.Throttle{}}
	for _, f := range w.env.Stack.Functions {
		c.Timeouts[f.Name] = time.Duration(f.Timeout) * time.Second
	}
	for _, r := range w.env.Stack.API.Routes {
		c.Routes = append(c.Routes, edge.Route(r))
	}
	if cors := w.env.Stack.API.CORS; cors != nil {
		c.CORS = &edge.CORS{
			AllowOrigins: cors.AllowOrigins, AllowMethods: cors.AllowMethods, AllowHeaders: cors.AllowHeaders,
			ExposeHeaders: cors.ExposeHeaders, MaxAge: int(cors.MaxAge), AllowCredentials: bool(cors.AllowCredentials),
		}
	}
	if o.throttle != nil {
		c.Throttles[""] = *o.throttle
	}
	handler, err := edge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	if !o.forever {
		t.Cleanup(server.Close)
	}
	return &deployment{w, server.URL}
}

// A shop is a site with its keys, and who calls the API for it.
type shop struct {
	*deployment
	site            string
	public, private string
	roles           []string // role keys, made when a test needs them
}

// shop makes a new site with two keys.
func (d *deployment) shop(t *testing.T, settings site.Settings, register ...site.Purpose) *shop {
	t.Helper()
	const shards = 2
	s, err := d.admin.CreateSite(t.Context(), "", "a shop", shards, settings, register)
	if err != nil && !errs.Is(err, errs.Conflict) {
		t.Fatal(err)
	}
	return &shop{deployment: d, site: s.ID, public: d.key(t, s.ID, keys.Public), private: d.key(t, s.ID, keys.Private)}
}

func (d *deployment) key(t *testing.T, site string, class keys.Class, origins ...string) string {
	t.Helper()
	text, err := d.admin.CreateKey(t.Context(), site, class, "test", origins)
	if err != nil && !errs.Is(err, errs.Conflict) { // a random key exists already: the reply was lost, and the SDK tried again
		t.Fatal(err)
	}
	return text
}

// on is the same site behind another deployment.
func (s *shop) on(d *deployment) *shop {
	other := *s
	other.deployment = d
	return &other
}

// settle waits until the projection has handled everything that was written so
// far: the stream has one shard here, so what comes last is handled last.
func (s *shop) settle(t *testing.T) {
	t.Helper()
	mark := s.shopkeeper(t).consent(t, `{"subject":{"id":"mark"}}`).ID
	for wait, deadline := time.Millisecond, time.Now().Add(2*time.Minute); !s.hasProjected(mark); wait = min(2*wait, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the projection does not come after")
		}
		time.Sleep(wait)
	}
}

// shopkeeper is a caller of a site that no test looks at.
func (s *shop) shopkeeper(t *testing.T) *shop {
	t.Helper()
	marks.Lock()
	defer marks.Unlock()
	if marks.shop == nil {
		marks.shop = shared.main.shop(t, site.Settings{})
	}
	return marks.shop
}

var marks struct {
	sync.Mutex
	shop *shop
}

// A clock is what functions are told the time by. It stands still until it is
// set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock(at time.Time) *clock { return &clock{now: at.UTC().Truncate(time.Second)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// advance moves the clock and returns what it then shows.
func (c *clock) advance(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

// text is a time as the API writes it.
func text(t time.Time) string { return t.UTC().Format(time.RFC3339) }
