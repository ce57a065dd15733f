package kit

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/errs"
)

// File is an attachment as it arrives.
type File struct {
	MediaType string
	Size      int64 // -1: the vendor does not say
	body      io.ReadCloser
	left      int64
	idle      *time.Timer
	wait      time.Duration
	cancel    context.CancelFunc
	call      string
}

// Open begins to read a file at an address that the vendor gave, absolute or
// below the base address. route names it in errors. Credentials go to the
// vendor's own host only; no redirect leads into a private network. The file is
// at most MaxFile long; the caller reads it to its end and closes it.
func (c *Client) Open(ctx context.Context, route, link string) (*File, error) {
	call := Call{Method: http.MethodGet, Route: To(route), Header: http.Header{"Accept": {"*/*"}}}
	target, err := c.base.Parse(link)
	if err != nil || link == "" || target.User != nil {
		return nil, c.wrong(call, errRoute)
	}
	var file *File
	err = c.persist(ctx, call, func(ctx context.Context, token string) *failure {
		ctx, cancel := context.WithCancel(ctx)
		idle := time.AfterFunc(c.o.Timeout, cancel)
		response, f := c.send(ctx, call, outgoing{method: call.Method, target: target, header: call.Header, token: token}, true)
		if f == nil && !call.expected(response.StatusCode) {
			_, f = c.read(call, response)
		}
		if f != nil {
			idle.Stop()
			cancel()
			return f
		}
		file = &File{
			MediaType: response.Header.Get("Content-Type"), Size: response.ContentLength, body: response.Body, left: MaxFile,
			idle: idle, wait: c.o.Timeout, cancel: cancel, call: c.o.System + " GET " + route,
		}
		return nil
	})
	return file, err
}

// Patience is how long the host of a file may be away before an export goes on
// without the file: a picture that somebody linked to must not keep an answer
// back for ever.
const Patience = 24 * time.Hour

// Missing reports whether a file is given up after an error of Open: it is gone,
// or its host is away for longer than Patience. failing is connector.Call.Failing.
func Missing(err error, failing time.Duration) bool {
	return errs.Is(err, errs.NotFound) || errs.Is(err, errs.Unavailable) && failing >= Patience
}

// Read implements io.Reader. An answer that breaks off is Unavailable, never a
// shorter file.
func (f *File) Read(p []byte) (int, error) {
	n, err := f.body.Read(p)
	if f.left -= int64(n); f.left < 0 {
		return 0, errs.New(errs.TooLarge, "%s: the file is longer than %d bytes", f.call, int64(MaxFile))
	}
	f.idle.Reset(f.wait)
	if err != nil && !errors.Is(err, io.EOF) {
		err = errs.New(errs.Unavailable, "%s: the file broke off", f.call)
	}
	return n, err
}

// Close ends the reading.
func (f *File) Close() error {
	f.idle.Stop()
	f.cancel()
	return f.body.Close()
}
