// Package ledger is the connector of Avow's own ledger: what consents, proofs
// and documents hold of a person, what the person may have exported, changed and
// erased, and what decides in which order that happens. It reads partitions page
// by page, so that a person with a million events takes no more memory than one
// with ten.
package ledger

import (
	"context"
	"encoding/json"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// FormKind is the kind of identifier by which the connector remembers the forms
// that only this person was shown, "<digest>.<nonce>": once the events are gone,
// nothing else says whose they were.
const FormKind identity.Kind = "ledger.form"

// Rows is what every use of the connector reads of the ledger.
type Rows interface {
	consent.Pager
	// Get reads one consent consistently, a tombstone included; nil when there is
	// no row.
	Get(ctx context.Context, subject, id string) (*consent.Event, error)
}

// Texts are the objects that events name. What does not exist is NotFound.
type Texts interface {
	Form(ctx context.Context, site, digest, nonce string) ([]byte, error)
	Content(ctx context.Context, subject, consentID, digest string) ([]byte, error)
	Notice(ctx context.Context, site, digest string) ([]byte, error)
	Document(ctx context.Context, site, id, digest string) ([]byte, error)
}

// Forms tells who was shown a form; nil when nothing is known of it.
type Forms interface {
	Form(ctx context.Context, site, digest string) (*consent.Form, error)
}

// Documents reads what is known of a document; nil when there is none.
type Documents interface {
	Get(ctx context.Context, site, id string) (*consent.Document, error)
}

// Removal is what only the function erase may do.
type Removal struct {
	Rows     consent.Eraser
	Erasures interface {
		consent.Erasures
		// Revive notes that a partition must be erased again.
		Revive(ctx context.Context, site, subject string) error
	}
	Forms interface {
		// Forget removes a form's row unless it has changed since it was read.
		Forget(ctx context.Context, f *consent.Form) (removed bool, err error)
	}
	Documents interface {
		// Forget removes a document's row unless it has changed since it was read.
		Forget(ctx context.Context, d *consent.Document) (removed bool, err error)
	}
	Objects interface {
		// Contents lists, in order, the consents of a subject that have large
		// content in any version, behind the one given; next is "" at the end.
		Contents(ctx context.Context, subject, after string) (consents []string, next string, err error)
		// The others delete every version and return how many there were.
		EraseContent(ctx context.Context, subject, consentID string) (int, error)
		EraseForm(ctx context.Context, site, digest, nonce string) (int, error)
		EraseDocument(ctx context.Context, site, id string) (int, error)
		// Keep stores the proof of a consent until a day; twice is once.
		Keep(ctx context.Context, until time.Time, subject, consentID string, body []byte) error
		// Expired lists kept proofs whose day is over.
		Expired(ctx context.Context, now time.Time) (keys []string, more bool, err error)
		EraseKept(ctx context.Context, key string) error
	}
}

// Options of the connector.
type Options struct {
	Inventory connector.Inventory // from systems.json; what is not said there has a default
	Rows      Rows
	Append    consent.Appender // rectify, restrict and object only append; nil where none of them is called
	Views     consent.ViewReader
	Forms     Forms
	Documents Documents
	Notices   consent.Notices
	Texts     Texts
	Hasher    *pseudonym.Hasher
	// Rules are the settings of a site that decide what counts; nil: the defaults.
	Rules  func(ctx context.Context, site string) (consent.Rules, error)
	Policy request.Policy
	// Own are the company's own addresses and numbers, such as that of its data
	// protection officer: forms show them to everybody, so they make no form
	// anybody's in particular.
	Own     []redact.String
	Removal *Removal // nil everywhere but in the function erase
	Now     func() time.Time
	// Chunk is how many rows one call deals with, 2,000 unless it is set; a call
	// also ends early when the time that its context leaves runs short.
	Chunk int
}

// Connector is the connector. It is safe for concurrent use.
type Connector struct {
	Options
	people  *consent.People
	finder  *consent.Finder
	amender *consent.Amender
}

var _ connector.Connector = (*Connector)(nil)

// New returns the connector.
func New(o Options) *Connector {
	const usual = 2000
	if o.Chunk <= 0 {
		o.Chunk = usual
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Connector{
		Options: o,
		people:  consent.NewPeople(nil, o.Hasher),
		finder:  consent.NewFinder(o.Views, o.Hasher),
		amender: &consent.Amender{Ledger: o.Append, Hasher: o.Hasher, Now: o.Now},
	}
}

// Inventory implements connector.Connector.
func (c *Connector) Inventory() connector.Inventory {
	i := c.Options.Inventory.Complete(connector.Inventory{
		Does:    []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object},
		Data:    categories,
		Source:  source,
		Backups: backups,
	})
	i.Portable = true
	return i
}

var (
	proving    = connector.Text{"en": "Legal obligation: Art. 6(1)(c) with Art. 7(1) GDPR", "fr": "Obligation légale : art. 6, § 1, c), et art. 7, § 1, RGPD"}
	categories = []connector.Category{
		{
			Name:      connector.Text{"en": "Consents and refusals: what was chosen, when, how, and which texts applied", "fr": "Consentements et refus : ce qui a été choisi, quand, comment, et quels textes s'appliquaient"},
			Purpose:   connector.Text{"en": "To show that consent was given or refused, and to respect it", "fr": "Démontrer que le consentement a été donné ou refusé, et le respecter"},
			Retention: connector.Text{"en": "As long as the consent is relied on, and until a request for erasure", "fr": "Tant que le consentement est utilisé, et jusqu'à une demande d'effacement"},
			Basis:     proving,
		},
		{
			Name:      connector.Text{"en": "Identity: e-mail, names, telephone numbers, the number you have with us", "fr": "Identité : e-mail, noms, numéros de téléphone, votre numéro chez nous"},
			Purpose:   connector.Text{"en": "To know whose choice it is", "fr": "Savoir de qui émane le choix"},
			Retention: connector.Text{"en": "As long as the consents", "fr": "Aussi longtemps que les consentements"},
			Basis:     proving,
		},
		{
			Name:      connector.Text{"en": "Proofs: the form as it was shown, what was entered, signed documents, IP address", "fr": "Preuves : le formulaire tel qu'il a été affiché, la saisie, les documents signés, l'adresse IP"},
			Purpose:   connector.Text{"en": "To prove the consent", "fr": "Prouver le consentement"},
			Retention: connector.Text{"en": "As long as the consents", "fr": "Aussi longtemps que les consentements"},
			Basis:     proving,
		},
	}
	source  = connector.Text{"en": "Yourself, through forms and messages, and our own systems", "fr": "Vous-même, par des formulaires et des messages, et nos propres systèmes"}
	backups = connector.Text{"en": "Backups of the tables age out within 35 days", "fr": "Les sauvegardes des tables disparaissent sous 35 jours"}
)

// Identifiers implements connector.Connector.
func (c *Connector) Identifiers() (needs, yields []identity.Kind) {
	return []identity.Kind{identity.Email, identity.SubjectID, identity.Phone, identity.Name},
		[]identity.Kind{identity.Email, identity.Phone, identity.SubjectID, identity.ExternalID, FormKind}
}

// Start implements connector.Connector. An erasure and an export only fix here
// what they are about: the rest is Poll's.
func (c *Connector) Start(ctx context.Context, call connector.Call) (connector.Progress, error) {
	switch call.Operation {
	case connector.Export:
		return c.startExport(ctx, call)
	case connector.Erase:
		return c.startErase(ctx, call)
	case connector.Rectify, connector.Restrict, connector.Object:
		return c.amend(ctx, call)
	}
	return connector.Progress{}, errs.New(errs.Unsupported, "the ledger cannot %s", call.Operation)
}

// Poll implements connector.Connector.
func (c *Connector) Poll(ctx context.Context, call connector.Call) (connector.Progress, error) {
	switch call.Operation {
	case connector.Export:
		return c.export(ctx, call)
	case connector.Erase:
		return c.erase(ctx, call)
	}
	return c.Start(ctx, call)
}

// Lift ends a restriction that an earlier request has led to, on the company's
// word (Art. 18(3) GDPR: the person is told before). case is the id of what asks
// for it, a UUIDv7.
func (c *Connector) Lift(ctx context.Context, s connector.Subject, request string) error {
	_, err := c.amend(ctx, connector.Call{Request: request, Operation: connector.Restrict, Subject: s, Handle: lifted})
	return err
}

// soon is when to poll again what has only been cut into bounded pieces.
const soon = time.Millisecond

// target is one partition that an operation deals with.
type target struct {
	Partition string `json:"p"`
	Single    bool   `json:"s,omitempty"` // only the events that state an e-mail of the person
}

// cursor is where an operation has got to. It is what a handle holds: partitions
// are keyed hashes, but what an erasure looks for in forms is personal data and
// goes with the handle, when the request closes.
type cursor struct {
	At      int64    `json:"at,omitempty"` // erase: what was said until then goes; unix milliseconds
	From    int64    `json:"f,omitempty"`  // erase: from when on proofs are kept, where that is not At
	Targets []target `json:"t"`
	Stage   int      `json:"s,omitempty"`
	Index   int      `json:"i,omitempty"`
	After   string   `json:"a,omitempty"`
	Seen    []string `json:"n,omitempty"` // export: texts that are written already
	Phones  []string `json:"p,omitempty"` // erase: looked for in forms
	Names   []string `json:"w,omitempty"`
	Kept    []string `json:"k,omitempty"` // erase: what is reported as kept already
}

func (c cursor) handle() string {
	text, err := json.Marshal(c)
	if err != nil {
		panic("ledger: encoding a cursor") // only our own types
	}
	return string(text)
}

func parseCursor(handle string) (c cursor, err error) {
	if err := json.Unmarshal([]byte(handle), &c); err != nil || c.Index < 0 || c.Stage < 0 {
		return cursor{}, errs.New(errs.Internal, "the ledger does not know the handle of its own operation")
	}
	return c, nil
}

// whole are the partitions that are the person's altogether.
func (c cursor) whole() map[string]bool {
	all := map[string]bool{}
	for _, t := range c.Targets {
		if !t.Single {
			all[t.Partition] = true
		}
	}
	return all
}

// next goes on to the next target; done is true behind the last.
func (c *cursor) next() (done bool) {
	c.After = ""
	c.Index++
	return c.Index >= len(c.Targets)
}

// short reports whether an invocation should stop where it is: its function is
// given time to write down what it has done.
func short(ctx context.Context) bool {
	const slack = 20 * time.Second
	d, ok := ctx.Deadline()
	return ok && time.Until(d) < slack
}

// pageRows is how many rows are read with one query.
const pageRows = 100
