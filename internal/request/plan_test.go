package request_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// node is a system of which only the place in the graph matters.
type node struct {
	connector.Connector
	kind          string
	needs, yields []identity.Kind
	after         map[string]string
}

func (n node) Identifiers() (needs, yields []identity.Kind) { return n.needs, n.yields }
func (n node) After() map[string]string                     { return n.after }
func (n node) Inventory() connector.Inventory {
	return connector.Inventory{Kind: n.kind, Does: []connector.Operation{connector.Erase}}
}
func (n node) Locate(context.Context, connector.Subject) (connector.Findings, error) {
	return connector.Findings{}, nil
}

func systems(nodes map[string]node) []request.System {
	var list []request.System
	for name, n := range nodes {
		list = append(list, request.System{Name: name, Connector: n})
	}
	slices.SortFunc(list, func(a, b request.System) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func knows(kind identity.Kind, system string) request.Known {
	return request.Known{
		Key:        string(kind) + "/" + system,
		Identifier: identity.Identifier{Kind: kind, Value: redact.String("v"), Trust: identity.Vendor, System: system},
	}
}

func order(p request.Plan) [][]string {
	var stages [][]string
	for _, stage := range p.Stages {
		var names []string
		for _, s := range stage {
			names = append(names, s.System)
		}
		stages = append(stages, names)
	}
	return stages
}

func TestMakePlan(t *testing.T) {
	t.Parallel()
	nodes := map[string]node{
		"chat":    {kind: "chat", needs: []identity.Kind{"desk.chat_id"}},
		"desk":    {kind: "desk", needs: []identity.Kind{identity.Email}, yields: []identity.Kind{"desk.user_id", "desk.chat_id"}},
		"inbox":   {kind: "manual", needs: []identity.Kind{identity.Email}},
		"message": {kind: "message", needs: []identity.Kind{"desk.user_id"}, after: map[string]string{"manual": "its sessions show the user"}},
	}
	known := []request.Known{knows(identity.Email, ""), knows("desk.user_id", "desk"), knows("desk.chat_id", "desk")}
	plan, err := request.MakePlan(connector.Erase, systems(nodes), nil, known)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{{"chat", "inbox"}, {"message"}, {"desk"}}
	if diff := cmp.Diff(want, order(plan)); diff != "" {
		t.Errorf("the order (-want +got):\n%s", diff)
	}
	for _, r := range plan.Stages[2][0].After {
		if r.Why == "" {
			t.Errorf("no reason why desk comes after %s", r.System)
		}
	}
	export, err := request.MakePlan(connector.Export, systems(nodes), nil, known)
	if err != nil || len(export.Stages) != 1 {
		t.Errorf("an export has %d stages, %v; want one: nothing is destroyed", len(export.Stages), err)
	}
}

func TestMakePlan_cycle(t *testing.T) {
	t.Parallel()
	_, err := request.MakePlan(connector.Erase, systems(map[string]node{
		"a": {after: map[string]string{"b": "x"}},
		"b": {after: map[string]string{"c": "x"}},
		"c": {after: map[string]string{"a": "x"}},
	}), nil, nil)
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "a after b after c after a") {
		t.Errorf("a cycle gives %v, want Invalid with its path", err)
	}
}

// Two systems that hold what the other one is found by: one of them is the first,
// the same each time, and what a vendor says about them wins.
func TestMakePlan_mutual(t *testing.T) {
	t.Parallel()
	nodes := map[string]node{
		"crm":  {needs: []identity.Kind{"external_id"}},
		"desk": {needs: []identity.Kind{identity.Email}},
	}
	known := []request.Known{knows(identity.Email, "crm"), knows("external_id", "desk")}
	for name, tt := range map[string]struct {
		after map[string]string // of the desk
		want  [][]string
	}{
		"nobody says":     {nil, [][]string{{"crm"}, {"desk"}}},
		"the vendor says": {map[string]string{"crm": "its contacts show the user"}, [][]string{{"crm"}, {"desk"}}},
	} {
		desk := nodes["desk"]
		desk.after = tt.after
		nodes["desk"] = desk
		for range 10 {
			plan, err := request.MakePlan(connector.Erase, systems(nodes), nil, known)
			if diff := cmp.Diff(tt.want, order(plan)); err != nil || diff != "" {
				t.Fatalf("%s: %v\n%s", name, err, diff)
			}
		}
	}
	crm := nodes["crm"]
	crm.after = map[string]string{"desk": "its users show the contact"}
	plan, err := request.MakePlan(connector.Erase, systems(map[string]node{"crm": crm, "desk": {needs: nodes["desk"].needs}}), nil, known)
	if diff := cmp.Diff([][]string{{"desk"}, {"crm"}}, order(plan)); err != nil || diff != "" {
		t.Errorf("against the vendor: %v\n%s", err, diff)
	}
}

// What comes after a system of which nothing is changed is not changed either.
func TestMakePlan_dryRun(t *testing.T) {
	t.Parallel()
	list := systems(map[string]node{
		"chat":  {},
		"desk":  {after: map[string]string{"talk": "x"}},
		"other": {},
		"talk":  {after: map[string]string{"chat": "x"}},
	})
	list[0].DryRun = true
	for op, want := range map[connector.Operation]string{connector.Erase: "chat talk desk", connector.Rectify: "chat"} {
		plan, err := request.MakePlan(op, list, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		var dry []string
		for _, stage := range plan.Stages {
			for _, s := range stage {
				if s.DryRun {
					dry = append(dry, s.System)
				}
			}
		}
		if got := strings.Join(dry, " "); got != want {
			t.Errorf("%s: a trial on %q, want %q", op, got, want)
		}
	}
}

// An approval holds for what was shown, and for nothing else.
func TestMakePlan_digest(t *testing.T) {
	t.Parallel()
	nodes := map[string]node{"a": {}, "b": {}}
	digest := func(found []request.Found, known ...request.Known) string {
		p, err := request.MakePlan(connector.Erase, systems(nodes), found, known)
		if err != nil {
			t.Fatal(err)
		}
		return p.Digest
	}
	found := []request.Found{{System: "a", Counts: map[string]int{"tickets": 2}}}
	one := digest(found, knows("x", ""))
	if again := digest(found, knows("x", "")); again != one {
		t.Error("the same plan has two digests")
	}
	candidate := knows("y", "a")
	candidate.Trust = identity.Public
	if other := digest(found, knows("x", ""), candidate); other != one {
		t.Error("a candidate that nobody has accepted changes the digest")
	}
	candidate.Accepted = true
	for name, other := range map[string]string{
		"an accepted candidate": digest(found, knows("x", ""), candidate),
		"one ticket more":       digest([]request.Found{{System: "a", Counts: map[string]int{"tickets": 3}}}, knows("x", "")),
		"a failed system":       digest(append(slices.Clone(found), request.Found{System: "b", Failed: true}), knows("x", "")),
	} {
		if other == one {
			t.Errorf("%s does not change the digest", name)
		}
	}
}

// Nothing is erased while something that is not erased can be found only by what
// it yields, unless that has to come later itself: on random graphs, in the order of
// the stages. Only what vendors say is no order at all.
func TestMakePlan_property(t *testing.T) {
	t.Parallel()
	cycles, plans := 0, 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		nodes, known := randomGraph(r)
		list := systems(nodes)
		plan, err := request.MakePlan(connector.Erase, list, nil, known)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			cycles++
			if _, err := request.MakePlan(connector.Erase, list, nil, nil); err == nil {
				t.Fatalf("seed %d: no order for systems of which no vendor says which is first", seed)
			}
			continue
		}
		plans++
		stage := map[string]int{}
		for i, names := range order(plan) {
			for _, n := range names {
				stage[n] = i
			}
		}
		if len(stage) != len(nodes) {
			t.Fatalf("seed %d: %d of %d systems are in the plan", seed, len(stage), len(nodes))
		}
		for name, n := range nodes {
			for before := range n.after {
				if _, exists := nodes[before]; exists && before != name && stage[before] >= stage[name] {
					t.Fatalf("seed %d: %s must come after %s", seed, name, before)
				}
			}
			for _, source := range onlySources(n, known) {
				if source != name && stage[source] <= stage[name] && !comesAfter(plan, name, source) {
					t.Fatalf("seed %d: %s is erased in stage %d, although %s (stage %d) is found only by what it holds", seed, source, stage[source], name, stage[name])
				}
			}
		}
	}
	if plans < 200 || cycles < 20 {
		t.Errorf("%d plans and %d cycles: the graphs do not try both", plans, cycles)
	}
}

// comesAfter reports whether the plan names a reason, at any remove, for one system
// to come after another.
func comesAfter(p request.Plan, name, other string) bool {
	for _, stage := range p.Stages {
		for _, one := range stage {
			for _, reason := range one.After {
				if one.System == name && (reason.System == other || comesAfter(p, reason.System, other)) {
					return true
				}
			}
		}
	}
	return false
}

func onlySources(n node, known []request.Known) []string {
	var list []string
	for _, k := range known {
		if slices.Contains(n.needs, k.Kind) {
			if k.System == "" {
				return nil
			}
			list = append(list, k.System)
		}
	}
	return list
}

func randomGraph(r *rand.Rand) (map[string]node, []request.Known) {
	nodes := map[string]node{}
	known := []request.Known{knows("k0", "")}
	n := 2 + r.IntN(6)
	kind := func() identity.Kind { return identity.Kind(fmt.Sprintf("k%d", r.IntN(6))) }
	for i := range n {
		name := fmt.Sprintf("s%d", i)
		one := node{needs: []identity.Kind{kind()}, after: map[string]string{}}
		if r.IntN(3) == 0 {
			one.after[fmt.Sprintf("s%d", r.IntN(n))] = "the vendor says so"
		}
		if r.IntN(2) == 0 {
			one.yields = []identity.Kind{kind()}
			known = append(known, knows(one.yields[0], name))
		}
		nodes[name] = one
	}
	return nodes, known
}
