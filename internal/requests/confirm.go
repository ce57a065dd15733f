package requests

import (
	"context"
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/page"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/throttle"
)

// maxPosts is how many buttons one address may press in an hour.
const maxPosts = 60

// maxToken is longer than any token that newToken makes.
const maxToken = 64

// link finds the link of a token, and its request; nil when there is none.
func (s *server) link(r *http.Request) (*request.Link, *request.Request, error) {
	token := r.PathValue("token")
	if token == "" || len(token) > maxToken {
		return nil, nil, nil
	}
	l, err := s.store.Link(r.Context(), request.LinkHash(token))
	if errs.Is(err, errs.NotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	of, err := s.store.Get(r.Context(), l.Request)
	if errs.Is(err, errs.NotFound) {
		return nil, nil, nil
	}
	return l, of, err
}

// usable reports whether a link may still be used for what it is for.
func (s *server) usable(l *request.Link, r *request.Request) bool {
	if l == nil || !s.now().Before(l.Expires) {
		return false
	}
	switch l.Purpose {
	case request.IdentityLink:
		return l.Used.IsZero() && (r.State == request.WaitingIdentity || r.State == request.Unverified)
	case request.PackageLink:
		return s.offered(r)
	}
	return false
}

// offered reports whether the person may download the package.
func (s *server) offered(r *request.Request) bool {
	ends := request.PackageExpires(r, s.terms.Policy)
	return r.Package != nil && !r.Package.Released.IsZero() && !ends.IsZero() && s.now().Before(ends) &&
		(r.State == request.Answered || r.State == request.Reverifying || r.State == request.Closed)
}

// showLink is GET /public/confirm/{token}. It shows a page and changes nothing:
// whatever scans mail follows links.
func (s *server) showLink(w http.ResponseWriter, r *http.Request) error {
	if e, err := s.optIn(r); err != nil {
		return err
	} else if e != nil {
		return s.showOptIn(w, r, e)
	}
	l, of, err := s.link(r)
	if err != nil {
		return err
	}
	if !s.usable(l, of) {
		return s.page(w, r, http.StatusNotFound, page.Unusable, nil)
	}
	if l.Purpose == request.PackageLink {
		return s.page(w, r, http.StatusOK, page.Download, of)
	}
	return s.page(w, r, http.StatusOK, page.Confirm, of)
}

// useLink is POST /public/confirm/{token}: the button of a page.
func (s *server) useLink(w http.ResponseWriter, r *http.Request) error {
	n, err := s.count(r.Context(), "", "post", throttle.Network(r.RemoteAddr), time.Hour)
	if err != nil {
		return err
	}
	if n > maxPosts {
		return s.page(w, r, http.StatusTooManyRequests, page.TooMany, nil)
	}
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	action := r.PostFormValue("action")
	if e, err := s.optIn(r); err != nil {
		return err
	} else if e != nil && action == page.ActConfirm {
		return s.confirmOptIn(w, r, e)
	} else if e != nil {
		return s.showOptIn(w, r, e)
	}
	l, of, err := s.link(r)
	if err != nil {
		return err
	}
	switch {
	case action == page.ActResend:
		// Only a link that was once sent gets another one; the page is the same
		// whether it was.
		s.resend(r.Context(), l, of)
		return s.page(w, r, http.StatusOK, page.Resent, nil)
	case l != nil && l.Purpose == request.IdentityLink && (s.usable(l, of) || l.Result == proven):
		return s.confirm(w, r, l, of)
	case l != nil && l.Purpose == request.PackageLink && s.usable(l, of):
		return s.fetch(w, r, l, of)
	}
	return s.page(w, r, http.StatusNotFound, page.Unusable, nil)
}

// proven is the result of a link that has proven who somebody is.
const proven = request.ProvenOutcome

// confirm proves who asks: whoever presses the button reads the mail of the
// address. A repetition shows the same page.
func (s *server) confirm(w http.ResponseWriter, r *http.Request, l *request.Link, of *request.Request) error {
	ctx := r.Context()
	known, err := s.store.Known(ctx, of.ID)
	if err != nil {
		return err
	}
	after, decision, err := s.try(ctx, of.Site, of.ID, func(of *request.Request, now time.Time) (request.Change, error) {
		if of.Identity.Proven() {
			return request.Change{}, errDone
		}
		entry, err := of.Prove(s.terms.Policy, request.ThePerson, "email", "", now)
		if err != nil {
			return request.Change{}, err
		}
		entry.Detail["link"] = l.Hash[:12]
		return request.Change{Entries: []request.Entry{entry}, Known: trusted(known, identity.Email), Decision: request.ProvenBy(request.ThePerson, now)}, nil
	})
	if errs.Is(err, errs.Conflict) { // refused or withdrawn by now
		return s.page(w, r, http.StatusNotFound, page.Unusable, nil)
	}
	if err != nil {
		return err
	}
	if _, _, err := s.store.UseLink(ctx, l.Hash, proven, s.now().UTC()); err != nil {
		return err
	}
	s.deliver(ctx, after, decision)
	return s.page(w, r, http.StatusOK, page.Confirmed, after)
}

// trusted are the identifiers of the request itself, of some kinds, which are
// proven now. What a page said beside the address stays a claim: somebody may
// prove an address and name another person's number.
func trusted(known []request.Known, kinds ...identity.Kind) []request.Known {
	var list []request.Known
	for _, k := range known {
		for _, kind := range kinds {
			if k.Kind == kind && k.System == "" && k.Trust == identity.Claimed {
				k.Trust = identity.Proven
				list = append(list, k)
			}
		}
	}
	return list
}

// resend sends another link of the same purpose to the same address, a bounded
// number of times. What goes wrong, nobody is told.
func (s *server) resend(ctx context.Context, l *request.Link, of *request.Request) {
	switch {
	case l == nil:
	case l.Purpose == request.IdentityLink && (of.State == request.WaitingIdentity || of.State == request.Unverified):
		_, err := s.relink(ctx, of.Site, of.ID, request.ThePerson)
		if !errs.Is(err, errs.Conflict) {
			s.later(ctx, err)
		}
	case l.Purpose == request.PackageLink && s.offered(of):
		n, err := s.store.Count(ctx, "package-links."+of.ID, s.now().Add(s.terms.Policy.Scale(s.terms.Policy.Package)).UTC())
		if err == nil && n < s.terms.Policy.Links { // the first one was not asked for
			s.mail(ctx, of, request.PackageLink, n+1)
		}
		s.later(ctx, err)
	}
}

// fetch redirects to the package. The log has it before the address exists.
func (s *server) fetch(w http.ResponseWriter, r *http.Request, l *request.Link, of *request.Request) error {
	after, _, err := s.try(r.Context(), of.Site, of.ID, func(of *request.Request, now time.Time) (request.Change, error) {
		if of.Package == nil {
			return request.Change{}, errs.New(errs.Conflict, "there is no package any more")
		}
		entry, err := of.Do(request.Fetch, request.ThePerson, "", now)
		if err != nil {
			return request.Change{}, err
		}
		entry.Detail = map[string]string{"package": of.Package.Digest}
		if of.Package.Fetched.IsZero() {
			of.Package.Fetched = now
		}
		return request.Change{Entries: []request.Entry{entry}}, nil
	})
	if errs.Is(err, errs.Conflict) {
		return s.page(w, r, http.StatusNotFound, page.Unusable, nil)
	}
	if err != nil {
		return err
	}
	if _, _, err := s.store.UseLink(r.Context(), l.Hash, request.PackageLink, s.now().UTC()); err != nil {
		return err
	}
	url, err := s.packages.Download(r.Context(), after, s.terms.Policy.Download)
	if err != nil {
		return err
	}
	httpapi.Private(w, page.Policy())
	w.Header().Set("Location", url)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// page writes a page: in the language of the request, or of the browser where
// there is none that may be told of.
func (s *server) page(w http.ResponseWriter, r *http.Request, status int, kind page.Kind, of *request.Request) error {
	var data page.Data
	language := r.Header.Get("Accept-Language")
	if of != nil {
		data.Type, language = string(of.Type), of.Language
	}
	return s.render(w, status, kind, language, data)
}

// render writes a page of the company.
func (s *server) render(w http.ResponseWriter, status int, kind page.Kind, language string, data page.Data) error {
	data.Controller, data.Contact = s.terms.Controller.Name, s.terms.Controller.DPO.Email
	return httpapi.WritePage(w, status, page.Render(kind, language, data), page.Policy())
}
