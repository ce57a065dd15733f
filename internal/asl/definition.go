package asl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Definition is a state machine, or the inner one of a Map.
type Definition struct {
	Comment string
	StartAt string
	States  map[string]*State
	// ProcessorConfig is set inside a Map.
	ProcessorConfig *struct{ Mode string }

	unknown []string
}

// State is one state, of any type.
type State struct {
	Type    string
	Comment string
	Next    string
	End     bool

	Parameters     any
	ResultSelector any
	ResultPath     *string // nil: the result replaces the data; Pass without a result leaves them
	Result         any

	Resource           string
	TimeoutSeconds     *json.Number
	TimeoutSecondsPath string
	Retry              []Retrier
	Catch              []Catcher

	Choices []Rule
	Default string

	Seconds     *json.Number
	SecondsPath string

	ItemsPath      string
	ItemSelector   any
	ItemProcessor  *Definition
	MaxConcurrency int

	Error string
	Cause string

	unknown []string
}

// Retrier says how often and how late a failed task is tried again.
type Retrier struct {
	ErrorEquals     []string
	IntervalSeconds *int     // 1
	MaxAttempts     *int     // 3
	BackoffRate     *float64 // 2
	MaxDelaySeconds int      // 0: no limit
	JitterStrategy  string   // "NONE", "FULL"
}

// Catcher says where an error leads when it is not tried again.
type Catcher struct {
	ErrorEquals []string
	ResultPath  *string
	Next        string
}

// Rule is one rule of a Choice, or a part of one.
type Rule struct {
	And      []Rule
	Or       []Rule
	Not      *Rule
	Variable string
	Operator string // such as "StringEquals"
	Operand  any
	Next     string
}

// fields are those that a state of each type may have, beside Type and Comment.
var fields = map[string][]string{
	"Pass":    {"Next", "End", "Parameters", "Result", "ResultPath"},
	"Task":    {"Next", "End", "Parameters", "ResultSelector", "ResultPath", "Resource", "TimeoutSeconds", "TimeoutSecondsPath", "Retry", "Catch"},
	"Choice":  {"Choices", "Default"},
	"Wait":    {"Next", "End", "Seconds", "SecondsPath"},
	"Map":     {"Next", "End", "ResultSelector", "ResultPath", "Retry", "Catch", "ItemsPath", "ItemSelector", "ItemProcessor", "MaxConcurrency"},
	"Succeed": {},
	"Fail":    {"Error", "Cause"},
}

// Parse reads a definition. Fields and types that this package does not know
// are no error here: Lint reports them, and a Machine refuses them.
func Parse(text []byte) (*Definition, error) {
	d := new(Definition)
	if err := decode(text, d); err != nil {
		return nil, fmt.Errorf("asl: %w", err)
	}
	return d, nil
}

// decode reads exactly one JSON value; numbers keep their text.
func decode(text []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fmt.Errorf("more after the end of the JSON text")
	}
	return nil
}

// UnmarshalJSON notes fields that are not known.
func (d *Definition) UnmarshalJSON(text []byte) error {
	type plain Definition
	if err := decode(text, (*plain)(d)); err != nil {
		return err
	}
	var err error
	d.unknown, err = surplus(text, []string{"Comment", "StartAt", "States", "ProcessorConfig"})
	return err
}

// UnmarshalJSON notes fields that are not known for the state's type.
func (s *State) UnmarshalJSON(text []byte) error {
	type plain State
	if err := decode(text, (*plain)(s)); err != nil {
		return err
	}
	var err error
	s.unknown, err = surplus(text, append([]string{"Type", "Comment"}, fields[s.Type]...))
	return err
}

func surplus(text []byte, known []string) ([]string, error) {
	all := map[string]json.RawMessage{}
	if err := decode(text, &all); err != nil {
		return nil, err
	}
	var more []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(known, name) {
			more = append(more, name)
		}
	}
	return more, nil
}

// UnmarshalJSON takes the one field that is no other as the comparison.
func (r *Rule) UnmarshalJSON(text []byte) error {
	all := map[string]json.RawMessage{}
	if err := decode(text, &all); err != nil {
		return err
	}
	for name, value := range all {
		var into any
		switch name {
		case "And":
			into = &r.And
		case "Or":
			into = &r.Or
		case "Not":
			into = &r.Not
		case "Variable":
			into = &r.Variable
		case "Next":
			into = &r.Next
		case "Comment":
			continue
		default:
			if r.Operator != "" {
				return fmt.Errorf("a rule compares by %s and by %s", min(r.Operator, name), max(r.Operator, name))
			}
			r.Operator, into = name, &r.Operand
		}
		if err := decode(value, into); err != nil {
			return err
		}
	}
	return nil
}

// all calls f for every state of the definition and of those inside it, in the
// order of their names; path is where it stands: "Systems/System".
func (d *Definition) all(path string, f func(path string, in *Definition, s *State)) {
	for _, name := range slices.Sorted(maps.Keys(d.States)) {
		s := d.States[name]
		if s == nil {
			continue
		}
		f(path+name, d, s)
		if s.ItemProcessor != nil {
			s.ItemProcessor.all(path+name+"/", f)
		}
	}
}
