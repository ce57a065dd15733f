package harness_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
)

// runs are the executions of the request machine for a request, as they were
// started.
func runs(w *harness.World, id string) []string {
	var list []string
	for _, arn := range w.Engine.Executions() {
		if d, ok := w.Engine.Describe(arn); ok && strings.Contains(d.Machine, "-request") && strings.Contains(d.Input, id) {
			list = append(list, arn)
		}
	}
	return list
}

func get(t testing.TB, w *harness.World, id string) *request.Request {
	t.Helper()
	r, err := w.Store(t).Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Whoever starts the machine for a request that already runs, an administrator
// with the AWS console for one, is turned away.
func TestRun_twice(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	consents(t, w, "ines", ines)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	second, err := w.Engine.Start(w.Env.Getenv("REQUEST_MACHINE"), "by-hand", `{"request":"`+id+`"}`)
	if err != nil {
		t.Fatal(err)
	}
	w.Engine.RunUntilIdle(t.Context())
	if d, _ := w.Engine.Describe(second); d.Status != "SUCCEEDED" || slices.Contains(d.Path, "Locate") {
		t.Errorf("the second run is %s by %v", d.Status, d.Path)
	}
	if r := get(t, w, id); r.Epoch != 1 {
		t.Errorf("the second run has taken epoch %d", r.Epoch)
	}
	w.Play(t, id, limit)
	if r := get(t, w, id); r.State != request.Closed {
		t.Errorf("the request is %s", r.State)
	}
}

// The officer is faster than the run that waits for them.
func TestRun_approvedBeforeToken(t *testing.T) {
	t.Parallel()
	for name, schedule := range map[string]harness.Schedule{
		"no fault":               {},
		"the function dies":      {Call: 1, Kind: harness.DiesFirst},
		"it dies with the token": {Call: 2, Kind: harness.DiesAfter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t, harness.Options{Bare: true})
			consents(t, w, "ines", ines)
			id := open(t, w, "erasure", nil)
			approved := false
			w.OnInvoke = func(p request.Payload) {
				if p.Do == "wait" && strings.HasPrefix(string(p.Wait), "approval.") && !approved {
					approved = true
					approve(t, w, id)
					w.Break(schedule)
				}
			}
			w.Engine.RunUntilIdle(t.Context())
			w.Engine.Advance(t.Context(), time.Hour)
			if !approved || get(t, w, id).State == request.WaitingApproval {
				t.Fatalf("approved %v, the request is %s", approved, get(t, w, id).State)
			}
			w.Play(t, id, limit)
			if r := get(t, w, id); r.State != request.Closed {
				t.Errorf("the request is %s", r.State)
			}
		})
	}
}

func TestRun_resumeWhileAlive(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	consents(t, w, "ines", ines)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	w.Must(t, 409, w.Roles[keys.Operator], "POST", "/requests/"+id+"/resume", nil)
	if n := len(runs(w, id)); n != 1 {
		t.Errorf("%d runs", n)
	}
}

// The engine has lost every execution, as the local one does when it restarts:
// sweep starts the request again, and it goes on where it was.
func TestRun_lost(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{})
	consents(t, w, "ines", ines)
	inDesk(w, ines)
	w.Engine.Advance(t.Context(), time.Hour)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	w.Engine.RunUntilIdle(t.Context())
	w.Engine.Advance(t.Context(), time.Minute) // the vendor's job takes longer
	before := get(t, w, id)
	if before.State != request.Running {
		t.Fatalf("the request is %s", before.State)
	}
	old := request.Payload{Do: "advance", Request: id, Epoch: before.Epoch, System: "helpdesk", Operation: "erase"}
	w.Engine.Lose()
	w.Restart(t)
	w.Engine.Advance(t.Context(), 24*time.Hour)
	w.Sweep(t)
	w.Engine.RunUntilIdle(t.Context())
	after := get(t, w, id)
	if after.Epoch != before.Epoch+1 {
		t.Fatalf("the epoch is %d after %d: nobody has started a new run", after.Epoch, before.Epoch)
	}
	calls := len(w.Desk.Calls())
	out, err := w.Invoke(t, "erase", old)
	if err != nil || out.State != "stale" || len(w.Desk.Calls()) != calls {
		t.Errorf("a function of the old run that wakes up late: %+v, %v, %d calls", out, err, len(w.Desk.Calls())-calls)
	}
	w.Play(t, id, limit)
	if r := get(t, w, id); r.State != request.Closed || w.Desk.Find(ines) != "" {
		t.Errorf("the request is %s, the user %q", r.State, w.Desk.Find(ines))
	}
}

// The vendor is down for a week, and nobody has to do anything about it.
func TestRun_vendorDown(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{})
	consents(t, w, "ines", ines)
	inDesk(w, ines)
	w.Engine.Advance(t.Context(), time.Hour)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	w.Desk.Fail(fakekit.Failure{Status: 503, HTML: true})
	w.Engine.RunUntilIdle(t.Context())
	for range 7 {
		w.Engine.Advance(t.Context(), 24*time.Hour)
		w.Sweep(t)
	}
	if r := get(t, w, id); r.State != request.Running || r.Open != 0 {
		t.Fatalf("after a week the request is %s with %d tasks", r.State, r.Open)
	}
	w.Desk.Mend()
	w.Play(t, id, limit)
	if r := get(t, w, id); r.State != request.Closed || w.Desk.Find(ines) != "" {
		t.Errorf("the request is %s, the user %q", r.State, w.Desk.Find(ines))
	}
}

// Credentials expire in the middle: an operator is told, replaces them, retries.
func TestRun_credentials(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{})
	consents(t, w, "ines", ines)
	inDesk(w, ines)
	w.Engine.Advance(t.Context(), time.Hour)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	approve(t, w, id)
	w.Desk.SetSecret("another-secret")
	until(t, w, id, "waiting_operator", 3*24*time.Hour)
	w.SetSecret(t, "helpdesk", `{"client_id":"avow","client_secret":"another-secret"}`)
	w.Engine.Advance(t.Context(), time.Minute)
	w.Play(t, id, limit)
	if r := get(t, w, id); r.State != request.Closed || w.Desk.Find(ines) != "" {
		t.Errorf("the request is %s, the user %q", r.State, w.Desk.Find(ines))
	}
}

// A hold stops the deletion, not the clock: the person hears of it in time.
func TestRun_hold(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	consents(t, w, "ines", ines)
	id := open(t, w, "erasure", nil)
	until(t, w, id, "waiting_approval", time.Hour)
	officer := w.Roles[keys.Officer]
	w.Must(t, 200, officer, "POST", "/requests/"+id+"/hold", map[string]any{"ground": "Art. 17(3)(e) GDPR", "reason": "a claim is pending"})
	if got := state(t, w, id); got != "held" {
		t.Fatalf("the request is %s", got)
	}
	for range 31 {
		w.Engine.Advance(t.Context(), 24*time.Hour)
		w.Sweep(t)
	}
	if w.Do(t, w.Secret, "GET", "/subjects/ines", nil).Status != 200 {
		t.Error("the subject is gone under a hold")
	}
	if !slices.ContainsFunc(w.Mails(t), func(m harness.Mail) bool {
		return strings.Contains(m.To, ines) && strings.Contains(m.Text, "Art. 17(3)(e)")
	}) {
		t.Error("nobody has told the person about the hold before the deadline")
	}
	w.Must(t, 200, officer, "POST", "/requests/"+id+"/release", map[string]any{"hold": true, "why": "the claim is settled"})
	w.Play(t, id, limit)
	if r := get(t, w, id); r.State != request.Closed {
		t.Errorf("the request is %s", r.State)
	}
}

func TestRun_refused(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	consents(t, w, "ines", ines)
	for act, body := range map[string]map[string]any{
		"refuse": {"ground": "Art. 12(5) GDPR", "reason": "the same was answered last week"},
		"cancel": {"reason": "they called"},
	} {
		id := open(t, w, "erasure", nil)
		until(t, w, id, "waiting_approval", time.Hour)
		w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+id+"/"+act, body)
		w.Engine.RunUntilIdle(t.Context())
		for _, arn := range runs(w, id) {
			if d, _ := w.Engine.Describe(arn); d.Status != "SUCCEEDED" {
				t.Errorf("%s: the run is %s in %v", act, d.Status, d.Waiting)
			}
		}
		if known, err := w.Store(t).Known(t.Context(), id); err != nil || len(known) != 0 {
			t.Errorf("%s: %d identifiers are left, %v", act, len(known), err)
		}
	}
	if w.Do(t, w.Secret, "GET", "/subjects/ines", nil).Status != 200 {
		t.Error("the subject is gone although nothing was approved")
	}
}

func TestRun_twentyAtOnce(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	var ids []string
	for n := range 20 {
		p := someone(n)
		consents(t, w, p.id, p.email)
		ids = append(ids, open(t, w, []string{"erasure", "access"}[n%2], map[string]any{"subject": map[string]any{"email": p.email}}))
	}
	for _, id := range ids {
		until(t, w, id, "waiting_approval", time.Hour)
		approve(t, w, id)
	}
	w.Engine.RunUntilIdle(t.Context())
	for _, id := range ids {
		if r := get(t, w, id); r.State == request.WaitingRelease {
			w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+id+"/release", map[string]any{"package": r.Package.Digest, "why": "read"})
		}
	}
	for _, id := range ids {
		w.Play(t, id, limit)
	}
	for n, id := range ids {
		if r := get(t, w, id); r.State != request.Closed {
			t.Errorf("request %d is %s", n, r.State)
		}
	}
}

// A person asks through the web form, proves who they are by the mailed link,
// and nobody else's guess leads anywhere.
func TestRun_public(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	consents(t, w, "ines", ines)
	for _, email := range []string{ines, "nobody@example.test"} {
		a := w.Do(t, w.Public, "POST", "/public/requests", map[string]any{"type": "access", "email": email, "language": "fr"})
		if a.Status != 202 || strings.Contains(string(a.Body), "id") {
			t.Fatalf("%s: %d %s", email, a.Status, a.Body)
		}
	}
	w.Engine.RunUntilIdle(t.Context())
	link := w.LastMail(t, ines).Link()
	if got := w.Follow(t, link[:len(link)-4]+"AAAA"); got.Status != 404 {
		t.Errorf("a guessed link: %d", got.Status)
	}
	if got := w.Follow(t, link); got.Status != 200 {
		t.Fatalf("the link: %d %s", got.Status, got.Body)
	}
	w.Engine.RunUntilIdle(t.Context())
	list := w.Must(t, 200, w.Roles[keys.Operator], "GET", "/requests?identifier[kind]=email&identifier[value]="+ines, nil)
	id := list.Text("0.id")
	if id == "" {
		t.Fatalf("the request is not in the list: %s", list.Body)
	}
	w.Play(t, id, limit)
	if r := get(t, w, id); r.State != request.Closed || r.Language != "fr" {
		t.Errorf("the request is %s in %s", r.State, r.Language)
	}
}

// Nobody ever proves anything: the request lapses, and in the end is forgotten.
func TestRun_unproven(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	w.Must(t, 202, w.Public, "POST", "/public/requests", map[string]any{"type": "erasure", "email": ines})
	w.Engine.RunUntilIdle(t.Context())
	var id string
	for day := range 120 {
		w.Engine.Advance(t.Context(), 24*time.Hour)
		w.Sweep(t)
		w.Engine.RunUntilIdle(t.Context())
		if day == 1 {
			id = w.Must(t, 200, w.Roles[keys.Operator], "GET", "/requests", nil).Text("0.id")
		}
	}
	r := get(t, w, id)
	if !r.State.Ended() {
		t.Errorf("after 120 days the request is %s", r.State)
	}
	if known, err := w.Store(t).Known(t.Context(), id); err != nil || len(known) != 0 {
		t.Errorf("%d identifiers are left, %v", len(known), err)
	}
}

// An officer refuses before the run has even begun: the run that comes later
// finds nothing to do but to forget the person.
func TestRun_refusedBeforeBegin(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	consents(t, w, "ines", ines)
	id := open(t, w, "erasure", nil)
	if r := get(t, w, id); r.Epoch != 0 {
		t.Fatalf("the run has begun: epoch %d", r.Epoch)
	}
	w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+id+"/refuse", map[string]any{"ground": "Art. 12(5) GDPR", "reason": "asked twice"})
	w.Engine.RunUntilIdle(t.Context())
	for _, arn := range runs(w, id) {
		if d, _ := w.Engine.Describe(arn); d.Status != "SUCCEEDED" {
			t.Errorf("the run is %s in %v", d.Status, d.Waiting)
		}
	}
	if known, err := w.Store(t).Known(t.Context(), id); err != nil || len(known) != 0 {
		t.Errorf("%d identifiers are left, %v", len(known), err)
	}
}

// A run that was sent back and finds the same again waits for the next decision,
// instead of hearing the same one for ever.
func TestRun_sentBack(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	consents(t, w, "ines", ines)
	id := open(t, w, "access", map[string]any{"subject": map[string]any{"email": ines, "name": "Inès Roca"}, "identity": nil})
	vouch := func(kind string) {
		w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+id+"/identity", map[string]any{"evidence": "passport", "kinds": []string{kind}})
	}
	vouch("email")
	until(t, w, id, "waiting_approval", time.Hour)
	bounded := func(do string) {
		calls := 0
		w.OnInvoke = func(p request.Payload) {
			if p.Do != do {
				return
			}
			if calls++; calls > 20 {
				t.Fatalf("the run does %q for ever", do)
			}
		}
		w.Engine.RunUntilIdle(t.Context())
		w.OnInvoke = nil
	}
	vouch("name")
	bounded("locate")
	approve(t, w, id)
	until(t, w, id, "waiting_release", time.Hour)
	w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+id+"/release", map[string]any{
		"package": get(t, w, id).Package.Digest, "why": "another person's", "exclusions": []map[string]any{{"part": "ledger/nothing", "reason": "misspelt"}},
	})
	bounded("package")
	w.Play(t, id, 60*24*time.Hour)
	if r := get(t, w, id); r.State != request.Closed {
		t.Errorf("the request is %s", r.State)
	}
}
