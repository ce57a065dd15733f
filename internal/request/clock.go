package request

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the Lambda runtime provided.al2023 has no zone files; 450 KB

	"github.com/avow-consent/avow/internal/errs"
)

// Rules are how a regime counts. Periods begin with the day of receipt, which
// is not counted itself, and end with the last second of their last day.
type Rules struct {
	Months                  int      `json:"months,omitempty"`                    // calendar months to answer
	Days                    int      `json:"days,omitempty"`                      // calendar days to answer, on top of Months
	ExtendMonths            int      `json:"extend_months,omitempty"`             // that an extension adds
	ExtendDays              int      `json:"extend_days,omitempty"`               //
	AcknowledgeBusinessDays int      `json:"acknowledge_business_days,omitempty"` // to confirm the receipt; 0: no such duty
	MayPause                bool     `json:"may_pause,omitempty"`                 // Policy.PauseIdentity is allowed
	Residence               []string `json:"residence,omitempty"`                 // whose law it is: ISO 3166-1 countries, or 3166-2 regions ("US-CA")
}

// eea are the member states of the European Union, the parts of them that have
// a country code of their own, and the three further states of the European
// Economic Area (Annex XI of the EEA agreement makes the GDPR law there).
var eea = strings.Fields(`
	AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK
	AX GF GP MF MQ RE YT
	IS LI NO`)

// Regimes are the rules that need no configuration.
//
//   - gdpr: Art. 12(3): one month, two more where necessary, told with reasons
//     inside the first.
//   - ccpa: California Code of Regulations, title 11, § 7021: receipt confirmed
//     in 10 business days, answer in 45 calendar days that verification does not
//     stop, 90 in all with a notice.
func Regimes() map[Regime]Rules {
	return map[Regime]Rules{
		GDPR: {Months: 1, ExtendMonths: 2, MayPause: true, Residence: slices.Clone(eea)},
		CCPA: {Days: 45, ExtendDays: 45, AcknowledgeBusinessDays: 10, Residence: []string{"US-CA"}},
	}
}

// Validate refuses rules that a regime does not allow: longer than the law for
// gdpr and ccpa, or without an end. Shorter ones are a company's own promise.
func (r Rules) Validate(regime Regime) error {
	if min(r.Months, r.Days, r.ExtendMonths, r.ExtendDays, r.AcknowledgeBusinessDays) < 0 || r.Months+r.Days == 0 {
		return errs.New(errs.Invalid, "regime %s: months or days to answer are needed, and none below zero", regime)
	}
	law, ok := Regimes()[regime]
	if !ok {
		return nil
	}
	if r.MayPause && !law.MayPause {
		return errs.New(errs.Invalid, "regime %s: the law does not let the clock pause", regime)
	}
	// 28 days are the shortest month: rules in days for a law in months must fit in any.
	longest := func(months, days int) int { return months*31 + days }
	shortest := func(months, days int) int { return months*28 + days }
	fits := func(own, ownDays, months, days int) bool {
		return own <= months && ownDays <= days || longest(own, ownDays) <= shortest(months, days)
	}
	switch {
	case !fits(r.Months, r.Days, law.Months, law.Days),
		!fits(r.Months+r.ExtendMonths, r.Days+r.ExtendDays, law.Months+law.ExtendMonths, law.Days+law.ExtendDays):
		return errs.New(errs.Invalid, "regime %s: longer than the law allows", regime)
	case law.AcknowledgeBusinessDays > 0 && (r.AcknowledgeBusinessDays == 0 || r.AcknowledgeBusinessDays > law.AcknowledgeBusinessDays):
		return errs.New(errs.Invalid, "regime %s: receipt is to be confirmed in %d business days or fewer", regime, law.AcknowledgeBusinessDays)
	}
	return nil
}

// RegimeFor is the law of a person's residence: the regime that names the
// region, else the one that names the country. When the residence is not known
// or no regime names it, fallback decides, and without one that exists GDPR: its
// deadline is the shortest and its rights the widest.
func RegimeFor(residence string, regimes map[Regime]Rules, fallback Regime) Regime {
	residence = strings.ToUpper(strings.TrimSpace(residence))
	country, _, _ := strings.Cut(residence, "-")
	for _, place := range []string{residence, country} {
		for _, regime := range slices.Sorted(maps.Keys(regimes)) {
			if place != "" && slices.Contains(regimes[regime].Residence, place) {
				return regime
			}
		}
	}
	if _, ok := regimes[fallback]; ok {
		return fallback
	}
	return GDPR
}

// Clock is the legal deadline of a request, and how it came about.
type Clock struct {
	Zone        string    // IANA time zone in which days are counted
	Acknowledge time.Time // until when the receipt must be confirmed (CCPA); zero: no such duty
	Due         time.Time // until when the answer must be out
	Latest      time.Time // how far Due may be extended
	Paused      time.Time // since when the clock stands still; zero: it runs
	Informed    time.Time // when a person whose data is held was told so, with the ground (Art. 12(4)); zero: not
	Extended    bool
	Reasons     string // of the extension, as the person is told them
	Warned      bool
	Overdue     bool
	History     []Tick
}

// Tick is one change of the clock.
type Tick struct {
	At  time.Time `json:"at"`
	Due time.Time `json:"due"`
	Why string    `json:"why"`
}

// NewClock starts the clock of a request that was received at an instant. Days
// are those of the controller's time zone; an unknown zone is Invalid.
//
// A period in months ends on the day of the same number, or on the last day of
// a month that has none (Art. 3(2)(c) of Regulation 1182/71). Art. 3(4) would
// move an end on a Saturday, Sunday or holiday to the next working day: the
// clock never does, because no authority faults an answer that comes earlier.
func NewClock(rules Rules, c Controller, p Policy, received time.Time) (Clock, error) {
	zone, err := zoneOf(c.TimeZone)
	if err != nil {
		return Clock{}, err
	}
	at := received.In(zone)
	clock := Clock{
		Zone:   c.TimeZone,
		Due:    p.stretch(received, endOf(after(at, rules.Months, rules.Days))),
		Latest: p.stretch(received, endOf(after(at, rules.Months+rules.ExtendMonths, rules.Days+rules.ExtendDays))),
	}
	if n := rules.AcknowledgeBusinessDays; n > 0 {
		clock.Acknowledge = p.stretch(received, endOf(businessDays(at, n, c.Holidays)))
	}
	clock.tick(received, "received: "+rules.period())
	return clock, nil
}

// Extend moves the deadline to the latest that the law allows. It is a Conflict
// after the deadline, a second time, and where the regime knows no extension.
// Whoever stores it sends the person the notice with the reasons: the extension
// is void without.
func (c *Clock) Extend(now time.Time, why string) error {
	switch {
	case strings.TrimSpace(why) == "":
		return errs.InvalidField("why", "is needed: the person is told the reasons")
	case c.Extended:
		return errs.New(errs.Conflict, "the deadline is extended already")
	case !c.Latest.After(c.Due):
		return errs.New(errs.Conflict, "this law does not let the deadline be extended")
	case c.Paused.IsZero() && now.After(c.Due):
		return errs.New(errs.Conflict, "the deadline has passed: it can only be extended before")
	}
	c.Due, c.Extended, c.Reasons, c.Warned = c.Latest, true, why, false
	c.tick(now, why)
	return nil
}

// Pause lets the clock stand still while the person proves who they are. It is
// a Conflict where regime or policy do not allow it.
func (c *Clock) Pause(rules Rules, p Policy, now time.Time, why string) error {
	switch {
	case !rules.MayPause || !p.PauseIdentity:
		return errs.New(errs.Conflict, "the clock of this request does not pause")
	case !c.Paused.IsZero():
		return errs.New(errs.Conflict, "the clock is paused already")
	case now.After(c.Due):
		return errs.New(errs.Conflict, "the deadline has passed")
	}
	c.Paused = now
	c.tick(now, why)
	return nil
}

// Unpause lets the clock go on. The deadline moves by the whole days that it
// stood still, part of a day counts for nothing. A clock that runs is left as
// it is.
func (c *Clock) Unpause(p Policy, now time.Time, why string) error {
	if c.Paused.IsZero() {
		return nil
	}
	zone, err := zoneOf(c.Zone)
	if err != nil {
		return err
	}
	days := int(max(0, now.Sub(c.Paused)) / p.day())
	c.Paused = time.Time{}
	for _, t := range []*time.Time{&c.Due, &c.Latest} {
		if p.day() == calendarDay {
			*t = endOf(t.In(zone).AddDate(0, 0, days))
		} else {
			*t = t.Add(time.Duration(days) * p.day())
		}
	}
	c.tick(now, why)
	return nil
}

// Day is the local date of the deadline, as a letter says it.
func (c Clock) Day(t time.Time) time.Time {
	zone, err := zoneOf(c.Zone)
	if err != nil {
		return t.UTC()
	}
	return t.In(zone)
}

func (c *Clock) tick(at time.Time, why string) {
	c.History = append(c.History, Tick{At: at.UTC(), Due: c.Due, Why: why})
}

func (r Rules) period() string {
	parts := []string{}
	for _, unit := range []struct {
		n    int
		name string
	}{{r.Months, "month"}, {r.Days, "day"}} {
		if unit.n > 1 {
			unit.name += "s"
		}
		if unit.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", unit.n, unit.name))
		}
	}
	return strings.Join(parts, " and ") + " to answer"
}

const calendarDay = 24 * time.Hour

// day is how long a day lasts.
func (p Policy) day() time.Duration {
	if p.Day <= 0 {
		return calendarDay
	}
	return p.Day
}

// stretch is the instant on the policy's clock that stands for end: in a test
// whose days last a second, a month is over in half a minute.
func (p Policy) stretch(from, end time.Time) time.Time {
	if p.day() == calendarDay {
		return end.UTC()
	}
	return from.Add(p.Scale(end.Sub(from))).UTC()
}

func zoneOf(name string) (*time.Location, error) {
	if name == "" || name == "Local" { // time.LoadLocation takes both, and neither says where the company is
		return nil, errs.New(errs.Invalid, "controller: time_zone is needed, such as \"Europe/Paris\"")
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errs.New(errs.Invalid, "controller: time_zone %q is no IANA time zone", name)
	}
	return zone, nil
}

// after is the date months and days later. time.AddDate would carry 31 January
// plus a month into March.
func after(at time.Time, months, days int) time.Time {
	first := time.Date(at.Year(), at.Month()+time.Month(months), 1, 12, 0, 0, 0, at.Location())
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(at.Day(), last)-1+days)
}

// endOf is the last second of a day. It exists in every zone, also where a day
// begins at one o'clock because the clocks went forward at midnight.
func endOf(day time.Time) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), 23, 59, 59, 0, day.Location()).UTC()
}

// businessDays is the date n business days later: neither Saturday nor Sunday
// nor one of the holidays.
func businessDays(at time.Time, n int, holidays []string) time.Time {
	day := time.Date(at.Year(), at.Month(), at.Day(), 12, 0, 0, 0, at.Location())
	for n > 0 {
		day = day.AddDate(0, 0, 1)
		weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
		if !weekend && !slices.Contains(holidays, day.Format(time.DateOnly)) {
			n--
		}
	}
	return day
}
