package preferences

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/site"
	"github.com/avow-consent/avow/internal/wire"
)

// View is what a person sees.
type View struct {
	ID          string       `json:"id,omitempty"` // of the consent that was just appended
	SubjectID   string       `json:"subject_id"`
	Language    string       `json:"language"`
	Version     string       `json:"purposes_version"`
	Preferences []Preference `json:"preferences"`
}

// Preference is one switch.
type Preference struct {
	Key        string         `json:"key"`
	Purpose    string         `json:"purpose"`
	LegalBasis string         `json:"legal_basis"`
	Channel    *string        `json:"channel"`
	Granted    bool           `json:"granted"` // whether it is on
	Reason     consent.Reason `json:"reason"`
	Since      *string        `json:"since"`
	ExpiresAt  *string        `json:"expires_at"`
	Changeable bool           `json:"changeable"`

	From  time.Time  `json:"-"` // Since and ExpiresAt, for who writes them out
	Until *time.Time `json:"-"`
}

// view reads what somebody has said, consistently: first what the register asks,
// in its order, then what it does not know any more.
func (s *server) view(ctx context.Context, who *visitor) (*View, error) {
	union, err := s.people.ByPartition(ctx, who.site.ID, who.partition, time.Time{})
	tooMany := errors.Is(err, consent.ErrTooManyEvents)
	if tooMany {
		httpapi.Note(ctx, slog.String("event", string(consent.TooManyEvents)))
	} else if err != nil {
		return nil, err
	}
	rules, now := who.site.Rules(), consent.View{Now: s.now().UTC()}
	person := consent.Fold(union.Events, now, rules)
	v := &View{
		SubjectID: who.subjectID.Reveal(), Language: who.language, Version: shownBy(who.site, who.language).version,
		Preferences: []Preference{},
	}
	for _, p := range who.site.Register {
		i := slices.IndexFunc(person.Preferences, func(s consent.State) bool { return s.Preference == p.Key })
		var state consent.State
		switch {
		case tooMany:
			state = consent.State{Preference: p.Key, Reason: consent.TooManyEvents}
		case i >= 0:
			state = person.Preferences[i]
			person.Preferences = slices.Delete(person.Preferences, i, i+1)
		default: // nothing was said about it, but perhaps about all
			state = consent.Decide(union.Events, p.Key, now, rules)
		}
		v.Preferences = append(v.Preferences, preference(who, p, state))
	}
	for _, state := range person.Preferences {
		v.Preferences = append(v.Preferences, preference(who, site.Purpose{Key: state.Preference}, state))
	}
	return v, nil
}

// preference is a switch as it stands.
func preference(who *visitor, p site.Purpose, state consent.State) Preference {
	basis := p.Basis()
	one := Preference{
		Key: p.Key, Purpose: who.site.PurposeOf(p.Key, who.language), LegalBasis: basis, Changeable: site.Optional(basis),
		Granted: state.Granted || unasked(basis, state.Reason), Reason: state.Reason, ExpiresAt: wire.TimePtr(state.ExpiresAt),
		From: state.Since, Until: state.ExpiresAt,
	}
	if p.Channel != "" {
		one.Channel = &p.Channel
	}
	if !state.Since.IsZero() {
		one.Since = wire.TimePtr(&state.Since)
	}
	return one
}

// unasked reports whether something is on without a yes: what needs no consent is,
// as long as nothing was said against it, and what nobody can object to even then.
func unasked(basis string, reason consent.Reason) bool {
	return reason == consent.NeverAsked && site.Presumed(basis) || reason == consent.Objected && !site.Optional(basis)
}

// shown is the register as a person is shown it in a language: the proof of what
// they have chosen from. It is the same for everybody.
type shown struct {
	text    string // JSON
	version string // SHA-256 of text, hex: the digest by which the ledger names the form
}

func shownBy(of *site.Site, language string) shown {
	type purpose struct {
		Key        string `json:"key"`
		Purpose    string `json:"purpose"`
		LegalBasis string `json:"legal_basis"`
		Channel    string `json:"channel,omitempty"`
	}
	list := []purpose{}
	for _, p := range of.Register {
		list = append(list, purpose{p.Key, of.PurposeOf(p.Key, language), p.Basis(), p.Channel})
	}
	text, err := httpapi.Encode(map[string]any{"purposes": list})
	if err != nil {
		panic("preferences: " + err.Error()) // texts only
	}
	sum := sha256.Sum256(text)
	return shown{string(text), hex.EncodeToString(sum[:])}
}

// choicesText is what was chosen, as JSON: the other half of the proof.
func choicesText(list []consent.Preference) string {
	choices := map[string]json.RawMessage{}
	for _, p := range list {
		choices[p.Key] = json.RawMessage(p.Value)
	}
	text, err := httpapi.Encode(map[string]any{"preferences": choices})
	if err != nil {
		panic("preferences: " + err.Error()) // texts and truth values only
	}
	return string(text)
}
