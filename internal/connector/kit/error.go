package kit

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/errs"
)

// failure is an attempt that did not succeed.
type failure struct {
	err     *errs.Error
	status  int           // 0: no answer
	unknown bool          // the call may have been applied
	told    bool          // the vendor has said when to ask again
	after   time.Duration // if told
}

// unapplied is an Unavailable of a call that the vendor has surely not carried out.
type unapplied struct{ error }

// Unwrap gives the error itself.
func (u unapplied) Unwrap() error { return u.error }

// Unapplied reports whether a call that has failed was surely not carried out:
// what must not be done twice may then be tried again later.
func Unapplied(err error) bool {
	switch errs.KindOf(err) {
	case errs.Invalid, errs.Forbidden, errs.NotFound, errs.Conflict, errs.Unsupported:
		return err != nil // the vendor has said no, or was never asked
	}
	return errors.As(err, new(unapplied))
}

// kinds of errors by status. Others below 500 are Internal: a person must look.
var kinds = map[int]errs.Kind{
	http.StatusBadRequest:            errs.Invalid,
	http.StatusUnprocessableEntity:   errs.Invalid,
	http.StatusUnauthorized:          errs.Forbidden,
	http.StatusForbidden:             errs.Forbidden,
	http.StatusNotFound:              errs.NotFound,
	http.StatusGone:                  errs.NotFound,
	http.StatusConflict:              errs.Conflict,
	http.StatusLocked:                errs.Conflict,
	http.StatusRequestEntityTooLarge: errs.TooLarge,
	http.StatusUnsupportedMediaType:  errs.Unsupported,
}

// wrong is a call that was never sent.
func (c *Client) wrong(call Call, cause error) error {
	return errs.New(errs.Internal, "%s %s %s: %v", c.o.System, call.Method, call.Route, cause)
}

// refused is an answer that is no outcome of the call. Its text is the status
// and, if the connector knows it, the vendor's code: bodies quote people.
func (c *Client) refused(call Call, a *Answer) *failure {
	kind, ok := kinds[a.Status]
	switch {
	case passing(a.Status):
		kind = errs.Unavailable
	case !ok:
		kind = errs.Internal
	}
	text, code := "", c.o.Code(a)
	if code != "" {
		if known, ok := c.o.Codes[code]; ok {
			text = " " + code
			if known != "" {
				kind = known
			}
		}
	}
	f := &failure{status: a.Status, unknown: a.Status >= 500}
	f.err = errs.New(kind, "%s %s %s: status %d%s", c.o.System, call.Method, call.Route, a.Status, text)
	now := c.o.Now()
	if served, err := http.ParseTime(a.Header.Get("Date")); err == nil {
		now = served // the vendor's clock decides about the vendor's dates
	}
	f.after, f.told = RetryAfter(a.Header.Get("Retry-After"), now)
	if pause, ok := c.o.Pauses[code]; ok && !f.told {
		f.after, f.told = pause, true
	}
	return f
}

// silent is an attempt without a whole answer.
func (c *Client) silent(call Call, cause error) *failure {
	var dial *net.OpError
	var name *net.DNSError
	var slow net.Error
	word, unknown := "the connection broke off", true
	switch {
	case errors.Is(cause, errAddress):
		return &failure{err: errs.New(errs.Forbidden, "%s %s %s: leads to a private address", c.o.System, call.Method, call.Route)}
	case errors.Is(cause, context.Canceled):
		word = "canceled"
	case errors.As(cause, &name):
		word, unknown = "no such host", false
	case errors.As(cause, &dial) && dial.Op == "dial":
		word, unknown = "no connection", false
	case errors.Is(cause, context.DeadlineExceeded), errors.As(cause, &slow) && slow.Timeout():
		word = "timed out"
	case errors.Is(cause, io.ErrUnexpectedEOF):
		word = "the answer broke off"
	}
	return &failure{err: errs.New(errs.Unavailable, "%s %s %s: %s", c.o.System, call.Method, call.Route, word), unknown: unknown}
}
