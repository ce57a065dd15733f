// Package kit is what connectors that speak HTTP share: one client with a
// token, bounded attempts and pauses, paths that cannot be empty, pages that
// end, files that stream, and errors that quote nothing of what a vendor sent.
//
// A connector gives it the base address, the clock and the transport, so that
// the same code runs against the vendor, a fake and a fault-injecting
// transport.
package kit

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
)

// Bounds of a client that sets no others.
const (
	Attempts  = 4
	Timeout   = 20 * time.Second       // of one attempt, its body included; for a file: without a single byte
	Longest   = 5 * time.Second        // pause inside a call; a longer one is left to the runner
	First     = 200 * time.Millisecond // pause after the first attempt, before jitter
	MaxAnswer = 8 << 20                // bytes of a JSON answer
	MaxFile   = 5 << 30                // bytes of a file
	redirects = 5                      // in a row
)

// Options of a Client. Base, System and Now are needed.
type Options struct {
	System    string            // name of the system, for error texts
	Base      string            // "https://example.refdesk.test/api": templates of routes follow it
	Transport http.RoundTripper // nil: NewTransport
	Now       func() time.Time
	Login     Login // nil: calls carry no credentials
	// Codes are the vendor's error codes that may stand in an error text, by the
	// kind of error each one is ("": as its status says). A code that is not
	// listed might quote a person and is left out.
	Codes map[string]errs.Kind
	// Pauses are how long the vendor wants to be left alone after an error code,
	// where it sends no Retry-After with it.
	Pauses map[string]time.Duration
	// Code reads the vendor's error code from a JSON error body. nil: the text
	// in "error", then in "code".
	Code func(a *Answer) string

	Attempts   int
	Timeout    time.Duration
	Longest    time.Duration
	AllowLocal bool                                             // files and redirects may lead to this machine: for fakes
	Sleep      func(ctx context.Context, d time.Duration) error // nil: real time, never past the context's deadline
	Random     func() float64                                   // [0,1), for jitter; nil: math/rand
}

// Client calls the API of one vendor. It is safe for concurrent use.
type Client struct {
	o    Options
	base *url.URL
}

// New returns a Client; a base address that cannot be one is Invalid.
func New(o Options) (*Client, error) {
	base, err := url.Parse(o.Base)
	if err != nil || base.Host == "" || base.User != nil || base.RawQuery != "" || base.Fragment != "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, errs.New(errs.Invalid, "system %q: base_url is no address such as https://example.com", o.System)
	}
	if base.Scheme == "http" && !(o.AllowLocal && isLocal(base.Hostname())) {
		return nil, errs.New(errs.Invalid, "system %q: base_url must begin with https://", o.System)
	}
	if o.Attempts == 0 {
		o.Attempts = Attempts
	}
	if o.Timeout == 0 {
		o.Timeout = Timeout
	}
	if o.Longest == 0 {
		o.Longest = Longest
	}
	if o.Sleep == nil {
		o.Sleep = pause
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.Transport == nil {
		o.Transport = NewTransport(base.Host, o.AllowLocal)
	}
	if o.Code == nil {
		o.Code = usualCode
	}
	return &Client{o: o, base: base}, nil
}

// Call is one call of the API.
type Call struct {
	Method string
	Route  Route
	Body   any        // sent as JSON
	Form   url.Values // sent as a form instead
	CSV    string     // sent as text/csv instead
	Header http.Header
	// Repeatable says of a POST or PATCH that doing it twice does no harm, as
	// with a search. All other methods are repeatable by their nature.
	Repeatable bool
	// Expect are statuses that are an outcome and no error, beside 2xx: 404 of a
	// record that may be gone, 422 of one that is blocked.
	Expect []int
	// ExpectCodes are error codes of the vendor that are an outcome, whatever the
	// status, where one status means many things.
	ExpectCodes []string
}

func (c Call) repeatable() bool {
	return c.Repeatable || c.Method != http.MethodPost && c.Method != http.MethodPatch
}

// Do makes a call. What failed without having been applied is tried again; what
// may have been applied only if the call is repeatable. An Unavailable error
// carries how long to wait (connector.RetryAfter).
func (c *Client) Do(ctx context.Context, call Call) (*Answer, error) {
	target, err := call.Route.resolve(c.base)
	if err != nil {
		return nil, c.wrong(call, err)
	}
	body, mediaType, err := call.encode()
	if err != nil {
		return nil, c.wrong(call, err)
	}
	var answer *Answer
	err = c.persist(ctx, call, func(ctx context.Context, token string) *failure {
		ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
		defer cancel()
		request := outgoing{method: call.Method, target: target, header: call.Header, body: body, mediaType: mediaType, token: token}
		response, f := c.send(ctx, call, request, false)
		if f != nil {
			return f
		}
		answer, f = c.read(call, response)
		return f
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// Get makes a GET and decodes the answer.
func (c *Client) Get(ctx context.Context, route Route, into any) error {
	a, err := c.Do(ctx, Call{Method: http.MethodGet, Route: route})
	if err != nil {
		return err
	}
	return a.JSON(into)
}

// persist tries until an attempt succeeds or no other one makes sense.
func (c *Client) persist(ctx context.Context, call Call, attempt func(context.Context, string) *failure) error {
	renewed := false
	for n := 0; ; n++ {
		token := ""
		if c.o.Login != nil {
			var err error
			if token, err = c.o.Login.Token(ctx); err != nil {
				return err
			}
		}
		f := attempt(ctx, token)
		if f == nil {
			return nil
		}
		if f.status == http.StatusUnauthorized && !renewed && c.o.Login != nil && c.o.Login.Renew(token) {
			renewed = true
			n-- // a login is no attempt
			continue
		}
		if f.err.Kind != errs.Unavailable {
			return f.err
		}
		wait := f.after
		if !f.told {
			wait = c.backoff(n)
		}
		if f.unknown && !call.repeatable() || n+1 >= c.o.Attempts || wait > c.o.Longest || c.o.Sleep(ctx, wait) != nil {
			if !f.unknown {
				return connector.Later(wait, unapplied{f.err})
			}
			return connector.Later(wait, f.err)
		}
	}
}

// backoff is the pause after attempt n (from 0): it doubles, and half of it is
// left to chance, so that clients that failed together do not return together.
func (c *Client) backoff(n int) time.Duration {
	d := min(First<<min(n, 10), c.o.Longest)
	return d/2 + time.Duration(c.o.Random()*float64(d/2))
}

// pause sleeps, or fails at once if the context ends before that.
func pause(ctx context.Context, d time.Duration) error {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// passing are the statuses of failures that may pass.
func passing(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status == http.StatusTooEarly || status >= 500 && status != http.StatusNotImplemented
}

// expected reports whether a status is an outcome of the call.
func (c Call) expected(status int) bool {
	return status >= 200 && status < 300 || slices.Contains(c.Expect, status)
}

// outcome reports whether an answer is an outcome of the call.
func (c *Client) outcome(call Call, a *Answer) bool {
	return call.expected(a.Status) || len(call.ExpectCodes) > 0 && slices.Contains(call.ExpectCodes, c.o.Code(a))
}
