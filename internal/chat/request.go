package chat

import (
	"context"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/hook"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/throttle"
)

// What the buttons under the question of Prove carry, before ":" and the id of
// the request. Who presses one holds the telephone now; the signature of the post
// vouches for the rest.
const (
	proves    = "request-yes"
	withdraws = "request-no"
)

// ProvePayload and WithdrawPayload are what those buttons carry.
func ProvePayload(request string) string    { return proves + ":" + request }
func WithdrawPayload(request string) string { return withdraws + ":" + request }

// method is how a person proves who they are in a chat.
const method = "chat"

// Wish is a request as somebody has written it.
type Wish struct {
	Type     request.Type
	Kin      []Kin
	Phone    redact.String
	Language string
	Message  redact.String // their words
	At       time.Time
	Key      string // keyed hash of the vendor's id of the message
	Left     bool   // somebody has left one of the addresses
}

// ask opens a request and asks back: anybody can mistype, and a telephone can be
// in other hands for a moment. Where the number was somebody else's before, holding
// it proves nothing: the company has to find out who asks.
func (d *Desk) ask(ctx context.Context, l *Line, w who, m hook.Message, word Word) error {
	wish := Wish{
		Type: request.Erasure, Kin: w.kin, Phone: w.Phone, Language: w.language, Message: m.Text, At: m.At, Key: d.wamid(l, m.ID),
	}
	if word == Access {
		wish.Type = request.Access
	}
	if wish.Language == "" {
		wish.Language = l.Language
	}
	var err error
	if wish.Left, err = d.left(ctx, w); err != nil {
		return err
	}
	id, err := d.Requests.Ask(ctx, l, wish)
	if err != nil || id == "" {
		return err
	}
	if wish.Left {
		return d.reply(ctx, l, w, m, Left, id)
	}
	return d.reply(ctx, l, w, m, Prove, id)
}

func (d *Desk) prove(ctx context.Context, l *Line, w who, m hook.Message, id string) error {
	left, err := d.left(ctx, w)
	if err != nil {
		return err
	}
	if left { // the question was put to whoever had the number then
		return d.reply(ctx, l, w, m, Left, "")
	}
	theirs, err := d.Requests.Prove(ctx, l, id, w.kin)
	if err != nil || !theirs {
		return err
	}
	return d.reply(ctx, l, w, m, Opened, id)
}

// Counter opens requests that come by chat. It starts no run and tells none: who
// writes to a telephone number is far from the state machine's rights, and sweep
// finds what it has written within minutes.
type Counter struct {
	Opener    request.Opener
	Otherwise request.Regime
	Hasher    *pseudonym.Hasher
	Now       func() time.Time
}

var _ Requests = (*Counter)(nil)

// Ask implements Requests.
func (c *Counter) Ask(ctx context.Context, l *Line, w Wish) (string, error) {
	now := c.Now().UTC().Truncate(time.Millisecond)
	id := c.Hasher.ID(w.At, "request", method, l.Site.ID, w.Key)
	if known, err := c.Opener.Store.Get(ctx, id); err == nil {
		return known.ID, nil
	} else if !errs.Is(err, errs.NotFound) {
		return "", err
	}
	if enough, err := c.enough(ctx, l, w); enough || err != nil {
		return "", err
	}
	r, err := c.Opener.Open(ctx, request.Opening{
		Request: &request.Request{
			ID: id, Site: l.Site.ID, Type: w.Type, Regime: request.RegimeFor("", c.Opener.Regimes, c.Otherwise), Language: w.Language,
			Channel: request.Channel{Kind: method, System: l.System}, State: request.WaitingIdentity, Opened: request.ThePerson, Received: w.At,
			Identity: request.Identity{Method: method},
		},
		Personal: request.Personal{Message: w.Message},
		Known:    c.known(l, w),
		Stated:   c.Hasher.Identifier(l.Site.ID, "request-body", w.Key),
	}, now)
	if err != nil {
		return "", err
	}
	return r.ID, nil
}

// enough reports whether an address has asked as often as it may in a day. Each
// message counts once: Meta repeats a post that could not be acted on, and what
// fails here must not use up what the person may ask.
func (c *Counter) enough(ctx context.Context, l *Line, w Wish) (bool, error) {
	if met, err := c.Opener.Store.Count(ctx, "chat."+w.Key, c.Now().UTC().Add(seenFor)); met > 1 || err != nil {
		return false, err
	}
	counter := throttle.Counter{Store: c.Opener.Store, Hasher: c.Hasher, Now: c.Now}
	asked, err := counter.Count(ctx, l.Site.ID, method, w.Kin[0].Person, c.Opener.Policy.Scale(24*time.Hour))
	return asked > c.Opener.Policy.PerIdentifier, err
}

// known is under what the person is to be found. All of it is a claim until they
// have said that they want the request. A number that somebody has left leads to
// their data: it is no more than a number that the person has named.
func (c *Counter) known(l *Line, w Wish) []request.Known {
	var list []request.Known
	add := func(kind identity.Kind, value redact.String) {
		i := identity.Identifier{Kind: kind, Value: value, Trust: identity.Claimed}
		if normal, ok := i.Normal(); ok {
			list = append(list, request.Known{Identifier: i, Key: c.Hasher.Identifier(l.Site.ID, string(kind), normal)})
		}
	}
	if !w.Left {
		for _, k := range w.Kin {
			add(request.ChatAddress(l.System), k.Address)
			add(identity.SubjectID, k.Subject)
		}
	}
	if w.Phone != "" {
		add(identity.Phone, w.Phone)
	}
	return list
}

// Prove implements Requests. A repetition changes nothing.
func (c *Counter) Prove(ctx context.Context, l *Line, id string, kin []Kin) (bool, error) {
	return c.change(ctx, l, id, kin, func(r *request.Request, known []request.Known, now time.Time) (request.Change, error) {
		if r.Identity.Proven() {
			return request.Change{}, errDone
		}
		entry, err := r.Prove(c.Opener.Policy, request.ThePerson, method, "", now)
		if err != nil {
			return request.Change{}, err
		}
		for i := range known {
			known[i].Trust = identity.Proven
		}
		return request.Change{Entries: []request.Entry{entry}, Known: known, Decision: request.ProvenBy(request.ThePerson, now)}, nil
	})
}

// Withdraw implements Requests.
func (c *Counter) Withdraw(ctx context.Context, l *Line, id string, kin []Kin) (bool, error) {
	return c.change(ctx, l, id, kin, func(r *request.Request, _ []request.Known, now time.Time) (request.Change, error) {
		if r.Identity.Proven() { // whoever has confirmed writes to the company
			return request.Change{}, errDone
		}
		entry, err := r.Do(request.Cancel, request.ThePerson, "withdrawn in the chat", now)
		return request.Change{Entries: []request.Entry{entry}}, err
	})
}

// errDone is what a change returns when nothing is left to write.
var errDone = errs.New(errs.Conflict, "nothing is left to write")

// change writes to a request of this person, reading it again when another writer
// was faster. What is not possible any more changes nothing and is no error: the
// button is old.
func (c *Counter) change(ctx context.Context, l *Line, id string, kin []Kin, do func(*request.Request, []request.Known, time.Time) (request.Change, error)) (bool, error) {
	const tries = 5
	for n := 1; ; n++ {
		r, known, err := c.theirs(ctx, l, id, kin)
		if r == nil || err != nil {
			return false, err
		}
		now := c.Now().UTC()
		change, err := do(r, known, now)
		if err == errDone {
			return true, nil
		}
		if errs.Is(err, errs.Conflict) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		r.Next = now // sweep starts the run, or tells it
		change.Request = r
		if err = c.Opener.Store.Write(ctx, change); err == nil {
			return true, nil
		}
		if !errs.Is(err, errs.Conflict) || n == tries {
			return false, err
		}
	}
}

// theirs reads a request, if it was opened from one of the addresses.
func (c *Counter) theirs(ctx context.Context, l *Line, id string, kin []Kin) (*request.Request, []request.Known, error) {
	const length = 36
	if len(id) != length {
		return nil, nil, nil
	}
	r, err := c.Opener.Store.Get(ctx, id)
	if errs.Is(err, errs.NotFound) || err == nil && (r.Site != l.Site.ID || r.Identity.Method != method) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	known, err := c.Opener.Store.Known(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	mine := slices.ContainsFunc(known, func(k request.Known) bool {
		return slices.ContainsFunc(kin, func(one Kin) bool { return one.Person == k.Key })
	})
	if !mine {
		return nil, nil, nil
	}
	return r, known, nil
}
