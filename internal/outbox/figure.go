package outbox

import (
	"slices"
	"time"
)

// Figure is what has become of the entries of one name (Ref.Name) and site. The
// ones that are told are those of a window of time.
type Figure struct {
	Kind    Kind
	System  string // of a Mark
	Told    int
	P50     time.Duration // from the receipt of what an entry follows from until it was told
	P99     time.Duration
	Waiting int
	Oldest  time.Time // receipt of what the longest waiting one follows from; zero without any
	Failed  int       // those of an unknown outcome among them
	// Failures are the latest of these.
	Failures []Failure
	More     bool // there are more entries than were counted
}

// Failure is an entry that could not be told.
type Failure struct {
	At      time.Time
	Subject string // partition of the ledger, as it stands in the log
	Reason  string
}

// Name groups entries for figures: the kind, and of a Mark the system.
func (r Ref) Name() string {
	if r.Kind == Mark {
		return r.Sort()
	}
	return string(r.Kind)
}

// Percentile is the smallest of the durations that at least p percent do not
// exceed; 0 without any. It sorts the list.
func Percentile(list []time.Duration, p int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[max(0, (len(list)*p+99)/100-1)]
}
