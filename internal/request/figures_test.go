package request_test

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
)

// overhead is a runner over a system that answers at once, so that everything
// that is measured is the runner's own.
type overhead struct {
	*request.Runner
	store *dynamo.Requests
	net   *faulty.Transport
}

func newOverhead(t testing.TB) *overhead {
	t.Helper()
	x := &overhead{net: &faulty.Transport{Capacity: true}}
	env := awstest.New(t).With(x.net.Wrap)
	hasher, err := pseudonym.New([]byte("a secret of these tests, 32 bytes long"))
	if err != nil {
		t.Fatal(err)
	}
	x.store = dynamo.NewRequests(env.Config, env.Getenv("REQUESTS_TABLE"), hasher, clock, fresh)
	x.Runner = &request.Runner{
		Store: x.store, Policy: request.Defaults(), Parts: &parts{}, Now: clock, NewID: fresh, Controller: request.Controller{TimeZone: "Europe/Paris"},
		Systems: []request.System{{Name: "crm", Connector: &crm{does: []connector.Operation{
			connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object,
		}}}},
	}
	return x
}

func clock() time.Time { return noon }

func fresh(time.Time) string { return uuid.Must(uuid.NewV7()).String() }

// open makes a request that runs, about a person with one e-mail.
func (x *overhead) open(t testing.TB, kind request.Type) request.Ref {
	t.Helper()
	id := rand.Text()
	r := request.Request{ID: id, Site: "shop", Type: kind, State: request.Running, Epoch: 1, Received: noon}
	err := x.store.Create(t.Context(), &r, request.Entry{At: noon, By: officer, Act: request.Open, To: r.State}, request.Personal{},
		[]request.Known{{Identifier: identity.Identifier{Kind: identity.Email, Value: "ines@example.test", Trust: identity.Proven}, Key: rand.Text()}})
	if err != nil {
		t.Fatal(err)
	}
	return request.Ref{Request: id, Epoch: 1, System: "crm", Operation: kind.Operation()}
}

// advance takes an operation to its end, which an instant system comes to with
// one step, and tells what was asked of DynamoDB.
func (x *overhead) advance(t testing.TB, ref request.Ref) (calls []string, units float64) {
	t.Helper()
	x.net.Reset()
	out, err := x.Advance(t.Context(), ref)
	if err != nil || out.Status != request.Ready {
		t.Fatalf("%s: %+v, %v", ref.Operation, out, err)
	}
	for _, c := range x.net.Calls() {
		name := strings.TrimPrefix(c.Operation, "dynamodb.")
		calls = append(calls, name)
		if !slices.Contains([]string{"Query", "GetItem", "BatchGetItem"}, name) {
			units += c.Consumed.Total()
		}
	}
	return calls, units
}

// overheads are the operations whose overhead is measured.
var overheads = []struct {
	name string
	kind request.Type
	look int
}{
	{"export", request.Access, 0}, {"rectify", request.Rectification, 0}, {"erase", request.Erasure, 0},
	{"restrict", request.Restriction, 0}, {"look", request.Erasure, 1},
}

// What one operation on one system costs beside the system's own work: the
// request, its steps and its identifiers are read; intent and end are written,
// each with its line of the log.
func TestFigures_advance(t *testing.T) {
	t.Parallel()
	x := newOverhead(t)
	want := map[string]string{
		"rectify": "GetItem Query Query Query TransactWriteItems GetItem TransactWriteItems", // what is to be changed is read, too
		"look":    "GetItem Query TransactWriteItems Query TransactWriteItems",               // what was found is known
	}
	for _, o := range overheads {
		ref := x.open(t, o.kind)
		ref.Look = o.look
		calls, units := x.advance(t, ref)
		usual := "GetItem Query Query Query TransactWriteItems TransactWriteItems" // the request, its steps, identifiers, what was found; intent; outcome
		if w := want[o.name]; w != "" {
			usual = w
		}
		if diff := cmp.Diff(usual, strings.Join(calls, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", o.name, diff)
		}
		const atMost = 12 // two writes of guard, step and log, each in a transaction: 2 x 3 x 2 units
		if units > atMost {
			t.Errorf("%s: %g write units, want at most %d", o.name, units, atMost)
		}
		t.Logf("%s: %d calls, %g write units", o.name, len(calls), units)
	}
}

// BenchmarkAdvance is the time of the same, most of it the emulator's.
func BenchmarkAdvance(b *testing.B) {
	x := newOverhead(b)
	for _, o := range overheads {
		b.Run(o.name, func(b *testing.B) {
			var calls, n int
			var units float64
			for b.Loop() {
				b.StopTimer()
				ref := x.open(b, o.kind)
				ref.Look = o.look
				b.StartTimer()
				c, u := x.advance(b, ref)
				calls, units, n = calls+len(c), units+u, n+1
			}
			b.ReportMetric(float64(calls)/float64(n), "calls/op")
			b.ReportMetric(units/float64(n), "units/op")
		})
	}
}
