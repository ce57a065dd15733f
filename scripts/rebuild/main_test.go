package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/setup"
)

var names = []string{"EVENTS_TABLE", "SUBJECTS_TABLE", "FORMS_TABLE", "SITES_TABLE", "DOCUMENTS_TABLE", "PSEUDONYM_SECRET"}

// ledger puts a consent that no projection has seen.
func ledger(t *testing.T) *awstest.Env {
	t.Helper()
	e := awstest.New(t)
	hasher, err := (&setup.Base{Config: e.Config, Getenv: e.Getenv}).Hasher(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if _, err := dynamo.NewEvents(e.Config, e.Getenv("EVENTS_TABLE")).Append(t.Context(), &consent.Event{
		ID: hasher.ID(at), Kind: consent.KindConsent, Site: "s", Subject: hasher.Subject("s", "1"), SubjectID: "1",
		Source: consent.Public, Act: consent.WebForm, Claimed: at, Received: at, Shards: 4,
	}); err != nil {
		t.Fatal(err)
	}
	return e
}

func write(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "stack.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRun(t *testing.T) {
	for name, args := range map[string]func(e *awstest.Env) []string{
		"local stack": func(e *awstest.Env) []string {
			tables := map[string]string{}
			for _, n := range names {
				tables[n] = e.Getenv(n)
			}
			for _, n := range []string{"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER"} {
				t.Setenv(n, "") // put back what was there when the test ends
			}
			return []string{"-local", write(t, map[string]any{"endpoints": map[string]string{"dynamodb": e.URL, "secretsmanager": e.URL}, "tables": tables})}
		},
		"deployed stack": func(e *awstest.Env) []string {
			var list []map[string]string
			for key, n := range map[string]string{
				"EventsTableName": names[0], "SubjectsTableName": names[1], "FormsTableName": names[2],
				"SitesTableName": names[3], "DocumentsTableName": names[4], "PseudonymSecretArn": names[5],
			} {
				list = append(list, map[string]string{"OutputKey": key, "OutputValue": e.Getenv(n), "Description": "x"})
			}
			return []string{"-outputs", write(t, list)}
		},
		"environment": func(e *awstest.Env) []string {
			for _, n := range names {
				t.Setenv(n, e.Getenv(n))
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := ledger(t)
			var first, second bytes.Buffer
			given := args(e)
			if err := run(t.Context(), given, &first); err != nil {
				t.Fatal(err)
			}
			if err := run(t.Context(), given, &second); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(first.String(), "1 views made") || !strings.Contains(second.String(), "0 views made") || !strings.Contains(second.String(), "Proven") {
				t.Errorf("printed:\n%s%s", first.String(), second.String())
			}
		})
	}
}

func TestRun_refuses(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no stack":        {nil, "make run"},
		"no file":         {[]string{"-outputs", "none.json"}, "none.json"},
		"not JSON":        {[]string{"-outputs", write(t, "x")}, "reading"},
		"names missing":   {[]string{"-outputs", write(t, []string{})}, "EVENTS_TABLE"},
		"unknown flag":    {[]string{"-x"}, "-x"},
		"unknown command": {[]string{"all"}, `"all"`},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := run(t.Context(), tt.args, &out); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, &out); err != nil || !strings.Contains(out.String(), "usage:") {
		t.Errorf("--help: %v, %q", err, out.String())
	}
}
