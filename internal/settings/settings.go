// Package settings reads systems.json: who answers requests, by which policy,
// and which systems hold personal data. What would be unlawful or could not
// work is refused in one sentence that names the system and the field; see
// docs/connectors/systems.md for the format.
package settings

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

// The bounds of a configuration.
const (
	MaxBytes   = 60_000 // a secret of Secrets Manager holds 65,536
	MaxSystems = 40
)

// Ledger is the name and the kind of Avow's own ledger. It is always a system,
// listed or not.
const Ledger = "ledger"

// Manual is the kind of a system that people work on.
const Manual = "manual"

// lapseSoon is how long before a DPA's review or end Warnings speak of it.
const lapseSoon = 60 * 24 * time.Hour

// Settings are a systems.json that has been accepted.
type Settings struct {
	Controller request.Controller
	Policy     request.Policy
	Regimes    map[request.Regime]request.Rules
	Otherwise  request.Regime  // for people whose residence is not known: the fallback of request.RegimeFor
	Systems    []System        // the ledger first, the others in the order of the file
	Letters    *letter.Letters // the company's own in place of those that come with Avow
}

// Parse accepts or refuses the text of a systems.json. A text that is refused
// is Invalid, with one sentence as its message.
func Parse(text []byte) (*Settings, error) {
	s, letters, err := parse(text)
	if err == nil {
		s.Letters, err = letter.New(letters)
	}
	if err != nil {
		return nil, errs.New(errs.Invalid, "systems.json: %s", errs.MessageOf(err))
	}
	return s, nil
}

// ParseTerms is Parse for a function that writes no letters: Letters is nil, and
// what they are made with (text/template) is not linked.
func ParseTerms(text []byte) (*Settings, error) {
	s, _, err := parse(text)
	if err != nil {
		return nil, errs.New(errs.Invalid, "systems.json: %s", errs.MessageOf(err))
	}
	return s, nil
}

// parse reads everything but the company's own letters, which it returns.
func parse(text []byte) (*Settings, map[string]string, error) {
	if len(text) > MaxBytes {
		return nil, nil, fmt.Errorf("is longer than %d bytes", MaxBytes)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		text = []byte("{}")
	}
	if err := wellFormed(text); err != nil {
		return nil, nil, err
	}
	var file struct {
		Controller json.RawMessage   `json:"controller"`
		Policy     json.RawMessage   `json:"policy"`
		Regimes    json.RawMessage   `json:"regimes"`
		Systems    []json.RawMessage `json:"systems"`
		Letters    map[string]string `json:"letters"`
	}
	if err := strict("", text, &file); err != nil {
		return nil, nil, err
	}
	s := &Settings{}
	var err error
	if s.Controller, err = parseController(file.Controller); err != nil {
		return nil, nil, err
	}
	if s.Policy, err = parsePolicy(file.Policy); err != nil {
		return nil, nil, err
	}
	if s.Regimes, s.Otherwise, err = parseRegimes(file.Regimes); err != nil {
		return nil, nil, err
	}
	if s.Systems, err = parseSystems(file.Systems); err != nil {
		return nil, nil, err
	}
	return s, file.Letters, nil
}

// System returns the system of a name.
func (s *Settings) System(name string) (System, bool) {
	i := slices.IndexFunc(s.Systems, func(one System) bool { return one.Name == name })
	if i < 0 {
		return System{}, false
	}
	return s.Systems[i], true
}

// Warnings are what an administrator ought to see to, each in one sentence: it
// stops nothing yet.
func (s *Settings) Warnings(now time.Time) []string {
	var list []string
	for _, field := range []struct{ name, value, why string }{
		{"name", s.Controller.Name, "letters do not say who answers"},
		{"from", s.Controller.From, "no letter can be sent"},
		{"base_url", s.Controller.BaseURL, "letters have no links"},
		{"dpo", cmp.Or(s.Controller.DPO.Email, s.Controller.DPO.Name), "letters name nobody to write to"},
		{"authority", s.Controller.Authority.In("en"), "letters do not say where to complain (Art. 12(4) GDPR)"},
	} {
		if field.value == "" {
			list = append(list, fmt.Sprintf("controller: %s is not set: %s", field.name, field.why))
		}
	}
	for _, one := range s.Systems {
		list = append(list, one.warnings(now)...)
	}
	return list
}

func (s System) warnings(now time.Time) []string {
	if s.Processor == nil {
		return nil
	}
	var list []string
	if signed, err := time.Parse(time.DateOnly, s.Processor.DPA); err == nil && signed.After(now) {
		list = append(list, fmt.Sprintf("system %q: processor.dpa %s lies ahead", s.Name, s.Processor.DPA))
	}
	for _, term := range []struct{ on, was, is string }{
		{s.Processor.Review, "the review of the processor's DPA was due on", "the review of the processor's DPA is due on"},
		{s.Processor.Expires, "the processor's DPA ended on", "the processor's DPA ends on"},
	} {
		day, err := time.Parse(time.DateOnly, term.on)
		switch {
		case err != nil: // none is set
		case !day.After(now):
			list = append(list, fmt.Sprintf("system %q: %s %s", s.Name, term.was, term.on))
		case day.Before(now.Add(lapseSoon)):
			list = append(list, fmt.Sprintf("system %q: %s %s", s.Name, term.is, term.on))
		}
	}
	return list
}

// titleOf is the title of a system that has none of its own.
func titleOf(title connector.Text, name string) connector.Text {
	switch {
	case len(title) > 0:
		return title
	case name == Ledger:
		return connector.Text{"en": "Consents", "fr": "Consentements"}
	}
	return connector.Text{"en": name}
}
