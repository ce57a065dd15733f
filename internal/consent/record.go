package consent

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/cache"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// MaxAhead is how far a client's clock may be ahead of the server's.
const MaxAhead = 5 * time.Minute

// Policy is what a site sets about the writing of events.
type Policy struct {
	Site      string
	Shards    int
	Backdate  time.Duration // how far a public timestamp or any key time may lie back
	Objection []string      // preferences that a privacy signal objects to
	OptIn     time.Duration // how long a grant waits for its confirmation
	// VerifyToken judges a subject token; it returns an error only when it
	// could not be judged.
	VerifyToken func(ctx context.Context, token, subjectID string, now time.Time) (TokenState, error)
}

// Acknowledgement is the answer to a write: the event is durable.
type Acknowledgement struct {
	ID        string
	Timestamp time.Time
	SubjectID redact.String
}

// Recorder puts events into the ledger. It is safe for concurrent use.
type Recorder struct {
	ledger Appender
	forms  Forms
	proofs Proofs
	hasher *pseudonym.Hasher
	people *People
	now    Clock
	newID  func(time.Time) string
	inline int

	// Both caches save calls only: what they forget is asked or put again.
	known *cache.Cache[string, knownForm]
	bound *cache.Cache[string, bool]
}

// knownForm is what this instance knows of a form. One that several people were
// shown goes only when somebody's address stands in it, so its object is relied on
// for as long as formTTL.
type knownForm struct {
	nonce  string
	shared bool
}

// Options of a Recorder.
type Options struct {
	Ledger Appender
	Forms  Forms
	Proofs Proofs
	Hasher *pseudonym.Hasher
	People *People // what Confirm reads by; nil for a function that may not read
	Now    Clock
	NewID  func(time.Time) string // a UUIDv7 of the given time
	Inline int                    // bytes of proof content that stand in the event itself
}

// boundTTL is how long an instance takes a binding that it has put for granted. An
// erasure removes it without telling anybody: who comes back within this time is
// bound by their next consent only.
const boundTTL = 10 * time.Second

// formTTL is how long an instance takes a shared form that it has met for stored.
// Who is shown it within this time of its erasure has a consent whose form is
// missing.
const formTTL = time.Minute

// NewRecorder returns a Recorder.
func NewRecorder(o Options) *Recorder {
	const instanceMemory = 4096 // entries, about 1 MB
	return &Recorder{
		ledger: o.Ledger, forms: o.Forms, proofs: o.Proofs, hasher: o.Hasher, people: o.People,
		now: o.Now, newID: o.NewID, inline: o.Inline,
		known: cache.New[string, knownForm](instanceMemory, formTTL, o.Now),
		bound: cache.New[string, bool](instanceMemory, boundTTL, o.Now),
	}
}

// Record judges a submission and puts it into the ledger. The same submission
// with the same idempotency key gets the same acknowledgement; another one for
// the same subject, timestamp and key is a Conflict and changes nothing in the
// ledger. An error means that the consent is not acknowledged.
func (r *Recorder) Record(ctx context.Context, p Policy, s *Submission) (Acknowledgement, error) {
	e, err := r.event(p, s)
	if err != nil {
		return Acknowledgement{}, err
	}
	if s.Token != "" {
		if e.Token, err = p.VerifyToken(ctx, s.Token, e.SubjectID.Reveal(), e.Received); err != nil {
			return Acknowledgement{}, err
		}
	}
	if e.Proofs, err = r.keepProofs(ctx, e, slices.Concat(s.Proofs, s.Shown)); err != nil {
		return Acknowledgement{}, err
	}
	return r.append(ctx, e)
}

// append puts the event, tells a retry from another request, and binds the
// address of a trusted event to its subject. The binding comes after the event,
// so that a conflict and a late retry after an erasure leave nothing behind;
// the acknowledgement comes after both.
func (r *Recorder) append(ctx context.Context, e *Event) (Acknowledgement, error) {
	prior, err := r.ledger.Append(ctx, e)
	if err != nil {
		return Acknowledgement{}, err
	}
	ack := Acknowledgement{ID: e.ID, Timestamp: e.Claimed, SubjectID: e.SubjectID}
	if prior != nil {
		if prior.ErasedAt != nil {
			return ack, nil
		}
		if prior.Request != e.Request {
			return Acknowledgement{}, errs.New(errs.Conflict, "another request was made with this idempotency key")
		}
		ack.Timestamp = prior.Claimed
	}
	return r.bindAll(ctx, e, ack)
}

// acknowledge answers for an event that stands in the ledger already.
func (r *Recorder) acknowledge(ctx context.Context, e *Event) (Acknowledgement, error) {
	return r.bindAll(ctx, e, Acknowledgement{ID: e.ID, Timestamp: e.Claimed, SubjectID: e.SubjectID})
}

// bindAll puts the bindings of an event, and only then acknowledges it.
func (r *Recorder) bindAll(ctx context.Context, e *Event, ack Acknowledgement) (Acknowledgement, error) {
	for _, b := range Bindings(r.hasher, e) {
		if err := r.bind(ctx, &b); err != nil {
			return Acknowledgement{}, err
		}
	}
	return ack, nil
}

func (r *Recorder) bind(ctx context.Context, b *Binding) error {
	key := b.Own + b.Subject
	if _, done := r.bound.Get(key); done {
		return nil
	}
	if err := r.ledger.Bind(ctx, b); err != nil {
		return err
	}
	r.bound.Put(key, true)
	return nil
}

// event builds the event of a submission, without proofs and token.
func (r *Recorder) event(p Policy, s *Submission) (*Event, error) {
	e := &Event{
		Kind: KindConsent, Site: p.Site, Source: s.Source, Act: s.Act,
		DeviceTime: s.DeviceTime, ExpiresAt: s.ExpiresAt, SentAt: s.SentAt,
		Profile: s.Profile, Preferences: s.Preferences, LegalNotices: s.LegalNotices,
		ConsentType: s.ConsentType, IP: s.IP, GPC: s.GPC || s.SignalGPC,
		Request: s.Digest(), Shards: p.Shards,
	}
	e.Objected = s.Objected
	if e.GPC {
		e.Objected = union(e.Objected, p.Objection)
	}
	if s.Source == Private {
		e.DocumentIDs = s.DocumentIDs
	}
	switch {
	case s.Act == "" && s.Source == Public:
		e.Act = WebForm
	case s.Act == "":
		e.Act = API
	case s.Act == Import && s.Original != "":
		e.Source = s.Original
	}
	raw, key, err := r.clock(p, s, e)
	if err != nil {
		return nil, err
	}
	if err := s.optIn(p, e); err != nil {
		return nil, err
	}
	r.identify(e, s.SubjectID, key)
	e.ID = r.hasher.ID(raw, "consent", e.Site, e.SubjectID.Reveal(), stamp(s.Timestamp), key)
	return e, nil
}

// union is a with what b has besides.
func union(a, b []string) []string {
	a = slices.Clip(a)
	for _, one := range b {
		if !slices.Contains(a, one) {
			a = append(a, one)
		}
	}
	return a
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// identify settles whom the event is about: the id that was given; else, with
// an e-mail, the e-mail's own subject; else, where a message goes to a telephone
// number, that number's; else one derived from the key.
func (r *Recorder) identify(e *Event, given redact.String, key string) {
	e.SubjectID = given
	if given == "" {
		e.SubjectID = redact.String(r.hasher.KeySubject(e.Site, key))
		if e.OptIn != nil {
			e.SubjectID = ownSubject(r.hasher, e.Site, e.OptIn.Channel, e.OptIn.Address.Reveal())
		}
		if e.Profile.Email != nil {
			if normal, ok := identity.NormalizeEmail(e.Profile.Email.Value.Reveal()); ok {
				e.SubjectID = redact.String(r.hasher.EmailSubject(e.Site, normal))
			}
		}
	}
	e.Subject = r.hasher.Subject(e.Site, e.SubjectID.Reveal())
	e.KeyID = r.hasher.KeyID()
}

// clock settles the times of an event and returns the claimed time as it was
// sent, which the id carries, and the idempotency key, minted when the client
// sent none.
func (r *Recorder) clock(p Policy, s *Submission, e *Event) (raw time.Time, key string, err error) {
	e.Received = r.now().UTC().Truncate(time.Millisecond)
	raw, key, err = keyTime(p, s.IdempotencyKey, e.Received, r.newID)
	if err != nil {
		return raw, key, err
	}
	stated := s.IdempotencyKey != ""
	if s.Timestamp != nil {
		raw, stated = s.Timestamp.UTC().Truncate(time.Millisecond), true
		back := p.Backdate
		if s.Source != Public {
			back = anyPast
		}
		if err := within("timestamp", raw, e.Received, back); err != nil {
			return raw, key, err
		}
		if raw.Before(time.Unix(0, 0)) {
			return raw, key, errs.InvalidField("timestamp", "must not lie before 1970")
		}
	}
	e.Claimed = earliest(raw, e.Received)
	e.Undated = s.Timestamp == nil && !e.Claimed.Equal(e.Received)
	if s.SentAt != nil && s.Source == Public && stated {
		// The age of the consent is what the device's own clock measured between
		// the act and the sending; it never reaches back further than the site
		// allows.
		age := min(max(0, s.SentAt.Sub(raw)), p.Backdate)
		corrected := e.Received.Add(-age).Truncate(time.Millisecond)
		e.Corrected = &corrected
	}
	return raw, key, nil
}

// keyTime checks an idempotency key and returns its time; without a key it
// mints one of the receive time.
func keyTime(p Policy, key string, received time.Time, newID func(time.Time) string) (time.Time, string, error) {
	if key == "" {
		return received, newID(received), nil
	}
	id, err := uuid.Parse(key)
	if err != nil || id.Version() != 7 || len(key) != 36 {
		return received, "", errs.InvalidField("Idempotency-Key", "must be a UUID of version 7 (RFC 9562)")
	}
	at := IDTime(id.String())
	return at, id.String(), within("Idempotency-Key", at, received, p.Backdate)
}

// anyPast lets a time lie back as far as it likes.
const anyPast = math.MaxInt64

// within refuses a time that a client's wrong clock must have made.
func within(field string, t, now time.Time, backdate time.Duration) error {
	old := backdate != anyPast && t.Before(now.Add(-backdate))
	if !old && !t.After(now.Add(MaxAhead)) {
		return nil
	}
	message := fmt.Sprintf("must not lie more than %d minutes ahead", int(MaxAhead.Minutes()))
	if backdate != anyPast {
		message = fmt.Sprintf("must not lie more than %d days ago or %d minutes ahead", int(backdate.Hours()/24), int(MaxAhead.Minutes()))
	}
	return &errs.Error{
		Kind: errs.Clock, ServerTime: now, Message: "the client's clock is out of range: see errors and server_time",
		Fields: []errs.Field{{Field: field, Message: message}},
	}
}

// IDTime is the time that a UUIDv7 carries; the zero time for any other text.
func IDTime(id string) time.Time {
	u, err := uuid.Parse(id)
	if err != nil || u.Version() != 7 {
		return time.Time{}
	}
	sec, nsec := u.Time().UnixTime()
	return time.Unix(sec, nsec).UTC().Truncate(time.Millisecond)
}

// Month is the month of a consent id, like "2026-02".
func Month(id string) string { return IDTime(id).Format("2006-01") }

// Range bounds a list of consents by id, newest first: Before is excluded, From
// and To are times of ids and included. The zero value has no bounds.
type Range struct {
	Before   string
	From, To time.Time
}

// keepProofs stores what is large or new and returns what the event says of it.
func (r *Recorder) keepProofs(ctx context.Context, e *Event, texts []ProofText) ([]Proof, error) {
	var kept []Proof
	for _, t := range texts {
		var p Proof
		if t.Content != nil {
			if err := r.keepContent(ctx, e, &p, t.Content.Reveal()); err != nil {
				return nil, err
			}
		}
		if t.Form != nil {
			if err := r.keepForm(ctx, e, &p, t.Form.Reveal()); err != nil {
				return nil, err
			}
		}
		kept = append(kept, p)
	}
	return kept, nil
}

func (r *Recorder) keepContent(ctx context.Context, e *Event, p *Proof, content string) error {
	p.HasContent, p.ContentBytes = true, len(content)
	if len(content) <= r.inline {
		p.Content = redact.String(content)
		return nil
	}
	p.ContentDigest = hexDigest(content)
	return r.proofs.PutContent(ctx, e.Subject, e.ID, p.ContentDigest, []byte(content))
}

func (r *Recorder) keepForm(ctx context.Context, e *Event, p *Proof, form string) error {
	p.FormDigest, p.FormBytes = hexDigest(form), len(form)
	cacheKey := e.Site + p.FormDigest
	known, seen := r.known.Get(cacheKey)
	if seen && known.shared {
		p.FormNonce = known.nonce
		return nil
	}
	nonce := nonceOf(r.newID(e.Received))
	state, err := r.forms.Show(ctx, e.Site, p.FormDigest, e.Subject, nonce)
	if err != nil {
		return err
	}
	p.FormNonce = state.Nonce
	if !state.Stored && (!seen || known.nonce != state.Nonce) {
		if err := r.proofs.PutForm(ctx, e.Site, p.FormDigest, state.Nonce, []byte(form)); err != nil {
			return err
		}
	}
	r.known.Put(cacheKey, knownForm{nonce: state.Nonce, shared: state.Shared})
	return nil
}

// nonceOf makes a short object nonce of a fresh id.
func nonceOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func hexDigest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
