package steps

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

// poster sends letters, each at most once: *request.Postman.
type poster interface {
	SendMade(ctx context.Context, r *request.Request, kind letter.Kind, occasion string, data func() (letter.Data, error)) error
	Settle(ctx context.Context, r *request.Request) error
}

// send sends a letter; data is only called when it is written. While it is on its
// way, the run comes again: pause says when. One that cannot be sent is put to an
// operator, and the run waits: the person has a right to the answer, and at the
// close their address goes. With neither pause nor wait the letter is settled.
func (t *tools) send(ctx context.Context, r *request.Request, kind letter.Kind, occasion string, data func() (letter.Data, error)) (on open, err error) {
	err = t.post.SendMade(ctx, r, kind, occasion, data)
	if err == nil {
		on.wait, err = t.openLetter(ctx, r, kind)
		return on, err
	}
	if errors.Is(err, request.ErrUnderway) {
		return later(err), nil
	}
	var reason *errs.Error
	if !errors.Is(err, request.ErrUndeliverable) || !errors.As(err, &reason) {
		return on, err
	}
	task := t.Task(request.TaskManual, connector.Ask{
		Reason:       letterTask(kind) + ": " + reason.Message,
		Instructions: "Write to the person by other means; what the letter says is in the request and its log. Then say done, with what shows it.",
	})
	task.Choices = []request.Act{request.Done, request.Skip}
	on.wait = request.WaitTask(task.ID)
	return on, t.Open(ctx, r, []request.Task{task}, nil)
}

// open is what a run has to wait for before it goes on, if anything.
type open struct {
	pause time.Duration
	wait  request.Wait
}

// later is the wait for a letter that is on its way.
func later(err error) (on open) {
	on.pause, _ = connector.RetryAfter(err)
	return on
}

func (o open) any() bool { return o.pause > 0 || o.wait != "" }

// result is that of a piece of work that is not over because of it.
func (o open) result() request.Result {
	if o.wait != "" {
		return request.Result{State: waiting, Wait: o.wait}
	}
	return request.Result{State: string(request.Waiting), Seconds: request.Seconds(o.pause)}
}

// known is the data of a letter that needs nothing to be made.
func known(d letter.Data) func() (letter.Data, error) {
	return func() (letter.Data, error) { return d, nil }
}

func letterTask(kind letter.Kind) string { return "the letter " + string(kind) + " cannot be sent" }

// openLetter is the wait for the task about a letter that could not be sent;
// "" when there is none.
func (t *tools) openLetter(ctx context.Context, r *request.Request, kind letter.Kind) (request.Wait, error) {
	if r.Open == 0 {
		return "", nil
	}
	tasks, err := t.Store.Tasks(ctx, r.ID)
	if err != nil {
		return "", err
	}
	for _, task := range tasks {
		if task.Decided.IsZero() && task.System == "" && strings.HasPrefix(task.Reason, letterTask(kind)) {
			return request.WaitTask(task.ID), nil
		}
	}
	return "", nil
}

// answerOf is what the answer says of each system.
func (t *tools) answerOf(r *request.Request, steps []request.Step) letter.Data {
	var d letter.Data
	op := r.Type.Operation()
	for _, s := range steps {
		switch {
		case s.Operation == connector.Tell && s.Phase == request.Finished:
			d.Recipients = append(d.Recipients, t.recipients(s.System, r.Language)...)
		case s.Operation == op && s.Look == 0:
			d.Systems = append(d.Systems, t.systemOf(s, r.Language))
		}
	}
	if r.Certificate != nil {
		d.Certificate = r.Certificate.Digest
	}
	for _, after := range t.Policy.Looks[min(1, len(t.Policy.Looks)):] {
		d.Looks = append(d.Looks, r.Answered.Add(t.Policy.Scale(after)))
	}
	return d
}

func (t *tools) inventory(system string) connector.Inventory {
	s, err := t.System(system)
	if err != nil {
		return connector.Inventory{System: system, Title: connector.Text{"en": system}}
	}
	return s.Connector.Inventory()
}

func (t *tools) systemOf(s request.Step, language string) letter.System {
	inventory := t.inventory(s.System)
	one := letter.System{Title: inventory.Title.In(language)}
	for _, kind := range slices.Sorted(maps.Keys(s.Counts)) {
		one.Records += s.Counts[kind]
	}
	if s.Operation == connector.Erase {
		one.Backups = inventory.Backups.In(language)
	}
	for _, k := range s.Kept {
		one.Kept = append(one.Kept, letter.Kept{What: k.What, Ground: k.Ground, Reason: k.Reason, Until: k.Until})
	}
	switch s.Phase {
	case request.Finished:
		one.At = s.Ended
	case request.Skipped:
		one.Undone = s.Reason
	}
	return one
}

// recipients are those that a system was made to tell (Art. 19).
func (t *tools) recipients(system, language string) []string {
	inventory := t.inventory(system)
	var names []string
	for _, r := range inventory.Recipients {
		names = append(names, r.In(language))
	}
	if inventory.Processor != nil {
		names = append(names, inventory.Processor.Name)
	}
	return names
}
