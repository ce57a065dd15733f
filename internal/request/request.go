// Package request is the domain of data-subject requests: what a request is,
// which acts lead from one state to the next, when it is due, which systems are
// asked in which order, and what is written down. It knows nothing of HTTP, of
// AWS or of the environment.
package request

import (
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// Type is what the person asks for.
type Type string

// The types.
const (
	Access        Type = "access"           // Art. 15 GDPR
	Portability   Type = "portability"      // Art. 20
	Rectification Type = "rectification"    // Art. 16
	Erasure       Type = "erasure"          // Art. 17
	Restriction   Type = "restriction"      // Art. 18
	Objection     Type = "objection"        // Art. 21; under the CCPA the opt-out of sale or sharing
	Disclosure    Type = "legal_disclosure" // an authority asks; the person gets no letter
)

// Types are all types.
var Types = []Type{Access, Portability, Rectification, Erasure, Restriction, Objection, Disclosure}

// Operation is what systems are asked to do for a type.
func (t Type) Operation() connector.Operation {
	switch t {
	case Rectification:
		return connector.Rectify
	case Erasure:
		return connector.Erase
	case Restriction:
		return connector.Restrict
	case Objection:
		return connector.Object
	}
	return connector.Export
}

// Regime is the law that a request is answered under: "gdpr", "ccpa", or one
// that the configuration adds.
type Regime string

// The regimes that need no configuration.
const (
	GDPR Regime = "gdpr"
	CCPA Regime = "ccpa"
)

// Channel is how a request arrived.
type Channel struct {
	Kind      string        // web_form, email, letter, phone, chat, in_person, other
	Reference redact.String // the vendor's or the company's own, such as a chat id: a first identifier
	// System is the messenger in whose chat the person has asked and proven who they
	// are; "" for any other way. Letters go there.
	System string
}

// Request is the row of a request. It holds no personal data, except where the
// type says so by redact.String; what is known of the person stands in rows of
// their own, which are deleted at close.
type Request struct {
	ID      string // UUIDv7
	Site    string
	Version int // grows by one with each write; the condition of the next
	Type    Type
	Regime  Regime
	Agent   bool // the subject is an employee who answers others
	Channel Channel
	// Language of letters and package, BCP 47: "fr" or "en" are written, others
	// get English.
	Language string
	// Residence is the person's country (ISO 3166-1 alpha-2, optionally with
	// region: "US-CA"); empty when not known.
	Residence string

	State    State
	Since    time.Time // in this state; zero: since Received
	Reminded time.Time // when somebody was last reminded of what waits for them, in this state
	Opened   Actor
	Received time.Time // when the request reached the company: the clock runs from here
	Clock    Clock
	Identity Identity
	OnBehalf bool // somebody acts for the person: Personal says who, with which proof

	// Execution and Epoch: the run of the state machine that may act. Every run
	// takes a new epoch; who comes with an older one stops.
	Execution string
	Epoch     int
	Round     int // how often this run has begun again after a failure

	Findings    string   // digest of plan and findings (Plan.Digest) as of the last locate
	Approval    Approval // binds that digest
	Holds       []Hold
	Refusal     *Refusal
	Answered    time.Time // when the person was answered, zero before
	Package     *Package
	Looks       []Look // of an erasure: what looking again has found
	Certificate *CertificateRef
	Open        int       // tasks that wait for a person
	Next        time.Time // when sweep is to look at the request (NextVisit); also set after the end, zero: never again, erase may remove it
	Closed      time.Time
}

// Actor is who acts: a named person with a role, the person concerned, or Avow.
type Actor struct {
	Who  string `json:"who"`  // label of a role key; "person"; "avow"
	Role string `json:"role"` // viewer, operator, officer, admin; "person"; "system"
}

// The actors that are no administrators.
var (
	ThePerson = Actor{Who: "person", Role: "person"}
	Avow      = Actor{Who: "avow", Role: "system"}
)

// Identity is what is known of who asks.
type Identity struct {
	Method   string    // "email", "operator", "none" (disclosure: the officer's approval stands for it)
	ProvenAt time.Time // zero: not proven
	By       Actor
	Evidence string // what an operator has checked, without personal data
	Links    int    // links sent so far
}

// Proven reports whether the person has proven who they are.
func (i Identity) Proven() bool { return !i.ProvenAt.IsZero() }

// Approval of the plan.
type Approval struct {
	At     time.Time // zero: not approved
	By     Actor
	Digest string
}

// Hold stops deletion in the systems named, or everywhere.
type Hold struct {
	Systems []string  `json:"systems,omitempty"`
	Ground  string    `json:"ground"` // "Art. 17(3)(e) GDPR"
	Reason  string    `json:"reason"`
	By      Actor     `json:"by"`
	At      time.Time `json:"at"`
}

// Held returns the hold that stops deletion in a system.
func (r *Request) Held(system string) (Hold, bool) {
	for _, h := range r.Holds {
		if len(h.Systems) == 0 {
			return h, true
		}
		for _, s := range h.Systems {
			if s == system {
				return h, true
			}
		}
	}
	return Hold{}, false
}

// Refusal is why the request is refused; the letter names the ground and the
// right to complain (Art. 12(4)).
type Refusal struct {
	Ground string    `json:"ground"`
	Reason string    `json:"reason"`
	By     Actor     `json:"by"`
	At     time.Time `json:"at"`
}

// Package is the finished export.
type Package struct {
	Build    string      `json:"build"`  // names the object: blob.Packages.Download
	Digest   string      `json:"digest"` // SHA-256 of the ZIP
	Bytes    int64       `json:"bytes"`
	Built    time.Time   `json:"built"`
	Excluded []Exclusion `json:"excluded,omitempty"`
	Released time.Time   `json:"released,omitzero"`
	Fetched  time.Time   `json:"fetched,omitzero"` // first download by the recipient
	Expired  time.Time   `json:"expired,omitzero"` // since when it is not offered any more
}

// Exclusion leaves a part of the package out, for other people's sake.
type Exclusion struct {
	Part   string `json:"part"` // a file of the package, or "system/kind"
	Reason string `json:"reason"`
}

// Look is one look at all systems after an erasure.
type Look struct {
	At      time.Time      `json:"at"`
	Residue map[string]int `json:"residue,omitempty"` // records still there, by system
}

// CertificateRef names the latest certificate.
type CertificateRef struct {
	Serial int       `json:"serial"` // 1 at the answer, one more after each look
	Digest string    `json:"digest"` // SHA-256 of its canonical form
	At     time.Time `json:"at"`
	Final  bool      `json:"final"`
}

// Personal is what a request itself holds of people. It goes at close.
type Personal struct {
	Name      redact.String      // how letters address the person
	Address   redact.String      // where the answer goes: an e-mail that may be written to
	Message   redact.String      // the person's own words
	OnBehalf  redact.String      // who acts for the person
	Mandate   string             // digest of the proof that they may
	Recipient redact.String      // portability: the organisation that receives the data
	Authority redact.String      // disclosure: who asks
	Ground    string             // disclosure: on which legal ground
	Changes   []connector.Change // rectification; objection: each preference that is objected to, none for every one
}

// Known is an identifier of the person, with what locate has made of it.
type Known struct {
	identity.Identifier
	Key      string // keyed hash of site, kind and normal value (pseudonym.Hasher.Identifier)
	Evidence string // of a candidate
	Accepted bool   // an operator has accepted the candidate
	Rejected bool
}

// Followed reports whether locate may follow the identifier.
func (k Known) Followed() bool { return k.Accepted || k.Identifier.Followed() && !k.Rejected }
