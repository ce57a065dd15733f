package cfn_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/emulator"
)

// expanded is the real template.
func expanded(t *testing.T) []byte {
	t.Helper()
	checkout, err := emulator.FindCheckout()
	if err != nil {
		t.Fatal(err)
	}
	venv, err := emulator.OpenVenv(checkout.Local())
	if err != nil {
		t.Fatal(err)
	}
	template, err := emulator.ReadTemplate(t.Context(), checkout, venv, nil)
	if err != nil {
		t.Fatal(err)
	}
	return template
}

// What the architecture says of the template, whatever else it declares.
func TestResolve_template(t *testing.T) {
	t.Parallel()
	s, err := cfn.Resolve(expanded(t), cfn.Options{Parameters: map[string]string{"ThrottleRate": "1000"}})
	if err != nil {
		t.Fatal(err)
	}

	for _, want := range []cfn.Route{
		{Method: "ANY", Path: "$default", Function: "api"},
		{Method: "GET", Path: "/avow.js", Function: "collect"},
		{Method: "POST", Path: "/beta/public/{proxy+}", Function: "collect"},
		{Method: "POST", Path: "/public/{proxy+}", Function: "collect"},
	} {
		if !slices.Contains(s.API.Routes, want) {
			t.Errorf("no route %+v in %+v", want, s.API.Routes)
		}
	}
	if s.API.CORS == nil || !slices.Contains(s.API.CORS.AllowHeaders, "ApiKey") || s.API.CORS.MaxAge == 0 {
		t.Errorf("CORS: %+v", s.API.CORS)
	}
	if got := s.API.Throttles[""]; got.Rate != 1000 || got.Burst == 0 {
		t.Errorf("throttle: %+v, want the rate of the parameter", got)
	}

	i := slices.IndexFunc(s.Functions, func(f cfn.Function) bool { return f.Name == "collect" })
	if i < 0 {
		t.Fatalf("no function collect in %+v", s.Functions)
	}
	collect := s.Functions[i]
	for name, want := range map[string]string{
		"EVENTS_TABLE":     "avow-EventsTable",
		"PROOFS_BUCKET":    "avow-proofsbucket",
		"PSEUDONYM_SECRET": "arn:aws:secretsmanager:eu-central-1:000000000000:secret:avow-PseudonymSecret",
	} {
		if collect.Env[name] != want {
			t.Errorf("collect's %s is %q, want %q", name, collect.Env[name], want)
		}
	}
	if collect.ID != "CollectFunction" || collect.Timeout == 0 || collect.Memory == 0 {
		t.Errorf("collect: %+v", collect)
	}

	i = slices.IndexFunc(s.Tables, func(t cfn.Table) bool { return t.ID == "EventsTable" })
	if i < 0 || s.Tables[i].StreamSpecification.StreamViewType != "NEW_AND_OLD_IMAGES" || len(s.Tables[i].GlobalSecondaryIndexes) == 0 {
		t.Errorf("EventsTable: %+v", s.Tables)
	}
	if len(s.Sources) == 0 || s.Sources[0].Function != "project" || s.Sources[0].Table != "avow-EventsTable" ||
		s.Sources[0].OnFailureQueue == "" || !s.Sources[0].ReportBatchFailures || s.Sources[0].MaximumRetries <= 0 {
		t.Errorf("sources: %+v", s.Sources)
	}
	if len(s.Buckets) == 0 || !s.Buckets[0].Versioned || len(s.Queues) == 0 || len(s.Secrets) == 0 {
		t.Errorf("buckets %+v, queues %+v, secrets %+v", s.Buckets, s.Queues, s.Secrets)
	}
}

// What data-subject requests need of the template.
func TestResolve_requests(t *testing.T) {
	t.Parallel()
	s, err := cfn.Resolve(expanded(t), cfn.Options{StackName: "t1"})
	if err != nil {
		t.Fatal(err)
	}
	const states, lambda = "arn:aws:states:eu-central-1:000000000000:stateMachine:", "arn:aws:lambda:eu-central-1:000000000000:function:"
	functions := map[string]string{"StepsFunctionArn": lambda + "t1-StepsFunction", "EraseFunctionArn": lambda + "t1-EraseFunction"}
	want := []cfn.Machine{
		{ID: "RequestMachine", Name: "t1-request", ARN: states + "t1-request", Definition: "statemachines/request.asl.json", Substitutions: map[string]string{
			"StepsFunctionArn": functions["StepsFunctionArn"], "EraseFunctionArn": functions["EraseFunctionArn"], "SystemMachineArn": states + "t1-system",
		}},
		{ID: "SystemMachine", Name: "t1-system", ARN: states + "t1-system", Definition: "statemachines/system.asl.json", Substitutions: functions},
	}
	if diff := cmp.Diff(want, s.Machines); diff != "" {
		t.Errorf("machines: %s", diff)
	}
	if diff := cmp.Diff([]cfn.Schedule{
		{ID: "EraseFunctionTidy", Function: "erase", Every: time.Hour, Input: `{"do":"tidy"}`},
		{ID: "PropagateFunctionClock", Function: "propagate", Every: time.Minute},
		{ID: "SweepFunctionClock", Function: "sweep", Every: 5 * time.Minute},
	}, s.Schedules); diff != "" {
		t.Errorf("schedules: %s", diff)
	}
	if diff := cmp.Diff([]cfn.SigningKey{{ID: "SigningKey", Alias: "alias/t1-signing", Spec: "ECC_NIST_EDWARDS25519", Usage: "SIGN_VERIFY"}}, s.Keys); diff != "" {
		t.Errorf("keys: %s", diff)
	}
	if diff := cmp.Diff([]cfn.Sender{{ID: "MailConfigurationSet", Name: "t1-MailConfigurationSet"}}, s.Senders); diff != "" {
		t.Errorf("senders: %s", diff)
	}
	for _, f := range s.Functions {
		// A circle in AWS, unless both are written out alike.
		if arn := f.Env["REQUEST_MACHINE"]; arn != "" && arn != s.Machines[0].ARN {
			t.Errorf("%s looks for the machine %s", f.ID, arn)
		}
		if f.PhysicalName() != "t1-"+f.ID {
			t.Errorf("%s is called %s", f.ID, f.PhysicalName())
		}
	}
	i := slices.IndexFunc(s.Tables, func(t cfn.Table) bool { return t.ID == "RequestsTable" })
	if i < 0 || s.Tables[i].TimeToLiveSpecification.AttributeName != "expires" {
		t.Errorf("RequestsTable: %+v", s.Tables)
	}
}

func TestResolve_requestsRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ resource, want string }{
		"cron":       {`"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "cron(0 5 * * ? *)"}`, "knows rate(…) only"},
		"a machine":  {`"Type": "AWS::StepFunctions::StateMachine", "Properties": {"DefinitionString": "{}"}`, "must be a file of this checkout"},
		"an express": {`"Type": "AWS::StepFunctions::StateMachine", "Properties": {"StateMachineType": "EXPRESS"}`, "type STANDARD only"},
		"no input": {`"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(1 hour)", "Targets": [{"Arn": {"Fn::GetAtt": ["FFunction", "Arn"]}, "Input": "{"}]}`,
			"must be JSON"},
		"no function": {`"Type": "AWS::Events::Rule", "Properties": {"ScheduleExpression": "rate(1 hour)", "Targets": [{"Arn": {"Fn::GetAtt": ["Q", "Arn"]}}]}}, "Q": {"Type": "AWS::SQS::Queue", "Properties": {}`,
			"functions only"},
	} {
		_, err := cfn.Resolve([]byte(`{"Resources": {"R": {`+tt.resource+`}, "FFunction": {"Type": "AWS::Lambda::Function", "Properties": {}}}}`), cfn.Options{})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
	s, err := cfn.Resolve([]byte(`{"Resources": {"R": {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"source": ["aws.ses"]}}}}}`), cfn.Options{})
	if err != nil || len(s.Schedules) != 0 {
		t.Errorf("a rule for events: %v, %v", s, err)
	}
}

// environment resolves one value as a variable of a function.
func environment(t *testing.T, value string, parameters map[string]string) (string, error) {
	t.Helper()
	template := `{
		"Parameters": {
			"Word": {"Type": "String", "Default": "blue", "AllowedValues": ["blue", "green"]},
			"Count": {"Type": "Number", "Default": 5, "MinValue": 1, "MaxValue": 9},
			"List": {"Type": "CommaDelimitedList", "Default": "a, b"}
		},
		"Conditions": {
			"Blue": {"Fn::Equals": [{"Ref": "Word"}, "blue"]},
			"Five": {"Fn::Equals": [{"Ref": "Count"}, "5"]},
			"Both": {"Fn::And": [{"Condition": "Blue"}, {"Condition": "Five"}]},
			"Either": {"Fn::Or": [{"Condition": "Blue"}, {"Condition": "Five"}]},
			"Neither": {"Fn::Not": [{"Condition": "Either"}]},
			"Round": {"Fn::Not": [{"Condition": "About"}]},
			"About": {"Fn::Not": [{"Condition": "Round"}]}
		},
		"Mappings": {"Colours": {"blue": {"hex": "#00f"}}},
		"Resources": {
			"FFunction": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {"X": ` + value + `}}}},
			"ThingTable": {"Type": "AWS::DynamoDB::Table", "Properties": {}},
			"NeverTable": {"Type": "AWS::DynamoDB::Table", "Condition": "Neither", "Properties": {}},
			"Group": {"Type": "AWS::Logs::LogGroup", "Properties": {"Unread": {"Fn::Unheard": 1}}}
		}
	}`
	if !json.Valid([]byte(template)) {
		t.Fatalf("bad test: %s", value)
	}
	s, err := cfn.Resolve([]byte(template), cfn.Options{Parameters: parameters})
	if err != nil {
		return "", err
	}
	if len(s.Tables) != 1 {
		t.Errorf("tables: %+v, want ThingTable alone", s.Tables)
	}
	return s.Functions[0].Env["X"], nil
}

func TestResolve_intrinsics(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`"plain"`:                               "plain",
		`4096`:                                  "4096",
		`1209600.0`:                             "1209600",
		`true`:                                  "true",
		`{"Ref": "Count"}`:                      "5",
		`{"Ref": "AWS::Region"}`:                "eu-central-1",
		`{"Ref": "ThingTable"}`:                 "avow-ThingTable",
		`{"Fn::GetAtt": ["ThingTable", "Arn"]}`: "arn:aws:dynamodb:eu-central-1:000000000000:table/avow-ThingTable",
		`{"Fn::GetAtt": "ThingTable.Arn"}`:      "arn:aws:dynamodb:eu-central-1:000000000000:table/avow-ThingTable",
		`{"Fn::Sub": "${AWS::StackName}/${Word}/${!x}"}`:            "avow/blue/${x}",
		`{"Fn::Sub": "${ThingTable.Arn}/index/*"}`:                  "arn:aws:dynamodb:eu-central-1:000000000000:table/avow-ThingTable/index/*",
		`{"Fn::Sub": ["${a}-${Word}", {"a": {"Ref": "Count"}}]}`:    "5-blue",
		`{"Fn::Join": ["-", ["x", {"Ref": "Word"}, 1]]}`:            "x-blue-1",
		`{"Fn::Join": ["+", {"Ref": "List"}]}`:                      "a+b",
		`{"Fn::FindInMap": ["Colours", {"Ref": "Word"}, "hex"]}`:    "#00f",
		`{"Fn::If": ["Both", "yes", "no"]}`:                         "yes",
		`{"Fn::If": ["Neither", "yes", {"Fn::Sub": "no ${Word}"}]}`: "no blue",
		`{"Fn::If": ["Neither", {"Ref": "NeverTable"}, "lazy"]}`:    "lazy",
		`{"Fn::If": ["Neither", "yes", {"Ref": "AWS::NoValue"}]}`:   "",
	} {
		got, err := environment(t, value, nil)
		if err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", value, got, err, want)
		}
	}
}

func TestResolve_refuses(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`{"Fn::Cidr": ["10.0.0.0/8", 1, 8]}`:         "FFunction: the local stack does not know Fn::Cidr",
		`{"Ref": "Nothing"}`:                         `"Nothing" is neither a parameter nor a resource`,
		`{"Ref": "NeverTable"}`:                      "NeverTable is a AWS::DynamoDB::Table, which does not exist in the local stack",
		`{"Fn::GetAtt": ["ThingTable", "TableId"]}`:  "does not know the attribute TableId of ThingTable",
		`{"Fn::Sub": "${ThingTable.Colour}"}`:        "does not know the attribute Colour",
		`{"Fn::If": ["Missing", 1, 2]}`:              `no condition "Missing"`,
		`{"Fn::If": ["Round", 1, 2]}`:                "condition Round depends on itself",
		`{"Fn::FindInMap": ["Colours", "red", "x"]}`: "no mapping",
	} {
		if got, err := environment(t, value, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is %q, %v; want an error with %q", value, got, err, want)
		}
	}
	for name, tt := range map[string]struct {
		parameters map[string]string
		want       string
	}{
		"unknown":     {map[string]string{"Wort": "x"}, `no parameter "Wort"; it has Count, List, Word`},
		"not allowed": {map[string]string{"Word": "red"}, `parameter Word: "red" is not one of blue, green`},
		"range":       {map[string]string{"Count": "10"}, "parameter Count: 10 is out of range"},
		"type":        {map[string]string{"Count": "many"}, `parameter Count: "many" is not a number`},
	} {
		if _, err := environment(t, `1`, tt.parameters); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, tt.want)
		}
	}
}

func TestResolve_unknownType(t *testing.T) {
	t.Parallel()
	_, err := cfn.Resolve([]byte(`{"Resources": {"Fleet": {"Type": "AWS::EC2::EC2Fleet", "Properties": {}}}}`), cfn.Options{})
	if err == nil || !strings.Contains(err.Error(), "Fleet: the local stack does not know the type AWS::EC2::EC2Fleet") {
		t.Errorf("Resolve: %v", err)
	}
}

// A property of an event source that the poller does not follow must not be
// dropped.
func TestResolve_sourceProperties(t *testing.T) {
	t.Parallel()
	template := func(extra string) []byte {
		return []byte(`{"Resources": {
			"T": {"Type": "AWS::DynamoDB::Table", "Properties": {}},
			"FFunction": {"Type": "AWS::Lambda::Function", "Properties": {}},
			"M": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {
				"EventSourceArn": {"Fn::GetAtt": ["T", "StreamArn"]}, "FunctionName": {"Ref": "FFunction"},
				"StartingPosition": "LATEST", "MaximumRetryAttempts": "3"` + extra + `}}}}`)
	}
	s, err := cfn.Resolve(template(""), cfn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []cfn.Source{{ID: "M", Table: "avow-T", Function: "f", StartingPosition: "LATEST", BatchSize: 100, MaximumRetries: 3, MaximumAge: -1}}
	if diff := cmp.Diff(want, s.Sources); diff != "" {
		t.Error(diff)
	}
	if _, err := cfn.Resolve(template(`, "FilterCriteria": {}`), cfn.Options{}); err == nil || !strings.Contains(err.Error(), "FilterCriteria") {
		t.Errorf("FilterCriteria: %v, want an error that names it", err)
	}
}

func TestExpand_refuses(t *testing.T) {
	t.Parallel()
	checkout, err := emulator.FindCheckout()
	if err != nil {
		t.Fatal(err)
	}
	venv, err := emulator.OpenVenv(checkout.Local())
	if err != nil {
		t.Fatal(err)
	}
	template := []byte("Transform: AWS::Serverless-2016-10-31\nResources:\n  F: {Type: AWS::Serverless::Function, Properties: {Handler: x}}\n")
	_, err = cfn.Expand(t.Context(), venv.Python(), "", t.TempDir(), template, nil)
	if err == nil || !strings.Contains(err.Error(), "[F]") {
		t.Errorf("Expand: %v, want the translator's own words about F", err)
	}
}
