package flow_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/flow"
)

const machine = "arn:aws:states:eu-central-1:000000000000:stateMachine:request"

// service answers every call with the same status and body, and keeps the last
// call.
type service struct {
	status int
	body   string
	target string
	sent   map[string]string
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.target, s.sent = r.Header.Get("X-Amz-Target"), nil
	body, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(body, &s.sent)
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

func (s *service) start(t *testing.T) *flow.Machine {
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return flow.NewMachine(aws.Config{
		Region: "eu-central-1", BaseEndpoint: &server.URL, Retryer: faulty.Impatient,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b"}, nil
		}),
	}, machine)
}

func failure(code string) *service {
	return &service{status: http.StatusBadRequest, body: `{"__type":"` + code + `","message":"ines@example.test"}`}
}

func TestStart(t *testing.T) {
	t.Parallel()
	s := &service{status: http.StatusOK, body: `{"executionArn":"arn:x","startDate":1.7e9}`}
	got, err := s.start(t).Start(t.Context(), "018f", "018f-2")
	if err != nil || got != "arn:x" {
		t.Fatalf("Start: %q, %v", got, err)
	}
	want := map[string]string{"stateMachineArn": machine, "name": "018f-2", "input": `{"request":"018f"}`}
	if diff := cmp.Diff(want, s.sent); diff != "" {
		t.Errorf("what was sent (-want +got):\n%s", diff)
	}
}

func TestStart_fails(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		service *service
		kind    errs.Kind
	}{
		"the name is taken":   {failure("ExecutionAlreadyExists"), errs.Conflict},
		"there is no machine": {failure("StateMachineDoesNotExist"), errs.Internal},
		"throttled":           {failure("ThrottlingException"), errs.Unavailable},
		"broken":              {&service{status: http.StatusInternalServerError, body: "<html>"}, errs.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.service.start(t).Start(t.Context(), "018f", "018f-1")
			if got != "" || !errs.Is(err, tt.kind) {
				t.Errorf("%q, %v, want %s", got, err, tt.kind)
			}
			if err != nil && strings.Contains(err.Error(), "@") {
				t.Errorf("AWS's own text is quoted: %v", err)
			}
		})
	}
}

func TestAlive(t *testing.T) {
	t.Parallel()
	status := func(s string) *service {
		return &service{status: http.StatusOK, body: `{"executionArn":"arn:x","status":"` + s + `"}`}
	}
	for name, tt := range map[string]struct {
		service *service
		want    bool
		kind    errs.Kind
	}{
		"running":   {status("RUNNING"), true, ""},
		"redrive":   {status("PENDING_REDRIVE"), true, ""},
		"succeeded": {status("SUCCEEDED"), false, ""},
		"failed":    {status("FAILED"), false, ""},
		"stopped":   {status("ABORTED"), false, ""},
		"timed out": {status("TIMED_OUT"), false, ""},
		"unknown":   {failure("ExecutionDoesNotExist"), false, ""},
		"throttled": {failure("ThrottlingException"), false, errs.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.service.start(t).Alive(t.Context(), "arn:x")
			if got != tt.want || (err != nil) != (tt.kind != "") || err != nil && !errs.Is(err, tt.kind) {
				t.Errorf("%v, %v, want %v %s", got, err, tt.want, tt.kind)
			}
		})
	}
	nobody := status("RUNNING")
	if alive, err := nobody.start(t).Alive(t.Context(), ""); alive || err != nil || nobody.target != "" {
		t.Errorf("no execution: %v, %v, asked %q", alive, err, nobody.target)
	}
}

func TestSucceed(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		service *service
		want    bool
		kind    errs.Kind
	}{
		"delivered": {&service{status: http.StatusOK, body: "{}"}, true, ""},
		"gone":      {failure("TaskDoesNotExist"), false, ""},
		"over":      {failure("TaskTimedOut"), false, ""},
		"invalid":   {failure("InvalidToken"), false, ""},
		"bad":       {failure("InvalidOutput"), false, errs.Internal},
		"throttled": {failure("ThrottlingException"), false, errs.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tt.service.start(t).Succeed(t.Context(), "token", "approved")
			if got != tt.want || (err != nil) != (tt.kind != "") || err != nil && !errs.Is(err, tt.kind) {
				t.Errorf("%v, %v, want %v %s", got, err, tt.want, tt.kind)
			}
			if diff := cmp.Diff(map[string]string{"taskToken": "token", "output": `{"outcome":"approved"}`}, tt.service.sent); diff != "" {
				t.Errorf("what was sent (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		service *service
		kind    errs.Kind
	}{
		"stopped":   {&service{status: http.StatusOK, body: `{"stopDate":1.7e9}`}, ""},
		"unknown":   {failure("ExecutionDoesNotExist"), ""},
		"throttled": {failure("ThrottlingException"), errs.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.service.start(t).Stop(t.Context(), "arn:x")
			if (err != nil) != (tt.kind != "") || err != nil && !errs.Is(err, tt.kind) {
				t.Errorf("%v, want %s", err, tt.kind)
			}
		})
	}
}
