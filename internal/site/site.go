// Package site holds what a company sets for one of its sites: how consents
// count, how far a public post may be backdated, and the register of
// preferences.
package site

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
)

// Guarded and Latest are the values of Settings.PublicGrants.
const (
	Guarded = "guarded" // a public grant does not count after a trusted "no"
	Latest  = "latest"  // the latest statement counts, whoever made it
)

// The defaults and bounds of settings.
const (
	DefaultBackdateDays = 30
	MaxBackdateDays     = 365
	DefaultOptInDays    = 7
	MaxOptInDays        = 30
	DefaultShards       = 4
	MaxShards           = 64
)

// Settings of a site. The zero value means the defaults.
type Settings struct {
	PublicGrants string `json:"public_grants,omitempty"`      // Guarded (default) or Latest
	BackdateDays int    `json:"backdate_days,omitempty"`      // days that a public post or any key may lie back; default 30
	OptInDays    int    `json:"double_opt_in_days,omitempty"` // days that a grant waits for its confirmation; default 7
}

// Purpose is an entry of the register of preferences.
type Purpose struct {
	Key           string            `json:"key"`
	Purpose       map[string]string `json:"purpose"`                   // text by language (BCP 47)
	LegalBasis    string            `json:"legal_basis,omitempty"`     // such as "consent" or "contract": see Basis
	Channel       string            `json:"channel,omitempty"`         // for instance "email"
	ValidityDays  int               `json:"validity_days,omitempty"`   // a grant lapses after so many days; 0 = never
	SaleOrSharing bool              `json:"sale_or_sharing,omitempty"` // a Global Privacy Control signal objects to it
}

// The legal bases that the preference centre knows. Any other text is shown as it
// stands, and switched as a consent.
const (
	ByConsent          = "consent"             // Art. 6(1)(a) GDPR; also where the register says none
	LegitimateInterest = "legitimate_interest" // (f): on until the person objects (Art. 21(1))
	PublicTask         = "public_task"         // (e): likewise
)

// fixed are the bases of what nobody can switch off: Art. 6(1)(b) to (d).
var fixed = []string{"contract", "legal_obligation", "vital_interests"}

// Basis is the legal basis as the preference centre names it: "Legitimate
// interests" is LegitimateInterest, and none is ByConsent.
func (p *Purpose) Basis() string {
	basis := strings.ToLower(strings.Join(strings.FieldsFunc(p.LegalBasis, func(r rune) bool { return r == ' ' || r == '_' || r == '-' }), "_"))
	switch basis {
	case "":
		return ByConsent
	case "legitimate_interests":
		return LegitimateInterest
	}
	return basis
}

// Optional reports whether what rests on a basis can be switched off by the
// person, and on again.
func Optional(basis string) bool { return !slices.Contains(fixed, basis) }

// Objectable reports whether a no to what rests on a basis is an objection.
func Objectable(basis string) bool { return basis == LegitimateInterest || basis == PublicTask }

// Presumed reports whether what rests on a basis is done without being asked for.
func Presumed(basis string) bool { return Objectable(basis) || !Optional(basis) }

// TokenKey names a secret with which the site's back end signs subject tokens.
type TokenKey struct {
	ID      string `json:"id"`
	Secret  string `json:"secret"` // name in Secrets Manager, never the value
	Revoked bool   `json:"revoked,omitempty"`
}

// Site is one row of the Sites table.
type Site struct {
	ID              string
	Name            string
	Shards          int // shards of a month in the listing index; fixed when the site is made
	Settings        Settings
	Register        []Purpose
	RegisterVersion int
	TokenKeys       []TokenKey
	Months          []string // "2026-02": months that hold consents, kept by project
}

// Backdate is how far a public timestamp or any key time may lie back.
func (s *Site) Backdate() time.Duration {
	days := s.Settings.BackdateDays
	if days <= 0 {
		days = DefaultBackdateDays
	}
	return time.Duration(days) * 24 * time.Hour
}

// OptIn is how long a grant of a double opt-in waits for its confirmation.
func (s *Site) OptIn() time.Duration {
	days := s.Settings.OptInDays
	if days <= 0 {
		days = DefaultOptInDays
	}
	return time.Duration(days) * 24 * time.Hour
}

// Rules are what the fold needs to know of the site.
func (s *Site) Rules() consent.Rules {
	rules := consent.Rules{Latest: s.Settings.PublicGrants == Latest, Validity: map[string]time.Duration{}}
	for _, p := range s.Register {
		if p.ValidityDays > 0 {
			rules.Validity[p.Key] = time.Duration(p.ValidityDays) * 24 * time.Hour
		}
	}
	return rules
}

// PurposeOf is the text of the register that says what a preference is for: in a
// language (BCP 47), else in English, else in any; the key itself where the
// register has no text.
func (s *Site) PurposeOf(key, language string) string {
	i := slices.IndexFunc(s.Register, func(p Purpose) bool { return p.Key == key })
	if i < 0 {
		return key
	}
	texts := s.Register[i].Purpose
	primary, _, _ := strings.Cut(language, "-")
	for _, tag := range append([]string{language, primary, "en"}, slices.Sorted(maps.Keys(texts))...) {
		if text := texts[tag]; text != "" {
			return text
		}
	}
	return key
}

// SaleOrSharing lists the preferences that a privacy signal objects to.
func (s *Site) SaleOrSharing() []string {
	var keys []string
	for _, p := range s.Register {
		if p.SaleOrSharing {
			keys = append(keys, p.Key)
		}
	}
	return keys
}

// ValidateRegister checks a register before it is stored.
func ValidateRegister(register []Purpose) error {
	var bad []errs.Field
	dislike := func(i int, field, message string) {
		bad = append(bad, errs.Field{Field: "preferences[" + strconv.Itoa(i) + "]." + field, Message: message})
	}
	if len(register) > consent.MaxPreferences {
		return errs.InvalidField("preferences", "at most %d entries", consent.MaxPreferences)
	}
	seen := map[string]bool{}
	for i, p := range register {
		switch {
		case p.Key == "" || len(p.Key) > consent.MaxPreferenceKey:
			dislike(i, "key", "must have 1 to 128 bytes")
		case seen[p.Key]:
			dislike(i, "key", "stands twice")
		}
		seen[p.Key] = true
		if p.ValidityDays < 0 || p.ValidityDays > 36500 {
			dislike(i, "validity_days", "must lie between 0 and 36500")
		}
		for lang, text := range p.Purpose {
			if lang == "" || len(lang) > 35 || len(text) > 4096 {
				dislike(i, "purpose", "must map a language tag to a text of at most 4096 bytes")
			}
		}
		if len(p.LegalBasis) > consent.MaxText || len(p.Channel) > consent.MaxText {
			dislike(i, "legal_basis", "must have at most 1024 bytes, and so must channel")
		}
	}
	if bad != nil {
		return errs.InvalidFields(bad...)
	}
	return nil
}

// SignToken makes a subject token: the site's back end vouches that the browser
// it serves belongs to this subject, until expiry. Its form is
// v1.<key id>.<expiry, unix seconds>.<mac>, where mac is the unpadded base64url
// HMAC-SHA256 under the token secret of "v1", site, expiry and subject id, each
// on a line of its own (the subject id last, without a line end).
func SignToken(keyID string, secret []byte, siteID, subjectID string, expiry time.Time) string {
	unix := strconv.FormatInt(expiry.Unix(), 10)
	return "v1." + keyID + "." + unix + "." + base64.RawURLEncoding.EncodeToString(tokenMAC(secret, siteID, unix, subjectID))
}

func tokenMAC(secret []byte, siteID, unix, subjectID string) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("v1\n" + siteID + "\n" + unix + "\n" + subjectID))
	return mac.Sum(nil)
}

// Token is a subject token taken apart, not yet verified.
type Token struct {
	KeyID  string
	expiry string
	mac    []byte
	until  time.Time
}

// ParseToken takes a subject token apart. ok is false for a text that has not
// the form of one.
func ParseToken(text string) (Token, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 || parts[0] != "v1" || parts[1] == "" {
		return Token{}, false
	}
	unix, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || unix < 0 || strconv.FormatInt(unix, 10) != parts[2] {
		return Token{}, false
	}
	encoding := base64.RawURLEncoding.Strict()
	mac, err := encoding.DecodeString(parts[3])
	if err != nil || len(mac) != sha256.Size || len(parts[3]) != encoding.EncodedLen(sha256.Size) { // line ends are skipped
		return Token{}, false
	}
	return Token{KeyID: parts[1], expiry: parts[2], mac: mac, until: time.Unix(unix, 0)}, true
}

// Verify checks a token against the secret of its key.
func (t Token) Verify(secret []byte, siteID, subjectID string, now time.Time) consent.TokenState {
	switch {
	case !hmac.Equal(t.mac, tokenMAC(secret, siteID, t.expiry, subjectID)):
		return consent.TokenInvalid
	case !now.Before(t.until):
		return consent.TokenExpired
	default:
		return consent.TokenValid
	}
}
