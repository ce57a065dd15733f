// Package api is the consent API for the company's back end: records, subjects,
// legal notices, documents, decisions and the register of preferences. It reads
// and appends; it never deletes, and never accepts a public key.
package api

import (
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/site"
)

type server struct {
	sites     *site.Directory
	register  registerStore
	recorder  *consent.Recorder
	people    *consent.People
	events    ledger
	subjects  consent.ViewReader
	notices   notices
	documents documents
	finder    *consent.Finder
	proofs    proofs
	messages  messages
	outbox    chat.Outbox
	hasher    *pseudonym.Hasher
	now       func() time.Time
	newID     func(time.Time) string
}

func (s *server) routes(mux *httpapi.Mux, gate *httpapi.Gate) {
	for pattern, h := range map[string]httpapi.Handler{
		"POST /consent":                s.postConsent,
		"GET /consent":                 s.listConsents,
		"GET /consent/{id}":            s.getConsent,
		"POST /subjects":               s.postSubject,
		"GET /subjects":                s.listSubjects,
		"GET /subjects/{id...}":        s.getSubject,
		"PUT /subjects/{id...}":        s.updateSubject,
		"PATCH /subjects/{id...}":      s.updateSubject,
		"POST /subjects/{id...}":       s.updateSubject,
		"POST /legal_notices":          s.postNotices,
		"GET /legal_notices":           s.listNotices,
		"GET /legal_notices/{path...}": s.getNotice,
		"POST /documents":              s.postDocument,
		"GET /documents":               s.listDocuments,
		"GET /documents/{id}":          s.getDocument,
		"POST /messages":               s.postMessage,
		"GET /messages/{id}":           s.getMessage,
		"GET /decide":                  s.decide,
		"GET /preferences":             s.getRegister,
		"PUT /preferences":             s.putRegister,
	} {
		mux.Handle(pattern, gate.Handler(h))
	}
	mux.Fallback(gate.Handler(func(http.ResponseWriter, *http.Request) error {
		return errs.New(errs.NotFound, "there is no such path")
	}))
}

// siteOf is the site of the caller's key.
func siteOf(r *http.Request) *site.Site { return httpapi.CallerOf(r).Site }

// timeRange reads from_time and to_time; both are included. A time without
// fraction names its whole second, because that is how times are shown: what
// has just been read can be asked for again.
func timeRange(r *http.Request) (from, to time.Time, err error) {
	if from, err = httpapi.Time(r, "from_time"); err != nil {
		return from, to, err
	}
	if to, err = httpapi.Time(r, "to_time"); err != nil {
		return from, to, err
	}
	return from, secondEnd(to), nil
}

// secondEnd is the end of the second that a time without fraction names.
func secondEnd(t time.Time) time.Time {
	if !t.IsZero() && t.Nanosecond() == 0 {
		t = t.Add(time.Second - time.Nanosecond)
	}
	return t
}

// errNoSubject names the safe form of the request: what a path lost of an id,
// API Gateway does not tell.
var errNoSubject = errs.New(errs.NotFound, "there is no such subject; an id that holds / %% or ? is ambiguous in a path: use GET /subjects?id=")
