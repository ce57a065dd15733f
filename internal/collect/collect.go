// Package collect is the door of web pages: it appends what a public key posts,
// and serves the snippet. It cannot read the ledger.
package collect

import (
	"net"
	"net/http"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/snippet"
	"github.com/avow-consent/avow/internal/wire"
)

type server struct {
	sites    *site.Directory
	recorder *consent.Recorder
}

func (s *server) routes(mux *httpapi.Mux, gate *httpapi.Gate) {
	mux.Handle("POST /public/consent", gate.Handler(s.postConsent))
	mux.Handle("GET /avow.js", getSnippet)
	mux.Handle("OPTIONS /{path...}", allow)
}

// allow lets a browser's preflight pass. API Gateway adds the CORS headers by
// its own configuration; whether an origin may use a key is judged with the
// post itself.
func allow(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// postConsent appends one consent. The answer tells nothing about whether the
// person is known.
func (s *server) postConsent(w http.ResponseWriter, r *http.Request) error {
	body, err := httpapi.Decode(r)
	if err != nil {
		return err
	}
	submission, err := wire.DecodeConsent(body, consent.Public)
	if err != nil {
		return err
	}
	submission.IdempotencyKey = httpapi.IdempotencyKey(r)
	submission.SignalGPC = r.Header.Get("Sec-GPC") == "1"
	if !submission.NoIP {
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			submission.IP = redact.String(host)
		}
	}
	ack, err := s.recorder.Record(r.Context(), s.sites.Policy(httpapi.CallerOf(r).Site), submission)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, wire.NewAcknowledgement(ack))
}

// getSnippet serves avow.js, for trials: in production a site serves an
// immutable copy from its own host.
func getSnippet(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("ETag", snippet.ETag())
	w.Header().Set("Cache-Control", "public, max-age=300")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if r.Header.Get("If-None-Match") == snippet.ETag() {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	w.Header().Set("Content-Type", snippet.ContentType)
	_, err := w.Write(snippet.Source())
	return err
}
