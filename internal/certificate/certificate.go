// Package certificate makes the signed certificate of an erasure, shows it to
// people, and checks it: what was deleted in which system, when, by which call,
// what was kept and why, and what looking again has found. It holds no personal
// data: identifiers stand in it as keyed hashes, people by their role.
package certificate

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/canon"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/request"
)

// Format names the form of a certificate and is the domain label of what is
// signed: a signature made for it means nothing anywhere else.
const Format = "avow/erasure-certificate/v1"

// Certificate is what is certified. Times are RFC 3339 in UTC with whole seconds,
// empty where something has not happened.
type Certificate struct {
	Format      string       `json:"format"`
	Serial      int          `json:"serial"` // 1 at the answer, one more after each look
	Final       bool         `json:"final"`  // nobody will look again
	Issued      string       `json:"issued"`
	Controller  string       `json:"controller"`
	Site        string       `json:"site"`
	Request     Request      `json:"request"`
	Identifiers []Identifier `json:"identifiers"`
	HashKey     string       `json:"hash_key"` // names the key of the hashes, which only the controller has
	Systems     []System     `json:"systems"`
	Looks       []Look       `json:"looks,omitempty"`
	Told        []Told       `json:"recipients_told,omitempty"` // Art. 19 GDPR
	Log         Log          `json:"log"`
}

// Request is what the person asked, and who let it happen.
type Request struct {
	ID       string         `json:"id"`
	Type     request.Type   `json:"type"`
	Regime   request.Regime `json:"regime"`
	Received string         `json:"received"`
	Identity Proof          `json:"identity"`
	Approved Approval       `json:"approved"`
	Answered string         `json:"answered,omitempty"`
	Due      string         `json:"due,omitempty"` // until when the answer had to be out
}

// Proof is how the person has proven who they are.
type Proof struct {
	Method string `json:"method"`
	At     string `json:"at,omitempty"`
	Role   string `json:"role,omitempty"` // who has checked
}

// Approval of the plan, by a role: the log knows who.
type Approval struct {
	At   string `json:"at,omitempty"`
	Role string `json:"role,omitempty"`
	Plan string `json:"plan,omitempty"` // digest of plan and findings
}

// Identifier is one under which the person was looked for.
type Identifier struct {
	Kind string `json:"kind"`
	Hash string `json:"hash"`
}

// Outcome is what became of a system's data.
type Outcome string

// The outcomes.
const (
	Erased  Outcome = "erased"   // and looked at
	ByHand  Outcome = "by_hand"  // an operator has done it and shown a proof
	Partly  Outcome = "partly"   // erased but for what is listed as kept
	Kept    Outcome = "kept"     // on a ground
	Skipped Outcome = "skipped"  // not done, on a person's decision
	DryRun  Outcome = "dry_run"  // nothing was changed: a trial
	Pending Outcome = "pending"  // not ended when the certificate was issued
	Nothing Outcome = "nothing"  // the system holds nothing of the person
	Failed  Outcome = "not_seen" // the system could not be asked
)

// System is one system's part.
type System struct {
	System    string               `json:"system"`
	Kind      string               `json:"kind"`
	Title     connector.Text       `json:"title,omitempty"`
	Region    string               `json:"region,omitempty"`
	Processor string               `json:"processor,omitempty"`
	Outcome   Outcome              `json:"outcome"`
	Stage     int                  `json:"stage,omitempty"` // from 1; systems of a stage were asked together
	After     []request.Reason     `json:"after,omitempty"` // why not earlier
	Started   string               `json:"started,omitempty"`
	Ended     string               `json:"ended,omitempty"`
	Found     map[string]int       `json:"found,omitempty"` // records, before
	Deleted   map[string]int       `json:"deleted,omitempty"`
	Evidence  []connector.Evidence `json:"evidence,omitempty"`
	Kept      []connector.Kept     `json:"kept,omitempty"`
	Reason    string               `json:"reason,omitempty"`
	Hold      *Hold                `json:"hold,omitempty"`
	Looks     []SystemLook         `json:"looks,omitempty"`
	AgesOut   connector.Text       `json:"ages_out,omitempty"` // backups: what goes by itself, and when
}

// Hold is a legal hold that stopped the deletion.
type Hold struct {
	Ground string `json:"ground"`
	Reason string `json:"reason"`
	Since  string `json:"since"`
}

// Look is one look at all systems after the erasure.
type Look struct {
	At      string         `json:"at"`
	Residue map[string]int `json:"residue"` // by system; empty: all was gone
}

// SystemLook is what looking again at one system has come to.
type SystemLook struct {
	Look     int                  `json:"look"`
	At       string               `json:"at,omitempty"`
	Outcome  Outcome              `json:"outcome"` // erased: it is gone
	Deleted  map[string]int       `json:"deleted,omitempty"`
	Kept     []connector.Kept     `json:"kept,omitempty"`
	Evidence []connector.Evidence `json:"evidence,omitempty"`
	Reason   string               `json:"reason,omitempty"`
}

// Told is a system that has told its own recipients.
type Told struct {
	System  string  `json:"system"`
	At      string  `json:"at,omitempty"`
	Outcome Outcome `json:"outcome"`
}

// Log binds the request's log as it stood: whoever has the log can tell that
// these were its entries.
type Log struct {
	Entries int    `json:"entries"`
	Last    string `json:"last,omitempty"` // id of the last of them
	SHA256  string `json:"sha256"`
}

// Facts are what a certificate is made of.
type Facts struct {
	Request    *request.Request
	Serial     int
	Final      bool
	Issued     time.Time
	Controller string
	HashKey    string
	Systems    []request.System
	Plan       request.Plan
	Found      []request.Found
	Steps      []request.Step
	Known      []request.Known
	Log        []request.Entry
}

// Make writes the certificate of an erasure.
func Make(f Facts) (*Certificate, error) {
	digest, err := LogDigest(f.Log)
	if err != nil {
		return nil, err
	}
	r := f.Request
	c := &Certificate{
		Format: Format, Serial: f.Serial, Final: f.Final, Issued: stamp(f.Issued), Controller: f.Controller, Site: r.Site,
		Request: Request{
			ID: r.ID, Type: r.Type, Regime: r.Regime, Received: stamp(r.Received), Answered: stamp(r.Answered), Due: stamp(r.Clock.Due),
			Identity: Proof{Method: r.Identity.Method, At: stamp(r.Identity.ProvenAt), Role: r.Identity.By.Role},
			Approved: Approval{At: stamp(r.Approval.At), Role: r.Approval.By.Role, Plan: r.Approval.Digest},
		},
		Identifiers: identifiers(f.Known), HashKey: f.HashKey, Systems: f.systems(), Told: f.told(),
		Log: Log{Entries: len(f.Log), SHA256: digest},
	}
	if len(f.Log) > 0 {
		c.Log.Last = f.Log[len(f.Log)-1].ID
	}
	for _, l := range r.Looks {
		look := Look{At: stamp(l.At), Residue: l.Residue}
		if look.Residue == nil {
			look.Residue = map[string]int{}
		}
		c.Looks = append(c.Looks, look)
	}
	return c, nil
}

// stamp is a time as certificates show it.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// timed is evidence with its times as the rest of the certificate writes them.
func timed(evidence []connector.Evidence) []connector.Evidence {
	list := slices.Clone(evidence)
	for i := range list {
		list[i].At = list[i].At.UTC().Truncate(time.Second)
	}
	return list
}

// logged is an entry of a log as its digest takes it.
type logged struct {
	ID     string            `json:"id"`
	At     string            `json:"at"` // RFC 3339, UTC, as exact as it is stored
	By     request.Actor     `json:"by"`
	Act    request.Act       `json:"act"`
	From   request.State     `json:"from,omitempty"`
	To     request.State     `json:"to,omitempty"`
	Why    string            `json:"why,omitempty"`
	System string            `json:"system,omitempty"`
	Detail map[string]string `json:"detail,omitempty"`
}

// LogDigest is the SHA-256 over the entries of a log, each as canonical JSON
// (RFC 8785) with a line end.
func LogDigest(log []request.Entry) (string, error) {
	sum := sha256.New()
	for _, e := range log {
		text, err := canon.JSON(logged{e.ID, e.At.UTC().Format(time.RFC3339Nano), e.By, e.Act, e.From, e.To, e.Why, e.System, e.Detail})
		if err != nil {
			return "", err
		}
		_, _ = sum.Write(append(text, '\n'))
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// identifiers are those under which systems were asked, sorted and each once.
func identifiers(known []request.Known) []Identifier {
	list := []Identifier{}
	for _, k := range known {
		if k.Followed() && k.Key != "" {
			list = append(list, Identifier{Kind: string(k.Kind), Hash: k.Key})
		}
	}
	slices.SortFunc(list, func(a, b Identifier) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Hash, b.Hash)) })
	return slices.Compact(list)
}

// systems are all that were asked what they hold, in the order of the plan.
func (f Facts) systems() []System {
	list := []System{}
	for _, s := range f.Systems {
		found := slices.IndexFunc(f.Found, func(x request.Found) bool { return x.System == s.Name })
		step := f.step(s.Name, connector.Erase, 0)
		if found < 0 && step == nil {
			continue // not asked: it came after this request
		}
		one := f.system(s, step)
		if found >= 0 {
			one.Found = f.Found[found].Counts
		}
		one.Outcome = outcome(step, f.dryRun(s), len(one.Found) > 0)
		if step == nil && found >= 0 && f.Found[found].Failed {
			one.Outcome = Failed
		}
		list = append(list, one)
	}
	slices.SortStableFunc(list, func(a, b System) int {
		return cmp.Or(cmp.Compare(a.Stage, b.Stage), cmp.Compare(a.System, b.System))
	})
	return list
}

func (f Facts) step(system string, op connector.Operation, look int) *request.Step {
	i := slices.IndexFunc(f.Steps, func(s request.Step) bool {
		return s.System == system && s.Operation == op && s.Look == look
	})
	if i < 0 {
		return nil
	}
	return &f.Steps[i]
}

func (f Facts) system(s request.System, step *request.Step) System {
	inventory := s.Connector.Inventory()
	one := System{System: s.Name, Kind: inventory.Kind, Title: inventory.Title, Region: inventory.Region, AgesOut: inventory.Backups}
	if inventory.Processor != nil {
		one.Processor = inventory.Processor.Name
	}
	if hold, held := f.Request.Held(s.Name); held {
		one.Hold = &Hold{Ground: hold.Ground, Reason: hold.Reason, Since: stamp(hold.At)}
	}
	for i, stage := range f.Plan.Stages {
		for _, p := range stage {
			if p.System == s.Name {
				one.Stage, one.After = i+1, p.After
			}
		}
	}
	if step != nil {
		one.Started, one.Ended, one.Deleted, one.Evidence, one.Kept, one.Reason = stamp(step.Started), stamp(step.Ended), step.Counts, timed(step.Evidence), step.Kept, step.Reason
	}
	for _, again := range f.Steps {
		// What only people can erase, only people could look at again: nobody has.
		if again.System == s.Name && again.Look > 0 && again.Phase.Ended() && inventory.Can(connector.Erase) {
			one.Looks = append(one.Looks, SystemLook{
				Look: again.Look, At: stamp(again.Ended), Outcome: outcome(&again, false, false),
				Deleted: again.Counts, Kept: again.Kept, Evidence: timed(again.Evidence), Reason: again.Reason,
			})
		}
	}
	slices.SortFunc(one.Looks, func(a, b SystemLook) int { return cmp.Compare(a.Look, b.Look) })
	return one
}

// dryRun reports whether nothing of a system is changed: it is configured so, or
// comes after one that is.
func (f Facts) dryRun(s request.System) bool {
	one := f.Plan.Of(s.Name)
	return s.DryRun || one != nil && one.DryRun
}

// outcome says what a step has come to.
func outcome(step *request.Step, dryRun, found bool) Outcome {
	switch {
	case step == nil && !found:
		return Nothing
	case step == nil || !step.Phase.Ended():
		return Pending
	case step.Phase == request.Skipped && dryRun:
		return DryRun
	case step.Phase == request.Skipped:
		return Skipped
	case step.Phase == request.Waived:
		return Kept
	case slices.ContainsFunc(step.Evidence, func(e connector.Evidence) bool { return e.Call == "by hand" }):
		return ByHand
	case len(step.Kept) > 0:
		return Partly
	}
	return Erased
}

// told are the systems that were to tell their recipients.
func (f Facts) told() []Told {
	var list []Told
	for _, s := range f.Steps {
		if s.Operation == connector.Tell {
			list = append(list, Told{System: s.System, At: stamp(s.Ended), Outcome: outcomeOfTelling(s.Phase)})
		}
	}
	slices.SortFunc(list, func(a, b Told) int { return cmp.Compare(a.System, b.System) })
	return list
}

func outcomeOfTelling(p request.Phase) Outcome {
	switch {
	case p == request.Finished:
		return "told"
	case p.Ended():
		return Skipped
	}
	return Pending
}
