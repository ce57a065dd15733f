package api

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/site"
)

// register is the body of GET and PUT /preferences. Version rises by one with
// each change; a PUT that names it fails when someone else was faster.
type register struct {
	Preferences []site.Purpose `json:"preferences"`
	Version     *int           `json:"version,omitempty"`
}

// getRegister shows the register of preferences.
func (s *server) getRegister(w http.ResponseWriter, r *http.Request) error {
	current, err := s.sites.Refresh(r.Context(), siteOf(r).ID)
	if err != nil {
		return err
	}
	return writeRegister(w, current)
}

func writeRegister(w http.ResponseWriter, s *site.Site) error {
	out := register{Preferences: s.Register, Version: &s.RegisterVersion}
	if out.Preferences == nil {
		out.Preferences = []site.Purpose{}
	}
	return httpapi.WriteJSON(w, out)
}

// putRegister replaces the register. This path is our own, so its body is read
// strictly: a misspelt field is an error.
func (s *server) putRegister(w http.ResponseWriter, r *http.Request) error {
	body, err := httpapi.Decode(r)
	if err != nil {
		return err
	}
	var in register
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil || in.Preferences == nil {
		return errs.Wrap(errs.Invalid, err, `the body must be {"preferences":[{"key":…,"purpose":{…},"legal_basis":…,"channel":…,"validity_days":…,"sale_or_sharing":…}],"version":…} without other fields`)
	}
	if err := site.ValidateRegister(in.Preferences); err != nil {
		return err
	}
	current, err := s.sites.Refresh(r.Context(), siteOf(r).ID)
	if err != nil {
		return err
	}
	version := current.RegisterVersion
	if in.Version != nil {
		version = *in.Version
	}
	if _, err := s.register.PutRegister(r.Context(), current.ID, in.Preferences, version); err != nil {
		return err
	}
	if current, err = s.sites.Refresh(r.Context(), current.ID); err != nil {
		return err
	}
	return writeRegister(w, current)
}
