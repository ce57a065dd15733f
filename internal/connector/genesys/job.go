package genesys

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/identity"
)

const (
	gdprExport = "GDPR_EXPORT"
	gdprUpdate = "GDPR_UPDATE"
	gdprDelete = "GDPR_DELETE"
)

var gdprType = map[connector.Operation]string{connector.Export: gdprExport, connector.Rectify: gdprUpdate, connector.Erase: gdprDelete}

// Bounds of one piece, and how often Genesys is asked: its requests take days.
const (
	postsAtOnce = 5
	clockSkew   = 2 * time.Minute // of Genesys's clock and ours
)

// handle is where an operation stands.
type handle struct {
	Since time.Time     `json:"since"` // our requests are not older
	Begun time.Time     `json:"begun"` // since when is waited
	Pause time.Duration `json:"pause,omitempty"`
	Jobs  []job         `json:"jobs"`
	Found []string      `json:"found,omitempty"` // records that were there before they were deleted, by one.key
	Look  bool          `json:"look,omitempty"`  // they were looked for
}

// job is the request of one identifier.
type job struct {
	By   string `json:"by"`             // one.key
	ID   string `json:"id,omitempty"`   // of the request; "": not made yet
	End  string `json:"end,omitempty"`  // completed, failed or skipped
	Part int    `json:"part,omitempty"` // results that are stored
	Bare bool   `json:"bare,omitempty"` // completed, and no results yet when it was looked at
}

// work is an operation with where it stands.
type work struct {
	*Connector
	call connector.Call
	h    handle
	who  []one
}

// begin plans one request per identifier and sends none.
func (c *Connector) begin(call connector.Call) (connector.Progress, error) {
	who := c.who(call.Subject)
	if len(who) > c.config.SmallSet {
		return connector.Progress{Ask: &connector.Ask{
			Reason:       fmt.Sprintf("the person has %d identifiers, and small_set allows %d: Genesys's requests are for one person or a small set", len(who), c.config.SmallSet),
			Instructions: "Check that all of them are this person's. If they are, raise small_set in systems.json for this system and say retry.",
			Retry:        true,
		}}, nil
	}
	if call.Operation == connector.Rectify && len(terms(call.Changes)) == 0 {
		return connector.Progress{Ask: byHand}, nil
	}
	h := handle{Since: call.Now.Add(-clockSkew), Begun: call.Now}
	for _, o := range who {
		h.Jobs = append(h.Jobs, job{By: o.key})
	}
	return connector.Progress{Handle: kit.Handle(h), After: soon}, nil
}

// goOn does the next piece: make requests, look after them, or finish.
func (w *work) goOn(ctx context.Context) (connector.Progress, error) {
	if slices.ContainsFunc(w.h.Jobs, func(j job) bool { return j.ID == "" && j.End == "" }) {
		return w.request(ctx)
	}
	p := connector.Progress{Counts: map[string]int{}}
	open := false
	for i := range w.h.Jobs {
		j := &w.h.Jobs[i]
		if j.End != "" {
			continue
		}
		stored, err := w.check(ctx, j, &p)
		if err != nil {
			return p, err
		}
		if stored || p.Ask != nil { // one archive at a time
			p.After = soon
			return p, nil
		}
		open = open || j.End == ""
	}
	switch {
	case open:
		return w.wait(p), nil
	case slices.ContainsFunc(w.h.Jobs, func(j job) bool { return j.End == failed }):
		return w.again(p), nil
	}
	return w.finish(ctx, p)
}

// request makes requests, and takes up those that an earlier attempt has made:
// Genesys has no idempotency keys.
func (w *work) request(ctx context.Context) (connector.Progress, error) {
	p := connector.Progress{After: soon}
	made, err := w.since(ctx, w.h.Since)
	if err != nil {
		return p, err
	}
	kind, changed, posts := gdprType[w.call.Operation], []term(nil), 0
	if kind == gdprUpdate {
		changed = terms(w.call.Changes)
	}
	for i := range w.h.Jobs {
		j := &w.h.Jobs[i]
		o := w.one(j.By)
		switch {
		case j.ID != "" || j.End != "":
			continue
		case o == nil: // an operator has taken the identifier back
			j.End = completed
			continue
		}
		if at := slices.IndexFunc(made, func(r gdprRequest) bool { return r.Status != failed && r.is(kind, o.subject, changed) }); at >= 0 {
			j.ID = made[at].ID
			continue
		}
		if posts == postsAtOnce {
			return p, nil
		}
		if shared, err := w.employees(ctx, *o); err != nil {
			return p, err
		} else if shared {
			j.End = skipped
			continue
		}
		r, status, err := w.post(ctx, kind, o.subject, changed)
		if err != nil {
			return p, err
		}
		posts++
		j.ID = r.ID
		p.Evidence = append(p.Evidence, evidence(w.call.Now, "POST /api/v2/gdpr/requests "+kind, fmt.Sprintf("%d %s", status, kit.Token(r.ID))))
	}
	return p, nil
}

// employees reports whether an address of an end user is an employee's, too: a
// request by address does not tell them apart.
func (w *work) employees(ctx context.Context, o one) (bool, error) {
	if o.Kind != identity.Email {
		return false, nil
	}
	found, _, err := w.search(ctx, o.Identifier)
	return slices.ContainsFunc(found, func(s subject) bool { return s.UserID != "" }), err
}

// is compares a request with one that is wanted.
func (r gdprRequest) is(kind string, s subject, terms []term) bool {
	return r.ID != "" && r.Type == kind && kit.Handle(r.Subject) == kit.Handle(s) && slices.Equal(r.Terms, terms)
}

func (w *work) one(key string) *one {
	for i := range w.who {
		if w.who[i].key == key {
			return &w.who[i]
		}
	}
	return nil
}

// check asks what has become of a request, and stores a result that is ready.
func (w *work) check(ctx context.Context, j *job, p *connector.Progress) (stored bool, err error) {
	r, err := w.get(ctx, j.ID)
	if err != nil {
		return false, err
	}
	switch r.Status {
	case failed:
		j.End = failed
	case completed:
		if w.call.Operation == connector.Export {
			return w.collect(ctx, j, r, p)
		}
		j.End = completed
		p.Counts["subjects"]++
	default:
		return false, nil
	}
	p.Evidence = append(p.Evidence, w.ended(j))
	return false, nil
}

func (c *Connector) get(ctx context.Context, id string) (r gdprRequest, err error) {
	return r, c.api.Get(ctx, kit.To("/gdpr/requests/{id}", id), &r)
}

func (w *work) ended(j *job) connector.Evidence {
	return evidence(w.call.Now, "GET /api/v2/gdpr/requests/{id}", j.End+" "+kit.Token(j.ID))
}

// wait puts the next look off, longer each time, and asks a person when it takes
// too long.
func (w *work) wait(p connector.Progress) connector.Progress {
	if w.call.Now.Sub(w.h.Begun) >= time.Duration(w.config.DeadlineDays)*24*time.Hour {
		w.h.Begun, w.h.Pause = w.call.Now, 0
		p.Ask = &connector.Ask{
			Reason:       fmt.Sprintf("Genesys has not finished within %d days", w.config.DeadlineDays),
			Instructions: "Ask Genesys support about the GDPR requests that the evidence names. Retry goes on waiting.",
			Retry:        true,
		}
		return p
	}
	w.h.Pause = min(max(2*w.h.Pause, w.poll), 6*w.poll)
	p.After = w.h.Pause
	return p
}

// again asks a person about requests that have failed; a retry makes them anew.
func (w *work) again(p connector.Progress) connector.Progress {
	n := 0
	for i := range w.h.Jobs {
		if w.h.Jobs[i].End == failed {
			n++
			w.h.Jobs[i] = job{By: w.h.Jobs[i].By}
		}
	}
	w.h.Since, w.h.Begun, w.h.Pause = w.call.Now.Add(-clockSkew), w.call.Now, 0
	p.Ask = &connector.Ask{
		Reason:       fmt.Sprintf("%d of %d requests ended with an error at Genesys", n, len(w.h.Jobs)),
		Instructions: "Ask Genesys support about the GDPR requests that the evidence names, then say retry: those that failed are made once more.",
		Retry:        true,
	}
	return p
}
