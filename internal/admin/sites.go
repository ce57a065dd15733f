package admin

import (
	"net/http"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/site"
)

// siteView is a site as the doors show it.
type siteView struct {
	ID              string         `json:"id"`
	Name            string         `json:"name"`
	Shards          int            `json:"shards"`
	Settings        settingsView   `json:"settings"`
	Preferences     int            `json:"preferences"` // in its register
	RegisterVersion int            `json:"register_version"`
	TokenKeys       []tokenKeyView `json:"token_keys"`
	AdminKey        string         `json:"admin_key,omitempty"` // of a new site
}

type settingsView struct {
	PublicGrants string `json:"public_grants"`
	BackdateDays int    `json:"backdate_days"`
	OptInDays    int    `json:"double_opt_in_days"`
}

type tokenKeyView struct {
	ID      string `json:"id"`
	Revoked bool   `json:"revoked"`
}

func newSiteView(s *site.Site) siteView {
	v := siteView{
		ID: s.ID, Name: s.Name, Shards: s.Shards, Preferences: len(s.Register), RegisterVersion: s.RegisterVersion, TokenKeys: []tokenKeyView{},
		Settings: settingsView{PublicGrants: site.Guarded, BackdateDays: int(s.Backdate().Hours() / 24), OptInDays: int(s.OptIn().Hours() / 24)},
	}
	if s.Settings.PublicGrants != "" {
		v.Settings.PublicGrants = s.Settings.PublicGrants
	}
	for _, k := range s.TokenKeys {
		v.TokenKeys = append(v.TokenKeys, tokenKeyView{k.ID, k.Revoked})
	}
	return v
}

// listSites is GET /admin/sites: the caller's own, because a key reaches no other.
func (s *server) listSites(w http.ResponseWriter, r *http.Request) error {
	own, err := s.desk.Store.Site(r.Context(), siteOf(r))
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, []siteView{newSiteView(own)})
}

// makeSite is POST /admin/sites: a new site, with its first admin key.
func (s *server) makeSite(w http.ResponseWriter, r *http.Request) error {
	in := struct {
		ID       string        `json:"id"`
		Name     string        `json:"name"`
		Shards   int           `json:"shards"`
		Settings site.Settings `json:"settings"`
	}{Shards: site.DefaultShards}
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	if in.Name == "" {
		return errs.InvalidField("name", "must say what the site is called")
	}
	spec := office.SiteSpec{ID: in.ID, Name: in.Name, Shards: in.Shards, Settings: in.Settings}
	made, key, err := s.desk.MakeSite(r.Context(), actorOf(r), siteOf(r), spec, httpapi.IdempotencyKey(r))
	if err != nil {
		return err
	}
	v := newSiteView(made)
	v.AdminKey = key
	return httpapi.WriteJSON(w, v)
}

// putSettings is PUT /admin/sites/{site}/settings: all of them, what is left out
// gets its default.
func (s *server) putSettings(w http.ResponseWriter, r *http.Request) error {
	var in site.Settings
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	id := r.PathValue("site")
	if id != siteOf(r) {
		return errs.New(errs.NotFound, "there is no such site")
	}
	if err := s.desk.SetSettings(r.Context(), actorOf(r), id, in); err != nil {
		return err
	}
	after, err := s.desk.Store.Site(r.Context(), id)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, newSiteView(after))
}
