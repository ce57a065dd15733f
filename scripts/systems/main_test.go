package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/secret"
)

// example is the file that the documentation shows.
const example = "../../docs/connectors/systems.json"

func TestTool(t *testing.T) { // not parallel: the tool sets the environment of the process
	env := awstest.New(t)
	stack, err := json.Marshal(map[string]any{
		"endpoints": map[string]string{"dynamodb": env.URL, "secretsmanager": env.URL},
		"tables": map[string]string{"AUDIT_TABLE": env.Getenv("AUDIT_TABLE"), "KEYS_TABLE": env.Getenv("KEYS_TABLE"), "SITES_TABLE": env.Getenv("SITES_TABLE"),
			"SYSTEMS_SECRET": env.Getenv("SYSTEMS_SECRET"), "SYSTEM_SECRET_PREFIX": env.Getenv("SYSTEM_SECRET_PREFIX")},
	})
	if err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(t.TempDir(), "stack.json")
	if err := os.WriteFile(local, stack, 0o600); err != nil {
		t.Fatal(err)
	}
	do := func(in string, args ...string) (string, error) {
		var out strings.Builder
		err := run(t.Context(), strings.NewReader(in), &out, append([]string{"-local", local}, args...))
		return out.String(), err
	}
	for _, step := range []struct {
		name, in string
		args     []string
		want     string // part of what is printed or, with a "!", of the error
	}{
		{"help", "", nil, "usage:"},
		{"no such command", "", []string{"sing", "x"}, "!no command"},
		{"no operand", "", []string{"put"}, "!help"},
		{"a fresh stack", "", []string{"show"}, `"systems": []`},
		{"a broken file", `{"systems":[{"name":"x"}]}`, []string{"check", "-"}, `!system "x": unknown kind`},
		{"it is not put", `{"systems":[{"name":"x"}]}`, []string{"put", "-"}, `!system "x": unknown kind`},
		{"still fresh", "", []string{"show"}, `"systems": []`},
		{"no system yet", "{}", []string{"secret", "helpdesk"}, `!no system "helpdesk"`},
		{"the example is fine", "", []string{"check", example}, "systems.json is fine: 3 systems"},
		{"put", "", []string{"put", example}, "put; functions follow"},
		{"show", "", []string{"show"}, `"name": "helpdesk"`},
		{"no credentials", "x", []string{"secret", "zendesk-message"}, `!has no credentials`},
		{"not JSON", "s3cret", []string{"secret", "helpdesk"}, `!must be JSON`},
		{"credentials", `{"client_id":"a","client_secret":"s3cret"}`, []string{"secret", "helpdesk"}, "kept"},
		{"replaced", `{"client_id":"a","client_secret":"s3cret2"}`, []string{"secret", "helpdesk"}, "kept"},
	} {
		out, err := do(step.in, step.args...)
		want, fails := strings.CutPrefix(step.want, "!")
		got := out
		if err != nil {
			got = err.Error()
		}
		if fails != (err != nil) || !strings.Contains(got, want) || strings.Contains(out+got, "s3cret") {
			t.Errorf("%s: %s, %v", step.name, out, err)
		}
	}
	value, err := secret.NewStore(env.Config).Value(t.Context(), env.Getenv("SYSTEM_SECRET_PREFIX")+"helpdesk")
	if err != nil || !strings.Contains(string(value), "s3cret2") {
		t.Errorf("%s, %v", value, err)
	}
}
