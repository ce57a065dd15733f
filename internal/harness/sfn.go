package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/avow-consent/avow/internal/asl"
)

// states answers the calls of Step Functions' SDK client from the driver, and
// sends everything else on: so the real adapter stands between components and
// engine, and its calls can be broken like any other.
type states struct {
	engine *asl.Engine
	next   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (s *states) RoundTrip(r *http.Request) (*http.Response, error) {
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSStepFunctions.")
	if !ok {
		return s.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var in struct{ Name, Input, StateMachineArn, ExecutionArn, TaskToken, Output string }
	if err := json.Unmarshal(body, &in); err != nil {
		return reply(r, http.StatusBadRequest, map[string]string{"__type": "SerializationException"}), nil
	}
	switch action {
	case "StartExecution":
		arn, err := s.engine.Start(in.StateMachineArn, in.Name, in.Input)
		var failure *asl.Failure
		if errors.As(err, &failure) {
			return reply(r, http.StatusBadRequest, map[string]string{"__type": failure.Name}), nil
		}
		return reply(r, http.StatusOK, map[string]any{"executionArn": arn, "startDate": 1}), err
	case "DescribeExecution":
		d, ok := s.engine.Describe(in.ExecutionArn)
		if !ok {
			return reply(r, http.StatusBadRequest, map[string]string{"__type": "ExecutionDoesNotExist"}), nil
		}
		return reply(r, http.StatusOK, map[string]any{
			"executionArn": in.ExecutionArn, "stateMachineArn": d.Machine, "startDate": 1, "status": d.Status,
		}), nil
	case "SendTaskSuccess":
		if !s.engine.Succeed(in.TaskToken, in.Output) {
			return reply(r, http.StatusBadRequest, map[string]string{"__type": "TaskTimedOut"}), nil
		}
		return reply(r, http.StatusOK, map[string]string{}), nil
	case "StopExecution":
		s.engine.Stop(in.ExecutionArn)
		return reply(r, http.StatusOK, map[string]any{"stopDate": 1}), nil
	}
	return reply(r, http.StatusBadRequest, map[string]string{"__type": "UnknownOperationException"}), nil
}

func reply(r *http.Request, status int, body any) *http.Response {
	text, _ := json.Marshal(body) // texts and numbers
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}, "X-Amzn-Requestid": {"driver"}},
		Body:   io.NopCloser(bytes.NewReader(text)), ContentLength: int64(len(text)),
	}
}
