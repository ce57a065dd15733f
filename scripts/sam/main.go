// Command sam runs what would be deployed: it builds the functions with `sam
// build`, runs the binaries under Lambda's runtime emulator over every sample
// event, and under `sam local` where Docker can run. `make sam` and CI call it.
//
//	go run ./scripts/sam                              everything
//	go run ./scripts/sam event collect/consent_json   a sample event, filled in
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/avow-consent/avow/scripts/local/emulator"
	"github.com/avow-consent/avow/scripts/sam/event"
)

// The main goroutine starts every process, always from the thread that lives as
// long as this one: the kernel ends them with it (attributes).
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sam:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	checkout, err := emulator.FindCheckout()
	if err != nil {
		return err
	}
	switch {
	case len(args) == 2 && args[0] == "event":
		return printEvent(checkout, args[1])
	case len(args) != 0:
		return errors.New("usage: go run ./scripts/sam [event <function>/<case>]")
	}
	r := &runner{
		root: checkout.Root, work: filepath.Join(checkout.Local(), "sam"),
		ci: os.Getenv("CI") != "", arch: map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH],
	}
	if runtime.GOOS != "linux" || r.arch == "" {
		if r.ci {
			return fmt.Errorf("CI needs Linux on x86_64 or arm64, this is %s/%s", runtime.GOOS, runtime.GOARCH)
		}
		fmt.Printf("sam: skipped, the runtime emulator runs on Linux only, on x86_64 or arm64; this is %s/%s\n", runtime.GOOS, runtime.GOARCH)
		return nil
	}
	if err := os.MkdirAll(r.work, 0o755); err != nil {
		return err
	}
	return r.all(ctx, checkout)
}

func printEvent(checkout emulator.Checkout, name string) error {
	session, _, err := event.Open(filepath.Join(checkout.Root, "events"))
	if err != nil {
		return err
	}
	payload, err := session.Payload(event.Answer{Event: name})
	if err == nil {
		_, err = os.Stdout.Write(payload)
	}
	return err
}

// A runner runs the steps.
type runner struct {
	root, work string
	ci         bool
	arch       string // of this machine, as the template's parameter has it
	bin        string // of SAM's Python environment
	stack      *stack
	endpoint   string // of the emulator, as containers reach it
	// replies are what the runtime emulator got, by event, for sam local to be
	// compared with.
	replies map[string][]byte
}

func (r *runner) all(ctx context.Context, checkout emulator.Checkout) error {
	if err := r.step("environment of SAM", func() (err error) {
		r.bin, err = output(ctx, r.root, os.Environ(), filepath.Join(r.root, "scripts/sam/venv"))
		return err
	}); err != nil {
		return err
	}
	for _, arch := range []string{"arm64", "x86_64"} {
		if err := r.step("sam build, "+arch, func() error { return r.build(ctx, arch) }); err != nil {
			return err
		}
	}
	err := r.step("emulator with the sample", func() (err error) {
		r.stack, err = startStack(ctx, checkout, r.arch)
		return err
	})
	if err != nil {
		return err
	}
	defer r.stack.close()
	if err := r.step("sample events, runtime emulator", func() error { return r.emulateRuntime(ctx) }); err != nil {
		return err
	}
	return r.samLocal(ctx)
}

// step says what happens and how long it took.
func (r *runner) step(name string, do func() error) error {
	start := time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Printf("%-34s %5.1f s\n", name, time.Since(start).Seconds())
	return nil
}

// exitCode is the code that a command ended with, 0 when it did not end so.
func exitCode(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}
