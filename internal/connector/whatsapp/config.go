package whatsapp

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
)

// Kind is the connector's name in systems.json.
const Kind = "whatsapp"

// Config is what systems.json may say in "config".
type Config struct {
	BaseURL    string `json:"base_url"`    // https://graph.facebook.com
	AllowLocal bool   `json:"allow_local"` // base_url is on this machine: for the fake
	Version    string `json:"version"`     // of the Graph API: v23.0
	NumberID   string `json:"phone_number_id"`
	AccountID  string `json:"account_id"` // of the WhatsApp Business Account: templates belong to it
	Site       string `json:"site"`       // whose register and consents the number belongs to
	Language   string `json:"language"`   // en, where nothing tells a person's
	// PrivacyURL is the address of the privacy notice: the invitation and the
	// business profile must have it.
	PrivacyURL string `json:"privacy_url"`
	// CheckProfile has nobody invited while the business profile does not link the
	// privacy notice.
	CheckProfile bool `json:"check_profile"`
	// MetadataDays is how long type and time of messages are kept; 0: not at all.
	MetadataDays int `json:"metadata_days"`
	// Invitation is the template that asks for a consent; without one Avow invites nobody.
	Invitation *Invitation `json:"invitation"`
	// Answer is the template that carries letters about requests once the person has
	// not written for a day; without one they are put to an operator.
	Answer *Answer `json:"answer"`
	// Block has an erasure or objection also block the person at Meta: then they
	// cannot write either.
	Block bool `json:"block"`
}

// Invitation is an approved template with two quick-reply buttons (yes, no), a
// body with the placeholders {{1}} the company, {{2}} what will be sent and {{3}}
// the address of the privacy notice, and in its own words how to stop.
type Invitation struct {
	Template string `json:"template"`
	Version  string `json:"version"` // the company's own: stored in the proof
	// Wording is the body of the template as Meta has approved it, and its
	// button labels, by Avow's language.
	Languages map[string]Wording `json:"languages"`
}

// Answer is an approved utility template without buttons, whose body has {{1}} the
// company, {{2}} the reference of the request and {{3}} what there is to say.
type Answer struct {
	Template  string                   `json:"template"`
	Version   string                   `json:"version"` // the company's own: stored with its wording
	Languages map[string]AnswerWording `json:"languages"`
}

// AnswerWording is the body of the template in one language, as Meta has approved
// it.
type AnswerWording struct {
	Code string `json:"code"`
	Body string `json:"body"`
}

// Wording is the invitation in one language.
type Wording struct {
	Code string `json:"code"` // Meta's: fr, en_US
	Body string `json:"body"`
	Yes  string `json:"yes"`
	No   string `json:"no"`
}

var (
	idForm       = regexp.MustCompile(`^[0-9]{1,32}$`)
	versionForm  = regexp.MustCompile(`^v[0-9]{1,3}\.[0-9]$`)
	languageForm = regexp.MustCompile(`^[a-z]{2,3}$`)
	templateForm = regexp.MustCompile(`^[a-z0-9_]{1,512}$`)
	codeForm     = regexp.MustCompile(`^[a-z]{2,3}(_[A-Z]{2})?$`)
)

// longestKept bounds metadata_days: longer is no conversation any more.
const longestKept = 400

// ParseConfig reads the "config" of a system; what cannot work is Invalid.
func ParseConfig(system string, text json.RawMessage) (Config, error) {
	c := Config{BaseURL: "https://graph.facebook.com", Version: "v23.0", Language: "en"}
	if err := connector.Config(system, text, &c); err != nil {
		return c, err
	}
	bad := func(format string, args ...any) error {
		return errs.New(errs.Invalid, "system %q: config."+format, append([]any{system}, args...)...)
	}
	privacy, err := url.Parse(c.PrivacyURL)
	switch {
	case !idForm.MatchString(c.NumberID):
		return c, bad("phone_number_id must be Meta's id of the telephone number, in digits")
	case !idForm.MatchString(c.AccountID):
		return c, bad("account_id must be the id of the WhatsApp Business Account, in digits")
	case !versionForm.MatchString(c.Version):
		return c, bad("version must be a version of the Graph API, such as v23.0")
	case strings.TrimSpace(c.Site) == "":
		return c, bad("site must name the site whose consents the number belongs to")
	case !languageForm.MatchString(c.Language):
		return c, bad("language must be a language, such as fr or en")
	case err != nil || privacy.Scheme != "https" || privacy.Host == "":
		return c, bad("privacy_url must be the https address of the privacy notice")
	case c.MetadataDays < 0 || c.MetadataDays > longestKept:
		return c, bad("metadata_days must lie between 0 and %d", longestKept)
	}
	if c.Invitation != nil {
		if err := c.Invitation.check(bad); err != nil {
			return c, err
		}
	}
	if c.Answer != nil {
		return c, c.Answer.check(bad)
	}
	return c, nil
}

// longestBody is the most that Meta takes of a template with its values, in
// characters.
const longestBody = 1024

// approved checks what every template has, given what its version is kept for.
func approved[W interface{ code() string }](field, template, version, kept string, languages map[string]W, bad func(string, ...any) error) error {
	switch {
	case !templateForm.MatchString(template):
		return bad(field + ".template must be the name of an approved template")
	case strings.TrimSpace(version) == "" || len(version) > 64:
		return bad(field + ".version must name this version of the wording: it is " + kept)
	case len(languages) == 0:
		return bad(field + ".languages must have the wording in at least one language")
	}
	for language, w := range languages {
		if !languageForm.MatchString(language) || !codeForm.MatchString(w.code()) {
			return bad(field + ".languages maps a language (fr) to the code (fr, en_US) and the wording of the approved template")
		}
	}
	return nil
}

func (w AnswerWording) code() string { return w.Code }
func (w Wording) code() string       { return w.Code }

func (a *Answer) check(bad func(string, ...any) error) error {
	if err := approved("answer", a.Template, a.Version, "kept as the proof", a.Languages, bad); err != nil {
		return err
	}
	for language, w := range a.Languages {
		if utf8.RuneCountInString(w.Body) > longestBody {
			return bad("answer.languages.%s: the body has at most %d characters", language, longestBody)
		}
		for n := 1; n <= 3; n++ {
			if strings.Count(w.Body, blank(n)) != 1 {
				return bad("answer.languages.%s: the body must have {{1}} the company, {{2}} the reference of the request and {{3}} what there is to say, each once", language)
			}
		}
	}
	return nil
}

// blank is the n-th placeholder of a template.
func blank(n int) string { return "{{" + strconv.Itoa(n) + "}}" }

func (i *Invitation) check(bad func(string, ...any) error) error {
	if err := approved("invitation", i.Template, i.Version, "part of the proof", i.Languages, bad); err != nil {
		return err
	}
	for language, w := range i.Languages {
		if w.Yes == "" || w.No == "" || w.Yes == w.No {
			return bad("invitation.languages.%s needs the labels of two buttons, yes and no", language)
		}
		for _, needed := range []string{"{{1}}", "{{2}}", "{{3}}", "STOP"} {
			if !strings.Contains(w.Body, needed) {
				return bad("invitation.languages.%s: the body must have {{1}} the company, {{2}} what is sent, {{3}} the privacy notice, and say how to stop (STOP)", language)
			}
		}
	}
	return nil
}

// Metadata is how long type and time of messages are kept.
func (c Config) Metadata() time.Duration { return time.Duration(c.MetadataDays) * 24 * time.Hour }

// HookSecret is the name of the secret with {"app_secret": …, "verify_token": …},
// given that of the access token. It is apart so that the webhook can send
// nothing.
func HookSecret(secret string) string { return secret + "-webhook" }
