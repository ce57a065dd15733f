package event_test

import (
	"context"
	"encoding/json"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/getkin/kin-openapi/openapi3"

	"github.com/avow-consent/avow/internal/admin"
	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/collect"
	"github.com/avow-consent/avow/internal/erase"
	"github.com/avow-consent/avow/internal/preferences"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/propagate"
	"github.com/avow-consent/avow/internal/requests"
	"github.com/avow-consent/avow/internal/steps"
	"github.com/avow-consent/avow/internal/sweep"
	"github.com/avow-consent/avow/internal/webhook"
	"github.com/avow-consent/avow/scripts/sam/event"
	"github.com/avow-consent/avow/scripts/sam/sample"
)

const dir = "../../../events"

// TestAnswers runs every sample event in process, on the emulator; `make sam`
// runs the same ones through the built binaries.
func TestAnswers(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	if err := sample.Seed(t.Context(), env.Config, env.Getenv); err != nil {
		t.Fatal(err)
	}
	handlers := map[string]lambda.Handler{}
	for name, start := range map[string]func(context.Context, func(string) string) (lambda.Handler, error){
		"admin": admin.Handler, "api": api.Handler, "collect": collect.Handler, "project": project.Handler, "propagate": propagate.Handler, "sweep": sweep.Handler, "requests": requests.Handler, "webhook": webhook.Handler,
		"preferences": preferences.Handler, "steps": steps.Handler, "erase": erase.Handler,
	} {
		h, err := start(t.Context(), env.Function(name))
		if err != nil {
			t.Fatal(err)
		}
		handlers[name] = h
	}
	session, answers, err := event.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers { // one after the other: later ones need earlier ones
		payload, err := session.Payload(a)
		if err != nil {
			t.Error(err)
			continue
		}
		returned, err := handlers[a.Function()].Invoke(t.Context(), payload)
		if err == nil {
			err = session.Check(a, returned)
		}
		if err != nil {
			t.Errorf("%s: %v", a.Event, err)
		}
	}
}

// TestEvents_operations: every operation of docs/openapi.yaml has an event.
func TestEvents_operations(t *testing.T) {
	t.Parallel()
	_, answers, err := event.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var requests []string // "GET /consent/x"
	for _, a := range answers {
		payload, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(a.Event)+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			RawPath        string
			RequestContext struct{ HTTP struct{ Method string } }
		}
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Fatal(err)
		}
		requests = append(requests, e.RequestContext.HTTP.Method+" "+path.Clean(strings.TrimPrefix(e.RawPath, "/beta")))
	}
	doc, err := openapi3.NewLoader().LoadFromFile("../../../docs/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	parameter := regexp.MustCompile(`\\\{[^}]+\\\}`)
	for template, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			like := regexp.MustCompile("^" + method + " " + parameter.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$")
			if !slices.ContainsFunc(requests, like.MatchString) {
				t.Errorf("%s %s has no sample event", method, template)
			}
		}
	}
}

// TestAnswers_complete: every event has an answer, every answer an event.
func TestAnswers_complete(t *testing.T) {
	t.Parallel()
	_, answers, err := event.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, a := range answers {
		listed = append(listed, a.Event)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		name, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, strings.TrimSuffix(filepath.ToSlash(name), ".json"))
	}
	slices.Sort(listed)
	slices.Sort(found)
	if !slices.Equal(listed, found) {
		t.Errorf("answers.json has\n%s\nthe directory has\n%s", strings.Join(listed, "\n"), strings.Join(found, "\n"))
	}
	if _, err := os.Stat(filepath.Join(dir, "README.md")); err != nil {
		t.Error(err)
	}
}
