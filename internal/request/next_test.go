package request_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/request"
)

// A visit always lies ahead, so that sweep never spins on a request, and no
// milestone lies between now and the visit.
func TestNextVisit_property(t *testing.T) {
	t.Parallel()
	start := instant(t, "2026-03-05T10:00:00Z")
	rapid.Check(t, func(t *rapid.T) {
		at := func(name string) time.Time {
			return start.Add(time.Duration(rapid.Int64Range(0, int64(200*24*time.Hour)).Draw(t, name)))
		}
		p := request.Defaults()
		p.Day = rapid.SampledFrom([]time.Duration{24 * time.Hour, time.Second, time.Millisecond}).Draw(t, "day")
		r := &request.Request{State: rapid.SampledFrom(request.States).Draw(t, "state"), Received: start, Since: at("since")}
		var err error
		if r.Clock, err = request.NewClock(request.Regimes()[request.CCPA], in("Europe/Paris"), p, start); err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "package") {
			r.Package = &request.Package{Released: at("released")}
		}
		now := at("now")
		next, rest, milestone := request.NextVisit(r, p, now), request.NextCalm(r, p, now), request.Milestone(r, p, now)
		if !next.After(now) || !rest.IsZero() && (!rest.After(now) || rest.Before(next)) {
			t.Fatalf("now %v, next %v, calm %v", now, next, rest)
		}
		if !milestone.IsZero() && (next.After(milestone) || rest.After(milestone)) {
			t.Fatalf("milestone %v, next %v, calm %v", milestone, next, rest)
		}
		if !r.State.Ended() && rest.IsZero() {
			t.Fatal("an open request is not looked at again")
		}
	})
}

func TestMilestone(t *testing.T) {
	t.Parallel()
	p := request.Defaults()
	received := instant(t, "2026-03-05T10:00:00Z") // due 5 April
	day := func(n int) time.Time { return received.AddDate(0, 0, n) }
	for name, tt := range map[string]struct {
		change func(*request.Request)
		now    time.Time
		want   string
	}{
		"identity lapses":      {func(r *request.Request) { r.State, r.Identity.Links = request.WaitingIdentity, 1 }, day(1), "2026-03-19"},
		"identity is checked":  {func(r *request.Request) { r.State = request.WaitingIdentity }, day(1), "2026-03-08"},
		"approval is reminded": {func(r *request.Request) { r.State, r.Since = request.WaitingApproval, day(1) }, day(2), "2026-03-09"},
		"and again": {func(r *request.Request) {
			r.State, r.Since, r.Reminded = request.WaitingApproval, day(1), day(4)
		}, day(4), "2026-03-11"},
		"deadline is near": {func(r *request.Request) { r.State = request.Running }, day(1), "2026-03-29"},
		"deadline":         {func(r *request.Request) { r.State = request.Running }, day(26), "2026-04-05"},
		"held":             {func(r *request.Request) { r.State, r.Type, r.Holds = request.OnHold, request.Erasure, held }, day(26), "2026-04-03"},
		"one system held":  {func(r *request.Request) { r.State, r.Type, r.Holds = request.Running, request.Erasure, held }, day(26), "2026-04-03"},
		"held, informed": {func(r *request.Request) {
			r.State, r.Type, r.Holds, r.Clock.Informed = request.OnHold, request.Erasure, held, day(28)
		}, day(28), "2026-04-05"},
		"answered":           {func(r *request.Request) { r.State, r.Answered = request.Reverifying, day(10) }, day(11), ""},
		"paused":             {func(r *request.Request) { r.State, r.Clock.Paused = request.Locating, day(1) }, day(2), ""},
		"never proven":       {func(r *request.Request) { r.State, r.Since = request.Unverified, day(14) }, day(32), ""},
		"closed":             {func(r *request.Request) { r.State, r.Since = request.Closed, day(20) }, day(21), "2029-03-24"},
		"closed, package":    {func(r *request.Request) { r.State, r.Since, r.Package = request.Closed, day(20), released(day(20)) }, day(21), "2026-04-24"},
		"unverified refused": {func(r *request.Request) { r.State, r.Since = request.Unverified, day(25) }, day(32), "2026-04-13"},
	} {
		r := &request.Request{Received: received, Since: received}
		var err error
		if r.Clock, err = request.NewClock(request.Regimes()[request.GDPR], in("UTC"), p, received); err != nil {
			t.Fatal(err)
		}
		tt.change(r)
		got := ""
		if at := request.Milestone(r, p, tt.now); !at.IsZero() {
			got = at.Format(time.DateOnly)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

var held = []request.Hold{{Systems: []string{"crm"}, Ground: "Art. 17(3)(e) GDPR"}}

func released(at time.Time) *request.Package { return &request.Package{Released: at} }
