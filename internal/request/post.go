package request

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/mail"
	"slices"
	"strconv"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/redact"
)

// Letters writes letters: *letter.Letters.
type Letters interface {
	Render(kind letter.Kind, language string, d letter.Data) (letter.Message, error)
	Brief(kind letter.Kind, language string, d letter.Data) (string, error)
}

// Mailer hands a message to the mail service and returns its id there. An error
// that is ErrNotTaken says that the service has surely not taken it, and one of
// kind Invalid beside that it never will; any other leaves open whether the
// message will arrive.
type Mailer interface {
	Send(ctx context.Context, m letter.Message) (id string, err error)
}

// ErrNotTaken is in the chain of a Mailer's error when the message will surely
// not arrive: it was refused, or the call was never made.
var ErrNotTaken = errors.New("the mail service has not taken the message")

// ErrUndeliverable is in the chain of an error of Postman.Send that no
// repetition mends: a person must write to the person by other means. It is
// returned once for a letter; the next Send of it succeeds without sending, so
// that whoever has seen to it can let the request go on.
var ErrUndeliverable = errors.New("the letter cannot be mailed")

// What stands in Mail.Message in place of the provider's id.
const (
	notTaken      = "not taken"     // the next attempt has a key of its own
	undeliverable = "undeliverable" // a person was told
	outage        = "outage"        // undeliverable, because the mail service has taken no letter for days
	unknown       = "unknown"       // whether it went out; a person was told
)

const (
	sendPatience = 7 * 24 * time.Hour // for so long a letter that the mail service does not take is tried again
	firstPause   = 15 * time.Minute   // before the third attempt; it doubles
	longestPause = 6 * time.Hour
	sendLease    = 2 * time.Minute // an intent that is older and not marked as sent: its sender has died
	leastLease   = 10 * time.Second
)

// Postman sends letters about requests, each at most once for an occasion. The
// intent is a row that is written before the call; when the outcome of the call
// is not known, the letter is not sent again and a person is told.
type Postman struct {
	Store      Store
	Letters    Letters
	Mailer     Mailer
	Chat       Chat // nil: letters of requests by chat are put to a person
	Controller Controller
	Policy     Policy
	Hash       func(address string) string // keyed hash of an e-mail, for Store.Suppressed
	Now        func() time.Time
}

// Send sends a letter to whom it is for: the person, the recipient of a handover,
// or the privacy office. r is as it is stored. d says what only the caller
// knows, such as a link; everything that the request itself says is filled in.
//
// It succeeds when the letter went out, now or before, and when none is due:
// nobody writes to the person of a legal disclosure. Unavailable may pass, the
// site's daily limit of mails included; ErrUnderway is one, of a letter in a chat.
// ErrUndeliverable is put to a person. Every other error is as the store returned
// it.
func (p Postman) Send(ctx context.Context, r *Request, kind letter.Kind, occasion string, d letter.Data) error {
	return p.SendMade(ctx, r, kind, occasion, func() (letter.Data, error) { return d, nil })
}

// SendMade is Send for what is only made when the letter is written, such as a
// link.
func (p Postman) SendMade(ctx context.Context, r *Request, kind letter.Kind, occasion string, data func() (letter.Data, error)) error {
	if r.Type == Disclosure && !kind.ToOffice() {
		return nil
	}
	person, err := p.Store.Personal(ctx, r.ID)
	if err != nil {
		return err
	}
	if inChat(r, kind, person) {
		return p.chat(ctx, r, kind, occasion, person, data)
	}
	key, settled, err := p.key(ctx, r, kind, occasion)
	if err != nil || settled {
		return err
	}
	to, err := p.addressee(ctx, r, kind, person)
	if err != nil {
		return p.giveUp(ctx, r, kind, key, undeliverable, err)
	}
	d, err := data()
	if err != nil {
		return err
	}
	m, err := p.Letters.Render(kind, p.language(r, kind), p.fill(r, kind, person, d))
	if err != nil {
		return err
	}
	m.Request, m.To, m.From = r.ID, to, p.Controller.From
	counter, err := p.mayMail(ctx, r, kind)
	if err != nil {
		return err
	}
	err = p.send(ctx, r, kind, key, m)
	if counter != "" && errors.Is(err, ErrNotTaken) { // it is no mail of the day
		if uncounted := p.Store.Uncount(ctx, counter); uncounted != nil {
			return uncounted
		}
	}
	return err
}

// Office is in place of a request under which letters are kept that are about
// none. It has no log.
const Office = "office"

// Agreement tells the privacy office that the agreement with a system's processor
// has lapsed, once for the system and the day. sent: this call has. Nothing is
// written while the configuration names no office or no sender: that may change.
//
// Errors are those of Send; after ErrUndeliverable nothing more is sent.
func (p Postman) Agreement(ctx context.Context, i connector.Inventory) (sent bool, err error) {
	why, since := i.Processor.Lapsed(p.Now())
	if why == "" || p.Controller.DPO.Email == "" || p.Controller.From == "" {
		return false, nil
	}
	office := &Request{ID: Office}
	key, settled, err := p.key(ctx, office, letter.Agreement, i.System+"."+since.Format(time.DateOnly))
	if err != nil || settled {
		return false, err
	}
	m, err := p.Letters.Render(letter.Agreement, p.Controller.Language, letter.Data{
		Controller: p.Controller.Name, Matter: letter.Matter(why), What: i.System, Processor: i.Processor.Name,
		Due: since, Blocked: p.Policy.DPA == BlockDPA,
	})
	if err != nil {
		return false, err
	}
	m.To, m.From = redact.String(p.Controller.DPO.Email), p.Controller.From
	err = p.send(ctx, office, letter.Agreement, key, m)
	return err == nil, err
}

// Outage tells the privacy office that the letter of a request was given up
// because the mail service took none for days, where it was: once for the site
// and the day on which the request came, however many have. Errors are those of
// Send.
func (p Postman) Outage(ctx context.Context, r *Request, kind letter.Kind, occasion string) error {
	m, _, err := p.latest(ctx, r.ID, kind, occasion)
	if err != nil || m == nil || m.Message != outage || p.Controller.DPO.Email == "" || p.Controller.From == "" {
		return err
	}
	office := &Request{ID: Office}
	key, settled, err := p.key(ctx, office, letter.Reminder, fmt.Sprintf("%s.%s.%s", outage, r.Site, r.Received.UTC().Format(time.DateOnly)))
	if err != nil || settled {
		return err
	}
	text, err := p.Letters.Render(letter.Reminder, p.Controller.Language, p.fill(r, letter.Reminder, Personal{}, letter.Data{
		Matter: letter.Undeliverable, What: MailKey(kind, occasion),
	}))
	if err != nil {
		return err
	}
	text.Request, text.To, text.From = r.ID, redact.String(p.Controller.DPO.Email), p.Controller.From
	return p.send(ctx, office, letter.Reminder, key, text)
}

// tries are the attempts at a letter that the mail service did not take.
type tries struct {
	n           int
	first, last time.Time
}

// latest reads the newest attempt at a letter, nil when the next one is to be
// made, and what came before it.
func (p Postman) latest(ctx context.Context, request string, kind letter.Kind, occasion string) (*Mail, tries, error) {
	var t tries
	for {
		m, err := p.Store.Mail(ctx, request, attemptKey(kind, occasion, t.n))
		if err != nil || m == nil || m.Message != notTaken {
			return m, t, err
		}
		if t.n == 0 {
			t.first = m.At
		}
		t.n, t.last = t.n+1, m.At
	}
}

// again is when the next attempt is due: the second one at once, because the
// service may only have been asked too fast.
func (p Postman) again(t tries) time.Time {
	if t.n < 2 {
		return t.last
	}
	pause := firstPause
	for range t.n - 2 {
		pause = min(2*pause, longestPause)
	}
	return t.last.Add(p.Policy.Scale(pause))
}

// key finds the key under which a letter is to be sent; settled means that it is
// not.
func (p Postman) key(ctx context.Context, r *Request, kind letter.Kind, occasion string) (key string, settled bool, err error) {
	m, t, err := p.latest(ctx, r.ID, kind, occasion)
	key = attemptKey(kind, occasion, t.n)
	switch now := p.Now(); {
	case err != nil:
		return key, false, err
	case m == nil && t.last.Sub(t.first) >= p.Policy.Scale(sendPatience):
		return key, true, p.giveUp(ctx, r, kind, key, outage, errs.New(errs.Conflict, "the mail service did not take the letter in %d attempts", t.n))
	case m == nil && now.Before(p.again(t)):
		return key, true, errs.New(errs.Unavailable, "the letter %s waits for its next attempt", key)
	case m == nil:
		return key, false, nil
	case !m.Sent.IsZero():
		return key, true, nil
	case now.Sub(m.At) < p.lease():
		return key, true, errs.New(errs.Unavailable, "the letter %s is being sent", key)
	}
	return key, true, p.giveUp(ctx, r, kind, key, unknown, errs.New(errs.Conflict, "nobody knows whether the letter %s went out: its sending was interrupted", key))
}

// Arrived reports what became of a letter: out, it was handed to the mail
// service; settled, nothing more will happen to it, because it is out or because
// a person was told that it cannot be mailed.
func (p Postman) Arrived(ctx context.Context, request string, kind letter.Kind, occasion string) (out, settled bool, err error) {
	m, _, err := p.latest(ctx, request, kind, occasion)
	if err != nil || m == nil || m.Sent.IsZero() {
		return false, false, err
	}
	return !slices.Contains([]string{undeliverable, outage, unknown}, m.Message), true, nil
}

// attemptKey is the key of the n-th attempt, from 0.
func attemptKey(kind letter.Kind, occasion string, n int) string {
	if n == 0 {
		return MailKey(kind, occasion)
	}
	return fmt.Sprintf("%s~%d", MailKey(kind, occasion), n+1)
}

// MailKey is under what a letter is kept (Mail.Key).
func MailKey(kind letter.Kind, occasion string) string { return string(kind) + "." + occasion }

// lease is how long a letter may be on its way to the mail service.
func (p Postman) lease() time.Duration { return max(leastLease, p.Policy.Scale(sendLease)) }

// toUnproven are letters that may go to an address before it is proven. Those
// of the second kind only when an administrator has given the address: a public
// form is no way to have strangers written to.
var (
	toUnproven = []letter.Kind{letter.IdentityLink}
	toGiven    = []letter.Kind{letter.Acknowledgement, letter.Unverified, letter.Refusal, letter.Withdrawn}
)

// addressee is where a letter goes.
func (p Postman) addressee(ctx context.Context, r *Request, kind letter.Kind, person Personal) (redact.String, error) {
	to := person.Address
	switch {
	case kind.ToOffice() && p.Controller.DPO.Email == "":
		return "", errs.New(errs.NotFound, "systems.json names no address of a privacy office")
	case kind.ToOffice():
		return redact.String(p.Controller.DPO.Email), nil
	case kind == letter.Handover:
		to = person.Recipient
	}
	if a, err := mail.ParseAddress(to.Reveal()); err != nil || a.Address != to.Reveal() {
		return "", errs.New(errs.NotFound, "there is no e-mail address that the letter could go to")
	}
	given := slices.Contains(toGiven, kind) && r.Opened != ThePerson
	if !r.Identity.Proven() && !given && !slices.Contains(toUnproven, kind) {
		return "", errs.New(errs.Forbidden, "nobody has proven that the address is the person's")
	}
	stopped, err := p.Store.Suppressed(ctx, p.Hash(to.Reveal()))
	if err != nil {
		return "", err
	}
	if stopped {
		return "", errs.New(errs.Forbidden, "mail to this address came back, or its owner does not want any")
	}
	return to, nil
}

// fill completes the data of a letter by what the request says.
func (p Postman) fill(r *Request, kind letter.Kind, person Personal, d letter.Data) letter.Data {
	c := p.Controller
	d.Controller, d.Address, d.DPO, d.DPOEmail = c.Name, c.Address, c.DPO.Name, c.DPO.Email
	d.Authority = c.Authority.In(p.language(r, kind))
	d.Reference, d.Type, d.Regime = r.ID, string(r.Type), string(r.Regime)
	d.Received, d.Due, d.OnBehalf = r.Received, r.Clock.Due, r.OnBehalf
	if zone, err := zoneOf(r.Clock.Zone); err == nil {
		d.Zone = zone
	}
	if r.Identity.Proven() { // else whoever has filled in a form would choose the words of a letter to somebody
		d.Name = person.Name
	}
	switch {
	case kind == letter.Refusal && r.Refusal != nil:
		d.Ground, d.Reason = r.Refusal.Ground, r.Refusal.Reason
	case kind == letter.Extension:
		d.Reason = r.Clock.Reasons
	case kind == letter.Held && d.Ground == "":
		hold, everywhere := r.Held("")
		if !everywhere && len(r.Holds) > 0 {
			hold = r.Holds[0]
		}
		d.Ground, d.Reason = hold.Ground, hold.Reason
	case kind == letter.Answer && r.Type == Rectification && d.Changes == nil:
		for _, change := range person.Changes {
			d.Changes = append(d.Changes, letter.Change{Field: change.Field, Old: change.Old, New: change.New})
		}
	case kind == letter.Answer && r.Type == Portability:
		d.Recipient = person.Recipient
	}
	return d
}

// language is that of the reader.
func (p Postman) language(r *Request, kind letter.Kind) string {
	if kind.ToOffice() {
		return p.Controller.Language
	}
	return r.Language
}

// mayMail counts a mail against the site's limit of the day and returns the
// counter, "" where there is none. Those to addresses that are not proven have a
// limit of their own, so that a flood of a public form cannot hold up anybody's
// answer.
func (p Postman) mayMail(ctx context.Context, r *Request, kind letter.Kind) (counter string, err error) {
	lane := "proven"
	switch {
	case kind.ToOffice():
		return "", nil
	case !r.Identity.Proven():
		lane = "claimed"
	}
	now, day := p.Now(), p.Policy.day()
	counter = fmt.Sprintf("mails#%s#%s#%d", r.Site, lane, now.UnixNano()/int64(day))
	n, err := p.Store.Count(ctx, counter, now.Add(2*day))
	if err != nil || n <= p.Policy.MailsPerDay {
		return counter, err
	}
	if err := p.Store.Uncount(ctx, counter); err != nil {
		return "", err
	}
	return "", errs.New(errs.Unavailable, "the site has sent its mails of the day")
}

// send writes the intent, calls the mail service and writes the outcome.
func (p Postman) send(ctx context.Context, r *Request, kind letter.Kind, key string, m letter.Message) error {
	now := p.Now().UTC()
	if err := p.log(ctx, r, key, nil, ""); err != nil {
		return err
	}
	err := p.Store.PutMail(ctx, r.ID, Mail{Key: key, Kind: string(kind), At: now})
	if errs.Is(err, errs.Conflict) {
		return errs.New(errs.Unavailable, "the letter %s is being sent", key)
	}
	if err != nil {
		return err
	}
	call, cancel := context.WithTimeout(ctx, p.lease()/2)
	defer cancel()
	id, err := p.Mailer.Send(call, m)
	switch {
	case errors.Is(err, ErrNotTaken) && errs.Is(err, errs.Invalid):
		return p.giveUp(ctx, r, kind, key, undeliverable, errs.Wrap(errs.Invalid, err, "the mail service refuses the letter %s", key))
	case errors.Is(err, ErrNotTaken):
		if marked := p.Store.Sent(ctx, r.ID, key, notTaken, p.Now().UTC()); marked != nil {
			return marked
		}
		return errs.Wrap(errs.Unavailable, err, "the mail service did not take the letter %s", key)
	case err != nil:
		return p.giveUp(ctx, r, kind, key, unknown, errs.Wrap(errs.Conflict, err, "nobody knows whether the letter %s went out", key))
	}
	return p.Store.Sent(ctx, r.ID, key, id, p.Now().UTC())
}

// giveUp writes down that a letter cannot be sent, or that nobody knows whether
// it was, and returns the reason as ErrUndeliverable: a person is told once.
// What may pass is returned as it is.
func (p Postman) giveUp(ctx context.Context, r *Request, kind letter.Kind, key, outcome string, why error) error {
	if errs.Is(why, errs.Unavailable) || errs.Is(why, errs.Internal) {
		return why
	}
	var reason *errs.Error
	if !errors.As(why, &reason) {
		return why
	}
	if err := p.log(ctx, r, key, map[string]string{"outcome": outcome}, reason.Message); err != nil {
		return err
	}
	err := p.Store.PutMail(ctx, r.ID, Mail{Key: key, Kind: string(kind), At: p.Now().UTC()})
	if err != nil && !errs.Is(err, errs.Conflict) {
		return err
	}
	if err := p.Store.Sent(ctx, r.ID, key, outcome, p.Now().UTC()); err != nil {
		return err
	}
	return errs.Wrap(reason.Kind, errors.Join(ErrUndeliverable, why), "%s", reason.Message)
}

// log adds a line to the request's log, as the run that r was read in.
func (p Postman) log(ctx context.Context, r *Request, key string, detail map[string]string, why string) error {
	if r.ID == Office {
		return nil
	}
	as := *r
	entry, err := as.Do(Letter, Avow, why, p.Now().UTC())
	if err != nil {
		return err
	}
	entry.From, entry.To = r.State, r.State
	entry.Detail = map[string]string{"letter": key}
	maps.Copy(entry.Detail, detail)
	return p.Store.Write(ctx, Change{Fence: &Fence{Request: r.ID, Epoch: r.Epoch}, Entries: []Entry{entry}})
}

// Owed are the letters that the state of a request demands, by kind and
// occasion, apart from its answer: who wrote the state may have died before
// sending them. A link that was mailed says that the request has arrived, too.
func Owed(r *Request) map[letter.Kind]string {
	if r.Type == Disclosure {
		return nil
	}
	owed := map[letter.Kind]string{}
	proven := r.Identity.Proven()
	if r.State == WaitingIdentity && r.Identity.Links > 0 {
		owed[letter.IdentityLink] = strconv.Itoa(r.Identity.Links)
	}
	if !proven && r.Opened == ThePerson { // the address is hearsay
		return owed
	}
	switch {
	case r.State == Refused:
		owed[letter.Refusal] = "1"
	case r.State == Withdrawn:
		owed[letter.Withdrawn] = "1"
	case r.State == Unverified:
		owed[letter.Unverified] = strconv.Itoa(r.Identity.Links)
	case !r.State.Ended() && r.Identity.Links == 0:
		owed[letter.Acknowledgement] = "1"
	}
	if r.Clock.Extended && proven && !r.State.Ended() {
		owed[letter.Extension] = "1"
	}
	return owed
}
