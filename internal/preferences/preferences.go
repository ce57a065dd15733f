// Package preferences is a person's own preference centre: what they have said
// yes and no to, and the switches to say otherwise (Art. 7(3) GDPR: withdrawing
// is as easy as giving). It reads and appends for one subject: the one that a
// token names, which the site's back end has signed or a mail has carried.
package preferences

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/page"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/throttle"
)

type server struct {
	sites    *site.Directory
	people   *consent.People
	recorder *consent.Recorder
	counter  throttle.Counter
	mailing  mailing
	now      func() time.Time
}

func (s *server) routes(mux *httpapi.Mux, gate *httpapi.Gate) {
	mux.Handle("POST /public/preferences/show", gate.Handler(s.postShow))
	mux.Handle("POST /public/preferences", gate.Handler(s.postSave))
	mux.Handle("POST /public/preferences/link", gate.Handler(s.postLink))
	mux.Handle("GET /public/preferences/{token}", s.getLink)
	mux.Handle("POST /public/preferences/{token}", s.postPage)
}

// credentials say whose preferences are meant, and that the caller may.
type credentials struct {
	SubjectID redact.String `json:"subject_id"`
	Token     redact.String `json:"subject_token"`
	Language  string        `json:"language"`
}

// saving is the body of POST /public/preferences.
type saving struct {
	credentials
	Preferences  map[string]bool `json:"preferences"`
	Version      string          `json:"purposes_version"`
	LegalNotices []notice        `json:"legal_notices"`
}

// notice is a legal notice that stood beside the switches.
type notice struct {
	Identifier string `json:"identifier"`
	Version    string `json:"version"`
}

const maxBody = 64 << 10

// postShow is POST /public/preferences/show. It is no GET, because subject and
// token would stand in the address, and so in logs and histories.
func (s *server) postShow(w http.ResponseWriter, r *http.Request) error {
	var in credentials
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	who, err := s.admit(r, &in)
	if err != nil {
		return err
	}
	view, err := s.view(r.Context(), who)
	if err != nil {
		return err
	}
	return httpapi.WriteJSON(w, view)
}

// postSave is POST /public/preferences. The answer is read after the write, and
// consistently: a withdrawal is seen at once.
func (s *server) postSave(w http.ResponseWriter, r *http.Request) error {
	var in saving
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	notices, err := noticesOf(in.LegalNotices)
	if err != nil {
		return err
	}
	who, err := s.admit(r, &in.credentials)
	if err != nil {
		return err
	}
	key := httpapi.IdempotencyKey(r)
	ack, err := s.save(r.Context(), who, change{
		choices: in.Preferences, version: in.Version,
		submission: consent.Submission{
			Source: consent.Public, SubjectID: in.SubjectID, Token: in.Token.Reveal(), LegalNotices: notices,
			IdempotencyKey: key, SentAt: momentOf(key), SignalGPC: r.Header.Get("Sec-GPC") == "1",
		},
	})
	if err != nil {
		return err
	}
	view, err := s.view(r.Context(), who)
	if err != nil {
		return err
	}
	view.ID = ack.ID
	return httpapi.WriteJSON(w, view)
}

// momentOf is when a browser made an idempotency key, by its own clock: in the
// moment of sending. So a switch takes effect when it is received, however wrong
// that clock is, and the last of two switches wins.
func momentOf(key string) *time.Time {
	at := consent.IDTime(key)
	if at.IsZero() {
		return nil
	}
	return &at
}

// noticesOf checks the legal notices of a body.
func noticesOf(list []notice) ([]consent.NoticeRef, error) {
	if len(list) > consent.MaxLegalNotices {
		return nil, errs.InvalidField("legal_notices", "at most %d", consent.MaxLegalNotices)
	}
	var refs []consent.NoticeRef
	for i, n := range list {
		if n.Identifier == "" || len(n.Identifier) > consent.MaxText || len(n.Version) > consent.MaxText {
			return nil, errs.InvalidField("legal_notices["+strconv.Itoa(i)+"]", "must be {\"identifier\": …, \"version\": …}, the latter optional, of at most %d bytes each", consent.MaxText)
		}
		refs = append(refs, consent.NoticeRef{Identifier: n.Identifier, Version: n.Version})
	}
	return refs, nil
}

// visitor is a person whom a token has let in, or a mailed link.
type visitor struct {
	site      *site.Site
	partition string
	subjectID redact.String
	email     redact.String // that a link has proven
	language  string        // BCP 47
}

// maxWrong is how many tokens that do not hold one network may show in an hour.
const maxWrong = 60

// admit checks a subject token. The subject comes from nothing else: a token holds
// for the one subject id that was signed with it.
func (s *server) admit(r *http.Request, c *credentials) (*visitor, error) {
	of := httpapi.CallerOf(r).Site
	switch {
	case c.SubjectID == "" || len(c.SubjectID) > consent.MaxSubjectID:
		return nil, errs.InvalidField("subject_id", "must have 1 to %d bytes", consent.MaxSubjectID)
	case c.Token == "" || len(c.Token) > consent.MaxText:
		return nil, errs.InvalidField("subject_token", "must have 1 to %d bytes", consent.MaxText)
	case c.Language == "":
		c.Language = page.Language(r.Header.Get("Accept-Language"))
	case !identity.IsLanguage(c.Language):
		return nil, errs.InvalidField("language", "must be a language tag such as fr or en-GB")
	}
	state, err := s.sites.Policy(of).VerifyToken(r.Context(), c.Token.Reveal(), c.SubjectID.Reveal(), s.now().UTC())
	if err != nil {
		return nil, err
	}
	if state == consent.TokenValid {
		partition := s.counter.Hasher.Subject(of.ID, c.SubjectID.Reveal())
		return &visitor{site: of, partition: partition, subjectID: c.SubjectID, language: c.Language}, nil
	}
	n, err := s.counter.Count(r.Context(), of.ID, "preferences-token", throttle.Network(r.RemoteAddr), time.Hour)
	if err != nil {
		return nil, err
	}
	if n > maxWrong {
		return nil, errs.New(errs.TooMany, "too many tokens from this address did not hold: try again in an hour")
	}
	if state == consent.TokenExpired {
		return nil, errs.New(errs.Token, "the subject token has expired: have the site's back end sign another one")
	}
	return nil, errs.New(errs.Token, "the subject token does not hold for this subject")
}

// change is what somebody wants to be otherwise.
type change struct {
	choices    map[string]bool
	version    string // of the purposes that were shown; "" for those of now
	submission consent.Submission
}

// save appends one event with what was chosen. It knows a repetition by the
// idempotency key of the submission.
func (s *server) save(ctx context.Context, who *visitor, c change) (consent.Acknowledgement, error) {
	now, err := s.view(ctx, who)
	if err != nil {
		return consent.Acknowledgement{}, err
	}
	if err := now.check(c.choices); err != nil {
		return consent.Acknowledgement{}, err
	}
	shown := shownBy(who.site, who.language)
	grants := false
	sub := c.submission
	sub.Act = consent.PreferenceCentre
	for _, p := range now.Preferences {
		yes, chosen := c.choices[p.Key]
		if !chosen {
			continue
		}
		grants = grants || yes
		sub.Preferences = append(sub.Preferences, consent.Preference{Key: p.Key, Value: strconv.FormatBool(yes)})
		if !yes && site.Objectable(p.LegalBasis) {
			sub.Objected = append(sub.Objected, p.Key)
		}
	}
	if grants && c.version != "" && c.version != shown.version {
		return consent.Acknowledgement{}, errs.New(errs.Conflict, "the purposes have changed since they were shown: show them again")
	}
	content := redact.String(choicesText(sub.Preferences))
	form := redact.String(shown.text)
	sub.Shown = []consent.ProofText{{Content: &content, Form: &form}}
	return s.recorder.Record(ctx, s.sites.Policy(who.site), &sub)
}

// check names what cannot be chosen. A no is never refused for what the texts of
// now are, but only where there is nothing to say no to.
func (v *View) check(choices map[string]bool) error {
	if len(choices) == 0 {
		return errs.InvalidField("preferences", "must name at least one preference")
	}
	var bad []errs.Field
	for key := range choices {
		i := slices.IndexFunc(v.Preferences, func(p Preference) bool { return p.Key == key })
		switch {
		case i < 0:
			bad = append(bad, errs.Field{Field: "preferences." + key, Message: "is no preference of this person"})
		case !v.Preferences[i].Changeable:
			bad = append(bad, errs.Field{Field: "preferences." + key, Message: "rests on " + v.Preferences[i].LegalBasis + ": it cannot be switched"})
		}
	}
	if bad == nil {
		return nil
	}
	slices.SortFunc(bad, func(a, b errs.Field) int { return strings.Compare(a.Field, b.Field) })
	return errs.InvalidFields(bad...)
}
