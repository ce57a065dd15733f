package requests

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/page"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/throttle"
)

// wish is the body of POST /public/requests.
type wish struct {
	Type        request.Type  `json:"type"`
	Email       redact.String `json:"email"`
	Name        redact.String `json:"name"`
	Language    string        `json:"language"`
	Residence   string        `json:"residence"`
	Message     redact.String `json:"message"`
	Changes     []change      `json:"changes"`
	Preferences []string      `json:"preferences"`
	SubjectID   redact.String `json:"subject_id"` // what the page says, and nobody believes
}

// received is the answer to everybody: it does not tell whether a person is
// known, takes mail, or has asked too often.
var received = map[string]string{"status": "received"}

// openPublic is POST /public/requests.
func (s *server) openPublic(w http.ResponseWriter, r *http.Request) error {
	var in wish
	const limit = 64 << 10
	body, err := httpapi.DecodeStrict(r, limit, &in)
	if err != nil {
		return err
	}
	if in.Type == request.Disclosure {
		return errs.InvalidField("type", "an authority writes to the company itself")
	}
	if in.Language == "" {
		in.Language = page.Language(r.Header.Get("Accept-Language"))
	}
	// What the door for administrators checks holds here too.
	whole := &opening{
		Type: in.Type, Residence: in.Residence, Language: in.Language, Message: in.Message, Changes: in.Changes,
		Preferences: in.Preferences, Channel: "web_form", Subject: &subject{Email: in.Email, Name: in.Name, SubjectID: in.SubjectID},
	}
	if in.Email == "" {
		return errs.InvalidField("email", "must be given: the link that confirms the request goes there")
	}
	whole.Identity.Method = "email"
	d, err := s.draft(siteOf(r), whole, request.ThePerson)
	if err != nil {
		return public(err)
	}
	d.body, d.door, d.key = body, publicDoor, httpapi.IdempotencyKey(r)
	if err := s.throttle(r); err != nil {
		return err
	}
	enough, err := s.enough(r, d)
	if err != nil {
		return err
	}
	if enough {
		// No further request, but an objection counts each time it is made.
		d.request.ID = s.newID(s.now().UTC())
		if in.Type == request.Objection {
			err = s.object(r.Context(), siteOf(r), d.request, d)
		}
	} else {
		_, err = s.create(r.Context(), siteOf(r), d)
	}
	if err != nil {
		return err
	}
	return httpapi.WriteStatus(w, http.StatusAccepted, received)
}

// public names the fields as they stand in the body of a page.
func public(err error) error {
	var e *errs.Error
	if e, _ = err.(*errs.Error); e == nil {
		return err
	}
	fields := slices.Clone(e.Fields)
	for i := range fields {
		fields[i].Field = strings.TrimPrefix(fields[i].Field, "subject.")
	}
	again := *e
	again.Fields = fields
	return &again
}

// throttle bounds what one address may ask in an hour.
func (s *server) throttle(r *http.Request) error {
	n, err := s.count(r.Context(), siteOf(r).ID, "address", throttle.Network(r.RemoteAddr), time.Hour)
	if err != nil {
		return err
	}
	if n > s.terms.Policy.PerAddress {
		return errs.New(errs.TooMany, "too many requests from this address: try again in an hour")
	}
	return nil
}

// enough reports whether a mailbox has asked as often as it may in a day. A
// repetition with the same idempotency key counts, too: its first call has been
// answered.
func (s *server) enough(r *http.Request, d *draft) (bool, error) {
	for _, k := range d.known {
		if k.Kind != identity.Email {
			continue
		}
		const day = 24 * time.Hour
		normal, _ := k.Normal()
		n, err := s.count(r.Context(), siteOf(r).ID, "mailbox", identity.Mailbox(normal), day)
		return n > s.terms.Policy.PerIdentifier, err
	}
	return false, nil
}
