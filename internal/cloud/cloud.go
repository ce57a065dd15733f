// Package cloud is what the adapters of AWS services share: one configuration
// with time-outs and bounded retries, and one translation of their failures.
package cloud

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/avow-consent/avow/internal/errs"
)

// The bounds of one call: each attempt ends after AttemptTimeout, and there are
// at most Attempts of them with at most MaxBackoff between two.
const (
	AttemptTimeout = 3 * time.Second
	Attempts       = 4
	MaxBackoff     = 500 * time.Millisecond
)

// Load reads region, credentials and endpoints from the standard environment of
// the SDK, so that the same binary runs in AWS, under SAM and on the local
// stack.
func Load(ctx context.Context) (aws.Config, error) {
	return config.LoadDefaultConfig(ctx,
		config.WithRetryer(Retryer),
		config.WithLogger(logging.Nop{}), // it writes lines of its own form; failures reach the request's line by Fault
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(AttemptTimeout)),
	)
}

// Retryer is the retry policy of every call: the SDK's own, and an answer that
// could not be read, because its connection broke halfway, is asked for again.
// Every write states its condition, so it may have been done already.
func Retryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = Attempts
		o.MaxBackoff = MaxBackoff
		o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			if unread(err) {
				return aws.TrueTernary
			}
			return aws.UnknownTernary
		}))
	})
}

// unread reports whether an answer has come that could not be read.
func unread(err error) bool {
	var cut *smithy.DeserializationError
	return errors.As(err, &cut)
}

// Fault translates the failure of an operation, named like "dynamodb PutItem".
// A failure that may pass becomes Unavailable, everything else Internal. The
// text names operation and error code only: AWS may quote item content.
func Fault(operation string, err error) error {
	var api smithy.APIError
	var response *awshttp.ResponseError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &api) && !passing(err):
		return errs.Wrap(errs.Internal, err, "%s: %s", operation, api.ErrorCode())
	case errors.As(err, &api):
		return errs.Wrap(errs.Unavailable, err, "%s: %s", operation, api.ErrorCode())
	case unread(err):
		return errs.Wrap(errs.Unavailable, err, "%s: unreadable answer", operation)
	case errors.As(err, &response) && response.HTTPStatusCode() != 0: // 0: nothing came back
		return errs.Wrap(errs.Unavailable, err, "%s: status %d", operation, response.HTTPStatusCode())
	case errors.Is(err, context.Canceled):
		return errs.Wrap(errs.Unavailable, err, "%s: canceled", operation)
	default:
		return errs.Wrap(errs.Unavailable, err, "%s: no answer", operation)
	}
}

// passing reports whether the SDK itself would have tried again.
func passing(err error) bool {
	var response *awshttp.ResponseError
	if errors.As(err, &response) && response.HTTPStatusCode() >= http.StatusInternalServerError {
		return true
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}
