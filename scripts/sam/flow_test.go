package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/company/vendors"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
	whatsapp "github.com/avow-consent/avow/internal/connector/whatsapp/fake"
	"github.com/avow-consent/avow/internal/erase"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/preferences"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/propagate"
	"github.com/avow-consent/avow/internal/requests"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/steps"
	"github.com/avow-consent/avow/internal/sweep"
	"github.com/avow-consent/avow/internal/webhook"
	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/edge"
	"github.com/avow-consent/avow/scripts/local/emulator"
	"github.com/avow-consent/avow/scripts/local/mailpage"
	"github.com/avow-consent/avow/scripts/local/streams"
	"github.com/avow-consent/avow/scripts/sam/event"
	"github.com/avow-consent/avow/scripts/sam/sample"
	"github.com/avow-consent/avow/scripts/site/admin"
)

// A watch notes which rights the calls of one function need.
type watch struct {
	stack *stack
	next  http.RoundTripper
	mu    sync.Mutex
	used  map[right]bool
}

// RoundTrip implements http.RoundTripper.
func (w *watch) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	needed, err := w.stack.needs(r.Method, r.URL, r.Header.Get("X-Amz-Target"), body)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	for _, n := range needed {
		n.resource = strings.Replace(n.resource, w.stack.Name, stackName, 1)
		if strings.Contains(n.resource, ":key/") { // of the only key, as KMS calls it
			n.resource = w.stack.Keys[0].ID
		}
		w.used[n] = true
	}
	w.mu.Unlock()
	return w.next.RoundTrip(r)
}

// A world is a stack in which requests run, each function on a watch.
type world struct {
	t       *testing.T
	env     *awstest.Env
	url     string
	keys    map[keys.Rank]string
	private string
	letters *mailpage.Box
	watches map[string]*watch
	started time.Time
}

// newWorld makes one whose systems are those of systems.json beside the controller;
// vendors are their credentials.
func newWorld(t *testing.T, systems func(w *world) (list string, credentials map[string]string)) *world {
	t.Helper()
	w := &world{
		t: t, env: awstest.New(t), keys: map[keys.Rank]string{}, private: keys.New(), watches: map[string]*watch{}, started: time.Now(),
	}
	functions := map[string]lambda.Handler{}
	gateway := edge.Config{Functions: functions, Log: slog.New(slog.DiscardHandler)}
	for name, build := range map[string]func(context.Context, *setup.Base) (lambda.Handler, error){
		"api": api.New, "erase": erase.New, "project": project.New, "requests": requests.New, "steps": steps.New, "sweep": sweep.New,
		"propagate": propagate.New, "webhook": webhook.New,
	} {
		h, err := build(t.Context(), w.base(name))
		if err != nil {
			t.Fatal(err)
		}
		functions[name] = h
	}
	for _, r := range w.env.Stack.API.Routes {
		if functions[r.Function] != nil {
			gateway.Routes = append(gateway.Routes, edge.Route(r))
		}
	}
	front, err := edge.New(gateway)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(front)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.configure(systems)
	w.env.Engine(t, functions)
	if w.letters, err = mailpage.Open(w.env.URL, t.TempDir()+"/none"); err != nil {
		t.Fatal(err)
	}
	for _, source := range w.env.Stack.Sources {
		w.follow(source, functions[source.Function])
	}
	clock, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for clock.Err() == nil {
			for _, name := range []string{"sweep", "propagate"} {
				_, _ = functions[name].Invoke(clock, []byte(`{"detail-type":"Scheduled Event","source":"aws.events","detail":{}}`))
			}
			time.Sleep(300 * time.Millisecond)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	return w
}

// follow feeds a stream to its function.
func (w *world) follow(source cfn.Source, handler lambda.Handler) {
	w.t.Helper()
	arn, err := streams.LatestStream(w.t.Context(), dynamodb.NewFromConfig(w.env.Config), source.Table)
	if err != nil {
		w.t.Fatal(err)
	}
	polling, stop := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error)
	go func() {
		done <- streams.Run(polling, streams.Config{
			Reader: dynamodbstreams.NewFromConfig(w.env.Config), StreamARN: arn, Function: source.Function, Handler: handler, Timeout: time.Minute,
			BatchSize: source.BatchSize, ReportBatchItemFailures: true, BisectBatchOnFunctionError: true, MaximumRetryAttempts: source.MaximumRetries,
			Log: slog.New(slog.DiscardHandler),
		})
	}()
	w.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	})
}

// base is a function's own ground, with clients that are watched.
func (w *world) base(function string) *setup.Base {
	w.t.Helper()
	base, err := setup.NewBase(w.t.Context(), w.env.Function(function))
	if err != nil {
		w.t.Fatal(err)
	}
	base.Log = slog.New(slog.DiscardHandler)
	base.Config = w.env.With(func(next http.RoundTripper) http.RoundTripper {
		w.watches[function] = &watch{stack: &stack{Stack: w.env.Stack}, next: next, used: map[right]bool{}}
		return w.watches[function]
	}).Config
	return base
}

// configure makes a site, its keys and its systems.
func (w *world) configure(of func(w *world) (list string, credentials map[string]string)) {
	w.t.Helper()
	a, err := admin.New(w.env.Config, w.env.Getenv, time.Now)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := a.CreateSite(w.t.Context(), "shop", "Shop", 1, site.Settings{}, []site.Purpose{{Key: "newsletter", Channel: "email"}, {Key: "chat", Channel: "whatsapp", Purpose: map[string]string{"en": "Offers"}}}); err != nil {
		w.t.Fatal(err)
	}
	for _, rank := range keys.Ranks {
		w.keys[rank] = keys.New()
		if err := a.PutRoleKey(w.t.Context(), "shop", "A "+string(rank), rank, w.keys[rank]); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := a.PutKey(w.t.Context(), "shop", keys.Private, w.private); err != nil {
		w.t.Fatal(err)
	}
	list, credentials := of(w)
	service := secretsmanager.NewFromConfig(w.env.Config)
	systems := fmt.Sprintf(`{
		"controller": {"name": "Shop", "from": "privacy@example.test", "base_url": %q, "time_zone": "Europe/Paris"},
		"policy": {"day": "500ms", "looks": ["0d", "1d"], "package": "1d", "proof_kept": "30d"},
		"systems": %s}`, w.url, list)
	id := w.env.Getenv("SYSTEMS_SECRET")
	if _, err := service.PutSecretValue(w.t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &systems}); err != nil {
		w.t.Fatal(err)
	}
	for name, text := range credentials {
		name = w.env.Getenv("SYSTEM_SECRET_PREFIX") + name
		if _, err := service.CreateSecret(w.t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &text}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// serve starts a fake.
func (w *world) serve(fake http.Handler) (url string) {
	server := httptest.NewServer(fake)
	w.t.Cleanup(server.Close)
	return server.URL
}

// desk is a company with a help desk and an archive.
func desk(w *world) (list string, credentials map[string]string) {
	return fmt.Sprintf(`[
		{"name": "helpdesk", "kind": "refdesk", "secret": "helpdesk", "region": "DE", "portable": true,
		 "config": {"base_url": %q, "allow_local": true}, "processor": {"name": "Refdesk", "dpa": "2025-03-01"}},
		{"name": "archive", "kind": "manual", "region": "FR",
		 "data": [{"name": {"en": "Forms"}, "purpose": {"en": "Books"}, "retention": {"en": "10 years"}}]}
	]`, w.serve(fake.New(fake.Options{Options: fakekit.Options{Day: 50 * time.Millisecond}}))), map[string]string{"helpdesk": `{"client_id":"avow","client_secret":"refdesk-secret"}`}
}

// call sends a request and decodes the answer.
func (w *world) call(method, path, key, body string) (int, map[string]any, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("ApiKey", key)
	}
	if strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "application/json")
	} else if body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	var answer map[string]any
	_ = json.Unmarshal(text, &answer)
	return res.StatusCode, answer, string(text)
}

var mailed = regexp.MustCompile(`/public/confirm/[\w-]+`)

// links opens and presses every link that has been mailed to an address.
func (w *world) links(to string, pressed map[string]bool) {
	w.t.Helper()
	mails, err := w.letters.Mails(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range mails {
		if link := mailed.FindString(m.Text); slices.Contains(m.To, to) && m.At.After(w.started) && link != "" && !pressed[link] {
			pressed[link] = true
			w.call("GET", link, "", "")
			w.call("POST", link, "", "action=confirm")
		}
	}
}

// carry opens a request and does what people do until it is closed.
func (w *world) carry(body, email string) {
	w.t.Helper()
	status, opened, text := w.call("POST", "/requests", w.keys[keys.Operator], body)
	if status != http.StatusOK {
		w.t.Errorf("%s: %d %s", body, status, text)
		return
	}
	id, _ := opened["id"].(string)
	w.finish(id, body, email)
}

// finish does what people do until a request is closed.
func (w *world) finish(id, body, email string) {
	w.t.Helper()
	base, pressed, officer := "/requests/"+id, map[string]bool{}, w.keys[keys.Officer]
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(150 * time.Millisecond) {
		w.links(email, pressed)
		_, r, text := w.call("GET", base, w.keys[keys.Viewer], "")
		switch r["state"] {
		case "closed":
			w.call("GET", base+"/certificate", officer, "")
			return
		case "waiting_approval":
			_, plan, _ := w.call("GET", base+"/plan", officer, "")
			w.call("POST", base+"/approve", officer, fmt.Sprintf(`{"digest":%q}`, plan["digest"]))
		case "waiting_release":
			_, pack, _ := w.call("GET", base+"/package", officer, "")
			w.call("POST", base+"/release", officer, fmt.Sprintf(`{"package":%q}`, pack["digest"]))
		}
		w.work(base)
		if time.Now().After(deadline) {
			_, _, log := w.call("GET", base+"/log", officer, "")
			w.t.Errorf("%s does not close: %s\n%s", body, text, log)
			return
		}
	}
}

// work does every open task of a request.
func (w *world) work(base string) {
	w.t.Helper()
	var tasks []struct {
		ID      string
		Decided *string
		Choices []string
	}
	_, _, text := w.call("GET", base+"/tasks", w.keys[keys.Operator], "")
	if err := json.Unmarshal([]byte(text), &tasks); err != nil {
		w.t.Fatalf("tasks: %v: %s", err, text)
	}
	for _, task := range tasks {
		if task.Decided != nil || len(task.Choices) == 0 {
			continue
		}
		body := fmt.Sprintf(`{"decision":%q,"why":"looked"}`, task.Choices[0])
		if slices.Contains(task.Choices, "done") {
			body = `{"decision":"done","why":"looked","evidence":{"document":"YQ=="}}`
		}
		w.call("POST", base+"/tasks/"+task.ID, w.keys[keys.Officer], body)
	}
}

// TestRoles carries requests of every type through real functions, machines and
// systems and compares what each function did with what its role lets it do: AWS
// would refuse the rest, the emulator refuses nothing.
func TestRoles(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("carries requests through, for half a minute")
	}
	w := newWorld(t, desk)
	const email = fake.Ines
	form := strings.Repeat("<input>", 10)
	for _, body := range []string{
		fmt.Sprintf(`{"subject":{"id":"cust-1","email":%q,"verified":true},"legal_notices":[{"identifier":"terms","version":1}],"preferences":{"news":true},"proofs":[{"content":%q,"form":%q}]}`, email, email, form),
		fmt.Sprintf(`{"subject":{"id":"cust-1","email":%q},"preferences":{"news":false},"proofs":[{"content":%q}]}`, email, strings.Repeat(email+" ", 1000)),
	} {
		if status, _, text := w.call("POST", "/consent", w.private, body); status != http.StatusOK {
			t.Fatalf("POST /consent: %d %s", status, text)
		}
	}
	person := fmt.Sprintf(`"language":"en","subject":{"email":%q}`, email)
	proven := person + `,"identity":{"method":"operator","evidence":"an identity card"}`
	var people sync.WaitGroup
	for _, body := range []string{
		`{"type":"access",` + person + `}`,
		`{"type":"portability",` + proven + `}`,
		`{"type":"rectification","changes":[{"field":"last_name","old":"Martin","new":"Roca"}],` + proven + `}`,
		`{"type":"restriction",` + proven + `}`,
		`{"type":"objection",` + proven + `}`,
		`{"type":"legal_disclosure","authority":"A court","ground":"Art. 6(1)(c) GDPR",` + person + `}`,
	} {
		people.Go(func() { w.carry(body, email) })
	}
	people.Wait()
	w.carry(`{"type":"erasure",`+proven+`}`, email)

	w.compare(nil, "erase", "project", "requests", "steps", "sweep")
}

// compare fails the test where a function did what its role does not allow. For
// the functions in whole it also wants each right to have been needed: no sample
// event leads where vendors answer.
func (w *world) compare(whole []string, names ...string) {
	w.t.Helper()
	expanded := expandedTemplate(w.t)
	for _, name := range names {
		f := w.env.Stack.Functions[slices.IndexFunc(w.env.Stack.Functions, func(f cfn.Function) bool { return f.Name == name })]
		watch := w.watches[name]
		watch.mu.Lock()
		used := maps.Clone(watch.used)
		watch.mu.Unlock()
		found, err := rightFindings(expanded, f, used)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, finding := range found {
			if slices.Contains(whole, name) || strings.Contains(finding.Error(), "does not allow") {
				w.t.Error(finding)
			}
		}
	}
}

// answering is a company whose Salesforce follows answers, and that talks by
// WhatsApp.
func answering(v *vendors.Vendors) func(w *world) (string, map[string]string) {
	return func(w *world) (list string, credentials map[string]string) {
		addresses := map[string]string{vendors.Salesforce: w.serve(v.Salesforce), vendors.WhatsApp: w.serve(v.WhatsApp)}
		text, err := json.Marshal(vendors.Systems([]string{vendors.Salesforce, vendors.WhatsApp}, addresses, "shop", time.Second))
		if err != nil {
			w.t.Fatal(err)
		}
		credentials = map[string]string{}
		for name, secret := range vendors.Secrets() {
			credentials[name] = string(secret)
		}
		return string(text), credentials
	}
}

// eventually waits for something that streams and the schedule bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// TestRoles_vendors does the same where vendors answer: confirmations by mail and
// by WhatsApp, messages, flags, and requests by chat.
func TestRoles_vendors(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("talks to fakes of vendors for a minute")
	}
	v := vendors.New(fakekit.Options{Day: time.Second})
	w := newWorld(t, answering(v))
	person := company.People()[0]
	post := func(path, body string) string {
		t.Helper()
		status, answer, text := w.call("POST", path, w.private, body)
		if status != http.StatusOK && status != http.StatusAccepted {
			t.Fatalf("POST %s: %d %s", path, status, text)
		}
		id, _ := answer["id"].(string)
		return id
	}
	granted := func(preference, who string) func() bool {
		return func() bool {
			_, answer, _ := w.call("GET", "/decide?preference="+preference+"&"+who, w.private, "")
			return answer["granted"] == true
		}
	}
	post("/consent", fmt.Sprintf(`{"subject":{"email":%q},"preferences":{"newsletter":true},"double_opt_in":{"channel":"email"}}`, person.Email))
	pressed := map[string]bool{}
	eventually(t, "a confirmation by mail", func() bool {
		w.links(person.Email, pressed)
		return granted("newsletter", "email="+person.Email)()
	})
	flag := func(no bool) func() bool {
		return func() bool {
			for _, r := range v.Salesforce.Of("Contact") {
				if r.Fields["Email"] == person.Email {
					said, _ := r.Fields["HasOptedOutOfEmail"].(bool)
					return said == no
				}
			}
			return false
		}
	}
	post("/consent", fmt.Sprintf(`{"subject":{"email":%q},"preferences":{"newsletter":false}}`, person.Email))
	eventually(t, "a flag", flag(true))
	// Somebody whose no was entered at the vendor before they have agreed here.
	var other company.Person
	for _, r := range v.Salesforce.Of("Contact") {
		if i := slices.IndexFunc(company.People()[3:], func(p company.Person) bool { return r.Fields["Email"] == p.Email }); i >= 0 {
			other = company.People()[3+i]
			v.Salesforce.Set(r.ID, "HasOptedOutOfEmail", true)
			break
		}
	}
	post("/consent", fmt.Sprintf(`{"subject":{"email":%q},"preferences":{"newsletter":true}}`, other.Email))
	eventually(t, "a no of the vendor", func() bool { return !granted("newsletter", "email="+other.Email)() })

	phone := v.WhatsApp
	if !phone.Subscribe(w.url + "/webhooks/whatsapp") {
		t.Fatal("no subscription")
	}
	phone.Write(person.Phone, "START")
	who := "phone=" + strings.ReplaceAll(person.Phone, "+", "%2B")
	eventually(t, "a yes by WhatsApp", func() bool {
		phone.Deliver()
		phone.Press(person.Phone, "Yes, please")
		phone.Press(person.Phone, "Oui, d'accord")
		return granted("chat", who)()
	})
	id := post("/messages", fmt.Sprintf(`{"channel":"whatsapp","preference":"chat","phone":%q,"text":"Chairs!"}`, person.Phone))
	eventually(t, "a message", func() bool {
		phone.Deliver()
		_, answer, _ := w.call("GET", "/messages/"+id, w.private, "")
		return answer["state"] == "sent" || answer["state"] == "delivered" || answer["state"] == "read"
	})
	phone.Write(other.Phone, "START")
	phone.Deliver()
	phone.Move(other.Phone, "+33655999999")
	phone.Prefer(person.Phone, true)
	phone.Send(person.Phone, "image", "")
	third := company.People()[20]
	said := func(p company.Person, text string) func() bool {
		return func() bool {
			return slices.ContainsFunc(phone.Inbox(p.Phone), func(got whatsapp.Received) bool { return strings.Contains(got.Text, text) })
		}
	}
	byChat := map[string]string{}
	for kind, p := range map[string]company.Person{"erasure": person, "access": third} {
		phone.Write(p.Phone, map[string]string{"erasure": "DELETE MY DATA", "access": "MY DATA"}[kind])
		eventually(t, "a request by chat", func() bool {
			phone.Deliver()
			if inbox := phone.Inbox(p.Phone); len(inbox) > 0 && len(inbox[len(inbox)-1].Labels) > 0 {
				phone.Press(p.Phone, inbox[len(inbox)-1].Labels[0])
			}
			_, _, text := w.call("GET", "/requests?type="+kind, w.keys[keys.Viewer], "")
			var list []struct{ ID, State string }
			if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) == 0 || list[0].State == "waiting_identity" {
				return false
			}
			byChat[kind] = list[0].ID
			return true
		})
	}
	if status, _, text := w.call("POST", "/requests/"+byChat["access"]+"/refuse", w.keys[keys.Officer], `{"ground":"Art. 12(5)(b) GDPR","reason":"the third today"}`); status != http.StatusOK {
		t.Fatalf("refusing: %d %s", status, text)
	}
	eventually(t, "a refusal in the chat", said(third, "Art. 12(5)(b) GDPR"))
	w.finish(byChat["erasure"], "the erasure by chat", person.Email)
	if !said(person, "Your data has been deleted")() {
		t.Errorf("the chat says %+v", phone.Inbox(person.Phone))
	}
	about := fmt.Sprintf(`"language":"en","channel":"letter","subject":{"identifiers":[{"kind":"whatsapp.address","value":%q}]},"identity":{"method":"operator","evidence":"an identity card"}`, person.Phone)
	w.carry(`{"type":"access",`+about+`}`, person.Email)
	w.carry(`{"type":"objection",`+about+`}`, person.Email)
	w.carry(`{"type":"erasure",`+about+`}`, person.Email)
	w.compare([]string{"propagate", "webhook"}, "api", "erase", "project", "propagate", "requests", "steps", "sweep", "webhook")
}

func expandedTemplate(t *testing.T) []byte {
	t.Helper()
	checkout, err := emulator.FindCheckout()
	if err != nil {
		t.Fatal(err)
	}
	venv, err := emulator.OpenVenv(checkout.Local())
	if err != nil {
		t.Fatal(err)
	}
	expanded, err := emulator.ReadTemplate(t.Context(), checkout, venv, nil)
	if err != nil {
		t.Fatal(err)
	}
	return expanded
}

// TestRoles_preferences compares what the preference centre does with its role,
// both ways, by its sample events.
func TestRoles_preferences(t *testing.T) {
	t.Parallel()
	w := &world{t: t, env: awstest.New(t), watches: map[string]*watch{}}
	if err := sample.Seed(t.Context(), w.env.Config, w.env.Getenv); err != nil {
		t.Fatal(err)
	}
	h, err := preferences.New(t.Context(), w.base("preferences"))
	if err != nil {
		t.Fatal(err)
	}
	session, answers, err := event.Open("../../events")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		if a.Function() != "preferences" {
			continue
		}
		payload, err := session.Payload(a)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Invoke(t.Context(), payload); err != nil {
			t.Errorf("%s: %v", a.Event, err)
		}
	}
	w.compare([]string{"preferences"}, "preferences")
}
