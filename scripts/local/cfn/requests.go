package cfn

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// addKey takes a key of KMS over. Its alias may come before it or after.
func (s *Stack) addKey(id string, properties map[string]any) error {
	var p struct{ KeySpec, KeyUsage string }
	if err := into(&p, properties); err != nil {
		return err
	}
	k := s.key(id)
	k.Spec, k.Usage = p.KeySpec, p.KeyUsage
	return nil
}

func (s *Stack) addAlias(r *resolver, id string, properties map[string]any) error {
	var p struct{ TargetKeyId string }
	if err := into(&p, properties); err != nil {
		return err
	}
	key, err := r.owner(p.TargetKeyId)
	if err != nil {
		return err
	}
	k := s.key(key)
	if k.Alias != "" {
		return fmt.Errorf("the local stack finds a key by its alias, and %s has two", key)
	}
	k.Alias = r.attributes[id][""]
	return nil
}

func (s *Stack) key(id string) *SigningKey {
	for i := range s.Keys {
		if s.Keys[i].ID == id {
			return &s.Keys[i]
		}
	}
	s.Keys = append(s.Keys, SigningKey{ID: id})
	return &s.Keys[len(s.Keys)-1]
}

// addMachine reads where the definition is. Logs, role and tracing exist in AWS
// only.
func (s *Stack) addMachine(r *resolver, id string, properties map[string]any) error {
	var p struct {
		StateMachineType        string
		DefinitionS3Location    struct{ Bucket, Key string }
		DefinitionSubstitutions map[string]string
	}
	if err := into(&p, properties); err != nil {
		return err
	}
	if p.StateMachineType != "" && p.StateMachineType != "STANDARD" {
		return fmt.Errorf("the local stack runs machines of type STANDARD only")
	}
	if p.DefinitionS3Location.Bucket != "local" {
		return fmt.Errorf("the definition of a machine must be a file of this checkout (DefinitionUri)")
	}
	s.Machines = append(s.Machines, Machine{
		ID: id, Name: r.attributes[id]["Name"], ARN: r.attributes[id]["Arn"],
		Definition: p.DefinitionS3Location.Key, Substitutions: p.DefinitionSubstitutions,
	})
	return nil
}

// addRule follows schedules. What waits for events of AWS services waits for
// nothing here.
func (s *Stack) addRule(r *resolver, id string, properties map[string]any) error {
	var p struct {
		ScheduleExpression string
		State              string
		Targets            []struct{ Arn, Input string }
	}
	if err := into(&p, properties); err != nil {
		return err
	}
	if p.ScheduleExpression == "" || p.State == "DISABLED" {
		return nil
	}
	every, err := rate(p.ScheduleExpression)
	if err != nil {
		return err
	}
	for _, t := range p.Targets {
		function, err := r.owner(t.Arn)
		if err != nil {
			return err
		}
		if r.resources[function].Type != "AWS::Lambda::Function" {
			return fmt.Errorf("the local stack lets a schedule call functions only")
		}
		if t.Input != "" && !json.Valid([]byte(t.Input)) {
			return fmt.Errorf("the input of a schedule must be JSON")
		}
		s.Schedules = append(s.Schedules, Schedule{ID: id, Function: functionName(function), Every: every, Input: t.Input})
	}
	return nil
}

var rates = regexp.MustCompile(`^rate\((\d+) (minute|hour|day)s?\)$`)

func rate(expression string) (time.Duration, error) {
	m := rates.FindStringSubmatch(expression)
	if m == nil {
		return 0, fmt.Errorf("the local stack knows rate(…) only, not %q", expression)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return 0, err
	}
	return time.Duration(n) * map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[m[2]], nil
}
