package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/avow-consent/avow/scripts/local/cfn"
	"github.com/avow-consent/avow/scripts/local/engine"
)

func TestDefinition(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want, fails string }{
		"values":     {text: `{"a":"${One}","b":"${One}:${Two}"}`, want: `{"a":"1","b":"1:2"}`},
		"intrinsics": {text: `{"a.$":"States.Format('{}', $.b)"}`, want: `{"a.$":"States.Format('{}', $.b)"}`},
		"no value":   {text: `{"a":"${Three}"}`, fails: "has no value for ${Three}"},
		"not JSON":   {text: `{"a":${One}`, fails: "is not JSON"},
		"not a file": {fails: "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if tt.text != "" {
				if err := os.WriteFile(filepath.Join(root, "m.asl.json"), []byte(tt.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := engine.Definition(root, cfn.Machine{Definition: "m.asl.json", Substitutions: map[string]string{"One": "1", "Two": "2"}})
			if tt.fails == "" && (err != nil || got != tt.want) || tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("Definition is %s, %v", got, err)
			}
		})
	}
}
