package request

import (
	"math"
	"time"

	"github.com/avow-consent/avow/internal/connector"
)

// Payload is what the state machines give the functions steps and erase. Like
// Result it holds no personal data: both stand in the history of executions.
type Payload struct {
	Do        string              `json:"do"`
	Request   string              `json:"request"`
	Epoch     int                 `json:"epoch,omitempty"`
	Execution string              `json:"execution,omitempty"`
	System    string              `json:"system,omitempty"`
	Operation connector.Operation `json:"operation,omitempty"`
	Look      int                 `json:"look,omitempty"`
	Wait      Wait                `json:"wait,omitempty"`
	Token     string              `json:"token,omitempty"`
	State     string              `json:"state,omitempty"` // of the machine, that failed
	Error     string              `json:"error,omitempty"` // its error name
}

// Result is what the functions answer.
type Result struct {
	State    string         `json:"state,omitempty"`
	Seconds  int            `json:"seconds"`
	Wait     Wait           `json:"wait,omitempty"`
	Epoch    *int           `json:"epoch,omitempty"` // of begin; 0 where a request has ended before any run
	Type     Type           `json:"type,omitempty"`
	Look     int            `json:"look,omitempty"`
	Timeouts map[string]int `json:"timeouts,omitempty"` // seconds, by wait
	Stages   []Stage        `json:"stages,omitzero"`
	Systems  []Child        `json:"systems,omitzero"`
}

// Stage is what runs at the same time.
type Stage struct {
	Systems []Child `json:"systems"`
}

// Child is the input of an execution of the system machine, and its name.
type Child struct {
	Request   string              `json:"request"`
	Epoch     int                 `json:"epoch"`
	System    string              `json:"system"`
	Operation connector.Operation `json:"operation"`
	Look      int                 `json:"look"`
	Name      string              `json:"name"`
}

// Seconds is a pause as Step Functions counts: whole seconds, rounded up, at
// most 300 days, because an execution lives for a year.
func Seconds(d time.Duration) int {
	const most = 300 * 24 * 3600
	return max(0, min(most, int(math.Ceil(d.Seconds()))))
}
