package optin

import (
	"context"
	"errors"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/request"
)

// Post sends messages that go out once: the intent is written before the call, and
// what nobody knows the outcome of is not sent again.
type Post struct {
	Store Store
	Now   func() time.Time
}

// Before is what an earlier attempt has left: the outcome of a message that is
// not to be sent now; nil where it is, and again where that was tried.
func (p Post) Before(ctx context.Context, id string) (o *outbox.Outcome, again bool, err error) {
	a, err := p.Store.Asked(ctx, id)
	if err != nil || a == nil || a.State == NotTaken {
		return nil, a != nil, err
	}
	if a.State == Sending {
		if p.Now().Sub(a.At) < lease {
			return &outbox.Outcome{State: outbox.Due, After: lease}, true, nil
		}
		if err := p.Store.SettleAsked(ctx, id, Unknown, nil); err != nil {
			return nil, true, err
		}
		a.State = Unknown
	}
	return new(outcomes[a.State]), true, nil
}

// outcomes are what the states mean for the outbox.
var outcomes = map[State]outbox.Outcome{
	Sent:       {State: outbox.Done},
	NotTaken:   {State: outbox.Due}, // after a pause that the outbox lengthens
	Unknown:    {State: outbox.Unknown, Reason: "nobody knows whether the message went out: it is not sent again"},
	Refused:    {State: outbox.Failed, Reason: "the service does not take the message"},
	Throttled:  {State: outbox.Failed, Reason: "this address, or this network, has asked for too many messages"},
	Suppressed: {State: outbox.Failed, Reason: "mail to this address came back, or its owner does not want any"},
}

// Stop writes down that no message is sent: for good, or with NotTaken for a
// while.
func (p Post) Stop(ctx context.Context, id string, until time.Time, state State) (outbox.Outcome, error) {
	err := p.Store.PutAsked(ctx, &Asked{ID: id, State: state, At: p.Now().UTC(), Until: until})
	if err != nil && !errs.Is(err, errs.Conflict) {
		return outbox.Outcome{}, err
	}
	return outcomes[state], nil
}

// Send writes the intent, makes the call and writes what became of it. until is
// how long the message can be answered.
func (p Post) Send(ctx context.Context, id string, until time.Time, m consent.Message, call func(context.Context) ([]string, error)) (outbox.Outcome, error) {
	now := p.Now().UTC().Truncate(time.Millisecond)
	m.SentAt = now
	err := p.Store.PutAsked(ctx, &Asked{ID: id, State: Sending, At: now, Until: until, Message: m})
	if errs.Is(err, errs.Conflict) {
		return outcomes[NotTaken], nil // another call is at it
	}
	if err != nil {
		return outbox.Outcome{}, err
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ids, err := call(bounded)
	state := Sent
	switch {
	case err == nil:
	case errors.Is(err, request.ErrNotTaken) && errs.Is(err, errs.Invalid):
		state = Refused
	case errors.Is(err, request.ErrNotTaken):
		state = NotTaken
	default:
		state = Unknown
	}
	if err := p.Store.SettleAsked(ctx, id, state, ids); err != nil {
		return outbox.Outcome{}, err
	}
	return outcomes[state], nil
}
