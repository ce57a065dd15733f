package api

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/wire"
)

// readBudget is how many rows one filtered page may read.
const readBudget = 3000

var errTooBroad = errs.New(errs.TooBroad, "this filter would read too much: narrow it with from_time and to_time")

// consentFilter is what a list of consents asks for.
type consentFilter struct {
	source        string
	ip            string // "none" for consents without one
	consentType   string // "null" for consents without one
	preferenceKey string
	subject       consent.SubjectFilter
	rows          consent.Range
	limit         int
}

// plain reports whether nothing is filtered, so that every row read is shown.
func (f *consentFilter) plain() bool {
	return f.source == "" && f.ip == "" && f.consentType == "" && f.preferenceKey == "" && f.subject == (consent.SubjectFilter{})
}

// matches judges an event by what its own row says.
func (f *consentFilter) matches(e *consent.Event) bool {
	is := func(want, none, have string) bool {
		return want == "" || want == have || want == none && have == ""
	}
	return is(f.source, "", string(e.Source)) && is(f.ip, "none", e.IP.Reveal()) && is(f.consentType, "null", e.ConsentType) &&
		(f.preferenceKey == "" || slices.ContainsFunc(e.Preferences, func(p consent.Preference) bool { return p.Key == f.preferenceKey }))
}

func parseConsentFilter(r *http.Request) (f consentFilter, subjectID, emailExact string, err error) {
	var cursor string
	for name, into := range map[string]*string{
		"source": &f.source, "ip_address": &f.ip, "consent_type": &f.consentType, "preference_key": &f.preferenceKey,
		"subject_id": &subjectID, "subject_email_exact": &emailExact, "starting_after": &cursor,
	} {
		if *into, err = httpapi.Query(r, name, consent.MaxText); err != nil {
			return f, "", "", err
		}
	}
	if f.subject, err = parseSubjectFilter(r, "subject_"); err != nil {
		return f, "", "", err
	}
	f.subject.ID, f.subject.EmailExact = "", "" // they choose what is read
	if f.source != "" && f.source != string(consent.Public) && f.source != string(consent.Private) {
		return f, "", "", errs.InvalidField("source", "must be public or private")
	}
	if f.ip != "" && f.ip != "none" {
		ip, err := netip.ParseAddr(f.ip)
		if err != nil {
			return f, "", "", errs.InvalidField("ip_address", "must be an address, or none")
		}
		f.ip = ip.String()
	}
	if cursor != "" {
		var ok bool
		if f.rows.Before, ok = consentID(cursor); !ok {
			return f, "", "", errs.InvalidField("starting_after", "must be the id of a consent")
		}
	}
	if f.rows.From, f.rows.To, err = timeRange(r); err != nil {
		return f, "", "", err
	}
	f.limit, err = httpapi.Limit(r)
	return f, subjectID, emailExact, err
}

// listConsents shows consents, newest first.
func (s *server) listConsents(w http.ResponseWriter, r *http.Request) error {
	f, subjectID, emailExact, err := parseConsentFilter(r)
	if err != nil {
		return err
	}
	ctx, site := r.Context(), siteOf(r)
	l := lister{server: s, site: site, filter: f, views: map[string]*consent.SubjectView{}}
	switch {
	case subjectID != "" && emailExact != "":
		err = l.person(ctx, emailExact, subjectID)
	case emailExact != "":
		err = l.person(ctx, emailExact, "")
	case subjectID != "":
		err = l.partitions(ctx, s.hasher.Subject(site.ID, subjectID))
	default:
		err = l.all(ctx)
	}
	if err != nil {
		return err
	}
	more := len(l.page) > f.limit
	page := l.page[:min(len(l.page), f.limit)]
	people, err := l.shown(ctx, page)
	if err != nil {
		return err
	}
	items := make([]wire.ConsentItem, 0, len(page))
	for i := range page {
		items = append(items, wire.NewConsentItem(&page[i], people[page[i].Subject]))
	}
	if more {
		httpapi.LinkNext(w, r, "starting_after", page[len(page)-1].ID)
	}
	return httpapi.WriteJSON(w, items)
}
