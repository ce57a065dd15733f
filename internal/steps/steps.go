// Package steps is the component behind the state machines of data-subject
// requests: it takes a request forward by one bounded piece of work at a time.
// It reads, exports, packs and notifies; what alters or deletes personal data is
// the function erase's.
package steps

import (
	"context"
	"log/slog"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// engine is Step Functions.
type engine interface {
	// Alive reports whether an execution runs.
	Alive(ctx context.Context, execution string) (bool, error)
	// Succeed tells the run that waits with the token. A run that does not wait
	// any more is not an error: delivered is false.
	Succeed(ctx context.Context, token, outcome string) (delivered bool, err error)
}

// tools are what one invocation works with: the configuration may have changed
// since the last.
type tools struct {
	*request.Runner
	post   poster
	links  request.Links
	pack   packer
	issue  issuer
	engine engine
}

// server answers invocations.
type server struct {
	tools func(ctx context.Context) (*tools, error)
	log   *slog.Logger
	now   func() time.Time
}

// verbs are all pieces of work, by the payload's do.
var verbs = map[string]func(*tools, context.Context, request.Payload) (request.Result, error){
	"begin":   (*tools).begin,
	"wait":    (*tools).wait,
	"lapse":   (*tools).lapse,
	"locate":  (*tools).locate,
	"plan":    (*tools).plan,
	"advance": (*tools).advance,
	"package": (*tools).pack_,
	"deliver": (*tools).deliver,
	"answer":  (*tools).answer,
	"look":    (*tools).look,
	"looked":  (*tools).looked,
	"ask":     (*tools).ask,
}

// serve does one piece of work and logs one line of it.
func (s *server) serve(ctx context.Context, p request.Payload) (request.Result, error) {
	start := s.now()
	verb, ok := verbs[p.Do]
	if !ok {
		return request.Result{}, errs.New(errs.Invalid, "steps cannot %q", p.Do)
	}
	t, err := s.tools(ctx)
	var out request.Result
	if err == nil {
		out, err = verb(t, ctx, p)
	}
	request.LogStep(ctx, s.log, p, out, err, s.now().Sub(start))
	return out, err
}
