// Package stackenv finds the stack that a script works on.
package stackenv

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unicode"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/avow-consent/avow/internal/cloud"
)

// Local is where a running local stack describes itself.
const Local = ".local/stack.json"

// Help describes the flags of the scripts that use Open.
const Help = `Where:
  by default the local stack that "make run" has started (.local/stack.json).
  -outputs FILE   a deployed stack, by what this prints:
                  sam list stack-outputs --stack-name NAME --output json > FILE
                  Region and credentials come from the usual AWS environment.
`

// Open is Find, with the SDK's configuration for that stack.
func Open(ctx context.Context, outputs, local string) (aws.Config, func(string) string, error) {
	getenv, err := Find(outputs, local)
	if err != nil {
		return aws.Config{}, nil, err
	}
	cfg, err := cloud.Load(ctx)
	return cfg, getenv, err
}

// Find gives the names of a stack's tables, buckets and secrets as a function's
// environment has them: of a deployed stack by a file with its outputs, else from
// the environment when EVENTS_TABLE is set, else of the local stack by a file
// that describes it ("" for Local). For a local stack it also makes
// the SDK use its emulator.
func Find(outputs, local string) (func(string) string, error) {
	var names map[string]string
	var err error
	switch {
	case outputs != "":
		names, err = read(outputs, readOutputs)
	case local == "" && os.Getenv("EVENTS_TABLE") != "":
		return os.Getenv, nil
	case local == "":
		names, err = read(Local, readLocal)
	default:
		names, err = read(local, readLocal)
	}
	return func(name string) string { return names[name] }, err
}

func read(file string, parse func([]byte) (map[string]string, error)) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%w: start the local stack with make run, or name a deployed one with -outputs", err)
	}
	names, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	return names, nil
}

// readLocal reads the description of the local stack and makes the SDK use it.
func readLocal(text []byte) (map[string]string, error) {
	var stack struct {
		Endpoints map[string]string `json:"endpoints"`
		Tables    map[string]string `json:"tables"`
	}
	if err := json.Unmarshal(text, &stack); err != nil {
		return nil, err
	}
	for name, value := range map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local",
		"AWS_ENDPOINT_URL_DYNAMODB":        stack.Endpoints["dynamodb"],
		"AWS_ENDPOINT_URL_S3":              stack.Endpoints["s3"],
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": stack.Endpoints["secretsmanager"],
	} {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	return stack.Tables, nil
}

// readOutputs reads the outputs of a deployed stack: EventsTableName is what the
// functions know as EVENTS_TABLE.
func readOutputs(text []byte) (map[string]string, error) {
	var list []struct{ OutputKey, OutputValue string }
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, o := range list {
		key, _ := strings.CutSuffix(o.OutputKey, "Name")
		key, _ = strings.CutSuffix(key, "Arn")
		var name strings.Builder
		for i, r := range key {
			if i > 0 && unicode.IsUpper(r) {
				name.WriteByte('_')
			}
			name.WriteRune(unicode.ToUpper(r))
		}
		names[name.String()] = o.OutputValue
	}
	return names, nil
}
