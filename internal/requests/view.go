package requests

import (
	"math"
	"time"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/wire"
)

// view is a request as the doors show it. What it says of the person stands in
// Identifiers and Person only.
type view struct {
	ID          string           `json:"id"`
	Type        request.Type     `json:"type"`
	Regime      request.Regime   `json:"regime"`
	State       request.State    `json:"state"`
	Since       *string          `json:"since"`
	Agent       bool             `json:"agent"`
	Channel     string           `json:"channel"`
	Reference   *string          `json:"reference"`
	Language    string           `json:"language"`
	Residence   *string          `json:"residence"`
	OpenedBy    request.Actor    `json:"opened_by"`
	Received    string           `json:"received"`
	Clock       clockView        `json:"clock"`
	Identity    identityView     `json:"identity"`
	OnBehalf    bool             `json:"on_behalf"`
	Plan        *string          `json:"plan"` // digest
	Approval    *approvalView    `json:"approval"`
	Holds       []holdView       `json:"holds"`
	Refusal     *refusalView     `json:"refusal"`
	Answered    *string          `json:"answered"`
	Package     *packageView     `json:"package"`
	Looks       []lookView       `json:"looks"`
	Certificate *certificateView `json:"certificate"`
	Search      []searchView     `json:"search,omitempty"` // systems that are still searched
	OpenTasks   int              `json:"open_tasks"`
	Run         int              `json:"run"` // epoch of the run that works on it
	Closed      *string          `json:"closed"`
	Identifiers []identifierView `json:"identifiers,omitempty"`
	Person      *personView      `json:"person,omitempty"`
	Warnings    []string         `json:"warnings,omitempty"`
}

// searchView is how far a system has searched.
type searchView struct {
	System string `json:"system"`
	Done   int    `json:"done"`
	Of     int    `json:"of"`
}

type clockView struct {
	Due         string     `json:"due"`
	Latest      string     `json:"latest"`
	Acknowledge *string    `json:"acknowledge"`
	DaysLeft    *int       `json:"days_left"` // null once it is answered or over
	Extended    bool       `json:"extended"`
	Paused      bool       `json:"paused"`
	Overdue     bool       `json:"overdue"`
	Zone        string     `json:"zone"`
	History     []tickView `json:"history"`
}

type tickView struct {
	At  string `json:"at"`
	Due string `json:"due"`
	Why string `json:"why"`
}

type identityView struct {
	Method   string         `json:"method"`
	Proven   bool           `json:"proven"`
	ProvenAt *string        `json:"proven_at"`
	By       *request.Actor `json:"by"`
	Evidence *string        `json:"evidence"`
	Links    int            `json:"links"`
}

type approvalView struct {
	At     string        `json:"at"`
	By     request.Actor `json:"by"`
	Digest string        `json:"digest"`
}

type holdView struct {
	Systems []string      `json:"systems"`
	Ground  string        `json:"ground"`
	Reason  string        `json:"reason"`
	By      request.Actor `json:"by"`
	At      string        `json:"at"`
}

type refusalView struct {
	Ground string        `json:"ground"`
	Reason string        `json:"reason"`
	By     request.Actor `json:"by"`
	At     string        `json:"at"`
}

type packageView struct {
	Digest   string              `json:"digest"`
	Bytes    int64               `json:"bytes"`
	Built    string              `json:"built"`
	Excluded []request.Exclusion `json:"excluded"`
	Released *string             `json:"released"`
	Fetched  *string             `json:"fetched"`
	URL      string              `json:"url,omitempty"`
	Expires  *string             `json:"expires,omitempty"` // of the URL
}

type lookView struct {
	At      string         `json:"at"`
	Residue map[string]int `json:"residue"`
}

type certificateView struct {
	Serial int    `json:"serial"`
	Digest string `json:"digest"`
	At     string `json:"at"`
	Final  bool   `json:"final"`
}

type identifierView struct {
	Kind     identity.Kind  `json:"kind"`
	Value    string         `json:"value"`
	Masked   bool           `json:"masked"`
	Trust    identity.Trust `json:"trust"`
	System   *string        `json:"system"` // which yielded it; null: the request itself
	Evidence *string        `json:"evidence"`
	Followed bool           `json:"followed"` // whether what carries it is taken for the person's
	Accepted bool           `json:"accepted"`
	Rejected bool           `json:"rejected"`
}

type personView struct {
	Name      *string      `json:"name"`
	Address   *string      `json:"address"`
	Message   *string      `json:"message"`
	OnBehalf  *string      `json:"on_behalf_of"`
	Mandate   *string      `json:"mandate_sha256"`
	Recipient *string      `json:"recipient"`
	Authority *string      `json:"authority"`
	Ground    *string      `json:"ground"`
	Changes   []changeView `json:"changes"`
}

type changeView struct {
	Field string  `json:"field"`
	Old   *string `json:"old"`
	New   *string `json:"new"`
}

// instant writes a time that may not have come.
func instant(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return wire.TimePtr(&t)
}

// optional writes a text that may be absent.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// newView shows a request without anything of the person.
// newSearch are the systems that search in parts and have more to tell.
func newSearch(found []request.Found) (list []searchView) {
	for _, f := range found {
		if f.Searching() && f.Of > 0 {
			list = append(list, searchView{System: f.System, Done: f.Done, Of: f.Of})
		}
	}
	return list
}

func (s *server) newView(r *request.Request) view {
	v := view{
		ID: r.ID, Type: r.Type, Regime: r.Regime, State: r.State, Since: instant(r.Since), Agent: r.Agent,
		Channel: r.Channel.Kind, Language: r.Language, Residence: optional(r.Residence), OpenedBy: r.Opened,
		Received: wire.Time(r.Received), Clock: s.clock(r), OnBehalf: r.OnBehalf, Plan: optional(r.Findings),
		Identity: identityView{
			Method: r.Identity.Method, Proven: r.Identity.Proven(), ProvenAt: instant(r.Identity.ProvenAt),
			Evidence: optional(r.Identity.Evidence), Links: r.Identity.Links,
		},
		Holds: []holdView{}, Looks: []lookView{}, Answered: instant(r.Answered), OpenTasks: r.Open, Run: r.Epoch, Closed: instant(r.Closed),
	}
	if r.Identity.Proven() {
		v.Identity.By = &r.Identity.By
	}
	if !r.Approval.At.IsZero() {
		v.Approval = &approvalView{wire.Time(r.Approval.At), r.Approval.By, r.Approval.Digest}
	}
	for _, h := range r.Holds {
		v.Holds = append(v.Holds, holdView{append([]string{}, h.Systems...), h.Ground, h.Reason, h.By, wire.Time(h.At)})
	}
	if f := r.Refusal; f != nil {
		v.Refusal = &refusalView{f.Ground, f.Reason, f.By, wire.Time(f.At)}
	}
	if r.Package != nil {
		v.Package = newPackageView(r.Package)
	}
	for _, l := range r.Looks {
		residue := l.Residue
		if residue == nil {
			residue = map[string]int{}
		}
		v.Looks = append(v.Looks, lookView{wire.Time(l.At), residue})
	}
	if c := r.Certificate; c != nil {
		v.Certificate = &certificateView{c.Serial, c.Digest, wire.Time(c.At), c.Final}
	}
	return v
}

func newPackageView(p *request.Package) *packageView {
	return &packageView{
		Digest: p.Digest, Bytes: p.Bytes, Built: wire.Time(p.Built), Excluded: append([]request.Exclusion{}, p.Excluded...),
		Released: instant(p.Released), Fetched: instant(p.Fetched),
	}
}

func (s *server) clock(r *request.Request) clockView {
	c := clockView{
		Due: wire.Time(r.Clock.Due), Latest: wire.Time(r.Clock.Latest), Acknowledge: instant(r.Clock.Acknowledge), Zone: r.Clock.Zone,
		Extended: r.Clock.Extended, Paused: !r.Clock.Paused.IsZero(), Overdue: r.Clock.Overdue, History: []tickView{},
	}
	if r.Answered.IsZero() && !r.State.Ended() {
		days := int(math.Floor(r.Clock.Due.Sub(s.now()).Hours() / s.terms.Policy.Scale(24*time.Hour).Hours()))
		c.DaysLeft = &days
	}
	for _, t := range r.Clock.History {
		c.History = append(c.History, tickView{wire.Time(t.At), wire.Time(t.Due), t.Why})
	}
	return c
}

// mask shows that there is a value, and how it begins.
func mask(value string) string {
	first, size := utf8.DecodeRuneInString(value)
	if size == 0 || utf8.RuneCountInString(value) < 4 {
		return "…"
	}
	return string(first) + "…"
}

// newIdentifiers shows the identifiers of a request; only those see the values
// who may open requests themselves.
func newIdentifiers(known []request.Known, masked bool) []identifierView {
	list := []identifierView{}
	for _, k := range known {
		value := k.Value.Reveal()
		if masked {
			value = mask(value)
		}
		list = append(list, identifierView{
			Kind: k.Kind, Value: value, Masked: masked, Trust: k.Trust, System: optional(k.System), Evidence: optional(k.Evidence),
			Followed: k.Followed(), Accepted: k.Accepted, Rejected: k.Rejected,
		})
	}
	return list
}

func newPerson(p request.Personal) *personView {
	return &personView{
		Name: optional(p.Name.Reveal()), Address: optional(p.Address.Reveal()), Message: optional(p.Message.Reveal()),
		OnBehalf: optional(p.OnBehalf.Reveal()), Mandate: optional(p.Mandate), Recipient: optional(p.Recipient.Reveal()),
		Authority: optional(p.Authority.Reveal()), Ground: optional(p.Ground), Changes: newChanges(p.Changes),
	}
}

func newChanges(changes []connector.Change) []changeView {
	list := []changeView{}
	for _, c := range changes {
		list = append(list, changeView{c.Field, optional(c.Old.Reveal()), optional(c.New.Reveal())})
	}
	return list
}
