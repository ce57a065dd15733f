package cfn

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A parameter of the template, with the checks that CloudFormation makes.
type parameter struct {
	Type                  string
	Default               any
	AllowedValues         []any
	AllowedPattern        string
	ConstraintDescription string
	MinValue, MaxValue    *Number
	MinLength, MaxLength  *Number
}

// parameterValues gives what Ref is for each parameter, and the same as text.
func parameterValues(declared map[string]parameter, given map[string]string) (map[string]any, map[string]string, error) {
	for name := range given {
		if _, ok := declared[name]; !ok {
			known := slices.Sorted(maps.Keys(declared))
			return nil, nil, fmt.Errorf("the template has no parameter %q; it has %s", name, strings.Join(known, ", "))
		}
	}
	values, texts := map[string]any{}, map[string]string{}
	for name, p := range declared {
		value, ok := given[name]
		if !ok {
			if p.Default == nil {
				return nil, nil, fmt.Errorf("parameter %s has no default: give it a value", name)
			}
			value = text(p.Default)
		}
		if err := p.check(value); err != nil {
			return nil, nil, fmt.Errorf("parameter %s: %w", name, err)
		}
		texts[name], values[name] = value, value
		if p.Type == "CommaDelimitedList" || strings.HasPrefix(p.Type, "List<") {
			list := []any{}
			for element := range strings.SplitSeq(value, ",") {
				list = append(list, strings.TrimSpace(element))
			}
			values[name] = list
		}
	}
	return values, texts, nil
}

func (p parameter) check(value string) error {
	allowed := make([]string, len(p.AllowedValues))
	for i, v := range p.AllowedValues {
		allowed[i] = text(v)
	}
	if len(allowed) > 0 && !slices.Contains(allowed, value) {
		return fmt.Errorf("%q is not one of %s", value, strings.Join(allowed, ", "))
	}
	if p.Type == "Number" {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", value)
		}
		if p.MinValue != nil && n < float64(*p.MinValue) || p.MaxValue != nil && n > float64(*p.MaxValue) {
			return fmt.Errorf("%s is out of range", value)
		}
	}
	if p.MinLength != nil && len(value) < int(*p.MinLength) || p.MaxLength != nil && len(value) > int(*p.MaxLength) {
		return fmt.Errorf("%q is too short or too long", value)
	}
	if p.AllowedPattern == "" {
		return nil
	}
	pattern, err := regexp.Compile(`^(?:` + p.AllowedPattern + `)$`)
	if err != nil {
		return fmt.Errorf("reading its pattern: %w", err)
	}
	if !pattern.MatchString(value) {
		if p.ConstraintDescription != "" {
			return fmt.Errorf("%q: %s", value, p.ConstraintDescription)
		}
		return fmt.Errorf("%q does not match %s", value, p.AllowedPattern)
	}
	return nil
}
