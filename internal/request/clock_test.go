package request_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

func in(zone string) request.Controller { return request.Controller{TimeZone: zone} }

func instant(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestNewClock(t *testing.T) {
	t.Parallel()
	paris, la := in("Europe/Paris"), in("America/Los_Angeles")
	la.Holidays = []string{"2026-12-25", "2027-01-01"}
	for name, tt := range map[string]struct {
		regime                   request.Regime
		controller               request.Controller
		received                 string
		acknowledge, due, latest string // local
	}{
		"a month":              {request.GDPR, paris, "2026-03-05T10:00:00Z", "", "2026-04-05 23:59:59 CEST", "2026-06-05 23:59:59 CEST"},
		"into a shorter month": {request.GDPR, paris, "2026-01-31T10:00:00Z", "", "2026-02-28 23:59:59 CET", "2026-04-30 23:59:59 CEST"},
		"leap year":            {request.GDPR, paris, "2028-01-30T10:00:00Z", "", "2028-02-29 23:59:59 CET", "2028-04-30 23:59:59 CEST"},
		"29 February":          {request.GDPR, paris, "2028-02-29T10:00:00Z", "", "2028-03-29 23:59:59 CEST", "2028-05-29 23:59:59 CEST"},
		"over the new year":    {request.GDPR, paris, "2026-12-31T10:00:00Z", "", "2027-01-31 23:59:59 CET", "2027-03-31 23:59:59 CEST"},
		// 30 November 2025 would be a Sunday: it stays.
		"never on a working day": {request.GDPR, paris, "2025-10-30T10:00:00Z", "", "2025-11-30 23:59:59 CET", "2026-01-30 23:59:59 CET"},
		"late in the evening":    {request.GDPR, paris, "2026-06-30T22:30:00Z", "", "2026-08-01 23:59:59 CEST", "2026-10-01 23:59:59 CEST"},
		"the clocks go back":     {request.GDPR, paris, "2026-09-25T10:00:00Z", "", "2026-10-25 23:59:59 CET", "2026-12-25 23:59:59 CET"},
		"midnight does not exist": {request.GDPR, in("Africa/Cairo"), "2026-03-24T10:00:00Z", "",
			"2026-04-24 23:59:59 EEST", "2026-06-24 23:59:59 EEST"},
		"california": {request.CCPA, la, "2026-12-18T20:00:00Z", "2027-01-05 23:59:59 PST", "2027-02-01 23:59:59 PST", "2027-03-18 23:59:59 PDT"},
		"received on a Saturday": {request.CCPA, la, "2026-08-01T20:00:00Z", "2026-08-14 23:59:59 PDT", "2026-09-15 23:59:59 PDT",
			"2026-10-30 23:59:59 PDT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := request.NewClock(request.Regimes()[tt.regime], tt.controller, request.Defaults(), instant(t, tt.received))
			if err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string][2]string{
				"acknowledge": {tt.acknowledge, local(c, c.Acknowledge)},
				"due":         {tt.due, local(c, c.Due)},
				"latest":      {tt.latest, local(c, c.Latest)},
			} {
				if pair[0] != pair[1] {
					t.Errorf("%s is %s, want %s", what, pair[1], pair[0])
				}
			}
			if len(c.History) != 1 || !c.History[0].Due.Equal(c.Due) {
				t.Errorf("history: %+v", c.History)
			}
		})
	}
}

func local(c request.Clock, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return c.Day(at).Format("2006-01-02 15:04:05 MST")
}

func TestNewClock_zones(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"", "Local", "Mars/Olympus", "../etc/passwd"} {
		if _, err := request.NewClock(request.Regimes()[request.GDPR], in(zone), request.Defaults(), time.Now()); !errs.Is(err, errs.Invalid) {
			t.Errorf("zone %q: %v", zone, err)
		}
	}
}

// The deadline lies in the month that the law means, on the same day or the
// last one, whatever the zone does to its clocks; it never comes later when the
// request came earlier.
func TestNewClock_property(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Paris", "America/Los_Angeles", "Africa/Cairo", "Asia/Kathmandu", "Pacific/Kiritimati", "America/Santiago", "Australia/Lord_Howe"}
	rapid.Check(t, func(t *rapid.T) {
		c := in(rapid.SampledFrom(zones).Draw(t, "zone"))
		received := time.Unix(rapid.Int64Range(1_600_000_000, 2_500_000_000).Draw(t, "received"), 0)
		gdpr, err := request.NewClock(request.Regimes()[request.GDPR], c, request.Defaults(), received)
		if err != nil {
			t.Fatal(err)
		}
		from, due := gdpr.Day(received), gdpr.Day(gdpr.Due)
		if months := (due.Year()-from.Year())*12 + int(due.Month()) - int(from.Month()); months != 1 {
			t.Fatalf("%v is due %v", from, due)
		}
		if lastOf := due.AddDate(0, 0, 1).Month() != due.Month(); due.Day() != from.Day() && (!lastOf || due.Day() > from.Day()) {
			t.Fatalf("%v is due %v", from, due)
		}
		ccpa, err := request.NewClock(request.Regimes()[request.CCPA], c, request.Defaults(), received)
		if err != nil {
			t.Fatal(err)
		}
		if want := from.AddDate(0, 0, 45).Format(time.DateOnly); ccpa.Day(ccpa.Due).Format(time.DateOnly) != want {
			t.Fatalf("%v is due %v, want %s", from, ccpa.Day(ccpa.Due), want)
		}
		if ack := ccpa.Day(ccpa.Acknowledge); ack.Weekday() == time.Saturday || ack.Weekday() == time.Sunday || !ack.Before(ccpa.Due) {
			t.Fatalf("%v is to be acknowledged %v", from, ack)
		}
		earlier, err := request.NewClock(request.Regimes()[request.GDPR], c, request.Defaults(), received.Add(-time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "earlier"))))
		if err != nil {
			t.Fatal(err)
		}
		if earlier.Due.After(gdpr.Due) || earlier.Latest.After(gdpr.Latest) {
			t.Fatalf("earlier request is due later: %v, %v", earlier.Due, gdpr.Due)
		}
	})
}

// Under a policy whose days last a second the whole clock is that much faster.
func TestNewClock_fast(t *testing.T) {
	t.Parallel()
	p := request.Defaults()
	p.Day = time.Second
	received := instant(t, "2026-03-05T10:00:00Z")
	c, err := request.NewClock(request.Regimes()[request.CCPA], in("Europe/Paris"), p, received)
	if err != nil {
		t.Fatal(err)
	}
	if d := c.Due.Sub(received); d < 45*time.Second || d > 46*time.Second {
		t.Errorf("45 days take %v", d)
	}
	if d := c.Latest.Sub(received); d < 90*time.Second || d > 91*time.Second {
		t.Errorf("90 days take %v", d)
	}
	if d := c.Acknowledge.Sub(received); d < 14*time.Second || d > 16*time.Second {
		t.Errorf("10 business days take %v", d)
	}
}

func TestClock_extend(t *testing.T) {
	t.Parallel()
	received := instant(t, "2026-03-05T10:00:00Z")
	for name, tt := range map[string]struct {
		rules request.Rules
		now   time.Duration // before the deadline
		why   string
		want  errs.Kind
	}{
		"in time":          {request.Regimes()[request.GDPR], time.Second, "many systems", ""},
		"california":       {request.Regimes()[request.CCPA], time.Hour, "many systems", ""},
		"at the last":      {request.Regimes()[request.GDPR], 0, "many systems", ""},
		"too late":         {request.Regimes()[request.GDPR], -time.Second, "many systems", errs.Conflict},
		"without a reason": {request.Regimes()[request.GDPR], time.Hour, " ", errs.Invalid},
		"not in this law":  {request.Rules{Days: 15}, time.Hour, "many systems", errs.Conflict},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := request.NewClock(tt.rules, in("Europe/Paris"), request.Defaults(), received)
			if err != nil {
				t.Fatal(err)
			}
			first := c.Due
			c.Warned = true
			err = c.Extend(first.Add(-tt.now), tt.why)
			if tt.want != "" {
				if !errs.Is(err, tt.want) || !c.Due.Equal(first) || len(c.History) != 1 {
					t.Fatalf("%v, due %v", err, c.Due)
				}
				return
			}
			if err != nil || !c.Due.Equal(c.Latest) || c.Warned || len(c.History) != 2 || c.History[1].Why != tt.why {
				t.Fatalf("%v: %+v", err, c)
			}
			if err := c.Extend(first.Add(-tt.now), tt.why); !errs.Is(err, errs.Conflict) {
				t.Errorf("extended twice: %v", err)
			}
		})
	}
}

func TestClock_pause(t *testing.T) {
	t.Parallel()
	allowed := request.Defaults()
	allowed.PauseIdentity = true
	fast := allowed
	fast.Day = time.Second
	received := instant(t, "2026-03-05T10:00:00Z")
	for name, tt := range map[string]struct {
		regime request.Regime
		policy request.Policy
		stood  time.Duration
		moved  time.Duration // -1: refused
	}{
		"off by default":     {request.GDPR, request.Defaults(), 0, -1},
		"never under ccpa":   {request.CCPA, allowed, 0, -1},
		"three days":         {request.GDPR, allowed, 3 * 24 * time.Hour, 3 * 24 * time.Hour},
		"part of a day":      {request.GDPR, allowed, 47 * time.Hour, 24 * time.Hour},
		"an hour is nothing": {request.GDPR, allowed, time.Hour, 0},
		"fast":               {request.GDPR, fast, 3500 * time.Millisecond, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := request.Regimes()[tt.regime]
			c, err := request.NewClock(rules, in("UTC"), tt.policy, received)
			if err != nil {
				t.Fatal(err)
			}
			due, last := c.Due, c.Latest
			now := received.Add(time.Second)
			err = c.Pause(rules, tt.policy, now, "identity is asked for")
			if tt.moved < 0 {
				if !errs.Is(err, errs.Conflict) || !c.Paused.IsZero() {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Pause(rules, tt.policy, now, "again"); !errs.Is(err, errs.Conflict) {
				t.Errorf("paused twice: %v", err)
			}
			for range 2 { // the second does nothing
				if err := c.Unpause(tt.policy, now.Add(tt.stood), "identity is proven"); err != nil {
					t.Fatal(err)
				}
			}
			if c.Due.Sub(due) != tt.moved || c.Latest.Sub(last) != tt.moved || len(c.History) != 3 {
				t.Errorf("moved by %v and %v: %+v", c.Due.Sub(due), c.Latest.Sub(last), c.History)
			}
		})
	}
}

func TestRegimeFor(t *testing.T) {
	t.Parallel()
	regimes := request.Regimes()
	regimes["lgpd"] = request.Rules{Days: 15, Residence: []string{"BR"}}
	for residence, want := range map[string]request.Regime{
		"FR": request.GDPR, "fr": request.GDPR, "DE-BY": request.GDPR, "RE": request.GDPR, "NO": request.GDPR,
		"US-CA": request.CCPA, " us-ca ": request.CCPA, "US": "lgpd", "US-NY": "lgpd", "BR": "lgpd", "": "lgpd", "??": "lgpd",
	} {
		if got := request.RegimeFor(residence, regimes, "lgpd"); got != want {
			t.Errorf("%q: %s, want %s", residence, got, want)
		}
	}
	for _, fallback := range []request.Regime{"", "unheard of"} {
		if got := request.RegimeFor("", request.Regimes(), fallback); got != request.GDPR {
			t.Errorf("fallback %q: %s", fallback, got)
		}
	}
}

func TestRules_validate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		regime request.Regime
		rules  request.Rules
		says   string // "": accepted
	}{
		"gdpr":              {request.GDPR, request.Regimes()[request.GDPR], ""},
		"ccpa":              {request.CCPA, request.Regimes()[request.CCPA], ""},
		"own":               {"lgpd", request.Rules{Days: 15}, ""},
		"stricter":          {request.GDPR, request.Rules{Days: 20, ExtendDays: 30}, ""},
		"no end":            {"lgpd", request.Rules{}, "are needed"},
		"below zero":        {"lgpd", request.Rules{Months: 1, ExtendDays: -1}, "below zero"},
		"30 days for gdpr":  {request.GDPR, request.Rules{Days: 30}, "longer than the law"},
		"extends too far":   {request.GDPR, request.Rules{Months: 1, ExtendMonths: 3}, "longer than the law"},
		"ccpa pauses":       {request.CCPA, request.Rules{Days: 45, AcknowledgeBusinessDays: 10, MayPause: true}, "pause"},
		"ccpa acknowledges": {request.CCPA, request.Rules{Days: 45}, "confirmed in 10"},
	} {
		err := tt.rules.Validate(tt.regime)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Rules of a company's own that are accepted never give anybody more time than
// the law does, whenever the request comes.
func TestRules_validate_property(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		regime := rapid.SampledFrom([]request.Regime{request.GDPR, request.CCPA}).Draw(t, "regime")
		n := func(name string, most int) int { return rapid.IntRange(0, most).Draw(t, name) }
		own := request.Rules{Months: n("months", 3), Days: n("days", 60), ExtendMonths: n("more months", 3), ExtendDays: n("more days", 60), AcknowledgeBusinessDays: n("business days", 12)}
		if own.Validate(regime) != nil {
			return
		}
		received := time.Unix(rapid.Int64Range(1_600_000_000, 2_500_000_000).Draw(t, "received"), 0)
		law, err := request.NewClock(request.Regimes()[regime], in("Europe/Paris"), request.Defaults(), received)
		if err != nil {
			t.Fatal(err)
		}
		c, err := request.NewClock(own, in("Europe/Paris"), request.Defaults(), received)
		if err != nil || c.Due.After(law.Due) || c.Latest.After(law.Latest) || c.Latest.Before(c.Due) || c.Acknowledge.After(law.Acknowledge) && !law.Acknowledge.IsZero() {
			t.Fatalf("%v: %+v gives %v and %v, the law %v and %v", err, own, c.Due, c.Latest, law.Due, law.Latest)
		}
	})
}
