package kit

import (
	"context"
	"net"
	"net/netip"
	"net/url"
)

// Resolve is the address of a route below a base address.
func (r Route) Resolve(base *url.URL) (*url.URL, error) { return r.resolve(base) }

// Dial connects the way NewTransport does, with names that lookup resolves.
func Dial(ctx context.Context, host string, local bool, lookup func(context.Context, string, string) ([]netip.Addr, error), address string) (net.Conn, error) {
	return guard{host: host, local: local, dialer: &net.Dialer{}, lookup: lookup}.dial(ctx, "tcp", address)
}
