package requests_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/certificate"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/request"
)

// Each door names the least role that it opens to.
func TestRoles(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	d.located(id)
	order := []string{"viewer", "operator", "officer", "admin"}
	for path, least := range map[string]string{
		"GET /requests": "viewer", "GET /propagation": "viewer", "GET /requests/{id}": "viewer", "GET /requests/{id}/plan": "viewer", "GET /requests/{id}/log": "viewer",
		"GET /requests/{id}/tasks": "viewer", "GET /requests/{id}/certificate": "viewer", "GET /requests/{id}/package": "officer",
		"POST /requests": "operator", "POST /requests/{id}/identity": "operator", "POST /requests/{id}/approve": "officer",
		"POST /requests/{id}/refuse": "officer", "POST /requests/{id}/extend": "officer", "POST /requests/{id}/hold": "officer",
		"POST /requests/{id}/release": "officer", "POST /requests/{id}/cancel": "operator", "POST /requests/{id}/resume": "operator",
		"POST /requests/{id}/tasks/x": "operator",
	} {
		method, target, _ := strings.Cut(path, " ")
		target = strings.ReplaceAll(target, "{id}", id)
		for i, who := range order {
			a := d.ask(who, method, target, `{"nonsense":1}`)
			if i < slices.Index(order, least) {
				a.want(403).says("this needs a key of the role " + least)
			} else if a.Status == 403 {
				t.Errorf("%s by %s: %s", path, who, a.Body)
			}
		}
		for _, who := range []string{"public", "private"} {
			d.ask(who, method, target, "{}").want(403).says("Invalid authentication credentials")
		}
		d.ask("", method, target, "{}").want(401)
		if strings.HasPrefix(target, "/requests/") { // the others answer for the caller's own site
			if a := d.ask("elsewhere", method, target, ""); a.Status == 200 {
				t.Errorf("%s of another site: %s", path, a.Body)
			}
		}
	}
}

func TestApprove(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	path := "/requests/" + id + "/approve"
	d.ask("officer", "POST", path, `{"digest":"plan-1"}`).want(409).says("locating")
	d.located(id)
	d.ask("officer", "POST", path, `{}`).want(400).says("digest")
	d.ask("officer", "POST", path, `{"digest":"plan-0"}`).want(409).says("plan-1")
	for range 2 {
		a := d.ask("officer", "POST", path, `{"digest":"plan-1","why":"as it should be"}`).want(200)
		if a.at("state") != "running" || a.at("approval.by.who") != "The officer" || a.at("approval.digest") != "plan-1" {
			t.Errorf("%s", a.Body)
		}
	}
	if got := d.flow.outcome("token-approval.plan-1"); got != "approved" {
		t.Errorf("the run was told %q", got)
	}
	if n := len(slices.DeleteFunc(d.log(id), func(a request.Act) bool { return a != request.Approve })); n != 1 {
		t.Errorf("approved %d times", n)
	}
	d.ask("second", "POST", path, `{"digest":"plan-1"}`).want(409)
}

// Who opens an erasure does not approve it, unless the company says so.
func TestApprove_fourEyes(t *testing.T) {
	t.Parallel()
	erasure := `{"type":"erasure","subject":{"email":"` + ines + `"},"identity":{"evidence":"seen"}}`
	d := newDoor(t)
	id := d.ask("officer", "POST", "/requests", erasure).want(200).id()
	d.located(id)
	d.ask("officer", "POST", "/requests/"+id+"/approve", `{"digest":"plan-1"}`).want(403).says("another officer")
	d.ask("second", "POST", "/requests/"+id+"/approve", `{"digest":"plan-1"}`).want(200)
	access := d.ask("officer", "POST", "/requests", strings.Replace(erasure, "erasure", "access", 1)).want(200).id()
	d.located(access)
	d.ask("officer", "POST", "/requests/"+access+"/approve", `{"digest":"plan-1"}`).want(200)
}

func TestApprove_sameApprover(t *testing.T) {
	t.Parallel()
	d := newDoorWithPolicy(t, `"same_approver": true`)
	id := d.ask("officer", "POST", "/requests", `{"type":"erasure","subject":{"email":"`+ines+`"},"identity":{"evidence":"seen"}}`).want(200).id()
	d.located(id)
	d.ask("officer", "POST", "/requests/"+id+"/approve", `{"digest":"plan-1"}`).want(200)
}

// Approved before the run has registered its token, or while it is told: the
// decision is there, and so is a run.
func TestApprove_nobodyListens(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	d.change(id, func(r *request.Request) {
		r.State, r.Findings, r.Epoch, r.Execution = request.WaitingApproval, "plan-1", 1, "arn:"+id+"-1"
	})
	d.flow.ended["arn:"+id+"-1"] = true
	d.ask("officer", "POST", "/requests/"+id+"/approve", `{"digest":"plan-1"}`).want(200)
	if names := d.flow.names(); !slices.Contains(names, id+"-2") {
		t.Errorf("runs %v", names)
	}
	decision, err := d.store.Decision(t.Context(), id, request.WaitApproval("plan-1"))
	if err != nil || decision == nil || decision.Outcome != "approved" || !decision.Delivered.IsZero() {
		t.Errorf("%+v, %v", decision, err)
	}
	// The token comes late, or is of a run that is over.
	late := d.opened(nil)
	d.located(late)
	d.flow.late["token-approval.plan-1"] = true
	d.ask("officer", "POST", "/requests/"+late+"/approve", `{"digest":"plan-1"}`).want(200)
	if decision, _ := d.store.Decision(t.Context(), late, request.WaitApproval("plan-1")); decision == nil || !decision.Delivered.IsZero() {
		t.Errorf("%+v", decision)
	}
}

// Whatever fails around the write, an approval is whole or absent, and asking
// again makes it whole.
func TestApprove_faults(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	for _, fault := range slices.Concat(faulty.Before, faulty.After) {
		id := d.opened(nil)
		d.located(id)
		one := d.instance()
		one.net.Break(faulty.Nth("dynamodb.TransactWriteItems", 1, fault))
		a := one.ask("officer", "POST", "/requests/"+id+"/approve", `{"digest":"plan-1"}`)
		if a.Status != 200 && a.Status != 503 {
			t.Errorf("%v: %d %s", fault, a.Status, a.Body)
		}
		if r := d.get(id); (r.State == request.Running) != slices.Contains(d.log(id), request.Approve) {
			t.Errorf("%v: %s, log %v", fault, r.State, d.log(id))
		}
		d.ask("officer", "POST", "/requests/"+id+"/approve", `{"digest":"plan-1"}`).want(200)
		if n := len(slices.DeleteFunc(d.log(id), func(a request.Act) bool { return a != request.Approve })); n != 1 {
			t.Errorf("%v: approved %d times", fault, n)
		}
	}
	d.flow.fails = errors.New("no answer")
	id := d.opened(nil)
	d.located(id)
	d.ask("officer", "POST", "/requests/"+id+"/approve", `{"digest":"plan-1"}`).want(200)
}

func TestRefuse(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	d.located(id)
	path := "/requests/" + id + "/refuse"
	d.ask("officer", "POST", path, `{"ground":"Art. 12(5) GDPR"}`).want(400).says("reason")
	for range 2 {
		a := d.ask("officer", "POST", path, `{"ground":"Art. 12(5) GDPR","reason":"the fifth this week"}`).want(200)
		if a.at("state") != "refused" || a.at("refusal.ground") != "Art. 12(5) GDPR" || a.at("clock.days_left") != nil {
			t.Errorf("%s", a.Body)
		}
	}
	if got := d.flow.outcome("token-approval.plan-1"); got != "refused" {
		t.Errorf("the run was told %q", got)
	}
	letters := d.mail.to(ines)
	if last := letters[len(letters)-1]; len(letters) != 2 || !strings.Contains(last.Text, "the authority") || !strings.Contains(last.Text, "Art. 12(5)") {
		t.Errorf("%d letters, the last: %s", len(letters), last.Text)
	}
	for _, act := range []string{"approve", "extend", "hold", "cancel"} {
		d.ask("officer", "POST", "/requests/"+id+"/"+act, `{"digest":"plan-1","reason":"x","ground":"x"}`).wantOneOf(400, 409)
	}
}

func (a answer) wantOneOf(statuses ...int) {
	a.t.Helper()
	if !slices.Contains(statuses, a.Status) {
		a.t.Errorf("%d %s, want one of %v", a.Status, a.Body, statuses)
	}
}

// A request that a person works on ends, too: everything that waits is told.
func TestCancel(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	d.located(id)
	task := d.task(id, request.TaskManual, []request.Act{request.Retry, request.Done, request.Skip, request.Waive})
	d.waiting(id, request.WaitTask(task))
	for range 2 {
		a := d.ask("operator", "POST", "/requests/"+id+"/cancel", `{"reason":"by telephone"}`).want(200)
		if a.at("state") != "withdrawn" {
			t.Errorf("%s", a.Body)
		}
	}
	if got := d.flow.outcome("token-task." + task); got != "withdrawn" {
		t.Errorf("the run was told %q", got)
	}
}

func TestExtend(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(map[string]any{"received": "2026-01-31T09:00:00Z"})
	path := "/requests/" + id + "/extend"
	d.ask("officer", "POST", path, `{}`).want(400).says("reason")
	for range 2 {
		a := d.ask("officer", "POST", path, `{"reason":"forty archives"}`).want(200)
		if a.at("clock.due") != "2026-04-30T21:59:59Z" || a.at("clock.extended") != true {
			t.Errorf("%s", a.Body)
		}
	}
	d.ask("officer", "POST", path, `{"reason":"another one"}`).want(409).says("extended already")
	if letters := d.mail.to(ines); len(letters) != 2 || !strings.Contains(letters[1].Text, "forty archives") {
		t.Errorf("%d letters", len(letters))
	}
	unproven := d.ask("operator", "POST", "/requests", `{"type":"access","subject":{"email":"`+ines+`"}}`).want(200)
	due := unproven.at("clock.due")
	d.ask("officer", "POST", "/requests/"+unproven.id()+"/extend", `{"reason":"forty archives"}`).want(409).says("proven")
	if a := d.ask("officer", "GET", "/requests/"+unproven.id(), "").want(200); a.at("clock.due") != due || a.at("clock.extended") != false {
		t.Errorf("nobody can be told, and the clock has moved: %s", a.Body)
	}
	late := d.opened(map[string]any{"received": "2026-01-01T09:00:00Z"})
	d.ask("officer", "POST", "/requests/"+late+"/extend", `{"reason":"too late"}`).want(409).says("passed")
}

// A hold stops an erasure before its approval, and gives it back.
func TestHold(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	d.located(id)
	hold := "/requests/" + id + "/hold"
	d.ask("officer", "POST", hold, `{"ground":"Art. 17(3)(e) GDPR","reason":"a suit","systems":["nowhere"]}`).want(400).says("systems")
	d.ask("officer", "POST", hold, `{"ground":"Art. 17(3)(e) GDPR","reason":"a suit","systems":["ledger"]}`).want(200)
	for range 2 {
		a := d.ask("officer", "POST", hold, `{"ground":"Art. 17(3)(e) GDPR","reason":"a suit"}`).want(200)
		if a.at("state") != "held" || len(a.at("holds").([]any)) != 2 {
			t.Errorf("%s", a.Body)
		}
	}
	d.ask("officer", "POST", "/requests/"+id+"/approve", `{"digest":"plan-1"}`).want(409).says("held")
	release := "/requests/" + id + "/release"
	d.ask("officer", "POST", release, `{"hold":true,"systems":["other"],"why":"over"}`).want(409)
	if a := d.ask("officer", "POST", release, `{"hold":true,"why":"over"}`).want(200); a.at("state") != "waiting_approval" || len(a.at("holds").([]any)) != 0 {
		t.Errorf("%s", a.Body)
	}
	d.ask("officer", "POST", release, `{"hold":true,"package":"x"}`).want(400)
	d.ask("officer", "POST", release, `{}`).want(400)
}

func TestRelease(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(map[string]any{"type": "access"})
	path := "/requests/" + id + "/release"
	d.ask("officer", "GET", "/requests/"+id+"/package", "").want(404)
	built := func(digest string) {
		d.change(id, func(r *request.Request) {
			r.State, r.Epoch, r.Execution = request.WaitingRelease, 1, "arn:"+id+"-1"
			excluded := []request.Exclusion{}
			if r.Package != nil {
				excluded = r.Package.Excluded
			}
			r.Package = &request.Package{Build: "b-" + digest, Digest: digest, Bytes: 5, Built: *d.now, Excluded: excluded}
		})
		d.waiting(id, request.WaitRelease(digest))
	}
	built("zip-1")
	a := d.ask("officer", "GET", "/requests/"+id+"/package", "").want(200)
	if a.at("digest") != "zip-1" || a.at("url") != "https://bucket.example/b-zip-1?valid=10m0s" || !slices.Contains(d.log(id), request.Read) {
		t.Errorf("%s", a.Body)
	}
	d.ask("officer", "POST", path, `{"package":"zip-0"}`).want(409).says("zip-1")
	d.ask("officer", "POST", path, `{"package":"zip-1","exclusions":[{"part":"ledger/x"}]}`).want(400).says("exclusions[0].reason")
	d.ask("officer", "POST", path, `{"package":"zip-1","exclusions":[{"part":"ledger/x","reason":"of somebody else"}]}`).want(200)
	if got := d.flow.outcome("token-release.zip-1"); got != "rebuild" {
		t.Errorf("the run was told %q", got)
	}
	built("zip-2")
	for range 2 {
		if a := d.ask("officer", "POST", path, `{"package":"zip-2"}`).want(200); a.at("package.released") == nil || a.at("state") != "running" {
			t.Errorf("%s", a.Body)
		}
	}
	if got := d.flow.outcome("token-release.zip-2"); got != "released" || len(d.get(id).Package.Excluded) != 1 {
		t.Errorf("the run was told %q", got)
	}
}

func TestResume(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	d.located(id)
	d.ask("operator", "POST", "/requests/"+id+"/resume", "").want(409).says("lives")
	d.flow.ended["arn:"+id+"-1"] = true
	d.flow.ended["arn:"+id+"-2"] = true // it died before it could begin
	d.ask("operator", "POST", "/requests/"+id+"/resume", "{}").want(200)
	if !slices.Contains(d.flow.names(), id+"-3") || !slices.Contains(d.log(id), request.Resume) {
		t.Errorf("runs %v, log %v", d.flow.names(), d.log(id))
	}
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.ask("operator", "POST", "/requests", `{"type":"access","subject":{"email":"`+ines+`","subject_id":"cust-planted-881","external_id":"ext-1"}}`).want(200).id()
	path := "/requests/" + id + "/identity"
	d.ask("operator", "POST", path, `{"link":true}`).want(200)
	if len(d.links(ines)) != 2 {
		t.Errorf("%d links", len(d.links(ines)))
	}
	d.ask("operator", "POST", path, `{"evidence":"passport"}`).want(400).says("kinds")
	d.ask("operator", "POST", path, `{"evidence":"passport","kinds":["phone"]}`).want(400).says("kinds")
	d.ask("operator", "POST", path, `{"evidence":"passport","kinds":["email","subject_id"]}`).want(200)
	trust := func() map[identity.Kind]identity.Trust {
		known, err := d.store.Known(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		m := map[identity.Kind]identity.Trust{}
		for _, k := range known {
			m[k.Kind] = k.Trust
		}
		return m
	}
	if diff := cmp.Diff(map[identity.Kind]identity.Trust{"email": "proven", "subject_id": "proven", "external_id": "claimed"}, trust()); diff != "" {
		t.Error(diff)
	}
	d.located(id)
	d.ask("operator", "POST", path, `{"evidence":"the contract","kinds":["external_id"]}`).want(200)
	if got := d.flow.outcome("token-approval.plan-1"); got != "relocate" || trust()["external_id"] != "proven" {
		t.Errorf("the run was told %q, %v", got, trust())
	}
	d.ask("operator", "POST", path, `{"link":true}`).want(409)
}

// The same words about another identifier are no repetition.
func TestIdentify_sameEvidence(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.ask("operator", "POST", "/requests", `{"type":"access","subject":{"email":"`+ines+`","external_id":"ext-1"}}`).want(200).id()
	for _, kind := range []string{"email", "email", "external_id", "external_id"} { // each said twice
		d.ask("operator", "POST", "/requests/"+id+"/identity", `{"evidence":"passport","kinds":["`+kind+`"]}`).want(200)
	}
	known, err := d.store.Known(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range known {
		if k.Trust != identity.Proven {
			t.Errorf("%s is %s", k.Kind, k.Trust)
		}
	}
	if vouched := slices.DeleteFunc(d.log(id), func(a request.Act) bool { return a != request.Prove && a != request.Accept }); len(vouched) != 2 {
		t.Errorf("log %v", vouched)
	}
}

// task puts a task to a person, as a run does.
func (d *door) task(id string, kind request.TaskKind, choices []request.Act, more ...func(*request.Task, *request.Change)) string {
	d.t.Helper()
	r := d.get(id)
	task := request.Task{ID: "019c2331-c600-7000-8000-0000000000" + string('a'+rune(r.Open%6)) + "1", Kind: kind, System: "archive", Operation: connector.Erase, Reason: "no API", Choices: choices, Opened: *d.now}
	e := request.Entry{At: *d.now, By: request.Avow, Act: request.AskAct, From: r.State, To: r.State}
	c := request.Change{Request: r, Entries: []request.Entry{e}, Steps: []request.Step{{System: "archive", Operation: connector.Erase, Phase: request.Asking, Epoch: r.Epoch, Task: task.ID}}}
	for _, change := range more {
		change(&task, &c)
	}
	c.Tasks = []request.Task{task}
	if task.Kind.Blocks() {
		r.Open++
	}
	if r.State == request.Running {
		r.State = request.WaitingOperator
	}
	if err := d.store.Write(d.t.Context(), c); err != nil {
		d.t.Fatal(err)
	}
	return task.ID
}

func TestTasks(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	choices := []request.Act{request.Retry, request.Done, request.Skip, request.Waive}
	document := base64.StdEncoding.EncodeToString([]byte("a photograph of an empty shelf"))
	for name, tt := range map[string]struct {
		who, body string
		status    int
		phase     request.Phase
		outcome   string
	}{
		"done":               {"operator", `{"decision":"done","evidence":{"document":"` + document + `"}}`, 200, request.Finished, "done"},
		"done, by digest":    {"operator", `{"decision":"done","evidence":{"sha256":"` + strings.Repeat("a", 64) + `"}}`, 200, request.Finished, "done"},
		"retry":              {"operator", `{"decision":"retry"}`, 200, request.Intended, "retry"},
		"skip":               {"officer", `{"decision":"skip","why":"the archive has burnt"}`, 200, request.Skipped, "done"},
		"waive":              {"officer", `{"decision":"waive","ground":"Art. 17(3)(b) GDPR","why":"tax law"}`, 200, request.Waived, "done"},
		"skip by operator":   {"operator", `{"decision":"skip","why":"x"}`, 403, request.Asking, ""},
		"waive by operator":  {"operator", `{"decision":"waive","ground":"x","why":"x"}`, 403, request.Asking, ""},
		"waive, no ground":   {"officer", `{"decision":"waive","why":"x"}`, 400, request.Asking, ""},
		"skip, no reason":    {"officer", `{"decision":"skip"}`, 400, request.Asking, ""},
		"accept":             {"operator", `{"decision":"accept"}`, 409, request.Asking, ""},
		"nonsense":           {"operator", `{"decision":"approve"}`, 400, request.Asking, ""},
		"evidence of a skip": {"officer", `{"decision":"skip","why":"x","evidence":{"document":"` + document + `"}}`, 400, request.Asking, ""},
		"done, no evidence":  {"operator", `{"decision":"done","why":"believe me"}`, 400, request.Asking, ""},
		"bad digest":         {"operator", `{"decision":"done","evidence":{"sha256":"x"}}`, 400, request.Asking, ""},
		"bad document":       {"operator", `{"decision":"done","evidence":{"document":"%"}}`, 400, request.Asking, ""},
		"two proofs":         {"operator", `{"decision":"done","evidence":{"document":"` + document + `","sha256":"` + strings.Repeat("a", 64) + `"}}`, 400, request.Asking, ""},
	} {
		id := d.opened(nil)
		d.change(id, func(r *request.Request) { r.State, r.Epoch, r.Execution = request.Running, 1, "arn:"+id+"-1" })
		task := d.task(id, request.TaskManual, choices)
		d.flow.told = map[string]string{}
		d.waiting(id, request.WaitTask(task))
		path := "/requests/" + id + "/tasks/" + task
		for range 2 {
			if a := d.ask(tt.who, "POST", path, tt.body); a.Status != tt.status {
				t.Errorf("%s: %d %s", name, a.Status, a.Body)
			}
		}
		steps, err := d.store.Steps(t.Context(), id)
		if err != nil || steps[0].Phase != tt.phase || d.flow.outcome("token-task."+task) != tt.outcome {
			t.Errorf("%s: %v %s, told %q", name, err, steps[0].Phase, d.flow.outcome("token-task."+task))
		}
		if r := d.get(id); (tt.status == 200) != (r.State == request.Running) {
			t.Errorf("%s: %s", name, r.State)
		}
		if tt.status == 200 {
			d.ask("officer", "POST", path, `{"decision":"skip","why":"other"}`).want(409).says("decided already")
		}
	}
	id := d.opened(nil)
	d.ask("operator", "POST", "/requests/"+id+"/tasks/none", `{"decision":"retry"}`).want(404)
	large := base64.StdEncoding.EncodeToString(make([]byte, 3<<20+1))
	d.ask("operator", "POST", "/requests/"+id+"/tasks/none", `{"decision":"done","evidence":{"document":"`+large+`"}}`).want(413)
	most := base64.StdEncoding.EncodeToString(make([]byte, 3<<20))
	d.ask("operator", "POST", "/requests/"+id+"/tasks/none", `{"decision":"done","evidence":{"document":"`+most+`"}}`).want(404)
}

// Who approves a rectification reads what it changes; a viewer does not.
func TestPlan_changes(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(map[string]any{"type": "rectification", "changes": []any{map[string]any{"field": "address", "old": "Old Street 1", "new": "Planted Street 1"}}})
	d.located(id)
	path := "/requests/" + id + "/plan"
	for _, who := range []string{"operator", "officer", "admin"} {
		d.ask(who, "GET", path, "").want(200).says(`"changes":[{"field":"address","old":"Old Street 1","new":"Planted Street 1"}]`)
	}
	if a := d.ask("viewer", "GET", path, "").want(200).says(`"candidates":[]`); strings.Contains(a.Body, "Street") || a.at("changes") != nil {
		t.Errorf("a viewer reads %s", a.Body)
	}
	erasure := d.opened(nil)
	d.located(erasure)
	if a := d.ask("officer", "GET", "/requests/"+erasure+"/plan", "").want(200); a.at("changes") != nil {
		t.Errorf("an erasure changes %s", a.Body)
	}
}

// A candidate is the person's when an operator says so, and is looked for again.
func TestTasks_candidate(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	d.located(id)
	known := request.Known{Identifier: identity.Identifier{Kind: identity.Phone, Value: "+34600123987", Trust: identity.Public, System: "desk"}, Key: "key-of-phone", Evidence: "same name"}
	task := d.task(id, request.TaskCandidate, []request.Act{request.Accept, request.Reject}, func(task *request.Task, c *request.Change) {
		task.Candidate, c.Known, c.Steps = known.Key, []request.Known{known}, nil
	})
	if a := d.ask("viewer", "GET", "/requests/"+id+"/tasks", "").want(200); strings.Contains(a.Body, "34600123987") || !strings.Contains(a.Body, `"masked":true`) {
		t.Errorf("%s", a.Body)
	}
	d.ask("operator", "GET", "/requests/"+id+"/tasks", "").want(200).says("+34600123987")
	plan := "/requests/" + id + "/plan"
	if a := d.ask("viewer", "GET", plan, "").want(200).says(`"evidence":"same name"`).says(`"task":"` + task + `"`).says(`"decision":null`); strings.Contains(a.Body, "34600123987") {
		t.Errorf("%s", a.Body)
	}
	d.ask("officer", "GET", plan, "").want(200).says("+34600123987")
	d.ask("operator", "POST", "/requests/"+id+"/tasks/"+task, `{"decision":"accept","why":"the same birthday"}`).want(200)
	d.located(id)
	d.ask("officer", "GET", plan, "").want(200).says(`"decision":"accept"`).says(`"accepted":true`)
	list, err := d.store.Known(t.Context(), id)
	if err != nil || !slices.ContainsFunc(list, func(k request.Known) bool { return k.Key == known.Key && k.Accepted }) {
		t.Errorf("%+v, %v", list, err)
	}
	if got := d.flow.outcome("token-approval.plan-1"); got != "relocate" {
		t.Errorf("the run was told %q", got)
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(map[string]any{
		"type": "rectification", "channel": "chat", "reference": "chat-planted-77", "message": "what Inesita writes",
		"changes":      []any{map[string]any{"field": "address", "new": "Planted Street 1"}},
		"on_behalf_of": map[string]any{"who": "A lawyer", "proof": map[string]any{"document": base64.StdEncoding.EncodeToString([]byte("mandate"))}},
	})
	whole := d.ask("operator", "GET", "/requests/"+id, "").want(200)
	for _, want := range []string{ines, "Inesita", "chat-planted-77", "what Inesita writes", "Planted Street 1", "A lawyer"} {
		whole.says(want)
	}
	masked := d.ask("viewer", "GET", "/requests/"+id, "").want(200)
	for _, value := range []string{ines, "Inesita", "planted", "Planted", "what", "lawyer"} {
		if strings.Contains(masked.Body, value) {
			t.Errorf("a viewer sees %q: %s", value, masked.Body)
		}
	}
	masked.says(`"masked":true`).says("i…")
	for _, none := range []string{"x", "019c2331-c600-7000-8000-000000000009"} {
		d.ask("viewer", "GET", "/requests/"+none, "").want(404)
	}

	var log []map[string]any
	pages := 0
	for path := "/requests/" + id + "/log?limit=1"; path != ""; pages++ {
		a := d.ask("viewer", "GET", path, "").want(200)
		var page []map[string]any
		if err := json.Unmarshal([]byte(a.Body), &page); err != nil || len(page) > 1 {
			t.Fatalf("%v %s", err, a.Body)
		}
		log = append(log, page...)
		path = strings.TrimPrefix(strings.TrimSuffix(a.Headers["Link"], `>; rel="next"`), "<https://api.shop.example")
	}
	if len(log) != len(d.log(id)) || pages < 2 {
		t.Errorf("%d entries on %d pages", len(log), pages)
	}
	d.ask("viewer", "GET", "/requests/"+id+"/log?starting_after=x", "").want(400)

	d.ask("viewer", "GET", "/requests/"+id+"/plan", "").want(409).says("no plan yet")
	d.change(id, func(r *request.Request) { r.State = request.Locating })
	searching := []request.Found{{System: "zoom", Done: 120, Of: 400}, {System: "ledger", Asked: "all"}, {System: "desk"}}
	if err := d.store.Write(t.Context(), request.Change{Fence: &request.Fence{Request: id, Epoch: d.get(id).Epoch}, Found: searching}); err != nil {
		t.Fatal(err)
	}
	d.ask("viewer", "GET", "/requests/"+id, "").want(200).says(`"search":[{"system":"zoom","done":120,"of":400}]`)
	d.located(id)
	if a := d.ask("viewer", "GET", "/requests/"+id+"/plan", "").want(200); a.at("digest") != "plan-1" || a.at("current") != true || a.at("approved") != false {
		t.Errorf("%s", a.Body)
	}
	if a := d.ask("", "GET", "/keys", "").want(200); !strings.Contains(a.Body, `"algorithm":"Ed25519"`) || !strings.Contains(a.Body, "key-1") {
		t.Errorf("%s", a.Body)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	erasure := d.opened(nil)
	access := d.opened(map[string]any{"type": "access", "subject": map[string]any{"email": "leo@example.test"}, "received": "2026-01-05T09:00:00Z"})
	waiting := d.ask("operator", "POST", "/requests", `{"type":"access","subject":{"email":"`+ines+`"}}`).want(200).id()
	for query, want := range map[string][]string{
		"":                             {erasure, access, waiting},
		"?type=access":                 {access, waiting},
		"?state=waiting_identity":      {waiting},
		"?state=locating&type=erasure": {erasure},
		"?due_before=2026-02-20":       {access},
		"?identifier%5Bkind%5D=email&identifier%5Bvalue%5D=INES.planted%40example.test": {erasure, waiting},
		"?identifier%5Bkind%5D=email&identifier%5Bvalue%5D=nobody%40example.test":       {},
	} {
		got := []string{}
		for path := "/requests" + query; path != ""; {
			sep := "?"
			if strings.Contains(path, "?") {
				sep = "&"
			}
			if !strings.Contains(path, "limit=") {
				path += sep + "limit=1"
			}
			a := d.ask("viewer", "GET", path, "").want(200)
			var page []map[string]any
			if err := json.Unmarshal([]byte(a.Body), &page); err != nil {
				t.Fatal(err)
			}
			for _, one := range page {
				got = append(got, one["id"].(string))
				if strings.Contains(a.Body, "planted") {
					t.Errorf("a list shows a person: %s", a.Body)
				}
			}
			path = strings.TrimPrefix(strings.TrimSuffix(a.Headers["Link"], `>; rel="next"`), "<https://api.shop.example")
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	for _, query := range []string{"?state=x", "?type=x", "?due_before=x", "?limit=x", "?identifier%5Bkind%5D=email", "?starting_after=x", "?due_before=0001-01-01"} {
		d.ask("viewer", "GET", "/requests"+query, "").want(400)
	}
	if a := d.ask("elsewhere", "GET", "/requests", "").want(200); a.Body != "[]" {
		t.Errorf("of another site: %s", a.Body)
	}
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	path := "/requests/" + id + "/certificate"
	d.ask("viewer", "GET", path, "").want(404)
	d.change(id, func(r *request.Request) { r.Certificate = &request.CertificateRef{Serial: 2, Digest: "d", At: *d.now} })
	d.out.cert[id+"1"], d.out.cert[id+"2"] = []byte(`{"serial":1}`), []byte(`{"serial":2}`)
	for query, want := range map[string]string{"": `{"serial":2}`, "?serial=1": `{"serial":1}`} {
		if a := d.ask("viewer", "GET", path+query, "").want(200); a.Body != want {
			t.Errorf("%s: %s", query, a.Body)
		}
	}
	d.ask("viewer", "GET", path+"?serial=3", "").want(404)
	d.ask("viewer", "GET", path+"?serial=x", "").want(400)
	if !slices.Contains(d.log(id), request.Read) {
		t.Error("not in the log")
	}
}

// The same certificate for people, in their language or in the one they ask for.
func TestCertificate_page(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(map[string]any{"language": "fr"})
	signed, err := certificate.Sign(t.Context(), signer{d.out}, &certificate.Certificate{
		Format: certificate.Format, Serial: 1, Controller: "Shop & Co", Request: certificate.Request{ID: id, Type: request.Erasure},
	})
	if err != nil {
		t.Fatal(err)
	}
	d.change(id, func(r *request.Request) { r.Certificate = &request.CertificateRef{Serial: 1, Digest: "d", At: *d.now} })
	d.out.cert[id+"1"] = signed
	const english, french = "<h1>Certificate of erasure</h1>", "<h1>Certificat d’effacement</h1>"
	for name, tt := range map[string]struct{ query, accept, want string }{
		"a browser":                {"", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", french},
		"by the query":             {"?format=html", "", french},
		"in another language":      {"?format=html&language=en-GB", "", english},
		"in a language nobody has": {"?format=html&language=de", "", english},
		"curl":                     {"", "*/*", ""},
		"a program":                {"", "application/json, text/html;q=0.5", ""},
		"JSON all the same":        {"?format=json", "text/html", ""},
	} {
		a := d.ask("viewer", "GET", "/requests/"+id+"/certificate"+tt.query, "", "Accept", tt.accept).want(200)
		if tt.want == "" && a.Body != string(signed) || !strings.Contains(a.Body, tt.want) {
			t.Errorf("%s: %s", name, a.Body)
		}
		if html := strings.HasPrefix(a.Headers["Content-Type"], "text/html"); html != (tt.want != "") || a.Headers["Cache-Control"] != "no-store" || a.Headers["Vary"] != "Accept" {
			t.Errorf("%s: %v", name, a.Headers)
		}
	}
	for _, query := range []string{"?format=pdf", "?format=html&language=%3Cb%3E"} {
		d.ask("viewer", "GET", "/requests/"+id+"/certificate"+query, "").want(400)
	}
	d.out.cert[id+"1"] = []byte(`{"serial":1}`)
	d.ask("viewer", "GET", "/requests/"+id+"/certificate?format=html", "").want(500)
}

// signer signs as outside says.
type signer struct{ *outside }

func (signer) Sign(_ context.Context, message []byte) ([]byte, error) {
	return ed25519.Sign(ed25519.NewKeyFromSeed(make([]byte, 32)), message), nil
}

// Others work on the request at the same time: what is still allowed happens.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	id := d.opened(nil)
	d.located(id)
	results := make(chan int, 8)
	for n := range cap(results) {
		one := d.instance()
		go func() {
			reason := string('a' + rune(n))
			results <- one.ask("officer", "POST", "/requests/"+id+"/hold", `{"ground":"x","reason":"`+reason+`"}`).Status
		}()
	}
	held := 0
	for range cap(results) {
		switch status := <-results; status {
		case 200:
			held++
		case 409:
		default:
			t.Errorf("status %d", status)
		}
	}
	if n := len(d.get(id).Holds); n != held || held == 0 {
		t.Errorf("%d holds, %d acknowledged", n, held)
	}
}
