package cloud_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
)

// failure is what the SDK returns when a service answered with a status.
func failure(status int, err error) error {
	return &smithy.OperationError{ServiceID: "DynamoDB", OperationName: "PutItem", Err: &awshttp.ResponseError{
		RequestID: "r", ResponseError: &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err},
	}}
}

func code(c string) error {
	return &smithy.GenericAPIError{Code: c, Message: "Item of ines@example.test"}
}

func TestFault(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err  error
		kind errs.Kind
		text string
	}{
		"throttled":            {failure(400, code("ThrottlingException")), errs.Unavailable, "dynamodb PutItem: ThrottlingException"},
		"throughput exceeded":  {failure(400, code("ProvisionedThroughputExceededException")), errs.Unavailable, "dynamodb PutItem: ProvisionedThroughputExceededException"},
		"request limit":        {failure(400, code("RequestLimitExceeded")), errs.Unavailable, "dynamodb PutItem: RequestLimitExceeded"},
		"slow down":            {failure(503, code("SlowDown")), errs.Unavailable, "dynamodb PutItem: SlowDown"},
		"internal":             {failure(500, code("InternalServerError")), errs.Unavailable, "dynamodb PutItem: InternalServerError"},
		"gateway without code": {failure(502, errors.New("ines@example.test")), errs.Unavailable, "dynamodb PutItem: status 502"},
		"our mistake":          {failure(400, code("ValidationException")), errs.Internal, "dynamodb PutItem: ValidationException"},
		"no permission":        {failure(400, code("AccessDeniedException")), errs.Internal, "dynamodb PutItem: AccessDeniedException"},
		"no table":             {failure(400, code("ResourceNotFoundException")), errs.Internal, "dynamodb PutItem: ResourceNotFoundException"},
		"refused":              {failure(0, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), errs.Unavailable, "dynamodb PutItem: no answer"},
		"reset":                {&url.Error{Op: "Post", URL: "https://ines@example.test", Err: syscall.ECONNRESET}, errs.Unavailable, "dynamodb PutItem: no answer"},
		"time-out":             {os.ErrDeadlineExceeded, errs.Unavailable, "dynamodb PutItem: no answer"},
		"deadline":             {context.DeadlineExceeded, errs.Unavailable, "dynamodb PutItem: no answer"},
		"cut off":              {io.ErrUnexpectedEOF, errs.Unavailable, "dynamodb PutItem: no answer"},
		"canceled":             {context.Canceled, errs.Unavailable, "dynamodb PutItem: canceled"},
	} {
		err := cloud.Fault("dynamodb PutItem", tt.err)
		var fault *errs.Error
		if !errors.As(err, &fault) || fault.Kind != tt.kind || fault.Message != tt.text {
			t.Errorf("%s: %v, want %s: %s", name, err, tt.kind, tt.text)
			continue
		}
		if !errors.Is(err, tt.err) || strings.Contains(err.Error(), "ines") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := cloud.Fault("x", nil); err != nil {
		t.Errorf("no failure became %v", err)
	}
}

// All attempts of a call fit into the time that a function has.
func TestRetryer(t *testing.T) {
	t.Parallel()
	const function = 15 * time.Second // template.yaml
	r := cloud.Retryer()
	if r.MaxAttempts() != cloud.Attempts {
		t.Errorf("%d attempts", r.MaxAttempts())
	}
	total := cloud.AttemptTimeout * cloud.Attempts
	for attempt := 1; attempt < cloud.Attempts; attempt++ {
		d, err := r.RetryDelay(attempt, errors.New("x"))
		if err != nil || d > cloud.MaxBackoff {
			t.Errorf("waiting %v after attempt %d, %v", d, attempt, err)
		}
		total += cloud.MaxBackoff
	}
	if total > function {
		t.Errorf("a call may take %v, a function %v", total, function)
	}
}

// cut answers with a body that ends too early, as often as it says, then whole.
type cut struct{ left int }

func (c *cut) Do(r *http.Request) (*http.Response, error) {
	body := io.Reader(strings.NewReader(`{"SecretString":"whole"}`))
	if c.left > 0 {
		c.left--
		body = io.MultiReader(strings.NewReader(`{"SecretStr`), iotest.ErrReader(io.ErrUnexpectedEOF))
	}
	return &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{}, Body: io.NopCloser(body)}, nil
}

// An answer whose connection breaks halfway is asked for again, a few times.
func TestRetryer_cut(t *testing.T) {
	t.Parallel()
	for cuts, whole := range map[int]bool{0: true, 1: true, cloud.Attempts - 1: true, cloud.Attempts: false} {
		client := secretsmanager.New(secretsmanager.Options{
			Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: &cut{left: cuts}, Retryer: cloud.Retryer(),
		})
		out, err := client.GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{SecretId: aws.String("x")})
		switch {
		case whole && (err != nil || aws.ToString(out.SecretString) != "whole"):
			t.Errorf("%d cuts: %v, %v", cuts, out, err)
		case !whole && !strings.HasSuffix(cloud.Fault("x", err).Error(), "x: unreadable answer"):
			t.Errorf("%d cuts: %v", cuts, cloud.Fault("x", err))
		}
	}
}

func TestLoad(t *testing.T) {
	t.Setenv("AWS_REGION", "eu-central-1")
	cfg, err := cloud.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok || client.GetTimeout() != cloud.AttemptTimeout {
		t.Errorf("%T", cfg.HTTPClient)
	}
	if cfg.Region != "eu-central-1" || cfg.Retryer().MaxAttempts() != cloud.Attempts {
		t.Errorf("region %q, %d attempts", cfg.Region, cfg.Retryer().MaxAttempts())
	}
}
