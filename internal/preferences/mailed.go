package preferences

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/centre"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/page"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/throttle"
)

// Outbox takes note of links that are owed.
type Outbox interface {
	// Add notes what is told once. What is noted already stays as it is.
	Add(ctx context.Context, e outbox.Entry) error
}

// Claims remember who came first.
type Claims interface {
	// Claim puts a value under a name, once: whoever comes later gets the first one.
	Claim(ctx context.Context, name, value string, expires time.Time) (first string, err error)
}

// mailing is what the way by mail needs.
type mailing struct {
	outbox   Outbox
	claims   Claims
	settings func(context.Context) (*settings.Settings, error)
	newID    func(time.Time) string
	secret   func() string // a fresh one
}

// asking is the body of POST /public/preferences/link.
type asking struct {
	Email    redact.String `json:"email"`
	Language string        `json:"language"`
}

// postLink is POST /public/preferences/link. It looks nobody up: the answer, and
// the time that it takes, are the same for an address that nobody knows.
func (s *server) postLink(w http.ResponseWriter, r *http.Request) error {
	var in asking
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	if in.Language == "" {
		in.Language = page.Language(r.Header.Get("Accept-Language"))
	} else if !identity.IsLanguage(in.Language) {
		return errs.InvalidField("language", "must be a language tag such as fr or en-GB")
	}
	of := httpapi.CallerOf(r).Site.ID
	l, ok := centre.Ask(s.counter.Hasher, of, in.Email.Reveal(), in.Language, s.now())
	if !ok || len(in.Email) > consent.MaxText {
		return errs.InvalidField("email", "must be an e-mail address")
	}
	terms, err := s.mailing.settings(r.Context())
	if err != nil {
		return err
	}
	n, err := s.counter.Count(r.Context(), of, "preferences-link", throttle.Network(r.RemoteAddr), terms.Policy.Scale(time.Hour))
	if err != nil {
		return err
	}
	if n > terms.Policy.PerAddress {
		return errs.New(errs.TooMany, "too many requests from this address: try again in an hour")
	}
	normal, _ := identity.NormalizeEmail(in.Email.Reveal())
	if err := s.owe(r.Context(), l, "preferences-mailbox", identity.Mailbox(normal), terms); err != nil {
		return err
	}
	return httpapi.WriteStatus(w, http.StatusAccepted, received)
}

// received is the answer to everybody.
var received = map[string]string{"status": "received"}

// owe notes that a link is to be mailed, unless as many were asked for today as a
// person may. Which of the two it was, nobody is told.
func (s *server) owe(ctx context.Context, l centre.Link, what, value string, terms *settings.Settings) error {
	const day = 24 * time.Hour
	n, err := s.counter.Count(ctx, l.Site, what, value, terms.Policy.Scale(day))
	if err != nil || n > terms.Policy.PerIdentifier {
		return err
	}
	return s.mailing.outbox.Add(ctx, l.Entry(s.now().UTC()))
}

// hosted is one call at the page behind a mailed link.
type hosted struct {
	*server
	w     http.ResponseWriter
	r     *http.Request
	terms *settings.Settings
	link  centre.Link
	known bool // the link was mailed by us, however long ago
}

func (s *server) arrive(w http.ResponseWriter, r *http.Request) (*hosted, error) {
	terms, err := s.mailing.settings(r.Context())
	if err != nil {
		return nil, err
	}
	h := &hosted{server: s, w: w, r: r, terms: terms}
	h.link, h.known = centre.Parse(s.counter.Hasher, r.PathValue("token"))
	return h, nil
}

// getLink is GET /public/preferences/{token}. It shows a button and changes
// nothing: whatever scans mail follows links.
func (s *server) getLink(w http.ResponseWriter, r *http.Request) error {
	h, err := s.arrive(w, r)
	if err != nil {
		return err
	}
	if !h.known || !s.now().Before(h.link.Expires()) {
		return h.write(http.StatusNotFound, page.PreferencesUnusable, page.Data{})
	}
	return h.write(http.StatusOK, page.PreferencesLink, page.Data{Hidden: []page.Field{{Name: "visit", Value: s.mailing.secret()}}})
}

// write writes a page of the company, in the language of the letter.
func (h *hosted) write(status int, kind page.Kind, d page.Data) error {
	language := h.link.Language
	if !h.known {
		language = h.r.Header.Get("Accept-Language")
	}
	d.Controller, d.Contact = h.terms.Controller.Name, h.terms.Controller.DPO.Email
	return httpapi.WritePage(h.w, status, page.Render(kind, language, d), page.Policy())
}

// maxForm is more than the form of the longest register has.
const maxForm = 256 << 10

// maxPosts is how many buttons one network may press in an hour.
const maxPosts = 60

// postPage is POST /public/preferences/{token}: the buttons of the page. Each form
// may be sent again, and does nothing twice.
func (s *server) postPage(w http.ResponseWriter, r *http.Request) error {
	h, err := s.arrive(w, r)
	if err != nil {
		return err
	}
	n, err := s.counter.Count(r.Context(), "", "preferences-page", throttle.Network(r.RemoteAddr), time.Hour)
	if err != nil {
		return err
	}
	if n > maxPosts {
		return h.write(http.StatusTooManyRequests, page.TooMany, page.Data{})
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.PostFormValue("action") == page.ActResend {
		return h.resend()
	}
	who, err := h.enter()
	if err != nil {
		return err
	}
	if who == nil {
		return h.write(http.StatusNotFound, page.PreferencesUnusable, page.Data{})
	}
	d := page.Data{}
	if action := r.PostFormValue("action"); action == page.ActSave || action == page.ActRefuse {
		if d, err = h.choose(who, action == page.ActRefuse); err != nil {
			return err
		}
	}
	return h.show(who, d)
}

// resend notes another link to the same person. Only one that was mailed gets
// another; the page is the same whether it was.
func (h *hosted) resend() error {
	if h.known {
		again := h.link.Again(h.counter.Hasher, h.now())
		if err := h.owe(h.r.Context(), again, "preferences-again", h.link.Subject, h.terms); err != nil {
			return err
		}
	}
	return h.write(http.StatusOK, page.PreferencesResent, page.Data{})
}

// enter uses the link up for the one page that was shown first, for the time of a
// visit. nil where the link leads to nothing: it is wrong, too old, another page
// has used it, the visit is over, or the person is gone.
func (h *hosted) enter() (*visitor, error) {
	visit := h.r.PostFormValue("visit")
	now := h.now().UTC()
	if !h.known || visit == "" || len(visit) > maxSecret {
		return nil, nil
	}
	name := "preferences-link." + h.link.ID + "." + h.link.Subject
	first, err := h.mailing.claims.Claim(h.r.Context(), name, visit+" "+now.Format(time.RFC3339), h.link.Expires().Add(centre.Visit))
	if err != nil || !h.mine(first, visit, now) {
		return nil, err
	}
	_, email, err := centre.Person(h.r.Context(), h.people, h.link)
	if errors.Is(err, consent.ErrTooManyEvents) {
		return nil, nil
	}
	if err != nil || email == "" {
		return nil, err
	}
	of, err := h.sites.Site(h.r.Context(), h.link.Site)
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	normal, _ := identity.NormalizeEmail(email)
	return &visitor{
		site: of, partition: h.link.Subject, language: h.link.Language, email: redact.String(email),
		subjectID: redact.String(h.counter.Hasher.EmailSubject(of.ID, normal)),
	}, nil
}

// maxSecret is longer than any secret of a form.
const maxSecret = 64

// mine reports whether a link was first used in time and by this very page, which
// may still be used.
func (h *hosted) mine(first, visit string, now time.Time) bool {
	secret, since, _ := strings.Cut(first, " ")
	at, err := time.Parse(time.RFC3339, since)
	return err == nil && secret == visit && at.Before(h.link.Expires()) && now.Before(at.Add(centre.Visit))
}

// choose appends what the form says differently from what it showed; who refuses
// everything has said no to all that was shown, whatever it was before. The same
// form with the same choices is the same event, at the time of the first.
func (h *hosted) choose(who *visitor, refuse bool) (page.Data, error) {
	form := h.r.PostForm
	choices := map[string]bool{}
	for _, key := range form["shown"] {
		want := !refuse && slices.Contains(form["on"], key)
		if refuse || want != slices.Contains(form["was"], key) {
			choices[key] = want
		}
	}
	if len(choices) == 0 {
		return page.Data{Outcome: page.Unchanged}, nil
	}
	text, err := httpapi.Encode(choices) // in order of key
	if err != nil {
		return page.Data{}, err
	}
	name := "preferences-form." + h.counter.Hasher.Key("preferences-form", who.site.ID, h.link.ID+" "+form.Get("form")+" "+string(text))
	now := h.now().UTC()
	key, err := h.mailing.claims.Claim(h.r.Context(), name, h.mailing.newID(now), now.Add(2*centre.Visit))
	if err != nil {
		return page.Data{}, err
	}
	_, err = h.save(h.r.Context(), who, change{choices: choices, version: form.Get("version"), submission: consent.Submission{
		Source: consent.Confirmed, SubjectID: who.subjectID, IdempotencyKey: key, SignalGPC: h.r.Header.Get("Sec-GPC") == "1",
		Profile: consent.Profile{Email: &consent.Text{Value: who.email}, Verified: &consent.Flag{Value: true}},
	}})
	if errs.Is(err, errs.Conflict) || errs.Is(err, errs.Invalid) { // the register is another one by now
		return page.Data{Outcome: page.Stale}, nil
	}
	if err != nil {
		return page.Data{}, err
	}
	d := page.Data{Outcome: page.Saved}
	for key := range choices {
		d.Chosen = append(d.Chosen, page.Switch{Key: key})
	}
	return d, nil
}

// show writes the preference centre as it stands now.
func (h *hosted) show(who *visitor, d page.Data) error {
	v, err := h.view(h.r.Context(), who)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(h.terms.Controller.TimeZone)
	if err != nil {
		zone = time.UTC
	}
	chosen := d.Chosen
	d.Chosen = nil
	d.Hidden = []page.Field{{Name: "visit", Value: h.r.PostFormValue("visit")}, {Name: "form", Value: h.mailing.secret()}, {Name: "version", Value: v.Version}}
	for _, p := range v.Preferences {
		s := page.Switch{
			Key: p.Key, Purpose: p.Purpose, On: p.Granted, Fixed: !p.Changeable, Basis: p.LegalBasis, Reason: string(p.Reason),
			Since: letter.Date(p.From, zone, who.language),
		}
		if p.Until != nil {
			s.Until = letter.Date(*p.Until, zone, who.language)
		}
		d.Switches = append(d.Switches, s)
		if slices.ContainsFunc(chosen, func(c page.Switch) bool { return c.Key == p.Key }) {
			d.Chosen = append(d.Chosen, s)
		}
		if !s.Fixed {
			d.Hidden = append(d.Hidden, page.Field{Name: "shown", Value: p.Key})
		}
		if !s.Fixed && s.On {
			d.Hidden = append(d.Hidden, page.Field{Name: "was", Value: p.Key})
		}
	}
	return h.write(http.StatusOK, page.Preferences, d)
}
