package request

import (
	"time"

	"github.com/avow-consent/avow/internal/connector"
)

// Entry is one line of a request's log, which only grows. It never holds
// personal data: Why is an officer's own sentence, and the doors say so.
type Entry struct {
	ID     string // UUIDv7, set when it is stored
	At     time.Time
	By     Actor
	Act    Act
	From   State
	To     State
	Why    string
	System string
	Detail map[string]string // what the act was about: operation, digest, task, count
}

// Phase is how far one operation on one system has come.
type Phase string

// The phases.
const (
	Intended Phase = "intended" // about to be called: an outcome that is missing is not known
	Pending  Phase = "pending"  // called, the system works on it
	Looking  Phase = "looking"  // done, as the system says; Verify has not confirmed it
	Asking   Phase = "asking"   // a person must act
	Finished Phase = "finished" // done and, where that applies, looked at
	Skipped  Phase = "skipped"  // not done, on a person's decision
	Waived   Phase = "waived"   // kept on a ground, on an officer's decision
)

// Ended reports whether nothing is left to do.
func (p Phase) Ended() bool { return p == Finished || p == Skipped || p == Waived }

// Step is the row of one operation on one system.
type Step struct {
	System    string
	Operation connector.Operation
	Look      int // 0: the operation itself; n: the n-th time that the system is looked at again
	Phase     Phase
	Version   int       // grows by one with each write; the condition of the next, 0 for a new row
	Epoch     int       // of the run that wrote it last
	Lease     time.Time // until then another invocation does not call: the one that holds it may live
	Attempt   int       // calls to Start so far
	Polls     int       // calls to Poll since the last Start
	Chunk     int       // parts that an export has stored
	Upload    string    // digest that names the part of what a person has found by hand; "" for none
	Handle    string    // deleted at close
	Started   time.Time // first intent
	Since     time.Time // of this phase
	Resume    Phase     // where a Retry goes on; "" from the beginning
	Residue   bool      // a look has found records that came after the search: it is made again
	Failing   time.Time // since when the system does not answer; zero when it did
	Ended     time.Time
	Counts    map[string]int
	Kept      []connector.Kept
	Evidence  []connector.Evidence
	Reason    string // of a person's decision, or the kind of the last failure
	Task      string // the open task
}

// Found is what a system holds of the person, as of the last locate.
type Found struct {
	System string
	Counts map[string]int
	Notes  []string
	At     time.Time
	Asked  string    // digest of the identifiers that it was last asked with; "" while it has more to tell
	Since  time.Time // first failure in a row; zero after an answer
	Polls  int       // failures and pauses in a row
	Failed bool      // the system could not be asked: Reason says why
	Reason string
	Handle string // where the search goes on; deleted at close
	Done   int    // of Of parts of the search
	Of     int    // 0: not known
}

// Searching reports whether the system has more to tell.
func (f Found) Searching() bool { return f.Asked == "" && !f.Failed }

// TaskKind is why a person is asked.
type TaskKind string

// The kinds of task.
const (
	TaskManual    TaskKind = "manual"    // no API can do it
	TaskFailed    TaskKind = "failed"    // a call has failed for good
	TaskResidue   TaskKind = "residue"   // something is still there after an erasure
	TaskCandidate TaskKind = "candidate" // is this record the person's?
	TaskEngine    TaskKind = "engine"    // a step of the request itself has failed
	TaskHold      TaskKind = "held"      // a legal hold stops the deletion: is the data kept for good?
	TaskAttend    TaskKind = "attend"    // something to read before approval; it blocks nothing
)

// Blocks reports whether a run waits for the task. Candidates wait for nobody:
// one that is undecided at the approval is not the person. A held system goes on
// by itself when the hold is lifted.
func (k TaskKind) Blocks() bool { return k != TaskCandidate && k != TaskHold && k != TaskAttend }

// Task is the row of a question to a person.
type Task struct {
	ID           string // UUIDv7
	Kind         TaskKind
	System       string
	Operation    connector.Operation
	Reason       string
	Instructions string
	Choices      []Act  // of Retry, Skip, Waive, Done, Accept, Reject
	Candidate    string // key of the identifier it is about
	Opened       time.Time
	Due          time.Time
	Reminded     time.Time
	Decided      time.Time // zero: open
	Decision     Act
	By           Actor
	Why          string
	Evidence     string // SHA-256 of the uploaded document; of several, one after the other with a space between
}

// Wait names what a run waits for. It is part of the key of decision and token.
type Wait string

// WaitIdentity is the wait for the proof of identity.
const WaitIdentity Wait = "identity"

// WaitApproval is the wait for an approval of exactly this plan.
func WaitApproval(digest string) Wait { return Wait("approval." + digest) }

// WaitRelease is the wait for the release of exactly this package.
func WaitRelease(digest string) Wait { return Wait("release." + digest) }

// WaitTask is the wait for the decision of a task.
func WaitTask(id string) Wait { return Wait("task." + id) }

// Decision is what was decided. It is written before the run that waits for it
// hears of it, so that neither can miss the other.
type Decision struct {
	Wait      Wait
	Outcome   string // "approved", "refused", "withdrawn", "relocate", "released", "rebuild", "retry", "done"
	By        Actor
	At        time.Time
	Delivered time.Time // zero: the run has not heard of it yet
}

// Spent reports whether a run has done already what was decided: it was sent back,
// and may have come to the same wait again.
func (d Decision) Spent() bool {
	return !d.Delivered.IsZero() && (d.Outcome == "relocate" || d.Outcome == "rebuild")
}

// Token is what Step Functions gave the run for a wait.
type Token struct {
	Wait  Wait
	Token string
	Epoch int
	At    time.Time
}

// Link is a one-time link that was mailed. Only the hash of its token is kept.
type Link struct {
	Hash    string // SHA-256 of the token, hex
	Request string
	Site    string
	Purpose string // "identity", "package"
	Made    time.Time
	Expires time.Time
	Used    time.Time // zero: not yet
	Result  string    // what the first use has led to: shown again
}

// Mail is the intent to send a letter, and what became of it: a letter is sent
// at most once.
type Mail struct {
	Key     string // "<letter>.<occasion>": "acknowledgement", "answer.1"
	Kind    string
	At      time.Time
	Sent    time.Time // zero: the outcome is not known
	Message string    // the provider's id
}
