package requests

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

// maxBody bounds the bodies of decisions.
const maxBody = 64 << 10

// sentence checks what an officer writes into the log.
func sentence(field, text string, needed bool) error {
	switch {
	case needed && strings.TrimSpace(text) == "":
		return errs.InvalidField(field, "must be given; without personal data, because the log keeps it")
	case len(text) > maxSentence:
		return errs.InvalidField(field, "must have at most %d bytes", maxSentence)
	}
	return nil
}

// changing is what a decision makes of a request.
type changing func(*request.Request, time.Time) (request.Change, error)

// act carries a decision out on the request that the path names, tells the run,
// and answers with the request.
func (s *server) act(w http.ResponseWriter, r *http.Request, change changing) error {
	after, decision, err := s.try(r.Context(), siteOf(r).ID, r.PathValue("id"), change)
	if err != nil {
		return err
	}
	s.deliver(r.Context(), after, decision)
	return s.answer(w, r, after)
}

// approve is POST …/approve: exactly this plan may be carried out.
func (s *server) approve(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Digest string `json:"digest"`
		Why    string `json:"why"`
	}
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	if err := sentence("why", in.Why, false); err != nil {
		return err
	}
	if in.Digest == "" {
		return errs.InvalidField("digest", "must be the digest of the plan that you have read: GET …/plan")
	}
	by := actorOf(r)
	return s.act(w, r, func(of *request.Request, now time.Time) (request.Change, error) {
		decision := &request.Decision{Wait: request.WaitApproval(in.Digest), Outcome: "approved", By: by, At: now}
		if of.Approval.Digest == in.Digest && of.Approval.By == by {
			return request.Change{Decision: decision}, errDone
		}
		if of.State == request.WaitingApproval && in.Digest != of.Findings {
			return request.Change{}, errs.New(errs.Conflict, "the plan has changed: read it again; its digest is %s", of.Findings)
		}
		if of.Type == request.Erasure && !s.terms.Policy.SameApprover && of.Opened.Who == by.Who {
			return request.Change{}, errs.New(errs.Forbidden, "who has opened an erasure does not approve it: another officer must")
		}
		entry, err := of.Do(request.Approve, by, in.Why, now)
		if err != nil {
			return request.Change{}, err
		}
		entry.Detail = map[string]string{"digest": in.Digest}
		of.Approval = request.Approval{At: now, By: by, Digest: in.Digest}
		return request.Change{Entries: []request.Entry{entry}, Decision: decision}, nil
	})
}

// waits is what a run of the request may be waiting for.
func waits(r *request.Request) request.Wait {
	switch r.State {
	case request.WaitingApproval, request.OnHold:
		return request.WaitApproval(r.Findings)
	case request.WaitingRelease:
		if r.Package != nil {
			return request.WaitRelease(r.Package.Digest)
		}
	}
	return request.WaitIdentity
}

// end carries out what ends a request early. Whatever its run waits for is
// completed, so that it comes to its close.
func (s *server) end(w http.ResponseWriter, r *http.Request, outcome string, kind letter.Kind, change changing) error {
	ctx := r.Context()
	after, decision, err := s.try(ctx, siteOf(r).ID, r.PathValue("id"), func(of *request.Request, now time.Time) (request.Change, error) {
		wait := waits(of)
		c, err := change(of, now)
		c.Decision = &request.Decision{Wait: wait, Outcome: outcome, By: actorOf(r), At: now}
		return c, err
	})
	if err != nil {
		return err
	}
	if after.Type != request.Disclosure {
		// The letter comes first: the close forgets where it goes. While the mail
		// service is down the run does not hear of the end: sweep does both, in
		// this order.
		s.write(ctx, after, kind, "1", letter.Data{})
		if _, settled, err := s.post.Arrived(ctx, after.ID, kind, "1"); err != nil || !settled {
			s.later(ctx, err)
			return s.answer(w, r, after)
		}
	}
	tasks, err := s.store.Tasks(ctx, after.ID)
	s.later(ctx, err)
	for _, t := range tasks {
		if t.Decided.IsZero() && t.Kind.Blocks() {
			s.tell(ctx, after.ID, request.WaitTask(t.ID), outcome)
		}
	}
	s.deliver(ctx, after, decision)
	return s.answer(w, r, after)
}

// refuse is POST …/refuse. The letter names the ground and where to complain
// (Art. 12(4) GDPR).
func (s *server) refuse(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Ground string `json:"ground"`
		Reason string `json:"reason"`
	}
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	for field, text := range map[string]string{"ground": in.Ground, "reason": in.Reason} {
		if err := sentence(field, text, true); err != nil {
			return err
		}
	}
	by := actorOf(r)
	return s.end(w, r, "refused", letter.Refusal, func(of *request.Request, now time.Time) (request.Change, error) {
		if f := of.Refusal; of.State == request.Refused && f != nil && f.Ground == in.Ground && f.Reason == in.Reason {
			return request.Change{}, errDone
		}
		entry, err := of.Do(request.Refuse, by, in.Reason, now)
		if err != nil {
			return request.Change{}, err
		}
		entry.Detail = map[string]string{"ground": in.Ground}
		of.Refusal = &request.Refusal{Ground: in.Ground, Reason: in.Reason, By: by, At: now}
		return request.Change{Entries: []request.Entry{entry}}, nil
	})
}

// cancel is POST …/cancel: the person does not want it any more.
func (s *server) cancel(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	if err := sentence("reason", in.Reason, true); err != nil {
		return err
	}
	return s.end(w, r, "withdrawn", letter.Withdrawn, func(of *request.Request, now time.Time) (request.Change, error) {
		if of.State == request.Withdrawn {
			return request.Change{}, errDone
		}
		entry, err := of.Do(request.Cancel, actorOf(r), in.Reason, now)
		return request.Change{Entries: []request.Entry{entry}}, err
	})
}

// extend is POST …/extend: the deadline moves, once, and the person is told why
// before the first one has passed (Art. 12(3) GDPR).
func (s *server) extend(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Reason string `json:"reason"`
	}
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	if err := sentence("reason", in.Reason, true); err != nil {
		return err
	}
	after, _, err := s.try(r.Context(), siteOf(r).ID, r.PathValue("id"), func(of *request.Request, now time.Time) (request.Change, error) {
		history := of.Clock.History
		if of.Clock.Extended && slices.ContainsFunc(history, func(t request.Tick) bool { return t.Why == in.Reason }) {
			return request.Change{}, errDone
		}
		if !of.Identity.Proven() { // the clock would move, and nobody could be told why
			return request.Change{}, errs.New(errs.Conflict, "nobody has proven who the person is, so they cannot be told of an extension: see to that first")
		}
		entry, err := of.Do(request.Extend, actorOf(r), in.Reason, now)
		if err != nil {
			return request.Change{}, err
		}
		if err := of.Clock.Extend(now, in.Reason); err != nil {
			return request.Change{}, err
		}
		entry.Detail = map[string]string{"due": of.Clock.Due.Format(time.RFC3339)}
		return request.Change{Entries: []request.Entry{entry}}, nil
	})
	if err != nil {
		return err
	}
	if after.Type != request.Disclosure {
		s.write(r.Context(), after, letter.Extension, "1", letter.Data{Reason: in.Reason})
	}
	return s.answer(w, r, after)
}

// hold is POST …/hold: nothing is deleted in these systems, or in any.
func (s *server) hold(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Systems []string `json:"systems"`
		Ground  string   `json:"ground"`
		Reason  string   `json:"reason"`
	}
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	for field, text := range map[string]string{"ground": in.Ground, "reason": in.Reason} {
		if err := sentence(field, text, true); err != nil {
			return err
		}
	}
	systems := slices.Compact(slices.Sorted(slices.Values(in.Systems)))
	for _, name := range systems {
		if _, ok := s.terms.System(name); !ok {
			return errs.InvalidField("systems", "names a system that does not exist")
		}
	}
	by := actorOf(r)
	return s.act(w, r, func(of *request.Request, now time.Time) (request.Change, error) {
		for _, h := range of.Holds {
			if slices.Equal(h.Systems, systems) && h.Ground == in.Ground && h.Reason == in.Reason {
				return request.Change{}, errDone
			}
		}
		const most = 20
		if len(of.Holds) >= most {
			return request.Change{}, errs.New(errs.Conflict, "a request has at most %d holds", most)
		}
		of.Holds = append(of.Holds, request.Hold{Systems: systems, Ground: in.Ground, Reason: in.Reason, By: by, At: now})
		entry, err := of.Do(request.HoldAct, by, in.Reason, now)
		entry.Detail = map[string]string{"ground": in.Ground, "systems": strings.Join(systems, ",")}
		return request.Change{Entries: []request.Entry{entry}}, err
	})
}

// releasing is the body of POST …/release: of a hold, or of a package.
type releasing struct {
	Hold       bool                `json:"hold"`
	Systems    []string            `json:"systems"` // of the hold; empty: every hold
	Package    string              `json:"package"` // digest
	Exclusions []request.Exclusion `json:"exclusions"`
	Why        string              `json:"why"`
}

// release is POST …/release.
func (s *server) release(w http.ResponseWriter, r *http.Request) error {
	var in releasing
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	if in.Hold == (in.Package != "") {
		return errs.New(errs.Invalid, `release either a hold, {"hold":true}, or a package, {"package":"<digest>"}`)
	}
	if err := sentence("why", in.Why, in.Hold); err != nil {
		return err
	}
	if in.Hold {
		return s.unhold(w, r, in)
	}
	const most = 200
	if len(in.Exclusions) > most {
		return errs.InvalidField("exclusions", "must have at most %d elements", most)
	}
	for i, e := range in.Exclusions {
		path := "exclusions[" + strconv.Itoa(i) + "]."
		if err := sentence(path+"part", e.Part, true); err != nil {
			return err
		}
		if err := sentence(path+"reason", e.Reason, true); err != nil {
			return err
		}
	}
	return s.act(w, r, releasePackage(in, actorOf(r)))
}

// releasePackage lets exactly this package go to the person, or has it built
// again without some parts.
func releasePackage(in releasing, by request.Actor) changing {
	return func(of *request.Request, now time.Time) (request.Change, error) {
		act, outcome := request.Release, "released"
		if len(in.Exclusions) > 0 {
			act, outcome = request.Exclude, "rebuild"
		}
		decision := &request.Decision{Wait: request.WaitRelease(in.Package), Outcome: outcome, By: by, At: now}
		if p := of.Package; p != nil && !p.Released.IsZero() && p.Digest == in.Package && act == request.Release {
			return request.Change{Decision: decision}, errDone
		}
		if of.State == request.WaitingRelease && of.Package != nil && of.Package.Digest != in.Package {
			return request.Change{}, errs.New(errs.Conflict, "the package was built again: read it again; its digest is %s", of.Package.Digest)
		}
		entry, err := of.Do(act, by, in.Why, now)
		if err != nil {
			return request.Change{}, err
		}
		entry.Detail = map[string]string{"package": in.Package}
		if act == request.Release {
			of.Package.Released = now
		} else {
			of.Package.Excluded = append(of.Package.Excluded, in.Exclusions...)
			entry.Detail["excluded"] = strconv.Itoa(len(in.Exclusions))
		}
		return request.Change{Entries: []request.Entry{entry}, Decision: decision}, nil
	}
}

func (s *server) unhold(w http.ResponseWriter, r *http.Request, in releasing) error {
	systems := slices.Compact(slices.Sorted(slices.Values(in.Systems)))
	return s.act(w, r, func(of *request.Request, now time.Time) (request.Change, error) {
		left := slices.DeleteFunc(slices.Clone(of.Holds), func(h request.Hold) bool {
			return len(systems) == 0 || slices.Equal(h.Systems, systems)
		})
		if len(left) == len(of.Holds) {
			return request.Change{}, errs.New(errs.Conflict, "there is no such hold")
		}
		of.Holds = left
		entry, err := of.Do(request.Unhold, actorOf(r), in.Why, now)
		entry.Detail = map[string]string{"systems": strings.Join(systems, ",")}
		return request.Change{Entries: []request.Entry{entry}}, err
	})
}

// resume is POST …/resume: a new run goes on where the last one has ended. While
// that one lives it is refused.
func (s *server) resume(w http.ResponseWriter, r *http.Request) error {
	if _, err := httpapi.DecodeStrict(r, maxBody, &struct{}{}); err != nil {
		return err
	}
	of, err := s.of(r)
	if err != nil {
		return err
	}
	if of.Execution != "" {
		alive, err := s.flow.Alive(r.Context(), of.Execution)
		if err != nil {
			return err
		}
		if alive {
			return errs.New(errs.Conflict, "the run of this request lives: there is nothing to resume")
		}
	}
	after, _, err := s.try(r.Context(), siteOf(r).ID, of.ID, func(of *request.Request, now time.Time) (request.Change, error) {
		entry, err := of.Do(request.Resume, actorOf(r), "", now)
		entry.Detail = map[string]string{"epoch": strconv.Itoa(of.Epoch)}
		return request.Change{Entries: []request.Entry{entry}}, err
	})
	if err != nil {
		return err
	}
	s.later(r.Context(), request.Launch(r.Context(), s.flow, after))
	return s.answer(w, r, after)
}

// identify is POST …/identity: an operator has checked who it is, or another
// link is sent.
func (s *server) identify(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Link     bool            `json:"link"`
		Evidence string          `json:"evidence"`
		Kinds    []identity.Kind `json:"kinds"`
	}
	if _, err := httpapi.DecodeStrict(r, maxBody, &in); err != nil {
		return err
	}
	if in.Link {
		if in.Evidence != "" || in.Kinds != nil {
			return errs.New(errs.Invalid, `either {"link":true} or {"evidence":…,"kinds":[…]}`)
		}
		after, err := s.relink(r.Context(), siteOf(r).ID, r.PathValue("id"), actorOf(r))
		if err != nil {
			return err
		}
		return s.answer(w, r, after)
	}
	if err := sentence("evidence", in.Evidence, true); err != nil {
		return err
	}
	if len(in.Kinds) == 0 {
		return errs.InvalidField("kinds", "must list the kinds of identifiers that were checked, such as [\"email\",\"subject_id\"]")
	}
	of, err := s.of(r)
	if err != nil {
		return err
	}
	known, err := s.store.Known(r.Context(), of.ID)
	if err != nil {
		return err
	}
	checked := trusted(known, in.Kinds...)
	if err := s.objectAlso(r.Context(), siteOf(r), of, checked); err != nil {
		return err
	}
	by := actorOf(r)
	return s.act(w, r, func(of *request.Request, now time.Time) (request.Change, error) {
		switch {
		case len(checked) > 0 && of.Identity.Proven():
			return vouch(of, checked, by, in.Evidence, now)
		case of.Identity.Proven() && of.Identity.By == by && of.Identity.Evidence == in.Evidence:
			return request.Change{Decision: request.ProvenBy(by, now)}, errDone
		case len(checked) == 0:
			return request.Change{}, errs.InvalidField("kinds", "name no identifier of this request that is still a claim")
		}
		entry, err := of.Prove(s.terms.Policy, by, "operator", in.Evidence, now)
		if err != nil {
			return request.Change{}, err
		}
		entry.Detail["kinds"] = join(in.Kinds)
		return request.Change{Entries: []request.Entry{entry}, Known: checked, Decision: request.ProvenBy(by, now)}, nil
	})
}

// vouch takes further identifiers of a proven request for the person's, on an
// operator's word: what was found is looked for again with them.
func vouch(of *request.Request, checked []request.Known, by request.Actor, evidence string, now time.Time) (request.Change, error) {
	decision := &request.Decision{Wait: request.WaitApproval(of.Findings), Outcome: "relocate", By: by, At: now}
	entry, err := of.Do(request.Accept, by, "", now)
	if err != nil {
		return request.Change{}, err
	}
	entry.Detail = map[string]string{"evidence": evidence, "identifiers": strconv.Itoa(len(checked))}
	c := request.Change{Entries: []request.Entry{entry}, Known: checked}
	if of.Findings != "" {
		c.Decision = decision
	}
	return c, nil
}
