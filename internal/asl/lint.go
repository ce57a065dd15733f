package asl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Rules says what Lint holds a definition to beyond the language.
type Rules struct {
	// Payload are the names that may be sent to a function, Input those that may
	// be given to a nested execution. Nothing else leaves the state data: a name
	// of this list is never personal data.
	Payload, Input []string
	// Items are the members that every item of a Map has, by the Map's name: what
	// the function that makes the list promises.
	Items map[string][]string
	// Substitutions are the placeholders that the template fills.
	Substitutions []string
}

// Lint reports what is wrong with a definition, in sentences that begin with the
// state. The first group would make AWS refuse it, or fail an execution in a
// way that no Catch sees (States.Runtime); the second are limits of the local
// engine; the third are the house's rules. docs/architecture.md §10.
func Lint(text []byte, r Rules) []string {
	d, err := Parse(text)
	if err != nil {
		return []string{err.Error()}
	}
	findings := d.structure()
	if len(findings) > 0 {
		return findings // the rest would only repeat them
	}
	d.all("", func(path string, _ *Definition, s *State) {
		l := linter{path: path, rules: r}
		l.state(s)
		findings = append(findings, l.findings...)
	})
	findings = append(findings, d.reach("")...)
	findings = append(findings, d.flow("", r, facts{"$": true})...)
	return append(findings, placeholders(string(text), r.Substitutions)...)
}

// structure reports what an engine could not carry out.
func (d *Definition) structure() []string {
	var findings []string
	complain := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }
	for _, name := range d.unknown {
		complain("the definition has %s, which is not used here", name)
	}
	if d.States[d.StartAt] == nil {
		complain("StartAt names no state: %q", d.StartAt)
	}
	d.all("", func(path string, in *Definition, s *State) {
		if fields[s.Type] == nil {
			complain("%s: the type %q is not used here", path, s.Type)
			return
		}
		for _, name := range s.unknown {
			complain("%s: a %s has no %s here", path, s.Type, name)
		}
		for _, target := range s.targets() {
			if in.States[target] == nil {
				complain("%s: leads to %q, which is no state beside it", path, target)
			}
		}
		ends := s.Type == "Choice" || s.Type == "Succeed" || s.Type == "Fail"
		if (s.Next != "") == s.End && !ends {
			complain("%s: needs either Next or End", path)
		}
		if s.Type == "Choice" && len(s.Choices) == 0 {
			complain("%s: has no rule", path)
		}
		if inner := s.ItemProcessor; s.Type == "Map" && (inner == nil || inner.States[inner.StartAt] == nil) {
			complain("%s: its ItemProcessor starts at no state", path)
		}
		for _, p := range s.paths() {
			if _, err := parsePath(p); err != nil {
				complain("%s: %v", path, err)
			}
		}
		for _, call := range s.calls() {
			if _, _, err := parseCall(call); err != nil {
				complain("%s: %v", path, err)
			}
		}
	})
	return findings
}

// targets are all states that a state may lead to.
func (s *State) targets() []string {
	var all []string
	for _, t := range append([]string{s.Next, s.Default}, nextOf(s)...) {
		if t != "" && !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

func nextOf(s *State) []string {
	var all []string
	for _, c := range s.Catch {
		all = append(all, c.Next)
	}
	for _, r := range s.Choices {
		all = append(all, r.Next)
	}
	return all
}

// templates are the payload templates of a state.
func (s *State) templates() []any { return []any{s.Parameters, s.ResultSelector, s.ItemSelector} }

// dynamic calls f for every ".$" member of a template, with where it stands.
func dynamic(template any, at string, f func(at, text string)) {
	switch t := template.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(t)) {
			if text, ok := t[name].(string); ok && strings.HasSuffix(name, ".$") {
				f(at+"."+strings.TrimSuffix(name, ".$"), text)
			} else {
				dynamic(t[name], at+"."+name, f)
			}
		}
	case []any:
		for i, e := range t {
			dynamic(e, fmt.Sprintf("%s[%d]", at, i), f)
		}
	}
}

// calls are the texts of all ".$" members.
func (s *State) calls() []string {
	var all []string
	for _, t := range s.templates() {
		dynamic(t, "", func(_, text string) { all = append(all, text) })
	}
	return all
}

// paths are all JSONPaths of a state.
func (s *State) paths() []string {
	var all []string
	for _, p := range []string{s.TimeoutSecondsPath, s.SecondsPath, s.ItemsPath} {
		if p != "" {
			all = append(all, p)
		}
	}
	if s.ResultPath != nil {
		all = append(all, *s.ResultPath)
	}
	for _, c := range s.Catch {
		if c.ResultPath != nil {
			all = append(all, *c.ResultPath)
		}
	}
	for _, call := range s.calls() {
		all = append(all, reads(call)...)
	}
	var walk func(rules []Rule)
	walk = func(rules []Rule) {
		for _, r := range rules {
			if r.Variable != "" {
				all = append(all, r.Variable)
			}
			walk(slices.Concat(r.And, r.Or))
			if r.Not != nil {
				walk([]Rule{*r.Not})
			}
		}
	}
	walk(s.Choices)
	return all
}

// reads are the paths that a ".$" member reads.
func reads(call string) []string {
	name, args, err := parseCall(call)
	if err != nil {
		return nil
	}
	if name == "" {
		return []string{call}
	}
	var all []string
	for _, a := range args {
		if strings.HasPrefix(a, "$") {
			all = append(all, a)
		}
	}
	return all
}

// reach reports states that nothing leads to, and a definition that has no end.
func (d *Definition) reach(prefix string) []string {
	seen, todo := map[string]bool{d.StartAt: true}, []string{d.StartAt}
	var findings []string
	ends := false
	for len(todo) > 0 {
		s := d.States[todo[0]]
		todo = todo[1:]
		ends = ends || s.End || s.Type == "Succeed"
		for _, t := range s.targets() {
			if !seen[t] {
				seen[t], todo = true, append(todo, t)
			}
		}
	}
	if !ends {
		findings = append(findings, prefix+"no state that is reached ends the execution")
	}
	for _, name := range slices.Sorted(maps.Keys(d.States)) {
		if !seen[name] {
			findings = append(findings, prefix+name+": nothing leads to it")
		}
		if inner := d.States[name].ItemProcessor; inner != nil {
			findings = append(findings, inner.reach(prefix+name+"/")...)
		}
	}
	return findings
}

func placeholders(text string, known []string) []string {
	var findings []string
	for {
		_, rest, ok := strings.Cut(text, "${")
		if !ok {
			return findings
		}
		name, rest, _ := strings.Cut(rest, "}")
		if !slices.Contains(known, name) {
			findings = append(findings, fmt.Sprintf("the template fills no ${%s}", name))
		}
		text = rest
	}
}
