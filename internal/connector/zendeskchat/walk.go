package zendeskchat

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// An operation walks over the person's chats: it lists some by id into its
// handle, deals with them in the next pieces, and goes on where it was. What
// changes the search's own answers walks again until it finds nothing to do.

// work is what an operation does with chats.
type work struct {
	// wants reports whether a chat needs it. nil: every one, and do looks itself.
	wants func(*document) bool
	// do deals with chats that were found to need it; how many it tells in Counts.
	do func(ctx context.Context, ids []string) (connector.Progress, error)
	// size is how many chats do gets at once.
	size int
	// rounds: walk until nothing needs it any more.
	rounds bool
	// call and done name it in evidence: "DELETE /chats/{id}", "deleted".
	call, done string
	// end is what is left to say after the last chat, when the person has so
	// many; may be nil.
	end func(p *connector.Progress, chats int)
}

// walking is the handle of an operation.
type walking struct {
	Source int      `json:"source"` // which of the sources is read
	Page   int      `json:"page"`   // of it, read last; 0: none
	From   int64    `json:"from"`   // the window of time that is read, in seconds
	To     int64    `json:"to"`     //
	End    int64    `json:"end"`    // of the last window: what begins later is for the next round
	Next   []string `json:"next"`   // listed, not dealt with yet
	Round  int      `json:"round"`
	Seen   int      `json:"seen"`  // chats of the person, in this round
	Acted  int      `json:"acted"` // those dealt with, in this round
	Total  int      `json:"total"` // those dealt with, in all rounds
}

const (
	writes    = 25  // in one piece
	listed    = 100 // chats in a handle, and what is left of a page
	pages     = 4   // in one piece
	maxRounds = 20  // a person who chats faster than this is no person
)

// first is when there was no chat yet.
var first = time.Date(2006, 1, 1, 0, 0, 0, 0, time.UTC)

// source is where the person's chats are listed: by their ids, or by a search.
type source struct {
	ids   []string
	query string
}

// person is whose chats are dealt with: an end user by ids and e-mails, or an
// agent.
type person struct {
	ids    []string // of chats
	emails []identity.Identifier
	agents []agent
}

// visitor is the person as an end user.
func (c *Connector) visitor(s connector.Subject) person {
	p := person{emails: s.Of(identity.Email)}
	for _, kind := range c.chatKinds() {
		for _, i := range s.Of(kind) {
			if id := i.Value.Reveal(); idForm.MatchString(id) && !slices.Contains(p.ids, id) {
				p.ids = append(p.ids, id)
			}
		}
	}
	slices.Sort(p.ids)
	return p
}

// owns reports whether a chat is the person's: the search finds others, too.
func (p person) owns(d *document) bool {
	return slices.Contains(p.ids, d.ID) || slices.ContainsFunc(p.emails, d.has) || slices.ContainsFunc(p.agents, d.by)
}

// sources are where the person's chats are listed, always in the same order.
func (c *Connector) sources(p person) []source {
	list := []source{{ids: p.ids}}
	var queries []string
	for _, i := range p.emails {
		if email, ok := i.Normal(); ok {
			queries = append(queries, c.term(byEmail, email))
		}
	}
	for _, a := range p.agents {
		queries = append(queries, c.term(byAgent, a.Name))
	}
	slices.Sort(queries)
	for _, q := range slices.Compact(queries) {
		list = append(list, source{query: q})
	}
	return list
}

// walk does the next piece of an end user's operation.
func (c *Connector) walk(ctx context.Context, call connector.Call, w work) (connector.Progress, error) {
	return c.walkOf(ctx, call, c.visitor(call.Subject), w)
}

func (c *Connector) walkOf(ctx context.Context, call connector.Call, p person, w work) (connector.Progress, error) {
	h := newRound(walking{}, call.Now)
	if call.Handle != "" {
		if err := kit.ParseHandle(call.Handle, &h); err != nil {
			return connector.Progress{}, err
		}
	}
	if len(h.Next) > 0 {
		return c.deal(ctx, h, w)
	}
	over, calls, err := c.list(ctx, p, &h, w)
	switch {
	case err != nil:
		return connector.Progress{}, err
	case !over || len(h.Next) > 0:
	case w.rounds && h.Acted > 0 && h.Round >= maxRounds:
		return connector.Progress{}, errs.New(errs.Conflict, "%s: new chats appear as fast as they are dealt with", c.inventory.System)
	case w.rounds && h.Acted > 0:
		h = newRound(h, call.Now)
	default:
		return c.over(call, h, w), nil
	}
	return connector.Progress{Handle: kit.Handle(h), After: c.pause(calls)}, nil
}

// newRound begins at the first chat again.
func newRound(h walking, now time.Time) walking {
	end := now.Add(time.Hour).Unix() // clocks differ
	return walking{From: first.Unix(), To: end, End: end, Round: h.Round + 1, Total: h.Total}
}

// deal deals with the chats that were listed.
func (c *Connector) deal(ctx context.Context, h walking, w work) (connector.Progress, error) {
	n := min(w.size, len(h.Next))
	p, err := w.do(ctx, h.Next[:n])
	if err != nil {
		return connector.Progress{}, err
	}
	h.Next = h.Next[n:]
	h.Acted += n
	h.Total += p.Counts["chats"]
	p.Handle, p.After = kit.Handle(h), c.pause(n)
	return p, nil
}

// over is the end of a walk.
func (c *Connector) over(call connector.Call, h walking, w work) connector.Progress {
	p := connector.Progress{Done: true, Handle: kit.Handle(h)}
	if h.Total > 0 {
		p.Evidence = []connector.Evidence{{At: call.Now, Call: w.call, Answer: fmt.Sprintf("%d chats %s", h.Total, w.done)}}
	}
	if w.end != nil {
		w.end(&p, h.Seen)
	}
	return p
}

// list reads on in the sources until the handle has enough, and reports whether
// there is nothing more to read. calls is how often it has asked an endpoint.
func (c *Connector) list(ctx context.Context, p person, h *walking, w work) (over bool, calls int, err error) {
	sources := c.sources(p)
	for h.Source < len(sources) && len(h.Next) < listed && calls < pages {
		ids, err := c.page(ctx, p, sources[h.Source], h)
		if err != nil {
			return false, calls, err
		}
		calls++
		if w.wants != nil {
			docs, err := c.owned(ctx, p, ids)
			if err != nil {
				return false, calls, err
			}
			h.Seen += len(docs)
			ids = idsOf(slices.DeleteFunc(docs, func(d *document) bool { return !w.wants(d) }))
		}
		h.Next = append(h.Next, ids...)
	}
	return h.Source >= len(sources), calls, nil
}

// owned are those of some chats that exist and are the person's.
func (c *Connector) owned(ctx context.Context, p person, ids []string) ([]*document, error) {
	docs, err := c.chats(ctx, ids)
	return slices.DeleteFunc(docs, func(d *document) bool { return !p.owns(d) }), err
}

func idsOf(docs []*document) []string {
	var ids []string
	for _, d := range docs {
		ids = append(ids, d.ID)
	}
	return ids
}

// page reads the next page of a source and moves the handle on.
func (c *Connector) page(ctx context.Context, p person, s source, h *walking) ([]string, error) {
	if s.query == "" {
		from := min(h.Page*perPage, len(s.ids))
		to := min(from+perPage, len(s.ids))
		if h.Page++; to == len(s.ids) {
			h.nextSource()
		}
		return slices.Clone(s.ids[from:to]), nil
	}
	from, to := time.Unix(h.From, 0), time.Unix(h.To, 0)
	found, err := c.search(ctx, s.query+between(from, to), h.Page+1)
	if err != nil {
		return nil, err
	}
	if found.Over || h.Page == 0 && found.Count >= maxHits {
		return nil, c.narrow(h)
	}
	h.Page++
	switch {
	case found.More && h.Page < maxPages:
	case found.More: // there were fewer when it began
		return nil, c.narrow(h)
	case h.To < h.End:
		h.From, h.To, h.Page = h.To, h.End, 0
	default:
		h.nextSource()
	}
	var ids []string
	for _, one := range found.List {
		// The window's end belongs to the next one, what has an id to the first
		// source, and a chat that has moved to this page stands in the handle.
		if one.within(from, to) && !slices.Contains(p.ids, one.ID) && !slices.Contains(h.Next, one.ID) {
			ids = append(ids, one.ID)
		}
	}
	return ids, nil
}

func (h *walking) nextSource() {
	h.Source, h.Page, h.From, h.To = h.Source+1, 0, first.Unix(), h.End
}

// narrow halves the window of time, because it has more hits than the vendor
// shows.
func (c *Connector) narrow(h *walking) error {
	if h.To-h.From < 2 {
		return errs.New(errs.TooLarge, "%s GET /chats/search: more than %d chats of one second match", c.inventory.System, maxHits)
	}
	h.To, h.Page = h.From+(h.To-h.From)/2, 0
	return nil
}

// pause is how long to wait after some calls of one endpoint, so that the
// vendor's limit is not reached; a quarter of it is left to others.
func (c *Connector) pause(calls int) time.Duration {
	const share = 0.75
	each := float64(time.Minute) / (share * float64(c.config.PerMinute))
	return max(soon, time.Duration(each*float64(cmp.Or(calls, 1))))
}

// soon is the pause before the next part of a long operation: only so long that
// one invocation does not do everything.
const soon = time.Second
