package request

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
)

// ask counts a task that is put to a person, and is its entry.
func (r *Request) ask(t Task) (Entry, error) {
	if t.Kind.Blocks() {
		r.Open++
	}
	e, err := r.Do(AskAct, Avow, t.Reason, t.Opened)
	e.System, e.Detail = t.System, map[string]string{"task": t.ID, "operation": string(t.Operation)}
	return e, err
}

// Verdict is what a person decides on a task.
type Verdict struct {
	Decision Act       // one of the task's Choices
	By       Actor     //
	Why      string    // without personal data
	Ground   string    // Waive: "Art. 17(3)(e) GDPR"
	Evidence string    // Done: SHA-256 of the document that shows it, or of each that is uploaded; needed for a deletion or correction by hand
	Upload   string    // Done, of an export: what is uploaded is the part of this name, which is stored already
	At       time.Time //
}

// Decide carries a verdict out on a task and, where the task is about one, on
// the step of a system and on a candidate; nil where it is not. It changes them
// in memory: the caller stores them with the request, whose count of open tasks
// goes down, and with the returned Decision for the run that waits.
//
// A task that is decided already, or that does not offer the decision, is a
// Conflict and changes nothing; Invalid when a ground or an evidence is missing.
func (r *Request) Decide(t *Task, s *Step, candidate *Known, v Verdict) (Entry, Decision, error) {
	if !t.Decided.IsZero() {
		return Entry{}, Decision{}, errs.New(errs.Conflict, "the task is decided already: %s", t.Decision)
	}
	if !slices.Contains(t.Choices, v.Decision) {
		return Entry{}, Decision{}, errs.New(errs.Conflict, "the task does not offer %s, but %v", v.Decision, t.Choices)
	}
	if v.Decision == Waive && v.Ground == "" {
		return Entry{}, Decision{}, errs.InvalidField("ground", "is needed to keep data, such as \"Art. 17(3)(e) GDPR\"")
	}
	if v.Decision == Done && v.Evidence == "" && t.needsEvidence() {
		return Entry{}, Decision{}, errs.InvalidField("evidence", "is needed: {\"document\":…} or {\"sha256\":…} of what shows that it was done, such as a screenshot")
	}
	open := r.Open
	if t.Kind.Blocks() {
		r.Open = max(0, r.Open-1)
	}
	entry, err := r.Do(v.Decision, v.By, v.Why, v.At)
	if err != nil {
		r.Open = open
		return Entry{}, Decision{}, err
	}
	t.Decided, t.Decision, t.By, t.Why, t.Evidence = v.At, v.Decision, v.By, v.Why, v.Evidence
	entry.System = t.System
	entry.Detail = map[string]string{"task": t.ID, "operation": string(t.Operation)}
	if v.Evidence != "" {
		entry.Detail["evidence"] = v.Evidence
	}
	if v.Ground != "" {
		entry.Detail["ground"] = v.Ground
	}
	if s != nil {
		s.decide(v)
	}
	d := Decision{Wait: WaitTask(t.ID), Outcome: "done", By: v.By, At: v.At}
	switch v.Decision {
	case Retry:
		d.Outcome = "retry"
	case Accept, Reject:
		// The run waits for an approval of the old findings; it is to look again.
		d.Wait, d.Outcome = WaitApproval(r.Findings), "relocate"
		candidate.Accepted, candidate.Rejected = v.Decision == Accept, v.Decision == Reject
	}
	return entry, d, nil
}

// needsEvidence reports whether the task is done only with something that shows
// it: nobody looks again at what was deleted or corrected by hand.
func (t Task) needsEvidence() bool {
	return t.Kind == TaskManual && (t.Operation == connector.Erase || t.Operation == connector.Rectify)
}

// decide is what a verdict means for the operation on a system.
func (s *Step) decide(v Verdict) {
	s.Task, s.Reason, s.Since = "", v.Why, v.At
	switch v.Decision {
	case Retry:
		s.Phase = cmp.Or(s.Resume, Intended) // the outcome of the last call is not known
		s.Resume, s.Polls, s.Lease, s.Started = "", 0, time.Time{}, v.At
		if s.Phase == Intended && s.Operation == connector.Export {
			s.Chunk, s.Counts = 0, nil // its parts are written anew
		}
		return
	case Skip:
		s.Phase = Skipped
	case Waive:
		s.Phase = Waived
		s.Kept = append(s.Kept, connector.Kept{What: s.System, Ground: v.Ground, Reason: v.Why})
	case Done:
		s.Phase, s.Upload = Finished, v.Upload
		digests := strings.Fields(v.Evidence)
		if len(digests) == 0 {
			digests = []string{""}
		}
		for _, digest := range digests {
			s.Evidence = append(s.Evidence, connector.Evidence{At: v.At, Call: "by hand", Answer: "done by " + v.By.Role, Digest: digest})
		}
	}
	s.Ended = v.At
}

// TakesUpload reports whether what a person has found by hand becomes part of
// what the operation gives.
func (s *Step) TakesUpload() bool { return s.Operation == connector.Export && s.Look == 0 }

// Step is the row that a task is about; nil when it is about none.
func (t Task) Step(steps []Step) *Step {
	for i := range steps {
		if steps[i].Task == t.ID {
			return &steps[i]
		}
	}
	return nil
}
