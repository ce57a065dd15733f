// Package admin is the door of administrators: keys and settings of their own
// site, new sites, and systems.json, which all sites share. It reads and writes
// no personal data, and nothing else may do what it does: see
// docs/decisions/0007-admin-doors.md.
package admin

import (
	"context"
	"net/http"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/office"
)

// maxBody bounds all bodies but systems.json.
const maxBody = 64 << 10

// Systems is systems.json as the stack keeps it.
type Systems interface {
	// Current reads it with the name of its version.
	Current(ctx context.Context) (text []byte, version string, err error)
	// Replace puts another text in the place of a version, and returns the version
	// that it then has; a Conflict when it has another one by now. Twice is once.
	Replace(ctx context.Context, text []byte, version string) (next string, err error)
	// Check judges a text as a function does that starts with it: Invalid with one
	// sentence, or what an administrator ought to see to.
	Check(text []byte) (warnings []string, err error)
}

type server struct {
	desk    *office.Desk
	systems Systems
}

// routes registers every door. All of them need a key of rank admin.
func (s *server) routes(mux *httpapi.Mux, people *httpapi.Gate) {
	for pattern, door := range map[string]httpapi.Handler{
		"GET /admin/keys":                  s.listKeys,
		"POST /admin/keys":                 s.makeKey,
		"POST /admin/keys/{key}/revoke":    s.revokeKey,
		"GET /admin/sites":                 s.listSites,
		"POST /admin/sites":                s.makeSite,
		"PUT /admin/sites/{site}/settings": s.putSettings,
		"GET /admin/systems":               s.showSystems,
		"PUT /admin/systems":               s.putSystems,
		"GET /admin/log":                   s.showLog,
	} {
		mux.Handle(pattern, people.AtLeast(keys.Admin, door))
	}
	mux.Fallback(people.AtLeast(keys.Admin, func(http.ResponseWriter, *http.Request) error {
		return errs.New(errs.NotFound, "there is no such path")
	}))
}

// actorOf is the person whose admin key it is.
func actorOf(r *http.Request) office.Actor {
	key := httpapi.CallerOf(r).Key
	return office.Actor{Who: key.Person, Role: string(key.Rank), Key: key.Hash}
}

// siteOf is the only site that the caller's key reaches.
func siteOf(r *http.Request) string { return httpapi.CallerOf(r).Key.Site }
