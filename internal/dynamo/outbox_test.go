package dynamo_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/outbox"
)

// post is an outbox on a clock of its own, with a job that says what it is told to.
type post struct {
	*outbox.Worker
	store *dynamo.Outbox
	net   *faulty.Transport
	now   time.Time
	did   []outbox.Entry
	say   func(outbox.Entry) (outbox.Outcome, error)
	slow  bool // the job goes on until its time is over
}

func newPost(t *testing.T) *post {
	t.Helper()
	env, net := awstest.New(t), &faulty.Transport{}
	cfg := env.With(net.Wrap).Config
	cfg.Retryer = faulty.Impatient
	p := &post{store: dynamo.NewOutbox(cfg, env.Getenv("OUTBOX_TABLE")), net: net, now: epoch}
	p.say = func(outbox.Entry) (outbox.Outcome, error) { return outbox.Outcome{State: outbox.Done}, nil }
	p.Worker = &outbox.Worker{
		Store: p.store, Now: func() time.Time { return p.now }, Log: slog.New(slog.DiscardHandler), Wait: connector.RetryAfter,
		Jobs: map[outbox.Kind]outbox.Job{outbox.Mark: p, outbox.Confirm: p, outbox.Message: p},
	}
	return p
}

// Do implements outbox.Job.
func (p *post) Do(ctx context.Context, e outbox.Entry) (outbox.Outcome, error) {
	p.did = append(p.did, e)
	if p.slow {
		<-ctx.Done()
		return outbox.Outcome{}, ctx.Err()
	}
	return p.say(e)
}

func (p *post) note(t *testing.T, r outbox.Ref) {
	t.Helper()
	e := outbox.Entry{Ref: r, Site: "shop", Since: p.now, Next: p.now}
	do := p.store.Add
	if r.Kind == outbox.Mark {
		do = p.store.Renew
	}
	if err := do(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

func (p *post) tell(t *testing.T, r outbox.Ref) {
	t.Helper()
	if err := p.Tell(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

// due are the entries whose time has come.
func (p *post) due(t *testing.T) int {
	t.Helper()
	list, err := p.store.Due(t.Context(), p.now, 10)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

var (
	mark    = outbox.Ref{Subject: "aaa", Kind: outbox.Mark, ID: "crm"}
	message = outbox.Ref{Subject: "aaa", Kind: outbox.Message, ID: "m1"}
	confirm = outbox.Ref{Subject: "aaa", Kind: outbox.Confirm, ID: "019c0000-0000-7000-8000-000000000000"}
)

// An entry is told once, however often it is noted and asked for, and whichever
// reply is lost.
func TestOutbox_once(t *testing.T) {
	t.Parallel()
	for _, fault := range append([]faulty.Fault{faulty.None}, faulty.After...) {
		for _, operation := range []string{"dynamodb.PutItem", "dynamodb.UpdateItem"} {
			for nth := 1; nth <= 2; nth++ {
				p := newPost(t)
				p.net.Break(faulty.Nth(operation, nth, fault))
				p.note(t, confirm)
				p.note(t, confirm)
				p.tell(t, confirm)
				p.tell(t, confirm)
				p.note(t, confirm)
				if len(p.did) != 1 || p.did[0].Again || !p.did[0].Next.Equal(epoch) || p.due(t) != 0 {
					t.Errorf("%v of %s %d: told %+v, %d due", fault, operation, nth, p.did, p.due(t))
				}
			}
		}
	}
}

// What an invocation has begun and not ended is given out again when its lease is
// over, as a repetition.
func TestOutbox_cutOff(t *testing.T) {
	t.Parallel()
	for _, ref := range []outbox.Ref{mark, confirm, message} {
		p := newPost(t)
		p.note(t, ref)
		// The function dies after it has told: nothing is settled.
		p.say = func(outbox.Entry) (outbox.Outcome, error) {
			p.net.Break(func(faulty.Call) faulty.Fault { return faulty.Refused })
			return outbox.Outcome{State: outbox.Done}, nil
		}
		if err := p.Tell(t.Context(), ref); err == nil {
			t.Fatalf("%s: no error", ref.Kind)
		}
		p.net.Reset()
		p.say = func(outbox.Entry) (outbox.Outcome, error) { return outbox.Outcome{State: outbox.Done}, nil }
		p.tell(t, ref)
		if len(p.did) != 1 {
			t.Errorf("%s: told while the lease lasts", ref.Kind)
		}
		p.now = p.now.Add(outbox.Lease)
		p.tell(t, ref)
		if len(p.did) != 2 || !p.did[1].Again || p.due(t) != 0 {
			t.Errorf("%s: done %d times, want 2, the second as a repetition; %d due", ref.Kind, len(p.did), p.due(t))
		}
	}
}

// What changes while it is being told is told again, at once.
func TestOutbox_changedMeanwhile(t *testing.T) {
	t.Parallel()
	for _, fault := range append([]faulty.Fault{faulty.None}, faulty.After...) {
		p := newPost(t)
		p.note(t, mark)
		p.say = func(outbox.Entry) (outbox.Outcome, error) {
			if len(p.did) == 1 {
				p.note(t, mark)
				p.tell(t, mark) // another invocation, which must leave it alone
				p.net.Break(faulty.Nth("dynamodb.UpdateItem", 2, fault))
			}
			return outbox.Outcome{State: outbox.Done}, nil
		}
		p.tell(t, mark)
		if len(p.did) != 2 || p.did[1].Version != 2 || p.due(t) != 0 {
			t.Errorf("%v: told %+v, %d due", fault, p.did, p.due(t))
		}
		p.note(t, mark)
		if p.due(t) != 1 {
			t.Errorf("%v: a later change is not due", fault)
		}
	}
}

// What an attempt has written down is there for the next one, however it ends: cut
// off, or overtaken by a change. Who has lost the lease writes nothing.
func TestOutbox_remember(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.note(t, mark)
	memo := func() string {
		t.Helper()
		text, err := p.store.Memo(t.Context(), []string{mark.Subject}, mark.Sort())
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	take := func() *outbox.Entry {
		t.Helper()
		e, err := p.store.Take(t.Context(), mark, p.now, p.now.Add(outbox.Lease))
		if err != nil || e == nil {
			t.Fatalf("%+v, %v", e, err)
		}
		return e
	}
	first := take()
	for _, fault := range append([]faulty.Fault{faulty.None}, faulty.After...) {
		p.net.Break(faulty.Nth("dynamodb.UpdateItem", 1, fault))
		if err := p.store.Remember(t.Context(), first, "intent", p.now); err != nil || memo() != "intent" {
			t.Errorf("%v: %q, %v", fault, memo(), err)
		}
	}
	p.now = p.now.Add(outbox.Lease)
	second := take()
	if err := p.store.Remember(t.Context(), first, "stale", p.now); !errs.Is(err, errs.Conflict) || memo() != "intent" || second.Memo != "intent" {
		t.Errorf("%q, %v", memo(), err)
	}
	p.note(t, mark)
	if fresh, err := p.store.Settle(t.Context(), second, outbox.Outcome{State: outbox.Done, Memo: "told"}, p.now); !fresh || err != nil || memo() != "told" {
		t.Errorf("overtaken: %v, %q, %v", fresh, memo(), err)
	}
}

// What fails is tried again ever more slowly, for a week, a refusal too. A change
// after that is due again.
func TestOutbox_failing(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.note(t, mark)
	p.say = func(outbox.Entry) (outbox.Outcome, error) {
		return outbox.Outcome{}, errs.New(errs.Unavailable, "away")
	}
	for p.due(t) > 0 || p.now.Before(epoch.Add(8*24*time.Hour)) {
		p.tell(t, mark)
		p.now = p.now.Add(10 * time.Minute)
		if len(p.did) > 100 {
			t.Fatal("it is tried without end")
		}
	}
	if n := len(p.did); n < 30 || n > 50 {
		t.Errorf("tried %d times in a week", n)
	}
	p.say = func(outbox.Entry) (outbox.Outcome, error) { return outbox.Outcome{}, errs.New(errs.Forbidden, "no") }
	for _, r := range []outbox.Ref{mark, confirm, message} { // credentials are replaced, configurations mended
		p.note(t, r)
		before := len(p.did)
		p.tell(t, r)
		p.now = p.now.Add(24 * time.Hour)
		p.tell(t, r)
		if len(p.did) != before+2 {
			t.Errorf("a refused %s was tried %d times", r.Kind, len(p.did)-before)
		}
	}
	p.say = func(outbox.Entry) (outbox.Outcome, error) { return outbox.Outcome{State: outbox.Done}, nil }
	p.now = p.now.Add(24 * time.Hour)
	for _, r := range []outbox.Ref{mark, confirm, message} {
		p.tell(t, r)
	}
	p.note(t, mark)
	p.say = func(outbox.Entry) (outbox.Outcome, error) {
		return outbox.Outcome{}, connector.Later(5*time.Hour, errs.New(errs.Unavailable, "not now"))
	}
	p.tell(t, mark)
	p.now = p.now.Add(4 * time.Hour)
	if p.due(t) != 0 {
		t.Error("a system that asked for five hours is asked after four")
	}
}

// An entry that makes its job panic is tried again like any other that fails, and
// keeps no other one from being told.
func TestOutbox_panics(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	var log bytes.Buffer
	p.Log = slog.New(slog.NewTextHandler(&log, nil))
	p.note(t, mark)
	p.note(t, message)
	p.say = func(e outbox.Entry) (outbox.Outcome, error) {
		if e.Kind == outbox.Mark {
			panic("ines@shop.example")
		}
		return outbox.Outcome{State: outbox.Done}, nil
	}
	p.tell(t, mark)
	p.tell(t, message)
	if p.due(t) != 0 || !strings.Contains(log.String(), "outbox_failed") || strings.Contains(log.String(), "ines@") {
		t.Errorf("%d due, %s", p.due(t), &log)
	}
	p.now = p.now.Add(outbox.First)
	if p.due(t) != 1 {
		t.Errorf("%d due after a minute", p.due(t))
	}
}

// A job that takes longer than its function may run has failed like any other; one
// that ends the function each time is given up in the end.
func TestOutbox_outlives(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.note(t, mark)
	p.slow = true
	ctx, cancel := context.WithTimeout(t.Context(), outbox.Ending+50*time.Millisecond)
	defer cancel()
	if err := p.Tell(ctx, mark); err != nil {
		t.Fatal(err)
	}
	p.now = p.now.Add(outbox.First)
	if p.due(t) != 1 {
		t.Errorf("%d due after a minute, want the one that took too long", p.due(t))
	}

	p = newPost(t)
	p.note(t, mark)
	p.say = func(outbox.Entry) (outbox.Outcome, error) {
		p.net.Break(func(faulty.Call) faulty.Fault { return faulty.Refused })
		return outbox.Outcome{}, nil
	}
	for range 3 * outbox.Deaths {
		p.net.Reset()
		_ = p.Tell(t.Context(), mark) // the function dies
		p.now = p.now.Add(outbox.Patience / outbox.Deaths)
	}
	if n := len(p.did); n <= outbox.Deaths || n > 2*outbox.Deaths || p.due(t) != 0 {
		t.Errorf("done %d times, %d still due", n, p.due(t))
	}
}

// An administrator sees how long it took, what waits, and what failed: of the own
// site only, by system.
func TestOutbox_figures(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	took := []time.Duration{time.Second, 3 * time.Second, 2 * time.Second}
	for i, d := range took {
		r := outbox.Ref{Subject: "told" + string(rune('a'+i)), Kind: outbox.Mark, ID: "crm"}
		p.note(t, r)
		p.now = p.now.Add(d)
		p.tell(t, r)
	}
	foreign := outbox.Ref{Subject: "foreign", Kind: outbox.Mark, ID: "crm"}
	if err := p.store.Renew(t.Context(), outbox.Entry{Ref: foreign, Site: "other", Since: p.now, Next: p.now}); err != nil {
		t.Fatal(err)
	}
	p.tell(t, foreign)
	p.say = func(outbox.Entry) (outbox.Outcome, error) {
		return outbox.Outcome{State: outbox.Failed, Reason: "invalid"}, nil
	}
	lost := outbox.Ref{Subject: "lost", Kind: outbox.Mark, ID: "crm"}
	p.note(t, lost)
	p.tell(t, lost)
	failed := p.now
	waits := outbox.Ref{Subject: "waits", Kind: outbox.Mark, ID: "desk"}
	p.note(t, waits)
	oldest := p.now
	p.now = p.now.Add(time.Minute)
	p.note(t, outbox.Ref{Subject: "later", Kind: outbox.Mark, ID: "desk"})

	names := []outbox.Ref{{Kind: outbox.Mark, ID: "crm"}, {Kind: outbox.Mark, ID: "desk"}, {Kind: outbox.Confirm}}
	got, err := p.store.Figures(t.Context(), "shop", names, epoch.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	want := []outbox.Figure{
		{
			Kind: outbox.Mark, System: "crm", Told: 3, P50: 2 * time.Second, P99: 3 * time.Second, Failed: 1,
			Failures: []outbox.Failure{{At: failed, Subject: "lost", Reason: "invalid"}},
		},
		{Kind: outbox.Mark, System: "desk", Waiting: 2, Oldest: oldest},
		{Kind: outbox.Confirm},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err = p.store.Figures(t.Context(), "shop", names, p.now); err != nil || got[0].Told != 0 {
		t.Errorf("outside of the window: %+v, %v", got, err)
	}
}

// What is held is not given up: when it may be told, a system that fails has as
// long as ever.
func TestOutbox_held(t *testing.T) {
	t.Parallel()
	p := newPost(t)
	p.say = func(outbox.Entry) (outbox.Outcome, error) {
		return outbox.Outcome{State: outbox.Due, After: 24 * time.Hour, Held: true, Memo: "so far"}, nil
	}
	p.note(t, mark)
	for range 2 * int(outbox.Patience/(24*time.Hour)) {
		p.tell(t, mark)
		p.now = p.now.Add(24 * time.Hour)
	}
	p.say = func(outbox.Entry) (outbox.Outcome, error) {
		return outbox.Outcome{}, errs.New(errs.Unavailable, "crm: no answer")
	}
	p.tell(t, mark)
	p.say = func(outbox.Entry) (outbox.Outcome, error) { return outbox.Outcome{State: outbox.Done}, nil }
	p.now = p.now.Add(outbox.Longest)
	p.tell(t, mark)
	last := p.did[len(p.did)-1]
	if n := 2*int(outbox.Patience/(24*time.Hour)) + 2; len(p.did) != n || !last.Since.Equal(epoch) || last.Held.IsZero() || last.Memo != "so far" {
		t.Errorf("done %d times of %d, last %+v", len(p.did), n, last)
	}
}
