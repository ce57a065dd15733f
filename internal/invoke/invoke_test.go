package invoke_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda/messages"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/invoke"
	"github.com/avow-consent/avow/internal/request"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	h := invoke.Handler(func(_ context.Context, p request.Payload) (request.Result, error) {
		return request.Result{State: p.Do, Seconds: p.Epoch, Stages: []request.Stage{}}, nil
	})
	out, err := h.Invoke(t.Context(), []byte(`{"do":"plan","request":"r","epoch":3,"more":"is ignored"}`))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"state":"plan","seconds":3,"stages":[]}`
	if string(out) != want {
		t.Errorf("the answer is %s, want %s", out, want)
	}
	var r request.Result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Error(err)
	}
}

func TestHandler_errors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  error
		want string
	}{
		"passing":  {errs.New(errs.Unavailable, "dynamodb PutItem"), "Unavailable"},
		"conflict": {errs.New(errs.Conflict, "newer"), "Conflict"},
		"unknown":  {errors.New("ines@example.test"), "Internal"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := invoke.Handler(func(context.Context, request.Payload) (request.Result, error) { return request.Result{}, tt.err })
			_, err := h.Invoke(t.Context(), []byte(`{}`))
			var response messages.InvokeResponse_Error
			if !errors.As(err, &response) || response.Type != tt.want || strings.Contains(response.Message, "@") {
				t.Errorf("got %#v, want type %s and no text of the cause", err, tt.want)
			}
		})
	}
}
