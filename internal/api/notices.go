package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/avow-consent/avow/internal/apigw"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/wire"
)

// postNotices publishes one notice, or all notices of an array.
func (s *server) postNotices(w http.ResponseWriter, r *http.Request) error {
	body, err := httpapi.Decode(r)
	if err != nil {
		return err
	}
	drafts, bulk, err := wire.DecodeNotices(body)
	if err != nil {
		return err
	}
	publisher := consent.Publisher{
		Notices: s.notices, Texts: s.proofs, Documents: s.documents, Hasher: s.hasher, Now: s.now, NewID: s.newID,
	}
	notices, err := publisher.Publish(r.Context(), s.sites.Policy(siteOf(r)), httpapi.IdempotencyKey(r), drafts)
	if err != nil {
		return err
	}
	answers := make([]wire.NoticeAcknowledgement, len(notices))
	for i := range notices {
		answers[i] = wire.NewNoticeAcknowledgement(&notices[i])
	}
	if !bulk {
		return httpapi.WriteJSON(w, answers[0])
	}
	return httpapi.WriteJSON(w, answers)
}

// noticeQuery is what a list of notices asks for.
type noticeQuery struct {
	identifier string
	version    int
	language   string
	from, to   time.Time
	after      *consent.Notice
	limit      int
}

// listNotices lists the versions of the notices of a site, the latest first.
func (s *server) listNotices(w http.ResponseWriter, r *http.Request) error {
	q, none, err := s.noticeQuery(r)
	if err != nil {
		return err
	}
	if none {
		return httpapi.WriteJSON(w, []wire.NoticeVersion{})
	}
	page, more, err := s.noticePage(r.Context(), siteOf(r).ID, q)
	if err != nil {
		return err
	}
	if more {
		last := page[len(page)-1]
		httpapi.LinkNext(w, r, "starting_after_version", strconv.Itoa(last.Version), "starting_after_identifier", last.Identifier)
	}
	return s.showNotices(w, r, page)
}

// noticeQuery reads the query of a list. none means that no notice can match.
func (s *server) noticeQuery(r *http.Request) (q noticeQuery, none bool, err error) {
	var id, version, afterVersion, afterIdentifier string
	for name, into := range map[string]*string{
		"id": &id, "identifier": &q.identifier, "version": &version, "language": &q.language,
		"starting_after_version": &afterVersion, "starting_after_identifier": &afterIdentifier,
	} {
		if *into, err = httpapi.Query(r, name, 2*consent.MaxText); err != nil {
			return q, false, err
		}
	}
	if q.limit, err = httpapi.Limit(r); err != nil {
		return q, false, err
	}
	if q.from, q.to, err = timeRange(r); err != nil {
		return q, false, err
	}
	if version != "" {
		if q.version, err = versionOf("version", version); err != nil {
			return q, false, err
		}
	}
	if id != "" {
		identifier, own := strings.CutPrefix(id, wire.NoticeID(siteOf(r).ID, ""))
		if !own || q.identifier != "" && q.identifier != identifier {
			return q, true, nil
		}
		q.identifier = identifier
	}
	if afterVersion != "" || afterIdentifier != "" {
		q.after, err = s.noticeCursor(r, q.identifier, afterVersion, afterIdentifier)
	}
	return q, len(q.identifier) > consent.MaxText, err
}

// noticeCursor finds the notice that a list goes on after.
func (s *server) noticeCursor(r *http.Request, within, version, identifier string) (*consent.Notice, error) {
	if version == "" || identifier == "" {
		return nil, errs.New(errs.Invalid, "starting_after_version and starting_after_identifier must be given together")
	}
	number, err := versionOf("starting_after_version", version)
	if err != nil {
		return nil, err
	}
	if within != "" && within != identifier {
		return nil, errs.InvalidField("starting_after_identifier", "must be the identifier that is listed")
	}
	if len(identifier) <= consent.MaxText {
		n, err := s.notices.Version(r.Context(), siteOf(r).ID, identifier, number)
		if n != nil || err != nil {
			return n, err
		}
	}
	return nil, errs.InvalidField("starting_after_identifier", "has no such version")
}

// versionOf reads the number of a version.
func versionOf(field, text string) (int, error) {
	version, ok := consent.NoticeRef{Version: text}.Number()
	if !ok {
		return 0, errs.InvalidField(field, "must be the number of a version")
	}
	return version, nil
}

// noticePage reads one page; more tells that another one follows. Unfiltered,
// by identifier and by time, what is read is what is shown; other filters have
// a budget.
func (s *server) noticePage(ctx context.Context, site string, q noticeQuery) (page []consent.Notice, more bool, err error) {
	const chunk = 500 // rows that one read of a filtered list takes
	size := q.limit + 1
	if q.version != 0 || q.language != "" || q.identifier != "" && !(q.from.IsZero() && q.to.IsZero()) {
		size = chunk
	}
	for after, read := q.after, 0; ; {
		rows, err := s.noticeRows(ctx, site, q, after, size)
		if err != nil {
			return nil, false, err
		}
		for i := range rows {
			if !q.matches(&rows[i]) {
				continue
			}
			if len(page) == q.limit {
				return page, true, nil
			}
			page = append(page, rows[i])
		}
		if len(rows) < size {
			return page, false, nil
		}
		if read += len(rows); read >= readBudget {
			return nil, false, errTooBroad
		}
		after = &rows[len(rows)-1]
	}
}

// noticeRows reads the next rows of a list: of one version, of one identifier,
// or of the site.
func (s *server) noticeRows(ctx context.Context, site string, q noticeQuery, after *consent.Notice, size int) ([]consent.Notice, error) {
	before := 0
	if after != nil {
		before = after.Version
	}
	switch {
	case q.identifier == "":
		return s.notices.List(ctx, site, consent.NoticeRange{From: q.from, To: q.to, After: after}, size)
	case q.version == 0:
		return s.notices.Versions(ctx, site, q.identifier, before, size)
	case before != 0 && q.version >= before:
		return nil, nil
	}
	n, err := s.notices.Version(ctx, site, q.identifier, q.version)
	if n == nil || err != nil {
		return nil, err
	}
	return []consent.Notice{*n}, nil
}

func (q *noticeQuery) matches(n *consent.Notice) bool {
	_, inLanguage := n.Texts[q.language]
	return (q.version == 0 || q.version == n.Version) &&
		(q.language == "" || inLanguage) &&
		(q.from.IsZero() || !n.Effective.Before(q.from)) &&
		(q.to.IsZero() || !n.Effective.After(q.to))
}

// getNotice shows a version of a notice, or all versions. An identifier may
// hold slashes, so a number at the end is first taken for a version.
func (s *server) getNotice(w http.ResponseWriter, r *http.Request) error {
	path := r.PathValue("path")
	if err := httpapi.CheckText("identifier", path, 2*consent.MaxText); err != nil {
		return err
	}
	if slash := strings.LastIndexByte(path, '/'); slash > 0 && slash <= consent.MaxText {
		if version, err := strconv.ParseUint(path[slash+1:], 10, 31); err == nil && version > 0 {
			n, err := s.notices.Version(r.Context(), siteOf(r).ID, path[:slash], int(version))
			if err != nil {
				return err
			}
			if n != nil {
				versions, err := s.versionsOf(r.Context(), []consent.Notice{*n})
				if err != nil {
					return err
				}
				return httpapi.WriteJSON(w, versions[0])
			}
		}
	}
	return s.getVersions(w, r, path)
}

// getVersions lists the versions of a notice, the highest first.
func (s *server) getVersions(w http.ResponseWriter, r *http.Request, identifier string) error {
	limit, err := httpapi.Limit(r)
	if err != nil {
		return err
	}
	before := 0
	if text := r.URL.Query().Get("starting_after"); text != "" {
		if before, err = versionOf("starting_after", text); err != nil {
			return err
		}
	}
	if len(identifier) > consent.MaxText {
		return errNoNotice
	}
	site := siteOf(r).ID
	rows, err := s.notices.Versions(r.Context(), site, identifier, before, limit+1)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		// A page after the last version is empty; only a notice without any is
		// unknown.
		first, err := s.notices.Version(r.Context(), site, identifier, 1)
		if err != nil {
			return err
		}
		if first == nil {
			return errNoNotice
		}
	}
	if len(rows) > limit {
		rows = rows[:limit]
		httpapi.LinkNext(w, r, "starting_after", strconv.Itoa(rows[limit-1].Version))
	}
	return s.showNotices(w, r, rows)
}

var errNoNotice = errs.New(errs.NotFound, "%s", "there is no such legal notice or version; "+
	"an identifier that holds / % or ? is ambiguous in a path: use GET /legal_notices?identifier=")

func (s *server) showNotices(w http.ResponseWriter, r *http.Request, notices []consent.Notice) error {
	versions, err := s.versionsOf(r.Context(), notices)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, versions)
}

// versionsOf renders notices of one site with their texts, each text read once,
// and their documents.
func (s *server) versionsOf(ctx context.Context, notices []consent.Notice) ([]wire.NoticeVersion, error) {
	const parallel = 16
	texts := map[string]*string{} // by digest
	var ids []string
	var site string
	total := 0
	for _, n := range notices {
		site = n.Site
		ids = append(ids, n.DocumentIDs...)
		if total += n.Bytes; total > apigw.MaxResponse {
			return nil, errs.New(errs.TooBroad, "the answer would be too large: ask for fewer items with limit")
		}
		for _, digest := range n.Texts {
			texts[digest] = new(string)
		}
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	var documents map[string]*consent.Document
	if len(ids) > 0 {
		group.Go(func() (err error) {
			documents, err = s.documents.BatchGet(inner, site, ids)
			return err
		})
	}
	for digest, into := range texts {
		group.Go(func() error {
			body, err := s.proofs.Notice(inner, site, digest)
			*into = string(body)
			return lost(err)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	versions := make([]wire.NoticeVersion, len(notices))
	for i := range notices {
		versions[i] = wire.NewNoticeVersion(&notices[i],
			func(digest string) string { return *texts[digest] },
			func(id string) wire.Document { return wire.NewDocument(id, documents[id]) })
	}
	return versions, nil
}

// noticesOf resolves the notices that an event names, as of the moment when the
// person acted: the corrected time where there is one.
func (s *server) noticesOf(ctx context.Context, site string, e *consent.Event) ([]wire.Notice, error) {
	resolver := consent.Resolver{Notices: s.notices}
	received, claimed := e.NoticeTimes()
	versions, err := resolver.InForceAll(ctx, site, e.LegalNotices, received, claimed)
	if err != nil {
		return nil, err
	}
	list := make([]wire.Notice, len(versions))
	for i, ref := range e.LegalNotices {
		list[i] = wire.NewNotice(ref, versions[i])
	}
	return list, nil
}
