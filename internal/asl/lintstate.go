package asl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// linter judges one state.
type linter struct {
	path     string
	rules    Rules
	findings []string
}

func (l *linter) complain(format string, args ...any) {
	l.findings = append(l.findings, l.path+": "+fmt.Sprintf(format, args...))
}

func (l *linter) state(s *State) {
	if len(l.path[strings.LastIndex(l.path, "/")+1:]) > 80 {
		l.complain("a name has at most 80 characters")
	}
	switch s.Type {
	case "Task":
		l.task(s)
		l.errors(s)
	case "Map":
		l.mapState(s)
		l.errors(s)
	case "Choice":
		if s.Default == "" {
			l.complain("has no Default: a value that nobody thought of would end the execution")
		}
		for _, r := range s.Choices {
			l.rule(r, true)
		}
	case "Wait":
		n, ok := 0.0, false
		if s.Seconds != nil {
			n, ok = number(*s.Seconds)
		}
		if (s.SecondsPath != "") == (s.Seconds != nil) || s.Seconds != nil && (!ok || n < 1) {
			l.complain("waits either Seconds, at least 1, or SecondsPath")
		}
	case "Pass":
		if s.Result != nil && s.Parameters != nil {
			l.complain("has Result and Parameters")
		}
	}
	for _, t := range s.templates() {
		dynamic(t, "", func(_, text string) {
			for _, p := range reads(text) {
				if strings.Contains(strings.ReplaceAll(p, "[*]", ""), "[") {
					l.complain("%s: the local engine gives a list for a path through a list; use States.ArrayGetItem", p)
				}
			}
		})
	}
}

func (l *linter) task(s *State) {
	if s.Comment == "" {
		l.complain("has no Comment")
	}
	if (s.TimeoutSeconds == nil) == (s.TimeoutSecondsPath == "") {
		l.complain("needs TimeoutSeconds or TimeoutSecondsPath")
	}
	if s.TimeoutSeconds != nil {
		if n, ok := number(*s.TimeoutSeconds); !ok || n < 1 || n > 99_999_999 {
			l.complain("TimeoutSeconds must lie between 1 and 99999999")
		}
	}
	l.selects(s)
	p, _ := s.Parameters.(map[string]any)
	switch s.Resource {
	case invoke, callback:
		l.needs(p, "FunctionName")
		payload, ok := p["Payload"].(map[string]any)
		if !ok {
			l.complain("its Payload must be written out, so that it can be read what is sent")
		}
		l.vocabulary(payload, l.rules.Payload, "a payload")
		if s.Resource == callback && payload["token.$"] != "$$.Task.Token" {
			l.complain("hands on no task token")
		}
	case nested:
		l.needs(p, "StateMachineArn", "Name")
		input, ok := p["Input"].(map[string]any)
		if !ok {
			l.complain("its Input must be written out")
		}
		l.vocabulary(input, l.rules.Input, "the input of an execution")
	default:
		if strings.Contains(s.Resource, "aws-sdk:sfn") {
			l.complain("the local engine has no aws-sdk:sfn: call Step Functions from a function")
			return
		}
		l.complain("the resource %q is not used here", s.Resource)
	}
}

// selects: what a task or Map returns is cut down and put where it is looked for.
func (l *linter) selects(s *State) {
	if s.ResultSelector == nil {
		l.complain("has no ResultSelector: all that the service says would stay in the state data")
	}
	if s.ResultPath == nil {
		l.complain("has no ResultPath: its result would replace the state data")
	}
}

func (l *linter) needs(p map[string]any, names ...string) {
	for _, name := range names {
		if p[name] == nil && p[name+".$"] == nil {
			l.complain("has no %s", name)
		}
	}
}

func (l *linter) vocabulary(sent map[string]any, known []string, where string) {
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		if !slices.Contains(known, strings.TrimSuffix(name, ".$")) {
			l.complain("%q is no name for %s", strings.TrimSuffix(name, ".$"), where)
		}
		if _, ok := sent[name].(map[string]any); ok {
			l.complain("%q holds more than a value", name)
		}
	}
}

func (l *linter) mapState(s *State) {
	if s.Comment == "" {
		l.complain("has no Comment")
	}
	if s.ItemsPath == "" || strings.Contains(s.ItemsPath, "[") {
		l.complain("needs an ItemsPath that names a list, not an element of one: the local engine would wrap it")
	}
	if c := s.ItemProcessor.ProcessorConfig; c == nil || c.Mode != "INLINE" {
		l.complain("needs the processor mode INLINE")
	}
	l.selects(s)
}

var timeouts = []string{"States.Timeout", "States.HeartbeatTimeout"}

// errors: what may go wrong is tried again, and then caught.
func (l *linter) errors(s *State) {
	var retried, caught [][]string
	for _, r := range s.Retry {
		retried = append(retried, r.ErrorEquals)
		if or(r.MaxAttempts, 3) > 0 && or(r.BackoffRate, 2) < 1 || or(r.IntervalSeconds, 1) < 1 {
			l.complain("a Retry needs an interval of at least 1 s and a BackoffRate of at least 1")
		}
	}
	for _, c := range s.Catch {
		caught = append(caught, c.ErrorEquals)
		if c.ResultPath == nil {
			l.complain("a Catch has no ResultPath: the error would replace the state data")
		}
		if strings.HasSuffix("/"+l.path, "/"+c.Next) {
			l.complain("a Catch leads to the state itself: the local engine goes on to Next instead")
		}
	}
	for what, lists := range map[string][][]string{"Retry": retried, "Catch": caught} {
		if len(lists) == 0 || !slices.Equal(lists[len(lists)-1], []string{"States.ALL"}) {
			l.complain("its last %s must be for States.ALL", what)
		}
		for i, names := range lists {
			if slices.Contains(names, "States.ALL") && (len(names) > 1 || i < len(lists)-1) {
				l.complain("States.ALL must stand alone, in the last %s", what)
			}
			if slices.Contains(names, timeouts[0]) != slices.Contains(names, timeouts[1]) {
				l.complain("a %s names one of States.Timeout and States.HeartbeatTimeout: the local engine reports either as the first", what)
			}
		}
	}
	slices.Sort(l.findings)
}

// rule judges a rule of a Choice; top: it must lead somewhere.
func (l *linter) rule(r Rule, top bool) {
	if (r.Next != "") != top {
		l.complain("a rule leads somewhere, a part of one does not")
	}
	parts := slices.Concat(r.And, r.Or)
	if r.Not != nil {
		parts = append(parts, *r.Not)
	}
	for _, p := range parts {
		l.rule(p, false)
	}
	switch {
	case len(parts) > 0:
		if r.Variable != "" || r.Operator != "" {
			l.complain("a rule both compares and combines")
		}
	case strings.HasPrefix(r.Variable, "$$"):
		l.complain("%s: the local engine compares nothing of the context object; copy it into the data first", r.Variable)
	case strings.HasSuffix(r.Operator, "Path"):
		l.complain("%s is not used here", r.Operator)
	case r.Operator != "IsPresent" && comparisons[r.Operator] == nil:
		l.complain("the comparison %q is not used here", r.Operator)
	case strings.Contains(r.Variable, "[") && r.Operator != "IsPresent":
		l.complain("%s: only IsPresent looks into lists", r.Variable)
	}
}
