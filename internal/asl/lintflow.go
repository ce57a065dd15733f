package asl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// flow follows the data through the definition and reports every path that is
// read where it may be missing. On AWS that is States.Runtime, which no Catch
// sees: the execution would be lost.
//
// For each state it computes what is present on every way that leads there: the
// results of states before it, and what the rules of a Choice have made sure of.
func (d *Definition) flow(prefix string, r Rules, given facts) []string {
	at := map[string]facts{d.StartAt: given}
	for todo := []string{d.StartAt}; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		for _, edge := range d.States[name].edges(at[name]) {
			if d.States[edge.to] == nil {
				continue // has been reported
			}
			known, seen := at[edge.to]
			joined := edge.known
			if seen {
				joined = facts{}
				for f := range known {
					if edge.known[f] {
						joined[f] = true
					}
				}
			}
			if !seen || len(joined) < len(known) {
				at[edge.to] = joined
				todo = append(todo, edge.to)
			}
		}
	}
	var findings []string
	for _, name := range slices.Sorted(maps.Keys(at)) {
		s := d.States[name]
		for _, missing := range s.missing(at[name]) {
			findings = append(findings, fmt.Sprintf("%s%s: %s", prefix, name, missing))
		}
		if s.ItemProcessor != nil {
			findings = append(findings, s.ItemProcessor.flow(prefix+name+"/", r, s.itemFacts(r.Items[name]))...)
		}
	}
	return findings
}

// itemFacts is what each item of a Map holds.
func (s *State) itemFacts(promised []string) facts {
	known := facts{"$": true}
	if s.ItemSelector != nil {
		known.literal("$", s.ItemSelector)
		return known
	}
	for _, name := range promised {
		known.add("$." + name)
	}
	return known
}

// edge is a way to another state, with what is known of the data there.
type edge struct {
	to    string
	known facts
}

func (s *State) edges(known facts) []edge {
	var all []edge
	switch s.Type {
	case "Choice":
		so := maps.Clone(known)
		for _, r := range s.Choices {
			then := maps.Clone(so)
			then.merge(r.implied(true))
			all = append(all, edge{r.Next, then})
			so.merge(r.implied(false))
		}
		return append(all, edge{s.Default, so})
	case "Wait":
		return []edge{{s.Next, known}}
	}
	for _, c := range s.Catch {
		all = append(all, edge{c.Next, known.with(c.ResultPath, map[string]any{"Error": "", "Cause": ""}, nil)})
	}
	if s.Next != "" {
		all = append(all, edge{s.Next, s.after(known)})
	}
	return all
}

// after is what is known when the state has succeeded.
func (s *State) after(known facts) facts {
	switch {
	case s.Type == "Pass" && s.Result != nil:
		return known.with(s.ResultPath, s.Result, nil)
	case s.Type == "Pass" && s.Parameters != nil:
		return known.with(s.ResultPath, s.Parameters, known)
	case s.Type == "Pass":
		return known
	}
	return known.with(s.ResultPath, s.ResultSelector, nil)
}

// with is what is known when a result has been put to a path. A result that
// copies from data of which something is known brings that along.
func (f facts) with(at *string, result any, source facts) facts {
	where := "$"
	if at != nil {
		where = *at
	}
	out := facts{"$": true}
	for fact := range f {
		if where != "$" && !beneath(fact, where) {
			out[fact] = true
		}
	}
	out.add(where)
	out.literal(where, result)
	if source == nil {
		return out
	}
	dynamic(result, where, func(at, text string) {
		from := text
		if name, args, _ := parseCall(text); name == "States.ArrayGetItem" {
			from = args[0] + "[" + args[1] + "]"
		}
		for fact := range source {
			if beneath(fact, from) {
				out[at+strings.TrimPrefix(fact, from)] = true
			}
		}
	})
	return out
}

func beneath(fact, where string) bool {
	return fact == where || strings.HasPrefix(fact, where+".") || strings.HasPrefix(fact, where+"[") || strings.HasPrefix(fact, where+">")
}

// literal notes the members of a template.
func (f facts) literal(at string, template any) {
	m, ok := template.(map[string]any)
	if !ok {
		return
	}
	for name, value := range m {
		member := at + "." + strings.TrimSuffix(name, ".$")
		f.add(member)
		if !strings.HasSuffix(name, ".$") {
			f.literal(member, value)
		}
	}
}

// missing are the paths that a state reads and that may be missing.
func (s *State) missing(known facts) []string {
	var all []string
	check := func(p string) {
		plain, _, _ := strings.Cut(p, "[")
		if !strings.HasPrefix(p, "$$") && !known[p] && !known[plain] {
			all = append(all, p+" may be missing here: ask with IsPresent first")
		}
	}
	for _, t := range []any{s.Parameters, s.ItemSelector} {
		dynamic(t, "", func(_, text string) {
			for _, p := range reads(text) {
				check(p)
			}
			if name, args, _ := parseCall(text); name == "States.ArrayGetItem" && !known[args[0]+"["+args[1]+"]"] {
				all = append(all, text+" may not exist: ask with IsPresent first")
			}
		})
	}
	for _, p := range []string{s.SecondsPath, s.TimeoutSecondsPath} {
		if p == "" {
			continue
		}
		check(p)
		if !known[p+atLeastOne] {
			all = append(all, p+" may be less than 1: ask with NumericGreaterThanEquals first")
		}
	}
	if s.ItemsPath != "" {
		check(s.ItemsPath)
	}
	so := maps.Clone(known)
	for _, r := range s.Choices {
		all = append(all, r.missing(so)...)
		so.merge(r.implied(false))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// missing are the paths that a rule compares though they may be missing.
func (r Rule) missing(known facts) []string {
	switch {
	case r.Not != nil:
		return r.Not.missing(known)
	case len(r.And)+len(r.Or) > 0:
		var all []string
		so := maps.Clone(known)
		for _, inner := range slices.Concat(r.And, r.Or) {
			all = append(all, inner.missing(so)...)
			so.merge(inner.implied(r.And != nil))
		}
		return all
	case r.Operator == "IsPresent" || known[r.Variable]:
		return nil
	}
	return []string{r.Variable + " may be missing here: ask with IsPresent first"}
}
