package admin

import (
	"net/http"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/wire"
)

type entryView struct {
	ID     string            `json:"id"`
	At     string            `json:"at"`
	By     actorView         `json:"by"`
	Act    office.Action     `json:"act"`
	Detail map[string]string `json:"detail"`
}

type actorView struct {
	Who  string `json:"who"`
	Role string `json:"role"`
}

// showLog is GET /admin/log: who has done what, the newest first, of the caller's
// site or, with about=systems, of what all sites share and of sites that scripts
// have made.
func (s *server) showLog(w http.ResponseWriter, r *http.Request) error {
	limit, err := httpapi.Limit(r)
	if err != nil {
		return err
	}
	const longest = 36 // of an entry's id
	before, err := httpapi.Query(r, "starting_after", longest)
	if err != nil {
		return err
	}
	of := siteOf(r)
	switch about := r.URL.Query().Get("about"); about {
	case "systems":
		of = office.Stack
	case "", "site":
	default:
		return errs.InvalidField("about", "must be site or systems")
	}
	entries, err := s.desk.Store.Log(r.Context(), of, before, limit+1)
	if err != nil {
		return err
	}
	if len(entries) > limit {
		entries = entries[:limit]
		httpapi.LinkNext(w, r, "starting_after", entries[limit-1].ID)
	}
	views := []entryView{}
	for _, e := range entries {
		views = append(views, entryView{e.ID, wire.Time(e.At), actorView{e.Who, e.Role}, e.Act, e.Detail})
	}
	return httpapi.WriteJSON(w, views)
}
