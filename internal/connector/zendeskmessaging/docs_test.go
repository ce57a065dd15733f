package zendeskmessaging_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/connector/zendeskmessaging"
	"github.com/avow-consent/avow/internal/connector/zendeskmessaging/fake"
)

// The system that the documentation shows is one.
func TestDocs_sample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/connectors/zendesk-messaging.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(page), "```json\n")
	sample, _, _ = strings.Cut(sample, "```")
	var system struct {
		Kind   string
		Config json.RawMessage
	}
	if err := json.Unmarshal([]byte(sample), &system); err != nil || system.Kind != zendeskmessaging.Kind {
		t.Fatalf("%+v, %v", system, err)
	}
	o := unheldInbox(t, fake.Options{}).options(nil)
	o.Config = system.Config
	if _, err := zendeskmessaging.New(o); err != nil {
		t.Error(err)
	}
}
