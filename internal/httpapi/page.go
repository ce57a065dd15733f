package httpapi

import (
	"net/http"
	"strconv"
)

// Private keeps an answer of a mailed link out of caches, other sites' logs,
// frames and search engines. policy is its Content-Security-Policy.
func Private(w http.ResponseWriter, policy string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Content-Security-Policy", policy)
}

// WritePage answers with an HTML page behind a mailed link.
func WritePage(w http.ResponseWriter, status int, html []byte, policy string) error {
	Private(w, policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(html)))
	w.WriteHeader(status)
	_, err := w.Write(html)
	return err
}
