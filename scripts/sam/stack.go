package main

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/edge"
	"github.com/avow-consent/avow/scripts/local/emulator"
	"github.com/avow-consent/avow/scripts/local/engine"
	"github.com/avow-consent/avow/scripts/sam/sample"
)

// A stack is what the template declares, in an emulator of its own, with the
// sample in it.
type stack struct {
	*cfn.Stack
	expanded []byte // the template as plain CloudFormation
	server   *emulator.Server
	engine   *engine.Engine
	front    *httptest.Server  // where both are found at one address
	keys     map[string]string // ARNs of keys of KMS, by logical id
}

const stackName = "sam"

func startStack(ctx context.Context, checkout emulator.Checkout, arch string) (*stack, error) {
	venv, err := emulator.EnsureVenv(ctx, checkout.Local(), nil)
	if err != nil {
		return nil, err
	}
	expanded, err := emulator.ReadTemplate(ctx, checkout, venv, map[string]string{"Architecture": arch})
	if err != nil {
		return nil, err
	}
	resolved, err := cfn.Resolve(expanded, cfn.Options{StackName: stackName, Parameters: map[string]string{"Architecture": arch}})
	if err != nil {
		return nil, err
	}
	server, err := emulator.Start(ctx, emulator.Options{Venv: venv})
	if err != nil {
		return nil, err
	}
	s := &stack{Stack: resolved, expanded: expanded, server: server}
	// Runs start and find no function: what they would do is not what is tried here.
	if s.engine, err = engine.Start(ctx, engine.Options{Venv: venv, Emulator: server.URL()}); err != nil {
		s.close()
		return nil, err
	}
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	if err := errors.Join(s.engine.Create(ctx, checkout.Root, resolved), s.fill(ctx)); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stack) fill(ctx context.Context) error {
	cfg := emulator.Config(s.server.URL())
	if err := emulator.Provision(ctx, cfg, s.Stack); err != nil {
		return err
	}
	s.keys = map[string]string{}
	for _, k := range s.Keys {
		known, err := kms.NewFromConfig(cfg).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &k.Alias})
		if err != nil {
			return err
		}
		s.keys[k.ID] = *known.KeyMetadata.Arn
	}
	env := map[string]string{}
	for _, f := range s.Functions {
		maps.Copy(env, f.Env)
	}
	return sample.Seed(ctx, cfg, func(name string) string { return env[name] })
}

// open serves emulator and engine at one address.
func (s *stack) open() error {
	services, err := url.Parse(s.server.URL())
	if err != nil {
		return err
	}
	machines, err := url.Parse(s.engine.URL())
	if err != nil {
		return err
	}
	s.front = httptest.NewServer(edge.Services(http.NotFoundHandler(), machines, services))
	return nil
}

func (s *stack) close() {
	if s.front != nil {
		s.front.Close()
	}
	if s.engine != nil {
		s.engine.Stop(context.Background())
	}
	s.server.Kill()
}

// environment of a function that finds the emulator at an address.
func (s *stack) environment(f cfn.Function, endpoint string) map[string]string {
	env := maps.Clone(f.Env)
	env["AWS_ENDPOINT_URL"] = endpoint
	return env
}

// declares reports whether the template gives a function this variable. A nil
// stack declares nothing.
func (s *stack) declares(name string) bool {
	if s == nil {
		return false
	}
	for _, f := range s.Functions {
		if _, ok := f.Env[name]; ok {
			return true
		}
	}
	return false
}

// address is where functions find all services.
func (s *stack) address() string { return s.front.Listener.Addr().String() }
