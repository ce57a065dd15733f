package request

import (
	"context"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/errs"
)

// Opener puts new requests. Every door that opens one goes through it.
type Opener struct {
	Store      Store
	Policy     Policy
	Regimes    map[Regime]Rules
	Controller Controller
}

// Opening is a request that is about to be opened. Its row has an id that is the
// same for the same act, so that opening it again finds it.
type Opening struct {
	Request  *Request
	Personal Personal
	Known    []Known
	Stated   string // keyed hash of what was asked: another one with the id is a Conflict
}

// Open puts a request, received now unless it says when, with its clock; or finds
// the one that the same act has opened before.
func (o Opener) Open(ctx context.Context, in Opening, now time.Time) (*Request, error) {
	r := in.Request
	if r.Received.IsZero() {
		r.Received = now
	}
	r.Since = now
	rules := o.Regimes[r.Regime]
	var err error
	if r.Clock, err = NewClock(rules, o.Controller, o.Policy, r.Received); err != nil {
		return nil, err
	}
	if r.State == WaitingIdentity && rules.MayPause && o.Policy.PauseIdentity && now.Before(r.Clock.Due) {
		if err := r.Clock.Pause(rules, o.Policy, now, "the person proves who they are"); err != nil {
			return nil, err
		}
	}
	r.Next = NextVisit(r, o.Policy, now)
	entry := Entry{At: now, By: r.Opened, Act: Open, To: r.State, Detail: map[string]string{
		"type": string(r.Type), "regime": string(r.Regime), "channel": r.Channel.Kind, "identity": r.Identity.Method, "body": in.Stated,
	}}
	if r.Identity.Evidence != "" {
		entry.Detail["evidence"] = r.Identity.Evidence
	}
	err = o.Store.Create(ctx, r, entry, in.Personal, in.Known)
	if errs.Is(err, errs.Conflict) {
		return o.again(ctx, r.ID, in.Stated)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// again finds the request that the same act has opened before.
func (o Opener) again(ctx context.Context, id, stated string) (*Request, error) {
	const first = 20 // entries of one millisecond are in no order
	log, err := o.Store.Log(ctx, id, "", first)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(log, func(e Entry) bool { return e.Act == Open && e.Detail["body"] == stated }) {
		return nil, errs.New(errs.Conflict, "another request was made with this idempotency key")
	}
	return o.Store.Get(ctx, id)
}

// ProvenOutcome is the decision of a wait for the person's proof.
const ProvenOutcome = "proven"

// Prove makes r, in memory, one of a person who is known to ask, by a method and,
// where somebody has checked, with the evidence.
func (r *Request) Prove(p Policy, by Actor, method, evidence string, now time.Time) (Entry, error) {
	if err := r.Clock.Unpause(p, now, "the person has proven who they are"); err != nil {
		return Entry{}, err
	}
	entry, err := r.Do(Prove, by, "", now)
	if err != nil {
		return entry, err
	}
	r.Identity.Method, r.Identity.ProvenAt, r.Identity.By, r.Identity.Evidence = method, now, by, evidence
	entry.Detail = map[string]string{"method": method}
	if evidence != "" {
		entry.Detail["evidence"] = evidence
	}
	return entry, nil
}

// ProvenBy is the decision that the run of a request waits for that is proven.
func ProvenBy(by Actor, now time.Time) *Decision {
	return &Decision{Wait: WaitIdentity, Outcome: ProvenOutcome, By: by, At: now}
}
