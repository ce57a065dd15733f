package asl_test

import (
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/asl"
	"github.com/avow-consent/avow/internal/request"
)

const day = 24 * time.Hour

// The goals of issue 4.
const (
	goalEvents = asl.MaxEvents
	goalCents  = 1.0
)

func play(t *testing.T, s asl.Scenario) asl.Figures {
	t.Helper()
	f, err := s.Play(t.Context(), definition(t, "request"), definition(t, "system"))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %d executions, %d function calls, %d transitions = %.3f US cents, longest history %d events, %.1f days",
		s.Type, f.Executions, f.Invocations, f.Transitions, 100*f.Dollars(asl.TransitionPrice), f.Events, f.Lasted.Hours()/24)
	return f
}

// Ninety days of polling in ten systems, every wait of a person renewed again
// and again, stay far below AWS's limit of a history.
func TestFigures_ninetyDays(t *testing.T) {
	t.Parallel()
	for _, kind := range request.Types {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			slow := asl.SystemTimes{Works: 90 * day}
			f := play(t, asl.Scenario{
				Type: kind, Policy: request.Defaults(), Identity: 13 * day, Approval: 30 * day,
				Stages: [][]asl.SystemTimes{{slow, slow, slow, slow, slow, slow, slow, slow, slow, {Works: day, Asks: 89 * day}}},
			})
			if f.Events >= goalEvents/10 || f.Lasted < 90*day {
				t.Errorf("%d events in %s, want less than a tenth of %d", f.Events, f.Lasted, goalEvents)
			}
		})
	}
}

// The policy's pauses alone: the number of polls in ninety days, and how many
// events one poll costs.
func TestFigures_polls(t *testing.T) {
	t.Parallel()
	p := request.Defaults()
	polls := 0
	for waited := time.Duration(0); waited < p.PollDeadline; polls++ {
		waited += p.Backoff(polls)
	}
	events := func(works time.Duration) int {
		return play(t, asl.Scenario{Type: request.Erasure, Policy: p, Stages: [][]asl.SystemTimes{{{Works: works}}}}).Events
	}
	short, long := events(40*day), events(90*day)
	each := float64(long-short) / 50
	t.Logf("%d polls in %s, %.1f events each: %.0f events", polls, p.PollDeadline, each, each*float64(polls))
	if total := each * float64(polls); total >= goalEvents || each < 5 {
		t.Errorf("%.0f events of polling alone", total)
	}
}

// A usual erasure over five systems: the company's own, two vendors that answer
// at once, one with a queue of hours, and one with a job of days or a person who
// does it by hand; looked at again at once, after a day and after thirty.
func TestFigures_thirtyDays(t *testing.T) {
	t.Parallel()
	for _, kind := range request.Types {
		for name, fifth := range map[string]asl.SystemTimes{"a job of three days": {Works: 3 * day}, "by hand after a week": {Asks: 7 * day}} {
			t.Run(string(kind)+", "+name, func(t *testing.T) {
				t.Parallel()
				f := play(t, asl.Scenario{
					Type: kind, Policy: request.Defaults(), Identity: 2 * time.Hour, Approval: 2 * day,
					Stages: [][]asl.SystemTimes{{{}, {Works: 4 * time.Hour}, fifth}, {{}}, {{}}},
				})
				if cents := 100 * f.Dollars(asl.TransitionPrice); cents > goalCents {
					t.Errorf("%.3f US cents, want at most %v", cents, goalCents)
				}
			})
		}
	}
}

// The dearest month: five systems that are all polled for thirty days. Each poll
// is three transitions (Advance, Advanced, Pause); the goal is for a usual
// request; this one takes about two cents.
func TestFigures_dearest(t *testing.T) {
	t.Parallel()
	slow := asl.SystemTimes{Works: 30 * day}
	f := play(t, asl.Scenario{Type: request.Erasure, Policy: request.Defaults(), Stages: [][]asl.SystemTimes{{slow, slow, slow, slow, slow}}})
	if cents := 100 * f.Dollars(asl.TransitionPrice); cents > 3*goalCents {
		t.Errorf("%.3f US cents", cents)
	}
}
