// Package invoke is the door of the functions that state machines call: one JSON
// payload in, one small JSON result out, and errors that a machine can tell
// apart by the names of their kinds.
package invoke

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// names are the error names that the machines' Retry and Catch know, by kind.
var names = map[errs.Kind]string{
	errs.Unavailable: "Unavailable",
	errs.Conflict:    "Conflict",
	errs.NotFound:    "NotFound",
	errs.Invalid:     "Invalid",
	errs.Forbidden:   "Forbidden",
}

// Handler serves invocations. An error leaves with the name of its kind and
// without its text: Step Functions keeps both in the history of the execution.
func Handler(serve func(context.Context, request.Payload) (request.Result, error)) lambda.Handler {
	return lambda.NewHandler(func(ctx context.Context, p request.Payload) (*request.Result, error) {
		out, err := serve(ctx, p)
		if err != nil {
			return nil, Error(err)
		}
		return &out, nil
	})
}

// Error is how an error looks to a state machine.
func Error(err error) error {
	name, ok := names[errs.KindOf(err)]
	if !ok {
		name = "Internal"
	}
	return messages.InvokeResponse_Error{Type: name, Message: "see the log of the function"}
}
