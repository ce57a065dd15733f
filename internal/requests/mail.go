package requests

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

// write sends a letter. What fails is no error of the caller's, because what led
// to the letter is stored: sweep sends what is owed (request.Owed), and an
// administrator reads in the answer what cannot be mailed at all.
func (s *server) write(ctx context.Context, r *request.Request, kind letter.Kind, occasion string, d letter.Data) {
	err := s.post.Send(ctx, r, kind, occasion, d)
	if errors.Is(err, request.ErrUnderway) { // sweep learns what has become of it
		return
	}
	if errors.Is(err, request.ErrUndeliverable) {
		*s.warnings = append(*s.warnings, "the letter "+string(kind)+" cannot be mailed: write to the person by other means")
	}
	s.later(ctx, err)
}

// carrier is the letter that carries a further link. That to a portable copy for
// another organisation goes where the first one went.
func (s *server) carrier(ctx context.Context, r *request.Request, purpose string) (letter.Kind, error) {
	if purpose == request.IdentityLink {
		return letter.IdentityLink, nil
	}
	if r.Type == request.Portability {
		person, err := s.store.Personal(ctx, r.ID)
		if err != nil || person.Recipient != "" {
			return letter.Handover, err
		}
	}
	return letter.PackageReady, nil
}

// mail sends a fresh link, the n-th of its purpose.
func (s *server) mail(ctx context.Context, r *request.Request, purpose string, n int) {
	kind, err := s.carrier(ctx, r, purpose)
	if err != nil {
		s.later(ctx, err)
		return
	}
	links := request.Links{Store: s.store, Policy: s.terms.Policy, Controller: s.terms.Controller, Now: s.now, Token: s.token}
	url, expires, err := links.Make(ctx, r, purpose)
	if err != nil {
		s.later(ctx, err)
		return
	}
	s.write(ctx, r, kind, strconv.Itoa(n), letter.Data{Link: url, Expires: expires, Until: request.PackageExpires(r, s.terms.Policy)})
}

// firstLink sends the first link of a request, unless an earlier call has tried.
func (s *server) firstLink(ctx context.Context, r *request.Request) {
	sent, err := s.store.Mail(ctx, r.ID, request.MailKey(letter.IdentityLink, "1"))
	if err != nil || sent != nil {
		s.later(ctx, err)
		return
	}
	s.mail(ctx, r, request.IdentityLink, 1)
}

// relink sends another link to somebody who has not proven who they are, as
// often as the policy says in all. It reopens a request whose proof did not come
// in time.
func (s *server) relink(ctx context.Context, site, id string, by request.Actor) (*request.Request, error) {
	lapsed := false
	r, _, err := s.try(ctx, site, id, func(r *request.Request, now time.Time) (request.Change, error) {
		if r.Identity.Method != "email" {
			return request.Change{}, errs.New(errs.Conflict, "there is no address to send a link to: an operator checks who it is, with evidence")
		}
		if r.Identity.Links >= s.terms.Policy.Links {
			return request.Change{}, errs.New(errs.Conflict, "%d links were sent, and the policy allows no more", r.Identity.Links)
		}
		lapsed = r.State == request.Unverified
		entry, err := r.Do(request.SendLink, by, "", now)
		if err != nil {
			return request.Change{}, err
		}
		r.Identity.Links++
		entry.Detail = map[string]string{"link": strconv.Itoa(r.Identity.Links)}
		return request.Change{Entries: []request.Entry{entry}}, nil
	})
	if err != nil {
		return nil, err
	}
	if lapsed {
		s.launch(ctx, r)
	}
	s.mail(ctx, r, request.IdentityLink, r.Identity.Links)
	return r, nil
}
