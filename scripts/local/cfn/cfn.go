// Package cfn reads template.yaml for the local stack: what the template
// declares is what runs, nothing is listed a second time. Expand turns SAM into
// plain CloudFormation, Resolve turns that into values.
//
// A resource of a type that the package does not know is an error, so that
// nothing which the template declares is missing locally without a word.
package cfn

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where the local stack pretends to be.
const (
	Region  = "eu-central-1"
	Account = "000000000000"
)

// Options are what `sam deploy` would be told.
type Options struct {
	StackName  string            // "avow" when empty; part of every physical name
	Parameters map[string]string // instead of the defaults of the template
}

// A Stack is a resolved template. Lists are in the order of the logical ids.
type Stack struct {
	Name       string
	Parameters map[string]string
	Tables     []Table
	Buckets    []Bucket
	Queues     []Queue
	Secrets    []Secret
	Functions  []Function
	API        API
	Sources    []Source
	Keys       []SigningKey
	Senders    []Sender
	Machines   []Machine
	Schedules  []Schedule
}

// A Table is an AWS::DynamoDB::Table.
type Table struct {
	ID                      string `json:"-"` // logical id
	Name                    string `json:"-"`
	AttributeDefinitions    []Attribute
	KeySchema               []Key
	GlobalSecondaryIndexes  []Index
	StreamSpecification     Stream
	TimeToLiveSpecification TimeToLive
}

// An Attribute is a key attribute and its type: S, N or B.
type Attribute struct{ AttributeName, AttributeType string }

// A Key is an attribute and what it is in the key: HASH or RANGE.
type Key struct{ AttributeName, KeyType string }

// An Index is a global secondary index.
type Index struct {
	IndexName  string
	KeySchema  []Key
	Projection struct {
		ProjectionType   string
		NonKeyAttributes []string
	}
}

// Stream says what the records of a table's stream hold; empty means that the
// table has no stream.
type Stream struct{ StreamViewType string }

// TimeToLive names the attribute that lets items expire.
type TimeToLive struct {
	AttributeName string
	Enabled       Boolean
}

// A Bucket is an AWS::S3::Bucket.
type Bucket struct {
	ID, Name  string
	Versioned bool
}

// A Queue is an AWS::SQS::Queue; Attributes are in the form of CreateQueue.
type Queue struct {
	ID, Name   string
	Attributes map[string]string
}

// A Secret is an AWS::SecretsManager::Secret. Its value is either given or
// generated.
type Secret struct {
	ID           string `json:"-"`
	Name         string `json:"-"`
	SecretString string
	Generate     Generate `json:"GenerateSecretString"`
}

// Generate says how the value of a secret is made up.
type Generate struct {
	PasswordLength       Number
	ExcludePunctuation   Boolean
	ExcludeCharacters    string
	SecretStringTemplate string // a JSON object that the value is put into
	GenerateStringKey    string // the key of that object that takes the value
}

// A SigningKey is an AWS::KMS::Key, found by its AWS::KMS::Alias: AWS makes up
// the id.
type SigningKey struct{ ID, Alias, Spec, Usage string }

// A Sender is an AWS::SES::ConfigurationSet.
type Sender struct{ ID, Name string }

// A Machine is an AWS::StepFunctions::StateMachine.
type Machine struct {
	ID, Name, ARN string
	Definition    string            // path in the checkout
	Substitutions map[string]string // what ${Name} in the definition stands for
}

// A Schedule calls a function again and again.
type Schedule struct {
	ID       string
	Function string // name
	Every    time.Duration
	Input    string // JSON text; "" for the schedule's own event
}

// A Function is an AWS::Lambda::Function.
type Function struct {
	ID      string
	Name    string // logical id without "Function", in lower case: its directory
	ARN     string
	Timeout int // seconds
	Memory  int // MB
	Env     map[string]string
}

// PhysicalName is what AWS calls the function.
func (f Function) PhysicalName() string { return f.ARN[strings.LastIndexByte(f.ARN, ':')+1:] }

// API is the AWS::ApiGatewayV2::Api and its stage.
type API struct {
	Routes []Route
	CORS   *CORS // nil: the gateway does not answer preflights
	// Throttles by route key ("POST /public/{proxy+}"); the empty key is the
	// default. A rate of 0 means that the template sets none.
	Throttles map[string]Throttle
}

// A Route sends requests to a function. The default route has method ANY and
// path $default.
type Route struct {
	Method, Path string
	Function     string // name
}

// CORS is what API Gateway answers to a preflight by itself.
type CORS struct {
	AllowOrigins     []string `json:"allowOrigins"`
	AllowMethods     []string `json:"allowMethods"`
	AllowHeaders     []string `json:"allowHeaders"`
	ExposeHeaders    []string `json:"exposeHeaders"`
	MaxAge           Number   `json:"maxAge"`
	AllowCredentials Boolean  `json:"allowCredentials"`
}

// A Throttle is a token bucket: requests per second and how many at once.
type Throttle struct {
	Rate  float64
	Burst int
}

// A Source feeds the stream of a table to a function.
type Source struct {
	ID                  string
	Table               string // name of the table
	Function            string // name of the function
	StartingPosition    string
	BatchSize           int
	MaximumRetries      int // -1: until the record expires
	MaximumAge          int // seconds; -1: until the record expires
	Bisect              bool
	ReportBatchFailures bool
	OnFailureQueue      string // name of the queue, or empty
}

type resource struct {
	Type       string
	Condition  string
	Properties map[string]any
}

type document struct {
	Parameters map[string]parameter
	Conditions map[string]any
	Mappings   map[string]any
	Resources  map[string]resource
}

// ignored are the types that exist in AWS only: rights, logs, alarms and the
// parts of the API that have no counterpart on one machine.
var ignored = map[string]bool{
	"AWS::ApiGatewayV2::ApiMapping":              true,
	"AWS::ApiGatewayV2::DomainName":              true,
	"AWS::CloudWatch::Alarm":                     true,
	"AWS::CloudWatch::Dashboard":                 true,
	"AWS::IAM::ManagedPolicy":                    true,
	"AWS::IAM::Policy":                           true,
	"AWS::IAM::Role":                             true,
	"AWS::Lambda::Permission":                    true,
	"AWS::Logs::LogGroup":                        true,
	"AWS::Logs::MetricFilter":                    true,
	"AWS::Route53::RecordSet":                    true,
	"AWS::Route53::RecordSetGroup":               true,
	"AWS::S3::BucketPolicy":                      true,
	"AWS::SES::ConfigurationSetEventDestination": true,
	"AWS::SNS::Subscription":                     true,
	"AWS::SNS::Topic":                            true,
	"AWS::SNS::TopicPolicy":                      true,
	"AWS::SQS::QueuePolicy":                      true,
	"AWS::SecretsManager::ResourcePolicy":        true,
}

// Resolve reads an expanded template.
func Resolve(expanded []byte, o Options) (*Stack, error) {
	var doc document
	if err := json.Unmarshal(expanded, &doc); err != nil {
		return nil, fmt.Errorf("reading the expanded template: %w", err)
	}
	s := &Stack{Name: cmp.Or(o.StackName, "avow"), API: API{Throttles: map[string]Throttle{}}}
	var err error
	r := &resolver{
		conditions: doc.Conditions, mappings: doc.Mappings, resources: doc.Resources,
		attributes: map[string]map[string]string{},
	}
	if r.values, s.Parameters, err = parameterValues(doc.Parameters, o.Parameters); err != nil {
		return nil, err
	}
	maps.Copy(r.values, map[string]any{
		"AWS::AccountId": Account, "AWS::NoValue": noValue{}, "AWS::Partition": "aws", "AWS::Region": Region,
		"AWS::StackName": s.Name, "AWS::URLSuffix": "amazonaws.com",
		"AWS::StackId": fmt.Sprintf("arn:aws:cloudformation:%s:%s:stack/%s/local", Region, Account, s.Name),
	})

	// Two passes: what a resource is called must be known before a property of
	// another one can be resolved.
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(doc.Resources)) {
		res := doc.Resources[id]
		if res.Condition != "" {
			if holds, err := r.condition(res.Condition); err != nil {
				return nil, fmt.Errorf("%s: %w", id, err)
			} else if !holds {
				continue
			}
		}
		if ignored[res.Type] {
			r.attributes[id] = ignoredAttributes(id, res.Type)
			continue
		}
		if r.attributes[id], err = r.attributesOf(s.Name, id, res); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		ids = append(ids, id)
	}
	for _, id := range ids {
		properties, err := r.resolve(doc.Resources[id].Properties)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		if err := s.add(r, id, doc.Resources[id].Type, properties.(map[string]any)); err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
	}
	return s, nil
}

// ignoredAttributes lets the properties of other resources name something that
// does not exist locally.
func ignoredAttributes(id, kind string) map[string]string {
	return map[string]string{
		"": id, "Arn": "arn:aws:local:::" + id, "TopicArn": "arn:aws:local:::" + id,
		"RegionalDomainName": id + ".invalid", "RegionalHostedZoneId": "local",
	}
}

// attributesOf is what Ref ("") and Fn::GetAtt give for a resource. Everything
// but the names is known only to AWS, so it is made up in the form that AWS
// uses.
func (r *resolver) attributesOf(stack, id string, res resource) (map[string]string, error) {
	physical := func(property string) (string, error) {
		given, ok := res.Properties[property]
		if !ok {
			return stack + "-" + id, nil
		}
		v, err := r.resolve(given)
		return text(v), err
	}
	arn := func(service, name string) string {
		return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, Region, Account, name)
	}
	switch res.Type {
	case "AWS::DynamoDB::Table":
		name, err := physical("TableName")
		table := arn("dynamodb", "table/"+name)
		return map[string]string{"": name, "Arn": table, "StreamArn": table + "/stream/local"}, err
	case "AWS::S3::Bucket":
		name, err := physical("BucketName")
		name = strings.ToLower(name)
		return map[string]string{
			"": name, "Arn": "arn:aws:s3:::" + name,
			"DomainName":         name + ".s3.amazonaws.com",
			"RegionalDomainName": name + ".s3." + Region + ".amazonaws.com",
		}, err
	case "AWS::SQS::Queue":
		name, err := physical("QueueName")
		return map[string]string{
			"":    fmt.Sprintf("https://sqs.%s.amazonaws.com/%s/%s", Region, Account, name),
			"Arn": arn("sqs", name), "QueueName": name,
		}, err
	case "AWS::SecretsManager::Secret":
		// AWS adds six random characters; without them it is a partial ARN,
		// which is as good to look the secret up.
		name, err := physical("Name")
		return map[string]string{"": arn("secretsmanager", "secret:"+name), "Id": arn("secretsmanager", "secret:"+name)}, err
	case "AWS::Lambda::Function":
		name, err := physical("FunctionName")
		return map[string]string{"": name, "Arn": arn("lambda", "function:"+name)}, err
	case "AWS::ApiGatewayV2::Api":
		return map[string]string{"": "local", "ApiId": "local", "ApiEndpoint": "https://local.execute-api." + Region + ".amazonaws.com"}, nil
	case "AWS::ApiGatewayV2::Stage":
		return map[string]string{"": "$default"}, nil
	case "AWS::Lambda::EventSourceMapping":
		return map[string]string{"": id}, nil
	case "AWS::KMS::Key":
		return map[string]string{"": arn("kms", "key/"+stack+"-"+id), "Arn": arn("kms", "key/"+stack+"-"+id)}, nil
	case "AWS::KMS::Alias":
		name, err := physical("AliasName")
		return map[string]string{"": name}, err
	case "AWS::SES::ConfigurationSet":
		name, err := physical("Name")
		return map[string]string{"": name}, err
	case "AWS::StepFunctions::StateMachine":
		name, err := physical("StateMachineName")
		machine := arn("states", "stateMachine:"+name)
		return map[string]string{"": machine, "Arn": machine, "Name": name}, err
	case "AWS::Events::Rule":
		return map[string]string{"": stack + "-" + id, "Arn": arn("events", "rule/"+stack+"-"+id)}, nil
	default:
		return nil, fmt.Errorf("the local stack does not know the type %s (scripts/local/cfn)", res.Type)
	}
}

func (s *Stack) add(r *resolver, id, kind string, properties map[string]any) error {
	name := r.attributes[id][""]
	switch kind {
	case "AWS::DynamoDB::Table":
		t := Table{ID: id, Name: name}
		if err := into(&t, properties); err != nil {
			return err
		}
		if _, ok := properties["LocalSecondaryIndexes"]; ok {
			return fmt.Errorf("the local stack does not know local secondary indexes")
		}
		s.Tables = append(s.Tables, t)
	case "AWS::S3::Bucket":
		var p struct{ VersioningConfiguration struct{ Status string } }
		if err := into(&p, properties); err != nil {
			return err
		}
		s.Buckets = append(s.Buckets, Bucket{ID: id, Name: name, Versioned: p.VersioningConfiguration.Status == "Enabled"})
	case "AWS::SQS::Queue":
		q := Queue{ID: id, Name: r.attributes[id]["QueueName"], Attributes: map[string]string{}}
		for key, v := range properties {
			if err := q.set(key, v); err != nil {
				return err
			}
		}
		s.Queues = append(s.Queues, q)
	case "AWS::SecretsManager::Secret":
		secret := Secret{ID: id, Name: strings.TrimPrefix(name, fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:", Region, Account))}
		if err := into(&secret, properties); err != nil {
			return err
		}
		s.Secrets = append(s.Secrets, secret)
	case "AWS::Lambda::Function":
		return s.addFunction(r, id, properties)
	case "AWS::ApiGatewayV2::Api":
		return s.addAPI(r, properties)
	case "AWS::ApiGatewayV2::Stage":
		return s.addStage(properties)
	case "AWS::Lambda::EventSourceMapping":
		return s.addSource(r, id, properties)
	case "AWS::KMS::Key":
		return s.addKey(id, properties)
	case "AWS::KMS::Alias":
		return s.addAlias(r, id, properties)
	case "AWS::SES::ConfigurationSet":
		s.Senders = append(s.Senders, Sender{ID: id, Name: name})
	case "AWS::StepFunctions::StateMachine":
		return s.addMachine(r, id, properties)
	case "AWS::Events::Rule":
		return s.addRule(r, id, properties)
	}
	return nil
}

// set takes a property of the queue over as an attribute of CreateQueue.
func (q *Queue) set(key string, v any) error {
	switch key {
	case "QueueName", "Tags":
	case "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled": // nothing is encrypted locally
	case "RedrivePolicy", "RedriveAllowPolicy":
		policy, err := json.Marshal(v)
		if err != nil {
			return err
		}
		q.Attributes[key] = string(policy)
	default:
		q.Attributes[key] = text(v)
	}
	return nil
}

func (s *Stack) addFunction(r *resolver, id string, properties map[string]any) error {
	var p struct {
		Timeout     Number
		MemorySize  Number
		Environment struct{ Variables map[string]any }
	}
	if err := into(&p, properties); err != nil {
		return err
	}
	f := Function{
		ID: id, Name: functionName(id), ARN: r.attributes[id]["Arn"], Env: map[string]string{},
		Timeout: cmp.Or(int(p.Timeout), 3), Memory: cmp.Or(int(p.MemorySize), 128),
	}
	for name, value := range p.Environment.Variables {
		f.Env[name] = text(value)
	}
	s.Functions = append(s.Functions, f)
	return nil
}

func functionName(id string) string {
	return strings.ToLower(strings.TrimSuffix(id, "Function"))
}

var invocation = regexp.MustCompile(`:lambda:path/2015-03-31/functions/(.+)/invocations$`)

// addAPI reads the OpenAPI body that the translator makes of the functions'
// HttpApi events.
func (s *Stack) addAPI(r *resolver, properties map[string]any) error {
	type operation struct {
		Default     bool `json:"isDefaultRoute"`
		Integration struct {
			URI                  string `json:"uri"`
			Type                 string `json:"type"`
			PayloadFormatVersion string `json:"payloadFormatVersion"`
		} `json:"x-amazon-apigateway-integration"`
	}
	var p struct {
		Body struct {
			Paths map[string]map[string]json.RawMessage `json:"paths"`
			CORS  *CORS                                 `json:"x-amazon-apigateway-cors"`
		}
	}
	if err := into(&p, properties); err != nil {
		return err
	}
	if len(s.API.Routes) > 0 {
		return fmt.Errorf("the local stack serves one HTTP API, the template has two")
	}
	s.API.CORS = p.Body.CORS
	for _, path := range slices.Sorted(maps.Keys(p.Body.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(p.Body.Paths[path])) {
			var op operation
			if err := json.Unmarshal(p.Body.Paths[path][method], &op); err != nil {
				return fmt.Errorf("%s %s: %w", method, path, err)
			}
			route := Route{Method: strings.ToUpper(method), Path: path}
			if method == "x-amazon-apigateway-any-method" {
				route.Method = "ANY"
			}
			if op.Default {
				route.Path = "$default"
			}
			arn := invocation.FindStringSubmatch(op.Integration.URI)
			if arn == nil || op.Integration.Type != "aws_proxy" || op.Integration.PayloadFormatVersion != "2.0" {
				return fmt.Errorf("%s %s: the local stack knows only Lambda integrations of payload 2.0", route.Method, path)
			}
			id, err := r.owner(arn[1])
			if err != nil {
				return fmt.Errorf("%s %s: %w", route.Method, path, err)
			}
			route.Function = functionName(id)
			s.API.Routes = append(s.API.Routes, route)
		}
	}
	return nil
}

// addStage reads the throttles. Everything else about a stage (logs, tags,
// deployment) exists in AWS only.
func (s *Stack) addStage(properties map[string]any) error {
	type settings struct {
		ThrottlingRateLimit  Number
		ThrottlingBurstLimit Number
	}
	var p struct {
		DefaultRouteSettings settings
		RouteSettings        map[string]settings
	}
	if err := into(&p, properties); err != nil {
		return err
	}
	s.API.Throttles[""] = Throttle{Rate: float64(p.DefaultRouteSettings.ThrottlingRateLimit), Burst: int(p.DefaultRouteSettings.ThrottlingBurstLimit)}
	for route, o := range p.RouteSettings {
		s.API.Throttles[route] = Throttle{Rate: float64(o.ThrottlingRateLimit), Burst: int(o.ThrottlingBurstLimit)}
	}
	return nil
}

// addSource knows every property it is given: one that is dropped would change
// what a function sees.
func (s *Stack) addSource(r *resolver, id string, properties map[string]any) error {
	p := struct {
		EventSourceArn             string
		FunctionName               string
		StartingPosition           string
		BatchSize                  Number
		MaximumRetryAttempts       Number
		MaximumRecordAgeInSeconds  Number
		BisectBatchOnFunctionError Boolean
		FunctionResponseTypes      []string
		DestinationConfig          struct{ OnFailure struct{ Destination string } }
		Enabled                    Boolean
		// These only say how soon and how many at a time.
		MaximumBatchingWindowInSeconds, ParallelizationFactor Number
		Tags                                                  any
	}{BatchSize: 100, MaximumRetryAttempts: -1, MaximumRecordAgeInSeconds: -1, Enabled: true}
	if err := intoStrictly(&p, properties); err != nil {
		return err
	}
	if !p.Enabled {
		return nil
	}
	source := Source{
		ID: id, StartingPosition: p.StartingPosition,
		BatchSize: int(p.BatchSize), MaximumRetries: int(p.MaximumRetryAttempts), MaximumAge: int(p.MaximumRecordAgeInSeconds),
		Bisect: bool(p.BisectBatchOnFunctionError), ReportBatchFailures: slices.Contains(p.FunctionResponseTypes, "ReportBatchItemFailures"),
	}
	table, err := r.owner(p.EventSourceArn)
	if err != nil {
		return err
	}
	if r.resources[table].Type != "AWS::DynamoDB::Table" {
		return fmt.Errorf("the local stack feeds functions from tables only, not from %s, a %s", table, r.resources[table].Type)
	}
	source.Table = r.attributes[table][""]
	function, err := r.owner(p.FunctionName)
	if err != nil {
		return err
	}
	source.Function = functionName(function)
	if destination := p.DestinationConfig.OnFailure.Destination; destination != "" {
		queue, err := r.owner(destination)
		if err != nil {
			return err
		}
		if r.resources[queue].Type != "AWS::SQS::Queue" {
			return fmt.Errorf("failed batches go to a queue, not to %s, a %s", queue, r.resources[queue].Type)
		}
		source.OnFailureQueue = r.attributes[queue]["QueueName"]
	}
	s.Sources = append(s.Sources, source)
	return nil
}

// owner is the logical id of the resource that a name or an ARN belongs to.
func (r *resolver) owner(value string) (string, error) {
	for id, attributes := range r.attributes {
		for _, v := range attributes {
			if v == value {
				return id, nil
			}
		}
	}
	return "", fmt.Errorf("nothing in the template is called %q", value)
}

func into(target any, properties map[string]any) error {
	encoded, err := json.Marshal(properties)
	if err != nil {
		return err
	}
	return json.Unmarshal(encoded, target)
}

func intoStrictly(target any, properties map[string]any) error {
	encoded, err := json.Marshal(properties)
	if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(encoded)))
	d.DisallowUnknownFields()
	return d.Decode(target)
}

// CloudFormation takes numbers and booleans as strings too, and parameters
// make strings of them.
type (
	Number  float64
	Boolean bool
)

func (n *Number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil {
		return fmt.Errorf("%s is not a number", b)
	}
	*n = Number(f)
	return nil
}

func (v *Boolean) UnmarshalJSON(b []byte) error {
	parsed, err := strconv.ParseBool(strings.Trim(string(b), `"`))
	if err != nil {
		return fmt.Errorf("%s is neither true nor false", b)
	}
	*v = Boolean(parsed)
	return nil
}
