package requests

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/site"
)

// Limits of a body, in bytes unless said otherwise.
const (
	maxMessage  = 8192
	maxSentence = 1024 // why, reason, evidence: an officer's own words
	maxChanges  = 50   // fields to rectify
	maxPrefs    = 100  // preferences to object to
	oldest      = 366 * 24 * time.Hour
)

// opening is the body of POST /requests.
type opening struct {
	Type        request.Type   `json:"type"`
	Regime      request.Regime `json:"regime"`
	Residence   string         `json:"residence"`
	Language    string         `json:"language"`
	Agent       bool           `json:"agent"`
	Subject     *subject       `json:"subject"`
	Subjects    []subject      `json:"subjects"`
	Channel     string         `json:"channel"`
	Reference   redact.String  `json:"reference"`
	Received    time.Time      `json:"received"`
	Message     redact.String  `json:"message"`
	Changes     []change       `json:"changes"`
	Preferences []string       `json:"preferences"`
	OnBehalfOf  *struct {
		Who   redact.String `json:"who"`
		Proof document      `json:"proof"`
	} `json:"on_behalf_of"`
	Recipient redact.String `json:"recipient"`
	Authority redact.String `json:"authority"`
	Ground    string        `json:"ground"`
	Identity  struct {
		Method   string `json:"method"`
		Evidence string `json:"evidence"`
	} `json:"identity"`
}

type change struct {
	Field string        `json:"field"`
	Old   redact.String `json:"old"`
	New   redact.String `json:"new"`
}

// draft is a request that is about to be opened, through whichever door.
type draft struct {
	request     *request.Request
	personal    request.Personal
	known       []request.Known
	preferences []string // to object to; empty: what the site and the regime say
	body        json.RawMessage
	door        string
	key         string // the idempotency key, "" for none
}

// The doors: the same idempotency key at two of them is two requests.
const (
	roleDoor   = "role"
	publicDoor = "public"
)

// channels are the ways in which a request may have arrived.
var channels = []string{"web_form", "email", "letter", "phone", "chat", "in_person", "other"}

// open is POST /requests.
func (s *server) open(w http.ResponseWriter, r *http.Request) error {
	var in opening
	body, err := httpapi.DecodeStrict(r, maxUpload, &in)
	if err != nil {
		return err
	}
	d, err := s.draft(siteOf(r), &in, actorOf(r))
	if err != nil {
		return err
	}
	d.body, d.door, d.key = body, roleDoor, httpapi.IdempotencyKey(r)
	opened, err := s.create(r.Context(), siteOf(r), d)
	if err != nil {
		return err
	}
	return s.answer(w, r, opened)
}

// draft judges a body of an administrator.
func (s *server) draft(site *site.Site, in *opening, by request.Actor) (*draft, error) {
	if err := in.check(s.terms, s.now().UTC()); err != nil {
		return nil, err
	}
	people := in.Subjects
	if in.Subject != nil {
		people = append([]subject{*in.Subject}, people...)
	}
	method, err := in.method(people)
	if err != nil {
		return nil, err
	}
	// What an operator has checked is proven; what somebody merely said is not,
	// until they have shown control of it.
	trust := identity.Proven
	if method == "email" {
		trust = identity.Claimed
	}
	known, err := identifiers(s.hasher, site.ID, people, trust)
	if err != nil {
		return nil, err
	}
	d := &draft{known: known, preferences: in.Preferences, request: in.request(s.terms, site.ID, by)}
	d.personal = in.personal(people)
	if in.Type == request.Objection {
		d.personal.Changes = refusals(objected(site, d.request.Regime, in.Preferences))
	}
	if in.Channel == "chat" && in.Reference != "" {
		k, message := identifier(s.hasher, site.ID, named{"reference", identity.ChatID, in.Reference}, trust)
		if message != "" {
			return nil, errs.InvalidField("reference", "%s", message)
		}
		if !slices.ContainsFunc(d.known, func(have request.Known) bool { return have.Key == k.Key }) {
			d.known = append(d.known, k)
		}
	}
	d.request.Identity = request.Identity{Method: method}
	switch method {
	case "email":
		d.request.State, d.request.Identity.Links = request.WaitingIdentity, 1
	case "operator", "none":
		d.request.Identity.ProvenAt, d.request.Identity.By, d.request.Identity.Evidence = s.now().UTC(), by, in.Identity.Evidence
	}
	return d, nil
}

// residence is a country, or a region of one.
var residence = regexp.MustCompile(`^[A-Z]{2}(-[A-Z0-9]{1,3})?$`)

// check judges what a body says beside the person.
func (in *opening) check(terms *settings.Settings, now time.Time) error {
	var bad []errs.Field
	dislike := func(wrong bool, field, message string) {
		if wrong {
			bad = append(bad, errs.Field{Field: field, Message: message})
		}
	}
	dislike(!slices.Contains(request.Types, in.Type), "type", "must be one of "+join(request.Types))
	_, known := terms.Regimes[in.Regime]
	dislike(in.Regime != "" && !known, "regime", "must be one of "+join(slices.Sorted(maps.Keys(terms.Regimes))))
	dislike(in.Residence != "" && !residence.MatchString(in.Residence), "residence", "must be a country or region of ISO 3166, such as FR or US-CA")
	dislike(in.Language != "" && !identity.IsLanguage(in.Language), "language", "must be a language tag, such as fr or en")
	dislike(in.Channel != "" && !slices.Contains(channels, in.Channel), "channel", "must be one of "+join(channels))
	dislike(in.Received.After(now), "received", "must not lie in the future")
	dislike(!in.Received.IsZero() && in.Received.Before(now.Add(-oldest)), "received", "must not lie more than a year ago")
	dislike(len(in.Message) > maxMessage, "message", "must have at most "+strconv.Itoa(maxMessage)+" bytes")
	for field, text := range map[string]string{
		"reference": in.Reference.Reveal(), "recipient": in.Recipient.Reveal(), "authority": in.Authority.Reveal(),
		"ground": in.Ground, "identity.evidence": in.Identity.Evidence,
	} {
		dislike(len(text) > maxSentence, field, "must have at most "+strconv.Itoa(maxSentence)+" bytes")
	}
	dislike(in.Recipient != "" && in.Type != request.Portability, "recipient", "belongs to a request of the type portability")
	if in.Recipient != "" { // found out after the release it would be too late
		_, ok := identity.NormalizeEmail(in.Recipient.Reveal())
		dislike(!ok, "recipient", "must be the e-mail address of the organisation that receives the data")
	}
	disclosure := in.Type == request.Disclosure
	dislike(disclosure != (in.Authority != ""), "authority", "says who asks, in a request of the type legal_disclosure and in no other")
	dislike(disclosure != (in.Ground != ""), "ground", "says on which legal ground, in a request of the type legal_disclosure and in no other")
	if in.OnBehalfOf != nil {
		dislike(in.OnBehalfOf.Who == "" || len(in.OnBehalfOf.Who) > maxSentence, "on_behalf_of.who", "must say who acts for the person")
		dislike(in.OnBehalfOf.Proof.empty(), "on_behalf_of.proof", "must be the proof that they may: {\"sha256\":…} or {\"document\":…}")
	}
	bad = append(bad, checkChanges(in.Type, in.Changes)...)
	bad = append(bad, checkPreferences(in.Type, in.Preferences)...)
	if bad != nil {
		return errs.InvalidFields(bad...)
	}
	return nil
}

func checkChanges(t request.Type, changes []change) (bad []errs.Field) {
	if (t == request.Rectification) != (len(changes) > 0) || len(changes) > maxChanges {
		return []errs.Field{{Field: "changes", Message: "are 1 to " + strconv.Itoa(maxChanges) + " fields of a request of the type rectification, and of no other"}}
	}
	for i, c := range changes {
		path := "changes[" + strconv.Itoa(i) + "]."
		if c.Field == "" || len(c.Field) > 128 {
			bad = append(bad, errs.Field{Field: path + "field", Message: "must have 1 to 128 bytes"})
		}
		if c.New == "" && c.Old == "" || len(c.New) > maxSentence || len(c.Old) > maxSentence {
			bad = append(bad, errs.Field{Field: path + "new", Message: "must be given, or old for a field that is to go; at most 1024 bytes each"})
		}
	}
	return bad
}

func checkPreferences(t request.Type, preferences []string) []errs.Field {
	if len(preferences) > 0 && t != request.Objection || len(preferences) > maxPrefs {
		return []errs.Field{{Field: "preferences", Message: "are up to 100 keys of a request of the type objection, and of no other"}}
	}
	for _, p := range preferences {
		if p == "" || len(p) > consent.MaxPreferenceKey {
			return []errs.Field{{Field: "preferences", Message: "must have 1 to 128 bytes each"}}
		}
	}
	return nil
}

func join[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, one := range list {
		texts[i] = string(one)
	}
	return strings.Join(texts, ", ")
}

// method is how the person is to prove who they are.
func (in *opening) method(people []subject) (string, error) {
	method := in.Identity.Method
	email := len(people) == 1 && people[0].Email != ""
	switch {
	case in.Type == request.Disclosure:
		if method != "" && method != "none" {
			return "", errs.InvalidField("identity.method", "must be none: an authority asks, and the officer's approval stands for the proof")
		}
		return "none", nil
	case method == "" && in.Identity.Evidence != "":
		method = "operator"
	case method == "" && email:
		method = "email"
	}
	switch {
	case method == "operator" && in.Identity.Evidence == "":
		return "", errs.InvalidField("identity.evidence", "must say what was checked, without personal data")
	case method == "email" && !email:
		return "", errs.InvalidField("identity.method", "needs the e-mail of one person")
	case method == "email" && in.Identity.Evidence != "":
		return "", errs.InvalidField("identity.evidence", "belongs to the method operator")
	case method != "email" && method != "operator":
		return "", errs.InvalidField("identity.method", "must be email (a link is sent) or operator (with evidence of what was checked)")
	case len(people) > 1 && in.Type.Operation() == connector.Export:
		return "", errs.InvalidField("subjects", "must name one person: a package holds the data of one person only")
	}
	return method, nil
}

// request is the row that a body asks for.
func (in *opening) request(terms *settings.Settings, site string, by request.Actor) *request.Request {
	r := &request.Request{
		Site: site, Type: in.Type, Agent: in.Agent, Language: in.Language, Residence: in.Residence,
		Channel: request.Channel{Kind: in.Channel, Reference: in.Reference}, Regime: in.Regime,
		State: request.Locating, Opened: by, Received: in.Received.UTC(), OnBehalf: in.OnBehalfOf != nil,
	}
	if r.Channel.Kind == "" {
		r.Channel.Kind = "other"
	}
	if r.Language == "" {
		r.Language = "en"
	}
	if r.Regime == "" {
		r.Regime = request.RegimeFor(in.Residence, terms.Regimes, terms.Otherwise)
	}
	return r
}

// personal is what the request itself holds of people.
func (in *opening) personal(people []subject) request.Personal {
	p := request.Personal{
		Message: in.Message, Recipient: trimmed(in.Recipient), Authority: in.Authority, Ground: in.Ground, Changes: changesOf(in.Changes),
	}
	if len(people) == 1 && in.Type != request.Disclosure { // nobody writes to the person about a disclosure
		p.Name, p.Address = people[0].Name, trimmed(people[0].Email)
	}
	if in.OnBehalfOf != nil {
		p.OnBehalf, p.Mandate = in.OnBehalfOf.Who, in.OnBehalfOf.Proof.digest()
	}
	return p
}

func trimmed(text redact.String) redact.String {
	return redact.String(strings.TrimSpace(text.Reveal()))
}

func changesOf(list []change) []connector.Change {
	var changes []connector.Change
	for _, c := range list {
		changes = append(changes, connector.Change(c))
	}
	return changes
}

// create stores a request and does what follows from it. With an idempotency
// key it may be repeated: the same body finds the same request, and what a crash
// has left undone is done; another body is a Conflict.
func (s *server) create(ctx context.Context, site *site.Site, d *draft) (*request.Request, error) {
	r, now := d.request, s.now().UTC().Truncate(time.Millisecond)
	at, key, err := consent.KeyTime(s.sites.Policy(site), d.key, now, s.newID)
	if err != nil {
		return nil, err
	}
	r.ID = s.hasher.ID(at, "request", d.door, site.ID, key)
	opener := request.Opener{Store: s.store, Policy: s.terms.Policy, Regimes: s.terms.Regimes, Controller: s.terms.Controller}
	stated := s.hasher.Identifier(site.ID, "request-body", httpapi.Canonical(d.body))
	r, err = opener.Open(ctx, request.Opening{Request: r, Personal: d.personal, Known: d.known, Stated: stated}, now)
	if err != nil {
		return nil, err
	}
	return r, s.follow(ctx, site, r, d)
}

// follow does what a new request leads to: an objection counts from now on, a
// run begins, the person hears of it.
func (s *server) follow(ctx context.Context, site *site.Site, r *request.Request, d *draft) error {
	if r.State.Ended() {
		return nil
	}
	if r.Type == request.Objection {
		if err := s.object(ctx, site, r, d); err != nil {
			return err
		}
	}
	s.launch(ctx, r)
	switch {
	case r.Type == request.Disclosure || d.personal.Address == "":
		return nil
	case r.State == request.WaitingIdentity && r.Identity.Links == 1:
		s.firstLink(ctx, r)
	case r.Identity.Links == 0:
		s.write(ctx, r, letter.Acknowledgement, "1", letter.Data{})
	}
	return nil
}
