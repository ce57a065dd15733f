package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/avow-consent/avow/scripts/local/cfn"
)

// A right is an action on a resource, as IAM has it. Resources are written with
// logical ids: "EventsTable/index/Listing", "ProofsBucket/content/*".
type right struct{ action, resource string }

func (r right) String() string { return r.action + " on " + r.resource }

// roleRights are the rights that the template gives to a function's role, for
// the services that the emulator stands for. Emulators let everybody do
// everything; this is what AWS would let the function do.
func roleRights(expanded []byte, function string) ([]right, error) {
	var doc struct {
		Resources map[string]struct {
			Properties struct {
				Policies []struct {
					PolicyDocument struct{ Statement []json.RawMessage }
				}
			}
		}
	}
	if err := json.Unmarshal(expanded, &doc); err != nil {
		return nil, err
	}
	role, ok := doc.Resources[strings.TrimSuffix(function, "Function")+"Role"]
	if !ok {
		return nil, fmt.Errorf("%s has no role", function)
	}
	var rights []right
	for _, policy := range role.Properties.Policies {
		for _, text := range policy.PolicyDocument.Statement {
			var statement struct{ Action, Resource any }
			if err := json.Unmarshal(text, &statement); err != nil {
				return nil, err
			}
			for _, action := range list(statement.Action) {
				for _, resource := range list(statement.Resource) {
					rights = append(rights, right{fmt.Sprint(action), logical(resource)})
				}
			}
		}
	}
	return rights, nil
}

func list(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

var arnOf = regexp.MustCompile(`\$\{(\w+)\.Arn\}`)

// logical writes the resource of a statement with logical ids.
func logical(v any) string {
	m, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprint(v)
	}
	if id, ok := m["Ref"].(string); ok {
		return id
	}
	if attribute, ok := m["Fn::GetAtt"].([]any); ok && len(attribute) == 2 {
		return strings.TrimSuffix(fmt.Sprintf("%v.%v", attribute...), ".Arn")
	}
	if text, ok := m["Fn::Sub"].(string); ok {
		text = strings.NewReplacer("${AWS::StackName}", stackName, "${MailIdentity}", "*", "${MailConfigurationSet}", "MailConfigurationSet").Replace(text)
		return arnOf.ReplaceAllString(named(text), "$1")
	}
	return fmt.Sprint(m)
}

// account is how the template begins an ARN whose resource it names itself.
var account = regexp.MustCompile(`^arn:\$\{AWS::Partition\}:(\w+):\$\{AWS::Region\}:\$\{AWS::AccountId\}:`)

// named is what an ARN ends with that the template writes out: the name of a
// secret, "stateMachine:sam-request", "identity/*".
func named(arn string) string {
	return strings.TrimPrefix(account.ReplaceAllString(arn, ""), "secret:")
}

func allows(rights []right, used right) bool {
	return slices.ContainsFunc(rights, func(r right) bool {
		// The six characters that end a secret's ARN do not belong to its name.
		before, after, wild := strings.Cut(strings.TrimSuffix(r.resource, "-??????"), "*")
		if wild {
			return r.action == used.action && len(used.resource) >= len(before)+len(after) &&
				strings.HasPrefix(used.resource, before) && strings.HasSuffix(used.resource, after)
		}
		return r == used
	})
}

// A recorder stands between a function and the emulator and notes which rights
// the function's calls need.
type recorder struct {
	stack *stack
	url   string
	http  *http.Server
	mu    sync.Mutex
	used  map[right]bool
}

func (s *stack) record() (*recorder, error) {
	target, err := url.Parse(s.front.URL)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &recorder{stack: s, url: "http://" + l.Addr().String(), used: map[right]bool{}}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ModifyResponse = r.missing
	r.http = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.note(req); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		proxy.ServeHTTP(w, req)
	})}
	go func() { _ = r.http.Serve(l) }()
	return r, nil
}

func (r *recorder) close() { _ = r.http.Shutdown(context.Background()) }

// note reads from a request what it does.
func (r *recorder) note(req *http.Request) error {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	needed, err := r.stack.needs(req.Method, req.URL, req.Header.Get("X-Amz-Target"), body)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range needed {
		r.used[n] = true
	}
	return nil
}

// missing notes that a function was told of an object that does not exist: AWS
// says so only to those who may list the bucket, and 403 to everybody else.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
func (r *recorder) missing(res *http.Response) error {
	method := res.Request.Method
	if res.StatusCode != http.StatusNotFound || method != http.MethodGet && method != http.MethodHead {
		return nil
	}
	needed, err := r.stack.needsOfObjects(method, res.Request.URL, nil)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range needed {
		if bucket, _, isObject := strings.Cut(n.resource, "/"); isObject {
			r.used[right{"s3:ListBucket", bucket}] = true
		}
	}
	return nil
}

// needs are the rights that AWS would ask for.
func (s *stack) needs(method string, u *url.URL, target string, body []byte) ([]right, error) {
	service, operation, _ := strings.Cut(target, ".")
	switch {
	case strings.HasPrefix(service, "DynamoDB"):
		return s.needsOfTables(operation, body)
	case service == "secretsmanager":
		var in struct{ SecretId string }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		return []right{{"secretsmanager:" + operation, s.secretOf(in.SecretId)}}, nil
	case service == "TrentService":
		var in struct{ KeyId string }
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, err
		}
		return []right{{"kms:" + operation, s.keyOf(in.KeyId)}}, nil
	case service == "AWSStepFunctions":
		return needsOfMachines(operation, body)
	case target != "":
		return nil, fmt.Errorf("the recorder does not know %s", target)
	case u.Path == "/v2/email/outbound-emails":
		return s.needsOfMail(body)
	}
	return s.needsOfObjects(method, u, body)
}

// needsOfObjects reads a call of S3.
func (s *stack) needsOfObjects(method string, u *url.URL, body []byte) ([]right, error) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	for _, b := range s.Buckets {
		if b.Name == bucket {
			bucket = b.ID
		}
	}
	query := u.Query()
	if key == "" {
		switch {
		case method == http.MethodGet && query.Has("versions"):
			return []right{{"s3:ListBucketVersions", bucket}}, nil
		case method == http.MethodGet && query.Has("uploads"):
			return []right{{"s3:ListBucketMultipartUploads", bucket}}, nil
		case method == http.MethodGet && query.Has("list-type"):
			return []right{{"s3:ListBucket", bucket}}, nil
		case method == http.MethodPost && query.Has("delete"):
			needed := []right{{"s3:DeleteObject", bucket + "/*"}}
			if bytes.Contains(body, []byte("<VersionId>")) {
				needed = []right{{"s3:DeleteObjectVersion", bucket + "/*"}}
			}
			return needed, nil
		}
		return []right{{"s3:" + method + "Bucket", bucket}}, nil
	}
	action := map[string]string{"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "DELETE": "DeleteObject", "POST": "PutObject"}[method]
	switch {
	case method == http.MethodGet && query.Has("uploadId"):
		action = "ListMultipartUploadParts"
	case method == http.MethodDelete && query.Has("uploadId"):
		action = "AbortMultipartUpload"
	case method == http.MethodDelete && query.Has("versionId"):
		action = "DeleteObjectVersion"
	}
	return []right{{"s3:" + action, path.Join(bucket, key)}}, nil
}

// needsOfMachines reads a call of Step Functions.
func needsOfMachines(operation string, body []byte) ([]right, error) {
	var in struct{ StateMachineArn, ExecutionArn, TaskToken string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	resource := "token"
	if arn := in.StateMachineArn + in.ExecutionArn; arn != "" {
		parts := strings.SplitN(arn, ":", 6)
		resource = parts[len(parts)-1]
	}
	return []right{{"states:" + operation, resource}}, nil
}

// needsOfMail reads a letter: sending needs a right on its sender and one on its
// configuration set.
func (s *stack) needsOfMail(body []byte) ([]right, error) {
	var in struct{ FromEmailAddress, ConfigurationSetName string }
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(in.FromEmailAddress, "@")
	needed := []right{{"ses:SendEmail", "identity/" + strings.TrimSuffix(domain, ">")}}
	for _, sender := range s.Senders {
		if sender.Name == in.ConfigurationSetName {
			return append(needed, right{"ses:SendEmail", "configuration-set/" + sender.ID}), nil
		}
	}
	return nil, fmt.Errorf("a letter is sent without the configuration set that reports bounces")
}

// needsOfTables reads a call of DynamoDB. A transaction needs the rights of its
// parts.
func (s *stack) needsOfTables(operation string, body []byte) ([]right, error) {
	type part struct{ TableName, IndexName string }
	var in struct {
		part
		RequestItems  map[string]json.RawMessage
		TransactItems []map[string]part
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	var needed []right
	for _, item := range in.TransactItems {
		for kind, p := range item {
			action := map[string]string{"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem", "Get": "GetItem"}[kind]
			needed = append(needed, right{"dynamodb:" + action, s.tableOf(p.TableName)})
		}
	}
	for table := range in.RequestItems {
		needed = append(needed, right{"dynamodb:" + operation, s.tableOf(table)})
	}
	switch {
	case in.IndexName != "":
		needed = append(needed, right{"dynamodb:" + operation, s.tableOf(in.TableName) + "/index/" + in.IndexName})
	case in.TableName != "":
		needed = append(needed, right{"dynamodb:" + operation, s.tableOf(in.TableName)})
	}
	if len(needed) == 0 {
		return nil, fmt.Errorf("the recorder does not know what dynamodb:%s is about", operation)
	}
	return needed, nil
}

func (s *stack) tableOf(name string) string {
	for _, t := range s.Tables {
		if t.Name == name {
			return t.ID
		}
	}
	return name
}

func (s *stack) keyOf(id string) string {
	for _, k := range s.Keys {
		if k.Alias == id || s.keys[k.ID] == id {
			return k.ID
		}
	}
	return id
}

func (s *stack) secretOf(id string) string {
	for _, secret := range s.Secrets {
		if strings.HasSuffix(id, ":"+secret.Name) || id == secret.Name {
			return secret.ID
		}
	}
	return id
}

// rightFindings compares what a function did with what its role lets it do:
// calls that AWS would refuse, and rights that no sample event needed.
func rightFindings(expanded []byte, f cfn.Function, used map[right]bool) ([]error, error) {
	rights, err := roleRights(expanded, f.ID)
	if err != nil {
		return nil, err
	}
	var found []error
	calls := slices.SortedFunc(maps.Keys(used), func(a, b right) int { return strings.Compare(a.String(), b.String()) })
	for _, u := range calls {
		if !allows(rights, u) {
			found = append(found, fmt.Errorf("%s did %s, which its role does not allow", f.ID, u))
		}
	}
	for _, r := range rights {
		if seen(r) && !slices.Contains(rare[f.ID], r) && !slices.ContainsFunc(calls, func(u right) bool { return allows([]right{r}, u) }) {
			found = append(found, fmt.Errorf("%s: its role allows %s, which no sample event needs", f.ID, r))
		}
	}
	return found, nil
}

// rare are rights that are needed where no sample event leads.
var rare = map[string][]right{
	"ProjectFunction": {
		{"dynamodb:GetItem", "EventsTable"}, // for a person with more events than a fold reads
		{"dynamodb:PutItem", "OutboxTable"}, // for a consent that waits for its confirmation
	},
	// ListBucket is for what an event names and an erasure has deleted (recorder.missing).
	"EraseFunction": append(messages("GetItem", "Query", "UpdateItem", "DeleteItem"), right{"s3:ListBucket", "ProofsBucket"}),
	"StepsFunction": append(messages("GetItem", "Query", "PutItem"), right{"s3:ListBucket", "ProofsBucket"}, outboxed),
	// Where vendors answer, TestRoles_vendors goes; the sites are listed for what a
	// poll has found, minutes after the first.
	"PropagateFunction": {{"dynamodb:Scan", "SitesTable"}},
	// For more choices than an event holds.
	"PreferencesFunction": {{"s3:PutObject", "ProofsBucket/content/*"}},
	"ApiFunction":         append(messages("PutItem"), outboxed, right{"s3:ListBucket", "ProofsBucket"}),
	"RequestsFunction":    append(messages("GetItem", "PutItem"), outboxed, right{"dynamodb:GetItem", "EventsTable"}, right{"dynamodb:Query", "EventsTable"}),
	"SweepFunction":       append(messages("GetItem", "PutItem"), outboxed),
}

// outboxed is what somebody needs who has a message sent.
var outboxed = right{"dynamodb:PutItem", "OutboxTable"}

// messages are rights that are needed once somebody has written by WhatsApp.
func messages(actions ...string) (list []right) {
	for _, a := range actions {
		list = append(list, right{"dynamodb:" + a, "MessagesTable"})
	}
	return list
}

// elsewhere are functions of which no sample event shows what they need, because
// it takes vendors that answer: TestRoles_vendors compares both ways.
var elsewhere = []string{"PropagateFunction", "WebhookFunction"}

// seen reports whether the recorder would see a right being used: the service
// is emulated, and it is the function that calls it, not Lambda itself, which
// reads streams and writes logs in the function's name.
func seen(r right) bool {
	service, action, _ := strings.Cut(r.action, ":")
	return slices.Contains([]string{"dynamodb", "kms", "s3", "secretsmanager", "ses", "states"}, service) &&
		!strings.Contains(action, "Stream") && action != "GetRecords" && action != "GetShardIterator"
}
