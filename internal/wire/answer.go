package wire

import (
	"encoding/json"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/httpapi"
)

// Time writes an instant as the wire has it: UTC, RFC 3339, whole seconds.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// TimePtr writes an optional instant.
func TimePtr(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := Time(*t)
	return &s
}

// nullable writes an empty text as null.
func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// Acknowledgement is the answer to a consent.
type Acknowledgement struct {
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	SubjectID string `json:"subject_id"`
}

// NewAcknowledgement renders an acknowledgement.
func NewAcknowledgement(a consent.Acknowledgement) Acknowledgement {
	return Acknowledgement{ID: a.ID, Timestamp: Time(a.Timestamp), SubjectID: a.SubjectID.Reveal()}
}

// SubjectAcknowledgement is the answer to a statement about a subject. Clients
// know the instant under one of two names.
type SubjectAcknowledgement struct {
	ID        string `json:"id"`
	Timestamp string `json:"timestamp"`
	CreatedAt string `json:"created_at"`
}

// NewSubjectAcknowledgement renders the answer to a statement about a subject.
func NewSubjectAcknowledgement(a consent.Acknowledgement) SubjectAcknowledgement {
	at := Time(a.Timestamp)
	return SubjectAcknowledgement{ID: a.SubjectID.Reveal(), Timestamp: at, CreatedAt: at}
}

// Person is the subject as a consent shows it.
type Person struct {
	ID        string  `json:"id"`
	OwnerID   string  `json:"owner_id"`
	Email     *string `json:"email"`
	FirstName *string `json:"first_name"`
	LastName  *string `json:"last_name"`
	FullName  *string `json:"full_name"`
	Verified  bool    `json:"verified"`
}

// NewPerson renders the current view of a subject.
func NewPerson(site, subjectID string, p *consent.Person) Person {
	return Person{
		ID: subjectID, OwnerID: site,
		Email: nullable(p.Email.Reveal()), FirstName: nullable(p.FirstName.Reveal()),
		LastName: nullable(p.LastName.Reveal()), FullName: nullable(p.FullName.Reveal()),
		Verified: p.Verified,
	}
}

// Subject is a subject with its preferences.
type Subject struct {
	Person
	Phones      []Phone         `json:"phones"`
	Preferences *PreferencesMap `json:"preferences"` // null when nothing was ever stated
	Timestamp   string          `json:"timestamp"`
}

// Phone is a telephone number.
type Phone struct {
	Number string  `json:"number"`
	Label  *string `json:"label"`
}

// PreferencesMap is the current state of each preference, in order of key.
type PreferencesMap []consent.State

// MarshalJSON writes an object of preference keys. A grant that has expired or
// waits for its confirmation, and one that a privacy signal objects to, show as
// false.
func (m PreferencesMap) MarshalJSON() ([]byte, error) {
	type entry struct {
		Value     json.RawMessage `json:"value"`
		ConsentID string          `json:"consent_id"`
		Granted   bool            `json:"granted"`
		Reason    consent.Reason  `json:"reason"`
		ExpiresAt *string         `json:"expires_at,omitempty"`
	}
	out := make(map[string]entry, len(m))
	for _, s := range m {
		e := entry{Value: json.RawMessage(s.Value), Granted: s.Granted, Reason: s.Reason, ExpiresAt: TimePtr(s.ExpiresAt)}
		switch s.Reason {
		case consent.Expired, consent.TooManyEvents, consent.Pending, consent.Lapsed:
			e.Value = json.RawMessage("false")
		}
		if len(s.ConsentIDs) > 0 {
			e.ConsentID = s.ConsentIDs[0]
		}
		out[s.Preference] = e
	}
	return httpapi.Encode(out)
}

// NewSubject renders a subject.
func NewSubject(site, subjectID string, p *consent.Person) Subject {
	s := Subject{Person: NewPerson(site, subjectID, p), Phones: []Phone{}, Timestamp: Time(p.Updated)}
	for _, phone := range p.Phones {
		s.Phones = append(s.Phones, Phone{phone.Number.Reveal(), nullable(phone.Label)})
	}
	if len(p.Preferences) > 0 {
		s.Preferences = (*PreferencesMap)(&p.Preferences)
	}
	return s
}

// ConsentItem is a consent as a list shows it.
type ConsentItem struct {
	ID          string          `json:"id"`
	Timestamp   string          `json:"timestamp"`
	Owner       string          `json:"owner"`
	Source      string          `json:"source"`
	Subject     Person          `json:"subject"`
	Preferences json.RawMessage `json:"preferences"`
	IPAddress   *string         `json:"ip_address"`
	ConsentType *string         `json:"consent_type"`
	OptIn       *OptIn          `json:"double_opt_in,omitempty"`
}

// NewConsentItem renders a consent for a list.
func NewConsentItem(e *consent.Event, subject Person) ConsentItem {
	return ConsentItem{
		ID: e.ID, Timestamp: Time(e.Claimed), Owner: subject.OwnerID, Source: string(e.Source),
		Subject: subject, Preferences: preferences(e.Preferences),
		IPAddress: nullable(e.IP.Reveal()), ConsentType: nullable(e.ConsentType), OptIn: newOptIn(e),
	}
}

// OptIn says that a consent waits for its confirmation, or was confirmed.
type OptIn struct {
	Channel  string  `json:"channel"`
	Language *string `json:"language"` // null: the controller's own
	LapsesAt string  `json:"lapses_at"`
	// State is pending, confirmed or lapsed. Lists leave it out: they do not look
	// for the second event.
	State          string  `json:"state,omitempty"`
	ConfirmationID *string `json:"confirmation_id,omitempty"` // of the second event
}

func newOptIn(e *consent.Event) *OptIn {
	if e.OptIn == nil {
		return nil
	}
	return &OptIn{Channel: string(e.OptIn.Channel), Language: nullable(e.OptIn.Language), LapsesAt: Time(e.OptIn.Until)}
}

// Confirmed completes what a record says of its confirmation; id is that of the
// second event, "" where there is none.
func (o *OptIn) Confirmed(id string, until, now time.Time) {
	switch {
	case id != "":
		o.State, o.ConfirmationID = "confirmed", &id
	case now.After(until):
		o.State = string(consent.Lapsed)
	default:
		o.State = string(consent.Pending)
	}
}

// Confirmation is the proof of a double opt-in, on its second event.
type Confirmation struct {
	ConsentID       string   `json:"consent_id"` // the event that waited
	Channel         string   `json:"channel"`
	Language        string   `json:"language"`
	Wording         string   `json:"wording"`        // the message as it was sent
	WordingDigest   string   `json:"wording_digest"` // SHA-256, hex
	Template        *string  `json:"template"`
	TemplateVersion *string  `json:"template_version"`
	MessageIDs      []string `json:"message_ids"`
	SentAt          string   `json:"sent_at"`
	AnsweredAt      string   `json:"answered_at"`
	Answer          *string  `json:"answer"` // the button or keyword as it is written
}

func newConfirmation(c *consent.Confirmation) *Confirmation {
	if c == nil {
		return nil
	}
	m := &c.Message
	return &Confirmation{
		ConsentID: c.Consent, Channel: string(m.Channel), Language: m.Language,
		Wording: m.Wording.Reveal(), WordingDigest: m.WordingDigest(),
		Template: nullable(m.Template), TemplateVersion: nullable(m.TemplateVersion), MessageIDs: append([]string{}, m.IDs...),
		SentAt: Time(m.SentAt), AnsweredAt: Time(m.AnsweredAt), Answer: nullable(m.Answer.Reveal()),
	}
}

// preferences writes the preferences of one consent as they were stated.
func preferences(list []consent.Preference) json.RawMessage {
	out := make(map[string]json.RawMessage, len(list))
	for _, p := range list {
		out[p.Key] = json.RawMessage(p.Value)
	}
	b, err := httpapi.Encode(out)
	if err != nil {
		return json.RawMessage("{}")
	}
	return b
}

// Consent is a whole record.
type Consent struct {
	ConsentItem
	Checksum       string        `json:"checksum"`
	LegalNotices   []Notice      `json:"legal_notices"`
	Proofs         []Proof       `json:"proofs"`
	ProofDocuments []Document    `json:"proof_documents"`
	Act            string        `json:"act"`
	ReceivedAt     string        `json:"received_at"`
	CorrectedAt    *string       `json:"corrected_at"`
	SentAt         *string       `json:"sent_at"`
	DeviceTime     *string       `json:"device_time"`
	ExpiresAt      *string       `json:"expires_at"`
	GPC            bool          `json:"gpc"`
	SubjectToken   *string       `json:"subject_token"`
	Confirms       *Confirmation `json:"confirms,omitempty"`
}

// Notice is a legal notice that a consent names. Version is null, and resolved
// false, when no such version was in force.
type Notice struct {
	Identifier   string  `json:"identifier"`
	Version      *int    `json:"version"`
	Resolved     bool    `json:"resolved"`
	VersionGiven *string `json:"version_given,omitempty"`
}

// NewNotice renders a notice; version 0 means that it could not be resolved.
func NewNotice(ref consent.NoticeRef, version int) Notice {
	n := Notice{Identifier: ref.Identifier, Resolved: version > 0}
	if given, ok := ref.Number(); ok {
		n.Version = &given
	} else {
		n.VersionGiven = nullable(ref.Version)
	}
	if version > 0 {
		n.Version = &version
	}
	return n
}

// Proof is what was entered and what was shown. Missing is true, and Form is
// empty, when the form has gone because somebody's address stood in it who was
// erased.
type Proof struct {
	Content *string `json:"content"`
	Form    *string `json:"form"`
	Missing bool    `json:"missing,omitempty"`
}

// Document is a proof document that a consent names. Missing is true, and the
// other fields are empty, when the site has no such document.
type Document struct {
	ID        string  `json:"id"`
	Name      *string `json:"name"`
	MimeType  *string `json:"mime_type"`
	Timestamp *string `json:"timestamp"`
	Missing   bool    `json:"missing,omitempty"`
}

// NewConsent renders a record, without what belongs to other rows.
func NewConsent(e *consent.Event, subject Person) Consent {
	c := Consent{
		ConsentItem: NewConsentItem(e, subject), Checksum: e.Checksum(),
		LegalNotices: []Notice{}, Proofs: []Proof{}, ProofDocuments: []Document{},
		Act: string(e.Act), ReceivedAt: Time(e.Received), CorrectedAt: TimePtr(e.Corrected),
		SentAt: TimePtr(e.SentAt), DeviceTime: TimePtr(e.DeviceTime), ExpiresAt: TimePtr(e.ExpiresAt),
		GPC: e.GPC, SubjectToken: nullable(string(e.Token)), Confirms: newConfirmation(e.Confirms),
	}
	return c
}

// Decision is the answer to "may I?".
type Decision struct {
	Granted    bool           `json:"granted"`
	Reason     consent.Reason `json:"reason"`
	ConsentIDs []string       `json:"consent_ids"`
	At         string         `json:"at"`
	ExpiresAt  *string        `json:"expires_at,omitempty"`
}
