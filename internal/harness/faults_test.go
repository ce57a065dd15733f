package harness_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector/refdesk/fake"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/request"
)

// brief lets a request be over in days: in the month after an erasure, or for
// which a package is kept, nothing happens but the visits of sweep.
const brief = `{"looks": ["0d", "1d", "2d"], "package": "1d", "poll_deadline": "365d"}`

// limit is how long a request of these tests may take on the world's clock.
const limit = 150 * 24 * time.Hour

// person is somebody of whom every schedule has another one.
type person struct{ id, email string }

func someone(n int) person {
	return person{fmt.Sprintf("person-%d", n), fmt.Sprintf("person-%d@example.test", n)}
}

// scenario is a request of one type from its opening to its end.
type scenario struct {
	kind string
	more map[string]any
}

// end is what must be the same whatever has failed on the way.
type end struct {
	State   request.State
	Steps   map[string]request.Phase
	Mails   map[string]int // letters to the person, by subject
	Unknown bool           // an operator was told that nobody knows whether a letter went out
	Ledger  int            // status of the subject in the consent API
	Desk    bool           // the help desk still has the user
	Exports int            // that the help desk was made to begin: each call is another one
	Serial  int            // of the last certificate
}

// begin opens the request of somebody of whom ledger and help desk know, under a
// schedule.
func (s scenario) begin(t *testing.T, w *harness.World, p person, schedule harness.Schedule) (id, user string) {
	t.Helper()
	consents(t, w, p.id, p.email)
	user = w.Desk.AddUser(fake.User{Name: "In\u00e8s Martin", Email: p.email, Verified: true})
	w.Desk.AddTicket(user, "A question", "Where is my parcel?", "closed")
	w.Desk.Advance(time.Hour) // its search index comes after
	more := map[string]any{"subject": map[string]any{"email": p.email}}
	maps.Copy(more, s.more)
	w.Break(schedule)
	return open(t, w, s.kind, more), user
}

// run plays one request under a schedule.
func (s scenario) run(t *testing.T, w *harness.World, p person, schedule harness.Schedule) (e end, calls int, broken string) {
	t.Helper()
	id, user := s.begin(t, w, p, schedule)
	w.Play(t, id, limit)
	calls, broken = w.Calls()
	w.Break(harness.Schedule{})
	return s.end(t, w, p, id, user), calls, broken
}

func (s scenario) end(t *testing.T, w *harness.World, p person, id, user string) end {
	t.Helper()
	store := w.Store(t)
	r, err := store.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := store.Steps(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	e := end{State: r.State, Steps: map[string]request.Phase{}, Mails: map[string]int{}}
	for _, step := range steps {
		e.Steps[fmt.Sprintf("%s %s %d", step.System, step.Operation, step.Look)] = step.Phase
	}
	for _, m := range w.Mails(t) {
		if strings.Contains(m.To, p.email) {
			e.Mails[m.Subject]++
		}
	}
	tasks, err := store.Tasks(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		e.Unknown = e.Unknown || strings.Contains(task.Reason, "nobody knows whether the letter")
	}
	e.Ledger = w.Do(t, w.Secret, "GET", "/subjects/"+p.id, nil).Status
	e.Desk = w.Desk.Find(p.email) != ""
	for _, job := range w.Desk.State().Jobs {
		if job.User == user && job.Kind == "export" {
			e.Exports++
		}
	}
	if r.Certificate != nil {
		e.Serial = r.Certificate.Serial
	}
	return e
}

var scenarios = []scenario{
	{kind: "erasure"},
	{kind: "access"},
	{kind: "rectification", more: map[string]any{"changes": []any{map[string]any{"field": "full_name", "new": "In\u00e8s Durand"}}}},
}

// Whatever call fails, however: the end is the same, no letter goes out twice,
// and nothing is lost.
func TestFaults(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios {
		t.Run(s.kind, func(t *testing.T) {
			t.Parallel()
			s.all(t)
		})
	}
}

// sample is how many schedules there are for each that is tried: AVOW_FAULTS=all
// tries all of them (-run "^TestFaults$"), which takes most of an hour.
func sample(calls int) (every int) {
	all := calls * len(harness.Kinds)
	switch {
	case os.Getenv("AVOW_FAULTS") == "all":
		return 1
	case testing.Short():
		return all / 5
	}
	return all / 24
}

// schedules are one in so many of all that there are over a number of calls.
func schedules(calls, every int) []harness.Schedule {
	every = max(1, every) | 1 // odd: each kind has its turn
	var list []harness.Schedule
	for n := every; n < (calls+1)*len(harness.Kinds); n += every {
		if call := n / len(harness.Kinds); call > 0 {
			list = append(list, harness.Schedule{Call: call, Kind: harness.Kinds[n%len(harness.Kinds)]})
		}
	}
	return list
}

// all tries every schedule, or a fixed sample of them.
func (s scenario) all(t *testing.T) {
	const perWorld = 25 // requests of one world: its tables grow
	w := harness.New(t, harness.Options{Policy: brief})
	want, calls, _ := s.run(t, w, someone(0), harness.Schedule{})
	s.undisturbed(t, want)
	var tried tally
	for i, schedule := range schedules(calls, sample(calls)) {
		if (i+1)%perWorld == 0 {
			w = harness.New(t, harness.Options{Policy: brief})
		}
		got, _, broken := s.run(t, w, someone(i+1), schedule)
		tried.note(t, schedule, broken, differs(want, got))
	}
	t.Logf("%s: %d of %d schedules over %d calls", s.kind, tried, calls*len(harness.Kinds), calls)
}

// tally counts the schedules that were tried.
type tally int

// note counts a schedule whose call was broken. The last calls of all may not
// come: functions that are warm make fewer, and on a real clock a vendor's job
// is asked after more or less often.
func (n *tally) note(t *testing.T, schedule harness.Schedule, broken, diff string) {
	t.Helper()
	if broken == "" {
		t.Logf("%s: there was no such call", schedule)
		return
	}
	*n++
	if diff != "" {
		t.Errorf("%s (%s):\n%s", schedule, broken, diff)
	}
}

// undisturbed is what a request without a fault must have come to: whatever the
// faults are compared with has done something.
func (s scenario) undisturbed(t *testing.T, e end) {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("without a fault: %s", text)
	if e.State != request.Closed || len(e.Mails) == 0 || e.Unknown || e.Desk == (s.kind == "erasure") || (e.Exports == 1) != (s.kind == "access") {
		t.Fatal("that is not how it should end")
	}
}

// The same through the local engine of Step Functions, on the real clock: a fixed
// sample, of which a few requests run at a time.
func TestFaults_localEngine(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for real seconds")
	}
	for _, s := range scenarios {
		t.Run(s.kind, func(t *testing.T) {
			t.Parallel()
			s.local(t)
		})
	}
}

// local tries about a dozen schedules.
func (s scenario) local(t *testing.T) {
	const wanted = 12
	ends, calls, _ := s.together(t, []harness.Schedule{{}})
	s.undisturbed(t, ends[0])
	list := schedules(calls, calls*len(harness.Kinds)/wanted)
	got, _, broken := s.together(t, list)
	var tried tally
	for i, schedule := range list {
		tried.note(t, schedule, broken[i], differs(ends[0], got[i]))
	}
	t.Logf("%s through the local engine: %d of %d schedules over %d calls", s.kind, tried, calls*len(harness.Kinds), calls)
	if tried < wanted*3/4 {
		t.Errorf("only %d schedules were tried", tried)
	}
}

// together plays a request under each schedule, each in a world of its own, at
// the same time. calls is how many the last one made.
func (s scenario) together(t *testing.T, list []harness.Schedule) (ends []end, calls int, broken []string) {
	t.Helper()
	type game struct {
		world    *harness.World
		id, user string
	}
	games, requests := make([]game, len(list)), map[*harness.World]string{}
	for i, schedule := range list {
		w := harness.New(t, harness.Options{Policy: brief, Local: true})
		id, user := s.begin(t, w, someone(i), schedule)
		games[i], requests[w] = game{w, id, user}, id
	}
	harness.PlayLocal(t, requests)
	for i, g := range games {
		n, hit := g.world.Calls()
		g.world.Break(harness.Schedule{})
		calls, broken = n, append(broken, hit)
		ends = append(ends, s.end(t, g.world, someone(i), g.id, g.user))
	}
	return ends, calls, broken
}

// differs compares two ends. A letter of which nobody knows whether it went out
// is not sent again: one may be missing then, and an operator was told.
func differs(want, got end) string {
	for subject, n := range got.Mails {
		if n > 1 {
			return "the letter " + subject + " went out twice"
		}
	}
	if got.Unknown {
		want.Mails, got.Mails = nil, nil
	}
	want.Unknown, got.Unknown = false, false
	return cmp.Diff(want, got)
}
