package asl

import (
	"fmt"
	"slices"
	"strings"
)

// comparisons are the operators that rules use. Each is false on a value of
// another type, as on AWS.
var comparisons = map[string]func(value, operand any) bool{
	"StringEquals":             func(v, o any) bool { s, ok := v.(string); return ok && s == o },
	"BooleanEquals":            func(v, o any) bool { b, ok := v.(bool); return ok && b == o },
	"NumericEquals":            numeric(func(v, o float64) bool { return v == o }),
	"NumericLessThan":          numeric(func(v, o float64) bool { return v < o }),
	"NumericLessThanEquals":    numeric(func(v, o float64) bool { return v <= o }),
	"NumericGreaterThan":       numeric(func(v, o float64) bool { return v > o }),
	"NumericGreaterThanEquals": numeric(func(v, o float64) bool { return v >= o }),
	"IsNull":                   func(v, o any) bool { return (v == nil) == o },
	"IsString":                 func(v, o any) bool { _, ok := v.(string); return ok == o },
	"IsNumeric":                func(v, o any) bool { _, ok := number(v); return ok == o },
	"IsBoolean":                func(v, o any) bool { _, ok := v.(bool); return ok == o },
}

func numeric(compare func(v, o float64) bool) func(v, o any) bool {
	return func(v, o any) bool {
		a, ok := number(v)
		b, known := number(o)
		return ok && known && compare(a, b)
	}
}

// matches evaluates a rule as AWS does: a path that is not in the data is an
// error, except to IsPresent. And and Or stop as soon as they know.
func (r Rule) matches(data, context any) (bool, error) {
	switch {
	case r.And != nil:
		for _, inner := range r.And {
			if ok, err := inner.matches(data, context); !ok || err != nil {
				return false, err
			}
		}
		return true, nil
	case r.Or != nil:
		for _, inner := range r.Or {
			if ok, err := inner.matches(data, context); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	case r.Not != nil:
		ok, err := r.Not.matches(data, context)
		return !ok, err
	}
	p, err := parsePath(r.Variable)
	if err != nil {
		return false, err
	}
	value, present := p.get(data, context)
	if r.Operator == "IsPresent" {
		return present == r.Operand, nil
	}
	compare := comparisons[r.Operator]
	if compare == nil {
		return false, fmt.Errorf("the comparison %s is not known here", r.Operator)
	}
	if !present {
		return false, fmt.Errorf("a rule compares %s, which is not in the data", r.Variable)
	}
	return compare(value, r.Operand), nil
}

// choose gives the state that a Choice leads to.
func (s *State) choose(data, context any) (string, error) {
	for _, r := range s.Choices {
		ok, err := r.matches(data, context)
		if err != nil {
			return "", err
		}
		if ok {
			return r.Next, nil
		}
	}
	if s.Default == "" {
		return "", fmt.Errorf("no rule matches, and there is no Default")
	}
	return s.Default, nil
}

// facts is what is known of the data at a state: a path that is present, or
// "path>=1" for one that is also at least 1.
type facts map[string]bool

// add notes a path with everything around it.
func (f facts) add(variable string) {
	for i, c := range variable {
		if c == '.' || c == '[' {
			f[variable[:i]] = true
		}
	}
	f[variable] = true
}

// implied is what is known when the rule has been evaluated and was, or was
// not, a match.
func (r Rule) implied(matched bool) facts {
	known := facts{}
	switch {
	case r.Not != nil:
		return r.Not.implied(!matched)
	case r.And != nil && matched, r.Or != nil && !matched: // all parts have been evaluated
		for _, inner := range slices.Concat(r.And, r.Or) {
			known.merge(inner.implied(matched))
		}
	case r.And != nil || r.Or != nil: // one part has decided, not known which
		var each []facts
		for _, inner := range slices.Concat(r.And, r.Or) {
			each = append(each, inner.implied(matched))
		}
		for fact := range each[0] {
			if everywhere(each, fact) {
				known[fact] = true
			}
		}
	case r.Operator == "IsPresent":
		if r.Operand == matched {
			known.add(r.Variable)
		}
	default: // a comparison fails when there is nothing to compare
		known.add(r.Variable)
		if n, ok := number(r.Operand); ok && matched && n >= 1 && strings.HasPrefix(r.Operator, "NumericGreater") {
			known[r.Variable+atLeastOne] = true
		}
	}
	return known
}

const atLeastOne = ">=1"

func (f facts) merge(more facts) {
	for fact := range more {
		f[fact] = true
	}
}

func everywhere(all []facts, fact string) bool {
	for _, f := range all {
		if !f[fact] {
			return false
		}
	}
	return true
}
