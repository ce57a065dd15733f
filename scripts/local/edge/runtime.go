package edge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/uuid"
)

// The account and region that local ARNs name; the emulator uses the same.
const (
	Account = "000000000000"
	Region  = "eu-central-1"
)

// Lambda's limits for a synchronous call, in each direction (documented: Lambda quotas).
const maxPayload = 6291556

const defaultTimeout = 3 * time.Second

// ARN is that of a local function.
func ARN(function string) string {
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", Region, Account, function)
}

// A FunctionError is a failed call, as Lambda reports it to the caller. Its message may quote what the
// function was given.
type FunctionError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (e *FunctionError) Error() string { return e.Type + ": " + e.Message }

// Runtime gives each call of h what the Lambda service gives it: a context with request id (the caller's
// own, if its context has one), ARN and deadline, a limit on the result, and errors, panics included, as
// *FunctionError. A call that is not done at the deadline fails, although h itself cannot be stopped and
// may go on. A timeout of 0 is 3 s. What is a Runtime already is returned as it is.
func Runtime(name string, timeout time.Duration, h lambda.Handler) lambda.Handler {
	if _, ok := h.(*runtime); ok || h == nil {
		return h
	}
	if timeout == 0 {
		timeout = defaultTimeout
	}
	return &runtime{name, timeout, h}
}

type runtime struct {
	name    string
	timeout time.Duration
	handler lambda.Handler
}

// Invoke calls the function.
func (r *runtime) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	id := uuid.NewString()
	if caller, ok := lambdacontext.FromContext(ctx); ok {
		id = caller.AwsRequestID
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	ctx = lambdacontext.NewContext(ctx, &lambdacontext.LambdaContext{AwsRequestID: id, InvokedFunctionArn: ARN(r.name)})
	type result struct {
		out []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		var res result
		defer func() {
			if v := recover(); v != nil {
				res = result{nil, &FunctionError{typeName(v), fmt.Sprint(v)}}
			}
			done <- res
		}()
		res.out, res.err = r.handler.Invoke(ctx, payload)
	}()
	select {
	case res := <-done:
		switch {
		case res.err != nil:
			return nil, asError(res.err)
		case len(res.out) > maxPayload:
			return nil, &FunctionError{"Function.ResponseSizeTooLarge", fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxPayload)}
		case !json.Valid(res.out):
			return nil, &FunctionError{"Runtime.InvalidResponse", "the function returned no JSON"}
		}
		return res.out, nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, &FunctionError{"Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", id, r.timeout.Seconds())}
		}
		return nil, ctx.Err()
	}
}

// asError names an error as the Go runtime of Lambda does: by its type.
func asError(err error) *FunctionError {
	if f := (*FunctionError)(nil); errors.As(err, &f) {
		return f
	}
	if named := (messages.InvokeResponse_Error{}); errors.As(err, &named) { // the runtime takes it as it is
		return &FunctionError{named.Type, named.Message}
	}
	return &FunctionError{typeName(err), err.Error()}
}

func typeName(v any) string {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Name()
}
