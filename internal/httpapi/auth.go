package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/site"
)

// Caller is who makes a request, and for which site.
type Caller struct {
	Key  *keys.Key
	Site *site.Site
}

// Gate lets in callers whose key has the right class.
type Gate struct {
	Ring  *keys.Ring
	Sites *site.Directory
	Class keys.Class
}

type callerKey struct{}

// Handler wraps a handler that needs a caller. The key comes in the ApiKey
// header. text/plain bodies, which a page sends by sendBeacon and so without
// headers of its own, may name a public one in the query.
func (g *Gate) Handler(next Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		text := r.Header.Get("ApiKey")
		if g.Class == keys.Public {
			text = header(r, "ApiKey", "key")
		}
		key, err := g.Ring.Authenticate(r.Context(), text, g.Class)
		if err != nil {
			return err
		}
		if _, err := url.ParseQuery(r.URL.RawQuery); err != nil {
			// Dropping what cannot be read would drop a filter, and show everybody.
			return errs.Wrap(errs.Invalid, err, "the query is not urlencoded")
		}
		if err := key.AllowOrigin(r.Header.Get("Origin")); err != nil {
			return err
		}
		s, err := g.Sites.Site(r.Context(), key.Site)
		if err != nil {
			return err
		}
		Note(r.Context(), slog.String("site", s.ID))
		return next(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, Caller{key, s})))
	}
}

// AtLeast wraps a handler that needs a role key of at least the given rank. The
// refusal names the rank.
func (g *Gate) AtLeast(least keys.Rank, next Handler) Handler {
	return g.Handler(func(w http.ResponseWriter, r *http.Request) error {
		key := CallerOf(r).Key
		if key.Class != keys.Role || !key.Rank.AtLeast(least) {
			return errs.New(errs.Forbidden, "this needs a key of the role %s", least)
		}
		Note(r.Context(), slog.String("role", string(key.Rank)))
		return next(w, r)
	})
}

// CallerOf returns the caller that a Gate let in.
func CallerOf(r *http.Request) Caller { return r.Context().Value(callerKey{}).(Caller) }

// IdempotencyKey returns the idempotency key of a write, "" when none came.
func IdempotencyKey(r *http.Request) string {
	return header(r, "Idempotency-Key", "idempotency_key")
}

// header returns a header, or for a beacon the query parameter that stands for
// it.
func header(r *http.Request, name, parameter string) string {
	if value := r.Header.Get(name); value != "" {
		return value
	}
	if r.Method == http.MethodPost && mediaType(r) == "text/plain" {
		return r.URL.Query().Get(parameter)
	}
	return ""
}
