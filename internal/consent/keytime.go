package consent

import "time"

// KeyTime checks the idempotency key of a write that is no event and returns
// the key's time and the key itself; without a key it mints one of the receive
// time. A key must lie within what the site's policy and MaxAhead allow.
func KeyTime(p Policy, key string, received time.Time, newID func(time.Time) string) (at time.Time, stated string, err error) {
	return keyTime(p, key, received, newID)
}
