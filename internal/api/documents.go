package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/wire"
)

// postDocument keeps a file.
func (s *server) postDocument(w http.ResponseWriter, r *http.Request) error {
	body, err := httpapi.Body(r)
	if err != nil {
		return err
	}
	file, err := wire.DecodeDocument(r.Header.Get("Content-Type"), body)
	if err != nil {
		return err
	}
	archive := consent.Archive{Documents: s.documents, Bytes: s.proofs, Hasher: s.hasher, Now: s.now, NewID: s.newID}
	d, err := archive.Keep(r.Context(), s.sites.Policy(siteOf(r)), httpapi.IdempotencyKey(r), file)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, wire.NewDocumentAcknowledgement(d))
}

// listDocuments lists the documents of a site, the latest first.
func (s *server) listDocuments(w http.ResponseWriter, r *http.Request) error {
	limit, err := httpapi.Limit(r)
	if err != nil {
		return err
	}
	cursor, err := httpapi.Query(r, "starting_after_identifier", consent.MaxText)
	if err != nil {
		return err
	}
	site := siteOf(r).ID
	if cursor != "" {
		cursor = strings.ToLower(cursor)
		d, err := s.documents.Get(r.Context(), site, cursor)
		if err != nil {
			return err
		}
		if d == nil {
			return errs.InvalidField("starting_after_identifier", "is not the id of a document")
		}
	}
	rows, err := s.documents.List(r.Context(), site, cursor, limit+1)
	if err != nil {
		return err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		httpapi.LinkNext(w, r, "starting_after_identifier", rows[limit-1].ID)
	}
	items := make([]wire.DocumentItem, len(rows))
	for i := range rows {
		items[i] = wire.NewDocumentItem(&rows[i])
	}
	return httpapi.WriteJSON(w, items)
}

// getDocument answers with the bytes of a document. Whatever they are, a browser
// saves them and runs nothing of them.
func (s *server) getDocument(w http.ResponseWriter, r *http.Request) error {
	var d *consent.Document
	id := strings.ToLower(r.PathValue("id"))
	if !consent.IDTime(id).IsZero() {
		var err error
		if d, err = s.documents.Get(r.Context(), siteOf(r).ID, id); err != nil {
			return err
		}
	}
	if d == nil {
		return errs.New(errs.NotFound, "there is no such document")
	}
	body, err := s.proofs.Document(r.Context(), d.Site, d.ID, d.Digest)
	if err != nil {
		return lost(err)
	}
	h := w.Header()
	h.Set("Content-Type", d.MimeType)
	h.Set("Content-Disposition", wire.ContentDisposition(d.Name))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	h.Set("Cache-Control", "no-store")
	_, err = w.Write(body)
	return err
}

// documentsOf shows documents that an event names, in its order.
func (s *server) documentsOf(ctx context.Context, site string, ids []string) ([]wire.Document, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := s.documents.BatchGet(ctx, site, ids)
	if err != nil {
		return nil, err
	}
	list := make([]wire.Document, len(ids))
	for i, id := range ids {
		list[i] = wire.NewDocument(id, found[id])
	}
	return list, nil
}
