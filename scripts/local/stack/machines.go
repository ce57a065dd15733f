package stack

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/emulator"
	"github.com/avow-consent/avow/scripts/local/engine"
)

// machines is the engine of the stack's state machines, or nothing for a
// template without any.
type machines struct{ engine *engine.Engine }

// machines starts the engine, which knows no machine yet: functions must find
// it when they start, and it must find functions when a machine runs.
func (o *Options) machines(ctx context.Context, server *emulator.Server, venv emulator.Venv, d *doors, resources *cfn.Stack) (*machines, error) {
	if len(resources.Machines) == 0 {
		return &machines{}, nil
	}
	usual := d.last.Engine
	if usual == 0 {
		usual = enginePort
	}
	e, err := engine.Start(ctx, engine.Options{Venv: venv, Emulator: server.URL(), Port: usual})
	if err != nil {
		return nil, err
	}
	return &machines{e}, os.Setenv("AWS_ENDPOINT_URL_SFN", e.URL())
}

// create makes the machines: the engine has forgotten those of the last run, and
// their executions. sweep starts new ones.
func (m *machines) create(ctx context.Context, root string, resources *cfn.Stack, functions map[string]lambda.Handler) error {
	if m.engine == nil {
		return nil
	}
	m.engine.Serve(resources, functions)
	return m.engine.Create(ctx, root, resources)
}

func (m *machines) url() string {
	if m.engine == nil {
		return ""
	}
	return m.engine.URL()
}

func (m *machines) port() int {
	if m.engine == nil {
		return 0
	}
	return m.engine.Port()
}

// done is closed when the engine has ended by itself.
func (m *machines) done() <-chan struct{} {
	if m.engine == nil {
		return nil
	}
	return m.engine.Done()
}

func (m *machines) stop() {
	if m.engine == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), draining)
	defer cancel()
	m.engine.Stop(ctx)
}

// day is how long a day lasts.
func (o *Options) day() time.Duration {
	if o.Day <= 0 {
		return 24 * time.Hour
	}
	return o.Day
}

// ParseDay reads how long a day of the policy lasts: "" is a day, "fast" a
// second, anything else a duration of whole seconds such as 30s.
func ParseDay(text string) (time.Duration, error) {
	switch text {
	case "", "real":
		return 24 * time.Hour, nil
	case "fast":
		return time.Second, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second || d%time.Second != 0 || d > 24*time.Hour {
		return 0, fmt.Errorf("POLICY is fast, or how long a day lasts (30s), not %q", text)
	}
	return d, nil
}
