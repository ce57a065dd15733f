package contract

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/certificate"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/letter"
	dsr "github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/requests"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/scripts/local/edge"
)

// beside is what the component requests calls beyond the tables: a state machine
// and a mail service that note what they are asked, and what a run would leave.
type beside struct {
	*blob.Packages
	mu    sync.Mutex
	mails []letter.Message
	mute  bool // the key that signs does not answer
}

func (*beside) Start(_ context.Context, _, name string) (string, error) { return "arn:" + name, nil }
func (*beside) Alive(context.Context, string) (bool, error)             { return true, nil }
func (*beside) Succeed(context.Context, string, string) (bool, error)   { return true, nil }

func (b *beside) Send(_ context.Context, m letter.Message) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mails = append(b.mails, m)
	return fmt.Sprint("mail-", len(b.mails)), nil
}

func (*beside) Plan(context.Context, *dsr.Request) (dsr.Plan, error) {
	return dsr.Plan{Operation: connector.Erase, Digest: "plan-1", Stages: [][]dsr.Planned{{{
		System: "ledger", Counts: map[string]int{"consents": 2}, Notes: []string{"a note"}, After: []dsr.Reason{{System: "desk", Why: "is found by it"}},
	}}}}, nil
}

func (*beside) Download(context.Context, *dsr.Request, time.Duration) (string, error) {
	return "https://bucket.example/package.zip", nil
}

func (b *beside) Certificate(ctx context.Context, id string, serial int) ([]byte, error) {
	return certificate.Sign(ctx, b, &certificate.Certificate{Format: certificate.Format, Serial: serial, Request: certificate.Request{ID: id}})
}

// signing is the key that certificates are signed with here.
var signing = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

func (*beside) Sign(_ context.Context, message []byte) ([]byte, error) {
	return ed25519.Sign(signing, message), nil
}

func (b *beside) PublicKey(context.Context) (string, ed25519.PublicKey, error) {
	if b.mute {
		return "", nil, errs.New(errs.Unavailable, "kms GetPublicKey: no answer")
	}
	return "key-1", signing.Public().(ed25519.PublicKey), nil
}

var mailed = regexp.MustCompile(`https://api\.shop\.example(/public/confirm/\S+)`)

// link is the last link that was mailed to an address.
func (b *beside) link(t *testing.T, address string) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.mails) - 1; i >= 0; i-- {
		if found := mailed.FindStringSubmatch(b.mails[i].Text); b.mails[i].To.Reveal() == address && found != nil {
			return found[1]
		}
	}
	t.Fatal("no link was mailed")
	return ""
}

// requests builds the component with what stands beside it.
func (w *world) requests(ctx context.Context, base *setup.Base) (lambda.Handler, error) {
	_, err := secretsmanager.NewFromConfig(w.env.Config).PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(w.env.Getenv("SYSTEMS_SECRET")), SecretString: aws.String(`{"controller":{"name":"Shop","from":"privacy@shop.example","base_url":"https://api.shop.example","time_zone":"Europe/Paris"}}`),
	})
	if err != nil {
		return nil, err
	}
	w.Packages = blob.NewPackages(w.env.Config, w.env.Getenv("PACKAGES_BUCKET"))
	return requests.With(ctx, base, requests.Outside{Flow: &w.beside, Mailer: &w.beside, Plans: &w.beside, Packages: &w.beside, Signer: &w.beside})
}

// ofRequests reports whether the component requests serves an operation.
func ofRequests(op operation) bool {
	return op.path == "/keys" || op.path == "/propagation" || op.path == "/inventory" || op.path == "/public/requests" || strings.HasPrefix(op.path, "/requests") || strings.HasPrefix(op.path, "/public/confirm")
}

// office is a site with an operator and two officers, and the store behind it.
type office struct {
	*shop
	operator, officer string
	store             *dynamo.Requests
}

func newOffice(t *testing.T) *office {
	t.Helper()
	s := start(t).shop(t, site.Settings{})
	o := &office{shop: s}
	for rank, into := range map[keys.Rank]*string{keys.Operator: &o.operator, keys.Officer: &o.officer} {
		key, err := s.admin.CreateRoleKey(t.Context(), s.site, "The "+string(rank), rank)
		if err != nil && !errs.Is(err, errs.Conflict) {
			t.Fatal(err)
		}
		*into = key
		s.roles = append(s.roles, key)
	}
	base := s.base(t, "requests", deployOptions{})
	hasher, err := base.Hasher(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.store = dynamo.NewRequests(s.env.Config, s.env.Getenv("REQUESTS_TABLE"), hasher, base.Now, base.NewID)
	return o
}

const opening = `{"type":"erasure","subject":{"email":"ines@example.test","name":"Ines"},"channel":"letter","identity":{"method":"operator","evidence":"seen"}}`

// open opens a request and, with change, lets a run have worked on it.
func (o *office) open(t *testing.T, body string, change func(*dsr.Request, *dsr.Change)) string {
	t.Helper()
	var v struct{ ID string }
	o.send(t, call{method: "POST", path: "/requests", key: o.operator, body: body}).ok(t).into(t, &v)
	if change == nil {
		return v.ID
	}
	r, err := o.store.Get(t.Context(), v.ID)
	if err != nil {
		t.Fatal(err)
	}
	c := dsr.Change{Request: r, Entries: []dsr.Entry{{At: time.Now(), By: dsr.Avow, Act: dsr.Begin, From: r.State, To: r.State}}}
	change(r, &c)
	if err := o.store.Write(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return v.ID
}

const (
	taskID      = "019c2300-0000-7000-8000-00000000aaaa"
	candidateID = "019c2300-0000-7000-8000-00000000aaab"
)

// whole is a request that has one of everything.
func whole(r *dsr.Request, c *dsr.Change) {
	now := time.Now()
	r.State, r.Findings, r.Epoch = dsr.WaitingApproval, "plan-1", 1
	r.Package = &dsr.Package{Build: "b", Digest: "zip", Bytes: 1, Built: now, Excluded: []dsr.Exclusion{{Part: "a", Reason: "b"}}}
	r.Certificate = &dsr.CertificateRef{Serial: 1, Digest: "d", At: now}
	r.Looks = []dsr.Look{{At: now, Residue: map[string]int{"ledger": 1}}}
	r.Open = 1
	guess := identity.Identifier{Kind: identity.Phone, Value: "+33612345678", Trust: identity.Claimed}
	c.Known = []dsr.Known{{Identifier: guess, Key: "key-of-phone", Evidence: "stated in the request, not proven"}}
	c.Tasks = []dsr.Task{{ID: candidateID, Kind: dsr.TaskCandidate, Candidate: "key-of-phone", Reason: "why", Choices: []dsr.Act{dsr.Accept}, Opened: now}, {ID: taskID, Kind: dsr.TaskAttend, System: "desk", Operation: connector.Erase, Reason: "why", Choices: []dsr.Act{dsr.Retry, dsr.Done}, Opened: now, Due: now}}
}

// valid are bodies that each door reads, by operation.
var valid = map[string]string{
	"openRequest": opening, "identifyPerson": `{"evidence":"seen","kinds":["email"]}`, "approveRequest": `{"digest":"plan-1"}`,
	"refuseRequest": `{"ground":"g","reason":"r"}`, "extendRequest": `{"reason":"r"}`, "holdRequest": `{"ground":"g","reason":"r"}`,
	"releaseRequest": `{"package":"zip"}`, "cancelRequest": `{"reason":"r"}`, "resumeRequest": `{}`, "decideTask": `{"decision":"done"}`,
	"filePublicRequest": `{"type":"access","email":"leo@example.test"}`,
}

// doors lists a call of each operation, about a request.
func (o *office) doors(t *testing.T, id string) (list []sampleCall) {
	t.Helper()
	file, err := loadSpec()
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range file.operations() {
		if !ofRequests(op) {
			continue
		}
		c := call{method: op.method, path: strings.NewReplacer("{id}", id, "{task}", taskID, "{token}", strings.Repeat("A", 43)).Replace(op.path), key: o.officer, body: valid[op.OperationID]}
		switch {
		case op.path == "/public/requests":
			c.key = o.public
		case op.path == "/keys", strings.HasPrefix(op.path, "/public/"):
			c.key = ""
		}
		if op.OperationID == "useLink" {
			c.body, c.contentType = "action=confirm", "application/x-www-form-urlencoded"
		}
		list = append(list, sampleCall{op, c})
	}
	return list
}

// TestRequests: each operation, as it should be.
func TestRequests(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	reading := o.open(t, opening, whole)
	for _, path := range []string{"", "/plan", "/log?limit=1", "/package", "/certificate", "/certificate?format=html&language=fr", "/tasks"} {
		o.send(t, call{method: "GET", path: "/requests/" + reading + path, key: o.officer}).ok(t)
	}
	o.send(t, call{method: "GET", path: "/propagation", key: o.officer}).ok(t)
	if record := o.send(t, call{method: "GET", path: "/inventory", key: o.operator}).ok(t); !strings.Contains(string(record.body), `"missing":[]`) {
		t.Errorf("Avow does not know why it keeps its own ledger: %s", record.body)
	}
	o.send(t, call{method: "GET", path: "/inventory?format=xls", key: o.operator, bad: true}).problem(t, http.StatusBadRequest)
	if list := o.send(t, call{method: "GET", path: "/requests?type=erasure&limit=1", key: o.operator}).ok(t); !strings.Contains(string(list.body), reading) {
		t.Errorf("%v", list)
	}
	post := func(state dsr.State, path, body string) {
		t.Helper()
		id := o.open(t, opening, func(r *dsr.Request, c *dsr.Change) {
			whole(r, c)
			r.State = state
		})
		o.send(t, call{method: "POST", path: "/requests/" + id + path, key: o.officer, body: body}).ok(t)
	}
	post(dsr.WaitingApproval, "/approve", `{"digest":"plan-1","why":"fine"}`)
	post(dsr.WaitingApproval, "/refuse", valid["refuseRequest"])
	post(dsr.WaitingApproval, "/extend", valid["extendRequest"])
	post(dsr.WaitingApproval, "/hold", valid["holdRequest"])
	post(dsr.WaitingRelease, "/release", valid["releaseRequest"])
	post(dsr.WaitingApproval, "/cancel", valid["cancelRequest"])
	post(dsr.WaitingApproval, "/resume", "")
	post(dsr.Running, "/tasks/"+taskID, `{"decision":"done","why":"by hand","evidence":{"document":"YQ=="}}`)
	corrected := o.open(t, strings.Replace(opening, `"erasure"`, `"rectification","changes":[{"field":"city","old":"Lyon","new":"Paris"}]`, 1), whole)
	if a := o.send(t, call{method: "GET", path: "/requests/" + corrected + "/plan", key: o.officer}).ok(t); !strings.Contains(string(a.body), "Paris") || !strings.Contains(string(a.body), candidateID) {
		t.Errorf("the plan is %v", a)
	}
	claimed := o.open(t, `{"type":"access","subject":{"email":"ines@example.test"}}`, nil)
	o.send(t, call{method: "POST", path: "/requests/" + claimed + "/identity", key: o.operator, body: valid["identifyPerson"]}).ok(t)
	o.send(t, call{method: "GET", path: "/keys"}).ok(t)
}

// TestRequests_public: the doors of everybody.
func TestRequests_public(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	file := call{method: "POST", path: "/public/requests", key: o.public, body: `{"type":"access","email":"contract@example.test","language":"fr"}`,
		header: map[string]string{"Idempotency-Key": freshKey(t, o)}}
	for range 2 {
		if a := o.send(t, file); a.status != http.StatusAccepted || string(a.body) != `{"status":"received"}` {
			t.Fatalf("answered %v", a)
		}
	}
	path := o.link(t, "contract@example.test")
	press := func(path, action string, status int) answer {
		t.Helper()
		a := o.send(t, call{method: "POST", path: path, body: "action=" + action, contentType: "application/x-www-form-urlencoded"})
		if a.status != status {
			t.Fatalf("answered %v; want %d", a, status)
		}
		return a
	}
	o.send(t, call{method: "GET", path: path}).ok(t)
	press(path, "confirm", 200)
	for _, wrong := range []string{path, "/public/confirm/" + strings.Repeat("A", 43)} {
		if a := o.send(t, call{method: "GET", path: wrong}); a.status != 404 {
			t.Errorf("answered %v", a)
		}
	}
	press("/public/confirm/"+strings.Repeat("A", 43), "confirm", 404)
	press("/public/confirm/"+strings.Repeat("A", 43), "resend", 200)
	// Another body with the same key.
	file.body = `{"type":"erasure","email":"contract@example.test"}`
	o.send(t, file).problem(t, 409)
	// The package.
	id := o.open(t, opening, func(r *dsr.Request, c *dsr.Change) {
		whole(r, c)
		r.State, r.Package.Released = dsr.Answered, time.Now()
	})
	r, err := o.store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	links := dsr.Links{Store: o.store, Policy: dsr.Defaults(), Controller: dsr.Controller{BaseURL: "https://x"}, Now: time.Now, Token: dsr.NewToken}
	url, _, err := links.Make(t.Context(), r, dsr.PackageLink)
	if err != nil {
		t.Fatal(err)
	}
	press(strings.TrimPrefix(url, "https://x"), "download", 303)
	// Too many from one address.
	for n := range 12 {
		a := o.send(t, call{method: "POST", path: "/public/requests", key: o.public, body: fmt.Sprintf(`{"type":"access","email":"%d@example.test"}`, n)})
		if n == 11 && a.status != http.StatusTooManyRequests {
			t.Errorf("answered %v", a)
		}
	}
}

func freshKey(t *testing.T, o *office) string {
	t.Helper()
	return o.base(t, "requests", deployOptions{}).NewID(time.Now())
}

// TestRequests_refusals: what each door refuses.
func TestRequests_refusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	refused := o.open(t, `{"type":"access","subject":{"email":"ines@example.test"}}`, whole)
	o.send(t, call{method: "POST", path: "/requests/" + refused + "/refuse", key: o.officer, body: `{"ground":"x","reason":"x"}`}).ok(t)
	for _, c := range o.doors(t, refused) {
		ask := func(status int, change func(*call)) {
			t.Helper()
			bad := c.call
			change(&bad)
			bad.bad = true
			if a := o.send(t, bad); a.status != status {
				t.Errorf("%v answered %v; want %d", c.op, a, status)
			}
		}
		if c.key == "" {
			continue
		}
		ask(401, func(c *call) { c.key = "" })
		ask(403, func(c *call) { c.key = o.private })
		if strings.Contains(c.op.path, "{id}") {
			ask(404, func(c *call) { c.path = strings.Replace(c.path, refused, absentID, 1) })
		}
		if c.method == "POST" {
			ask(400, func(c *call) { c.body = `{"nonsense":1}` })
			ask(413, func(c *call) { c.body += strings.Repeat(" ", 5<<20) })
			ask(415, func(c *call) { c.contentType = "application/xml" })
			if c.op.path != "/public/requests" && c.op.path != "/requests" {
				ask(409, func(*call) {})
			}
		}
	}
	for path, status := range map[string]int{
		"/requests?limit=x": 400, "/requests/" + refused + "/log?starting_after=x": 400, "/requests/" + refused + "/certificate?serial=x": 400,
		"/requests/" + o.open(t, opening, nil) + "/plan": 409,
	} {
		o.send(t, call{method: "GET", path: path, key: o.officer, bad: true}).problem(t, status)
	}
	key := map[string]string{"Idempotency-Key": freshKey(t, o)}
	o.send(t, call{method: "POST", path: "/requests", key: o.operator, body: opening, header: key}).ok(t)
	o.send(t, call{method: "POST", path: "/requests", key: o.operator, body: strings.Replace(opening, "erasure", "access", 1), header: key}).problem(t, 409)
}

// TestRequests_faults: what AWS does wrong, and the stage's throttle.
func TestRequests_faults(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	id := o.open(t, opening, whole)
	closed := o.on(o.deploy(t, deployOptions{throttle: &edge.Throttle{Rate: 1, Burst: 0}}))
	for status, failing := range failures(t, o.shop) {
		for _, c := range o.doors(t, id) {
			c.bad = true
			closed.send(t, c.call).problem(t, http.StatusTooManyRequests)
			if c.op.path != "/keys" {
				a := failing.send(t, c.call)
				a.problem(t, status)
				if strings.Contains(string(a.body), "secret") {
					t.Errorf("%v told what is broken: %v", c.op, a)
				}
			}
		}
	}
	w := &world{env: o.env, admin: o.admin}
	w.mute = true
	silent := o.on(w.deploy(t, deployOptions{}))
	silent.send(t, call{method: "GET", path: "/keys", bad: true}).problem(t, http.StatusServiceUnavailable)
}
