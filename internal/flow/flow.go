// Package flow starts and stops runs of the request machine in Step Functions,
// and tells them what was decided.
package flow

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/errs"
)

// Machine is the state machine of requests. Nothing that it sends holds
// personal data: an id in, an outcome's name to a token.
type Machine struct {
	start    cloud.Call[sfn.StartExecutionInput, sfn.StartExecutionOutput, sfn.Options]
	describe cloud.Call[sfn.DescribeExecutionInput, sfn.DescribeExecutionOutput, sfn.Options]
	succeed  cloud.Call[sfn.SendTaskSuccessInput, sfn.SendTaskSuccessOutput, sfn.Options]
	stop     cloud.Call[sfn.StopExecutionInput, sfn.StopExecutionOutput, sfn.Options]
	arn      string
}

// NewMachine returns the state machine with the given ARN. A function that only
// answers tokens may leave it empty.
func NewMachine(cfg aws.Config, arn string) *Machine {
	client := sfn.NewFromConfig(cfg)
	return &Machine{
		start: client.StartExecution, describe: client.DescribeExecution, succeed: client.SendTaskSuccess, stop: client.StopExecution,
		arn: arn,
	}
}

// Start runs the machine for a request under a name (at most 80 characters of
// [A-Za-z0-9_-]) and returns the execution's ARN. As long as that execution
// runs, a repetition returns the same one. Once it has ended its name is taken
// for 90 days: Conflict.
// https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
func (m *Machine) Start(ctx context.Context, request, name string) (string, error) {
	input, err := json.Marshal(map[string]string{"request": request})
	if err != nil {
		return "", errs.Wrap(errs.Internal, err, "encoding the input of an execution")
	}
	out, err := m.start(ctx, &sfn.StartExecutionInput{
		StateMachineArn: &m.arn, Name: &name, Input: aws.String(string(input)),
	})
	var taken *types.ExecutionAlreadyExists
	if errors.As(err, &taken) {
		return "", errs.Wrap(errs.Conflict, err, "an execution of this name has ended already")
	}
	if err != nil {
		return "", cloud.Fault("states StartExecution", err)
	}
	return aws.ToString(out.ExecutionArn), nil
}

// Alive reports whether an execution still runs. One that Step Functions does
// not know (any more) does not.
func (m *Machine) Alive(ctx context.Context, execution string) (bool, error) {
	if execution == "" {
		return false, nil
	}
	out, err := m.describe(ctx, &sfn.DescribeExecutionInput{ExecutionArn: &execution})
	var unknown *types.ExecutionDoesNotExist
	if errors.As(err, &unknown) {
		return false, nil
	}
	if err != nil {
		return false, cloud.Fault("states DescribeExecution", err)
	}
	return out.Status == types.ExecutionStatusRunning || out.Status == types.ExecutionStatusPendingRedrive, nil
}

// Succeed tells the run that waits with a token what was decided. A token that
// nobody waits with any more is no error: delivered is false, and what was
// decided stands in the table for the next run.
func (m *Machine) Succeed(ctx context.Context, token, outcome string) (delivered bool, err error) {
	output, err := json.Marshal(map[string]string{"outcome": outcome})
	if err != nil {
		return false, errs.Wrap(errs.Internal, err, "encoding an outcome")
	}
	_, err = m.succeed(ctx, &sfn.SendTaskSuccessInput{TaskToken: &token, Output: aws.String(string(output))})
	if late(err) {
		return false, nil
	}
	return err == nil, cloud.Fault("states SendTaskSuccess", err)
}

// late: the three ways of saying that nobody waits with a token. The local
// engine calls a used one invalid.
func late(err error) bool {
	var gone *types.TaskDoesNotExist
	var over *types.TaskTimedOut
	var invalid *types.InvalidToken
	return errors.As(err, &gone) || errors.As(err, &over) || errors.As(err, &invalid)
}

// Stop ends an execution; one that has ended or that is not known stays as it
// is. Executions of systems that it has started are ended by AWS as far as it
// can; those that go on stop at their next step, because their epoch is over
// (docs/decisions/0005-nested-executions.md).
func (m *Machine) Stop(ctx context.Context, execution string) error {
	_, err := m.stop(ctx, &sfn.StopExecutionInput{
		ExecutionArn: &execution, Error: aws.String("Avow.Stopped"), Cause: aws.String("The request goes on without this run."),
	})
	var unknown *types.ExecutionDoesNotExist
	if errors.As(err, &unknown) {
		return nil
	}
	return cloud.Fault("states StopExecution", err)
}
