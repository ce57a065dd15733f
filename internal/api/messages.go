package api

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/site"
)

// message is the body of POST /messages.
type message struct {
	Channel    string        `json:"channel"`    // whatsapp
	System     string        `json:"system"`     // name in systems.json; "whatsapp"
	Preference string        `json:"preference"` // what the person must have agreed to
	Phone      redact.String `json:"phone"`      // or
	SubjectID  redact.String `json:"subject_id"`
	Language   string        `json:"language"`
	Text       redact.String `json:"text"` // or
	Template   *template     `json:"template"`
}

type template struct {
	Name       string          `json:"name"`
	Language   string          `json:"language"` // as Meta writes it: fr, en_US
	Parameters []redact.String `json:"parameters"`
}

// The bounds of a message.
const (
	maxMessageBody = 16 << 10
	maxMessageText = 3900 // bytes: Meta takes 4096 characters, and the way to stop is added
	maxParameters  = 20
	maxParameter   = 1024 // bytes
	messageKept    = 30 * 24 * time.Hour
)

var (
	systemForm   = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	templateForm = regexp.MustCompile(`^[a-z0-9_]{1,512}$`)
	codeForm     = regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2})?$`)
	languageForm = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{1,8})*$`)
)

// check judges a body.
func (m *message) check(of *site.Site) error {
	var bad []errs.Field
	dislike := func(wrong bool, field, message string) {
		if wrong {
			bad = append(bad, errs.Field{Field: field, Message: message})
		}
	}
	dislike(m.Channel != chat.Channel, "channel", "must be whatsapp")
	dislike(m.System != "" && !systemForm.MatchString(m.System), "system", "must be the name of a system of kind whatsapp")
	known := slices.ContainsFunc(of.Register, func(p site.Purpose) bool { return p.Key == m.Preference && p.Channel == chat.Channel })
	dislike(!known, "preference", "must be a preference of the register whose channel is whatsapp")
	dislike((m.Phone == "") == (m.SubjectID == ""), "phone", "either phone or subject_id must be given")
	if m.Phone != "" {
		_, ok := identity.NormalizePhone(m.Phone.Reveal())
		dislike(!ok, "phone", "must be a telephone number with its country prefix, such as +33 6 12 34 56 78")
	}
	dislike(len(m.SubjectID) > consent.MaxText, "subject_id", "is too long")
	dislike(m.Language != "" && !languageForm.MatchString(m.Language), "language", "must be a language tag, such as fr")
	dislike((m.Text == "") == (m.Template == nil), "text", "either text or template must be given")
	dislike(len(m.Text) > maxMessageText || !utf8.ValidString(m.Text.Reveal()), "text", "must be UTF-8 of at most 3900 bytes")
	if t := m.Template; t != nil {
		dislike(!templateForm.MatchString(t.Name), "template.name", "must be the name of an approved template")
		dislike(!codeForm.MatchString(t.Language), "template.language", "must be a language as Meta writes it, such as fr or en_US")
		dislike(len(t.Parameters) > maxParameters, "template.parameters", "are at most 20")
		for _, p := range t.Parameters {
			wrong := p == "" || len(p) > maxParameter || !utf8.ValidString(p.Reveal()) || strings.ContainsAny(p.Reveal(), "\n\t")
			dislike(wrong, "template.parameters", "must have 1 to 1024 bytes each, without line ends and tabs")
		}
	}
	if bad != nil {
		return errs.InvalidFields(bad...)
	}
	return nil
}

// postMessage is POST /messages: it notes a message, and answers before anything
// is sent. Whether the person has agreed is asked at the moment of sending.
func (s *server) postMessage(w http.ResponseWriter, r *http.Request) error {
	var in message
	body, err := httpapi.DecodeStrict(r, maxMessageBody, &in)
	if err != nil {
		return err
	}
	of := siteOf(r)
	if err := in.check(of); err != nil {
		return err
	}
	to, err := s.addressee(r, of, &in)
	if err != nil {
		return err
	}
	now := s.now().UTC().Truncate(time.Millisecond)
	at, key, err := consent.KeyTime(s.sites.Policy(of), httpapi.IdempotencyKey(r), now, s.newID)
	if err != nil {
		return err
	}
	o := in.outgoing(to, now)
	o.Person = chat.KinOf(s.hasher, of.ID, o.System, to).Person
	o.ID = s.hasher.ID(at, "message", of.ID, o.Person, key)
	o.About = s.hasher.Identifier(of.ID, "message-body", httpapi.Canonical(body))
	if err := s.messages.Note(r.Context(), o); err != nil {
		return err
	}
	stored, err := s.messages.Message(r.Context(), o.Person, o.ID)
	if err != nil {
		return err
	}
	if stored == nil || stored.About != o.About {
		return errs.New(errs.Conflict, "another request was made with this idempotency key")
	}
	if err := s.outbox.Message(r.Context(), of.ID, *stored); err != nil {
		return err
	}
	return httpapi.WriteJSON(w, shown(stored, s.now()))
}

// addressee is the number that a message goes to: for a subject the one from which
// the person has confirmed or answered.
func (s *server) addressee(r *http.Request, of *site.Site, in *message) (redact.String, error) {
	if in.Phone != "" {
		normal, _ := identity.NormalizePhone(in.Phone.Reveal())
		return redact.String(normal), nil
	}
	u, err := s.people.ByID(r.Context(), of.ID, in.SubjectID.Reveal(), time.Time{})
	if err != nil {
		return "", err
	}
	if len(u.Phones) != 1 {
		return "", errs.InvalidField("subject_id", "has not one telephone number from which the person has confirmed a consent: give phone")
	}
	for phone := range u.Phones {
		return redact.String(phone), nil
	}
	return "", nil
}

// outgoing is the row of a message.
func (m *message) outgoing(to redact.String, now time.Time) chat.Outgoing {
	o := chat.Outgoing{
		Purpose: chat.Send, System: m.System, To: to, Language: m.Language, Preference: m.Preference, Text: m.Text,
		State: chat.Due, At: now, Expires: now.Add(messageKept),
	}
	if o.System == "" {
		o.System = chat.Channel
	}
	if t := m.Template; t != nil {
		o.Template = t.Name + "/" + t.Language
		texts := make([]string, len(t.Parameters))
		for i, p := range t.Parameters {
			texts[i] = p.Reveal()
		}
		o.Text = redact.String(strings.Join(texts, "\n"))
	}
	return o
}

// messagePrefix begins the id of a message, which tells where it stands.
const messagePrefix = "msg_"

// messageAnswer is a message as the API shows it: not its text, which is not kept.
type messageAnswer struct {
	ID         string     `json:"id"`
	State      chat.State `json:"state"`
	Reason     string     `json:"reason,omitempty"`
	Preference string     `json:"preference"`
	Created    string     `json:"created"`
	Sent       string     `json:"sent,omitempty"`
	Delivery   string     `json:"delivery,omitempty"`
	Code       int        `json:"code,omitempty"`
}

func shown(o *chat.Outgoing, now time.Time) messageAnswer {
	state, reason := o.Standing(now)
	a := messageAnswer{
		ID: messagePrefix + o.Person + "." + o.ID, State: state, Reason: reason, Preference: o.Preference,
		Created: o.At.UTC().Format(time.RFC3339), Delivery: o.Delivery, Code: o.Code,
	}
	if o.State == chat.Sent {
		a.Sent = o.Sent.UTC().Format(time.RFC3339)
	}
	return a
}

var errNoMessage = errs.New(errs.NotFound, "there is no such message")

// getMessage is GET /messages/{id}.
func (s *server) getMessage(w http.ResponseWriter, r *http.Request) error {
	person, id, ok := strings.Cut(strings.TrimPrefix(r.PathValue("id"), messagePrefix), ".")
	if _, err := uuid.Parse(id); err != nil || !ok || len(person) != 22 {
		return errNoMessage
	}
	o, err := s.messages.Message(r.Context(), person, id)
	if err != nil {
		return err
	}
	// The partition is that of a site and an address: another site's key cannot
	// name it, and is told nothing if it does.
	if o == nil || o.Purpose != chat.Send || chat.KinOf(s.hasher, siteOf(r).ID, o.System, o.To).Person != person {
		return errNoMessage
	}
	return httpapi.WriteJSON(w, shown(o, s.now()))
}
