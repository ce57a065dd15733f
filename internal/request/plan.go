package request

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

// MaxPersons is how many people one request may name; beyond that it is no
// request of a person any more.
const MaxPersons = 10

// System is a configured system.
type System struct {
	Name      string
	Connector connector.Connector
	DryRun    bool // nothing is changed: what would be done is recorded
	Retrieval Retrieval
	Marks     map[string]string // flags that follow answers: preference by flag
}

// Retrieval is what a company allows Avow to do with a system, and when.
type Retrieval struct {
	From, To   int                   // hours of the controller's day in which calls may begin; equal: always
	Operations []connector.Operation // empty: all
	PerDay     int                   // operations per day; 0: no limit
}

// Plan is what will be asked of which system, in which order. Systems of a
// stage are asked at the same time; a stage begins when the one before it has
// ended.
type Plan struct {
	Operation connector.Operation `json:"operation"`
	Stages    [][]Planned         `json:"stages"`
	Digest    string              `json:"digest"`
}

// Planned is one system of a plan.
type Planned struct {
	System     string         `json:"system"`
	Counts     map[string]int `json:"counts"`
	Notes      []string       `json:"notes,omitempty"`
	Candidates int            `json:"candidates,omitempty"` // undecided
	After      []Reason       `json:"after,omitempty"`
	Manual     bool           `json:"manual,omitempty"` // a person carries it out
	DryRun     bool           `json:"dry_run,omitempty"`
	Failed     string         `json:"failed,omitempty"` // the system could not be asked
}

// Reason says why a system comes after another one.
type Reason struct {
	System string `json:"system"`
	Why    string `json:"why"`
}

// MakePlan derives the order in which systems are asked from what was found.
//
// An erasure must not destroy what another system is found by: a system that
// yielded an identifier is erased after each system that is found by nothing
// else (docs/architecture.md §7). Constraints of vendors (connector.After) are
// further edges, and come first: a cycle of them is Invalid and names its path,
// while of two systems that yield what the other one is found by, either may be
// the first, because every identifier is stored before anything is deleted. What
// comes after a system of which nothing is changed (DryRun) is not changed either.
func MakePlan(op connector.Operation, systems []System, found []Found, known []Known) (Plan, error) {
	p := Plan{Operation: op}
	order := map[string][]Reason{}
	if op == connector.Erase {
		order = edges(systems, known)
	}
	level := map[string]int{}
	for _, s := range systems {
		if _, err := depth(s.Name, order, level, nil); err != nil {
			return Plan{}, err
		}
	}
	dry := func(name string) bool {
		return slices.ContainsFunc(systems, func(s System) bool { return s.Name == name && s.DryRun })
	}
	for _, s := range systems {
		for len(p.Stages) <= level[s.Name] {
			p.Stages = append(p.Stages, nil)
		}
		one := planned(s, op, order[s.Name], found, known)
		one.DryRun = reaches(order, s.Name, dry)
		p.Stages[level[s.Name]] = append(p.Stages[level[s.Name]], one)
	}
	for _, stage := range p.Stages {
		slices.SortFunc(stage, func(a, b Planned) int { return cmp.Compare(a.System, b.System) })
	}
	p.Digest = p.digest(known)
	return p, nil
}

// Of is a system's part; nil when it has none.
func (p Plan) Of(system string) *Planned {
	for _, stage := range p.Stages {
		for i := range stage {
			if stage[i].System == system {
				return &stage[i]
			}
		}
	}
	return nil
}

func planned(s System, op connector.Operation, after []Reason, found []Found, known []Known) Planned {
	one := Planned{System: s.Name, After: after, Manual: !s.Connector.Inventory().Can(op), Counts: map[string]int{}}
	for _, f := range found {
		if f.System == s.Name {
			maps.Copy(one.Counts, f.Counts)
			one.Notes, one.Candidates = f.Notes, undecided(known, s.Name)
			if f.Failed {
				one.Failed = cmp.Or(f.Reason, "unavailable")
			}
		}
	}
	return one
}

// edges gives, for each system, those that must be empty before it.
func edges(systems []System, known []Known) map[string][]Reason {
	order := map[string][]Reason{}
	for _, s := range systems {
		for _, other := range systems {
			if why, ok := comesAfter(s, other); ok {
				order[s.Name] = append(order[s.Name], Reason{System: other.Name, Why: why})
			}
		}
	}
	for _, s := range systems {
		needs, _ := s.Connector.Identifiers()
		yielding := sources(needs, known)
		for _, source := range slices.Sorted(maps.Keys(yielding)) {
			if !reaches(order, s.Name, func(name string) bool { return name == source }) {
				order[source] = append(order[source], Reason{System: s.Name, Why: "is found by the " + string(yielding[source]) + " that " + source + " holds"})
			}
		}
	}
	for _, reasons := range order {
		slices.SortFunc(reasons, func(a, b Reason) int {
			return cmp.Or(strings.Compare(a.System, b.System), strings.Compare(a.Why, b.Why))
		})
	}
	return order
}

// comesAfter reports why a vendor wants a system to be erased after another one.
func comesAfter(s, other System) (why string, ok bool) {
	after, is := s.Connector.(connector.After)
	if !is || s.Name == other.Name {
		return "", false
	}
	reasons := after.After()
	if why, ok = reasons[other.Name]; !ok {
		why, ok = reasons[other.Connector.Inventory().Kind]
	}
	return why, ok
}

// reaches reports whether a system, or one that it comes after at any remove, is
// one of those that are looked for.
func reaches(order map[string][]Reason, from string, is func(name string) bool) bool {
	seen := map[string]bool{}
	var visit func(name string) bool
	visit = func(name string) bool {
		if is(name) {
			return true
		}
		if seen[name] {
			return false
		}
		seen[name] = true
		return slices.ContainsFunc(order[name], func(r Reason) bool { return visit(r.System) })
	}
	return visit(from)
}

// sources are the systems without whose identifiers a system that needs one of
// these kinds could not be found: none when the request itself names one.
func sources(needs []identity.Kind, known []Known) map[string]identity.Kind {
	all := map[string]identity.Kind{}
	for _, k := range known {
		if !k.Followed() || !slices.Contains(needs, k.Kind) {
			continue
		}
		if k.System == "" {
			return nil
		}
		all[k.System] = k.Kind
	}
	return all
}

// depth is the stage of a system: one more than the latest that it comes after.
func depth(name string, order map[string][]Reason, level map[string]int, path []string) (int, error) {
	if at := slices.Index(path, name); at >= 0 {
		return 0, errs.New(errs.Invalid, "the systems cannot be erased in any order: %s", strings.Join(append(path[at:], name), " after "))
	}
	if d, ok := level[name]; ok {
		return d, nil
	}
	d := 0
	for _, r := range order[name] {
		before, err := depth(r.System, order, level, append(path, name))
		if err != nil {
			return 0, err
		}
		d = max(d, before+1)
	}
	level[name] = d
	return d, nil
}

// digest binds an approval to the plan and to what it was made of.
func (p Plan) digest(known []Known) string {
	p.Digest = ""
	keys, judged := []string{}, 0
	for _, k := range known {
		if k.Followed() {
			keys = append(keys, k.Key)
		}
		if k.Accepted || k.Rejected {
			judged++ // each verdict on a candidate makes another digest: a run that waits for the old one looks again
		}
	}
	slices.Sort(keys)
	text, err := json.Marshal(struct {
		Plan   Plan
		Known  []string
		Judged int
	}{p, slices.Compact(keys), judged})
	if err != nil {
		panic("request: encoding a plan") // only our own types
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
