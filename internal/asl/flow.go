package asl

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/avow-consent/avow/internal/errs"
)

// Flow is the machine of requests as the functions see it: what internal/flow
// is to AWS.
type Flow struct {
	e       *Engine
	machine string
}

// Flow returns the machine with the given ARN.
func (e *Engine) Flow(machineARN string) *Flow { return &Flow{e: e, machine: machineARN} }

// Start runs the machine for a request; see flow.Machine.
func (f *Flow) Start(_ context.Context, request, name string) (string, error) {
	arn, err := f.e.Start(f.machine, name, encode(map[string]any{"request": request}))
	var failure *Failure
	switch {
	case errors.As(err, &failure) && failure.Name == "ExecutionAlreadyExists":
		return "", errs.Wrap(errs.Conflict, err, "an execution of this name has ended already")
	case err != nil:
		return "", errs.Wrap(errs.Internal, err, "states StartExecution")
	}
	return arn, nil
}

// Alive reports whether an execution runs.
func (f *Flow) Alive(_ context.Context, execution string) (bool, error) {
	return f.e.Status(execution) == Running, nil
}

// Succeed answers a token with an outcome; false: too late.
func (f *Flow) Succeed(_ context.Context, token, outcome string) (bool, error) {
	output, err := json.Marshal(map[string]string{"outcome": outcome})
	if err != nil {
		return false, errs.Wrap(errs.Internal, err, "encoding an outcome")
	}
	return f.e.Succeed(token, string(output)), nil
}

// Stop ends an execution, if it runs.
func (f *Flow) Stop(_ context.Context, execution string) error {
	f.e.Stop(execution)
	return nil
}
