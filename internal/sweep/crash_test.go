package sweep

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/request"
)

// fate ends a sweep at one of its calls: from there on nothing answers any more,
// as if the function had died. The call itself is carried out or not.
type fate struct {
	mu      sync.Mutex
	calls   int
	at      int // 0: nothing breaks
	applied bool
}

// meet counts a call. do: it is carried out; answer: the caller hears of it.
func (f *fate) meet() (do, answer bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls++; f.at == 0 || f.calls < f.at {
		return true, true
	}
	return f.calls == f.at && f.applied, false
}

func (f *fate) script(faulty.Call) faulty.Fault {
	switch do, answer := f.meet(); {
	case answer:
		return faulty.None
	case do:
		return faulty.Lost
	}
	return faulty.Refused
}

var errDied = errs.New(errs.Unavailable, "no answer")

// busy is a request about which everything is to be done at once.
func busy(t *testing.T, k *kit) *request.Request {
	t.Helper()
	r := k.open(t, func(r *request.Request, p *request.Personal) {
		byHand(r, p)
		r.State, r.Open = request.WaitingOperator, 1
	})
	k.machine.ended[r.ID+"-1"] = true
	wait := request.WaitTask("task")
	must(t, k.store.PutToken(t.Context(), r.ID, request.Token{Wait: wait, Token: "token", Epoch: 1, At: k.at}))
	task := request.Task{ID: "019c2300-0648-70e6-b4af-000000000001", System: "shop", Kind: request.TaskManual, Opened: k.at, Due: k.at.Add(5 * days)}
	k.write(t, r.ID, func(_ *request.Request, c *request.Change) {
		c.Tasks = []request.Task{task}
		c.Decision = &request.Decision{Wait: wait, Outcome: "retry", By: olga, At: k.at}
	})
	k.at = k.at.Add(32 * days)
	return r
}

// outcome is what a sweep has led to, and what is wrong with it.
func outcome(t *testing.T, k *kit, r *request.Request) (mails []string, wrong []string) {
	t.Helper()
	seen := map[string]bool{}
	for _, m := range k.mails.mails {
		text := m.To.Reveal() + m.Text
		if seen[text] {
			wrong = append(wrong, "sent twice: "+m.Subject)
		}
		seen[text] = true
		first, _, _ := strings.Cut(m.Text, "\n")
		mails = append(mails, m.To.Reveal()+": "+first)
	}
	slices.Sort(mails)
	acts := k.acts(t, r.ID)
	count := func(a request.Act) (n int) {
		for _, act := range acts {
			if act == a {
				n++
			}
		}
		return n
	}
	if count(request.Overdue) != 1 || count(request.Remind) != 1 || count(request.Resume) == 0 {
		wrong = append(wrong, fmt.Sprint("acts: ", acts))
	}
	if !slices.Equal(k.machine.started, []string{r.ID + "-2"}) {
		wrong = append(wrong, fmt.Sprint("runs: ", k.machine.started))
	}
	if !slices.Contains(k.machine.told, "token=retry") {
		wrong = append(wrong, "the decision was not delivered")
	}
	if d, err := k.store.Decision(t.Context(), r.ID, request.WaitTask("task")); err != nil || d.Delivered.IsZero() {
		wrong = append(wrong, fmt.Sprint("the decision: ", d, err))
	}
	return mails, wrong
}

// crashed is a kit whose calls meet their fate.
func crashed(t *testing.T) (*kit, *fate) {
	t.Helper()
	f := &fate{}
	k := newKitOn(t, func(next http.RoundTripper) http.RoundTripper {
		net := &faulty.Transport{}
		net.Break(f.script)
		return net.Wrap(next)
	})
	k.mails.meet, k.machine.meet = f.meet, f.meet
	return k, f
}

// TestSweep_crash ends a sweep at every one of its calls, before and after it is
// applied. The next sweeps bring the same end about: no letter twice, no act
// lost, one run. Only a letter during which the function died may be missing,
// and then the privacy office is told.
func TestSweep_crash(t *testing.T) {
	t.Parallel()
	k, f := crashed(t)
	r := busy(t, k)
	f.calls = 0
	k.sweep(t, 0)
	calls := f.calls
	want, wrong := outcome(t, k, r)
	if len(wrong) > 0 || len(want) != 3 {
		t.Fatalf("without a fault: %v, %v", wrong, want)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	schedules := 0
	for at := 1; at <= calls; at += step {
		for _, applied := range []bool{false, true} {
			schedules++
			t.Run(fmt.Sprintf("%d %v", at, applied), func(t *testing.T) {
				t.Parallel()
				k, f := crashed(t)
				r := busy(t, k)
				f.calls, f.at, f.applied = 0, at, applied
				_, _ = k.run(t.Context())
				f.mu.Lock()
				f.at = 0
				f.mu.Unlock()
				for range 4 {
					k.sweep(t, time.Hour)
				}
				got, wrong := outcome(t, k, r)
				for _, w := range wrong {
					t.Error(w)
				}
				for _, mail := range want {
					if !slices.Contains(got, mail) && !strings.Contains(strings.Join(unsure(t, k, r), " "), "unknown") {
						t.Errorf("nobody was told that this is missing: %s\nsent %v", mail, got)
					}
				}
			})
		}
	}
	t.Logf("%d calls, %d schedules", calls, schedules)
}

// unsure are the letters of which nobody knows whether they went out.
func unsure(t *testing.T, k *kit, r *request.Request) []string {
	t.Helper()
	log, err := k.store.Log(t.Context(), r.ID, "", 1000)
	must(t, err)
	var list []string
	for _, e := range log {
		if e.Act == request.Letter && e.Detail["outcome"] != "" {
			list = append(list, e.Detail["letter"]+" "+e.Detail["outcome"])
		}
	}
	return list
}

// TestAgreements_crash ends a sweep at every one of its calls around the mail
// about a lapsed agreement. It is sent at most once, and missing only where nobody
// knows whether it went out: then a person reads so in the log.
func TestAgreements_crash(t *testing.T) {
	t.Parallel()
	lapsed := func(t *testing.T) (*kit, *fate) {
		k, f := crashed(t)
		k.inventories = []connector.Inventory{
			{System: "own"},
			{System: "desk", Processor: &connector.Processor{Name: "Desk Inc.", DPA: "2020-01-01", Expires: "2026-03-05"}},
			{System: "crm", Processor: &connector.Processor{Name: "CRM Inc.", DPA: "2020-01-01", Review: "2026-03-05"}},
		}
		return k, f
	}
	want := []string{"Agreement ended: desk", "Agreement to review: crm"}
	k, f := lapsed(t)
	k.sweep(t, 0)
	calls := f.calls
	same(t, "without a fault", k.mails.to(dpo), want)
	for range 3 {
		k.sweep(t, 30*days)
	}
	same(t, "later", k.mails.to(dpo), want)
	k.inventories[1].Processor.DPA, k.inventories[1].Processor.Expires = "2026-07-01", "2026-07-02"
	k.sweep(t, 30*days)
	same(t, "when the next one has ended", k.mails.to(dpo), append(want, want[0]))
	for at := 1; at <= calls; at++ {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %v", at, applied), func(t *testing.T) {
				t.Parallel()
				k, f := lapsed(t)
				f.at, f.applied = at, applied
				_, _ = k.run(t.Context())
				f.mu.Lock()
				f.at = 0
				f.mu.Unlock()
				for range 4 {
					k.sweep(t, time.Hour)
				}
				unsure := slices.Contains(k.events(), "letter_undeliverable")
				got := slices.Sorted(slices.Values(k.mails.to(dpo)))
				if len(slices.Compact(slices.Clone(got))) != len(got) {
					t.Errorf("sent twice: %v", got)
				}
				if !unsure && !slices.Equal(got, want) {
					t.Errorf("sent %v, and nobody was told what is missing", got)
				}
				if len(got) < len(want)-1 {
					t.Errorf("one interrupted mail keeps others back: %v", got)
				}
			})
		}
	}
	t.Logf("%d calls", calls)
}
