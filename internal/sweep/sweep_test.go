package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// A request whose run lives and for which no date has come is left alone.
func TestSweep_calm(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, nil)
	same(t, "report", k.sweep(t, moment), Report{Visited: 1})
	same(t, "report", k.sweep(t, moment), Report{})
	same(t, "acts", k.acts(t, r.ID), []request.Act{})
	same(t, "mails", len(k.mails.mails), 0)
	same(t, "runs", k.machine.started, []string(nil))
	if next := k.get(t, r.ID).Next; next.Sub(k.at) < 5*time.Hour || next.Sub(k.at) > 7*time.Hour {
		t.Errorf("next visit %v after %v", next, k.at)
	}
}

func TestSweep_runs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*request.Request, *request.Personal)
		ended  []string // names without the id
		want   []string
	}{
		"never started":       {func(r *request.Request, _ *request.Personal) { r.Execution, r.Epoch = "", 0 }, nil, []string{"-1"}},
		"ended":               {nil, []string{"-1"}, []string{"-2"}},
		"ended before it was": {nil, []string{"-1", "-2", "-3"}, []string{"-4"}},
		"lives":               {nil, nil, nil},
		"waits for a proof":   {unproven, []string{"-1"}, []string{"-2"}},
		"unverified": {func(r *request.Request, p *request.Personal) {
			unproven(r, p)
			r.State = request.Unverified
		}, []string{"-1"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			r := k.open(t, tt.change)
			for _, n := range tt.ended {
				k.machine.ended[r.ID+n] = true
			}
			for range 3 { // the next ones find it again, as long as it has not taken its epoch
				k.sweep(t, time.Hour)
			}
			var want []string
			for _, n := range tt.want {
				want = append(want, r.ID+n)
			}
			same(t, "runs", k.machine.started, want)
		})
	}
}

// Two sweeps at once do nothing twice.
func TestSweep_twice(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, func(r *request.Request, p *request.Personal) { r.Execution = "" })
	k.at = k.at.Add(31*days + 14*time.Hour)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if _, err := k.run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	k.sweep(t, time.Hour) // what the slower ones have left, because another had written the request
	same(t, "runs", k.machine.started, []string{r.ID + "-2"})
	same(t, "mails", k.mails.to(dpo), []string{"Deadline: data-subject request " + r.ID})
	if acts := k.acts(t, r.ID); strings.Count(fmt.Sprint(acts), "overdue") != 1 {
		t.Errorf("acts %v", acts)
	}
}

func TestSweep_decisions(t *testing.T) {
	t.Parallel()
	approval := request.WaitApproval("digest")
	decide := func(r *request.Request, c *request.Change) {
		c.Decision = &request.Decision{Wait: approval, Outcome: "approved", By: olga, At: start}
	}
	for name, late := range map[string]bool{"in time": false, "late": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			k.machine.late = late
			r := k.open(t, nil)
			k.write(t, r.ID, decide)
			k.sweep(t, time.Hour)
			same(t, "told without a token", k.machine.told, []string(nil))
			must(t, k.store.PutToken(t.Context(), r.ID, request.Token{Wait: approval, Token: "token", Epoch: 1, At: k.at}))
			k.sweep(t, 7*time.Hour)
			k.sweep(t, 7*time.Hour)
			same(t, "told", k.machine.told, []string{"token=approved"})
			d, err := k.store.Decision(t.Context(), r.ID, approval)
			if err != nil || d.Delivered.IsZero() {
				t.Errorf("%+v, %v", d, err)
			}
		})
	}
}

// A decision that its run does not hear of, again and again, is an alarm.
func TestSweep_undelivered(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, nil)
	wait := request.WaitTask("task")
	must(t, k.store.PutToken(t.Context(), r.ID, request.Token{Wait: wait, Token: "token", Epoch: 1, At: k.at}))
	k.write(t, r.ID, func(_ *request.Request, c *request.Change) {
		c.Decision = &request.Decision{Wait: wait, Outcome: "retry", By: olga, At: k.at}
	})
	k.machine.deaf = errs.New(errs.Unavailable, "states SendTaskSuccess: no answer")
	k.sweep(t, 30*time.Minute)
	same(t, "events", k.events(), []string{"sweep_failed"})
	k.sweep(t, 40*time.Minute)
	same(t, "events", k.events(), []string{"sweep_failed", "decision_undelivered", "sweep_failed"})
	k.machine.deaf = nil
	k.sweep(t, 40*time.Minute)
	same(t, "told", k.machine.told, []string{"token=retry"})
}

func TestSweep_deadline(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, nil)
	k.sweep(t, 23*days)
	same(t, "acts before", k.acts(t, r.ID), []request.Act{})
	k.sweep(t, 2*days) // 30 March
	same(t, "acts in the last week", k.acts(t, r.ID), []request.Act{request.Warn})
	same(t, "events", k.events(), []string{})
	k.sweep(t, 7*days) // 6 April
	k.sweep(t, 7*days)
	same(t, "acts after", k.acts(t, r.ID), []request.Act{request.Warn, request.Overdue})
	same(t, "events", k.events(), []string{"request_overdue"})
	same(t, "mails", len(k.mails.to(dpo)), 2)
	same(t, "to the person", k.mails.to(ines), []string{})
	if c := k.get(t, r.ID).Clock; !c.Warned || !c.Overdue {
		t.Errorf("%+v", c)
	}
	for _, m := range k.mails.mails {
		if strings.Contains(m.Subject+m.Text+m.HTML, "Ines") || strings.Contains(m.Text, ines) {
			t.Errorf("a reminder names the person: %s", m.Text)
		}
	}
	if log := k.lines.String(); strings.Contains(log, "nes@") || strings.Contains(log, "Ines") || !strings.Contains(log, r.ID) {
		t.Errorf("log: %s", log)
	}
}

// Nobody is warned of a deadline that does not run: answered, paused, or of a
// form that somebody has filled in and nobody confirmed.
func TestSweep_noDeadline(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	filled := k.open(t, unproven)
	answered := k.open(t, func(r *request.Request, _ *request.Personal) { r.State, r.Answered = request.Reverifying, start })
	paused := k.open(t, func(r *request.Request, _ *request.Personal) { r.Clock.Paused = start })
	k.sweep(t, 13*days)
	k.write(t, filled.ID, func(r *request.Request, _ *request.Change) { r.Since = k.at }) // a fresh link
	k.sweep(t, 12*days)
	same(t, "acts", k.acts(t, filled.ID), []request.Act{})
	k.sweep(t, 15*days)
	same(t, "acts", k.acts(t, filled.ID), []request.Act{request.Lapse})
	same(t, "mails", k.mails.to(dpo), []string{})
	for _, id := range []string{answered.ID, paused.ID} {
		same(t, "acts", k.acts(t, id), []request.Act{})
	}
}

// After an extension the warning comes again before the new date.
func TestSweep_extension(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, nil)
	k.sweep(t, 25*days)
	k.write(t, r.ID, func(r *request.Request, _ *request.Change) { must(t, r.Clock.Extend(k.at, "three systems")) })
	k.sweep(t, time.Hour) // the notice was not sent by whoever extended it
	same(t, "to the person", k.mails.to(ines), []string{"We need more time for your request"})
	if text := k.mails.mails[len(k.mails.mails)-1].Text; !strings.Contains(text, "three systems") || !strings.Contains(text, "5 June 2026") {
		t.Errorf("the notice: %s", text)
	}
	k.sweep(t, 30*days)
	same(t, "acts", k.acts(t, r.ID), []request.Act{request.Warn})
	k.sweep(t, 34*days)
	same(t, "acts", k.acts(t, r.ID), []request.Act{request.Warn, request.Warn})
	same(t, "to the person", len(k.mails.to(ines)), 1)
}

// A hold stops the deletion, not the duty to answer in time.
func TestSweep_held(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	held := func(r *request.Request, _ *request.Personal) {
		r.State, r.Holds = request.OnHold, []request.Hold{hold}
	}
	r := k.open(t, held)
	mute := k.open(t, func(r *request.Request, p *request.Personal) {
		held(r, p)
		p.Address = ""
	})
	k.sweep(t, 29*days+18*time.Hour) // 4 April
	same(t, "acts", k.acts(t, r.ID), []request.Act{request.Warn, request.Inform}[1:])
	same(t, "to the person", k.mails.to(ines), []string{"About the deletion of your data"})
	if text := k.mails.mails[0].Text + k.mails.mails[len(k.mails.mails)-1].Text; !strings.Contains(text, hold.Ground) {
		t.Errorf("no ground in %s", text)
	}
	k.sweep(t, 10*days)
	k.sweep(t, 10*days)
	same(t, "acts", k.acts(t, r.ID), []request.Act{request.Inform})
	same(t, "acts without an address", k.acts(t, mute.ID), []request.Act{request.Warn, request.Overdue})

	// Once the hold is gone, the old deadline counts again.
	k.write(t, r.ID, func(r *request.Request, _ *request.Change) { r.State, r.Holds = request.Running, nil })
	k.sweep(t, time.Hour)
	same(t, "acts", k.acts(t, r.ID), []request.Act{request.Inform, request.Overdue})
}

func TestSweep_identity(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	claimed := k.open(t, unproven)
	written := k.open(t, func(r *request.Request, p *request.Personal) {
		unproven(r, p)
		r.Opened = olga
	})
	k.sweep(t, 13*days)
	same(t, "acts", k.acts(t, claimed.ID), []request.Act{})
	k.sweep(t, 2*days)
	for _, id := range []string{claimed.ID, written.ID} {
		same(t, "acts", k.acts(t, id), []request.Act{request.Lapse})
		if r := k.get(t, id); r.State != request.Unverified || !r.Since.Equal(k.at) {
			t.Errorf("%s since %v", r.State, r.Since)
		}
	}
	same(t, "to the person", k.mails.to(ines), []string{"We could not confirm who sent your request"}) // only to the address that an operator gave
	k.machine.ended[claimed.ID+"-1"], k.machine.ended[written.ID+"-1"] = true, true
	k.sweep(t, 10*days)
	same(t, "runs", k.machine.started, []string(nil))
	k.sweep(t, 10*days) // after the deadline
	for _, id := range []string{claimed.ID, written.ID} {
		r := k.get(t, id)
		if r.State != request.Refused || r.Refusal == nil || r.Refusal.Ground != "Art. 12(6) GDPR" || r.Closed.IsZero() {
			t.Errorf("%s, %+v", r.State, r.Refusal)
		}
	}
	k.sweep(t, time.Hour)
	same(t, "to the person", k.mails.to(ines), []string{"We could not confirm who sent your request", "Our answer to your request"})
	same(t, "to the office", len(k.mails.to(dpo)), 1) // of the one that it knows of
	k.sweep(t, time.Hour)
	same(t, "runs that forget", len(k.machine.started), 2)
}

// When the mail service takes nothing for a week the office hears of the links
// that were not sent, once, though a public form has asked for them.
func TestSweep_outage(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for range 3 {
		k.open(t, func(r *request.Request, p *request.Personal) {
			unproven(r, p)
			r.Identity.Links = 2 // the first is sent
		})
	}
	k.mails.fail = errors.Join(request.ErrNotTaken, errs.New(errs.Unavailable, "down"))
	for range 34 {
		k.sweep(t, 6*time.Hour)
	}
	k.mails.fail = nil
	for range 3 {
		k.sweep(t, 6*time.Hour)
	}
	same(t, "to the person", k.mails.to(ines), []string{})
	same(t, "to the office", len(k.mails.to(dpo)), 1)
}

// A link that was promised and not sent is sent by sweep, and works.
func TestSweep_link(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, func(r *request.Request, p *request.Personal) {
		unproven(r, p)
		r.Identity.Links = 2 // the first is sent
	})
	k.mails.fail = errors.Join(request.ErrNotTaken, errs.New(errs.Unavailable, "down"))
	if report := k.sweep(t, time.Hour); report.Failed != 1 {
		t.Errorf("%+v", report)
	}
	k.mails.fail = nil
	k.sweep(t, time.Hour)
	k.sweep(t, time.Hour)
	same(t, "to the person", k.mails.to(ines), []string{"Please confirm your request"})
	_, token, _ := strings.Cut(k.mails.mails[0].Text, "https://avow.example/public/confirm/")
	token, _, _ = strings.Cut(token, "\n")
	l, err := k.store.Link(t.Context(), request.LinkHash(token))
	if err != nil || l.Request != r.ID || l.Purpose != request.IdentityLink {
		t.Errorf("%+v, %v", l, err)
	}
}

func TestSweep_reminders(t *testing.T) {
	t.Parallel()
	for state, matter := range map[request.State]string{request.WaitingApproval: "plan", request.WaitingRelease: "package"} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			r := k.open(t, func(r *request.Request, _ *request.Personal) { r.State = state })
			for range 10 { // 8 days: after 3, 5 and 7
				k.sweep(t, 20*time.Hour)
			}
			same(t, "acts", k.acts(t, r.ID), []request.Act{request.Remind, request.Remind, request.Remind})
			same(t, "to the office", len(k.mails.to(dpo)), 3)
			if !strings.Contains(k.mails.mails[0].Text, matter) {
				t.Errorf("%s", k.mails.mails[0].Text)
			}
		})
	}
}

func TestSweep_tasks(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, func(r *request.Request, _ *request.Personal) { r.State, r.Open = request.WaitingOperator, 1 })
	open := request.Task{ID: "019c2300-0648-70e6-b4af-000000000001", System: "shop", Kind: request.TaskManual, Opened: start, Due: start.Add(5 * days)}
	done := request.Task{ID: "019c2300-0648-70e6-b4af-000000000002", System: "desk", Opened: start, Due: start.Add(days), Decided: start.Add(days)}
	k.write(t, r.ID, func(_ *request.Request, c *request.Change) { c.Tasks = []request.Task{open, done} })
	for range 17 {
		k.sweep(t, 12*time.Hour)
	}
	same(t, "acts", k.acts(t, r.ID), []request.Act{request.Remind, request.Remind})
	if n := len(k.mails.to(dpo)); n != 2 || !strings.Contains(k.mails.mails[0].Text, "shop") {
		t.Errorf("%d mails", n)
	}
}

func TestSweep_acknowledgement(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.regime = request.CCPA
	linked := k.open(t, nil)
	late := k.open(t, byHand) // whoever opened it died before the letter
	mute := k.open(t, func(r *request.Request, p *request.Personal) {
		byHand(r, p)
		p.Address = ""
	})
	k.sweep(t, time.Hour)
	same(t, "to the person", k.mails.to(ines), []string{"Your request has arrived"})
	k.sweep(t, 13*days)
	k.sweep(t, days)
	same(t, "events", k.events(), []string{"letter_undeliverable", "request_unacknowledged"})
	unacknowledged := 0
	for _, m := range k.mails.mails {
		if m.To == dpo && strings.Contains(m.Text, "is to be told that this request has arrived") {
			unacknowledged++
			if !strings.Contains(m.Text, mute.ID) {
				t.Errorf("about the wrong one of %s, %s, %s: %s", linked.ID, late.ID, mute.ID, m.Text)
			}
		}
	}
	same(t, "reminders", unacknowledged, 1)
}

// The last letter goes before the request forgets where to.
func TestSweep_farewell(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, nil)
	wait := request.WaitApproval("digest")
	must(t, k.store.PutToken(t.Context(), r.ID, request.Token{Wait: wait, Token: "token", Epoch: 1, At: k.at}))
	task := request.Task{ID: "019c2300-0648-70e6-b4af-000000000001", System: "shop", Kind: request.TaskManual, Opened: start, Due: start.Add(5 * days)}
	must(t, k.store.PutToken(t.Context(), r.ID, request.Token{Wait: request.WaitTask(task.ID), Token: "of-a-task", Epoch: 1, At: k.at}))
	k.write(t, r.ID, func(r *request.Request, c *request.Change) { // the door died after this
		c.Tasks = []request.Task{task}
		e, err := r.Do(request.Refuse, olga, "the fourth this week", k.at)
		must(t, err)
		r.Refusal = &request.Refusal{Ground: "Art. 12(5) GDPR", Reason: e.Why}
		c.Entries, c.Decision = []request.Entry{e}, &request.Decision{Wait: wait, Outcome: "refused", By: olga, At: k.at}
	})
	k.mails.fail = errors.Join(request.ErrNotTaken, errs.New(errs.Unavailable, "down"))
	k.sweep(t, time.Hour)
	same(t, "told", k.machine.told, []string(nil))
	k.mails.fail = nil
	k.sweep(t, time.Hour)
	same(t, "to the person", k.mails.to(ines), []string{"Our answer to your request"})
	same(t, "told", k.machine.told, []string{"token=refused", "of-a-task=refused"})
	same(t, "runs", k.machine.started, []string(nil)) // the one that lives forgets
	k.machine.ended[r.ID+"-1"] = true
	k.sweep(t, time.Hour)
	same(t, "runs", k.machine.started, []string{r.ID + "-2"})
	must(t, k.store.Forget(t.Context(), r.ID))
	k.sweep(t, time.Hour)
	same(t, "report", k.sweep(t, 100*days), Report{})

	k.sweep(t, 1095*days)
	same(t, "events", k.events()[len(k.events())-1], "request_retention_over")
	same(t, "report", k.sweep(t, 1095*days), Report{})
	if r := k.get(t, r.ID); !r.Next.IsZero() {
		t.Errorf("next visit %v", r.Next)
	}
}

func TestSweep_package(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, func(r *request.Request, p *request.Personal) {
		r.Type, r.State, r.Answered = request.Access, request.Closed, start
		r.Package = &request.Package{Digest: "digest", Released: start}
	})
	must(t, k.store.Forget(t.Context(), r.ID))
	k.sweep(t, 29*days)
	same(t, "acts", k.acts(t, r.ID), []request.Act{})
	k.sweep(t, 2*days)
	k.sweep(t, 2*days)
	same(t, "acts", k.acts(t, r.ID), []request.Act{request.Expire})
	if p := k.get(t, r.ID).Package; p.Expired.IsZero() || p.Digest != "digest" {
		t.Errorf("%+v", p)
	}
}

// What breaks in one request does not stop the others, however many break.
func TestSweep_broken(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for range page + 5 {
		r := k.open(t, nil)
		k.machine.fails[r.ID] = errs.New(errs.Internal, "broken")
	}
	panicking := k.open(t, nil)
	k.machine.panics = panicking.ID
	k.at = k.at.Add(moment) // the good one is due last
	good := k.open(t, func(r *request.Request, _ *request.Personal) { r.Execution = "" })
	report := k.sweep(t, moment)
	same(t, "report", report, Report{Visited: page + 7, Failed: page + 6})
	same(t, "runs", k.machine.started, []string{good.ID + "-2"})
	if log := k.lines.String(); strings.Contains(log, ines) {
		t.Error("the text of a panic stands in the log")
	}
}

// Near the end of its time the function stops, and the next one goes on.
func TestSweep_time(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.open(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), margin/2)
	defer cancel()
	k.at = k.at.Add(moment)
	report, err := k.run(ctx)
	if err != nil || report.Visited != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	same(t, "events", k.events(), []string{"sweep_unfinished"})
	same(t, "report", k.sweep(t, 0), Report{Visited: 1})
}

// Over a year a request that nobody touches is visited four times a day, and
// never spins.
func TestSweep_year(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	r := k.open(t, func(r *request.Request, _ *request.Personal) { r.State = request.WaitingApproval })
	visits := 0
	for end := k.at.Add(60 * days); k.at.Before(end); visits++ {
		next := k.get(t, r.ID).Next
		if visits > 0 && !next.After(k.at) {
			t.Fatalf("the next visit, %v, is not after %v", next, k.at)
		}
		if next.After(k.at) {
			k.at = next
		}
		k.sweep(t, 0)
	}
	if visits > 5*60 {
		t.Errorf("%d visits in 60 days", visits)
	}
}

func TestHandle_returned(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		detail string
		want   int
		stops  bool
	}{
		"bounce":     {`{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"Ines@Example.com"}]}}`, 1, true},
		"full":       {`{"eventType":"Bounce","bounce":{"bounceType":"Transient","bouncedRecipients":[{"emailAddress":"ines@example.com"}]}}`, 0, false},
		"complaint":  {`{"eventType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"ines@example.com"}]}}`, 1, true},
		"delivered":  {`{"eventType":"Delivery","delivery":{"recipients":["ines@example.com"]}}`, 0, false},
		"no address": {`{"bounce":{"bounceType":"Permanent","bouncedRecipients":[{}]}}`, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKit(t)
			report, err := handle(t.Context(), k.sweeper, event{Source: "aws.ses", Detail: json.RawMessage(tt.detail)})
			must(t, err)
			same(t, "report", report, Report{Suppressed: tt.want})
			err = k.post.Send(t.Context(), k.open(t, nil), letter.PackageReady, "1", letter.Data{Link: "https://avow.example/x"})
			if errors.Is(err, request.ErrUndeliverable) != tt.stops {
				t.Errorf("the next letter: %v", err)
			}
			if strings.Contains(strings.ToLower(k.lines.String()), ines) {
				t.Errorf("log: %s", k.lines)
			}
		})
	}
}

// The office hears of a letter that came back, and the request's log says so.
func TestHandle_cameBack(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	known, claimed := k.open(t, nil), k.open(t, unproven)
	for _, id := range []string{known.ID, known.ID, claimed.ID, "", "no-such-request"} {
		detail := `{"mail":{"messageId":"0100-1","tags":{"request":["` + id + `"]}},"bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"ines@example.com"}]}}`
		report, err := handle(t.Context(), k.sweeper, event{Source: "aws.ses", Detail: json.RawMessage(detail)})
		must(t, err)
		same(t, "report", report, Report{Suppressed: 1})
	}
	same(t, "to the office", k.mails.to(dpo), []string{"Letter not delivered: data-subject request " + known.ID})
	same(t, "events", len(k.events()), 5)
	log, err := k.store.Log(t.Context(), known.ID, "", 100)
	must(t, err)
	if !slices.ContainsFunc(log, func(e request.Entry) bool { return e.Act == request.Letter && e.Detail["outcome"] == "bounce" }) {
		t.Errorf("%+v", log)
	}
}

func TestHandle_others(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	for _, e := range []event{{Source: "aws.s3"}, {}, {Source: "aws.ses", Detail: json.RawMessage(`"ines@example.com"`)}, {Source: "aws.ses"}} {
		if _, err := handle(t.Context(), k.sweeper, e); !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), ines) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if _, err := handle(t.Context(), k.sweeper, event{Source: "aws.events"}); err != nil {
		t.Error(err)
	}
}

func FuzzReturned(f *testing.F) {
	f.Add([]byte(`{"bounce":{"bounceType":"Permanent","bouncedRecipients":[]}}`))
	f.Add([]byte(`{"complaint":null}`))
	f.Fuzz(func(t *testing.T, detail []byte) {
		var news returned
		_ = json.Unmarshal(detail, &news)
	})
}
