package manual_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/manual"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
)

var operations = []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object, connector.Tell}

var inventory = connector.Inventory{System: "zendesk-message", Kind: manual.Kind, Does: operations}

func TestConnector_usual(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "{}", `{"language":"fr"}`} {
		c, err := manual.New(inventory, json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, op := range operations {
			if c.Inventory().Can(op) {
				t.Errorf("it can %s by itself", op)
			}
			for _, do := range []string{"start", "poll"} {
				call := c.Start
				if do == "poll" {
					call = c.Poll
				}
				p, err := call(t.Context(), connector.Call{Operation: op})
				if err != nil || p.Done || p.Ask == nil || p.Ask.Reason == "" || p.Ask.Instructions == "" {
					t.Errorf("%s %s: %+v, %v", do, op, p, err)
					continue
				}
				if french := strings.Contains(p.Ask.Reason, "Aucune"); french != strings.Contains(text, "fr") {
					t.Errorf("%s: %q", text, p.Ask.Reason)
				}
			}
		}
		if _, err := c.Start(t.Context(), connector.Call{Operation: "sing"}); !errs.Is(err, errs.Internal) {
			t.Errorf("%v", err)
		}
		if r, err := c.Verify(t.Context(), connector.Call{}); err != nil || len(r.Counts) != 0 || r.Wait != 0 {
			t.Errorf("%+v, %v", r, err)
		}
		if f, err := c.Locate(t.Context(), connector.Subject{}); err != nil || len(f.Counts) != 0 || len(f.Notes) != 1 {
			t.Errorf("%+v, %v", f, err)
		}
	}
}

func TestConnector_configured(t *testing.T) {
	t.Parallel()
	c, err := manual.New(inventory, json.RawMessage(`{
		"language": "fr",
		"operations": {"erase": {"instructions": {"en": "Delete the sessions.", "fr": "Supprimez les sessions."}}, "export": {"instructions": {"en": "Only English."}}},
		"identifiers": ["email", "phone"],
		"after": {"zendesk-chat": "chats name the sessions"}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	for op, want := range map[connector.Operation]string{connector.Erase: "Supprimez les sessions.", connector.Export: "Only English."} {
		if p, err := c.Start(t.Context(), connector.Call{Operation: op}); err != nil || p.Ask.Instructions != want {
			t.Errorf("%s: %+v, %v", op, p.Ask, err)
		}
	}
	needs, yields := c.Identifiers()
	if diff := cmp.Diff([]identity.Kind{identity.Email, identity.Phone}, needs); diff != "" || len(yields) != 0 {
		t.Error(diff, yields)
	}
	if diff := cmp.Diff(map[string]string{"zendesk-chat": "chats name the sessions"}, c.After()); diff != "" {
		t.Error(diff)
	}
}

func TestNew_refuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"operation":{}}`: `unknown field "operation"`,
		`{"operations":{"delete":{"instructions":{"en":"x"}}}}`: `unknown operation "delete"`,
		`{"operations":{"erase":{}}}`:                           "config.operations.erase has no instructions",
		`{"operations":{"erase":{"instructions":{"en":" "}}}}`:  "config.operations.erase has no instructions",
		`{"identifiers":[]}`:                                    "config.identifiers is empty",
		`{"language":1}`:                                        "config.language must not be a number",
	} {
		if _, err := manual.New(inventory, json.RawMessage(text)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `system "zendesk-message"`) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzNew(f *testing.F) {
	for _, text := range []string{"", "{}", "null", "[]", `{"after":null,"operations":{"erase":null}}`, `{"operations":{"tell":{"instructions":{"fr":"x"}}}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := manual.New(inventory, text)
		if err != nil {
			return
		}
		for _, op := range operations {
			if p, err := c.Start(t.Context(), connector.Call{Operation: op}); err != nil || p.Ask == nil || strings.TrimSpace(p.Ask.Instructions) == "" {
				t.Fatalf("%s: %+v, %v", op, p, err)
			}
		}
	})
}

// Zendesk Message, as the documentation shows it: instructions in both languages,
// after chats.
func TestNew_zendeskMessage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../docs/connectors/systems.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Systems []struct {
			Name, Kind string
			Config     json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	for _, system := range file.Systems {
		if system.Name != "zendesk-message" {
			continue
		}
		for language, want := range map[string]string{"en": "Delete its session", "fr": "Supprimez sa session"} {
			config := strings.Replace(string(system.Config), `"language": "en"`, `"language": "`+language+`"`, 1)
			c, err := manual.New(inventory, json.RawMessage(config))
			if err != nil || system.Kind != manual.Kind {
				t.Fatal(err)
			}
			p, err := c.Start(t.Context(), connector.Call{Operation: connector.Erase})
			if err != nil || p.Done || p.Ask == nil || !strings.Contains(p.Ask.Instructions, want) {
				t.Errorf("%s: %+v, %v", language, p, err)
			}
			if _, ok := c.After()["zendesk-chat"]; !ok {
				t.Errorf("after %v", c.After())
			}
		}
		return
	}
	t.Error("the example has no zendesk-message")
}
