package archtest

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/avow-consent/avow/scripts/local/emulator"
)

// A template is template.yaml as plain CloudFormation.
type template struct{ Resources map[string]resource }

type resource struct {
	Type                string
	DeletionPolicy      string
	UpdateReplacePolicy string
	Metadata            map[string]any
	Properties          map[string]any
}

// expandTemplate is template.yaml as the translator of SAM makes it.
func expandTemplate(t *testing.T) []byte {
	t.Helper()
	checkout, err := emulator.FindCheckout()
	if err != nil {
		t.Fatal(err)
	}
	venv, err := emulator.OpenVenv(checkout.Local())
	if err != nil {
		t.Fatal(err)
	}
	expanded, err := emulator.ReadTemplate(t.Context(), checkout, venv, nil)
	if err != nil {
		t.Fatal(err)
	}
	return expanded
}

func readTemplate(t *testing.T) *template {
	t.Helper()
	doc := &template{}
	if err := json.Unmarshal(expandTemplate(t), doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// ids are the logical ids of the resources of a type, in order.
func (d *template) ids(kind string) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(d.Resources)) {
		if d.Resources[id].Type == kind {
			ids = append(ids, id)
		}
	}
	return ids
}

// get walks into a value by keys; nil where there is nothing.
func get(v any, keys ...string) any {
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	return v
}

func (r resource) get(keys ...string) any { return get(r.Properties, keys...) }

// list takes one value as a list of one, as CloudFormation does.
func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// mentions reports whether a value refers to a resource (Ref, GetAtt or Sub).
func mentions(v any, id string) bool {
	text, _ := json.Marshal(v)
	return regexp.MustCompile(`["{]` + regexp.QuoteMeta(id) + `[".}]`).Match(text)
}

// checks are the rules of template.yaml. files is the checkout.
var checks = map[string]func(d *template, files fs.FS) []string{
	"functions": functionFindings,
	"machines":  machineFindings,
	"roles":     roleFindings,
	"data":      dataFindings,
	"names":     nameFindings,
	"api":       apiFindings,
	"streams":   streamFindings,
	"alarms":    alarmFindings,
}

// functionFindings: every function has a directory, a role and a log group of
// its own, an alarm on its errors and sample events; and no directory is left over.
func functionFindings(d *template, files fs.FS) []string {
	var findings []string
	var names []string
	complain := func(id, format string, args ...any) {
		findings = append(findings, id+": "+fmt.Sprintf(format, args...))
	}
	for _, id := range d.ids("AWS::Lambda::Function") {
		f := d.Resources[id]
		stem, ok := strings.CutSuffix(id, "Function")
		if !ok {
			complain(id, "the logical id of a function ends with Function")
		}
		name := strings.ToLower(stem)
		names = append(names, name)
		if _, err := fs.Stat(files, "functions/"+name+"/main.go"); err != nil {
			complain(id, "there is no functions/%s/main.go", name)
		}
		if samples, _ := fs.Glob(files, "events/"+name+"/*.json"); len(samples) == 0 {
			complain(id, "there are no sample events in events/%s", name)
		}
		if f.Metadata["BuildMethod"] != "makefile" || f.get("Handler") != "bootstrap" || f.get("Runtime") != "provided.al2023" {
			complain(id, "is not a bootstrap built by the Makefile for provided.al2023")
		}
		if d.Resources[stem+"Role"].Type != "AWS::IAM::Role" || !mentions(f.get("Role"), stem+"Role") {
			complain(id, "its role must be %sRole", stem)
		}
		logs := d.Resources[stem+"LogGroup"]
		if logs.Type != "AWS::Logs::LogGroup" || !mentions(f.get("LoggingConfig"), stem+"LogGroup") || f.get("LoggingConfig", "LogFormat") != "JSON" {
			complain(id, "must log JSON to %sLogGroup", stem)
		}
		if alarm := d.Resources[stem+"ErrorsAlarm"]; !mentions(alarm.get("Dimensions"), id) || alarm.get("MetricName") != "Errors" {
			complain(id, "%sErrorsAlarm does not watch its errors", stem)
		}
	}
	for _, dir := range []string{"functions", "events"} {
		entries, _ := fs.ReadDir(files, dir)
		for _, e := range entries {
			if e.IsDir() && !slices.Contains(names, e.Name()) {
				complain(dir+"/"+e.Name(), "template.yaml declares no such function")
			}
		}
	}
	return findings
}

// machineFindings: every machine has a definition among the files, a role and a
// log group of its own that see no data, and an alarm on runs that end badly.
func machineFindings(d *template, files fs.FS) []string {
	var findings []string
	for _, id := range d.ids("AWS::StepFunctions::StateMachine") {
		m := d.Resources[id]
		complain := func(format string, args ...any) {
			findings = append(findings, id+": "+fmt.Sprintf(format, args...))
		}
		file, _ := m.get("DefinitionS3Location", "Key").(string)
		if _, err := fs.Stat(files, file); err != nil || !strings.HasPrefix(file, "statemachines/") {
			complain("there is no definition in statemachines")
		}
		if d.Resources[id+"Role"].Type != "AWS::IAM::Role" || !mentions(m.get("RoleArn"), id+"Role") {
			complain("its role must be %sRole", id)
		}
		logging := m.get("LoggingConfiguration")
		if get(logging, "Level") != "ERROR" || get(logging, "IncludeExecutionData") != false || !mentions(logging, id+"LogGroup") {
			complain("must log errors to %sLogGroup, without data", id)
		}
		if !mentions(d.Resources[id+"Alarm"].get("Metrics"), id) {
			complain("%sAlarm does not watch it", id)
		}
	}
	return findings
}

// deleters are the only rights to delete that a role has, by role and resource.
// That of erase may delete wherever a person's data is.
var deleters = map[string][]string{
	"EraseRole":   {"DocumentsTable", "EventsTable", "FormsTable", "MessagesTable", "PackagesBucket", "ProofsBucket", "RequestsTable", "SubjectsTable"},
	"ProjectRole": {"SubjectsTable"},
}

// everywhere are the rights that IAM ties to no resource.
var everywhere = []string{
	"states:SendTaskSuccess", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
	"logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
	"logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
}

// roleFindings: no wildcard, nothing that deletes but erase, and no role but
// those of erase and project changes what it did not put itself.
func roleFindings(d *template, _ fs.FS) []string {
	var findings []string
	for _, id := range d.ids("AWS::IAM::Role") {
		role := d.Resources[id]
		if role.get("ManagedPolicyArns") != nil {
			findings = append(findings, id+": managed policies are wider than any function needs")
		}
		for _, s := range statements(role) {
			for _, a := range list(get(s, "Action")) {
				action, _ := a.(string)
				findings = append(findings, actionFindings(id, action, s)...)
			}
		}
	}
	return findings
}

func actionFindings(role, action string, statement any) []string {
	var findings []string
	complain := func(format string, args ...any) {
		findings = append(findings, role+": "+fmt.Sprintf(format, args...))
	}
	resources := list(get(statement, "Resource"))
	if strings.Contains(action, "*") {
		complain("%s is wider than a function needs", action)
	}
	if slices.Contains(resources, any("*")) && !slices.Contains(everywhere, action) {
		complain("%s on every resource", action)
	}
	_, verb, _ := strings.Cut(action, ":")
	for _, r := range resources {
		mine := func(id string) bool { return mentions([]any{r}, id) }
		if strings.Contains(verb, "Delete") && r != "*" && !slices.ContainsFunc(deleters[role], mine) {
			complain("%s: nothing deletes but erase, and project the view's own rows", action)
		}
	}
	if action == "kms:Sign" && role != "StepsRole" {
		complain("%s: only steps signs", action)
	}
	writes := strings.HasPrefix(verb, "Put") || strings.HasPrefix(verb, "Update")
	for _, id := range []string{"AuditTable", "KeysTable", "SystemsSecret"} {
		if writes && mentions(resources, id) && role != "AdminRole" {
			complain("%s: only admin writes %s", action, id)
		}
	}
	if mentions(resources, "AuditTable") && strings.Contains(verb, "Update") {
		complain("%s on the audit: it only grows", action)
	}
	if mentions(resources, "EventsTable") {
		switch {
		case role == "EraseRole":
		case strings.Contains(verb, "Update") || strings.Contains(verb, "Write"):
			complain("%s on the ledger: it only grows", action)
		case role == "CollectRole" && verb != "PutItem":
			complain("%s on the ledger: collect only puts", action)
		}
	}
	if role == "CollectRole" && strings.HasPrefix(action, "s3:") && verb != "PutObject" {
		complain("%s: collect only puts proofs", action)
	}
	return findings
}

// statements of a role's policies, those behind an Fn::If included.
func statements(role resource) []any {
	var found []any
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if v["Effect"] == "Allow" {
				found = append(found, v)
				return
			}
			for _, e := range v {
				walk(e)
			}
		}
	}
	walk(role.get("Policies"))
	return found
}

// dataFindings: what holds data stays when the stack goes, is encrypted and can
// be restored.
func dataFindings(d *template, _ fs.FS) []string {
	var findings []string
	for _, id := range slices.Sorted(maps.Keys(d.Resources)) {
		r := d.Resources[id]
		complain := func(what string) { findings = append(findings, id+": "+what) }
		switch r.Type {
		case "AWS::DynamoDB::Table", "AWS::KMS::Alias", "AWS::KMS::Key", "AWS::S3::Bucket", "AWS::SecretsManager::Secret":
			if r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain" {
				complain("DeletionPolicy and UpdateReplacePolicy must be Retain")
			}
		}
		switch r.Type {
		case "AWS::DynamoDB::Table":
			if r.get("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled") != true {
				complain("has no point-in-time recovery")
			}
			if r.get("SSESpecification", "SSEEnabled") != true {
				complain("is not encrypted with a key of KMS")
			}
			if r.get("DeletionProtectionEnabled") == nil {
				complain("has no deletion protection")
			}
		case "AWS::S3::Bucket":
			for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
				if r.get("PublicAccessBlockConfiguration", block) != true {
					complain("lacks " + block)
				}
			}
			if r.get("BucketEncryption") == nil || r.get("OwnershipControls") == nil || r.get("VersioningConfiguration", "Status") != "Enabled" {
				complain("must be encrypted, versioned and owned by this account alone")
			}
			if policy := d.Resources[id+"Policy"]; policy.Type != "AWS::S3::BucketPolicy" || !mentions(policy.get("PolicyDocument"), id) {
				complain("has no bucket policy")
			}
		case "AWS::SQS::Queue":
			if r.get("SqsManagedSseEnabled") != true && r.get("KmsMasterKeyId") == nil {
				complain("is not encrypted")
			}
		case "AWS::Logs::LogGroup":
			if r.get("RetentionInDays") == nil {
				complain("keeps logs for ever")
			}
		}
	}
	return findings
}

// nameFindings: no fixed physical names, so that two stacks fit in an account.
func nameFindings(d *template, _ fs.FS) []string {
	names := map[string]string{
		"AWS::CloudWatch::Alarm": "AlarmName", "AWS::DynamoDB::Table": "TableName", "AWS::IAM::Role": "RoleName",
		"AWS::Lambda::Function": "FunctionName", "AWS::Logs::LogGroup": "LogGroupName", "AWS::S3::Bucket": "BucketName",
		"AWS::SQS::Queue": "QueueName", "AWS::SES::ConfigurationSet": "Name", "AWS::SecretsManager::Secret": "Name",
	}
	var findings []string
	for _, id := range slices.Sorted(maps.Keys(d.Resources)) {
		r := d.Resources[id]
		if property := names[r.Type]; property != "" && r.get(property) != nil {
			findings = append(findings, id+": a fixed "+property+" keeps a second stack out")
		}
	}
	return findings
}

// accessLog are the variables that cannot carry personal data.
var accessLog = []string{"requestId", "routeKey", "status", "responseLatency", "integrationStatus", "error.responseType"}

var contextVariable = regexp.MustCompile(`\$context\.([A-Za-z.]+)`)

// apiFindings: no ANY route but the default one, throttles, and an access log
// without personal data.
func apiFindings(d *template, _ fs.FS) []string {
	var findings []string
	for _, id := range d.ids("AWS::ApiGatewayV2::Api") {
		paths, _ := d.Resources[id].get("Body", "paths").(map[string]any)
		for _, p := range slices.Sorted(maps.Keys(paths)) {
			operation := get(paths[p], "x-amazon-apigateway-any-method")
			if operation != nil && get(operation, "isDefaultRoute") != true {
				findings = append(findings, id+": ANY "+p+" would answer preflights and hide routes")
			}
		}
	}
	for _, id := range d.ids("AWS::ApiGatewayV2::Stage") {
		stage := d.Resources[id]
		if stage.get("DefaultRouteSettings", "ThrottlingRateLimit") == nil {
			findings = append(findings, id+": has no throttle")
		}
		format, _ := stage.get("AccessLogSettings", "Format").(string)
		if format == "" {
			findings = append(findings, id+": has no access log")
		}
		for _, m := range contextVariable.FindAllStringSubmatch(format, -1) {
			if !slices.Contains(accessLog, m[1]) {
				findings = append(findings, id+": $context."+m[1]+" in the access log may carry personal data")
			}
		}
	}
	return findings
}

// streamFindings: a record that cannot be handled stops no other and is not lost.
func streamFindings(d *template, _ fs.FS) []string {
	var findings []string
	for _, id := range d.ids("AWS::Lambda::EventSourceMapping") {
		m := d.Resources[id]
		if m.get("DestinationConfig", "OnFailure", "Destination") == nil {
			findings = append(findings, id+": failed batches go nowhere")
		}
		if !slices.Contains(list(m.get("FunctionResponseTypes")), any("ReportBatchItemFailures")) || m.get("BisectBatchOnFunctionError") != true {
			findings = append(findings, id+": a poison record takes its batch along")
		}
	}
	return findings
}

// alarmFindings: every alarm has a page, every page an alarm, and every queue
// of failures an alarm.
func alarmFindings(d *template, files fs.FS) []string {
	var findings []string
	alarms := d.ids("AWS::CloudWatch::Alarm")
	for _, id := range alarms {
		page := "docs/runbooks/" + id + ".md"
		if description, _ := d.Resources[id].get("AlarmDescription").(string); !strings.Contains(description, page) {
			findings = append(findings, id+": its description does not name "+page)
		}
		if _, err := fs.Stat(files, page); err != nil {
			findings = append(findings, id+": there is no "+page)
		}
		if d.Resources[id].get("AlarmActions") == nil {
			findings = append(findings, id+": tells nobody")
		}
	}
	pages, _ := fs.Glob(files, "docs/runbooks/*.md")
	for _, page := range pages {
		if id := strings.TrimSuffix(path.Base(page), ".md"); id != "README" && !slices.Contains(alarms, id) {
			findings = append(findings, page+": there is no such alarm")
		}
	}
	for _, id := range d.ids("AWS::SQS::Queue") {
		if !slices.ContainsFunc(alarms, func(alarm string) bool { return mentions(d.Resources[alarm].get("Dimensions"), id) }) {
			findings = append(findings, id+": no alarm watches it")
		}
	}
	return findings
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	d := readTemplate(t)
	for name, check := range checks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holds(t, check(d, os.DirFS(root)))
		})
	}
}

func TestTemplate_catches(t *testing.T) {
	t.Parallel()
	set := func(id string, value any, keys ...string) func(*template) {
		return func(d *template) {
			v := d.Resources[id].Properties
			for _, key := range keys[:len(keys)-1] {
				v = v[key].(map[string]any)
			}
			v[keys[len(keys)-1]] = value
		}
	}
	grant := func(role, action string, on any) func(*template) {
		return func(d *template) {
			policy := list(d.Resources[role].get("Policies"))[0].(map[string]any)["PolicyDocument"].(map[string]any)
			policy["Statement"] = append(list(policy["Statement"]), map[string]any{"Effect": "Allow", "Action": action, "Resource": on})
		}
	}
	events := map[string]any{"Fn::GetAtt": []any{"EventsTable", "Arn"}}
	for name, tt := range map[string]struct {
		check  string
		damage func(*template)
		want   []string
	}{
		"a function without anything": {"functions", func(d *template) { d.Resources["GhostFunction"] = resource{Type: "AWS::Lambda::Function"} },
			[]string{"no functions/ghost/main.go", "no sample events", "not a bootstrap", "GhostRole", "GhostLogGroup", "GhostErrorsAlarm"}},
		"a role of another function": {"functions", set("ApiFunction", map[string]any{"Fn::GetAtt": []any{"CollectRole", "Arn"}}, "Role"), []string{"ApiFunction: its role must be ApiRole"}},
		"a log group less":           {"functions", func(d *template) { delete(d.Resources, "ApiLogGroup") }, []string{"ApiFunction: must log JSON to ApiLogGroup"}},
		"a directory left over":      {"functions", func(d *template) { delete(d.Resources, "ApiFunction") }, []string{"functions/api: template.yaml declares no", "events/api: template.yaml declares no"}},
		"a machine without anything": {"machines", func(d *template) { d.Resources["GhostMachine"] = resource{Type: "AWS::StepFunctions::StateMachine"} },
			[]string{"no definition", "GhostMachineRole", "GhostMachineLogGroup", "GhostMachineAlarm"}},
		"a machine that logs data":  {"machines", set("SystemMachine", true, "LoggingConfiguration", "IncludeExecutionData"), []string{"without data"}},
		"wildcard action":           {"roles", grant("ApiRole", "dynamodb:*", "x"), []string{"ApiRole: dynamodb:* is wider"}},
		"wildcard resource":         {"roles", grant("ApiRole", "dynamodb:Query", "*"), []string{"ApiRole: dynamodb:Query on every resource"}},
		"delete":                    {"roles", grant("ApiRole", "s3:DeleteObject", "x"), []string{"s3:DeleteObject: nothing deletes"}},
		"project deletes elsewhere": {"roles", grant("ProjectRole", "dynamodb:DeleteItem", events), []string{"DeleteItem: nothing deletes"}},
		"update of the ledger":      {"roles", grant("ApiRole", "dynamodb:UpdateItem", events), []string{"UpdateItem on the ledger"}},
		"collect reads the ledger":  {"roles", grant("CollectRole", "dynamodb:Query", map[string]any{"Fn::Sub": "${EventsTable.Arn}/index/Listing"}), []string{"collect only puts"}},
		"collect reads proofs":      {"roles", grant("CollectRole", "s3:GetObject", "x"), []string{"collect only puts proofs"}},
		"deletes of several":        {"roles", grant("ProjectRole", "dynamodb:DeleteItem", []any{map[string]any{"Fn::GetAtt": []any{"SubjectsTable", "Arn"}}, events}), []string{"DeleteItem: nothing deletes"}},
		"erase deletes sites":       {"roles", grant("EraseRole", "dynamodb:DeleteItem", map[string]any{"Fn::GetAtt": []any{"SitesTable", "Arn"}}), []string{"DeleteItem: nothing deletes"}},
		"requests signs":            {"roles", grant("RequestsRole", "kms:Sign", "x"), []string{"kms:Sign: only steps signs"}},
		"requests makes keys":       {"roles", grant("RequestsRole", "dynamodb:PutItem", map[string]any{"Fn::GetAtt": []any{"KeysTable", "Arn"}}), []string{"PutItem: only admin writes KeysTable"}},
		"steps sets systems.json":   {"roles", grant("StepsRole", "secretsmanager:PutSecretValue", map[string]any{"Ref": "SystemsSecret"}), []string{"PutSecretValue: only admin writes SystemsSecret"}},
		"admin changes its log":     {"roles", grant("AdminRole", "dynamodb:UpdateItem", map[string]any{"Fn::GetAtt": []any{"AuditTable", "Arn"}}), []string{"UpdateItem on the audit: it only grows"}},
		"a managed policy":          {"roles", set("ApiRole", []any{"x"}, "ManagedPolicyArns"), []string{"ApiRole: managed policies"}},
		"data that goes": {"data", func(d *template) {
			r := d.Resources["KeysTable"]
			r.DeletionPolicy = "Delete"
			d.Resources["KeysTable"] = r
		}, []string{"KeysTable: DeletionPolicy"}},
		"no recovery":              {"data", set("EventsTable", nil, "PointInTimeRecoverySpecification"), []string{"EventsTable: has no point-in-time"}},
		"a public bucket":          {"data", set("ProofsBucket", false, "PublicAccessBlockConfiguration", "BlockPublicPolicy"), []string{"lacks BlockPublicPolicy"}},
		"no bucket policy":         {"data", func(d *template) { delete(d.Resources, "ProofsBucketPolicy") }, []string{"no bucket policy"}},
		"logs for ever":            {"data", set("ApiLogGroup", nil, "RetentionInDays"), []string{"ApiLogGroup: keeps logs for ever"}},
		"a fixed name":             {"names", set("KeysTable", "keys", "TableName"), []string{"KeysTable: a fixed TableName"}},
		"an ANY route":             {"api", set("Api", map[string]any{"x-amazon-apigateway-any-method": map[string]any{}}, "Body", "paths", "/x"), []string{"ANY /x"}},
		"an address in the log":    {"api", set("ApiApiGatewayDefaultStage", "$context.requestId $context.identity.sourceIp $context.path", "AccessLogSettings", "Format"), []string{"identity.sourceIp", "$context.path"}},
		"failures to nowhere":      {"streams", set("ProjectFunctionLedger", nil, "DestinationConfig"), []string{"failed batches go nowhere"}},
		"poison":                   {"streams", set("ProjectFunctionLedger", nil, "FunctionResponseTypes"), []string{"a poison record"}},
		"an alarm without a page":  {"alarms", func(d *template) { d.Resources["GhostAlarm"] = resource{Type: "AWS::CloudWatch::Alarm"} }, []string{"does not name docs/runbooks/GhostAlarm.md", "there is no docs/runbooks/GhostAlarm.md", "tells nobody"}},
		"a page without an alarm":  {"alarms", func(d *template) { delete(d.Resources, "ApiErrorsAlarm") }, []string{"ApiErrorsAlarm.md: there is no such alarm"}},
		"a queue without an alarm": {"alarms", func(d *template) { d.Resources["GhostQueue"] = resource{Type: "AWS::SQS::Queue"} }, []string{"GhostQueue: no alarm watches it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := readTemplate(t)
			tt.damage(d)
			catches(t, checks[tt.check](d, os.DirFS(root)), tt.want...)
		})
	}
}
