package request

import (
	"context"
	"strconv"

	"github.com/avow-consent/avow/internal/errs"
)

// Starter starts runs of the request machine (internal/flow): the same name
// again is the same run, and a Conflict once that one has ended.
type Starter interface {
	Start(ctx context.Context, request, name string) (execution string, err error)
}

// launches is how many runs of one epoch may end before they take it: each leaves
// its name behind.
const launches = 20

// Launch starts the next run of a request. The name follows from the epoch that
// the run will take, so that all who start one at the same time start the same.
func Launch(ctx context.Context, m Starter, r *Request) error {
	var err error
	for n := r.Epoch + 1; n <= r.Epoch+launches; n++ {
		if _, err = m.Start(ctx, r.ID, r.ID+"-"+strconv.Itoa(n)); !errs.Is(err, errs.Conflict) {
			return err
		}
	}
	return errs.Wrap(errs.Internal, err, "%d runs of the request have ended before they began", launches)
}
