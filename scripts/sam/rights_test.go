package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/avow-consent/avow/scripts/local/cfn"
)

const roles = `{"Resources":{"CollectRole":{"Properties":{"Policies":[{"PolicyDocument":{"Statement":[
  {"Action":"dynamodb:PutItem","Resource":{"Fn::GetAtt":["EventsTable","Arn"]}},
  {"Action":["dynamodb:GetItem"],"Resource":[{"Fn::GetAtt":["KeysTable","Arn"]},{"Fn::GetAtt":["SitesTable","Arn"]}]},
  {"Action":"dynamodb:Query","Resource":{"Fn::Sub":"${EventsTable.Arn}/index/Listing"}},
  {"Action":"s3:PutObject","Resource":{"Fn::Sub":"${ProofsBucket.Arn}/forms/*"}},
  {"Action":"secretsmanager:GetSecretValue","Resource":[{"Ref":"PseudonymSecret"},{"Fn::Sub":"arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${AWS::StackName}/subject-token/*"}]},
  {"Action":"states:DescribeExecution","Resource":{"Fn::Sub":"arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${AWS::StackName}-request:*"}},
  {"Action":"states:SendTaskSuccess","Resource":"*"},
  {"Action":"ses:SendEmail","Resource":[{"Fn::Sub":"arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:configuration-set/${MailConfigurationSet}"},{"Fn::Sub":"arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/${MailIdentity}"}]},
  {"Action":["dynamodb:GetRecords","dynamodb:ListStreams"],"Resource":{"Fn::GetAtt":["EventsTable","StreamArn"]}},
  {"Action":"logs:PutLogEvents","Resource":{"Fn::GetAtt":["CollectLogGroup","Arn"]}}
]}}]}}}}`

func testStack() *stack {
	return &stack{keys: map[string]string{"SigningKey": "arn:aws:kms:r:0:key/k"}, Stack: &cfn.Stack{
		Tables:  []cfn.Table{{ID: "EventsTable", Name: "sam-events"}, {ID: "KeysTable", Name: "sam-keys"}, {ID: "SitesTable", Name: "sam-sites"}},
		Buckets: []cfn.Bucket{{ID: "ProofsBucket", Name: "sam-proofs"}},
		Keys:    []cfn.SigningKey{{ID: "SigningKey", Alias: "alias/sam-signing"}},
		Senders: []cfn.Sender{{ID: "MailConfigurationSet", Name: "sam-set"}},
		Secrets: []cfn.Secret{{ID: "PseudonymSecret", Name: "sam-secret"}},
	}}
}

func parse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	const table, secrets = "DynamoDB_20120810.", "secretsmanager."
	for name, tt := range map[string]struct {
		method, path, target, body string
		want                       []right
	}{
		"item":        {"POST", "/", table + "PutItem", `{"TableName":"sam-events"}`, []right{{"dynamodb:PutItem", "EventsTable"}}},
		"index":       {"POST", "/", table + "Query", `{"TableName":"sam-events","IndexName":"Listing"}`, []right{{"dynamodb:Query", "EventsTable/index/Listing"}}},
		"batch":       {"POST", "/", table + "BatchGetItem", `{"RequestItems":{"sam-keys":{}}}`, []right{{"dynamodb:BatchGetItem", "KeysTable"}}},
		"transaction": {"POST", "/", table + "TransactWriteItems", `{"TransactItems":[{"Put":{"TableName":"sam-keys"}},{"ConditionCheck":{"TableName":"sam-sites"}}]}`, []right{{"dynamodb:PutItem", "KeysTable"}, {"dynamodb:ConditionCheckItem", "SitesTable"}}},
		"secret":      {"POST", "/", secrets + "GetSecretValue", `{"SecretId":"arn:aws:secretsmanager:r:0:secret:sam-secret"}`, []right{{"secretsmanager:GetSecretValue", "PseudonymSecret"}}},
		"put object":  {"PUT", "/sam-proofs/forms/a/b", "", ``, []right{{"s3:PutObject", "ProofsBucket/forms/a/b"}}},
		"get object":  {"GET", "/sam-proofs/forms/a", "", ``, []right{{"s3:GetObject", "ProofsBucket/forms/a"}}},
		"read bucket": {"GET", "/sam-proofs", "", ``, []right{{"s3:GETBucket", "ProofsBucket"}}},
		"list bucket": {"GET", "/sam-proofs?list-type=2&prefix=a", "", ``, []right{{"s3:ListBucket", "ProofsBucket"}}},
		"versions":    {"GET", "/sam-proofs?versions&prefix=a", "", ``, []right{{"s3:ListBucketVersions", "ProofsBucket"}}},
		"version":     {"DELETE", "/sam-proofs/a?versionId=1", "", ``, []right{{"s3:DeleteObjectVersion", "ProofsBucket/a"}}},
		"many":        {"POST", "/sam-proofs?delete", "", `<Delete><Object><Key>a</Key><VersionId>1</VersionId>`, []right{{"s3:DeleteObjectVersion", "ProofsBucket/*"}}},
		"uploads":     {"GET", "/sam-proofs?uploads", "", ``, []right{{"s3:ListBucketMultipartUploads", "ProofsBucket"}}},
		"upload":      {"POST", "/sam-proofs/a?uploads", "", ``, []right{{"s3:PutObject", "ProofsBucket/a"}}},
		"parts":       {"GET", "/sam-proofs/a?uploadId=1", "", ``, []right{{"s3:ListMultipartUploadParts", "ProofsBucket/a"}}},
		"no upload":   {"DELETE", "/sam-proofs/a?uploadId=1", "", ``, []right{{"s3:AbortMultipartUpload", "ProofsBucket/a"}}},
		"sign":        {"POST", "/", "TrentService.Sign", `{"KeyId":"arn:aws:kms:r:0:key/k"}`, []right{{"kms:Sign", "SigningKey"}}},
		"public key":  {"POST", "/", "TrentService.GetPublicKey", `{"KeyId":"alias/sam-signing"}`, []right{{"kms:GetPublicKey", "SigningKey"}}},
		"run":         {"POST", "/", "AWSStepFunctions.StartExecution", `{"stateMachineArn":"arn:aws:states:r:0:stateMachine:sam-request"}`, []right{{"states:StartExecution", "stateMachine:sam-request"}}},
		"look":        {"POST", "/", "AWSStepFunctions.DescribeExecution", `{"executionArn":"arn:aws:states:r:0:execution:sam-request:a-1"}`, []right{{"states:DescribeExecution", "execution:sam-request:a-1"}}},
		"token":       {"POST", "/", "AWSStepFunctions.SendTaskSuccess", `{"taskToken":"x"}`, []right{{"states:SendTaskSuccess", "token"}}},
		"letter": {"POST", "/v2/email/outbound-emails", "", `{"FromEmailAddress":"A <a@shop.example>","ConfigurationSetName":"sam-set"}`,
			[]right{{"ses:SendEmail", "identity/shop.example"}, {"ses:SendEmail", "configuration-set/MailConfigurationSet"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := testStack().needs(tt.method, parse(t, tt.path), tt.target, []byte(tt.body))
			if err != nil || fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("needs %v, %v; want %v", got, err, tt.want)
			}
		})
	}
	for target, body := range map[string]string{"AmazonSQS.SendMessage": `{}`, table + "ListTables": `{}`, table + "PutItem": `oops`} {
		if got, err := testStack().needs("POST", parse(t, "/"), target, []byte(body)); err == nil {
			t.Errorf("%s %s needs %v, want an error", target, body, got)
		}
	}
}

func TestRightFindings(t *testing.T) {
	t.Parallel()
	everything := []right{
		{"dynamodb:PutItem", "EventsTable"}, {"dynamodb:GetItem", "KeysTable"}, {"dynamodb:GetItem", "SitesTable"},
		{"dynamodb:Query", "EventsTable/index/Listing"}, {"s3:PutObject", "ProofsBucket/forms/x"},
		{"states:DescribeExecution", "execution:sam-request:a-1"}, {"states:SendTaskSuccess", "token"},
		{"ses:SendEmail", "identity/shop.example"}, {"ses:SendEmail", "configuration-set/MailConfigurationSet"},
		{"secretsmanager:GetSecretValue", "PseudonymSecret"}, {"secretsmanager:GetSecretValue", "sam/subject-token/site/key"},
	}
	for name, tt := range map[string]struct {
		used []right
		want []string
	}{
		"exactly":          {everything, nil},
		"another table":    {append(everything, right{"dynamodb:PutItem", "KeysTable"}), []string{"did dynamodb:PutItem on KeysTable"}},
		"another action":   {append(everything, right{"dynamodb:UpdateItem", "EventsTable"}), []string{"did dynamodb:UpdateItem on EventsTable"}},
		"table, no index":  {append(everything, right{"dynamodb:Query", "EventsTable"}), []string{"did dynamodb:Query on EventsTable"}},
		"another prefix":   {append(everything, right{"s3:PutObject", "ProofsBucket/content/x"}), []string{"did s3:PutObject on ProofsBucket/content/x"}},
		"a right too many": {everything[1:], []string{"allows dynamodb:PutItem on EventsTable, which no"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			used := map[right]bool{}
			for _, u := range tt.used {
				used[u] = true
			}
			found, err := rightFindings([]byte(roles), cfn.Function{ID: "CollectFunction"}, used)
			if err != nil || len(found) != len(tt.want) {
				t.Fatalf("found %v, %v; want %q", found, err, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(found[i].Error(), want) {
					t.Errorf("found %v, want %q", found[i], want)
				}
			}
		})
	}
	if _, err := rightFindings([]byte(roles), cfn.Function{ID: "GhostFunction"}, nil); err == nil {
		t.Error("a function without a role passes")
	}
}

// TestMissing: who is told that an object does not exist needs a right for it.
func TestMissing(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		method, path string
		status       int
		want         string
	}{
		"missing":        {"GET", "/sam-proofs/forms/a", 404, "map[s3:ListBucket on ProofsBucket:true]"},
		"there":          {"GET", "/sam-proofs/forms/a", 200, "map[]"},
		"not an object":  {"GET", "/sam-proofs?versions", 404, "map[]"},
		"not a question": {"DELETE", "/sam-proofs/forms/a", 404, "map[]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{stack: testStack(), used: map[right]bool{}}
			err := r.missing(&http.Response{StatusCode: tt.status, Request: &http.Request{Method: tt.method, URL: parse(t, tt.path)}})
			if got := fmt.Sprint(r.used); err != nil || got != tt.want {
				t.Errorf("%s, %v; want %s", got, err, tt.want)
			}
		})
	}
}
