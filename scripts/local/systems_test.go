package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/company/vendors"
	"github.com/avow-consent/avow/internal/settings"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/scripts/local/stack"
)

// What the demo is configured with is accepted and leaves nothing to warn of.
func TestSystems(t *testing.T) {
	t.Parallel()
	i := stack.Info{API: "http://127.0.0.1:8080", Site: "demo", Fakes: map[string]string{}}
	for name := range fakes(0) {
		i.Fakes[name] = "http://127.0.0.1:8090"
	}
	for _, policy := range []string{"", "fast", "90s"} {
		day, err := stack.ParseDay(policy)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(systems(i, day))
		if err != nil {
			t.Fatal(err)
		}
		s, err := settings.Parse(text)
		if err != nil {
			t.Fatalf("policy %q: %v", policy, err)
		}
		if _, err := setup.CheckSystems(text, time.Now()); err != nil {
			t.Errorf("policy %q: %v", policy, err)
		}
		if len(s.Systems) != len(vendors.All)+1 || s.Policy.Day != day || s.Controller.BaseURL != i.API {
			t.Errorf("policy %q: %+v", policy, s)
		}
		if warnings := s.Warnings(time.Now()); len(warnings) > 0 {
			t.Errorf("policy %q: %q", policy, warnings)
		}
	}
	for _, wrong := range []string{"slow", "0s", "48h", "-1s"} {
		if day, err := stack.ParseDay(wrong); err == nil {
			t.Errorf("policy %q lasts %s, want an error", wrong, day)
		}
	}
}
