package ledger

import (
	"context"
	"encoding/json"
	"html"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/settings"
)

// The stages of an erasure.
const (
	eraseLook    = iota // what will be kept, and why: nothing is changed yet
	eraseRows           // rows become tombstones, and what they name goes before them
	eraseObjects        // large contents that no row names any more
	eraseCount          // what the tombstones say
)

// claims is the ground on which proofs are kept.
const claims = "Art. 17(3)(e) GDPR"

// startErase fixes whom and what an erasure is about, and remembers it against
// resurrection, before anything goes: from here on what was said before is
// erased, whenever it arrives, and what is said from now on is a fresh consent.
func (c *Connector) startErase(ctx context.Context, call connector.Call) (connector.Progress, error) {
	if c.Removal == nil {
		return connector.Progress{}, errs.New(errs.Internal, "only the function erase may erase")
	}
	p, err := c.reach(ctx, call.Subject)
	if err != nil {
		return connector.Progress{}, err
	}
	at, err := c.until(ctx, call, p.keys())
	if err != nil {
		return connector.Progress{}, err
	}
	return c.fixErasure(ctx, call, p, cursor{At: at.UnixMilli()})
}

// fixErasure remembers an erasure of what was said until fixed.At, and begins it.
func (c *Connector) fixErasure(ctx context.Context, call connector.Call, p *person, fixed cursor) (connector.Progress, error) {
	if err := c.Removal.Erasures.Put(ctx, p.keys(), time.UnixMilli(fixed.At).UTC(), call.Request, p.site); err != nil {
		return connector.Progress{}, err
	}
	fixed.Targets = p.targets
	fixed.Phones = first(maxPhones, slices.Sorted(maps.Keys(p.phones)))
	fixed.Names = first(maxPhones, slices.Sorted(maps.Keys(p.names)))
	return connector.Progress{Handle: fixed.handle(), After: soon}, nil
}

// until is the instant that an erasure covers: now or, where the same request
// has begun before, the instant that it covered then. What the person has said
// since is a fresh consent, even when an operator has the erasure repeated.
func (c *Connector) until(ctx context.Context, call connector.Call, keys []string) (time.Time, error) {
	at := time.UnixMilli(call.Now.UnixMilli()).UTC()
	erased, err := c.Removal.Erasures.Erased(ctx, keys)
	if err != nil {
		return at, err
	}
	opened := consent.IDTime(call.Request)
	var before time.Time
	for _, t := range erased {
		if !opened.IsZero() && !t.Before(opened) && t.After(before) {
			before = t
		}
	}
	if before.IsZero() {
		return at, nil
	}
	return before, nil
}

// keys are the keyed hashes of the person's identifiers, and the partitions,
// which are keyed hashes themselves.
func (p *person) keys() []string {
	var keys []string
	add := func(kind identity.Kind, normal string) {
		keys = append(keys, p.c.Hasher.Identifier(p.site, string(kind), normal))
	}
	for _, normal := range slices.Sorted(maps.Keys(p.emails)) {
		add(identity.Email, normal)
	}
	for _, t := range p.targets {
		if t.Single {
			continue
		}
		keys = append(keys, t.Partition)
		if id := p.subjects[t.Partition]; id != "" {
			add(identity.SubjectID, strings.TrimSpace(id.Reveal()))
		}
	}
	return keys
}

func first(n int, list []string) []string { return list[:min(n, len(list))] }

// erasing is one call of an erasure.
type erasing struct {
	*Connector
	ctx    context.Context
	call   connector.Call
	cursor cursor
	at     time.Time // what was said until then goes
	whole  map[string]bool
	person *person // the identifiers
	rows   int
	kept   map[string]connector.Kept
	forms  map[string]inside // what was read of forms that others were shown, too
	counts map[string]int
}

// erase goes on with an erasure, one chunk. Every step of it may be repeated: a
// row goes after all that only it names.
func (c *Connector) erase(ctx context.Context, call connector.Call) (connector.Progress, error) {
	if c.Removal == nil {
		return connector.Progress{}, errs.New(errs.Internal, "only the function erase may erase")
	}
	at, err := parseCursor(call.Handle)
	if err != nil {
		return connector.Progress{}, err
	}
	x := c.erasing(ctx, call, at)
	for {
		done, err := x.step()
		if err != nil {
			return connector.Progress{}, err
		}
		if done {
			return x.progress(true), nil
		}
		// What the look has found must be written down before anything goes.
		if x.rows >= c.Chunk || short(ctx) || at.Stage == eraseLook && x.cursor.Stage > eraseLook {
			return x.progress(false), nil
		}
	}
}

func (c *Connector) erasing(ctx context.Context, call connector.Call, at cursor) *erasing {
	x := &erasing{
		Connector: c, ctx: ctx, call: call, cursor: at, at: time.UnixMilli(at.At).UTC(), whole: at.whole(),
		person: c.known(call.Subject), kept: map[string]connector.Kept{}, forms: map[string]inside{}, counts: map[string]int{},
	}
	for _, phone := range at.Phones {
		x.person.phones[phone] = redact.String(phone)
	}
	for _, name := range at.Names {
		x.person.names[name] = true
	}
	return x
}

func (x *erasing) progress(done bool) connector.Progress {
	x.cursor.Kept = append(x.cursor.Kept, slices.Sorted(maps.Keys(x.kept))...)
	p := connector.Progress{Done: done, Handle: x.cursor.handle(), Counts: x.counts}
	for _, what := range slices.Sorted(maps.Keys(x.kept)) {
		p.Kept = append(p.Kept, x.kept[what])
	}
	if done {
		total := 0
		for _, n := range x.counts {
			total += n
		}
		p.Evidence = []connector.Evidence{{At: x.call.Now, Call: "replace rows by tombstones", Answer: strconv.Itoa(total) + " rows, with the proofs and documents that only they name"}}
		return p
	}
	p.After = soon
	return p
}

// step deals with one page of one stage and moves the cursor on.
func (x *erasing) step() (done bool, err error) {
	if x.cursor.Index >= len(x.cursor.Targets) {
		x.cursor.Stage, x.cursor.Index, x.cursor.After = x.cursor.Stage+1, 0, ""
		return x.cursor.Stage > eraseCount || len(x.cursor.Targets) == 0, nil
	}
	t, next := x.cursor.Targets[x.cursor.Index], ""
	switch x.cursor.Stage {
	case eraseLook:
		next, err = x.page(t, x.look)
	case eraseRows:
		next, err = x.page(t, x.row)
	case eraseObjects:
		next, err = x.objects(t)
	default:
		next, err = x.page(t, x.tally)
	}
	if err != nil {
		return false, err
	}
	if x.cursor.After = next; next == "" {
		x.cursor.next()
	}
	return false, nil
}

func (x *erasing) page(t target, each func(t target, r consent.Row) error) (next string, err error) {
	page, next, err := x.Rows.Page(x.ctx, t.Partition, x.cursor.After, pageRows)
	if err != nil {
		return "", err
	}
	for _, r := range page {
		if err := each(t, r); err != nil {
			return "", err
		}
	}
	x.rows += len(page)
	return next, nil
}

// covers reports whether an erasure is about a row that is no tombstone.
func (x *erasing) covers(t target, r consent.Row) bool {
	return !r.Erased && !r.Said.After(x.at) && (!t.Single || r.Event != nil && x.person.states(r.Event))
}

// row erases one row: first what only it names, then the row itself. Until then
// a crash leaves a row that says what is left to do.
func (x *erasing) row(t target, r consent.Row) error {
	if !x.covers(t, r) {
		return nil
	}
	if r.Event != nil {
		if err := x.named(t, r.Event); err != nil {
			return err
		}
	}
	return x.Removal.Rows.Bury(x.ctx, t.Partition, r.Sort, x.call.Subject.Site, x.at)
}

func (x *erasing) named(t target, e *consent.Event) error {
	if err := x.keepProof(t, e); err != nil {
		return err
	}
	for _, p := range e.Proofs {
		if p.FormDigest != "" {
			if err := x.form(e.Site, p.FormDigest, p.FormNonce); err != nil {
				return err
			}
		}
		if p.ContentDigest != "" {
			if _, err := x.Removal.Objects.EraseContent(x.ctx, e.Subject, e.ID); err != nil {
				return err
			}
		}
	}
	for _, id := range e.DocumentIDs {
		if err := x.document(e.Site, id); err != nil {
			return err
		}
	}
	return nil
}

// form erases a form that only this person was shown, or that has the person's
// address or number in it. The row goes before the object, under the condition
// that nobody else was shown it meanwhile: whoever is shown it next stores it
// anew.
func (x *erasing) form(site, digest, nonce string) error {
	f, err := x.Connector.Forms.Form(x.ctx, site, digest)
	if err != nil {
		return err
	}
	if f == nil || f.Nonce != nonce { // an earlier attempt has removed the row that named this object
		_, err := x.Removal.Objects.EraseForm(x.ctx, site, digest, nonce)
		return err
	}
	where, err := x.judge(f)
	if err != nil || where != byAddress {
		return err
	}
	removed, err := x.Removal.Forms.Forget(x.ctx, f)
	if err != nil {
		return err
	}
	if !removed { // somebody was shown it at this moment: judge again
		return x.form(site, digest, nonce)
	}
	_, err = x.Removal.Objects.EraseForm(x.ctx, site, digest, nonce)
	return err
}

// judge tells whether a form goes: because only this person was shown it, or
// because the person's address or number stands in it.
func (x *erasing) judge(f *consent.Form) (inside, error) {
	if f.OnlyTo(x.whole) {
		return byAddress, nil
	}
	if where, known := x.forms[f.Digest+f.Nonce]; known {
		return where, nil
	}
	body, err := x.Texts.Form(x.ctx, f.Site, f.Digest, f.Nonce)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nowhere, err
	}
	where := x.person.in(body, x.Own)
	x.forms[f.Digest+f.Nonce] = where
	return where, nil
}

// look notes what an erasure will keep of what a row names.
func (x *erasing) look(t target, r consent.Row) error {
	if !x.covers(t, r) || r.Event == nil {
		return nil
	}
	e := r.Event
	if x.keepsProof(t, e) {
		x.keep("proofs of consent", claims, "to establish, exercise or defend legal claims; out of use, apart from the ledger", x.keptUntil())
	}
	for _, p := range e.Proofs {
		if p.FormDigest == "" {
			continue
		}
		f, err := x.Connector.Forms.Form(x.ctx, e.Site, p.FormDigest)
		if err != nil {
			return err
		}
		if f == nil || f.Nonce != p.FormNonce {
			continue
		}
		where, err := x.judge(f)
		if err != nil {
			return err
		}
		if where == byName {
			x.keep("a form that others were shown, too", "Art. 7(1) and 17(3)(b) GDPR",
				"it proves the consent of others; a name of this person stands in it, which may be a chance", time.Time{})
		}
	}
	for _, id := range e.DocumentIDs {
		d, err := x.Documents.Get(x.ctx, e.Site, id)
		if err != nil {
			return err
		}
		if d != nil {
			x.keepDocument(d)
		}
	}
	return nil
}

// keepDocument reports whether a document stays, and notes why.
func (x *erasing) keepDocument(d *consent.Document) bool {
	switch {
	case len(d.By) == 0 && d.Referenced:
		x.keep("documents of which it is not known who else names them", "Art. 17(3)(b) GDPR", "rebuild the views, then erase again", time.Time{})
		return true
	case len(d.By) > 0 && !d.OnlyBy(x.whole):
		x.keep("documents that other people's consents or a notice name", "Art. 7(1) and 17(3)(b) GDPR", "they prove the consent of others", time.Time{})
		return true
	}
	return false
}

// document erases a document that nothing else names: a signed form, a scanned
// contract. A document that others' consents or a notice name stays.
func (x *erasing) document(site, id string) error {
	d, err := x.Documents.Get(x.ctx, site, id)
	if err != nil {
		return err
	}
	if d == nil { // an earlier attempt, or it never was
		_, err := x.Removal.Objects.EraseDocument(x.ctx, site, id)
		return err
	}
	if x.keepDocument(d) {
		return nil
	}
	removed, err := x.Removal.Documents.Forget(x.ctx, d)
	if err != nil || !removed {
		return err
	}
	_, err = x.Removal.Objects.EraseDocument(x.ctx, site, id)
	return err
}

func (x *erasing) keep(what, ground, reason string, until time.Time) {
	if slices.Contains(x.cursor.Kept, what) {
		return
	}
	k := connector.Kept{What: what, Ground: ground, Reason: reason}
	if !until.IsZero() {
		k.Until = until.Format(time.DateOnly)
	}
	x.kept[what] = k
}

// objects deletes large contents whose event is a tombstone or never was: what a
// crash or a late retry has left. Of what belongs to a consent that is not erased
// nothing goes.
func (x *erasing) objects(t target) (next string, err error) {
	if t.Single {
		return "", nil
	}
	list, next, err := x.Removal.Objects.Contents(x.ctx, t.Partition, x.cursor.After)
	if err != nil {
		return "", err
	}
	for _, id := range list {
		e, err := x.Rows.Get(x.ctx, t.Partition, id)
		if err != nil {
			return "", err
		}
		if e != nil && e.ErasedAt == nil || e == nil && consent.IDTime(id).After(x.at) {
			continue
		}
		if _, err := x.Removal.Objects.EraseContent(x.ctx, t.Partition, id); err != nil {
			return "", err
		}
	}
	x.rows += len(list)
	return next, nil
}

// tally counts the tombstones of this erasure: however often it was interrupted,
// they say how many rows it has erased.
func (x *erasing) tally(_ target, r consent.Row) error {
	if !r.Erased || !r.ErasedAt.Equal(x.at) {
		return nil
	}
	x.counts[string(r.Form)]++
	return nil
}

// keepProof stores what proves a consent, for legal claims, before the consent is
// erased: who, what, when and on which texts, without names, numbers, addresses
// of machines and documents. It stands apart from the ledger, which keeps a
// tombstone, and is deleted on its day.
func (x *erasing) keepProof(t target, e *consent.Event) error {
	if !x.keepsProof(t, e) {
		return nil
	}
	r := newEventRecord(e)
	r.Profile, r.IP, r.DeviceTime, r.Checksum = nil, "", nil, e.Checksum()
	if r.OptIn != nil && e.OptIn.Channel != consent.ByEmail {
		r.OptIn.Address = ""
	}
	if e.Profile.Email != nil {
		r.Profile = map[string]any{"email": e.Profile.Email.Value.Reveal()}
	}
	received, claimed := e.NoticeTimes()
	for _, n := range e.LegalNotices {
		version, err := consent.Resolver{Notices: x.Notices}.InForce(x.ctx, e.Site, n, received, claimed)
		if err != nil {
			return err
		}
		r.Notices = append(r.Notices, noticeRecord{Identifier: n.Identifier, Version: version, Given: n.Version})
	}
	for _, p := range e.Proofs {
		proof, err := x.keptProof(e, p)
		if err != nil {
			return err
		}
		r.Proofs = append(r.Proofs, proof)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return errs.Wrap(errs.Internal, err, "encoding a proof that is kept")
	}
	return x.Removal.Objects.Keep(x.ctx, x.keptUntil(), t.Partition, e.ID, body)
}

func (x *erasing) keepsProof(t target, e *consent.Event) bool {
	return x.Policy.ProofKept > 0 && e.Kind == consent.KindConsent && !t.Single
}

// keptUntil is the day on which a kept proof goes: within the bounds that
// systems.json has, too, whoever has made the policy.
func (x *erasing) keptUntil() time.Time {
	from := x.at
	if x.cursor.From != 0 {
		from = time.UnixMilli(x.cursor.From).UTC()
	}
	return from.Add(x.Policy.Scale(min(max(x.Policy.ProofKept, settings.ShortestProof), settings.LongestProof)))
}

// keptProof is a proof with its texts in itself: the objects are erased.
func (x *erasing) keptProof(e *consent.Event, p consent.Proof) (proofRecord, error) {
	r := proofRecord{FormDigest: p.FormDigest}
	read := func(get func() ([]byte, error)) (*string, error) {
		body, err := get()
		if errs.Is(err, errs.NotFound) {
			r.Missing = true
			return nil, nil
		}
		text := string(body)
		return &text, err
	}
	var err error
	switch {
	case p.ContentDigest != "":
		if r.Content, err = read(func() ([]byte, error) { return x.Texts.Content(x.ctx, e.Subject, e.ID, p.ContentDigest) }); err != nil {
			return r, err
		}
	case p.HasContent:
		text := p.Content.Reveal()
		r.Content = &text
	}
	if p.FormDigest != "" {
		r.Form, err = read(func() ([]byte, error) { return x.Texts.Form(x.ctx, e.Site, p.FormDigest, p.FormNonce) })
	}
	return r, err
}

// Where a text holds something of the person.
type inside int

const (
	nowhere inside = iota
	byName         // a name alone, which others may have, or which may be a word
	byAddress
)

// in looks for the person in a text as it may be written: as it is, with HTML
// entities, in a URL, in capitals. The company's own addresses do not count.
func (p *person) in(body []byte, own []redact.String) inside {
	if len(body) == 0 {
		return nowhere
	}
	texts := spellings(string(body))
	mine := func(normal string) bool {
		for _, o := range own {
			if email, ok := identity.NormalizeEmail(o.Reveal()); ok && email == normal {
				return false
			}
			if phone, ok := identity.NormalizePhone(o.Reveal()); ok && phone == normal {
				return false
			}
		}
		return true
	}
	for normal, shown := range p.emails {
		if mine(normal) && (contains(texts, identity.Fold(normal)) || contains(texts, identity.Fold(shown.Reveal()))) {
			return byAddress
		}
	}
	for normal := range p.phones {
		if digits := strings.TrimPrefix(normal, "+"); mine(normal) && contains(onlyDigits(texts), digits) {
			return byAddress
		}
	}
	for name := range p.names {
		if strings.Contains(name, " ") && contains(texts, name) {
			return byName
		}
	}
	return nowhere
}

func contains(texts []string, part string) bool {
	for _, t := range texts {
		if part != "" && strings.Contains(t, part) {
			return true
		}
	}
	return false
}

func spellings(text string) []string {
	list := []string{identity.Fold(text), identity.Fold(html.UnescapeString(text))}
	if decoded, err := url.QueryUnescape(text); err == nil {
		list = append(list, identity.Fold(decoded))
	}
	return list
}

// onlyDigits drops what may stand between the digits of a telephone number.
func onlyDigits(texts []string) []string {
	var list []string
	for _, t := range texts {
		list = append(list, strings.Map(func(r rune) rune {
			if strings.ContainsRune(" .-/()\u00a0\u202f", r) {
				return -1
			}
			return r
		}, t))
	}
	return list
}
