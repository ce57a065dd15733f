package asl

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// A path is a JSONPath of the kinds that the definitions use: members, list
// elements and, for all elements, [*]. "$" is the data, "$$" the context object.
type path struct {
	text    string
	context bool
	steps   []any // string, int, or every{}
}

type every struct{}

func parsePath(text string) (path, error) {
	p := path{text: text}
	rest, ok := strings.CutPrefix(text, "$")
	if !ok {
		return p, fmt.Errorf("the path %q does not begin with $", text)
	}
	rest, p.context = strings.CutPrefix(rest, "$")
	for rest != "" {
		var step string
		switch rest[0] {
		case '.':
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			step, rest = rest[1:1+end], rest[1+end:]
			if step == "" || strings.ContainsAny(step, " ,'\"()*?@]$") {
				return p, fmt.Errorf("the path %q has a step that is not known here", text)
			}
			p.steps = append(p.steps, step)
		case '[':
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return p, fmt.Errorf("the path %q misses a ]", text)
			}
			step, rest = rest[1:end], rest[end+1:]
			n, err := strconv.Atoi(step)
			switch {
			case step == "*":
				p.steps = append(p.steps, every{})
			case err == nil && n >= 0:
				p.steps = append(p.steps, n)
			default:
				return p, fmt.Errorf("the path %q has an index that is not known here", text)
			}
		default:
			return p, fmt.Errorf("the path %q is not known here", text)
		}
	}
	return p, nil
}

// get finds the value; with [*] it is the list of all values.
func (p path) get(data, context any) (any, bool) {
	if p.context {
		data = context
	}
	return follow(data, p.steps)
}

func follow(v any, steps []any) (any, bool) {
	for i, step := range steps {
		switch step := step.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				return nil, false
			}
			if v, ok = m[step]; !ok {
				return nil, false
			}
		case int:
			l, ok := v.([]any)
			if !ok || step >= len(l) {
				return nil, false
			}
			v = l[step]
		case every:
			l, ok := v.([]any)
			if !ok {
				return nil, false
			}
			found := []any{}
			for _, e := range l {
				if e, ok := follow(e, steps[i+1:]); ok {
					found = append(found, e)
				}
			}
			return found, true
		}
	}
	return v, true
}

// put gives a copy of data with the value at the path, whose members are made
// where they are missing.
func (p path) put(data, value any) (any, error) { return place(data, p.steps, value, p.text) }

func place(data any, steps []any, value any, text string) (any, error) {
	if len(steps) == 0 {
		return value, nil
	}
	name, ok := steps[0].(string)
	if !ok {
		return nil, fmt.Errorf("a ResultPath must not go through a list: %s", text)
	}
	m, ok := data.(map[string]any)
	if !ok && data != nil {
		return nil, fmt.Errorf("the ResultPath %s does not fit the data", text)
	}
	copied := map[string]any{}
	maps.Copy(copied, m)
	inner, err := place(copied[name], steps[1:], value, text)
	if err != nil {
		return nil, err
	}
	copied[name] = inner
	return copied, nil
}

// number reads a JSON number.
func number(v any) (float64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := n.Float64()
	return f, err == nil
}
