// Command local runs Avow on this machine (`make run`) and forgets what that
// has kept (`make reset`).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/avow-consent/avow/internal/admin"
	"github.com/avow-consent/avow/internal/api"
	"github.com/avow-consent/avow/internal/collect"
	"github.com/avow-consent/avow/internal/erase"
	"github.com/avow-consent/avow/internal/preferences"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/propagate"
	"github.com/avow-consent/avow/internal/requests"
	"github.com/avow-consent/avow/internal/steps"
	"github.com/avow-consent/avow/internal/sweep"
	"github.com/avow-consent/avow/internal/webhook"
	"github.com/avow-consent/avow/scripts/local/emulator"
	"github.com/avow-consent/avow/scripts/local/stack"
)

// components are the functions of template.yaml. A function that the template
// declares and this map lacks stops the start.
var components = map[string]stack.Component{
	"admin":       admin.Handler,
	"api":         api.Handler,
	"collect":     collect.Handler,
	"erase":       erase.Handler,
	"preferences": preferences.Handler,
	"project":     project.Handler,
	"propagate":   propagate.Handler,
	"requests":    requests.Handler,
	"steps":       steps.Handler,
	"sweep":       sweep.Handler,
	"webhook":     webhook.Handler,
}

const usage = "usage: local run [-policy fast] [PARAMETER=VALUE …] | reset"

func main() {
	if err := command(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func command(args []string) error {
	checkout, err := emulator.FindCheckout()
	if err != nil {
		return err
	}
	switch {
	case len(args) > 0 && args[0] == "run":
		return run(checkout, args[1:])
	case len(args) == 1 && args[0] == "reset":
		return stack.Reset(checkout, os.Stdout)
	default:
		return errors.New(usage)
	}
}

func run(checkout emulator.Checkout, args []string) error {
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	policy := flags.String("policy", "", "fast, or how long a day lasts")
	if err := flags.Parse(args); err != nil {
		return errors.New(usage)
	}
	day, err := stack.ParseDay(*policy)
	if err != nil {
		return err
	}
	parameters := map[string]string{}
	for _, arg := range flags.Args() {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not of the form PARAMETER=VALUE", arg)
		}
		parameters[name] = value
	}
	return stack.Run(context.Background(), stack.Options{
		Checkout: checkout, Components: components, Parameters: parameters,
		Seed: seed, Configure: configure, Rebuild: rebuild, Publish: publish, Day: day, Fakes: fakes(day),
		Out: os.Stdout, Signals: signals(),
	})
}

// signals are all the ways in which a person or a supervisor ends a program,
// and two that do not reach it as a signal below make: its death, and the end of
// the terminal.
func signals() <-chan os.Signal {
	all := make(chan os.Signal, 3)
	signal.Notify(all, os.Interrupt, syscall.SIGTERM)
	if signal.Ignored(syscall.SIGHUP) { // under nohup
		return all
	}
	signal.Notify(all, syscall.SIGHUP)
	go func() {
		for parent := os.Getppid(); !abandoned(parent); {
			time.Sleep(time.Second)
		}
		all <- syscall.SIGHUP
	}()
	return all
}

// abandoned reports that the make which started the program is gone, or the
// terminal: then even an empty write fails.
func abandoned(parent int) bool {
	_, err := os.Stdout.Write(nil)
	return errors.Is(err, syscall.EIO) || os.Getenv("MAKELEVEL") != "" && os.Getppid() != parent
}

// rebuild makes the projection equal to the ledger, with a word when there is
// much of it.
func rebuild(ctx context.Context, getenv func(string) string) error {
	next := time.Now().Add(2 * time.Second)
	report, err := project.Rebuild(ctx, getenv, func(done, _ int) {
		if time.Now().After(next) {
			fmt.Printf("Checking the views of subjects against the ledger: %d done …\n", done)
			next = time.Now().Add(5 * time.Second)
		}
	})
	if err == nil && report.Different > 0 {
		err = fmt.Errorf("%d views differ from the ledger after it", report.Different)
	}
	return err
}
