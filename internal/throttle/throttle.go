// Package throttle bounds how often the doors that anybody may knock at are used:
// it counts, and stores a keyed hash of what is counted, never the thing itself.
package throttle

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
)

// Store keeps counters.
type Store interface {
	// Count reports how often something was counted until a counter expires, this
	// time included.
	Count(ctx context.Context, name string, expires time.Time) (int, error)
}

// Counter counts for sites. It is safe for concurrent use.
type Counter struct {
	Store  Store
	Hasher *pseudonym.Hasher
	Now    func() time.Time
}

// Count reports how often something was done in a period that begins with the
// epoch, this time included.
func (c Counter) Count(ctx context.Context, site, what, value string, period time.Duration) (int, error) {
	period = max(period, time.Millisecond)
	n := c.Now().UTC().UnixNano() / int64(period)
	name := what + "." + c.Hasher.Identifier(site, "counter."+what, value) + "." + strconv.FormatInt(n, 36)
	return c.Store.Count(ctx, name, time.Unix(0, (n+1)*int64(period)).Add(time.Hour).UTC())
}

// Network is what a connection comes from (identity.Network), given its address
// and port; "" when it cannot be told.
func Network(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	return identity.Network(at.Addr().String())
}
