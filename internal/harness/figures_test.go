package harness

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/asl"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
	"github.com/avow-consent/avow/internal/keys"
)

// erasure puts a consent of a person into the ledger and opens the request to
// erase it; an operator has checked who asks.
func erasure(t testing.TB, w *World, person string) (id string) {
	t.Helper()
	w.Must(t, 200, w.Secret, "POST", "/consent", map[string]any{
		"subject": map[string]any{"id": person, "email": mailOf(person)}, "preferences": map[string]any{"newsletter": true},
		"proofs": []any{map[string]any{"content": mailOf(person), "form": "<form>for " + person + "</form>"}},
	})
	return w.Must(t, 200, w.Roles[keys.Operator], "POST", "/requests", map[string]any{
		"type": "erasure", "subject": map[string]any{"email": mailOf(person)}, "channel": "email", "language": "en", "residence": "FR",
		"identity": map[string]any{"method": "operator", "evidence": "called back"},
	}).Text("id")
}

func mailOf(person string) string { return person + "@example.test" }

// planned reports whether the request waits for an approval.
func planned(t testing.TB, w *World, id string) bool {
	t.Helper()
	return w.Must(t, 200, w.Roles[keys.Viewer], "GET", "/requests/"+id, nil).Text("state") == "waiting_approval"
}

// agree approves the plan.
func agree(t testing.TB, w *World, id string) {
	t.Helper()
	plan := w.Must(t, 200, w.Roles[keys.Officer], "GET", "/requests/"+id+"/plan", nil)
	w.Must(t, 200, w.Roles[keys.Officer], "POST", "/requests/"+id+"/approve", map[string]any{"digest": plan.Text("digest"), "why": "checked"})
}

func certified(t testing.TB, w *World, id string) bool {
	t.Helper()
	return w.Do(t, w.Roles[keys.Viewer], "GET", "/requests/"+id+"/certificate", nil).Status == 200
}

// toCertificate plays an erasure whose only system is the ledger, from the
// approval to the first certificate: how often the functions that the machines
// call were invoked and called AWS, and how long the machines paused.
func toCertificate(t testing.TB) (calls, invoked int, paused time.Duration) {
	t.Helper()
	w := New(t, Options{Bare: true})
	id := erasure(t, w, "ada")
	if !w.Engine.RunUntil(t.Context(), time.Hour, func() bool { return planned(t, w, id) }) {
		t.Fatal("there is no plan")
	}
	w.Break(Schedule{}) // counts from here
	before, began := w.Engine.Invocations(), w.Engine.Now()
	agree(t, w, id)
	if !w.Engine.RunUntil(t.Context(), time.Hour, func() bool { return certified(t, w, id) }) {
		t.Fatalf("there is no certificate\n%s", w.Log)
	}
	calls, _ = w.Calls()
	return calls, w.Engine.Invocations() - before, w.Engine.Now().Sub(began)
}

func TestFigures_certificate(t *testing.T) {
	t.Parallel()
	calls, invoked, paused := toCertificate(t)
	t.Logf("%d calls of AWS in %d invocations, %v of pauses", calls, invoked, paused)
	if mostCalls, mostInvoked := 100, 6; calls > mostCalls || invoked > mostInvoked {
		t.Errorf("%d calls in %d invocations, want at most %d in %d", calls, invoked, mostCalls, mostInvoked)
	}
}

// overhead is what Step Functions counts for one operation on one system that
// answers at once, in an execution of its own, and for the request around it
// with its two looks a day and a month later.
func overhead(t testing.TB) (operation, whole asl.Description) {
	t.Helper()
	w := New(t, Options{Bare: true})
	w.Play(t, erasure(t, w, "ada"), 60*24*time.Hour)
	for _, arn := range w.Engine.Executions() {
		d, _ := w.Engine.Describe(arn)
		switch {
		case strings.HasSuffix(d.Name, "_ledger_erase_1"):
			operation = d
		case strings.HasSuffix(d.Name, "-1"):
			whole = d
		}
	}
	return operation, whole
}

func TestFigures_overhead(t *testing.T) {
	t.Parallel()
	operation, whole := overhead(t)
	for _, d := range []struct {
		asl.Description
		transitions, events int
	}{{operation, 7, 15}, {whole, 40, 140}} {
		t.Logf("%s: %d transitions, %d events: %s", d.Name, d.Transitions, len(d.Events), strings.Join(d.Path, " "))
		if d.Transitions == 0 || d.Transitions > d.transitions || len(d.Events) > d.events {
			t.Errorf("%s: %d transitions and %d events, want at most %d and %d", d.Name, d.Transitions, len(d.Events), d.transitions, d.events)
		}
	}
}

// BenchmarkHistory prints what the tests assert.
func BenchmarkHistory(b *testing.B) {
	b.Run("operation", func(b *testing.B) {
		for b.Loop() {
			operation, _ := overhead(b)
			b.ReportMetric(float64(operation.Transitions), "transitions")
			b.ReportMetric(float64(len(operation.Events)), "events")
		}
	})
	b.Run("month", func(b *testing.B) {
		for b.Loop() {
			f, lasted := month(b)
			b.ReportMetric(float64(f.Transitions), "transitions")
			b.ReportMetric(100*f.Dollars(asl.TransitionPrice), "cents")
			b.ReportMetric(float64(f.Events), "events")
			b.ReportMetric(lasted.Hours()/24, "days")
		}
	})
}

// month plays an erasure over five systems that are what they are in practice:
// the company's own ledger, three desks with a search index that lags and jobs
// that take days, and an archive that a person works on. It is looked at again
// at once, after a day and after thirty.
func month(t testing.TB) (asl.Figures, time.Duration) {
	t.Helper()
	var w *World
	clock := func() time.Time {
		if w == nil {
			return Start
		}
		return w.Engine.Now()
	}
	systems := []any{json.RawMessage(`{"name": "archive", "kind": "manual", "title": {"en": "Archive"}, "region": "FR",
		"data": [{"name": {"en": "Letters"}, "purpose": {"en": "To answer"}, "retention": {"en": "6 years"}}]}`)}
	var desks []*fake.Server
	for i := range 2 {
		d := fake.New(fake.Options{Options: fakekit.Options{Now: clock}})
		server := httptest.NewServer(d)
		t.Cleanup(server.Close)
		desks = append(desks, d)
		systems = append(systems, map[string]any{
			"name": fmt.Sprint("desk-", i), "kind": "refdesk", "title": map[string]string{"en": "Desk", "fr": "Desk"}, "secret": "helpdesk",
			"config":    map[string]any{"base_url": server.URL, "allow_local": true},
			"processor": map[string]string{"name": "Refdesk GmbH", "dpa": "2025-03-01"}, "region": "DE",
		})
	}
	text, err := json.Marshal(systems)
	if err != nil {
		t.Fatal(err)
	}
	w = New(t, Options{Systems: string(text)})
	for _, d := range append(desks, w.Desk) {
		d.AddTicket(d.AddUser(fake.User{Name: "Ada", Email: mailOf("ada"), Verified: true}), "A question", "Where is my parcel?", "closed")
	}
	w.Engine.Advance(t.Context(), time.Hour)
	began := w.Engine.Now()
	w.Play(t, erasure(t, w, "ada"), 60*24*time.Hour)
	return w.Engine.Figures(), w.Engine.Now().Sub(began)
}

// The goal of issue 4, on the histories of the real functions.
func TestFigures_month(t *testing.T) {
	t.Parallel()
	f, lasted := month(t)
	t.Logf("%d executions, %d transitions = %.3f US cents, longest history %d events, %.1f days",
		f.Executions, f.Transitions, 100*f.Dollars(asl.TransitionPrice), f.Events, lasted.Hours()/24)
	if cents := 100 * f.Dollars(asl.TransitionPrice); cents > 1 {
		t.Errorf("%.3f US cents, want at most 1", cents)
	}
	if lasted < 30*24*time.Hour {
		t.Errorf("it lasted %v", lasted)
	}
}

// BenchmarkCertificate is the way from the approval to the certificate: its calls
// on a clock that nothing keeps waiting, and its time through the local engine.
func BenchmarkCertificate(b *testing.B) {
	b.Run("calls", func(b *testing.B) {
		for b.Loop() {
			calls, invoked, paused := toCertificate(b)
			b.ReportMetric(float64(calls), "calls")
			b.ReportMetric(float64(invoked), "invocations")
			b.ReportMetric(paused.Seconds(), "pause-s")
		}
	})
	b.Run("engine", throughEngine)
}

func throughEngine(b *testing.B) {
	w := New(b, Options{Bare: true, Local: true})
	wait := func(what string, done func() bool) {
		for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				b.Fatalf("%s does not come\n%s", what, w.Log)
			}
		}
	}
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		id := erasure(b, w, fmt.Sprint("person-", n))
		wait("the plan", func() bool { return planned(b, w, id) })
		b.StartTimer()
		agree(b, w, id)
		wait("the certificate", func() bool { return certified(b, w, id) })
	}
}
