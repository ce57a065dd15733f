package requests

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/throttle"
)

// count reports how often something was done in a period, this time included.
func (s *server) count(ctx context.Context, site, what, value string, period time.Duration) (int, error) {
	c := throttle.Counter{Store: s.store, Hasher: s.hasher, Now: s.now}
	return c.Count(ctx, site, what, value, s.terms.Policy.Scale(period))
}
