// Package outbox is what has to be told outside because of something that
// stands in the ledger: a consent that waits for its confirmation, an answer
// that a vendor's flag must follow, a message. An entry says that there is
// something to tell, never what: whoever tells it reads the ledger at that
// moment. So entries hold no personal data, may be noted twice, and what they
// lead to is true when it leaves.
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/errs"
)

// Kind is what an entry is about.
type Kind string

// The kinds.
const (
	Confirm Kind = "confirm" // of a consent, by its id: ask the person to confirm it
	Change  Kind = "change"  // of a person: their answers have changed; becomes one Mark for each system
	Mark    Kind = "mark"    // of a system, by its name: its flags must follow the person's answers
	Expiry  Kind = "expiry"  // of a person, by ExpiryID: a grant that a system was told of ends by time
	Message Kind = "message" // of a message, by its id: send it
	Poll    Kind = "poll"    // of a system: look which flags were changed there
	// Preferences is of an address, by its own subject: mail it a link to the
	// preference centre (internal/centre), if the ledger knows it.
	Preferences Kind = "preferences"
)

// ExpiryID names the moment at which a system has to hear that a grant has ended.
func ExpiryID(system string, at time.Time) string {
	return system + "." + strconv.FormatInt(at.UnixMilli(), 10)
}

// ExpirySystem is the system of a ExpiryID.
func ExpirySystem(id string) string {
	system, _, _ := strings.Cut(id, ".")
	return system
}

// State is how far an entry is.
type State string

// The states. All but Due are final until there is something new to tell.
const (
	Due     State = "due"
	Done    State = "done"
	Skipped State = "skipped" // there was nothing to do any more
	Failed  State = "failed"
	Unknown State = "unknown" // it may have been done, and is not done again
)

// Ref names an entry.
type Ref struct {
	Subject string // partition of the ledger
	Kind    Kind
	ID      string // see Kind
}

// Sort is the entry's key within its subject.
func (r Ref) Sort() string { return string(r.Kind) + "#" + r.ID }

// ParseRef reads a Ref from its keys.
func ParseRef(subject, sort string) (Ref, error) {
	kind, id, ok := strings.Cut(sort, "#")
	if !ok || subject == "" {
		return Ref{}, errs.New(errs.Invalid, "the key of an entry in the outbox must be kind#id")
	}
	return Ref{Subject: subject, Kind: Kind(kind), ID: id}, nil
}

// Entry is one thing to tell.
type Entry struct {
	Ref
	Site     string
	Since    time.Time // when what it follows from was received
	Version  int       // rises whenever there is something new to tell
	Attempts int       // of this version
	Next     time.Time // when it is due
	Holder   int64     // which taking of the entry this is
	Memo     string    // what the last outcome has left: no personal data
	Held     time.Time // when it was last put off, and not for a failure; zero: never
	// Again: an earlier attempt has begun and nobody knows how it ended.
	Again bool
}

// Outcome is what became of an attempt.
type Outcome struct {
	State  State         // Due: come again
	After  time.Duration // Due: at the earliest after this; 0 leaves it to the outbox
	Reason string        // no personal data
	Memo   string        // for the next attempt, or the next change; "" leaves it as it is
	// Refused: it is tried again, but somebody has to see to it.
	Refused bool
	// Held: Due, because it must not be told yet. Patience with failures begins anew.
	Held bool
	// Forget: nothing of the entry is kept longer than a day.
	Forget bool
}

// Job tells entries of one kind. It may be repeated at any time: what must not be
// done twice has an intent of its own, written before the call (internal/optin,
// internal/centre, internal/chat). So an error, of whatever kind, is tried again later; what has
// ended is an outcome.
type Job interface {
	Do(ctx context.Context, e Entry) (Outcome, error)
}

// Store keeps entries. Each write states its condition.
type Store interface {
	// Add notes an entry that is told once. One that is there stays as it is.
	Add(ctx context.Context, e Entry) error
	// Renew notes that there is something new to tell: the version rises and the
	// entry is due. Since stays that of the oldest change that was not told yet.
	Renew(ctx context.Context, e Entry) error
	// Take gives the entry to this invocation until the lease ends; nil when it is
	// not due, or another one has it.
	Take(ctx context.Context, r Ref, now, lease time.Time) (*Entry, error)
	// Remember writes the memo of an entry before its attempt has ended: an intent.
	// Another invocation's lease is an error of kind Conflict.
	Remember(ctx context.Context, e *Entry, memo string, now time.Time) error
	// Settle ends an attempt. fresh: there is something newer to tell, and the
	// entry is still due. Another invocation's lease is an error of kind Conflict.
	Settle(ctx context.Context, e *Entry, o Outcome, now time.Time) (fresh bool, err error)
	// Memo is the latest memo of the entries with this key of some subjects.
	Memo(ctx context.Context, subjects []string, sort string) (string, error)
	// Due lists entries whose time has come, the longest waiting first.
	Due(ctx context.Context, now time.Time, limit int) ([]Ref, error)
}

// The bounds of trying.
const (
	// Lease is longer than an invocation of the function may last.
	Lease = 6 * time.Minute
	// First and Longest bound the pause after a failure, which doubles.
	First   = time.Minute
	Longest = 6 * time.Hour
	// Patience is how long something is tried after it was noted, or last held.
	Patience = 7 * 24 * time.Hour
	// Ending is what an invocation keeps of its time to write what became of an
	// attempt: no job may use it up.
	Ending = 10 * time.Second
	// Deaths is how many attempts are made at least before Patience ends one whose
	// attempts never end by themselves.
	Deaths = 10
	// Kept is how long an entry is kept after it has ended. That of a Mark stays, for
	// its memo, as long as the person is known.
	Kept = 90 * 24 * time.Hour
	// Forgotten is how long one is kept whose person is not.
	Forgotten = 24 * time.Hour
)

// Worker tells what is due.
type Worker struct {
	Store Store
	Jobs  map[Kind]Job
	Now   func() time.Time
	Log   *slog.Logger
	// Wait is how long a failed system asks to be left alone
	// (connector.RetryAfter); nil when none says so.
	Wait func(error) (time.Duration, bool)
}

// Tell does one entry, as often as there is something new in it.
func (w *Worker) Tell(ctx context.Context, r Ref) error {
	for fresh := true; fresh; {
		now := w.Now()
		e, err := w.Store.Take(ctx, r, now, now.Add(Lease))
		if err != nil || e == nil {
			return err
		}
		o := w.attempt(ctx, e)
		if fresh, err = w.Store.Settle(ctx, e, o, w.Now()); err != nil {
			return err
		}
		w.report(ctx, e, o)
	}
	return nil
}

// attempt does an entry, or decides not to.
func (w *Worker) attempt(ctx context.Context, e *Entry) Outcome {
	job := w.Jobs[e.Kind]
	if job == nil {
		return Outcome{State: Failed, Reason: "nothing is set up that does it"}
	}
	if e.Again && e.Attempts > Deaths && w.Now().After(e.patience()) { // whatever it does ends the function
		return Outcome{State: Failed, Reason: "no attempt has come to an end"}
	}
	o, err := w.do(ctx, job, e)
	if err == nil {
		if o.State == Due && o.After <= 0 {
			o.After = pause(e.Attempts)
		}
		return o
	}
	return w.failed(e, err)
}

// do makes an error of a panic, and of a job that takes longer than the function
// may run: one entry must not end the run of all others.
func (w *Worker) do(ctx context.Context, job Job, e *Entry) (o Outcome, err error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-Ending))
		defer cancel()
	}
	defer func() {
		if v := recover(); v != nil { // its value may quote anything
			w.Log.ErrorContext(ctx, "panic", "event", "outbox_failed", "kind", e.Kind, "panic", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
			err = errs.New(errs.Internal, "panic")
		}
	}()
	return job.Do(ctx, *e)
}

// failed says what follows from an error: it is tried again until Patience is
// over. So is a refusal, because credentials are replaced and configurations
// mended.
func (w *Worker) failed(e *Entry, err error) Outcome {
	reason, after := errs.KindOf(err), pause(e.Attempts)
	if w.Wait != nil {
		if told, ok := w.Wait(err); ok {
			after = max(after, told)
		}
	}
	if w.Now().Add(after).After(e.patience()) {
		return Outcome{State: Failed, Reason: string(reason) + " for too long"}
	}
	return Outcome{State: Due, After: after, Reason: string(reason), Refused: Refusal(err)}
}

// patience is until when it is tried.
func (e *Entry) patience() time.Time {
	if e.Held.After(e.Since) {
		return e.Held.Add(Patience)
	}
	return e.Since.Add(Patience)
}

// Refusal reports whether somebody has to see to an error: it does not pass by
// itself.
func Refusal(err error) bool {
	return !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.TooMany) && !errs.Is(err, errs.Conflict)
}

// pause before the attempt after the given one.
func pause(attempt int) time.Duration { return min(First<<min(max(attempt-1, 0), 10), Longest) }

func (w *Worker) report(ctx context.Context, e *Entry, o Outcome) {
	args := []any{"kind", e.Kind, "state", o.State, "site", e.Site, "subject", e.Subject, "attempts", e.Attempts, "reason", o.Reason}
	if e.Kind == Mark {
		args = append(args, "system", e.ID)
	}
	if o.State == Failed || o.State == Unknown || o.Refused {
		w.Log.ErrorContext(ctx, "something could not be told", append(args, "event", "outbox_failed")...)
		return
	}
	w.Log.InfoContext(ctx, "outbox", args...)
}
