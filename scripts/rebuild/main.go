// Command rebuild makes the views of subjects anew from the ledger and proves
// that they are right. See rebuild -help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/scripts/stackenv"
)

const help = `usage: go run ./scripts/rebuild [-outputs FILE | -local FILE]

Reads the whole ledger, makes every view of a subject that is missing or wrong,
removes those that have no events, puts search entries right, and then proves it:
every view and every search entry is compared with the ledger once more. What is
right is left alone, so it may run beside the stack, be stopped and be run again.

Where:
  by default the local stack that "make run" has started (.local/stack.json).
  -outputs FILE   a deployed stack, by what this prints:
                  sam list stack-outputs --stack-name NAME --output json > FILE
                  Region and credentials come from the usual AWS environment.
  With EVENTS_TABLE set, the names come from the environment, as a function's do:
                  EVENTS_TABLE, SUBJECTS_TABLE, FORMS_TABLE, SITES_TABLE,
                  DOCUMENTS_TABLE, PSEUDONYM_SECRET.

Exit status: 0 when every view is proven right, 1 when some are not, or when it
could not be done.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "rebuild:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("rebuild", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() { fmt.Fprint(out, help) }
	outputs := flags.String("outputs", "", "")
	local := flags.String("local", "", "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not understood: see -help", flags.Arg(0))
	}
	getenv, err := stackenv.Find(*outputs, *local)
	if err != nil {
		return err
	}
	return rebuild(ctx, getenv, out)
}

func rebuild(ctx context.Context, getenv func(string) string, out io.Writer) error {
	start := time.Now()
	next := start.Add(time.Second)
	report, err := project.Rebuild(ctx, getenv, func(done, changed int) {
		if now := time.Now(); now.After(next) {
			next = now.Add(2 * time.Second)
			fmt.Fprintf(out, "%d subjects done, %d views changed …\n", done, changed)
		}
	})
	if errors.Is(err, context.Canceled) {
		return errors.New("stopped: run it again, it goes on with what is left")
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d subjects in %.1f s: %d views made or corrected, %d removed, search entries of %d corrected.\n",
		report.Subjects, time.Since(start).Seconds(), report.Written, report.Removed, report.Entries)
	if report.Different > 0 {
		return fmt.Errorf("%d views still differ from the ledger", report.Different)
	}
	fmt.Fprintln(out, "Proven: every view and every search entry is what the ledger says.")
	return nil
}
