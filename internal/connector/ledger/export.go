package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// maxSeen bounds how many texts an export remembers as written: beyond it, a
// text may come twice.
const maxSeen = 2000

// The records of an export. They say in words what the ledger keeps in short
// names, and hold what the person is to see in the clear.
type (
	// subjectRecord is the view of a subject: what follows from its events.
	subjectRecord struct {
		SubjectID   string             `json:"subject_id"`
		Email       string             `json:"email,omitempty"`
		FirstName   string             `json:"first_name,omitempty"`
		LastName    string             `json:"last_name,omitempty"`
		FullName    string             `json:"full_name,omitempty"`
		Verified    bool               `json:"verified"`
		Phones      []phoneRecord      `json:"phones,omitempty"`
		Created     time.Time          `json:"created"`
		Updated     time.Time          `json:"updated"`
		Preferences []preferenceRecord `json:"preferences,omitempty"`
		Partial     bool               `json:"partial,omitempty"` // only the records below hold every answer
	}
	phoneRecord struct {
		Number string `json:"number"`
		Label  string `json:"label,omitempty"`
	}
	preferenceRecord struct {
		Preference string          `json:"preference"`
		Value      json.RawMessage `json:"value,omitempty"`
		Granted    bool            `json:"granted"`
		Reason     consent.Reason  `json:"reason"`
		Since      *time.Time      `json:"since,omitempty"`
		ExpiresAt  *time.Time      `json:"expires_at,omitempty"`
		DecidedBy  []string        `json:"decided_by,omitempty"`
	}
	// eventRecord is one event: a consent, or a statement about the person.
	eventRecord struct {
		ID          string                     `json:"id"`
		Kind        consent.Kind               `json:"kind"`
		SubjectID   string                     `json:"subject_id"`
		Source      consent.Source             `json:"source"`
		Act         consent.Act                `json:"act"`
		At          time.Time                  `json:"at"`
		Received    time.Time                  `json:"received_at"`
		Corrected   *time.Time                 `json:"corrected_at,omitempty"`
		SentAt      *time.Time                 `json:"sent_at,omitempty"`
		DeviceTime  *time.Time                 `json:"device_time,omitempty"`
		ExpiresAt   *time.Time                 `json:"expires_at,omitempty"`
		Profile     map[string]any             `json:"stated,omitempty"`
		Preferences map[string]json.RawMessage `json:"preferences,omitempty"`
		Objected    []string                   `json:"objected_to,omitempty"`
		All         bool                       `json:"objected_to_all,omitempty"`
		Lifted      bool                       `json:"restriction_lifted,omitempty"`
		Case        string                     `json:"request,omitempty"`
		GPC         bool                       `json:"global_privacy_control,omitempty"`
		IP          string                     `json:"ip_address,omitempty"`
		ConsentType string                     `json:"consent_type,omitempty"`
		Token       consent.TokenState         `json:"subject_token,omitempty"`
		OptIn       *optInRecord               `json:"double_opt_in,omitempty"`
		Confirms    *confirmationRecord        `json:"confirms,omitempty"`
		Notices     []noticeRecord             `json:"legal_notices,omitempty"`
		Proofs      []proofRecord              `json:"proofs,omitempty"`
		Documents   []documentRecord           `json:"documents,omitempty"`
		Checksum    string                     `json:"checksum"`
	}
	optInRecord struct {
		Channel  consent.Channel `json:"channel"`
		Address  string          `json:"address"`
		Language string          `json:"language,omitempty"`
		Until    time.Time       `json:"lapses_at"`
	}
	confirmationRecord struct {
		Consent         string          `json:"consent_id"`
		Channel         consent.Channel `json:"channel"`
		Language        string          `json:"language,omitempty"`
		Wording         string          `json:"wording"` // the message as it was sent
		WordingDigest   string          `json:"wording_digest"`
		Template        string          `json:"template,omitempty"`
		TemplateVersion string          `json:"template_version,omitempty"`
		IDs             []string        `json:"message_ids,omitempty"`
		SentAt          time.Time       `json:"sent_at"`
		AnsweredAt      time.Time       `json:"answered_at"`
		Answer          string          `json:"answer,omitempty"`
	}
	noticeRecord struct {
		Identifier string   `json:"identifier"`
		Version    int      `json:"version,omitempty"` // 0: none was in force
		Given      string   `json:"version_given,omitempty"`
		Files      []string `json:"files,omitempty"` // of the package, one for each language
	}
	proofRecord struct {
		Content     *string `json:"content,omitempty"` // what was entered
		ContentFile string  `json:"content_file,omitempty"`
		FormFile    string  `json:"form_file,omitempty"` // what was shown
		FormDigest  string  `json:"form_sha256,omitempty"`
		Form        *string `json:"form,omitempty"`    // only where it is kept apart
		Missing     bool    `json:"missing,omitempty"` // the object that the event names is not there any more
	}
	documentRecord struct {
		ID      string `json:"id"`
		Name    string `json:"name,omitempty"`
		File    string `json:"file,omitempty"`
		Missing bool   `json:"missing,omitempty"`
	}
	bindingRecord struct {
		SubjectID string    `json:"subject_id"`
		Email     string    `json:"email,omitempty"`
		Phone     string    `json:"phone,omitempty"`
		At        time.Time `json:"since"`
	}
)

// startExport fixes what is exported: everything up to now in these partitions,
// in order of partition and sort key.
func (c *Connector) startExport(ctx context.Context, call connector.Call) (connector.Progress, error) {
	p, err := c.reach(ctx, call.Subject)
	if err != nil {
		return connector.Progress{}, err
	}
	call.Handle = cursor{Targets: p.targets}.handle()
	return c.export(ctx, call)
}

// exporting is one call of an export.
type exporting struct {
	*Connector
	ctx    context.Context
	call   connector.Call
	at     cursor
	person *person // only its e-mails
	counts map[string]int
	rows   int
}

// export writes one chunk: the views first, then the rows.
func (c *Connector) export(ctx context.Context, call connector.Call) (connector.Progress, error) {
	at, err := parseCursor(call.Handle)
	if err != nil {
		return connector.Progress{}, err
	}
	x := &exporting{Connector: c, ctx: ctx, call: call, at: at, counts: map[string]int{}, person: c.known(call.Subject)}
	if x.at.Stage == 0 {
		if err := x.views(); err != nil {
			return connector.Progress{}, err
		}
		x.at.Stage = 1
	}
	done, err := x.chunk()
	if err != nil {
		return connector.Progress{}, err
	}
	if done {
		return connector.Progress{Done: true, Counts: x.counts}, nil
	}
	return connector.Progress{Handle: x.at.handle(), After: soon, Counts: x.counts}, nil
}

// known is a person with nothing but the e-mails that a subject names.
func (c *Connector) known(s connector.Subject) *person {
	p := &person{c: c, site: s.Site, emails: map[string]redact.String{}, phones: map[string]redact.String{}, names: map[string]bool{}}
	for _, i := range s.Of(identity.Email) {
		if normal, ok := i.Normal(); ok {
			p.emails[normal] = i.Value
		}
	}
	return p
}

func (x *exporting) record(kind string, v any) error {
	x.counts[kind]++
	return x.call.Out.Record(kind, v)
}

// views writes what follows from the events, for each subject. A view may lag
// behind the ledger; the events that come after it do not.
func (x *exporting) views() error {
	rules, err := x.rules()
	if err != nil {
		return err
	}
	for _, t := range x.at.Targets {
		if t.Single {
			continue
		}
		v, err := x.Views.View(x.ctx, t.Partition)
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		if err := x.record("subjects", viewRecord(v, x.call.Now, rules)); err != nil {
			return err
		}
	}
	return nil
}

func (x *exporting) rules() (consent.Rules, error) {
	if x.Rules == nil {
		return consent.Rules{}, nil
	}
	return x.Rules(x.ctx, x.call.Subject.Site)
}

func viewRecord(v *consent.SubjectView, now time.Time, rules consent.Rules) subjectRecord {
	r := subjectRecord{
		SubjectID: v.SubjectID.Reveal(), Email: v.Email.Reveal(), FirstName: v.FirstName.Reveal(),
		LastName: v.LastName.Reveal(), FullName: v.FullName.Reveal(), Verified: v.Verified,
		Phones: phones(v.Phones), Created: v.Created, Updated: v.Updated, Partial: v.Partial,
	}
	for _, s := range v.Preferences(now, rules) {
		p := preferenceRecord{Preference: s.Preference, Value: json.RawMessage(s.Value), Granted: s.Granted, Reason: s.Reason, ExpiresAt: s.ExpiresAt, DecidedBy: s.ConsentIDs}
		if !s.Since.IsZero() {
			p.Since = &s.Since
		}
		r.Preferences = append(r.Preferences, p)
	}
	return r
}

func phones(list []consent.Phone) []phoneRecord {
	var out []phoneRecord
	for _, p := range list {
		out = append(out, phoneRecord{p.Number.Reveal(), p.Label})
	}
	return out
}

// chunk writes rows until the chunk is full, the time runs short or nothing is
// left.
func (x *exporting) chunk() (done bool, err error) {
	for x.at.Index < len(x.at.Targets) {
		t := x.at.Targets[x.at.Index]
		page, next, err := x.Rows.Page(x.ctx, t.Partition, x.at.After, pageRows)
		if err != nil {
			return false, err
		}
		for _, r := range page {
			if err := x.row(t, r); err != nil {
				return false, err
			}
		}
		x.rows += len(page)
		if x.at.After = next; next == "" {
			x.at.next()
		}
		if x.rows >= x.Chunk || short(x.ctx) {
			return x.at.Index >= len(x.at.Targets), nil
		}
	}
	return true, nil
}

func (x *exporting) row(t target, r consent.Row) error {
	switch {
	case r.Event != nil && (!t.Single || x.person.states(r.Event)):
		return x.event(r.Event)
	case r.Binding != nil && !t.Single:
		return x.record("links", bindingRecord{r.Binding.SubjectID.Reveal(), r.Binding.Email.Reveal(), r.Binding.Phone.Reveal(), r.Binding.At})
	case r.Event == nil && r.Binding == nil && !r.Erased:
		return errs.New(errs.Internal, "the ledger holds a row that this version cannot read: it cannot be exported")
	}
	return nil
}

func (x *exporting) event(e *consent.Event) error {
	r := newEventRecord(e)
	var err error
	if r.Notices, err = x.notices(e); err != nil {
		return err
	}
	for i, p := range e.Proofs {
		proof, err := x.proof(e, p, i)
		if err != nil {
			return err
		}
		r.Proofs = append(r.Proofs, proof)
	}
	for _, id := range e.DocumentIDs {
		d, err := x.document(e.Site, id)
		if err != nil {
			return err
		}
		r.Documents = append(r.Documents, d)
	}
	if e.Kind == consent.KindConsent {
		return x.record("consents", r)
	}
	return x.record("statements", r)
}

func newEventRecord(e *consent.Event) eventRecord {
	r := eventRecord{
		ID: e.ID, Kind: e.Kind, SubjectID: e.SubjectID.Reveal(), Source: e.Source, Act: e.Act, At: e.Claimed,
		Received: e.Received, Corrected: e.Corrected, SentAt: e.SentAt, DeviceTime: e.DeviceTime, ExpiresAt: e.ExpiresAt,
		Profile: profileRecord(&e.Profile), Objected: e.Objected, All: e.All, Lifted: e.Lifted, Case: e.Case, GPC: e.GPC,
		IP: e.IP.Reveal(), ConsentType: e.ConsentType, Token: e.Token, Checksum: e.Checksum(),
	}
	for _, p := range e.Preferences {
		if r.Preferences == nil {
			r.Preferences = map[string]json.RawMessage{}
		}
		r.Preferences[p.Key] = json.RawMessage(p.Value)
	}
	if o := e.OptIn; o != nil {
		r.OptIn = &optInRecord{o.Channel, o.Address.Reveal(), o.Language, o.Until}
	}
	if c := e.Confirms; c != nil {
		m := &c.Message
		r.Confirms = &confirmationRecord{
			c.Consent, m.Channel, m.Language, m.Wording.Reveal(), m.WordingDigest(), m.Template, m.TemplateVersion,
			m.IDs, m.SentAt, m.AnsweredAt, m.Answer.Reveal(),
		}
	}
	return r
}

// profileRecord is what an event states; null where it states that there is
// none.
func profileRecord(p *consent.Profile) map[string]any {
	out := map[string]any{}
	for name, t := range map[string]*consent.Text{"email": p.Email, "first_name": p.FirstName, "last_name": p.LastName, "full_name": p.FullName} {
		if t != nil && t.Null {
			out[name] = nil
		} else if t != nil {
			out[name] = t.Value.Reveal()
		}
	}
	if p.Verified != nil && !p.Verified.Null {
		out["verified"] = p.Verified.Value
	}
	if p.Phones != nil {
		out["phones"] = phones(p.Phones.List)
	}
	return out
}

// seen reports whether a text has been written, and notes that it is now.
func (x *exporting) seen(name string) bool {
	sum := sha256.Sum256([]byte(name))
	short := base64.RawURLEncoding.EncodeToString(sum[:9])
	if slices.Contains(x.at.Seen, short) {
		return true
	}
	if len(x.at.Seen) < maxSeen {
		x.at.Seen = append(x.at.Seen, short)
	}
	return false
}

// file writes a text once in the whole export. missing is true when it is gone.
func (x *exporting) file(name, mediaType string, read func() ([]byte, error)) (missing bool, err error) {
	if x.seen(name) {
		return false, nil
	}
	body, err := read()
	if errs.Is(err, errs.NotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return false, x.call.Out.File(x.ctx, name, mediaType, bytes.NewReader(body))
}

const (
	plainText = "text/plain; charset=utf-8" // whatever was shown or entered: nothing in a package is to run
	anyBytes  = "application/octet-stream"
)

// notices are the exact texts that the event was subject to.
func (x *exporting) notices(e *consent.Event) ([]noticeRecord, error) {
	received, claimed := e.NoticeTimes() // as the consent API resolves them
	var list []noticeRecord
	for _, ref := range e.LegalNotices {
		version, err := consent.Resolver{Notices: x.Notices}.InForce(x.ctx, e.Site, ref, received, claimed)
		if err != nil {
			return nil, err
		}
		r := noticeRecord{Identifier: ref.Identifier, Version: version, Given: ref.Version}
		if version > 0 {
			if r.Files, err = x.noticeTexts(e.Site, ref.Identifier, version); err != nil {
				return nil, err
			}
		}
		list = append(list, r)
	}
	return list, nil
}

func (x *exporting) noticeTexts(site, identifier string, version int) ([]string, error) {
	n, err := x.Notices.Version(x.ctx, site, identifier, version)
	if err != nil || n == nil {
		return nil, err
	}
	var files []string
	for _, language := range slices.Sorted(maps.Keys(n.Texts)) {
		digest := n.Texts[language]
		name := "notices/" + fileName(identifier) + "." + strconv.Itoa(version)
		if language != "" {
			name += "." + fileName(language)
		}
		name += ".txt"
		missing, err := x.file(name, plainText, func() ([]byte, error) { return x.Texts.Notice(x.ctx, site, digest) })
		if err != nil {
			return nil, err
		}
		if !missing {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	return files, nil
}

// fileName makes a name of a text that anybody may have chosen: what is not
// plain is told apart by a digest.
func fileName(text string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return -1
	}, text)
	if plain == text && len(text) <= 64 && text != "" {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return plain[:min(len(plain), 32)] + "-" + base64.RawURLEncoding.EncodeToString(sum[:6])
}

func (x *exporting) proof(e *consent.Event, p consent.Proof, index int) (proofRecord, error) {
	var r proofRecord
	if p.HasContent && p.ContentDigest == "" {
		text := p.Content.Reveal()
		r.Content = &text
	}
	if p.ContentDigest != "" {
		name := "content/" + e.ID + "." + strconv.Itoa(index) + ".txt"
		missing, err := x.file(name, plainText, func() ([]byte, error) {
			return x.Texts.Content(x.ctx, e.Subject, e.ID, p.ContentDigest)
		})
		if err != nil {
			return r, err
		}
		r.ContentFile, r.Missing = name, missing
	}
	if p.FormDigest != "" {
		r.FormDigest = p.FormDigest
		name := "forms/" + fileName(p.FormDigest) + ".txt"
		missing, err := x.file(name, plainText, func() ([]byte, error) {
			return x.Texts.Form(x.ctx, e.Site, p.FormDigest, p.FormNonce)
		})
		if err != nil {
			return r, err
		}
		r.FormFile, r.Missing = name, r.Missing || missing
	}
	return r, nil
}

func (x *exporting) document(site, id string) (documentRecord, error) {
	d, err := x.Documents.Get(x.ctx, site, id)
	if err != nil || d == nil {
		return documentRecord{ID: id, Missing: d == nil}, err
	}
	r := documentRecord{ID: id, Name: d.Name, File: "documents/" + fileName(id)}
	r.Missing, err = x.file(r.File, anyBytes, func() ([]byte, error) {
		return x.Texts.Document(x.ctx, site, id, d.Digest)
	})
	return r, err
}
