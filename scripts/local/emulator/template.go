package emulator

import (
	"context"
	"os"
	"path/filepath"

	"github.com/avow-consent/avow/scripts/local/cfn"
)

// ReadTemplate expands template.yaml, or finds it expanded already.
func ReadTemplate(ctx context.Context, checkout Checkout, venv Venv, parameters map[string]string) ([]byte, error) {
	template, err := os.ReadFile(filepath.Join(checkout.Root, "template.yaml"))
	if err != nil {
		return nil, err
	}
	return cfn.Expand(ctx, venv.Python(), Pins(), filepath.Join(checkout.Local(), "cache"), template, parameters)
}
