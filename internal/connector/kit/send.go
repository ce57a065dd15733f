package kit

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/avow-consent/avow/internal/errs"
)

var errBody = errors.New("the body of the call cannot be encoded")

// outgoing is one attempt of a call.
type outgoing struct {
	method    string
	target    *url.URL
	header    http.Header
	body      []byte
	mediaType string
	token     string
}

// send makes an attempt and follows redirects of reads. To another host it
// goes only for files, and then without credentials.
func (c *Client) send(ctx context.Context, call Call, o outgoing, file bool) (*http.Response, *failure) {
	for range redirects + 1 {
		if !sameOrigin(o.target, c.base) {
			if !file {
				return nil, c.astray(call, "leads to another host")
			}
			if err := c.outside(o.target); err != nil {
				return nil, c.silent(call, err)
			}
			o.token, o.header = "", nil
		}
		response, err := c.o.Transport.RoundTrip(o.request(ctx))
		if err != nil {
			return nil, c.silent(call, err)
		}
		if !isRedirect(response.StatusCode) {
			return response, nil
		}
		location := response.Header.Get("Location")
		_, _ = io.CopyN(io.Discard, response.Body, 4<<10) // so that the connection can be used again
		response.Body.Close()
		if o.method != http.MethodGet && o.method != http.MethodHead {
			return nil, c.astray(call, "is redirected")
		}
		next, err := o.target.Parse(location)
		if location == "" || err != nil || next.User != nil {
			return nil, c.astray(call, "is redirected to no address")
		}
		o.target = next
	}
	return nil, c.astray(call, "is redirected for ever")
}

func (o outgoing) request(ctx context.Context) *http.Request {
	r := (&http.Request{
		Method: o.method, URL: o.target, Host: o.target.Host, Header: http.Header{},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	for name, values := range o.header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	r.Header.Set("User-Agent", "Avow")
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	if o.token != "" {
		r.Header.Set("Authorization", o.token)
	}
	if o.mediaType != "" {
		r.Header.Set("Content-Type", o.mediaType)
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(o.body)), int64(len(o.body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(o.body)), nil }
	}
	return r
}

func (c *Client) astray(call Call, why string) *failure {
	return &failure{err: errs.New(errs.Internal, "%s %s %s: %s", c.o.System, call.Method, call.Route, why)}
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && a.Hostname() == b.Hostname() && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}
