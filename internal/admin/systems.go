package admin

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/settings"
)

// showSystems is GET /admin/systems: systems.json as it was put, with its version
// as ETag. One that does not hold any more is shown, too: it must be mended.
func (s *server) showSystems(w http.ResponseWriter, r *http.Request) error {
	text, version, err := s.systems.Current(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etag(version))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err = w.Write(text)
	return err
}

func etag(version string) string { return `"` + version + `"` }

// systemsView answers a systems.json that was put.
type systemsView struct {
	Version  string   `json:"version"`
	Warnings []string `json:"warnings"` // what stops nothing yet
}

// putSystems is PUT /admin/systems: it is checked as at the start of a function,
// and takes the place of exactly the version that If-Match names. Functions follow
// within setup.ConfigTTL.
func (s *server) putSystems(w http.ResponseWriter, r *http.Request) error {
	if r.ContentLength == 0 {
		return errs.New(errs.Invalid, "the body must be a systems.json")
	}
	var object json.RawMessage
	text, err := httpapi.DecodeStrict(r, settings.MaxBytes, &object)
	if err != nil {
		return err
	}
	header := r.Header.Get("If-Match")
	version := strings.Trim(header, `"`)
	if version == "" || header != etag(version) {
		return errs.New(errs.Invalid, "If-Match must be the ETag of the systems.json that you have read: GET /admin/systems")
	}
	warnings, err := s.systems.Check(text)
	if err != nil {
		return err
	}
	held, now, err := s.systems.Current(r.Context())
	switch {
	case err != nil:
		return err
	case bytes.Equal(held, text): // said twice
		return writeSystems(w, now, warnings)
	case now != version:
		return errs.New(errs.Conflict, "systems.json has changed since it was read: read it again")
	}
	if err := s.desk.Note(r.Context(), actorOf(r), office.Stack, office.PutSystems, office.Systems(text, version)); err != nil {
		return err
	}
	next, err := s.systems.Replace(r.Context(), text, version)
	if err != nil {
		return err
	}
	return writeSystems(w, next, warnings)
}

func writeSystems(w http.ResponseWriter, version string, warnings []string) error {
	w.Header().Set("ETag", etag(version))
	return httpapi.WriteJSON(w, systemsView{version, append([]string{}, warnings...)})
}
