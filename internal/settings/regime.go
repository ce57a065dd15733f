package settings

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"

	"github.com/avow-consent/avow/internal/request"
)

// otherwise is the key of "regimes" that names the law for people whose
// residence is not known, or is nobody's.
const otherwise = "otherwise"

var (
	regimeForm    = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,15}$`)
	residenceForm = regexp.MustCompile(`^[A-Z]{2}(-[A-Z0-9]{1,3})?$`)
)

// parseRegimes reads the laws that requests are answered under: those that are
// built in, changed or joined by those of the file.
func parseRegimes(text json.RawMessage) (regimes map[request.Regime]request.Rules, fallback request.Regime, err error) {
	const where = "regimes"
	regimes, fallback = request.Regimes(), request.GDPR
	if len(text) == 0 {
		return regimes, fallback, nil
	}
	fields, err := object(where, text)
	if err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == otherwise {
			continue
		}
		if !regimeForm.MatchString(name) {
			return nil, "", say(where, "%q is no name of a regime: 1 to 16 of a-z, 0-9, _ and -", name)
		}
		rules := regimes[request.Regime(name)]
		if err := readRules(where+"."+name, fields[name], request.Regime(name), &rules); err != nil {
			return nil, "", err
		}
		regimes[request.Regime(name)] = rules
	}
	if word, ok := fields[otherwise]; ok {
		if json.Unmarshal(word, &fallback) != nil {
			return nil, "", say(where, "%s must be the name of a regime", otherwise)
		}
		if _, ok := regimes[fallback]; !ok {
			return nil, "", say(where, "%s names %q, which is no regime", otherwise, string(fallback))
		}
	}
	return regimes, fallback, nil
}

func readRules(where string, text json.RawMessage, name request.Regime, rules *request.Rules) error {
	if err := strict(where, text, rules); err != nil {
		return err
	}
	for _, place := range rules.Residence {
		if !residenceForm.MatchString(place) {
			return say(where, "residence %q is no country or region such as FR or US-CA", place)
		}
	}
	return rules.Validate(name)
}
