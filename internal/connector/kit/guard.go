package kit

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// errAddress is an address that a vendor must not send Avow to: the inside of
// the company's or Amazon's network answers those who come from inside.
var errAddress = errors.New("a private address")

// hidden are networks that are not the Internet, or that lead to one that is
// not (RFC 6890 and the translations of IPv4 into IPv6).
var hidden = func() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}()

// Public reports whether an address is one of the Internet.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return false
	}
	return !slices.ContainsFunc(hidden, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// isLocal reports whether a host name means this machine.
func isLocal(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// outside accepts the address of a file on another host. Names are looked at
// once more when they have been resolved, by NewTransport.
func (c *Client) outside(u *url.URL) error {
	local := isLocal(u.Hostname())
	if local && c.o.AllowLocal {
		return nil
	}
	if u.Scheme != "https" || u.Hostname() == "" || u.User != nil || local {
		return errAddress
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !Public(ip) {
		return errAddress
	}
	return nil
}

// NewTransport is a transport that connects to the configured host and to
// public addresses only, whatever a name resolves to. With local it may reach
// this machine, too.
func NewTransport(host string, local bool) *http.Transport {
	if u, err := url.Parse("//" + host); err == nil {
		host = u.Hostname()
	}
	g := guard{host: host, local: local, dialer: &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}, lookup: net.DefaultResolver.LookupNetIP}
	return &http.Transport{
		DialContext: g.dial, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 60 * time.Second,
		TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: Timeout,
	}
}

type guard struct {
	host   string
	local  bool
	dialer *net.Dialer
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dial resolves a name itself, so that the address that was judged is the one
// that is connected to.
func (g guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(host, g.host) {
		return g.dialer.DialContext(ctx, network, address)
	}
	ips, err := g.lookup(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(ips, func(ip netip.Addr) bool { return !Public(ip) && !(g.local && ip.Unmap().IsLoopback()) }) {
		return nil, errAddress
	}
	var last error = &net.DNSError{Err: "no address", IsNotFound: true}
	for _, ip := range ips {
		var conn net.Conn
		if conn, last = g.dialer.DialContext(ctx, network, net.JoinHostPort(ip.String(), port)); last == nil {
			return conn, nil
		}
	}
	return nil, last
}
