package conformance

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
)

var ctx = context.Background()

// errDied is what a function that has died would have said.
var errDied = errors.New("the function has died")

// A fault is what becomes of one call.
type fault string

const (
	refused   fault = "is refused"                                          // nothing was sent
	down      fault = "is refused until the client gives up"                //
	limited   fault = "is told to come back later"                          // 429 with a page
	failed    fault = "fails before it is applied"                          // 500 with a page
	lost      fault = "is applied and its reply is lost"                    //
	failedYet fault = "is applied and answered with an error"               // 500
	gone      fault = "is applied and its reply lost until the client ends" // every attempt of it
	early     fault = "is never sent: the function has died before"
	late      fault = "is applied and the function dies"
)

var allFaults = []fault{refused, down, limited, failed, lost, failedYet, gone, early, late}

// faults is a transport on which one call fails. It is for one goroutine.
type faults struct {
	next  http.RoundTripper
	at    int // which call, from 1; 0: none
	what  fault
	calls int
	dead  bool
	hit   string // the call that failed for good: its repetitions fail, too
	times int
}

// persistent is how often a client's attempts at one call fail.
const persistent = 4

func (f *faults) revive() { f.dead, f.hit = false, "" }

// RoundTrip implements http.RoundTripper.
func (f *faults) RoundTrip(r *http.Request) (*http.Response, error) {
	if f.dead {
		return nil, errDied
	}
	f.calls++
	what := fault("")
	name := r.Method + " " + r.URL.String()
	switch {
	case f.calls == f.at:
		what = f.what
		if what == down || what == gone {
			f.hit, f.times = name, persistent
		}
	case f.hit == name && f.times > 0:
		what = f.what
	}
	if f.hit == name {
		f.times--
	}
	switch what {
	case refused, down:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case limited:
		return page(r, http.StatusTooManyRequests), nil
	case failed:
		return page(r, http.StatusBadGateway), nil
	case early:
		f.dead = true
		return nil, errDied
	}
	response, err := f.next.RoundTrip(r)
	if what == "" || err != nil {
		return response, err
	}
	response.Body.Close()
	switch what {
	case failedYet:
		return page(r, http.StatusInternalServerError), nil
	case late:
		f.dead = true
		return nil, errDied
	}
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

func page(r *http.Request, status int) *http.Response {
	header := http.Header{"Content-Type": {"text/html"}}
	if status == http.StatusTooManyRequests {
		header.Set("Retry-After", "90")
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("<html>sorry")), Request: r}
}

// Local is a transport to a handler in this process, whatever the host.
func Local(h http.Handler) http.RoundTripper { return local{h} }

type local struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (l local) RoundTrip(r *http.Request) (*http.Response, error) {
	seen := r.Clone(r.Context())
	seen.RequestURI = r.URL.RequestURI()
	if seen.Body == nil {
		seen.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	l.ServeHTTP(w, seen)
	response := w.Result()
	response.Request = r
	return response, nil
}
