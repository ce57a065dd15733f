package fakekit

import (
	"fmt"
	"io"
	"net"
	"net/http"
)

// File is an attachment. Its content is Text, or Size bytes of it repeated.
type File struct {
	ID, Name, MediaType, Text string
	Size                      int64
}

// Serve writes the file.
func (f File) Serve(w http.ResponseWriter) {
	w.Header().Set("Content-Type", f.MediaType)
	w.Header().Set("Content-Length", fmt.Sprint(f.Size))
	_, _ = io.Copy(w, io.LimitReader(&repeated{text: f.Text}, f.Size))
}

// repeated is a text over and over.
type repeated struct {
	text string
	at   int
}

// Read implements io.Reader.
func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && r.text != "" {
		copied := copy(p[n:], r.text[r.at:])
		n += copied
		r.at = (r.at + copied) % len(r.text)
	}
	return n, nil
}

// OtherHost is the address of this server under its other local name, for files
// that a vendor keeps at another host; otherwise, away from this machine.
func OtherHost(r *http.Request, otherwise string) string {
	host, port, err := net.SplitHostPort(r.Host)
	switch {
	case err != nil || !Local(r):
		return otherwise
	case host == "localhost":
		return "http://127.0.0.1:" + port
	}
	return "http://localhost:" + port
}

// Base is the address that a call has used, for links.
func Base(r *http.Request) string {
	if Local(r) {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

// Local reports whether a call has reached the fake on this machine.
func Local(r *http.Request) bool {
	name, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		name = r.Host
	}
	return name == "localhost" || name == "127.0.0.1"
}
