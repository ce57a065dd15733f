// Command with-emulator installs the local stack's Python environment where it
// is missing. With arguments it then runs them as a command that has an
// emulator to itself, in memory, named by AVOW_TEST_EMULATOR:
//
//	go run ./scripts/local/with-emulator go test ./...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/avow-consent/avow/scripts/local/emulator"
)

func main() {
	err := run(os.Args[1:])
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	checkout, err := emulator.FindCheckout()
	if err != nil {
		return err
	}
	venv, err := emulator.EnsureVenv(ctx, checkout.Local(), os.Stderr)
	if err != nil || len(command) == 0 {
		return err
	}
	server, err := emulator.Start(ctx, emulator.Options{Venv: venv})
	if err != nil {
		return err
	}
	defer server.Kill()

	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "AVOW_TEST_EMULATOR="+server.URL())
	return cmd.Run()
}
