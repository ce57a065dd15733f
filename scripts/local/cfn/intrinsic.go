package cfn

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A resolver knows what every name in a template stands for.
type resolver struct {
	values     map[string]any // parameters and pseudo parameters
	conditions map[string]any
	mappings   map[string]any
	resources  map[string]resource
	attributes map[string]map[string]string // by logical id; "" is what Ref gives
	visiting   []string                     // conditions under evaluation
}

// noValue stands for AWS::NoValue: the property is as if it were not there.
type noValue struct{}

// resolve replaces every intrinsic function in v.
func (r *resolver) resolve(v any) (any, error) {
	switch v := v.(type) {
	case []any:
		out := make([]any, 0, len(v))
		for _, element := range v {
			x, err := r.resolve(element)
			if err != nil {
				return nil, err
			}
			if x != (noValue{}) {
				out = append(out, x)
			}
		}
		return out, nil
	case map[string]any:
		if name, argument, ok := intrinsic(v); ok {
			return r.call(name, argument)
		}
		out := make(map[string]any, len(v))
		for key, element := range v {
			x, err := r.resolve(element)
			if err != nil {
				return nil, err
			}
			if x != (noValue{}) {
				out[key] = x
			}
		}
		return out, nil
	default:
		return v, nil
	}
}

// intrinsic tells a function call from a map: one key, "Ref", "Condition" with
// a name, or "Fn::…".
func intrinsic(v map[string]any) (name string, argument any, ok bool) {
	if len(v) != 1 {
		return "", nil, false
	}
	for name, argument = range v {
	}
	if name == "Condition" {
		_, ok = argument.(string)
		return name, argument, ok
	}
	return name, argument, name == "Ref" || strings.HasPrefix(name, "Fn::")
}

func (r *resolver) call(name string, argument any) (any, error) {
	switch name {
	case "Ref":
		id, _ := argument.(string)
		return r.ref(id)
	case "Condition":
		return r.condition(argument.(string))
	case "Fn::GetAtt":
		return r.getAtt(argument)
	case "Fn::Sub":
		return r.sub(argument)
	case "Fn::If":
		return r.choose(argument)
	}

	resolved, err := r.resolve(argument)
	if err != nil {
		return nil, err
	}
	args, isList := resolved.([]any)
	if !isList {
		return nil, fmt.Errorf("%s takes a list", name)
	}
	switch name {
	case "Fn::Join":
		return join(args)
	case "Fn::FindInMap":
		return r.findInMap(args)
	case "Fn::Equals":
		if len(args) != 2 {
			return nil, fmt.Errorf("Fn::Equals takes two values, not %d", len(args))
		}
		return text(args[0]) == text(args[1]), nil
	case "Fn::Not", "Fn::And", "Fn::Or":
		return logic(name, args)
	default:
		return nil, fmt.Errorf("the local stack does not know %s (scripts/local/cfn)", name)
	}
}

func (r *resolver) ref(id string) (any, error) {
	if v, ok := r.values[id]; ok {
		return v, nil
	}
	return r.attribute(id, "")
}

func (r *resolver) getAtt(argument any) (any, error) {
	switch v := argument.(type) {
	case string:
		id, name, _ := strings.Cut(v, ".")
		return r.attribute(id, name)
	case []any:
		if len(v) == 2 {
			return r.attribute(text(v[0]), text(v[1]))
		}
	}
	return nil, fmt.Errorf("Fn::GetAtt takes a resource and an attribute, not %v", argument)
}

func (r *resolver) attribute(id, name string) (any, error) {
	of, ok := r.attributes[id]
	if !ok {
		if _, declared := r.resources[id]; declared {
			return nil, fmt.Errorf("%s is a %s, which does not exist in the local stack", id, r.resources[id].Type)
		}
		return nil, fmt.Errorf("%q is neither a parameter nor a resource of the template", id)
	}
	if v, ok := of[name]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("the local stack does not know the attribute %s of %s, a %s (scripts/local/cfn)", name, id, r.resources[id].Type)
}

var placeholder = regexp.MustCompile(`\$\{([^}]*)\}`)

func (r *resolver) sub(argument any) (any, error) {
	format, local := "", map[string]any{}
	switch v := argument.(type) {
	case string:
		format = v
	case []any:
		if len(v) != 2 {
			return nil, fmt.Errorf("Fn::Sub takes a text and a map, not %v", v)
		}
		format = text(v[0])
		resolved, err := r.resolve(v[1])
		if err != nil {
			return nil, err
		}
		local, _ = resolved.(map[string]any)
	}
	var failed error
	out := placeholder.ReplaceAllStringFunc(format, func(match string) string {
		name := match[2 : len(match)-1]
		if strings.HasPrefix(name, "!") {
			return "${" + name[1:] + "}"
		}
		v, ok := local[name]
		if !ok {
			var err error
			if v, err = r.named(name); err != nil && failed == nil {
				failed = err
			}
		}
		return text(v)
	})
	return out, failed
}

// named is a name as Fn::Sub writes it: a parameter, a resource, or
// Resource.Attribute.
func (r *resolver) named(name string) (any, error) {
	id, attribute, dotted := strings.Cut(name, ".")
	if dotted {
		return r.attribute(id, attribute)
	}
	return r.ref(name)
}

func (r *resolver) choose(argument any) (any, error) {
	args, _ := argument.([]any)
	if len(args) != 3 {
		return nil, fmt.Errorf("Fn::If takes a condition and two values, not %v", argument)
	}
	holds, err := r.condition(text(args[0]))
	if err != nil {
		return nil, err
	}
	if holds {
		return r.resolve(args[1])
	}
	return r.resolve(args[2])
}

func (r *resolver) condition(name string) (bool, error) {
	definition, ok := r.conditions[name]
	if !ok {
		return false, fmt.Errorf("the template has no condition %q", name)
	}
	if slices.Contains(r.visiting, name) {
		return false, fmt.Errorf("condition %s depends on itself", name)
	}
	r.visiting = append(r.visiting, name)
	defer func() { r.visiting = r.visiting[:len(r.visiting)-1] }()

	v, err := r.resolve(definition)
	if err != nil {
		return false, fmt.Errorf("condition %s: %w", name, err)
	}
	holds, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("condition %s is neither true nor false", name)
	}
	return holds, nil
}

func (r *resolver) findInMap(args []any) (any, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("Fn::FindInMap takes a map and two keys, not %v", args)
	}
	var v any = r.mappings
	for _, key := range args {
		level, _ := v.(map[string]any)
		var ok bool
		if v, ok = level[text(key)]; !ok {
			return nil, fmt.Errorf("the template has no mapping %v", args)
		}
	}
	return v, nil
}

func join(args []any) (any, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("Fn::Join takes a separator and a list, not %v", args)
	}
	parts, ok := args[1].([]any)
	if !ok {
		return nil, fmt.Errorf("Fn::Join takes a list, not %v", args[1])
	}
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = text(part)
	}
	return strings.Join(texts, text(args[0])), nil
}

func logic(name string, args []any) (any, error) {
	var holds []bool
	for _, arg := range args {
		b, ok := arg.(bool)
		if !ok {
			return nil, fmt.Errorf("%s takes conditions, not %v", name, arg)
		}
		holds = append(holds, b)
	}
	switch {
	case name == "Fn::Not" && len(holds) == 1:
		return !holds[0], nil
	case name == "Fn::And":
		return !slices.Contains(holds, false), nil
	case name == "Fn::Or":
		return slices.Contains(holds, true), nil
	default:
		return nil, fmt.Errorf("%s takes one condition, not %d", name, len(holds))
	}
}

// text is a scalar as CloudFormation writes it where it needs a string.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case nil:
		return ""
	default:
		return fmt.Sprint(v)
	}
}
