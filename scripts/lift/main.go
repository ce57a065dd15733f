// Command lift ends a restriction of processing. See lift -help.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/scripts/stackenv"
)

const help = `usage: echo SUBJECT-ID | go run ./scripts/lift -request ID -by NAME -why TEXT [-outputs FILE | -local FILE]

Ends in the ledger the restriction of processing that a request of the type
restriction has led to. The person is told before (Art. 18(3) GDPR): that is the
company's to do. Who it is about is read from standard input, one subject id: the
request itself has forgotten it, and a shell would remember it.

  -request ID     the request that has restricted; its log says what is done
  -by NAME        who has decided it
  -why TEXT       on which ground, without personal data

Where:
  by default the local stack that "make run" has started (.local/stack.json).
  -outputs FILE   a deployed stack, by what this prints:
                  sam list stack-outputs --stack-name NAME --output json > FILE
                  Region and credentials come from the usual AWS environment.
  With EVENTS_TABLE set, the names come from the environment.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "lift:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("lift", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() { fmt.Fprint(out, help) }
	outputs, local := flags.String("outputs", "", ""), flags.String("local", "", "")
	id, by, why := flags.String("request", "", ""), flags.String("by", "", ""), flags.String("why", "", "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if flags.NArg() > 0 || *id == "" || *by == "" || *why == "" {
		return errors.New("needs -request, -by and -why, and nothing else: see -help")
	}
	getenv, err := stackenv.Find(*outputs, *local)
	if err != nil {
		return err
	}
	line, err := bufio.NewReader(in).ReadString('\n')
	subject := strings.TrimSpace(line)
	if err != nil && !errors.Is(err, io.EOF) || subject == "" {
		return errors.New("standard input must be one subject id")
	}
	if err := lift(ctx, getenv, redact.String(subject), *id, request.Actor{Who: *by, Role: "admin"}, *why); err != nil {
		return err
	}
	fmt.Fprintln(out, "The restriction has ended.")
	return nil
}

// lift writes the log first: what cannot be written down does not happen.
func lift(ctx context.Context, getenv func(string) string, subject redact.String, id string, by request.Actor, why string) error {
	base, err := setup.NewBase(ctx, getenv)
	if err != nil {
		return err
	}
	env, err := base.Require("EVENTS_TABLE", "SUBJECTS_TABLE", "REQUESTS_TABLE", "FORMS_TABLE", "PROOFS_BUCKET")
	if err != nil {
		return err
	}
	hasher, err := base.Hasher(ctx)
	if err != nil {
		return err
	}
	events, views, proofs := dynamo.NewEvents(base.Config, env[0]), dynamo.NewSubjects(base.Config, env[1]), blob.NewProofs(base.Config, env[4])
	store := dynamo.NewRequests(base.Config, env[2], hasher, base.Now, base.NewID)
	r, err := store.Get(ctx, id)
	if err != nil {
		return err
	}
	if r.Type != request.Restriction || !r.State.Ended() {
		return errors.New("the request is none of the type restriction, or is still open")
	}
	partition := hasher.Subject(r.Site, subject.Reveal())
	if v, err := views.View(ctx, partition); err != nil || v == nil {
		return errors.Join(err, errors.New("the ledger has no such subject on the request's site"))
	}
	now := base.Now().UTC()
	if err := store.Write(ctx, request.Change{Fence: &request.Fence{Request: r.ID, Epoch: r.Epoch}, Entries: []request.Entry{{
		At: now, By: by, Act: request.Done, From: r.State, To: r.State, Why: why, System: "ledger",
		Detail: map[string]string{"operation": "lift", "subject": partition},
	}}}); err != nil {
		return err
	}
	c := ledger.New(ledger.Options{Rows: events, Append: events, Views: views, Forms: dynamo.NewForms(base.Config, env[3]), Texts: proofs, Hasher: hasher, Policy: request.Defaults(), Now: base.Now})
	return c.Lift(ctx, ledger.Identify(r.Site, subject), base.NewID(now))
}
