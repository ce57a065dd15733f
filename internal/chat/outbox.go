package chat

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/outbox"
)

// Queue has messages sent by the outbox.
type Queue struct {
	Store outbox.Store
	Now   func() time.Time
}

var _ Outbox = Queue{}

// Message implements Outbox. The entry's subject is the person's partition of
// messages, not one of the ledger.
func (q Queue) Message(ctx context.Context, site string, o Outgoing) error {
	now := q.Now()
	return q.Store.Add(ctx, outbox.Entry{
		Ref: outbox.Ref{Subject: o.Person, Kind: outbox.Message, ID: o.ID}, Site: site, Since: now, Next: now,
	})
}
