package awstest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/avow-consent/avow/internal/awstest"
)

func TestNew_isolated(t *testing.T) {
	t.Parallel()
	one, two := awstest.New(t), awstest.New(t)
	if one.Getenv("KEYS_TABLE") == two.Getenv("KEYS_TABLE") {
		t.Fatalf("both have the table %s", one.Getenv("KEYS_TABLE"))
	}
	put := &dynamodb.PutItemInput{
		TableName: aws.String(one.Getenv("KEYS_TABLE")),
		Item:      map[string]types.AttributeValue{"key": &types.AttributeValueMemberS{Value: "k"}},
	}
	if _, err := dynamodb.NewFromConfig(one.Config).PutItem(t.Context(), put); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		env  *awstest.Env
		want int32
	}{{one, 1}, {two, 0}} {
		out, err := dynamodb.NewFromConfig(tt.env.Config).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(tt.env.Getenv("KEYS_TABLE"))})
		if err != nil || out.Count != tt.want {
			t.Errorf("Scan of %s: %d items, %v; want %d", tt.env.Getenv("KEYS_TABLE"), out.Count, err, tt.want)
		}
	}
}

// Components load the default configuration; the names are those of the
// template.
func TestNew_defaultConfig(t *testing.T) {
	t.Parallel()
	e := awstest.New(t)
	cfg, err := config.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	getenv := e.Function("collect")
	if _, err := s3.NewFromConfig(cfg).PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(getenv("PROOFS_BUCKET")), Key: aws.String("form/a b"), Body: strings.NewReader("<form>"),
	}); err != nil {
		t.Error(err)
	}
	secret, err := secretsmanager.NewFromConfig(cfg).GetSecretValue(t.Context(), &secretsmanager.GetSecretValueInput{
		SecretId: aws.String(getenv("PSEUDONYM_SECRET")),
	})
	if err != nil || len(*secret.SecretString) < 32 {
		t.Errorf("GetSecretValue: %v, %v", secret, err)
	}
}

func TestWith_brokenTransport(t *testing.T) {
	t.Parallel()
	lost := errors.New("connection lost")
	e := awstest.New(t).With(func(http.RoundTripper) http.RoundTripper {
		return transport(func(*http.Request) (*http.Response, error) { return nil, lost })
	})
	e.Config.RetryMaxAttempts = 1
	_, err := dynamodb.NewFromConfig(e.Config).Scan(t.Context(), &dynamodb.ScanInput{TableName: aws.String(e.Getenv("KEYS_TABLE"))})
	if !errors.Is(err, lost) {
		t.Errorf("Scan: %v, want %v", err, lost)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		awstest.New(b)
	}
}
