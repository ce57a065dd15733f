package consent

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// Amender appends to the ledger what data-subject requests change: objections,
// restrictions and rectified fields. It can do nothing else, so a door that
// holds one needs no right but to put events. It is safe for concurrent use.
type Amender struct {
	Ledger Appender
	Hasher *pseudonym.Hasher
	Now    Clock
}

// Amendment is one such event.
type Amendment struct {
	Site      string
	SubjectID redact.String // "" for the own subject of Email
	Email     redact.String // stated in the event, unless it is empty
	Case      string        // a UUIDv7, of the request: the same case says the same thing once
	Kind      Kind          // KindObjection, KindRestriction, or KindSubject for a rectification
	Source    Source        // Public where nobody has proven who they are; Vendor for a flag of a system
	Objected  []string      // KindObjection: the preferences; none means every one
	Lifted    bool          // KindRestriction: it ends
	Profile   Profile       // KindSubject: the fields as they should be
}

// Append puts an amendment into the ledger; it takes effect when it is received.
// Repeating it changes nothing. A trusted one that states an e-mail binds the
// subject to it, as a private consent does. What a request is about, and who may
// ask for it, is the caller's to judge.
func (a *Amender) Append(ctx context.Context, m Amendment) (id string, err error) {
	e, err := a.event(m)
	if err != nil {
		return "", err
	}
	prior, err := a.Ledger.Append(ctx, e)
	if err != nil {
		return "", err
	}
	if prior != nil && prior.ErasedAt != nil {
		return e.ID, nil
	}
	for _, b := range Bindings(a.Hasher, e) {
		if err := a.Ledger.Bind(ctx, &b); err != nil {
			return "", err
		}
	}
	return e.ID, nil
}

// ObjectAtReceipt stores an objection at the moment a request arrives, before
// anybody has proven anything: as a public refusal for the e-mail's own subject,
// which counts at once and which a later grant may end (docs/architecture.md §7,
// "Objection and withdrawal act at receipt"). preferences names what is objected
// to; none means everything. An address that identifies nobody is Invalid.
func (a *Amender) ObjectAtReceipt(ctx context.Context, site string, email redact.String, preferences []string, request string) (id string, err error) {
	return a.Append(ctx, Amendment{
		Site: site, Email: email, Case: request, Kind: KindObjection, Source: Public, Objected: preferences,
	})
}

func (a *Amender) event(m Amendment) (*Event, error) {
	at := IDTime(m.Case)
	if at.IsZero() {
		return nil, errs.New(errs.Invalid, "the case of an amendment must be the UUIDv7 of a request")
	}
	if len(m.Objected) > MaxPreferences {
		return nil, errs.New(errs.Invalid, "an objection names at most %d preferences", MaxPreferences)
	}
	received := a.Now().UTC().Truncate(time.Millisecond)
	e := &Event{
		Kind: m.Kind, Site: m.Site, SubjectID: m.SubjectID, Source: m.Source, Act: DataRequest,
		Claimed: received, Received: received, Profile: m.Profile, KeyID: a.Hasher.KeyID(),
		Objected: m.Objected, All: m.Kind == KindObjection && len(m.Objected) == 0, Lifted: m.Lifted, Case: m.Case,
	}
	if m.Source == Vendor {
		e.Act = VendorFlag
	}
	if m.Email != "" && e.Profile.Email == nil {
		e.Profile.Email = &Text{Value: m.Email}
	}
	if e.SubjectID == "" {
		normal, ok := identity.NormalizeEmail(m.Email.Reveal())
		if !ok {
			return nil, errs.InvalidField("email", "is no address that could identify anybody")
		}
		e.SubjectID = redact.String(a.Hasher.EmailSubject(m.Site, normal))
	}
	e.Subject = a.Hasher.Subject(m.Site, e.SubjectID.Reveal())
	e.ID = a.Hasher.ID(at, "amendment", string(m.Kind), m.Site, e.SubjectID.Reveal(), m.Case, string(m.Source))
	return e, nil
}
