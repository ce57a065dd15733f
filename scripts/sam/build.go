package main

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func (r *runner) buildDir(arch string) string { return filepath.Join(r.work, "build-"+arch) }

// build runs `sam build` without a container, as samconfig.toml says, and
// checks that each function is a static binary for the architecture: nothing
// else notices a mismatch before the function is started.
func (r *runner) build(ctx context.Context, arch string) error {
	env := append(r.samEnvironment(), "ARCH="+arch)
	_, err := output(ctx, r.root, env, filepath.Join(r.bin, "sam"), "build",
		"--build-dir", r.buildDir(arch), "--parameter-overrides", "Architecture="+arch)
	if err != nil {
		return err
	}
	machine := map[string]elf.Machine{"arm64": elf.EM_AARCH64, "x86_64": elf.EM_X86_64}[arch]
	binaries, err := filepath.Glob(filepath.Join(r.buildDir(arch), "*", "bootstrap"))
	if err != nil || len(binaries) == 0 {
		return fmt.Errorf("it built nothing in %s", r.buildDir(arch))
	}
	for _, binary := range binaries {
		if err := checkBinary(binary, machine); err != nil {
			return fmt.Errorf("%s: %w", binary, err)
		}
		said, err := output(ctx, r.root, os.Environ(), "file", "-b", binary)
		if err != nil {
			said = "(no `file` on this machine; its header says " + machine.String() + ", static)"
		}
		said, _, _ = strings.Cut(said, ", Go BuildID")
		fmt.Printf("  %-16s %s\n", filepath.Base(filepath.Dir(binary)), said)
	}
	return nil
}

func checkBinary(name string, machine elf.Machine) error {
	f, err := elf.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if f.Machine != machine {
		return fmt.Errorf("is for %s, want %s: are ARCH and the parameter Architecture alike?", f.Machine, machine)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("is not static")
		}
	}
	return nil
}

// samEnvironment is the environment of this process without AWS settings, which
// SAM would use to look the account up, and without the variables that the
// template gives to functions, which it would hand on to them.
func (r *runner) samEnvironment() []string {
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "AWS_") || r.stack.declares(name) {
			continue
		}
		env = append(env, pair)
	}
	return append(env, "SAM_CLI_TELEMETRY=0", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
}
