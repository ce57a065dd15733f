// Package engine runs state machines on this machine: a Step Functions engine
// beside the emulator, the edge where it finds Lambda, and the definitions of
// the template, which call the functions of this process.
package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sfn/types"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/edge"
	"github.com/avow-consent/avow/scripts/local/emulator"
)

// Options say how an engine runs.
type Options struct {
	Venv     emulator.Venv
	Emulator string // its URL
	Port     int    // of the engine, 0 or taken: any
}

// An Engine is a running engine with its edge.
type Engine struct {
	process *emulator.Engine
	server  *http.Server
	client  *sfn.Client

	mu        sync.RWMutex
	functions map[string]lambda.Handler // by physical name
}

// Start runs an engine that knows no machine and no function yet.
func Start(ctx context.Context, o Options) (*Engine, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &Engine{functions: map[string]lambda.Handler{}}
	e.process, err = emulator.StartEngine(ctx, emulator.EngineOptions{Venv: o.Venv, Port: o.Port, Edge: l.Addr().(*net.TCPAddr).Port})
	if err != nil {
		l.Close()
		return nil, err
	}
	own, err := url.Parse(e.URL())
	if err == nil {
		var services *url.URL
		if services, err = url.Parse(o.Emulator); err == nil {
			e.server = &http.Server{Handler: edge.Services(edge.InvokeBy(e.function), own, services), ReadHeaderTimeout: 10 * time.Second}
		}
	}
	if err != nil {
		l.Close()
		e.process.Kill()
		return nil, err
	}
	e.client = sfn.NewFromConfig(emulator.Config(e.URL()))
	go func() { _ = e.server.Serve(l) }()
	return e, nil
}

// URL is the endpoint of Step Functions.
func (e *Engine) URL() string { return e.process.URL() }

// Port is the one that URL names.
func (e *Engine) Port() int { return e.process.Port() }

// Done is closed when the engine has ended, by itself or not.
func (e *Engine) Done() <-chan struct{} { return e.process.Done() }

// Stop ends the engine first, so that no call comes to functions any more, then
// waits for calls under way. Executions are gone.
func (e *Engine) Stop(ctx context.Context) {
	e.process.Kill()
	if err := e.server.Shutdown(ctx); err != nil {
		e.server.Close()
	}
}

func (e *Engine) function(name string) lambda.Handler {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.functions[name]
}

// Serve lets machines call the functions of a stack, which are given by their
// short names; later ones replace earlier ones.
func (e *Engine) Serve(stack *cfn.Stack, functions map[string]lambda.Handler) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, f := range stack.Functions {
		if h := functions[f.Name]; h != nil {
			e.functions[f.PhysicalName()] = edge.Runtime(f.PhysicalName(), time.Duration(f.Timeout)*time.Second, h)
		}
	}
}

// Create makes the machines of a stack, or brings those that the engine has to
// what their files say now. root is the checkout.
func (e *Engine) Create(ctx context.Context, root string, stack *cfn.Stack) error {
	for _, m := range stack.Machines {
		definition, err := Definition(root, m)
		if err == nil {
			err = e.create(ctx, m, definition)
		}
		if err != nil {
			return fmt.Errorf("creating machine %s: %w", m.ID, err)
		}
	}
	return nil
}

func (e *Engine) create(ctx context.Context, m cfn.Machine, definition string) error {
	made, err := e.client.CreateStateMachine(ctx, &sfn.CreateStateMachineInput{
		Name: &m.Name, Definition: &definition, RoleArn: aws.String("arn:aws:iam::" + cfn.Account + ":role/local"),
	})
	if exists := (*types.StateMachineAlreadyExists)(nil); errors.As(err, &exists) {
		_, err = e.client.UpdateStateMachine(ctx, &sfn.UpdateStateMachineInput{StateMachineArn: &m.ARN, Definition: &definition})
		return err
	}
	if err == nil && aws.ToString(made.StateMachineArn) != m.ARN {
		err = fmt.Errorf("the engine calls it %s, want %s", aws.ToString(made.StateMachineArn), m.ARN)
	}
	return err
}

var substitution = regexp.MustCompile(`\$\{([A-Za-z0-9]+)\}`)

// Definition is the text of a machine with the values of the template in it, as
// CloudFormation puts them.
func Definition(root string, m cfn.Machine) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.Definition)))
	if err != nil {
		return "", err
	}
	var missing string
	out := substitution.ReplaceAllStringFunc(string(text), func(match string) string {
		name := match[2 : len(match)-1]
		value, ok := m.Substitutions[name]
		if !ok {
			missing = cmp.Or(missing, name)
		}
		return value
	})
	if missing != "" {
		return "", fmt.Errorf("%s: template.yaml has no value for ${%s}", m.Definition, missing)
	}
	if !json.Valid([]byte(out)) {
		return "", fmt.Errorf("%s is not JSON", m.Definition)
	}
	return out, nil
}
