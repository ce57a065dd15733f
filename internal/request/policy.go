package request

import (
	"time"

	"github.com/avow-consent/avow/internal/connector"
)

// Policy is how a company answers requests: all waits and limits. Each duration
// is meant for a day of 24 hours; Day stretches or shrinks all of them, and the
// legal deadlines with them, so that a test of 90 days takes seconds. Only what a
// person has to prove who they are stays long enough to be used (ForPerson).
type Policy struct {
	Day time.Duration // how long a day lasts; 24 h

	Identity      time.Duration   // to prove who they are; 14 days
	Link          time.Duration   // a mailed link is good for; 2 days
	Links         int             // links per request; 5
	Approval      time.Duration   // until an officer is reminded; 3 days
	Task          time.Duration   // until an operator's task is due; 5 days
	Remind        time.Duration   // between two reminders; 2 days
	Warn          time.Duration   // before the deadline; 7 days
	Download      time.Duration   // a fetched link to the package is good for; 10 minutes
	Package       time.Duration   // the package is kept after release; 30 days
	Keep          time.Duration   // log, dates and grounds are kept after close; 1,095 days, at least 730
	Looks         []time.Duration // when to look again after an erasure: at once, 1 day, 30 days
	PollFirst     time.Duration   // first pause between two polls; 1 minute
	PollLongest   time.Duration   // 1 day
	PollDeadline  time.Duration   // of one operation on one system, then a person is asked; 90 days
	SameApprover  bool            // who has opened an erasure may approve it
	PauseIdentity bool            // gdpr: the clock stands still while the person proves who they are
	MailsPerDay   int             // to people, per site; 500
	PerAddress    int             // public requests per IP address and hour; 10
	PerIdentifier int             // public requests per identifier and day; 3
	Systems       int             // at most so many at once in one stage; 10

	ProofKept      time.Duration // Art. 17(3)(e): proofs of consent are kept so long after an erasure; 0 = not at all
	RetentionFloor time.Duration // retention never deletes what is younger; 365 days

	DPA string // what a lapsed agreement with a processor leads to: RemindDPA, BlockDPA
}

// What a lapsed agreement with a processor leads to.
const (
	RemindDPA = "remind" // a mail to the privacy office
	BlockDPA  = "block"  // and the processor gets no more personal data: Policy.Blocks
)

// Defaults are what a company gets that sets nothing.
func Defaults() Policy {
	const day = 24 * time.Hour
	return Policy{
		Day: day, Identity: 14 * day, Link: 2 * day, Links: 5, Approval: 3 * day, Task: 5 * day,
		Remind: 2 * day, Warn: 7 * day, Download: 10 * time.Minute, Package: 30 * day, Keep: 1095 * day,
		Looks: []time.Duration{0, day, 30 * day}, PollFirst: time.Minute, PollLongest: day,
		PollDeadline: 90 * day, MailsPerDay: 500, PerAddress: 10, PerIdentifier: 3, Systems: 10,
		RetentionFloor: 365 * day, DPA: RemindDPA,
	}
}

// Scale is how long d lasts under the policy's day.
func (p Policy) Scale(d time.Duration) time.Duration {
	return time.Duration(float64(d) * float64(p.Day) / float64(24*time.Hour))
}

// atLeast is how long a person has, however short a day is made: nobody reads a
// letter in two seconds.
const atLeast = 2 * time.Minute

// ForPerson is how long d lasts where it is a person's time to act.
func (p Policy) ForPerson(d time.Duration) time.Duration {
	return max(p.Scale(d), min(d, atLeast))
}

// Real is the time in days of 24 hours that a time under the policy's day stands
// for.
func (p Policy) Real(d time.Duration) time.Duration {
	return time.Duration(float64(d) * float64(24*time.Hour) / float64(p.Day))
}

// Backoff is the pause before poll n (from 0) of an operation: it doubles from
// PollFirst to PollLongest, so that 90 days are about a hundred polls.
func (p Policy) Backoff(n int) time.Duration {
	pause := p.PollFirst
	for range n {
		if pause *= 2; pause >= p.PollLongest {
			pause = p.PollLongest
			break
		}
	}
	return p.Scale(pause)
}

// Blocks reports whether a processor may get no more personal data for now: its
// agreement has lapsed, and the policy blocks (Art. 28(3) GDPR).
func (p Policy) Blocks(processor *connector.Processor, now time.Time) bool {
	why, _ := processor.Lapsed(now)
	return why != "" && p.DPA == BlockDPA
}

// Controller is who answers: what letters, pages and packages say of the company.
type Controller struct {
	Name        string         `json:"name"`
	Address     string         `json:"address,omitempty"`
	DPO         Contact        `json:"dpo"`
	Authority   connector.Text `json:"authority"`                // where to complain, by language
	From        string         `json:"from"`                     // sender of mails
	BaseURL     string         `json:"base_url"`                 // of the links in mails: the API's own address
	TimeZone    string         `json:"time_zone"`                // IANA; deadlines are counted in it
	Holidays    []string       `json:"holidays,omitempty"`       // 2026-12-25: no business days
	Language    string         `json:"language,omitempty"`       // of mails to the privacy office; "" is English
	LegalNotice string         `json:"legal_notice,omitempty"`   // identifier of the legal notice that the inventory is compared with
	Notice      connector.Text `json:"privacy_notice,omitempty"` // address of the privacy notice, by language
}

// Contact is a person or office to write to.
type Contact struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}
