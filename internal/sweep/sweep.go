// Package sweep looks after requests from outside: it does what nobody else does
// because a date has come, and what somebody else has left undone because a
// function died. It reminds, warns, marks what is overdue, sends what is owed,
// starts runs that are missing, and stops mail to addresses that do not want it.
// It tells the privacy office of agreements with processors that have lapsed.
//
// Each request carries the instant of its next visit (request.NextVisit). A visit
// may come twice, late, or beside another one: letters are sent once, runs are
// started under a name that follows from the epoch, and every change is written
// under the version that was read, with its line in the log. Sweep deletes
// nothing.
package sweep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

const (
	page   = 100              // requests that are read from the index at a time
	margin = 10 * time.Second // before the end of the invocation no visit begins
)

// Flow starts runs and tells them of decisions (internal/flow).
type Flow interface {
	request.Starter
	Alive(ctx context.Context, execution string) (bool, error)
	Succeed(ctx context.Context, token, outcome string) (delivered bool, err error)
}

// Post sends letters (request.Postman).
type Post interface {
	Send(ctx context.Context, r *request.Request, kind letter.Kind, occasion string, d letter.Data) error
	Arrived(ctx context.Context, request string, kind letter.Kind, occasion string) (out, settled bool, err error)
	Agreement(ctx context.Context, i connector.Inventory) (sent bool, err error)
	Outage(ctx context.Context, r *request.Request, kind letter.Kind, occasion string) error
}

// Linker makes the links that letters carry (request.Links).
type Linker interface {
	Make(ctx context.Context, r *request.Request, purpose string) (url string, expires time.Time, err error)
}

// Report says what an invocation has done.
type Report struct {
	Visited    int `json:"visited"`
	Failed     int `json:"failed"`     // requests whose visit did not come to its end
	Suppressed int `json:"suppressed"` // addresses that get no more mail
}

// sweeper is one sweep, under the configuration of its moment.
type sweeper struct {
	store  request.Store
	flow   Flow
	post   Post
	links  Linker
	policy request.Policy
	hash   func(address string) string
	now    func() time.Time
	log    *slog.Logger

	inventories []connector.Inventory // of the systems, as the configuration has them
}

// event is what EventBridge sends.
type event struct {
	Source string          `json:"source"`
	Type   string          `json:"detail-type"`
	Detail json.RawMessage `json:"detail"`
}

// handle tells the events apart: a schedule, or news of a mail.
func handle(ctx context.Context, s *sweeper, e event) (Report, error) {
	switch e.Source {
	case "aws.events", "aws.scheduler":
		return s.run(ctx)
	case "aws.ses":
		return s.returned(ctx, e)
	}
	return Report{}, errs.New(errs.Invalid, "sweep takes no events of %q", e.Source)
}

// run visits every request that is due, until none is left or the invocation
// nears its end. What is not reached now is reached by the next sweep, first.
func (s *sweeper) run(ctx context.Context) (Report, error) {
	var report Report
	s.agreements(ctx)
	seen := map[string]bool{}
	for {
		due, err := s.store.Due(ctx, s.now(), len(seen)+page)
		if err != nil {
			return report, err
		}
		fresh := 0
		for _, id := range due {
			if seen[id] {
				continue
			}
			if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < margin {
				s.log.WarnContext(ctx, "the time of this sweep is over before its work", "event", "sweep_unfinished", "visited", report.Visited)
				return report, nil
			}
			seen[id] = true
			fresh++
			report.Visited++
			if err := s.safely(ctx, id); err != nil {
				report.Failed++
				s.log.ErrorContext(ctx, "visiting a request", "event", "sweep_failed", "request", id, "err", err)
			}
		}
		if fresh == 0 {
			return report, nil
		}
	}
}

// agreements tells the privacy office which agreements have lapsed. It stops at
// what fails, and keeps nothing else back: the next sweep goes on.
func (s *sweeper) agreements(ctx context.Context) {
	for _, i := range s.inventories {
		switch sent, err := s.post.Agreement(ctx, i); {
		case errors.Is(err, request.ErrUndeliverable):
			s.log.WarnContext(ctx, "a letter cannot be mailed", "event", "letter_undeliverable", "letter", letter.Agreement, "system", i.System)
			return
		case err != nil:
			s.log.ErrorContext(ctx, "telling of a lapsed agreement", "event", "sweep_failed", "system", i.System, "err", err)
			return
		case sent:
			s.log.WarnContext(ctx, "an agreement with a processor has lapsed", "event", "agreement_lapsed", "system", i.System)
		}
	}
}

// safely visits a request and keeps what breaks there from the others.
func (s *sweeper) safely(ctx context.Context, id string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errs.New(errs.Internal, "a visit panicked: %T", r) // its text might hold anything
		}
	}()
	v, err := s.begin(ctx, id)
	if err == nil {
		err = v.all(ctx)
	}
	if errs.Is(err, errs.Conflict) { // somebody else has written the request: its next visit stands there
		return nil
	}
	return err
}

// begin reads a request for a visit.
func (s *sweeper) begin(ctx context.Context, id string) (*visit, error) {
	r, err := s.store.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the request: %w", err)
	}
	return &visit{sweeper: s, r: r, at: s.now().UTC()}, nil
}
