package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/office"
	"github.com/avow-consent/avow/internal/wire"
)

// keyView is a key as the doors show it. Its text stands in the answer to the
// call that makes it, and nowhere else.
type keyView struct {
	ID      string     `json:"id"` // SHA-256 of the text
	Key     string     `json:"key,omitempty"`
	Site    string     `json:"site"`
	Class   keys.Class `json:"class"`
	Label   *string    `json:"label"`
	Person  *string    `json:"person"`
	Role    *string    `json:"role"`
	Origins []string   `json:"origins"`
	Created string     `json:"created"`
	Revoked bool       `json:"revoked"`
}

func newKeyView(k keys.Key) keyView {
	return keyView{
		ID: k.Hash, Site: k.Site, Class: k.Class, Label: optional(k.Label), Person: optional(k.Person), Role: optional(string(k.Rank)),
		Origins: append([]string{}, k.Origins...), Created: wire.Time(k.Created), Revoked: k.Revoked,
	}
}

// optional writes a text that may be absent.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// listKeys is GET /admin/keys: those of the caller's site, the newest first.
func (s *server) listKeys(w http.ResponseWriter, r *http.Request) error {
	list, err := s.desk.Store.Keys(r.Context(), siteOf(r))
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b keys.Key) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.Hash, b.Hash)
	})
	views := []keyView{}
	for _, k := range list {
		views = append(views, newKeyView(k))
	}
	return httpapi.WriteJSON(w, views)
}

// makeKey is POST /admin/keys.
func (s *server) makeKey(w http.ResponseWriter, r *http.Request) error {
	var in office.KeySpec
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	made, text, err := s.desk.MakeKey(r.Context(), actorOf(r), siteOf(r), in, httpapi.IdempotencyKey(r))
	if err != nil {
		return err
	}
	v := newKeyView(made)
	v.Key = text
	return httpapi.WriteJSON(w, v)
}

// revokeKey is POST /admin/keys/{key}/revoke. Instances notice within keys.TTL;
// these doors notice at once.
func (s *server) revokeKey(w http.ResponseWriter, r *http.Request) error {
	var in struct{}
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	key, err := s.desk.Revoke(r.Context(), actorOf(r), siteOf(r), r.PathValue("key"))
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, newKeyView(key))
}
