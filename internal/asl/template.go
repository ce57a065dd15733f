package asl

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// fill evaluates a payload template: members whose names end in ".$" are paths
// or intrinsic functions.
func fill(template, data, context any) (any, error) {
	switch t := template.(type) {
	case map[string]any:
		out := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(t)) {
			v, err := fillMember(name, t[name], data, context)
			if err != nil {
				return nil, err
			}
			out[strings.TrimSuffix(name, ".$")] = v
		}
		return out, nil
	case []any:
		out := make([]any, len(t))
		for i, e := range t {
			v, err := fill(e, data, context)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	}
	return template, nil
}

func fillMember(name string, value, data, context any) (any, error) {
	if !strings.HasSuffix(name, ".$") {
		return fill(value, data, context)
	}
	text, ok := value.(string)
	if !ok {
		return nil, fmt.Errorf("%s must be a path", name)
	}
	return evaluate(text, data, context)
}

// evaluate reads a path or calls an intrinsic function.
func evaluate(text string, data, context any) (any, error) {
	name, args, err := parseCall(text)
	if err != nil {
		return nil, err
	}
	if name == "" {
		p, err := parsePath(text)
		if err != nil {
			return nil, err
		}
		v, ok := p.get(data, context)
		if !ok {
			return nil, fmt.Errorf("the path %s is not in the data", text)
		}
		return v, nil
	}
	values := make([]any, len(args))
	for i, a := range args {
		if values[i], err = argument(a, data, context); err != nil {
			return nil, err
		}
	}
	return intrinsics[name](values)
}

func argument(text string, data, context any) (any, error) {
	if quoted, ok := strings.CutPrefix(text, "'"); ok {
		return strings.TrimSuffix(quoted, "'"), nil
	}
	if strings.HasPrefix(text, "$") {
		return evaluate(text, data, context)
	}
	var v any
	err := decode([]byte(text), &v)
	return v, err
}

// intrinsics are the functions that the definitions use.
// https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html
var intrinsics = map[string]func([]any) (any, error){
	"States.ArrayContains": func(args []any) (any, error) {
		if l, ok := first(args).([]any); ok && len(args) == 2 {
			return slices.ContainsFunc(l, func(e any) bool { return reflect.DeepEqual(e, args[1]) }), nil
		}
		return nil, fmt.Errorf("States.ArrayContains takes a list and a value")
	},
	"States.ArrayGetItem": func(args []any) (any, error) {
		if l, ok := first(args).([]any); ok && len(args) == 2 {
			if n, ok := number(args[1]); ok && n >= 0 && int(n) < len(l) {
				return l[int(n)], nil
			}
		}
		return nil, fmt.Errorf("States.ArrayGetItem takes a list and the index of one of its elements")
	},
	"States.Format": func(args []any) (any, error) {
		text, ok := first(args).(string)
		if !ok || strings.Count(text, "{}") != len(args)-1 {
			return nil, fmt.Errorf("States.Format takes a text and a value for each {}")
		}
		for _, a := range args[1:] {
			s, ok := a.(string)
			if !ok {
				s = encode(a)
			}
			text = strings.Replace(text, "{}", s, 1)
		}
		return text, nil
	},
}

func first(args []any) any {
	if len(args) == 0 {
		return nil
	}
	return args[0]
}

// parseCall takes "States.F(a, b)" apart; name is empty when it is a path.
func parseCall(text string) (name string, args []string, err error) {
	name, rest, ok := strings.Cut(text, "(")
	if !ok {
		if strings.HasPrefix(text, "States.") {
			return "", nil, fmt.Errorf("%q is no call", text)
		}
		return "", nil, nil
	}
	if intrinsics[name] == nil {
		return "", nil, fmt.Errorf("the function %q is not known here", name)
	}
	rest, ok = strings.CutSuffix(rest, ")")
	if !ok || strings.Contains(strings.ReplaceAll(rest, "[*]", ""), "(") {
		return "", nil, fmt.Errorf("%q is not understood", text)
	}
	quoted, start := false, 0
	for i, c := range rest {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == ',' && !quoted:
			args, start = append(args, strings.TrimSpace(rest[start:i])), i+1
		}
	}
	return name, append(args, strings.TrimSpace(rest[start:])), nil
}

// encode writes a value as JSON; values come from JSON, so it cannot fail.
func encode(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("asl: encoding a value of JSON: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}
