package settings

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/request"
)

const day = 24 * time.Hour

// Bounds of how long a proof of consent may be kept after an erasure for legal
// claims (Art. 17(3)(e) GDPR), and of what retention never touches.
const (
	ShortestProof = 30 * day
	LongestProof  = 3653 * day // ten years, the longest ordinary limitation in the Union
)

// A setting is one key of "policy": where it goes, and between which values.
type setting struct {
	to       any // *time.Duration, *[]time.Duration, *int, *bool, *string
	min, max time.Duration
	least    int
	most     int
	zero     bool     // 0 is allowed below min
	words    []string // of a *string
}

// settingsOf are the keys of "policy".
func settingsOf(p *request.Policy) map[string]setting {
	long := func(to *time.Duration, least, most time.Duration) setting {
		return setting{to: to, min: least, max: most}
	}
	return map[string]setting{
		"day":             long(&p.Day, time.Millisecond, day),
		"identity":        long(&p.Identity, day, 90*day),
		"link":            long(&p.Link, time.Hour, 14*day),
		"links":           {to: &p.Links, least: 1, most: 20},
		"approval":        long(&p.Approval, time.Hour, 30*day),
		"task":            long(&p.Task, time.Hour, 60*day),
		"remind":          long(&p.Remind, time.Hour, 30*day),
		"warn":            long(&p.Warn, day, 60*day),
		"download":        long(&p.Download, time.Minute, time.Hour),
		"package":         long(&p.Package, day, 90*day),
		"keep":            long(&p.Keep, 730*day, 3653*day),
		"looks":           {to: &p.Looks, max: 90 * day, zero: true},
		"poll_first":      long(&p.PollFirst, time.Second, day),
		"poll_longest":    long(&p.PollLongest, time.Minute, day),
		"poll_deadline":   long(&p.PollDeadline, day, 365*day),
		"same_approver":   {to: &p.SameApprover},
		"pause_identity":  {to: &p.PauseIdentity},
		"mails_per_day":   {to: &p.MailsPerDay, least: 1, most: 100_000},
		"per_address":     {to: &p.PerAddress, least: 1, most: 10_000},
		"per_identifier":  {to: &p.PerIdentifier, least: 1, most: 100},
		"systems":         {to: &p.Systems, least: 1, most: 10},
		"proof_kept":      {to: &p.ProofKept, min: ShortestProof, max: LongestProof, zero: true},
		"retention_floor": long(&p.RetentionFloor, 30*day, LongestProof),
		"dpa":             {to: &p.DPA, words: []string{request.RemindDPA, request.BlockDPA}},
	}
}

// parsePolicy reads the policy; what is not set keeps its default.
func parsePolicy(text json.RawMessage) (request.Policy, error) {
	const where = "policy"
	p := request.Defaults()
	if len(text) == 0 {
		return p, nil
	}
	known := settingsOf(&p)
	if err := knownKeys(where, text, slices.Sorted(maps.Keys(known))); err != nil {
		return p, err
	}
	fields, err := object(where, text)
	if err != nil {
		return p, err
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if err := known[key].read(where, key, fields[key]); err != nil {
			return p, err
		}
	}
	if p.PollFirst > p.PollLongest {
		return p, say(where, "poll_first is longer than poll_longest")
	}
	return p, nil
}

func (s setting) read(where, key string, text json.RawMessage) error {
	switch to := s.to.(type) {
	case *bool:
		if json.Unmarshal(text, to) != nil {
			return say(where, "%s must be true or false", key)
		}
	case *int:
		if json.Unmarshal(text, to) != nil || *to < s.least || *to > s.most {
			return say(where, "%s must be a whole number from %d to %d", key, s.least, s.most)
		}
	case *string:
		if json.Unmarshal(text, to) != nil || !slices.Contains(s.words, *to) {
			return say(where, "%s must be %s", key, strings.Join(s.words, " or "))
		}
	case *time.Duration:
		var err error
		*to, err = s.duration(where, key, text)
		return err
	case *[]time.Duration:
		return s.durations(where, key, text, to)
	}
	return nil
}

func (s setting) duration(where, key string, text json.RawMessage) (time.Duration, error) {
	var word string
	if json.Unmarshal(text, &word) != nil {
		return 0, say(where, "%s must be a text such as \"30d\"", key)
	}
	d, err := ParseDuration(word)
	if err != nil {
		return 0, say(where, "%s %v", key, err)
	}
	if (d < s.min || d > s.max) && !(d == 0 && s.zero) {
		return 0, say(where, "%s must be from %s to %s", key, inWords(s.min), inWords(s.max))
	}
	return d, nil
}

// durations reads times after an event, each later than the one before.
func (s setting) durations(where, key string, text json.RawMessage, to *[]time.Duration) error {
	var words []json.RawMessage
	if json.Unmarshal(text, &words) != nil || len(words) == 0 || len(words) > 10 {
		return say(where, "%s must be a list of 1 to 10 durations", key)
	}
	list := make([]time.Duration, len(words))
	for i, word := range words {
		var err error
		if list[i], err = s.duration(where, key, word); err != nil {
			return err
		}
		if i > 0 && list[i] <= list[i-1] {
			return say(where, "%s must grow", key)
		}
	}
	*to = list
	return nil
}

// inWords prints a duration the way ParseDuration reads it.
func inWords(d time.Duration) string {
	if d == 0 {
		return "0d"
	}
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= u.unit && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}
