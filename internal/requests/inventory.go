package requests

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/inventory"
	"github.com/avow-consent/avow/internal/sheet"
)

// texts reads the texts of legal notices.
type texts interface {
	Notice(ctx context.Context, site, digest string) ([]byte, error)
}

// comparison is what the privacy notice in force says of the inventory.
type comparison struct {
	Identifier string    `json:"identifier"`
	Version    int       `json:"version"` // 0: no such notice is in force, and nothing was compared
	Languages  []reading `json:"languages"`
}

// reading is the notice in one language.
type reading struct {
	Language string              `json:"language"` // "" for a text without one
	NotFound []inventory.Finding `json:"not_found"`
}

// showInventory is GET /inventory: the record of processing with what the site's
// privacy notice does not say of it, or as a table. Viewers may read it: it holds
// no data of any subject, and who works on requests ought to know it.
func (s *server) showInventory(w http.ResponseWriter, r *http.Request) error {
	format, err := httpapi.Query(r, "format", consent.MaxText)
	if err != nil {
		return err
	}
	language, err := httpapi.Query(r, "language", consent.MaxText)
	if err != nil {
		return err
	}
	if !slices.Contains([]string{"", "json", "csv"}, format) {
		return errs.InvalidField("format", "must be json or csv")
	}
	systems, err := s.inventories(r.Context())
	if err != nil {
		return err
	}
	record := inventory.New(s.terms.Controller, systems, s.now())
	if format == "csv" {
		return writeTable(w, record, sheet.Language(language))
	}
	compared, err := s.compare(r.Context(), siteOf(r).ID, record)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, struct {
		inventory.Record
		Notice comparison `json:"notice"`
	}{record, compared})
}

func writeTable(w http.ResponseWriter, record inventory.Record, language string) error {
	var table bytes.Buffer
	if err := record.CSV(&table, language); err != nil {
		return errs.Wrap(errs.Internal, err, "writing the inventory")
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="inventory.csv"`)
	w.Header().Set("Content-Language", language)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, err := w.Write(table.Bytes())
	return err
}

// compare reads the notice that is in force now.
func (s *server) compare(ctx context.Context, site string, record inventory.Record) (comparison, error) {
	out := comparison{Identifier: s.terms.Controller.LegalNotice, Languages: []reading{}}
	now := s.now()
	version, err := consent.Resolver{Notices: s.notices}.InForce(ctx, site, consent.NoticeRef{Identifier: out.Identifier}, now, now)
	if err != nil || version == 0 {
		return out, err
	}
	notice, err := s.notices.Version(ctx, site, out.Identifier, version)
	if err != nil {
		return out, err
	}
	if notice == nil {
		return out, errs.New(errs.Internal, "version %d of the privacy notice is lost", version)
	}
	out.Version = version
	for _, language := range slices.Sorted(maps.Keys(notice.Texts)) {
		text, err := s.texts.Notice(ctx, site, notice.Texts[language])
		if err != nil {
			return out, err
		}
		out.Languages = append(out.Languages, reading{language, inventory.Compare(record, language, string(text))})
	}
	return out, nil
}

// inventoriesOf are what the connectors of the moment say.
type inventoriesOf func(ctx context.Context) ([]connector.Inventory, error)
