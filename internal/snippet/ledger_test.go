package snippet_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/collect"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/preferences"
	"github.com/avow-consent/avow/internal/setup"
	sites "github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/scripts/local/edge"
)

// stack is the API as it is deployed, over an emulator: all tests of the package share it, each with a site of its own.
type stack struct {
	env     *awstest.Env
	gateway http.Handler
	events  *dynamo.Events
}

var (
	stackOnce   sync.Once
	sharedStack *stack
)

func startStack(t testing.TB) *stack {
	t.Helper()
	stackOnce.Do(func() { sharedStack = newStack(t) })
	if sharedStack == nil {
		t.Fatal("the stack did not start")
	}
	return sharedStack
}

func newStack(t testing.TB) *stack {
	s := &stack{env: awstest.New(t)}
	quiet := slog.New(slog.DiscardHandler)
	c := edge.Config{Functions: map[string]lambda.Handler{}, Timeouts: map[string]time.Duration{}, Log: quiet}
	for name, start := range map[string]func(base *setup.Base) (lambda.Handler, error){
		"collect": func(base *setup.Base) (lambda.Handler, error) { return collect.New(context.Background(), base) },
		"api":     func(base *setup.Base) (lambda.Handler, error) { return api.New(context.Background(), base) },
		"preferences": func(base *setup.Base) (lambda.Handler, error) {
			return preferences.New(context.Background(), base)
		},
	} {
		base, err := setup.NewBase(context.Background(), s.env.Function(name))
		if err != nil {
			t.Fatal(err)
		}
		base.Config, base.Log = s.env.Config, quiet
		if c.Functions[name], err = start(base); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range s.env.Stack.Functions {
		c.Timeouts[f.Name] = time.Duration(f.Timeout) * time.Second
	}
	for _, r := range s.env.Stack.API.Routes {
		if c.Functions[r.Function] != nil {
			c.Routes = append(c.Routes, edge.Route(r))
		}
	}
	cors := s.env.Stack.API.CORS
	c.CORS = &edge.CORS{
		AllowOrigins: cors.AllowOrigins, AllowMethods: cors.AllowMethods, AllowHeaders: cors.AllowHeaders,
		ExposeHeaders: cors.ExposeHeaders, MaxAge: int(cors.MaxAge),
	}
	gateway, err := edge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.gateway = gateway
	s.events = dynamo.NewEvents(s.env.Config, s.env.Getenv("EVENTS_TABLE"))
	return s
}

// ledger is a site of the stack, with its keys and an address of its own.
type ledger struct {
	*stack
	t                        testing.TB
	URL                      string
	site, publicKey, private string
	mu                       sync.Mutex
	meddle                   []meddler // what happens to the next posts, one each
	slow                     time.Duration
	isDown                   bool
	posts                    int
}

// meddler stands between a post and the API.
type meddler func(w http.ResponseWriter, r *http.Request, api http.Handler)

// noAnswer keeps the post from the API. To fetch, an answer without CORS headers is none, as when a blocker refuses the
// request; a connection that is cut the browser would try again by itself.
func noAnswer(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
	w.WriteHeader(http.StatusBadGateway)
}

// answerLost lets the API record the post and the page hear nothing of it.
func answerLost(w http.ResponseWriter, r *http.Request, api http.Handler) {
	api.ServeHTTP(httptest.NewRecorder(), r)
	w.WriteHeader(http.StatusBadGateway)
}

func newLedger(t testing.TB, meddle ...meddler) *ledger {
	t.Helper()
	l := &ledger{stack: startStack(t), t: t, meddle: meddle, site: "s" + rand.Text()[:10], publicKey: rand.Text(), private: rand.Text()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(dynamo.NewSites(l.env.Config, l.env.Getenv("SITES_TABLE")).Create(t.Context(), &sites.Site{ID: l.site, Shards: 1}))
	ring := dynamo.NewKeys(l.env.Config, l.env.Getenv("KEYS_TABLE"))
	must(ring.Create(t.Context(), keys.Key{Hash: keys.Hash(l.publicKey), Class: keys.Public, Site: l.site, Created: time.Now()}))
	must(ring.Create(t.Context(), keys.Key{Hash: keys.Hash(l.private), Class: keys.Private, Site: l.site, Created: time.Now()}))
	server := httptest.NewServer(http.HandlerFunc(l.serve))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(server.Close)
	l.URL = server.URL
	return l
}

func (l *ledger) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		l.mu.Lock()
		l.posts++
		next := meddler(nil)
		if l.isDown {
			next = noAnswer
		} else if len(l.meddle) > 0 {
			next, l.meddle = l.meddle[0], l.meddle[1:]
		}
		slow := l.slow
		l.mu.Unlock()
		time.Sleep(slow)
		if next != nil {
			next(w, r, l.gateway)
			return
		}
	}
	l.gateway.ServeHTTP(w, r)
}

// started is what the pages of this site say first.
func (l *ledger) started() string {
	return `avow.init({api_key: "` + l.publicKey + `", log_level: "none"});`
}

// record is a consent as the private API shows it.
type record struct {
	ID, Timestamp, Act, Source string
	Subject                    struct{ ID, Email, FullName string }
	Preferences                map[string]any
	Proofs                     []struct{ Content, Form string }
	LegalNotices               []struct{ Identifier string } `json:"legal_notices"`
	IPAddress                  string                        `json:"ip_address"`
	DeviceTime                 string                        `json:"device_time"`
	GPC                        bool
}

// count is how many consents the ledger holds for the site, and of how many people.
func (l *ledger) partitions() map[string]int {
	l.t.Helper()
	rows := map[string]int{}
	if err := l.events.Walk(l.t.Context(), func(site, subject string) error {
		if site == l.site {
			rows[subject]++
		}
		return nil
	}); err != nil {
		l.t.Fatal(err)
	}
	return rows
}

func (l *ledger) count() (n int) {
	for _, rows := range l.partitions() {
		n += rows
	}
	return n
}

// wait returns the site's consents, in the order in which they have arrived, once there are n of them, and a moment later still only n.
func (l *ledger) wait(n int) []record {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); l.count() < n; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("the ledger holds %d consents, want %d", l.count(), n)
		}
	}
	time.Sleep(700 * time.Millisecond)
	var all []record
	received := map[string]time.Time{}
	for subject := range l.partitions() {
		rows, err := l.events.Partition(l.t.Context(), subject, 1<<20)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, e := range rows.Events {
			all = append(all, l.read(e.ID, e.SubjectID.Reveal()))
			received[e.ID] = e.Received
		}
	}
	if len(all) != n {
		l.t.Fatalf("the ledger holds %d consents, want %d: %+v", len(all), n, all)
	}
	// Not by their ids: those are in the order of the acts, whatever the order of the posts was.
	slices.SortFunc(all, func(a, b record) int { return received[a.ID].Compare(received[b.ID]) })
	return all
}

func (l *ledger) one() record { l.t.Helper(); return l.wait(1)[0] }

func (l *ledger) read(id, subjectID string) record {
	l.t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/consent/"+id+"?subject_id="+subjectID, nil)
	r.Header.Set("ApiKey", l.private)
	w := httptest.NewRecorder()
	l.gateway.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Body)
	var rec record
	if err != nil || w.Code != http.StatusOK || json.Unmarshal(body, &rec) != nil {
		l.t.Fatalf("reading a consent: %d %s (%v)", w.Code, body, err)
	}
	return rec
}

// content is what was entered, of the only proof; how it was shown is apart.
func (r record) content(t testing.TB) (entered, shown map[string]any) {
	t.Helper()
	if len(r.Proofs) != 1 || json.Unmarshal([]byte(r.Proofs[0].Content), &entered) != nil {
		t.Fatalf("proofs = %+v, want one whose content is an object", r.Proofs)
	}
	shown, _ = entered["_avow"].(map[string]any)
	delete(entered, "_avow")
	return entered, shown
}
