// Command reapply erases again what earlier erasures cover and what is back all
// the same. See reapply -help.
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

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/project"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/scripts/stackenv"
)

const help = `usage: go run ./scripts/reapply [-dry] [-outputs FILE | -local FILE]

Goes through the whole ledger and erases again what an earlier erasure covers:
run it after a table or a bucket was restored from a backup, before anything else
reads it. What people have said since their erasure stays. Then it makes the
views anew. It may be stopped and run again.

  -dry            only counts what would go

Where:
  by default the local stack that "make run" has started (.local/stack.json).
  -outputs FILE   a deployed stack, by what this prints:
                  sam list stack-outputs --stack-name NAME --output json > FILE
                  Region and credentials come from the usual AWS environment. They
                  need what the role of the function erase may do, and dynamodb:Scan
                  on the ledger.
  With EVENTS_TABLE set, the names come from the environment.

After a restore to a new table give that table's name: the table of erasures must
be the one in use, never a restored one.

Exit status: 0 when all of it was done, 1 otherwise.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "reapply:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("reapply", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() { fmt.Fprint(out, help) }
	outputs, local, dry := flags.String("outputs", "", ""), flags.String("local", "", ""), flags.Bool("dry", false, "")
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
	if err := reapply(ctx, getenv, *dry, out); err != nil || *dry {
		return err
	}
	report, err := project.Rebuild(ctx, getenv, nil)
	if err == nil {
		fmt.Fprintf(out, "%d views made or corrected, %d removed.\n", report.Written, report.Removed)
	}
	return err
}

// reapply goes through the ledger, one partition after the other.
func reapply(ctx context.Context, getenv func(string) string, dry bool, out io.Writer) error {
	base, err := setup.NewBase(ctx, getenv)
	if err != nil {
		return err
	}
	c, events, err := connector(ctx, base)
	if err != nil {
		return err
	}
	sites := map[string]string{}
	if err := events.Walk(ctx, func(site, subject string) error {
		if sites[subject] == "" {
			sites[subject] = site
		}
		return nil
	}); err != nil {
		return err
	}
	rows, partitions, next := 0, 0, time.Now().Add(time.Second)
	for subject, site := range sites {
		n, err := c.Reapply(ctx, site, subject, dry)
		if errors.Is(err, context.Canceled) {
			return errors.New("stopped: run it again, it goes on with what is left")
		}
		if err != nil {
			return err
		}
		if rows += n; n > 0 {
			partitions++
		}
		if now := time.Now(); now.After(next) {
			next = now.Add(2 * time.Second)
			fmt.Fprintf(out, "%d rows of %d subjects so far …\n", rows, partitions)
		}
	}
	did := "erased again"
	if dry {
		did = "would be erased again"
	}
	fmt.Fprintf(out, "%d rows of %d subjects %s; %d subjects looked at.\n", rows, partitions, did, len(sites))
	return nil
}

func connector(ctx context.Context, base *setup.Base) (*ledger.Connector, *dynamo.Events, error) {
	env, err := base.Require("EVENTS_TABLE", "SUBJECTS_TABLE", "FORMS_TABLE", "DOCUMENTS_TABLE", "NOTICES_TABLE", "ERASURES_TABLE", "PROOFS_BUCKET")
	if err != nil {
		return nil, nil, err
	}
	hasher, err := base.Hasher(ctx)
	if err != nil {
		return nil, nil, err
	}
	events, proofs := dynamo.NewEvents(base.Config, env[0]), blob.NewProofs(base.Config, env[6])
	forms, documents := dynamo.NewForms(base.Config, env[2]), dynamo.NewDocuments(base.Config, env[3])
	return ledger.New(ledger.Options{
		Rows: events, Append: events, Views: dynamo.NewSubjects(base.Config, env[1]), Forms: forms, Documents: documents,
		Notices: dynamo.NewNotices(base.Config, env[4]), Texts: proofs, Hasher: hasher, Policy: request.Defaults(), Now: base.Now,
		Removal: &ledger.Removal{
			Rows: events, Erasures: dynamo.NewErasures(base.Config, env[5]), Forms: forms, Documents: documents, Objects: proofs,
		},
	}), events, nil
}
