package propagate

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/request"
)

// systems gives the configured systems as they are now.
type systems func(context.Context) ([]request.System, error)

// marked are the systems with flags that follow answers.
func (s systems) marked(ctx context.Context) (list []request.System, err error) {
	all, err := s(ctx)
	for _, one := range all {
		if len(one.Marks) > 0 {
			list = append(list, one)
		}
	}
	return list, err
}

// change is the job of a person whose answers have changed: one entry for each
// system that has to follow.
type change struct {
	store   outbox.Store
	systems systems
}

// Do implements outbox.Job.
func (c change) Do(ctx context.Context, e outbox.Entry) (outbox.Outcome, error) {
	list, err := c.systems.marked(ctx)
	if err != nil {
		return outbox.Outcome{}, err
	}
	for _, one := range list {
		err := c.store.Renew(ctx, outbox.Entry{
			Ref: outbox.Ref{Subject: e.Subject, Kind: outbox.Mark, ID: one.Name}, Site: e.Site, Since: e.Since, Next: e.Next,
		})
		if err != nil {
			return outbox.Outcome{}, err
		}
	}
	return outbox.Outcome{State: outbox.Done, Forget: true}, nil
}

// expiry is the job of a grant that ends now: the system looks again at what the
// person answers. A grant that was renewed meanwhile stays.
type expiry struct {
	store outbox.Store
	now   func() time.Time
}

// Do implements outbox.Job.
func (x expiry) Do(ctx context.Context, e outbox.Entry) (outbox.Outcome, error) {
	now := x.now()
	err := x.store.Renew(ctx, outbox.Entry{
		Ref: outbox.Ref{Subject: e.Subject, Kind: outbox.Mark, ID: outbox.ExpirySystem(e.ID)}, Site: e.Site, Since: now, Next: now,
	})
	return outbox.Outcome{State: outbox.Done, Forget: true}, err
}

// find is the system that an entry names; nil where it is gone, or follows
// nothing any more.
func (s systems) find(ctx context.Context, name string) (*request.System, connector.Marker, error) {
	list, err := s.marked(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, one := range list {
		if marker, ok := one.Connector.(connector.Marker); ok && one.Name == name {
			return &one, marker, nil
		}
	}
	return nil, nil, nil
}
