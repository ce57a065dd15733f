// Command retention erases of the ledger whom nothing was heard of for long. See
// retention -help.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/avow-consent/avow/internal/connector/ledger"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/setup"
	"github.com/avow-consent/avow/scripts/stackenv"
)

const help = `usage: go run ./scripts/retention [-days N] [-site ID,ID] [-apply -by NAME] [-outputs FILE | -local FILE]

Says of whom the ledger has heard nothing for long: how many people per site would
be erased, and who stays and why. Changes nothing unless told to.

  -days N         nothing said and nothing received for so many days; 1095 unless
                  it is set, never less than retention_floor in systems.json
  -site ID,ID     these sites only
  -apply          erases them: from the ledger alone, by the operation that a
                  request for erasure uses, so that nothing comes back; proofs are
                  kept where the policy keeps them. May be stopped and run again.
  -by NAME        who has decided it. Stands in the record of the run.

Nobody goes who is active under another subject, whose data is restricted
(Art. 18 GDPR), or of whom a request is open, held or not.

Where:
  by default the local stack that "make run" has started (.local/stack.json).
  -outputs FILE   a deployed stack, by what this prints:
                  sam list stack-outputs --stack-name NAME --output json > FILE
                  Region and credentials come from the usual AWS environment. They
                  need what the role of the function erase may do, dynamodb:Query on
                  the indexes of Requests and Subjects, and dynamodb:Scan on the
                  ledger unless -site is given.
  With EVENTS_TABLE set, the names come from the environment.

Exit status: 0 when all of it was done, 1 otherwise.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, time.Now); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "retention:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer, now func() time.Time) error {
	flags := flag.NewFlagSet("retention", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() { fmt.Fprint(out, help) }
	outputs, local, sites := flags.String("outputs", "", ""), flags.String("local", "", ""), flags.String("site", "", "")
	days, apply, by := flags.Int("days", 1095, ""), flags.Bool("apply", false, ""), flags.String("by", "", "")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("%q is not understood: see -help", flags.Arg(0))
	case *apply && *by == "":
		return errors.New("-apply needs -by: the record of the run says who has decided it")
	}
	getenv, err := stackenv.Find(*outputs, *local)
	if err != nil {
		return err
	}
	t, err := open(ctx, getenv, now)
	if err != nil {
		return err
	}
	t.out, t.by, t.apply = out, *by, *apply
	t.before = now().UTC().Add(-t.connector.Policy.Scale(time.Duration(*days) * 24 * time.Hour))
	list := strings.Split(*sites, ",")
	if *sites == "" {
		if list, err = t.allSites(ctx); err != nil {
			return err
		}
	}
	for _, site := range list {
		if err := t.site(ctx, site); err != nil {
			if ctx.Err() != nil {
				return errors.New("stopped: run it again, it goes on with who is left")
			}
			return err
		}
	}
	return nil
}

// tool is one run.
type tool struct {
	connector *ledger.Connector
	events    *dynamo.Events
	store     *dynamo.Requests
	now       func() time.Time
	newID     func(time.Time) string
	out       io.Writer
	before    time.Time
	by        string
	apply     bool
}

func open(ctx context.Context, getenv func(string) string, now func() time.Time) (*tool, error) {
	base, err := setup.NewBase(ctx, getenv)
	if err != nil {
		return nil, err
	}
	base.Now = now
	q, err := base.Requesting(ctx, true)
	if err != nil {
		return nil, err
	}
	runner, _, err := q.Runner(ctx)
	if err != nil {
		return nil, err
	}
	t := &tool{
		events: dynamo.NewEvents(base.Config, getenv("EVENTS_TABLE")), store: q.Store, now: now, newID: base.NewID,
	}
	for _, s := range runner.Systems {
		if c, ok := s.Connector.(*ledger.Connector); ok && !s.DryRun {
			t.connector = c
		}
	}
	if t.connector == nil {
		return nil, errors.New("the ledger is none of the systems, or in dry-run mode: see systems.json")
	}
	return t, nil
}

// allSites are the sites that the ledger has something of.
func (t *tool) allSites(ctx context.Context) ([]string, error) {
	sites := map[string]bool{}
	err := t.events.Walk(ctx, func(site, _ string) error {
		sites[site] = true
		return nil
	})
	return slices.Sorted(maps.Keys(sites)), err
}

// report is what a run has come to on one site. It names nobody.
type report struct {
	people, events, rows, residue int
	stay                          map[ledger.Standing]int
	seen                          map[string]bool // other subjects of people who are counted
	oldest                        time.Time
}

// site goes through the subjects of a site of which the index says that nothing
// was heard.
func (t *tool) site(ctx context.Context, site string) error {
	sum := &report{stay: map[ledger.Standing]int{}, seen: map[string]bool{}}
	record := &record{tool: t, site: site}
	var from *consent.Position
	for next := time.Now().Add(time.Second); ; {
		list, more, err := t.connector.Retention(ctx, site, t.before, from, 100)
		if err != nil {
			return err
		}
		for _, one := range list {
			if err := t.person(ctx, one, site, record, sum); err != nil {
				return err
			}
			if now := time.Now(); now.After(next) {
				next = now.Add(2 * time.Second)
				fmt.Fprintf(t.out, "%s: %d people so far …\n", site, sum.people)
			}
		}
		if from = more; more == nil {
			break
		}
	}
	if err := record.close(ctx, sum); err != nil {
		return err
	}
	t.print(site, sum, record.id)
	return nil
}

func (t *tool) print(site string, sum *report, run string) {
	did := "would be erased"
	if t.apply {
		did = "erased"
	}
	fmt.Fprintf(t.out, "%s: %d people with %d events %s, of whom nothing was heard since %s", site, sum.people, sum.events, did, t.before.Format(time.DateOnly))
	if sum.people > 0 {
		fmt.Fprintf(t.out, "; the oldest since %s", sum.oldest.Format(time.DateOnly))
	}
	fmt.Fprintf(t.out, ". Subjects that stay: %d active under another one, %d restricted, %d with an open request.\n",
		sum.stay[ledger.Active], sum.stay[ledger.Restricted], sum.stay[ledger.Requested])
	if run != "" {
		fmt.Fprintf(t.out, "%s: %d rows are tombstones now, %d records were left; record of the run: request %s.\n", site, sum.rows, sum.residue, run)
	}
}

// person deals with one subject, and with it with all others of the same person.
func (t *tool) person(ctx context.Context, one ledger.Retired, site string, record *record, sum *report) error {
	if sum.seen[one.Partition] {
		return nil
	}
	r, err := t.connector.Retirable(ctx, site, one.SubjectID, t.before, t.requested(site))
	switch {
	case err != nil:
		return err
	case r.Standing != ledger.Lapsed:
		sum.stay[r.Standing]++
		return nil
	case r.Found["consents"]+r.Found["statements"] == 0: // a view that lags behind
		return nil
	}
	if t.apply {
		if err := record.begin(ctx, one.Partition); err != nil {
			return err
		}
		if r, err = t.connector.Retire(ctx, record.id, site, one.SubjectID, t.before, t.requested(site)); err != nil {
			return err
		}
		if err := record.done(ctx, one.Partition, r); err != nil {
			return err
		}
		if r.Standing != ledger.Lapsed { // at this very moment
			sum.stay[r.Standing]++
			return nil
		}
	}
	for _, partition := range r.Subjects {
		sum.seen[partition] = partition != one.Partition
	}
	sum.people++
	sum.events += r.Found["consents"] + r.Found["statements"]
	for _, n := range r.Erased {
		sum.rows += n
	}
	for _, n := range r.Residue {
		sum.residue += n
	}
	if sum.oldest.IsZero() || r.Latest.Before(sum.oldest) {
		sum.oldest = r.Latest
	}
	return nil
}

// requested tells whether an open request knows an identifier.
func (t *tool) requested(site string) ledger.Requests {
	return func(ctx context.Context, i identity.Identifier) (bool, error) {
		for q := (request.Query{Site: site, Identifier: &i, Limit: 100}); ; {
			list, next, err := t.store.List(ctx, q)
			if err != nil || slices.ContainsFunc(list, func(r request.Request) bool { return !r.State.Ended() }) {
				return true, err
			}
			if q.After = next; next == "" {
				return false, nil
			}
		}
	}
}

// record is the trail of a run: a request that is closed from the beginning,
// whose log says of each subject that it is about to be erased, and then what was.
// Like all logs it knows people by keyed hashes only.
type record struct {
	*tool
	site string
	id   string // "" until somebody is erased
}

func (r *record) begin(ctx context.Context, partition string) error {
	if r.id == "" {
		if err := r.open(ctx); err != nil {
			return err
		}
	}
	return r.write(ctx, request.Start, "", map[string]string{"subject": partition})
}

func (r *record) open(ctx context.Context) error {
	now := r.now().UTC().Truncate(time.Millisecond)
	by := request.Actor{Who: r.by, Role: "admin"}
	one := &request.Request{
		ID: r.newID(now), Site: r.site, Type: request.Erasure, Regime: request.GDPR, Channel: request.Channel{Kind: "other"},
		State: request.Closed, Since: now, Opened: by, Received: now, Answered: now, Closed: now,
		Identity: request.Identity{Method: "none"}, Clock: request.Clock{Zone: "UTC", Due: now, Latest: now},
	}
	one.Next = request.Milestone(one, r.connector.Policy, now)
	why := "retention: nothing was heard since " + r.before.Format(time.RFC3339)
	err := r.store.Create(ctx, one, request.Entry{At: now, By: by, Act: request.Open, To: request.Closed, Why: why}, request.Personal{}, nil)
	if err == nil {
		r.id = one.ID
	}
	return err
}

func (r *record) done(ctx context.Context, partition string, one ledger.Retirement) error {
	detail := map[string]string{"subject": partition, "standing": string(one.Standing)}
	for what, n := range one.Erased {
		detail[what] = strconv.Itoa(n)
	}
	for what, n := range one.Residue {
		detail["left_"+what] = strconv.Itoa(n)
	}
	for _, k := range one.Kept {
		detail["kept"] = strings.TrimPrefix(detail["kept"]+"; "+k.What+": "+k.Ground, "; ")
	}
	return r.write(ctx, request.Finish, "", detail)
}

func (r *record) close(ctx context.Context, sum *report) error {
	if r.id == "" {
		return nil
	}
	return r.write(ctx, request.Close, "retention", map[string]string{"people": strconv.Itoa(sum.people), "rows": strconv.Itoa(sum.rows), "left": strconv.Itoa(sum.residue)})
}

func (r *record) write(ctx context.Context, act request.Act, why string, detail map[string]string) error {
	e := request.Entry{
		At: r.now().UTC(), By: request.Actor{Who: r.by, Role: "admin"}, Act: act, From: request.Closed, To: request.Closed,
		Why: why, System: "ledger", Detail: detail,
	}
	return r.store.Write(ctx, request.Change{Fence: &request.Fence{Request: r.id}, Entries: []request.Entry{e}})
}
