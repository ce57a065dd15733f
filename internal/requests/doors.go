// Package requests is the door of data-subject requests: administrators open
// and decide them by role key, anybody files one by a public key, and whoever
// follows a mailed link proves who they are or downloads a package.
//
// Each act is one transaction with its entry in the request's log; only then a
// run of the state machine hears of it, and what was not heard is told again by
// sweep. So a door may crash anywhere behind its write.
package requests

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/site"
)

type server struct {
	sites       *site.Directory
	store       request.Store
	flow        Flow
	postman     func(*settings.Settings) post
	post        post // as of this call
	ledger      amender
	consents    consents
	figures     figures
	plans       Plans
	packages    Packages
	signer      Signer
	notices     consent.Notices
	texts       texts
	inventories inventoriesOf
	hasher      *pseudonym.Hasher
	settings    func(context.Context) (*settings.Settings, error)
	terms       *settings.Settings // as of this call
	warnings    *[]string          // of this call, for an administrator
	now         func() time.Time
	newID       func(time.Time) string
	token       func() string // a fresh secret for a mailed link
}

// routes registers every door. people lets role keys in, pages public ones.
func (s *server) routes(mux *httpapi.Mux, people, pages *httpapi.Gate) {
	for pattern, door := range map[string]struct {
		least keys.Rank
		open  opener
	}{
		"GET /inventory":                   {keys.Viewer, (*server).showInventory},
		"POST /requests":                   {keys.Operator, (*server).open},
		"GET /requests":                    {keys.Viewer, (*server).list},
		"GET /propagation":                 {keys.Viewer, (*server).propagation},
		"GET /requests/{id}":               {keys.Viewer, (*server).show},
		"GET /requests/{id}/plan":          {keys.Viewer, (*server).showPlan},
		"GET /requests/{id}/log":           {keys.Viewer, (*server).showLog},
		"GET /requests/{id}/tasks":         {keys.Viewer, (*server).listTasks},
		"GET /requests/{id}/certificate":   {keys.Viewer, (*server).showCertificate},
		"GET /requests/{id}/package":       {keys.Officer, (*server).showPackage},
		"POST /requests/{id}/identity":     {keys.Operator, (*server).identify},
		"POST /requests/{id}/approve":      {keys.Officer, (*server).approve},
		"POST /requests/{id}/refuse":       {keys.Officer, (*server).refuse},
		"POST /requests/{id}/extend":       {keys.Officer, (*server).extend},
		"POST /requests/{id}/hold":         {keys.Officer, (*server).hold},
		"POST /requests/{id}/release":      {keys.Officer, (*server).release},
		"POST /requests/{id}/cancel":       {keys.Operator, (*server).cancel},
		"POST /requests/{id}/resume":       {keys.Operator, (*server).resume},
		"POST /requests/{id}/tasks/{task}": {keys.Operator, (*server).decide},
	} {
		mux.Handle(pattern, people.AtLeast(door.least, s.configured(door.open)))
	}
	mux.Handle("POST /public/requests", pages.Handler(s.configured((*server).openPublic)))
	mux.Handle("GET /public/confirm/{token}", s.configured((*server).showLink))
	mux.Handle("POST /public/confirm/{token}", s.configured((*server).useLink))
	mux.Handle("GET /keys", s.showKeys)
	mux.Fallback(people.Handler(func(http.ResponseWriter, *http.Request) error {
		return errs.New(errs.NotFound, "there is no such path")
	}))
}

// opener is a door.
type opener func(*server, http.ResponseWriter, *http.Request) error

// configured gives a door the configuration of the moment, the same one from the
// beginning of a call to its end.
func (s *server) configured(open opener) httpapi.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		terms, err := s.settings(r.Context())
		if err != nil {
			return err
		}
		one := *s
		one.terms, one.post, one.warnings = terms, s.postman(terms), &[]string{}
		return open(&one, w, r)
	}
}

// actorOf is the person whose role key it is.
func actorOf(r *http.Request) request.Actor {
	key := httpapi.CallerOf(r).Key
	return request.Actor{Who: key.Person, Role: string(key.Rank)}
}

func siteOf(r *http.Request) *site.Site { return httpapi.CallerOf(r).Site }

var errNoRequest = errs.New(errs.NotFound, "there is no such request")

// request reads a request of a site.
func (s *server) request(ctx context.Context, site, id string) (*request.Request, error) {
	if len(id) != 36 {
		return nil, errNoRequest
	}
	r, err := s.store.Get(ctx, id)
	if errs.Is(err, errs.NotFound) || err == nil && r.Site != site {
		return nil, errNoRequest
	}
	return r, err
}

// of reads the request that a path names.
func (s *server) of(r *http.Request) (*request.Request, error) {
	return s.request(r.Context(), siteOf(r).ID, r.PathValue("id"))
}

// errDone is what a change returns when nothing is left to write: somebody has
// repeated what is done.
var errDone = errors.New("nothing to write")

// try carries a change out and stores it. When another writer was faster the
// request is read again and the change is tried again, as long as it is still
// allowed.
func (s *server) try(ctx context.Context, site, id string, change func(*request.Request, time.Time) (request.Change, error)) (*request.Request, *request.Decision, error) {
	const tries = 5
	for n := 1; ; n++ {
		r, err := s.request(ctx, site, id)
		if err != nil {
			return nil, nil, err
		}
		now := s.now().UTC()
		c, err := change(r, now)
		if errors.Is(err, errDone) {
			return r, c.Decision, nil
		}
		if err != nil {
			return nil, nil, err
		}
		r.Next = request.NextVisit(r, s.terms.Policy, now)
		c.Request = r
		err = s.store.Write(ctx, c)
		if errs.Is(err, errs.Conflict) && n < tries {
			continue
		}
		if errs.Is(err, errs.Conflict) {
			err = errs.New(errs.Conflict, "others are working on this request at this moment: try again")
		}
		return r, c.Decision, err
	}
}

// deliver tells the run that waits for a decision. What goes wrong here is no
// error of the caller's: the decision is stored, and sweep tells it again.
func (s *server) deliver(ctx context.Context, r *request.Request, d *request.Decision) {
	if d == nil || s.tell(ctx, r.ID, d.Wait, d.Outcome) {
		return
	}
	s.launch(ctx, r)
}

// tell completes the wait of a run, and reports whether there was one.
func (s *server) tell(ctx context.Context, id string, w request.Wait, outcome string) bool {
	token, err := s.store.Token(ctx, id, w)
	if err != nil || token == nil {
		s.later(ctx, err)
		return false
	}
	told, err := s.flow.Succeed(ctx, token.Token, outcome)
	if err == nil && told {
		err = s.store.Delivered(ctx, id, w, s.now().UTC())
	}
	s.later(ctx, err)
	return told
}

// launch makes sure that a run of the state machine works on a request. Two
// doors that start the same run start one; a run that comes too many ends by
// itself.
func (s *server) launch(ctx context.Context, r *request.Request) {
	if r.Execution != "" {
		alive, err := s.flow.Alive(ctx, r.Execution)
		if s.later(ctx, err); err != nil || alive {
			return
		}
	}
	s.later(ctx, request.Launch(ctx, s.flow, r))
}

// later notes in the log what sweep will have to repair.
func (s *server) later(ctx context.Context, err error) {
	if err != nil {
		httpapi.Note(ctx, slog.String("left_to_sweep", errs.Cause(err)))
	}
}
