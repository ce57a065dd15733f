package awstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/avow-consent/avow/internal/awstest"
)

// The machines of the checkout run and call the functions that the test gives:
// a run that finds another one at work ends after its first step.
func TestEngine(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	asked := make(chan map[string]any, 10)
	env.Engine(t, map[string]lambda.Handler{"steps": lambda.NewHandler(func(_ context.Context, in map[string]any) (any, error) {
		asked <- in
		if len(asked) == 1 {
			return nil, errors.New("once")
		}
		return map[string]any{"state": "busy", "epoch": 1}, nil
	})})
	client := sfn.NewFromConfig(env.Config)
	run, err := client.StartExecution(t.Context(), &sfn.StartExecutionInput{
		StateMachineArn: aws.String(env.Function("requests")("REQUEST_MACHINE")), Name: aws.String("r-1"), Input: aws.String(`{"request":"r"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		out, err := client.DescribeExecution(t.Context(), &sfn.DescribeExecutionInput{ExecutionArn: run.ExecutionArn})
		if err != nil {
			t.Fatal(err)
		}
		if out.Status == types.ExecutionStatusSucceeded {
			break
		}
		if out.Status != types.ExecutionStatusRunning || time.Now().After(deadline) {
			t.Fatalf("the run is %s: %s %s", out.Status, aws.ToString(out.Error), aws.ToString(out.Cause))
		}
	}
	first := <-asked
	if text, _ := json.Marshal(first); first["do"] != "begin" || first["request"] != "r" || len(asked) != 1 {
		t.Errorf("steps was asked %s, and %d times more", text, len(asked))
	}
}
