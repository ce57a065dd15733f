package connector

import (
	"errors"
	"time"
)

// LaterError is a failure of a system that has said, or of which is known, when
// it is worth asking again. Its kind is that of Cause.
type LaterError struct {
	After time.Duration // from the moment of the failure; at least 0
	Cause error
}

// Error is the text of the cause.
func (e *LaterError) Error() string { return e.Cause.Error() }

// Unwrap gives the cause.
func (e *LaterError) Unwrap() error { return e.Cause }

// Later adds to a failure how long to wait before the system is asked again.
func Later(after time.Duration, cause error) error {
	if cause == nil {
		return nil
	}
	return &LaterError{After: max(0, after), Cause: cause}
}

// RetryAfter is how long a failed system asks to be left alone; ok is false
// when it has not said so and the policy's own pause holds.
func RetryAfter(err error) (after time.Duration, ok bool) {
	var later *LaterError
	if !errors.As(err, &later) {
		return 0, false
	}
	return later.After, true
}
