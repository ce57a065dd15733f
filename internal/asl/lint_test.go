package asl_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/asl"
)

const machines = "../../statemachines"

// definition reads a state machine of the project.
func definition(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(machines, name+".asl.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLint_machines(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(machines + "/*.json")
	if err != nil || len(files) < 2 {
		t.Fatalf("the state machines: %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, finding := range asl.Lint(text, asl.House) {
			t.Errorf("%s: %s", filepath.Base(file), finding)
		}
	}
}

// sound is a small machine without fault; the tests break it.
const sound = `{
  "StartAt": "Call",
  "States": {
    "Call": {
      "Type": "Task", "Comment": "Calls.", "Resource": "arn:aws:states:::lambda:invoke",
      "Parameters": {"FunctionName": "${StepsFunctionArn}", "Payload": {"do": "x", "request.$": "$$.Execution.Name"}},
      "ResultSelector": {"reply.$": "$.Payload"}, "ResultPath": "$.called", "TimeoutSeconds": 10,
      "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}],
      "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "Failed"}],
      "Next": "Called"
    },
    "Failed": {"Type": "Pass", "Parameters": {"error.$": "$.failed.Error"}, "ResultPath": "$.failed", "Next": "End"},
    "Called": {
      "Type": "Choice",
      "Choices": [
        {"Variable": "$.called.reply.seconds", "IsPresent": false, "Next": "End"},
        {"Variable": "$.called.reply.seconds", "NumericGreaterThanEquals": 1, "Next": "Pause"},
        {"Variable": "$.called.reply.systems[0]", "IsPresent": true, "Next": "Each"}
      ],
      "Default": "End"
    },
    "Pause": {"Type": "Wait", "SecondsPath": "$.called.reply.seconds", "Next": "Call"},
    "Each": {
      "Type": "Map", "Comment": "Each.", "ItemsPath": "$.called.reply.systems", "MaxConcurrency": 2,
      "ItemProcessor": {"ProcessorConfig": {"Mode": "INLINE"}, "StartAt": "One", "States": {
        "One": {
          "Type": "Task", "Comment": "One.", "Resource": "arn:aws:states:::states:startExecution.sync:2",
          "Parameters": {"StateMachineArn": "${SystemMachineArn}", "Name.$": "$.name", "Input": {"request.$": "$.request"}},
          "ResultSelector": {"ended": true}, "ResultPath": "$.one", "TimeoutSeconds": 10,
          "Retry": [{"ErrorEquals": ["States.ALL"]}],
          "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "Broken"}], "End": true
        },
        "Broken": {"Type": "Pass", "End": true}}},
      "ResultSelector": {"broken.$": "States.ArrayContains($[*].ended, false)"}, "ResultPath": "$.each",
      "Retry": [{"ErrorEquals": ["States.ALL"]}], "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "Failed"}],
      "Next": "End"
    },
    "End": {"Type": "Pass", "Result": {}, "End": true}
  }
}`

var small = asl.Rules{
	Payload: []string{"do", "request"}, Input: []string{"request"},
	Items:         map[string][]string{"Each": {"name", "request"}},
	Substitutions: []string{"StepsFunctionArn", "SystemMachineArn"},
}

func TestLint_catches(t *testing.T) {
	t.Parallel()
	if findings := asl.Lint([]byte(sound), small); len(findings) > 0 {
		t.Fatalf("the sound machine: %q", findings)
	}
	for name, tt := range map[string]struct{ old, new, want string }{
		"no JSON":                     {`"StartAt"`, `StartAt`, "invalid character"},
		"two definitions":             {`{"Type": "Pass", "Result": {}, "End": true}`, `{"Type": "Pass", "Result": {}, "End": true}}} {"x": {`, "more after the end"},
		"a start that is not there":   {`"StartAt": "Call"`, `"StartAt": "Cal"`, "StartAt names no state"},
		"a Next that is not there":    {`"Next": "Called"`, `"Next": "Caled"`, `Call: leads to "Caled"`},
		"a Default that is not there": {`"Default": "End"`, `"Default": "Ende"`, `Called: leads to "Ende"`},
		"a Catch that leads nowhere": {`"ResultPath": "$.failed", "Next": "Failed"}],
      "Next": "Called"`, `"ResultPath": "$.failed", "Next": "Fail"}],
      "Next": "Called"`, `Call: leads to "Fail"`},
		"a way out of a Map":            {`"Next": "Broken"`, `"Next": "End"`, `Each/One: leads to "End"`},
		"neither Next nor End":          {`"SecondsPath": "$.called.reply.seconds", "Next": "Call"`, `"SecondsPath": "$.called.reply.seconds"`, "Pause: needs either Next or End"},
		"Next and End":                  {`"Result": {}, "End": true`, `"Result": {}, "End": true, "Next": "Call"`, "End: needs either Next or End"},
		"a state that nothing leads to": {`"End": {"Type"`, `"Lost": {"Type": "Succeed"}, "End": {"Type"`, "Lost: nothing leads to it"},
		"no end":                        {`"Result": {}, "End": true`, `"Result": {}, "Next": "Call"`, "no state that is reached ends"},
		"Assign": {`"TimeoutSeconds": 10,
      "Retry"`, `"TimeoutSeconds": 10, "Assign": {"x": 1},
      "Retry"`, "Call: a Task has no Assign"},
		"JSONata": {`{
  "StartAt"`, `{
  "QueryLanguage": "JSONata", "StartAt"`, "QueryLanguage, which is not used here"},
		"JSONata of one state":   {`"Type": "Wait"`, `"Type": "Wait", "QueryLanguage": "JSONata"`, "Pause: a Wait has no QueryLanguage"},
		"Parallel":               {`{"Type": "Pass", "Result": {}, "End": true}`, `{"Type": "Parallel", "End": true}`, `the type "Parallel" is not used`},
		"a path that is no path": {`"$.failed.Error"`, `"$.failed..Error"`, "has a step that is not known"},
		"a filter":               {`"$.failed.Error"`, `"$.failed[?(@.x)]"`, "is not known here"},
		"an unknown function":    {`States.ArrayContains(`, `States.ArrayPartition(`, `"States.ArrayPartition" is not known`},
		"no time-out":            {`"$.called", "TimeoutSeconds": 10`, `"$.called"`, "Call: needs TimeoutSeconds"},
		"a time-out of nothing":  {`"$.called", "TimeoutSeconds": 10`, `"$.called", "TimeoutSeconds": 0`, "between 1 and"},
		"a computed time-out":    {`"$.called", "TimeoutSeconds": 10`, `"$.called", "TimeoutSecondsPath": "$.limit"`, "Call: $.limit may be missing"},
		"no Retry":               {`"Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}],`, ``, "its last Retry must be for States.ALL"},
		"a Retry of some errors": {`["States.ALL"], "IntervalSeconds"`, `["Unavailable"], "IntervalSeconds"`, "its last Retry must be for States.ALL"},
		"States.ALL with others": {`["States.ALL"], "IntervalSeconds"`, `["States.ALL", "x"], "IntervalSeconds"`, "States.ALL must stand alone"},
		"States.ALL first":       {`"Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1}]`, `"Retry": [{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["States.ALL"]}]`, "States.ALL must stand alone"},
		"a Retry without pause":  {`"IntervalSeconds": 1`, `"IntervalSeconds": 0`, "interval of at least 1 s"},
		"no Catch": {`"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "Failed"}],
      "Next": "Called"`, `"Next": "Called"`, "Call: its last Catch must be for States.ALL"},
		"a Map without Catch": {`"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "Failed"}],
      "Next": "End"`, `"Next": "End"`, "Each: its last Catch must be"},
		"a Catch that replaces the data": {`"ResultPath": "$.failed", "Next": "Broken"`, `"Next": "Broken"`, "Each/One: a Catch has no ResultPath"},
		"a Catch to the state itself":    {`"ResultPath": "$.failed", "Next": "Broken"`, `"ResultPath": "$.failed", "Next": "One"`, "leads to the state itself"},
		"a heartbeat alone":              {`"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "Broken"}]`, `"Catch": [{"ErrorEquals": ["States.HeartbeatTimeout"], "ResultPath": "$.failed", "Next": "Broken"}, {"ErrorEquals": ["States.ALL"], "ResultPath": "$.failed", "Next": "Broken"}]`, "names one of States.Timeout"},
		"no Default": {`,
      "Default": "End"`, ``, "Called: has no Default"},
		"a comparison of nothing":         {`{"Variable": "$.called.reply.seconds", "IsPresent": false, "Next": "End"},`, ``, "Called: $.called.reply.seconds may be missing"},
		"a pause of nothing":              {`"NumericGreaterThanEquals": 1`, `"NumericGreaterThanEquals": 0`, "Pause: $.called.reply.seconds may be less than 1"},
		"a parameter that may be missing": {`"$$.Execution.Name"`, `"$.request"`, "Call: $.request may be missing"},
		"a guard that is overwritten":     {`"ResultPath": "$.failed", "Next": "End"}`, `"ResultPath": "$.failed", "Next": "Again"}, "Again": {"Type": "Pass", "Parameters": {"x.$": "$.failed.Error"}, "Next": "End"}`, "Again: $.failed.Error may be missing"},
		"the context object in a rule":    {`"Variable": "$.called.reply.seconds", "NumericGreaterThanEquals": 1`, `"Variable": "$$.State.EnteredTime", "StringEquals": "x"`, "compares nothing of the context object"},
		"a comparison of two paths":       {`"NumericGreaterThanEquals": 1`, `"NumericGreaterThanPath": "$.x"`, "NumericGreaterThanPath is not used"},
		"a comparison of times":           {`"NumericGreaterThanEquals": 1`, `"TimestampLessThan": "x"`, `"TimestampLessThan" is not used`},
		"an element of a list":            {`"$.failed.Error"`, `"$.called.reply.systems[0]"`, "use States.ArrayGetItem"},
		"an element that may be missing":  {`"$.failed.Error"`, `"States.ArrayGetItem($.failed.Error, 0)"`, "may not exist"},
		"items in a list":                 {`"ItemsPath": "$.called.reply.systems"`, `"ItemsPath": "$.called.reply.systems[0].x"`, "needs an ItemsPath"},
		"distributed":                     {`"INLINE"`, `"DISTRIBUTED"`, "needs the processor mode INLINE"},
		"an item without what it needs":   {`"Name.$": "$.name"`, `"Name.$": "$.nom"`, "Each/One: $.nom may be missing"},
		"an execution without a name":     {`"Name.$": "$.name", `, ``, "Each/One: has no Name"},
		"aws-sdk:sfn":                     {`arn:aws:states:::lambda:invoke"`, `arn:aws:states:::aws-sdk:sfn:startExecution"`, "has no aws-sdk:sfn"},
		"another service":                 {`arn:aws:states:::lambda:invoke"`, `arn:aws:states:::sqs:sendMessage"`, `sqs:sendMessage" is not used`},
		"a callback without token":        {`arn:aws:states:::lambda:invoke"`, `arn:aws:states:::lambda:invoke.waitForTaskToken"`, "hands on no task token"},
		"a word that is not ours":         {`"do": "x"`, `"email.$": "$$.Execution.Name"`, `"email" is no name for a payload`},
		"all the data as input":           {`"Input": {"request.$": "$.request"}`, `"Input.$": "$"`, "its Input must be written out"},
		"a word in an input":              {`"Input": {"request.$": "$.request"}`, `"Input": {"name.$": "$.name"}`, `"name" is no name for the input`},
		"all the data as payload":         {`"Payload": {"do": "x", "request.$": "$$.Execution.Name"}`, `"Payload.$": "$"`, "its Payload must be written out"},
		"something within a payload":      {`"do": "x"`, `"do": {"email": "x"}`, `"do" holds more than a value`},
		"no ResultSelector":               {`"ResultSelector": {"ended": true}, `, ``, "has no ResultSelector"},
		"no ResultPath":                   {`"ResultPath": "$.called", `, ``, "has no ResultPath"},
		"no Comment":                      {`"Comment": "Calls.", `, ``, "Call: has no Comment"},
		"a placeholder that is not known": {`"FunctionName": "${StepsFunctionArn}"`, `"FunctionName": "${StepFunctionArn}"`, "fills no ${StepFunctionArn}"},
		"a long name":                     {`Pause`, strings.Repeat("P", 81), "at most 80"},
		"a rule with two comparisons":     {`"NumericGreaterThanEquals": 1`, `"NumericGreaterThanEquals": 1, "IsPresent": true`, "compares by IsPresent and by"},
		"a rule that leads nowhere":       {`"NumericGreaterThanEquals": 1, "Next": "Pause"`, `"NumericGreaterThanEquals": 1`, "a rule leads somewhere"},
		"a wait of nothing":               {`"SecondsPath": "$.called.reply.seconds"`, `"Seconds": 0`, "waits either Seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broken := strings.ReplaceAll(sound, tt.old, tt.new)
			if broken == sound {
				t.Fatalf("%q does not stand in the sound machine", tt.old)
			}
			findings := asl.Lint([]byte(broken), small)
			if !strings.Contains(strings.Join(findings, "\n"), tt.want) {
				t.Errorf("found %q, want %q among it", findings, tt.want)
			}
		})
	}
}

// A guard counts only on the ways that it stands on.
func TestLint_everyWay(t *testing.T) {
	t.Parallel()
	const text = `{"StartAt":"A","States":{
	  "A":{"Type":"Choice","Choices":[{"Variable":"$.x","IsPresent":true,"Next":"B"},{"Variable":"$.y","IsPresent":true,"Next":"B"}],"Default":"C"},
	  "B":{"Type":"Pass","Parameters":{"x.$":"$.x"},"Next":"C"},
	  "C":{"Type":"Succeed"}}}`
	findings := asl.Lint([]byte(text), asl.Rules{})
	if len(findings) != 1 || !strings.Contains(findings[0], "B: $.x may be missing") {
		t.Errorf("found %q", findings)
	}
}
