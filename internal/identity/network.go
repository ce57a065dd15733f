package identity

import "net/netip"

// Network is the IPv4 address, or the /64 network of the IPv6 address, that an IP
// address belongs to: who has one address of such a network has all of them. ""
// for a text that is no address.
func Network(address string) string {
	at, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	at = at.Unmap().WithZone("")
	if !at.Is6() {
		return at.String()
	}
	const own = 64 // bits
	prefix, err := at.Prefix(own)
	if err != nil {
		return ""
	}
	return prefix.String()
}
