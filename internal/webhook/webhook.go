// Package webhook is the door of vendors that call Avow: WhatsApp's messages,
// statuses and choices, as Meta posts them. Nobody has a key here; the signature
// of a post is all that counts. What it says is acted on before the answer: after
// an error Meta posts again, for up to seven days, and every act may be repeated.
package webhook

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/hook"
	"github.com/avow-consent/avow/internal/httpapi"
)

// Keys are what Meta and the company have agreed on.
type Keys struct {
	AppSecret   []byte // signs posts
	VerifyToken []byte // of the subscription check
}

// Line is a telephone number of the company with its keys. Several numbers may
// belong to one app.
type Line struct {
	*chat.Line
	Keys Keys
}

// Desk acts on what is posted: *chat.Desk.
type Desk interface {
	Change(ctx context.Context, l *chat.Line, c hook.Change) error
}

type server struct {
	// lines are the configured numbers as of now, and the desk that acts for them. The
	// error says why a number is missing, or all of them.
	lines func(ctx context.Context) ([]Line, Desk, error)
}

func (s *server) routes(mux *httpapi.Mux) {
	mux.Handle("GET /webhooks/whatsapp", s.subscribe)
	mux.Handle("POST /webhooks/whatsapp", s.post)
}

var (
	errToken     = errs.New(errs.Forbidden, "this is no subscription check with the right token")
	errSignature = errs.New(errs.Forbidden, "the signature is not that of the body")
)

// subscribe is GET /webhooks/whatsapp: Meta asks, once, whether the address is
// the company's.
func (s *server) subscribe(w http.ResponseWriter, r *http.Request) error {
	lines, _, failed := s.lines(r.Context())
	for _, l := range lines {
		if challenge, ok := hook.Challenge(r.URL.Query(), l.Keys.VerifyToken); ok {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			w.WriteHeader(http.StatusOK)
			_, err := io.WriteString(w, challenge)
			return err
		}
	}
	if failed != nil { // it may be the token of the number that is missing
		return failed
	}
	return errToken
}

// post is POST /webhooks/whatsapp.
func (s *server) post(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, hook.MaxBody))
	if err != nil {
		return errs.New(errs.TooLarge, "a post has at most %d bytes", hook.MaxBody)
	}
	lines, desk, failed := s.lines(ctx)
	signed := map[string]*chat.Line{}
	for _, l := range lines {
		if hook.Signed(l.Keys.AppSecret, body, r.Header.Get(hook.SignatureHeader)) {
			signed[l.Number] = l.Line
		}
	}
	switch {
	case len(signed) == 0 && failed != nil: // the post may be about the number that is missing: it comes again
		return failed
	case len(signed) == 0:
		return errSignature
	case failed != nil:
		httpapi.Note(ctx, slog.String("missing_number", errs.MessageOf(failed)))
	}
	d, err := hook.Parse(body)
	if err != nil {
		return err
	}
	if err := handle(ctx, desk, signed, d, failed); err != nil {
		return err
	}
	return httpapi.WriteJSON(w, map[string]string{"status": "received"})
}

// handle acts on each change whose number is one of those that the signature
// vouches for. What fails does not keep the others from being done; the post then
// comes again as a whole. So does one with a number that may be the missing one.
func handle(ctx context.Context, desk Desk, lines map[string]*chat.Line, d hook.Delivery, missing error) error {
	var failed error
	strange := 0
	for _, c := range d.Changes {
		l := lines[c.Number]
		if l == nil {
			strange++
			continue
		}
		if err := desk.Change(ctx, l, c); err != nil {
			failed = err
		}
	}
	if d.Unread > 0 {
		httpapi.Note(ctx, slog.Int("unread", d.Unread))
	}
	if strange > 0 && missing != nil {
		failed = missing
	}
	if strange > 0 {
		httpapi.Note(ctx, slog.Int("unknown_numbers", strange))
	}
	return failed
}
