// Package errs names the ways in which a request can go wrong. The domain
// returns these kinds; internal/httpapi is the one place that turns a kind
// into a status and a body. No text in this package or built with it may hold
// personal data: name the field, never its value.
package errs

import (
	"errors"
	"fmt"
	"time"
)

// Kind classifies an error. Its text is what logs show.
type Kind string

// The kinds, each with the HTTP status that internal/httpapi gives it.
const (
	Invalid         Kind = "invalid"         // 400
	Clock           Kind = "clock"           // 400, code "clock": a time out of range, server time attached
	TooBroad        Kind = "too_broad"       // 400: a filter that would read too much
	Unauthenticated Kind = "unauthenticated" // 401
	Token           Kind = "token"           // 401, code "token": the key is good, the subject token does not hold
	Forbidden       Kind = "forbidden"       // 403
	NotFound        Kind = "not_found"       // 404
	NotAllowed      Kind = "not_allowed"     // 405
	Conflict        Kind = "conflict"        // 409
	TooLarge        Kind = "too_large"       // 413
	Unsupported     Kind = "unsupported"     // 415
	TooMany         Kind = "too_many"        // 429: this caller has asked too often
	Unavailable     Kind = "unavailable"     // 503: a dependency did not answer; nothing was acknowledged
	Internal        Kind = "internal"        // 500: everything that is not listed here
)

// Field is one disliked field of a request. Field is a path such as
// "subject.phones[0].number".
type Field struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is an error with a kind. Message is shown to the caller.
type Error struct {
	Kind    Kind
	Message string
	Fields  []Field
	// ServerTime is set on Clock errors: what the server's clock showed.
	ServerTime time.Time
	// Cause is logged, never shown.
	Cause error
}

// Error returns kind and message; it never includes the cause's text.
func (e *Error) Error() string { return string(e.Kind) + ": " + e.Message }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// New returns an error of the given kind.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error of the given kind with a cause.
func Wrap(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// InvalidFields reports the fields of a request that cannot be accepted.
func InvalidFields(fields ...Field) *Error {
	return &Error{Kind: Invalid, Message: "invalid request: see errors", Fields: fields}
}

// InvalidField reports one field that cannot be accepted.
func InvalidField(field, format string, args ...any) *Error {
	return InvalidFields(Field{Field: field, Message: fmt.Sprintf(format, args...)})
}

// KindOf returns the kind of the first *Error in err's chain, Internal when
// there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }

// Cause is what may be logged of an unexpected error: the message of our own
// errors, which holds no data, else the type only.
func Cause(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return fmt.Sprintf("%T", err)
}

// MessageOf is what the first *Error in err's chain says to a caller, without
// its kind; the text of err when there is none.
func MessageOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}
