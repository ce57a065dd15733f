package flow_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/flow"
)

// On the local engine, with the machine of the project: a run that waits for
// the proof of identity hears that the request was withdrawn.
func TestMachine_localEngine(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	tokens := make(chan string, 10)
	answer := lambda.NewHandler(func(_ context.Context, in map[string]any) (any, error) {
		switch in["do"] {
		case "begin":
			limits := map[string]int{"identity": 600, "approval": 600, "task": 600, "release": 600}
			return map[string]any{"state": "unproven", "epoch": 1, "type": "access", "timeouts": limits}, nil
		case "wait":
			tokens <- in["token"].(string)
		}
		return map[string]any{"state": "done"}, nil
	})
	env.Engine(t, map[string]lambda.Handler{"steps": answer, "erase": answer})
	m, ctx := flow.NewMachine(env.Config, env.Function("requests")("REQUEST_MACHINE")), t.Context()
	run, err := m.Start(ctx, "018f", "018f-1")
	if again, err2 := m.Start(ctx, "018f", "018f-1"); err != nil || err2 != nil || again != run {
		t.Fatalf("started %q, %v and %q, %v", run, err, again, err2)
	}
	if _, err := m.Start(ctx, "018e", "018f-1"); !errs.Is(err, errs.Conflict) {
		t.Errorf("the name with another request: %v", err)
	}
	token := <-tokens
	if alive, err := m.Alive(ctx, run); !alive || err != nil {
		t.Errorf("alive: %v, %v", alive, err)
	}
	if ok, err := m.Succeed(ctx, token, "withdrawn"); !ok || err != nil {
		t.Errorf("delivered: %v, %v", ok, err)
	}
	ends(t, m, run)
	for _, late := range []string{token, token + "x"} {
		if ok, err := m.Succeed(ctx, late, "withdrawn"); ok || err != nil {
			t.Errorf("delivered late: %v, %v", ok, err)
		}
	}
	second, err := m.Start(ctx, "018f", "018f-2")
	if err != nil {
		t.Fatal(err)
	}
	token = <-tokens
	if err := m.Stop(ctx, second); err != nil {
		t.Error(err)
	}
	// AWS ends it at once; the local engine when what it waits for has come.
	if _, err := m.Succeed(ctx, token, "withdrawn"); err != nil {
		t.Error(err)
	}
	ends(t, m, second)
	if alive, err := m.Alive(ctx, second+"x"); alive || err != nil {
		t.Errorf("one that is not known: %v, %v", alive, err)
	}
	if err := m.Stop(ctx, second+"x"); err != nil {
		t.Errorf("stopping one that is not known: %v", err)
	}
}

func ends(t *testing.T, m *flow.Machine, run string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		alive, err := m.Alive(t.Context(), run)
		if err == nil && !alive {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%s is still alive: %v, %v", run, alive, err)
		}
	}
}
