package cfn

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed expand.py
var expandScript string

// Expand turns a SAM template into plain CloudFormation (JSON) with the
// translator that AWS itself runs, offline, about 0.7 s. The answer is kept in
// cacheDir under the digest of everything it depends on; pins names the
// versions of what the interpreter has installed.
func Expand(ctx context.Context, python, pins, cacheDir string, template []byte, parameters map[string]string) ([]byte, error) {
	args := make([]string, 0, len(parameters))
	for name, value := range parameters {
		args = append(args, name+"="+value)
	}
	slices.Sort(args)

	h := sha256.New()
	for _, part := range append([]string{expandScript, pins, string(template)}, args...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	cached := filepath.Join(cacheDir, "template-"+hex.EncodeToString(h.Sum(nil)[:8])+".json")
	if expanded, err := os.ReadFile(cached); err == nil {
		return expanded, nil
	}

	cmd := exec.CommandContext(ctx, python, append([]string{"-c", expandScript}, args...)...)
	cmd.Stdin = bytes.NewReader(template)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PYTHONDONTWRITEBYTECODE=1",
		"AWS_DEFAULT_REGION=" + Region, "AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
	expanded, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return nil, fmt.Errorf("expanding the template: %s", strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return nil, fmt.Errorf("expanding the template: %w", err)
	}
	if err := writeWhole(cached, expanded); err != nil {
		return nil, fmt.Errorf("caching the expanded template: %w", err)
	}
	return expanded, nil
}

// writeWhole leaves either the whole file or none: tests of several packages
// expand the same template at the same time.
func writeWhole(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
